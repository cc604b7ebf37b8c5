"""May this port say that about a neighbour?

IPv6 neighbour discovery (RFC 4861) carries identities in its body: a solicitation tells the sender's MAC, an
advertisement binds an address to one.  A port may tell its own MAC for its own addresses and nothing else; it may not
be a router.  What it may not is dropped and counted per port.  A port without port security may say anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from overlay.flow import Flow, Table, ToController
from overlay.policy.speakers import V6
from overlay.tables.names import (
    ANNOUNCEMENTS_METER,
    ICMPV6,
    IN_LANE,
    IPV6,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    ROUTER_ADVERTISEMENT,
)
from overlay.values import Mac

TABLE: Final = Table(
    "guard_nd",
    "Lets a port solicit and advertise IPv6 neighbours only as itself, or as its address pairs say; router"
    " advertisements and redirects never pass. A port without port security may say anything; a passive port may only"
    " advertise itself, to the controller.",
    matches=(
        IN_LANE,
        "eth_src",
        "eth_type",
        "ip_proto",
        "icmpv6_type",
        "ipv6_src",
        "ipv6_nd_target",
        "ipv6_nd_sll",
        "ipv6_nd_tll",
    ),
    nexts=("neighbours", "forward", "mirror"),
    outputs=True,
    miss="drop: not a port of ours",
)

OWN: Final = 20
REFUSED: Final = 10


def own(cookie: int, lane: int, mac: Mac, ipv6: Sequence[V6]) -> Iterator[Flow]:
    """What a port may say with one MAC.

    :param ipv6: its addresses and prefixes, the link-local one first.
    """
    speaker = {IN_LANE: lane, "eth_src": mac, "eth_type": IPV6, "ip_proto": ICMPV6}
    asking = {**speaker, "icmpv6_type": NEIGHBOUR_SOLICITATION}
    telling = {**speaker, "icmpv6_type": NEIGHBOUR_ADVERTISEMENT, "ipv6_nd_tll": mac}
    for ip in ipv6:
        yield TABLE.flow(OWN, {**asking, "ipv6_src": ip, "ipv6_nd_sll": mac}, cookie=cookie, goto="neighbours")
        # duplicate address detection (RFC 4862 §5.4.2): the true owner, if there is another, has to hear it
        probe = {"ipv6_src": 0, "ipv6_nd_sll": 0, "ipv6_nd_target": ip}
        yield TABLE.flow(OWN, {**asking, **probe}, cookie=cookie, goto="forward")
        for source in dict.fromkeys((ip, ipv6[0])):
            match = {**telling, "ipv6_src": source, "ipv6_nd_target": ip}
            yield TABLE.flow(OWN, match, cookie=cookie, goto="forward")


def rogue(cookie: int, lane: int) -> Flow:
    """No port is a router to others: what it advertises as such is dropped, and counted by itself."""
    match = {IN_LANE: lane, "eth_type": IPV6, "ip_proto": ICMPV6, "icmpv6_type": ROUTER_ADVERTISEMENT}
    return TABLE.flow(OWN, match, cookie=cookie)


def anything(cookie: int, lane: int) -> Iterator[Flow]:
    """What a port without port security may say; questions are answered for it as for any other."""
    asking = {IN_LANE: lane, "eth_type": IPV6, "ip_proto": ICMPV6, "icmpv6_type": NEIGHBOUR_SOLICITATION}
    yield TABLE.flow(OWN, asking, cookie=cookie, goto="neighbours")
    yield TABLE.flow(REFUSED, {IN_LANE: lane}, cookie=cookie, goto="forward")


def announcements(cookie: int, lane: int, mac: Mac, ipv6: Iterable[V6]) -> Iterator[Flow]:
    """What a passive port may say, to the controller only: that its addresses are its own (RFC 4861 §7.2.6)."""
    telling = {IN_LANE: lane, "eth_src": mac, "eth_type": IPV6, "ip_proto": ICMPV6, "ipv6_nd_tll": mac}
    for ip in ipv6:
        match = {**telling, "icmpv6_type": NEIGHBOUR_ADVERTISEMENT, "ipv6_nd_target": ip}
        yield TABLE.flow(OWN, match, cookie=cookie, actions=(ToController(),), meter=ANNOUNCEMENTS_METER)


def refused(cookie: int, lane: int) -> Flow:
    """Everything else that a port says about neighbours is dropped, and counted here."""
    return TABLE.flow(REFUSED, {IN_LANE: lane}, cookie=cookie)
