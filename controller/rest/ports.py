"""What does a client say and see of a port?

``/v2.0/ports`` in Neutron's shape.  Where a port lives (``binding:host_id``) is the operator's to choose and to see; a
new host for a port that is in use is a move.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, BeforeValidator, Field, model_validator

from controller.rest import answers
from controller.rest.access import caller, project_for, require_operator_for, visible
from controller.rest.fields import AdminUp, Body, HostText, Identity, IpText, MacText, Maybe, Name, Shown, refused
from controller.rest.listing import FieldsQuery, Json, Values, select, show
from controller.rest.many import ManyBody
from controller.service import Service
from controller.turns import paced
from overlay.changes import UNCHANGED, CreatePort, DeletePort, FixedIpRequest, UpdatePort
from overlay.values import Mac, Port, PortStatus

HIDDEN: Final = frozenset({"binding:host_id", "binding:vif_type", "binding:vif_details", "binding:profile"})
"""Only the operator sees these."""

_PLAIN: Final = ("name", "description", "project_id", "device_id", "device_owner")
"""Fields of a port that are shown just as they are."""

_MAC_PREFIX: Final = 0xFA163E << 24
"""Neutron's default for generated addresses (base_mac)."""

_MAC_CANDIDATES: Final = 16
"""With 2**24 addresses to draw from, a network of a million ports exhausts them once in 10**19 times."""

Profile = Annotated[dict[str, Any], Field(max_length=0)]
HostOrNone = Annotated[HostText | None, BeforeValidator(lambda value: None if value == "" else value)]
"""Neutron unbinds by an empty name as well as by null."""


class FixedIpWish(Body):
    """An exact address, or any of a subnet."""

    subnet_id: Maybe[Identity] = None
    ip_address: Maybe[IpText] = None

    @model_validator(mode="after")
    def _something(self) -> FixedIpWish:
        if self.subnet_id is None and self.ip_address is None:
            raise refused("names neither a subnet_id nor an ip_address")
        return self


class PortCreate(Body):
    """A port to be made."""

    network_id: Identity
    name: Name = ""
    description: Name = ""
    admin_state_up: AdminUp = True
    mac_address: Maybe[MacText] = None
    fixed_ips: Maybe[Annotated[list[FixedIpWish], Field(max_length=64)]] = Field(
        None, description="One address of each IP version when left out; an empty list for none."
    )
    device_id: Name = ""
    device_owner: Name = ""
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")
    host_id: HostOrNone = Field(None, alias="binding:host_id", description="Operator only.")
    vnic_type: Literal["normal"] = Field("normal", alias="binding:vnic_type")
    profile: Profile = Field(default_factory=dict, alias="binding:profile", description="Operator only.")


class PortUpdate(Body):
    """What may change of a port."""

    name: Maybe[Name] = None
    description: Maybe[Name] = None
    admin_state_up: Maybe[AdminUp] = None
    device_id: Maybe[Name] = None
    device_owner: Maybe[Name] = None
    host_id: HostOrNone = Field(
        None, alias="binding:host_id", description="Another host: the port moves there. Null unbinds. Operator only."
    )
    vnic_type: Literal["normal"] = Field("normal", alias="binding:vnic_type")
    profile: Profile = Field(default_factory=dict, alias="binding:profile", description="Operator only.")


class FixedIpShown(Shown):
    """An address and the subnet that it is of."""

    subnet_id: str
    ip_address: str


class PortShown(Shown):
    """A port.  ACTIVE means installed on every switch that needs it."""

    id: str
    network_id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    status: Literal["ACTIVE", "BUILD", "DOWN"]
    admin_state_up: bool = True
    mac_address: str
    fixed_ips: tuple[FixedIpShown, ...]
    device_id: str
    device_owner: str
    host_id: str = Field(serialization_alias="binding:host_id", description="Shown to the operator.")
    vif_type: Literal["ovs", "unbound"] = Field(
        serialization_alias="binding:vif_type", description="Shown to the operator."
    )
    vif_details: dict[str, bool | str] = Field(
        serialization_alias="binding:vif_details", description="Shown to the operator."
    )
    vnic_type: Literal["normal"] = Field(default="normal", serialization_alias="binding:vnic_type")
    profile: dict[str, str] = Field(
        default_factory=dict, serialization_alias="binding:profile", description="Shown to the operator."
    )


