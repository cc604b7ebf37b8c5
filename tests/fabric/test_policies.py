"""Does every policy choose the ways that it says?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import permutations

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.events import PortChanged
from controller.fabric import policies
from controller.fabric.changes import LinkTuned, PolicyChosen, SwitchMaintained
from controller.fabric.graph import Fabric
from controller.fabric.paths import Path, paths
from controller.fabric.pipeline import mac_of_tag, tag_of
from controller.fabric.plan import LaPlan, PortRef
from controller.fabric.policies import (
    ANYCAST,
    NO_STEERING,
    PATHS_MAX,
    POLICIES,
    Apart,
    apart,
    bounce,
    disjoint_paths,
    intermediates,
    policy_named,
    tags_for,
)
from controller.fabric.routes import COST, LAST_RESORT, PORTS, WEIGHTS, Hop
from controller.fabric.targets import TargetKind, desired, ranks
from overlay.refusals import Invalid
from overlay.values import DatapathId

from . import graphs
from .test_routes import physical_graphs

D = DatapathId
CLOS = {"vl2": range(300, 303), "leafspine": range(200, 202), "fattree": range(3000, 3004)}
FLAT = ("ring", "jellyfish")


def plain(*links: tuple[int, int]) -> nx.Graph:
    """Make a graph of single links that cost the same."""
    wiring = graphs.Wiring()
    for near, far in links:
        wiring.join(near, far)
    return graphs.build(wiring).graph


def all_paths(fabric: Fabric, wiring: graphs.Wiring) -> Iterator[Path]:
    """List the paths between all pairs of hosts."""
    for source, target in permutations(wiring.hosts, 2):
        found = paths(fabric, source, target, limit=10_000)
        assert found.paths
        assert not found.truncated
        yield from found.paths


def down(fabric: Fabric, *ends: PortRef) -> None:
    """Take ports down."""
    for end in ends:
        port = fabric.switches[end.datapath_id].ports[end.port]
        fabric.apply(PortChanged(end.datapath_id, replace(port, up=False), gone=False), 1.0)


# ── all of them ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", graphs.NETWORKS)
def test_no_path_takes_a_link_twice_in_one_direction(name: str, policy: str) -> None:
    """Every path of every policy ends at its target, and never leaves a switch twice by the same port."""
    wiring = graphs.NETWORKS[name]()
    for path in all_paths(graphs.build(wiring, policy=POLICIES[policy]), wiring):
        departures = [(step.datapath_id, step.out_port) for step in path]
        assert len(set(departures)) == len(departures)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", graphs.NETWORKS)
def test_a_rank_is_larger_than_that_of_whoever_is_sent_to(name: str, policy: str) -> None:
    """On routes to prefixes and along tags, each switch is farther from the end than every switch that it sends to."""
    fabric = graphs.build(graphs.NETWORKS[name](), policy=POLICIES[policy])
    rank = ranks(fabric)
    for switch in fabric.switches:
        for target, hops in desired(fabric, switch).items():
            if target.kind is TargetKind.ENTRY:
                continue
            assert rank(switch, target) >= bool(hops)
            for hop in hops:
                far = fabric.peer(PortRef(switch, hop.port))
                assert far is not None
                assert rank(far.datapath_id, target) < rank(switch, target)


@given(physical_graphs(), st.sampled_from([policy for policy in POLICIES.values() if policy.steer]), st.integers(1, 4))
def test_tags_lead_to_their_end_without_a_loop(graph: nx.Graph, policy: policies.Policy, most: int) -> None:
    """In any graph, whoever follows a tag from where it is written comes to the switch that takes it off."""
    edges = frozenset(list(graph)[::2])
    assert policy.steer is not None
    steering = policy.steer(graph, edges, most)
    behind = {
        (near, port): far for near in graph for far, link in graph.adj[near].items() for port in link[PORTS][near]
    }
    for routes in steering.tags.values():
        follow = nx.DiGraph((switch, behind[switch, hop.port]) for switch, hops in routes.items() for hop in hops)
        assert nx.is_directed_acyclic_graph(follow)
        assert all(switch in routes for switch in follow)
    for edge, entries in steering.entries.items():
        for towards, hops in entries.items():
            assert edge != towards
            assert hops == tuple(sorted(set(hops)))
            for hop in hops:
                assert not hop.tag or behind[edge, hop.port] in steering.tags[hop.tag]
                assert hop.tag or nx.has_path(graph, behind[edge, hop.port], towards)


@pytest.mark.parametrize("policy", ["vlb", "disjoint"])
def test_equal_ways_are_chosen_by_the_network_and_not_by_its_history(policy: str) -> None:
    """A controller that learned the same network in another order steers the same, so a restart sends nothing."""
    wiring = graphs.jellyfish(10, 4)
    fabric = graphs.build(wiring, policy=POLICIES[policy])
    other = graphs.build(replace(wiring, cables=wiring.cables[::-1]), policy=POLICIES[policy])
    assert list(other.graph.edges) != list(fabric.graph.edges)
    assert other.steering == fabric.steering
    assert fabric.twin(1.0).steering == fabric.steering
    assert Fabric.restore(fabric.documents()[::-1], LaPlan(), 1.0).steering == fabric.steering


@pytest.mark.parametrize("policy", ["vlb", "disjoint"])
def test_steering_follows_links_that_no_cheapest_way_takes(policy: str) -> None:
    """When a link goes that only steered packets took, they leave it, and all switches are named."""
    wiring = graphs.ring(4)
    fabric = graphs.build(wiring, policy=POLICIES[policy])
    (costly, far), *_ = wiring.cables
    fabric.apply(LinkTuned(costly, weight=10), 0.5)
    for switch in fabric.switches:
        fabric.routes.towards(switch)
    before = fabric.steering
    port = replace(fabric.switches[costly.datapath_id].ports[costly.port], up=False)
    effect = fabric.apply(PortChanged(costly.datapath_id, port, gone=False), 1.0)
    assert effect.routes
    assert fabric.steering == POLICIES[policy].steer(fabric.graph, fabric.edges, 2)
    assert (policy == "disjoint") == (fabric.steering != before)
    steered = (hop for entries in fabric.steering.entries.values() for hops in entries.values() for hop in hops)
    assert policy == "vlb" or not list(steered)
    assert all(
        (step.datapath_id, step.out_port) not in {costly, far}
        for path in all_paths(fabric, wiring)
        for step in path[:-1]
    )


def test_a_policy_is_found_by_its_name_only() -> None:
    """An unknown policy is refused, naming the field and those that there are."""
    assert policy_named("vlb") is POLICIES["vlb"]
    with pytest.raises(Invalid, match="disjoint, ecmp, shortest, vlb") as refused:
        policy_named("fastest")
    assert refused.value.field == "name"


@pytest.mark.parametrize("wrong", [PolicyChosen("fastest"), PolicyChosen("disjoint", 0), PolicyChosen("vlb", 9)])
def test_a_policy_that_cannot_be_changes_nothing(wrong: PolicyChosen) -> None:
    """An order with an unknown policy or an impossible number of paths is refused and leaves the fabric as it was."""
    fabric = graphs.build(graphs.ring(3))
    before = fabric.documents()
    with pytest.raises(Invalid) as refused:
        fabric.apply(wrong, 1.0)
    assert refused.value.field == ("name" if wrong.name == "fastest" else "paths")
    assert fabric.documents() == before
    assert PATHS_MAX < 9


def test_a_policy_is_chosen_at_run_time() -> None:
    """Another policy or number of paths concerns every switch and is stored; the same one again has no effect."""
    fabric = graphs.build(graphs.ring(4))
    effect = fabric.apply(PolicyChosen("disjoint", 2), 1.0)
    assert effect.routes
    assert [(document.kind, document.body) for document in effect.documents] == [
        ("policy", {"name": "disjoint", "paths": 2})
    ]
    assert fabric.steering.entries
    assert not fabric.apply(PolicyChosen("disjoint", 2), 2.0)
    assert fabric.apply(PolicyChosen("disjoint", 1), 3.0).routes
    assert fabric.steering == NO_STEERING
    fabric.apply(PolicyChosen("shortest"), 4.0)
    assert all(len(hops) == 1 for hops in fabric.routes.towards(D(1)).values() if hops)


# ── shortest, ecmp ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", graphs.NETWORKS)
def test_shortest_has_one_way_and_ecmp_all_cheapest(name: str) -> None:
    """Between two hosts, shortest has one of the shortest paths, and ecmp has each of them."""
    wiring = graphs.NETWORKS[name]()
    one, all_equal = (graphs.build(wiring, policy=POLICIES[policy]) for policy in ("shortest", "ecmp"))
    for source, target in permutations(wiring.hosts, 2):
        (only,) = paths(one, source, target).paths
        equal = paths(all_equal, source, target).paths
        switches = {tuple(step.datapath_id for step in path) for path in equal}
        ends = wiring.hosts[source].datapath_id, wiring.hosts[target].datapath_id
        assert switches == set(map(tuple, nx.all_shortest_paths(one.graph, *ends)))
        assert only in equal


# ── vlb ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", CLOS)
def test_the_top_of_a_clos_is_found(name: str) -> None:
    """The intermediate switches of a Clos are its top layer."""
    fabric = graphs.build(graphs.NETWORKS[name]())
    assert intermediates(fabric.graph, fabric.edges) == set(map(D, CLOS[name]))


@pytest.mark.parametrize("name", FLAT)
def test_a_flat_network_has_no_top(name: str) -> None:
    """Where every switch has hosts, there are no intermediate switches."""
    fabric = graphs.build(graphs.NETWORKS[name]())
    assert intermediates(fabric.graph, fabric.edges) == frozenset()


def test_a_switch_that_is_farther_from_some_is_no_top() -> None:
    """A switch without hosts that is not equally far from all edge switches is none to bounce off."""
    assert intermediates(plain((1, 2), (2, 3), (3, 4)), {D(1), D(4)}) == frozenset()
    assert intermediates(plain((1, 2), (2, 3)), {D(1), D(3)}) == {D(2)}


def test_a_part_of_the_fabric_with_one_edge_switch_has_no_top() -> None:
    """Where a fabric has fallen apart, its parts are looked at one by one, and nobody bounces off where nobody is."""
    graph = plain((1, 2), (2, 3), (4, 5))
    graph.add_node(D(9))
    assert intermediates(graph, {D(1), D(3), D(4), D(9)}) == {D(2)}


@pytest.mark.parametrize("name", CLOS)
def test_a_clos_bounces_off_every_top_switch_and_no_other(name: str) -> None:
    """In a Clos one tag is enough, and it comes off at every switch of the top and only there."""
    wiring = graphs.NETWORKS[name]()
    fabric = graphs.build(wiring, policy=POLICIES["vlb"])
    assert set(fabric.steering.tags) == {ANYCAST}
    assert {switch for switch, hops in fabric.steering.tags[ANYCAST].items() if not hops} == set(map(D, CLOS[name]))
    written = {hop.tag for each in fabric.steering.entries.values() for hops in each.values() for hop in hops}
    assert written == {ANYCAST}
    for source, target in permutations(wiring.hosts, 2):
        found = paths(fabric, source, target, limit=10_000).paths
        tops = [[step.datapath_id for step in path if step.datapath_id in CLOS[name]] for path in found]
        assert {len(each) for each in tops} == {1}
        assert {top for each in tops for top in each} == set(CLOS[name])


def test_one_edge_switch_that_is_cut_off_does_not_spoil_the_others_clos() -> None:
    """When a ToR loses both its uplinks, all others bounce off the top as before, by the one tag."""
    wiring = graphs.vl2()
    fabric = graphs.build(wiring, policy=POLICIES["vlb"])
    down(fabric, PortRef(D(100), 1), PortRef(D(100), 2))
    assert intermediates(fabric.graph, fabric.edges) == {D(300), D(301), D(302)}
    assert set(fabric.steering.tags) == {ANYCAST}
    assert set(fabric.steering.entries) == {D(101), D(102), D(103)}


@pytest.mark.parametrize("name", FLAT)
def test_a_flat_network_bounces_off_each_other_switch_equally(name: str) -> None:
    """In a ring or a random graph, each other switch is chosen with the same weight, by a tag that ends there."""
    fabric = graphs.build(graphs.NETWORKS[name](), policy=POLICIES["vlb"])
    for edge in fabric.switches:
        for towards in fabric.switches.keys() - {edge}:
            hops = fabric.steering.entries[edge][towards]
            assert {hop.weight for hop in hops} == {1}
            ends = Counter(_end(fabric, hop.tag) if hop.tag else towards for hop in hops)
            assert ends == Counter(fabric.switches.keys() - {edge})


def _end(fabric: Fabric, tag: int) -> DatapathId:
    (end,) = (switch for switch, hops in fabric.steering.tags[tag].items() if not hops)
    return end


def test_a_large_flat_network_bounces_off_some_switches() -> None:
    """In a network with more switches than tags are worth, each edge switch has a fixed choice of its own of them."""
    wiring = graphs.jellyfish(60, 4)
    fabric = graphs.build(wiring, policy=POLICIES["vlb"])
    chosen = {}
    for edge, entries in fabric.steering.entries.items():
        ends = [{_end(fabric, hop.tag) for hop in hops if hop.tag} | {to} for to, hops in entries.items()]
        assert {len(each) for each in ends} <= {32, 33}
        chosen[edge] = frozenset.intersection(*map(frozenset, ends))
        assert len(chosen[edge]) == 32
    assert len(set(chosen.values())) == 60
    assert set.union(*map(set, chosen.values())) == set(fabric.switches)


def test_nobody_bounces_where_there_is_nobody_to_send_to() -> None:
    """With hosts behind one switch only, there is no steering."""
    assert bounce(graphs.build(graphs.vl2()).graph, {D(100)}, 2) == NO_STEERING


def test_parts_of_a_flat_fabric_bounce_within_themselves() -> None:
    """When a ring has fallen apart, nobody is sent to a switch from which there is no way on."""
    wiring = graphs.ring(6)
    fabric = graphs.build(wiring, policy=POLICIES["vlb"])
    down(fabric, wiring.cables[0][0], wiring.cables[3][0])
    assert not fabric.steering.entries[D(1)].keys() & {D(2), D(3), D(4)}
    for hop in fabric.steering.entries[D(1)][D(6)]:
        assert not hop.tag or _end(fabric, hop.tag) in {D(5), D(6)}


# ── disjoint ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def links_of(graph: nx.Graph, path: tuple[tuple[DatapathId, int], ...], target: DatapathId) -> list:
    """Name the links that a path takes, the same in either direction; checks that the ports lead along it."""
    found = []
    for (near, port), far in zip(path, [*(switch for switch, _ in path[1:]), target], strict=True):
        number = graph.edges[near, far][PORTS][near].index(port)
        found.append((frozenset({near, far}), number))
    return found


def flow_network(graph: nx.Graph, source: DatapathId, target: DatapathId, paths: int) -> nx.DiGraph:
    """Make of a graph what networkx finds the cheapest flow of some units in."""
    network = nx.DiGraph()
    network.add_nodes_from(graph, demand=0)
    network.add_node(source, demand=-paths)
    network.add_node(target, demand=paths)
    for near, far, link in graph.edges(data=True):
        for one, other in ((near, far), (far, near)):
            network.add_edge(one, other, capacity=len(link[PORTS][near]), weight=link[COST])
    return network


@settings(max_examples=200)
@given(physical_graphs(), st.integers(0, 4), st.data())
def test_disjoint_paths_are_as_many_as_there_can_be_and_cost_the_least(
    graph: nx.Graph, most: int, data: st.DataObject
) -> None:
    """In any graph, they share no link, are as many as edge connectivity allows, and no other such set is cheaper."""
    source, target = data.draw(st.sampled_from(sorted(graph))), data.draw(st.sampled_from(sorted(graph)))
    found = disjoint_paths(graph, source, target, most)
    if source == target:
        assert found == ()
        return
    capacities = nx.Graph()
    capacities.add_nodes_from(graph)
    capacities.add_edges_from(
        (near, far, {"capacity": len(link[PORTS][near])}) for near, far, link in graph.edges.data()
    )
    assert len(found) == min(most, nx.maximum_flow_value(capacities, source, target))
    taken = [link for path in found for link in links_of(graph, path, target)]
    assert len(set(taken)) == len(taken)
    for path in found:
        assert path[0][0] == source
        assert len({switch for switch, _ in path} | {target}) == len(path) + 1
    cost = sum(graph.edges[tuple(ends)][COST] for ends, _ in taken)
    assert cost == nx.min_cost_flow_cost(flow_network(graph, source, target, len(found)))


def test_in_a_graph_of_single_links_their_number_is_the_edge_connectivity() -> None:
    """In a random regular graph there are as many paths apart as networkx' edge connectivity says."""
    graph = graphs.build(graphs.jellyfish(12, 4)).graph
    for source, target in permutations(graph, 2):
        assert len(disjoint_paths(graph, source, target, 8)) == min(8, nx.edge_connectivity(graph, source, target))


