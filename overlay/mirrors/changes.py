"""What can be asked of mirrors?

Intents like those of :mod:`overlay.changes`: ``expected`` is the revision that whoever asks has seen, and ``None``
keeps a field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from overlay.mirrors.values import TapDirection


@dataclass(frozen=True, slots=True)
class CreateTapService:
    """Let a port get copies.

    Refused: ``PortNotFound``, ``PortDoesNotBelongToTenant`` (400), ``OverQuota``, ``TapServiceLimitReached`` (409, no
    VNI is left for it).
    """

    id: str
    project_id: str
    port_id: str
    name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class UpdateTapService:
    """Change a service's texts.  Refused: ``TapServiceNotFound``, ``RevisionNumberConstraintFailed`` (412)."""

    id: str
    name: str | None = None
    description: str | None = None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteTapService:
    """Remove a service and the tap flows to it.

    Refused: ``TapServiceNotFound``, ``RevisionNumberConstraintFailed`` (412).
    """

    id: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class CreateTapFlow:
    """Have a port's frames copied to a service.

    Refused: ``TapServiceNotFound``, ``PortNotFound``, ``TapServiceNotBelongToTenant``, ``PortDoesNotBelongToTenant``
    (400), ``InvalidSourcePort`` (400, the service's own), ``OverQuota``.
    """

    id: str
    project_id: str
    service_id: str
    source_port: str
    direction: TapDirection
    name: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class UpdateTapFlow:
    """Change a tap flow's texts.  Refused: ``TapFlowNotFound``, ``RevisionNumberConstraintFailed`` (412)."""

    id: str
    name: str | None = None
    description: str | None = None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteTapFlow:
    """Copy no more.  Refused: ``TapFlowNotFound``, ``RevisionNumberConstraintFailed`` (412)."""

    id: str
    expected: int | None = None


MirrorIntent: TypeAlias = (
    CreateTapService | UpdateTapService | DeleteTapService | CreateTapFlow | UpdateTapFlow | DeleteTapFlow
)
