"""Which machines are to be asked now what they listen to?

Every port of a network in which somebody listens, now and then, so that those who fell silent are noticed.  Every port
when it becomes active or its host's session comes back, since its machine may have joined groups while nobody could
hear it.  In a network in which nobody listens there is nobody to forget.
"""

from __future__ import annotations

from typing import Final

from controller.guests import igmp, mld
from controller.guests.listening import Query
from controller.guests.rounds import AT_ONCE, MOST, TURNS, Rounds
from overlay.world import World

__all__ = ["AT_ONCE", "MOST", "TURNS", "Querier"]


class Querier(Rounds):
    """Knows when whom was asked.

    :param query: how often is asked, and how long may be waited for the answer.
    """

    def __init__(self, world: World, query: Query) -> None:
        super().__init__(world, query.interval, world.multicast_networks)
        self.questions: Final = (igmp.question(query), mld.question(query))
        """What a port is asked: frames for its machine."""
