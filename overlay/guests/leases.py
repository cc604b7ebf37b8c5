"""What does a port's lease say?

A port has its addresses from the API and keeps them as long as it lives: a lease only tells its machine which they
are, and what goes with them.  So nothing about leases is kept, a lease that ends can be had again, and it does not
matter who answers, where the machine is, or whether the controller has started anew.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Final

from overlay.guests import options
from overlay.guests.offers import informs_v6, leases, leases_v6, name_servers_v6, server
from overlay.values import HostRoute, IpAddress, Port, Subnet

_EVERYWHERE: Final = IPv4Network("0.0.0.0/0")
_RENEW_AFTER: Final = 0.5
_REBIND_AFTER: Final = 0.875
"""Shares of a lease after which a machine asks its server, and then any server (RFC 2131 §4.4.5)."""
_REBIND_AFTER_V6: Final = 0.8
"""RFC 8415 §21.4; renewal is after one half there as well."""


@dataclass(frozen=True, slots=True)
class Told:
    """What machines are told besides what their subnet says.

    :param mtu: of their network.
    :param seconds: how long a lease lasts.
    :param domain: in which their names are, if any.
    """

    mtu: int
    seconds: int
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """An IPv4 address, and what goes with it.

    :param options: by number, ready for the wire; those of the lease's times among them.
    :param next_server: where a machine goes on that boots by the network.
    """

    ip: IPv4Address
    server: IPv4Address
    options: Mapping[int, bytes]
    next_server: IPv4Address | None = None


@dataclass(frozen=True, slots=True)
class LeaseV6:
    """What a machine can get by DHCPv6.

    :param addresses: those that are given so.
    :param on_link: all that the port has, however the machine gets them.
    """

    addresses: tuple[IPv6Address, ...]
    on_link: tuple[IPv6Address, ...]
    seconds: int
    options: Mapping[int, bytes]

    @property
    def renew_after(self) -> int:
        """Seconds after which a machine asks its server again."""
        return int(self.seconds * _RENEW_AFTER)

    @property
    def rebind_after(self) -> int:
        """Seconds after which it asks any server."""
        return int(self.seconds * _REBIND_AFTER_V6)


def leases_of(port: Port, subnets: Mapping[str, Subnet], told: Told) -> tuple[Lease, ...]:
    """A port's IPv4 leases: one per address of a subnet with DHCP; a machine that does not choose gets the first."""
    found = []
    for fixed in port.fixed_ips:
        subnet = subnets[fixed.subnet_id]
        if leases(subnet) and isinstance(fixed.ip, IPv4Address):
            found.append(_lease(fixed.ip, port, subnet, told))
    return tuple(found)


def _lease(ip: IPv4Address, port: Port, subnet: Subnet, told: Told) -> Lease:
    cidr = subnet.cidr
    said = {options.NETMASK: cidr.netmask.packed, options.MTU: told.mtu.to_bytes(2)}
    if cidr.prefixlen < _HAS_BROADCAST:
        said[options.BROADCAST] = cidr.broadcast_address.packed
    if subnet.gateway_ip is not None:
        said[options.ROUTER] = subnet.gateway_ip.packed
    said[options.NAME_SERVERS] = _packed(subnet.dns_nameservers or (server(subnet),))
    if told.domain:
        said[options.DOMAIN] = options.text(told.domain)
    if port.dns_name:
        said[options.HOST_NAME] = options.text(port.dns_name)
    if subnet.host_routes:
        said[options.CLASSLESS_ROUTES] = options.routes(_with_default(subnet))
    own = options.written(port.dhcp_options, 4)
    next_server = own.pop(options.NEXT_SERVER, None)
    said |= own
    seconds = struct.unpack("!I", said.get(options.LEASE_TIME, struct.pack("!I", told.seconds)))[0]
    times = {
        options.LEASE_TIME: seconds,
        options.RENEWAL_TIME: int(seconds * _RENEW_AFTER),
        options.REBINDING_TIME: int(seconds * _REBIND_AFTER),
    }
    said = {number: struct.pack("!I", time) for number, time in times.items()} | said
    return Lease(ip, server(subnet), said, None if next_server is None else IPv4Address(next_server))


_HAS_BROADCAST: Final = 31
"""Prefixes this long and longer have no broadcast address (RFC 3021)."""


def _with_default(subnet: Subnet) -> Iterable[HostRoute]:
    """A machine that takes classless routes takes no router besides (RFC 3442), so its default route is one of them."""
    yield from subnet.host_routes
    if subnet.gateway_ip is not None and not any(way.destination == _EVERYWHERE for way in subnet.host_routes):
        yield HostRoute(_EVERYWHERE, subnet.gateway_ip)


def lease_v6_of(port: Port, subnets: Mapping[str, Subnet], told: Told) -> LeaseV6 | None:
    """What a port's machine can get by DHCPv6; None where that is nothing."""
    own = [(fixed.ip, subnets[fixed.subnet_id]) for fixed in port.fixed_ips if isinstance(fixed.ip, IPv6Address)]
    informing = [subnet for _, subnet in own if informs_v6(subnet)]
    if not informing:
        return None
    said: dict[int, bytes] = {}
    servers = dict.fromkeys(each for subnet in informing for each in name_servers_v6(subnet))
    if servers:
        said[options.NAME_SERVERS_V6] = _packed(servers)
    if told.domain:
        said[options.DOMAIN_SEARCH_V6] = options.names(told.domain)
    said |= options.written(port.dhcp_options, 6)
    given = tuple(ip for ip, subnet in own if leases_v6(subnet))
    return LeaseV6(given, tuple(ip for ip, _ in own), told.seconds, said)


def _packed(addresses: Iterable[IpAddress]) -> bytes:
    return b"".join(address.packed for address in addresses)
