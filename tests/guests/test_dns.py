"""Questions for names are answered in real messages of DNS, and whatever a machine sends never raises."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.framework import ethernet, ipv4, ipv6, packet, udp
from controller.guests.dns import MALFORMED, ONWARD, Answer, Verdict, answer
from overlay.changes import CreateNetwork, CreatePort, CreateSubnet, FixedIpRequest
from overlay.values import Mac
from overlay.world import World

MANY = 60


def _world() -> World:
    it = World()
    it.apply(CreateNetwork("net", "p"), 0)
    it.apply(CreateSubnet("four", "p", "net", ip_network("10.0.0.0/24")), 0)
    it.apply(CreateSubnet("six", "p", "net", ip_network("2001:db8::/64")), 0)
    ips = (FixedIpRequest(ip=ip_address("10.0.0.5")), FixedIpRequest(ip=ip_address("2001:db8::5")))
    it.apply(CreatePort("web", "p", "net", mac=Mac(5), fixed_ips=ips, dns_name="web"), 0)
    for number in range(MANY):
        it.apply(CreatePort(f"m{number}", "p", "net", mac=Mac(100 + number), dns_name="many"), 0)
    return it


WORLD = _world()


def framed(payload: bytes, server: str = "10.0.0.1") -> bytes:
    """A datagram to port 53."""
    six = ":" in server
    out = packet.Packet()
    kind = 0x86DD if six else 0x0800
    out.add_protocol(ethernet.ethernet(dst="02:00:00:00:00:01", src="02:00:00:00:00:05", ethertype=kind))
    if six:
        out.add_protocol(ipv6.ipv6(src="2001:db8::5", dst=server, nxt=17))
    else:
        out.add_protocol(ipv4.ipv4(src="10.0.0.5", dst=server, proto=17))
    out.add_protocol(udp.udp(src_port=4000, dst_port=53))
    out.add_protocol(payload)
    out.serialize()
    return bytes(out.data)


def ask(query: dns.message.Message, server: str = "10.0.0.1") -> Answer:
    """What the network does with a query."""
    return answer(WORLD, WORLD.networks["net"], framed(query.to_wire(), server))


def reply_to(query: dns.message.Message, server: str = "10.0.0.1") -> dns.message.Message:
    """The answer to a query, after a look at its frame."""
    found = ask(query, server)
    assert found.verdict is Verdict.ANSWERED
    parts = packet.Packet(found.frame)
    head, ports = parts.get_protocol(ethernet.ethernet), parts.get_protocol(udp.udp)
    assert (head.dst, head.src) == ("02:00:00:00:00:05", "02:00:00:00:00:01")
    assert (ports.src_port, ports.dst_port) == (53, 4000)
    lower = parts.get_protocol(ipv4.ipv4) or parts.get_protocol(ipv6.ipv6)
    assert lower.src == server
    message = dns.message.from_wire(bytes(parts.protocols[-1]))
    assert query.is_response(message)
    return message


@pytest.mark.parametrize("server", ["10.0.0.1", "8.8.8.8", "2001:db8::1"])
def test_a_known_name_is_answered_in_the_servers_place(server: str) -> None:
    """Whichever server was asked, by whichever family, the answer comes from it, with authority."""
    for kind, text in (("A", "10.0.0.5"), ("AAAA", "2001:db8::5")):
        message = reply_to(dns.message.make_query("web.vl2.internal.", kind), server)
        assert message.rcode() == dns.rcode.NOERROR
        assert message.flags & dns.flags.AA
        assert [str(each) for rrset in message.answer for each in rrset] == [text]


def test_an_address_is_answered_with_its_name() -> None:
    """Reverse questions are answered with a pointer."""
    message = reply_to(dns.message.make_query("5.0.0.10.in-addr.arpa.", "PTR"))
    assert [str(each) for rrset in message.answer for each in rrset] == ["web.vl2.internal."]


def test_what_does_not_exist_is_said_not_to() -> None:
    """NXDOMAIN for a name that nobody has; an empty answer for a kind that a name has not."""
    assert reply_to(dns.message.make_query("nobody.vl2.internal.", "A")).rcode() == dns.rcode.NXDOMAIN
    message = reply_to(dns.message.make_query("web.vl2.internal.", "MX"))
    assert (message.rcode(), message.answer) == (dns.rcode.NOERROR, [])


def test_an_answer_that_does_not_fit_says_so() -> None:
    """Cut for a plain query, whole for one that says (EDNS) that it takes more."""
    cut = reply_to(dns.message.make_query("many.vl2.internal.", "A"))
    assert cut.flags & dns.flags.TC
    assert cut.answer == []
    whole = reply_to(dns.message.make_query("many.vl2.internal.", "A", use_edns=0, payload=4096))
    assert not whole.flags & dns.flags.TC
    assert len(whole.answer[0]) == MANY


def test_all_else_goes_on() -> None:
    """Foreign names, updates, other classes: the server that was asked may know."""
    update = dns.message.make_query("web.vl2.internal.", "A")
    update.set_opcode(dns.opcode.STATUS)
    chaos = dns.message.make_query("version.bind.", "TXT", "CH")
    for query in (dns.message.make_query("example.org.", "A"), update, chaos):
        assert ask(query, "8.8.8.8") == ONWARD


def test_where_the_network_is_the_server_it_says_that_it_knows_no_more() -> None:
    """A foreign name asked of the gateway's address, which no machine has, is refused."""
    assert reply_to(dns.message.make_query("example.org.", "A")).rcode() == dns.rcode.REFUSED


def test_answers_are_no_questions() -> None:
    """What has the flag of a response is not answered."""
    query = dns.message.make_query("web.vl2.internal.", "A")
    assert ask(dns.message.make_response(query)) == MALFORMED


@given(st.binary(max_size=200))
def test_any_datagram_is_borne(payload: bytes) -> None:
    """Whatever a datagram holds, something becomes of it and nothing raises."""
    assert answer(WORLD, WORLD.networks["net"], framed(payload)).verdict in Verdict


@given(st.binary(max_size=120), st.integers(0, 100))
def test_any_frame_is_borne(tail: bytes, length: int) -> None:
    """Whatever a frame is cut to or filled with."""
    frame = framed(dns.message.make_query("web.vl2.internal.", "A").to_wire())[:length] + tail
    assert answer(WORLD, WORLD.networks["net"], frame).verdict in Verdict
