"""How does the operator say who may call?

``/v1/projects`` and ``/v1/tokens``, the operator's alone.  A token is drawn here, answered once and never again: the
controller keeps a digest of it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Annotated, Final

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from controller.identity.roles import Role
from controller.identity.roster import CreateProject, DeleteProject, IssueToken, RevokeToken
from controller.identity.values import Credential, Project, digest, token
from controller.rest import answers
from controller.rest.fields import Body, Identity, Maybe, Name, Shown
from controller.rest.listing import Json
from controller.service import Service

_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32
"""256 bits, which is why a plain digest will do (see :func:`controller.identity.values.digest`)."""
_LIFETIME_MOST: Final = 86400 * 3660
"""Ten years; a longer time is meant to be for ever, or is a typing error."""


class ProjectCreate(Body):
    """A project to be made."""

    name: Identity
    description: Name = ""


class ProjectCreateBody(Body):
    """A project to be made."""

    project: ProjectCreate


class ProjectShown(Shown):
    """A project; its name is the project_id of what it owns."""

    name: str
    description: str
    created_at: float


class ProjectAnswer(BaseModel):
    """One project."""

    project: ProjectShown


class ProjectsAnswer(BaseModel):
    """The projects."""

    projects: tuple[ProjectShown, ...]


class ProjectPath(BaseModel):
    """Which project."""

    project_name: str


class TokenCreate(Body):
    """A token to be made."""

    project: Identity
    user: Maybe[Identity] = Field(None, description="For people, and the user of HTTP basic; the project's name else.")
    roles: Annotated[tuple[Role, ...], Field(min_length=1, max_length=len(Role))] = (Role.MEMBER,)
    expires_in: Maybe[Annotated[int, Field(strict=True, ge=1, le=_LIFETIME_MOST)]] = Field(
        None, description="Seconds; it holds until it is revoked when left out."
    )


class TokenCreateBody(Body):
    """A token to be made."""

    token: TokenCreate


class TokenShown(Shown):
    """What is known of a token.  Times are seconds since the epoch."""

    id: str
    project: str
    user: str
    roles: tuple[Role, ...]
    created_at: float
    expires_at: float | None
    expired: bool


class TokenMade(TokenShown):
    """A token, with what opens: shown this once."""

    secret: str


class TokenAnswer(BaseModel):
    """One token."""

    token: TokenShown


class TokenMadeAnswer(BaseModel):
    """One token, with what opens."""

    token: TokenMade


class TokensAnswer(BaseModel):
    """The tokens that were handed out."""

    tokens: tuple[TokenShown, ...]


class TokenPath(BaseModel):
    """Which token, by its public id."""

    token_id: str


class TokensQuery(Body):
    """Filters of the list of tokens."""

    project: Identity | None = None


def blueprint(service: Service, clock: Callable[[], float] = time.time) -> APIBlueprint:
    """Build the routes."""
    api = answers.routes("identities", "/v1")
    _project_routes(api, service)
    _token_routes(api, service, clock)
    return api


def _project_routes(api: APIBlueprint, service: Service) -> None:
    @api.get("/projects", responses=answers.ok(ProjectsAnswer))
    def list_projects() -> Json:
        """List the projects that were made here; those of the configuration or of Keystone are not among them."""
        return _json(ProjectsAnswer(projects=tuple(map(_project, service.roster.projects()))))

    @api.post("/projects", responses=answers.created(ProjectAnswer))
    def create_project(body: ProjectCreateBody) -> tuple[Json, int]:
        """Make a project."""
        given = body.project
        service.enrol(CreateProject(given.name, given.description))
        return _json(ProjectAnswer(project=_project(service.roster.project(given.name)))), 201

    @api.get("/projects/<project_name>", responses=answers.ok(ProjectAnswer))
    def show_project(path: ProjectPath) -> Json:
        """Show a project."""
        return _json(ProjectAnswer(project=_project(service.roster.project(path.project_name))))

    @api.delete("/projects/<project_name>", responses=answers.gone())
    def delete_project(path: ProjectPath) -> tuple[str, int]:
        """Delete a project that owns nothing any more, and revoke its tokens."""
        service.enrol(DeleteProject(path.project_name))
        return "", 204


def _token_routes(api: APIBlueprint, service: Service, clock: Callable[[], float]) -> None:
    @api.get("/tokens", responses=answers.ok(TokensAnswer))
    def list_tokens(query: TokensQuery) -> Json:
        """List the tokens that were handed out; never what opens."""
        now = clock()
        return _json(TokensAnswer(tokens=tuple(_token(one, now) for one in service.roster.credentials(query.project))))

    @api.post("/tokens", responses=answers.created(TokenMadeAnswer))
    def create_token(body: TokenCreateBody) -> tuple[Json, int]:
        """Make a token; the answer is the only one that ever shows it."""
        given = body.token
        id_ = secrets.token_hex(_ID_BYTES)
        secret = token(id_, secrets.token_urlsafe(_SECRET_BYTES))
        user = given.project if given.user is None else given.user
        service.enrol(IssueToken(id_, given.project, user, frozenset(given.roles), digest(secret), given.expires_in))
        shown = _token(service.roster.credential(id_), clock())
        return _json(TokenMadeAnswer(token=TokenMade(**shown.model_dump(), secret=secret))), 201

    @api.get("/tokens/<token_id>", responses=answers.ok(TokenAnswer))
    def show_token(path: TokenPath) -> Json:
        """Show what is known of a token; never what opens."""
        return _json(TokenAnswer(token=_token(service.roster.credential(path.token_id), clock())))

    @api.delete("/tokens/<token_id>", responses=answers.gone())
    def delete_token(path: TokenPath) -> tuple[str, int]:
        """Revoke a token: it opens nothing any more when this is answered."""
        service.enrol(RevokeToken(path.token_id))
        return "", 204


def _project(project: Project) -> ProjectShown:
    return ProjectShown(name=project.name, description=project.description, created_at=project.created)


def _token(credential: Credential, now: float) -> TokenShown:
    return TokenShown(
        id=credential.id,
        project=credential.project,
        user=credential.user,
        roles=tuple(sorted(credential.roles)),
        created_at=credential.created,
        expires_at=credential.expires,
        expired=credential.is_over(now),
    )


def _json(answer: BaseModel) -> Json:
    return answer.model_dump(mode="json", by_alias=True)
