"""Does traffic leave what the operator takes out of use, and is nobody cut off unasked?"""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from controller.events import PortChanged
from controller.fabric.changes import (
    HostSighted,
    LinkSeen,
    LinkTuned,
    Order,
    PolicyChosen,
    SwitchConnected,
    SwitchDisconnected,
    SwitchForgotten,
    SwitchMaintained,
    Tick,
)
from controller.fabric.graph import Fabric
from controller.fabric.groups import GroupAssignment
from controller.fabric.paths import paths
from controller.fabric.plan import LaPlan, PortRef
from controller.fabric.program import program
from controller.fabric.routes import COST, LAST_RESORT, WEIGHTS, Hop, Link
from controller.fabric.upkeep import CAPACITY_MAX, CAPACITY_UNKNOWN, UNTUNED, WEIGHT_MAX, Tuning
from overlay.refusals import Conflict, Invalid, NotFound, Refusal
from overlay.values import DatapathId

from . import graphs

D = DatapathId
NOTHING = GroupAssignment()


def met(fabric: Fabric, wiring: graphs.Wiring) -> set[PortRef]:
    """Name the ports by which packets between any two hosts leave switches; all of them have a way."""
    found = set()
    for source, target in permutations(wiring.hosts, 2):
        ways = paths(fabric, source, target).paths
        assert ways
        found |= {PortRef(step.datapath_id, step.out_port) for path in ways for step in path[:-1]}
    return found


def refused(fabric: Fabric, order: Order, error: type[Refusal]) -> Refusal:
    """Give an order that is refused, and see that nothing has changed."""
    before = fabric.documents(), dict(fabric.graph.edges)
    with pytest.raises(error) as refusal:
        fabric.apply(order, 1.0)
    assert (fabric.documents(), dict(fabric.graph.edges)) == before
    return refusal.value


def test_traffic_leaves_a_switch_in_maintenance() -> None:
    """No way goes through a switch in maintenance while it forwards as ever; afterwards all is as before."""
    wiring = graphs.vl2()
    fabric = graphs.build(wiring)
    before = {switch: program(fabric, switch, NOTHING) for switch in fabric.switches}
    usual = met(fabric, wiring)
    assert any(at.datapath_id == D(200) for at in usual)
    effect = fabric.apply(SwitchMaintained(D(200), on=True), 1.0)
    assert effect.switches
    assert [(document.kind, document.body) for document in effect.documents] == [("maintenance", {})]
    assert not any(at.datapath_id == D(200) for at in met(fabric, wiring))
    assert len(fabric.links()) == len(wiring.cables)
    assert fabric.routes.towards(D(100))[D(200)]  # what is on its way there goes on
    assert not fabric.apply(SwitchMaintained(D(200), on=True), 2.0)
    assert fabric.apply(SwitchMaintained(D(200), on=False), 3.0).documents[0].body is None
    assert {switch: program(fabric, switch, NOTHING) for switch in fabric.switches} == before
    assert met(fabric, wiring) == usual


def test_traffic_leaves_a_link_in_maintenance() -> None:
    """No way takes a link in maintenance, though it is up; either end names it."""
    wiring = graphs.ring(4)
    near, far = wiring.cables[0]
    for end in (near, far):
        fabric = graphs.build(wiring)
        effect = fabric.apply(LinkTuned(end, maintenance=True), 1.0)
        assert [document.kind for document in effect.documents] == ["tuning"]
        assert not {near, far} & met(fabric, wiring)
        assert fabric.apply(LinkTuned(end, maintenance=False), 2.0).documents[0].body is None
        assert {near, far} <= met(fabric, wiring)
        assert not fabric.upkeep.links


def test_one_of_parallel_links_may_be_in_maintenance() -> None:
    """Of parallel links only those that are in use are next hops."""
    wiring = graphs.leafspine(leaves=2, spines=1, parallel=2)
    fabric = graphs.build(wiring)
    fabric.apply(LinkTuned(PortRef(D(100), 1), maintenance=True), 1.0)
    assert fabric.routes.towards(D(101))[D(100)] == (Hop(2),)


