"""The real ``openstack`` command does with each kind of objects what its manual says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.openstack.clients import Command

pytestmark = pytest.mark.slow


def having(shown: dict[str, Any], **fields: object) -> None:
    """What is shown must hold these."""
    assert {name: shown[name] for name in fields} == fields


def same(shown: dict[str, Any], made: dict[str, Any]) -> None:
    """What is shown must be what was made; its tags are set in a second request, which the revision tells."""
    later = {"revision_number": shown["revision_number"], "updated_at": shown["updated_at"]}
    assert shown == {**made, **later}


# --- networks ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def net(op: Command) -> dict[str, Any]:
    """A network of the operator's with all that can be said on creation."""
    shown: dict[str, Any] = op.look(
        "network create --description first --mtu 1400 --provider-network-type vxlan --provider-segment 77 --enable "
        "--no-share --internal --enable-port-security --tag a --tag b net"
    )
    return shown


def test_a_network_is_made_as_it_was_asked_for(op: Command, net: dict[str, Any]) -> None:
    """Every option of ``network create`` that we have is in what it shows, and in what ``show`` shows after it."""
    having(net, name="net", description="first", mtu=1400, admin_state_up=True, shared=False, tags=["a", "b"])
    having(net, status="ACTIVE", project_id="operator", port_security_enabled=True, availability_zones=["default"])
    having(net, **{"provider:network_type": "vxlan", "provider:segmentation_id": 77, "router:external": False})
    same(op.look("network show net"), net)


def test_a_network_changes(op: Command, net: dict[str, Any]) -> None:
    """``network set`` and ``unset`` change each attribute that can change, and the revision with it."""
    op(f"network set --name net --description second --mtu 1300 --disable --share --tag c {net['id']}")
    shown = op.look("network show net")
    having(shown, description="second", mtu=1300, admin_state_up=False, shared=True, tags=["a", "b", "c"])
    assert shown["revision_number"] > net["revision_number"]
    op("network set --enable --no-share --internal --enable-port-security net")
    op("network unset --tag c net")
    having(op.look("network show net"), admin_state_up=True, shared=False, tags=["a", "b"])
    op("network set --no-tag net")
    op("network set --tag a net")
    having(op.look("network show net"), tags=["a"])


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize(
    ("finds", "finds_not"),
    [
        ("--name net", "--name other"),
        ("--internal", "--external"),
        ("--enable", "--disable"),
        ("--no-share", "--share"),
        ("--status ACTIVE", "--status DOWN"),
        ("--project operator", "--project blue"),
        ("--provider-network-type vxlan", "--provider-network-type vlan"),
        ("--provider-segment 77", "--provider-segment 78"),
        ("--tags a", "--not-tags a"),
        ("--any-tags a,z", "--not-any-tags a,z"),
        ("--long", "--long --name other"),
        ("", "--provider-physical-network eth0"),
    ],
)
def test_networks_are_filtered(op: Command, finds: str, finds_not: str) -> None:
    """Each filter of ``network list`` lists what it is about, and its opposite does not."""
    assert "net" in op.names(f"network list {finds}")
    assert "net" not in op.names(f"network list {finds_not}")


@pytest.mark.usefixtures("net")
def test_a_long_list_shows_what_it_has_columns_for(op: Command) -> None:
    """``network list --long`` has a value in each of its columns."""
    (shown,) = op.look("network list --long --name net")
    having(shown, Status="ACTIVE", Project="operator", State=True, Shared=False, Subnets=[])
    having(shown, **{"Network Type": "vxlan", "Router Type": False, "Availability Zones": ["default"], "Tags": ["a"]})


def test_what_a_network_cannot_be_is_said(op: Command) -> None:
    """What we do not have is refused with its name, and nothing is made."""
    for option, word in {
        "--external": "router:external",
        "--availability-zone-hint moon": "availability_zone_hints",
        "--provider-network-type vlan": "provider:network_type",
        "--mtu 5": "mtu",
        "--qos-policy gold": "gold",
    }.items():
        assert word in op.refused(f"network create {option} never")
    assert "never" not in op.names("network list")


