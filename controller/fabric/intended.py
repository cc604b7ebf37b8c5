"""How is the fabric meant to be wired?

An intended topology is a graph that the operator drew: nodes are switches, edges are cables.

=========  ======================================================================================================
of a node  ``dpid`` (16 hex digits, or a whole number), ``name`` (else the node's id), ``role`` (``edge``,
           ``aggregation`` or ``intermediate``)
of an      ``source_port``, ``target_port`` (OpenFlow numbers), ``weight`` (a whole number), ``capacity`` (Mbit/s);
edge       whichever is left out may be anything
=========  ======================================================================================================

Other attributes mean nothing here and are left alone.  What Mininet writes is understood as well: ``port1`` at the node
``node1``, ``port2`` at ``node2``, ``bw`` for the capacity, and nodes without ``isSwitch`` beside nodes with it are
hosts, which are left out together with their cables.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from controller.fabric.drawing import Drawing, Format, draw, invalid
from overlay.changes import Document
from overlay.refusals import Invalid
from overlay.values import DatapathId

WEIGHT_MOST: Final = 0xFFFF
CAPACITY_MOST: Final = 100_000_000
"""In Mbit/s: 100 Tbit/s."""

DOCUMENT: Final = "intended"
"""The kind of the one document in which an intended topology is stored."""

_DPID_MOST: Final = (1 << 64) - 1
_PORT_MOST: Final = 0xFFFFFEFF
_NAME_LONGEST: Final = 255


class Role(StrEnum):
    """In which layer of a Clos a switch stands."""

    EDGE = "edge"
    AGGREGATION = "aggregation"
    INTERMEDIATE = "intermediate"


@dataclass(frozen=True, slots=True)
class Node:
    """A switch that is meant to be there."""

    datapath_id: DatapathId
    name: str
    role: Role | None = None


class End(NamedTuple):
    """Where a cable is meant to be plugged in; any port (None) where the drawing does not say."""

    datapath_id: DatapathId
    port: int | None = None


@dataclass(frozen=True, slots=True)
class Cable:
    """A link that is meant to be there, between two different switches; ``a`` is the lower end.

    :param capacity: in Mbit/s.
    """

    a: End
    b: End
    weight: int | None = None
    capacity: float | None = None


@dataclass(frozen=True, slots=True)
class Intended:
    """The fabric as it is meant to be: switches by datapath id, and the cables between them."""

    switches: Mapping[DatapathId, Node]
    cables: tuple[Cable, ...]


@dataclass(frozen=True, slots=True)
class Statement:
    """An intended topology, and the words in which somebody said it.

    :param file: where the configuration says it; empty where the API did.
    """

    language: Format
    text: str
    intended: Intended
    file: str = ""


def read(document: str | bytes, language: Format) -> Intended:
    """Read an intended topology.

    :raises Invalid: for a drawing that cannot be read or contradicts itself; the message names the place.
    """
    drawing = draw(document, language)
    nodes = _switches(drawing)
    by_id = {node.datapath_id: node for node in nodes.values()}
    return Intended({datapath_id: by_id[datapath_id] for datapath_id in sorted(by_id)}, _cables(drawing, nodes))


def stated(document: str | bytes, language: Format, file: str = "") -> Statement:
    """Read an intended topology and keep its words.

    :raises Invalid: as :func:`read`.
    """
    intended = read(document, language)
    return Statement(language, document if isinstance(document, str) else document.decode("utf-8-sig"), intended, file)


def written(statement: Statement | None) -> Document:
    """Write down what was stated, or that nothing is any more."""
    body = None if statement is None else {"format": str(statement.language), "document": statement.text}
    return Document(DOCUMENT, "topology", body)


def restored(document: Document) -> Statement | None:
    """Read back what was written down; None for a document of another kind.

    :raises Invalid: where an older version took what this one does not.
    """
    if document.kind != DOCUMENT or document.body is None:
        return None
    return stated(document.body["document"], Format(document.body["format"]))


# ── switches ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _switches(drawing: Drawing) -> dict[object, Node]:
    by_mininet = any("isSwitch" in data for _, data in drawing.graph.nodes(data=True))
    found = {
        node: _node(node, data)
        for node, data in drawing.graph.nodes(data=True)
        if not by_mininet or data.get("isSwitch") is True
    }
    ids: dict[DatapathId, object] = {}
    names: dict[str, object] = {}
    for node, switch in found.items():
        if ids.setdefault(switch.datapath_id, node) != node:
            raise invalid(f"node {node!r}: dpid {switch.datapath_id} is that of {ids[switch.datapath_id]!r} as well")
        if names.setdefault(switch.name, node) != node:
            raise invalid(f"node {node!r}: name {switch.name!r} is that of {names[switch.name]!r} as well")
    return found


def _node(node: object, data: Mapping[str, Any]) -> Node:
    where = f"node {node!r}"
    name = data.get("name", str(node))
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_LONGEST or not name.isprintable():
        raise invalid(f"{where}: name: must be 1 to {_NAME_LONGEST} characters that can be printed")
    role = data.get("role")
    if role is not None and role not in tuple(Role):
        raise invalid(f"{where}: role: {role!r} is none of {', '.join(Role)}")
    return Node(_dpid(where, data), name, None if role is None else Role(role))


def _dpid(where: str, data: Mapping[str, Any]) -> DatapathId:
    if "dpid" not in data:
        raise invalid(f"{where}: dpid: is missing")
    found = data["dpid"]
    if isinstance(found, str):
        try:
            found = int(DatapathId.parse(found, "dpid"))
        except Invalid as wrong:
            raise invalid(f"{where}: {wrong.message}") from wrong
    return DatapathId(_whole(where, "dpid", found, _DPID_MOST))


def _whole(where: str, name: str, value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise invalid(f"{where}: {name}: {value!r} is not a whole number from 1 to {most}")
    return value


# ── cables ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _cables(drawing: Drawing, nodes: Mapping[object, Node]) -> tuple[Cable, ...]:
    found: list[Cable] = []
    mirrors: dict[tuple[End, End], list[Cable]] = {}
    taken: dict[End, str] = {}
    for source, target, data in drawing.graph.edges(data=True):
        where = f"edge {source!r} – {target!r}"
        if source == target:
            raise invalid(f"{where}: leads from a switch to itself")
        if source not in nodes or target not in nodes:
            continue
        near, far = _ends(where, source, target, data, nodes)
        a, b = sorted((near, far), key=_order)
        cable = Cable(a, b, _weight(where, data), _capacity(where, data))
        if drawing.directed and mirrors.get((far, near)):
            other = mirrors[far, near].pop()
            if other != cable:
                raise invalid(f"{where}: the two directions of the cable differ in weight or capacity")
            continue
        mirrors.setdefault((near, far), []).append(cable)
        for end in (near, far):
            if end.port is not None and taken.setdefault(end, where) is not where:
                raise invalid(f"{where}: port {end.port} of {end.datapath_id} is that of {taken[end]} as well")
        found.append(cable)
    return tuple(sorted(found, key=lambda cable: (_order(cable.a), _order(cable.b))))


def _order(end: End) -> tuple[int, int]:
    return end.datapath_id, end.port or 0


def _ends(
    where: str, source: object, target: object, data: Mapping[str, Any], nodes: Mapping[object, Node]
) -> tuple[End, End]:
    ports = {source: data.get("source_port"), target: data.get("target_port")}
    for node, port in (("node1", "port1"), ("node2", "port2")):
        if port not in data:
            continue
        at = data.get(node)
        if at not in (source, target) or data.get("node1") == data.get("node2"):
            raise invalid(f"{where}: {node}: {at!r} is not an end of its own")
        if ports[at] not in {None, data[port]}:
            raise invalid(f"{where}: {port}: {data[port]!r} is not the port {ports[at]!r} that it is as well")
        ports[at] = data[port]
    near, far = (
        End(nodes[node].datapath_id, None if port is None else _whole(where, f"port at {node!r}", port, _PORT_MOST))
        for node, port in ports.items()
    )
    return near, far


def _weight(where: str, data: Mapping[str, Any]) -> int | None:
    return _whole(where, "weight", data["weight"], WEIGHT_MOST) if data.get("weight") is not None else None


def _capacity(where: str, data: Mapping[str, Any]) -> float | None:
    name = "capacity" if "capacity" in data else "bw"
    value = data.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise invalid(f"{where}: {name}: {value!r} is not a rate in Mbit/s")
    if not 0 < value <= CAPACITY_MOST:
        raise invalid(f"{where}: {name}: {value!r} is not more than 0 and at most {CAPACITY_MOST} Mbit/s")
    return float(value)
