"""A port that is a VLAN of another's tap is a port like any other, wherever that tap is."""

from __future__ import annotations

import itertools
from ipaddress import ip_network

import pytest

from overlay.changes import (
    Activate,
    Announced,
    BindPassive,
    Change,
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    DeletePort,
    DocumentKind,
    HostSnapshot,
    Plugged,
    SetQuota,
    SetTags,
    Tick,
    Unbind,
    Unplugged,
    UpdateNetwork,
    UpdatePort,
)
from overlay.direct.changes import Attach
from overlay.flow import VLAN_PRESENT
from overlay.index import LAST_LANE, VLAN_LANES
from overlay.moves import SWITCHING, Phase
from overlay.refusals import Conflict, Invalid, NotFound, Refusal, Stale
from overlay.tables.names import CookieKind
from overlay.trunks.changes import AddSubPorts, CreateTrunk, DeleteTrunk, RemoveSubPorts, UpdateTrunk
from overlay.trunks.values import SUB_PORT_OWNER, SubPort
from overlay.values import Countable, HostName, Mac, PortStatus, Vni, VnicType
from overlay.world import World
from tests.model import packets
from tests.model.lab import Lab, places
from tests.model.switch import Packet, run
from tests.overlay.test_moves_lose_nothing import begin, moments
from tests.overlay.test_packets import H1, H2, H3, HOME

PARENT = "red-a"
SUB = "green-a"
VID = 7


@pytest.fixture
def trunked(lab: Lab) -> Lab:
    """Red's port a (h1) is the parent of a trunk, whose VLAN 7 is green's port a; green's b, c, d are plain ports."""
    lab.do(CreateNetwork("green", "red", vni=Vni(300)))
    lab.do(CreateSubnet("green-4", "red", "green", ip_network("10.0.0.0/24")))
    lab.do(CreateSubnet("green-6", "red", "green", ip_network("2001:db8::/64")))
    lab.do(CreatePort(SUB, "red", "green", mac=Mac(0x02_00_00_00_00_01)))
    for name in "bcd":
        lab.do(CreatePort(f"green-{name}", "red", "green", mac=Mac(0x02_00_00_00_00_10 + ord(name))))
        lab.plug(HOME[name], f"green-{name}")
    lab.do(CreateTrunk("trunk", "red", PARENT, sub_ports=(SubPort(SUB, VID),)))
    return lab


def broadcast(packet: Packet) -> dict[str, int]:
    """The same for everybody."""
    return {**packet, "eth_dst": packets.BROADCAST}


# --- packets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["b", "c", "d"])
def test_a_sub_port_talks_with_its_network(trunked: Lab, name: str) -> None:
    """Tagged frames of the parent's tap reach the sub-port's network, and what is for it comes out with the tag."""
    other, host = f"green-{name}", HOME[name]
    assert places(trunked.send(H1, SUB, trunked.ipv4(SUB, other))) == [(host, other)]
    assert places(trunked.send(host, other, trunked.ipv4(other, SUB))) == [(H1, SUB)]
    assert places(trunked.send(H1, SUB, broadcast(trunked.ipv4(SUB, other)))) == [
        (HOME[each], f"green-{each}") for each in "bcd"
    ]
    assert (H1, SUB) in places(trunked.send(host, other, broadcast(trunked.ipv4(other, SUB))))


def test_the_parent_stays_in_its_own_network(trunked: Lab) -> None:
    """Frames without a tag are the parent's, as they were before there was a trunk."""
    assert places(trunked.send(H1, PARENT, trunked.ipv4(PARENT, "red-c"))) == [(H2, "red-c")]
    assert places(trunked.send(H1, PARENT, broadcast(trunked.ipv4(PARENT, "red-c")))) == [
        (HOME[each], f"red-{each}") for each in "bcd"
    ]
    assert places(trunked.send(H3, "red-d", trunked.ipv4("red-d", PARENT))) == [(H1, PARENT)]


