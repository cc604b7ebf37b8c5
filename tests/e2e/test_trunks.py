"""A machine with VLANs is in several networks by one card, and takes them all along when it moves."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

import pytest

from tests.e2e.scene import ETH_P_ALL, PACKET_OUTGOING, Ears, Net, Scene, ipv4, mac_number, say, wait
from tests.model import frames
from topologies import namespace
from topologies.orders import VmStatus
from topologies.probing import probing

pytestmark = [pytest.mark.alone, pytest.mark.root]

TOPOLOGY, PARAMS = "linear", {"switches": 3}
VIDS = {"green": 100, "blue": 200}
TAGGED = 24
"""The kind of the cookie of the flow that counts tags which nobody has."""
SOL_PACKET, PACKET_AUXDATA, TP_STATUS_VLAN_VALID = 263, 8, 0x10
MARKER = b"vl2-vlan-marker"


@dataclass(frozen=True)
class Trunk:
    """The trunk, and its ports by the names of their networks."""

    id: str
    nets: dict[str, Net]
    ports: dict[str, dict[str, Any]]

    def ip(self, name: str) -> str:
        """The machine's address in a network."""
        address: str = self.ports[name]["fixed_ips"][0]["ip_address"]
        return address


@pytest.fixture(scope="module")
def trunk(scene: Scene) -> Trunk:
    """A machine at h1 with VLANs in two networks besides its own; in each network another machine, at h2 or h3."""
    cidrs = {"own": "192.168.0.0/24", "green": "10.7.0.0/24", "blue": "10.8.0.0/24"}
    nets = {name: scene.network("red", cidr) for name, cidr in cidrs.items()}
    ports = {name: scene.port(net) for name, net in nets.items()}
    carried = [
        {"port_id": ports[name]["id"], "segmentation_type": "vlan", "segmentation_id": vid}
        for name, vid in VIDS.items()
    ]
    wish = {"trunk": {"port_id": ports["own"]["id"], "sub_ports": carried}}
    made = scene.ask("POST", "/v2.0/trunks", wish, "red")["trunk"]
    vlans = [(vid, ports[name]["id"]) for name, vid in VIDS.items()]
    scene.lab.vm_add("trunk", "h1", port_id=ports["own"]["id"], vlans=vlans)
    for name, host in (("own", "h2"), ("green", "h2"), ("blue", "h3")):
        scene.vm(name, host, nets[name])
    return Trunk(made["id"], nets, ports)


def counted(scene: Scene, vm: VmStatus) -> int:
    """How many frames with a tag of nobody's a machine has sent."""
    port = scene.ofport(vm.host, vm.tap)
    flows = [flow for flow in scene.flows(vm.host) if flow.ours and flow.cookie >> 40 & 0xFF == TAGGED]
    (flow,) = [flow for flow in flows if f"in_port={port} " in flow.text.replace(",", " ")]
    return flow.number("n_packets")


def tagged(frame: bytes, vid: int) -> bytes:
    """The frame with a tag."""
    return frame[:12] + struct.pack("!HH", 0x8100, vid) + frame[12:]


@contextmanager
def tags(vm: VmStatus) -> Iterator[socket.socket]:
    """A packet socket at a machine's card that also tells the tags, which the kernel keeps beside the frame."""
    with namespace.inside(vm.pid):
        ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    with ear:
        ear.bind(("eth0", ETH_P_ALL))
        ear.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        yield ear


def vids(ear: socket.socket, seconds: float) -> list[int | None]:
    """The VLANs of the marked frames that come within some seconds after each other; ``None`` is no tag."""
    found: list[int | None] = []
    while select.select([ear], [], [], seconds)[0]:
        frame, told, _, sender = ear.recvmsg(2048, socket.CMSG_SPACE(20))
        if MARKER in frame and sender[2] != PACKET_OUTGOING:
            ((_, _, aux),) = told
            status, *_, vid, _ = struct.unpack("=IIIHHHH", aux)
            found.append(vid & 0xFFF if status & TP_STATUS_VLAN_VALID else None)
    return found


@pytest.mark.parametrize("name", ["own", *VIDS])
def test_each_vlan_is_a_network_of_its_own(scene: Scene, trunk: Trunk, name: str) -> None:
    """By each interface the machine reaches its peer there, whether it asks or is asked, and its port is ACTIVE."""
    assert scene.reaches("trunk", scene.ip(name))
    assert scene.reaches(name, trunk.ip(name))
    assert scene.ask("GET", f"/v2.0/ports/{trunk.ports[name]['id']}")["port"]["status"] == "ACTIVE"
    assert scene.ask("GET", f"/v2.0/trunks/{trunk.id}")["trunk"]["status"] == "ACTIVE"


def test_vlans_are_isolated(scene: Scene, trunk: Trunk) -> None:
    """What is broadcast in one VLAN is heard in its network and in no other, not even with another's tag."""
    vms = scene.vms()
    mac = mac_number(trunk.ports["green"]["mac_address"])
    own, nobody = (int(IPv4Address(address)) for address in (trunk.ip("green"), "10.7.0.250"))
    question = frames.arp(frames.BROADCAST, mac, 1, mac, own, 0, nobody)
    before = counted(scene, vms["trunk"])
    with Ears(scene.lab, "own", "green", "blue", interfaces=("eth0",)) as ears:
        say(vms["trunk"], *(tagged(question, vid) for vid in (VIDS["green"], VIDS["blue"], 300)), question)
        heard = [each.node for each in ears.hear() if each.kind == 0x0806 and each.frame[28:32] == question[28:32]]
    assert heard == ["green"]
    assert counted(scene, vms["trunk"]) == before + 1


def test_a_network_is_transparent_or_not(scene: Scene, trunk: Trunk) -> None:
    """In a transparent network a frame arrives with its tag; in any other it is dropped where it is sent."""
    made = scene.ask("POST", "/v2.0/networks", {"network": {"vlan_transparent": True}}, "red")["network"]
    subnet = {"network_id": made["id"], "cidr": "10.9.0.0/24", "ip_version": 4}
    scene.ask("POST", "/v2.0/subnets", {"subnet": subnet}, "red")
    clear = Net(made["id"], "red", 0)
    one, other = scene.vm("clear1", "h1", clear), scene.vm("clear2", "h2", clear)
    frame = ipv4(one, mac_number(other.mac), other.addresses[0].partition("/")[0], MARKER)
    with tags(other) as ear:
        say(one, tagged(frame, 5), frame)
        assert sorted(vids(ear, 0.5), key=str) == [5, None]
    vms = scene.vms()
    before = counted(scene, vms["green"])
    say(vms["green"], tagged(ipv4(vms["green"], frames.BROADCAST, trunk.ip("green"), MARKER), 5))
    wait(lambda: counted(scene, vms["green"]) == before + 1, "the tag is counted", 5)


def test_a_trunk_moves_without_loss(scene: Scene, trunk: Trunk) -> None:
    """While the machine moves, nothing that its VLAN sends or is sent is lost or doubled; all its ports move."""
    between = (trunk.ip("green"), scene.ip("green"))
    with probing(scene.lab, "trunk", "green", between=between) as probe:
        reports = [scene.lab.vm_move("trunk", host) for host in ("h2", "h3", "h1", "h3")]
    found = probe.result()
    assert (found.lost, found.duplicated) == (0, 0), (found, reports)
    for port in trunk.ports.values():
        shown = scene.ask("GET", f"/v2.0/ports/{port['id']}")["port"]
        assert (shown["binding:host_id"], shown["status"]) == ("h3", "ACTIVE")
    for name in VIDS:
        assert scene.reaches("trunk", scene.ip(name))
