"""Open vSwitch itself takes every flow that we make, and does with packets what the model switch does."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path

import pytest

from overlay.changes import BindPassive, CreateNetwork, CreatePort, CreateSubnet, HostSeen, Plugged, UpdatePort
from overlay.compile import Compiler, units_of
from overlay.flow import Meter, MeterUnit
from overlay.pipeline import GROUPS
from overlay.policy.changes import PairRequest
from overlay.policy.values import Direction
from overlay.qos.changes import AddQosRule, CreateQosPolicy
from overlay.qos.values import BandwidthLimit, DscpMarking
from overlay.values import DatapathId, Host, HostName, Mac, Vni
from overlay.world import World
from tests.model import frames
from tests.model.ofctl import ofctl, ofctl_group

pytestmark = pytest.mark.root

HERE, THERE = HostName("h1"), HostName("h2")
MACS = {"a": Mac(0x02_00_00_00_00_0A), "b": Mac(0x02_00_00_00_00_0B), "c": Mac(0x02_00_00_00_00_0C)}
TAPS = {"a": 2, "b": 3, "moving": 4, "open": 5}
VIRTUAL = Mac(0x00_00_5E_00_01_05)
PAIRS = (
    PairRequest(ip_network("10.0.0.99/32")),
    PairRequest(ip_network("10.0.1.0/24"), VIRTUAL),
    PairRequest(ip_network("2001:db8:1::/64"), VIRTUAL),
)
IP4 = {name: int(IPv4Address("10.0.0.2")) + n for n, name in enumerate("abc")}
IP6 = {name: int(IPv6Address("2001:db8::2")) + n for n, name in enumerate("abc")}
TUNSETIFF, IFF_TAP_NO_PI = 0x400454CA, 0x0002 | 0x1000
CLONE_NEWNET = 0x40000000


UNITS = {MeterUnit.PACKETS: "pktps", MeterUnit.KILOBITS: "kbps"}


def world() -> World:
    """Three ports here, one there, one of there being prepared to come here.

    Of those here a has address pairs, b is limited and marked, and nobody checks what open sends.
    """
    it = World()
    for number, name in enumerate((HERE, THERE), start=1):
        it.apply(HostSeen(Host(name, IPv4Address(f"127.0.0.{number}"), DatapathId(number), 1)), 0)
    it.apply(CreateNetwork("net", "p", vni=Vni(100)), 0)
    it.apply(CreateSubnet("four", "p", "net", ip_network("10.0.0.0/24")), 0)
    it.apply(CreateSubnet("six", "p", "net", ip_network("2001:db8::/64")), 0)
    it.apply(CreateQosPolicy("gold", "p"), 0)
    for rule in (BandwidthLimit("u", 9_000), BandwidthLimit("d", 9_000, 0, Direction.INGRESS), DscpMarking("m", 46)):
        it.apply(AddQosRule("gold", rule), 0)
    for name, host in (("a", HERE), ("b", HERE), ("c", THERE)):
        policy = "gold" if name == "b" else None
        it.apply(CreatePort(name, "p", "net", mac=MACS[name], host=host, qos_policy_id=policy), 0)
        it.apply(Plugged(host, name, TAPS.get(name, 2)), 0)
    it.apply(UpdatePort("a", allowed_pairs=PAIRS), 0)
    it.apply(CreatePort("open", "p", "net", mac=Mac(0x02_00_00_00_00_0E), host=HERE, port_security=False), 0)
    it.apply(Plugged(HERE, "open", TAPS["open"]), 0)
    it.apply(CreatePort("moving", "p", "net", mac=Mac(0x02_00_00_00_00_0D), host=THERE), 0)
    it.apply(Plugged(THERE, "moving", 7), 0)
    it.apply(BindPassive("moving", HERE), 0)
    it.apply(Plugged(HERE, "moving", TAPS["moving"]), 0)
    return it


class Switch:
    """A private Open vSwitch in a namespace of its own, with a bridge, a tunnel port and four taps."""

    def __init__(self, where: Path, namespace: str) -> None:
        self.where, self.namespace = where, namespace
        self.env = {**os.environ, **dict.fromkeys(("OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR"), str(where))}
        self.files: dict[str, int] = {}
        self.expected = 0

    def run(self, *command: str) -> str:
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=self.env)
        return done.stdout

    def inside(self, *command: str) -> str:
        return self.run("ip", "netns", "exec", self.namespace, *command)

    def vsctl(self, *command: str) -> str:
        return self.run("ovs-vsctl", f"--db=unix:{self.where}/db.sock", *command)

    def ofctl(self, command: str, *rest: str) -> str:
        return self.run("ovs-ofctl", "-O", "OpenFlow15", command, f"unix:{self.where}/ovt-int.mgmt", *rest)

    def add(self, meter: Meter) -> None:
        band = f"band=type=drop,rate={meter.rate},burst_size={meter.burst}"
        self.ofctl("add-meter", f"meter={meter.meter_id},{UNITS[meter.unit]},burst,{band}")

    def start(self) -> None:
        self.run("ip", "netns", "add", self.namespace)
        self.inside("ip", "link", "set", "lo", "up")
        self.run("ovsdb-tool", "create", f"{self.where}/conf.db", "/usr/share/openvswitch/vswitch.ovsschema")
        self.run(
            *("ovsdb-server", f"{self.where}/conf.db", f"--remote=punix:{self.where}/db.sock", "--detach"),
            *(f"--pidfile={self.where}/db.pid", f"--unixctl={self.where}/db.ctl", f"--log-file={self.where}/db.log"),
        )
        self.vsctl("--no-wait", "init")
        self.inside(
            *("ovs-vswitchd", f"unix:{self.where}/db.sock", "--detach", f"--pidfile={self.where}/vs.pid"),
            *(f"--unixctl={self.where}/vs.ctl", f"--log-file={self.where}/vs.log"),
        )
        self.vsctl(
            *("add-br", "ovt-int", "--", "set", "bridge", "ovt-int", "datapath_type=netdev", "fail_mode=secure"),
            *("protocols=OpenFlow15", "--", "add-port", "ovt-int", "vx", "--", "set", "interface", "vx", "type=vxlan"),
            *("ofport_request=1", "options:remote_ip=flow", "options:key=flow", "options:local_ip=127.0.0.1"),
        )
        self.ofctl("set-frags", "nx-match")  # as a session does
        for group in GROUPS:
            self.ofctl("add-group", ofctl_group(group))
        for name, number in TAPS.items():
            tap = f"ovt-{name}"
            self.inside("ip", "tuntap", "add", tap, "mode", "tap")
            self.inside("ip", "link", "set", tap, "up")
            self.files[name] = self._open(tap)
            self.vsctl("add-port", "ovt-int", tap, "--", "set", "interface", tap, f"ofport_request={number}")

    def _open(self, tap: str) -> int:
        """Hold a tap of the namespace open, as a hypervisor does."""
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        with Path(f"/run/netns/{self.namespace}").open("rb") as namespace:
            _setns(namespace.fileno())
            try:
                file = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
                fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH", tap.encode(), IFF_TAP_NO_PI))
            finally:
                _setns(home)
                os.close(home)
        return file

    def stop(self) -> None:
        for file in self.files.values():
            os.close(file)
        for name in ("vs.pid", "db.pid"):
            pid = self.where / name
            if pid.exists():
                os.kill(int(pid.read_text()), signal.SIGTERM)
                deadline = time.monotonic() + 10
                while pid.exists() and time.monotonic() < deadline:
                    select.select([], [], [], 0.02)
        subprocess.run(("ip", "netns", "del", self.namespace), check=False, capture_output=True)

    def exchange(self, tap: str, frame: bytes, kind: int) -> bytes | None:
        """Send out of a tap; the first frame of this Ethernet type that comes back within two seconds."""
        os.write(self.files[tap], frame)
        return self.receive(tap, kind, 2)

    def receive(self, tap: str, kind: int, seconds: float) -> bytes | None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.files[tap]], [], [], left)[0]:
                frame = os.read(self.files[tap], 2000)
                if frame[12:14] == struct.pack("!H", kind):
                    return frame
        return None


def _setns(file: int) -> None:
    import ctypes  # noqa: PLC0415  (os.setns is Python 3.12's)

    if ctypes.CDLL(None, use_errno=True).setns(file, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Switch]:
    """A switch that holds what the compiler wants host h1 to hold."""
    it = Switch(tmp_path_factory.mktemp("ovs"), f"ovt-{os.getpid()}")
    try:
        it.start()
        here = world()
        compiler = Compiler(here)
        compiler.refresh(units_of(here))
        for meter in compiler.meters(HERE):
            it.add(meter)
        flows = it.where / "flows"
        flows.write_text("\n".join(map(ofctl, compiler.desired(HERE).values())))
        it.run(*("ovs-ofctl", "-O", "OpenFlow15", "--bundle", "add-flows", f"unix:{it.where}/ovt-int.mgmt", str(flows)))
        it.expected = len(compiler.desired(HERE))
        yield it
    finally:
        it.stop()


def test_every_flow_is_taken(switch: Switch) -> None:
    """Open vSwitch holds as many flows as the compiler made: none was refused, none overwrote another."""
    held = [line for line in switch.ofctl("dump-flows").splitlines() if "cookie=0x564c" in line]
    assert len(held) == switch.expected


def test_arp_is_answered(switch: Switch) -> None:
    """An ARP request for a port of another host is answered by the switch with the owner's MAC."""
    asked = frames.arp(frames.BROADCAST, MACS["a"], 1, MACS["a"], IP4["a"], 0, IP4["c"])
    answer = switch.exchange("a", asked, 0x0806)
    assert answer == frames.arp(MACS["a"], MACS["c"], 2, MACS["c"], IP4["c"], MACS["a"], IP4["a"])


