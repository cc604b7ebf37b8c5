"""Whose packet is this, and of which network?

A packet from a tap belongs to the tap's network if it has no VLAN tag, or if that network is VLAN transparent; one with
the tag of a sub-port belongs to that.  Other tags are dropped and counted per tap.  One from the tunnel belongs to the
network of its VNI, if this host has that network.  Everything else is dropped: a packet without a network can go
nowhere.

Where a port has a rate, of a QoS policy or the operator's setting, this first flow counts what its VM sends, whatever
becomes of it later: what the guard refuses costs as much as what passes, and a neighbour on the same host as much as
one behind the fabric.  What the VM is sent is counted where it is delivered, and only where a policy says so: such a
packet has crossed the fabric already, and since a meter does not know whose packet it drops, one sender at its full
rate can use up what the receiver may get.

Where a policy marks what the VM sends, it is marked here, in the packet that the tunnel will carry: the receiver finds
it so wherever it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Final

from overlay.flow import PORT_IN, VLAN_PRESENT, Action, Flow, Meter, Output, PopVlan, Set, Table
from overlay.footing import Tap
from overlay.tables.deliver import tagged
from overlay.tables.names import IN_LANE, IPV4, IPV6, NETWORK
from overlay.values import Vni

TABLE: Final = Table(
    "classify",
    "Finds the network of a packet: from a tap it is the port's, from the tunnel the one that the VNI names. A port"
    " that is a VLAN on a tap gets its frames without the tag; tags of nobody's are dropped and counted, but for those"
    " of a VLAN-transparent network. Where a port has a rate, its meter drops what is over"
    " it here, before anything else looks at it; where it has a mark, its IP packets get that. Copies of a mirrored"
    " port's frames come by a VNI of their own, and go straight to the port that gets them.",
    matches=("in_port", "vlan_vid", "eth_type", "tunnel_id"),
    writes=(NETWORK, IN_LANE, "vlan_vid", "ip_dscp", "tunnel_id", "tun_ipv4_dst"),
    nexts=("guard", "arrive"),
    outputs=True,
    miss="drop: not a port of ours, or a network that this host does not have",
)

TAGGED: Final = 20
KNOWN: Final = 10
REFUSED: Final = 5

MARKED: Final = 5
"""How much sooner the flows come that mark what a port sends."""


def from_tap(
    cookie: int, tap: Tap, vni: Vni, meter: Meter | None = None, dscp: int | None = None, *, transparent: bool = False
) -> Iterator[Flow]:
    """A VM sends.

    :param dscp: what its IP packets are marked with (RFC 2474); ``None`` leaves them as they are.
    :param transparent: whether frames with any tag, or none, belong to the port's network.
    """
    match = {"in_port": tap.ofport}
    actions: tuple[Action, ...] = (Set(NETWORK, vni), Set(IN_LANE, tap.lane))
    if tap.vid:
        match["vlan_vid"] = VLAN_PRESENT | tap.vid
        actions = (PopVlan(), *actions)
    elif not transparent:
        match["vlan_vid"] = 0
    priority = TAGGED if tap.vid else KNOWN
    meter_id = None if meter is None else meter.meter_id
    yield TABLE.flow(priority, match, cookie=cookie, actions=actions, goto="guard", meter=meter_id)
    if dscp is not None:
        actions = (*actions, Set("ip_dscp", dscp))
        for eth_type in (IPV4, IPV6):
            marked = {**match, "eth_type": eth_type}
            yield TABLE.flow(priority + MARKED, marked, cookie=cookie, actions=actions, goto="guard", meter=meter_id)


def refused(cookie: int, ofport: int) -> Flow:
    """A VM sends with a tag that is none of its tap's."""
    return TABLE.flow(REFUSED, {"in_port": ofport}, cookie=cookie)


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
    return TABLE.flow(
        KNOWN, {"in_port": tunnel_port, "tunnel_id": vni}, cookie=cookie, actions=tagged(tap.vid, tap.ofport)
    )


def turn_copy_round(cookie: int, tunnel_port: int, vni: Vni, la: IPv4Address) -> Flow:
    """Likewise for a port that has just moved to the host with this LA."""
    return TABLE.flow(
        KNOWN,
        {"in_port": tunnel_port, "tunnel_id": vni},
        cookie=cookie,
        actions=(Set("tunnel_id", vni), Set("tun_ipv4_dst", int(la)), Output(PORT_IN)),
    )
