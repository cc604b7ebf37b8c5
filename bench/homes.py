"""Which machines, networks and addresses do two tenants have that are the very same?

The values of the tenants' run, and how they are spelled in requests; nothing is done here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from bench.marks import Identity

TENANTS: Final = ("red", "blue")
NETWORKS: Final = ("left", "right")
CIDRS: Final = ("192.168.0.0/24", "2001:db8::/64")
MACHINES: Final = (("left", "a", 0), ("left", "b", 1), ("left", "lonely", 2), ("right", "a", 0), ("right", "b", 2))
"""Network, name, and the number of the hypervisor at first."""
GUEST: Final = "guest"
_HOST_OCTETS: Final = {"a": 11, "b": 12, "spare": 99}
_SAME_MAC: Final = 0x02_00_00_00_01_00
_LONELY_MACS: Final = {"red": 0x02_AA_5E_C2_E7_01, "blue": 0x02_BB_5E_C2_E7_02}
_LONELY_OCTETS: Final = {"red": 201, "blue": 202}
NOBODY: Final = Identity(0, 0, 0)


def number_of(tenant: str) -> int:
    """A tenant as marks name it."""
    return TENANTS.index(tenant) + 1


def network_number(tenant: str, network: str) -> int:
    """A network as marks name it."""
    return number_of(tenant) * 16 + NETWORKS.index(network)


OWNERS: Final = {
    network_number(tenant, network): frozenset({number_of(tenant)}) for tenant in TENANTS for network in NETWORKS
} | {network_number("red", "left"): frozenset({number_of("red"), number_of("blue")})}
"""Who may have ports in which network: *left* of *red* is shared now and then."""


@dataclass(slots=True)
class Machine:
    """A machine of a tenant, plugged or not."""

    tenant: str
    network: str
    name: str
    host: str
    number: int
    identity: Identity
    port_id: str = ""
    plugged: bool = False
    renumbered: bool = False
    down: bool = False
    landlord: str = ""
    """Whose the network is, if not the tenant's."""

    @property
    def label(self) -> str:
        """Its name among the lab's nodes, which must differ."""
        return f"{self.tenant}-{self.network}-{self.name}"


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that was done."""

    at: float
    """Seconds after the first one could be."""
    took: float
    kind: str
    who: str
    what: str
    refused: str = ""


@dataclass(slots=True)
class Estate:
    """What a tenant has for a while beside its machines."""

    networks: dict[str, str] = field(default_factory=dict)
    subnets: dict[str, str] = field(default_factory=dict)
    ports: dict[str, str] = field(default_factory=dict)


def lonely(tenant: str) -> Identity:
    """The addresses that only this tenant's machine has: a word that betrays the tenant."""
    return numbered(_LONELY_MACS[tenant], _LONELY_OCTETS[tenant])


def with_pool(cidr: str) -> dict[str, Any]:
    """A subnet of which a guest is never given the address that only the other tenant has."""
    base, version = cidr.partition("/")[0].removesuffix("0"), 6 if ":" in cidr else 4
    pool = {"start": f"{base}{100}", "end": f"{base}{190}"}
    return {"cidr": cidr, "ip_version": version, "allocation_pools": [pool]}


def mac_text(number: int) -> str:
    """A MAC as requests spell it."""
    return number.to_bytes(6).hex(":")


def fixed_ips(own: Identity) -> list[dict[str, str]]:
    """A machine's addresses as a port has them."""
    return [{"ip_address": str(IPv4Address(own.ip))}, {"ip_address": str(IPv6Address(own.ip6))}]


def numbered(mac: int, octet: int) -> Identity:
    """A machine that has this number in both subnets."""
    return Identity(mac, int(IPv4Address("192.168.0.0")) + octet, int(IPv6Address("2001:db8::")) + octet)


def identity_of(name: str) -> Identity:
    """The very same for every machine of that name, whosever and wherever it is."""
    return numbered(_SAME_MAC + _HOST_OCTETS[name], _HOST_OCTETS[name])
