"""How does the owner answer what people ask?

The owner's side of :class:`controller.service.Service`: intents go into its queue, questions are answered from what it
holds, as frozen views.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Sequence
from typing import Final

from controller import framework
from controller.bulk import Creation
from controller.bulletin import Bulletin
from controller.channel import Channel
from controller.fabric.elephants import BIN_MASK
from controller.fabric.load import MBIT, LinkLoad, balances, link_loads
from controller.fabric.paths import paths as fabric_paths
from controller.fabric_desk import FabricDesk
from controller.guests import ASKED
from controller.identity.roster import Enrolment, Roster
from controller.openflow.tally import Tally
from controller.ovsdb.server import HostsServer
from controller.owner import Owner
from controller.service import NotConfirmed
from controller.views import (
    BalanceView,
    ClashView,
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
    PrefixView,
    QuestionsView,
    SwitchCounters,
    TopologyView,
)
from controller.webhooks import Webhook
from overlay.changes import Intent, Outcome
from overlay.moves import SWITCHING, Move, Phase
from overlay.refusals import Conflict, NotFound
from overlay.tables.names import CookieKind
from overlay.values import DatapathId, HostName, IpAddress, Mac, PortStatus, Vni
from overlay.world import World

_SAFE: Final = frozenset({Phase.REPOINTING, Phase.GRACE, Phase.SETTLED})
"""From here on nothing that is sent to the machine ends where it was.

