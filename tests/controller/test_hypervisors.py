"""A confirmation is heard at once, except where a machine is just being moved to or from the host."""

from __future__ import annotations

import pytest

from controller.events import MessageConfirmed, PacketArrived
from controller.hypervisors import Hypervisors
from overlay.changes import CreatePort, Outcome, Wait
from overlay.trunks.changes import CreateTrunk
from overlay.trunks.values import SubPort
from overlay.values import Mac
from tests.controller.switches import Later
from tests.model.lab import Lab
from tests.overlay.conftest import lab as _lab
from tests.overlay.test_packets import H1

A = "red-a"
lab = _lab


@pytest.fixture
def hypervisors(lab: Lab) -> tuple[Hypervisors, Later, list[object]]:
    """The acting side of a world whose switches are in memory."""
    later, heard = Later(), list[object]()
    return Hypervisors(lab.world, spawn=later, sink=heard.append, lost_after=30.0), later, heard


def confirmation(lab: Lab, host: str) -> MessageConfirmed:
    """A barrier reply of a host's switch."""
    return MessageConfirmed(lab.world.hosts[host].datapath_id, 1)


def test_a_frame_is_its_lanes(lab: Lab, hypervisors: tuple) -> None:
    """What was handed up has lost its tag: whose it is tells the lane, which of a plain tap is its number."""
    acting, _, _ = hypervisors
    lab.do(CreatePort("sub", "red", "red", mac=Mac(9)), CreateTrunk("t", "red", A, sub_ports=(SubPort("sub", 7),)))
    tap, sub = lab.world.plug_of(H1, A), lab.world.plug_of(H1, "sub")
    switch = lab.world.hosts[H1].datapath_id
    for lane, name in ((tap.lane, A), (0, A), (sub.lane, "sub")):
        assert acting.speaker(PacketArrived(switch, tap.ofport, 0, b"", lane)) == (H1, name)
    assert acting.speaker(PacketArrived(switch, 1, 0, b"")) is None


def test_a_later_part_waits_for_what_an_earlier_one_sent(lab: Lab, hypervisors: tuple) -> None:
    """A port whose flows a host was sent in an earlier part waits for that, unless the host has confirmed it by now."""
    acting, _, _ = hypervisors
    network = lab.world.port(A).network_id
    made = lab.world.apply(CreatePort("new", "red", network, mac=Mac(0x020000000077), host=H1), 0.0)
    assert Wait(H1, "new") in made.waits
    first, _ = acting.refresh(Outcome(dirty=made.dirty), partly=True)
    sent = dict(first.generations)
    assert H1 in sent
    rest = Outcome(waits=made.waits)
    later, _ = acting.refresh(rest, partly=True)
    assert dict(later.generations) == {host: sent[host] for host in {wait.host for wait in made.waits} & sent.keys()}
    for host, ticket in sent.items():
        acting.channel(host).confirm(ticket)
    assert acting.refresh(rest, partly=True)[0].generations == ()
