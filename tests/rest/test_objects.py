"""Networks, subnets and ports can be made, seen, changed and deleted as Neutron's clients do it."""

from __future__ import annotations

import uuid
from ipaddress import IPv4Network

import pytest

from overlay.changes import CreateSubnetPool


def test_a_network_has_neutrons_fields(op) -> None:
    """A new network answers 201 with the fields that Neutron's clients read."""
    answer = op("POST", "/v2.0/networks", {"network": {"name": "web", "description": "d", "mtu": "1450"}})
    assert answer.status == 201
    network = answer.body["network"]
    assert str(uuid.UUID(network.pop("id"))) != ""
    assert network == {
        "name": "web",
        "description": "d",
        "project_id": "operator",
        "tenant_id": "operator",
        "status": "ACTIVE",
        "admin_state_up": True,
        "shared": False,
        "router:external": False,
        "mtu": 1450,
        "port_security_enabled": True,
        "qos_policy_id": None,
        "dns_domain": "",
        "vlan_transparent": False,
        "subnets": [],
        "availability_zone_hints": [],
        "availability_zones": ["default"],
        "ipv4_address_scope": None,
        "ipv6_address_scope": None,
        "tags": [],
        "revision_number": 1,
        "created_at": "1970-01-01T00:16:40Z",
        "updated_at": "1970-01-01T00:16:40Z",
        "provider:network_type": "vxlan",
        "provider:segmentation_id": 1,
        "provider:physical_network": None,
    }


def test_a_network_lives_and_dies(op) -> None:
    """A network can be shown, changed and deleted, and is gone then."""
    made = op.make("network", name="a")
    path = f"/v2.0/networks/{made['id']}"
    assert op("GET", path).body == {"network": made}
    changed = op("PUT", path, {"network": {"name": "b", "mtu": 1400, "admin_state_up": True}})
    expected = {**made, "name": "b", "mtu": 1400, "revision_number": 2}
    assert (changed.status, changed.body["network"]) == (200, expected)
    assert op("GET", path).body["network"]["name"] == "b"
    gone = op("DELETE", path)
    assert (gone.status, gone.body) == (204, b"")
    assert op("GET", path).status == 404
    assert op("DELETE", path).error["type"] == "NetworkNotFound"


def test_the_operator_chooses_the_vni(op) -> None:
    """provider:segmentation_id sets the VNI, as a number or as the openstack command's text."""
    assert op.make("network", **{"provider:segmentation_id": 77})["provider:segmentation_id"] == 77
    assert (
        op.make("network", **{"provider:segmentation_id": "78", "provider:network_type": "vxlan"})[
            "provider:segmentation_id"
        ]
        == 78
    )


@pytest.mark.parametrize(
    ("cidr", "version", "gateway", "pool"),
    [
        ("192.0.2.0/24", 4, "192.0.2.1", ("192.0.2.2", "192.0.2.254")),
        ("2001:db8::/64", 6, "2001:db8::1", ("2001:db8::2", "2001:db8::ffff:ffff:ffff:ffff")),
    ],
)
def test_a_subnet_has_neutrons_defaults(op, cidr: str, version: int, gateway: str, pool: tuple[str, str]) -> None:
    """A subnet made from a prefix alone has its first address as gateway and hands out all others."""
    network = op.make("network")
    subnet = op.make("subnet", network_id=network["id"], cidr=cidr, ip_version=version)
    assert (subnet["cidr"], subnet["ip_version"], subnet["gateway_ip"]) == (cidr, version, gateway)
    assert subnet["allocation_pools"] == [{"start": pool[0], "end": pool[1]}]
    assert subnet["enable_dhcp"] is True
    assert (subnet["dns_nameservers"], subnet["host_routes"]) == ([], [])
    assert (subnet["subnetpool_id"], subnet["ipv6_ra_mode"], subnet["ipv6_address_mode"]) == (None, None, None)
    assert op("GET", f"/v2.0/networks/{network['id']}").body["network"]["subnets"] == [subnet["id"]]


