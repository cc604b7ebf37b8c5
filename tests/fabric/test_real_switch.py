"""Does Open vSwitch itself do what the fabric's program means?"""

from __future__ import annotations

import os
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address
from itertools import chain
from pathlib import Path

import pytest

from controller.events import Installed, Mods
from controller.fabric.detours import pin_group
from controller.fabric.elephants import BIN_MASK, Bin, Herd, Pin
from controller.fabric.graph import Fabric
from controller.fabric.groups import GroupAssignment
from controller.fabric.pipeline import ELEPHANTS
from controller.fabric.plan import ROUTER_MAC
from controller.fabric.program import SwitchProgram, hash_basis, leaf, program
from controller.openflow import codec, replies
from controller.reconcile import Contents, difference
from overlay.flow import Bucket, Group, Output
from overlay.values import DatapathId, Mac

from . import graphs, ofctl

pytestmark = pytest.mark.root

TOR = DatapathId(100)
NEXT = DatapathId(200)
HOST = IPv4Address("10.0.1.11")
FAR = IPv4Address("10.0.3.11")
BOTH_WAYS = IPv4Address("10.0.4.11")
EDGE, UPLINKS = 3, (1, 2)


class Switch:
    """One Open vSwitch of its own, in its own network namespace, with veths for ports."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.namespace = f"vl2fab{os.getpid()}"
        self.environment = {**os.environ, "OVS_RUNDIR": str(directory), "OVS_LOGDIR": str(directory)}
        self.run("ip", "netns", "add", self.namespace)

    def start(self, ports: int) -> None:
        schema = "/usr/share/openvswitch/vswitch.ovsschema"
        database, socket = self.directory / "conf.db", self.directory / "db.sock"
        self.run("ovsdb-tool", "create", str(database), schema)
        self.inside(
            "ovsdb-server", str(database), f"--remote=punix:{socket}", "--detach", "--no-chdir",
            f"--pidfile={self.directory / 'ovsdb.pid'}", f"--unixctl={self.directory / 'ovsdb.ctl'}",
            f"--log-file={self.directory / 'ovsdb.log'}",
        )  # fmt: skip
        self.vsctl("--no-wait", "init")
        self.inside(
            "ovs-vswitchd", f"unix:{socket}", "--detach", "--no-chdir",
            f"--pidfile={self.directory / 'vswitchd.pid'}", f"--unixctl={self.directory / 'vswitchd.ctl'}",
            f"--log-file={self.directory / 'vswitchd.log'}",
        )  # fmt: skip
        self.vsctl(
            "add-br", "fab", "--", "set", "bridge", "fab", "datapath_type=netdev", "fail_mode=secure",
            "protocols=OpenFlow14,OpenFlow15",
        )  # fmt: skip
        for n in range(1, ports + 1):
            self.inside("ip", "link", "add", f"p{n}", "type", "veth", "peer", "name", f"q{n}")
            for end in (f"p{n}", f"q{n}"):
                self.inside("ip", "link", "set", end, "up")
            self.vsctl("add-port", "fab", f"p{n}", "--", "set", "interface", f"p{n}", f"ofport_request={n}")

    def stop(self) -> None:
        for name in ("vswitchd.pid", "ovsdb.pid"):
            path = self.directory / name
            if path.exists():
                pid = int(path.read_text())
                os.kill(pid, 15)
                until(lambda pid=pid: not Path(f"/proc/{pid}").exists())
        self.run("ip", "netns", "del", self.namespace)

    def run(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def inside(self, *command: str) -> str:
        return self.run("ip", "netns", "exec", self.namespace, *command)

    def vsctl(self, *arguments: str) -> str:
        return self.run("ovs-vsctl", f"--db=unix:{self.directory / 'db.sock'}", *arguments)

    def ofctl(self, command: str, *arguments: str, bridge: str = "fab") -> str:
        return self.run("ovs-ofctl", "-O", "OpenFlow15", command, bridge, *arguments)

    def chosen(self, bridge: str, group_id: int) -> list[int]:
        """Count the packets for which each bucket of a group was chosen."""
        told = self.ofctl("dump-group-stats", f"group_id={group_id}", bridge=bridge)
        return [int(packets) for packets in re.findall(r"bucket\d+:packet_count=(\d+)", told)]

    def trace(self, packet: str) -> str:
        return self.run("ovs-appctl", "-t", str(self.directory / "vswitchd.ctl"), "ofproto/trace", "fab", packet)

    def sent(self) -> dict[int, int]:
        """Count the packets that each port has sent."""
        return {port: int(self.vsctl("get", "interface", f"p{port}", "statistics:tx_packets")) for port in range(1, 5)}

    def read(self) -> Installed:
        """Read back what the switch holds, with our own codec."""
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(str(self.directory / "fab.mgmt"))
            channel.sendall(bytes.fromhex("0600000800000001"))
            answers: dict[int, list[bytes]] = {}
            pending = b""
            channel.sendall(codec.ask_flows(2) + codec.ask_groups(3) + codec.ask_meters(4) + codec.barrier(5))
            while 5 not in answers:
                pending += channel.recv(65536)
                while len(pending) >= 8 and len(pending) >= (length := struct.unpack_from("!H", pending, 2)[0]):
                    answers.setdefault(struct.unpack_from("!I", pending, 4)[0], []).append(pending[:length])
                    pending = pending[length:]
        return Installed(
            tuple(chain.from_iterable(map(replies.flows, answers[2]))),
            tuple(chain.from_iterable(map(replies.groups, answers[3]))),
            tuple(chain.from_iterable(map(replies.meters, answers[4]))),
        )

    def load(self, wanted: SwitchProgram) -> None:
        for meter in wanted.meters:
            self.ofctl("add-meter", ofctl.meter(meter))
        for group in wanted.groups:
            self.ofctl("add-group", ofctl.group(group))
        flows = self.directory / "flows"
        flows.write_text("".join(ofctl.flow(flow) + "\n" for flow in wanted.flows))
        self.ofctl("add-flows", str(flows))


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Poll for a condition."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        os.sched_yield()


@pytest.fixture(scope="module")
def fabric() -> Fabric:
    """The default VL2 network."""
    return graphs.build(graphs.vl2())


@pytest.fixture(scope="module")
def switch(tmp_path_factory: pytest.TempPathFactory, fabric: Fabric) -> Iterator[Switch]:
    """A real switch that holds the first ToR's program."""
    switch = Switch(tmp_path_factory.mktemp("ovs"))
    try:
        switch.start(4)
        switch.load(program(fabric, TOR, GroupAssignment()))
        yield switch
    finally:
        switch.stop()


