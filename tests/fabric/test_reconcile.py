"""Does the comparison find exactly what differs, in an order that a switch can follow?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from controller.events import Installed
from controller.reconcile import Contents, difference
from overlay.flow import Bucket, Flow, Group, Meter, Output, ToGroup, conditions, cookie

FIRST, LEAF = 0x564C0000, 0x564C4000
NONE = 0


def route(number: int, group: int) -> Flow:
    """Make a flow of ours that refers to a group."""
    return Flow(3, 100, conditions({"eth_type": 0x800, "ipv4_dst": number}), cookie(1, number), (ToGroup(group),))


@st.composite
def contents(draw: st.DrawFn, *, mixed: bool = False) -> Contents:
    """Draw flows that refer to groups that are there; a switch may report its groups in any order."""
    hops = draw(st.dictionaries(st.integers(FIRST, FIRST + 4), st.integers(1, 3)))
    groups = [Group(number, (Bucket((Output(port),), watch_port=port),)) for number, port in hops.items()]
    led = draw(st.dictionaries(st.integers(LEAF, LEAF + 4), st.sampled_from(sorted(hops)))) if hops else {}
    groups += (Group(number, (Bucket((ToGroup(to),)),), indirect=True) for number, to in led.items())
    to = draw(st.dictionaries(st.integers(1, 6), st.sampled_from(sorted(hops.keys() | led)))) if hops else {}
    order = draw(st.permutations(groups)) if mixed else groups
    meters = draw(st.dictionaries(st.integers(1, 3), st.integers(1, 2)))
    return Contents(
        tuple(route(number, group) for number, group in to.items()),
        tuple(order),
        tuple(Meter(number, rate, rate) for number, rate in meters.items()),
    )


def leads(group: Group) -> int:
    """Name the group that a leaf leads to; NONE for what is no leaf."""
    return group.buckets[0].actions[0].group_id if group.indirect else NONE


@given(contents(mixed=True), contents())
def test_what_is_sent_makes_the_switch_right_without_a_dangling_group(held: Contents, wanted: Contents) -> None:
    """Applying the difference in its order gives what is wanted, and at no step does a flow or a group refer to no
    group.
    """
    mods = difference(held, wanted)
    groups = {NONE: None} | {group.group_id: group for group in held.groups}
    flows = {flow.key: flow for flow in held.flows}
    for group in mods.put_groups:
        assert group.group_id not in groups
        assert leads(group) in groups
        groups[group.group_id] = group
    for group in mods.changed_groups:
        assert group.group_id in groups
        assert leads(group) in groups
        groups[group.group_id] = group
    for flow in mods.put:
        assert flow.actions[0].group_id in groups
        flows[flow.key] = flow
    for flow in mods.remove:
        del flows[flow.key]
    for number in mods.remove_groups:
        assert all(flow.actions[0].group_id != number for flow in flows.values())
        assert all(leads(group) != number for group in groups.values() if group and group.indirect)
        del groups[number]
    assert set(flows.values()) == set(wanted.flows)
    assert set(groups.values()) == {None, *wanted.groups}
    meters = {meter.meter_id: meter for meter in (*held.meters, *mods.meters)}
    assert all(meters[meter.meter_id] == meter for meter in wanted.meters)


@given(contents())
def test_what_is_right_is_left_alone(held: Contents) -> None:
    """A switch that holds what it should is sent nothing."""
    installed = Installed(tuple((flow, 17) for flow in held.flows), tuple(held.groups), tuple(held.meters))
    assert len(difference(Contents.of(installed), held)) == 0


def test_what_is_not_ours_is_left_alone() -> None:
    """Flows and groups without our mark, and meters that nobody wants, are not removed."""
    foreign = Flow(0, 1, (), 0x1234, (Output(1),))
    group = Group(7, (Bucket((Output(1),)),))
    assert len(difference(Contents((foreign,), (group,), (Meter(9, 1, 1),)), Contents())) == 0


def test_a_flow_with_other_data_is_put_and_not_removed() -> None:
    """A flow whose actions changed is put once: to add it again replaces it."""
    mods = difference(Contents((route(1, FIRST),)), Contents((route(1, FIRST + 1),)))
    assert mods.put == (route(1, FIRST + 1),)
    assert mods.remove == ()