def test_what_is_in_maintenance_is_used_where_nothing_else_leads() -> None:
    """When the last other way fails, packets take the switch in maintenance."""
    wiring = graphs.vl2()
    fabric = graphs.build(wiring)
    fabric.apply(SwitchMaintained(D(200), on=True), 1.0)
    port = fabric.switches[D(100)].ports[2]
    fabric.apply(PortChanged(D(100), replace(port, up=False), gone=False), 2.0)
    assert PortRef(D(100), 1) in met(fabric, wiring)


def test_heavy_ways_are_still_better_than_a_last_resort() -> None:
    """A long way over the costliest links is taken before one that is a last resort."""
    wiring = graphs.ring(60)
    fabric = graphs.build(wiring)
    for near, _ in wiring.cables[1:]:
        fabric.apply(LinkTuned(near, weight=WEIGHT_MAX), 1.0)
    fabric.apply(LinkTuned(wiring.cables[0][0], maintenance=True), 1.0)
    assert wiring.cables[0][0].port not in {hop.port for hop in fabric.routes.towards(D(2))[D(1)]}


@pytest.mark.parametrize(
    ("order", "lost"),
    [
        (SwitchMaintained(D(100), on=True), ["10.0.1.11"]),
        (LinkTuned(PortRef(D(100), 1), maintenance=True), ["10.0.1.11"]),
        (SwitchMaintained(D(200), on=True), ["10.0.1.11", "10.0.2.11"]),
    ],
)
def test_hosts_are_not_cut_off_unasked(order: Order, lost: list[str]) -> None:
    """An order that would part hosts from most others is refused, naming them, until it is forced."""
    wiring = graphs.Wiring()
    for leaf in (100, 101, 102):
        wiring.join(leaf, 200)
    wiring.house((100, 101, 102))
    fabric = graphs.build(wiring)
    refusal = refused(fabric, order, Conflict)
    assert refusal.kind == "HostsWouldBeCutOff"
    assert refusal.field == "maintenance"
    assert all(la in refusal.message for la in lost)
    assert "10.0.3.11" not in refusal.message or len(lost) == 2
    assert fabric.apply(replace(order, force=True), 1.0)
    assert met(fabric, wiring)  # still as a last resort


def test_who_is_cut_off_already_stands_in_nobodys_way() -> None:
    """What is parted by a maintenance that was forced does not forbid the next one, which parts nobody else."""
    fabric = graphs.build(graphs.vl2())
    refused(fabric, SwitchMaintained(D(100), on=True), Conflict)
    fabric.apply(SwitchMaintained(D(100), on=True, force=True), 1.0)
    assert fabric.apply(LinkTuned(PortRef(D(100), 1), maintenance=True), 2.0)
    assert fabric.apply(SwitchMaintained(D(200), on=True), 3.0)
    assert fabric.apply(SwitchMaintained(D(300), on=True), 4.0)


def test_those_that_are_cut_off_together_are_not_parted_further() -> None:
    """Hosts that an earlier maintenance has parted from most others still have each other, and are asked for."""
    wiring = graphs.Wiring()
    for near, far in ((1, 2), (2, 3), (3, 4), (4, 5)):
        wiring.join(near, far)
    wiring.house((1, 2, 3, 4, 5))
    fabric = graphs.build(wiring)
    between, inside = wiring.cables[1][0], wiring.cables[0][0]
    fabric.apply(LinkTuned(between, maintenance=True, force=True), 1.0)
    refusal = refused(fabric, LinkTuned(inside, maintenance=True), Conflict)
    assert "10.0.1.11" in refusal.message or "10.0.2.11" in refusal.message


def test_a_switch_without_hosts_may_go_where_nobody_needs_it() -> None:
    """Maintenance of a leaf of the graph without hosts, or of a link to it, parts nobody."""
    wiring = graphs.ring(3)
    wiring.join(1, 9)
    fabric = graphs.build(wiring)
    assert fabric.apply(LinkTuned(wiring.cables[-1][0], maintenance=True), 1.0)
    assert fabric.apply(SwitchMaintained(D(9), on=True), 1.0)


