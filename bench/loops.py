"""Does any packet go round in the fabric?

Two witnesses that have nothing to do with each other, and neither asks the controller:

* **The switches count expired TTLs.**  Open vSwitch 3.1 has no counter for them: a packet whose TTL ``dec_ttl`` cannot
  count down is dropped and offered to controllers that asked for it, as a packet-in with reason *invalid TTL*
  (OpenFlow 1.5 §7.4.1).  So every switch gets a further, silent connection on its management socket that asks for
  these, and for nothing else.
* **The edge reads what is left of the TTL.**  Open vSwitch starts a VXLAN packet with 64, each switch takes one off:
  what arrives with less than the graph's ways allow has been on a longer one, or round.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from topologies import namespace
from topologies.orders import LabStatus

_VERSION: Final = 6
_HEADER: Final = struct.Struct("!BBHI")
_HELLO, _ECHO, _ECHO_REPLY, _SET_CONFIG, _PACKET_IN, _BARRIER, _SET_ASYNC = 0, 2, 3, 9, 10, 20, 28
_REASON_AT: Final = 14
_INVALID_TTL: Final = 2
_PACKET_IN_MASTER: Final = 1
_ASYNC_MASKS: Final = 12
"""OpenFlow 1.5 has six kinds of asynchronous messages, each with a mask for slaves and one for everybody else."""
_SNAP: Final = 128
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


def _message(kind: int, body: bytes = b"", xid: int = 1) -> bytes:
    return _HEADER.pack(_VERSION, kind, _HEADER.size + len(body), xid) + body


def questions() -> bytes:
    """What a switch is told: hand expired packets over, and nothing else."""
    masks = b"".join(
        struct.pack("!HHI", kind, 8, 1 << _INVALID_TTL if kind == _PACKET_IN_MASTER else 0)
        for kind in range(_ASYNC_MASKS)
    )
    # Connections made to a switch get no packets at all unless they say how much of them.
    return _message(_HELLO) + _message(_SET_CONFIG, struct.pack("!HH", 0, _SNAP)) + _message(_SET_ASYNC, masks)


class Expired:
    """Counts the packets that each switch drops because of their TTL, as long as its block runs.

    Switches that lose power take their connection with them; it is made again when they are back.
    """

    def __init__(self, status: LabStatus) -> None:
        self.dropped: Counter[str] = Counter()
        """By switch."""
        self._paths = {each.name: Path(each.directory) / "br0.mgmt" for each in status.switches}
        self._sockets: dict[str, socket.socket] = {}
        self._streams: dict[str, bytes] = {}
        self._end = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        for each in self._sockets.values():
            each.close()

    @property
    def listening(self) -> frozenset[str]:
        """The switches that are listened to at this moment."""
        return frozenset(self._sockets)

    def _listen(self) -> None:
        again = 0.0
        while not self._end.is_set():
            if time.monotonic() >= again:
                for name in self._paths.keys() - self._sockets.keys():
                    self._connect(name)
                again = time.monotonic() + _AGAIN_SECONDS
                self._ready.set()
            ready = select.select(list(self._sockets.values()), (), (), _AGAIN_SECONDS)[0]
            for name, each in tuple(self._sockets.items()):
                if each in ready:
                    self._take(name, each)

    def _connect(self, name: str) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.settimeout(1)
            made.connect(str(self._paths[name]))
            made.sendall(questions())
        except OSError:
            made.close()
            return
        self._sockets[name], self._streams[name] = made, b""

    def _take(self, name: str, each: socket.socket) -> None:
        try:
            more = each.recv(1 << 16)
        except OSError:
            more = b""
        if not more:
            del self._sockets[name]
            each.close()
            return
        stream = self._streams[name] + more
        while len(stream) >= _HEADER.size and len(stream) >= (length := _HEADER.unpack_from(stream)[2]) > 0:
            _version, kind, _length, xid = _HEADER.unpack_from(stream)
            if kind == _PACKET_IN and stream[_REASON_AT] == _INVALID_TTL:
                self.dropped[name] += 1
            elif kind == _ECHO:
                with suppress(OSError):
                    each.sendall(_message(_ECHO_REPLY, stream[_HEADER.size : length], xid))
            stream = stream[length:]
        self._streams[name] = stream


class Arrivals:
    """Counts what arrives at hypervisors by sender and number of switches passed, as long as its block runs.

    :param hosts: the hypervisors to listen at.
    """

    def __init__(self, status: LabStatus, hosts: Iterable[str]) -> None:
        self.seen: Counter[tuple[str, str, int, int]] = Counter()
        """Packets by sender's LA, receiver, bin (CLOCK_MONOTONIC / :data:`BIN_SECONDS`), and switches passed."""
        self._end = threading.Event()
        self._ears = {name: _ear(status, name) for name in hosts}
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        for ear in self._ears.values():
            ear.close()

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

    def _listen(self) -> None:
        names = {ear.fileno(): (name, ear) for name, ear in self._ears.items()}
        poller = select.poll()
        for number in names:
            poller.register(number, select.POLLIN)
        while not self._end.is_set():
            for number, _event in poller.poll(_AGAIN_SECONDS * 1000):
                name, ear = names[number]
                now = int(time.monotonic() / BIN_SECONDS)
                with suppress(BlockingIOError):
                    while True:
                        frame = ear.recv(64)
                        self.seen[socket.inet_ntoa(frame[26:30]), name, now, _START_TTL - frame[22]] += 1


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
