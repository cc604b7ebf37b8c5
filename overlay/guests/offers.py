"""What can a machine ask of its network, and who answers?

A network has no port of its own for its services: they have one MAC, the same everywhere, and answer at the subnet's
gateway address while no port has that, or at one of a link.  Answers are the same on every host, so a machine that
moves notices nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from overlay.addressing import link_local
from overlay.values import IpAddress, Ipv6Mode, Mac, Subnet

SERVICE_MAC: Final = Mac(0x02_56_4C_00_00_01)
"""Whom a network's own answers and questions come from."""

SERVICE_LINK_LOCAL: Final = IPv6Address(link_local(SERVICE_MAC))
"""The IPv6 address that goes with it."""

WITHOUT_GATEWAY: Final = IPv4Address("169.254.169.254")
"""Where the services of an IPv4 subnet are that has no gateway; that of a cloud's metadata (RFC 3927's range)."""

_IPV4: Final = 4
_DHCPV6: Final = frozenset({Ipv6Mode.STATEFUL, Ipv6Mode.STATELESS})


class Offer(NamedTuple):
    """What the machines of some subnets can ask for.

    :param leases: IPv4 addresses by DHCP.
    :param leases_v6: by DHCPv6, IPv6 addresses or only what goes with them.
    :param advertises: whether there are router advertisements.
    :param addresses: those that the services answer at.
    """

    leases: bool = False
    leases_v6: bool = False
    advertises: bool = False
    addresses: tuple[IpAddress, ...] = ()


def name_servers_v6(subnet: Subnet) -> Iterator[IPv6Address]:
    """Whom the machines of an IPv6 subnet ask for names: its servers, or the network at its gateway."""
    found = subnet.dns_nameservers or ((subnet.gateway_ip,) if subnet.gateway_ip is not None else ())
    return (each for each in found if isinstance(each, IPv6Address))


NOTHING: Final = Offer()
"""What a network without subnets offers."""


def leases(subnet: Subnet) -> bool:
    """Whether a subnet's machines get their addresses by DHCPv4."""
    return subnet.dhcp and subnet.cidr.version == _IPV4


def leases_v6(subnet: Subnet) -> bool:
    """Whether a subnet's machines get their addresses by DHCPv6."""
    return subnet.dhcp and subnet.ipv6_address_mode is Ipv6Mode.STATEFUL


def informs_v6(subnet: Subnet) -> bool:
    """Whether a subnet's machines get anything by DHCPv6."""
    return subnet.dhcp and subnet.ipv6_address_mode in _DHCPV6


def advertises(subnet: Subnet) -> bool:
    """Whether a subnet's machines hear router advertisements from the network itself.

    Without a mode for them there are none; so Neutron leaves them to a router outside of it.
    """
    return subnet.dhcp and subnet.ipv6_ra_mode is not None


def server(subnet: Subnet) -> IPv4Address:
    """The address of the DHCP server of an IPv4 subnet."""
    return subnet.gateway_ip if isinstance(subnet.gateway_ip, IPv4Address) else WITHOUT_GATEWAY


def _offer_of(subnet: Subnet) -> Offer:
    found = Offer(leases(subnet), informs_v6(subnet), advertises(subnet))
    addresses: list[IpAddress] = []
    if found.leases:
        addresses.append(server(subnet))
    if found.leases_v6 or found.advertises:
        addresses.append(SERVICE_LINK_LOCAL)
        if subnet.gateway_ip is not None:
            addresses.append(subnet.gateway_ip)
    return found._replace(addresses=tuple(addresses))


def offer(subnets: Iterable[Subnet]) -> Offer:
    """What the machines of a network can ask for, by its subnets."""
    found = [_offer_of(subnet) for subnet in subnets]
    addresses = {address: None for each in found for address in each.addresses}
    return Offer(
        any(each.leases for each in found),
        any(each.leases_v6 for each in found),
        any(each.advertises for each in found),
        tuple(addresses),
    )
