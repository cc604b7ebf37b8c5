"""What does a client say and see of a subnet pool?

``/v2.0/subnetpools`` in Neutron's shape: prefixes of which subnets are cut, so that none of them overlap.  Which pool
is the default one, and whether all projects may use one, is the operator's to say.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Annotated, Final, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, BeforeValidator, Field

from controller.rest import answers
from controller.rest.access import project_for, require_operator_for
from controller.rest.fields import Body, CidrText, Count, Flag, Identity, Maybe, Name, RecordShown, only
from controller.rest.listing import (
    Attributes,
    Collection,
    FieldsQuery,
    Json,
    Numbers,
    PageLinks,
    RecordQuery,
    Truths,
    Values,
    recorded,
)
from controller.rest.preconditions import Conditions
from controller.rest.sight import Sight, require_owner
from controller.service import Service
from overlay.changes import UNCHANGED, CreateSubnetPool, DeleteSubnetPool, UpdateSubnetPool
from overlay.values import Shareable, SubnetPool

_NO_SCOPE: Final = only(None, "there are no address scopes")
_PREFIXES_MOST: Final = 1000
_LENGTH_MOST: Final = 128
_QUOTA_MOST: Final = 1 << 64

Prefixes = Annotated[list[CidrText], Field(min_length=1, max_length=_PREFIXES_MOST)]
Length = Annotated[Count, Field(ge=0, le=_LENGTH_MOST)]
QuotaOrNone = Annotated[Count, Field(ge=0, le=_QUOTA_MOST)] | None


class SubnetPoolCreate(Body):
    """A subnet pool to be made."""

    name: Name
    prefixes: Prefixes
    description: Name = ""
    default_prefixlen: Maybe[Length] = Field(None, description="The least that is allowed when left out.")
    min_prefixlen: Maybe[Length] = Field(None, description="8 in IPv4 and 64 in IPv6 when left out.")
    max_prefixlen: Maybe[Length] = Field(None, description="32 in IPv4 and 128 in IPv6 when left out.")
    default_quota: QuotaOrNone = Field(
        None, description="The most that one project may have of it: addresses in IPv4, prefixes of /64 in IPv6."
    )
    shared: Flag = Field(default=False, description="Whether all projects may use it. Operator only.")
    is_default: Flag = Field(default=False, description="Operator only.")
    address_scope_id: Annotated[None, BeforeValidator(_NO_SCOPE)] = None
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")


class SubnetPoolUpdate(Body):
    """What may change of a subnet pool; it may grow but not shrink."""

    name: Maybe[Name] = None
    prefixes: Maybe[Prefixes] = None
    description: Maybe[Name] = None
    default_prefixlen: Maybe[Length] = None
    min_prefixlen: Maybe[Length] = None
    max_prefixlen: Maybe[Length] = None
    default_quota: QuotaOrNone = Field(None, description="Null for any; kept when left out.")
    is_default: Maybe[Flag] = Field(None, description="Operator only.")
    address_scope_id: Annotated[None, BeforeValidator(_NO_SCOPE)] = None


class SubnetPoolShown(RecordShown):
    """A subnet pool."""

    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    prefixes: tuple[str, ...]
    ip_version: Literal[4, 6]
    default_prefixlen: int
    min_prefixlen: int
    max_prefixlen: int
    default_quota: int | None
    shared: bool = Field(description="Whether others than its owner may use it, or whoever asks is such a one.")
    is_default: bool
    address_scope_id: str | None


class SubnetPoolCreateBody(Body):
    """A subnet pool to be made."""

    subnetpool: SubnetPoolCreate


class SubnetPoolUpdateBody(Body):
    """The changes of a subnet pool."""

    subnetpool: SubnetPoolUpdate


class SubnetPoolAnswer(BaseModel):
    """One subnet pool."""

    subnetpool: SubnetPoolShown


class SubnetPoolsAnswer(BaseModel):
    """Several subnet pools."""

    subnetpools: list[SubnetPoolShown]
    subnetpools_links: PageLinks = None


class SubnetPoolPath(BaseModel):
    """Which subnet pool."""

    subnetpool_id: str


class SubnetPoolQuery(RecordQuery):
    """Filters of a list of subnet pools."""

    id: Values = None
    name: Values = None
    description: Values = None
    project_id: Values = None
    tenant_id: Values = None
    ip_version: Numbers = None
    default_prefixlen: Numbers = None
    min_prefixlen: Numbers = None
    max_prefixlen: Numbers = None
    default_quota: Numbers = None
    shared: Truths = None
    is_default: Truths = None
    address_scope_id: Values = None


def attributes(sight: Sight) -> Attributes[SubnetPool]:
    """How each field of a subnet pool is read."""
    return {
        "id": lambda pool: pool.id,
        "name": lambda pool: pool.name,
        "description": lambda pool: pool.description,
        "project_id": lambda pool: pool.project_id,
        "tenant_id": lambda pool: pool.project_id,
        "prefixes": lambda pool: [str(prefix) for prefix in pool.prefixes],
        "ip_version": lambda pool: pool.prefixes[0].version,
        "default_prefixlen": lambda pool: pool.default_prefixlen,
        "min_prefixlen": lambda pool: pool.min_prefixlen,
        "max_prefixlen": lambda pool: pool.max_prefixlen,
        "default_quota": lambda pool: pool.default_quota,
        "shared": lambda pool: sight.shares(Shareable.SUBNETPOOL, pool.id),
        "is_default": lambda pool: pool.is_default,
        "address_scope_id": lambda _: None,
        **recorded(),
    }


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of subnet pools."""
    api = answers.routes("subnetpools", "/v2.0")
    sight = Sight(service)
    collection = Collection("subnetpools", attributes(sight), SubnetPoolShown, sight.subnetpool)

    def candidates() -> Iterable[SubnetPool]:
        return filter(sight.sees_pool, service.world.subnetpools.values())

    @api.get("/subnetpools", responses=answers.listed(SubnetPoolsAnswer))
    def list_subnetpools(query: SubnetPoolQuery) -> Json:
        """List subnet pools."""
        return collection.select(candidates(), query)

    @api.post("/subnetpools", responses=answers.created(SubnetPoolAnswer))
    def create_subnetpool(body: SubnetPoolCreateBody) -> tuple[Json, int]:
        """Make a subnet pool."""
        intent = _creation(body.subnetpool)
        service.submit(intent)
        return {"subnetpool": collection.show(service.world.subnetpool(intent.id))}, 201

    @api.get("/subnetpools/<subnetpool_id>", responses=answers.ok(SubnetPoolAnswer))
    def show_subnetpool(path: SubnetPoolPath, query: FieldsQuery) -> Json:
        """Show a subnet pool."""
        return {"subnetpool": collection.show(sight.subnetpool(path.subnetpool_id), query)}

    @api.put("/subnetpools/<subnetpool_id>", responses=answers.changed(SubnetPoolAnswer))
    def update_subnetpool(path: SubnetPoolPath, header: Conditions, body: SubnetPoolUpdateBody) -> Json:
        """Change a subnet pool."""
        pool = sight.subnetpool(path.subnetpool_id)
        require_owner("Changing a subnet pool", pool)
        given = body.subnetpool
        require_operator_for("is_default", given.is_default)
        service.submit(
            UpdateSubnetPool(
                id=pool.id,
                name=given.name,
                prefixes=None if given.prefixes is None else tuple(given.prefixes),
                default_prefixlen=given.default_prefixlen,
                min_prefixlen=given.min_prefixlen,
                max_prefixlen=given.max_prefixlen,
                is_default=given.is_default,
                default_quota=given.default_quota if given.says("default_quota") else UNCHANGED,
                description=given.description,
                expected=header.expected,
            )
        )
        return {"subnetpool": collection.show(service.world.subnetpool(pool.id))}

    @api.delete("/subnetpools/<subnetpool_id>", responses=answers.gone())
    def delete_subnetpool(path: SubnetPoolPath, header: Conditions) -> tuple[str, int]:
        """Delete a subnet pool; no subnet may be cut of it."""
        pool = sight.subnetpool(path.subnetpool_id)
        require_owner("Deleting a subnet pool", pool)
        service.submit(DeleteSubnetPool(pool.id, header.expected))
        return "", 204

    return api


def _creation(given: SubnetPoolCreate) -> CreateSubnetPool:
    require_operator_for("shared", given.shared or None)
    require_operator_for("is_default", given.is_default or None)
    return CreateSubnetPool(
        id=str(uuid.uuid4()),
        project_id=project_for(given.project_id, given.tenant_id),
        name=given.name,
        prefixes=tuple(given.prefixes),
        default_prefixlen=given.default_prefixlen,
        min_prefixlen=given.min_prefixlen,
        max_prefixlen=given.max_prefixlen,
        shared=given.shared,
        is_default=given.is_default,
        default_quota=given.default_quota,
        description=given.description,
    )
