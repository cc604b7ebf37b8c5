"""A service around a real world, for tests of the edge alone.

It applies intents at once and sends nothing: hosts confirm when a test says so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

from controller.bulk import Creation, apply_all
from controller.desk import locations
from controller.identity.roster import Enrolment, Roster
from controller.service import NotConfirmed, NotCounted
from controller.views import (
    BalanceView,
    DropView,
    EdgePortView,
    ElephantView,
    HealthView,
    HopView,
    HostView,
    LinkLoadView,
    LinkView,
    LoadView,
    LocationView,
    LocatorView,
    MoveStep,
    MoveView,
    MulticastView,
    PathEnd,
    PathsView,
    PortView,
    PrefixView,
    QuestionsView,
    SwitchCounters,
    SwitchView,
    TopologyView,
)
from overlay.changes import Activate, Change, Confirmed, HostSeen, Intent, Outcome, Plugged, Sent, Tick
from overlay.moves import Move, Phase
from overlay.refusals import NotFound
from overlay.values import DatapathId, Host, HostName, IpAddress, Mac, PortStatus, Vni
from overlay.world import World


class WorldService:
    """What REST needs of the owner, in one greenlet and without switches."""

    def __init__(self, *hosts: str) -> None:
        self.world = World()
        self.roster = Roster({"operator"})
        self.now = 1000.0
        self.ready = True
        self.silent = False
        self.asked: list[Intent] = []
        self.unfinished: set[str] = set()
        self._generation = 0
        for number, name in enumerate(hosts, 1):
            la = IPv4Address(f"10.0.{number}.11")
            self.apply(HostSeen(Host(HostName(name), la, DatapathId(0x564C << 48 | number), tunnel_port=1)))

    def apply(self, change: Change) -> Outcome:
        """Apply one change, and say that what it and its consequences call for was sent."""
        outcome = first = self.world.apply(change, self.now)
        while outcome.waits:
            self._generation += 1
            hosts = sorted({wait.host for wait in outcome.waits})
            sent = Sent(outcome.waits, tuple((host, self._generation) for host in hosts))
            outcome = self.world.apply(sent, self.now)
        return first

    def confirm(self) -> None:
        """Every host confirms everything, and whatever follows from that, until nothing more does."""
        confirmed = -1
        while confirmed < self._generation:
            confirmed = self._generation
            for host in tuple(self.world.hosts):
                self.apply(Confirmed(host, confirmed))

    def plug(self, host: str, port_id: str, ofport: int = 5) -> None:
        """A tap of the port appears at a host, and everybody confirms."""
        self.apply(Plugged(HostName(host), port_id, ofport))
        self.confirm()

    def settle(self) -> None:
        """The grace time passes."""
        self.now += 10
        self.apply(Tick())
        self.confirm()

    def enrol(self, change: Enrolment) -> None:
        owned = {network.project_id for network in self.world.networks.values()}
        self.roster.apply(change, time.time(), lambda project: "a network" if project in owned else None)

    def submit(self, intent: Intent) -> Outcome:
        self.asked.append(intent)
        outcome = self.apply(intent)
        if isinstance(intent, Activate):
            self.confirm()
        return outcome

    def submit_all(self, creations: Sequence[Creation]) -> Outcome:
        return apply_all(self.world, creations, self.now)

    @property
    def switching(self) -> bool:
        return False

    def port_status(self, port_id: str) -> PortStatus:
        return self.world.status(port_id)

    def await_move(self, port_id: str, host: HostName, timeout: float) -> None:
        move = self.world.move_of(port_id)
        if move is not None and move.phase not in {Phase.REPOINTING, Phase.GRACE, Phase.SETTLED}:
            raise NotConfirmed(
                f"The move of port {port_id} to {host} was not confirmed within {timeout} s", field="host"
            )

    def locate(self, asked: Sequence[tuple[Vni | str, Mac | IpAddress]]) -> tuple[LocationView | None, ...]:
        return locations(self.world, asked)

    def drops(self, port_id: str) -> tuple[DropView, ...]:
        self.world.port(port_id)
        if self.silent:
            raise NotCounted("the switch of host h1 does not answer")
        return (DropView("spoofed", 3, 180), DropView("refused_in", 0, 0))

    def topology(self) -> TopologyView:
        a, b = DatapathId(1), DatapathId(2)
        return TopologyView(
            switches=(SwitchView(a, True, True, (PortView(1, "s1-eth1", True),)), SwitchView(b, False, False, ())),
            links=(LinkView(a, 1, b, 1, usable=True),),
            edge_ports=(EdgePortView(a, 2),),
            locators=(LocatorView(IPv4Address("10.0.1.11"), a, 2, Mac(0x020000000001), HostName("h1")),),
            prefixes=(PrefixView(IPv4Network("10.0.1.0/24"), a),),
        )

    def load(self) -> LoadView:
        a, b = DatapathId(1), DatapathId(2)
        return LoadView(
            1.0,
            (
                LinkLoadView(a, 1, b, 1, 2e6, 300.0, 0.5, 10.0, 0.2, 5000, 40, 1, 1000.5),
                LinkLoadView(b, 1, a, 1, None, None, None, None, None, None, None, None, None),
            ),
            (BalanceView(a, (1, 3), 0.75, 1.5), BalanceView(b, (1, 2), None, None)),
            (ElephantView(a, IPv4Network("10.0.2.0/24"), 5, 0x3F, 3),),
        )

    def paths(self, source: str, target: str) -> PathsView:
        ends = []
        for field, name in (("from", source), ("to", target)):
            host = self.world.hosts.get(HostName(name))
            if host is None:
                raise NotFound(f"{field}: {name} is neither a port nor a host", field=field, kind="PathEndNotFound")
            ends.append(PathEnd(host.name, host.la))
        return PathsView(ends[0], ends[1], ((HopView(DatapathId(1), 2, 1),),))

    def hosts(self) -> tuple[HostView, ...]:
        return tuple(
            HostView(host.name, host.la, host.datapath_id, True, host.tunnel_port, len(self.world.ports_on_host(name)))
            for name, host in self.world.hosts.items()
        )

    def moves(self) -> tuple[MoveView, ...]:
        return tuple(map(_move, reversed(self.world.moves())))

    def move(self, move_id: str) -> MoveView:
        for move in self.moves():
            if move.id == move_id:
                return move
        raise NotFound(f"Move {move_id} could not be found.", kind="MoveNotFound")

    def multicast(self) -> MulticastView:
        return MulticastView(groups=2, memberships=3, refused=4, reports=50, unsound=6, asked=70)

    def health(self) -> HealthView:
        counters = SwitchCounters(DatapathId(1), "fabric", True, 10, 2, 0)
        questions = (QuestionsView("dhcp", 9, 5, 2, 1, 1),)
        return HealthView(
            self.ready, "ryu 4.34", "0.1.0", 1000.0, (counters,), 2, 2, 0, failures=3, questions=questions
        )


def _move(move: Move) -> MoveView:
    return MoveView(
        id=move.id,
        port_id=move.port_id,
        source=move.source,
        target=move.target,
        phase=move.phase,
        trigger=move.trigger,
        timeline=tuple(MoveStep(phase, at) for phase, at in move.timeline),
        flow_mods=7,
        switches_touched=(DatapathId(0x564C << 48 | 1),),
        reason=move.reason,
    )
