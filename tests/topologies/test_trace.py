"""Is the path of a packet told as it was?"""

from __future__ import annotations

import random

import pytest

pytest.importorskip("topologies.mn", reason="Mininet is not importable here", exc_type=ImportError)

from topologies.trace import Sighting, dissect, order

CABLES = {
    ("h1", "h1-eth0"): ("tor1", "tor1-eth3"),
    ("tor1", "tor1-eth1"): ("agg1", "agg1-eth1"),
    ("agg1", "agg1-eth2"): ("tor2", "tor2-eth1"),
    ("tor2", "tor2-eth3"): ("h2", "h2-eth0"),
}
CABLES |= {far: near for near, far in CABLES.items()}


def sighting(at: int, node: str, interface: str, *, outgoing: bool) -> Sighting:
    """The packet at one place."""
    return Sighting(at, node, interface, 0, outgoing, 7, None, "02:00:00:00:00:02")


WAY = [
    ("h1", "tap1", False),
    ("h1", "h1-eth0", True),
    ("tor1", "tor1-eth3", False),
    ("tor1", "tor1-eth1", True),
    ("agg1", "agg1-eth1", False),
    ("agg1", "agg1-eth2", True),
    ("tor2", "tor2-eth1", False),
    ("tor2", "tor2-eth3", True),
    ("h2", "h2-eth0", False),
    ("h2", "tap2", True),
]


@pytest.mark.parametrize("seed", range(10))
def test_the_order_of_the_sightings_does_not_matter(seed):
    """Time stamps may swap neighbours; the cables say which way the packet went."""
    seen = [sighting(i, node, interface, outgoing=out) for i, (node, interface, out) in enumerate(WAY)]
    random.Random(seed).shuffle(seen)  # noqa: S311
    path = order(seen, CABLES)
    assert path.nodes == ("h1", "tor1", "agg1", "tor2", "h2")
    assert [(step.in_interface, step.out_interface) for step in path.steps] == [
        ("tap1", "h1-eth0"),
        ("tor1-eth3", "tor1-eth1"),
        ("agg1-eth1", "agg1-eth2"),
        ("tor2-eth1", "tor2-eth3"),
        ("h2-eth0", "tap2"),
    ]
    assert path.vni == 7


def test_a_packet_that_is_lost_has_a_path_that_ends():
    """Where the packet was last seen is the end of the path."""
    seen = [sighting(i, node, interface, outgoing=out) for i, (node, interface, out) in enumerate(WAY[:5])]
    path = order(seen, CABLES)
    assert path.nodes == ("h1", "tor1", "agg1")
    assert path.steps[-1].out_interface is None


def test_a_hairpin_is_two_visits():
    """A packet that a hypervisor turns round passes its edge switch twice."""
    way = [*WAY, ("h2", "h2-eth0", True), ("tor2", "tor2-eth3", False), ("tor2", "tor2-eth1", True)]
    way.remove(("h2", "tap2", True))
    seen = [sighting(i, node, interface, outgoing=out) for i, (node, interface, out) in enumerate(way)]
    assert order(seen, CABLES).nodes == ("h1", "tor1", "agg1", "tor2", "h2", "tor2")


def test_vxlan_is_told_from_other_frames():
    """The VNI, the LAs and the inner frame come out of a VXLAN packet; any other frame is itself."""
    inner = bytes(range(60))
    udp = (4000).to_bytes(2) + (4789).to_bytes(2) + (8 + 8 + 60).to_bytes(2) + b"\0\0"
    ip = b"\x45\0" + (96).to_bytes(2) + b"\0\0\0\0\x40\x11\0\0" + bytes([10, 0, 1, 10]) + bytes([10, 0, 2, 10])
    frame = b"\2" * 12 + b"\x08\0" + ip + udp + b"\x08\0\0\0" + (77).to_bytes(3) + b"\0" + inner
    assert dissect(frame) == (77, ("10.0.1.10", "10.0.2.10"), inner)
    other = frame[:36] + (53).to_bytes(2) + frame[38:]
    assert dissect(other) == (None, None, other)
    assert dissect(inner) == (None, None, inner)
