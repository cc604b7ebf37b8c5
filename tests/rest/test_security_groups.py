"""Security groups, rules and address groups as clients see them, and the groups of ports."""

from __future__ import annotations

from typing import Any

import pytest

GROUPS, RULES, ADDRESSES = "/v2.0/security-groups", "/v2.0/security-group-rules", "/v2.0/address-groups"


def group(client: Any, **fields: object) -> dict[str, Any]:
    """Make a security group."""
    return client.make_at("security-groups", "security_group", **fields)


def rule(client: Any, of: dict[str, Any], **fields: object) -> Any:
    """Ask for a rule of a group; ingress where nothing else is said."""
    wish = {"security_group_id": of["id"], "direction": "ingress", **fields}
    return client("POST", RULES, {"security_group_rule": wish})


def addresses(client: Any, *prefixes: str) -> dict[str, Any]:
    """Make an address group."""
    return client.make_at("address-groups", "address_group", name="some", addresses=list(prefixes))


def default(client: Any) -> dict[str, Any]:
    """The caller's default group."""
    (found,) = client("GET", f"{GROUPS}?name=default").body["security_groups"]
    return found


# --- groups ------------------------------------------------------------------------------------------------------


def test_every_project_has_a_default_group(blue, red) -> None:
    """It is there when one looks, with Neutron's four rules, is a project's own, and stays the same."""
    found = default(blue)
    said = [
        (own["direction"], own["ethertype"], own["remote_group_id"] == found["id"])
        for own in found["security_group_rules"]
    ]
    assert said == [
        ("egress", "IPv4", False),
        ("egress", "IPv6", False),
        ("ingress", "IPv4", True),
        ("ingress", "IPv6", True),
    ]
    assert (found["project_id"], found["stateful"]) == ("blue", True)
    assert default(blue) == found
    assert default(red)["id"] != found["id"]
    assert len(red("GET", RULES).body["security_group_rules"]) == 4


def test_the_operator_sees_the_default_groups_of_projects_that_are_there(op, blue) -> None:
    """Asking for a project's groups makes its default group, if there is such a project at all."""
    blue.make("network")
    found = op("GET", f"{GROUPS}?project_id=blue&project_id=nobody").body["security_groups"]
    assert [(one["name"], one["project_id"]) for one in found] == [("default", "blue")]


def test_a_group_lives_and_dies(blue, red) -> None:
    """A project makes a group, changes it and deletes it; to others it is not there."""
    made = group(blue, name="web", description="d", tags=["t"], stateful="true")
    path = f"{GROUPS}/{made['id']}"
    assert {"name": "web", "description": "d", "tags": ["t"], "stateful": True}.items() <= made.items()
    assert [own["direction"] for own in made["security_group_rules"]] == ["egress", "egress"]
    assert blue("GET", path).body["security_group"] == made
    assert blue("GET", f"{path}?fields=name").body["security_group"] == {"name": "web"}
    changed = blue("PUT", path, {"security_group": {"name": "www"}}).body["security_group"]
    assert (changed["name"], changed["description"], changed["revision_number"]) == ("www", "d", 2)
    for answer in (red("GET", path), red("PUT", path, {"security_group": {}}), red("DELETE", path)):
        assert (answer.status, answer.error["type"]) == (404, "SecurityGroupNotFound")
    assert red("GET", f"{GROUPS}?name=www").body["security_groups"] == []
    assert blue.raw("DELETE", path, headers={"If-Match": "revision_number=1"}).status == 412
    assert blue("DELETE", path).status == 204
    assert blue("GET", path).status == 404


def test_several_groups_at_once(blue) -> None:
    """All are made, in their order, or none."""
    answer = blue("POST", GROUPS, {"security_groups": [{"name": "a"}, {"name": "b"}]})
    assert [one["name"] for one in answer.body["security_groups"]] == ["a", "b"]
    refused = blue("POST", GROUPS, {"security_groups": [{"name": "c"}, {"name": "default"}]})
    assert (refused.status, refused.error["type"]) == (409, "SecurityGroupDefaultAlreadyExists")
    assert blue("GET", f"{GROUPS}?name=c").body["security_groups"] == []


