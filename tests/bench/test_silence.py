"""What a move did to probes is told from when they were sent and came."""

from __future__ import annotations

import pytest

from bench.silence import Effect, Silence, Stretch, effects, silence, steps
from topologies.probing import Trace

MS = 1_000_000


def trace(*probes: tuple[int, float]) -> Trace:
    """Probes sent a millisecond apart from 0 on: their numbers and arrivals in ms, in the order they came."""
    numbers = [number for number, _ in probes]
    return Trace(numbers, [number * MS for number in numbers], [int(arrival * MS) for _, arrival in probes])


def stretch(begin: float, end: float, stopped: float = 0, resumed: float = 0) -> Stretch:
    """A move, in milliseconds."""
    return Stretch(int(begin * MS), int(end * MS), int(stopped * MS), int(resumed * MS))


STEADY = trace(*((i, i + 0.5) for i in range(100)))


def test_nothing_moves_and_nothing_is_lost():
    """Probes that come as they were sent are all there, in order, and a silence is as long as they are apart."""
    found = silence(STEADY, stretch(10, 50, 30, 30))
    assert found == Silence(40, 0, 0, 0, 1.0, 1.0, pytest.approx(0.5))


def test_what_waits_is_late_and_not_lost():
    """Probes that wait for RESUME are not lost; the silence is the pause and what was added to it."""
    held = trace(*((i, i + 0.5 if i < 20 or i >= 50 else 50 + (i - 20) / 100) for i in range(100)))
    (effect,) = effects([held], [stretch(10, 90, 22, 48)])
    assert (effect.lost, effect.duplicated, effect.reordered) == (0, 0, 0)
    assert effect.pause_ms == 26
    assert effect.gap_ms == pytest.approx(30.5)
    assert effect.network_ms == pytest.approx(4.5)
    assert effect.alive_ms == pytest.approx(2.02)


def test_what_never_comes_is_lost():
    """Numbers that never came are counted in the stretch of the probe after them, even across its begin."""
    gone = trace(*((i, i + 0.5) for i in range(100) if not 8 <= i < 12 and not 30 <= i < 33))
    assert silence(gone, stretch(10, 50)).lost == 7
    assert silence(gone, stretch(50, 90)).lost == 0


def test_copies_are_duplicates_and_not_out_of_order():
    """A probe that comes again is a duplicate, however late; one that comes first after a later one is out of order."""
    found = silence(trace((0, 1), (1, 2), (3, 4), (2, 4.5), (1, 5), (4, 6)), stretch(0, 10))
    assert (found.sent, found.lost, found.duplicated, found.reordered) == (5, 0, 1, 1)


def test_a_silence_elsewhere_is_not_the_pauses():
    """What the machine does to a gap far from the pause is the longest gap, but no contribution of the network."""
    hiccup = trace(*((i, i + 0.5 if not 70 <= i < 80 else 80.2) for i in range(100)))
    (effect,) = effects([hiccup], [stretch(10, 95, 30, 30)])
    assert effect.gap_ms == pytest.approx(10.7)
    assert effect.network_ms == pytest.approx(1.0)


def test_a_silence_just_after_resume_is_the_pauses():
    """What was under way at RESUME comes at once; the silence after it is the move's doing all the same."""
    late = trace(*((i, i + 0.5 if i < 30 or i >= 45 else 45.2) for i in range(100)))
    (effect,) = effects([late], [stretch(10, 95, 29, 29)])
    assert effect.network_ms == pytest.approx(15.7)


def test_the_slower_direction_counts():
    """Losses of both directions add up, silences do not; a direction that never comes to life has no time for it."""
    quick, slow = Silence(10, 1, 0, 0, 5, 5, 1), Silence(10, 2, 3, 1, 9, 9, 7)
    both = Effect(2, (quick, slow))
    assert (both.lost, both.duplicated, both.reordered, both.gap_ms) == (3, 3, 1, 9)
    assert (both.network_ms, both.alive_ms) == (7, 7)
    assert Effect(20, (quick, slow)).network_ms == 0
    assert Effect(0, (quick, Silence(0, 0, 0, 0, 5, 5, None))).alive_ms is None


def test_a_dead_stretch_is_one_silence():
    """A stretch in which nothing was sent that came is silent from end to end."""
    assert silence(STEADY, stretch(200, 300)) == Silence(0, 0, 0, 0, 100, 100, None)


def test_a_distribution_ends_at_all():
    """Each step of a distribution is a sample, and the last one is all of them."""
    assert steps([3, 1, 2, 2]) == ([1, 2, 2, 3], [0.25, 0.5, 0.75, 1.0])
