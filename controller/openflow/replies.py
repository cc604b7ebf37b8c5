"""What does a switch say that it holds?

Decoding of multipart replies (OpenFlow 1.5, ofp_multipart_reply) into our values, one part at a time, in their
canonical form, so that a flow that was read back equals the flow that was sent.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from controller.events import Met, PortCounters
from controller.openflow.actions import ANY, decode_instructions
from controller.openflow.codec import (
    BURST,
    DROP,
    FAILOVER,
    FLOW_MOD,
    GROUP_MOD,
    INDIRECT,
    METER_BAND,
    METER_MOD,
    METER_UNITS,
    MULTIPART,
    SELECT,
)
from controller.openflow.groups import FOREIGN_BASIS, decode_buckets, decode_choice
from controller.openflow.oxm import Undecodable, decode_match
from controller.openflow.oxs import BYTE_COUNT, FLOW_COUNT, PACKET_COUNT, decode_stat
from overlay.flow import Bucket, Flow, FlowKey, Group, Meter, Output

_LOG: Final = logging.getLogger(__name__)
_MORE: Final = 1
_FLOW_DESC: Final = Struct("!H2xBxH8xQ")
_GROUP_DESC: Final = Struct("!HBxIH6x")
_METER_DESC: Final = Struct("!HHI")
_UNITS: Final = {flag | BURST: unit for unit, flag in METER_UNITS.items()}
_UNIT_FLAGS: Final = sum(METER_UNITS.values()) | BURST
_PORT_STATS: Final = Struct("!H2xI8x8Q")
_UNCOUNTED: Final = (1 << 64) - 1
"""What a switch says where it has no such counter (OpenFlow 1.5, ofp_port_stats)."""

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
        length, table, priority, cookie = _FLOW_DESC.unpack_from(message, at)
        end = at + length
        try:
            match, after = decode_match(message, at + _FLOW_DESC.size)
        except Undecodable as error:
            _LOG.warning("passed over a flow of table %d with our mark that we cannot have made: %s", table, error)
        else:
            packets, body = decode_stat(message, after, PACKET_COUNT)
            try:
                actions, goto, meter = decode_instructions(message[body:end])
            except Undecodable:
                actions, goto, meter = FOREIGN_ACTIONS, None, None
            yield Flow(table, priority, match, cookie, actions, goto, meter), packets
        at = _next(at, length)


def flow_bytes(message: bytes) -> Iterator[tuple[FlowKey, int]]:
    """Yield the keys of flows, and how many bytes each has met; one that we cannot have made is passed over."""
    at = MULTIPART.size
    while at < len(message):
        length, table, priority, _ = _FLOW_DESC.unpack_from(message, at)
        try:
            match, after = decode_match(message, at + _FLOW_DESC.size)
        except Undecodable as error:
            _LOG.warning("passed over a flow of table %d that we cannot have made: %s", table, error)
        else:
            yield FlowKey(table, priority, match), decode_stat(message, after, BYTE_COUNT)[0]
        at = _next(at, length)


def flow_count(message: bytes) -> int:
    """Read the number of flows out of an aggregate reply."""
    return decode_stat(message, MULTIPART.size, FLOW_COUNT)[0]


def met(message: bytes) -> Met:
    """Read what flows have met out of an aggregate reply."""
    return Met(*(decode_stat(message, MULTIPART.size, wanted)[0] for wanted in (PACKET_COUNT, BYTE_COUNT)))


def groups(message: bytes) -> Iterator[Group]:
    """Yield select, indirect and failover groups; other groups are not ours, and are passed over."""
    at = MULTIPART.size
    while at < len(message):
        length, kind, group_id, buckets_length = _GROUP_DESC.unpack_from(message, at)
        if kind in {SELECT, INDIRECT, FAILOVER}:
            body = at + _GROUP_DESC.size
            middle = body + buckets_length
            try:
                buckets = decode_buckets(message[body:middle])
            except Undecodable as error:
                _LOG.warning("group %d has buckets that we cannot have made: %s", group_id, error)
                buckets = ()
            yield _group(kind, group_id, buckets, message[middle : at + length])
        at = _next(at, length)


def meters(message: bytes) -> Iterator[Meter]:
    """Yield meters that drop above a rate and have a burst; others are not ours, and are passed over."""
    at = MULTIPART.size
    while at < len(message):
        length, flags, meter_id = _METER_DESC.unpack_from(message, at)
        unit = _UNITS.get(flags & _UNIT_FLAGS)
        if unit is not None and length == _METER_DESC.size + METER_BAND.size:
            kind, _, rate, burst = METER_BAND.unpack_from(message, at + 8)
            if kind == DROP:
                yield Meter(meter_id, rate, burst, unit)
        at = _next(at, length)


def port_counters(message: bytes) -> Iterator[PortCounters]:
    """Yield the counters of every port, the switch's own one among them."""
    at = MULTIPART.size
    while at < len(message):
        length, port, *counters = _PORT_STATS.unpack_from(message, at)
        yield PortCounters(port, *(0 if counted == _UNCOUNTED else counted for counted in counters))
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
    _, _, length, _, _, kind, group_id, buckets_length, _ = GROUP_MOD.unpack_from(message)
    middle = GROUP_MOD.size + buckets_length
    return _group(kind, group_id, decode_buckets(message[GROUP_MOD.size : middle]), message[middle:length])


def _group(kind: int, group_id: int, buckets: tuple[Bucket, ...], properties: bytes) -> Group:
    if kind != SELECT:
        basis = FOREIGN_BASIS if properties else 0
        return Group(group_id, buckets, basis, failover=kind == FAILOVER, indirect=kind == INDIRECT)
    return Group(group_id, buckets, decode_choice(properties))


def meter_of_mod(message: bytes) -> Meter:
    """Read the meter back out of a meter-mod."""
    *_, flags, meter_id = METER_MOD.unpack_from(message)
    _, _, rate, burst = METER_BAND.unpack_from(message, METER_MOD.size)
    return Meter(meter_id, rate, burst, _UNITS[flags])
