"""In which JSON does a client say what a security group, a rule or an address group shall be, and see what one is?"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from controller.rest.fields import (
    Body,
    Count,
    Identity,
    Maybe,
    Name,
    PrefixText,
    RecordShown,
    Shown,
    TagList,
    only,
    refused,
)
from controller.rest.listing import Attributes, Numbers, PageLinks, RecordQuery, Truths, Values, recorded
from controller.rest.many import ManyBody
from controller.service import Service
from overlay.policy.rules import ICMP, ICMPV6
from overlay.policy.values import AddressGroup, Direction, SecurityGroup, SecurityRule

_ADDRESSES_MOST: Final = 1000
_MOST: Final = 10_000
_RULES_MOST: Final = 1000
"""Rules of one request are made in one go."""
_FAMILIES: Final = {"ipv4": 4, "ipv6": 6}

PROTOCOLS: Final = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "hopopt": 0,
    "icmp": ICMP,
    "igmp": 2,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": ICMPV6,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}
"""Neutron's names of protocols."""

_LEGACY_ICMPV6: Final = "icmpv6"
_NAMES: Final = {number: name for name, number in PROTOCOLS.items()}
_PROTOCOL_MOST: Final = 255


def _family(value: object) -> object:
    found = _FAMILIES.get(str(value).lower())
    if found is None:
        raise refused(f"{value!r} is neither IPv4 nor IPv6")
    return found


def _protocol(value: object) -> object:
    """Read a protocol by name or number; ``any`` is all of them."""
    text = str(value).lower()
    if value is None or text in {"any", "ip"}:
        return None
    if text in {*PROTOCOLS, _LEGACY_ICMPV6}:
        return PROTOCOLS.get(text, ICMPV6)
    if isinstance(value, bool | float) or not text.isdecimal() or int(text) > _PROTOCOL_MOST:
        raise refused(f"protocol {value} is not supported; it must be 0 to 255, or one of {', '.join(PROTOCOLS)}, any")
    return int(text)


Family = Annotated[
    Literal[4, 6], BeforeValidator(_family), WithJsonSchema({"type": "string", "enum": ["IPv4", "IPv6"]})
]
Protocol = Annotated[
    int | None,
    BeforeValidator(_protocol),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 0, "maximum": 255}, {"type": "null"}]}
    ),
]
Stateful = Annotated[bool, BeforeValidator(only(True, "answers to what is allowed are always allowed"))]
Prefixes = Annotated[list[PrefixText], Field(max_length=_ADDRESSES_MOST)]


# --- security groups -------------------------------------------------------------------------------------------


class SecurityGroupCreate(Body):
    """A security group to be made."""

    name: Name = ""
    description: Name = ""
    stateful: Stateful = True
    tags: TagList = Field(default_factory=list)
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")


class SecurityGroupUpdate(Body):
    """What may change of a security group."""

    name: Maybe[Name] = Field(None, description="Not of a default group.")
    description: Maybe[Name] = None
    stateful: Maybe[Stateful] = None


class SecurityRuleShown(Shown):
    """A rule.  Without a remote it is about everybody."""

    id: str
    project_id: str
    tenant_id: str
    security_group_id: str
    direction: Direction
    ethertype: Literal["IPv4", "IPv6"]
    protocol: str | None
    port_range_min: int | None
    port_range_max: int | None
    remote_group_id: str | None
    remote_ip_prefix: str | None
    remote_address_group_id: str | None
    description: str
    revision_number: int
    created_at: str
    updated_at: str


class SecurityGroupShown(RecordShown):
    """A security group and its rules."""

    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    stateful: bool
    security_group_rules: tuple[SecurityRuleShown, ...]


class SecurityGroupCreateBody(ManyBody):
    """One security group, or several of which all are made or none."""

    security_group: Maybe[SecurityGroupCreate] = None
    security_groups: Maybe[Annotated[list[SecurityGroupCreate], Field(min_length=1, max_length=_MOST)]] = None


class SecurityGroupUpdateBody(Body):
    """The changes of a security group."""

    security_group: SecurityGroupUpdate


class SecurityGroupAnswer(BaseModel):
    """One security group."""

    security_group: SecurityGroupShown


class SecurityGroupsAnswer(BaseModel):
    """Several security groups."""

    security_groups: list[SecurityGroupShown]
    security_groups_links: PageLinks = None


class SecurityGroupPath(BaseModel):
    """Which security group."""

    security_group_id: str


class SecurityGroupQuery(RecordQuery):
    """Filters of a list of security groups."""

    id: Values = None
    name: Values = None
    description: Values = None
    project_id: Values = None
    tenant_id: Values = None
    stateful: Truths = None


# --- rules -----------------------------------------------------------------------------------------------------


class SecurityRuleCreate(Body):
    """A rule to be made; one of the three remotes, or none for everybody."""

    security_group_id: Identity
    direction: Direction
    ethertype: Family = Field(4, json_schema_extra={"default": "IPv4"})
    protocol: Protocol = Field(None, description="IANA's number, or a name of Neutron's; all when left out.")
    port_range_min: Count | None = Field(None, description="The least port, or the ICMP type.")
    port_range_max: Count | None = Field(None, description="The greatest port, or the ICMP code.")
    remote_group_id: Identity | None = None
    remote_ip_prefix: PrefixText | None = None
    remote_address_group_id: Identity | None = None
    description: Name = ""
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")

    @property
    def number(self) -> int | None:
        """The protocol; ICMP in IPv6 is ICMPv6."""
        return ICMPV6 if self.protocol == ICMP and self.ethertype == _FAMILIES["ipv6"] else self.protocol


