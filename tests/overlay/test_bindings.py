"""Where a port lives: bindings, and the life of a move."""

from __future__ import annotations

import pytest

from overlay.changes import (
    Activate,
    Announced,
    BindPassive,
    Confirmed,
    CreatePort,
    DeleteNetwork,
    DeletePort,
    Document,
    HostBack,
    HostLost,
    HostSnapshot,
    NoticeKind,
    Outcome,
    Plugged,
    Sent,
    Tick,
    Unbind,
    Unplugged,
    UpdatePort,
)
from overlay.moves import ARROWS, PHASES, Phase, diagram
from overlay.refusals import Refusal
from overlay.values import HostName, IpAddress, Mac, PortStatus
from overlay.world import World
from tests.model.lab import Lab
from tests.overlay.test_packets import H1, H2, H3

A = "red-a"


def phase(lab: Lab) -> Phase:
    """The phase of the latest move."""
    return lab.world.moves()[-1].phase


def ready(lab: Lab) -> None:
    """A move of the port from h1 to h2 that waits for its activation."""
    lab.do(BindPassive(A, H2))
    lab.plug(H2, A)
    assert phase(lab) is Phase.READY


def test_a_move_is_under_way_until_it_has_ended(lab: Lab) -> None:
    """A prepared move is listed among those under way, and a cancelled one is not."""
    ready(lab)
    assert [(move.port_id, move.target) for move in lab.world.moves_under_way()] == [(A, H2)]
    lab.do(Unbind(A, H2))
    assert not [*lab.world.moves_under_way()]


def test_status_follows_the_confirmations(lab: Lab) -> None:
    """A port is DOWN until plugged, BUILD until all hosts of its network have confirmed, then ACTIVE."""
    lab.change(CreatePort("new", "red", "red", mac=Mac(77), host=H1))
    assert (lab.world.status("new"), lab.world.pending("new")) == (PortStatus.DOWN, {H1, H2, H3})
    lab.change(Plugged(H1, "new", 50))
    assert lab.world.status("new") is PortStatus.BUILD
    lab.confirm(H1)
    lab.confirm(H2)
    assert (lab.world.status("new"), lab.world.pending("new")) == (PortStatus.BUILD, {H3})
    lab.confirm(H3)
    assert lab.world.status("new") is PortStatus.ACTIVE


def test_a_later_change_is_waited_for(lab: Lab) -> None:
    """A confirmation of an older sending does not confirm a newer one."""
    lab.change(Plugged(H1, A, 50))
    first = lab.generation
    lab.change(Plugged(H1, A, 51))
    lab.world.apply(Confirmed(H1, first), 0)
    assert lab.world.status(A) is PortStatus.BUILD


def test_bindings_are_listed(lab: Lab) -> None:
    """The active binding comes first, then the prepared one; after activation they change places."""
    assert [(b.host, b.active, b.plugged, b.ready) for b in lab.world.bindings(A)] == [(H1, True, True, True)]
    lab.do(BindPassive(A, H2))
    assert [(b.host, b.active, b.plugged, b.ready) for b in lab.world.bindings(A)][1] == (H2, False, False, False)
    lab.plug(H2, A)
    assert lab.world.bindings(A)[1].ready
    lab.do(Activate(A, H2))
    assert [(b.host, b.active) for b in lab.world.bindings(A)] == [(H2, True), (H1, False)]
    assert lab.world.status(A) is PortStatus.ACTIVE
    lab.do(Unbind(A, H1))
    assert phase(lab) is Phase.GRACE
    lab.do(UpdatePort("red-b", host=None))
    assert lab.world.bindings("red-b") == ()


def test_a_port_is_bound_where_its_active_binding_is(lab: Lab) -> None:
    """From its activation on a port counts as the target's, in the time of grace as well, and not before."""

    def bound(host: HostName) -> bool:
        return A in {port.id for port in lab.world.ports_bound_to(host)}

    ready(lab)
    assert (bound(H1), bound(H2), lab.world.active_host(lab.world.port(A))) == (True, False, H1)
    lab.do(Activate(A, H2))
    assert phase(lab) is Phase.GRACE
    assert (bound(H1), bound(H2), lab.world.active_host(lab.world.port(A))) == (False, True, H2)


