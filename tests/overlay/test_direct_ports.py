"""A machine that is wired to an edge switch is in its network like one that a hypervisor plugs."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from overlay.changes import (
    BindPassive,
    CreatePort,
    DeletePort,
    HostSeen,
    HostSnapshot,
    Plugged,
    UpdatePort,
)
from overlay.direct.changes import Attach, EdgeSnapshot, Unwired, Wired
from overlay.direct.values import check_interface, check_vid
from overlay.refusals import Conflict, Invalid, Refusal
from overlay.tables.names import CookieKind
from overlay.trunks.changes import CreateTrunk
from overlay.trunks.values import SubPort
from overlay.values import DatapathId, Host, HostKind, HostName, LocalLink, Mac, PortStatus, VnicType
from overlay.world import World
from tests.model import packets
from tests.model.lab import Lab, places
from tests.overlay.test_packets import H1, H2, HOME

TOR, ROT = HostName("tor1"), HostName("tor2")
IRON = "red-iron"
VID = 100
METAL, DIRECT = VnicType.BAREMETAL, VnicType.DIRECT


@pytest.fixture
def wired(lab: Lab) -> Lab:
    """Two edge switches; red's port iron is VLAN 100 of cable e1 of the first, blue's port iron VLAN 200 of it."""
    for number, name in enumerate((TOR, ROT), 8):
        lab.hosts.append(name)
        lab.do(HostSeen(Host(name, IPv4Address(f"10.0.{number}.250"), DatapathId(number), 1, kind=HostKind.EDGE)))
        lab.do(EdgeSnapshot(name, (("e1", 5),)))
    for tenant, vid in (("red", VID), ("blue", 200)):
        wish = Attach(METAL, TOR, "e1", vid)
        lab.do(CreatePort(f"{tenant}-iron", tenant, tenant, mac=Mac(0x02_00_00_00_00_77), attach=wish))
    return lab


def status(lab: Lab) -> tuple[PortStatus, HostName | None]:
    """What is shown of the red server's port."""
    return lab.world.status(IRON), lab.world.ports[IRON].host


def test_it_talks_with_its_network_by_its_vlan(wired: Lab) -> None:
    """Frames with its tag are its network's and no other's, and what is for it comes out of its cable with that tag."""
    assert status(wired) == (PortStatus.ACTIVE, TOR)
    for name, host in HOME.items():
        other = f"red-{name}"
        assert places(wired.send(TOR, IRON, wired.ipv4(IRON, other))) == [(host, other)]
        assert places(wired.send(host, other, wired.ipv4(other, IRON))) == [(TOR, IRON)]
    everybody = {**wired.ipv4(IRON, "red-a"), "eth_dst": packets.BROADCAST}
    assert places(wired.send(TOR, IRON, everybody)) == [(host, f"red-{name}") for name, host in HOME.items()]


def test_two_of_one_cable_and_network_reach_each_other(wired: Lab) -> None:
    """Two VLANs of a cable in one network, or a VLAN and what has no tag, are turned round by the edge switch."""
    for name, vid in (("steel", 0), ("tin", 300)):
        wired.do(CreatePort(f"red-{name}", "red", "red", attach=Attach(DIRECT, TOR, "e1", vid), mac=Mac(500 + vid)))
    for one, other in (("steel", "tin"), ("tin", "iron"), ("iron", "steel")):
        assert places(wired.send(TOR, f"red-{one}", wired.ipv4(f"red-{one}", f"red-{other}"))) == [
            (TOR, f"red-{other}")
        ]


def test_the_edge_switch_refuses_what_is_not_its_own(wired: Lab) -> None:
    """The edge switch drops and counts what a server sends by an address that its port has not."""
    lie = {**wired.ipv4(IRON, "red-a"), "eth_src": 0x02_00_00_00_00_99}
    assert wired.send(TOR, IRON, lie) == []
    assert wired.last_met(TOR, IRON, lie) is CookieKind.SPOOFED


def test_it_is_up_while_its_cable_is(wired: Lab) -> None:
    """It is DOWN while its cable leads nowhere, and ACTIVE again when it is back, by whatever OpenFlow port."""
    wired.do(Unwired(TOR, "e1"))
    assert status(wired) == (PortStatus.DOWN, TOR)
    wired.do(Wired(TOR, "e2", 5), Wired(TOR, "e1", 6))
    assert status(wired) == (PortStatus.ACTIVE, TOR)
    assert places(wired.send(H1, "red-a", wired.ipv4("red-a", IRON))) == [(TOR, IRON)]
    wired.do(EdgeSnapshot(TOR, ()))
    assert status(wired) == (PortStatus.DOWN, TOR)
    wired.do(EdgeSnapshot(TOR, (("e1", 7),)))
    assert status(wired) == (PortStatus.ACTIVE, TOR)
    wired.do(HostSnapshot(TOR, ()))
    assert status(wired) == (PortStatus.DOWN, TOR)


def test_another_place_is_unplugging_and_plugging(wired: Lab) -> None:
    """Bound to another edge switch or VLAN it is there at once and nowhere else; unbound it is nowhere."""
    wired.do(UpdatePort(IRON, attach=Attach(METAL, str(DatapathId(9)), "5")))
    assert status(wired) == (PortStatus.ACTIVE, ROT)
    assert wired.world.ports[IRON].local_link == LocalLink(ROT, "e1")
    assert places(wired.send(H1, "red-a", wired.ipv4("red-a", IRON))) == [(ROT, IRON)]
    wired.do(UpdatePort(IRON, attach=Attach(METAL, TOR, "e1", 7, "0000:06:00.1", "physnet")))
    assert status(wired) == (PortStatus.ACTIVE, TOR)
    wired.do(UpdatePort(IRON, host=TOR), UpdatePort(IRON, name="still there"))
    assert status(wired) == (PortStatus.ACTIVE, TOR)
    wired.do(UpdatePort(IRON, host=None))
    assert status(wired) == (PortStatus.DOWN, None)
    assert wired.world.ports[IRON].local_link is None
    wired.do(UpdatePort(IRON, attach=Attach(DIRECT)))
    assert status(wired) == (PortStatus.DOWN, None)


