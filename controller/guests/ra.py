"""What do router advertisements say to a machine?

RFC 4861: the prefixes of its network, and of which it may make addresses (only of those in which its port has one, as
another would be refused at the port), whether there is DHCPv6, the MTU, the way out, and the name servers (RFC 8106).
The way out is whoever has the gateway's address, if a port has; else the services' own, like the gateway of IPv4.
"""

from __future__ import annotations

import struct
from ipaddress import IPv6Address
from itertools import chain
from typing import Final

from controller.framework import packet_utils
from controller.guests.questions import HEARD, UNSOUND, Answer, Asker, answered
from overlay.addressing import link_local
from overlay.guests.offers import SERVICE_MAC, advertises, name_servers_v6
from overlay.values import Ipv6Mode, Mac, Port, Subnet
from overlay.world import World

_ALL_NODES: Final = IPv6Address("ff02::1")
_ALL_NODES_MAC: Final = bytes.fromhex("333300000001")
_HEADER: Final = struct.Struct("!IHBB16s16s")
_ETHERNET: Final = 14
_ETH_IPV6: Final = 0x86DD
_ICMPV6: Final = 58
_SOLICITATION, _ADVERTISEMENT = 133, 134
_HOPS: Final = 255
_GUEST_HOPS: Final = 64

_MANAGED, _OTHER = 0x80, 0x40
_ON_LINK, _AUTONOMOUS = 0x80, 0x40
_VALID, _PREFERRED = 86_400, 14_400
"""Seconds: radvd's defaults, which Neutron's routers have."""
_INTERVALS: Final = 3
"""How many advertisements may be lost until a router is not one any more (RFC 4861 §6.2.1)."""
_ROUTER_MOST: Final = 9000

_SOURCE, _PREFIX, _MTU, _NAME_SERVERS = 1, 3, 5, 25


def answer(asker: Asker, frame: bytes) -> Answer:
    """Answer a machine that asks for routers."""
    if not _is_solicitation(frame):
        return UNSOUND
    found = advertisement(asker.world, asker.port)
    return HEARD if found is None else answered(found)


def _is_solicitation(frame: bytes) -> bool:
    """Whether a frame is a sound solicitation (RFC 4861 §6.1.1)."""
    try:
        first, length, following, hops, source, _ = _HEADER.unpack_from(frame, _ETHERNET)
    except struct.error:
        return False
    body = frame[_ETHERNET + _HEADER.size :]
    if first >> 28 != 6 or following != _ICMPV6 or hops != _HOPS or not 8 <= length <= len(body):  # noqa: PLR2004
        return False
    if body[0] != _SOLICITATION or body[1]:
        return False
    kinds = set()
    at = 8
    while at < length:
        if at + 1 >= length or not body[at + 1]:
            return False
        kinds.add(body[at])
        at += body[at + 1] * 8
    return at == length and (any(source) or _SOURCE not in kinds)


def advertisement(world: World, port: Port) -> bytes | None:
    """The frame that tells a port's machine of its network; None where there is none."""
    advertised = [subnet for subnet in world.subnets_of(port.network_id) if advertises(subnet)]
    if not advertised:
        return None
    own = {fixed.subnet_id for fixed in port.fixed_ips}
    modes = {subnet.ipv6_ra_mode for subnet in advertised}
    flags = (_MANAGED if Ipv6Mode.STATEFUL in modes else 0) | (_OTHER if Ipv6Mode.STATELESS in modes else 0)
    gateway, mac = _way_out(world, port, advertised)
    lifetime = min(_INTERVALS * round(world.settings.advertising_interval), _ROUTER_MOST)
    body = struct.pack("!BBHBBHII", _ADVERTISEMENT, 0, 0, _GUEST_HOPS, flags, lifetime if gateway else 0, 0, 0)
    body += struct.pack("!BB6s", _SOURCE, 1, mac.to_bytes(6))
    body += struct.pack("!BBHI", _MTU, 1, 0, world.networks[port.network_id].mtu)
    for subnet in advertised:
        body += _prefix(subnet, by_mac=subnet.id in own and subnet.ipv6_ra_mode is not Ipv6Mode.STATEFUL)
    servers = [each.packed for each in dict.fromkeys(chain(*map(name_servers_v6, advertised)))]
    if servers:
        body += struct.pack("!BBHI", _NAME_SERVERS, 1 + 2 * len(servers), 0, lifetime) + b"".join(servers)
    return _frame(body, mac)


def _way_out(world: World, port: Port, advertised: list[Subnet]) -> tuple[bool, Mac]:
    """Whether there is one, and whose MAC is told."""
    gateways = [subnet.gateway_ip for subnet in advertised if subnet.gateway_ip is not None]
    vni = world.networks[port.network_id].vni
    for gateway in gateways:
        found = world.locate(vni, gateway)
        if found is not None:
            return (False, SERVICE_MAC) if found.port_id == port.id else (True, found.mac)
    return bool(gateways), SERVICE_MAC


def _prefix(subnet: Subnet, *, by_mac: bool) -> bytes:
    cidr = subnet.cidr
    flags = _ON_LINK | (_AUTONOMOUS if by_mac else 0)
    return struct.pack(
        "!BBBBIII16s", _PREFIX, 4, cidr.prefixlen, flags, _VALID, _PREFERRED, 0, cidr.network_address.packed
    )


def _frame(body: bytes, mac: Mac) -> bytes:
    source = IPv6Address(link_local(mac)).packed
    target = _ALL_NODES.packed
    total = packet_utils.checksum(source + target + struct.pack("!II", len(body), _ICMPV6) + body)
    body = body[:2] + total.to_bytes(2) + body[4:]
    header = _HEADER.pack(0x6000_0000, len(body), _ICMPV6, _HOPS, source, target)
    return _ALL_NODES_MAC + mac.to_bytes(6) + _ETH_IPV6.to_bytes(2) + header + body
