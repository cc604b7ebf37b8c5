"""What does an IGMP message say, and how is a question in IGMP asked?

All three versions of reports (RFC 1112, 2236, 9776) and version 2's leaving are understood; questions are version 3's,
which older machines understand as theirs.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Final

from controller.framework import igmp, ipv4, packet_utils
from controller.guests.listening import Query, Said, in_eight_bits, in_records
from overlay.guests.offers import SERVICE_MAC

_PROTOCOL: Final = 2
_ETHERNET: Final = 14
_ALL_HOSTS: Final = "224.0.0.1"
_HEAD: Final = bytes.fromhex("01005e000001") + SERVICE_MAC.to_bytes(6) + bytes.fromhex("0800")
_ROUTER_ALERT: Final = bytes.fromhex("94040000")
"""RFC 2113; a machine may ignore a question without it (RFC 9776 §9.1)."""
_INTERNETWORK_CONTROL: Final = 0xC0
_TENTHS: Final = 10


def said(frame: bytes) -> Said | None:
    """Read a frame; None when it is no sound report (but a question, say, of a machine that would be a router)."""
    try:
        return _said(frame[_ETHERNET:])
    except Exception:  # noqa: BLE001  (whatever a machine's bytes provoke in the library ends here)
        return None


def _said(datagram: bytes) -> Said | None:
    header, _, body = ipv4.ipv4.parser(datagram)
    if header.proto != _PROTOCOL or header.offset or packet_utils.checksum(body):
        return None
    message, _, _ = igmp.igmp.parser(body)
    match message.msgtype:
        case igmp.IGMP_TYPE_REPORT_V1 | igmp.IGMP_TYPE_REPORT_V2:
            return Said(joined=(IPv4Address(message.address),))
        case igmp.IGMP_TYPE_LEAVE:
            return Said(left=(IPv4Address(message.address),))
        case igmp.IGMP_TYPE_REPORT_V3:
            return in_records(message.records)
    return None


def question(query: Query) -> bytes:
    """Ask for all groups.

    From no address, as switches ask (RFC 4541 §2.1.1), so that no machine that is a router takes us for one.
    """
    body = igmp.igmpv3_query(
        maxresp=in_eight_bits(round(query.response * _TENTHS)),
        address="0.0.0.0",  # noqa: S104  (no group in particular)
        qrv=query.robustness,
        qqic=in_eight_bits(round(query.interval)),
    ).serialize(None, None)
    header = ipv4.ipv4(
        header_length=6,
        tos=_INTERNETWORK_CONTROL,
        ttl=1,
        proto=_PROTOCOL,
        src="0.0.0.0",  # noqa: S104  (nor by anybody)
        dst=_ALL_HOSTS,
        option=_ROUTER_ALERT,
    )
    datagram: bytes = bytes(header.serialize(body, None)) + body
    return _HEAD + datagram
