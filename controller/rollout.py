"""Has the time of an update's next step come?

Carries out what ``controller.fabric.rollout`` has planned: a step is due when the switches that it needs have confirmed
what they were sent before.  A switch that does not confirm is waited for once, for a bounded time, and not again until
it has.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from controller.fabric.rollout import Stage
from controller.fabric.targets import Desired
from overlay.values import DatapathId

_LOG: Final = logging.getLogger(__name__)
PATIENCE: Final = 1.0
"""Seconds for which an update waits for a switch that does not confirm."""


class Rollout:
    """The steps of the present update that are still to come.

    :param owes: whether a switch that can be reached has not confirmed what it was sent.
    """

    def __init__(self, owes: Callable[[DatapathId], bool]) -> None:
        self._owes = owes
        self._stages: deque[Stage] = deque()
        self._late: set[DatapathId] = set()
        """Who was waited for in vain, and has not confirmed since."""
        self._until: float | None = None
        """When the first step is carried out in any case."""

    def __bool__(self) -> bool:
        """Whether any step is still to come."""
        return bool(self._stages)

    @property
    def pending(self) -> frozenset[DatapathId]:
        """The switches that are to get something yet."""
        return frozenset(switch for stage in self._stages for switch in stage.routes)

    def follow(self, plan: Iterable[Stage]) -> None:
        """Follow another plan from now on."""
        self._stages = deque(plan)
        self._until = None

    def due(self, now: float) -> dict[DatapathId, Desired]:
        """Take the steps whose time has come; returns what switches are to hold now.

        :param now: seconds of a clock that only goes forward.
        """
        due: dict[DatapathId, Desired] = {}
        self._late = set(filter(self._owes, self._late))
        while self._stages:
            stage = self._stages[0]
            owing = {switch for switch in stage.after if switch in due or self._owes(switch)} - self._late
            if owing or stage.linger:
                if self._until is None:
                    self._until = now + (PATIENCE if owing else stage.linger)
                if now < self._until:
                    break
                if owing:
                    _LOG.warning("not waiting any longer for %s", ", ".join(map(str, sorted(owing))))
                self._late |= owing
            self._until = None
            due |= stage.routes
            self._stages.popleft()
        return due
