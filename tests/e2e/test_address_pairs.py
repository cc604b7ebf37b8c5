"""Two machines share an address that is no port's: one takes it over from the other, and nobody else can."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

import pytest

from tests.e2e.scene import Net, Scene, arp_request, ipv4, mac_number, say, wait
from topologies import namespace

pytestmark = pytest.mark.root

TOPOLOGY, PARAMS = "linear", {"switches": 2}
VIRTUAL = "10.0.0.99"
LOST_MOST = 5
"""Of pings every 0.05 s: what a takeover may cost a client, a quarter of a second."""


@dataclass(frozen=True)
class Pair:
    """The machines that share the address, by name; their network."""

    net: Net
    one: str = "one"
    two: str = "two"


@pytest.fixture(scope="module")
def pair(scene: Scene) -> Pair:
    """Two machines that may have the virtual address, on two hosts, one that may not, and a client."""
    net = scene.network("red", "10.0.0.0/24")
    for name, host in (("one", "h1"), ("two", "h2"), ("liar", "h2"), ("client", "h1")):
        scene.vm(name, host, net)
    for name in ("one", "two"):
        allow(scene, name, VIRTUAL)
    return Pair(net)


def allow(scene: Scene, name: str, *addresses: str) -> None:
    """Let the port of a machine use these addresses besides its own."""
    pairs = [{"ip_address": address} for address in addresses]
    path = f"/v2.0/ports/{scene.vms()[name].port_id}"
    scene.ask("PUT", path, {"port": {"allowed_address_pairs": pairs}}, "red")
    wait(lambda: scene.ask("GET", path)["port"]["status"] == "ACTIVE", f"the switches know the pairs of {name}")


def take(scene: Scene, name: str) -> None:
    """A machine takes the address as VRRP does: it adds it, and announces it."""
    scene.lab.run(name, ["ip", "address", "add", f"{VIRTUAL}/32", "dev", "eth0"])
    say(scene.vms()[name], arp_request(scene.vms()[name], VIRTUAL, spa=VIRTUAL))


def leave(scene: Scene, name: str) -> None:
    """A machine has the address no more."""
    scene.lab.run(name, ["ip", "address", "del", f"{VIRTUAL}/32", "dev", "eth0"])


def spoofed(scene: Scene, name: str) -> int:
    """How many frames of a machine were dropped because it spoke as somebody else, as its project is told."""
    drops = scene.ask("GET", f"/v1/ports/{scene.vms()[name].port_id}/drops", project="red")["drops"]
    return next(each["packets"] for each in drops if each["reason"] == "spoofed")


def learnt(scene: Scene, name: str) -> str:
    """The MAC that a machine knows for the virtual address."""
    shown = scene.lab.run(name, ["ip", "neigh", "show", VIRTUAL]).stdout
    return next(iter(re.findall(r"lladdr ([0-9a-f:]{17})", shown)), "")


def test_an_address_is_taken_over(scene: Scene, pair: Pair) -> None:
    """A client that pings the shared address loses next to nothing while the other machine takes it over."""
    vms = scene.vms()
    take(scene, pair.one)
    assert scene.reaches("client", VIRTUAL)
    assert learnt(scene, "client") == vms[pair.one].mac
    with namespace.inside(vms["client"].pid):
        pinging = subprocess.Popen(
            ["ping", "-n", "-q", "-i0.05", "-c60", "-W1", VIRTUAL], stdout=subprocess.PIPE, text=True
        )
    leave(scene, pair.one)
    take(scene, pair.two)
    told, _ = pinging.communicate(timeout=20)
    sent, got = map(int, re.findall(r"(\d+) packets transmitted, (\d+) received", told)[0])
    assert sent == 60
    assert got >= sent - LOST_MOST, told
    assert learnt(scene, "client") == vms[pair.two].mac
    assert spoofed(scene, pair.one) == spoofed(scene, pair.two) == 0


def test_nobody_else_takes_it(scene: Scene, pair: Pair) -> None:
    """A machine without the pair announces the address and sends as it for nobody to hear, and that is counted."""
    vms = scene.vms()
    before = spoofed(scene, "liar")
    take(scene, "liar")
    say(vms["liar"], ipv4(vms["liar"], mac_number(vms["client"].mac), scene.ip("client"), b"", src=VIRTUAL))
    wait(lambda: spoofed(scene, "liar") >= before + 2, "both lies are counted")
    assert scene.reaches("client", VIRTUAL)
    assert learnt(scene, "client") == vms[pair.two].mac
    leave(scene, "liar")


def test_a_pair_that_is_taken_away_is_a_lie(scene: Scene, pair: Pair) -> None:
    """Whoever loses its pair loses the address: its answers no longer leave its port."""
    before = spoofed(scene, pair.two)
    allow(scene, pair.two)
    assert not scene.reaches("client", VIRTUAL)
    wait(lambda: spoofed(scene, pair.two) > before, "the answer is counted")
    allow(scene, pair.two, VIRTUAL)
    wait(lambda: scene.reaches("client", VIRTUAL), "the address is back")


def test_without_port_security_anybody_may(scene: Scene, pair: Pair) -> None:
    """A machine that nobody checks has the address without any pair."""
    leave(scene, pair.two)
    path = f"/v2.0/ports/{scene.vms()['liar'].port_id}"
    open_ = {"port_security_enabled": False, "security_groups": []}
    scene.ask("PUT", path, {"port": open_}, "red")
    wait(lambda: scene.ask("GET", path)["port"]["status"] == "ACTIVE", "the switches let it")
    take(scene, "liar")
    wait(lambda: scene.reaches("client", VIRTUAL), "the client reaches it")
    assert learnt(scene, "client") == scene.vms()["liar"].mac
