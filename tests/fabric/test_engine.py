"""Are the next hops that are kept those of all cheapest paths, whatever happens to the graph?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

import networkx as nx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller.fabric.engine import ShortestPaths
from controller.fabric.routes import Hop, Hops, NextHops, reduced
from overlay.values import DatapathId

D = DatapathId
SWITCHES = tuple(D(number) for number in range(1, 20))
COSTS = st.sampled_from([None, 1, 1, 1, 2, 3, 7, 1 << 20, (1 << 20) + 1])


def obvious(graph: nx.Graph, destination: D) -> Hops:
    """Compute next hops the plain way."""
    if destination not in graph:
        return {}
    length = nx.single_source_dijkstra_path_length(
        graph, destination, weight=lambda _one, _other, edge: edge.get("cost", 1)
    )
    found: dict[D, NextHops] = {}
    for switch, own in length.items():
        ports: list[int] = []
        weights: list[int] = []
        for far, edge in graph.adj[switch].items():
            if far in length and length[far] + edge.get("cost", 1) == own:
                ports += edge["ports"][switch]
                weights += edge["weights"][switch] if "weights" in edge else [1] * len(edge["ports"][switch])
        found[switch] = tuple(sorted(Hop(*each) for each in zip(ports, reduced(weights), strict=True)))
    return found


def hold_equal(paths: ShortestPaths, graph: nx.Graph, asked: Iterable[D]) -> dict[D, Hops]:
    """Hold what is kept against what is obvious, and give the latter."""
    wanted = {destination: obvious(graph, destination) for destination in asked}
    assert set(paths.destinations) == wanted.keys()
    for switch in SWITCHES:
        assert paths.at(switch) == {each: hops[switch] for each, hops in wanted.items() if switch in hops}
    for destination, hops in wanted.items():
        assert paths.towards(destination) == hops
        length = {}
        if destination in graph:
            length = nx.single_source_dijkstra_path_length(
                graph, destination, weight=lambda _a, _b, e: e.get("cost", 1)
            )
        assert all(paths.distance(switch, destination) == length.get(switch) for switch in SWITCHES)
    return wanted


def turned(before: Mapping[D, Hops], after: Mapping[D, Hops]) -> set[D]:
    """Name the switches of which next hops differ towards any destination."""
    return {
        switch
        for switch in SWITCHES
        for destination in before
        if before[destination].get(switch) != after[destination].get(switch)
    }


@st.composite
def wired(draw: st.DrawFn, one: D, other: D) -> dict[str, object]:
    """Draw what joins two switches: up to three parallel links, a cost, and perhaps weights."""
    links = draw(st.integers(1, 3))
    slots = tuple(range(1, links + 1))
    edge: dict[str, object] = {
        "ports": {near: tuple(far * 4 + slot for slot in slots) for near, far in ((one, other), (other, one))}
    }
    cost = draw(COSTS)
    if cost is not None:
        edge["cost"] = cost
    if draw(st.booleans()):
        weight = st.sampled_from([1, 10, 40, 100, 25_000])
        edge["weights"] = {near: tuple(draw(weight) for _ in slots) for near in (one, other)}
    return edge


def happen(draw: st.DrawFn, graph: nx.Graph) -> list[tuple[D, D]]:
    """Let one thing happen to the graph, and name the pairs it concerns."""
    one, other = draw(st.sampled_from(list(combinations(SWITCHES, 2))))
    match draw(st.sampled_from(["link", "link", "unlink", "unlink", "cost", "same", "come", "go", "go untold"])):
        case "link":
            if graph.has_edge(one, other):
                graph.remove_edge(one, other)
            graph.add_edge(one, other, **draw(wired(one, other)))
            return [(one, other)]
        case "unlink" if graph.edges:
            one, other = draw(st.sampled_from(list(graph.edges)))
            graph.remove_edge(one, other)
            return [(other, one)]
        case "cost" if graph.edges:
            one, other = draw(st.sampled_from(list(graph.edges)))
            graph.edges[one, other]["cost"] = draw(st.integers(1, 9))
            return [(one, other)]
        case "come":
            graph.add_node(one)
            return [(one, one)]
        case "go" if one in graph:
            lost = [(one, far) for far in graph.adj[one]]
            graph.remove_node(one)
            return [*lost, (one, one)]
        case "go untold" if one in graph:
            graph.remove_node(one)
            return [(one, one)]
    return [(one, other)]


def ring() -> nx.Graph:
    """Draw a ring of all switches, each with the two beside it."""
    graph = nx.Graph()
    for number, one in enumerate(SWITCHES):
        other = SWITCHES[(number + 1) % len(SWITCHES)]
        graph.add_edge(one, other, ports={one: (1,), other: (2,)})
    return graph


@st.composite
def physical_graphs(draw: st.DrawFn) -> nx.Graph:
    """Draw a graph of any of the switches."""
    if draw(st.booleans()):
        return ring()
    graph = nx.Graph()
    graph.add_nodes_from(draw(st.lists(st.sampled_from(SWITCHES), unique=True)))
    pairs = list(combinations(sorted(graph), 2))
    for one, other in draw(st.lists(st.sampled_from(pairs), unique=True, max_size=40)) if pairs else ():
        graph.add_edge(one, other, **draw(wired(one, other)))
    return graph


@settings(deadline=None)
@given(physical_graphs(), st.lists(st.sampled_from(SWITCHES)))
def test_next_hops_are_those_of_all_cheapest_paths(graph: nx.Graph, asked: list[D]) -> None:
    """A neighbour is a next hop where its distance and the cost of the link make up one's own, for all links to it."""
    paths = ShortestPaths(graph)
    paths.ask(asked)
    hold_equal(paths, graph, set(asked))


