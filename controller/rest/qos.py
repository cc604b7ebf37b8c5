"""What does a client say and see of a QoS policy?

``/v2.0/qos/policies`` in Neutron's shape.  As in Neutron the operator makes policies, for whichever project; a project
sees its own and those that are shared with it, and gives them to its ports and networks.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from flask_openapi3.blueprint import APIBlueprint

from controller.rest import answers
from controller.rest.access import caller, project_for
from controller.rest.errors import Forbidden
from controller.rest.listing import Attributes, Collection, FieldsQuery, Json, cut
from controller.rest.preconditions import Conditions
from controller.rest.qos_forms import (
    RULE_TYPES,
    QosPoliciesAnswer,
    QosPolicyAnswer,
    QosPolicyCreateBody,
    QosPolicyPath,
    QosPolicyQuery,
    QosPolicyShown,
    QosPolicyUpdateBody,
    RuleTypeAnswer,
    RuleTypePath,
    RuleTypeQuery,
    RuleTypesAnswer,
    RuleTypeShown,
    attributes,
)
from controller.rest.sight import Sight, require_owner
from controller.service import Service
from overlay.changes import CreateShare
from overlay.qos.changes import CreateQosPolicy, DeleteQosPolicy, UpdateQosPolicy
from overlay.qos.values import QosPolicy
from overlay.refusals import NotFound
from overlay.values import EVERYBODY, Shareable


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of QoS policies."""
    api = answers.routes("qos", "/v2.0/qos")
    sight = Sight(service)
    collection = Collection("policies", attributes(sight), QosPolicyShown, sight.qos_policy)

    def candidates() -> Iterable[QosPolicy]:
        return filter(sight.sees_qos_policy, sight.whole(service.world.qos_policies.values()))

    def show(policy_id: str) -> Json:
        return {"policy": collection.show(service.world.qos_policy(policy_id))}

    @api.get("/policies", responses=answers.listed(QosPoliciesAnswer))
    def list_qos_policies(query: QosPolicyQuery) -> Json:
        """List QoS policies."""
        return collection.select(candidates(), query)

    @api.post("/policies", responses=answers.created(QosPolicyAnswer))
    def create_qos_policy(body: QosPolicyCreateBody) -> tuple[Json, int]:
        """Make a QoS policy, without rules.  Operator only."""
        given = body.policy
        project = project_for(given.project_id, given.tenant_id)
        id_ = str(uuid.uuid4())
        intent = CreateQosPolicy(id_, project, given.name, given.description, given.is_default)
        if given.shared:
            everybody = CreateShare(str(uuid.uuid4()), project, Shareable.QOS_POLICY, id_, EVERYBODY)
            service.submit_all([intent, everybody])
        else:
            service.submit(intent)
        return show(id_), 201

    @api.get("/policies/<qos_policy_id>", responses=answers.ok(QosPolicyAnswer))
    def show_qos_policy(path: QosPolicyPath, query: FieldsQuery) -> Json:
        """Show a QoS policy and its rules."""
        return {"policy": collection.show(sight.qos_policy(path.qos_policy_id), query)}

    @api.put("/policies/<qos_policy_id>", responses=answers.changed(QosPolicyAnswer))
    def update_qos_policy(path: QosPolicyPath, header: Conditions, body: QosPolicyUpdateBody) -> Json:
        """Change a QoS policy.  Operator only."""
        policy = sight.qos_policy(path.qos_policy_id)
        require_owner("Changing a QoS policy", policy)
        given = body.policy
        service.submit(
            UpdateQosPolicy(
                id=policy.id,
                name=given.name,
                description=given.description,
                is_default=given.is_default,
                shared=given.shared,
                share_id=str(uuid.uuid4()),
                expected=header.expected,
            )
        )
        return show(policy.id)

    @api.delete("/policies/<qos_policy_id>", responses=answers.gone())
    def delete_qos_policy(path: QosPolicyPath, header: Conditions) -> tuple[str, int]:
        """Delete a QoS policy and its rules; no port and no network may have it.  Operator only."""
        policy = sight.qos_policy(path.qos_policy_id)
        require_owner("Deleting a QoS policy", policy)
        service.submit(DeleteQosPolicy(policy.id, header.expected))
        return "", 204

    _types(api)
    return api


def _types(api: APIBlueprint) -> None:
    known: Attributes[RuleTypeShown] = {
        "type": lambda one: one.type,
        "drivers": lambda one: [driver.model_dump() for driver in one.drivers],
    }
    types = Collection("rule_types", known, RuleTypeShown, _rule_type, key="type")

    @api.get("/rule-types", responses=answers.listed(RuleTypesAnswer))
    def list_qos_rule_types(query: RuleTypeQuery) -> Json:
        """List the types of rules that QoS policies may have."""
        return types.select(RULE_TYPES.values(), query)

    @api.get("/rule-types/<rule_type>", responses=answers.ok(RuleTypeAnswer))
    def show_qos_rule_type(path: RuleTypePath, query: FieldsQuery) -> Json:
        """Show a type of rules, and what they may say."""
        return {"rule_type": cut(_rule_type(path.rule_type).model_dump(), query)}


def _rule_type(name: str) -> RuleTypeShown:
    found = RULE_TYPES.get(name)
    if found is None:
        message = f"Could not find rule type {name}: there are {', '.join(RULE_TYPES)}."
        raise NotFound(message, field="rule_type", kind="QosRuleTypeNotFound")
    return found


def check_policy(sight: Sight, before: str | None, after: str | None) -> None:
    """Whether the caller may give something this policy instead of the one that it has.

    As in Neutron: what it gives it must see, and what the operator gave it to enforce something it cannot take away.

    :raises NotFound: naming the policy that it does not see.
    :raises Forbidden: when it sees not the one that goes.
    """
    if before == after:
        return
    if after is not None:
        sight.qos_policy(after, "qos_policy_id")
    if before is not None and not caller().is_operator and not sight.sees_qos_policy(sight.world.qos_policy(before)):
        raise Forbidden(
            f"Failed to remove provided policy {before} because you are not authorized: qos_policy_id is the operator's"
            " to change here",
            field="qos_policy_id",
            kind="PolicyRemoveAuthorizationError",
        )
