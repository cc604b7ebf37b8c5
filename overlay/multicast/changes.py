"""What may ports say about multicast groups?"""

from __future__ import annotations

from dataclasses import dataclass

from overlay.values import HostName, IpAddress


@dataclass(frozen=True, slots=True)
class Joined:
    """A port reported at a host that it listens to these groups, for the first time or again."""

    host: HostName
    port_id: str
    groups: tuple[IpAddress, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """A port reported at a host that it listens to these groups no more."""

    host: HostName
    port_id: str
    groups: tuple[IpAddress, ...]
