"""What is a machine that is a QEMU guest?

A QEMU process at each hypervisor where it is plugged: the one that runs, and during a move the one that waits for it.
All of them have the same memory, a file without a name that goes when the last of them goes: under QEMU's own
translator (TCG) copying the memory of a busy guest page by page corrupts it, and moving none is quicker as well.

The verbs are those of a namespace machine's network card (:mod:`topologies.card`).
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from topologies.card import Blackout
from topologies.errors import LabError
from topologies.nic import CALM_MS, IFF_PROMISC, IFF_UP, open_tap, set_flags
from topologies.qemu.console import Console, Ran
from topologies.qemu.image import LEASES, QEMU, Image
from topologies.qemu.qmp import Monitor

MEGABYTES: Final = 96
"""A guest's memory."""

_START_SECONDS: Final = 20.0
_BOOT_SECONDS: Final = 60.0
_MIGRATE_SECONDS: Final = 20.0
_LEAVE_SECONDS: Final = 5.0
_ASK_SECONDS: Final = 20.0
_POLL_SECONDS: Final = 0.005
_ROUNDS: Final = 5
"""How often QEMU announces a guest, if nobody says otherwise."""

_LOST: Final = frozenset({"failed", "cancelled"})
_UNDER_WAY: Final = frozenset({"setup", "active", "pre-switchover", "device", "cancelling"})


@dataclass(frozen=True, slots=True)
class Numbered:
    """How a guest configures its card."""

    mac: str
    mtu: int
    addresses: tuple[str, ...] = ()
    gateway: str | None = None


