"""How does a guest flood?  A program that runs inside a machine and sends as fast as it can.

Run with nothing but Python's own library, since a machine has no more: ``torrent.py KIND INTERFACE MAC IP PEER_MAC
PEER_IP``.  It sends until it is ended, and then prints how many frames it has sent.  ``idle`` sends to nobody, on the
machine's own loopback: it costs the computer what a sender costs, and the network nothing.
"""

from __future__ import annotations

import itertools
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from typing import Final

KINDS: Final = ("idle", "refused", "arp", "scan", "dhcp", "igmp", "connections")
_BROADCAST: Final = bytes([0xFF] * 6)
_BATCH: Final = 64
_PRIME: Final = 40_503
"""Steps through all port numbers in an order that looks like none."""


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return (total + (total >> 16) & 0xFFFF) ^ 0xFFFF


def _ip(source: bytes, target: bytes, protocol: int, body: bytes, options: bytes = b"") -> bytes:
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, 4 * words + len(body), 0, 0, 64, protocol, 0)
    head += source + target + options
    return head[:10] + struct.pack("!H", _checksum(head)) + head[12:] + body


def _udp(source: int, target: int, body: bytes) -> bytes:
    return struct.pack("!HHHH", source, target, 8 + len(body), 0) + body


class Speaker:
    """Who floods, and somebody whom it knows."""

    def __init__(self, mac: str, ip: str, peer_mac: str, peer_ip: str) -> None:
        self.mac, self.peer_mac = (bytes.fromhex(text.replace(":", "")) for text in (mac, peer_mac))
        self.ip, self.peer_ip = IPv4Address(ip).packed, IPv4Address(peer_ip).packed

    def refused(self, number: int) -> bytes:  # noqa: ARG002
        """What no port may say: the least that a flood costs is that a switch takes it and drops it."""
        return _BROADCAST + self.mac + b"\x88\xb5" + bytes(46)

    def arp(self, number: int) -> bytes:  # noqa: ARG002
        """A question for an address that nobody has: it is flooded."""
        return self.scan(0xFFFE)

    def scan(self, number: int) -> bytes:
        """The same, for another address each time."""
        asked = self.ip[:2] + struct.pack("!H", number & 0xFFFF)
        body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + self.mac + self.ip + bytes(6) + asked
        return _BROADCAST + self.mac + b"\x08\x06" + body

    def dhcp(self, number: int) -> bytes:
        """A DHCPDISCOVER (RFC 2131 §3.1)."""
        body = struct.pack("!BBBBIHH", 1, 1, 6, 0, number & 0xFFFFFFFF, 0, 0x8000) + bytes(16)
        body += self.mac + bytes(10 + 192) + bytes.fromhex("63825363 350101 ff")
        frame = _ip(bytes(4), b"\xff" * 4, 17, _udp(68, 67, body))
        return _BROADCAST + self.mac + b"\x08\x00" + frame

    def igmp(self, number: int) -> bytes:
        """A report of an IGMPv2 group, another one each time (RFC 2236 §2)."""
        group = struct.pack("!BBH", 239, 1, number & 0xFFFF)
        body = struct.pack("!BBH", 0x16, 0, 0) + group
        body = body[:2] + struct.pack("!H", _checksum(body)) + body[4:]
        head = b"\x01\x00\x5e" + bytes([group[1] & 0x7F]) + group[2:] + self.mac + b"\x08\x00"
        return head + _ip(self.ip, group, 2, body, options=b"\x94\x04\x00\x00")

    def connections(self, number: int) -> bytes:
        """The first packet of a new UDP connection to somebody else."""
        ports = number * _PRIME
        body = _udp(1024 + ports % 64_000, 1024 + (ports >> 16) * 7 % 64_000, bytes(18))
        return self.peer_mac + self.mac + b"\x08\x00" + _ip(self.ip, self.peer_ip, 17, body)

    idle = connections


def main() -> None:
    """Send."""
    kind, interface, *who = sys.argv[1:]
    speaker = Speaker(*who)
    make: Callable[[int], bytes] = getattr(speaker, kind)
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    sent = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as mouth:
        mouth.bind(("lo" if kind == "idle" else interface, 0))
        print("sending", flush=True)
        numbers: Iterator[int] = itertools.count()
        while not ended:
            for number in itertools.islice(numbers, _BATCH):
                try:
                    mouth.send(make(number))
                    sent += 1
                except OSError:  # its own queue is full
                    continue
    print(sent, flush=True)


if __name__ == "__main__":
    main()
