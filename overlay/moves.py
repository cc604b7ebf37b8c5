"""In which phase is a move, and when does it enter the next one?

The life of a move is two tables: :data:`PHASES` says what the switches do in each phase, :data:`ARROWS` when the
next one is entered.  The world gathers the facts (:class:`Situation`), :func:`following` reads the table.  The diagram
in the documentation is printed from it by :func:`diagram`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from overlay.values import HostName


class Phase(StrEnum):
    """Where a move stands."""

    PREPARING = "preparing"
    READY = "ready"
    HAIRPINNING = "hairpinning"
    REPOINTING = "repointing"
    GRACE = "grace"
    SETTLED = "settled"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Trigger(StrEnum):
    """What began a move."""

    PASSIVE_BINDING = "passive_binding"
    REBIND = "rebind"
    APPEARED = "appeared"


@dataclass(frozen=True, slots=True)
class Doing:
    """What the switches do in a phase.

    :param source: whether the source's host delivers to its own tap; if not, it turns frames round to the target.
    :param floods: whether it delivers there what is flooded, or sent to a group of which the port is a member.
    :param target: whether the target's host delivers to its own tap whatever comes from wherever, and lets the port
        send; if not, it delivers what comes by the tunnel, which nobody sends yet.
    :param others: whether all other hosts send to the target; if not, to the source.
    :param meaning: the same in a sentence.
    """

    source: bool
    floods: bool
    target: bool
    others: bool
    meaning: str


PHASES: Final[Mapping[Phase, Doing]] = {
    Phase.PREPARING: Doing(
        True, True, False, False, "the target gets the whole program, passive; floods reach its host"
    ),
    Phase.READY: Doing(True, True, False, False, "confirmed everywhere; the VM may move at any moment"),
    Phase.HAIRPINNING: Doing(
        False,
        True,
        True,
        False,
        "the source turns round to the target what reaches it still, the target lets the VM send",
    ),
    Phase.REPOINTING: Doing(False, False, True, True, "all other hosts send to the target"),
    Phase.GRACE: Doing(False, False, True, True, "the hairpin waits for stragglers"),
}
"""The phases of a live move."""

LIVE: Final = frozenset(PHASES)
SWITCHING: Final = frozenset({Phase.HAIRPINNING, Phase.REPOINTING, Phase.GRACE})
"""The phases after activation: there is a new owner of the port's place."""


@dataclass(frozen=True, slots=True)
class Move:
    """A port on its way from one host to another, or one that has arrived.

    :param id: ``<port id>:<number>``.
    :param automatic: whether it switches by itself as soon as it is ready.
    :param timeline: when (seconds, the owner's clock) each phase was entered; the last one is the present phase.
    :param reason: why the present phase was entered.
    :param stale: a host where a leftover tap of the port is still plugged, which must not begin another move.
    """

    id: str
    port_id: str
    source: HostName
    target: HostName
    trigger: Trigger
    timeline: tuple[tuple[Phase, float], ...]
    automatic: bool = False
    reason: str = ""
    stale: HostName | None = None

    @property
    def phase(self) -> Phase:
        """The phase that was entered last."""
        return self.timeline[-1][0]

    @property
    def since(self) -> float:
        """When the present phase was entered."""
        return self.timeline[-1][1]

    @property
    def begun(self) -> float:
        """When the move began."""
        return self.timeline[0][1]

    @property
    def live(self) -> bool:
        """Whether it is still under way."""
        return self.phase in LIVE

    @property
    def number(self) -> int:
        """The number that the world gave it; later moves have higher ones."""
        return int(self.id.rpartition(":")[2])

    def entering(self, phase: Phase, now: float, reason: str) -> Move:
        """The same move, one phase later."""
        return replace(self, timeline=(*self.timeline, (phase, now)), reason=reason)


@dataclass(frozen=True, slots=True)
class Situation:
    """The facts that decide about a move.

    "Gone" means known to be unplugged; after a restart a host that has not reported yet has neither a tap nor lost one.
    """

    move: Move
    now: float
    source_gone: bool
    source_lost: bool
    target_plugged: bool
    target_gone: bool
    target_lost: bool
    confirmed_everywhere: bool
    confirmed_source: bool
    confirmed_target: bool
    grace: float
    move_timeout: float


