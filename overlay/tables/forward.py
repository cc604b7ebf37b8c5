"""Where does this packet go?

To the local port or to the LA of the host that has the owner of its destination MAC; if that is a multicast group that
somebody in the network listens to, to those who do; if nobody owns it (broadcast, multicast of the link, unknown) to
everybody in the network.  Groups are told by their IP addresses, since many share one MAC (RFC 1112 §6.4).  What is
tagged with a VLAN of the machines' own is not looked into.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Final

from overlay.flow import FieldValue, Flow, Output, Set, Table
from overlay.guests.offers import SERVICE_MAC
from overlay.multicast.values import IPV4_GROUPS, IPV4_OF_A_LINK, IPV6_GROUPS, IPV6_OF_A_LINK, IPV6_SCOPE
from overlay.tables.copies import copies
from overlay.tables.names import IPV4, IPV6, NETWORK, OUT_LANE, SHARED, UNTAGGED
from overlay.values import IpAddress, Mac, Vni

TABLE: Final = Table(
    "forward",
    "Sends a packet to the port or the remote host that owns its destination, to those who listen to its multicast"
    " group, or on to be flooded.",
    matches=("eth_dst", NETWORK, "vlan_vid", "eth_type", "ipv4_dst", "ipv6_dst"),
    writes=(OUT_LANE, "tunnel_id", "tun_ipv4_dst"),
    nexts=("storm", "receiver"),
    outputs=True,
    miss="storm: nobody owns the destination",
)

OWNED: Final = 20
LISTENED_TO: Final = 16
OF_THE_LINK: Final = 14
UNREGISTERED: Final = 12
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


def group(  # noqa: PLR0917
    cookie: int,
    vni: Vni,
    address: IpAddress,
    lanes: Iterable[int],
    tunnel_port: int | None,
    las: Iterable[IPv4Address],
) -> Flow:
    """Those who listen to a multicast group get one copy, by lane here and by LA elsewhere."""
    return TABLE.flow(
        LISTENED_TO,
        {NETWORK: vni, **_to(address.version, address)},
        cookie=cookie,
        actions=copies(TABLE, vni, lanes, tunnel_port, las),
    )


def unregistered(cookie: int) -> Iterator[Flow]:
    """What is sent to a multicast group that nobody listens to is dropped, unless it is one of the link."""
    yield TABLE.flow(OF_THE_LINK, _to(4, IPV4_OF_A_LINK), cookie=cookie, goto="storm")
    for scope in IPV6_OF_A_LINK:
        yield TABLE.flow(OF_THE_LINK, _to(6, (scope, IPV6_SCOPE)), cookie=cookie, goto="storm")
    yield TABLE.flow(UNREGISTERED, _to(4, IPV4_GROUPS), cookie=cookie)
    yield TABLE.flow(UNREGISTERED, _to(6, IPV6_GROUPS), cookie=cookie)


def _to(version: int, address: FieldValue) -> dict[str, FieldValue]:
    kind = {4: IPV4, 6: IPV6}[version]
    return {"vlan_vid": UNTAGGED, "eth_type": kind, f"ipv{version}_dst": address}


def of_the_network(cookie: int) -> Flow:
    """What is sent to a network's services and was not for them: dropped, they do not forward."""
    return TABLE.flow(OWNED, {"eth_dst": SERVICE_MAC}, cookie=cookie)


def miss(cookie: int) -> Flow:
    """Nobody owns the destination."""
    return TABLE.flow(MISS, {}, cookie=cookie, goto="storm")
