"""Are links that come and go left alone until they have been good for long enough?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.events import PortChanged
from controller.fabric.changes import Effect, LinkSeen, Tick
from controller.fabric.flaps import PENALTY, Damping, Flaps
from controller.fabric.graph import Fabric
from controller.fabric.plan import LaPlan, PortRef
from controller.fabric.routes import COST, LAST_RESORT, Link
from overlay.refusals import Invalid
from overlay.values import DatapathId

from . import graphs

D = DatapathId
LINK = Link(PortRef(D(1), 1), PortRef(D(2), 1))
DAMPING = Damping(suppress=2 * PENALTY, reuse=PENALTY / 2, half_life=10.0, ceiling=4 * PENALTY)


def flap(fabric: Fabric, link: Link, now: float) -> Effect:
    """Lose a link and see it again."""
    port = fabric.switches[link.a.datapath_id].ports[link.a.port]
    fabric.apply(PortChanged(link.a.datapath_id, replace(port, up=False), gone=False), now)
    fabric.apply(PortChanged(link.a.datapath_id, port, gone=False), now)
    fabric.apply(LinkSeen(*link), now)
    return fabric.apply(LinkSeen(*reversed(link)), now)


def wired(damping: Damping | None) -> tuple[Fabric, Link]:
    """Discover a ring; give one of its links, which the ways between its ends and nobody else's take."""
    wiring = graphs.ring(5)
    fabric = Fabric(LaPlan(), hold=1000.0, damping=damping)
    for change in graphs.discoveries(wiring):
        fabric.apply(change, 0.0)
    for switch in fabric.switches:
        fabric.routes.towards(switch)
    return fabric, Link(*sorted(wiring.cables[0]))


def test_a_loss_adds_a_penalty_that_halves_with_time() -> None:
    """Each loss adds the same; what there is halves within each half-life."""
    flaps = Flaps(DAMPING)
    assert flaps.penalty(LINK, 0.0) == 0.0
    flaps.lost(LINK, 0.0)
    assert flaps.penalty(LINK, 0.0) == PENALTY
    assert flaps.penalty(LINK, 10.0) == PENALTY / 2
    flaps.lost(LINK, 10.0)
    assert flaps.penalty(LINK, 10.0) == PENALTY * 1.5
    assert flaps.penalty(LINK, 30.0) == PENALTY * 1.5 / 4


def test_a_penalty_that_is_too_high_damps_until_it_is_low_again() -> None:
    """From the suppress limit on a link is damped, and not before it is below the reuse limit is it used again."""
    flaps = Flaps(DAMPING)
    flaps.lost(LINK, 0.0)
    assert not flaps.damped
    flaps.lost(LINK, 0.0)
    assert flaps.damped == {LINK}
    assert not flaps.settle(20.0)  # exactly the reuse limit
    assert flaps.damped == {LINK}
    assert flaps.settle(20.1) == {LINK}
    assert not flaps.damped
    assert not flaps.settle(20.2)


def test_links_are_damped_one_by_one() -> None:
    """The penalty of one link is not another's."""
    flaps = Flaps(DAMPING)
    flaps.lost(LINK, 0.0)
    flaps.lost(replace_port(LINK, 2), 0.0)
    assert not flaps.damped


def replace_port(link: Link, port: int) -> Link:
    """Give the parallel link at other ports."""
    return Link(*(end._replace(port=port) for end in link))


def test_no_penalty_is_higher_than_the_ceiling() -> None:
    """However often a link is lost, it is used again after the time that the ceiling allows."""
    flaps = Flaps(DAMPING)
    for _ in range(100):
        flaps.lost(LINK, 0.0)
    assert flaps.penalty(LINK, 0.0) == DAMPING.ceiling
    assert not flaps.settle(30.0)  # half_life × log₂(ceiling / reuse)
    assert flaps.settle(30.1) == {LINK}


def test_without_damping_nothing_is_counted() -> None:
    """When damping is off, a link may come and go as often as it likes."""
    flaps = Flaps(None)
    for _ in range(100):
        flaps.lost(LINK, 0.0)
    assert flaps.penalty(LINK, 0.0) == 0.0
    assert not flaps.damped
    assert not flaps.settle(0.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"reuse": 0.0},
        {"reuse": 3 * PENALTY},
        {"suppress": 13 * PENALTY},
        {"half_life": 0.0},
    ],
)
def test_limits_that_contradict_each_other_are_refused(wrong: dict[str, float]) -> None:
    """Limits out of order, and a time that is none, are refused, naming the section."""
    with pytest.raises(Invalid) as refused:
        Damping(**wrong)
    assert refused.value.field == "damping"


def test_a_flapping_link_becomes_a_last_resort_and_comes_back() -> None:
    """A link that was lost too often costs as a last resort although it is up; after a good time it is as before."""
    fabric, link = wired(DAMPING)
    ends = tuple(end.datapath_id for end in link)
    before = fabric.routes.towards(ends[1])[ends[0]]
    flap(fabric, link, 1.0)
    assert fabric.graph.edges[ends][COST] == 1
    flap(fabric, link, 1.0)
    assert fabric.damped == {link}
    assert link in fabric.links()
    assert fabric.graph.edges[ends][COST] == 1 + LAST_RESORT
    assert fabric.routes.towards(ends[1])[ends[0]] != before
    assert not fabric.apply(Tick(), 21.0)
    effect = fabric.apply(Tick(), 21.1)
    assert set(ends) <= effect.switches
    assert not effect.documents
    assert not fabric.damped
    assert fabric.graph.edges[ends][COST] == 1
    assert fabric.routes.towards(ends[1])[ends[0]] == before


def test_a_damped_link_is_used_where_there_is_no_other() -> None:
    """A link that flaps still carries what only it can carry."""
    fabric, link = wired(DAMPING)
    flap(fabric, link, 1.0)
    flap(fabric, link, 1.0)
    (other,) = (each for each in fabric.links() if link.a.datapath_id in {e.datapath_id for e in each} and each != link)
    port = fabric.switches[other.a.datapath_id].ports[other.a.port]
    fabric.apply(PortChanged(other.a.datapath_id, replace(port, up=False), gone=False), 2.0)
    assert fabric.routes.towards(link.b.datapath_id)[link.a.datapath_id] == graphs.hops(link.a.port)


def test_a_link_that_stays_down_is_forgiven_too() -> None:
    """Time heals also while the link is down: when it comes back then, it is a link as any other."""
    fabric, link = wired(DAMPING)
    flap(fabric, link, 1.0)
    port = fabric.switches[link.a.datapath_id].ports[link.a.port]
    fabric.apply(PortChanged(link.a.datapath_id, replace(port, up=False), gone=False), 1.0)
    assert fabric.damped == {link}
    assert not fabric.apply(Tick(), 50.0)
    assert not fabric.damped


def test_without_damping_a_flapping_link_is_used() -> None:
    """When damping is off, a link costs what it costs."""
    fabric, link = wired(None)
    for _ in range(10):
        flap(fabric, link, 1.0)
    assert not fabric.damped
    assert {cost for *_, cost in fabric.graph.edges(data=COST)} == {1}
