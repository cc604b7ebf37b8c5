"""Real QEMUs for the tests of what runs beside them: no disk, no system, a BIOS that finds nothing to boot."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "qemu-system-x86_64"
BOARD = ("-M", "pc,accel=tcg", "-m", "16", "-nodefaults", "-display", "none")


def wait(condition: Callable[[], Any], what: object, seconds: float = 30.0) -> Any:
    """Poll until the condition holds; what it then says."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what() if callable(what) else what}"
        threading.Event().wait(0.01)
    return found


class Machine:
    """A QEMU with two monitors: ``qmp`` for the agent, and one for the test, which is the orchestrator.

    :param incoming: whether it waits for a guest, at ``door``. :param inside: what runs a command where it has to run.
    """

    def __init__(
        self, directory: Path, name: str, *more: str, incoming: bool = False, inside: Sequence[str] = ()
    ) -> None:
        # A directory that is watched may hold nothing but monitors for the agent.
        self.qmp = directory / "qmp" / f"{name}.qmp"
        self.qmp.parent.mkdir(exist_ok=True)
        own, self.door = (directory / f"{name}.{end}" for end in ("own", "door"))
        words = [*inside, PROGRAM, *BOARD, "-name", name, *more]
        for path in (self.qmp, own):
            words += ["-qmp", f"unix:{path},server=on,wait=off"]
        if incoming:
            words += ["-incoming", f"unix:{self.door}"]
        self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(30)
        wait(lambda: own.exists() and self._socket.connect_ex(str(own)) == 0, f"{name} runs")
        self._lines = self._socket.makefile("rw")
        self._lines.readline()
        self.ask("qmp_capabilities")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._lines.close()
        self._socket.close()

    def ask(self, command: str, **arguments: object) -> Any:
        """Give an order; events that come before the answer are nobody's."""
        self._lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._lines.flush()
        while True:
            answer = json.loads(self._lines.readline())
            if "event" not in answer:
                assert "return" in answer, answer
                return answer["return"]

    def status(self) -> str:
        """Whether it runs, as QEMU calls it."""
        return str(self.ask("query-status")["status"])

    def migration(self) -> str:
        """Where its migration stands, as QEMU calls it."""
        return str(self.ask("query-migrate").get("status", "none"))

    def migrate(self, target: Machine, *, pause: bool = False) -> None:
        """Begin to send the guest to another QEMU; ``pause`` to wait before the switch."""
        for machine in (self, target):
            able = [{"capability": "pause-before-switchover", "state": pause}]
            machine.ask("migrate-set-capabilities", capabilities=able)
        self.ask("migrate", uri=f"unix:{target.door}")


class Agent:
    """A running ``vl2 qemu-agent``, and all that it has said."""

    def __init__(self, *words: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hostside", "qemu-agent", "--json", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.said: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(json.loads(line))

    def heard(self, event: str, **details: object) -> list[dict[str, Any]]:
        """What it has said of that kind."""
        return [each for each in self.said if {"event": event, **details}.items() <= each.items()]

    def until(self, event: str, **details: object) -> dict[str, Any]:
        """Wait for it to say something; returns the first time that it did."""
        wait(lambda: self.heard(event, **details), lambda: (event, details, self.said))
        return self.heard(event, **details)[0]

    def end(self) -> tuple[int, str]:
        """End it by SIGTERM; its exit code and complaints."""
        self._process.terminate()
        return self.ended()

    def ended(self) -> tuple[int, str]:
        """Wait for its end; its exit code and complaints."""
        assert self._process.stderr is not None
        assert self._process.stdout is not None
        complaint = self._process.stderr.read()
        code = self._process.wait(30)
        self._reader.join(30)
        self._process.stderr.close()
        self._process.stdout.close()
        return code, complaint


@contextmanager
def agent(*words: object) -> Iterator[Agent]:
    """Run an agent; it must end in order, and have nothing to complain of."""
    running = Agent(*words)
    try:
        yield running
    finally:
        code, complaint = running.end()
    assert (code, complaint) == (0, ""), complaint
