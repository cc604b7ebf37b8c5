"""Real QEMUs migrate between the hypervisors of a lab, and what runs beside them moves their ports."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.scene import Net, Scene, wait
from tests.hostside.domains import domain
from tests.hostside.machines import ROOT, Agent, Machine, agent

pytestmark = pytest.mark.root

TOPOLOGY, PARAMS = "leafspine", {"spines": 1, "leaves": 2}


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """A network with a machine at h1, so that somebody else has to be told."""
    net = scene.network("red")
    scene.vm("stays", "h1", net)
    return net


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory for sockets, whose paths may have 107 bytes (unix(7))."""
    path = Path(tempfile.mkdtemp(prefix="vl2-"))
    yield path
    shutil.rmtree(path)


def beside(scene: Scene, host: str) -> list[object]:
    """The options of whatever runs at a hypervisor: where the controller is, and which database is its own."""
    status = scene.lab.status()
    assert status.controller is not None
    here = next(each for each in status.hypervisors if each.name == host)
    url = f"http://{status.controller.rest_host}:{status.controller.rest_port}"
    return [
        "--url",
        url,
        "--token-file",
        status.controller.operator_token_file,
        "--db",
        f"unix:{here.directory}/db.sock",
    ]


def guest(scene: Scene, host: str, place: Path, port: dict[str, Any], *, incoming: bool) -> Machine:
    """A QEMU at a hypervisor with a card at a tap, which is plugged as libvirt does it."""
    tap = f"tap{port['id'][:11]}"
    card = [
        *("-netdev", f"tap,id=n0,ifname={tap},script=no,downscript=no,vnet_hdr=off,vhost=off"),
        *("-device", f"virtio-net-pci,netdev=n0,mac={port['mac_address']},romfile="),
    ]
    machine = Machine(place, host, *card, incoming=incoming, inside=scene.lab.command(host, []))
    ids = {"iface-id": port["id"], "attached-mac": f'"{port["mac_address"]}"', "iface-status": "active"}
    words = ["--no-wait", "--may-exist", "add-port", "br-int", tap, "--", "set", "Interface", tap]
    words += [f"external_ids:{key}={value}" for key, value in ids.items()]
    for argv in (["ip", "link", "set", "dev", tap, "up"], ["ovs-vsctl", *words]):
        done = scene.lab.run(host, argv)
        assert done.returncode == 0, done.stderr
    return machine


def last_move(scene: Scene, port_id: str) -> dict[str, Any]:
    """The latest move of a port."""
    moves: list[dict[str, Any]] = scene.ask("GET", f"/v1/moves?port_id={port_id}")["moves"]
    return moves[0] if moves else {}


def migrate(scene: Scene, place: Path, port: dict[str, Any], hosts: tuple[str, str], *agents_at: str) -> list[Agent]:
    """Migrate a guest as an orchestrator would, with agents at some hosts; returns them, with what they said."""
    source, target = hosts
    with ExitStack() as stack:
        one = stack.enter_context(guest(scene, source, place, port, incoming=False))
        wait(lambda: scene.ask("GET", f"/v2.0/ports/{port['id']}")["port"]["status"] == "ACTIVE", "the port is ACTIVE")
        scene.ask("POST", f"/v2.0/ports/{port['id']}/bindings", {"binding": {"host": target}})
        two = stack.enter_context(guest(scene, target, place, port, incoming=True))
        wait(lambda: last_move(scene, port["id"]).get("phase") == "ready", "the target is ready")
        machines = {source: one, target: two}
        agents = [
            stack.enter_context(agent("--qmp", machines[host].qmp, "--continue", *beside(scene, host)))
            for host in agents_at
        ]
        for each in agents:
            assert each.until("watching")["ports"] == [port["id"]], "found in the switch's database"
        one.migrate(two, pause=source in agents_at)
        wait(lambda: last_move(scene, port["id"])["phase"] == "settled", "the move is settled")
        wait(lambda: two.status() == "running", "the guest runs at the target")
        assert one.status() == "postmigrate"
        for each in agents:
            wait(lambda each=each: each.heard("RESUME") or each.heard("continued"), each.said)
    return agents


def test_a_guest_with_agents_at_both_hosts(scene: Scene, net: Net, place: Path) -> None:
    """The port is activated while QEMU waits, and all switches have confirmed before the guest goes on."""
    port = scene.port(net, "h1")
    source, target = migrate(scene, place, port, ("h1", "h2"), "h1", "h2")
    handed = source.until("activated", order="hand over", port=port["id"], host="h2")
    continued = source.until("continued", confirmed=1, ports=1)
    resumed = target.until("RESUME")
    assert handed["monotonic"] <= continued["monotonic"] <= resumed["monotonic"]
    target.until("already active", order="arrive")
    target.until("MIGRATION", status="completed")
    assert not [each for each in target.said if each.get("order") == "hand over"], "the guest has come, not gone"
    found = last_move(scene, port["id"])
    assert (found["target"], found["trigger"]) == ("h2", "passive_binding")
    assert scene.ask("GET", f"/v2.0/ports/{port['id']}")["port"]["binding:host_id"] == "h2"


def test_a_guest_with_an_agent_at_the_target_only(scene: Scene, net: Net, place: Path) -> None:
    """Where only the target has an agent, the port follows when the guest goes on."""
    port = scene.port(net, "h2")
    (target,) = migrate(scene, place, port, ("h2", "h1"), "h1")
    # The target's announcements may have been faster than its agent: then it finds done what it wants.
    wait(lambda: target.heard("activated") or target.heard("already active"), target.said)
    assert scene.ask("GET", f"/v2.0/ports/{port['id']}")["port"]["binding:host_id"] == "h1"


def test_libvirts_hook(scene: Scene, net: Net) -> None:
    """What libvirt's hook prepares, the target's announcement activates; when the source's ends, all is done."""
    moves = scene.vm("moves", "h1", net)

    def hook(host: str, *words: str) -> str:
        argv = [sys.executable, "-m", "hostside", "libvirt-hook", *map(str, beside(scene, host)), "moves", *words]
        done = subprocess.run(argv, input=domain(moves.port_id), capture_output=True, check=True, cwd=ROOT)
        assert done.stdout == b""
        return done.stderr.decode()

    assert f"port {moves.port_id}: passive binding at h2" in hook("h2", "migrate", "begin", "-")
    assert hook("h2", "started", "begin", "-") == ""
    scene.lab.vm_move("moves", "h2", trigger="rarp")
    assert hook("h1", "stopped", "end", "-") == ""
    found = last_move(scene, moves.port_id)
    assert (found["phase"], found["target"], found["trigger"]) == ("settled", "h2", "passive_binding")
    assert scene.reaches("stays", scene.ip("moves"))
