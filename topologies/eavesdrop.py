"""Does anything of one tenant ever reach a machine of another?

Every machine of every tenant says its tenant's mark, to each address of the network and to everybody, for as long as
the block runs; a packet socket on every machine's only interface counts whose marks arrive.  That own marks arrive
shows that the ears hear.
"""

from __future__ import annotations

import secrets
import select
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from topologies import namespace
from topologies.client import LabClient
from topologies.errors import NoSuchNode, TopologyError
from topologies.orders import Kind

_ETH_P_ALL: Final = 3
_PACKET_HOST: Final = 0
_PACKET_OTHERHOST: Final = 3
_PORT: Final = 7012
_EVERY_SECONDS: Final = 0.02
_SNAPSHOT: Final = 2048


@dataclass(frozen=True, slots=True)
class Heard:
    """How many frames with marks came in at all machines together."""

    own: int
    foreign: int


class Eavesdropping:
    """Marks being said and heard, in a thread of its own.

    :param tenants: the names of the machines of each tenant; tenants may use the same addresses.
    :raises NoSuchNode: if there is no such machine.
    """

    def __init__(self, lab: LabClient, tenants: Mapping[str, Sequence[str]]) -> None:
        machines = {machine.name: machine for machine in lab.status().vms}
        self._marks = {tenant: f"vl2-{tenant}-".encode() + secrets.token_bytes(8) for tenant in tenants}
        self._open = ExitStack()
        self._ears: dict[int, tuple[str, socket.socket]] = {}
        self._mouths: list[tuple[bytes, socket.socket, tuple[str, ...]]] = []
        self._counts: Counter[bool] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="eavesdropping", daemon=True)
        with ExitStack() as failed:
            failed.enter_context(self._open)
            for tenant, names in tenants.items():
                unknown = [name for name in names if name not in machines]
                if unknown:
                    raise NoSuchNode(f"there is no virtual machine {unknown[0]!r}", "name")
                guests = [name for name in names if machines[name].kind is Kind.QEMU]
                if guests:
                    raise TopologyError(f"tenants: {guests[0]} is a QEMU guest, into which nobody can look", "tenants")
                addresses = [machines[name].addresses[0].partition("/")[0] for name in names]
                for name in names:
                    with namespace.inside(machines[name].pid):
                        ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
                        mouth = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    self._open.enter_context(ear)
                    self._open.enter_context(mouth)
                    ear.setblocking(False)
                    mouth.setblocking(False)
                    mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                    mouth.bind(("", _PORT))
                    self._ears[ear.fileno()] = (tenant, ear)
                    self._mouths.append((self._marks[tenant], mouth, (*addresses, "255.255.255.255")))
            failed.pop_all()

    def start(self) -> None:
        """Begin to speak and to listen."""
        self._thread.start()

    def stop(self) -> Heard:
        """End, and count."""
        self._stop.set()
        self._thread.join()
        self._open.close()
        return Heard(own=self._counts[True], foreign=self._counts[False])

    def _run(self) -> None:
        poller = select.poll()
        for fd in self._ears:
            poller.register(fd, select.POLLIN)
        while not self._stop.wait(_EVERY_SECONDS):
            for mark, mouth, addresses in self._mouths:
                for address in addresses:
                    with suppress(OSError):  # a machine that stands still takes nothing
                        mouth.sendto(mark, (address, _PORT))
            for fd, _event in poller.poll(0):
                self._listen(*self._ears[fd])

    def _listen(self, tenant: str, ear: socket.socket) -> None:
        while True:
            try:
                frame, (_interface, _protocol, kind, _arp, _mac) = ear.recvfrom(_SNAPSHOT)
            except BlockingIOError:
                return
            if not _PACKET_HOST <= kind <= _PACKET_OTHERHOST:
                continue  # its own words on their way out
            for owner, mark in self._marks.items():
                if mark in frame:
                    self._counts[owner == tenant] += 1


@contextmanager
def eavesdropping(lab: LabClient, tenants: Mapping[str, Sequence[str]]) -> Iterator[Eavesdropping]:
    """Say and hear marks as long as the block runs; call :meth:`Eavesdropping.stop` in it for the counts."""
    running = Eavesdropping(lab, tenants)
    running.start()
    try:
        yield running
    finally:
        running.stop()
