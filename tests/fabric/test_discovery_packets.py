"""Do discovery packets say who is wired to whom, and can nobody else say it?"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.discovery import Announcer, Claim, arp_request, claim
from controller.fabric.plan import ROUTER_MAC, PortRef
from overlay.values import DatapathId, Mac

OURS = Announcer(b"the secret of this deployment")
PORT = PortRef(DatapathId(0xABC), 7)
HW = Mac(0x020000000007)
ports = st.builds(PortRef, st.integers(0, 2**64 - 1).map(DatapathId), st.integers(0, 2**32 - 1))


@given(ports)
def test_an_announcement_names_its_port(at: PortRef) -> None:
    """What was announced from a port is read as that port."""
    assert OURS.read(OURS.announcement(at, HW)) == at


def test_an_announcement_is_lldp() -> None:
    """The frame goes to the nearest bridge, from the port's address, with chassis, port and TTL first (802.1AB §8)."""
    frame = OURS.announcement(PORT, HW, ttl=9)
    assert frame[:14].hex() == "0180c200000e" + "020000000007" + "88cc"
    assert frame[14:].startswith(bytes.fromhex("0209070000000000000abc" + "04050700000007" + "06020009" + "fe14"))
    assert frame.endswith(b"\x00\x00")


def test_padding_does_not_matter() -> None:
    """What a wire appends after the end is not looked at."""
    assert OURS.read(OURS.announcement(PORT, HW) + bytes(20)) == PORT


@given(ports)
def test_another_deployment_is_not_believed(at: PortRef) -> None:
    """An announcement that was sealed with another secret is nobody's."""
    assert Announcer(b"another").read(OURS.announcement(at, HW)) is None


@given(st.integers(14 * 8, 14 * 8 + 8 * 45), ports)
def test_a_forged_announcement_is_not_believed(bit: int, at: PortRef) -> None:
    """An announcement with any bit of its chassis, port or seal changed is not read as another port."""
    frame = bytearray(OURS.announcement(at, HW))
    frame[bit // 8] ^= 1 << bit % 8
    assert OURS.read(bytes(frame)) in {None, at}


@given(st.binary(max_size=80))
def test_rubbish_is_nothing(frame: bytes) -> None:
    """No bytes make the readers raise."""
    assert OURS.read(frame) is None
    assert OURS.read(bytes(12) + b"\x88\xcc" + frame) is None
    claim(frame)
    claim(bytes(12) + b"\x08\x06" + frame)


def test_a_probe_asks_from_the_gateway() -> None:
    """An ARP request for an LA is a broadcast of the router, for the gateway's address."""
    frame = arp_request(IPv4Address("10.0.1.11"), IPv4Address("10.0.1.1"), ROUTER_MAC)
    assert frame.hex(" ", 2).split()[3:] == (
        "0256 4c32 0001 0806 0001 0800 0604 0001 0256 4c32 0001 0a00 0101 0000 0000 0000 0a00 010b".split()  # noqa: SIM905
    )
    assert frame[:6] == b"\xff" * 6


def arp(operation: int, source: Mac = HW) -> bytes:
    """Make an ARP packet of the host at 10.0.1.11."""
    return (
        b"\xff" * 6 + source.to_bytes(6, "big") + b"\x08\x06"
        + struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + HW.to_bytes(6, "big") + bytes([10, 0, 1, 11])
        + bytes(6) + bytes([10, 0, 1, 1])
    )  # fmt: skip


@pytest.mark.parametrize("operation", [1, 2])
def test_requests_and_replies_show_their_sender(operation: int) -> None:
    """Both an ARP request and a reply claim the sender's address for the sender's MAC."""
    assert claim(arp(operation) + bytes(18)) == Claim(IPv4Address("10.0.1.11"), HW)


@pytest.mark.parametrize("frame", [arp(3), arp(1, Mac(0x020000000008)), arp(1)[:41]])
def test_a_doubtful_claim_is_none(frame: bytes) -> None:
    """Another operation, a sender that is not the Ethernet source, and a short frame claim nothing."""
    assert claim(frame) is None
