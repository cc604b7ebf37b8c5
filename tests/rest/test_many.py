"""Long requests and answers are read and written piece by piece, which nobody can tell from outside."""

from __future__ import annotations

import json

import pytest

from controller.rest import port_forms
from controller.rest.many import written

MANY = 200


def test_a_long_bulk_is_all_in_its_order(op, edge) -> None:
    """Hundreds of objects in one request are made and answered in the order in which they were asked for."""
    names = [f'"{number}" – ü' for number in range(MANY)]
    answer = op("POST", "/v2.0/networks", {"networks": [{"name": name} for name in names]})
    assert answer.status == 201
    assert [network["name"] for network in answer.body["networks"]] == names
    listed = op("GET", "/v2.0/networks")
    assert listed.body == answer.body
    assert len(edge.service.world.networks) == MANY


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"colour": "red"}, "Unrecognized attribute(s) 'colour' (item 150 of networks)"),
        ({"name": 5}, "Invalid input for name (item 150 of networks)"),
        ("text", "(item 150 of networks)"),
    ],
)
def test_a_bad_item_is_named_wherever_it_is(op, unchanged, bad: object, message: str) -> None:
    """The refusal of a long list names the item by its place in the whole list, and nothing is made."""
    unchanged()
    wanted: list[object] = [{}] * MANY
    wanted[150] = bad
    answer = op("POST", "/v2.0/networks", {"networks": wanted})
    assert answer.status == 400
    assert message in answer.error["message"]


@pytest.mark.parametrize("body", [{"network": [{}] * MANY}, {"colours": [{}] * MANY}, {"networks": [{}] * 10_001}])
def test_a_long_list_where_none_belongs(op, unchanged, body: object) -> None:
    """A long list under another name, or one that is too long, is refused as a short one is."""
    unchanged()
    answer = op("POST", "/v2.0/networks", body)
    assert answer.status == 400
    assert answer.error["type"] == "HTTPBadRequest"


def test_lists_leave_out_what_is_not_whole_yet(op, blue, edge) -> None:
    """What a bulk under way has made so far is in no list, for its project as little as for the operator."""
    network = blue.make("network")
    subnet = blue.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")
    port = blue.make("port", network_id=network["id"])
    edge.service.unfinished = {network["id"], subnet["id"], port["id"]}
    for client in (op, blue):
        for plural in ("networks", "subnets", "ports"):
            assert client("GET", f"/v2.0/{plural}").body == {plural: []}
    share = op("POST", "/v2.0/rbac-policies", {"rbac_policy": {
        "object_type": "network", "object_id": network["id"], "action": "access_as_shared", "target_tenant": "red"
    }}).body["rbac_policy"]  # fmt: skip
    edge.service.unfinished = {network["id"], share["id"]}
    assert op("GET", "/v2.0/rbac-policies").body == {"rbac_policies": []}
    assert op("GET", "/v2.0/network-ip-availabilities").body == {"network_ip_availabilities": []}
    edge.service.unfinished = {subnet["id"]}
    assert blue("GET", "/v2.0/networks").body["networks"][0]["subnets"] == []


@pytest.mark.parametrize(
    "answer",
    [{"a": list(range(1000)), "b": [], "c": {"d": list(range(100))}}, {}, [1, 2], "text", {"ü": [None] * 65, "n": 1.5}],
)
def test_written_by_pieces_is_written(answer: object) -> None:
    """What is written piece by piece is byte for byte what would have been written in one go."""
    write = json.JSONEncoder(separators=(",", ":")).encode
    assert written(answer, write) == write(answer)


def test_a_port_that_is_deleted_while_a_list_is_written(op, edge) -> None:
    """A long list shows a port that went while the others were written as it was when the list began, and down."""
    network = op.make("network")
    made = op.make("port", network_id=network["id"], name="gone", **{"binding:host_id": "h1"})
    edge.service.plug("h1", made["id"])
    port = edge.service.world.port(made["id"])
    read = port_forms.attributes(edge.service)
    assert read["status"](port) == "ACTIVE"
    op("DELETE", f"/v2.0/ports/{port.id}")
    assert (read["name"](port), read["status"](port)) == ("gone", "DOWN")
