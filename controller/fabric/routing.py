"""Which next hops are there over the graph as it is, and whose changed when a link did?

The two rules that all our policies route plain packets by are computed by the engine; any other rule that somebody
plugs in is asked anew whenever the graph has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from controller.fabric.engine import ShortestPaths
from controller.fabric.routes import Choice, Graph, Hop, Hops, NextHops, equal_cost, single
from overlay.values import DatapathId

_NOBODY: Final[Hops] = {}


class Routes:
    """The next hops over a graph, computed when first asked for and kept while they hold.

    :param choice: how next hops are chosen.
    """

    def __init__(self, graph: Graph, choice: Choice = equal_cost) -> None:
        self._graph = graph
        self._choice = choice
        self._paths = ShortestPaths(graph)
        self._chosen: dict[DatapathId, Hops] = {}

    def choose(self, choice: Choice) -> None:
        """Choose by another rule from now on."""
        self._choice = choice
        self._chosen.clear()

    def ask(self, destinations: Iterable[DatapathId]) -> bool:
        """Measure how far these are, a few at a time to let others go between; returns whether any was not known."""
        known = len(self._paths.destinations)
        self._paths.ask(destinations)
        return len(self._paths.destinations) > known

    def towards(self, destination: DatapathId) -> Hops:
        """Give the next hops of every switch that reaches the destination."""
        if self._choice is equal_cost:
            return self._paths.towards(destination)
        hops = self._chosen.get(destination)
        if hops is None:
            if self._choice is single:
                hops = {switch: _first(hops) for switch, hops in self._paths.towards(destination).items()}
            else:
                hops = self._choice(self._graph, destination) if destination in self._graph else _NOBODY
            self._chosen[destination] = hops
        return hops

    def at(self, switch: DatapathId, destinations: Iterable[DatapathId]) -> Mapping[DatapathId, NextHops]:
        """Give one switch's next hops towards those of some destinations that it reaches."""
        wanted = set(destinations)
        if self._choice in (equal_cost, single):
            self._paths.ask(sorted(wanted))
            found = self._paths.at(switch)
            narrow = self._choice is single
            return {each: _first(hops) if narrow else hops for each, hops in found.items() if each in wanted}
        routes = {each: self.towards(each).get(switch) for each in wanted}
        return {each: hops for each, hops in routes.items() if hops is not None}

    def distance(self, switch: DatapathId, destination: DatapathId) -> int | None:
        """Say what the cheapest way costs; None where there is none."""
        return self._paths.distance(switch, destination)

    def update(self, pairs: Iterable[tuple[DatapathId, DatapathId]]) -> set[DatapathId]:
        """Follow changes of the graph (see :meth:`controller.fabric.engine.ShortestPaths.update`).

        :returns: the switches of which next hops that were asked for may have changed.
        """
        changed = self._paths.update(pairs)
        for destination, before in self._chosen.items() if self._choice is not single else ():
            after = self._choice(self._graph, destination) if destination in self._graph else _NOBODY
            changed |= {switch for switch in before.keys() | after.keys() if before.get(switch) != after.get(switch)}
            self._chosen[destination] = after
        if self._choice is single:
            self._chosen.clear()
        return changed


def _first(hops: NextHops) -> NextHops:
    return tuple(Hop(hop.port) for hop in hops[:1])
