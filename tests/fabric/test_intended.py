"""Can an intended topology be drawn in GraphML and JSON, and is what contradicts itself refused?"""

from __future__ import annotations

import json
from typing import Any

import networkx as nx
import pytest

from controller.fabric import drawing
from controller.fabric.drawing import Format, guess
from controller.fabric.intended import Cable, End, Intended, Node, Role, read, restored, stated, written
from overlay.changes import Document
from overlay.refusals import Invalid
from overlay.values import DatapathId

D = DatapathId


def drawn(**edge: Any) -> nx.MultiDiGraph:
    """Two switches and a cable between them."""
    graph = nx.MultiDiGraph()
    graph.add_node("b", dpid="00000000000000bb", name="leaf", role="edge")
    graph.add_node("a", dpid=0xAA)
    graph.add_edge("b", "a", **edge)
    return graph


def as_text(graph: nx.Graph, language: Format) -> str:
    """Write a graph as networkx does."""
    if language is Format.GRAPHML:
        return "\n".join(nx.generate_graphml(graph))
    return json.dumps(nx.node_link_data(graph, edges="edges"))


@pytest.mark.parametrize("language", Format)
@pytest.mark.parametrize("kind", [nx.MultiDiGraph, nx.DiGraph, nx.MultiGraph, nx.Graph])
def test_a_drawing_is_read(language: Format, kind: type[nx.Graph]) -> None:
    """Switches, their names and roles, and cables with ports, weight and capacity are read out of either language."""
    graph = kind(drawn(source_port=7, target_port=3, weight=5, capacity=0.5, colour="red"))
    if not graph.is_directed():  # networkx writes an undirected edge from the node that came first, which is b here
        assert list(graph.edges) in ([("b", "a", 0)], [("b", "a")])
    assert read(as_text(graph, language), language) == Intended(
        {D(0xAA): Node(D(0xAA), "a"), D(0xBB): Node(D(0xBB), "leaf", Role.EDGE)},
        (Cable(End(D(0xAA), 3), End(D(0xBB), 7), 5, 0.5),),
    )


@pytest.mark.parametrize("name", ["edges", "links"])
def test_both_names_of_the_edges_are_known(name: str) -> None:
    """What networkx wrote before and since version 3.6 is read, and a key of an edge does not replace another edge."""
    nodes = [{"id": 1, "dpid": 1}, {"id": 2, "dpid": 2}]
    edges = [{"source": 2, "target": 1, "key": 0, "source_port": port} for port in (1, 2)]
    found = read(json.dumps({"nodes": nodes, name: edges}), Format.JSON)
    assert found.cables == tuple(Cable(End(D(1)), End(D(2), port)) for port in (1, 2))


def test_the_ends_of_an_undirected_edge_are_not_turned_round() -> None:
    """The source of an edge is the node that the drawing says, also where networkx would begin with the other one."""
    node = '<node id="{0}"><data key="d">000000000000000{0}</data></node>'
    text = (
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="d" for="node" attr.name="dpid"'
        ' attr.type="string"/><key id="p" for="edge" attr.name="source_port" attr.type="int"><default>4</default></key>'
        f'<graph edgedefault="undirected">{node.format(1)}{node.format(2)}'
        '<edge source="2" target="1" directed="false"/></graph></graphml>'
    )
    assert read(text, Format.GRAPHML).cables == (Cable(End(D(1)), End(D(2), 4)),)
    turned = {"nodes": [{"id": n, "dpid": n} for n in (1, 2)], "edges": [{"source": 2, "target": 1, "source_port": 4}]}
    assert read(json.dumps(turned), Format.JSON).cables == (Cable(End(D(1)), End(D(2), 4)),)


def test_defaults_of_graphml_hold() -> None:
    """A default that GraphML declares for nodes holds where a node says nothing itself."""
    text = (
        '<graphml><key id="d" for="node" attr.name="dpid" attr.type="long"><default>5</default></key>'
        '<graph><node id="n"/></graph></graphml>'
    )
    assert read(text.encode(), Format.GRAPHML).switches == {D(5): Node(D(5), "n")}


def test_what_mininet_draws_is_read() -> None:
    """A graph out of Mininet has ports and rates under its own names, and its hosts are no switches."""
    graph: Any = nx.MultiGraph()
    graph.add_node("s2", isSwitch=True, dpid=f"{2:016x}")
    graph.add_node("s1", isSwitch=True, dpid=f"{1:016x}")
    graph.add_node("h1", ip="10.0.1.10/24")
    graph.add_edge("s2", "s1", node1="s1", node2="s2", port1=4, port2=9, bw=100)
    graph.add_edge("s2", "h1", node1="h1", node2="s2", port1=0, port2=1)
    for language in Format:
        found = read(as_text(graph, language), language)
        assert sorted(found.switches) == [1, 2]
        assert found.cables == (Cable(End(D(1), 4), End(D(2), 9), None, 100.0),)


