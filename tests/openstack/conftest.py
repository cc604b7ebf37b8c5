"""The real packages of OpenStack, from a virtual environment of their own, against a real controller process."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.openstack.clients import Command, clouds, script

ROOT = Path(__file__).parents[2]
VENV = Path(os.environ.get("VL2_OPENSTACK", ROOT / ".venv-openstack"))
"""``make .venv-openstack/bin/openstack`` makes it."""
PATIENCE = 60.0


def until(what: str, holds: Callable[[], Any]) -> Any:
    """Poll until something holds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = holds()
        if found:
            return found
        time.sleep(0.1)
    pytest.fail(f"not within {PATIENCE:g} s: {what}")


def free_port() -> int:
    """A TCP port of the loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Answer:
    """What came back over HTTP."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


def call(port: int, method: str, path: str, body: object = None, **headers: str) -> Answer:
    """Send one request with JSON to a port of the loopback."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        text = None if body is None else json.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, text, {"Content-Type": "application/json", **named} if text else named)
        answer = connection.getresponse()
        content = answer.read()
        return Answer(answer.status, json.loads(content) if content else None, dict(answer.getheaders()))
    finally:
        connection.close()


@pytest.fixture(scope="session")
def openstack() -> Path:
    """The directory of the real commands."""
    if not (VENV / "bin/openstack").exists():
        pytest.skip(f"{VENV} is not there: make {VENV.name}/bin/openstack")
    return VENV / "bin"


@dataclass
class Keystone:
    """A running Keystone, spoken to as its administrator."""

    port: int
    admin_password: str
    token: str = ""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/v3"

    def __call__(self, method: str, path: str, body: object = None) -> Any:
        """Do what must be possible."""
        answer = call(self.port, method, f"/v3{path}", body, X_Auth_Token=self.token)
        assert answer.status < 300, answer
        return answer.body

    def login(self, user: str, password: str, project: str | None, **method: Any) -> str:
        """Get a token; for the whole system without a project."""
        domain = {"id": "default"}
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": domain, "password": password}},
        }
        scope = {"system": {"all": True}} if project is None else {"project": {"name": project, "domain": domain}}
        answer = call(self.port, "POST", "/v3/auth/tokens", {"auth": {"identity": identity, "scope": scope, **method}})
        assert answer.status == 201, answer
        return answer.headers["X-Subject-Token"]

    def user(self, name: str, project: str, role: str) -> str:
        """Make a user with a role in a project, which is made where it is missing.  :returns: the password."""
        found = self("GET", f"/projects?name={project}")["projects"]
        there = found[0] if found else self("POST", "/projects", {"project": {"name": project}})["project"]
        password = secrets.token_hex(16)
        user = self("POST", "/users", {"user": {"name": name, "password": password}})["user"]
        (given,) = self("GET", f"/roles?name={role}")["roles"]
        self("PUT", f"/projects/{there['id']}/users/{user['id']}/roles/{given['id']}")
        return password

    def project(self, name: str) -> str:
        """The id of a project."""
        (found,) = self("GET", f"/projects?name={name}")["projects"]
        return str(found["id"])


@pytest.fixture(scope="session")
def keystone(openstack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keystone]:
    """A real Keystone with SQLite and Fernet tokens that hold for a minute."""
    home = tmp_path_factory.mktemp("keystone")
    found = Keystone(free_port(), secrets.token_hex(16))
    for keys in ("fernet", "credential"):
        (home / keys).mkdir(mode=0o700)
    (home / "keystone.conf").write_text(
        f"""
