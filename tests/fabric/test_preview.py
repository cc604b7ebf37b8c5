"""Does a preview say what an order would change, and no more?"""

from __future__ import annotations

import pytest

from controller.fabric.changes import LinkTuned, Order, PolicyChosen, SwitchDisconnected, SwitchForgotten
from controller.fabric.changes import SwitchMaintained as Maintained
from controller.fabric.graph import Fabric
from controller.fabric.groups import GroupAssignment
from controller.fabric.plan import PortRef
from controller.fabric.preview import Preview, previews
from controller.fabric.program import program
from controller.fabric.targets import Target, TargetKind, desired
from overlay.values import DatapathId

from . import graphs

D = DatapathId


def previewed(fabric: Fabric, *orders: Order) -> tuple[Preview, ...]:
    """Preview orders for switches that hold what they should."""
    programs = {switch: program(fabric, switch, GroupAssignment()) for switch in fabric.switches}
    twin = fabric.twin(1.0)
    for order in orders:
        twin.apply(order, 1.0)
    return previews(programs, {switch: desired(fabric, switch) for switch in fabric.switches}, twin)


@pytest.mark.parametrize("policy", ["ecmp", "vlb", "disjoint"])
def test_no_order_changes_nothing(policy: str) -> None:
    """Without an order, and after one that changes nothing, there is nothing to see."""
    fabric = graphs.build(graphs.jellyfish())
    fabric.apply(PolicyChosen(policy), 0.0)
    assert previewed(fabric) == ()
    assert previewed(fabric, PolicyChosen(policy)) == ()


@pytest.mark.parametrize(
    "order", [Maintained(D(200), on=True), LinkTuned(PortRef(D(101), 1), weight=7), PolicyChosen("vlb")]
)
def test_a_preview_is_what_happens(order: Order) -> None:
    """The routes, groups and switches that a preview names are those that change when the order is given."""
    fabric = graphs.build(graphs.vl2())
    said = {preview.datapath_id: preview for preview in previewed(fabric, order)}
    before = {switch: program(fabric, switch, GroupAssignment()) for switch in fabric.switches}
    routes = {switch: desired(fabric, switch) for switch in fabric.switches}
    fabric.apply(order, 1.0)
    assert said
    for switch, held in before.items():
        after = program(fabric, switch, held.assignment)
        assert (switch in said) == (after != held)
        if switch not in said:
            continue
        assert {change.target: (change.before, change.after) for change in said[switch].routes} == {
            target: (routes[switch].get(target), now.get(target))
            for now in [desired(fabric, switch)]
            for target in routes[switch].keys() | now.keys()
            if routes[switch].get(target) != now.get(target)
        }
        assert set(said[switch].groups) == {group.group_id for group in {*held.groups} ^ {*after.groups}}
        flows = {flow.key: flow for flow in held.flows}, {flow.key: flow for flow in after.flows}
        assert said[switch].flows == sum(
            flows[0].get(key) != flows[1].get(key) for key in flows[0].keys() | flows[1].keys()
        )


def test_routes_that_come_and_go_have_one_side_only() -> None:
    """A route that there is not, before or after, is told as none."""
    fabric = graphs.build(graphs.vl2())
    (tor, *_) = previewed(fabric, PolicyChosen("vlb"))
    assert all(change.before is None and change.after for change in tor.routes)
    fabric.apply(SwitchDisconnected(D(103)), 1.0)
    gone = previewed(fabric, SwitchForgotten(D(103)))
    assert D(103) not in {preview.datapath_id for preview in gone}
    assert any(change.before and change.after is None for preview in gone for change in preview.routes)


def test_targets_have_names() -> None:
    """A person reads which packets a route is for."""
    fabric = graphs.build(graphs.vl2())
    fabric.apply(PolicyChosen("vlb"), 0.0)
    names = {str(target) for target in desired(fabric, D(100))}
    assert {"to 10.0.2.0/24", "entering to 10.0.2.0/24", "tag 1"} <= names
    assert Target.of_tag(1).kind is TargetKind.TAG
