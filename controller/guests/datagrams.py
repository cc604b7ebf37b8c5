"""What is in a machine's datagram, and how does one look that is sent to it?

UDP over IPv4 and IPv6 in an Ethernet frame.  Our own few lines, since the framework's classes do not check what they
read: a length that is a lie, or a fragment.  What is not sound is None, whatever the bytes are.  The checksum is not
looked at: a paravirtual card leaves it to be filled in by a real one, which the frame has not met.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from controller.framework import packet_utils
from overlay.values import IpAddress

_ETHERNET: Final = struct.Struct("!6s6sH")
_IPV4: Final = struct.Struct("!BBHHHBBH4s4s")
_IPV6: Final = struct.Struct("!IHBB16s16s")
_UDP: Final = struct.Struct("!HHHH")
_ETH_IPV4, _ETH_IPV6 = 0x0800, 0x86DD
_UDP_PROTOCOL: Final = 17
_FRAGMENT: Final = 0x3FFF
"""More fragments, or an offset."""
_HOPS: Final = 64


class Datagram(NamedTuple):
    """A UDP datagram and its addresses."""

    source_mac: int
    target_mac: int
    source: IpAddress
    target: IpAddress
    source_port: int
    target_port: int
    payload: bytes

    def frame(self) -> bytes:
        """As it goes on the wire."""
        length = _UDP.size + len(self.payload)
        udp = _UDP.pack(self.source_port, self.target_port, length, 0) + self.payload
        source, target = self.source.packed, self.target.packed
        total = _sum(source, target, udp) or 0xFFFF
        udp = udp[:6] + total.to_bytes(2) + udp[8:]
        if isinstance(self.source, IPv4Address):
            head = _IPV4.pack(0x45, 0, _IPV4.size + length, 0, 0, _HOPS, _UDP_PROTOCOL, 0, source, target)
            head = head[:10] + packet_utils.checksum(head).to_bytes(2) + head[12:]
            kind = _ETH_IPV4
        else:
            head = _IPV6.pack(0x6000_0000, length, _UDP_PROTOCOL, _HOPS, source, target)
            kind = _ETH_IPV6
        return _ETHERNET.pack(self.target_mac.to_bytes(6), self.source_mac.to_bytes(6), kind) + head + udp


def read(frame: bytes) -> Datagram | None:
    """Read a frame; None where there is no sound datagram in it."""
    try:
        return _read(frame)
    except struct.error:
        return None


def _read(frame: bytes) -> Datagram | None:
    target_mac, source_mac, kind = _ETHERNET.unpack_from(frame)
    rest = frame[_ETHERNET.size :]
    if kind == _ETH_IPV4:
        first, _, total, _, fragment, _, protocol, _, source, target = _IPV4.unpack_from(rest)
        size = (first & 0xF) * 4
        if first >> 4 != 4 or size < _IPV4.size or not size <= total <= len(rest) or fragment & _FRAGMENT:  # noqa: PLR2004
            return None
        udp = rest[size:total]
        addresses: tuple[IpAddress, IpAddress] = (IPv4Address(source), IPv4Address(target))
    elif kind == _ETH_IPV6:
        first, size, protocol, _, source, target = _IPV6.unpack_from(rest)
        if first >> 28 != 6 or size > len(rest) - _IPV6.size:  # noqa: PLR2004
            return None
        udp = rest[_IPV6.size : _IPV6.size + size]
        addresses = (IPv6Address(source), IPv6Address(target))
    else:
        return None
    if protocol != _UDP_PROTOCOL:
        return None
    source_port, target_port, length, _ = _UDP.unpack_from(udp)
    if not _UDP.size <= length <= len(udp):
        return None
    payload = udp[_UDP.size : length]
    return Datagram(
        int.from_bytes(source_mac), int.from_bytes(target_mac), *addresses, source_port, target_port, payload
    )


def _sum(source: bytes, target: bytes, udp: bytes) -> int:
    """The checksum over the pseudo header and a datagram (RFC 768, RFC 8200 §8.1)."""
    found: int = packet_utils.checksum(source + target + struct.pack("!II", len(udp), _UDP_PROTOCOL) + udp)
    return found
