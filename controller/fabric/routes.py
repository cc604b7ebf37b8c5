"""Which ports of each switch lie on a shortest path to an edge switch?

A pure function from graph to next-hop sets, so that another policy can take its place.  Shortest means fewest hops,
with the meaning of :func:`networkx.all_shortest_paths`; one breadth-first search per destination finds all next hops
of all switches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
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


def without(hops: Hops, lost: Mapping[DatapathId, AbstractSet[int]]) -> Hops | None:
    """Take the ports of a link that is gone out of shortest paths; None where that leaves a switch without any.

    As long as each end has another next hop, no distance changes, so nobody else's next hops do.
    """
    repaired: dict[DatapathId, NextHops] | None = None
    for datapath_id, ports in lost.items():
        before = hops.get(datapath_id, ())
        after = tuple(port for port in before if port not in ports)
        if after != before:
            if not after:
                return None
            repaired = dict(hops) if repaired is None else repaired
            repaired[datapath_id] = after
    return hops if repaired is None else repaired


class Routes:
    """The next hops over the graph as it is, computed when first asked for and kept while they hold."""

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

    def renew(self) -> None:
        """Forget everything: the graph has gained something, and any next hops may have changed."""
        self._towards.clear()

    def lose(self, lost: Mapping[DatapathId, AbstractSet[int]]) -> set[DatapathId]:
        """Follow the graph's loss of a link; name the switches of which next hops that were asked for have changed.

        :param lost: the ports at both ends.
        """
        changed: set[DatapathId] = set()
        for destination, before in self._towards.items():
            after = without(before, lost) if self._policy is shortest_paths else None
            if after is None:
                after = self._policy(self._graph, destination)
                changed |= {
                    switch for switch in before.keys() | after.keys() if before.get(switch) != after.get(switch)
                }
            elif after is not before:
                changed |= {switch for switch in lost if before.get(switch) != after.get(switch)}
            self._towards[destination] = after
        return changed
