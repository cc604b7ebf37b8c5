"""Whoever sends nonsense, tricks or other people's ids gets one clear error each time, and changes nothing."""

from __future__ import annotations

import http.client
import json
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

JSON = {"Content-Type": "application/json"}
NOBODY = "00000000-0000-4000-8000-000000000000"

TRICKS = {
    "sql": "' OR '1'='1",
    "more sql": "1; DROP TABLE documents; --",
    "union": "x' UNION SELECT body FROM documents--",
    "command": "$(touch /tmp/vl2-was-here)",
    "backticks": "`id`",
    "pipe": "|cat /etc/passwd",
    "path": "../../../etc/passwd",
    "windows path": "..\\..\\boot.ini",
    "url": "file:///etc/passwd",
    "nul": "a\0b",
    "newline": "a\r\nX-Injected: yes",
    "template": "{{7*7}}${7*7}",
    "format": "%s%n%(x)s{0.__class__}",
    "html": "<script>alert(1)</script>",
    "right to left": "\u202ediov",
    "not a character": "\uffff\ufdd0",
    "duck": "🦆" * 20,
    "zalgo": "n\u0336\u0322\u031b" * 20,
    "arabic digits": "١٠.٠.٠.١",
    "wide digits": "１０.0.0.1",
    "zero width": "10.0\u200b.0.1",
    "blank": " ",
    "nothing": "",
    "null": "null",
    "pickle": "gASVBAAAAAAAAABLAS4=",
    "log4j": "${jndi:ldap://127.0.0.1/a}",
}


@pytest.fixture
def there(op, blue, red) -> dict[str, str]:
    """What blue has, what red has, and that blue lends red a network; ids by name."""
    found: dict[str, str] = {}
    for name, who in (("blue", blue), ("red", red)):
        network = who.make("network", name=f"{name}-net")["id"]
        subnet = who.make("subnet", network_id=network, cidr="10.0.0.0/24")["id"]
        port = who.make("port", network_id=network, name="p")["id"]
        pool = who.make("subnetpool", name="o", prefixes=["10.64.0.0/16"])["id"]
        ids = {"network": network, "subnet": subnet, "port": port, "pool": pool}
        found |= {f"{name}_{kind}": id_ for kind, id_ in ids.items()}
    assert op("PUT", f"/v2.0/ports/{found['blue_port']}", {"port": {"binding:host_id": "h1"}}).status == 200
    lent = blue.make("network", name="lent")["id"]
    found |= {"lent": lent, "lent_subnet": blue.make("subnet", network_id=lent, cidr="10.7.0.0/24")["id"]}
    found["lent_port"] = blue.make("port", network_id=lent)["id"]
    policy = {"object_type": "network", "object_id": lent, "action": "access_as_shared", "target_tenant": "red"}
    made = blue("POST", "/v2.0/rbac-policies", {"rbac_policy": policy})
    found["blue_policy"] = made.body["rbac_policy"]["id"]
    found["blue_move"] = "none"
    return found


def filled(value: Any, there: dict[str, str]) -> Any:
    """Put ids where their names stand: ``<blue_port>``."""
    if isinstance(value, dict):
        return {filled(name, there): filled(each, there) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, there) for each in value]
    if isinstance(value, str):
        for name, id_ in there.items():
            value = value.replace(f"<{name}>", id_)
    return value


def refused(answer: Any, statuses: set[int] | int, *words: str) -> None:
    """An error in Neutron's form, short, that names what is wrong and nothing of our insides."""
    statuses = {statuses} if isinstance(statuses, int) else statuses
    assert answer.status in statuses, answer
    message = answer.error["message"]
    assert answer.error["type"]
    assert message
    assert len(message) < 5000
    for word in words:
        assert word in message, answer
    for inside in ("Traceback", "site-packages", "controller/", "sqlite", "pydantic"):
        assert inside not in json.dumps(answer.body), answer
    assert answer.headers["X-Openstack-Request-Id"].startswith("req-")
    assert "X-Injected" not in answer.headers


# --- tricks where something else belongs ------------------------------------------------------------------------------

PLACES = {
    "subnet's network": ("subnets", "subnet", {"network_id": ..., "cidr": "10.1.0.0/24"}, "network_id"),
    "cidr": ("subnets", "subnet", {"network_id": "<blue_network>", "cidr": ...}, "cidr"),
    "gateway": (
        "subnets",
        "subnet",
        {"network_id": "<blue_network>", "cidr": "10.1.0.0/24", "gateway_ip": ...},
        "gateway_ip",
    ),
    "pool of addresses": (
        "subnets",
        "subnet",
        {
            "network_id": "<blue_network>",
            "cidr": "10.1.0.0/24",
            "allocation_pools": [{"start": ..., "end": "10.1.0.9"}],
        },
        "allocation_pools[0].start",
    ),
    "nameserver": (
        "subnets",
        "subnet",
        {"network_id": "<blue_network>", "cidr": "10.1.0.0/24", "dns_nameservers": [...]},
        "dns_nameservers[0]",
    ),
    "port's network": ("ports", "port", {"network_id": ...}, "network_id"),
    "mac": ("ports", "port", {"network_id": "<blue_network>", "mac_address": ...}, "mac_address"),
    "address": ("ports", "port", {"network_id": "<blue_network>", "fixed_ips": [{"ip_address": ...}]}, "ip_address"),
    "port's subnet": (
        "ports",
        "port",
        {"network_id": "<blue_network>", "fixed_ips": [{"subnet_id": ...}]},
        "subnet_id",
    ),
    "prefix": ("subnetpools", "subnetpool", {"name": "x", "prefixes": [...]}, "prefixes[0]"),
    "mtu": ("networks", "network", {"mtu": ...}, "mtu"),
    "switch": ("networks", "network", {"admin_state_up": ...}, "admin_state_up"),
    "shared object": (
        "rbac-policies",
        "rbac_policy",
        {"object_type": "network", "object_id": ..., "action": "access_as_shared", "target_tenant": "red"},
        "object_id",
    ),
    "kind of object": (
        "rbac-policies",
        "rbac_policy",
        {"object_type": ..., "object_id": "<blue_network>", "action": "access_as_shared", "target_tenant": "red"},
        "object_type",
    ),
}


