"""What a machine is told with its address."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from overlay.changes import CreateNetwork, CreatePort, CreateSubnet, DhcpOptionWish, FixedIpRequest, UpdatePort
from overlay.guests import options
from overlay.guests.leases import Lease, LeaseV6, Told, lease_v6_of, leases_of
from overlay.guests.offers import WITHOUT_GATEWAY
from overlay.guests.options import KNOWN
from overlay.refusals import Invalid
from overlay.values import DhcpOption, HostRoute, Ipv6Mode, Mac
from overlay.world import World

TOLD = Told(mtu=1450, seconds=1000)
ROUTE = HostRoute(ip_network("10.9.0.0/16"), ip_address("10.0.0.9"))
DEFAULT = HostRoute(ip_network("0.0.0.0/0"), ip_address("10.0.0.8"))
NAME_SERVER = ip_address("192.0.2.53")


def world(*subnets: CreateSubnet) -> World:
    """A network with these subnets."""
    it = World()
    it.apply(CreateNetwork("n", "p"), 0)
    for subnet in subnets:
        it.apply(subnet, 0)
    return it


def four(**more: object) -> CreateSubnet:
    """An IPv4 subnet with DHCP."""
    return replace(CreateSubnet("four", "p", "n", ip_network("10.0.0.0/24"), dhcp=True), **more)


def six(mode: Ipv6Mode | None, **more: object) -> CreateSubnet:
    """An IPv6 subnet of some mode."""
    made = CreateSubnet("six", "p", "n", ip_network("2001:db8::/64"), dhcp=True, ipv6_address_mode=mode)
    return replace(made, **more)


def leases(it: World, told: Told = TOLD, **more: object) -> tuple[Lease, ...]:
    """The leases of a port that is made now."""
    it.apply(replace(CreatePort("a", "p", "n", mac=Mac(2)), **more), 0)
    return leases_of(it.ports["a"], it.subnets, told)


def lease_v6(it: World, told: Told = TOLD, **more: object) -> LeaseV6 | None:
    """What a port that is made now can get by DHCPv6."""
    it.apply(replace(CreatePort("a", "p", "n", mac=Mac(2)), **more), 0)
    return lease_v6_of(it.ports["a"], it.subnets, told)


def test_a_lease_says_what_the_subnet_says() -> None:
    """Mask, broadcast address, gateway, name servers, MTU and times; and who says so."""
    (lease,) = leases(world(four(dns_nameservers=(NAME_SERVER,))))
    assert (lease.ip, lease.server, lease.next_server) == (IPv4Address("10.0.0.2"), IPv4Address("10.0.0.1"), None)
    assert lease.options == {
        options.NETMASK: bytes([255, 255, 255, 0]),
        options.BROADCAST: bytes([10, 0, 0, 255]),
        options.ROUTER: bytes([10, 0, 0, 1]),
        options.NAME_SERVERS: NAME_SERVER.packed,
        options.MTU: (1450).to_bytes(2),
        options.LEASE_TIME: (1000).to_bytes(4),
        options.RENEWAL_TIME: (500).to_bytes(4),
        options.REBINDING_TIME: (875).to_bytes(4),
    }


def test_without_a_gateway_the_services_are_at_the_link() -> None:
    """The server is then the address of the link, no router is told, and of a tiny prefix no broadcast address."""
    (lease,) = leases(world(four(gateway_ip=None, cidr=ip_network("10.0.0.0/31"))))
    assert lease.server == WITHOUT_GATEWAY
    assert not {options.ROUTER, options.BROADCAST} & set(lease.options)
    assert lease.options[options.NAME_SERVERS] == WITHOUT_GATEWAY.packed


def test_names_are_told() -> None:
    """The domain of the network and the port's own name."""
    (lease,) = leases(world(four()), replace(TOLD, domain="red.example"), dns_name="vm")
    assert (lease.options[options.DOMAIN], lease.options[options.HOST_NAME]) == (b"red.example", b"vm")


@pytest.mark.parametrize(
    ("routes", "gateway", "expected"),
    [
        ((ROUTE,), "default", [ROUTE, HostRoute(ip_network("0.0.0.0/0"), ip_address("10.0.0.1"))]),
        ((ROUTE,), None, [ROUTE]),
        ((ROUTE, DEFAULT), "default", [ROUTE, DEFAULT]),
    ],
)
def test_with_routes_the_default_one_is_among_them(
    routes: tuple[HostRoute, ...], gateway: str | None, expected: list[HostRoute]
) -> None:
    """Who takes classless routes leaves the router option alone (RFC 3442), so its gateway is one of the routes."""
    (lease,) = leases(world(four(host_routes=routes, gateway_ip=gateway)))
    assert lease.options[options.CLASSLESS_ROUTES] == options.routes(expected)


