"""A port's frames are copied to another port of its project, wherever both are, and nothing else follows from that."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from itertools import permutations

import pytest

from overlay.changes import (
    Activate,
    BindPassive,
    Change,
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    DeletePort,
    HostSeen,
    Plugged,
    SetTags,
    Unplugged,
    UpdatePort,
)
from overlay.footing import Plug, Tap
from overlay.mirrors.changes import (
    CreateTapFlow,
    CreateTapService,
    DeleteTapFlow,
    DeleteTapService,
    UpdateTapFlow,
    UpdateTapService,
)
from overlay.mirrors.values import TapDirection
from overlay.policy.changes import CreateSecurityGroup
from overlay.refusals import Refusal
from overlay.tables import classify, mirror
from overlay.tables.names import CookieKind, provenance
from overlay.trunks.changes import CreateTrunk
from overlay.trunks.values import SubPort
from overlay.values import HostName, Mac, PortStatus, Vni
from overlay.world import Settings, World
from tests.model import packets
from tests.model.lab import Lab, places
from tests.model.switch import run

H1, H2, H3 = (HostName(f"h{number}") for number in (1, 2, 3))
HOME = {"a": H1, "b": H1, "c": H2, "d": H3}
IN, OUT, BOTH = TapDirection


def watch(lab: Lab, watcher: str, *sources: str, direction: TapDirection = BOTH) -> None:
    """Have a red port get copies of others' frames."""
    lab.do(CreateTapService(f"at-{watcher}", "red", f"red-{watcher}"))
    for source in sources:
        lab.do(CreateTapFlow(f"{source}-{watcher}", "red", f"at-{watcher}", f"red-{source}", direction))


def sent(lab: Lab, source: str, target: str) -> list[tuple[str, str]]:
    """Where a red port's honest packet to another arrives, copies among it."""
    frame = lab.ipv4(f"red-{source}", f"red-{target}")
    arrivals = lab.send(HOME[source], f"red-{source}", frame)
    assert all(arrival.packet == frame for arrival in arrivals)
    return [(host, port.removeprefix("red-")) for host, port in places(arrivals)]


@pytest.mark.parametrize("watcher", "bcd")
@pytest.mark.parametrize(("source", "target"), [*permutations("abcd", 2), ("a", "a")])
@pytest.mark.parametrize("direction", list(TapDirection))
def test_copies_of_what_it_sends_and_gets(
    lab: Lab, watcher: str, source: str, target: str, direction: TapDirection
) -> None:
    """Of what ``a`` sends and gets, its watcher gets one unchanged copy of what was asked for, on whatever host."""
    before = sent(lab, source, target)
    watch(lab, watcher, "a", direction=direction)
    copied = (source == "a" and direction != IN) or (target == "a" != source and direction != OUT)
    copied &= (source, watcher) != ("b", "b")  # what comes in by a tap never leaves by it
    assert sent(lab, source, target) == sorted([*before, *([(HOME[watcher], watcher)] * copied)])


def test_a_flood_is_copied_once(lab: Lab) -> None:
    """Of a broadcast that a mirrored port sends or gets, its watcher gets one copy besides the one for everybody."""
    watch(lab, "d", "a")
    for source in "ac":
        frame = {**lab.ipv4(f"red-{source}", "red-b"), "eth_dst": packets.BROADCAST}
        heard = places(lab.send(HOME[source], f"red-{source}", frame))
        assert heard.count(("h3", "red-d")) == 2
        assert len(heard) == 4


def test_questions_are_copied_and_answers_of_the_switch_are_not(lab: Lab) -> None:
    """What a mirrored port asks of neighbours is copied; what its switch answers by itself is not."""
    watch(lab, "d", "a")
    question = packets.arp(lab.mac("red-a"), lab.ip4("red-a"), lab.ip4("red-c"))
    assert [
        (arrival.port_id, arrival.packet["arp_op"])
        for arrival in sorted(lab.send(H1, "red-a", question), key=lambda arrival: arrival.port_id)
    ] == [("red-a", 2), ("red-d", 1)]


def test_what_is_refused_is_not_copied(lab: Lab) -> None:
    """A frame that the guard refuses has never been sent: no copy shows it."""
    watch(lab, "b", "a")
    assert not lab.send(H1, "red-a", {**lab.ipv4("red-a", "red-c"), "ipv4_src": 1})


def test_mirrors_of_mirrors_run_in_no_circles(lab: Lab) -> None:
    """Two watchers that watch each other get copies of frames, and never copies of copies."""
    watch(lab, "b", "c")
    watch(lab, "c", "b")
    assert sent(lab, "b", "c") == [("h1", "b"), ("h2", "c"), ("h2", "c")]
    assert sent(lab, "a", "d") == [("h3", "d")]


