"""What the hypervisors do with a VM's packets when nothing moves."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from overlay.addressing import link_local
from overlay.changes import CreatePort, HostSeen, Plugged, Unplugged
from overlay.tables.names import CookieKind
from overlay.values import HostName, Mac, PortStatus
from tests.model import packets
from tests.model.lab import Lab, places
from tests.model.switch import run

H1, H2, H3 = (HostName(f"h{number}") for number in (1, 2, 3))
HOME = {"a": H1, "b": H1, "c": H2, "d": H3}


@pytest.mark.parametrize("tenant", ["red", "blue"])
@pytest.mark.parametrize("source", "abcd")
@pytest.mark.parametrize("target", "abcd")
def test_unicast_arrives_once_and_in_its_network_only(lab: Lab, tenant: str, source: str, target: str) -> None:
    """A frame to a port arrives at that port once, and never at the port of another tenant with the same addresses."""
    frame = lab.ipv4(f"{tenant}-{source}", f"{tenant}-{target}")
    expected = [] if source == target else [(HOME[target], f"{tenant}-{target}")]
    assert places(lab.send(HOME[source], f"{tenant}-{source}", frame)) == expected


@pytest.mark.parametrize("source", "abcd")
@pytest.mark.parametrize("destination", [packets.BROADCAST, 0x01005E000001, 0x333300000001, 0x02_FF_00_00_00_00])
def test_floods_reach_everybody_else_once(lab: Lab, source: str, destination: int) -> None:
    """A broadcast, multicast or unknown frame arrives at each other port of its network exactly once."""
    frame = {**lab.ipv4(f"red-{source}", "red-a"), "eth_dst": destination}
    expected = sorted((HOME[name], f"red-{name}") for name in "abcd" if name != source)
    assert places(lab.send(HOME[source], f"red-{source}", frame)) == expected


@pytest.mark.parametrize("asked", "bcd")
def test_arp_is_answered_at_the_port(lab: Lab, asked: str) -> None:
    """An ARP request for a known address is answered to the asker alone, with the owner's MAC."""
    request = packets.arp(lab.mac("red-a"), lab.ip4("red-a"), lab.ip4(f"red-{asked}"))
    (answer,) = lab.send(H1, "red-a", request)
    owner = lab.mac(f"red-{asked}")
    assert (answer.host, answer.port_id) == (H1, "red-a")
    assert answer.packet == {
        **request,
        "arp_op": 2,
        "eth_src": owner,
        "eth_dst": lab.mac("red-a"),
        "arp_sha": owner,
        "arp_spa": int(lab.ip4(f"red-{asked}")),
        "arp_tha": lab.mac("red-a"),
        "arp_tpa": int(lab.ip4("red-a")),
    }


def test_gratuitous_arp_reaches_the_network(lab: Lab) -> None:
    """A port that announces or probes its own address is heard by all others, not answered."""
    for spa in (lab.ip4("red-a"), IPv4Address(0)):
        arrivals = lab.send(H1, "red-a", packets.arp(lab.mac("red-a"), spa, lab.ip4("red-a")))
        assert places(arrivals) == [("h1", "red-b"), ("h2", "red-c"), ("h3", "red-d")]


def test_probe_for_a_taken_address_is_answered(lab: Lab) -> None:
    """An ARP probe (sender 0.0.0.0) for another's address learns that it is taken."""
    (answer,) = lab.send(H1, "red-a", packets.arp(lab.mac("red-a"), IPv4Address(0), lab.ip4("red-c")))
    assert (answer.port_id, answer.packet["arp_sha"]) == ("red-a", lab.mac("red-c"))


def test_unknown_arp_is_flooded(lab: Lab) -> None:
    """An ARP request that the directory cannot answer goes to everybody."""
    arrivals = lab.send(H1, "red-a", packets.arp(lab.mac("red-a"), lab.ip4("red-a"), IPv4Address("10.0.0.200")))
    assert len(arrivals) == 3


@pytest.mark.parametrize("asked", "bcd")
def test_solicitation_is_answered_at_the_port(lab: Lab, asked: str) -> None:
    """A neighbour solicitation for a known address is answered to the asker alone, with the owner's MAC."""
    target = lab.ip6(f"red-{asked}")
    (answer,) = lab.send(H1, "red-a", packets.solicitation(lab.mac("red-a"), lab.ip6("red-a"), target))
    owner = lab.mac(f"red-{asked}")
    assert (answer.host, answer.port_id) == (H1, "red-a")
    expected = {
        "eth_dst": lab.mac("red-a"),
        "eth_src": owner,
        "ipv6_src": int(target),
        "ipv6_dst": int(lab.ip6("red-a")),
        "icmpv6_type": 136,
        "nd_reserved": 0x60000000,
        "nd_options_type": 2,
        "ipv6_nd_target": int(target),
        "ipv6_nd_tll": owner,
    }
    assert {field: answer.packet[field] for field in expected} == expected


