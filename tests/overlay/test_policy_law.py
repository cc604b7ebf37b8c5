"""The flows of security groups decide as Neutron's rules do, whatever groups, rules, ports and packets."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.changes import (
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    DeletePort,
    Plugged,
    Unit,
    UnitKind,
    Unplugged,
    UpdatePort,
)
from overlay.compile import flows_of
from overlay.policy.changes import (
    CreateAddressGroup,
    CreateSecurityGroup,
    CreateSecurityRule,
    CreateSecurityRules,
    DeleteSecurityRule,
    UpdateAddressGroup,
)
from overlay.policy.clauses import blocks
from overlay.policy.values import Direction, SecurityRule
from overlay.refusals import Conflict
from overlay.values import HostName, Mac, Port, Vni
from overlay.world import World
from tests.model.lab import Lab, places
from tests.model.switch import Tracker

GROUPS = ("g0", "g1", "g2")
PORTS = {"a": "h1", "b": "h1", "c": "h2", "d": "h3"}
PREFIXES = [
    ip_network(text) for text in ("10.0.0.0/29", "10.0.0.3/32", "0.0.0.0/0", "2001:db8::/126", "2001:db8::2/128")
]
CODES = {6: "tcp", 17: "udp", 132: "sctp"}


def allows(world: World, rule: SecurityRule, packet: dict[str, int], network: str) -> bool:
    """Neutron's rules in a few lines: whether a rule lets a packet of a network begin a connection."""
    family = 4 if packet["eth_type"] == 0x0800 else 6
    remote = ip_address(packet[f"ipv{family}_{'src' if rule.direction is Direction.INGRESS else 'dst'}"])
    if rule.family != family or rule.protocol not in {None, packet["ip_proto"]}:
        return False
    if rule.protocol in CODES and (rule.port_min, rule.port_max) != (None, None):
        low, high = (rule.port_min or 0, 0xFFFF if rule.port_max is None else rule.port_max)
        if not low <= packet[f"{CODES[rule.protocol]}_dst"] <= high:
            return False
    if rule.protocol in {1, 58}:
        kind = "icmpv4" if rule.protocol == 1 else "icmpv6"
        if rule.port_min not in {None, packet[f"{kind}_type"]} or rule.port_max not in {None, packet[f"{kind}_code"]}:
            return False
    if rule.remote_prefix is not None:
        return remote in rule.remote_prefix
    if rule.remote_address_group_id is not None:
        return any(remote in each for each in world.address_groups[rule.remote_address_group_id].prefixes)
    members = (p for p in world.ports_of_network(network) if rule.remote_group_id in (p.security_groups or ()))
    return rule.remote_group_id is None or any(fixed.ip == remote for p in members for fixed in p.fixed_ips)


def passes(world: World, port: Port, direction: Direction, packet: dict[str, int]) -> bool:
    """Whether a port's policy lets a packet begin a connection."""
    rules = [rule for group in port.security_groups or () for rule in world.rules_of(group)]
    found = (rule for rule in rules if rule.direction is direction)
    return not port.filtered or any(allows(world, rule, packet, port.network_id) for rule in found)


# --- drawing ---

services = st.one_of(
    st.just((None, None, None)),
    st.tuples(st.sampled_from([6, 17, 132]), st.none(), st.none()),
    st.tuples(st.sampled_from([6, 17, 132]), st.integers(1, 9), st.integers(0, 9)).map(
        lambda t: (t[0], t[1], t[1] + t[2])
    ),
    st.tuples(st.just(0), st.none() | st.sampled_from([8, 13]), st.none() | st.sampled_from([0, 1])).map(
        lambda t: (t[0], t[1], None if t[1] is None else t[2])
    ),
)
remotes = st.one_of(
    st.just({}),
    st.sampled_from(GROUPS).map(lambda group: {"remote_group_id": group}),
    st.sampled_from(PREFIXES).map(lambda prefix: {"remote_prefix": prefix}),
    st.just({"remote_address_group_id": "addresses"}),
)
rules = st.tuples(st.sampled_from(GROUPS), st.sampled_from(Direction), st.sampled_from([4, 6]), services, remotes)
groups_of = st.none() | st.lists(st.sampled_from(GROUPS), unique=True, max_size=3).map(tuple)
packets = st.tuples(
    st.permutations(sorted(PORTS)).map(lambda order: order[:2]),
    st.sampled_from([4, 6]),
    st.sampled_from([6, 17, 132, 0]),
    st.integers(0, 20),
    st.sampled_from([8, 13]),
    st.sampled_from([0, 1]),
)


