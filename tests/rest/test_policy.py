"""What the policy's table says of each role, resource and action is what happens over HTTP."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from controller.identity.roles import Role
from controller.identity.roster import CreateProject, IssueToken
from controller.identity.values import digest, token
from controller.rest.app import build
from controller.rest.policy import OPERATORS, RULES, TAGGED, Rule, Scope, document, rule_of
from controller.tokens import Token
from overlay.changes import CreateShare, CreateSubnetPool, HostSeen, Plugged, SetQuota
from overlay.evacuation.changes import Evacuate
from overlay.mirrors.changes import CreateTapFlow, CreateTapService
from overlay.mirrors.values import TapDirection
from overlay.qos.changes import AddQosRule, CreateQosPolicy
from overlay.qos.values import BandwidthLimit, DscpMarking
from overlay.trunks.changes import CreateTrunk
from overlay.trunks.values import SubPort
from overlay.values import Countable, DatapathId, Host, HostName, Shareable

JSON = {"Content-Type": "application/json"}
ROLES = (None, *Role)
DRAWN = {"nodes": [{"id": "a", "dpid": 100}, {"id": "x", "dpid": 200}], "edges": [{"source": "a", "target": "x"}]}
OWNED = (
    "network",
    "empty",
    "subnet",
    "unused",
    "port",
    "moving",
    "unplugged",
    "move",
    "subnetpool",
    "share",
    "security_group",
    "rule",
    "address_group",
    "qos_policy",
    "trunk",
    "tap_service",
    "tap_flow",
)
NEW_POOL = {"name": "new", "prefixes": ["10.6.0.0/16"]}
NEW_SUB_PORT = {"port_id": "{free}", "segmentation_type": "vlan", "segmentation_id": 8}
NEW_SHARE = {
    "object_type": "network",
    "object_id": "{network}",
    "action": "access_as_shared",
    "target_tenant": "spare",
}
NEW_TAP_FLOW = {"tap_service_id": "{tap_service}", "source_port": "{moving}", "direction": "BOTH"}
REQUESTS: dict[str, tuple[str, str, object]] = {
    "discovery.list_versions": ("GET", "/", None),
    "discovery.list_resources": ("GET", "/v2.0/", None),
    "openapi_document": ("GET", "/openapi.json", None),
    "documents.page": ("GET", "/docs", None),
    "documents.start": ("GET", "/docs/start.js", None),
    "documents.file": ("GET", "/docs/css/swagger-ui.css", None),
    "operations.show_health": ("GET", "/v1/health", None),
    "discovery.list_extensions": ("GET", "/v2.0/extensions", None),
    "discovery.show_extension": ("GET", "/v2.0/extensions/binding", None),
    "networks.list_networks": ("GET", "/v2.0/networks", None),
    "networks.show_network": ("GET", "/v2.0/networks/{network}", None),
    "networks.create_network": ("POST", "/v2.0/networks", {"network": {}}),
    "networks.update_network": ("PUT", "/v2.0/networks/{network}", {"network": {"name": "new"}}),
    "networks.delete_network": ("DELETE", "/v2.0/networks/{empty}", None),
    "subnets.list_subnets": ("GET", "/v2.0/subnets", None),
    "subnets.show_subnet": ("GET", "/v2.0/subnets/{subnet}", None),
    "subnets.create_subnet": ("POST", "/v2.0/subnets", {"subnet": {"network_id": "{empty}", "cidr": "10.5.0.0/24"}}),
    "subnets.update_subnet": ("PUT", "/v2.0/subnets/{subnet}", {"subnet": {"name": "new"}}),
    "subnets.delete_subnet": ("DELETE", "/v2.0/subnets/{unused}", None),
    "ports.list_ports": ("GET", "/v2.0/ports", None),
    "ports.show_port": ("GET", "/v2.0/ports/{port}", None),
    "ports.create_port": ("POST", "/v2.0/ports", {"port": {"network_id": "{network}"}}),
    "ports.update_port": ("PUT", "/v2.0/ports/{port}", {"port": {"name": "new"}}),
    "ports.delete_port": ("DELETE", "/v2.0/ports/{port}", None),
    "subnetpools.list_subnetpools": ("GET", "/v2.0/subnetpools", None),
    "subnetpools.show_subnetpool": ("GET", "/v2.0/subnetpools/{subnetpool}", None),
    "subnetpools.create_subnetpool": ("POST", "/v2.0/subnetpools", {"subnetpool": NEW_POOL}),
    "subnetpools.update_subnetpool": ("PUT", "/v2.0/subnetpools/{subnetpool}", {"subnetpool": {"name": "new"}}),
    "subnetpools.delete_subnetpool": ("DELETE", "/v2.0/subnetpools/{subnetpool}", None),
    "taas.list_tap_services": ("GET", "/v2.0/taas/tap_services", None),
    "taas.show_tap_service": ("GET", "/v2.0/taas/tap_services/{tap_service}", None),
    "taas.create_tap_service": ("POST", "/v2.0/taas/tap_services", {"tap_service": {"port_id": "{port}"}}),
    "taas.update_tap_service": ("PUT", "/v2.0/taas/tap_services/{tap_service}", {"tap_service": {"name": "new"}}),
    "taas.delete_tap_service": ("DELETE", "/v2.0/taas/tap_services/{tap_service}", None),
    "taas.list_tap_flows": ("GET", "/v2.0/taas/tap_flows", None),
    "taas.show_tap_flow": ("GET", "/v2.0/taas/tap_flows/{tap_flow}", None),
    "taas.create_tap_flow": ("POST", "/v2.0/taas/tap_flows", {"tap_flow": NEW_TAP_FLOW}),
    "taas.update_tap_flow": ("PUT", "/v2.0/taas/tap_flows/{tap_flow}", {"tap_flow": {"name": "new"}}),
    "taas.delete_tap_flow": ("DELETE", "/v2.0/taas/tap_flows/{tap_flow}", None),
    "rbac.list_rbac_policies": ("GET", "/v2.0/rbac-policies", None),
    "rbac.show_rbac_policy": ("GET", "/v2.0/rbac-policies/{share}", None),
    "rbac.create_rbac_policy": ("POST", "/v2.0/rbac-policies", {"rbac_policy": NEW_SHARE}),
    "rbac.update_rbac_policy": ("PUT", "/v2.0/rbac-policies/{share}", {"rbac_policy": {"target_tenant": "any"}}),
    "rbac.delete_rbac_policy": ("DELETE", "/v2.0/rbac-policies/{share}", None),
    "security_groups.list_security_groups": ("GET", "/v2.0/security-groups", None),
    "security_groups.show_security_group": ("GET", "/v2.0/security-groups/{security_group}", None),
    "security_groups.create_security_group": ("POST", "/v2.0/security-groups", {"security_group": {}}),
    "security_groups.update_security_group": (
        "PUT",
        "/v2.0/security-groups/{security_group}",
        {"security_group": {"name": "new"}},
    ),
    "security_groups.delete_security_group": ("DELETE", "/v2.0/security-groups/{security_group}", None),
    "security_group_rules.list_security_group_rules": ("GET", "/v2.0/security-group-rules", None),
    "security_group_rules.show_security_group_rule": ("GET", "/v2.0/security-group-rules/{rule}", None),
    "security_group_rules.create_security_group_rule": (
        "POST",
        "/v2.0/security-group-rules",
        {"security_group_rule": {"security_group_id": "{security_group}", "direction": "ingress"}},
    ),
    "security_group_rules.delete_security_group_rule": ("DELETE", "/v2.0/security-group-rules/{rule}", None),
    "address_groups.list_address_groups": ("GET", "/v2.0/address-groups", None),
    "address_groups.show_address_group": ("GET", "/v2.0/address-groups/{address_group}", None),
    "address_groups.create_address_group": ("POST", "/v2.0/address-groups", {"address_group": {}}),
    "address_groups.update_address_group": (
        "PUT",
        "/v2.0/address-groups/{address_group}",
        {"address_group": {"name": "new"}},
    ),
    "address_groups.add_addresses": (
        "PUT",
        "/v2.0/address-groups/{address_group}/add_addresses",
        {"addresses": ["10.0.0.0/8"]},
    ),
    "address_groups.remove_addresses": (
        "PUT",
        "/v2.0/address-groups/{address_group}/remove_addresses",
        {"addresses": ["192.0.2.0/24"]},
    ),
    "address_groups.delete_address_group": ("DELETE", "/v2.0/address-groups/{address_group}", None),
    "quotas.list_quotas": ("GET", "/v2.0/quotas", None),
    "quotas.show_quota": ("GET", "/v2.0/quotas/team", None),
    "quotas.show_default_quota": ("GET", "/v2.0/quotas/team/default", None),
    "quotas.show_quota_details": ("GET", "/v2.0/quotas/team/details.json", None),
    "quotas.show_quota_usage": ("GET", "/v2.0/quotas/team/details", None),
    "quotas.update_quota": ("PUT", "/v2.0/quotas/team", {"quota": {"port": 9}}),
    "quotas.delete_quota": ("DELETE", "/v2.0/quotas/spare", None),
    "lookup.show_identity_version": ("GET", "/v3", None),
    "lookup.look_up_projects": ("GET", "/v3/projects", None),
    "lookup.look_up_project": ("GET", "/v3/projects/team", None),
    "agents.list_agents": ("GET", "/v2.0/agents", None),
    "agents.show_agent": ("GET", "/v2.0/agents/{agent}", None),
    "agents.list_availability_zones": ("GET", "/v2.0/availability_zones", None),
    "agents.list_service_providers": ("GET", "/v2.0/service-providers", None),
    "availability.list_network_ip_availabilities": ("GET", "/v2.0/network-ip-availabilities", None),
    "availability.show_network_ip_availability": ("GET", "/v2.0/network-ip-availabilities/{network}", None),
    "bindings.list_bindings": ("GET", "/v2.0/ports/{port}/bindings", None),
    "bindings.show_binding": ("GET", "/v2.0/ports/{port}/bindings/h1", None),
    "bindings.create_binding": ("POST", "/v2.0/ports/{port}/bindings", {"binding": {"host": "h2"}}),
    "bindings.update_binding": ("PUT", "/v2.0/ports/{port}/bindings/h1", {"binding": {"vnic_type": "normal"}}),
    "bindings.activate_binding": ("PUT", "/v2.0/ports/{moving}/bindings/h2/activate", None),
    "bindings.delete_binding": ("DELETE", "/v2.0/ports/{moving}/bindings/h2", None),
    "multicast.show_multicast": ("GET", "/v1/networks/{network}/multicast", None),
    "events.follow_events": ("GET", "/v1/events?follow=false", None),
    "operations.list_moves": ("GET", "/v1/moves", None),
    "operations.show_move": ("GET", "/v1/moves/{move}", None),
    "drops.list_drops": ("GET", "/v1/ports/{unplugged}/drops", None),
    "operations.list_hosts": ("GET", "/v1/hosts", None),
    "evacuations.evacuate_host": ("POST", "/v1/hosts/h2/evacuate", {"evacuation": {}}),
    "evacuations.show_evacuation": ("GET", "/v1/hosts/h3/evacuation", None),
    "evacuations.end_evacuation": ("DELETE", "/v1/hosts/h3/evacuation", None),
    "directory.look_up": ("POST", "/v1/directory/lookups", {"lookups": [{"vni": 1, "address": "10.0.0.2"}]}),
    "metrics.scrape": ("GET", "/metrics", None),
    "operations.list_paths": ("GET", "/v1/paths?from=h1&to=h1", None),
    "operations.show_topology": ("GET", "/v1/topology", None),
    "operations.show_load": ("GET", "/v1/topology/load", None),
    "topology.show_policy": ("GET", "/v1/topology/policy", None),
    "topology.update_policy": ("PUT", "/v1/topology/policy", {"policy": {"name": "vlb"}}),
    "topology.list_switches": ("GET", "/v1/topology/switches", None),
    "topology.show_switch": ("GET", "/v1/topology/switches/0000000000000064", None),
    "topology.update_switch": ("PUT", "/v1/topology/switches/00000000000000c8", {"switch": {"maintenance": True}}),
    "topology.delete_switch": ("DELETE", "/v1/topology/switches/00000000000000c9", None),
    "qos.list_qos_policies": ("GET", "/v2.0/qos/policies", None),
    "qos.show_qos_policy": ("GET", "/v2.0/qos/policies/{qos_policy}", None),
    "qos.create_qos_policy": ("POST", "/v2.0/qos/policies", {"policy": {"name": "new"}}),
    "qos.update_qos_policy": ("PUT", "/v2.0/qos/policies/{qos_policy}", {"policy": {"name": "new"}}),
    "qos.delete_qos_policy": ("DELETE", "/v2.0/qos/policies/{qos_policy}", None),
    "qos.list_qos_rule_types": ("GET", "/v2.0/qos/rule-types", None),
    "qos.show_qos_rule_type": ("GET", "/v2.0/qos/rule-types/dscp_marking", None),
    "topology.list_links": ("GET", "/v1/topology/links", None),
    "topology.show_link": ("GET", "/v1/topology/links/0000000000000064:1", None),
    "topology.update_link": ("PUT", "/v1/topology/links/0000000000000064:1", {"link": {"weight": 2}}),
    "intended.show_intended": ("GET", "/v1/topology/intended", None),
    "intended.update_intended": ("PUT", "/v1/topology/intended", {"intended": {"format": "json", "document": DRAWN}}),
    "intended.delete_intended": ("DELETE", "/v1/topology/intended", None),
    "intended.list_differences": ("GET", "/v1/topology/differences", None),
    "identities.list_projects": ("GET", "/v1/projects", None),
    "identities.show_project": ("GET", "/v1/projects/team", None),
    "identities.create_project": ("POST", "/v1/projects", {"project": {"name": "new"}}),
    "identities.delete_project": ("DELETE", "/v1/projects/spare", None),
    "identities.list_tokens": ("GET", "/v1/tokens", None),
    "identities.show_token": ("GET", "/v1/tokens/{token}", None),
    "trunks.list_trunks": ("GET", "/v2.0/trunks", None),
    "trunks.show_trunk": ("GET", "/v2.0/trunks/{trunk}", None),
    "trunks.create_trunk": ("POST", "/v2.0/trunks", {"trunk": {"port_id": "{parent}"}}),
    "trunks.update_trunk": ("PUT", "/v2.0/trunks/{trunk}", {"trunk": {"name": "new"}}),
    "trunks.delete_trunk": ("DELETE", "/v2.0/trunks/{trunk}", None),
    "trunks.add_sub_ports": ("PUT", "/v2.0/trunks/{trunk}/add_subports", {"sub_ports": [NEW_SUB_PORT]}),
    "trunks.remove_sub_ports": ("PUT", "/v2.0/trunks/{trunk}/remove_subports", {"sub_ports": [{"port_id": "{sub}"}]}),
    "trunks.list_sub_ports": ("GET", "/v2.0/trunks/{trunk}/get_subports", None),
    "identities.create_token": ("POST", "/v1/tokens", {"token": {"project": "spare"}}),
    "identities.delete_token": ("DELETE", "/v1/tokens/{token}", None),
}
"""A request for each endpoint that can be carried out in the scene by whoever may."""

for noun, said in (("bandwidth_limit", {"max_kbps": 9, "direction": "ingress"}), ("dscp_marking", {"dscp_mark": 8})):
    name, alias = f"{noun}_rule", f"alias_{noun}_rule"
    path = f"/v2.0/qos/policies/{{qos_policy}}/{name}s"
    alone = f"/v2.0/qos/alias-{noun.replace('_', '-')}-rules/{{{noun}}}"
    REQUESTS[f"qos_rules.list_{name}s"] = ("GET", path, None)
    REQUESTS[f"qos_rules.create_{name}"] = ("POST", path.replace("qos_policy", "bare_policy"), {name: said})
    for beginning, place, key in (("", f"{path}/{{{noun}}}", name), ("alias_", alone, alias)):
        REQUESTS[f"qos_rules.show_{beginning}{name}"] = ("GET", place, None)
        REQUESTS[f"qos_rules.update_{beginning}{name}"] = ("PUT", place, {key: said})
        REQUESTS[f"qos_rules.delete_{beginning}{name}"] = ("DELETE", place, None)
for noun in ("minimum_bandwidth", "minimum_packet_rate", "packet_rate_limit"):
    path = f"/v2.0/qos/policies/{{qos_policy}}/{noun}_rules"
    REQUESTS[f"qos_rules.create_{noun}_rule"] = ("POST", path, {f"{noun}_rule": {}})

PLACES = {noun: "qos/policies" if noun == "qos_policy" else f"{noun.replace('_', '-')}s" for noun in TAGGED}
for noun, place in PLACES.items():
    path = f"/v2.0/{place}/{{{noun}}}/tags"
    REQUESTS[f"{noun}_tags.list_tags"] = ("GET", path, None)
    REQUESTS[f"{noun}_tags.show_tag"] = ("GET", f"{path}/old", None)
    REQUESTS[f"{noun}_tags.replace_tags"] = ("PUT", path, {"tags": ["new"]})
    REQUESTS[f"{noun}_tags.add_tags"] = ("POST", path, {"tags": ["new"]})
    REQUESTS[f"{noun}_tags.add_tag"] = ("PUT", f"{path}/new", None)
    REQUESTS[f"{noun}_tags.delete_tags"] = ("DELETE", path, None)
    REQUESTS[f"{noun}_tags.delete_tag"] = ("DELETE", f"{path}/old", None)


class Scene:
    """A project ``team`` with a network of its own, and a token for each role in it and in ``others``."""

    def __init__(self, edge: Any, op: Any, desk: Any) -> None:  # noqa: PLR0915  (one of each)
        self.edge = edge
        self.op = op
        owner = desk.owner
        for number in (1, 2, 3):
            la = IPv4Address(f"10.0.{number}.11")
            host = Host(HostName(f"h{number}"), la, DatapathId(0x564C << 48 | number), tunnel_port=1)
            owner.turn(HostSeen(host))
        for project in ("team", "others", "spare"):
            owner.enrol(CreateProject(project))
        self.names: dict[str, str] = {
            "network": op.make("network", project_id="team")["id"],
            "empty": op.make("network", project_id="team")["id"],
        }
        network = self.names["network"]
        self.names["subnet"] = op.make("subnet", network_id=network, cidr="10.0.0.0/24")["id"]
        self.names["unused"] = op.make("subnet", network_id=network, cidr="10.1.0.0/24")["id"]
        for name in ("port", "moving"):
            fixed = [{"subnet_id": self.names["subnet"]}]
            made = op.make("port", network_id=network, fixed_ips=fixed, **{"binding:host_id": "h1"})
            self.names[name] = made["id"]
            owner.turn(Plugged(HostName("h1"), made["id"], 5))
        self.names["unplugged"] = op.make("port", network_id=network, fixed_ips=[])["id"]
        self.names["subnetpool"] = "pool"
        desk.submit(CreateSubnetPool("pool", "team", "pool", (IPv4Network("10.4.0.0/16"),)))
        for name in ("carrier", "parent", "sub", "free"):
            self.names[name] = op.make("port", network_id=network, fixed_ips=[])["id"]
        self.names["trunk"] = "trunk"
        sub = SubPort(self.names["sub"], 7)
        desk.submit(CreateTrunk("trunk", "team", self.names["carrier"], sub_ports=(sub,)))
        for policy in ("qos_policy", "bare_policy"):
            self.names[policy] = policy
            desk.submit(CreateQosPolicy(policy, "team"))
        self.names |= {"bandwidth_limit": "limit", "dscp_marking": "mark"}
        desk.submit(AddQosRule("qos_policy", BandwidthLimit("limit", 1000)))
        desk.submit(AddQosRule("qos_policy", DscpMarking("mark", 46)))
        self.names |= {"tap_service": "tap-service", "tap_flow": "tap-flow"}
        desk.submit(CreateTapService("tap-service", "team", self.names["port"]))
        desk.submit(CreateTapFlow("tap-flow", "team", "tap-service", self.names["moving"], TapDirection.IN))
        self.names["share"] = "share"
        desk.submit(CreateShare("share", "team", Shareable.NETWORK, self.names["empty"], "spare"))
        desk.submit(SetQuota("spare", {Countable.PORT: 9}))
        self.names["agent"] = op("GET", "/v2.0/agents").body["agents"][0]["id"]
        group = op.make_at("security-groups", "security_group", project_id="team")
        self.names["security_group"] = group["id"]
        self.names["rule"] = group["security_group_rules"][0]["id"]
        addresses = op.make_at("address-groups", "address_group", project_id="team", addresses=["192.0.2.0/24"])
        self.names["address_group"] = addresses["id"]
        for noun, place in PLACES.items():
            assert op("PUT", f"/v2.0/{place}/{self.names[noun]}/tags", {"tags": ["old"]}).status == 200
        answer = op("POST", f"/v2.0/ports/{self.names['moving']}/bindings", {"binding": {"host": "h2"}})
        assert answer.status == 201, answer
        (move,) = op("GET", "/v1/moves").body["moves"]
        self.names["move"] = move["id"]
        intended = {"intended": {"format": "json", "document": DRAWN}}
        assert op("PUT", "/v1/topology/intended", intended).status == 200
        owner.disconnect(201)
        self.tokens: dict[tuple[str, Role], str] = {}
        for project in ("spare", "team", "others"):
            for role in Role:
                id_ = f"{len(self.tokens):016x}"
                secret = token(id_, f"{len(self.tokens):043d}")
                owner.enrol(IssueToken(id_, project, "ann", frozenset({role}), digest(secret)))
                self.tokens[project, role] = secret
        self.names["token"] = f"{0:016x}"
        desk.submit(Evacuate(HostName("h3")))

    def ask(self, rule: Rule, role: Role | None, project: str = "team") -> Any:
        """Do what a rule is about as somebody who has a role in a project, or who has no token."""
        method, path, body = REQUESTS[rule.endpoint]
        client = self.edge.as_(None if role is None else self.tokens[project, role])
        for name, id_ in self.names.items():
            path = path.replace(f"{{{name}}}", id_)
        if body is None:
            return client(method, path)
        text = json.dumps(body)
        for name, id_ in self.names.items():
            text = text.replace(f"{{{name}}}", id_)
        return client.raw(method, path, text.encode(), JSON)


@pytest.fixture
def scene(edge, op, desk) -> Scene:
    """The scene, on a real owner's desk."""
    return Scene(edge, op, desk)


