"""A frame is judged by what it says of itself."""

from __future__ import annotations

import pytest

from bench.marks import THE_NETWORKS, Ground, Identity, Kind, Mark, Other, Verdict, alien, honest, hostile
from tests.model import frames

OWN, PEER = Identity(0x02_00_00_00_01_0B, 0xC0A8000B, 11), Identity(0x02_00_00_00_01_0C, 0xC0A8000C, 12)
LONELY = Identity(0x02_BB_5E_C2_E7_02, 0xC0A800CA, 0x2001_0DB8 << 96 | 202)
MARK = Mark(1, 16, 3, Kind.UNICAST, 7)
HOME = Ground(16, frozenset({1}), frozenset({OWN.mac, PEER.mac}), LONELY)
ELSEWHERE = Ground(17, frozenset({1}), frozenset({OWN.mac, PEER.mac}), LONELY)
ABROAD = Ground(16, frozenset({2}), frozenset({OWN.mac, PEER.mac}), LONELY)
SENT = [*honest(OWN, [PEER], MARK), *hostile(OWN, Other(LONELY, (5,), 0x0A000001), MARK)]


def test_a_machine_sends_every_kind():
    """Each kind of frame, honest or hostile, is sent."""
    assert {kind for kind, _ in SENT} == set(Kind)


@pytest.mark.parametrize(("kind", "frame"), SENT, ids=lambda each: each.name if isinstance(each, Kind) else "")
def test_a_marked_frame_belongs_to_one_network(kind, frame):
    """A marked frame is its own network's there, and a crossing in another network or where its tenant has no port."""
    mark = Mark(1, 16, 3, kind, 7)
    assert HOME.judge(frame) == (Verdict.OWN, mark)
    assert ELSEWHERE.judge(frame) == (Verdict.CROSSING, mark)
    assert ABROAD.judge(frame) == (Verdict.CROSSING, mark)


def test_resolution_among_ones_own_needs_no_mark():
    """An answer that names machines of the network is explained."""
    answer = frames.arp(OWN.mac, PEER.mac, 2, PEER.mac, PEER.ip, OWN.mac, OWN.ip)
    assert HOME.judge(answer) == (Verdict.HOUSEKEEPING, None)
    answer = frames.neighbour(OWN.mac, PEER.mac, PEER.ip6, OWN.ip6, 136, PEER.ip6, (2, PEER.mac))
    assert HOME.judge(answer) == (Verdict.HOUSEKEEPING, None)


@pytest.mark.parametrize("mac", [LONELY.mac, PEER.mac])
def test_an_answer_that_betrays_the_other_is_a_crossing(mac):
    """An answer for an address that only the other tenant has is a crossing, whatever MAC it names."""
    answer = frames.arp(OWN.mac, PEER.mac, 2, mac, LONELY.ip, OWN.mac, OWN.ip)
    assert HOME.judge(answer) == (Verdict.CROSSING, None)


@pytest.mark.parametrize(
    "frame",
    [
        alien(OWN),
        frames.arp(OWN.mac, 0x02_00_00_00_00_77, 2, 0x02_00_00_00_00_77, PEER.ip, OWN.mac, OWN.ip),
        frames.ethernet(OWN.mac, PEER.mac, 0x86DD, bytes(10)),
        frames.ethernet(OWN.mac, PEER.mac, 0x88B5, bytes(46)),
    ],
    ids=["a packet without a mark", "an answer of a stranger", "a cut packet", "a strange EtherType"],
)
def test_what_nothing_explains_is_not_passed_over(frame):
    """A frame without a mark that is no address resolution of the network's own machines is unexplained."""
    assert HOME.judge(frame) == (Verdict.UNEXPLAINED, None)


def test_what_the_network_asks_is_explained():
    """A question of the network's own, who listens to a group, is nobody's crossing; a stranger's is."""
    head, body = "01005e000001", "080046c00024000000000102441300000000e0000001940400001164ec5f00000000023c0000"
    for mac, verdict in ((THE_NETWORKS, Verdict.HOUSEKEEPING), (0x02_00_00_00_00_77, Verdict.UNEXPLAINED)):
        assert HOME.judge(bytes.fromhex(f"{head}{mac:012x}{body}")) == (verdict, None)
