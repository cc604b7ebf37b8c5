"""What does a switch hold for its elephants?

The route of a prefix whose bins are counted or pinned goes on to the table ``elephants``, which has a flow for each
such bin and one for the rest, which does as the route did.  A pinned bin has a failover group of its own: its port
first, then the other next hops, so that the switch itself goes round a port that died.  Moving a bin again changes the
group alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network
from typing import Final

from controller.fabric.elephants import BIN_MASK, Bin, Herd, Pin, Ports
from controller.fabric.groups import GroupAssignment
from controller.fabric.load import shares
from controller.fabric.pipeline import (
    ELEPHANTS,
    IPV4,
    PREFIX_SHIFT,
    ROUTE,
    UDP,
    ElephantPriority,
    FabricCookie,
    RoutePriority,
)
from controller.fabric.targets import Target
from overlay.flow import MARK, Bucket, DecTtl, FieldValue, Flow, FlowKey, Group, Output, ToGroup, cookie

_CACHED: Final = 1 << 16
_FIRST_PIN: Final = MARK << 16 | 0x8000
_ALL_BITS: Final = 32


@dataclass(frozen=True, slots=True)
class Detours:
    """Flows and groups for elephants; ``targets`` are those whose routes are among the flows."""

    flows: tuple[Flow, ...] = ()
    groups: tuple[Group, ...] = ()
    targets: frozenset[Target] = frozenset()


_NONE: Final = Detours()


def detours(herd: Herd, assignment: GroupAssignment) -> Detours:
    """Compile what a switch holds for its elephants.

    Whatever the herd says of a prefix whose next hops are other ones by now is left out.

    :param assignment: the groups of the switch's routes.
    """
    if not herd:
        return _NONE
    ports = {group_id: tuple(sorted(shares(hops))) for group_id, hops in assignment.hops_of.items()}

    def holds(prefix: IPv4Network, chosen: Ports) -> bool:
        group_id = assignment.group_of.get(Target.of_prefix(prefix))
        return group_id is not None and ports[assignment.shared(group_id)] == chosen

    pins = {each: pin for each, pin in herd.pins.items() if holds(each.prefix, pin.ports)}
    counted = {prefix for prefix, chosen in herd.counted.items() if holds(prefix, chosen)}
    targets = {prefix: Target.of_prefix(prefix) for prefix in counted | {each.prefix for each in pins}}
    flows: list[Flow] = []
    for prefix, target in sorted(targets.items()):
        group_id = assignment.group_of[target]
        flows += (onward(prefix), rest(prefix, group_id))
        if prefix in counted:
            bins = (Bin(prefix, value) for value in range(BIN_MASK + 1))
            flows += (in_bin(each, group_id) for each in bins if each not in pins)
    flows += (in_bin(each, pin_group(pin.slot)) for each, pin in sorted(pins.items()))
    return Detours(tuple(flows), tuple(_groups(pins.values())), frozenset(targets.values()))


def _groups(pins: Iterable[Pin]) -> Iterable[Group]:
    return (pinned(pin.slot, pin.port, pin.ports) for pin in sorted(pins, key=lambda pin: pin.slot))


def pin_group(slot: int) -> int:
    """Number the group of a pinned bin, out of reach of those that are shared by routes."""
    return _FIRST_PIN + slot


@lru_cache(_CACHED)
def pinned(slot: int, port: int, ports: Ports) -> Group:
    """Take one port as long as it lives, and else the first other next hop that does."""
    order = (port, *(other for other in ports if other != port))
    return Group(pin_group(slot), tuple(Bucket((Output(each),), watch_port=each) for each in order), failover=True)


def _object(prefix: IPv4Network) -> int:
    return prefix.prefixlen << PREFIX_SHIFT | int(prefix.network_address)


@lru_cache(_CACHED)
def onward(prefix: IPv4Network) -> Flow:
    """Have a closer look at what is for a prefix, instead of sending it to its group at once."""
    return ROUTE.flow(
        RoutePriority.PREFIX + prefix.prefixlen,
        {"eth_type": IPV4, "ipv4_dst": prefix},
        cookie=cookie(FabricCookie.PREFIX, _object(prefix)),
        actions=[DecTtl()],
        goto="elephants",
    )


@lru_cache(_CACHED)
def rest(prefix: IPv4Network, group_id: int) -> Flow:
    """Send what is in no bin to the prefix's group, as its route would have."""
    return ELEPHANTS.flow(
        ElephantPriority.REST + prefix.prefixlen,
        {"eth_type": IPV4, "ipv4_dst": prefix},
        cookie=cookie(FabricCookie.ELEPHANT, _object(prefix)),
        actions=[ToGroup(group_id)],
    )


@lru_cache(_CACHED)
def in_bin(each: Bin, group_id: int) -> Flow:
    """Count a bin, and send it to the prefix's group or to that of its pin."""
    match: dict[str, FieldValue] = {"eth_type": IPV4, "ip_proto": UDP, "udp_src": (each.value, BIN_MASK)}
    return ELEPHANTS.flow(
        ElephantPriority.BIN + each.prefix.prefixlen,
        {**match, "ipv4_dst": each.prefix},
        cookie=cookie(FabricCookie.ELEPHANT, _object(each.prefix)),
        actions=[ToGroup(group_id)],
    )


def bin_of(key: FlowKey) -> Bin | None:
    """Say which bin a flow counts; None for one that counts none."""
    found = {condition.field: condition for condition in key.match}
    if "udp_src" not in found:
        return None
    to = found["ipv4_dst"]
    length = _ALL_BITS if to.mask is None else to.mask.bit_count()
    return Bin(IPv4Network((to.value, length)), found["udp_src"].value)
