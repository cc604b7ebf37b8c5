"""Do groups keep their numbers, so that a failure changes groups and not routes?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.events import Installed, PortChanged
from controller.fabric.groups import SPARE, GroupAssignment, assign_groups, is_ours
from controller.fabric.pipeline import ROUTE
from controller.fabric.policies import ANYCAST, POLICIES
from controller.fabric.program import program
from controller.fabric.routes import NextHops
from controller.fabric.targets import Owner, Target, TargetKind, owners
from controller.reconcile import Contents, difference
from overlay.flow import Bucket, DecTtl, Flow, Group, Output, ToGroup, cookie
from overlay.values import DatapathId

from . import graphs
from .graphs import hops

D = DatapathId
NOTHING = GroupAssignment()
destinations = st.integers(0, 9).map(lambda n: Target(TargetKind.PREFIX, 0x0A000000 | n << 8, 24))
next_hops = st.frozensets(st.integers(1, 4), min_size=1).map(lambda ports: graphs.hops(*sorted(ports)))
desires = st.dictionaries(destinations, next_hops)


def after(history: list[Mapping[Target, NextHops]]) -> GroupAssignment:
    """Assign groups through a history of desires."""
    assignment = NOTHING
    for desired in history:
        assignment = assign_groups(assignment, desired)
    return assignment


@given(st.lists(desires, max_size=5), desires)
def test_every_destination_has_a_group_with_its_next_hops(history: list, desired: dict) -> None:
    """Whatever was before, each destination's group has its next-hop set, and no group is without destinations."""
    assignment = assign_groups(after(history), desired)
    assert {to: assignment.hops_of[group] for to, group in assignment.group_of.items()} == desired
    assert set(assignment.hops_of) == set(assignment.group_of.values())
    assert all(map(is_ours, assignment.hops_of))


@given(st.lists(desires, max_size=5), desires)
def test_the_same_desire_again_changes_nothing(history: list, desired: dict) -> None:
    """Assigning twice is assigning once."""
    once = assign_groups(after(history), desired)
    assert assign_groups(once, desired) == once


@given(st.lists(desires, max_size=5), desires, st.randoms(use_true_random=False))
def test_the_order_of_destinations_does_not_matter(history: list, desired: dict, random: object) -> None:
    """The same previous groups and the same desires, in any order, give the same groups."""
    shuffled = list(desired.items())
    random.shuffle(shuffled)
    previous = after(history)
    assert assign_groups(previous, desired) == assign_groups(previous, dict(shuffled))


@given(st.lists(desires, max_size=3), st.integers(1, 4))
def test_a_port_that_fails_moves_no_destination(history: list, port: int) -> None:
    """Taking one port out of all next-hop sets leaves each destination that is still reached in its group."""
    before = after(history)
    desired = {
        to: left
        for to, group in before.group_of.items()
        if (left := tuple(hop for hop in before.hops_of[group] if hop.port != port))
    }
    later = assign_groups(before, desired)
    assert later.group_of == {to: before.group_of[to] for to in desired}


@given(desires)
def test_destinations_of_one_set_share_a_group(desired: dict) -> None:
    """Without a history, there is one group for each next-hop set."""
    assert len(assign_groups(NOTHING, desired).hops_of) == len(set(desired.values()))


def test_destinations_that_part_ways_leave_the_smaller_part_to_move() -> None:
    """When some destinations of a group get another set, the most of them keep the group."""
    a, b, c = (Target(TargetKind.PREFIX, n << 8, 24) for n in range(3))
    before = assign_groups(NOTHING, dict.fromkeys((a, b, c), hops(1, 2)))
    parted = assign_groups(before, {a: hops(1, 2), b: hops(1), c: hops(1)})
    assert parted.group_of[b] == parted.group_of[c] == before.group_of[b]
    assert parted.group_of[a] != before.group_of[a]
    tied = assign_groups(before, {a: hops(1, 2), b: hops(1, 2, 3)})
    assert tied.group_of[a] == before.group_of[a]
    assert tied.group_of[b] != before.group_of[b]


