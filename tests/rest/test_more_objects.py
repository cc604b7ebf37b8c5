"""Subnet pools, shares, quotas, agents and what else Neutron's clients ask for."""

from __future__ import annotations

import pytest

from controller.rest.discovery import EXTENSIONS

CHECKS = {
    "address-group": lambda op: op.make_at("address-groups", "address_group", addresses=["10.0.0.0/8"])["addresses"],
    "allowed-address-pairs": lambda op: op.make(
        "port", network_id=_net(op), allowed_address_pairs=[{"ip_address": "10.0.0.9"}]
    )["allowed_address_pairs"],
    "agent": lambda op: op("GET", "/v2.0/agents").body["agents"],
    "availability_zone": lambda op: op("GET", "/v2.0/availability_zones").body["availability_zones"],
    "binding": lambda op: (
        op.make("port", network_id=_net(op), **{"binding:host_id": "h1"})["binding:vif_type"] == "ovs"
    ),
    "binding-extended": lambda op: op("GET", f"/v2.0/ports/{_bound(op)}/bindings").body["bindings"],
    "extra_dhcp_opt": lambda op: op.make(
        "port", network_id=_net(op), extra_dhcp_opts=[{"opt_name": "mtu", "opt_value": "1400"}]
    )["extra_dhcp_opts"],
    "default-subnetpools": lambda op: _cut(op, use_default_subnetpool=True, ip_version=4),
    "dns-integration": lambda op: op.make("port", network_id=_net(op), dns_name="web")["dns_assignment"] == [],
    "empty-string-filtering": lambda op: _net(op) and op("GET", "/v2.0/networks?description=").body["networks"],
    "filter-validation": lambda op: op("GET", "/v2.0/networks?colour=red").status == 400,
    "ip-substring-filtering": lambda op: op("GET", "/v2.0/ports?fixed_ips=ip_address_substr=10.").status == 200,
    "net-mtu": lambda op: op.make("network")["mtu"] > 0,
    "net-mtu-writable": lambda op: op.make("network", mtu=1300)["mtu"] == 1300,
    "network-ip-availability": lambda op: op("GET", f"/v2.0/network-ip-availabilities/{_net(op)}").status == 200,
    "network_availability_zone": lambda op: op.make("network")["availability_zones"],
    "pagination": lambda op: _net(op) and op("GET", "/v2.0/networks?limit=1").body["networks_links"],
    "port-security": lambda op: not op.make("network", port_security_enabled=False)["port_security_enabled"],
    "port-security-groups-filtering": lambda op: (
        op.make("port", network_id=_net(op)) and not op("GET", "/v2.0/ports?security_groups=x").body["ports"]
    ),
    "project-id": lambda op: op.make("network")["project_id"],
    "provider": lambda op: op.make("network")["provider:segmentation_id"],
    "qos": lambda op: op("GET", f"/v2.0/qos/policies/{_limited(op)[0]}").body["policy"]["rules"],
    "qos-bw-limit-direction": lambda op: _limited(op)[1]["direction"] == "egress",
    "qos-default": lambda op: _limited(op, is_default=True)[0] == op.make("network")["qos_policy_id"],
    "qos-port-network-policy": lambda op: (
        _limited(op, is_default=True)[0] == op.make("port", network_id=_net(op))["qos_network_policy_id"]
    ),
    "qos-rule-type-details": lambda op: op("GET", "/v2.0/qos/rule-types/dscp_marking").body["rule_type"]["drivers"],
    "qos-rules-alias": lambda op: (
        op("GET", f"/v2.0/qos/alias-bandwidth-limit-rules/{_limited(op)[1]['id']}").status == 200
    ),
    "quota-check-limit": lambda op: (
        _net(op) and op("PUT", "/v2.0/quotas/operator", {"quota": {"network": 0, "check_limit": True}}).status == 400
    ),
    "quota_details": lambda op: "used" in op("GET", "/v2.0/quotas/p/details.json").body["quota"]["port"],
    "quotas": lambda op: op("PUT", "/v2.0/quotas/p", {"quota": {"port": 3}}).body["quota"]["port"] == 3,
    "rbac-policies": lambda op: op("GET", "/v2.0/rbac-policies").status == 200,
    "rbac-subnetpool": lambda op: _share(op, _pool(op)["id"], "red", "subnetpool").status == 201,
    "revision-if-match": lambda op: (
        op.raw("DELETE", f"/v2.0/networks/{_net(op)}", headers={"If-Match": "revision_number=99"}).status == 412
    ),
    "security-group": lambda op: op("GET", "/v2.0/security-groups").body["security_groups"],
    "security-groups-remote-address-group": lambda op: (
        op("GET", "/v2.0/security-group-rules?remote_address_group_id=").status == 200
    ),
    "service-type": lambda op: op("GET", "/v2.0/service-providers").body == {"service_providers": []},
    "sorting": lambda op: op("GET", "/v2.0/networks?sort_key=name&sort_dir=desc").status == 200,
    "standard-attr-description": lambda op: op.make("network", description="d")["description"] == "d",
    "standard-attr-revisions": lambda op: op.make("network")["revision_number"],
    "standard-attr-tag": lambda op: op("PUT", f"/v2.0/networks/{_net(op)}/tags/blue").status == 201,
    "standard-attr-timestamp": lambda op: op.make("network")["created_at"].endswith("Z"),
    "subnet_allocation": lambda op: _cut(op, subnetpool_id=_pool(op)["id"]),
    "taas": lambda op: op("GET", "/v2.0/taas/tap_flows").body == {"tap_flows": []},
    "tag-ports-during-bulk-creation": lambda op: (
        op("POST", "/v2.0/ports", {"ports": [{"network_id": _net(op), "tags": ["a"]}]}).body["ports"][0]["tags"]
        == ["a"]
    ),
    "trunk": lambda op: op("GET", f"/v2.0/trunks/{_trunk(op)['id']}/get_subports").body["sub_ports"],
    "trunk-details": lambda op: op("GET", f"/v2.0/ports/{_trunk(op)['port_id']}").body["port"]["trunk_details"][
        "sub_ports"
    ],
    "vlan-transparent": lambda op: op.make("network", vlan_transparent=True)["vlan_transparent"],
}


