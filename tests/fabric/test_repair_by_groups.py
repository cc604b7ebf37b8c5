"""Does a failure change groups alone, however many prefixes and addresses an edge switch has?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from controller.events import Mods, PortChanged
from controller.fabric.changes import SwitchDisconnected
from controller.fabric.graph import Fabric
from controller.fabric.groups import GroupAssignment
from controller.fabric.pipeline import FabricCookie
from controller.fabric.plan import PortRef
from controller.fabric.policies import POLICIES
from controller.fabric.program import SwitchProgram, program
from controller.fabric.rollout import stages
from controller.fabric.targets import TargetKind, desired, ranks
from controller.reconcile import Contents, difference
from overlay.flow import Action, ToGroup
from overlay.values import DatapathId

from . import graphs

NOTHING = GroupAssignment()
NETWORKS = ["vl2", "fattree", "leafspine"]
ROUTES = ["ecmp", "shortest"]


def crowded(name: str, prefixes: int = 2, strangers: int = 2) -> graphs.Wiring:
    """Give each edge switch more prefixes, and hypervisors whose LAs belong to the prefix of its neighbour."""
    wiring = graphs.NETWORKS[name]()
    homes = [(la, at.datapath_id) for la, at in wiring.hosts.items()]
    for number, (la, edge) in enumerate(homes):
        beside = homes[(number + 1) % len(homes)][0]
        for more in range(1, prefixes):
            wiring.hosts[la + (more << 14)] = wiring.port(edge)
        for more in range(strangers):
            wiring.hosts[beside + 100 + more] = wiring.port(edge)
    return wiring


def failures(wiring: graphs.Wiring) -> Iterator[tuple[DatapathId | None, tuple[PortRef, ...]]]:
    """List each failure of one cable or of one switch without hypervisors: the switch, and the ports that go down."""
    for cable in wiring.cables:
        yield None, cable
    edges = {at.datapath_id for at in wiring.hosts.values()}
    for switch in sorted(wiring.switches().keys() - edges):
        ends = ((near, far) for cable in wiring.cables for near, far in (cable, cable[::-1]))
        yield switch, tuple(far for near, far in ends if near.datapath_id == switch)


def fail(fabric: Fabric, dead: DatapathId | None, ports: tuple[PortRef, ...], *, up: bool = False) -> None:
    """Let ports go down, and a switch be gone."""
    if dead is not None:
        fabric.apply(SwitchDisconnected(dead), 1.0)
    for at in ports:
        port = fabric.switches[at.datapath_id].ports[at.port]
        fabric.apply(PortChanged(at.datapath_id, replace(port, up=up), gone=False), 1.0)


def contents(of: SwitchProgram) -> Contents:
    """Give what a switch holds."""
    return Contents(of.flows, of.groups, of.meters)


def repaired(
    wiring: graphs.Wiring, policy: str, dead: DatapathId | None, ports: tuple[PortRef, ...]
) -> dict[DatapathId, Mods]:
    """Tell what each other switch is sent after a failure, and see that it has the same before and after a restart."""
    fabric = graphs.build(wiring, policy=POLICIES[policy])
    before = {switch: program(fabric, switch, NOTHING) for switch in fabric.switches}
    fail(fabric, dead, ports)
    found = {}
    for switch, held in before.items():
        if switch != dead:
            after = program(fabric, switch, held.assignment)
            found[switch] = difference(contents(held), contents(after))
            read = GroupAssignment.from_installed(after.flows, after.groups)
            assert read == after.assignment
            assert not difference(contents(after), contents(program(fabric, switch, read)))
    return found


def counted(mods: Mods) -> int:
    """Count the group-mods of a change."""
    return len(mods.put_groups) + len(mods.changed_groups) + len(mods.remove_groups)


@pytest.mark.parametrize(
    ("name", "policy"),
    [*((name, policy) for name in NETWORKS for policy in ROUTES), ("vl2", "vlb"), ("leafspine", "vlb")],
)
def test_a_failure_of_a_link_or_an_inner_switch_changes_groups_alone(name: str, policy: str) -> None:
    """After any one cable or switch without hypervisors has failed, no other switch is sent a flow."""
    wiring, sent = crowded(name), 0
    for dead, ports in failures(wiring):
        for mods in repaired(wiring, policy, dead, ports).values():
            assert counted(mods) == len(mods)
            sent += len(mods)
    assert sent


@pytest.mark.parametrize(("name", "policy"), [*((name, "ecmp") for name in NETWORKS), ("vl2", "vlb")])
def test_no_step_of_a_repair_sends_a_flow(name: str, policy: str) -> None:
    """On the way through the steps of the ordered update, too, routes that have changed already part from none."""
    wiring, taken = crowded(name), 0
    for dead, ports in failures(wiring):
        fabric = graphs.build(wiring, policy=POLICIES[policy])
        programs = {switch: program(fabric, switch, NOTHING) for switch in fabric.switches if switch != dead}
        held = {switch: desired(fabric, switch) for switch in programs}
        far = {near: end.datapath_id for cable in wiring.cables for near, end in (cable, cable[::-1])}
        fail(fabric, dead, ports)
        plan = stages(
            held,
            {switch: desired(fabric, switch) for switch in programs},
            rank=ranks(fabric),
            far=lambda switch, port, far=far: far.get(PortRef(switch, port)),
        )
        for stage in plan:
            for switch, routes in stage.routes.items():
                before = programs[switch]
                programs[switch] = program(fabric, switch, before.assignment, routes)
                mods = difference(contents(before), contents(programs[switch]))
                assert counted(mods) == len(mods)
                taken += 1
    assert taken


def test_a_top_of_a_fat_tree_that_lost_a_pod_changes_the_flow_of_the_tag_alone() -> None:
    """A core that reaches some edge switch only by a detour is no place to bounce off: it follows the tag instead of
    taking it off, by the one flow that says so; whoever sends to it changes groups alone.
    """
    wiring = crowded("fattree")
    for dead, ports in failures(wiring):
        for switch, mods in repaired(wiring, "vlb", dead, ports).items():
            assert len(mods) - counted(mods) <= (switch >= 3000)
            assert {flow.cookie >> 40 & 0xFF for flow in (*mods.put, *mods.remove)} <= {FabricCookie.TAG}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("policy", ["ecmp", "vlb"])
def test_prefixes_and_exceptions_cost_no_more_group_mods(name: str, policy: str) -> None:
    """How many groups change at a switch does not depend on how many prefixes and addresses edge switches have."""
    few, many = crowded(name, 1, 0), crowded(name, 3, 3)
    for dead, ports in failures(few):
        one, other = (repaired(wiring, policy, dead, ports) for wiring in (few, many))
        assert {switch: counted(mods) for switch, mods in one.items()} == {
            switch: counted(mods) for switch, mods in other.items()
        }


def test_an_edge_switch_that_is_parted_from_others_costs_one_leaf() -> None:
    """Where the next hops towards one edge switch alone change, its leaf is led elsewhere, and that is all."""
    wiring = crowded("vl2", 3, 3)
    fabric = graphs.build(wiring)
    top = DatapathId(300)
    before = program(fabric, top, NOTHING)
    (cable,) = (cable for cable in wiring.cables if {end.datapath_id for end in cable} == {100, 200})
    fail(fabric, None, cable)
    mods = difference(contents(before), contents(program(fabric, top, before.assignment)))
    assert len(mods) == counted(mods) == len(mods.put_groups) + len(mods.changed_groups)
    assert len([group for group in mods.changed_groups if group.indirect]) == 1
    assert len(mods) <= 2
    prefixes = [target for target in before.assignment.group_of if target.kind is TargetKind.PREFIX]
    assert len(prefixes) > 2 * len(before.assignment.shared_of)


def test_a_link_that_comes_back_changes_groups_alone() -> None:
    """What a failure has parted is joined again without a flow, and holds what it held but for numbers."""
    wiring = crowded("vl2")
    fabric = graphs.build(wiring)
    before = {switch: program(fabric, switch, NOTHING) for switch in fabric.switches}
    for cable in wiring.cables:
        fail(fabric, None, cable)
        broken = {switch: program(fabric, switch, held.assignment) for switch, held in before.items()}
        fail(fabric, None, cable, up=True)
        graphs.see(fabric, cable, 2.0)
        for switch, held in broken.items():
            after = program(fabric, switch, held.assignment)
            mods = difference(contents(held), contents(after))
            assert counted(mods) == len(mods)
            assert after.flows == before[switch].flows
            then, now = before[switch].assignment, after.assignment
            assert {to: then.hops(to) for to in then.group_of} == {to: now.hops(to) for to in now.group_of}


def one_level(of: SwitchProgram) -> Contents:
    """Give what a switch held whose routes led to shared groups themselves."""

    def direct(action: Action) -> Action:
        return ToGroup(of.assignment.shared(action.group_id)) if isinstance(action, ToGroup) else action

    flows = tuple(replace(flow, actions=tuple(map(direct, flow.actions))) for flow in of.flows)
    return Contents(flows, tuple(group for group in of.groups if not group.indirect), of.meters)


@pytest.mark.parametrize("policy", ["ecmp", "vlb", "disjoint"])
def test_a_switch_without_leaves_gets_them_and_loses_nothing(policy: str) -> None:
    """A switch that holds routes to shared groups keeps these as they are; leaves come before the flows to them."""
    fabric = graphs.build(crowded("vl2"), policy=POLICIES[policy])
    for switch in fabric.switches:
        held = one_level(program(fabric, switch, NOTHING))
        read = GroupAssignment.from_installed(held.flows, held.groups)
        wanted = program(fabric, switch, read)
        mods = difference(held, contents(wanted))
        assert mods.put_groups
        assert all(group.indirect for group in mods.put_groups)
        assert {each.group_id for group in mods.put_groups for each in group.buckets[0].actions} <= read.hops_of.keys()
        assert len(mods) == len(mods.put_groups) + len(mods.put)
        assert {flow.key for flow in mods.put} <= {flow.key for flow in held.flows}
