"""What does the fabric look like now, and what changes when a port, a link or a host does?

A mutable index of frozen values round a networkx graph.  :meth:`Fabric.apply` is the only way that it changes; it
answers with what the change touched and what to store, so that a restarted controller starts from what it knew and
finds nothing to send.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Final, TypeAlias, assert_never

import networkx as nx

from controller.events import PortChanged, SwitchPort
from controller.fabric import documents
from controller.fabric.cables import Cables, Observation
from controller.fabric.changes import (
    Effect,
    FabricChange,
    HostSighted,
    LinkSeen,
    SwitchConnected,
    SwitchDisconnected,
    SwitchForgotten,
    Tick,
)
from controller.fabric.plan import LaPlan, PortRef, Sighting
from controller.fabric.routes import PORTS, Graph, Link, NextHops, Policy, Routes, shortest_paths
from controller.fabric.sightings import Clash, Sightings
from overlay.changes import Document
from overlay.refusals import Conflict, NotFound
from overlay.values import DatapathId

_RESERVED_PORTS: Final = 0xFFFFFF00
"""OpenFlow port numbers from here on (OFPP_MAX) are no cables; LOCAL is one of them."""

_NOTHING: Final = Effect()

_Ports: TypeAlias = Mapping[DatapathId, NextHops]
"""The ports of both ends of an edge of the graph."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A fabric switch: its ports by number, and since when its session is up (None while it has none)."""

    datapath_id: DatapathId
    ports: Mapping[int, SwitchPort]
    connected_since: float | None = None


@dataclass(slots=True)
class _Touched:
    """What one change has touched so far."""

    routes: bool = False
    switches: set[DatapathId] = field(default_factory=set)
    cables: set[PortRef] = field(default_factory=set)
    wiring: set[DatapathId] = field(default_factory=set)
    documents: list[Document] = field(default_factory=list)
    announce: set[PortRef] = field(default_factory=set)