class SecurityRuleCreateBody(ManyBody):
    """One rule, or several of which all are made or none."""

    security_group_rule: Maybe[SecurityRuleCreate] = None
    security_group_rules: Maybe[Annotated[list[SecurityRuleCreate], Field(min_length=1, max_length=_RULES_MOST)]] = None


class SecurityRuleAnswer(BaseModel):
    """One rule."""

    security_group_rule: SecurityRuleShown


class SecurityRulesAnswer(BaseModel):
    """Several rules."""

    security_group_rules: list[SecurityRuleShown]
    security_group_rules_links: PageLinks = None


class SecurityRulePath(BaseModel):
    """Which rule."""

    security_group_rule_id: str


class SecurityRuleQuery(RecordQuery):
    """Filters of a list of rules."""

    id: Values = None
    security_group_id: Values = None
    direction: Values = None
    ethertype: Values = None
    protocol: Values = None
    port_range_min: Numbers = None
    port_range_max: Numbers = None
    remote_group_id: Values = None
    remote_ip_prefix: Values = None
    remote_address_group_id: Values = None
    description: Values = None
    project_id: Values = None
    tenant_id: Values = None


# --- address groups --------------------------------------------------------------------------------------------


class AddressGroupCreate(Body):
    """An address group to be made."""

    name: Name = ""
    description: Name = ""
    addresses: Prefixes = Field(default_factory=list, description="Prefixes and addresses of both IP versions.")
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")


class AddressGroupUpdate(Body):
    """What may change of an address group."""

    name: Maybe[Name] = None
    description: Maybe[Name] = None


class AddressGroupShown(RecordShown):
    """An address group."""

    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    addresses: tuple[str, ...]


class AddressGroupCreateBody(ManyBody):
    """One address group, or several of which all are made or none."""

    address_group: Maybe[AddressGroupCreate] = None
    address_groups: Maybe[Annotated[list[AddressGroupCreate], Field(min_length=1, max_length=_MOST)]] = None


class AddressGroupUpdateBody(Body):
    """The changes of an address group."""

    address_group: AddressGroupUpdate


class AddressesBody(Body):
    """Addresses to be added or removed."""

    addresses: Annotated[Prefixes, Field(min_length=1)]


class AddressGroupAnswer(BaseModel):
    """One address group."""

    address_group: AddressGroupShown


class AddressGroupsAnswer(BaseModel):
    """Several address groups."""

    address_groups: list[AddressGroupShown]
    address_groups_links: PageLinks = None


class AddressGroupPath(BaseModel):
    """Which address group."""

    address_group_id: str


class AddressGroupQuery(RecordQuery):
    """Filters of a list of address groups."""

    id: Values = None
    name: Values = None
    description: Values = None
    project_id: Values = None
    tenant_id: Values = None


# --- how they are shown ----------------------------------------------------------------------------------------


def spelled_protocol(protocol: int | None) -> str | None:
    """Neutron's name of a protocol, or else its number."""
    return None if protocol is None else _NAMES.get(protocol, str(protocol))


RULE_ATTRIBUTES: Final[Attributes[SecurityRule]] = {
    "id": lambda rule: rule.id,
    "project_id": lambda rule: rule.project_id,
    "tenant_id": lambda rule: rule.project_id,
    "security_group_id": lambda rule: rule.group_id,
    "direction": lambda rule: rule.direction.value,
    "ethertype": lambda rule: f"IPv{rule.family}",
    "protocol": lambda rule: spelled_protocol(rule.protocol),
    "port_range_min": lambda rule: rule.port_min,
    "port_range_max": lambda rule: rule.port_max,
    "remote_group_id": lambda rule: rule.remote_group_id,
    "remote_ip_prefix": lambda rule: None if rule.remote_prefix is None else str(rule.remote_prefix),
    "remote_address_group_id": lambda rule: rule.remote_address_group_id,
    "description": lambda rule: rule.description,
    **{name: read for name, read in recorded().items() if name != "tags"},
}

ADDRESS_GROUP_ATTRIBUTES: Final[Attributes[AddressGroup]] = {
    "id": lambda group: group.id,
    "name": lambda group: group.name,
    "description": lambda group: group.description,
    "project_id": lambda group: group.project_id,
    "tenant_id": lambda group: group.project_id,
    "addresses": lambda group: list(map(str, group.prefixes)),
    **recorded(),
}


def group_attributes(service: Service) -> Attributes[SecurityGroup]:
    """How each field of a security group is read."""

    def rules(group: SecurityGroup) -> list[dict[str, Any]]:
        return [
            {name: read(rule) for name, read in RULE_ATTRIBUTES.items()} for rule in service.world.rules_of(group.id)
        ]

    return {
        "id": lambda group: group.id,
        "name": lambda group: group.name,
        "description": lambda group: group.description,
        "project_id": lambda group: group.project_id,
        "tenant_id": lambda group: group.project_id,
        "stateful": lambda group: group.stateful,
        "security_group_rules": rules,
        **recorded(),
    }
