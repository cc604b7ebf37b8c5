"""May there be such a policy, with such a rule, and whom does it reach?

Each function checks everything before it changes anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from overlay.changes import Document, DocumentKind
from overlay.index import Index
from overlay.qos.changes import (
    AddQosRule,
    CreateQosPolicy,
    DeleteQosPolicy,
    DeleteQosRule,
    UpdateQosPolicy,
    UpdateQosRule,
)
from overlay.qos.values import BandwidthLimit, QosPolicy, QosRule
from overlay.recording import Recorder
from overlay.refusals import Conflict, NotFound
from overlay.revisions import fresh
from overlay.sharing import drop_shares, share_with_everybody
from overlay.values import Countable, Shareable


def create_qos_policy(index: Index, change: CreateQosPolicy, record: Recorder) -> None:
    """Make a policy without rules."""
    if change.id in index.qos.by_id:
        raise Conflict(f"id: there is a QoS policy {change.id} already", field="id")
    policy = QosPolicy(
        change.id,
        change.project_id,
        change.name,
        change.description,
        change.is_default,
        record=record.born(change.tags),
    )
    _check_default(index, policy)
    index.holdings.charge(Countable.QOS_POLICY, change.project_id)
    record.put_qos_policy(policy)


def update_qos_policy(index: Index, change: UpdateQosPolicy, record: Recorder) -> None:
    """Change a policy's texts, whether it is the default one, or whether everybody may use it."""
    policy = fresh(index.qos.policy(change.id), change.expected)
    after = replace(
        policy,
        name=policy.name if change.name is None else change.name,
        description=policy.description if change.description is None else change.description,
        is_default=policy.is_default if change.is_default is None else change.is_default,
    )
    _check_default(index, after)
    if change.shared is not None:
        share_id = change.share_id if change.shared else None
        share_with_everybody(index, Shareable.QOS_POLICY, policy, share_id, record)
    record.put_qos_policy(after)


def delete_qos_policy(index: Index, change: DeleteQosPolicy, record: Recorder) -> None:
    """Remove a policy that nobody has, and the shares of it."""
    policy = fresh(index.qos.policy(change.id), change.expected)
    for user in index.qos.users(policy.id):
        raise Conflict(
            f"QoS Policy {policy.id} is used by {user.kind} {user.id}.", field="qos_policy_id", kind="QosPolicyInUse"
        )
    drop_shares(index, Shareable.QOS_POLICY, policy.id, record)
    index.drop_qos_policy(policy.id)
    record.store(Document(DocumentKind.QOS_POLICY, policy.id, None))


def add_rule(index: Index, change: AddQosRule, record: Recorder) -> None:
    """Give a policy one more rule."""
    policy = index.qos.policy(change.policy_id)
    _check_alone(policy, change.rule)
    _put_rules(index, policy, (*policy.rules, change.rule), record)


def update_rule(index: Index, change: UpdateQosRule, record: Recorder) -> None:
    """Change a rule."""
    policy = index.qos.policy(change.policy_id)
    rule: QosRule = rule_of(policy, change.rule_id)
    if isinstance(rule, BandwidthLimit):
        rule = replace(
            rule,
            max_kbps=rule.max_kbps if change.max_kbps is None else change.max_kbps,
            max_burst_kbps=rule.max_burst_kbps if change.max_burst_kbps is None else change.max_burst_kbps,
            direction=rule.direction if change.direction is None else change.direction,
        )
    else:
        rule = replace(rule, dscp_mark=rule.dscp_mark if change.dscp_mark is None else change.dscp_mark)
    _check_alone(policy, rule)
    _put_rules(index, policy, tuple(rule if rule.id == was.id else was for was in policy.rules), record)


def delete_rule(index: Index, change: DeleteQosRule, record: Recorder) -> None:
    """Take a rule away."""
    policy = index.qos.policy(change.policy_id)
    gone = rule_of(policy, change.rule_id)
    _put_rules(index, policy, tuple(rule for rule in policy.rules if rule is not gone), record)


def rule_of(policy: QosPolicy, rule_id: str) -> QosRule:
    """Look a rule up.

    :raises NotFound: ``QosRuleNotFound``.
    """
    for rule in policy.rules:
        if rule.id == rule_id:
            return rule
    raise NotFound(
        f"QoS rule {rule_id} for policy {policy.id} could not be found.", field="rule_id", kind="QosRuleNotFound"
    )


def _check_default(index: Index, policy: QosPolicy) -> None:
    default = index.qos.defaults.get(policy.project_id, policy.id)
    if policy.is_default and default != policy.id:
        raise Conflict(
            f"A default QoS policy exists for project {policy.project_id}.",
            field="is_default",
            kind="QoSPolicyDefaultAlreadyExists",
        )


def _check_alone(policy: QosPolicy, rule: QosRule) -> None:
    """A policy says one thing of each."""
    for other in policy.rules:
        if other.id != rule.id and _subject(other) == _subject(rule):
            raise Conflict(
                f"Rule {rule.type} conflicts with rule {other.id} which already exists in QoS Policy {policy.id}.",
                field="direction" if isinstance(rule, BandwidthLimit) else "dscp_mark",
                kind="QoSRulesConflict",
            )


def _subject(rule: QosRule) -> tuple[str, ...]:
    return (rule.type, rule.direction) if isinstance(rule, BandwidthLimit) else (rule.type,)


def _put_rules(index: Index, policy: QosPolicy, rules: tuple[QosRule, ...], record: Recorder) -> None:
    after = replace(policy, rules=rules)
    record.put_qos_policy(after)
    if after.limits != policy.limits:
        for port_id in tuple(_reached(index, policy.id)):
            record.reprogram(port_id)


def _reached(index: Index, policy_id: str) -> Iterator[str]:
    """The ports for which a policy holds: their own goes before their network's."""
    for kind, id_ in index.qos.users(policy_id):
        if kind == "port":
            yield id_
        else:
            yield from (port_id for port_id in index.ports_of[id_] if index.ports[port_id].qos_policy_id is None)
