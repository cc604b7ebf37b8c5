"""Is everything that cannot be built refused, with the name of the parameter, and nothing changed?"""

from __future__ import annotations

import networkx as nx
import pytest

pytest.importorskip("topologies.mn", reason="Mininet is not importable here", exc_type=ImportError)

from click.testing import CliRunner

from topologies import machine
from topologies.cli import command
from topologies.client import LabClient
from topologies.errors import TopologyError
from topologies.registry import make
from topologies.underlay import assign

LOOP = nx.Graph([("a", "b"), ("b", "b")])


@pytest.mark.parametrize(
    ("name", "params", "field"),
    [
        ("clos", {}, "topology"),
        ("vl2", {"tor": 3}, "tor"),
        ("vl2", {"tors": 0}, "tors"),
        ("vl2", {"tors": "many"}, "tors"),
        ("vl2", {"tors": 255}, "tors"),
        ("vl2", {"aggregations": -1}, "aggregations"),
        ("vl2", {"hypervisors_per_edge": 201}, "hypervisors_per_edge"),
        ("vl2", {"intermediates": True}, "intermediates"),
        ("leafspine", {"spines": 1.5}, "spines"),
        ("fattree", {"k": 3}, "k"),
        ("fattree", {"k": 0}, "k"),
        ("ring", {"switches": 2}, "switches"),
        ("linear", {"switches": 300}, "edges"),
        ("linear", {"edges": "s1,s9"}, "edges"),
        ("linear", {"edges": ","}, "edges"),
        ("jellyfish", {"switches": 5, "degree": 3}, "degree"),
        ("jellyfish", {"switches": 4, "degree": 4}, "degree"),
        ("jellyfish", {"switches": 10, "degree": 1}, "degree"),
        ("ring", {"bw": 0}, "bw"),
        ("ring", {"bw": "fast"}, "bw"),
        ("ring", {"delay": "soon"}, "delay"),
        ("ring", {"delay": "-1ms"}, "delay"),
        ("graphml", {}, "source"),
        ("graphml", {"source": "/nonexistent.graphml"}, "source"),
        ("graphml", {"source": nx.Graph()}, "source"),
        ("graphml", {"source": LOOP}, "source"),
        ("graphml", {"source": nx.Graph([(1, 2), (3, 4)])}, "source"),
        ("graphml", {"source": nx.path_graph(3), "edge_attribute": "hosts"}, "edge_attribute"),
        ("graphml", {"source": nx.path_graph(3), "edges": "s4"}, "edges"),
        ("graphml", {"source": 7}, "source"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(name, params, field):
    """A parameter out of its range, of the wrong type or unknown raises TopologyError with that parameter's name."""
    with pytest.raises(TopologyError) as refused:
        make(name, params)
    assert refused.value.field == field
    assert "\n" not in refused.value.message


def _graphml(inside: str) -> bytes:
    head = (
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="d0" for="node" attr.name="x" attr.type="int"/>'
    )
    return f'{head}<graph edgedefault="undirected">{inside}</graph></graphml>'.encode()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not xml",
        b"<graphml>",
        b"<?xml version='1.0'?><gml><graph/></gml>",
        b"\x00\xff\xfe" * 100,
        _graphml('<node id="a"/><edge source="a"/>'),
        _graphml('<node id="a"><data key="d0">one</data></node>'),
        _graphml('<node id="a"><data key="nowhere">1</data></node>'),
    ],
    ids=["empty", "prose", "cut", "other", "binary", "half-edge", "no-number", "no-key"],
)
def test_broken_graphml_is_refused(text, tmp_path):
    """A file that is not sound GraphML raises TopologyError for ``source``, whatever is wrong with it."""
    path = tmp_path / "broken.graphml"
    path.write_bytes(text)
    with pytest.raises(TopologyError) as refused:
        make("graphml", {"source": str(path)})
    assert refused.value.field == "source"


@pytest.mark.parametrize(
    "las",
    [
        [("h1", "10.0.2.10")],
        [("h1", "10.0.9.9"), ("h2", "10.0.9.9")],
        [("h1", "10.0.9.9"), ("h1", "10.0.9.8")],
        [("h9", "10.0.9.9")],
        [("h1", "10.1.0.5")],
        [("h1", "10.0.3.1")],
        [("h1", "ten")],
    ],
)
def test_a_clash_of_locators_is_refused(las):
    """The same LA twice, an unknown hypervisor, or an address that no host can have: refused, and nothing is set."""
    topo = make("vl2", {})
    before = {host: dict(topo.nodeInfo(host)) for host in topo.hosts()}
    with pytest.raises(TopologyError) as refused:
        assign(topo, las)
    assert refused.value.field == "la"
    assert {host: dict(topo.nodeInfo(host)) for host in topo.hosts()} == before


def test_two_hypervisors_may_exchange_their_locators():
    """A swap is no clash."""
    topo = make("vl2", {})
    assign(topo, [("h1", "10.0.2.10"), ("h2", "10.0.1.10")])
    assert topo.nodeInfo("h1")["ip"] == "10.0.2.10/24"
    assert topo.nodeInfo("h1")["defaultRoute"] == "via 10.0.2.1"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--topology", "torus"], "topology"),
        (["--param", "tors=none"], "tors"),
        (["--param", "tors"], "param"),
        (["--bw", "-5"], "bw"),
        (["--la", "h1=10.0.2.10"], "la"),
        (["--datapath", "dpdk"], "datapath"),
        (["--topology", "graphml", "--param", "source=/nonexistent"], "source"),
        (["--name", "../escape"], "name"),
    ],
)
def test_the_command_answers_one_line_and_exit_code_2(words, named, root):
    """``vl2 lab up`` with a mistake prints one line that names the parameter, exits with 2 and makes no directory."""
    done = CliRunner().invoke(command, ["--root", str(root / "labs"), "up", *words])
    assert done.exit_code == 2
    assert done.output.count("\n") == 1
    assert named in done.output
    assert not (root / "labs").exists()