def test_a_subnet_as_one_wishes(op) -> None:
    """Gateway and pools of a subnet can be chosen, and no gateway is a choice."""
    network = op.make("network")
    pools = [{"start": "10.0.0.10", "end": "10.0.0.19"}, {"start": "10.0.0.30", "end": "10.0.0.30"}]
    subnet = op.make(
        "subnet",
        network_id=network["id"],
        cidr="10.0.0.0/24",
        gateway_ip="10.0.0.254",
        allocation_pools=pools,
        name="s",
    )
    assert (subnet["gateway_ip"], subnet["allocation_pools"]) == ("10.0.0.254", pools)
    assert op.make("subnet", network_id=network["id"], cidr="10.0.1.0/24", gateway_ip=None)["gateway_ip"] is None
    path = f"/v2.0/subnets/{subnet['id']}"
    assert op("PUT", path, {"subnet": {"name": "t", "description": "x"}}).body["subnet"]["name"] == "t"
    assert op("DELETE", path).status == 204
    assert op("GET", path).error["type"] == "SubnetNotFound"


def test_a_port_gets_addresses(op) -> None:
    """A port without wishes gets a MAC of Neutron's range and the lowest address of each IP version."""
    network = op.make("network")
    four = op.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")
    six = op.make("subnet", network_id=network["id"], cidr="2001:db8::/64")
    port = op.make("port", network_id=network["id"], name="p", device_id="vm", device_owner="compute:x")
    assert port["mac_address"].startswith("fa:16:3e:")
    assert port["fixed_ips"] == [
        {"subnet_id": four["id"], "ip_address": "10.0.0.2"},
        {"subnet_id": six["id"], "ip_address": "2001:db8::2"},
    ]
    assert (port["status"], port["binding:host_id"], port["binding:vif_type"]) == ("DOWN", "", "unbound")
    assert (port["binding:vnic_type"], port["binding:vif_details"], port["binding:profile"]) == ("normal", {}, {})
    assert (port["device_id"], port["device_owner"]) == ("vm", "compute:x")


def test_a_port_as_one_wishes(op) -> None:
    """MAC, addresses and host of a port can be chosen; an empty list of addresses is a choice."""
    network = op.make("network")
    subnet = op.make("subnet", network_id=network["id"], cidr="10.0.0.0/24")
    port = op.make(
        "port",
        network_id=network["id"],
        mac_address="02:00:00:00:AA:01",
        fixed_ips=[{"subnet_id": subnet["id"]}, {"ip_address": "10.0.0.50"}],
        **{"binding:host_id": "h1", "binding:vnic_type": "normal", "binding:profile": {}},
    )
    assert port["mac_address"] == "02:00:00:00:aa:01"
    assert [own["ip_address"] for own in port["fixed_ips"]] == ["10.0.0.2", "10.0.0.50"]
    assert (port["binding:host_id"], port["binding:vif_type"]) == ("h1", "ovs")
    assert port["binding:vif_details"]["bridge_name"] == "br-int"
    assert op.make("port", network_id=network["id"], fixed_ips=[])["fixed_ips"] == []


def test_a_port_lives_and_dies(op, edge) -> None:
    """A port can be changed, becomes ACTIVE when its hosts have confirmed, can be unbound and deleted."""
    network = op.make("network")
    port = op.make("port", network_id=network["id"], **{"binding:host_id": "h1"})
    path = f"/v2.0/ports/{port['id']}"
    edge.service.plug("h1", port["id"])
    assert op("GET", path).body["port"]["status"] == "ACTIVE"
    changed = op("PUT", path, {"port": {"name": "n", "device_id": "d"}}).body["port"]
    assert (changed["name"], changed["device_id"], changed["binding:host_id"]) == ("n", "d", "h1")
    assert op("PUT", path, {"port": {"binding:host_id": ""}}).body["port"]["binding:host_id"] == ""
    assert op("DELETE", path).status == 204
    assert op("GET", path).error["type"] == "PortNotFound"


def test_bulk_is_all(op, edge) -> None:
    """Several objects in one request are all made, in the order in which they were asked for."""
    answer = op("POST", "/v2.0/networks", {"networks": [{"name": str(n)} for n in range(5)]})
    assert answer.status == 201
    assert [network["name"] for network in answer.body["networks"]] == list("01234")
    subnets = [{"network_id": network["id"], "cidr": "10.0.0.0/24"} for network in answer.body["networks"]]
    assert len(op("POST", "/v2.0/subnets", {"subnets": subnets}).body["subnets"]) == 5
    ports = [{"network_id": network["id"]} for network in answer.body["networks"] for _ in range(3)]
    made = op("POST", "/v2.0/ports", {"ports": ports})
    assert made.status == 201
    assert len({port["id"] for port in made.body["ports"]}) == 15
    assert len(edge.service.world.ports) == 15