@pytest.mark.parametrize(
    ("before", "change", "status", "kind"),
    [
        ("settled", BindPassive(A, H1), 409, "PortBindingAlreadyExists"),
        ("settled", BindPassive("none", H1), 404, "PortNotFound"),
        ("settled", BindPassive("loose", H1), 409, "PortNotBound"),
        ("settled", Activate(A, H2), 404, "PortBindingNotFound"),
        ("settled", Activate(A, H1), 409, "PortBindingAlreadyActive"),
        ("settled", Unbind(A, H2), 404, "PortBindingNotFound"),
        ("preparing", Activate(A, H2), 409, "PortBindingNotReady"),
        ("preparing", Activate(A, H1), 409, "PortBindingAlreadyActive"),
        ("preparing", BindPassive(A, H2), 409, "PortBindingAlreadyExists"),
        ("preparing", BindPassive(A, H3), 409, "PortMoveInProgress"),
        ("preparing", UpdatePort(A, host=H3), 409, "PortMoveInProgress"),
        ("preparing", Unbind(A, H3), 404, "PortBindingNotFound"),
        ("activated", Activate(A, H2), 409, "PortBindingAlreadyActive"),
        ("activated", Unbind(A, H2), 409, "PortBindingAlreadyActive"),
    ],
)
def test_refused(lab: Lab, before: str, change: object, status: int, kind: str) -> None:
    """What cannot be done with a binding is refused by name, and changes nothing."""
    lab.do(CreatePort("loose", "red", "red", mac=Mac(78)))
    if before == "preparing":
        lab.do(BindPassive(A, H2))
    if before == "activated":
        ready(lab)
        lab.do(Activate(A, H2))
    documents = lab.world.documents()
    with pytest.raises(Refusal) as refusal:
        lab.change(change)
    assert (refusal.value.status, refusal.value.kind) == (status, kind)
    assert lab.world.documents() == documents


def test_rebinding_a_plugged_port_is_a_move(lab: Lab) -> None:
    """A new host for a plugged port is a move that switches by itself as soon as the target is plugged and ready."""
    lab.do(UpdatePort(A, host=H2))
    assert (phase(lab), lab.world.port(A).host) == (Phase.PREPARING, H1)
    lab.plug(H2, A)
    assert phase(lab) is Phase.GRACE
    assert lab.world.next_deadline() == lab.now + 1.0
    lab.now += 1.0
    lab.do(Tick())
    assert (phase(lab), lab.world.port(A).host, lab.world.next_deadline()) == (Phase.SETTLED, H2, None)


def test_rebinding_an_unplugged_port_is_not(lab: Lab) -> None:
    """A port that is plugged nowhere just gets its new home."""
    lab.do(Unplugged(H1, A), UpdatePort(A, host=H2))
    assert lab.world.port(A).host == H2
    assert lab.world.moves() == ()


def test_an_unbound_port_is_bound_where_it_is_plugged(lab: Lab) -> None:
    """A port without a host gets the one where it appears, even if it was plugged before it was made."""
    lab.plug(H2, "early")
    lab.do(CreatePort("early", "red", "red", mac=Mac(79)))
    assert lab.world.port("early").host == H2
    assert lab.world.status("early") is PortStatus.ACTIVE
    assert lab.world.port_at(H2, lab.world.attachments[H2, "early"]) == "early"


def test_a_port_that_appears_elsewhere_is_prepared(lab: Lab) -> None:
    """A port that turns up at another host is prepared there, and switches when it announces itself."""
    lab.plug(H3, A)
    assert phase(lab) is Phase.READY
    lab.do(Announced(H1, A))
    assert phase(lab) is Phase.READY
    lab.do(Announced(H3, A))
    assert phase(lab) is Phase.GRACE


def test_a_port_that_has_left_its_home_moves_by_itself(lab: Lab) -> None:
    """If the home's tap is gone already, the move needs no activation."""
    lab.do(Unplugged(H1, A))
    lab.plug(H3, A)
    assert phase(lab) is Phase.GRACE


def test_leftover_tap_begins_no_move(lab: Lab) -> None:
    """After a move the source's tap is stale: it begins no move, not even after a restart, until it was unplugged."""
    ready(lab)
    lab.do(Activate(A, H2))
    lab.now += 1
    lab.do(Tick())
    number = lab.world.attachments[H1, A]
    lab.do(Plugged(H1, A, number + 50))
    again = World.restore(lab.world.documents(), lab.now)
    again.apply(HostSnapshot(H1, ((A, number),)), lab.now)
    for world in (lab.world, again):
        assert (world.move_of(A), world.moves()[-1].stale) == (None, H1)
    lab.do(Unplugged(H1, A))
    again.apply(HostSnapshot(H1, ()), lab.now)
    for world in (lab.world, again):
        assert world.moves()[-1].stale is None
    lab.plug(H1, A)
    assert phase(lab) is Phase.READY


