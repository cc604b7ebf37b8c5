"""The chaos run blames the right event, and sees a difference where there is one."""

from __future__ import annotations

from random import Random

import networkx as nx
import pytest

from bench import afresh
from bench.alarms import BY_BFD, BY_PORT, GivenUp, given_up
from bench.loops import BIN_SECONDS, longer
from bench.mishaps import HOST, Event, Mishap, Odds, following, joined, spared, standing
from bench.overflows import Overflow
from bench.story import ALARM, BUSY, BY_CONTROLLER, BY_SWITCHES, CUT, UNEXPLAINED, Story
from bench.tidings import PortState, port_state
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


CABLES = {"leaf1-eth1": ("leaf1", "spine1"), "spine1-eth1": ("leaf1", "spine1")}


def said(at: int, switch: str, interface: str, *, carrier: bool, live: bool) -> PortState:
    """What a switch says of a port; time in ms."""
    return PortState(at * MS, switch, interface, carrier, live)


def test_a_port_tells_by_what_it_was_given_up():
    """A cable is given up by BFD where the carrier stays, by the port where that goes too, until the port is live."""
    ports = [
        said(100, "leaf1", "leaf1-eth1", carrier=True, live=False),
        said(130, "spine1", "spine1-eth1", carrier=True, live=False),
        said(131, "spine1", "spine1-eth1", carrier=False, live=False),
        said(150, "leaf1", "leaf1-eth9", carrier=True, live=False),
        said(300, "leaf1", "leaf1-eth1", carrier=True, live=True),
        said(310, "leaf1", "leaf1-eth1", carrier=True, live=True),
        said(900, "spine1", "", carrier=False, live=False),
        said(950, "leaf1", "leaf1-eth1", carrier=True, live=False),
    ]
    assert given_up(ports, CABLES) == (
        GivenUp("leaf1", ("leaf1", "spine1"), BY_BFD, 100 * MS, 300 * MS),
        GivenUp("spine1", ("leaf1", "spine1"), BY_PORT, 130 * MS, 900 * MS),
        GivenUp("leaf1", ("leaf1", "spine1"), BY_BFD, 950 * MS, 0),
    )


def test_the_state_of_a_port_is_read():
    """The message of OpenFlow 1.5 §7.4.3: name, link-down and live bits are where the specification has them."""
    desc = (7).to_bytes(4) + (72).to_bytes(2) + bytes(2) + bytes(6) + bytes(2) + b"leaf1-eth1".ljust(16, b"\0")
    for state, carrier, live in ((0b100, True, True), (0b001, False, False), (0b000, True, False)):
        message = bytes(8) + b"\x02" + bytes(7) + desc + bytes(4) + state.to_bytes(4)
        assert port_state(5, "leaf1", message) == PortState(5, "leaf1", "leaf1-eth1", carrier, live)


def test_an_outage_says_how_its_failure_was_seen(graph):
    """The first switch beside a failure that saw it counts, not the one that failed, and only what came after."""
    seen = [
        GivenUp("leaf1", ("leaf1", "spine1"), BY_PORT, 10 * SECOND - MS, 10 * SECOND),
        GivenUp("spine1", ("leaf1", "spine1"), BY_PORT, 10 * SECOND + MS, 0),
        GivenUp("leaf2", ("leaf2", "spine1"), BY_BFD, 10 * SECOND + 180 * MS, 0),
    ]
    story = Story(graph, [event("spine1", at=10)], given=seen)
    found = story.explain("h1", "h2", Outage(5, 10 * SECOND + 5 * MS, 10 * SECOND + 50 * MS))
    assert found.seen == seen[2]
    assert found.seen_ms == 180.0
    assert found.cause == "spine1 down"


def test_a_cable_that_stood_and_was_given_up_explains_an_outage(graph):
    """BFD that gives up what stands is to blame on the ways that led there, and not for what had failed anyway."""
    alarm = GivenUp("leaf2", ("h2", "leaf2"), BY_BFD, 30 * SECOND, 30 * SECOND + 100 * MS)
    true = GivenUp("leaf1", ("leaf1", "spine1"), BY_BFD, 10 * SECOND + 180 * MS, 11 * SECOND)
    back = event("leaf1", "spine1", at=20, back=True, used=21)
    story = Story(graph, [event("leaf1", "spine1", at=10), back], given=[true, alarm])
    assert story.alarms == (alarm,)
    found = story.explain("h1", "h2", Outage(5, 30 * SECOND + MS, 30 * SECOND + 140 * MS))
    assert (found.kind, found.cause) == (ALARM, "h2–leaf2 given up by leaf2")
    assert story.explain("h1", "leaf1", Outage(5, 30 * SECOND + MS, 30 * SECOND + 140 * MS)).kind == UNEXPLAINED


