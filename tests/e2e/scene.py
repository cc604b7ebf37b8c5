"""What does a tenant's scene look like, and how does one look at what passes by?

Networks and machines made as a user makes them (REST and the lab's client), the switches' own word for what they hold,
and packet sockets inside of any node of a lab.
"""

from __future__ import annotations

import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Self, TypeVar

from tests.model import frames
from topologies import namespace
from topologies.client import LabClient
from topologies.orders import VmStatus
from topologies.trace import dissect

T = TypeVar("T")

ETH_P_ALL = 3
PACKET_OUTGOING = 4
SO_RCVBUFFORCE = 33
BUFFER = 1 << 25
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
IPV4_SUBNET, IPV6_SUBNET = "192.168.0.0/24", "2001:db8::/64"


def wait(condition: Callable[[], T], what: str, seconds: float = 20.0) -> T:
    """Poll until the condition holds; what it then says.

    :raises AssertionError: if it does not within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        threading.Event().wait(0.02)
    return found


def mac_number(text: str) -> int:
    """An Ethernet address as a number."""
    return int(text.replace(":", ""), 16)


@dataclass(frozen=True)
class Net:
    """A virtual network with its subnets."""

    id: str
    project: str
    vni: int


@dataclass(frozen=True)
class Flow:
    """A line of ``ovs-ofctl dump-flows``."""

    text: str

    def number(self, key: str) -> int:
        """A counter such as ``n_packets``."""
        found = re.search(rf"\b{key}=(0x[0-9a-f]+|\d+)", self.text)
        assert found is not None, self.text
        return int(found[1], 0)

    @property
    def cookie(self) -> int:
        return self.number("cookie")

    @property
    def ours(self) -> bool:
        """Whether it carries the controller's mark."""
        return self.cookie >> 48 == 0x564C

    @property
    def rule(self) -> str:
        """The flow without what changes by itself."""
        return re.sub(r"\b(duration|n_packets|n_bytes|idle_age|hard_age)=[^ ]+ ?", "", self.text).strip()


