"""Does the receiver's policy look at this?

The twin of ``overlay.tables.sender``.  A packet comes here once for each local port that it is to be delivered to; of a
flood one copy may be for the sender itself: it is dropped at the last, since it would leave by the port it came in by.
"""

from __future__ import annotations

from typing import Final

from overlay.flow import Flow, Table
from overlay.tables.names import IN_LANE, OUT_LANE

TABLE: Final = Table(
    "receiver",
    "Sends a packet to the policy of the port that it is for.",
    matches=(IN_LANE, OUT_LANE, "eth_type"),
    nexts=("deliver",),
    miss="deliver: a port without a policy about it",
)

MISS: Final = 0


def miss(cookie: int) -> Flow:
    """All other packets."""
    return TABLE.flow(MISS, {}, cookie=cookie, goto="deliver")
