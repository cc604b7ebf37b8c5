"""What does a switch do with a packet, as bytes?

Actions, the instructions that hold them, and buckets (OpenFlow 1.4 §7.2.4, §7.2.5, §7.3.4.3).  Flows share few
sequences of actions, so the bytes of a sequence are remembered.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Final, assert_never

from controller.openflow.oxm import Undecodable, decode_field, encode_field, header, name_of
from overlay.flow import FIELDS, PORT_CONTROLLER, Action, Bucket, DecTtl, Move, Output, Set, ToController, ToGroup

NO_BUFFER_MAX: Final = 0xFFFF
"""OFPCML_NO_BUFFER: hand over the whole packet."""
ANY: Final = 0xFFFFFFFF
"""OFPP_ANY, OFPG_ANY, OFPM_ALL and OFP_NO_BUFFER alike."""

_OUTPUT, _GROUP, _DEC_TTL, _SET_FIELD, _EXPERIMENTER = 0, 22, 24, 25, 0xFFFF
_GOTO, _APPLY, _METER = 1, 4, 6
_NICIRA: Final = 0x00002320
_REG_MOVE: Final = 6

_TL: Final = Struct("!HH")
_OUTPUT_ACTION: Final = Struct("!HHIH6x")
_GROUP_ACTION: Final = Struct("!HHI")
_DEC_TTL_ACTION: Final = Struct("!HH4x")
_MOVE_ACTION: Final = Struct("!HHIHHHHII")
_GOTO_INSTRUCTION: Final = Struct("!HHB3x")
_METER_INSTRUCTION: Final = Struct("!HHI")
_BUCKET: Final = Struct("!HHII4x")


def _encode_action(action: Action) -> bytes:
    match action:
        case Output(port):
            if port == PORT_CONTROLLER:
                raise ValueError("Output(PORT_CONTROLLER) would be read back as ToController(): use that")
            return _OUTPUT_ACTION.pack(_OUTPUT, 16, port, 0)
        case ToController():
            return _OUTPUT_ACTION.pack(_OUTPUT, 16, PORT_CONTROLLER, NO_BUFFER_MAX)
        case ToGroup(group_id):
            return _GROUP_ACTION.pack(_GROUP, 8, group_id)
        case DecTtl():
            return _DEC_TTL_ACTION.pack(_DEC_TTL, 8)
        case Set(name, value):
            oxm = encode_field(name, value)
            length = 4 + len(oxm) + (-(4 + len(oxm)) & 7)
            return (_TL.pack(_SET_FIELD, length) + oxm).ljust(length, b"\0")
        case Move(source, target):
            bits = FIELDS[source].bits
            return _MOVE_ACTION.pack(_EXPERIMENTER, 24, _NICIRA, _REG_MOVE, bits, 0, 0, header(source), header(target))
    assert_never(action)


@lru_cache(maxsize=1 << 14)
def encode_actions(actions: tuple[Action, ...]) -> bytes:
    """Encode actions in order."""
    return b"".join(map(_encode_action, actions))


@lru_cache(maxsize=1 << 14)
def encode_instructions(actions: tuple[Action, ...], goto: int | None, meter: int | None) -> bytes:
    """Encode meter, apply-actions and goto-table: the order in which a switch executes them."""
    out = b""
    if meter is not None:
        out += _METER_INSTRUCTION.pack(_METER, 8, meter)
    if actions:
        body = encode_actions(actions)
        out += _GROUP_ACTION.pack(_APPLY, 8 + len(body), 0) + body
    if goto is not None:
        out += _GOTO_INSTRUCTION.pack(_GOTO, 8, goto)
    return out


def encode_buckets(buckets: tuple[Bucket, ...]) -> bytes:
    """Encode the buckets of a select group."""
    out: list[bytes] = []
    for bucket in buckets:
        body = encode_actions(bucket.actions)
        watch = ANY if bucket.watch_port is None else bucket.watch_port
        out += (_BUCKET.pack(16 + len(body), bucket.weight, watch, ANY), body)
    return b"".join(out)


def _decode_action(buf: bytes, kind: int) -> Action:
    if kind == _OUTPUT:
        port = _OUTPUT_ACTION.unpack(buf)[2]
        return ToController() if port == PORT_CONTROLLER else Output(port)
    if kind == _GROUP:
        return ToGroup(_GROUP_ACTION.unpack(buf)[2])
    if kind == _DEC_TTL:
        return DecTtl()
    if kind == _SET_FIELD:
        condition = decode_field(buf[4 : 8 + buf[7]])
        if condition is None or condition.mask is not None:
            raise Undecodable("a set-field with a mask")
        return Set(condition.field, condition.value)
    if kind == _EXPERIMENTER and len(buf) == _MOVE_ACTION.size:
        _, _, vendor, subtype, bits, from_bit, to_bit, source, target = _MOVE_ACTION.unpack(buf)
        if (vendor, subtype, from_bit, to_bit) == (_NICIRA, _REG_MOVE, 0, 0):
            move = Move(name_of(source), name_of(target))
            if bits == FIELDS[move.source].bits == FIELDS[move.target].bits:
                return move
    raise Undecodable(f"action of type {kind}: {buf.hex()}")


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
            actions = decode_actions(buf[at + 8 : at + length])
        elif kind == _GOTO:
            goto = buf[at + 4]
        elif kind == _METER:
            meter = _METER_INSTRUCTION.unpack_from(buf, at)[2]
        else:
            raise Undecodable(f"instruction of type {kind}")
        at += length
    return actions, goto, meter


def decode_buckets(buf: bytes) -> tuple[Bucket, ...]:
    """Decode buckets in order.

    :raises Undecodable: for a bucket that does what ours never do.
    """
    out = []
    at = 0
    while at < len(buf):
        length, weight, watch_port, watch_group = _BUCKET.unpack_from(buf, at)
        if length < _BUCKET.size or at + length > len(buf) or watch_group != ANY:
            raise Undecodable("a bucket that overruns its group, or watches a group")
        actions = decode_actions(buf[at + 16 : at + length])
        out.append(Bucket(actions, weight, None if watch_port == ANY else watch_port))
        at += length
    return tuple(out)