def test_solicitation_goes_to_the_owner_alone_where_the_switch_cannot_answer(lab: Lab) -> None:
    """On a host whose datapath cannot rewrite solicitations the owner gets it, and nobody else."""
    lab.do(HostSeen(replace(lab.world.hosts[H1], answers_nd=False)))
    asked = packets.solicitation(lab.mac("red-a"), lab.ip6("red-a"), lab.ip6("red-c"))
    assert places(lab.send(H1, "red-a", asked)) == [("h2", "red-c")]


def test_duplicate_address_detection_is_heard(lab: Lab) -> None:
    """A port that asks for its own address from :: (DAD) is heard by all others."""
    for own in (lab.ip6("red-a"), IPv6Address(link_local(lab.mac("red-a")))):
        arrivals = lab.send(H1, "red-a", packets.solicitation(lab.mac("red-a"), IPv6Address(0), own))
        assert len(arrivals) == 3


@pytest.mark.parametrize("source", ["own", "link-local"])
def test_ipv6_flows_with_own_addresses(lab: Lab, source: str) -> None:
    """A port may send IPv6 from its own and its link-local address, advertise itself, and report what it hears."""
    own = lab.mac("red-a")
    address = lab.ip6("red-a") if source == "own" else IPv6Address(link_local(own))
    frame = packets.ip6(own, lab.mac("red-c"), address, lab.ip6("red-c"))
    assert places(lab.send(H1, "red-a", frame)) == [("h2", "red-c")]
    assert len(lab.send(H1, "red-a", packets.advertisement(own, address, lab.ip6("red-a")))) == 3
    assert places(lab.send(H1, "red-a", packets.icmp6(own, 0x333300000016, IPv6Address(0), 143))) == [("h1", "")]
    assert len(lab.send(H1, "red-a", packets.solicitation(own, address, IPv6Address("2001:db8::77")))) == 3


def _lies(lab: Lab) -> dict[str, dict[str, int]]:
    own, other = lab.mac("red-a"), lab.mac("red-c")
    four, six, stolen = lab.ip4("red-a"), lab.ip6("red-a"), lab.ip6("red-c")
    return {
        "another's MAC": {**lab.ipv4("red-a", "red-b"), "eth_src": other},
        "another's IPv4 address": {**lab.ipv4("red-a", "red-b"), "ipv4_src": int(lab.ip4("red-c"))},
        "another's MAC in ARP": packets.arp(own, four, four, sha=other),
        "another's address in ARP": packets.arp(own, lab.ip4("red-c"), four),
        "an ARP answer for another": packets.arp(own, lab.ip4("red-c"), four, op=2),
        "an ARP answer for nobody": packets.arp(own, IPv4Address(0), four, op=2),
        "another's IPv6 address": packets.ip6(own, other, stolen, stolen),
        "a redirect": packets.icmp6(own, other, IPv6Address(link_local(own)), 137),
        "an advertisement of another's address": packets.advertisement(own, six, stolen),
        "an advertisement to another MAC": packets.advertisement(own, six, six, tll=other),
        "a solicitation with another's MAC": packets.solicitation(own, six, stolen, sll=other),
        "a solicitation from another's address": packets.solicitation(own, stolen, six),
        "a probe that would poison": packets.solicitation(own, IPv6Address(0), six, sll=other),
        "a probe for another's address": packets.solicitation(own, IPv6Address(0), stolen),
        "an unknown protocol": {"eth_type": 0x88CC, "eth_src": own, "eth_dst": packets.BROADCAST},
    }


@pytest.mark.parametrize(
    "lie",
    [
        "another's MAC",
        "another's IPv4 address",
        "another's MAC in ARP",
        "another's address in ARP",
        "an ARP answer for another",
        "an ARP answer for nobody",
        "another's IPv6 address",
        "a redirect",
        "an advertisement of another's address",
        "an advertisement to another MAC",
        "a solicitation with another's MAC",
        "a solicitation from another's address",
        "a probe that would poison",
        "a probe for another's address",
        "an unknown protocol",
    ],
)
def test_spoofing_is_dropped_and_counted(lab: Lab, lie: str) -> None:
    """A port that pretends to be another is dropped at its own port, in the flow that counts it."""
    frame = _lies(lab)[lie]
    assert lab.send(H1, "red-a", frame) == []
    assert lab.last_met(H1, "red-a", frame) is CookieKind.SPOOFED


