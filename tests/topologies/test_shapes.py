"""Do the topologies have the shapes that their pictures show?"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import networkx as nx
import pytest

pytest.importorskip("topologies.mn", reason="Mininet is not importable here", exc_type=ImportError)

from topologies.custom import topos
from topologies.registry import TOPOLOGIES, make, parameters
from topologies.underlay import UnderlayTopo, as_graph

EXAMPLES = {
    "vl2": {},
    "leafspine": {},
    "fattree": {},
    "ring": {},
    "linear": {},
    "jellyfish": {},
    "graphml": {"source": nx.petersen_graph()},
}


def switches(topo: UnderlayTopo) -> nx.MultiGraph:
    """The fabric without its hypervisors."""
    graph = as_graph(topo)
    return graph.subgraph([name for name in graph if topo.isSwitch(name)])


def of_layer(topo: UnderlayTopo, start: str) -> list[str]:
    """The switches of one layer, which share the beginning of their names."""
    return [name for name in topo.switches() if name.startswith(start)]


@pytest.mark.parametrize("name", sorted(TOPOLOGIES))
def test_every_topology_is_one_piece(name):
    """Whatever the shape, every hypervisor can reach every other."""
    graph = as_graph(make(name, EXAMPLES[name]))
    assert nx.is_connected(graph)
    assert len(graph) > 2


@pytest.mark.parametrize("name", sorted(TOPOLOGIES))
def test_every_name_fits_into_an_interface_name(name):
    """Linux interface names (node-ethN) have at most 15 characters."""
    topo = make(name, EXAMPLES[name])
    graph = as_graph(topo)
    assert max(len(f"{node}-eth{graph.degree(node)}") for node in graph) <= 15


@pytest.mark.parametrize("name", sorted(TOPOLOGIES))
def test_datapath_ids_are_distinct_and_never_a_br_int(name):
    """Fabric switches have distinct datapath ids, none beginning with 0x564c, which marks br-ints."""
    topo = make(name, EXAMPLES[name])
    ids = [topo.nodeInfo(switch)["dpid"] for switch in topo.switches()]
    assert len(set(ids)) == len(ids)
    assert all(len(dpid) == 16 and int(dpid, 16) > 0 and not dpid.startswith("564c") for dpid in ids)


@pytest.mark.parametrize("name", sorted(TOPOLOGIES))
def test_every_edge_switch_has_its_own_prefix(name):
    """Hypervisors on one edge switch share a /24 with its gateway .1, and no other edge switch's do."""
    topo = make(name, {**EXAMPLES[name], "hypervisors_per_edge": 3})
    prefixes: dict[IPv4Network, str] = {}
    addresses = set()
    for host in topo.hosts():
        info = topo.nodeInfo(host)
        network = IPv4Network(info["ip"], strict=False)
        assert prefixes.setdefault(network, info["edge"]) == info["edge"]
        assert info["defaultRoute"] == f"via {network.network_address + 1}"
        addresses.add(IPv4Address(info["ip"].partition("/")[0]))
        assert list(as_graph(topo)[host]) == [info["edge"]]
    assert len(addresses) == len(topo.hosts()) == 3 * len(prefixes)
    assert all(address in IPv4Network("10.0.0.0/16") for address in addresses)


def test_default_vl2_is_the_papers_clos_with_three_three_four():
    """By default: 3 intermediates, 3 aggregations, 4 ToRs with one hypervisor each; 9 + 8 links between switches."""
    topo = make("vl2", {})
    assert len(topo.switches()) == 10
    assert topo.hosts() == ["h1", "h2", "h3", "h4"]
    assert switches(topo).number_of_edges() == 3 * 3 + 4 * 2


@pytest.mark.parametrize(("tops", "middles", "tors"), [(3, 3, 4), (2, 4, 8), (1, 2, 3), (5, 2, 1)])
def test_vl2_layers_are_meshed_as_in_figure_5(tops, middles, tors):
    """Every aggregation switch reaches every intermediate; ToR i reaches aggregations i and i + 1 mod n."""
    topo = make("vl2", {"intermediates": tops, "aggregations": middles, "tors": tors})
    graph = switches(topo)
    for middle in of_layer(topo, "agg"):
        assert set(of_layer(topo, "int")) <= set(graph[middle])
    for i in range(tors):
        assert set(graph[f"tor{i + 1}"]) == {f"agg{i % middles + 1}", f"agg{(i + 1) % middles + 1}"}


def test_leafspine_is_a_complete_bipartite_graph():
    """Every leaf is on every spine, and leaves carry the hypervisors."""
    topo = make("leafspine", {"spines": 3, "leaves": 5})
    assert nx.is_isomorphic(nx.Graph(switches(topo)), nx.complete_bipartite_graph(3, 5))
    assert {topo.nodeInfo(host)["edge"] for host in topo.hosts()} == set(of_layer(topo, "leaf"))


