"""How do dozens of virtual machines send to each other without costing the network its processor?

One process holds the sockets of all machines: a socket opened inside a machine's namespace stays there for its whole
life, so that the packets are real, from the machine's own kernel and through its own network card, while a single
loop moves the bytes and one clock times them.
"""

from __future__ import annotations

import math
import select
import socket
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self

from topologies import namespace

CONGESTION: Final = b"cubic"
"""Linux's own congestion control, whatever this machine's default is."""
_PORT: Final = 5001
_DATAGRAM: Final = 1400
_CHUNK: Final = 1 << 16
_BACKLOG: Final = 4096
_TURN: Final = 0.01
_UNSENT: Final = 1 << 14
"""Bytes that wait unsent in a socket at most (tcp(7), TCP_NOTSENT_LOWAT): what is measured is the network's queue."""
_TCP_NOTSENT_LOWAT: Final = 25
_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Place:
    """Where a machine is to be found: a process in its namespace, and its address."""

    pid: int
    address: str


@dataclass(slots=True, eq=False)
class Flow:
    """One transfer from machine to machine."""

    service: str
    source: str
    target: str
    size: int | None
    """Bytes to send; ``None`` for as long as it lasts."""
    sender: socket.socket
    received: int = 0
    began: float = 0.0
    ended: float = 0.0
    left: int = field(default=0)


@dataclass(slots=True, eq=False)
class Blast:
    """Datagrams at a fixed rate, whatever becomes of them."""

    service: str
    sender: socket.socket
    interval: float
    due: float = 0.0
    sent: int = 0


