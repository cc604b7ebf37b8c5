"""What does this server offer?

Version documents and the list of extensions, as clients of OpenStack read them before anything else.  Only what works
is declared.
"""

from __future__ import annotations

from typing import Final

from flask import request
from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel

from controller.rest import answers
from controller.rest.listing import Json
from overlay.refusals import NotFound


class Link(BaseModel):
    """A place to go to."""

    href: str
    rel: str


class Version(BaseModel):
    """A version of the API."""

    id: str
    status: str
    links: list[Link]


class VersionsAnswer(BaseModel):
    """The API's versions, and where people find its documentation."""

    versions: list[Version]
    links: list[Link]


class Resource(BaseModel):
    """A kind of object of the API."""

    name: str
    collection: str
    links: list[Link]


class ResourcesAnswer(BaseModel):
    """The kinds of objects."""

    resources: list[Resource]


class Extension(BaseModel):
    """A part of Neutron's API that is not in its core."""

    alias: str
    name: str
    description: str
    updated: str = "2026-01-01T00:00:00-00:00"
    links: list[Link] = []


class ExtensionAnswer(BaseModel):
    """One extension."""

    extension: Extension


class ExtensionsAnswer(BaseModel):
    """The extensions."""

    extensions: list[Extension]


class ExtensionPath(BaseModel):
    """Which extension."""

    alias: str


EXTENSIONS: Final = {
    extension.alias: extension
    for extension in (
        Extension(
            alias="binding", name="Port Binding", description="Where a port lives; binding:host_id moves it (operator)."
        ),
        Extension(
            alias="binding-extended",
            name="Port Bindings Extended",
            description="Passive bindings, and their activation: a move without loss (operator).",
        ),
        Extension(
            alias="filter-validation",
            name="Filter parameters validation",
            description="A filter that does not exist is refused.",
        ),
        Extension(alias="net-mtu", name="Network MTU", description="The MTU of a network is shown."),
        Extension(
            alias="net-mtu-writable", name="Network MTU (writable)", description="The MTU of a network can be set."
        ),
        Extension(alias="project-id", name="project_id field", description="project_id stands beside tenant_id."),
        Extension(
            alias="provider", name="Provider Network", description="The VNI as provider:segmentation_id (operator)."
        ),
        Extension(
            alias="standard-attr-description",
            name="standard-attr-description",
            description="Objects have a description.",
        ),
    )
}
"""By alias."""


def blueprint() -> APIBlueprint:
    """Build the routes of versions and extensions."""
    api = answers.routes("discovery")

    def here(path: str) -> str:
        return request.host_url.rstrip("/") + path

    @api.get("/", responses={200: VersionsAnswer}, openapi_extensions=answers.NO_TOKEN)
    def list_versions() -> Json:
        """List the API's versions.  Needs no token."""
        links = [Link(href=here("/v2.0/"), rel="self")]
        found = VersionsAnswer(
            versions=[Version(id="v2.0", status="CURRENT", links=links)],
            links=[
                Link(href=here("/docs"), rel="help"),
                Link(href=here("/openapi.json"), rel="service-desc"),
                Link(href=here("/v1/health"), rel="status"),
            ],
        )
        return found.model_dump()

    @api.get("/v2.0/", responses={200: ResourcesAnswer}, openapi_extensions=answers.NO_TOKEN)
    def list_resources() -> Json:
        """List the kinds of objects.  Needs no token."""
        found = ResourcesAnswer(
            resources=[
                Resource(name=name, collection=f"{name}s", links=[Link(href=here(f"/v2.0/{name}s"), rel="self")])
                for name in ("network", "subnet", "port")
            ]
        )
        return found.model_dump()

    @api.get("/v2.0/extensions", responses=answers.ok(ExtensionsAnswer))
    def list_extensions() -> Json:
        """List the extensions."""
        return ExtensionsAnswer(extensions=list(EXTENSIONS.values())).model_dump()

    @api.get("/v2.0/extensions/<alias>", responses=answers.ok(ExtensionAnswer))
    def show_extension(path: ExtensionPath) -> Json:
        """Show an extension."""
        found = EXTENSIONS.get(path.alias)
        if found is None:
            raise NotFound(f"Extension {path.alias} could not be found.", field="alias", kind="ExtensionNotFound")
        return ExtensionAnswer(extension=found).model_dump()

    return api
