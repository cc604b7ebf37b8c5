"""What does a client say and see of a port?

``/v2.0/ports`` in Neutron's shape.  Where a port lives (``binding:host_id``) is the operator's to choose and to see; a
new host for a port that is in use is a move.  In a network that is only shared with it, a project gets the addresses
that it is given: exact ones are the network's owner's to choose.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from controller.rest import answers
from controller.rest.access import caller, project_for, require_operator_for
from controller.rest.errors import bad_request
from controller.rest.fields import (
    Body,
    Flag,
    HostText,
    Identity,
    IpText,
    MacText,
    Maybe,
    Name,
    RecordShown,
    Secure,
    Shown,
    TagList,
    empty,
    ip_of,
    refused,
)
from controller.rest.listing import (
    Attributes,
    Collection,
    FieldsQuery,
    Json,
    LowerCase,
    PageLinks,
    RecordQuery,
    Truths,
    Values,
    recorded,
)
from controller.rest.many import ManyBody
from controller.rest.policy import OPERATORS
from controller.rest.preconditions import Conditions
from controller.rest.sight import Sight, require_owner
from controller.service import Service
from controller.turns import paced
from overlay.changes import UNCHANGED, CreatePort, DeletePort, FixedIpRequest, UpdatePort
from overlay.values import HostName, IpAddress, Mac, Network, Port, PortStatus

HIDDEN: Final = OPERATORS["port"]
"""Only the operator sees these."""

_MAC_PREFIX: Final = 0xFA163E << 24
"""Neutron's default for generated addresses (base_mac)."""

_MAC_CANDIDATES: Final = 16
"""With 2**24 addresses to draw from, a network of a million ports exhausts them once in 10**19 times."""

_OF_THE_NETWORK: Final = "network:"
"""How the device_owner of a network's own services begins."""

Profile = Annotated[dict[str, Any], empty("nothing of a profile is known here")]
HostOrNone = Annotated[HostText | None, BeforeValidator(lambda value: None if value == "" else value)]
"""Neutron unbinds by an empty name as well as by null."""

NoGroups = Annotated[list[str], empty("there are no security groups yet")]
NoPairs = Annotated[list[str], empty("a port may use its own addresses only")]
NoOptions = Annotated[list[str], empty("DHCP is not offered yet")]
NoName = Annotated[str, empty("there is no DNS")]


class FixedIpWish(Body):
    """An exact address, or any of a subnet."""

    subnet_id: Maybe[Identity] = None
    ip_address: Maybe[IpText] = None

    @model_validator(mode="after")
    def _something(self) -> FixedIpWish:
        if self.subnet_id is None and self.ip_address is None:
            raise refused("names neither a subnet_id nor an ip_address")
        return self


FixedIpWishes = Annotated[list[FixedIpWish], Field(max_length=64)]


class PortCreate(Body):
    """A port to be made."""

    network_id: Identity
    name: Name = ""
    description: Name = ""
    admin_state_up: Flag = True
    mac_address: Maybe[MacText] = Field(None, description="Of the network's owner's choice; made up when left out.")
    fixed_ips: Maybe[FixedIpWishes] = Field(
        None, description="One address of each IP version when left out; an empty list for none."
    )
    device_id: Name = ""
    device_owner: Name = ""
    tags: TagList = Field(default_factory=list)
    port_security_enabled: Secure = True
    security_groups: NoGroups = Field(default_factory=list)
    allowed_address_pairs: NoPairs = Field(default_factory=list)
    extra_dhcp_opts: NoOptions = Field(default_factory=list)
    dns_name: NoName = ""
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")
    host_id: HostOrNone = Field(None, alias="binding:host_id", description="Operator only.")
    vnic_type: Literal["normal"] = Field("normal", alias="binding:vnic_type")
    profile: Profile = Field(default_factory=dict, alias="binding:profile", description="Operator only.")