def test_a_first_path_may_have_to_make_room() -> None:
    """Where the cheapest path takes links of both others, it is taken apart (Suurballe's trap)."""
    graph = plain((1, 2), (2, 3), (3, 4), (1, 5), (5, 6), (6, 3), (2, 7), (7, 8), (8, 4))
    found = disjoint_paths(graph, D(1), D(4), 2)
    assert [[switch for switch, _ in path] for path in found] == [[1, 2, 7, 8], [1, 5, 6, 3]]


def test_a_switch_that_is_not_there_has_no_paths() -> None:
    """From or to a switch that is not in the graph there is no path."""
    assert disjoint_paths(plain((1, 2)), D(1), D(9), 2) == ()
    assert disjoint_paths(plain((1, 2)), D(9), D(1), 2) == ()


@pytest.mark.parametrize("name", graphs.NETWORKS)
def test_a_packet_takes_one_of_the_disjoint_paths_to_its_end(name: str) -> None:
    """The ways that packets can take under the policy are the disjoint paths of their two switches, each whole."""
    wiring = graphs.NETWORKS[name]()
    fabric = graphs.build(wiring, policy=POLICIES["disjoint"], paths=3)
    for source, target in permutations(wiring.hosts, 2):
        ends = wiring.hosts[source].datapath_id, wiring.hosts[target].datapath_id
        wanted = set(disjoint_paths(fabric.graph, *ends, 3))
        found = {
            tuple((step.datapath_id, step.out_port) for step in path[:-1])
            for path in paths(fabric, source, target).paths
        }
        assert found == wanted if len(wanted) > 1 else wanted <= found


