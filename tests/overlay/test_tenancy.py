"""What a tenant may have, and what is refused, with nothing changed."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from overlay.changes import (
    BindPassive,
    Change,
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    DeleteNetwork,
    DeletePort,
    DeleteSubnet,
    FixedIpRequest,
    UpdateNetwork,
    UpdatePort,
    UpdateSubnet,
)
from overlay.refusals import Refusal
from overlay.values import HostName, Mac, Pool, Vni
from overlay.world import Settings, World

NET = ip_network("10.0.0.0/29")


def pool(first: str, last: str) -> Pool:
    """A pool by its two ends."""
    return Pool(ip_address(first), ip_address(last))


def ip(text: str, subnet: str | None = None) -> FixedIpRequest:
    """A wish for an exact address."""
    return FixedIpRequest(subnet, ip_address(text))


def subnet(**rest: object) -> CreateSubnet:
    """A second subnet of the network."""
    return CreateSubnet("s2", "p", "n", **{"cidr": ip_network("10.0.1.0/29"), **rest})


def port(**rest: object) -> CreatePort:
    """A second port of the network."""
    return CreatePort("p2", "p", "n", **{"mac": Mac(2), **rest})


@pytest.fixture
def world() -> World:
    """Networks n (10.0.0.0/29, port p1 with .2) and empty m (2001:db8::/64), and no VNI left."""
    it = World(Settings(vni_first=5, vni_last=6))
    for change in (
        CreateNetwork("n", "p", vni=Vni(6)),
        CreateNetwork("m", "p"),
        CreateSubnet("s", "p", "n", NET),
        CreateSubnet("m6", "p", "m", ip_network("2001:db8::/64")),
        CreatePort("p1", "p", "n", mac=Mac(1)),
    ):
        it.apply(change, 0)
    return it


@pytest.mark.parametrize(
    ("change", "status", "kind", "field"),
    [
        (CreateNetwork("n", "p"), 409, "Conflict", "id"),
        (CreateNetwork("x", "p"), 409, "NoNetworkAvailable", ""),
        (CreateNetwork("x", "p", vni=Vni(6)), 409, "SegmentationIdInUse", "provider:segmentation_id"),
        (UpdateNetwork("x"), 404, "NetworkNotFound", "network_id"),
        (DeleteNetwork("x"), 404, "NetworkNotFound", "network_id"),
        (DeleteNetwork("n"), 409, "NetworkInUse", "network_id"),
        (CreateSubnet("s2", "p", "x", NET), 404, "NetworkNotFound", "network_id"),
        (CreateSubnet("s", "p", "m", NET), 409, "Conflict", "id"),
        (subnet(cidr=ip_network("10.0.0.0/24")), 400, "InvalidInput", "cidr"),
        (subnet(cidr=ip_network("224.0.0.0/24")), 400, "InvalidInput", "cidr"),
        (subnet(cidr=ip_network("::/0")), 400, "InvalidInput", "cidr"),
        (subnet(gateway_ip=ip_address("10.0.2.1")), 400, "InvalidInput", "gateway_ip"),
        (subnet(gateway_ip=ip_address("10.0.1.0")), 400, "InvalidInput", "gateway_ip"),
        (subnet(gateway_ip=ip_address("::1")), 400, "InvalidInput", "gateway_ip"),
        (subnet(pools=(pool("10.0.1.4", "10.0.1.3"),)), 400, "InvalidAllocationPool", "allocation_pools"),
        (subnet(pools=(pool("10.0.1.4", "::5"),)), 400, "InvalidAllocationPool", "allocation_pools"),
        (subnet(pools=(pool("10.0.1.4", "10.0.1.7"),)), 400, "OutOfBoundsAllocationPool", "allocation_pools"),
        (
            subnet(pools=(pool("10.0.1.4", "10.0.1.5"), pool("10.0.1.2", "10.0.1.4"))),
            400,
            "OverlappingAllocationPools",
            "allocation_pools",
        ),
        (
            subnet(pools=(pool("10.0.1.1", "10.0.1.4"),)),
            409,
            "GatewayConflictWithAllocationPools",
            "allocation_pools",
        ),
        (UpdateSubnet("x"), 404, "SubnetNotFound", "subnet_id"),
        (DeleteSubnet("x"), 404, "SubnetNotFound", "subnet_id"),
        (DeleteSubnet("s"), 409, "SubnetInUse", "subnet_id"),
        (CreatePort("p2", "p", "x"), 404, "NetworkNotFound", "network_id"),
        (CreatePort("p1", "p", "n"), 409, "Conflict", "id"),
        (port(mac=Mac(1)), 409, "MacAddressInUse", "mac_address"),
        (port(mac=None, mac_candidates=(Mac(1),)), 409, "MacAddressGenerationFailure", "mac_address"),
        (port(host=HostName("x")), 400, "HostNotFound", "binding:host_id"),
        (port(fixed_ips=(FixedIpRequest("x"),)), 404, "SubnetNotFound", "fixed_ips"),
        (port(fixed_ips=(FixedIpRequest("m6"),)), 400, "InvalidInput", "fixed_ips"),
        (port(fixed_ips=(FixedIpRequest(),)), 400, "InvalidInput", "fixed_ips"),
        (port(fixed_ips=(ip("10.0.0.3"), ip("10.0.0.3"))), 400, "InvalidInput", "fixed_ips"),
        (port(fixed_ips=(ip("10.0.0.7", "s"),)), 400, "InvalidIpForSubnet", "fixed_ips"),
        (port(fixed_ips=(ip("10.9.0.7"),)), 400, "InvalidIpForNetwork", "fixed_ips"),
        (port(fixed_ips=(ip("10.0.0.2"),)), 409, "IpAddressInUse", "fixed_ips"),
        (port(fixed_ips=(FixedIpRequest("s"),) * 5), 409, "IpAddressGenerationFailure", "fixed_ips"),
        (UpdatePort("x"), 404, "PortNotFound", "port_id"),
        (UpdatePort("p1", host=HostName("x")), 400, "HostNotFound", "binding:host_id"),
        (DeletePort("x"), 404, "PortNotFound", "port_id"),
        (BindPassive("p1", HostName("x")), 400, "HostNotFound", "binding:host_id"),
    ],
)
def test_refused(world: World, change: Change, status: int, kind: str, field: str) -> None:
    """Each impossible wish is refused with its status, Neutron's name and the field, and changes nothing."""
    before = world.documents()
    with pytest.raises(Refusal) as refusal:
        world.apply(change, 0)
    assert (refusal.value.status, refusal.value.kind, refusal.value.field) == (status, kind, field)
    assert world.documents() == before