def test_equal_groups_are_merged_when_there_are_many() -> None:
    """A switch whose groups have nearly all become equal gets rid of the doubles."""
    many = [Target(TargetKind.PREFIX, n << 8, 24) for n in range(SPARE + 3)]
    parted = assign_groups(NOTHING, {to: hops(n + 1) for n, to in enumerate(many)})
    assert len(parted.hops_of) == len(many)
    merged = assign_groups(parted, dict.fromkeys(many, hops(1)))
    assert len(merged.hops_of) == 1
    few = many[: SPARE + 2]
    kept = assign_groups(
        assign_groups(NOTHING, {to: hops(n + 1) for n, to in enumerate(few)}), dict.fromkeys(few, hops(1))
    )
    assert len(kept.hops_of) == len(few)


# ── leaves ────────────────────────────────────────────────────────────────────────────────────────────────────────────

owned = st.dictionaries(destinations, st.integers(0, 3).map(lambda edge: Owner(TargetKind.PREFIX, edge)))
A, B = Owner(TargetKind.PREFIX, 1), Owner(TargetKind.PREFIX, 2)
P, Q, R, S = (Target(TargetKind.PREFIX, n << 8, 24) for n in range(4))


def after_all(history: list[tuple[Mapping[Target, NextHops], Mapping[Target, Owner]]]) -> GroupAssignment:
    """Assign groups through a history of desires and owners."""
    assignment = NOTHING
    for desired, owner_of in history:
        assignment = assign_groups(assignment, desired, owner_of)
    return assignment


@given(st.lists(st.tuples(desires, owned), max_size=4), desires, owned)
def test_every_destination_of_an_owner_is_led_to_its_next_hops(history: list, desired: dict, owner_of: dict) -> None:
    """Whatever was before, each destination chooses among its next hops, most of an owner's by the owner's one leaf;
    no group is without a use, and assigning again changes nothing.
    """
    assignment = assign_groups(after_all(history), desired, owner_of)
    assert {to: assignment.hops(to) for to in assignment.group_of} == desired
    led = set(assignment.group_of.values())
    assert assignment.shared_of.keys() <= led
    assert assignment.hops_of.keys() == {assignment.shared(group) for group in led}
    assert assignment.hops_of.keys().isdisjoint(assignment.shared_of)
    assert all(map(is_ours, (*assignment.hops_of, *assignment.shared_of)))
    for owner in {owner_of[to] for to in desired if to in owner_of}:
        mine = {to for to in desired if owner_of.get(to) == owner}
        if len({desired[to] for to in mine}) == 1:
            (leaf,) = {assignment.group_of[to] for to in mine}
            assert leaf in assignment.shared_of
    assert assign_groups(assignment, desired, owner_of) == assignment


@given(st.lists(st.tuples(desires, owned), max_size=4), desires, owned, st.randoms(use_true_random=False))
def test_the_order_of_owned_destinations_does_not_matter(
    history: list, desired: dict, owner_of: dict, random: object
) -> None:
    """The same previous groups, desires and owners, in any order, give the same groups."""
    shuffled = list(desired.items())
    random.shuffle(shuffled)
    previous = after_all(history)
    assert assign_groups(previous, desired, owner_of) == assign_groups(previous, dict(shuffled), owner_of)


@given(
    st.dictionaries(destinations, st.integers(0, 3).map(lambda edge: Owner(TargetKind.PREFIX, edge)), min_size=1),
    st.lists(st.lists(next_hops, min_size=4, max_size=4), min_size=2, max_size=5),
)
def test_owners_that_part_and_meet_move_no_route(owner_of: dict, ways: list) -> None:
    """While destinations stay where they are, no route leaves its leaf, whatever their next hops become."""
    held = None
    for sets in ways:
        assignment = assign_groups(
            NOTHING if held is None else held, {to: sets[owner.value] for to, owner in owner_of.items()}, owner_of
        )
        assert held is None or assignment.group_of == held.group_of
        assert len(assignment.shared_of) == len(set(owner_of.values()))
        held = assignment


