"""What is told about the cables of edge switches, and what says by which of them a port is reached?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from overlay.values import HostName, VnicType


@dataclass(frozen=True, slots=True)
class Attach:
    """How a port is to reach its machine from now on.

    :param switch: an edge switch, by name or by the datapath id of its br-vtep; ``None`` for a port that is not wired.
    :param interface: of that switch, by name or OpenFlow number.
    """

    vnic_type: VnicType = VnicType.NORMAL
    switch: str | None = None
    interface: str = ""
    vid: int = 0
    pci_slot: str = ""
    physical_network: str = ""


PLUGGED: Final = Attach()
"""By the switch of a hypervisor."""


@dataclass(frozen=True, slots=True)
class EdgeSnapshot:
    """All cables of an edge switch that lead somewhere, with their OpenFlow ports, after its session came (back) up."""

    host: HostName
    wired: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Wired:
    """A cable of an edge switch has an OpenFlow port (again, or another one), and its link is not down."""

    host: HostName
    interface: str
    ofport: int


@dataclass(frozen=True, slots=True)
class Unwired:
    """A cable of an edge switch is gone, or its link is down."""

    host: HostName
    interface: str


WireEvent: TypeAlias = EdgeSnapshot | Wired | Unwired
