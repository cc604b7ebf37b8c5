"""How does a drawing that somebody else made become a graph?

GraphML or JSON (networkx' node-link form), read by networkx' own readers.  They forgive what must not be forgiven in a
plan of cables: they make up nodes that an edge names, let a second node or edge of one name replace the first, and turn
undirected edges round.  So a drawing is checked before they see it, and what they make of it is counted afterwards.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias
from xml.etree import ElementTree as ET

import networkx as nx

from overlay.refusals import Invalid

LARGEST: Final = 16 << 20
"""The longest drawing that is read, in bytes; 1,000 switches with 32 links each are about 4 MiB."""

FIELD: Final = "document"
"""What the API calls a drawing."""

_DEEPEST: Final = 32
"""Elements within elements; GraphML needs four, and its editors' decorations a few more."""

_KEYS: Final = frozenset({"directed", "multigraph", "graph", "nodes", "edges", "links"})
"""What a node-link document holds (networkx wrote ``links`` until 3.5)."""

Graph: TypeAlias = "nx.Graph[Any]"
"""A directed multigraph, though networkx' types do not say so of what its readers return."""


class Format(StrEnum):
    """In which language a topology is drawn."""

    GRAPHML = "graphml"
    JSON = "json"


class Drawing(NamedTuple):
    """A graph whose edges lead from ``source`` to ``target`` as they were written.

    :param directed: whether the drawing gave the directions a meaning, so that two opposite edges are one cable.
    """

    graph: Graph
    directed: bool


def invalid(reason: str) -> Invalid:
    """A refusal of the whole drawing, with the place and the reason."""
    return Invalid(f"{FIELD}: {reason}", field=FIELD, kind="IntendedTopologyInvalid")


def guess(document: str | bytes) -> Format:
    """Tell GraphML from JSON by how it begins."""
    start = document[:64] if isinstance(document, str) else document[:64].decode("utf-8", "replace")
    return Format.GRAPHML if start.lstrip("\ufeff \t\r\n").startswith("<") else Format.JSON


def draw(document: str | bytes, language: Format) -> Drawing:
    """Read a drawing.

    :raises Invalid: for one that is too large, cannot be read, or contradicts itself.
    """
    text = _text(document)
    drawing = _graphml(text) if language is Format.GRAPHML else _node_link(text)
    if not drawing.graph:
        raise invalid("has no nodes")
    return drawing


def _text(document: str | bytes) -> str:
    try:
        written = document.encode() if isinstance(document, str) else document
        if len(written) > LARGEST:
            raise invalid(f"has {len(written)} bytes, more than the {LARGEST} that are read")
        return written.decode("utf-8-sig")
    except UnicodeError as error:
        raise invalid(f"is not UTF-8: {error.reason}") from error  # type: ignore[attr-defined]


