"""Which tables does a packet meet in a fabric switch, and which bits, marks and rates have a name there?

A fabric switch is a piece of one big router for locator addresses.  It never sees an address of a tenant: those are
inside VXLAN, and no table matches on it.
"""

from __future__ import annotations

from enum import IntEnum
from ipaddress import IPv4Address
from typing import Final

from overlay.flow import Pipeline, Table

LLDP: Final = 0x88CC
ARP: Final = 0x0806
IPV4: Final = 0x0800
UDP: Final = 17
ARP_REQUEST: Final = 1
ARP_REPLY: Final = 2

TAG_SPACE: Final = 0x02564D000000
"""Locator tags travel as destination MACs from here on (locally administered), as PortLand's addresses of position do
(Niranjan Mysore et al., SIGCOMM 2009 §3.2): the fabric routes, so that this field is free between its switches."""
TAG_MASK: Final = 0xFFFFFF000000

NO_PORT: Final = 0
"""No port has this number; a packet that is said to come from it may leave by any (in_port in ovs-fields(7))."""

REG_ASKER: Final = "reg1"
"""Holds the asker's address while an ARP request is turned into its reply (a Move copies, it does not swap)."""

PORT_RATE: Final = 50
"""Packets per second that one port may send to the controller; its meter has the port's number."""
PORT_BURST: Final = 50


def mac_of_tag(tag: int) -> int:
    """Give the destination MAC that carries a locator tag."""
    return TAG_SPACE | tag


def is_tag(mac: int) -> bool:
    """Whether a MAC carries a locator tag."""
    return mac & TAG_MASK == TAG_SPACE


def tag_of(mac: int) -> int:
    """Read the locator tag off a destination MAC."""
    return mac & ~TAG_MASK


class FabricCookie(IntEnum):
    """The kinds of flows in a fabric switch; what the object of each cookie is, stands behind it."""

    DISCOVERY = 0x80  # the port
    EDGE = 0x81  # the port
    ROUTED = 0x82  # nothing
    LEARN = 0x83  # the port
    KNOWN = 0x84  # the LA
    ANSWER = 0x85  # nothing
    SELF = 0x86  # the LA
    HOST = 0x87  # the LA
    PREFIX = 0x88  # prefix length and address
    ENTERING = 0x89  # the port
    TAGGED = 0x8A  # the port
    ENTRY = 0x8B  # prefix length and address
    HERE = 0x8C  # prefix length and address
    PLAIN = 0x8D  # nothing
    TAG = 0x8E  # the tag
    ELEPHANT = 0x90  # prefix length and address


_PORT_KINDS: Final = {
    FabricCookie.DISCOVERY,
    FabricCookie.EDGE,
    FabricCookie.LEARN,
    FabricCookie.ENTERING,
    FabricCookie.TAGGED,
}
_PREFIX_KINDS: Final = {FabricCookie.PREFIX, FabricCookie.ENTRY, FabricCookie.HERE, FabricCookie.ELEPHANT}
_LA_KINDS: Final = {FabricCookie.KNOWN, FabricCookie.SELF, FabricCookie.HOST}
PREFIX_SHIFT: Final = 32


def object_name(kind: FabricCookie, obj: int) -> str:
    """Say which object a cookie of this kind means: ``port 3``, ``10.0.1.11``, ``10.0.1.0/24`` or nothing."""
    if kind in _PORT_KINDS:
        return f"port {obj}"
    if kind is FabricCookie.TAG:
        return f"tag {obj}"
    address = IPv4Address(obj & (1 << PREFIX_SHIFT) - 1)
    if kind in _LA_KINDS:
        return str(address)
    return f"{address}/{obj >> PREFIX_SHIFT}" if kind in _PREFIX_KINDS else ""


class ClassifyPriority(IntEnum):
    """They differ in Ethernet type or destination, but that what enters stands before what comes from anywhere."""

    DISCOVERY = 300
    ARP = 200
    TAGGED = 160
    ENTERING = 150
    ROUTED = 100


