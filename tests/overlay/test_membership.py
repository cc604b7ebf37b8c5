"""Which hypervisors are let in."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from overlay.changes import (
    Confirmed,
    CreatePort,
    HostBack,
    HostLost,
    HostSeen,
    NoticeKind,
    Outcome,
    Plugged,
    Sent,
    Unit,
    UnitKind,
    Wait,
)
from overlay.directory import Clash
from overlay.values import DatapathId, Host, HostName, Mac, PortStatus
from tests.model.lab import Lab
from tests.overlay.test_packets import H1, H2, H3

H9 = HostName("h9")


def newcomer(lab: Lab, la: IPv4Address | None = None) -> Host:
    """A host with the LA of h2, or another one."""
    return Host(H9, la or lab.world.hosts[H2].la, DatapathId(9), 1)


def test_the_first_holder_keeps_its_la(lab: Lab) -> None:
    """A host with an LA that another one holds is not let in; the clash is told once and listed."""
    outcomes = [lab.change(HostSeen(newcomer(lab))) for _ in range(2)]
    assert [[notice.kind for notice in outcome.notices] for outcome in outcomes] == [[NoticeKind.HOST_CLASH], []]
    assert lab.world.clashes == (Clash(H9, lab.world.hosts[H2].la, H2),)
    assert H9 not in lab.world.hosts


def test_the_clash_ends_when_the_holder_moves_on(lab: Lab) -> None:
    """When the holder gets another LA, the host that waited for it is let in."""
    lab.do(HostSeen(newcomer(lab)))
    lab.do(HostSeen(replace(lab.world.hosts[H2], la=IPv4Address("10.0.50.11"))))
    assert lab.world.clashes == ()
    assert lab.world.hosts[H9].la == IPv4Address("10.0.2.11")


def test_seeing_a_host_again_changes_nothing(lab: Lab) -> None:
    """A report without news soils nothing and stores nothing."""
    assert lab.change(HostSeen(lab.world.hosts[H1])) == Outcome()


def test_taps_of_a_host_that_joins_later_count(lab: Lab) -> None:
    """What was plugged at a host before it joined is bound there when it joins."""
    lab.do(CreatePort("loose", "red", "red", mac=Mac(78)))
    lab.do(Plugged(H9, "loose", 7), Plugged(H9, "unknown", 8))
    assert lab.world.port("loose").host is None
    lab.do(HostSeen(newcomer(lab, IPv4Address("10.0.9.11"))))
    assert lab.world.port("loose").host == H9
    assert lab.world.networks_on_host(H9) == ("red",)
    assert [port.id for port in lab.world.ports_on_host(H9)] == ["loose"]


def test_new_host_counts_as_pending_until_it_confirms_or_is_lost(lab: Lab) -> None:
    """A host that has joined but has no session yet holds its ports' status back, until it is lost."""
    lab.change(HostSeen(newcomer(lab, IPv4Address("10.0.9.11"))))
    lab.change(CreatePort("new", "red", "red", mac=Mac(78), host=H9))
    for host in (H1, H2, H3):
        lab.confirm(host)
    assert lab.world.pending("new") == {H9}
    assert lab.world.unconfirmed_hosts() == {H9}
    lab.change(HostLost(H9))
    assert lab.world.pending("new") == frozenset()


def test_being_back_without_having_been_lost_is_nothing(lab: Lab) -> None:
    """A short break of a session changes nothing."""
    assert lab.change(HostBack(H1)) == Outcome()


def test_nothing_sent_is_nothing_to_wait_for(lab: Lab) -> None:
    """A wait for a host to which nothing had to be sent ends, but not one for what was sent before."""
    outcome = lab.world.apply(Plugged(H1, "red-a", 60), 0)
    assert outcome.waits == {Wait(H1, "red-a")}
    lab.world.apply(Sent(outcome.waits, ((H1, 1000),)), 0)
    outcome = lab.world.apply(Plugged(H1, "red-a", 61), 0)
    lab.world.apply(Sent(outcome.waits), 0)
    assert lab.world.status("red-a") is PortStatus.BUILD
    lab.world.apply(Sent(frozenset({Wait(H1, "red-b")}), ((H1, 1001),)), 0)
    lab.world.apply(Confirmed(H1, 1000), 0)
    assert lab.world.status("red-a") is PortStatus.ACTIVE


def test_an_older_confirmation_does_not_pay_for_what_is_unsent(lab: Lab) -> None:
    """A barrier that comes back between two changes of a port confirms the first only."""
    first = lab.world.apply(Plugged(H1, "red-a", 60), 0)
    lab.world.apply(Sent(first.waits, ((H1, 1000),)), 0)
    second = lab.world.apply(Plugged(H1, "red-a", 61), 0)
    lab.world.apply(Confirmed(H1, 1000), 0)
    assert lab.world.status("red-a") is PortStatus.BUILD
    lab.world.apply(Sent(second.waits), 0)
    assert lab.world.status("red-a") is PortStatus.ACTIVE


def test_outcomes_of_a_batch_are_merged() -> None:
    """A batch is compiled, stored and told as one, in order."""
    units = [Unit(H1, UnitKind.BASE, ""), Unit(H2, UnitKind.BASE, "")]
    merged = Outcome.merge(Outcome(frozenset({unit}), waits=frozenset({Wait(unit.host, "p")})) for unit in units)
    assert merged.dirty == set(units)
    assert merged.waits == {Wait(H1, "p"), Wait(H2, "p")}


def test_work_is_bounded_by_the_hosts_of_the_network(lab: Lab) -> None:
    """A change of one port soils nothing on hosts without its network, and no other port's units."""
    outcome = lab.change(CreatePort("new", "red", "red", mac=Mac(78), host=H1))
    assert {unit.key for unit in outcome.dirty} == {"new"} | ({"red"} & {unit.key for unit in outcome.dirty})
    outcome = lab.change(Plugged(H1, "new", 61))
    assert {unit.host for unit in outcome.dirty} == {H1}
