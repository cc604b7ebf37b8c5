"""A port is moved by its bindings, as Nova does it."""

from __future__ import annotations

import pytest


@pytest.fixture
def port(op, edge) -> str:
    """The id of blue's port, which lives at h1."""
    network = op.make("network", project_id="blue")
    made = op.make("port", network_id=network["id"], **{"binding:host_id": "h1"})
    edge.service.plug("h1", made["id"])
    return made["id"]


def _statuses(op, port: str) -> dict[str, str]:
    return {own["host"]: own["status"] for own in op("GET", f"/v2.0/ports/{port}/bindings").body["bindings"]}


def test_a_move_in_neutrons_words(op, edge, port: str) -> None:
    """Passive binding, plugged, activated: the port lives at the new host and the old binding is gone."""
    path = f"/v2.0/ports/{port}/bindings"
    assert _statuses(op, port) == {"h1": "ACTIVE"}
    made = op("POST", path, {"binding": {"host": "h2"}})
    assert made.status == 201
    assert made.body["binding"] == {
        "host": "h2",
        "status": "INACTIVE",
        "vif_type": "ovs",
        "vif_details": {"port_filter": True, "bridge_name": "br-int", "connectivity": "l2"},
        "vnic_type": "normal",
        "profile": {},
    }
    assert op("GET", f"{path}/h2").body == made.body
    assert _statuses(op, port) == {"h1": "ACTIVE", "h2": "INACTIVE"}
    edge.service.plug("h2", port, 6)
    activated = op("PUT", f"{path}/h2/activate")
    assert (activated.status, activated.body["binding"]["status"]) == (200, "ACTIVE")
    assert op("GET", f"/v2.0/ports/{port}").body["port"]["binding:host_id"] == "h2", "before the grace time is over"
    assert [each["id"] for each in op("GET", "/v2.0/ports?binding:host_id=h2").body["ports"]] == [port]
    assert op("GET", "/v2.0/ports?binding:host_id=h1").body["ports"] == []
    edge.service.settle()
    assert _statuses(op, port) == {"h2": "ACTIVE"}
    assert op("GET", f"/v2.0/ports/{port}").body["port"]["binding:host_id"] == "h2"


def test_activation_takes_an_empty_object_too(op, edge, port: str) -> None:
    """The body of an activation may be left out or be an empty JSON object."""
    op("POST", f"/v2.0/ports/{port}/bindings", {"binding": {"host": "h2"}})
    edge.service.plug("h2", port, 6)
    assert op("PUT", f"/v2.0/ports/{port}/bindings/h2/activate", {}).status == 200


def test_a_move_can_be_called_off(op, port: str) -> None:
    """Deleting the passive binding leaves the port where it was."""
    path = f"/v2.0/ports/{port}/bindings"
    op("POST", path, {"binding": {"host": "h2"}})
    assert op("DELETE", f"{path}/h2").status == 204
    assert _statuses(op, port) == {"h1": "ACTIVE"}
    assert op("GET", "/v1/moves").body["moves"][0]["phase"] == "cancelled"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"binding": {"host": "h9"}}, "h9"),
        ({"binding": {"host": ""}}, "host"),
        ({"binding": {"host": 5}}, "host"),
        ({"binding": {}}, "host"),
        ({}, "binding"),
        ({"binding": {"host": "h2", "vnic_type": "direct"}}, "vnic_type"),
        ({"binding": {"host": "h2", "profile": {"a": 1}}}, "profile"),
        ({"binding": {"host": "h2", "status": "ACTIVE"}}, "status"),
    ],
)
def test_a_bad_binding(op, port: str, unchanged, body: object, word: str) -> None:
    """A binding to an unknown host, or one that says what cannot be, is answered 400 with the field."""
    unchanged()
    answer = op("POST", f"/v2.0/ports/{port}/bindings", body)
    assert answer.status == 400, answer
    assert word in answer.error["message"]


def test_a_second_binding_to_one_host(op, port: str, unchanged) -> None:
    """A host where the port lives, or that is prepared already, is answered 409."""
    path = f"/v2.0/ports/{port}/bindings"
    op("POST", path, {"binding": {"host": "h2"}})
    unchanged()
    for host in ("h1", "h2"):
        answer = op("POST", path, {"binding": {"host": host}})
        assert (answer.status, answer.error["type"]) == (409, "PortBindingAlreadyExists")


