"""A hypervisor is emptied of the machines of several tenants, and nobody beside them notices."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from click.testing import CliRunner

from controller.host_cli import command
from tests.e2e.scene import Scene, wait
from topologies.probing import probing

pytestmark = [pytest.mark.alone, pytest.mark.root, pytest.mark.slow]

TOPOLOGY, PARAMS = "leafspine", {"spines": 1, "leaves": 5}
SETTINGS = {"overlay": {"grace_seconds": 0.3}}
NETWORKS, PER_NETWORK, PARALLEL = 6, 4, 4


def vl2_host(scene: Scene, *words: str) -> dict[str, Any]:
    """What ``vl2 host … --json`` says."""
    control = scene.lab.status().controller
    where = ["--url", control.url, "--token-file", control.operator_token_file]
    said = CliRunner().invoke(command, [*where, *words, "--json"])
    assert said.exit_code == 0, said.output
    found: dict[str, Any] = json.loads(said.output)
    return found


def plug(scene: Scene, host: str, *port_ids: str) -> None:
    """Plug machines' taps."""
    words: list[str] = []
    for port_id in port_ids:
        tap = f"tap{port_id[:11]}"
        done = scene.lab.run(host, ["ip", "link", "add", tap, "type", "veth", "peer", "name", f"mac{port_id[:11]}"])
        assert done.returncode == 0, done.stderr
        words += ["--", "add-port", "br-int", tap, "--", "set", "Interface", tap, f"external_ids:iface-id={port_id}"]
    done = scene.lab.run(host, ["ovs-vsctl", "--no-wait", "--timeout=10", *words[1:]])
    assert done.returncode == 0, done.stderr


def unplug(scene: Scene, host: str, port_id: str) -> None:
    """Take a tap away."""
    tap = f"tap{port_id[:11]}"
    scene.lab.run(host, ["ovs-vsctl", "--no-wait", "--timeout=10", "--if-exists", "del-port", "br-int", tap])
    scene.lab.run(host, ["ip", "link", "del", tap])


class Orchestrator:
    """Moves the machines of a host as the controller says."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.most = 0
        self.plugged: set[str] = set()
        self.left: set[str] = set()

    def turn(self) -> dict[str, Any]:
        """Do what can be done now.  :returns: how far it is."""
        scene = self.scene
        found: dict[str, Any] = scene.ask("GET", "/v1/hosts/h1/evacuation")["evacuation"]
        self.most = max(self.most, len(found["moving"]))
        coming: dict[str, list[str]] = {}
        for move in found["moving"]:
            if move["port_id"] not in self.plugged:
                coming.setdefault(move["target"], []).append(move["port_id"])
        for target, port_ids in coming.items():
            plug(scene, target, *port_ids)
            self.plugged.update(port_ids)
        ready = [move for move in found["moving"] if move["phase"] == "ready"]
        with ThreadPoolExecutor(PARALLEL) as pool:
            for _ in pool.map(self._move, ready):
                pass
        return found

    def _move(self, move: dict[str, str]) -> None:
        self.scene.ask("PUT", f"/v2.0/ports/{move['port_id']}/bindings/{move['target']}/activate")
        unplug(self.scene, "h1", move["port_id"])
        self.left.add(move["port_id"])


def test_a_host_is_emptied_under_traffic(scene: Scene) -> None:
    """24 machines of 6 networks leave, few at a time, past a killed controller; neighbours elsewhere lose no packet."""
    nets = [scene.network(("red", "blue")[number % 2]) for number in range(NETWORKS)]
    scene.vm("one", "h4", nets[0])
    scene.vm("two", "h5", nets[0])
    ports = [scene.port(net, "h1")["id"] for net in nets for _ in range(PER_NETWORK)]
    plug(scene, "h1", *ports)
    wait(lambda: scene.ask("GET", "/v2.0/ports?status=ACTIVE&binding:host_id=h1&fields=id")["ports"], "they are up")
    orchestrator = Orchestrator(scene)
    with probing(scene.lab, "one", "two") as probe:
        begun = vl2_host(scene, "evacuate", "h1", "--to", "h2", "--to", "h3", "--parallel", str(PARALLEL))["evacuation"]
        assert (begun["state"], len(begun["moving"]), len(begun["waiting"])) == ("evacuating", PARALLEL, 20)
        wait(lambda: orchestrator.turn() and len(orchestrator.left) >= len(ports) // 3, "some have left", 40)
        scene.lab.kill_controller(hard=True)
        scene.lab.start_controller()
        wait(scene.all_connected, "all switches are connected again", 40)
        wait(lambda: orchestrator.turn()["state"] == "evacuated", "all have left", 60)
    found = probe.result()
    assert (found.lost, found.duplicated) == (0, 0), found
    assert orchestrator.most == PARALLEL
    assert sorted(vl2_host(scene, "evacuation", "h1")["evacuation"]["done"]) == sorted(ports)
    homes = Counter(scene.ask("GET", f"/v2.0/ports/{port_id}")["port"]["binding:host_id"] for port_id in ports)
    assert homes == {"h2": 12, "h3": 12}
    wait(
        lambda: all(scene.ask("GET", f"/v2.0/ports/{port_id}")["port"]["status"] == "ACTIVE" for port_id in ports),
        "all are up elsewhere",
    )
    (h1,) = (host for host in vl2_host(scene, "list")["hosts"] if host["name"] == "h1")
    assert (h1["ports"], h1["evacuation"]) == (0, "evacuated")
    scene.lab.kill_controller(hard=True)
    scene.lab.start_controller()
    wait(scene.all_connected, "all switches are connected again", 40)
    assert {dpid: mods for dpid, mods in scene.sent().items() if mods != (0, 0)} == {}
