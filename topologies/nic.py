"""What does QEMU do for a guest's network card, without a guest?

One process per virtual machine.  It holds the guest's ``eth0`` (a tap in the guest's namespace) and a tap on every
hypervisor where the machine is plugged, and relays frames between the guest and the *active* one.  A move is what it
is with QEMU: at STOP nothing is read any more, neither from the guest nor from a hypervisor, so frames queue in the
taps (txqueuelen 1,000, drop beyond); at RESUME the guest talks through the new tap, what queued there is
delivered, and RARPs announce the machine, at once and after 50, 200, 450 and 800 ms (QEMU's ``announce-*`` defaults).

A guest may have VLANs (``eth0.100``), each a tap of its own in its namespace: the card tags what comes out of it, and
takes the tag off what goes in, as the guest's 802.1Q module would (which not every kernel has).

It is driven by JSON lines on a unix socket; verbs: ``attach``, ``move``, ``detach``, ``announce``, ``vlan`` and
``report``.
Only the standard library is used, and nothing else of ours but the names in ``topologies.namespace``.
"""

from __future__ import annotations

import argparse
import errno
import fcntl
import heapq
import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from topologies.namespace import enter, inside

QUEUE: Final = 1000
"""Frames that a tap holds while nobody reads it."""

ANNOUNCE_AFTER_MS: Final = (0, 50, 200, 450, 800)
CALM_MS: Final = 50.0
"""What ovs-vswitchd takes at most to see a change of a link and to look through its datapath after it."""
_BURST: Final = 64
_CATCH_UP: Final = 32
_TUNSETIFF: Final = 0x400454CA
_TUNGETIFF: Final = 0x800454D2
_TUNGETDEVNETNS: Final = 0x54E3
_IFF_TAP_NO_PI: Final = 0x0002 | 0x1000
_SIOCSIFFLAGS, _SIOCSIFMTU, _SIOCSIFHWADDR, _SIOCSIFTXQLEN = 0x8914, 0x8922, 0x8924, 0x8943
IFF_UP: Final = 1
IFF_PROMISC: Final = 0x100
_RTM_NEWLINK, _NLM_F_REQUEST_ACK, _IFLA_NET_NS_PID = 16, 5, 19
_ARPHRD_ETHER: Final = 1
_HEADERS: Final = 64
_NAME_MAX: Final = 15
_TPID: Final = b"\x81\x00"
_VID_MASK: Final = 0xFFF


def open_tap(pid: int, name: str, mac: bytes, mtu: int, *, workshop: int | None = None) -> int:
    """Make a tap in the namespace of process ``pid``; it exists as long as the returned descriptor is open.

    At each change of a link in its namespace ovs-vswitchd forgets its routes for a moment (``route_table_reset()``),
    and a revalidator that looks just then drops tunnelled packets of *other* machines for some milliseconds.  So a tap
    for Open vSwitch is made elsewhere, comes to its place in one piece, and is promiscuous already.

    :param workshop: make it in the namespace of this process, then move it to ``pid``'s, where it is not up yet.
    :raises OSError: if a namespace is gone or the name is taken.
    """
    if len(name) > _NAME_MAX:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), name)
    made_at = pid if workshop is None else workshop
    with inside(made_at):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    request = name.encode().ljust(16, b"\0")
    try:
        with control:
            # tun_set_iff() makes the device in the namespace of the file's opener, not of the caller.
            fcntl.ioctl(fd, _TUNSETIFF, request + struct.pack("H22x", _IFF_TAP_NO_PI))
            fcntl.ioctl(control, _SIOCSIFHWADDR, request + struct.pack("H6s16x", _ARPHRD_ETHER, mac))
            fcntl.ioctl(control, _SIOCSIFMTU, request + struct.pack("i20x", mtu))
            fcntl.ioctl(control, _SIOCSIFTXQLEN, request + struct.pack("i20x", QUEUE))
        if workshop is None:
            set_flags(fd, IFF_UP)
        else:
            move_link(name, workshop, pid)
    except OSError:
        os.close(fd)
        raise
    return fd


def set_flags(fd: int, flags: int) -> None:
    """Set the flags (up, promiscuous) of a tap's interface, wherever it is (netdevice(7)).

    :raises OSError: if the kernel refuses.
    """
    name = fcntl.ioctl(fd, _TUNGETIFF, bytes(40))[:16]
    # The descriptor knows the namespace of its interface, which is not that of this thread (TUNGETDEVNETNS).
    there = fcntl.ioctl(fd, _TUNGETDEVNETNS, 0)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(there)
        try:
            control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        finally:
            enter(home)
    finally:
        os.close(there)
        os.close(home)
    with control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, name + struct.pack("H22x", flags))