@dataclass(slots=True)
class _Body:
    """A QEMU process at a hypervisor."""

    host: str
    tap: int
    process: subprocess.Popen[bytes]
    path: Path
    """Of its monitor's socket; the serial line's and the migration's are beside it."""
    log: Path
    monitor: Monitor | None = None

    def beside(self, suffix: str) -> Path:
        """Another socket of the process."""
        return self.path.with_suffix(suffix)

    @property
    def place(self) -> str:
        """Where it waits for a guest that migrates."""
        return f"unix:{self.beside('.mig')}"

    def connect(self) -> Monitor:
        """The process's monitor, once it has one.

        :raises LabError: if it does not start.
        """
        deadline = time.monotonic() + _START_SECONDS
        while self.monitor is None:
            try:
                self.monitor = Monitor(self.path)
            except OSError as wrong:
                ended = self.process.poll()
                if ended is not None or time.monotonic() > deadline:
                    said = self.log.read_text(errors="replace").strip().rpartition("\n")[2]
                    what = "does not start" if ended is None else f"has ended ({ended})"
                    raise LabError(f"QEMU at {self.host} {what}: {said or wrong}") from wrong
                time.sleep(_POLL_SECONDS)
        return self.monitor

    def line(self) -> socket.socket:
        """The guest's second serial line."""
        session = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        session.connect(str(self.beside(".tty")))
        return session

    def kill(self) -> None:
        """End the process; the tap stays."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """End the process, and the tap."""
        self.kill()
        if self.monitor is not None:
            self.monitor.close()
        os.close(self.tap)
        for suffix in (".qmp", ".agent", ".tty", ".mig"):
            self.beside(suffix).unlink(missing_ok=True)


class Machine:
    """A guest.

    :param workshop: a process in a namespace where taps are made before they go to their hypervisor.
    """

    def __init__(self, name: str, workshop: int, image: Image, card: Numbered, directory: Path) -> None:
        self.name = name
        self._workshop = workshop
        self._image = image
        self._card = card
        self._directory = directory
        self._memory = os.memfd_create(f"vl2-{name}", os.MFD_CLOEXEC)
        os.ftruncate(self._memory, MEGABYTES << 20)
        self._bodies: dict[str, _Body] = {}
        self._active: _Body | None = None
        self._born = 0
        self._console: Console | None = None
        self._told: list[tuple[str, Monitor, int]] = []
        """The monitors of the last migration, and how much each had told before it."""

    @property
    def pid(self) -> int:
        """The process in which the guest is."""
        return self._active.process.pid if self._active else 0

    # --- bodies -----------------------------------------------------------------------------------------------------

    def attach(self, host: str, pid: int, tap: str) -> None:
        """Make a tap at a hypervisor and start a QEMU there, which runs if it is the first, and waits if not.

        :raises LabError: if the tap cannot be made, or the first QEMU does not start; of another that is seen later.
        """
        if host in self._bodies:
            raise LabError(f"{self.name}: already attached at {host}")
        # As libvirt does: the tap's own address differs from the guest's in the first byte.
        mac = b"\xfe" + bytes.fromhex(self._card.mac.replace(":", ""))[1:]
        try:
            fd = open_tap(pid, tap, mac, self._card.mtu, workshop=self._workshop)
            body = self._start(host, pid, fd)
            self._bodies[host] = body
            if self._active is None:
                self._active = body
                set_flags(fd, IFF_UP | IFF_PROMISC)
                # Now: what the guest says on a line that nobody listens to is lost.
                body.connect()
                self._console = Console(self.name, body.line())
                return
        except OSError as wrong:
            raise LabError(f"{self.name}: cannot be attached at {host}: {wrong}") from wrong
        # Step by step, with time for the switch to get over each (topologies.nic).
        time.sleep(CALM_MS / 1000)
        with suppress(OSError):  # its hypervisor has gone meanwhile, and the tap with it
            set_flags(fd, IFF_UP | IFF_PROMISC)
        time.sleep(CALM_MS / 1000)

    def _start(self, host: str, pid: int, tap: int) -> _Body:
        self._born += 1
        path = self._directory / f"{self.name}.{self._born}.qmp"
        log = self._directory / f"{self.name}.qemu.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                ["mnexec", "-a", str(pid), *self._command(path, tap, waits=self._active is not None)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(tap, self._memory),
                start_new_session=True,
            )
        return _Body(host, tap, process, path, log)

    def _command(self, path: Path, tap: int, *, waits: bool) -> list[str]:
        card = self._card
        told = ["console=ttyS0", "quiet", "panic=-1", f"vl2.name={self.name}", f"vl2.mtu={card.mtu}"]
        told += [f"vl2.address={','.join(card.addresses)}"] if card.addresses else []
        told += [f"vl2.gateway={card.gateway}"] if card.gateway else []
        console = self._directory / f"{self.name}.console.log"
        words = [
            *(QEMU, "-name", self.name, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-accel", "tcg,tb-size=32", "-m", str(MEGABYTES), "-M", "pc,memory-backend=ram0"),
            *("-object", f"memory-backend-file,id=ram0,size={MEGABYTES}M,mem-path=/dev/fd/{self._memory},share=on"),
            *("-kernel", str(self._image.kernel), "-initrd", str(self._image.initramfs), "-append", " ".join(told)),
            *("-netdev", f"tap,id=n0,fd={tap},vhost=off"),
            *("-device", f"virtio-net-pci,netdev=n0,mac={card.mac},romfile="),
            *("-chardev", f"file,id=boot,path={console},append=on", "-serial", "chardev:boot"),
            *("-chardev", f"socket,id=tty,path={path.with_suffix('.tty')},server=on,wait=off"),
            *("-serial", "chardev:tty", "-qmp", f"unix:{path},server=on,wait=off"),
            *("-qmp", f"unix:{path.with_suffix('.agent')},server=on,wait=off"),
        ]
        return [*words, "-incoming", "defer"] if waits else words

    def detach(self, host: str) -> None:
        """End the QEMU at a hypervisor: the tap is taken down, and goes when the switch has got over that.

        :raises LabError: if there is none.
        """
        body = self._bodies.pop(host, None)
        if body is None:
            raise LabError(f"{self.name}: not attached at {host}")
        with suppress(OSError):
            set_flags(body.tap, 0)
        time.sleep(CALM_MS / 1000)
        body.end()
        if body is self._active:
            self._active = None

    def close(self) -> None:
        """End all processes, and with them all taps."""
        if self._console is not None:
            self._console.close()
        for body in self._bodies.values():
            body.end()
        self._bodies = {}
        self._active = None
        os.close(self._memory)

    def counters(self) -> dict[str, int]:
        """None: the frames of a guest are counted by the switch alone."""
        return {}

    # --- the guest --------------------------------------------------------------------------------------------------

    def await_boot(self) -> None:
        """Wait until the guest is up.

        :raises LabError: if it does not come up.
        """
        if self._console is None:
            raise LabError(f"{self.name}: the guest runs nowhere")
        self._console.await_ready(_BOOT_SECONDS)

    def ask(self) -> None:
        """Let a DHCP client configure eth0, and go on doing so.

        :raises LabError: if nobody answers.
        """
        told = self.run(["udhcpc", "-n", "-t", "10", "-T", "1", "-i", "eth0", "-s", LEASES], _ASK_SECONDS)
        if told.returncode:
            raise LabError(f"{self.name}: no address by DHCP: {told.stderr.strip()}")

    def run(self, argv: Sequence[str], seconds: float) -> Ran:
        """Run a command in the guest.

        :raises LabError: if the guest does not answer.
        """
        if self._console is None:
            raise LabError(f"{self.name}: the guest is not up")
        return self._console.run(argv, seconds)

    def _running(self) -> _Body:
        if self._active is None:
            raise LabError(f"{self.name}: the guest runs nowhere")
        return self._active

    # --- migration --------------------------------------------------------------------------------------------------

    def prepare(self, host: str, *, announce: bool = True) -> None:
        """Wait for the QEMU at a hypervisor, and let both be ready to migrate: STOP comes 3 ms after :meth:`move`.

        :param announce: whether the guest is announced by RARP when it has arrived.
        :raises LabError: if that QEMU does not start; the guest runs on.
        """
        source, target = self._running(), self._bodies[host]
        here, there = source.connect(), target.connect()
        _able(there, "x-ignore-shared", "events")
        _able(here, "x-ignore-shared", "events", "pause-before-switchover")
        there.execute("migrate-set-parameters", **{"announce-rounds": _ROUNDS if announce else 0})
        self._told = [("source", here, here.heard), ("target", there, there.heard)]
        there.execute("migrate-incoming", uri=target.place)

    def move(self, host: str, pause_ms: float, *, at_stop: Callable[[], None] | None = None) -> Blackout:
        """Migrate to a hypervisor for which all is prepared; returns after RESUME.

        :param pause_ms: from STOP to RESUME, at least.
        :param at_stop: done while the guest stands still, before it may run at the target.
        :raises LabError: if it does not get there (or ``at_stop`` raises it); then it runs on where it was.
        """
        source, target = self._running(), self._bodies[host]
        if self._console is None:
            raise LabError(f"{self.name}: the guest is not up")
        with self._console.silent():
            try:
                line = target.line()
                blackout = self._migrate(source.connect(), target, pause_ms, at_stop)
            except (LabError, OSError) as wrong:
                target.kill()
                self._recover(source)
                raise LabError(f"{self.name}: {wrong}") from wrong
            self._console.hand_over(line)
        self._active = target
        return blackout

    def _migrate(self, here: Monitor, target: _Body, pause_ms: float, at_stop: Callable[[], None] | None) -> Blackout:
        there = target.connect()
        marks = here.heard, there.heard
        here.execute("migrate", uri=target.place)
        told = here.await_event(
            marks[0], lambda each: each.migration in {"pre-switchover", *_LOST}, "switch-over", _MIGRATE_SECONDS
        )
        if told.migration in _LOST:
            raise LabError(f"the migration has {told.migration}")
        stop = here.await_event(marks[0], lambda each: each.name == "STOP", "STOP", _MIGRATE_SECONDS)
        if at_stop is not None:
            at_stop()
        time.sleep(max(0.0, pause_ms / 1000 - (time.monotonic_ns() - stop.at) / 1e9))
        here.execute("migrate-continue", state="pre-switchover")
        resume = there.await_event(marks[1], lambda each: each.name == "RESUME", "RESUME", _MIGRATE_SECONDS)
        return Blackout(stop.at, resume.at)

    def _recover(self, source: _Body) -> None:
        """Let the guest run on where it was; nobody else has it any more.

        :raises LabError: if it cannot.
        """
        monitor = source.connect()
        monitor.execute("migrate_cancel")
        deadline = time.monotonic() + _LEAVE_SECONDS
        while monitor.execute("query-migrate").get("status") in _UNDER_WAY:
            if time.monotonic() > deadline:
                raise LabError(f"{self.name}: the migration cannot be cancelled")
            time.sleep(_POLL_SECONDS)
        if not monitor.execute("query-status")["running"]:
            monitor.execute("cont")

    def told(self) -> tuple[tuple[str, int], ...]:
        """What both QEMUs have told of the last move, in order: CLOCK_MONOTONIC, ns."""
        events = [
            (f"{place} {each.migration or each.name}", each.at)
            for place, monitor, mark in self._told
            for each in monitor.since(mark)
            if each.name in {"STOP", "RESUME", "MIGRATION"}
        ]
        return tuple(sorted(events, key=lambda each: each[1]))


def _able(monitor: Monitor, *capabilities: str) -> None:
    states = [{"capability": each, "state": True} for each in capabilities]
    monitor.execute("migrate-set-capabilities", capabilities=states)
