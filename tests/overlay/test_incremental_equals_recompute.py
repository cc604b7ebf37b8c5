"""The incremental compiler, and a world restored from its documents, agree with a recompute from scratch: always."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address, ip_network

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from overlay.changes import (
    UNCHANGED,
    Activate,
    Announced,
    BindPassive,
    Change,
    CreateNetwork,
    CreatePort,
    CreateShare,
    CreateSubnet,
    CreateSubnetPool,
    DeleteNetwork,
    DeletePort,
    DeleteShare,
    DeleteSubnet,
    DeleteSubnetPool,
    DocumentKind,
    FixedIpRequest,
    HostBack,
    HostLost,
    HostSeen,
    HostSnapshot,
    Plugged,
    ResetQuota,
    SetQuota,
    SetTags,
    Tick,
    Unbind,
    Unchanged,
    Unplugged,
    UpdateNetwork,
    UpdatePort,
    UpdateShare,
    UpdateSubnet,
    UpdateSubnetPool,
)
from overlay.compile import Compiler, units_of
from overlay.direct.changes import Attach, EdgeSnapshot, Unwired, Wired
from overlay.evacuation.changes import EndEvacuation, Evacuate
from overlay.mirrors.changes import (
    CreateTapFlow,
    CreateTapService,
    DeleteTapFlow,
    DeleteTapService,
    UpdateTapFlow,
    UpdateTapService,
)
from overlay.mirrors.values import TapDirection
from overlay.multicast.changes import Joined, Left
from overlay.policy.changes import (
    CreateAddressGroup,
    CreateSecurityGroup,
    CreateSecurityRule,
    CreateSecurityRules,
    DeleteAddressGroup,
    DeleteSecurityGroup,
    DeleteSecurityRule,
    MakeDefaultGroup,
    PairRequest,
    UpdateAddressGroup,
    UpdateSecurityGroup,
)
from overlay.policy.values import Direction
from overlay.qos.changes import (
    AddQosRule,
    CreateQosPolicy,
    DeleteQosPolicy,
    DeleteQosRule,
    UpdateQosPolicy,
    UpdateQosRule,
)
from overlay.qos.values import BandwidthLimit, DscpMarking
from overlay.refusals import Refusal
from overlay.trunks.changes import AddSubPorts, CreateTrunk, DeleteTrunk, RemoveSubPorts, UpdateTrunk
from overlay.trunks.values import SubPort
from overlay.values import (
    Countable,
    DatapathId,
    Host,
    HostKind,
    HostName,
    Ipv6Mode,
    Mac,
    Pool,
    Shareable,
    Vni,
    VnicType,
)
from overlay.world import Settings, World
from tests.model.lab import Lab

HOSTS = st.sampled_from([HostName(f"h{number}") for number in range(1, 5)])
NETWORKS = st.sampled_from(["red", "blue"])
POOL = (ip_network("10.8.0.0/29"),)
GROWTH = (ip_network("10.8.0.8/29"),)
PORTS = st.sampled_from([f"port{number}" for number in range(6)])
SUBNETS = {"four": ip_network("10.0.0.0/29"), "other": ip_network("10.0.0.4/30"), "six": ip_network("2001:db8::/64")}
TRUNKS = st.sampled_from(["trunk0", "trunk1"])
SUB_PORTS = st.lists(st.builds(SubPort, PORTS, st.integers(0, 3)), min_size=1, max_size=2)
EDGE = Host(HostName("tor"), IPv4Address("10.0.9.250"), DatapathId(9), 1, kind=HostKind.EDGE)
CABLES = st.sampled_from(["e1", "e2"])
TEXTS = st.sampled_from([None, "a", "b"])
GROUPS = st.sampled_from(["one", "two", "default-p"])
SERVICES = st.sampled_from(["service1", "service2"])
ADDRESSES = "addresses"
PAIRS = st.sampled_from(
    [
        (),
        (PairRequest(ip_network("10.0.0.6/32")),),
        (PairRequest(ip_network("10.0.0.0/30"), Mac(5)), PairRequest(ip_network("2001:db8::/64"))),
    ]
)
UPS = st.sampled_from([None, True, False])
POLICIES = st.sampled_from(["gold", "silver"])
WAYS = list(Direction)
PROJECTS = st.sampled_from(["p", "q"])
MULTICAST = st.lists(
    st.sampled_from(list(map(ip_address, ("239.0.0.1", "239.0.0.2", "ff05::1", "224.0.0.9")))), max_size=3
)
MEAGRE = Settings(
    vni_first=1,
    vni_last=4,
    grace=1.0,
    move_timeout=30.0,
    groups_per_port=2,
    groups_per_network=2,
    listening=40.0,
)
WISHES = st.none() | st.lists(st.sampled_from(["four", "six", "10.0.0.3", "10.0.0.9"]), max_size=2)


def wished(network: str, wishes: list[str] | None) -> tuple[FixedIpRequest, ...] | None:
    """Wishes for addresses, in a network's subnets."""
    if wishes is None:
        return None
    return tuple(
        FixedIpRequest(ip=IPv4Address(wish)) if "." in wish else FixedIpRequest(f"{network}-{wish}") for wish in wishes
    )


