"""A host is emptied a few ports at a time, and whatever happens, all of them leave that can."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.changes import (
    Activate,
    BindPassive,
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    DeletePort,
    HostBack,
    HostHeard,
    HostLost,
    HostSeen,
    HostSilent,
    Plugged,
    Tick,
    Unbind,
    Unplugged,
    UpdatePort,
)
from overlay.direct.changes import Attach, EdgeSnapshot
from overlay.evacuation.changes import EndEvacuation, Evacuate
from overlay.evacuation.spreading import spread
from overlay.evacuation.values import Advance
from overlay.moves import SWITCHING, Phase, Trigger
from overlay.refusals import Refusal
from overlay.trunks.changes import CreateTrunk
from overlay.trunks.values import SubPort
from overlay.values import HostName, Mac, VnicType
from overlay.world import Settings, World
from tests.model.failing import FailingLab
from tests.model.lab import Lab
from tests.overlay.test_incremental_equals_recompute import EDGE
from tests.overlay.test_packets import H1, H2, H3

H4 = HostName("h4")


def crowded(ports: int, hosts: int = 4, parallel: int = 16) -> FailingLab:
    """Hosts of which the first has so many ports, plugged there, in two networks."""
    lab = FailingLab(hosts, Settings(evacuation_parallel=parallel))
    for number in range(2):
        lab.do(CreateNetwork(f"net{number}", "p"))
        lab.do(CreateSubnet(f"sub{number}", "p", f"net{number}", ip_network("10.0.0.0/24")))
    for number in range(ports):
        lab.do(CreatePort(f"port{number}", "p", f"net{number % 2}", mac=Mac(number + 1), host=H1))
        lab.plug(H1, f"port{number}")
    return lab


def tick(lab: Lab, seconds: float = 0.1) -> None:
    """Let time pass."""
    lab.now += seconds
    lab.do(Tick())


def orchestrate(lab: Lab, host: HostName = H1) -> int:
    """Move the machines of all ports that have a passive binding.  :returns: how many moves are under way."""
    moves = tuple(move for move in lab.world.moves_under_way() if move.source == host)
    for move in moves:
        if (move.target, move.port_id) not in lab.world.attachments:
            lab.plug(move.target, move.port_id)
        if lab.world.move_of(move.port_id).phase is Phase.READY:
            lab.do(Activate(move.port_id, move.target))
            lab.do(Unplugged(host, move.port_id))
    return len(moves)


def advance(lab: Lab, host: HostName = H1) -> Advance:
    """How far it is."""
    return lab.world.evacuation(host)[2]


def at(lab: Lab, host: HostName) -> int:
    """How many ports a host has."""
    return len(lab.world.ports_on_host(host))


@given(
    loads=st.dictionaries(st.sampled_from([HostName(f"h{n}") for n in range(9)]), st.integers(0, 20), min_size=1),
    count=st.integers(0, 60),
)
def test_the_fewest_first(loads: dict[HostName, int], count: int) -> None:
    """Of the hosts that got a port none ends with more than one above any other, however many there were before."""
    after = dict(loads)
    for _, host in zip(range(count), spread(loads), strict=False):
        after[host] += 1
    assert sum(after.values()) == sum(loads.values()) + count
    got = [host for host in loads if after[host] > loads[host]]
    assert all(after[host] <= other + 1 for host in got for other in after.values())


def test_nowhere_to_spread() -> None:
    """Without hosts there is nothing to choose from."""
    assert list(spread({})) == []


@pytest.mark.parametrize(("ports", "parallel"), [(1, 1), (9, 2), (30, 16)])
def test_all_leave_and_never_too_many_at_once(ports: int, parallel: int) -> None:
    """All ports leave, spread over the others, with at most so many moves under way at any moment."""
    lab = crowded(ports, parallel=parallel)
    lab.do(Evacuate(H1))
    most = turns = 0
    while advance(lab) is Advance.EVACUATING:
        most = max(most, orchestrate(lab))
        tick(lab)
        turns += 1
        assert turns < 20 * ports + 20
    assert most == min(parallel, ports)
    assert (advance(lab), at(lab, H1)) == (Advance.EVACUATED, 0)
    assert sorted(lab.world.evacuation(H1)[0].done) == sorted(f"port{n}" for n in range(ports))
    others = [at(lab, host) for host in (H2, H3, H4)]
    assert sum(others) == ports
    assert max(others) - min(others) <= 1
    assert {host: dict(lab.compiler.desired(host)) for host in lab.hosts} == lab.compiler.recompute()
    assert {move.trigger for move in lab.world.moves()} == {Trigger.EVACUATION}


def test_only_where_they_may() -> None:
    """Named targets are the only ones, each counted with what is on its way to it."""
    lab = crowded(4)
    lab.do(BindPassive("port0", H3))
    lab.do(Evacuate(H1, (H2, H3, H3)))
    targets = {move.port_id: move.target for move in lab.world.moves_under_way()}
    assert targets == {"port0": H3, "port1": H2, "port2": H2, "port3": H3}
    assert [move.port_id for move in lab.world.evacuation(H1)[1].moving] == ["port0", "port1", "port2", "port3"]


def test_a_port_waits_for_its_orchestrator() -> None:
    """Nothing is switched before a machine has moved: a tap at the target alone makes a move ready, no more."""
    lab = crowded(1)
    lab.do(Evacuate(H1))
    (move,) = lab.world.moves_under_way()
    lab.plug(move.target, "port0")
    assert lab.world.move_of("port0").phase is Phase.READY
    lab.do(Unplugged(H1, "port0"))
    assert lab.world.move_of("port0").phase in SWITCHING


def test_activated_by_the_tap_if_so_asked() -> None:
    """Asked to activate, a move switches by itself as soon as its tap is at the target and everybody is ready."""
    lab = crowded(1)
    lab.do(Evacuate(H1, activate=True))
    (move,) = lab.world.moves_under_way()
    lab.plug(move.target, "port0")
    assert lab.world.move_of("port0").phase in SWITCHING


@pytest.mark.parametrize("turns", range(12))
def test_a_restarted_controller_goes_on(turns: int) -> None:
    """Killed at whichever moment of an evacuation, a controller goes on with it, and all ports leave."""
    lab = crowded(5, parallel=2)
    lab.do(Evacuate(H1, (H2, H3)))
    for number in range(40):
        if number == turns:
            lab.restart()
            lab.settle()
        assert orchestrate(lab) <= 2
        tick(lab, 0.3)
    assert (advance(lab), at(lab, H1), at(lab, H4)) == (Advance.EVACUATED, 0, 0)
    assert sorted(lab.world.evacuation(H1)[0].done) == sorted(f"port{n}" for n in range(5))
    again = World.restore(lab.world.documents(), lab.now, lab.world.settings)
    assert again.evacuation(H1) == lab.world.evacuation(H1)


def test_what_fails_is_told_and_tried_again_when_asked() -> None:
    """A port whose move fails or is cancelled makes room for others, is named, and can be tried again."""
    lab = crowded(3, parallel=1)
    lab.do(Evacuate(H1))
    tick(lab, 301)
    lab.do(Tick())
    (second,) = lab.world.moves_under_way()
    lab.do(Unbind(second.port_id, second.target))
    tick(lab)
    while advance(lab) is Advance.EVACUATING:
        orchestrate(lab)
        tick(lab)
    found, counted, state = lab.world.evacuation(H1)
    assert (state, counted.waiting) == (Advance.INCOMPLETE, ())
    assert dict(found.failed) == {"port0": "failed: timed out", "port1": "cancelled: unbound"}
    assert found.done == ("port2",)
    lab.do(Evacuate(H1))
    while advance(lab) is Advance.EVACUATING:
        orchestrate(lab)
        tick(lab)
    assert (advance(lab), dict(lab.world.evacuation(H1)[0].failed)) == (Advance.EVACUATED, {})


def test_what_has_failed_may_leave_by_hand_or_be_deleted() -> None:
    """A port that failed and then is moved otherwise, or deleted, is a failure no more."""
    lab = crowded(3, parallel=3)
    lab.do(Evacuate(H1))
    tick(lab, 301)
    tick(lab)
    assert len(lab.world.evacuation(H1)[0].failed) == 3
    lab.do(DeletePort("port0"))
    lab.do(Unplugged(H1, "port1"), UpdatePort("port1", host=H2))
    lab.do(UpdatePort("port2", host=H3))
    tick(lab)
    assert (advance(lab), dict(lab.world.evacuation(H1)[0].failed)) == (Advance.EVACUATING, {})
    orchestrate(lab)
    tick(lab, 2)
    tick(lab)
    assert advance(lab) is Advance.EVACUATED
    assert lab.world.evacuation(H1)[0].done == ("port1", "port2")


def test_a_port_that_came_back_leaves_again() -> None:
    """A port that turns up again at a host that is being emptied is moved away once more."""
    lab = crowded(1)
    lab.do(Evacuate(H1, (H2,)))
    for _ in range(2):
        orchestrate(lab)
        tick(lab, 2)
        tick(lab)
    assert advance(lab) is Advance.EVACUATED
    lab.do(Unplugged(H2, "port0"))
    lab.plug(H1, "port0")
    tick(lab, 2)
    assert lab.world.ports["port0"].host == H1
    tick(lab)
    assert (advance(lab), lab.world.evacuation(H1)[0].done) == (Advance.EVACUATING, ())


def test_ended_it_leaves_the_rest_where_it_is() -> None:
    """Taken away, an evacuation cancels what is not activated, lets what is go on, and the host takes ports again."""
    lab = crowded(3, parallel=2)
    lab.do(Evacuate(H1))
    first, second = lab.world.moves_under_way()
    lab.plug(first.target, first.port_id)
    lab.do(Activate(first.port_id, first.target))
    lab.do(EndEvacuation(H1))
    assert not lab.world.is_evacuated(H1)
    assert [move.phase for move in lab.world.moves()] == [Phase.GRACE, Phase.CANCELLED]
    tick(lab, 2)
    assert (lab.world.ports[first.port_id].host, lab.world.ports[second.port_id].host) == (first.target, H1)
    assert not [*lab.world.moves_under_way()]
    lab.do(BindPassive(first.port_id, H1))


def test_a_move_that_others_began_is_theirs() -> None:
    """A move from the host that somebody else prepared counts among those under way, and is not cancelled with it."""
    lab = crowded(2, parallel=1)
    lab.do(BindPassive("port0", H2))
    lab.do(Evacuate(H1))
    assert [move.port_id for move in lab.world.moves_under_way()] == ["port0"]
    lab.do(EndEvacuation(H1))
    assert [move.port_id for move in lab.world.moves_under_way()] == ["port0"]


def test_no_port_moves_to_a_host_that_is_emptied() -> None:
    """A host that is being emptied is nobody's target, whether by a passive binding, a rebinding or an evacuation."""
    lab = crowded(2)
    lab.do(CreatePort("other", "p", "net0", mac=Mac(101), host=H2))
    lab.plug(H2, "other")
    lab.do(Evacuate(H1))
    before = lab.world.documents()
    for change in (BindPassive("other", H1), UpdatePort("other", host=H1), Evacuate(H2, (H1,))):
        with pytest.raises(Refusal) as refusal:
            lab.change(change)
        assert (refusal.value.status, refusal.value.kind) == (409, "HostUnderEvacuation")
    assert lab.world.documents() == before
    lab.do(Evacuate(H2))
    assert {move.target for move in lab.world.moves_under_way() if move.source == H2} <= {H3, H4}


