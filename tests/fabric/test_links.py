"""When is there a link, and when is there none any more?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.events import PortChanged
from controller.fabric.changes import (
    Effect,
    HostSighted,
    LinkSeen,
    SwitchConnected,
    SwitchDisconnected,
    SwitchForgotten,
    Tick,
)
from controller.fabric.graph import Fabric
from controller.fabric.plan import LaPlan, PortRef
from controller.fabric.routes import Link
from overlay.refusals import Conflict, NotFound
from overlay.values import DatapathId

from . import graphs
from .graphs import ports

A, B, C = DatapathId(1), DatapathId(2), DatapathId(3)
A1, A2, B1, B2, C1 = PortRef(A, 1), PortRef(A, 2), PortRef(B, 1), PortRef(B, 2), PortRef(C, 1)


@pytest.fixture
def fabric() -> Fabric:
    """Three switches with two ports each, no cable seen."""
    fabric = Fabric(LaPlan(), hold=15.0)
    for datapath_id in (A, B, C):
        fabric.apply(SwitchConnected(datapath_id, ports(1, 2)), 0.0)
    return fabric


def join(fabric: Fabric, near: PortRef, far: PortRef, now: float = 0.0) -> Effect:
    """See a cable in both directions."""
    fabric.apply(LinkSeen(near, far), now)
    return fabric.apply(LinkSeen(far, near), now)


def port_is(fabric: Fabric, at: PortRef, *, up: bool = True, gone: bool = False) -> Effect:
    """Change a port."""
    (port,) = ports(at.port, up=up)[:1]
    return fabric.apply(PortChanged(at.datapath_id, port, gone=gone), 1.0)


def kinds(effect: Effect) -> list[tuple[str, bool]]:
    """Say what is stored: each document's kind, and whether it is there."""
    return [(document.kind, document.body is not None) for document in effect.documents]


def test_a_link_needs_both_directions(fabric: Fabric) -> None:
    """A cable seen one way is no link, but its ports are no edge ports any more; seen both ways it is a link."""
    one_way = fabric.apply(LinkSeen(A1, B1), 0.0)
    fabric.routes.towards(B)
    assert one_way.switches == {A, B}
    assert one_way.announce == (B1,)
    assert fabric.links() == ()
    assert [port.number for port in fabric.edge_ports(A)] == [2]
    both = fabric.apply(LinkSeen(B1, A1), 0.0)
    assert both.switches == {A}
    assert both.announce == ()
    assert fabric.links() == (Link(A1, B1),)
    assert set(fabric.graph.edges) == {(A, B)}


def test_seeing_a_link_again_changes_nothing(fabric: Fabric) -> None:
    """An announcement of what is known has no effect."""
    join(fabric, A1, B1)
    assert not fabric.apply(LinkSeen(A1, B1), 5.0)


def test_parallel_links_are_links_of_their_own(fabric: Fabric) -> None:
    """Two cables between two switches are one edge with two ports, and one when one fails."""
    join(fabric, A1, B2)
    fabric.routes.towards(B)
    assert join(fabric, A2, B1).switches == {A}
    assert fabric.graph.edges[A, B]["ports"] == {A: (1, 2), B: (1, 2)}
    port_is(fabric, B1, up=False)
    assert fabric.graph.edges[A, B]["ports"] == {A: (1,), B: (2,)}


def test_a_cable_from_a_switch_to_itself_is_no_edge(fabric: Fabric) -> None:
    """A cable between two ports of one switch is not a link of the graph, and its ports are no edge ports."""
    join(fabric, A1, A2)
    assert not fabric.graph.edges
    assert fabric.edge_ports(A) == ()


def test_a_port_that_goes_down_takes_its_link_away(fabric: Fabric) -> None:
    """A link is gone with either port, at once, and only the switches that sent over it are named."""
    join(fabric, A1, B1)
    fabric.routes.towards(B)
    effect = port_is(fabric, B1, up=False)
    assert effect.switches == {A}
    assert kinds(effect) == [("switch", True), ("link", True), ("link", True)]
    assert not fabric.graph.edges
    assert [port.number for port in fabric.edge_ports(A)] == [2]


def test_a_port_that_comes_up_again_is_asked_before_it_is_used(fabric: Fabric) -> None:
    """When a port is up again, both ends are announced at once, and the link is back when both were seen again."""
    join(fabric, A1, B1)
    port_is(fabric, A1, up=False)
    assert not fabric.apply(LinkSeen(B1, A1), 1.0)
    effect = port_is(fabric, A1)
    assert not effect.routes
    assert effect.announce == (A1, B1)
    fabric.routes.towards(B)
    assert not fabric.apply(LinkSeen(A1, B1), 1.1).switches
    assert fabric.apply(LinkSeen(B1, A1), 1.1).switches == {A}


def test_a_cable_that_was_moved_is_believed_where_it_is_now(fabric: Fabric) -> None:
    """Another far end of a known port replaces what was known of either."""
    join(fabric, A1, B1)
    join(fabric, C1, B2)
    effect = fabric.apply(LinkSeen(A1, B2), 1.0)
    assert kinds(effect) == [("link", True), ("link", False)]
    fabric.apply(LinkSeen(B2, A1), 1.0)
    assert fabric.links() == (Link(A1, B2),)
    assert fabric.graph.degree(C) == 0


def test_a_port_that_a_moved_cable_freed_is_an_edge_port_again(fabric: Fabric) -> None:
    """When a cable turns out to lead elsewhere, the switch of its former far end is told to listen to hosts there."""
    fabric.apply(LinkSeen(A1, C1), 0.0)
    effect = fabric.apply(LinkSeen(A1, B1), 1.0)
    assert effect.switches == {B, C}
    assert fabric.is_edge(C1)


