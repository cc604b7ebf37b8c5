"""Did the machine itself lose packets, because a switch was not given the processor in time?

Userspace Open vSwitch reads its ports through packet sockets, whose buffers hold some 200 small packets.  On a busy
machine they overflow, which looks like an outage of the network and is none.  The kernel counts what each socket has
dropped (sock_diag(7), ``ss -0 -m`` prints it as ``d``); asking ten times a second tells when.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench.watching import Watching
from topologies import namespace
from topologies.orders import LabStatus
from topologies.probing import Outage

_NETLINK_SOCK_DIAG: Final = 4
_SOCK_DIAG_BY_FAMILY: Final = 20
_REQUEST_DUMP: Final = 0x301
_NLMSG_DONE, _NLMSG_ERROR = 3, 2
_SHOW_MEMINFO: Final = 0x10
_MEMINFO: Final = 6
_DROPS_AT: Final = 8 * 4
_NLMSG: Final = struct.Struct("=IHHII")
_HEAD: Final = struct.Struct("=BBHIII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_ASK_SECONDS: Final = 0.1
_READ_LATE_NS: Final = 50_000_000
LATE_NS: Final = 100_000_000
"""A failure shows at once: what begins so long after it may be the machine's, if its sockets say so."""
_REQUEST: Final = _NLMSG.pack(_NLMSG.size + 20, _SOCK_DIAG_BY_FAMILY, _REQUEST_DUMP, 1, 0) + struct.pack(
    "=BBHIIII", socket.AF_PACKET, 0, 0, 0, _SHOW_MEMINFO, 0, 0
)


@dataclass(frozen=True, slots=True)
class Overflow:
    """A node's sockets dropped packets some time between two moments (CLOCK_MONOTONIC)."""

    node: str
    since_ns: int
    until_ns: int
    dropped: int


def covered(overflows: Sequence[Overflow], outage: Outage) -> bool:
    """Whether sockets dropped at least as many packets in the time of an outage as it has lost."""
    until = outage.until_ns or 2**63
    dropped = sum(
        each.dropped
        for each in overflows
        if each.since_ns <= until + _READ_LATE_NS and outage.since_ns <= each.until_ns
    )
    return dropped >= outage.lost


class Overflows(Watching):
    """Watches the packet sockets of all switches and hypervisors as long as its block runs.

    :param own: descriptors of ours, which do not count.
    """

    def __init__(self, status: LabStatus, own: Collection[int] = ()) -> None:
        super().__init__()
        self.seen: list[Overflow] = []
        self._own = {os.fstat(each).st_ino for each in own}
        self._askers: dict[str, socket.socket] = {}
        for node in (*status.switches, *status.hypervisors):
            with namespace.inside(node.pid):
                self._askers[node.name] = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
        self._known = {name: dict(drops(asker)) for name, asker in self._askers.items()}

    def dropped(self) -> int:
        """How many packets in all."""
        return sum(each.dropped for each in self.seen)

    def _close(self) -> None:
        for each in self._askers.values():
            each.close()

    def _watch(self) -> None:
        before = time.monotonic_ns()
        self._ready.set()
        while not self._end.wait(_ASK_SECONDS):
            now = time.monotonic_ns()
            for name, asker in self._askers.items():
                known, found = self._known[name], dict(drops(asker))
                more = sum(
                    count - known.get(inode, 0)
                    for inode, count in found.items()
                    if inode not in self._own and count > known.get(inode, 0)
                )
                if more:
                    self.seen.append(Overflow(name, before, time.monotonic_ns(), more))
                self._known[name] = found
            before = now


def drops(asker: socket.socket) -> Iterator[tuple[int, int]]:
    """The packet sockets of a namespace, by inode, with how many packets each has dropped."""
    asker.sendto(_REQUEST, (0, 0))
    while True:
        answer = asker.recv(1 << 16)
        while len(answer) >= _NLMSG.size:
            length, kind, *_ = _NLMSG.unpack_from(answer)
            if kind in {_NLMSG_DONE, _NLMSG_ERROR}:
                return
            yield _socket(answer[_NLMSG.size : length])
            answer = answer[(length + 3) & ~3 :]


def _socket(message: bytes) -> tuple[int, int]:
    _family, _kind, _number, inode, *_ = _HEAD.unpack_from(message)
    at = _HEAD.size
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == _MEMINFO and length >= _ATTRIBUTE.size + _DROPS_AT + 4:
            return inode, int(struct.unpack_from("=I", message, at + _ATTRIBUTE.size + _DROPS_AT)[0])
        at += (length + 3) & ~3
    return inode, 0