def asked(spa: str, tpa: str, *, sha: Mac | None = None, port: int = EDGE, op: int = 1) -> str:
    """Spell an ARP packet of a host for the tracer."""
    sha = graphs.mac_of(HOST) if sha is None else sha
    return (
        f"in_port={port},arp,dl_src={sha},dl_dst=ff:ff:ff:ff:ff:ff,arp_op={op},arp_sha={sha},"
        f"arp_tha=00:00:00:00:00:00,arp_spa={spa},arp_tpa={tpa}"
    )


def packet(destination: IPv4Address | str, port: int, dp_hash: int = 0, ttl: int = 64, *, udp_src: int = 40000) -> str:
    """Spell a VXLAN packet for the tracer."""
    return (
        f"in_port={port},udp,dl_src={graphs.mac_of(HOST)},dl_dst={ROUTER_MAC},nw_src=10.0.9.9,nw_dst={destination},"
        f"nw_ttl={ttl},udp_src={udp_src},udp_dst=4789,dp_hash={dp_hash:#x}"
    )


def frame(destination: IPv4Address) -> bytes:
    """Build a VXLAN-like UDP packet in IPv4 (RFC 791) to the router; the sender numbers its source port (byte 34)."""
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 17, 0, HOST.packed, destination.packed)
    total = sum(struct.unpack("!10H", head))
    checksum = ~(total + (total >> 16)) & 0xFFFF
    head = head[:10] + struct.pack("!H", checksum) + head[12:]
    ethernet = ROUTER_MAC.to_bytes(6, "big") + graphs.mac_of(HOST).to_bytes(6, "big") + b"\x08\x00"
    return ethernet + head + struct.pack("!HHHH", 0, 4789, 8, 0)


SENDER = """
import socket, struct, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind((sys.argv[1], 0))
frame = bytearray.fromhex(sys.argv[2])
for port in range(49152, 49152 + 200):
    frame[34:36] = struct.pack("!H", port)
    wire.send(frame)
"""
FLOWS = 200


def outcome(trace: str) -> str:
    """Read what becomes of the packet in the end."""
    return re.findall(r"Datapath actions: (.*)", trace)[-1]