def test_a_default_group_stays(blue, op) -> None:
    """It keeps its name, and only the operator may delete it: the next look makes another one."""
    found = default(blue)
    path = f"{GROUPS}/{found['id']}"
    assert blue("PUT", path, {"security_group": {"name": "x"}}).error["type"] == "SecurityGroupCannotUpdateDefault"
    assert blue("PUT", path, {"security_group": {"description": "x"}}).status == 200
    assert blue("DELETE", path).error["type"] == "SecurityGroupCannotRemoveDefault"
    assert op("DELETE", path).status == 204
    assert default(blue)["id"] != found["id"]


# --- rules -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, {"ethertype": "IPv4", "protocol": None, "port_range_min": None}),
        ({"protocol": "tcp", "port_range_min": 80, "port_range_max": "81"}, {"protocol": "tcp", "port_range_max": 81}),
        ({"protocol": "TCP", "ethertype": "ipv6"}, {"protocol": "tcp", "ethertype": "IPv6"}),
        ({"protocol": 6}, {"protocol": "tcp"}),
        ({"protocol": "200"}, {"protocol": "200"}),
        ({"protocol": "any"}, {"protocol": None}),
        ({"protocol": "icmp", "port_range_min": 8, "port_range_max": 0}, {"protocol": "icmp", "port_range_max": 0}),
        ({"protocol": "icmp", "ethertype": "IPv6", "port_range_min": 128}, {"protocol": "ipv6-icmp"}),
        ({"protocol": "icmpv6", "ethertype": "IPv6"}, {"protocol": "ipv6-icmp"}),
        ({"remote_ip_prefix": "10.0.0.0/8"}, {"remote_ip_prefix": "10.0.0.0/8"}),
        ({"remote_ip_prefix": "10.0.0.1"}, {"remote_ip_prefix": "10.0.0.1/32"}),
        ({"remote_ip_prefix": None, "remote_group_id": None, "port_range_min": None}, {"remote_ip_prefix": None}),
        ({"direction": "egress", "protocol": "vrrp", "description": "d"}, {"protocol": "vrrp", "description": "d"}),
    ],
)
def test_rules_as_they_are_said(blue, fields: dict[str, object], shown: dict[str, object]) -> None:
    """A rule is shown as it is understood: protocols by Neutron's names, addresses as prefixes."""
    answer = rule(blue, group(blue), **fields)
    assert answer.status == 201, answer
    made = answer.body["security_group_rule"]
    assert shown.items() <= made.items()
    assert blue("GET", f"{RULES}/{made['id']}").body["security_group_rule"] == made


def test_a_rule_lives_and_dies(blue, red) -> None:
    """A rule shows in its group, counts as a change of it, is not there for others, and goes."""
    own = group(blue)
    remote, named = group(blue), addresses(blue, "10.0.0.0/8")
    made = rule(blue, own, remote_group_id=remote["id"]).body["security_group_rule"]
    assert rule(blue, own, remote_address_group_id=named["id"]).status == 201
    shown = blue("GET", f"{GROUPS}/{own['id']}").body["security_group"]
    assert shown["security_group_rules"][2] == made
    assert shown["revision_number"] == 3
    (found,) = blue("GET", f"{RULES}?remote_group_id={remote['id']}").body["security_group_rules"]
    assert found == made
    assert len(blue("GET", f"{RULES}?security_group_id={own['id']}").body["security_group_rules"]) == 4
    assert red("GET", f"{RULES}?security_group_id={own['id']}").body["security_group_rules"] == []
    path = f"{RULES}/{made['id']}"
    for answer in (red("GET", path), red("DELETE", path)):
        assert (answer.status, answer.error["type"]) == (404, "SecurityGroupRuleNotFound")
    assert blue("PUT", path, {"security_group_rule": {}}).status == 405
    assert blue("DELETE", path).status == 204
    assert blue("DELETE", path).status == 404


def test_several_rules_at_once(blue) -> None:
    """All are made or none, and no two may say the same."""
    own = group(blue)
    wishes = [
        {
            "security_group_id": own["id"],
            "direction": "ingress",
            "protocol": "tcp",
            "port_range_min": n,
            "port_range_max": n,
        }
        for n in range(1, 40)
    ]
    made = blue("POST", RULES, {"security_group_rules": wishes}).body["security_group_rules"]
    assert [one["port_range_min"] for one in made] == list(range(1, 40))
    more = [{**wishes[0], "port_range_max": 99}, wishes[5]]
    answer = blue("POST", RULES, {"security_group_rules": more})
    assert (answer.status, answer.error["type"]) == (409, "SecurityGroupRuleExists")
    answer = blue("POST", RULES, {"security_group_rules": [more[0], more[0]]})
    assert (answer.status, answer.error["type"]) == (409, "DuplicateSecurityGroupRuleInPost")
    assert len(blue("GET", f"{GROUPS}/{own['id']}").body["security_group"]["security_group_rules"]) == 41