def test_a_machine_can_come_from_a_hypervisor_and_go_back(wired: Lab) -> None:
    """A port that a hypervisor plugs can be wired instead; unwired, it is where it is still plugged."""
    wired.do(UpdatePort("red-a", attach=Attach(DIRECT, TOR, "e1", 9)))
    assert wired.world.ports["red-a"].host == TOR
    assert places(wired.send(H2, "red-c", wired.ipv4("red-c", "red-a"))) == [(TOR, "red-a")]
    wired.do(Plugged(H2, "red-a", 90))
    assert not wired.world.move_of("red-a"), "a tap of a wired port begins no move"
    wired.do(UpdatePort("red-a", attach=Attach()))
    assert wired.world.ports["red-a"].host in {H1, H2}
    wired.do(UpdatePort("red-b", attach=Attach()))
    assert wired.world.ports["red-b"].host == H1


def test_it_outlives_a_restart_and_its_deletion_leaves_nothing(wired: Lab) -> None:
    """Documents hold its place; when it is deleted, another port can have it."""
    again = World.restore(wired.world.documents(), 0.0)
    again.apply(EdgeSnapshot(TOR, (("e1", 5),)), 0.0)
    assert again.ports == wired.world.ports
    assert again.hosts == wired.world.hosts
    assert again.plug_of(TOR, IRON) is not None
    assert again.cables_told(TOR) == wired.world.cables_told(TOR) == (("e1", 5),)
    wired.do(DeletePort(IRON))
    assert wired.world.port_at(TOR, 5, VID) is None
    wired.do(CreatePort("red-new", "red", "red", mac=Mac(900), attach=Attach(METAL, TOR, "e1", VID)))
    assert wired.world.status("red-new") is PortStatus.ACTIVE


@pytest.mark.parametrize(
    ("change", "kind", "text"),
    [
        (UpdatePort("red-a", attach=Attach(VnicType.NORMAL, TOR, "e1")), Invalid, "hypervisor"),
        (UpdatePort(IRON, attach=Attach(METAL, "h1", "e1")), Invalid, "h1 is a hypervisor"),
        (UpdatePort(IRON, attach=Attach(METAL, "tor9", "e1")), Invalid, "no edge switch tor9"),
        (UpdatePort(IRON, attach=Attach(METAL, TOR, "77")), Invalid, "OpenFlow number 77"),
        (UpdatePort(IRON, attach=Attach(METAL, TOR, "")), Invalid, "name or number"),
        (UpdatePort(IRON, attach=Attach(METAL, TOR, "e1", 4095)), Invalid, "4095 is outside"),
        (UpdatePort(IRON, attach=Attach(METAL, TOR, "e1", 200)), Conflict, "blue-iron's already"),
        (UpdatePort(IRON, attach=Attach(METAL), host=H1), Invalid, "without local_link_information"),
        (UpdatePort(IRON, host=H1), Invalid, "h1 is not tor1"),
        (UpdatePort("red-a", host=TOR), Invalid, "tor1 is an edge switch"),
        (CreatePort("new", "red", "red", attach=Attach(METAL, TOR, "e1", VID)), Conflict, "red-iron's already"),
        (CreatePort("new", "red", "red", host=TOR), Invalid, "tor1 is an edge switch"),
        (BindPassive("red-a", TOR), Invalid, "tor1 is an edge switch"),
        (BindPassive(IRON, H1), Conflict, "another binding:profile moves it"),
        (CreateTrunk("trunk", "red", IRON), Conflict, "wired to an edge switch"),
        (CreateTrunk("trunk", "red", "red-a", sub_ports=(SubPort(IRON, 5),)), Conflict, "wired to an edge switch"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    wired: Lab, change: UpdatePort, kind: type[Refusal], text: str
) -> None:
    """A place that is unknown, another's or no place at all is refused in words that name it."""
    before = wired.world.documents()
    with pytest.raises(kind, match=text):
        wired.world.apply(change, 0.0)
    assert wired.world.documents() == before


def test_what_moves_or_is_of_a_trunk_is_not_wired(wired: Lab) -> None:
    """A port that is on its way between hypervisors, or of a trunk, is not wired meanwhile."""
    wired.do(BindPassive("red-c", H1))
    wired.do(CreateTrunk("trunk", "red", "red-d"))
    for port_id, kind in (("red-c", "PortMoveInProgress"), ("red-d", "TrunkPortInUse")):
        with pytest.raises(Conflict) as refused:
            wired.world.apply(UpdatePort(port_id, attach=Attach(METAL, TOR, "e1", 8)), 0.0)
        assert refused.value.kind == kind


@pytest.mark.parametrize("text", ["", "a/b", "a b", "x" * 16, "a\n"])
def test_no_interface_is_called_so(text: str) -> None:
    """What Linux would not take for an interface's name is refused."""
    with pytest.raises(Invalid, match="port_id"):
        check_interface(text, "port_id")
    assert check_interface("enp6s0f0v12", "port_id") == "enp6s0f0v12"
    assert [check_vid(vid, "vlan") for vid in (0, 1, 4094)] == [0, 1, 4094]
