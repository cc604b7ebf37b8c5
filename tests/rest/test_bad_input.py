"""A request that cannot be is answered in Neutron's form, names the field, and changes nothing."""

from __future__ import annotations

import json

import pytest

JSON = {"Content-Type": "application/json"}
UNKNOWN = "985874a5-5e3a-4c80-9760-a01bd56d1c11"


@pytest.fixture
def world(op):
    """A network with a subnet of three addresses, one of them taken by a port at h1."""
    network = op.make("network", name="n", **{"provider:segmentation_id": 100})
    subnet = op.make("subnet", network_id=network["id"], cidr="10.0.0.0/29", gateway_ip=None)
    port = op.make(
        "port", network_id=network["id"], mac_address="02:00:00:00:00:01", name="p", **{"binding:host_id": "h1"}
    )
    return {"network": network["id"], "subnet": subnet["id"], "port": port["id"]}


def _refused(answer, status: int, kind: str, *words: str) -> None:
    assert answer.status == status, answer
    assert answer.error["type"] == kind, answer
    for word in words:
        assert word in answer.error["message"], answer
    assert answer.headers["X-Openstack-Request-Id"].startswith("req-")


NOT_JSON = [
    b"",
    b"{",
    b"nonsense",
    b'{"network": {"name": "a"',
    b'{"network": {"mtu": NaN}}',
    b'{"network": {"mtu": 1}} trailing',
    b"[]",
    b'"text"',
    b'"{\\"network\\": {}}"',
    b"null",
    b"5",
    b'\xff\xfe{"network": {}}',
    b"[" * 100_000,
    b'{"network":' * 5000,
    b'{"network": {"mtu": ' + b"9" * 5000 + b"}}",
]


@pytest.mark.parametrize("body", NOT_JSON, ids=lambda body: repr(body[:24]))
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_what_is_no_json_object(op, world, unchanged, body: bytes, method: str) -> None:
    """A body that is not a JSON object is answered 400 and said to be malformed."""
    unchanged()
    path = "/v2.0/networks" if method == "POST" else f"/v2.0/networks/{world['network']}"
    _refused(op.raw(method, path, body, JSON), 400, "HTTPBadRequest", "Malformed request body")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_what_is_not_declared_as_json(op, unchanged, kind: str) -> None:
    """A body of another content type is answered 415, whatever it holds."""
    unchanged()
    body = json.dumps({"network": {"name": "a"}}).encode()
    answer = op.raw("POST", "/v2.0/networks", body, {"Content-Type": kind} if kind else {})
    _refused(answer, 415, "HTTPUnsupportedMediaType", "Content-Type", "application/json")


def test_a_charset_is_no_other_type(op) -> None:
    """JSON with a charset parameter is JSON."""
    headers = {"Content-Type": "application/json; charset=UTF-8"}
    assert op.raw("POST", "/v2.0/networks", b'{"network": {}}', headers).status == 201