def put_in(value: Any, trick: Any) -> Any:
    """The trick where ``...`` stands."""
    if value is ...:
        return trick
    if isinstance(value, dict):
        return {name: put_in(each, trick) for name, each in value.items()}
    return [put_in(each, trick) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_where_something_else_belongs(blue, there, unchanged, place: str, trick: str) -> None:
    """Text that looks like a program, a path or a number and is none is refused where it does not belong."""
    path, noun, fields, field = PLACES[place]
    unchanged()
    answer = blue("POST", f"/v2.0/{path}", {noun: put_in(filled(fields, there), TRICKS[trick])})
    missing = answer.status == 404 and "could not be found" in answer.error["message"]
    refused(answer, {400, 404}, *(() if missing else (field,)))


@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_in_a_name_is_a_name(blue, trick: str) -> None:
    """Where any text may stand, all of it comes back to the letter, is found by, and does nothing."""
    made = blue.make("network", name=TRICKS[trick], description=TRICKS[trick])
    assert (made["name"], made["description"]) == (TRICKS[trick], TRICKS[trick])
    found = blue("GET", f"/v2.0/networks?name={quote(TRICKS[trick])}").body["networks"]
    assert [each["id"] for each in found] == [made["id"]]


PATHS = (
    "/v2.0/networks/{}",
    "/v2.0/subnetpools/{}",
    "/v2.0/rbac-policies/{}",
    "/v2.0/network-ip-availabilities/{}",
    "/v2.0/agents/{}",
    "/v2.0/extensions/{}",
    "/v2.0/ports/{}/bindings",
    "/v2.0/ports/<blue_port>/bindings/{}",
    "/v2.0/ports/<blue_port>/tags/{}",
    "/v2.0/networks/{}/tags",
    "/v1/moves/{}",
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("trick", [name for name, text in TRICKS.items() if text])
def test_a_trick_in_a_path(op, there, unchanged, path: str, trick: str) -> None:
    """An address that nothing has is not found, or is said to be none, whatever stands in it."""
    unchanged()
    refused(op("GET", filled(path, there).format(quote(TRICKS[trick], safe=""))), {400, 404})


@pytest.mark.parametrize("path", ["/v1/topology/switches/{}", "/v1/topology/links/{}"])
@pytest.mark.parametrize("trick", [name for name, text in TRICKS.items() if text])
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_trick_for_a_part_of_the_fabric(op, desk, same_fabric, path: str, trick: str, method: str) -> None:  # noqa: PLR0917
    """No switch and no link has such a name, and nothing happens to those that there are."""
    assert desk
    same_fabric()
    body = {"switch" if "switches" in path else "link": {"maintenance": True}} if method == "PUT" else None
    refused(op(method, path.format(quote(TRICKS[trick], safe="")), body), {400, 404, 405})


QUERIES = [
    ("networks?limit={}", 400, "limit"),
    ("networks?sort_key={}", 400, "sort_key"),
    ("networks?sort_key=name&sort_dir={}", 400, "sort_dir"),
    ("networks?marker={}", 404, "could not be found"),
    ("networks?changed_since={}", 400, "changed_since"),
    ("networks?admin_state_up={}", 400, "admin_state_up"),
    ("networks?revision_number={}", 400, "revision_number"),
    ("ports?fixed_ips=ip_address%3D{}", 400, "fixed_ips"),
    ("ports?{}=1", 400, "filtered by"),
]


@pytest.mark.parametrize(("query", "status", "word"), QUERIES)
@pytest.mark.parametrize("trick", ["sql", "nul", "path", "duck", "html", "newline", "arabic digits"])
def test_a_trick_in_a_query(op, there, unchanged, query: str, status: int, word: str, trick: str) -> None:  # noqa: PLR0917
    """What asks for a list in a way that cannot be is refused with the filter's name."""
    assert there
    unchanged()
    refused(op("GET", "/v2.0/" + query.format(quote(TRICKS[trick], safe=""))), status, word)


# --- types and sizes --------------------------------------------------------------------------------------------------

HUGE = 10**30


def subnet(fields: dict[str, Any]) -> dict[str, Any]:
    """A subnet that could be, but for these fields."""
    return {"subnet": {"network_id": "<blue_network>", "cidr": "10.1.0.0/24", **fields}}


def cut(fields: dict[str, Any]) -> dict[str, Any]:
    """A subnet of a pool that could be, but for these fields."""
    return {"subnet": {"network_id": "<blue_network>", "subnetpool_id": "<blue_pool>", **fields}}


def port(fields: dict[str, Any]) -> dict[str, Any]:
    """A port that could be, but for these fields."""
    return {"port": {"network_id": "<blue_network>", **fields}}


def pool(fields: dict[str, Any]) -> dict[str, Any]:
    """A subnet pool that could be, but for these fields."""
    return {"subnetpool": {"name": "x", "prefixes": ["10.0.0.0/8"], **fields}}


def share(fields: dict[str, Any]) -> dict[str, Any]:
    """A policy that could be, but for these fields."""
    network = {"object_type": "network", "object_id": "<blue_network>", "action": "access_as_shared"}
    return {"rbac_policy": {**network, **fields}}


TYPES: list[tuple[str, str, dict[str, Any], str]] = [
    ("POST", "networks", {"network": {"name": ["a"]}}, "name"),
    ("POST", "networks", {"network": {"name": {"$ne": ""}}}, "name"),
    ("POST", "networks", {"network": {"name": "x" * 100_000}}, "name"),
    ("POST", "networks", {"network": {"description": 1}}, "description"),
    ("POST", "networks", {"network": {"description": "x" * 256}}, "description"),
    ("POST", "networks", {"network": {"mtu": HUGE}}, "mtu"),
    ("POST", "networks", {"network": {"mtu": -1}}, "mtu"),
    ("POST", "networks", {"network": {"mtu": 1e300}}, "mtu"),
    ("POST", "networks", {"network": {"mtu": [1500]}}, "mtu"),
    ("POST", "networks", {"network": {"mtu": None}}, "mtu"),
    ("POST", "networks", {"network": {"admin_state_up": []}}, "admin_state_up"),
    ("POST", "networks", {"network": {"admin_state_up": HUGE}}, "admin_state_up"),
    ("POST", "networks", {"network": {"shared": {}}}, "shared"),
    ("POST", "networks", {"network": {"availability_zone_hints": "default"}}, "availability_zone_hints"),
    ("POST", "networks", {"network": [{}]}, "network"),
    ("POST", "networks", {"network": "network"}, "network"),
    ("POST", "networks", {"network": 0}, "network"),
    ("POST", "networks", {"networks": {"0": {}}}, "networks"),
    ("POST", "networks", {"networks": [[]]}, "networks"),
    ("POST", "networks", {"networks": [None]}, "networks"),
    ("POST", "networks", {"networks": [{}] * 10_001}, "networks"),
    ("POST", "networks", {"networks": [{"name": "ok"}, {"name": "ok"}, {"mtu": "x"}]}, "item 2 of networks"),
    ("POST", "subnets", {"subnet": {"network_id": ["<blue_network>"], "cidr": "10.1.0.0/24"}}, "network_id"),
    ("POST", "subnets", {"subnet": {"network_id": {"id": "<blue_network>"}, "cidr": "10.1.0.0/24"}}, "network_id"),
    ("POST", "subnets", subnet({"cidr": ["10.1.0.0/24"]}), "cidr"),
    ("POST", "subnets", subnet({"cidr": "10.1.0.0/-1"}), "cidr"),
    ("POST", "subnets", subnet({"cidr": "10.1.0.0/999"}), "cidr"),
    ("POST", "subnets", subnet({"cidr": "10.1.0.0/0x18"}), "cidr"),
    ("POST", "subnets", subnet({"cidr": "010.1.0.0/24"}), "cidr"),
    ("POST", "subnets", subnet({"cidr": "224.0.0.0/24"}), "cidr"),
    ("POST", "subnets", subnet({"cidr": "0.0.0.0/0"}), "cidr"),
    ("POST", "subnets", subnet({"cidr": "::/0"}), "cidr"),
    ("POST", "subnets", subnet({"cidr": "ff02::/64"}), "cidr"),
    ("POST", "subnets", subnet({"ip_version": "6"}), "ip_version"),
    ("POST", "subnets", subnet({"ip_version": HUGE}), "ip_version"),
    ("POST", "subnets", subnet({"gateway_ip": ""}), "gateway_ip"),
    ("POST", "subnets", subnet({"gateway_ip": False}), "gateway_ip"),
    ("POST", "subnets", subnet({"allocation_pools": [["10.1.0.2", "10.1.0.9"]]}), "allocation_pools[0]"),
    (
        "POST",
        "subnets",
        subnet({"allocation_pools": [{"start": "10.1.0.2", "end": "10.1.0.9", "step": 2}]}),
        "allocation_pools[0].step",
    ),
    ("POST", "subnets", subnet({"host_routes": [{"destination": 1, "nexthop": 2}]}), "host_routes[0]"),
    ("POST", "subnets", subnet({"host_routes": "0.0.0.0/0"}), "host_routes"),
    ("POST", "subnets", {"subnets": [{"network_id": "<blue_network>", "cidr": "10.1.0.0/24"}] * 2}, "cidr"),
    ("POST", "subnets", cut({"prefixlen": 99}), "prefix length"),
    ("POST", "subnets", cut({"prefixlen": -8}), "prefix"),
    ("POST", "subnets", cut({"prefixlen": "/24"}), "prefixlen"),
    ("POST", "subnets", {"subnet": {"network_id": "<blue_network>", "subnetpool_id": NOBODY}}, NOBODY),
    ("POST", "subnets", cut({"cidr": "10.1.0.0/24"}), "10.1.0.0/24"),
    ("POST", "ports", {"port": {"network_id": None}}, "network_id"),
    ("POST", "ports", {"port": {"network_id": ["<blue_network>"]}}, "network_id"),
    ("POST", "ports", {"port": {"network_id": "x" * 256}}, "network_id"),
    ("POST", "ports", port({"mac_address": "02:00:00:00:00:0g"}), "mac_address"),
    ("POST", "ports", port({"mac_address": "02:00:00:00:00"}), "mac_address"),
    ("POST", "ports", port({"mac_address": "02:00:00:00:00:01:02"}), "mac_address"),
    ("POST", "ports", port({"mac_address": "ff:ff:ff:ff:ff:ff"}), "mac_address"),
    ("POST", "ports", port({"mac_address": ["02:00:00:00:00:01"]}), "mac_address"),
    ("POST", "ports", port({"fixed_ips": {"ip_address": "10.0.0.9"}}), "fixed_ips"),
    ("POST", "ports", port({"fixed_ips": ["10.0.0.9"]}), "fixed_ips[0]"),
    ("POST", "ports", port({"fixed_ips": [[]]}), "fixed_ips[0]"),
    ("POST", "ports", port({"fixed_ips": [{"ip": "10.0.0.9"}]}), "fixed_ips[0].ip"),
    ("POST", "ports", port({"fixed_ips": [{"ip_address": "10.0.0.0"}]}), "fixed_ips"),
    ("POST", "ports", port({"fixed_ips": [{"ip_address": "10.0.0.255"}]}), "fixed_ips"),
    ("POST", "ports", port({"fixed_ips": [{"ip_address": "127.0.0.1"}]}), "fixed_ips"),
    ("POST", "ports", port({"fixed_ips": [{"ip_address": "::ffff:10.0.0.9"}]}), "fixed_ips"),
    ("POST", "ports", port({"fixed_ips": [{"ip_address": "010.0.0.9"}]}), "ip_address"),
    ("POST", "ports", port({"fixed_ips": [{"ip_address": "10.0.0.9", "subnet_id": "<lent_subnet>"}]}), "fixed_ips"),
    ("POST", "ports", port({"fixed_ips": [{"subnet_id": "<blue_subnet>"}] * 65}), "fixed_ips"),
    ("POST", "ports", port({"tags": ["t"] * 256}), "tags"),
    ("POST", "ports", port({"tags": {"a": "b"}}), "tags"),
    ("POST", "ports", port({"tags": [["a"]]}), "tags[0]"),
    ("POST", "ports", port({"tags": [None]}), "tags[0]"),
    ("POST", "ports", port({"device_id": 7}), "device_id"),
    ("POST", "ports", port({"device_owner": "x" * 256}), "device_owner"),
    ("POST", "ports", port({"binding:vnic_type": ["normal"]}), "binding:vnic_type"),
    ("POST", "ports", port({"security_groups": None}), "security_groups"),
    ("POST", "ports", port({"allowed_address_pairs": {}}), "allowed_address_pairs"),
    ("POST", "ports", port({"extra_dhcp_opts": "x"}), "extra_dhcp_opts"),
    ("POST", "ports", {"ports": [{"network_id": "<blue_network>"}] * 10_001}, "ports"),
    ("POST", "ports", {"ports": [{"network_id": "<blue_network>"}] * 300}, "fixed_ips"),
    ("POST", "ports", {"ports": [{"network_id": "<blue_network>"}, {"network_id": NOBODY}]}, NOBODY),
    ("POST", "subnetpools", {"subnetpool": {"name": "x", "prefixes": []}}, "prefixes"),
    ("POST", "subnetpools", {"subnetpool": {"name": "x", "prefixes": "10.0.0.0/8"}}, "prefixes"),
    ("POST", "subnetpools", {"subnetpool": {"name": "x", "prefixes": ["10.0.0.0/8", "fd00::/48"]}}, "prefixes"),
    ("POST", "subnetpools", {"subnetpool": {"name": "x", "prefixes": ["10.0.0.1/8"]}}, "prefixes[0]"),
    ("POST", "subnetpools", pool({"default_prefixlen": 33}), "default_prefixlen"),
    ("POST", "subnetpools", pool({"min_prefixlen": 28, "max_prefixlen": 24}), "prefixlen"),
    ("POST", "subnetpools", pool({"default_quota": 1.5}), "default_quota"),
    ("POST", "subnetpools", {"subnetpool": {"name": None, "prefixes": ["10.0.0.0/8"]}}, "name"),
    ("POST", "subnetpools", pool({"shared": True}), "shared"),
    ("POST", "subnetpools", pool({"is_default": True}), "is_default"),
    ("POST", "subnetpools", pool({"address_scope_id": NOBODY}), "address_scope_id"),
    ("POST", "rbac-policies", {"rbac_policy": {}}, "object_type"),
    ("POST", "rbac-policies", share({}), "target_tenant"),
    ("POST", "rbac-policies", share({"target_tenant": ["red"]}), "target_tenant"),
    ("POST", "rbac-policies", share({"target_tenant": ""}), "target_tenant"),
    ("POST", "rbac-policies", share({"action": "access_as_root", "target_tenant": "red"}), "action"),
    (
        "POST",
        "rbac-policies",
        {
            "rbac_policy": {
                "object_type": "port",
                "object_id": "<blue_port>",
                "action": "access_as_shared",
                "target_tenant": "red",
            }
        },
        "object_type",
    ),
    (
        "POST",
        "rbac-policies",
        {
            "rbac_policy": {
                "object_type": "subnetpool",
                "object_id": "<blue_network>",
                "action": "access_as_shared",
                "target_tenant": "red",
            }
        },
        "could not be found",
    ),
    (
        "POST",
        "rbac-policies",
        {
            "rbac_policy": {
                "object_type": "network",
                "object_id": "<lent>",
                "action": "access_as_shared",
                "target_tenant": "red",
            }
        },
        "",
    ),
    ("PUT", "networks/<blue_network>", {"network": {"mtu": HUGE}}, "mtu"),
    ("PUT", "networks/<blue_network>", {"network": None}, "network"),
    ("PUT", "networks/<blue_network>", {}, "network"),
    ("PUT", "networks/<blue_network>", {"networks": [{}]}, "networks"),
    ("PUT", "networks/<blue_network>", {"network": {"tenant_id": "red"}}, "tenant_id"),
    ("PUT", "networks/<blue_network>", {"network": {"subnets": []}}, "subnets"),
    ("PUT", "networks/<blue_network>", {"network": {"status": "DOWN"}}, "status"),
    (
        "PUT",
        "subnets/<blue_subnet>",
        {"subnet": {"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.2"}]}},
        "allocation_pools",
    ),
    ("PUT", "subnets/<blue_subnet>", {"subnet": {"gateway_ip": "10.0.0.2/24"}}, "gateway_ip"),
    ("PUT", "subnets/<blue_subnet>", {"subnet": {"gateway_ip": "10.0.0.255"}}, "gateway_ip"),
    ("PUT", "subnets/<blue_subnet>", {"subnet": {"cidr": "10.0.0.0/8"}}, "cidr"),
    ("PUT", "subnets/<blue_subnet>", {"subnet": {"project_id": "red"}}, "project_id"),
    ("PUT", "ports/<blue_port>", {"port": {"mac_address": "02:00:00:00:00:77"}}, "mac_address"),
    ("PUT", "ports/<blue_port>", {"port": {"fixed_ips": [{"subnet_id": NOBODY}]}}, NOBODY),
    ("PUT", "ports/<blue_port>", {"port": {"fixed_ips": None}}, "fixed_ips"),
    ("PUT", "ports/<blue_port>", {"port": {"project_id": "red"}}, "project_id"),
    ("PUT", "ports/<blue_port>", {"port": {"id": NOBODY}}, "id"),
    ("PUT", "ports/<blue_port>", {"port": {"binding:host_id": "h2"}}, "binding:host_id"),
    ("PUT", "ports/<blue_port>", {"port": {"admin_state_up": "yes please"}}, "admin_state_up"),
    ("PUT", "ports/<blue_port>", {"port": {"name": "x" * 256}}, "name"),
    ("PUT", "subnetpools/<blue_pool>", {"subnetpool": {"prefixes": ["10.65.0.0/16"]}}, "prefixes"),
    ("PUT", "subnetpools/<blue_pool>", {"subnetpool": {"prefixes": []}}, "prefixes"),
    ("PUT", "subnetpools/<blue_pool>", {"subnetpool": {"shared": True}}, "shared"),
    ("PUT", "subnetpools/<blue_pool>", {"subnetpool": {"default_prefixlen": 64}}, "default_prefixlen"),
    ("PUT", "rbac-policies/<blue_policy>", {"rbac_policy": {"action": "access_as_shared"}}, "action"),
    ("PUT", "rbac-policies/<blue_policy>", {"rbac_policy": {"target_tenant": 5}}, "target_tenant"),
    ("PUT", "rbac-policies/<blue_policy>", {"rbac_policy": {}}, "target_tenant"),
    ("PUT", "networks/<blue_network>/tags", {"tags": "a"}, "tags"),
    ("PUT", "networks/<blue_network>/tags", {"tags": ["a"] * 2}, "tags"),
    ("PUT", "networks/<blue_network>/tags", {"tags": ["x" * 256]}, "tags[0]"),
    ("PUT", "networks/<blue_network>/tags", {"tags": [str(number) for number in range(256)]}, "tags"),
    ("PUT", "networks/<blue_network>/tags", {}, "tags"),
    ("POST", "networks/<blue_network>/tags", {"tags": {}}, "tags"),
    ("PUT", f"networks/<blue_network>/tags/{'x' * 256}", {}, "tag"),
]


