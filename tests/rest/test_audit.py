"""The audit log has a line for every change and every refused caller, and never a secret."""

from __future__ import annotations

import base64
import json
import logging
import os
import stat
import uuid
from pathlib import Path

import pytest

from controller.configuration import SettingsError
from controller.rest import audit
from controller.rest.limits import RateLimits

JSON = {"Content-Type": "application/json"}
SECRETS = ("operator-0123456789", "blue-0123456789abc")


@pytest.fixture
def lines(caplog):
    """What was written since the last call."""
    caplog.set_level("INFO", logger="controller.audit")

    def read() -> list[dict[str, object]]:
        found = [json.loads(record.getMessage()) for record in caplog.records if record.name == "controller.audit"]
        caplog.clear()
        return found

    return read


def test_a_change_is_written_down(op, blue, lines) -> None:
    """A change has a line with who, what, to which object, what came of it, and the id that its answer has."""
    answer = blue("POST", "/v2.0/networks", {"network": {"name": "secret plans"}})
    (line,) = lines()
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "request_id": answer.headers["X-Openstack-Request-Id"],
        "user": "blue",
        "project": "blue",
        "roles": ["member"],
        "remote": "127.0.0.1",
        "method": "POST",
        "resource": "network",
        "action": "create",
        "id": answer.body["network"]["id"],
        "status": 201,
    }
    op("DELETE", f"/v2.0/networks/{line['id']}")
    (gone,) = lines()
    expected = ("operator", None, "DELETE", line["id"], 204)
    assert (gone["user"], gone["project"], gone["method"], gone["id"], gone["status"]) == expected


def test_each_object_is_named(op, lines) -> None:
    """What is made at once is named one by one; a project and a binding by what they are called."""
    made = op("POST", "/v2.0/networks", {"networks": [{}, {}]}).body["networks"]
    (line,) = lines()
    assert line["id"] == [network["id"] for network in made]
    op("POST", "/v1/projects", {"project": {"name": "team"}})
    token = op("POST", "/v1/tokens", {"token": {"project": "team"}}).body["token"]
    port = op.make("port", network_id=made[0]["id"], **{"binding:host_id": "h1"})
    op("POST", f"/v2.0/ports/{port['id']}/bindings", {"binding": {"host": "h2"}})
    assert [line["id"] for line in lines()] == ["team", token["id"], port["id"], f"{port['id']}/h2"]


def test_many_objects_are_named(op, lines) -> None:
    """Each of hundreds that are made at once is named, whatever they are called."""
    called = '"id": "00000000-0000-0000-0000-000000000000", \\"id\\": "'
    made = op("POST", "/v2.0/networks", {"networks": [{"name": called}] * 500}).body["networks"]
    (line,) = lines()
    assert line["id"] == [network["id"] for network in made]


def test_what_changes_nothing_is_not(edge, blue, lines) -> None:
    """Reading has no line, nor has whoever is only told to slow down."""
    blue("GET", "/v2.0/networks")
    blue("GET", "/v2.0/nothing")
    edge.as_("operator")("POST", "/v1/directory/lookups", {"lookups": [{"vni": 1, "address": "192.0.2.1"}]})
    edge.limits.behind = RateLimits(0.001, 1)
    blue("GET", "/v2.0/networks")
    assert blue("POST", "/v2.0/networks", {"network": {}}).status == 429
    assert lines() == []


def test_what_was_refused_is_written_down(edge, blue, lines) -> None:
    """A change that was not allowed, not possible or a mistake has a line with its status; so has a stranger."""
    id_ = str(uuid.uuid4())
    blue("DELETE", f"/v2.0/networks/{id_}")
    blue("PUT", "/v1/topology/policy", {"policy": {"name": "vlb"}})
    blue("POST", "/v2.0/networks", {"network": {"mtu": "much"}})
    edge.as_("nobody-0123456789")("GET", "/v2.0/networks")
    edge.as_(None)("DELETE", f"/v2.0/networks/{id_}")
    found = lines()
    assert [line["status"] for line in found] == [404, 403, 400, 401, 401]
    assert [line["user"] for line in found] == ["blue"] * 3 + [None] * 2
    assert found[0]["id"] == found[4]["id"] == id_


