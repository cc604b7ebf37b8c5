"""Who calls, and what may they see and do?

A chain of authenticators finds out who sent a request; what a caller may not see does not exist for it: the same 404.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from flask import Request, g

from controller.identity.roles import Role
from controller.rest.errors import Forbidden, Unauthorized, bad_request
from controller.settings import OPERATOR

HEADER: Final = "X-Auth-Token"


class Owned(Protocol):
    """Anything that belongs to a project."""

    @property
    def project_id(self) -> str:
        """Whose it is."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent the request.

    :param user: a name for people, which stands in the audit log.
    :param project: None for an operator who belongs to none; its objects belong to :data:`OPERATOR`.
    :param roles: what it was given; :meth:`has` knows which other ones these include.
    """

    user: str
    project: str | None
    roles: frozenset[Role]

    @property
    def is_operator(self) -> bool:
        """Whether everything may be seen and done."""
        return Role.ADMIN in self.roles

    def has(self, role: Role) -> bool:
        """Whether it has this role, or one that includes it."""
        return any(given.includes(role) for given in self.roles)

    def sees(self, thing: Owned) -> bool:
        """Whether an object exists for this caller."""
        return self.is_operator or thing.project_id == self.project


class Authenticator(Protocol):
    """One way to show who one is."""

    def identify(self, request: Request) -> Caller | None:
        """Who sent a request; None when it shows nothing of this kind, so that the next one is asked.

        :raises Unauthorized: when it shows something of this kind that is wrong; then nobody else is asked.
        """


@dataclass(frozen=True, slots=True)
class Access:
    """All ways to show who one is, in the order in which they are tried."""

    authenticators: Sequence[Authenticator]

    def identify(self, request: Request) -> Caller:
        """Who sent a request.

        :raises Unauthorized: without a credential, or with one that nobody has.
        """
        for authenticator in self.authenticators:
            found = authenticator.identify(request)
            if found is not None:
                return found
        if shown_token(request) is None:
            raise Unauthorized(f"The request needs a token in the header {HEADER}", field=HEADER)
        raise Unauthorized(f"The token in the header {HEADER} is not valid", field=HEADER)


def shown_token(request: Request) -> str | None:
    """The token that a request shows; for Prometheus, which knows no other way, it may be a bearer token (RFC 6750)."""
    given = request.headers.get(HEADER)
    if not given and request.endpoint == "metrics.scrape":
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        given = token.strip() if scheme.lower() == "bearer" else None
    return given or None


def caller() -> Caller:
    """Who sent the present request, as the app found out before the view ran."""
    found: Caller = g.caller
    return found


def require_operator_for(field: str, given: object) -> None:
    """Refuse a field that only the operator may set, if it was given at all (is not None).

    :raises Forbidden: naming the field.
    """
    if given is not None and not caller().is_operator:
        raise Forbidden(
            f"Setting {field} is disallowed by policy: only the operator may", field=field, kind="PolicyNotAuthorized"
        )


def project_for(project_id: str | None, tenant_id: str | None, default: str | None = None) -> str:
    """The project that a new object belongs to.

    :param default: for objects that an operator makes without naming a project; its own, or else :data:`OPERATOR`,
        when left out.
    :raises BadRequest: when project_id and tenant_id differ.
    :raises Forbidden: when a project names another one.
    """
    if project_id is not None and tenant_id is not None and project_id != tenant_id:
        raise bad_request("tenant_id", f"{tenant_id!r} differs from project_id {project_id!r}, which means the same")
    field = "tenant_id" if project_id is None else "project_id"
    wanted = tenant_id if project_id is None else project_id
    who = caller()
    own = who.project or OPERATOR
    if who.is_operator:
        return wanted or default or own
    if wanted is not None and wanted != own:
        raise Forbidden(
            f"Setting {field} to another project is disallowed by policy: only the operator may",
            field=field,
            kind="PolicyNotAuthorized",
        )
    return own
