"""A multicast packet arrives at those who listen to its group, and at nobody else."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.addressing import link_local
from overlay.changes import (
    Activate,
    BindPassive,
    Change,
    Confirmed,
    DeletePort,
    DocumentKind,
    HostBack,
    HostLost,
    HostSeen,
    HostSnapshot,
    Plugged,
    Tick,
    Unplugged,
    UpdateNetwork,
    UpdatePort,
)
from overlay.compile import Compiler, units_of
from overlay.flow import Flow
from overlay.multicast.changes import Joined, Left
from overlay.multicast.values import is_joinable
from overlay.tables import forward
from overlay.tables.names import CookieKind
from overlay.values import HostName, IpAddress
from overlay.world import Settings, World
from tests.model import packets
from tests.model.lab import TUNNEL, Lab, places
from tests.overlay.conftest import furnished
from tests.overlay.test_trunks import trunked as _trunked

H1, H2, H3 = HOSTS = tuple(HostName(f"h{number}") for number in (1, 2, 3))
HOME = {"a": H1, "b": H1, "c": H2, "d": H3}
GROUPS = tuple(map(ip_address, ("239.1.1.1", "239.129.1.1", "232.0.0.5", "ff05::7", "ff3e::7:7")))
"""The first two share their Ethernet address."""
ONE, TWIN, _, SIX, _ = GROUPS
OF_THE_LINK = tuple(map(ip_address, ("224.0.0.1", "224.0.0.251", "ff02::1", "ff02::1:ff00:1", "ff01::1", "ff12::9")))


trunked = _trunked


def to_group(lab: Lab, source: str, group: IpAddress) -> dict[str, int]:
    """A UDP packet of a port to a group, with the group's Ethernet address (RFC 1112 §6.4, RFC 2464 §7)."""
    head = {"eth_src": lab.mac(source), "ip_proto": 17}
    if isinstance(group, IPv4Address):
        mac = 0x01005E000000 | int(group) & 0x7FFFFF
        return {**head, "eth_dst": mac, "eth_type": 0x0800, "ipv4_src": int(lab.ip4(source)), "ipv4_dst": int(group)}
    mac = 0x333300000000 | int(group) & 0xFFFFFFFF
    return {**head, "eth_dst": mac, "eth_type": 0x86DD, "ipv6_src": link_local(lab.mac(source)), "ipv6_dst": int(group)}


def heard(lab: Lab, source: str, group: IpAddress) -> list[str]:
    """At which ports a packet of a red port to a group arrives, one name per copy."""
    host = lab.world.ports[f"red-{source}"].host
    assert host is not None
    arrivals = lab.send(host, f"red-{source}", to_group(lab, f"red-{source}", group))
    return [name.removeprefix("red-") for _, name in places(arrivals)]


def join(lab: Lab, name: str, *groups: IpAddress) -> None:
    """A red port reports that it listens."""
    lab.do(Joined(HOME[name], f"red-{name}", groups))


def group_flows(lab: Lab, host: HostName) -> list[Flow]:
    """What a host holds for groups that somebody joined."""
    held = lab.installed[host].values()
    return [flow for flow in held if (flow.table, flow.priority) == (forward.TABLE.id, forward.LISTENED_TO)]


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("members", ["", "a", "b", "cd", "ad", "abcd"])
def test_only_members_get_copies(lab: Lab, members: str, group: IpAddress) -> None:
    """A packet to a group arrives once at each port that joined it, wherever it was sent, and never at its sender."""
    for name in members:
        join(lab, name, group)
    for source in "abcd":
        assert heard(lab, source, group) == [name for name in members if name != source]


@pytest.mark.parametrize("group", OF_THE_LINK)
def test_groups_of_the_link_are_for_all(lab: Lab, group: IpAddress) -> None:
    """What is sent to a group of the link everybody gets, whoever has joined it; it cannot be joined."""
    join(lab, "c", group)
    assert not lab.world.memberships("red-c")
    assert not is_joinable(group)
    assert heard(lab, "a", group) == ["b", "c", "d"]