@pytest.mark.parametrize(("method", "path", "body", "word"), TYPES)
def test_a_wrong_type_or_size(blue, there, unchanged, method: str, path: str, body: Any, word: str) -> None:  # noqa: PLR0917
    """A value of another type, too large, too many or not possible beside the others is refused with its field."""
    unchanged()
    refused(blue(method, f"/v2.0/{filled(path, there)}", filled(body, there)), {400, 403, 404, 409}, word)


OPERATORS: list[tuple[str, str, Any, int, str]] = [
    ("PUT", "/v2.0/quotas/blue", {"quota": {"port": 1 << 31}}, 400, "port"),
    ("PUT", "/v2.0/quotas/blue", {"quota": {"port": "7; --"}}, 400, "port"),
    ("PUT", "/v2.0/quotas/blue", {"quota": {"port": None}}, 400, "port"),
    ("PUT", "/v2.0/quotas/blue", {"quota": {"port": [7]}}, 400, "port"),
    ("PUT", "/v2.0/quotas/blue", {"quota": {"check_limit": True}}, 400, "quota"),
    ("PUT", "/v2.0/quotas/blue", {"quota": {"port": 0, "check_limit": True}}, 400, "port"),
    ("PUT", "/v2.0/quotas/blue", {"quota": {"port": 5, "force": "maybe"}}, 400, "force"),
    ("PUT", "/v2.0/quotas/blue", {"quota": {"tenant_id": "red", "port": 5}}, 400, "tenant_id"),
    ("PUT", f"/v2.0/quotas/{'x' * 256}", {"quota": {"port": 5}}, 400, "project_id"),
    ("DELETE", "/v2.0/quotas/nobody", None, 404, "nobody"),
    ("PUT", "/v2.0/ports/<blue_port>", {"port": {"binding:host_id": ["h2"]}}, 400, "binding:host_id"),
    ("PUT", "/v2.0/ports/<blue_port>", {"port": {"binding:host_id": "h2; reboot"}}, 400, "binding:host_id"),
    ("PUT", "/v2.0/ports/<blue_port>", {"port": {"binding:host_id": "h" * 256}}, 400, "binding:host_id"),
    ("PUT", "/v2.0/ports/<blue_port>", {"port": {"binding:host_id": "h3"}}, 400, "binding:host_id"),
    ("PUT", "/v2.0/ports/<blue_port>", {"port": {"mac_address": "02:00:00:00:00:77"}}, 409, "bound"),
    ("PUT", "/v2.0/ports/<blue_port>", {"port": {"binding:profile": {"pci_slot": "0"}}}, 400, "binding:profile"),
    ("POST", "/v2.0/ports/<blue_port>/bindings", {"binding": {"host": "h1"}}, 409, "h1"),
    ("POST", "/v2.0/ports/<blue_port>/bindings", {"binding": {"host": "h3"}}, 400, "h3"),
    ("POST", "/v2.0/ports/<blue_port>/bindings", {"binding": {"host": ""}}, 400, "host"),
    ("POST", "/v2.0/ports/<blue_port>/bindings", {"binding": {"host": ["h2"]}}, 400, "host"),
    ("POST", "/v2.0/ports/<blue_port>/bindings", {"binding": {}}, 400, "host"),
    ("POST", "/v2.0/ports/<blue_port>/bindings", {"binding": {"host": "h2", "status": "ACTIVE"}}, 400, "status"),
    ("POST", "/v2.0/ports/<blue_port>/bindings", {"bindings": [{"host": "h2"}]}, 400, "bindings"),
    ("PUT", "/v2.0/ports/<blue_port>/bindings/h2/activate", {}, 404, "h2"),
    ("PUT", "/v2.0/ports/<blue_port>/bindings/h1/activate", {}, 409, "h1"),
    ("DELETE", "/v2.0/ports/<blue_port>/bindings/h2", None, 404, "h2"),
    ("DELETE", "/v2.0/ports/<blue_port>/bindings/h1", None, 409, "h1"),
    ("POST", "/v2.0/networks", {"network": {"provider:segmentation_id": -1}}, 400, "provider:segmentation_id"),
    ("POST", "/v2.0/networks", {"network": {"provider:segmentation_id": HUGE}}, 400, "provider:segmentation_id"),
    ("POST", "/v2.0/networks", {"network": {"provider:segmentation_id": [7]}}, 400, "provider:segmentation_id"),
    ("POST", "/v2.0/networks", {"network": {"project_id": "x" * 256}}, 400, "project_id"),
    ("POST", "/v2.0/networks", {"network": {"project_id": ["blue"]}}, 400, "project_id"),
    ("POST", "/v2.0/networks", {"network": {"project_id": "blue", "tenant_id": "red"}}, 400, "tenant_id"),
    ("POST", "/v1/directory/lookups", {"lookups": "all"}, 400, "lookups"),
    ("POST", "/v1/directory/lookups", {}, 400, "lookups"),
    ("GET", "/v1/paths?from=h1", None, 400, "to"),
    ("GET", "/v1/paths?from=h1&to=nowhere", None, 404, "nowhere"),
    ("GET", "/v1/moves?live=perhaps", None, 400, "live"),
    ("DELETE", "/v2.0/agents/<blue_port>", None, 405, "DELETE"),
    ("POST", "/v2.0/agents", {"agent": {}}, 405, "POST"),
    ("POST", "/v2.0/extensions", {"extension": {}}, 405, "POST"),
    ("DELETE", "/v2.0/", None, 405, "DELETE"),
    ("POST", "/v3/projects", {"project": {"name": "x"}}, 405, "POST"),
    ("GET", "/v2.0/../v1/topology", None, 404, ""),
    ("GET", "/v2.0//networks", None, 404, ""),
    ("GET", "/V2.0/networks", None, 404, ""),
    ("GET", "/v2.0/networks.json", None, 404, ""),
    ("GET", "/v2.0/networks;x=1", None, 404, ""),
    ("GET", "/docs/%2e%2e%2fapp.py", None, 404, ""),
    ("GET", "/docs/..%5capp.py", None, 404, ""),
    ("GET", "/.git/config", None, 404, ""),
    ("GET", "/operator.token", None, 404, ""),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "word"), OPERATORS)
