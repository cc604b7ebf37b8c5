"""Do packets between all pairs of edge switches arrive, whichever bucket is chosen and whatever single thing fails?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import permutations

import networkx as nx
import pytest

from controller.events import PortChanged
from controller.fabric.graph import Fabric
from controller.fabric.plan import PortRef
from controller.fabric.policies import POLICIES

from . import graphs
from .model import Deployed


def wires(wiring: graphs.Wiring) -> dict[PortRef, PortRef]:
    """Give the far end of every cable's end."""
    return {near: far for cable in wiring.cables for near, far in permutations(cable)}


def down(fabric: Fabric, ends: Iterable[PortRef]) -> None:
    """Let the controller hear that these ports went down."""
    for end in ends:
        port = fabric.switches[end.datapath_id].ports[end.port]
        fabric.apply(PortChanged(end.datapath_id, replace(port, up=False), gone=False), 1.0)


def all_arrive(deployed: Deployed, wiring: graphs.Wiring, without: frozenset[PortRef] = frozenset()) -> None:
    """Follow packets between all hosts, but those on the switches of ``without``'s own ends that are powered off."""
    hosts = {la: at for la, at in wiring.hosts.items() if at not in without}
    for source, target in permutations(hosts, 2):
        assert deployed.ends(hosts[source], target, wires(wiring), without) == {
            (hosts[target], graphs.mac_of(target))
        }, f"{source} to {target}"


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", graphs.NETWORKS)
def test_every_choice_of_every_switch_arrives(name: str, policy: str) -> None:
    """In a whole network, a packet arrives at the right port with the right MAC by every choice of buckets."""
    wiring = graphs.NETWORKS[name]()
    all_arrive(Deployed(graphs.build(wiring, policy=POLICIES[policy])), wiring)


def failures(wiring: graphs.Wiring) -> Iterator[frozenset[PortRef]]:
    """List every single link, and every single switch that is no edge switch, by the ports that go dead."""
    for cable in wiring.cables:
        yield frozenset(cable)
    edges = {at.datapath_id for at in wiring.hosts.values()}
    for datapath_id in sorted(wiring.switches().keys() - edges):
        yield frozenset(
            end for cable in wiring.cables if datapath_id in {e.datapath_id for e in cable} for end in cable
        )


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", graphs.NETWORKS)
def test_every_single_failure_is_routed_round(name: str, policy: str) -> None:
    """After any link or inner switch has failed, packets between hosts that are still joined arrive by every choice."""
    wiring = graphs.NETWORKS[name]()
    whole = Deployed(graphs.build(wiring, policy=POLICIES[policy]))
    for dead in failures(wiring):
        fabric = graphs.build(wiring, policy=POLICIES[policy])
        down(fabric, sorted(dead))
        edges = {at.datapath_id for at in wiring.hosts.values()}
        inner = nx.Graph(fabric.graph)
        inner.remove_nodes_from([n for n in inner if n not in edges and not inner.degree(n)])
        assert nx.is_connected(inner)
        all_arrive(Deployed(fabric, whole.programs), wiring, dead)


@pytest.mark.parametrize("name", ["vl2", "leafspine", "fattree"])
def test_the_first_hop_repairs_itself_before_the_controller_knows(name: str) -> None:
    """While only the switch itself knows that an uplink is dead, it sends by its other uplinks, and nothing is lost."""
    wiring = graphs.NETWORKS[name]()
    deployed = Deployed(graphs.build(wiring))
    source, at = next(iter(wiring.hosts.items()))
    uplink = next(end for cable in wiring.cables for end in cable if end.datapath_id == at.datapath_id)
    dead = frozenset({uplink, wires(wiring)[uplink]})
    far = [la for la in wiring.hosts if la != source][-1]
    assert deployed.ends(at, far, wires(wiring), dead) == {(wiring.hosts[far], graphs.mac_of(far))}


def test_without_a_way_there_is_no_route() -> None:
    """Hosts on two sides of a parted fabric do not reach each other, and nothing loops."""
    wiring = graphs.ring(4)
    fabric = graphs.build(wiring)
    dead = frozenset({*wiring.cables[0], *wiring.cables[2]})
    down(fabric, sorted(dead))
    first, second, third, _ = wiring.hosts
    deployed = Deployed(fabric)
    assert deployed.ends(wiring.hosts[first], second, wires(wiring), dead) == {None}
    assert deployed.ends(wiring.hosts[second], third, wires(wiring), dead) == {
        (wiring.hosts[third], graphs.mac_of(third))
    }


def test_an_exception_from_a_prefix_is_routed_to_where_the_host_is() -> None:
    """A host whose LA lies in another switch's prefix is reached by a route of its own, from everywhere."""
    wiring = graphs.vl2()
    las = list(wiring.hosts)
    stranger = las[0] + 100  # of the first switch's prefix, behind the last one
    neighbour = las[0] + 1
    wiring.hosts[neighbour] = wiring.port(wiring.hosts[las[0]].datapath_id)
    wiring.hosts[stranger] = wiring.port(wiring.hosts[las[-1]].datapath_id)
    all_arrive(Deployed(graphs.build(wiring)), wiring)
