"""How much may a port send to nobody in particular?

What is flooded costs every port of its network, so each port may do so at a limited rate.  What came by the tunnel has
been counted where it was sent.
"""

from __future__ import annotations

from typing import Final

from overlay.flow import Flow, Table
from overlay.tables.names import IN_LANE

TABLE: Final = Table(
    "storm",
    "Limits what each port floods.",
    matches=(IN_LANE,),
    nexts=("flood",),
    miss="flood: from the tunnel, or a port without a limit",
)

MISS: Final = 0


def miss(cookie: int) -> Flow:
    """All other packets."""
    return TABLE.flow(MISS, {}, cookie=cookie, goto="flood")
