"""Which compile units read a policy, and which of them does a change of one make dirty?

The units of policies: per host one PEER for each address or prefix of a remote end in a network (``network|prefix``),
one SERVICE for each service in a network, one CLAUSE for each clause; and the PORT of each member.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from overlay.changes import Unit, UnitKind
from overlay.policy.clauses import Clause, Piece, Remote, RemoteKind, clause_of, pieces_of
from overlay.policy.index import Policies
from overlay.policy.members import prefixes_of
from overlay.policy.presence import Spot
from overlay.policy.values import AddressGroup, SecurityRule
from overlay.values import HostName, Port


def units_at(policy: Policies, host: HostName, networks: Iterable[str]) -> Iterable[Unit]:
    """All units of policies at a host, each once."""
    return dict.fromkeys(
        unit
        for network_id in networks
        for group_id in policy.presence.groups(host, network_id)
        for clause in policy.clauses.of(group_id)
        for unit in units_for(policy, Spot(host, network_id, group_id), clause)
    )


def units_for(policy: Policies, spot: Spot, clause: Clause) -> Iterator[Unit]:
    """The units that a clause has flows in, where its group is."""
    yield Unit(spot.host, UnitKind.CLAUSE, clause.key)
    for piece in policy.clauses.of(clause.group_id).get(clause, ()):
        if piece is not None:
            yield service_unit(spot, clause, piece)
    if clause.remote is not None:
        for prefix in policy.prefixes(clause.remote, spot.network_id, clause.family):
            yield peer_unit(spot.host, spot.network_id, prefix)


def service_unit(spot: Spot, clause: Clause, piece: Piece) -> Unit:
    """The unit of a service in a network at a host."""
    words = (spot.network_id, clause.direction, *map(str, (clause.family, *piece)))
    return Unit(spot.host, UnitKind.SERVICE, "|".join(words))


def peer_unit(host: HostName, network_id: str, prefix: str) -> Unit:
    """The unit of a remote end's address or prefix in a network at a host."""
    return Unit(host, UnitKind.PEER, f"{network_id}|{prefix}")


def by_port(policy: Policies, port: Port) -> Iterator[Unit]:
    """What reads that a port has its addresses and is in its groups: at the hosts of those that name these."""
    if not port.filtered:
        return
    for prefix in prefixes_of(port):
        for group_id in port.security_groups or ():
            yield from _by_remote(policy, Remote(RemoteKind.GROUP, group_id), prefix, port.network_id)


def by_prefixes(policy: Policies, before: AddressGroup, after: AddressGroup) -> Iterator[Unit]:
    """What reads which prefixes an address group has."""
    for prefix in set(before.prefixes) ^ set(after.prefixes):
        yield from _by_remote(policy, Remote(RemoteKind.ADDRESSES, after.id), str(prefix), None)


def _by_remote(policy: Policies, remote: Remote, prefix: str, network_id: str | None) -> Iterator[Unit]:
    """The units of an address that belongs to a remote end, in one network or wherever the rules are."""
    family = 6 if ":" in prefix else 4
    for clause in policy.clauses.having(remote):
        if clause.family != family:
            continue
        for spot in policy.presence.spots(clause.group_id, network_id):
            yield peer_unit(spot.host, spot.network_id, prefix)


def by_rule(policy: Policies, rule: SecurityRule) -> Iterator[Unit | Spot]:
    """What reads a rule that has come or gone; a spot stands for the PORT units of the group's members there."""
    clause = clause_of(rule)
    rules = sum(policy.clauses.of(rule.group_id).get(clause, {}).values())
    first_or_last = rules <= max(1, len(pieces_of(rule)))
    for spot in policy.presence.spots(rule.group_id):
        for piece in pieces_of(rule):
            yield service_unit(spot, clause, piece)
        if first_or_last:
            yield spot
            yield from units_for(policy, spot, clause)
