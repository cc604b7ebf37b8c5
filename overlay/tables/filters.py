"""How does a port's policy decide about a packet?

The sender's policy and the receiver's are twins: four tables each, after ``sender`` and ``receiver``.  Connections are
tracked in the zone of the port's lane, both directions of a port in one zone.  What answers a connection passes; what
begins one, or goes on with one in its first direction, passes if a rule allows it *now*: so a connection ends when the
rule goes that let it in, and no other does.  It is marked then, and its answers stop as well.  Rules are conjunctive
matches (ovs-fields(7)), see ``overlay.policy.clauses``.

Only the first fragment of an IP packet has ports.  The tracker puts packets together, each time that it is asked, and
lets fragments go on when it has all of them.  So later fragments pass without a look at the rules, but take the same
way through the tracker as a first one that is allowed: of a packet whose first one is refused they wait there in vain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from overlay.flow import Action, Conjunction, FieldValue, Flow, Meter, Table, Track
from overlay.tables.names import (
    ICMPV6,
    IN_LANE,
    IPV4,
    IPV6,
    LISTENER_DONE,
    LISTENER_QUERY,
    LISTENER_REPORT,
    LISTENER_REPORT_V2,
    NEIGHBOUR_ADVERTISEMENT,
    NEIGHBOUR_SOLICITATION,
    NETWORK,
    OUT_LANE,
    REDIRECT,
    ROUTER_ADVERTISEMENT,
    ROUTER_SOLICITATION,
    UDP,
)

NEW: Final = 0x01
ESTABLISHED: Final = 0x02
RELATED: Final = 0x04
REPLY: Final = 0x08
INVALID: Final = 0x10
TRACKED: Final = 0x20
"""The bits of ``ct_state`` (ovs-fields(7), "Connection Tracking Fields")."""

ENDED: Final = 1
"""Marks a connection that no rule allows any more."""
BEGUN: Final = 4
"""Marks a connection that is remembered: one that nobody answers stays new for the tracker, whatever follows."""

FAMILIES: Final = (IPV4, IPV6)

OWN: Final = 40
FREE: Final = 30
JUDGED: Final = 20

_PLAIN: Final = 30
_RULE: Final = 20
_GOES_ON: Final = 10
_MISS: Final = 0

_LATER: Final = 0x02
"""In ``ip_frag``: any fragment but the first."""

_SERVICES: Final = (
    "ip_proto",
    "tcp_dst",
    "udp_dst",
    "sctp_dst",
    "icmpv4_type",
    "icmpv4_code",
    "icmpv6_type",
    "icmpv6_code",
)


def _free_out() -> Iterator[dict[str, FieldValue]]:
    """What every port may send: it could not get its addresses otherwise."""
    yield {"eth_type": IPV4, "ip_proto": UDP, "udp_src": 68, "udp_dst": 67}
    yield {"eth_type": IPV6, "ip_proto": UDP, "udp_src": 546, "udp_dst": 547}
    for kind in (ROUTER_SOLICITATION, LISTENER_REPORT, LISTENER_DONE, LISTENER_REPORT_V2):
        yield {"eth_type": IPV6, "ip_proto": ICMPV6, "icmpv6_type": kind}


def _free_in() -> Iterator[dict[str, FieldValue]]:
    """What every port may get: answers to that, and what neighbours say; the sender's guard has judged it."""
    yield {"eth_type": IPV4, "ip_proto": UDP, "udp_src": 67, "udp_dst": 68}
    yield {"eth_type": IPV6, "ip_proto": UDP, "udp_src": 547, "udp_dst": 546}
    for kind in (
        LISTENER_QUERY,
        ROUTER_ADVERTISEMENT,
        NEIGHBOUR_SOLICITATION,
        NEIGHBOUR_ADVERTISEMENT,
        REDIRECT,
    ):
        yield {"eth_type": IPV6, "ip_proto": ICMPV6, "icmpv6_type": kind}


