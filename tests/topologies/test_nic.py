"""Does the NIC process treat frames as QEMU does, at rest and in a move?

No switch is needed: two bare namespaces stand for hypervisors, and the test itself speaks on their taps.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from topologies import namespace
from topologies.card import Card
from topologies.errors import LabError
from topologies.nic import rarp

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces"),
]

MAC = "02:00:00:00:00:01"
PEER = b"\x02\0\0\0\0\x02"
SOL_PACKET, PACKET_AUXDATA, VLAN_VALID = 263, 8, 0x10  # packet(7), linux/if_packet.h
KIND = 0x88B5  # IEEE 802 local experimental


@contextmanager
def bare_namespace() -> Iterator[int]:
    """A process in a namespace of its own; yields its pid."""
    with subprocess.Popen(["unshare", "-n", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            wait(lambda: namespace.inode(process.pid) != namespace.inode("self"))
            subprocess.run(
                [
                    "nsenter",
                    f"--net=/proc/{process.pid}/ns/net",
                    "sysctl",
                    "-qw",
                    "net.ipv6.conf.default.disable_ipv6=1",
                ],
                check=True,
            )
            yield process.pid
        finally:
            process.kill()


def wait(condition, seconds=10.0):
    """Poll until a condition holds; fails after a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        select.select((), (), (), 0.002)