def lab_of(memberships: list[tuple[str, ...] | None]) -> Lab:
    """Three hosts, a network with both families, four ports."""
    lab = Lab(3)
    lab.do(CreateNetwork("net", "p", vni=Vni(100)))
    lab.do(CreateSubnet("four", "p", "net", ip_network("10.0.0.0/24")))
    lab.do(CreateSubnet("six", "p", "net", ip_network("2001:db8::/64")))
    for group in GROUPS:
        lab.do(CreateSecurityGroup(group, "p", (f"{group}-4", f"{group}-6"), group))
    lab.do(CreateAddressGroup("addresses", "p", "addresses", prefixes=(PREFIXES[1], PREFIXES[4])))
    for number, ((port, host), groups) in enumerate(zip(PORTS.items(), memberships, strict=True)):
        mac = Mac(0x02_00_00_00_00_0A + number)
        lab.do(CreatePort(port, "p", "net", mac=mac, host=host, security_groups=groups))
        lab.plug(host, port)
    return lab


def give(lab: Lab, number: int, rule: tuple) -> None:
    """Add a rule; one that is there already is refused, which is as good."""
    group, direction, family, (protocol, low, high), remote = rule
    if protocol == 0:
        protocol = 1 if family == 4 else 58
    prefix = remote.get("remote_prefix")
    if prefix is not None:
        family = prefix.version
        protocol = {1: 58 if family == 6 else 1, 58: 1 if family == 4 else 58}.get(protocol, protocol)
    if protocol == 58:
        low = {8: 128, 13: 1}.get(low)
    with suppress(Conflict):  # SecurityGroupRuleExists
        lab.do(CreateSecurityRule(f"r{number}", "p", group, direction, family, protocol, low, high, **remote))


def packet_of(lab: Lab, drawn: tuple) -> tuple[str, str, dict[str, int]]:
    """A packet between two ports, and which they are."""
    (source, target), family, protocol, number, kind, code = drawn
    ends = {}
    for end, port in (("src", source), ("dst", target)):
        ends[f"ipv{family}_{end}"] = int(lab.ip4(port) if family == 4 else lab.ip6(port))
    head = {"eth_type": 0x0800 if family == 4 else 0x86DD, "eth_src": lab.mac(source), "eth_dst": lab.mac(target)}
    if protocol == 0:
        icmp = "icmpv4" if family == 4 else "icmpv6"
        kind = kind if family == 4 else 128  # of ICMPv6 nothing else begins a connection
        body = {"ip_proto": 1 if family == 4 else 58, f"{icmp}_type": kind, f"{icmp}_code": code}
    else:
        body = {"ip_proto": protocol, f"{CODES[protocol]}_src": 40_000, f"{CODES[protocol]}_dst": number}
    return source, target, {**head, **ends, **body}


def arrives(lab: Lab, source: str, target: str, packet: dict[str, int]) -> bool:
    """Whether a packet gets to its receiver, and nowhere else."""
    found = places(lab.send(PORTS[source], source, packet))
    assert found in ([], [(PORTS[target], target)])
    return bool(found)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(groups_of, min_size=4, max_size=4), st.lists(rules, max_size=8), st.lists(packets, min_size=1, max_size=8)
)
def test_the_flows_decide_as_the_rules_do(memberships, drawn_rules, drawn_packets) -> None:
    """A packet that begins a connection arrives if, and only if, both ends' rules allow it; broadcast likewise."""
    lab = lab_of(memberships)
    for number, rule in enumerate(drawn_rules):
        give(lab, number, rule)
    assert dict(lab.installed) == lab.compiler.recompute()
    for drawn in drawn_packets:
        source, target, packet = packet_of(lab, drawn)
        world = lab.world
        sent = passes(world, world.ports[source], Direction.EGRESS, packet)
        expected = sent and passes(world, world.ports[target], Direction.INGRESS, packet)
        lab.trackers.clear()
        assert arrives(lab, source, target, packet) == expected, packet
        lab.trackers.clear()
        flood = {**packet, "eth_dst": 0xFFFFFFFFFFFF}
        heard = {
            port
            for port in PORTS
            if sent and port != source and passes(world, world.ports[port], Direction.INGRESS, flood)
        }
        assert {arrival.port_id for arrival in lab.send(PORTS[source], source, flood)} == heard


