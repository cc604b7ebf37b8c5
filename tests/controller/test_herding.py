"""Elephants are counted beside the owner, and only where a link is busy."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Network

import pytest

from controller.events import PortCounters
from controller.fabric.detours import in_bin, rest
from controller.fabric.elephants import NO_HERD, Bin, Ports, Rule
from controller.fabric.load import Load
from controller.herding import BinsCounted, Herding
from overlay.values import DatapathId
from tests.controller.switches import Later, MemorySession
from tests.fabric import graphs

TOR = DatapathId(100)
THERE = IPv4Network("10.0.4.0/24")
HEAVY = Bin(THERE, 5)
GROUP = 7
SECONDS = 5.0
MBIT = 1_000_000


class Bench:
    """The herding of one switch with two up-links of 20 Mbit/s, with time and traffic in the test's hands."""

    def __init__(self, rule: Rule | None) -> None:
        self.load = Load()
        self.later = Later()
        self.events: list[BinsCounted] = []
        self.ports: Ports = (1, 2)
        self.herding = Herding(
            graphs.build(graphs.vl2()),
            self.load,
            rule=rule,
            usual_mbps=20,
            next_hops=self._next_hops,
            spawn=self.later,
            sink=self.events.append,
        )
        self.session: MemorySession | None = MemorySession([rest(THERE, GROUP), in_bin(HEAVY, GROUP)])
        self.now = 0.0
        self._sent = {1: 0, 2: 0}

    def _next_hops(self, datapath_id: DatapathId) -> Mapping[IPv4Network, Ports]:
        assert datapath_id == TOR
        return {THERE: self.ports}

    def passes(self, *, one: float, two: float = 0.0, heavy: float = 0.0) -> None:
        """Let five seconds pass, in which the up-links and the heavy bin carry so many Mbit/s."""
        self.now += SECONDS
        for port, mbits in ((1, one), (2, two)):
            self._sent[port] += int(mbits * MBIT * SECONDS / 8)
        counters = (PortCounters(port, 0, 0, 0, octets, 0, 0, 0, 0) for port, octets in self._sent.items())
        self.load.counted(TOR, counters, self.now)
        if self.session is not None:
            key = in_bin(HEAVY, GROUP).key
            self.session.met[key] = self.session.met.get(key, 0) + int(heavy * MBIT * SECONDS / 8)

    def tick(self) -> bool:
        """Let an interval begin, and whoever is asked answer; whether the switch's program has changed."""
        changed = TOR in self.herding.tick({TOR: self.session}, self.now)
        self.later.run()
        events, self.events[:] = list(self.events), []
        for event in events:
            at = BinsCounted(event.datapath_id, event.session, event.met, self.now)
            changed |= self.herding.counted(at)
        return changed


class TorSession(MemorySession):
    """A session of the one switch."""

    @property
    def datapath_id(self) -> DatapathId:
        return TOR


@pytest.fixture
def bench() -> Bench:
    """Herding that is on, with a first count of the ports behind it."""
    made = Bench(Rule(0.8, SECONDS))
    made.session = TorSession([rest(THERE, GROUP), in_bin(HEAVY, GROUP)])
    made.passes(one=0)
    assert not made.tick()
    return made


def test_a_calm_switch_is_left_alone(bench: Bench) -> None:
    """As long as no link is busy nothing is counted, and no switch is asked."""
    for _ in range(3):
        bench.passes(one=15, two=15)
        assert not bench.tick()
    assert bench.herding.herds == {}


def test_an_elephant_on_a_busy_link_is_found_and_moved(bench: Bench) -> None:
    """A busy link has its bins counted for one interval; then the heavy one is pinned to the other link."""
    bench.passes(one=20)
    assert bench.tick()
    assert bench.herding.of(TOR).counted == {THERE: (1, 2)}
    bench.passes(one=20, heavy=10)
    assert bench.tick()
    assert {each: pin.port for each, pin in bench.herding.of(TOR).pins.items()} == {HEAVY: 2}
    bench.passes(one=10, two=10, heavy=10)
    assert bench.tick()  # the bins of the rest are not counted any more
    assert bench.herding.of(TOR).counted == {}
    bench.passes(one=10, two=10, heavy=10)
    assert not bench.tick()
    bench.passes(one=10, two=0, heavy=0)
    assert bench.tick()
    assert not bench.herding.of(TOR)
    assert bench.herding.herds == {}


def test_bins_that_started_anew_are_not_known(bench: Bench) -> None:
    """A bin whose counter went back, as that of a flow that was put anew, moves nothing until it is counted again."""
    bench.passes(one=20)
    assert bench.tick()
    bench.passes(one=20, heavy=1)
    assert not bench.tick()
    assert bench.session is not None
    bench.session.met[in_bin(HEAVY, GROUP).key] = -int(10 * MBIT * SECONDS / 8)
    bench.passes(one=20, heavy=10)
    assert not bench.tick()
    bench.passes(one=20, heavy=10)
    assert bench.tick()


def test_next_hops_that_change_end_a_pin(bench: Bench) -> None:
    """When the prefix has other next hops, the switch is told to follow them alone."""
    bench.passes(one=20)
    bench.tick()
    bench.passes(one=20, heavy=10)
    bench.tick()
    bench.ports = (1,)
    bench.passes(one=10)
    assert bench.tick()
    assert bench.herding.of(TOR).pins == {}


def test_a_switch_that_does_not_answer_keeps_what_it_has(bench: Bench) -> None:
    """Silence decides nothing, and the switch is asked again; so does a session that is gone, until it is back."""
    bench.passes(one=20)
    assert bench.tick()
    before = bench.herding.of(TOR)
    assert bench.session is not None
    bench.session.silent = True
    bench.passes(one=20, heavy=10)
    assert not bench.tick()
    session, bench.session = bench.session, None
    bench.passes(one=20)
    assert not bench.tick()
    assert bench.herding.of(TOR) == before
    session.silent = False
    bench.session = session
    bench.passes(one=20, heavy=10)
    assert bench.tick()


def test_a_slow_switch_is_not_asked_twice(bench: Bench) -> None:
    """A question that is open is not asked again, and the answer to an older session's is not heard."""
    bench.passes(one=20)
    assert bench.tick()
    for _ in range(2):
        bench.now += SECONDS
        bench.herding.tick({TOR: bench.session}, bench.now)
    assert len(bench.later.waiting) == 1
    assert not bench.herding.counted(BinsCounted(TOR, MemorySession(), {}, bench.now))


def test_a_switch_that_is_forgotten_has_no_elephants(bench: Bench) -> None:
    """What was pinned on a switch that the fabric does not know any more is forgotten with it."""
    bench.passes(one=20)
    assert bench.tick()
    bench.now += SECONDS
    bench.herding.tick({}, bench.now)
    assert bench.herding.herds == {}


def test_off_is_off() -> None:
    """Without a rule nothing is ever counted, asked or pinned, however busy a link is."""
    bench = Bench(None)
    for _ in range(3):
        bench.passes(one=40, heavy=40)
        assert not bench.tick()
    assert bench.session is not None
    assert not bench.herding.counted(BinsCounted(TOR, bench.session, {}, bench.now))
    assert bench.herding.of(TOR) == NO_HERD
