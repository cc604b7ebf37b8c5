"""Which equal-cost next hops has every switch, and whose change when a link does, in milliseconds on a large fabric?

Distances are kept in one array, a row per switch and a column per destination that was asked for; next hops are not
kept at all, but read off it: a neighbour is a next hop where its distance and the cost of the link make up one's own.
So a fabric costs eight bytes per switch and destination, and no object.

Columns are computed by :func:`scipy.sparse.csgraph.dijkstra`, which takes as long per destination as one look at every
link.  What an update has to do follows from Bellman's equation: distances are right if, and since costs are at least
one only if, each is the least that a neighbour offers.  A changed link can break that at its ends only.  So their rows
are set anew, and where their neighbours agree with that, the column is right again; only where they do not, more
distances than those of the ends change, and the column is computed from scratch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from controller.fabric.routes import COST, PORTS, WEIGHTS, Graph, Hops, NextHops, weighted
from overlay.values import DatapathId

_Ints: TypeAlias = npt.NDArray[np.int64]

_FAR: Final = 1 << 62
"""The distance of what cannot be reached; a cost can be added to it without overflow."""

_TAIL: Final = 32
"""An arc's key is its tail's row shifted by so many bits, and its head's row: so arcs sort by switch."""

_MANY: Final = 8
"""When more than one in so many switches is the end of a changed link, all is computed anew."""

_AT_ONCE: Final = 1 << 14
"""How many changed distances are looked at in one go, so that memory stays bounded."""

_CACHED: Final = 1 << 16


class _Wire(NamedTuple):
    """What a switch has towards one neighbour."""

    cost: int
    ports: tuple[int, ...]
    weights: tuple[int, ...]


@lru_cache(_CACHED)
def _next_hops(wires: tuple[_Wire, ...]) -> NextHops:
    return weighted(pair for wire in wires for pair in zip(wire.ports, wire.weights, strict=True))


class _Sets(dict[bytes, NextHops]):
    """The next-hop sets of one switch, by which of its wires are in them: a byte per wire, no trailing zeros."""

    def __init__(self, wires: list[_Wire]) -> None:
        super().__init__()
        self._wires = wires

    def __missing__(self, chosen: bytes) -> NextHops:
        hops = _next_hops(tuple(wire for wire, taken in zip(self._wires, chosen, strict=False) if taken))
        self[chosen] = hops
        return hops


class _Moved(NamedTuple):
    """Distances that are no longer what they were."""

    rows: _Ints
    columns: _Ints
    before: _Ints
    after: _Ints


