"""Which flows, groups and meters must a fabric switch hold, given the fabric?

A pure function of the fabric and of the groups that the switch had before; the latter only decides which group has
which number, never where a packet goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv4Network
from typing import Final

from controller.fabric.detours import detours
from controller.fabric.elephants import NO_HERD, Herd
from controller.fabric.graph import Fabric
from controller.fabric.groups import GroupAssignment, assign_groups
from controller.fabric.pipeline import (
    ANSWER,
    ARP,
    ARP_REPLY,
    ARP_REQUEST,
    CLASSIFY,
    ENTER,
    IPV4,
    LEARN,
    LLDP,
    NO_PORT,
    PORT_BURST,
    PORT_RATE,
    PREFIX_SHIFT,
    REG_ASKER,
    ROUTE,
    TAG_MASK,
    TAG_SPACE,
    TAGGED,
    AnswerPriority,
    ClassifyPriority,
    EnterPriority,
    FabricCookie,
    LearnPriority,
    RoutePriority,
    TagPriority,
    mac_of_tag,
)
from controller.fabric.plan import LaPlan, Sighting
from controller.fabric.routes import Hop, NextHops
from controller.fabric.targets import Desired, Target, TargetKind, desired, owners
from overlay.flow import (
    PORT_IN,
    Action,
    Bucket,
    DecTtl,
    FieldValue,
    Flow,
    Group,
    Meter,
    Move,
    Output,
    Set,
    ToController,
    ToGroup,
    cookie,
)
from overlay.values import DatapathId, Mac

_CACHED: Final = 1 << 16
_HASH_VALUES: Final = 64
"""Into how many parts the hash is dealt where next hops are no power of two: of three, none is off by over 1/64."""


@dataclass(frozen=True, slots=True)
class SwitchProgram:
    """Everything that one fabric switch must hold; ``assignment`` goes into the next call of :func:`program`."""

    flows: tuple[Flow, ...]
    groups: tuple[Group, ...]
    meters: tuple[Meter, ...]
    assignment: GroupAssignment
    herd: Herd = NO_HERD
    """The elephants that it was made for."""


def program(
    fabric: Fabric,
    datapath_id: DatapathId,
    previous: GroupAssignment,
    routes: Desired | None = None,
    *,
    herd: Herd = NO_HERD,
) -> SwitchProgram:
    """Compile the whole program of one switch.

    :param previous: of the last program, or read off the switch by :meth:`GroupAssignment.from_installed`.
    :param routes: the next hops that it is to have, where that is not what the fabric wants in the end.
    :param herd: its elephants.
    :raises KeyError: for a switch that the fabric does not know.
    """
    routes = desired(fabric, datapath_id) if routes is None else routes
    kinds = {target.kind for target in routes}
    assignment = assign_groups(
        previous, {target: hops for target, hops in routes.items() if hops}, owners(fabric, kinds)
    )
    ports = tuple(port.number for port in fabric.ports(datapath_id))
    edge_ports = tuple(port.number for port in fabric.edge_ports(datapath_id))
    hosts = fabric.hosts_at(datapath_id)
    basis = hash_basis(datapath_id)
    flows = [answer(fabric.plan), routed(fabric.plan.router_mac)]
    flows += map(discovery, ports)
    for number in edge_ports:
        flows += edge(number, fabric.plan)
    for la in sorted(hosts):
        flows += host(hosts[la], fabric.plan.router_mac)
    if TargetKind.ENTRY in kinds:
        flows += (entering(number, fabric.plan.router_mac) for number in edge_ports)
        flows += (here(prefix) for prefix, owner in fabric.located.items() if owner == datapath_id)
        flows.append(plain())
    if TargetKind.TAG in kinds:
        flows += map(tagged, sorted(set(ports) - set(edge_ports)))
        flows += (untag(target.value, fabric.plan.router_mac) for target, hops in routes.items() if not hops)
    around = detours(herd, assignment)
    flows += (
        _ROUTES[target.kind](target, group_id)
        for target, group_id in assignment.group_of.items()
        if target not in around.targets
    )
    flows += around.flows
    groups = [select(group_id, assignment.hops_of[group_id], basis) for group_id in sorted(assignment.hops_of)]
    groups += (leaf(group_id, shared) for group_id, shared in sorted(assignment.shared_of.items()))
    return SwitchProgram(
        tuple(flows),
        (*groups, *around.groups),
        tuple(map(allowance, ports)),
        assignment,
        herd,
    )


@lru_cache(_CACHED)
def discovery(port: int) -> Flow:
    """Hand discovery packets to the controller."""
    return CLASSIFY.flow(
        ClassifyPriority.DISCOVERY,
        {"in_port": port, "eth_type": LLDP},
        cookie=cookie(FabricCookie.DISCOVERY, port),
        actions=[ToController()],
        meter=port,
    )


@lru_cache(_CACHED)
def routed(router_mac: Mac) -> Flow:
    """Route what is addressed to the router, whichever port it comes from."""
    return CLASSIFY.flow(
        ClassifyPriority.ROUTED,
        {"eth_type": IPV4, "eth_dst": router_mac},
        cookie=cookie(FabricCookie.ROUTED, 0),
        goto="route",
    )


@lru_cache(_CACHED)
def edge(port: int, plan: LaPlan) -> tuple[Flow, ...]:
    """Listen to the ARP of hosts that may be behind a port."""
    learn = cookie(FabricCookie.LEARN, port)
    unknown: dict[str, FieldValue] = {"in_port": port, "eth_type": ARP, "arp_spa": plan.supernet}
    to_gateway: dict[str, FieldValue] = {"arp_op": ARP_REQUEST, "arp_tpa": plan.gateways()}
    return (
        CLASSIFY.flow(
            ClassifyPriority.ARP,
            {"in_port": port, "eth_type": ARP},
            cookie=cookie(FabricCookie.EDGE, port),
            goto="learn",
        ),
        # Nobody has a gateway's address, so this cannot be a host that asks for its own: safe to answer at once.
        LEARN.flow(
            LearnPriority.UNKNOWN_TO_GATEWAY,
            {**unknown, **to_gateway},
            cookie=learn,
            actions=[ToController()],
            goto="answer",
            meter=port,
        ),
        LEARN.flow(LearnPriority.UNKNOWN, unknown, cookie=learn, actions=[ToController()], meter=port),
    )


@lru_cache(_CACHED)
def answer(plan: LaPlan) -> Flow:
    """Turn an ARP request for any LA round into a reply that names the router (RFC 826, proxied as in RFC 1027)."""
    return ANSWER.flow(
        AnswerPriority.ANSWER,
        {"eth_type": ARP, "arp_op": ARP_REQUEST, "arp_tpa": plan.supernet},
        cookie=cookie(FabricCookie.ANSWER, 0),
        actions=[
            Move("eth_src", "eth_dst"),
            Set("eth_src", plan.router_mac),
            Set("arp_op", ARP_REPLY),
            Move("arp_sha", "arp_tha"),
            Set("arp_sha", plan.router_mac),
            Move("arp_spa", REG_ASKER),
            Move("arp_tpa", "arp_spa"),
            Move(REG_ASKER, "arp_tpa"),
            Output(PORT_IN),
        ],
    )


@lru_cache(_CACHED)
def host(sighting: Sighting, router_mac: Mac) -> tuple[Flow, ...]:
    """Know a host on its port: let its requests pass, be silent when it asks for itself, deliver to it."""
    la, port = int(sighting.la), sighting.at.port
    return (
        LEARN.flow(
            LearnPriority.KNOWN,
            {
                "in_port": port,
                "eth_type": ARP,
                "arp_op": ARP_REQUEST,
                "arp_sha": sighting.mac,
                "arp_spa": la,
            },
            cookie=cookie(FabricCookie.KNOWN, la),
            goto="answer",
        ),
        ANSWER.flow(
            AnswerPriority.SELF,
            {"in_port": port, "eth_type": ARP, "arp_tpa": la},
            cookie=cookie(FabricCookie.SELF, la),
        ),
        ROUTE.flow(
            RoutePriority.HOST,
            {"eth_type": IPV4, "ipv4_dst": la},
            cookie=cookie(FabricCookie.HOST, la),
            actions=[DecTtl(), Set("eth_src", router_mac), Set("eth_dst", sighting.mac), Output(port)],
        ),
    )


@lru_cache(_CACHED)
def entering(port: int, router_mac: Mac) -> Flow:
    """Let what a host sends to the router choose its way."""
    return CLASSIFY.flow(
        ClassifyPriority.ENTERING,
        {"in_port": port, "eth_type": IPV4, "eth_dst": router_mac},
        cookie=cookie(FabricCookie.ENTERING, port),
        goto="enter",
    )


@lru_cache(_CACHED)
def tagged(port: int) -> Flow:
    """Follow the tags of packets that come from another switch."""
    return CLASSIFY.flow(
        ClassifyPriority.TAGGED,
        {"in_port": port, "eth_type": IPV4, "eth_dst": (TAG_SPACE, TAG_MASK)},
        cookie=cookie(FabricCookie.TAGGED, port),
        goto="tagged",
    )


@lru_cache(_CACHED)
def here(prefix: IPv4Network) -> Flow:
    """Let pass what goes to hosts of this very switch."""
    return ENTER.flow(
        EnterPriority.PREFIX + prefix.prefixlen,
        {"eth_type": IPV4, "ipv4_dst": prefix},
        cookie=cookie(FabricCookie.HERE, _object(Target.of_prefix(prefix))),
        goto="route",
    )


@lru_cache(_CACHED)
def plain() -> Flow:
    """Let pass what may go only where its destination says."""
    return ENTER.flow(EnterPriority.PLAIN, {"eth_type": IPV4}, cookie=cookie(FabricCookie.PLAIN, 0), goto="route")


@lru_cache(_CACHED)
def untag(tag: int, router_mac: Mac) -> Flow:
    """Take a tag off at its end, and go on by the destination, which may be back by the port that the packet came in.

    An output to the port of arrival is left out by the switch (OpenFlow 1.5 §7.2.6.1), so that port is forgotten.
    """
    return TAGGED.flow(
        TagPriority.TAG,
        {"eth_type": IPV4, "eth_dst": mac_of_tag(tag)},
        cookie=cookie(FabricCookie.TAG, tag),
        actions=[Set("eth_dst", router_mac), Set("in_port", NO_PORT)],
        goto="route",
    )


@lru_cache(_CACHED)
def towards(target: Target, group_id: int) -> Flow:
    """Send what is for a prefix to its group; counting the TTL down ends a loop that should not be there."""
    return ROUTE.flow(
        RoutePriority.PREFIX + target.length,
        {"eth_type": IPV4, "ipv4_dst": target.prefix},
        cookie=cookie(FabricCookie.PREFIX, _object(target)),
        actions=[DecTtl(), ToGroup(group_id)],
    )


@lru_cache(_CACHED)
def entry(target: Target, group_id: int) -> Flow:
    """Send what enters for a prefix to the group that chooses its way."""
    return ENTER.flow(
        EnterPriority.PREFIX + target.length,
        {"eth_type": IPV4, "ipv4_dst": target.prefix},
        cookie=cookie(FabricCookie.ENTRY, _object(target)),
        actions=[DecTtl(), ToGroup(group_id)],
    )


@lru_cache(_CACHED)
def onward(target: Target, group_id: int) -> Flow:
    """Send what has a tag on towards the tag's end; while routes change, that may be back where it came from."""
    return TAGGED.flow(
        TagPriority.TAG,
        {"eth_type": IPV4, "eth_dst": mac_of_tag(target.value)},
        cookie=cookie(FabricCookie.TAG, target.value),
        actions=[DecTtl(), Set("in_port", NO_PORT), ToGroup(group_id)],
    )


