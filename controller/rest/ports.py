"""Who may ask for which port, and what is then to be done?

``/v2.0/ports`` in Neutron's shape.  Where a port lives (``binding:host_id``) is the operator's to choose and to see; a
new host for a port that is in use is a move.  In a network that is only shared with it, a project gets the addresses
that it is given: exact ones are the network's owner's to choose.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterable
from typing import Final

from flask_openapi3.blueprint import APIBlueprint
from pydantic_core import PydanticCustomError

from controller.rest import answers
from controller.rest.access import caller, project_for, require_operator_for
from controller.rest.direct_forms import attach
from controller.rest.errors import bad_request
from controller.rest.fields import ip_of
from controller.rest.listing import Collection, FieldsQuery, Json
from controller.rest.policy import OPERATORS
from controller.rest.port_forms import (
    PortAnswer,
    PortCreate,
    PortCreateBody,
    PortPath,
    PortQuery,
    PortsAnswer,
    PortShown,
    PortUpdate,
    PortUpdateBody,
    attributes,
)
from controller.rest.preconditions import Conditions
from controller.rest.qos import check_policy
from controller.rest.security_groups import default_group
from controller.rest.sight import Sight, require_owner
from controller.service import Service
from controller.turns import paced
from overlay.changes import UNCHANGED, CreatePort, DeletePort, DhcpOptionWish, FixedIpRequest, UpdatePort
from overlay.direct.changes import PLUGGED
from overlay.policy.changes import PairRequest
from overlay.values import HostName, IpAddress, Mac, Network, Port

HIDDEN: Final = OPERATORS["port"]
"""Only the operator sees these."""

_MAC_PREFIX: Final = 0xFA163E << 24
"""Neutron's default for generated addresses (base_mac)."""

_MAC_CANDIDATES: Final = 16
"""With 2**24 addresses to draw from, a network of a million ports exhausts them once in 10**19 times."""

_OF_THE_NETWORK: Final = "network:"
"""How the device_owner of a network's own services begins."""


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
        if query.security_groups is not None:
            conditions.append(_is_in(query.security_groups))
        return collection.select(_candidates(sight, query), query, *conditions)

    @api.post("/ports", responses=answers.created(PortAnswer, PortsAnswer))
    def create_port(body: PortCreateBody) -> tuple[Json, int]:
        """Make a port, or several at once."""
        if body.port is not None:
            intent = _intent(sight, body.port)
            service.submit(intent)
            return {"port": show(intent.id)}, 201
        intents = [_intent(sight, given) for given in paced(body.ports or ())]
        _have_default_groups(service, intents)
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
        network = service.world.network(port.network_id)
        _check_choices(sight, given, network, {own.ip for own in port.fixed_ips})
        _check_security(sight, given, network, port.port_security)
        if given.says("qos_policy_id"):
            check_policy(sight, port.qos_policy_id, given.qos_policy_id)
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
                dns_name=given.dns_name,
                port_security=given.port_security_enabled,
                security_groups=None if given.security_groups is None else tuple(given.security_groups),
                allowed_pairs=_pairs(given),
                dhcp_options=_options(given),
                qos_policy_id=given.qos_policy_id if given.says("qos_policy_id") else UNCHANGED,
                attach=attach(given.vnic_type, given.profile, port),
                profile=None if given.profile is None else given.profile.noted,
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
    elif query.security_groups is not None:
        asked = (port for id_ in dict.fromkeys(query.security_groups) for port in world.ports_in(id_))
        asked = {port.id: port for port in asked}.values()
    elif query.host_id is not None and "" not in query.host_id and caller().is_operator:
        asked = (port for host in dict.fromkeys(query.host_id) for port in world.ports_bound_to(HostName(host)))
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


def _is_in(groups: list[str]) -> Callable[[Port], bool]:
    wanted = frozenset(groups)
    return lambda port: not wanted.isdisjoint(port.security_groups or ())


def _address(text: str) -> IpAddress:
    try:
        return ip_of(text)
    except PydanticCustomError as error:
        raise bad_request("fixed_ips", error.message()) from None


def _intent(sight: Sight, given: PortCreate) -> CreatePort:
    network = sight.network(given.network_id)
    _check_binding(given)
    _check_choices(sight, given, network, set())
    check_policy(sight, None, given.qos_policy_id)
    if given.mac_address is not None:
        require_owner("Setting mac_address", network, "mac_address")
    _check_security(sight, given, network, network.port_security)
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


def _check_security(sight: Sight, given: PortCreate | PortUpdate, network: Network, secure: bool) -> None:
    """What lets a port send as somebody else is the owner of the network's to choose; groups have to be seen.

    :param secure: what its security is if nothing is said of it.
    """
    if given.port_security_enabled not in {None, secure}:
        require_owner("Setting port_security_enabled", network, "port_security_enabled")
    if given.allowed_address_pairs:
        require_owner("Setting allowed_address_pairs", network, "allowed_address_pairs")
    for group_id in given.security_groups or ():
        sight.security_group(group_id, "security_groups")


def _options(given: PortCreate | PortUpdate) -> tuple[DhcpOptionWish, ...]:
    return tuple(
        DhcpOptionWish(option.opt_name, option.opt_value, option.ip_version) for option in given.extra_dhcp_opts or ()
    )


def _pairs(given: PortCreate | PortUpdate) -> tuple[PairRequest, ...] | None:
    if given.allowed_address_pairs is None:
        return None
    return tuple(PairRequest(wish.ip_address, wish.mac_address) for wish in given.allowed_address_pairs)


def _have_default_groups(service: Service, intents: Iterable[CreatePort]) -> None:
    """Make the default groups that ports of a bulk need: they stay, whatever becomes of the bulk."""
    for project in dict.fromkeys(intent.project_id for intent in intents if intent.default_group is not None):
        if service.world.default_group(project) is None:
            service.submit(default_group(project))


def _wishes(given: PortCreate | PortUpdate) -> tuple[FixedIpRequest, ...] | None:
    if given.fixed_ips is None:
        return None
    return tuple(FixedIpRequest(wish.subnet_id, wish.ip_address) for wish in given.fixed_ips)


def _creation(given: PortCreate, network: Network) -> CreatePort:
    project = project_for(given.project_id, given.tenant_id, default=network.project_id)
    trusted = given.device_owner.startswith(_OF_THE_NETWORK)  # Neutron filters nothing of its own services either
    named = given.security_groups
    return CreatePort(
        id=str(uuid.uuid4()),
        project_id=project,
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
        dns_name=given.dns_name,
        port_security=given.port_security_enabled,
        security_groups=None if named is None else tuple(named),
        default_group=default_group(project) if named is None and not trusted else None,
        allowed_pairs=_pairs(given) or (),
        dhcp_options=_options(given),
        qos_policy_id=given.qos_policy_id,
        attach=attach(given.vnic_type, given.profile) or PLUGGED,
        profile=() if given.profile is None else given.profile.noted,
    )


def _mac_candidates() -> tuple[Mac, ...]:
    drawn = secrets.randbits(24 * _MAC_CANDIDATES)  # at once: each drawing is a call of the kernel
    return tuple(Mac(_MAC_PREFIX | (drawn >> shift) & 0xFFFFFF) for shift in range(0, 24 * _MAC_CANDIDATES, 24))
