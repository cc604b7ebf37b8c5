"""What does a client say and see of a subnet?

``/v2.0/subnets`` in Neutron's shape.  There is no DHCP yet, so ``enable_dhcp`` is false, and saying true is refused;
name servers and routes are kept and shown for whoever configures the machines.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Annotated, Final, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, BeforeValidator, Field, model_validator

from controller.rest import answers
from controller.rest.access import project_for
from controller.rest.errors import bad_request
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
    one_of,
    only,
    refused,
    version_of,
)
from controller.rest.listing import (
    Attributes,
    Collection,
    FieldsQuery,
    Json,
    LowerCase,
    Numbers,
    PageLinks,
    RecordQuery,
    Truths,
    Values,
    recorded,
)
from controller.rest.many import ManyBody
from controller.rest.preconditions import Conditions
from controller.rest.sight import Sight, require_owner
from controller.service import Service
from controller.turns import paced
from overlay.changes import UNCHANGED, CreateSubnet, DeleteSubnet, UpdateSubnet
from overlay.values import HostRoute, IpAddress, Pool, Subnet, SubnetPool

NAME_SERVERS_MOST: Final = 5
ROUTES_MOST: Final = 20
"""Neutron's defaults (max_dns_nameservers, max_subnet_host_routes)."""

_VERSIONS: Final = (4, 6)