@pytest.mark.parametrize("who", ["operator", "blue", None])
@pytest.mark.parametrize(
    "path",
    [
        "/v2.0/networks/{}",
        "/v2.0/ports/{}/bindings/{}",
        "/v2.0/ports/{}/bindings/x{}x/activate",
        "/v1/tokens/{}",
        "/v1/projects/{}%0A%7B%22user%22%3A%22forged%22%7D",
        "/v1/topology/switches/{}",
        "/v1/topology/links/{}%0d%0a",
    ],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.usefixtures("desk")
def test_no_secret_gets_in(edge, caplog, who: str | None, path: str, method: str) -> None:
    """Whatever a client writes where, no token, no Authorization header and no line of its own making gets into a log,
    nor do credentials that are wrong.
    """
    caplog.set_level("DEBUG")
    op = edge.as_("operator")
    op("POST", "/v1/projects", {"project": {"name": "team"}})
    issued = op("POST", "/v1/tokens", {"token": {"project": "team"}}).body["token"]["secret"]
    shown = f"00000000-0000-0000-0000-{os.getpid():012d}"  # a wrong one that looks like an id is none
    for secret in (*SECRETS, issued, "nobody-0123456789"):
        password = base64.b64encode(f"{secret}:{secret}".encode()).decode()
        hostile = {
            **JSON,
            "Authorization": f"Basic {password}",
            "X-Openstack-Request-Id": secret,
            "X-Forwarded-For": secret,
            "User-Agent": secret,
        }
        body = json.dumps({"network": {"name": f"\n{secret}", secret: secret}, secret: "\r\n"}).encode()
        edge.as_(who).raw(method, path.replace("{}", secret), body, hostile)
        edge.as_(who).raw(method, path.replace("{}", shown), body, {**hostile, "X-Auth-Token": secret})
        edge.as_(secret).raw(method, path.replace("{}", secret), body, JSON)
        for forbidden in (secret, secret.split("_", 2)[-1], password, "Basic", "forged"):
            assert forbidden not in caplog.text
    for record in caplog.records:
        if record.name == "controller.audit":
            assert "\n" not in record.getMessage()
            json.loads(record.getMessage())


def test_a_fault_does_not_tell(edge, caplog) -> None:
    """What is logged of a fault of ours (here: a service without a fabric) holds nothing that the client wrote."""
    answer = edge.as_("operator")("DELETE", "/v1/topology/switches/00000000deadbeef?x=nobody-0123456789")
    assert answer.status == 500
    assert answer.headers["X-Openstack-Request-Id"] in caplog.text
    faults = [record.getMessage() + (record.exc_text or "") for record in caplog.records if record.levelname == "ERROR"]
    assert faults
    assert not [fault for fault in faults if "deadbeef" in fault or "nobody" in fault]


def test_a_token_that_looks_like_an_id() -> None:
    """A project's token that is a UUID is not written down either where somebody takes it for an object's id."""
    token = "7a0f4a0a-5a0f-4b1c-9a54-3d1d7a1c7b11"  # noqa: S105
    assert audit._told(token, lambda text: text == token, good=False) == "…"
    assert audit._told(token, lambda _: False, good=False) == token


def test_a_file_of_its_own(blue, caplog, tmp_path: Path) -> None:
    """With a file set, lines go there and not into the normal log; only its owner reads it, and it may be rotated."""
    caplog.set_level("DEBUG")
    path = tmp_path / "audit.log"
    handler = audit.write_to(path)
    try:
        blue("POST", "/v2.0/networks", {"network": {}})
        path.rename(tmp_path / "audit.log.1")
        blue("POST", "/v2.0/networks", {"network": {}})
    finally:
        logging.getLogger("controller.audit").removeHandler(handler)
        logging.getLogger("controller.audit").propagate = True
        handler.close()
    for file in (path, tmp_path / "audit.log.1"):
        (line,) = file.read_text().splitlines()
        assert json.loads(line)["status"] == 201
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "audit" not in {record.name.rpartition(".")[2] for record in caplog.records}


def test_a_file_that_cannot_be(tmp_path: Path) -> None:
    """A file that cannot be written is refused by its setting's name."""
    with pytest.raises(SettingsError, match=r"rest\.audit_log"):
        audit.write_to(tmp_path / "none" / "audit.log")