def _net(op) -> str:
    return op.make("network")["id"]


def _limited(op, **fields: object) -> tuple[str, dict[str, object]]:
    policy = op("POST", "/v2.0/qos/policies", {"policy": fields}).body["policy"]["id"]
    wish = {"bandwidth_limit_rule": {"max_kbps": 1000}}
    answer = op("POST", f"/v2.0/qos/policies/{policy}/bandwidth_limit_rules", wish)
    return policy, answer.body["bandwidth_limit_rule"]


def _trunk(op) -> dict[str, object]:
    parent, sub = (op.make("port", network_id=_net(op))["id"] for _ in range(2))
    carried = {"port_id": sub, "segmentation_type": "vlan", "segmentation_id": 7}
    return op.make("trunk", port_id=parent, sub_ports=[carried])


def _bound(op) -> str:
    return op.make("port", network_id=_net(op), **{"binding:host_id": "h1"})["id"]


def _pool(op, **fields: object) -> dict[str, object]:
    return op.make("subnetpool", **{"name": "p", "prefixes": ["10.0.0.0/8"], "default_prefixlen": 26, **fields})


def _cut(op, **fields: object) -> bool:
    if fields.get("use_default_subnetpool"):
        _pool(op, is_default=True)
    return op.make("subnet", network_id=_net(op), **fields)["cidr"] == "10.0.0.0/26"


@pytest.mark.parametrize("alias", sorted(EXTENSIONS))
def test_a_declared_extension_works(op, alias: str) -> None:
    """What is in the list of extensions is there; nothing else is in it."""
    assert op("GET", f"/v2.0/extensions/{alias}").body["extension"]["alias"] == alias
    assert CHECKS[alias](op)


def test_every_check_is_of_a_declared_extension() -> None:
    """An extension that works is declared."""
    assert set(CHECKS) == set(EXTENSIONS)


def test_every_resource_of_the_version_document_is_where_it_says(op, edge) -> None:
    """Each collection that `/v2.0/` names answers a list by that name."""
    for resource in edge.as_(None)("GET", "/v2.0/").body["resources"]:
        path = resource["links"][0]["href"].split("/", 3)[3]
        answer = op("GET", f"/{path}")
        assert answer.status == 200, resource
        assert resource["collection"] in answer.body, resource


# --- subnet pools -----------------------------------------------------------------------------------------------------