class PortCreateBody(ManyBody):
    """One port, or several of which all are made or none."""

    port: Maybe[PortCreate] = None
    ports: Maybe[Annotated[list[PortCreate], Field(min_length=1, max_length=10_000)]] = None

    @model_validator(mode="after")
    def _one_form(self) -> PortCreateBody:
        if (self.port is None) == (self.ports is None):
            raise refused("the body holds either 'port' or 'ports'")
        return self


class PortUpdateBody(Body):
    """The changes of a port."""

    port: PortUpdate


class PortAnswer(BaseModel):
    """One port."""

    port: PortShown


class PortsAnswer(BaseModel):
    """Several ports."""

    ports: list[PortShown]


class PortPath(BaseModel):
    """Which port."""

    port_id: str


class PortQuery(FieldsQuery):
    """Filters of a list of ports."""

    id: Values = None
    network_id: Values = None
    name: Values = None
    description: Values = None
    project_id: Values = None
    tenant_id: Values = None
    status: Values = None
    admin_state_up: Values = None
    mac_address: Values = None
    device_id: Values = None
    device_owner: Values = None
    fixed_ips: Values = Field(None, description="ip_address=… or subnet_id=…")
    host_id: Values = Field(None, alias="binding:host_id")
    vif_type: Values = Field(None, alias="binding:vif_type")
    vnic_type: Values = Field(None, alias="binding:vnic_type")