@settings(deadline=None)
@given(st.data())
def test_an_update_equals_a_computation_from_scratch(data: st.DataObject) -> None:
    """After any changes next hops are as if computed anew, and the switches named are just those where they differ."""
    graph = data.draw(physical_graphs())
    asked = set(data.draw(st.lists(st.sampled_from(SWITCHES), min_size=1)))
    paths = ShortestPaths(graph)
    paths.ask(asked)
    before = hold_equal(paths, graph, asked)
    for _ in range(data.draw(st.integers(1, 8))):
        pairs = [pair for _ in range(data.draw(st.sampled_from([1, 1, 1, 2, 5]))) for pair in happen(data.draw, graph)]
        changed = paths.update(pairs)
        after = hold_equal(paths, graph, asked)
        assert changed == turned(before, after)
        before = after
        if data.draw(st.integers(0, 4)) == 0:
            also = data.draw(st.sampled_from(SWITCHES))
            asked ^= {also}
            paths.ask(asked)
            if also not in asked:
                paths.forget(also)
            before = hold_equal(paths, graph, asked)


def test_a_switch_may_have_more_than_64_neighbours() -> None:
    """A star of 200 switches is left over 200 ports, and two of them share what leads to a third."""
    graph = nx.Graph()
    leaves = [D(number) for number in range(100, 300)]
    for number, leaf in enumerate(leaves, start=1):
        for spine, port in ((D(1), 1), (D(2), 2)):
            graph.add_edge(spine, leaf, ports={spine: (number,), leaf: (port,)})
    paths = ShortestPaths(graph)
    assert paths.towards(D(2))[D(1)] == tuple(map(Hop, range(1, 201)))
    assert paths.towards(leaves[7])[leaves[0]] == (Hop(1), Hop(2))
    graph.remove_edge(D(1), leaves[7])
    assert paths.update([(D(1), leaves[7])]) == {D(1), *leaves} - {leaves[7]}
    assert paths.towards(D(2))[D(1)] == tuple(map(Hop, [*range(1, 8), *range(9, 201)]))
    assert paths.at(leaves[0])[leaves[7]] == (Hop(2),)


def test_two_switches_that_lose_their_only_link_reach_nobody() -> None:
    """A change at whose ends no link is left is repaired like any other, beside a fabric that it does not concern."""
    graph = ring()
    one, other = D(1001), D(1002)
    graph.add_edge(one, other, ports={one: (1,), other: (1,)})
    paths = ShortestPaths(graph)
    paths.ask([one, SWITCHES[0]])
    graph.remove_edge(one, other)
    assert paths.update([(one, other)]) == {other}
    hold_equal(paths, graph, {one, SWITCHES[0]})


def test_nothing_is_computed_until_it_is_asked_for() -> None:
    """Before anything was asked for a change costs nothing, names nobody, and is seen by the first who asks."""
    graph = ring()
    paths = ShortestPaths(graph)
    graph.remove_edge(D(1), D(2))
    assert paths.update([(D(1), D(2))]) == set()
    assert paths.at(D(1)) == {}
    paths.ask(())
    assert paths.destinations == ()
    assert paths.distance(D(1), D(2)) == len(SWITCHES) - 1


def test_what_is_asked_for_is_kept() -> None:
    """The next hops towards a destination are kept until the graph changes, it is forgotten or all are."""
    graph = ring()
    paths = ShortestPaths(graph)
    kept = paths.towards(D(1))
    assert paths.towards(D(1)) is kept
    assert paths.update([(D(1), D(2))]) == set()
    assert paths.towards(D(1)) is kept
    paths.forget(D(2))
    assert paths.destinations == (D(1),)
    paths.forget(D(1))
    assert paths.destinations == ()
    assert paths.towards(D(1)) == kept
    graph.remove_node(D(1))
    paths.renew()
    assert paths.destinations == ()
    assert paths.towards(D(1)) == {}


@given(st.lists(st.integers(1, 1_000_000), min_size=1))
@example([1000, 1001])
@example([128, 64])
def test_weights_are_made_small(weights: list[int]) -> None:
    """Weights keep their proportion, exactly where it can be said with 1 … 64 and as nearly as these can otherwise."""
    found = reduced(weights)
    assert all(1 <= weight <= 64 for weight in found)
    assert len(found) == len(weights)
    heaviest, top = max(weights), max(found)
    for given_, weight in zip(weights, found, strict=True):
        assert weight * heaviest == given_ * top or (top == 64 and abs(weight - given_ * 64 / heaviest) <= 1)


def test_a_destination_has_no_weights() -> None:
    """The weights of no ports are none."""
    assert reduced([]) == []
