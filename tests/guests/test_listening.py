"""What machines say about multicast groups is understood, in all versions; nonsense is not, and harms nobody."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.guests import igmp, mld
from controller.guests.listening import Query, RecordType, Said, in_eight_bits
from tests.model import frames

HOST = 0x02_00_00_00_00_01
GROUP, OTHER = IPv4Address("239.1.1.1"), IPv4Address("232.7.7.7")
GROUP6, OTHER6 = IPv6Address("ff05::1"), IPv6Address("ff3e::7:7")
LINUX_IGMP = bytes.fromhex(
    "01005e000016020000000001080046c000280000400001024254c0a80005e0000016940400002200e9fb0000000104000000ef010101"
)
"""What Linux sends for IP_ADD_MEMBERSHIP."""


def summed(body: bytes, pseudo: bytes = b"") -> bytes:
    """A message with its checksum, which stands in its third and fourth byte."""
    return body[:2] + struct.pack("!H", frames.checksum(pseudo + body)) + body[4:]


def in_igmp(body: bytes, *, protocol: int = 2, options: bytes = bytes.fromhex("94040000")) -> bytes:
    """A frame with an IGMP message."""
    words = (20 + len(options)) // 4
    header = struct.pack("!BBHHHBBH", 0x40 | words, 0xC0, words * 4 + len(body), 0, 0, 1, protocol, 0)
    header += IPv4Address("192.168.0.5").packed + IPv4Address("224.0.0.22").packed + options
    return frames.ethernet(0x01005E000016, HOST, 0x0800, header + body)


def in_mld(body: bytes, *, hops: int = 1, extension: bytes = bytes.fromhex("3a00050200000100"), kind: int = 0) -> bytes:
    """A frame with an MLD message, summed up."""
    source, target = int(IPv6Address("fe80::ff:fe00:1")), int(IPv6Address("ff02::16"))
    body = summed(body, frames.pseudo(source, target, len(body)))
    header = struct.pack("!IHBB", 6 << 28, len(extension + body), kind, hops)
    header += source.to_bytes(16) + target.to_bytes(16) + extension
    return frames.ethernet(0x333300000016, HOST, 0x86DD, header + body)


def records4(*records: tuple[int, IPv4Address, int]) -> bytes:
    """A report of version 3: type, group and how many sources of each record."""
    body = struct.pack("!BBHHH", 0x22, 0, 0, 0, len(records))
    for kind, group, sources in records:
        body += struct.pack("!BBH", kind, 0, sources) + group.packed + b"\x0a\0\0\1" * sources
    return in_igmp(summed(body))


def records6(*records: tuple[int, IPv6Address, int]) -> bytes:
    """A report of version 2."""
    body = struct.pack("!BBHHH", 143, 0, 0, 0, len(records))
    for kind, group, sources in records:
        body += struct.pack("!BBH", kind, 0, sources) + group.packed + bytes(16) * sources
    return in_mld(body)


def short4(kind: int, group: IPv4Address) -> bytes:
    """A message of version 1 or 2."""
    return in_igmp(summed(struct.pack("!BBH", kind, 0, 0) + group.packed))


def short6(kind: int, group: IPv6Address) -> bytes:
    """A message of version 1."""
    return in_mld(struct.pack("!BBHHH", kind, 0, 0, 0, 0) + group.packed)


def test_what_linux_sends() -> None:
    """A report as Linux sends it is understood, with the padding of a short frame."""
    assert igmp.said(LINUX_IGMP) == Said(joined=(GROUP,))
    assert igmp.said(LINUX_IGMP + bytes(8)) == Said(joined=(GROUP,))


@pytest.mark.parametrize(
    ("frame", "meant"),
    [
        (short4(0x12, GROUP), Said(joined=(GROUP,))),
        (short4(0x16, GROUP), Said(joined=(GROUP,))),
        (short4(0x17, GROUP), Said(left=(GROUP,))),
        (short4(0x11, GROUP), None),
        (short4(0x99, GROUP), None),
        (in_igmp(bytes(8), protocol=17), None),
        (in_igmp(summed(struct.pack("!BBH", 0x16, 0, 0) + GROUP.packed), options=b""), Said(joined=(GROUP,))),
    ],
)
def test_short_igmp(frame: bytes, meant: Said | None) -> None:
    """Reports of versions 1 and 2 join, the message of leaving leaves, and what is no report says nothing."""
    assert igmp.said(frame) == meant


@pytest.mark.parametrize(
    ("frame", "meant"),
    [
        (short6(131, GROUP6), Said(joined=(GROUP6,))),
        (short6(132, GROUP6), Said(left=(GROUP6,))),
        (short6(130, GROUP6), None),
        (in_mld(struct.pack("!BBHHH", 128, 0, 0, 0, 0)), None),
        (in_mld(struct.pack("!BBHHH", 143, 0, 0, 0, 0), hops=255), None),
        (in_mld(struct.pack("!BBHHH", 143, 0, 0, 0, 0), extension=b"", kind=17), None),
        (in_mld(struct.pack("!BBHHH", 143, 0, 0, 0, 0), extension=b"", kind=58), Said()),
    ],
)
def test_short_mld(frame: bytes, meant: Said | None) -> None:
    """Reports of version 1 join, its message of leaving leaves, and what is no report of this link says nothing."""
    assert mld.said(frame) == meant


@pytest.mark.parametrize(
    ("kind", "sources", "meant"),
    [
        (RecordType.IS_EXCLUDE, 0, "joined"),
        (RecordType.TO_EXCLUDE, 0, "joined"),
        (RecordType.TO_EXCLUDE, 2, "joined"),
        (RecordType.IS_INCLUDE, 1, "joined"),
        (RecordType.TO_INCLUDE, 1, "joined"),
        (RecordType.ALLOW_NEW, 1, "joined"),
        (RecordType.TO_INCLUDE, 0, "left"),
        (RecordType.IS_INCLUDE, 0, "left"),
        (RecordType.ALLOW_NEW, 0, ""),
        (RecordType.BLOCK_OLD, 1, ""),
        (7, 1, ""),
    ],
)
def test_group_records(kind: int, sources: int, meant: str) -> None:
    """Who wants to hear all sources, all but some, or some, is a member; who wants none has left."""
    four, six = igmp.said(records4((kind, GROUP, sources))), mld.said(records6((kind, GROUP6, sources)))
    assert four == (Said(**{meant: (GROUP,)}) if meant else Said())
    assert six == (Said(**{meant: (GROUP6,)}) if meant else Said())


def test_several_records() -> None:
    """A report says something of several groups at once."""
    join, leave = RecordType.TO_EXCLUDE, RecordType.TO_INCLUDE
    assert igmp.said(records4((join, GROUP, 0), (leave, OTHER, 0))) == Said((GROUP,), (OTHER,))
    assert mld.said(records6((join, GROUP6, 1), (leave, OTHER6, 0))) == Said((GROUP6,), (OTHER6,))


SOUND = [records4((4, GROUP, 2), (3, OTHER, 0)), short4(0x16, GROUP), records6((4, GROUP6, 2)), short6(131, GROUP6)]


@pytest.mark.parametrize("frame", SOUND)
def test_one_bit_wrong(frame: bytes) -> None:
    """A message with a wrong checksum says nothing."""
    broken = frame[:-1] + bytes([frame[-1] ^ 1])
    assert [read(frame) for read in (igmp.said, mld.said)].count(None) == 1
    assert (igmp.said(broken), mld.said(broken)) == (None, None)


@given(st.binary(max_size=200))
def test_noise_says_nothing(noise: bytes) -> None:
    """Whatever bytes come, nothing is raised."""
    for frame in (
        noise,
        LINUX_IGMP[:14] + noise,
        LINUX_IGMP[:24] + noise,
        SOUND[2][:14] + noise,
        SOUND[2][:62] + noise,
    ):
        assert igmp.said(frame) is None or isinstance(igmp.said(frame), Said)
        assert mld.said(frame) is None or isinstance(mld.said(frame), Said)


@given(
    st.sampled_from(SOUND),
    st.lists(st.tuples(st.integers(14, 200), st.integers(0, 255)), max_size=6),
    st.integers(0, 200),
)
def test_broken_reports_raise_nothing(frame: bytes, changes: list[tuple[int, int]], length: int) -> None:
    """A report that is cut or changed anywhere, its checksum made good again, raises nothing."""
    broken = bytearray(frame[: max(length, 15)])
    for where, what in changes:
        if where < len(broken):
            broken[where] = what
    if frame[12:14] == b"\x08\x00" and len(broken) > 42:
        broken[38:] = summed(bytes(broken[38:40]) + bytes(2) + bytes(broken[42:]))
    for read in (igmp.said, mld.said):
        said = read(bytes(broken))
        assert said is None or all(ip_address(str(group)) for group in (*said.joined, *said.left))


@given(st.integers(0, 40_000))
def test_long_times_fit(value: int) -> None:
    """A number is coded as the greatest that fits into eight bits and is not above it (RFC 9776 §4.1.1)."""
    every = [code if code < 128 else (code & 15 | 16) << ((code >> 4 & 7) + 3) for code in range(256)]
    assert every[in_eight_bits(value)] == max(known for known in every if known <= value)


def test_questions() -> None:
    """Questions are general ones with TTL 1 and the router alert, and machines find their checksums right."""
    query = Query(interval=125.0)
    four, six = igmp.question(query), mld.question(query)
    assert four[:14].hex() == "01005e00000102564c0000010800"
    assert frames.checksum(four[14:38]) == frames.checksum(four[38:]) == 0
    assert (four[22], four[26:30], four[34:38].hex()) == (1, bytes(4), "94040000")
    assert four[38:40] + four[42:] == bytes.fromhex("1164 00000000 027d 0000")
    assert six[:14].hex() == "33330000000102564c00000186dd"
    source, target = int.from_bytes(six[22:38]), int.from_bytes(six[38:54])
    assert (IPv6Address(source), IPv6Address(target)) == (IPv6Address("fe80::56:4cff:fe00:1"), IPv6Address("ff02::1"))
    assert frames.checksum(frames.pseudo(source, target, len(six) - 62) + six[62:]) == 0
    assert (six[21], six[54:62].hex()) == (1, "3a00050200000100")
    assert six[62:64] + six[66:] == bytes.fromhex("8200 2710 0000") + bytes(16) + bytes.fromhex("027d 0000")
