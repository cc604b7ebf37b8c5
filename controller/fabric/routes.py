"""Which ports of each switch lie on the way to an edge switch, and how much does each of them take?

Pure functions from a graph to next-hop sets.  A way is better than another by the sum of its links' costs, as
:func:`networkx.all_shortest_paths` means it; one search per destination finds all next hops of all switches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from math import gcd
from typing import Final, NamedTuple, TypeAlias

import networkx as nx

from controller.fabric.plan import PortRef
from overlay.values import DatapathId

Graph: TypeAlias = "nx.Graph[DatapathId]"


class Hop(NamedTuple):
    """One way on from a switch.

    :param weight: its share of the flows, among the hops of its set.
    :param tag: the locator tag that a packet gets on this way; 0 leaves the packet as it is.
    """

    port: int
    weight: int = 1
    tag: int = 0


NextHops: TypeAlias = tuple[Hop, ...]
"""The ways on from a switch among which flows are spread, sorted."""

Hops: TypeAlias = Mapping[DatapathId, NextHops]
"""The next hops of every switch that reaches one destination; the destination itself has none."""

Choice: TypeAlias = "Callable[[Graph, DatapathId], Hops]"
"""Turns a graph and a destination in it into the next hops of every switch; must be free of loops."""

PORTS: Final = "ports"
"""The edge attribute for the ports of each of the two switches on the cheapest usable links to the other, sorted."""
COST: Final = "cost"
"""The edge attribute for what a way over these links costs, a whole number from 1."""
WEIGHTS: Final = "weights"
"""The edge attribute for the capacity (Mbit/s) of the link behind each of ``PORTS``."""

LAST_RESORT: Final = 1 << 32
"""Added to the cost of a link that is to be used only where nothing else leads (as OSPF's stub router, RFC 6987)."""

_WEIGHT_MAX: Final = 64
"""Open vSwitch's dp_hash has 256 slots for all buckets of a group."""


class Link(NamedTuple):
    """A usable link, seen in both directions; ``a`` is the lower end."""

    a: PortRef
    b: PortRef


def distances(graph: Graph, destinations: Iterable[DatapathId]) -> dict[DatapathId, int]:
    """Find what the cheapest way to the nearest of these switches costs, for every switch that reaches one.

    :returns: the costs, cheapest first.
    """
    found: dict[DatapathId, int] = {}
    ahead = [(0, destination) for destination in sorted(destinations)]
    while ahead:
        cost, near = heappop(ahead)
        if near in found:
            continue
        found[near] = cost
        for far, link in graph.adj[near].items():
            if far not in found:
                heappush(ahead, (cost + link.get(COST, 1), far))
    return found


def nearest(graph: Graph, destinations: Iterable[DatapathId]) -> Hops:
    """Find all ports that lead, at the least cost, to any of these switches, weighted by what their links carry.

    The weights are of the link itself, as in WCMP (Zhou et al., EuroSys 2014) without its reduction of what lies
    behind: a failure far away then changes nobody's weights.
    """
    cost_of = distances(graph, destinations)
    hops: dict[DatapathId, NextHops] = {}
    for near, cost in cost_of.items():
        found: list[tuple[int, int]] = []
        for far, link in graph.adj[near].items():
            if cost and cost_of[far] + link.get(COST, 1) == cost:
                ports = link[PORTS][near]
                weights = link.get(WEIGHTS)
                found += zip(ports, (1,) * len(ports) if weights is None else weights[near], strict=True)
        hops[near] = weighted(found)
    return hops


def equal_cost(graph: Graph, destination: DatapathId) -> Hops:
    """Find all ports that lie on a cheapest way to the destination, for every switch that reaches it."""
    return nearest(graph, (destination,))


def single(graph: Graph, destination: DatapathId) -> Hops:
    """Find one port on a cheapest way to the destination (the lowest), for every switch that reaches it."""
    return {switch: tuple(Hop(hop.port) for hop in hops[:1]) for switch, hops in equal_cost(graph, destination).items()}


def weighted(found: Iterable[tuple[int, int]]) -> NextHops:
    """Make a next-hop set of ports and their capacities."""
    ports = sorted(found)
    return tuple(
        Hop(port, weight) for (port, _), weight in zip(ports, reduced([capacity for _, capacity in ports]), strict=True)
    )


def reduced(weights: list[int]) -> list[int]:
    """Bring weights down to small whole numbers of nearly the same ratio, from 1 to 64."""
    divisor = gcd(*weights)
    most = max(weights, default=0)
    if most <= _WEIGHT_MAX * divisor:
        return [weight // divisor for weight in weights]
    return [max(1, round(weight * _WEIGHT_MAX / most)) for weight in weights]