def test_cancelled_move_leaves_nothing(lab: Lab) -> None:
    """Unbinding before activation brings every switch back to what it held; the target's tap is stale."""
    before = {host: dict(flows) for host, flows in lab.installed.items()}
    ready(lab)
    lab.do(Unbind(A, H2))
    assert (phase(lab), lab.installed, lab.world.moves()[-1].stale) == (Phase.CANCELLED, before, H2)


@pytest.mark.parametrize("how", [Unplugged(H2, A), HostLost(H2)])
def test_appeared_move_fails_with_its_target(lab: Lab, how: object) -> None:
    """A move that began because the port appeared fails when the target goes before activation."""
    lab.plug(H2, A)
    lab.do(how)
    assert (phase(lab), lab.world.port(A).host, lab.world.status(A)) == (Phase.FAILED, H1, PortStatus.ACTIVE)


def test_passive_binding_outlives_an_unplug(lab: Lab) -> None:
    """A move prepared by request goes back to preparing when the target is unplugged."""
    ready(lab)
    lab.do(Unplugged(H2, A))
    assert phase(lab) is Phase.PREPARING


def test_preparing_times_out(lab: Lab) -> None:
    """A move that is not activated in time fails."""
    lab.do(BindPassive(A, H2))
    assert lab.world.next_deadline() == lab.now + 300
    lab.now += 300
    lab.do(Tick())
    assert phase(lab) is Phase.FAILED


@pytest.mark.parametrize("confirmed", [(), (H2,), (H1,), (H2, H1)])
@pytest.mark.parametrize("how", [Unplugged(H2, A), HostLost(H2)])
def test_target_lost_while_switching(lab: Lab, confirmed: tuple[HostName, ...], how: object) -> None:
    """When the target goes before everybody was repointed, and the source is there, everything falls back."""
    before = {host: dict(flows) for host, flows in lab.installed.items()}
    ready(lab)
    lab.change(Activate(A, H2))
    for host in confirmed:
        lab.confirm(host)
    assert phase(lab) is (Phase.REPOINTING if len(confirmed) == 2 else Phase.HAIRPINNING)
    lab.do(how)
    assert (phase(lab), lab.world.port(A).host, lab.installed) == (Phase.FAILED, H1, before)


@pytest.mark.parametrize("how", [Unplugged(H1, A), HostLost(H1)])
def test_source_lost_while_switching(lab: Lab, how: object) -> None:
    """When the source goes after activation, the target wins."""
    ready(lab)
    lab.change(Activate(A, H2))
    lab.change(how)
    lab.do(HostLost(H2)) if isinstance(how, HostLost) else None
    lab.settle()
    lab.now += 1
    lab.do(Tick())
    assert (phase(lab), lab.world.port(A).host) == (Phase.SETTLED, H2)


def test_deleting_a_moving_port_cancels(lab: Lab) -> None:
    """A port may be deleted in any phase: nothing of it stays anywhere."""
    ready(lab)
    lab.do(Activate(A, H2), DeletePort(A))
    assert phase(lab) is Phase.CANCELLED
    assert str(Mac(0x02_00_00_00_00_01)) not in {
        str(Mac(c.value)) for f in lab.installed[H3].values() for c in f.match if c.field == "eth_dst" and _red(f)
    }


def _red(flow: object) -> bool:
    return "value=100" in repr(flow)


def test_network_leaves_the_hosts_with_its_last_port(lab: Lab) -> None:
    """When the last port of a network goes, nothing of the network stays on any switch, and it can be deleted."""
    lab.do(*(DeletePort(f"red-{name}") for name in "abcd"), DeleteNetwork("red"))
    assert lab.world.networks_on_host(H1) == ("blue",)
    assert not any(_red(flow) for flows in lab.installed.values() for flow in flows.values())
    held = {host: dict(lab.compiler.desired(host)) for host in lab.hosts}
    assert held == lab.compiler.recompute() == lab.installed


def test_lost_host_owes_nothing_of_what_was_sent(lab: Lab) -> None:
    """A port that waits for a host stops waiting when that host is lost, and its move goes on."""
    ready(lab)
    lab.change(Activate(A, H2))
    lab.confirm(H2)
    lab.confirm(H1)
    lab.confirm(H1)
    lab.confirm(H2)
    assert phase(lab) is Phase.REPOINTING
    lab.change(HostLost(H3))
    assert phase(lab) is Phase.GRACE


def test_a_port_made_again_does_not_inherit_waits(lab: Lab) -> None:
    """A port that is deleted while hosts owe it a confirmation is owed nothing when it is made again."""
    lab.change(CreatePort("new", "red", "red", mac=Mac(77), host=H1))
    lab.change(DeletePort("new"))
    lab.change(CreatePort("new", "red", "red", mac=Mac(77)))
    assert lab.world.pending("new") == frozenset()
    lab.settle()
    assert lab.world.pending("new") == frozenset()


