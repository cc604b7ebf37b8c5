"""How can a caller show who it is?

By a token in ``X-Auth-Token``, or as the password of HTTP basic.  Each way is an
:class:`~controller.rest.access.Authenticator`, which the app asks in turn; whose a token is, they find in books: those
of the configuration, and those that were handed out.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from flask import Request

from controller.identity.roles import Role
from controller.identity.values import id_of
from controller.rest.access import HEADER, Caller, shown_token
from controller.rest.errors import Unauthorized
from controller.service import Service
from controller.settings import OPERATOR
from controller.tokens import Token

_BASIC: Final = "Basic"


class Book(Protocol):
    """Somebody who knows whose a token is."""

    def holder(self, token: str) -> Caller | None:
        """Whose it is; None when it is not in this book."""


@dataclass(frozen=True, slots=True)
class ConfiguredTokens:
    """The operator's token in its file, and one for each project of the configuration: what is there without a store.

    :param projects: by name; who shows such a token is the project's member.
    """

    operator: Token
    projects: Mapping[str, Token]

    def holder(self, token: str) -> Caller | None:
        """Whose it is."""
        # All are compared, so that the time of the answer does not tell which one came close.
        found = [
            Caller(project, project, frozenset({Role.MEMBER}))
            for project, known in self.projects.items()
            if known.matches(token)
        ]
        if self.operator.matches(token):
            found.append(Caller(OPERATOR, None, frozenset({Role.ADMIN})))
        return found[-1] if found else None


@dataclass(frozen=True, slots=True)
class IssuedTokens:
    """The tokens that were handed out by ``/v1/tokens``.

    :param clock: seconds since the epoch.
    """

    service: Service
    clock: Callable[[], float] = time.time

    def holder(self, token: str) -> Caller | None:
        """Whose it is; None for one that is revoked, expired or never was."""
        if id_of(token) is None:
            return None
        found = self.service.roster.holder(token, self.clock())
        return None if found is None else Caller(found.user, found.project, found.roles)


@dataclass(frozen=True, slots=True)
class ByToken:
    """A token in ``X-Auth-Token`` (for Prometheus: as a bearer token)."""

    books: Sequence[Book]

    def identify(self, request: Request) -> Caller | None:
        """Who sent a request; None for a token that is in no book, since one of Keystone's would not be either.

        :raises Unauthorized: for a token of our own form that opens nothing (any more).
        """
        given = shown_token(request)
        if given is None:
            return None
        found = _holder(self.books, given)
        if found is None and id_of(given) is not None:
            raise Unauthorized(f"The token in the header {HEADER} is not valid", field=HEADER)
        return found


@dataclass(frozen=True, slots=True)
class ByPassword:
    """HTTP basic (RFC 7617): the user is the token's project or its holder's name, the password is the token.

    Browsers are not asked for it: a password that they keep would go with every request that any page makes them send.
    """

    books: Sequence[Book]

    def identify(self, request: Request) -> Caller | None:
        """Who sent a request; None when it shows another token, or no user and password.

        :raises Unauthorized: when they are not those of anybody.
        """
        given = request.headers.get("Authorization", "")
        scheme, _, rest = given.partition(" ")
        if scheme.lower() != _BASIC.lower() or request.headers.get(HEADER):
            return None
        user, password = _read(rest.strip())
        found = _holder(self.books, password)
        if found is None or user not in {found.user, found.project}:
            raise Unauthorized("User and password (HTTP basic) are not valid", field="Authorization")
        return found


def _holder(books: Sequence[Book], token: str) -> Caller | None:
    return next((found for book in books if (found := book.holder(token)) is not None), None)


def _read(text: str) -> tuple[str, str]:
    try:
        user, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        colon = ""
    if not colon:
        raise Unauthorized("The header Authorization is not HTTP basic (RFC 7617)", field="Authorization")
    return user, password
