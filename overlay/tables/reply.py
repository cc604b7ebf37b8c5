"""How does an answer that the switch made get back to the port that asked?

By the OpenFlow port that the question came in by, with the tag of the port's VLAN where it has one.
"""

from __future__ import annotations

from typing import Final

from overlay.flow import PORT_IN, Flow, Output, Table
from overlay.footing import Tap
from overlay.tables.deliver import tagged
from overlay.tables.names import IN_LANE

TABLE: Final = Table(
    "reply",
    "Sends the answers that the switch gives back to whoever asked.",
    matches=(IN_LANE,),
    writes=("vlan_vid",),
    outputs=True,
    miss="back by the port that the question came in by",
)

VLAN: Final = 10
MISS: Final = 0


def to_vlan(cookie: int, tap: Tap) -> Flow:
    """A port that is a VLAN asked."""
    return TABLE.flow(VLAN, {IN_LANE: tap.lane}, cookie=cookie, actions=tagged(tap.vid, PORT_IN))


def miss(cookie: int) -> Flow:
    """Any other port asked."""
    return TABLE.flow(MISS, {}, cookie=cookie, actions=(Output(PORT_IN),))