def test_dead_hosts_get_no_ports() -> None:
    """A host without a session gets no ports; where no host is left, ports wait until one is there."""
    lab = crowded(2, hosts=3, parallel=1)
    lab.do(HostSilent(H3))
    lab.do(Evacuate(H1))
    assert [move.target for move in lab.world.moves_under_way()] == [H2]
    lab.do(HostSilent(H2), HostLost(H2))
    tick(lab, 301)
    for _ in range(3):
        tick(lab)
    assert (advance(lab), [*lab.world.moves_under_way()]) == (Advance.EVACUATING, [])
    lab.do(HostHeard(H2), HostBack(H2))
    tick(lab)
    assert [move.target for move in lab.world.moves_under_way()] == [H2]


@pytest.mark.parametrize(
    ("change", "status", "kind", "field"),
    [
        (Evacuate(HostName("h9")), 404, "HostNotFound", "host"),
        (Evacuate(H1, (HostName("h9"),)), 400, "HostNotFound", "to"),
        (Evacuate(H1, (H1,)), 400, "InvalidInput", "to"),
        (Evacuate(H1, (EDGE.name,)), 400, "InvalidInput", "to"),
        (EndEvacuation(H1), 404, "EvacuationNotFound", "host"),
    ],
)
def test_refused(change: object, status: int, kind: str, field: str) -> None:
    """What cannot be is refused by name, and changes nothing."""
    lab = crowded(1)
    lab.hosts.append(EDGE.name)
    lab.do(HostSeen(EDGE))
    before = lab.world.documents()
    with pytest.raises(Refusal) as refusal:
        lab.change(change)
    assert (refusal.value.status, refusal.value.kind, refusal.value.field) == (status, kind, field)
    assert lab.world.documents() == before