def test_a_link_that_is_not_seen_is_given_up(fabric: Fabric) -> None:
    """A link is dropped when it was not seen for longer than the hold time, and its ports are edge ports again."""
    join(fabric, A1, B1)
    assert not fabric.apply(Tick(), 15.0)
    effect = fabric.apply(Tick(), 15.1)
    assert effect.switches == {A, B}
    assert not fabric.graph.edges
    assert kinds(effect) == [("link", False), ("link", False)]
    assert len(fabric.edge_ports(A)) == 2


def test_one_direction_may_be_given_up_alone(fabric: Fabric) -> None:
    """A cable that works one way only is no link any more, yet its ports stay what they are."""
    join(fabric, A1, B1)
    fabric.apply(LinkSeen(A1, B1), 10.0)
    effect = fabric.apply(Tick(), 16.0)
    assert effect.documents
    assert effect.switches == frozenset()
    assert not fabric.graph.edges


def test_a_lost_session_changes_nothing(fabric: Fabric) -> None:
    """While a switch has no session, its links stay, however long; after its return they must be seen in time."""
    join(fabric, A1, B1)
    assert not fabric.apply(SwitchDisconnected(B), 1.0)
    assert not fabric.apply(Tick(), 1000.0)
    assert not fabric.apply(SwitchConnected(B, ports(1, 2)), 2000.0)
    assert not fabric.apply(Tick(), 2015.0)
    assert fabric.apply(Tick(), 2016.0)
    assert not fabric.graph.edges


def test_an_unknown_switch_cannot_be_lost(fabric: Fabric) -> None:
    """The end of a session of a switch that is not known has no effect, nor has a port of it."""
    assert not fabric.apply(SwitchDisconnected(DatapathId(9)), 1.0)
    assert not port_is(fabric, PortRef(DatapathId(9), 1))
    assert not fabric.apply(LinkSeen(PortRef(DatapathId(9), 1), A1), 1.0)


def test_the_cable_of_a_port_that_is_down_is_remembered(fabric: Fabric) -> None:
    """A cable is not given up while its port is down, since nothing could be seen."""
    join(fabric, A1, B1)
    port_is(fabric, A1, up=False)
    assert not fabric.apply(Tick(), 100.0)
    assert A1 in fabric.cables


def test_the_cable_of_a_port_that_is_gone_is_forgotten_in_time(fabric: Fabric) -> None:
    """When a port was removed, its cable is given up after the hold time."""
    join(fabric, A1, B1)
    assert port_is(fabric, A1, gone=True).switches == {A}
    assert fabric.apply(Tick(), 100.0).switches == {A, B}
    assert B1 not in fabric.cables


def test_a_port_that_is_the_same_changes_nothing(fabric: Fabric) -> None:
    """A port status that tells nothing new has no effect."""
    assert not port_is(fabric, A1)
    assert not port_is(fabric, PortRef(A, 7), gone=True)


def test_a_new_port_is_announced(fabric: Fabric) -> None:
    """A port that appears gets its flows, and an announcement at once."""
    effect = port_is(fabric, PortRef(A, 3))
    assert effect.switches == {A}
    assert effect.announce == (PortRef(A, 3),)


def test_a_switch_is_announced_when_it_connects(fabric: Fabric) -> None:
    """When a switch connects, announcements go out of its ports and of those that were wired to it."""
    join(fabric, A1, B1)
    assert fabric.apply(SwitchConnected(A, ports(1, 2)), 5.0).announce == (A1, A2, B1)


def test_a_switch_may_come_back_with_other_ports(fabric: Fabric) -> None:
    """What its ports are at the handshake is the truth: a port that is down or gone has lost its link."""
    join(fabric, A1, B1)
    join(fabric, A2, C1)
    changed = (replace(ports(1)[0], up=False),)
    effect = fabric.apply(SwitchConnected(A, changed), 5.0)
    assert effect.switches == {A}
    assert fabric.links() == ()


def test_the_local_port_is_no_port_for_cables(fabric: Fabric) -> None:
    """A switch's LOCAL port is neither an edge port nor announced, also when it is up."""
    local = PortRef(A, graphs.LOCAL)
    effect = port_is(fabric, local)
    assert effect.announce == ()
    assert [port.number for port in fabric.edge_ports(A)] == [1, 2]
    assert not fabric.is_edge(local)


def test_a_forgotten_switch_leaves_nothing(fabric: Fabric) -> None:
    """Forgetting a switch that is away takes its links and hosts along."""
    join(fabric, A1, B1)
    join(fabric, B2, C1)
    la = next(iter(graphs.ring().hosts))
    fabric.apply(HostSighted(la, graphs.mac_of(la), A2), 0.0)
    fabric.apply(SwitchDisconnected(A), 1.0)
    effect = fabric.apply(SwitchForgotten(A), 2.0)
    assert effect.routes
    assert effect.switches == {B}
    assert kinds(effect) == [("switch", False), ("sighting", False), ("link", False), ("link", False)]
    assert A not in fabric.graph
    assert fabric.links() == (Link(B2, C1),)
    assert not fabric.sightings
    assert not fabric.located


def test_only_a_known_switch_that_is_away_can_be_forgotten(fabric: Fabric) -> None:
    """Forgetting a connected switch is a conflict, an unknown one is not found; both name the field."""
    with pytest.raises(Conflict) as conflict:
        fabric.apply(SwitchForgotten(A), 1.0)
    with pytest.raises(NotFound) as missing:
        fabric.apply(SwitchForgotten(DatapathId(9)), 1.0)
    assert conflict.value.field == missing.value.field == "datapath_id"
