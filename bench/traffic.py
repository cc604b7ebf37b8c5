"""What does every machine of two tenants hear while all of them send?

One packet socket per machine, on its ``eth0``: through it the machine sends, and every frame that arrives is judged
(``bench.marks``) and counted.  The machines' kernels are silent, so that nothing but marked frames is sent.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from bench.marks import Ground, Identity, Kind, Mark, Other, Verdict, honest, hostile
from bench.watching import Watching
from topologies import namespace
from topologies.client import LabClient
from topologies.errors import LabError

ROUNDS_PER_SECOND: Final = 4.0
_ETH_P_ALL: Final = 3
_SO_RCVBUFFORCE: Final = 33
_BUFFER: Final = 1 << 24
_SOL_PACKET, _PACKET_STATISTICS, _PACKET_IGNORE_OUTGOING = 263, 6, 23
_FRAME_MAX: Final = 4096
_EXAMPLES: Final = 20
_SILENCE: Final = (
    "sysctl -qw net.ipv4.conf.all.arp_ignore=8 net.ipv6.conf.eth0.disable_ipv6=1 && ip link set dev eth0 arp off"
)


@dataclass(slots=True)
class Tally:
    """What a machine has heard, however often it was unplugged meanwhile."""

    own: Counter[tuple[int, Kind]] = field(default_factory=Counter)
    """Frames of its own network, by sender and kind."""
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    missed: int = 0
    """Frames that came faster than they were counted."""

    def heard(self, kinds: Iterable[Kind]) -> int:
        """How many frames of these kinds."""
        wanted = set(kinds)
        return sum(frames for (_, kind), frames in self.own.items() if kind in wanted)


@dataclass(frozen=True, slots=True)
class Seat:
    """A machine that is plugged, with what it is to send."""

    name: str
    number: int
    tenant: int
    network: int
    own: Identity
    other: Other
    ear: socket.socket


class Traffic(Watching):
    """Sends and counts as long as its block runs.

    :param owners: which tenants may have ports in which network.
    """

    def __init__(self, lab: LabClient, owners: dict[int, frozenset[int]]) -> None:
        super().__init__()
        self._lab = lab
        self._owners = owners
        self._lock = threading.Lock()
        self._seats: dict[str, Seat] = {}
        self._grounds: dict[str, Ground] = {}
        self._macs: dict[int, set[int]] = {network: set() for network in owners}
        self._poller = select.poll()
        self._names: dict[int, str] = {}
        self._number = 0
        self._lately: set[tuple[str, int]] = set()
        self.tallies: dict[str, Tally] = {}
        self.sent: Counter[Kind] = Counter()
        self.crossings: list[str] = []
        """The first ones, for whoever looks into it."""

    # ── who is there ─────────────────────────────────────────────────────────────────────────────────────────────────

    def plugged(self, name: str, pid: int, mark: Mark, own: Identity, other: Other) -> None:
        """Let a machine send and be heard from now on.

        :param mark: with its tenant, network and number.
        """
        with namespace.inside(pid):
            ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        ear.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        ear.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        ear.bind(("eth0", _ETH_P_ALL))
        ear.setblocking(False)
        # The ear first: what arrives while the kernel is being silenced is heard.
        done = self._lab.run(name, ["bash", "-c", _SILENCE])
        if done.returncode:
            ear.close()
            raise LabError(f"{name} cannot be silenced: {done.stderr}")
        with self._lock:
            self._macs[mark.network].add(own.mac)
            self._seats[name] = Seat(name, mark.sender, mark.tenant, mark.network, own, other, ear)
            self.tallies.setdefault(name, Tally())
            self._survey()
            self._names[ear.fileno()] = name
            self._poller.register(ear, select.POLLIN)

    def unplugged(self, name: str) -> None:
        """Count what a machine has heard to the end, and let it be silent."""
        with self._lock:
            seat = self._seats.pop(name)
            self._drain(seat)
            self._poller.unregister(seat.ear)
            del self._names[seat.ear.fileno()]
            self._miss(seat)
            seat.ear.close()

    def renumbered(self, name: str, own: Identity) -> None:
        """Let a machine use other addresses from now on."""
        with self._lock:
            self._seats[name] = replace(self._seats[name], own=own)

    def _survey(self) -> None:
        self._grounds = {
            name: Ground(
                seat.network, self._owners[seat.network], frozenset(self._macs[seat.network]), seat.other.lonely
            )
            for name, seat in self._seats.items()
        }

    def reset(self) -> None:
        """Forget everything that was counted: what was before the run."""
        with self._lock:
            for name, seat in self._seats.items():
                self._drain(seat)
                self.tallies[name] = Tally()
            self.sent.clear()
            self.crossings.clear()

    def forget_peers(self) -> None:
        """Let :meth:`deaf` look at what is heard from now on."""
        with self._lock:
            for seat in self._seats.values():
                self._drain(seat)
            self._lately.clear()

    def inject(self, name: str, frame: bytes) -> None:
        """Let a machine send one frame, whatever it says."""
        with self._lock:
            self._seats[name].ear.send(frame)

    # ── what is heard ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def names(self) -> list[str]:
        """Who is plugged."""
        with self._lock:
            return list(self._seats)

    def deaf(self) -> dict[str, list[str]]:
        """Who has not heard which others of its network by unicast, since the start or :meth:`forget_peers`."""
        with self._lock:
            found = {
                seat.name: [
                    peer.name
                    for peer in self._seats.values()
                    if peer.network == seat.network
                    and peer is not seat
                    and (seat.name, peer.number) not in self._lately
                ]
                for seat in self._seats.values()
            }
        return {name: missing for name, missing in found.items() if missing}

    def _watch(self) -> None:
        due = time.monotonic()
        self._ready.set()
        while not self._end.is_set():
            with self._lock:
                for seat in self._seats.values():
                    self._speak(seat)
            due = max(due + 1 / ROUNDS_PER_SECOND, time.monotonic())
            while (left := due - time.monotonic()) > 0:
                ready = self._poller.poll(left * 1000)
                with self._lock:
                    for number, _event in ready:
                        if number in self._names:
                            self._drain(self._seats[self._names[number]])

    def _speak(self, seat: Seat) -> None:
        self._number += 1
        peers = [each.own for each in self._seats.values() if each.network == seat.network and each is not seat]
        mark = Mark(seat.tenant, seat.network, seat.number, Kind.UNICAST, self._number)
        for kind, frame in (*honest(seat.own, peers, mark), *hostile(seat.own, seat.other, mark)):
            # A card that is being pulled or stopped refuses: that is not sent.
            with suppress(OSError):
                seat.ear.send(frame)
                self.sent[kind] += 1

    def _drain(self, seat: Seat) -> None:
        tally, ground = self.tallies[seat.name], self._grounds[seat.name]
        with suppress(OSError):
            while True:
                frame = seat.ear.recv(_FRAME_MAX)
                verdict, mark = ground.judge(frame)
                tally.verdicts[verdict] += 1
                if verdict is Verdict.OWN and mark is not None:
                    tally.own[mark.sender, mark.kind] += 1
                    if mark.kind is Kind.UNICAST:
                        self._lately.add((seat.name, mark.sender))
                elif verdict is not Verdict.HOUSEKEEPING and len(self.crossings) < _EXAMPLES:
                    self.crossings.append(f"{seat.name}: {verdict.name.lower()} {mark or ''} {frame[:64].hex()}")

    def _miss(self, seat: Seat) -> None:
        _packets, dropped = struct.unpack("II", seat.ear.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self.tallies[seat.name].missed += dropped

    def _close(self) -> None:
        for name in tuple(self._seats):
            self.unplugged(name)