_ROUTES: Final = {TargetKind.PREFIX: towards, TargetKind.ENTRY: entry, TargetKind.TAG: onward}


def _object(target: Target) -> int:
    return target.length << PREFIX_SHIFT | target.value


@lru_cache(_CACHED)
def select(group_id: int, hops: NextHops, basis: int) -> Group:
    """Spread over the next hops; the switch itself skips a port that is down.

    Open vSwitch deals the values of its hash out to buckets, 16 of them where there are few buckets (dp_hash in
    ovs-ofctl(8)): of three next hops one would get 6/16 of the flows.  So each stands in the group several times.
    """
    equal = len({hop.weight for hop in hops}) == 1
    times = _HASH_VALUES // len(hops) if equal and len(hops).bit_count() > 1 else 1
    return Group(group_id, tuple(Bucket(_way(hop), hop.weight, hop.port) for hop in hops) * max(times, 1), basis)


@lru_cache(_CACHED)
def leaf(group_id: int, shared: int) -> Group:
    """Send what is for one edge switch to the group of its next hops."""
    return Group(group_id, (Bucket((ToGroup(shared),)),), indirect=True)


def _way(hop: Hop) -> tuple[Action, ...]:
    return (Set("eth_dst", mac_of_tag(hop.tag)), Output(hop.port)) if hop.tag else (Output(hop.port),)


@lru_cache(_CACHED)
def hash_basis(datapath_id: DatapathId) -> int:
    """Give a switch its own basis of the hash, always the same, so that its choice says nothing about the next one's.

    Ids of neighbours differ in few bits, so they are mixed well (BLAKE2, RFC 7693).
    """
    return int.from_bytes(blake2b(datapath_id.to_bytes(8), digest_size=4).digest())


@lru_cache(_CACHED)
def allowance(port: int) -> Meter:
    """Limit what one port may send to the controller, so that no port can drown the others."""
    return Meter(port, PORT_RATE, PORT_BURST)
