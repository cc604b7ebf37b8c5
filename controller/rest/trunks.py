"""What does a client say and see of a trunk?

``/v2.0/trunks`` in Neutron's shape: a port whose tap carries other ports as VLANs.  Whoever makes a trunk owns all of
its ports, or is the operator.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Annotated, Final, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, BeforeValidator, Field

from controller.rest import answers
from controller.rest.access import caller, project_for
from controller.rest.fields import Body, Count, Flag, Identity, Maybe, Name, RecordShown, Shown, refused
from controller.rest.listing import (
    Attributes,
    Collection,
    FieldsQuery,
    Json,
    PageLinks,
    RecordQuery,
    Truths,
    Values,
    recorded,
)
from controller.rest.preconditions import Conditions
from controller.rest.sight import Sight, require_owner
from controller.service import Service
from overlay.trunks.changes import AddSubPorts, CreateTrunk, DeleteTrunk, RemoveSubPorts, UpdateTrunk
from overlay.trunks.values import VIDS, SubPort, Trunk
from overlay.values import PortStatus

_SUB_PORTS_MOST: Final = len(VIDS)


def _segmentation(value: object) -> object:
    if value != "vlan":
        why = "a VLAN is not inherited from a network, none of which has one" if value == "inherit" else "of VLANs only"
        raise refused(f"only 'vlan' can be had, not {value!r}: sub-ports are {why}")
    return value


Segmentation = Annotated[Literal["vlan"], BeforeValidator(_segmentation)]
Vid = Annotated[Count, Field(ge=VIDS.start, lt=VIDS.stop)]


class SubPortWish(Body):
    """A port that is to be a VLAN."""

    port_id: Identity
    segmentation_id: Vid = Field(description="The VLAN.")
    segmentation_type: Segmentation = Field(description="`inherit` cannot be had: networks have no VLAN of their own.")


SubPortWishes = Annotated[list[SubPortWish], Field(max_length=_SUB_PORTS_MOST)]


class TrunkCreate(Body):
    """A trunk to be made."""

    port_id: Identity = Field(description="The parent, whose own frames have no tag.")
    name: Name = ""
    description: Name = ""
    admin_state_up: Flag = True
    sub_ports: SubPortWishes = Field(default_factory=list)
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")


class TrunkUpdate(Body):
    """What may change of a trunk."""

    name: Maybe[Name] = None
    description: Maybe[Name] = None
    admin_state_up: Maybe[Flag] = Field(None, description="False stops the sub-ports, and locks the trunk.")


class SubPortShown(Shown):
    """A port that is a VLAN."""

    port_id: str
    segmentation_id: int
    segmentation_type: Literal["vlan"]


class TrunkShown(RecordShown):
    """A trunk.  ACTIVE means that its parent is plugged, and that every switch has what the trunk needs."""

    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    port_id: str
    status: Literal["ACTIVE", "BUILD", "DOWN"]
    admin_state_up: bool
    sub_ports: tuple[SubPortShown, ...]


class TrunkCreateBody(Body):
    """A trunk to be made."""

    trunk: TrunkCreate


class TrunkUpdateBody(Body):
    """The changes of a trunk."""

    trunk: TrunkUpdate


class AddBody(Body):
    """Ports that are to be VLANs of a trunk."""

    sub_ports: SubPortWishes


class SubPortNamed(Body):
    """A sub-port; what else is said of it does not matter."""

    port_id: Identity
    segmentation_id: Maybe[Vid] = None
    segmentation_type: Maybe[Segmentation] = None


class RemoveBody(Body):
    """Ports that are to be VLANs of a trunk no more."""

    sub_ports: Annotated[list[SubPortNamed], Field(max_length=_SUB_PORTS_MOST)]


class TrunkAnswer(BaseModel):
    """One trunk."""

    trunk: TrunkShown


class TrunksAnswer(BaseModel):
    """Several trunks."""

    trunks: list[TrunkShown]
    trunks_links: PageLinks = None


class SubPortsAnswer(BaseModel):
    """The sub-ports of a trunk."""

    sub_ports: list[SubPortShown]


class TrunkPath(BaseModel):
    """Which trunk."""

    trunk_id: str


class TrunkQuery(RecordQuery):
    """Filters of a list of trunks."""

    id: Values = None
    name: Values = None
    description: Values = None
    project_id: Values = None
    tenant_id: Values = None
    port_id: Values = None
    status: Values = None
    admin_state_up: Truths = None


def sub_port_shown(sub: SubPort) -> Json:
    """A sub-port as Neutron spells it."""
    return {"port_id": sub.port_id, "segmentation_id": sub.vid, "segmentation_type": "vlan"}


def attributes(service: Service) -> Attributes[Trunk]:
    """How each field of a trunk is read."""

    def status(trunk: Trunk) -> str:
        if not trunk.admin_up or trunk.port_id not in service.world.ports:
            return PortStatus.DOWN.value
        there = (trunk.port_id, *(sub.port_id for sub in trunk.sub_ports if sub.port_id in service.world.ports))
        parent, *subs = map(service.port_status, there)
        building = parent is PortStatus.ACTIVE and PortStatus.BUILD in subs
        return (PortStatus.BUILD if building else parent).value

    return {
        "id": lambda trunk: trunk.id,
        "name": lambda trunk: trunk.name,
        "description": lambda trunk: trunk.description,
        "project_id": lambda trunk: trunk.project_id,
        "tenant_id": lambda trunk: trunk.project_id,
        "port_id": lambda trunk: trunk.port_id,
        "status": status,
        "admin_state_up": lambda trunk: trunk.admin_up,
        "sub_ports": lambda trunk: list(map(sub_port_shown, trunk.sub_ports)),
        **recorded(),
    }


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of trunks."""
    api = answers.routes("trunks", "/v2.0")
    sight = Sight(service)
    collection = Collection("trunks", attributes(service), TrunkShown, sight.trunk)

    def show(trunk_id: str) -> Json:
        return collection.show(service.world.trunk(trunk_id))

    @api.get("/trunks", responses=answers.listed(TrunksAnswer))
    def list_trunks(query: TrunkQuery) -> Json:
        """List trunks."""
        return collection.select(_candidates(sight), query)

    @api.post("/trunks", responses=answers.created(TrunkAnswer))
    def create_trunk(body: TrunkCreateBody) -> tuple[Json, int]:
        """Make a trunk."""
        given = body.trunk
        _require_own_port(sight, given.port_id)
        intent = CreateTrunk(
            id=str(uuid.uuid4()),
            project_id=project_for(given.project_id, given.tenant_id),
            port_id=given.port_id,
            name=given.name,
            sub_ports=_sub_ports(sight, given.sub_ports),
            description=given.description,
            admin_up=given.admin_state_up,
        )
        service.submit(intent)
        return {"trunk": show(intent.id)}, 201

    @api.get("/trunks/<trunk_id>", responses=answers.ok(TrunkAnswer))
    def show_trunk(path: TrunkPath, query: FieldsQuery) -> Json:
        """Show a trunk."""
        return {"trunk": collection.show(sight.trunk(path.trunk_id), query)}

    @api.put("/trunks/<trunk_id>", responses=answers.changed(TrunkAnswer))
    def update_trunk(path: TrunkPath, header: Conditions, body: TrunkUpdateBody) -> Json:
        """Change a trunk."""
        trunk, given = sight.trunk(path.trunk_id), body.trunk
        service.submit(UpdateTrunk(trunk.id, given.name, given.description, given.admin_state_up, header.expected))
        return {"trunk": show(trunk.id)}

    @api.delete("/trunks/<trunk_id>", responses=answers.gone())
    def delete_trunk(path: TrunkPath, header: Conditions) -> tuple[str, int]:
        """Delete a trunk; its ports stay."""
        service.submit(DeleteTrunk(sight.trunk(path.trunk_id).id, header.expected))
        return "", 204

    @api.put("/trunks/<trunk_id>/add_subports", responses=answers.changed(TrunkShown))
    def add_sub_ports(path: TrunkPath, header: Conditions, body: AddBody) -> Json:
        """Let ports be VLANs of a trunk, all of them or none; answers the trunk itself."""
        trunk = sight.trunk(path.trunk_id)
        service.submit(AddSubPorts(trunk.id, _sub_ports(sight, body.sub_ports), header.expected))
        return show(trunk.id)

    @api.put("/trunks/<trunk_id>/remove_subports", responses=answers.changed(TrunkShown))
    def remove_sub_ports(path: TrunkPath, header: Conditions, body: RemoveBody) -> Json:
        """Let ports be VLANs of a trunk no more, all of them or none; answers the trunk itself."""
        trunk = sight.trunk(path.trunk_id)
        service.submit(RemoveSubPorts(trunk.id, tuple(sub.port_id for sub in body.sub_ports), header.expected))
        return show(trunk.id)

    @api.get("/trunks/<trunk_id>/get_subports", responses=answers.ok(SubPortsAnswer))
    def list_sub_ports(path: TrunkPath) -> Json:
        """List the sub-ports of a trunk."""
        return {"sub_ports": list(map(sub_port_shown, sight.trunk(path.trunk_id).sub_ports))}

    return api


def _candidates(sight: Sight) -> Iterable[Trunk]:
    own = caller()
    world = sight.world
    return world.trunks.values() if own.is_operator else world.trunks_of_project(own.project or "")


def _sub_ports(sight: Sight, wishes: Iterable[SubPortWish]) -> tuple[SubPort, ...]:
    found = []
    for wish in wishes:
        _require_own_port(sight, wish.port_id)
        found.append(SubPort(wish.port_id, wish.segmentation_id))
    return tuple(found)


def _require_own_port(sight: Sight, port_id: str) -> None:
    """The owner of a network sees the ports of others there, but plugs them nowhere."""
    require_owner("Using a port in a trunk", sight.port(port_id), "port_id")