def test_a_tag_that_nobody_has_is_dropped_and_counted(trunked: Lab) -> None:
    """On a trunk's tap and on any other: what is tagged otherwise never passes, not even with the tag 0."""
    for port_id, vid in ((PARENT, 8), (PARENT, 0), ("red-b", VID), ("red-b", 0)):
        packet = {**trunked.ipv4(port_id, "red-c"), "vlan_vid": VLAN_PRESENT | vid}
        assert trunked.send(H1, port_id, packet) == []
        assert trunked.last_met(H1, port_id, packet) is CookieKind.TAGGED


def test_a_sub_port_sends_as_itself_only(trunked: Lab) -> None:
    """The guard looks at a sub-port as at any port, and says whose frame it was."""
    assert trunked.send(H1, SUB, {**trunked.ipv4(SUB, "green-c"), "ipv4_src": 1}) == []
    assert trunked.last_met(H1, SUB, {**trunked.ipv4(SUB, "green-c"), "ipv4_src": 1}) is CookieKind.SPOOFED


def test_answers_come_with_the_tag(trunked: Lab) -> None:
    """Whoever asks with a tag for an address gets the switch's answer with it, in ARP and in IPv6."""
    mac = trunked.mac(SUB)
    asked = (
        packets.arp(mac, trunked.ip4(SUB), trunked.ip4("green-d")),
        packets.solicitation(mac, trunked.ip6(SUB), trunked.ip6("green-d")),
    )
    for question in asked:
        (answer,) = trunked.send(H1, SUB, question)
        assert (answer.host, answer.port_id) == (H1, SUB)
        assert answer.packet["eth_src"] == trunked.mac("green-d")


def test_ports_of_one_trunk_may_share_a_network(trunked: Lab) -> None:
    """Two VLANs of one tap in one network reach each other by it, each gets a flood once, and none its own."""
    trunked.do(CreatePort("green-e", "red", "green", mac=Mac(0x02_00_00_00_00_20)))
    trunked.do(CreatePort("red-e", "red", "red", mac=Mac(0x02_00_00_00_00_21)))
    trunked.do(AddSubPorts("trunk", (SubPort("green-e", 8), SubPort("red-e", 9))))
    for one, other in ((SUB, "green-e"), ("green-e", SUB), (PARENT, "red-e"), ("red-e", PARENT)):
        assert places(trunked.send(H1, one, trunked.ipv4(one, other))) == [(H1, other)]
        flooded = [port_id for _, port_id in places(trunked.send(H1, one, broadcast(trunked.ipv4(one, other))))]
        assert other in flooded
        assert one not in flooded
        assert len(set(flooded)) == len(flooded)


# --- networks that let tags through -----------------------------------------------------------------------------


def test_a_transparent_network_carries_tags(lab: Lab) -> None:
    """There a frame arrives with the tag that it was sent with, and one without without."""
    lab.do(CreateNetwork("clear", "red", vlan_transparent=True))
    lab.do(CreateSubnet("clear-4", "red", "clear", ip_network("10.0.0.0/24")))
    for number, host in enumerate((H1, H2, H2), start=1):
        lab.do(CreatePort(f"clear-{number}", "red", "clear", mac=Mac(number), host=host))
        lab.plug(host, f"clear-{number}")
    plain = lab.ipv4("clear-1", "clear-2")
    tagged = {**plain, "vlan_vid": VLAN_PRESENT | 5}
    for packet in (plain, tagged):
        (arrival,) = lab.send(H1, "clear-1", packet)
        assert (arrival.port_id, arrival.packet.get("vlan_vid")) == ("clear-2", packet.get("vlan_vid"))
        assert places(lab.send(H1, "clear-1", broadcast(packet))) == [(H2, "clear-2"), (H2, "clear-3")]
    assert lab.send(H1, "clear-1", {**tagged, "ipv4_src": 1}) == []


