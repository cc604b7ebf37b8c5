"""What does a session do for a caller that is a hypervisor?

It tells the owner what is there (``HostReachable``, ``HostSeen``, ``HostSnapshot``) and then each change, and says what
must be written so that br-int is as the controller needs it.  An edge switch to which machines are wired is a
hypervisor to them: its bridge is br-vtep, and instead of plugged ports its cables are told (``EdgeSnapshot``).
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

from controller.events import HostReachable, HostUnreachable, Sink
from controller.ovsdb.attachments import Attachments
from controller.ovsdb.join import Join
from controller.ovsdb.repair import TUNNEL, plan_repair
from controller.ovsdb.replica import Replica, RowId
from controller.ovsdb.transaction import Repair
from overlay.changes import HostSeen, HostSnapshot, Plugged, Unplugged
from overlay.direct.changes import EdgeSnapshot, Unwired, Wired
from overlay.values import Host, HostKind, HostName


class HypervisorRole:
    """A hypervisor, over one session.

    :param target: whom br-int has to call by OpenFlow, ``tcp:ADDRESS:PORT`` or ``ssl:…``.
    """

    def __init__(self, join: Join, replica: Replica, target: str, sink: Sink) -> None:
        self._join = join
        self._replica = replica
        self._target = target
        self._sink = sink
        self._attachments = Attachments(replica, join)
        self._attachments.refresh(replica.interfaces)
        host = self._host()
        self.host = host
        self.name: HostName = host.name
        sink(HostReachable(host.name))
        sink(HostSeen(host))
        snapshot = EdgeSnapshot if self._wires else HostSnapshot
        sink(snapshot(host.name, self._attachments.plugged()))

    def fits(self, join: object, name: object) -> bool:
        """Whether this is what a machine asks to be."""
        return isinstance(join, Join) and name == self.name and join.kind is self._join.kind

    @property
    def _wires(self) -> bool:
        return self._join.kind is HostKind.EDGE

    @property
    def place(self) -> str:
        """The bridge that is written to."""
        return self._join.bridge

    def __str__(self) -> str:
        return f"{'edge switch' if self._wires else 'host'} {self.name}"

    @property
    def la(self) -> IPv4Address:
        """The host's locator address."""
        return self.host.la

    def problems(self) -> tuple[str, ...]:
        """Sentences for the host's operator."""
        return self._attachments.problems()

    def follow(self, join: Join, touched: Iterable[RowId]) -> None:
        """Tell the owner what the rows say anew."""
        changes = self._attachments.refresh(touched)
        self._join = join
        host = self._host()
        if host != self.host:
            self._sink(HostSeen(host))
        for thing, ofport in changes:
            self._tell(thing, ofport)
        self.host = host

    def plan(self) -> Repair | None:
        """What must be written; raises ``ObstructedError`` where something of the operator's is in the way."""
        return plan_repair(self._replica, self._join, self._target)

    def move_out(self) -> None:
        """The machine took another name: nothing is plugged at the old one any more."""
        for thing, _ in self._attachments.plugged():
            self._tell(thing, None)

    def leave(self) -> None:
        """Tell the owner that nobody speaks for the host now."""
        self._sink(HostUnreachable(self.name))

    def _tell(self, thing: str, ofport: int | None) -> None:
        if self._wires:
            self._sink(Unwired(self.name, thing) if ofport is None else Wired(self.name, thing, ofport))
        else:
            self._sink(Unplugged(self.name, thing) if ofport is None else Plugged(self.name, thing, ofport))

    def _host(self) -> Host:
        join = self._join
        return Host(join.name, join.la, join.datapath_id, self._tunnel_port(), join.netdev, join.kind)

    def _tunnel_port(self) -> int | None:
        found = self._replica.port_named(TUNNEL)
        bridge = self._replica.bridge_named(self._join.bridge)
        if found is None or bridge is None or self._replica.bridge_of_port(found[0]) != bridge[0]:
            return None
        for interface in found[1].interfaces:
            row = self._replica.interfaces.get(interface)
            if row is not None and row.ofport is not None and row.ofport > 0:
                return row.ofport
        return None
