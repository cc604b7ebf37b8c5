"""A network that is shared can be used by others, and remains its owner's."""

from __future__ import annotations

import uuid

import pytest

from overlay.changes import CreatePort, CreateShare, DeleteShare
from overlay.values import Shareable


@pytest.fixture
def lent(blue, edge):
    """A network of blue's with a subnet, shared with red."""
    network = blue.make("network", name="lent")
    subnet = blue.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")
    edge.service.apply(CreateShare(str(uuid.uuid4()), "blue", Shareable.NETWORK, network["id"], "red"))
    return {"network": network["id"], "subnet": subnet["id"]}


def test_who_may_use_a_network_sees_it(lent, blue, red, op) -> None:
    """A network and its subnets are listed and shown to whom it is shared with, as shared to that one only."""
    for client, shared in ((red, True), (blue, False), (op, False)):
        assert [network["id"] for network in client("GET", "/v2.0/networks").body["networks"]] == [lent["network"]]
        assert [subnet["id"] for subnet in client("GET", "/v2.0/subnets").body["subnets"]] == [lent["subnet"]]
        found = client("GET", f"/v2.0/networks/{lent['network']}").body["network"]
        assert (found["shared"], found["project_id"], found["subnets"]) == (shared, "blue", [lent["subnet"]])
        assert client("GET", f"/v2.0/subnets/{lent['subnet']}").status == 200
        listed = client("GET", f"/v2.0/networks?shared={shared}").body["networks"]
        assert [network["id"] for network in listed] == [lent["network"]]
        assert client("GET", f"/v2.0/networks?shared={not shared}").body["networks"] == []


def test_a_guests_port_is_its_own(lent, blue, red, op) -> None:
    """A guest sees its own ports in the network; the network's owner sees all of them."""
    own = blue.make("port", network_id=lent["network"])
    guest = red.make("port", network_id=lent["network"])
    assert guest["project_id"] == "red"

    def listed(client, query: str = "") -> set[str]:
        return {port["id"] for port in client("GET", f"/v2.0/ports?{query}").body["ports"]}

    for query in ("", f"network_id={lent['network']}", f"id={own['id']}&id={guest['id']}"):
        assert listed(red, query) == {guest["id"]}
        assert listed(blue, query) == listed(op, query) == {own["id"], guest["id"]}
    assert red("GET", f"/v2.0/ports/{own['id']}").status == 404
    assert blue("GET", f"/v2.0/ports/{guest['id']}").status == 200


def test_a_guest_builds_nothing(lent, red, unchanged) -> None:
    """Whom a network is shared with may neither change it nor number it: 403, since it may see it."""
    unchanged()
    network, subnet = f"/v2.0/networks/{lent['network']}", f"/v2.0/subnets/{lent['subnet']}"
    for answer in (
        red("PUT", network, {"network": {"name": "mine"}}),
        red("DELETE", network),
        red("PUT", f"{network}/tags", {"tags": ["mine"]}),
        red("POST", "/v2.0/subnets", {"subnet": {"network_id": lent["network"], "cidr": "10.9.0.0/24"}}),
        red("PUT", subnet, {"subnet": {"name": "mine"}}),
        red("DELETE", subnet),
    ):
        assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"mac_address": "02:00:00:00:00:01"}, "mac_address"),
        ({"fixed_ips": [{"ip_address": "10.0.0.50"}]}, "fixed_ips"),
        ({"device_owner": "network:dhcp"}, "device_owner"),
    ],
)
def test_a_guest_takes_what_it_is_given(lent, blue, red, fields: dict[str, object], word: str) -> None:
    """Exact addresses in a network, and to pass for a service of it, are its owner's to choose."""
    body = {"port": {"network_id": lent["network"], **fields}}
    answer = red("POST", "/v2.0/ports", body)
    assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")
    assert word in answer.error["message"]
    assert blue("POST", "/v2.0/ports", body).status == 201


def test_a_guest_may_choose_the_subnet(lent, red) -> None:
    """A guest may say of which subnet its address shall be, keep the one it has, and have another one."""
    port = red.make("port", network_id=lent["network"], fixed_ips=[{"subnet_id": lent["subnet"]}])
    (own,) = port["fixed_ips"]
    path = f"/v2.0/ports/{port['id']}"
    more = red("PUT", path, {"port": {"fixed_ips": [own, {"subnet_id": lent["subnet"]}]}})
    assert own in more.body["port"]["fixed_ips"]
    assert len(more.body["port"]["fixed_ips"]) == 2
    other = {"ip_address": "10.0.0.77", "subnet_id": lent["subnet"]}
    assert red("PUT", path, {"port": {"fixed_ips": [other]}}).status == 403


