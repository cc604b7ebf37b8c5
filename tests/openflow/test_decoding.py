"""What is not ours, or not well formed, is said to be so instead of being guessed at."""

from __future__ import annotations

import struct

import pytest

from controller.openflow import codec, replies
from controller.openflow.codec import Command, FlowCommand
from controller.openflow.complaint import Complaint
from controller.openflow.groups import FOREIGN_BASIS, encode_buckets
from controller.openflow.oxm import Undecodable, decode_match, header, name_of
from controller.openflow.oxs import FLOW_COUNT, PACKET_COUNT, decode_stat
from overlay.flow import FIELDS, Bucket, Flow, Group, Meter, Output, Set, conditions, cookie


def _match(*oxms: bytes) -> bytes:
    body = b"".join(oxms)
    return struct.pack("!HH", 1, 4 + len(body)) + body + bytes(-(4 + len(body)) % 8)


@pytest.mark.parametrize("name", FIELDS)
def test_a_fields_header_names_it(name):
    """Each field's header stands for that field and no other."""
    assert name_of(header(name)) == name


def test_masks_are_canonical():
    """A full mask is no mask, an empty one no condition, and value bits outside of it are dropped."""
    reg1, reg2, reg3 = (struct.pack("!HBB", 1, n << 1 | 1, 8) for n in (1, 2, 3))
    encoded = _match(
        reg3 + struct.pack("!II", 0xFFFF, 0xF0),
        reg2 + struct.pack("!II", 5, 0),
        reg1 + struct.pack("!II", 5, 0xFFFFFFFF),
    )
    assert decode_match(encoded, 0)[0] == conditions({"reg1": 5, "reg3": (0xF0, 0xF0)})


def test_older_headers_mean_the_same_fields():
    """A switch may answer in Nicira's own headers, which stand for the same fields."""
    tunnel = struct.pack("!HBBQ", 1, 16 << 1, 8, 7)
    ether = struct.pack("!HBBH", 0, 3 << 1, 2, 0x0806)
    assert decode_match(_match(ether, tunnel), 0)[0] == conditions({"eth_type": 0x0806, "tunnel_id": 7})


def test_a_packet_register_is_two_registers():
    """A pair of registers, in which a switch answers, is its upper and its lower half; what no mask keeps is absent."""
    pair, masked = (struct.pack("!HBBII", 0x8001, 3 << 1, 8, 7, 9), struct.pack("!HBBIIII", 0x8001, 1, 16, 5, 6, 0, 4))
    assert decode_match(_match(pair), 0)[0] == conditions({"reg6": 7, "reg7": 9})
    assert decode_match(_match(masked), 0)[0] == conditions({"reg1": (4, 4)})


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(_match(struct.pack("!HBBQ", 0x8001, 8 << 1, 8, 1)), id="a register that is not there"),
        pytest.param(_match(struct.pack("!HBBI", 0x8001, 1 << 1, 4, 1)), id="half a pair of registers"),
        pytest.param(_match(struct.pack("!HBBQ", 0x8001, 3, 8, 1)), id="a pair's mask too short"),
        pytest.param(
            _match(struct.pack("!HBBI", 1, 1 << 1, 4, 1), struct.pack("!HBBQ", 0x8001, 0, 8, 1)),
            id="a register twice",
        ),
        pytest.param(_match(struct.pack("!HBBB", 0x8000, 7 << 1, 1, 1)), id="a field that we never use"),
        pytest.param(_match(struct.pack("!HBBH", 0x8000, 5 << 1, 2, 1) * 2), id="a field twice"),
        pytest.param(_match(struct.pack("!HBBH", 0x8000, 3 << 1, 2, 1)), id="a field too short"),
        pytest.param(_match(struct.pack("!HBBI", 0x8000, 5 << 1 | 1, 2, 1)), id="a mask too short"),
        pytest.param(_match(struct.pack("!HBB", 0x8000, 5 << 1, 9)), id="a field that overruns"),
        pytest.param(struct.pack("!HHI", 1, 400, 0), id="a match that overruns"),
        pytest.param(struct.pack("!HHI", 0, 4, 0), id="a match of another type"),
    ],
)
def test_strange_matches_are_undecodable(encoded):
    """A match that our values cannot say raises, and is not taken for another."""
    with pytest.raises(Undecodable):
        decode_match(encoded, 0)


