"""How does the receiver get it?

The last table: the tap of the port, with the tag of its VLAN where it has one.  Where a policy limits what the port
gets, its meter drops the rest here; a copy of a flood counts like any other packet.
"""

from __future__ import annotations

from typing import Final

from overlay.flow import VLAN_PRESENT, Action, Flow, Meter, Output, PopVlan, PushVlan, Set, Table
from overlay.footing import Tap
from overlay.tables.names import OUT_LANE

TABLE: Final = Table(
    "deliver",
    "Hands a packet to the tap of its receiver; where that has a limit, its meter drops what is over it.",
    matches=(OUT_LANE,),
    writes=("vlan_vid",),
    nexts=("mirror",),
    outputs=True,
    miss="drop: the receiver was unplugged",
)

PASS: Final = 10


def to_tap(cookie: int, tap: Tap, meter: Meter | None = None) -> Flow:
    """Hand it over, if it is within what the port may get."""
    return TABLE.flow(
        PASS, {OUT_LANE: tap.lane}, cookie=cookie, actions=hand(tap), meter=None if meter is None else meter.meter_id
    )


def hand(tap: Tap) -> tuple[Action, ...]:
    """The actions that do.  A tag is taken away again: of a flood the next copy is for another port."""
    if not tap.vid:
        return (Output(tap.ofport),)
    return (PushVlan(), Set("vlan_vid", VLAN_PRESENT | tap.vid), Output(tap.ofport), PopVlan())
