"""Does any packet go round in the fabric, or a way that is longer than its routes explain?

Two witnesses that have nothing to do with each other, and neither asks the controller: the switches say which packets
they dropped because of their TTL (``bench.tidings``), and here **the edge reads what is left of the TTL**.  Open
vSwitch starts a VXLAN packet with 64, each switch takes one off: what arrives with less than the graph's ways allow has
been on a longer one, or round.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from bench.story import Story
from bench.watching import Watching
from controller.rollout import PATIENCE
from topologies import namespace
from topologies.orders import LabStatus

_AGAIN_SECONDS: Final = 0.2
_ETH_P_ALL: Final = 3
_SO_RCVBUFFORCE: Final = 33
_BUFFER: Final = 1 << 24
_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23
_START_TTL: Final = 64
_VXLAN: Final = 4789
_UDP: Final = 17
BIN_SECONDS: Final = 0.1
"""How finely the edge tells when packets arrived."""
_LOOK_BACK_NS: Final = int((PATIENCE + 0.5) * 1e9)
"""For so long old routes may stay: an update waits for a switch that does not confirm, and has to be decided first."""
_LOOK_AHEAD_NS: Final = 500_000_000
"""Packets may use what has come back, or avoid what is damped, before we have asked the controller whether they do."""


class Arrivals(Watching):
    """Counts what arrives at hypervisors by sender and number of switches passed, as long as its block runs.

    :param hosts: the hypervisors to listen at.
    """

    def __init__(self, status: LabStatus, hosts: Iterable[str]) -> None:
        super().__init__()
        self.seen: Counter[tuple[str, str, int, int]] = Counter()
        """Packets by sender's LA, receiver, bin (CLOCK_MONOTONIC / :data:`BIN_SECONDS`), and switches passed."""
        self._ears = {name: _ear(status, name) for name in hosts}

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Of its packet sockets."""
        return tuple(ear.fileno() for ear in self._ears.values())

    def hops(self) -> Mapping[int, int]:
        """How many packets have passed how many switches."""
        found: Counter[int] = Counter()
        for (*_, passed), packets in self.seen.items():
            found[passed] += packets
        return dict(sorted(found.items()))

    def _close(self) -> None:
        for ear in self._ears.values():
            ear.close()

    def _watch(self) -> None:
        names = {ear.fileno(): (name, ear) for name, ear in self._ears.items()}
        poller = select.poll()
        for number in names:
            poller.register(number, select.POLLIN)
        self._ready.set()
        while not self._end.is_set():
            for number, _event in poller.poll(_AGAIN_SECONDS * 1000):
                name, ear = names[number]
                now = int(time.monotonic() / BIN_SECONDS)
                with suppress(BlockingIOError):
                    while True:
                        frame = ear.recv(64)
                        self.seen[socket.inet_ntoa(frame[26:30]), name, now, _START_TTL - frame[22]] += 1


@dataclass(frozen=True, slots=True)
class Longer:
    """Packets of one sender, receiver and moment that took a longer way than any route of that moment."""

    source: str
    target: str
    at_ns: int
    passed: int
    """Switches."""
    packets: int
    shortest: int
    """The most switches that a route had within the time in question."""
    longest: int
    """The most that a way along old routes, then newer ones, had: no ordered update makes it longer."""

    @property
    def lawful(self) -> bool:
        """Whether old routes, then newer ones, explain it."""
        return self.passed <= self.longest


def longer(story: Story, seen: Mapping[tuple[str, str, int, int], int], las: Mapping[str, str]) -> list[Longer]:
    """Find what took a longer way than any route that there was lately.

    :param seen: as :class:`Arrivals` counts. :param las: the hypervisors' names by their addresses.
    """
    found: list[Longer] = []
    allowed: dict[tuple[str, str, int], tuple[int, int]] = {}
    for (la, target, when, passed), packets in sorted(seen.items(), key=lambda each: each[0][2]):
        source = las.get(la, target)
        if source == target:
            continue
        at = int(when * BIN_SECONDS * 1e9)
        key = (source, target, when)
        if key not in allowed:
            span = (at - _LOOK_BACK_NS, at + _LOOK_AHEAD_NS)
            allowed[key] = story.shortest(source, target, *span), story.longest(source, target, *span)
        if passed > allowed[key][0]:
            found.append(Longer(source, target, at, passed, packets, *allowed[key]))
    return found


def _ear(status: LabStatus, host: str) -> socket.socket:
    """Open a packet socket on a hypervisor's cable that hears arriving VXLAN packets only."""
    pid = next(each.pid for each in status.hypervisors if each.name == host)
    cable = next(link for link in status.links if host in {link.one, link.other})
    interface = cable.one_interface if cable.one == host else cable.other_interface
    with namespace.inside(pid):
        ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    ear.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    ear.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    # tcpdump -dd 'udp dst port 4789', for packets without IP options, which the fabric's never have
    program = [
        (0x28, 0, 0, 12),  # ldh: EtherType
        (0x15, 0, 5, 0x0800),
        (0x30, 0, 0, 23),  # ldb: protocol
        (0x15, 0, 3, _UDP),
        (0x28, 0, 0, 36),  # ldh: destination port
        (0x15, 0, 1, _VXLAN),
        (0x06, 0, 0, 64),
        (0x06, 0, 0, 0),
    ]
    _filter(ear, program)
    ear.bind((interface, _ETH_P_ALL))
    ear.setblocking(False)
    return ear


def _filter(ear: socket.socket, program: list[tuple[int, int, int, int]]) -> None:
    """Attach a classic BPF program (socket(7), SO_ATTACH_FILTER)."""
    import ctypes  # noqa: PLC0415

    code = b"".join(struct.pack("HBBI", *each) for each in program)
    buffer = ctypes.create_string_buffer(code)
    ear.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HL", len(program), ctypes.addressof(buffer)))