def test_lowest_vni_is_used_again(world: World) -> None:
    """A VNI that was given back is the next to be handed out."""
    assert world.network("m").vni == 5
    world.apply(DeleteNetwork("m"), 0)
    assert not world.subnets_of("m")
    world.apply(CreateNetwork("again", "p"), 0)
    assert world.network("again").vni == 5


def test_texts_change(world: World) -> None:
    """Names, descriptions and the MTU change; what is not named stays."""
    world.apply(UpdateNetwork("n", name="a", description="b", mtu=1400), 0)
    world.apply(UpdateNetwork("n"), 0)
    world.apply(UpdateSubnet("s", name="c", description="d"), 0)
    world.apply(UpdateSubnet("s"), 0)
    world.apply(UpdatePort("p1", name="e", description="f", device_id="g", device_owner="h"), 0)
    world.apply(UpdatePort("p1"), 0)
    network, its_port = world.network("n"), world.port("p1")
    assert (network.name, network.description, network.mtu) == ("a", "b", 1400)
    assert (world.subnet("s").name, world.subnet("s").description) == ("c", "d")
    assert (its_port.name, its_port.description, its_port.device_id, its_port.device_owner) == ("e", "f", "g", "h")


def test_the_mtu_is_what_the_tunnel_leaves() -> None:
    """VXLAN over IPv4 takes 50 bytes of what the underlay carries; more than the rest is refused, less is granted."""
    it = World(Settings(underlay_mtu=1600))
    it.apply(CreateNetwork("n", "p"), 0)
    it.apply(CreateNetwork("less", "p", mtu=1280), 0)
    it.apply(CreateNetwork("most", "p", mtu=1550), 0)
    assert [network.mtu for network in it.networks.values()] == [1550, 1280, 1550]
    before = it.documents()
    for change in (CreateNetwork("x", "p", mtu=1551), UpdateNetwork("n", mtu=1551)):
        with pytest.raises(Refusal) as refusal:
            it.apply(change, 0)
        assert (refusal.value.status, refusal.value.kind, refusal.value.field) == (400, "InvalidInput", "mtu")
    assert it.documents() == before
    narrow = World.restore(it.documents(), 0, Settings())
    narrow.apply(UpdateNetwork("n", name="kept"), 0)
    assert narrow.network("n").mtu == 1550