[DEFAULT]
log_file = {home}/keystone.log
[database]
connection = sqlite:///{home}/keystone.db
[fernet_tokens]
key_repository = {home}/fernet
[credential]
key_repository = {home}/credential
[cache]
enabled = false
[identity]
password_hash_rounds = 4
"""
    )
    environment = {**os.environ, "OS_KEYSTONE_CONFIG_DIR": str(home), "PYTHONWARNINGS": "ignore"}

    def manage(*words: str) -> None:
        command = [openstack / "python", openstack / "keystone-manage", "--config-file", home / "keystone.conf", *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]

    me = ["--keystone-user", str(os.geteuid()), "--keystone-group", str(os.getegid())]
    manage("db_sync")
    manage("fernet_setup", *me)
    manage("bootstrap", "--bootstrap-password", found.admin_password, "--bootstrap-region-id", "here",
           "--bootstrap-public-url", found.url)  # fmt: skip
    with (home / "server.log").open("w") as log:
        server = subprocess.Popen(
            [openstack / "python", Path(__file__).with_name("keystone_server.py"), str(found.port)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )
    try:
        until("Keystone answers", lambda: _answers(found.port, "/v3"))
        found.token = found.login("admin", found.admin_password, "admin")
        yield found
    finally:
        server.kill()
        server.wait()


def _answers(port: int, path: str) -> bool:
    try:
        return call(port, "GET", path).status < 500
    except OSError:
        return False


@dataclass
class Controller:
    """A controller in a process of its own, without any switches."""

    port: int
    operator: str
    log: Path

    def __call__(self, method: str, path: str, body: object = None, token: str | None = None, **headers: str) -> Answer:
        """Send a request, by default as the operator."""
        shown = {"X_Auth_Token": self.operator if token is None else token}
        return call(self.port, method, path, body, **{**({} if token == "" else shown), **headers})


@contextmanager
def _starting(place: Path) -> Iterator[Callable[..., Controller]]:
    """Start controllers with these additions to their configuration; all of them end with the block."""
    started: list[subprocess.Popen[bytes]] = []

    def start(additions: str = "") -> Controller:
        home = place / f"controller{len(started)}"
        home.mkdir()
        rest = free_port()
        (home / "vl2.toml").write_text(
            f'state_dir = "{home}/state"\n'
            f'openflow.listen = ["127.0.0.1:{free_port()}"]\novsdb.listen = ["127.0.0.1:{free_port()}"]\n'
            f'rest.listen = "127.0.0.1:{rest}"\n{additions}'
        )
        with (home / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "controller", "controller", "--config", str(home / "vl2.toml")],
                cwd=ROOT,
                stderr=log,
            )
        started.append(process)
        until("the controller answers", lambda: process.poll() is not None or _answers(rest, "/v1/health"))
        assert process.poll() is None, (home / "log").read_text()[-2000:]
        return Controller(rest, (home / "state/operator.token").read_text().strip(), home / "log")

    try:
        yield start
    finally:
        for process in started:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Callable[..., Controller]]:
    """Start controllers with these additions to their configuration."""
    with _starting(tmp_path) as start:
        yield start


PROJECTS = {"red": "red-0123456789abcdef", "blue": "blue-0123456789abcdef"}
"""Their tokens."""


@dataclass(frozen=True)
class Site:
    """A controller, and who may use it by which ``clouds.yaml``."""

    controller: Controller
    config: Path
    openstack: Path

    def script(self, cloud: str, name: str, *words: str) -> Any:
        """Run a script for openstacksdk as one of them."""
        return script(self.openstack, self.config, cloud, name, *words)


@pytest.fixture(scope="module")
def site(openstack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A controller without switches, an operator ``op`` and two projects."""
    place = tmp_path_factory.mktemp("site")
    tokens = "".join(f'{name} = "{token}"\n' for name, token in PROJECTS.items())
    with _starting(place) as start:
        found = start(f"[tokens]\n{tokens}")
        for name, token in {"op": found.operator, **PROJECTS}.items():
            (place / name).write_text(token)
        config = clouds(
            place, f"http://127.0.0.1:{found.port}", place / "op", {name: place / name for name in PROJECTS}
        )
        yield Site(found, config, openstack)


@pytest.fixture(scope="module")
def op(site: Site) -> Iterator[Command]:
    """The ``openstack`` command of the operator."""
    with Command(site.openstack, site.config, "op") as command:
        yield command


@pytest.fixture(scope="module")
def red(site: Site) -> Iterator[Command]:
    """The ``openstack`` command of a project."""
    with Command(site.openstack, site.config, "red") as command:
        yield command


@pytest.fixture(scope="module")
def blue(site: Site) -> Iterator[Command]:
    """The ``openstack`` command of another project."""
    with Command(site.openstack, site.config, "blue") as command:
        yield command