def test_every_kind_of_flow_group_and_meter_is_accepted(switch: Switch, fabric: Fabric) -> None:
    """Open vSwitch holds all flows, groups and meters of the program that it was given."""
    wanted = program(fabric, TOR, GroupAssignment())
    held = switch.ofctl("dump-flows")
    assert held.count("cookie=0x564c") == len(wanted.flows)
    assert len({flow.cookie >> 40 for flow in wanted.flows}) == 9
    groups = switch.ofctl("dump-groups")
    assert groups.count("type=select") == len(wanted.assignment.hops_of)
    assert groups.count("type=indirect") == len(wanted.assignment.shared_of) == len(fabric.edges) - 1
    assert switch.ofctl("dump-meters").count("pktps burst") == len(wanted.meters)


def test_a_switch_that_holds_its_program_is_sent_nothing(switch: Switch, fabric: Fabric) -> None:
    """What Open vSwitch reports of the program equals the program, so that a restarted controller has nothing to do."""
    installed = switch.read()
    previous = GroupAssignment.from_installed((flow for flow, _ in installed.flows), installed.groups)
    wanted = program(fabric, TOR, previous)
    mods = difference(Contents.of(installed), Contents(wanted.flows, wanted.groups, wanted.meters))
    assert len(wanted.flows) == len(installed.flows)
    assert mods == Mods()


def test_a_known_host_that_asks_for_an_la_is_answered_with_the_router(switch: Switch) -> None:
    """An ARP request of a known host for any LA comes back as a reply of the router, and is not punted."""
    trace = switch.trace(asked(str(HOST), "10.0.77.5"))
    final = next(line for line in trace.splitlines() if line.startswith("Final flow"))
    assert "arp_spa=10.0.77.5" in final
    assert f"arp_tpa={HOST}" in final
    assert "arp_op=2" in final
    assert f"arp_sha={ROUTER_MAC}" in final
    assert f"arp_tha={graphs.mac_of(HOST)}" in final
    assert f"dl_src={ROUTER_MAC}" in final
    assert f"dl_dst={graphs.mac_of(HOST)}" in final
    assert "IN_PORT" in trace
    assert "userspace" not in outcome(trace)


@pytest.mark.parametrize(
    ("spa", "what"), [(str(HOST), "gratuitous ARP"), ("0.0.0.0", "duplicate address detection")]  # noqa: S104
)  # fmt: skip
def test_a_host_that_asks_for_itself_gets_no_answer(switch: Switch, spa: str, what: str) -> None:
    """Gratuitous ARP and duplicate address detection of a known host are met with silence."""
    assert outcome(switch.trace(asked(spa, str(HOST)))) == "drop", what


def test_an_unknown_host_that_announces_itself_is_shown_and_gets_no_answer(switch: Switch) -> None:
    """The gratuitous ARP of an unknown host goes to the controller and is not answered."""
    trace = switch.trace(asked("10.0.1.77", "10.0.1.77", sha=Mac(0x020000000077)))
    assert "meter:3" in trace
    assert "CONTROLLER" in trace
    assert "arp_op=2" not in trace
    assert "IN_PORT" not in trace


def test_an_unknown_host_that_asks_for_its_gateway_is_shown_and_answered(switch: Switch) -> None:
    """The first ARP request of a new host for its gateway goes to the controller and is answered at once."""
    trace = switch.trace(asked("10.0.1.77", "10.0.1.1", sha=Mac(0x020000000077)))
    assert "CONTROLLER" in trace
    assert "IN_PORT" in trace


def test_a_reply_is_shown_to_the_controller(switch: Switch) -> None:
    """The ARP reply of a known host, an answer to a probe, goes to the controller."""
    assert "CONTROLLER" in switch.trace(asked(str(HOST), "10.0.1.1", op=2))


def test_arp_between_switches_is_dropped(switch: Switch) -> None:
    """ARP that comes out of a cable between switches is dropped."""
    assert outcome(switch.trace(asked(str(HOST), "10.0.77.5", port=1))) == "drop"


def test_a_packet_to_a_host_here_is_delivered(switch: Switch) -> None:
    """A packet to an LA on this switch gets the host's MAC, the router's source MAC and a lower TTL, and goes out."""
    trace = switch.trace(packet(HOST, port=1))
    final = next(line for line in trace.splitlines() if line.startswith("Final flow"))
    assert f"dl_src={ROUTER_MAC},dl_dst={graphs.mac_of(HOST)}" in final
    assert "nw_ttl=63" in final
    assert f"output:{EDGE}" in trace


def test_a_packet_to_another_prefix_goes_to_one_next_hop_by_its_hash(switch: Switch) -> None:
    """Depending on its hash, a packet to another prefix leaves by either uplink, still to the router's MAC."""
    used = set()
    for dp_hash in range(1, 65):
        trace = switch.trace(packet(BOTH_WAYS, port=EDGE, dp_hash=dp_hash))
        used |= set(map(int, re.findall(r"output:(\d+)", trace)))
        assert f"dl_dst={ROUTER_MAC}" in trace
    assert used == set(UPLINKS)