def test_the_operator_may_err_as_well(  # noqa: PLR0917
    op, there, unchanged, method: str, path: str, body: Any, status: int, word: str
) -> None:
    """What only the operator can ask for is checked no less."""
    unchanged()
    refused(op(method, filled(path, there), filled(body, there)), status, word)


UNKNOWN = (
    "__proto__",
    "constructor",
    "__class__",
    "$where",
    "_id",
    "ID",
    "Name",
    "name ",
    "näme",
    "",
    "\0",
    "x" * 1000,
)


@pytest.mark.parametrize("field", UNKNOWN)
@pytest.mark.parametrize("noun", ["network", "subnet", "port", "subnetpool", "rbac_policy"])
def test_an_unknown_field(blue, there, unchanged, noun: str, field: str) -> None:
    """A field that we do not have is refused by name on creation and on change, however much it looks like one."""
    unchanged()
    plural = {"rbac_policy": "rbac-policies"}.get(noun, f"{noun}s")
    id_ = there["blue_" + {"subnetpool": "pool", "rbac_policy": "policy"}.get(noun, noun)]
    required: dict[str, dict[str, Any]] = {
        "subnet": {"network_id": there["blue_network"], "cidr": "10.1.0.0/24"},
        "port": {"network_id": there["blue_network"]},
        "subnetpool": {"name": "x", "prefixes": ["10.0.0.0/8"]},
    }
    for method, path, body in (
        ("POST", f"/v2.0/{plural}", {noun: {**required.get(noun, {}), field: 1}}),
        ("PUT", f"/v2.0/{plural}/{id_}", {noun: {field: 1}}),
        ("POST", f"/v2.0/{plural}", {noun: required.get(noun, {}), field: 1}),
    ):
        refused(blue(method, path, body), 400, f"attribute(s) '{field}'")


