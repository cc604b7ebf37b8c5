"""What makes a Mininet node a machine that runs its own Open vSwitch?

Its own namespace, and in its own directory an ovsdb-server and an ovs-vswitchd that know of no other: the system's
openvswitch service is not used.  Both daemons can be killed and started again, like those of a real host.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any, Final

from topologies.errors import LabError
from topologies.machine import Datapath
from topologies.pki import Pki

SCHEMA: Final = "/usr/share/openvswitch/vswitch.ovsschema"
MANAGEMENT: Final = "mgmt0"
"""The node's interface in the management network."""

_SECONDS: Final = 60


class OvsNode:
    """Mixed into a Mininet node: Open vSwitch of its own.

    :ivar directory: the node's run directory, ``<lab's state directory>/<node>``.
    :ivar datapath: ``netdev`` (userspace) or ``system`` (kernel module).
    """

    name: str
    pid: int
    directory: Path
    datapath: Datapath

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which ``ovs-vsctl`` and its sisters talk to this node's daemons."""
        here = str(self.directory)
        return {**os.environ, "OVS_RUNDIR": here, "OVS_DBDIR": here, "OVS_LOGDIR": here, "OVS_SYSCONFDIR": here}

    def inside(self, *command: str) -> list[str]:
        """A command, as it has to be run to run in this node's namespaces."""
        return ["mnexec", "-a", str(self.pid), *command]

    def run(self, *command: str) -> str:
        """Run a command in the node and return what it says.

        :raises LabError: if it fails.
        """
        done = subprocess.run(
            self.inside(*command),
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
            timeout=_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            words = " ".join(command)
            raise LabError(f"{self.name}: {words}: {(done.stderr or done.stdout).strip() or done.returncode}")
        return done.stdout

    def vsctl(self, *words: str) -> str:
        """Run ``ovs-vsctl`` on the node's database."""
        return self.run("ovs-vsctl", f"--timeout={_SECONDS}", f"--db=unix:{self.directory}/db.sock", *words)

    def call(self, manager: str) -> None:
        """Let the database call a manager, and look for one that is away each second."""
        self.vsctl("--no-wait", "set-manager", manager)
        self.vsctl("--no-wait", "set", "Manager", manager, "max_backoff=1000")

    def certified(self, pki: Pki | None) -> list[str]:
        """The words that give both daemons this node's certificate, if the lab has any."""
        return [] if pki is None else ["--", "set-ssl", *pki.of(self.name)]

    def start_database(self) -> None:
        """Start ovsdb-server, on the database that is there or on a new one."""
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        database = self.directory / "conf.db"
        if not database.exists():
            template = self.directory.parent / "template.db"
            if template.exists():
                shutil.copyfile(template, database)
            else:
                self.run("ovsdb-tool", "create", str(database), SCHEMA)
        self.run(
            "ovsdb-server",
            f"--remote=punix:{self.directory}/db.sock",
            "--remote=db:Open_vSwitch,Open_vSwitch,manager_options",
            # As Debian's service starts it: what ``ovs-vsctl set-ssl`` says is for both daemons.
            "--private-key=db:Open_vSwitch,SSL,private_key",
            "--certificate=db:Open_vSwitch,SSL,certificate",
            "--ca-cert=db:Open_vSwitch,SSL,ca_cert",
            *self._daemon("ovsdb-server"),
            str(database),
        )

    def start_switching(self) -> None:
        """Start ovs-vswitchd; returns when it has configured what the database asks for."""
        self.run("ovs-vswitchd", f"unix:{self.directory}/db.sock", *self._daemon("ovs-vswitchd"))

    def _daemon(self, program: str) -> list[str]:
        # The daemon's own socket has a fixed name: the default one contains the pid, and stays behind after a kill.
        return [
            "--detach",
            "--no-chdir",
            f"--pidfile={self.directory}/{program}.pid",
            f"--unixctl={self.directory}/{program}.ctl",
            f"--log-file={self.directory}/{program}.log",
            "-vconsole:off",
            "-vsyslog:off",
        ]

    def daemon_pid(self, program: str) -> int | None:
        """The process id of a running daemon (``ovsdb-server``, ``ovs-vswitchd``), ``None`` if it does not run."""
        try:
            pid = int((self.directory / f"{program}.pid").read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        # A stale pid file may name anybody's process by now.
        return pid if f"--pidfile={self.directory}/{program}.pid".encode() in command else None

    def kill_daemon(self, program: str) -> bool:
        """``kill -9`` a daemon; ``False`` if it did not run."""
        pid = self.daemon_pid(program)
        if pid is None:
            return False
        handle = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            # A pidfd is readable once the process has ended.
            poller = select.poll()
            poller.register(handle, select.POLLIN)
            poller.poll(_SECONDS * 1000)
        finally:
            os.close(handle)
        return True

    def initial(self) -> list[str]:
        """The words of the transaction that sets up a fresh database, after ``ovs-vsctl --no-wait init``."""
        raise NotImplementedError

    def join(self) -> None:
        """Tell the controller over OVSDB who this is, as the node's operator does."""
        raise NotImplementedError

    def boot(self) -> None:
        """Start both daemons; on a fresh database also configure it."""
        fresh = not (self.directory / "conf.db").exists()
        self.start_database()
        if fresh:
            setup: list[str] = [
                "--no-wait",
                "init",
                "--",
                "set",
                "Open_vSwitch",
                ".",
                f"external_ids:hostname={self.name}",
            ]
            self.vsctl(*setup, *self.initial())
        self.start_switching()

    def power_off(self) -> None:
        """Lose power: all links down first (so that not even a FIN gets out), then the daemons."""
        self.set_links("down")
        self.kill_daemon("ovs-vswitchd")
        self.kill_daemon("ovsdb-server")

    def power_on(self) -> None:
        """Come back after a loss of power, with the configuration but none of the flows."""
        self.boot()
        self.set_links("up")

    def set_links(self, state: str) -> None:
        """Set every cable of the node ``up`` or ``down``, all at once as power does."""
        lines = "\n".join(f"link set dev {interface} {state}" for interface in self.interfaces())
        self.run("bash", "-ec", f"ip -batch - <<'END'\n{lines}\nEND")

    def interfaces(self) -> list[str]:
        """The names of the node's cables, that into the management network included."""
        intfs: dict[int, Any] = self.intfs  # type: ignore[attr-defined]
        return [MANAGEMENT, *(intf.name for intf in intfs.values())]
