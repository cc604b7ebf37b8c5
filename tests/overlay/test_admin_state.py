"""What is administratively down neither sends nor is sent to; the rest of the network does not notice."""

from __future__ import annotations

import pytest

from overlay.changes import (
    Activate,
    BindPassive,
    CreateNetwork,
    CreatePort,
    NoticeKind,
    Plugged,
    Unit,
    UnitKind,
    UpdateNetwork,
    UpdatePort,
)
from overlay.moves import Phase
from overlay.tables.names import CookieKind
from overlay.values import HostName, Mac, PortStatus
from overlay.world import World
from tests.model import packets
from tests.model.lab import Lab, places
from tests.model.switch import run
from tests.overlay.test_packets import H1, H2, H3, HOME

A = "red-a"
OTHERS = ["b", "c", "d"]


@pytest.fixture
def down(lab: Lab) -> Lab:
    """Red's port a (h1) is down."""
    lab.do(UpdatePort(A, admin_up=False))
    return lab


@pytest.mark.parametrize("target", OTHERS)
def test_a_port_that_is_down_sends_nothing(down: Lab, target: str) -> None:
    """Neither to a port, nor to all, nor does it get an answer."""
    mac, ip = down.mac(A), down.ip4(A)
    for packet in (
        down.ipv4(A, f"red-{target}"),
        {**down.ipv4(A, f"red-{target}"), "eth_dst": packets.BROADCAST},
        packets.arp(mac, ip, down.ip4(f"red-{target}")),
        packets.rarp(mac),
    ):
        assert not run(down.installed[H1].values(), packet, down.world.attachments[H1, A]).emissions


@pytest.mark.parametrize("source", OTHERS)
def test_a_port_that_is_down_is_sent_nothing(down: Lab, source: str) -> None:
    """What is for it is dropped where it is sent, and a flood reaches all but it."""
    host, port = HOME[source], f"red-{source}"
    assert down.send(host, port, down.ipv4(port, A)) == []
    assert down.last_met(host, port, down.ipv4(port, A)) is CookieKind.ADDRESS
    flood = {**down.ipv4(port, A), "eth_dst": packets.BROADCAST}
    assert places(down.send(host, port, flood)) == sorted((HOME[n], f"red-{n}") for n in OTHERS if n != source)


def test_nobody_answers_for_a_port_that_is_down(down: Lab) -> None:
    """Its addresses are asked for in vain, as if nobody had them."""
    asked = packets.arp(down.mac("red-c"), down.ip4("red-c"), down.ip4(A))
    assert places(down.send(H2, "red-c", asked)) == [(H1, "red-b"), (H3, "red-d")]
    asked = packets.solicitation(down.mac("red-c"), down.ip6("red-c"), down.ip6(A))
    assert all(arrival.packet["icmpv6_type"] == 135 for arrival in down.send(H2, "red-c", asked))


def test_others_do_not_notice(down: Lab) -> None:
    """Ports that are up go on, and so do other networks on the same hosts."""
    assert places(down.send(H1, "red-b", down.ipv4("red-b", "red-c"))) == [(H2, "red-c")]
    assert places(down.send(H1, "blue-a", down.ipv4("blue-a", "blue-b"))) == [(H1, "blue-b")]


def test_a_network_that_is_down_carries_nothing(lab: Lab) -> None:
    """None of its ports sends or is sent to; other networks go on; what comes by the tunnel goes nowhere."""
    lab.do(UpdateNetwork("red", admin_up=False))
    for source in "abcd":
        host, port = HOME[source], f"red-{source}"
        assert lab.world.status(port) is PortStatus.DOWN
        assert not lab.world.is_up(port)
        for packet in (
            lab.ipv4(port, "red-a"),
            packets.arp(lab.mac(port), lab.ip4(port), lab.ip4("red-b")),
            {**lab.ipv4(port, "red-a"), "eth_dst": packets.BROADCAST},
        ):
            assert not run(lab.installed[host].values(), packet, lab.world.attachments[host, port]).emissions
    flood = {**lab.ipv4("red-a", "red-b"), "tunnel_id": 100, "eth_dst": packets.BROADCAST}
    assert not run(lab.installed[H2].values(), flood, 1).emissions
    assert places(lab.send(H1, "blue-a", lab.ipv4("blue-a", "blue-c"))) == [(H2, "blue-c")]
    lab.do(UpdateNetwork("red", admin_up=True))
    assert lab.world.status(A) is PortStatus.ACTIVE
    assert places(lab.send(H1, A, lab.ipv4(A, "red-c"))) == [(H2, "red-c")]


def test_both_have_to_be_up(down: Lab) -> None:
    """A network that comes up again leaves down what is down by itself."""
    down.do(UpdateNetwork("red", admin_up=False), UpdateNetwork("red", admin_up=True))
    assert [down.world.status(f"red-{name}") for name in "ab"] == [PortStatus.DOWN, PortStatus.ACTIVE]
    assert [down.world.is_up(f"red-{name}") for name in "ab"] == [False, True]