def move_link(name: str, here: int, there: int) -> None:
    """Move an interface from the network namespace of one process to that of another (rtnetlink(7), RTM_NEWLINK).

    :raises OSError: if there is none, or the other namespace has one of that name.
    """
    with inside(here):
        kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        index = socket.if_nametoindex(name)
    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, 0, 0) + struct.pack("=HHI", 8, _IFLA_NET_NS_PID, there)
    with kernel:
        kernel.send(struct.pack("=IHHII", 16 + len(body), _RTM_NEWLINK, _NLM_F_REQUEST_ACK, 1, 0) + body)
        (error,) = struct.unpack_from("=i", kernel.recv(4096), 16)
    if error:
        raise OSError(-error, os.strerror(-error), name)


def rarp(mac: bytes) -> bytes:
    """The frame by which QEMU announces a guest: RARP request-reverse (RFC 903), broadcast, 60 bytes."""
    body = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 3, mac, b"\0" * 4, mac, b"\0" * 4)
    return (b"\xff" * 6 + mac + b"\x80\x35" + body).ljust(60, b"\0")


@dataclass(slots=True)
class Tap:
    """A tap on a hypervisor."""

    host: str
    name: str
    fd: int


@dataclass(slots=True)
class Counters:
    """Frames relayed since the start; ``dropped`` are those that a tap refused."""

    from_guest: int = 0
    to_guest: int = 0
    dropped: int = 0
    drained: int = 0
    announced: int = 0


