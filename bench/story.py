"""Which failure explains an outage, and which ways could a packet go meanwhile?

The judging half of the chaos run: no lab and no clock in here, so that an outage has one explanation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import networkx as nx

from bench.alarms import BY_BFD, Cable, GivenUp, first_sign
from bench.mishaps import LINK, Event, Graph, Mishap, joined, spared, standing
from bench.overflows import LATE_NS, Overflow, covered
from topologies.probing import Outage

WINDOW_NS: Final = 500_000_000
"""An outage that begins so long after an event is not its doing; after a return, so long after it is used again."""
_EARLY_NS: Final = 20_000_000
"""An outage is dated by the last probe before it, which may have left a little before the event."""
_NEVER: Final = 2**63
_COST: Final = "cost"
_LAST_RESORT: Final = 1000
"""What a damped cable costs more than any other one, which costs 1; more than the longest way."""
_NONE: Final[frozenset[Cable]] = frozenset()

CUT: Final = "cut off; since there was a way again"
RETURNS: Final = "returns"
BY_SWITCHES: Final = "the switches have another next hop"
BY_CONTROLLER: Final = "the controller must repair"
ALARM: Final = "BFD gave a cable up that stood"
BUSY: Final = "a switch's receive buffer overflowed: the machine was busy"
UNEXPLAINED: Final = "unexplained"


@dataclass(frozen=True, slots=True)
class Explained:
    """An outage with its cause (neither event nor alarm: nobody knows why) and how long it counts."""

    source: str
    target: str
    outage: Outage
    event: Event | None
    kind: str
    ms: float
    """How long nothing got through; for hosts that were cut off, since they were joined again."""
    seen: GivenUp | None = None
    """How a switch beside the failure saw it first; for an alarm, the alarm."""

    @property
    def seen_ms(self) -> float | None:
        """How long after the failure that was."""
        if self.seen is None or self.event is None:
            return None
        return (self.seen.since_ns - self.event.began_ns) / 1e6

    @property
    def cause(self) -> str:
        """What it is due to, in words."""
        if self.kind == ALARM and self.seen is not None:
            return f"{'–'.join(self.seen.cable)} given up by {self.seen.switch}"
        return self.event.name if self.event is not None else "nobody knows what"


class Story:
    """What happened to a fabric, in order.

    What has come back counts as absent until the controller uses it: a switch whose power is back has carrier on all
    its ports before it has a single flow.

    :param given: the cables that switches gave up, and by what they knew.
    :param damped: from when on the controller took which cables for a last resort because they came and went too often.
    """

    def __init__(
        self,
        graph: Graph,
        events: Sequence[Event],
        overflows: Sequence[Overflow] = (),
        given: Sequence[GivenUp] = (),
        damped: Sequence[tuple[int, frozenset[Cable]]] = (),
    ) -> None:
        self.graph = graph
        self.events = tuple(events)
        self.overflows = tuple(overflows)
        self.given = tuple(given)
        spans = [(event.mishap, event.began_ns, self._used_again(event)) for event in events if not event.back]
        self._failures = _timeline(spans)
        self.alarms = tuple(each for each in self.given if each.sign == BY_BFD and self._stood(each))
        """What BFD gave up though nothing had failed there: its messages came too late on a busy machine."""
        spans += [(Mishap(each.cable), each.since_ns, (each.until_ns or _NEVER) + WINDOW_NS) for each in self.alarms]
        self._believed = _timeline(spans)
        self._damped = ((0, _NONE), *damped)
        self._standing: dict[tuple[frozenset[Mishap], frozenset[Cable]], Graph] = {}

    def states(self, since_ns: int, until_ns: int) -> Iterator[tuple[int, Graph]]:
        """What stood at any time between the two moments, and since when."""
        ends = chain((at for at, _ in self._failures[1:]), [_NEVER])
        for (at, absent), end in zip(self._failures, ends, strict=True):
            if at <= until_ns and end >= since_ns:
                yield at, self._priced(absent)

    # ── outages ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def explain(self, source: str, target: str, outage: Outage) -> Explained:
        """Find what an outage is due to."""
        until = outage.until_ns or _NEVER
        event = next(
            (
                each
                for each in reversed(self.events)
                if each.began_ns - _EARLY_NS <= outage.since_ns
                and outage.since_ns <= max(each.done_ns, each.used_ns) + WINDOW_NS
            ),
            None,
        )
        # Where nothing was left that joins the ends, only the time since there was something counts.
        apart = [at for at, left in self.states(outage.since_ns, until) if not joined(left, [(source, target)])]
        if apart:
            joint = next((at for at, left in self.states(apart[-1] + 1, _NEVER) if joined(left, [(source, target)])), 0)
            late = max(0.0, (until - joint) / 1e6) if joint and outage.until_ns else 0.0
            event = event or self._latest(apart[0])
            return Explained(source, target, outage, event, CUT, late, self._sign(event))
        late = event is None or event.back or outage.since_ns > event.done_ns + LATE_NS
        if late and covered(self.overflows, outage):
            return Explained(source, target, outage, event, BUSY, outage.ms)
        alarm = self._alarm(source, target, outage, late=late)
        if alarm is not None:
            return Explained(source, target, outage, event, ALARM, outage.ms, alarm)
        if event is None:
            return Explained(source, target, outage, None, UNEXPLAINED, outage.ms)
        if event.back:
            return Explained(source, target, outage, event, f"{event.mishap.kind} {RETURNS}", outage.ms)
        kind = self.failure(event, source, target)
        return Explained(source, target, outage, event, kind, outage.ms, self._sign(event))

    def failure(self, event: Event, source: str, target: str) -> str:
        """What kind of failure an event is to the packets of a pair."""
        *_, (_, before) = self.states(0, event.began_ns - 1)
        relied = before.copy()
        relied.remove_edges_from(self._avoided(event.began_ns - 1))
        before = relied if joined(relied, [(source, target)]) else before
        alone = spared(before, event.mishap, source, target)
        return f"{event.mishap.kind} fails, {BY_SWITCHES if alone else BY_CONTROLLER}"

    def _alarm(self, source: str, target: str, outage: Outage, *, late: bool) -> GivenUp | None:
        """Find an alarm about a cable on a shortest way of the pair that made an outage, or made it longer.

        :param late: that no failure explains why it began, so that it may have begun while the cable came back.
        """
        *_, (_, left) = self.states(0, outage.since_ns)
        return next(
            (
                each
                for each in self.alarms
                if each.since_ns - _EARLY_NS <= (outage.until_ns or _NEVER)
                and outage.since_ns <= ((each.until_ns or each.since_ns) + WINDOW_NS if late else each.since_ns)
                and on_the_way(left, source, target, each.cable)
            ),
            None,
        )

    def _sign(self, event: Event | None) -> GivenUp | None:
        if event is None or event.back:
            return None
        return first_sign(self.given, event.mishap.ends, event.began_ns, event.done_ns + WINDOW_NS)

    def _stood(self, given: GivenUp) -> bool:
        """Whether nothing had failed, or was not used again yet, that explains why a cable was given up."""
        *_, (_, absent) = (each for each in self._failures if each[0] <= given.since_ns)
        return not any(_touches(mishap, given.cable) for mishap in absent)

    # ── ways ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def shortest(self, source: str, target: str, since_ns: int, until_ns: int) -> int:
        """The most switches that a route between two hypervisors had at any time between the moments."""
        found = (
            self._ahead(left, target).get(source, 1) for left in self._routed(since_ns, until_ns) if target in left
        )
        return max((cost % _LAST_RESORT - 1 for cost in found), default=0)

    def longest(self, source: str, target: str, since_ns: int, until_ns: int) -> int:
        """The most switches on a way that follows the routes of one time, then those of a later one, and so on.

        This is what an ordered update may do to a packet that meets the boundary between old and new routes: it was
        led by old ones, is led by new ones from there, and never by old ones again.
        """
        passed, most = {source: 0}, 1
        for left in self._routed(since_ns, until_ns):
            ahead = self._ahead(left, target) if target in left else {}
            passed = {node: links for node, links in passed.items() if node in ahead}
            for near in sorted(ahead, key=lambda node: -ahead[node]):
                for far, cable in left.adj[near].items() if near in passed else ():
                    if ahead[near] == ahead[far] + cable.get(_COST, 1):
                        passed[far] = max(passed.get(far, 0), passed[near] + 1)
            most = max(most, passed.pop(target, 0))
            passed[source] = 0
        return most - 1

    def _routed(self, since_ns: int, until_ns: int) -> Iterator[Graph]:
        """The fabric as the routes saw it, at each time between the moments."""
        changes = {at for at, _ in (*self._believed, *self._damped) if since_ns < at <= until_ns}
        for now in sorted({since_ns, *changes}):
            *_, (_, absent) = (each for each in self._believed if each[0] <= now)
            yield self._priced(absent, self._avoided(now))

    @staticmethod
    def _ahead(graph: Graph, target: str) -> dict[str, int]:
        """What the rest of the way costs, by node."""
        costs = nx.single_source_dijkstra_path_length(graph, target, weight=_COST)
        return {node: int(cost) for node, cost in costs.items()}

    def _avoided(self, at_ns: int) -> frozenset[Cable]:
        *_, (_, avoided) = (each for each in self._damped if each[0] <= at_ns)
        return avoided

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _priced(self, absent: frozenset[Mishap], avoided: frozenset[Cable] = _NONE) -> Graph:
        """What is left when some of it is absent, some a last resort."""
        if (absent, avoided) not in self._standing:
            left = standing(self.graph, absent)
            for one, other in avoided & {(min(edge), max(edge)) for edge in left.edges}:
                left.edges[one, other][_COST] = _LAST_RESORT + 1
            self._standing[absent, avoided] = left
        return self._standing[absent, avoided]

    def _used_again(self, failure: Event) -> int:
        """When the controller used again what had failed."""
        later = (each for each in self.events if each.mishap == failure.mishap and each.began_ns > failure.began_ns)
        return next((each.used_ns for each in later if each.used_ns), _NEVER)

    def _latest(self, at_ns: int) -> Event | None:
        return next((each for each in reversed(self.events) if each.began_ns <= at_ns), None)


def on_the_way(graph: Graph, source: str, target: str, cable: tuple[str, str]) -> bool:
    """Whether any shortest way from one node to another leads over a cable, in this direction or that."""
    if not joined(graph, [(source, target)]) or not graph.has_edge(*cable):
        return False
    near = nx.single_source_shortest_path_length(graph, source)
    far = nx.single_source_shortest_path_length(graph, target)
    return any(near[one] + 1 + far[other] == near[target] for one, other in (cable, cable[::-1]))


def _timeline(spans: Sequence[tuple[Mishap, int, int]]) -> list[tuple[int, frozenset[Mishap]]]:
    """What was absent from when on, of everything that was from one moment to another."""
    moments = sorted({0, *(at for _, since, until in spans for at in (since, until) if at < _NEVER)})
    return [(at, frozenset(mishap for mishap, since, until in spans if since <= at < until)) for at in moments]


def _touches(mishap: Mishap, cable: tuple[str, str]) -> bool:
    """Whether a cable does not work because of a mishap."""
    return set(mishap.ends) == set(cable) if mishap.kind == LINK else mishap.ends[0] in cable
