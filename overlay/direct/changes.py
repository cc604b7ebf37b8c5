"""What is told about the cables of edge switches, and what of a port says by which of them it is reached?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from overlay.direct.values import VnicType
from overlay.values import HostName


@dataclass(frozen=True, slots=True)
class Attach:
    """How a port is to reach its machine from now on.

    :param switch: the name of an edge switch, or the datapath id of one; ``None`` for a port that a hypervisor plugs,
        and for one that is not wired yet.
    :param interface: of that switch, by name or OpenFlow number.
    """

    vnic_type: VnicType = VnicType.NORMAL
    switch: str | None = None
    interface: str = ""
    vid: int = 0


@dataclass(frozen=True, slots=True)
class EdgeSnapshot:
    """All cables of an edge switch, with their OpenFlow port numbers, when its OVSDB session begins."""

    host: HostName
    wired: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Wired:
    """A cable of an edge switch has an OpenFlow port."""

    host: HostName
    interface: str
    ofport: int


@dataclass(frozen=True, slots=True)
class Unwired:
    """A cable of an edge switch is gone, or its link is down."""

    host: HostName
    interface: str


WireEvent: TypeAlias = EdgeSnapshot | Wired | Unwired
