"""How does one port follow its guest?

By its bindings, and each step may be done twice or by somebody else as well: what is done already is a success.  A
controller that is away, or not ready yet, is asked again until it is too late to matter or another step begins.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hostside.api import Api, Binding
from hostside.errors import Away, HostsideError, Refused

PERSISTENCE_SECONDS: Final = 30.0
"""How long a controller that is away or not ready is asked again."""
_AGAIN_SECONDS: Final = 0.02
_LATER: Final = frozenset({"NotConfirmed", "PortMoveInProgress"})
"""The controller does it as soon as it can (HTTP 504), or has to end another move first."""
_ACTIVE: Final = "PortBindingAlreadyActive"
_UNKNOWN: Final = "PortBindingNotFound"
_CONFLICT: Final = 409


class Outcome(StrEnum):
    """What came of a step."""

    ACTIVATED = "activated"
    ALREADY = "already active"
    UNPREPARED = "no passive binding"
    ELSEWHERE = "not bound here"
    CANCELLED = "cancelled"
    GIVEN_UP = "given up"


CONFIRMED: Final = frozenset({Outcome.ACTIVATED, Outcome.ALREADY})


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was made.

    :param host: whose binding it was about, ``""`` if there is none. :param took: in seconds.
    """

    outcome: Outcome
    host: str
    took: float


class Mover:
    """One port; used by one thread at a time, except for :meth:`enough`.

    :param host: this host, as the controller calls it.
    """

    def __init__(self, api: Api, port_id: str, host: str, persistence: float = PERSISTENCE_SECONDS) -> None:
        self._api = api
        self.port_id = port_id
        self._host = host
        self._persistence = persistence
        self._target = ""
        self._enough = threading.Event()

    def enough(self) -> None:
        """Let the step that is being made be the last try of it: another one follows."""
        self._enough.set()

    def close(self) -> None:
        """End the connection."""
        self._api.close()

    def look(self) -> str:
        """Ask where the port may go, which is kept in mind; ``""`` if nowhere.  :raises HostsideError: if unknown."""
        self._target = elsewhere(self._api.bindings(self.port_id), self._host)
        return self._target

    def hand_over(self) -> Step:
        """Activate the binding at the other host.  :raises HostsideError: if it cannot be."""

        def attempt() -> Outcome | None:
            target = self._target or self.look()
            if not target:
                return Outcome.UNPREPARED
            outcome = self._activate(target)
            if outcome is Outcome.ELSEWHERE:
                # It was prepared for another host, or for none any more.
                self._target = ""
                return None if self.look() else Outcome.UNPREPARED
            return outcome

        return self._persist(attempt, lambda: self._target)

    def arrive(self) -> Step:
        """Activate the binding here, if it is not active.  :raises HostsideError: if it cannot be."""
        return self._persist(lambda: self._activate(self._host), lambda: self._host)

    def take_back(self) -> Step:
        """Have the port here again, by a move of its own where the first one is over.

        :raises HostsideError: if it cannot be.
        """

        def attempt() -> Outcome | None:
            outcome = self._activate(self._host)
            if outcome is not Outcome.ELSEWHERE:
                return outcome
            try:
                self._api.prepare(self.port_id, self._host)
            except Refused as refused:
                if refused.status != _CONFLICT:
                    raise
            return None

        return self._persist(attempt, lambda: self._host)

    def call_off(self) -> Step:
        """Delete the passive binding.  :raises HostsideError: if it cannot be."""

        def attempt() -> Outcome:
            target = self.look()
            if not target:
                return Outcome.UNPREPARED
            self._api.remove(self.port_id, target)
            return Outcome.CANCELLED

        return self._persist(attempt, lambda: self._target)

    def _activate(self, host: str) -> Outcome | None:
        """Ask once; ``None`` if it is not done yet."""
        try:
            self._api.activate(self.port_id, host)
        except Refused as refused:
            match refused.kind:
                case kind if kind in _LATER:
                    return None
                case kind if kind == _ACTIVE:
                    return Outcome.ALREADY
                case kind if kind == _UNKNOWN:
                    return Outcome.ELSEWHERE
                case _:
                    raise
        return Outcome.ACTIVATED

    def _persist(self, attempt: Callable[[], Outcome | None], host: Callable[[], str]) -> Step:
        begun = time.monotonic()
        self._enough.clear()
        while True:
            trouble: HostsideError | None = None
            outcome: Outcome | None = None
            try:
                outcome = attempt()
            except Away as away:
                trouble = away
            took = time.monotonic() - begun
            if outcome is not None:
                return Step(outcome, host(), took)
            if self._enough.wait(_AGAIN_SECONDS) or took > self._persistence:
                if trouble is not None:
                    raise trouble
                return Step(Outcome.GIVEN_UP, host(), took)


def elsewhere(bindings: tuple[Binding, ...], here: str) -> str:
    """The host of the inactive binding that is not here, ``""`` if there is none."""
    return next((each.host for each in bindings if not each.active and each.host != here), "")