def test_ranges_are_cut_into_the_fewest_blocks() -> None:
    """The blocks of a range hold its numbers and no other, none twice."""
    for low, high in ((0, 65535), (80, 80), (1, 65534), (1000, 1999), (0, 0), (65535, 65535), (5, 10)):
        found = [n for value, mask in blocks(low, high) for n in range(65536) if n & mask == value]
        assert sorted(found) == list(range(low, high + 1))
        assert len(list(blocks(low, high))) <= 30
    assert list(blocks(0, 65535)) == [(0, 0)]


@pytest.fixture
def talk() -> Lab:
    """``a`` and ``c`` are in a group that may be sent TCP port 80; both may send anything."""
    lab = lab_of([("g0",), None, ("g0",), ("g1",)])
    give(lab, 1, ("g0", Direction.INGRESS, 4, (6, 80, 80), {}))
    return lab


def web(lab: Lab, source: str, target: str, port: int = 80) -> tuple[str, str, dict[str, int]]:
    """The first packet of a TCP connection."""
    return packet_of(lab, ((source, target), 4, 6, port, 0, 0))


def back(packet: dict[str, int]) -> dict[str, int]:
    """The answer to a packet."""
    turned = {"src": "dst", "dst": "src"}
    swapped = {name[:-3] + turned[name[-3:]]: value for name, value in packet.items() if name[-3:] in turned}
    return {**packet, **swapped}


def test_answers_pass_and_nothing_else(talk) -> None:
    """Whoever may begin is answered; whoever answers may not begin."""
    source, target, packet = web(talk, "d", "c")
    assert not arrives(talk, target, source, back(packet))
    assert arrives(talk, source, target, packet)
    assert arrives(talk, target, source, back(packet))
    assert not arrives(talk, *web(talk, "d", "c", 81))


def test_a_connection_ends_with_its_rule_and_no_other_does(talk) -> None:
    """When the rule goes that let it in, a connection stops both ways; one that another rule allows goes on."""
    give(talk, 2, ("g0", Direction.INGRESS, 4, (6, 443, 443), {}))
    ended, kept = web(talk, "d", "c"), web(talk, "d", "c", 443)
    for source, target, packet in (ended, kept):
        assert arrives(talk, source, target, packet)
        assert arrives(talk, target, source, back(packet))
    talk.do(DeleteSecurityRule("r1"))
    source, target, packet = ended
    assert not arrives(talk, source, target, packet)
    assert not arrives(talk, target, source, back(packet))
    source, target, packet = kept
    assert arrives(talk, source, target, packet)
    assert arrives(talk, target, source, back(packet))
    give(talk, 3, ("g0", Direction.INGRESS, 4, (6, 80, 80), {}))
    source, target, packet = ended
    assert arrives(talk, source, target, packet)
    assert arrives(talk, target, source, back(packet))


def later(packet: dict[str, int]) -> dict[str, int]:
    """A later fragment of a packet, which has no ports."""
    return {name: value for name, value in packet.items() if not name.startswith("tcp")} | {"ip_frag": 3}


def test_later_fragments_go_where_the_first_one_goes(talk) -> None:
    """A later fragment passes by a rule about ports, and leaves its connection as it is."""
    source, target, packet = web(talk, "d", "c")
    fragment = _tracked_as(talk, packet)
    assert arrives(talk, source, target, packet)
    assert arrives(talk, source, target, fragment)
    assert arrives(talk, target, source, back(packet))


