"""What the hypervisors do with what a VM asks of its network, and with a VM that would answer others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest

from overlay.addressing import link_local
from overlay.changes import (
    UNCHANGED,
    BindPassive,
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    DeletePort,
    DeleteSubnet,
    FixedIpRequest,
    HostSeen,
    UpdateSubnet,
)
from overlay.guests.offers import SERVICE_LINK_LOCAL, SERVICE_MAC, WITHOUT_GATEWAY
from overlay.tables.names import ASKING_METERS, CookieKind
from overlay.values import HostName, Ipv6Mode, Mac
from tests.model import packets
from tests.model.lab import Lab, places
from tests.model.switch import Packet

H1, H2 = HostName("h1"), HostName("h2")
GATEWAY = IPv4Address("10.0.0.1")
ALL_SERVERS = IPv6Address("ff02::1:2")
NOBODY, EVERYBODY = IPv4Address(0), IPv4Address(0xFFFFFFFF)
Say = Callable[[Lab], Packet]


@pytest.fixture
def lab() -> Lab:
    """Ports a (h1) and b (h2) in a network with DHCP, SLAAC and DHCPv6."""
    it = Lab()
    it.do(CreateNetwork("n", "p"))
    it.do(CreateSubnet("four", "p", "n", ip_network("10.0.0.0/24"), dhcp=True))
    for name, prefix, mode in (
        ("six", "2001:db8::/64", Ipv6Mode.SLAAC),
        ("stateful", "2001:db9::/64", Ipv6Mode.STATEFUL),
    ):
        subnet = CreateSubnet(name, "p", "n", ip_network(prefix), dhcp=True)
        it.do(replace(subnet, ipv6_ra_mode=mode, ipv6_address_mode=mode))
    for number, name in enumerate("ab", start=1):
        host = it.hosts[number - 1]
        it.do(CreatePort(name, "p", "n", mac=Mac(0x02_00_00_00_00_00 + number), host=host))
        it.plug(host, name)
    return it


def _udp(packet: Packet, source: int, target: int) -> Packet:
    return {**packet, "ip_proto": 17, "udp_src": source, "udp_dst": target}


def discover(lab: Lab, source: IPv4Address = NOBODY, to: IPv4Address = EVERYBODY) -> Packet:
    """A DHCP question of port a."""
    mac = packets.BROADCAST if to == EVERYBODY else SERVICE_MAC
    return _udp(packets.ip(lab.mac("a"), mac, source, to), 68, 67)


def solicit(lab: Lab) -> Packet:
    """A DHCPv6 question of port a."""
    own = lab.mac("a")
    return _udp(packets.ip6(own, 0x333300010002, IPv6Address(link_local(own)), ALL_SERVERS), 546, 547)


def ask_for_router(lab: Lab, source: IPv6Address | None = None) -> Packet:
    """A router solicitation of port a."""
    own = lab.mac("a")
    return packets.icmp6(own, 0x333300000002, IPv6Address(link_local(own)) if source is None else source, 133)


QUESTIONS: dict[str, tuple[Say, CookieKind]] = {
    "a first DHCP question": (discover, CookieKind.ASKED_ADDRESS),
    "a renewal at the gateway": (lambda lab: discover(lab, lab.ip4("a"), GATEWAY), CookieKind.ASKED_ADDRESS),
    "a renewal by broadcast": (lambda lab: discover(lab, lab.ip4("a")), CookieKind.ASKED_ADDRESS),
    "a question from an address that it has no more": (
        lambda lab: discover(lab, IPv4Address("10.0.0.99")),
        CookieKind.ASKED_ADDRESS,
    ),
    "a DHCPv6 question": (solicit, CookieKind.ASKED_ADDRESS_V6),
    "a question for routers": (ask_for_router, CookieKind.ASKED_ROUTER),
    "one of whoever has no address": (lambda lab: ask_for_router(lab, IPv6Address(0)), CookieKind.ASKED_ROUTER),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_goes_to_the_controller_alone(lab: Lab, question: str) -> None:
    """What a port asks of its network is handed to the controller, counted by the port's own meter; nobody hears it."""
    say, kind = QUESTIONS[question]
    assert places(lab.send(H1, "a", say(lab))) == [(H1, "")]
    assert lab.last_met(H1, "a", say(lab)) is kind
    (asked,) = {flow.meter for flow in lab.installed[H1].values() if flow.cookie >> 40 & 0xFF == kind}
    assert asked == ASKING_METERS + lab.world.attachments[H1, "a"]


