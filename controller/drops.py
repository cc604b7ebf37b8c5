"""What was dropped at a port, and at the hosts from which its machine has moved?

Each port's drops are counted by flows of its own at the switch where it is plugged, by reason, and read when somebody
asks.  A move takes the source's flows away.  What they have met is read while the move is under way, when it is ready
and when all hosts have confirmed it, and whenever somebody asks; once the move is over it is added to what the target
has counted.  Kept in memory only: a restarted controller begins with what the switches hold.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from controller.channel import Spawn
from controller.events import Met
from controller.service import NotCounted
from controller.views import DropReason, DropView
from overlay.changes import Notice, NoticeKind
from overlay.moves import LIVE, Move, Phase
from overlay.tables.names import CookieKind, provenance
from overlay.values import HostName
from overlay.world import World

_LOG: Final = logging.getLogger(__name__)

REASONS: Final[Mapping[CookieKind, DropReason]] = {
    CookieKind.SPOOFED: "spoofed",
    CookieKind.SILENCED: "silenced",
    CookieKind.ROGUE: "rogue",
    CookieKind.TAGGED: "tagged",
    CookieKind.REFUSED_OUT: "refused_out",
    CookieKind.REFUSED_IN: "refused_in",
}
"""Why a port's frames are dropped, by the kind of the flow that counts them."""

_READ_AT: Final = frozenset({Phase.READY, Phase.GRACE})
"""Before the machine leaves, when its tap may go at any moment; and when it has left."""

_Counts: TypeAlias = tuple[Met, ...]
_NONE: Final[_Counts] = (Met(0, 0),) * len(REASONS)

MetAt: TypeAlias = Callable[[HostName, Sequence[int]], _Counts]
"""What the flows with each of some cookies have met at a host; blocks the calling greenlet only."""


@dataclass(slots=True)
class _Left:
    """What the source of a move that is under way has counted at a port, as far as is known."""

    move_id: str
    host: HostName
    counts: _Counts = _NONE


class Drops:
    """The drops of all ports.

    :param met_at: asks a host's switch.
    """

    def __init__(self, world: World, *, met_at: MetAt, spawn: Spawn) -> None:
        self._world = world
        self._met_at = met_at
        self._spawn = spawn
        self._leaving: dict[str, _Left] = {}
        self._left: dict[str, _Counts] = {}

    def noticed(self, notices: Iterable[Notice]) -> None:
        """Follow moves: read what their sources have counted, and keep it when they are over."""
        for notice in notices:
            if notice.kind is NoticeKind.MOVE_PHASE:
                self._entered(notice.id, Phase(notice.detail))

    def of(self, port_id: str) -> tuple[DropView, ...]:
        """Ask the switches where a port is plugged.

        :raises NotFound: if there is no such port.
        :raises NotCounted: when a switch does not answer.
        """
        port = self._world.port(port_id)
        left = self._leaving.get(port_id)
        total = self._left.get(port_id, _NONE) if port.travelled else _NONE
        hosts = [tap.host for tap in self._world.footing(port_id).taps]
        for host in hosts:
            try:
                counted = self._ask(host, port_id)
            except (TimeoutError, OSError) as error:
                raise NotCounted(f"what was dropped at port {port_id} cannot be counted now: {error}") from error
            total = _sum(total, counted)
            self._keep(port_id, host, counted)
        if left is not None and left.host not in hosts:
            total = _sum(total, left.counts)
        return tuple(
            DropView(reason, met.packets, met.bytes) for reason, met in zip(REASONS.values(), total, strict=True)
        )

    def _ask(self, host: HostName, port_id: str) -> _Counts:
        return self._met_at(host, [provenance(kind, port_id) for kind in REASONS])

    def _entered(self, move_id: str, phase: Phase) -> None:
        if phase in LIVE:
            move = self._world.move_of(move_id.rpartition(":")[0])
            if phase in _READ_AT and move is not None and move.id == move_id:
                self._read(move)
            return
        for port_id in [port_id for port_id, left in self._leaving.items() if left.move_id == move_id]:
            left = self._leaving.pop(port_id)
            if phase is Phase.SETTLED and left.counts != _NONE:
                self._left[port_id] = _sum(self._left.get(port_id, _NONE), left.counts)
        for port_id in [port_id for port_id in self._left if port_id not in self._world.ports]:
            del self._left[port_id]

    def _read(self, move: Move) -> None:
        """Ask the source beside the owner; an answer that does not come is no reason to hold anything up."""
        trunk = self._world.trunk_led_by(move.port_id)
        subs = () if trunk is None else (sub.port_id for sub in trunk.sub_ports)
        for port_id in (move.port_id, *subs):
            left = self._leaving.get(port_id)
            if left is None or left.move_id != move.id:
                self._leaving[port_id] = _Left(move.id, move.source)

        def read() -> None:
            for port_id in [port_id for port_id, left in self._leaving.items() if left.move_id == move.id]:
                try:
                    self._keep(port_id, move.source, self._ask(move.source, port_id))
                except (TimeoutError, OSError) as error:
                    _LOG.info("what %s has dropped at port %s could not be counted: %s", move.source, port_id, error)

        self._spawn(read)

    def _keep(self, port_id: str, host: HostName, counted: _Counts) -> None:
        """Of two readings of one host the higher one is the later; where the flows are gone already it says nothing."""
        left = self._leaving.get(port_id)
        if left is not None and left.host == host:
            left.counts = tuple(
                Met(max(one.packets, other.packets), max(one.bytes, other.bytes))
                for one, other in zip(left.counts, counted, strict=True)
            )


def _sum(one: _Counts, other: _Counts) -> _Counts:
    return tuple(Met(a.packets + b.packets, a.bytes + b.bytes) for a, b in zip(one, other, strict=True))
