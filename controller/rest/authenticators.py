"""How can a caller show who it is?

Each way is an :class:`~controller.rest.access.Authenticator`; the app asks one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Request

from controller.identity.roles import Role
from controller.rest.access import Caller, shown_token
from controller.settings import OPERATOR
from controller.tokens import Token


@dataclass(frozen=True, slots=True)
class ConfiguredTokens:
    """The operator's token in its file, and one for each project of the configuration: what is there without a store.

    :param projects: by name.
    """

    operator: Token
    projects: Mapping[str, Token]

    def identify(self, request: Request) -> Caller | None:
        """Whose token it is; None for one that stands in neither place, for somebody else may know it."""
        given = shown_token(request)
        if given is None:
            return None
        # All are compared, so that the time of the answer does not tell which one came close.
        found = [
            Caller(project, project, frozenset({Role.MEMBER}))
            for project, token in self.projects.items()
            if token.matches(given)
        ]
        if self.operator.matches(given):
            found.append(Caller(OPERATOR, None, frozenset({Role.ADMIN})))
        return found[-1] if found else None
