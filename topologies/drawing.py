"""How does one write down what a lab is meant to look like?

As the controller's intended topology: a graph of the fabric's switches and cables with the attributes ``dpid``,
``name``, ``role``, ``source_port``, ``target_port`` and ``capacity``, in GraphML or in networkx' node-link JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from topologies.orders import LabStatus
from topologies.underlay import UnderlayTopo

if TYPE_CHECKING:
    import networkx as nx

FORMATS: Final = ("graphml", "json")

_ROLES: Final = {1: "intermediate", 2: "aggregation", 3: "edge"}
"""By the layer that a datapath id tells."""


def of_topology(topo: UnderlayTopo) -> nx.MultiDiGraph[str]:
    """Draw a topology, whether or not it ever runs."""
    edges = {str(topo.nodeInfo(host)["edge"]) for host in topo.hosts()}
    graph = _switches({name: str(topo.nodeInfo(name)["dpid"]) for name in topo.switches()}, edges)
    for _, _, cable in topo.links(withInfo=True):
        if cable["node1"] in graph and cable["node2"] in graph:
            rate = {} if cable.get("bw") is None else {"capacity": float(cable["bw"])}
            ports = {"source_port": cable["port1"], "target_port": cable["port2"]}
            graph.add_edge(cable["node1"], cable["node2"], **ports, **rate)
    return graph


def of_lab(status: LabStatus) -> nx.MultiDiGraph[str]:
    """Draw a running lab as it was built, whatever is broken in it now."""
    graph = _switches({each.name: each.dpid for each in status.switches}, {each.edge for each in status.hypervisors})
    for cable in status.links:
        if cable.one in graph and cable.other in graph:
            graph.add_edge(cable.one, cable.other, source_port=cable.one_port, target_port=cable.other_port)
    return graph


def _switches(dpids: dict[str, str], edges: set[str]) -> nx.MultiDiGraph[str]:
    import networkx as nx  # noqa: PLC0415  (Mininet's own command may run without networkx)

    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph()  # directed, so that nobody mixes up source and target
    for name, dpid in dpids.items():
        role = "edge" if name in edges else _ROLES[int(dpid, 16) >> 16]
        graph.add_node(name, dpid=dpid, name=name, role=role)
    return graph


def write(graph: nx.MultiDiGraph[str], language: str) -> str:
    """Write a drawing in one of :data:`FORMATS`."""
    import networkx as nx  # noqa: PLC0415

    if language == "graphml":
        return "\n".join(nx.generate_graphml(graph))
    return json.dumps(nx.node_link_data(graph, edges="edges"), indent=1)
