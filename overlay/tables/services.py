"""Does the network itself answer this?

What a port asks of its network (an address, a name, a group) is handed to the controller, which answers, at a rate that
is limited per port.  All else goes on.
"""

from __future__ import annotations

from typing import Final

from overlay.flow import Flow, Table
from overlay.tables.names import IN_LANE, NETWORK

TABLE: Final = Table(
    "services",
    "Hands to the controller what a port asks of its network, at a limited rate.",
    matches=(IN_LANE, NETWORK, "eth_type", "ip_proto", "udp_src", "udp_dst", "icmpv6_type", "ipv4_dst", "ipv6_dst"),
    nexts=("sender",),
    outputs=True,
    miss="sender: nothing that is asked of the network",
)

ASKED: Final = 20
MISS: Final = 0


def miss(cookie: int) -> Flow:
    """All other packets."""
    return TABLE.flow(MISS, {}, cookie=cookie, goto="sender")