@pytest.mark.parametrize("host", ["192.0.2.1", "255.255.255.255", "2001:db8::1"])
def test_hosts_are_not_joined(host: str) -> None:
    """Only a group can be joined."""
    assert not is_joinable(ip_address(host))


def test_groups_with_one_ethernet_address_are_told_apart(lab: Lab) -> None:
    """Whoever listens to a group does not get what is sent to another one with the same Ethernet address."""
    join(lab, "c", ONE)
    join(lab, "d", TWIN)
    assert to_group(lab, "red-a", ONE)["eth_dst"] == to_group(lab, "red-a", TWIN)["eth_dst"]
    assert (heard(lab, "a", ONE), heard(lab, "a", TWIN)) == (["c"], ["d"])


def test_hosts_without_members_get_no_copy(lab: Lab) -> None:
    """One copy is sent to each other host with members, and none to the others."""
    join(lab, "c", ONE)
    (flow,) = group_flows(lab, H1)
    las = [action.value for action in flow.actions if getattr(action, "field", "") == "tun_ipv4_dst"]
    assert las == [int(lab.world.hosts[H2].la)]


def test_networks_are_apart(lab: Lab) -> None:
    """A member in one network hears nothing of another one's group of the same address."""
    lab.do(Joined(H2, "blue-c", (ONE,)))
    assert heard(lab, "a", ONE) == []
    join(lab, "d", ONE)
    assert heard(lab, "a", ONE) == ["d"]


def test_flooding_what_nobody_joined() -> None:
    """Where the operator says so, a group that nobody joined is flooded, and one that somebody joined is not."""
    lab = furnished(Settings(flood_unregistered=True))
    assert heard(lab, "a", ONE) == ["b", "c", "d"]
    join(lab, "c", ONE)
    assert heard(lab, "a", ONE) == ["c"]
    assert heard(lab, "a", TWIN) == ["b", "c", "d"]


def test_machines_with_vlans_of_their_own() -> None:
    """What machines tag themselves, where they may, is not looked into: everybody gets it, reports among it."""
    lab = furnished(vlan_transparent=True)
    join(lab, "c", ONE)
    tag = {"vlan_vid": 0x1005}
    own = IPv6Address(link_local(lab.mac("red-a")))
    spoken = [packets.icmp6(lab.mac("red-a"), 0x333300000016, own, kind) for kind in (130, 131, 143)]
    for frame in (to_group(lab, "red-a", ONE), {**to_group(lab, "red-a", ONE), "ip_proto": 2}, *spoken):
        assert [name for _, name in places(lab.send(H1, "red-a", frame | tag))] == ["red-b", "red-c", "red-d"]


def test_a_vlan_of_a_trunk_is_a_member_like_any_other(trunked: Lab) -> None:
    """A sub-port reports with its tag, and gets its copies with it; its parent and its own packets are no matter."""
    own = IPv6Address(link_local(trunked.mac("green-a")))
    report = packets.icmp6(trunked.mac("green-a"), 0x333300000016, own, 143)
    assert trunked.last_met(H1, "green-a", report) is CookieKind.ASKED_GROUPS
    trunked.do(Joined(H1, "green-a", (ONE,)), Joined(H2, "green-c", (ONE,)))
    for source in "bcd":
        arrivals = trunked.send(HOME[source], f"green-{source}", to_group(trunked, f"green-{source}", ONE))
        assert places(arrivals) == [(H1, "green-a")] + [(H2, "green-c")] * (source != "c")
    assert places(trunked.send(H1, "green-a", to_group(trunked, "green-a", ONE))) == [(H2, "green-c")]
    assert heard(trunked, "c", ONE) == []


@pytest.mark.parametrize("source", [True, False])
def test_reports_go_to_the_controller_alone(lab: Lab, source: bool) -> None:
    """What a port says of groups the controller hears and no machine, also when the port has no address yet."""
    own = link_local(lab.mac("red-a")) if source else 0
    igmp = {**to_group(lab, "red-a", ip_address("224.0.0.22")), "ip_proto": 2}
    frames = [igmp if source else {**igmp, "ipv4_src": 0}]
    frames += [packets.icmp6(lab.mac("red-a"), 0x333300000016, IPv6Address(own), kind) for kind in (131, 132, 143)]
    for frame in frames:
        assert places(lab.send(H1, "red-a", frame)) == [("h1", "")]
        assert lab.last_met(H1, "red-a", frame) is CookieKind.ASKED_GROUPS


