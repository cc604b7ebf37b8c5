"""A client that says which revision it changes changes no other."""

from __future__ import annotations

import json

import pytest

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def made(op):
    """One object of each kind."""
    network = op.make("network")
    subnet = op.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")
    port = op.make("port", network_id=network["id"], fixed_ips=[])
    return {"network": network, "subnet": subnet, "port": port}


def _put(client, noun: str, thing, match: str, **fields: object):
    body = json.dumps({noun: fields}).encode()
    return client.raw("PUT", f"/v2.0/{noun}s/{thing['id']}", body, {**JSON, "If-Match": match})


@pytest.mark.parametrize("noun", ["network", "subnet", "port"])
def test_a_revision_grows_with_each_change(op, edge, made, noun: str) -> None:
    """A new object has revision 1; each change adds one and sets the time."""
    thing = made[noun]
    assert thing["revision_number"] == 1
    edge.service.now += 5
    changed = op("PUT", f"/v2.0/{noun}s/{thing['id']}", {noun: {"name": "n"}}).body[noun]
    assert changed["revision_number"] == 2
    assert changed["created_at"] == thing["created_at"] != changed["updated_at"]


@pytest.mark.parametrize("noun", ["network", "subnet", "port"])
def test_a_change_of_nothing_is_none(op, edge, made, noun: str) -> None:
    """A request that says nothing, or what is so already, makes no new revision."""
    path = f"/v2.0/{noun}s/{made[noun]['id']}"
    thing = op("GET", path).body[noun]
    edge.service.now += 5
    for fields in ({}, {"name": thing["name"]}):
        assert op("PUT", path, {noun: fields}).body[noun] == thing


@pytest.mark.parametrize("noun", ["network", "subnet", "port"])
def test_a_change_of_the_revision_that_one_has_seen(op, made, noun: str) -> None:
    """If-Match with the present revision lets a change and a deletion through."""
    thing = made[noun]
    assert _put(op, noun, thing, "revision_number=1", name="n").body[noun]["name"] == "n"
    assert _put(op, noun, thing, '"revision_number=2"', name="m").body[noun]["name"] == "m"
    assert _put(op, noun, thing, "*", name="o").status == 200
    if noun == "network":
        op("DELETE", f"/v2.0/ports/{made['port']['id']}")
    gone = op.raw("DELETE", f"/v2.0/{noun}s/{thing['id']}", headers={"If-Match": "revision_number=4"})
    assert gone.status == 204


@pytest.mark.parametrize("noun", ["network", "subnet", "port"])
def test_a_change_of_another_revision(op, made, unchanged, noun: str) -> None:
    """If-Match with another revision is answered 412, and nothing changes."""
    unchanged()
    answer = _put(op, noun, made[noun], "revision_number=7", name="n")
    assert (answer.status, answer.error["type"]) == (412, "RevisionNumberConstraintFailed")
    assert "7" in answer.error["message"]
    assert "1" in answer.error["message"]
    gone = op.raw("DELETE", f"/v2.0/{noun}s/{made[noun]['id']}", headers={"If-Match": "revision_number=0"})
    assert (gone.status, gone.error["type"]) == (412, "RevisionNumberConstraintFailed")


@pytest.mark.parametrize(
    "match",
    [
        "1",
        "revision_number",
        "revision_number=",
        "revision_number=one",
        "revision_number=-1",
        "revision_number=1.0",
        "revision_number=1, revision_number=2",
        "revision_number=" + "9" * 100,
        "updated_at=1",
        '"abc"',
    ],
)
def test_a_condition_that_is_not_understood(op, made, unchanged, match: str) -> None:
    """A condition that we cannot judge is refused, not ignored."""
    unchanged()
    answer = _put(op, "network", made["network"], match, name="n")
    assert (answer.status, answer.error["type"]) == (400, "HTTPBadRequest")
    assert "If-Match" in answer.error["message"]
