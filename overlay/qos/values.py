"""What does a policy of quality of service say?

Neutron's words.  A direction is the machine's: *egress* is what it sends, *ingress* what it is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from overlay.policy.values import Direction
from overlay.refusals import Invalid
from overlay.values import Record


class RuleType(StrEnum):
    """What a rule is about."""

    BANDWIDTH_LIMIT = "bandwidth_limit"
    DSCP_MARKING = "dscp_marking"


DSCP_MARKS: Final = (0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 46, 48, 56)
"""The marks that Neutron takes (its VALID_DSCP_MARKS): the classes of RFC 2474, RFC 2597 and RFC 3246."""

KBPS_MOST: Final = (1 << 31) - 1
"""Neutron's largest number; OpenFlow counts up to twice as many."""


@dataclass(frozen=True, slots=True)
class BandwidthLimit:
    """No more than this many kilobits a second may pass in one direction.

    :param max_kbps: 0 is no limit, whatever the operator's setting says.
    :param max_burst_kbps: how many kilobits may come at once; 0 leaves that to us.
    """

    id: str
    max_kbps: int
    max_burst_kbps: int = 0
    direction: Direction = Direction.EGRESS

    def __post_init__(self) -> None:
        for field in ("max_kbps", "max_burst_kbps"):
            number = getattr(self, field)
            if not 0 <= number <= KBPS_MOST:
                raise Invalid(f"{field}: {number} is outside 0 … {KBPS_MOST}", field=field, kind="InvalidInput")

    @property
    def type(self) -> RuleType:
        """What the rule is about."""
        return RuleType.BANDWIDTH_LIMIT


@dataclass(frozen=True, slots=True)
class DscpMarking:
    """What the machine sends is marked so (Differentiated Services Code Point, RFC 2474)."""

    id: str
    dscp_mark: int

    def __post_init__(self) -> None:
        if self.dscp_mark not in DSCP_MARKS:
            marks = ", ".join(map(str, DSCP_MARKS))
            raise Invalid(f"dscp_mark: {self.dscp_mark} is none of {marks}", field="dscp_mark", kind="InvalidInput")

    @property
    def type(self) -> RuleType:
        """What the rule is about."""
        return RuleType.DSCP_MARKING


QosRule: TypeAlias = BandwidthLimit | DscpMarking


class Limits(NamedTuple):
    """What all rules of a policy together say of a port: ``None`` where they say nothing."""

    sending: BandwidthLimit | None = None
    receiving: BandwidthLimit | None = None
    dscp: int | None = None


_UNRECORDED: Final = Record()

UNSAID: Final = Limits()
"""What no policy says."""


@dataclass(frozen=True, slots=True)
class QosPolicy:
    """Rules that hold for every port that has the policy, or that is in a network that has it.

    :param rules: in order of creation; one of each type, and one limit per direction.
    :param is_default: whether new networks of the project have it.
    """

    id: str
    project_id: str
    name: str = ""
    description: str = ""
    is_default: bool = False
    rules: tuple[QosRule, ...] = ()
    record: Record = _UNRECORDED

    @property
    def limits(self) -> Limits:
        """All its rules together."""
        found = UNSAID
        for rule in self.rules:
            if isinstance(rule, DscpMarking):
                found = found._replace(dscp=rule.dscp_mark)
            elif rule.direction is Direction.EGRESS:
                found = found._replace(sending=rule)
            else:
                found = found._replace(receiving=rule)
        return found