@pytest.mark.parametrize("k", [2, 4, 6])
def test_fattree_has_equal_cost_paths_through_every_core(k):
    """A k-ary fat tree has 5k²/4 switches, and (k/2)² shortest paths between edge switches of different pods."""
    topo = make("fattree", {"k": k})
    assert len(topo.switches()) == 5 * k * k // 4
    graph = nx.Graph(switches(topo))
    assert {degree for name, degree in graph.degree() if name.startswith(("core", "agg"))} == {k}
    paths = list(nx.all_shortest_paths(graph, "edge1", f"edge{k * k // 2}"))
    assert len(paths) == (k // 2) ** 2


def test_ring_is_a_cycle_and_linear_is_a_path():
    """A ring's switches have two neighbours each; a row's ends have one."""
    assert nx.is_isomorphic(nx.Graph(switches(make("ring", {"switches": 5}))), nx.cycle_graph(5))
    assert nx.is_isomorphic(nx.Graph(switches(make("linear", {"switches": 5}))), nx.path_graph(5))


def test_edges_says_which_switches_carry_hypervisors():
    """With edges=s1,s3 only these switches get hypervisors."""
    topo = make("linear", {"switches": 3, "edges": "s1,s3", "hypervisors_per_edge": 2})
    assert [topo.nodeInfo(host)["edge"] for host in topo.hosts()] == ["s1", "s1", "s3", "s3"]


def test_jellyfish_is_regular_and_the_seed_decides():
    """Every switch has the same degree; the same seed gives the same graph, another seed another."""
    one, same, other = (
        nx.Graph(switches(make("jellyfish", {"switches": 12, "degree": 3, "seed": seed}))) for seed in (7, 7, 8)
    )
    assert set(dict(one.degree()).values()) == {3}
    assert set(one.edges) == set(same.edges)
    assert set(one.edges) != set(other.edges)


@pytest.mark.parametrize(
    "graph", [nx.petersen_graph(), nx.balanced_tree(2, 3), nx.grid_2d_graph(3, 3)], ids=["petersen", "tree", "grid"]
)
def test_any_networkx_graph_becomes_a_fabric(graph, tmp_path):
    """A networkx graph, and the GraphML file that it is written to, give isomorphic fabrics."""
    assert nx.is_isomorphic(nx.Graph(switches(make("graphml", {"source": graph}))), graph)
    path = tmp_path / "graph.graphml"
    nx.write_graphml(graph, path)
    assert nx.is_isomorphic(nx.Graph(switches(make("graphml", {"source": str(path)}))), graph)


def test_parallel_edges_of_a_graph_are_parallel_links():
    """A multigraph's two edges between the same nodes become two cables."""
    graph = nx.MultiGraph([("a", "b"), ("a", "b"), ("b", "c")])
    assert switches(make("graphml", {"source": graph})).number_of_edges("s1", "s2") == 2


def test_both_directions_of_a_directed_graph_are_one_link():
    """A directed graph that lists a cable in both directions has one link there."""
    graph = nx.DiGraph([("a", "b"), ("b", "a"), ("b", "c")])
    assert switches(make("graphml", {"source": graph})).number_of_edges() == 2


def test_a_node_attribute_marks_edge_switches():
    """With edge_attribute only the nodes that have it set carry hypervisors."""
    graph = nx.path_graph(4)
    graph.nodes[0]["hosts"] = True
    graph.nodes[3]["hosts"] = "yes"
    graph.nodes[1]["hosts"] = "false"
    topo = make("graphml", {"source": graph, "edge_attribute": "hosts"})
    assert [topo.nodeInfo(host)["edge"] for host in topo.hosts()] == ["s1", "s4"]


def test_links_carry_the_rate_and_the_delay():
    """The options bw and delay become parameters of every link, as Mininet's TCLink knows them."""
    topo = make("ring", {"bw": "10", "delay": "0.5ms"})
    for _one, _other, info in topo.links(withInfo=True):
        assert (info["bw"], info["delay"]) == (10.0, "0.5ms")


def test_mininets_own_command_finds_every_topology():
    """custom.py's ``topos`` names exactly the registered topologies."""
    assert topos == dict(TOPOLOGIES)


@pytest.mark.parametrize("name", sorted(TOPOLOGIES))
def test_every_picture_is_there_and_every_shape_can_be_sized(name):
    """build() of each topology has its drawing, and takes hypervisors_per_edge, bw and delay."""
    assert "::" in str(TOPOLOGIES[name].build.__doc__)
    assert {"hypervisors_per_edge", "bw", "delay"} <= set(parameters(name))
