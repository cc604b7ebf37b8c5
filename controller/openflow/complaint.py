"""What does a switch complain about, in words for the log and for the one who asked?

OFPT_ERROR (OpenFlow 1.5, ofp_error_msg) carries at least 64 bytes of the message that it refuses: enough to name the
flow.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from controller import framework
from controller.openflow.codec import BUNDLE_ADD, FLOW_MOD, GROUP_MOD, HEADER, METER_MOD, Kind

_METER_MOD_FAILED: Final = framework.ofproto.OFPET_METER_MOD_FAILED
_PRESENCE: Final = {framework.ofproto.OFPMMFC_METER_EXISTS, framework.ofproto.OFPMMFC_UNKNOWN_METER}
_EXPERIMENTER: Final = framework.ofproto.OFPET_EXPERIMENTER
_GROUP_ID: Final = 6


class Complaint(NamedTuple):
    """An error message: about which request (``xid``), what is wrong (``type``, ``code``), and that request's start."""

    xid: int
    type: int
    code: int
    data: bytes

    @property
    def about_presence(self) -> bool:
        """Whether a meter is there that was to be added, or is not there that was to be modified."""
        return self.type == _METER_MOD_FAILED and self.code in _PRESENCE and _kind(self.data) == Kind.METER_MOD

    def __str__(self) -> str:
        if self.type == _EXPERIMENTER:
            return f"extension error {self.code} about {_about(self.data)}"
        name = framework.ofproto.ofp_error_type_to_str(self.type)
        detail = framework.ofproto.ofp_error_code_to_str(self.type, self.code)
        return f"{name} {detail} about {_about(self.data)}"


def _kind(data: bytes) -> int:
    return data[1] if len(data) >= HEADER.size else -1


def _about(data: bytes) -> str:
    """Name the message that was refused, from its first bytes."""
    kind = _kind(data)
    if kind == Kind.BUNDLE_ADD and len(data) > BUNDLE_ADD.size:
        return _about(data[BUNDLE_ADD.size :])
    if kind == Kind.FLOW_MOD and len(data) >= FLOW_MOD.size:
        _, _, _, _, cookie, _, table, command, _, _, priority, *_ = FLOW_MOD.unpack_from(data)
        return f"flow-mod (command {command}) of table {table}, priority {priority}, cookie {cookie:#x}"
    if kind == Kind.GROUP_MOD and len(data) >= GROUP_MOD.size:
        return f"group-mod of group {GROUP_MOD.unpack_from(data)[_GROUP_ID]}"
    if kind == Kind.METER_MOD and len(data) >= METER_MOD.size:
        return f"meter-mod of meter {METER_MOD.unpack_from(data)[-1]}"
    return f"message of type {kind}"