def test_two_flows_to_one_service_make_one_copy(lab: Lab) -> None:
    """A port that is mirrored to one service twice is copied once, and still is when one of them goes."""
    watch(lab, "d", "a", direction=OUT)
    lab.do(CreateTapFlow("again", "red", "at-d", "red-a", BOTH))
    assert sent(lab, "a", "c") == [("h2", "c"), ("h3", "d")]
    lab.do(DeleteTapFlow("again"))
    assert sent(lab, "a", "c") == [("h2", "c"), ("h3", "d")]
    assert sent(lab, "c", "a") == [("h1", "a")]


def test_no_policy_decides_about_copies(lab: Lab) -> None:
    """A watcher whose groups let nothing in gets copies, and nothing else."""
    lab.do(CreateSecurityGroup("closed", "red", ("out4", "out6")))
    lab.do(UpdatePort("red-d", security_groups=("closed",)))
    watch(lab, "d", "a")
    assert sent(lab, "a", "c") == [("h2", "c"), ("h3", "d")]
    assert sent(lab, "c", "d") == []


def test_what_the_receiver_refuses_is_not_copied(lab: Lab) -> None:
    """Copies of what a port gets are of what it does get: what its groups refuse is none of it."""
    lab.do(CreateSecurityGroup("closed", "red", ("out4", "out6")))
    lab.do(UpdatePort("red-a", security_groups=("closed",)))
    watch(lab, "d", "a", direction=IN)
    assert sent(lab, "c", "a") == []


def test_a_watcher_in_another_network(lab: Lab) -> None:
    """Copies cross from one network of a project to another, though its host does not have the first one."""
    lab.do(CreateNetwork("tools", "red"), CreateSubnet("tools-4", "red", "tools", ip_network("10.9.0.0/24")))
    lab.do(CreatePort("red-tool", "red", "tools", mac=Mac(9), host=H3))
    lab.plug(H3, "red-tool")
    watch(lab, "tool", "b")
    assert sent(lab, "b", "a") == [("h1", "a"), ("h3", "tool")]


@pytest.mark.parametrize("end", [DeleteTapFlow("a-c"), DeleteTapService("at-c"), DeletePort("red-c")])
def test_an_end(lab: Lab, end: Change) -> None:
    """A mirror ends with its tap flow, its service or its watcher, and leaves no flow behind."""
    before = {host: dict(lab.installed[host]) for host in (H1, H3)}
    watch(lab, "c", "a")
    lab.do(end)
    cookies = {flow.cookie for host in lab.hosts for flow in lab.installed[host].values()}
    assert provenance(CookieKind.MIRROR, "red-a") not in cookies
    assert "red-a" not in lab.world.mirrors
    if not isinstance(end, DeletePort):
        assert {host: lab.installed[host] for host in (H1, H3)} == before
        return
    assert not lab.world.tap_services
    assert not lab.world.tap_flows


def test_the_end_of_the_mirrored_port(lab: Lab) -> None:
    """With a port go the tap flows from it; the service stays, and its VNI is the service's still."""
    watch(lab, "c", "a", "b")
    lab.do(DeletePort("red-a"))
    assert list(lab.world.tap_flows) == ["b-c"]
    assert lab.world.tap_service("at-c").vni == 1


@pytest.mark.parametrize("mover", ["a", "d"])
def test_a_mirror_follows(lab: Lab, mover: str) -> None:
    """In every moment of a move of the mirrored port or its watcher, and after it, each packet is copied once."""
    watch(lab, "d", "a")
    port, home = f"red-{mover}", HOME[mover]

    def copies() -> int:
        frame = lab.ipv4("red-c", "red-a")
        return [place[1] for place in places(lab.send(H2, "red-c", frame))].count("red-d")

    lab.do(BindPassive(port, H2))
    lab.plug(H2, port)
    assert copies() == 1
    lab.change(Activate(port, H2))
    assert copies() == 1
    while lab.queues:
        for host in tuple(lab.queues):
            lab.confirm(host)
            assert copies() == 1
    lab.now += 100
    lab.settle()
    assert lab.world.footing(port).pointer == H2 != home
    frame = lab.ipv4("red-c", "red-a")
    assert ("h2" if mover == "d" else "h3", "red-d") in places(lab.send(H2, "red-c", frame))


