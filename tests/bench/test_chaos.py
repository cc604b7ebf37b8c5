"""The chaos run blames the right event, and sees a difference where there is one."""

from __future__ import annotations

from random import Random

import networkx as nx
import pytest

from bench import afresh
from bench.mishaps import HOST, Event, Mishap, Odds, following, joined, spared, standing
from bench.overflows import Overflow
from bench.story import BUSY, BY_CONTROLLER, BY_SWITCHES, CUT, UNEXPLAINED, Story
from topologies.probe import stretches
from topologies.probing import Outage

MS = 1_000_000
SECOND = 1000 * MS


@pytest.fixture
def graph() -> nx.Graph[str]:
    """Two racks on two spines."""
    graph: nx.Graph[str] = nx.Graph(
        [
            ("leaf1", "spine1"),
            ("leaf1", "spine2"),
            ("leaf2", "spine1"),
            ("leaf2", "spine2"),
            ("h1", "leaf1"),
            ("h2", "leaf2"),
        ]
    )
    graph.add_nodes_from(["h1", "h2"], **{HOST: True})
    return graph


def event(*ends: str, at: int, back: bool = False, used: int = 0) -> Event:
    """Something that took 20 ms; times in seconds."""
    return Event(Mishap(ends), back, at * SECOND, at * SECOND + 20 * MS, used * SECOND)


def test_runs_of_lost_probes_are_told_by_the_probes_beside_them():
    """Every run of probes that never came is told by its first and last, and by when the ones beside it were sent."""
    assert list(stretches([10, 20, 0, 0, 50, 0, 70])) == [(2, 3, 20, 50), (5, 5, 50, 70)]
    assert list(stretches([0, 20])) == [(0, 0, 0, 20)]
    assert list(stretches([10, 20])) == []


def test_a_seed_tells_one_story(graph):
    """The same seed gives the same failures, and never more at once than asked for."""

    def story(seed: int) -> list[tuple[Mishap, bool]]:
        rng, down, told = Random(seed), frozenset[Mishap](), []  # noqa: S311
        for _ in range(200):
            mishap, back = following(rng, graph, down, [("h1", "h2")], Odds(most=2))
            down = down - {mishap} if back else down | {mishap}
            assert len(down) <= 2
            told.append((mishap, back))
        return told

    assert story(1) == story(1)
    assert story(1) != story(2)


def test_daemons_die_only_if_asked_for(graph):
    """A daemon that dies behind links that stay up is among the failures only where that is asked for."""

    def silent(odds: Odds) -> set[bool]:
        rng = Random(1)  # noqa: S311
        return {following(rng, graph, frozenset(), [], odds)[0].silent for _ in range(100)}

    assert silent(Odds()) == {False}
    assert silent(Odds(silent=True)) == {False, True}


def test_hosts_stay_joined_where_nothing_may_be_cut(graph):
    """With no odds of a cut, what is left always joins the pairs; hypervisors and their cables never fail."""
    rng, down = Random(3), frozenset[Mishap]()  # noqa: S311
    for _ in range(200):
        mishap, back = following(rng, graph, down, [("h1", "h2")], Odds(most=2, cut=0.0))
        assert not {"h1", "h2"} & set(mishap.ends)
        down = down - {mishap} if back else down | {mishap}
        assert joined(standing(graph, down), [("h1", "h2")])


def test_only_a_switch_with_another_next_hop_repairs_alone(graph):
    """The cable above the sender has an equal beside it; the one down to the receiver's rack has none."""
    assert spared(graph, Mishap(("leaf1", "spine1")), "h1", "h2")
    assert not spared(graph, Mishap(("leaf1", "spine1")), "h2", "h1")
    assert spared(graph, Mishap(("spine1",)), "h1", "h2")


def test_an_outage_is_the_doing_of_the_event_before_it(graph):
    """An outage belongs to the failure before it, and to none that is long past."""
    story = Story(graph, [event("spine1", "leaf1", at=10), event("leaf1", "spine1", at=20, back=True, used=21)])
    found = story.explain("h2", "h1", Outage(5, 10 * SECOND + 5 * MS, 10 * SECOND + 50 * MS))
    assert (found.event, found.kind) == (story.events[0], f"link fails, {BY_CONTROLLER}")
    assert story.explain("h1", "h2", Outage(5, 10 * SECOND, 10 * SECOND + MS)).kind == f"link fails, {BY_SWITCHES}"
    assert story.explain("h1", "h2", Outage(5, 15 * SECOND, 16 * SECOND)).kind == UNEXPLAINED


def test_who_is_cut_off_is_not_a_black_hole(graph):
    """While nothing joins the ends nothing can get through; the time counts from when there is a way again."""
    story = Story(graph, [event("leaf1", at=10), event("leaf1", at=20, back=True, used=22)])
    found = story.explain("h1", "h2", Outage(5, 10 * SECOND, 22 * SECOND + 70 * MS))
    assert (found.kind, found.ms) == (CUT, 70.0)


def test_what_a_busy_machine_lost_is_not_blamed_on_the_fabric(graph):
    """An outage in which switches' sockets dropped as much as it has lost is the machine's."""
    overflows = [Overflow("leaf1", 15 * SECOND, 15 * SECOND + 100 * MS, 7)]
    story = Story(graph, [event("spine1", at=10)], overflows)
    assert story.explain("h1", "h2", Outage(5, 15 * SECOND, 15 * SECOND + 9 * MS)).kind == BUSY
    assert story.explain("h1", "h2", Outage(8, 15 * SECOND, 15 * SECOND + 9 * MS)).kind == UNEXPLAINED
    assert story.explain("h1", "h2", Outage(5, 12 * SECOND, 12 * SECOND + 9 * MS)).kind == UNEXPLAINED


def test_group_numbers_are_of_no_account():
    """Flows are the same when they go to equal groups of other numbers, and differ when a bucket does."""
    flow = " cookie=0x1, table=3, priority=124,ip,nw_dst=10.0.2.0/24 actions=dec_ttl,group:{}\n"
    group = " group_id={},type=select,bucket=bucket_id:0,watch_port:1,actions=output:1{}\n"
    one = afresh.canonical(flow.format(7), group.format(7, ""))
    assert one == afresh.canonical(flow.format(9), group.format(9, ""))
    more = ",bucket=bucket_id:1,watch_port:2,actions=output:2"
    assert one != afresh.canonical(flow.format(9), group.format(9, more))
    assert afresh.differing({"s1": frozenset(one)}, {"s1": frozenset()}) == [f"s1: lost {one[0]}"]