def test_a_project_does_not_see_the_vni(red: Command, blue: Command) -> None:
    """A project makes and sees its own network without what is the operator's; another one finds nothing."""
    shown = red.look("network create mine")
    having(shown, project_id="red", **{"provider:segmentation_id": None})
    vni = "network create --provider-network-type vxlan --provider-segment 5 other"
    assert "provider:segmentation_id" in red.refused(vni)
    assert "mine" in blue.refused("network show mine")
    assert "mine" in blue.refused("network delete mine")
    assert blue.look("network list") == []
    red("network delete mine")
    assert red.look("network list") == []


# --- subnets and subnet pools -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def subnet(op: Command, net: dict[str, Any]) -> dict[str, Any]:
    """A subnet with all that can be said on creation."""
    shown: dict[str, Any] = op.look(
        f"subnet create --network {net['id']} --subnet-range 10.0.0.0/24 --gateway 10.0.0.1 --no-dhcp --description d "
        "--dns-nameserver 192.0.2.1 --host-route destination=10.9.0.0/16,gateway=10.0.0.5 --tag x "
        "--allocation-pool start=10.0.0.10,end=10.0.0.20 sub"
    )
    return shown


def test_a_subnet_is_made_as_it_was_asked_for(op: Command, net: dict[str, Any], subnet: dict[str, Any]) -> None:
    """Every option of ``subnet create`` that we have is in what it shows, and in what ``show`` shows after it."""
    having(subnet, name="sub", network_id=net["id"], cidr="10.0.0.0/24", gateway_ip="10.0.0.1", enable_dhcp=False)
    having(subnet, description="d", dns_nameservers=["192.0.2.1"], tags=["x"], ip_version=4)
    having(subnet, host_routes=[{"destination": "10.9.0.0/16", "nexthop": "10.0.0.5"}])
    having(subnet, allocation_pools=[{"start": "10.0.0.10", "end": "10.0.0.20"}])
    same(op.look("subnet show sub"), subnet)
    assert op.look("network show net")["subnets"] == [subnet["id"]]


@pytest.mark.usefixtures("subnet")
def test_a_subnet_changes(op: Command) -> None:
    """``subnet set`` adds and replaces, ``subnet unset`` takes away, each attribute that can change."""
    op(
        "subnet set --description e --gateway 10.0.0.2 --dns-nameserver 192.0.2.2 --tag y "
        "--host-route destination=10.8.0.0/16,gateway=10.0.0.6 --allocation-pool start=10.0.0.30,end=10.0.0.40 sub"
    )
    shown = op.look("subnet show sub")
    having(shown, description="e", gateway_ip="10.0.0.2", tags=["x", "y"])
    assert set(shown["dns_nameservers"]) == {"192.0.2.1", "192.0.2.2"}
    assert {route["destination"] for route in shown["host_routes"]} == {"10.8.0.0/16", "10.9.0.0/16"}
    assert {pool["start"] for pool in shown["allocation_pools"]} == {"10.0.0.10", "10.0.0.30"}
    op(
        "subnet unset --dns-nameserver 192.0.2.2 --host-route destination=10.8.0.0/16,gateway=10.0.0.6 "
        "--allocation-pool start=10.0.0.30,end=10.0.0.40 --tag y sub"
    )
    shown = op.look("subnet show sub")
    having(shown, dns_nameservers=["192.0.2.1"], tags=["x"])
    assert [pool["start"] for pool in shown["allocation_pools"]] == ["10.0.0.10"]
    op("subnet set --no-dns-nameservers --no-host-route --gateway none sub")
    having(op.look("subnet show sub"), dns_nameservers=[], host_routes=[], gateway_ip=None)
    op("subnet set --gateway 10.0.0.1 sub")
    op("subnet unset --gateway sub")
    having(op.look("subnet show sub"), gateway_ip=None)
    op("subnet set --gateway 10.0.0.1 --name sub sub")


@pytest.mark.usefixtures("subnet")
@pytest.mark.parametrize(
    ("finds", "finds_not"),
    [
        ("--name sub", "--name other"),
        ("--ip-version 4", "--ip-version 6"),
        ("--no-dhcp", "--dhcp"),
        ("--network net", "--network other-net"),
        ("--gateway 10.0.0.1", "--gateway 10.0.0.9"),
        ("--subnet-range 10.0.0.0/24", "--subnet-range 10.0.1.0/24"),
        ("--project operator", "--project blue"),
        ("--tags x", "--not-tags x"),
        ("--long", "--service-type compute:nova"),
    ],
)
def test_subnets_are_filtered(op: Command, finds: str, finds_not: str) -> None:
    """Each filter of ``subnet list`` lists what it is about, and its opposite does not."""
    if "other-net" not in op.names("network list"):
        op.look("network create other-net")
    assert "sub" in op.names(f"subnet list {finds}")
    assert "sub" not in op.names(f"subnet list {finds_not}")