NETWORK = [
    ({}, ""),
    ({"network": {}, "networks": [{}]}, "either 'network' or 'networks'"),
    ({"network": None}, "network"),
    ({"network": []}, "network"),
    ({"network": {}, "colour": 1}, "colour"),
    ({"networks": []}, "networks"),
    ({"networks": {}}, "networks"),
    ({"networks": [{}, {"mtu": 0}]}, "mtu (item 1 of networks)"),
    ({"network": {"name": 5}}, "name"),
    ({"network": {"name": None}}, "name"),
    ({"network": {"name": "x" * 256}}, "name"),
    ({"network": {"name": "\ud800"}}, "name"),
    ({"network": {"description": ["a"]}}, "description"),
    ({"network": {"mtu": "big"}}, "mtu"),
    ({"network": {"mtu": True}}, "mtu"),
    ({"network": {"mtu": 1500.5}}, "mtu"),
    ({"network": {"mtu": 67}}, "mtu"),
    ({"network": {"mtu": 65536}}, "mtu"),
    ({"network": {"admin_state_up": "maybe"}}, "admin_state_up"),
    ({"network": {"admin_state_up": None}}, "admin_state_up"),
    ({"network": {"admin_state_up": 2}}, "admin_state_up"),
    ({"network": {"admin_state_up": 1.0}}, "admin_state_up"),
    ({"network": {"shared": "everybody"}}, "shared"),
    ({"network": {"router:external": True}}, "router:external"),
    ({"network": {"port_security_enabled": "no"}}, "port_security_enabled"),
    ({"network": {"availability_zone_hints": ["nova"]}}, "availability_zone_hints"),
    ({"network": {"tags": ["a"]}}, "tags"),
    ({"network": {"revision_number": 1}}, "revision_number"),
    ({"network": {"project_id": ""}}, "project_id"),
    ({"network": {"project_id": 7}}, "project_id"),
    ({"network": {"project_id": "a", "tenant_id": "b"}}, "tenant_id"),
    ({"network": {"provider:segmentation_id": 0}}, "provider:segmentation_id"),
    ({"network": {"provider:segmentation_id": 1 << 24}}, "provider:segmentation_id"),
    ({"network": {"provider:segmentation_id": "x"}}, "provider:segmentation_id"),
    ({"network": {"provider:segmentation_id": True}}, "provider:segmentation_id"),
    ({"network": {"provider:segmentation_id": None}}, "provider:segmentation_id"),
    ({"network": {"provider:segmentation_id": 1.5}}, "provider:segmentation_id"),
    ({"network": {"provider:network_type": "vlan"}}, "provider:network_type"),
    ({"network": {"provider:physical_network": "eth0"}}, "provider:physical_network"),
    ({"network": {"qos_policy_id": ""}}, "qos_policy_id"),
    ({"network": {"id": UNKNOWN}}, "'id'"),
]


@pytest.mark.parametrize(("body", "word"), NETWORK)
def test_a_bad_network(op, unchanged, body: object, word: str) -> None:
    """A field of a network that is unknown, of the wrong type or out of range is answered 400 and named."""
    unchanged()
    _refused(op("POST", "/v2.0/networks", body), 400, "HTTPBadRequest", word)


