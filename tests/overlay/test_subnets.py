"""A subnet changes under its ports: gateway, pools, and what machines are told."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from overlay.changes import (
    Change,
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    DeletePort,
    FixedIpRequest,
    UpdatePort,
    UpdateSubnet,
)
from overlay.refusals import Refusal
from overlay.values import FixedIp, HostRoute, Ipv6Mode, Mac, Pool
from overlay.world import World

NET = ip_network("10.0.0.0/28")
SIX = ip_network("2001:db8::/64")
NINE = ip_address("2620:fe::9")


def pool(first: int, last: int) -> Pool:
    """A pool by the numbers of its ends."""
    return Pool(NET[first], NET[last])


def port(world: World, id_: str, *wish: FixedIpRequest) -> str:
    """Make a port.  :returns: its address."""
    world.apply(CreatePort(id_, "p", "n", mac=Mac(1 + sum(map(ord, id_)) * 100 + len(id_)), fixed_ips=wish or None), 0)
    (fixed,) = world.port(id_).fixed_ips
    return str(fixed.ip)


def exactly(number: int) -> FixedIpRequest:
    """A wish for one address."""
    return FixedIpRequest(ip=NET[number])


@pytest.fixture
def world() -> World:
    """Subnet s (10.0.0.0/28, gateway .1) with ports at .2 and .10."""
    it = World()
    it.apply(CreateNetwork("n", "p"), 0)
    it.apply(CreateSubnet("s", "p", "n", NET), 0)
    port(it, "p2")
    port(it, "p10", exactly(10))
    return it


def test_pools_shrink_and_grow(world: World) -> None:
    """Addresses in use stay so, inside the new pools or not; only what is inside is handed out."""
    world.apply(UpdateSubnet("s", pools=(pool(9, 11),)), 0)
    assert (world.used_addresses("s"), world.free_addresses("s")) == (2, 2)
    assert [port(world, "p9"), port(world, "p11")] == ["10.0.0.9", "10.0.0.11"]
    with pytest.raises(Refusal) as refusal:
        port(world, "none")
    assert refusal.value.kind == "IpAddressGenerationFailure"
    with pytest.raises(Refusal) as refusal:
        port(world, "twice", exactly(2))
    assert refusal.value.kind == "IpAddressInUse"
    assert port(world, "outside", exactly(5)) == "10.0.0.5"
    world.apply(DeletePort("p2"), 0)
    world.apply(UpdateSubnet("s", pools=(pool(2, 3), pool(9, 11))), 0)
    assert world.free_addresses("s") == 2
    assert [port(world, "again"), port(world, "more")] == ["10.0.0.2", "10.0.0.3"]


def test_the_gateway_moves(world: World) -> None:
    """Out of the pools it goes to where nobody is; then only who asks for the old one by name gets it."""
    world.apply(UpdateSubnet("s", gateway_ip=NET[14], pools=(pool(2, 13),)), 0)
    assert world.subnet("s").gateway_ip == NET[14]
    assert port(world, "router", exactly(14)) == "10.0.0.14"
    assert port(world, "first", exactly(1)) == "10.0.0.1"
    world.apply(DeletePort("router"), 0)
    assert port(world, "next") == "10.0.0.3"
    world.apply(UpdateSubnet("s", gateway_ip=None), 0)
    assert world.subnet("s").gateway_ip is None


def test_a_gateway_in_use_stays(world: World) -> None:
    """A port that has the gateway's address is the gateway: neither it nor another port is overlooked."""
    world.apply(UpdateSubnet("s", pools=(pool(2, 9),)), 0)
    port(world, "router", exactly(1))
    for gateway in (NET[14], None):
        with pytest.raises(Refusal) as refusal:
            world.apply(UpdateSubnet("s", gateway_ip=gateway), 0)
        assert (refusal.value.status, refusal.value.kind) == (409, "GatewayIpInUse")
    world.apply(UpdateSubnet("s", gateway_ip=NET[1], name="same"), 0)


