"""Which ways are there between two hypervisors?"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from controller.events import PortChanged
from controller.fabric.graph import Fabric
from controller.fabric.paths import Step, paths
from controller.fabric.plan import LaPlan
from controller.fabric.policies import Policy
from controller.fabric.routes import Hop, equal_cost
from overlay.refusals import NotFound
from overlay.values import DatapathId

from . import graphs

D = DatapathId


def test_all_equal_ways_are_listed_with_their_choices() -> None:
    """In a fat tree of four, two hosts in different pods have four ways, and each switch's next hops are told."""
    wiring = graphs.fattree(4)
    first, *_, last = wiring.hosts
    found = paths(graphs.build(wiring), first, last)
    assert len(found.paths) == len(set(found.paths)) == 4
    assert not found.truncated
    for path in found.paths:
        assert len(path) == 5
        assert path[0][:2] == (D(1000), wiring.hosts[first].port)
        assert (path[-1].datapath_id, path[-1].out_port) == wiring.hosts[last]
        assert all(Hop(step.out_port) in found.next_hops[step.datapath_id] for step in path[:-1])
    assert found.next_hops[D(1000)] == graphs.hops(1, 2)
    assert found.source.at == wiring.hosts[first]
    assert found.target.at == wiring.hosts[last]


def test_too_many_ways_are_cut_short() -> None:
    """No more ways are listed than were asked for, and the answer says so."""
    wiring = graphs.fattree(4)
    first, *_, last = wiring.hosts
    found = paths(graphs.build(wiring), first, last, limit=3)
    assert len(found.paths) == 3
    assert found.truncated


def test_two_hosts_on_one_switch_have_one_way() -> None:
    """Between two hosts of one switch there is that switch alone."""
    wiring = graphs.ring(3)
    la, at = next(iter(wiring.hosts.items()))
    wiring.hosts[la + 1] = wiring.port(at.datapath_id)
    found = paths(graphs.build(wiring), la, la + 1)
    assert found.paths == ((Step(at.datapath_id, at.port, at.port + 1),),)


def test_a_parted_fabric_has_no_way() -> None:
    """Where hosts cannot reach each other, no way is listed."""
    wiring = graphs.ring(2)
    fabric = graphs.build(wiring)
    for end in (cable[0] for cable in wiring.cables):
        port = fabric.switches[end.datapath_id].ports[end.port]
        fabric.apply(PortChanged(end.datapath_id, replace(port, up=False), gone=False), 1.0)
    assert paths(fabric, *wiring.hosts).paths == ()


def test_a_policy_that_names_a_dead_port_is_not_followed_there() -> None:
    """A next hop without a usable link is no way."""
    wiring = graphs.ring(3)

    def stale(graph: object, destination: D) -> dict:
        return {switch: (*hops, Hop(3)) for switch, hops in equal_cost(graph, destination).items()}

    fabric = Fabric(LaPlan(), policy=Policy("stale", "", "", stale))
    for change in graphs.discoveries(wiring):
        fabric.apply(change, 0.0)
    first, second, _ = wiring.hosts
    assert len(paths(fabric, first, second).paths) == 1


@pytest.mark.parametrize("field", ["source", "target"])
def test_an_la_that_nobody_has_is_not_found(field: str) -> None:
    """A path from or to an LA that was not seen is refused, naming the field."""
    wiring = graphs.ring(3)
    ends = {"source": next(iter(wiring.hosts)), "target": next(iter(wiring.hosts)), field: IPv4Address("10.0.9.9")}
    with pytest.raises(NotFound, match=r"10\.0\.9\.9") as refused:
        paths(graphs.build(wiring), ends["source"], ends["target"])
    assert refused.value.field == field
