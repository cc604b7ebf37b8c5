"""A real Open vSwitch of its own for each test module, and our OpenFlow service beside it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from controller import framework
from controller.events import MessageConfirmed, MessageRejected, Mods, Session, SwitchUp
from controller.openflow.app import listen
from controller.openflow.tally import Tally

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


def _until(condition: Callable[[], Any], patience: float = 10.0) -> Any:
    """Poll a condition, letting greenlets run, until it holds."""
    deadline = monotonic() + patience
    while not (found := condition()):
        assert monotonic() < deadline, "it did not come to pass"
        framework.hub.sleep(0.005)
    return found


class OpenVSwitch:
    """An ovsdb-server and an ovs-vswitchd with a run directory of their own, for userspace bridges."""

    def __init__(self) -> None:
        self.dir = Path(tempfile.mkdtemp(prefix="vl2-of-"))
        self.env = os.environ | {f"OVS_{name}DIR": str(self.dir) for name in ("RUN", "DB", "LOG", "SYSCONF")}
        self._run("ovsdb-tool", "create", str(self.dir / "conf.db"), SCHEMA)
        socket = f"unix:{self.dir}/db.sock"
        self._server = self._spawn("ovsdb-server", str(self.dir / "conf.db"), f"--remote=p{socket}")
        _until((self.dir / "db.sock").exists)
        self._socket = socket
        self.start()
        self.vsctl("--no-wait", "init")

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        log = (self.dir / f"{command[0]}.out").open("ab")
        with log:
            return subprocess.Popen([*command, "--no-chdir"], env=self.env, stdout=log, stderr=log)

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        """Start the switch daemon."""
        self._switch = self._spawn("ovs-vswitchd", self._socket, "--disable-system")

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Signal the switch daemon; wait for its end if that ends it."""
        self._switch.send_signal(number)
        if number in {signal.SIGKILL, signal.SIGTERM}:
            self._switch.wait(10)

    def vsctl(self, *args: str) -> str:
        """Configure the switch."""
        return self._run("ovs-vsctl", f"--db={self._socket}", "--timeout=15", *args).strip()

    def ofctl(self, command: str, bridge: str, *args: str) -> str:
        """Act on a bridge as somebody else would."""
        target = f"unix:{self.dir}/{bridge}.mgmt"
        return self._run("ovs-ofctl", "-O", "OpenFlow15", command, target, *args)

    def bridge(self, name: str, datapath_id: int, *ports: tuple[str, str]) -> None:
        """Add a bridge that calls nobody yet, with patch ports (name, peer) numbered from 1."""
        self.vsctl("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev", "fail_mode=secure",
                   "protocols=OpenFlow14,OpenFlow15", f"other_config:datapath-id={datapath_id:016x}",
                   "other_config:disable-in-band=true")  # fmt: skip
        for number, (port, peer) in enumerate(ports, 1):
            self.vsctl("add-port", name, port, "--", "set", "interface", port, "type=patch", f"options:peer={peer}",
                       f"ofport_request={number}")  # fmt: skip

    def call(self, bridge: str, address: tuple[str, int]) -> None:
        """Let a bridge call a controller."""
        self.vsctl("set-controller", bridge, f"tcp:{address[0]}:{address[1]}", "--",
                   "set", "controller", bridge, "max_backoff=1000", "inactivity_probe=0")  # fmt: skip

    def stop(self) -> None:
        """End all, bridges included."""
        self._switch.send_signal(signal.SIGCONT)
        for name in self.vsctl("list-br").split():
            subprocess.run(
                ["ovs-vsctl", f"--db={self._socket}", "--timeout=5", "del-br", name], env=self.env, check=False
            )
        for process in (self._switch, self._server):
            process.terminate()
            process.wait(10)
        shutil.rmtree(self.dir)


class Controller:
    """Our OpenFlow service with a sink that remembers."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.tally = Tally()
        self._tickets = count(1)
        self._service = listen((("127.0.0.1", 0),), self.hear, self.tally)

    def hear(self, event: object) -> None:
        """Remember an event."""
        self.events.append(event)

    @property
    def address(self) -> tuple[str, int]:
        """Where switches call."""
        return self._service.addresses[0]

    def of(self, kind: type[Any]) -> list[Any]:
        """All events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def session(self, datapath_id: int) -> Session:
        """Wait for a switch to be up."""
        return _until(
            lambda: next((e.session for e in reversed(self.of(SwitchUp)) if e.datapath_id == datapath_id), None)
        )

    def answer(self, ticket: int) -> MessageConfirmed | MessageRejected:
        """Wait for how a send ended."""
        kinds = MessageConfirmed | MessageRejected
        return _until(lambda: next((e for e in self.events if isinstance(e, kinds) and e.ticket == ticket), None))

    def send(self, session: Session, **mods) -> MessageConfirmed | MessageRejected:
        """Send, and wait for how it ended."""
        ticket = next(self._tickets) + 1_000_000
        session.send(Mods(**mods), ticket)
        return self.answer(ticket)

    def stop(self) -> None:
        """End the service, and connections with it."""
        self._service.stop()


@pytest.fixture(scope="module")
def switch() -> Iterator[OpenVSwitch]:
    """A running Open vSwitch with no bridge."""
    started = OpenVSwitch()
    yield started
    started.stop()


@pytest.fixture
def until() -> Callable[..., Any]:
    """How to wait for something."""
    return _until


@pytest.fixture
def another_controller() -> Iterator[Callable[[], Controller]]:
    """Start OpenFlow services, one after the other."""
    started: list[Controller] = []

    def start() -> Controller:
        started.append(Controller())
        return started[-1]

    yield start
    for controller in started:
        controller.stop()


@pytest.fixture
def controller(another_controller: Callable[[], Controller]) -> Controller:
    """A running OpenFlow service."""
    return another_controller()


@pytest.fixture
def br(switch: OpenVSwitch, controller: Controller) -> Iterator[Session]:
    """The session of a new bridge, whose ports 1 and 2 are joined to each other through nothing: patches to nowhere."""
    switch.bridge("vl2of0", 0xA, ("vl2of0a", "nowhere0"), ("vl2of0b", "nowhere1"))
    switch.call("vl2of0", controller.address)
    yield controller.session(0xA)
    switch.vsctl("del-br", "vl2of0")
