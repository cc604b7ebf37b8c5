"""Who calls is found by a chain of authenticators, to which others may be added."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from flask import Request

from controller.identity.roles import Role
from controller.identity.roster import Roster
from controller.rest import app as app_module
from controller.rest import limits
from controller.rest.access import Caller
from controller.rest.app import build
from controller.rest.errors import Unauthorized
from controller.rest.limits import RateLimits
from controller.tokens import Token
from controller.turns import Turnstile, begin
from overlay.world import World

KNOWN = "a-token-of-somebody-elses"


class Elsewhere:
    """Knows one token, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.known: str | None = KNOWN

    def identify(self, request: Request) -> Caller | None:
        token = request.headers.get("X-Auth-Token")
        self.asked.append(token)
        if token == "revoked-elsewhere" or self.known is None:  # noqa: S105
            raise Unauthorized("The token was revoked", field="X-Auth-Token")
        return Caller("ann", "blue", frozenset({Role.READER})) if token == self.known else None


@pytest.fixture
def elsewhere() -> Elsewhere:
    """A further way to show who one is."""
    return Elsewhere()


@pytest.fixture
def client(elsewhere: Elsewhere):
    """The application with it, and a controller that knows nobody."""
    service = SimpleNamespace(roster=Roster(), world=World(), unfinished=frozenset(), switching=False)
    still = RateLimits(clock=lambda: 0.0)
    yield build(service, Token("operator-0123456789"), {}, authenticators=[elsewhere], limits=still).test_client()
    begin(Turnstile(), None)  # it has served in the greenlet of the tests


def test_another_authenticator_lets_in(client, elsewhere: Elsewhere) -> None:
    """Who is known to a further authenticator is let in with the roles that it says."""
    assert client.get("/v2.0/networks", headers={"X-Auth-Token": KNOWN}).status_code == 200
    answer = client.post("/v2.0/networks", json={"network": {}}, headers={"X-Auth-Token": KNOWN})
    assert (answer.status_code, answer.json["NeutronError"]["type"]) == (403, "PolicyNotAuthorized")
    assert elsewhere.asked == [KNOWN, KNOWN]


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({"X-Auth-Token": "operator-0123456789"}, False),
        ({"X-Auth-Token": f"vl2_{0:016x}_{0:043d}"}, False),
        ({"Authorization": "Basic eDp5"}, False),
        ({"X-Auth-Token": "nobody-0123456789"}, True),
        ({"X-Auth-Token": "revoked-elsewhere"}, True),
        ({}, True),
    ],
)
def test_it_is_asked_only_for_what_nobody_knows(client, elsewhere: Elsewhere, headers, *, asked: bool) -> None:
    """A further authenticator is not asked for what is ours, be it right or wrong; what nobody knows is refused."""
    answer = client.get("/v2.0/networks", headers=headers)
    assert bool(elsewhere.asked) == asked
    assert answer.status_code == (200 if headers.get("X-Auth-Token") == "operator-0123456789" else 401)


def test_roles_and_sight() -> None:
    """An admin sees everything, with a project or without; others see what is their project's."""
    network = SimpleNamespace(project_id="blue")
    for project in ("blue", "red", None):
        admin = Caller("root", project, frozenset({Role.ADMIN}))
        assert admin.is_operator
        assert admin.sees(network)
        assert all(admin.has(role) for role in Role)
    for role in (Role.READER, Role.MEMBER):
        assert Caller("ann", "blue", frozenset({role})).sees(network)
        assert not Caller("ann", "red", frozenset({role})).sees(network)
        assert not Caller("ann", "blue", frozenset({role})).is_operator
    nobody = Caller("ann", "blue", frozenset())
    assert not any(nobody.has(role) for role in Role)


def test_strangers_are_not_asked_about_without_end(client, elsewhere: Elsewhere) -> None:
    """Another authenticator is asked about so many unknown callers at once; one that it knew lately is let in still."""

    def status(token: str) -> int:
        return client.get("/v2.0/networks", headers={"X-Auth-Token": token}).status_code

    assert status(KNOWN) == 200
    answers = [status(f"guess-{each}") for each in range(500)]
    assert sorted(set(answers)) == [401, 429]
    assert len(elsewhere.asked) == 1 + answers.count(401)
    assert status(KNOWN) == 200
    elsewhere.known = None
    assert status(KNOWN) == 429, "it is a stranger's now"
    asked = len(elsewhere.asked)
    assert status(KNOWN) == 429
    assert len(elsewhere.asked) == asked


def test_few_of_the_good_are_remembered(monkeypatch, elsewhere: Elsewhere) -> None:
    """The memory of whose credential was good does not grow without end."""
    monkeypatch.setattr(limits, "_REMEMBERED", 3)
    sparing = limits.Sparing(elsewhere, RateLimits())
    for token in ("a", "b", "c", "d", "e"):
        elsewhere.known = token
        assert sparing.identify(Request({"HTTP_X_AUTH_TOKEN": token, "REMOTE_ADDR": "192.0.2.1"})) is not None
    assert len(sparing._good) == 3


def test_who_shows_no_token_waits_in_a_line_of_his_own(client, monkeypatch) -> None:
    """A flood of requests without tokens does not stand before the operator's."""
    lines: list[str | None] = []
    monkeypatch.setattr(app_module, "begin", lambda _, who, **_urgent: lines.append(who))
    client.get("/")
    client.get("/v2.0/networks", headers={"X-Auth-Token": KNOWN})
    client.get("/v2.0/networks", headers={"X-Auth-Token": "operator-0123456789"})
    nobodys, projects, operators = lines
    assert projects == "blue"
    assert nobodys not in {projects, operators}


def test_the_description_is_written_once(client, monkeypatch) -> None:
    """What anybody may ask for without a token costs next to nothing: the API's description is written but once."""
    written: list[object] = []
    document = app_module._document
    monkeypatch.setattr(app_module, "_document", lambda app: written.append(app) or document(app))
    first, second = (client.get("/openapi.json") for _ in range(2))
    assert first.json["openapi"]
    assert first.data == second.data
    assert len(written) == 1
