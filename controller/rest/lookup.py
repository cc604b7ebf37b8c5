"""What does a client hear that asks Keystone who a project is?

The ``openstack`` command looks every project up that it is told of (``--project``, ``--target-project``, ``quota set``)
before it names it to us.  Here a project is its name, so there is little to tell: ``/v3`` has the shape of OpenStack
Identity v3 for just that.  With a real Keystone clients ask that one instead.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from flask import request
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel

from controller.rest import answers
from controller.rest.access import caller
from controller.rest.discovery import Link
from controller.rest.errors import Forbidden
from controller.rest.fields import Body, Shown
from controller.rest.listing import Json, Values
from controller.service import Service
from controller.settings import OPERATOR

_DOMAIN: Final = "default"
_VERSION: Final = "v3.14"


class IdentityVersion(BaseModel):
    """The version of the lookup."""

    id: str
    status: Literal["stable"]
    links: list[Link]


class IdentityVersionAnswer(BaseModel):
    """The version of the lookup."""

    version: IdentityVersion


class FoundProjectShown(Shown):
    """A project: its id is its name."""

    id: str
    name: str
    description: str
    domain_id: str
    enabled: bool


class FoundProjectAnswer(BaseModel):
    """One project."""

    project: FoundProjectShown


class FoundProjectLinks(BaseModel):
    """Where the list is, which has one page."""

    self: str
    next: None
    previous: None


class FoundProjectsAnswer(BaseModel):
    """Several projects."""

    projects: list[FoundProjectShown]
    links: FoundProjectLinks


class FoundProjectPath(BaseModel):
    """Which project."""

    project_id: str


class FoundProjectQuery(Body):
    """Filters of the list of projects."""

    name: Values = None
    domain_id: Values = None


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of the lookup."""
    api = answers.routes("lookup", "/v3")

    @api.get("", responses={200: IdentityVersionAnswer}, openapi_extensions=answers.NO_TOKEN)
    def show_identity_version() -> Json:
        """Show the version of the lookup of projects.  Needs no token."""
        links = [Link(href=request.host_url.rstrip("/") + "/v3/", rel="self")]
        return IdentityVersionAnswer(version=IdentityVersion(id=_VERSION, status="stable", links=links)).model_dump()

    @api.get("/projects", responses=answers.ok(FoundProjectsAnswer))
    def look_up_projects(query: FoundProjectQuery) -> Json:
        """List the projects that were made, own something or have a quota.  Operator only."""
        # Whoever is no operator is refused, which makes the openstack command take a project's name as it is.
        made = (project.name for project in service.roster.projects())
        names = sorted({OPERATOR, *made, *service.world.projects(), *(query.name or ())})
        found = [name for name in names if query.name is None or name in query.name]
        if query.domain_id is not None and _DOMAIN not in query.domain_id:
            found = []
        links: Json = {"self": request.url, "next": None, "previous": None}
        return {"projects": [_shown(name) for name in found], "links": links}

    @api.get("/projects/<project_id>", responses=answers.ok(FoundProjectAnswer))
    def look_up_project(path: FoundProjectPath) -> Json:
        """Show a project: to the operator any, for it may make things for each."""
        who = caller()
        if not who.is_operator and path.project_id != (who.project or OPERATOR):
            raise Forbidden("Looking up another project is disallowed by policy", kind="PolicyNotAuthorized")
        return {"project": _shown(path.project_id)}

    return api


def _shown(name: str) -> dict[str, Any]:
    return {"id": name, "name": name, "description": "", "domain_id": _DOMAIN, "enabled": True}
