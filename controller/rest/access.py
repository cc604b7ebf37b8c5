"""Who calls, and what may they see and do?

One token for each project and one for the operator.  What a caller may not see does not exist for it: the same 404.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from flask import g, request

from controller.rest.errors import Forbidden, Unauthorized, bad_request
from controller.settings import OPERATOR
from controller.tokens import Token
from overlay.refusals import NotFound

HEADER: Final = "X-Auth-Token"


class Owned(Protocol):
    """Anything that belongs to a project."""

    @property
    def project_id(self) -> str:
        """Whose it is."""


T = TypeVar("T", bound=Owned)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent the request.  ``project`` is None for the operator."""

    project: str | None

    @property
    def is_operator(self) -> bool:
        """Whether everything may be seen and done."""
        return self.project is None

    def sees(self, thing: Owned) -> bool:
        """Whether an object exists for this caller."""
        return self.project is None or thing.project_id == self.project


@dataclass(frozen=True, slots=True)
class Access:
    """Everybody who may call."""

    operator: Token
    projects: Mapping[str, Token]

    def identify(self, *, bearer: bool = False) -> Caller:
        """Who sent the present request.

        :param bearer: whether the token may also be a bearer token (RFC 6750).
        :raises Unauthorized: without a token, or with one that nobody has.
        """
        given = request.headers.get(HEADER)
        if not given and bearer:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            given = token.strip() if scheme.lower() == "bearer" else None
        if not given:
            raise Unauthorized(f"The request needs a token in the header {HEADER}", field=HEADER)
        # All are compared, so that the time of the answer does not tell which one came close.
        found = [Caller(project) for project, token in self.projects.items() if token.matches(given)]
        if self.operator.matches(given):
            found.append(Caller(None))
        if not found:
            raise Unauthorized(f"The token in the header {HEADER} is not valid", field=HEADER)
        return found[-1]


def caller() -> Caller:
    """Who sent the present request, as the app found out before the view ran."""
    found: Caller = g.caller
    return found


def require_operator(what: str) -> None:
    """Refuse everybody but the operator.

    :raises Forbidden: naming what it takes the operator to do.
    """
    if not caller().is_operator:
        raise Forbidden(f"{what} is disallowed by policy: only the operator may", kind="PolicyNotAuthorized")


def require_operator_for(field: str, given: object) -> None:
    """Refuse a field that only the operator may set, if it was given at all (is not None).

    :raises Forbidden: naming the field.
    """
    if given is not None and not caller().is_operator:
        raise Forbidden(
            f"Setting {field} is disallowed by policy: only the operator may", field=field, kind="PolicyNotAuthorized"
        )


def project_for(project_id: str | None, tenant_id: str | None, default: str = OPERATOR) -> str:
    """The project that a new object belongs to.

    :param default: for objects that the operator makes without naming a project.
    :raises BadRequest: when project_id and tenant_id differ.
    :raises Forbidden: when a project names another one.
    """
    if project_id is not None and tenant_id is not None and project_id != tenant_id:
        raise bad_request("tenant_id", f"{tenant_id!r} differs from project_id {project_id!r}, which means the same")
    field = "tenant_id" if project_id is None else "project_id"
    wanted = tenant_id if project_id is None else project_id
    own = caller().project
    if own is None:
        return default if wanted is None else wanted
    if wanted is not None and wanted != own:
        raise Forbidden(
            f"Setting {field} to another project is disallowed by policy: only the operator may",
            field=field,
            kind="PolicyNotAuthorized",
        )
    return own


def visible(get: Callable[[str], T], id_: str, noun: str, field: str) -> T:
    """Find an object by its id, if it exists for the caller.

    :param noun: ``Network``, ``Subnet`` or ``Port``.
    :raises NotFound: the same whether it does not exist or belongs to somebody else.
    """
    try:
        found = get(id_)
    except NotFound:
        found = None
    if found is None or not caller().sees(found):
        raise NotFound(f"{noun} {id_} could not be found.", field=field, kind=f"{noun}NotFound")
    return found
