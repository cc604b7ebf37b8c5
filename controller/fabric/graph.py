"""What does the fabric look like now, and what changes when a port, a link or a host does?

A mutable index of frozen values round a networkx graph.  :meth:`Fabric.apply` is the only way that it changes; it
answers with what the change touched and what to store, so that a restarted controller starts from what it knew and
finds nothing to send.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Final, assert_never

from controller.events import PortChanged, SwitchPort
from controller.fabric import documents
from controller.fabric.cables import Observation
from controller.fabric.changes import (
    Effect,
    FabricChange,
    HostSighted,
    LinkSeen,
    LinkTuned,
    Order,
    PolicyChosen,
    SwitchConnected,
    SwitchDisconnected,
    SwitchForgotten,
    SwitchMaintained,
    Tick,
)
from controller.fabric.flaps import Damping
from controller.fabric.plan import LaPlan, PortRef, Sighting
from controller.fabric.policies import NO_STEERING, PATHS_MAX, POLICIES, Policy, Steering, policy_named
from controller.fabric.routes import Link
from controller.fabric.routing import Routes
from controller.fabric.sightings import Clash, Sightings
from controller.fabric.upkeep import UNTUNED, Tuning, cut_off
from controller.fabric.wiring import RESERVED_PORTS, Switch, Wiring
from overlay.changes import Document
from overlay.refusals import Conflict, Invalid, NotFound
from overlay.values import DatapathId

_NOTHING: Final = Effect()

_PATHS: Final = 2


@dataclass(slots=True)
class _Touched:
    """What one change has touched so far."""

    routes: bool = False
    switches: set[DatapathId] = field(default_factory=set)
    cables: set[PortRef] = field(default_factory=set)
    wiring: set[DatapathId] = field(default_factory=set)
    documents: list[Document] = field(default_factory=list)
    announce: set[PortRef] = field(default_factory=set)


class Fabric(Wiring):
    """The physical network as the controller knows it.

    :param hold: seconds after which a link that was not seen, or a host that does not answer, is given up.
    :param policy: how ways are chosen, until the operator chooses.
    :param paths: over how many paths ``disjoint`` spreads.
    :param damping: of links that come and go; None for none.
    """

    def __init__(
        self,
        plan: LaPlan,
        *,
        hold: float = 15.0,
        policy: Policy = POLICIES["ecmp"],
        paths: int = _PATHS,
        damping: Damping | None = None,
    ) -> None:
        super().__init__(damping)
        self.plan = plan
        self.policy = policy
        self.paths = paths
        self.routes = Routes(self.graph, policy.hops)
        """The next hops over the graph as it is."""
        self._hold = hold
        self._damping = damping
        self._sightings = Sightings(plan)
        self._steering: Steering | None = NO_STEERING

    @classmethod
    def restore(
        cls,
        stored: Iterable[Document],
        plan: LaPlan,
        now: float,
        *,
        hold: float = 15.0,
        policy: Policy = POLICIES["ecmp"],
        paths: int = _PATHS,
        damping: Damping | None = None,
        damped: Iterable[Link] = (),
    ) -> Fabric:
        """Build the fabric that wrote these documents; its links and hosts are assumed until they are seen again.

        :param damped: links that are known to have come and gone too often.
        """
        fabric = cls(plan, hold=hold, policy=policy, paths=paths, damping=damping)
        fabric._flaps.damped.update(damped)
        hosts: list[Sighting] = []
        for document in stored:
            match documents.read(document):
                case (datapath_id, ports):
                    fabric.switches[datapath_id] = Switch(datapath_id, {port.number: port for port in ports})
                case Observation() as observation:
                    fabric.cables.put(replace(observation, seen=now, assumed=True))
                case Sighting() as sighting:
                    hosts.append(sighting)
                case SwitchMaintained(datapath_id):
                    fabric.upkeep.switches.add(datapath_id)
                case documents.TunedLink(link, tuning):
                    fabric.upkeep.links[link] = tuning
                case PolicyChosen(name, paths):
                    fabric._follow(policy_named(name), paths)
        for sighting in hosts:
            if plan.admits(sighting.la, sighting.mac):
                fabric._sightings.put(sighting, now, assumed=True)
        fabric.graph.add_nodes_from(fabric.switches)
        fabric.routes.update(fabric._rewire(fabric.switches, now))
        fabric._steering = None
        return fabric

    def twin(self, now: float) -> Fabric:
        """Make a fabric that knows the same, to try a change on."""
        twin = Fabric.restore(
            self.documents(),
            self.plan,
            now,
            hold=self._hold,
            policy=self.policy,
            paths=self.paths,
            damping=self._damping,
            damped=self.damped,
        )
        twin.switches.update(self.switches)  # their sessions are in no document
        return twin

    def documents(self) -> tuple[Document, ...]:
        """Write down everything from which a fabric can be restored."""
        return (
            documents.of_policy(self.policy.name, self.paths),
            *(documents.of_switch(switch.datapath_id, switch.ports.values()) for switch in self.switches.values()),
            *(documents.of_link(known) for known in self.cables),
            *(documents.of_sighting(sighting) for sighting in self.sightings.values()),
            *(documents.of_maintenance(datapath_id, on=True) for datapath_id in self.upkeep.switches),
            *(documents.of_tuning(link, tuning) for link, tuning in self.upkeep.links.items()),
        )

    # ── what is known ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def sightings(self) -> Mapping[IPv4Address, Sighting]:
        """Where each LA is."""
        return self._sightings.by_la

    @property
    def assumed(self) -> frozenset[IPv4Address]:
        """The LAs that were not seen since a restart."""
        return frozenset(self._sightings.assumed)

    @property
    def located(self) -> Mapping[IPv4Network, DatapathId]:
        """Which edge switch each prefix, and each /32 that is an exception from it, is routed to."""
        return self._sightings.located

    @property
    def clashes(self) -> tuple[Clash, ...]:
        """The LAs that two hosts claim."""
        return tuple(self._sightings.clashes.values())

    @property
    def edges(self) -> frozenset[DatapathId]:
        """The switches that prefixes are routed to."""
        return frozenset(self.located.values())

    @property
    def steering(self) -> Steering:
        """What happens to packets where they enter the fabric."""
        if self._steering is None:
            steer = self.policy.steer
            self._steering = NO_STEERING if steer is None else steer(self.graph, self.edges, self.paths)
        return self._steering

    def hosts_at(self, datapath_id: DatapathId) -> Mapping[IPv4Address, Sighting]:
        """Give the hosts behind one switch."""
        return self._sightings.at(datapath_id)

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, change: FabricChange, now: float) -> Effect:
        """Let one change happen.

        :param now: seconds of a clock that only goes forward.
        :raises NotFound: for a switch or link of which nothing is known.
        :raises Invalid: for a policy, weight or capacity that cannot be.
        :raises Conflict: when a switch is to be forgotten that is connected, or hosts would be cut off.
        """
        match change:
            case SwitchConnected():
                return self._connected(change, now)
            case SwitchDisconnected(datapath_id):
                if datapath_id in self.switches:
                    self.switches[datapath_id] = replace(self.switches[datapath_id], connected_since=None)
                return _NOTHING
            case PortChanged():
                return self._port_changed(change, now)
            case LinkSeen():
                return self._link_seen(change, now)
            case HostSighted():
                return self._host_sighted(change, now)
            case Tick():
                return self._tick(now)
            case _:
                return self._ordered(change, now)

    def _ordered(self, order: Order, now: float) -> Effect:
        match order:
            case SwitchForgotten(datapath_id):
                return self._forgotten(datapath_id, now)
            case PolicyChosen(name, paths):
                return self._policy_chosen(name, paths)
            case SwitchMaintained():
                return self._maintained(order, now)
            case LinkTuned():
                return self._tuned(order, now)
            case _:
                assert_never(order)

    def _connected(self, change: SwitchConnected, now: float) -> Effect:
        known = self.switches.get(change.datapath_id)
        before: Mapping[int, SwitchPort] = {} if known is None else known.ports
        switch = Switch(change.datapath_id, {port.number: port for port in change.ports}, now)
        self.switches[change.datapath_id] = switch
        if known is None:
            self.graph.add_node(change.datapath_id)
            self.routes.update([(change.datapath_id, change.datapath_id)])
        touched = _Touched()
        if known is None or before != switch.ports:
            touched.documents.append(documents.of_switch(switch.datapath_id, switch.ports.values()))
        if known is None or before.keys() != switch.ports.keys():
            touched.switches.add(change.datapath_id)
        for number in sorted(before.keys() | switch.ports.keys()):
            self._port_is(PortRef(change.datapath_id, number), touched)
        return self._finish(touched, now)

    def _port_changed(self, change: PortChanged, now: float) -> Effect:
        switch = self.switches.get(change.datapath_id)
        if switch is None:
            return _NOTHING
        ports = dict(switch.ports)
        if change.gone:
            ports.pop(change.port.number, None)
        else:
            ports[change.port.number] = change.port
        if ports == switch.ports:
            return _NOTHING
        touched = _Touched(documents=[documents.of_switch(switch.datapath_id, ports.values())])
        if ports.keys() != switch.ports.keys():
            touched.switches.add(switch.datapath_id)
        self.switches[switch.datapath_id] = replace(switch, ports=ports)
        self._port_is(PortRef(switch.datapath_id, change.port.number), touched)
        return self._finish(touched, now)

    def _port_is(self, at: PortRef, touched: _Touched) -> None:
        """Follow the present state of a port: announce from one that is up, doubt the cable of one that is down."""
        touched.wiring.add(at.datapath_id)
        if not self.is_up(at):
            touched.cables |= self.cables.doubt(at)
        elif at.port < RESERVED_PORTS:
            touched.announce.add(at)
            touched.announce |= {known.source for known in self.cables.ends(at) if self.is_up(known.source)}

    def _link_seen(self, change: LinkSeen, now: float) -> Effect:
        if not (self.is_up(change.source) and self.is_up(change.target)):
            return _NOTHING  # it left before the port went down; the cable may be another when it comes up
        touched = _Touched()
        ends = {change.source, change.target}
        for end in (change.source, change.target):  # a cable that contradicts this one is given up, and frees its ends
            ends |= {other for known in self.cables.ends(end) for other in (known.source, known.target)}
        were_edge = {end for end in ends if self.is_edge(end)}
        touched.cables |= self.cables.put(Observation(change.source, change.target, now))
        are_edge = {end for end in ends if self.is_edge(end)}
        touched.switches |= {end.datapath_id for end in were_edge ^ are_edge}
        for end in were_edge - are_edge:
            for la in [la for la, host in self.hosts_at(end.datapath_id).items() if host.at == end]:
                self._drop_host(la, touched)
        back = self.cables.get(change.target)
        if back is None or back.target != change.source or not back.sure:
            touched.announce.add(change.target)
        return self._finish(touched, now)

    def _host_sighted(self, change: HostSighted, now: float) -> Effect:
        if not (self.is_edge(change.at) and self.plan.admits(change.la, change.mac)):
            return _NOTHING
        claim = Sighting(change.la, change.mac, change.at)
        known = self.sightings.get(change.la)
        reachable = known is not None and self.is_up(known.at)
        if self._sightings.contests(claim, now, self._hold, reachable=reachable):
            return _NOTHING
        touched = _Touched(routes=self._sightings.put(claim, now))
        if known != claim:
            touched.switches |= {host.at.datapath_id for host in (known, claim) if host is not None}
            touched.documents.append(documents.of_sighting(claim))
        return self._finish(touched, now)

    def _forgotten(self, datapath_id: DatapathId, now: float) -> Effect:
        switch = self.switches.get(datapath_id)
        if switch is None:
            raise NotFound(f"no fabric switch {datapath_id} is known", field="datapath_id", kind="SwitchNotFound")
        if switch.connected_since is not None:
            raise Conflict(
                f"fabric switch {datapath_id} is connected: it would be back at once",
                field="datapath_id",
                kind="SwitchInUse",
            )
        touched = _Touched(routes=True, documents=[documents.no_switch(datapath_id)])
        if datapath_id in self.upkeep.switches:
            self.upkeep.switches.discard(datapath_id)
            touched.documents.append(documents.of_maintenance(datapath_id, on=False))
        for link in [link for link in self.upkeep.links if datapath_id in {end.datapath_id for end in link}]:
            del self.upkeep.links[link]
            touched.documents.append(documents.of_tuning(link, UNTUNED))
        for known in tuple(self.cables):
            if datapath_id in {known.source.datapath_id, known.target.datapath_id}:
                touched.switches |= {known.source.datapath_id, known.target.datapath_id}
                touched.cables |= self.cables.drop(known.source)
        for la in tuple(self.hosts_at(datapath_id)):
            self._drop_host(la, touched)
        touched.switches.discard(datapath_id)
        effect = self._finish(touched, now)
        self.graph.remove_node(datapath_id)
        self.routes.update([(datapath_id, datapath_id)])
        self._steering = None
        self._usable.pop(datapath_id, None)
        del self.switches[datapath_id]
        return replace(effect, switches=effect.switches - {datapath_id})

    def _tick(self, now: float) -> Effect:
        touched = _Touched()
        for known in tuple(self.cables):
            if self._expired(known, now):
                touched.cables |= self.cables.drop(known.source)
                touched.switches |= {end.datapath_id for end in (known.source, known.target) if end not in self.cables}
        self._sightings.settle(now, self._hold)
        for link in self._flaps.settle(now):
            touched.wiring |= {end.datapath_id for end in link}
        return self._finish(touched, now)

    def _expired(self, known: Observation, now: float) -> bool:
        """Whether a cable should have been seen by now; while its port is down, it could not."""
        since = known.seen
        for end in (known.source, known.target):
            switch = self.switches.get(end.datapath_id)
            if switch is None:
                return True
            if switch.connected_since is None:
                return False
            port = switch.ports.get(end.port)
            if port is not None and not port.up:
                return False
            since = max(since, switch.connected_since)
        return now - since > self._hold

    # ── what the operator says ───────────────────────────────────────────────────────────────────────────────────────

    def _policy_chosen(self, name: str, paths: int) -> Effect:
        policy = policy_named(name)
        if not 1 <= paths <= PATHS_MAX:
            raise Invalid(f"paths: {paths} is outside 1 … {PATHS_MAX}", field="paths")
        if (policy, paths) == (self.policy, self.paths):
            return _NOTHING
        self._follow(policy, paths)
        return Effect(routes=True, documents=(documents.of_policy(name, paths),))

    def _follow(self, policy: Policy, paths: int) -> None:
        self.policy, self.paths = policy, paths
        self.routes.choose(policy.hops)
        self._steering = None

    def _maintained(self, change: SwitchMaintained, now: float) -> Effect:
        if change.datapath_id not in self.switches:
            raise NotFound(
                f"no fabric switch {change.datapath_id} is known", field="datapath_id", kind="SwitchNotFound"
            )
        if (change.datapath_id in self.upkeep.switches) == change.on:
            return _NOTHING
        if change.on:
            self._keep_together({change.datapath_id}, set(), force=change.force)
            self.upkeep.switches.add(change.datapath_id)
        else:
            self.upkeep.switches.discard(change.datapath_id)
        touched = _Touched(documents=[documents.of_maintenance(change.datapath_id, on=change.on)])
        touched.wiring.add(change.datapath_id)
        return self._finish(touched, now)

    def _tuned(self, change: LinkTuned, now: float) -> Effect:
        link = self.link_at(change.end)
        before = self.upkeep.tuning(link)
        capacity = before.capacity_mbps if change.capacity_mbps is None else change.capacity_mbps
        after = Tuning(
            before.weight if change.weight is None else change.weight,
            None if capacity == 0 else capacity,
            before.maintenance if change.maintenance is None else change.maintenance,
        )
        if after == before:
            return _NOTHING
        if after.maintenance and not before.maintenance:
            self._keep_together(set(), {link}, force=change.force)
        self.upkeep.links[link] = after
        if after == UNTUNED:
            del self.upkeep.links[link]
        touched = _Touched(documents=[documents.of_tuning(link, after)])
        touched.wiring |= {end.datapath_id for end in link}
        return self._finish(touched, now)

    def _keep_together(self, switches: set[DatapathId], links: set[Link], *, force: bool) -> None:
        """Refuse to part hosts that reach each other now, unless they would be parted anyway.

        :raises Conflict: naming the hosts.
        """
        staying = self.switches.keys() - self.upkeep.switches
        lost = cut_off(
            [link for link in self.links() if not self.upkeep.avoids(link)],
            {switch: len(self.hosts_at(switch)) for switch in staying if self.hosts_at(switch)},
            without_switches=switches,
            without_links=links,
        )
        parted = sorted(la for edge in lost for la in self.hosts_at(edge))
        if parted and not force:
            raise Conflict(
                f"maintenance would cut off {', '.join(map(str, parted))}; force it if that is meant",
                field="maintenance",
                kind="HostsWouldBeCutOff",
            )

    # ── what follows ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _drop_host(self, la: IPv4Address, touched: _Touched) -> None:
        touched.routes |= self._sightings.drop(la)
        touched.documents.append(documents.no_sighting(la))

    def _finish(self, touched: _Touched, now: float) -> Effect:
        for source in sorted(touched.cables):
            known = self.cables.get(source)
            touched.documents.append(documents.no_link(source) if known is None else documents.of_link(known))
        pairs = self._rewire(touched.wiring | {source.datapath_id for source in touched.cables}, now)
        changed = self.routes.update(pairs) if pairs else set()
        if touched.routes or pairs:
            self._steering = None
        return Effect(
            routes=touched.routes or bool(pairs and self.policy.steer),
            switches=frozenset(touched.switches | changed),
            documents=tuple(touched.documents),
            announce=tuple(sorted(touched.announce)),
        )