# --- moves -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", list(itertools.permutations([H1, H2, H3])))
def test_every_moment_delivers_exactly_once(trunked: Lab, order: tuple[HostName, ...]) -> None:
    """While a trunk moves, each frame to its parent and to its sub-port arrives once, and what it sends as well."""
    begin(trunked, H2)
    assert trunked.world.move_of(SUB) is trunked.world.move_of(PARENT)
    assert trunked.send(H2, SUB, trunked.ipv4(SUB, "green-d")) == []
    trunked.change(Activate(PARENT, H2))
    phases = set()
    for phase in moments(trunked, list(order)):
        phases.add(phase)
        for name, target in itertools.product("bcd", (PARENT, SUB)):
            source = f"{target[:-1]}{name}"
            arrived = places(trunked.send(HOME[name], source, trunked.ipv4(source, target)))
            assert arrived in ([(H1, target)], [(H2, target)]), (phase, source)
            assert places(trunked.send(H1, target, trunked.ipv4(target, source))) == [(HOME[name], source)], phase
            if phase is not Phase.HAIRPINNING:
                assert places(trunked.send(H2, target, trunked.ipv4(target, source))) == [(HOME[name], source)], phase
    assert phases == SWITCHING
    trunked.now += 1
    trunked.do(Tick())
    assert [trunked.world.ports[port_id].host for port_id in (PARENT, SUB)] == [H2, H2]
    assert places(trunked.send(H3, "green-d", trunked.ipv4("green-d", SUB))) == [(H2, SUB)]


def test_a_trunk_is_ready_when_its_sub_ports_are(trunked: Lab) -> None:
    """A move waits for what the sub-ports' networks need, as for the parent's own."""
    trunked.do(BindPassive(PARENT, H2))
    trunked.ofports[H2] += 1
    trunked.change(Plugged(H2, PARENT, trunked.ofports[H2]))
    move = trunked.world.move_of(PARENT)
    assert move is not None
    assert trunked.world.pending(SUB)
    assert move.phase is Phase.PREPARING
    trunked.settle()
    assert trunked.world.move_of(PARENT).phase is Phase.READY
    assert [binding.host for binding in trunked.world.bindings(SUB)] == [H1, H2]


@pytest.mark.parametrize("who", [PARENT, SUB])
def test_an_announcement_of_any_of_its_ports_moves_a_trunk(trunked: Lab, who: str) -> None:
    """A RARP with a tag says as well that the machine runs there now."""
    begin(trunked, H2)
    assert [arrival.port_id for arrival in trunked.send(H2, who, packets.rarp(trunked.mac(who)))] == [""]
    trunked.do(Announced(H2, who))
    assert trunked.world.move_of(PARENT).phase is Phase.GRACE
    assert [trunked.world.active_host(trunked.world.port(each)) for each in (PARENT, SUB)] == [H2, H2]
    assert {PARENT, SUB} <= {port.id for port in trunked.world.ports_bound_to(H2)}


def test_a_sub_port_does_not_move_by_itself(trunked: Lab) -> None:
    """Neither by a binding, nor by another host, nor by a tap of its own."""
    begin(trunked, H2)
    for change in (UpdatePort(SUB, host=H3), BindPassive(SUB, H3), Activate(SUB, H2), Unbind(SUB, H2)):
        refused(trunked, change, Conflict, "PortInUseAsSubPort")
    trunked.plug(H3, SUB)
    assert trunked.world.move_of(SUB).target == H2
    assert places(trunked.send(H3, "green-d", trunked.ipv4("green-d", SUB))) == [(H1, SUB)]
    trunked.do(UpdatePort(SUB, host=H1, name="kept"))


# --- plugging --------------------------------------------------------------------------------------------------