def test_a_delay_that_cannot_be_honoured_is_refused(monkeypatch):
    """Where the kernel has no netem a link delay is refused; a rate is not."""
    monkeypatch.setattr(machine, "can_shape", lambda discipline: discipline != "netem")
    with pytest.raises(TopologyError) as refused:
        machine.require_shaping(rate=True, delay=True)
    assert refused.value.field == "delay"
    machine.require_shaping(rate=True, delay=False)


def test_the_kernel_datapath_is_refused_where_it_is_missing(monkeypatch):
    """``system`` without the kernel module is refused, ``auto`` falls back to userspace."""
    monkeypatch.setattr(machine, "kernel_datapath", lambda: False)
    with pytest.raises(TopologyError) as refused:
        machine.choose_datapath("system")
    assert refused.value.field == "datapath"
    assert machine.choose_datapath("auto") == "netdev"
    monkeypatch.setattr(machine, "kernel_datapath", lambda: True)
    assert machine.choose_datapath("auto") == "system"


def test_asking_a_lab_that_is_not_there_is_one_line(root):
    """Every verb on a lab that is not up exits with 2 and one line; ``down`` has nothing to do."""
    where = ["--root", str(root)]
    for words in (["status"], ["vm", "del", "vm1"], ["kill-switch", "tor1"], ["cli"]):
        done = CliRunner().invoke(command, [*where, *words])
        assert (done.exit_code, done.output.count("\n")) == (2, 1), words
    done = CliRunner().invoke(command, [*where, "down"])
    assert done.exit_code == 0


def test_a_state_directory_too_long_for_a_socket_is_refused(tmp_path):
    """A socket's path has at most 107 bytes (unix(7)): a name that leads beyond is refused at once."""
    with pytest.raises(TopologyError):
        LabClient("x" * 100, tmp_path)
