"""How much may a port ask about its neighbours?

Each address that is asked for is an entry of its own in the switch's cache, which costs its main thread some hundred
times what a packet costs that has one: a port that asks for another address each time would keep all others waiting.
So what a port says by ARP passes its meter first, and only then is looked into: the group of one bucket lets Open
vSwitch begin anew behind the meter (``dp_hash`` has to be computed for it, ovs-ofctl(8)), with entries of which the
ones before the meter do not know the address.
"""

from __future__ import annotations

from typing import Final

from overlay.flow import MARK, Flow, Meter, Table, ToGroup
from overlay.tables.names import IN_LANE

TABLE: Final = Table(
    "inquiry",
    "Limits how much ARP each port says, before anything looks into it.",
    matches=(IN_LANE,),
    nexts=("arp",),
    outputs=True,
    miss="arp: a port without a limit",
)

ANEW: Final = MARK << 16 | 1
"""The group whose one bucket goes on at ``arp``."""

LIMITED: Final = 10
MISS: Final = 0


def limited(cookie: int, lane: int, meter: Meter) -> Flow:
    """A port says no more than its meter lets pass."""
    return TABLE.flow(LIMITED, {IN_LANE: lane}, cookie=cookie, actions=(ToGroup(ANEW),), meter=meter.meter_id)


def miss(cookie: int) -> Flow:
    """All other ports."""
    return TABLE.flow(MISS, {}, cookie=cookie, goto="arp")
