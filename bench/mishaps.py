"""What can fail in a fabric, and what fails next?

No lab and no clock in here, so that a seed gives one story.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias

import networkx as nx

from topologies.orders import LabStatus

Graph: TypeAlias = "nx.Graph[str]"

HOST: Final = "host"
"""The node attribute of hypervisors."""
LINK, SWITCH, DAEMON = "link", "switch", "daemon of a switch"
KINDS: Final = (LINK, SWITCH, DAEMON)
_TRIES: Final = 200


@dataclass(frozen=True, slots=True)
class Mishap:
    """What can fail: a switch, the cable between two, or silently: a daemon dies while its switch's links stay up."""

    ends: tuple[str, ...]
    silent: bool = False

    @property
    def kind(self) -> str:
        """Of which kind it is, in words."""
        return DAEMON if self.silent else LINK if len(self.ends) > 1 else SWITCH

    @property
    def name(self) -> str:
        """How it is called in the notes."""
        return "–".join(self.ends)


@dataclass(slots=True, eq=False)
class Event:
    """Something failed or came back; times are CLOCK_MONOTONIC."""

    mishap: Mishap
    back: bool
    began_ns: int
    done_ns: int
    used_ns: int = 0
    """When the controller counted it as usable again (seen by asking); 0 for a failure, or if it failed before that."""

    @property
    def name(self) -> str:
        """What happened, in words."""
        return f"{self.mishap.name} {'back' if self.back else 'down'}"


def cabling(status: LabStatus) -> Graph:
    """The lab's switches and hypervisors, joined by its cables."""
    graph: Graph = nx.Graph()
    graph.add_edges_from((link.one, link.other) for link in status.links)
    graph.add_nodes_from((each.name for each in status.hypervisors), **{HOST: True})
    return graph


def standing(graph: Graph, down: Collection[Mishap]) -> Graph:
    """What is left of it."""
    left = graph.copy()
    left.remove_edges_from(each.ends for each in down if each.kind == LINK)
    left.remove_nodes_from(each.ends[0] for each in down if each.kind != LINK)
    return left


def joined(graph: Graph, pairs: Collection[tuple[str, str]]) -> bool:
    """Whether the nodes of every pair reach each other."""
    return all(one in graph and other in graph and nx.has_path(graph, one, other) for one, other in pairs)


@dataclass(frozen=True, slots=True)
class Odds:
    """How wild the story is.

    :param most: so many things are down at once at the most. :param cut: how readily hosts are cut off, 0 to 1.
    :param silent: whether daemons die as well while their switches' links stay up.
    """

    most: int = 3
    cut: float = 0.15
    silent: bool = False


def following(
    rng: Random, graph: Graph, down: frozenset[Mishap], pairs: Collection[tuple[str, str]], odds: Odds
) -> tuple[Mishap, bool]:
    """Choose what happens next: something fails, or something that is down comes back (true).

    :raises IndexError: if nothing is down and nothing may fail.
    """
    if down and (len(down) >= odds.most or rng.random() < len(down) / (odds.most + 1)):
        return _first(rng, down), True
    for _ in range(_TRIES):
        chosen = _any(rng, graph, down, silent=odds.silent)
        if joined(standing(graph, {*down, chosen}), pairs) or rng.random() < odds.cut:
            return chosen, False
    return _first(rng, down), True


def _first(rng: Random, down: Collection[Mishap]) -> Mishap:
    return rng.choice(sorted(down, key=lambda each: each.ends))


def _any(rng: Random, graph: Graph, down: frozenset[Mishap], *, silent: bool) -> Mishap:
    """A cable or a switch that stands free of what is down.

    Whoever revives a switch raises its ends of all cables, so what hangs together must not be down twice.
    """
    hosts = {node for node, host in graph.nodes(data=HOST) if host}
    hurt = {end for each in down for end in each.ends}
    dead = {each.ends[0] for each in down if each.kind != LINK}
    switches = [name for name in sorted(graph.nodes - hosts) if name not in hurt]
    cables = [Mishap(tuple(sorted(edge))) for edge in graph.edges if not (hosts | dead) & set(edge)]
    kinds = [
        sorted(set(cables) - down, key=lambda each: each.ends),
        [Mishap((name,)) for name in switches],
        [Mishap((name,), silent=True) for name in switches if silent],
    ]
    return rng.choice(rng.choice([each for each in kinds if each]))


def spared(graph: Graph, mishap: Mishap, source: str, target: str) -> bool:
    """Whether every switch that might have sent a packet of this pair into the failure had another next hop.

    Then the switches repair it by themselves, and nothing has to wait for the controller.

    :param graph: before the failure.
    """
    if not joined(graph, [(source, target)]):
        return False
    far = nx.single_source_shortest_path_length(graph, target)
    frontier, seen = {source}, {source}
    while frontier:
        found = set()
        for near in frontier:
            hops = {each for each in graph.adj[near] if far.get(each, len(graph)) == far[near] - 1}
            lost = {each for each in hops if _fails(mishap, near, each)}
            if lost and lost == hops:
                return False
            found |= hops - seen
        seen |= found
        frontier = found
    return True


def _fails(mishap: Mishap, near: str, hop: str) -> bool:
    return {near, hop} == set(mishap.ends) if mishap.kind == LINK else hop in mishap.ends