# --- other people's ids -----------------------------------------------------------------------------------------------

ANOTHERS: list[tuple[str, str, Any, int, str]] = [
    ("GET", "networks/<blue_network>", None, 404, "<blue_network>"),
    ("PUT", "networks/<blue_network>", {"network": {"name": "x"}}, 404, "<blue_network>"),
    ("DELETE", "networks/<blue_network>", None, 404, "<blue_network>"),
    ("GET", "subnets/<blue_subnet>", None, 404, "<blue_subnet>"),
    ("PUT", "subnets/<blue_subnet>", {"subnet": {"name": "x"}}, 404, "<blue_subnet>"),
    ("DELETE", "subnets/<blue_subnet>", None, 404, "<blue_subnet>"),
    ("GET", "ports/<blue_port>", None, 404, "<blue_port>"),
    ("PUT", "ports/<blue_port>", {"port": {"name": "x"}}, 404, "<blue_port>"),
    ("DELETE", "ports/<blue_port>", None, 404, "<blue_port>"),
    ("GET", "ports/<lent_port>", None, 404, "<lent_port>"),
    ("DELETE", "ports/<lent_port>", None, 404, "<lent_port>"),
    ("GET", "subnetpools/<blue_pool>", None, 404, "<blue_pool>"),
    ("PUT", "subnetpools/<blue_pool>", {"subnetpool": {"name": "x"}}, 404, "<blue_pool>"),
    ("DELETE", "subnetpools/<blue_pool>", None, 404, "<blue_pool>"),
    ("GET", "rbac-policies/<blue_policy>", None, 404, "<blue_policy>"),
    ("PUT", "rbac-policies/<blue_policy>", {"rbac_policy": {"target_tenant": "red"}}, 404, "<blue_policy>"),
    ("DELETE", "rbac-policies/<blue_policy>", None, 404, "<blue_policy>"),
    ("GET", "networks/<blue_network>/tags", None, 404, "<blue_network>"),
    ("PUT", "networks/<blue_network>/tags", {"tags": ["x"]}, 404, "<blue_network>"),
    ("DELETE", "networks/<blue_network>/tags", None, 404, "<blue_network>"),
    ("PUT", "ports/<blue_port>/tags/x", {}, 404, "<blue_port>"),
    ("GET", "ports/<blue_port>/tags/x", None, 404, "<blue_port>"),
    ("DELETE", "subnets/<blue_subnet>/tags/x", None, 404, "<blue_subnet>"),
    ("PUT", "subnetpools/<blue_pool>/tags", {"tags": []}, 404, "<blue_pool>"),
    ("PUT", "networks/<lent>/tags", {"tags": ["x"]}, 403, ""),
    ("PUT", "networks/<lent>", {"network": {"name": "x"}}, 403, ""),
    ("DELETE", "networks/<lent>", None, 403, ""),
    ("PUT", "subnets/<lent_subnet>", {"subnet": {"name": "x"}}, 403, ""),
    ("DELETE", "subnets/<lent_subnet>", None, 403, ""),
    ("POST", "subnets", {"subnet": {"network_id": "<blue_network>", "cidr": "10.1.0.0/24"}}, 404, "<blue_network>"),
    ("POST", "subnets", {"subnet": {"network_id": "<lent>", "cidr": "10.8.0.0/24"}}, 403, ""),
    (
        "POST",
        "subnets",
        {"subnet": {"network_id": "<red_network>", "subnetpool_id": "<blue_pool>"}},
        404,
        "<blue_pool>",
    ),
    ("POST", "ports", {"port": {"network_id": "<blue_network>"}}, 404, "<blue_network>"),
    (
        "POST",
        "ports",
        {"ports": [{"network_id": "<red_network>"}, {"network_id": "<blue_network>"}]},
        404,
        "<blue_network>",
    ),
    (
        "POST",
        "ports",
        {"port": {"network_id": "<red_network>", "fixed_ips": [{"subnet_id": "<blue_subnet>"}]}},
        404,
        "<blue_subnet>",
    ),
    ("PUT", "ports/<red_port>", {"port": {"fixed_ips": [{"subnet_id": "<blue_subnet>"}]}}, 404, "<blue_subnet>"),
    ("PUT", "ports/<red_port>", {"port": {"fixed_ips": [{"subnet_id": "<lent_subnet>"}]}}, 400, "fixed_ips"),
    ("PUT", "ports/<red_port>", {"port": {"network_id": "<lent>"}}, 400, "network_id"),
    (
        "POST",
        "rbac-policies",
        {
            "rbac_policy": {
                "object_type": "network",
                "object_id": "<blue_network>",
                "action": "access_as_shared",
                "target_tenant": "red",
            }
        },
        404,
        "<blue_network>",
    ),
    (
        "POST",
        "rbac-policies",
        {
            "rbac_policy": {
                "object_type": "network",
                "object_id": "<lent>",
                "action": "access_as_shared",
                "target_tenant": "green",
            }
        },
        403,
        "",
    ),
    (
        "POST",
        "rbac-policies",
        {
            "rbac_policy": {
                "object_type": "subnetpool",
                "object_id": "<blue_pool>",
                "action": "access_as_shared",
                "target_tenant": "red",
            }
        },
        404,
        "<blue_pool>",
    ),
    ("POST", "networks", {"network": {"project_id": "blue"}}, 403, "project_id"),
    ("POST", "networks", {"network": {"tenant_id": "blue"}}, 403, "tenant_id"),
    ("POST", "networks", {"networks": [{}, {"project_id": "blue"}]}, 403, "project_id"),
    (
        "POST",
        "subnets",
        {"subnet": {"network_id": "<red_network>", "cidr": "10.1.0.0/24", "project_id": "blue"}},
        403,
        "project_id",
    ),
    ("POST", "ports", {"port": {"network_id": "<red_network>", "tenant_id": "blue"}}, 403, "tenant_id"),
    (
        "POST",
        "subnetpools",
        {"subnetpool": {"name": "x", "prefixes": ["10.0.0.0/8"], "project_id": "blue"}},
        403,
        "project_id",
    ),
    ("GET", "networks?marker=<blue_network>", None, 404, "<blue_network>"),
    ("GET", "ports?marker=<blue_port>&limit=1", None, 404, "<blue_port>"),
    ("GET", "ports/<blue_port>/bindings", None, 404, "<blue_port>"),
    ("POST", "ports/<blue_port>/bindings", {"binding": {"host": "h2"}}, 404, "<blue_port>"),
    ("PUT", "ports/<blue_port>/bindings/h1/activate", {}, 404, "<blue_port>"),
    ("DELETE", "ports/<blue_port>/bindings/h1", None, 404, "<blue_port>"),
    ("GET", "quotas/blue", None, 403, ""),
    ("GET", "quotas/blue/details.json", None, 403, ""),
    ("PUT", "quotas/red", {"quota": {"port": -1}}, 403, ""),
    ("DELETE", "quotas/blue", None, 403, ""),
    ("GET", "network-ip-availabilities/<blue_network>", None, 404, "<blue_network>"),
    ("GET", "agents", None, 403, ""),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "word"), ANOTHERS)
