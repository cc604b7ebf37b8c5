"""In which JSON does a client say what a QoS policy and its rules shall be, and see what they are?"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, Field

from controller.rest.fields import Body, Count, Flag, Identity, Maybe, Name, RecordShown, Shown, refused
from controller.rest.listing import Attributes, ListQuery, Numbers, PageLinks, RecordQuery, Truths, Values, recorded
from controller.rest.sight import Sight
from overlay.policy.values import Direction
from overlay.qos.values import DSCP_MARKS, KBPS_MOST, BandwidthLimit, DscpMarking, QosPolicy, QosRule, RuleType
from overlay.values import Shareable


def _mark(number: int) -> int:
    if number not in DSCP_MARKS:
        raise refused(f"{number} is none of {', '.join(map(str, DSCP_MARKS))}")
    return number


Kbps = Annotated[Count, Field(ge=0, le=KBPS_MOST)]
Mark = Annotated[Count, AfterValidator(_mark)]


# --- policies ---------------------------------------------------------------------------------------------------------


class QosPolicyCreate(Body):
    """A QoS policy to be made."""

    name: Name = ""
    description: Name = ""
    shared: Flag = Field(default=False, description="With everybody.")
    is_default: Flag = Field(default=False, description="Whether new networks of its project have it.")
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")


class QosPolicyUpdate(Body):
    """What may change of a QoS policy."""

    name: Maybe[Name] = None
    description: Maybe[Name] = None
    shared: Maybe[Flag] = Field(None, description="With everybody.")
    is_default: Maybe[Flag] = None


class QosPolicyShown(RecordShown):
    """A QoS policy."""

    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    shared: bool = Field(description="Whether others than its owner may use it, or whoever asks is such a one.")
    is_default: bool
    rules: tuple[dict[str, Any], ...] = Field(description="Each with its type, its policy and what it says.")


class QosPolicyCreateBody(Body):
    """A QoS policy to be made."""

    policy: QosPolicyCreate


class QosPolicyUpdateBody(Body):
    """The changes of a QoS policy."""

    policy: QosPolicyUpdate


class QosPolicyAnswer(BaseModel):
    """One QoS policy."""

    policy: QosPolicyShown


class QosPoliciesAnswer(BaseModel):
    """Several QoS policies."""

    policies: list[QosPolicyShown]
    policies_links: PageLinks = None


class QosPolicyPath(BaseModel):
    """Which QoS policy."""

    qos_policy_id: str


class QosPolicyQuery(RecordQuery):
    """Filters of a list of QoS policies."""

    id: Values = None
    name: Values = None
    description: Values = None
    project_id: Values = None
    tenant_id: Values = None
    shared: Truths = None
    is_default: Truths = None


def attributes(sight: Sight) -> Attributes[QosPolicy]:
    """How each field of a QoS policy is read."""
    return {
        "id": lambda policy: policy.id,
        "name": lambda policy: policy.name,
        "description": lambda policy: policy.description,
        "project_id": lambda policy: policy.project_id,
        "tenant_id": lambda policy: policy.project_id,
        "shared": lambda policy: sight.shares(Shareable.QOS_POLICY, policy.id),
        "is_default": lambda policy: policy.is_default,
        "rules": lambda policy: [
            {"type": rule.type.value, "qos_policy_id": policy.id, **spelled(rule)} for rule in policy.rules
        ],
        **recorded(),
    }


# --- rules ------------------------------------------------------------------------------------------------------------


class BandwidthLimitCreate(Body):
    """A limit to be set."""

    max_kbps: Kbps = Field(description="0 is no limit, whatever the operator has set for all ports.")
    max_burst_kbps: Kbps = Field(
        0, description="How many kilobits may come at once; 0 is what lets TCP have all of max_kbps."
    )
    direction: Direction = Field(Direction.EGRESS, description="As the machine sees it: egress is what it sends.")


class BandwidthLimitUpdate(Body):
    """What may change of a limit."""

    max_kbps: Maybe[Kbps] = None
    max_burst_kbps: Maybe[Kbps] = None
    direction: Maybe[Direction] = None


class BandwidthLimitShown(Shown):
    """A limit."""

    id: str
    max_kbps: int
    max_burst_kbps: int
    direction: Direction


class BandwidthLimitCreateBody(Body):
    """A limit to be set."""

    bandwidth_limit_rule: BandwidthLimitCreate


class BandwidthLimitUpdateBody(Body):
    """The changes of a limit."""

    bandwidth_limit_rule: BandwidthLimitUpdate


class BandwidthLimitAliasBody(Body):
    """The changes of a limit."""

    alias_bandwidth_limit_rule: BandwidthLimitUpdate


class BandwidthLimitAnswer(BaseModel):
    """One limit."""

    bandwidth_limit_rule: BandwidthLimitShown


class BandwidthLimitAliasAnswer(BaseModel):
    """One limit."""

    alias_bandwidth_limit_rule: BandwidthLimitShown


class BandwidthLimitsAnswer(BaseModel):
    """Several limits."""

    bandwidth_limit_rules: list[BandwidthLimitShown]
    bandwidth_limit_rules_links: PageLinks = None


class BandwidthLimitQuery(ListQuery):
    """Filters of a list of limits."""

    id: Values = None
    max_kbps: Numbers = None
    max_burst_kbps: Numbers = None
    direction: Values = None


class DscpMarkingCreate(Body):
    """A mark to be set."""

    dscp_mark: Mark


class DscpMarkingUpdate(Body):
    """What may change of a mark."""

    dscp_mark: Maybe[Mark] = None


class DscpMarkingShown(Shown):
    """A mark."""

    id: str
    dscp_mark: int


class DscpMarkingCreateBody(Body):
    """A mark to be set."""

    dscp_marking_rule: DscpMarkingCreate


class DscpMarkingUpdateBody(Body):
    """The changes of a mark."""

    dscp_marking_rule: DscpMarkingUpdate


class DscpMarkingAliasBody(Body):
    """The changes of a mark."""

    alias_dscp_marking_rule: DscpMarkingUpdate


class DscpMarkingAnswer(BaseModel):
    """One mark."""

    dscp_marking_rule: DscpMarkingShown


class DscpMarkingAliasAnswer(BaseModel):
    """One mark."""

    alias_dscp_marking_rule: DscpMarkingShown


class DscpMarkingsAnswer(BaseModel):
    """Several marks."""

    dscp_marking_rules: list[DscpMarkingShown]
    dscp_marking_rules_links: PageLinks = None


class DscpMarkingQuery(ListQuery):
    """Filters of a list of marks."""

    id: Values = None
    dscp_mark: Numbers = None


class OtherRuleBody(BaseModel):
    """A rule of a type that cannot be had."""


class RulePath(QosPolicyPath):
    """Which rule of which policy."""

    rule_id: str


class RuleAliasPath(BaseModel):
    """Which rule, of whatever policy."""

    rule_id: str


LIMIT_ATTRIBUTES: Final[Attributes[BandwidthLimit]] = {
    "id": lambda rule: rule.id,
    "max_kbps": lambda rule: rule.max_kbps,
    "max_burst_kbps": lambda rule: rule.max_burst_kbps,
    "direction": lambda rule: rule.direction.value,
}
MARK_ATTRIBUTES: Final[Attributes[DscpMarking]] = {
    "id": lambda rule: rule.id,
    "dscp_mark": lambda rule: rule.dscp_mark,
}


def spelled(rule: QosRule) -> dict[str, Any]:
    """What a rule says."""
    match rule:
        case BandwidthLimit():
            return {name: read(rule) for name, read in LIMIT_ATTRIBUTES.items()}
        case DscpMarking():
            return {name: read(rule) for name, read in MARK_ATTRIBUTES.items()}


# --- types of rules ---------------------------------------------------------------------------------------------------


class Parameter(BaseModel):
    """What a rule of a type may say: a range or a list of values."""

    parameter_name: str
    parameter_type: str
    parameter_values: Any


class Driver(BaseModel):
    """Who enforces rules of a type."""

    name: str
    supported_parameters: list[Parameter]


class RuleTypeShown(Shown):
    """A type of rules that policies may have."""

    type: str
    drivers: list[Driver]


class RuleTypeAnswer(BaseModel):
    """One type of rules."""

    rule_type: RuleTypeShown


class RuleTypesAnswer(BaseModel):
    """The types of rules."""

    rule_types: list[RuleTypeShown]


class RuleTypeQuery(ListQuery):
    """Filters of the list of types of rules."""

    type: Values = None
    all_supported: Truths = Field(
        None, description="Neutron's; there is one driver, so all and all supported are the same."
    )
    all_rules: Truths = Field(None, description="Likewise.")


class RuleTypePath(BaseModel):
    """Which type of rules."""

    rule_type: str


_RANGE: Final = {"start": 0, "end": KBPS_MOST}
_PARAMETERS: Final = {
    RuleType.BANDWIDTH_LIMIT: (
        ("max_kbps", "range", _RANGE),
        ("max_burst_kbps", "range", _RANGE),
        ("direction", "choices", [way.value for way in Direction]),
    ),
    RuleType.DSCP_MARKING: (("dscp_mark", "choices", list(DSCP_MARKS)),),
}
RULE_TYPES: Final = {
    type_.value: RuleTypeShown(
        type=type_.value,
        drivers=[
            Driver(
                name="openvswitch",
                supported_parameters=[
                    Parameter(parameter_name=name, parameter_type=kind, parameter_values=values)
                    for name, kind, values in parameters
                ],
            )
        ],
    )
    for type_, parameters in _PARAMETERS.items()
}
"""By name."""
