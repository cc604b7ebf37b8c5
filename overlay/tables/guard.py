"""May this port say that?

A port can only send what it owns: its MAC, its addresses, its ARP identity, and those of its address pairs.  What is
said about IPv6 neighbours is judged by the next table.  All else is dropped and counted per port.  A port without port
security may say anything.  A passive port (the target of a move that is not activated) is silent: only its announcement
(RARP, gratuitous ARP) reaches the controller, at a limited rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from overlay.flow import Flow, Table, ToController
from overlay.policy.speakers import V4, V6
from overlay.tables.names import (
    ANNOUNCEMENTS_METER,
    ARP,
    ARP_REQUEST,
    DHCP_CLIENT,
    DHCP_SERVER,
    DHCPV6_SERVER,
    ICMPV6,
    IGMP,
    IN_LANE,
    IPV4,
    IPV6,
    LISTENER_DONE,
    LISTENER_REPORT,
    LISTENER_REPORT_V2,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    RARP,
    REDIRECT,
    ROUTER_ADVERTISEMENT,
    ROUTER_SOLICITATION,
    UDP,
)
from overlay.values import Mac

TABLE: Final = Table(
    "guard",
    "Lets a port send only with its own MAC, IPs and ARP identity, or those of its address pairs, and counts what it"
    " refuses; a port without port security may send anything. A passive port may only announce itself, to the"
    " controller.",
    matches=(
        IN_LANE,
        "eth_src",
        "eth_type",
        "arp_op",
        "arp_sha",
        "arp_spa",
        "arp_tpa",
        "ipv4_src",
        "ip_proto",
        "udp_src",
        "udp_dst",
        "ipv6_src",
        "icmpv6_type",
    ),
    nexts=("guard_nd", "inquiry", "services", "forward", "mirror"),
    outputs=True,
    miss="drop: not a port of ours",
)

NEIGHBOUR_TALK: Final = 30
ROGUE: Final = 25
ASKING: Final = 22
OWN: Final = 20
REFUSED: Final = 10

JUDGED_LATER: Final = (ROUTER_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT, REDIRECT)


def neighbour_talk(cookie: int) -> Iterator[Flow]:
    """Of all ports: what is said about routers and neighbours goes to its own judge."""
    for kind in JUDGED_LATER:
        match = {"eth_type": IPV6, "ip_proto": ICMPV6, "icmpv6_type": kind}
        yield TABLE.flow(NEIGHBOUR_TALK, match, cookie=cookie, goto="guard_nd")


def own(cookie: int, lane: int, mac: Mac, ipv4: Iterable[V4], ipv6: Iterable[V6]) -> Iterator[Flow]:
    """What a port may send with one MAC.

    :param ipv4: its addresses and prefixes; ``0.0.0.0`` in an ARP request is a probe (RFC 5227) and allowed with any.
    :param ipv6: its addresses and prefixes, link-local among them.

    Whoever has no address yet may say which multicast groups it listens to (RFC 9776 §4.2.14, RFC 9777 §5.2.13).
    """
    speaker = {IN_LANE: lane, "eth_src": mac}
    arp = {**speaker, "eth_type": ARP, "arp_sha": mac}
    probing = False
    for ip in ipv4:
        probing = True
        yield TABLE.flow(OWN, {**arp, "arp_spa": ip}, cookie=cookie, goto="inquiry")
        yield TABLE.flow(OWN, {**speaker, "eth_type": IPV4, "ipv4_src": ip}, cookie=cookie, goto="services")
    if probing:
        yield TABLE.flow(OWN, {**arp, "arp_op": ARP_REQUEST, "arp_spa": 0}, cookie=cookie, goto="inquiry")
    for ip6 in ipv6:
        yield TABLE.flow(OWN, {**speaker, "eth_type": IPV6, "ipv6_src": ip6}, cookie=cookie, goto="services")
    report = {"eth_type": IPV4, "ip_proto": IGMP, "ipv4_src": 0}
    yield TABLE.flow(OWN, {**speaker, **report}, cookie=cookie, goto="services")
    for kind in (LISTENER_REPORT, LISTENER_DONE, LISTENER_REPORT_V2):
        report = {"eth_type": IPV6, "ip_proto": ICMPV6, "icmpv6_type": kind, "ipv6_src": 0}
        yield TABLE.flow(OWN, {**speaker, **report}, cookie=cookie, goto="services")


def asking(cookie: int, lane: int, mac: Mac, *, anywhere: bool) -> Iterator[Flow]:
    """Whoever has no address yet may ask for one, and for routers (RFC 2131 §4.1, RFC 4861 §4.1).

    :param anywhere: whether the network itself gives addresses.  Then nobody else hears the question, so that it may
        come from an address that is the port's no more: its machine learns that.
    """
    speaker = {IN_LANE: lane, "eth_src": mac}
    question = {**speaker, "eth_type": IPV4, "ip_proto": UDP, "udp_src": DHCP_CLIENT, "udp_dst": DHCP_SERVER}
    yield TABLE.flow(ASKING, question if anywhere else {**question, "ipv4_src": 0}, cookie=cookie, goto="services")
    question = {**speaker, "eth_type": IPV6, "ip_proto": ICMPV6, "icmpv6_type": ROUTER_SOLICITATION, "ipv6_src": 0}
    yield TABLE.flow(ASKING, question, cookie=cookie, goto="services")


def rogue(cookie: int, lane: int) -> Iterator[Flow]:
    """No port gives addresses to others: what a DHCP server would say is dropped, and counted by itself."""
    yield TABLE.flow(ROGUE, {IN_LANE: lane, "eth_type": IPV4, "ip_proto": UDP, "udp_src": DHCP_SERVER}, cookie=cookie)
    yield TABLE.flow(ROGUE, {IN_LANE: lane, "eth_type": IPV6, "ip_proto": UDP, "udp_src": DHCPV6_SERVER}, cookie=cookie)


def anything(cookie: int, lane: int) -> Iterator[Flow]:
    """What a port without port security may send; questions are answered for it as for any other."""
    yield TABLE.flow(OWN, {IN_LANE: lane, "eth_type": ARP}, cookie=cookie, goto="inquiry")
    for kind in (IPV4, IPV6):
        yield TABLE.flow(OWN, {IN_LANE: lane, "eth_type": kind}, cookie=cookie, goto="services")
    yield TABLE.flow(REFUSED, {IN_LANE: lane}, cookie=cookie, goto="forward")


def announcement_over(cookie: int, lane: int, mac: Mac) -> Flow:
    """An active port's RARP (a hypervisor sends it after a move) has nobody to tell: dropped, and not a spoof."""
    return TABLE.flow(OWN, {IN_LANE: lane, "eth_src": mac, "eth_type": RARP}, cookie=cookie)


def announcements(cookie: int, lane: int, mac: Mac, ipv4: Iterable[int]) -> Iterator[Flow]:
    """What a passive port may say, to the controller only: RARP, and ARP about itself."""
    speaker = {IN_LANE: lane, "eth_src": mac}
    told = {"cookie": cookie, "actions": (ToController(),), "meter": ANNOUNCEMENTS_METER}
    yield TABLE.flow(OWN, {**speaker, "eth_type": RARP}, **told)  # type: ignore[arg-type]
    for ip in ipv4:
        match = {**speaker, "eth_type": ARP, "arp_sha": mac, "arp_spa": ip, "arp_tpa": ip}
        yield TABLE.flow(OWN, match, **told)  # type: ignore[arg-type]


def refused(cookie: int, lane: int) -> Flow:
    """Everything else that a port says is dropped, and counted here."""
    return TABLE.flow(REFUSED, {IN_LANE: lane}, cookie=cookie)
