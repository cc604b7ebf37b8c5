"""How does a frame look on the wire?

Ethernet, ARP, IPv4, IPv6 and neighbour discovery, packed and taken apart with nothing but struct.
"""

from __future__ import annotations

import struct

BROADCAST = 0xFFFFFFFFFFFF


def ethernet(dst: int, src: int, kind: int, body: bytes) -> bytes:
    """An Ethernet II frame."""
    return dst.to_bytes(6, "big") + src.to_bytes(6, "big") + struct.pack("!H", kind) + body


def arp(  # noqa: PLR0917
    dst: int, src: int, op: int, sha: int, spa: int, tha: int, tpa: int, kind: int = 0x0806
) -> bytes:
    """An ARP (or RARP) packet over Ethernet and IPv4."""
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, op)
    body += sha.to_bytes(6, "big") + spa.to_bytes(4, "big") + tha.to_bytes(6, "big") + tpa.to_bytes(4, "big")
    return ethernet(dst, src, kind, body)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def ipv4(dst: int, src: int, ip_src: int, ip_dst: int, payload: bytes = b"vl2") -> bytes:
    """A UDP-less IPv4 packet (protocol 253, RFC 3692)."""
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, 253, 0)
    header += ip_src.to_bytes(4, "big") + ip_dst.to_bytes(4, "big")
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return ethernet(dst, src, 0x0800, header + payload)


def pseudo(ip_src: int, ip_dst: int, length: int) -> bytes:
    """The pseudo header that ICMPv6 sums over (RFC 8200 §8.1)."""
    return ip_src.to_bytes(16, "big") + ip_dst.to_bytes(16, "big") + struct.pack("!II", length, 58)


def neighbour(  # noqa: PLR0917
    dst: int, src: int, ip_src: int, ip_dst: int, kind: int, target: int, option: tuple[int, int] | None
) -> bytes:
    """A neighbour solicitation (135) or advertisement (136) with one link-layer address option."""
    body = struct.pack("!BBHI", kind, 0, 0, 0) + target.to_bytes(16, "big")
    if option is not None:
        body += struct.pack("!BB", option[0], 1) + option[1].to_bytes(6, "big")
    total = checksum(pseudo(ip_src, ip_dst, len(body)) + body)
    body = body[:2] + struct.pack("!H", total) + body[4:]
    header = struct.pack("!IHBB", 0x6000_0000, len(body), 58, 255)
    return ethernet(dst, src, 0x86DD, header + ip_src.to_bytes(16, "big") + ip_dst.to_bytes(16, "big") + body)