def test_deleting_a_port_forgets_its_leftovers(lab: Lab) -> None:
    """A stale tap of a deleted port is no longer remembered as such."""
    ready(lab)
    lab.do(Unbind(A, H2), DeletePort(A))
    assert lab.world.moves()[-1].stale is None


def test_moves_resume_after_a_restart(lab: Lab) -> None:
    """A restored world goes on with a move where it stood, once hosts have reported and confirmed."""
    ready(lab)
    lab.change(Activate(A, H2))
    lab.confirm(H2)
    assert phase(lab) is Phase.HAIRPINNING
    assert lab.world.next_deadline() is None
    deleted = Document("network", "gone", None)
    world = World.restore([*lab.world.documents(), deleted], lab.now)
    world.apply(Tick(), lab.now)
    assert world.move_of(A).phase is Phase.HAIRPINNING
    taps = dict.fromkeys(lab.hosts, ())
    for (host, port_id), ofport in lab.world.attachments.items():
        taps[host] += ((port_id, ofport),)
    for host in lab.hosts:
        world.apply(Sent(world.apply(HostSnapshot(host, taps[host]), lab.now).waits), lab.now)
    assert world.move_of(A).phase is Phase.HAIRPINNING
    for host in lab.hosts:
        assert world.unconfirmed_hosts() >= {host}
        world.apply(Confirmed(host, 1), lab.now)
    assert world.move_of(A).phase in {Phase.REPOINTING, Phase.GRACE}


def test_only_so_many_moves_are_remembered(lab: Lab) -> None:
    """Of the moves that have ended the latest 200 are kept, and dropped from the store as well."""
    for _ in range(205):
        lab.do(BindPassive(A, H2), Unbind(A, H2))
    assert [move.number for move in lab.world.moves()] == list(range(6, 206))
    assert sum(kind == "move" for kind, _ in lab.stored) == 200


def test_lost_host_is_not_waited_for(lab: Lab) -> None:
    """When a host is lost, ports no longer wait for it; its own ports are DOWN until it is back and has confirmed."""
    lab.change(CreatePort("new", "red", "red", mac=Mac(77), host=H1))
    lab.change(Plugged(H1, "new", 50))
    lab.confirm(H1)
    lab.confirm(H2)
    lab.change(HostLost(H3))
    assert lab.world.status("new") is PortStatus.ACTIVE
    assert lab.world.is_lost(H3)
    assert lab.world.status("red-d") is PortStatus.DOWN
    lab.change(HostBack(H3))
    assert lab.world.status("red-d") is PortStatus.BUILD
    lab.confirm(H3)
    assert lab.world.status("red-d") is PortStatus.ACTIVE


def test_statuses_are_told_when_they_change(lab: Lab) -> None:
    """A change of status is told once."""

    def told(outcome: Outcome) -> list[str]:
        return [notice.detail for notice in outcome.notices if notice.kind is NoticeKind.PORT_STATUS]

    assert told(lab.change(Unplugged(H1, A))) == ["DOWN"]
    assert told(lab.change(Unplugged(H1, A))) == []


def test_directory_follows_the_move(lab: Lab) -> None:
    """The directory answers where all other hosts send to, for MAC and IP, in one network only."""
    world = lab.world
    vni, port = world.network("red").vni, world.port(A)
    addresses: list[Mac | IpAddress] = [port.mac, *(fixed.ip for fixed in port.fixed_ips)]
    for address in addresses:
        location = world.locate(vni, address)
        assert (location.port_id, location.host, location.la) == (A, H1, world.hosts[H1].la)
    ready(lab)
    lab.do(Activate(A, H2))
    assert world.locate(vni, port.mac).host == H2
    assert world.locate(vni, Mac(0x02_99_00_00_00_00)) is None
    assert world.locate(type(vni)(999), port.mac) is None
    lab.do(CreatePort("loose", "red", "red", mac=Mac(78)))
    assert world.locate(vni, Mac(78)).la is None


def test_diagram_shows_every_arrow() -> None:
    """The diagram in the documentation has every phase and every arrow of the table."""
    drawn = diagram()
    assert drawn.startswith("stateDiagram-v2\n")
    assert all(f"{arrow.before} --> {arrow.after}: {arrow.because}" in drawn for arrow in ARROWS)
    assert all(f"note right of {name}: {doing.meaning}" in drawn for name, doing in PHASES.items())
