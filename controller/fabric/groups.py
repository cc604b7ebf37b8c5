"""Which groups does each route of a switch go to, so that a failure changes groups and not routes?

Two levels, as in BGP-PIC (draft-ietf-rtgwg-bgp-pic): routes whose packets go to one edge switch lead to its leaf, an
indirect group of one bucket, which leads to a select group that is shared by all leaves of the same next hops.  A link
that is gone changes the one shared group; an edge switch that a failure parts from others has its leaf led to another
shared group, however many prefixes and addresses are behind it.

Leaves of one next-hop set share a group, and they stay together: when all of them get another set, their group gets it
and no leaf is touched, even if another group has that set already.  Only where leaves part ways do some of them leave
for another group.  Groups that have become equal are merged when a switch has many more groups than next-hop sets, so
that a long history of failures cannot wear the sharing out.

A route that has no owner, or other next hops than most routes of its owner while an update is under way, stays at the
leaf that it had if that leads where the route should, and else goes to a shared group itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Final, TypeAlias

from controller.fabric.pipeline import ELEPHANTS, ENTER, ROUTE, TAGGED, tag_of
from controller.fabric.routes import Hop, NextHops
from controller.fabric.targets import Owner, Target, TargetKind
from overlay.flow import MARK, Flow, Group, Output, Set, ToGroup

_SHIFT: Final = 16
_FIRST: Final = MARK << _SHIFT
_LEAVES: Final = range(_FIRST | 0x4000, _FIRST | 0x8000)
"""Numbers of leaves, out of reach of shared groups, as a switch has fewer sets of next hops than these leave over."""
NOWHERE: Final = 0
"""Stands for the shared group of a leaf that leads to none, which ours never are for long."""
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
    """Which group each target's route goes to, and where it leads.

    :param group_of: the leaf or shared group of each target's route.
    :param hops_of: the next hops of each shared group.
    :param shared_of: the shared group that each leaf leads to.
    """

    group_of: Mapping[Target, int] = field(default_factory=dict)
    hops_of: Mapping[int, NextHops] = field(default_factory=dict)
    shared_of: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def from_installed(cls, flows: Iterable[Flow], groups: Iterable[Group]) -> GroupAssignment:
        """Read the assignment off the routes and groups that a switch really holds."""
        hops_of: dict[int, NextHops] = {}
        shared_of: dict[int, int] = {}
        for group in groups:
            if group.group_id in _LEAVES:
                shared_of[group.group_id] = _leads_to(group)
            elif is_ours(group.group_id) and not (group.failover or group.indirect):
                hops_of[group.group_id] = _hops(group)
        group_of = {
            target: action.group_id
            for flow in flows
            for action in flow.actions
            if isinstance(action, ToGroup) and (action.group_id in hops_of or action.group_id in shared_of)
            if (target := _target(flow)) is not None
        }
        return cls(group_of, hops_of, shared_of)

    def shared(self, group_id: int) -> int:
        """Name the shared group that a route's group leads to, or is."""
        return self.shared_of.get(group_id, group_id)

    def hops(self, target: Target) -> NextHops | None:
        """Say among which next hops a target's route chooses; None where there is no route, or it leads nowhere."""
        group_id = self.group_of.get(target)
        return None if group_id is None else self.hops_of.get(self.shared(group_id))


def _leads_to(leaf: Group) -> int:
    actions = (action for bucket in leaf.buckets for action in bucket.actions)
    return next((action.group_id for action in actions if isinstance(action, ToGroup)), NOWHERE)


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


def assign_groups(
    previous: GroupAssignment, desired: Mapping[Target, NextHops], owner_of: Mapping[Target, Owner] | None = None
) -> GroupAssignment:
    """Find the groups of every destination, changing as few of its routes as possible, and then as few of its leaves.

    :param desired: the next-hop set of each destination that can be reached; no set is empty.
    :param owner_of: the owner of each destination that has one.
    """
    leaf_of, hops_at = _leaves(previous, desired, owner_of or {})
    wanted: dict[_User, NextHops] = {leaf: hops_at[leaf] for leaf in sorted(hops_at)}
    wanted |= {target: desired[target] for target in sorted(desired) if target not in leaf_of}
    homes = {user: home for user in wanted if (home := _home(previous, user)) is not None}
    if new := hops_at.keys() - previous.shared_of.keys():
        homes |= _former(previous, leaf_of, new)
    shared_of, hops_of = _share(previous.hops_of, homes, wanted)
    return GroupAssignment(
        {target: leaf_of[target] if target in leaf_of else shared_of[target] for target in sorted(desired)},
        hops_of,
        {leaf: shared_of[leaf] for leaf in sorted(hops_at)},
    )


_User: TypeAlias = Target | int
"""What leads to a shared group: a leaf, or a route without one."""