class Traffic:
    """All sockets of all machines.

    :param places: the machines, by name.
    :param slot: seconds for which what arrives is added up, per service.
    :param window: bytes that a receiver lets a sender have under way (tcp(7), SO_RCVBUF); 0: the kernel's choice.
    """

    def __init__(self, places: Mapping[str, Place], slot: float = 0.5, window: int = 0) -> None:
        self.places = places
        self.slot = slot
        self.flows: list[Flow] = []
        self.blasts: list[Blast] = []
        self.finished: list[Flow] = []
        self._arrived: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        self._poll = select.epoll()
        self._listeners: dict[int, socket.socket] = {}
        self._datagrams: dict[int, tuple[str, socket.socket]] = {}
        self._sending: dict[int, Flow] = {}
        self._receiving: dict[int, tuple[socket.socket, Flow | None]] = {}
        self._by_ends: dict[tuple[str, int, str], Flow] = {}
        self._buffer = bytearray(_CHUNK * 4)
        self._zeros = bytes(_CHUNK)
        self._origin = time.monotonic()
        for place in places.values():
            with namespace.inside(place.pid):
                listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setblocking(False)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION)
            if window:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
            listener.bind((place.address, _PORT))
            listener.listen(_BACKLOG)
            self._listeners[listener.fileno()] = listener
            self._poll.register(listener, select.EPOLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for flow in self.flows:
            flow.sender.close()
        for receiver, _flow in self._receiving.values():
            receiver.close()
        for blast in self.blasts:
            blast.sender.close()
        for _service, receiver in self._datagrams.values():
            receiver.close()
        for listener in self._listeners.values():
            listener.close()
        self._poll.close()

    # --- what is sent -------------------------------------------------------------------------------------------------

    def stream(self, service: str, source: str, target: str, size: int | None = None) -> Flow:
        """Open a TCP connection and send, ``size`` bytes or for as long as this runs."""
        with namespace.inside(self.places[source].pid):
            sender = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sender.setblocking(False)
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION)
        sender.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, _UNSENT)
        with suppress(BlockingIOError):
            sender.connect((self.places[target].address, _PORT))
        flow = Flow(service, source, target, size, sender, began=time.monotonic(), left=size or 0)
        address, port = sender.getsockname()
        self._by_ends[address, port, target] = flow
        self.flows.append(flow)
        self._sending[sender.fileno()] = flow
        self._poll.register(sender, select.EPOLLOUT)
        return flow

    def blast(self, service: str, source: str, target: str, mbit: float) -> Blast:
        """Send datagrams of 1,400 bytes at a rate of payload, for as long as this runs."""
        port = _PORT
        with namespace.inside(self.places[target].pid):
            receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with suppress(OSError):  # another blast to the same machine listens there
            receiver.bind((self.places[target].address, port))
            receiver.setblocking(False)
            self._datagrams[receiver.fileno()] = (service, receiver)
            self._poll.register(receiver, select.EPOLLIN)
        with namespace.inside(self.places[source].pid):
            sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.setblocking(False)
        sender.connect((self.places[target].address, port))
        made = Blast(service, sender, _DATAGRAM * 8 / (mbit * 1e6), due=time.monotonic())
        self.blasts.append(made)
        return made

    def hush(self) -> None:
        """End all blasts; what of them is still under way goes on arriving."""
        for blast in self.blasts:
            blast.sender.close()
        self.blasts.clear()

    # --- what comes of it ---------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Move bytes for so long."""
        until = time.monotonic() + seconds
        while (now := time.monotonic()) < until:
            for blast in self.blasts:
                self._fire(blast, now)
            for fd, events in self._poll.poll(_TURN if self.blasts else 0.1, 1024):
                if fd in self._sending:
                    self._send(self._sending[fd], events)
                elif fd in self._receiving:
                    self._receive(fd)
                elif fd in self._listeners:
                    self._accept(self._listeners[fd])
                elif fd in self._datagrams:
                    self._take(fd)

    def to_slot(self) -> float:
        """Move bytes until the next slot begins; returns the age at which it did, so that all of it is counted."""
        self.run(self.slot - self.age % self.slot)
        return int(self.age / self.slot) * self.slot

    def mark(self) -> None:
        """Count every flow's bytes anew from here on."""
        for flow in self.flows:
            flow.received = 0

    def goodput(self, service: str, since: float = 0.0, until: float | None = None) -> list[float]:
        """What arrived for a service in Mbit/s, per whole slot of the time since the start, in order."""
        first = math.ceil(since / self.slot - _ROUNDING)
        last = int((time.monotonic() - self._origin if until is None else until) / self.slot + _ROUNDING)
        arrived = self._arrived[service]
        return [arrived.get(slot, 0) * 8 / 1e6 / self.slot for slot in range(first, last)]

    @property
    def age(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._origin

    def _count(self, service: str, size: int) -> None:
        self._arrived[service][int((time.monotonic() - self._origin) / self.slot)] += size

    def _send(self, flow: Flow, events: int) -> None:
        if events & (select.EPOLLHUP | select.EPOLLERR):
            self._stop(flow)
            return
        size = _CHUNK if flow.size is None else min(_CHUNK, flow.left)
        try:
            sent = flow.sender.send(memoryview(self._zeros)[:size])
        except BlockingIOError:
            return
        except OSError:
            self._stop(flow)
            return
        flow.left -= sent
        if flow.size is not None and flow.left <= 0:
            self._poll.unregister(flow.sender)
            del self._sending[flow.sender.fileno()]
            flow.sender.shutdown(socket.SHUT_WR)

    def _stop(self, flow: Flow) -> None:
        self._poll.unregister(flow.sender)
        del self._sending[flow.sender.fileno()]

    def _accept(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError):
            while True:
                receiver, (address, port) = listener.accept()
                receiver.setblocking(False)
                here = receiver.getsockname()[0]
                target = next(name for name, place in self.places.items() if place.address == here)
                self._receiving[receiver.fileno()] = (receiver, self._by_ends.get((address, port, target)))
                self._poll.register(receiver, select.EPOLLIN)

    def _receive(self, fd: int) -> None:
        receiver, flow = self._receiving[fd]
        try:
            size = receiver.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if size and flow is not None:
            flow.received += size
            self._count(flow.service, size)
            return
        self._poll.unregister(receiver)
        del self._receiving[fd]
        receiver.close()
        if flow is not None and not flow.ended:
            flow.ended = time.monotonic()
            self.finished.append(flow)
            self.flows.remove(flow)
            if flow.sender.fileno() in self._sending:
                self._stop(flow)
            flow.sender.close()

    def _fire(self, blast: Blast, now: float) -> None:
        while blast.due <= now:
            with suppress(OSError):  # the card's queue is full: the datagram is lost, as datagrams are
                blast.sender.send(memoryview(self._zeros)[:_DATAGRAM])
                blast.sent += 1
            blast.due += blast.interval

    def _take(self, fd: int) -> None:
        service, receiver = self._datagrams[fd]
        with suppress(BlockingIOError):
            while True:
                self._count(service, receiver.recv_into(self._buffer))
