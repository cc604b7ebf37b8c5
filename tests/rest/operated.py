"""A real desk of a real owner whose fabric has been discovered, for tests of what the operator asks over REST.

Switches answer as those of ``tests/controller/switches.py`` do: at once, and with a barrier each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from controller.channel import ReadBack
from controller.desk import Desk
from controller.discovery import Announcer
from controller.events import Installed, MessageConfirmed, Mods, SwitchDown, SwitchUp
from controller.fabric.changes import HostSighted, LinkSeen
from controller.fabric.graph import Fabric
from controller.fabric.plan import LaPlan
from controller.openflow.tally import Tally
from controller.ovsdb.server import HostsServer
from controller.owner import Owner, _Ask
from overlay.changes import Document, Outcome
from overlay.values import DatapathId
from overlay.world import World
from tests.fabric import graphs


class Shelf:
    """A store in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], object] = {}

    @property
    def revision(self) -> int:
        return len(self.kept)

    def load(self) -> tuple[Document, ...]:
        return tuple(Document(kind, id_, body) for (kind, id_), body in self.kept.items() if body is not None)

    def commit(self, documents: Iterable[Document]) -> int:
        for document in documents:
            self.kept[document.kind, document.id] = document.body
        return self.revision

    def close(self) -> None:
        pass


class Wire:
    """A switch's session that remembers what it was sent and confirms when it is told to."""

    def __init__(self, owner: Prompt, datapath_id: DatapathId) -> None:
        self.datapath_id = datapath_id
        self.sent: list[Mods] = []
        self.owed: list[int] = []
        self._owner = owner

    def send(self, mods: Mods, ticket: int) -> None:
        self.sent.append(mods)
        self.owed.append(ticket)

    def read(self) -> Installed:
        return Installed((), (), ())

    def count(self) -> int:
        raise TimeoutError

    def packet_out(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass


class Prompt(Owner):
    """An owner that takes what it is asked at once, in the greenlet that asks, and whose switches are :class:`Wire`."""

    def __init__(self, shelf: Shelf) -> None:
        self.wires: dict[DatapathId, Wire] = {}
        super().__init__(
            World(),
            Fabric(LaPlan()),
            shelf,
            announcer=Announcer(b"secret"),
            lldp_interval=0.5,
            lost_after=30.0,
            audit_interval=3600.0,
        )

    def _ask(self, apply: Any, *, urgent: bool = False) -> Outcome:  # noqa: ARG002  (all of it is at once here)
        ask = _Ask(apply)
        self.turn(ask)
        outcome: Outcome = ask.done.wait()
        return outcome

    def spawn(self, work: Any, *, after: float = 0.0) -> None:
        """Read nothing back beside the owner: :meth:`connect` says what was found."""

    def connect(self, wiring: graphs.Wiring) -> None:
        """Let the owner discover a network, and every switch confirm what it is sent."""
        for datapath_id, ports in wiring.switches().items():
            self.wires[datapath_id] = Wire(self, datapath_id)
            self.turn(SwitchUp(datapath_id, self.wires[datapath_id], ports))
        for near, far in wiring.cables:
            self.underlay._apply(LinkSeen(near, far))
            self.underlay._apply(LinkSeen(far, near))
        for la, at in wiring.hosts.items():
            self.underlay._apply(HostSighted(la, graphs.mac_of(la), at))
        for datapath_id, wire in self.wires.items():
            self.turn(ReadBack(datapath_id, wire, Installed((), (), ())))
        self.confirm()

    def confirm(self) -> None:
        """Let all switches confirm all that they owe, until nothing follows from it."""
        while owing := [wire for wire in self.wires.values() if wire.owed]:
            for wire in owing:
                tickets, wire.owed = wire.owed, []
                for ticket in tickets:
                    self.turn(MessageConfirmed(wire.datapath_id, ticket))

    def disconnect(self, datapath_id: int) -> None:
        """End a switch's session."""
        wire = self.wires[DatapathId(datapath_id)]
        self.turn(SwitchDown(wire.datapath_id, wire))

    def state(self) -> tuple[object, ...]:
        """All that a request could have changed."""
        fabric = self.underlay.fabric
        return (
            sorted((document.kind, document.id, repr(document.body)) for document in fabric.documents()),
            sorted(map(repr, fabric.graph.edges(data=True))),
            fabric.policy,
            fabric.paths,
            self.intended,
            {key: repr(body) for key, body in self._store.kept.items()},
            {datapath_id: len(wire.sent) for datapath_id, wire in self.wires.items()},
        )


class QuietHosts(HostsServer):
    """A listener that nobody calls; what it has heard of fabric switches and strangers is what a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.troubles: dict[DatapathId, tuple[str, ...]] = {}
        self.unknown: tuple[tuple[str, str], ...] = ()

    def fabric_switches(self) -> dict[DatapathId, tuple[str, ...]]:
        return self.troubles

    def strangers(self) -> tuple[tuple[str, str], ...]:
        return self.unknown


class OperatedDesk(Desk):
    """A desk whose owner a test may look at."""

    def __init__(self, owner: Prompt) -> None:
        self.callers = QuietHosts()
        super().__init__(owner, self.callers, Tally(), version="0")
        self.owner = owner