def test_anothers_id_is_nobodys(  # noqa: PLR0917
    red, there, unchanged, method: str, path: str, body: Any, status: int, word: str
) -> None:
    """Where an id can stand, that of another project is not found, as if it did not exist; what is lent is but used."""
    unchanged()
    refused(red(method, f"/v2.0/{filled(path, there)}", filled(body, there)), status, filled(word, there))


@pytest.mark.parametrize(
    "query",
    [
        "networks?id=<blue_network>",
        "networks?project_id=blue&shared=false",
        "networks?name=blue-net",
        "subnets?network_id=<blue_network>",
        "subnets?id=<blue_subnet>",
        "ports?network_id=<blue_network>",
        "ports?network_id=<lent>",
        "ports?id=<blue_port>",
        "ports?fixed_ips=subnet_id%3D<blue_subnet>",
        "ports?binding:host_id=h1",
        "subnetpools?id=<blue_pool>",
        "rbac-policies?object_id=<lent>",
        "rbac-policies?target_tenant=red",
    ],
)
def test_a_list_by_anothers_id_is_empty(red, there, query: str) -> None:
    """Filters find nothing of what one may not see."""
    answer = red("GET", f"/v2.0/{filled(query, there)}")
    assert answer.status == 200
    (found,) = (value for name, value in answer.body.items() if not name.endswith("_links"))
    assert found == []


