"""How does an orchestrator move a port without losing a packet?

Neutron's extension ``binding-extended``: a passive binding prepares the second host, ``activate`` switches over and
returns when every switch has confirmed, ``DELETE`` of the passive binding cancels.  All of it is the operator's.
"""

from __future__ import annotations

from typing import Final, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from controller.rest import answers
from controller.rest.access import visible
from controller.rest.fields import Body, HostText, Shown
from controller.rest.listing import Json
from controller.rest.ports import PortPath, Profile, vif_details
from controller.service import Service
from overlay.changes import Activate, BindPassive, Unbind
from overlay.directory import Binding
from overlay.refusals import NotFound
from overlay.values import HostName

ACTIVATION_SECONDS: Final = 30.0
"""How long an activation may take until it is answered 504."""


class BindingCreate(Body):
    """A passive binding to be made."""

    host: HostText
    vnic_type: Literal["normal"] = "normal"
    profile: Profile = Field(default_factory=dict)


class BindingCreateBody(Body):
    """A passive binding to be made."""

    binding: BindingCreate


class BindingShown(Shown):
    """A binding of a port to a host: ACTIVE where it lives, INACTIVE where it may move to."""

    host: str
    status: Literal["ACTIVE", "INACTIVE"]
    vif_type: Literal["ovs"] = "ovs"
    vif_details: dict[str, bool | str] = Field(default_factory=vif_details)
    vnic_type: Literal["normal"] = "normal"
    profile: dict[str, str] = Field(default_factory=dict)


class BindingAnswer(BaseModel):
    """One binding."""

    binding: BindingShown


class BindingsAnswer(BaseModel):
    """The bindings of a port."""

    bindings: list[BindingShown]


class BindingPath(PortPath):
    """Which binding of which port."""

    host: str


def blueprint(service: Service, activation_seconds: float = ACTIVATION_SECONDS) -> APIBlueprint:
    """Build the routes of bindings."""
    api = answers.routes("bindings", "/v2.0/ports")

    def of(port_id: str) -> tuple[Binding, ...]:
        visible(service.world.port, port_id, "Port", "port_id")
        return service.world.bindings(port_id)

    def found(port_id: str, host: str) -> Binding:
        for binding in of(port_id):
            if binding.host == host:
                return binding
        raise NotFound(
            f"Binding for port {port_id} on host {host} could not be found.", field="host", kind="PortBindingNotFound"
        )

    @api.get("/<port_id>/bindings", responses=answers.ok(BindingsAnswer))
    def list_bindings(path: PortPath) -> Json:
        """List the bindings of a port."""
        return {"bindings": [_shown(binding) for binding in of(path.port_id)]}

    @api.post("/<port_id>/bindings", responses=answers.created(BindingAnswer))
    def create_binding(path: PortPath, body: BindingCreateBody) -> tuple[Json, int]:
        """Prepare a host for a port: a passive binding."""
        of(path.port_id)
        service.submit(BindPassive(path.port_id, body.binding.host))
        return {"binding": _shown(found(path.port_id, body.binding.host))}, 201

    @api.get("/<port_id>/bindings/<host>", responses=answers.ok(BindingAnswer))
    def show_binding(path: BindingPath) -> Json:
        """Show a binding."""
        return {"binding": _shown(found(path.port_id, path.host))}

    @api.put("/<port_id>/bindings/<host>/activate", responses=answers.ok(BindingAnswer, 409, 504))
    def activate_binding(path: BindingPath) -> Json:
        """Move a port to its passive binding; returns when every switch has confirmed."""
        host = found(path.port_id, path.host).host
        service.submit(Activate(path.port_id, host))
        service.await_move(path.port_id, host, activation_seconds)
        return {"binding": _shown(found(path.port_id, path.host))}

    @api.delete("/<port_id>/bindings/<host>", responses=answers.gone())
    def delete_binding(path: BindingPath) -> tuple[str, int]:
        """Delete a passive binding: the move that it prepared is cancelled."""
        of(path.port_id)
        service.submit(Unbind(path.port_id, HostName(path.host)))
        return "", 204

    return api


def _shown(binding: Binding) -> Json:
    return BindingShown(host=binding.host, status="ACTIVE" if binding.active else "INACTIVE").model_dump(mode="json")