SUBNET = [
    ({"cidr": "10.9.0.0/24", "network_id": None}, "network_id"),
    ({"cidr": None}, "cidr"),
    ({"cidr": 5}, "cidr"),
    ({"cidr": "10.9.0.0"}, "cidr"),
    ({"cidr": "10.9.0.1/24"}, "10.9.0.0/24"),
    ({"cidr": "10.9.0.0/33"}, "cidr"),
    ({"cidr": "10.9.0.0/255.255.255.0"}, "cidr"),
    ({"cidr": "fe80::%eth0/64"}, "cidr"),
    ({"ip_version": 6}, "ip_version"),
    ({"ip_version": 5}, "ip_version"),
    ({"ip_version": "four"}, "ip_version"),
    ({"gateway_ip": "10.9.1.1"}, "gateway_ip"),
    ({"gateway_ip": "fd00::1"}, "gateway_ip"),
    ({"gateway_ip": "here"}, "gateway_ip"),
    ({"gateway_ip": 167772161}, "gateway_ip"),
    ({"allocation_pools": [{"start": "10.9.0.9"}]}, "allocation_pools[0].end"),
    ({"allocation_pools": [{"start": "10.9.0.9", "end": "x"}]}, "allocation_pools[0].end"),
    ({"allocation_pools": [{"start": "10.9.0.9", "end": "10.9.0.8"}]}, "allocation_pools"),
    ({"allocation_pools": [{"start": "10.9.0.9", "end": "10.9.1.8"}]}, "allocation_pools"),
    ({"allocation_pools": [{"start": "fd00::1", "end": "fd00::2"}]}, "allocation_pools"),
    ({"allocation_pools": [{"start": "10.9.0.9", "end": "fd00::2"}]}, "allocation_pools"),
    ({"allocation_pools": [{"start": "10.9.0.9", "end": "10.9.0.20"}] * 2}, "allocation_pools"),
    ({"allocation_pools": {}}, "allocation_pools"),
    ({"allocation_pools": None}, "allocation_pools"),
    ({"enable_dhcp": "perhaps"}, "enable_dhcp"),
    ({"ipv6_ra_mode": "dhcpv7"}, "ipv6_ra_mode"),
    ({"ipv6_address_mode": "slaac"}, "ipv6_address_mode"),
    ({"dns_nameservers": ["resolver.example"]}, "dns_nameservers[0]"),
    ({"dns_nameservers": ["fd00::1"]}, "dns_nameservers"),
    ({"dns_nameservers": ["192.0.2.1", "192.0.2.1"]}, "dns_nameservers"),
    ({"dns_nameservers": [f"192.0.2.{n}" for n in range(6)]}, "dns_nameservers"),
    ({"dns_nameservers": "192.0.2.1"}, "dns_nameservers"),
    ({"host_routes": [{"destination": "0.0.0.0/0"}]}, "host_routes[0].nexthop"),
    ({"host_routes": [{"destination": "192.0.2.1/24", "nexthop": "10.9.0.1"}]}, "host_routes[0].destination"),
    ({"host_routes": [{"destination": "192.0.2.0/24", "nexthop": "fd00::1"}]}, "host_routes"),
    ({"host_routes": [{"destination": "fd00::/64", "nexthop": "10.9.0.1"}]}, "host_routes"),
    ({"host_routes": [{"destination": "192.0.2.0/24", "nexthop": "10.9.0.1"}] * 2}, "host_routes"),
    ({"host_routes": [{"destination": f"192.0.{n}.0/24", "nexthop": "10.9.0.1"} for n in range(21)]}, "host_routes"),
    ({"prefixlen": 24}, "prefixlen"),
    ({"cidr": None, "prefixlen": 24}, "cidr"),
    ({"cidr": None, "use_default_subnetpool": True}, "ip_version"),
    ({"use_default_subnetpool": True}, "use_default_subnetpool"),
    ({"use_default_subnetpool": "maybe"}, "use_default_subnetpool"),
    ({"ipv6_ra_mode": "slaac"}, "ipv6_address_mode"),
    ({"segment_id": "x"}, "segment_id"),
    ({"cidr": "10.0.0.0/30"}, "cidr"),
]


@pytest.mark.parametrize(("fields", "word"), SUBNET)
def test_a_bad_subnet(op, world, unchanged, fields: dict[str, object], word: str) -> None:
    """A subnet that contradicts itself or its network is answered 400, with the field."""
    unchanged()
    body = {"subnet": {"network_id": world["network"], "cidr": "10.9.0.0/24", **fields}}
    answer = op("POST", "/v2.0/subnets", body)
    assert answer.status == 400, answer
    assert word in answer.error["message"], answer


@pytest.mark.parametrize(("missing", "word"), [("network_id", "not specified"), ("cidr", "subnetpool")])
def test_a_subnet_without(op, world, unchanged, missing: str, word: str) -> None:
    """A required field that is missing is named."""
    unchanged()
    fields = {"network_id": world["network"], "cidr": "10.9.0.0/24"}
    del fields[missing]
    _refused(op("POST", "/v2.0/subnets", {"subnet": fields}), 400, "HTTPBadRequest", missing, word)