@pytest.mark.parametrize("targets", [(), (H2,)])
def test_nobody_left(targets: tuple[HostName, ...]) -> None:
    """Where no host could take a port, an evacuation is refused."""
    lab = crowded(1, hosts=2)
    lab.do(HostSilent(H2))
    with pytest.raises(Refusal) as refusal:
        lab.change(Evacuate(H1, targets))
    assert (refusal.value.status, refusal.value.kind) == (409, "EvacuationHasNoTarget")


def test_sub_ports_go_with_their_parent() -> None:
    """A sub-port has no move of its own; it is named as staying until its parent has taken it along."""
    lab = crowded(2)
    lab.do(Unplugged(H1, "port1"), CreateTrunk("trunk", "p", "port0", sub_ports=(SubPort("port1", 7),)))
    lab.do(Evacuate(H1))
    _, counted, _ = lab.world.evacuation(H1)
    assert [move.port_id for move in counted.moving] == ["port0"]
    assert dict(counted.staying) == {"port1": "it is a sub-port of trunk trunk, and goes where port port0 goes"}
    orchestrate(lab)
    tick(lab, 2)
    tick(lab)
    assert (advance(lab), at(lab, H1)) == (Advance.EVACUATED, 0)
    assert lab.world.evacuation(H1)[0].done == ("port0",)