def test_every_endpoint_has_a_rule() -> None:
    """The table speaks of each endpoint once, and of nothing else."""
    app = build(None, Token("x"), {})  # type: ignore[arg-type]  # nothing is asked of the service
    assert sorted(rule.endpoint for rule in RULES) == sorted({rule.endpoint for rule in app.url_map.iter_rules()})
    assert len({(rule.resource, rule.action) for rule in RULES}) == len(RULES)
    assert set(REQUESTS) == {rule.endpoint for rule in RULES}


def test_what_is_forgotten_is_the_operators() -> None:
    """An endpoint that is not in the table is for admins alone, and counts as a change."""
    rule = rule_of("somewhere.new")
    assert (rule.role, rule.changes) == (Role.ADMIN, True)


@pytest.mark.parametrize("role", ROLES, ids=str)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.resource}-{rule.action}")
def test_the_table_is_what_happens(scene: Scene, rule: Rule, role: Role | None) -> None:
    """Who has the role that the table wants does it; another one is answered 403, and who has no token 401."""
    answer = scene.ask(rule, role)
    if rule.role is None or (role is not None and role.includes(rule.role)):
        # No switch confirms anything in this scene, so the destination of the move never becomes ready.
        wanted = {504} if rule.endpoint == "bindings.activate_binding" else {200, 201, 204}
        if rule.resource == "QoS rule":  # of a type that cannot be had
            wanted = {400}
        assert answer.status in wanted, answer
    elif role is None:
        assert (answer.status, answer.error["type"]) == (401, "Unauthorized")
    else:
        assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")