def test_a_subnet_pool_lives_and_dies(blue) -> None:
    """A project makes a pool, changes it, cuts subnets of it and deletes it when none is left."""
    pool = _pool(blue, default_quota=1000)
    path = f"/v2.0/subnetpools/{pool['id']}"
    expected = {"ip_version": 4, "min_prefixlen": 8, "max_prefixlen": 32, "shared": False, "is_default": False}
    assert expected.items() <= pool.items()
    network = blue.make("network")
    subnet = blue.make("subnet", network_id=network["id"], subnetpool_id=pool["id"], prefixlen=24)
    other = blue.make("subnet", network_id=network["id"], subnetpool_id=pool["id"])
    assert (subnet["cidr"], other["cidr"]) == ("10.0.0.0/24", "10.0.1.0/26")
    assert blue("DELETE", path).error["type"] == "SubnetPoolInUse"
    grown = blue("PUT", path, {"subnetpool": {"prefixes": ["10.0.0.0/8", "192.168.0.0/16"], "name": "q"}})
    assert grown.body["subnetpool"]["prefixes"] == ["10.0.0.0/8", "192.168.0.0/16"]
    assert blue("PUT", path, {"subnetpool": {"prefixes": ["10.0.0.0/9"]}}).error["type"] == (
        "IllegalSubnetPoolPrefixUpdate"
    )
    wish = {"network_id": network["id"], "subnetpool_id": pool["id"], "prefixlen": 22}
    exceeded = blue("POST", "/v2.0/subnets", {"subnet": wish})
    assert (exceeded.status, exceeded.error["type"]) == (409, "SubnetPoolQuotaExceeded")
    for made in (subnet, other):
        assert blue("DELETE", f"/v2.0/subnets/{made['id']}").status == 204
    assert blue("DELETE", path).status == 204
    assert blue("GET", path).error["type"] == "SubnetPoolNotFound"


def test_a_foreign_pool_does_not_exist_unless_it_is_shared(op, blue, red) -> None:
    """A pool is its project's alone; shared, others cut of it but do not change it."""
    pool = _pool(blue)
    path = f"/v2.0/subnetpools/{pool['id']}"
    assert red("GET", path).status == 404
    assert red("GET", "/v2.0/subnetpools").body["subnetpools"] == []
    assert red("DELETE", path).status == 404
    everybodys = _pool(op, shared=True)
    assert [seen["id"] for seen in red("GET", "/v2.0/subnetpools").body["subnetpools"]] == [everybodys["id"]]
    assert red("PUT", f"/v2.0/subnetpools/{everybodys['id']}", {"subnetpool": {"name": "mine"}}).status == 403
    assert red.make("subnet", network_id=_net(red), subnetpool_id=everybodys["id"])["cidr"] == "10.0.0.0/26"


@pytest.mark.parametrize("fields", [{"shared": True}, {"is_default": True}])
def test_only_the_operator_says_what_concerns_all(blue, fields: dict[str, bool]) -> None:
    """Sharing a pool with everybody, and making it the default, is not a tenant's."""
    answer = blue("POST", "/v2.0/subnetpools", {"subnetpool": {"name": "p", "prefixes": ["10.0.0.0/8"], **fields}})
    assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")
    assert next(iter(fields)) in answer.error["message"]


# --- shares -----------------------------------------------------------------------------------------------------------


def _share(client, object_id: str, target: str, kind: str = "network"):
    return client(
        "POST",
        "/v2.0/rbac-policies",
        {
            "rbac_policy": {
                "object_type": kind,
                "object_id": object_id,
                "action": "access_as_shared",
                "target_tenant": target,
            }
        },
    )


def test_a_network_is_shared_with_one_project(blue, red) -> None:
    """Whoever it is shared with sees it and makes ports in it; taken back only when none of them is left."""
    network = blue.make("network", name="ours")
    path = f"/v2.0/networks/{network['id']}"
    assert red("GET", path).status == 404
    made = _share(blue, network["id"], "red")
    assert made.status == 201
    policy = made.body["rbac_policy"]
    assert policy["target_project"] == "red"
    assert red("GET", path).body["network"]["shared"] is True
    assert red("PUT", path, {"network": {"name": "mine"}}).status == 403
    port = red.make("port", network_id=network["id"])
    assert port["project_id"] == "red"
    gone = f"/v2.0/rbac-policies/{policy['id']}"
    assert red("DELETE", gone).status == 404, "the share is its owner's"
    assert blue("DELETE", gone).error["type"] == "RbacPolicyInUse"
    assert red("DELETE", f"/v2.0/ports/{port['id']}").status == 204
    assert blue("DELETE", gone).status == 204
    assert red("GET", path).status == 404


def test_the_same_share_is_made_once(blue) -> None:
    """A second one like it is refused."""
    network = _net(blue)
    assert _share(blue, network, "red").status == 201
    assert _share(blue, network, "red").error["type"] == "RbacPolicyExists"


