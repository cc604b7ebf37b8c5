"""Which machines are to be asked now what they listen to?

Every port of a network in which somebody listens, now and then, so that those who fell silent are noticed.  Every port
when it becomes active or its host's session comes back, since its machine may have joined groups while nobody could
hear it.  In a network in which nobody listens there is nobody to forget.  Questions go out a few at a time, so that
neither they nor the answers come all at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from controller.guests import igmp, mld
from controller.guests.listening import Query
from overlay.values import HostName
from overlay.world import World

AT_ONCE: Final = 20
"""How many ports are asked in one turn, at least."""

MOST: Final = 200
"""And at most, or others would be kept waiting: 10 ms' worth, with which 120,000 ports are asked in a minute."""

TURNS: Final = 10
"""How many turns there are a second, about."""

_SHARE: Final = 4
"""All have been asked after one of so many parts of the interval."""

_LOOK_AGAIN: Final = 1.0


class Querier:
    """Knows when whom was asked; acts by what it yields.

    :param query: how often is asked, and how long may be waited for the answer.
    """

    def __init__(self, world: World, query: Query) -> None:
        self.questions: Final = (igmp.question(query), mld.question(query))
        """What a port is asked: frames for its machine."""
        self.asked = 0
        """How many ports have been asked so far."""
        self._world = world
        self._interval = query.interval
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
        """Name the ports that are to be asked in this turn, and where they are plugged.

        :param now: seconds, on any clock that goes on.
        """
        if now >= self._look:
            self._look = now + _LOOK_AGAIN
            for network_id in self._networks(now):
                self._waiting.update((port.id, None) for port in self._world.ports_of_network(network_id))
        pace = min(max(AT_ONCE, round(len(self._waiting) * _SHARE / (self._interval * TURNS))), MOST)
        for port_id in tuple(islice(self._waiting, pace)):
            del self._waiting[port_id]
            for tap in self._world.footing(port_id).taps:
                if not tap.passive:
                    self.asked += 1
                    yield tap.host, port_id

    def _networks(self, now: float) -> Iterator[str]:
        """The networks whose time has come; the first time is one interval after somebody was seen to listen."""
        listening = set(self._world.multicast_networks())
        for network_id in self._due.keys() - listening:
            del self._due[network_id]
        for network_id in sorted(listening):
            due = self._due.setdefault(network_id, now + self._interval)
            if now >= due:
                self._due[network_id] = now + self._interval
                yield network_id
