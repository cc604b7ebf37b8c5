"""Neighbours are found without asking anybody but the own switch, and the controller sees no packet."""

from __future__ import annotations

import pytest

from tests.e2e.scene import (
    ARP,
    IPV4_SUBNET,
    IPV6,
    IPV6_SUBNET,
    Ears,
    Heard,
    Net,
    Scene,
    arp_request,
    ipv4,
    mac_number,
    openflow,
    say,
    solicitation,
)
from tests.model import frames

pytestmark = pytest.mark.root

TOPOLOGY, PARAMS = "linear", {"switches": 3}
PACKET_IN = 10
LLDP = bytes.fromhex("88cc")
MARKER = b"vl2-flood-marker"
OPENFLOW_PORT = 6653


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """A dual-stack network with two machines on one host, one on the second, and none on the third."""
    net = scene.network("red", IPV4_SUBNET, IPV6_SUBNET)
    for name, host in (("asks", "h1"), ("near", "h1"), ("far", "h2"), ("further", "h2")):
        scene.vm(name, host, net)
    return net


def is_solicitation(frame: bytes) -> bool:
    """Whether a frame is a neighbour solicitation."""
    return int.from_bytes(frame[12:14]) == IPV6 and frame[20] == 58 and frame[54] == 135


@pytest.mark.parametrize("owner", ["near", "far"])
@pytest.mark.usefixtures("net")
def test_arp_is_answered_by_the_own_switch(scene: Scene, owner: str) -> None:
    """An ARP question is answered with the owner's MAC, once, and the owner never hears it."""
    vms = scene.vms()
    with Ears(scene.lab, "asks", owner, interfaces=("eth0",)) as ears, Ears(scene.lab, "h1", "h2") as hosts:
        say(vms["asks"], arp_request(vms["asks"], scene.ip(owner)))
        heard = [each for each in ears.hear() if each.kind == ARP and not each.outgoing]
        carried = [each for each in hosts.hear(0.1) if each.vni is not None and each.inner[12:14] == b"\x08\x06"]
    (answer,) = [each for each in heard if each.node == "asks"]
    assert answer.frame[20:28] == b"\0\2" + mac_number(vms[owner].mac).to_bytes(6)
    assert not [each for each in heard if each.node == owner]
    assert not carried


@pytest.mark.parametrize("owner", ["near", "far"])
@pytest.mark.usefixtures("net")
def test_neighbours_are_solicited_without_waking_the_owner(scene: Scene, owner: str) -> None:
    """A neighbour solicitation is answered with the owner's MAC, once, and the owner never hears it."""
    vms = scene.vms()
    with Ears(scene.lab, "asks", owner, interfaces=("eth0",)) as ears:
        say(vms["asks"], solicitation(vms["asks"], scene.ip(owner, 6)))
        heard = [each for each in ears.hear() if each.kind == IPV6 and not each.outgoing]
    (answer,) = [each.frame for each in heard if each.node == "asks" and each.frame[54] == 136]
    assert answer[-6:] == mac_number(vms[owner].mac).to_bytes(6)
    assert not [each for each in heard if each.node == owner and is_solicitation(each.frame)]


def flooded(scene: Scene, dst: int) -> tuple[bytes, list[Heard], list[Heard]]:
    """A frame to ``dst``, what machines heard of it, and the copies that left its host in tunnels."""
    vms = scene.vms()
    frame = ipv4(vms["asks"], dst, "192.168.0.255", MARKER)
    las = {each.name: each.la for each in scene.lab.status().hypervisors}
    with (
        Ears(scene.lab, *vms, interfaces=("eth0",)) as ears,
        Ears(scene.lab, "s1") as wire,
    ):
        say(vms["asks"], frame)
        heard = [each for each in ears.hear() if MARKER in each.frame and not each.outgoing]
        carried = [each for each in wire.hear(0.1) if MARKER in each.frame and not each.outgoing]
    assert all(each.outer is not None and each.outer[0] == las["h1"] for each in carried)
    return frame, heard, carried


@pytest.mark.parametrize(
    "dst", [frames.BROADCAST, 0x01_00_5E_00_00_FB, 0x02_00_00_00_00_77], ids=["broadcast", "multicast", "unknown"]
)
@pytest.mark.usefixtures("net")
def test_what_is_for_all_is_copied_once_per_host(scene: Scene, dst: int) -> None:
    """Broadcast, multicast and unknown unicast go once to each host that has the network, and once to each machine."""
    frame, heard, carried = flooded(scene, dst)
    las = {each.name: each.la for each in scene.lab.status().hypervisors}
    assert sorted(each.node for each in heard) == ["far", "further", "near"]
    assert {each.frame for each in heard} == {frame}
    assert [each.outer for each in carried] == [(las["h1"], las["h2"])]


@pytest.mark.usefixtures("net")
def test_no_packet_goes_to_the_controller(scene: Scene) -> None:
    """While machines talk, ask and broadcast, no hypervisor sends a packet-in, and the fabric none but LLDP."""
    vms = scene.vms()
    status = scene.lab.status()
    nodes = [each.name for each in (*status.switches, *status.hypervisors)]
    with Ears(scene.lab, *nodes, interfaces=("mgmt0",)) as ears:
        for owner in ("near", "far"):
            assert scene.reaches("asks", scene.ip(owner))
            assert scene.reaches("asks", scene.ip(owner, 6))
        say(vms["asks"], arp_request(vms["asks"], scene.ip("far")), arp_request(vms["asks"], "192.168.0.250"))
        say(vms["asks"], *[ipv4(vms["asks"], frames.BROADCAST, "192.168.0.255", MARKER)] * 5)
        heard = ears.hear(quiet=3, most=3)
    told = [(each.node, body) for each in heard for kind, body in spoken(each) if kind == PACKET_IN]
    assert {node for node, body in told if node.startswith("s") and LLDP in body}, "the ears are deaf"
    assert [(node, body.hex()) for node, body in told if LLDP not in body] == []


def spoken(heard: Heard) -> list[tuple[int, bytes]]:
    """The OpenFlow messages that a switch sends to its controller in one TCP segment."""
    frame = heard.frame
    if not heard.outgoing or heard.kind != 0x0800 or frame[23] != 6:
        return []
    tcp = 14 + (frame[14] & 15) * 4
    if int.from_bytes(frame[tcp + 2 : tcp + 4]) != OPENFLOW_PORT:
        return []
    end = 14 + int.from_bytes(frame[16:18])
    return openflow(frame[tcp + (frame[tcp + 12] >> 4) * 4 : end])
