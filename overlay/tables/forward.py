"""Where does this packet go?

To the local port or to the LA of the host that has the owner of its destination MAC; if nobody owns it (broadcast,
multicast, unknown) to everybody in the network.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address
from typing import Final

from overlay.flow import Flow, Output, Set, Table
from overlay.tables.names import NETWORK, OUT_LANE, SHARED
from overlay.values import Mac, Vni

TABLE: Final = Table(
    "forward",
    "Sends a packet to the port or the remote host that owns its destination, or on to be flooded.",
    matches=("eth_dst", NETWORK),
    writes=(OUT_LANE, "tunnel_id", "tun_ipv4_dst"),
    nexts=("storm", "receiver"),
    outputs=True,
    miss="storm: nobody owns the destination",
)

OWNED: Final = 20
MISS: Final = 0


def local(cookie: int, vni: Vni, mac: Mac, lane: int) -> Flow:
    """The owner is plugged at this host."""
    return TABLE.flow(
        OWNED, {NETWORK: vni, "eth_dst": mac}, cookie=cookie, actions=(Set(OUT_LANE, lane),), goto="receiver"
    )


@lru_cache(maxsize=SHARED)
def remote(cookie: int, vni: Vni, mac: Mac, tunnel_port: int, la: IPv4Address) -> Flow:
    """The owner is at the host with this LA."""
    return TABLE.flow(
        OWNED,
        {NETWORK: vni, "eth_dst": mac},
        cookie=cookie,
        actions=(Set("tunnel_id", vni), Set("tun_ipv4_dst", int(la)), Output(tunnel_port)),
    )


def unreachable(cookie: int, vni: Vni, mac: Mac) -> Flow:
    """The owner is known, but its tap or our tunnel is not there: dropped, since a flood would not find it either."""
    return TABLE.flow(OWNED, {NETWORK: vni, "eth_dst": mac}, cookie=cookie)


def miss(cookie: int) -> Flow:
    """Nobody owns the destination."""
    return TABLE.flow(MISS, {}, cookie=cookie, goto="storm")
