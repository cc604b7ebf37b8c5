"""The codec's laws: what is decoded is what was encoded, and the bytes are those of the framework."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller import framework
from controller.events import PortCounters
from controller.openflow import codec, replies
from controller.openflow.actions import decode_actions, encode_actions
from controller.openflow.codec import BundleControl, Command, FlowCommand
from controller.openflow.oxm import decode_match, encode_match
from overlay.flow import (
    COOKIE_MARK,
    COOKIE_MARK_MASK,
    FIELDS,
    PORT_CONTROLLER,
    Action,
    Bucket,
    Conjunction,
    DecTtl,
    Flow,
    Group,
    Match,
    Meter,
    MeterUnit,
    Move,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    Set,
    ToController,
    ToGroup,
    Track,
    conditions,
)

XID = 0x01020304
BUNDLE = 7
OUT_OF_ORDER = {"nd_reserved", "nd_options_type", "ip_frag"}
"""Where the framework has none of it, or puts it before what it depends on."""
THEIRS = framework.ProtocolDesc(framework.ofproto.OFP_VERSION)
ofp, parser = framework.ofproto, framework.parser

ports = st.integers(1, 0xFFFFFFFF).filter(lambda port: port != PORT_CONTROLLER)
u32 = st.integers(0, 0xFFFFFFFF)


def _values(name: str):
    full = (1 << FIELDS[name].bits) - 1
    exact = st.integers(0, full)
    return st.one_of(exact, st.tuples(exact, exact)) if FIELDS[name].maskable else exact


def matches(names):
    """Matches over some fields."""
    chosen = st.lists(st.sampled_from(sorted(names)), unique=True, max_size=8)
    return chosen.flatmap(lambda some: st.fixed_dictionaries({name: _values(name) for name in some})).map(conditions)


def sets(names):
    """Writes into whole fields, but for the port of arrival: the framework knows no header that a switch would take."""
    return st.sampled_from(sorted(set(names) - {"in_port"})).flatmap(
        lambda name: st.builds(Set, st.just(name), st.integers(0, (1 << FIELDS[name].bits) - 1))
    )


def moves(names):
    """Copies between fields of one width."""
    return st.sampled_from(sorted(names)).flatmap(
        lambda name: st.builds(
            Move,
            st.just(name),
            st.sampled_from(sorted(other for other in names if FIELDS[other].bits == FIELDS[name].bits)),
        )
    )


def actions(names):
    """Sequences of actions."""
    one = st.one_of(
        st.builds(Output, ports),
        st.just(ToController()),
        sets(names),
        moves(names),
        st.builds(ToGroup, u32),
        st.just(DecTtl()),
        st.just(PushVlan()),
        st.just(PopVlan()),
        st.builds(Resubmit, st.integers(0, 254)),
        st.builds(Conjunction, u32, st.integers(1, 64), st.integers(2, 64)),
        st.builds(
            Track,
            st.sampled_from([f"reg{n}" for n in range(16)]),
            st.none() | st.integers(0, 254),
            st.booleans(),
            st.none() | u32,
        ),
    )
    return st.lists(one, max_size=5).map(tuple)


def flows(names):
    """Whole flows."""
    return st.builds(
        Flow,
        table=st.integers(0, 254),
        priority=st.integers(0, 0xFFFF),
        match=matches(names),
        cookie=st.integers(0, (1 << 64) - 1),
        actions=actions(names),
        goto=st.none() | st.integers(0, 254),
        meter=st.none() | u32,
    )


KNOWN = set(FIELDS) - OUT_OF_ORDER
selects = st.builds(
    Group,
    group_id=st.integers(0, 0xFFFFFF00),
    buckets=st.lists(
        st.builds(
            Bucket,
            actions=actions(KNOWN),
            weight=st.integers(0, 0xFFFF),
            watch_port=st.none() | ports.filter(lambda p: p != 0xFFFFFFFF),
        ),
        max_size=4,
    ).map(tuple),
    basis=u32,
)
meters = st.builds(Meter, meter_id=u32, rate=u32, burst=u32, unit=st.sampled_from(MeterUnit))
failovers = st.builds(
    Group,
    group_id=st.integers(0, 0xFFFFFF00),
    buckets=st.lists(
        st.builds(Bucket, actions=actions(KNOWN), watch_port=ports.filter(lambda p: p != 0xFFFFFFFF)), max_size=4
    ).map(tuple),
    failover=st.just(True),
)
indirects = st.builds(
    Group,
    group_id=st.integers(0, 0xFFFFFF00),
    buckets=st.tuples(st.builds(Bucket, actions=actions(KNOWN))),
    indirect=st.just(True),
)
groups = selects | failovers | indirects


def _user(name: str, value: int):
    """Spell a value as the framework's users do."""
    if name in {"eth_dst", "eth_src", "arp_sha", "arp_tha", "ipv6_nd_sll", "ipv6_nd_tll"}:
        return value.to_bytes(6).hex(":")
    if FIELDS[name].bits == 128:
        return str(IPv6Address(value))
    if name.startswith(("ipv4_", "tun_ipv4", "arp_spa", "arp_tpa")):
        return str(IPv4Address(value))
    return value


