"""What does an MLD message say, and how is a question in MLD asked?

Reports of both versions (RFC 2710, 9777) and version 1's leaving are understood; questions are version 2's, which older
machines understand as theirs.
"""

from __future__ import annotations

import struct
from ipaddress import IPv6Address
from typing import Final

from controller.framework import icmpv6, ipv6, packet_utils
from controller.guests.listening import Query, Said, in_eight_bits, in_records
from overlay.addressing import link_local
from overlay.guests.offers import SERVICE_MAC

_ICMPV6: Final = 58
_ETHERNET: Final = 14
_FIXED: Final = 40
_ALL_NODES: Final = IPv6Address("ff02::1")
_HEAD: Final = bytes.fromhex("333300000001") + SERVICE_MAC.to_bytes(6) + bytes.fromhex("86dd")
_ROUTER_ALERT: Final = ipv6.option(5, 2, bytes(2))
_PADDING: Final = ipv6.option(1, 0, None)
_MILLISECONDS: Final = 1000


def said(frame: bytes) -> Said | None:
    """Read a frame; None when it is no sound report (but a question, say, of a machine that would be a router)."""
    try:
        return _said(frame[_ETHERNET:])
    except Exception:  # noqa: BLE001  (whatever a machine's bytes provoke in the library ends here)
        return None


def _said(datagram: bytes) -> Said | None:
    header, _, _ = ipv6.ipv6.parser(datagram)
    # The library's own payload is as much too long as there are extension headers.
    body = datagram[_FIXED + sum(map(len, header.ext_hdrs)) : _FIXED + header.payload_length]
    last = header.ext_hdrs[-1].nxt if header.ext_hdrs else header.nxt
    if last != _ICMPV6 or header.hop_limit != 1 or _checksum(IPv6Address(header.src), IPv6Address(header.dst), body):
        return None
    message, _, _ = icmpv6.icmpv6.parser(body)
    match message.type_:
        case icmpv6.ICMPV6_MEMBERSHIP_REPORT:
            return Said(joined=(IPv6Address(message.data.address),))
        case icmpv6.ICMPV6_MEMBERSHIP_REDUCTION:
            return Said(left=(IPv6Address(message.data.address),))
        case icmpv6.MLDV2_LISTENER_REPORT:
            return in_records(message.data.records)
    return None


def question(query: Query) -> bytes:
    """Ask for all groups; from a link-local address, without which nobody would answer (RFC 9777 §5.1.14)."""
    source = IPv6Address(link_local(SERVICE_MAC))
    asked = icmpv6.mldv2_query(
        maxresp=round(query.response * _MILLISECONDS),
        address="::",
        qrv=query.robustness,
        qqic=in_eight_bits(round(query.interval)),
    ).serialize()
    body = struct.pack("!BBH", icmpv6.ICMPV6_MEMBERSHIP_QUERY, 0, 0) + asked
    # The library would sum up with the number of the extension header instead of ICMPv6's.
    body = body[:2] + _checksum(source, _ALL_NODES, body).to_bytes(2) + body[4:]
    header = ipv6.ipv6(
        nxt=0,
        hop_limit=1,
        src=str(source),
        dst=str(_ALL_NODES),
        ext_hdrs=[ipv6.hop_opts(_ICMPV6, 0, [_ROUTER_ALERT, _PADDING])],
    )
    datagram: bytes = bytes(header.serialize(body, None)) + body
    return _HEAD + datagram


def _checksum(source: IPv6Address, target: IPv6Address, body: bytes) -> int:
    """The checksum of an ICMPv6 message; that of one which has it is 0 (RFC 8200 §8.1)."""
    sum_: int = packet_utils.checksum(source.packed + target.packed + struct.pack("!II", len(body), _ICMPV6) + body)
    return sum_
