"""Does an update reach the switches in an order in which no packet loops and none is sent to who is not ready?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import permutations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.events import PortChanged
from controller.fabric.changes import FabricChange, LinkTuned, PolicyChosen, SwitchMaintained
from controller.fabric.graph import Fabric
from controller.fabric.plan import PortRef
from controller.fabric.policies import POLICIES
from controller.fabric.program import program
from controller.fabric.rollout import LINGER, Stage, stages
from controller.fabric.routes import Hop
from controller.fabric.targets import Desired, Target, TargetKind, desired, ranks
from overlay.refusals import Refusal
from overlay.values import DatapathId

from . import graphs
from .graphs import hops
from .model import Deployed

D = DatapathId
PREFIX, OTHER = Target(TargetKind.PREFIX, 0x0A000100, 24), Target(TargetKind.PREFIX, 0x0A000200, 24)
ENTRY, TAG = Target(TargetKind.ENTRY, 0x0A000100, 24), Target.of_tag(17)


def plan(held: Mapping[int, Desired], wanted: Mapping[int, Desired]) -> tuple[Stage, ...]:
    """Plan for switches that are as far from every end as their number, and whose port n leads to switch n."""
    return stages(held, wanted, rank=lambda switch, _: switch, far=lambda _, port: D(port))


def test_nothing_to_do_is_no_step() -> None:
    """Switches that hold what is wanted get nothing."""
    assert plan({D(1): {PREFIX: hops(1, 2)}}, {D(1): {PREFIX: hops(1, 2)}}) == ()


def test_taking_next_hops_away_waits_for_nobody() -> None:
    """A failure is repaired by narrowing sets at once, everywhere, and so is a new share among the same next hops."""
    (step,) = plan(
        {D(3): {PREFIX: hops(1, 2)}, D(4): {PREFIX: hops(1, 2)}},
        {D(3): {PREFIX: hops(1)}, D(4): {PREFIX: (Hop(1, 2), Hop(2, 1))}},
    )
    assert step.routes.keys() == {D(3), D(4)}
    assert not step.after
    assert not step.linger


def test_the_switch_behind_a_new_next_hop_comes_first() -> None:
    """Nearer switches get their new routes before those that send to them; both wait for the switches ahead."""
    near, far = plan({D(3): {}, D(4): {}}, {D(4): {PREFIX: hops(3)}, D(3): {PREFIX: hops(1)}})
    assert (near.routes, near.after) == ({D(3): {PREFIX: hops(1)}}, {D(1)})
    assert (far.routes, far.after) == ({D(4): {PREFIX: hops(3)}}, {D(3)})


def test_targets_share_steps() -> None:
    """Ranks count within a target: two targets that change at one switch each need one step together."""
    (step,) = plan({D(3): {}, D(4): {}}, {D(4): {PREFIX: hops(1)}, D(3): {OTHER: hops(1)}})
    assert step.routes == {D(4): {PREFIX: hops(1)}, D(3): {OTHER: hops(1)}}


def test_routes_go_before_they_are_forgotten_and_tags_after_they_are_written() -> None:
    """A tag's routes stand everywhere before a packet gets it, and stay for a while after none gets it any more."""
    tagged = (Hop(2, 1, 17),)
    without: dict[DatapathId, Desired] = {D(1): {PREFIX: hops(2)}, D(2): {PREFIX: ()}}
    steered: dict[DatapathId, Desired] = {
        D(1): {PREFIX: hops(2), ENTRY: tagged, TAG: hops(2)},
        D(2): {PREFIX: (), TAG: ()},
    }
    *tags, entry = plan(without, steered)
    assert all(TAG in routes for step in tags for routes in step.routes.values())
    assert entry.routes == {D(1): steered[D(1)]}
    assert D(2) in entry.after
    leave, forget = plan(steered, without)
    assert leave.routes == {D(1): {PREFIX: hops(2), TAG: hops(2)}}
    assert (forget.routes, forget.linger) == (without, LINGER)
    assert D(1) in forget.after


def test_where_the_way_ends_is_no_next_hop() -> None:
    """The end of a tag that moves to another switch is not taken for a set that only got narrower."""
    (step,) = plan({D(2): {TAG: hops(1)}}, {D(2): {TAG: ()}})
    assert step.routes == {D(2): {TAG: ()}}