def vif_details() -> dict[str, bool | str]:
    """What Nova wants to know to plug a VM: our switch filters, and which bridge to plug into."""
    return {"port_filter": True, "bridge_name": "br-int", "connectivity": "l2"}


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of ports."""
    api = answers.routes("ports", "/v2.0")

    def found(port_id: str) -> Port:
        return visible(service.world.port, port_id, "Port", "port_id")

    @api.get("/ports", responses=answers.ok(PortsAnswer))
    def list_ports(query: PortQuery) -> Json:
        """List ports."""
        who, unfinished = caller(), service.unfinished
        seen = [port for port in _candidates(service, query) if who.sees(port) and port.id not in unfinished]
        seen = _matching(service, query, seen)
        return {"ports": select((_shown(service, port) for port in paced(seen)), HIDDEN, query)}

    @api.post("/ports", responses=answers.created(PortAnswer, PortsAnswer))
    def create_port(body: PortCreateBody) -> tuple[Json, int]:
        """Make a port, or several at once."""
        if body.port is not None:
            intent = _intent(service, body.port)
            service.submit(intent)
            return {"port": show(_shown(service, service.world.port(intent.id)), HIDDEN)}, 201
        intents = [_intent(service, given) for given in paced(body.ports or ())]
        service.submit_all(intents)
        there = service.world.ports  # who may see all can have deleted some by now
        made = [there[intent.id] for intent in intents if intent.id in there]
        return {"ports": [show(_shown(service, port), HIDDEN) for port in paced(made)]}, 201

    @api.get("/ports/<port_id>", responses=answers.ok(PortAnswer))
    def show_port(path: PortPath, query: FieldsQuery) -> Json:
        """Show a port."""
        return {"port": show(_shown(service, found(path.port_id)), HIDDEN, query)}

    @api.put("/ports/<port_id>", responses=answers.ok(PortAnswer, 409))
    def update_port(path: PortPath, body: PortUpdateBody) -> Json:
        """Change a port; a new binding:host_id moves it."""
        found(path.port_id)
        given = body.port
        _check_binding(given)
        service.submit(
            UpdatePort(
                id=path.port_id,
                name=given.name,
                description=given.description,
                device_id=given.device_id,
                device_owner=given.device_owner,
                host=given.host_id if given.says("binding:host_id") else UNCHANGED,
            )
        )
        return {"port": show(_shown(service, service.world.port(path.port_id)), HIDDEN)}

    @api.delete("/ports/<port_id>", responses=answers.gone())
    def delete_port(path: PortPath) -> tuple[str, int]:
        """Delete a port, whatever it is doing."""
        found(path.port_id)
        service.submit(DeletePort(path.port_id))
        return "", 204

    return api


def _status(service: Service, port: Port) -> Literal["ACTIVE", "BUILD", "DOWN"]:
    """A port that was deleted while others had their turn is shown as it was, and down."""
    known = port.id in service.world.ports
    return service.port_status(port.id).value if known else PortStatus.DOWN.value


def _shown(service: Service, port: Port) -> PortShown:
    return PortShown(
        id=port.id,
        network_id=port.network_id,
        name=port.name,
        description=port.description,
        project_id=port.project_id,
        tenant_id=port.project_id,
        status=_status(service, port),
        mac_address=str(port.mac),
        fixed_ips=tuple(FixedIpShown(subnet_id=own.subnet_id, ip_address=str(own.ip)) for own in port.fixed_ips),
        device_id=port.device_id,
        device_owner=port.device_owner,
        host_id=port.host or "",
        vif_type="unbound" if port.host is None else "ovs",
        vif_details={} if port.host is None else vif_details(),
    )


def _candidates(service: Service, query: PortQuery) -> Iterable[Port]:
    """The ports that a list can be about, without looking at all of them where an index will do."""
    if query.id is not None:
        return [service.world.ports[id_] for id_ in dict.fromkeys(query.id) if id_ in service.world.ports]
    if query.network_id is not None:
        known = [id_ for id_ in dict.fromkeys(query.network_id) if id_ in service.world.networks]
        return [port for id_ in known for port in service.world.ports_of_network(id_)]
    return service.world.ports.values()


def _matching(service: Service, query: PortQuery, ports: list[Port]) -> list[Port]:
    """Those that plain filters leave: nothing needs to be written of the others to see that they are not meant."""
    plain = [(field, frozenset(values)) for field in _PLAIN if (values := getattr(query, field)) is not None]
    left = [port for port in ports if all(getattr(port, field) in wanted for field, wanted in plain)]
    if query.status is None:
        return left
    states = frozenset(query.status)
    return [port for port in paced(left) if _status(service, port) in states]


def _intent(service: Service, given: PortCreate) -> CreatePort:
    network = visible(service.world.network, given.network_id, "Network", "network_id")
    for wish in given.fixed_ips or ():
        if wish.subnet_id is not None:
            visible(service.world.subnet, wish.subnet_id, "Subnet", "fixed_ips")
    _check_binding(given)
    return _creation(given, network.project_id)


def _check_binding(given: PortCreate | PortUpdate) -> None:
    for field in ("binding:host_id", "binding:profile"):
        if given.says(field):
            require_operator_for(field, field)


def _creation(given: PortCreate, owner_of_network: str) -> CreatePort:
    return CreatePort(
        id=str(uuid.uuid4()),
        project_id=project_for(given.project_id, given.tenant_id, default=owner_of_network),
        network_id=given.network_id,
        name=given.name,
        mac=given.mac_address,
        mac_candidates=() if given.mac_address is not None else _mac_candidates(),
        fixed_ips=None
        if given.fixed_ips is None
        else tuple(FixedIpRequest(wish.subnet_id, wish.ip_address) for wish in given.fixed_ips),
        host=given.host_id,
        device_id=given.device_id,
        device_owner=given.device_owner,
        description=given.description,
    )


def _mac_candidates() -> tuple[Mac, ...]:
    drawn = secrets.randbits(24 * _MAC_CANDIDATES)  # at once: each drawing is a call of the kernel
    return tuple(Mac(_MAC_PREFIX | (drawn >> shift) & 0xFFFFFF) for shift in range(0, 24 * _MAC_CANDIDATES, 24))
