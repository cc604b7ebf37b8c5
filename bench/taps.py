"""How does a measurement hold the far ends of hundreds of virtual machines' taps?

A tap here is a veth pair: one end in a hypervisor's namespace, to be plugged, the other in a namespace of the
measurement's own, where packet sockets stand for the guest.  When that namespace ends, all pairs end with it.
"""

from __future__ import annotations

import select
import socket
import struct
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final, Self

from topologies import namespace

_ETH_P_IP: Final = 0x0800
_MAGIC: Final = b"vl2first"
_INTERVAL: Final = 0.001
_UDP: Final = 17
_UDP_PORT: Final = 7011


@dataclass(frozen=True, slots=True)
class Guest:
    """Who is behind a tap: its interface name and its addresses."""

    tap: str
    mac: str
    ip: str

    def frame_to(self, other: Guest, token: int) -> bytes:
        """A UDP packet from this guest to another, with a number to know it by."""
        payload = _MAGIC + struct.pack("!Q", token)
        udp = struct.pack("!HHHH", _UDP_PORT, _UDP_PORT, 8 + len(payload), 0) + payload
        head = struct.pack(
            "!BBHHHBBH4s4s",
            0x45,
            0,
            20 + len(udp),
            0,
            0,
            64,
            _UDP,
            0,
            IPv4Address(self.ip).packed,
            IPv4Address(other.ip).packed,
        )
        head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
        macs = bytes.fromhex((other.mac + self.mac).replace(":", ""))
        return macs + struct.pack("!H", _ETH_P_IP) + head + udp


def _checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


class Holder:
    """A namespace for the far ends of taps."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "sysctl -qw net.ipv6.conf.default.disable_ipv6=1; echo; exec sleep 86400"],
            stdout=subprocess.PIPE,
        )
        if self._process.stdout is not None:
            self._process.stdout.readline()  # it is in its own namespace from now on

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def pid(self) -> int:
        """The process that keeps the namespace."""
        return self._process.pid

    def make(self, taps: Iterable[tuple[str, int]]) -> None:
        """Make taps: interface name and the hypervisor's process id each."""
        made = list(taps)
        lines = [f"link add {tap} netns {self.pid} type veth peer name {tap} netns {pid}" for tap, pid in made]
        _ip([], lines)
        _ip(_within(self.pid), [f"link set {tap} up" for tap, _ in made])
        for pid in dict.fromkeys(pid for _, pid in made):
            _ip(_within(pid), [f"link set {tap} up" for tap, where in made if where == pid])

    def listen(self, tap: str) -> socket.socket:
        """A packet socket on the guest's side of a tap."""
        with namespace.inside(self.pid):
            packet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_IP))
        packet.bind((tap, _ETH_P_IP))
        packet.setblocking(False)
        return packet


def _within(pid: int) -> list[str]:
    return ["nsenter", f"--net=/proc/{pid}/ns/net"]


def _ip(prefix: list[str], lines: list[str]) -> None:
    subprocess.run([*prefix, "ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


@dataclass(frozen=True, slots=True)
class Through:
    """When packets first came through (CLOCK_MONOTONIC seconds): one way, and there and back."""

    one_way: float
    both_ways: float


def first_through(holder: Holder, near: Guest, far: Guest, token: int, seconds: float = 10.0) -> Through:
    """Send from ``near`` to ``far`` a thousand times a second until an answer is back.

    :raises TimeoutError: if there is none.
    """
    there, back = near.frame_to(far, token), far.frame_to(near, token)
    mark = _MAGIC + struct.pack("!Q", token)
    with holder.listen(near.tap) as here, holder.listen(far.tap) as yonder:
        deadline = time.monotonic() + seconds
        due, arrived = 0.0, 0.0
        while (now := time.monotonic()) < deadline:
            if now >= due:
                here.send(there)
                due = max(due + _INTERVAL, now)
            for ready in select.select([here, yonder], (), (), max(0.0, due - time.monotonic()))[0]:
                frame = ready.recv(2048)
                when = time.monotonic()
                if mark not in frame:
                    continue
                if ready is yonder and frame[:6] == there[:6]:
                    arrived = arrived or when
                    yonder.send(back)
                elif ready is here and frame[:6] == back[:6]:
                    return Through(arrived, when)
    raise TimeoutError(f"nothing came through from {near.tap} to {far.tap} within {seconds:g} s")
