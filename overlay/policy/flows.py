"""Which flows say what the rules of the security groups say?

Compiled in four kinds of units: with each filtered tap (which clauses it is a member of), and per host one for each
address of a remote end, for each service, and for each clause.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from ipaddress import ip_network
from typing import Final

from overlay.flow import FieldValue, Flow, Meter
from overlay.policy.clauses import ETHERTYPES, Clause, Piece, conditions_of
from overlay.policy.index import Policies
from overlay.policy.presence import Spot
from overlay.policy.values import Direction
from overlay.tables import filters
from overlay.tables.filters import RECEIVER, SENDER
from overlay.tables.names import SHARED, CookieKind, provenance
from overlay.values import HostName, Port
from overlay.world import World

_SIDES: Final = {Direction.EGRESS: SENDER, Direction.INGRESS: RECEIVER}
_REFUSED: Final = {Direction.EGRESS: CookieKind.REFUSED_OUT, Direction.INGRESS: CookieKind.REFUSED_IN}


def of_tap(policy: Policies, lane: int, port: Port, beginning: Meter | None) -> Iterator[Flow]:
    """Which clauses a tap is a member of; nothing for one whose groups allow everything.

    :param beginning: how many connections it may begin, if that is limited.
    """
    if not port.filtered:
        return
    cookie = provenance(CookieKind.PORT, port.id)
    members, free = _clauses(policy, port)
    judged = [family for family in ETHERTYPES if not all(family in families for families in free.values())]
    if not judged:
        return
    yield filters.own_flood(cookie, lane)
    if beginning is not None:
        yield from SENDER.begins(cookie, lane, beginning)
    for direction, side in _SIDES.items():
        for family in judged:
            yield side.judged(cookie, lane, ETHERTYPES[family])
        if free[direction].issuperset(judged):
            yield side.allow_all(cookie, lane)
            continue
        for family in sorted(free[direction].intersection(judged)):
            yield side.allow_all(cookie, lane, ETHERTYPES[family])
        if members[direction]:
            yield side.member(cookie, lane, members[direction])
        yield side.count(provenance(_REFUSED[direction], port.id), lane)


def _clauses(policy: Policies, port: Port) -> tuple[dict[Direction, dict[int, int]], dict[Direction, set[int]]]:
    """By direction: the clauses that a port is a member of, with their dimensions, and the families that are free."""
    members: dict[Direction, dict[int, int]] = {direction: {} for direction in _SIDES}
    free: dict[Direction, set[int]] = {direction: set() for direction in _SIDES}
    for clause in (clause for group_id in port.security_groups or () for clause in policy.clauses.of(group_id)):
        if clause.dimensions == 1:
            free[clause.direction].add(clause.family)
        else:
            members[clause.direction][policy.clauses.number(clause)] = clause.dimensions
    return members, free


def of_peer(world: World, host: HostName, key: str) -> Iterator[Flow]:
    """Of which clauses an address or prefix is a remote end."""
    network_id, _, prefix = key.partition("|")
    network = world.networks.get(network_id)
    if network is None:
        return
    policy = world.policy
    there = ip_network(prefix)
    clauses = [
        clause
        for remote in policy.remotes_with(network_id, there)
        for clause in policy.clauses.having(remote)
        if clause.family == there.version and policy.presence.at(Spot(host, network_id, clause.group_id))
    ]
    cookie = provenance(CookieKind.PEER, network_id)
    for direction, numbers in _by_direction(policy, clauses):
        yield _remote_end(direction, cookie, network.vni, prefix, tuple(numbers.items()))


@lru_cache(maxsize=SHARED)
def _remote_end(direction: Direction, cookie: int, vni: int, prefix: str, clauses: tuple[tuple[int, int], ...]) -> Flow:
    """The same on all hosts that have these clauses."""
    there, side = ip_network(prefix), _SIDES[direction]
    match: dict[str, FieldValue] = {
        "eth_type": ETHERTYPES[there.version],
        f"ipv{there.version}_{side.peer}": there,
    }
    return side.remote_end(cookie, vni, match, dict(clauses))


def of_service(world: World, host: HostName, key: str) -> Iterator[Flow]:
    """Of which clauses a service is one."""
    network_id, direction, family, *numbers = key.split("|")
    network = world.networks.get(network_id)
    if network is None:
        return
    policy, piece = world.policy, Piece(*map(int, numbers))
    clauses = [
        clause
        for group_id in policy.presence.groups(host, network_id)
        for clause, pieces in policy.clauses.of(group_id).items()
        if clause.direction == direction and clause.family == int(family) and piece in pieces
    ]
    cookie = provenance(CookieKind.SERVICE, network_id)
    for side, found in _by_direction(policy, clauses):
        yield _SIDES[side].service(cookie, network.vni, conditions_of(int(family), piece), found)


def of_clause(world: World, host: HostName, key: str) -> Iterator[Flow]:
    """What follows when all conditions of a clause have come together."""
    clause, policy = Clause.read(key), world.policy
    if clause.dimensions == 1 or clause not in policy.clauses.of(clause.group_id):
        return
    if any(spot.host == host for spot in policy.presence.spots(clause.group_id)):
        cookie = provenance(CookieKind.CLAUSE, clause.group_id)
        yield _SIDES[clause.direction].whole(cookie, policy.clauses.number(clause))


def _by_direction(policy: Policies, clauses: Iterable[Clause]) -> Iterator[tuple[Direction, dict[int, int]]]:
    found: dict[Direction, dict[int, int]] = {}
    for clause in clauses:
        found.setdefault(clause.direction, {})[policy.clauses.number(clause)] = clause.dimensions
    yield from found.items()