def _their_match(match: Match):
    return parser.OFPMatch(
        **{
            c.field: _user(c.field, c.value) if c.mask is None else (_user(c.field, c.value), _user(c.field, c.mask))
            for c in match
        }
    )


def _their_action(action: Action):  # noqa: C901  (one line for each kind)
    match action:
        case Output(port):
            return parser.OFPActionOutput(port, 0)
        case ToController():
            return parser.OFPActionOutput(ofp.OFPP_CONTROLLER, ofp.OFPCML_NO_BUFFER)
        case Set(name, value):
            return parser.OFPActionSetField(**{name: _user(name, value)})
        case Move(source, target):
            return parser.OFPActionCopyField(
                FIELDS[source].bits, 0, 0, [parser.OFPOxmId(source), parser.OFPOxmId(target)]
            )
        case ToGroup(group_id):
            return parser.OFPActionGroup(group_id)
        case DecTtl():
            return parser.OFPActionDecNwTtl()
        case PushVlan():
            return parser.OFPActionPushVlan()
        case PopVlan():
            return parser.OFPActionPopVlan()
        case Resubmit(table):
            return parser.NXActionResubmitTable(in_port=0xFFF8, table_id=table)
        case Conjunction(conj_id, dimension, dimensions):
            return parser.NXActionConjunction(dimension - 1, dimensions, conj_id)
        case Track(zone, table, commit, mark):
            nested = [] if mark is None else [parser.OFPActionSetField(ct_mark=mark)]
            later = 0xFF if table is None else table
            return parser.NXActionCT(int(commit), zone, 15, later, 0, nested)
    raise AssertionError(action)


def _their_instructions(flow: Flow):
    out = []
    applied = [] if flow.meter is None else [parser.OFPActionMeter(flow.meter)]
    applied += map(_their_action, flow.actions)
    if applied:
        out.append(parser.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, applied))
    if flow.goto is not None:
        out.append(parser.OFPInstructionGotoTable(flow.goto))
    return out


def _their_kind(group: Group) -> int:
    if group.failover:
        return ofp.OFPGT_FF
    return ofp.OFPGT_INDIRECT if group.indirect else ofp.OFPGT_SELECT


def _their_bucket_properties(bucket: Bucket, kind: int):
    out = (
        [] if kind != ofp.OFPGT_SELECT else [parser.OFPGroupBucketPropWeight(ofp.OFPGBPT_WEIGHT, weight=bucket.weight)]
    )
    if bucket.watch_port is not None:
        out.append(parser.OFPGroupBucketPropWatch(ofp.OFPGBPT_WATCH_PORT, watch=bucket.watch_port))
    return out


def _their_flow_mod(flow: Flow, command: FlowCommand):
    deletes = command == FlowCommand.DELETE_STRICT
    return parser.OFPFlowMod(
        THEIRS,
        cookie=COOKIE_MARK if deletes else flow.cookie,
        cookie_mask=0 if command == FlowCommand.ADD else COOKIE_MARK_MASK,
        table_id=flow.table,
        command=int(command),
        priority=flow.priority,
        buffer_id=ofp.OFP_NO_BUFFER,
        out_port=ofp.OFPP_ANY,
        out_group=ofp.OFPG_ANY,
        match=_their_match(flow.match),
        instructions=[] if deletes else _their_instructions(flow),
    )


def _bytes(message) -> bytes:
    if message.xid is None:
        message.set_xid(XID)
    message.serialize()
    return bytes(message.buf)


@given(flows(FIELDS))
def test_a_flow_survives_the_wire(flow):
    """Decoding an encoded flow gives that flow, whatever its fields and masks."""
    assert replies.flow_of_mod(codec.flow_mod(flow, FlowCommand.ADD, XID)) == flow


@given(matches(FIELDS))
def test_a_match_is_padded_to_eight_bytes(match):
    """A match ends on a multiple of eight bytes and decodes to itself."""
    encoded = encode_match(match)
    assert decode_match(encoded, 0) == (match, len(encoded))
    assert len(encoded) % 8 == 0


