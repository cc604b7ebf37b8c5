"""Is what the fabric carries computed right out of what its switches count?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.events import PortChanged, PortCounters
from controller.fabric.graph import Fabric
from controller.fabric.load import Load, Rate, balances, capacity, fairness, growth, link_loads, rate
from controller.fabric.plan import PortRef
from controller.fabric.routes import Hop, NextHops
from overlay.values import DatapathId

from . import graphs

D = DatapathId
TOP = (1 << 64) - 1
TOR, AGG = D(100), D(200)


def counted(port: int, *, octets: int = 0, packets: int = 0, drops: int = 0) -> PortCounters:
    """Counters of which only what leaves matters."""
    return PortCounters(port, 7, packets, 7, octets, 7, drops, 7, 7)


def hops(*ports: int) -> NextHops:
    """Equal next hops."""
    return tuple(map(Hop, ports))


def carrying(**bits: float) -> Load:
    """A load in which the first switch's ports p1, p2 … send so many bits in a second."""
    load = Load()
    ports = {int(name[1:]): value for name, value in bits.items()}
    load.counted(TOR, [counted(port) for port in ports], 0.0)
    load.counted(TOR, [counted(port, octets=int(value / 8)) for port, value in ports.items()], 1.0)
    return load


def sped(fabric: Fabric, at: PortRef, speed: int) -> None:
    """Let a switch say how fast a port is."""
    port = fabric.switches[at.datapath_id].ports[at.port]
    fabric.apply(PortChanged(at.datapath_id, replace(port, speed=speed), gone=False), 1.0)


