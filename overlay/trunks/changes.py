"""What can be asked of trunks?"""

from __future__ import annotations

from dataclasses import dataclass

from overlay.trunks.values import SubPort


@dataclass(frozen=True, slots=True)
class CreateTrunk:
    """Let a port be the parent of a trunk.

    Refused: ``PortNotFound``, ``TrunkPortInUse`` (409, the parent is a sub-port), ``ParentPortInUse`` (409, it is a
    parent already), ``TrunkOnTransparentNetwork`` (409), the refusals of sub-ports as in :class:`AddSubPorts`,
    ``OverQuota``.
    """

    id: str
    project_id: str
    port_id: str
    name: str = ""
    sub_ports: tuple[SubPort, ...] = ()
    description: str = ""
    admin_up: bool = True
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateTrunk:
    """Change what may change of a trunk; ``None`` keeps a field.

    Refused: ``TrunkNotFound``, ``RevisionNumberConstraintFailed`` (412).
    """

    id: str
    name: str | None = None
    description: str | None = None
    admin_up: bool | None = None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteTrunk:
    """Take a trunk away; its ports stay, its sub-ports are bound to no host any more.

    Refused: ``TrunkNotFound``, ``TrunkDisabled`` (409), ``RevisionNumberConstraintFailed`` (412).
    """

    id: str
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class AddSubPorts:
    """Let ports be VLANs of a trunk: all of them or none.

    Refused: ``TrunkNotFound``, ``TrunkDisabled`` (409), ``PortNotFound``, ``InvalidInput`` (400, no such VLAN),
    ``DuplicateSubPort`` (409, the VLAN is used), ``TrunkPortInUse`` (409, the port is a sub-port already),
    ``ParentPortInUse`` (409, it is a parent), ``PortInUse`` (409, it has a device, or is plugged by itself),
    ``PortMoveInProgress``, ``SubPortMtuGreaterThanTrunkPortMtu``, ``TrunkOnTransparentNetwork`` (409),
    ``RevisionNumberConstraintFailed`` (412).
    """

    id: str
    sub_ports: tuple[SubPort, ...]
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class RemoveSubPorts:
    """Let ports be VLANs of a trunk no more: all of them or none.

    Refused: ``TrunkNotFound``, ``TrunkDisabled`` (409), ``SubPortNotFound`` (404),
    ``RevisionNumberConstraintFailed`` (412).
    """

    id: str
    port_ids: tuple[str, ...]
    expected: int | None = None
