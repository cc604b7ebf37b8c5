"""When did the switches commit what the controller sent them?

A packet socket on the bridge of the lab's management network, where the controller's OpenFlow connections pass; nothing
is asked of the controller or the switches meanwhile, so the look disturbs nothing.
"""

from __future__ import annotations

import select
import socket
import struct
import subprocess
import threading
import time
from typing import Final, Self

_ETH_P_ALL: Final = 3
_OPENFLOW: Final = 6653
_VERSIONS: Final = (5, 6)
"""OpenFlow 1.4 and 1.5, whose bundles look the same."""
_BUNDLE_CONTROL: Final = 33
_COMMIT_REPLY: Final = 5
_HEADER: Final = struct.Struct("!BBHI")
_TCP: Final = 6
_SNAP: Final = 65535
_WAIT: Final = 0.2


class Wiretap:
    """Listens as long as its block runs.

    :param address: the controller's in the management network; tells the bridge.
    """

    def __init__(self, address: str) -> None:
        self._bridge = _interface(address)
        self._commits: list[float] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.bind((self._bridge, _ETH_P_ALL))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._socket.close()

    def last_change(self, since: float) -> float | None:
        """When a switch last committed a bundle (CLOCK_MONOTONIC seconds); ``None`` if none has since."""
        return max((when for when in self._commits if when >= since), default=None)

    def _listen(self) -> None:
        while not self._end.is_set():
            if select.select([self._socket], (), (), _WAIT)[0]:
                frame = self._socket.recv(_SNAP)
                if _committed(frame):
                    self._commits.append(time.monotonic())


def _interface(address: str) -> str:
    said = subprocess.run(["ip", "-br", "-4", "address"], capture_output=True, text=True, check=True).stdout
    return next(line.split()[0] for line in said.splitlines() if f" {address}/" in line)


def _committed(frame: bytes) -> bool:
    """Whether an Ethernet frame carries a switch's word that it committed a bundle."""
    if frame[12:14] != b"\x08\x00" or frame[23] != _TCP:
        return False
    tcp = 14 + (frame[14] & 15) * 4
    if int.from_bytes(frame[tcp + 2 : tcp + 4]) == _OPENFLOW:
        return _has_commit(frame[tcp + (frame[tcp + 12] >> 4) * 4 : 14 + int.from_bytes(frame[16:18])])
    return False


def _has_commit(stream: bytes) -> bool:
    while len(stream) >= _HEADER.size:
        version, kind, length, _ = _HEADER.unpack_from(stream)
        if version not in _VERSIONS or length < _HEADER.size:
            return False
        if kind == _BUNDLE_CONTROL and stream[12:14] == _COMMIT_REPLY.to_bytes(2):
            return True
        stream = stream[length:]
    return False
