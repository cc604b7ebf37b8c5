"""What does a client say and see of a network?

``/v2.0/networks`` in Neutron's shape.  Every network is VXLAN; its VNI (``provider:segmentation_id``) is the operator's
to choose and to see, and so is whether it is shared with everybody.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Annotated, Final, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, BeforeValidator, Field

from controller.bulk import Creation
from controller.rest import answers
from controller.rest.access import project_for, require_operator_for
from controller.rest.fields import (
    Body,
    Flag,
    Identity,
    Maybe,
    Mtu,
    Name,
    RecordShown,
    VniNumber,
    empty,
    only,
)
from controller.rest.listing import (
    Attributes,
    Collection,
    FieldsQuery,
    Json,
    Numbers,
    PageLinks,
    RecordQuery,
    Truths,
    Values,
    recorded,
)
from controller.rest.many import ManyBody
from controller.rest.policy import OPERATORS
from controller.rest.preconditions import Conditions
from controller.rest.qos import check_policy
from controller.rest.sight import Sight, require_owner
from controller.service import Service
from controller.turns import paced
from overlay.changes import UNCHANGED, CreateNetwork, CreateShare, DeleteNetwork, UpdateNetwork
from overlay.values import EVERYBODY, Network, Shareable

HIDDEN: Final = OPERATORS["network"]
"""Only the operator sees these."""

ZONE: Final = "default"
"""The one availability zone, in which all hypervisors are."""

_PROVIDER: Final = ("provider:segmentation_id", "provider:network_type", "provider:physical_network")

NotExternal = Annotated[bool, BeforeValidator(only(False, "there are no external networks"))]
NoHints = Annotated[list[str], empty("there is one availability zone only, nothing to choose from")]
_NO_PHYSICAL = only(None, "a VXLAN network is on no physical network")


class NetworkCreate(Body):
    """A network to be made."""

    name: Name = ""
    description: Name = ""
    mtu: Maybe[Mtu] = Field(None, description="The largest that the fabric carries when left out.")
    admin_state_up: Flag = True
    shared: Flag = Field(default=False, description="With everybody. Operator only.")
    router_external: NotExternal = Field(default=False, alias="router:external")
    port_security_enabled: Flag = Field(default=True, description="Of ports that do not say.")
    vlan_transparent: Flag = Field(default=False, description="Whether it carries frames with a VLAN tag.")
    availability_zone_hints: NoHints = Field(default_factory=list)
    qos_policy_id: Identity | None = Field(None, description="The project's default one when left out or null.")
    dns_domain: Name = Field("", description="Of the names of its ports, with its final dot; the server's when empty.")
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")
    segmentation_id: Maybe[VniNumber] = Field(
        None, alias="provider:segmentation_id", description="The VNI; the lowest free one when left out. Operator only."
    )
    network_type: Maybe[Literal["vxlan"]] = Field(None, alias="provider:network_type", description="Operator only.")
    physical_network: Annotated[None, BeforeValidator(_NO_PHYSICAL)] = Field(
        None, alias="provider:physical_network", description="Operator only."
    )


class NetworkUpdate(Body):
    """What may change of a network."""

    name: Maybe[Name] = None
    description: Maybe[Name] = None
    mtu: Maybe[Mtu] = None
    admin_state_up: Maybe[Flag] = None
    shared: Maybe[Flag] = Field(None, description="With everybody. Operator only.")
    router_external: Maybe[NotExternal] = Field(None, alias="router:external")
    dns_domain: Maybe[Name] = None
    port_security_enabled: Maybe[Flag] = Field(None, description="Of ports that are made from now on.")
    qos_policy_id: Identity | None = Field(None, description="Null for none; kept when left out.")


class NetworkShown(RecordShown):
    """A network."""

    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    status: Literal["ACTIVE", "DOWN"]
    admin_state_up: bool
    shared: bool = Field(description="Whether others than its owner may use it, or whoever asks is such a one.")
    router_external: bool = Field(serialization_alias="router:external")
    mtu: int
    port_security_enabled: bool
    vlan_transparent: bool
    subnets: tuple[str, ...]
    qos_policy_id: str | None
    dns_domain: str
    availability_zone_hints: tuple[str, ...]
    availability_zones: tuple[str, ...]
    ipv4_address_scope: str | None
    ipv6_address_scope: str | None
    network_type: Maybe[str] = Field(
        None, serialization_alias="provider:network_type", description="Shown to the operator."
    )
    segmentation_id: Maybe[int] = Field(
        None, serialization_alias="provider:segmentation_id", description="Shown to the operator."
    )
    physical_network: str | None = Field(
        None, serialization_alias="provider:physical_network", description="Shown to the operator."
    )


class NetworkCreateBody(ManyBody):
    """One network, or several of which all are made or none."""

    network: Maybe[NetworkCreate] = None
    networks: Maybe[Annotated[list[NetworkCreate], Field(min_length=1, max_length=10_000)]] = None


class NetworkUpdateBody(Body):
    """The changes of a network."""

    network: NetworkUpdate


class NetworkAnswer(BaseModel):
    """One network."""

    network: NetworkShown


class NetworksAnswer(BaseModel):
    """Several networks."""

    networks: list[NetworkShown]
    networks_links: PageLinks = None


class NetworkPath(BaseModel):
    """Which network."""

    network_id: str


class NetworkQuery(RecordQuery):
    """Filters of a list of networks."""

    id: Values = None
    name: Values = None
    description: Values = None
    project_id: Values = None
    tenant_id: Values = None
    status: Values = None
    admin_state_up: Truths = None
    shared: Truths = None
    router_external: Truths = Field(None, alias="router:external")
    port_security_enabled: Truths = None
    vlan_transparent: Truths = None
    mtu: Numbers = None
    ipv4_address_scope: Values = None
    ipv6_address_scope: Values = None
    network_type: Values = Field(None, alias="provider:network_type")
    physical_network: Values = Field(None, alias="provider:physical_network")
    segmentation_id: Numbers = Field(None, alias="provider:segmentation_id")


def attributes(sight: Sight) -> Attributes[Network]:
    """How each field of a network is read."""
    return {
        "id": lambda network: network.id,
        "name": lambda network: network.name,
        "description": lambda network: network.description,
        "project_id": lambda network: network.project_id,
        "tenant_id": lambda network: network.project_id,
        "status": lambda network: "ACTIVE" if network.admin_up else "DOWN",
        "admin_state_up": lambda network: network.admin_up,
        "shared": lambda network: sight.shares(Shareable.NETWORK, network.id),
        "router:external": lambda _: False,
        "mtu": lambda network: network.mtu,
        "port_security_enabled": lambda network: network.port_security,
        "vlan_transparent": lambda network: network.vlan_transparent,
        "subnets": lambda network: [subnet.id for subnet in sight.whole(sight.world.subnets_of(network.id))],
        "qos_policy_id": lambda network: network.qos_policy_id,
        "dns_domain": lambda network: network.dns_domain,
        "availability_zone_hints": lambda _: [],
        "availability_zones": lambda _: [ZONE],
        "ipv4_address_scope": lambda _: None,
        "ipv6_address_scope": lambda _: None,
        **recorded(),
        "provider:network_type": lambda _: "vxlan",
        "provider:segmentation_id": lambda network: network.vni,
        "provider:physical_network": lambda _: None,
    }


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of networks."""
    api = answers.routes("networks", "/v2.0")
    sight = Sight(service)
    collection = Collection("networks", attributes(sight), NetworkShown, sight.network, HIDDEN)

    def show(network_id: str) -> Json:
        return collection.show(service.world.network(network_id))

    @api.get("/networks", responses=answers.listed(NetworksAnswer))
    def list_networks(query: NetworkQuery) -> Json:
        """List networks."""
        return collection.select(_candidates(sight, query), query)

    @api.post("/networks", responses=answers.created(NetworkAnswer, NetworksAnswer))
    def create_network(body: NetworkCreateBody) -> tuple[Json, int]:
        """Make a network, or several at once."""
        given = (body.networks or []) if body.network is None else [body.network]
        intents = [_creation(sight, one) for one in paced(given)]
        shares = [
            _sharing(intent.id, intent.project_id) for one, intent in zip(given, intents, strict=True) if one.shared
        ]
        if len(intents) == 1 and not shares:
            service.submit(intents[0])
        else:
            creations: list[Creation] = [*intents, *shares]
            service.submit_all(creations)
        if body.network is not None:
            return {"network": show(intents[0].id)}, 201
        made = [intent.id for intent in intents]
        return {"networks": collection.show_made(made, service.world.networks)}, 201

    @api.get("/networks/<network_id>", responses=answers.ok(NetworkAnswer))
    def show_network(path: NetworkPath, query: FieldsQuery) -> Json:
        """Show a network."""
        return {"network": collection.show(sight.network(path.network_id), query)}

    @api.put("/networks/<network_id>", responses=answers.changed(NetworkAnswer))
    def update_network(path: NetworkPath, header: Conditions, body: NetworkUpdateBody) -> Json:
        """Change a network."""
        network = sight.network(path.network_id)
        require_owner("Changing a network", network)
        given = body.network
        require_operator_for("shared", given.shared)
        if given.says("qos_policy_id"):
            check_policy(sight, network.qos_policy_id, given.qos_policy_id)
        service.submit(
            UpdateNetwork(
                id=network.id,
                name=given.name,
                description=given.description,
                mtu=given.mtu,
                admin_up=given.admin_state_up,
                expected=header.expected,
                shared=given.shared,
                share_id=str(uuid.uuid4()),
                dns_domain=given.dns_domain,
                port_security=given.port_security_enabled,
                qos_policy_id=given.qos_policy_id if given.says("qos_policy_id") else UNCHANGED,
            )
        )
        return {"network": show(network.id)}

    @api.delete("/networks/<network_id>", responses=answers.gone())
    def delete_network(path: NetworkPath, header: Conditions) -> tuple[str, int]:
        """Delete a network and its subnets; it must have no ports."""
        network = sight.network(path.network_id)
        require_owner("Deleting a network", network)
        service.submit(DeleteNetwork(network.id, header.expected))
        return "", 204

    return api


