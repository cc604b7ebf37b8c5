"""A port gets another MAC or other addresses: whoever reads them follows, and nobody else."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from overlay.changes import (
    BindPassive,
    Change,
    CreateSubnet,
    DeletePort,
    DeleteSubnet,
    FixedIpRequest,
    Unit,
    UnitKind,
    UpdatePort,
)
from overlay.refusals import Refusal
from overlay.values import FixedIp, Mac, PortStatus, Vni
from tests.model import packets
from tests.model.lab import Lab, places
from tests.overlay.test_packets import H1, H2, H3

A = "red-a"
NEW = ip_address("10.0.0.77")
RED = Vni(100)


def wishes(*texts: str) -> tuple[FixedIpRequest, ...]:
    """Wishes for exact addresses, or for any of a subnet."""
    return tuple(FixedIpRequest(ip=ip_address(t)) if t[0].isdigit() else FixedIpRequest(t) for t in texts)


def addresses(lab: Lab, port: str = A) -> list[str]:
    """A port's addresses."""
    return [str(fixed.ip) for fixed in lab.world.port(port).fixed_ips]


def test_the_directory_and_the_switches_follow(lab: Lab) -> None:
    """The new address is answered for, found and may be sent from; the old one is nobody's."""
    old = lab.ip4(A)
    lab.do(UpdatePort(A, fixed_ips=wishes("10.0.0.77")))
    assert lab.world.locate(RED, old) is None
    found = lab.world.locate(RED, NEW)
    assert found is not None
    assert (found.port_id, found.host) == (A, H1)
    (answer,) = lab.send(H2, "red-c", packets.arp(lab.mac("red-c"), lab.ip4("red-c"), lab.ip4(A)))
    assert (answer.port_id, answer.packet["arp_sha"]) == ("red-c", lab.mac(A))
    assert len(lab.send(H2, "red-c", packets.arp(lab.mac("red-c"), lab.ip4("red-c"), old))) == 3
    assert places(lab.send(H1, A, lab.ipv4(A, "red-c"))) == [(H2, "red-c")]
    assert lab.send(H1, A, {**lab.ipv4(A, "red-c"), "ipv4_src": int(old)}) == []


def test_exactly_what_reads_addresses_is_compiled_anew(lab: Lab) -> None:
    """The port's programs, on both hosts while it moves, and its address on each host; ACTIVE when all confirmed."""
    lab.do(BindPassive(A, H2))
    lab.plug(H2, A)
    outcome = lab.change(UpdatePort(A, fixed_ips=wishes("10.0.0.77")))
    assert outcome.dirty == {
        *(Unit(host, UnitKind.PORT, A) for host in (H1, H2)),
        *(Unit(host, UnitKind.ADDRESS, A) for host in (H1, H2, H3)),
    }
    assert (lab.world.status(A), lab.world.pending(A)) == (PortStatus.BUILD, {H1, H2, H3})
    lab.settle()
    assert lab.world.status(A) is PortStatus.ACTIVE
    assert not lab.change(UpdatePort(A, fixed_ips=wishes("10.0.0.77"))).dirty


def test_a_port_that_is_down_or_nowhere_is_readdressed_in_silence(lab: Lab) -> None:
    """No switch reads its addresses."""
    lab.do(UpdatePort(A, admin_up=False))
    assert not lab.change(UpdatePort(A, fixed_ips=wishes("10.0.0.77"))).dirty
    lab.do(UpdatePort("red-b", host=None))
    assert not lab.change(UpdatePort("red-b", fixed_ips=wishes("10.0.0.78"))).dirty


def test_own_addresses_are_kept(lab: Lab) -> None:
    """Naming an own address keeps it, and so does a wish for any of its subnet; only more take new ones."""
    assert addresses(lab) == ["10.0.0.2", "2001:db8::2"]
    for asked, got in (
        (wishes("red-4"), ["10.0.0.2"]),
        (wishes("red-4", "10.0.0.2"), ["10.0.0.6", "10.0.0.2"]),
        (wishes("red-4", "red-4", "red-6"), ["10.0.0.6", "10.0.0.2", "2001:db8::6"]),
        (wishes("10.0.0.2", "red-4"), ["10.0.0.2", "10.0.0.6"]),
        ((), []),
    ):
        lab.do(UpdatePort(A, fixed_ips=asked))
        assert addresses(lab) == got
    assert lab.world.used_addresses("red-4") == 3


def test_what_was_given_up_is_handed_out_last(lab: Lab) -> None:
    """An address comes back after all that nobody ever had, since neighbours still remember who had it."""
    lab.do(CreateSubnet("tiny", "red", "red", ip_network("10.1.0.0/29"), gateway_ip=None))
    for number in range(1, 7):
        lab.do(UpdatePort(A, fixed_ips=wishes("10.0.0.2")), UpdatePort(A, fixed_ips=wishes("tiny")))
        assert addresses(lab) == [f"10.1.0.{number}"]
    lab.do(UpdatePort("red-b", fixed_ips=wishes("tiny")))
    assert addresses(lab, "red-b") == ["10.1.0.1"]
    lab.do(DeletePort("red-b"), DeletePort(A), DeleteSubnet("tiny"))


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        (UpdatePort(A, fixed_ips=wishes("10.0.0.3")), 409, "IpAddressInUse"),
        (UpdatePort(A, fixed_ips=wishes("10.0.0.9", "10.0.0.9")), 400, "InvalidInput"),
        (UpdatePort(A, fixed_ips=wishes("blue-4")), 400, "InvalidInput"),
        (UpdatePort(A, fixed_ips=wishes("none")), 404, "SubnetNotFound"),
        (UpdatePort(A, fixed_ips=wishes("10.0.1.9")), 400, "InvalidIpForNetwork"),
        (UpdatePort(A, mac=Mac(99)), 409, "PortBound"),
    ],
)
def test_refused(lab: Lab, change: Change, status: int, kind: str) -> None:
    """What another port has, what no subnet has, and the MAC of a bound port: refused, and nothing changes."""
    before = lab.world.documents()
    with pytest.raises(Refusal) as refusal:
        lab.do(change)
    assert (refusal.value.status, refusal.value.kind) == (status, kind)
    assert lab.world.documents() == before


def test_an_unbound_port_gets_another_mac(lab: Lab) -> None:
    """When it is bound again, its new MAC is found, and the old one is free for others."""
    old = lab.mac(A)
    lab.do(UpdatePort(A, mac=old))
    lab.do(UpdatePort(A, host=None))
    with pytest.raises(Refusal) as refusal:
        lab.do(UpdatePort(A, mac=lab.mac("red-b")))
    assert refusal.value.kind == "MacAddressInUse"
    lab.do(UpdatePort(A, mac=Mac(0x02_00_00_00_00_99), host=H3))
    lab.plug(H3, A)
    assert places(lab.send(H2, "red-c", lab.ipv4("red-c", A))) == [(H3, A)]
    assert places(lab.send(H3, A, lab.ipv4(A, "red-c"))) == [(H2, "red-c")]
    assert lab.world.locate(RED, old) is None
    lab.do(UpdatePort("red-b", host=None), UpdatePort("red-b", mac=old))
    found = lab.world.locate(RED, old)
    assert found is not None
    assert found.port_id == "red-b"
    assert lab.world.port(A).fixed_ips[0] == FixedIp("red-4", ip_address("10.0.0.2"))
