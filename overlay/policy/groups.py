"""May a project have this security group, or this address group, and may it go?

Each function checks everything before it changes anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from overlay.index import Index
from overlay.policy.changes import (
    CreateAddressGroup,
    CreateSecurityGroup,
    DeleteAddressGroup,
    DeleteSecurityGroup,
    MakeDefaultGroup,
    UpdateAddressGroup,
    UpdateSecurityGroup,
)
from overlay.policy.keeping import drop_address_group, drop_group, put_address_group, put_group, put_rule
from overlay.policy.values import AddressGroup, Direction, SecurityGroup, SecurityRule
from overlay.recording import Recorder
from overlay.refusals import Conflict, Invalid, NotFound
from overlay.revisions import fresh
from overlay.values import Countable, IpNetwork

DEFAULT: Final = "default"
"""The name of default groups, and of no others."""

_FAMILIES: Final = (4, 6)


def create_group(index: Index, change: CreateSecurityGroup, record: Recorder) -> None:
    """Make a group whose ports may send anything and receive nothing but answers."""
    if change.id in index.policy.groups:
        raise Conflict(f"id: there is a security group {change.id} already", field="id")
    _check_name(change.name)
    index.holdings.charge(Countable.SECURITY_GROUP, change.project_id)
    index.holdings.charge(Countable.SECURITY_GROUP_RULE, change.project_id, len(change.rule_ids))
    group = SecurityGroup(
        change.id, change.project_id, change.name, change.description, record=record.born(change.tags)
    )
    put_group(record, group)
    _let_out(group, change.rule_ids, record)


def make_default_group(index: Index, change: MakeDefaultGroup, record: Recorder) -> None:
    """Make a project's default group, whose ports may send anything and receive from each other, unless it is there."""
    if change.project_id in index.policy.default_of:
        return
    group = SecurityGroup(
        change.id, change.project_id, DEFAULT, "Default security group", is_default=True, record=record.born()
    )
    put_group(record, group)
    _let_out(group, change.rule_ids[:2], record)
    for family, rule_id in zip(_FAMILIES, change.rule_ids[2:], strict=True):
        rule = SecurityRule(rule_id, group.project_id, group.id, Direction.INGRESS, family, remote_group_id=group.id)
        put_rule(record, replace(rule, record=record.born()))


def _let_out(group: SecurityGroup, rule_ids: tuple[str, ...], record: Recorder) -> None:
    for family, rule_id in zip(_FAMILIES, rule_ids, strict=True):
        rule = SecurityRule(rule_id, group.project_id, group.id, Direction.EGRESS, family, record=record.born())
        put_rule(record, rule)


def update_group(index: Index, change: UpdateSecurityGroup, record: Recorder) -> None:
    """Change a group's texts."""
    group = fresh(index.policy.group(change.id), change.expected)
    if change.name not in {None, group.name}:
        if group.is_default:
            raise Conflict(
                "Updating default security group not allowed.", field="name", kind="SecurityGroupCannotUpdateDefault"
            )
        _check_name(change.name)
    put_group(
        record,
        replace(
            group,
            name=group.name if change.name is None else change.name,
            description=group.description if change.description is None else change.description,
        ),
    )


def delete_group(index: Index, change: DeleteSecurityGroup, record: Recorder) -> None:
    """Remove a group that no port is in."""
    group = fresh(index.policy.group(change.id), change.expected)
    if index.policy.ports_in[group.id]:
        raise Conflict(
            f"Security Group {group.id} in use: {len(index.policy.ports_in[group.id])} ports are in it.",
            field="security_group_id",
            kind="SecurityGroupInUse",
        )
    if group.is_default and not change.default:
        raise Conflict(
            "Insufficient rights for removing default security group.",
            field="security_group_id",
            kind="SecurityGroupCannotRemoveDefault",
        )
    drop_group(record, group.id)


def _check_name(name: str | None) -> None:
    if name == DEFAULT:
        raise Conflict("Default security group already exists.", field="name", kind="SecurityGroupDefaultAlreadyExists")


# --- address groups --------------------------------------------------------------------------------------------


def create_address_group(index: Index, change: CreateAddressGroup, record: Recorder) -> None:
    """Make an address group."""
    if change.id in index.policy.address_groups:
        raise Conflict(f"id: there is an address group {change.id} already", field="id")
    index.holdings.charge(Countable.ADDRESS_GROUP, change.project_id)
    put_address_group(
        record,
        AddressGroup(
            change.id,
            change.project_id,
            change.name,
            change.description,
            _sorted(change.prefixes),
            record.born(),
        ),
    )


def update_address_group(index: Index, change: UpdateAddressGroup, record: Recorder) -> None:
    """Change an address group's texts, or what is in it."""
    group = fresh(index.policy.address_group(change.id), change.expected)
    prefixes = set(group.prefixes)
    if missing := [str(prefix) for prefix in change.remove if prefix not in prefixes]:
        raise NotFound(
            f"Addresses {missing} not found in the address group {group.id}.",
            field="addresses",
            kind="AddressesNotFound",
        )
    prefixes.difference_update(change.remove)
    if there := [str(prefix) for prefix in change.add if prefix in prefixes]:
        raise Invalid(
            f"Addresses {there} already exist in the address group {group.id}.",
            field="addresses",
            kind="AddressesAlreadyExist",
        )
    put_address_group(
        record,
        replace(
            group,
            name=group.name if change.name is None else change.name,
            description=group.description if change.description is None else change.description,
            prefixes=_sorted(prefixes.union(change.add)),
        ),
    )


def delete_address_group(index: Index, change: DeleteAddressGroup, record: Recorder) -> None:
    """Remove an address group that no rule names."""
    group = fresh(index.policy.address_group(change.id), change.expected)
    if index.policy.users_of_addresses[group.id]:
        raise Conflict(
            f"Address group {group.id} is in use on one or more security group rules.",
            field="address_group_id",
            kind="AddressGroupInUse",
        )
    drop_address_group(record, group.id)


def _sorted(prefixes: Iterable[IpNetwork]) -> tuple[IpNetwork, ...]:
    return tuple(sorted(set(prefixes), key=lambda prefix: (prefix.version, prefix.network_address, prefix.prefixlen)))
