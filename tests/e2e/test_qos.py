"""What QoS policies say is what packets meet: both directions are limited, marks are seen, and storms are cut short."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any

import pytest

pytest.importorskip("topologies.mn", reason="Mininet is not importable here", exc_type=ImportError)

from bench.torrent import Speaker
from tests.e2e.scene import IPV4_SUBNET, IPV6_SUBNET, Ears, Scene, mac_number, say, wait
from tests.e2e.test_edge_meters import listens, received
from tests.model import frames
from topologies.client import LabClient
from topologies.orders import VmStatus

pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces"),
]

STORM, ASKING, BEGINNING = 3 << 16, 4 << 16, 6 << 16
UP, DOWN, CHANGED = 10_000, 20_000, 40_000
STORM_PPS, ASKING_PPS, CONNECTIONS = 100, 50, 60
SETTINGS = {"overlay": {"storm_pps": STORM_PPS, "port_connections": CONNECTIONS}}
FRAME, PAYLOAD = 1_442, 1_400
"""An Ethernet frame of UDP, and what iperf3 counts of it."""
HEADERS = 1_514 / 1_448
"""An Ethernet frame of TCP to what iperf3 counts of it."""


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """The machine ``limited`` on h1 with a policy of its own, a ``neighbour`` there, and a ``peer`` on h2."""
    lab = LabClient(f"e2e-{os.getpid()}-qos")
    try:
        lab.up("linear", {"switches": 2}, rest_port=0, settings=SETTINGS)
        scene = Scene(lab)
        wait(scene.all_connected, "all switches are connected")
        net = scene.network("red", IPV4_SUBNET, IPV6_SUBNET)
        for name, host in (("limited", "h1"), ("neighbour", "h1"), ("peer", "h2")):
            scene.vm(name, host, net)
        for peer in ("neighbour", "peer"):
            wait(lambda peer=peer: scene.reaches("limited", scene.ip(peer)), f"limited reaches {peer}")
        yield scene
    finally:
        lab.down()


@pytest.fixture(scope="module")
def policy(scene: Scene) -> str:
    """A policy that limits both directions, which the machine has."""
    made: str = scene.ask("POST", "/v2.0/qos/policies", {"policy": {"project_id": "red"}})["policy"]["id"]
    rule(scene, made, "bandwidth_limit", max_kbps=UP)
    rule(scene, made, "bandwidth_limit", max_kbps=DOWN, direction="ingress")
    port = scene.vms()["limited"].port_id
    scene.ask("PUT", f"/v2.0/ports/{port}", {"port": {"qos_policy_id": made}}, "red")
    settled(scene)
    return made


def settled(scene: Scene) -> None:
    """Wait until what was asked last is on the switches."""
    port = f"/v2.0/ports/{scene.vms()['limited'].port_id}"
    wait(lambda: scene.ask("GET", port)["port"]["status"] == "ACTIVE", "the switches have confirmed it")


def rule(scene: Scene, policy: str, kind: str, **said: Any) -> str:
    """Give a policy a rule; its address."""
    path = f"/v2.0/qos/policies/{policy}/{kind}_rules"
    made = scene.ask("POST", path, {f"{kind}_rule": said})[f"{kind}_rule"]
    return f"{path}/{made['id']}"


def transfer(scene: Scene, sender: str, receiver: str, *how: str, seconds: int = 4) -> float:
    """Let one machine send to another; what arrived, in kbit/s of what iperf3 counts."""
    argv = scene.lab.command(receiver, ["iperf3", "-s"])
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait(lambda: listens(scene, receiver), f"iperf3 listens in {receiver}")
            words = ["iperf3", "-c", scene.ip(receiver), "-t", str(seconds), "-J", *how]
            done = subprocess.run(scene.lab.command(sender, words), capture_output=True, timeout=60, check=False)
            return received(done.stdout)
        finally:
            server.terminate()


def udp(scene: Scene, sender: str, receiver: str) -> float:
    """UDP at several times the limit; what arrived."""
    return transfer(scene, sender, receiver, "-u", "-b", "80M", "-l", str(PAYLOAD), seconds=3) * FRAME / PAYLOAD


def tcp(scene: Scene, sender: str, receiver: str, *how: str) -> float:
    """TCP as fast as it can; what arrived."""
    return transfer(scene, sender, receiver, *how) * HEADERS


def test_tcp_and_udp_get_the_limit_in_each_direction(scene: Scene, policy: str) -> None:
    """Within 10 % of the limit, sending and receiving, and a neighbour without a policy is not limited."""
    assert policy
    assert tcp(scene, "limited", "peer") == pytest.approx(UP, rel=0.1)
    assert tcp(scene, "peer", "limited") == pytest.approx(DOWN, rel=0.1)
    # The first burst, of a quarter of a second, comes on top of the three.
    assert udp(scene, "limited", "peer") == pytest.approx(UP * (1 + 1 / 12), rel=0.1)
    assert udp(scene, "peer", "limited") == pytest.approx(DOWN * (1 + 1 / 12), rel=0.1)
    assert udp(scene, "neighbour", "peer") > 2 * DOWN


def test_a_limit_changes_while_it_is_used(scene: Scene, policy: str) -> None:
    """Another rate holds at once and touches no flow; that of the other direction stays."""
    before = scene.rules("h1"), scene.sent()
    (found,) = [
        each
        for each in scene.ask("GET", f"/v2.0/qos/policies/{policy}/bandwidth_limit_rules")["bandwidth_limit_rules"]
        if each["direction"] == "egress"
    ]
    change = {"alias_bandwidth_limit_rule": {"max_kbps": CHANGED}}
    scene.ask("PUT", f"/v2.0/qos/alias-bandwidth-limit-rules/{found['id']}", change)
    settled(scene)
    assert (scene.rules("h1"), scene.sent()) == before
    assert tcp(scene, "limited", "peer") == pytest.approx(CHANGED, rel=0.1)


def dscp_heard(scene: Scene, version: int) -> set[int]:
    """The marks of pings as their receiver gets them."""
    with Ears(scene.lab, "peer") as ears:
        assert scene.reaches("limited", scene.ip("peer", version))
        heard = ears.hear(quiet=0.1)
    kind = 0x0800 if version == 4 else 0x86DD
    mac = mac_number(scene.vms()["limited"].mac)
    own = [each.frame for each in heard if each.kind == kind and int.from_bytes(each.frame[6:12]) == mac]
    assert own
    if version == 4:
        return {frame[15] >> 2 for frame in own if frame[23] == 1}
    return {int.from_bytes(frame[14:16]) >> 6 & 0x3F for frame in own if frame[54] == 128}


def test_marks_are_seen_by_the_receiver(scene: Scene, policy: str) -> None:
    """IP packets of both versions arrive behind the tunnel with the policy's mark, and without it when it is gone."""
    for version in (4, 6):
        wait(lambda version=version: scene.reaches("limited", scene.ip("peer", version)), "they reach each other")
        assert dscp_heard(scene, version) == {0}
    mark = rule(scene, policy, "dscp_marking", dscp_mark=46)
    settled(scene)
    wait(lambda: dscp_heard(scene, 4) == {46}, "IPv4 is marked")
    assert dscp_heard(scene, 6) == {46}
    scene.ask("DELETE", mark)
    settled(scene)
    wait(lambda: dscp_heard(scene, 4) == {0}, "IPv4 is marked no more")
    assert dscp_heard(scene, 6) == {0}


