"""Whose question is answered next, and what came of all of them?

Each port has a line of its own and the lines take turns, so that a machine that asks all the time keeps itself waiting
and no other.  A line is short: of what comes while it is full nothing is kept, since whoever asks by these protocols
asks again.  (How much may come at all is limited by the port's meter in its own switch.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple, TypeAlias

from controller.events import PacketArrived
from controller.fairness import FairQueue
from overlay.changes import Event
from overlay.tables.names import CookieKind, kind_of
from overlay.values import HostName, Port
from overlay.world import World

LINE: Final = 16
"""How many questions of one port wait at most."""

_OBJECT_MASK: Final = (1 << 40) - 1


class Verdict(Enum):
    """What became of a question."""

    ANSWERED = "answered"
    HEARD = "heard"
    """Understood, and there is nothing to say to it."""
    UNSOUND = "unsound"
    """No sound question: dropped."""


class Answer(NamedTuple):
    """What follows from a question.

    :param frames: for the machine that asked.
    :param events: what the world must hear.
    :param onward: frames that go on from the port's own switch to whom they are for.
    """

    verdict: Verdict = Verdict.HEARD
    frames: tuple[bytes, ...] = ()
    events: tuple[Event, ...] = ()
    onward: tuple[bytes, ...] = ()


UNSOUND: Final = Answer(Verdict.UNSOUND)
HEARD: Final = Answer(Verdict.HEARD)


def answered(*frames: bytes) -> Answer:
    """These frames are the answer."""
    return Answer(Verdict.ANSWERED, frames)


class Asker(NamedTuple):
    """Who asks, and where."""

    world: World
    host: HostName
    port: Port


Answerer: TypeAlias = Callable[[Asker, bytes], Answer]
"""Answers a frame.  It is pure and quick, changes nothing by itself, and raises nothing, whatever the frame holds."""


@dataclass(slots=True)
class Tally:
    """What came of the questions of one kind since the controller started."""

    asked: int = 0
    answered: int = 0
    heard: int = 0
    unsound: int = 0
    dropped: int = 0
    """Not looked at, because too many of that port waited."""
    failed: int = 0
    """Not answered because of a defect of ours."""

    def count(self, verdict: Verdict) -> None:
        """One more was looked at."""
        self.heard += verdict is Verdict.HEARD
        self.answered += verdict is Verdict.ANSWERED
        self.unsound += verdict is Verdict.UNSOUND


class Questions:
    """What machines have asked and nobody has looked at yet."""

    def __init__(self, answerers: Mapping[CookieKind, Answerer]) -> None:
        self._answerers = answerers
        self._lines: FairQueue[PacketArrived] = FairQueue(1)
        self._waiting: Counter[Hashable] = Counter()
        self.tallies: Final = {kind: Tally() for kind in answerers}

    def __len__(self) -> int:
        return len(self._lines)

    def concerns(self, event: PacketArrived) -> bool:
        """Whether a packet is a question of a machine."""
        return kind_of(event.cookie) in self._answerers

    def put(self, event: PacketArrived) -> None:
        """Let a question wait, unless too many of that port do already."""
        tally = self.tallies[CookieKind(kind_of(event.cookie))]
        tally.asked += 1
        who = (event.datapath_id, event.in_port, event.cookie & _OBJECT_MASK)
        if self._waiting[who] >= LINE:
            tally.dropped += 1
            return
        self._waiting[who] += 1
        self._lines.put(who, event)

    def take(self) -> PacketArrived:
        """The question whose turn it is.

        :raises IndexError: when nobody waits.
        """
        who, event = self._lines.take()
        self._waiting[who] -= 1
        if not self._waiting[who]:
            del self._waiting[who]
        return event

    def answer(self, event: PacketArrived, asker: Asker) -> Answer:
        """Answer a question.

        :raises Exception: if there is a defect in who answers; it is counted.
        """
        kind = CookieKind(kind_of(event.cookie))
        tally = self.tallies[kind]
        try:
            found = self._answerers[kind](asker, event.data)
        except Exception:
            tally.failed += 1
            raise
        tally.count(found.verdict)
        return found