@pytest.mark.parametrize("question", QUESTIONS)
def test_nobody_asks_as_another(lab: Lab, question: str) -> None:
    """A question with another's MAC is refused at the port."""
    lie = {**QUESTIONS[question][0](lab), "eth_src": int(lab.mac("b"))}
    assert lab.send(H1, "a", lie) == []
    assert lab.last_met(H1, "a", lie) is CookieKind.SPOOFED


def test_a_passive_port_asks_nothing(lab: Lab) -> None:
    """The target of a move that is not activated hands no question on."""
    lab.do(BindPassive("a", H2))
    lab.plug(H2, "a")
    for say, _ in QUESTIONS.values():
        assert lab.send(H2, "a", say(lab)) == []


ROGUES: dict[str, Say] = {
    "a DHCP offer": lambda lab: _udp(lab.ipv4("a", "b"), 67, 68),
    "a DHCP offer to all": lambda lab: {**_udp(lab.ipv4("a", "b"), 67, 68), "eth_dst": packets.BROADCAST},
    "a DHCP offer as the gateway": lambda lab: {**_udp(lab.ipv4("a", "b"), 67, 68), "ipv4_src": int(GATEWAY)},
    "a DHCPv6 reply": lambda lab: _udp(packets.ip6(lab.mac("a"), lab.mac("b"), lab.ip6("a"), lab.ip6("b")), 547, 546),
    "a router advertisement": lambda lab: packets.icmp6(
        lab.mac("a"), 0x333300000001, IPv6Address(link_local(lab.mac("a"))), 134
    ),
}


@pytest.mark.parametrize("rogue", ROGUES)
@pytest.mark.parametrize("dhcp", [True, False])
def test_a_rogue_server_is_stopped_and_counted(lab: Lab, rogue: str, *, dhcp: bool) -> None:
    """What only a DHCP server or a router would say ends at the port, from its own address too, in a flow that counts.

    So it is where the network has no DHCP of its own as well: a port may be a server only without port security.
    """
    if not dhcp:
        lab.do(UpdateSubnet("four", dhcp=False))
    assert lab.send(H1, "a", ROGUES[rogue](lab)) == []
    assert lab.last_met(H1, "a", ROGUES[rogue](lab)) is CookieKind.ROGUE


def test_without_dhcp_a_question_is_everybodys(lab: Lab) -> None:
    """Where the network gives no addresses the first question is flooded, and one from a wrong address is refused."""
    lab.do(UpdateSubnet("four", dhcp=False))
    assert places(lab.send(H1, "a", discover(lab))) == [(H2, "b")]
    lie = discover(lab, IPv4Address("10.0.0.99"))
    assert lab.send(H1, "a", lie) == []
    assert lab.last_met(H1, "a", lie) is CookieKind.SPOOFED


def test_the_last_subnet_takes_its_services_along(lab: Lab) -> None:
    """A subnet that comes or goes brings or takes the services of the network, at ports that are plugged already."""
    mode = Ipv6Mode.STATELESS
    lab.do(CreateNetwork("other", "p"))
    lab.do(CreatePort("c", "p", "other", mac=Mac(0x02_00_00_00_00_09), host=H1))
    lab.plug(H1, "c")
    lab.do(CreatePort("unplugged", "p", "other", mac=Mac(0x02_00_00_00_00_0A), host=H1))
    asked = {**solicit(lab), "eth_src": int(lab.mac("c")), "ipv6_src": link_local(lab.mac("c"))}
    assert lab.send(H1, "c", asked) == []
    lab.do(CreateSubnet("s", "p", "other", ip_network("2001:dba::/64"), dhcp=True, ipv6_address_mode=mode))
    assert places(lab.send(H1, "c", asked)) == [(H1, "")]
    lab.do(DeleteSubnet("s"))
    assert lab.send(H1, "c", asked) == []


