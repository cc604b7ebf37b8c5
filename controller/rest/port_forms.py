"""In which JSON does a client say what a port shall be, and see what one is?"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from controller.rest.direct_forms import Kind, ProfileShown, ProfileWish, profile, vif_details, vif_type
from controller.rest.fields import (
    Body,
    Flag,
    HostText,
    Identity,
    IpText,
    MacText,
    Maybe,
    Name,
    PrefixText,
    RecordShown,
    Shown,
    TagList,
    refused,
)
from controller.rest.listing import Attributes, Json, LowerCase, PageLinks, RecordQuery, Truths, Values, recorded
from controller.rest.many import ManyBody
from controller.rest.trunks import SubPortShown, sub_port_shown
from controller.service import Service
from overlay.guests.names import domain_of, hostname
from overlay.values import AddressPair, Port, PortStatus

HostOrNone = Annotated[HostText | None, BeforeValidator(lambda value: None if value == "" else value)]
"""Neutron unbinds by an empty name as well as by null."""

_GROUPS_MOST: Final = 100
_PAIRS_MOST: Final = 1000
_OPTIONS_MOST: Final = 64
"""How many of them are read; how many a port may have is the world's to say."""


class PairWish(Body):
    """Addresses that a port may use besides its own."""

    ip_address: PrefixText
    mac_address: Maybe[MacText] = Field(None, description="The port's own when left out.")


class DhcpOptionText(Body):
    """A DHCP option of a port; on a change a null value takes it away, and others stay."""

    opt_name: Annotated[str, Field(min_length=1, max_length=64)]
    opt_value: Annotated[str, Field(max_length=255)] | None = None
    ip_version: Literal[4, 6] = 4


GroupIds = Annotated[list[Identity], Field(max_length=_GROUPS_MOST)]
PairWishes = Annotated[list[PairWish], Field(max_length=_PAIRS_MOST)]
DhcpOptions = Annotated[list[DhcpOptionText], Field(max_length=_OPTIONS_MOST)]


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
    port_security_enabled: Maybe[Flag] = Field(None, description="As its network says when left out.")
    security_groups: Maybe[GroupIds] = Field(None, description="The project's default group when left out.")
    allowed_address_pairs: PairWishes = Field(default_factory=list)
    extra_dhcp_opts: DhcpOptions = Field(default_factory=list)
    dns_name: Name = Field("", description="A name in the network's domain.")
    qos_policy_id: Identity | None = Field(None, description="Goes before that of its network.")
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")
    host_id: HostOrNone = Field(None, alias="binding:host_id", description="Operator only.")
    vnic_type: Maybe[Kind] = Field(
        None, alias="binding:vnic_type", description="Another than normal: wired to an edge switch. Operator only."
    )
    profile: Maybe[ProfileWish] = Field(
        None, alias="binding:profile", description="Where a port that is not normal is wired to; what Nova notes."
    )


class PortUpdate(Body):
    """What may change of a port."""

    name: Maybe[Name] = None
    description: Maybe[Name] = None
    admin_state_up: Maybe[Flag] = None
    mac_address: Maybe[MacText] = Field(None, description="Of a port that is not bound. Operator only.")
    fixed_ips: Maybe[FixedIpWishes] = Field(None, description="All that it is to have then.")
    device_id: Maybe[Name] = None
    device_owner: Maybe[Name] = None
    port_security_enabled: Maybe[Flag] = None
    security_groups: Maybe[GroupIds] = Field(None, description="All that it is to be in then.")
    allowed_address_pairs: Maybe[PairWishes] = Field(None, description="All that it is to have then.")
    extra_dhcp_opts: Maybe[DhcpOptions] = Field(None, description="Added, replaced, or by null taken away.")
    dns_name: Maybe[Name] = None
    qos_policy_id: Identity | None = Field(None, description="Null for that of its network; kept when left out.")
    host_id: HostOrNone = Field(
        None, alias="binding:host_id", description="Another host: the port moves there. Null unbinds. Operator only."
    )
    vnic_type: Maybe[Kind] = Field(
        None, alias="binding:vnic_type", description="Another than normal: wired to an edge switch. Operator only."
    )
    profile: Maybe[ProfileWish] = Field(
        None, alias="binding:profile", description="Where a port that is not normal is wired to; what Nova notes."
    )


class FixedIpShown(Shown):
    """An address and the subnet that it is of."""

    subnet_id: str
    ip_address: str


class PairShown(Shown):
    """Addresses that a port may use besides its own."""

    mac_address: str
    ip_address: str


