"""How many requests may a project send?

A token bucket for each project, written as the time at which its next request is due (GCRA): one number each, which
means nothing any more once it has passed.  The operator is not held up: what repairs a cloud must get through.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from controller.rest.access import Caller
from controller.rest.errors import TooManyRequests

_REMEMBERED: Final = 10_000
"""From so many projects on, those are forgotten that may send a whole burst again anyway."""


class RateLimits:
    """What each project has sent lately.

    :param rate: requests a second for each project; 0 for no limit.
    :param burst: how many may come at once after a while of silence.
    :param clock: seconds that only go forward.
    """

    def __init__(self, rate: float = 0.0, burst: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._due: dict[str, float] = {}

    def take(self, caller: Caller) -> None:
        """Count a request.

        :raises TooManyRequests: when it comes too early; then it is not counted.
        """
        if not self._rate or caller.is_operator or caller.project is None:
            return
        now = self._clock()
        due = max(self._due.get(caller.project, now), now) + 1 / self._rate
        early = due - now - self._burst / self._rate
        # What is left after so many additions of fractions is no reason to send anybody away.
        if early > 1e-6:  # noqa: PLR2004
            raise TooManyRequests(
                f"Project {caller.project} sends more than {self._rate:g} requests per second", max(1, math.ceil(early))
            )
        if len(self._due) >= _REMEMBERED:
            self._due = {project: at for project, at in self._due.items() if at > now}
        self._due[caller.project] = due