def test_both_versions_of_ip(op: Command, net: dict[str, Any]) -> None:
    """A subnet of IPv6 with its modes, and one without a gateway, are what they were asked to be; both have DHCP."""
    six = op.look(
        f"subnet create --network {net['id']} --subnet-range 2001:db8::/64 --ip-version 6 "
        "--ipv6-ra-mode slaac --ipv6-address-mode slaac six"
    )
    having(six, ip_version=6, gateway_ip="2001:db8::1", cidr="2001:db8::/64", enable_dhcp=True)
    having(six, ipv6_ra_mode="slaac", ipv6_address_mode="slaac")
    alone = op.look(f"subnet create --network {net['id']} --subnet-range 10.0.2.0/24 --gateway none alone")
    having(alone, gateway_ip=None, enable_dhcp=True)
    op("subnet set --no-dhcp alone")
    having(op.look("subnet show alone"), enable_dhcp=False)
    modes = "--ip-version 6 --no-dhcp --ipv6-ra-mode slaac"
    refused = op.refused(f"subnet create --network {net['id']} --subnet-range 2001:db9::/64 {modes} never")
    assert "enable_dhcp" in refused
    op("subnet delete six alone")
    assert not {"six", "alone", "never"} & op.names("subnet list")


def test_ports_say_what_dhcp_is_to_tell(op: Command, net: dict[str, Any]) -> None:
    """``--extra-dhcp-option`` is kept and shown; one that nobody knows is refused by name."""
    option = "--extra-dhcp-option name=mtu,value=1400"
    shown = op.look(f"port create --network {net['id']} {option} --extra-dhcp-option name=wpad,value=x told")
    assert sorted(each["opt_name"] for each in shown["extra_dhcp_opts"]) == ["mtu", "wpad"]
    op("port set --extra-dhcp-option name=mtu,value=1300 told")
    assert {"opt_name": "mtu", "opt_value": "1300", "ip_version": 4} in op.look("port show told")["extra_dhcp_opts"]
    assert "warp" in op.refused(f"port create --network {net['id']} --extra-dhcp-option name=warp,value=9 never")
    op("port delete told")


def test_subnets_are_cut_of_a_pool(op: Command, red: Command) -> None:
    """A subnet pool is made, changed, listed and cut; a project cuts of the operator's default one."""
    pool = op.look(
        "subnet pool create --pool-prefix 10.128.0.0/16 --default-prefix-length 26 --min-prefix-length 24 "
        "--max-prefix-length 30 --description d --default --share --default-quota 1000 --tag t pool"
    )
    having(pool, prefixes=["10.128.0.0/16"], default_prefixlen=26, min_prefixlen=24, max_prefixlen=30, tags=["t"])
    having(pool, is_default=True, shared=True, default_quota=1000, description="d", ip_version=4)
    op(
        "subnet pool set --description e --default-prefix-length 27 --pool-prefix 10.129.0.0/16 --tag u "
        "--default-quota 2000 --max-prefix-length 29 --min-prefix-length 23 pool"
    )
    shown = op.look("subnet pool show pool")
    having(shown, description="e", default_prefixlen=27, default_quota=2000, max_prefixlen=29, min_prefixlen=23)
    having(shown, tags=["t", "u"])
    op("subnet pool unset --tag u pool")
    for finds, finds_not in (
        ("--share", "--no-share"),
        ("--default", "--no-default"),
        ("--name pool", "--name other"),
        ("--tags t", "--not-tags t"),
        ("--long", "--project blue"),
    ):
        assert "pool" in op.names(f"subnet pool list {finds}")
        assert "pool" not in op.names(f"subnet pool list {finds_not}")
    red.look("network create cutting")
    cut = red.look("subnet create --network cutting --subnet-pool pool --prefix-length 28 cut")
    assert cut["cidr"].endswith("/28")
    having(cut, subnetpool_id=pool["id"])
    default = red.look("subnet create --network cutting --use-default-subnet-pool --ip-version 4 default")
    assert default["cidr"].endswith("/27")
    assert red.names("subnet list --subnet-pool pool") == {"cut", "default"}
    assert "pool" in op.refused("subnet pool delete pool")
    red("network delete cutting")
    op("subnet pool set --no-default pool")
    op("subnet pool delete pool")
    assert op.look("subnet pool list") == []


