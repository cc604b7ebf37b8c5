"""Which links can packets pass, what does a way over each cost, and how much does it carry?

Keeps the graph true to the switches' ports, to the cables that were seen, and to what the operator and the links' own
history say about them.  A change of any of these calls for :meth:`Wiring._rewire` of the switches concerned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import networkx as nx

from controller.events import SwitchPort
from controller.fabric.cables import Cables
from controller.fabric.flaps import Damping, Flaps
from controller.fabric.plan import PortRef
from controller.fabric.routes import COST, PORTS, WEIGHTS, Graph, Link
from controller.fabric.upkeep import CAPACITY_UNKNOWN, Upkeep
from overlay.refusals import NotFound
from overlay.values import DatapathId

RESERVED_PORTS: Final = 0xFFFFFF00
"""OpenFlow port numbers from here on (OFPP_MAX) are no cables; LOCAL is one of them."""

_KBIT: Final = 1000

_Edge: TypeAlias = Mapping[str, object]
"""The attributes of an edge of the graph."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A fabric switch: its ports by number, and since when its session is up (None while it has none)."""

    datapath_id: DatapathId
    ports: Mapping[int, SwitchPort]
    connected_since: float | None = None


class Wiring:
    """The switches, the cables between them, and the graph that both make.

    :param damping: of links that come and go; None for none.
    """

    def __init__(self, damping: Damping | None) -> None:
        self.graph: Graph = nx.Graph()
        """Switches, joined where a usable link is; read it, do not change it."""
        self.switches: dict[DatapathId, Switch] = {}
        self.cables = Cables()
        self.upkeep = Upkeep()
        self._flaps = Flaps(damping)
        self._usable: dict[DatapathId, frozenset[Link]] = {}

    @property
    def damped(self) -> frozenset[Link]:
        """The links that came and went too often to be relied on at present."""
        return frozenset(self._flaps.damped)

    def ports(self, datapath_id: DatapathId) -> tuple[SwitchPort, ...]:
        """List a switch's ports that a cable can be in, by number."""
        ports = self.switches[datapath_id].ports
        return tuple(ports[number] for number in sorted(ports) if number < RESERVED_PORTS)

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
        return switch is not None and at.port in switch.ports and at.port < RESERVED_PORTS and at not in self.cables

    def peer(self, end: PortRef) -> PortRef | None:
        """Name the far end of a usable link, None where there is none."""
        there = self.cables.peer(end)
        return there if there is not None and self.is_up(end) and self.is_up(there) else None

    def links(self) -> tuple[Link, ...]:
        """List the usable links."""
        found = ((known.source, self.peer(known.source)) for known in self.cables)
        return tuple(sorted(Link(near, far) for near, far in found if far is not None and near < far))

    def link_at(self, end: PortRef) -> Link:
        """Name the link that a port is an end of, usable or not.

        :raises NotFound: where no cable to another port is known.
        """
        known = next(self.cables.ends(end), None)
        if known is None:
            raise NotFound(
                f"no link of the fabric ends at {end.datapath_id}:{end.port}", field="id", kind="LinkNotFound"
            )
        return Link(*sorted((known.source, known.target)))

    def capacity(self, link: Link) -> int:
        """Say what a link carries, in Mbit/s."""
        tuned = self.upkeep.tuning(link).capacity_mbps
        if tuned is not None:
            return tuned
        switches = ((self.switches.get(end.datapath_id), end.port) for end in link)
        ports = (switch.ports.get(number) for switch, number in switches if switch is not None)
        speeds = (port.speed // _KBIT for port in ports if port is not None and port.speed >= _KBIT)
        return min(speeds, default=CAPACITY_UNKNOWN)

    def _rewire(self, datapath_ids: Iterable[DatapathId], now: float) -> list[tuple[DatapathId, DatapathId]]:
        """Bring the graph's edges at these switches up to date; returns between whom any has changed."""
        pairs: list[tuple[DatapathId, DatapathId]] = []
        for near in sorted(datapath_ids):
            if near not in self.switches:
                continue
            links = self._links_of(near)
            for link in self._usable.get(near, frozenset()) - links:
                self._flaps.lost(link, now)
                for end in link:
                    self._usable[end.datapath_id] = self._usable.get(end.datapath_id, frozenset()) - {link}
            for link in links - self._usable.get(near, frozenset()):
                for end in link:
                    self._usable[end.datapath_id] = self._usable.get(end.datapath_id, frozenset()) | {link}
            wanted = self._edges_of(near, links)
            for other in self.graph.adj[near].keys() | wanted.keys():
                before, after = self.graph.adj[near].get(other), wanted.get(other)
                if after == before:
                    continue
                if after:
                    self.graph.add_edge(near, other, **after)
                else:
                    self.graph.remove_edge(near, other)
                pairs.append((near, other))
        return pairs

    def _links_of(self, near: DatapathId) -> frozenset[Link]:
        """Find a switch's usable links to other switches."""
        found = ((end, self.peer(end)) for port in self.ports(near) for end in (PortRef(near, port.number),))
        return frozenset(Link(*sorted((end, far))) for end, far in found if far is not None and far.datapath_id != near)

    def _edges_of(self, near: DatapathId, links: Iterable[Link]) -> dict[DatapathId, _Edge]:
        """Make the edges of the graph at a switch: the cheapest of the parallel links to each neighbour."""
        between: dict[DatapathId, list[tuple[int, Link]]] = {}
        for link in links:
            other = link.b.datapath_id if link.a.datapath_id == near else link.a.datapath_id
            between.setdefault(other, []).append((self.upkeep.cost(link, self._flaps.damped), link))
        edges: dict[DatapathId, _Edge] = {}
        for other, found in between.items():
            cost = min(each for each, _ in found)
            ends: dict[DatapathId, list[tuple[int, int]]] = {near: [], other: []}
            for each, link in found:
                if each == cost:
                    capacity = self.capacity(link)
                    for end in link:
                        ends[end.datapath_id].append((end.port, capacity))
            edges[other] = {
                PORTS: {switch: tuple(port for port, _ in sorted(pairs)) for switch, pairs in ends.items()},
                COST: cost,
                WEIGHTS: {switch: tuple(capacity for _, capacity in sorted(pairs)) for switch, pairs in ends.items()},
            }
        return edges
