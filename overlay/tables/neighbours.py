"""Who has this IPv6 address?

A solicitation for an address of the network is turned into an advertisement of its owner, which the next table
completes and sends back.  Where the datapath cannot rewrite it (the kernel one cannot), the solicitation goes to the
owner alone instead of to everybody.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from overlay.flow import Flow, Move, Set, Table
from overlay.tables.names import ICMPV6, IPV6, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, NETWORK, SHARED
from overlay.values import Mac, Vni

TABLE: Final = Table(
    "neighbours",
    "Answers IPv6 neighbour solicitations for known addresses on the spot, or hands them to the owner alone.",
    matches=("eth_type", "ip_proto", "icmpv6_type", "ipv6_nd_target", NETWORK),
    writes=("eth_src", "eth_dst", "ipv6_src", "ipv6_dst", "icmpv6_type"),
    nexts=("advertise", "forward"),
    miss="forward: flood or deliver as any frame",
)

KNOWN: Final = 20
OF_THE_NETWORK: Final = 15
MISS: Final = 0


@lru_cache(maxsize=SHARED)
def answer(cookie: int, vni: Vni, ip: int, mac: Mac, priority: int = KNOWN) -> Flow:
    """Answer for the owner of an address; for the network's own services only where no port has theirs."""
    return TABLE.flow(
        priority,
        _asked(vni, ip),
        cookie=cookie,
        actions=(
            Move("eth_src", "eth_dst"),
            Set("eth_src", mac),
            Move("ipv6_src", "ipv6_dst"),
            Set("ipv6_src", ip),
            Set("icmpv6_type", NEIGHBOUR_ADVERTISEMENT),
        ),
        goto="advertise",
    )


@lru_cache(maxsize=SHARED)
def hand_over(cookie: int, vni: Vni, ip: int, mac: Mac) -> Flow:
    """Let the owner of an address answer for itself, without a flood."""
    return TABLE.flow(KNOWN, _asked(vni, ip), cookie=cookie, actions=(Set("eth_dst", mac),), goto="forward")


def miss(cookie: int) -> Flow:
    """All other solicitations."""
    return TABLE.flow(MISS, {}, cookie=cookie, goto="forward")


def _asked(vni: Vni, ip: int) -> dict[str, int]:
    return {
        NETWORK: vni,
        "eth_type": IPV6,
        "ip_proto": ICMPV6,
        "icmpv6_type": NEIGHBOUR_SOLICITATION,
        "ipv6_nd_target": ip,
    }
