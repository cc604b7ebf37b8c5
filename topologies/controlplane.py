"""How does the lab run a controller?

As an operator would: with a configuration file, in a process of its own that can be killed and started again.  The
lab makes the tokens; they stay in files that only their owner can read.
"""

from __future__ import annotations

import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from topologies.errors import LabError, TopologyError
from topologies.nodes import OPENFLOW_PORT, OVSDB_PORT
from topologies.orders import ControllerStatus
from topologies.overrides import merge, search_path, write
from topologies.pki import Pki
from topologies.rest import SECONDS, Rest
from topologies.wiring import UNDERLAY_MTU

_HEALTHY_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05
_LEAVE_MS: Final = 10_000
_LOG_TAIL: Final = 600
_LOOPBACK: Final = "127.0.0.1"


class ControlPlane:
    """The controller of a lab.

    :param directory: the lab's state directory.
    :param address: where to listen for OpenFlow and OVSDB, in the management network.
    :param rest_port: the TCP port of the API on the loopback; 0 takes a free one.
    :param projects: tenants for which tokens are made.
    :param overrides: further settings, as in the configuration file (:mod:`topologies.overrides`).
    :param pki: the lab's certificates, where all that listens is to be encrypted.
    """

    def __init__(  # noqa: PLR0917  (one caller, which says all of it)
        self,
        directory: Path,
        address: str,
        rest_port: int,
        projects: tuple[str, ...],
        overrides: Mapping[str, Any] = MappingProxyType({}),
        pki: Pki | None = None,
    ) -> None:
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._log = directory / "controller.log"
        self.config = directory / "controller.toml"
        self.rest_port = _free_port(rest_port)
        self.operator_file = directory / "operator.token"
        self.operator = _make_token(self.operator_file)
        (directory / "tokens").mkdir(mode=0o700)
        self.project_files = {project: directory / "tokens" / project for project in projects}
        tokens = {project: _make_token(path) for project, path in self.project_files.items()}
        made: dict[str, Any] = {
            "state_dir": str(directory / "controller"),
            "operator_token_file": str(self.operator_file),
            "openflow": {"listen": [f"{address}:{OPENFLOW_PORT}"]},
            "ovsdb": {"listen": [f"{address}:{OVSDB_PORT}"]},
            "rest": {"listen": f"{_LOOPBACK}:{self.rest_port}"},
            "overlay": {"underlay_mtu": UNDERLAY_MTU},
            "tokens": tokens,
        }
        self._cacert = ""
        if pki is None:
            # The management network is this lab's own bridge, which leads nowhere else.
            made["insecure_listen"] = True
        else:
            self._cacert = str(pki.authority)
            made = merge(made, pki.settings())
        _write_private(self.config, write(merge(made, overrides)))

    def rest(self, seconds: float = SECONDS) -> Rest:
        """A new connection to the API, with the operator's token; an answer may take so many seconds."""
        return Rest((_LOOPBACK, self.rest_port), self.operator, self._cacert, seconds)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start the process; does not wait for it."""
        if self.running:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "controller", "controller", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self._directory,
                env={**os.environ, "PYTHONPATH": search_path()},
            )

    def await_health(self) -> None:
        """Wait until the controller says that it is up.

        :raises LabError: if it ends, or says nothing for half a minute.
        """
        deadline = time.monotonic() + _HEALTHY_SECONDS
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise LabError(f"the controller has ended: {self._last_words()}")
            with self.rest() as rest:
                if rest.healthy():
                    return
            time.sleep(_POLL_SECONDS)
        raise LabError(f"the controller is not healthy after {_HEALTHY_SECONDS:g} s: {self._last_words()}")

    def end(self, *, hard: bool) -> None:
        """End the process: SIGTERM, or SIGKILL if ``hard`` or if it takes more than ten seconds."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
        handle = os.pidfd_open(process.pid)
        try:
            poller = select.poll()
            poller.register(handle, select.POLLIN)
            if not poller.poll(_LEAVE_MS):
                process.kill()
        finally:
            os.close(handle)
        process.wait()

    def status(self) -> ControllerStatus:
        """The process and where to find it."""
        return ControllerStatus(
            running=self.running,
            pid=self._process.pid if self._process else 0,
            rest_host=_LOOPBACK,
            rest_port=self.rest_port,
            operator_token_file=str(self.operator_file),
            project_token_files={project: str(path) for project, path in self.project_files.items()},
            log=str(self._log),
            config=str(self.config),
            cacert=self._cacert,
        )

    def _last_words(self) -> str:
        try:
            said = self._log.read_text(errors="replace").strip()
        except OSError:
            return "it said nothing"
        return said[-_LOG_TAIL:] or "it said nothing"


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        # As the controller itself does: connections of a predecessor in TIME_WAIT do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, wanted))
        except (OSError, OverflowError) as wrong:
            raise TopologyError(f"rest_port: {_LOOPBACK}:{wanted} cannot be used: {wrong}", "rest_port") from wrong
        port: int = probe.getsockname()[1]
        return port


def _make_token(path: Path) -> str:
    token = secrets.token_urlsafe(32)
    _write_private(path, token + "\n")
    return token


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