BAD_RULES = [
    ({"direction": "sideways"}, 400, "HTTPBadRequest", "direction"),
    ({"ethertype": "ARP"}, 400, "HTTPBadRequest", "ethertype"),
    ({"protocol": "quic"}, 400, "HTTPBadRequest", "protocol"),
    ({"protocol": 256}, 400, "HTTPBadRequest", "protocol"),
    ({"protocol": -1}, 400, "HTTPBadRequest", "protocol"),
    ({"protocol": True}, 400, "HTTPBadRequest", "protocol"),
    ({"protocol": "tcp", "port_range_min": 81, "port_range_max": 80}, 400, "SecurityGroupInvalidPortRange", "81"),
    ({"protocol": "tcp", "port_range_min": 80}, 400, "SecurityGroupInvalidPortRange", "port_range_min"),
    ({"protocol": "tcp", "port_range_min": 0, "port_range_max": 80}, 400, "SecurityGroupInvalidPortValue", "0"),
    ({"protocol": "udp", "port_range_min": 1, "port_range_max": 65536}, 400, "SecurityGroupInvalidPortValue", "65536"),
    ({"protocol": "udp", "port_range_min": "x", "port_range_max": 6}, 400, "HTTPBadRequest", "port_range_min"),
    ({"port_range_min": 1, "port_range_max": 2}, 400, "SecurityGroupProtocolRequiredWithPorts", "protocol"),
    ({"protocol": "gre", "port_range_min": 1}, 400, "SecurityGroupInvalidProtocolForPort", "protocol"),
    ({"protocol": "icmp", "port_range_max": 0}, 400, "SecurityGroupMissingIcmpType", "type"),
    ({"protocol": "icmp", "port_range_min": 256}, 400, "SecurityGroupInvalidIcmpValue", "type"),
    ({"protocol": "icmp", "port_range_min": 8, "port_range_max": 256}, 400, "SecurityGroupInvalidIcmpValue", "code"),
    ({"protocol": "ipv6-icmp"}, 400, "SecurityGroupEthertypeConflictWithProtocol", "ethertype"),
    ({"remote_ip_prefix": "2001:db8::/64"}, 400, "SecurityGroupRuleParameterConflict", "remote_ip_prefix"),
    ({"remote_ip_prefix": "10.0.0.0/8", "ethertype": "IPv6"}, 400, "SecurityGroupRuleParameterConflict", "IPv6"),
    ({"remote_ip_prefix": "10.0.0.1/8"}, 400, "HTTPBadRequest", "10.0.0.0/8"),
    ({"remote_ip_prefix": "nowhere"}, 400, "HTTPBadRequest", "remote_ip_prefix"),
    ({"security_group_id": "none"}, 404, "SecurityGroupNotFound", "none"),
    ({"security_group_id": "foreign"}, 404, "SecurityGroupNotFound", "could not be found"),
    ({"remote_group_id": "foreign"}, 404, "SecurityGroupNotFound", "could not be found"),
    ({"remote_address_group_id": "foreign"}, 404, "AddressGroupNotFound", "could not be found"),
    (
        {"remote_group_id": "own", "remote_ip_prefix": "10.0.0.0/8"},
        400,
        "SecurityGroupRemoteGroupAndRemoteIpPrefix",
        "remote_ip_prefix",
    ),
    ({"direction": "egress", "ethertype": "IPv6"}, 409, "SecurityGroupRuleExists", "already exists"),
    ({"direction": "egress", "remote_ip_prefix": "0.0.0.0/0"}, 409, "SecurityGroupRuleExists", "already exists"),
    ({"project_id": "red"}, 403, "PolicyNotAuthorized", "project_id"),
    ({"action": "deny"}, 400, "HTTPBadRequest", "action"),
]


