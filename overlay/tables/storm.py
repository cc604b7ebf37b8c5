"""How much may a port send to nobody in particular?

What is flooded costs every port of its network, so each port may do so at a limited rate.  What came by the tunnel has
been counted where it was sent.  The meter counts packets, since a small one costs as much as a large one.
"""

from __future__ import annotations

from typing import Final

from overlay.flow import Flow, Meter, Table
from overlay.tables.names import IN_LANE

TABLE: Final = Table(
    "storm",
    "Limits what each port floods.",
    matches=(IN_LANE,),
    nexts=("flood",),
    miss="flood: from the tunnel, or a port without a limit",
)

LIMITED: Final = 10
MISS: Final = 0


def limited(cookie: int, lane: int, meter: Meter) -> Flow:
    """A port floods, no more than its meter lets pass."""
    return TABLE.flow(LIMITED, {IN_LANE: lane}, cookie=cookie, goto="flood", meter=meter.meter_id)


def miss(cookie: int) -> Flow:
    """All other packets."""
    return TABLE.flow(MISS, {}, cookie=cookie, goto="flood")
