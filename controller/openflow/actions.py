"""What does a switch do with a packet, as bytes?

Actions and the instructions that hold them (OpenFlow 1.5, ofp_action_header and ofp_instruction_header).  Flows share
few sequences of actions, so the bytes of a sequence are remembered.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Final, assert_never

from controller.openflow.oxm import Undecodable, decode_field, encode_field, header, name_of
from overlay.flow import (
    FIELDS,
    PORT_CONTROLLER,
    Action,
    Conjunction,
    DecTtl,
    Move,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    Set,
    ToController,
    ToGroup,
    Track,
)

NO_BUFFER_MAX: Final = 0xFFFF
"""OFPCML_NO_BUFFER: hand over the whole packet."""
ANY: Final = 0xFFFFFFFF
"""OFPP_ANY, OFPG_ANY, OFPG_BUCKET_ALL, OFPM_ALL and OFP_NO_BUFFER alike."""

_OUTPUT, _PUSH_VLAN, _POP_VLAN, _GROUP, _DEC_TTL, _SET_FIELD, _COPY_FIELD, _METER = 0, 17, 18, 22, 24, 25, 28, 29
_EXPERIMENTER: Final = 0xFFFF
_NICIRA: Final = 0x2320
_RESUBMIT_TABLE, _CONJUNCTION, _TRACK = 14, 34, 35
_SAME_PORT: Final = 0xFFF8
"""OFPP_IN_PORT in the 16 bits of OpenFlow 1.0, which Nicira's resubmit has."""
_COMMIT: Final = 1
_NO_TABLE: Final = 0xFF
_ZONE_BITS: Final = 15
"""Bits 0 to 15 of a register: offset << 6 | number of bits - 1 (nicira-ext.h, "nx_action_conntrack")."""
_8021Q: Final = 0x8100
_GOTO, _APPLY = 1, 4

_TL: Final = Struct("!HH")
_OUTPUT_ACTION: Final = Struct("!HHIH6x")
_GROUP_ACTION: Final = Struct("!HHI")
_DEC_TTL_ACTION: Final = Struct("!HH4x")
_COPY_ACTION: Final = Struct("!HHHHH2xII4x")
_METER_ACTION: Final = Struct("!HHI")
_VLAN_ACTION: Final = Struct("!HHH2x")
_NICIRA_HEAD: Final = Struct("!HHIH")
_RESUBMIT_ACTION: Final = Struct("!HHIHHB3x")
_CONJUNCTION_ACTION: Final = Struct("!HHIHBBI")
_TRACK_ACTION: Final = Struct("!HHIHHIHB3xH")
_GOTO_INSTRUCTION: Final = Struct("!HHB3x")
_APPLY_INSTRUCTION: Final = Struct("!HH4x")

_FIXED: Final[dict[Action, bytes]] = {
    ToController(): _OUTPUT_ACTION.pack(_OUTPUT, 16, PORT_CONTROLLER, NO_BUFFER_MAX),
    DecTtl(): _DEC_TTL_ACTION.pack(_DEC_TTL, 8),
    PushVlan(): _VLAN_ACTION.pack(_PUSH_VLAN, 8, _8021Q),
    PopVlan(): _VLAN_ACTION.pack(_POP_VLAN, 8, 0),
}
_FIXED_OF: Final = {buf: action for action, buf in _FIXED.items()}


def _encode_action(action: Action) -> bytes:
    match action:
        case Output(port):
            if port == PORT_CONTROLLER:
                raise ValueError("Output(PORT_CONTROLLER) would be read back as ToController(): use that")
            return _OUTPUT_ACTION.pack(_OUTPUT, 16, port, 0)
        case ToGroup(group_id):
            return _GROUP_ACTION.pack(_GROUP, 8, group_id)
        case Set(name, value):
            oxm = encode_field(name, value)
            length = 4 + len(oxm) + (-(4 + len(oxm)) & 7)
            return (_TL.pack(_SET_FIELD, length) + oxm).ljust(length, b"\0")
        case Move(source, target):
            bits = FIELDS[source].bits
            return _COPY_ACTION.pack(_COPY_FIELD, 24, bits, 0, 0, header(source), header(target))
        case Resubmit() | Conjunction() | Track():
            return _encode_nicira(action)
        case ToController() | DecTtl() | PushVlan() | PopVlan():
            return _FIXED[action]
    assert_never(action)


def _encode_nicira(action: Resubmit | Conjunction | Track) -> bytes:
    """Encode an extension of Open vSwitch (its nicira-ext.h and ofp-actions.c)."""
    match action:
        case Resubmit(table):
            return _RESUBMIT_ACTION.pack(_EXPERIMENTER, 16, _NICIRA, _RESUBMIT_TABLE, _SAME_PORT, table)
        case Conjunction(conj_id, dimension, dimensions):
            return _CONJUNCTION_ACTION.pack(
                _EXPERIMENTER, 16, _NICIRA, _CONJUNCTION, dimension - 1, dimensions, conj_id
            )
        case Track(zone, later, commit, mark):
            nested = b"" if mark is None else _encode_action(Set("ct_mark", mark))
            head = _TRACK_ACTION.pack(
                _EXPERIMENTER, _TRACK_ACTION.size + len(nested), _NICIRA, _TRACK, _COMMIT * commit, header(zone),
                _ZONE_BITS, _NO_TABLE if later is None else later, 0,
            )  # fmt: skip
            return head + nested
    assert_never(action)


