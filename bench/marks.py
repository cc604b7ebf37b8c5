"""Whose is a frame, and may it be where it was heard?

Every frame that a machine of the tenants' run sends carries a mark: its tenant, network and sender, and what kind of
frame it is.  No socket and no clock in here, so that the judgement can be tried without a lab.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

MAGIC: Final = b"VL2~"
_MARK: Final = struct.Struct("!4sBBBBIxx")
_BROADCAST: Final = 0xFFFFFFFFFFFF
_ARP, _IPV4, _IPV6, _RARP, _VLAN, _NOBODYS = 0x0806, 0x0800, 0x86DD, 0x8035, 0x8100, 0x88B5
_UDP, _ICMPV6, _EXPERIMENT, _HOP_BY_HOP, _IGMP = 17, 58, 253, 0, 2
_VXLAN: Final = 4789
_NOBODY: Final = 0x02_00_00_00_00_99
_ALL_4, _ALL_6 = 0xEF010101, 0xFF05 << 112 | 0x10003
_NEIGHBOURS: Final = range(133, 137)
"""Router and neighbour solicitations and advertisements (RFC 4861)."""
_LISTENERS: Final = frozenset({130, 131, 132, 143})
_NONCE: Final = b"\x0e\x02"
"""The nonce option (RFC 3971 §5.3.2) of two units: the one place where a neighbour solicitation may say anything."""


class Kind(IntEnum):
    """What kind of frame a marked one is; from :attr:`UNKNOWN` on an honest machine would not send it."""

    UNICAST = 1
    UNICAST6 = 2
    BROADCAST = 3
    MULTICAST = 4
    MULTICAST6 = 5
    ARP = 6
    NEIGHBOUR = 7
    UNKNOWN = 16
    """To a MAC that nobody has."""
    FOREIGN = 17
    """To a MAC that only the other tenant has."""
    STOLEN_MAC = 18
    """From that MAC."""
    STOLEN_IP = 19
    """From an IP address that only the other tenant has."""
    ASKED = 20
    """An ARP question for that address: an answer would betray the other's MAC."""
    CLAIMED = 21
    """An ARP answer that claims that address for the sender."""
    TAGGED = 22
    """With an IEEE 802.1Q tag."""
    TUNNELLED = 23
    """A VXLAN packet to a hypervisor with the other tenant's VNI, and a broadcast frame within."""
    STRANGE = 24
    """Of an EtherType that nobody has registered."""

    @property
    def honest(self) -> bool:
        """Whether the sender may send it."""
        return self < Kind.UNKNOWN


@dataclass(frozen=True, slots=True)
class Mark:
    """What a frame says of itself."""

    tenant: int
    network: int
    sender: int
    kind: Kind
    number: int = 0

    def packed(self) -> bytes:
        """As it stands in a frame."""
        return _MARK.pack(MAGIC, self.tenant, self.network, self.sender, self.kind, self.number & 0xFFFFFFFF)

    @classmethod
    def read(cls, frame: bytes) -> Self | None:
        """The first mark in a frame; ``None`` if it has none."""
        at = frame.find(MAGIC)
        if at < 0 or len(frame) < at + _MARK.size:
            return None
        _magic, tenant, network, sender, kind, number = _MARK.unpack_from(frame, at)
        return cls(tenant, network, sender, Kind(kind), number)


@dataclass(frozen=True, slots=True)
class Identity:
    """The addresses of a machine."""

    mac: int
    ip: int
    ip6: int

    def betrayed_by(self, frame: bytes) -> bool:
        """Whether a frame names any of them."""
        words = (self.mac.to_bytes(6), self.ip.to_bytes(4), self.ip6.to_bytes(16))
        return any(word in frame for word in words)


@dataclass(frozen=True, slots=True)
class Other:
    """What a hostile machine knows of the other tenant: a machine that has no twin, VNIs, and a hypervisor's LA."""

    lonely: Identity
    vnis: tuple[int, ...]
    la: int


# ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def honest(own: Identity, peers: Collection[Identity], mark: Mark) -> Iterator[tuple[Kind, bytes]]:
    """What a machine sends to its peers and to all."""
    for peer in peers:
        yield Kind.UNICAST, _ipv4(peer.mac, own.mac, own.ip, peer.ip, _as(mark, Kind.UNICAST))
        yield Kind.UNICAST6, _ipv6(peer.mac, own, peer.ip6, _EXPERIMENT, _as(mark, Kind.UNICAST6))
        yield Kind.ARP, _arp(own, 1, own.ip, peer.ip, _as(mark, Kind.ARP))
        yield Kind.NEIGHBOUR, _solicitation(own, peer.ip6, _as(mark, Kind.NEIGHBOUR))
    yield Kind.BROADCAST, _ipv4(_BROADCAST, own.mac, own.ip, 0xFFFFFFFF, _as(mark, Kind.BROADCAST))
    yield Kind.MULTICAST, _ipv4(0x01005E010101, own.mac, own.ip, _ALL_4, _as(mark, Kind.MULTICAST))
    yield Kind.MULTICAST6, _ipv6(0x333300010003, own, _ALL_6, _EXPERIMENT, _as(mark, Kind.MULTICAST6))


def hostile(own: Identity, other: Other, mark: Mark) -> Iterator[tuple[Kind, bytes]]:
    """What it sends to reach the other tenant, or to pass for it."""
    lonely, at_all = other.lonely, 0xFFFFFFFF
    yield Kind.UNKNOWN, _ipv4(_NOBODY, own.mac, own.ip, lonely.ip, _as(mark, Kind.UNKNOWN))
    yield Kind.FOREIGN, _ipv4(lonely.mac, own.mac, own.ip, lonely.ip, _as(mark, Kind.FOREIGN))
    yield Kind.STOLEN_MAC, _ipv4(_BROADCAST, lonely.mac, own.ip, at_all, _as(mark, Kind.STOLEN_MAC))
    yield Kind.STOLEN_IP, _ipv4(_BROADCAST, own.mac, lonely.ip, at_all, _as(mark, Kind.STOLEN_IP))
    yield Kind.ASKED, _arp(own, 1, own.ip, lonely.ip, _as(mark, Kind.ASKED))
    yield Kind.CLAIMED, _arp(own, 2, lonely.ip, lonely.ip, _as(mark, Kind.CLAIMED))
    for vni in other.vnis:
        plain = _ipv4(_BROADCAST, own.mac, own.ip, at_all, _as(mark, Kind.TAGGED))
        yield Kind.TAGGED, plain[:12] + struct.pack("!HH", _VLAN, vni & 0xFFF) + plain[12:]
        within = _ipv4(_BROADCAST, own.mac, own.ip, at_all, _as(mark, Kind.TUNNELLED))
        vxlan = struct.pack("!II", 0x08000000, vni << 8) + within
        udp = struct.pack("!HHHH", 49152, _VXLAN, 8 + len(vxlan), 0) + vxlan
        yield Kind.TUNNELLED, _ipv4(_BROADCAST, own.mac, own.ip, other.la, udp, _UDP)
    yield Kind.STRANGE, _ethernet(_BROADCAST, own.mac, _NOBODYS, _as(mark, Kind.STRANGE).ljust(46, b"\0"))


def alien(own: Identity) -> bytes:
    """A broadcast of one's own without any mark, which nothing explains."""
    return _ipv4(_BROADCAST, own.mac, own.ip, 0xFFFFFFFF, b"nobody knows me")


def _as(mark: Mark, kind: Kind) -> bytes:
    return Mark(mark.tenant, mark.network, mark.sender, kind, mark.number).packed()


def _ethernet(dst: int, src: int, kind: int, body: bytes) -> bytes:
    return (dst.to_bytes(6) + src.to_bytes(6) + struct.pack("!H", kind) + body).ljust(60, b"\0")