class Fabric:
    """The physical network as the controller knows it.

    :param hold: seconds after which a link that was not seen, or a host that does not answer, is given up.
    :param policy: how next hops are chosen.
    """

    def __init__(self, plan: LaPlan, *, hold: float = 15.0, policy: Policy = shortest_paths) -> None:
        self.plan = plan
        self.graph: Graph = nx.Graph()
        """Switches, joined where a usable link is; read it, do not change it."""
        self.switches: dict[DatapathId, Switch] = {}
        self.cables = Cables()
        self.routes = Routes(self.graph, policy)
        """The next hops over the graph as it is."""
        self._hold = hold
        self._sightings = Sightings(plan)

    @classmethod
    def restore(
        cls,
        stored: Iterable[Document],
        plan: LaPlan,
        now: float,
        *,
        hold: float = 15.0,
        policy: Policy = shortest_paths,
    ) -> Fabric:
        """Build the fabric that wrote these documents; its links and hosts are assumed until they are seen again."""
        fabric = cls(plan, hold=hold, policy=policy)
        hosts: list[Sighting] = []
        for document in stored:
            match documents.read(document):
                case (datapath_id, ports):
                    fabric.switches[datapath_id] = Switch(datapath_id, {port.number: port for port in ports})
                case Observation() as observation:
                    fabric.cables.put(replace(observation, seen=now, assumed=True))
                case Sighting() as sighting:
                    hosts.append(sighting)
        for sighting in hosts:
            if plan.admits(sighting.la, sighting.mac):
                fabric._sightings.put(sighting, now, assumed=True)
        fabric.graph.add_nodes_from(fabric.switches)
        fabric._rewire(fabric.switches)
        return fabric

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

    def hosts_at(self, datapath_id: DatapathId) -> Mapping[IPv4Address, Sighting]:
        """Give the hosts behind one switch."""
        return self._sightings.at(datapath_id)

    def ports(self, datapath_id: DatapathId) -> tuple[SwitchPort, ...]:
        """List a switch's ports that a cable can be in, by number."""
        ports = self.switches[datapath_id].ports
        return tuple(ports[number] for number in sorted(ports) if number < _RESERVED_PORTS)

    def edge_ports(self, datapath_id: DatapathId) -> tuple[SwitchPort, ...]:
        """List a switch's ports that lead to no other switch."""
        return tuple(port for port in self.ports(datapath_id) if PortRef(datapath_id, port.number) not in self.cables)

    def is_up(self, at: PortRef) -> bool:
        """Whether packets can pass a port."""
        switch = self.switches.get(at.datapath_id)
        port = None if switch is None else switch.ports.get(at.port)
        return port is not None and port.up

    def is_edge(self, at: PortRef) -> bool:
        """Whether this is a port that leads to no other switch."""
        switch = self.switches.get(at.datapath_id)
        return switch is not None and at.port in switch.ports and at.port < _RESERVED_PORTS and at not in self.cables

    def peer(self, end: PortRef) -> PortRef | None:
        """Name the far end of a usable link, None where there is none."""
        there = self.cables.peer(end)
        return there if there is not None and self.is_up(end) and self.is_up(there) else None

    def links(self) -> tuple[Link, ...]:
        """List the usable links."""
        found = ((known.source, self.peer(known.source)) for known in self.cables)
        return tuple(sorted(Link(near, far) for near, far in found if far is not None and near < far))

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, change: FabricChange, now: float) -> Effect:
        """Let one change happen.

        :param now: seconds of a clock that only goes forward.
        :raises NotFound: when a switch is to be forgotten that is not known.
        :raises Conflict: when a switch is to be forgotten that is connected.
        """
        match change:
            case SwitchConnected():
                return self._connected(change, now)
            case SwitchDisconnected(datapath_id):
                if datapath_id in self.switches:
                    self.switches[datapath_id] = replace(self.switches[datapath_id], connected_since=None)
                return _NOTHING
            case SwitchForgotten(datapath_id):
                return self._forgotten(datapath_id)
            case PortChanged():
                return self._port_changed(change)
            case LinkSeen():
                return self._link_seen(change, now)
            case HostSighted():
                return self._host_sighted(change, now)
            case Tick():
                return self._tick(now)
            case _:
                assert_never(change)

    def _connected(self, change: SwitchConnected, now: float) -> Effect:
        known = self.switches.get(change.datapath_id)
        before: Mapping[int, SwitchPort] = {} if known is None else known.ports
        switch = Switch(change.datapath_id, {port.number: port for port in change.ports}, now)
        self.switches[change.datapath_id] = switch
        self.graph.add_node(change.datapath_id)
        touched = _Touched()
        if known is None or before != switch.ports:
            touched.documents.append(documents.of_switch(switch.datapath_id, switch.ports.values()))
        if known is None or before.keys() != switch.ports.keys():
            touched.switches.add(change.datapath_id)
        for number in sorted(before.keys() | switch.ports.keys()):
            self._port_is(PortRef(change.datapath_id, number), touched)
        return self._finish(touched)

    def _port_changed(self, change: PortChanged) -> Effect:
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
        return self._finish(touched)

    def _port_is(self, at: PortRef, touched: _Touched) -> None:
        """Follow the present state of a port: announce from one that is up, doubt the cable of one that is down."""
        touched.wiring.add(at.datapath_id)
        if not self.is_up(at):
            touched.cables |= self.cables.doubt(at)
        elif at.port < _RESERVED_PORTS:
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
        return self._finish(touched)

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
        return self._finish(touched)

    def _forgotten(self, datapath_id: DatapathId) -> Effect:
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
        for known in tuple(self.cables):
            if datapath_id in {known.source.datapath_id, known.target.datapath_id}:
                touched.switches |= {known.source.datapath_id, known.target.datapath_id}
                touched.cables |= self.cables.drop(known.source)
        for la in tuple(self.hosts_at(datapath_id)):
            self._drop_host(la, touched)
        touched.switches.discard(datapath_id)
        effect = self._finish(touched)
        self.graph.remove_node(datapath_id)
        self.routes.renew()
        del self.switches[datapath_id]
        return replace(effect, switches=effect.switches - {datapath_id})

    def _tick(self, now: float) -> Effect:
        touched = _Touched()
        for known in tuple(self.cables):
            if self._expired(known, now):
                touched.cables |= self.cables.drop(known.source)
                touched.switches |= {end.datapath_id for end in (known.source, known.target) if end not in self.cables}
        self._sightings.settle(now, self._hold)
        return self._finish(touched)

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

    # ── what follows ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _drop_host(self, la: IPv4Address, touched: _Touched) -> None:
        touched.routes |= self._sightings.drop(la)
        touched.documents.append(documents.no_sighting(la))

    def _finish(self, touched: _Touched) -> Effect:
        for source in sorted(touched.cables):
            known = self.cables.get(source)
            touched.documents.append(documents.no_link(source) if known is None else documents.of_link(known))
        gained, changed = self._rewire(touched.wiring | {source.datapath_id for source in touched.cables})
        return Effect(
            routes=gained or touched.routes,
            switches=frozenset(touched.switches | changed),
            documents=tuple(touched.documents),
            announce=tuple(sorted(touched.announce)),
        )

    def _rewire(self, datapath_ids: Iterable[DatapathId]) -> tuple[bool, set[DatapathId]]:
        """Bring the graph's edges at these switches up to date.

        A graph that gained a link has other routes everywhere, to be computed when somebody asks.  One that only lost
        some is followed at once, since that is cheap: the answer is whether it gained any, and whose next hops changed.
        """
        gained, changed = False, set[DatapathId]()
        for near in datapath_ids:
            if near not in self.switches:
                continue
            wanted = self._wires(near)
            for other in self.graph.adj[near].keys() | wanted.keys():
                edge = self.graph.adj[near].get(other)
                before: _Ports = {} if edge is None else edge[PORTS]
                after = wanted.get(other, {})
                if after == before:
                    continue
                if after:
                    self.graph.add_edge(near, other, **{PORTS: after})
                else:
                    self.graph.remove_edge(near, other)
                if any(set(after[end]) - set(before.get(end, ())) for end in after):
                    gained = True
                else:
                    changed |= self.routes.lose({end: set(before[end]) - set(after.get(end, ())) for end in before})
        if gained:
            self.routes.renew()
        return gained, changed

    def _wires(self, near: DatapathId) -> dict[DatapathId, _Ports]:
        """Find a switch's neighbours over usable links, with the ports at both ends."""
        pairs: dict[DatapathId, list[tuple[int, int]]] = {}
        for port in self.ports(near):
            far = self.peer(PortRef(near, port.number))
            if far is not None and far.datapath_id != near:
                pairs.setdefault(far.datapath_id, []).append((port.number, far.port))
        return {
            other: {near: tuple(here for here, _ in found), other: tuple(sorted(there for _, there in found))}
            for other, found in pairs.items()
        }
