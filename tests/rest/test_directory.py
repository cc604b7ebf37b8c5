"""The operator asks the directory for many addresses at once."""

from __future__ import annotations

import pytest


@pytest.fixture
def port(op):
    """A port of blue on h1."""
    network = op.make("network", project_id="blue")
    op.make("subnet", project_id="blue", network_id=network["id"], cidr="10.0.0.0/24")
    made = op.make("port", project_id="blue", network_id=network["id"], **{"binding:host_id": "h1"})
    return {**made, "vni": network["provider:segmentation_id"]}


def test_an_address_is_found_by_network_and_by_vni(op, port) -> None:
    """A MAC or an IP, in a network given by id or VNI, is answered with the port, its MAC, host and LA, in order."""
    ip, mac = port["fixed_ips"][0]["ip_address"], port["mac_address"]
    asked = [
        {"network_id": port["network_id"], "address": ip},
        {"vni": port["vni"], "address": mac},
        {"vni": port["vni"], "address": mac.upper()},
    ]
    answer = op("POST", "/v1/directory/lookups", {"lookups": asked})
    where = {"port_id": port["id"], "mac": mac, "host": "h1", "la": "10.0.1.11"}
    assert (answer.status, answer.body) == (200, {"locations": [where] * 3})


def test_what_nobody_has_is_null(op, port) -> None:
    """An unknown address, network or VNI is a null in its place, and the others are answered all the same."""
    asked = [
        {"network_id": port["network_id"], "address": "10.0.0.250"},
        {"network_id": "none", "address": port["mac_address"]},
        {"vni": port["vni"] + 1, "address": port["mac_address"]},
        {"vni": port["vni"], "address": "2001:db8::1"},
        {"vni": port["vni"], "address": port["mac_address"]},
    ]
    found = op("POST", "/v1/directory/lookups", {"lookups": asked}).body["locations"]
    assert [each and each["port_id"] for each in found] == [None, None, None, None, port["id"]]


def test_an_unbound_port_has_no_place(op) -> None:
    """The address of a port that is bound to no host is known, with neither host nor LA."""
    network = op.make("network")
    port = op.make("port", network_id=network["id"])
    asked = [{"network_id": network["id"], "address": port["mac_address"]}]
    (found,) = op("POST", "/v1/directory/lookups", {"lookups": asked}).body["locations"]
    assert found == {"port_id": port["id"], "mac": port["mac_address"], "host": None, "la": None}


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "lookups"),
        ({"lookups": []}, "lookups"),
        ({"lookups": [{"vni": 1, "address": "10.0.0.1"}] * 1001}, "lookups"),
        ({"lookups": [{"vni": 1, "address": "10.0.0.256"}]}, "lookups[0].address"),
        ({"lookups": [{"vni": 1, "address": 7}]}, "lookups[0].address"),
        ({"lookups": [{"vni": 1, "address": "10.0.0.1"}, {"vni": 0, "address": "10.0.0.1"}]}, "lookups[1].vni"),
        ({"lookups": [{"address": "10.0.0.1"}]}, "exactly one of network_id and vni"),
        ({"lookups": [{"vni": 1, "network_id": "n", "address": "10.0.0.1"}]}, "exactly one of network_id and vni"),
        ({"lookups": [{"vni": 1, "address": "10.0.0.1", "where": "h1"}]}, "where"),
    ],
)
def test_a_bad_lookup_is_named(op, unchanged, body: object, word: str) -> None:
    """A lookup that cannot be understood is refused with its place in the list, and none is answered."""
    unchanged()
    answer = op("POST", "/v1/directory/lookups", body)
    assert answer.status == 400
    assert word in answer.error["message"]


def test_tenants_do_not_learn_where_things_are(blue, port) -> None:
    """Only the operator may ask the directory."""
    asked = {"lookups": [{"network_id": port["network_id"], "address": port["mac_address"]}]}
    assert blue("POST", "/v1/directory/lookups", asked).status == 403
