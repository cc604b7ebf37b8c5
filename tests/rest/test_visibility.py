"""Tenants do not see each other, and only the operator sees and decides where things are."""

from __future__ import annotations

import pytest


@pytest.fixture
def mine(blue):
    """A network, subnet and port of blue."""
    network = blue.make("network", name="n")
    subnet = blue.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")
    port = blue.make("port", network_id=network["id"], name="p")
    return {"network": network, "subnet": subnet, "port": port}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2.0/networks"),
        ("POST", "/v2.0/ports"),
        ("GET", "/v2.0/extensions"),
        ("GET", "/v1/hosts"),
        ("GET", "/v1/moves"),
        ("GET", "/v1/topology"),
        ("GET", "/v1/topology/load"),
        ("GET", "/v2.0/ports/x"),
        ("DELETE", "/v2.0/networks/x"),
    ],
)
@pytest.mark.parametrize(
    "token", [None, "", "nobody-0123456789", "Blue-0123456789abc", "blue-0123456789abc ", "\xe9" * 16]
)
def test_nobody_without_a_token(edge, unchanged, method: str, path: str, token: str | None) -> None:
    """Without a token that somebody has, every request is answered 401 and says which header is wanted."""
    unchanged()
    answer = edge.as_(token)(method, path, {} if method == "POST" else None)
    if token == "blue-0123456789abc ":  # noqa: S105  (HTTP takes white space off a header's ends)
        assert answer.status != 401
        return
    assert answer.status == 401
    assert answer.error["type"] == "Unauthorized"
    assert "X-Auth-Token" in answer.error["message"]
    assert "X-Auth-Token" in answer.headers["Www-Authenticate"]
    if token:
        assert token not in answer.error["message"]


@pytest.mark.parametrize("noun", ["network", "subnet", "port"])
def test_anothers_object_does_not_exist(mine, red, unchanged, noun: str) -> None:
    """What belongs to another project is answered exactly like what does not exist."""
    unchanged()
    id_ = mine[noun]["id"]

    def message(method: str, of: str, body: object = None) -> tuple[int, str]:
        answer = red(method, f"/v2.0/{noun}s/{of}", body)
        return answer.status, answer.error["message"].replace(of, "ID")

    for method, body in (("GET", None), ("PUT", {noun: {"name": "mine"}}), ("DELETE", None)):
        assert message(method, id_, body) == message(method, "none", body)
        assert message(method, id_, body)[0] == 404


def test_a_list_shows_ones_own(mine, blue, red, op) -> None:
    """A project's lists hold its own objects, the operator's hold all; filters do not reach further."""
    red.make("network", name="r")
    assert [network["name"] for network in blue("GET", "/v2.0/networks").body["networks"]] == ["n"]
    assert [network["name"] for network in red("GET", "/v2.0/networks").body["networks"]] == ["r"]
    assert [network["name"] for network in op("GET", "/v2.0/networks").body["networks"]] == ["n", "r"]
    network = mine["network"]["id"]
    for query in (f"id={mine['port']['id']}", f"network_id={network}", "project_id=blue", ""):
        assert red("GET", f"/v2.0/ports?{query}").body == {"ports": []}
    assert red("GET", f"/v2.0/subnets?network_id={network}").body == {"subnets": []}


def test_nobody_builds_on_anothers_network(mine, red, unchanged) -> None:
    """A project can neither number nor plug into another project's network."""
    unchanged()
    network = mine["network"]["id"]
    for answer in (
        red("POST", "/v2.0/subnets", {"subnet": {"network_id": network, "cidr": "10.5.0.0/24"}}),
        red("POST", "/v2.0/ports", {"port": {"network_id": network}}),
        red("POST", "/v2.0/ports", {"ports": [{"network_id": network}]}),
    ):
        assert (answer.status, answer.error["type"]) == (404, "NetworkNotFound")


def test_anothers_subnet_gives_no_address(mine, red, unchanged) -> None:
    """A subnet of another project is unknown in fixed_ips."""
    network = red.make("network")
    unchanged()
    wish = [{"subnet_id": mine["subnet"]["id"]}]
    answer = red("POST", "/v2.0/ports", {"port": {"network_id": network["id"], "fixed_ips": wish}})
    assert (answer.status, answer.error["type"]) == (404, "SubnetNotFound")


def test_tenants_may_be_alike(blue, red) -> None:
    """Two projects have the same prefixes, addresses and MACs without hearing of each other."""
    for tenant in (blue, red):
        network = tenant.make("network", name="same")
        tenant.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")
        port = tenant.make("port", network_id=network["id"], mac_address="02:00:00:00:00:01")
        assert port["fixed_ips"][0]["ip_address"] == "10.0.0.2"