def test_neighbour_is_answered(switch: Switch) -> None:
    """A neighbour solicitation is answered by the switch with a valid advertisement: flags, option and checksum."""
    group = int(IPv6Address("ff02::1:ff00:0")) | (IP6["c"] & 0xFFFFFF)
    dst = 0x333300000000 | (group & 0xFFFFFFFF)
    asked = frames.neighbour(dst, MACS["a"], IP6["a"], group, 135, IP6["c"], (1, MACS["a"]))
    answer = switch.exchange("a", asked, 0x86DD)
    assert answer is not None
    assert answer[:12] == MACS["a"].to_bytes(6, "big") + MACS["c"].to_bytes(6, "big")
    assert answer[22:54] == IP6["c"].to_bytes(16, "big") + IP6["a"].to_bytes(16, "big")
    body = answer[54:]
    assert body[0] == 136
    assert body[4:8] == bytes.fromhex("60000000")
    assert body[8:24] == IP6["c"].to_bytes(16, "big")
    assert body[24:32] == b"\x02\x01" + MACS["c"].to_bytes(6, "big")
    assert frames.checksum(frames.pseudo(IP6["c"], IP6["a"], len(body)) + body) == 0


def test_neighbours_hear_each_other(switch: Switch) -> None:
    """A unicast frame arrives at the local port that owns its destination, once."""
    sent = frames.ipv4(MACS["b"], MACS["a"], IP4["a"], IP4["b"])
    os.write(switch.files["a"], sent)
    assert switch.receive("b", 0x0800, 2) == sent
    assert switch.receive("b", 0x0800, 0.2) is None


