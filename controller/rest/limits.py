"""How many requests may a project send, and how often may an address be wrong about who calls?

A token bucket for each of them, written as the time at which its next request is due (GCRA): one number each, which
means nothing any more once it has passed.  The operator is not held up: what repairs a cloud must get through.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from ipaddress import ip_network
from typing import Final

from flask import Request

from controller.identity.values import digest
from controller.rest.access import HEADER, Authenticator, Caller
from controller.rest.errors import TooManyRequests, Unauthorized

_REMEMBERED: Final = 10_000
"""From so many on, those are forgotten that may send a whole burst again anyway."""
_STRANGE_RATE: Final = 10.0
_STRANGE_BURST: Final = 300
"""Enough for a program whose token has just expired, and too few to fill a disk with lines of the audit log."""
_IPV6_SITE: Final = 64
"""Whoever has one IPv6 address has as many as this prefix leaves."""


class _Paces:
    """How much each of many has had lately, where each may have so much.

    :param rate: a second.
    :param burst: how many may come at once after a while of silence.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._due: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def wait(self, who: str) -> float:
        """Seconds until somebody may have one more; 0 when that is now."""
        now = self._clock()
        early = max(self._due.get(who, now), now) + (1 - self._burst) / self._rate - now
        # What is left after so many additions of fractions is no reason to send anybody away.
        return early if early > 1e-6 else 0.0  # noqa: PLR2004

    def count(self, who: str) -> None:
        """Somebody has had one."""
        now = self._clock()
        if len(self._due) >= _REMEMBERED:
            self._due = {other: at for other, at in self._due.items() if at > now}
        self._due[who] = max(self._due.get(who, now), now) + 1 / self._rate


class RateLimits:
    """What each project has sent lately, and from where credentials came that nobody has.

    :param rate: requests a second for each project; 0 for no limit.
    :param burst: how many may come at once after a while of silence.
    :param clock: seconds that only go forward.
    """

    def __init__(self, rate: float = 0.0, burst: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._projects = _Paces(rate or 1.0, burst, clock)
        self._strangers = _Paces(_STRANGE_RATE, _STRANGE_BURST, clock)

    def take(self, caller: Caller) -> None:
        """Count a request.

        :raises TooManyRequests: when it comes too early; then it is not counted.
        """
        if not self._rate or caller.is_operator or caller.project is None:
            return
        wait = self._projects.wait(caller.project)
        if wait:
            raise _too_many(f"Project {caller.project} sends more than {self._rate:g} requests per second", wait)
        self._projects.count(caller.project)

    def admit(self, address: str | None) -> None:
        """Let somebody be asked who calls from an address.

        :raises TooManyRequests: when nobody knew too many callers from there.
        """
        wait = self._strangers.wait(_site(address))
        if wait:
            raise _too_many("Too many requests from this address could not say who sends them", wait)

    def refuse(self, address: str | None) -> None:
        """Count a caller whom nobody knows.

        :raises TooManyRequests: when there were too many before.
        """
        self.admit(address)
        self._strangers.count(_site(address))


class Sparing:
    """An authenticator that asks somebody else, to whom that costs more than the question costs whoever calls.

    Strangers are sent away before, when too many came from their address.  Whose credential was good the last time is
    no stranger: who knocks and knocks must not shut out those who share an address with him.
    """

    def __init__(self, behind: Authenticator, limits: RateLimits) -> None:
        self._behind = behind
        self._limits = limits
        self._good: dict[str, None] = {}

    def identify(self, request: Request) -> Caller | None:
        """Who sent a request, by the other's word.

        :raises TooManyRequests: when the other is not to be asked.
        """
        shown = digest(request.headers.get(HEADER, ""))
        if shown not in self._good:
            self._limits.admit(request.remote_addr)
        try:
            found = self._behind.identify(request)
        except Unauthorized:
            self._good.pop(shown, None)
            raise
        if found is not None and HEADER in request.headers:
            self._good[shown] = None
            if len(self._good) > _REMEMBERED:
                del self._good[next(iter(self._good))]
        return found


def _too_many(message: str, wait: float) -> TooManyRequests:
    return TooManyRequests(message, max(1, math.ceil(wait)))


def _site(address: str | None) -> str:
    if address is None or ":" not in address:
        return str(address)
    return str(ip_network((address.partition("%")[0], _IPV6_SITE), strict=False))
