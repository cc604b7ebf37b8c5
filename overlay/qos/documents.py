"""How is a policy written down, and read back?"""

from __future__ import annotations

from typing import Any

from overlay.changes import Document, DocumentKind
from overlay.documents import read_record, write_record
from overlay.policy.values import Direction
from overlay.qos.values import BandwidthLimit, DscpMarking, QosPolicy, QosRule


def write_qos_policy(policy: QosPolicy) -> Document:
    """Write a policy down, with its rules."""
    body = {
        "project_id": policy.project_id,
        "name": policy.name,
        "description": policy.description,
        "is_default": policy.is_default,
        "rules": [_write_rule(rule) for rule in policy.rules],
        "record": write_record(policy.record),
    }
    return Document(DocumentKind.QOS_POLICY, policy.id, body)


def read_qos_policy(policy_id: str, body: dict[str, Any]) -> QosPolicy:
    """Read a policy back."""
    parsed = {"rules": tuple(map(_read_rule, body["rules"])), "record": read_record(body)}
    return QosPolicy(policy_id, **{**body, **parsed})


def _write_rule(rule: QosRule) -> dict[str, Any]:
    if isinstance(rule, DscpMarking):
        return {"id": rule.id, "dscp_mark": rule.dscp_mark}
    return {
        "id": rule.id,
        "max_kbps": rule.max_kbps,
        "max_burst_kbps": rule.max_burst_kbps,
        "direction": rule.direction.value,
    }


def _read_rule(body: dict[str, Any]) -> QosRule:
    if "dscp_mark" in body:
        return DscpMarking(**body)
    return BandwidthLimit(**{**body, "direction": Direction(body["direction"])})