# --- ports ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def port(op: Command, subnet: dict[str, Any]) -> dict[str, Any]:
    """A port with all that can be said on creation."""
    shown: dict[str, Any] = op.look(
        f"port create --network net --fixed-ip subnet={subnet['id']},ip-address=10.0.0.12 --device id1 "
        "--mac-address 02:00:00:00:00:07 --device-owner compute:nova --vnic-type normal --description d --enable "
        "--enable-port-security --no-security-group --tag x port"
    )
    return shown


def test_a_port_is_made_as_it_was_asked_for(op: Command, subnet: dict[str, Any], port: dict[str, Any]) -> None:
    """Every option of ``port create`` that we have is in what it shows, and in what ``show`` shows after it."""
    having(port, name="port", mac_address="02:00:00:00:00:07", device_id="id1", device_owner="compute:nova")
    having(port, fixed_ips=[{"subnet_id": subnet["id"], "ip_address": "10.0.0.12"}], binding_vnic_type="normal")
    having(port, description="d", admin_state_up=True, port_security_enabled=True, tags=["x"], status="DOWN")
    having(port, binding_vif_type="unbound", binding_host_id="", security_group_ids=[])
    same(op.look("port show port"), port)
    bare = op.look("port create --network net --no-fixed-ip bare")
    having(bare, fixed_ips=[])
    op("port delete bare")


@pytest.mark.usefixtures("port")
def test_a_port_changes(op: Command, subnet: dict[str, Any]) -> None:
    """``port set`` and ``port unset`` change each attribute that can change."""
    op(
        "port set --description e --device id2 --device-owner compute:az --disable --mac-address 02:00:00:00:00:08 "
        f"--fixed-ip subnet={subnet['id']},ip-address=10.0.0.13 --tag y port"
    )
    shown = op.look("port show port")
    having(shown, description="e", device_id="id2", device_owner="compute:az", admin_state_up=False, tags=["x", "y"])
    having(shown, mac_address="02:00:00:00:00:08")
    assert {each["ip_address"] for each in shown["fixed_ips"]} == {"10.0.0.12", "10.0.0.13"}
    op(f"port unset --fixed-ip subnet={subnet['id']},ip-address=10.0.0.12 --tag y port")
    shown = op.look("port show port")
    having(shown, fixed_ips=[{"subnet_id": subnet["id"], "ip_address": "10.0.0.13"}], tags=["x"])
    op("port set --no-fixed-ip --enable --enable-port-security --no-security-group --no-binding-profile port")
    having(op.look("port show port"), fixed_ips=[], admin_state_up=True)
    op(f"port set --fixed-ip subnet={subnet['id']},ip-address=10.0.0.12 --name port port")
    op("port unset --device --device-owner --host port")
    having(op.look("port show port"), device_id="", device_owner="", binding_host_id="")
    op("port set --device id2 --device-owner compute:az port")


@pytest.mark.usefixtures("port")
@pytest.mark.parametrize(
    ("finds", "finds_not"),
    [
        ("--name port", "--name other"),
        ("--network net", "--network other-net"),
        ("--device-id id2", "--device-id id1"),
        ("--device-owner compute:az", "--device-owner compute:nova"),
        ("--mac-address 02:00:00:00:00:08", "--mac-address 02:00:00:00:00:07"),
        ("--fixed-ip ip-address=10.0.0.12", "--fixed-ip ip-address=10.0.0.13"),
        ("--fixed-ip ip-substring=10.0.0.1", "--fixed-ip ip-substring=11.0"),
        ("--fixed-ip subnet=sub", "--fixed-ip subnet=sub,ip-address=10.0.0.19"),
        ("--status DOWN", "--status ACTIVE"),
        ("--project operator", "--project blue"),
        ("--tags x", "--not-tags x"),
        ("--long", "--host h1"),
    ],
)
def test_ports_are_filtered(op: Command, finds: str, finds_not: str) -> None:
    """Each filter of ``port list`` lists what it is about, and its opposite does not."""
    if "other-net" not in op.names("network list"):
        op.look("network create other-net")
    assert "port" in op.names(f"port list {finds}")
    assert "port" not in op.names(f"port list {finds_not}")