def test_lists_are_filtered_by_exact_fields(op) -> None:
    """A list shows what matches all filters exactly; a filter given twice means either."""
    one, two = (op.make("network", name=name) for name in ("one", "two"))
    subnet = op.make("subnet", network_id=one["id"], cidr="10.0.0.0/24")
    op.make("port", network_id=one["id"], name="a", device_id="x", mac_address="02:00:00:00:00:0a")
    b = op.make("port", network_id=one["id"], name="b", device_id="x")
    c = op.make("port", network_id=two["id"], name="c", project_id="blue")

    def ports(query: str) -> list[str]:
        answer = op("GET", f"/v2.0/ports?{query}")
        assert answer.status == 200, answer
        return [port["name"] for port in answer.body["ports"]]

    assert ports("") == ["a", "b", "c"]
    assert ports("name=a&name=c") == ["a", "c"]
    assert ports("name=A") == []
    assert ports(f"network_id={one['id']}&name=b") == ["b"]
    assert ports(f"id={c['id']}&id=none") == ["c"]
    assert ports("mac_address=02:00:00:00:00:0A") == ["a"]
    assert ports("device_id=x&status=DOWN") == ["a", "b"]
    assert ports("project_id=blue") == ports("tenant_id=blue") == ["c"]
    assert ports("admin_state_up=True") == ["a", "b", "c"]
    assert ports("fixed_ips=ip_address%3D10.0.0.2") == ["a"]
    assert ports(f"fixed_ips=ip_address=10.0.0.3&fixed_ips=subnet_id={subnet['id']}") == ["b"]
    assert ports("fixed_ips=subnet_id=none") == []
    assert b["fixed_ips"][0]["ip_address"] == "10.0.0.3"
    listed = op("GET", f"/v2.0/networks?provider:segmentation_id={two['provider:segmentation_id']}").body["networks"]
    assert [network["name"] for network in listed] == ["two"]
    assert op("GET", "/v2.0/subnets?cidr=10.0.0.0/24&ip_version=4").body["subnets"] == [subnet]


def test_fields_can_be_chosen(op) -> None:
    """fields= shows only these attributes, in lists and of one object."""
    network = op.make("network", name="n")
    assert op("GET", "/v2.0/networks?fields=id&fields=name").body == {"networks": [{"id": network["id"], "name": "n"}]}
    assert op("GET", f"/v2.0/networks/{network['id']}?fields=mtu").body == {"network": {"mtu": 1450}}


def test_what_clients_read_first(op, edge) -> None:
    """Version documents need no token, extensions are listed and shown by alias."""
    anybody = edge.as_(None)
    (version,) = anybody("GET", "/").body["versions"]
    assert (version["id"], version["status"]) == ("v2.0", "CURRENT")
    assert version["links"][0]["href"] == f"http://127.0.0.1:{edge.port}/v2.0/"
    for path in ("/v2.0", "/v2.0/"):
        assert {kind["collection"] for kind in anybody("GET", path).body["resources"]} >= {
            "networks",
            "subnets",
            "ports",
        }
    aliases = {extension["alias"] for extension in op("GET", "/v2.0/extensions").body["extensions"]}
    assert {"binding", "binding-extended", "provider"} <= aliases
    assert op("GET", "/v2.0/extensions/binding-extended").body["extension"]["alias"] == "binding-extended"
    assert op("GET", "/v2.0/extensions/router").status == 404


