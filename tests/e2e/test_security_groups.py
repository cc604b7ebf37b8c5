"""Machines talk exactly as their security groups say, on real switches."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from overlay.tables.names import CookieKind
from tests.e2e.scene import IPV4_SUBNET, IPV6_SUBNET, Net, Scene, wait
from tests.model import frames
from topologies import namespace

pytestmark = pytest.mark.root

TOPOLOGY, PARAMS = "linear", {"switches": 2}
MISSING = 0.5
"""Seconds after which what has not come will not come."""


@dataclass
class Stage:
    """Machines, and groups whose rules come and go."""

    scene: Scene
    net: Net
    groups: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return self.scene.ask(method, f"/v2.0/{path}", body, self.net.project)

    def group(self, name: str) -> str:
        """A group that lets its ports send anything."""
        made: str = self.ask("POST", "security-groups", {"security_group": {"name": name}})["security_group"]["id"]
        self.groups[name] = made
        return made

    def machine(self, name: str, host: str, *groups: str) -> None:
        """A machine in some groups; without any in the project's default group."""
        more = {"security_groups": [self.groups[group] for group in groups]} if groups else {}
        port = self.scene.port(self.net, host, name=name, **more)
        self.scene.lab.vm_add(name, host, port_id=port["id"])

    def allow(self, group: str, direction: str = "ingress", **rule: Any) -> str:
        """Add a rule."""
        body = {"security_group_id": self.groups[group], "direction": direction, **rule}
        made: str = self.ask("POST", "security-group-rules", {"security_group_rule": body})["security_group_rule"]["id"]
        return made

    @contextmanager
    def allowing(self, group: str, direction: str = "ingress", **rule: Any) -> Iterator[None]:
        """Have a rule for a while."""
        made = self.allow(group, direction, **rule)
        try:
            yield
        finally:
            self.ask("DELETE", f"security-group-rules/{made}")

    def socket(self, name: str, kind: socket.SocketKind, version: int = 4) -> socket.socket:
        """A socket in a machine."""
        with namespace.inside(self.scene.vms()[name].pid):
            protocol = socket.IPPROTO_ICMP if kind is socket.SOCK_RAW else 0
            made = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, kind, protocol)
        made.settimeout(MISSING)
        return made

    def connected(self, source: str, target: str, port: int, version: int = 4) -> tuple[socket.socket, socket.socket]:
        """Both ends of a new TCP connection.

        :raises OSError: if there is none.
        """
        with self.socket(target, socket.SOCK_STREAM, version) as server, ExitStack() as stack:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("", port))
            server.listen()
            client = stack.enter_context(self.socket(source, socket.SOCK_STREAM, version))
            client.connect((self.scene.ip(target, version), port))
            here = server.accept()[0]
            here.settimeout(MISSING)
            stack.pop_all()
            return client, here

    def tcp(self, source: str, target: str, port: int, version: int = 4) -> bool:
        """Whether a machine can connect to another one."""
        try:
            ends = self.connected(source, target, port, version)
        except OSError:
            return False
        for end in ends:
            end.close()
        return True

    def udp(self, source: str, target: str, port: int, version: int = 4, size: int = 4) -> bool:
        """Whether a datagram of a machine gets to another one, and the answer back."""
        with (
            self.socket(target, socket.SOCK_DGRAM, version) as server,
            self.socket(source, socket.SOCK_DGRAM, version) as client,
        ):
            server.bind(("", port))
            client.sendto(bytes(size), (self.scene.ip(target, version), port))
            try:
                data, back = server.recvfrom(65535)
                server.sendto(data, back)
                return len(client.recv(65535)) == size
            except TimeoutError:
                return False

    def ping(self, source: str, target: str, version: int = 4, size: int = 56) -> bool:
        """Whether a machine's ping is answered."""
        argv = ["ping", "-n", "-q", "-c1", "-W0.5", f"-s{size}", self.scene.ip(target, version)]
        return self.scene.lab.run(source, argv).returncode == 0

    def stamp(self, source: str, target: str) -> bool:
        """Whether a machine's question for the time (ICMP type 13) is answered (type 14)."""
        body = b"\x0d\0\0\0\0\7\0\1" + bytes(12)
        with self.socket(source, socket.SOCK_RAW) as ear:
            ear.sendto(
                body[:2] + frames.checksum(body).to_bytes(2) + body[4:], (self.scene.ip(target), socket.IPPROTO_ICMP)
            )
            try:
                return ear.recv(100)[20] == 14
            except TimeoutError:
                return False

    def can(self, how: tuple[Any, ...]) -> bool:
        """Whether one of these works, with its arguments."""
        done: bool = getattr(self, how[0])(*how[1:])
        return done

    def refused(self, name: str, kind: CookieKind) -> int:
        """How many packets a machine's policy has refused."""
        vm = self.scene.vms()[name]
        lane = f"{'reg2' if kind is CookieKind.REFUSED_OUT else 'reg3'}={self.scene.ofport(vm.host, vm.tap):#x} "
        flows = [flow for flow in self.scene.flows(vm.host) if flow.cookie >> 40 & 0xFF == kind]
        return sum(flow.number("n_packets") for flow in flows if lane in flow.text)