@given(st.integers(0, TOP), st.integers(0, TOP // 2))
def test_a_counter_that_wraps_has_grown(before: int, by: int) -> None:
    """Whatever a 64-bit counter grew by is found, also past its end; less than half of its range in one interval."""
    after = (before + by) & TOP
    assert growth(before, after) == by or (after < before and growth(before, after) is None and before <= TOP // 2)


@given(st.integers(1, TOP // 2), st.data())
def test_a_counter_that_starts_anew_has_no_growth(before: int, data: st.DataObject) -> None:
    """A counter that went back, but cannot have wrapped, says nothing."""
    assert growth(before, data.draw(st.integers(0, before - 1))) is None


def test_a_rate_is_growth_over_time() -> None:
    """Bits, packets and drops per second are those between two counts, over the time between them."""
    before = counted(1, octets=1000, packets=10, drops=1)
    assert rate(before, counted(1, octets=2000, packets=30, drops=5), 2.0) == Rate(4000.0, 10.0, 2.0)
    assert rate(before, before, 1.0) == Rate(0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        (counted(1, octets=10, packets=30, drops=5), 2.0),
        (counted(1, octets=2000, packets=3, drops=5), 2.0),
        (counted(1, octets=2000, packets=30, drops=0), 2.0),
        (counted(1, octets=2000, packets=30, drops=5), 0.0),
        (counted(1, octets=2000, packets=30, drops=5), -1.0),
    ],
)
def test_what_started_anew_has_no_rate(after: PortCounters, seconds: float) -> None:
    """A port with any counter that started anew, or counted twice at one moment, has no rate until the next count."""
    assert rate(counted(1, octets=1000, packets=10, drops=1), after, seconds) is None


def test_a_load_follows_its_switches() -> None:
    """A port has a rate from its second count on; a port that vanished, or a switch that is lost, has none."""
    load = Load()
    load.counted(TOR, [counted(1), counted(2)], 0.0)
    assert load.rate(PortRef(TOR, 1)) is None
    load.counted(TOR, [counted(1, octets=10)], 1.0)
    assert load.rate(PortRef(TOR, 1)) == Rate(80.0, 0.0, 0.0)
    assert load.at(PortRef(TOR, 2)) is None
    assert load.rate(PortRef(TOR, 2)) is None
    load.counted(TOR, [counted(1, octets=20), counted(2)], 2.0)
    assert load.rate(PortRef(TOR, 2)) is None
    sample = load.sample(TOR)
    assert sample is not None
    assert (sample.at, set(sample.ports)) == (2.0, {1, 2})
    load.lost(TOR)
    load.lost(AGG)
    assert load.sample(TOR) is None
    assert load.at(PortRef(TOR, 1)) is None


def test_a_link_is_as_fast_as_its_slower_port() -> None:
    """A link's capacity is what its slower port says, or the one that says anything, or what the operator says."""
    fabric = graphs.build(graphs.vl2())
    link = next(link for link in fabric.links() if link.a == PortRef(TOR, 1))
    assert capacity(fabric, link) is None
    sped(fabric, link.a, 10_000)
    assert capacity(fabric, link) == 10e6
    sped(fabric, link.b, 5_000)
    assert capacity(fabric, link) == 5e6
    assert capacity(fabric, link, 40) == 40e6


def test_both_directions_of_every_usable_link_are_listed() -> None:
    """Each direction has the load of the port that sends; utilisation is known only where rate and capacity are."""
    fabric = graphs.build(graphs.vl2())
    near = PortRef(TOR, 1)
    listed = {each.source: each for each in link_loads(fabric, carrying(p1=4e6), 8)}
    assert listed.keys() == {end for link in fabric.links() for end in link}
    assert listed[near].utilisation == 0.5
    there = listed[near].target
    assert fabric.peer(near) == there
    assert (listed[there].rate, listed[there].utilisation) == (None, None)
    unknown = {each.source: each for each in link_loads(fabric, carrying(p1=4e6))}[near]
    assert unknown.rate is not None
    assert unknown.utilisation is None
    port = fabric.switches[TOR].ports[1]
    fabric.apply(PortChanged(TOR, replace(port, up=False), gone=False), 2.0)
    assert near not in {each.source for each in link_loads(fabric, carrying(p1=4e6))}


def test_a_balance_tells_how_equal_next_hops_are_used() -> None:
    """One of two next hops that carries all is half fair and twice the mean; equal ones are wholly fair."""
    sets = {TOR: [hops(1, 2)], AGG: [hops(1, 2)]}
    one, other = balances(sets, carrying(p1=8e6, p2=0))
    assert (one.datapath_id, one.ports, one.fairness, one.peak) == (TOR, (1, 2), 0.5, 2.0)
    assert (other.fairness, other.peak) == (None, None)  # nobody counted there
    equal = balances({TOR: [hops(1, 2)]}, carrying(p1=8e6, p2=8e6))
    assert [(each.fairness, each.peak) for each in equal] == [(1.0, 1.0)]


def test_an_idle_set_has_no_balance() -> None:
    """Where nothing is carried, nothing is unfair: the figures are absent."""
    (idle,) = balances({TOR: [hops(1, 2)]}, carrying(p1=0, p2=0))
    assert (idle.fairness, idle.peak) == (None, None)


def test_each_set_is_told_once_and_only_where_there_is_a_choice() -> None:
    """Routes that share a next-hop set are one row, and a set of one port is none."""
    found = balances({TOR: [hops(1, 2), hops(3), hops(1, 2), hops(2, 3)]}, carrying(p1=8, p2=8, p3=8))
    assert [each.ports for each in found] == [(1, 2), (2, 3)]


def test_a_share_is_by_weight() -> None:
    """A next hop of twice the weight carries twice its share, and that is fair."""
    (found,) = balances({TOR: [(Hop(1, 2), Hop(2))]}, carrying(p1=16e6, p2=8e6))
    assert (found.ports, found.fairness, found.peak) == ((1, 2), 1.0, 1.0)


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=32).filter(any))
def test_fairness_lies_between_one_for_all_and_all_for_one(rates: list[float]) -> None:
    """Jain's index of n rates is from 1/n to 1, whatever they are."""
    assert 1 / len(rates) - 1e-9 <= fairness(rates) <= 1 + 1e-9
