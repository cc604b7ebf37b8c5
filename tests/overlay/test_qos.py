"""QoS policies limit and mark what ports send and get, wherever they are, and a change of them is sent at once."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from overlay.changes import (
    BindPassive,
    CreateNetwork,
    CreatePort,
    CreateShare,
    CreateSubnet,
    DeleteNetwork,
    DeletePort,
    DeleteShare,
    DocumentKind,
    SetTags,
    UpdateNetwork,
    UpdatePort,
)
from overlay.compile import Delta
from overlay.flow import Meter, MeterUnit, ToController
from overlay.pipeline import PIPELINE
from overlay.policy.changes import CreateSecurityGroup
from overlay.policy.values import Direction
from overlay.qos.changes import (
    AddQosRule,
    CreateQosPolicy,
    DeleteQosPolicy,
    DeleteQosRule,
    UpdateQosPolicy,
    UpdateQosRule,
)
from overlay.qos.values import DSCP_MARKS, BandwidthLimit, DscpMarking
from overlay.refusals import Refusal
from overlay.tables.names import (
    ASKING_METERS,
    BEGINNING_METERS,
    IN_LANE,
    INQUIRY_METERS,
    PACKET_METERS,
    RECEIVING_METERS,
    SENDING_METERS,
    STORM_METERS,
)
from overlay.values import HostName, Mac, Shareable, Vni
from overlay.world import Settings, World
from tests.model import packets
from tests.model.lab import Lab
from tests.model.switch import Tracker, run

H1, H2 = HostName("h1"), HostName("h2")
SETTINGS = Settings(port_rate_kbps=20_000, storm_pps=300, asking_pps=40)


@pytest.fixture
def lab() -> Lab:
    """Ports a and b on h1 (lanes 2 and 3) and c on h2 (lane 2), in one network; policies gold and silver."""
    it = Lab(2, SETTINGS)
    it.do(
        CreateNetwork("net", "p", vni=Vni(100)),
        CreateSubnet("four", "p", "net", ip_network("10.0.0.0/24")),
        CreateSubnet("six", "p", "net", ip_network("2001:db8::/64")),
    )
    for number, (name, host) in enumerate((("a", H1), ("b", H1), ("c", H2)), start=1):
        it.do(CreatePort(name, "p", "net", mac=Mac(0x02_00_00_00_00_00 + number), host=host))
        it.plug(host, name)
    it.do(CreateQosPolicy("gold", "p"), CreateQosPolicy("silver", "p"))
    return it


def limits(lab: Lab, host: HostName, lane: int) -> tuple[int, int]:
    """The rates of what a lane may send and get, as its switch has them and its flows use them; 0 is none."""
    used = {flow.meter for flow in lab.installed[host].values()}
    held = lab.meters[host]
    sending, receiving = (held[base + lane].rate if base + lane in used else 0 for base in (1 << 16, 2 << 16))
    return sending, receiving


def test_the_operators_settings_hold_for_every_port(lab: Lab) -> None:
    """Each lane has a meter of what it sends, of what it floods, asks and says by ARP, at the rates of the settings."""
    for host, lanes in ((H1, (2, 3)), (H2, (2,))):
        for lane in lanes:
            found = {number & ~0xFFFF: meter for number, meter in lab.meters[host].items() if number & 0xFFFF == lane}
            assert found == {
                SENDING_METERS: Meter(SENDING_METERS + lane, 20_000, found[SENDING_METERS].burst, MeterUnit.KILOBITS),
                STORM_METERS: Meter(STORM_METERS + lane, 300, 300),
                ASKING_METERS: Meter(ASKING_METERS + lane, 40, 40),
                INQUIRY_METERS: Meter(INQUIRY_METERS + lane, 300, 300),
            }


def test_ports_may_send_only_so_many_packets() -> None:
    """Where the operator says so, all IP that a port sends, and that is not asked of the network, meets its meter."""
    it = Lab(1, Settings(port_rate_pps=700))
    it.do(CreateNetwork("net", "p", vni=Vni(100)), CreateSubnet("four", "p", "net", ip_network("10.0.0.0/24")))
    for number, name in enumerate(("a", "b"), start=1):
        it.do(CreatePort(name, "p", "net", mac=Mac(0x02_00_00_00_00_00 + number), host=H1))
        it.plug(H1, name)
    assert it.meters[H1][PACKET_METERS + 2] == Meter(PACKET_METERS + 2, 700, 700)
    met = run(it.installed[H1].values(), it.ipv4("a", "b"), 2).met
    assert [flow.meter for flow in met if flow.meter is not None] == [PACKET_METERS + 2]
    assert len(it.send(H1, "a", it.ipv4("a", "b"))) == 1


def test_whatever_is_asked_of_the_controller_is_metered(lab: Lab) -> None:
    """No flow hands packets to the controller but by a meter, and what an active port asks goes by its lane's own."""
    asked = [flow for host in (H1, H2) for flow in lab.installed[host].values() if ToController() in flow.actions]
    assert asked
    for flow in asked:
        (lane,) = (condition.value for condition in flow.match if condition.field == IN_LANE)
        assert flow.meter == ASKING_METERS + lane, flow


