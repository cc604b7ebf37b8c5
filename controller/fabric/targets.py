"""What does a switch have next hops for?

For prefixes, wherever a packet comes from; for prefixes where it enters the fabric; and for locator tags.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv4Network
from typing import Final, NamedTuple, TypeAlias

from controller.fabric.graph import Fabric
from controller.fabric.plan import PortRef
from controller.fabric.policies import ANYCAST
from controller.fabric.routes import Hops, NextHops
from overlay.values import DatapathId

_CACHED: Final = 1 << 16


class TargetKind(IntEnum):
    """In which table the route stands."""

    PREFIX = 0
    ENTRY = 1
    TAG = 2

    __hash__ = int.__hash__  # what Enum has instead is Python, and targets are looked up by the hundred thousand


class Target(NamedTuple):
    """A prefix or a tag that packets are sent by."""

    kind: TargetKind
    value: int
    length: int = 32

    @classmethod
    def of_prefix(cls, prefix: IPv4Network, kind: TargetKind = TargetKind.PREFIX) -> Target:
        """Make the target of packets to a prefix."""
        return _of_prefix(prefix, kind)

    @classmethod
    def of_tag(cls, tag: int) -> Target:
        """Make the target of packets with a tag."""
        return cls(TargetKind.TAG, tag)

    @property
    def prefix(self) -> IPv4Network:
        """The prefix that it is for."""
        return IPv4Network((self.value, self.length))

    def __str__(self) -> str:
        names = {TargetKind.PREFIX: "to {}", TargetKind.ENTRY: "entering to {}", TargetKind.TAG: "tag {}"}
        return names[self.kind].format(self.value if self.kind is TargetKind.TAG else self.prefix)


class Owner(NamedTuple):
    """What the packets of some targets go to alike, so that the targets have the same next hops in the end.

    :param value: an edge switch, for all prefixes that are behind it; or a tag whose way may change.
    """

    kind: TargetKind
    value: int


@lru_cache(_CACHED)
def _owner(kind: TargetKind, edge: DatapathId) -> Owner:
    return Owner(kind, edge)


@lru_cache(_CACHED)
def _of_prefix(prefix: IPv4Network, kind: TargetKind) -> Target:
    return Target(kind, int(prefix.network_address), prefix.prefixlen)


Rank: TypeAlias = Callable[[DatapathId, Target], int]
"""Says how far a switch is from the end of a target's routes: less than any switch that sends to it."""

Desired: TypeAlias = Mapping[Target, NextHops]
"""The next-hop set of each target that a switch has a route for; that of a tag that ends here is empty."""


def desired(fabric: Fabric, datapath_id: DatapathId) -> dict[Target, NextHops]:
    """Find the next-hop set of every target that can be reached from a switch and is not there already."""
    found: dict[Target, NextHops] = {}
    plain = fabric.routes.at(datapath_id, fabric.edges)
    for prefix, owner in fabric.located.items():
        if hops := plain.get(owner):
            found[Target.of_prefix(prefix)] = hops
    steering = fabric.steering
    entries = steering.entries.get(datapath_id)
    if entries:
        for prefix, owner in fabric.located.items():
            if hops := entries.get(owner):
                found[Target.of_prefix(prefix, TargetKind.ENTRY)] = hops
    for tag, routes in steering.tags.items():
        if datapath_id in routes:
            found[Target.of_tag(tag)] = routes[datapath_id]
    return found


def owners(fabric: Fabric, kinds: Collection[TargetKind]) -> dict[Target, Owner]:
    """Find the owner of every target of these kinds that has one.

    The tag of a path, or of a switch to bounce off, has none: nothing else goes where it goes, and most paths that
    change are other paths with other tags.  The anycast tag stays when its way changes.
    """
    found: dict[Target, Owner] = {}
    for kind in kinds:
        if kind is TargetKind.TAG:
            found[Target.of_tag(ANYCAST)] = Owner(TargetKind.TAG, ANYCAST)
        else:
            for prefix, edge in fabric.located.items():
                found[_of_prefix(prefix, kind)] = _owner(kind, edge)
    return found


def ranks(fabric: Fabric) -> Rank:
    """Measure how far switches are from the ends of the fabric's present routes."""
    depths: dict[int, dict[DatapathId, int]] = {}
    owners = {Target.of_prefix(prefix): owner for prefix, owner in fabric.located.items()}

    def rank(switch: DatapathId, target: Target) -> int:
        if target.kind is TargetKind.TAG:
            known = depths.setdefault(target.value, {})
            return _depth(fabric, fabric.steering.tags[target.value], switch, known)
        return fabric.routes.distance(switch, owners[target]) or 0

    return rank


def _depth(fabric: Fabric, routes: Hops, switch: DatapathId, known: dict[DatapathId, int]) -> int:
    """Count the longest way to the end of a tag."""
    if switch not in known:
        behind = (fabric.peer(PortRef(switch, hop.port)) for hop in routes.get(switch, ()))
        known[switch] = max(
            (_depth(fabric, routes, far.datapath_id, known) + 1 for far in behind if far is not None), default=0
        )
    return known[switch]
