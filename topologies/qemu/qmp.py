"""How does the lab speak with a QEMU?

QMP, QEMU's machine protocol: JSON lines on a unix socket; commands with answers, and events in between, each of which
is stamped with the time at which it came.
"""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from topologies.errors import LabError

_ANSWER_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that QEMU told unasked."""

    at: int
    """CLOCK_MONOTONIC, ns."""
    name: str
    data: dict[str, Any]

    @property
    def migration(self) -> str:
        """The status that a migration has entered, ``""`` if the event is about something else."""
        return str(self.data.get("status", "")) if self.name == "MIGRATION" else ""


class Monitor:
    """A connection to a QEMU's monitor.

    :raises OSError: if nobody listens there.
    """

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._news = threading.Condition()
        self._answers: dict[int, dict[str, Any]] = {}
        self._events: list[Event] = []
        self._ended = False
        self._numbers = itertools.count(1)
        threading.Thread(target=self._listen, daemon=True).start()
        self.execute("qmp_capabilities")

    def _listen(self) -> None:
        try:
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    self._hear(json.loads(line), time.monotonic_ns())
        except (OSError, ValueError):
            pass
        with self._news:
            self._ended = True
            self._news.notify_all()

    def _hear(self, heard: dict[str, Any], now: int) -> None:
        with self._news:
            if "event" in heard:
                self._events.append(Event(now, heard["event"], heard.get("data", {})))
            elif "id" in heard:
                self._answers[heard["id"]] = heard
            self._news.notify_all()

    def execute(self, command: str, **arguments: Any) -> Any:
        """Give a command and return what QEMU answers.

        :raises LabError: if QEMU refuses it, or has ended.
        """
        number = next(self._numbers)
        words = {"execute": command, "id": number, "arguments": arguments}
        try:
            self._socket.sendall(json.dumps(words).encode() + b"\n")
        except OSError as wrong:
            raise LabError(f"QEMU does not hear {command}: {wrong}") from wrong
        with self._news:
            self._news.wait_for(lambda: number in self._answers or self._ended, _ANSWER_SECONDS)
            answer = self._answers.pop(number, None)
        if answer is None:
            raise LabError(f"QEMU does not answer {command}")
        if "error" in answer:
            raise LabError(f"QEMU refuses {command}: {answer['error'].get('desc')}")
        return answer["return"]

    @property
    def heard(self) -> int:
        """How many events have come so far."""
        return len(self._events)

    def since(self, number: int) -> tuple[Event, ...]:
        """The events after the first ``number``."""
        return tuple(self._events[number:])

    def await_event(self, number: int, wanted: Callable[[Event], bool], what: str, seconds: float) -> Event:
        """The first event after the first ``number`` that is wanted.

        :raises LabError: if it does not come in time, or QEMU ends.
        """

        def found() -> Event | None:
            return next(filter(wanted, self._events[number:]), None)

        with self._news:
            self._news.wait_for(lambda: found() or self._ended, seconds)
            event = found()
        if event is None:
            raise LabError(f"QEMU has ended before {what}" if self._ended else f"no {what} within {seconds:g} s")
        return event

    def close(self) -> None:
        """Hang up."""
        # Closing alone would leave the thread that listens where it is.
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