# ── the law ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Switches(Deployed):
    """A fabric's switches while an update is on its way: each holds the routes that it was given last."""

    def __init__(self, fabric: Fabric) -> None:
        super().__init__(fabric)
        self.held = {switch: desired(fabric, switch) for switch in fabric.switches}

    def give(self, fabric: Fabric, switch: DatapathId, routes: Desired) -> None:
        """Let one switch have its new routes."""
        self.held[switch] = dict(routes)
        self.programs[switch] = program(fabric, switch, self.programs[switch].assignment, routes)


def wires(wiring: graphs.Wiring) -> dict[PortRef, PortRef]:
    """Give the far end of every cable's end."""
    return {near: far for cable in wiring.cables for near, far in permutations(cable)}


def moments(fabric: Fabric, switches: Switches, random: Random) -> Iterator[None]:
    """Carry an update out, one switch at a time in any order within a step; yield after each."""
    wanted = {switch: desired(fabric, switch) for switch in fabric.switches}
    for step in stages(switches.held, wanted, rank=ranks(fabric), far=lambda at, port: _far(fabric, at, port)):
        order = sorted(step.routes)
        random.shuffle(order)
        for switch in order:
            switches.give(fabric, switch, step.routes[switch])
            yield
    assert switches.held == wanted


def _far(fabric: Fabric, at: DatapathId, port: int) -> DatapathId | None:
    there = fabric.peer(PortRef(at, port))
    return None if there is None else there.datapath_id


@st.composite
def orders(draw: st.DrawFn, wiring: graphs.Wiring) -> FabricChange:
    """Draw something that happens to a fabric."""
    end = draw(st.sampled_from([end for cable in wiring.cables for end in cable]))
    switch = draw(st.sampled_from(sorted(wiring.switches())))
    return draw(
        st.sampled_from(
            [
                PolicyChosen(draw(st.sampled_from(sorted(POLICIES)))),
                SwitchMaintained(switch, on=draw(st.booleans())),
                LinkTuned(end, weight=draw(st.integers(1, 4))),
                LinkTuned(end, maintenance=draw(st.booleans())),
            ]
        )
    )


@pytest.mark.parametrize("name", sorted(graphs.NETWORKS.keys() - {"fattree"}))
@settings(max_examples=25, deadline=None)
@given(st.data(), st.randoms(use_true_random=False))
def test_no_packet_is_lost_or_loops_while_a_fabric_changes_its_mind(
    name: str, data: st.DataObject, random: Random
) -> None:
    """At every moment of every planned change, by every choice of buckets, packets arrive: none loops, none is lost."""
    wiring = graphs.NETWORKS[name]()
    fabric = graphs.build(wiring, policy=POLICIES[data.draw(st.sampled_from(sorted(POLICIES)))])
    switches, cables = Switches(fabric), wires(wiring)
    for change in data.draw(st.lists(orders(wiring), min_size=1, max_size=3)):
        try:
            fabric.apply(change, 0.0)
        except Refusal:
            continue
        for _ in moments(fabric, switches, random):
            source, target = random.sample(sorted(wiring.hosts), 2)
            arrived = {(wiring.hosts[target], graphs.mac_of(target))}
            assert switches.ends(wiring.hosts[source], target, cables) == arrived, f"{change}: {source} to {target}"


@pytest.mark.parametrize("name", sorted(graphs.NETWORKS.keys() - {"fattree"}))
@settings(max_examples=25, deadline=None)
@given(st.data(), st.randoms(use_true_random=False))
def test_no_packet_loops_while_failures_are_repaired(name: str, data: st.DataObject, random: Random) -> None:
    """When cables fail and return, also in the midst of the repair of others, no packet ever loops."""
    wiring = graphs.NETWORKS[name]()
    fabric = graphs.build(wiring, policy=POLICIES[data.draw(st.sampled_from(sorted(POLICIES)))])
    switches, cables = Switches(fabric), wires(wiring)
    dead: set[PortRef] = set()
    for cable in data.draw(st.lists(st.sampled_from(wiring.cables), min_size=1, max_size=4)):
        up = cable[0] in dead
        for end in cable:
            (dead.discard if up else dead.add)(end)
            port = fabric.switches[end.datapath_id].ports[end.port]
            fabric.apply(PortChanged(end.datapath_id, replace(port, up=up), gone=False), 1.0)
        if up:
            graphs.see(fabric, cable, 1.0)
        patience = data.draw(st.integers(0, 20))
        for _ in moments(fabric, switches, random):
            source, target = random.sample(sorted(wiring.hosts), 2)
            switches.ends(wiring.hosts[source], target, cables, frozenset(dead))  # raises at a loop
            patience -= 1
            if not patience:
                break
