"""Who gets what is for nobody in particular?

Broadcast, multicast and unknown destinations: every local port of the network, each by way of its own policy, and once
every other host that has the network.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Final

from overlay.flow import Flow, Table
from overlay.tables.copies import copies
from overlay.tables.names import NETWORK, OUT_LANE
from overlay.values import Vni

TABLE: Final = Table(
    "flood",
    "Copies a packet once per local port and once per other host of its network.",
    matches=(NETWORK,),
    writes=(OUT_LANE, "tunnel_id", "tun_ipv4_dst"),
    nexts=("receiver",),
    outputs=True,
    miss="drop: a network that this host does not have",
)

ALL: Final = 10


def flood(cookie: int, vni: Vni, lanes: Iterable[int], tunnel_port: int | None, las: Iterable[IPv4Address]) -> Flow:
    """Everybody gets one copy."""
    return TABLE.flow(ALL, {NETWORK: vni}, cookie=cookie, actions=copies(TABLE, vni, lanes, tunnel_port, las))
