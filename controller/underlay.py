"""What should each fabric switch hold, and how does the controller learn the fabric?

The acting half of the fabric: a channel per switch, LLDP sent and received, hosts asked for.  What follows from what
was learned is decided in ``controller.fabric``.

Deciding for a thousand switches takes seconds, in which ports fail and people ask; so it is done in slices, and other
events are taken between them.  What a slice has found stays right, since a change says of which switches it does not.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from controller.channel import Channel, Counted, ReadBack, Spawn
from controller.counting import UNWATCHED, Counting, PortsCounted, Watch
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
from controller.fabric.changes import (
    Effect,
    FabricChange,
    HostSighted,
    LinkSeen,
    Order,
    PolicyChosen,
    SwitchConnected,
    SwitchDisconnected,
    Tick,
)
from controller.fabric.elephants import Ports, check_policy
from controller.fabric.graph import Fabric
from controller.fabric.groups import GroupAssignment
from controller.fabric.load import shares
from controller.fabric.plan import PortRef
from controller.fabric.preview import Preview, previews
from controller.fabric.probes import probes_wanted
from controller.fabric.program import SwitchProgram, program
from controller.fabric.rollout import Stage, planning
from controller.fabric.routes import Link, NextHops
from controller.fabric.targets import Desired, Target, TargetKind, desired, ranks
from controller.green import HOLD
from controller.herding import BinsCounted, Herding
from controller.liveness import Liveness
from controller.reconcile import Contents, difference
from controller.rollout import Rollout
from overlay.changes import Document
from overlay.refusals import Refusal
from overlay.values import DatapathId, Mac

_LOG: Final = logging.getLogger(__name__)
_PIECE: Final = 16
"""Towards how many edge switches distances are computed in one go: 3 ms among 1,280 switches."""
DECIDED_AFTER: Final = 2.0
"""Seconds after which a plan that changes have thrown back is made in one go, or they might keep it back for ever."""


@dataclass(frozen=True, slots=True)
class Onward:
    """Not all that is to be done for the fabric was done yet."""


class Underlay:
    """The fabric's switches.

    :param las: the locator addresses of the hypervisors that joined, asked for while the fabric has not seen them.
    :param lldp_interval: seconds between two announcements from each port.
    :param watch: how the load of its links is watched.
    :param bfd: whether the ends of links give each other signs of life.
    :param hold: seconds after which :meth:`flush` leaves the rest for later.
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
        watch: Watch = UNWATCHED,
        hold: float = HOLD,
    ) -> None:
        self.fabric = fabric
        self.channels: dict[DatapathId, Channel] = {}
        self.watch = watch
        self.counting = Counting(interval=watch.interval, spawn=spawn, sink=sink)
        self.herding = Herding(
            fabric,
            self.counting.load,
            rule=watch.elephants,
            usual_mbps=watch.capacity_mbps,
            next_hops=self._next_hops,
            spawn=spawn,
            sink=sink,
        )
        self._announcer = announcer
        self._las = las
        self._lldp_interval = lldp_interval
        self._spawn = spawn
        self._sink = sink
        self._programs: dict[DatapathId, SwitchProgram] = {}
        self._held: dict[DatapathId, Desired] = {}
        """The routes in each program."""
        self._rollout = Rollout(self._owes)
        self._documents: list[Document] = []
        self._hold = hold
        self._surveyed = False
        """Whether the distances to all edge switches are known."""
        self._dirty: set[DatapathId] = set()
        """Whose program may have to change."""
        self._found: dict[DatapathId, Desired] = {}
        """The routes that switches are to have in the end, of the plan in the making."""
        self._planning: Iterator[tuple[Stage, ...] | None] | None = None
        self._touched: set[DatapathId] = set()
        """Whose program may have to change whatever the plan will say."""
        self._decide_by = 0.0
        self._due: dict[DatapathId, Desired | None] = {}
        """Who is to be sent something now; None is for the routes that they hold already."""
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
            herd = self.herding.of(event.datapath_id)
            self._programs[event.datapath_id] = program(self.fabric, event.datapath_id, held, herd=herd)
            self._held[event.datapath_id] = desired(self.fabric, event.datapath_id)
            self._dirty.discard(event.datapath_id)
        channel.read_back(event)

    def watched(self, event: PortsCounted | BinsCounted) -> None:
        """Follow what a switch has counted."""
        if isinstance(event, PortsCounted):
            self.counting.counted(event)
        elif self.herding.counted(event):
            self._dirty.add(event.datapath_id)

    # ── what the operator says ───────────────────────────────────────────────────────────────────────────────────────

    def order(self, order: Order) -> None:
        """Carry out what the operator says.

        :raises Refusal: when it cannot be; then nothing changed.
        """
        self._check(order)
        self._follow(self.fabric.apply(order, time.monotonic()))
        for gone in self._programs.keys() - self.fabric.switches.keys():
            del self._programs[gone], self._held[gone], self.channels[gone]
            self._found.pop(gone, None)
            self._due.pop(gone, None)
            self._touched.discard(gone)

    def preview(self, order: Order) -> tuple[Preview, ...]:
        """Say what an order would change, and change nothing.

        :raises Refusal: when it could not be.
        """
        self._check(order)
        twin = self.fabric.twin(time.monotonic())
        twin.apply(order, time.monotonic())
        return previews(self._programs, self._held, twin)

    def _check(self, order: Order) -> None:
        if self.watch.elephants is not None and isinstance(order, PolicyChosen):
            check_policy(order.name)

    @property
    def rolling(self) -> bool:
        """Whether an update is under way: some switch has not confirmed it, or has not been sent it."""
        return self._busy or any(map(self._owes, self.channels))

    @property
    def _busy(self) -> bool:
        """Whether anything is still to be decided or sent."""
        return bool(self._rollout or self._dirty or self._found or self._due)

    def carries(self, datapath_id: DatapathId) -> bool:
        """Whether any other switch sends packets through this one that are not for hosts behind it."""
        return any(
            self._far(switch, hop.port) == datapath_id
            for switch, routes in self._held.items()
            for target, hops in routes.items()
            if not self._ends_at(target, datapath_id)
            for hop in hops
        )

    def drained(self, datapath_id: DatapathId) -> bool:
        """Whether all other switches have confirmed that they send nothing through this one."""
        return self._unanimous(but={datapath_id}) and not self.carries(datapath_id)

    def drained_link(self, link: Link) -> bool:
        """Whether both ends of a link have confirmed that they send nothing over it."""
        ends = {end.datapath_id for end in link}
        return self._unanimous() and not any(
            PortRef(switch, hop.port) in link
            for switch in ends & self._held.keys()
            for hops in self._held[switch].values()
            for hop in hops
        )

    def _unanimous(self, *, but: Collection[DatapathId] = ()) -> bool:
        """Whether every switch that has a link has confirmed its share of all that was ever decided."""
        if self._busy:
            return False
        having = (switch for switch, degree in self.fabric.graph.degree() if degree and switch not in but)
        return all(
            switch in self._programs and self.channels[switch].confirmed == self.channels[switch].sent
            for switch in having
        )

    def _ends_at(self, target: Target, datapath_id: DatapathId) -> bool:
        return target.kind is not TargetKind.TAG and self.fabric.located.get(target.prefix) == datapath_id

    # ── for the owner ────────────────────────────────────────────────────────────────────────────────────────────────

    def documents(self) -> tuple[Document, ...]:
        """Take what is to be stored since the last time."""
        documents, self._documents = tuple(self._documents), []
        return documents

    def flush(self) -> None:
        """Bring the switches whose program may have changed up to date, in the order that loses and loops nothing.

        Where that takes long, some of it is done, and an :class:`Onward` comes through the sink.
        """
        until = time.monotonic() + self._hold
        if not (self._survey(until) and self._decide(until) and self._deliver(until)):
            self._spawn(lambda: self._sink(Onward()))
        if self._ticked:
            self._ticked = False
            self._liveness.refresh()

    def _decide(self, until: float) -> bool:
        """Find the routes that switches are to have, and plan how they get them; returns whether that is done."""
        self._dirty &= self._programs.keys()  # all others are compiled when they were read
        if not (self._dirty or self._found):
            return True
        if not self._found:
            self._decide_by = time.monotonic() + DECIDED_AFTER
        elif self._dirty & self._found.keys() and time.monotonic() > self._decide_by:
            until = math.inf
        self._touched |= self._dirty
        return self._collect(until) and self._plan(until)

    def _survey(self, until: float) -> bool:
        """Measure the distances to all edge switches; returns whether that is done."""
        if self._surveyed:
            return True
        edges = sorted(self.fabric.edges)
        for first in range(0, len(edges), _PIECE):
            if self.fabric.routes.ask(edges[first : first + _PIECE]) and time.monotonic() >= until:
                return False
        self._surveyed = True
        return True

    def _collect(self, until: float) -> bool:
        """Find the routes that switches are to have; returns whether that is done."""
        planned = (self._rollout.pending | self._due.keys()) & self._programs.keys()
        ahead = sorted(self._dirty | (planned - self._found.keys()))
        for switch in ahead:
            self._planning = None
            self._found[switch] = desired(self.fabric, switch)
            self._dirty.discard(switch)
            if switch != ahead[-1] and time.monotonic() >= until:
                return False
        return True

    def _plan(self, until: float) -> bool:
        """Plan how switches get the routes that were found; returns whether that is done."""
        if self._planning is None:
            self._planning = planning(self._held, self._found, rank=ranks(self.fabric), far=self._far)
        while (plan := next(self._planning)) is None:
            if time.monotonic() >= until:
                return False
        self._planning, self._found = None, {}
        self._rollout.follow(plan)
        self._due = {**dict.fromkeys(sorted(self._touched | self._due.keys())), **self._rollout.due(time.monotonic())}
        self._touched = set()
        return True

    def _deliver(self, until: float) -> bool:
        """Send what is due; returns whether all of it was sent."""
        if not self._due:
            self._due |= self._rollout.due(time.monotonic())
        while self._due:
            switch = next(iter(self._due))
            self._send(switch, self._due.pop(switch))
            if self._due and time.monotonic() >= until:
                return False
        return True

    def _owes(self, switch: DatapathId) -> bool:
        """Whether a switch that can be reached has not confirmed what it was sent."""
        channel = self.channels.get(switch)
        lively = channel is not None and channel.session is not None and self.fabric.graph.degree(switch) > 0
        return lively and not (channel is not None and channel.settled)

    def _far(self, switch: DatapathId, port: int) -> DatapathId | None:
        there = self.fabric.peer(PortRef(switch, port))
        return None if there is None else there.datapath_id

    def _send(self, switch: DatapathId, routes: Desired | None) -> None:
        """Send a switch what differs from what it was sent."""
        if switch not in self._programs:
            return  # forgotten since
        before = self._programs[switch]
        if routes is not None:
            self._held[switch] = routes
        after = program(self.fabric, switch, before.assignment, self._held[switch], herd=self.herding.of(switch))
        self._programs[switch] = after
        mods = difference(_contents(before), _contents(after))
        if mods:
            self._channel(switch).push(mods)

    def tick(self) -> None:
        """Announce, ask for hosts not seen yet, and give up what was not seen for too long."""
        now = time.monotonic()
        if now >= self._next_announcement:
            self._next_announcement = now + self._lldp_interval
            for datapath_id, channel in self.channels.items():
                if channel.session is not None:
                    self._announce(PortRef(datapath_id, port.number) for port in self.fabric.ports(datapath_id))
            self._ask_for_hosts()
        self.counting.tick(self.sessions(), now)
        self._dirty |= self.herding.tick(self.sessions(), now)
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

    def next_hop_sets(self) -> Mapping[DatapathId, Collection[NextHops]]:
        """List the sets of next hops among which each switch chooses."""
        return {datapath_id: made.assignment.hops_of.values() for datapath_id, made in sorted(self._programs.items())}

    def _next_hops(self, datapath_id: DatapathId) -> Mapping[IPv4Network, Ports]:
        routes = self._held.get(datapath_id, {})
        return {to.prefix: tuple(sorted(shares(hops))) for to, hops in routes.items() if to.kind is TargetKind.PREFIX}

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
        self._follow(effect)

    def _follow(self, effect: Effect) -> None:
        if effect:
            self._planning = None  # it was for the fabric as it was
            self._liveness.changed()
        self._documents += effect.documents
        self._dirty |= effect.switches
        if effect.routes:
            self._surveyed = False
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
