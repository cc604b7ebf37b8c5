"""What does a switch say that it holds?

Decoding of multipart replies (OpenFlow 1.4 §7.3.5) into our values, one part at a time, in their canonical form, so
that a flow that was read back equals the flow that was sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from controller.openflow.actions import ANY, decode_buckets, decode_instructions
from controller.openflow.codec import (
    DROP,
    FLOW_MOD,
    GROUP_MOD,
    METER_BAND,
    METER_FLAGS,
    METER_MOD,
    MULTIPART,
    SELECT,
)
from controller.openflow.oxm import Undecodable, decode_match
from overlay.flow import Flow, Group, Meter, Output

_LOG: Final = logging.getLogger(__name__)
_MORE: Final = 1
_FLOW_STATS: Final = Struct("!HBxIIHHHHH2xQQQ")
_AGGREGATE: Final = Struct("!QQI4x")
_GROUP_DESC: Final = Struct("!HBxI")
_METER_CONFIG: Final = Struct("!HHI")

FOREIGN_ACTIONS: Final = (Output(ANY),)
"""Stands for actions that ours never are: a flow read back with them differs from any flow that could be wanted."""


class Part(NamedTuple):
    """One message of a multipart reply."""

    kind: int
    more: bool


def part(message: bytes) -> Part:
    """Read what a multipart reply is about, and whether more of it follows."""
    _, _, _, _, kind, flags = MULTIPART.unpack_from(message)
    return Part(kind, bool(flags & _MORE))


def flows(message: bytes) -> Iterator[tuple[Flow, int]]:
    """Yield flows and how many packets each has met.

    A flow whose actions are none of ours comes with :data:`FOREIGN_ACTIONS`; one whose match has fields that we never
    use can collide with none of ours, and is passed over with a line in the log.
    """
    at = MULTIPART.size
    while at < len(message):
        length, table, _, _, priority, _, _, _, _, cookie, packets, _ = _FLOW_STATS.unpack_from(message, at)
        end = at + length
        try:
            match, body = decode_match(message, at + _FLOW_STATS.size)
        except Undecodable as error:
            _LOG.warning("passed over a flow of table %d with our mark that we cannot have made: %s", table, error)
        else:
            try:
                actions, goto, meter = decode_instructions(message[body:end])
            except Undecodable:
                actions, goto, meter = FOREIGN_ACTIONS, None, None
            yield Flow(table, priority, match, cookie, actions, goto, meter), packets
        at = _next(at, length)


def flow_count(message: bytes) -> int:
    """Read the number of flows out of an aggregate reply."""
    count: int = _AGGREGATE.unpack_from(message, MULTIPART.size)[2]
    return count


def groups(message: bytes) -> Iterator[Group]:
    """Yield select groups; other groups are not ours, and are passed over."""
    at = MULTIPART.size
    while at < len(message):
        length, kind, group_id = _GROUP_DESC.unpack_from(message, at)
        if kind == SELECT:
            try:
                yield Group(group_id, decode_buckets(message[at + 8 : at + length]))
            except Undecodable as error:
                _LOG.warning("group %d has buckets that we cannot have made: %s", group_id, error)
                yield Group(group_id, ())
        at = _next(at, length)


def meters(message: bytes) -> Iterator[Meter]:
    """Yield meters that drop above a rate of packets; others are not ours, and are passed over."""
    at = MULTIPART.size
    while at < len(message):
        length, flags, meter_id = _METER_CONFIG.unpack_from(message, at)
        if flags & METER_FLAGS == METER_FLAGS and length == _METER_CONFIG.size + METER_BAND.size:
            kind, _, rate, burst = METER_BAND.unpack_from(message, at + 8)
            if kind == DROP:
                yield Meter(meter_id, rate, burst)
        at = _next(at, length)


def _next(at: int, length: int) -> int:
    if not length:
        raise Undecodable("an entry of no length in a multipart reply")
    return at + length


def flow_of_mod(message: bytes) -> Flow:
    """Read the flow back out of a flow-mod.

    :raises Undecodable: when it says what our values cannot.
    """
    _, _, length, _, cookie, _, table, _, _, _, priority, *_ = FLOW_MOD.unpack_from(message)
    match, body = decode_match(message, FLOW_MOD.size)
    return Flow(table, priority, match, cookie, *decode_instructions(message[body:length]))


def group_of_mod(message: bytes) -> Group:
    """Read the group back out of a group-mod."""
    _, _, length, _, _, _, group_id = GROUP_MOD.unpack_from(message)
    return Group(group_id, decode_buckets(message[GROUP_MOD.size : length]))


def meter_of_mod(message: bytes) -> Meter:
    """Read the meter back out of a meter-mod."""
    *_, meter_id = METER_MOD.unpack_from(message)
    _, _, rate, burst = METER_BAND.unpack_from(message, METER_MOD.size)
    return Meter(meter_id, rate, burst)