def test_what_machines_are_told_changes(world: World) -> None:
    """DHCP, name servers and routes; what is not named stays."""
    told = {
        "dhcp": True,
        "dns_nameservers": (ip_address("9.9.9.9"),),
        "host_routes": (HostRoute(ip_network("10.9.0.0/16"), NET[5]),),
    }
    world.apply(UpdateSubnet("s", **told), 0)
    world.apply(UpdateSubnet("s", name="x"), 0)
    subnet = world.subnet("s")
    assert {name: getattr(subnet, name) for name in told} == told
    assert World.restore(world.documents(), 0).subnet("s") == subnet


@pytest.mark.parametrize(
    ("change", "status", "kind", "field"),
    [
        (UpdateSubnet("s", gateway_ip=ip_address("10.0.1.1")), 400, "InvalidInput", "gateway_ip"),
        (UpdateSubnet("s", gateway_ip=NET[10]), 409, "GatewayIpInUse", "gateway_ip"),
        (UpdateSubnet("s", gateway_ip=NET[9]), 409, "GatewayConflictWithAllocationPools", "allocation_pools"),
        (UpdateSubnet("s", pools=(pool(1, 3),)), 409, "GatewayConflictWithAllocationPools", "allocation_pools"),
        (UpdateSubnet("s", pools=(pool(4, 3),)), 400, "InvalidAllocationPool", "allocation_pools"),
        (UpdateSubnet("s", pools=(pool(4, 15),)), 400, "OutOfBoundsAllocationPool", "allocation_pools"),
        (UpdateSubnet("s", pools=(pool(4, 5), pool(5, 6))), 400, "OverlappingAllocationPools", "allocation_pools"),
        (UpdateSubnet("s", dns_nameservers=(NINE,)), 400, "InvalidInput", "dns_nameservers"),
        (UpdateSubnet("s", host_routes=(HostRoute(SIX, NET[5]),)), 400, "InvalidInput", "host_routes"),
        (UpdateSubnet("s", host_routes=(HostRoute(NET, NINE),)), 400, "InvalidInput", "host_routes"),
        (
            CreateSubnet("t", "p", "n", ip_network("10.1.0.0/24"), dhcp=True, ipv6_ra_mode=Ipv6Mode.SLAAC),
            400,
            "InvalidInput",
            "ipv6_address_mode",
        ),
        (CreateSubnet("t", "p", "n", SIX, ipv6_ra_mode=Ipv6Mode.STATEFUL), 400, "InvalidInput", "enable_dhcp"),
        (
            CreateSubnet(
                "t", "p", "n", SIX, dhcp=True, ipv6_ra_mode=Ipv6Mode.SLAAC, ipv6_address_mode=Ipv6Mode.STATEFUL
            ),
            400,
            "InvalidInput",
            "ipv6_ra_mode",
        ),
        (
            CreateSubnet("t", "p", "n", ip_network("2001:db8::/80"), dhcp=True, ipv6_address_mode=Ipv6Mode.SLAAC),
            400,
            "InvalidInput",
            "cidr",
        ),
    ],
)
def test_refused(world: World, change: Change, status: int, kind: str, field: str) -> None:
    """What does not go together is refused by the field, and changes nothing."""
    before = world.documents()
    with pytest.raises(Refusal) as refusal:
        world.apply(change, 0)
    assert (refusal.value.status, refusal.value.kind, refusal.value.field) == (status, kind, field)
    assert world.documents() == before


def test_far_ends_cost_no_more() -> None:
    """A /8 and a /64 are used in order; what was taken by name at the far end is passed over when it is reached."""
    it = World()
    it.apply(CreateNetwork("n", "p"), 0)
    it.apply(CreateSubnet("six", "p", "n", SIX), 0)
    last = FixedIp("six", SIX[-1])
    it.apply(CreatePort("far", "p", "n", mac=Mac(1), fixed_ips=(FixedIpRequest(ip=last.ip),)), 0)
    it.apply(DeletePort("far"), 0)
    it.apply(CreatePort("near", "p", "n", mac=Mac(1)), 0)
    assert it.port("near").fixed_ips == (FixedIp("six", SIX[2]),)
    assert it.free_addresses("six") == 2**64 - 3


