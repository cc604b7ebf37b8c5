"""At no moment of a move is a frame lost or doubled."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from ipaddress import IPv6Address

import pytest

from overlay.addressing import link_local
from overlay.changes import Activate, Announced, BindPassive, Plugged, Tick, Unplugged
from overlay.flow import Condition, ToController
from overlay.moves import SWITCHING, Phase
from overlay.tables.names import ANNOUNCEMENTS_METER, IN_LANE
from overlay.values import HostName
from tests.model import packets
from tests.model.lab import Lab, places
from tests.overlay.test_packets import H1, H2, H3, HOME

MOVING = "red-a"
OTHERS = "bcd"


def deliveries(lab: Lab) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Where a unicast frame for the moving VM arrives, from every other port."""
    for name in OTHERS:
        yield name, places(lab.send(HOME[name], f"red-{name}", lab.ipv4(f"red-{name}", MOVING)))


def begin(lab: Lab, target: HostName) -> None:
    """Prepare a move of the VM from h1, up to READY."""
    lab.do(BindPassive(MOVING, target))
    lab.plug(target, MOVING)
    assert lab.world.move_of(MOVING).phase is Phase.READY


def moments(lab: Lab, first: list[HostName]) -> Iterator[Phase]:
    """Every moment until GRACE: whenever one host has taken what was sent to it, hosts in this order."""
    yield lab.world.move_of(MOVING).phase
    while lab.queues:
        for host in sorted(lab.queues, key=first.index)[:1]:
            # let it through to the switch, look, and only then have it confirmed
            for _, delta in lab.queues[host]:
                lab.install(host, delta)
            generation = lab.queues.pop(host)[-1][0]
            yield lab.world.move_of(MOVING).phase
            lab.queues.setdefault(host, []).append((generation, type(delta)()))
            lab.confirm(host)
            yield lab.world.move_of(MOVING).phase


@pytest.mark.parametrize("target", [H2, H3])
@pytest.mark.parametrize("order", list(itertools.permutations([H1, H2, H3])))
def test_every_moment_delivers_exactly_once(lab: Lab, target: HostName, order: tuple[HostName, ...]) -> None:
    """From the first to the last moment of a move each frame to the VM arrives at one of its taps, once."""
    begin(lab, target)
    lab.change(Activate(MOVING, target))
    allowed = {"h1": MOVING, str(target): MOVING}
    phases = set()
    for phase in moments(lab, list(order)):
        phases.add(phase)
        for name, arrived in deliveries(lab):
            assert len(arrived) == 1, (phase, name, arrived)
            assert allowed[arrived[0][0]] == arrived[0][1]
    assert phases == SWITCHING
    lab.now += 1
    lab.do(Tick())
    assert lab.world.move_of(MOVING) is None
    assert lab.world.ports[MOVING].host == target
    assert [arrived for _, arrived in deliveries(lab)] == [[(target, MOVING)]] * 3


def test_before_activation_everything_goes_to_the_source(lab: Lab) -> None:
    """While the target is only prepared, frames arrive at the source and floods do not reach the passive tap."""
    begin(lab, H2)
    assert [arrived for _, arrived in deliveries(lab)] == [[(H1, MOVING)]] * 3
    flood = {**lab.ipv4("red-d", MOVING), "eth_dst": packets.BROADCAST}
    assert places(lab.send(H3, "red-d", flood)) == [(H1, MOVING), (H1, "red-b"), (H2, "red-c")]


