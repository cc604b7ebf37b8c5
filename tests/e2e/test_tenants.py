"""Two tenants with the same MACs, IPs and names never hear each other, whatever they or the operator change.

The short version of ``python -m bench.tenants``, which says how.
"""

from __future__ import annotations

import os

import pytest

from bench import tenants
from bench.bed import bed
from bench.marks import Kind, Verdict
from bench.tenants import Outcome

pytestmark = [pytest.mark.root, pytest.mark.slow]

SECONDS = 20.0
KINDS = 15
"""Of changes: as many are done once at least."""


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """What a short life of both has shown."""
    with bed(f"tenants-{os.getpid()}", tenants.TOPOLOGY, {}) as place:
        return tenants.run(place, seed=7, seconds=SECONDS, say=print)


def test_a_crossing_would_be_counted(outcome: Outcome) -> None:
    """A frame of the other tenant's mark, and one without any, are counted where they are injected on purpose."""
    assert min(outcome.control) > 0


def test_no_frame_crosses(outcome: Outcome) -> None:
    """No machine hears a frame of another network, or one that nothing explains, and none escaped the counter."""
    assert outcome.crossings == ()
    assert outcome.frames(Verdict.CROSSING) == 0
    assert outcome.frames(Verdict.UNEXPLAINED) == 0
    assert not [name for name, tally in outcome.tallies.items() if tally.missed]


def test_everybody_hears_its_own(outcome: Outcome) -> None:
    """Every machine hears unicast and broadcast of its own network, and each of its peers in the end."""
    assert outcome.deaf == {}
    silent = [
        name
        for name, tally in outcome.tallies.items()
        for kind in (Kind.UNICAST, Kind.UNICAST6, Kind.BROADCAST)
        if not tally.heard([kind])
    ]
    assert silent == []
    assert all(outcome.sent[kind] for kind in Kind)


def test_changes_were_made(outcome: Outcome) -> None:
    """Everything that is to happen has happened, and nothing was refused without a reason."""
    assert len({each.kind for each in outcome.deeds}) >= KINDS
    assert outcome.unexpected == ()


def test_nothing_of_the_other_is_shown(outcome: Outcome) -> None:
    """What the API shows a tenant holds its own objects, and no id, word or address of the other's."""
    assert min(outcome.shown.values()) > 0
    assert outcome.leaks == ()
