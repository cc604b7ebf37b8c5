"""What does a client say and see of a subnet?

``/v2.0/subnets`` in Neutron's shape.  There is no DHCP yet, so ``enable_dhcp`` is false, and saying true is refused.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Final, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, BeforeValidator, Field, model_validator

from controller.rest import answers
from controller.rest.access import caller, project_for, visible
from controller.rest.errors import bad_request
from controller.rest.fields import (
    Body,
    CidrText,
    Count,
    Identity,
    IpText,
    Maybe,
    Name,
    Shown,
    only,
    refused,
    version_of,
)
from controller.rest.listing import FieldsQuery, Json, Values, select, show
from controller.rest.many import ManyBody
from controller.service import Service
from controller.turns import paced
from overlay.changes import CreateSubnet, DeleteSubnet, UpdateSubnet
from overlay.values import IpAddress, Network, Pool, Subnet

HIDDEN: Final[frozenset[str]] = frozenset()

NoDhcp = Annotated[bool, BeforeValidator(only(False, "DHCP is not offered yet"))]
_NO_MODE = only(None, "router advertisements are not offered yet")


class PoolText(Body):
    """An inclusive range of addresses."""

    start: IpText
    end: IpText


class SubnetCreate(Body):
    """A subnet to be made."""

    network_id: Identity
    cidr: CidrText
    ip_version: Maybe[Count] = Field(None, description="4 or 6, as the cidr says anyway.")
    name: Name = ""
    description: Name = ""
    gateway_ip: IpText | None = Field(None, description="The first usable address when left out; null for none.")
    allocation_pools: Maybe[list[PoolText]] = Field(None, description="All but the gateway when left out.")
    enable_dhcp: NoDhcp = False
    dns_nameservers: Annotated[list[str], Field(default_factory=list, max_length=0)]
    host_routes: Annotated[list[str], Field(default_factory=list, max_length=0)]
    ipv6_ra_mode: Annotated[None, BeforeValidator(_NO_MODE)] = None
    ipv6_address_mode: Annotated[None, BeforeValidator(_NO_MODE)] = None
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")


class SubnetUpdate(Body):
    """What may change of a subnet."""

    name: Maybe[Name] = None
    description: Maybe[Name] = None
    enable_dhcp: Maybe[NoDhcp] = None


class PoolShown(Shown):
    """An inclusive range of addresses."""

    start: str
    end: str


class SubnetShown(Shown):
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
    enable_dhcp: bool = False
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[str, ...] = ()
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None


class SubnetCreateBody(ManyBody):
    """One subnet, or several of which all are made or none."""

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


class SubnetPath(BaseModel):
    """Which subnet."""

    subnet_id: str


class SubnetQuery(FieldsQuery):
    """Filters of a list of subnets."""

    id: Values = None
    network_id: Values = None
    name: Values = None
    description: Values = None
    project_id: Values = None
    tenant_id: Values = None
    cidr: Values = None
    ip_version: Values = None
    gateway_ip: Values = None
    enable_dhcp: Values = None


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of subnets."""
    api = answers.routes("subnets", "/v2.0")

    def found(subnet_id: str) -> Subnet:
        return visible(service.world.subnet, subnet_id, "Subnet", "subnet_id")

    def creation(given: SubnetCreate) -> CreateSubnet:
        return _creation(given, visible(service.world.network, given.network_id, "Network", "network_id"))

    @api.get("/subnets", responses=answers.ok(SubnetsAnswer))
    def list_subnets(query: SubnetQuery) -> Json:
        """List subnets."""
        who, unfinished = caller(), service.unfinished
        seen = [each for each in service.world.subnets.values() if who.sees(each) and each.id not in unfinished]
        return {"subnets": select(map(_shown, paced(seen)), HIDDEN, query)}

    @api.post("/subnets", responses=answers.created(SubnetAnswer, SubnetsAnswer))
    def create_subnet(body: SubnetCreateBody) -> tuple[Json, int]:
        """Make a subnet, or several at once."""
        if body.subnet is not None:
            intent = creation(body.subnet)
            service.submit(intent)
            return {"subnet": show(_shown(service.world.subnet(intent.id)), HIDDEN)}, 201
        intents = [creation(given) for given in paced(body.subnets or ())]
        service.submit_all(intents)
        there = service.world.subnets  # who may see all can have deleted some by now
        made = [there[intent.id] for intent in intents if intent.id in there]
        return {"subnets": [show(_shown(subnet), HIDDEN) for subnet in paced(made)]}, 201

    @api.get("/subnets/<subnet_id>", responses=answers.ok(SubnetAnswer))
    def show_subnet(path: SubnetPath, query: FieldsQuery) -> Json:
        """Show a subnet."""
        return {"subnet": show(_shown(found(path.subnet_id)), HIDDEN, query)}

    @api.put("/subnets/<subnet_id>", responses=answers.ok(SubnetAnswer))
    def update_subnet(path: SubnetPath, body: SubnetUpdateBody) -> Json:
        """Change a subnet."""
        found(path.subnet_id)
        service.submit(UpdateSubnet(path.subnet_id, body.subnet.name, body.subnet.description))
        return {"subnet": show(_shown(service.world.subnet(path.subnet_id)), HIDDEN)}

    @api.delete("/subnets/<subnet_id>", responses=answers.gone())
    def delete_subnet(path: SubnetPath) -> tuple[str, int]:
        """Delete a subnet; no port may have an address of it."""
        found(path.subnet_id)
        service.submit(DeleteSubnet(path.subnet_id))
        return "", 204

    return api


def _creation(given: SubnetCreate, network: Network) -> CreateSubnet:
    version = version_of(given.cidr)
    if given.ip_version is not None and given.ip_version != version:
        raise bad_request("ip_version", f"{given.ip_version} is not the IP version of cidr {given.cidr}")
    for pool in given.allocation_pools or ():
        _one_version(pool.start, version, "allocation_pools")
        _one_version(pool.end, version, "allocation_pools")
    gateway: IpAddress | Literal["default"] | None = "default"
    if given.says("gateway_ip"):
        gateway = given.gateway_ip
        if gateway is not None:
            _one_version(gateway, version, "gateway_ip")
    return CreateSubnet(
        id=str(uuid.uuid4()),
        project_id=project_for(given.project_id, given.tenant_id, default=network.project_id),
        network_id=given.network_id,
        cidr=given.cidr,
        name=given.name,
        gateway_ip=gateway,
        pools=None
        if given.allocation_pools is None
        else tuple(Pool(pool.start, pool.end) for pool in given.allocation_pools),
        description=given.description,
    )


def _one_version(address: IpAddress, version: int, field: str) -> None:
    if address.version != version:
        raise bad_request(field, f"{address} is not an IPv{version} address")


def _shown(subnet: Subnet) -> SubnetShown:
    return SubnetShown(
        id=subnet.id,
        network_id=subnet.network_id,
        name=subnet.name,
        description=subnet.description,
        project_id=subnet.project_id,
        tenant_id=subnet.project_id,
        cidr=str(subnet.cidr),
        ip_version=subnet.cidr.version,
        gateway_ip=None if subnet.gateway_ip is None else str(subnet.gateway_ip),
        allocation_pools=tuple(PoolShown(start=str(pool.first), end=str(pool.last)) for pool in subnet.pools),
    )