def test_a_policy_limits_both_directions(lab: Lab) -> None:
    """Its limits are those of the port that has it, and of no other; without it the settings hold again."""
    lab.do(AddQosRule("gold", BandwidthLimit("up", 5_000)))
    lab.do(AddQosRule("gold", BandwidthLimit("down", 7_000, 2_000, Direction.INGRESS)))
    lab.do(UpdatePort("a", qos_policy_id="gold"))
    assert limits(lab, H1, 2) == (5_000, 7_000)
    assert lab.meters[H1][RECEIVING_METERS + 2].burst == 2_000
    assert limits(lab, H1, 3) == limits(lab, H2, 2) == (20_000, 0)
    lab.do(DeleteQosRule("gold", "up"))
    assert limits(lab, H1, 2) == (20_000, 7_000)
    lab.do(UpdatePort("a", qos_policy_id=None))
    assert limits(lab, H1, 2) == (20_000, 0)


def test_a_limit_of_0_is_none_at_all(lab: Lab) -> None:
    """So the operator lets a port send more than the setting says."""
    lab.do(AddQosRule("gold", BandwidthLimit("up", 0)), UpdatePort("a", qos_policy_id="gold"))
    assert limits(lab, H1, 2) == (0, 0)


def test_a_ports_own_policy_goes_before_its_networks(lab: Lab) -> None:
    """A network's policy holds for all its ports but those that have their own."""
    lab.do(AddQosRule("gold", BandwidthLimit("g", 5_000)), AddQosRule("silver", BandwidthLimit("s", 3_000)))
    lab.do(UpdateNetwork("net", qos_policy_id="gold"))
    lab.do(UpdatePort("b", qos_policy_id="silver"))
    assert [limits(lab, H1, 2)[0], limits(lab, H1, 3)[0], limits(lab, H2, 2)[0]] == [5_000, 3_000, 5_000]
    lab.do(UpdateQosRule("gold", "g", max_kbps=6_000))
    assert [limits(lab, H1, 2)[0], limits(lab, H1, 3)[0], limits(lab, H2, 2)[0]] == [6_000, 3_000, 6_000]
    lab.do(UpdateNetwork("net", qos_policy_id=None))
    assert [limits(lab, H1, 2)[0], limits(lab, H1, 3)[0], limits(lab, H2, 2)[0]] == [20_000, 3_000, 20_000]


def test_another_rate_touches_no_flow(lab: Lab) -> None:
    """When only a rate changes, only that meter is sent, to the hosts of the ports that have it; the port waits."""
    lab.do(AddQosRule("gold", BandwidthLimit("up", 5_000)), UpdatePort("a", qos_policy_id="gold"))
    lab.change(UpdateQosRule("gold", "up", max_kbps=6_000))
    assert lab.world.pending("a") == {H1}
    meter = Meter(SENDING_METERS + 2, 6_000, 1_500, MeterUnit.KILOBITS)
    assert lab.queues == {H1: [(lab.generation, Delta(meters=(meter,)))]}
    lab.settle()
    assert limits(lab, H1, 2)[0] == 6_000


