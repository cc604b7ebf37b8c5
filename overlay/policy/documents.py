"""How is a policy written down, and read back?"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from overlay.changes import Document, DocumentKind
from overlay.documents import read_record, write_record
from overlay.policy.values import AddressGroup, Direction, SecurityGroup, SecurityRule


def write_group(group: SecurityGroup) -> Document:
    """Write a security group down; its rules have documents of their own."""
    body = {
        "project_id": group.project_id,
        "name": group.name,
        "description": group.description,
        "stateful": group.stateful,
        "is_default": group.is_default,
        "record": write_record(group.record),
    }
    return Document(DocumentKind.SECURITY_GROUP, group.id, body)


def read_group(group_id: str, body: dict[str, Any]) -> SecurityGroup:
    """Read a security group back."""
    return SecurityGroup(group_id, **{**body, "record": read_record(body)})


def write_rule(rule: SecurityRule) -> Document:
    """Write a rule down."""
    body = {
        "project_id": rule.project_id,
        "group_id": rule.group_id,
        "direction": rule.direction.value,
        "family": rule.family,
        "protocol": rule.protocol,
        "port_min": rule.port_min,
        "port_max": rule.port_max,
        "remote_group_id": rule.remote_group_id,
        "remote_prefix": None if rule.remote_prefix is None else str(rule.remote_prefix),
        "remote_address_group_id": rule.remote_address_group_id,
        "description": rule.description,
        "record": write_record(rule.record),
    }
    return Document(DocumentKind.SECURITY_RULE, rule.id, body)


def read_rule(rule_id: str, body: dict[str, Any]) -> SecurityRule:
    """Read a rule back."""
    prefix = body["remote_prefix"]
    parsed = {
        "direction": Direction(body["direction"]),
        "remote_prefix": None if prefix is None else ip_network(prefix),
        "record": read_record(body),
    }
    return SecurityRule(rule_id, **{**body, **parsed})


def write_address_group(group: AddressGroup) -> Document:
    """Write an address group down."""
    body = {
        "project_id": group.project_id,
        "name": group.name,
        "description": group.description,
        "prefixes": [str(prefix) for prefix in group.prefixes],
        "record": write_record(group.record),
    }
    return Document(DocumentKind.ADDRESS_GROUP, group.id, body)


def read_address_group(group_id: str, body: dict[str, Any]) -> AddressGroup:
    """Read an address group back."""
    parsed = {"prefixes": tuple(map(ip_network, body["prefixes"])), "record": read_record(body)}
    return AddressGroup(group_id, **{**body, **parsed})