def test_a_trunk_may_come_before_or_after_its_tap(lab: Lab) -> None:
    """Sub-ports are bound and up as soon as the parent is, whatever came first, and down when its tap goes."""
    lab.do(CreateNetwork("green", "red"))
    for name in ("p", "s"):
        lab.do(CreatePort(f"{name}-id", "red", "green", mac=Mac(50 + ord(name))))
    lab.do(CreateTrunk("late", "red", "p-id", sub_ports=(SubPort("s-id", 100),)))
    assert lab.world.ports["s-id"].host is None
    lab.plug(H2, "p-id")
    for port_id in ("p-id", "s-id"):
        assert lab.world.ports[port_id].host == H2
        assert lab.world.status(port_id) is PortStatus.ACTIVE
    lab.do(Unplugged(H2, "p-id"))
    assert lab.world.status("s-id") is PortStatus.DOWN


def test_a_sub_port_is_marked_as_one(trunked: Lab) -> None:
    """Its device is the trunk, as in Neutron, and when it leaves it has none and is nowhere."""
    port = trunked.world.ports[SUB]
    assert (port.device_owner, port.device_id, port.host) == (SUB_PORT_OWNER, "trunk", H1)
    assert trunked.world.status(SUB) is PortStatus.ACTIVE
    trunked.do(RemoveSubPorts("trunk", (SUB, SUB)))
    port = trunked.world.ports[SUB]
    assert (port.device_owner, port.device_id, port.host) == ("", "", None)
    assert trunked.world.status(SUB) is PortStatus.DOWN
    assert trunked.send(H1, PARENT, {**trunked.ipv4(SUB, "green-b"), "vlan_vid": VLAN_PRESENT | VID}) == []


def test_a_status_waits_for_every_switch(trunked: Lab) -> None:
    """A sub-port is not up before the switches have confirmed it."""
    trunked.do(RemoveSubPorts("trunk", (SUB,)))
    trunked.change(AddSubPorts("trunk", (SubPort(SUB, 9),)))
    assert trunked.world.status(SUB) is PortStatus.BUILD
    trunked.settle()
    assert trunked.world.status(SUB) is PortStatus.ACTIVE


def test_a_tap_of_its_own_counts_when_it_is_no_sub_port_any_more(trunked: Lab) -> None:
    """What was plugged by itself meanwhile is bound there as soon as the trunk lets it go."""
    trunked.plug(H3, SUB)
    assert trunked.world.ports[SUB].host == H1
    trunked.do(RemoveSubPorts("trunk", (SUB,)))
    assert trunked.world.ports[SUB].host == H3
    assert places(trunked.send(H2, "green-c", trunked.ipv4("green-c", SUB))) == [(H3, SUB)]
    refused(trunked, AddSubPorts("trunk", (SubPort(SUB, VID),)), Conflict, "PortInUse")


def test_a_snapshot_plugs_sub_ports_too(trunked: Lab) -> None:
    """A host tells of taps only; a restarted controller finds the sub-ports by them, with the same lanes."""
    before = trunked.world.plug_of(H1, SUB)
    again = World.restore(trunked.world.documents(), trunked.now)
    again.apply(HostSnapshot(H1, tuple(reversed(trunked.world.taps_told(H1)))), trunked.now)
    assert before is not None
    assert again.plug_of(H1, SUB) == before
    assert again.port_in_lane(H1, before.lane) == SUB
    assert again.trunk_carrying(SUB) == again.trunk_led_by(PARENT) == again.trunk("trunk")
    trunked.do(HostSnapshot(H1, ()))
    assert trunked.world.plug_of(H1, SUB) is None


def test_a_tap_may_take_the_number_of_a_vlan(trunked: Lab) -> None:
    """A tap's lane is its number; a sub-port that has that number gets another one, and nobody loses a frame."""
    plug = trunked.world.plug_of(H1, SUB)
    assert plug is not None
    assert LAST_LANE - VLAN_LANES < plug.lane <= LAST_LANE
    trunked.do(Plugged(H1, "red-b", plug.lane))
    assert trunked.world.port_in_lane(H1, plug.lane) == "red-b"
    assert trunked.world.plug_of(H1, SUB) != plug
    assert places(trunked.send(H3, "green-d", trunked.ipv4("green-d", SUB))) == [(H1, SUB)]
    trunked.do(Plugged(H1, "red-b", plug.ofport))
    assert trunked.world.plug_of(H1, PARENT) is None
    assert trunked.world.plug_of(H1, SUB) is None
    trunked.do(Plugged(H1, "unknown", plug.ofport))
    assert trunked.world.plug_of(H1, "red-b") is None


