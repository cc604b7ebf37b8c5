"""Where does this packet go?

To the local port or to the LA of the host that has the owner of its destination MAC; if nobody owns it (broadcast,
multicast, unknown) to every local port of the network, and once to every other host that has the network.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Final

from overlay.flow import Action, Flow, Output, Set, Table
from overlay.tables.names import NETWORK, OUT_PORT, SHARED
from overlay.values import Mac, Vni

TABLE: Final = Table(
    "forward",
    "Sends a packet to the port or the remote host that owns its destination, or floods it once per port and host.",
    matches=("eth_dst", NETWORK),
    writes=(OUT_PORT, "tunnel_id", "tun_ipv4_dst"),
    nexts=("deliver",),
    outputs=True,
    miss="drop: a network that this host does not have",
)

OWNED: Final = 20
FLOOD: Final = 10


def local(cookie: int, vni: Vni, mac: Mac, ofport: int) -> Flow:
    """The owner is plugged at this host."""
    return TABLE.flow(
        OWNED, {NETWORK: vni, "eth_dst": mac}, cookie=cookie, actions=(Set(OUT_PORT, ofport),), goto="deliver"
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


def flood(cookie: int, vni: Vni, ofports: Iterable[int], tunnel_port: int | None, las: Iterable[IPv4Address]) -> Flow:
    """Nobody owns the destination: everybody gets one copy.

    About 2,000 hosts fit: each takes 32 of the 65,535 bytes of a FlowMod.
    """
    actions: list[Action] = [Output(ofport) for ofport in ofports]
    if tunnel_port is not None:
        actions.append(Set("tunnel_id", vni))
        for la in las:
            actions += (Set("tun_ipv4_dst", int(la)), Output(tunnel_port))
    return TABLE.flow(FLOOD, {NETWORK: vni}, cookie=cookie, actions=actions)
