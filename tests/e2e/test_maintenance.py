"""Switches and links are taken away under traffic after they were drained, and policies change under it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from controller.fabric_cli import command
from tests.e2e.scene import Net, Scene, wait
from topologies import drawing
from topologies.probing import ProbeReport, probing

pytestmark = [pytest.mark.alone, pytest.mark.root]

TOPOLOGY, PARAMS = "vl2", {"intermediates": 2, "aggregations": 4, "tors": 3}


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """Two machines at opposite ends of the fabric, which is intended to be what it is."""
    net = scene.network("red")
    for name, host in (("left", "h1"), ("right", "h3")):
        scene.vm(name, host, net)
    text = drawing.write(drawing.of_lab(scene.lab.status()), "graphml")
    scene.ask("PUT", "/v1/topology/intended", {"intended": {"format": "graphml", "document": text}})
    wait(lambda: not scene.ask("GET", "/v1/topology/differences")["differences"], "the fabric is as it was intended")
    return net


def fabric(scene: Scene, *words: str) -> str:
    """``vl2 fabric …`` as the lab's operator types it; what it says."""
    control = scene.lab.status().controller
    assert control is not None
    result = CliRunner().invoke(command, ["--config", control.config, *words])
    assert result.exit_code == 0, result.output
    return result.output


def owed(scene: Scene) -> list[object]:
    """What switches that are there do not hold yet, or have not confirmed."""
    policy = scene.ask("GET", "/v1/topology/policy")["policy"]
    same = {"policy": {"name": policy["name"], "paths": policy["paths"]}}
    changes: list[object] = scene.ask("PUT", "/v1/topology/policy?dry_run=true", same)["changes"]
    health = scene.health()
    waiting = health["pending"] - sum(not each["connected"] for each in health["switches"])
    return [*changes, *([f"{waiting} pending"] if waiting else [])]


def settle(scene: Scene) -> None:
    """Let all switches confirm, and some hundred probes follow."""
    deadline = time.monotonic() + 20
    while left := owed(scene):
        assert time.monotonic() < deadline, left
    argv = ["ping", "-n", "-q", "-c4", "-i0.1", "-W1", scene.ip("right")]
    assert "4 received" in scene.lab.run("left", argv).stdout


def assert_unharmed(report: ProbeReport) -> None:
    """Nothing was lost or doubled, either way."""
    assert report.there.sent > 500
    assert (report.lost, report.duplicated) == (0, 0), report


def packets(scene: Scene, switch: str) -> int:
    """How many packets a switch has forwarded by its routes, as far as Open vSwitch has counted."""
    flows = scene.flows(switch, "br0")
    return sum(flow.number("n_packets") for flow in flows if flow.ours and "group:" in flow.text)


def quiet(scene: Scene, switch: str) -> bool:
    """Whether a switch forwards nothing; Open vSwitch takes half a second to count what passed."""
    before = packets(scene, switch)
    for _ in range(3):
        settle(scene)
    return packets(scene, switch) == before


@pytest.fixture(autouse=True)
def _as_it_was(scene: Scene) -> Iterator[None]:
    """Whatever a test has left behind, the next one finds a whole fabric with its default policy."""
    yield
    for noun, nouns, id_ in (("switch", "switches", "datapath_id"), ("link", "links", "id")):
        for each in scene.ask("GET", f"/v1/topology/{nouns}")[nouns]:
            if each["maintenance"]:
                scene.ask("PUT", f"/v1/topology/{nouns}/{each[id_]}", {noun: {"maintenance": False}})
    scene.ask("PUT", "/v1/topology/policy", {"policy": {"name": "ecmp"}})


