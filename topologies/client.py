"""How does a program use a lab?

:class:`LabClient` starts, drives and ends one, with typed methods; the command line, the demo, the tests and the
measurements are all its users.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeVar

from topologies import overrides
from topologies.errors import KINDS, LabError, NoSuchLab, NoSuchNode, TopologyError
from topologies.graphs import AnyGraph
from topologies.inside import inside
from topologies.lab import design, plan
from topologies.orders import (
    INTERRUPT,
    SOCKET,
    Configure,
    ControllerPower,
    Done,
    Down,
    Failure,
    Kind,
    LabStatus,
    Moment,
    MoveReport,
    Prompt,
    ServerAdd,
    ServerDel,
    ServerStatus,
    SetLink,
    Settings,
    Status,
    SwitchPower,
    Trigger,
    VmAdd,
    VmDel,
    VmExec,
    VmMove,
    VmRan,
    VmStatus,
    Vswitchd,
    decode,
    encode,
)
from topologies.ownership import VARIABLE, Manifest, hold, kill, sweep
from topologies.registry import make
from topologies.rest import Rest

ROOT: Final = Path("/run/vl2")
"""Where labs keep their state, one directory each."""

_Choice = TypeVar("_Choice", bound=StrEnum)

_LEAVE_SECONDS: Final = 15.0
_PATH_MAX: Final = 72
_ANSWERS: Final[dict[str, type[Any]]] = {
    kind.__name__: kind for kind in (Done, Failure, LabStatus, VmStatus, VmRan, ServerStatus, MoveReport)
}


class LabClient:
    """A lab on this machine, running or not.

    :param name: the lab's name. :param root: where labs keep their state.
    :raises TopologyError: if the name cannot be a directory's.
    """

    def __init__(self, name: str = "lab", root: Path = ROOT) -> None:
        if not name.replace("-", "").replace("_", "").isalnum():
            raise TopologyError(f"name: {name!r} is not made of letters, digits, - and _", "name")
        self.name = name
        self.directory = root / name
        if len(str(self.directory)) > _PATH_MAX:
            # The daemons' sockets live below it, and a socket's path has at most 107 bytes (unix(7)).
            raise TopologyError(f"name: {self.directory} is longer than {_PATH_MAX} characters", "name")

    # --- life -------------------------------------------------------------------------------------------------------

    def up(
        self,
        topology: str = "vl2",
        params: Mapping[str, str | float | AnyGraph | None] | None = None,
        *,
        las: Sequence[tuple[str, str]] = (),
        datapath: str = "auto",
        controller: bool = True,
        rest_port: int = 9696,
        projects: Sequence[str] = ("red", "blue"),
        settings: Mapping[str, Any] | None = None,
        tls: bool = False,
    ) -> LabStatus:
        """Start the lab; what a dead one of that name has left is removed first.

        :param params: the topology's parameters. :param las: hypervisors' LAs, where not the topology's own.
        :param rest_port: the API's TCP port on the loopback; 0 takes a free one.
        :param settings: the controller's, as in its file: ``{"overlay": {"grace_seconds": 0.5}}``.
        :param tls: encrypt OpenFlow, OVSDB and the API, with certificates of the lab's own.
        :raises LabError: if it cannot start, or runs already; then nothing is left of the attempt.
        """
        given = dict(params or {})
        graph = given.get("source")
        plain = {key: value for key, value in given.items() if isinstance(value, str | int | float | None)}
        wanted = Settings(
            name=self.name,
            directory=str(self.directory),
            topology=topology,
            params=plain,
            las=tuple(las),
            datapath=datapath,
            controller=controller,
            rest_port=rest_port,
            projects=tuple(projects),
            overrides=dict(settings or {}),
            tls=tls,
        )
        if wanted.overrides and not controller:
            raise TopologyError(f"{overrides.FIELD}: the lab has no controller to be given any", overrides.FIELD)
        overrides.check(wanted.overrides)
        if graph is not None and not isinstance(graph, str):
            return self._up_graph(wanted, graph)
        if isinstance(graph, str):
            wanted.params["source"] = str(Path(graph).resolve())
        design(wanted)
        _require_root()
        plan(wanted)
        self._make_room()
        return self._launch(wanted)

    def _up_graph(self, settings: Settings, graph: Any) -> LabStatus:
        make(settings.topology, {**settings.params, "source": graph})
        _require_root()
        self._make_room()
        drawn = self.directory / "graph.graphml"
        settings = replace(settings, params={**settings.params, "source": str(drawn)})
        try:
            _draw(graph, drawn)
            plan(settings)
        except LabError:
            shutil.rmtree(self.directory)
            raise
        return self._launch(settings)

    def _make_room(self) -> None:
        if self.directory.exists():
            lock = hold(self.directory)
            if lock is None:
                raise LabError(f"lab {self.name!r} is up already")
            os.close(lock)
            if Manifest.read(self.directory) is None and any(self.directory.iterdir()):
                raise LabError(f"{self.directory} exists and is not a lab's")
            sweep(self.directory)
        self.directory.mkdir(mode=0o755, parents=True, exist_ok=True)

    def _launch(self, settings: Settings) -> LabStatus:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "topologies.daemon"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env={**os.environ, VARIABLE: str(self.directory), "PYTHONPATH": overrides.search_path()},
        )
        try:
            said = _tell(daemon, encode(settings))
            status: LabStatus = _expect(said or encode(self._ended()), LabStatus)
        except BaseException:
            # Ctrl-C included: whoever gives up cleans up.
            self._sweep()
            raise
        finally:
            # What was started here has only forked the daemon, which belongs to init from then on.
            daemon.wait()
        return status

    def _ended(self) -> Failure:
        said = "it said nothing"
        with suppress(OSError):
            said = (self.directory / "lab.log").read_text(errors="replace").strip()[-400:] or said
        return Failure("LabError", f"the lab's daemon has ended: {said}")

    def _sweep(self) -> None:
        kill(self.directory)
        if Manifest.read(self.directory) is None:
            # The daemon had not even begun.
            shutil.rmtree(self.directory, ignore_errors=True)
        else:
            sweep(self.directory)

    @property
    def running(self) -> bool:
        """Whether the lab's daemon lives."""
        if not self.directory.exists():
            return False
        lock = hold(self.directory)
        if lock is None:
            return True
        os.close(lock)
        return False

    def down(self) -> bool:
        """End the lab, or remove what a dead one has left; ``False`` if there was nothing.

        :raises LabError: if something cannot be removed.
        """
        if Manifest.read(self.directory) is None:
            return False
        with suppress(LabError):
            self._ask(Down(), seconds=_LEAVE_SECONDS)
        sweep(self.directory)
        return True

    # --- orders -----------------------------------------------------------------------------------------------------

    def _connect(self) -> socket.socket:
        session = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            session.connect(str(self.directory / SOCKET))
        except OSError as wrong:
            session.close()
            raise NoSuchLab(f"lab {self.name!r} is not up ({self.directory})", "name") from wrong
        return session

    def _ask(self, order: Any, kind: type[Any] = Done, seconds: float | None = None) -> Any:
        with self._connect() as session:
            session.settimeout(seconds)
            try:
                session.sendall(encode(order))
                heard = b""
                while not heard.endswith(b"\n"):
                    more = session.recv(1 << 20)
                    if not more:
                        raise LabError("the lab's daemon has ended")
                    heard += more
            except OSError as wrong:
                raise LabError(f"the lab does not answer: {wrong}") from wrong
        return _expect(heard, kind)

    def status(self) -> LabStatus:
        """Everything there is to know about the lab.

        :raises NoSuchLab: if it is not up; so do all the following.
        """
        status: LabStatus = self._ask(Status(), LabStatus)
        return status

    def vm_add(
        self,
        name: str,
        host: str,
        *,
        port_id: str = "",
        network: str = "",
        project: str = "",
        mac: str = "",
        addresses: Sequence[str] = (),
        wait: bool = True,
        configure: str = Configure.STATIC,
        vlans: Sequence[tuple[int, str]] = (),
        qemu: bool = False,
    ) -> VmStatus:
        """Start a virtual machine on a hypervisor; returns when its port is ACTIVE (if ``wait``).

        :param port_id: its port; or ``network`` (id or name, of ``project``): the lab makes a port in it.
        :param mac: and ``addresses`` (with prefix length): only in a lab without a controller.
        :param configure: how it gets its addresses, see :class:`~topologies.orders.Configure`.
        :param vlans: its VLANs, each with a port that is a sub-port of its own port's trunk.
        :param qemu: let it be a QEMU guest with a kernel of its own; returns when that is up.
        """
        order = VmAdd(
            name=name,
            host=host,
            port_id=port_id,
            network=network,
            project=project,
            mac=mac,
            addresses=tuple(addresses),
            wait=wait,
            configure=_chosen(Configure, configure),
            vlans=tuple(vlans),
            kind=Kind.QEMU if qemu else Kind.NAMESPACE,
        )
        status: VmStatus = self._ask(order, VmStatus)
        return status

    def vm_move(
        self,
        name: str,
        to: str,
        *,
        pause_ms: float = 0.0,
        trigger: str = "rest",
        moment: str | None = None,
        copying_ms: float = 0.0,
    ) -> MoveReport:
        """Move a machine; returns when the controller reports the move as settled.

        :param pause_ms: between STOP and RESUME, at least. :param trigger: see :class:`~topologies.orders.Trigger`.
        :param moment: when a move by REST is activated, see :class:`~topologies.orders.Moment`.
        :param copying_ms: between the target's readiness and what comes next.
        """
        order = VmMove(name, to, pause_ms, _chosen(Trigger, trigger), copying_ms=copying_ms)
        if moment is not None:
            order = replace(order, moment=_chosen(Moment, moment))
        report: MoveReport = self._ask(order, MoveReport)
        return report

    def vm_del(self, name: str) -> None:
        """End a machine."""
        self._ask(VmDel(name))

    def server_add(self, name: str, edge: str, ports: Mapping[int, str]) -> ServerStatus:
        """Wire a server to an edge switch; returns when its ports are ACTIVE.

        :param ports: by VLAN, of which each is a card of the server: ``eth0`` and so on; VLAN 0 has no tag.
        """
        status: ServerStatus = self._ask(ServerAdd(name, edge, tuple(ports), tuple(ports.values())), ServerStatus)
        return status

    def server_del(self, name: str) -> None:
        """End a server and take its cable out."""
        self._ask(ServerDel(name))

    def kill_switch(self, name: str) -> None:
        """Cut a fabric switch's power: ``kill -9`` and all its links down."""
        self._ask(SwitchPower(name, on=False))

    def revive_switch(self, name: str) -> None:
        """Give a fabric switch its power back."""
        self._ask(SwitchPower(name, on=True))

    def set_link(self, one: str, other: str, *, up: bool) -> None:
        """Take the link between two nodes up or down."""
        self._ask(SetLink(one, other, up))

    def kill_vswitchd(self, name: str) -> None:
        """``kill -9`` the ovs-vswitchd of a hypervisor (or switch)."""
        self._ask(Vswitchd(name, on=False))

    def restart_vswitchd(self, name: str) -> None:
        """Start the ovs-vswitchd of a hypervisor (or switch) again."""
        self._ask(Vswitchd(name, on=True))

    def kill_controller(self, *, hard: bool = True) -> None:
        """End the controller, by ``kill -9`` if ``hard``."""
        self._ask(ControllerPower(on=False, hard=hard))

    def start_controller(self) -> None:
        """Start the controller again; returns when it is healthy."""
        self._ask(ControllerPower(on=True))

    # --- inside -----------------------------------------------------------------------------------------------------

    def rest(self, project: str = "") -> Rest:
        """A connection to the controller's API, as the operator or as one of the projects.

        :raises LabError: if the lab has no controller, or no such project.
        """
        control = self.status().controller
        if control is None:
            raise LabError("the lab was started without a controller")
        if project and project not in control.project_token_files:
            raise TopologyError(f"project: the lab has no token of {project!r}", "project")
        token = control.project_token_files[project] if project else control.operator_token_file
        return Rest((control.rest_host, control.rest_port), Path(token).read_text().strip(), control.cacert)

    def command(self, node: str, argv: Sequence[str]) -> list[str]:
        """``argv`` as it has to be run to run inside a machine, hypervisor or switch.

        A QEMU guest's output comes when the command has ended.

        :raises NoSuchNode: if the lab has no such node.
        """
        status = self.status()
        if _is_guest(status, node):
            return [*inside(self.directory / SOCKET, node), *argv]
        return ["mnexec", "-a", str(self._pid(status, node)), *argv]

    def environment(self, node: str) -> dict[str, str]:
        """The environment in which ``ovs-vsctl`` and its sisters find the daemons of a switch or hypervisor."""
        found = _environment(self.status(), node)
        if not found:
            raise NoSuchNode(f"{node!r} is neither a switch nor a hypervisor of lab {self.name!r}", "name")
        return {**os.environ, **found}

    def run(self, node: str, argv: Sequence[str], *, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command inside a node and wait for it; on switches and hypervisors ``ovs-*`` finds its daemons."""
        status = self.status()
        if _is_guest(status, node):
            ran: VmRan = self._ask(VmExec(node, tuple(argv), seconds), VmRan)
            return subprocess.CompletedProcess(list(argv), ran.returncode, ran.stdout, ran.stderr)
        env = {**os.environ, **_environment(status, node)}
        words = ["mnexec", "-a", str(self._pid(status, node)), *argv]
        return subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=seconds, env=env, stdin=subprocess.DEVNULL
        )

    def _pid(self, status: LabStatus, node: str) -> int:
        pids = {each.name: each.pid for each in status.switches}
        pids |= {each.name: each.pid for each in status.hypervisors}
        pids |= {each.name: each.pid for each in status.vms}
        pids |= {each.name: each.pid for each in status.servers}
        if node in pids:
            return pids[node]
        raise NoSuchNode(f"there is no {node!r} in lab {self.name!r}", "name")

    def prompt(self) -> None:
        """Mininet's prompt on this process's own terminal, until the user leaves it."""
        with self._connect() as session:
            previous = signal.signal(signal.SIGINT, lambda *_: session.send(INTERRUPT))
            try:
                socket.send_fds(session, [encode(Prompt())], [0, 1, 2])
                heard = b""
                while not heard.endswith(b"\n"):
                    more = session.recv(1 << 16)
                    if not more:
                        raise LabError("the lab's daemon has ended")
                    heard += more
            finally:
                signal.signal(signal.SIGINT, previous)
        _expect(heard, Done)


def _is_guest(status: LabStatus, node: str) -> bool:
    return any(each.name == node and each.kind is Kind.QEMU for each in status.vms)


def _environment(status: LabStatus, node: str) -> dict[str, str]:
    directories = {each.name: each.directory for each in status.switches}
    directories |= {each.name: each.directory for each in status.hypervisors}
    here = directories.get(node)
    return {"OVS_RUNDIR": here, "OVS_DBDIR": here, "OVS_LOGDIR": here} if here else {}


def _require_root() -> None:
    if os.geteuid():
        raise LabError("a lab makes network namespaces: it needs root")


def _draw(graph: Any, path: Path) -> None:
    import networkx as nx  # noqa: PLC0415  (only for graphs made in Python)

    try:
        nx.write_graphml(graph, path)
    except (nx.NetworkXException, TypeError, ValueError) as wrong:
        raise TopologyError(f"source: the graph cannot be written as GraphML: {wrong}", "source") from wrong


def labs(root: Path = ROOT) -> tuple[str, ...]:
    """The names of all labs of which something exists."""
    with suppress(OSError):
        return tuple(sorted(each.name for each in root.iterdir() if Manifest.read(each) is not None))
    return ()


def _chosen(kind: type[_Choice], given: str) -> _Choice:
    """The value of that name.

    :raises TopologyError: if there is none; it names the field.
    """
    try:
        return kind(given)
    except ValueError:
        field = kind.__name__.lower()
        raise TopologyError(f"{field}: {given!r} is not one of {', '.join(kind)}", field) from None


def _tell(daemon: subprocess.Popen[bytes], line: bytes) -> bytes:
    if daemon.stdin is None or daemon.stdout is None:
        raise LabError("the lab's daemon has no pipes")
    with suppress(BrokenPipeError), daemon.stdin:
        daemon.stdin.write(line)
    with daemon.stdout:
        return daemon.stdout.readline()


def _expect(line: bytes, kind: type[Any]) -> Any:
    answer = decode(line, _ANSWERS)
    if isinstance(answer, Failure):
        raise KINDS.get(answer.kind, LabError)(answer.message, answer.field)
    if not isinstance(answer, kind):
        raise LabError(f"the lab has answered {type(answer).__name__} instead of {kind.__name__}")
    return answer