class Scene:
    """A lab and what a test makes in it."""

    def __init__(self, lab: LabClient) -> None:
        self.lab = lab

    # ── as tenants and the operator ──────────────────────────────────────────────────────────────────────────────────

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, project: str = "") -> dict[str, Any]:
        """One REST request, as the operator or as a project."""
        with self.lab.rest(project) as rest:
            return rest.ask(method, path, body)

    def network(self, project: str, *cidrs: str) -> Net:
        """A network of a project, with subnets (:data:`IPV4_SUBNET` if none is given)."""
        made = self.ask("POST", "/v2.0/networks", {"network": {"name": f"{project}-net"}}, project)["network"]
        for cidr in cidrs or (IPV4_SUBNET,):
            subnet = {"network_id": made["id"], "cidr": cidr, "ip_version": 6 if ":" in cidr else 4}
            self.ask("POST", "/v2.0/subnets", {"subnet": subnet}, project)
        shown = self.ask("GET", f"/v2.0/networks/{made['id']}")["network"]
        return Net(made["id"], project, shown["provider:segmentation_id"])

    def port(self, net: Net, host: str = "", **more: Any) -> dict[str, Any]:
        """A port, made by its tenant, and bound by the operator if a host is given."""
        made: dict[str, Any] = self.ask("POST", "/v2.0/ports", {"port": {"network_id": net.id, **more}}, net.project)[
            "port"
        ]
        if host:
            self.ask("PUT", f"/v2.0/ports/{made['id']}", {"port": {"binding:host_id": host}})
        return made

    def vm(self, name: str, host: str, net: Net, *, mac: str = "", ips: Iterable[str] = ()) -> VmStatus:
        """A machine with a port of its own; running and ACTIVE."""
        more: dict[str, Any] = {"mac_address": mac} if mac else {}
        if ips:
            more["fixed_ips"] = [{"ip_address": ip} for ip in ips]
        return self.lab.vm_add(name, host, port_id=self.port(net, host, name=name, **more)["id"])

    def vms(self) -> dict[str, VmStatus]:
        """All machines by name."""
        return {each.name: each for each in self.lab.status().vms}

    def ip(self, name: str, version: int = 4) -> str:
        """The first address of a machine."""
        found = self.vms()[name].addresses
        return next(each.partition("/")[0] for each in found if (":" in each) == (version == 6))

    def reaches(self, name: str, address: str, seconds: int = 1) -> bool:
        """Whether one ping is answered."""
        argv = ["ping", "-n", "-q", "-c1", f"-W{seconds}", address]
        return self.lab.run(name, argv).returncode == 0

    # ── as the switches' operator ────────────────────────────────────────────────────────────────────────────────────

    def ofctl(self, node: str, *words: str) -> str:
        """``ovs-ofctl`` in a node.

        :raises AssertionError: if it fails.
        """
        done = self.lab.run(node, ["ovs-ofctl", "-O", "OpenFlow14", *words])
        assert done.returncode == 0, done.stderr
        return done.stdout

    def flows(self, node: str, bridge: str = "br-int", *match: str) -> list[Flow]:
        """What a bridge holds, with its counters."""
        said = self.ofctl(node, "--no-names", "dump-flows", bridge, *match)
        return [Flow(line.strip()) for line in said.splitlines() if "cookie=" in line]

    def rules(self, node: str, bridge: str = "br-int") -> set[str]:
        """What a bridge holds, without counters."""
        return {flow.rule for flow in self.flows(node, bridge)}

    def ofport(self, node: str, tap: str) -> int:
        """The OpenFlow number of a tap."""
        done = self.lab.run(node, ["ovs-vsctl", "--timeout=5", "get", "Interface", tap, "ofport"])
        return int(done.stdout)

    def health(self) -> dict[str, Any]:
        """How the controller says that it is."""
        health: dict[str, Any] = self.ask("GET", "/v1/health")["health"]
        return health

    def sent(self) -> dict[str, tuple[int, int]]:
        """Flow-mods and group-mods that the controller has sent to each datapath since it started."""
        switches = self.health()["switches"]
        return {each["datapath_id"]: (each["flow_mods"], each["group_mods"]) for each in switches}

    def all_connected(self) -> bool:
        """Whether every switch and hypervisor has its session, and nothing is pending."""
        health, status = self.health(), self.lab.status()
        up = [each for each in health["switches"] if each["connected"]]
        return len(up) == len(status.switches) + len(status.hypervisors) and not health["pending"]


@dataclass(frozen=True)
class Heard:
    """A frame, as it was seen at an interface."""

    node: str
    interface: str
    outgoing: bool
    frame: bytes

    @property
    def kind(self) -> int:
        """The EtherType."""
        return int.from_bytes(self.frame[12:14])

    @property
    def vni(self) -> int | None:
        """The VNI, if it is VXLAN."""
        return dissect(self.frame)[0]

    @property
    def outer(self) -> tuple[str, str] | None:
        """The LAs, if it is VXLAN."""
        return dissect(self.frame)[1]

    @property
    def inner(self) -> bytes:
        """The tenant's frame."""
        return dissect(self.frame)[2]


