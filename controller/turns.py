"""How do many requests share one core without keeping each other waiting?

All greenlets run on one core, one after the other.  A request passes a :class:`Turnstile` before it is looked at, and
again whenever it has worked for a millisecond; the turnstile lets few on in each round of the hub, in turns between
the projects.  So a project's thousand requests, or its one request for thousands of objects, cost another project's
request a few milliseconds.  While something urgent goes on nobody is let on, for a while.  The edge says once per
request whose it is (:func:`begin`); whoever works for it asks :func:`whose`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final, TypeVar

from controller import green
from controller.fairness import FairQueue

green.prepare()  # the API's description is printed without a launcher

import eventlet.event  # noqa: E402
import eventlet.hubs  # noqa: E402

T = TypeVar("T")

_SLICE_SECONDS: Final = 0.001
"""For how long a request works until it lets others have their turn."""
_ROUND: Final = 4
"""How many requests are let on in one round, or else one that has worked for a slice already and will for another."""
_HELD_SECONDS: Final = 0.05
"""For how long at a time something urgent may keep all others waiting."""
_LOOK_SECONDS: Final = 0.001
"""How often it is looked whether it is over."""


class Turnstile:
    """Lets requests on, a few milliseconds' worth in each round of the hub, in turns between those whose they are.

    :param urgent: whether something goes on that nobody may delay: nobody is let on meanwhile, for 50 ms at the most.
    """

    def __init__(self, urgent: Callable[[], bool] = lambda: False) -> None:
        self._waiting: FairQueue[tuple[eventlet.event.Event, int]] = FairQueue(_ROUND)
        self._turning = False
        self._urgent = urgent
        self._held: float | None = None
        """Since when something urgent keeps everybody waiting; stays until that is over."""

    def enter(self, who: str | None) -> None:
        """Return when it is the turn of a new request; does not wait at all while nobody else is here.

        :param who: whose request it is.
        """
        if self._turning:
            self._wait(who, 1)
            return
        self._turning = True
        self._turn_later()
        if self._urgent():
            self._wait(who, 1)

    def give_way(self, who: str | None) -> None:
        """Let others have their turn, and return when it is the caller's again for another slice of work."""
        if not self._turning:
            self._turning = True
            self._turn_later()
        self._wait(who, _ROUND)

    def _wait(self, who: str | None, cost: int) -> None:
        mine = eventlet.event.Event()
        self._waiting.put(who, (mine, cost), cost)
        mine.wait()

    def _closed(self) -> bool:
        """Whether nobody is let on at present."""
        if not self._urgent():
            self._held = None
            return False
        now = time.perf_counter()
        if self._held is None:
            self._held = now
        return now - self._held < _HELD_SECONDS

    def _turn(self) -> None:
        if self._waiting and self._closed():
            self._turn_later(_LOOK_SECONDS)
            return
        room = _ROUND
        while self._waiting and room > 0:
            _, (first, cost) = self._waiting.take()
            room -= cost
            first.send()
        self._turning = room < _ROUND
        if self._turning:
            self._turn_later()

    def _turn_later(self, seconds: float = 0) -> None:
        """In the next round of the hub, when those who were let on have worked."""
        eventlet.hubs.get_hub().schedule_call_global(seconds, self._turn)


@dataclass(slots=True)
class _Turn:
    """A request that was let on."""

    turnstile: Turnstile
    who: str | None
    until: float

    def breathe(self) -> None:
        """Let others have their turn, if this one has lasted long enough."""
        if time.perf_counter() >= self.until:
            self.turnstile.give_way(self.who)
            self.until = time.perf_counter() + _SLICE_SECONDS


_PRESENT: Final[ContextVar[_Turn | None]] = ContextVar("present", default=None)
"""The request that the present greenlet works for."""


def begin(turnstile: Turnstile, who: str | None, *, urgent: bool = False) -> None:
    """Say whose request the present greenlet works for from now on, and wait for its turn.

    :param who: the project, or None for the operator.
    :param urgent: whether it goes on at once.
    """
    if not urgent:
        turnstile.enter(who)
    _PRESENT.set(_Turn(turnstile, who, time.perf_counter() + _SLICE_SECONDS))


def whose() -> str | None:
    """Whose request the present greenlet works for; None is the operator's, or nobody's."""
    turn = _PRESENT.get()
    return None if turn is None else turn.who


def paced(things: Iterable[T]) -> Iterator[T]:
    """Hand things out one by one, and let others have their turn in between whenever this one has lasted long enough.

    What is handed out must not change while others have their turn: give a copy of what could.
    """
    turn = _PRESENT.get()
    for thing in things:
        if turn is not None:
            turn.breathe()
        yield thing
