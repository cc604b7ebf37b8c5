"""Are the next hops those of all shortest paths?"""

from __future__ import annotations

from itertools import combinations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from controller.fabric.plan import PortRef
from controller.fabric.routes import PORTS, Routes, shortest_paths
from overlay.values import DatapathId

from . import graphs

D = DatapathId


@st.composite
def physical_graphs(draw: st.DrawFn) -> nx.Graph:
    """Draw up to eight switches with up to two parallel links between any two of them."""
    size = draw(st.integers(1, 8))
    graph = nx.Graph()
    graph.add_nodes_from(D(n) for n in range(size))
    last = dict.fromkeys(range(size), 0)
    for near, far in combinations(range(size), 2):
        links = draw(st.sampled_from([0, 0, 1, 2]))
        if links:
            ports = {}
            for end in (near, far):
                ports[D(end)] = tuple(range(last[end] + 1, last[end] + links + 1))
                last[end] += links
            graph.add_edge(D(near), D(far), **{PORTS: ports})
    return graph


@given(physical_graphs())
def test_next_hops_are_those_of_all_shortest_paths(graph: nx.Graph) -> None:
    """For each pair of switches, the next-hop ports are those towards the second node of any shortest path."""
    for destination in graph:
        hops = shortest_paths(graph, destination)
        assert hops[destination] == ()
        for source in graph:
            if source == destination:
                continue
            if not nx.has_path(graph, source, destination):
                assert source not in hops
                continue
            seconds = {path[1] for path in nx.all_shortest_paths(graph, source, destination)}
            wanted = sorted(port for second in seconds for port in graph.edges[source, second][PORTS][source])
            assert hops[source] == tuple(wanted)


@given(physical_graphs())
def test_next_hops_never_loop(graph: nx.Graph) -> None:
    """Following any next hop comes one hop nearer to the destination."""
    for destination in graph:
        distance = nx.single_source_shortest_path_length(graph, destination)
        for here, ports in shortest_paths(graph, destination).items():
            for far, link in graph.adj[here].items():
                if set(ports) & set(link[PORTS][here]):
                    assert distance[far] == distance[here] - 1


def test_routes_are_computed_once() -> None:
    """The next hops towards a destination are computed when first asked for, and kept."""
    asked = []

    def policy(graph: nx.Graph, destination: D) -> dict:
        asked.append(destination)
        return shortest_paths(graph, destination)

    graph = nx.Graph()
    graph.add_node(D(1))
    routes = Routes(graph, policy)
    assert routes.towards(D(1)) is routes.towards(D(1))
    assert asked == [D(1)]


def test_losing_a_link_repairs_only_what_led_over_it() -> None:
    """A switch that keeps another next hop is repaired alone; where none is left, routes are computed anew."""
    fabric = graphs.build(graphs.fattree(4))
    edges = [D(1000 + n) for n in range(8)]
    before = {edge: fabric.routes.towards(edge) for edge in edges}
    assert fabric.routes.lose({D(1000): {1}, D(9): {1}}) == {D(1000)}
    assert fabric.routes.towards(D(1000)) is before[D(1000)]
    assert all(fabric.routes.towards(edge)[D(1000)] == (2,) for edge in edges[1:])
    fabric.graph.remove_edge(D(1000), D(2000))
    changed = fabric.routes.lose({D(1000): {1}, D(2000): set(before[D(1000)][D(2000)])})
    assert D(2000) in changed
    assert all(fabric.routes.towards(edge) == shortest_paths(fabric.graph, edge) for edge in edges)


def test_another_policy_is_asked_again_after_a_loss() -> None:
    """What a policy of its own chose is not repaired by the rule for shortest paths."""
    graph = nx.Graph()
    graph.add_nodes_from((D(1), D(2)))
    answers = iter([{D(1): (), D(2): (1, 2)}, {D(1): (), D(2): (3,)}])
    routes = Routes(graph, lambda _graph, _destination: next(answers))
    routes.towards(D(1))
    assert routes.lose({D(2): {1}}) == {D(2)}
    assert routes.towards(D(1))[D(2)] == (3,)


def test_a_destination_outside_of_the_graph_is_reached_by_nobody() -> None:
    """Towards a switch that is not in the graph there are no next hops."""
    assert Routes(nx.Graph()).towards(D(9)) == {}


def test_parallel_links_are_all_next_hops() -> None:
    """Several links to one neighbour are several next hops."""
    fabric = graphs.build(graphs.leafspine(leaves=2, spines=2, parallel=2))
    assert fabric.routes.towards(D(101))[D(100)] == (1, 2, 3, 4)
    assert fabric.peer(PortRef(D(100), 1)) == PortRef(D(200), 1)