def test_flows_between_two_hypervisors_leave_by_all_next_hops(switch: Switch) -> None:
    """VXLAN of one pair of LAs, which differs in its UDP source ports alone (RFC 7348), is spread over both uplinks."""
    before = switch.sent()
    switch.inside(sys.executable, "-c", SENDER, f"q{EDGE}", frame(BOTH_WAYS).hex())
    until(lambda: sum(switch.sent()[port] - before[port] for port in UPLINKS) >= FLOWS)
    for port in UPLINKS:
        assert switch.sent()[port] - before[port] > FLOWS / 3


@pytest.mark.parametrize(
    ("basis", "spread"),
    [
        pytest.param(hash_basis(NEXT), True, id="its own basis"),
        pytest.param(hash_basis(TOR), False, id="the basis of the first"),
    ],
)
def test_the_next_tier_spreads_what_the_first_has_chosen(
    switch: Switch, fabric: Fabric, basis: int, *, spread: bool
) -> None:
    """What one tier sent one way is spread again by the next tier's switch, as its basis is another one.

    With the basis of the first tier all of it would take one way: what the test would see if it were not spread.
    """
    first = leaf_and_shared(fabric)[1]
    ways = {port: Bucket((Output(port),), watch_port=port) for port in (11, 12)}
    switch.vsctl(
        "add-br", "next", "--", "set", "bridge", "next", "datapath_type=netdev", "fail_mode=secure",
        "protocols=OpenFlow15",
        "--", "add-port", "next", "q1", "--", "set", "interface", "q1", "ofport_request=10",
        "--", "add-port", "next", "n11", "--", "set", "interface", "n11", "type=internal", "ofport_request=11",
        "--", "add-port", "next", "n12", "--", "set", "interface", "n12", "type=internal", "ofport_request=12",
    )  # fmt: skip
    try:
        for port in ways:
            switch.inside("ip", "link", "set", f"n{port}", "up")
        switch.ofctl("add-group", ofctl.group(Group(1, tuple(ways.values()), basis)), bridge="next")
        switch.ofctl("add-flow", "in_port=10,udp,actions=group:1", bridge="next")
        before = switch.chosen("fab", first)
        switch.inside(sys.executable, "-c", SENDER, f"q{EDGE}", frame(BOTH_WAYS).hex())
        until(lambda: sum(switch.chosen("fab", first)) == sum(before) + FLOWS)
        came = switch.chosen("fab", first)[0] - before[0]
        assert came > FLOWS / 3
        until(lambda: sum(switch.chosen("next", 1)) == came)
        assert (min(switch.chosen("next", 1)) > came / 4) == spread
        assert spread or min(switch.chosen("next", 1)) == 0
    finally:
        switch.vsctl("del-br", "next")


def test_a_packet_whose_time_is_over_is_dropped(switch: Switch) -> None:
    """A packet that arrives with TTL 1 is not forwarded."""
    assert "output:" not in switch.trace(packet(FAR, port=EDGE, ttl=1))


@pytest.mark.parametrize("destination", ["10.0.1.99", "10.0.99.1", "8.8.8.8"])
def test_a_packet_to_nobody_is_dropped(switch: Switch, destination: str) -> None:
    """Packets to an LA that nobody has, to a prefix that is nowhere, and to anything that is no LA are dropped."""
    assert outcome(switch.trace(packet(destination, port=EDGE))) == "drop"


def test_the_switch_itself_skips_a_dead_next_hop(switch: Switch) -> None:
    """When an uplink goes down, all packets take the other one, without the controller."""
    switch.inside("ip", "link", "set", "q1", "down")
    try:
        until(lambda: switch.vsctl("get", "interface", "p1", "link_state") == "down\n")
        used = set()
        for dp_hash in range(1, 65):
            trace = switch.trace(packet(BOTH_WAYS, port=EDGE, dp_hash=dp_hash))
            used |= set(map(int, re.findall(r"output:(\d+)", trace)))
        assert used == {2}
    finally:
        switch.inside("ip", "link", "set", "q1", "up")
        until(lambda: switch.vsctl("get", "interface", "p1", "link_state") == "up\n")


def ways(switch: Switch, destination: IPv4Address) -> set[int]:
    """By which ports packets to an LA leave, whatever their hash."""
    traces = (switch.trace(packet(destination, port=EDGE, dp_hash=dp_hash)) for dp_hash in range(1, 33))
    return {int(port) for trace in traces for port in re.findall(r"output:(\d+)", trace)}