def test_a_port_can_be_numbered_anew(op) -> None:
    """fixed_ips of a change are all addresses that the port has then; those that it had are free again."""
    network = op.make("network")["id"]
    subnet = op.make("subnet", network_id=network, cidr="10.0.0.0/29", gateway_ip=None)["id"]
    port = op.make("port", network_id=network)
    path = f"/v2.0/ports/{port['id']}"
    wish = {"subnet_id": subnet, "ip_address": "10.0.0.5"}
    assert op("PUT", path, {"port": {"fixed_ips": [wish]}}).body["port"]["fixed_ips"] == [wish]
    op.make("port", network_id=network, fixed_ips=port["fixed_ips"])
    assert op("PUT", path, {"port": {"fixed_ips": port["fixed_ips"]}}).error["type"] == "IpAddressInUse"
    assert op("PUT", path, {"port": {"fixed_ips": []}}).body["port"]["fixed_ips"] == []
    assert op("GET", path).body["port"]["fixed_ips"] == []


def test_a_subnet_can_be_arranged_anew(op) -> None:
    """Gateway, pools, name servers and routes of a subnet can be changed, and taken away."""
    network = op.make("network")["id"]
    subnet = op.make("subnet", network_id=network, cidr="10.0.0.0/24")
    path = f"/v2.0/subnets/{subnet['id']}"
    fields = {
        "gateway_ip": "10.0.0.254",
        "allocation_pools": [{"start": "10.0.0.10", "end": "10.0.0.20"}],
        "dns_nameservers": ["192.0.2.53", "198.51.100.53"],
        "host_routes": [{"destination": "192.0.2.0/24", "nexthop": "10.0.0.9"}],
        "enable_dhcp": False,
    }
    changed = op("PUT", path, {"subnet": fields}).body["subnet"]
    assert {name: changed[name] for name in fields} == fields
    assert op.make("port", network_id=network)["fixed_ips"][0]["ip_address"] == "10.0.0.10"
    bare = op("PUT", path, {"subnet": {"gateway_ip": None, "dns_nameservers": None, "host_routes": []}}).body["subnet"]
    assert (bare["gateway_ip"], bare["dns_nameservers"], bare["host_routes"]) == (None, [], [])
    assert bare["allocation_pools"] == fields["allocation_pools"]


def test_down_is_shown(op, edge) -> None:
    """A port that is administratively down, or whose network is, is DOWN until it is up again."""
    network = op.make("network")["id"]
    port = op.make("port", network_id=network, **{"binding:host_id": "h1"})["id"]
    edge.service.plug("h1", port)

    def status() -> str:
        edge.service.confirm()
        return op("GET", f"/v2.0/ports/{port}").body["port"]["status"]

    assert status() == "ACTIVE"
    for path, noun in ((f"/v2.0/ports/{port}", "port"), (f"/v2.0/networks/{network}", "network")):
        down = op("PUT", path, {noun: {"admin_state_up": False}}).body[noun]
        assert (down["admin_state_up"], down["status"], status()) == (False, "DOWN", "DOWN")
        assert op("PUT", path, {noun: {"admin_state_up": True}}).body[noun]["admin_state_up"]
        assert status() == "ACTIVE"


def test_a_subnet_is_cut_of_a_pool(op, blue, edge) -> None:
    """A subnet without a cidr gets one of the pool that it names, of the length that it asks for, or of the default."""
    edge.service.apply(
        CreateSubnetPool("pool", "blue", "p", (IPv4Network("10.4.0.0/16"),), default_prefixlen=24, is_default=True)
    )
    network = blue.make("network")["id"]
    first = blue.make("subnet", network_id=network, subnetpool_id="pool")
    assert (first["cidr"], first["subnetpool_id"], first["gateway_ip"]) == ("10.4.0.0/24", "pool", "10.4.0.1")
    second = blue.make("subnet", network_id=network, ip_version=4, use_default_subnetpool=True, prefixlen=25)
    assert (second["cidr"], second["subnetpool_id"]) == ("10.4.1.0/25", "pool")
    assert blue.make("subnet", network_id=network, subnetpool_id="pool", cidr="10.4.9.0/24")["cidr"] == "10.4.9.0/24"
    listed = blue("GET", "/v2.0/subnets?subnetpool_id=pool").body["subnets"]
    assert len(listed) == 3
    wrong = blue("POST", "/v2.0/subnets", {"subnet": {"network_id": network, "subnetpool_id": "pool", "ip_version": 6}})
    assert "ip_version" in wrong.error["message"]
    theirs = op.make("network", project_id="red")["id"]
    assert op("POST", "/v2.0/subnets", {"subnet": {"network_id": theirs, "subnetpool_id": "none"}}).status == 404
