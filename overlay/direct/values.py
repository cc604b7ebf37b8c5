"""Which VLANs and interfaces can a machine be wired to?"""

from __future__ import annotations

from typing import Final

from overlay.refusals import Invalid

VIDS: Final = range(4095)
"""The VLANs that a cable can carry (IEEE 802.1Q); 0 is the frames without a tag."""

_INTERFACE_MAX: Final = 15
"""Linux names no longer interface (IFNAMSIZ)."""


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
