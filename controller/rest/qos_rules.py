"""What does a client say and see of a QoS policy's rules?

They stand below their policy in Neutron's shape, and by Neutron's aliases each under its own id.  Whoever sees a policy
sees its rules, and the operator changes them; a change holds at once for all ports that have the policy.
"""

from __future__ import annotations

import uuid
from typing import NoReturn, TypeVar

from flask_openapi3.blueprint import APIBlueprint

from controller.rest import answers
from controller.rest.errors import BadRequest
from controller.rest.listing import Collection, FieldsQuery, Json, cut
from controller.rest.qos_forms import (
    LIMIT_ATTRIBUTES,
    MARK_ATTRIBUTES,
    BandwidthLimitAliasAnswer,
    BandwidthLimitAliasBody,
    BandwidthLimitAnswer,
    BandwidthLimitCreateBody,
    BandwidthLimitQuery,
    BandwidthLimitsAnswer,
    BandwidthLimitShown,
    BandwidthLimitUpdate,
    BandwidthLimitUpdateBody,
    DscpMarkingAliasAnswer,
    DscpMarkingAliasBody,
    DscpMarkingAnswer,
    DscpMarkingCreateBody,
    DscpMarkingQuery,
    DscpMarkingsAnswer,
    DscpMarkingShown,
    DscpMarkingUpdate,
    DscpMarkingUpdateBody,
    OtherRuleBody,
    QosPolicyPath,
    RuleAliasPath,
    RulePath,
    spelled,
)
from controller.rest.sight import Sight, require_owner
from controller.service import Service
from overlay.qos.changes import AddQosRule, DeleteQosRule, UpdateQosRule
from overlay.qos.values import BandwidthLimit, DscpMarking, QosPolicy, QosRule
from overlay.refusals import NotFound

_Rule = TypeVar("_Rule", BandwidthLimit, DscpMarking)


class _Book:
    """The rules of one policy, or all rules, as the caller may see and change them."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._sight = Sight(service)

    def policy(self, policy_id: str) -> QosPolicy:
        """A policy that the caller sees."""
        return self._sight.qos_policy(policy_id)

    def rules(self, policy_id: str, kind: type[_Rule]) -> list[_Rule]:
        """Its rules of a type."""
        return [rule for rule in self.policy(policy_id).rules if isinstance(rule, kind)]

    def rule(self, policy_id: str, rule_id: str, kind: type[_Rule]) -> _Rule:
        """One of them."""
        found = next((rule for rule in self.rules(policy_id, kind) if rule.id == rule_id), None)
        if found is None:
            message = f"QoS rule {rule_id} for policy {policy_id} could not be found."
            raise NotFound(message, field="rule_id", kind="QosRuleNotFound")
        return found

    def anywhere(self, rule_id: str, kind: type[_Rule]) -> tuple[str, _Rule]:
        """A rule of whatever policy, and that policy's id."""
        for policy in filter(self._sight.sees_qos_policy, self._service.world.qos_policies.values()):
            for rule in policy.rules:
                if rule.id == rule_id and isinstance(rule, kind):
                    return policy.id, rule
        raise NotFound(f"QoS rule {rule_id} could not be found.", field="rule_id", kind="QosRuleNotFound")

    def add(self, policy_id: str, rule: QosRule) -> None:
        """Give a policy a rule."""
        policy = self.policy(policy_id)
        require_owner("Changing a QoS policy", policy)
        self._service.submit(AddQosRule(policy.id, rule))

    def limit(self, policy_id: str, rule: BandwidthLimit, given: BandwidthLimitUpdate) -> BandwidthLimit:
        """Change a limit.  :returns: what it is now."""
        require_owner("Changing a QoS policy", self.policy(policy_id))
        self._service.submit(UpdateQosRule(policy_id, rule.id, given.max_kbps, given.max_burst_kbps, given.direction))
        return self.rule(policy_id, rule.id, BandwidthLimit)

    def mark(self, policy_id: str, rule: DscpMarking, given: DscpMarkingUpdate) -> DscpMarking:
        """Change a mark.  :returns: what it is now."""
        require_owner("Changing a QoS policy", self.policy(policy_id))
        self._service.submit(UpdateQosRule(policy_id, rule.id, dscp_mark=given.dscp_mark))
        return self.rule(policy_id, rule.id, DscpMarking)

    def delete(self, policy_id: str, rule: QosRule) -> tuple[str, int]:
        """Take a rule away."""
        require_owner("Changing a QoS policy", self.policy(policy_id))
        self._service.submit(DeleteQosRule(policy_id, rule.id))
        return "", 204


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of QoS policies' rules."""
    api = answers.routes("qos_rules", "/v2.0/qos")
    book = _Book(service)
    _limits(api, book)
    _limit_aliases(api, book)
    _marks(api, book)
    _mark_aliases(api, book)
    _others(api)
    return api