@pytest.mark.parametrize("role", [Role.READER, Role.MEMBER])
@pytest.mark.parametrize(
    "rule",
    [rule for rule in RULES if any(f"/{{{name}}}" in REQUESTS[rule.endpoint][1] for name in OWNED)],
    ids=lambda rule: f"{rule.resource}-{rule.action}",
)
def test_anothers_object_is_not_there_whatever_one_may_do(scene: Scene, rule: Rule, role: Role) -> None:
    """An object of another project is answered 404 and never 403, whether the action would be allowed or not."""
    answer = scene.ask(rule, role, "others")
    assert answer.status == 404, answer


def _besides_default_group(answer: Any) -> list[Any]:
    """What a list of project ``others`` holds besides the default group, and its rules, that it has from then on."""
    (things,) = answer.body.values()
    return [thing for thing in things if thing.get("project_id") != "others"]


@pytest.mark.parametrize("role", [Role.READER, Role.MEMBER])
@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.scope is Scope.OWN and rule.action == "list"])
def test_a_list_is_ones_own(scene: Scene, rule: Rule, role: Role) -> None:
    """A list holds what belongs to the caller's project, for each of its roles; an admin's list holds all."""
    (mine,) = scene.ask(rule, role).body.values()
    theirs, everything = (_besides_default_group(scene.ask(rule, whose, "others")) for whose in (role, Role.ADMIN))
    assert (bool(mine), theirs, len(everything)) == (True, [], len(mine))


