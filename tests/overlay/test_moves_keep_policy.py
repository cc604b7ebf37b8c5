"""A move loses nothing of what the machine's groups allow, and lets nothing in that they do not, at any moment."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from ipaddress import ip_network

import pytest

from overlay.changes import Activate, BindPassive, CreateNetwork, CreatePort, CreateSubnet, Tick
from overlay.policy.changes import MakeDefaultGroup
from overlay.values import HostName, Mac, Vni
from tests.model.lab import Lab, places
from tests.overlay.test_moves_lose_nothing import MOVING, moments

H1, H2, H3 = (HostName(name) for name in ("h1", "h2", "h3"))
HOME = {MOVING: H1, "beside": H1, "there": H2, "stranger": H3, "third": H3}


@pytest.fixture
def lab() -> Lab:
    """Four ports in the default group of their project, on three hosts, and one in no group."""
    it = Lab(3)
    it.do(CreateNetwork("net", "p", vni=Vni(100)))
    it.do(CreateSubnet("four", "p", "net", ip_network("10.0.0.0/24")))
    it.do(MakeDefaultGroup("p", "default", ("out4", "out6", "in4", "in6")))
    for number, (name, host) in enumerate(HOME.items(), start=1):
        groups = () if name == "stranger" else ("default",)
        it.do(CreatePort(name, "p", "net", mac=Mac(number), host=host, security_groups=groups))
        it.plug(host, name)
    return it


def tcp(lab: Lab, source: str, target: str, ports: tuple[int, int]) -> dict[str, int]:
    """A segment of a connection."""
    return {**lab.ipv4(source, target), "ip_proto": 6, "tcp_src": ports[0], "tcp_dst": ports[1]}


def others() -> Iterator[str]:
    """Those who may talk to the machine that moves."""
    return (name for name in HOME if name not in {MOVING, "stranger"})


@pytest.mark.parametrize("order", list(itertools.permutations([H1, H2, H3])))
@pytest.mark.parametrize("target", [H2, H3])
def test_members_of_its_group_lose_nothing(lab: Lab, target: HostName, order: tuple[HostName, ...]) -> None:
    """At each moment a connection that was going on arrives once, and so does a new one, in both directions."""
    for name in others():
        assert places(lab.send(HOME[name], name, tcp(lab, name, MOVING, (1, 80)))) == [(H1, MOVING)]
    lab.do(BindPassive(MOVING, target))
    lab.plug(target, MOVING)
    lab.change(Activate(MOVING, target))
    for number, phase in enumerate(moments(lab, list(order)), start=2):
        for name, port in itertools.product(others(), (1, number)):
            arrived = lab.send(HOME[name], name, tcp(lab, name, MOVING, (port, 80)))
            assert [port_id for _, port_id in places(arrived)] == [MOVING], (phase, name)
            back = lab.send(H1, MOVING, tcp(lab, MOVING, name, (80, port)))
            assert places(back) == [(HOME[name], name)], (phase, name)
    lab.now += 1
    lab.do(Tick())
    for name in others():
        assert places(lab.send(target, MOVING, tcp(lab, MOVING, name, (80, 1)))) == [(HOME[name], name)]


def test_a_stranger_is_let_in_at_no_moment(lab: Lab) -> None:
    """Neither host lets in what no rule allows, though it comes by the hairpin; and each refuses it but once."""
    lab.do(BindPassive(MOVING, H2))
    lab.plug(H2, MOVING)
    lab.change(Activate(MOVING, H2))
    for _ in moments(lab, [H1, H2, H3]):
        assert lab.send(H3, "stranger", tcp(lab, "stranger", MOVING, (1, 80))) == []


@pytest.mark.parametrize("order", list(itertools.permutations([H1, H2, H3])))
@pytest.mark.parametrize("target", [H2, H3])
def test_what_a_stranger_answers_is_lost_at_no_moment(lab: Lab, target: HostName, order: tuple[HostName, ...]) -> None:
    """The answers to a machine that does not say a word arrive, each once, though no rule lets the other end in."""
    lab.do(CreatePort("open", "p", "net", mac=Mac(9), host=H3))
    lab.plug(H3, "open")
    asked = {**tcp(lab, MOVING, "open", (7, 80)), "tcp_flags": 0x10}
    answered = {**tcp(lab, "open", MOVING, (80, 7)), "tcp_flags": 0x10}
    assert places(lab.send(H1, MOVING, asked)) == [(H3, "open")]
    lab.do(BindPassive(MOVING, target))
    lab.plug(target, MOVING)
    lab.change(Activate(MOVING, target))
    for phase in moments(lab, list(order)):
        arrived = places(lab.send(H3, "open", answered))
        assert [port_id for _, port_id in arrived] == [MOVING], phase
    assert places(lab.send(target, MOVING, asked)) == [(H3, "open")]


def test_what_a_stranger_answers_but_by_tcp_waits(lab: Lab) -> None:
    """Of other protocols nobody can tell an answer from a beginning: it passes when the machine has spoken."""
    lab.do(CreatePort("open", "p", "net", mac=Mac(9), host=H3))
    lab.plug(H3, "open")
    head = {"ip_proto": 17, "udp_src": 7, "udp_dst": 80}
    asked, answered = lab.ipv4(MOVING, "open") | head, lab.ipv4("open", MOVING) | head
    answered |= {"udp_src": 80, "udp_dst": 7}
    assert places(lab.send(H1, MOVING, asked)) == [(H3, "open")]
    assert places(lab.send(H3, "open", answered)) == [(H1, MOVING)]
    lab.do(BindPassive(MOVING, H2))
    lab.plug(H2, MOVING)
    lab.do(Activate(MOVING, H2))
    assert lab.send(H3, "open", answered) == []
    assert places(lab.send(H2, MOVING, asked)) == [(H3, "open")]
    assert places(lab.send(H3, "open", answered)) == [(H2, MOVING)]