def test_only_the_operator_shares_with_all(op, blue, red) -> None:
    """A tenant cannot thrust its network on everybody."""
    network = _net(blue)
    assert _share(blue, network, "*").status == 403
    assert _share(op, network, "*").status == 201
    assert red("GET", f"/v2.0/networks/{network}").body["network"]["shared"] is True


def test_nobody_shares_what_is_not_theirs(blue, red, unchanged) -> None:
    """What one does not see is not found, and what one only sees is not one's to share."""
    network = _net(blue)
    pool = _pool(blue)["id"]
    unchanged()
    assert _share(red, network, "red").status == 404
    assert _share(red, pool, "red", "subnetpool").status == 404


# --- quotas -----------------------------------------------------------------------------------------------------------


def test_a_quota_is_kept(op, blue, red) -> None:
    """One more than a project may have is refused in Neutron's words; others are not concerned; it can be reset."""
    assert op("PUT", "/v2.0/quotas/blue", {"quota": {"network": 1}}).body["quota"]["network"] == 1
    _net(blue)
    refused = blue("POST", "/v2.0/networks", {"network": {}})
    assert (refused.status, refused.error["type"]) == (409, "OverQuota")
    assert "network" in refused.error["message"]
    assert blue("GET", "/v2.0/quotas/blue/details.json").body["quota"]["network"] == {
        "limit": 1,
        "used": 1,
        "reserved": 0,
    }
    _net(red)
    assert [quota["project_id"] for quota in op("GET", "/v2.0/quotas").body["quotas"]] == ["blue"]
    assert op("DELETE", "/v2.0/quotas/blue").status == 204
    _net(blue)
    default = blue("GET", "/v2.0/quotas/blue/default").body
    assert blue("GET", "/v2.0/quotas/blue").body == default


def test_a_bulk_counts_as_many_as_it_makes(op, blue, unchanged) -> None:
    """Several that are too many together are all refused."""
    op("PUT", "/v2.0/quotas/blue", {"quota": {"network": 3}})
    unchanged()
    assert blue("POST", "/v2.0/networks", {"networks": [{}, {}, {}, {}]}).error["type"] == "OverQuota"


def test_a_limit_below_what_is_there_can_be_checked(op, blue) -> None:
    """With check_limit a limit below what a project has is refused with the field; with force as well it is taken."""
    _net(blue)
    quota = {"network": 0, "port": 0, "check_limit": True}
    refused = op("PUT", "/v2.0/quotas/blue", {"quota": quota})
    assert (refused.status, refused.error["type"]) == (400, "InvalidInput")
    assert "network: 0 is less than the 1" in refused.error["message"]
    assert op("GET", "/v2.0/quotas").body["quotas"] == []
    assert op("PUT", "/v2.0/quotas/blue", {"quota": {**quota, "network": 1}}).body["quota"]["network"] == 1
    assert op("PUT", "/v2.0/quotas/blue", {"quota": {**quota, "force": True}}).body["quota"]["network"] == 0
    assert op("PUT", "/v2.0/quotas/blue", {"quota": {"network": -1, "check_limit": True}}).status == 200


def test_quotas_are_the_operators_to_set(blue, unchanged) -> None:
    """A project sees its own quota, changes none and sees no other one."""
    unchanged()
    assert blue("PUT", "/v2.0/quotas/blue", {"quota": {"port": -1}}).status == 403
    assert blue("DELETE", "/v2.0/quotas/blue").status == 403
    assert blue("GET", "/v2.0/quotas/red").status == 403
    assert blue("GET", "/v2.0/quotas").status == 403


# --- agents, zones, addresses -----------------------------------------------------------------------------------------


def test_hypervisors_are_agents(op, blue) -> None:
    """The operator sees each hypervisor as an agent with its LA, by an id that stays."""
    agents = op("GET", "/v2.0/agents?host=h1").body["agents"]
    assert [agent["configurations"]["tunneling_ip"] for agent in agents] == ["10.0.1.11"]
    assert op("GET", f"/v2.0/agents/{agents[0]['id']}").body == {"agent": agents[0]}
    assert op("GET", "/v2.0/agents/nobody").error["type"] == "AgentNotFound"
    assert len(op("GET", "/v2.0/agents?alive=true").body["agents"]) in {0, 2}
    assert blue("GET", "/v2.0/agents").status == 403
    assert op("PUT", f"/v2.0/agents/{agents[0]['id']}", {"agent": {"admin_state_up": False}}).status == 405
    assert op("DELETE", f"/v2.0/agents/{agents[0]['id']}").status == 405


