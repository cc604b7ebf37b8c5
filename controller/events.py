"""What can the outside tell the owner of the world?

Frozen events that the shells (OpenFlow sessions, OVSDB sessions, timers) put on the owner's one queue.  Changes of the
overlay (``overlay.changes``) travel on the same queue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias

from overlay.flow import Action, Flow, FlowKey, Group, Meter, Set
from overlay.values import DatapathId, HostName


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """A port of a switch: OpenFlow number, name, hardware address, and whether packets can pass.

    They can where the port is up by configuration, has a link, and is live, the switch's own word, with BFD in it.

    :param speed: its current rate in kbit/s as the switch tells it, 0 where it does not.
    """

    number: int
    name: str
    hw_addr: str
    up: bool
    speed: int = 0


class PortCounters(NamedTuple):
    """What one port has carried so far, 64-bit counters that wrap; what the switch does not count is zero."""

    port: int
    rx_packets: int
    tx_packets: int
    rx_bytes: int
    tx_bytes: int
    rx_dropped: int
    tx_dropped: int
    rx_errors: int
    tx_errors: int


@dataclass(frozen=True, slots=True)
class Mods:
    """What to change on one switch, in the order in which a bundle must hold it.

    Meters go first and outside of the bundle (Open vSwitch bundles no meter mods), and so do the zones of which it is
    to forget the connections; then groups are put, flows are put, flows removed, groups removed.
    """

    meters: tuple[Meter, ...] = ()
    zones: tuple[int, ...] = ()
    put_groups: tuple[Group, ...] = ()
    changed_groups: tuple[Group, ...] = ()
    put: tuple[Flow, ...] = ()
    remove: tuple[Flow, ...] = ()
    remove_groups: tuple[int, ...] = ()

    def __len__(self) -> int:
        """How many messages of change this is."""
        return sum(
            map(
                len,
                (
                    self.meters,
                    self.zones,
                    self.put_groups,
                    self.changed_groups,
                    self.put,
                    self.remove,
                    self.remove_groups,
                ),
            )
        )


@dataclass(frozen=True, slots=True)
class Installed:
    """What a switch really holds: our flows (by cookie mark) and how many packets each has met, groups, meters."""

    flows: tuple[tuple[Flow, int], ...]
    groups: tuple[Group, ...]
    meters: tuple[Meter, ...]


@dataclass(frozen=True, slots=True)
class Met:
    """How many packets and bytes flows have met since they were made."""

    packets: int
    bytes: int


class Session(Protocol):
    """One live OpenFlow connection to a switch, as the owner uses it."""

    @property
    def datapath_id(self) -> DatapathId:
        """Whose session this is."""

    def send(self, mods: Mods, ticket: int) -> None:
        """Send as one atomic bundle followed by a barrier; never blocks.

        ``Confirmed(datapath_id, ticket)`` follows when the barrier came back, or ``Rejected`` when the switch
        refused the bundle (then none of it took effect).
        """

    def read(self) -> Installed:
        """Read back flows with our mark, groups and meters; blocks the calling greenlet only.

        :raises TimeoutError: when the switch does not answer within the session's time.
        """

    def count(self) -> int:
        """How many flows with our mark the switch holds (OFPMP_AGGREGATE); blocks the calling greenlet only."""

    def flow_bytes(self, kind: int) -> Mapping[FlowKey, int]:
        """How many bytes our flows of one kind (of cookie) have met; blocks the calling greenlet only.

        :raises TimeoutError: when the switch does not answer within the session's time.
        """

    def met_of(self, cookies: Sequence[int]) -> tuple[Met, ...]:
        """What the flows with each of these cookies have met, in that order; blocks the calling greenlet only.

        :raises TimeoutError: when the switch does not answer within the session's time.
        """

    def port_counters(self) -> tuple[PortCounters, ...]:
        """What every port has carried (OFPMP_PORT_STATS); blocks the calling greenlet only.

        :raises TimeoutError: when the switch does not answer within the session's time.
        """

    def packet_out(self, port: int, data: bytes, sets: tuple[Set, ...] = ()) -> None:
        """Emit one frame from a port, after these fields were set (a tunnel's destination, say)."""

    def packet_through(self, in_port: int, data: bytes, actions: tuple[Action, ...]) -> None:
        """Have one frame go through these actions, which may look it up in a table, as if it had come by a port."""

    def close(self) -> None:
        """End the connection; the switch will call again."""


@dataclass(frozen=True, slots=True)
class SwitchUp:
    """A switch finished its handshake."""

    datapath_id: DatapathId
    session: Session
    ports: tuple[SwitchPort, ...]


@dataclass(frozen=True, slots=True)
class SwitchDown:
    """A session ended.  A newer session of the same switch may already be up, so the session is named."""

    datapath_id: DatapathId
    session: Session


@dataclass(frozen=True, slots=True)
class PortChanged:
    """A port appeared, changed state or vanished (OFPT_PORT_STATUS)."""

    datapath_id: DatapathId
    port: SwitchPort
    gone: bool


@dataclass(frozen=True, slots=True)
class PacketArrived:
    """A switch handed a packet to the controller (OFPT_PACKET_IN).

    :param lane: the number, on a hypervisor, of the port that sent it; 0 where the flows did not say (register 2).
    """

    datapath_id: DatapathId
    in_port: int
    cookie: int
    data: bytes
    lane: int = 0


@dataclass(frozen=True, slots=True)
class MessageConfirmed:
    """The barrier after ``send(…, ticket)`` came back."""

    datapath_id: DatapathId
    ticket: int


@dataclass(frozen=True, slots=True)
class MessageRejected:
    """The switch refused what ``send(…, ticket)`` sent."""

    datapath_id: DatapathId
    ticket: int
    reason: str


@dataclass(frozen=True, slots=True)
class HostReachable:
    """A hypervisor's OVSDB session is up: what is plugged there is known as it happens.  Its snapshot follows."""

    name: HostName


@dataclass(frozen=True, slots=True)
class HostUnreachable:
    """A hypervisor's OVSDB session ended.  Nothing else follows from it: flows, ports and moves stay as they are."""

    name: HostName


class WatchSession(Protocol):
    """One live OVSDB connection to a fabric switch, as the owner uses it."""

    def watch(self, on: frozenset[str], off: frozenset[str]) -> None:
        """Have BFD run on these interfaces and not on those, by name; leave the others alone; never blocks."""


@dataclass(frozen=True, slots=True)
class FabricReachable:
    """A fabric switch's OVSDB session is up: the liveness of its links can be configured.

    ``own`` are interfaces that have BFD or CFM of the operator's own, and are left alone; when they change this is said
    again.
    """

    datapath_id: DatapathId
    session: WatchSession
    own: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FabricUnreachable:
    """A fabric switch's OVSDB session ended; what it was told goes on.  A newer session may already be up."""

    datapath_id: DatapathId
    session: WatchSession


HostEvent: TypeAlias = HostReachable | HostUnreachable
FabricEvent: TypeAlias = FabricReachable | FabricUnreachable
SwitchEvent: TypeAlias = SwitchUp | SwitchDown | PortChanged | PacketArrived | MessageConfirmed | MessageRejected


class Sink(Protocol):
    """Where shells put what they learned; never blocks."""

    def __call__(self, event: object) -> None:
        """Queue one event for the owner."""