class PortUpdate(Body):
    """What may change of a port."""

    name: Maybe[Name] = None
    description: Maybe[Name] = None
    admin_state_up: Maybe[Flag] = None
    mac_address: Maybe[MacText] = Field(None, description="Of a port that is not bound. Operator only.")
    fixed_ips: Maybe[FixedIpWishes] = Field(None, description="All that it is to have then.")
    device_id: Maybe[Name] = None
    device_owner: Maybe[Name] = None
    port_security_enabled: Secure = True
    security_groups: NoGroups = Field(default_factory=list)
    allowed_address_pairs: NoPairs = Field(default_factory=list)
    extra_dhcp_opts: NoOptions = Field(default_factory=list)
    dns_name: NoName = ""
    host_id: HostOrNone = Field(
        None, alias="binding:host_id", description="Another host: the port moves there. Null unbinds. Operator only."
    )
    vnic_type: Literal["normal"] = Field("normal", alias="binding:vnic_type")
    profile: Profile = Field(default_factory=dict, alias="binding:profile", description="Operator only.")


class FixedIpShown(Shown):
    """An address and the subnet that it is of."""

    subnet_id: str
    ip_address: str


class PortShown(RecordShown):
    """A port.  ACTIVE means installed on every switch that needs it."""

    id: str
    network_id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    status: Literal["ACTIVE", "BUILD", "DOWN"]
    admin_state_up: bool
    mac_address: str
    fixed_ips: tuple[FixedIpShown, ...]
    device_id: str
    device_owner: str
    port_security_enabled: bool
    security_groups: tuple[str, ...]
    allowed_address_pairs: tuple[str, ...]
    extra_dhcp_opts: tuple[str, ...]
    vnic_type: Literal["normal"] = Field(serialization_alias="binding:vnic_type")
    host_id: Maybe[str] = Field(None, serialization_alias="binding:host_id", description="Shown to the operator.")
    vif_type: Maybe[Literal["ovs", "unbound"]] = Field(
        None, serialization_alias="binding:vif_type", description="Shown to the operator."
    )
    vif_details: Maybe[dict[str, bool | str]] = Field(
        None, serialization_alias="binding:vif_details", description="Shown to the operator."
    )
    profile: Maybe[dict[str, str]] = Field(
        None, serialization_alias="binding:profile", description="Shown to the operator."
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
    ports_links: PageLinks = None


class PortPath(BaseModel):
    """Which port."""

    port_id: str


class PortQuery(RecordQuery):
    """Filters of a list of ports."""

    id: Values = None
    network_id: Values = None
    name: Values = None
    description: Values = None
    project_id: Values = None
    tenant_id: Values = None
    status: Values = None
    admin_state_up: Truths = None
    port_security_enabled: Truths = None
    mac_address: LowerCase = None
    device_id: Values = None
    device_owner: Values = None
    fixed_ips: Values = Field(
        None, description="ip_address=…, ip_address_substr=… or subnet_id=…; one address has to be all of these."
    )
    host_id: Values = Field(None, alias="binding:host_id")
    vif_type: Values = Field(None, alias="binding:vif_type")
    vnic_type: Values = Field(None, alias="binding:vnic_type")


def vif_details() -> dict[str, bool | str]:
    """What Nova wants to know to plug a VM: our switch filters, and which bridge to plug into."""
    return {"port_filter": True, "bridge_name": "br-int", "connectivity": "l2"}


def attributes(service: Service) -> Attributes[Port]:
    """How each field of a port is read; of one that was deleted while others were shown, as it was, and down."""

    def status(port: Port) -> str:
        return (service.port_status(port.id) if port.id in service.world.ports else PortStatus.DOWN).value

    return {
        "id": lambda port: port.id,
        "network_id": lambda port: port.network_id,
        "name": lambda port: port.name,
        "description": lambda port: port.description,
        "project_id": lambda port: port.project_id,
        "tenant_id": lambda port: port.project_id,
        "status": status,
        "admin_state_up": lambda port: port.admin_up,
        "mac_address": lambda port: str(port.mac),
        "fixed_ips": lambda port: [{"subnet_id": own.subnet_id, "ip_address": str(own.ip)} for own in port.fixed_ips],
        "device_id": lambda port: port.device_id,
        "device_owner": lambda port: port.device_owner,
        "port_security_enabled": lambda _: True,
        "security_groups": lambda _: [],
        "allowed_address_pairs": lambda _: [],
        "extra_dhcp_opts": lambda _: [],
        **recorded(),
        "binding:vnic_type": lambda _: "normal",
        "binding:host_id": lambda port: port.host or "",
        "binding:vif_type": lambda port: "unbound" if port.host is None else "ovs",
        "binding:vif_details": lambda port: {} if port.host is None else vif_details(),
        "binding:profile": lambda _: {},
    }


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of ports."""
    api = answers.routes("ports", "/v2.0")
    sight = Sight(service)
    collection = Collection("ports", attributes(service), PortShown, sight.port, HIDDEN)

    def show(port_id: str) -> Json:
        return collection.show(service.world.port(port_id))

    @api.get("/ports", responses=answers.listed(PortsAnswer))
    def list_ports(query: PortQuery) -> Json:
        """List ports."""
        conditions = [] if query.fixed_ips is None else [_owns(query.fixed_ips)]
        return collection.select(_candidates(sight, query), query, *conditions)

    @api.post("/ports", responses=answers.created(PortAnswer, PortsAnswer))
    def create_port(body: PortCreateBody) -> tuple[Json, int]:
        """Make a port, or several at once."""
        if body.port is not None:
            intent = _intent(sight, body.port)
            service.submit(intent)
            return {"port": show(intent.id)}, 201
        intents = [_intent(sight, given) for given in paced(body.ports or ())]
        service.submit_all(intents)
        made = [intent.id for intent in intents]
        return {"ports": collection.show_made(made, service.world.ports)}, 201

    @api.get("/ports/<port_id>", responses=answers.ok(PortAnswer))
    def show_port(path: PortPath, query: FieldsQuery) -> Json:
        """Show a port."""
        return {"port": collection.show(sight.port(path.port_id), query)}

    @api.put("/ports/<port_id>", responses=answers.changed(PortAnswer))
    def update_port(path: PortPath, header: Conditions, body: PortUpdateBody) -> Json:
        """Change a port; a new binding:host_id moves it."""
        port = sight.port(path.port_id)
        require_owner("Changing a port", port)
        given = body.port
        _check_binding(given)
        require_operator_for("mac_address", given.mac_address)
        had = {own.ip for own in port.fixed_ips}
        _check_choices(sight, given, service.world.network(port.network_id), had)
        service.submit(
            UpdatePort(
                id=port.id,
                name=given.name,
                description=given.description,
                device_id=given.device_id,
                device_owner=given.device_owner,
                host=given.host_id if given.says("binding:host_id") else UNCHANGED,
                admin_up=given.admin_state_up,
                mac=given.mac_address,
                fixed_ips=_wishes(given),
                expected=header.expected,
            )
        )
        return {"port": show(port.id)}

    @api.delete("/ports/<port_id>", responses=answers.gone())
    def delete_port(path: PortPath, header: Conditions) -> tuple[str, int]:
        """Delete a port, whatever it is doing."""
        port = sight.port(path.port_id)
        service.submit(DeletePort(port.id, header.expected))
        return "", 204

    return api


def _candidates(sight: Sight, query: PortQuery) -> Iterable[Port]:
    """The ports that a list can be about, without looking at all of them where an index will do."""
    world = sight.world
    asked: Iterable[Port]
    if query.id is not None:
        asked = (world.ports[id_] for id_ in dict.fromkeys(query.id) if id_ in world.ports)
    elif query.network_id is not None:
        known = (id_ for id_ in dict.fromkeys(query.network_id) if id_ in world.networks)
        asked = (port for id_ in known for port in world.ports_of_network(id_))
    elif query.host_id is not None and "" not in query.host_id and caller().is_operator:
        asked = (port for host in dict.fromkeys(query.host_id) for port in world.ports_on_host(HostName(host)))
    else:
        return sight.ports()
    whole = sight.whole(asked)
    return whole if caller().is_operator else filter(sight.sees_port, whole)


def _owns(texts: list[str]) -> Callable[[Port], bool]:
    """Whether a port has an address that is as asked for: of these values, and of these subnets, with such a text."""
    addresses: set[IpAddress] = set()
    subnets: set[str] = set()
    parts: list[str] = []
    for text in texts:
        key, _, value = text.partition("=")
        match key:
            case "ip_address":
                addresses.add(_address(value))
            case "subnet_id":
                subnets.add(value)
            case "ip_address_substr":
                parts.append(value.lower())
            case _:
                raise bad_request("fixed_ips", f"{text!r} is none of ip_address=…, ip_address_substr=…, subnet_id=…")

    def owns(port: Port) -> bool:
        return any(
            (not addresses or own.ip in addresses)
            and (not subnets or own.subnet_id in subnets)
            and (not parts or any(part in str(own.ip) for part in parts))
            for own in port.fixed_ips
        )

    return owns


def _address(text: str) -> IpAddress:
    try:
        return ip_of(text)
    except PydanticCustomError as error:
        raise bad_request("fixed_ips", error.message()) from None


def _intent(sight: Sight, given: PortCreate) -> CreatePort:
    network = sight.network(given.network_id)
    _check_binding(given)
    _check_choices(sight, given, network, set())
    if given.mac_address is not None:
        require_owner("Setting mac_address", network, "mac_address")
    return _creation(given, network)


def _check_binding(given: PortCreate | PortUpdate) -> None:
    for field in ("binding:host_id", "binding:profile"):
        if given.says(field):
            require_operator_for(field, field)


def _check_choices(sight: Sight, given: PortCreate | PortUpdate, network: Network, had: set[IpAddress]) -> None:
    """What is the owner of the network's to choose: exact addresses, and to pass for one of the network's services.

    :param had: addresses that the port has already, which it may name to keep them.
    """
    for wish in given.fixed_ips or ():
        if wish.subnet_id is not None:
            sight.subnet(wish.subnet_id, "fixed_ips")
        if wish.ip_address is not None and wish.ip_address not in had:
            require_owner("Setting fixed_ips:ip_address", network, "fixed_ips")
    if (given.device_owner or "").startswith(_OF_THE_NETWORK):
        require_owner("Setting device_owner to a network's service", network, "device_owner")


def _wishes(given: PortCreate | PortUpdate) -> tuple[FixedIpRequest, ...] | None:
    if given.fixed_ips is None:
        return None
    return tuple(FixedIpRequest(wish.subnet_id, wish.ip_address) for wish in given.fixed_ips)


def _creation(given: PortCreate, network: Network) -> CreatePort:
    return CreatePort(
        id=str(uuid.uuid4()),
        project_id=project_for(given.project_id, given.tenant_id, default=network.project_id),
        network_id=given.network_id,
        name=given.name,
        mac=given.mac_address,
        mac_candidates=() if given.mac_address is not None else _mac_candidates(),
        fixed_ips=_wishes(given),
        host=given.host_id,
        device_id=given.device_id,
        device_owner=given.device_owner,
        description=given.description,
        admin_up=given.admin_state_up,
        tags=tuple(sorted(given.tags)),
        guest=not caller().sees(network),
    )


def _mac_candidates() -> tuple[Mac, ...]:
    drawn = secrets.randbits(24 * _MAC_CANDIDATES)  # at once: each drawing is a call of the kernel
    return tuple(Mac(_MAC_PREFIX | (drawn >> shift) & 0xFFFFFF) for shift in range(0, 24 * _MAC_CANDIDATES, 24))