@dataclass(frozen=True)
class Filter:
    """The tables of one side.

    :param lane: the register that says whose policy this is; its lower 16 bits are the zone.
    :param onward: the table after a packet has passed.
    :param peer: which end of the packet is the remote one: ``"src"`` or ``"dst"``.
    """

    first: Table
    state: Table
    rules: Table
    verdict: Table
    refused: Table
    lane: str
    onward: str
    peer: str

    @property
    def tables(self) -> tuple[Table, ...]:
        """In the packet's order."""
        return (self.first, self.state, self.rules, self.verdict, self.refused)

    def static(self, cookie: int) -> Iterator[Flow]:
        """What is the same for every port."""
        for match in _free_out() if self.lane == IN_LANE else _free_in():
            yield self.first.flow(FREE, match, cookie=cookie, goto=self.onward)
        yield self.first.flow(_MISS, {}, cookie=cookie, goto=self.onward)
        invalid = {"ct_state": (TRACKED | INVALID, TRACKED | INVALID)}
        yield self.state.flow(40, invalid, cookie=cookie, goto=self.refused.name)
        for belongs in (REPLY, REPLY | RELATED), (RELATED, REPLY | RELATED), (REPLY | RELATED, REPLY | RELATED):
            state = tuple(TRACKED | bits for bits in belongs)
            answer: dict[str, FieldValue] = {"ct_state": (state[0], state[1])}
            yield self.state.flow(30, {**answer, "ct_mark": ENDED}, cookie=cookie, goto=self.refused.name)
            yield self.state.flow(20, answer, cookie=cookie, goto=self.onward)
        for family in FAMILIES:
            later: dict[str, FieldValue] = {"eth_type": family, "ip_frag": (_LATER, _LATER)}
            yield self.state.flow(10, later, cookie=cookie, goto=self.verdict.name)
        yield self.state.flow(_MISS, {}, cookie=cookie, goto=self.rules.name)
        for family in FAMILIES:
            goes_on: dict[str, FieldValue] = {"eth_type": family, "ct_mark": (BEGUN, BEGUN | ENDED)}
            end = Track(self.lane, commit=True, mark=ENDED)
            yield self.rules.flow(_GOES_ON, goes_on, cookie=cookie, actions=(end,), goto=self.refused.name)
            begun: dict[str, FieldValue] = {"eth_type": family, "ct_state": (NEW, NEW), "ct_mark": 0}
            begin = Track(self.lane, commit=True, mark=BEGUN)
            yield self.verdict.flow(20, begun, cookie=cookie, actions=(begin,), goto=self.onward)
            again: dict[str, FieldValue] = {"eth_type": family, "ct_mark": (ENDED, ENDED)}
            revive = Track(self.lane, commit=True, mark=BEGUN)
            yield self.verdict.flow(10, again, cookie=cookie, actions=(revive,), goto=self.onward)
        yield self.rules.flow(_MISS, {}, cookie=cookie, goto=self.refused.name)
        yield self.verdict.flow(_MISS, {}, cookie=cookie, goto=self.onward)

    def judged(self, cookie: int, lane: int, family: int) -> Flow:
        """A port's packets of a family go by its policy."""
        track = Track(self.lane, self.first.number_of(self.state.name))
        return self.first.flow(JUDGED, {self.lane: lane, "eth_type": family}, cookie=cookie, actions=(track,))

    def allow_all(self, cookie: int, lane: int, family: int | None = None) -> Flow:
        """Everything of a family is allowed to a port, or everything at all."""
        match = {self.lane: lane} | ({} if family is None else {"eth_type": family})
        return self.rules.flow(_PLAIN, match, cookie=cookie, goto=self.verdict.name)

    def member(self, cookie: int, lane: int, clauses: Mapping[int, int]) -> Flow:
        """A port is one of those that these clauses are about.

        :param clauses: their numbers, each with how many dimensions it has.
        """
        return self.rules.flow(_RULE, {self.lane: lane}, cookie=cookie, actions=_parts(clauses.items(), 1))

    def remote_end(self, cookie: int, network: int, prefix: dict[str, FieldValue], clauses: Mapping[int, int]) -> Flow:
        """An address or prefix of a network is one of the remote ends of these clauses."""
        return self.rules.flow(_RULE, {NETWORK: network, **prefix}, cookie=cookie, actions=_parts(clauses.items(), 2))

    def service(self, cookie: int, network: int, match: dict[str, FieldValue], clauses: Mapping[int, int]) -> Flow:
        """A service is one of those of these clauses."""
        parts = tuple(Conjunction(number, of, of) for number, of in sorted(clauses.items()))
        return self.rules.flow(_RULE, {NETWORK: network, **match}, cookie=cookie, actions=parts)

    def whole(self, cookie: int, number: int) -> Flow:
        """All conditions of a clause have come together."""
        return self.rules.flow(_RULE, {"conj_id": number}, cookie=cookie, goto=self.verdict.name)

    def begins(self, cookie: int, lane: int, meter: Meter) -> Iterator[Flow]:
        """A port begins connections, no more than its meter lets pass: each costs the tracker memory."""
        for family in FAMILIES:
            begun: dict[str, FieldValue] = {"eth_type": family, "ct_state": (NEW, NEW), "ct_mark": 0}
            match = {self.lane: lane, **begun}
            begin = Track(self.lane, commit=True, mark=BEGUN)
            yield self.verdict.flow(30, match, cookie=cookie, actions=(begin,), goto=self.onward, meter=meter.meter_id)

    def count(self, cookie: int, lane: int) -> Flow:
        """What a port's policy refuses is dropped, and counted here."""
        return self.refused.flow(_RULE, {self.lane: lane}, cookie=cookie)