@pytest.mark.parametrize(("fields", "status", "kind", "word"), BAD_RULES)
def test_a_bad_rule(  # noqa: PLR0917
    blue, red, unchanged, fields: dict[str, str], status: int, kind: str, word: str
) -> None:
    """A rule that makes no sense, names what is another's, or was said already, is refused and changes nothing."""
    own = group(blue)
    names = {"own": own["id"]}
    foreign = {"remote_address_group_id": addresses(red)["id"]}
    for name, value in fields.items():
        if value == "foreign":
            names["foreign"] = foreign.get(name) or group(red)["id"]
    unchanged()
    wish = {name: names.get(value, value) if isinstance(value, str) else value for name, value in fields.items()}
    answer = rule(blue, own, **wish)
    assert (answer.status, answer.error["type"]) == (status, kind), answer
    assert word in answer.error["message"]
    assert rule(blue, own, **wish).status == status
    answer = blue(
        "POST",
        RULES,
        {
            "security_group_rules": [
                {"security_group_id": own["id"], "direction": "ingress"},
                {"security_group_id": own["id"], "direction": "ingress", **wish},
            ]
        },
    )
    assert (answer.status, answer.error["type"]) == (status, kind), answer


def test_an_admin_gives_no_project_the_groups_of_another(op, blue, red, unchanged) -> None:
    """Whoever sees all may not let a project's rule, or its port, name another project's group."""
    own, foreign, named = group(blue), group(red), addresses(red)
    port = blue.make("port", network_id=blue.make("network")["id"])
    unchanged()
    for wish in ({"remote_group_id": foreign["id"]}, {"project_id": "red"}):
        assert rule(op, own, **wish).error["type"] == "SecurityGroupNotFound"
    assert rule(op, own, remote_address_group_id=named["id"]).error["type"] == "AddressGroupNotFound"
    answer = op("PUT", f"/v2.0/ports/{port['id']}", {"port": {"security_groups": [foreign["id"]]}})
    assert (answer.status, answer.error["type"]) == (404, "SecurityGroupNotFound")


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"stateful": False}, "stateful"),
        ({"stateful": "perhaps"}, "stateful"),
        ({"name": "x" * 256}, "name"),
        ({"security_group_rules": []}, "security_group_rules"),
        ({"tags": ["a", "a"]}, "tags"),
    ],
)
def test_a_bad_group(blue, unchanged, body: dict[str, object], word: str) -> None:
    """What a group cannot be is refused with the field."""
    unchanged()
    answer = blue("POST", GROUPS, {"security_group": body})
    assert (answer.status, answer.error["type"]) == (400, "HTTPBadRequest")
    assert word in answer.error["message"]


def test_a_quota_is_a_limit(blue, op, unchanged) -> None:
    """One group, rule or address group more than the quota is refused, as is a group with too many rules."""
    own = group(blue)
    default(blue)
    addresses(blue)
    quota = {"security_group": 2, "security_group_rule": 6, "address_group": 1}
    assert quota.items() <= op("PUT", "/v2.0/quotas/blue", {"quota": quota}).body["quota"].items()
    unchanged()
    for answer in (
        blue("POST", GROUPS, {"security_group": {}}),
        rule(blue, own),
        blue("POST", ADDRESSES, {"address_group": {}}),
        blue("POST", GROUPS, {"security_groups": [{}, {}]}),
    ):
        assert (answer.status, answer.error["type"]) == (409, "OverQuota")
    used = blue("GET", "/v2.0/quotas/blue/details").body["quota"]
    assert [used[kind]["used"] for kind in quota] == [2, 6, 1]


# --- address groups ----------------------------------------------------------------------------------------------


def test_an_address_group_lives_and_dies(blue, red) -> None:
    """Addresses come and go; a group that a rule names stays."""
    made = addresses(blue, "10.0.0.0/8", "192.0.2.1", "2001:db8::/64")
    path = f"{ADDRESSES}/{made['id']}"
    assert made["addresses"] == ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/64"]
    grown = blue("PUT", f"{path}/add_addresses", {"addresses": ["11.0.0.0/8"]}).body["address_group"]
    assert grown["addresses"] == ["10.0.0.0/8", "11.0.0.0/8", "192.0.2.1/32", "2001:db8::/64"]
    shrunk = blue("PUT", f"{path}/remove_addresses", {"addresses": ["10.0.0.0/8", "192.0.2.1"]}).body["address_group"]
    assert shrunk["addresses"] == ["11.0.0.0/8", "2001:db8::/64"]
    renamed = blue("PUT", path, {"address_group": {"name": "new", "description": "d"}}).body["address_group"]
    assert (renamed["name"], renamed["description"], renamed["revision_number"]) == ("new", "d", 4)
    assert blue("GET", ADDRESSES).body["address_groups"] == [renamed]
    assert blue("GET", path).body["address_group"] == renamed
    assert red("GET", ADDRESSES).body["address_groups"] == []
    for answer in (
        red("GET", path),
        red("DELETE", path),
        red("PUT", f"{path}/add_addresses", {"addresses": ["10.0.0.0/8"]}),
    ):
        assert (answer.status, answer.error["type"]) == (404, "AddressGroupNotFound")
    user = rule(blue, group(blue), remote_address_group_id=made["id"]).body["security_group_rule"]
    assert blue("DELETE", path).error["type"] == "AddressGroupInUse"
    assert blue("DELETE", f"{RULES}/{user['id']}").status == 204
    assert blue("DELETE", path).status == 204