def test_a_straggler_is_turned_round(lab: Lab) -> None:
    """A copy that reaches the host that its watcher has just left is turned round to the new one."""
    watch(lab, "d", "a")
    stale = dict(lab.installed[H1])
    lab.do(BindPassive("red-d", H2))
    lab.plug(H2, "red-d")
    lab.do(Activate("red-d", H2))
    lab.installed[H1] = stale
    assert sent(lab, "a", "b") == [("h1", "b"), ("h2", "d")]


def test_without_a_tunnel_copies_stay_on_the_host(lab: Lab) -> None:
    """A host without a tunnel copies to its own ports, and to others again when it has one."""
    watch(lab, "b", "a")
    watch(lab, "d", "a")
    known = lab.world.hosts[H1]
    lab.do(HostSeen(replace(known, tunnel_port=None)))
    assert sent(lab, "a", "c") == [("h1", "b")]
    lab.do(HostSeen(known))
    assert sent(lab, "a", "c") == [("h1", "b"), ("h2", "c"), ("h3", "d")]


def test_another_la(lab: Lab) -> None:
    """A host that gets another LA gets its copies there."""
    watch(lab, "d", "a")
    lab.do(HostSeen(replace(lab.world.hosts[H3], la=lab.world.hosts[H3].la + 1)))
    assert sent(lab, "a", "c") == [("h2", "c"), ("h3", "d")]


def test_a_watcher_that_is_down_gets_nothing(lab: Lab) -> None:
    """Nobody sends copies to a port that is administratively down, or not plugged."""
    watch(lab, "d", "a")
    watch(lab, "b", "a")
    lab.do(UpdatePort("red-d", admin_up=False), Unplugged(H1, "red-b"))
    assert sent(lab, "a", "c") == [("h2", "c")]
    lab.do(Plugged(H1, "red-b", 99), UpdatePort("red-d", admin_up=True))
    assert sent(lab, "a", "c") == [("h1", "b"), ("h2", "c"), ("h3", "d")]


def test_ready_means_copied(lab: Lab) -> None:
    """A mirrored port is ACTIVE again when its host makes the copies, and not before."""
    lab.do(CreateTapService("at-d", "red", "red-d"))
    lab.change(CreateTapFlow("flow", "red", "at-d", "red-a", BOTH))
    assert lab.world.status("red-a") is PortStatus.BUILD
    assert lab.world.status("red-d") is PortStatus.ACTIVE
    lab.settle()
    assert lab.world.status("red-a") is PortStatus.ACTIVE


def test_a_watcher_on_a_vlan_gets_its_tag() -> None:
    """A copy for a port that is a VLAN on a tap has the VLAN's tag, from the same host and from another."""
    tap = Tap(H1, Plug(7, 65279, 30), passive=False)
    local = mirror.sent(provenance(CookieKind.MIRROR, "p"), Tap(H1, Plug(5, 5), passive=False), [mirror.Here(tap)])
    remote = classify.copy_from_tunnel(provenance(CookieKind.MIRROR, "p"), 1, Vni(9), tap)
    frame = packets.ip(Mac(1), Mac(2), 3, 4)
    for flow, came in ((local, {"reg2": 5}), (remote, {"tunnel_id": 9})):
        moved = replace(flow, table=0)
        (emission,) = run([moved], {**frame, **came}, 1).emissions
        assert (emission.port, emission.packet["vlan_vid"]) == (7, 0x1000 | 30)


@pytest.mark.parametrize(("source", "watcher"), [("a", "sub"), ("sub", "a"), ("sub", "d"), ("sub", "b")])
def test_ports_of_a_trunk(lab: Lab, source: str, watcher: str) -> None:
    """A sub-port is mirrored and a mirror like any other port, even if the other one is of the same trunk."""
    lab.do(CreatePort("red-sub", "red", "red", mac=Mac(0x30)))
    lab.do(CreateTrunk("trunk", "red", "red-a", sub_ports=(SubPort("red-sub", 7),)))
    watch(lab, watcher, source)
    there, back = lab.ipv4(f"red-{source}", "red-c"), lab.ipv4("red-c", f"red-{source}")
    home = HOME.get(watcher, H1)
    assert places(lab.send(H1, f"red-{source}", there)) == sorted([(H2, "red-c"), (home, f"red-{watcher}")])
    assert places(lab.send(H2, "red-c", back)) == sorted([(H1, f"red-{source}"), (home, f"red-{watcher}")])
    flooded = places(lab.send(H1, f"red-{source}", {**there, "eth_dst": packets.BROADCAST}))
    assert flooded.count((home, f"red-{watcher}")) == 2
    assert (H1, f"red-{source}") not in flooded


