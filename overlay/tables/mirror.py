"""Who gets a copy of this?

A port's frames are copied when the guard lets it send them, and when they are delivered to it; what the network itself
answers (neighbours, addresses, names) is not.  A copy leaves at once: to a tap of this host, or through the tunnel by
the VNI of the tap service.  What a port that gets copies sends to a mirrored one on its own host does not come back to
it: OpenFlow never sends a packet out of the port by which it came in.  For the tunnel it is told to, since what comes
by it may have to be copied to another host.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address
from typing import Final, NamedTuple, TypeAlias

from overlay.flow import PORT_IN, Action, Flow, Output, Set, Table
from overlay.footing import Tap
from overlay.tables.deliver import tagged
from overlay.tables.names import IN_LANE, OUT_LANE
from overlay.values import Vni

TABLE: Final = Table(
    "mirror",
    "Copies what a mirrored port sends or gets, straight to the port that is to have the copies. Only looked up, on"
    " the way to other tables: what happens to the frame itself is not decided here.",
    matches=(IN_LANE, OUT_LANE, "in_port"),
    writes=("vlan_vid", "tunnel_id", "tun_ipv4_dst"),
    outputs=True,
    miss="no copies",
)

OWN: Final = 30
BY_TUNNEL: Final = 20
ALL: Final = 10


class Here(NamedTuple):
    """The copy is for a tap of this host."""

    tap: Tap


class There(NamedTuple):
    """The copy is for a tap service at the host with this LA, through this OpenFlow port."""

    vni: Vni
    la: IPv4Address
    tunnel_port: int


Way: TypeAlias = Here | There


def sent(cookie: int, tap: Tap, ways: Iterable[Way]) -> Flow:
    """Copies of what a port sends: it has no receiver yet.  Another port of the same trunk may get one."""
    match = {IN_LANE: tap.lane, OUT_LANE: 0}
    return TABLE.flow(ALL, match, cookie=cookie, actions=_copies(ways, tap.ofport))


def got(cookie: int, lane: int, ways: Sequence[Way]) -> Iterator[Flow]:
    """Copies of what a port gets, be it from this host or by the tunnel; of what it floods it gets nothing itself."""
    yield TABLE.flow(OWN, {IN_LANE: lane, OUT_LANE: lane}, cookie=cookie)
    yield TABLE.flow(ALL, {OUT_LANE: lane}, cookie=cookie, actions=_copies(ways))
    for tunnel_port in {way.tunnel_port for way in ways if isinstance(way, There)}:
        by_tunnel = {OUT_LANE: lane, "in_port": tunnel_port}
        yield TABLE.flow(BY_TUNNEL, by_tunnel, cookie=cookie, actions=_copies(ways, tunnel_port))


def _copies(ways: Iterable[Way], in_port: int | None = None) -> Iterator[Action]:
    """The actions that make copies.

    :param in_port: by which the frame came, if that is known; out of it goes only what is told to.
    """
    for way in ways:
        if isinstance(way, Here):
            yield from tagged(way.tap.vid, PORT_IN if way.tap.ofport == in_port else way.tap.ofport)
        else:
            out = PORT_IN if way.tunnel_port == in_port else way.tunnel_port
            yield from (Set("tunnel_id", way.vni), Set("tun_ipv4_dst", int(way.la)), Output(out))