def _check_names(nodes: Sequence[object], edges: Sequence[tuple[object, object]]) -> None:
    known: set[object] = set()
    for node in nodes:
        if node in known:
            raise invalid(f"node {node!r} is drawn twice")
        known.add(node)
    for at, ends in enumerate(edges):
        for name, end in zip(("source", "target"), ends, strict=True):
            if end not in known:
                raise invalid(f"edge {at} ({ends[0]!r} – {ends[1]!r}): its {name} is not a node of the drawing")


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _node_link(text: str) -> Drawing:
    try:
        found = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_object)
    except RecursionError:
        raise invalid("is nested too deeply") from None
    except ValueError as error:
        raise invalid(f"is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise invalid("must be a JSON object in networkx' node-link form")
    for key in found.keys() - _KEYS:
        raise invalid(f"has {key!r}, which a node-link document has not (it has {', '.join(sorted(_KEYS))})")
    if ("edges" in found) == ("links" in found):
        raise invalid("must have either 'edges' or 'links'")
    for key, kind in (("directed", bool), ("multigraph", bool), ("graph", dict)):
        if not isinstance(found.get(key, kind()), kind):
            raise invalid(f"{key}: {found[key]!r} is not {'true or false' if kind is bool else 'an object'}")
    nodes = _rows(found, "nodes", "id")
    name = "edges" if "edges" in found else "links"
    edges = _rows(found, name, "source", "target")
    _check_names([row["id"] for row in nodes], [(row["source"], row["target"]) for row in edges])
    # As a directed multigraph, and without the edges' own keys: so nothing is turned round and nothing replaced.
    told = {"directed": True, "multigraph": True, "graph": {}, "nodes": nodes}
    told["edges"] = [{key: value for key, value in row.items() if key != "key"} for row in edges]
    graph: Graph = nx.node_link_graph(told, edges="edges")
    return Drawing(graph, directed=found.get("directed", False))


def _rows(found: dict[str, Any], name: str, *names: str) -> list[dict[str, Any]]:
    """Give the objects of a list, each of which must name these nodes."""
    rows = found.get(name)
    if not isinstance(rows, list):
        raise invalid(f"{name}: must be a list")
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise invalid(f"{name}[{at}]: must be an object")
        for key in names:
            value = row.get(key)
            if isinstance(value, bool) or not isinstance(value, str | int):
                raise invalid(f"{name}[{at}].{key}: must be there, and be a string or a whole number")
    return rows


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError(f"an object with one key twice, of {', '.join(sorted(found))}")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")


# ── GraphML ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class _Builder(ET.TreeBuilder):
    """Builds the tree of a document that declares nothing and is not deeper than any drawing needs."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def doctype(self, name: str, pubid: str | None, system: str | None) -> NoReturn:  # noqa: ARG002  (as expat calls)
        """Refuse it before anything in it is read: entities can grow without end, or name other files."""
        raise invalid("declares a document type (<!DOCTYPE …>), which is not read: it could define entities")

    def start(self, tag: Any, attrs: Any, /) -> Any:
        """Count the depth, since what walks the tree afterwards does so by recursion."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise invalid(f"has elements more than {_DEEPEST} deep")
        return super().start(tag, attrs)

    def end(self, tag: Any, /) -> Any:
        """Count the depth."""
        self._depth -= 1
        return super().end(tag)


def _graphml(text: str) -> Drawing:
    parser = ET.XMLParser(target=_Builder())  # noqa: S314  (the builder refuses document types, so no entities)
    try:
        parser.feed(text)
        root: ET.Element = parser.close()
    except ET.ParseError as error:
        raise invalid(f"is not XML: {error}") from error
    graphs = root.findall(".//{*}graph")
    if len(graphs) != 1:
        raise invalid(f"holds {len(graphs)} graphs instead of one")
    nodes = [node.get("id") for node in root.iterfind(".//{*}node")]
    if None in nodes:
        raise invalid(f"node {nodes.index(None)} has no id")
    edges = root.findall(".//{*}edge")
    _check_names(nodes, [(edge.get("source"), edge.get("target")) for edge in edges])
    directed = graphs[0].get("edgedefault") == "directed"
    # As a directed graph whose edges all have keys of their own: so nothing is turned round and nothing replaced.
    graphs[0].set("edgedefault", "directed")
    for at, edge in enumerate(edges):
        edge.attrib.pop("directed", None)
        edge.set("id", str(at))
    graph = _parsed(ET.tostring(root, encoding="unicode"))
    if (graph.number_of_nodes(), graph.number_of_edges()) != (len(nodes), len(edges)):
        raise invalid("has nodes or edges where GraphML has none (they belong right into its graph)")
    for _, data in graph.nodes(data=True):
        data |= {key: value for key, value in graph.graph["node_default"].items() if key not in data}
    for _, _, data in graph.edges(data=True):
        data |= {key: value for key, value in graph.graph["edge_default"].items() if key not in data}
    return Drawing(graph, directed)


def _parsed(text: str) -> Graph:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # networkx warns of what it leaves out
        try:
            graph: Graph = nx.parse_graphml(text, force_multigraph=True)
        except (nx.NetworkXException, ValueError, KeyError, TypeError, AttributeError, Warning) as error:
            raise invalid(f"is not GraphML that networkx can read: {type(error).__name__}: {error}") from error
    return graph