def test_a_destination_that_moves_waits_at_its_leaf_for_its_new_way() -> None:
    """A destination that has another owner already but still its old next hops stays; with neither it has no leaf."""
    before = assign_groups(NOTHING, {P: hops(1), Q: hops(1), R: hops(2), S: hops(2)}, {P: A, Q: A, R: B, S: B})
    moved = {P: A, Q: B, R: B, S: B}
    waiting = assign_groups(before, {P: hops(1), Q: hops(1), R: hops(2), S: hops(2)}, moved)
    assert waiting == before
    there = assign_groups(waiting, {P: hops(1), Q: hops(2), R: hops(2), S: hops(2)}, moved)
    assert there.group_of == {**before.group_of, Q: before.group_of[R]}
    neither = assign_groups(before, {P: hops(1), Q: hops(3), R: hops(2), S: hops(2)}, moved)
    assert neither.group_of[Q] in neither.hops_of
    assert neither.hops(Q) == hops(3)


def test_the_last_destination_of_a_leaf_stays_until_it_is_dropped() -> None:
    """A leaf whose owner is gone keeps its routes as they are while there are any, and is then forgotten."""
    before = assign_groups(NOTHING, {P: hops(1), R: hops(2)}, {P: A, R: B})
    assert assign_groups(before, {P: hops(1), R: hops(2)}, {R: B}) == before
    assert assign_groups(before, {R: hops(2)}, {R: B}).shared_of.keys() == {before.group_of[R]}


def test_most_destinations_of_a_leaf_keep_it() -> None:
    """When destinations of one owner get two, the owner of most of them has the leaf, and the others a new one."""
    before = assign_groups(NOTHING, dict.fromkeys((P, Q, R), hops(1)), dict.fromkeys((P, Q, R), B))
    parted = assign_groups(before, dict.fromkeys((P, Q, R), hops(1)), {P: B, Q: A, R: A})
    assert parted.group_of[Q] == parted.group_of[R] == before.group_of[Q]
    assert parted.group_of[P] not in before.shared_of
    assert parted.hops_of == before.hops_of


@pytest.mark.parametrize("actions", [(), (ToGroup(7),), (ToGroup(0x564C0009),)], ids=["none", "foreign", "gone"])
def test_a_leaf_that_leads_nowhere_is_led_right_again(actions: tuple) -> None:
    """A leaf that somebody has spoilt keeps its number and its routes, and only groups are put right."""
    fabric = graphs.build(graphs.vl2())
    held = program(fabric, D(100), NOTHING)
    spoilt = tuple(replace(each, buckets=(Bucket(actions),)) if each.indirect else each for each in held.groups)
    read = GroupAssignment.from_installed(held.flows, spoilt)
    again = program(fabric, D(100), read)
    mods = difference(Contents(held.flows, spoilt, held.meters), Contents(again.flows, again.groups, again.meters))
    assert (mods.put, mods.remove) == ((), ())
    assert {group.group_id for group in mods.changed_groups if group.indirect} == held.assignment.shared_of.keys()
    assert again.assignment.group_of == held.assignment.group_of


def test_a_failed_uplink_changes_one_group_and_no_route() -> None:
    """When a ToR loses one of its uplinks, its group changes, and no flow is sent; and so when it comes back."""
    fabric = graphs.build(graphs.fattree())
    tor = D(1000)
    before = program(fabric, tor, NOTHING)
    port = fabric.switches[tor].ports[1]
    fabric.apply(PortChanged(tor, replace(port, up=False), gone=False), 1.0)
    broken = program(fabric, tor, before.assignment)
    mods = difference(Contents(before.flows, before.groups, before.meters), Contents(broken.flows, broken.groups))
    assert len(mods) == len(mods.changed_groups) == 1


