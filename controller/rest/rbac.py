"""What does a project let others use?

``/v2.0/rbac-policies`` in Neutron's shape: networks, subnet pools and QoS policies may be shared with one project, or
by the operator with all of them (``*``).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Annotated, Final, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, BeforeValidator, Field, model_validator

from controller.rest import answers
from controller.rest.access import Owned, caller, project_for
from controller.rest.errors import Forbidden
from controller.rest.fields import Body, Identity, Maybe, Shown, refused
from controller.rest.listing import Attributes, Collection, FieldsQuery, Json, ListQuery, PageLinks, Values
from controller.rest.preconditions import Conditions
from controller.rest.sight import Sight, require_owner
from controller.service import Service
from overlay.changes import CreateShare, DeleteShare, UpdateShare
from overlay.values import EVERYBODY, Share, Shareable

_ACTION: Final = "access_as_shared"


def _action(value: object) -> object:
    if value != _ACTION:
        raise refused(f"only {_ACTION} can be had: there are no external networks and no address scopes")
    return value


class RbacPolicyCreate(Body):
    """A share to be made."""

    object_type: Shareable
    object_id: Identity
    action: Annotated[Literal["access_as_shared"], BeforeValidator(_action)]
    target_tenant: Maybe[Identity] = Field(None, description="The same as target_project.")
    target_project: Maybe[Identity] = Field(None, description="A project's id; `*` for all of them (operator only).")
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")

    @model_validator(mode="after")
    def _one_target(self) -> RbacPolicyCreate:
        _target(self.target_tenant, self.target_project)
        return self


class RbacPolicyUpdate(Body):
    """What may change of a share."""

    target_tenant: Maybe[Identity] = Field(None, description="The same as target_project.")
    target_project: Maybe[Identity] = None

    @model_validator(mode="after")
    def _one_target(self) -> RbacPolicyUpdate:
        _target(self.target_tenant, self.target_project)
        return self


def _target(tenant: str | None, project: str | None) -> str:
    found = tenant or project
    if found is None:
        raise refused("needs a target_tenant, or a target_project, which means the same")
    if project not in {None, found}:
        raise refused(f"target_project {project!r} differs from target_tenant {tenant!r}, which means the same")
    return found


class RbacPolicyShown(Shown):
    """A share."""

    id: str
    object_type: Shareable
    object_id: str
    action: Literal["access_as_shared"]
    target_tenant: str
    target_project: str
    project_id: str
    tenant_id: str


class RbacPolicyCreateBody(Body):
    """A share to be made."""

    rbac_policy: RbacPolicyCreate


class RbacPolicyUpdateBody(Body):
    """The changes of a share."""

    rbac_policy: RbacPolicyUpdate


class RbacPolicyAnswer(BaseModel):
    """One share."""

    rbac_policy: RbacPolicyShown


class RbacPoliciesAnswer(BaseModel):
    """Several shares."""

    rbac_policies: list[RbacPolicyShown]
    rbac_policies_links: PageLinks = None


class RbacPolicyPath(BaseModel):
    """Which share."""

    policy_id: str


class RbacPolicyQuery(ListQuery):
    """Filters of a list of shares."""

    id: Values = None
    object_type: Values = None
    object_id: Values = None
    action: Values = None
    target_tenant: Values = None
    target_project: Values = None
    project_id: Values = None
    tenant_id: Values = None


ATTRIBUTES: Final[Attributes[Share]] = {
    "id": lambda share: share.id,
    "object_type": lambda share: share.object_type.value,
    "object_id": lambda share: share.object_id,
    "action": lambda _: _ACTION,
    "target_tenant": lambda share: share.target_project,
    "target_project": lambda share: share.target_project,
    "project_id": lambda share: share.project_id,
    "tenant_id": lambda share: share.project_id,
}


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of shares."""
    api = answers.routes("rbac", "/v2.0")
    sight = Sight(service)

    collection = Collection("rbac_policies", ATTRIBUTES, RbacPolicyShown, sight.share)

    def candidates() -> Iterable[Share]:
        return filter(caller().sees, sight.whole(service.world.shares.values()))

    @api.get("/rbac-policies", responses=answers.listed(RbacPoliciesAnswer))
    def list_rbac_policies(query: RbacPolicyQuery) -> Json:
        """List what is shared, by its owners."""
        return collection.select(candidates(), query)

    @api.post("/rbac-policies", responses=answers.created(RbacPolicyAnswer))
    def create_rbac_policy(body: RbacPolicyCreateBody) -> tuple[Json, int]:
        """Share an object of one's own."""
        given = body.rbac_policy
        target = _target(given.target_tenant, given.target_project)
        owner = _owner(sight, given)
        _check_target(target)
        project = project_for(given.project_id, given.tenant_id, default=owner.project_id)
        intent = CreateShare(str(uuid.uuid4()), project, given.object_type, given.object_id, target)
        service.submit(intent)
        return {"rbac_policy": collection.show(service.world.shares[intent.id])}, 201

    @api.get("/rbac-policies/<policy_id>", responses=answers.ok(RbacPolicyAnswer))
    def show_rbac_policy(path: RbacPolicyPath, query: FieldsQuery) -> Json:
        """Show a share."""
        return {"rbac_policy": collection.show(sight.share(path.policy_id), query)}

    @api.put("/rbac-policies/<policy_id>", responses=answers.changed(RbacPolicyAnswer))
    def update_rbac_policy(path: RbacPolicyPath, header: Conditions, body: RbacPolicyUpdateBody) -> Json:
        """Share with another project instead."""
        share = sight.share(path.policy_id)
        target = _target(body.rbac_policy.target_tenant, body.rbac_policy.target_project)
        _check_target(target)
        service.submit(UpdateShare(share.id, target, header.expected))
        return {"rbac_policy": collection.show(service.world.shares[share.id])}

    @api.delete("/rbac-policies/<policy_id>", responses=answers.gone())
    def delete_rbac_policy(path: RbacPolicyPath, header: Conditions) -> tuple[str, int]:
        """Share no more; nobody may need it."""
        service.submit(DeleteShare(sight.share(path.policy_id).id, header.expected))
        return "", 204

    return api


def _owner(sight: Sight, given: RbacPolicyCreate) -> Owned:
    """The object to be shared, which must be the caller's own."""
    thing: Owned
    match given.object_type:
        case Shareable.NETWORK:
            thing = sight.network(given.object_id, "object_id")
        case Shareable.SUBNETPOOL:
            thing = sight.subnetpool(given.object_id, "object_id")
        case Shareable.QOS_POLICY:
            thing = sight.qos_policy(given.object_id, "object_id")
    require_owner(f"Sharing a {given.object_type}", thing, "object_id")
    return thing


def _check_target(target: str) -> None:
    """Only the operator shares with all projects, as in Neutron's default policy."""
    if target == EVERYBODY and not caller().is_operator:
        raise Forbidden(
            "Sharing with all projects (target_tenant *) is disallowed by policy: only the operator may",
            field="target_tenant",
            kind="PolicyNotAuthorized",
        )
