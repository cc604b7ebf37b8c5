"""Does the sender's policy look at this?

A port whose policy does not let it send all goes by the next tables; what no policy is about goes on.
"""

from __future__ import annotations

from typing import Final

from overlay.flow import Flow, Table
from overlay.tables.names import IN_LANE

TABLE: Final = Table(
    "sender",
    "Sends a packet to the policy of the port that it came from.",
    matches=(IN_LANE, "eth_type"),
    nexts=("forward",),
    miss="forward: a port without a policy about it",
)

MISS: Final = 0


def miss(cookie: int) -> Flow:
    """All other packets."""
    return TABLE.flow(MISS, {}, cookie=cookie, goto="forward")