def test_passive_port_is_silent_but_for_its_announcement(lab: Lab) -> None:
    """A passive tap can only tell the controller that the VM is there: by RARP, ARP about itself, or NA, metered."""
    begin(lab, H2)
    for name in OTHERS:
        assert lab.send(H2, MOVING, lab.ipv4(MOVING, f"red-{name}")) == []
    own, address = lab.mac(MOVING), lab.ip4(MOVING)
    assert lab.send(H2, MOVING, packets.arp(own, address, lab.ip4("red-b"))) == []
    assert lab.send(H2, MOVING, packets.rarp(lab.mac("red-b"))) == []
    assert lab.send(H2, MOVING, packets.solicitation(own, lab.ip6(MOVING), lab.ip6(MOVING))) == []
    address6 = lab.ip6(MOVING)
    assert lab.send(H2, MOVING, packets.advertisement(own, address6, lab.ip6("red-b"))) == []
    assert lab.send(H2, MOVING, packets.advertisement(own, address6, address6, lab.mac("red-b"))) == []
    for announcement in (
        packets.rarp(own),
        packets.arp(own, address, address),
        packets.advertisement(own, address6, address6),
        packets.advertisement(own, IPv6Address(link_local(own)), IPv6Address(link_local(own))),
    ):
        (arrival,) = lab.send(H2, MOVING, announcement)
        assert arrival.port_id == ""
    punted = [flow for flow in lab.installed[H2].values() if ToController() in flow.actions]
    lane = lab.world.footing(MOVING).tap_at(H2).lane
    from_there = [flow for flow in punted if Condition(IN_LANE, lane) in flow.match]
    assert [flow.meter for flow in from_there] == [ANNOUNCEMENTS_METER] * 4
    assert all(flow.meter is not None for flow in punted)


def test_target_may_send_when_it_has_turned_round(lab: Lab) -> None:
    """When both ends have confirmed, the VM reaches everybody from its target, once each."""
    begin(lab, H2)
    lab.change(Activate(MOVING, H2))
    for phase in moments(lab, [H1, H2, H3]):
        if phase is not Phase.HAIRPINNING:
            for name in OTHERS:
                arrived = places(lab.send(H2, MOVING, lab.ipv4(MOVING, f"red-{name}")))
                assert arrived == [(HOME[name], f"red-{name}")], phase


def test_source_may_send_until_the_end(lab: Lab) -> None:
    """What the source's tap still holds goes out in every phase, once."""
    begin(lab, H2)
    lab.change(Activate(MOVING, H2))
    for _ in moments(lab, [H1, H2, H3]):
        for name in OTHERS:
            arrived = places(lab.send(H1, MOVING, lab.ipv4(MOVING, f"red-{name}")))
            assert arrived == [(HOME[name], f"red-{name}")]


def test_floods_reach_the_vm_in_every_phase(lab: Lab) -> None:
    """A broadcast reaches the VM at the source before, at the target after, never at neither; others get it once."""
    begin(lab, H2)
    lab.change(Activate(MOVING, H2))
    for phase in moments(lab, [H1, H2, H3]):
        flood = {**lab.ipv4("red-d", MOVING), "eth_dst": packets.BROADCAST}
        arrived = places(lab.send(H3, "red-d", flood))
        at = [host for host, port_id in arrived if port_id == MOVING]
        assert len(set(at)) == len(at) >= 1, phase
        if phase is Phase.GRACE:
            assert at == [H2]
        assert [place for place in arrived if place[1] != MOVING] == [(H1, "red-b"), (H2, "red-c")]


def test_other_tenant_notices_nothing(lab: Lab) -> None:
    """No flow of another network changes by a move."""
    before = {host: {k: f for k, f in flows.items() if _is_blue(f)} for host, flows in lab.installed.items()}
    begin(lab, H2)
    lab.do(Activate(MOVING, H2))
    after = {host: {k: f for k, f in flows.items() if _is_blue(f)} for host, flows in lab.installed.items()}
    assert before == after


def _is_blue(flow: object) -> bool:
    return "value=200" in repr(flow)


def test_announcement_activates(lab: Lab) -> None:
    """A RARP from the target's tap switches over."""
    begin(lab, H2)
    lab.do(Announced(H2, MOVING))
    assert lab.world.move_of(MOVING).phase is Phase.GRACE


def test_early_announcement_is_remembered(lab: Lab) -> None:
    """An announcement that comes before the target is ready switches over as soon as it is."""
    lab.do(BindPassive(MOVING, H3))
    lab.change(Plugged(H3, MOVING, 9))
    lab.change(Announced(H3, MOVING))
    assert lab.world.move_of(MOVING).phase is Phase.PREPARING
    lab.settle()
    assert lab.world.move_of(MOVING).phase is Phase.GRACE


def test_source_unplugged_activates(lab: Lab) -> None:
    """When the source's tap goes while the target is ready, the target takes over."""
    begin(lab, H2)
    lab.do(Unplugged(H1, MOVING))
    assert lab.world.move_of(MOVING).phase is Phase.GRACE
    assert [arrived for _, arrived in deliveries(lab)] == [[(H2, MOVING)]] * 3