def test_addresses_are_chosen(world: World) -> None:
    """Exact wishes are honoured first, free choices take the lowest left, and one of each version is the default."""
    world.apply(subnet(cidr=ip_network("2001:db8:1::/64")), 0)
    wishes = (FixedIpRequest("s"), ip("10.0.0.3"), ip("10.0.0.5", "s"))
    world.apply(port(fixed_ips=wishes, mac=None, mac_candidates=(Mac(1), Mac(9))), 0)
    assert [str(fixed.ip) for fixed in world.port("p2").fixed_ips] == ["10.0.0.4", "10.0.0.3", "10.0.0.5"]
    assert world.port("p2").mac == 9
    world.apply(CreatePort("p3", "p", "n", mac=Mac(3)), 0)
    assert [str(fixed.ip) for fixed in world.port("p3").fixed_ips] == ["10.0.0.6", "2001:db8:1::2"]


def test_second_subnet_is_used_when_the_first_is_full(world: World) -> None:
    """When one subnet's pools are empty, the next of the same version serves."""
    world.apply(port(fixed_ips=(FixedIpRequest("s"),) * 4), 0)
    world.apply(subnet(gateway_ip=None, pools=(pool("10.0.1.5", "10.0.1.5"),)), 0)
    world.apply(CreatePort("p3", "p", "n", mac=Mac(3)), 0)
    assert [str(fixed.ip) for fixed in world.port("p3").fixed_ips] == ["10.0.1.5"]


def test_gateway_address_is_only_given_by_name(world: World) -> None:
    """A router port may have the gateway's address; when it goes, the address is not handed out to others."""
    world.apply(port(fixed_ips=(ip("10.0.0.1"),)), 0)
    world.apply(DeletePort("p2"), 0)
    world.apply(port(), 0)
    assert [str(fixed.ip) for fixed in world.port("p2").fixed_ips] == ["10.0.0.3"]


def test_subnet_without_users_goes(world: World) -> None:
    """A subnet can be deleted when the last address of it is given back."""
    world.apply(DeletePort("p1"), 0)
    world.apply(DeleteSubnet("s"), 0)
    assert world.subnets_of("n") == ()


def test_a_large_subnet_costs_no_more() -> None:
    """A /8 and a /64 hand out their first addresses as a /24 does."""
    it = World()
    it.apply(CreateNetwork("n", "p"), 0)
    it.apply(CreateSubnet("four", "p", "n", ip_network("10.0.0.0/8")), 0)
    it.apply(CreateSubnet("six", "p", "n", ip_network("2001:db8::/64")), 0)
    for number in range(300):
        it.apply(CreatePort(f"p{number}", "p", "n", mac=Mac(number + 1)), 0)
    assert [str(fixed.ip) for fixed in it.port("p299").fixed_ips] == ["10.0.1.45", "2001:db8::12d"]