def test_addresses_are_counted(op, blue) -> None:
    """The operator sees how many addresses there are and are used; a /64 has its true number."""
    network = blue.make("network", name="n")
    v4 = blue.make("subnet", network_id=network["id"], cidr="192.0.2.0/24")
    v6 = blue.make("subnet", network_id=network["id"], cidr="2001:db8::/64")
    blue.make("port", network_id=network["id"])
    path = f"/v2.0/network-ip-availabilities/{network['id']}"
    found = op("GET", path).body["network_ip_availability"]
    assert (found["total_ips"], found["used_ips"]) == (253 + (1 << 64) - 2, 2)
    assert {each["subnet_id"]: (each["total_ips"], each["used_ips"]) for each in found["subnet_ip_availability"]} == {
        v4["id"]: (253, 1),
        v6["id"]: ((1 << 64) - 2, 1),
    }
    listed = op("GET", "/v2.0/network-ip-availabilities?network_name=n&ip_version=4").body
    assert [(each["total_ips"], each["used_ips"]) for each in listed["network_ip_availabilities"]] == [(253, 1)]
    assert blue("GET", path).status == 403


# --- bad input --------------------------------------------------------------------------------------------------------

POOL = {"name": "p", "prefixes": ["10.0.0.0/8"]}
SHARE = {"object_type": "network", "object_id": "x", "action": "access_as_shared", "target_tenant": "red"}


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("subnetpools", {"subnetpool": {"name": "p"}}, "prefixes"),
        ("subnetpools", {"subnetpool": {**POOL, "prefixes": []}}, "prefixes"),
        ("subnetpools", {"subnetpool": {**POOL, "prefixes": "10.0.0.0/8"}}, "prefixes"),
        ("subnetpools", {"subnetpool": {**POOL, "prefixes": ["10.0.0.1/8"]}}, "prefixes"),
        ("subnetpools", {"subnetpool": {**POOL, "prefixes": ["10.0.0.0/8", "2001:db8::/32"]}}, "prefixes"),
        ("subnetpools", {"subnetpool": {**POOL, "min_prefixlen": 33}}, "min_prefixlen"),
        ("subnetpools", {"subnetpool": {**POOL, "min_prefixlen": -1}}, "min_prefixlen"),
        ("subnetpools", {"subnetpool": {**POOL, "max_prefixlen": 4}}, "prefixlen"),
        ("subnetpools", {"subnetpool": {**POOL, "default_prefixlen": 1.5}}, "default_prefixlen"),
        ("subnetpools", {"subnetpool": {**POOL, "default_quota": -1}}, "default_quota"),
        ("subnetpools", {"subnetpool": {**POOL, "address_scope_id": "x"}}, "address_scope_id"),
        ("subnetpools", {"subnetpool": {**POOL, "colour": "red"}}, "colour"),
        ("subnetpools", {"subnetpool": {**POOL, "name": "x" * 256}}, "name"),
        ("subnetpools", {"subnetpool": []}, "subnetpool"),
        ("rbac-policies", {"rbac_policy": {**SHARE, "object_type": "address_group"}}, "object_type"),
        ("rbac-policies", {"rbac_policy": {**SHARE, "action": "access_as_external"}}, "action"),
        ("rbac-policies", {"rbac_policy": {**SHARE, "target_project": "blue"}}, "target_project"),
        ("rbac-policies", {"rbac_policy": {k: v for k, v in SHARE.items() if k != "target_tenant"}}, "target_tenant"),
        ("rbac-policies", {"rbac_policy": {**SHARE, "object_id": ["x"]}}, "object_id"),
        ("quotas/p", {"quota": {}}, "quota"),
        ("quotas/p", {"quota": {"port": -2}}, "port"),
        ("quotas/p", {"quota": {"port": 1 << 40}}, "port"),
        ("quotas/p", {"quota": {"port": "many"}}, "port"),
        ("quotas/p", {"quota": {"port": True}}, "port"),
        ("quotas/p", {"quota": {"router": 1}}, "router"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(op, unchanged, path: str, body: object, named: str) -> None:
    """Each mistake is answered 400 with the field in the message."""
    unchanged()
    answer = op("PUT" if path.startswith("quotas") else "POST", f"/v2.0/{path}", body)
    assert answer.status == 400, answer
    assert named in answer.error["message"]


def test_what_is_not_there_is_not_found(op) -> None:
    """Kinds of objects that we do not have are not declared, and answered 404 in Neutron's form."""
    for path in ("routers", "floatingips", "vpnservices", "auto-allocated-topology/p"):
        answer = op("GET", f"/v2.0/{path}")
        assert (answer.status, answer.error["type"]) == (404, "HTTPNotFound"), path
