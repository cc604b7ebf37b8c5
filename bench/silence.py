"""What did each of many moves do to the probes that ran all the time?

A trace holds when every probe was sent and came; a move is a stretch of time in it.  Pure arithmetic, in milliseconds;
times are CLOCK_MONOTONIC, ns.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from topologies.probing import Trace

_MS = 1e6


@dataclass(frozen=True, slots=True)
class Stretch:
    """When one move was: from its first action to the next move's, and when the machine stood still meanwhile."""

    begin: int
    end: int
    stopped: int
    resumed: int

    @property
    def pause_ms(self) -> float:
        """How long the machine itself stood still: STOP to RESUME."""
        return (self.resumed - self.stopped) / _MS


@dataclass(frozen=True, slots=True)
class Silence:
    """What came of the probes of one direction that were sent in a stretch, and the longest silence at the receiver.

    :param resumed_ms: from RESUME to the arrival of the first probe that was sent after it; ``None`` if none came.
    """

    sent: int
    lost: int
    duplicated: int
    reordered: int
    gap_ms: float
    resumed_ms: float | None


@dataclass(frozen=True, slots=True)
class Effect:
    """What a move did, in all directions that were probed."""

    pause_ms: float
    directions: tuple[Silence, ...]

    @property
    def lost(self) -> int:
        """Probes that never came."""
        return sum(each.lost for each in self.directions)

    @property
    def duplicated(self) -> int:
        """Probes that came again, each time."""
        return sum(each.duplicated for each in self.directions)

    @property
    def reordered(self) -> int:
        """Probes that came after a later one."""
        return sum(each.reordered for each in self.directions)

    @property
    def gap_ms(self) -> float:
        """The longest silence of any direction."""
        return max(each.gap_ms for each in self.directions)

    @property
    def network_ms(self) -> float:
        """What the network added: the longest silence less the machine's own pause, and never less than nothing."""
        return max(0.0, self.gap_ms - self.pause_ms)

    @property
    def resumed_ms(self) -> float | None:
        """How long after RESUME the last direction came to life; ``None`` if one never did."""
        after = [each.resumed_ms for each in self.directions]
        return None if None in after else max(each for each in after if each is not None)


def silence(trace: Trace, stretch: Stretch) -> Silence:
    """What became of the probes of one stretch.

    A probe belongs to the stretch in which it was sent.  When a lost one was sent is not known, but its number says
    between which two others.
    """
    # Numbers and departures grow together, so that the order of numbers is that of departures; copies stay together.
    order = sorted(range(len(trace.numbers)), key=trace.numbers.__getitem__)
    departures = [trace.departures[i] for i in order]
    first, last = bisect_left(departures, stretch.begin), bisect_left(departures, stretch.end)
    if first == last:
        return Silence(0, 0, 0, 0, (stretch.end - stretch.begin) / _MS, None)
    mine = order[first:last]
    numbers = {trace.numbers[i] for i in mine}
    # What was lost just before the first one was sent with it: the one before it that came is the last stretch's.
    since = trace.numbers[order[first - 1]] + 1 if first else trace.numbers[mine[0]]
    sent = trace.numbers[mine[-1]] + 1 - since
    after = [trace.arrivals[i] for i in mine if trace.departures[i] >= stretch.resumed]
    return Silence(
        sent,
        sent - len(numbers),
        len(mine) - len(numbers),
        sum(late(trace.numbers, sorted(mine))),
        longest_gap(trace.arrivals, stretch) / _MS,
        (min(after) - stretch.resumed) / _MS if after else None,
    )


def late(numbers: Sequence[int], arrived: Sequence[int]) -> Iterable[bool]:
    """Of each of some probes in the order they came, whether a later one of them had come before it.

    A further copy of one that has come already is counted as a duplicate, not here.
    """
    came = [numbers[i] for i in arrived]
    seen: set[int] = set()
    for number, highest in zip(came, accumulate(came, max), strict=True):
        yield number < highest and number not in seen
        seen.add(number)


def longest_gap(arrivals: Sequence[int], stretch: Stretch) -> int:
    """The longest silence of a receiver that ended in the stretch, wherever it began."""
    first, last = bisect_left(arrivals, stretch.begin), bisect_left(arrivals, stretch.end)
    heard = arrivals[max(0, first - 1) : last]
    return max((after - before for before, after in pairwise(heard)), default=stretch.end - stretch.begin)


def effects(traces: Sequence[Trace], stretches: Iterable[Stretch]) -> list[Effect]:
    """What each move of a series did."""
    return [Effect(each.pause_ms, tuple(silence(trace, each) for trace in traces)) for each in stretches]


def steps(samples: Iterable[float]) -> tuple[list[float], list[float]]:
    """A cumulative distribution as the corners of its line: which part of the samples is at most that much."""
    ordered = sorted(samples)
    return ordered, [(i + 1) / len(ordered) for i in range(len(ordered))]
