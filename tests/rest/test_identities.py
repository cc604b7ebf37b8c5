"""Projects and tokens are made over REST, and a token opens its project by header or by HTTP basic."""

from __future__ import annotations

import base64
import json
import time

import pytest

from controller.identity.roles import Role
from controller.identity.roster import IssueToken
from controller.identity.values import digest, token


@pytest.fixture
def team(op) -> str:
    """A project."""
    answer = op("POST", "/v1/projects", {"project": {"name": "team", "description": "ours"}})
    assert answer.status == 201
    assert answer.body["project"].keys() == {"name", "description", "created_at"}
    return "team"


def made(op, **fields: object) -> dict[str, object]:
    """A token of this kind."""
    answer = op("POST", "/v1/tokens", {"token": fields})
    assert answer.status == 201, answer
    return answer.body["token"]


def basic(user: str, password: str) -> dict[str, str]:
    """The header of HTTP basic."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_a_token_works_until_it_is_revoked(edge, op, team) -> None:
    """What a token was made for works at once, and from its revocation on it opens nothing."""
    token_ = made(op, project=team)
    assert (token_["user"], token_["roles"], token_["expires_at"]) == (team, ["member"], None)
    tenant = edge.as_(token_["secret"])
    network = tenant.make("network")
    assert network["project_id"] == team
    assert op("DELETE", f"/v1/tokens/{token_['id']}").status == 204
    answer = tenant("GET", f"/v2.0/networks/{network['id']}")
    assert (answer.status, answer.error["type"]) == (401, "Unauthorized")
    assert op("GET", f"/v1/tokens/{token_['id']}").error["type"] == "TokenNotFound"


def test_a_token_expires(edge, op, team) -> None:
    """A token opens nothing from the moment at which it expires; the list says so until it is revoked."""
    secret = {number: token(f"{number:016x}", f"{number:043d}") for number in (1, 2)}
    for number, lifetime in ((1, 99.0), (2, 3600.0)):
        issued = IssueToken(f"{number:016x}", team, "ann", frozenset({Role.READER}), digest(secret[number]), lifetime)
        edge.service.roster.apply(issued, time.time() - 100, lambda _: None)
    assert [edge.as_(secret[number])("GET", "/v2.0/ports").status for number in (1, 2)] == [401, 200]
    assert [one["expired"] for one in op("GET", "/v1/tokens").body["tokens"]] == [True, False]


def test_a_lifetime_is_kept(op, team) -> None:
    """A token that is made for so many seconds says when it expires."""
    token_ = made(op, project=team, expires_in=60, roles=["reader", "member"], user="ann")
    assert token_["expires_at"] == pytest.approx(token_["created_at"] + 60)
    assert (token_["user"], token_["roles"]) == ("ann", ["member", "reader"])


def test_the_secret_is_shown_once(op, team) -> None:
    """No other answer than that to the creation shows a token or its digest."""
    token_ = made(op, project=team)
    random = token_["secret"].split("_", 2)[2]
    assert token_["id"] in token_["secret"]
    for path in ("/v1/tokens", f"/v1/tokens/{token_['id']}", "/v1/projects", "/v1/health"):
        text = str(op("GET", path).body)
        assert random not in text
        assert digest(token_["secret"]) not in text
    assert [one["id"] for one in op("GET", "/v1/tokens?project=team").body["tokens"]] == [token_["id"]]
    assert op("GET", "/v1/tokens?project=other").body == {"tokens": []}


def test_tokens_differ(op, team) -> None:
    """No two tokens are alike, in their public ids neither."""
    found = [made(op, project=team) for _ in range(20)]
    assert len({one["secret"] for one in found}) == len({one["id"] for one in found}) == 20


def test_a_project_is_deleted_when_it_owns_nothing(edge, op, team) -> None:
    """A project with a network is kept (409); without one it goes, and its tokens open nothing any more."""
    tenant = edge.as_(made(op, project=team)["secret"])
    network = tenant.make("network")
    answer = op("DELETE", f"/v1/projects/{team}")
    assert (answer.status, answer.error["type"]) == (409, "ProjectInUse")
    assert tenant("DELETE", f"/v2.0/networks/{network['id']}").status == 204
    assert op("DELETE", f"/v1/projects/{team}").status == 204
    assert tenant("GET", "/v2.0/networks").status == 401
    assert op("GET", f"/v1/projects/{team}").error["type"] == "ProjectNotFound"
    assert op("GET", "/v1/projects").body == {"projects": []}


@pytest.mark.parametrize("noun", ["network", "subnet", "port"])
def test_a_real_owner_looks_for_all_that_a_project_owns(op, desk, team, noun: str) -> None:
    """Whatever a project owns keeps it: also a subnet or a port in another's network."""
    assert desk.owner.roster.project(team)
    network = op.make("network", project_id=team if noun == "network" else "other")
    last = network
    if noun != "network":
        more = {"cidr": "10.0.0.0/24"} if noun == "subnet" else {}
        last = op.make(noun, network_id=network["id"], project_id=team, **more)
    assert last["id"] in op("DELETE", f"/v1/projects/{team}").error["message"]
    assert op("DELETE", f"/v2.0/{noun}s/{last['id']}").status == 204
    assert op("DELETE", f"/v1/projects/{team}").status == 204


