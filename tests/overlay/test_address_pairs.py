"""What a port may send besides as itself: by its address pairs, or anything at all without port security."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest

from overlay.addressing import link_local
from overlay.changes import UpdatePort
from overlay.policy.changes import PairRequest
from overlay.tables.names import CookieKind
from overlay.values import HostName, Mac
from tests.model import packets
from tests.model.lab import Lab, places

H1, H2 = HostName("h1"), HostName("h2")
EVERYBODY = [("h1", "red-b"), ("h2", "red-c"), ("h3", "red-d")]
ALONE, INSIDE, ALIEN = IPv4Address("10.0.0.99"), IPv4Address("10.1.0.7"), IPv4Address("10.0.0.98")
ALONE6, INSIDE6, ALIEN6 = (IPv6Address(text) for text in ("2001:db8::99", "2001:db8:1::7", "2001:db8::98"))
VIRTUAL = Mac(0x00_00_5E_00_01_05)


@pytest.fixture
def paired(lab: Lab) -> Lab:
    """Port a of red may be 10.0.0.99 and 2001:db8::99 as well, and anybody in two prefixes with a virtual MAC."""
    lab.do(
        UpdatePort(
            "red-a",
            allowed_pairs=(
                PairRequest(ip_network("10.0.0.99")),
                PairRequest(ip_network("2001:db8::99")),
                PairRequest(ip_network("10.1.0.0/16"), VIRTUAL),
                PairRequest(ip_network("2001:db8:1::/64"), VIRTUAL),
                PairRequest(ip_network(str(lab.ip4("red-a")))),
            ),
        )
    )
    return lab


def passes(lab: Lab, mac: int, ip: IPv4Address | IPv6Address) -> bool:
    """Whether port a may send by IP with these; what it may not is counted as a spoof."""
    make = packets.ip if isinstance(ip, IPv4Address) else packets.ip6
    there = lab.ip4("red-c") if isinstance(ip, IPv4Address) else lab.ip6("red-c")
    frame = make(mac, lab.mac("red-c"), ip, there)  # type: ignore[operator]
    arrived = places(lab.send(H1, "red-a", frame))
    assert arrived in ([], [("h2", "red-c")])
    assert bool(arrived) is (lab.last_met(H1, "red-a", frame) is not CookieKind.SPOOFED)
    return bool(arrived)


def test_a_pair_is_a_mac_with_its_addresses(paired: Lab) -> None:
    """A port may send with the MAC and address of a pair, with no mixture of two pairs, and still as itself."""
    own = paired.mac("red-a")
    for ip in (paired.ip4("red-a"), ALONE, paired.ip6("red-a"), ALONE6, IPv6Address(link_local(own))):
        assert passes(paired, own, ip)
    for ip in (INSIDE, INSIDE6, IPv6Address(link_local(VIRTUAL))):
        assert passes(paired, VIRTUAL, ip)
    for mac, ip in ((own, INSIDE), (own, INSIDE6), (VIRTUAL, ALONE), (VIRTUAL, ALONE6), (own, ALIEN), (own, ALIEN6)):
        assert not passes(paired, mac, ip)


def test_what_is_no_pair_any_more_is_refused(paired: Lab) -> None:
    """A pair that is taken away is a spoof again; so it was before it was given."""
    own = paired.mac("red-a")
    paired.do(UpdatePort("red-a", allowed_pairs=()))
    assert not passes(paired, own, ALONE)
    assert not passes(paired, VIRTUAL, INSIDE)
    assert passes(paired, own, paired.ip4("red-a"))


def test_arp_of_a_pair(paired: Lab) -> None:
    """A port may announce, probe for and ask as an address of its pairs, with the MAC of that pair alone."""
    own = paired.mac("red-a")
    for mac, ip in ((own, ALONE), (VIRTUAL, INSIDE)):
        assert places(paired.send(H1, "red-a", packets.arp(mac, ip, ip))) == EVERYBODY
        assert places(paired.send(H1, "red-a", packets.arp(mac, IPv4Address(0), ip))) == EVERYBODY
        (answer,) = paired.send(H1, "red-a", packets.arp(mac, ip, paired.ip4("red-c")))
        assert (answer.port_id, answer.packet["arp_sha"]) == ("red-a", paired.mac("red-c"))
        (told,) = paired.send(H1, "red-a", {**packets.arp(mac, ip, ip, op=2), "eth_dst": paired.mac("red-c")})
        assert told.port_id == "red-c"
    for mac, sha, ip in ((own, own, INSIDE), (own, VIRTUAL, INSIDE), (VIRTUAL, VIRTUAL, ALONE), (own, own, ALIEN)):
        assert paired.send(H1, "red-a", packets.arp(mac, ip, ip, sha=sha)) == []


def test_an_address_that_is_anothers_as_well_is_announced(paired: Lab) -> None:
    """A takeover of an address that the directory knows as another port's is heard by all, not answered."""
    taken = paired.ip4("red-b")
    paired.do(UpdatePort("red-a", allowed_pairs=(PairRequest(ip_network(str(taken))),)))
    assert places(paired.send(H1, "red-a", packets.arp(paired.mac("red-a"), taken, taken))) == EVERYBODY