def test_routes_are_as_short_as_their_prefixes() -> None:
    """Of a destination there are only the bytes that its prefix needs (RFC 3442)."""
    assert options.routes([ROUTE, DEFAULT]) == bytes([16, 10, 9, 10, 0, 0, 9, 0, 10, 0, 0, 8])


def test_a_port_s_own_options_go_before() -> None:
    """They are added, or take the place of what the subnet says; the times follow a lease time of its own."""
    wishes = (
        DhcpOptionWish("mtu", "1300"),
        DhcpOptionWish("server-ip-address", "192.0.2.69"),
        DhcpOptionWish("bootfile-name", "pxe"),
        DhcpOptionWish("lease-time", "60"),
        DhcpOptionWish("T2", "50"),
        DhcpOptionWish("dns-server", "2001:db8::5", 6),
    )
    (lease,) = leases(world(four()), dhcp_options=wishes)
    assert lease.options[options.MTU] == (1300).to_bytes(2)
    assert lease.options[67] == b"pxe"
    assert lease.next_server == IPv4Address("192.0.2.69")
    times = [int.from_bytes(lease.options[each]) for each in (51, 58, 59)]
    assert times == [60, 30, 50]
    assert 23 not in lease.options


def test_a_port_has_a_lease_of_each_address_with_dhcp() -> None:
    """Not of those in subnets without, nor of IPv6 ones."""
    other = CreateSubnet("other", "p", "n", ip_network("10.1.0.0/24"))
    wishes = (
        FixedIpRequest("four"),
        FixedIpRequest("four", ip_address("10.0.0.77")),
        FixedIpRequest("other"),
        FixedIpRequest("six"),
    )
    it = world(four(), other, six(Ipv6Mode.STATEFUL))
    assert [str(lease.ip) for lease in leases(it, fixed_ips=wishes)] == ["10.0.0.2", "10.0.0.77"]


@pytest.mark.parametrize(
    ("mode", "given"),
    [(Ipv6Mode.STATEFUL, True), (Ipv6Mode.STATELESS, False), (Ipv6Mode.SLAAC, None), (None, None)],
)
def test_dhcpv6_gives_addresses_information_or_nothing(mode: Ipv6Mode | None, *, given: bool | None) -> None:
    """By the subnet's mode."""
    lease = lease_v6(world(six(mode, dns_nameservers=(ip_address("2001:db8::53"),))))
    assert (None if lease is None else bool(lease.addresses)) is given
    if lease is not None:
        assert len(lease.on_link) == 1
        assert lease.options == {options.NAME_SERVERS_V6: ip_address("2001:db8::53").packed}


def test_dhcpv6_tells_names_and_times_and_the_port_s_options() -> None:
    """The gateway answers for names where there is no server; times are shares of the lease."""
    wish = DhcpOptionWish("bootfile-url", "tftp://x", 6)
    lease = lease_v6(world(six(Ipv6Mode.STATEFUL)), replace(TOLD, domain="red.example"), dhcp_options=(wish,))
    assert lease is not None
    assert lease.options == {
        options.NAME_SERVERS_V6: ip_address("2001:db8::1").packed,
        options.DOMAIN_SEARCH_V6: b"\x03red\x07example\x00",
        59: b"tftp://x",
    }
    assert (lease.seconds, lease.renew_after, lease.rebind_after) == (1000, 500, 800)


def test_dhcpv6_without_gateway_and_servers_tells_none() -> None:
    """Nobody is there to be asked for names."""
    lease = lease_v6(world(six(Ipv6Mode.STATEFUL, gateway_ip=None)))
    assert lease == LeaseV6((IPv6Address("2001:db8::1"),), (IPv6Address("2001:db8::1"),), 1000, {})


VALUES = {
    ("mtu", 4): ("1400", (1400).to_bytes(2)),
    ("default-ttl", 4): ("0x40", b"\x40"),
    ("arp-timeout", 4): ("60", (60).to_bytes(4)),
    ("ip-forward-enable", 4): ("true", b"\1"),
    ("router-discovery", 4): ("0", b"\0"),
    ("ntp-server", 4): ("192.0.2.1, 192.0.2.2", bytes([192, 0, 2, 1, 192, 0, 2, 2])),
    ("dns-server", 6): ("2001:db8::1", ip_address("2001:db8::1").packed),
    ("domain-search", 4): ("a.example., b", b"\1a\7example\0\1b\0"),
    ("classless-static-route", 4): ("10.9.0.0/16,10.0.0.9", bytes([16, 10, 9, 10, 0, 0, 9])),
    ("wpad", 4): ("http://w", b"http://w"),
}