@pytest.mark.parametrize(
    ("order", "error", "field"),
    [
        (SwitchMaintained(D(77), on=True), NotFound, "datapath_id"),
        (LinkTuned(PortRef(D(77), 1), weight=2), NotFound, "id"),
        (LinkTuned(PortRef(D(1), 3), weight=2), NotFound, "id"),
        (LinkTuned(PortRef(D(1), 1), weight=0), Invalid, "weight"),
        (LinkTuned(PortRef(D(1), 1), weight=WEIGHT_MAX + 1), Invalid, "weight"),
        (LinkTuned(PortRef(D(1), 1), capacity_mbps=-1), Invalid, "capacity_mbps"),
        (LinkTuned(PortRef(D(1), 1), capacity_mbps=CAPACITY_MAX + 1), Invalid, "capacity_mbps"),
    ],
)
def test_orders_that_cannot_be_change_nothing(order: Order, error: type[Refusal], field: str) -> None:
    """What is unknown is not found, values out of range are invalid; the field is named."""
    assert refused(graphs.build(graphs.ring(3)), order, error).field == field


def test_a_weight_moves_traffic_and_may_be_taken_back() -> None:
    """A link that costs more is left for a cheaper way round; other parts of what was said stay."""
    wiring = graphs.ring(3)
    fabric = graphs.build(wiring)
    near, far = wiring.cables[0]
    fabric.apply(LinkTuned(near, capacity_mbps=100), 1.0)
    fabric.apply(LinkTuned(far, weight=5), 1.0)
    assert fabric.upkeep.tuning(Link(near, far)) == Tuning(weight=5, capacity_mbps=100)
    assert fabric.graph.edges[near.datapath_id, far.datapath_id][COST] == 5
    assert not {near, far} & met(fabric, wiring)
    assert not fabric.apply(LinkTuned(near, weight=5), 2.0)
    fabric.apply(LinkTuned(near, weight=1, capacity_mbps=0), 3.0)
    assert fabric.upkeep.tuning(Link(near, far)) == UNTUNED
    assert {near, far} <= met(fabric, wiring)


def test_flows_are_shared_by_capacity() -> None:
    """Next hops over links of 10 and of 40 Gbit/s weigh 1 and 4, said by the operator or by the ports."""
    fabric = graphs.build(graphs.leafspine(leaves=2, spines=2, parallel=1))
    assert fabric.routes.towards(D(101))[D(100)] == (Hop(1), Hop(2))
    effect = fabric.apply(LinkTuned(PortRef(D(100), 2), capacity_mbps=40_000), 1.0)
    assert effect.switches == {D(100)}
    assert fabric.routes.towards(D(101))[D(100)] == (Hop(1, 1), Hop(2, 4))
    fabric.apply(LinkTuned(PortRef(D(100), 2), capacity_mbps=0), 1.0)
    assert fabric.routes.towards(D(101))[D(100)] == (Hop(1), Hop(2))
    for end in (PortRef(D(100), 2), PortRef(D(200 + 1), 1)):
        port = fabric.switches[end.datapath_id].ports[end.port]
        fabric.apply(PortChanged(end.datapath_id, replace(port, speed=40_000_000), gone=False), 2.0)
    assert fabric.routes.towards(D(101))[D(100)] == (Hop(1, 1), Hop(2, 4))


def test_a_link_carries_what_its_slower_end_does() -> None:
    """The lower of both ports' speeds counts; without any, a link is taken for a usual one."""
    fabric = graphs.build(graphs.ring(3))
    link = fabric.links()[0]
    assert fabric.capacity(link) == CAPACITY_UNKNOWN
    for end, speed in zip(link, (1_000_000, 25_000_000), strict=True):
        port = fabric.switches[end.datapath_id].ports[end.port]
        fabric.apply(PortChanged(end.datapath_id, replace(port, speed=speed), gone=False), 1.0)
    assert fabric.capacity(link) == 1000
    assert set(fabric.graph.edges[tuple(end.datapath_id for end in link)][WEIGHTS].values()) == {(1000,)}
    assert fabric.capacity(Link(PortRef(D(77), 1), PortRef(D(1), 99))) == CAPACITY_UNKNOWN


