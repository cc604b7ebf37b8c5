"""Does traffic between two machines suffer, and by how much?

Measurements that run inside the machines, in processes of their own that need nothing but Python's standard
library:

* UDP probes in both directions at once, usually 1,000 a second, with sequence numbers and times: how many were sent,
  lost, doubled, out of order, and the longest gap between two arrivals;
* a TCP stream whose bytes are checked by hash at the end: did the connection live, and did every byte arrive?

In a machine in which no Python runs the kernel answers instead (ICMP echo): then a probe is a round trip.

This file is run as a program inside the machines; :mod:`topologies.probing` starts and stops it there.  Times are
CLOCK_MONOTONIC, which all namespaces of a machine share.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import select
import socket
import struct
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

_PROBE: Final = struct.Struct("!4sIQ")
_MAGIC: Final = b"vl2p"
_ECHO: Final = struct.Struct("!BBHHH")
_ECHO_REQUEST, _ECHO_REPLY = 8, 0
_CHUNK: Final = 16384
_SLICE: Final = 0.02
_SO_RCVBUFFORCE: Final = 33
_RECEIVE_BUFFER: Final = 1 << 22
_OUTAGES: Final = 100_000


def _say(**words: Any) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


class Prober:
    """One end of a probe: sends to the peer and hears what the peer sends.

    :param interval: between two probes, in seconds. :param size: of the UDP payload, in bytes.
    """

    def __init__(self, local: str, peer: str, port: int, interval: float, size: int) -> None:
        self.socket = self.open(local, port)
        self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        self.socket.setblocking(False)
        self._peer = (peer, port)
        self._interval = interval
        self._padding = b"\0" * max(0, size - _PROBE.size)
        self.sent = 0
        self.unsendable = 0
        self.sequences = array("Q")
        self.arrivals = array("Q")
        self.latency = array("Q")
        self.departures = array("Q")

    def open(self, local: str, port: int) -> socket.socket:
        """Open what it sends from and hears by."""
        opened = socket.socket(socket.AF_INET6 if ":" in local else socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind((local, port))
        return opened

    def wrapped(self, probe: bytes) -> bytes:
        """A probe as it is given to the socket."""
        return probe

    def unwrapped(self, data: bytes) -> bytes:
        """What the socket gave, without what is not the probe's; empty if it is none."""
        return data

    def send(self) -> None:
        """Send the next probe."""
        probe = _PROBE.pack(_MAGIC, self.sent, time.monotonic_ns()) + self._padding
        self.sent += 1
        try:
            self.socket.sendto(self.wrapped(probe), self._peer)
        except OSError:
            # A peer that has stopped listening answers by ICMP, which shows up here: it counts as lost.
            self.unsendable += 1

    def hear(self) -> None:
        """Take in all probes that have arrived."""
        while True:
            try:
                data = self.socket.recv(65535)
            except BlockingIOError:
                return
            except OSError:
                continue
            now = time.monotonic_ns()
            data = self.unwrapped(data)
            if len(data) >= _PROBE.size and data[:4] == _MAGIC:
                _magic, sequence, sent = _PROBE.unpack_from(data)
                self.sequences.append(sequence)
                self.arrivals.append(now)
                self.latency.append(now - sent)
                self.departures.append(sent)

    def run(self, trace: str = "") -> None:
        """Follow ``go``, ``stop`` and ``finish`` from the standard input; then print the result.

        :param trace: a file for what was heard; empty for none.
        """
        _say(ready=True)
        sending, due = False, 0.0
        while True:
            now = time.monotonic()
            if sending and now >= due:
                self.send()
                due += self._interval
                if now - due > 1:
                    due = now  # the machine stood still for long: do not catch up in one burst
                continue
            wait = due - now if sending else None
            readable, _, _ = select.select([self.socket, sys.stdin], (), (), wait)
            if self.socket in readable:
                self.hear()
            if sys.stdin in readable:
                match sys.stdin.readline().strip():
                    case "go":
                        sending, due = True, time.monotonic()
                    case "stop":
                        sending = False
                        _say(stopped=True)
                    case _:
                        self.hear()
                        if trace:
                            self.write(trace)
                        _say(**self.result())
                        return

    def write(self, path: str) -> None:
        """Write what was heard into a file: number, departure and arrival of each probe, in the order they came."""
        with open(path, "wb") as trace:  # noqa: PTH123  (pathlib is a third of this program's start)
            for column in (self.sequences, self.departures, self.arrivals):
                column.tofile(trace)

    def result(self) -> dict[str, Any]:
        """What was sent, and what was heard from the peer."""
        heard = len(self.sequences)
        # By index, not in a set: half an hour of probes would make it a big one.
        departures = array("Q", bytes(8 * (max(self.sequences, default=-1) + 1)))
        highest, reordered = -1, 0
        for sequence, departure in zip(self.sequences, self.departures, strict=True):
            departures[sequence] = departure
            if sequence < highest:
                reordered += 1
            highest = max(highest, sequence)
        gap, gap_at = 0, 0
        for i in range(1, heard):
            if self.arrivals[i] - self.arrivals[i - 1] > gap:
                gap, gap_at = self.arrivals[i] - self.arrivals[i - 1], self.arrivals[i - 1]
        outages = list(stretches(departures))
        missing = list(islice((sequence for first, last, *_ in outages for sequence in range(first, last + 1)), 1000))
        ordered = sorted(self.latency)
        return {
            "sent": self.sent,
            "unsendable": self.unsendable,
            "heard": heard,
            "distinct": len(departures) - sum(last - first + 1 for first, last, *_ in outages),
            "reordered": reordered,
            "longest_gap_ns": gap,
            "longest_gap_at_ns": gap_at,
            "missing": missing,
            "outages": outages[:_OUTAGES],
            "last_departure_ns": departures[-1] if departures else 0,
            "latency_p50_ns": ordered[heard // 2] if heard else 0,
            "latency_max_ns": ordered[-1] if heard else 0,
        }


class Echoing(Prober):
    """A prober that is both ends: the peer's kernel sends back what it gets (ICMP echo, RFC 792)."""

    def open(self, local: str, port: int) -> socket.socket:
        """Open a raw socket, which hears all ICMP of the machine.

        :param port: the identifier by which several on one machine know their own.
        """
        opened = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        opened.bind((local, 0))
        self._ident = port
        return opened

    def wrapped(self, probe: bytes) -> bytes:
        """An echo request."""
        head = _ECHO.pack(_ECHO_REQUEST, 0, 0, self._ident, self.sent & 0xFFFF)
        return _ECHO.pack(_ECHO_REQUEST, 0, checksum(head + probe), self._ident, self.sent & 0xFFFF) + probe

    def unwrapped(self, data: bytes) -> bytes:
        """The payload of an answer; a raw socket gives the IP header as well."""
        at = (data[0] & 0xF) * 4
        kind, _code, _checksum, ident, _number = _ECHO.unpack_from(data, at)
        return data[at + _ECHO.size :] if (kind, ident) == (_ECHO_REPLY, self._ident) else b""


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def stretches(departures: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
    """Every run of probes that never came: the first and the last of it, and when the two beside it were sent.

    :param departures: by sequence number, in nanoseconds; 0 for one that never came.
    """
    last, since = -1, 0
    for sequence, departure in enumerate(departures):
        if departure:
            if sequence > last + 1:
                yield last + 1, sequence - 1, since, departure
            last, since = sequence, departure


def serve_stream(local: str, port: int) -> None:
    """Take one TCP connection, read it to its end, and answer with the hash of what came."""
    family = socket.AF_INET6 if ":" in local else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((local, port))
        listener.listen(1)
        _say(ready=True)
        session, _ = listener.accept()
    digest, count, stall, last = hashlib.sha256(), 0, 0, time.monotonic_ns()
    with session:
        while data := session.recv(65536):
            now = time.monotonic_ns()
            stall, last = max(stall, now - last), now
            digest.update(data)
            count += len(data)
        session.sendall(digest.digest())
    _say(bytes=count, sha256=digest.hexdigest(), longest_stall_ns=stall)


def send_stream(local: str, peer: str, port: int, megabits: float) -> None:
    """Send pseudo-random bytes at a rate until told to stop, and compare the peer's hash with ours."""
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    digest, count, wrong, theirs = hashlib.sha256(), 0, "", b""
    # Not a secret: a stream that no lost, doubled or swapped segment leaves the same.
    noise = random.Random(20090817)  # noqa: S311
    with socket.socket(family, socket.SOCK_STREAM) as session:
        session.bind((local, 0))
        session.settimeout(30)
        session.connect((peer, port))
        _say(ready=True)
        pause = _CHUNK * 8 / (megabits * 1e6)
        due = time.monotonic()
        try:
            while True:
                wait = due - time.monotonic()
                readable, _, _ = select.select([sys.stdin], (), (), max(0.0, wait))
                if readable:
                    break
                data = noise.randbytes(_CHUNK)
                session.sendall(data)
                digest.update(data)
                count += len(data)
                due = max(due + pause, time.monotonic() - _SLICE)
            session.shutdown(socket.SHUT_WR)
            while len(theirs) < digest.digest_size:
                more = session.recv(digest.digest_size)
                if not more:
                    break
                theirs += more
        except OSError as error:
            wrong = str(error) or type(error).__name__
    _say(bytes=count, sha256=digest.hexdigest(), intact=theirs == digest.digest(), error=wrong)


def main() -> None:
    """Run one end of a measurement."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("what", choices=("udp", "echo", "tcp-serve", "tcp-send"))
    parser.add_argument("--local", required=True)
    parser.add_argument("--peer", default="")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, default=1000.0, help="probes per second")
    parser.add_argument("--size", type=int, default=64, help="bytes of UDP payload")
    parser.add_argument("--trace", default="", help="a file for the number, departure and arrival of each probe")
    parser.add_argument("--mbit", type=float, default=20.0, help="the stream's rate")
    asked = parser.parse_args()
    if asked.what == "udp":
        Prober(asked.local, asked.peer, asked.port, 1 / asked.rate, asked.size).run(asked.trace)
    elif asked.what == "echo":
        Echoing(asked.local, asked.peer, asked.port, 1 / asked.rate, asked.size).run(asked.trace)
    elif asked.what == "tcp-serve":
        serve_stream(asked.local, asked.port)
    else:
        send_stream(asked.local, asked.peer, asked.port, asked.mbit)


if __name__ == "__main__":
    main()