# --- what is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        (CreateTapService("at-b", "red", "red-a"), 409, "Conflict"),
        (CreateTapService("new", "red", "none"), 404, "PortNotFound"),
        (CreateTapService("new", "blue", "red-a"), 400, "PortDoesNotBelongToTenant"),
        (UpdateTapService("none", name="x"), 404, "TapServiceNotFound"),
        (UpdateTapService("at-b", name="x", expected=9), 412, "RevisionNumberConstraintFailed"),
        (DeleteTapService("none"), 404, "TapServiceNotFound"),
        (DeleteTapService("at-b", expected=9), 412, "RevisionNumberConstraintFailed"),
        (CreateTapFlow("a-b", "red", "at-b", "red-a", IN), 409, "Conflict"),
        (CreateTapFlow("new", "red", "none", "red-a", IN), 404, "TapServiceNotFound"),
        (CreateTapFlow("new", "red", "at-b", "none", IN), 404, "PortNotFound"),
        (CreateTapFlow("new", "red", "at-b", "red-b", IN), 400, "InvalidSourcePort"),
        (CreateTapFlow("new", "red", "at-b", "blue-a", IN), 400, "PortDoesNotBelongToTenant"),
        (CreateTapFlow("new", "blue", "at-b", "blue-a", IN), 400, "TapServiceNotBelongToTenant"),
        (UpdateTapFlow("none", name="x"), 404, "TapFlowNotFound"),
        (UpdateTapFlow("a-b", name="x", expected=9), 412, "RevisionNumberConstraintFailed"),
        (DeleteTapFlow("none"), 404, "TapFlowNotFound"),
        (DeleteTapFlow("a-b", expected=9), 412, "RevisionNumberConstraintFailed"),
    ],
)
def test_refusals(lab: Lab, change: Change, status: int, kind: str) -> None:
    """What cannot be is refused by its name, and nothing changes."""
    watch(lab, "b", "a")
    before = lab.world.documents()
    with pytest.raises(Refusal) as refused:
        lab.world.apply(change, lab.now)
    assert (refused.value.status, refused.value.kind) == (status, kind)
    assert lab.world.documents() == before


def test_a_service_takes_a_vni() -> None:
    """A service's VNI is of the networks' range: without one there is no service, and no network may take it."""
    world = World(Settings(vni_first=1, vni_last=2))
    for change in (CreateNetwork("n", "p"), CreatePort("a", "p", "n", mac=Mac(1)), CreateTapService("s", "p", "a")):
        world.apply(change, 0)
    with pytest.raises(Refusal) as refused:
        world.apply(CreateTapService("t", "p", "a"), 0)
    assert refused.value.kind == "TapServiceLimitReached"
    with pytest.raises(Refusal) as refused:
        world.apply(CreateNetwork("m", "p", vni=Vni(2)), 0)
    assert refused.value.kind == "SegmentationIdInUse"
    assert world.locate(Vni(2), Mac(1)) is None
    world.apply(DeleteTapService("s"), 0)
    world.apply(CreateNetwork("m", "p", vni=Vni(2)), 0)


def test_texts_and_revisions(lab: Lab) -> None:
    """Texts of services and tap flows change, each time in a new revision; what is said already changes nothing."""
    watch(lab, "b", "a")
    for change in (
        UpdateTapService("at-b", name="n", description="d"),
        UpdateTapFlow("a-b", name="n", description="d"),
    ):
        assert len(lab.change(change).documents) == 1
        assert not lab.change(change).documents
    service, flow = lab.world.tap_service("at-b"), lab.world.tap_flow("a-b")
    assert (service.name, service.description, service.record.revision) == ("n", "d", 2)
    assert (flow.name, flow.description, flow.record.revision) == ("n", "d", 2)
    assert lab.world.tap_services_of_project("red") == (service,)
    assert lab.world.tap_flows_of_project("red") == (flow,)


def test_mirrors_are_stored(lab: Lab) -> None:
    """A world that is restored has the same mirrors, and gives the VNI of none of them to anybody else."""
    watch(lab, "b", "a")
    again = World.restore(lab.world.documents(), 0)
    assert (again.tap_services, again.tap_flows) == (lab.world.tap_services, lab.world.tap_flows)
    with pytest.raises(Refusal, match="VNI 1"):
        again.apply(CreateNetwork("new", "red", vni=Vni(1)), 0)


def test_no_tags() -> None:
    """Neutron has no tags on tap services, and neither have we."""
    with pytest.raises(Refusal):
        World().apply(SetTags("tap_service", "x"), 0)  # type: ignore[arg-type]
