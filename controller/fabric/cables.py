"""Which port is wired to which, as far as discovery packets have shown?

An announcement that arrives shows one direction of a cable.  It stays in the books when a port goes down, since the
cable is still there, but it is in doubt until it was seen again: a cable may have been moved meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from controller.fabric.plan import PortRef


@dataclass(frozen=True, slots=True)
class Observation:
    """One direction of a cable.

    :param seen: when an announcement last came this way, in seconds.
    :param sure: false from a port's going down until the next announcement.
    :param assumed: remembered from before a restart and not seen since.
    """

    source: PortRef
    target: PortRef
    seen: float
    sure: bool = True
    assumed: bool = False


class Cables:
    """All observations, by either end.  Methods that change them return the sources of those that changed."""

    def __init__(self) -> None:
        self._by_source: dict[PortRef, Observation] = {}
        self._source_of: dict[PortRef, PortRef] = {}

    def __iter__(self) -> Iterator[Observation]:
        return iter(self._by_source.values())

    def __contains__(self, end: PortRef) -> bool:
        return end in self._by_source or end in self._source_of

    def get(self, source: PortRef) -> Observation | None:
        """Give what is known of the direction that starts at this port."""
        return self._by_source.get(source)

    def ends(self, end: PortRef) -> Iterator[Observation]:
        """Give the observations, at most two, of which this port is an end."""
        if end in self._by_source:
            yield self._by_source[end]
        source = self._source_of.get(end)
        if source is not None:
            yield self._by_source[source]

    def peer(self, end: PortRef) -> PortRef | None:
        """Name the far end of a cable that was surely seen in both directions."""
        there = self._by_source.get(end)
        if there is None or not there.sure:
            return None
        back = self._by_source.get(there.target)
        return there.target if back is not None and back.sure and back.target == end else None

    def put(self, observation: Observation) -> frozenset[PortRef]:
        """Enter an observation; what contradicts it (another far end of either port) is given up."""
        known = self._by_source.get(observation.source)
        if known is not None and known.target == observation.target:
            self._by_source[observation.source] = observation
            return frozenset() if known.sure == observation.sure else frozenset({observation.source})
        changed = {observation.source} | self.drop(observation.source)
        if observation.target in self._source_of:
            changed |= self.drop(self._source_of[observation.target])
        self._by_source[observation.source] = observation
        self._source_of[observation.target] = observation.source
        return frozenset(changed)

    def drop(self, source: PortRef) -> frozenset[PortRef]:
        """Forget the direction that starts at this port."""
        known = self._by_source.pop(source, None)
        if known is None:
            return frozenset()
        del self._source_of[known.target]
        return frozenset({source})

    def doubt(self, end: PortRef) -> frozenset[PortRef]:
        """Believe in no direction of this port's cable until it is seen again."""
        return frozenset(known.source for known in tuple(self.ends(end)) if self.put(replace(known, sure=False)))
