"""What do the fabric's switches count, and when are they asked?

The acting half of ``controller.fabric.load``: every connected switch is asked in its own rhythm, beside the owner, and
its answer comes back through the owner's queue.  A switch that is slow is not asked again before it has answered; one
that does not answer has no load, which is no error.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from controller.channel import Spawn
from controller.events import PortCounters, Session, Sink
from controller.fabric.elephants import Rule
from controller.fabric.load import Load
from overlay.values import DatapathId

_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PortsCounted:
    """A switch said what its ports have carried (``counters`` is None when it did not answer)."""

    datapath_id: DatapathId
    session: Session
    counters: tuple[PortCounters, ...] | None
    at: float
    """When it answered, on the monotonic clock."""


class Watch(NamedTuple):
    """How the fabric's load is watched.

    :param interval: seconds between two counts of each switch's ports; 0 for none.
    :param capacity_mbps: what every link carries, where the ports do not know; 0 for what they say.
    :param elephants: when heavy flows are moved; None for never.
    """

    interval: float = 0.0
    capacity_mbps: int = 0
    elephants: Rule | None = None


UNWATCHED: Final = Watch()


class Counting:
    """The counts of all fabric switches.

    :param interval: seconds between two questions to one switch; 0 asks none.
    """

    def __init__(self, *, interval: float, spawn: Spawn, sink: Sink) -> None:
        self.load = Load()
        self.interval = interval
        self._spawn = spawn
        self._sink = sink
        self._due: dict[DatapathId, float] = {}
        self._asked: dict[DatapathId, Session] = {}

    def tick(self, sessions: Mapping[DatapathId, Session | None], now: float) -> None:
        """Ask the switches whose turn it is."""
        if not self.interval:
            return
        for datapath_id, session in sessions.items():
            if session is None:
                self.load.lost(datapath_id)
            elif self._asked.get(datapath_id) is not session and now >= self._due.get(datapath_id, 0.0):
                self._due[datapath_id] = now + self.interval
                self._asked[datapath_id] = session
                self._ask(session)

    def counted(self, event: PortsCounted) -> None:
        """Take an answer, unless it is that of a session whose place another has taken."""
        if self._asked.get(event.datapath_id) is not event.session:
            return
        del self._asked[event.datapath_id]
        if event.counters is None:
            self.load.lost(event.datapath_id)
        else:
            self.load.counted(event.datapath_id, event.counters, event.at)

    def _ask(self, session: Session) -> None:
        def count() -> None:
            counters: tuple[PortCounters, ...] | None = None
            try:
                counters = session.port_counters()
            except (TimeoutError, OSError) as error:
                _LOG.info("the ports of switch %s could not be counted: %s", session.datapath_id, error)
            self._sink(PortsCounted(session.datapath_id, session, counters, time.monotonic()))

        self._spawn(count)