def _candidates(sight: Sight, query: NetworkQuery) -> Iterable[Network]:
    """The networks that a list can be about, without looking at all of them where an index will do."""
    known = sight.world.networks
    if query.id is None:
        return sight.networks()
    asked = (known[id_] for id_ in dict.fromkeys(query.id) if id_ in known)
    return filter(sight.sees_network, sight.whole(asked))


def _sharing(network_id: str, project_id: str) -> CreateShare:
    return CreateShare(str(uuid.uuid4()), project_id, Shareable.NETWORK, network_id, EVERYBODY)


def _creation(sight: Sight, given: NetworkCreate) -> CreateNetwork:
    check_policy(sight, None, given.qos_policy_id)
    for field in _PROVIDER:
        if given.says(field):
            require_operator_for(field, field)
    require_operator_for("shared", given.shared or None)
    return CreateNetwork(
        id=str(uuid.uuid4()),
        project_id=project_for(given.project_id, given.tenant_id),
        name=given.name,
        vni=given.segmentation_id,
        mtu=given.mtu,
        description=given.description,
        vlan_transparent=given.vlan_transparent,
        admin_up=given.admin_state_up,
        dns_domain=given.dns_domain,
        port_security=given.port_security_enabled,
        qos_policy_id=given.qos_policy_id,
    )
