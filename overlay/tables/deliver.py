"""May the receiver have it?

The last table before a tap.  Today everything passes; policy of the receiver belongs here.
"""

from __future__ import annotations

from typing import Final

from overlay.flow import Flow, Output, Table
from overlay.tables.names import OUT_PORT

TABLE: Final = Table(
    "deliver",
    "Hands a packet to the tap of its receiver.",
    matches=(OUT_PORT,),
    outputs=True,
    miss="drop: the receiver was unplugged",
)

PASS: Final = 10


def to_tap(cookie: int, ofport: int) -> Flow:
    """Hand it over."""
    return TABLE.flow(PASS, {OUT_PORT: ofport}, cookie=cookie, actions=(Output(ofport),))
