"""In which JSON does a client say what a subnet shall be, and see what one is?

As in Neutron there is DHCP unless a client says that there is to be none; the modes of an IPv6 subnet, which say how
its machines get their addresses, are chosen when it is made.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, Field

from controller.rest.fields import (
    Body,
    CidrText,
    Count,
    Flag,
    Identity,
    IpText,
    Maybe,
    Name,
    RecordShown,
    Shown,
)
from controller.rest.listing import Attributes, LowerCase, Numbers, PageLinks, RecordQuery, Truths, Values, recorded
from controller.rest.many import ManyBody
from overlay.values import Subnet

NAME_SERVERS_MOST: Final = 5
ROUTES_MOST: Final = 20
"""Neutron's defaults (max_dns_nameservers, max_subnet_host_routes)."""

_NONE_IS_EMPTY: Final = BeforeValidator(lambda value: [] if value is None else value)


Mode = Literal["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]


class PoolText(Body):
    """An inclusive range of addresses."""

    start: IpText
    end: IpText


class RouteText(Body):
    """A route for the machines of a subnet."""

    destination: CidrText
    nexthop: IpText


Pools = Annotated[list[PoolText], Field(max_length=1000)]
NameServers = Annotated[list[IpText], Field(max_length=NAME_SERVERS_MOST), _NONE_IS_EMPTY]
Routes = Annotated[list[RouteText], Field(max_length=ROUTES_MOST), _NONE_IS_EMPTY]


class SubnetCreate(Body):
    """A subnet to be made: from a prefix, or from a subnet pool that one is cut of."""

    network_id: Identity
    cidr: CidrText | None = Field(None, description="May only be left out with a subnet pool.")
    ip_version: Maybe[Count] = Field(None, description="4 or 6, as the cidr says anyway.")
    name: Name = ""
    description: Name = ""
    gateway_ip: IpText | None = Field(None, description="The first usable address when left out; null for none.")
    allocation_pools: Maybe[Pools] = Field(None, description="All but the gateway when left out.")
    enable_dhcp: Flag = True
    dns_nameservers: NameServers = Field(default_factory=list)
    host_routes: Routes = Field(default_factory=list)
    ipv6_ra_mode: Mode | None = Field(None, description="What router advertisements say; there are none without it.")
    ipv6_address_mode: Mode | None = Field(None, description="How machines get their addresses, by a pool without it.")
    subnetpool_id: Identity | None = None
    prefixlen: Maybe[Count] = Field(None, description="Of the prefix to be cut; the pool's default when left out.")
    use_default_subnetpool: Maybe[Flag] = Field(None, description="The default pool of that ip_version.")
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")


class SubnetUpdate(Body):
    """What may change of a subnet."""

    name: Maybe[Name] = None
    description: Maybe[Name] = None
    gateway_ip: IpText | None = Field(None, description="Null for none; kept when left out.")
    allocation_pools: Maybe[Pools] = None
    enable_dhcp: Maybe[Flag] = None
    dns_nameservers: Maybe[NameServers] = None
    host_routes: Maybe[Routes] = None


class PoolShown(Shown):
    """An inclusive range of addresses."""

    start: str
    end: str


class RouteShown(Shown):
    """A route for the machines of a subnet."""

    destination: str
    nexthop: str


class SubnetShown(RecordShown):
    """A subnet."""

    id: str
    network_id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    cidr: str
    ip_version: Literal[4, 6]
    gateway_ip: str | None
    allocation_pools: tuple[PoolShown, ...]
    enable_dhcp: bool
    dns_nameservers: tuple[str, ...]
    host_routes: tuple[RouteShown, ...]
    ipv6_ra_mode: str | None
    ipv6_address_mode: str | None
    subnetpool_id: str | None


class SubnetCreateBody(ManyBody):
    """One subnet, or several of which all are made or none."""

    subnet: Maybe[SubnetCreate] = None
    subnets: Maybe[Annotated[list[SubnetCreate], Field(min_length=1, max_length=10_000)]] = None


class SubnetUpdateBody(Body):
    """The changes of a subnet."""

    subnet: SubnetUpdate


class SubnetAnswer(BaseModel):
    """One subnet."""

    subnet: SubnetShown


class SubnetsAnswer(BaseModel):
    """Several subnets."""

    subnets: list[SubnetShown]
    subnets_links: PageLinks = None


class SubnetPath(BaseModel):
    """Which subnet."""

    subnet_id: str


class SubnetQuery(RecordQuery):
    """Filters of a list of subnets."""

    id: Values = None
    network_id: Values = None
    name: Values = None
    description: Values = None
    project_id: Values = None
    tenant_id: Values = None
    cidr: LowerCase = None
    ip_version: Numbers = None
    gateway_ip: LowerCase = None
    enable_dhcp: Truths = None
    ipv6_ra_mode: Values = None
    ipv6_address_mode: Values = None
    subnetpool_id: Values = None


def attributes() -> Attributes[Subnet]:
    """How each field of a subnet is read."""
    return {
        "id": lambda subnet: subnet.id,
        "network_id": lambda subnet: subnet.network_id,
        "name": lambda subnet: subnet.name,
        "description": lambda subnet: subnet.description,
        "project_id": lambda subnet: subnet.project_id,
        "tenant_id": lambda subnet: subnet.project_id,
        "cidr": lambda subnet: str(subnet.cidr),
        "ip_version": lambda subnet: subnet.cidr.version,
        "gateway_ip": lambda subnet: None if subnet.gateway_ip is None else str(subnet.gateway_ip),
        "allocation_pools": lambda subnet: [{"start": str(pool.first), "end": str(pool.last)} for pool in subnet.pools],
        "enable_dhcp": lambda subnet: subnet.dhcp,
        "dns_nameservers": lambda subnet: [str(server) for server in subnet.dns_nameservers],
        "host_routes": lambda subnet: [
            {"destination": str(route.destination), "nexthop": str(route.nexthop)} for route in subnet.host_routes
        ],
        "ipv6_ra_mode": lambda subnet: subnet.ipv6_ra_mode,
        "ipv6_address_mode": lambda subnet: subnet.ipv6_address_mode,
        "subnetpool_id": lambda subnet: subnet.subnetpool_id,
        **recorded(),
    }