def test_orders_survive_a_restart_and_a_rewiring() -> None:
    """What the operator has said is restored, and holds for a link that was down in between."""
    wiring = graphs.vl2()
    fabric = graphs.build(wiring)
    near, far = wiring.cables[-1]
    fabric.apply(SwitchMaintained(D(200), on=True), 1.0)
    fabric.apply(LinkTuned(near, weight=3, capacity_mbps=500), 1.0)
    fabric.apply(PolicyChosen("disjoint", 3), 1.0)
    again = Fabric.restore(fabric.documents(), LaPlan(), 2.0)
    assert again.upkeep.switches == {D(200)}
    assert again.upkeep.links == fabric.upkeep.links
    assert (again.policy.name, again.paths) == ("disjoint", 3)
    for switch in fabric.switches:
        assert program(again, switch, NOTHING) == program(fabric, switch, NOTHING)
    port = again.switches[near.datapath_id].ports[near.port]
    again.apply(PortChanged(near.datapath_id, replace(port, up=False), gone=False), 3.0)
    again.apply(PortChanged(near.datapath_id, port, gone=False), 3.0)
    again.apply(LinkSeen(near, far), 3.0)
    again.apply(LinkSeen(far, near), 3.0)
    assert again.graph.edges[near.datapath_id, far.datapath_id][COST] == 3
    assert again.graph.edges[near.datapath_id, far.datapath_id][WEIGHTS][near.datapath_id] == (500,)


def test_a_forgotten_switch_takes_what_was_said_of_it_along() -> None:
    """When a switch is forgotten, its maintenance and what was said about its links are struck out."""
    wiring = graphs.ring(4)
    fabric = graphs.build(wiring)
    fabric.apply(SwitchMaintained(D(1), on=True, force=True), 1.0)
    fabric.apply(LinkTuned(wiring.cables[0][0], weight=2), 1.0)
    fabric.apply(LinkTuned(wiring.cables[2][0], weight=3), 1.0)
    fabric.apply(SwitchDisconnected(D(1)), 2.0)
    effect = fabric.apply(SwitchForgotten(D(1)), 3.0)
    gone = {(document.kind, document.body is None) for document in effect.documents}
    assert {("maintenance", True), ("tuning", True), ("switch", True)} <= gone
    assert not fabric.upkeep.switches
    assert set(fabric.upkeep.links) == {Link(*sorted(wiring.cables[2]))}
    fabric.apply(SwitchConnected(D(1), graphs.ports(1, 2, 3)), 4.0)
    assert not fabric.upkeep.switches


def test_what_is_tried_on_a_twin_happens_to_the_twin_alone() -> None:
    """A twin knows the same, sessions too; whatever happens to it changes nothing in the original."""
    wiring = graphs.vl2()
    fabric = graphs.build(wiring)
    fabric.apply(SwitchMaintained(D(300), on=True), 0.0)
    before = fabric.documents(), {switch: program(fabric, switch, NOTHING) for switch in fabric.switches}
    twin = fabric.twin(1.0)
    assert twin.switches == fabric.switches
    assert {switch: program(twin, switch, NOTHING) for switch in twin.switches} == before[1]
    refused(twin, SwitchForgotten(D(200)), Conflict)
    twin.apply(SwitchMaintained(D(200), on=True), 1.0)
    twin.apply(LinkTuned(PortRef(D(101), 1), weight=9), 1.0)
    twin.apply(PolicyChosen("vlb"), 1.0)
    la, at = next(iter(wiring.hosts.items()))
    twin.apply(HostSighted(la + 1, graphs.mac_of(la + 1), at), 1.0)
    twin.apply(SwitchDisconnected(D(201)), 1.0)
    twin.apply(SwitchForgotten(D(201)), 1.0)
    twin.apply(Tick(), 100.0)
    assert (fabric.documents(), {switch: program(fabric, switch, NOTHING) for switch in fabric.switches}) == before
    assert LAST_RESORT not in {cost for *_, cost in fabric.graph.edges(data=COST)}