def test_spoofing_is_counted(switch: Switch) -> None:
    """A frame with another's IP address is dropped at its port, where a flow counts it."""
    os.write(switch.files["a"], frames.ipv4(MACS["b"], MACS["a"], IP4["c"], IP4["b"]))
    assert switch.receive("b", 0x0800, 0.3) is None
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        flows = switch.ofctl("dump-flows", "table=1,cookie=0x564c050000000000/0xffffff0000000000,reg2=2")
        if "n_packets=1" in flows:
            return
    pytest.fail(flows)


def test_address_pairs_pass(switch: Switch) -> None:
    """A port may send IPv4 and ARP with a MAC and an address of a pair, but not mix one pair's MAC with another's."""
    inside, outside = int(IPv4Address("10.0.1.7")), int(IPv4Address("10.0.0.99"))
    sent = frames.ipv4(MACS["b"], VIRTUAL, inside, IP4["b"])
    os.write(switch.files["a"], frames.ipv4(MACS["b"], VIRTUAL, outside, IP4["b"]))
    os.write(switch.files["a"], sent)
    assert switch.receive("b", 0x0800, 2) == sent
    told = frames.arp(frames.BROADCAST, VIRTUAL, 1, VIRTUAL, inside, 0, inside)
    os.write(switch.files["a"], frames.arp(frames.BROADCAST, VIRTUAL, 1, VIRTUAL, outside, 0, outside))
    os.write(switch.files["a"], told)
    assert switch.receive("b", 0x0806, 2) == told
    told = frames.arp(frames.BROADCAST, MACS["a"], 1, MACS["a"], outside, 0, outside)
    os.write(switch.files["a"], told)
    assert switch.receive("b", 0x0806, 2) == told
    target, group = int(IPv6Address("2001:db8:1::5")), int(IPv6Address("ff02::1"))
    said = frames.neighbour(0x333300000001, VIRTUAL, target, group, 136, target, (2, VIRTUAL))
    os.write(switch.files["a"], said)
    assert switch.receive("b", 0x86DD, 2) == said


def test_without_port_security_anything_passes(switch: Switch) -> None:
    """A port that nobody checks may send with any MAC and address, ARP, and frames of any type."""
    borrowed = frames.ipv4(MACS["b"], 0x02_00_00_00_00_99, 0xC0000201, IP4["b"])
    os.write(switch.files["open"], borrowed)
    assert switch.receive("b", 0x0800, 2) == borrowed
    strange = frames.ethernet(MACS["b"], 0x02_00_00_00_00_98, 0x88B5, b"anything".ljust(46, b"\0"))
    os.write(switch.files["open"], strange)
    assert switch.receive("b", 0x88B5, 2) == strange


def test_passive_port_is_silent(switch: Switch) -> None:
    """The tap of a VM that has not moved here yet neither sends to the network nor gets a flood."""
    os.write(switch.files["moving"], frames.ipv4(MACS["b"], 0x02_00_00_00_00_0D, IP4["c"] + 1, IP4["b"]))
    assert switch.receive("b", 0x0800, 0.3) is None
    flood = frames.ipv4(frames.BROADCAST, MACS["a"], IP4["a"], IP4["b"])
    os.write(switch.files["a"], flood)
    assert switch.receive("b", 0x0800, 2) == flood
    assert switch.receive("moving", 0x0800, 0.2) is None
