"""What should each hypervisor's switch hold, and has it confirmed it?

The acting half of the overlay: a channel per br-int, fed with what the compiler found to have changed.  A br-int is
written to only once its host has told, over OVSDB, what is plugged into it: a restarted controller would otherwise
take away the flows of ports that it has not heard of yet.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Sequence
from typing import Final

from controller.channel import Channel, Counted, ReadBack, Spawn
from controller.events import (
    MessageConfirmed,
    MessageRejected,
    Met,
    Mods,
    PacketArrived,
    PortChanged,
    Session,
    Sink,
    SwitchDown,
    SwitchUp,
)
from controller.reconcile import Contents
from overlay.changes import Confirmed, Event, HostBack, HostHeard, HostLost, HostSilent, Outcome, Sent
from overlay.compile import Compiler, units_of
from overlay.flow import MARK, Resubmit, Set
from overlay.pipeline import GROUPS, PIPELINE
from overlay.tables.names import IN_LANE, NETWORK
from overlay.values import DatapathId, HostName
from overlay.world import World

_MARK_SHIFT: Final = 48
_VLAN: Final = 0x8100
_WARM_SECONDS: Final = 60.0
_WARM_SECONDS_FIRST: Final = 0.5
_WARMER: Final = bytes.fromhex("ffffffffffff 02564c000000 88b5") + bytes(46)
"""A frame of the local experimental EtherType (IEEE 802), of the least length."""


def is_hypervisor(datapath_id: DatapathId) -> bool:
    """Whether a datapath is a br-int (its id, which we gave it, begins with our mark) and not a fabric switch."""
    return datapath_id >> _MARK_SHIFT == MARK


class Hypervisors:
    """The br-ints of all hosts.

    :param lost_after: seconds without a session after which nobody waits for a host's confirmations any more.
    """

    def __init__(self, world: World, *, spawn: Spawn, sink: Sink, lost_after: float) -> None:
        self.world = world
        self.compiler = Compiler(world)
        self.compiler.refresh(units_of(world))
        self.channels: dict[HostName, Channel] = {}
        self._spawn = spawn
        self._sink = sink
        self._lost_after = lost_after
        self._sessions: dict[DatapathId, Session] = {}
        self._told: set[HostName] = set()
        self._names = {host.datapath_id: name for name, host in world.hosts.items()}
        self._down_since: dict[HostName, float] = {name: time.monotonic() for name in world.hosts}
        self._lost: set[HostName] = set()
        self._warm: dict[HostName, tuple[Session, float, float]] = {}

    def channel(self, name: HostName) -> Channel:
        """Give the channel of a host that joined."""
        channel = self.channels.get(name)
        if channel is None:
            channel = self.channels[name] = Channel(
                self.world.hosts[name].datapath_id,
                wanted=lambda: Contents(self.compiler.desired(name).values(), GROUPS, self.compiler.meters(name)),
                spawn=self._spawn,
                sink=self._sink,
            )
        return channel

    def name_of(self, datapath_id: DatapathId) -> HostName | None:
        """Name the host that a br-int belongs to."""
        return self._names.get(datapath_id)

    def told(self, name: HostName) -> None:
        """A host has said what is plugged into it: from now on its switch may be written to."""
        host = self.world.hosts.get(name)
        if host is None:  # its LA clashes with another's
            return
        self._names[host.datapath_id] = name
        self._told.add(name)
        session = self._sessions.get(host.datapath_id)
        if session is None:
            self._down_since.setdefault(name, time.monotonic())
        elif self.channel(name).session is not session:
            self.channel(name).up(session)

    def take(
        self, event: SwitchUp | SwitchDown | PortChanged | MessageConfirmed | MessageRejected
    ) -> tuple[Event, ...]:
        """Follow a session; returns what the world must hear.  (br-int's ports are OVSDB's to tell, not OpenFlow's.)"""
        name = self.name_of(event.datapath_id)
        match event:
            case SwitchUp(datapath_id, session):
                self._sessions[datapath_id] = session
                return () if name is None else self._up(name, session)
            case SwitchDown(datapath_id, session) if self._sessions.get(datapath_id) is session:
                del self._sessions[datapath_id]
                if name is not None:
                    self.channel(name).down(session)
                    self._down_since[name] = time.monotonic()
                    return (HostSilent(name),)
            case MessageConfirmed(_, ticket) if name is not None:
                self.channel(name).confirm(ticket)
                return (Confirmed(name, ticket),)
            case MessageRejected(_, ticket, reason) if name is not None:
                self.channel(name).reject(ticket, reason)
        return ()

    def _up(self, name: HostName, session: Session) -> tuple[Event, ...]:
        self._down_since.pop(name, None)
        if name in self._told:
            self.channel(name).up(session)
        if name not in self._lost:
            return (HostHeard(name),)
        self._lost.discard(name)
        return (HostHeard(name), HostBack(name))

    def checked(self, event: ReadBack | Counted) -> Iterator[Event]:
        """Repair what a reading found; yields a confirmation where there was nothing to repair."""
        name = self.name_of(event.datapath_id)
        if name is None:
            return
        channel = self.channel(name)
        if isinstance(event, Counted):
            channel.counted(event)
        elif channel.read_back(event):
            yield Confirmed(name, channel.sent)

    def refresh(self, outcome: Outcome, *, partly: bool = False) -> tuple[Sent, dict[DatapathId, int]]:
        """Compile what is dirty and send the difference.

        :param partly: whether this is a part of a change, so that what it waits for may be in a part that was sent
            before and is not confirmed yet.
        :returns: what the world must hear of it, and how many messages each switch was sent.
        """
        generations: list[tuple[HostName, int]] = []
        cost: dict[DatapathId, int] = {}
        for name, delta in self.compiler.refresh(outcome.dirty).items():
            if name not in self.world.hosts:
                continue
            channel = self.channel(name)
            mods = Mods(meters=delta.meters, zones=delta.zones, put=delta.put, remove=delta.remove)
            generations.append((name, channel.push(mods)))
            cost[channel.datapath_id] = len(mods)
        if partly:
            others = {wait.host for wait in outcome.waits}.difference(name for name, _ in generations)
            generations += [
                (name, channel.sent)
                for name in sorted(others)
                if (channel := self.channel(name)).confirmed < channel.sent
            ]
        return Sent(outcome.waits, tuple(generations)), cost

    def warm_up(self) -> None:
        """Send a frame through each userspace tunnel now and then, so that its next hop is known when a VM speaks.

        The userspace datapath drops what it would send while it asks for the next hop's address (the tunnel neighbour
        cache of ovs-vswitchd, which forgets after 15 minutes).  The frame carries a VNI that nobody has and ends at
        the other host.
        """
        now = time.monotonic()
        for name, host in self.world.hosts.items():
            session = self._sessions.get(host.datapath_id)
            peer = next((other.la for other in self.world.hosts.values() if other.la != host.la), None)
            if session is None or peer is None or host.tunnel_port is None or not host.answers_nd:
                continue
            warmed, due, pause = self._warm.get(name, (session, 0.0, _WARM_SECONDS_FIRST))
            if warmed is not session:
                due, pause = 0.0, _WARM_SECONDS_FIRST
            if now >= due:
                self._warm[name] = (session, now + pause, min(2 * pause, _WARM_SECONDS))
                session.packet_out(host.tunnel_port, _WARMER, (Set("tunnel_id", 0), Set("tun_ipv4_dst", int(peer))))

    def overdue(self) -> Iterator[Event]:
        """Name hosts that have been without a session for too long, each once."""
        now = time.monotonic()
        for name, since in self._down_since.items():
            if name not in self._lost and now - since > self._lost_after:
                self._lost.add(name)
                yield HostLost(name)

    def speaker(self, event: PacketArrived) -> tuple[HostName, str] | None:
        """Name the host and port that a frame came from: by its lane, since it has lost the tag of its VLAN."""
        name = self.name_of(event.datapath_id)
        if name is None:
            return None
        port_id = self.world.port_in_lane(name, event.lane or event.in_port)
        return None if port_id is None else (name, port_id)

    def tell(self, host: HostName, port_id: str, frame: bytes) -> None:
        """Hand a frame to the machine of a port, past all tables; to nobody where it is not plugged or not reached."""
        tap = self.world.footing(port_id).tap_at(host)
        known = self.world.hosts.get(host)
        session = None if known is None else self._sessions.get(known.datapath_id)
        if tap is None or session is None:
            return
        if tap.vid:
            frame = frame[:12] + struct.pack("!HH", _VLAN, tap.vid) + frame[12:]
        session.packet_out(tap.ofport, frame)

    def go_on(self, host: HostName, port_id: str, frame: bytes) -> None:
        """Let a frame that its port has sent go on its way, past what the network answers itself."""
        tap = self.world.footing(port_id).tap_at(host)
        known = self.world.hosts.get(host)
        session = None if known is None else self._sessions.get(known.datapath_id)
        if tap is None or session is None:
            return
        vni = self.world.networks[self.world.ports[port_id].network_id].vni
        whose = (Set(NETWORK, vni), Set(IN_LANE, tap.lane))
        session.packet_through(tap.ofport, frame, (*whose, Resubmit(PIPELINE["sender"].id)))

    def audit(self, *, thorough: bool) -> None:
        """Ask every switch whether it still holds what it should."""
        for channel in self.channels.values():
            channel.audit(thorough=thorough)

    def doubt(self) -> None:
        """After a failure of ours: compile everything anew and compare every switch."""
        self.compiler = Compiler(self.world)
        self.compiler.refresh(units_of(self.world))
        self.audit(thorough=True)

    def met_at(self, name: HostName, cookies: Sequence[int]) -> tuple[Met, ...]:
        """Ask a host's switch what its flows with each of these cookies have met; blocks the calling greenlet only.

        :raises TimeoutError: when it does not answer, or has no session.
        """
        host = self.world.hosts.get(name)
        session = None if host is None else self._sessions.get(host.datapath_id)
        if session is None:
            raise TimeoutError(f"the switch of host {name} has no session")
        return session.met_of(cookies)

    def is_connected(self, name: HostName) -> bool:
        """Whether the host's br-int has a session."""
        host = self.world.hosts.get(name)
        return host is not None and host.datapath_id in self._sessions
