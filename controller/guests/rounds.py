"""Whose turn is it to be told something that it has not asked for?

All ports of some networks, now and then; and single ones when there is reason to.  They are told a few at a time, so
that neither this nor what they say to it comes all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final

from overlay.values import HostName
from overlay.world import World

AT_ONCE: Final = 20
"""How many ports are told in one turn, at least."""

MOST: Final = 200
"""And at most, or others would be kept waiting: 10 ms' worth, with which 120,000 ports are told in a minute."""

TURNS: Final = 10
"""How many turns there are a second, about."""

_SHARE: Final = 4
"""All have been told after one of so many parts of the interval."""

_LOOK_AGAIN: Final = 1.0


class Rounds:
    """Knows when whom was told; acts by what it yields.

    :param interval: seconds between two rounds.
    :param networks: the ids of those whose ports are told in rounds.
    """

    def __init__(self, world: World, interval: float, networks: Callable[[], Iterable[str]]) -> None:
        self.asked = 0
        """How many ports have been told so far."""
        self._world = world
        self._interval = interval
        self._networks = networks
        self._due: dict[str, float] = {}
        self._waiting: dict[str, None] = {}
        self._look = 0.0

    def activated(self, port_id: str) -> None:
        """A port is active."""
        self._waiting[port_id] = None

    def returned(self, host: HostName) -> None:
        """The session of a host is there again."""
        self._waiting.update((port.id, None) for port in self._world.ports_on_host(host))

    def turn(self, now: float) -> Iterator[tuple[HostName, str]]:
        """Name the ports that are to be told in this turn, and where they are plugged.

        :param now: seconds, on any clock that goes on.
        """
        if now >= self._look:
            self._look = now + _LOOK_AGAIN
            for network_id in self._come(now):
                self._waiting.update((port.id, None) for port in self._world.ports_of_network(network_id))
        pace = min(max(AT_ONCE, round(len(self._waiting) * _SHARE / (self._interval * TURNS))), MOST)
        for port_id in tuple(islice(self._waiting, pace)):
            del self._waiting[port_id]
            for tap in self._world.footing(port_id).taps:
                if not tap.passive:
                    self.asked += 1
                    yield tap.host, port_id

    def _come(self, now: float) -> Iterator[str]:
        """The networks whose time has come; the first time is one interval after they were seen first."""
        found = set(self._networks())
        for network_id in self._due.keys() - found:
            del self._due[network_id]
        for network_id in sorted(found):
            due = self._due.setdefault(network_id, now + self._interval)
            if now >= due:
                self._due[network_id] = now + self._interval
                yield network_id
