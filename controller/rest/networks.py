"""What does a client say and see of a network?

``/v2.0/networks`` in Neutron's shape.  Every network is VXLAN; its VNI (``provider:segmentation_id``) is the operator's
to choose and to see.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Final, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, BeforeValidator, Field, model_validator

from controller.rest import answers
from controller.rest.access import caller, project_for, require_operator_for, visible
from controller.rest.fields import AdminUp, Body, Identity, Maybe, Mtu, Name, Shown, VniNumber, only, refused
from controller.rest.listing import FieldsQuery, Json, Values, select, show
from controller.rest.many import ManyBody
from controller.service import Service
from controller.turns import paced
from overlay.changes import CreateNetwork, DeleteNetwork, UpdateNetwork
from overlay.values import Network

HIDDEN: Final = frozenset({"provider:network_type", "provider:segmentation_id", "provider:physical_network"})
"""Only the operator sees these."""

_NOT_SHARED = only(False, "networks cannot be shared between projects yet")
_NOT_EXTERNAL = only(False, "there are no external networks")
_NO_PHYSICAL = only(None, "a VXLAN network is on no physical network")


class NetworkCreate(Body):
    """A network to be made."""

    name: Name = ""
    description: Name = ""
    mtu: Mtu = 1500
    admin_state_up: AdminUp = True
    shared: Annotated[bool, BeforeValidator(_NOT_SHARED)] = False
    router_external: Annotated[bool, BeforeValidator(_NOT_EXTERNAL)] = Field(False, alias="router:external")
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")
    segmentation_id: Maybe[VniNumber] = Field(
        None, alias="provider:segmentation_id", description="The VNI; the lowest free one when left out. Operator only."
    )
    network_type: Maybe[Literal["vxlan"]] = Field(None, alias="provider:network_type", description="Operator only.")
    physical_network: Annotated[None, BeforeValidator(_NO_PHYSICAL)] = Field(None, alias="provider:physical_network")


class NetworkUpdate(Body):
    """What may change of a network."""

    name: Maybe[Name] = None
    description: Maybe[Name] = None
    mtu: Maybe[Mtu] = None
    admin_state_up: Maybe[AdminUp] = None
    shared: Maybe[Annotated[bool, BeforeValidator(_NOT_SHARED)]] = None


class NetworkShown(Shown):
    """A network."""

    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    status: Literal["ACTIVE"] = "ACTIVE"
    admin_state_up: bool = True
    shared: bool = False
    router_external: bool = Field(default=False, serialization_alias="router:external")
    mtu: int
    subnets: tuple[str, ...]
    network_type: str | None = Field(
        None, serialization_alias="provider:network_type", description="Shown to the operator."
    )
    segmentation_id: int | None = Field(
        None, serialization_alias="provider:segmentation_id", description="Shown to the operator."
    )
    physical_network: str | None = Field(
        default=None, serialization_alias="provider:physical_network", description="Shown to the operator."
    )


class NetworkCreateBody(ManyBody):
    """One network, or several of which all are made or none."""

    network: Maybe[NetworkCreate] = None
    networks: Maybe[Annotated[list[NetworkCreate], Field(min_length=1, max_length=10_000)]] = None

    @model_validator(mode="after")
    def _one_form(self) -> NetworkCreateBody:
        if (self.network is None) == (self.networks is None):
            raise refused("the body holds either 'network' or 'networks'")
        return self


class NetworkUpdateBody(Body):
    """The changes of a network."""

    network: NetworkUpdate


class NetworkAnswer(BaseModel):
    """One network."""

    network: NetworkShown


class NetworksAnswer(BaseModel):
    """Several networks."""

    networks: list[NetworkShown]


class NetworkPath(BaseModel):
    """Which network."""

    network_id: str


class NetworkQuery(FieldsQuery):
    """Filters of a list of networks."""

    id: Values = None
    name: Values = None
    description: Values = None
    project_id: Values = None
    tenant_id: Values = None
    status: Values = None
    admin_state_up: Values = None
    shared: Values = None
    router_external: Values = Field(None, alias="router:external")
    mtu: Values = None
    network_type: Values = Field(None, alias="provider:network_type")
    segmentation_id: Values = Field(None, alias="provider:segmentation_id")


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of networks."""
    api = answers.routes("networks", "/v2.0")

    def shown(network: Network) -> NetworkShown:
        who, unfinished = caller(), service.unfinished
        subnets = (subnet for subnet in service.world.subnets_of(network.id) if subnet.id not in unfinished)
        return NetworkShown(
            id=network.id,
            name=network.name,
            description=network.description,
            project_id=network.project_id,
            tenant_id=network.project_id,
            mtu=network.mtu,
            subnets=tuple(subnet.id for subnet in subnets if who.sees(subnet)),
            network_type="vxlan",
            segmentation_id=network.vni,
        )

    def found(network_id: str) -> Network:
        return visible(service.world.network, network_id, "Network", "network_id")

    @api.get("/networks", responses=answers.ok(NetworksAnswer))
    def list_networks(query: NetworkQuery) -> Json:
        """List networks."""
        who, unfinished = caller(), service.unfinished
        seen = [each for each in service.world.networks.values() if who.sees(each) and each.id not in unfinished]
        return {"networks": select(map(shown, paced(seen)), HIDDEN, query)}

    @api.post("/networks", responses=answers.created(NetworkAnswer, NetworksAnswer))
    def create_network(body: NetworkCreateBody) -> tuple[Json, int]:
        """Make a network, or several at once."""
        if body.network is not None:
            intent = _creation(body.network)
            service.submit(intent)
            return {"network": show(shown(service.world.network(intent.id)), HIDDEN)}, 201
        intents = [_creation(given) for given in paced(body.networks or ())]
        service.submit_all(intents)
        there = service.world.networks  # who may see all can have deleted some by now
        made = [there[intent.id] for intent in intents if intent.id in there]
        return {"networks": [show(shown(network), HIDDEN) for network in paced(made)]}, 201

    @api.get("/networks/<network_id>", responses=answers.ok(NetworkAnswer))
    def show_network(path: NetworkPath, query: FieldsQuery) -> Json:
        """Show a network."""
        return {"network": show(shown(found(path.network_id)), HIDDEN, query)}

    @api.put("/networks/<network_id>", responses=answers.ok(NetworkAnswer))
    def update_network(path: NetworkPath, body: NetworkUpdateBody) -> Json:
        """Change a network."""
        found(path.network_id)
        given = body.network
        service.submit(UpdateNetwork(path.network_id, given.name, given.description, given.mtu))
        return {"network": show(shown(service.world.network(path.network_id)), HIDDEN)}

    @api.delete("/networks/<network_id>", responses=answers.gone())
    def delete_network(path: NetworkPath) -> tuple[str, int]:
        """Delete a network and its subnets; it must have no ports."""
        found(path.network_id)
        service.submit(DeleteNetwork(path.network_id))
        return "", 204

    return api


def _creation(given: NetworkCreate) -> CreateNetwork:
    for field in ("provider:segmentation_id", "provider:network_type", "provider:physical_network"):
        if given.says(field):
            require_operator_for(field, field)
    return CreateNetwork(
        str(uuid.uuid4()),
        project_for(given.project_id, given.tenant_id),
        given.name,
        given.segmentation_id,
        given.mtu,
        given.description,
    )
