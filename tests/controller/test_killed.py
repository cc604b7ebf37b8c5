"""A controller that is killed amid a bulk creation has made all of it or nothing."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from controller.store import SqliteStore

MANY = 3000
OPERATOR = "operator-0123456789"


class Controller:
    """A controller's process on a state directory."""

    def __init__(self, state: Path) -> None:
        self.state = state
        config = state.with_suffix(".toml")
        token = state.with_suffix(".token")
        config.write_text(
            f'state_dir = "{state}"\noperator_token_file = "{token}"\nrest.listen = "127.0.0.1:0"\n'
            'openflow.listen = ["127.0.0.1:0"]\novsdb.listen = ["127.0.0.1:0"]\n'
        )
        if not token.exists():
            token.touch(mode=0o600)
            token.write_text(OPERATOR)
        code = "from controller.launcher import command; command()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, "--config", str(config)], stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        said = ""
        while (found := re.search(r"REST on http://127\.0\.0\.1:(\d+)", said)) is None:
            line = self.process.stderr.readline()
            assert line, said
            said += line
        self.port = int(found[1])
        self._rest = threading.Thread(target=self.process.stderr.read, daemon=True)
        self._rest.start()

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask for something that must be possible."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"X-Auth-Token": OPERATOR, "Content-Type": "application/json"}
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        assert response.status < 300, content
        return json.loads(content)

    def ports(self) -> int:
        """How many ports there are."""
        return len(self.ask("GET", "/v2.0/ports?fields=id")["ports"])

    def kill(self) -> None:
        """Kill it at once."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self._rest.join(10)
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Controller]]:
    """Starts a controller on one state directory, again and again."""
    started: list[Controller] = []

    def start() -> Controller:
        started.append(Controller(tmp_path / "state"))
        return started[-1]

    yield start
    for controller in started:
        if controller.process.returncode is None:
            controller.kill()


def spend(until: float) -> None:
    """Let time pass: where in its work the kill hits is chance, there is nothing to wait for."""
    while time.monotonic() < until:
        pass


def stored(state: Path) -> int:
    """How many ports the store holds."""
    store = SqliteStore(state)
    try:
        return sum(document.kind == "port" for document in store.load())
    finally:
        store.close()


@pytest.mark.slow
def test_a_killed_controller_has_made_all_of_a_bulk_or_nothing(start, tmp_path: Path) -> None:
    """Killed at whichever moment of a bulk of 3,000 ports, a controller comes back with all of them or with none."""
    controller = start()
    log = tmp_path / "state" / "vl2.sqlite-wal"
    network = controller.ask("POST", "/v2.0/networks", {"network": {}})["network"]["id"]
    controller.ask("POST", "/v2.0/subnets", {"subnet": {"network_id": network, "cidr": "10.0.0.0/16"}})
    wanted = {"ports": [{"network_id": network}] * MANY}
    began = time.monotonic()
    controller.ask("POST", "/v2.0/ports", wanted)
    whole = time.monotonic() - began
    count = MANY
    for share in (0.2, 0.5, None, 0.8, None, 0.95):
        assert controller.ports() == count
        answers: list[object] = []
        size = log.stat().st_size

        def request(controller: Controller = controller, answers: list[object] = answers) -> None:
            with suppress(OSError, http.client.HTTPException):  # killed
                answers.append(controller.ask("POST", "/v2.0/ports", wanted))

        asking = threading.Thread(target=request)
        asking.start()
        if share is None:  # amid the commit: the log has begun to grow
            deadline = time.monotonic() + 10 * whole + 10
            while log.stat().st_size == size and time.monotonic() < deadline:
                pass
            assert log.stat().st_size > size
        else:
            spend(time.monotonic() + share * whole)
        controller.kill()
        asking.join(30)
        assert not asking.is_alive()
        now = stored(controller.state)
        assert now in ({count + MANY} if answers else {count, count + MANY})
        count = now
        controller = start()
    assert controller.ports() == count
