"""How does the lab hold a machine's NIC process?

Starts it in the machine's namespace and gives it orders over its socket (see :mod:`topologies.nic`).
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from topologies.errors import LabError

_START_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Blackout:
    """When a machine stood still: CLOCK_MONOTONIC, ns."""

    stopped: int
    resumed: int


class Card:
    """A running NIC process.

    :param guest: a process in the machine's namespaces.
    :param mac: the guest's address. :param mtu: the guest's MTU in bytes.
    :raises LabError: if the process does not start.
    """

    def __init__(self, name: str, guest: int, mac: str, mtu: int, directory: Path) -> None:
        self._name = name
        self._path = directory / f"{name}.nic"
        self._path.unlink(missing_ok=True)
        self._lock = threading.Lock()
        root = str(Path(__file__).resolve().parent.parent)
        words = ["--guest", str(guest), "--mac", mac, "--mtu", str(mtu), "--control", str(self._path)]
        with (directory / f"{name}.nic.log").open("wb") as log:
            # -S: without site-packages the process starts in a third of the time and memory.
            self._process = subprocess.Popen(
                ["mnexec", "-a", str(guest), sys.executable, "-S", "-m", "topologies.nic", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": root},
                start_new_session=True,
            )
            self._log = Path(log.name)
        self._socket = self._connect()

    def _connect(self) -> socket.socket:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            session = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                session.connect(str(self._path))
            except OSError as wrong:
                session.close()
                if self._process.poll() is not None or time.monotonic() > deadline:
                    said = self._log.read_text(errors="replace").strip().rpartition("\n")[2]
                    self._process.kill()
                    self._process.wait()
                    raise LabError(f"{self._name}: the network card does not start: {said or wrong}") from wrong
                time.sleep(0.005)
            else:
                session.settimeout(_ANSWER_SECONDS)
                return session

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def _order(self, verb: str, **words: Any) -> dict[str, Any]:
        with self._lock:
            try:
                self._socket.sendall(json.dumps({"verb": verb, **words}).encode() + b"\n")
                heard = b""
                while not heard.endswith(b"\n"):
                    more = self._socket.recv(1 << 20)
                    if not more:
                        raise LabError(f"{self._name}: the network card's process has ended")
                    heard += more
            except OSError as wrong:
                raise LabError(f"{self._name}: the network card does not answer: {wrong}") from wrong
        answer: dict[str, Any] = json.loads(heard)
        if not answer.pop("ok"):
            raise LabError(f"{self._name}: {answer['error']}")
        return answer

    def attach(self, host: str, pid: int, tap: str) -> None:
        """Make a tap in the namespace of a hypervisor's process."""
        self._order("attach", host=host, pid=pid, name=tap)

    def detach(self, host: str) -> None:
        """Remove the tap there."""
        self._order("detach", host=host)

    def move(
        self, host: str, pause_ms: float, *, announce: bool = True, at_stop: Callable[[], None] | None = None
    ) -> Blackout:
        """STOP, and RESUME at another hypervisor; returns after RESUME.

        :param at_stop: what is done at STOP, beside the pause.
        """
        with ThreadPoolExecutor(1) as aside:
            # The card stops when it reads this, sooner than anything that is begun now has an effect.
            moving = aside.submit(self._order, "move", host=host, pause_ms=pause_ms, announce=announce)
            if at_stop is not None:
                at_stop()
            answer = moving.result()
        return Blackout(answer["stopped"], answer["resumed"])

    def announce(self) -> None:
        """Send one RARP."""
        self._order("announce")

    def add_vlan(self, vid: int, mac: str, mtu: int) -> None:
        """Give the guest an interface ``eth0.<vid>``."""
        self._order("vlan", vid=vid, mac=mac, mtu=mtu)

    def counters(self) -> dict[str, int]:
        """Frames relayed (see :class:`topologies.nic.Counters`)."""
        counters: dict[str, int] = self._order("report")["counters"]
        return counters

    def close(self) -> None:
        """End the process, and with it all taps."""
        self._process.kill()
        self._process.wait()
        self._socket.close()
        self._path.unlink(missing_ok=True)