def test_another_project_of_the_name_inherits_nothing(op, desk, shelf, team) -> None:
    """What others shared with a project that is deleted, its quota and default group go with it, also in the store."""
    assert desk.owner.roster.project(team)
    network = op.make("network")
    body = {"object_type": "network", "object_id": network["id"], "action": "access_as_shared", "target_tenant": team}
    assert op("POST", "/v2.0/rbac-policies", {"rbac_policy": body}).status == 201
    assert op("PUT", f"/v2.0/quotas/{team}", {"quota": {"port": 3}}).status == 200
    (default,) = op("GET", f"/v2.0/security-groups?project_id={team}").body["security_groups"]
    assert op("DELETE", f"/v1/projects/{team}").status == 204
    assert op("GET", f"/v2.0/security-groups/{default['id']}").status == 404
    assert op("GET", "/v2.0/rbac-policies").body["rbac_policies"] == []
    assert op("GET", "/v2.0/quotas").body["quotas"] == []
    kept = {kind for (kind, _), body in shelf.kept.items() if body is not None}
    assert not kept & {"rbac_policy", "quota", "project", "security_group", "security_group_rule"}


def test_what_is_made_is_stored(op, desk, shelf, team) -> None:
    """A project and a token are in the store when their making is answered, the token by its digest; a revoked one is
    not.
    """
    assert desk.owner.roster.project(team)
    token_ = made(op, project=team)
    assert shelf.kept["project", team]["description"] == "ours"
    assert shelf.kept["credential", token_["id"]]["digest"] == digest(token_["secret"])
    assert token_["secret"].split("_", 2)[2] not in str(shelf.kept)
    assert op("DELETE", f"/v1/tokens/{token_['id']}").status == 204
    assert shelf.kept["credential", token_["id"]] is None


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("projects", {"project": {"name": "operator"}}, "name"),
        ("projects", {"project": {"name": "a:b"}}, "name"),
        ("projects", {"project": {}}, "name"),
        ("projects", {"project": {"name": "team"}}, "name"),
        ("projects", {"project": {"name": "x", "colour": 1}}, "colour"),
        ("projects", {}, "project"),
        ("tokens", {"token": {"project": "none"}}, "none"),
        ("tokens", {"token": {}}, "project"),
        ("tokens", {"token": {"project": "team", "roles": []}}, "roles"),
        ("tokens", {"token": {"project": "team", "roles": ["root"]}}, "roles"),
        ("tokens", {"token": {"project": "team", "expires_in": 0}}, "expires_in"),
        ("tokens", {"token": {"project": "team", "expires_in": "60"}}, "expires_in"),
        ("tokens", {"token": {"project": "team", "expires_in": None}}, "expires_in"),
        ("tokens", {"token": {"project": "team", "user": "a\nb"}}, "user"),
        ("tokens", {"token": {"project": "team", "secret": "mine"}}, "secret"),
    ],
)
@pytest.mark.usefixtures("team")
def test_a_mistake_is_named(edge, op, path: str, body: object, field: str) -> None:
    """A mistake is answered with the field's name and makes nothing."""
    answer = op("POST", f"/v1/{path}", body)
    assert answer.status in {400, 404, 409}
    assert field in answer.error["message"]
    assert [project.name for project in edge.service.roster.projects()] == ["team"]
    assert edge.service.roster.credentials() == ()


def test_basic_is_project_or_user_with_a_token(edge, op, team) -> None:
    """HTTP basic takes a token as password, with its project's name or its user's; so does the configuration's."""
    token_ = made(op, project=team, user="ann", roles=["reader"])
    anybody = edge.as_(None)
    for user in (team, "ann"):
        assert anybody.raw("GET", "/v2.0/networks", headers=basic(user, token_["secret"])).status == 200
    reader = {**basic("ann", token_["secret"]), "Content-Type": "application/json"}
    answer = anybody.raw("POST", "/v2.0/networks", json.dumps({"network": {}}).encode(), reader)
    assert answer.error["type"] == "PolicyNotAuthorized"
    assert anybody.raw("GET", "/v2.0/networks", headers=basic("blue", "blue-0123456789abc")).status == 200
    assert anybody.raw("GET", "/v1/hosts", headers=basic("operator", "operator-0123456789")).status == 200
    full = anybody.raw("GET", "/v1/health", headers=basic("operator", "operator-0123456789"))
    assert "framework" in full.body["health"]


@pytest.mark.parametrize(
    "given",
    [
        basic("red", "blue-0123456789abc")["Authorization"],
        basic("", "blue-0123456789abc")["Authorization"],
        basic("blue", "")["Authorization"],
        basic("blue", "red-0123456789abcd")["Authorization"],
        basic("operator", "blue-0123456789abc")["Authorization"],
        "Basic " + base64.b64encode(b"blue").decode(),
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Basic !!!!",
        "Basic",
        "Basic ",
        "Digest username=blue",
        "Bearer blue-0123456789abc",
        "blue-0123456789abc",
    ],
)
def test_a_wrong_password_opens_nothing(edge, given: str) -> None:
    """What is not the user and password of somebody is answered 401, and the answer does not repeat it."""
    answer = edge.as_(None).raw("GET", "/v2.0/networks", headers={"Authorization": given})
    assert (answer.status, answer.error["type"]) == (401, "Unauthorized")
    assert "0123456789" not in str(answer)
    # A browser is not to ask its user for a password, and then to send it with whatever any page makes it send.
    assert "basic" not in answer.headers["Www-Authenticate"].lower()


def test_a_wrong_token_is_not_mended_by_basic(edge) -> None:
    """Who shows a wrong token is not let in by a right password beside it."""
    headers = {"X-Auth-Token": "nobody-0123456789", **basic("blue", "blue-0123456789abc")}
    assert edge.as_(None).raw("GET", "/v2.0/networks", headers=headers).status == 401