def test_a_tenant_does_not_see_where(mine, blue, op) -> None:
    """provider:* and binding:* are shown to the operator and not to a tenant, nor can a tenant filter by them."""
    network, port = mine["network"], mine["port"]
    assert not [name for name in network if name.startswith("provider:")]
    assert [name for name in port if name.startswith("binding:")] == ["binding:vnic_type"]
    op("PUT", f"/v2.0/ports/{port['id']}", {"port": {"binding:host_id": "h1"}})
    assert "h1" not in str(blue("GET", f"/v2.0/ports/{port['id']}").body)
    assert blue("GET", "/v2.0/ports?binding:host_id=h1").body == {"ports": []}
    assert blue("GET", "/v2.0/ports?fields=binding:host_id").body == {"ports": [{}]}
    assert op("GET", "/v2.0/ports?binding:host_id=h1&fields=binding:host_id").body == {
        "ports": [{"binding:host_id": "h1"}]
    }
    assert op("GET", f"/v2.0/networks/{network['id']}").body["network"]["provider:segmentation_id"] == 1


@pytest.mark.parametrize(
    ("noun", "fields"),
    [
        ("network", {"provider:segmentation_id": 5}),
        ("network", {"provider:network_type": "vxlan"}),
        ("network", {"provider:physical_network": None}),
        ("network", {"project_id": "red"}),
        ("network", {"tenant_id": "red"}),
        ("subnet", {"project_id": "red"}),
        ("port", {"tenant_id": "red"}),
        ("port", {"binding:host_id": "h1"}),
        ("port", {"binding:host_id": None}),
        ("port", {"binding:profile": {}}),
    ],
)
def test_a_tenant_does_not_decide_where(mine, blue, unchanged, noun: str, fields: dict[str, object]) -> None:
    """A tenant that sets what is the operator's is answered 403 with the field."""
    unchanged()
    given = {
        "network": {},
        "subnet": {"network_id": mine["network"]["id"], "cidr": "10.5.0.0/24"},
        "port": {"network_id": mine["network"]["id"]},
    }[noun]
    answer = blue("POST", f"/v2.0/{noun}s", {noun: {**given, **fields}})
    assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")
    assert next(iter(fields)) in answer.error["message"]


def test_a_tenant_does_not_move(mine, blue, unchanged) -> None:
    """Bindings are the operator's: a tenant is answered 403 for its own port."""
    unchanged()
    path = f"/v2.0/ports/{mine['port']['id']}"
    for answer in (
        blue("PUT", path, {"port": {"binding:host_id": "h2"}}),
        blue("GET", f"{path}/bindings"),
        blue("POST", f"{path}/bindings", {"binding": {"host": "h2"}}),
        blue("GET", f"{path}/bindings/h1"),
        blue("PUT", f"{path}/bindings/h2/activate"),
        blue("DELETE", f"{path}/bindings/h2"),
    ):
        assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")


def test_anothers_bindings_do_not_exist(mine, red) -> None:
    """A tenant that asks for the bindings of another's port is answered 404, not 403."""
    assert red("GET", f"/v2.0/ports/{mine['port']['id']}/bindings").status == 404


def test_naming_ones_own_project_is_fine(blue) -> None:
    """A tenant may say its own project, by either name."""
    assert blue.make("network", project_id="blue")["tenant_id"] == "blue"
    assert blue.make("network", tenant_id="blue", project_id="blue")["project_id"] == "blue"


def test_the_operator_makes_things_for_others(op, blue) -> None:
    """The operator makes networks for a project; what it makes in them belongs to that project unless it says so."""
    network = op.make("network", project_id="blue")
    assert op.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")["project_id"] == "blue"
    port = op.make("port", network_id=network["id"])
    assert port["project_id"] == "blue"
    assert blue("GET", f"/v2.0/ports/{port['id']}").status == 200
    assert op.make("port", network_id=network["id"], tenant_id="red")["project_id"] == "red"


@pytest.mark.parametrize("path", ["/v1/topology", "/v1/topology/load", "/v1/hosts", "/v1/paths?from=h1&to=h2"])
def test_v1_is_the_operators(blue, op, path: str) -> None:
    """What the operator sees of the machines, a tenant is answered 403 for."""
    assert op("GET", path).status == 200
    assert blue("GET", path).error["type"] == "PolicyNotAuthorized"