@pytest.mark.parametrize(
    "instructions",
    [
        pytest.param(struct.pack("!HH4x", 5, 8), id="clear actions"),
        pytest.param(struct.pack("!HH4x", 3, 8), id="write actions"),
        pytest.param(struct.pack("!HH4xHHH2x", 4, 16, 17, 8, 0x88A8), id="push a service tag"),
        pytest.param(struct.pack("!HH4xHHIHHB3x", 4, 24, 0xFFFF, 16, 0x2320, 14, 1, 3), id="resubmit as another port"),
        pytest.param(
            struct.pack("!HH4xHHIHHIHB3xH", 4, 32, 0xFFFF, 24, 0x2320, 35, 2, 0x10404, 15, 0xFF, 0), id="track by force"
        ),
        pytest.param(
            struct.pack("!HH4xHHIHHIHB3xH", 4, 32, 0xFFFF, 24, 0x2320, 35, 0, 0, 7, 0xFF, 0), id="track in zone 7"
        ),
        pytest.param(
            struct.pack("!HH4xHHIHHIHB3xHHHI", 4, 40, 0xFFFF, 32, 0x2320, 35, 1, 0x10404, 15, 0xFF, 0, 22, 8, 1),
            id="track with a group",
        ),
        pytest.param(struct.pack("!HH4xHHIH6x", 4, 24, 0xFFFF, 16, 0x2321, 14), id="another's extension"),
        pytest.param(struct.pack("!HH4xHH", 4, 12, 0, 4), id="an action too short"),
        pytest.param(struct.pack("!HH4xHH4x", 4, 16, 24, 80), id="an action that overruns"),
        pytest.param(struct.pack("!HH4xHHI16x", 4, 32, 0xFFFF, 24, 0x2320), id="another extension"),
        pytest.param(struct.pack("!HH4x", 1, 80), id="an instruction that overruns"),
        pytest.param(struct.pack("!HHI", 6, 8, 1), id="a meter as instruction"),
        pytest.param(struct.pack("!HH4xHH4xHHI", 4, 24, 24, 8, 29, 8, 1), id="a meter after an action"),
        pytest.param(struct.pack("!HH4xHHIHHI", 4, 24, 29, 8, 1, 29, 8, 2), id="two meters"),
        pytest.param(struct.pack("!HH4xHHHHH2xII4x", 4, 32, 28, 24, 32, 1, 0, 0x10204, 0x10404), id="a copy of a part"),
        pytest.param(struct.pack("!HH4xHHHBBQ", 4, 24, 25, 16, 0x8001, 0, 8, 1), id="a write of two registers"),
    ],
)
def test_strange_instructions_are_undecodable(instructions):
    """Instructions and actions that are none of ours raise, and are not left out."""
    empty = codec.flow_mod(Flow(0, 0, (), 0), FlowCommand.ADD, 1)
    message = empty[:2] + struct.pack("!H", len(empty) + len(instructions)) + empty[4:] + instructions
    with pytest.raises(Undecodable):
        replies.flow_of_mod(message)


GROUP = Group(7, (Bucket((Output(1),), 2, 1),), 5)
DP_HASH = b"dp_hash".ljust(16, b"\0")


def _choice(*, size=40, vendor=0x154D, kind=1, method=DP_HASH, algorithm=0) -> bytes:
    return struct.pack("!HHII4x16sII", 0xFFFF, size, vendor, kind, method, algorithm, 5)


def _described(buckets: bytes, properties: bytes) -> list[Group]:
    """Let a switch describe a group with these buckets and properties."""
    body = struct.pack("!HBxIH6x", 16 + len(buckets) + len(properties), 1, 7, len(buckets)) + buckets + properties
    return list(replies.groups(struct.pack("!BBHIHH4x", 6, 19, 16 + len(body), 1, 7, 0) + body))


def test_a_described_group_is_the_group():
    """A group that a switch describes equals the one that it was told."""
    assert _described(encode_buckets(GROUP.buckets), _choice()) == [GROUP]


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param(b"", id="none"),
        pytest.param(_choice(vendor=0x2320), id="of another vendor"),
        pytest.param(_choice(kind=2), id="of another type"),
        pytest.param(_choice(method=b"hash".ljust(16, b"\0")), id="hash"),
        pytest.param(_choice(algorithm=1), id="symmetric"),
        pytest.param(_choice(size=44) + bytes(8), id="with fields"),
        pytest.param(_choice() + _choice(), id="twice"),
    ],
)
def test_another_choice_is_nobodys_wish(properties):
    """A group that chooses by anything but our hash has its buckets, and a basis that no group of ours can have."""
    assert _described(encode_buckets(GROUP.buckets), properties) == [Group(7, GROUP.buckets, FOREIGN_BASIS)]
    with pytest.raises(struct.error):
        codec.group_mod(Group(7, (), FOREIGN_BASIS), Command.ADD, 1)


