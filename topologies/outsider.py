"""Does TCP with a guest live through what happens to it?

Two programs for the other end, in a namespace machine: a file that a guest downloads slowly until it is told that it
may hurry, and a stream that a guest echoes.  Every byte counts.  Like :mod:`topologies.probe` this is run as a program
that needs nothing but Python's standard library; :mod:`topologies.transfers` starts and stops it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import select
import socket
import sys
import time
from typing import Any, Final

_CHUNK: Final = 8192
_SECONDS: Final = 60.0
_SEED: Final = 20090817


def _say(**words: Any) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def serve_file(local: str, port: int, size: int, megabits: float) -> None:
    """Answer one HTTP request with a file, at a rate until a line comes on the standard input, then at full speed."""
    # Not a secret: bytes that no lost, doubled or swapped segment leaves the same.
    content = random.Random(_SEED).randbytes(size)  # noqa: S311
    with socket.create_server((local, port)) as listener:
        _say(ready=True)
        session, _ = listener.accept()
    wrong, sent = "", 0
    with session:
        session.settimeout(_SECONDS)
        try:
            session.recv(65536)
            session.sendall(f"HTTP/1.0 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
            _say(begun=True)
            hurried, pause = False, _CHUNK * 8 / (megabits * 1e6)
            while sent < size:
                if not hurried:
                    hurried = bool(select.select([sys.stdin], (), (), pause)[0])
                session.sendall(content[sent : sent + _CHUNK])
                sent += _CHUNK
            session.shutdown(socket.SHUT_WR)
            while session.recv(65536):
                pass
        except OSError as error:
            wrong = str(error) or type(error).__name__
    _say(sha256=hashlib.sha256(content).hexdigest(), bytes=min(sent, size), error=wrong)


class Echoed:
    """A stream to a guest that sends everything back.

    :ivar stall: the longest time for which something was owed and nothing came, in nanoseconds.
    """

    def __init__(self, session: socket.socket) -> None:
        self._session = session
        self._noise = random.Random(_SEED)  # noqa: S311  (as above)
        self._there, self._back = hashlib.sha256(), hashlib.sha256()
        self.sent = self.heard = self.stall = 0
        self._since = time.monotonic_ns()

    def send(self) -> None:
        """Send some more."""
        if self.sent == self.heard:
            self._since = time.monotonic_ns()
        data = self._noise.randbytes(_CHUNK)
        self._session.sendall(data)
        self._there.update(data)
        self.sent += len(data)

    def hear(self) -> bool:
        """Take in what has come; ``False`` at the end."""
        data = self._session.recv(65536)
        now = time.monotonic_ns()
        self.stall, self._since = max(self.stall, now - self._since), now
        self._back.update(data)
        self.heard += len(data)
        return bool(data)

    @property
    def intact(self) -> bool:
        """Whether all has come back as it was."""
        return self.sent == self.heard and self._there.digest() == self._back.digest()


def stream(local: str, peer: str, port: int, megabits: float) -> None:
    """Stream at a rate until a line comes on the standard input, and compare what comes back."""
    wrong = ""
    with socket.create_connection((peer, port), _SECONDS, (local, 0)) as session:
        _say(ready=True)
        echoed = Echoed(session)
        pause = _CHUNK * 8 / (megabits * 1e6)
        due = time.monotonic()
        try:
            while True:
                readable, _, _ = select.select([session, sys.stdin], (), (), max(0.0, due - time.monotonic()))
                if sys.stdin in readable:
                    break
                if session in readable and not echoed.hear():
                    break
                if time.monotonic() >= due:
                    echoed.send()
                    due = max(due + pause, time.monotonic())
            session.shutdown(socket.SHUT_WR)
            while echoed.hear():
                pass
        except OSError as error:
            wrong = str(error) or type(error).__name__
    _say(bytes=echoed.sent, intact=echoed.intact, longest_stall_ns=echoed.stall, error=wrong)


def main() -> None:
    """Run one of the two."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("what", choices=("serve", "stream"))
    parser.add_argument("--local", required=True)
    parser.add_argument("--peer", default="")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bytes", type=int, default=0, help="the file's size")
    parser.add_argument("--mbit", type=float, required=True, help="the rate")
    asked = parser.parse_args()
    if asked.what == "serve":
        serve_file(asked.local, asked.port, asked.bytes, asked.mbit)
    else:
        stream(asked.local, asked.peer, asked.port, asked.mbit)


if __name__ == "__main__":
    main()