class Lives(RuleBasedStateMachine):
    """Anything that can be asked or can happen, in any order; refused intents among it."""

    def __init__(self) -> None:
        super().__init__()
        self.lab = Lab(4, MEAGRE)
        self.lab.hosts.append(EDGE.name)
        self.lab.do(HostSeen(EDGE))

    @initialize()
    def furnish(self) -> None:
        """Begin with something to play with, or most intents would be refused."""
        for name in ("red", "blue"):
            self.apply(CreateNetwork(name, "p"))
            self.apply(CreateSubnet(f"{name}-four", "p", name, SUBNETS["four"]))
        self.apply(CreateSubnetPool("pool", "p", "", POOL))
        for number in range(4):
            host = self.lab.hosts[number % 3]
            self.apply(CreatePort(f"port{number}", "p", ("red", "blue")[number % 2], mac=Mac(number + 1), host=host))
            self.apply(Plugged(host, f"port{number}", number + 2))
        self.apply(CreatePort("port4", "p", "red", mac=Mac(5)))
        self.apply(CreateSecurityGroup("one", "p", ("one-out4", "one-out6")))
        self.apply(UpdatePort("port0", security_groups=("one",)))
        self.lab.settle()
        self.apply(Unplugged(HostName("h1"), "port0"))
        self.apply(Plugged(HostName("h2"), "port0", 5))
        self.lab.settle()
        self.lab.now += 31
        self.apply(Tick())
        assert self.lab.world.ports["port0"].travelled
        self.apply(CreateTrunk("trunk0", "p", "port1", sub_ports=(SubPort("port4", 7),)))

    def apply(self, change: Change) -> None:
        """Apply one change; a refusal must leave everything as it was."""
        before = self.lab.world.documents()
        try:
            self.lab.change(change)
        except Refusal:
            assert self.lab.world.documents() == before

    @rule(network=NETWORKS, vni=st.sampled_from([None, Vni(1), Vni(2)]), transparent=st.booleans())
    def create_network(self, network: str, vni: Vni | None, transparent: bool) -> None:
        self.apply(CreateNetwork(network, "p", vni=vni, vlan_transparent=transparent))

    @rule(network=NETWORKS, text=TEXTS, up=UPS, expected=st.sampled_from([None, 1]))
    def update_network(self, network: str, text: str | None, up: bool | None, expected: int | None) -> None:
        self.apply(UpdateNetwork(network, name=text, admin_up=up, expected=expected))

    @rule(network=NETWORKS)
    def delete_network(self, network: str) -> None:
        self.apply(DeleteNetwork(network))

    @rule(
        network=NETWORKS,
        which=st.sampled_from(sorted(SUBNETS)),
        dhcp=st.booleans(),
        mode=st.sampled_from([None, *Ipv6Mode]),
        both=st.booleans(),
    )
    def create_subnet(self, network: str, which: str, dhcp: bool, mode: Ipv6Mode | None, both: bool) -> None:
        made = CreateSubnet(f"{network}-{which}", "p", network, SUBNETS[which], dhcp=dhcp)
        if which == "six":
            made = replace(made, ipv6_address_mode=mode, ipv6_ra_mode=mode if both else None)
        self.apply(made)

    @rule(network=NETWORKS, length=st.sampled_from([None, 30, 31]))
    def cut_subnet(self, network: str, length: int | None) -> None:
        self.apply(CreateSubnet(f"{network}-cut", "p", network, None, subnetpool_id="pool", prefixlen=length))

    @rule(
        network=NETWORKS,
        which=st.sampled_from([*sorted(SUBNETS), "cut"]),
        text=TEXTS,
        gateway=st.sampled_from([UNCHANGED, None, IPv4Address("10.0.0.1"), IPv4Address("10.0.0.6")]),
        pool=st.sampled_from([None, (2, 3), (2, 6), (3, 5)]),
        dhcp=st.sampled_from([None, True, False]),
    )
    def update_subnet(  # noqa: PLR0917
        self,
        network: str,
        which: str,
        text: str | None,
        gateway: IPv4Address | Unchanged | None,
        pool: tuple[int, int] | None,
        dhcp: bool | None,
    ) -> None:
        net = SUBNETS["four"]
        pools = None if pool is None else (Pool(net[pool[0]], net[pool[1]]),)
        self.apply(UpdateSubnet(f"{network}-{which}", description=text, gateway_ip=gateway, pools=pools, dhcp=dhcp))

    @rule(network=NETWORKS, which=st.sampled_from(sorted(SUBNETS)))
    def delete_subnet(self, network: str, which: str) -> None:
        self.apply(DeleteSubnet(f"{network}-{which}"))

    @rule(
        port=PORTS,
        network=NETWORKS,
        mac=st.integers(1, 6),
        host=st.none() | HOSTS,
        wishes=WISHES,
        project=PROJECTS,
        up=st.booleans(),
    )
    def create_port(  # noqa: PLR0917  (a rule of hypothesis)
        self,
        port: str,
        network: str,
        mac: int,
        host: HostName | None,
        wishes: list[str] | None,
        project: str,
        up: bool,
    ) -> None:
        asked = wished(network, wishes)
        self.apply(CreatePort(port, project, network, mac=Mac(mac), host=host, fixed_ips=asked, admin_up=up))

    @rule(port=PORTS, text=TEXTS, up=UPS, mac=st.none() | st.integers(1, 6), expected=st.sampled_from([None, 1]))
    def change_port(self, port: str, text: str | None, up: bool | None, mac: int | None, expected: int | None) -> None:
        mac_ = None if mac is None else Mac(mac)
        self.apply(UpdatePort(port, name=text, admin_up=up, mac=mac_, expected=expected))

    @rule(port=PORTS, network=NETWORKS, wishes=WISHES)
    def readdress(self, port: str, network: str, wishes: list[str] | None) -> None:
        self.apply(UpdatePort(port, fixed_ips=wished(network, wishes)))

    @rule(port=PORTS, host=st.none() | HOSTS, wishes=WISHES, up=UPS)
    def rebind(self, port: str, host: HostName | None, wishes: list[str] | None, up: bool | None) -> None:
        self.apply(UpdatePort(port, host=host, fixed_ips=wished("red", wishes), admin_up=up))

    @rule(host=HOSTS, to=st.none() | HOSTS, activate=st.booleans(), end=st.booleans())
    def evacuate(self, host: HostName, to: HostName | None, activate: bool, end: bool) -> None:
        targets = () if to is None else (to,)
        self.apply(EndEvacuation(host) if end else Evacuate(host, targets, 1, activate))

    @rule(shared=st.booleans(), grown=st.booleans(), delete=st.booleans())
    def judge_pool(self, shared: bool, grown: bool, delete: bool) -> None:
        self.apply(DeleteSubnetPool("pool") if delete else CreateSubnetPool("pool", "p", "", POOL, shared=shared))
        self.apply(UpdateSubnetPool("pool", prefixes=(*POOL, *GROWTH) if grown else None, is_default=shared))

    @rule(number=st.integers(1, 2), network=NETWORKS, whom=st.sampled_from(["p", "q", "*"]))
    def share(self, number: int, network: str, whom: str) -> None:
        self.apply(CreateShare(f"share{number}", "p", Shareable.NETWORK, network, whom))

    @rule(number=st.integers(1, 2), whom=st.sampled_from(["q", "*", None]))
    def judge_share(self, number: int, whom: str | None) -> None:
        self.apply(DeleteShare(f"share{number}") if whom is None else UpdateShare(f"share{number}", whom))

    @rule(kind=st.sampled_from(list(Countable)), limit=st.sampled_from([None, -1, 0, 3]))
    def limit(self, kind: Countable, limit: int | None) -> None:
        self.apply(ResetQuota("p") if limit is None else SetQuota("p", {kind: limit}))

    @rule(
        what=st.sampled_from(
            [
                ("network", "red"),
                ("subnet", "red-four"),
                ("port", "port1"),
                ("subnetpool", "pool"),
                ("security_group", "one"),
            ]
        ),
        tag=st.sampled_from([(), ("x",)]),
    )
    def tag(self, what: tuple[str, str], tag: tuple[str, ...]) -> None:
        self.apply(SetTags(DocumentKind(what[0]), what[1], add=tag, remove=None))

    @rule(port=PORTS, secure=UPS, groups=st.none() | st.lists(GROUPS, max_size=2), pairs=st.none() | PAIRS)
    def secure(
        self, port: str, secure: bool | None, groups: list[str] | None, pairs: tuple[PairRequest, ...] | None
    ) -> None:
        chosen = None if groups is None else tuple(groups)
        self.apply(UpdatePort(port, port_security=secure, security_groups=chosen, allowed_pairs=pairs))

    @rule(network=NETWORKS, secure=UPS)
    def secure_network(self, network: str, secure: bool | None) -> None:
        self.apply(UpdateNetwork(network, port_security=secure))

    @rule(group=GROUPS, project=PROJECTS, text=TEXTS, delete=st.booleans())
    def judge_group(self, group: str, project: str, text: str | None, delete: bool) -> None:
        self.apply(MakeDefaultGroup(project, f"default-{project}", tuple(f"{project}-{n}" for n in range(4))))
        made = CreateSecurityGroup(group, project, (f"{group}-out4", f"{group}-out6"))
        if delete:
            self.apply(DeleteSecurityGroup(group, default=True))
        elif not group.startswith("default"):
            self.apply(made)
        self.apply(UpdateSecurityGroup(group, name=text))

    @rule(
        number=st.integers(0, 5),
        group=GROUPS,
        direction=st.sampled_from(list(Direction)),
        family=st.sampled_from([4, 6]),
        service=st.sampled_from([(None, None, None), (6, 80, 80), (17, 1, 3), (1, 8, None), (58, 128, 0), (6, 3, 2)]),
        remote=st.sampled_from([None, "one", "two", ADDRESSES, *POOL]),
        more=st.sampled_from([(), (443,), (443, 80)]),
    )
    def allow(  # noqa: PLR0917  (a rule of hypothesis)
        self,
        number: int,
        group: str,
        direction: Direction,
        family: int,
        service: tuple[int | None, int | None, int | None],
        remote: str | IPv4Network | None,
        more: tuple[int, ...],
    ) -> None:
        known = self.lab.world.security_groups.get(group)
        made = CreateSecurityRule(
            f"rule{number}",
            "p" if known is None else known.project_id,
            group,
            direction,
            family,
            *service,
            remote_group_id=remote if remote in {"one", "two"} else None,
            remote_prefix=remote if isinstance(remote, IPv4Network) else None,
            remote_address_group_id=ADDRESSES if remote == ADDRESSES else None,
        )
        others = (
            replace(made, id=f"rule{number + 6 + port}", protocol=6, port_min=port, port_max=port) for port in more
        )
        self.apply(CreateSecurityRules((made, *others)) if more else made)

    @rule(rule=st.sampled_from([*(f"rule{number}" for number in range(6)), "rule449", "one-out4", "p-2"]))
    def disallow(self, rule: str) -> None:
        self.apply(DeleteSecurityRule(rule))

    @rule(add=st.sampled_from([(), POOL, GROWTH]), remove=st.sampled_from([(), POOL]), delete=st.booleans())
    def judge_addresses(self, add: tuple[IPv4Network, ...], remove: tuple[IPv4Network, ...], delete: bool) -> None:
        self.apply(CreateAddressGroup(ADDRESSES, "p"))
        self.apply(DeleteAddressGroup(ADDRESSES) if delete else UpdateAddressGroup(ADDRESSES, add=add, remove=remove))

    @rule(trunk=TRUNKS, parent=PORTS, subs=SUB_PORTS, up=st.booleans())
    def create_trunk(self, trunk: str, parent: str, subs: list[SubPort], up: bool) -> None:
        self.apply(CreateTrunk(trunk, "p", parent, sub_ports=tuple(subs), admin_up=up))

    @rule(trunk=TRUNKS, text=TEXTS, up=UPS)
    def update_trunk(self, trunk: str, text: str | None, up: bool | None) -> None:
        self.apply(UpdateTrunk(trunk, name=text, admin_up=up))

    @rule(trunk=TRUNKS, subs=SUB_PORTS, add=st.booleans())
    def change_sub_ports(self, trunk: str, subs: list[SubPort], add: bool) -> None:
        removed = tuple(sub.port_id for sub in subs)
        self.apply(AddSubPorts(trunk, tuple(subs)) if add else RemoveSubPorts(trunk, removed))

    @rule(trunk=TRUNKS)
    def delete_trunk(self, trunk: str) -> None:
        self.apply(DeleteTrunk(trunk))

    @rule(service=SERVICES, port=PORTS, project=PROJECTS, text=TEXTS, delete=st.booleans())
    def judge_tap_service(self, service: str, port: str, project: str, text: str | None, delete: bool) -> None:
        made = CreateTapService(service, project, port)
        self.apply(DeleteTapService(service) if delete else made)
        self.apply(UpdateTapService(service, name=text))

    @rule(
        flow=st.sampled_from(["flow1", "flow2", "flow3"]),
        service=SERVICES,
        port=PORTS,
        direction=st.sampled_from(list(TapDirection)),
        text=TEXTS,
        delete=st.booleans(),
    )
    def mirror(  # noqa: PLR0917  (a rule of hypothesis)
        self, flow: str, service: str, port: str, direction: TapDirection, text: str | None, delete: bool
    ) -> None:
        self.apply(DeleteTapFlow(flow) if delete else CreateTapFlow(flow, "p", service, port, direction))
        self.apply(UpdateTapFlow(flow, description=text))

    @rule(policy=POLICIES, project=PROJECTS, default=st.booleans(), delete=st.booleans())
    def judge_policy(self, policy: str, project: str, default: bool, delete: bool) -> None:
        self.apply(DeleteQosPolicy(policy) if delete else CreateQosPolicy(policy, project, is_default=default))

    @rule(policy=POLICIES, default=UPS, shared=UPS)
    def update_policy(self, policy: str, default: bool | None, shared: bool | None) -> None:
        self.apply(UpdateQosPolicy(policy, is_default=default, shared=shared, share_id=f"share-{policy}"))

    @rule(policy=POLICIES, rule_id=st.sampled_from(["r1", "r2"]), what=st.integers(0, 3), kbps=st.integers(0, 2))
    def add_rule(self, policy: str, rule_id: str, what: int, kbps: int) -> None:
        made = DscpMarking(rule_id, 46) if what == 3 else BandwidthLimit(rule_id, kbps, direction=WAYS[what % 2])
        if any(known.id == rule_id for one in self.lab.world.qos_policies.values() for known in one.rules):
            self.apply(DeleteQosRule(policy, rule_id))
        else:
            self.apply(AddQosRule(policy, made))

    @rule(policy=POLICIES, rule_id=st.sampled_from(["r1", "r2"]), kbps=st.integers(0, 2), way=st.sampled_from(WAYS))
    def update_rule(self, policy: str, rule_id: str, kbps: int, way: Direction) -> None:
        self.apply(UpdateQosRule(policy, rule_id, max_kbps=kbps, direction=way, dscp_mark=kbps * 8))

    @rule(port=PORTS, network=NETWORKS, policy=st.none() | POLICIES, whole=st.booleans())
    def limit_port(self, port: str, network: str, policy: str | None, whole: bool) -> None:
        self.apply(UpdateNetwork(network, qos_policy_id=policy) if whole else UpdatePort(port, qos_policy_id=policy))

    @rule(port=PORTS)
    def delete_port(self, port: str) -> None:
        self.apply(DeletePort(port))

    @rule(port=PORTS, host=HOSTS)
    def bind_passive(self, port: str, host: HostName) -> None:
        self.apply(BindPassive(port, host))

    @rule(port=PORTS, host=HOSTS, how=st.sampled_from([Activate, Announced, Unbind]))
    def judge(self, port: str, host: HostName, how: type) -> None:
        self.apply(how(host, port) if how is Announced else how(port, host))

    @rule(port=PORTS, host=HOSTS, ofport=st.integers(2, 6))
    def plug(self, port: str, host: HostName, ofport: int) -> None:
        self.apply(Plugged(host, port, ofport))

    @rule(port=PORTS, host=HOSTS)
    def unplug(self, port: str, host: HostName) -> None:
        self.apply(Unplugged(host, port))

    @rule(cable=CABLES, ofport=st.sampled_from([None, 2, 3]))
    def wire(self, cable: str, ofport: int | None) -> None:
        for other, had in self.lab.world.cables_told(EDGE.name):
            if had == ofport and other != cable:
                self.apply(Unwired(EDGE.name, other))
        self.apply(Unwired(EDGE.name, cable) if ofport is None else Wired(EDGE.name, cable, ofport))

    @rule(cables=st.sampled_from([(), (("e1", 2),), (("e2", 2), ("e1", 3))]))
    def rewire(self, cables: tuple[tuple[str, int], ...]) -> None:
        self.apply(EdgeSnapshot(EDGE.name, cables))

    @rule(
        port=PORTS,
        kind=st.sampled_from(list(VnicType)),
        switch=st.sampled_from([None, "tor", "tor", "tor", "h1"]),
        cable=st.sampled_from(["e1", "e2", "2", "7"]),
        vid=st.integers(0, 2),
        host=st.sampled_from([UNCHANGED, UNCHANGED, None, HostName("h2"), EDGE.name]),
    )
    def attach(  # noqa: PLR0917  (one wish, in its parts)
        self, port: str, kind: VnicType, switch: str | None, cable: str, vid: int, host: HostName | Unchanged | None
    ) -> None:
        self.apply(UpdatePort(port, attach=Attach(kind, switch, cable, vid), host=host))

    @rule(port=PORTS, cable=CABLES, vid=st.integers(0, 2))
    def create_wired(self, port: str, cable: str, vid: int) -> None:
        self.apply(CreatePort(port, "p", "red", mac=Mac(77), attach=Attach(VnicType.DIRECT, "tor", cable, vid)))

    @rule(port=PORTS, host=HOSTS, groups=MULTICAST, how=st.sampled_from([Joined, Joined, Left]))
    def report(self, port: str, host: HostName, groups: list[IPv4Address | IPv6Address], how: type) -> None:
        home = self.lab.world.ports[port].host if port in self.lab.world.ports else None
        self.apply(how(home or host, port, tuple(groups)))

    @rule(host=HOSTS, ports=st.lists(PORTS, unique=True, max_size=4), first=st.integers(2, 4))
    def snapshot(self, host: HostName, ports: list[str], first: int) -> None:
        self.apply(HostSnapshot(host, tuple(zip(ports, range(first, 9), strict=False))))

    @rule(host=HOSTS, how=st.sampled_from([HostLost, HostBack]))
    def lose_or_find(self, host: HostName, how: type) -> None:
        self.apply(how(host))

    @rule(host=HOSTS, la=st.integers(1, 5), tunnel=st.sampled_from([None, 1, 1]), answers=st.booleans())
    def see_host(self, host: HostName, la: int, tunnel: int | None, answers: bool) -> None:
        known = self.lab.world.hosts[host]
        seen = replace(known, la=IPv4Address(f"10.0.{la}.11"), tunnel_port=tunnel, answers_nd=answers)
        self.apply(HostSeen(seen))

    @rule(host=HOSTS)
    def confirm(self, host: HostName) -> None:
        self.lab.confirm(host)

    @rule()
    def settle(self) -> None:
        self.lab.settle()

    @rule(seconds=st.sampled_from([0.1, 1.0, 31.0]))
    def tick(self, seconds: float) -> None:
        self.lab.now += seconds
        self.apply(Tick())

    @invariant()
    def incremental_is_recompute(self) -> None:
        """Flow for flow, on every host."""
        compiler = self.lab.compiler
        assert {host: dict(compiler.desired(host)) for host in compiler.hosts()} == compiler.recompute()

    @invariant()
    def what_projects_have_is_counted(self) -> None:
        """The indexes by project say what looking at everything says."""
        world = self.lab.world
        for project in ("p", "q"):
            assert world.usage(project) == {
                kind: sum(thing.project_id == project for thing in things.values())
                for kind, things in (
                    (Countable.NETWORK, world.networks),
                    (Countable.SUBNET, world.subnets),
                    (Countable.PORT, world.ports),
                    (Countable.SUBNETPOOL, world.subnetpools),
                    (Countable.RBAC_POLICY, world.shares),
                    (Countable.SECURITY_GROUP, world.security_groups),
                    (Countable.SECURITY_GROUP_RULE, world.security_rules),
                    (Countable.ADDRESS_GROUP, world.address_groups),
                    (Countable.TAP_SERVICE, world.tap_services),
                    (Countable.TAP_FLOW, world.tap_flows),
                    (Countable.QOS_POLICY, world.qos_policies),
                    (Countable.TRUNK, world.trunks),
                )
            }
        for group_id in world.security_groups:
            members = {port.id for port in world.ports.values() if group_id in (port.security_groups or ())}
            assert {port.id for port in world.ports_in(group_id)} == members
            said = {rule.id for rule in world.security_rules.values() if rule.group_id == group_id}
            assert {rule.id for rule in world.rules_of(group_id)} == said
        for subnet_id, subnet in world.subnets.items():
            used = [
                fixed.ip for port in world.ports.values() for fixed in port.fixed_ips if fixed.subnet_id == subnet_id
            ]
            pools = [(int(pool.first), int(pool.last)) for pool in subnet.pools]
            inside = sum(first <= int(ip) <= last for ip in used for first, last in pools)
            assert world.used_addresses(subnet_id) == len(used)
            assert world.free_addresses(subnet_id) == sum(last - first + 1 for first, last in pools) - inside

    @invariant()
    def switches_follow(self) -> None:
        """What is installed, plus what is on its way, is what is desired."""
        for host in self.lab.hosts:
            held = dict(self.lab.installed.get(host, {}))
            for _, delta in self.lab.queues.get(host, ()):
                held.update({flow.key: flow for flow in delta.put})
                for flow in delta.remove:
                    del held[flow.key]
            assert held == dict(self.lab.compiler.desired(host))
            meters = dict(self.lab.meters.get(host, {}))
            for _, delta in self.lab.queues.get(host, ()):
                meters.update({meter.meter_id: meter for meter in delta.meters})
            wanted = {meter.meter_id: meter for meter in self.lab.compiler.meters(host)}
            assert {number: meters.get(number, wanted[number]) for number in wanted} == wanted
            assert {flow.meter for flow in held.values()} <= {None, *wanted}

    @invariant()
    def restored_is_the_same(self) -> None:
        """The documents make the same world again, and with the same taps the same flows."""
        world = self.lab.world
        assert {(d.kind, d.id): d for d in world.documents()} == self.lab.stored
        again = World.restore(world.documents(), self.lab.now, world.settings)
        assert sorted(map(repr, again.documents())) == sorted(map(repr, world.documents()))
        if any(world.move_of(port_id) for port_id in world.ports):
            return  # moves go on when taps are reported: another time, another phase
        for host in self.lab.hosts:
            told = HostSnapshot(host, world.taps_told(host))
            again.apply(EdgeSnapshot(host, world.cables_told(host)) if host == EDGE.name else told, self.lab.now)
        if all(again.move_of(port_id) is None for port_id in again.ports):
            compiler = Compiler(again)
            compiler.refresh(units_of(again))
            if again.ports == world.ports:
                for host in self.lab.hosts:
                    assert dict(compiler.desired(host)) == dict(self.lab.compiler.desired(host))


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
