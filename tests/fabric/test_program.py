"""Is a fabric switch told no more than it must be?"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from controller.fabric.elephants import Herd
from controller.fabric.groups import GroupAssignment
from controller.fabric.pipeline import FABRIC, FabricCookie, object_name
from controller.fabric.plan import PortRef
from controller.fabric.policies import POLICIES
from controller.fabric.program import hash_basis, program, select
from controller.fabric.routes import Hop
from overlay.flow import ToController
from overlay.values import DatapathId

from . import graphs

D = DatapathId
NOTHING = GroupAssignment()


@pytest.mark.parametrize("name", graphs.NETWORKS)
def test_flows_are_ours_and_alone_on_their_keys(name: str) -> None:
    """No two flows of a switch have one key, and every bucket that sends out of a port watches it."""
    fabric = graphs.build(graphs.NETWORKS[name]())
    for switch in fabric.switches:
        made = program(fabric, switch, NOTHING)
        assert len({flow.key for flow in made.flows}) == len(made.flows)
        for group in (group for group in made.groups if not group.indirect):
            assert all(bucket.watch_port == bucket.actions[0].port for bucket in group.buckets)


def test_every_switch_chooses_in_its_own_way() -> None:
    """All select groups of a switch hash from one basis, which is the same at every start and has no other switch."""
    fabric = graphs.build(graphs.vl2())
    basis = {
        switch: {group.basis for group in program(fabric, switch, NOTHING).groups if not group.indirect}
        for switch in fabric.switches
    }
    assert all(len(each) == 1 for each in basis.values())
    assert len(set.union(*basis.values())) == len(fabric.switches)
    assert basis[D(100)] == {hash_basis(D(100))} == {0x452C7EAE}


def test_every_next_hop_gets_its_share_of_the_hash() -> None:
    """Open vSwitch deals its hash out in sixteenths, or finer to many buckets: three next hops get 21 of 63 each."""
    for hops, times in ((graphs.hops(1, 2), 1), (graphs.hops(1, 2, 3), 21), (graphs.hops(*range(1, 100)), 1)):
        group = select(1, hops, 0)
        assert Counter(bucket.watch_port for bucket in group.buckets) == {hop.port: times for hop in hops}
        assert GroupAssignment.from_installed((), [replace(group, group_id=0x564C0001)]).hops_of == {0x564C0001: hops}
    uneven = (Hop(1, 1), Hop(2, 3), Hop(3, 1))
    assert [bucket.weight for bucket in select(1, uneven, 0).buckets] == [1, 3, 1]


def test_bases_of_neighbours_have_nothing_in_common() -> None:
    """Datapath ids that differ in one bit have bases of 32 bits that differ in about half of theirs."""
    distances = [(hash_basis(D(n)) ^ hash_basis(D(n ^ 1 << bit))).bit_count() for n in range(100) for bit in range(64)]
    assert 15 < sum(distances) / len(distances) < 17
    assert min(distances) > 0
    assert all(0 <= hash_basis(D(n)) < 1 << 32 for n in range(100))


def test_tables_grow_with_prefixes_and_not_with_hosts() -> None:
    """A thousand more hosts behind other switches add no flow to a switch."""
    small, big = graphs.vl2(), graphs.vl2()
    for n in range(100):
        for la, at in graphs.vl2().hosts.items():
            big.hosts[la + 1 + n] = big.port(at.datapath_id)
    for switch in (D(200), D(300)):
        few, many = (program(graphs.build(wiring), switch, NOTHING).flows for wiring in (small, big))
        assert few == many


def test_whatever_goes_to_the_controller_is_limited() -> None:
    """Every flow that hands packets to the controller has a meter that the program holds."""
    fabric = graphs.build(graphs.vl2())
    made = program(fabric, D(100), NOTHING)
    rates = {meter.meter_id for meter in made.meters}
    punting = [flow for flow in made.flows if ToController() in flow.actions]
    assert punting
    assert all(flow.meter in rates for flow in punting)


def test_cookies_name_their_objects() -> None:
    """The object of every flow's cookie can be told to a person."""
    wiring = graphs.vl2()
    la = next(iter(wiring.hosts))
    herd = Herd({IPv4Network("10.0.2.0/24"): (1,), IPv4Network("10.0.4.0/24"): (1, 2)})
    named = {
        (kind, object_name(kind, flow.cookie & (1 << 40) - 1))
        for policy in ("ecmp", "vlb")
        for flow in program(graphs.build(wiring, policy=POLICIES[policy]), D(100), NOTHING, herd=herd).flows
        for kind in [FabricCookie(flow.cookie >> 40 & 0xFF)]
    }
    assert (FabricCookie.DISCOVERY, "port 1") in named
    assert (FabricCookie.HOST, str(la)) in named
    assert (FabricCookie.PREFIX, "10.0.2.0/24") in named
    assert (FabricCookie.ELEPHANT, "10.0.4.0/24") in named
    assert (FabricCookie.ROUTED, "") in named
    assert (FabricCookie.TAG, "tag 1") in named
    assert {kind for kind, _ in named} == set(FabricCookie)


def test_no_table_matches_on_a_tenants_address() -> None:
    """The fabric's tables know no field but those of discovery, ARP, and the outer IPv4 destination and UDP source."""
    fields = {field for table in FABRIC.tables for field in table.matches}
    arp = {"arp_op", "arp_sha", "arp_spa", "arp_tpa"}
    assert fields == {"in_port", "eth_type", "eth_dst", "ipv4_dst", "ip_proto", "udp_src"} | arp


def test_a_switch_that_nobody_knows_has_no_program() -> None:
    """Compiling for an unknown switch is a defect and says so."""
    with pytest.raises(KeyError):
        program(graphs.build(graphs.ring(3)), D(77), NOTHING)


def test_a_port_of_a_fabric_is_known_by_switch_and_number() -> None:
    """An unknown port is neither up nor an edge port."""
    fabric = graphs.build(graphs.ring(3))
    assert not fabric.is_up(PortRef(D(77), 1))
    assert not fabric.is_edge(PortRef(D(77), 1))
    assert not fabric.is_up(PortRef(D(1), 99))