def test_status_follows_the_confirmations(lab: Lab) -> None:
    """DOWN at once; up again it is BUILD until every host of the network has confirmed, then ACTIVE."""
    outcome = lab.change(UpdatePort(A, admin_up=False))
    assert [(notice.kind, notice.detail) for notice in outcome.notices] == [(NoticeKind.PORT_STATUS, "DOWN")]
    assert lab.world.status(A) is PortStatus.DOWN
    lab.settle()
    assert lab.world.status(A) is PortStatus.DOWN
    lab.change(UpdatePort(A, admin_up=True))
    assert (lab.world.status(A), lab.world.pending(A)) == (PortStatus.BUILD, {H1, H2, H3})
    for host, status in ((H1, PortStatus.BUILD), (H3, PortStatus.BUILD), (H2, PortStatus.ACTIVE)):
        lab.confirm(host)
        assert lab.world.status(A) is status


def test_exactly_what_reads_it_is_compiled_anew(lab: Lab) -> None:
    """One port: its program, the flood of its host, and its address on each host of the network; nothing else."""
    wanted = {
        Unit(H1, UnitKind.PORT, A),
        Unit(H1, UnitKind.NETWORK, "red"),
        *(Unit(host, UnitKind.ADDRESS, A) for host in (H1, H2, H3)),
    }
    for up in (False, True):
        assert lab.change(UpdatePort(A, admin_up=up)).dirty == wanted
        lab.settle()
        assert not lab.change(UpdatePort(A, admin_up=up)).dirty
    whole = lab.change(UpdateNetwork("red", admin_up=False)).dirty
    assert {unit.key for unit in whole} == {"red", *(f"red-{name}" for name in "abcd")}
    lab.settle()
    assert not lab.change(UpdatePort(A, admin_up=False)).dirty


def test_a_port_may_be_made_down(lab: Lab) -> None:
    """It gets nothing until it is brought up, and is bound as any other."""
    lab.do(CreatePort("red-e", "red", "red", mac=Mac(99), admin_up=False), Plugged(H2, "red-e", 50))
    assert (lab.world.port("red-e").host, lab.world.status("red-e")) == (H2, PortStatus.DOWN)
    assert lab.send(H1, A, lab.ipv4(A, "red-e")) == []
    lab.do(UpdatePort("red-e", admin_up=True))
    assert places(lab.send(H1, A, lab.ipv4(A, "red-e"))) == [(H2, "red-e")]


def test_a_port_may_be_made_in_a_network_that_is_down(lab: Lab) -> None:
    """It comes up with the network."""
    lab.do(CreateNetwork("dark", "red", admin_up=False), CreatePort("d", "red", "dark", mac=Mac(5), host=H1))
    lab.plug(H1, "d")
    assert lab.world.status("d") is PortStatus.DOWN
    lab.do(UpdateNetwork("dark", admin_up=True))
    assert lab.world.status("d") is PortStatus.ACTIVE


@pytest.mark.parametrize("when", ["before", "prepared", "switching"])
def test_a_port_moves_while_it_is_down(lab: Lab, when: str) -> None:
    """Its move goes the way of any other, in silence; at the target it comes up."""
    if when == "before":
        lab.do(UpdatePort(A, admin_up=False))
    lab.do(BindPassive(A, H2))
    lab.plug(H2, A)
    if when == "prepared":
        lab.do(UpdatePort(A, admin_up=False))
    lab.change(Activate(A, H2))
    if when == "switching":
        lab.change(UpdatePort(A, admin_up=False))
    lab.settle()
    lab.now += 2.0
    lab.do(UpdatePort(A, name="time has passed"))
    assert lab.world.moves()[-1].phase is Phase.SETTLED
    assert (lab.world.port(A).host, lab.world.status(A)) == (H2, PortStatus.DOWN)
    assert lab.send(H3, "red-d", lab.ipv4("red-d", A)) == []
    lab.do(UpdatePort(A, admin_up=True))
    assert lab.world.status(A) is PortStatus.ACTIVE
    assert places(lab.send(H3, "red-d", lab.ipv4("red-d", A))) == [(H2, A)]


def test_an_unbound_port_may_be_down(lab: Lab) -> None:
    """Unbinding and binding change what is done for it while it is down, too."""
    lab.do(UpdatePort(A, admin_up=False))
    lab.do(UpdatePort(A, host=None))
    frame = lab.ipv4("red-c", A)
    assert len(lab.send(H2, "red-c", frame)) == 2  # nobody is known by that address: flooded
    lab.do(UpdatePort(A, host=H3))
    assert lab.send(H2, "red-c", frame) == []


def test_a_restored_world_knows_what_is_down(down: Lab) -> None:
    """Admin states survive a restart."""
    down.do(UpdateNetwork("blue", admin_up=False))
    again = World.restore(down.world.documents(), 9.0)
    assert [again.is_up(port) for port in ("red-a", "red-b", "blue-a")] == [False, True, False]
    assert again.footing(A).hosts == (HostName("h1"),)
    assert again.footing(A).pointer is None