# --- the protocol itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Auth-Token": ""}, 401),
        ({"X-Auth-Token": "operator"}, 401),
        ({"X-Auth-Token": "blue-0123456789abC"}, 401),
        ({"X-Auth-Token": "blue-0123456789ab"}, 401),
        ({"X-Auth-Token": "blue-0123456789abcc"}, 401),
        ({"X-Auth-Token": "x" * 4000}, 401),
        ({"X-Auth-Token": "\xff\xfe"}, 401),
        ({"X-Auth-Token": "blue-0123456789abc, operator-0123456789"}, 401),
        ({"X-Auth-Token": "' OR 1=1 --"}, 401),
        ({"Authorization": "Bearer operator-0123456789"}, 401),
        ({"Authorization": "Basic !!!"}, 401),
        ({"X-Roles": "admin", "X-Project-Id": "blue", "X-Identity-Status": "Confirmed"}, 401),
        ({"X-Forwarded-User": "operator", "X-Remote-User": "operator"}, 401),
        ({"Cookie": "X-Auth-Token=operator-0123456789"}, 401),
    ],
)
def test_who_only_says_so_is_nobody(edge, there, unchanged, headers: dict[str, str], status: int) -> None:
    """Nothing but the token itself opens anything."""
    assert there
    unchanged()
    refused(edge.as_(None).raw("POST", "/v2.0/networks", b'{"network": {}}', {**JSON, **headers}), status)


@pytest.mark.parametrize(
    ("method", "body", "headers", "status"),
    [
        ("POST", b'{"network": {}}', {"Content-Type": "application/json", "Content-Encoding": "gzip"}, {400, 415}),
        ("POST", b"\x1f\x8b\x08\0\0\0\0\0\0\x03", {"Content-Type": "application/json"}, {400}),
        ("POST", b'{"network": {}}', {"Content-Type": "application/xml"}, {415}),
        ("POST", b"<network/>", {"Content-Type": "application/json"}, {400}),
        ("POST", b"network: {}", {"Content-Type": "application/json"}, {400}),
        ("POST", b"\xef\xbb\xbf{}", {"Content-Type": "application/json"}, {400}),
        ("POST", '{"network": {}}'.encode("utf-16"), {"Content-Type": "application/json"}, {400}),
        ("POST", b'{"network": {"name": "\xff"}}', {"Content-Type": "application/json"}, {400}),
        ("POST", b'{"network": {"name": "\\ud83e"}}', {"Content-Type": "application/json"}, {400}),
        ("POST", b'{"network": {"mtu": Infinity}}', {"Content-Type": "application/json"}, {400}),
        ("POST", b'{"network": {"mtu": 0x5dc}}', {"Content-Type": "application/json"}, {400}),
        ("POST", b'{"network": {"mtu": 01500}}', {"Content-Type": "application/json"}, {400}),
        ("POST", b"{'network': {}}", {"Content-Type": "application/json"}, {400}),
        ("POST", b'{"network": {},}', {"Content-Type": "application/json"}, {400}),
        ("POST", b'{"network": {"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}}", JSON, {400}),
        ("POST", b'{"networks": [' + b"{}," * 200_000 + b"{}]}", JSON, {400, 413}),
        ("TRACE", None, {}, {400, 405, 501}),
        ("CONNECT", None, {}, {400, 405, 501}),
        ("PROPFIND", None, {}, {400, 405, 501}),
    ],
)
def test_what_is_no_request_of_ours(  # noqa: PLR0917
    blue, unchanged, method: str, body: bytes | None, headers: dict[str, str], status: set[int]
) -> None:
    """A body or a method that is none of ours is refused before anybody looks into it."""
    unchanged()
    answer = blue.raw(method, "/v2.0/networks", body, headers)
    assert answer.status in status, answer


@pytest.mark.parametrize("override", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_a_method_is_what_it_is(blue, there, unchanged, override: str) -> None:
    """A header that names another method changes none."""
    unchanged()
    assert blue.raw("GET", f"/v2.0/ports/{there['blue_port']}", None, {override: "DELETE"}).status == 200


@pytest.mark.parametrize(
    "text",
    [
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /v2.0/networks HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v2.0/networks HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /v2.0/networks HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X-Much: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 1000,
    ],
    ids=lambda text: repr(text[:70]),
)
def test_what_is_no_http_ends_that_connection_alone(edge, blue, there, unchanged, text: bytes) -> None:
    """Bytes that are no request are answered 4xx or with the end of the connection; everybody else goes on."""
    assert there
    unchanged()
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=20)
    connection.connect()
    try:
        connection.sock.sendall(text)
        connection.sock.shutdown(1)
        said = connection.sock.recv(65536)
    except OSError:
        said = b""  # it did not even hear us out
    finally:
        connection.close()
    # Who does not say which HTTP it speaks hears HTTP/0.9, which has no status line.
    refusals = (b"HTTP/1.0 4", b"HTTP/1.1 4")
    assert not said or said.startswith(refusals) or b"Error code: 4" in said or b"Error code: 505" in said, said[:300]
    assert blue("GET", "/v2.0/networks").status == 200


# --- at the same time -------------------------------------------------------------------------------------------------


def at_once(*requests: Any) -> list[Any]:
    """Send requests as nearly at the same time as threads can."""
    gate = threading.Barrier(len(requests))

    def send(request: Any) -> Any:
        gate.wait(20)
        return request()

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(send, requests))


