"""What is not ours, or not well formed, is said to be so instead of being guessed at."""

from __future__ import annotations

import struct

import pytest

from controller.openflow import codec, replies
from controller.openflow.codec import Command, FlowCommand
from controller.openflow.complaint import Complaint
from controller.openflow.oxm import Undecodable, decode_match, header, name_of
from overlay.flow import FIELDS, Flow, Group, Meter, Output, Set, conditions, cookie


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


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(_match(struct.pack("!HBBH", 0x8000, 6 << 1, 2, 0x1001)), id="a field that we never use"),
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
        pytest.param(struct.pack("!HH4xHHH2x", 4, 16, 17, 8, 0x8100), id="push VLAN"),
        pytest.param(struct.pack("!HH4xHH", 4, 12, 0, 4), id="an action too short"),
        pytest.param(struct.pack("!HH4xHH4x", 4, 16, 24, 80), id="an action that overruns"),
        pytest.param(struct.pack("!HH4xHHI16x", 4, 32, 0xFFFF, 24, 0x2320), id="another extension"),
        pytest.param(struct.pack("!HH4x", 1, 80), id="an instruction that overruns"),
    ],
)
def test_strange_instructions_are_undecodable(instructions):
    """Instructions and actions that are none of ours raise, and are not left out."""
    empty = codec.flow_mod(Flow(0, 0, (), 0), FlowCommand.ADD, 1)
    message = empty[:2] + struct.pack("!H", len(empty) + len(instructions)) + empty[4:] + instructions
    with pytest.raises(Undecodable):
        replies.flow_of_mod(message)


FLOW = Flow(3, 7, conditions({"reg1": 1}), cookie(1, 2), (Output(1), Set("reg2", 1)), 4)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (codec.flow_mod(FLOW, FlowCommand.ADD, 9), "table 3, priority 7, cookie 0x564c010000000002"),
        (codec.bundled_flow_add(FLOW, 9, 9)[:64], "table 3, priority 7, cookie 0x564c010000000002"),
        (codec.group_mod(Group(77, ()), Command.ADD, 9), "group 77"),
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


def test_only_the_meter_that_is_there_already_is_harmless():
    """Of "modify or add a meter", one half is always refused; no other refusal is passed over."""
    meter = codec.meter_mod(Meter(1, 1, 1), Command.ADD, 9)
    flow = codec.flow_mod(FLOW, FlowCommand.ADD, 9)
    assert Complaint(9, 12, 1, meter).harmless
    assert Complaint(9, 12, 3, meter).harmless
    assert not Complaint(9, 12, 2, meter).harmless
    assert not Complaint(9, 12, 3, flow).harmless
    assert not Complaint(9, 5, 1, meter).harmless
