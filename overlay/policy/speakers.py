"""As whom may a port speak?

As itself, and as each MAC of its address pairs with the addresses that go with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple, TypeAlias, TypeVar

from overlay.addressing import link_local
from overlay.values import Mac, Port

V4: TypeAlias = int | IPv4Network
V6: TypeAlias = int | IPv6Network
Network = TypeVar("Network", IPv4Network, IPv6Network)


class Speaker(NamedTuple):
    """A MAC, and which addresses it may use; a single one is a number.

    :ivar ipv6: its link-local address first, unless there is none at all.
    """

    mac: Mac
    ipv4: tuple[V4, ...]
    ipv6: tuple[V6, ...]

    @property
    def alone(self) -> Iterator[int]:
        """The single IPv4 addresses."""
        return (ip for ip in self.ipv4 if isinstance(ip, int))


def speakers(port: Port) -> tuple[Speaker, ...]:
    """As whom a port may speak: first as itself."""
    ipv4: dict[Mac, dict[V4, None]] = {port.mac: {}}
    ipv6: dict[Mac, dict[V6, None]] = {port.mac: {link_local(port.mac): None}}
    for fixed in port.fixed_ips:
        (ipv4 if fixed.ip.version == 4 else ipv6)[port.mac][int(fixed.ip)] = None  # noqa: PLR2004
    for pair in port.allowed_pairs:
        mac, network = pair.mac, pair.network
        own4, own6 = ipv4.setdefault(mac, {}), ipv6.setdefault(mac, {})
        if isinstance(network, IPv4Network):
            own4[_spelled(network)] = None
        else:
            own6[link_local(mac)] = None
            own6[_spelled(network)] = None
    return tuple(Speaker(mac, tuple(ipv4[mac]), tuple(ipv6[mac])) for mac in ipv4)


def _spelled(network: Network) -> int | Network:
    return int(network.network_address) if network.prefixlen == network.max_prefixlen else network
