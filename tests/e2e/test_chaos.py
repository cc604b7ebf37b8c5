"""A fabric in which links and switches fail and return at random stays whole.

The short version of ``python -m bench.chaos``, which says how; how *long* outages last is measured there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from bench import chaos
from bench.bed import Bed, bed
from bench.story import ALARM, BUSY, CUT, UNEXPLAINED
from bench.tidings import Tidings
from bench.verdict import Outcome

pytestmark = [pytest.mark.alone, pytest.mark.root, pytest.mark.slow]

TOPOLOGY, PARAMS = "vl2", {"intermediates": 2, "aggregations": 3, "tors": 3}
SECONDS = 20.0
GONE_MS = 1000
"""A way that a repair has not found by then is a black hole."""


@pytest.fixture(scope="module")
def place() -> Iterator[Bed]:
    """A small fabric."""
    with bed(f"chaos-{os.getpid()}", TOPOLOGY, PARAMS) as place:
        yield place


@pytest.fixture(scope="module")
def outcome(place: Bed) -> Outcome:
    """What a short storm has shown."""
    return chaos.run(place, TOPOLOGY, seed=7, seconds=SECONDS, say=print, quiet=1.0)


def test_expired_packets_are_seen(place: Bed) -> None:
    """A packet whose TTL a switch cannot count down is counted there: the counter on which the next tests rely."""
    with Tidings(place.status) as tidings:
        argv = ["ping", "-n", "-c3", "-i0.05", "-W1", "-t1", place.hypervisor("h2").la]
        assert "0 received" in place.lab.run("h1", argv).stdout
    assert tidings.dropped == {place.hypervisor("h1").edge: 3}


def test_every_loss_has_a_cause(outcome: Outcome) -> None:
    """Every probe that was lost was lost in an outage that one event explains."""
    assert any(not event.back for event in outcome.events)
    assert outcome.lost == sum(each.outage.lost for each in outcome.explained)
    assert not outcome.outages(UNEXPLAINED)


def test_no_black_hole_stays(outcome: Outcome) -> None:
    """Where a way is left traffic finds it, and once everything is back nothing is lost any more."""
    assert not [each for each in outcome.explained if each.kind not in {ALARM, BUSY, CUT} and each.ms > GONE_MS]
    assert outcome.lost_when_calm == 0


def test_nothing_goes_round(outcome: Outcome) -> None:
    """No packet is dropped by its TTL, and none passes more switches than there are."""
    assert outcome.hops
    assert outcome.expired == {}
    assert outcome.rounds == {}


def test_switches_hold_what_a_fresh_computation_gives(outcome: Outcome) -> None:
    """In the end the switches hold what they held before, and a controller that starts anew has nothing to change."""
    assert outcome.unlike_before == []
    assert outcome.unlike_fresh == []
    assert outcome.after_restart == (0, 0)