@pytest.mark.parametrize("name", sorted(graphs.NETWORKS.keys() - {"fattree"}))
@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["down", "up", 1, 2, 5])), max_size=6))
def test_paths_that_are_remembered_are_those_that_would_be_found(name: str, changes: list[tuple[int, object]]) -> None:
    """After any links have failed, come or changed their weight, steering is what it is when computed anew."""
    wiring = graphs.NETWORKS[name]()
    fabric = graphs.build(wiring, policy=POLICIES["disjoint"])
    assert fabric.steering == apart(fabric.graph, fabric.edges, fabric.paths)
    for number, what in changes:
        cable = wiring.cables[number % len(wiring.cables)]
        if isinstance(what, int):
            fabric.apply(LinkTuned(cable[0], weight=what), 1.0)
        for end in cable if isinstance(what, str) else ():
            port = fabric.switches[end.datapath_id].ports[end.port]
            fabric.apply(PortChanged(end.datapath_id, replace(port, up=what == "up"), gone=False), 1.0)
        if what == "up":
            graphs.see(fabric, cable, 1.0)
        assert fabric.steering == apart(fabric.graph, fabric.edges, fabric.paths)


def test_a_failure_makes_only_those_search_whom_it_concerns() -> None:
    """When a link is lost, most pairs of edge switches keep their paths unasked; when it returns, all are asked."""
    fabric = graphs.build(graphs.jellyfish(40, 4))
    remembering = Apart()
    edges, one, other = fabric.edges, *next(iter(fabric.graph.edges))
    remembering(fabric.graph, edges, 2)
    asked = [remembering.searches]
    for change in ("lost", "returned"):
        graph = nx.Graph(fabric.graph)
        if change == "lost":
            graph.remove_edge(one, other)
        assert remembering(graph, edges, 2) == apart(graph, edges, 2)
        asked.append(remembering.searches - sum(asked))
    assert asked[0] == asked[2] == 40 * 39
    assert 0 < asked[1] < asked[0] / 2