class Ears:
    """Packet sockets in the namespaces of nodes (machines, hypervisors, switches), on all interfaces or on some."""

    def __init__(self, lab: LabClient, *nodes: str, interfaces: Iterable[str] = ("",)) -> None:
        status = lab.status()
        pids = {each.name: each.pid for each in (*status.switches, *status.hypervisors, *status.vms)}
        self._stack = ExitStack()
        self._sockets: list[tuple[str, socket.socket]] = []
        for node in nodes:
            for interface in interfaces:
                with namespace.inside(pids[node]):
                    ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
                self._stack.enter_context(ear)
                ear.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
                if interface:
                    ear.bind((interface, ETH_P_ALL))
                ear.setblocking(False)
                self._sockets.append((node, ear))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def hear(self, quiet: float = 0.3, most: float = 3.0) -> list[Heard]:
        """All that was seen, until nothing more comes for ``quiet`` seconds (or for ``most`` in all)."""
        found: list[Heard] = []
        deadline, end = time.monotonic() + quiet, time.monotonic() + most
        while (left := min(deadline, end) - time.monotonic()) > 0:
            ready = select.select([ear for _, ear in self._sockets], (), (), left)[0]
            for node, ear in self._sockets:
                if ear in ready:
                    found += self._drain(node, ear)
                    deadline = time.monotonic() + quiet
        return found

    @staticmethod
    def _drain(node: str, ear: socket.socket) -> list[Heard]:
        found = []
        while True:
            try:
                frame, (interface, _protocol, kind, _hardware, _mac) = ear.recvfrom(4096)
            except BlockingIOError:
                return found
            found.append(Heard(node, interface, kind == PACKET_OUTGOING, frame))


def say(vm: VmStatus, *what: bytes) -> None:
    """Send frames out of a machine's card, whatever they claim."""
    with namespace.inside(vm.pid):
        mouth = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with mouth:
        mouth.bind(("eth0", 0))
        for frame in what:
            mouth.send(frame)


def ipv4(vm: VmStatus, dst_mac: int, dst: str, payload: bytes, *, src_mac: int = 0, src: str = "") -> bytes:
    """A packet from a machine, or from who it claims to be."""
    return frames.ipv4(
        dst_mac,
        src_mac or mac_number(vm.mac),
        int(IPv4Address(src or vm.addresses[0].partition("/")[0])),
        int(IPv4Address(dst)),
        payload,
    )


def arp_request(vm: VmStatus, tpa: str, *, sha: int = 0, spa: str = "") -> bytes:
    """A question of a machine for an address."""
    mac = mac_number(vm.mac)
    own = int(IPv4Address(spa or vm.addresses[0].partition("/")[0]))
    return frames.arp(frames.BROADCAST, mac, 1, sha or mac, own, 0, int(IPv4Address(tpa)))


def arp_reply(vm: VmStatus, spa: str, peer: VmStatus, *, sha: int = 0) -> bytes:
    """An answer of a machine to another, true or not."""
    mac, to = mac_number(vm.mac), mac_number(peer.mac)
    claimed, asked = int(IPv4Address(spa)), int(IPv4Address(peer.addresses[0].partition("/")[0]))
    return frames.arp(to, mac, 2, sha or mac, claimed, to, asked)


def advertisement(vm: VmStatus, target: str, *, src: str = "", tll: int = 0) -> bytes:
    """A neighbour advertisement of a machine to all nodes, true or not."""
    mac = mac_number(vm.mac)
    own = src or next(each.partition("/")[0] for each in vm.addresses if ":" in each)
    return frames.neighbour(
        0x333300000001,
        mac,
        int(IPv6Address(own)),
        int(IPv6Address("ff02::1")),
        136,
        int(IPv6Address(target)),
        (2, tll or mac),
    )


def solicitation(vm: VmStatus, target: str) -> bytes:
    """A neighbour solicitation of a machine for an address (RFC 4861 §4.3)."""
    mac = mac_number(vm.mac)
    own = next(each.partition("/")[0] for each in vm.addresses if ":" in each)
    low = int(IPv6Address(target)) & 0xFFFFFF
    return frames.neighbour(
        0x3333FF000000 | low,
        mac,
        int(IPv6Address(own)),
        int(IPv6Address("ff02::1:ff00:0")) | low,
        135,
        int(IPv6Address(target)),
        (1, mac),
    )


def openflow(stream: bytes) -> list[tuple[int, bytes]]:
    """The messages in a stream of OpenFlow: type and body."""
    found = []
    while len(stream) >= 8:
        version, kind, length, _xid = struct.unpack_from("!BBHI", stream)
        if version not in (5, 6) or length < 8:
            return found
        found.append((kind, stream[8:length]))
        stream = stream[length:]
    return found
