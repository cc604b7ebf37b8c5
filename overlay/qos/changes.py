"""What can be asked about policies of quality of service?"""

from __future__ import annotations

from dataclasses import dataclass

from overlay.policy.values import Direction
from overlay.qos.values import QosRule


@dataclass(frozen=True, slots=True)
class CreateQosPolicy:
    """Make a policy without rules.

    Refused: ``OverQuota``, ``QoSPolicyDefaultAlreadyExists`` (409, the project has a default one).
    """

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    is_default: bool = False
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateQosPolicy:
    """Change what may change of a policy; ``None`` keeps a field.

    Refused: ``QosPolicyNotFound``, ``QoSPolicyDefaultAlreadyExists``, ``RbacPolicyInUse``, ``OverQuota``,
    ``RevisionNumberConstraintFailed`` (412).

    :param shared: whether one share of it is for everybody; those for single projects stay.
    :param share_id: of that share, where it has to be made.
    """

    id: str
    name: str | None = None
    description: str | None = None
    is_default: bool | None = None
    shared: bool | None = None
    share_id: str = ""
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteQosPolicy:
    """Remove a policy, its rules and the shares of it.

    Refused: ``QosPolicyNotFound``, ``QosPolicyInUse`` (409, a port or a network has it),
    ``RevisionNumberConstraintFailed`` (412).
    """

    id: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class AddQosRule:
    """Give a policy one more rule, which holds at once for all ports that have the policy.

    Refused: ``QosPolicyNotFound``, ``QoSRulesConflict`` (409, it has a rule of the type, in that direction).
    """

    policy_id: str
    rule: QosRule


@dataclass(frozen=True, slots=True)
class UpdateQosRule:
    """Change a rule; ``None`` keeps a field, and so does a field that rules of its type have not.

    Refused: ``QosPolicyNotFound``, ``QosRuleNotFound``, ``QoSRulesConflict``, ``InvalidInput``.
    """

    policy_id: str
    rule_id: str
    max_kbps: int | None = None
    max_burst_kbps: int | None = None
    direction: Direction | None = None
    dscp_mark: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteQosRule:
    """Take a rule away.  Refused: ``QosPolicyNotFound``, ``QosRuleNotFound``."""

    policy_id: str
    rule_id: str


QosIntent = CreateQosPolicy | UpdateQosPolicy | DeleteQosPolicy | AddQosRule | UpdateQosRule | DeleteQosRule
