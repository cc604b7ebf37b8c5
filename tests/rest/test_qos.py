"""QoS policies have Neutron's form, and what cannot be is refused by name and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

LIMITS = "bandwidth_limit_rules"
MARKS = "dscp_marking_rules"
NOBODY = "00000000-0000-0000-0000-000000000000"


def policy_of(client: Any, **fields: object) -> dict[str, Any]:
    """Make a policy."""
    answer = client("POST", "/v2.0/qos/policies", {"policy": {"name": "gold", **fields}})
    assert answer.status == 201, answer
    return answer.body["policy"]


def rule_of(client: Any, policy: dict[str, Any], kind: str = LIMITS, **fields: object) -> dict[str, Any]:
    """Give a policy a rule."""
    noun = kind.removesuffix("s")
    answer = client("POST", f"/v2.0/qos/policies/{policy['id']}/{kind}", {noun: fields})
    assert answer.status == 201, answer
    return answer.body[noun]


def network_of(client: Any, **fields: object) -> dict[str, Any]:
    """Make a network with a subnet."""
    network = client.make("network", **fields)
    client.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")
    return network


def test_a_policy_lives_and_dies(op, blue) -> None:
    """The operator makes a policy for a project, changes it and deletes it; the project sees it meanwhile."""
    policy = policy_of(op, project_id="blue", description="d")
    path = f"/v2.0/qos/policies/{policy['id']}"
    expected = {"name": "gold", "shared": False, "is_default": False, "rules": [], "tags": [], "revision_number": 1}
    assert expected.items() <= policy.items()
    assert (policy["project_id"], policy["tenant_id"]) == ("blue", "blue")
    assert blue("GET", path).body["policy"] == policy
    changed = op("PUT", path, {"policy": {"name": "silver", "is_default": True}}).body["policy"]
    assert (changed["name"], changed["is_default"], changed["revision_number"]) == ("silver", True, 2)
    assert [one["id"] for one in blue("GET", "/v2.0/qos/policies?is_default=true").body["policies"]] == [policy["id"]]
    assert blue("GET", "/v2.0/qos/policies?name=gold").body["policies"] == []
    assert op("PUT", f"{path}/tags/tagged").status == 201
    assert blue("GET", "/v2.0/qos/policies?tags=tagged").body["policies"][0]["tags"] == ["tagged"]
    assert op("DELETE", path).status == 204
    assert op("GET", path).error["type"] == "QosPolicyNotFound"


@pytest.mark.parametrize(
    ("kind", "given", "shown", "change"),
    [
        (
            LIMITS,
            {"max_kbps": 10_000},
            {"max_kbps": 10_000, "max_burst_kbps": 0, "direction": "egress"},
            {"max_kbps": 20_000, "direction": "ingress"},
        ),
        (MARKS, {"dscp_mark": 46}, {"dscp_mark": 46}, {"dscp_mark": 0}),
    ],
)
def test_a_rule_lives_and_dies(op, kind: str, given: Any, shown: Any, change: Any) -> None:
    """Below its policy and by its alias a rule is shown, changed and deleted; the policy shows its rules."""
    noun = kind.removesuffix("s")
    policy = policy_of(op)
    rule = rule_of(op, policy, kind, **given)
    assert rule == {"id": rule["id"], **shown}
    above, alone = (
        f"/v2.0/qos/policies/{policy['id']}/{kind}",
        f"/v2.0/qos/alias-{kind.replace('_', '-')}/{rule['id']}",
    )
    assert op("GET", above).body[kind] == [rule]
    assert op("GET", f"{above}?id={NOBODY}").body[kind] == []
    assert op("GET", f"{above}?limit=1&marker={rule['id']}").body[kind] == []
    assert op("GET", f"{above}/{rule['id']}").body[noun] == rule
    assert op("GET", alone).body[f"alias_{noun}"] == rule
    (listed,) = op("GET", f"/v2.0/qos/policies/{policy['id']}").body["policy"]["rules"]
    assert listed == {"type": noun.removesuffix("_rule"), "qos_policy_id": policy["id"], **rule}
    after = {**rule, **change}
    assert op("PUT", f"{above}/{rule['id']}", {noun: change}).body[noun] == after
    assert op("PUT", alone, {f"alias_{noun}": given}).body[f"alias_{noun}"] == {**after, **given}
    assert op("GET", f"/v2.0/qos/policies/{policy['id']}").body["policy"]["revision_number"] == 4
    assert op("DELETE", f"{above}/{rule['id']}").status == 204
    for path in (f"{above}/{rule['id']}", alone):
        assert op("GET", path).error["type"] == "QosRuleNotFound"
    again = rule_of(op, policy, kind, **given)
    assert op("DELETE", f"/v2.0/qos/alias-{kind.replace('_', '-')}/{again['id']}").status == 204


def test_ports_and_networks_have_policies(op, blue) -> None:
    """A port's own policy stands beside its network's; null takes it away; a policy that is in use stays."""
    gold, silver = (policy_of(op, project_id="blue", name=name) for name in ("gold", "silver"))
    network = network_of(blue, qos_policy_id=gold["id"])
    assert network["qos_policy_id"] == gold["id"]
    port = blue.make("port", network_id=network["id"], qos_policy_id=silver["id"])
    assert (port["qos_policy_id"], port["qos_network_policy_id"]) == (silver["id"], gold["id"])
    for policy, user in ((gold, f"network {network['id']}"), (silver, f"port {port['id']}")):
        refused = op("DELETE", f"/v2.0/qos/policies/{policy['id']}")
        assert (refused.status, refused.error["type"]) == (409, "QosPolicyInUse")
        assert user in refused.error["message"]
    path = f"/v2.0/ports/{port['id']}"
    assert blue("PUT", path, {"port": {"name": "kept"}}).body["port"]["qos_policy_id"] == silver["id"]
    assert blue("PUT", path, {"port": {"qos_policy_id": None}}).body["port"]["qos_policy_id"] is None
    assert blue("PUT", f"/v2.0/networks/{network['id']}", {"network": {"qos_policy_id": None}}).status == 200
    assert blue("GET", path).body["port"]["qos_network_policy_id"] is None
    for policy in (gold, silver):
        assert op("DELETE", f"/v2.0/qos/policies/{policy['id']}").status == 204


def test_a_default_policy_is_for_new_networks(op, blue, red) -> None:
    """New networks of the project have it, those of other projects not; a project has one."""
    gold = policy_of(op, project_id="blue", is_default=True)
    assert network_of(blue)["qos_policy_id"] == gold["id"]
    assert network_of(red)["qos_policy_id"] is None
    another = {"policy": {"name": "x", "project_id": "blue", "is_default": True}}
    refused = op("POST", "/v2.0/qos/policies", another)
    assert (refused.status, refused.error["type"]) == (409, "QoSPolicyDefaultAlreadyExists")


def test_a_shared_policy_is_everybodys_to_use(op, blue, red) -> None:
    """Shared, also by RBAC, others see and use it, and the share stays while they do."""
    shared = policy_of(op, shared=True)
    assert (shared["shared"], blue("GET", f"/v2.0/qos/policies/{shared['id']}").status) == (True, 200)
    network = network_of(blue, qos_policy_id=shared["id"])
    path = f"/v2.0/qos/policies/{shared['id']}"
    assert op("PUT", path, {"policy": {"shared": False}}).error["type"] == "RbacPolicyInUse"
    assert blue("PUT", f"/v2.0/networks/{network['id']}", {"network": {"qos_policy_id": None}}).status == 200
    assert op("PUT", path, {"policy": {"shared": False}}).body["policy"]["shared"] is False
    assert blue("GET", path).status == 404
    share = {"object_type": "qos_policy", "object_id": shared["id"], "action": "access_as_shared"}
    made = op("POST", "/v2.0/rbac-policies", {"rbac_policy": {**share, "target_tenant": "red"}})
    assert made.status == 201, made
    assert (red("GET", path).status, blue("GET", path).status) == (200, 404)
    other = network_of(red)
    port = red.make("port", network_id=other["id"], qos_policy_id=shared["id"])
    refused = op("DELETE", f"/v2.0/rbac-policies/{made.body['rbac_policy']['id']}")
    assert (refused.status, refused.error["type"]) == (409, "RbacPolicyInUse")
    assert red("DELETE", f"/v2.0/ports/{port['id']}").status == 204
    assert op("DELETE", path).status == 204


def test_what_the_operator_enforces_stays(op, blue, edge) -> None:
    """A project cannot take away a policy that it does not see, nor give one; as in Neutron."""
    hidden = policy_of(op)
    network = network_of(blue)
    port = blue.make("port", network_id=network["id"])
    assert op("PUT", f"/v2.0/ports/{port['id']}", {"port": {"qos_policy_id": hidden["id"]}}).status == 200
    assert op("PUT", f"/v2.0/networks/{network['id']}", {"network": {"qos_policy_id": hidden["id"]}}).status == 200
    before = edge.documents()
    for noun, thing in (("port", port), ("network", network)):
        refused = blue("PUT", f"/v2.0/{noun}s/{thing['id']}", {noun: {"qos_policy_id": None}})
        assert (refused.status, refused.error["type"]) == (403, "PolicyRemoveAuthorizationError")
        same = blue("PUT", f"/v2.0/{noun}s/{thing['id']}", {noun: {"qos_policy_id": hidden["id"], "name": ""}})
        assert same.status == 200, same
    for noun, fields in (("port", {"network_id": network["id"]}), ("network", {})):
        refused = blue("POST", f"/v2.0/{noun}s", {noun: {**fields, "qos_policy_id": hidden["id"]}})
        assert (refused.status, refused.error["type"]) == (404, "QosPolicyNotFound")
    assert edge.documents() == before


def test_what_rules_may_say_can_be_asked(op, blue) -> None:
    """The two types of rules are listed and shown with what they take."""
    listed = blue("GET", "/v2.0/qos/rule-types").body["rule_types"]
    assert [one["type"] for one in listed] == ["bandwidth_limit", "dscp_marking"]
    shown = op("GET", "/v2.0/qos/rule-types/dscp_marking").body["rule_type"]
    assert shown["drivers"][0]["supported_parameters"][0]["parameter_values"][-1] == 56
    assert op("GET", "/v2.0/qos/rule-types/minimum_bandwidth").error["type"] == "QosRuleTypeNotFound"


@pytest.mark.parametrize(
    ("kind", "given", "status", "named"),
    [
        (LIMITS, {}, 400, "max_kbps"),
        (LIMITS, {"max_kbps": -1}, 400, "max_kbps"),
        (LIMITS, {"max_kbps": 1 << 31}, 400, "max_kbps"),
        (LIMITS, {"max_kbps": 1.5}, 400, "max_kbps"),
        (LIMITS, {"max_kbps": True}, 400, "max_kbps"),
        (LIMITS, {"max_kbps": "fast"}, 400, "max_kbps"),
        (LIMITS, {"max_kbps": 9, "max_burst_kbps": -1}, 400, "max_burst_kbps"),
        (LIMITS, {"max_kbps": 9, "direction": "up"}, 400, "direction"),
        (LIMITS, {"max_kbps": 9, "colour": "red"}, 400, "colour"),
        (LIMITS, {"max_kbps": 9}, 409, "bandwidth_limit"),
        (MARKS, {}, 400, "dscp_mark"),
        (MARKS, {"dscp_mark": 1}, 400, "dscp_mark"),
        (MARKS, {"dscp_mark": 64}, 400, "dscp_mark"),
        (MARKS, {"dscp_mark": None}, 400, "dscp_mark"),
        (MARKS, {"dscp_mark": 8}, 409, "dscp_marking"),
        ("minimum_bandwidth_rules", {"min_kbps": 9}, 400, "minimum_bandwidth"),
        ("minimum_packet_rate_rules", {"min_kpps": 9}, 400, "minimum_packet_rate"),
        ("packet_rate_limit_rules", {"max_kpps": 9}, 400, "packet_rate_limit"),
    ],
)
def test_bad_rules_are_refused(  # noqa: PLR0917
    op, unchanged, kind: str, given: Any, status: int, named: str
) -> None:
    """A rule that says what cannot be, or a second one of a kind, is refused by name, and nothing changes."""
    policy = policy_of(op)
    rule_of(op, policy, max_kbps=1000)
    rule_of(op, policy, MARKS, dscp_mark=46)
    unchanged()
    refused = op("POST", f"/v2.0/qos/policies/{policy['id']}/{kind}", {kind.removesuffix("s"): given})
    assert refused.status == status, refused
    assert named in refused.error["message"]
    if status == 409:
        assert refused.error["type"] == "QoSRulesConflict"


def test_a_limit_cannot_become_a_second_one(op, unchanged) -> None:
    """A limit of the other direction may not turn round to where there is one."""
    policy = policy_of(op)
    rule_of(op, policy, max_kbps=1000)
    other = rule_of(op, policy, max_kbps=1000, direction="ingress")
    unchanged()
    path = f"/v2.0/qos/policies/{policy['id']}/{LIMITS}/{other['id']}"
    refused = op("PUT", path, {"bandwidth_limit_rule": {"direction": "egress"}})
    assert (refused.status, refused.error["type"]) == (409, "QoSRulesConflict")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_is_not_there_is_named(op, unchanged, method: str) -> None:
    """A policy or rule that does not exist is 404, and so is a rule below another policy or of another type."""
    policy, other = policy_of(op), policy_of(op)
    rule = rule_of(op, policy, max_kbps=1000)
    unchanged()
    bodies = {"bandwidth_limit_rule": {"max_kbps": 9}, "dscp_marking_rule": {"dscp_mark": 8}}
    for path, noun, kind in (
        (f"policies/{NOBODY}", "policy", "QosPolicyNotFound"),
        (f"policies/{NOBODY}/{LIMITS}/{rule['id']}", "bandwidth_limit_rule", "QosPolicyNotFound"),
        (f"policies/{policy['id']}/{LIMITS}/{NOBODY}", "bandwidth_limit_rule", "QosRuleNotFound"),
        (f"policies/{other['id']}/{LIMITS}/{rule['id']}", "bandwidth_limit_rule", "QosRuleNotFound"),
        (f"policies/{policy['id']}/{MARKS}/{rule['id']}", "dscp_marking_rule", "QosRuleNotFound"),
    ):
        body = {noun: bodies.get(noun, {"name": "x"})} if method == "PUT" else None
        answer = op(method, f"/v2.0/qos/{path}", body)
        assert (answer.status, answer.error["type"]) == (404, kind), path


@pytest.mark.parametrize("policy_id", [NOBODY, "", 7, ["x"]])
@pytest.mark.parametrize("noun", ["port", "network"])
def test_a_policy_that_is_not_there_cannot_be_had(op, unchanged, noun: str, policy_id: object) -> None:
    """Neither when something is made nor when it changes."""
    network = network_of(op)
    thing = op.make("port", network_id=network["id"]) if noun == "port" else network
    unchanged()
    for answer in (
        op("POST", f"/v2.0/{noun}s", {noun: {"network_id": network["id"], "qos_policy_id": policy_id}})
        if noun == "port"
        else op("POST", "/v2.0/networks", {"network": {"qos_policy_id": policy_id}}),
        op("PUT", f"/v2.0/{noun}s/{thing['id']}", {noun: {"qos_policy_id": policy_id}}),
    ):
        assert answer.status == (404 if policy_id == NOBODY else 400), answer
        assert NOBODY in answer.error["message"] if policy_id == NOBODY else "qos_policy_id" in answer.error["message"]


def test_the_quota_is_kept(op, unchanged) -> None:
    """A project has as many policies as its quota allows, also when they would be shared."""
    assert op("PUT", "/v2.0/quotas/blue", {"quota": {"qos_policy": 1}}).body["quota"]["qos_policy"] == 1
    policy_of(op, project_id="blue")
    unchanged()
    for shared in (False, True):
        refused = op("POST", "/v2.0/qos/policies", {"policy": {"project_id": "blue", "shared": shared}})
        assert (refused.status, refused.error["type"]) == (409, "OverQuota")


def test_a_stale_revision_is_refused(op, unchanged) -> None:
    """Neither changed nor deleted by somebody who has seen another revision."""
    policy = policy_of(op)
    unchanged()
    stale = {"If-Match": "revision_number=9", "Content-Type": "application/json"}
    path = f"/v2.0/qos/policies/{policy['id']}"
    for method, body in (("PUT", b'{"policy": {"name": "x"}}'), ("DELETE", None)):
        assert op.raw(method, path, body, stale).error["type"] == "RevisionNumberConstraintFailed"
