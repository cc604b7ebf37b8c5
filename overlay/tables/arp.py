"""Who has this IPv4 address?

A request for an address of the network is turned into its answer and sent back out of the port that it came in by: no
broadcast, no controller.  The owner itself is let through, so that its gratuitous ARP and its probes reach the network
(RFC 5227), and so is every question that the directory cannot answer.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from overlay.flow import Flow, Move, Set, Table
from overlay.tables.names import ARP, ARP_REPLY, ARP_REQUEST, IN_LANE, NETWORK, SHARED
from overlay.values import Mac, Vni

TABLE: Final = Table(
    "arp",
    "Answers ARP requests for known addresses on the spot.",
    matches=(IN_LANE, "eth_type", "arp_op", "arp_tpa", NETWORK),
    writes=("eth_src", "eth_dst", "arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha"),
    nexts=("reply", "forward"),
    miss="forward: flood or deliver as any frame",
)

OWN: Final = 30
KNOWN: Final = 20
OF_THE_NETWORK: Final = 15
MISS: Final = 0


@lru_cache(maxsize=SHARED)
def answer(cookie: int, vni: Vni, ip: int, mac: Mac, priority: int = KNOWN) -> Flow:
    """Answer for the owner of an address; for the network's own services only where no port has theirs."""
    return TABLE.flow(
        priority,
        {NETWORK: vni, "eth_type": ARP, "arp_op": ARP_REQUEST, "arp_tpa": ip},
        cookie=cookie,
        actions=(
            Move("eth_src", "eth_dst"),
            Set("eth_src", mac),
            Set("arp_op", ARP_REPLY),
            Move("arp_sha", "arp_tha"),
            Set("arp_sha", mac),
            Move("arp_spa", "arp_tpa"),
            Set("arp_spa", ip),
        ),
        goto="reply",
    )


def own(cookie: int, lane: int, ip: int) -> Flow:
    """The owner asks for its own address."""
    match = {IN_LANE: lane, "eth_type": ARP, "arp_op": ARP_REQUEST, "arp_tpa": ip}
    return TABLE.flow(OWN, match, cookie=cookie, goto="forward")


def miss(cookie: int) -> Flow:
    """All other ARP."""
    return TABLE.flow(MISS, {}, cookie=cookie, goto="forward")
