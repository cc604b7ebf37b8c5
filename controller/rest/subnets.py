"""Who may ask for which subnet, and what is then to be done?

``/v2.0/subnets`` in Neutron's shape.  Only whose network it is makes one, of any subnet pool that he may use.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Final

from flask_openapi3.blueprint import APIBlueprint

from controller.rest import answers
from controller.rest.access import project_for
from controller.rest.errors import bad_request
from controller.rest.fields import version_of
from controller.rest.listing import Collection, FieldsQuery, Json
from controller.rest.preconditions import Conditions
from controller.rest.sight import Sight, require_owner
from controller.rest.subnet_forms import (
    RouteText,
    SubnetAnswer,
    SubnetCreate,
    SubnetCreateBody,
    SubnetPath,
    SubnetQuery,
    SubnetsAnswer,
    SubnetShown,
    SubnetUpdate,
    SubnetUpdateBody,
    attributes,
)
from controller.service import Service
from controller.turns import paced
from overlay.changes import UNCHANGED, CreateSubnet, DeleteSubnet, UpdateSubnet
from overlay.values import HostRoute, IpAddress, Ipv6Mode, Pool, Subnet, SubnetPool

_VERSIONS: Final = (4, 6)


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
                dhcp=given.enable_dhcp,
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
        dhcp=given.enable_dhcp,
        ipv6_ra_mode=_mode(given.ipv6_ra_mode),
        ipv6_address_mode=_mode(given.ipv6_address_mode),
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


def _mode(word: str | None) -> Ipv6Mode | None:
    return None if word is None else Ipv6Mode(word)


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