# --- admin state -----------------------------------------------------------------------------------------------


def test_a_trunk_that_is_down_stops_its_sub_ports(trunked: Lab) -> None:
    """They neither send nor are sent to, while the parent goes on; up again they are as before."""
    trunked.do(UpdateTrunk("trunk", admin_up=False, name="n", description="d"))
    assert trunked.world.status(SUB) is PortStatus.DOWN
    tagged = {**trunked.ipv4(SUB, "green-b"), "vlan_vid": VLAN_PRESENT | VID}
    assert not run(trunked.installed[H1].values(), tagged, trunked.world.attachments[H1, PARENT]).emissions
    assert trunked.send(H3, "green-d", trunked.ipv4("green-d", SUB)) == []
    assert places(trunked.send(H1, PARENT, trunked.ipv4(PARENT, "red-c"))) == [(H2, "red-c")]
    for change in (AddSubPorts("trunk", ()), RemoveSubPorts("trunk", (SUB,)), DeleteTrunk("trunk")):
        refused(trunked, change, Conflict, "TrunkDisabled")
    trunked.do(UpdateTrunk("trunk", admin_up=True))
    assert trunked.world.status(SUB) is PortStatus.ACTIVE
    assert places(trunked.send(H3, "green-d", trunked.ipv4("green-d", SUB))) == [(H1, SUB)]


def test_a_trunk_that_is_gone_leaves_its_ports(trunked: Lab) -> None:
    """The parent goes on as a plain port, and both may be deleted."""
    trunked.do(DeleteTrunk("trunk"))
    assert not trunked.world.trunks
    assert places(trunked.send(H1, PARENT, trunked.ipv4(PARENT, "red-c"))) == [(H2, "red-c")]
    trunked.do(DeletePort(SUB), DeletePort(PARENT))


# --- refusals --------------------------------------------------------------------------------------------------


def refused(lab: Lab, change: Change, how: type[Refusal], kind: str) -> None:
    """A change is refused in Neutron's words, and nothing is different afterwards."""
    before = lab.world.documents()
    with pytest.raises(how) as raised:
        lab.change(change)
    assert raised.value.kind == kind
    assert lab.world.documents() == before


def trunk(parent: str, *subs: SubPort) -> CreateTrunk:
    """A trunk to be made."""
    return CreateTrunk("other", "red", parent, sub_ports=subs)