class Wire:
    """A packet socket on an interface in another namespace."""

    def __init__(self, pid: int, interface: str) -> None:
        with namespace.inside(pid):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)  # SO_RCVBUFFORCE: the test must not lose frames itself
        self.socket.bind((interface, 3))

    def send(self, number: int, tag: int = 0) -> None:
        """Send a numbered frame into the interface, with the tag of a VLAN or without one."""
        tagged = b"\x81\x00" + tag.to_bytes(2) if tag else b""
        head = bytes.fromhex(MAC.replace(":", "")) + PEER + tagged
        self.socket.send(head + KIND.to_bytes(2) + number.to_bytes(4) + b"." * 50)

    def tagged(self, count: int, seconds: float = 5.0) -> list[tuple[int, int]]:
        """The VLANs (0 for none) and numbers of the frames that arrive, until ``count`` are there."""
        found = []
        deadline = time.monotonic() + seconds
        while len(found) < count and (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            data, ((_, _, told),), _, address = self.socket.recvmsg(2048, socket.CMSG_SPACE(20))
            status, *_, tag, _ = struct.unpack("=IIIHHHH", told)
            if address[2] != socket.PACKET_OUTGOING and data[12:14] == KIND.to_bytes(2):
                found.append((tag & 0xFFF if status & VLAN_VALID else 0, int.from_bytes(data[14:18])))
        return found

    def frames(self, count: int, seconds: float = 5.0) -> list[int]:
        """The numbers of the frames that arrive from the other side, until ``count`` are there."""
        found = []
        deadline = time.monotonic() + seconds
        while len(found) < count and (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                data, address = self.socket.recvfrom(2048)
            except TimeoutError:
                break
            if address[2] != socket.PACKET_OUTGOING and data[12:14] == KIND.to_bytes(2):
                found.append(int.from_bytes(data[14:18]))
        return found

    def heard(self, frame: bytes) -> int:
        """How often a frame is among what has arrived so far."""
        count = 0
        self.socket.setblocking(False)
        try:
            while True:
                data, address = self.socket.recvfrom(2048)
                count += address[2] != socket.PACKET_OUTGOING and data == frame
        except BlockingIOError:
            return count


@dataclass
class Machine:
    """A guest with its card, plugged at hypervisor ``a``, and two hypervisors."""

    card: Card
    guest: Wire
    pids: dict[str, int]
    stack: ExitStack

    def wire(self, host: str) -> Wire:
        """The hypervisor's side of the card, as its switch sees it."""
        wire = Wire(self.pids[host], "tap0")
        self.stack.callback(wire.socket.close)
        return wire


@pytest.fixture
def machine(root) -> Iterator[Machine]:
    """A running card."""
    with ExitStack() as stack:
        pids = {name: stack.enter_context(bare_namespace()) for name in ("guest", "a", "b")}
        card = Card("vm", pids["guest"], MAC, 1500, root)
        stack.callback(card.close)
        card.attach("a", pids["a"], "tap0")
        guest = Wire(pids["guest"], "eth0")
        stack.callback(guest.socket.close)
        yield Machine(card, guest, pids, stack)


def test_frames_pass_both_ways_in_order(machine):
    """What the guest sends leaves by the hypervisor's tap, and the other way round, in order and once each."""
    here = machine.wire("a")
    for i in range(300):
        here.send(i)
        machine.guest.send(1000 + i)
    assert machine.guest.frames(300) == list(range(300))
    assert here.frames(300) == list(range(1000, 1300))
    assert (machine.card.counters()["from_guest"], machine.card.counters()["to_guest"]) == (300, 300)


def test_nothing_queued_at_the_target_is_lost_by_the_pause(machine):
    """Frames that arrive at the target's tap before RESUME wait there and are delivered after it, in order."""
    machine.card.attach("b", machine.pids["b"], "tap0")
    there = machine.wire("b")
    for i in range(500):
        there.send(i)
    assert machine.guest.frames(1, seconds=0.05) == []
    machine.card.move("b", 20, announce=False)
    assert machine.guest.frames(500) == list(range(500))


def test_what_the_source_held_at_stop_is_still_delivered(machine):
    """Frames that were in the source's tap at STOP reach the guest, before those that wait at the target."""
    machine.card.attach("b", machine.pids["b"], "tap0")
    here, there = machine.wire("a"), machine.wire("b")
    for i in range(200):
        here.send(i)
    for i in range(200, 400):
        there.send(i)
    machine.card.move("b", 0, announce=False)
    assert machine.guest.frames(400) == list(range(400))


def test_what_the_guest_sends_while_it_stands_still_leaves_by_the_target(machine):
    """Frames that the guest queues between STOP and RESUME leave by the target's tap, all of them and in order."""
    machine.card.attach("b", machine.pids["b"], "tap0")
    here, there = machine.wire("a"), machine.wire("b")
    with ThreadPoolExecutor(1) as pool:
        moving = pool.submit(machine.card.move, "b", 300, announce=False)
        machine.guest.frames(1, seconds=0.1)  # well into the pause
        for i in range(900):
            machine.guest.send(i)
        moving.result()
    machine.guest.send(900)
    assert there.frames(901) == list(range(901))
    assert here.frames(1, seconds=0.05) == []


def test_the_guest_stands_still_for_as_long_as_asked(machine):
    """STOP to RESUME takes the pause, to a few milliseconds; a pause of 0 takes none."""
    machine.card.attach("b", machine.pids["b"], "tap0")
    blackout = machine.card.move("b", 80, announce=False)
    assert 80e6 <= blackout.resumed - blackout.stopped < 130e6
    blackout = machine.card.move("a", 0, announce=False)
    assert blackout.resumed - blackout.stopped < 5e6


def test_after_the_move_only_the_target_counts(machine):
    """After RESUME the guest's frames leave by the target's tap and nothing is read from the source's."""
    machine.card.attach("b", machine.pids["b"], "tap0")
    here, there = machine.wire("a"), machine.wire("b")
    machine.card.move("b", 0, announce=False)
    machine.guest.send(7)
    here.send(8)
    there.send(9)
    assert there.frames(1) == [7]
    assert machine.guest.frames(2, seconds=0.2) == [9]
    assert here.frames(1, seconds=0.05) == []


def test_a_move_is_announced_five_times_by_rarp(machine):
    """RARPs of 60 bytes leave the target at RESUME and after 50, 200, 450 and 800 ms, and none leaves the source."""
    machine.card.attach("b", machine.pids["b"], "tap0")
    here, there = machine.wire("a"), machine.wire("b")
    frame = rarp(bytes.fromhex(MAC.replace(":", "")))
    assert len(frame) == 60
    began = time.monotonic()
    machine.card.move("b", 0)
    wait(lambda: machine.card.counters()["announced"] == 5)
    assert 0.8 <= time.monotonic() - began < 2
    assert there.heard(frame) == 5
    assert here.heard(frame) == 0


def test_the_card_is_never_seen_gone_by_its_guest(machine):
    """The guest's eth0, its address and its carrier are the same before and after a move."""
    link = ["nsenter", f"--net=/proc/{machine.pids['guest']}/ns/net", "ip", "-brief", "link", "show", "eth0"]
    before = subprocess.run(link, capture_output=True, check=True).stdout
    machine.card.attach("b", machine.pids["b"], "tap0")
    machine.card.move("b", 0, announce=False)
    machine.card.detach("a")
    assert subprocess.run(link, capture_output=True, check=True).stdout == before
    assert b"LOWER_UP" in before


def test_a_vlan_is_tagged_by_the_card(machine):
    """What the guest's VLAN sends leaves with the tag, what comes with it goes there without, and all else to eth0."""
    machine.card.add_vlan(100, "02:00:00:00:00:03", 1500)
    vlan = Wire(machine.pids["guest"], "eth0.100")
    machine.stack.callback(vlan.socket.close)
    machine.card.attach("b", machine.pids["b"], "tap0")
    for host in ("a", "b"):
        if host == "b":
            machine.card.move("b", 0, announce=False)
        wire = machine.wire(host)
        wire.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        vlan.send(1)
        machine.guest.send(2)
        assert sorted(wire.tagged(2)) == [(0, 2), (100, 1)]
        wire.send(3, tag=100)
        wire.send(4, tag=200)
        wire.send(5)
        assert vlan.frames(1) == [3]
        assert sorted(machine.guest.frames(2)) == [4, 5]
        assert vlan.frames(1, seconds=0.05) == []


def test_impossible_orders_are_refused_and_change_nothing(machine):
    """Moving to where there is no tap, attaching twice, detaching what is not there: refused; traffic goes on."""
    for order in (
        lambda: machine.card.move("b", 0),
        lambda: machine.card.attach("a", machine.pids["a"], "tap1"),
        lambda: machine.card.attach("b", machine.pids["b"], "a-name-that-is-too-long"),
        lambda: machine.card.detach("b"),
        lambda: machine.card.add_vlan(0, MAC, 1500),
        lambda: machine.card.add_vlan(4095, MAC, 1500),
        lambda: machine.card.add_vlan(7, MAC, 1500) or machine.card.add_vlan(7, MAC, 1500),
    ):
        with pytest.raises(LabError):
            order()
    machine.wire("a").send(5)
    assert machine.guest.frames(1) == [5]
