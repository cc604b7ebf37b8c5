"""Whose packet is this, and of which network?

A packet from a tap belongs to the tap's network; one from the tunnel to the network of its VNI, if this host has that
network.  Everything else is dropped: a packet without a network can go nowhere.
"""

from __future__ import annotations

from typing import Final

from overlay.flow import Flow, Set, Table
from overlay.tables.names import NETWORK
from overlay.values import Vni

TABLE: Final = Table(
    "classify",
    "Finds the network of a packet: from a tap it is the port's, from the tunnel the one that the VNI names.",
    matches=("in_port", "tunnel_id"),
    writes=(NETWORK,),
    nexts=("guard", "arrive"),
    miss="drop: not a port of ours, or a network that this host does not have",
)

KNOWN: Final = 10


def from_tap(cookie: int, ofport: int, vni: Vni) -> Flow:
    """A VM sends."""
    return TABLE.flow(KNOWN, {"in_port": ofport}, cookie=cookie, actions=(Set(NETWORK, vni),), goto="guard")


def from_tunnel(cookie: int, tunnel_port: int, vni: Vni) -> Flow:
    """Another host sends."""
    return TABLE.flow(
        KNOWN,
        {"in_port": tunnel_port, "tunnel_id": vni},
        cookie=cookie,
        actions=(Set(NETWORK, vni),),
        goto="arrive",
    )