def test_what_changes_no_limit_sends_nothing(lab: Lab) -> None:
    """A name, a tag, or a rule of a policy that nobody has."""
    lab.do(UpdatePort("a", qos_policy_id="gold"))
    for change in (
        UpdateQosPolicy("gold", name="g"),
        SetTags(DocumentKind.QOS_POLICY, "gold", add=("x",)),
        AddQosRule("silver", BandwidthLimit("s", 1_000)),
        UpdatePort("b", qos_policy_id="gold"),
    ):
        assert not lab.change(change).dirty or not lab.queues, change


def test_limits_move_with_the_machine(lab: Lab) -> None:
    """The target of a move has them before the machine comes."""
    lab.do(AddQosRule("gold", BandwidthLimit("up", 5_000)), UpdatePort("a", qos_policy_id="gold"))
    lab.do(BindPassive("a", H2))
    lab.plug(H2, "a")
    assert limits(lab, H2, 3)[0] == 5_000


@pytest.mark.parametrize(("sender", "receiver"), [("a", "b"), ("a", "c")])
def test_what_a_machine_sends_is_marked(lab: Lab, sender: str, receiver: str) -> None:
    """IP packets of both versions arrive marked, here and across the tunnel; what it gets and ARP are left alone."""
    lab.do(AddQosRule("gold", DscpMarking("mark", 46)), UpdatePort("a", qos_policy_id="gold"))
    for packet in (lab.ipv4(sender, receiver), six(lab, sender, receiver)):
        (arrival,) = lab.send(H1, sender, packet)
        assert arrival.packet["ip_dscp"] == 46
    home = lab.world.ports[receiver].host
    assert home is not None
    (answer,) = lab.send(home, receiver, lab.ipv4(receiver, sender))
    assert answer.packet.get("ip_dscp", 0) == 0
    lab.do(UpdateQosRule("gold", "mark", dscp_mark=8))
    assert lab.send(H1, sender, lab.ipv4(sender, receiver))[0].packet["ip_dscp"] == 8
    lab.do(DeleteQosRule("gold", "mark"))
    assert lab.send(H1, sender, lab.ipv4(sender, receiver))[0].packet.get("ip_dscp", 0) == 0


def six(lab: Lab, source: str, target: str) -> dict[str, int]:
    """An honest IPv6 packet from port to port."""
    return {
        **lab.ipv4(source, target),
        "eth_type": 0x86DD,
        "ipv6_src": int(lab.ip6(source)),
        "ipv6_dst": int(lab.ip6(target)),
    }


# --- the world --------------------------------------------------------------------------------------------------------


@pytest.fixture
def world() -> World:
    """A policy gold of project p with a limit and a mark, networks of p and q."""
    it = World()
    for change in (
        CreateNetwork("net", "p"),
        CreateNetwork("other", "q"),
        CreateQosPolicy("gold", "p", "gold", tags=("x",)),
        AddQosRule("gold", BandwidthLimit("up", 1_000)),
        AddQosRule("gold", DscpMarking("mark", 46)),
    ):
        it.apply(change, 0)
    return it


def test_policies_are_restored(world: World) -> None:
    """With their rules and users, from the documents."""
    world.apply(UpdateQosPolicy("gold", is_default=True), 1)
    world.apply(AddQosRule("gold", BandwidthLimit("down", 1, 2, Direction.INGRESS)), 1)
    world.apply(CreateNetwork("later", "p"), 1)
    world.apply(CreatePort("a", "p", "net", mac=Mac(2), fixed_ips=(), qos_policy_id="gold"), 1)
    again = World.restore(world.documents(), 9)
    assert again.documents() == world.documents()
    assert again.qos_policies == world.qos_policies
    assert again.networks["later"].qos_policy_id == "gold"
    with pytest.raises(Refusal, match="is used by network later"):
        again.apply(DeleteQosPolicy("gold"), 9)


def test_a_default_policy_is_for_what_comes(world: World) -> None:
    """New networks of its project have it until it is the default no more, or gone."""
    world.apply(UpdateQosPolicy("gold", is_default=True), 0)
    world.apply(CreateNetwork("later", "p"), 0)
    world.apply(CreateNetwork("elsewhere", "q"), 0)
    assert [world.networks[name].qos_policy_id for name in ("net", "later", "elsewhere")] == [None, "gold", None]
    world.apply(DeleteNetwork("later"), 0)
    world.apply(UpdateQosPolicy("gold", is_default=False), 0)
    world.apply(CreateNetwork("latest", "p"), 0)
    assert world.networks["latest"].qos_policy_id is None
    world.apply(UpdateQosPolicy("gold", is_default=True), 0)
    world.apply(DeleteQosPolicy("gold"), 0)
    world.apply(CreateNetwork("last", "p"), 0)
    assert world.networks["last"].qos_policy_id is None


