"""Which group does each route of a switch go to, so that a failure changes groups and not routes?

Routes of one next-hop set share a group, and they stay together: when all of them get another set, their group gets it
and no route is touched, even if another group has that set already.  Only where routes part ways do some of them leave
for another group.  Groups that have become equal are merged when a switch has many more groups than next-hop sets, so
that a long history of failures cannot wear the sharing out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from controller.fabric.pipeline import ELEPHANTS, ENTER, ROUTE, TAGGED, tag_of
from controller.fabric.routes import Hop, NextHops
from controller.fabric.targets import Target, TargetKind
from overlay.flow import MARK, Flow, Group, Output, Set, ToGroup

_SHIFT: Final = 16
_FIRST: Final = MARK << _SHIFT
_KINDS: Final = {
    ROUTE.id: TargetKind.PREFIX,
    ENTER.id: TargetKind.ENTRY,
    TAGGED.id: TargetKind.TAG,
    ELEPHANTS.id: TargetKind.PREFIX,
}
_FIELD: Final = {TargetKind.PREFIX: "ipv4_dst", TargetKind.ENTRY: "ipv4_dst", TargetKind.TAG: "eth_dst"}
SPARE: Final = 16
"""How many groups there may be beyond two for each next-hop set, before equal ones are merged."""


def is_ours(group_id: int) -> bool:
    """Whether a group is one of ours: groups have no cookie, so our mark is the top half of their id."""
    return group_id >> _SHIFT == MARK


@dataclass(frozen=True, slots=True)
class GroupAssignment:
    """Which group each target's route goes to, and which next hops each group has."""

    group_of: Mapping[Target, int] = field(default_factory=dict)
    hops_of: Mapping[int, NextHops] = field(default_factory=dict)

    @classmethod
    def from_installed(cls, flows: Iterable[Flow], groups: Iterable[Group]) -> GroupAssignment:
        """Read the assignment off the routes and groups that a switch really holds."""
        hops_of = {group.group_id: _hops(group) for group in groups if is_ours(group.group_id) and not group.failover}
        group_of = {
            target: action.group_id
            for flow in flows
            for action in flow.actions
            if isinstance(action, ToGroup) and action.group_id in hops_of
            if (target := _target(flow)) is not None
        }
        return cls(group_of, hops_of)


def _hops(group: Group) -> NextHops:
    found = set()
    for bucket in group.buckets:  # in which a next hop may stand several times
        tag = 0
        for action in bucket.actions:
            match action:
                case Set("eth_dst", value):
                    tag = tag_of(value)
                case Output(port):
                    found.add(Hop(port, bucket.weight, tag))
    return tuple(sorted(found))


def _target(flow: Flow) -> Target | None:
    kind = _KINDS.get(flow.table)
    for condition in flow.match:
        if kind is not None and condition.field == _FIELD[kind]:
            if kind is TargetKind.TAG:
                return Target.of_tag(tag_of(condition.value))
            return Target(kind, condition.value, 32 if condition.mask is None else condition.mask.bit_count())
    return None


def assign_groups(previous: GroupAssignment, desired: Mapping[Target, NextHops]) -> GroupAssignment:
    """Find a group for every destination, moving as few destinations as possible.

    :param desired: the next-hop set of each destination that can be reached; no set is empty.
    """
    homes: dict[int, dict[NextHops, list[Target]]] = {}
    for destination, hops in desired.items():
        group_id = previous.group_of.get(destination)
        if group_id is not None:
            homes.setdefault(group_id, {}).setdefault(hops, []).append(destination)

    hops_of = {group_id: _kept(previous.hops_of.get(group_id), parts) for group_id, parts in homes.items()}
    first_of: dict[NextHops, int] = {}
    for group_id in sorted(hops_of):
        first_of.setdefault(hops_of[group_id], group_id)
    crowded = len(hops_of) > 2 * len(first_of) + SPARE
    if crowded:
        hops_of = {group_id: hops for hops, group_id in first_of.items()}

    fresh = (number for number in count(_FIRST + 1) if number not in previous.hops_of and number not in hops_of)
    group_of: dict[Target, int] = {}
    for destination in sorted(desired):
        hops = desired[destination]
        home = previous.group_of.get(destination)
        if home is None or hops_of.get(home) != hops:
            if hops not in first_of:
                first_of[hops] = next(fresh)
                hops_of[first_of[hops]] = hops
            home = first_of[hops]
        group_of[destination] = home
    return GroupAssignment(group_of, hops_of)


def _kept(before: NextHops | None, parts: Mapping[NextHops, list[Target]]) -> NextHops:
    """Choose which next-hop set a group has from now on: that of most of its destinations.

    Ties go to the set that it had, then to the larger one.
    """
    return max(parts, key=lambda hops: (len(parts[hops]), hops == before, len(hops), hops))