def test_a_guests_port_is_not_the_hosts_to_change(lent, blue, red) -> None:
    """The owner of a network may remove a guest's port, and change nothing of it."""
    guest = red.make("port", network_id=lent["network"], name="guest")
    path = f"/v2.0/ports/{guest['id']}"
    assert blue("PUT", path, {"port": {"name": "mine"}}).error["type"] == "PolicyNotAuthorized"
    assert blue("PUT", f"{path}/tags", {"tags": ["mine"]}).error["type"] == "PolicyNotAuthorized"
    assert red("GET", path).body["port"]["name"] == "guest"
    assert blue("DELETE", path).status == 204


def test_a_guest_is_one_until_its_turn_comes(lent, blue, red, edge, monkeypatch) -> None:
    """A share that is taken back while a guest's request waits for its turn keeps the guest out."""
    submit = edge.service.submit

    def late(intent):
        if isinstance(intent, CreatePort):
            (share,) = edge.service.world.shares_of(Shareable.NETWORK, lent["network"])
            submit(DeleteShare(share.id))
        return submit(intent)

    monkeypatch.setattr(edge.service, "submit", late)
    answer = red("POST", "/v2.0/ports", {"port": {"network_id": lent["network"]}})
    assert (answer.status, answer.error["type"]) == (404, "NetworkNotFound")
    assert blue("GET", f"/v2.0/ports?network_id={lent['network']}").body == {"ports": []}


def test_the_operator_shares_with_everybody(op, blue, red) -> None:
    """The flag shared makes a network everybody's to use, when it is made or later, and takes that back."""
    made = op.make("network", name="all", shared=True)
    assert made["shared"]
    (bulk,) = op("POST", "/v2.0/networks", {"networks": [{"name": "bulk", "shared": "true"}]}).body["networks"]
    assert bulk["shared"]
    path = f"/v2.0/networks/{made['id']}"
    for client in (blue, red):
        assert client("GET", path).body["network"]["shared"]
        assert {network["name"] for network in client("GET", "/v2.0/networks").body["networks"]} == {"all", "bulk"}
    assert not op("PUT", path, {"network": {"shared": False}}).body["network"]["shared"]
    assert blue("GET", path).status == 404
    assert op("PUT", path, {"network": {"shared": True}}).body["network"]["shared"]
    assert op("PUT", path, {"network": {"shared": True}}).body["network"]["shared"]
    red.make("port", network_id=made["id"])
    assert op("PUT", path, {"network": {"shared": False}}).status == 409
    assert blue("GET", path).status == 200


def test_what_is_refused_shares_nothing(op, blue, red) -> None:
    """A change of a network that is refused leaves it as it was, and whom it is shared with."""
    network = op.make("network", name="old")
    path = f"/v2.0/networks/{network['id']}"
    assert op("PUT", path, {"network": {"shared": True, "mtu": 60000}}).status == 400
    assert (blue("GET", path).status, op("GET", path).body["network"]) == (404, network)
    shared = op("PUT", path, {"network": {"shared": True}}).body["network"]
    assert op("PUT", path, {"network": {"shared": False, "mtu": 60000}}).status == 400
    assert (blue("GET", path).status, op("GET", path).body["network"]) == (200, shared)
    red.make("port", network_id=network["id"])
    assert op("PUT", path, {"network": {"shared": False, "name": "new"}}).status == 409
    assert op("GET", path).body["network"]["name"] == "old"


def test_sharing_with_everybody_is_the_operators(blue, unchanged) -> None:
    """A tenant that shares with everybody is answered 403; saying that it does not is fine."""
    own = blue.make("network", shared=False)
    unchanged()
    for answer in (
        blue("POST", "/v2.0/networks", {"network": {"shared": True}}),
        blue("PUT", f"/v2.0/networks/{own['id']}", {"network": {"shared": True}}),
    ):
        assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")


def test_only_the_operator_gives_a_port_another_mac(blue, op) -> None:
    """A tenant may not change the MAC of its port, the operator may while it is not bound."""
    port = blue.make("port", network_id=blue.make("network")["id"])
    path, body = f"/v2.0/ports/{port['id']}", {"port": {"mac_address": "02:00:00:00:00:09"}}
    assert blue("PUT", path, body).error["type"] == "PolicyNotAuthorized"
    assert op("PUT", path, body).body["port"]["mac_address"] == "02:00:00:00:00:09"
    op("PUT", path, {"port": {"binding:host_id": "h1"}})
    assert op("PUT", path, {"port": {"mac_address": "02:00:00:00:00:0a"}}).error["type"] == "PortBound"
