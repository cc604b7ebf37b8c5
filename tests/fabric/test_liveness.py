"""On which interfaces does BFD run?"""

from __future__ import annotations

import pytest

from controller.fabric.changes import LinkSeen, SwitchConnected
from controller.fabric.graph import Fabric
from controller.fabric.liveness import bfd_unwanted, bfd_wanted
from controller.fabric.plan import LaPlan, PortRef
from overlay.values import DatapathId

from .graphs import ports
from .test_links import A, B, C, join, port_is

A1, A2, B1, B2, C1 = PortRef(A, 1), PortRef(A, 2), PortRef(B, 1), PortRef(B, 2), PortRef(C, 1)
UNKNOWN = DatapathId(99)


@pytest.fixture
def fabric() -> Fabric:
    """Three switches in a row, with a port to spare at each end."""
    fabric = Fabric(LaPlan(), hold=15.0)
    for datapath_id in (A, B, C):
        fabric.apply(SwitchConnected(datapath_id, ports(1, 2)), 0.0)
    join(fabric, A1, B1)
    join(fabric, B2, C1)
    return fabric


def test_it_runs_at_both_ends_of_a_link(fabric: Fabric) -> None:
    """Both ends of each cable that was seen in both directions are named, and no other port."""
    assert bfd_wanted(fabric, {A, B, C}) == {A: {"p1"}, B: {"p1", "p2"}, C: {"p1"}}


def test_it_runs_at_no_end_alone(fabric: Fabric) -> None:
    """A link of which one switch cannot be configured is not watched from the other end."""
    assert bfd_wanted(fabric, {A, B}) == {A: {"p1"}, B: {"p1"}}
    assert bfd_wanted(fabric, {A, C, UNKNOWN}) == {A: set(), C: set(), UNKNOWN: set()}


def test_it_runs_at_no_end_that_faces_the_operators_own(fabric: Fabric) -> None:
    """A cable at whose far end the operator has liveness of his own is left to him: nobody would answer us there."""
    own = {B: frozenset({"p1"})}
    assert bfd_wanted(fabric, {A, B, C}, own) == {A: set(), B: {"p1", "p2"}, C: {"p1"}}


def test_a_cable_seen_one_way_is_not_watched(fabric: Fabric) -> None:
    """An announcement in one direction is not enough."""
    fabric.apply(LinkSeen(A2, PortRef(C, 2)), 1.0)
    assert bfd_wanted(fabric, {A, C})[A] == set()


def test_a_cable_into_the_same_switch_is_not_watched(fabric: Fabric) -> None:
    """A switch that is wired to itself has no neighbour there."""
    fabric.apply(SwitchConnected(DatapathId(4), ports(1, 2)), 0.0)
    join(fabric, PortRef(DatapathId(4), 1), PortRef(DatapathId(4), 2))
    assert bfd_wanted(fabric, {DatapathId(4)}) == {DatapathId(4): set()}


def test_it_goes_off_where_nothing_passes(fabric: Fabric) -> None:
    """A port that is not live must be freed of BFD, and so must the port at the far end of its cable; none starts."""
    port_is(fabric, A1, up=False)
    assert bfd_unwanted(fabric, A) == {"p1"}
    assert bfd_unwanted(fabric, B) == {"p1"}, "alone it would find its peer silent and give the cable up once more"
    assert bfd_unwanted(fabric, C) == set()
    assert bfd_unwanted(fabric, UNKNOWN) == set()
    assert bfd_wanted(fabric, {A, B}) == {A: set(), B: set()}
    port_is(fabric, A1, up=True)
    assert bfd_unwanted(fabric, B) == {"p1"}, "whoever could not be told yet is told still"
    assert bfd_wanted(fabric, {A, B})[A] == set()
    join(fabric, A1, B1, 2.0)
    assert bfd_unwanted(fabric, A) == bfd_unwanted(fabric, B) == set()
    assert bfd_wanted(fabric, {A, B})[A] == {"p1"}
