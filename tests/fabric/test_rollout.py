"""Does an update reach the switches in an order in which no packet loops and none is sent to who is not ready?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import islice, permutations
from random import Random
from typing import Final, TypeAlias

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller.events import PortChanged
from controller.fabric.changes import FabricChange, LinkTuned, PolicyChosen, SwitchMaintained
from controller.fabric.graph import Fabric
from controller.fabric.plan import PortRef
from controller.fabric.policies import POLICIES
from controller.fabric.program import program
from controller.fabric.rollout import LINGER, Stage, stages
from controller.fabric.routes import Hop, NextHops
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


Changes: TypeAlias = Mapping[DatapathId, Mapping[Target, NextHops | None]]
"""What one step of an update changes at each switch; None takes a route away."""


def steps(held: Mapping[DatapathId, Desired], plan: Iterable[Stage]) -> tuple[Changes, ...]:
    """Tell the steps of an update by what each of them changes."""
    before, found = dict(held), []
    for stage in plan:
        found.append(
            {
                switch: {
                    target: routes.get(target)
                    for target in sorted(before[switch].keys() | routes.keys())
                    if routes.get(target) != before[switch].get(target)
                }
                for switch, routes in stage.routes.items()
            }
        )
        before.update(stage.routes)
    return tuple(found)


Order: TypeAlias = "Callable[[Sequence[Changes]], Iterable[Changes]]"
"""In which order the steps of an update are carried out."""


def as_planned(plan: Sequence[Changes]) -> Iterable[Changes]:
    """Carry the steps out as they are."""
    return plan


def turned_round(plan: Sequence[Changes]) -> Iterable[Changes]:
    """Carry the last step out first."""
    return reversed(plan)


def moments(
    fabric: Fabric, switches: Switches, random: Random | None = None, order: Order = as_planned
) -> Iterator[None]:
    """Carry an update out, one switch at a time; yield after each.

    :param random: shuffles the switches of a step, which otherwise come by number.
    """
    wanted = {switch: desired(fabric, switch) for switch in fabric.switches}
    plan = stages(switches.held, wanted, rank=ranks(fabric), far=lambda at, port: _far(fabric, at, port))
    for step in order(steps(switches.held, plan)):
        turns = sorted(step)
        if random is not None:
            random.shuffle(turns)
        for switch in turns:
            routes = {**switches.held[switch], **step[switch]}
            switches.give(fabric, switch, {target: hops for target, hops in routes.items() if hops is not None})
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


# ── the law of failures ───────────────────────────────────────────────────────────────────────────────────────────────


def square() -> graphs.Wiring:
    """A square (2, 3, 4, 5), one corner of it beside switch 1, and the opposite one by a long way round.

    The shortest graph in which a failure can send packets round in a circle although every switch has one next hop
    only and each link one cable, over which no switch sends a packet back: while 2 and 3 know that 1-2 is cut, and 4
    and 5 do not, what is for 1 goes 2, 3, 4, 5, 2.
    """
    wiring = graphs.Wiring()
    for near, far in ((1, 2), (2, 3), (4, 5), (3, 4), (2, 5), (4, 6), (6, 7), (7, 8), (8, 1)):
        wiring.join(near, far)
    return wiring.house(range(1, 6))


CUTTABLE: Final = {**{name: make for name, make in graphs.NETWORKS.items() if name != "fattree"}, "square": square}
"""The networks whose cables are cut."""


def cuts(wiring: graphs.Wiring) -> dict[frozenset[DatapathId], tuple[tuple[PortRef, PortRef], ...]]:
    """List what fails together: all cables between two switches, or all cables of one."""
    found: dict[frozenset[DatapathId], tuple[tuple[PortRef, PortRef], ...]] = {}
    for cable in wiring.cables:
        ends = frozenset(end.datapath_id for end in cable)
        for cut in (ends, *(frozenset({end}) for end in ends)):
            found[cut] = (*found.get(cut, ()), cable)
    return found


class Broken:
    """A fabric of which cables fail and return, and what its switches do with packets meanwhile."""

    def __init__(self, wiring: graphs.Wiring, policy: str) -> None:
        self.wiring = wiring
        self.fabric = graphs.build(wiring, policy=POLICIES[policy])
        self.switches = Switches(self.fabric)
        self._wires = wires(wiring)
        self._dead: set[PortRef] = set()

    def toggle(self, cables: Iterable[tuple[PortRef, PortRef]]) -> None:
        """Let cables fail, and return that had failed, all at once; the switches have not heard of it."""
        for cable in cables:
            up = cable[0] in self._dead
            for end in cable:
                (self._dead.discard if up else self._dead.add)(end)
                port = self.fabric.switches[end.datapath_id].ports[end.port]
                self.fabric.apply(PortChanged(end.datapath_id, replace(port, up=up), gone=False), 1.0)
            if up:
                graphs.see(self.fabric, cable, 1.0)

    def arriving(self) -> set[tuple[IPv4Address, IPv4Address]]:
        """Find who reaches whom by every choice of buckets.

        :raises AssertionError: when a packet loops.
        """
        hosts = self.wiring.hosts
        return {
            (source, target)
            for source, target in permutations(hosts, 2)
            if self.switches.ends(hosts[source], target, self._wires, frozenset(self._dead))
            == {(hosts[target], graphs.mac_of(target))}
        }

    def repair(self, *, random: Random | None = None, order: Order = as_planned, patience: int | None = None) -> None:
        """Bring some switches up to date, or all, and hold every moment to the law."""
        arriving = self.arriving()
        for _ in islice(moments(self.fabric, self.switches, random, order), patience):
            before, arriving = arriving, self.arriving()
            assert before <= arriving, f"lost: {sorted(map(str, before - arriving))}"


@pytest.mark.parametrize("name", sorted(CUTTABLE))
@settings(max_examples=25, deadline=None)
@given(
    policy=st.sampled_from(sorted(POLICIES)),
    failures=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 20)), min_size=1, max_size=4),
    random=st.randoms(use_true_random=False),
)
@example(policy="ecmp", failures=[(0, 20), (0, 20)], random=Random(1))  # noqa: S311
@example(policy="shortest", failures=[(0, 20), (0, 20)], random=Random(2))  # noqa: S311
@example(policy="vlb", failures=[(0, 3), (4, 3), (0, 20)], random=Random(3))  # noqa: S311
@example(policy="disjoint", failures=[(0, 2), (0, 2), (1, 20)], random=Random(4))  # noqa: S311
def test_no_packet_loops_while_failures_are_repaired(
    name: str, policy: str, failures: list[tuple[int, int]], random: Random
) -> None:
    """When cables fail and return, also amid the repair of others, none loops, and who arrives goes on arriving."""
    broken = Broken(CUTTABLE[name](), policy)
    broken.arriving()
    possible = list(cuts(broken.wiring).values())
    for cut, patience in failures:
        broken.toggle(possible[cut % len(possible)])
        broken.repair(random=random, patience=patience)
    broken.repair(random=random)


@pytest.mark.parametrize(
    ("name", "policy", "cut", "harm"),
    [
        ("square", "shortest", {1, 2}, "a loop"),
        ("square", "ecmp", {1, 2}, "a loop"),
        ("leafspine", "ecmp", {100, 200}, "a loop"),
        ("leafspine", "vlb", {100, 200}, "a loop"),
        ("jellyfish", "ecmp", {1, 6}, "lost"),
        ("ring", "vlb", {1, 2}, "lost"),
        ("ring", "disjoint", {1, 2}, "lost"),
        ("jellyfish", "disjoint", {1, 4}, "lost"),
    ],
)
def test_failures_are_repaired_in_the_only_order_that_does_no_harm(
    name: str, policy: str, cut: set[int], harm: str
) -> None:
    """The law of failures is one of order: the same steps, the last one first, make packets loop or lose them.

    Not every failure needs an order.  Where each pair of switches has one cable, a switch drops what would go back by
    the port that it came from, so a circle takes four switches (see :func:`square`); ``ecmp`` and ``shortest`` in a
    ring or a Clos cannot make one.  Tags need an order everywhere: they are lost where nobody knows them.
    """

    def repaired(order: Order) -> None:
        broken = Broken(CUTTABLE[name](), policy)
        broken.toggle(cuts(broken.wiring)[frozenset(map(D, cut))])
        broken.repair(order=order)

    repaired(as_planned)
    with pytest.raises(AssertionError, match=harm):
        repaired(turned_round)
