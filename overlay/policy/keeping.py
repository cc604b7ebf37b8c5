"""What is put, stored and told when a policy changes?

The recorder's side of policies: each function keeps index, documents and revisions together, and has the recorder told
what the switches have to follow.
"""

from __future__ import annotations

from overlay.changes import Document, DocumentKind
from overlay.policy.documents import write_address_group, write_group, write_rule
from overlay.policy.values import AddressGroup, SecurityGroup, SecurityRule
from overlay.recording import Recorder


def put_group(record: Recorder, group: SecurityGroup) -> None:
    """Add or replace a group and store it."""
    before = record.index.policy.groups.get(group.id)
    if before != group:
        _store_group(record, before, group)


def revise_group(record: Recorder, group_id: str) -> None:
    """A group's rules have changed, which is a change of the group."""
    group = record.index.policy.groups[group_id]
    _store_group(record, group, group)


def _store_group(record: Recorder, before: SecurityGroup | None, group: SecurityGroup) -> None:
    group = record.next_revision(DocumentKind.SECURITY_GROUP, before, group)
    record.index.policy.put_group(group)
    record.store(write_group(group))


def drop_group(record: Recorder, group_id: str) -> None:
    """Remove a group without ports, its rules and the rules that name it."""
    policy = record.index.policy
    for rule_id in tuple(policy.users_of_remote[group_id]):
        drop_rule(record, rule_id)
    for rule_id in tuple(policy.rules_of[group_id]):
        drop_rule(record, rule_id)
    policy.drop_group(group_id)
    record.store(Document(DocumentKind.SECURITY_GROUP, group_id, None))


def put_rule(record: Recorder, rule: SecurityRule) -> None:
    """Add a rule and store it; it never changes."""
    record.index.policy.put_rule(rule)
    record.store(write_rule(rule))
    record.policy_changed(added=(rule,))


def drop_rule(record: Recorder, rule_id: str) -> None:
    """Remove a rule and its document."""
    rule = record.index.policy.drop_rule(rule_id)
    record.store(Document(DocumentKind.SECURITY_RULE, rule_id, None))
    revise_group(record, rule.group_id)
    record.policy_changed(removed=(rule,))


def put_address_group(record: Recorder, group: AddressGroup) -> None:
    """Add or replace an address group and store it."""
    before = record.index.policy.address_groups.get(group.id)
    if before != group:
        group = record.next_revision(DocumentKind.ADDRESS_GROUP, before, group)
        record.index.policy.put_address_group(group)
        record.store(write_address_group(group))
        if before is not None and before.prefixes != group.prefixes:
            record.policy_changed(prefixes=((before, group),))


def drop_address_group(record: Recorder, group_id: str) -> None:
    """Remove an address group that no rule names, and its document."""
    record.index.policy.drop_address_group(group_id)
    record.store(Document(DocumentKind.ADDRESS_GROUP, group_id, None))