@lru_cache(maxsize=1 << 14)
def encode_actions(actions: tuple[Action, ...]) -> bytes:
    """Encode actions in order."""
    return b"".join(map(_encode_action, actions))


@lru_cache(maxsize=1 << 14)
def encode_instructions(actions: tuple[Action, ...], goto: int | None, meter: int | None) -> bytes:
    """Encode apply-actions, of which the first is the meter, and goto-table."""
    out = b""
    body = encode_actions(actions)
    if meter is not None:
        body = _METER_ACTION.pack(_METER, 8, meter) + body
    if body:
        out += _APPLY_INSTRUCTION.pack(_APPLY, 8 + len(body)) + body
    if goto is not None:
        out += _GOTO_INSTRUCTION.pack(_GOTO, 8, goto)
    return out


def _decode_action(buf: bytes, kind: int) -> Action:
    if buf in _FIXED_OF:
        return _FIXED_OF[buf]
    if kind == _OUTPUT:
        port = _OUTPUT_ACTION.unpack(buf)[2]
        return ToController() if port == PORT_CONTROLLER else Output(port)
    if kind == _GROUP:
        return ToGroup(_GROUP_ACTION.unpack(buf)[2])
    if kind == _SET_FIELD:
        conditions = decode_field(buf[4 : 8 + buf[7]])
        if len(conditions) != 1 or conditions[0].mask is not None:
            raise Undecodable("a set-field with a mask, or of two registers")
        return Set(conditions[0].field, conditions[0].value)
    if kind == _COPY_FIELD and len(buf) == _COPY_ACTION.size:
        return _decode_copy(buf)
    if kind == _EXPERIMENTER and len(buf) >= _RESUBMIT_ACTION.size:
        return _decode_nicira(buf)
    raise Undecodable(f"action of type {kind}: {buf.hex()}")


def _decode_copy(buf: bytes) -> Move:
    _, _, bits, from_bit, to_bit, source, target = _COPY_ACTION.unpack(buf)
    move = Move(name_of(source), name_of(target))
    if from_bit or to_bit or not bits == FIELDS[move.source].bits == FIELDS[move.target].bits:
        raise Undecodable(f"a copy of a part: {buf.hex()}")
    return move


def _decode_nicira(buf: bytes) -> Action:
    _, _, vendor, subtype = _NICIRA_HEAD.unpack_from(buf)
    if vendor == _NICIRA and subtype == _RESUBMIT_TABLE:
        *_, port, table = _RESUBMIT_ACTION.unpack(buf)
        if port == _SAME_PORT:
            return Resubmit(table)
    elif vendor == _NICIRA and subtype == _CONJUNCTION:
        *_, dimension, dimensions, conj_id = _CONJUNCTION_ACTION.unpack(buf)
        return Conjunction(conj_id, dimension + 1, dimensions)
    elif vendor == _NICIRA and subtype == _TRACK and len(buf) >= _TRACK_ACTION.size:
        *_, flags, zone, bits, table, helper = _TRACK_ACTION.unpack_from(buf)
        nested = decode_actions(buf[_TRACK_ACTION.size :])
        if bits == _ZONE_BITS and not helper and flags in {0, _COMMIT}:
            marks = [each.value for each in nested if isinstance(each, Set) and each.field == "ct_mark"]
            if len(marks) == len(nested) <= 1:
                later = None if table == _NO_TABLE else table
                return Track(name_of(zone), later, bool(flags), marks[0] if marks else None)
    raise Undecodable(f"extension action: {buf.hex()}")


@lru_cache(maxsize=1 << 14)
def decode_actions(buf: bytes) -> tuple[Action, ...]:
    """Decode actions in order.

    :raises Undecodable: for an action that is none of ours.
    """
    out = []
    at = 0
    while at < len(buf):
        kind, length = _TL.unpack_from(buf, at)
        if length < 8 or at + length > len(buf):  # noqa: PLR2004  (the least action)
            raise Undecodable(f"action of type {kind} with {length} bytes")
        out.append(_decode_action(buf[at : at + length], kind))
        at += length
    return tuple(out)


@lru_cache(maxsize=1 << 14)
def decode_instructions(buf: bytes) -> tuple[tuple[Action, ...], int | None, int | None]:
    """Decode (actions, goto, meter), whatever the order they came in.

    :raises Undecodable: for an instruction that is none of ours.
    """
    actions: tuple[Action, ...] = ()
    goto = meter = None
    at = 0
    while at < len(buf):
        kind, length = _TL.unpack_from(buf, at)
        if length < 8 or at + length > len(buf):  # noqa: PLR2004  (the least instruction)
            raise Undecodable(f"instruction of type {kind} with {length} bytes")
        if kind == _APPLY:
            body = buf[at + 8 : at + length]
            if len(body) >= _METER_ACTION.size and _TL.unpack_from(body) == (_METER, _METER_ACTION.size):
                meter = _METER_ACTION.unpack_from(body)[2]
                body = body[_METER_ACTION.size :]
            actions = decode_actions(body)
        elif kind == _GOTO:
            goto = buf[at + 4]
        else:
            raise Undecodable(f"instruction of type {kind}")
        at += length
    return actions, goto, meter
