"""How does any graph become a fabric?

``jellyfish`` draws a seeded random regular graph; ``graphml`` takes a file (an Internet Topology Zoo network, say)
or a networkx graph from Python.  networkx is imported when it is needed, so that the other topologies run under
Mininet's own command with an interpreter that has no networkx.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.etree import ElementTree as ET

from topologies.errors import TopologyError
from topologies.underlay import UnderlayTopo, counted

if TYPE_CHECKING:
    import networkx as nx

AnyGraph: TypeAlias = "nx.Graph[Any] | nx.DiGraph[Any] | nx.MultiGraph[Any] | nx.MultiDiGraph[Any]"

_SEEDS_TRIED = 100


class JellyfishTopo(UnderlayTopo):
    """A random regular graph of switches (Singla et al., NSDI 2012); the same seed gives the same graph."""

    def build(  # noqa: PLR0917  (the order of ``mn --topo name,…``)
        self,
        switches: int = 8,
        degree: int = 3,
        seed: int = 1,
        hypervisors_per_edge: int = 1,
        edges: str = "all",
        bw: float | None = None,
        delay: str | float | None = None,
    ) -> None:
        """Join each switch to ``degree`` others, chosen at random::

               s1 ────── s4        every switch has the same number of neighbours,
              ╱  ╲      ╱  ╲       and nobody chose which
            s2 ── s6 ─ s3 ─ s5
             │     │    │    │
            h2    h6   h3   h5

        :param edges: which switches carry hypervisors: ``all``, or names such as ``s1,s3``.
        :raises TopologyError: for a parameter out of range, or a degree that no graph of that size has.
        """
        counted("switches", switches, least=2)
        counted("degree", degree, most=switches - 1)
        counted("seed", seed, least=0, most=2**31)
        if switches * degree % 2:
            raise TopologyError(f"degree: {switches} switches of degree {degree} leave half a link over", "degree")
        self.shape(bw, delay)
        graph = _connected(switches, degree, seed)
        names = [self.switch(f"s{i + 1}", layer=1, index=i + 1) for i in range(switches)]
        for one, other in sorted(tuple(sorted(pair)) for pair in graph.edges):
            self.wire(names[one], names[other])
        self.edges_among(names, edges, hypervisors_per_edge)


def _connected(switches: int, degree: int, seed: int) -> nx.Graph[int]:
    import networkx as nx  # noqa: PLC0415

    for attempt in range(_SEEDS_TRIED):
        graph: nx.Graph[int] = nx.random_regular_graph(degree, switches, seed=seed + attempt * 2**31)
        if nx.is_connected(graph):
            return graph
    raise TopologyError(f"degree: no connected graph of {switches} switches with degree {degree} was found", "degree")


class GraphmlTopo(UnderlayTopo):
    """Any connected graph: each node a switch, each edge a link (parallel edges are parallel links)."""

    def build(  # noqa: PLR0917  (the order of ``mn --topo name,…``)
        self,
        source: str | Path | AnyGraph = "",
        hypervisors_per_edge: int = 1,
        edges: str = "all",
        edge_attribute: str = "",
        bw: float | None = None,
        delay: str | float | None = None,
    ) -> None:
        """Build what the file draws::

            <node id="Oslo"/> ── <node id="Bergen"/>        s1 (Oslo) ── s2 (Bergen)
                                                            │            │
                                                            h1           h2

        Switches are named s1, s2, … in the order of the file; their ``label`` is the node's own ``label`` or id.

        :param source: a GraphML file, or a networkx graph.
        :param edges: which switches carry hypervisors: ``all``, or names such as ``s1,s3``.
        :param edge_attribute: instead: the node attribute that marks those which do (true, or a number above 0).
        :raises TopologyError: if the file cannot be read, or the graph is empty, loops on a node, or is in pieces.
        """
        graph = _read(Path(source)) if isinstance(source, str | Path) else source
        _check(graph)
        self.shape(bw, delay)
        names: dict[object, str] = {}
        for i, (node, data) in enumerate(graph.nodes(data=True), start=1):
            names[node] = self.switch(f"s{i}", layer=1, index=i, label=str(data.get("label", node)))
        for one, other in _links(graph):
            self.wire(names[one], names[other])
        if edge_attribute:
            marked = [names[node] for node, data in graph.nodes(data=True) if _true(data.get(edge_attribute))]
            if not marked:
                raise TopologyError(f"edge_attribute: no node has {edge_attribute!r} set", "edge_attribute")
            edges = ",".join(marked)
        self.edges_among(list(names.values()), edges, hypervisors_per_edge)


def _true(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "false", "no")
    return bool(value)


def _links(graph: AnyGraph) -> list[tuple[Any, Any]]:
    if graph.is_multigraph():
        return list(graph.edges())
    # In a directed graph both directions of a cable are one link.
    return list({frozenset(pair): pair for pair in graph.edges()}.values())


def _read(path: Path) -> AnyGraph:
    import networkx as nx  # noqa: PLC0415

    if path == Path():
        raise TopologyError("source: a GraphML file is needed (--param source=FILE)", "source")
    try:
        graph: AnyGraph = nx.read_graphml(path)
    except (
        OSError,
        ET.ParseError,
        nx.NetworkXException,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as wrong:
        raise TopologyError(f"source: {path} is not a readable GraphML file: {wrong}", "source") from wrong
    _check_ends(path)
    return graph


def _check_ends(path: Path) -> None:
    """Refuse edges to nodes that the file does not declare: networkx makes them up, with names such as ``None``."""
    tree = ET.parse(path)  # noqa: S314  (networkx has just read it with the same parser)
    nodes = {node.get("id") for node in tree.iterfind(".//{*}node")}
    for edge in tree.iterfind(".//{*}edge"):
        for end in (edge.get("source"), edge.get("target")):
            if end not in nodes:
                raise TopologyError(f"source: {path} has an edge to {end!r}, which is not a node of it", "source")


def _check(graph: AnyGraph) -> None:
    import networkx as nx  # noqa: PLC0415

    if not isinstance(graph, nx.Graph):
        raise TopologyError(f"source: {type(graph).__name__} is neither a file name nor a networkx graph", "source")
    if not graph:
        raise TopologyError("source: the graph has no nodes", "source")
    loops = list(nx.selfloop_edges(graph))
    if loops:
        raise TopologyError(f"source: node {loops[0][0]!r} is linked to itself", "source")
    undirected = graph.to_undirected(as_view=True)
    if not nx.is_connected(undirected):
        pieces = nx.number_connected_components(undirected)
        raise TopologyError(f"source: the graph is in {pieces} pieces, a fabric must be connected", "source")
