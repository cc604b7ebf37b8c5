"""Is the receiver of this packet from the tunnel still here, or here already?

While a move switches over, the source turns round to the target what others still send to it, out of the tunnel port
by which it came; the target delivers that from the moment on at which it is ready, so that the source need not wait for
it.  All else from the tunnel goes on as a VM's packet does: OpenFlow never sends a packet out of the port
by which it came in (OpenFlow 1.5, OFPP_IN_PORT) unless told to, so what came by the tunnel ends at local ports.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Final

from overlay.flow import PORT_IN, Flow, Output, Set, Table
from overlay.tables.names import NETWORK, OUT_LANE
from overlay.values import Mac, Vni

TABLE: Final = Table(
    "arrive",
    "Turns packets from the tunnel round to a VM that has just moved away, and lets through those for one that is about"
    " to arrive.",
    matches=("eth_dst", NETWORK),
    writes=("tunnel_id", "tun_ipv4_dst", OUT_LANE),
    nexts=("forward", "receiver"),
    outputs=True,
    miss="forward: what came by the tunnel never leaves by it again, so it ends at local ports",
)

MOVED: Final = 20
MISS: Final = 0


def turn_round(cookie: int, vni: Vni, mac: Mac, la: IPv4Address) -> Flow:
    """The VM with this MAC has just moved to the host with this LA."""
    return TABLE.flow(
        MOVED,
        {NETWORK: vni, "eth_dst": mac},
        cookie=cookie,
        actions=(Set("tunnel_id", vni), Set("tun_ipv4_dst", int(la)), Output(PORT_IN)),
    )


def expected(cookie: int, vni: Vni, mac: Mac, lane: int) -> Flow:
    """The VM with this MAC is about to arrive: who sends it to this host by the tunnel knows that it has."""
    return TABLE.flow(
        MOVED, {NETWORK: vni, "eth_dst": mac}, cookie=cookie, actions=(Set(OUT_LANE, lane),), goto="receiver"
    )


def miss(cookie: int) -> Flow:
    """All other packets from the tunnel."""
    return TABLE.flow(MISS, {}, cookie=cookie, goto="forward")
