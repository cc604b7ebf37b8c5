"""A policy chooses by what the fabric is, not by how it came to be so."""

from __future__ import annotations

import random
from dataclasses import replace

import networkx as nx
import pytest

from controller.events import PortChanged
from controller.fabric.changes import LinkSeen, PolicyChosen
from controller.fabric.policies import POLICIES

from . import graphs


@pytest.mark.parametrize("network", graphs.NETWORKS)
@pytest.mark.parametrize("name", [name for name, policy in POLICIES.items() if policy.steer is not None])
def test_steering_does_not_depend_on_the_order_of_discovery(name: str, network: str) -> None:
    """Whatever the order in which switches and links were found, packets that enter are steered the same."""
    fabric = graphs.build(graphs.NETWORKS[network]())
    steer = POLICIES[name].steer
    assert steer is not None
    wanted = steer(fabric.graph, fabric.edges, 2)
    for seed in range(5):
        shuffled = nx.Graph()
        nodes, edges = list(fabric.graph), list(fabric.graph.edges(data=True))
        random.Random(seed).shuffle(nodes)  # noqa: S311  (the same order every time)
        random.Random(seed).shuffle(edges)  # noqa: S311
        shuffled.add_nodes_from(nodes)
        shuffled.add_edges_from((far, near, data) for near, far, data in edges)
        assert steer(shuffled, fabric.edges, 2) == wanted


@pytest.mark.parametrize("name", POLICIES)
def test_a_fabric_that_healed_is_what_a_restart_makes_of_it(name: str) -> None:
    """After links were lost and found again, a restarted controller would steer as this one does: nothing is sent."""
    wiring = graphs.vl2(2, 4, 3)
    fabric = graphs.build(wiring)
    fabric.apply(PolicyChosen(name), 0.0)
    for near, far in wiring.cables[:3]:
        for up in (False, True):
            port = fabric.switches[near.datapath_id].ports[near.port]
            fabric.apply(PortChanged(near.datapath_id, replace(port, up=up), gone=False), 1.0)
        fabric.apply(LinkSeen(near, far), 2.0)
        fabric.apply(LinkSeen(far, near), 2.0)
    assert fabric.twin(3.0).steering == fabric.steering
