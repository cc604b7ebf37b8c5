"""The operator says over REST what the fabric is meant to be, and learns how it differs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller.fabric import intended
from controller.fabric.drawing import Format
from overlay.changes import Document

pytestmark = pytest.mark.usefixtures("desk")

NODES = [{"id": f"n{n}", "dpid": n} for n in (100, 101, 102, 200, 201)]
EDGES = [
    {"source": f"n{leaf}", "target": f"n{spine}"} for leaf in (100, 101, 102) for spine in (200, 201) for _ in range(2)
]
SOUND = {"directed": False, "multigraph": True, "graph": {}, "nodes": NODES, "edges": EDGES}


def put(op: Any, document: object, language: str = "json") -> Any:
    """Say what is intended."""
    return op("PUT", "/v1/topology/intended", {"intended": {"format": language, "document": document}})


def test_what_is_intended_can_be_said_and_seen(op, shelf) -> None:
    """An intended topology is stored as it was said, shown as it was understood, and gone when it is deleted."""
    answer = put(op, SOUND)
    assert answer.status == 200, answer
    shown = answer.body["intended"]
    assert json.loads(shown["document"]) == SOUND
    assert (shown["format"], shown["file"]) == ("json", "")
    assert shown["switches"][0] == {"datapath_id": "0000000000000064", "name": "n100", "role": None}
    assert shown["links"][0] == {
        "a": {"datapath_id": "0000000000000064", "port": None},
        "b": {"datapath_id": "00000000000000c8", "port": None},
        "weight": None,
        "capacity": None,
    }
    assert op("GET", "/v1/topology/intended").body == answer.body
    assert put(op, shown["document"]).body == answer.body
    (kept,) = [body for (kind, _), body in shelf.kept.items() if kind == "intended"]
    assert kept == {"format": "json", "document": shown["document"]}
    assert op("DELETE", "/v1/topology/intended").status == 204
    assert shelf.kept["intended", "topology"] is None
    for method, path in (("GET", "intended"), ("DELETE", "intended"), ("GET", "differences")):
        missing = op(method, f"/v1/topology/{path}")
        assert (missing.status, missing.error["type"]) == (404, "IntendedTopologyNotFound")


def test_graphml_can_be_said(op) -> None:
    """An intended topology may be GraphML in a string."""
    text = (
        '<graphml><key id="d" for="node" attr.name="dpid" attr.type="int"/><graph>'
        '<node id="n"><data key="d">100</data></node></graph></graphml>'
    )
    shown = put(op, text, "graphml").body["intended"]
    assert shown["document"] == text
    assert shown["switches"] == [{"datapath_id": "0000000000000064", "name": "n", "role": None}]


def test_what_differs_is_told_and_is_a_problem(op) -> None:
    """Differences are listed with places and sentences, and are problems of the controller's health, bounded."""
    put(op, SOUND)
    assert op("GET", "/v1/topology/differences").body == {"differences": []}
    assert op("GET", "/v1/health").body["health"]["problems"] == []
    put(op, {"nodes": [*NODES, {"id": "n9", "dpid": 9}], "edges": EDGES[1:]})
    differences = op("GET", "/v1/topology/differences").body["differences"]
    assert differences[0] == {
        "kind": "missing_switch",
        "sentence": "switch n9 (0000000000000009) was never seen",
        "at": {"datapath_id": "0000000000000009", "port": None},
        "expected": None,
        "seen": None,
    }
    assert [each["kind"] for each in differences[1:]] == ["unexpected_link"]
    assert op("GET", "/v1/health").body["health"]["problems"] == [each["sentence"] for each in differences]
    put(op, {"nodes": [{"id": n, "dpid": n} for n in range(1, 31)], "edges": []})
    problems = op("GET", "/v1/health").body["health"]["problems"]
    assert len(problems) == 21
    assert problems[-1] == "27 more differences from the intended topology"


def test_what_is_intended_survives_a_restart(op, shelf) -> None:
    """What was stored is what the next controller holds intended."""
    put(op, SOUND)
    found = [intended.restored(Document(kind, id_, body)) for (kind, id_), body in shelf.kept.items()]
    assert intended.stated(json.dumps(SOUND), Format.JSON) in found


def test_the_configuration_has_the_last_word(op, desk, shelf) -> None:
    """Where the configuration says what is intended, the API shows it with its file and refuses to change it."""
    desk.owner.intended = intended.stated(json.dumps(SOUND), Format.JSON, "/etc/vl2/fabric.json")
    assert op("GET", "/v1/topology/intended").body["intended"]["file"] == "/etc/vl2/fabric.json"
    for answer in (put(op, SOUND), op("DELETE", "/v1/topology/intended")):
        assert (answer.status, answer.error["type"]) == (409, "IntendedTopologyInUse")
        assert "/etc/vl2/fabric.json" in answer.error["message"]
    assert shelf.kept == {}


BAD_BODIES = [
    ({}, "intended"),
    ({"intended": None}, "intended"),
    ({"intended": {}}, "format"),
    ({"intended": {"format": "json"}}, "document"),
    ({"intended": {"format": "yaml", "document": "x"}}, "format"),
    ({"intended": {"format": 1, "document": "x"}}, "format"),
    ({"intended": {"format": "json", "document": 5}}, "document"),
    ({"intended": {"format": "json", "document": None}}, "document"),
    ({"intended": {"format": "json", "document": []}}, "document"),
    ({"intended": {"format": "json", "document": ""}}, "document"),
    ({"intended": {"format": "json", "document": "nonsense"}}, "document"),
    ({"intended": {"format": "json", "document": {}}}, "document"),
    ({"intended": {"format": "json", "document": {**SOUND, "nodes": NODES[1:]}}}, "its source is not a node"),
    ({"intended": {"format": "json", "document": {**SOUND, "edges": [{**EDGES[0], "weight": -1}]}}}, "weight: -1"),
    ({"intended": {"format": "graphml", "document": SOUND}}, "document"),
    ({"intended": {"format": "graphml", "document": "<graphml>"}}, "not XML"),
    ({"intended": {"format": "graphml", "document": "<!DOCTYPE x><graphml/>"}}, "DOCTYPE"),
    ({"intended": {"format": "graphml", "document": "\ud800"}}, "document"),
    ({"intended": {"format": "json", "document": "{}", "colour": 1}}, "colour"),
]


@pytest.mark.parametrize("there", [False, True], ids=["none", "one"])
@pytest.mark.parametrize(("body", "why"), [pytest.param(*row, id=f"{n}: {row[1]}") for n, row in enumerate(BAD_BODIES)])
def test_what_cannot_be_intended(op, same_fabric, body: object, why: str, there: bool) -> None:
    """An intended topology that does not parse or contradicts itself is refused by its place, and nothing changes."""
    if there:
        put(op, SOUND)
    same_fabric()
    answer = op("PUT", "/v1/topology/intended", body)
    assert answer.status == 400, answer
    assert why in answer.error["message"], answer


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "intended"), ("PUT", "intended"), ("DELETE", "intended"), ("GET", "differences")],
)
def test_the_topology_is_the_operators(same_fabric, edge, method: str, path: str) -> None:
    """A project may neither see nor say what is intended."""
    same_fabric()
    body = {"intended": {"format": "json", "document": SOUND}} if method == "PUT" else None
    answer = edge.as_("blue")(method, f"/v1/topology/{path}", body)
    assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")
    assert edge.as_(None)(method, f"/v1/topology/{path}", body).status == 401