def test_wired_ports_stay() -> None:
    """Ports that are wired to an edge switch are named, since no evacuation moves a cable."""
    lab = crowded(1)
    lab.hosts.append(EDGE.name)
    lab.do(HostSeen(EDGE), EdgeSnapshot(EDGE.name, (("e1", 3),)))
    lab.do(CreatePort("wired", "p", "net0", mac=Mac(103), attach=Attach(VnicType.DIRECT, EDGE.name, "e1")))
    assert lab.world.ports["wired"].host == EDGE.name
    lab.do(Evacuate(EDGE.name))
    _, counted, state = lab.world.evacuation(EDGE.name)
    assert (state, counted.waiting, counted.moving) == (Advance.INCOMPLETE, (), ())
    assert dict(counted.staying) == {"wired": "it is wired to an edge switch (binding:vnic_type direct)"}


def test_machines_that_run_go_first() -> None:
    """Ports that are plugged come before those that are not, whose moves end only when somebody starts a machine."""
    lab = crowded(2, parallel=1)
    lab.do(Unplugged(H1, "port0"))
    lab.do(Evacuate(H1))
    assert [move.port_id for move in lab.world.moves_under_way()] == ["port1"]
    assert lab.world.evacuation(H1)[1].waiting == ("port0",)


def test_few_begin_at_once() -> None:
    """However many may be under way, few moves begin in one step, so that others have their turn."""
    lab = crowded(9)
    lab.change(Evacuate(H1, (H2,)))
    assert len([*lab.world.moves_under_way()]) == 4
    tick(lab)
    assert len([*lab.world.moves_under_way()]) == 8


def test_a_forgotten_move_has_ended() -> None:
    """A port whose move ended so long ago that nobody remembers it has failed all the same."""
    lab = crowded(1)
    lab.do(CreatePort("busy", "p", "net0", mac=Mac(102), host=H2))
    lab.plug(H2, "busy")
    lab.do(Evacuate(H1, (H2,)))
    (move,) = lab.world.moves_under_way()
    lab.world._index.moves.clear()  # a store that lost it
    lab.do(Plugged(H2, "busy", 77))
    tick(lab)
    assert dict(lab.world.evacuation(H1)[0].failed) == {move.port_id: "its move has ended"}