def _limits(api: APIBlueprint, book: _Book) -> None:
    def collection(policy_id: str) -> Collection[BandwidthLimit]:
        def find(rule_id: str) -> BandwidthLimit:
            return book.rule(policy_id, rule_id, BandwidthLimit)

        return Collection("bandwidth_limit_rules", LIMIT_ATTRIBUTES, BandwidthLimitShown, find)

    @api.get("/policies/<qos_policy_id>/bandwidth_limit_rules", responses=answers.listed(BandwidthLimitsAnswer))
    def list_bandwidth_limit_rules(path: QosPolicyPath, query: BandwidthLimitQuery) -> Json:
        """List the limits of a policy."""
        return collection(path.qos_policy_id).select(book.rules(path.qos_policy_id, BandwidthLimit), query)

    @api.post("/policies/<qos_policy_id>/bandwidth_limit_rules", responses=answers.created(BandwidthLimitAnswer))
    def create_bandwidth_limit_rule(path: QosPolicyPath, body: BandwidthLimitCreateBody) -> tuple[Json, int]:
        """Limit what may pass in one direction.  Operator only."""
        given = body.bandwidth_limit_rule
        rule = BandwidthLimit(str(uuid.uuid4()), given.max_kbps, given.max_burst_kbps, given.direction)
        book.add(path.qos_policy_id, rule)
        return {"bandwidth_limit_rule": collection(path.qos_policy_id).show(rule)}, 201

    @api.get("/policies/<qos_policy_id>/bandwidth_limit_rules/<rule_id>", responses=answers.ok(BandwidthLimitAnswer))
    def show_bandwidth_limit_rule(path: RulePath, query: FieldsQuery) -> Json:
        """Show a limit."""
        rule = book.rule(path.qos_policy_id, path.rule_id, BandwidthLimit)
        return {"bandwidth_limit_rule": collection(path.qos_policy_id).show(rule, query)}

    @api.put(
        "/policies/<qos_policy_id>/bandwidth_limit_rules/<rule_id>", responses=answers.changed(BandwidthLimitAnswer)
    )
    def update_bandwidth_limit_rule(path: RulePath, body: BandwidthLimitUpdateBody) -> Json:
        """Change a limit.  Operator only."""
        rule = book.rule(path.qos_policy_id, path.rule_id, BandwidthLimit)
        after = book.limit(path.qos_policy_id, rule, body.bandwidth_limit_rule)
        return {"bandwidth_limit_rule": collection(path.qos_policy_id).show(after)}

    @api.delete("/policies/<qos_policy_id>/bandwidth_limit_rules/<rule_id>", responses=answers.gone())
    def delete_bandwidth_limit_rule(path: RulePath) -> tuple[str, int]:
        """Take a limit away.  Operator only."""
        return book.delete(path.qos_policy_id, book.rule(path.qos_policy_id, path.rule_id, BandwidthLimit))


def _limit_aliases(api: APIBlueprint, book: _Book) -> None:
    @api.get("/alias-bandwidth-limit-rules/<rule_id>", responses=answers.ok(BandwidthLimitAliasAnswer))
    def show_alias_bandwidth_limit_rule(path: RuleAliasPath, query: FieldsQuery) -> Json:
        """Show a limit by its own id."""
        _, rule = book.anywhere(path.rule_id, BandwidthLimit)
        return {"alias_bandwidth_limit_rule": cut(spelled(rule), query)}

    @api.put("/alias-bandwidth-limit-rules/<rule_id>", responses=answers.changed(BandwidthLimitAliasAnswer))
    def update_alias_bandwidth_limit_rule(path: RuleAliasPath, body: BandwidthLimitAliasBody) -> Json:
        """Change a limit by its own id.  Operator only."""
        policy_id, rule = book.anywhere(path.rule_id, BandwidthLimit)
        after = book.limit(policy_id, rule, body.alias_bandwidth_limit_rule)
        return {"alias_bandwidth_limit_rule": spelled(after)}

    @api.delete("/alias-bandwidth-limit-rules/<rule_id>", responses=answers.gone())
    def delete_alias_bandwidth_limit_rule(path: RuleAliasPath) -> tuple[str, int]:
        """Take a limit away by its own id.  Operator only."""
        return book.delete(*book.anywhere(path.rule_id, BandwidthLimit))


