"""What fails next, and which failure explains an outage?

The deciding half of the chaos run: no lab and no clock in here, so that a seed gives one story, and an outage one
explanation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias

import networkx as nx

from bench.overflows import LATE_NS, Overflow, covered
from topologies.orders import LabStatus
from topologies.probing import Outage

Graph: TypeAlias = "nx.Graph[str]"

HOST: Final = "host"
"""The node attribute of hypervisors."""
LINK, SWITCH, DAEMON = "link", "switch", "daemon of a switch"
KINDS: Final = (LINK, SWITCH, DAEMON)
WINDOW_SECONDS: Final = 0.5
"""An outage that begins so long after an event is not its doing; after a return, so long after it is used again."""
_EARLY_NS: Final = 20_000_000
"""An outage is dated by the last probe before it, which may have left a little before the event."""
_TRIES: Final = 200
_NEVER: Final = 2**63


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


@dataclass(frozen=True, slots=True)
class Explained:
    """An outage with its event (none: nobody knows why) and what it should have taken at most."""

    source: str
    target: str
    outage: Outage
    event: Event | None
    kind: str
    ms: float
    """How long nothing got through; for hosts that were cut off, since they were joined again."""


CUT: Final = "cut off; since there was a way again"
RETURNS: Final = "returns"
BY_SWITCHES: Final = "the switches have another next hop"
BY_CONTROLLER: Final = "the controller must repair"
BUSY: Final = "a switch's receive buffer overflowed: the machine was busy"
UNEXPLAINED: Final = "unexplained"


class Story:
    """What happened to a fabric, in order.

    What has come back counts as absent until the controller uses it: a switch whose power is back has carrier on all
    its ports before it has a single flow.
    """

    def __init__(self, graph: Graph, events: Sequence[Event], overflows: Sequence[Overflow] = ()) -> None:
        self.graph = graph
        self.overflows = tuple(overflows)
        self.events = tuple(events)
        steps: list[tuple[int, Mishap, bool]] = []
        for event in events:
            if not event.back:
                steps.append((event.began_ns, event.mishap, True))
            elif event.used_ns:
                steps.append((event.used_ns, event.mishap, False))
        absent: frozenset[Mishap] = frozenset()
        self._timeline: list[tuple[int, frozenset[Mishap]]] = [(0, absent)]
        for at, mishap, gone in sorted(steps, key=lambda step: step[0]):
            absent = absent | {mishap} if gone else absent - {mishap}
            self._timeline.append((at, absent))
        self._standing: dict[frozenset[Mishap], Graph] = {}

    def states(self, since_ns: int, until_ns: int) -> Iterator[tuple[int, Graph]]:
        """What stood at any time between the two moments, and since when."""
        ends = [at for at, _ in self._timeline[1:]] + [_NEVER]
        for (at, absent), end in zip(self._timeline, ends, strict=True):
            if at <= until_ns and end >= since_ns:
                yield at, self._left(absent)

    def explain(self, source: str, target: str, outage: Outage) -> Explained:
        """Find the event that an outage is due to."""
        until = outage.until_ns or _NEVER
        event = next(
            (
                each
                for each in reversed(self.events)
                if each.began_ns - _EARLY_NS <= outage.since_ns
                and outage.since_ns <= max(each.done_ns, each.used_ns) + int(WINDOW_SECONDS * 1e9)
            ),
            None,
        )
        # Where nothing was left that joins the ends, only the time since there was something counts.
        apart = [at for at, left in self.states(outage.since_ns, until) if not joined(left, [(source, target)])]
        if apart:
            joint = next((at for at, left in self.states(apart[-1] + 1, _NEVER) if joined(left, [(source, target)])), 0)
            late = max(0.0, (until - joint) / 1e6) if joint and outage.until_ns else 0.0
            return Explained(source, target, outage, event or self._latest(apart[0]), CUT, late)
        late = event is None or event.back or outage.since_ns > event.done_ns + LATE_NS
        if late and covered(self.overflows, outage):
            return Explained(source, target, outage, event, BUSY, outage.ms)
        if event is None:
            return Explained(source, target, outage, None, UNEXPLAINED, outage.ms)
        if event.back:
            return Explained(source, target, outage, event, f"{event.mishap.kind} {RETURNS}", outage.ms)
        return Explained(source, target, outage, event, self.failure(event, source, target), outage.ms)

    def failure(self, event: Event, source: str, target: str) -> str:
        """What kind of failure an event is to the packets of a pair."""
        *_, (_, before) = self.states(0, event.began_ns - 1)
        alone = spared(before, event.mishap, source, target)
        return f"{event.mishap.kind} fails, {BY_SWITCHES if alone else BY_CONTROLLER}"

    def longest(self, source: str, target: str, since_ns: int, until_ns: int) -> int:
        """The most switches that a shortest way between two hypervisors had at any time between the moments."""
        lengths = [
            nx.shortest_path_length(left, source, target) - 1
            for _, left in self.states(since_ns, until_ns)
            if joined(left, [(source, target)])
        ]
        return max(lengths, default=0)

    def _left(self, absent: frozenset[Mishap]) -> Graph:
        if absent not in self._standing:
            self._standing[absent] = standing(self.graph, absent)
        return self._standing[absent]

    def _latest(self, at_ns: int) -> Event | None:
        return next((each for each in reversed(self.events) if each.began_ns <= at_ns), None)