@pytest.mark.usefixtures("net")
def test_what_a_port_cannot_be_is_said(op: Command) -> None:
    """What we do not have is refused with its name, and nothing is made."""
    for option, word in {
        "--vnic-type macvtap": "binding:vnic_type",
        "--binding-profile a=b": "binding:profile",
        "--host nowhere": "binding:host_id",
        "--numa-policy-required": "numa_affinity_policy",
        "--mac-address 01:00:00:00:00:01": "mac_address",
        "--fixed-ip ip-address=192.0.2.1": "fixed_ips",
        "--allowed-address ip-address=10.0.0.3,mac-address=01:00:00:00:00:01": "allowed_address_pairs",
        "--security-group nobody": "nobody",
    }.items():
        assert word in op.refused(f"port create --network net {option} never")
    assert "never" not in op.names("port list")


# --- security groups --------------------------------------------------------------------------------------------------


def test_groups_and_rules_live_and_die(red: Command, blue: Command) -> None:
    """``security group`` and ``security group rule`` make, show, list, change and delete; others find nothing."""
    made = red.look("security group create --description d --stateful --tag t web")
    having(made, name="web", description="d", stateful=True, tags=["t"], project_id="red")
    assert red.names("security group list") == {"default", "web"}
    assert red.names("security group list --tags t") == {"web"}
    red("security group set --name www --description e --tag u web")
    having(red.look("security group show www"), description="e", tags=["t", "u"])
    red("security group unset --tag u www")
    tcp = red.look("security group rule create --ingress --protocol tcp --dst-port 80:81 --remote-ip 10.0.0.0/8 www")
    having(
        tcp, protocol="tcp", port_range_min=80, port_range_max=81, remote_ip_prefix="10.0.0.0/8", direction="ingress"
    )
    echo = red.look(
        "security group rule create --egress --ethertype IPv6 --protocol ipv6-icmp --icmp-type 128 --icmp-code 0 www"
    )
    having(echo, protocol="ipv6-icmp", port_range_min=128, port_range_max=0, ether_type="IPv6")
    group = red.look("security group rule create --ingress --remote-group default www")
    having(group, remote_group_id=red.look("security group show default")["id"], protocol=None)
    for finds, many in (("www", 5), ("--ingress www", 2), ("--protocol tcp www", 1), ("--egress www", 3)):
        assert len(red.look(f"security group rule list {finds}")) == many, finds
    assert "already exists" in red.refused("security group rule create --ingress --remote-group default www")
    assert "port_range_min" in red.refused("security group rule create --protocol tcp --dst-port 0:8 www")
    assert "stateful" in red.refused("security group create --stateless never")
    assert "www" in blue.refused("security group show www")
    assert blue.names("security group list") == {"default"}
    red(f"security group rule delete {tcp['id']} {echo['id']}")
    assert len(red.look("security group rule list www")) == 3
    red("security group delete www")
    assert "default" in red.refused("security group delete default")
    assert red.names("security group list") == {"default"}


def test_address_groups_live_and_die(red: Command) -> None:
    """``address group`` makes, shows, lists, changes and deletes; a rule names one."""
    made = red.look("address group create --description d --address 10.0.0.0/8 --address 192.0.2.1 offices")
    having(made, addresses=["10.0.0.0/8", "192.0.2.1/32"], description="d", project_id="red")
    red("address group set --address 2001:db8::/64 --name branches offices")
    red("address group unset --address 10.0.0.0/8 branches")
    having(red.look("address group show branches"), addresses=["192.0.2.1/32", "2001:db8::/64"])
    assert red.names("address group list") == {"branches"}
    red.look("security group create office")
    red.look("security group rule create --remote-address-group branches office")
    assert "in use" in red.refused("address group delete branches")
    red("security group delete office")
    red("address group delete branches")
    assert red.look("address group list") == []