@pytest.mark.parametrize("gateway", [GATEWAY, None])
def test_the_services_are_found_by_arp(lab: Lab, gateway: IPv4Address | None) -> None:
    """The gateway's address, or where there is none that of the link, is answered for with the services' MAC."""
    lab.do(UpdateSubnet("four", gateway_ip=gateway))
    asked = WITHOUT_GATEWAY if gateway is None else gateway
    (answer,) = lab.send(H1, "a", packets.arp(lab.mac("a"), lab.ip4("a"), asked))
    assert (answer.port_id, answer.packet["arp_sha"]) == ("a", SERVICE_MAC)


def test_a_port_with_the_gateway_s_address_answers_for_itself(lab: Lab) -> None:
    """Where a port has the gateway's address (a router's), its MAC is the answer, and what it is asked reaches it."""
    lab.do(CreatePort("router", "p", "n", mac=Mac(0x02_00_00_00_00_77), fixed_ips=(FixedIpRequest("four", GATEWAY),)))
    lab.plug(H2, "router")
    (answer,) = lab.send(H1, "a", packets.arp(lab.mac("a"), lab.ip4("a"), GATEWAY))
    assert answer.packet["arp_sha"] == lab.mac("router")
    assert places(lab.send(H1, "a", lab.ipv4("a", "router"))) == [(H2, "router")]


def test_the_services_are_found_by_neighbour_discovery(lab: Lab) -> None:
    """The link-local address of the services and the IPv6 gateway's are answered for, where the switch can."""
    own, source = lab.mac("a"), IPv6Address(link_local(lab.mac("a")))
    for target in (SERVICE_LINK_LOCAL, IPv6Address("2001:db8::1")):
        asked = packets.solicitation(own, source, target)
        (answer,) = lab.send(H1, "a", asked)
        assert answer.packet["ipv6_nd_tll"] == SERVICE_MAC
    lab.do(HostSeen(replace(lab.world.hosts[H1], answers_nd=False)))
    assert places(lab.send(H1, "a", asked)) == [(H2, "b")]


def test_the_services_forward_nothing(lab: Lab) -> None:
    """What is sent to the services' MAC and is no question ends there; it is not flooded."""
    assert lab.send(H1, "a", {**lab.ipv4("a", "b"), "eth_dst": SERVICE_MAC}) == []


DUPLICATES: dict[str, Say] = {
    "a claim by ARP": lambda lab: packets.arp(lab.mac("a"), lab.ip4("b"), lab.ip4("b")),
    "an answer by ARP": lambda lab: packets.arp(lab.mac("a"), lab.ip4("b"), lab.ip4("b"), op=2),
    "an advertisement": lambda lab: packets.advertisement(lab.mac("a"), lab.ip6("b"), lab.ip6("b")),
    "a probe that would take it": lambda lab: packets.solicitation(lab.mac("a"), IPv6Address(0), lab.ip6("b")),
    "the gateway's, by ARP": lambda lab: packets.arp(lab.mac("a"), GATEWAY, GATEWAY, op=2),
    "the services', by advertisement": lambda lab: packets.advertisement(
        lab.mac("a"), SERVICE_LINK_LOCAL, SERVICE_LINK_LOCAL
    ),
}


@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_nobody_takes_an_address_that_is_another_s(lab: Lab, duplicate: str) -> None:
    """A machine that would have another's address, or that of the network's services, is stopped at its port."""
    assert lab.send(H1, "a", DUPLICATES[duplicate](lab)) == []
    assert lab.last_met(H1, "a", DUPLICATES[duplicate](lab)) is CookieKind.SPOOFED


def test_a_subnet_that_changes_nothing_of_this_touches_no_switch(lab: Lab) -> None:
    """What machines are only told (name servers, routes) is no flow."""
    outcome = lab.change(UpdateSubnet("four", dns_nameservers=(IPv4Address("10.0.0.9"),), gateway_ip=UNCHANGED))
    assert not outcome.dirty


def test_networks_that_advertise_are_known(lab: Lab) -> None:
    """A network advertises as long as one of its subnets does."""
    lab.do(CreateNetwork("silent", "p"))
    assert list(lab.world.advertising_networks()) == ["n"]
    lab.do(DeletePort("a"), DeletePort("b"), DeleteSubnet("six"))
    assert list(lab.world.advertising_networks()) == ["n"]
    lab.do(DeleteSubnet("stateful"))
    assert list(lab.world.advertising_networks()) == []