def test_neighbours_of_a_pair(paired: Lab) -> None:
    """A port may advertise an address of its pairs, and look for duplicates of it, with the MAC of that pair alone."""
    own = paired.mac("red-a")
    for mac, ip in ((own, ALONE6), (VIRTUAL, INSIDE6)):
        for source in (ip, IPv6Address(link_local(mac))):
            assert places(paired.send(H1, "red-a", packets.advertisement(mac, source, ip))) == EVERYBODY
        assert places(paired.send(H1, "red-a", packets.solicitation(mac, IPv6Address(0), ip))) == EVERYBODY
        (answer,) = paired.send(H1, "red-a", packets.solicitation(mac, ip, paired.ip6("red-c")))
        assert (answer.port_id, answer.packet["ipv6_nd_tll"]) == ("red-a", paired.mac("red-c"))
    for mac, tll, ip in ((own, own, INSIDE6), (own, VIRTUAL, ALONE6), (VIRTUAL, VIRTUAL, ALONE6), (own, own, ALIEN6)):
        assert paired.send(H1, "red-a", packets.advertisement(mac, ip, ip, tll)) == []


def test_an_address_of_everybody(paired: Lab) -> None:
    """A pair with the prefix of all addresses lets a port send from any of them, and questions are still answered."""
    paired.do(
        UpdatePort("red-a", allowed_pairs=(PairRequest(ip_network("0.0.0.0/0")), PairRequest(ip_network("::/0"))))
    )
    own = paired.mac("red-a")
    assert passes(paired, own, ALIEN)
    assert passes(paired, own, ALIEN6)
    assert not passes(paired, VIRTUAL, ALIEN)
    (answer,) = paired.send(H1, "red-a", packets.arp(own, ALIEN, paired.ip4("red-c")))
    assert answer.port_id == "red-a"


def test_nobody_checks_a_port_without_port_security(lab: Lab) -> None:
    """Without port security a port sends with any MAC and address, as router too, and frames of any type; once only."""
    lab.do(UpdatePort("red-a", port_security=False))
    for ip in (ALIEN, ALIEN6, lab.ip4("red-b")):
        assert passes(lab, VIRTUAL, ip)
    to_c = [("h2", "red-c")]
    alien = {"eth_type": 0x88B5, "eth_src": VIRTUAL, "eth_dst": lab.mac("red-c")}
    assert places(lab.send(H1, "red-a", alien)) == to_c
    assert places(lab.send(H1, "red-a", packets.arp(VIRTUAL, ALIEN, ALIEN))) == EVERYBODY
    assert places(lab.send(H1, "red-a", packets.advertisement(VIRTUAL, ALIEN6, ALIEN6))) == EVERYBODY
    assert places(lab.send(H1, "red-a", packets.icmp6(VIRTUAL, 0x333300000001, ALIEN6, 134))) == EVERYBODY
    (answer,) = lab.send(H1, "red-a", packets.arp(VIRTUAL, ALIEN, lab.ip4("red-c")))
    assert (answer.port_id, answer.packet["arp_sha"]) == ("red-a", lab.mac("red-c"))
    lab.do(UpdatePort("red-a", port_security=True))
    assert not passes(lab, VIRTUAL, ALIEN)
    assert lab.send(H1, "red-a", alien) == []