def test_a_port_has_groups_pairs_and_security(red: Command) -> None:
    """``port create``, ``set``, ``unset`` say in which groups a port is, as whom it may speak, and if it is checked."""
    red.look("network create guarded")
    one, two = (red.look(f"security group create {name}")["id"] for name in ("first", "second"))
    port = red.look("port create --network guarded --security-group first --allowed-address ip-address=10.0.0.9 p")
    having(port, security_group_ids=[one])
    assert [pair["ip_address"] for pair in port["allowed_address_pairs"]] == ["10.0.0.9"]
    red("port set --security-group second --allowed-address ip-address=10.0.0.0/24,mac-address=00:00:5e:00:01:05 p")
    shown = red.look("port show p")
    assert sorted(shown["security_group_ids"]) == sorted([one, two])
    assert len(shown["allowed_address_pairs"]) == 2
    assert red.names(f"port list --security-group {two}") == {"p"}
    assert "in use" in red.refused("security group delete second")
    red(f"port unset --security-group second --allowed-address ip-address=10.0.0.9,mac-address={port['mac_address']} p")
    having(red.look("port show p"), security_group_ids=[one])
    assert "Port" in red.refused("port set --disable-port-security p")
    red("port set --no-security-group --no-allowed-address --disable-port-security p")
    having(red.look("port show p"), security_group_ids=[], port_security_enabled=False, allowed_address_pairs=[])
    red("port set --enable-port-security p")
    red("network set --disable-port-security guarded")
    having(red.look("port create --network guarded q"), port_security_enabled=False, security_group_ids=[])
    red("port delete p q")
    red("network delete guarded")
    red("security group delete first second")


def test_a_port_is_mirrored(red: Command) -> None:
    """``tap service`` and ``tap flow`` have a port's frames copied to another one."""
    red.look("network create watched")
    port, source = (red.look(f"port create --network watched {name}")["id"] for name in ("watcher", "source"))
    service = red.look("tap service create --name watch --description d --port watcher")
    having(service, name="watch", description="d", port_id=port, status="DOWN")
    flow = red.look("tap flow create --name flow --port source --tap-service watch --direction OUT")
    having(flow, name="flow", source_port=source, tap_service_id=service["id"], direction="OUT", status="DOWN")
    assert red.names("tap service list") == {"watch"}
    assert red.names("tap flow list") == {"flow"}
    red.look("tap flow update --name renamed flow")
    red.look("tap service update --description e watch")
    having(red.look("tap flow show renamed"), id=flow["id"])
    having(red.look("tap service show watch"), description="e")
    words = "tap flow create --port source --tap-service watch --direction IN"
    assert "all frames of a port are copied" in red.refused(f"{words} --vlan-filter 1-5")
    red("tap flow delete renamed")
    red("port delete watcher source")
    assert red.look("tap service list") == []
    red("network delete watched")


# --- who may have how much, and who shares what -----------------------------------------------------------------------


def test_quotas_are_set_shown_and_kept(op: Command, blue: Command) -> None:
    """``quota set``, ``show`` with limits, usage and defaults, ``list`` and ``delete``; the limit is kept."""
    op(
        "quota set --networks 1 --subnets 6 --ports 7 --subnetpools 8 --rbac-policies 9 --secgroups 3 "
        "--secgroup-rules 20 blue"
    )
    limits = {each["Resource"]: each["Limit"] for each in op.look("quota show --network blue")}
    having(limits, networks=1, subnets=6, ports=7, subnet_pools=8, rbac_policies=9)
    having(limits, security_groups=3, security_group_rules=20)
    blue.look("network create one")
    assert "Quota exceeded" in blue.refused("network create two")
    usage = {each["Resource"]: each["In Use"] for each in blue.look("quota show --network --usage blue")}
    having(usage, networks=1, ports=0)
    (listed,) = op.look("quota list --network")
    having(listed, Networks=1, Ports=7, **{"Project ID": "blue", "Subnet Pools": 8, "RBAC Policies": 9})
    assert "network: 0 is less" in op.refused("quota set --no-force --networks 0 blue")
    op("quota set --force --networks 0 blue")
    assert "router" in op.refused("quota set --routers 5 blue")
    assert "policy" in blue.refused("quota set --networks 9 blue")
    op("quota delete --network blue")
    assert op.look("quota list --network") == []
    limits = {each["Resource"]: each["Limit"] for each in op.look("quota show --network --default blue")}
    assert limits["networks"] > 1
    blue("network delete one")