@pytest.mark.parametrize("role", list(Role))
def test_attributes_of_the_operators(scene: Scene, role: Role) -> None:
    """The attributes of the second table are shown to admins and to nobody else."""
    for rule in RULES:
        if rule.action == "show" and rule.resource in OPERATORS:
            (shown,) = scene.ask(rule, role).body.values()
            assert OPERATORS[rule.resource] & shown.keys() == (
                OPERATORS[rule.resource] if role is Role.ADMIN else frozenset()
            )


def test_an_admin_with_a_project(scene: Scene) -> None:
    """What an admin makes without naming a project is its own project's, or its network's; it may name any."""
    admin = scene.edge.as_(scene.tokens["others", Role.ADMIN])
    assert admin.make("network")["project_id"] == "others"
    assert admin.make("port", network_id=scene.names["network"])["project_id"] == "team"
    assert admin.make("network", project_id="spare")["project_id"] == "spare"


def test_the_table_reads_as_it_is() -> None:
    """The printed table has a row for each rule, and says of each role how far it reaches."""
    rows = [line for line in document().splitlines() if line.startswith("| network ")]
    assert rows[0] == "| network | list | – | its project's | its project's | all |"
    assert rows[2] == "| network | create | – | – | its project's | all |"
    assert "| host | list | – | – | – | all |" in document()
    assert "| health | show | all | all | all | all |" in document()
    assert document().count("\n| ") == len(RULES) + len(OPERATORS) + 1
