"""How many addresses do the networks have, and how many of them are used?

``/v2.0/network-ip-availabilities`` in Neutron's shape, for the operator.  What counts is what the allocation pools hold
and what ports have, so that a port's address outside of the pools counts as used and never as one of the total.
"""

from __future__ import annotations

from typing import Any, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from controller.rest import answers
from controller.rest.fields import Shown
from controller.rest.listing import Attributes, Collection, FieldsQuery, Json, ListQuery, PageLinks, Values
from controller.rest.sight import Sight
from controller.service import Service
from overlay.values import Network, Subnet
from overlay.world import World


class SubnetAvailability(Shown):
    """The addresses of a subnet."""

    subnet_id: str
    subnet_name: str
    ip_version: Literal[4, 6]
    cidr: str
    total_ips: int = Field(description="As many as the allocation pools hold; beyond 2**64 in IPv6.")
    used_ips: int


class NetworkAvailability(Shown):
    """The addresses of a network."""

    network_id: str
    network_name: str
    project_id: str
    tenant_id: str
    total_ips: int
    used_ips: int
    subnet_ip_availability: tuple[SubnetAvailability, ...]


class AvailabilityAnswer(BaseModel):
    """The addresses of one network."""

    network_ip_availability: NetworkAvailability


class AvailabilitiesAnswer(BaseModel):
    """The addresses of several networks."""

    network_ip_availabilities: list[NetworkAvailability]
    network_ip_availabilities_links: PageLinks = None


class AvailabilityPath(BaseModel):
    """Which network."""

    network_id: str


class AvailabilityQuery(ListQuery):
    """Filters of a list of networks' addresses."""

    network_id: Values = None
    network_name: Values = None
    project_id: Values = None
    tenant_id: Values = None
    ip_version: list[Literal["4", "6"]] | None = Field(None, description="Counts the subnets of this version only.")


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of network-ip-availabilities."""
    api = answers.routes("availability", "/v2.0")
    sight = Sight(service)

    def collection(versions: frozenset[int]) -> Collection[Network]:
        attributes = _attributes(service.world, versions)
        return Collection("network_ip_availabilities", attributes, NetworkAvailability, sight.network, key="network_id")

    @api.get("/network-ip-availabilities", responses=answers.listed(AvailabilitiesAnswer))
    def list_network_ip_availabilities(query: AvailabilityQuery) -> Json:
        """Count the addresses of networks.  Operator only."""
        versions = frozenset(map(int, query.ip_version or ("4", "6")))
        return collection(versions).select(sight.networks(), query)

    @api.get("/network-ip-availabilities/<network_id>", responses=answers.ok(AvailabilityAnswer))
    def show_network_ip_availability(path: AvailabilityPath, query: FieldsQuery) -> Json:
        """Count the addresses of a network.  Operator only."""
        found = sight.network(path.network_id)
        return {"network_ip_availability": collection(frozenset({4, 6})).show(found, query)}

    return api


def _attributes(world: World, versions: frozenset[int]) -> Attributes[Network]:
    def subnets(network: Network) -> list[Subnet]:
        return [subnet for subnet in world.subnets_of(network.id) if subnet.cidr.version in versions]

    return {
        "network_id": lambda network: network.id,
        "network_name": lambda network: network.name,
        "project_id": lambda network: network.project_id,
        "tenant_id": lambda network: network.project_id,
        "total_ips": lambda network: sum(map(_total, subnets(network))),
        "used_ips": lambda network: sum(world.used_addresses(subnet.id) for subnet in subnets(network)),
        "subnet_ip_availability": lambda network: [_of_subnet(world, subnet) for subnet in subnets(network)],
    }


def _total(subnet: Subnet) -> int:
    return sum(int(pool.last) - int(pool.first) + 1 for pool in subnet.pools)


def _of_subnet(world: World, subnet: Subnet) -> dict[str, Any]:
    return {
        "subnet_id": subnet.id,
        "subnet_name": subnet.name,
        "ip_version": subnet.cidr.version,
        "cidr": str(subnet.cidr),
        "total_ips": _total(subnet),
        "used_ips": world.used_addresses(subnet.id),
    }
