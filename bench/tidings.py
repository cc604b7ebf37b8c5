"""What do the switches themselves say of packets that went round, and of their ports?

Every switch gets a further, silent connection on its management socket that asks for two kinds of messages and for
nothing else.  It does not lead through the controller, and hears what the controller is told at the same moment:

* **Expired TTLs.**  Open vSwitch 3.1 has no counter for them: a packet whose TTL ``dec_ttl`` cannot count down is
  dropped and offered to whoever asked for it, as a packet-in with reason *invalid TTL* (OpenFlow 1.5 §7.4.1).
* **The state of ports** (§7.4.3): whether there is a carrier, and whether the port is *live*, which is what groups go
  by.  A port that has a carrier and is not live has been given up by BFD.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.watching import Watching
from topologies.orders import LabStatus

_VERSION: Final = 6
_HEADER: Final = struct.Struct("!BBHI")
_HELLO, _ECHO, _ECHO_REPLY, _SET_CONFIG, _PACKET_IN, _PORT_STATUS, _SET_ASYNC = 0, 2, 3, 9, 10, 12, 28
_REASON_AT: Final = 14
_INVALID_TTL: Final = 2
_NAME_AT: Final = slice(32, 48)
_STATE_AT: Final = 52
_LINK_DOWN, _LIVE = 1 << 0, 1 << 2
_ASKED: Final[Mapping[int, int]] = {1: 1 << _INVALID_TTL, 3: 0b111}
"""The reasons that we ask for: of packet-ins, and all three of port-status, each for whoever is no slave."""
_ASYNC_MASKS: Final = 12
"""OpenFlow 1.5 has six kinds of asynchronous messages, each with a mask for slaves and one for everybody else."""
_SNAP: Final = 128
_AGAIN_SECONDS: Final = 0.2


def _message(kind: int, body: bytes = b"", xid: int = 1) -> bytes:
    return _HEADER.pack(_VERSION, kind, _HEADER.size + len(body), xid) + body


def questions() -> bytes:
    """What a switch is told: hand over expired packets and what becomes of ports, and nothing else."""
    masks = b"".join(struct.pack("!HHI", kind, 8, _ASKED.get(kind, 0)) for kind in range(_ASYNC_MASKS))
    # Connections made to a switch get no messages at all unless they say how much of a packet they want.
    return _message(_HELLO) + _message(_SET_CONFIG, struct.pack("!HH", 0, _SNAP)) + _message(_SET_ASYNC, masks)


@dataclass(frozen=True, slots=True)
class PortState:
    """What a switch said of a port, and when (CLOCK_MONOTONIC).

    A switch that hangs up says of all its ports, by the empty name, that they are neither.
    """

    at_ns: int
    switch: str
    interface: str
    carrier: bool
    live: bool


class Tidings(Watching):
    """Hears what each switch says, as long as its block runs.

    Switches that lose power take their connection with them; it is made again when they are back.
    """

    def __init__(self, status: LabStatus) -> None:
        super().__init__()
        self.dropped: Counter[str] = Counter()
        """How many packets each switch has dropped because of their TTL."""
        self.ports: list[PortState] = []
        """What became of ports, in order."""
        self._paths = {each.name: Path(each.directory) / "br0.mgmt" for each in status.switches}
        self._sockets: dict[str, socket.socket] = {}
        self._streams: dict[str, bytes] = {}

    @property
    def listening(self) -> frozenset[str]:
        """The switches that are listened to at this moment."""
        return frozenset(self._sockets)

    def _watch(self) -> None:
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

    def _close(self) -> None:
        for each in self._sockets.values():
            each.close()

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
        now = time.monotonic_ns()
        if not more:
            del self._sockets[name]
            each.close()
            self.ports.append(PortState(now, name, "", carrier=False, live=False))
            return
        stream = self._streams[name] + more
        while len(stream) >= _HEADER.size and len(stream) >= (length := _HEADER.unpack_from(stream)[2]) > 0:
            _version, kind, _length, xid = _HEADER.unpack_from(stream)
            if kind == _PACKET_IN and stream[_REASON_AT] == _INVALID_TTL:
                self.dropped[name] += 1
            elif kind == _PORT_STATUS:
                self.ports.append(port_state(now, name, stream[:length]))
            elif kind == _ECHO:
                with suppress(OSError):
                    each.sendall(_message(_ECHO_REPLY, stream[_HEADER.size : length], xid))
            stream = stream[length:]
        self._streams[name] = stream


def port_state(now: int, switch: str, message: bytes) -> PortState:
    """Read a port-status message."""
    (state,) = struct.unpack_from("!I", message, _STATE_AT)
    interface = message[_NAME_AT].split(b"\0", 1)[0].decode()
    return PortState(now, switch, interface, carrier=not state & _LINK_DOWN, live=bool(state & _LIVE))
