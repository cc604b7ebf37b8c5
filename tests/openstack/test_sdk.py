"""openstacksdk, unmodified, works with each kind of objects; its exceptions are those of what went wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.openstack.conftest import Site

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tour(site: Site) -> Any:
    """Run a part of the tour as somebody."""

    def run(cloud: str, *words: str) -> Any:
        return site.script(cloud, "sdk_tour.py", *words)

    return run


def test_networks(tour: Any) -> None:
    """Networks are made, found by name and id, listed by filters and in order, changed and deleted."""
    assert tour("red", "networks") == {
        "made": ["one", "d", 1400, True, "ACTIVE", False],
        "same": True,
        "times": True,
        "changed": ["e", False, True],
        "found": [True, True],
        "missing": None,
        "all": ["one", "two"],
        "down": ["one"],
        "named": ["two"],
        "shared": [],
        "sorted": ["two", "one"],
        "fields": ["location", "name"],
        "left": [],
    }


def test_subnets_and_pools(tour: Any) -> None:
    """Subnets of both versions of IP and cut of pools are made, found, listed, changed and deleted."""
    assert tour("red", "subnets") == {
        "made": ["10.0.0.0/24", "10.0.0.254", False, ["192.0.2.1"], [{"start": "10.0.0.10", "end": "10.0.0.20"}]],
        "routes": [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.5"}],
        "six": [6, None, "slaac"],
        "told": [[{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}], []],
        "changed": ["10.0.0.1", [], "4"],
        "found": True,
        "of six": ["six"],
        "of the network": ["4", "six", "cut"],
        "of the pool": ["cut"],
        "pool": [27, 2, True],
        "cut": [True, True],
        "network": True,
        "in use": ["ConflictException", 409],
        "left": [[], []],
    }


def test_ports(tour: Any) -> None:
    """Ports are made alone and at once (all or none), found by what they have, changed and deleted."""
    facts = tour("red", "ports")
    assert facts.pop("used")[:2] == ["ConflictException", 409]
    assert facts == {
        "bulk": ["p0", "p1", "p2", "p3", "p4"],
        "made": ["02:00:00:00:00:07", True, "DOWN"],
        "secure": [True, 1, []],
        "binding": ["normal", None],
        "changed": [False, "10.0.0.78", "vm2"],
        "found": True,
        "by address": ["port"],
        "by device": ["port"],
        "by mac": ["port"],
        "by network": 6,
        "bulk is all or none": ["BadRequestException", 400],
        "still": 6,
        "left": [],
    }


def test_security_groups(tour: Any) -> None:
    """Groups, rules (also at once) and address groups are made, used for ports, found, changed and deleted."""
    assert tour("red", "groups") == {
        "default": ["default", 4, True],
        "made": ["web", "d", True, 2],
        "web": ["tcp", 80, 81, "10.0.0.0/8", "IPv4"],
        "bulk": [443, None],
        "listed": ["default", "web"],
        "rules": 4,
        "office": True,
        "addresses": [["192.0.2.0/24", "198.51.100.0/24"], ["198.51.100.0/24"]],
        "renamed": ["www", "branches"],
        "port": [True, "10.0.0.9"],
        "free": [False, []],
        "twice": ["ConflictException", 409],
        "inverted": ["BadRequestException", 400],
        "in use": ["ConflictException", 409],
        "named": ["ConflictException", 409],
        "stays": ["ConflictException", 409],
        "left": [["default"], []],
    }


def test_qos_policies(tour: Any) -> None:
    """Policies and their rules are made, found, given to ports and networks, changed and deleted."""
    assert tour("op", "policies", "red") == {
        "made": ["gold", "d", True, False, True],
        "found": True,
        "listed": ["gold"],
        "limit": [20_000, 5_000, "ingress"],
        "limits": [True],
        "mark": 8,
        "marks": [8],
        "rules": ["bandwidth_limit", "dscp_marking"],
        "had": [True, True],
        "through": True,
        "types": ["bandwidth_limit", "dscp_marking"],
        "type": "openvswitch",
        "in use": ["ConflictException", 409],
        "bad mark": ["BadRequestException", 400],
        "twice": ["ConflictException", 409],
        "minimum": ["BadRequestException", 400],
        "shared": True,
        "no more": None,
        "left": [],
    }


def test_mirrors(tour: Any) -> None:
    """Tap services and tap flows are made, found, renamed and listed, and end together."""
    assert tour("red", "mirrors") == {
        "made": ["watch", True, "DOWN"],
        "flow": ["BOTH", True, True, "DOWN"],
        "found": [True, True],
        "renamed": ["w", "f"],
        "listed": [["w"], []],
        "itself": ["BadRequestException", 400],
        "vlans": ["BadRequestException", 400],
        "gone": ["NotFoundException", 404],
    }


def test_tags(tour: Any) -> None:
    """Tags are set, added, checked, removed and filtered by, on each kind of objects that has them."""
    assert tour("red", "tags") == {
        **{kind: ["b", "c"] for kind in ("Network", "Subnet", "Port", "SubnetPool")},
        "check": ["NotFoundException", 404],
        "checked": ["nothing"],
        "none": [],
        "early": ["early"],
        "tags": ["one"],
        "any": ["one"],
        "not": ["two"],
        "not any": [],
    }


def test_trunks(tour: Any) -> None:
    """Trunks and their sub-ports are made, found, shown, changed and deleted; a VLAN twice is refused."""
    assert tour("red", "trunks") == {
        "made": ["trunk", "DOWN", True, True],
        "twice": ["ConflictException", 409],
        "sub-ports": [[7, 8]],
        "found": True,
        "owner": ["trunk:subport", True],
        "details": 2,
        "in use": ["ConflictException", 409],
        "fewer": 1,
        "changed": False,
        "locked": ["ConflictException", 409],
        "clear": [True, ["clear"]],
        "left": [],
    }


def test_revisions(tour: Any) -> None:
    """Whoever saw an older revision (``if_revision``) changes and deletes nothing, and hears which one there is."""
    refused = ["PreconditionFailedException", 412, "Constrained to 1, but current revision is 2"]
    assert tour("red", "revisions") == {"update": refused, "delete": refused, "kept": "first", "left": []}


def test_pages(tour: Any) -> None:
    """A list asked for in pages comes whole and without repetition, in several requests, in the order asked for."""
    assert tour("red", "pages") == {
        "all": True,
        "once": True,
        "requests": 4,
        "sorted": ["n6", "n5", "n4", "n3", "n2", "n1", "n0"],
        "one page": 2,
    }


def test_errors(tour: Any) -> None:
    """Each mistake is the SDK's exception for it, with our sentence."""
    facts = tour("red", "errors")
    assert facts["missing"] == ["NotFoundException", 404, "Network none could not be found."]
    assert facts["gone"] == ["NotFoundException", 404]
    assert facts["filter"] == 400
    for part, kind, status, word in (
        ("in use", "ConflictException", 409, "still has"),
        ("bad", "BadRequestException", 400, "mtu"),
        ("unknown", "BadRequestException", 400, "availability_zone_hints"),
        ("overlap", "BadRequestException", 400, "cidr"),
        ("forbidden", "ForbiddenException", 403, "project_id"),
    ):
        assert facts[part][:2] == [kind, status]
        assert word in facts[part][2]