@pytest.mark.parametrize("ports", [{}, {"source_port": 1, "target_port": 2}])
def test_two_directions_are_one_cable(ports: dict[str, int]) -> None:
    """In a directed drawing two opposite edges are one cable; in an undirected one they are two."""
    nodes = [{"id": n, "dpid": n} for n in (1, 2)]
    there = {"source": 1, "target": 2, **ports}
    back = {"source": 2, "target": 1, **{name: 3 - port for name, port in ports.items()}}

    def cables(directed: bool, *edges: dict[str, int]) -> int:
        return len(read(json.dumps({"directed": directed, "nodes": nodes, "edges": edges}), Format.JSON).cables)

    assert cables(True, there, back) == 1
    if not ports:
        assert cables(True, there, there, back) == 2
        assert cables(False, there, back) == 2
    with pytest.raises(Invalid, match="two directions of the cable differ"):
        cables(True, there, {**back, "weight": 2})


@pytest.mark.parametrize("language", Format)
def test_a_statement_survives_the_store(language: Format) -> None:
    """What was stated is read back from its document, and nothing from a document that struck it out."""
    text = as_text(drawn(weight=2), language)
    assert restored(written(stated("\ufeff" + text, language))).intended == read(text, language)
    assert restored(written(stated(text.encode(), language, "/a/file"))) == stated(text, language)
    assert restored(written(None)) is None
    assert restored(Document("switch", "x", {})) is None
    assert guess(text) is guess(text.encode()) is guess("\ufeff \n" + text) is language


def graphml(inside: str = "", *, keys: str = "", graph: str = "<graph>{}</graph>") -> str:
    """Wrap a graph up."""
    known = '<key id="d" for="node" attr.name="dpid" attr.type="int"/>'
    return f'<graphml xmlns="http://graphml.graphdrawing.org/xmlns">{known}{keys}{graph.format(inside)}</graphml>'


NODE = '<node id="n{0}"><data key="d">{0}</data></node>'
TWO = NODE.format(1) + NODE.format(2)