@pytest.fixture
def auto(world: World) -> World:
    """A subnet of the same network whose machines make their addresses of their MACs, and one with pools."""
    modes = {"dhcp": True, "ipv6_ra_mode": Ipv6Mode.SLAAC, "ipv6_address_mode": Ipv6Mode.SLAAC}
    world.apply(CreateSubnet("auto", "p", "n", SIX, **modes), 0)
    world.apply(CreateSubnet("six", "p", "n", ip_network("2001:db8:6::/64")), 0)
    world.apply(CreatePort("m", "p", "n", mac=MAC), 0)
    return world


MAC = Mac.parse("52:54:00:12:34:56")
MADE, OTHER = SIX[0x5054_00FF_FE12_3456], SIX[0x5054_00FF_FE12_3457]


def numbers(world: World, id_: str = "m") -> list[str]:
    """A port's addresses."""
    return [str(fixed.ip) for fixed in world.port(id_).fixed_ips]


def test_machines_make_their_addresses(auto: World) -> None:
    """A port has what its MAC makes (RFC 4862) besides an address of each version's pools, or when that is wished."""
    assert numbers(auto) == ["10.0.0.3", "2001:db8:6::2", str(MADE)]
    wishes = (FixedIpRequest("auto"), FixedIpRequest("s"))
    auto.apply(CreatePort("w", "p", "n", mac=Mac(MAC + 1), fixed_ips=wishes), 0)
    assert numbers(auto, "w") == [str(OTHER), "10.0.0.4"]
    auto.apply(UpdatePort("w", fixed_ips=(FixedIpRequest(ip=OTHER),)), 0)
    auto.apply(CreatePort("router", "p", "n", mac=Mac(9), fixed_ips=(FixedIpRequest(ip=SIX[1]),)), 0)
    assert numbers(auto, "router") == ["2001:db8::1"]


def test_made_addresses_follow_the_mac(auto: World) -> None:
    """Another MAC makes another address; the others stay, and so does a router's."""
    auto.apply(UpdatePort("m", mac=Mac(MAC + 1)), 0)
    assert numbers(auto) == ["10.0.0.3", "2001:db8:6::2", str(OTHER)]
    auto.apply(UpdatePort("m", mac=MAC, fixed_ips=(FixedIpRequest("auto"),)), 0)
    assert numbers(auto) == [str(MADE)]
    auto.apply(UpdatePort("m", fixed_ips=(FixedIpRequest(ip=SIX[1]),)), 0)
    auto.apply(UpdatePort("m", mac=Mac(MAC + 1)), 0)
    assert numbers(auto) == ["2001:db8::1"]


@pytest.mark.parametrize(
    ("wishes", "kind"),
    [
        ((FixedIpRequest(ip=SIX[7]),), "AllocationOnAutoAddressSubnet"),
        ((FixedIpRequest("auto", OTHER),), "AllocationOnAutoAddressSubnet"),
        ((FixedIpRequest("auto"), FixedIpRequest("auto")), "InvalidInput"),
        ((FixedIpRequest("auto"), FixedIpRequest(ip=MADE)), "InvalidInput"),
    ],
)
def test_made_addresses_are_not_chosen(auto: World, wishes: tuple[FixedIpRequest, ...], kind: str) -> None:
    """There is one such address, and only the gateway's may be had besides."""
    with pytest.raises(Refusal) as refusal:
        auto.apply(UpdatePort("m", fixed_ips=wishes), 0)
    assert (refusal.value.status, refusal.value.kind) == (400, kind)


def test_a_made_address_may_be_taken(auto: World) -> None:
    """Whoever had it by name as the gateway keeps it; a port whose MAC makes it is refused."""
    auto.apply(UpdateSubnet("auto", gateway_ip=OTHER, pools=()), 0)
    auto.apply(CreatePort("router", "p", "n", mac=Mac(9), fixed_ips=(FixedIpRequest(ip=OTHER),)), 0)
    for change in (CreatePort("late", "p", "n", mac=Mac(MAC + 1)), UpdatePort("m", mac=Mac(MAC + 1))):
        with pytest.raises(Refusal) as refusal:
            auto.apply(change, 0)
        assert refusal.value.kind == "IpAddressInUse"