class ShortestPaths:
    """The equal-cost next hops over a graph, towards a growing set of destinations.

    The graph is read when something is first asked for; from then on :meth:`update` has to be told of what changes.
    Costs are integers of at least one; their sum along a path must stay below 2**53.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.renew()

    def renew(self) -> None:
        """Forget everything."""
        self._read = False
        self._names: list[DatapathId] = []
        self._row: dict[DatapathId, int] = {}
        self._asked: list[DatapathId] = []
        self._column: dict[DatapathId, int] = {}
        self._distance = np.full((0, 0), _FAR)
        self._wires: dict[int, _Wire] = {}
        self._keep: dict[DatapathId, Hops] = {}
        self._index(np.zeros(0, np.int64), np.zeros(0, np.int64))

    # ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def destinations(self) -> tuple[DatapathId, ...]:
        """What was asked for so far."""
        return tuple(self._asked)

    def ask(self, destinations: Iterable[DatapathId]) -> None:
        """Compute what leads to these destinations, unless it is known; a few at a time let others go between."""
        fresh = [each for each in dict.fromkeys(destinations) if each not in self._column]
        if not fresh:
            return
        if not self._read:
            self._read_graph()
        for destination in fresh:
            self._place(destination)
            self._column[destination] = len(self._asked)
            self._asked.append(destination)
        self._reserve()
        columns = np.arange(len(self._asked) - len(fresh), len(self._asked))
        self._distance[: len(self._names), columns] = self._from_scratch(columns)

    def forget(self, destination: DatapathId) -> None:
        """Keep a destination up to date no longer."""
        column = self._column.pop(destination, None)
        if column is None:
            return
        last = self._asked.pop()
        if last != destination:
            self._asked[column] = last
            self._column[last] = column
            self._distance[:, column] = self._distance[:, len(self._asked)]
        self._keep.pop(destination, None)

    def distance(self, switch: DatapathId, destination: DatapathId) -> int | None:
        """Give the cost of the cheapest paths, None where there is none."""
        self.ask((destination,))
        row = self._row.get(switch)
        found = _FAR if row is None else int(self._distance[row, self._column[destination]])
        return None if found == _FAR else found

    def towards(self, destination: DatapathId) -> Hops:
        """Give the next hops of every switch that reaches the destination."""
        self.ask((destination,))
        if destination not in self._keep:
            distance = self._distance[: len(self._names), self._column[destination]]
            tight = (distance[self._head] + self._cost == distance[self._key >> _TAIL]) & (distance[self._head] < _FAR)
            chosen, start = tight.tobytes(), self._start.tolist()
            self._keep[destination] = {
                self._names[row]: self._sets_of(row)[chosen[start[row] : start[row + 1]].rstrip(b"\0")]
                for row in np.flatnonzero(distance < _FAR).tolist()
            }
        return self._keep[destination]

    def at(self, switch: DatapathId) -> Mapping[DatapathId, NextHops]:
        """Give one switch's next hops towards each destination asked for that it reaches."""
        row = self._row.get(switch)
        if row is None or not self._asked:
            return {}
        found: dict[DatapathId, NextHops] = {}
        first, last = self._start[row : row + 2].tolist()
        if first < last:
            own = self._distance[row, : len(self._asked)]
            offered = self._distance[self._head[first:last], : len(self._asked)] + self._cost[first:last, None]
            tight = np.ascontiguousarray(((offered == own) & (own < _FAR)).T)
            sets = self._sets_of(row)
            chosen = tight.view(f"S{last - first}").ravel().tolist()
            found = {each: sets[wires] for each, wires in zip(self._asked, chosen, strict=True) if wires}
        if switch in self._column and self._distance[row, self._column[switch]] == 0:
            found[switch] = ()
        return found

    # ── what changes ─────────────────────────────────────────────────────────────────────────────────────────────────

    def update(self, pairs: Iterable[tuple[DatapathId, DatapathId]]) -> set[DatapathId]:
        """Follow changes of the graph, and name the switches whose next hops towards what was asked for have changed.

        :param pairs: the switches between which an edge was added, removed or changed; a switch paired
            with itself stands for the switch, which may have come or gone, and all its edges.
        """
        if not self._read:
            return set()
        wires, ends = self._changes(pairs)
        if not ends:
            return set()
        before = {switch: self.at(switch) for switch in ends}
        self._rewire(wires)
        self._keep.clear()
        moved = self._repair(np.array(sorted(self._row[switch] for switch in ends)))
        changed = {self._names[row] for row in self._turned(moved)} - ends
        return changed | {switch for switch in ends if self.at(switch) != before[switch]}

    def _changes(
        self, pairs: Iterable[tuple[DatapathId, DatapathId]]
    ) -> tuple[dict[int, _Wire | None], set[DatapathId]]:
        """Find which wires between these switches are not those of the graph, and which switches that concerns."""
        edges = set(pairs)
        ends: set[DatapathId] = set()
        for switch in {switch for pair in edges for switch in pair}:
            row = self._place(switch)
            if (switch, switch) in edges or switch not in self._graph:  # what is gone took all its edges with it
                edges.update((switch, self._names[head]) for head in self._heads(row).tolist())
                edges.update((switch, far) for far in self._graph.adj.get(switch, ()))
            if switch in self._column and (self.distance(switch, switch) == 0) != (switch in self._graph):
                ends.add(switch)
        for switch in {switch for pair in edges for switch in pair}:
            self._place(switch)
        self._reserve()
        wires: dict[int, _Wire | None] = {}
        for one, other in edges:
            edge = self._graph.adj[one].get(other) if one in self._graph else None
            for near, far in ((one, other), (other, one)):
                key = self._row[near] << _TAIL | self._row[far]
                wire = None if edge is None else _wire(edge, near)
                if wire != self._wires.get(key):
                    wires[key] = wire
                    ends |= {one, other}
        return wires, ends

    def _repair(self, ends: _Ints) -> tuple[_Moved, ...]:
        """Set the distances right after the wires of these rows have changed, and tell which have moved."""
        every = np.arange(len(self._asked))
        if len(ends) * _MANY > len(self._names):
            return (self._anew(every),)
        own = self._distance[ends, : len(every)]
        best = self._best(ends)
        of, columns = np.nonzero(own != best)
        local = _Moved(ends[of], columns, own[of, columns], best[of, columns])
        self._distance[local.rows, columns] = local.after
        wrong = self._contradicted(local)
        if not len(wrong):
            return (local,)
        anew = np.isin(columns, wrong)
        self._distance[local.rows[anew], columns[anew]] = local.before[anew]
        return (_Moved(*(each[~anew] for each in local)), self._anew(wrong))

    def _best(self, rows: _Ints) -> _Ints:
        """Find the least distances that the neighbours offer to these switches; a destination offers itself none."""
        of, arcs = self._arcs(rows)
        best = np.full((len(rows), len(self._asked)), _FAR)
        if len(arcs):
            offered = self._distance[self._head[arcs], : len(self._asked)] + self._cost[arcs, None]
            first = np.flatnonzero(np.diff(of, prepend=-1))
            best[of[first]] = np.minimum(np.minimum.reduceat(offered, first, axis=0), _FAR)
        for number, row in enumerate(rows.tolist()):
            switch = self._names[row]
            if switch in self._column and switch in self._graph:
                best[number, self._column[switch]] = 0
        return best

    def _contradicted(self, moved: _Moved) -> _Ints:
        """Find the columns where a neighbour of what has moved would have to move as well."""
        of, arcs = self._arcs(moved.rows)
        rows, columns = self._head[arcs], moved.columns[of]
        there = self._distance[rows, columns]
        was, now = moved.before[of] + self._cost[arcs], moved.after[of] + self._cost[arcs]
        nearer, left = now < there, (was == there) & (now > there)
        rows, left_in = np.divmod(np.unique(rows[left] * len(self._asked) + columns[left]), len(self._asked))
        of, arcs = self._arcs(rows)
        same = self._distance[self._head[arcs], left_in[of]] + self._cost[arcs] == self._distance[rows, left_in][of]
        stays = np.zeros(len(rows), np.bool_)
        stays[of[same]] = True
        return np.union1d(columns[nearer], left_in[~stays])

    def _anew(self, columns: _Ints) -> _Moved:
        """Compute columns from scratch."""
        size = len(self._names)
        before = self._distance[:size, columns]
        after = self._from_scratch(columns)
        self._distance[:size, columns] = after
        rows, of = np.nonzero(before != after)
        return _Moved(rows, columns[of], before[rows, of], after[rows, of])

    def _turned(self, moved: Iterable[_Moved]) -> set[int]:
        """Find the rows where a wire has become part of a cheapest path, or is no longer, because distances moved."""
        rows, columns, before, after = map(np.concatenate, zip(*moved, strict=True))
        turned = np.zeros(len(self._names), np.bool_)
        distance, width = self._distance.reshape(-1), self._distance.shape[1]
        order = np.argsort(columns, kind="stable")
        step = max(1, width * _AT_ONCE // max(1, len(columns)))  # columns do not know of each other
        cuts = np.searchsorted(columns[order], np.arange(step, width, step))
        for part in np.split(order, cuts):
            of, arcs = self._arcs(rows[part])
            near, far = rows[part][of], self._head[arcs]
            open_ = ~(turned[near] & turned[far])
            near, far, cost, column = near[open_], far[open_], self._cost[arcs[open_]], columns[part][of[open_]]
            here, there, own = near * width + column, far * width + column, rows[part] * width + columns[part]
            now = distance[here] - distance[there]
            distance[own] = before[part]
            was = distance[here] - distance[there]
            distance[own] = after[part]
            turned[near[(now == cost) != (was == cost)]] = True
            turned[far[(now == -cost) != (was == -cost)]] = True
        return set(np.flatnonzero(turned).tolist())

    # ── how the graph is held ────────────────────────────────────────────────────────────────────────────────────────

    def _read_graph(self) -> None:
        self._read = True
        self._names = list(self._graph)
        self._row = {switch: row for row, switch in enumerate(self._names)}
        for one, other, edge in self._graph.edges(data=True):
            for near, far in ((one, other), (other, one)):
                self._wires[self._row[near] << _TAIL | self._row[far]] = _wire(edge, near)
        keys = np.fromiter(self._wires, np.int64, len(self._wires))
        costs = np.fromiter((wire.cost for wire in self._wires.values()), np.int64, len(keys))
        order = np.argsort(keys)
        self._index(keys[order], costs[order])

    def _rewire(self, wires: Mapping[int, _Wire | None]) -> None:
        """Put wires, and take away those that are None."""
        key, cost = self._key, self._cost
        gone = np.array([each for each in wires if each in self._wires], np.int64)
        at = np.searchsorted(key, gone)
        key, cost = np.delete(key, at), np.delete(cost, at)
        come = {each: wire.cost for each, wire in sorted(wires.items()) if wire is not None}
        at = np.searchsorted(key, np.fromiter(come, np.int64, len(come)))
        self._index(np.insert(key, at, list(come)), np.insert(cost, at, list(come.values())))
        for each, wire in wires.items():
            if wire is None:
                del self._wires[each]
            else:
                self._wires[each] = wire

    def _index(self, key: _Ints, cost: _Ints) -> None:
        """Hold these arcs, which are sorted by key."""
        self._key, self._cost = key, cost
        self._head = key & ((1 << _TAIL) - 1)
        self._start = np.searchsorted(key, np.arange(len(self._names) + 1) << _TAIL)
        self._matrix: Any = None
        self._sets: dict[int, _Sets] = {}

    def _place(self, switch: DatapathId) -> int:
        """Give a switch's row; one that is not known gets one."""
        row = self._row.get(switch)
        if row is None:
            row = self._row[switch] = len(self._names)
            self._names.append(switch)
            self._start = np.append(self._start, self._start[-1])
            self._matrix = None
        return row

    def _reserve(self) -> None:
        """Have room for every row and column."""
        size, width = self._distance.shape
        if size < len(self._names) or width < len(self._asked):
            size = size if size >= len(self._names) else len(self._names) + (size >> 1)
            width = width if width >= len(self._asked) else len(self._asked) + (width >> 1)
            larger = np.full((size, width), _FAR)
            larger[: self._distance.shape[0], : self._distance.shape[1]] = self._distance
            self._distance = larger

    def _heads(self, row: int) -> _Ints:
        return self._head[self._start[row] : self._start[row + 1]]

    def _arcs(self, rows: _Ints) -> tuple[_Ints, _Ints]:
        """List the arcs from these rows, and for each of them which of the rows it is from."""
        first = self._start[rows]
        count = self._start[rows + 1] - first
        of = np.repeat(np.arange(len(rows)), count)
        return of, np.arange(len(of)) + np.repeat(first - np.cumsum(count) + count, count)

    def _sets_of(self, row: int) -> _Sets:
        sets = self._sets.get(row)
        if sets is None:
            keys = self._key[self._start[row] : self._start[row + 1]].tolist()
            sets = self._sets[row] = _Sets([self._wires[key] for key in keys])
        return sets

    def _from_scratch(self, columns: _Ints) -> _Ints:
        """Compute the distances towards these columns' destinations."""
        size = len(self._names)
        found = np.full((size, len(columns)), _FAR)
        asked = [self._asked[column] for column in columns.tolist()]
        there = [number for number, destination in enumerate(asked) if destination in self._graph]
        if there:
            if self._matrix is None:
                self._matrix = csr_array((self._cost.astype(np.float64), self._head, self._start), shape=(size, size))
            from_there = dijkstra(self._matrix, indices=[self._row[asked[number]] for number in there]).T
            found[:, there] = np.where(np.isfinite(from_there), from_there, _FAR)
        return found


def _wire(edge: Mapping[str, Any], near: DatapathId) -> _Wire:
    ports = edge[PORTS][near]
    weights = edge[WEIGHTS][near] if WEIGHTS in edge else (1,) * len(ports)
    return _Wire(edge.get(COST, 1), ports, weights)