@pytest.mark.parametrize(
    ("change", "how", "kind"),
    [
        (CreateTrunk("trunk", "red", "red-b"), Conflict, "Conflict"),
        (trunk("nobody"), NotFound, "PortNotFound"),
        (trunk(SUB), Conflict, "TrunkPortInUse"),
        (trunk(PARENT), Conflict, "ParentPortInUse"),
        (trunk("clear-a"), Conflict, "TrunkOnTransparentNetwork"),
        (trunk("wired"), Conflict, "TrunkPortInUse"),
        (trunk("red-b", SubPort("nobody", 1)), NotFound, "PortNotFound"),
        (trunk("red-b", SubPort("spare", 0)), Invalid, "InvalidInput"),
        (trunk("red-b", SubPort("spare", 4095)), Invalid, "InvalidInput"),
        (trunk("red-b", SubPort("spare", 1), SubPort("spare-2", 1)), Conflict, "DuplicateSubPort"),
        (trunk("red-b", SubPort("spare", 1), SubPort("spare", 2)), Conflict, "ParentPortInUse"),
        (trunk("red-b", SubPort("red-b", 1)), Conflict, "ParentPortInUse"),
        (trunk("red-b", SubPort(SUB, 1)), Conflict, "TrunkPortInUse"),
        (trunk("red-b", SubPort(PARENT, 1)), Conflict, "ParentPortInUse"),
        (trunk("red-b", SubPort("green-b", 1)), Conflict, "PortInUse"),
        (trunk("red-b", SubPort("server", 1)), Conflict, "PortInUse"),
        (trunk("red-b", SubPort("clear-a", 1)), Conflict, "TrunkOnTransparentNetwork"),
        (trunk("red-b", SubPort("moving", 1)), Conflict, "PortMoveInProgress"),
        (trunk("small-a", SubPort("spare", 1)), Conflict, "SubPortMtuGreaterThanTrunkPortMtu"),
        (AddSubPorts("trunk", (SubPort("spare", VID),)), Conflict, "DuplicateSubPort"),
        (AddSubPorts("trunk", (SubPort("spare", 8),), expected=99), Stale, "RevisionNumberConstraintFailed"),
        (AddSubPorts("nobody", ()), NotFound, "TrunkNotFound"),
        (RemoveSubPorts("trunk", ("spare",)), NotFound, "SubPortNotFound"),
        (RemoveSubPorts("trunk", (SUB,), expected=99), Stale, "RevisionNumberConstraintFailed"),
        (UpdateTrunk("trunk", expected=99), Stale, "RevisionNumberConstraintFailed"),
        (DeleteTrunk("trunk", expected=99), Stale, "RevisionNumberConstraintFailed"),
        (DeletePort(SUB), Conflict, "PortInUseAsSubPort"),
        (DeletePort(PARENT), Conflict, "PortInUseAsTrunkParent"),
    ],
)
def test_what_cannot_be_is_refused(trunked: Lab, change: Change, how: type[Refusal], kind: str) -> None:
    """Each in Neutron's words, and nothing changes by it."""
    trunked.do(CreateNetwork("clear", "red", vlan_transparent=True), CreatePort("clear-a", "red", "clear", mac=Mac(90)))
    trunked.do(CreateNetwork("small", "red", mtu=1000), CreatePort("small-a", "red", "small", mac=Mac(91)))
    for number, port_id in enumerate(("spare", "spare-2", "server", "moving"), start=92):
        trunked.do(CreatePort(port_id, "red", "green", mac=Mac(number)))
    wired = CreatePort("wired", "red", "green", mac=Mac(99), attach=Attach(VnicType.DIRECT))
    trunked.do(wired, UpdatePort("server", device_id="vm"), UpdatePort("moving", host=H1), BindPassive("moving", H2))
    refused(trunked, change, how, kind)


def test_a_project_has_so_many_trunks(trunked: Lab) -> None:
    """A trunk counts, and is counted no more when it is gone."""
    trunked.do(SetQuota("red", {Countable.TRUNK: 1}))
    refused(trunked, trunk("red-b"), Conflict, "OverQuota")
    assert [each.id for each in trunked.world.trunks_of_project("red")] == ["trunk"]
    trunked.do(DeleteTrunk("trunk"), trunk("red-b"))
    assert trunked.world.usage("red")[Countable.TRUNK] == 1


def test_trunks_have_tags_and_revisions(trunked: Lab) -> None:
    """As every object of a tenant's; saying again what is so makes no revision."""
    first = trunked.world.trunk("trunk").record.revision
    trunked.do(SetTags(DocumentKind.TRUNK, "trunk", add=("x",)), UpdateTrunk("trunk"))
    assert trunked.world.trunk("trunk").record.tags == ("x",)
    assert trunked.world.trunk("trunk").record.revision == first + 1


def test_a_network_that_is_down_stops_a_sub_port(trunked: Lab) -> None:
    """Its own network's state counts, not that of the parent's."""
    trunked.do(UpdateNetwork("red", admin_up=False))
    assert trunked.world.status(SUB) is PortStatus.ACTIVE
    trunked.do(UpdateNetwork("green", admin_up=False))
    assert trunked.world.status(SUB) is PortStatus.DOWN
