"""Where is a hypervisor, and which switch does its prefix belong to?"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from controller.events import PortChanged
from controller.fabric.changes import HostSighted, LinkSeen, SwitchConnected, Tick
from controller.fabric.graph import Fabric
from controller.fabric.pipeline import mac_of_tag
from controller.fabric.plan import ROUTER_MAC, LaPlan, PortRef
from controller.fabric.probes import Probe, probes_wanted
from overlay.refusals import Invalid
from overlay.values import DatapathId, Mac

from .graphs import ports

A, B = DatapathId(1), DatapathId(2)
A1, A2, B1, B2 = PortRef(A, 1), PortRef(A, 2), PortRef(B, 1), PortRef(B, 2)
LA = IPv4Address("10.0.1.11")
GATEWAY = IPv4Address("10.0.1.1")
PREFIX = IPv4Network("10.0.1.0/24")
MAC, OTHER = Mac(0x020000000011), Mac(0x020000000012)


@pytest.fixture
def fabric() -> Fabric:
    """Two switches with two edge ports each."""
    fabric = Fabric(LaPlan(), hold=15.0)
    for datapath_id in (A, B):
        fabric.apply(SwitchConnected(datapath_id, ports(1, 2)), 0.0)
    return fabric


def down(at: PortRef) -> PortChanged:
    """Take a port down."""
    return PortChanged(at.datapath_id, ports(at.port, up=False)[0], gone=False)


def test_a_host_gives_its_switch_the_prefix(fabric: Fabric) -> None:
    """The first LA of a prefix gives it to the switch where it was seen; it is stored, and routes change."""
    effect = fabric.apply(HostSighted(LA, MAC, A1), 0.0)
    assert effect.routes
    assert effect.switches == {A}
    assert [(document.kind, document.id) for document in effect.documents] == [("sighting", str(LA))]
    assert fabric.located == {PREFIX: A}
    assert not fabric.apply(HostSighted(LA, MAC, A1), 9.0)


def test_a_prefix_belongs_to_the_switch_with_most_of_its_hosts(fabric: Fabric) -> None:
    """The majority has the prefix, a tie goes to the lowest id, and all others are exceptions."""
    fabric.apply(HostSighted(LA, MAC, B1), 0.0)
    fabric.apply(HostSighted(LA + 1, OTHER, A1), 0.0)
    assert fabric.located == {PREFIX: A, IPv4Network((int(LA), 32)): B}
    effect = fabric.apply(HostSighted(LA + 2, Mac(7), B2), 0.0)
    assert effect.routes
    assert fabric.located == {PREFIX: B, IPv4Network((int(LA) + 1, 32)): A}
    assert not fabric.apply(HostSighted(LA + 3, Mac(8), B2), 0.0).routes


@pytest.mark.parametrize(
    ("la", "mac", "at"),
    [
        ("10.0.1.1", MAC, A1),
        ("10.0.1.0", MAC, A1),
        ("10.0.1.255", MAC, A1),
        ("192.0.2.11", MAC, A1),
        ("10.0.1.11", ROUTER_MAC, A1),
        ("10.0.1.11", Mac(0), A1),
        ("10.0.1.11", Mac(0x010000000001), A1),
        ("10.0.1.11", MAC, PortRef(A, 9)),
        ("10.0.1.11", MAC, PortRef(DatapathId(9), 1)),
    ],
)
def test_what_cannot_be_a_host_is_none(fabric: Fabric, la: str, mac: Mac, at: PortRef) -> None:
    """Gateways, broadcast, foreign addresses, impossible MACs and ports that are not there show no host."""
    assert not fabric.apply(HostSighted(IPv4Address(la), mac, at), 0.0)
    assert not fabric.sightings


def test_a_cable_to_a_switch_shows_no_host(fabric: Fabric) -> None:
    """Nobody is sighted on a cable between switches, and who was sighted there before is forgotten."""
    fabric.apply(HostSighted(LA, MAC, A1), 0.0)
    fabric.apply(HostSighted(LA + 1, OTHER, A2), 0.0)
    effect = fabric.apply(LinkSeen(A1, B1), 1.0)
    assert effect.switches == {A, B}
    assert set(fabric.sightings) == {LA + 1}
    assert not fabric.apply(HostSighted(LA, MAC, A1), 2.0)


def test_a_host_moves_at_once(fabric: Fabric) -> None:
    """The same MAC on another port is the host's new place."""
    fabric.apply(HostSighted(LA, MAC, A1), 0.0)
    effect = fabric.apply(HostSighted(LA, MAC, B1), 1.0)
    assert effect.routes
    assert effect.switches == {A, B}
    assert fabric.sightings[LA].at == B1
    assert not fabric.hosts_at(A)


def test_a_new_network_card_is_no_clash(fabric: Fabric) -> None:
    """Another MAC on the same port takes the address over."""
    fabric.apply(HostSighted(LA, MAC, A1), 0.0)
    effect = fabric.apply(HostSighted(LA, OTHER, A1), 1.0)
    assert effect.switches == {A}
    assert not effect.routes
    assert not fabric.clashes


