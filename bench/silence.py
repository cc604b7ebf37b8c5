"""What did each of many moves do to the probes that ran all the time?

A trace holds when every probe was sent and came; a move is a stretch of time in it.  Pure arithmetic, in milliseconds;
times are CLOCK_MONOTONIC, ns.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

from topologies.probing import Trace

_MS: Final = 1e6
_UNDER_WAY: Final = 5_000_000
"""What a probe takes at most that was under way at RESUME: a silence may begin that late and be the pause's doing."""


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
    """What came of the probes of one direction that were sent in a stretch, and how long its receiver heard nothing.

    :param gap_ms: the longest silence.
    :param pause_gap_ms: the longest one around the machine's own pause.
    :param alive_ms: from RESUME to the arrival of the first probe that was sent after STOP; ``None`` if none came.
    """

    sent: int
    lost: int
    duplicated: int
    reordered: int
    gap_ms: float
    pause_gap_ms: float
    alive_ms: float | None


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
        """What the network added to the machine's own pause: the longest silence around that, less the pause.

        It is never less than nothing, and on a machine that does nothing else as much as two probes are apart there.
        """
        return max(0.0, max(each.pause_gap_ms for each in self.directions) - self.pause_ms)

    @property
    def alive_ms(self) -> float | None:
        """How long after RESUME the last direction came to life; ``None`` if one never did."""
        after = [each.alive_ms for each in self.directions]
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
        whole = (stretch.end - stretch.begin) / _MS
        return Silence(0, 0, 0, 0, whole, whole, None)
    mine = order[first:last]
    numbers = {trace.numbers[i] for i in mine}
    # What was lost just before the first one was sent with it: the one before it that came is the last stretch's.
    since = trace.numbers[order[first - 1]] + 1 if first else trace.numbers[mine[0]]
    sent = trace.numbers[mine[-1]] + 1 - since
    after = [trace.arrivals[i] for i in mine if trace.departures[i] >= stretch.stopped]
    gaps = list(silences(trace.arrivals, stretch))
    around = [long for long, begin, end in gaps if begin <= stretch.resumed + _UNDER_WAY and end >= stretch.stopped]
    return Silence(
        sent,
        sent - len(numbers),
        len(mine) - len(numbers),
        sum(late(trace.numbers, sorted(mine))),
        max((long for long, *_ in gaps), default=0) / _MS,
        max(around, default=0) / _MS,
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


def silences(arrivals: Sequence[int], stretch: Stretch) -> Iterator[tuple[int, int, int]]:
    """Every silence of a receiver that ended in the stretch, wherever it began: how long it was, its begin and end."""
    first, last = bisect_left(arrivals, stretch.begin), bisect_left(arrivals, stretch.end)
    for before, after in pairwise(arrivals[max(0, first - 1) : last]):
        yield after - before, before, after


def effects(traces: Sequence[Trace], stretches: Iterable[Stretch]) -> list[Effect]:
    """What each move of a series did."""
    return [Effect(each.pause_ms, tuple(silence(trace, each) for trace in traces)) for each in stretches]


def steps(samples: Iterable[float]) -> tuple[list[float], list[float]]:
    """A cumulative distribution as the corners of its line: which part of the samples is at most that much."""
    ordered = sorted(samples)
    return ordered, [(i + 1) / len(ordered) for i in range(len(ordered))]
