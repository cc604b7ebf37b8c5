"""What does the network answer to a question for a name?

Queries of DNS by UDP, over IPv4 and IPv6 (RFC 1035, 6891).  What the network knows it answers in the place of whatever
server was asked; all else goes on to that server as it came, also what cannot be read: it is no question for us.  The
messages are dnspython's, the frames the packet library's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from typing import Any, Final

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from controller.framework import ethernet, ipv4, ipv6, packet, udp
from controller.guests import questions
from controller.guests.questions import Asker
from overlay.guests.names import Kind, Known, resolve
from overlay.guests.offers import WITHOUT_GATEWAY
from overlay.values import Network
from overlay.world import World

PORT: Final = 53
_TTL: Final = 10
"""Seconds for which an answer may be kept; a machine may get another address or name at any time."""
_PLAIN_MOST: Final = 512
_EDNS_MOST: Final = 1232
"""What fits any path without being cut (DNS flag day 2020)."""
_HOPS: Final = 64
_KINDS: Final = {
    dns.rdatatype.A: Kind.IPV4,
    dns.rdatatype.AAAA: Kind.IPV6,
    dns.rdatatype.PTR: Kind.POINTER,
}


class Verdict(Enum):
    """What becomes of a query."""

    ANSWERED = "answered"
    ONWARD = "onward"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of a query, and the frame that goes back if it was answered."""

    verdict: Verdict
    frame: bytes = b""


MALFORMED: Final = Answer(Verdict.MALFORMED)
ONWARD: Final = Answer(Verdict.ONWARD)


def asked(asker: Asker, frame: bytes) -> questions.Answer:
    """Answer a port's machine, or let its query go on to the server that it is for."""
    found = answer(asker.world, asker.world.networks[asker.port.network_id], frame)
    if found.verdict is Verdict.ANSWERED:
        return questions.answered(found.frame)
    verdict = questions.Verdict.HEARD if found.verdict is Verdict.ONWARD else questions.Verdict.UNSOUND
    return questions.Answer(verdict, onward=(frame,))


def answer(world: World, network: Network, frame: bytes) -> Answer:
    """Answer a query that a machine of a network has sent, or say that another server has to."""
    try:
        parts = packet.Packet(frame)
        ports, lower = parts.get_protocol(udp.udp), parts.get_protocol(ipv4.ipv4) or parts.get_protocol(ipv6.ipv6)
        payload = parts.protocols[-1]
        if ports is None or lower is None or not isinstance(payload, bytes | bytearray):
            return MALFORMED
        query = dns.message.from_wire(bytes(payload))
    except Exception:  # noqa: BLE001  (whatever a machine's bytes provoke in the libraries ends here)
        return MALFORMED
    if query.flags & dns.flags.QR:
        return MALFORMED
    if query.opcode() != dns.opcode.QUERY or len(query.question) != 1:
        return ONWARD
    (question,) = query.question
    if question.rdclass != dns.rdataclass.IN:
        return ONWARD
    known = resolve(world, network, question.name.to_text(), _KINDS.get(question.rdtype, Kind.OTHER))
    if known is None:
        if not _nobody_else(world, network, lower.dst):
            return ONWARD
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.REFUSED)
    else:
        reply = _reply(query, known)
    return Answer(Verdict.ANSWERED, _framed(parts, lower, ports, _wire(query, reply)))


def _nobody_else(world: World, network: Network, server: str) -> bool:
    """Whether the server that was asked is the network itself: a gateway's address that no machine has."""
    address = ip_address(server)
    gateways = {subnet.gateway_ip for subnet in world.subnets_of(network.id)}
    return address in {*gateways, WITHOUT_GATEWAY} and world.owner_of(network.id, address) is None


def _reply(query: dns.message.Message, known: Known) -> dns.message.Message:
    reply = dns.message.make_response(query, recursion_available=True)
    reply.flags |= dns.flags.AA
    if not known.exists:
        reply.set_rcode(dns.rcode.NXDOMAIN)
    question = query.question[0]
    texts = [str(each) for each in (*known.addresses, *known.names)]
    if texts:
        reply.answer.append(dns.rrset.from_text_list(question.name, _TTL, question.rdclass, question.rdtype, texts))
    return reply


def _wire(query: dns.message.Message, reply: dns.message.Message) -> bytes:
    """The reply as bytes; one that does not fit says so, and the machine asks again by TCP."""
    most = _PLAIN_MOST if query.edns < 0 else max(_PLAIN_MOST, min(query.payload, _EDNS_MOST))
    try:
        return reply.to_wire(max_size=most)
    except dns.exception.TooBig:
        reply.answer.clear()
        reply.flags |= dns.flags.TC
        return reply.to_wire(max_size=most)


def _framed(parts: Any, lower: Any, ports: Any, payload: bytes) -> bytes:
    """The reply as a frame from the server that was asked."""
    head = parts.get_protocol(ethernet.ethernet)
    out = packet.Packet()
    out.add_protocol(ethernet.ethernet(dst=head.src, src=head.dst, ethertype=head.ethertype))
    if isinstance(lower, ipv4.ipv4):
        out.add_protocol(ipv4.ipv4(src=lower.dst, dst=lower.src, proto=17, ttl=_HOPS))
    else:
        out.add_protocol(ipv6.ipv6(src=lower.dst, dst=lower.src, nxt=17, hop_limit=_HOPS))
    out.add_protocol(udp.udp(src_port=ports.dst_port, dst_port=ports.src_port))
    out.add_protocol(payload)
    out.serialize()
    return bytes(out.data)