@dataclass(slots=True)
class Nic:
    """The network card of one virtual machine."""

    mac: bytes
    mtu: int
    guest: int
    poller: select.epoll = field(default_factory=select.epoll)
    taps: dict[str, Tap] = field(default_factory=dict)
    active: Tap | None = None
    running: bool = False
    listening: bool = False
    """Whether the guest's tap is being waited for."""
    resumed: int = 0
    counters: Counters = field(default_factory=Counters)
    timeline: list[tuple[int, str, str]] = field(default_factory=list)
    timers: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    ticket: int = 0
    vlans: dict[int, int] = field(default_factory=dict)
    """The guest's taps of VLANs, by their numbers."""
    tags: dict[int, bytes] = field(default_factory=dict)
    """The other way round: what is put into the frames that come out of them."""
    guest_pid: int | None = None
    """A process in the guest's namespace, where taps are made before they go to their hypervisor."""

    # --- frames -------------------------------------------------------------------------------------------------

    def relay(self, source: int, target: int, limit: int = _BURST) -> int:
        """Pass on at most ``limit`` frames that wait at ``source``; returns how many."""
        read, write, size = os.read, os.write, self.mtu + _HEADERS
        tag, sorting = self.tags.get(source), bool(self.vlans) and target == self.guest
        into = target
        passed = 0
        try:
            while passed < limit:
                frame = read(source, size)
                passed += 1
                if tag is not None:
                    frame = frame[:12] + tag + frame[12:]
                elif sorting:
                    into, frame = self.sort(frame)
                try:
                    write(into, frame)
                except OSError:
                    self.counters.dropped += 1
        except BlockingIOError:
            pass
        return passed

    def sort(self, frame: bytes) -> tuple[int, bytes]:
        """To which of the guest's taps a frame goes, and what of it: its VLAN's without the tag, or else eth0 whole."""
        if frame[12:14] == _TPID:
            vlan = self.vlans.get(int.from_bytes(frame[14:16]) & _VID_MASK)
            if vlan is not None:
                return vlan, frame[:12] + frame[16:]
        return self.guest, frame

    def pump(self, fd: int) -> None:
        """Relay what waits at a descriptor that epoll has found readable."""
        if self.active is None or not self.running:
            return
        if fd == self.guest or fd in self.tags:
            self.counters.from_guest += self.relay(fd, self.active.fd)
        elif fd == self.active.fd:
            self.counters.to_guest += self.relay(fd, self.guest)

    # --- life ---------------------------------------------------------------------------------------------------

    def note(self, event: str, host: str) -> int:
        """Write an event into the timeline; returns its time (CLOCK_MONOTONIC, ns)."""
        now = time.monotonic_ns()
        self.timeline.append((now, event, host))
        return now

    def later(self, after_ms: float, what: Callable[[], None]) -> None:
        """Do something in ``after_ms`` milliseconds."""
        self.ticket += 1
        heapq.heappush(self.timers, (time.monotonic_ns() + int(after_ms * 1e6), self.ticket, what))

    def add_vlan(self, vid: int, mac: bytes, mtu: int) -> None:
        """Give the guest a VLAN.

        :raises OSError: if its tap cannot be made. :raises ValueError: if it has that VLAN, or nobody can.
        """
        if not 0 < vid < _VID_MASK or vid in self.vlans or self.guest_pid is None:
            raise ValueError(f"no VLAN {vid} can be added")
        tap = open_tap(self.guest_pid, f"eth0.{vid}", mac, mtu)
        self.vlans[vid] = tap
        self.tags[tap] = _TPID + vid.to_bytes(2)
        if self.listening:
            self.poller.register(tap, select.EPOLLIN)

    def attach(self, host: str, pid: int, name: str, done: Callable[[], None]) -> None:
        """Make a tap on a hypervisor, and tell ``done``; the first one becomes the active one.

        A further one, for a move, arrives and is taken up step by step, with time for the switch to get over each.

        :raises OSError: if the tap cannot be made. :raises ValueError: if the machine is attached there already.
        """
        if host in self.taps:
            raise ValueError(f"already attached at {host}")
        # As libvirt does: the tap's own address differs from the guest's in the first byte.
        tap = Tap(host, name, open_tap(pid, name, b"\xfe" + self.mac[1:], self.mtu, workshop=self.guest_pid))
        self.taps[host] = tap
        self.note("ATTACH", host)
        if self.active is None:
            set_flags(tap.fd, IFF_UP | IFF_PROMISC)
            self.active = tap
            self.resume(tap)
            done()
            return

        def raise_it() -> None:
            with suppress(OSError):  # its hypervisor has gone meanwhile, and the tap with it
                set_flags(tap.fd, IFF_UP | IFF_PROMISC)
            self.later(CALM_MS, done)

        self.later(CALM_MS, raise_it)

    def detach(self, host: str, done: Callable[[], None]) -> None:
        """Take the tap down, and remove it (and tell ``done``) when the switch has got over that (:func:`open_tap`).

        :raises KeyError: if there is none.
        """
        tap = self.taps[host]
        if tap is self.active:
            self.stop()
            self.active = None
        with suppress(OSError):
            set_flags(tap.fd, 0)

        def remove() -> None:
            del self.taps[host]
            os.close(tap.fd)
            self.note("DETACH", host)
            done()

        self.later(CALM_MS, remove)

    def stop(self) -> int:
        """Stop reading; what the active tap already held is still delivered, as the guest had received it."""
        if self.active is not None and self.running:
            self.counters.drained += self.relay(self.active.fd, self.guest, QUEUE)
            if self.listening:
                for each in (self.guest, *self.tags):
                    self.poller.unregister(each)
                self.listening = False
            self.poller.unregister(self.active.fd)
        self.running = False
        return self.note("STOP", self.active.host if self.active else "")

    def resume(self, tap: Tap) -> int:
        """Read again, from the guest and from ``tap``."""
        self.active = tap
        self.running = True
        self.resumed = now = self.note("RESUME", tap.host)
        self.poller.register(tap.fd, select.EPOLLIN)
        self.catch_up(now)
        return now

    def catch_up(self, since: int) -> None:
        """Relay what the guest has queued, a few frames per millisecond, and then listen to it.

        A thousand frames at once are more than the switch's packet socket holds (net.core.rmem_default, some 270 small
        frames); a real guest's ring is shorter.  ``since`` is the RESUME that this belongs to.
        """
        if self.active is None or not self.running or self.resumed != since:
            return
        passed = [self.relay(each, self.active.fd, _CATCH_UP) for each in (self.guest, *self.tags)]
        self.counters.from_guest += sum(passed)
        if max(passed) == _CATCH_UP:
            self.later(1, lambda: self.catch_up(since))
        else:
            for each in (self.guest, *self.tags):
                self.poller.register(each, select.EPOLLIN)
            self.listening = True

    def announce(self) -> None:
        """Send one RARP out of the active tap."""
        if self.active is not None and self.running:
            try:
                os.write(self.active.fd, rarp(self.mac))
            except OSError:
                self.counters.dropped += 1
            self.counters.announced += 1
            self.note("RARP", self.active.host)

    def move(self, host: str, pause_ms: float, announce: bool, done: Callable[[int, int], None]) -> None:
        """STOP, and after the pause RESUME at ``host``; ``done`` is told both times.

        :raises KeyError: if the machine is not attached there. :raises ValueError: if it is stopped already.
        """
        tap = self.taps[host]
        if not self.running:
            raise ValueError("the machine is stopped, a move is under way")
        stopped = self.stop()

        def arrive() -> None:
            resumed = self.resume(tap)
            done(stopped, resumed)
            if announce:
                for after in ANNOUNCE_AFTER_MS:
                    self.later(after, self.announce)

        if pause_ms > 0:
            self.later(pause_ms, arrive)
        else:
            arrive()

    def due(self) -> float:
        """Do what is due; returns the seconds until the next, -1 if there is none."""
        while self.timers:
            wait = self.timers[0][0] - time.monotonic_ns()
            if wait > 0:
                return wait / 1e9
            heapq.heappop(self.timers)[2]()
        return -1

    def report(self) -> dict[str, Any]:
        """What the card has done."""
        return {
            "active": self.active.host if self.active else None,
            "running": self.running,
            "attached": {host: tap.name for host, tap in self.taps.items()},
            "counters": {name: getattr(self.counters, name) for name in Counters.__slots__},
            "timeline": self.timeline,
        }


