"""Who may ask for which rule of a security group, and what is then to be done?

``/v2.0/security-group-rules`` in Neutron's shape.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from flask_openapi3.blueprint import APIBlueprint

from controller.rest import answers
from controller.rest.access import caller, project_for
from controller.rest.listing import Collection, FieldsQuery, Json
from controller.rest.policy_forms import (
    RULE_ATTRIBUTES,
    SecurityRuleAnswer,
    SecurityRuleCreate,
    SecurityRuleCreateBody,
    SecurityRulePath,
    SecurityRuleQuery,
    SecurityRulesAnswer,
    SecurityRuleShown,
)
from controller.rest.preconditions import Conditions
from controller.rest.security_groups import have_default_groups
from controller.rest.sight import Sight
from controller.service import Service
from controller.turns import paced
from overlay.policy.changes import CreateSecurityRule, CreateSecurityRules, DeleteSecurityRule
from overlay.policy.values import SecurityRule


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of rules."""
    api = answers.routes("security_group_rules", "/v2.0")
    sight = Sight(service)
    collection = Collection("security_group_rules", RULE_ATTRIBUTES, SecurityRuleShown, sight.security_rule)

    @api.get("/security-group-rules", responses=answers.found(SecurityRulesAnswer))
    def list_security_group_rules(query: SecurityRuleQuery) -> Json:
        """List rules."""
        have_default_groups(service, (*(query.project_id or ()), *(query.tenant_id or ())))
        return collection.select(_rules(sight, query), query)

    @api.post("/security-group-rules", responses=answers.created(SecurityRuleAnswer, SecurityRulesAnswer))
    def create_security_group_rule(body: SecurityRuleCreateBody) -> tuple[Json, int]:
        """Add a rule to a security group, or several at once."""
        if body.security_group_rule is not None:
            intent = _rule(sight, body.security_group_rule)
            service.submit(intent)
            return {"security_group_rule": collection.show(service.world.security_rules[intent.id])}, 201
        intents = [_rule(sight, given) for given in paced(body.security_group_rules or ())]
        service.submit(CreateSecurityRules(tuple(intents)))
        made = [intent.id for intent in intents]
        return {"security_group_rules": collection.show_made(made, service.world.security_rules)}, 201

    @api.get("/security-group-rules/<security_group_rule_id>", responses=answers.ok(SecurityRuleAnswer))
    def show_security_group_rule(path: SecurityRulePath, query: FieldsQuery) -> Json:
        """Show a rule."""
        return {"security_group_rule": collection.show(sight.security_rule(path.security_group_rule_id), query)}

    @api.delete("/security-group-rules/<security_group_rule_id>", responses=answers.gone())
    def delete_security_group_rule(path: SecurityRulePath, header: Conditions) -> tuple[str, int]:
        """Take a rule back; the connections that only it allowed end."""
        service.submit(DeleteSecurityRule(sight.security_rule(path.security_group_rule_id).id, header.expected))
        return "", 204

    return api


def _rule(sight: Sight, given: SecurityRuleCreate) -> CreateSecurityRule:
    group = sight.security_group(given.security_group_id)
    if given.remote_group_id is not None:
        sight.security_group(given.remote_group_id, "remote_group_id")
    if given.remote_address_group_id is not None:
        sight.address_group(given.remote_address_group_id, "remote_address_group_id")
    return CreateSecurityRule(
        id=str(uuid.uuid4()),
        project_id=project_for(given.project_id, given.tenant_id, default=group.project_id),
        group_id=group.id,
        direction=given.direction,
        family=given.ethertype,
        protocol=given.number,
        port_min=given.port_range_min,
        port_max=given.port_range_max,
        remote_group_id=given.remote_group_id,
        remote_prefix=given.remote_ip_prefix,
        remote_address_group_id=given.remote_address_group_id,
        description=given.description,
    )


def _rules(sight: Sight, query: SecurityRuleQuery) -> Iterable[SecurityRule]:
    """The rules that a list can be about, without looking at all of them where an index will do."""
    world, own = sight.world, caller()
    asked: Iterable[SecurityRule]
    if query.security_group_id is not None:
        asked = (rule for group_id in dict.fromkeys(query.security_group_id) for rule in world.rules_of(group_id))
        return filter(own.sees, sight.whole(asked))
    asked = world.security_rules.values() if own.is_operator else world.security_rules_of_project(own.project or "")
    return sight.whole(asked)