@pytest.fixture
def ring() -> nx.Graph[str]:
    """Five switches in a ring, with a hypervisor at the first and one at the third."""
    graph: nx.Graph[str] = nx.Graph([(f"s{each}", f"s{each % 5 + 1}") for each in range(1, 6)])
    graph.add_edges_from([("h1", "s1"), ("h2", "s3")])
    graph.add_nodes_from(["h1", "h2"], **{HOST: True})
    return graph


def test_old_routes_and_then_new_ones_explain_a_way(ring):
    """To the broken cable and all the way back is what an ordered update may do; more is not, nor new before old."""
    story = Story(ring, [event("s2", "s3", at=10)])
    around = (9 * SECOND, 11 * SECOND)
    assert story.shortest("h1", "h2", *around) == 4, "s1 s5 s4 s3"
    assert story.longest("h1", "h2", *around) == 6, "s1 s2 s1 s5 s4 s3"
    assert story.longest("h1", "h2", 8 * SECOND, 9 * SECOND) == 3
    assert story.longest("h1", "h2", 11 * SECOND, 12 * SECOND) == 4
    back = event("s2", "s3", at=20, back=True, used=21)
    healed = Story(ring, [event("s2", "s3", at=10), back])
    assert healed.longest("h1", "h2", 15 * SECOND, 22 * SECOND) == 4, "never s1 s2 s1: new, then old"


def test_routes_avoid_what_is_damped_or_given_up(ring):
    """A damped cable is a last resort, and one that BFD gave up is none at all: longer ways are the routes then."""
    damped = [(10 * SECOND, frozenset({("s2", "s3")})), (20 * SECOND, frozenset[tuple[str, str]]())]
    story = Story(ring, [event("s4", "s5", at=15)], damped=damped)
    assert story.shortest("h1", "h2", 11 * SECOND, 12 * SECOND) == 4
    assert story.shortest("h1", "h2", 16 * SECOND, 17 * SECOND) == 3, "no other way is left"
    assert story.shortest("h1", "h2", 21 * SECOND, 22 * SECOND) == 3
    alarm = GivenUp("s2", ("s2", "s3"), BY_BFD, 10 * SECOND, 11 * SECOND)
    assert Story(ring, [], given=[alarm]).shortest("h1", "h2", 10 * SECOND, 10 * SECOND) == 4


def test_strays_are_told_from_detours(ring):
    """Packets are told by moment: which took a longer way than any route, and whether an update explains it."""
    story = Story(ring, [event("s2", "s3", at=10)])
    now, late = int(10 / BIN_SECONDS), int(20 / BIN_SECONDS)
    seen = {
        ("10.0.0.1", "h2", now, 4): 9,
        ("10.0.0.1", "h2", now, 6): 2,
        ("10.0.0.1", "h2", now, 7): 1,
        ("10.0.0.1", "h2", late, 6): 3,
        ("10.0.0.9", "h2", late, 9): 1,
    }
    found = longer(story, seen, {"10.0.0.1": "h1"})
    assert [(each.passed, each.packets, each.lawful) for each in found] == [(6, 2, True), (7, 1, False), (6, 3, False)]


def test_group_numbers_are_of_no_account():
    """Flows are the same when they go to equal groups of other numbers, and differ when a bucket does."""
    flow = " cookie=0x1, table=3, priority=124,ip,nw_dst=10.0.2.0/24 actions=dec_ttl,group:{}\n"
    group = " group_id={},type=select,bucket=bucket_id:0,watch_port:1,actions=output:1{}\n"
    one = afresh.canonical(flow.format(7), group.format(7, ""))
    assert one == afresh.canonical(flow.format(9), group.format(9, ""))
    more = ",bucket=bucket_id:1,watch_port:2,actions=output:2"
    assert one != afresh.canonical(flow.format(9), group.format(9, more))
    assert afresh.differing({"s1": frozenset(one)}, {"s1": frozenset()}) == [f"s1: lost {one[0]}"]
