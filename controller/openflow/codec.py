"""What bytes tell a switch to do what our values say?

OpenFlow 1.5 messages, encoded by hand: objects of the frameworks take 90 µs for one flow.  The law is that the bytes
are the same as theirs.  What comes back is decoded in ``controller.openflow.replies``.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import Final

from controller.openflow.actions import ANY, encode_actions, encode_instructions
from controller.openflow.groups import encode_buckets, encode_choice
from controller.openflow.oxm import encode_match
from overlay.flow import (
    COOKIE_KIND_MASK,
    COOKIE_MARK,
    COOKIE_MARK_MASK,
    PORT_CONTROLLER,
    Action,
    Condition,
    Flow,
    Group,
    Meter,
    MeterUnit,
    Output,
    Set,
    cookie,
)

VERSION: Final = 6
"""OpenFlow 1.5."""
SELECT: Final = 1
"""OFPGT_SELECT."""
INDIRECT: Final = 2
"""OFPGT_INDIRECT."""
FAILOVER: Final = 3
"""OFPGT_FF."""
DROP: Final = 1
"""OFPMBT_DROP."""
BURST: Final = 4
"""OFPMF_BURST."""
METER_UNITS: Final = {MeterUnit.KILOBITS: 1, MeterUnit.PACKETS: 2}
"""OFPMF_KBPS and OFPMF_PKTPS."""
_ATOMIC_ORDERED: Final = 1 | 2
_SET_CONFIG: Final = Struct("!BBHIHH")
_FRAG_NX_MATCH: Final = 3
_WHOLE_PACKETS: Final = 0xFFFF
_ALL_TABLES: Final = 0xFF
_WHOLE_COOKIE: Final = (1 << 64) - 1
_ALL_GROUPS: Final = 0xFFFFFFFC


class Kind(IntEnum):
    """OFPT_*: the messages that we make or read ourselves."""

    ERROR = 1
    EXPERIMENTER = 4
    SET_CONFIG = 9
    PACKET_OUT = 13
    FLOW_MOD = 14
    GROUP_MOD = 15
    MULTIPART_REQUEST = 18
    MULTIPART_REPLY = 19
    BARRIER_REQUEST = 20
    METER_MOD = 29
    BUNDLE_CONTROL = 33
    BUNDLE_ADD = 34


class FlowCommand(IntEnum):
    """OFPFC_*."""

    ADD = 0
    MODIFY_STRICT = 2
    DELETE_STRICT = 4


class Command(IntEnum):
    """OFPGC_* and OFPMC_*, which have the same numbers."""

    ADD = 0
    MODIFY = 1
    DELETE = 2


class BundleControl(IntEnum):
    """OFPBCT_*_REQUEST."""

    OPEN = 0
    CLOSE = 2
    COMMIT = 4
    DISCARD = 6


class Multipart(IntEnum):
    """OFPMP_*: what we ask switches for."""

    FLOW_DESC = 1
    AGGREGATE_STATS = 2
    PORT_STATS = 4
    GROUP_DESC = 7
    METER_DESC = 10


HEADER: Final = Struct("!BBHI")
FLOW_MOD: Final = Struct("!BBHIQQBBHHHIIIHH")
BUNDLE_ADD: Final = Struct("!BBHII2xH")
GROUP_MOD: Final = Struct("!BBHIHBxIH2xI")
METER_MOD: Final = Struct("!BBHIHHI")
METER_BAND: Final = Struct("!HHII4x")
MULTIPART: Final = Struct("!BBHIHH4x")
_BUNDLE_CONTROL: Final = Struct("!BBHIIHH")
_PACKET_OUT: Final = Struct("!BBHIIH2x")
_FLOW_REQUEST: Final = Struct("!B3xII4xQQ")
_GROUP_REQUEST: Final = Struct("!I4x")
_METER_REQUEST: Final = Struct("!I4x")
_PORT_REQUEST: Final = Struct("!I4x")
_BUNDLED_FLOW_MOD: Final = Struct(BUNDLE_ADD.format + FLOW_MOD.format[1:])
_FLUSH_ZONE: Final = Struct("!BBHIII6xH")
_NICIRA: Final = 0x2320
_CT_FLUSH_ZONE: Final = 29
"""NXT_CT_FLUSH_ZONE (openflow/nicira-ext.h)."""
_MARKED_FLOWS: Final = _FLOW_REQUEST.pack(_ALL_TABLES, ANY, ANY, COOKIE_MARK, COOKIE_MARK_MASK) + encode_match(())


def flow_mod(flow: Flow, command: FlowCommand, xid: int) -> bytes:
    """Encode one flow-mod.

    A modification or deletion is strict (table, priority and match) and only meets a flow that has our mark.
    """
    body = encode_match(flow.match)
    if command == FlowCommand.DELETE_STRICT:
        provenance, mask = COOKIE_MARK, COOKIE_MARK_MASK
    else:
        provenance, mask = flow.cookie, 0 if command == FlowCommand.ADD else COOKIE_MARK_MASK
        body += encode_instructions(flow.actions, flow.goto, flow.meter)
    return (
        FLOW_MOD.pack(
            VERSION, Kind.FLOW_MOD, 48 + len(body), xid, provenance, mask, flow.table, command, 0, 0,
            flow.priority, ANY, ANY, ANY, 0, 0,
        )
        + body
    )  # fmt: skip


def bundled_flow_add(flow: Flow, xid: int, bundle: int) -> bytes:
    """Encode ``bundle_add(flow_mod(flow, ADD))`` in one go: the hot path of a cold start."""
    body = encode_match(flow.match) + encode_instructions(flow.actions, flow.goto, flow.meter)
    length = 48 + len(body)
    return (
        _BUNDLED_FLOW_MOD.pack(
            6, 34, 16 + length, xid, bundle, 3, 6, 14, length, xid, flow.cookie, 0, flow.table, 0, 0, 0,
            flow.priority, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0,
        )
        + body
    )  # fmt: skip


def group_mod(group: Group, command: Command, xid: int) -> bytes:
    """Encode a group to be added or modified."""
    kind = FAILOVER if group.failover else INDIRECT if group.indirect else SELECT
    buckets = encode_buckets(group.buckets, weighted=kind == SELECT)
    choice = encode_choice(group.basis) if kind == SELECT else b""
    return _group_mod(group.group_id, command, xid, len(buckets), buckets + choice, kind)


def group_delete(group_id: int, xid: int) -> bytes:
    """Encode the deletion of a group (and, by OpenFlow's rules, of the flows that use it)."""
    return _group_mod(group_id, Command.DELETE, xid, 0, b"")


def _group_mod(  # noqa: PLR0917  (the fields of the message)
    group_id: int, command: Command, xid: int, buckets: int, body: bytes, kind: int = SELECT
) -> bytes:
    length = GROUP_MOD.size + len(body)
    return GROUP_MOD.pack(VERSION, Kind.GROUP_MOD, length, xid, command, kind, group_id, buckets, ANY) + body


def meter_mod(meter: Meter, command: Command, xid: int) -> bytes:
    """Encode a meter to be added, modified or deleted (which deletes the flows that use it)."""
    band = METER_BAND.pack(DROP, 16, meter.rate, meter.burst) if command != Command.DELETE else b""
    flags = METER_UNITS[meter.unit] | BURST if command != Command.DELETE else 0
    return METER_MOD.pack(VERSION, Kind.METER_MOD, 16 + len(band), xid, command, flags, meter.meter_id) + band


def flush_zone(zone: int, xid: int) -> bytes:
    """Encode that the switch forgets the connections of a zone."""
    return _FLUSH_ZONE.pack(VERSION, Kind.EXPERIMENTER, _FLUSH_ZONE.size, xid, _NICIRA, _CT_FLUSH_ZONE, zone)


def bundle_control(control: BundleControl, bundle: int, xid: int) -> bytes:
    """Encode opening, closing, committing or discarding a bundle that is atomic and ordered."""
    return _BUNDLE_CONTROL.pack(VERSION, Kind.BUNDLE_CONTROL, 16, xid, bundle, control, _ATOMIC_ORDERED)


def bundle_add(message: bytes, bundle: int, xid: int) -> bytes:
    """Wrap a message for a bundle; its xid must be ``xid`` too (OpenFlow 1.5, ofp_bundle_add_msg)."""
    return BUNDLE_ADD.pack(VERSION, Kind.BUNDLE_ADD, 16 + len(message), xid, bundle, _ATOMIC_ORDERED) + message


def show_ports_of_first_fragments(xid: int) -> bytes:
    """Encode that flows may match the ports of a packet's first fragment (OFPC_FRAG_NX_MATCH of openflow-common.h).

    Otherwise Open vSwitch takes them for zero, in that fragment as in the others.
    """
    return _SET_CONFIG.pack(VERSION, Kind.SET_CONFIG, _SET_CONFIG.size, xid, _FRAG_NX_MATCH, _WHOLE_PACKETS)


def barrier(xid: int) -> bytes:
    """Encode a barrier request."""
    return HEADER.pack(VERSION, Kind.BARRIER_REQUEST, 8, xid)


def packet_out(port: int, data: bytes, xid: int, sets: tuple[Set, ...] = ()) -> bytes:
    """Encode the emission of one frame from a port, after these fields were set."""
    return packet_through(data, (*sets, Output(port)), xid)


def packet_through(data: bytes, actions: tuple[Action, ...], xid: int, in_port: int = PORT_CONTROLLER) -> bytes:
    """Encode that one frame goes through these actions, as if it had come by a port.

    The port has to be said here: one that an action writes is lost to the connection tracker of Open vSwitch.
    """
    encoded, match = encode_actions(actions), encode_match((Condition("in_port", in_port),))
    length = _PACKET_OUT.size + len(match) + len(encoded) + len(data)
    return _PACKET_OUT.pack(VERSION, Kind.PACKET_OUT, length, xid, ANY, len(encoded)) + match + encoded + data


def _request(what: Multipart, body: bytes, xid: int) -> bytes:
    return MULTIPART.pack(VERSION, Kind.MULTIPART_REQUEST, 16 + len(body), xid, what, 0) + body


def ask_flows(xid: int) -> bytes:
    """Ask for all flows that have our mark."""
    return _request(Multipart.FLOW_DESC, _MARKED_FLOWS, xid)


def ask_flows_of(kind: int, xid: int) -> bytes:
    """Ask for all flows whose cookie has our mark and this kind."""
    wanted = _FLOW_REQUEST.pack(_ALL_TABLES, ANY, ANY, cookie(kind, 0), COOKIE_KIND_MASK) + encode_match(())
    return _request(Multipart.FLOW_DESC, wanted, xid)


def ask_flow_count(xid: int) -> bytes:
    """Ask how many flows have our mark."""
    return _request(Multipart.AGGREGATE_STATS, _MARKED_FLOWS, xid)


def ask_met(of: int, xid: int) -> bytes:
    """Ask what the flows with this cookie have met."""
    wanted = _FLOW_REQUEST.pack(_ALL_TABLES, ANY, ANY, of, _WHOLE_COOKIE) + encode_match(())
    return _request(Multipart.AGGREGATE_STATS, wanted, xid)


def ask_groups(xid: int) -> bytes:
    """Ask for the descriptions of all groups."""
    return _request(Multipart.GROUP_DESC, _GROUP_REQUEST.pack(_ALL_GROUPS), xid)


def ask_meters(xid: int) -> bytes:
    """Ask for the configuration of all meters."""
    return _request(Multipart.METER_DESC, _METER_REQUEST.pack(ANY), xid)


def ask_ports(xid: int) -> bytes:
    """Ask for the counters of all ports."""
    return _request(Multipart.PORT_STATS, _PORT_REQUEST.pack(ANY), xid)
