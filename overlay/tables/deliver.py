"""How does the receiver get it?

The last table: the tap of the port, with the tag of its VLAN where it has one.  Where a policy limits what the port
gets, its meter drops the rest here; a copy of a flood counts like any other packet.  Of the ports of one trunk two may
be in one network: what one sends to the other leaves by the tap that it came in by, which a switch does only when told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from overlay.flow import PORT_IN, VLAN_PRESENT, Action, Flow, Meter, Output, PopVlan, PushVlan, Set, Table
from overlay.footing import Tap
from overlay.tables.names import IN_LANE, OUT_LANE

TABLE: Final = Table(
    "deliver",
    "Hands a packet to the tap of its receiver; where that has a limit, its meter drops what is over it.",
    matches=("in_port", IN_LANE, OUT_LANE),
    writes=("vlan_vid",),
    nexts=("mirror",),
    outputs=True,
    miss="drop: the receiver was unplugged",
)

ITSELF: Final = 30
TURN_ROUND: Final = 20
PASS: Final = 10


def tagged(vid: int, port: int) -> tuple[Action, ...]:
    """Send with a VLAN's tag (0 for none), and leave the frame as it was: a flood's next copy is another port's."""
    if not vid:
        return (Output(port),)
    return (PushVlan(), Set("vlan_vid", VLAN_PRESENT | vid), Output(port), PopVlan())


def to_tap(cookie: int, tap: Tap, meter: Meter | None = None) -> Flow:
    """Hand it over, if it is within what the port may get."""
    meter_id = None if meter is None else meter.meter_id
    return TABLE.flow(PASS, {OUT_LANE: tap.lane}, cookie=cookie, actions=tagged(tap.vid, tap.ofport), meter=meter_id)


def turned_round(cookie: int, tap: Tap, meter: Meter | None = None) -> Iterator[Flow]:
    """Hand over what another port of the same trunk sends, but never to the port itself what it floods."""
    match = {OUT_LANE: tap.lane, "in_port": tap.ofport}
    meter_id = None if meter is None else meter.meter_id
    yield TABLE.flow(TURN_ROUND, match, cookie=cookie, actions=tagged(tap.vid, PORT_IN), meter=meter_id)
    yield TABLE.flow(ITSELF, {**match, IN_LANE: tap.lane}, cookie=cookie)