@pytest.mark.parametrize(("name", "version"), VALUES)
def test_a_value_is_written_as_its_option_says(name: str, version: int) -> None:
    """Numbers of their width, addresses, flags, names and routes, each as on the wire."""
    value, expected = VALUES[name, version]
    known = options.option(name, value, version)
    assert list(options.written([known], version).values()) == [expected]
    assert options.written([known], 10 - version) == {}


@pytest.mark.parametrize(
    ("name", "value", "version", "word"),
    [
        ("warp", "9", 4, "there is no DHCP option 'warp' for IPv4"),
        ("mtu", "9", 6, "there is no DHCP option 'mtu' for IPv6"),
        ("mtu", "large", 4, "mtu"),
        ("mtu", "65536", 4, "from 0 to 65535"),
        ("mtu", "-1", 4, "from 0 to 65535"),
        ("ip-forward-enable", "perhaps", 4, "neither 0 nor 1"),
        ("router", "2001:db8::1", 4, "not an IPv4 address"),
        ("router", "10.0.0.1,", 4, "router"),
        ("bootfile-name", "", 4, "is empty"),
        ("bootfile-name", "ü", 4, "bootfile-name"),
        ("bootfile-name", "x" * 256, 4, "more than 255 bytes"),
        ("domain-search", "a..b", 4, "not a domain name"),
        ("domain-search", ".".join(["a" * 60] * 5), 4, "not a domain name"),
        ("classless-static-route", "10.0.0.0/8", 4, "not pairs"),
        ("classless-static-route", "10.0.0.1/8,10.0.0.1", 4, "host bits"),
    ],
)
def test_what_cannot_be_told_is_refused(name: str, value: str, version: int, word: str) -> None:
    """An unknown option, or a value that it cannot have, is refused with its name, and nothing changes."""
    it = world(four())
    it.apply(CreatePort("a", "p", "n", mac=Mac(2)), 0)
    before = it.documents()
    with pytest.raises(Invalid, match="extra_dhcp_opts") as refused:
        it.apply(UpdatePort("a", dhcp_options=(DhcpOptionWish(name, value, version),)), 0)
    assert word in refused.value.message
    assert it.documents() == before


def test_options_that_are_too_long_together_are_refused() -> None:
    """An answer has to be one packet."""
    long = [name for name, known in KNOWN.items() if known.write is options.text and known.v4 is not None][:5]
    wishes = tuple(DhcpOptionWish(name, "x" * 250) for name in long)
    with pytest.raises(Invalid, match="together"):
        leases(world(four()), dhcp_options=wishes)


def test_options_are_changed_one_by_one() -> None:
    """A change adds and replaces what it names, and takes away what it names without a value; others stay."""
    it = world(four())
    it.apply(CreatePort("a", "p", "n", mac=Mac(2), dhcp_options=(DhcpOptionWish("mtu", "1400"),)), 0)
    it.apply(UpdatePort("a", dhcp_options=(DhcpOptionWish("wpad", "x"), DhcpOptionWish("mtu", "1300"))), 0)
    assert it.ports["a"].dhcp_options == (DhcpOption("mtu", "1300"), DhcpOption("wpad", "x"))
    assert World.restore(it.documents(), 0).ports["a"] == it.ports["a"]
    it.apply(UpdatePort("a", dhcp_options=(DhcpOptionWish("mtu", None), DhcpOptionWish("mtu", None))), 0)
    assert it.ports["a"].dhcp_options == (DhcpOption("wpad", "x"),)
    with pytest.raises(Invalid, match="there is no DHCP option"):
        it.apply(UpdatePort("a", dhcp_options=(DhcpOptionWish("warp", None),)), 0)


def test_no_two_names_are_one_number_by_mistake() -> None:
    """Of the names of one IP version each has a number of its own, except those that are known as the same."""
    for numbers in ([known.v4 for known in KNOWN.values()], [known.v6 for known in KNOWN.values()]):
        there = [number for number in numbers if number is not None]
        twice = {number for number in there if there.count(number) > 1}
        assert twice <= {59}