@given(matches([f"reg{n}" for n in range(16)]))
def test_registers_that_come_back_in_pairs_are_the_same(match):
    """A match on registers equals that which a switch says again in packet registers of 64 bits."""
    value, mask = [0] * 16, [0] * 16
    for name, v, m in match:
        number = int(name.removeprefix("reg"))
        value[number], mask[number] = v, 0xFFFFFFFF if m is None else m
    pairs = [
        struct.pack("!HBB4I", 0x8001, n << 1 | 1, 16, *value[2 * n : 2 * n + 2], *mask[2 * n : 2 * n + 2])
        for n in range(8)
    ]
    body = b"".join(pairs)
    assert decode_match(struct.pack("!HH", 1, 4 + len(body)) + body + bytes(4), 0)[0] == match


@given(groups)
def test_a_group_survives_the_wire(group):
    """Decoding an encoded group gives that group."""
    assert replies.group_of_mod(codec.group_mod(group, Command.ADD, XID)) == group


@given(meters)
def test_a_meter_survives_the_wire(meter):
    """Decoding an encoded meter gives that meter."""
    assert replies.meter_of_mod(codec.meter_mod(meter, Command.ADD, XID)) == meter


@given(flows(KNOWN), st.sampled_from(FlowCommand))
def test_flow_mods_are_the_frameworks(flow, command):
    """Our flow-mods are, byte for byte, those of the framework."""
    assert codec.flow_mod(flow, command, XID) == _bytes(_their_flow_mod(flow, command))


@given(flows(FIELDS))
def test_the_short_cut_makes_the_same_bytes(flow):
    """A flow encoded for a bundle in one go is the flow-mod wrapped for the bundle."""
    assert codec.bundled_flow_add(flow, XID, BUNDLE) == codec.bundle_add(
        codec.flow_mod(flow, FlowCommand.ADD, XID), BUNDLE, XID
    )


@given(st.integers(0, 0xFF00))
def test_the_port_of_arrival_is_written_by_its_short_header(port):
    """A write of the port of arrival has 16 bits (NXM_OF_IN_PORT), and is read back as it was."""
    body = encode_actions((Set("in_port", port),))
    assert body == struct.pack("!HHIH6x", 25, 16, 2, port)
    assert decode_actions(body) == (Set("in_port", port),)


@given(groups, st.sampled_from([Command.ADD, Command.MODIFY]))
def test_group_mods_are_the_frameworks(group, command):
    """Our group-mods are, byte for byte, those of the framework."""
    buckets = [
        parser.OFPBucket(
            number, [_their_action(a) for a in bucket.actions], _their_bucket_properties(bucket, _their_kind(group))
        )
        for number, bucket in enumerate(group.buckets)
    ]
    method = struct.unpack("!4I", b"dp_hash".ljust(16, b"\0"))
    choice = parser.OFPGroupPropExperimenter(
        ofp.OFPGPT_EXPERIMENTER, experimenter=0x154D, exp_type=1, data=[0, *method, 0, group.basis]
    )
    theirs = parser.OFPGroupMod(
        THEIRS,
        int(command),
        _their_kind(group),
        group.group_id,
        ofp.OFPG_BUCKET_ALL,
        buckets,
        [choice] if _their_kind(group) == ofp.OFPGT_SELECT else [],
    )
    assert codec.group_mod(group, command, XID) == _bytes(theirs)


@given(meters, st.sampled_from(Command))
def test_meter_mods_are_the_frameworks(meter, command):
    """Our meter-mods are, byte for byte, those of the framework."""
    deletes = command == Command.DELETE
    bands = [] if deletes else [parser.OFPMeterBandDrop(rate=meter.rate, burst_size=meter.burst)]
    unit = {MeterUnit.PACKETS: ofp.OFPMF_PKTPS, MeterUnit.KILOBITS: ofp.OFPMF_KBPS}[meter.unit]
    flags = 0 if deletes else unit | ofp.OFPMF_BURST
    theirs = parser.OFPMeterMod(THEIRS, int(command), flags, meter.meter_id, bands)
    assert codec.meter_mod(meter, command, XID) == _bytes(theirs)


@given(flows(KNOWN))
def test_bundled_messages_are_the_frameworks(flow):
    """A message wrapped for a bundle is, byte for byte, what the framework makes of it."""
    theirs = parser.OFPBundleAddMsg(
        THEIRS, BUNDLE, ofp.OFPBF_ATOMIC | ofp.OFPBF_ORDERED, _their_flow_mod(flow, FlowCommand.ADD), []
    )
    assert codec.bundled_flow_add(flow, XID, BUNDLE) == _bytes(theirs)


@pytest.mark.parametrize("control", BundleControl)
def test_bundle_controls_are_the_frameworks(control):
    """Opening, closing, committing and discarding a bundle are the framework's bytes."""
    theirs = parser.OFPBundleCtrlMsg(THEIRS, BUNDLE, int(control), ofp.OFPBF_ATOMIC | ofp.OFPBF_ORDERED, [])
    assert codec.bundle_control(control, BUNDLE, XID) == _bytes(theirs)