def test_no_machine_asks_for_groups(lab: Lab) -> None:
    """The network itself asks; a machine that asks the others is not heard by them."""
    own = IPv6Address(link_local(lab.mac("red-a")))
    assert lab.send(H1, "red-a", packets.icmp6(lab.mac("red-a"), 0x333300000001, own, 130)) == []


# --- joining and leaving -----------------------------------------------------------------------------------------


def test_leaving_is_at_once(lab: Lab) -> None:
    """A port that reports that it left gets no more copies; the others do."""
    join(lab, "c", ONE, SIX)
    join(lab, "d", ONE)
    lab.do(Left(H2, "red-c", (ONE, TWIN, ONE)))
    assert (heard(lab, "a", ONE), heard(lab, "a", SIX)) == (["d"], ["c"])


def test_saying_it_again_costs_nothing(lab: Lab) -> None:
    """A report that is repeated writes nothing and sends nothing, and the last word of leaving removes the document."""
    kind = DocumentKind.MEMBERSHIPS
    first = lab.change(Joined(H2, "red-c", (ONE,)))
    assert [(document.kind, document.id) for document in first.documents] == [(kind, "red-c")]
    for again in (Joined(H2, "red-c", (ONE,)), Left(H2, "red-c", (TWIN,)), Joined(H2, "red-c", OF_THE_LINK)):
        outcome = lab.change(again)
        assert (outcome.documents, outcome.dirty, outcome.waits) == ((), frozenset(), frozenset())
    lab.change(Left(H2, "red-c", (ONE,)))
    assert (kind, "red-c") not in lab.stored


def test_second_member_of_a_host_concerns_it_alone(lab: Lab) -> None:
    """Only the first member of a host changes what other hosts do."""
    join(lab, "a", ONE)
    assert {unit.host for unit in lab.change(Joined(H1, "red-b", (ONE,))).dirty} == {H1}
    assert {unit.host for unit in lab.change(Joined(H2, "red-c", (ONE,))).dirty} == set(HOSTS)
    assert {unit.host for unit in lab.change(Left(H1, "red-b", (ONE,))).dirty} == {H1}
    assert {unit.host for unit in lab.change(Left(H1, "red-a", (ONE,))).dirty} == set(HOSTS)


def test_silence_ends_it(lab: Lab) -> None:
    """Who does not renew a membership in time loses it; who does keeps it."""
    join(lab, "c", ONE)
    join(lab, "d", ONE)
    lab.now = 100.0
    lab.do(Tick())
    join(lab, "d", ONE)
    lab.now = 130.0
    lab.do(Tick())
    assert heard(lab, "a", ONE) == ["d"]
    (left,) = lab.world.memberships("red-d")
    assert (left.since, left.renewed) == (0.0, 100.0)


def test_a_lost_host_cannot_renew(lab: Lab) -> None:
    """While a host's session is lost its ports stay members, and from its return they have all the time again."""
    join(lab, "c", ONE)
    lab.do(HostLost(H2))
    for lab.now in (131.0, 262.0):
        lab.do(Tick())
        assert heard(lab, "a", ONE) == ["c"]
    lab.now = 391.0
    lab.do(HostBack(H2))
    lab.now = 500.0
    lab.do(Tick())
    assert heard(lab, "a", ONE) == ["c"]
    lab.now = 521.0
    lab.do(Tick())
    assert heard(lab, "a", ONE) == []