def test_activation_of_nothing(op, port: str, unchanged) -> None:
    """Activating or deleting a binding that is not there is answered 404, of an unknown port likewise."""
    unchanged()
    for method, path in (("PUT", "h2/activate"), ("DELETE", "h2"), ("GET", "h2"), ("PUT", "no%20host/activate")):
        answer = op(method, f"/v2.0/ports/{port}/bindings/{path}")
        assert (answer.status, answer.error["type"]) == (404, "PortBindingNotFound"), path
        assert op(method, f"/v2.0/ports/none/bindings/{path}").error["type"] == "PortNotFound"


def test_activation_before_it_is_ready(op, port: str, unchanged) -> None:
    """Activating a binding whose host has not confirmed is answered 409, the active one likewise."""
    op("POST", f"/v2.0/ports/{port}/bindings", {"binding": {"host": "h2"}})
    unchanged()
    answer = op("PUT", f"/v2.0/ports/{port}/bindings/h2/activate")
    assert (answer.status, answer.error["type"]) == (409, "PortBindingNotReady")
    answer = op("PUT", f"/v2.0/ports/{port}/bindings/h1/activate")
    assert (answer.status, answer.error["type"]) == (409, "PortBindingAlreadyActive")
    assert op("DELETE", f"/v2.0/ports/{port}/bindings/h1").status == 409


def test_activation_that_is_not_confirmed(op, edge, port: str, monkeypatch) -> None:
    """An activation that the switches do not confirm in time is answered 504 and goes on."""
    op("POST", f"/v2.0/ports/{port}/bindings", {"binding": {"host": "h2"}})
    edge.service.plug("h2", port, 6)
    monkeypatch.setattr(edge.service, "confirm", lambda: None)
    answer = op("PUT", f"/v2.0/ports/{port}/bindings/h2/activate")
    assert (answer.status, answer.error["type"]) == (504, "NotConfirmed")
    assert op("GET", "/v1/moves").body["moves"][0]["phase"] == "hairpinning"


def test_a_moves_timeline(op, edge, port: str) -> None:
    """A move is listed with its phases and its cost; filters find it by port, phase, and whether it is under way."""
    op("POST", f"/v2.0/ports/{port}/bindings", {"binding": {"host": "h2"}})
    edge.service.plug("h2", port, 6)
    (move,) = op("GET", f"/v1/moves?port_id={port}&phase=ready").body["moves"]
    assert (move["source"], move["target"], move["trigger"]) == ("h1", "h2", "passive_binding")
    assert [step["phase"] for step in move["timeline"]] == ["preparing", "ready"]
    assert (move["flow_mods"], move["switches_touched"]) == (7, ["564c000000000001"])
    assert op("GET", f"/v1/moves/{move['id']}").body == {"move": move}
    assert op("GET", "/v1/moves?phase=settled").body == {"moves": []}
    assert [each["id"] for each in op("GET", "/v1/moves?live=true").body["moves"]] == [move["id"]]
    assert op("GET", "/v1/moves?live=false").body == {"moves": []}
    assert op("GET", "/v1/moves/none:1").error["type"] == "MoveNotFound"
    assert op("GET", "/v1/moves?host=h1").status == 400


def test_a_tenant_sees_its_own_moves(op, blue, red, port: str) -> None:
    """A project sees when its ports move but not between which hosts, and nothing of others' moves."""
    op("POST", f"/v2.0/ports/{port}/bindings", {"binding": {"host": "h2"}})
    (move,) = blue("GET", "/v1/moves").body["moves"]
    assert set(move) == {"id", "port_id", "phase", "trigger", "timeline", "activated_in_ms", "reason"}
    assert blue("GET", f"/v1/moves/{move['id']}").body == {"move": move}
    assert red("GET", "/v1/moves").body == {"moves": []}
    assert red("GET", f"/v1/moves/{move['id']}").error["type"] == "MoveNotFound"
    op("DELETE", f"/v2.0/ports/{port}")
    assert blue("GET", "/v1/moves").body == {"moves": []}


def test_a_new_host_is_a_move(op, edge, port: str) -> None:
    """Changing binding:host_id of a port in use prepares the new host and then switches by itself."""
    answer = op("PUT", f"/v2.0/ports/{port}", {"port": {"binding:host_id": "h2"}})
    assert answer.status == 200
    assert op("GET", "/v1/moves").body["moves"][0]["trigger"] == "rebind"
    edge.service.plug("h2", port, 6)
    edge.service.settle()
    assert op("GET", f"/v2.0/ports/{port}").body["port"]["binding:host_id"] == "h2"
