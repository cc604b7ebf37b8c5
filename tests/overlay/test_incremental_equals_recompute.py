"""The incremental compiler, and a world restored from its documents, agree with a recompute from scratch: always."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_network

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from overlay.changes import (
    Activate,
    Announced,
    BindPassive,
    Change,
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    DeleteNetwork,
    DeletePort,
    DeleteSubnet,
    FixedIpRequest,
    HostBack,
    HostLost,
    HostSeen,
    HostSnapshot,
    Plugged,
    Tick,
    Unbind,
    Unplugged,
    UpdateNetwork,
    UpdatePort,
    UpdateSubnet,
)
from overlay.compile import Compiler, units_of
from overlay.refusals import Refusal
from overlay.values import HostName, Mac, Vni
from overlay.world import Settings, World
from tests.model.lab import Lab

HOSTS = st.sampled_from([HostName(f"h{number}") for number in range(1, 5)])
NETWORKS = st.sampled_from(["red", "blue"])
PORTS = st.sampled_from([f"port{number}" for number in range(6)])
SUBNETS = {"four": ip_network("10.0.0.0/29"), "other": ip_network("10.0.0.4/30"), "six": ip_network("2001:db8::/64")}
TEXTS = st.sampled_from([None, "a", "b"])


class Lives(RuleBasedStateMachine):
    """Anything that can be asked or can happen, in any order; refused intents among it."""

    def __init__(self) -> None:
        super().__init__()
        self.lab = Lab(4, Settings(vni_first=1, vni_last=2, grace=1.0, move_timeout=30.0))

    @initialize()
    def furnish(self) -> None:
        """Begin with something to play with, or most intents would be refused."""
        for name in ("red", "blue"):
            self.apply(CreateNetwork(name, "p"))
            self.apply(CreateSubnet(f"{name}-four", "p", name, SUBNETS["four"]))
        for number in range(4):
            host = self.lab.hosts[number % 3]
            self.apply(CreatePort(f"port{number}", "p", ("red", "blue")[number % 2], mac=Mac(number + 1), host=host))
            self.apply(Plugged(host, f"port{number}", number + 2))

    def apply(self, change: Change) -> None:
        """Apply one change; a refusal must leave everything as it was."""
        before = self.lab.world.documents()
        try:
            self.lab.change(change)
        except Refusal:
            assert self.lab.world.documents() == before

    @rule(network=NETWORKS, vni=st.sampled_from([None, Vni(1), Vni(2)]))
    def create_network(self, network: str, vni: Vni | None) -> None:
        self.apply(CreateNetwork(network, "p", vni=vni))

    @rule(network=NETWORKS, text=TEXTS)
    def update_network(self, network: str, text: str | None) -> None:
        self.apply(UpdateNetwork(network, name=text))

    @rule(network=NETWORKS)
    def delete_network(self, network: str) -> None:
        self.apply(DeleteNetwork(network))

    @rule(network=NETWORKS, which=st.sampled_from(sorted(SUBNETS)))
    def create_subnet(self, network: str, which: str) -> None:
        self.apply(CreateSubnet(f"{network}-{which}", "p", network, SUBNETS[which]))

    @rule(network=NETWORKS, which=st.sampled_from(sorted(SUBNETS)), text=TEXTS)
    def update_subnet(self, network: str, which: str, text: str | None) -> None:
        self.apply(UpdateSubnet(f"{network}-{which}", description=text))

    @rule(network=NETWORKS, which=st.sampled_from(sorted(SUBNETS)))
    def delete_subnet(self, network: str, which: str) -> None:
        self.apply(DeleteSubnet(f"{network}-{which}"))

    @rule(
        port=PORTS,
        network=NETWORKS,
        mac=st.integers(1, 6),
        host=st.none() | HOSTS,
        wishes=st.none() | st.lists(st.sampled_from(["four", "six", "10.0.0.3", "10.0.0.9"]), max_size=2),
    )
    def create_port(self, port: str, network: str, mac: int, host: HostName | None, wishes: list[str] | None) -> None:
        asked = (
            None
            if wishes is None
            else tuple(
                FixedIpRequest(ip=IPv4Address(wish)) if "." in wish else FixedIpRequest(f"{network}-{wish}")
                for wish in wishes
            )
        )
        self.apply(CreatePort(port, "p", network, mac=Mac(mac), host=host, fixed_ips=asked))

    @rule(port=PORTS, text=TEXTS)
    def rename_port(self, port: str, text: str | None) -> None:
        self.apply(UpdatePort(port, name=text))

    @rule(port=PORTS, host=st.none() | HOSTS)
    def rebind(self, port: str, host: HostName | None) -> None:
        self.apply(UpdatePort(port, host=host))

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
    def switches_follow(self) -> None:
        """What is installed, plus what is on its way, is what is desired."""
        for host in self.lab.hosts:
            held = dict(self.lab.installed.get(host, {}))
            for _, delta in self.lab.queues.get(host, ()):
                held.update({flow.key: flow for flow in delta.put})
                for flow in delta.remove:
                    del held[flow.key]
            assert held == dict(self.lab.compiler.desired(host))

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
            taps = tuple((port_id, ofport) for (at, port_id), ofport in world.attachments.items() if at == host)
            again.apply(HostSnapshot(host, taps), self.lab.now)
        if all(again.move_of(port_id) is None for port_id in again.ports):
            compiler = Compiler(again)
            compiler.refresh(units_of(again))
            if again.ports == world.ports:
                for host in self.lab.hosts:
                    assert dict(compiler.desired(host)) == dict(self.lab.compiler.desired(host))


TestLives = Lives.TestCase
TestLives.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