class Panel:
    """The control socket of a card."""

    def __init__(self, nic: Nic, path: str) -> None:
        self.nic = nic
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.listener.bind(path)
        self.listener.listen(16)
        self.sessions: dict[int, tuple[socket.socket, bytearray]] = {}
        nic.poller.register(self.listener, select.EPOLLIN)

    def serve(self) -> None:
        """Relay frames and follow orders until the process is killed."""
        nic = self.nic
        listening = self.listener.fileno()
        while True:
            for fd, _event in nic.poller.poll(nic.due()):
                if fd == listening:
                    session, _ = self.listener.accept()
                    self.sessions[session.fileno()] = (session, bytearray())
                    nic.poller.register(session, select.EPOLLIN)
                elif fd in self.sessions:
                    self._hear(fd)
                else:
                    nic.pump(fd)

    def _hear(self, fd: int) -> None:
        session, heard = self.sessions[fd]
        try:
            more = session.recv(65536)
        except ConnectionError:
            more = b""
        if not more:
            self.nic.poller.unregister(fd)
            del self.sessions[fd]
            session.close()
            return
        heard += more
        while (end := heard.find(b"\n")) >= 0:
            line = bytes(heard[:end])
            del heard[: end + 1]
            self._obey(session, json.loads(line))

    def _obey(self, session: socket.socket, order: dict[str, Any]) -> None:
        def answer(**words: Any) -> None:
            try:
                session.sendall(json.dumps(words).encode() + b"\n")
            except OSError:
                return  # whoever asked has gone; the order was followed all the same

        nic = self.nic
        try:
            match order["verb"]:
                case "attach":
                    nic.attach(order["host"], order["pid"], order["name"], lambda: answer(ok=True))
                case "detach":
                    nic.detach(order["host"], lambda: answer(ok=True))
                case "move":
                    nic.move(
                        order["host"],
                        order["pause_ms"],
                        order["announce"],
                        lambda stopped, resumed: answer(ok=True, stopped=stopped, resumed=resumed),
                    )
                case "announce":
                    nic.announce()
                    answer(ok=True)
                case "vlan":
                    nic.add_vlan(order["vid"], _mac(order["mac"]), order["mtu"])
                    answer(ok=True)
                case "report":
                    answer(ok=True, **nic.report())
                case other:
                    answer(ok=False, error=f"no such verb: {other}")
        except (OSError, ValueError, KeyError) as wrong:
            answer(ok=False, error=f"{type(wrong).__name__}: {wrong}")


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def main() -> None:
    """Run one card: ``python -m topologies.nic --guest PID --mac MAC --mtu N --control PATH``."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--guest", type=int, required=True)
    parser.add_argument("--mac", required=True)
    parser.add_argument("--mtu", type=int, default=1500)
    parser.add_argument("--control", required=True)
    asked = parser.parse_args()
    mac = _mac(asked.mac)
    nic = Nic(mac, asked.mtu, open_tap(asked.guest, "eth0", mac, asked.mtu), guest_pid=asked.guest)
    Panel(nic, asked.control).serve()


if __name__ == "__main__":
    main()
