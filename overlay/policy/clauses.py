"""Which conjunctions say what the rules of the groups say?

A *clause* is what the rules of one group have in common that allow the same remote end: the flows for it are one per
port, plus one per address of the remote end, plus one per service, never their products (conjunctive matches,
ovs-fields(7); the idea is Antrea's).  Clauses and their numbers depend on the rules alone, so that a controller that
starts again makes the same flows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from hashlib import blake2b
from types import MappingProxyType
from typing import Final, NamedTuple

from overlay.flow import FieldValue
from overlay.policy.values import Direction, SecurityRule
from overlay.tables.names import ICMP, ICMPV6, IPV4, IPV6, SCTP, TCP, UDP

_PORT_BITS: Final = 16
_ALL_BITS: Final = (1 << _PORT_BITS) - 1
_PORTS: Final = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}

ETHERTYPES: Final = {4: IPV4, 6: IPV6}
"""By IP version."""


ANY: Final = -1
"""In place of a port, a mask, a type or a code."""


class RemoteKind(Enum):
    """What a rule names as the remote end."""

    GROUP = "group"
    ADDRESSES = "addresses"
    PREFIX = "prefix"


class Remote(NamedTuple):
    """A remote end: a security group or an address group by its id, or a prefix as text."""

    kind: RemoteKind
    key: str


class Piece(NamedTuple):
    """A part of a service that one flow can match.

    :ivar first: a destination port, or ICMP's type; -1 for any.
    :ivar second: which bits of the port count, or ICMP's code; -1 for any code.
    """

    protocol: int
    first: int = ANY
    second: int = ANY


class Clause(NamedTuple):
    """The rules of a group that allow the same remote end in one direction.

    :ivar remote: ``None`` for everybody.
    :ivar every_service: whether they allow all of it; those that allow some services make a clause of their own.
    """

    group_id: str
    direction: Direction
    family: int
    remote: Remote | None
    every_service: bool

    @property
    def dimensions(self) -> int:
        """How many conditions have to come together: the port, the remote end, the service."""
        return 1 + (self.remote is not None) + (not self.every_service)

    @property
    def key(self) -> str:
        """The clause as text; :meth:`read` reads it back."""
        kind, key = ("", "") if self.remote is None else (self.remote.kind.value, self.remote.key)
        return "|".join((self.group_id, self.direction, str(self.family), kind, key, "*" * self.every_service))

    @staticmethod
    def read(text: str) -> Clause:
        """Read a clause's text."""
        group_id, direction, family, kind, key, every = text.split("|")
        remote = Remote(RemoteKind(kind), key) if kind else None
        return Clause(group_id, Direction(direction), int(family), remote, bool(every))


def remote_of(rule: SecurityRule) -> Remote | None:
    """The remote end of a rule; a prefix that holds every address is everybody."""
    if rule.remote_group_id is not None:
        return Remote(RemoteKind.GROUP, rule.remote_group_id)
    if rule.remote_address_group_id is not None:
        return Remote(RemoteKind.ADDRESSES, rule.remote_address_group_id)
    if rule.remote_prefix is not None and rule.remote_prefix.prefixlen:
        return Remote(RemoteKind.PREFIX, str(rule.remote_prefix))
    return None


def clause_of(rule: SecurityRule) -> Clause:
    """The clause that a rule belongs to."""
    return Clause(rule.group_id, rule.direction, rule.family, remote_of(rule), rule.protocol is None)


def pieces_of(rule: SecurityRule) -> tuple[Piece, ...]:
    """The service of a rule in parts that a flow can match; none where every service is meant."""
    protocol, low, high = rule.protocol, rule.port_min, rule.port_max
    if protocol is None:
        return ()
    if protocol not in _PORTS or (low is None and high is None):
        return (Piece(protocol, ANY if low is None else low, ANY if high is None else high),)
    whole = blocks(0 if low is None else low, _ALL_BITS if high is None else high)
    return tuple(Piece(protocol, value, mask) if mask else Piece(protocol) for value, mask in whole)


def blocks(low: int, high: int) -> Iterator[tuple[int, int]]:
    """Cut a range of 16-bit numbers into the fewest aligned blocks, each a value and a mask."""
    while low <= high:
        size = low & -low or 1 << _PORT_BITS
        while size > high - low + 1:
            size >>= 1
        yield low, _ALL_BITS & ~(size - 1)
        low += size


def conditions_of(family: int, piece: Piece) -> dict[str, FieldValue]:
    """What a packet of a service looks like."""
    match: dict[str, FieldValue] = {"eth_type": ETHERTYPES[family], "ip_proto": piece.protocol}
    if piece.protocol in {ICMP, ICMPV6}:
        kind = "icmpv4" if piece.protocol == ICMP else "icmpv6"
        asked = {f"{kind}_type": piece.first, f"{kind}_code": piece.second}
        match |= {name: value for name, value in asked.items() if value != ANY}
    elif piece.first != ANY:
        match[f"{_PORTS[piece.protocol]}_dst"] = (piece.first, piece.second)
    return match


class Clauses:
    """The clauses of all groups, with their services and numbers."""

    def __init__(self) -> None:
        self._of: dict[str, dict[Clause, dict[Piece | None, int]]] = {}
        self._with: dict[Remote, dict[Clause, None]] = {}
        self._numbers: dict[Clause, int] = {}
        self._by_number: dict[int, Clause] = {}

    def of(self, group_id: str) -> Mapping[Clause, Mapping[Piece | None, int]]:
        """The clauses of a group, and of each the pieces of its services with how many rules need them."""
        return MappingProxyType(self._of.get(group_id, {}))

    def having(self, remote: Remote) -> Iterable[Clause]:
        """The clauses with a remote end."""
        return self._with.get(remote, {}).keys()

    def number(self, clause: Clause) -> int:
        """The number of a clause: the ``conj_id`` of its flows."""
        return self._numbers[clause]

    def add(self, rule: SecurityRule) -> bool:
        """Take a rule in.  :returns: whether its clause is new."""
        clause = clause_of(rule)
        of_group = self._of.setdefault(rule.group_id, {})
        new = clause not in of_group
        if new:
            of_group[clause] = {}
            self._take_number(clause)
            if clause.remote is not None:
                self._with.setdefault(clause.remote, {})[clause] = None
        counts = of_group[clause]
        for piece in pieces_of(rule) or (None,):
            counts[piece] = counts.get(piece, 0) + 1
        return new

    def remove(self, rule: SecurityRule) -> bool:
        """Leave a rule out.  :returns: whether its clause is no more."""
        clause = clause_of(rule)
        of_group = self._of[rule.group_id]
        counts = of_group[clause]
        for piece in pieces_of(rule) or (None,):
            counts[piece] -= 1
            if not counts[piece]:
                del counts[piece]
        if counts:
            return False
        del of_group[clause], self._by_number[self._numbers.pop(clause)]
        if not of_group:
            del self._of[rule.group_id]
        if clause.remote is not None:
            del self._with[clause.remote][clause]
            if not self._with[clause.remote]:
                del self._with[clause.remote]
        return True

    def _take_number(self, clause: Clause) -> None:
        """A number that only this clause has; two of one hash are so rare that the later one may move on."""
        digest = blake2b(repr(clause).encode(), digest_size=4).digest()
        number = int.from_bytes(digest, "big")
        while number in self._by_number or not number:
            number = number + 1 & 0xFFFFFFFF
        self._numbers[clause], self._by_number[number] = number, clause