BAD_GRAPHML = [
    ("", "not XML"),
    ("<graphml>", "not XML"),
    ("<graphml/>", "0 graphs"),
    ("<html/>", "0 graphs"),
    (graphml(), "has no nodes"),
    (graphml(graph="<graph/><graph/>"), "2 graphs"),
    (graphml(f'<node id="x">{"<graph/>"}</node>'), "2 graphs"),
    (graphml("<node/>"), "node 0 has no id"),
    (graphml(NODE.format(1) * 2), "'n1' is drawn twice"),
    (graphml(f'{TWO}<edge source="n1"/>'), "its target is not a node"),
    (graphml(f'{TWO}<edge source="n3" target="n1"/>'), "its source is not a node"),
    (graphml(f'{TWO}<edge source="n1" target="n1"/>'), "'n1' – 'n1': leads from a switch to itself"),
    (graphml(f'{TWO}<hyperedge><endpoint node="n1"/></hyperedge>'), "hyperedges"),
    (graphml(f'<node id="n1"><data key="d">1</data><port name="p"/></node>{NODE.format(2)}'), "port tag"),
    (graphml(f'<node id="x"><edge source="x" target="x"/></node>{TWO}'), "where GraphML has none"),
    (graphml(f'<desc><node id="x"/></desc>{TWO}'), "where GraphML has none"),
    (graphml('<node id="n"/>'), "node 'n': dpid: is missing"),
    (graphml('<node id="n"><data key="zz">1</data></node>'), "no key zz"),
    (graphml('<node id="n"><data key="d">one</data></node>'), "'one'"),
    (graphml('<node id="n"><data key="d"/></node>'), "dpid: '' is not a datapath id"),
    (graphml(TWO, keys='<key id="k" for="node" attr.name="x" attr.type="colour"/>'), "colour"),
    (graphml(TWO, keys='<key id="k" for="node" attr.name="x"/>'), "No key type"),
    (graphml(TWO, keys='<key id="k" for="node" attr.type="int"/>'), "Unknown key"),
    (graphml(TWO, keys='<key id="k" for="node" attr.name="x" attr.type="boolean"><default/></key>'), "AttributeError"),
    ('<!DOCTYPE graphml [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + graphml(TWO), "DOCTYPE"),
    ('<!DOCTYPE graphml SYSTEM "file:///etc/passwd">' + graphml(TWO), "DOCTYPE"),
    ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><graphml>&e;</graphml>', "DOCTYPE"),
    ("<graphml>&unknown;</graphml>", "not XML"),
    ("<a>" * 100 + "</a>" * 100, "deep"),
    ("<a>" * 100_000, "deep"),
    ("\ud800", "not UTF-8"),
    (b"\xff\xfe<\x00", "not UTF-8"),
    ("\x00", "not XML"),
]

BAD_JSON = [
    ("", "not JSON"),
    ("{", "not JSON"),
    ("[]", "must be a JSON object"),
    ("null", "must be a JSON object"),
    ("[" * 100_000, "nested too deeply"),
    ('{"nodes": [{"id": 1, "dpid": NaN}], "edges": []}', "NaN"),
    ('{"nodes": [], "nodes": []}', "twice"),
    ("9" * 5000, "not JSON"),
    ({"nodes": []}, "either 'edges' or 'links'"),
    ({"nodes": [], "edges": [], "links": []}, "either 'edges' or 'links'"),
    ({"nodes": [], "edges": []}, "has no nodes"),
    ({"nodes": [], "edges": [], "colour": 1}, "'colour'"),
    ({"nodes": {}, "edges": []}, "nodes: must be a list"),
    ({"edges": []}, "nodes: must be a list"),
    ({"nodes": [1], "edges": []}, "nodes[0]: must be an object"),
    ({"nodes": [{}], "edges": []}, "nodes[0].id"),
    ({"nodes": [{"id": True}], "edges": []}, "nodes[0].id"),
    ({"nodes": [{"id": [1]}], "edges": []}, "nodes[0].id"),
    ({"nodes": [{"id": 1.0}], "edges": []}, "nodes[0].id"),
    ({"nodes": [{"id": 1, "dpid": 1}], "edges": [{"source": 1}]}, "edges[0].target"),
    ({"nodes": [{"id": 1, "dpid": 1}], "links": [{"source": 1, "target": None}]}, "links[0].target"),
    ({"nodes": [{"id": 1, "dpid": 1}], "edges": [{"source": 1, "target": "1"}]}, "its target is not a node"),
    ({"nodes": [{"id": 1, "dpid": 1}] * 2, "edges": []}, "node 1 is drawn twice"),
    ({"nodes": [], "edges": [], "directed": 1}, "directed: 1 is not true or false"),
    ({"nodes": [], "edges": [], "multigraph": "no"}, "multigraph: 'no' is not true or false"),
    ({"nodes": [], "edges": [], "graph": []}, "graph: [] is not an object"),
]


@pytest.mark.parametrize(
    ("language", "text", "why"),
    [
        *(
            pytest.param(Format.GRAPHML, text, why, id=f"graphml {n}: {why}")
            for n, (text, why) in enumerate(BAD_GRAPHML)
        ),
        *(
            pytest.param(Format.JSON, text if isinstance(text, str) else json.dumps(text), why, id=f"json {n}: {why}")
            for n, (text, why) in enumerate(BAD_JSON)
        ),
    ],
)
def test_what_is_no_drawing_is_refused(language: Format, text: str, why: str) -> None:
    """What cannot be read, or draws the impossible, is refused with the place and the reason."""
    with pytest.raises(Invalid) as refused:
        read(text, language)
    assert why in refused.value.message
    assert (refused.value.field, refused.value.kind) == ("document", "IntendedTopologyInvalid")


def test_a_huge_drawing_is_not_read() -> None:
    """A drawing that is longer than any fabric needs is refused before it is parsed."""
    with pytest.raises(Invalid, match="more than the"):
        read(b"<" * (drawing.LARGEST + 1), Format.GRAPHML)


BAD_NODE = [
    ({"dpid": None}, "dpid: None"),
    ({"dpid": "1"}, "dpid: '1'"),
    ({"dpid": "0x00000000000001"}, "dpid: '0x00000000000001'"),
    ({"dpid": "g" * 16}, "dpid"),
    ({"dpid": "0" * 16}, "dpid: 0 "),
    ({"dpid": 0}, "dpid: 0 "),
    ({"dpid": -1}, "dpid: -1"),
    ({"dpid": 1 << 64}, "dpid"),
    ({"dpid": 1.0}, "dpid: 1.0"),
    ({"dpid": True}, "dpid: True"),
    ({"dpid": [1]}, "dpid: [1]"),
    ({"dpid": 2}, "dpid 0000000000000002 is that of 'y' as well"),
    ({"dpid": "0000000000000002"}, "dpid 0000000000000002 is that of 'y' as well"),
    ({"name": "y"}, "name 'y' is that of 'y' as well"),
    ({"name": ""}, "name"),
    ({"name": 5}, "name"),
    ({"name": None}, "name"),
    ({"name": "a\nb"}, "name"),
    ({"name": "x" * 256}, "name"),
    ({"name": "\ud800"}, "name"),
    ({"role": "spine"}, "role: 'spine' is none of edge, aggregation, intermediate"),
    ({"role": 1}, "role: 1"),
    ({"role": ["edge"]}, "role: ['edge']"),
]


@pytest.mark.parametrize(("change", "why"), BAD_NODE, ids=lambda value: repr(value)[:40])
def test_a_switch_that_cannot_be_is_refused(change: dict[str, Any], why: str) -> None:
    """A switch whose attributes are of another type, out of range, or another's already is refused by its node."""
    nodes = [{"id": "y", "dpid": 2}, {"id": "x", "dpid": 1, **change}]
    with pytest.raises(Invalid) as refused:
        read(json.dumps({"nodes": nodes, "edges": []}), Format.JSON)
    assert "node 'x': " in refused.value.message
    assert why in refused.value.message


BAD_EDGE = [
    ({"source_port": 0}, "port at 'x': 0 "),
    ({"source_port": -1}, "port at 'x': -1 "),
    ({"target_port": 1.5}, "port at 'y': 1.5 "),
    ({"target_port": "1"}, "port at 'y': '1' "),
    ({"target_port": True}, "port at 'y': True "),
    ({"target_port": 0xFFFFFF00}, "port at 'y'"),
    ({"source_port": {}}, "port at 'x': {} "),
    ({"weight": -1}, "weight: -1 "),
    ({"weight": 0}, "weight: 0 "),
    ({"weight": 1.0}, "weight: 1.0 "),
    ({"weight": "5"}, "weight: '5' "),
    ({"weight": 65536}, "weight: 65536 "),
    ({"weight": False}, "weight: False "),
    ({"capacity": 0}, "capacity: 0 "),
    ({"capacity": -5}, "capacity: -5 "),
    ({"capacity": 1e300}, "capacity: 1e+300"),
    ({"capacity": "fast"}, "capacity: 'fast'"),
    ({"capacity": True}, "capacity: True"),
    ({"bw": []}, "bw: []"),
    ({"port1": 1}, "node1: None"),
    ({"port1": 1, "node1": "z", "node2": "y"}, "node1: 'z'"),
    ({"port1": 1, "node1": ["x"]}, "node1: ['x']"),
    ({"port1": 1, "node1": "x", "node2": "x"}, "node1: 'x'"),
    ({"port1": 1, "node1": "x", "source_port": 2}, "port1: 1 is not the port 2"),
]


@pytest.mark.parametrize(("change", "why"), BAD_EDGE, ids=lambda value: repr(value)[:40])
def test_a_cable_that_cannot_be_is_refused(change: dict[str, Any], why: str) -> None:
    """A cable whose attributes are of another type, out of range or contradictory is refused by its ends."""
    nodes = [{"id": "x", "dpid": 1}, {"id": "y", "dpid": 2}]
    with pytest.raises(Invalid) as refused:
        read(json.dumps({"nodes": nodes, "edges": [{"source": "x", "target": "y", **change}]}), Format.JSON)
    assert "edge 'x' – 'y': " in refused.value.message
    assert why in refused.value.message


def test_an_endless_capacity_is_refused() -> None:
    """A number too large to be one is refused, as JSON spells it and as GraphML does."""
    nodes = '"nodes": [{"id": "x", "dpid": 1}, {"id": "y", "dpid": 2}]'
    with pytest.raises(Invalid, match="capacity: inf"):
        read(f'{{{nodes}, "edges": [{{"source": "x", "target": "y", "capacity": 1e999}}]}}', Format.JSON)
    key = '<key id="c" for="edge" attr.name="capacity" attr.type="double"/>'
    edge = '<edge source="n1" target="n2"><data key="c">NaN</data></edge>'
    with pytest.raises(Invalid, match="capacity: nan"):
        read(graphml(TWO + edge, keys=key), Format.GRAPHML)


def test_a_port_of_two_cables_is_refused() -> None:
    """A port that two cables claim is refused, naming both."""
    nodes = [{"id": n, "dpid": n} for n in (1, 2, 3)]
    edges = [{"source": 1, "target": 2, "source_port": 1}, {"source": 3, "target": 1, "target_port": 1}]
    with pytest.raises(Invalid, match="edge 3 – 1: port 1 of 0000000000000001 is that of edge 1 – 2 as well"):
        read(json.dumps({"nodes": nodes, "edges": edges}), Format.JSON)
