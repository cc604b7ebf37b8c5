"""Whose packet is this, and of which network?

A packet from a tap belongs to the tap's network; one from the tunnel to the network of its VNI, if this host has that
network.  Everything else is dropped: a packet without a network can go nowhere.

Where ports have a rate, this first flow counts what a VM sends, whatever becomes of it later: what the guard refuses
costs as much as what passes, and a neighbour on the same host as much as one behind the fabric.  There is no such
meter on delivery, although senders together can still fill one receiver.  A packet that is dropped there has crossed
the fabric already; and since a meter does not know whose packet it drops, one sender at its full rate would use up
what the receiver may get, and so take from all its other peers what the meter is there to keep for them.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Final

from overlay.flow import PORT_IN, VLAN_PRESENT, Action, Flow, Meter, MeterUnit, Output, PopVlan, Set, Table
from overlay.footing import Tap
from overlay.tables.deliver import hand
from overlay.tables.names import IN_LANE, NETWORK, SENDING_METERS
from overlay.values import Vni

TABLE: Final = Table(
    "classify",
    "Finds the network of a packet: from a tap it is the port's, from the tunnel the one that the VNI names. A port"
    " that is a VLAN on a tap gets its frames without the tag. Copies of a mirrored port's frames come by a VNI of their"
    " own, and go straight to the port that gets them. Where ports have a rate, the meter of the port drops"
    " what is over it here, before anything else looks at it.",
    matches=("in_port", "vlan_vid", "tunnel_id"),
    writes=(NETWORK, IN_LANE, "vlan_vid", "tunnel_id", "tun_ipv4_dst"),
    nexts=("guard", "arrive"),
    outputs=True,
    miss="drop: not a port of ours, or a network that this host does not have",
)

TAGGED: Final = 20
KNOWN: Final = 10

BURSTS_PER_SECOND: Final = 10
"""A port may send a tenth of a second's allowance at once."""
LEAST_BURST: Final = 600
"""And at least this many kilobits: what a VM hands over as one segment of 64 KiB, and some frames more.  What is
larger than the burst would never pass, and a few frames of it would make every TCP of a slow port stutter."""


def allowance(lane: int, kbps: int) -> Meter:
    """The meter of what a port sends."""
    return Meter(SENDING_METERS + lane, kbps, max(kbps // BURSTS_PER_SECOND, LEAST_BURST), MeterUnit.KILOBITS)


def from_tap(cookie: int, tap: Tap, vni: Vni, meter: Meter | None = None) -> Flow:
    """A VM sends."""
    match = {"in_port": tap.ofport}
    actions: tuple[Action, ...] = (Set(NETWORK, vni), Set(IN_LANE, tap.lane))
    if tap.vid:
        match["vlan_vid"] = VLAN_PRESENT | tap.vid
        actions = (PopVlan(), *actions)
    return TABLE.flow(
        TAGGED if tap.vid else KNOWN,
        match,
        cookie=cookie,
        actions=actions,
        goto="guard",
        meter=None if meter is None else meter.meter_id,
    )


def from_tunnel(cookie: int, tunnel_port: int, vni: Vni) -> Flow:
    """Another host sends."""
    return TABLE.flow(
        KNOWN,
        {"in_port": tunnel_port, "tunnel_id": vni},
        cookie=cookie,
        actions=(Set(NETWORK, vni),),
        goto="arrive",
    )


def copy_from_tunnel(cookie: int, tunnel_port: int, vni: Vni, tap: Tap) -> Flow:
    """Another host sends a copy of a mirrored port's frame for a port of this host."""
    return TABLE.flow(KNOWN, {"in_port": tunnel_port, "tunnel_id": vni}, cookie=cookie, actions=hand(tap))


def turn_copy_round(cookie: int, tunnel_port: int, vni: Vni, la: IPv4Address) -> Flow:
    """Likewise for a port that has just moved to the host with this LA."""
    return TABLE.flow(
        KNOWN,
        {"in_port": tunnel_port, "tunnel_id": vni},
        cookie=cookie,
        actions=(Set("tunnel_id", vni), Set("tun_ipv4_dst", int(la)), Output(PORT_IN)),
    )