@given(ports, st.binary(max_size=100))
def test_packet_outs_are_the_frameworks(port, data):
    """Our packet-outs are, byte for byte, those of the framework."""
    theirs = parser.OFPPacketOut(
        THEIRS,
        ofp.OFP_NO_BUFFER,
        parser.OFPMatch(in_port=ofp.OFPP_CONTROLLER),
        [parser.OFPActionOutput(port, 0)],
        data,
    )
    assert codec.packet_out(port, data, XID) == _bytes(theirs)


def test_questions_are_the_frameworks():
    """Barrier, group deletion and multipart requests are the framework's bytes."""
    mine = {"cookie": COOKIE_MARK, "cookie_mask": COOKIE_MARK_MASK, "match": parser.OFPMatch()}
    everything = (ofp.OFPTT_ALL, ofp.OFPP_ANY, ofp.OFPG_ANY)
    pairs = [
        (codec.barrier(XID), parser.OFPBarrierRequest(THEIRS)),
        (codec.show_ports_of_first_fragments(XID), parser.OFPSetConfig(THEIRS, 3, 0xFFFF)),
        (codec.group_delete(9, XID), parser.OFPGroupMod(THEIRS, ofp.OFPGC_DELETE, ofp.OFPGT_SELECT, 9)),
        (codec.ask_flows(XID), parser.OFPFlowDescStatsRequest(THEIRS, 0, *everything, **mine)),
        (
            codec.ask_flows_of(0x90, XID),
            parser.OFPFlowDescStatsRequest(
                THEIRS, 0, *everything, COOKIE_MARK | 0x90 << 40, 0xFFFFFF << 40, parser.OFPMatch()
            ),
        ),
        (codec.ask_flow_count(XID), parser.OFPAggregateStatsRequest(THEIRS, 0, *everything, **mine)),
        (
            codec.ask_met(0x564C0500000000AB, XID),
            parser.OFPAggregateStatsRequest(
                THEIRS, 0, *everything, 0x564C0500000000AB, 0xFFFFFFFFFFFFFFFF, parser.OFPMatch()
            ),
        ),
        (codec.ask_ports(XID), parser.OFPPortStatsRequest(THEIRS, 0, ofp.OFPP_ANY)),
        (codec.ask_groups(XID), parser.OFPGroupDescStatsRequest(THEIRS, 0)),
        (codec.ask_meters(XID), parser.OFPMeterDescStatsRequest(THEIRS, 0, ofp.OFPM_ALL)),
    ]
    for ours, theirs in pairs:
        assert ours == _bytes(theirs)


@given(st.lists(st.tuples(u32, *[st.integers(0, (1 << 64) - 1)] * 8), max_size=4), st.integers(0, 2))
def test_port_counters_are_those_that_the_framework_reads(entries, padding):
    """Our decoder reads every port's counters out of an answer as the framework does; what is not counted is zero.

    Properties behind the counters (here experimenter ones) are passed over.
    """
    extra = struct.pack("!HHII", 0xFFFF, 12, 0x564C, 1) + bytes(4)
    body = b"".join(
        struct.pack("!H2xIII8Q", 80 + 16 * padding, port, 7, 8, *counters) + extra * padding
        for port, *counters in entries
    )
    message = struct.pack("!BBHIHH4x", 6, 19, 16 + len(body), XID, 4, 0) + body
    theirs = parser.OFPPortStatsReply.parser(None, 6, 19, len(message), XID, message).body
    names = PortCounters._fields[1:]
    unknown = (1 << 64) - 1
    assert list(replies.port_counters(message)) == [
        PortCounters(their.port_no, *(0 if (value := getattr(their, name)) == unknown else value for name in names))
        for their in theirs
    ]


def test_the_framework_names_the_same_numbers():
    """Message and multipart numbers are those that the framework knows."""
    assert {k: getattr(ofp, f"OFPT_{k.name.replace('BUNDLE_ADD', 'BUNDLE_ADD_MESSAGE')}") for k in codec.Kind} == {
        k: int(k) for k in codec.Kind
    }
    assert {k: getattr(ofp, f"OFPMP_{k.name}") for k in codec.Multipart} == {k: int(k) for k in codec.Multipart}


def test_outputs_to_the_controller_are_refused_in_disguise():
    """There is one way to say "to the controller", so that what is read back is equal."""
    with pytest.raises(ValueError, match="ToController"):
        codec.flow_mod(Flow(0, 0, (), 0, (Output(PORT_CONTROLLER),)), FlowCommand.ADD, XID)