def _ipv4(dst: int, src: int, ip_src: int, ip_dst: int, body: bytes, protocol: int = _EXPERIMENT) -> bytes:  # noqa: PLR0917
    head = struct.pack("!BBHHHBBHII", 0x45, 0, 20 + len(body), 0, 0, 64, protocol, 0, ip_src, ip_dst)
    head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
    return _ethernet(dst, src, _IPV4, head + body)


def _ipv6(dst: int, own: Identity, ip_dst: int, protocol: int, body: bytes, hops: int = 64) -> bytes:  # noqa: PLR0917
    head = struct.pack("!IHBB", 0x60000000, len(body), protocol, hops) + own.ip6.to_bytes(16) + ip_dst.to_bytes(16)
    return _ethernet(dst, own.mac, _IPV6, head + body)


def _arp(own: Identity, op: int, spa: int, tpa: int, trailer: bytes) -> bytes:
    body = struct.pack("!HHBBH", 1, _IPV4, 6, 4, op) + own.mac.to_bytes(6) + struct.pack("!I6xI", spa, tpa)
    return _ethernet(_BROADCAST, own.mac, _ARP, body + trailer)


def _solicitation(own: Identity, target: int, mark: bytes) -> bytes:
    low = target & 0xFFFFFF
    group = 0xFF02 << 112 | 0x1_FF00_0000 | low
    body = struct.pack("!BBHI", 135, 0, 0, 0) + target.to_bytes(16) + b"\x01\x01" + own.mac.to_bytes(6) + _NONCE + mark
    pseudo = own.ip6.to_bytes(16) + group.to_bytes(16) + struct.pack("!II", len(body), _ICMPV6)
    body = body[:2] + struct.pack("!H", _checksum(pseudo + body)) + body[4:]
    return _ipv6(0x3333FF000000 | low, own, group, _ICMPV6, body, hops=255)


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


# ── judging ──────────────────────────────────────────────────────────────────────────────────────────────────────────


THE_NETWORKS: Final = 0x02_56_4C_00_00_01
"""The MAC of what a network itself says to its machines: who listens to a group, say."""


class Verdict(IntEnum):
    """What a frame is at the machine where it was heard."""

    OWN = 0
    """Marked, of this very network, by one who has a port in it."""
    HOUSEKEEPING = 1
    """Without a mark: an address resolution, a kernel's or card's own word when a machine starts or has moved, or what
    the network itself asks."""
    CROSSING = 2
    """Of another network or another tenant, or with an address that only the other tenant has."""
    UNEXPLAINED = 3
    """Without a mark, and nothing tells whose it is; counted as a crossing."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What may be heard in a network."""

    network: int
    tenants: frozenset[int]
    """Who may have ports in it."""
    macs: frozenset[int]
    lonely: Identity
    """Of the other tenant."""

    def judge(self, frame: bytes) -> tuple[Verdict, Mark | None]:
        """Say what a frame is that was heard here."""
        mark = Mark.read(frame)
        if mark is not None:
            own = mark.network == self.network and mark.tenant in self.tenants
            return (Verdict.OWN if own else Verdict.CROSSING), mark
        if self.lonely.betrayed_by(frame):
            return Verdict.CROSSING, None
        known = int.from_bytes(frame[6:12]) in {*self.macs, THE_NETWORKS}
        return (Verdict.HOUSEKEEPING if known and _resolves(frame) else Verdict.UNEXPLAINED), None


def _resolves(frame: bytes) -> bool:
    match int.from_bytes(frame[12:14]):
        case 0x0806 | 0x8035:
            return True
        case 0x0800:
            return frame[23] == _IGMP
        case 0x86DD:
            at = 62 if frame[20] == _HOP_BY_HOP else 54
            said = frame[at] if frame[20] in {_ICMPV6, _HOP_BY_HOP} and len(frame) > at else 0
            return said in _NEIGHBOURS or said in _LISTENERS
        case _:
            return False