@pytest.fixture(scope="module")
def stage(scene: Scene) -> Stage:
    """A server and its clients on another host and on its own, all of a group each; two that name no group."""
    stage = Stage(scene, scene.network("red", IPV4_SUBNET, IPV6_SUBNET))
    for name in ("servers", "clients", "others", "caged"):
        stage.group(name)
    stage.machine("server", "h2", "servers")
    stage.machine("client", "h1", "clients")
    stage.machine("other", "h2", "others")
    stage.machine("caged", "h1", "caged")
    stage.machine("plain", "h1")
    stage.machine("simple", "h2")
    caged = stage.ask("GET", f"security-group-rules?security_group_id={stage.groups['caged']}")["security_group_rules"]
    for rule in caged:
        stage.ask("DELETE", f"security-group-rules/{rule['id']}")
    return stage


TCP = {"protocol": "tcp", "port_range_min": 8000, "port_range_max": 8009}
KINDS: dict[str, tuple[dict[str, Any], tuple[Any, ...], tuple[Any, ...]]] = {
    "everything": ({}, ("udp", "client", "server", 9), ("udp", "client", "server", 9, 6)),
    "everything of IPv6": ({"ethertype": "IPv6"}, ("tcp", "client", "server", 9, 6), ("tcp", "client", "server", 9)),
    "a protocol": ({"protocol": "tcp"}, ("tcp", "client", "server", 9), ("udp", "client", "server", 9)),
    "the first of a range": (TCP, ("tcp", "client", "server", 8000), ("tcp", "client", "server", 7999)),
    "the last of a range": (TCP, ("tcp", "client", "server", 8009), ("tcp", "client", "server", 8010)),
    "a UDP port, in fragments": (
        {"protocol": "udp", "port_range_min": 5353, "port_range_max": 5353},
        ("udp", "client", "server", 5353, 4, 4000),
        ("udp", "client", "server", 5354, 4, 4000),
    ),
    "an ICMP type": (
        {"protocol": "icmp", "port_range_min": 8, "port_range_max": 0},
        ("ping", "client", "server"),
        ("tcp", "client", "server", 9),
    ),
    "another ICMP type": (
        {"protocol": "icmp", "port_range_min": 13},
        ("stamp", "client", "server"),
        ("ping", "client", "server"),
    ),
    "an ICMPv6 type": (
        {"ethertype": "IPv6", "protocol": "ipv6-icmp", "port_range_min": 128},
        ("ping", "client", "server", 6),
        ("ping", "client", "server"),
    ),
    "a UDP port of IPv6": (
        {"ethertype": "IPv6", "protocol": "udp", "port_range_min": 5353, "port_range_max": 5353},
        ("udp", "client", "server", 5353, 6),
        ("udp", "client", "server", 5353),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_rule(stage: Stage, kind: str) -> None:
    """What a rule allows arrives and is answered; what it does not allow does not arrive, and is counted."""
    rule, allowed, denied = KINDS[kind]
    with stage.allowing("servers", **rule):
        wait(lambda: stage.can(allowed), f"{kind} is allowed")
        before = stage.refused("server", CookieKind.REFUSED_IN)
        assert not stage.can(denied)
        wait(lambda: stage.refused("server", CookieKind.REFUSED_IN) > before, f"{denied} is counted", 5)
    wait(lambda: not stage.can(allowed), f"{kind} is not allowed any more", 5)


def test_a_new_group_lets_nothing_in_and_everything_out(stage: Stage) -> None:
    """Before there is a rule the server hears nobody, and may speak to whoever lets it in."""
    assert not stage.ping("client", "server")
    assert not stage.udp("other", "server", 9)
    with stage.allowing("clients", protocol="udp"):
        wait(lambda: stage.udp("server", "client", 9), "the server's datagrams arrive")


def test_machines_that_name_no_group_talk_to_each_other_only(stage: Stage) -> None:
    """The default group lets its own ports in, whatever host they are on, and nobody else."""
    assert stage.ping("plain", "simple")
    assert stage.ping("simple", "plain", 6)
    assert stage.tcp("plain", "simple", 9)
    assert not stage.ping("client", "simple")


def test_a_remote_group_is_its_members(stage: Stage) -> None:
    """A rule that names a group lets in its members, and from then on who joins it, until he leaves."""
    ports = {each["name"]: each["id"] for each in stage.ask("GET", "ports")["ports"]}

    def join(*groups: str) -> None:
        body = {"port": {"security_groups": [stage.groups[group] for group in groups]}}
        stage.ask("PUT", f"ports/{ports['other']}", body)

    with stage.allowing("servers", remote_group_id=stage.groups["clients"], **TCP):
        wait(lambda: stage.tcp("client", "server", 8001), "a member is let in")
        assert not stage.tcp("other", "server", 8001)
        join("others", "clients")
        wait(lambda: stage.tcp("other", "server", 8001), "who joins is let in")
        join("others")
        wait(lambda: not stage.tcp("other", "server", 8001), "who leaves is let in no more", 5)
        assert stage.tcp("client", "server", 8001)


def test_a_remote_prefix_and_an_address_group(stage: Stage) -> None:
    """A rule that names a prefix, or addresses that several rules share, lets in whoever has such an address."""
    prefix = f"{stage.scene.ip('client')}/32"
    with stage.allowing("servers", remote_ip_prefix=prefix, protocol="tcp"):
        wait(lambda: stage.tcp("client", "server", 8001), "the prefix is let in")
        assert not stage.tcp("other", "server", 8001)
    made = stage.ask("POST", "address-groups", {"address_group": {"name": "known", "addresses": []}})["address_group"]
    with stage.allowing("servers", remote_address_group_id=made["id"], protocol="udp"):
        assert not stage.udp("other", "server", 9)
        addresses = {"addresses": [f"{stage.scene.ip('other')}/32"]}
        stage.ask("PUT", f"address-groups/{made['id']}/add_addresses", addresses)
        wait(lambda: stage.udp("other", "server", 9), "the address is let in")
        assert not stage.udp("client", "server", 9)
    stage.ask("DELETE", f"address-groups/{made['id']}")


def test_egress_is_judged_where_it_is_sent(stage: Stage) -> None:
    """A group without a rule for it sends nothing, which is counted there; a rule lets out what it names."""
    with stage.allowing("servers"):
        wait(lambda: stage.tcp("client", "server", 8000), "the server lets everybody in")
        before = stage.refused("caged", CookieKind.REFUSED_OUT)
        assert not stage.tcp("caged", "server", 8000)
        wait(lambda: stage.refused("caged", CookieKind.REFUSED_OUT) > before, "the refusal is counted", 5)
        with stage.allowing("caged", "egress", remote_ip_prefix=f"{stage.scene.ip('server')}/32", **TCP):
            wait(lambda: stage.tcp("caged", "server", 8000), "the rule lets it out")
            assert not stage.tcp("caged", "server", 8010)
            assert not stage.tcp("caged", "other", 8000)


def test_a_connection_ends_with_its_rule_and_no_other_does(stage: Stage) -> None:
    """When a rule goes, the TCP connection that it let in is cut in both directions; another one lives on."""
    first = stage.allow("servers", protocol="tcp", port_range_min=8000, port_range_max=8000)
    second = stage.allow("servers", protocol="tcp", port_range_min=8001, port_range_max=8001)
    try:
        for port in (8000, 8001):
            wait(lambda port=port: stage.tcp("client", "server", port), f"port {port} is open")  # type: ignore[misc]
        with ExitStack() as stack:
            ends = [stage.connected("client", "server", port) for port in (8000, 8001)]
            for end in (end for pair in ends for end in pair):
                stack.enter_context(end)
            assert all(exchanged(*pair) for pair in ends)
            stage.ask("DELETE", f"security-group-rules/{first}")
            wait(lambda: not exchanged(*ends[0]), "the first connection is cut", 10)
            assert exchanged(*ends[1])
            assert not exchanged(*reversed(ends[0]))
            assert exchanged(*reversed(ends[1]))
    finally:
        stage.ask("DELETE", f"security-group-rules/{second}")


def exchanged(one: socket.socket, other: socket.socket) -> bool:
    """Whether what one end sends comes out at the other."""
    token = threading.get_native_id().to_bytes(8) + bytes(8)
    one.sendall(token)
    try:
        return len(other.recv(65535)) > 0
    except TimeoutError:
        return False
