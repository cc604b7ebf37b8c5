"""What is administratively down neither sends nor receives, and comes back as it was."""

from __future__ import annotations

import pytest

from tests.e2e.scene import Ears, Net, Scene, ipv4, mac_number, say, wait
from tests.model import frames

pytestmark = pytest.mark.root

TOPOLOGY, PARAMS = "linear", {"switches": 2}
MARKER = b"vl2-admin-marker"
NAMES = ("switched", "neighbour", "far")


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """A network with one machine that is to be switched, a neighbour on its host, and one on another host."""
    net = scene.network("red")
    for name, host in zip(NAMES, ("h1", "h1", "h2"), strict=True):
        scene.vm(name, host, net)
    return net


def switch(scene: Scene, net: Net, what: str, *, up: bool) -> None:
    """Set the admin state of the first machine's port, or of the network, and wait until that is so everywhere."""
    vms = scene.vms()
    path = f"networks/{net.id}" if what == "network" else f"ports/{vms['switched'].port_id}"
    scene.ask("PUT", f"/v2.0/{path}", {what: {"admin_state_up": up}}, net.project)
    concerned = NAMES if what == "network" else NAMES[:1]
    wanted = "ACTIVE" if up else "DOWN"
    for name in concerned:
        port = f"/v2.0/ports/{vms[name].port_id}"
        wait(lambda port=port: scene.ask("GET", port)["port"]["status"] == wanted, f"{name} is {wanted}")
    wait(lambda: not scene.health()["pending"], "nothing is pending")


def passes(scene: Scene, source: str, target: str) -> tuple[int, int]:
    """How many of a unicast and a broadcast frame arrive, whoever would answer an ARP request."""
    vms = scene.vms()
    sender, receiver = vms[source], vms[target]
    ip = receiver.addresses[0].partition("/")[0]
    unicast = ipv4(sender, mac_number(receiver.mac), ip, MARKER)
    broadcast = ipv4(sender, frames.BROADCAST, "255.255.255.255", MARKER)
    with Ears(scene.lab, target, interfaces=("eth0",)) as ears:
        say(sender, unicast, broadcast)
        heard = [each.frame for each in ears.hear() if not each.outgoing]
    return heard.count(unicast), heard.count(broadcast)


@pytest.mark.parametrize("what", ["port", "network"])
def test_down_is_silent_in_both_directions(scene: Scene, net: Net, what: str) -> None:
    """DOWN: neither unicast nor broadcast nor an answered ping, from it or to it; up again: all of it, once."""
    pairs = [("switched", "far"), ("far", "switched"), ("switched", "neighbour"), ("neighbour", "switched")]
    assert [passes(scene, *pair) for pair in pairs] == [(1, 1)] * len(pairs)
    switch(scene, net, what, up=False)
    assert [passes(scene, *pair) for pair in pairs] == [(0, 0)] * len(pairs)
    assert not scene.reaches("switched", scene.ip("far"))
    assert not scene.reaches("far", scene.ip("switched"))
    assert passes(scene, "neighbour", "far") == ((1, 1) if what == "port" else (0, 0))
    switch(scene, net, what, up=True)
    assert [passes(scene, *pair) for pair in pairs] == [(1, 1)] * len(pairs)
    wait(lambda: scene.reaches("switched", scene.ip("far")), "a ping is answered again")
