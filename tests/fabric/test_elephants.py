"""Do heavy flows leave a busy link for a next hop that is as good, and never otherwise?"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from controller.events import Installed
from controller.fabric.detours import bin_of, detours, pin_group
from controller.fabric.elephants import (
    BIN_MASK,
    NO_HERD,
    PINS_MAX,
    PREFIXES_MAX,
    Bin,
    Herd,
    Pin,
    Ports,
    Rule,
    Seen,
    check_policy,
    decide,
)
from controller.fabric.groups import GroupAssignment, is_ours
from controller.fabric.pipeline import ELEPHANTS, FABRIC, ROUTE
from controller.fabric.plan import PortRef
from controller.fabric.preview import previews
from controller.fabric.program import program
from controller.fabric.routes import Hop
from controller.fabric.targets import Target, desired
from controller.openflow import codec
from controller.openflow.codec import FlowCommand
from controller.reconcile import Contents, difference
from overlay.flow import FlowKey, Output, ToGroup
from overlay.refusals import Conflict
from overlay.values import DatapathId

from . import graphs
from .model import Deployed

D = DatapathId
TOR = D(100)
NOTHING = GroupAssignment()
RULE = Rule(0.8, 5.0)
THERE, ELSEWHERE = IPv4Network("10.0.4.0/24"), IPv4Network("10.0.3.0/24")
ONE, OTHER = Bin(THERE, 1), Bin(THERE, 2)
LINK = 20e6


def seen(rates: Mapping[int, float], bins: Mapping[Bin, float], ports: Ports = (1, 2)) -> Seen:
    """What a switch with links of 20 Mbit/s carried."""
    return Seen({THERE: ports}, rates, dict.fromkeys(rates, LINK), bins)


def ports_of(herd: Herd) -> dict[Bin, int]:
    """Where bins are pinned."""
    return {each: pin.port for each, pin in herd.pins.items()}


# ── deciding ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_that_collide_part_ways() -> None:
    """A busy link is first looked at; then one of its two elephants goes to the other link, and counting ends."""
    looking = decide(NO_HERD, seen({1: 20e6, 2: 0}, {}), RULE, 0.0)
    assert (looking.counted, looking.pins) == ({THERE: (1, 2)}, {})
    apart = decide(looking, seen({1: 20e6, 2: 0}, {ONE: 11e6, OTHER: 9e6}), RULE, 5.0)
    assert ports_of(apart) == {ONE: 2}
    done = decide(apart, seen({1: 10e6, 2: 10e6}, {ONE: 10e6, OTHER: 10e6}), RULE, 10.0)
    assert (done.counted, ports_of(done)) == ({}, {ONE: 2})


def test_a_link_at_its_threshold_is_not_busy() -> None:
    """Only a link above the threshold is looked at."""
    assert decide(NO_HERD, seen({1: 16e6, 2: 0}, {ONE: 16e6}), RULE, 0.0) == NO_HERD
    assert decide(NO_HERD, seen({1: 16.1e6, 2: 0}, {}), RULE, 0.0).counted == {THERE: (1, 2)}


@pytest.mark.parametrize(
    ("rates", "bins"),
    [
        pytest.param({1: 20e6, 2: 0}, {ONE: 20e6}, id="an elephant that would fill the other link as well"),
        pytest.param({1: 20e6, 2: 7e6}, {ONE: 10e6}, id="no room"),
        pytest.param({1: 20e6, 2: 0}, dict.fromkeys((Bin(THERE, n) for n in range(60)), 0.3e6), id="mice"),
        pytest.param({1: 20e6}, {ONE: 10e6}, id="a next hop of which nothing is known"),
        pytest.param({1: 20e6, 2: 0}, {Bin(ELSEWHERE, 1): 10e6}, id="flows that do not go over the link"),
    ],
)
def test_what_does_not_fit_stays(rates: Mapping[int, float], bins: Mapping[Bin, float]) -> None:
    """Nothing is moved that is no elephant of the busy link, or for which no other next hop has room."""
    assert decide(NO_HERD, seen(rates, bins), RULE, 0.0).pins == {}


def test_no_more_is_moved_than_needed() -> None:
    """Moving ends when the link is not busy any more; the heaviest go first."""
    three = {Bin(THERE, n): rate for n, rate in ((1, 4e6), (2, 6e6), (3, 5e6))}
    assert ports_of(decide(NO_HERD, seen({1: 18e6, 2: 0}, three), RULE, 0.0)) == {Bin(THERE, 2): 2}


def test_the_place_that_one_leaves_is_given_to_nobody_in_the_same_turn() -> None:
    """Two links are busy and a third is empty: what leaves the one may never have been on it, so nothing goes there."""
    herd = decide(NO_HERD, seen({1: 16.1e6, 2: 9e6, 3: 24e6}, {ONE: 6e6, OTHER: 5.5e6}, ports=(1, 2, 3)), RULE, 0.0)
    assert ports_of(herd) == {ONE: 2}


def test_first_fit_takes_the_first() -> None:
    """Of several next hops with room the first is taken, and what was moved there counts at once."""
    two = {ONE: 9e6, OTHER: 8e6}
    herd = decide(NO_HERD, seen({1: 40e6, 2: 5e6, 3: 0}, two, ports=(1, 2, 3)), RULE, 0.0)
    assert ports_of(herd) == {ONE: 2, OTHER: 3}


def test_a_pinned_elephant_is_known_where_it_is() -> None:
    """A bin that is pinned to another port than the busy one is not moved for it, and one pinned there can be."""
    pinned = Herd(pins={ONE: Pin(2, 0, (1, 2))})
    assert ports_of(decide(pinned, seen({1: 20e6, 2: 0}, {ONE: 9e6}), RULE, 9.0)) == {ONE: 2}
    assert ports_of(decide(pinned, seen({1: 0, 2: 20e6}, {ONE: 9e6}), RULE, 9.0)) == {ONE: 1}


def test_an_idle_elephant_goes_back_to_its_group() -> None:
    """A pin is taken off when its bin carried next to nothing for an interval; not while nobody knows."""
    pinned = Herd(pins={ONE: Pin(2, 0, (1, 2))}, moved={ONE: 0.0})
    quiet = seen({1: 0, 2: 0}, {ONE: 0.1e6})
    assert ports_of(decide(pinned, quiet, RULE, 4.9)) == {ONE: 2}
    assert ports_of(decide(pinned, seen({1: 0, 2: 0}, {}), RULE, 9.0)) == {ONE: 2}
    assert decide(pinned, quiet, RULE, 9.0) == Herd(moved={ONE: 9.0})


@pytest.mark.parametrize("ports", [(1, 2, 3), (1,), (2,)])
def test_other_next_hops_end_a_pin(ports: Ports) -> None:
    """A pin ends at once when its prefix has other next hops, even if its port is among them."""
    pinned = Herd({THERE: (1, 2)}, {ONE: Pin(2, 0, (1, 2))}, {ONE: 8.0})
    assert decide(pinned, seen({1: 0, 2: 0}, {ONE: 9e6}, ports), RULE, 9.0) == Herd(moved={ONE: 9.0})
    gone = Seen({}, {}, {}, {ONE: 9e6})
    assert not decide(pinned, gone, RULE, 9.0)


def test_many_prefixes_take_turns() -> None:
    """Where more prefixes are on a busy link than can be counted at once, each has its turn."""
    prefixes = [IPv4Network((0x0A000000 | n << 8, 24)) for n in range(2 * PREFIXES_MAX + 3)]
    busy = Seen(dict.fromkeys(prefixes, (1, 2)), {1: 20e6, 2: 0}, {1: LINK, 2: LINK}, {})
    herd, counted = NO_HERD, set()
    for turn in range(3):
        herd = decide(herd, busy, RULE, 5.0 * turn)
        assert len(herd.counted) == PREFIXES_MAX
        counted |= herd.counted.keys()
    assert counted == set(prefixes)


def test_there_are_only_so_many_pins() -> None:
    """A switch that has no group left for another pin moves nothing more; a slot that is free is used again."""
    pins = {Bin(IPv4Network((n << 8, 24)), 0): Pin(2, n, (1, 2)) for n in range(PINS_MAX)}
    sets = {each.prefix: (1, 2) for each in pins} | {THERE: (1, 2)}
    full = Seen(sets, {1: 20e6, 2: 0}, {1: LINK, 2: LINK}, {ONE: 9e6})
    assert ONE not in decide(Herd(pins=pins), full, RULE, 0.0).pins
    (third, *_) = (each for each, pin in pins.items() if pin.slot == 3)
    del pins[third]
    assert decide(Herd(pins=pins), full, RULE, 0.0).pins[ONE] == Pin(2, 3, (1, 2))


port_sets = st.sampled_from([(1, 2), (1, 2, 3), (2, 3), (1,), (3,)])
prefixes = st.sampled_from([THERE, ELSEWHERE])
bins = st.builds(Bin, prefixes, st.integers(0, 3))
rates = st.floats(0, 30e6)
sights = st.builds(
    Seen,
    sets=st.dictionaries(prefixes, port_sets),
    rates=st.dictionaries(st.integers(1, 3), rates),
    capacities=st.dictionaries(st.integers(1, 3), st.sampled_from([LINK, 10e6, 40e6])),
    bins=st.dictionaries(bins, rates),
)
histories = st.lists(st.tuples(st.floats(0, 7), sights), min_size=1, max_size=12)


@given(histories)
def test_the_laws_of_moving(history: list[tuple[float, Seen]]) -> None:
    """Whatever a switch saw: a bin is never moved twice within an interval unless its next hops changed, only to
    another next hop of its own set that knew room for it, and only off a link that was busy.
    """
    herd, now = NO_HERD, 0.0
    last: dict[Bin, float] = {}
    for pause, sight in history:
        now += pause
        before, herd = herd, decide(herd, sight, RULE, now)
        room = sight.room(RULE.threshold)
        arrived: dict[int, float] = {}
        for each, pin in herd.pins.items():
            assert sight.sets[each.prefix] == pin.ports
            assert pin.port in pin.ports
            assert len(pin.ports) > 1
            was = before.pins.get(each)
            if was == pin:
                continue
            assert now - last.get(each, -RULE.interval) >= RULE.interval
            assert any(room.get(port, 0.0) < 0 for port in pin.ports if port != pin.port)
            assert was is None or room[was.port] < 0
            arrived[pin.port] = arrived.get(pin.port, 0.0) + sight.bins[each]
        for port, carried in arrived.items():
            left = sum(sight.bins[each] for each, was in before.pins.items() if was.port == port and each in sight.bins)
            assert carried <= room[port] + left + 1
        changed = {
            each for each in before.pins.keys() | herd.pins.keys() if before.pins.get(each) != herd.pins.get(each)
        }
        last |= dict.fromkeys(changed, now)
        assert len({pin.slot for pin in herd.pins.values()}) == len(herd.pins)
        assert all(sight.sets[prefix] == ports and len(ports) > 1 for prefix, ports in herd.counted.items())


@given(sights, st.floats(0, 100))
def test_a_calm_switch_holds_nothing(sight: Seen, now: float) -> None:
    """Where no link is above the threshold, nothing is counted and nothing is pinned."""
    assume(all(left >= 0 for left in sight.room(RULE.threshold).values()))
    assert decide(NO_HERD, sight, RULE, now) == NO_HERD


@pytest.mark.parametrize("name", ["shortest", "vlb", "disjoint"])
def test_policies_without_a_choice_at_each_switch_are_refused(name: str) -> None:
    """A policy under which no flow could be moved is refused by name, with the reason."""
    with pytest.raises(Conflict, match=f"policy: {name} does not go together with fabric.elephants") as refused:
        check_policy(name)
    assert (refused.value.status, refused.value.field) == (409, "name")


def test_the_policy_of_equal_cost_is_welcome() -> None:
    """Elephants go together with ECMP."""
    check_policy("ecmp")


# ── what the switch holds ─────────────────────────────────────────────────────────────────────────────────────────────


def encoded(fabric: graphs.Fabric, switch: DatapathId, herd: Herd = NO_HERD) -> list[bytes]:
    """The program of a switch, as bytes."""
    made = program(fabric, switch, NOTHING, herd=herd)
    return [
        *(codec.flow_mod(flow, FlowCommand.ADD, 0) for flow in made.flows),
        *(codec.group_mod(group, codec.Command.ADD, 0) for group in made.groups),
    ]


@pytest.mark.parametrize("name", graphs.NETWORKS)
def test_without_elephants_nothing_of_them_is_there(name: str) -> None:
    """Off, or with nothing to do, a switch's flows and groups are byte for byte those of the routes alone.

    The table stands last, so that it changes no other one's number.
    """
    fabric = graphs.build(graphs.NETWORKS[name]())
    for switch in fabric.switches:
        made = program(fabric, switch, NOTHING)
        assert encoded(fabric, switch) == encoded(fabric, switch, Herd(moved={ONE: 1.0}, turn=3))
        assert all(flow.table < ELEPHANTS.id and flow.goto != ELEPHANTS.id for flow in made.flows)
        assert not any(group.failover for group in made.groups)
    assert ELEPHANTS.id == FABRIC.tables[-1].id == ROUTE.id + 1


def test_a_counted_prefix_is_forwarded_as_before() -> None:
    """Counting alone sends every packet to the group that the plain route sends it to, in one bin each."""
    fabric = graphs.build(graphs.vl2())
    plain, counting = program(fabric, TOR, NOTHING), program(fabric, TOR, NOTHING, herd=Herd({THERE: (1, 2)}))
    (route,) = (flow for flow in plain.flows if flow.table == ROUTE.id and flow not in counting.flows)
    (onward,) = (flow for flow in counting.flows if flow.goto == ELEPHANTS.id)
    assert onward.key == route.key
    there = [flow for flow in counting.flows if flow.table == ELEPHANTS.id]
    assert len(there) == BIN_MASK + 2
    assert {onward.actions + flow.actions for flow in there} == {route.actions}
    assert {bin_of(flow.key) for flow in there} == {None, *(Bin(THERE, n) for n in range(BIN_MASK + 1))}
    assert plain.groups == counting.groups


def test_a_pinned_bin_prefers_its_port_and_has_the_others_behind() -> None:
    """A pinned bin goes to a failover group of its own, whose first bucket is its port; moving it changes only that."""
    fabric = graphs.build(graphs.vl2())
    herds = [Herd(pins={ONE: Pin(port, 0, (1, 2))}) for port in (2, 1)]
    first, second = (program(fabric, TOR, NOTHING, herd=herd) for herd in herds)
    (flow,) = (flow for flow in first.flows if bin_of(flow.key) == ONE)
    assert flow.actions == (ToGroup(pin_group(0)),)
    (group,) = (group for group in first.groups if group.failover)
    assert is_ours(group.group_id)
    assert [(bucket.actions, bucket.watch_port) for bucket in group.buckets] == [((Output(2),), 2), ((Output(1),), 1)]
    mods = difference(Contents(first.flows, first.groups), Contents(second.flows, second.groups))
    assert len(mods) == len(mods.changed_groups) == 1


def test_what_the_herd_says_of_other_next_hops_is_left_out() -> None:
    """A program never follows a pin or a count of a next-hop set that its prefix does not have any more."""
    fabric = graphs.build(graphs.vl2())
    stale = Herd({THERE: (1, 9)}, {ONE: Pin(9, 0, (1, 9)), Bin(IPv4Network("10.9.9.0/24"), 0): Pin(1, 1, (1, 2))})
    assert _parts(program(fabric, TOR, NOTHING, herd=stale)) == _parts(program(fabric, TOR, NOTHING))
    assert detours(NO_HERD, NOTHING).flows == ()


def test_elephants_are_no_change_to_come() -> None:
    """A preview does not take what a switch holds for its elephants for a change of what is previewed."""
    fabric = graphs.build(graphs.vl2())
    held = program(fabric, TOR, NOTHING, herd=Herd({THERE: (1, 2)}, {ONE: Pin(2, 0, (1, 2))}))
    assert previews({TOR: held}, {TOR: desired(fabric, TOR)}, fabric) == ()


def test_elephants_reach_their_end_whatever_dies() -> None:
    """A pinned packet arrives where any other would, also when the port that it is pinned to is dead."""
    wiring = graphs.vl2()
    fabric = graphs.build(wiring)
    deployed = Deployed(fabric)
    herd = Herd({THERE: (1, 2)}, {ONE: Pin(2, 0, (1, 2))})
    deployed.programs[TOR] = program(fabric, TOR, NOTHING, herd=herd)
    wires = dict(wiring.cables) | {far: near for near, far in wiring.cables}
    la = IPv4Address("10.0.4.11")
    start = wiring.hosts[IPv4Address("10.0.1.11")]
    for dead in (frozenset(), frozenset({PortRef(TOR, 2)}), frozenset({PortRef(TOR, 1)})):
        ends = deployed.ends(start, la, wires, dead, udp_src=64 + ONE.value)
        assert ends == {(wiring.hosts[la], graphs.mac_of(la))}


def test_a_restart_takes_pins_off_and_keeps_the_groups_of_routes() -> None:
    """Read back with pins in place, routes keep the groups that they have, and pins are none of them."""
    fabric = graphs.build(graphs.vl2())
    herd = Herd({THERE: (1, 2)}, {ONE: Pin(2, 0, (1, 2))})
    held = program(fabric, TOR, NOTHING, herd=herd)
    read = Installed(tuple((flow, 0) for flow in held.flows), held.groups, held.meters)
    assignment = GroupAssignment.from_installed((flow for flow, _ in read.flows), read.groups)
    assert assignment == held.assignment
    mods = difference(Contents.of(read), Contents(*_parts(program(fabric, TOR, assignment))))
    assert mods.remove_groups == (pin_group(0),)
    assert {flow.table for flow in mods.remove} == {ELEPHANTS.id}
    assert [flow.table for flow in mods.put] == [ROUTE.id]


def _parts(made):
    return made.flows, made.groups, made.meters


def test_a_flow_of_another_shape_is_in_no_bin() -> None:
    """What has no UDP source port counts no bin; a /32 is a prefix like others."""
    lone = IPv4Network("10.0.4.9/32")
    flows = detours(Herd({lone: (1, 2)}), GroupAssignment({Target.of_prefix(lone): 7}, {7: (Hop(1), Hop(2))})).flows
    assert {bin_of(flow.key) for flow in flows} == {None, *(Bin(lone, n) for n in range(BIN_MASK + 1))}
    assert bin_of(FlowKey(0, 0, ())) is None