def _bucket(properties: bytes = b"", actions: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("!HHI", length or 8 + len(actions) + len(properties), len(actions), 0) + actions + properties


def test_a_bucket_without_properties_has_weight_one():
    """Where a switch leaves weight and watched port out, the bucket weighs one and watches none."""
    nobody = struct.pack("!HHI", 1, 8, 0xFFFFFFFF) + struct.pack("!HHI", 2, 8, 0xFFFFFFFF)
    assert _described(_bucket() + _bucket(nobody), _choice()) == [Group(7, (Bucket(()), Bucket(())), 5)]


@pytest.mark.parametrize(
    "buckets",
    [
        pytest.param(_bucket(struct.pack("!HHI", 2, 8, 9)), id="watches a group"),
        pytest.param(_bucket(struct.pack("!HHI", 9, 8, 9)), id="an unknown property"),
        pytest.param(_bucket(struct.pack("!HHI", 0, 0, 9)), id="a property of no length"),
        pytest.param(_bucket(struct.pack("!HH", 0, 8)), id="half a property"),
        pytest.param(_bucket(actions=struct.pack("!HHI", 17, 8, 0)), id="a foreign action"),
        pytest.param(_bucket(length=80), id="a bucket that overruns"),
        pytest.param(_bucket(length=4), id="a bucket too short"),
        pytest.param(bytes(4), id="half a bucket"),
        pytest.param(struct.pack("!HHI", 8, 8, 0), id="actions that overrun"),
    ],
)
def test_strange_buckets_are_no_buckets(buckets):
    """A group with buckets that ours never have is shown without any, so that it differs from what is wanted."""
    assert _described(buckets, _choice()) == [Group(7, (), 5)]


@pytest.mark.parametrize("field", [FLOW_COUNT, PACKET_COUNT])
def test_statistics_that_are_left_out_are_zero(field):
    """A switch may count other things, or none; what is not there counts zero, and what overruns is said to."""
    other = struct.pack("!HBBII", 0x8002, 0, 8, 1, 2)
    assert decode_stat(struct.pack("!HH", 0, 4) + bytes(4), 0, field) == (0, 8)
    assert decode_stat(struct.pack("!HH", 0, 16) + other, 0, field) == (0, 16)
    for bad in (struct.pack("!HH", 0, 20) + other, struct.pack("!HH", 0, 12) + other):
        with pytest.raises(Undecodable):
            decode_stat(bad, 0, field)


FLOW = Flow(3, 7, conditions({"reg1": 1}), cookie(1, 2), (Output(1), Set("reg2", 1)), 4)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (codec.flow_mod(FLOW, FlowCommand.ADD, 9), "table 3, priority 7, cookie 0x564c010000000002"),
        (codec.bundled_flow_add(FLOW, 9, 9)[:64], "table 3, priority 7, cookie 0x564c010000000002"),
        (codec.group_mod(Group(77, ()), Command.ADD, 9), "group 77"),
        (codec.bundle_add(codec.group_mod(GROUP, Command.ADD, 9), 9, 9)[:64], "group 7"),
        (codec.meter_mod(Meter(78, 1, 1), Command.ADD, 9), "meter 78"),
        (codec.barrier(9), "message of type 20"),
        (b"", "message of type -1"),
    ],
)
def test_a_complaint_says_what_about(request_, words):
    """An error message is told in words, with what its first bytes reveal."""
    told = str(Complaint(9, 5, 2, request_))
    assert told.startswith("OFPET_FLOW_MOD_FAILED")
    assert "OFPFMFC_BAD_TABLE_ID" in told
    assert words in told


def test_whether_a_meter_is_there_is_told_from_other_complaints():
    """Of "modify or add a meter", one half is always refused; no other refusal is passed over."""
    meter = codec.meter_mod(Meter(1, 1, 1), Command.ADD, 9)
    flow = codec.flow_mod(FLOW, FlowCommand.ADD, 9)
    assert Complaint(9, 12, 1, meter).about_presence
    assert Complaint(9, 12, 3, meter).about_presence
    assert not Complaint(9, 12, 2, meter).about_presence
    assert not Complaint(9, 12, 3, flow).about_presence
    assert not Complaint(9, 5, 1, meter).about_presence
