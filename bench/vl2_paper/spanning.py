"""What would the same cables do under a spanning tree?

The same graph once more, as plain learning bridges: one Open vSwitch holds a bridge per switch, a veth pair is a cable,
and its own RSTP (802.1D-2004) or STP (802.1D-1998), with the timers that they have by default, decides which cables are
used.  Two namespaces are the hosts.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Literal, Self

from bench.bed import wait
from topologies import namespace
from topologies.ovs import SCHEMA

Protocol = Literal["rstp", "stp"]

_SECONDS: Final = 60
_FIRST_INDEX: Final = 5000
_ETH_P_ALL: Final = 3
_IPV4: Final = b"\x08\x00"
_UDP: Final = 17
_SETTLED_SECONDS: Final = 60.0
_ADDRESS: Final = "192.168.77.{}"


@dataclass(frozen=True, slots=True)
class Cable:
    """A veth pair between two bridges."""

    one: str
    other: str
    one_interface: str
    other_interface: str

    def beside(self, bridge: str) -> str:
        """The interface at one of its ends."""
        return self.one_interface if bridge == self.one else self.other_interface


class Bridges:
    """A fabric of learning bridges as long as its block runs; answers as a lab does to :mod:`topologies.probing`.

    :param links: pairs of bridges. :param hosts: the bridge of each host. :param root: the tree's root.
    """

    def __init__(
        self, protocol: Protocol, links: Sequence[tuple[str, str]], hosts: Mapping[str, str], root: str
    ) -> None:
        self.protocol = protocol
        self.hosts = dict(hosts)
        self.root = root
        self.cables = tuple(
            Cable(one, other, f"c{i}a", f"c{i}b") for i, (one, other) in enumerate(sorted(links), start=1)
        )
        self._prefix = f"vl2{protocol[0]}{os.getpid()}"
        self.directory = Path(tempfile.mkdtemp(prefix="vl2-bridges-"))
        self._pids: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    # ── as topologies.probing sees a lab ─────────────────────────────────────────────────────────────────────────────

    def command(self, node: str, argv: Sequence[str]) -> list[str]:
        """``argv``, to run in a host."""
        return ["mnexec", "-a", str(self._pids[node].pid), *argv]

    def status(self) -> Any:
        """The hosts, as a lab shows its machines."""
        vms = [
            SimpleNamespace(name=name, addresses=(f"{_ADDRESS.format(i)}/24",))
            for i, name in enumerate(self.hosts, start=1)
        ]
        return SimpleNamespace(vms=vms)

    # ── what happens to it ───────────────────────────────────────────────────────────────────────────────────────────

    def set_link(self, cable: Cable, *, up: bool) -> None:
        """Take a cable up or down, at both ends."""
        state = "up" if up else "down"
        lines = f"link set {cable.one_interface} {state}\nlink set {cable.other_interface} {state}\n"
        self._run(*self._inside(), "ip", "-batch", "-", given=lines)

    def root_port(self, bridge: str) -> Cable:
        """The cable over which a bridge reaches the root: its traffic with others goes that way.

        :raises TimeoutError: if it has none for long.
        """
        found: list[Cable] = []

        def known() -> bool:
            mine = (cable for cable in self.cables if bridge in {cable.one, cable.other})
            found.extend(cable for cable in mine if self._is_root_port(cable.beside(bridge)))
            return bool(found)

        wait(known, f"{bridge} has a root port", seconds=_SETTLED_SECONDS, pause=0.1)
        return found[0]

    def _is_root_port(self, interface: str) -> bool:
        # ovs-vswitchd.conf.db(5): RSTP has a column of its own, STP writes into the port's status.
        column = "rstp_status" if self.protocol == "rstp" else "status"
        said = self._vsctl("get", "Port", interface, column).lower()
        return "role=root" in said and "state=forwarding" in said

    def ear(self, cable: Cable, bridge: str) -> socket.socket:
        """A packet socket at one end of a cable."""
        with namespace.inside(self._pids[""].pid):
            ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        ear.bind((cable.beside(bridge), _ETH_P_ALL))
        return ear

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _inside(self) -> list[str]:
        return ["mnexec", "-a", str(self._pids[""].pid)]

    def _run(self, *words: str, given: str = "") -> str:
        here = str(self.directory)
        environment = {**os.environ, "OVS_RUNDIR": here, "OVS_DBDIR": here, "OVS_LOGDIR": here}
        done = subprocess.run(
            words, input=given, capture_output=True, text=True, env=environment, timeout=_SECONDS, check=True
        )
        return done.stdout

    def _vsctl(self, *words: str) -> str:
        return self._run("ovs-vsctl", f"--timeout={_SECONDS}", f"--db=unix:{self.directory}/db.sock", *words)

    def _build(self) -> None:
        for name in ("", *self.hosts):
            self._pids[name] = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        home = namespace.inode("self")
        for each in self._pids.values():
            wait(lambda each=each: namespace.inode(each.pid) != home, "a namespace is there", seconds=10)
        database = str(self.directory / "conf.db")
        self._run("ovsdb-tool", "create", database, SCHEMA)
        self._daemon("ovsdb-server", f"--remote=punix:{self.directory}/db.sock", database)
        self._vsctl("--no-wait", "init")
        self._daemon("ovs-vswitchd", f"unix:{self.directory}/db.sock")
        lines, indexes = [], iter(range(_FIRST_INDEX, _FIRST_INDEX + 1000))
        for cable in self.cables:
            lines.append(
                f"link add {cable.one_interface} index {next(indexes)} type veth"
                f" peer {cable.other_interface} index {next(indexes)}"
            )
            lines += (f"link set {name} up" for name in (cable.one_interface, cable.other_interface))
        for i, name in enumerate(self.hosts, start=1):
            pid = self._pids[name].pid
            lines += [f"link add h{i} type veth peer name eth0 netns {pid}", f"link set h{i} up"]
            address = f"address add {_ADDRESS.format(i)}/24 dev eth0\nlink set eth0 up\nlink set lo up\n"
            self._run(*self._inside(), "ip", "-batch", "-", given="\n".join(lines) + "\n")
            self._run("mnexec", "-a", str(pid), "ip", "-batch", "-", given=address)
            # A userspace bridge takes packets as they are: nobody would fill in their checksums.
            self._run("mnexec", "-a", str(pid), "ethtool", "-K", "eth0", "tx", "off")
            lines = []
        words: list[str] = []
        for bridge in sorted({end for cable in self.cables for end in (cable.one, cable.other)}):
            words += f"-- add-br {bridge} -- set Bridge {bridge} datapath_type=netdev".split()
            words += [f"{self.protocol}_enable=true"]
            if bridge == self.root:
                words += [f"other_config:{self.protocol}-priority=4096"]
        for cable in self.cables:
            words += f"-- add-port {cable.one} {cable.one_interface}".split()
            words += f"-- add-port {cable.other} {cable.other_interface}".split()
        for i, bridge in enumerate(self.hosts.values(), start=1):
            words += f"-- add-port {bridge} h{i}".split()
            if self.protocol == "rstp":
                words += f"-- set Port h{i} other_config:rstp-port-admin-edge=true".split()
        self._vsctl(*words)

    def _daemon(self, program: str, *words: str) -> None:
        self._run(
            *self._inside(), program, *words, "--detach", "--no-chdir", "-vconsole:off", "-vsyslog:off",
            f"--pidfile={self.directory}/{program}.pid", f"--unixctl={self.directory}/{program}.ctl",
            f"--log-file={self.directory}/{program}.log",
        )  # fmt: skip

    def _remove(self) -> None:
        for program in ("ovs-vswitchd", "ovsdb-server"):
            with suppress(OSError, ValueError):
                pid = int((self.directory / f"{program}.pid").read_text(encoding="ascii"))
                handle = os.pidfd_open(pid)
                os.kill(pid, 15)
                select.select([handle], (), (), _SECONDS)
                os.close(handle)
        for each in self._pids.values():
            each.kill()
            each.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


def first_packet(ear: socket.socket, since: float, seconds: float, *, port: int = 0) -> float | None:
    """When the first packet of a user passed an ear since a moment (CLOCK_MONOTONIC); ``None`` if none did in time.

    :param port: the UDP port that it is addressed to; 0 takes any IPv4.
    """
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        if select.select([ear], (), (), left)[0]:
            try:
                frame = ear.recv(64)
            except OSError:
                continue  # the interface was down when the ear was put to it: said once
            now = time.monotonic()
            addressed = not port or (frame[23] == _UDP and int.from_bytes(frame[36:38]) == port)
            if frame[12:14] == _IPV4 and addressed and now >= since:
                return now
    return None