def test_groups_are_read_off_a_switch() -> None:
    """A controller that has forgotten everything finds its assignment in what the switch holds, and sends nothing."""
    fabric = graphs.build(graphs.vl2())
    for switch in fabric.switches:
        before = program(fabric, switch, NOTHING)
        # A history that from-scratch numbering would not repeat:
        port = fabric.switches[switch].ports[1]
        fabric.apply(PortChanged(switch, replace(port, up=False), gone=False), 1.0)
        held = program(fabric, switch, before.assignment)
        foreign = Group(7, (Bucket((Output(1),)),))
        installed = Installed(tuple((flow, 0) for flow in held.flows), (*held.groups, foreign), held.meters)
        previous = GroupAssignment.from_installed(held.flows, installed.groups)
        assert previous == held.assignment
        again = program(fabric, switch, previous)
        assert not difference(Contents.of(installed), Contents(again.flows, again.groups, again.meters))


def test_a_flow_without_a_destination_is_no_route() -> None:
    """A flow that goes to a group of ours but matches no destination is not taken for a route."""
    flow = Flow(ROUTE.id, 1, (), cookie(0, 0), (ToGroup(0x564C0001),))
    assignment = GroupAssignment.from_installed([flow], [Group(0x564C0001, (Bucket((Output(1),)),))])
    assert assignment == GroupAssignment({}, {0x564C0001: hops(1)})


@pytest.mark.parametrize("policy", ["vlb", "disjoint"])
def test_groups_that_write_tags_are_read_off_a_switch_too(policy: str) -> None:
    """Entries and tags, and the tags that buckets write, are found again; actions that we do not know are skipped."""
    fabric = graphs.build(graphs.jellyfish(), policy=POLICIES[policy])
    for switch in fabric.switches:
        held = program(fabric, switch, NOTHING)
        kinds = {target.kind for target in held.assignment.group_of}
        assert kinds == set(TargetKind)
        assert any(hop.tag for hops in held.assignment.hops_of.values() for hop in hops)
        assert GroupAssignment.from_installed(held.flows, held.groups) == held.assignment
    strange = Group(0x564C0001, (Bucket((DecTtl(), Output(1))),))
    assert GroupAssignment.from_installed([], [strange]).hops_of == {0x564C0001: hops(1)}


def test_exceptions_are_read_off_a_switch_too() -> None:
    """Routes to single addresses are found again like routes to prefixes."""
    wiring = graphs.vl2()
    first, *_, last = wiring.hosts
    wiring.hosts[first + 1] = wiring.port(wiring.hosts[first].datapath_id)
    wiring.hosts[first + 9] = wiring.port(wiring.hosts[last].datapath_id)
    fabric = graphs.build(wiring)
    held = program(fabric, D(101), NOTHING)
    assert Target(TargetKind.PREFIX, int(first) + 9) in held.assignment.group_of
    assert GroupAssignment.from_installed(held.flows, held.groups) == held.assignment


def test_what_goes_to_one_edge_switch_has_one_owner_in_each_table() -> None:
    """Prefixes belong to the edge switch that they are behind, the anycast tag to itself, and other tags to nobody."""
    fabric = graphs.build(graphs.vl2(), policy=POLICIES["vlb"])
    found = owners(fabric, TargetKind)
    assert found[Target(TargetKind.PREFIX, 0x0A000100, 24)] == Owner(TargetKind.PREFIX, 100)
    assert found[Target(TargetKind.ENTRY, 0x0A000100, 24)] == Owner(TargetKind.ENTRY, 100)
    assert {to: owner for to, owner in found.items() if to.kind is TargetKind.TAG} == {
        Target.of_tag(ANYCAST): Owner(TargetKind.TAG, ANYCAST)
    }