PORT = [
    ({"network_id": 5}, 400, "HTTPBadRequest", "network_id"),
    ({"network_id": "none"}, 404, "NetworkNotFound", "none"),
    ({"mac_address": "02:00:00:00:00:01"}, 409, "MacAddressInUse", "mac_address"),
    ({"mac_address": "01:00:00:00:00:01"}, 400, "HTTPBadRequest", "mac_address"),
    ({"mac_address": "00:00:00:00:00:00"}, 400, "HTTPBadRequest", "mac_address"),
    ({"mac_address": "02-00-00-00-00-01"}, 400, "HTTPBadRequest", "mac_address"),
    ({"mac_address": 5}, 400, "HTTPBadRequest", "mac_address"),
    ({"mac_address": None}, 400, "HTTPBadRequest", "mac_address"),
    ({"fixed_ips": [{"ip_address": "10.0.0.1"}]}, 409, "", "fixed_ips"),
    ({"fixed_ips": [{"ip_address": "10.7.0.1"}]}, 400, "", "fixed_ips"),
    ({"fixed_ips": [{"ip_address": "nowhere"}]}, 400, "HTTPBadRequest", "fixed_ips[0].ip_address"),
    ({"fixed_ips": [{"ip_address": 5}]}, 400, "HTTPBadRequest", "fixed_ips[0].ip_address"),
    ({"fixed_ips": [{"ip_address": "fe80::1%eth0"}]}, 400, "HTTPBadRequest", "fixed_ips[0].ip_address"),
    ({"fixed_ips": [{}]}, 400, "HTTPBadRequest", "fixed_ips[0]"),
    ({"fixed_ips": "10.0.0.3"}, 400, "HTTPBadRequest", "fixed_ips"),
    ({"fixed_ips": [{"subnet_id": "none"}]}, 404, "SubnetNotFound", "none"),
    ({"binding:host_id": "h9"}, 400, "", "binding:host_id"),
    ({"binding:host_id": "no host"}, 400, "HTTPBadRequest", "binding:host_id"),
    ({"binding:host_id": 5}, 400, "HTTPBadRequest", "binding:host_id"),
    ({"binding:vnic_type": "macvtap"}, 400, "HTTPBadRequest", "binding:vnic_type"),
    ({"binding:profile": {"a": 1}}, 400, "HTTPBadRequest", "binding:profile"),
    ({"binding:vif_type": "ovs"}, 400, "HTTPBadRequest", "binding:vif_type"),
    ({"admin_state_up": "down"}, 400, "HTTPBadRequest", "admin_state_up"),
    ({"port_security_enabled": "no"}, 400, "HTTPBadRequest", "port_security_enabled"),
    ({"security_groups": ["default"]}, 404, "SecurityGroupNotFound", "default"),
    ({"security_groups": "default"}, 400, "HTTPBadRequest", "security_groups"),
    ({"security_groups": [""]}, 400, "HTTPBadRequest", "security_groups[0]"),
    ({"allowed_address_pairs": [{}]}, 400, "HTTPBadRequest", "allowed_address_pairs[0].ip_address"),
    ({"allowed_address_pairs": [{"ip_address": "x"}]}, 400, "HTTPBadRequest", "allowed_address_pairs[0].ip_address"),
    ({"allowed_address_pairs": [{"ip_address": "10.0.0.1/8"}]}, 400, "HTTPBadRequest", "10.0.0.0/8"),
    (
        {"allowed_address_pairs": [{"ip_address": "10.0.0.9", "mac_address": "ff:ff:ff:ff:ff:ff"}]},
        400,
        "HTTPBadRequest",
        "allowed_address_pairs[0].mac_address",
    ),
    (
        {"allowed_address_pairs": [{"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.9/32"}]},
        400,
        "DuplicateAddressPairInRequest",
        "10.0.0.9",
    ),
    (
        {"allowed_address_pairs": [{"ip_address": f"10.0.1.{last}"} for last in range(11)]},
        400,
        "AllowedAddressPairExhausted",
        "10",
    ),
    (
        {"port_security_enabled": False, "allowed_address_pairs": [{"ip_address": "10.0.0.9"}]},
        409,
        "AddressPairAndPortSecurityRequired",
        "address pairs",
    ),
    ({"extra_dhcp_opts": [{"opt_name": "warp"}]}, 400, "InvalidInput", "extra_dhcp_opts"),
    ({"extra_dhcp_opts": [{"opt_name": "warp", "opt_value": "9"}]}, 400, "InvalidInput", "extra_dhcp_opts"),
    ({"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "9", "ip_version": 6}]}, 400, "InvalidInput", "mtu"),
    ({"extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "large"}]}, 400, "InvalidInput", "mtu"),
    ({"extra_dhcp_opts": [{"opt_name": "mtu", "ip_version": 5}]}, 400, "HTTPBadRequest", "ip_version"),
    ({"extra_dhcp_opts": [{"opt_value": "1400"}]}, 400, "HTTPBadRequest", "opt_name"),
    ({"dns_name": "-vm"}, 400, "InvalidInput", "dns_name"),
    ({"dns_name": "vm.example.org."}, 400, "InvalidInput", "dns_name"),
    ({"tags": "a"}, 400, "HTTPBadRequest", "tags"),
    ({"tags": ["a", "a"]}, 400, "HTTPBadRequest", "tags"),
    ({"tags": [""]}, 400, "HTTPBadRequest", "tags[0]"),
    ({"tags": ["x" * 256]}, 400, "HTTPBadRequest", "tags[0]"),
    ({"tags": [5]}, 400, "HTTPBadRequest", "tags[0]"),
    ({"subnetpool_id": "x"}, 400, "HTTPBadRequest", "subnetpool_id"),
    ({"status": "ACTIVE"}, 400, "HTTPBadRequest", "status"),
    ({"device_id": None}, 400, "HTTPBadRequest", "device_id"),
]


@pytest.mark.parametrize(("fields", "status", "kind", "word"), PORT)
def test_a_bad_port(  # noqa: PLR0917
    op, world, unchanged, fields: dict[str, object], status: int, kind: str, word: str
) -> None:
    """A port that cannot be is refused with the field that is to blame."""
    unchanged()
    answer = op("POST", "/v2.0/ports", {"port": {"network_id": world["network"], **fields}})
    assert answer.status == status, answer
    assert word in answer.error["message"], answer
    if kind:
        assert answer.error["type"] == kind


def test_an_address_twice(op, world, unchanged) -> None:
    """One port cannot ask for an address twice."""
    unchanged()
    wish = [{"ip_address": "10.0.0.5"}] * 2
    answer = op("POST", "/v2.0/ports", {"port": {"network_id": world["network"], "fixed_ips": wish}})
    assert answer.status in (400, 409)
    assert "fixed_ips" in answer.error["message"]


def test_an_exhausted_pool(op, world, unchanged) -> None:
    """When a subnet has no address left, one more port is refused 409 with the field."""
    while op("POST", "/v2.0/ports", {"port": {"network_id": world["network"]}}).status == 201:
        pass
    unchanged()
    answer = op("POST", "/v2.0/ports", {"port": {"network_id": world["network"]}})
    _refused(answer, 409, "IpAddressGenerationFailure", "fixed_ips")


@pytest.mark.usefixtures("world")
def test_a_vni_in_use(op, unchanged) -> None:
    """A VNI that another network has is refused 409 with the field."""
    unchanged()
    answer = op("POST", "/v2.0/networks", {"network": {"provider:segmentation_id": 100}})
    _refused(answer, 409, "SegmentationIdInUse", "provider:segmentation_id", "100")


def test_what_is_in_use_stays(op, world, unchanged) -> None:
    """A network with ports and a subnet with addresses in use are not deleted."""
    unchanged()
    _refused(op("DELETE", f"/v2.0/networks/{world['network']}"), 409, "NetworkInUse", world["network"])
    _refused(op("DELETE", f"/v2.0/subnets/{world['subnet']}"), 409, "SubnetInUse", world["subnet"])


@pytest.mark.parametrize("noun", ["network", "subnet", "port"])
@pytest.mark.parametrize("id_", ["none", UNKNOWN, "%00", "a%20b", "..", "x" * 3000, "%FF"])
def test_an_unknown_object(op, unchanged, noun: str, id_: str) -> None:
    """An id that nothing has is answered 404 by every method."""
    unchanged()
    path = f"/v2.0/{noun}s/{id_}"
    for answer in (op("GET", path), op("PUT", path, {noun: {"name": "x"}}), op("DELETE", path)):
        assert answer.status == 404
        assert "could not be found" in answer.error["message"]


@pytest.mark.parametrize(
    ("noun", "field", "value"),
    [
        ("network", "provider:segmentation_id", 5),
        ("network", "id", "x"),
        ("network", "name", None),
        ("network", "mtu", 5),
        ("network", "admin_state_up", "maybe"),
        ("network", "project_id", "blue"),
        ("network", "revision_number", 1),
        ("network", "created_at", "2016-03-08T20:19:41Z"),
        ("network", "tags", ["a"]),
        ("network", "router:external", True),
        ("network", "port_security_enabled", "no"),
        ("subnet", "cidr", "10.0.0.0/28"),
        ("subnet", "gateway_ip", "10.7.0.2"),
        ("subnet", "gateway_ip", "fd00::1"),
        ("subnet", "dns_nameservers", ["fd00::1"]),
        ("subnet", "host_routes", [{"destination": "192.0.2.0/24", "nexthop": "fd00::1"}]),
        ("subnet", "allocation_pools", [{"start": "10.0.0.2", "end": "10.0.0.99"}]),
        ("subnet", "ip_version", 4),
        ("subnet", "network_id", "x"),
        ("subnet", "subnetpool_id", "x"),
        ("subnet", "enable_dhcp", "perhaps"),
        ("subnet", "ipv6_ra_mode", "slaac"),
        ("port", "extra_dhcp_opts", [{"opt_name": "warp", "opt_value": "9"}]),
        ("port", "mac_address", "01:00:00:00:00:09"),
        ("port", "fixed_ips", [{}]),
        ("port", "fixed_ips", [{"ip_address": "10.7.0.1"}]),
        ("port", "tags", ["a"]),
        ("port", "security_groups", "x"),
        ("port", "port_security_enabled", "no"),
        ("port", "allowed_address_pairs", [{"ip_address": "10.0.0.1/8"}]),
        ("port", "network_id", "x"),
        ("port", "status", "DOWN"),
        ("port", "binding:host_id", "h9"),
        ("port", "binding:host_id", "?"),
        ("port", "device_owner", {}),
    ],
)
def test_a_bad_update(  # noqa: PLR0917
    op, world, unchanged, noun: str, field: str, value: object
) -> None:
    """What cannot be changed, or not to this, is answered 400 with the field, and what came with it is not done."""
    unchanged()
    answer = op("PUT", f"/v2.0/{noun}s/{world[noun]}", {noun: {"description": "new", field: value}})
    assert answer.status == 400, answer
    assert field in answer.error["message"], answer


def test_bulk_is_none_when_one_cannot_be(op, world, unchanged) -> None:
    """One object of several that cannot be takes all of them with it."""
    unchanged()
    networks = [{"name": "a"}, {"provider:segmentation_id": 100}]
    assert op("POST", "/v2.0/networks", {"networks": networks}).error["type"] == "SegmentationIdInUse"
    cidrs = [{"network_id": world["network"], "cidr": cidr} for cidr in ("10.1.0.0/24", "10.1.0.0/25")]
    assert op("POST", "/v2.0/subnets", {"subnets": cidrs}).status == 400
    ports = [{"network_id": world["network"]} for _ in range(10)]
    assert op("POST", "/v2.0/ports", {"ports": ports}).error["type"] == "IpAddressGenerationFailure"
    twins = [{"network_id": world["network"], "mac_address": "02:00:00:00:00:07"} for _ in range(2)]
    assert op("POST", "/v2.0/ports", {"ports": twins}).error["type"] == "MacAddressInUse"


def test_what_a_failed_bulk_held_is_free_again(op, world) -> None:
    """After a bulk request that failed, all numbers that it held can be had."""
    ports = [{"network_id": world["network"]} for _ in range(10)]
    assert op("POST", "/v2.0/ports", {"ports": ports}).status == 409
    made = op("POST", "/v2.0/ports", {"ports": ports[:5]}).body["ports"]
    addresses = {port["fixed_ips"][0]["ip_address"] for port in made}
    assert addresses == {f"10.0.0.{number}" for number in range(2, 7)}


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("colour=red", "colour"),
        ("fixed_ips=10.0.0.1", "fixed_ips"),
        ("fixed_ips=mac=1", "fixed_ips"),
        ("fixed_ips=ip_address=here", "fixed_ips"),
        ("limit=-1", "limit"),
        ("limit=all", "limit"),
        ("limit=1.5", "limit"),
        ("sort_key=colour", "sort_key"),
        ("sort_key=fixed_ips", "sort_key"),
        ("sort_key=name&sort_dir=up", "sort_dir"),
        ("sort_key=name&sort_dir=asc&sort_dir=asc", "sort_dir"),
        ("sort_dir=asc", "sort_dir"),
        ("admin_state_up=maybe", "admin_state_up"),
        ("revision_number=one", "revision_number"),
        ("changed_since=yesterday", "changed_since"),
        ("changed_since=2016-03-08", "changed_since"),
    ],
)
def test_a_filter_that_does_not_exist(op, query: str, word: str) -> None:
    """A filter that cannot be honoured is refused, not ignored."""
    _refused(op("GET", f"/v2.0/ports?{query}"), 400, "HTTPBadRequest", word)


@pytest.mark.parametrize("path", ["/nothing", "/v2.0/routers", "/v2.0/networks/a/b", "/v4", "/v1", "/docs/../app.py"])
def test_an_unknown_path(op, edge, path: str) -> None:
    """A path that is not there is answered 404 in Neutron's form, with a token and without."""
    for client in (op, edge.as_(None)):
        _refused(client("GET", path), 404, "HTTPNotFound", "could not be found")


@pytest.mark.parametrize(
    ("method", "path"),
    [("PATCH", "/v2.0/networks"), ("DELETE", "/v2.0/networks"), ("POST", "/v1/health"), ("PUT", "/v2.0/ports")],
)
def test_a_wrong_method(op, unchanged, method: str, path: str) -> None:
    """A method that a path does not know is answered 405 with those that it does."""
    unchanged()
    answer = op(method, path, {})
    _refused(answer, 405, "HTTPMethodNotAllowed", method)
    assert "GET" in answer.headers["Allow"]


def test_a_body_that_is_too_big(op, unchanged) -> None:
    """A body of more than 1 MiB is answered 413 and not read."""
    unchanged()
    body = json.dumps({"network": {"name": "x" * (1 << 20)}}).encode()
    _refused(op.raw("POST", "/v2.0/networks", body, JSON), 413, "HTTPRequestEntityTooLarge", "larger")


def test_a_fault_of_ours_tells_nothing(op, edge, monkeypatch, caplog) -> None:
    """An error inside is answered 500 with an id that is in the log, and nothing of what went wrong."""

    def broken(_intent: object) -> None:
        raise ZeroDivisionError("the secret is 42")

    monkeypatch.setattr(edge.service, "submit", broken)
    answer = op("POST", "/v2.0/networks", {"network": {}})
    _refused(answer, 500, "HTTPInternalServerError", answer.headers["X-Openstack-Request-Id"])
    assert "secret" not in json.dumps(answer.body)
    assert "ZeroDivision" not in json.dumps(answer.body)
    assert answer.headers["X-Openstack-Request-Id"] in caplog.text
    assert "the secret is 42" in caplog.text