def _parts(clauses: Iterable[tuple[int, int]], dimension: int) -> tuple[Action, ...]:
    return tuple(Conjunction(number, dimension, of) for number, of in sorted(clauses))


def _make(side: str, lane: str, onward: str, peer: str, words: tuple[str, str]) -> Filter:
    first, whom = words
    names = [f"{side}_{what}" for what in ("state", "rules", "verdict", "refused")]
    state, rules, verdict, refused = names
    addresses = (f"ipv4_{peer}", f"ipv6_{peer}")
    return Filter(
        Table(
            side,
            f"Sends a packet to the policy of the port that it {first}.",
            matches=(IN_LANE, OUT_LANE, "eth_type", "ip_proto", "udp_src", "udp_dst", "icmpv6_type"),
            nexts=(state, onward),
            miss=f"{onward}: a port without a policy about it",
        ),
        Table(
            state,
            f"Lets pass what answers a connection of the {whom}, and asks the rules about all else.",
            matches=("ct_state", "ct_mark", "eth_type", "ip_frag"),
            nexts=(rules, verdict, refused, onward),
        ),
        Table(
            rules,
            f"The rules of the {whom}'s security groups, as conjunctions of port, remote end and service.",
            matches=(lane, NETWORK, "eth_type", *addresses, *_SERVICES, "ct_state", "ct_mark", "conj_id"),
            writes=("ct_mark",),
            nexts=(verdict, refused),
            miss=f"{refused}: no rule allows it; a connection that it belonged to is marked as ended",
        ),
        Table(
            verdict,
            "Remembers a connection that begins, so many a second, and one that is allowed again.",
            matches=(lane, "eth_type", "ct_state", "ct_mark"),
            writes=("ct_mark",),
            nexts=(onward,),
        ),
        Table(refused, f"Counts per port what the {whom}'s policy refuses.", matches=(lane,)),
        lane,
        onward,
        peer,
    )


SENDER: Final = _make("sender", IN_LANE, "forward", "dst", ("came from", "sender"))
RECEIVER: Final = _make("receiver", OUT_LANE, "deliver", "src", ("is for", "receiver"))


def own_flood(cookie: int, lane: int) -> Flow:
    """Of what a port floods none is for itself: its policy must not see it as something that arrives."""
    return RECEIVER.first.flow(OWN, {IN_LANE: lane, OUT_LANE: lane}, cookie=cookie)