@pytest.mark.parametrize("victim", ["int1", "agg1"])
@pytest.mark.usefixtures("net")
def test_a_drained_switch_is_restarted_without_loss(scene: Scene, victim: str) -> None:
    """Draining a switch, cutting its power, giving it back and undraining it loses no probe of 1,000 a second."""
    with probing(scene.lab, "left", "right") as probe:
        assert fabric(scene, "drain", victim) == f"{victim} is drained\n"
        wait(lambda: quiet(scene, victim), f"nothing passes {victim}")
        try:
            scene.lab.kill_switch(victim)
            wait(lambda: "NOT CONNECTED, in maintenance, drained" in fabric(scene, "status"), f"{victim} is gone")
            settle(scene)
        finally:
            scene.lab.revive_switch(victim)
        wait(scene.all_connected, "all switches are connected")
        wait(lambda: "NOT USABLE" not in fabric(scene, "status"), "all links are usable")
        settle(scene)
        fabric(scene, "undrain", victim)
        settle(scene)
    assert_unharmed(probe.result())


@pytest.mark.usefixtures("net")
def test_a_drained_link_is_cut_without_loss(scene: Scene) -> None:
    """Draining a link, cutting it, mending it and undraining it loses no probe."""
    one, other = "tor1", "agg2"
    with probing(scene.lab, "left", "right") as probe:
        assert fabric(scene, "drain", f"{one}-{other}") == f"{one}-{other} is drained\n"
        settle(scene)
        try:
            scene.lab.set_link(one, other, up=False)
            wait(lambda: "NOT USABLE" in fabric(scene, "status"), "the link is gone")
            settle(scene)
        finally:
            scene.lab.set_link(one, other, up=True)
        wait(lambda: "NOT USABLE" not in fabric(scene, "status"), "all links are usable")
        settle(scene)
        fabric(scene, "undrain", f"{one}-{other}")
        settle(scene)
    assert_unharmed(probe.result())


@pytest.mark.usefixtures("net")
def test_the_policy_changes_without_loss(scene: Scene) -> None:
    """Changing the policy at run time, through all that there are, loses no probe."""
    fabric(scene, "policy", "shortest")
    settle(scene)
    with probing(scene.lab, "left", "right") as probe:
        for name in ("ecmp", "vlb", "disjoint", "ecmp"):
            assert f"* {name} " in fabric(scene, "policy", name)
            settle(scene)
    assert_unharmed(probe.result())


@pytest.mark.usefixtures("net")
def test_weights_change_without_loss(scene: Scene) -> None:
    """Making a link dear and cheap again moves the traffic, and loses no probe."""
    with probing(scene.lab, "left", "right") as probe:
        for weight in ("9", "1"):
            fabric(scene, "weight", "tor1-agg1", weight)
            settle(scene)
    assert_unharmed(probe.result())


@pytest.mark.usefixtures("net")
def test_hosts_are_not_cut_off(scene: Scene) -> None:
    """A switch that hosts hang off is not taken into maintenance unless that is forced; nothing changes."""
    before = fabric(scene, "status", "--json")
    control = scene.lab.status().controller
    assert control is not None
    refused = CliRunner().invoke(command, ["--config", control.config, "drain", "tor1"])
    assert refused.exit_code == 2
    assert "10.0.1.10" in refused.output
    assert json.loads(fabric(scene, "status", "--json")) == json.loads(before)


@pytest.mark.usefixtures("net")
def test_wrong_cabling_is_a_problem(scene: Scene) -> None:
    """A fabric that is not cabled as it was intended says so in words, by port, in differences and in health."""
    graph = drawing.of_lab(scene.lab.status())
    text = drawing.write(graph, "json")
    ends = [(one, other, data) for one, other, data in graph.edges(data=True) if one == "tor1"]
    (_, first, a), (_, second, b) = ends
    a["source_port"], b["source_port"] = b["source_port"], a["source_port"]
    try:
        crossed = {"format": "json", "document": drawing.write(graph, "json")}
        scene.ask("PUT", "/v1/topology/intended", {"intended": crossed})
        found = scene.ask("GET", "/v1/topology/differences")["differences"]
        assert {each["kind"] for each in found} == {"wrong_cabling"}
        assert len(found) == 4
        sentences = [each["sentence"] for each in found]
        assert any(sentence.startswith(f"port {a['source_port']} of tor1") for sentence in sentences)
        assert any(first in sentence and second in sentence for sentence in sentences)
        assert set(sentences) <= set(scene.health()["problems"])
    finally:
        scene.ask("PUT", "/v1/topology/intended", {"intended": {"format": "json", "document": text}})
