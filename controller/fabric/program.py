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
    IPV4,
    LEARN,
    LLDP,
    PORT_BURST,
    PORT_RATE,
    PREFIX_SHIFT,
    REG_ASKER,
    ROUTE,
    AnswerPriority,
    ClassifyPriority,
    FabricCookie,
    LearnPriority,
    RoutePriority,
)
from controller.fabric.plan import LaPlan, Sighting
from controller.fabric.routes import NextHops
from overlay.flow import (
    PORT_IN,
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


@dataclass(frozen=True, slots=True)
class SwitchProgram:
    """Everything that one fabric switch must hold; ``assignment`` goes into the next call of :func:`program`."""

    flows: tuple[Flow, ...]
    groups: tuple[Group, ...]
    meters: tuple[Meter, ...]
    assignment: GroupAssignment


def program(fabric: Fabric, datapath_id: DatapathId, previous: GroupAssignment, herd: Herd = NO_HERD) -> SwitchProgram:
    """Compile the whole program of one switch.

    :param previous: of the last program, or read off the switch by :meth:`GroupAssignment.from_installed`.
    :param herd: its elephants.
    :raises KeyError: for a switch that the fabric does not know.
    """
    assignment = assign_groups(previous, next_hops(fabric, datapath_id))
    ports = tuple(port.number for port in fabric.ports(datapath_id))
    hosts = fabric.hosts_at(datapath_id)
    basis = hash_basis(datapath_id)
    flows = [answer(fabric.plan), routed(fabric.plan.router_mac)]
    flows += map(discovery, ports)
    for port in fabric.edge_ports(datapath_id):
        flows += edge(port.number, fabric.plan)
    for la in sorted(hosts):
        flows += host(hosts[la], fabric.plan.router_mac)
    routes = assignment.group_of.items() if herd else ()
    around = detours(herd, {to: (group_id, assignment.hops_of[group_id]) for to, group_id in routes})
    flows += (towards(to, group_id) for to, group_id in assignment.group_of.items() if to not in around.prefixes)
    flows += around.flows
    groups = [select(group_id, assignment.hops_of[group_id], basis) for group_id in sorted(assignment.hops_of)]
    return SwitchProgram(
        tuple(flows),
        (*groups, *around.groups),
        tuple(map(allowance, ports)),
        assignment,
    )


def next_hops(fabric: Fabric, datapath_id: DatapathId) -> dict[IPv4Network, NextHops]:
    """Find the next-hop set of every prefix that is elsewhere and can be reached from this switch."""
    found = {}
    for prefix, owner in fabric.located.items():
        hops = fabric.routes.towards(owner).get(datapath_id)
        if hops:
            found[prefix] = hops
    return found


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
def towards(prefix: IPv4Network, group_id: int) -> Flow:
    """Send what is for a prefix to its group; counting the TTL down ends a loop that should not be there."""
    obj = prefix.prefixlen << PREFIX_SHIFT | int(prefix.network_address)
    return ROUTE.flow(
        RoutePriority.PREFIX + prefix.prefixlen,
        {"eth_type": IPV4, "ipv4_dst": prefix},
        cookie=cookie(FabricCookie.PREFIX, obj),
        actions=[DecTtl(), ToGroup(group_id)],
    )


@lru_cache(_CACHED)
def select(group_id: int, hops: NextHops, basis: int) -> Group:
    """Spread over the next hops; the switch itself skips a port that is down."""
    return Group(group_id, tuple(Bucket((Output(port),), watch_port=port) for port in hops), basis)


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