def test_rarp_of_a_settled_port_is_no_spoof(lab: Lab) -> None:
    """A RARP after the move has nobody to tell: it is dropped, but not counted as spoofing."""
    assert lab.send(H1, "red-a", packets.rarp(lab.mac("red-a"))) == []
    assert lab.last_met(H1, "red-a", packets.rarp(lab.mac("red-a"))) is CookieKind.PORT


def test_unplugged_receiver_gets_nothing_and_nobody_else_does(lab: Lab) -> None:
    """A frame to a port that is not plugged is dropped, not flooded."""
    lab.do(Unplugged(H2, "red-c"))
    assert lab.world.status("red-c") is PortStatus.DOWN
    assert lab.send(H1, "red-a", lab.ipv4("red-a", "red-c")) == []


def test_port_without_addresses_is_only_a_mac(lab: Lab) -> None:
    """A port without fixed IPs may send from its link-local address and nothing of IPv4 or ARP."""
    lab.do(CreatePort("bare", "red", "red", mac=Mac(0x02_00_00_00_00_77), fixed_ips=(), host=H1))
    lab.plug(H1, "bare")
    own = lab.mac("bare")
    frame = packets.ip6(own, lab.mac("red-c"), IPv6Address(link_local(own)), IPv6Address("fe80::1"))
    assert places(lab.send(H1, "bare", frame)) == [("h2", "red-c")]
    assert lab.send(H1, "bare", packets.arp(own, IPv4Address(0), IPv4Address("10.0.0.1"))) == []


def test_host_without_the_network_gets_no_copy(lab: Lab) -> None:
    """A flood goes to hosts that have the network, and to no other."""
    lab.do(CreatePort("only", "red", "red", mac=Mac(0x02_00_00_00_00_78), host=H1))
    tunnels = [
        action
        for flow in lab.installed[H1].values()
        for action in flow.actions
        if getattr(action, "field", "") == "tun_ipv4_dst" and action.value == int(IPv4Address("10.0.9.11"))
    ]
    assert tunnels == []


def test_frames_of_an_unknown_network_are_dropped(lab: Lab) -> None:
    """What comes by the tunnel with a VNI that the host does not have goes nowhere."""
    frame = {**lab.ipv4("red-a", "red-c"), "tunnel_id": 999}
    assert run(lab.installed[H2].values(), frame, 1).emissions == ()


def test_tunnel_never_turns_back(lab: Lab) -> None:
    """A frame from the tunnel for a port of a third host is dropped, and a flood stays local."""
    frame = {**lab.ipv4("red-a", "red-d"), "tunnel_id": 100}
    assert run(lab.installed[H2].values(), frame, 1).emissions == ()
    flood = {**frame, "eth_dst": packets.BROADCAST}
    assert [e.port for e in run(lab.installed[H2].values(), flood, 1).emissions] == [lab.world.attachments[H2, "red-c"]]


def test_without_a_tunnel_port_local_traffic_goes_on(lab: Lab) -> None:
    """While Open vSwitch has given the VXLAN port no number, local ports talk, and remote ones are unreachable."""
    lab.do(HostSeen(replace(lab.world.hosts[H1], tunnel_port=None)))
    assert places(lab.send(H1, "red-a", lab.ipv4("red-a", "red-b"))) == [("h1", "red-b")]
    assert lab.send(H1, "red-a", lab.ipv4("red-a", "red-c")) == []
    flood = {**lab.ipv4("red-a", "red-b"), "eth_dst": packets.BROADCAST}
    assert places(lab.send(H1, "red-a", flood)) == [("h1", "red-b")]


def test_a_host_that_changes_its_la_is_found(lab: Lab) -> None:
    """When a host's LA changes, all others send to the new one."""
    lab.do(HostSeen(replace(lab.world.hosts[H2], la=IPv4Address("10.0.77.11"))))
    assert places(lab.send(H1, "red-a", lab.ipv4("red-a", "red-c"))) == [("h2", "red-c")]


def test_renumbered_tap_is_found(lab: Lab) -> None:
    """When Open vSwitch gives a tap another number, even one that another tap had, frames follow."""
    lab.do(Plugged(H1, "red-a", lab.world.attachments[H1, "red-b"]))
    assert lab.world.status("red-b") is PortStatus.DOWN
    assert places(lab.send(H2, "red-c", lab.ipv4("red-c", "red-a"))) == [("h1", "red-a")]