@pytest.mark.parametrize(
    "end",
    [
        Unplugged(H2, "red-c"),
        DeletePort("red-c"),
        UpdatePort("red-c", admin_up=False),
        UpdatePort("red-c", host=None),
        UpdateNetwork("red", admin_up=False),
        HostSnapshot(H2, ()),
    ],
)
def test_a_port_without_a_tap_is_no_member(lab: Lab, end: Change) -> None:
    """A port that is unplugged, deleted, unbound or administratively down listens to nothing any more."""
    join(lab, "c", ONE, SIX)
    lab.do(end)
    assert not tuple(lab.world.multicast_groups("red"))
    assert (DocumentKind.MEMBERSHIPS, "red-c") not in lab.stored
    assert not [flow for host in HOSTS for flow in group_flows(lab, host)]


@pytest.mark.parametrize("who", [(H1, "red-c"), (H2, "nobody"), (H3, "red-c")])
def test_nobody_joins_for_others(lab: Lab, who: tuple[HostName, str]) -> None:
    """A report from where no such port is plugged says nothing."""
    assert lab.change(Joined(*who, (ONE,))) == lab.change(Left(*who, (ONE,)))
    assert not tuple(lab.world.multicast_networks())


def test_limits_per_port() -> None:
    """A port joins so many groups and no more; what it was refused is counted, and leaving one makes room."""
    lab = furnished(Settings(groups_per_port=2))
    join(lab, "c", *GROUPS)
    assert [each.group for each in lab.world.memberships("red-c")] == list(GROUPS[:2])
    assert lab.world.refused_memberships("red-c") == 3
    assert (lab.world.membership_count, lab.world.refusal_count) == (2, 3)
    lab.do(Left(H2, "red-c", (ONE,)))
    lab.now = 1.0
    join(lab, "c", SIX)
    assert heard(lab, "a", SIX) == ["c"]
    assert lab.world.refused_memberships("red-c") == 3


def test_limits_of_haste() -> None:
    """Whoever joins and leaves in haste is held to one group a second; renewing costs nothing."""
    lab = furnished(Settings(groups_per_port=2))
    joined = []
    for lab.now in (0.0, 0.1, 0.2, 0.9, 1.0, 1.1, 2.0):
        before = lab.world.refusal_count
        join(lab, "c", ONE)
        join(lab, "c", ONE)
        lab.do(Left(H2, "red-c", (ONE,)))
        joined.append(lab.world.refusal_count == before)
    assert joined == [True, True, False, False, True, False, True]
    lab.now = 100.0
    join(lab, "c", ONE, TWIN)
    assert (heard(lab, "a", ONE), heard(lab, "a", TWIN)) == (["c"], ["c"])


def test_limits_per_network() -> None:
    """A network has so many groups and no more; a group that is there can be joined by any number of ports."""
    lab = furnished(Settings(groups_per_network=1))
    join(lab, "c", ONE)
    join(lab, "d", TWIN, ONE)
    assert heard(lab, "a", ONE) == ["c", "d"]
    assert lab.world.refused_memberships("red-d") == 1
    lab.do(DeletePort("red-d"))
    assert lab.world.refused_memberships("red-d") == 0


# --- moving and coming back --------------------------------------------------------------------------------------


def test_a_member_moves(lab: Lab) -> None:
    """A membership follows its port: in every moment of the move a copy reaches it, and afterwards at its new host."""
    join(lab, "c", ONE)
    lab.do(BindPassive("red-c", H3))
    lab.plug(H3, "red-c")
    assert heard(lab, "a", ONE) == ["c"]
    lab.change(Activate("red-c", H3))
    while lab.queues or lab.world.move_of("red-c") is not None:
        lab.now += 0.3
        assert set(heard(lab, "a", ONE)) == {"c"}
        for host in HOSTS:
            lab.confirm(host)
            assert set(heard(lab, "a", ONE)) == {"c"}
        lab.change(Tick())
    assert lab.world.ports["red-c"].host == H3
    assert places(lab.send(H1, "red-a", to_group(lab, "red-a", ONE))) == [("h3", "red-c")]
    lab.do(Unplugged(H2, "red-c"))
    assert heard(lab, "a", ONE) == ["c"]


def test_a_passive_port_joins_nothing(lab: Lab) -> None:
    """Where a port is not active yet it is not heard."""
    lab.do(BindPassive("red-c", H3))
    lab.plug(H3, "red-c")
    lab.do(Joined(H3, "red-c", (ONE,)))
    assert heard(lab, "a", ONE) == []