def _leaves(
    previous: GroupAssignment, desired: Mapping[Target, NextHops], owner_of: Mapping[Target, Owner]
) -> tuple[dict[Target, int], dict[int, NextHops]]:
    """Find the leaf of each destination that is to have one, and the next hops of each leaf."""
    sets: dict[Owner, dict[NextHops, int]] = {}
    for target, hops in desired.items():
        owner = owner_of.get(target)
        if owner is not None:
            times = sets.setdefault(owner, {})
            times[hops] = times.get(hops, 0) + 1
    leaf_of_owner = _owned(previous, sets, owner_of)
    hops_at = {leaf: _most(sets[owner]) for owner, leaf in leaf_of_owner.items()}
    leaf_of: dict[Target, int] = {}
    for target, hops in desired.items():
        owner = owner_of.get(target)
        leaf = None if owner is None else leaf_of_owner[owner]
        if leaf is None or hops_at[leaf] != hops:
            leaf = _stays(previous, target, hops, hops_at)
        if leaf is not None:
            leaf_of[target] = leaf
    return leaf_of, hops_at


def _owned(previous: GroupAssignment, owners: Collection[Owner], owner_of: Mapping[Target, Owner]) -> dict[Owner, int]:
    """Find the leaf of each owner: the one that most of its destinations had, or a new one."""
    claims: dict[tuple[Owner, int], int] = {}
    for target, leaf in previous.group_of.items():
        owner = owner_of.get(target)
        if owner is not None and owner in owners and leaf in previous.shared_of:
            claims[owner, leaf] = claims.get((owner, leaf), 0) + 1
    found = dict(claims.keys())
    if not len(claims) == len(found) == len(set(found.values())):  # some owner has two, or two have one
        found, taken = {}, set[int]()
        for owner, leaf in sorted(claims, key=lambda claim: (-claims[claim], claim)):
            if owner not in found and leaf not in taken:
                found[owner] = leaf
                taken.add(leaf)
    fresh = (number for number in _LEAVES if number not in previous.shared_of)
    for owner in sorted(owners):
        if owner not in found:
            found[owner] = next(fresh)
    return found


def _most(sets: Mapping[NextHops, int]) -> NextHops:
    """Choose the next-hop set of a leaf: that of most of its owner's destinations, ties to the larger one."""
    if len(sets) == 1:  # nearly always
        return next(iter(sets))
    return max(sets, key=lambda hops: (sets[hops], len(hops), hops))


def _stays(previous: GroupAssignment, target: Target, hops: NextHops, hops_at: dict[int, NextHops]) -> int | None:
    """Name the leaf that a destination has, where that still leads where it should; it is kept then."""
    leaf = previous.group_of.get(target)
    if leaf is None or leaf not in previous.shared_of or hops_at.get(leaf, previous.hops(target)) != hops:
        return None
    hops_at[leaf] = hops
    return leaf


def _home(previous: GroupAssignment, user: _User) -> int | None:
    """Name the shared group that a leaf led to, or a route without a leaf; None for what is new, or had a leaf."""
    home = previous.shared_of.get(user) if isinstance(user, int) else previous.group_of.get(user)
    return home if home in previous.hops_of else None


def _former(previous: GroupAssignment, leaf_of: Mapping[Target, int], leaves: Collection[int]) -> dict[_User, int]:
    """Find for new leaves the shared groups that most of their routes used, so that no other group is made for them."""
    votes: dict[int, Counter[int]] = {}
    for target, leaf in leaf_of.items():
        home = previous.shared(previous.group_of.get(target, NOWHERE))
        if leaf in leaves and home in previous.hops_of:
            votes.setdefault(leaf, Counter())[home] += 1
    return {leaf: max(found, key=lambda home: (found[home], -home)) for leaf, found in votes.items()}


def _share(
    before: Mapping[int, NextHops], homes: Mapping[_User, int], wanted: Mapping[_User, NextHops]
) -> tuple[dict[_User, int], dict[int, NextHops]]:
    """Find a shared group for every user, moving as few of them as possible.

    :param homes: the group that each of them had.
    :param wanted: the next-hop set of each, in an order that depends on nothing else.
    """
    parts: dict[int, dict[NextHops, list[_User]]] = {}
    for user, hops in wanted.items():
        if user in homes:
            parts.setdefault(homes[user], {}).setdefault(hops, []).append(user)

    hops_of = {group_id: _kept(before.get(group_id), parts[group_id]) for group_id in parts}
    first_of: dict[NextHops, int] = {}
    for group_id in sorted(hops_of):
        first_of.setdefault(hops_of[group_id], group_id)
    crowded = len(hops_of) > 2 * len(first_of) + SPARE
    if crowded:
        hops_of = {group_id: hops for hops, group_id in first_of.items()}

    fresh = (number for number in count(_FIRST + 1) if number not in before and number not in hops_of)
    group_of: dict[_User, int] = {}
    for user, hops in wanted.items():
        home = homes.get(user)
        if home is None or hops_of.get(home) != hops:
            if hops not in first_of:
                first_of[hops] = next(fresh)
                hops_of[first_of[hops]] = hops
            home = first_of[hops]
        group_of[user] = home
    return group_of, hops_of


def _kept(before: NextHops | None, parts: Mapping[NextHops, list[_User]]) -> NextHops:
    """Choose which next-hop set a group has from now on: that of most of its users.

    Ties go to the set that it had, then to the larger one.
    """
    return max(parts, key=lambda hops: (len(parts[hops]), hops == before, len(hops), hops))