def test_paths_that_are_told_apart_have_tags_of_their_own() -> None:
    """No two pairs of switches, and no two paths of a pair, write one tag; a single link needs none."""
    fabric = graphs.build(graphs.ring(5), policy=POLICIES["disjoint"])
    written = [hop.tag for each in fabric.steering.entries.values() for hops in each.values() for hop in hops]
    tags = [tag for tag in written if tag]
    assert len(set(tags)) == len(tags) == len(fabric.steering.tags)
    assert written.count(0) == 10  # each switch and its two neighbours


# ── links that are a last resort ──────────────────────────────────────────────────────────────────────────────────────


def _steered_ports(fabric: Fabric) -> set[PortRef]:
    """Name the ports that packets may leave by where they enter, and along disjoint paths."""
    entries = fabric.steering.entries.items()
    return {PortRef(edge, hop.port) for edge, each in entries for hops in each.values() for hop in hops}


@pytest.mark.parametrize("policy", ["vlb", "disjoint"])
@pytest.mark.parametrize("name", graphs.NETWORKS)
def test_nobody_is_steered_over_a_last_resort(name: str, policy: str) -> None:
    """A link in maintenance is on no way that a policy adds, although it is up."""
    wiring = graphs.NETWORKS[name]()
    near, far = wiring.cables[0]
    fabric = graphs.build(wiring, policy=POLICIES[policy], paths=4)
    fabric.apply(LinkTuned(near, maintenance=True), 1.0)
    for path in all_paths(fabric, wiring):
        assert not {PortRef(step.datapath_id, step.out_port) for step in path} & {near, far}