def test_a_network_is_shared_and_taken_back(red: Command, blue: Command) -> None:
    """A project shares its network with another one, which uses it until the policy is deleted."""
    network = red.look("network create common")
    red.look("subnet create --network common --subnet-range 10.5.0.0/24 common-4")
    assert blue.look("network list") == []
    policy = red.look("network rbac create --type network --action access_as_shared --target-project blue common")
    having(policy, object_type="network", action="access_as_shared", target_project_id="blue", project_id="red")
    having(policy, object_id=network["id"])
    having(blue.look("network show common"), shared=True)
    assert blue.names("subnet list") == {"common-4"}
    port = blue.look("port create --network common guest")
    having(port, project_id="blue")
    for finds in ("--type network", "--action access_as_shared", "--target-project blue", "--long"):
        assert [each["ID"] for each in red.look(f"network rbac list {finds}")] == [policy["id"]]
    assert red.look("network rbac list --type subnetpool") == []
    having(red.look(f"network rbac show {policy['id']}"), target_project_id="blue")
    assert "depend on it" in red.refused(f"network rbac delete {policy['id']}")
    assert "depend on it" in red.refused(f"network rbac set --target-project green {policy['id']}")
    blue("port delete guest")
    red(f"network rbac set --target-project green {policy['id']}")
    having(red.look(f"network rbac show {policy['id']}"), target_project_id="green")
    assert blue.look("network list") == []
    red(f"network rbac delete {policy['id']}")
    assert red.look("network rbac list") == []
    everybody = "--type network --action access_as_shared --target-all-projects common"
    assert "target_tenant" in red.refused(f"network rbac create {everybody}")
    red("network delete common")


def test_a_pool_is_shared(op: Command, blue: Command) -> None:
    """A subnet pool is shared with one project."""
    op.look("subnet pool create --pool-prefix 10.64.0.0/16 --default-prefix-length 26 rare")
    assert blue.look("subnet pool list") == []
    op.look("network rbac create --type subnetpool --action access_as_shared --target-project blue rare")
    assert blue.names("subnet pool list") == {"rare"}
    op("subnet pool delete rare")
    assert op.look("network rbac list --type subnetpool") == []


# --- QoS policies -----------------------------------------------------------------------------------------------------


def test_a_qos_policy_is_made_given_and_taken_away(op: Command, red: Command) -> None:
    """``network qos`` makes policies and rules, which ports and networks have until it is unset."""
    having(op.look("network qos policy create --description d --share --default gold"), name="gold", is_default=True)
    having(op.look("network qos policy show gold"), shared=True, description="d", rules=[])
    made = op.look("network qos rule create --type bandwidth-limit --max-kbps 9000 --ingress gold")
    having(made, max_kbps=9000, direction="ingress")
    op.look("network qos rule create --type dscp-marking --dscp-mark 46 gold")
    op(f"network qos rule set --max-kbps 8000 --max-burst-kbits 2000 gold {made['id']}")
    having(op.look(f"network qos rule show gold {made['id']}"), max_kbps=8000, max_burst_kbps=2000)
    assert len(op.look("network qos rule list gold")) == 2
    assert {each["Type"] for each in op.look("network qos rule type list")} == {"bandwidth_limit", "dscp_marking"}
    assert "conflicts" in op.refused("network qos rule create --type dscp-marking --dscp-mark 10 gold")
    assert red.names("network qos policy list") == {"gold"}
    policy = op.look("network qos policy show gold")["id"]
    having(red.look("network create --qos-policy gold limited"), qos_policy_id=policy)
    having(red.look("port create --network limited --qos-policy gold limited-port"), qos_policy_id=policy)
    red("port unset --qos-policy limited-port")
    having(red.look("port show limited-port"), qos_policy_id=None, qos_network_policy_id=policy)
    assert "is used by" in op.refused("network qos policy delete gold")
    red("network set --no-qos-policy limited")
    op("network qos policy set --no-share --no-default --name silver gold")
    assert "gold" in red.refused("network qos policy show gold")
    op(f"network qos rule delete silver {made['id']}")
    op("network qos policy delete silver")
    red("port delete limited-port")
    red("network delete limited")
    assert op.look("network qos policy list") == []


# --- what the site is -------------------------------------------------------------------------------------------------