def test_a_restart_forgets_no_member(lab: Lab) -> None:
    """A world restored from its documents has the same members and flows; time counts from a host's first sign."""
    join(lab, "c", ONE, SIX)
    join(lab, "a", SIX)
    again = World.restore(lab.stored.values(), 1000.0, lab.world.settings)
    for host in HOSTS:
        taps = tuple((port_id, port) for (at, port_id), port in lab.world.attachments.items() if at == host)
        again.apply(HostSnapshot(host, taps), 1000.0)
    compiler = Compiler(again)
    compiler.refresh(units_of(again))
    assert {host: dict(compiler.desired(host)) for host in HOSTS} == {host: lab.installed[host] for host in HOSTS}
    again.apply(Tick(), 1130.0)
    for host in HOSTS:
        again.apply(Confirmed(host, 0), 1200.0)
    again.apply(Tick(), 1329.0)
    assert [(each.since, each.renewed) for each in again.memberships("red-c")] == [(0.0, 1200.0)] * 2
    again.apply(Tick(), 1330.0)
    assert not tuple(again.multicast_networks())


def test_a_host_gets_another_address(lab: Lab) -> None:
    """Copies follow a host's LA, and leave by its tunnel port when it has one."""
    join(lab, "c", ONE)
    known = lab.world.hosts
    lab.do(HostSeen(replace(known[H2], la=IPv4Address("10.0.9.11"))), HostSeen(replace(known[H1], tunnel_port=None)))
    assert (heard(lab, "a", ONE), heard(lab, "d", ONE)) == ([], ["c"])
    lab.do(HostSeen(replace(known[H1], tunnel_port=TUNNEL)))
    assert heard(lab, "a", ONE) == ["c"]


def test_a_new_host_of_the_network_knows_its_groups(lab: Lab) -> None:
    """A host that gets the network's first port sends to the members at once."""
    lab.do(DeletePort("red-d"))
    join(lab, "c", ONE)
    lab.do(UpdatePort("red-b", host=H3), Plugged(H3, "red-b", 9), Unplugged(H1, "red-b"))
    for lab.now in (5.0, 10.0):
        lab.do(Tick())
    assert lab.world.ports["red-b"].host == H3
    assert heard(lab, "b", ONE) == ["c"]


# --- the law -----------------------------------------------------------------------------------------------------

NAMES = st.sampled_from("abcd")
DEEDS = st.one_of(
    st.tuples(st.just("join"), NAMES, st.sampled_from(GROUPS)),
    st.tuples(st.just("leave"), NAMES, st.sampled_from(GROUPS)),
    st.tuples(st.just("move"), NAMES, st.sampled_from(HOSTS)),
    st.tuples(st.just("replug"), NAMES, st.just(ONE)),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(DEEDS, max_size=12))
def test_members_and_nobody_else(deeds: list[tuple[str, str, IPv4Address | IPv6Address | HostName]]) -> None:
    """After any joins, leaves and moves a packet arrives at exactly the members of its group, once each."""
    lab = furnished()
    members: dict[IpAddress, set[str]] = {group: set() for group in GROUPS}
    for deed, name, what in deeds:
        port_id = f"red-{name}"
        home = lab.world.ports[port_id].host
        assert home is not None
        if isinstance(what, HostName):
            if what != home:
                lab.do(BindPassive(port_id, what))
                lab.plug(what, port_id)
                lab.do(Activate(port_id, what))
                lab.now += 2.0
                lab.do(Tick(), Unplugged(home, port_id))
        elif deed == "join":
            lab.do(Joined(home, port_id, (what,)))
            members[what].add(name)
        elif deed == "leave":
            lab.do(Left(home, port_id, (what,)))
            members[what].discard(name)
        else:
            lab.do(Unplugged(home, port_id))
            lab.plug(home, port_id)
            for group in GROUPS:
                members[group].discard(name)
    for group in GROUPS:
        for source in "abcd":
            assert sorted(heard(lab, source, group)) == sorted(members[group] - {source})