def test_a_policy_is_free_when_nobody_has_it(world: World) -> None:
    """Ports and networks that go, or get another one, leave it; its shares go with it."""
    world.apply(CreatePort("a", "p", "net", mac=Mac(2), fixed_ips=(), qos_policy_id="gold"), 0)
    world.apply(UpdateNetwork("net", qos_policy_id="gold"), 0)
    world.apply(CreateShare("share", "p", Shareable.QOS_POLICY, "gold", "q"), 0)
    world.apply(UpdateNetwork("net", qos_policy_id=None), 0)
    with pytest.raises(Refusal, match="is used by port a"):
        world.apply(DeleteQosPolicy("gold"), 0)
    world.apply(DeletePort("a"), 0)
    world.apply(DeleteQosPolicy("gold"), 0)
    assert not world.shares
    assert not world.qos_policies


def test_a_share_stays_while_others_live_by_it(world: World) -> None:
    """Of a network or a port of another project; the owner's own use needs none."""
    world.apply(CreateShare("share", "p", Shareable.QOS_POLICY, "gold", "q"), 0)
    world.apply(UpdateNetwork("net", qos_policy_id="gold"), 0)
    world.apply(UpdateNetwork("other", qos_policy_id="gold"), 0)
    with pytest.raises(Refusal, match="project q") as refusal:
        world.apply(DeleteShare("share"), 0)
    assert refusal.value.kind == "RbacPolicyInUse"
    world.apply(UpdateQosPolicy("gold", shared=True, share_id="all"), 0)
    world.apply(DeleteShare("share"), 0)
    with pytest.raises(Refusal, match="project q"):
        world.apply(UpdateQosPolicy("gold", shared=False), 0)
    world.apply(UpdateNetwork("other", qos_policy_id=None), 0)
    world.apply(UpdateQosPolicy("gold", shared=False), 0)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (CreateQosPolicy("gold", "p"), "Conflict"),
        (UpdateQosPolicy("none"), "QosPolicyNotFound"),
        (UpdateQosPolicy("gold", expected=7), "RevisionNumberConstraintFailed"),
        (DeleteQosPolicy("none"), "QosPolicyNotFound"),
        (AddQosRule("none", DscpMarking("x", 8)), "QosPolicyNotFound"),
        (AddQosRule("gold", DscpMarking("x", 8)), "QoSRulesConflict"),
        (AddQosRule("gold", BandwidthLimit("x", 8)), "QoSRulesConflict"),
        (UpdateQosRule("gold", "none"), "QosRuleNotFound"),
        (UpdateQosRule("gold", "up", max_kbps=-1), "InvalidInput"),
        (UpdateQosRule("gold", "up", max_burst_kbps=1 << 31), "InvalidInput"),
        (UpdateQosRule("gold", "mark", dscp_mark=1), "InvalidInput"),
        (DeleteQosRule("gold", "none"), "QosRuleNotFound"),
        (CreateNetwork("n", "p", qos_policy_id="none"), "QosPolicyNotFound"),
        (UpdateNetwork("net", qos_policy_id="none"), "QosPolicyNotFound"),
        (CreatePort("n", "p", "net", mac=Mac(2), fixed_ips=(), qos_policy_id="none"), "QosPolicyNotFound"),
        (CreateShare("s", "p", Shareable.QOS_POLICY, "none", "q"), "RbacPolicyObjectNotFound"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(world: World, change: object, kind: str) -> None:
    """With Neutron's name for it."""
    before = world.documents()
    with pytest.raises(Refusal) as refusal:
        world.apply(change, 0)  # type: ignore[arg-type]
    assert refusal.value.kind == kind
    assert world.documents() == before


def test_a_project_has_one_default_policy(world: World) -> None:
    """A second one is refused, made or changed."""
    world.apply(UpdateQosPolicy("gold", is_default=True), 0)
    world.apply(CreateQosPolicy("silver", "p"), 0)
    world.apply(CreateQosPolicy("foreign", "q", is_default=True), 0)
    for change in (CreateQosPolicy("more", "p", is_default=True), UpdateQosPolicy("silver", is_default=True)):
        with pytest.raises(Refusal) as refusal:
            world.apply(change, 0)
        assert refusal.value.kind == "QoSPolicyDefaultAlreadyExists"


def test_rules_change_in_their_words(world: World) -> None:
    """What is not named stays, and each change is one revision of the policy."""
    world.apply(UpdateQosRule("gold", "up", max_burst_kbps=5), 3)
    world.apply(UpdateQosRule("gold", "up", direction=Direction.INGRESS), 3)
    world.apply(UpdateQosRule("gold", "mark"), 3)
    policy = world.qos_policy("gold")
    assert policy.rules == (BandwidthLimit("up", 1_000, 5, Direction.INGRESS), DscpMarking("mark", 46))
    assert (policy.record.revision, policy.record.updated_at, policy.record.tags) == (5, 3, ("x",))


@pytest.mark.parametrize("mark", [-1, 1, 42, 63, 64])
def test_only_neutrons_marks_can_be_had(mark: int) -> None:
    """Those of its list, of which 44 is none."""
    assert 44 not in DSCP_MARKS
    with pytest.raises(Refusal, match="dscp_mark"):
        DscpMarking("x", mark)


def test_a_port_begins_only_so_many_connections() -> None:
    """A connection that a filtered port begins meets its meter; what goes on, and what others begin, does not."""
    it = Lab(1, Settings(port_connections=70))
    it.do(CreateNetwork("net", "p", vni=Vni(100)), CreateSubnet("four", "p", "net", ip_network("10.0.0.0/24")))
    it.do(CreateSecurityGroup("all", "p", ("out", "in"), "all"))
    for number, (name, groups) in enumerate((("a", ("all",)), ("b", None)), start=1):
        mac = Mac(0x02_00_00_00_00_00 + number)
        it.do(CreatePort(name, "p", "net", mac=mac, host=H1, security_groups=groups))
        it.plug(H1, name)
    assert it.meters[H1][BEGINNING_METERS + 2] == Meter(BEGINNING_METERS + 2, 70, 70)
    assert BEGINNING_METERS + 3 not in it.meters[H1]

    def metered(sender: str, receiver: str) -> list[int | None]:
        made = it.ipv4(sender, receiver)
        met = run(it.installed[H1].values(), made, it.world.footing(sender).tap_at(H1).ofport, tracker).met
        return [flow.meter for flow in met if flow.meter is not None]

    tracker = Tracker()
    assert metered("a", "b") == [BEGINNING_METERS + 2]
    assert metered("a", "b") == []
    assert metered("b", "a") == []


def test_ports_may_begin_any_number_of_connections() -> None:
    """A limit of 0 is none."""
    it = Lab(1, Settings(port_connections=0))
    it.do(CreateNetwork("net", "p", vni=Vni(100)), CreateSubnet("four", "p", "net", ip_network("10.0.0.0/24")))
    it.do(CreateSecurityGroup("all", "p", ("out", "in"), "all"))
    it.do(CreatePort("a", "p", "net", mac=Mac(0x02_00_00_00_00_01), host=H1, security_groups=("all",)))
    it.plug(H1, "a")
    assert BEGINNING_METERS + 2 not in it.meters[H1]


def test_arp_is_limited_before_it_is_looked_into(lab: Lab) -> None:
    """What a port says by ARP meets its meter first, and is answered or goes on all the same."""
    ask = packets.arp(lab.mac("a"), lab.ip4("a"), lab.ip4("c"))
    met = run(lab.installed[H1].values(), ask, 2).met
    names = [table.name for flow in met for table in PIPELINE.tables if table.id == flow.table]
    assert names.index("inquiry") == names.index("arp") - 1
    assert [flow.meter for flow in met if flow.table == PIPELINE["inquiry"].id] == [INQUIRY_METERS + 2]
    (answer,) = lab.send(H1, "a", ask)
    assert answer.port_id == "a"