def test_the_first_of_two_that_clash_keeps_the_address(fabric: Fabric) -> None:
    """A second MAC on another port gets nothing while the first answers; the clash is shown, and both are asked."""
    fabric.apply(HostSighted(LA, MAC, A1), 0.0)
    assert not fabric.apply(HostSighted(LA, OTHER, B1), 1000.0)
    (clash,) = fabric.clashes
    assert (clash.holder.mac, clash.contender.mac) == (MAC, OTHER)
    assert probes_wanted(fabric, [LA]) == (Probe(A1, LA, GATEWAY), Probe(B1, LA, GATEWAY))
    for now in (1005.0, 1010.0, 1020.0, 1034.0):
        assert not fabric.apply(HostSighted(LA, MAC, A1), now)
        assert not fabric.apply(HostSighted(LA, OTHER, B1), now)
        fabric.apply(Tick(), now)
    assert len(fabric.clashes) == 1
    assert fabric.sightings[LA].mac == MAC


def test_a_holder_that_does_not_answer_loses_the_address(fabric: Fabric) -> None:
    """When the first has not been seen for the hold time of a clash, the second takes over."""
    fabric.apply(HostSighted(LA, MAC, A1), 0.0)
    assert not fabric.apply(HostSighted(LA, OTHER, B1), 1000.0)
    assert not fabric.apply(HostSighted(LA, OTHER, B1), 1014.9)
    assert fabric.apply(HostSighted(LA, OTHER, B1), 1015.0).routes
    assert fabric.sightings[LA].mac == OTHER
    assert not fabric.clashes


def test_a_clash_ends_when_the_contender_falls_silent(fabric: Fabric) -> None:
    """A clash whose contender was not seen for the hold time is over."""
    fabric.apply(HostSighted(LA, MAC, A1), 0.0)
    fabric.apply(HostSighted(LA, OTHER, B1), 10.0)
    fabric.apply(Tick(), 25.0)
    assert fabric.clashes
    fabric.apply(Tick(), 25.1)
    assert not fabric.clashes


def test_a_clash_ends_when_the_holder_moves_away_from_it(fabric: Fabric) -> None:
    """When the holder's port goes down, the contender is right; probes go only where they can."""
    fabric.apply(HostSighted(LA, MAC, A1), 0.0)
    fabric.apply(HostSighted(LA, OTHER, B1), 10.0)
    fabric.apply(down(A1), 10.5)
    assert probes_wanted(fabric, []) == (Probe(B1, LA, GATEWAY),)
    assert fabric.apply(HostSighted(LA, OTHER, B1), 11.0).routes
    assert not fabric.clashes
    assert fabric.sightings[LA].at == B1


def test_unseen_hosts_are_asked_for_on_every_edge_port_that_is_up(fabric: Fabric) -> None:
    """For an LA that has joined and was not seen, its gateway asks on all edge ports; for one that was, nobody does."""
    fabric.apply(HostSighted(LA + 1, OTHER, A2), 0.0)
    fabric.apply(down(B2), 0.0)
    wanted = probes_wanted(fabric, [LA, LA + 1, IPv4Address("192.0.2.1")])
    assert wanted == tuple(Probe(at, LA, GATEWAY) for at in (A1, A2, B1))


def test_remembered_hosts_are_asked_for_until_they_answer(fabric: Fabric) -> None:
    """After a restart an LA is asked for although it is remembered, and once it is seen again, nobody asks any more."""
    effect = fabric.apply(HostSighted(LA, MAC, A1), 0.0)
    again = Fabric.restore(effect.documents, fabric.plan, 0.0)
    again.apply(SwitchConnected(A, ports(1)), 0.0)
    assert probes_wanted(again, [LA]) == (Probe(A1, LA, GATEWAY),)
    assert not again.apply(HostSighted(LA, MAC, A1), 1.0).routes
    assert probes_wanted(again, [LA]) == ()


def test_many_questions_take_turns(fabric: Fabric) -> None:
    """When there are more questions than may be asked at once, every one has its turn."""
    las = [LA + n for n in range(5)]
    asked = [probes_wanted(fabric, las, turn=turn, limit=6) for turn in range(4)]
    assert all(len(questions) == 6 for questions in asked)
    assert {(probe.at, probe.la) for questions in asked for probe in questions} == {
        (at, la) for at in (A1, A2, B1, B2) for la in las
    }


def test_the_routers_mac_is_no_locator_tag() -> None:
    """A router MAC in the space of the tags would be taken for one, and is refused, naming the setting."""
    with pytest.raises(Invalid) as refused:
        LaPlan(router_mac=Mac(mac_of_tag(16)))
    assert refused.value.field == "router_mac"


@pytest.mark.parametrize("length", [15, 31])
def test_a_plan_must_leave_room_for_hosts(length: int) -> None:
    """An edge prefix that is wider than the supernet or too narrow for a host is refused, naming the setting."""
    with pytest.raises(Invalid) as refused:
        LaPlan(edge_prefix_length=length)
    assert refused.value.field == "edge_prefix_length"
