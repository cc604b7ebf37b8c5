"""How does a match field look on the wire, and which field is it when it comes back?

OXM TLVs (OpenFlow 1.5, ofp_match): class, field number, has-mask bit, length, then value and mask.  Registers and
tunnel endpoints are in Nicira's class 0x0001; two fields of neighbour discovery are in class 0x1000 (ovs-fields(7)).
Registers come back in pairs: a packet register of OpenFlow 1.5 (class 0x8001) is two of 32 bits.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from struct import Struct
from typing import Final

from overlay.flow import FIELDS, Condition, Match

_OPENFLOW: Final = 0x8000
_PACKET_REGISTERS: Final = 0x8001
_NICIRA0: Final = 0x0000
_NICIRA1: Final = 0x0001
_ND_EXTENSION: Final = 0x1000
_HAS_MASK: Final = 0x100
_HEADER: Final = Struct("!I")
_PAIR: Final = Struct("!III")
_HALVES: Final = Struct("!II")
_WHOLE: Final = 0xFFFFFFFF
_MATCH: Final = Struct("!HH")
_OXM_MATCH: Final = 1
_PADDING: Final = tuple(bytes(-n % 8) for n in range(8))


class Undecodable(ValueError):  # noqa: N818  (says what the bytes are)
    """Bytes that are legal OpenFlow, or not, but nothing that our values can say."""


_NUMBERS: Final = {
    **{
        name: (_OPENFLOW, number)
        for name, number in (
            ("in_port", 0),
            ("metadata", 2),
            ("eth_dst", 3),
            ("eth_src", 4),
            ("eth_type", 5),
            ("vlan_vid", 6),
            ("ip_dscp", 8),
            ("ip_proto", 10),
            ("ipv4_src", 11),
            ("ipv4_dst", 12),
            ("tcp_src", 13),
            ("tcp_dst", 14),
            ("udp_src", 15),
            ("udp_dst", 16),
            ("sctp_src", 17),
            ("sctp_dst", 18),
            ("icmpv4_type", 19),
            ("icmpv4_code", 20),
            ("arp_op", 21),
            ("arp_spa", 22),
            ("arp_tpa", 23),
            ("arp_sha", 24),
            ("arp_tha", 25),
            ("ipv6_src", 26),
            ("ipv6_dst", 27),
            ("icmpv6_type", 29),
            ("icmpv6_code", 30),
            ("ipv6_nd_target", 31),
            ("ipv6_nd_sll", 32),
            ("ipv6_nd_tll", 33),
            ("tunnel_id", 38),
            ("tcp_flags", 42),
        )
    },
    "ip_frag": (_NICIRA1, 26),
    "tun_ipv4_src": (_NICIRA1, 31),
    "tun_ipv4_dst": (_NICIRA1, 32),
    "conj_id": (_NICIRA1, 37),
    "ct_state": (_NICIRA1, 105),
    "ct_mark": (_NICIRA1, 107),
    **{f"reg{n}": (_NICIRA1, n) for n in range(16)},
    "nd_reserved": (_ND_EXTENSION, 1),
    "nd_options_type": (_ND_EXTENSION, 2),
}

_ALIASES: Final = {
    (_NICIRA0, 1): "eth_dst",
    (_NICIRA0, 2): "eth_src",
    (_NICIRA0, 3): "eth_type",
    (_NICIRA0, 6): "ip_proto",
    (_NICIRA0, 7): "ipv4_src",
    (_NICIRA0, 8): "ipv4_dst",
    (_NICIRA0, 9): "tcp_src",
    (_NICIRA0, 10): "tcp_dst",
    (_NICIRA0, 11): "udp_src",
    (_NICIRA0, 12): "udp_dst",
    (_NICIRA0, 13): "icmpv4_type",
    (_NICIRA0, 14): "icmpv4_code",
    (_NICIRA0, 15): "arp_op",
    (_NICIRA0, 16): "arp_spa",
    (_NICIRA0, 17): "arp_tpa",
    (_NICIRA1, 16): "tunnel_id",
    (_NICIRA1, 17): "arp_sha",
    (_NICIRA1, 18): "arp_tha",
    (_NICIRA1, 19): "ipv6_src",
    (_NICIRA1, 20): "ipv6_dst",
    (_NICIRA1, 21): "icmpv6_type",
    (_NICIRA1, 22): "icmpv6_code",
    (_NICIRA1, 23): "ipv6_nd_target",
    (_NICIRA1, 24): "ipv6_nd_sll",
    (_NICIRA1, 25): "ipv6_nd_tll",
}
"""Older headers of the same fields, in which a switch may answer."""

_SHORT_IN_PORT: Final = _NICIRA0 << 16 | 2
"""NXM_OF_IN_PORT, of 16 bits: the only header of it that Open vSwitch lets be written (nicira-ext.h)."""
_SHORT: Final = Struct("!IH")

_SIZES: Final = {name: -(-field.bits // 8) for name, field in FIELDS.items()}
_TYPES: Final = {name: class_ << 16 | number << 9 for name, (class_, number) in _NUMBERS.items()}
_RANKS: Final = {
    # A prerequisite must stand before what needs it; header order sees to that, but for the extensions'.
    name: type_ + (1 << 32) * (_NUMBERS[name][0] == _ND_EXTENSION or name == "ip_frag")
    for name, type_ in _TYPES.items()
}
_NAMES: Final = {type_: name for name, type_ in _TYPES.items()} | {
    class_ << 16 | number << 9: name for (class_, number), name in _ALIASES.items()
}


def header(name: str) -> int:
    """Give the header of a whole field, as Move names its ends."""
    return _TYPES[name] | _SIZES[name]


def name_of(oxm_header: int) -> str:
    """Tell which field a header means.

    :raises Undecodable: for a field that our pipelines do not use.
    """
    name = _NAMES.get(oxm_header & ~0x1FF)
    if name is None:
        raise Undecodable(f"field with OXM header {oxm_header:#010x}")
    return name


@lru_cache(maxsize=1 << 16)
def _ranked(condition: Condition) -> tuple[int, bytes]:
    name, value, mask = condition
    size = _SIZES[name]
    if mask is None:
        return _RANKS[name], _HEADER.pack(_TYPES[name] | size) + value.to_bytes(size)
    head = _HEADER.pack(_TYPES[name] | _HAS_MASK | 2 * size)
    return _RANKS[name], head + value.to_bytes(size) + mask.to_bytes(size)


def encode_field(name: str, value: int) -> bytes:
    """Encode an exact value, as Set carries it."""
    if name == "in_port":
        return _SHORT.pack(_SHORT_IN_PORT, value)
    return _ranked(Condition(name, value))[1]


def encode_match(match: Match) -> bytes:
    """Encode a match with its own header, padded to 8 bytes, each prerequisite before what needs it."""
    if len(match) > 1:
        oxms = b"".join([oxm for _, oxm in sorted(map(_ranked, match))])
    else:
        oxms = _ranked(match[0])[1] if match else b""
    length = 4 + len(oxms)
    return _MATCH.pack(_OXM_MATCH, length) + oxms + _PADDING[length & 7]


@lru_cache(maxsize=1 << 16)
def decode_field(oxm: bytes) -> tuple[Condition, ...]:
    """Decode one TLV: a condition, two for a pair of registers, none where its mask leaves nothing to compare.

    :raises Undecodable: for a field that our pipelines do not use, or of another length than its own.
    """
    oxm_header: int = _HEADER.unpack_from(oxm)[0]
    if oxm_header >> 16 == _PACKET_REGISTERS:
        return _decode_register_pair(oxm, oxm_header)
    if oxm_header == _SHORT_IN_PORT and len(oxm) == _HEADER.size + 2:
        return (Condition("in_port", int.from_bytes(oxm[4:])),)
    name = name_of(oxm_header)
    size = _SIZES[name]
    value = int.from_bytes(oxm[4 : 4 + size])
    if not oxm_header & _HAS_MASK:
        if len(oxm) != 4 + size:
            raise Undecodable(f"field {name} of {len(oxm) - 4} bytes")
        return (Condition(name, value),)
    if len(oxm) != 4 + 2 * size:
        raise Undecodable(f"masked field {name} of {len(oxm) - 4} bytes")
    mask = int.from_bytes(oxm[4 + size :])
    return _condition(name, value, mask)


def _condition(name: str, value: int, mask: int) -> tuple[Condition, ...]:
    if mask == 0:
        return ()
    if mask == (1 << FIELDS[name].bits) - 1:
        return (Condition(name, value),)
    return (Condition(name, value & mask, mask),)


def _decode_register_pair(oxm: bytes, oxm_header: int) -> tuple[Condition, ...]:
    """Split a packet register, whose upper half is the first register of the pair (ovs-fields(7), xreg0)."""
    masked = bool(oxm_header & _HAS_MASK)
    number = 2 * (oxm_header >> 9 & 0x7F)
    if len(oxm) != _PAIR.size + masked * 8 or f"reg{number}" not in FIELDS:
        raise Undecodable(f"packet register {number // 2} of {len(oxm) - 4} bytes")
    _, *values = _PAIR.unpack_from(oxm)
    masks = _HALVES.unpack_from(oxm, _PAIR.size) if masked else (_WHOLE, _WHOLE)
    first, second = (_condition(f"reg{number + n}", values[n], masks[n]) for n in range(2))
    return first + second


def decode_match(buf: bytes, offset: int) -> tuple[Match, int]:
    """Decode a match into its canonical form, and tell where what follows it starts.

    :raises Undecodable: for fields that we do not use, and for TLVs that overrun.
    """
    kind, length = _MATCH.unpack_from(buf, offset)
    if kind != _OXM_MATCH or offset + length > len(buf):
        raise Undecodable(f"match of type {kind} with {length} bytes")
    end = offset + length
    at = offset + 4
    found: list[Condition] = []
    while at < end:
        after = at + 4 + buf[at + 3]
        if after > end:
            raise Undecodable("a match field overruns its match")
        found += decode_field(buf[at:after])
        at = after
    found.sort()
    if any(a.field == b.field for a, b in pairwise(found)):
        raise Undecodable("a match names one field twice")
    return tuple(found), end + (-length & 7)


def register(buf: bytes, offset: int, name: str) -> int:
    """Read a register out of the match that comes with a packet, whatever else is in it; what is not said is 0."""
    _, length = _MATCH.unpack_from(buf, offset)
    at, end = offset + 4, offset + length
    while at < end:
        after = at + 4 + buf[at + 3]
        if _HEADER.unpack_from(buf, at)[0] >> 16 == _PACKET_REGISTERS:
            for condition in decode_field(buf[at:after]):
                if condition.field == name:
                    return condition.value
        at = after
    return 0