class LearnPriority(IntEnum):
    """A known host before the unknown; who asks for a gateway is answered at once, who asks for more waits."""

    KNOWN = 300
    UNKNOWN_TO_GATEWAY = 200
    UNKNOWN = 100


class AnswerPriority(IntEnum):
    """The exception before the rule."""

    SELF = 200
    ANSWER = 100


class EnterPriority(IntEnum):
    """Longest prefix first, its length added to PREFIX; what has no entry of its own last."""

    PREFIX = 100
    PLAIN = 10


class TagPriority(IntEnum):
    """A tag is matched as a whole."""

    TAG = 100


class RoutePriority(IntEnum):
    """A host on this very switch first; then longest prefix first, its length added to PREFIX."""

    HOST = 200
    PREFIX = 100


class ElephantPriority(IntEnum):
    """A bin before the rest of its prefix, whose length is added to either."""

    BIN = 200
    REST = 100


CLASSIFY: Final = Table(
    "classify",
    purpose=(
        "Tell discovery packets, ARP of hosts, packets with a locator tag, and packets for the router apart.  Only a"
        " port that leads to a switch takes tags; only one that does not has packets that enter."
    ),
    matches=("in_port", "eth_type", "eth_dst"),
    nexts=("learn", "enter", "tagged", "route"),
    outputs=True,
    miss="drop: a fabric switch bridges nothing",
)
LEARN: Final = Table(
    "learn",
    purpose=(
        "Hand ARP of a host that is not yet known on this port to the controller, within the port's rate;"
        " the requests of known hosts pass.  Replies are answers to the controller's own questions and go there too."
    ),
    matches=("in_port", "eth_type", "arp_op", "arp_sha", "arp_spa", "arp_tpa"),
    nexts=("answer",),
    outputs=True,
    miss="drop: senders without an LA (duplicate address detection among them) get no answer",
)
ANSWER: Final = Table(
    "answer",
    purpose="Answer an ARP request for any LA with the router's MAC, so that every host sends to the router.",
    matches=("in_port", "eth_type", "arp_op", "arp_tpa"),
    writes=("eth_src", "eth_dst", "arp_op", "arp_sha", "arp_tha", "arp_spa", "arp_tpa", REG_ASKER),
    outputs=True,
    miss="drop: not an LA",
)
ENTER: Final = Table(
    "enter",
    purpose=(
        "Where the policy says so (`vlb`, `disjoint`), spread what enters over ways that its destination alone would"
        " not take: the group's buckets write locator tags."
    ),
    matches=("eth_type", "ipv4_dst"),
    writes=("ttl",),
    nexts=("route",),
    outputs=True,
    miss="drop: there is always a flow that lets everything else pass",
)
TAGGED: Final = Table(
    "tagged",
    purpose="Send a packet with a locator tag on to the tag's end, and take the tag off there.",
    matches=("eth_type", "eth_dst"),
    writes=("eth_dst", "in_port", "ttl"),
    nexts=("route",),
    outputs=True,
    miss="drop: no such tag, or no way to its end",
)
ROUTE: Final = Table(
    "route",
    purpose=(
        "Send a packet to the host here that has its LA, or to the leaf of its edge switch: a group that leads to a"
        " group of next hops."
    ),
    matches=("eth_type", "ipv4_dst"),
    writes=("eth_src", "eth_dst", "ttl"),
    nexts=("elephants",),
    outputs=True,
    miss="drop: no such host, or no way there",
)
ELEPHANTS: Final = Table(
    "elephants",
    purpose=(
        "While an up-link is busy: count what goes to a prefix in bins by the outer UDP source port, and send a heavy"
        " bin to a next hop of its own.  Empty unless the operator has turned elephants on; the last table, so that"
        " no other one's number depends on it."
    ),
    matches=("eth_type", "ipv4_dst", "ip_proto", "udp_src"),
    outputs=True,
    miss="drop: a route leads here only if there is a flow for the rest of its prefix",
)
FABRIC: Final = Pipeline("fabric", CLASSIFY, LEARN, ANSWER, ENTER, TAGGED, ROUTE, ELEPHANTS)
