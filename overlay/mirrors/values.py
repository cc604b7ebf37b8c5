"""Of which words does a mirror consist?

Frozen values in Neutron's sense.  A tap service is a port that gets copies; a tap flow is a port whose frames are
copied to a service of the same project.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from overlay.values import Record, Vni

UNRECORDED: Final = Record()
"""That of what was not made by an intent."""


class TapDirection(StrEnum):
    """What of a port is copied: what it gets, what it sends, or all of it."""

    IN = "IN"
    OUT = "OUT"
    BOTH = "BOTH"


@dataclass(frozen=True, slots=True)
class TapService:
    """A port that gets copies.

    :ivar vni: by which copies come to it from other hosts; it is no network's.
    """

    id: str
    project_id: str
    name: str
    port_id: str
    vni: Vni
    description: str = ""
    record: Record = UNRECORDED


@dataclass(frozen=True, slots=True)
class TapFlow:
    """A port whose frames are copied to a service."""

    id: str
    project_id: str
    name: str
    service_id: str
    source_port: str
    direction: TapDirection
    description: str = ""
    record: Record = UNRECORDED