A barrier says that a switch's tables are right, and Open vSwitch brings the cache of its datapath after them a moment
later (its revalidators, ovs-vswitchd(8)).  That moment passes while the answer travels and the machine is told to stop:
QEMU takes 1.6 ms from that order to STOP.  bench/migration.py counts what is lost if it does not pass.
"""
_FAILED: Final = frozenset({Phase.CANCELLED, Phase.FAILED})


class Desk(FabricDesk):
    """Answers for one owner.

    :param version: of the product.
    :param webhooks: of which the operator has to know what is wrong with them.
    """

    def __init__(
        self, owner: Owner, hosts: HostsServer, tally: Tally, *, version: str, webhooks: Sequence[Webhook] = ()
    ) -> None:
        super().__init__(owner, hosts)
        self._tally = tally
        self._version = version
        self._webhooks = webhooks
        self._started_at = time.time()

    @property
    def world(self) -> World:
        """The world, for its queries only."""
        return self._owner.world

    @property
    def roster(self) -> Roster:
        """Who may call, for its questions only."""
        return self._owner.roster

    @property
    def bulletin(self) -> Bulletin:
        """What has just happened."""
        return self._owner.bulletin

    def enrol(self, change: Enrolment) -> None:
        """Make a project or a token, or take it away."""
        self._owner.enrol(change)

    def submit(self, intent: Intent) -> Outcome:
        """Apply one intent and store what came of it (see :class:`controller.service.Service`)."""
        return self._owner.submit(intent)

    def submit_all(self, creations: Sequence[Creation]) -> Outcome:
        """Make several objects, all or none."""
        return self._owner.submit_all(creations)

    @property
    def unfinished(self) -> Container[str]:
        """The ids of objects that are being made by bulk creations."""
        return self._owner.unfinished

    @property
    def switching(self) -> bool:
        """Whether a machine is just being moved over."""
        return self._owner.switching

    def port_status(self, port_id: str) -> PortStatus:
        """Whether every switch that needs the port has it."""
        return self.world.status(port_id)

    def await_move(self, port_id: str, host: HostName, timeout: float) -> None:
        """Wait until the machine may stop at the source: that turns round what it gets, the target lets it send.

        The other hosts are repointed meanwhile.
        """
        deadline = time.monotonic() + timeout
        while True:
            move = self.world.move_of(port_id)
            if move is None or move.target != host:
                if self.world.port(port_id).host == host:
                    return
                raise Conflict(f"host: the port does not move to {host} any more", field="host")
            if move.phase in _SAFE:
                return
            if move.phase in _FAILED:
                raise Conflict(f"host: the move to {host} was given up: {move.reason}", field="host")
            left = deadline - time.monotonic()
            if left <= 0:
                raise NotConfirmed(
                    f"host: the move to {host} is under way ({move.phase}), but not every switch confirmed it in time",
                    field="host",
                )
            self._owner.watch(left)

    def locate(self, asked: Sequence[tuple[Vni | str, Mac | IpAddress]]) -> tuple[LocationView | None, ...]:
        """Ask the directory for addresses, each in a network given by its VNI or its id."""
        found = locations(self.world, asked)
        return tuple(None if each is None or each.port_id in self.unfinished else each for each in found)

    def drops(self, port_id: str) -> tuple[DropView, ...]:
        """Ask the switches where a port is plugged what they have dropped there, by reason."""
        return self._owner.drops.of(port_id)

    def topology(self) -> TopologyView:
        """The fabric as it is known now."""
        fabric = self._owner.underlay.fabric
        names = {host.la: name for name, host in self.world.hosts.items()}
        links = fabric.links()
        usable = {(link.a, link.b) for link in links} | {(link.b, link.a) for link in links}
        return TopologyView(
            switches=self.switches(),
            links=tuple(
                LinkView(
                    *known.source, *known.target, usable=(known.source, known.target) in usable, assumed=known.assumed
                )
                for known in sorted(fabric.cables, key=lambda known: known.source)
            ),
            edge_ports=tuple(
                EdgePortView(datapath_id, port.number)
                for datapath_id in sorted(fabric.switches)
                for port in fabric.edge_ports(datapath_id)
            ),
            locators=tuple(
                LocatorView(la, *seen.at, seen.mac, names.get(la), assumed=la in fabric.assumed)
                for la, seen in sorted(fabric.sightings.items())
            ),
            prefixes=tuple(PrefixView(prefix, datapath_id) for prefix, datapath_id in sorted(fabric.located.items())),
        )

    def load(self) -> LoadView:
        """What the fabric's links carry."""
        underlay = self._owner.underlay
        counting = underlay.counting
        epoch = time.time() - time.monotonic()
        return LoadView(
            counting.interval,
            tuple(
                _link_load_view(each, epoch)
                for each in link_loads(underlay.fabric, counting.load, underlay.watch.capacity_mbps)
            ),
            tuple(
                BalanceView(each.datapath_id, each.ports, each.fairness, each.peak)
                for each in balances(underlay.next_hop_sets(), counting.load)
            ),
            tuple(
                ElephantView(switch, each.prefix, each.value, BIN_MASK, pin.port)
                for switch, herd in sorted(underlay.herding.herds.items())
                for each, pin in sorted(herd.pins.items())
            ),
        )

    def paths(self, source: str, target: str) -> PathsView:
        """List the ways from one port or hypervisor to another."""
        start, end = self._end(source, "from"), self._end(target, "to")
        if start.host == end.host:
            return PathsView(start, end, ((),))
        try:
            found = fabric_paths(self._owner.underlay.fabric, start.la, end.la)
        except NotFound as missing:
            raise Conflict(missing.message, field=missing.field, kind=missing.kind) from missing
        if not found.paths:
            raise Conflict(f"to: no route leads from {start.host} to {end.host} at present", field="to")
        return PathsView(
            start, end, tuple(tuple(HopView(*step) for step in path) for path in found.paths), found.truncated
        )

    def hosts(self) -> tuple[HostView, ...]:
        """All hypervisors that ever joined, by name."""
        problems = {status.name: status.problems for status in self._hosts.hosts()}
        return tuple(
            HostView(
                name,
                host.la,
                host.datapath_id,
                connected=self._owner.hypervisors.is_connected(name),
                tunnel_port=host.tunnel_port,
                kind=host.kind,
                ports=len(self.world.ports_on_host(name)),
                problems=problems.get(name, ()),
                evacuation=self.world.evacuation(name)[2] if self.world.is_evacuated(name) else None,
            )
            for name, host in sorted(self.world.hosts.items())
        )

    def moves(self) -> tuple[MoveView, ...]:
        """Moves under way and the latest finished ones, oldest first."""
        return tuple(self._move_view(move) for move in self.world.moves())

    def move(self, move_id: str) -> MoveView:
        """Give one move."""
        move = self.world.move(move_id)
        if move is None:
            raise NotFound(f"id: there is no move {move_id}", field="id", kind="MoveNotFound")
        return self._move_view(move)

    def multicast(self) -> MulticastView:
        """What machines listen to."""
        owner, world = self._owner, self.world
        return MulticastView(
            groups=sum(len(world.multicast_groups(network_id)) for network_id in world.multicast_networks()),
            memberships=world.membership_count,
            refused=world.refusal_count,
            reports=owner.questions.tallies[CookieKind.ASKED_GROUPS].heard,
            unsound=owner.questions.tallies[CookieKind.ASKED_GROUPS].unsound,
            asked=owner.querier.asked,
        )

    def health(self) -> HealthView:
        """How the controller is doing."""
        fabric, hypervisors = self._owner.underlay, self._owner.hypervisors
        switches = (
            *(self._counters(channel, "fabric") for channel in fabric.channels.values()),
            *(self._counters(channel, "host") for channel in hypervisors.channels.values()),
        )
        problems = [f"switch {datapath_id} refuses: {why}" for datapath_id, why in self._refusals()]
        problems += [
            f"LA {clash.holder.la} of {clash.holder.mac} is claimed by {clash.contender.mac} at switch"
            f" {clash.contender.at.datapath_id} port {clash.contender.at.port}"
            for clash in fabric.fabric.clashes
        ]
        problems += self.miscabled()
        problems += [f"OVSDB caller {caller}: {problem}" for caller, problem in self._hosts.strangers()]
        problems += [hook.problem for hook in self._webhooks if hook.problem]
        if self._owner.stuck:
            problems.append("the store fails: changes wait for it, see the log")
        if self._owner.failures:
            problems.append(f"{self._owner.failures} internal failures, see the log")
        return HealthView(
            ready=True,
            framework=framework.NAME,
            version=self._version,
            started_at=self._started_at,
            switches=switches,
            hosts=len(self.world.hosts),
            hosts_connected=sum(hypervisors.is_connected(name) for name in self.world.hosts),
            pending=sum(not channel.settled for channel in (*fabric.channels.values(), *hypervisors.channels.values())),
            failures=self._owner.failures,
            clashes=tuple(ClashView(clash.host, clash.la, clash.holder) for clash in self.world.clashes),
            problems=tuple(problems),
            questions=tuple(
                QuestionsView(ASKED[kind], tally.asked, tally.answered, tally.unsound, tally.dropped, tally.failed)
                for kind, tally in self._owner.questions.tallies.items()
            ),
        )

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _end(self, name: str, field: str) -> PathEnd:
        port = self.world.ports.get(name)
        if port is not None:
            if port.host is None:
                raise Conflict(f"{field}: port {name} is not bound to a hypervisor", field=field)
            return PathEnd(port.host, self.world.hosts[port.host].la, port.id)
        host = self.world.hosts.get(HostName(name))
        if host is None:
            raise NotFound(f"{field}: there is neither a port nor a hypervisor {name!r}", field=field)
        return PathEnd(host.name, host.la)

    def _move_view(self, move: Move) -> MoveView:
        cost = self._owner.journal.of(move.id)
        return move_view(move, cost.flow_mods, cost.switches)

    def _counters(self, channel: Channel, kind: str) -> SwitchCounters:
        tally = self._tally.per_datapath[channel.datapath_id]
        return SwitchCounters(
            channel.datapath_id,
            "fabric" if kind == "fabric" else "host",
            channel.session is not None,
            tally.flow_mods,
            tally.group_mods,
            len(channel.refusals),
        )

    def _refusals(self) -> list[tuple[DatapathId, str]]:
        channels = (*self._owner.underlay.channels.values(), *self._owner.hypervisors.channels.values())
        return [(channel.datapath_id, channel.refusals[-1]) for channel in channels if channel.refusals]


