"""How does an orchestrator move a port without losing a packet?

Neutron's extension ``binding-extended``: a passive binding prepares the second host, ``activate`` switches over and
returns when the machine may stop and go on at the other host, ``DELETE`` of the passive binding cancels.  All of it is
the operator's.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from controller.rest import answers
from controller.rest.direct_forms import Kind, ProfileShown, profile, vif_details, vif_type
from controller.rest.fields import Body, HostText, Maybe, Shown, empty
from controller.rest.listing import Attributes, Collection, FieldsQuery, Json, ListQuery, PageLinks, Values
from controller.rest.port_forms import PortPath
from controller.rest.sight import Sight
from controller.service import Service
from overlay.changes import Activate, BindPassive, Unbind
from overlay.directory import Binding
from overlay.refusals import NotFound
from overlay.values import HostName, Port

Profile = Annotated[dict[str, Any], empty("a binding that is prepared has no profile")]

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


class BindingUpdate(Body):
    """What a client may say again of a binding: of each there is one value only."""

    vnic_type: Maybe[Literal["normal"]] = None
    profile: Maybe[Profile] = None


class BindingUpdateBody(Body):
    """The changes of a binding."""

    binding: BindingUpdate


class BindingShown(Shown):
    """A binding of a port to a host: ACTIVE where it lives, INACTIVE where it may move to."""

    host: str
    status: Literal["ACTIVE", "INACTIVE"]
    vif_type: Literal["ovs", "hw_veb", "other"]
    vif_details: dict[str, bool | str]
    vnic_type: Kind
    profile: ProfileShown


class BindingQuery(ListQuery):
    """Filters of a list of bindings."""

    host: Values = None
    status: Values = None
    vif_type: Values = None
    vnic_type: Values = None


class BindingAnswer(BaseModel):
    """One binding."""

    binding: BindingShown


class BindingsAnswer(BaseModel):
    """The bindings of a port."""

    bindings: list[BindingShown]
    bindings_links: PageLinks = None


class BindingPath(PortPath):
    """Which binding of which port."""

    host: str


def _attributes(port: Port) -> Attributes[Binding]:
    """How each field of a port's binding is read."""
    return {
        "host": lambda binding: str(binding.host),
        "status": lambda binding: "ACTIVE" if binding.active else "INACTIVE",
        "vif_type": lambda _: vif_type(port),
        "vif_details": lambda _: vif_details(port),
        "vnic_type": lambda _: port.vnic_type.value,
        "profile": lambda _: profile(port),
    }


class _Bindings:
    """The bindings of ports; the policy lets the operator only come here."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._sight = Sight(service)

    def of(self, port_id: str) -> tuple[Binding, ...]:
        """All bindings of a port."""
        self._sight.port(port_id)
        return self._service.world.bindings(port_id)

    def found(self, port_id: str, host: str) -> Binding:
        """The one at a host.  :raises NotFound: ``PortBindingNotFound``."""
        for binding in self.of(port_id):
            if binding.host == host:
                return binding
        raise NotFound(
            f"Binding for port {port_id} on host {host} could not be found.", field="host", kind="PortBindingNotFound"
        )

    def shown(self, port_id: str) -> Collection[Binding]:
        """How the bindings of one port are listed and shown."""

        def find(host: str) -> Binding:
            return self.found(port_id, host)

        return Collection("bindings", _attributes(self._service.world.port(port_id)), BindingShown, find, key="host")


def blueprint(service: Service, activation_seconds: float = ACTIVATION_SECONDS) -> APIBlueprint:
    """Build the routes of bindings."""
    api = answers.routes("bindings", "/v2.0/ports")
    bindings = _Bindings(service)

    def show(port_id: str, host: str, query: FieldsQuery | None = None) -> Json:
        found = bindings.found(port_id, host)
        return {"binding": bindings.shown(port_id).show(found, query)}

    @api.get("/<port_id>/bindings", responses=answers.listed(BindingsAnswer))
    def list_bindings(path: PortPath, query: BindingQuery) -> Json:
        """List the bindings of a port."""
        found = bindings.of(path.port_id)
        return bindings.shown(path.port_id).select(found, query)

    @api.post("/<port_id>/bindings", responses=answers.created(BindingAnswer))
    def create_binding(path: PortPath, body: BindingCreateBody) -> tuple[Json, int]:
        """Prepare a host for a port: a passive binding."""
        bindings.of(path.port_id)
        service.submit(BindPassive(path.port_id, body.binding.host))
        return show(path.port_id, body.binding.host), 201

    @api.get("/<port_id>/bindings/<host>", responses=answers.ok(BindingAnswer))
    def show_binding(path: BindingPath, query: FieldsQuery) -> Json:
        """Show a binding."""
        return show(path.port_id, path.host, query)

    @api.put("/<port_id>/bindings/<host>", responses=answers.changed(BindingAnswer))
    def update_binding(path: BindingPath, body: BindingUpdateBody) -> Json:  # noqa: ARG001  (its models say it all)
        """Say again of a binding what it is; nothing of it can be otherwise."""
        return show(path.port_id, path.host)

    @api.put("/<port_id>/bindings/<host>/activate", responses=answers.changed(BindingAnswer, 504))
    def activate_binding(path: BindingPath) -> Json:
        """Move a port to its passive binding; returns when its machine may stop here and go on there."""
        host = bindings.found(path.port_id, path.host).host
        service.submit(Activate(path.port_id, host))
        service.await_move(path.port_id, host, activation_seconds)
        return show(path.port_id, path.host)

    @api.delete("/<port_id>/bindings/<host>", responses=answers.gone())
    def delete_binding(path: BindingPath) -> tuple[str, int]:
        """Delete a passive binding: the move that it prepared is cancelled."""
        bindings.of(path.port_id)
        service.submit(Unbind(path.port_id, HostName(path.host)))
        return "", 204

    return api