def leaf_and_shared(fabric: Fabric) -> tuple[int, int]:
    """The groups of the route that may take both uplinks."""
    assignment = program(fabric, TOR, GroupAssignment()).assignment
    mine = next(group for target, group in assignment.group_of.items() if BOTH_WAYS in target.prefix)
    return mine, assignment.shared(mine)


def test_a_leaf_that_is_led_elsewhere_takes_its_routes_along(switch: Switch, fabric: Fabric) -> None:
    """One change of a leaf moves whatever goes to its edge switch, and no other."""
    mine, shared = leaf_and_shared(fabric)
    other = Group(9, (Bucket((Output(2),), watch_port=2),), hash_basis(TOR))
    before = ways(switch, FAR)
    assert ways(switch, BOTH_WAYS) == set(UPLINKS)
    switch.ofctl("add-group", ofctl.group(other))
    try:
        switch.ofctl("mod-group", ofctl.group(leaf(mine, other.group_id)))
        assert ways(switch, BOTH_WAYS) == {2}
        assert ways(switch, FAR) == before
    finally:
        switch.ofctl("mod-group", ofctl.group(leaf(mine, shared)))
        switch.ofctl("del-groups", "group_id=9")
    assert ways(switch, BOTH_WAYS) == set(UPLINKS)


def test_a_switch_says_nothing_of_a_leaf_that_leads_nowhere(switch: Switch, fabric: Fabric) -> None:
    """Open vSwitch takes a leaf without its shared group, and takes that group away from under one, and then drops:
    why the first is put first and removed last.
    """
    mine, shared = leaf_and_shared(fabric)
    flows, groups = switch.ofctl("dump-flows", "--no-stats"), switch.ofctl("dump-groups")
    whole = next(group for group in program(fabric, TOR, GroupAssignment()).groups if group.group_id == shared)
    switch.ofctl("del-groups", f"group_id={shared}")
    try:
        assert f"group_id={mine}," in switch.ofctl("dump-groups")
        assert switch.ofctl("dump-flows", "--no-stats") == flows
        assert ways(switch, BOTH_WAYS) == set()
        switch.ofctl("mod-group", ofctl.group(leaf(mine, shared)))
    finally:
        switch.ofctl("add-group", ofctl.group(whole))
    assert sorted(switch.ofctl("dump-groups").splitlines()[1:]) == sorted(groups.splitlines()[1:])
    assert ways(switch, BOTH_WAYS) == set(UPLINKS)


def test_a_pinned_bin_takes_its_port_and_goes_round_it_when_it_is_dead(switch: Switch, fabric: Fabric) -> None:
    """Flows of a pinned bin leave by the bin's port whatever their hash, and by the other uplink while that is down.

    What the switch holds then reads back as what it was given; flows of other bins are spread as before.
    """
    plain = program(fabric, TOR, GroupAssignment())
    prefix = next(target.prefix for target in plain.assignment.group_of if BOTH_WAYS in target.prefix)
    pin = Pin(1, 0, UPLINKS)

    def used(source_port: int) -> set[int]:
        traces = (
            switch.trace(packet(BOTH_WAYS, port=EDGE, dp_hash=dp_hash, udp_src=source_port)) for dp_hash in range(1, 33)
        )
        return {int(port) for trace in traces for port in re.findall(r"output:(\d+)", trace)}

    herd = Herd({prefix: UPLINKS}, {Bin(prefix, 40000 & BIN_MASK): pin})
    wanted = program(fabric, TOR, plain.assignment, herd=herd)
    switch.load(replace(wanted, meters=(), groups=tuple(group for group in wanted.groups if group.failover)))
    try:
        read = Contents.of(switch.read())
        assert difference(read, Contents(wanted.flows, wanted.groups, wanted.meters)) == Mods()
        assert used(40000) == {1}
        assert used(40001) == set(UPLINKS)
        switch.inside("ip", "link", "set", "q1", "down")
        until(lambda: switch.vsctl("get", "interface", "p1", "link_state") == "down\n")
        assert used(40000) == {2}
    finally:
        switch.inside("ip", "link", "set", "q1", "up")
        until(lambda: switch.vsctl("get", "interface", "p1", "link_state") == "up\n")
        switch.load(replace(plain, meters=(), groups=()))
        switch.ofctl("del-flows", f"table={ELEPHANTS.id}")
        switch.ofctl("del-groups", f"group_id={pin_group(0)}")
