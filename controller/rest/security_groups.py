"""Who may ask for which security group, and what is then to be done?

``/v2.0/security-groups`` in Neutron's shape.  A project has a default group as soon as it looks at its groups or makes
a port.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

from flask_openapi3.blueprint import APIBlueprint

from controller.rest import answers
from controller.rest.access import caller, project_for
from controller.rest.listing import Collection, FieldsQuery, Json
from controller.rest.policy_forms import (
    SecurityGroupAnswer,
    SecurityGroupCreate,
    SecurityGroupCreateBody,
    SecurityGroupPath,
    SecurityGroupQuery,
    SecurityGroupsAnswer,
    SecurityGroupShown,
    SecurityGroupUpdateBody,
    group_attributes,
)
from controller.rest.preconditions import Conditions
from controller.rest.sight import Sight
from controller.service import Service
from controller.settings import OPERATOR
from controller.turns import paced
from overlay.policy.changes import (
    CreateSecurityGroup,
    DeleteSecurityGroup,
    MakeDefaultGroup,
    UpdateSecurityGroup,
)
from overlay.policy.values import SecurityGroup


def default_group(project: str) -> MakeDefaultGroup:
    """What makes a project's default group, should it have none."""
    return MakeDefaultGroup(project, _new(), (_new(), _new(), _new(), _new()))


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of security groups."""
    api = answers.routes("security_groups", "/v2.0")
    sight = Sight(service)
    collection = Collection("security_groups", group_attributes(service), SecurityGroupShown, sight.security_group)

    @api.get("/security-groups", responses=answers.found(SecurityGroupsAnswer))
    def list_security_groups(query: SecurityGroupQuery) -> Json:
        """List security groups; the default one is made if it was never needed before."""
        have_default_groups(service, (*(query.project_id or ()), *(query.tenant_id or ())))
        return collection.select(_groups(sight), query)

    @api.post("/security-groups", responses=answers.created(SecurityGroupAnswer, SecurityGroupsAnswer))
    def create_security_group(body: SecurityGroupCreateBody) -> tuple[Json, int]:
        """Make a security group, whose ports may send anything, or several at once."""
        if body.security_group is not None:
            intent = _creation(body.security_group)
            service.submit(intent)
            return {"security_group": collection.show(service.world.security_groups[intent.id])}, 201
        intents = [_creation(given) for given in paced(body.security_groups or ())]
        service.submit_all(intents)
        made = [intent.id for intent in intents]
        return {"security_groups": collection.show_made(made, service.world.security_groups)}, 201

    @api.get("/security-groups/<security_group_id>", responses=answers.ok(SecurityGroupAnswer))
    def show_security_group(path: SecurityGroupPath, query: FieldsQuery) -> Json:
        """Show a security group and its rules."""
        return {"security_group": collection.show(sight.security_group(path.security_group_id), query)}

    @api.put("/security-groups/<security_group_id>", responses=answers.changed(SecurityGroupAnswer))
    def update_security_group(path: SecurityGroupPath, header: Conditions, body: SecurityGroupUpdateBody) -> Json:
        """Change a security group's texts."""
        group, given = sight.security_group(path.security_group_id), body.security_group
        service.submit(UpdateSecurityGroup(group.id, given.name, given.description, header.expected))
        return {"security_group": collection.show(service.world.security_group(group.id))}

    @api.delete("/security-groups/<security_group_id>", responses=answers.gone())
    def delete_security_group(path: SecurityGroupPath, header: Conditions) -> tuple[str, int]:
        """Delete a security group that no port is in, its rules, and the rules that name it."""
        group = sight.security_group(path.security_group_id)
        service.submit(DeleteSecurityGroup(group.id, header.expected, default=caller().is_operator))
        return "", 204

    return api


def _new() -> str:
    return str(uuid.uuid4())


def have_default_groups(service: Service, asked: Sequence[str]) -> None:
    """See to it that the caller's project has a default group, or those that the operator asks for."""
    who = caller()
    projects: Iterable[str] = (who.project or OPERATOR,)
    if who.is_operator and asked:
        known = service.world.projects() | {project.name for project in service.roster.projects()}
        projects = known.intersection(asked)
    for project in projects:
        if service.world.default_group(project) is None:
            service.submit(default_group(project))


def _creation(given: SecurityGroupCreate) -> CreateSecurityGroup:
    project = project_for(given.project_id, given.tenant_id)
    tags = tuple(sorted(given.tags))
    return CreateSecurityGroup(_new(), project, (_new(), _new()), given.name, given.description, tags)


def _groups(sight: Sight) -> Iterable[SecurityGroup]:
    world, own = sight.world, caller()
    if own.is_operator:
        return sight.whole(world.security_groups.values())
    return sight.whole(world.security_groups_of_project(own.project or ""))
