"""Machines that are wired straight to an edge switch are in their networks like any other."""

from __future__ import annotations

import socket
import subprocess
from typing import Any

import pytest

from tests.e2e.scene import IPV4_SUBNET, Net, Scene, wait
from tests.model import frames
from topologies import namespace
from topologies.errors import LabError
from topologies.orders import ServerStatus

pytestmark = pytest.mark.root

TOPOLOGY, PARAMS = "vl2", {"intermediates": 1, "aggregations": 2, "tors": 2}
_RED, _BLUE = "192.168.0.10", "192.168.1.10"
_OWN = ("192.168.0.50", "192.168.1.60")
SPOOFED = 5
"""The kind of a refusing flow's cookie."""


@pytest.fixture(scope="module")
def nets(scene: Scene) -> tuple[Net, Net]:
    """Two networks, with a machine on another rack than the server's, and one on its rack."""
    nets = scene.network("red", IPV4_SUBNET), scene.network("blue", "192.168.1.0/24")
    scene.vm("red-vm", "h2", nets[0], ips=[_RED])
    scene.vm("blue-vm", "h1", nets[1], ips=[_BLUE])
    return nets


@pytest.fixture(scope="module")
def server(scene: Scene, nets: tuple[Net, Net]) -> ServerStatus:
    """A server at tor1, in one network by VLAN 100 and in the other by VLAN 200 of the same cable."""
    ports = [scene.port(net, fixed_ips=[{"ip_address": ip}])["id"] for net, ip in zip(nets, _OWN, strict=True)]
    return scene.lab.server_add("iron", "tor1", dict(zip((100, 200), ports, strict=True)))


def shown(scene: Scene, port_id: str) -> dict[str, Any]:
    """A port, as the operator sees it."""
    found: dict[str, Any] = scene.ask("GET", f"/v2.0/ports/{port_id}")["port"]
    return found


def pings(scene: Scene, name: str, address: str, card: str = "") -> bool:
    """Whether one ping is answered, by one card of a server."""
    argv = ["ping", "-n", "-q", "-c1", "-W1", *(("-I", card) if card else ()), address]
    return scene.lab.run(name, argv).returncode == 0


def refused(scene: Scene) -> int:
    """How many frames the edge switch has counted that their senders may not send."""
    found = scene.ofctl("tor1", "dump-flows", "br-vtep").splitlines()
    return sum(
        int(line.partition("n_packets=")[2].partition(",")[0])
        for line in found
        if "cookie=0x564c" in line and int(line.partition("cookie=0x")[2].partition(",")[0], 16) >> 40 & 0xFF == SPOOFED
    )


def test_a_server_is_in_its_network(scene: Scene, server: ServerStatus) -> None:
    """A bare-metal server talks to the machines of its network on other racks and they to it, by its VLAN."""
    port = shown(scene, server.cards[0].port_id)
    assert (port["status"], port["binding:host_id"], port["binding:vif_type"]) == ("ACTIVE", "tor1", "other")
    assert port["binding:profile"]["vlan"] == 100
    wait(lambda: pings(scene, "iron", _RED, "eth0"), "the server reaches a machine on another rack")
    wait(lambda: pings(scene, "red-vm", _OWN[0]), "the machine reaches the server")


def test_another_vlan_of_the_cable_is_another_network(scene: Scene, server: ServerStatus) -> None:
    """Each VLAN of a cable is in its own network and in no other."""
    wait(lambda: pings(scene, "iron", _BLUE, "eth1"), "by the other VLAN, the other network's machine")
    wait(lambda: pings(scene, "blue-vm", _OWN[1]), "the machine reaches the server")
    assert [card.vlan for card in server.cards] == [100, 200]
    assert not pings(scene, "iron", _RED, "eth1")
    assert not pings(scene, "iron", _BLUE, "eth0")


def test_the_edge_switch_refuses_what_is_not_the_servers(scene: Scene, server: ServerStatus) -> None:
    """What a server sends with an address that is not its port's is dropped at the edge switch, and counted."""
    before = refused(scene)
    mac = int(server.cards[0].mac.replace(":", ""), 16)
    lie = frames.ipv4(frames.BROADCAST, mac ^ 1, 0xC0A80032, 0xC0A8000A, b"not mine")
    with namespace.inside(server.pid):
        mouth = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with mouth:
        mouth.bind(("eth0", 0))
        mouth.send(lie)
    wait(lambda: refused(scene) > before, "the edge switch counts what it drops")


def test_a_peer_moves_and_loses_nothing(scene: Scene, server: ServerStatus) -> None:
    """A machine that moves to the server's rack while the server talks to it loses nothing."""
    scene.vm("mover", "h2", Net(shown(scene, server.cards[0].port_id)["network_id"], "red", 0), ips=["192.168.0.20"])
    wait(lambda: pings(scene, "iron", "192.168.0.20", "eth0"), "the server reaches the machine")
    argv = scene.lab.command("iron", ["ping", "-n", "-q", "-i", "0.01", "-c", "150", "-I", "eth0", "192.168.0.20"])
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as ping:
        scene.lab.vm_move("mover", "h1")
        said = ping.communicate(timeout=20)[0]
    assert "150 packets transmitted, 150 received" in said


def test_a_port_is_rewired(scene: Scene, nets: tuple[Net, Net], server: ServerStatus) -> None:
    """A port is DOWN when its cable is taken out; bound to another edge switch, it is a server's there."""
    port_id = server.cards[0].port_id
    with pytest.raises(LabError, match="already"), scene.lab.rest() as rest:
        rest.wire(scene.port(nets[0])["id"], "tor1", server.interface, 100)
    scene.lab.server_del("iron")
    wait(lambda: shown(scene, port_id)["status"] == "DOWN", "the port is down")
    moved = scene.lab.server_add("steel", "tor2", {0: port_id})
    assert shown(scene, port_id)["binding:host_id"] == "tor2"
    assert moved.cards[0].addresses == server.cards[0].addresses
    wait(lambda: pings(scene, "steel", _RED), "the server reaches the machine from its new place")
