"""Are the next hops those of all shortest paths?"""

from __future__ import annotations

from itertools import combinations

import networkx as nx
from hypothesis import given
from hypothesis import strategies as st

from controller.fabric.plan import PortRef
from controller.fabric.routes import COST, PORTS, WEIGHTS, Hop, equal_cost, reduced, single
from controller.fabric.routing import Routes
from overlay.values import DatapathId

from . import graphs

D = DatapathId


COSTS = st.sampled_from([1, 1, 1, 2, 5])


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
            weights = {end: tuple(draw(st.sampled_from([1, 1, 10])) for _ in each) for end, each in ports.items()}
            graph.add_edge(D(near), D(far), **{PORTS: ports, COST: draw(COSTS), WEIGHTS: weights})
    return graph


@given(physical_graphs())
def test_next_hops_are_those_of_all_shortest_paths(graph: nx.Graph) -> None:
    """For each pair of switches, the next-hop ports are those towards the second node of any shortest path."""
    for destination in graph:
        hops = equal_cost(graph, destination)
        assert hops[destination] == ()
        for source in graph:
            if source == destination:
                continue
            if not nx.has_path(graph, source, destination):
                assert source not in hops
                continue
            seconds = {path[1] for path in nx.all_shortest_paths(graph, source, destination, weight=COST)}
            capacity: dict[int, int] = {}
            for link in (graph.edges[source, second] for second in seconds):
                capacity |= zip(link[PORTS][source], link[WEIGHTS][source], strict=True)
            assert [hop.port for hop in hops[source]] == sorted(capacity)
            assert len({capacity[hop.port] / hop.weight for hop in hops[source]}) == 1
            assert single(graph, destination)[source] == (Hop(min(capacity)),)


@given(physical_graphs())
def test_next_hops_never_loop(graph: nx.Graph) -> None:
    """Following any next hop comes one hop nearer to the destination."""
    for destination in graph:
        distance = nx.single_source_dijkstra_path_length(graph, destination, weight=COST)
        for here, hops in equal_cost(graph, destination).items():
            for far, link in graph.adj[here].items():
                if {hop.port for hop in hops} & set(link[PORTS][here]):
                    assert distance[far] == distance[here] - link[COST]


def test_routes_are_computed_once() -> None:
    """The next hops towards a destination are computed when first asked for, and kept."""
    asked = []

    def policy(graph: nx.Graph, destination: D) -> dict:
        asked.append(destination)
        return equal_cost(graph, destination)

    graph = nx.Graph()
    graph.add_node(D(1))
    routes = Routes(graph, policy)
    assert routes.towards(D(1)) is routes.towards(D(1))
    assert asked == [D(1)]


def test_a_destination_outside_of_the_graph_is_reached_by_nobody() -> None:
    """Towards a switch that is not in the graph there are no next hops."""
    assert Routes(nx.Graph()).towards(D(9)) == {}


def test_parallel_links_are_all_next_hops() -> None:
    """Several links to one neighbour are several next hops."""
    fabric = graphs.build(graphs.leafspine(leaves=2, spines=2, parallel=2))
    assert fabric.routes.towards(D(101))[D(100)] == graphs.hops(1, 2, 3, 4)
    assert fabric.peer(PortRef(D(100), 1)) == PortRef(D(200), 1)


def test_weights_stay_small() -> None:
    """Capacities become small whole numbers of their ratio, and none becomes zero."""
    assert reduced([]) == []
    assert reduced([10_000, 40_000]) == [1, 4]
    assert reduced([10, 1_000_000]) == [1, 64]


def test_distances_are_costs_of_cheapest_ways() -> None:
    """The distance to a destination is known for switches that reach it, and for no others."""
    fabric = graphs.build(graphs.vl2())
    fabric.graph.add_node(D(7))
    assert fabric.routes.distance(D(300), D(100)) == 2
    assert fabric.routes.distance(D(7), D(100)) is None
    assert fabric.routes.distance(D(100), D(8)) is None


def test_a_rule_of_another_kind_is_followed_too() -> None:
    """Next hops by any rule are told for one switch, and those that a change of the graph gives others are named."""

    def direct(graph: nx.Graph, destination: D) -> dict:
        return {near: graph.edges[near, destination][PORTS][near] for near in graph.adj[destination]}

    fabric = graphs.build(graphs.ring(4))
    routes = Routes(fabric.graph, direct)
    assert routes.at(D(1), [D(2), D(3), D(4)]) == {D(2): (1,), D(4): (2,)}
    fabric.graph.remove_edge(D(1), D(2))
    assert routes.update([(D(1), D(2))]) == {D(1)}
    assert routes.at(D(1), [D(2), D(4)]) == {D(4): (2,)}


def test_what_was_measured_is_not_measured_again() -> None:
    """Who lets others go between hears when there was nothing left to do, and finds the same next hops."""
    fabric = graphs.build(graphs.fattree())
    routes, (first, *others) = Routes(fabric.graph), sorted(fabric.edges)
    assert routes.ask([first])
    assert routes.ask(fabric.edges)
    assert not routes.ask([first, *others])
    assert routes.at(others[0], fabric.edges) == fabric.routes.at(others[0], fabric.edges)