def _marks(api: APIBlueprint, book: _Book) -> None:
    def collection(policy_id: str) -> Collection[DscpMarking]:
        def find(rule_id: str) -> DscpMarking:
            return book.rule(policy_id, rule_id, DscpMarking)

        return Collection("dscp_marking_rules", MARK_ATTRIBUTES, DscpMarkingShown, find)

    @api.get("/policies/<qos_policy_id>/dscp_marking_rules", responses=answers.listed(DscpMarkingsAnswer))
    def list_dscp_marking_rules(path: QosPolicyPath, query: DscpMarkingQuery) -> Json:
        """List the marks of a policy."""
        return collection(path.qos_policy_id).select(book.rules(path.qos_policy_id, DscpMarking), query)

    @api.post("/policies/<qos_policy_id>/dscp_marking_rules", responses=answers.created(DscpMarkingAnswer))
    def create_dscp_marking_rule(path: QosPolicyPath, body: DscpMarkingCreateBody) -> tuple[Json, int]:
        """Mark what machines send.  Operator only."""
        rule = DscpMarking(str(uuid.uuid4()), body.dscp_marking_rule.dscp_mark)
        book.add(path.qos_policy_id, rule)
        return {"dscp_marking_rule": collection(path.qos_policy_id).show(rule)}, 201

    @api.get("/policies/<qos_policy_id>/dscp_marking_rules/<rule_id>", responses=answers.ok(DscpMarkingAnswer))
    def show_dscp_marking_rule(path: RulePath, query: FieldsQuery) -> Json:
        """Show a mark."""
        rule = book.rule(path.qos_policy_id, path.rule_id, DscpMarking)
        return {"dscp_marking_rule": collection(path.qos_policy_id).show(rule, query)}

    @api.put("/policies/<qos_policy_id>/dscp_marking_rules/<rule_id>", responses=answers.changed(DscpMarkingAnswer))
    def update_dscp_marking_rule(path: RulePath, body: DscpMarkingUpdateBody) -> Json:
        """Change a mark.  Operator only."""
        rule = book.rule(path.qos_policy_id, path.rule_id, DscpMarking)
        after = book.mark(path.qos_policy_id, rule, body.dscp_marking_rule)
        return {"dscp_marking_rule": collection(path.qos_policy_id).show(after)}

    @api.delete("/policies/<qos_policy_id>/dscp_marking_rules/<rule_id>", responses=answers.gone())
    def delete_dscp_marking_rule(path: RulePath) -> tuple[str, int]:
        """Take a mark away.  Operator only."""
        return book.delete(path.qos_policy_id, book.rule(path.qos_policy_id, path.rule_id, DscpMarking))


def _mark_aliases(api: APIBlueprint, book: _Book) -> None:
    @api.get("/alias-dscp-marking-rules/<rule_id>", responses=answers.ok(DscpMarkingAliasAnswer))
    def show_alias_dscp_marking_rule(path: RuleAliasPath, query: FieldsQuery) -> Json:
        """Show a mark by its own id."""
        _, rule = book.anywhere(path.rule_id, DscpMarking)
        return {"alias_dscp_marking_rule": cut(spelled(rule), query)}

    @api.put("/alias-dscp-marking-rules/<rule_id>", responses=answers.changed(DscpMarkingAliasAnswer))
    def update_alias_dscp_marking_rule(path: RuleAliasPath, body: DscpMarkingAliasBody) -> Json:
        """Change a mark by its own id.  Operator only."""
        policy_id, rule = book.anywhere(path.rule_id, DscpMarking)
        after = book.mark(policy_id, rule, body.alias_dscp_marking_rule)
        return {"alias_dscp_marking_rule": spelled(after)}

    @api.delete("/alias-dscp-marking-rules/<rule_id>", responses=answers.gone())
    def delete_alias_dscp_marking_rule(path: RuleAliasPath) -> tuple[str, int]:
        """Take a mark away by its own id.  Operator only."""
        return book.delete(*book.anywhere(path.rule_id, DscpMarking))


def _others(api: APIBlueprint) -> None:
    @api.post("/policies/<qos_policy_id>/minimum_bandwidth_rules", responses=answers.gone())
    def create_minimum_bandwidth_rule(path: QosPolicyPath, body: OtherRuleBody) -> NoReturn:  # noqa: ARG001
        """Refuse: nothing here sets bandwidth aside."""
        _refuse("minimum_bandwidth", "nothing here sets bandwidth aside for a port")

    @api.post("/policies/<qos_policy_id>/minimum_packet_rate_rules", responses=answers.gone())
    def create_minimum_packet_rate_rule(path: QosPolicyPath, body: OtherRuleBody) -> NoReturn:  # noqa: ARG001
        """Refuse: nothing here sets packets aside."""
        _refuse("minimum_packet_rate", "nothing here sets packets aside for a port")

    @api.post("/policies/<qos_policy_id>/packet_rate_limit_rules", responses=answers.gone())
    def create_packet_rate_limit_rule(path: QosPolicyPath, body: OtherRuleBody) -> NoReturn:  # noqa: ARG001
        """Refuse: ports are limited in bits."""
        _refuse(
            "packet_rate_limit", "ports are limited in bits a second, and in packets only of what they flood or ask"
        )


def _refuse(kind: str, why: str) -> NoReturn:
    raise BadRequest(f"Rules of the type {kind} cannot be had: {why}.", field="type", kind="QosRuleTypeNotSupported")