def test_sharing(tour: Any) -> None:
    """A network is shared with a project by a policy, which is listed, found, changed and deleted."""
    assert tour("red", "sharing", "blue") == {
        "policy": ["network", "access_as_shared", "blue", True],
        "listed": [True],
        "found": True,
        "changed": "green",
        "left": 0,
    }


def test_quotas(tour: Any) -> None:
    """Quotas are set, shown with their use, kept, checked when asked, and reset."""
    facts = tour("op", "quotas", "blue")
    assert facts.pop("over") == ["ConflictException", 409, "Quota exceeded for resources: ['network']."]
    assert facts.pop("checked")[:2] == ["BadRequestException", 400]
    used = {"limit": 1, "used": 1, "reserved": 0}
    assert facts == {
        "changed": [1, 7],
        "limits": [1, 7],
        "usage": [used, {"limit": 7, "used": 0, "reserved": 0}],
        "listed": ["blue"],
        "default": True,
        "reset": True,
    }


def test_the_site(tour: Any) -> None:
    """The SDK finds extensions, zone, agents, providers and how many addresses are used."""
    facts = tour("op", "site")
    assert {"provider", "binding-extended", "quota_details", "pagination"} <= set(facts.pop("extensions"))
    assert facts == {
        "extension": ["provider", None],
        "agents": 0,
        "zone": ["default", "network"],
        "providers": 0,
        "addresses": [253, 1, "one"],
        "listed": ["one"],
    }


def test_the_cloud_layer(tour: Any) -> None:
    """The methods of the connection itself, which Ansible's modules call, work by name as well."""
    assert tour("red", "cloud") == {
        "made": ["one", "10.0.0.0/24", "10.0.0.2"],
        "changed": ["port2", "compute:x"],
        "got": [True, True],
        "listed": [["one"], ["four"], ["port2"]],
        "filtered": [["port2"], []],
        "searched": ["one"],
        "renamed": "uno",
        "subnet": ["192.0.2.1"],
        "deleted": [True, True, True],
        "again": False,
    }
