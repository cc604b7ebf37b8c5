"""Does the network itself answer this?

What a port asks of its network (an address, a name, a group) is handed to the controller, which answers, at a rate that
is limited per port.  All else goes on, and so does what machines have tagged with a VLAN of their own: it is said among
them and not to the network.  Where ports may send only so many packets, they are counted here, since a small packet
costs a switch as much as a large one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from overlay.flow import FieldValue, Flow, Meter, Table, ToController
from overlay.tables.names import (
    DHCP_SERVER,
    DHCPV6_SERVER,
    ICMPV6,
    IGMP,
    IN_LANE,
    IPV4,
    IPV6,
    LISTENER_DONE,
    LISTENER_QUERY,
    LISTENER_REPORT,
    LISTENER_REPORT_V2,
    NETWORK,
    ROUTER_SOLICITATION,
    UDP,
    UNTAGGED,
)

TABLE: Final = Table(
    "services",
    "Hands to the controller what a port asks of its network, at a limited rate; where ports may send only so many IP"
    " packets, their meters drop what is over it.",
    matches=(
        IN_LANE,
        NETWORK,
        "vlan_vid",
        "eth_type",
        "ip_proto",
        "udp_src",
        "udp_dst",
        "icmpv6_type",
        "ipv4_dst",
        "ipv6_dst",
    ),
    nexts=("sender",),
    outputs=True,
    miss="sender: nothing that is asked of the network",
)

DNS: Final = 53
ASKED: Final = 20
COUNTED: Final = 10
MISS: Final = 0


def ask(cookie: int, lane: int, match: Mapping[str, FieldValue], meter: int | None = None) -> Flow:
    """What a port asks of its network goes to the controller, and no further."""
    match = {IN_LANE: lane, "vlan_vid": UNTAGGED, **match}
    return TABLE.flow(ASKED, match, cookie=cookie, actions=(ToController(),), meter=meter)


def groups(cookie: int, lane: int, meter: int | None = None) -> Iterator[Flow]:
    """What a port says of the multicast groups that it listens to.

    The others do not hear it: a machine that hears another one report a group keeps silent about its own membership
    (RFC 2236 §3, RFC 2710 §4).
    """
    yield ask(cookie, lane, {"eth_type": IPV4, "ip_proto": IGMP}, meter)
    for kind in (LISTENER_REPORT, LISTENER_DONE, LISTENER_REPORT_V2):
        yield ask(cookie, lane, {"eth_type": IPV6, "ip_proto": ICMPV6, "icmpv6_type": kind}, meter)


def address(cookie: int, lane: int, meter: int | None = None) -> Flow:
    """A port asks for its IPv4 address, whomever."""
    return ask(cookie, lane, {"eth_type": IPV4, "ip_proto": UDP, "udp_dst": DHCP_SERVER}, meter)


def address_v6(cookie: int, lane: int, meter: int | None = None) -> Flow:
    """A port asks for IPv6 addresses, or for what goes with them."""
    return ask(cookie, lane, {"eth_type": IPV6, "ip_proto": UDP, "udp_dst": DHCPV6_SERVER}, meter)


def router(cookie: int, lane: int, meter: int | None = None) -> Flow:
    """A port asks for routers."""
    return ask(cookie, lane, {"eth_type": IPV6, "ip_proto": ICMPV6, "icmpv6_type": ROUTER_SOLICITATION}, meter)


def names(cookie: int, lane: int, meter: int | None = None) -> Iterator[Flow]:
    """What a port asks any server of names: the network itself may know."""
    for family in (IPV4, IPV6):
        yield ask(cookie, lane, {"eth_type": family, "ip_proto": UDP, "udp_dst": DNS}, meter)


def no_other_querier(cookie: int) -> Flow:
    """The network itself asks who listens; a machine that does so too is not heard."""
    asks = {"vlan_vid": UNTAGGED, "eth_type": IPV6, "ip_proto": ICMPV6, "icmpv6_type": LISTENER_QUERY}
    return TABLE.flow(ASKED, asks, cookie=cookie)


def counted(cookie: int, lane: int, meter: Meter) -> Flow:
    """All other packets of a port that may send only so many."""
    return TABLE.flow(COUNTED, {IN_LANE: lane}, cookie=cookie, goto="sender", meter=meter.meter_id)


def miss(cookie: int) -> Flow:
    """All other packets."""
    return TABLE.flow(MISS, {}, cookie=cookie, goto="sender")
