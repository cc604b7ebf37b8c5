"""What are the registers, marks and protocol numbers called?

Names that several tables share.
"""

from __future__ import annotations

import re
from enum import IntEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from overlay.flow import cookie

NETWORK: Final = "reg1"
"""The VNI of the network that the packet belongs to; 0 is none."""

IN_LANE: Final = "reg2"
"""The lane of the port that the packet came from; 0 for one from the tunnel."""

OUT_LANE: Final = "reg3"
"""The lane of the local port that the packet goes to."""

REGISTERS: Final = {NETWORK: "network", IN_LANE: "in_lane", OUT_LANE: "out_lane"}

UNTAGGED: Final = 0
"""The ``vlan_vid`` of a frame without a tag."""

ARP: Final = 0x0806
RARP: Final = 0x8035
IPV4: Final = 0x0800
IPV6: Final = 0x86DD
ICMP: Final = 1
TCP: Final = 6
UDP: Final = 17
ICMPV6: Final = 58
SCTP: Final = 132
IGMP: Final = 2
ARP_REQUEST: Final = 1
ARP_REPLY: Final = 2

ROUTER_ADVERTISEMENT: Final = 134
NEIGHBOUR_SOLICITATION: Final = 135
NEIGHBOUR_ADVERTISEMENT: Final = 136
REDIRECT: Final = 137
LISTENER_REPORT: Final = 131
LISTENER_DONE: Final = 132
ROUTER_SOLICITATION: Final = 133
LISTENER_QUERY: Final = 130
LISTENER_REPORT_V2: Final = 143

DHCP_SERVER: Final = 67
DHCP_CLIENT: Final = 68
DHCPV6_CLIENT: Final = 546
DHCPV6_SERVER: Final = 547
"""Ports of UDP."""

ANNOUNCEMENTS_METER: Final = 1
"""The meter that limits what passive ports may announce to the controller."""

SENDING_METERS: Final = 1 << 16
"""The meter of what a port sends is this and its lane, which has 16 bits."""
RECEIVING_METERS: Final = 2 << 16
"""Likewise of what it is sent."""
STORM_METERS: Final = 3 << 16
"""Likewise of what it sends to nobody in particular."""
ASKING_METERS: Final = 4 << 16
"""Likewise of what it asks the controller."""
PACKET_METERS: Final = 5 << 16
"""Likewise of how many IP packets it sends."""
BEGINNING_METERS: Final = 6 << 16
"""Likewise of how many connections it begins."""
INQUIRY_METERS: Final = 7 << 16
"""Likewise of what it says by ARP."""

SHARED: Final = 4096
"""How many flows that are the same on many hosts are remembered, so that those hosts share them."""


class CookieKind(IntEnum):
    """What the 8 kind bits of a cookie mean; the object is a network, a port, or a security group."""

    STATIC = 1
    NETWORK = 2
    PORT = 3
    ADDRESS = 4
    SPOOFED = 5
    ANNOUNCEMENT = 6
    SILENCED = 7
    REFUSED_OUT = 8
    REFUSED_IN = 9
    PEER = 10
    SERVICE = 11
    CLAUSE = 12
    MIRROR = 40
    MULTICAST = 16
    ASKED_GROUPS = 17
    ASKED_NAMES = 18
    ASKED_ADDRESS = 19
    ASKED_ADDRESS_V6 = 20
    ASKED_ROUTER = 21
    ROGUE = 22
    TAGGED = 24


_UUID_START: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{2}")


def object_number(object_id: str) -> int:
    """The 40 bits by which a cookie names an object: of a UUID its first ten digits, else a hash."""
    if _UUID_START.match(object_id):
        return int(object_id[:8] + object_id[9:11], 16)
    return int.from_bytes(blake2b(object_id.encode(), digest_size=5).digest(), "big")


def kind_of(cookie: int) -> int:
    """The kind of a cookie of ours."""
    return cookie >> 40 & 0xFF


@lru_cache(maxsize=SHARED)
def provenance(kind: CookieKind, object_id: str = "") -> int:
    """The cookie of flows of this kind about this object."""
    return cookie(kind, object_number(object_id) if object_id else 0)
