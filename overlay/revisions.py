"""Has whoever asks seen an object as it is now?

Every object that a tenant can make has a :class:`~overlay.values.Record`; whoever changes it may say which revision he
has seen, and is refused if it has another one by now.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from overlay.mirrors.values import TapFlow, TapService
from overlay.policy.values import AddressGroup, SecurityGroup, SecurityRule
from overlay.qos.values import QosPolicy
from overlay.refusals import Stale
from overlay.trunks.values import Trunk
from overlay.values import Network, Port, Share, Subnet, SubnetPool

Recorded = TypeVar(
    "Recorded",
    Network,
    Subnet,
    Port,
    SubnetPool,
    Share,
    SecurityGroup,
    SecurityRule,
    AddressGroup,
    QosPolicy,
    Trunk,
    TapService,
    TapFlow,
)
"""Whatever has a record."""


def fresh(thing: Recorded, expected: int | None) -> Recorded:
    """The object itself.

    :param expected: the revision that whoever asks has seen, ``None`` where that does not matter.
    :raises Stale: ``RevisionNumberConstraintFailed``.
    """
    if expected is not None and thing.record.revision != expected:
        raise Stale(
            f"Constrained to {expected}, but current revision is {thing.record.revision}",
            field="revision_number",
            kind="RevisionNumberConstraintFailed",
        )
    return thing


def revised(thing: Recorded, now: float) -> Recorded:
    """The object in its next revision."""
    return replace(thing, record=replace(thing.record, revision=thing.record.revision + 1, updated_at=now))
