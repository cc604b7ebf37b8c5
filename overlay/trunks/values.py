"""What is a trunk?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from overlay.values import Record

VIDS: Final = range(1, 4095)
"""The VLANs that a frame can be tagged with (IEEE 802.1Q: 0 is no VLAN, 4095 is reserved)."""

_UNRECORDED: Final = Record()

SUB_PORT_OWNER: Final = "trunk:subport"
"""The ``device_owner`` of a sub-port; its ``device_id`` is the trunk's id."""


@dataclass(frozen=True, slots=True)
class SubPort:
    """A port whose frames have the tag of a VLAN on the tap of the trunk's parent."""

    port_id: str
    vid: int


@dataclass(frozen=True, slots=True)
class Trunk:
    """A port, the parent, whose tap carries other ports as VLANs.  The parent's own frames have no tag.

    One that is administratively down lets its sub-ports neither send nor be sent to.
    """

    id: str
    project_id: str
    name: str
    port_id: str
    sub_ports: tuple[SubPort, ...] = ()
    description: str = ""
    admin_up: bool = True
    record: Record = _UNRECORDED