def _expired(at: Situation) -> bool:
    return at.now - at.move.begun >= at.move_timeout


def _vanished_before(at: Situation) -> bool:
    return at.move.trigger is Trigger.APPEARED and (at.target_gone or at.target_lost)


def _prepared(at: Situation) -> bool:
    return at.target_plugged and not at.target_lost and at.confirmed_everywhere


def _unprepared(at: Situation) -> bool:
    return at.target_gone or at.target_lost


def _activated(at: Situation) -> bool:
    return at.target_plugged and (at.move.automatic or at.source_gone)


def _fallen_back(at: Situation) -> bool:
    return (at.target_gone or at.target_lost) and not at.source_gone and not at.source_lost


def _both_done(at: Situation) -> bool:
    return at.confirmed_source and at.confirmed_target


def _all_done(at: Situation) -> bool:
    return at.confirmed_everywhere


def _grace_over(at: Situation) -> bool:
    return at.now - at.move.since >= at.grace


@dataclass(frozen=True, slots=True)
class Arrow:
    """One transition: taken when its condition holds; of several, the first in the table."""

    before: Phase
    after: Phase
    when: Callable[[Situation], bool]
    because: str


ARROWS: Final[tuple[Arrow, ...]] = (
    Arrow(Phase.PREPARING, Phase.FAILED, _vanished_before, "target gone before activation"),
    Arrow(Phase.PREPARING, Phase.FAILED, _expired, "timed out"),
    Arrow(Phase.PREPARING, Phase.READY, _prepared, "target plugged, all hosts confirmed"),
    Arrow(Phase.READY, Phase.FAILED, _vanished_before, "target gone before activation"),
    Arrow(Phase.READY, Phase.FAILED, _expired, "timed out"),
    Arrow(Phase.READY, Phase.PREPARING, _unprepared, "target unplugged"),
    Arrow(Phase.READY, Phase.HAIRPINNING, _activated, "activated by announcement, rebind or unplugged source"),
    Arrow(Phase.HAIRPINNING, Phase.FAILED, _fallen_back, "target lost, source still there"),
    Arrow(Phase.HAIRPINNING, Phase.REPOINTING, _both_done, "source and target confirmed"),
    Arrow(Phase.REPOINTING, Phase.FAILED, _fallen_back, "target lost, source still there"),
    Arrow(Phase.REPOINTING, Phase.GRACE, _all_done, "all hosts confirmed"),
    Arrow(Phase.GRACE, Phase.SETTLED, _grace_over, "grace time over"),
)
"""The arrows that facts take."""

ORDERED: Final[tuple[tuple[Phase, Phase, str], ...]] = (
    (Phase.PREPARING, Phase.CANCELLED, "unbound, port unbound or deleted"),
    (Phase.READY, Phase.CANCELLED, "unbound, port unbound or deleted"),
    (Phase.READY, Phase.HAIRPINNING, "activated by request"),
    *((phase, Phase.CANCELLED, "port deleted") for phase in PHASES if phase in SWITCHING),
)
"""The arrows that intents take."""


def following(at: Situation) -> Arrow | None:
    """The arrow that the facts take from the move's present phase, if any."""
    return next((arrow for arrow in ARROWS if arrow.before is at.move.phase and arrow.when(at)), None)


def deadline(move: Move, grace: float, move_timeout: float) -> float | None:
    """When time alone will take the move further (seconds, the owner's clock)."""
    match move.phase:
        case Phase.PREPARING | Phase.READY:
            return move.begun + move_timeout
        case Phase.GRACE:
            return move.since + grace
        case _:
            return None


def diagram() -> str:
    """Draw both tables of arrows as a Mermaid state diagram."""
    arrows = [(arrow.before, arrow.after, arrow.because) for arrow in ARROWS]
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.PREPARING}: passive binding, rebind, or appeared elsewhere"]
    lines += [f"    {before} --> {after}: {because}" for before, after, because in (*arrows, *ORDERED)]
    lines += [f"    {phase} --> [*]" for phase in Phase if phase not in LIVE]
    lines += [f"    note right of {phase}: {doing.meaning}" for phase, doing in PHASES.items()]
    return "\n".join(lines) + "\n"
