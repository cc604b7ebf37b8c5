"""Who calls is found by a chain of authenticators, to which others may be added."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from flask import Request

from controller.identity.roles import Role
from controller.identity.roster import Roster
from controller.rest.access import Caller
from controller.rest.app import build
from controller.rest.errors import Unauthorized
from controller.tokens import Token
from overlay.world import World

KNOWN = "a-token-of-somebody-elses"


class Elsewhere:
    """Knows one token, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    def identify(self, request: Request) -> Caller | None:
        token = request.headers.get("X-Auth-Token")
        self.asked.append(token)
        if token == "revoked-elsewhere":  # noqa: S105
            raise Unauthorized("The token was revoked", field="X-Auth-Token")
        return Caller("ann", "blue", frozenset({Role.READER})) if token == KNOWN else None


@pytest.fixture
def elsewhere() -> Elsewhere:
    """A further way to show who one is."""
    return Elsewhere()


@pytest.fixture
def client(elsewhere: Elsewhere):
    """The application with it, and a controller that knows nobody."""
    service = SimpleNamespace(roster=Roster(), world=World(), unfinished=frozenset())
    return build(service, Token("operator-0123456789"), {}, authenticators=[elsewhere]).test_client()


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
