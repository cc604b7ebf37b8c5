"""A real hypervisor database and switch to join with, and a listener whose events can be waited for."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from controller import green

green.prepare()

import eventlet  # noqa: E402

from controller.ovsdb.server import HostsServer  # noqa: E402
from overlay.changes import HostSeen, HostSnapshot, Plugged, Unplugged  # noqa: E402
from overlay.values import Host  # noqa: E402

_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
OPENFLOW_PORT = 26653


def until(condition: Callable[[], Any], what: str = "", limit: float = 10.0, pause: float = 0.005) -> Any:
    """Wait for something to be true while the green threads run; answers what made it true."""
    end = time.monotonic() + limit
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {limit} s: {what or condition}"
        eventlet.sleep(pause)
    return value


class Hypervisor:
    """A private ovsdb-server, and a private ovs-vswitchd in a network namespace of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.namespace = f"vl2od-{uuid.uuid4().hex[:8]}"
        self._database = directory / "conf.db"
        self._socket = directory / "db.sock"
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        self._certified: tuple[str, ...] = ()
        directory.mkdir()
        self._run("ovsdb-tool", "create", str(self._database), _SCHEMA)
        try:
            self.start_database()
            self.vsctl("--no-wait", "init")
        except BaseException:
            self.stop()
            raise

    def certify(self, key: Path, certificate: Path, authority: Path) -> None:
        """Let the database, when it is started next, show a certificate."""
        self._certified = (f"--private-key={key}", f"--certificate={certificate}", f"--ca-cert={authority}")

    def start_database(self) -> None:
        remote = "db:Open_vSwitch,Open_vSwitch,manager_options"
        self._start("ovsdb-server", str(self._database), f"--remote=punix:{self._socket}", f"--remote={remote}",
                    *self._certified)  # fmt: skip
        until(self._listens, "ovsdb-server is up")

    def _listens(self) -> bool:
        """Whether somebody accepts on the socket: its file is there a moment before."""
        with socket.socket(socket.AF_UNIX) as caller:
            return caller.connect_ex(str(self._socket)) == 0

    def start_switch(self) -> None:
        if not self.has_namespace():
            self._run("ip", "netns", "add", self.namespace)
        self._start("ovs-vswitchd", f"unix:{self._socket}", "--disable-system", inside=True)
        self.vsctl("show")

    def kill(self, program: str) -> None:
        """End a daemon the hard way."""
        daemon = self._daemons.pop(program)
        daemon.kill()
        daemon.wait()

    def stop(self) -> None:
        for program in list(self._daemons):
            self.kill(program)
        if self.has_namespace():
            self._run("ip", "netns", "del", self.namespace)

    def vsctl(self, *words: str) -> str:
        """Do what a user does; waits for ovs-vswitchd where there is one."""
        wait = () if "ovs-vswitchd" in self._daemons or "--no-wait" in words else ("--no-wait",)
        return self._run("ovs-vsctl", f"--db=unix:{self._socket}", "--timeout=10", *wait, *words)

    def call(self, server: HostsServer) -> None:
        address, port = server.addresses[0]
        self.vsctl("set-manager", f"tcp:{address}:{port}")

    def join(self, server: HostsServer, name: str = "h1", la: str = "10.0.1.11") -> None:
        """The two commands of an operator."""
        keys = {"vl2-host": name, "vl2-la": la, "vl2-datapath-type": "netdev"}
        self.vsctl("set", "Open_vSwitch", ".", *(f"external_ids:{key}={value}" for key, value in keys.items()))
        self.call(server)

    def plug(self, port_id: str, device: str, bridge: str = "br-int") -> None:
        """Plug a port as libvirt does (with a device that Open vSwitch makes itself)."""
        iface = f"external_ids:iface-id={port_id}"
        self.vsctl("add-port", bridge, device, "--", "set", "Interface", device, "type=internal", iface)

    def ofport(self, device: str) -> int:
        """What Open vSwitch calls the device's port; 0 while it has not been numbered."""
        return int(self.vsctl("get", "Interface", device, "ofport").replace("[]", "0"))

    def rows(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table, as column to value."""
        found = json.loads(self.vsctl("--format=json", "list", table))
        return [dict(zip(found["headings"], map(_plain, row), strict=True)) for row in found["data"]]

    def row(self, table: str, name: str) -> dict[str, Any]:
        return next(row for row in self.rows(table) if row["name"] == name)

    def written(self) -> int:
        """How many transactions the controller has ever made here, according to the database's own log."""
        return self._run("ovsdb-tool", "-m", "show-log", str(self._database)).count('"vl2: ')

    def has_namespace(self) -> bool:
        return Path("/run/netns", self.namespace).exists()

    def _start(self, program: str, *words: str, inside: bool = False) -> None:
        control = f"--unixctl={self.directory / program}.ctl"
        log = f"--log-file={self.directory / program}.log"
        prefix = ("ip", "netns", "exec", self.namespace) if inside else ()
        environment = dict.fromkeys(("OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR"), str(self.directory))
        self._daemons[program] = subprocess.Popen(
            [*prefix, program, *words, control, log, "-vconsole:off"],
            env=os.environ | environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    @staticmethod
    def _run(*words: str) -> str:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout


def _plain(value: Any) -> Any:
    """A column's value without the tags of RFC 7047 §5.1."""
    match value:
        case ["map", pairs]:
            return dict(pairs)
        case ["set", members]:
            return [_plain(member) for member in members]
        case ["uuid", row_id]:
            return row_id
    return value


class Recorder:
    """The owner's end of the queue."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def __call__(self, event: object) -> None:
        self.events.append(event)

    def of(self, *kinds: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]

    def plugged(self, host: str = "h1") -> dict[str, int]:
        """What an owner would believe to be plugged at a host."""
        found: dict[str, int] = {}
        for event in self.of(HostSnapshot, Plugged, Unplugged):
            if event.host != host:
                continue
            if isinstance(event, HostSnapshot):
                found = dict(event.plugged)
            elif isinstance(event, Plugged):
                found[event.port_id] = event.ofport
            else:
                del found[event.port_id]
        return found

    def last_host(self) -> Host:
        return self.of(HostSeen)[-1].host

    def has_tunnel(self) -> bool:
        seen = self.of(HostSeen)
        return bool(seen) and seen[-1].host.tunnel_port is not None


@pytest.fixture(name="until")
def _until() -> Callable[..., Any]:
    return until


@pytest.fixture
def recorder() -> Recorder:
    """What the listener tells."""
    return Recorder()


@pytest.fixture
def serve(recorder: Recorder) -> Iterator[Callable[..., HostsServer]]:
    """Start a listener, on any port or again on the one that it had."""
    servers: list[HostsServer] = []

    def start(port: int = 0) -> HostsServer:
        server = HostsServer()
        server.start([("127.0.0.1", port)], OPENFLOW_PORT, recorder)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server(serve: Callable[..., HostsServer]) -> HostsServer:
    """A listener on a port of its own."""
    return serve()


@pytest.fixture
def make_hypervisor(tmp_path: Path) -> Iterator[Callable[..., Hypervisor]]:
    """Make hypervisors; ``switch=False`` makes only their database, which needs no root."""
    made: list[Hypervisor] = []

    def make(*, switch: bool = True) -> Hypervisor:
        hypervisor = Hypervisor(tmp_path / f"hv{len(made)}")
        made.append(hypervisor)
        if switch:
            hypervisor.start_switch()
        return hypervisor

    yield make
    for hypervisor in made:
        hypervisor.stop()


@pytest.fixture
def hypervisor(make_hypervisor: Callable[..., Hypervisor]) -> Hypervisor:
    """A hypervisor that has not called yet."""
    return make_hypervisor()


@pytest.fixture
def joined(hypervisor: Hypervisor, server: HostsServer, recorder: Recorder) -> Hypervisor:
    """A hypervisor whose br-int is complete."""
    hypervisor.join(server)
    until(recorder.has_tunnel, "the tunnel port has a number")
    return hypervisor
