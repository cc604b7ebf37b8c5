"""How much may a project have, and how much has it?

``/v2.0/quotas`` in Neutron's shape.  A project sees its own; the operator sees and sets everybody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from controller.rest import answers
from controller.rest.access import caller
from controller.rest.errors import Forbidden, bad_request
from controller.rest.fields import Body, Count, Flag, Identity, Maybe, Shown
from controller.rest.listing import FieldsQuery, Json, cut
from controller.service import Service
from overlay.changes import ResetQuota, SetQuota
from overlay.values import UNLIMITED, Countable
from overlay.world import World

_MOST: Final = (1 << 31) - 1
Limit = Annotated[Count, Field(ge=UNLIMITED, le=_MOST, description="-1 is any number.")]


class QuotaUpdate(Body):
    """Limits to be set; what is left out stays."""

    network: Maybe[Limit] = None
    subnet: Maybe[Limit] = None
    port: Maybe[Limit] = None
    subnetpool: Maybe[Limit] = None
    rbac_policy: Maybe[Limit] = None
    trunk: Maybe[Limit] = None
    security_group: Maybe[Limit] = None
    security_group_rule: Maybe[Limit] = None
    address_group: Maybe[Limit] = None
    qos_policy: Maybe[Limit] = None
    tap_service: Maybe[Limit] = None
    tap_flow: Maybe[Limit] = None
    check_limit: Maybe[Flag] = Field(None, description="Refuse limits below what the project has.")
    force: Maybe[Flag] = Field(None, description="Take such limits even so.")


class QuotaShown(Shown):
    """The limits of a project."""

    network: int
    subnet: int
    port: int
    subnetpool: int
    rbac_policy: int
    trunk: int
    security_group: int
    security_group_rule: int
    address_group: int
    qos_policy: int
    tap_service: int
    tap_flow: int


class QuotaOfShown(QuotaShown):
    """The limits of a project that has its own."""

    project_id: str
    tenant_id: str


class Detail(Shown):
    """One limit, and what is used of it; nothing is ever reserved."""

    limit: int
    used: int
    reserved: int


class DetailsShown(Shown):
    """The limits of a project and what it has."""

    network: Detail
    subnet: Detail
    port: Detail
    subnetpool: Detail
    rbac_policy: Detail
    trunk: Detail
    security_group: Detail
    security_group_rule: Detail
    address_group: Detail
    qos_policy: Detail
    tap_service: Detail
    tap_flow: Detail


class QuotaBody(Body):
    """Limits to be set."""

    quota: QuotaUpdate


class QuotaAnswer(BaseModel):
    """Limits."""

    quota: QuotaShown


class QuotasAnswer(BaseModel):
    """The projects with limits of their own."""

    quotas: list[QuotaOfShown]


class DetailsAnswer(BaseModel):
    """Limits and what is used of them."""

    quota: DetailsShown


class QuotaPath(BaseModel):
    """Whose limits."""

    project_id: Identity


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of quotas."""
    api = answers.routes("quotas", "/v2.0")

    def limits(project: str) -> Json:
        return _spelled(service.world.limits(project))

    @api.get("/quotas", responses=answers.ok(QuotasAnswer))
    def list_quotas(query: FieldsQuery) -> Json:
        """List the projects that have limits of their own.  Operator only."""
        found = [{**limits(own), "project_id": own, "tenant_id": own} for own in service.world.quotas]
        return {"quotas": [cut(quota, query) for quota in found]}

    @api.get("/quotas/<project_id>", responses=answers.ok(QuotaAnswer))
    def show_quota(path: QuotaPath, query: FieldsQuery) -> Json:
        """Show how much a project may have."""
        _require_own(path.project_id)
        return {"quota": cut(limits(path.project_id), query)}

    @api.get("/quotas/<project_id>/default", responses=answers.ok(QuotaAnswer))
    def show_default_quota(path: QuotaPath, query: FieldsQuery) -> Json:
        """Show how much a project may have of which nothing else was said."""
        _require_own(path.project_id)
        return {"quota": cut(_spelled(service.world.default_limits), query)}

    @api.get("/quotas/<project_id>/details.json", responses=answers.ok(DetailsAnswer))
    def show_quota_details(path: QuotaPath) -> Json:
        """Show how much a project may have, and how much it has."""
        return _details(service.world, path.project_id)

    @api.get("/quotas/<project_id>/details", responses=answers.ok(DetailsAnswer))
    def show_quota_usage(path: QuotaPath) -> Json:
        """Show how much a project may have, and how much it has: the same, without the suffix."""
        return _details(service.world, path.project_id)

    @api.put("/quotas/<project_id>", responses=answers.changed(QuotaAnswer))
    def update_quota(path: QuotaPath, body: QuotaBody) -> Json:
        """Say how much a project may have; what it has already is never taken away.  Operator only."""
        wish = body.quota
        named = wish.model_dump(exclude_none=True, exclude={"check_limit", "force"})
        given = {Countable(name): limit for name, limit in named.items()}
        if not given:
            raise bad_request("quota", "names no limit to be set")
        service.submit(SetQuota(path.project_id, given, check=bool(wish.check_limit) and not wish.force))
        return {"quota": limits(path.project_id)}

    @api.delete("/quotas/<project_id>", responses=answers.gone())
    def delete_quota(path: QuotaPath) -> tuple[str, int]:
        """Let a project have as much as any other again.  Operator only."""
        service.submit(ResetQuota(path.project_id))
        return "", 204

    return api


def _spelled(limits: Mapping[Countable, int]) -> Json:
    return {kind.value: limits[kind] for kind in Countable}


def _details(world: World, project: str) -> Json:
    _require_own(project)
    may, has = world.limits(project), world.usage(project)
    return {"quota": {kind.value: {"limit": may[kind], "used": has[kind], "reserved": 0} for kind in Countable}}


def _require_own(project: str) -> None:
    """Neutron answers 403, not 404: a quota exists for every name."""
    if not caller().is_operator and project != caller().project:
        raise Forbidden("Reading the quotas of another project is disallowed by policy", kind="PolicyNotAuthorized")