def test_an_edge_switch_with_nothing_but_last_resorts_does_not_bounce() -> None:
    """A ToR whose uplinks are all in maintenance sends straight to where its packets go, and the others bounce."""
    wiring = graphs.vl2()
    fabric = graphs.build(wiring, policy=POLICIES["vlb"])
    fabric.apply(SwitchMaintained(D(100), on=True, force=True), 1.0)
    assert set(fabric.steering.entries) == {D(101), D(102), D(103)}
    assert not {at for at in _steered_ports(fabric) if at.datapath_id == D(100)}
    assert set(fabric.steering.tags) == {ANYCAST}
    assert list(all_paths(fabric, wiring))


@given(physical_graphs(), st.integers(1, 4), st.randoms(use_true_random=False))
def test_no_tag_goes_over_a_last_resort_where_it_is_written(graph: nx.Graph, most: int, random: object) -> None:
    """Whichever links are a last resort, no bounce and no disjoint path begins with one."""
    for _, _, link in graph.edges(data=True):
        link[COST] += LAST_RESORT * random.choice([0, 0, 1])
    for steering in (bounce(graph, frozenset(graph), most), apart(graph, frozenset(graph), most)):
        for edge, each in steering.entries.items():
            used = {hop.port for hops in each.values() for hop in hops}
            assert not used & {
                port for link in graph.adj[edge].values() if link[COST] >= LAST_RESORT for port in link[PORTS][edge]
            }