@pytest.mark.parametrize("noun", ["network", "subnet", "port", "subnetpool"])
def test_of_two_who_saw_the_same_one_wins(blue, there, noun: str) -> None:
    """Of several changes that depend on one revision exactly one is made, and the others hear 412."""
    path = f"/v2.0/{noun}s/{there['blue_' + {'subnetpool': 'pool'}.get(noun, noun)]}"
    revision = blue("GET", path).body[noun]["revision_number"]
    match = {**JSON, "If-Match": f"revision_number={revision}"}

    def change(name: str) -> Any:
        return lambda: blue.raw("PUT", path, json.dumps({noun: {"name": name}}).encode(), match)

    answers = at_once(*(change(f"writer {number}") for number in range(6)))
    assert sorted(answer.status for answer in answers) == [200, *[412] * 5]
    (won,) = (answer.body[noun] for answer in answers if answer.status == 200)
    for lost in answers:
        if lost.status == 412:
            refused(lost, 412, str(revision))
    shown = blue("GET", path).body[noun]
    assert (shown["name"], shown["revision_number"]) == (won["name"], revision + 1)


def test_of_many_deletions_one_deletes(blue, there) -> None:
    """Of several deletions of one port one is done, the others find nothing."""
    path = f"/v2.0/ports/{there['blue_port']}"
    answers = at_once(*[lambda: blue("DELETE", path)] * 6)
    assert sorted(answer.status for answer in answers) == [204, *[404] * 5]


def test_a_change_and_a_deletion(blue, there) -> None:
    """A change that meets a deletion of what it saw is made before it, or not at all."""
    path = f"/v2.0/ports/{there['blue_port']}"
    match = {**JSON, "If-Match": f"revision_number={blue('GET', path).body['port']['revision_number']}"}
    changed, deleted = at_once(
        lambda: blue.raw("PUT", path, b'{"port": {"name": "x"}}', match),
        lambda: blue.raw("DELETE", path, None, match),
    )
    assert (changed.status, deleted.status) in {(200, 412), (404, 204)}


@pytest.mark.parametrize(
    "fields", [{"mac_address": "02:00:00:00:00:09"}, {"fixed_ips": [{"ip_address": "10.0.0.9"}]}], ids=str
)
def test_of_many_who_want_one_thing_one_gets_it(blue, there, edge, fields: dict[str, Any]) -> None:
    """Of several ports that ask for the same address one is made, the others hear 409, and nothing is left of them."""
    before = len(edge.service.world.ports)
    body = {"port": {"network_id": there["blue_network"], **fields}}
    answers = at_once(*[lambda: blue("POST", "/v2.0/ports", body)] * 6)
    assert sorted(answer.status for answer in answers) == [201, *[409] * 5]
    assert len(edge.service.world.ports) == before + 1


def test_a_quota_holds_when_many_come_at_once(op, blue, there, edge) -> None:
    """However many ask at once, no project gets more than its quota."""
    assert there
    has = sum(network.project_id == "blue" for network in edge.service.world.networks.values())
    assert op("PUT", "/v2.0/quotas/blue", {"quota": {"network": has + 3}}).status == 200
    answers = at_once(*[lambda: blue("POST", "/v2.0/networks", {"network": {}})] * 8)
    assert sorted(answer.status for answer in answers) == [*[201] * 3, *[409] * 5]
    assert {answer.error["type"] for answer in answers if answer.status == 409} == {"OverQuota"}


def test_networks_made_at_once_are_apart(blue, edge) -> None:
    """Networks that are made at the same time have VNIs of their own."""
    answers = at_once(*[lambda: blue("POST", "/v2.0/networks", {"network": {"name": str(uuid.uuid4())}})] * 8)
    assert [answer.status for answer in answers] == [201] * 8
    vnis = [network.vni for network in edge.service.world.networks.values()]
    assert len(set(vnis)) == len(vnis)


# --- conditions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noun", ["network", "subnet", "port", "subnetpool"])
@pytest.mark.parametrize(
    ("match", "status"),
    [
        ("revision_number=0", 412),
        ("revision_number=99", 412),
        (f"revision_number={HUGE}", {400, 412}),
        ("revision_number=-1", {400, 412}),
        ("revision_number=1.0", 400),
        ("revision_number=", 400),
        ("revision_number=one", 400),
        ("revision_number=1, revision_number=2", 400),
        ("revision_number=1; DROP TABLE", 400),
        ("etag", 400),
        ('W/"1"', 400),
        ("name=x", 400),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_stale_or_strange_condition(  # noqa: PLR0917
    blue, there, unchanged, noun: str, match: str, status: set[int] | int, method: str
) -> None:
    """A condition that does not hold is answered 412, one that is none 400, and nothing is changed or deleted."""
    path = f"/v2.0/{noun}s/{there['blue_' + {'subnetpool': 'pool'}.get(noun, noun)]}"
    unchanged()
    body = json.dumps({noun: {"name": "x"}}).encode() if method == "PUT" else None
    refused(blue.raw(method, path, body, {**JSON, "If-Match": match}), status)
