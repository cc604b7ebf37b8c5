"""How does the lab run a controller?

As an operator would: with a configuration file, in a process of its own that can be killed and started again.  The
lab makes the tokens; they stay in files that only their owner can read.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from topologies.errors import LabError, TopologyError
from topologies.nodes import OPENFLOW_PORT, OVSDB_PORT
from topologies.orders import ControllerStatus, Setting
from topologies.rest import Rest

_HEALTHY_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.05
_LEAVE_MS: Final = 10_000
_LOG_TAIL: Final = 600
_LOOPBACK: Final = "127.0.0.1"
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


class ControlPlane:
    """The controller of a lab.

    :param directory: the lab's state directory.
    :param address: where to listen for OpenFlow and OVSDB, in the management network.
    :param rest_port: the TCP port of the API on the loopback; 0 takes a free one.
    :param projects: tenants for which tokens are made.
    :param settings: more of the controller's settings, by ``section.key``.
    """

    def __init__(
        self,
        directory: Path,
        address: str,
        rest_port: int,
        projects: tuple[str, ...],
        settings: Mapping[str, Setting] = MappingProxyType({}),
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
        lines = [
            f'state_dir = "{directory / "controller"}"',
            f'operator_token_file = "{self.operator_file}"',
            "# The management network is this lab's own bridge, which leads nowhere else.",
            "insecure_listen = true",
        ]
        sections: dict[str, list[str]] = {
            "openflow": [f'listen = ["{address}:{OPENFLOW_PORT}"]'],
            "ovsdb": [f'listen = ["{address}:{OVSDB_PORT}"]'],
            "rest": [f'listen = "{_LOOPBACK}:{self.rest_port}"'],
        }
        for name, value in settings.items():
            section, key = split_setting(name)
            sections.setdefault(section, []).append(f"{key} = {_toml(value)}")
        sections["tokens"] = [f'"{project}" = "{token}"' for project, token in tokens.items()]
        for section, entries in sections.items():
            lines += [f"[{section}]", *entries]
        _write_private(self.config, "\n".join(lines) + "\n")

    def rest(self) -> Rest:
        """A new connection to the API, with the operator's token."""
        return Rest((_LOOPBACK, self.rest_port), self.operator)

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
                env={**os.environ, "PYTHONPATH": _search_path()},
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
        )

    def _last_words(self) -> str:
        try:
            said = self._log.read_text(errors="replace").strip()
        except OSError:
            return "it said nothing"
        return said[-_LOG_TAIL:] or "it said nothing"


def split_setting(name: str) -> tuple[str, str]:
    """Split the name of a setting into section and key.

    :raises TopologyError: if it is not of the form ``section.key``, or is for the lab alone to set.
    """
    section, _, key = name.partition(".")
    if not (_BARE.fullmatch(section) and _BARE.fullmatch(key)):
        raise TopologyError(f"set: {name!r} is not a setting's name, like overlay.grace_seconds", "set")
    if section == "tokens" or key == "listen":
        raise TopologyError(f"set: {name} is set by the lab itself", "set")
    return section, key


def read_setting(text: str) -> Setting:
    """Read the value of a setting, as TOML has it; anything else is a string."""
    try:
        read = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = read["value"]
    return value if len(read) == 1 and isinstance(value, bool | int | float | str) else text


def _toml(value: Setting) -> str:
    """A value as TOML has it; a JSON string is a TOML string."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else json.dumps(value)


def _search_path() -> str:
    root = str(Path(__file__).resolve().parent.parent)
    return os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])


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
