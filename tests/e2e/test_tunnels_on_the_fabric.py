"""The fabric carries tenants' frames in VXLAN between locators, and knows no tenant."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network

import pytest

from tests.e2e.scene import IPV4, IPV6, IPV6_SUBNET, Ears, Net, Scene, ipv4, mac_number, say

pytestmark = pytest.mark.root

TOPOLOGY, PARAMS = "leafspine", {"spines": 2, "leaves": 2}
MACS = {"a": "02:00:00:00:00:0a", "b": "02:00:00:00:00:0b"}
IPS = {"a": "192.168.0.11", "b": "192.168.0.12"}
HOSTS = {"a": "h1", "b": "h2"}
MARKER = b"vl2-tunnel-marker"
ROUTER = "02:56:4c:32:00:01"
SUPERNET = IPv4Network("10.0.0.0/16")


@pytest.fixture(scope="module")
def nets(scene: Scene) -> dict[str, Net]:
    """Two tenants with the same MACs and IPs on the same hypervisors."""
    found = {}
    for project in ("red", "blue"):
        found[project] = net = scene.network(project)
        for name in "ab":
            scene.vm(f"{project}-{name}", HOSTS[name], net, mac=MACS[name], ips=[IPS[name]])
    return found


@pytest.mark.parametrize("project", ["red", "blue"])
def test_frames_travel_with_their_vni_between_las(scene: Scene, nets: dict[str, Net], project: str) -> None:
    """On a fabric link a tenant's frame is whole inside of VXLAN, with its network's VNI, from one LA to the other."""
    here, there = scene.vms()[f"{project}-a"], scene.vms()[f"{project}-b"]
    las = {each.name: each.la for each in scene.lab.status().hypervisors}
    sent = ipv4(here, mac_number(there.mac), IPS["b"], MARKER)
    with Ears(scene.lab, *(each.name for each in scene.lab.status().switches), there.name) as ears:
        say(here, sent)
        # The kernel of the other machine answers "protocol unreachable", which quotes the marker.
        heard = [each for each in ears.hear() if each.inner[6:] == sent[6:]]
    spines = [each for each in heard if each.node.startswith("spine")]
    assert {each.outgoing for each in spines} == {False, True}
    for each in spines:
        assert (each.vni, each.outer, each.inner) == (nets[project].vni, (las["h1"], las["h2"]), sent)
    assert [each.inner for each in heard if each.node == there.name] == [sent]


def test_networks_have_vnis_of_their_own(nets: dict[str, Net]) -> None:
    """Two networks never share a VNI, whatever addresses they use."""
    assert nets["red"].vni != nets["blue"].vni


@pytest.mark.usefixtures("nets")
def test_the_fabric_holds_no_tenant_address(scene: Scene) -> None:
    """No flow and no group of any fabric switch names a MAC or IP of a machine; the LA prefixes are there."""
    for name, vm in scene.vms().items():
        peer = IPS["b" if name.endswith("a") else "a"]
        assert scene.reaches(name, peer), vm
    for switch in scene.lab.status().switches:
        held = scene.ofctl(switch.name, "dump-flows", "br0") + scene.ofctl(switch.name, "dump-groups", "br0")
        macs = set(re.findall(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", held))
        ips = {IPv4Address(each) for each in re.findall(r"(?<!/)\b\d+\.\d+\.\d+\.\d+", held)}
        assert not macs & set(MACS.values()), switch.name
        assert not ips & {IPv4Address(each) for each in IPS.values()}, switch.name
        assert macs <= {ROUTER, "01:80:c2:00:00:0e", *uplinks(scene)}, switch.name
        assert ips, switch.name
        assert all(ip in SUPERNET for ip in ips), switch.name


def uplinks(scene: Scene) -> set[str]:
    """The hypervisors' own MACs in the fabric."""
    found = set()
    for host in scene.lab.status().hypervisors:
        found.add(scene.lab.run(host.name, ["cat", "/sys/class/net/br-phy/address"]).stdout.strip())
    return found


def test_ipv6_travels_the_same_way(scene: Scene) -> None:
    """Machines with IPv6 addresses only reach each other over the same tunnels."""
    net = scene.network("red", IPV6_SUBNET)
    scene.vm("six-a", "h1", net)
    scene.vm("six-b", "h2", net)
    address = scene.ip("six-b", 6)
    with Ears(scene.lab, "spine1", "spine2") as ears:
        assert scene.reaches("six-a", address)
        heard = [each for each in ears.hear() if each.vni == net.vni]
    assert {int.from_bytes(each.inner[12:14]) for each in heard} == {IPV6}
    assert all(each.kind == IPV4 for each in heard)
