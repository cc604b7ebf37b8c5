"""Which ports of each switch lie on a shortest path to an edge switch?

A pure function from graph to next-hop sets, so that another policy can take its place.  Shortest means fewest hops,
with the meaning of :func:`networkx.all_shortest_paths`; one breadth-first search per destination finds all next hops
of all switches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import networkx as nx

from controller.fabric.plan import PortRef
from overlay.values import DatapathId

Graph: TypeAlias = "nx.Graph[DatapathId]"

NextHops: TypeAlias = tuple[int, ...]
"""Ports over which a destination is reached equally well, sorted."""

Hops: TypeAlias = Mapping[DatapathId, NextHops]
"""The next hops of every switch that reaches one destination; the destination itself has none."""

Policy: TypeAlias = "Callable[[Graph, DatapathId], Hops]"
"""Turns a graph and a destination in it into the next hops of every switch; must be free of loops."""

PORTS = "ports"
"""The edge attribute of the graph: for each of the two switches, its ports on usable links to the other, sorted."""


class Link(NamedTuple):
    """A usable link, seen in both directions; ``a`` is the lower end."""

    a: PortRef
    b: PortRef


def shortest_paths(graph: Graph, destination: DatapathId) -> Hops:
    """Find all ports that lead one hop nearer to the destination, for every switch that reaches it."""
    hops: dict[DatapathId, NextHops] = {destination: ()}
    frontier = [destination]
    while frontier:
        found: dict[DatapathId, NextHops] = {}
        for near in frontier:
            for far, link in graph.adj[near].items():
                if far not in hops:
                    ports = link[PORTS][far]
                    found[far] = found[far] + ports if far in found else ports
        for far, ports in found.items():
            hops[far] = ports if len(ports) == 1 else tuple(sorted(ports))
        frontier = list(found)
    return hops


class Routes:
    """The next hops over one state of the graph, computed when first asked for and kept."""

    def __init__(self, graph: Graph, policy: Policy = shortest_paths) -> None:
        self._graph = graph
        self._policy = policy
        self._towards: dict[DatapathId, Hops] = {}

    def towards(self, destination: DatapathId) -> Hops:
        """Give the next hops of every switch that reaches the destination."""
        hops = self._towards.get(destination)
        if hops is None:
            hops = self._policy(self._graph, destination) if destination in self._graph else {}
            self._towards[destination] = hops
        return hops
