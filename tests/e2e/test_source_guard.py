"""A machine can only send what it owns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.e2e.scene import (
    IPV4_SUBNET,
    IPV6_SUBNET,
    Ears,
    Net,
    Scene,
    advertisement,
    arp_reply,
    arp_request,
    ipv4,
    mac_number,
    say,
    wait,
)
from tests.model import frames
from topologies.orders import VmStatus

pytestmark = pytest.mark.root

TOPOLOGY, PARAMS = "linear", {"switches": 2}
MARKER = b"vl2-guard-marker"
STRANGER = 0x02_00_00_00_00_99
SPOOFED = 5
"""The kind of a refusing flow's cookie."""


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """A dual-stack network: one that lies, one whose identity is borrowed, one on another host."""
    net = scene.network("red", IPV4_SUBNET, IPV6_SUBNET)
    for name, host in (("liar", "h1"), ("victim", "h1"), ("far", "h2")):
        scene.vm(name, host, net)
    return net


@dataclass(frozen=True)
class Cast:
    """Who plays."""

    liar: VmStatus
    victim: VmStatus
    far: VmStatus

    def four(self, who: VmStatus) -> str:
        return next(each.partition("/")[0] for each in who.addresses if ":" not in each)

    def six(self, who: VmStatus) -> str:
        return next(each.partition("/")[0] for each in who.addresses if ":" in each)


def refused(scene: Scene, vm: VmStatus) -> int:
    """How many frames the refusing flows of a machine's port have counted."""
    port = scene.ofport(vm.host, vm.tap)
    flows = [
        flow
        for flow in scene.flows(vm.host)
        if flow.ours and flow.cookie >> 40 & 0xFF == SPOOFED and f"reg2={port:#x} " in flow.text.replace(",", " ")
    ]
    assert flows, "the port has no refusing flow"
    return sum(flow.number("n_packets") for flow in flows)


LIES: dict[str, Callable[[Cast], bytes]] = {
    "another's MAC": lambda c: ipv4(
        c.liar, mac_number(c.far.mac), c.four(c.far), MARKER, src_mac=mac_number(c.victim.mac)
    ),
    "a MAC that nobody has": lambda c: ipv4(c.liar, mac_number(c.far.mac), c.four(c.far), MARKER, src_mac=STRANGER),
    "another's IP": lambda c: ipv4(c.liar, mac_number(c.far.mac), c.four(c.far), MARKER, src=c.four(c.victim)),
    "an IP that nobody has": lambda c: ipv4(c.liar, mac_number(c.far.mac), c.four(c.far), MARKER, src="192.0.2.1"),
    "a broadcast with another's IP": lambda c: ipv4(
        c.liar, frames.BROADCAST, "255.255.255.255", MARKER, src=c.four(c.victim)
    ),
    "an ARP answer for another's IP": lambda c: arp_reply(c.liar, c.four(c.victim), c.far),
    "an ARP answer with another's MAC": lambda c: arp_reply(
        c.liar, c.four(c.liar), c.far, sha=mac_number(c.victim.mac)
    ),
    "an ARP question as somebody else": lambda c: arp_request(c.liar, c.four(c.far), spa=c.four(c.victim)),
    "a neighbour advertisement for another's address": lambda c: advertisement(c.liar, c.six(c.victim)),
    "a neighbour advertisement with another's MAC": lambda c: advertisement(
        c.liar, c.six(c.liar), tll=mac_number(c.victim.mac)
    ),
    "a neighbour advertisement from another's address": lambda c: advertisement(
        c.liar, c.six(c.liar), src=c.six(c.victim)
    ),
    "an EtherType of nobody's": lambda c: frames.ethernet(
        mac_number(c.far.mac), mac_number(c.liar.mac), 0x88B5, MARKER.ljust(46, b"\0")
    ),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.usefixtures("net")
def test_what_is_not_its_own_is_dropped_and_counted(scene: Scene, lie: str) -> None:
    """A frame with a borrowed identity leaves its port for nowhere, and that port's refusing flow counts it."""
    vms = scene.vms()
    cast = Cast(vms["liar"], vms["victim"], vms["far"])
    frame = LIES[lie](cast)
    before = refused(scene, cast.liar)
    with Ears(scene.lab, "victim", "far", interfaces=("eth0",)) as taps, Ears(scene.lab, "h1") as host:
        say(cast.liar, frame)
        wait(lambda: refused(scene, cast.liar) > before, f"{lie} is counted", 5)
        heard = [each for each in taps.hear(0.1) if each.frame[6:] == frame[6:]]
        tunnelled = [each for each in host.hear(0.1) if each.vni is not None and each.inner == frame]
        arrived = [each for each in host.hear(0.1) if each.frame == frame]
    assert not heard
    assert not tunnelled
    assert not arrived
    assert refused(scene, cast.liar) == before + 1


@pytest.mark.usefixtures("net")
def test_what_is_its_own_passes_uncounted(scene: Scene) -> None:
    """A frame with the port's own MAC and IP arrives, and the refusing flow counts nothing."""
    vms = scene.vms()
    cast = Cast(vms["liar"], vms["victim"], vms["far"])
    frame = ipv4(cast.liar, mac_number(cast.far.mac), cast.four(cast.far), MARKER)
    before = refused(scene, cast.liar)
    with Ears(scene.lab, "far", interfaces=("eth0",)) as ears:
        say(cast.liar, frame)
        assert [each.frame for each in ears.hear() if MARKER in each.frame and not each.outgoing] == [frame]
    assert scene.reaches("liar", cast.six(cast.far))
    assert refused(scene, cast.liar) == before
