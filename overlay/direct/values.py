"""What is it that a machine without a virtual switch is attached by?"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from overlay.refusals import Invalid
from overlay.values import HostName

VIDS: Final = range(4095)
"""The VLANs that a cable can carry (IEEE 802.1Q); 0 is the frames without a tag."""

_INTERFACE_MAX: Final = 15
"""Linux names no longer interface (IFNAMSIZ)."""


class VnicType(StrEnum):
    """How a port reaches its machine, by Neutron's words."""

    NORMAL = "normal"
    DIRECT = "direct"
    BAREMETAL = "baremetal"


@dataclass(frozen=True, slots=True)
class LocalLink:
    """Where a machine is wired to: the VLAN of an interface of an edge switch.

    :ivar switch: the name by which the edge switch joined.
    :ivar interface: of its br-vtep.
    :ivar vid: 0 for the frames without a tag.
    """

    switch: HostName
    interface: str
    vid: int = 0

    def __str__(self) -> str:
        return f"({self.switch}, {self.interface}, VLAN {self.vid})"


def check_interface(text: str, field: str) -> str:
    """Check that an interface can be called so.  :raises Invalid: if not."""
    if not 0 < len(text) <= _INTERFACE_MAX or any(not sign.isprintable() or sign in " /" for sign in text):
        raise Invalid(f"{field}: {text!r} is not the name or number of an interface", field=field, kind="InvalidInput")
    return text


def check_vid(value: int, field: str) -> int:
    """Check that a VLAN is one.  :raises Invalid: if not."""
    if value not in VIDS:
        raise Invalid(f"{field}: {value} is outside {VIDS.start} … {VIDS.stop - 1}", field=field, kind="InvalidInput")
    return value