# ── tags ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.sets(st.binary(max_size=12)), st.sets(st.binary(max_size=12)))
def test_tags_are_alone_and_small(keys: Collection[bytes], more: Collection[bytes]) -> None:
    """No two keys have one tag, all fit into the lower half of a MAC, and none is one of the reserved ones."""
    tags = tags_for(keys)
    assert set(tags) == set(keys)
    assert len(set(tags.values())) == len(tags)
    assert all(ANYCAST < 16 <= tag == tag_of(mac_of_tag(tag)) < 1 << 24 for tag in tags.values())
    assert tags_for([*keys, *more]) | tags == tags_for({*keys, *more})


def test_tags_stay_when_others_join() -> None:
    """A thousand more keys change none of the first hundred's tags."""
    few = [number.to_bytes(8) for number in range(100)]
    many = [number.to_bytes(8) for number in range(1100)]
    assert tags_for(few).items() <= tags_for(many).items()
    assert tags_for(few) == tags_for(reversed(few))


def test_tags_are_alone_also_when_hashes_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are hardly more tags than keys, each still has one of its own, also round the end of the space."""
    monkeypatch.setattr(policies, "_TAG_BITS", 7)
    keys = [bytes([number]) for number in range((1 << 7) - 16)]
    assert sorted(tags_for(keys).values()) == list(range(16, 1 << 7))


def test_weights_of_capacity_are_what_ecmp_shares_by() -> None:
    """Hops over links of 10 and of 40 Gbit/s weigh 1 and 4, also those on the way to a bounce."""
    graph = plain((1, 3), (2, 3), (1, 4), (2, 4))
    for end in (D(1), D(2)):
        graph.edges[end, D(4)][WEIGHTS] = {end: (40_000,), D(4): (40_000,)}
    ways = bounce(graph, {D(1), D(2)}, 2).entries[D(1)][D(2)]
    assert ways == (Hop(1, 1, ANYCAST), Hop(2, 4, ANYCAST))
