"""How does a command run in a guest?

Over the guest's second serial line, of which QEMU makes a unix socket: a line each for a command, for the guest's word
that it has it, and for what came of it (``init.sh`` is the other end).  After a move the line ends at another QEMU, on
another socket: what the old one had still to say comes first, so not even a half of a line is lost.
"""

from __future__ import annotations

import base64
import itertools
import os
import select
import shlex
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from topologies.errors import LabError

_ACK_SECONDS: Final = 15.0
_GRACE_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


class Console:
    """The lab's end of a guest's serial line.

    :param line: a connected socket.
    """

    def __init__(self, name: str, line: socket.socket) -> None:
        self._name = name
        self._line = line
        self._next = line
        self._woken, self._waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._news = threading.Condition()
        self._speaking = threading.Lock()
        self._numbers = itertools.count(1)
        self._acknowledged: set[int] = set()
        self._done: dict[int, Ran] = {}
        self._ready = self._ended = False
        threading.Thread(target=self._listen, daemon=True).start()

    # --- hearing ----------------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        heard = b""
        while (more := self._hear()) is not None:
            heard += more
            *lines, heard = heard.split(b"\n")
            with self._news:
                for line in lines:
                    self._understand(line.decode(errors="replace").split())
                self._news.notify_all()
        self._note(ended=True)
        os.close(self._woken)
        self._line.close()

    def _hear(self) -> bytes | None:
        """What comes next, whichever socket it comes from; ``None`` when the lab hangs up."""
        poller = select.poll()
        poller.register(self._woken, select.POLLIN)
        if not self._ended:
            poller.register(self._line, select.POLLIN)
        if self._line.fileno() in {fd for fd, _event in poller.poll()}:
            more = b""
            with suppress(OSError):
                more = self._line.recv(65536)
            if not more:
                self._note(ended=True)  # of this QEMU; there may be another
            return more
        if not os.read(self._woken, 64):
            return None
        # The guest stands still while its line is handed over: the old socket has nothing more to say.
        self._line.close()
        self._line = self._next
        self._note(ended=False)
        return b""

    def _note(self, *, ended: bool) -> None:
        with self._news:
            self._ended = ended
            self._news.notify_all()

    def _understand(self, words: list[str]) -> None:
        match words:
            case ["ready"]:
                self._ready = True
            case ["ack", number] if number.isdigit():
                self._acknowledged.add(int(number))
            case ["done", number, code, out, err] if number.isdigit():
                self._done[int(number)] = Ran(int(code), _text(out), _text(err))
            case _:
                pass  # half a line, of a guest that was not up yet

    # --- speaking ---------------------------------------------------------------------------------------------------

    def await_ready(self, seconds: float) -> None:
        """Wait until the guest is up.

        :raises LabError: if it does not come up in time, or ends.
        """
        with self._news:
            self._news.wait_for(lambda: self._ready or self._ended, seconds)
            if not self._ready:
                what = "ends before it is up" if self._ended else f"does not come up within {seconds:g} s"
                raise LabError(f"{self._name}: the guest {what}")

    def run(self, argv: Sequence[str], seconds: float) -> Ran:
        """Run a command in the guest, which ends it after so many seconds.

        :raises LabError: if the guest does not answer.
        """
        number = next(self._numbers)
        script = base64.b64encode(shlex.join(argv).encode()).decode()
        with self._speaking:
            try:
                self._line.sendall(f"{number} {max(1, round(seconds))} {script}\n".encode())
            except OSError as wrong:
                raise LabError(f"{self._name}: the guest does not hear: {wrong}") from wrong
            with self._news:
                self._await(lambda: number in self._acknowledged, _ACK_SECONDS)
                self._acknowledged.discard(number)
        with self._news:
            self._await(lambda: number in self._done, seconds + _GRACE_SECONDS)
            return self._done.pop(number)

    def _await(self, condition: Callable[[], bool], seconds: float) -> None:
        self._news.wait_for(lambda: condition() or self._ended, seconds)
        if not condition():
            raise LabError(f"{self._name}: the guest {'has ended' if self._ended else 'does not answer'}")

    @contextmanager
    def silent(self) -> Iterator[None]:
        """While the guest changes places nothing is said to it: what QEMU has not read yet would stay behind."""
        with self._speaking:
            yield

    def hand_over(self, line: socket.socket) -> None:
        """Go on with the guest's line at another QEMU; the guest is stopped, or runs there already."""
        self._next = line
        os.write(self._waker, b"n")

    def close(self) -> None:
        """Hang up."""
        os.close(self._waker)


def _text(word: str) -> str:
    return base64.b64decode(word[1:]).decode(errors="replace")
