"""A machine that moves brings its connections along: they go on where its groups allow them, and begin nothing new."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.changes import (
    Activate,
    BindPassive,
    CreatePort,
    HostLost,
    Tick,
    Unbind,
    Unplugged,
    UpdatePort,
)
from overlay.documents import read_port, write_port
from overlay.moves import Phase
from overlay.policy.changes import CreateSecurityRule, DeleteSecurityRule
from overlay.policy.clauses import clause_of
from overlay.policy.values import Direction
from overlay.trunks.changes import CreateTrunk
from overlay.trunks.values import SubPort
from overlay.values import HostName, Mac
from overlay.world import World
from tests.model.lab import Lab, places
from tests.model.switch import ACK, RST, SYN
from tests.overlay.test_policy_law import PORTS, back, give, groups_of, lab_of, later, packet_of, passes, rules

H1, H2, H3 = (HostName(name) for name in ("h1", "h2", "h3"))
FIN = 0x01


def move(lab: Lab, port: str) -> None:
    """Let a machine move to the next host."""
    source = lab.world.ports[port].host
    target = lab.hosts[(lab.hosts.index(source) + 1) % 3]
    lab.do(BindPassive(port, target))
    lab.plug(target, port)
    lab.do(Activate(port, target))
    lab.do(Unplugged(source, port))
    lab.now += 100
    lab.do(Tick())
    assert lab.world.ports[port].host == target
    assert lab.world.move_of(port) is None


def segment(lab: Lab, source: str, target: str, flags: int, ports: tuple[int, int] = (40_000, 5)) -> dict[str, int]:
    """A segment by IPv4."""
    _, _, packet = packet_of(lab, ((source, target), 4, 6, ports[1], 0, 0))
    return {**packet, "tcp_src": ports[0], "tcp_flags": flags}


def arrives(lab: Lab, source: str, target: str, packet: dict[str, int]) -> bool:
    """Whether a packet gets from where its sender is to where its receiver is, and nowhere else."""
    found = places(lab.send(lab.world.ports[source].host, source, packet))
    assert found in ([], [(lab.world.ports[target].host, target)])
    return bool(found)


# --- the law ---


class Policy:
    """What the tables of a port decide about TCP, in words: whoever began a connection is judged again and again."""

    def __init__(self, world: World, port: str, *, moved: bool) -> None:
        self.world, self.port, self.moved = world, port, moved
        self.begun: dict[frozenset[tuple[int, int]], Direction] = {}
        self.ended: set[frozenset[tuple[int, int]]] = set()
        self.picked: set[frozenset[tuple[int, int]]] = set()

    def lets(self, direction: Direction, packet: dict[str, int]) -> bool:
        """Whether a segment passes, and what is remembered of it."""
        port = self.world.ports[self.port]
        free = {
            rule.direction
            for group in port.security_groups or ()
            for rule in self.world.rules_of(group)
            if rule.family == 4 and clause_of(rule).dimensions == 1
        }
        if not port.filtered or free == set(Direction):
            return True
        ends = frozenset({(packet["ipv4_src"], packet["tcp_src"]), (packet["ipv4_dst"], packet["tcp_dst"])})
        flags, allowed = packet["tcp_flags"], passes(self.world, port, direction, packet)
        if ends not in self.begun:
            return self._first(ends, direction, flags, allowed=allowed)
        if (direction is self.begun[ends]) != (ends in self.picked):  # it began in this direction, as far as is known
            (self.ended.discard if allowed else self.ended.add)(ends)
            return allowed
        if ends not in self.picked:
            return ends not in self.ended
        if ends not in self.ended and flags & (SYN | ACK) != SYN:
            return True
        if allowed:  # anew, in the direction in which it was picked up
            self.picked.discard(ends)
            self.ended.discard(ends)
        return allowed

    def _first(self, ends: frozenset[tuple[int, int]], direction: Direction, flags: int, *, allowed: bool) -> bool:
        if flags & (SYN | ACK) == SYN | ACK:
            return False
        if not allowed:
            if not self.moved or flags & (SYN | RST | ACK) != ACK:
                return False
            self.picked.add(ends)
        self.begun[ends] = direction
        return True


segments = st.tuples(
    st.sampled_from([("a", "d"), ("d", "a"), ("a", "c"), ("c", "a")]),
    st.sampled_from([SYN, SYN, ACK, ACK, ACK, ACK | FIN, SYN | ACK, RST, RST | ACK]),
    st.sampled_from([(40_000, 5), (5, 40_000)]),
)
ways = st.tuples(
    st.just("g0"),
    st.sampled_from(Direction),
    st.just(4),
    st.sampled_from([(6, None, None), (6, 5, 5), (6, 40_000, 40_000)]),
    st.just({}),
)
steps = st.one_of(*[segments] * 9, st.integers(0, 40), ways, rules)


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(st.just(("g0",)), st.none(), st.just(("g0",)) | groups_of, st.none()),
    st.lists(ways | rules, max_size=3),
    st.sampled_from([{"a"}, {"a", "c"}, set()]),
    st.lists(steps, min_size=20, max_size=40),
)
def test_what_goes_on_is_what_the_rules_allow(memberships, drawn_rules, movers, drawn_steps) -> None:
    """Whatever rules come and go: a connection goes on that they allow to whoever must have begun it, and no other."""
    lab = lab_of(list(memberships))
    lab.do(DeleteSecurityRule("g0-4"))
    for number, rule in enumerate(drawn_rules):
        give(lab, number, rule)
    for port in sorted(movers):
        move(lab, port)
    assert dict(lab.installed) == lab.compiler.recompute()
    lab.trackers.clear()
    policies = {port: Policy(lab.world, port, moved=port in movers) for port in PORTS}
    for number, step in enumerate(drawn_steps, start=8):
        match step:
            case int():
                if f"r{step}" in lab.world.security_rules:
                    lab.do(DeleteSecurityRule(f"r{step}"))
            case (source, target), flags, ports:
                packet = segment(lab, source, target, flags, ports)
                sent = policies[source].lets(Direction.EGRESS, packet)
                assert arrives(lab, source, target, packet) == (
                    sent and policies[target].lets(Direction.INGRESS, packet)
                ), (number, step)
            case _:
                give(lab, number, step)


# --- in words ---


@pytest.fixture
def lab() -> Lab:
    """``a`` and ``c`` may begin anything and let nobody in; ``b`` and ``d`` may do everything."""
    return lab_of([("g0",), None, ("g0",), None])


def test_a_machine_that_only_listens_hears_on(lab: Lab) -> None:
    """What answers it passes after a move before it has said a word; and its own words then do."""
    asked, answered = segment(lab, "a", "d", ACK), back(segment(lab, "a", "d", ACK))
    move(lab, "a")
    assert arrives(lab, "d", "a", answered)
    assert arrives(lab, "a", "d", asked)
    assert arrives(lab, "d", "a", answered)


def test_a_machine_that_has_not_moved_hears_nothing_unasked(lab: Lab) -> None:
    """Where the tracker has seen every connection begin, the middle of an unknown one is refused."""
    assert not arrives(lab, "d", "a", segment(lab, "d", "a", ACK))


@pytest.mark.parametrize("flags", [SYN, SYN | ACK, RST, RST | ACK])
def test_nothing_begins_by_it(lab: Lab, flags: int) -> None:
    """Only a segment from the middle passes; one that opens does not either when the middle has passed."""
    move(lab, "a")
    assert not arrives(lab, "d", "a", segment(lab, "d", "a", flags))
    assert arrives(lab, "d", "a", segment(lab, "d", "a", ACK))
    assert arrives(lab, "d", "a", segment(lab, "d", "a", flags)) == (flags != SYN)


def test_a_machine_may_not_begin_by_it_either(lab: Lab) -> None:
    """The same for what a machine sends that may only answer."""
    lab.do(DeleteSecurityRule("g0-4"))
    give(lab, 1, ("g0", Direction.INGRESS, 4, (6, 5, 5), {}))
    asked, answered = segment(lab, "d", "a", ACK), back(segment(lab, "d", "a", ACK))
    move(lab, "a")
    assert not arrives(lab, "a", "d", back(segment(lab, "d", "a", SYN)))
    assert arrives(lab, "a", "d", answered)
    assert arrives(lab, "d", "a", asked)
    lab.do(DeleteSecurityRule("r1"))
    assert not arrives(lab, "d", "a", asked)
    assert not arrives(lab, "a", "d", answered)


def test_it_ends_and_revives_with_its_rule(lab: Lab) -> None:
    """The first word back is judged by the rules of the moment, and so is each that follows."""
    move(lab, "a")
    asked, answered = segment(lab, "a", "d", ACK), back(segment(lab, "a", "d", ACK))
    lab.do(DeleteSecurityRule("g0-4"))
    assert arrives(lab, "d", "a", answered)
    for _ in range(2):
        assert not arrives(lab, "a", "d", asked)
        assert not arrives(lab, "d", "a", answered)
    lab.do(CreateSecurityRule("again", "p", "g0", Direction.EGRESS, 4))
    assert arrives(lab, "a", "d", asked)
    assert arrives(lab, "d", "a", answered)


def test_errors_about_it_pass_as_long_as_it_does(lab: Lab) -> None:
    """An ICMP error about a connection that was brought along passes; one about what has ended does not."""

    def error() -> bool:
        _, _, head = packet_of(lab, (("d", "a"), 4, 0, 0, 8, 0))
        return arrives(lab, "d", "a", {**head, "icmpv4_type": 3, "about": asked})

    move(lab, "a")
    asked = segment(lab, "a", "d", ACK)
    assert not error()
    assert arrives(lab, "d", "a", back(asked))
    assert error()
    lab.do(DeleteSecurityRule("g0-4"))
    assert not arrives(lab, "a", "d", asked)
    assert not error()


def test_fragments_go_on_and_begin_nothing(lab: Lab) -> None:
    """A first fragment is not taken for the middle of a connection; of one that goes on fragments pass both ways."""
    move(lab, "a")
    answered = segment(lab, "d", "a", ACK)
    tracker = lab.trackers[lab.world.ports["a"].host]
    for whole in (answered, back(answered)):
        for fragment in ({**whole, "ip_frag": 1}, later(whole)):
            tracker.whole[tuple(sorted(fragment.items()))] = whole
    assert not arrives(lab, "d", "a", {**answered, "ip_frag": 1})
    assert arrives(lab, "d", "a", answered)
    for source, target, whole in (("d", "a", answered), ("a", "d", back(answered))):
        assert arrives(lab, source, target, {**whole, "ip_frag": 1})
        assert arrives(lab, source, target, later(whole))


def test_other_protocols_wait_for_the_machine(lab: Lab) -> None:
    """Of a datagram nobody can tell whether it begins something: it passes when the machine has spoken."""
    move(lab, "a")
    _, _, asked = packet_of(lab, (("a", "d"), 4, 17, 99, 0, 0))
    assert not arrives(lab, "d", "a", back(asked))
    assert arrives(lab, "a", "d", asked)
    assert arrives(lab, "d", "a", back(asked))


# --- which ports ---


def picks_up(lab: Lab, host: HostName, port: str) -> bool:
    """Whether a host takes the middle of a connection to a port for its beginning."""
    plug = lab.world.plug_of(host, port)
    flows = lab.installed[host].values()
    return plug is not None and any(
        {("reg3", plug.lane), ("tcp_flags", ACK)} <= {each[:2] for each in flow.match} for flow in flows
    )


def test_the_target_is_prepared_before_the_machine_is_there(lab: Lab) -> None:
    """The passive program has all of it; the source, which knows the connections, stays as it is."""
    lab.do(BindPassive("a", H2))
    lab.plug(H2, "a")
    assert lab.world.move_of("a").phase is Phase.READY
    assert (picks_up(lab, H1, "a"), picks_up(lab, H2, "a")) == (False, True)
    lab.do(Unbind("a", H2))
    assert (picks_up(lab, H1, "a"), lab.world.ports["a"].travelled) == (False, False)


def test_a_machine_that_comes_back_has_been_away(lab: Lab) -> None:
    """If the target is lost after activation, the source has not seen what began there."""
    lab.do(BindPassive("a", H2))
    lab.plug(H2, "a")
    lab.change(Activate("a", H2))
    lab.do(HostLost(H2))
    assert lab.world.ports["a"].host == H1
    assert picks_up(lab, H1, "a")


def test_who_is_bound_afresh_has_no_past(lab: Lab) -> None:
    """A port that is unbound, or bound where its machine is started, takes nothing for the middle of a connection."""
    move(lab, "a")
    assert lab.world.ports["a"].travelled
    lab.do(Unplugged(H2, "a"))
    assert lab.world.ports["a"].travelled
    lab.do(UpdatePort("a", host=H3))
    assert not lab.world.ports["a"].travelled
    move_on = lab.world.ports["a"].host
    lab.plug(move_on, "a")
    assert not picks_up(lab, H3, "a")
    move(lab, "a")
    lab.do(UpdatePort("a", host=None))
    assert not lab.world.ports["a"].travelled


def test_sub_ports_travel_with_their_trunk(lab: Lab) -> None:
    """The connections of a VLAN are brought along as those of its parent."""
    lab.do(CreatePort("sub", "p", "net", mac=Mac(77), security_groups=("g0",)))
    lab.do(CreateTrunk("trunk", "p", "a", sub_ports=(SubPort("sub", 7),)))
    move(lab, "a")
    assert lab.world.ports["sub"].travelled
    assert picks_up(lab, H2, "sub")


def test_it_is_remembered(lab: Lab) -> None:
    """A restored world knows which ports have moved; what was stored before there was such a thing has not."""
    move(lab, "a")
    restored = World.restore(lab.world.documents(), 0.0)
    assert {port.id: port.travelled for port in restored.ports.values()} == dict.fromkeys(PORTS, False) | {"a": True}
    body = write_port(lab.world.ports["a"]).body
    assert body is not None
    del body["travelled"]
    assert read_port("a", body) == replace(lab.world.ports["a"], travelled=False)


def test_members_of_nothing_need_no_picking_up(lab: Lab) -> None:
    """Where everything is allowed there is nothing to be taken for an answer, by IP version and by direction."""
    give(lab, 1, ("g0", Direction.INGRESS, 4, (None, None, None), {}))
    move(lab, "a")
    found = [
        {each[:2] for each in flow.match} & {("eth_type", 0x0800), ("eth_type", 0x86DD), ("reg2", 3), ("reg3", 3)}
        for flow in lab.installed[H2].values()
        if any(each.field == "tcp_flags" and each.value == ACK for each in flow.match)
    ]
    assert [len(each) for each in found] == [2]
    assert ("eth_type", 0x86DD) in found[0]