NoDhcp = Annotated[bool, BeforeValidator(only(False, "DHCP is not offered yet"))]
_NO_MODE = only(None, "router advertisements are not offered yet")
_NONE_IS_EMPTY: Final = BeforeValidator(lambda value: [] if value is None else value)


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
    enable_dhcp: NoDhcp = False
    dns_nameservers: NameServers = Field(default_factory=list)
    host_routes: Routes = Field(default_factory=list)
    ipv6_ra_mode: Annotated[None, BeforeValidator(_NO_MODE)] = None
    ipv6_address_mode: Annotated[None, BeforeValidator(_NO_MODE)] = None
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
    enable_dhcp: Maybe[NoDhcp] = None
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

    model_config = one_of("subnet", "subnets")

    subnet: Maybe[SubnetCreate] = None
    subnets: Maybe[Annotated[list[SubnetCreate], Field(min_length=1, max_length=10_000)]] = None

    @model_validator(mode="after")
    def _one_form(self) -> SubnetCreateBody:
        if (self.subnet is None) == (self.subnets is None):
            raise refused("the body holds either 'subnet' or 'subnets'")
        return self


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


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of subnets."""
    api = answers.routes("subnets", "/v2.0")
    sight = Sight(service)
    collection = Collection("subnets", attributes(), SubnetShown, sight.subnet)

    def show(subnet_id: str) -> Json:
        return collection.show(service.world.subnet(subnet_id))

    def owned(subnet_id: str, what: str) -> Subnet:
        subnet = sight.subnet(subnet_id)
        if not sight.owns_network(subnet.network_id):
            require_owner(what, subnet)
        return subnet

    @api.get("/subnets", responses=answers.listed(SubnetsAnswer))
    def list_subnets(query: SubnetQuery) -> Json:
        """List subnets."""
        return collection.select(_candidates(sight, query), query)

    @api.post("/subnets", responses=answers.created(SubnetAnswer, SubnetsAnswer))
    def create_subnet(body: SubnetCreateBody) -> tuple[Json, int]:
        """Make a subnet, or several at once."""
        if body.subnet is not None:
            intent = _creation(sight, body.subnet)
            service.submit(intent)
            return {"subnet": show(intent.id)}, 201
        intents = [_creation(sight, given) for given in paced(body.subnets or ())]
        service.submit_all(intents)
        made = [intent.id for intent in intents]
        return {"subnets": collection.show_made(made, service.world.subnets)}, 201

    @api.get("/subnets/<subnet_id>", responses=answers.ok(SubnetAnswer))
    def show_subnet(path: SubnetPath, query: FieldsQuery) -> Json:
        """Show a subnet."""
        return {"subnet": collection.show(sight.subnet(path.subnet_id), query)}

    @api.put("/subnets/<subnet_id>", responses=answers.changed(SubnetAnswer))
    def update_subnet(path: SubnetPath, header: Conditions, body: SubnetUpdateBody) -> Json:
        """Change a subnet."""
        subnet = owned(path.subnet_id, "Changing a subnet")
        given = body.subnet
        _check_versions(given, subnet.cidr.version)
        service.submit(
            UpdateSubnet(
                id=subnet.id,
                name=given.name,
                description=given.description,
                gateway_ip=given.gateway_ip if given.says("gateway_ip") else UNCHANGED,
                pools=_pools(given),
                dns_nameservers=None if given.dns_nameservers is None else tuple(given.dns_nameservers),
                host_routes=None if given.host_routes is None else _routes(given.host_routes),
                expected=header.expected,
            )
        )
        return {"subnet": show(subnet.id)}

    @api.delete("/subnets/<subnet_id>", responses=answers.gone())
    def delete_subnet(path: SubnetPath, header: Conditions) -> tuple[str, int]:
        """Delete a subnet; no port may have an address of it."""
        subnet = owned(path.subnet_id, "Deleting a subnet")
        service.submit(DeleteSubnet(subnet.id, header.expected))
        return "", 204

    return api


def _candidates(sight: Sight, query: SubnetQuery) -> Iterable[Subnet]:
    """The subnets that a list can be about, without looking at all of them where an index will do."""
    world = sight.world
    if query.id is not None:
        asked = (world.subnets[id_] for id_ in dict.fromkeys(query.id) if id_ in world.subnets)
        return filter(sight.sees_subnet, sight.whole(asked))
    if query.network_id is not None:
        known = (id_ for id_ in dict.fromkeys(query.network_id) if id_ in world.networks)
        numbering = (subnet for id_ in known for subnet in world.subnets_of(id_))
        return filter(sight.sees_subnet, sight.whole(numbering))
    return sight.subnets()


def _creation(sight: Sight, given: SubnetCreate) -> CreateSubnet:
    network = sight.network(given.network_id)
    require_owner("Creating a subnet", network, "network_id")
    pool = _pool_to_cut(sight, given)
    version = given.ip_version if given.cidr is None else version_of(given.cidr)
    if pool is not None:
        if version is not None and version != version_of(pool.prefixes[0]):
            raise bad_request("ip_version", f"{version} is not the IP version of subnet pool {pool.id}")
        version = version_of(pool.prefixes[0])
    elif given.cidr is None:
        raise bad_request("cidr", "a subnetpool must be specified in the absence of a cidr")
    if given.ip_version not in {None, version}:
        raise bad_request("ip_version", f"{given.ip_version} is not the IP version of cidr {given.cidr}")
    if given.prefixlen is not None and (given.cidr is not None or pool is None):
        raise bad_request("prefixlen", "is for a prefix that a subnet pool chooses, so not together with a cidr")
    _check_versions(given, version or 0)
    return CreateSubnet(
        id=str(uuid.uuid4()),
        project_id=project_for(given.project_id, given.tenant_id, default=network.project_id),
        network_id=given.network_id,
        cidr=given.cidr,
        name=given.name,
        gateway_ip=given.gateway_ip if given.says("gateway_ip") else "default",
        pools=_pools(given),
        description=given.description,
        dns_nameservers=tuple(given.dns_nameservers),
        host_routes=_routes(given.host_routes),
        subnetpool_id=None if pool is None else pool.id,
        prefixlen=given.prefixlen,
    )


def _pool_to_cut(sight: Sight, given: SubnetCreate) -> SubnetPool | None:
    """The subnet pool that the prefix is to be of, if any."""
    if given.subnetpool_id is not None:
        if given.use_default_subnetpool:
            raise bad_request("use_default_subnetpool", "subnetpool_id names one already")
        return sight.subnetpool(given.subnetpool_id)
    if not given.use_default_subnetpool:
        return None
    version = given.ip_version if given.cidr is None else version_of(given.cidr)
    if version not in _VERSIONS:
        raise bad_request("ip_version", "4 or 6 must be specified for a default subnet pool")
    pool = sight.world.default_subnetpool(version)
    if pool is None or not sight.sees_pool(pool):
        raise bad_request("use_default_subnetpool", f"there is no default subnet pool for IPv{version}")
    return pool


def _pools(given: SubnetCreate | SubnetUpdate) -> tuple[Pool, ...] | None:
    if given.allocation_pools is None:
        return None
    return tuple(Pool(pool.start, pool.end) for pool in given.allocation_pools)


def _routes(given: Iterable[RouteText]) -> tuple[HostRoute, ...]:
    return tuple(HostRoute(route.destination, route.nexthop) for route in given)


def _check_versions(given: SubnetCreate | SubnetUpdate, version: int) -> None:
    """Every address that is given is of the subnet's own IP version."""
    addresses: list[tuple[str, IpAddress]] = []
    if given.gateway_ip is not None:
        addresses.append(("gateway_ip", given.gateway_ip))
    for pool in given.allocation_pools or ():
        addresses += [("allocation_pools", pool.start), ("allocation_pools", pool.end)]
    addresses += [("dns_nameservers", server) for server in given.dns_nameservers or ()]
    for route in given.host_routes or ():
        addresses += [("host_routes", route.destination.network_address), ("host_routes", route.nexthop)]
    for field, address in addresses:
        if address.version != version:
            raise bad_request(field, f"{address} is not an IPv{version} address")
    for field, values in (("dns_nameservers", given.dns_nameservers or ()), ("host_routes", given.host_routes or ())):
        if len(set(values)) < len(values):
            raise bad_request(field, "the same is there twice")
