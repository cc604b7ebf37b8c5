"""Can a lab be written down as the topology that the controller is to expect?"""

from __future__ import annotations

import json

import pytest

pytest.importorskip("topologies.mn", reason="Mininet is not importable here", exc_type=ImportError)

import networkx as nx
from click.testing import CliRunner

from controller.fabric.drawing import Format
from controller.fabric.intended import Role, read
from topologies import drawing
from topologies.cli import command
from topologies.orders import HypervisorStatus, LabStatus, LinkStatus, SwitchStatus
from topologies.registry import TOPOLOGIES, make
from topologies.underlay import UnderlayTopo, as_graph


def topology(name: str) -> UnderlayTopo:
    """A topology with its defaults."""
    return make(name, {"source": nx.path_graph(3)} if name == "graphml" else {"bw": 10})


@pytest.mark.parametrize("language", drawing.FORMATS)
@pytest.mark.parametrize("name", TOPOLOGIES)
def test_every_topology_can_be_intended(name: str, language: str) -> None:
    """The controller reads out of a drawing of any topology the switches and cables that it has, port by port."""
    topo = topology(name)
    found = read(drawing.write(drawing.of_topology(topo), language), Format(language))
    names = {node.name: f"{node.datapath_id}" for node in found.switches.values()}
    assert names == {switch: topo.nodeInfo(switch)["dpid"] for switch in topo.switches()}
    wanted = {
        frozenset({(names[a], info["port1"]), (names[b], info["port2"])})
        for a, b, info in ((info["node1"], info["node2"], info) for _, _, info in topo.links(withInfo=True))
        if a in names and b in names
    }
    assert {
        frozenset({(str(cable.a.datapath_id), cable.a.port), (str(cable.b.datapath_id), cable.b.port)})
        for cable in found.cables
    } == wanted
    assert len(found.cables) == len(wanted)
    edges = {topo.nodeInfo(host)["edge"] for host in topo.hosts()}
    assert {node.name for node in found.switches.values() if node.role is Role.EDGE} == edges


@pytest.mark.parametrize("language", drawing.FORMATS)
@pytest.mark.parametrize("name", TOPOLOGIES)
def test_mininets_own_graph_says_the_same(name: str, language: str) -> None:
    """A graph as Mininet makes it is understood as well, but for the roles."""
    topo = topology(name)
    plain = drawing.of_topology(topo)
    for _, data in plain.nodes(data=True):
        del data["role"]
    assert read(drawing.write(as_graph(topo), language), Format(language)) == read(
        drawing.write(plain, language), Format(language)
    )


def test_a_running_lab_is_drawn_as_it_was_built() -> None:
    """The drawing of a lab names its switches, roles and cables, and no hypervisor."""
    status = LabStatus(
        "lab",
        "/run/vl2/lab",
        "linear",
        "netdev",
        "172.31.0.1",
        1,
        (SwitchStatus("s1", f"{0x10001:016x}", 1, "", True), SwitchStatus("s2", f"{0x10002:016x}", 1, "", False)),
        (HypervisorStatus("h1", "10.0.1.10", "s1", 1, "", True),),
        (LinkStatus("s2", 1, "s2-eth1", "s1", 3, "s1-eth3"), LinkStatus("h1", 0, "h1-eth0", "s1", 1, "s1-eth1")),
        (),
        None,
    )
    graph = drawing.of_lab(status)
    assert dict(graph.nodes(data="role")) == {"s1": "edge", "s2": "intermediate"}
    assert list(graph.edges(data=True)) == [("s2", "s1", {"source_port": 1, "target_port": 3})]


def test_the_command_prints_a_drawing(tmp_path) -> None:
    """``vl2 lab topology`` prints a topology that need not run, in the format that was asked for."""
    run = CliRunner().invoke
    root = ["--root", str(tmp_path.parent)]  # of its own, the name would be too long
    said = run(command, [*root, "topology", "--topology", "leafspine", "--param", "leaves=2", "--format", "json"])
    assert said.exit_code == 0, said.output
    assert len(json.loads(said.output)["nodes"]) == 4
    assert read(run(command, [*root, "topology", "--topology", "ring"]).output, Format.GRAPHML).switches
    for words, why in (
        (["--topology", "moebius"], "'moebius' does not exist"),
        (["--param", "k=4"], "param: needs --topology"),
        ([], "is not up"),
    ):
        refused = run(command, [*root, "topology", *words])
        assert refused.exit_code == 2
        assert why in refused.output
