"""What a machine sends and gets is copied to another machine of its project, wherever both are."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.e2e.scene import Ears, Net, Scene, ipv4, mac_number, say, wait
from topologies.orders import VmStatus
from topologies.rest import RestError

pytestmark = pytest.mark.root

TOPOLOGY, PARAMS = "linear", {"switches": 2}
SERVICES, FLOWS = "/v2.0/taas/tap_services", "/v2.0/taas/tap_flows"
COUNT = 20


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """A network of one who is watched and one whom he talks to, on two hosts, and a network with two who watch."""
    net, tools = scene.network("red"), scene.network("red", "10.9.0.0/24")
    for name, host in (("watched", "h1"), ("peer", "h2")):
        scene.vm(name, host, net)
    for name, host in (("near", "h1"), ("far", "h2")):
        scene.vm(name, host, tools)
    return net


def watch(scene: Scene, watcher: str, direction: str) -> str:
    """Have the watched machine's frames copied to another one.  :returns: the tap service."""
    vms = scene.vms()
    service = scene.ask("POST", SERVICES, {"tap_service": {"port_id": vms[watcher].port_id}}, "red")["tap_service"]
    wish = {"tap_service_id": service["id"], "source_port": vms["watched"].port_id, "direction": direction}
    flow = scene.ask("POST", FLOWS, {"tap_flow": wish}, "red")["tap_flow"]
    wait(lambda: status(scene, flow["id"]) == "ACTIVE", "the mirror is there")
    return str(service["id"])


def status(scene: Scene, flow_id: str) -> str:
    """What is said of a tap flow."""
    return str(scene.ask("GET", f"{FLOWS}/{flow_id}", project="red")["tap_flow"]["status"])


def talk(scene: Scene, there: bytes, back: bytes) -> Counter[tuple[str, bytes]]:
    """Both talk.  :returns: how often each machine but the speaker gets each of the two frames, as it was sent."""

    def said(speaker: VmStatus, listener: VmStatus, words: bytes) -> bytes:
        return ipv4(speaker, mac_number(listener.mac), listener.addresses[0].partition("/")[0], words)

    vms = scene.vms()
    watched, peer = vms["watched"], vms["peer"]
    frames = {said(watched, peer, there): there, said(peer, watched, back): back}
    with Ears(scene.lab, "watched", "peer", "near", "far", interfaces=("eth0",)) as ears:
        for speaker, frame in zip((watched, peer), frames, strict=True):
            say(speaker, *[frame] * COUNT)
        heard = [each for each in ears.hear() if not each.outgoing]
    return Counter((each.node, frames[each.frame]) for each in heard if each.frame in frames)


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize("watcher", ["near", "far"])
@pytest.mark.parametrize("direction", ["IN", "OUT", "BOTH"])
def test_each_packet_is_copied_once(scene: Scene, watcher: str, direction: str) -> None:
    """A watcher in another network, on the same or another host, gets one copy of each packet, and none afterwards."""
    there, back = b"vl2-mirror-there", b"vl2-mirror-back"
    both = {("peer", there): COUNT, ("watched", back): COUNT}
    service = watch(scene, watcher, direction)
    copies = {"OUT": [there], "IN": [back], "BOTH": [there, back]}[direction]
    assert talk(scene, there, back) == both | {(watcher, words): COUNT for words in copies}
    scene.ask("DELETE", f"{SERVICES}/{service}", project="red")
    wait(scene.all_connected, "the mirror is gone")
    assert talk(scene, there, back) == both


@pytest.mark.usefixtures("net")
def test_the_mirror_follows(scene: Scene) -> None:
    """After a move of the watcher, and one of the watched machine, each packet is still copied once."""
    there, back = b"vl2-moving-there", b"vl2-moving-back"
    service = watch(scene, "near", "BOTH")
    every = {("peer", there): COUNT, ("watched", back): COUNT, ("near", there): COUNT, ("near", back): COUNT}
    assert talk(scene, there, back) == every
    for machine in ("near", "watched"):
        scene.lab.vm_move(machine, "h2")
        assert talk(scene, there, back) == every
    scene.ask("DELETE", f"{SERVICES}/{service}", project="red")


def test_nobody_watches_a_foreign_machine(scene: Scene, net: Net) -> None:
    """Another project is told that the watched machine's port does not exist, and nothing of its traffic is copied."""
    foreign = scene.vm("foreign", "h1", scene.network("blue"))
    asked = {"tap_service": {"port_id": foreign.port_id}}
    service = scene.ask("POST", SERVICES, asked, "blue")["tap_service"]["id"]
    port_id = scene.vms()["watched"].port_id
    wish = {"tap_service_id": service, "source_port": port_id, "direction": "BOTH"}
    with pytest.raises(RestError, match="could not be found"):
        scene.ask("POST", FLOWS, {"tap_flow": wish}, "blue")
    assert scene.ask("GET", FLOWS, project="blue") == {"tap_flows": []}
    assert net.project == "red"
    with Ears(scene.lab, "foreign", interfaces=("eth0",)) as ears:
        talk(scene, b"vl2-foreign-there", b"vl2-foreign-back")
        assert not [each for each in ears.hear() if b"vl2-foreign" in each.frame]