def test_the_site_is_described(op: Command) -> None:
    """Extensions, the availability zone, agents and service providers are listed; the two latter are empty here."""
    extensions = {each["Alias"] for each in op.look("extension list --network")}
    assert {"binding-extended", "rbac-policies", "quota_details", "standard-attr-tag"} <= extensions
    having(op.look("extension show agent"), alias="agent")
    (zone,) = op.look("availability zone list --network --long")
    having(zone, **{"Zone Name": "default", "Zone Resource": "network"})
    for line in ("", "--host h1", "--agent-type open-vswitch", "--long"):
        assert op.look(f"network agent list {line}") == []
    assert "nobody" in op.refused("network agent show nobody")
    assert op.look("network service provider list") == []


@pytest.mark.usefixtures("port")
def test_addresses_are_counted(op: Command, subnet: dict[str, Any]) -> None:
    """``ip availability`` says how many addresses a network has and how many are used, by version and project."""
    (listed,) = (each for each in op.look("ip availability list") if each["Network Name"] == "net")
    having(listed, **{"Total IPs": 11, "Used IPs": 1})
    shown = op.look("ip availability show net")
    having(shown, network_name="net", total_ips=11, used_ips=1, project_id="operator")
    assert [each["subnet_id"] for each in shown["subnet_ip_availability"]] == [subnet["id"]]
    found = {each["Network Name"]: each["Total IPs"] for each in op.look("ip availability list --ip-version 6")}
    assert found.get("net", 0) == 0
    assert op.look("ip availability list --project blue") == []


def test_the_operator_makes_things_for_others(op: Command, red: Command) -> None:
    """``--project`` makes the object another project's, which then has it."""
    having(op.look("network create --project red given"), project_id="red")
    having(op.look("subnet create --project red --network given --subnet-range 10.7.0.0/24 given-4"), project_id="red")
    having(op.look("port create --project red --network given given-port"), project_id="red")
    assert red.names("network list") == {"given"}
    red("port delete given-port")
    red("network delete given")
    assert "project_id" in red.refused("network create --project blue stolen")


@pytest.mark.parametrize("line", ["router list", "floating ip create net", "address scope list"])
def test_what_is_not_there_is_said_to_be_not_there(op: Command, line: str) -> None:
    """A command for what VL2 does not have fails with one line."""
    assert "could not be found" in op.refused(line)


def test_a_trunk_and_its_vlans(op: Command) -> None:
    """A trunk is made, given VLANs, shown, changed and deleted; a VLAN twice is refused with its number."""
    for name in ("parent", "one", "two"):
        op.look(f"network create {name}-net")
        op.look(f"port create --network {name}-net {name}")
    vlan = "--subport port={},segmentation-type=vlan,segmentation-id={}"
    made = op.look(f"network trunk create --parent-port parent {vlan.format('one', 7)} trunk")
    having(made, name="trunk", status="DOWN", is_admin_state_up=True)
    assert "7 already in use" in op.refused(f"network trunk set {vlan.format('two', 7)} trunk")
    assert "parent" in op.refused(f"network trunk set {vlan.format('parent', 8)} trunk")
    op(f"network trunk set {vlan.format('two', 8)} --description d trunk")
    listed = op.look("network subport list --trunk trunk")
    assert sorted(each["Segmentation ID"] for each in listed) == [7, 8]
    assert op.names("network trunk list") == {"trunk"}
    assert "subport" in op.refused("port delete two")
    op("network trunk unset --subport two trunk")
    op("network trunk set --disable trunk")
    assert "disabled" in op.refused("network trunk delete trunk")
    op("network trunk set --enable trunk")
    op("network trunk delete trunk")
    for name in ("parent", "one", "two"):
        op(f"port delete {name}")
    op("network delete parent-net one-net two-net")


def test_a_network_may_carry_tags(op: Command) -> None:
    """Whether a network is VLAN transparent is said when it is made, and found by."""
    having(op.look("network create --transparent-vlan clear"), is_vlan_transparent=True)
    op("network delete clear")


def test_everything_goes_in_order(op: Command) -> None:
    """What is in use is not deleted, and the order in which it is not in use takes everything away."""
    assert "in use" in op.refused("network delete net") or "still has" in op.refused("network delete net")
    assert "sub" in op.refused("subnet delete sub")
    op("port delete port")
    op("subnet delete sub")
    op("network delete net other-net")
    for what in ("network", "subnet", "port"):
        assert op.look(f"{what} list") == []