class DnsAssignmentShown(Shown):
    """What an address of a port is called."""

    hostname: str
    ip_address: str
    fqdn: str


class CarriedShown(SubPortShown):
    """A port that another one carries as a VLAN."""

    mac_address: str


class TrunkDetailsShown(Shown):
    """What a trunk's parent carries."""

    trunk_id: str
    sub_ports: tuple[CarriedShown, ...]


class DhcpOptionShown(Shown):
    """A DHCP option of a port."""

    opt_name: str
    opt_value: str
    ip_version: Literal[4, 6]


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
    allowed_address_pairs: tuple[PairShown, ...]
    extra_dhcp_opts: tuple[DhcpOptionShown, ...]
    qos_policy_id: str | None
    dns_name: str
    dns_assignment: tuple[DnsAssignmentShown, ...]
    qos_network_policy_id: str | None
    trunk_details: TrunkDetailsShown | None = Field(description="What it carries as the parent of a trunk.")
    vnic_type: Kind = Field(serialization_alias="binding:vnic_type")
    host_id: Maybe[str] = Field(None, serialization_alias="binding:host_id", description="Shown to the operator.")
    vif_type: Maybe[Literal["ovs", "hw_veb", "other", "unbound"]] = Field(
        None, serialization_alias="binding:vif_type", description="Shown to the operator."
    )
    vif_details: Maybe[dict[str, bool | str]] = Field(
        None, serialization_alias="binding:vif_details", description="Shown to the operator."
    )
    profile: Maybe[ProfileShown] = Field(
        None, serialization_alias="binding:profile", description="Shown to the operator."
    )


class PortCreateBody(ManyBody):
    """One port, or several of which all are made or none."""

    port: Maybe[PortCreate] = None
    ports: Maybe[Annotated[list[PortCreate], Field(min_length=1, max_length=10_000)]] = None


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
    security_groups: Values = None
    fixed_ips: Values = Field(
        None, description="ip_address=…, ip_address_substr=… or subnet_id=…; one address has to be all of these."
    )
    host_id: Values = Field(None, alias="binding:host_id")
    vif_type: Values = Field(None, alias="binding:vif_type")
    vnic_type: Values = Field(None, alias="binding:vnic_type")


def _pair(pair: AddressPair) -> dict[str, str]:
    network = pair.network
    alone = network.prefixlen == network.max_prefixlen
    return {"mac_address": str(pair.mac), "ip_address": str(network.network_address if alone else network)}


def attributes(service: Service) -> Attributes[Port]:
    """How each field of a port is read; of one that was deleted while others were shown, as it was, and down."""

    def status(port: Port) -> str:
        return (service.port_status(port.id) if port.id in service.world.ports else PortStatus.DOWN).value

    def network_policy(port: Port) -> str | None:
        network = service.world.networks.get(port.network_id)
        return None if network is None else network.qos_policy_id

    def assignments(port: Port) -> list[dict[str, str]]:
        network = service.world.networks.get(port.network_id)
        domain = "" if network is None else domain_of(network, service.world.settings.dns_domain)
        called = ((hostname(port, own.ip), own.ip) for own in port.fixed_ips)
        return [{"hostname": name, "ip_address": str(ip), "fqdn": f"{name}.{domain}"} for name, ip in called]

    def trunk_details(port: Port) -> Json | None:
        trunk = service.world.trunk_led_by(port.id)
        if trunk is None:
            return None
        carried = [
            {**sub_port_shown(sub), "mac_address": str(service.world.port(sub.port_id).mac)} for sub in trunk.sub_ports
        ]
        return {"trunk_id": trunk.id, "sub_ports": carried}

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
        "port_security_enabled": lambda port: port.port_security,
        "security_groups": lambda port: list(port.security_groups or ()),
        "allowed_address_pairs": lambda port: list(map(_pair, port.allowed_pairs)),
        "extra_dhcp_opts": lambda port: [
            {"opt_name": each.name, "opt_value": each.value, "ip_version": each.version} for each in port.dhcp_options
        ],
        "qos_policy_id": lambda port: port.qos_policy_id,
        "dns_name": lambda port: port.dns_name,
        "dns_assignment": assignments,
        "qos_network_policy_id": network_policy,
        "trunk_details": trunk_details,
        **recorded(),
        "binding:vnic_type": lambda port: port.vnic_type.value,
        "binding:host_id": lambda port: service.world.active_host(port) or "",
        "binding:vif_type": vif_type,
        "binding:vif_details": vif_details,
        "binding:profile": profile,
    }
