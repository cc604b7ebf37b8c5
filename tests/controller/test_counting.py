"""Switches are asked for their counters beside the owner, and one that does not answer disturbs nothing."""

from __future__ import annotations

import pytest

from controller.counting import Counting, PortsCounted
from controller.events import PortCounters
from controller.fabric.plan import PortRef
from tests.controller.switches import ID, Later, MemorySession

AT = PortRef(ID, 1)


def counters(octets: int) -> tuple[PortCounters, ...]:
    """What port 1 has carried."""
    return (PortCounters(1, 0, 0, 0, octets, 0, 0, 0, 0),)


class Bench:
    """Counting with everything around it in the test's hands."""

    def __init__(self, interval: float = 1.0) -> None:
        self.later = Later()
        self.events: list[PortsCounted] = []
        self.counting = Counting(interval=interval, spawn=self.later, sink=self.events.append)

    def answer(self) -> None:
        """Let those who were asked answer, and hand the answers over."""
        self.later.run()
        events, self.events[:] = list(self.events), []
        for event in events:
            self.counting.counted(event)


@pytest.fixture
def bench() -> Bench:
    """Counting every second."""
    return Bench()


def test_a_switch_is_asked_at_the_set_rate(bench: Bench) -> None:
    """A connected switch is asked at once and then once in each interval, beside whoever ticks."""
    session = MemorySession()
    asked = []
    for tick in range(31):
        bench.counting.tick({ID: session}, tick / 10)
        asked += [tick] * len(bench.later.waiting)
        bench.answer()
    assert asked == [0, 10, 20, 30]


def test_nobody_is_asked_when_it_is_off() -> None:
    """An interval of zero asks no switch."""
    bench = Bench(0.0)
    bench.counting.tick({ID: MemorySession()}, 1.0)
    assert bench.later.waiting == []


def test_a_slow_switch_is_not_asked_twice(bench: Bench) -> None:
    """As long as a question is open, the switch gets no other; a new session does not wait for the old one's answer."""
    first, second = MemorySession(), MemorySession()
    for now in (0.0, 5.0, 10.0):
        bench.counting.tick({ID: first}, now)
    assert len(bench.later.waiting) == 1
    bench.counting.tick({ID: second}, 11.0)
    assert len(bench.later.waiting) == 2
    first.counters, second.counters = counters(7), counters(8)
    bench.answer()
    reading = bench.counting.load.at(AT)
    assert reading is not None
    assert reading.counters.tx_bytes == 8


def test_answers_become_a_load(bench: Bench) -> None:
    """Two answers give the port's rate."""
    session = MemorySession()
    for now, octets in ((0.0, 0), (1.0, 100)):
        session.counters = counters(octets)
        bench.counting.tick({ID: session}, now)
        bench.answer()
    rate = bench.counting.load.rate(AT)
    assert rate is not None
    assert rate.bits > 0


def test_a_switch_that_does_not_answer_has_no_load(bench: Bench) -> None:
    """A missing answer, or a session that ended, takes the old readings away; it is no error, and is asked again."""
    session = MemorySession()
    session.counters = counters(1)
    bench.counting.tick({ID: session}, 0.0)
    bench.answer()
    assert bench.counting.load.at(AT) is not None
    session.silent = True
    bench.counting.tick({ID: session}, 1.0)
    bench.answer()
    assert bench.counting.load.at(AT) is None
    session.silent = False
    bench.counting.tick({ID: session}, 2.0)
    bench.answer()
    assert bench.counting.load.at(AT) is not None
    bench.counting.tick({ID: None}, 2.1)
    assert bench.counting.load.at(AT) is None