def _tracked_as(lab: Lab, packet: dict[str, int]) -> dict[str, int]:
    """A later fragment, of which the tracker knows the whole packet."""
    fragment = later(packet)
    for host in lab.hosts:
        lab.trackers.setdefault(host, Tracker()).whole[tuple(sorted(fragment.items()))] = packet
    return fragment


def test_errors_about_a_connection_pass_as_long_as_it_does(talk) -> None:
    """An ICMP error about a connection passes both ways; one about nothing does not, nor one about what has ended."""
    source, target, packet = web(talk, "d", "c")

    def error(about: dict[str, int], sender: str, receiver: str) -> bool:
        _, _, head = packet_of(talk, ((sender, receiver), 4, 0, 0, 8, 0))
        return arrives(talk, sender, receiver, {**head, "icmpv4_type": 3, "about": about})

    assert not error(packet, target, source)
    assert arrives(talk, source, target, packet)
    assert error(packet, target, source)
    assert error(back(packet), source, target)
    talk.do(DeleteSecurityRule("r1"))
    assert not arrives(talk, source, target, packet)
    assert not error(packet, target, source)


def test_a_lane_begins_without_connections(talk) -> None:
    """A port that gets the OpenFlow port of another one does not go on with its connections."""
    source, target, packet = web(talk, "d", "c")
    assert arrives(talk, source, target, packet)
    assert talk.trackers["h2"].marks
    ofport = talk.world.attachments["h2", "c"]
    talk.do(Unplugged(HostName("h2"), "c"))
    talk.do(CreatePort("e", "p", "net", mac=Mac(0x02_00_00_00_00_0E), host=HostName("h2"), security_groups=("g0",)))
    talk.do(Plugged(HostName("h2"), "e", ofport))
    assert not talk.trackers["h2"].marks


def test_one_more_member_touches_only_those_who_name_its_group(talk) -> None:
    """A port that comes into a group costs one flow where a rule names that group, and nothing elsewhere."""
    give(talk, 4, ("g1", Direction.INGRESS, 4, (None, None, None), {"remote_group_id": "g2"}))
    talk.do(UpdatePort("b", security_groups=()))
    change = talk.world.apply(UpdatePort("b", security_groups=("g2",)), 0)
    deltas = talk.compiler.refresh(change.dirty)
    assert {host: len(delta.put) for host, delta in deltas.items() if host != "h1"} == {"h3": 1}
    assert all(not delta.remove for host, delta in deltas.items() if host != "h1")


def test_flows_grow_with_rules_plus_members() -> None:
    """Twice the rules and twice the members are about twice the flows, not four times."""
    sizes = []
    for scale in (1, 2):
        lab = lab_of([("g0",)] * 4)
        before = len(lab.installed[lab.hosts[0]])
        for number in range(8 * scale):
            give(
                lab,
                number,
                ("g0", Direction.INGRESS, 4, (6, 1000 + 2 * number, 1000 + 2 * number), {"remote_group_id": "g1"}),
            )
        for number in range(8 * scale):
            lab.do(CreatePort(f"m{number}", "p", "net", mac=Mac(0x02_00_00_00_01_00 + number), security_groups=("g1",)))
        sizes.append(len(lab.installed[lab.hosts[0]]) - before)
    assert sizes[1] <= 2 * sizes[0]
    assert sizes[0] <= 8 + 8 + 3


def test_whoever_may_do_everything_is_not_tracked() -> None:
    """A port that may send and receive everything by an IP version has no connections of it in the tracker."""
    lab = lab_of([("g0",), ("g1",), ("g1", "g2"), None])
    give(lab, 1, ("g0", Direction.INGRESS, 4, (None, None, None), {}))
    assert arrives(lab, *web(lab, "d", "a"))
    assert not lab.trackers["h1"].marks
    six = packet_of(lab, (("a", "d"), 6, 6, 80, 0, 0))
    assert arrives(lab, *six)
    assert lab.trackers["h1"].marks
    give(lab, 2, ("g0", Direction.INGRESS, 6, (None, None, None), {}))
    lab.trackers.clear()
    assert arrives(lab, *six)
    assert not lab.trackers["h1"].marks
    lab.do(UpdatePort("c", security_groups=("g2",)), UpdatePort("b", security_groups=("g0",)))
    assert dict(lab.installed) == lab.compiler.recompute()


