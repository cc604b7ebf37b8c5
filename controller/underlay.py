"""What should each fabric switch hold, and how does the controller learn the fabric?

The acting half of the fabric: a channel per switch, LLDP sent and received, hosts asked for.  What follows from what
was learned is decided in ``controller.fabric``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address
from typing import Final

from controller.channel import Channel, Counted, ReadBack, Spawn
from controller.discovery import Announcer, arp_request, claim
from controller.events import (
    FabricEvent,
    MessageConfirmed,
    MessageRejected,
    PacketArrived,
    PortChanged,
    Session,
    Sink,
    SwitchDown,
    SwitchEvent,
    SwitchUp,
)
from controller.fabric.changes import FabricChange, HostSighted, LinkSeen, SwitchConnected, SwitchDisconnected, Tick
from controller.fabric.graph import Fabric
from controller.fabric.groups import GroupAssignment
from controller.fabric.plan import PortRef
from controller.fabric.probes import probes_wanted
from controller.fabric.program import SwitchProgram, program
from controller.liveness import Liveness
from controller.reconcile import Contents, difference
from overlay.changes import Document
from overlay.refusals import Refusal
from overlay.values import DatapathId, Mac

_LOG: Final = logging.getLogger(__name__)


class Underlay:
    """The fabric's switches.

    :param las: the locator addresses of the hypervisors that joined, asked for while the fabric has not seen them.
    :param lldp_interval: seconds between two announcements from each port.
    :param bfd: whether the ends of links give each other signs of life.
    """

    def __init__(
        self,
        fabric: Fabric,
        announcer: Announcer,
        *,
        las: Callable[[], Iterable[IPv4Address]],
        lldp_interval: float,
        bfd: bool,
        spawn: Spawn,
        sink: Sink,
    ) -> None:
        self.fabric = fabric
        self.channels: dict[DatapathId, Channel] = {}
        self._announcer = announcer
        self._las = las
        self._lldp_interval = lldp_interval
        self._spawn = spawn
        self._sink = sink
        self._programs: dict[DatapathId, SwitchProgram] = {}
        self._documents: list[Document] = []
        self._dirty: set[DatapathId] = set()
        self._next_announcement = 0.0
        self._turn = 0
        self._liveness = Liveness(fabric, enabled=bfd, is_settled=self._is_settled)
        self._ticked = False

    # ── what switches tell ───────────────────────────────────────────────────────────────────────────────────────────

    def take(self, event: SwitchEvent) -> None:
        """Follow a session, a port, a packet."""
        match event:
            case SwitchUp(datapath_id, session, ports):
                self._apply(SwitchConnected(datapath_id, ports))
                self._channel(datapath_id).up(session)
            case SwitchDown(datapath_id, session):
                if datapath_id in self.channels and self.channels[datapath_id].down(session):
                    self._apply(SwitchDisconnected(datapath_id))
            case PortChanged():
                self._apply(event)
            case PacketArrived():
                self._heard(event)
            case MessageConfirmed(datapath_id, ticket):
                self._channel(datapath_id).confirm(ticket)
            case MessageRejected(datapath_id, ticket, reason):
                self._channel(datapath_id).reject(ticket, reason)

    def configurable(self, event: FabricEvent) -> None:
        """Follow which switches can be configured over OVSDB."""
        self._liveness.take(event)

    def checked(self, event: ReadBack | Counted) -> None:
        """Repair what a reading found."""
        channel = self._channel(event.datapath_id)
        if isinstance(event, Counted):
            channel.counted(event)
            return
        if event.installed is not None and event.datapath_id not in self._programs:
            # the groups that a predecessor chose are kept: a restart must not renumber them
            held = GroupAssignment.from_installed((flow for flow, _ in event.installed.flows), event.installed.groups)
            self._programs[event.datapath_id] = program(self.fabric, event.datapath_id, held)
            self._dirty.discard(event.datapath_id)
        channel.read_back(event)

    # ── for the owner ────────────────────────────────────────────────────────────────────────────────────────────────

    def documents(self) -> tuple[Document, ...]:
        """Take what is to be stored since the last time."""
        documents, self._documents = tuple(self._documents), []
        return documents

    def flush(self) -> None:
        """Bring the switches whose program may have changed up to date."""
        dirty, self._dirty = self._dirty, set()
        for datapath_id in sorted(dirty & self._programs.keys()):
            before = self._programs[datapath_id]
            after = program(self.fabric, datapath_id, before.assignment)
            self._programs[datapath_id] = after
            mods = difference(_contents(before), _contents(after))
            if mods:
                self._channel(datapath_id).push(mods)
        if self._ticked:
            self._ticked = False
            self._liveness.refresh()

    def tick(self) -> None:
        """Announce, ask for hosts not seen yet, and give up what was not seen for too long."""
        now = time.monotonic()
        if now >= self._next_announcement:
            self._next_announcement = now + self._lldp_interval
            for datapath_id, channel in self.channels.items():
                if channel.session is not None:
                    self._announce(PortRef(datapath_id, port.number) for port in self.fabric.ports(datapath_id))
            self._ask_for_hosts()
        self._apply(Tick())
        self._ticked = True

    def audit(self, *, thorough: bool) -> None:
        """Ask every switch whether it still holds what it should."""
        for channel in self.channels.values():
            channel.audit(thorough=thorough)

    def doubt(self) -> None:
        """After a failure of ours: compute everything anew and compare every switch."""
        self._dirty |= self.channels.keys()
        self.audit(thorough=True)

    def sessions(self) -> Mapping[DatapathId, Session | None]:
        """List the switches with their present sessions."""
        return {datapath_id: channel.session for datapath_id, channel in self.channels.items()}

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _channel(self, datapath_id: DatapathId) -> Channel:
        channel = self.channels.get(datapath_id)
        if channel is None:
            channel = self.channels[datapath_id] = Channel(
                datapath_id,
                wanted=lambda: self._wanted(datapath_id),
                spawn=self._spawn,
                sink=self._sink,
            )
        return channel

    def _is_settled(self, datapath_id: DatapathId) -> bool:
        channel = self.channels.get(datapath_id)
        return channel is not None and channel.settled

    def _wanted(self, datapath_id: DatapathId) -> Contents:
        return _contents(self._programs[datapath_id])

    def _heard(self, event: PacketArrived) -> None:
        at = PortRef(event.datapath_id, event.in_port)
        source = self._announcer.read(event.data)
        if source is not None:
            self._apply(LinkSeen(source, at))
        elif (said := claim(event.data)) is not None:
            self._apply(HostSighted(said.la, said.mac, at))

    def _apply(self, change: FabricChange) -> None:
        try:
            effect = self.fabric.apply(change, time.monotonic())
        except Refusal as refusal:
            _LOG.warning("%s", refusal.message)
            return
        if effect:
            self._liveness.changed()
        self._documents += effect.documents
        self._dirty |= effect.switches
        if effect.routes:
            self._dirty |= self.fabric.switches.keys()
        self._announce(effect.announce)

    def _announce(self, ports: Iterable[PortRef]) -> None:
        for at in ports:
            port = self.fabric.switches[at.datapath_id].ports[at.port]
            if port.up:
                self._emit(at, self._announcer.announcement(at, Mac.parse(port.hw_addr)))

    def _ask_for_hosts(self) -> None:
        """Ask for hypervisors that joined and were not seen yet, or that two machines claim to be."""
        self._turn += 1
        for probe in probes_wanted(self.fabric, self._las(), turn=self._turn):
            self._emit(probe.at, arp_request(probe.la, probe.gateway, self.fabric.plan.router_mac))

    def _emit(self, at: PortRef, frame: bytes) -> None:
        channel = self.channels.get(at.datapath_id)
        if channel is not None and channel.session is not None:
            channel.session.packet_out(at.port, frame)


def _contents(of: SwitchProgram) -> Contents:
    return Contents(of.flows, of.groups, of.meters)