def met(scene: Scene, host: str, meter: int) -> tuple[int, int]:
    """How many packets came to a meter, and how many it dropped."""
    said = scene.ofctl(host, "meter-stats", "br-int", f"meter={meter}").replace("\n", " ")
    found = re.search(r"packet_in_count:(\d+).*0: *packet_count:(\d+)", said)
    assert found is not None, said
    return int(found[1]), int(found[2])


def flood(scene: Scene, machine: VmStatus, meter: int, limit: int, storm: list[bytes]) -> float:
    """Send again and again (a machine's own queue loses much of it) until the meter has met far more than its limit.

    :returns: how many packets it may have let pass by now.
    """
    began, started = met(scene, "h1", meter)[0], time.monotonic()

    def flooded() -> bool:
        say(machine, *storm)
        return met(scene, "h1", meter)[0] - began > 10 * limit * (1 + time.monotonic() - started)

    wait(flooded, "the switch has seen the flood")
    return limit * (2 + time.monotonic() - started)


def test_a_storm_is_cut_short(scene: Scene) -> None:
    """Of what a machine floods no more than the rate gets through, here and there; all else of it does as ever."""
    machine = scene.vms()["limited"]
    lane, remote = scene.ofport("h1", machine.tap), scene.ofport("h2", scene.vms()["peer"].tap)
    frame = frames.ipv4(frames.BROADCAST, mac_number(machine.mac), ip(machine), 0xFFFFFFFF, b"storm" * 6)
    before, there = met(scene, "h1", STORM + lane), met(scene, "h2", STORM + remote)
    with Ears(scene.lab, "peer", "neighbour", interfaces=("eth0",)) as ears:
        most = flood(scene, machine, STORM + lane, STORM_PPS, [frame] * 500)
        heard = ears.hear()
    for node in ("peer", "neighbour"):
        assert STORM_PPS / 2 <= sum(each.node == node and each.frame == frame for each in heard) <= most
    came, dropped = (now - then for now, then in zip(met(scene, "h1", STORM + lane), before, strict=True))
    assert came - dropped <= most
    assert met(scene, "h2", STORM + remote) == there
    assert scene.reaches("limited", scene.ip("peer"))