def test_several_address_groups_at_once(blue, op) -> None:
    """All are made or none; the operator sees those of all."""
    answer = blue("POST", ADDRESSES, {"address_groups": [{"name": "a"}, {"name": "b"}]})
    assert [one["name"] for one in answer.body["address_groups"]] == ["a", "b"]
    assert len(op("GET", f"{ADDRESSES}?project_id=blue").body["address_groups"]) == 2


@pytest.mark.parametrize(
    ("action", "given", "status", "kind"),
    [
        ("add_addresses", ["10.0.0.0/8"], 400, "AddressesAlreadyExist"),
        ("add_addresses", [], 400, "HTTPBadRequest"),
        ("add_addresses", ["10.0.0.1/8"], 400, "HTTPBadRequest"),
        ("add_addresses", ["somewhere"], 400, "HTTPBadRequest"),
        ("add_addresses", "10.0.0.0/8", 400, "HTTPBadRequest"),
        ("remove_addresses", ["11.0.0.0/8"], 404, "AddressesNotFound"),
        ("remove_addresses", ["10.0.0.0/8", "11.0.0.0/8"], 404, "AddressesNotFound"),
    ],
)
def test_bad_addresses(  # noqa: PLR0917
    blue, unchanged, action: str, given: object, status: int, kind: str
) -> None:
    """What is in a group is not added, what is not is not removed, and what is no address is neither."""
    made = addresses(blue, "10.0.0.0/8")
    unchanged()
    answer = blue("PUT", f"{ADDRESSES}/{made['id']}/{action}", {"addresses": given})
    assert (answer.status, answer.error["type"]) == (status, kind), answer


# --- ports -------------------------------------------------------------------------------------------------------


def test_a_port_is_in_the_default_group_unless_it_says_otherwise(blue, edge) -> None:
    """Named groups are those; an empty list is none, and then nothing may pass; services of a network are let be."""
    network = blue.make("network")["id"]
    port = blue.make("port", network_id=network)
    assert port["security_groups"] == [default(blue)["id"]]
    own = sorted([group(blue)["id"], group(blue)["id"]])
    assert blue.make("port", network_id=network, security_groups=own[::-1])["security_groups"] == own
    closed = blue.make("port", network_id=network, security_groups=[])
    assert closed["security_groups"] == []
    assert edge.service.world.port(closed["id"]).filtered
    served = blue.make("port", network_id=network, device_owner="network:dhcp")
    assert served["security_groups"] == []
    assert not edge.service.world.port(served["id"]).filtered
    (bulk,) = blue("POST", "/v2.0/ports", {"ports": [{"network_id": network}]}).body["ports"]
    assert bulk["security_groups"] == port["security_groups"]


def test_a_bulk_of_ports_makes_a_default_group(blue) -> None:
    """The first ports of a project may be many."""
    network = blue.make("network")["id"]
    made = blue("POST", "/v2.0/ports", {"ports": [{"network_id": network}] * 2}).body["ports"]
    assert [port["security_groups"] for port in made] == [[default(blue)["id"]]] * 2


