"""How does the fabric choose ways: one, all equal ones, by way of a random switch, or far apart?

A policy is a pure function from the graph to next-hop sets.  Every one says how a packet is routed by its destination;
some also say what happens to a packet where it enters the fabric.  There it may get a locator tag, which every switch
on the way follows before it looks at the destination, until the switch at the tag's end takes it off.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import heappop, heappush
from typing import Any, Final, NamedTuple, TypeAlias

import networkx as nx

from controller.fabric.routes import (
    COST,
    LAST_RESORT,
    PORTS,
    Choice,
    Graph,
    Hop,
    Hops,
    NextHops,
    distances,
    equal_cost,
    nearest,
    single,
)
from overlay.refusals import Invalid
from overlay.values import DatapathId

ANYCAST: Final = 1
"""The locator tag of the nearest intermediate switch, whichever it is."""
_FIRST_TAG: Final = 16
_TAG_BITS: Final = 24
_BOUNCES_MAX: Final = 32
"""Among how many switches an edge switch chooses one to bounce a flow off, where each has a tag of its own."""
PATHS_MAX: Final = 8


@dataclass(frozen=True, slots=True)
class Steering:
    """What happens to packets where they enter the fabric, if not what their destination alone says.

    :param entries: for the switch where a packet enters and the edge switch that it goes to, the ways among which its
        flow chooses; their tags are written then.
    :param tags: for each tag, the next hops of every switch that a packet with it may meet; the one without any takes
        the tag off.
    """

    entries: Mapping[DatapathId, Mapping[DatapathId, NextHops]] = field(default_factory=dict)
    tags: Mapping[int, Hops] = field(default_factory=dict)


NO_STEERING: Final = Steering()

Steer: TypeAlias = "Callable[[Graph, Collection[DatapathId], int], Steering]"
"""Turns a graph, its edge switches and a number of paths into what happens to packets that enter."""


@dataclass(frozen=True, slots=True)
class Policy:
    """One way of choosing ways.

    :param source: where the idea comes from.
    :param hops: the next hops of packets without a tag; free of loops.
    :param steer: what happens to packets that enter, where that is something else.
    """

    name: str
    purpose: str
    source: str
    hops: Choice
    steer: Steer | None = None
    recall: Callable[[], Steer] | None = None
    """Makes what computes the same as ``steer``, but remembers what it can use the next time."""

    def steerer(self) -> Steer | None:
        """Make what computes the same as ``steer`` for one fabric again and again."""
        return self.steer if self.recall is None else self.recall()


def tags_for(keys: Iterable[bytes]) -> dict[bytes, int]:
    """Give each key a locator tag, nearly always the same whatever other keys there are (BLAKE2, RFC 7693)."""
    taken: dict[int, bytes] = {}
    for key in sorted(keys):
        tag = int.from_bytes(blake2b(key, digest_size=8).digest()) % ((1 << _TAG_BITS) - _FIRST_TAG) + _FIRST_TAG
        while tag in taken:
            tag = tag + 1 if tag + 1 < 1 << _TAG_BITS else _FIRST_TAG
        taken[tag] = key
    return {key: tag for tag, key in taken.items()}


# ── Valiant load balancing ────────────────────────────────────────────────────────────────────────────────────────────


def intermediates(graph: Graph, edges: Collection[DatapathId]) -> frozenset[DatapathId]:
    """Find the top of a Clos: the switches that have no hosts and are equally far from all edge switches.

    In a fabric that has fallen apart, those of each part count: an edge switch that is cut off takes no top away.

    :returns: nothing for a graph that has no such layer.
    """
    found: set[DatapathId] = set()
    for part in nx.connected_components(graph):
        housed = part.intersection(edges)
        if len(housed) > 1:
            found |= {switch for switch in part - housed if _met_first(graph, switch, housed) == housed}
    return frozenset(found)


def _met_first(graph: Graph, switch: DatapathId, among: Collection[DatapathId]) -> set[DatapathId]:
    """Find those of some switches that are nearest to one, by the number of links."""
    seen = ring = {switch}
    while ring.isdisjoint(among):
        ring = {far for near in ring for far in graph.adj[near]} - seen
        seen = seen | ring
    return ring.intersection(among)


def bounce(graph: Graph, edges: Collection[DatapathId], _paths: int) -> Steering:
    """Send each flow by way of a random switch: in a Clos one of its top, by the up-links' ECMP, elsewhere any.

    In a Clos one anycast tag is enough, as the paper's anycast LA was: whichever top switch a packet comes to takes
    the tag off.  In any other graph the tag names the switch, so that the choice does not fall on near ones only.
    """
    if len(edges) < 2:  # noqa: PLR2004  (nobody to send to)
        return NO_STEERING
    inner = in_use(graph)
    tops = intermediates(inner, edges)
    if tops:
        up = nearest(inner, tops)
        tagged = {edge: tuple(hop._replace(tag=ANYCAST) for hop in up.get(edge, ())) for edge in edges}
        entries = {edge: dict.fromkeys(_others(edges, edge), hops) for edge, hops in tagged.items() if hops}
        # what has the tag already is not stopped by a link's becoming a last resort
        return Steering(entries, {ANYCAST: nearest(graph, tops)})
    ways = {via: equal_cost(inner, via) for via in sorted(inner) if inner.degree(via)}
    tags = tags_for(_bytes(via) for via in ways)
    bounced: dict[DatapathId, dict[DatapathId, NextHops]] = {}
    used: set[DatapathId] = set()
    for edge in sorted(edges):
        via = sorted((via for via in ways if via != edge and edge in ways[via]), key=lambda via: _mixed(edge, via))
        bounced[edge] = {}
        for towards in _others(edges, edge):
            chosen = {towards, *via[:_BOUNCES_MAX]} & ways.keys()
            if towards in chosen and edge in ways[towards]:
                used |= chosen
                hops = (_first(ways[each][edge], edge, each, tags[_bytes(each)]) for each in sorted(chosen))
                bounced[edge][towards] = tuple(sorted(hops))
    return Steering(bounced, {tags[_bytes(via)]: ways[via] for via in sorted(used)})


def _first(hops: NextHops, edge: DatapathId, via: DatapathId, tag: int) -> Hop:
    """Choose one of the ways to an intermediate switch, so that each of them weighs the same."""
    return Hop(hops[_mixed(via, edge) % len(hops)].port, 1, tag)


def _mixed(one: DatapathId, other: DatapathId) -> int:
    return int.from_bytes(blake2b(_bytes(one) + _bytes(other), digest_size=4).digest())


# ── paths that share no link ──────────────────────────────────────────────────────────────────────────────────────────

_Path: TypeAlias = tuple[tuple[DatapathId, int], ...]
"""The switches on a path, each with the port to the next; without the last switch."""
_Pair: TypeAlias = tuple[DatapathId, DatapathId]
_Flow: TypeAlias = Counter[tuple[DatapathId, DatapathId]]
"""How many of the links between two switches are used, from the one to the other."""


def apart(graph: Graph, edges: Collection[DatapathId], paths: int) -> Steering:
    """Spread the flows between two edge switches over paths that share no link, the cheapest such set.

    Each path has a tag of its own that is made from the path: a path that changes is another one, so that no packet
    ever follows half of each.
    """
    return Apart()(graph, edges, paths)


class _Search(NamedTuple):
    """What a search for paths has found, and by what."""

    paths: tuple[_Path, ...]
    tree: frozenset[_Pair]
    """The neighbours between which any of its rounds went on."""
    asked: frozenset[DatapathId]
    """The switches of which it was asked how far they are."""


class Apart:
    """What :func:`apart` computes, by as few searches as the changes since the last time need.

    A search gives the same again where all that it asked for is as it was, and what has become worse, or is gone, is
    none of the links by which it went on: it looked at those in vain.  After a link that came or became better, any
    search may find something else.
    """

    def __init__(self) -> None:
        self.searches = 0
        """How many were needed so far."""
        self._most = 0
        self._links: dict[_Pair, tuple[int, int, object]] = {}
        self._ahead: dict[DatapathId, dict[DatapathId, int]] = {}
        self._known: dict[_Pair, _Search] = {}

    def __call__(self, graph: Graph, edges: Collection[DatapathId], paths: int) -> Steering:
        """Compute it for this graph, these edge switches and this number of paths."""
        inner = in_use(graph)
        self._recall(inner, edges, paths)
        found = {}
        for edge in sorted(edges):
            for towards in _others(edges, edge):
                known = self._known.get((edge, towards))
                if known is None:
                    self.searches += 1
                    known = _search(inner, edge, towards, paths, dict(self._ahead[towards]))
                    self._known[edge, towards] = known
                if len(known.paths) > 1:
                    found[edge, towards] = known.paths
        return _steered(found)

    def _recall(self, graph: Graph, edges: Collection[DatapathId], paths: int) -> None:
        """Forget whatever may be found otherwise now."""
        links = {_pair(one, other): _link(edge) for one, other, edge in graph.edges(data=True)}
        before, self._links = self._links, links
        worse = {pair for pair, link in before.items() if links.get(pair) != link}
        ahead = {edge: distances(graph, {edge} & graph.nodes) for edge in edges}
        nearer, self._ahead = self._ahead, ahead
        if paths != self._most or any(_better(link, before.get(pair)) for pair, link in links.items()):
            self._most = paths
            self._known.clear()
        moved = {
            edge: {switch for switch in now.keys() | nearer[edge].keys() if now.get(switch) != nearer[edge].get(switch)}
            for edge, now in ahead.items()
            if edge in nearer
        }
        self._known = {
            (edge, towards): known
            for (edge, towards), known in self._known.items()
            if edge in ahead and towards in moved
            if known.tree.isdisjoint(worse) and known.asked.isdisjoint(moved[towards])
        }


def _pair(one: DatapathId, other: DatapathId) -> _Pair:
    return (one, other) if one < other else (other, one)


def _link(edge: Mapping[str, Any]) -> tuple[int, int, object]:
    """What a search sees of the links between two switches: what they cost, how many they are, and their ports."""
    return edge.get(COST, 1), max(map(len, edge[PORTS].values())), edge[PORTS]


def _better(link: tuple[int, int, object], before: tuple[int, int, object] | None) -> bool:
    return before is None or link[0] < before[0] or link[1] > before[1]


def _steered(found: Mapping[_Pair, tuple[_Path, ...]]) -> Steering:
    tags = tags_for(_path_key(towards, path) for (_, towards), ways in found.items() for path in ways)
    entries: dict[DatapathId, dict[DatapathId, NextHops]] = {}
    tagged: dict[int, Hops] = {}
    for (edge, towards), ways in found.items():
        hops = []
        for path in ways:
            (_, port), *rest = path
            tag = tags[_path_key(towards, path)] if rest else 0
            hops.append(Hop(port, 1, tag))
            if rest:
                tagged[tag] = {**{switch: (Hop(onward),) for switch, onward in rest}, towards: ()}
        entries.setdefault(edge, {})[towards] = tuple(sorted(hops))
    return Steering(entries, tagged)


def disjoint_paths(graph: Graph, source: DatapathId, target: DatapathId, most: int) -> tuple[_Path, ...]:
    """Find up to ``most`` paths that share no link and together cost the least (Suurballe 1974, Bhandari 1999).

    Each round adds the cheapest path through what the paths so far leave over, where going against one of them takes
    its link away from it and gives its cost back.
    """
    return _search(graph, source, target, most, distances(graph, {target} & graph.nodes)).paths


def _search(graph: Graph, source: DatapathId, target: DatapathId, most: int, ahead: dict[DatapathId, int]) -> _Search:
    """Find disjoint paths.

    :param ahead: what is still ahead of each switch.
    """
    asked, tree = {source}, set[_Pair]()
    if source == target or source not in ahead:
        return _Search((), frozenset(), frozenset(asked))
    flow = _Flow()
    for _ in range(most):
        came = _cheapest(graph, flow, ahead, source, target)
        asked.update(came, *(graph.adj[switch] for switch in came))
        tree.update(_pair(near, far) for far, near in came.items())
        path = _back(came, source, target)
        for one, other in itertools.pairwise(path):
            if flow[other, one]:
                flow[other, one] -= 1
            else:
                flow[one, other] += 1
    return _Search(_unravelled(graph, flow, source, target), frozenset(tree), frozenset(asked))


def _cheapest(
    graph: Graph, flow: _Flow, ahead: dict[DatapathId, int], source: DatapathId, target: DatapathId
) -> dict[DatapathId, DatapathId]:
    """Find the cheapest path through what a flow leaves over; of equal ones always the same.

    :param ahead: potentials that make no cost negative (Edmonds and Karp 1972), at first what is still ahead of each
        switch; brought up to date here.
    :returns: from where each switch was come to; not the target where there is no path.
    """
    costs: dict[DatapathId, int] = {}
    came: dict[DatapathId, DatapathId] = {}
    open_ends = [(0, source, source)]
    while open_ends and target not in came:
        cost, at, before = heappop(open_ends)
        if at in came:
            continue
        costs[at], came[at] = cost, before
        for far, link in graph.adj[at].items():
            if far in came:
                continue
            if flow[far, at]:
                heappush(open_ends, (cost - link.get(COST, 1) + ahead[far] - ahead[at], far, at))
            elif flow[at, far] < len(link[PORTS][at]):
                heappush(open_ends, (cost + link.get(COST, 1) + ahead[far] - ahead[at], far, at))
    if target in came:
        for switch, cost in costs.items():
            ahead[switch] += costs[target] - cost
    return came


def _back(came: Mapping[DatapathId, DatapathId], source: DatapathId, target: DatapathId) -> list[DatapathId]:
    """Read a path off from where each switch was come to; nothing where there is none."""
    if target not in came:
        return []
    path = [target]
    while path[-1] != source:
        path.append(came[path[-1]])
    return path[::-1]


def _unravelled(graph: Graph, flow: _Flow, source: DatapathId, target: DatapathId) -> tuple[_Path, ...]:
    """Take a flow apart into paths, each unit by a port of its own."""
    found: list[_Path] = []
    while True:
        at, path = source, list[tuple[DatapathId, int]]()
        while at != target:
            onward = min((far for near, far in flow if near == at and flow[near, far] > 0), default=None)
            if onward is None:
                return tuple(sorted(found, key=lambda each: (len(each), each)))
            flow[at, onward] -= 1
            path.append((at, graph.edges[at, onward][PORTS][at][flow[at, onward]]))
            at = onward
        found.append(tuple(path))


def _path_key(towards: DatapathId, path: _Path) -> bytes:
    return b"".join(_bytes(switch) + port.to_bytes(4) for switch, port in path) + _bytes(towards)


# ── for both ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def in_use(graph: Graph) -> Graph:
    """Leave out the links that are a last resort."""
    inner: Graph = nx.Graph()
    inner.add_nodes_from(graph)
    inner.add_edges_from(edge for edge in graph.edges(data=True) if edge[2].get(COST, 1) < LAST_RESORT)
    return inner


def _others(edges: Collection[DatapathId], edge: DatapathId) -> list[DatapathId]:
    return [other for other in sorted(edges) if other != edge]


def _bytes(datapath_id: DatapathId) -> bytes:
    return datapath_id.to_bytes(8)


POLICIES: Final[Mapping[str, Policy]] = {
    policy.name: policy
    for policy in (
        Policy(
            "shortest",
            "One cheapest way from each switch to each destination; the others only stand by.",
            "Dijkstra, Numerische Mathematik 1959; what a routing protocol without multi-path does",
            single,
        ),
        Policy(
            "ecmp",
            "All cheapest ways, each flow on one of them by its hash, weighted by the capacity of the link.",
            "RFC 2992; Zhou et al., WCMP, EuroSys 2014",
            equal_cost,
        ),
        Policy(
            "vlb",
            "Each flow bounces off a random switch first, so that any traffic matrix looks like a uniform one: off the"
            " top of a Clos by the up-links' ECMP, off any switch in another graph.",
            "Valiant, SIAM J. Comput. 1982; Greenberg et al., VL2, SIGCOMM 2009 §4.2.2",
            equal_cost,
            bounce,
        ),
        Policy(
            "disjoint",
            "Flows are spread over some paths that share no link, also where these are not equally cheap: for graphs"
            " with few equal ways.",
            "Suurballe, Networks 1974; Bhandari, Survivable Networks 1999; Singla et al., Jellyfish, NSDI 2012 §5",
            equal_cost,
            apart,
            Apart,
        ),
    )
}
"""The policies by name."""


def policy_named(name: str) -> Policy:
    """Find a policy.

    :raises Invalid: naming those that there are.
    """
    found = POLICIES.get(name)
    if found is None:
        raise Invalid(
            f"policy: there is no policy {name!r} (there are: {', '.join(sorted(POLICIES))})",
            field="name",
            kind="PolicyNotKnown",
        )
    return found