def test_a_machine_begins_only_so_many_connections(scene: Scene) -> None:
    """Of connections that it begins no more than the rate gets through; one that it has goes on, even unanswered."""
    machine, peer = scene.vms()["limited"], scene.vms()["peer"]
    lane = scene.ofport("h1", machine.tap)
    speaker = Speaker(machine.mac, str(IPv4Address(ip(machine))), peer.mac, str(IPv4Address(ip(peer))))
    old = frames.ipv4(mac_number(peer.mac), mac_number(machine.mac), ip(machine), ip(peer), b"an old one")
    with Ears(scene.lab, "peer", interfaces=("eth0",)) as ears:
        say(machine, old)
        wait(lambda: any(each.frame == old for each in ears.hear(quiet=0.1)), "a connection is there")
        most = flood(scene, machine, BEGINNING + lane, CONNECTIONS, [speaker.connections(n) for n in range(3000)])
        say(machine, old)
        heard = ears.hear()
    assert any(each.frame == old for each in heard)
    new = {each.frame for each in heard} - {old}
    assert CONNECTIONS / 2 <= len([frame for frame in new if frame[23:24] == bytes([17])]) <= most
    assert scene.reaches("neighbour", scene.ip("peer"))


def test_what_a_machine_asks_is_limited(scene: Scene) -> None:
    """Of what it tells the controller of groups no more than the rate is handed up, and the others' is as ever."""
    flooder, other = scene.vms()["limited"], scene.vms()["neighbour"]
    lane, beside = (scene.ofport("h1", each.tap) for each in (flooder, other))
    address = str(IPv4Address(ip(flooder)))
    speaker = Speaker(flooder.mac, address, other.mac, address)
    before, calm = met(scene, "h1", ASKING + lane), met(scene, "h1", ASKING + beside)
    most = flood(scene, flooder, ASKING + lane, ASKING_PPS, list(map(speaker.igmp, range(500))))
    came, dropped = (now - then for now, then in zip(met(scene, "h1", ASKING + lane), before, strict=True))
    assert ASKING_PPS / 2 <= came - dropped <= most
    assert met(scene, "h1", ASKING + beside)[1] == calm[1]
    assert scene.reaches("neighbour", scene.ip("peer"))


def ip(machine: Any) -> int:
    """The IPv4 address of a machine, as a number."""
    text = next(each.partition("/")[0] for each in machine.addresses if ":" not in each)
    return int.from_bytes(bytes(map(int, text.split("."))))