def test_rules_of_one_request_are_followed_at_once(talk) -> None:
    """Rules that come together, with clauses of their own each, all count from the same moment on."""
    ports = ((6, 443, "10.0.0.0/8"), (17, 999, "10.0.0.0/24"))
    rules_ = tuple(
        CreateSecurityRule(f"r{port}", "p", "g0", Direction.INGRESS, 4, protocol, port, port, None, ip_network(prefix))
        for protocol, port, prefix in ports
    )
    talk.do(CreateSecurityRules(rules_))
    for protocol, port, _ in ports:
        assert arrives(talk, *packet_of(talk, (("d", "c"), 4, protocol, port, 0, 0)))
    assert dict(talk.installed) == talk.compiler.recompute()


def test_numbers_of_clauses_never_clash() -> None:
    """Two clauses whose hash is the same get numbers of their own, and give them back."""
    from overlay.policy import clauses as module  # noqa: PLC0415

    numbers = count()
    assert next(numbers) == 0
    first, second = (SecurityRule(f"r{n}", "p", f"g{n}", Direction.INGRESS, 4, 6, 80, 80) for n in range(2))
    it = module.Clauses()
    it.add(first)
    taken = it.number(module.clause_of(first))
    it._by_number[_hash_of(module.clause_of(second))] = module.clause_of(first)
    it.add(second)
    assert it.number(module.clause_of(second)) not in {taken, _hash_of(module.clause_of(second))}
    assert it.remove(second)
    assert not list(it.of("g1"))


def _hash_of(clause) -> int:
    from hashlib import blake2b  # noqa: PLC0415

    return int.from_bytes(blake2b(repr(clause).encode(), digest_size=4).digest(), "big")


def test_address_groups_are_followed(talk) -> None:
    """A prefix that comes into an address group, or goes, is allowed from then on, or no more."""
    give(talk, 5, ("g1", Direction.INGRESS, 4, (17, 123, 123), {"remote_address_group_id": "addresses"}))
    query = packet_of(talk, (("a", "d"), 4, 17, 123, 0, 0))
    assert not arrives(talk, *query)
    source = IPv4Network(f"{talk.ip4('a')}/32")
    talk.do(UpdateAddressGroup("addresses", add=(source, IPv6Network("2001:db8:1::/48"))))
    assert arrives(talk, *query)
    talk.do(UpdateAddressGroup("addresses", remove=(source,)))
    talk.trackers.clear()
    assert not arrives(talk, *query)


def test_nothing_is_left_of_a_policy(talk) -> None:
    """When the last port of a group has gone, no flow of its rules is left anywhere."""
    for port in PORTS:
        talk.do(DeletePort(port))
    kinds = {flow.cookie >> 40 & 0xFF for held in talk.installed.values() for flow in held.values()}
    assert kinds <= {1, 2}


def test_what_several_rules_or_ports_need_stays() -> None:
    """A part of a service that two rules have, and a group of which two ports are at a host, stay for the other one."""
    lab = lab_of([("g0",), ("g0",), ("g1",), None])
    give(lab, 1, ("g0", Direction.INGRESS, 4, (6, 80, 83), {}))
    give(lab, 2, ("g0", Direction.INGRESS, 4, (6, 80, 84), {}))
    lab.do(DeleteSecurityRule("r2"), DeletePort("a"))
    assert arrives(lab, *web(lab, "d", "b"))
    assert not arrives(lab, *web(lab, "d", "b", 84))
    assert dict(lab.installed) == lab.compiler.recompute()


@pytest.mark.parametrize("kind", [UnitKind.PEER, UnitKind.SERVICE])
def test_what_a_policy_says_of_no_network_is_nothing(talk, kind: UnitKind) -> None:
    """A unit of a network that is no more has no flows."""
    key = "gone|10.0.0.1/32" if kind is UnitKind.PEER else "gone|ingress|4|6|80|65535"
    assert flows_of(talk.world, Unit(talk.hosts[0], kind, key)) == ()