def move_view(move: Move, flow_mods: int, switches: Iterable[DatapathId]) -> MoveView:
    """Show a move with its cost."""
    # A move may be ready several times; what counts is the last time.
    entered = dict(move.timeline)
    began = next((at for phase, at in move.timeline if phase in SWITCHING), None)
    ends = (*(at for _, at in move.timeline[1:]), None)
    return MoveView(
        move.id,
        move.port_id,
        move.source,
        move.target,
        move.phase,
        move.trigger,
        tuple(MoveStep(phase, at, _ms(at, end)) for (phase, at), end in zip(move.timeline, ends, strict=True)),
        flow_mods,
        tuple(sorted(switches)),
        activated_in_ms=_ms(began, entered.get(Phase.GRACE)),
        ready_in_ms=_ms(move.begun, entered.get(Phase.READY)),
        total_ms=None if move.live else _ms(move.begun, move.since),
        activation=move.activation or "",
        reason=move.reason,
    )


def _ms(began: float | None, ended: float | None) -> float | None:
    return None if began is None or ended is None else (ended - began) * 1000


def _link_load_view(load: LinkLoad, epoch: float) -> LinkLoadView:
    rate, reading = load.rate, load.reading
    counters = None if reading is None else reading.counters
    return LinkLoadView(
        *load.source,
        *load.target,
        bits_per_second=None if rate is None else rate.bits,
        packets_per_second=None if rate is None else rate.packets,
        drops_per_second=None if rate is None else rate.drops,
        capacity_mbps=None if load.capacity is None else load.capacity / MBIT,
        utilisation=load.utilisation,
        bytes=None if counters is None else counters.tx_bytes,
        packets=None if counters is None else counters.tx_packets,
        drops=None if counters is None else counters.tx_dropped,
        measured_at=None if reading is None else epoch + reading.at,
    )


def locations(world: World, asked: Sequence[tuple[Vni | str, Mac | IpAddress]]) -> tuple[LocationView | None, ...]:
    """What the directory says of each of these addresses."""
    found: list[LocationView | None] = []
    for network, address in asked:
        if isinstance(network, Vni):
            vni = network
        elif network in world.networks:
            vni = world.networks[network].vni
        else:
            found.append(None)
            continue
        location = world.locate(vni, address)
        found.append(None if location is None else LocationView(*location))
    return tuple(found)