def test_groups_of_a_port_change(blue) -> None:
    """A port's groups are replaced as a whole; ports are found by their groups; a group in use stays."""
    own = group(blue)
    port = blue.make("port", network_id=blue.make("network")["id"])
    path = f"/v2.0/ports/{port['id']}"
    assert blue("PUT", path, {"port": {"security_groups": [own["id"]]}}).body["port"]["security_groups"] == [own["id"]]
    assert [one["id"] for one in blue("GET", f"/v2.0/ports?security_groups={own['id']}").body["ports"]] == [port["id"]]
    assert blue("GET", f"/v2.0/ports?security_groups={default(blue)['id']}").body["ports"] == []
    assert blue("GET", f"/v2.0/ports?security_groups={own['id']}&id=none").body["ports"] == []
    assert blue("DELETE", f"{GROUPS}/{own['id']}").error["type"] == "SecurityGroupInUse"
    assert blue("PUT", path, {"port": {"security_groups": []}}).body["port"]["security_groups"] == []
    assert blue("DELETE", f"{GROUPS}/{own['id']}").status == 204


def test_a_port_that_nobody_checks(blue) -> None:
    """A port may have no port security, by itself or by its network; then it has neither groups nor address pairs."""
    network = blue.make("network", port_security_enabled=False)
    assert not network["port_security_enabled"]
    port = blue.make("port", network_id=network["id"])
    assert (port["port_security_enabled"], port["security_groups"]) == (False, [])
    secure = blue.make("port", network_id=network["id"], port_security_enabled=True)
    assert secure["security_groups"] == [default(blue)["id"]]
    path = f"/v2.0/ports/{secure['id']}"
    open_ = {"port_security_enabled": False}
    assert blue("PUT", path, {"port": open_}).error["type"] == "PortSecurityPortHasSecurityGroup"
    named = blue("PUT", path, {"port": {**open_, "security_groups": secure["security_groups"]}})
    assert (named.status, named.error["type"]) == (400, "PortSecurityAndIPRequiredForSecurityGroups")
    changed = blue("PUT", path, {"port": {**open_, "security_groups": []}}).body["port"]
    assert (changed["port_security_enabled"], changed["security_groups"]) == (False, [])
    on = blue("PUT", f"/v2.0/networks/{network['id']}", {"network": {"port_security_enabled": True}})
    assert on.body["network"]["port_security_enabled"]
    assert blue.make("port", network_id=network["id"])["port_security_enabled"]


def test_address_pairs(blue) -> None:
    """A pair is shown as it was said, with the port's own MAC where none was, and replaced as a whole."""
    wishes = [{"ip_address": "10.0.0.9"}, {"ip_address": "10.1.0.0/16", "mac_address": "00:00:5E:00:01:05"}]
    port = blue.make("port", network_id=blue.make("network")["id"], allowed_address_pairs=wishes)
    assert port["allowed_address_pairs"] == [
        {"mac_address": port["mac_address"], "ip_address": "10.0.0.9"},
        {"mac_address": "00:00:5e:00:01:05", "ip_address": "10.1.0.0/16"},
    ]
    path = f"/v2.0/ports/{port['id']}"
    less = blue("PUT", path, {"port": {"allowed_address_pairs": wishes[1:]}}).body["port"]
    assert less["allowed_address_pairs"] == port["allowed_address_pairs"][1:]
    off = blue("PUT", path, {"port": {"port_security_enabled": False, "security_groups": []}})
    assert (off.status, off.error["type"]) == (409, "AddressPairAndPortSecurityRequired")
    assert blue("PUT", path, {"port": {"allowed_address_pairs": []}}).body["port"]["allowed_address_pairs"] == []


def test_a_guest_does_not_say_who_it_may_be(blue, red, unchanged) -> None:
    """In a network that is only shared with it, a project cannot let its port pass for others; groups are its own."""
    network = blue.make("network")["id"]
    share = {"object_type": "network", "object_id": network, "action": "access_as_shared", "target_tenant": "red"}
    assert blue("POST", "/v2.0/rbac-policies", {"rbac_policy": share}).status == 201
    own = group(red)
    port = red.make("port", network_id=network, port_security_enabled=True, security_groups=[own["id"]])
    foreign = group(blue)["id"]
    unchanged()
    for fields in ({"port_security_enabled": False}, {"allowed_address_pairs": [{"ip_address": "10.0.0.9"}]}):
        for answer in (
            red("POST", "/v2.0/ports", {"port": {"network_id": network, **fields}}),
            red("PUT", f"/v2.0/ports/{port['id']}", {"port": fields}),
        ):
            assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized"), answer
            assert next(iter(fields)) in answer.error["message"]
    answer = red("POST", "/v2.0/ports", {"port": {"network_id": network, "security_groups": [foreign]}})
    assert (answer.status, answer.error["type"]) == (404, "SecurityGroupNotFound")
