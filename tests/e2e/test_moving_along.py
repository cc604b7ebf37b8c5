"""What a machine has goes with it when it moves: its connections, limits, addresses and counts."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack

import pytest

from tests.e2e.scene import IPV4_SUBNET, IPV6_SUBNET, Scene, wait
from tests.e2e.test_qos import PAYLOAD, rule, transfer
from tests.e2e.test_security_groups import Stage, exchanged

pytestmark = [pytest.mark.alone, pytest.mark.root]

TOPOLOGY, PARAMS = "linear", {"switches": 2}
LIMIT = 4000
"""kbit/s that a machine may send."""
VIRTUAL = "192.168.0.99"
SSH = {"protocol": "tcp", "port_range_min": 22, "port_range_max": 22}


@pytest.fixture(scope="module")
def stage(scene: Scene) -> Stage:
    """A machine of its project's default group, one that may only answer, and a peer that is in neither's groups."""
    stage = Stage(scene, scene.network("red", IPV4_SUBNET, IPV6_SUBNET))
    for name in ("peers", "caged"):
        stage.group(name)
    stage.machine("peer", "h1", "peers")
    stage.machine("moves", "h2")
    stage.machine("caged", "h2", "caged")
    for version in ("IPv4", "IPv6"):
        stage.allow("peers", ethertype=version)
    caged = stage.ask("GET", f"security-group-rules?security_group_id={stage.groups['caged']}")["security_group_rules"]
    for each in caged:
        stage.ask("DELETE", f"security-group-rules/{each['id']}")
    made: str = scene.ask("POST", "/v2.0/qos/policies", {"policy": {"project_id": "red"}})["policy"]["id"]
    rule(scene, made, "bandwidth_limit", max_kbps=LIMIT)
    change = {"qos_policy_id": made, "allowed_address_pairs": [{"ip_address": VIRTUAL}]}
    path = f"/v2.0/ports/{scene.vms()['moves'].port_id}"
    scene.ask("PUT", path, {"port": change}, "red")
    wait(lambda: scene.ask("GET", path)["port"]["status"] == "ACTIVE", "the switches know what it may")
    return stage


def move(stage: Stage, name: str) -> None:
    """Let a machine move to the other host."""
    stage.scene.lab.vm_move(name, {"h1": "h2", "h2": "h1"}[stage.scene.vms()[name].host])


def refused_in(stage: Stage, name: str) -> int:
    """How many packets for a machine its groups have refused, as its project is told."""
    drops = stage.scene.ask("GET", f"/v1/ports/{stage.scene.vms()[name].port_id}/drops", project="red")["drops"]
    (packets,) = (each["packets"] for each in drops if each["reason"] == "refused_in")
    return int(packets)


def test_a_download_goes_on_though_the_machine_is_silent(stage: Stage) -> None:
    """Somebody whom no rule lets in goes on sending to it after each move, by IPv4 and IPv6; he begins nothing."""
    blocks = [os.urandom(100_000) for _ in range(3)]
    with ExitStack() as stack:
        pairs = [stage.connected("moves", "peer", 9000 + version, version) for version in (4, 6)]
        for end in (end for pair in pairs for end in pair):
            stack.enter_context(end).settimeout(10)
        for block in blocks:
            for here, there in pairs:
                sending = threading.Thread(target=there.sendall, args=(block,))
                sending.start()
                with here.makefile("rb") as file:
                    assert file.read(len(block)) == block
                sending.join()
            move(stage, "moves")
        assert not stage.tcp("peer", "moves", 9)
        assert all(exchanged(*pair) for pair in pairs)


def test_a_machine_that_may_only_answer_goes_on_and_ends_with_its_rule(stage: Stage) -> None:
    """It speaks first after a move and is heard, and hears; when the rule goes that let the other end in, it ends."""
    made = stage.allow("caged", **SSH)
    wait(lambda: stage.tcp("peer", "caged", 22), "the rule lets the peer in")
    with ExitStack() as stack:
        peer, server = map(stack.enter_context, stage.connected("peer", "caged", 22))
        move(stage, "caged")
        assert exchanged(server, peer)
        assert exchanged(peer, server)
        move(stage, "caged")
        assert exchanged(server, peer)
        stage.ask("DELETE", f"security-group-rules/{made}")
        wait(lambda: not exchanged(peer, server), "the connection is cut", 10)
        assert not exchanged(server, peer)


def test_its_limit_and_its_addresses_are_there(stage: Stage) -> None:
    """At the target it may send as much as before and no more, and by the address that it shares."""
    scene = stage.scene
    scene.lab.run("moves", ["ip", "address", "add", f"{VIRTUAL}/32", "dev", "eth0"])
    argv = ["ping", "-n", "-q", "-c1", "-W1", "-I", VIRTUAL, scene.ip("peer")]
    for _ in range(2):
        assert scene.lab.run("moves", argv).returncode == 0
        move(stage, "moves")
    assert scene.lab.run("moves", argv).returncode == 0
    got = transfer(scene, "moves", "peer", "-u", "-b", "40M", "-l", str(PAYLOAD), seconds=2)
    assert LIMIT / 2 < got < 2 * LIMIT


def test_its_counts_do_not_go_back(stage: Stage) -> None:
    """What was refused at the source is told after the move as before it, and what the target refuses is added."""
    told = refused_in(stage, "moves")
    for _ in range(3):
        assert not stage.ping("peer", "moves")
        wait(lambda told=told: refused_in(stage, "moves") > told, "it is counted", 5)  # type: ignore[misc]
        told = refused_in(stage, "moves")
        move(stage, "moves")
        assert refused_in(stage, "moves") >= told
        told = refused_in(stage, "moves")
