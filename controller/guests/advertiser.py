"""Which machines are to hear now of their network, without having asked?

Router advertisements go to every port of a network that has them when it becomes active, and now and then, so that
machines hear of what has changed and go on believing it.  (Who asks is answered: :mod:`controller.guests.ra`.)
"""

from __future__ import annotations

from collections.abc import Iterator

from controller.guests import ra
from controller.guests.rounds import Rounds
from overlay.values import HostName
from overlay.world import World


class Advertiser(Rounds):
    """Knows when who heard of its network, and what it is to hear."""

    def __init__(self, world: World) -> None:
        super().__init__(world, world.settings.advertising_interval, world.advertising_networks)

    def activated(self, port_id: str) -> None:
        """A port is active."""
        port = self._world.ports.get(port_id)
        if port is not None and self._world.offer(port.network_id).advertises:
            super().activated(port_id)

    def advertisements(self, now: float) -> Iterator[tuple[HostName, str, bytes]]:
        """What is to be told in this turn, to which port and where."""
        for host, port_id in self.turn(now):
            frame = ra.advertisement(self._world, self._world.ports[port_id])
            if frame is not None:
                yield host, port_id, frame
