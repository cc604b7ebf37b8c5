"""How are many requests put to the controller without the clients being what is measured?

Connections of their own with requests prepared beforehand, an answer read as far as its length says; each client is a
thread that spends its time waiting.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.bed import Bed

_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Door:
    """Where the API is, and the operator's token."""

    host: str
    port: int
    token: str = field(repr=False)

    @classmethod
    def of(cls, place: Bed) -> Door:
        """The door of a lab's controller."""
        control = place.status.controller
        if control is None:
            raise RuntimeError("the lab has no controller")
        return cls(control.rest_host, control.rest_port, Path(control.operator_token_file).read_text("utf-8").strip())

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """A request as it goes over the wire."""
        text = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nX-Auth-Token: {self.token}\r\n"
        kind = "Content-Type: application/json\r\n" if text else ""
        return (head + kind + f"Content-Length: {len(text)}\r\n\r\n").encode() + text


class Client:
    """One connection."""

    def __init__(self, door: Door) -> None:
        self._socket = socket.create_connection((door.host, door.port), timeout=_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; the status and the body of its answer."""
        self._socket.sendall(request)
        heard = b""
        while (end := heard.find(b"\r\n\r\n")) < 0:
            heard += self._more()
        head = heard[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 : head.find(b"\r", at) if b"\r" in head[at:] else None]) if at >= 0 else 0
        body = heard[end + 4 :]
        while len(body) < length:
            body += self._more()
        return int(heard[9:12]), body

    def _more(self) -> bytes:
        more = self._socket.recv(1 << 20)
        if not more:
            raise ConnectionError("the controller hung up")
        return more


@dataclass(frozen=True, slots=True)
class Asked:
    """How long each answer took, in milliseconds, and all of them together in seconds."""

    each: tuple[float, ...]
    seconds: float


def together(door: Door, requests: Sequence[Iterable[bytes]], seconds: float) -> Asked:
    """Several clients at once, each with its requests in order, until they are through or the time is up.

    :raises RuntimeError: if an answer is not 2xx.
    """
    took: list[float] = []
    wrong: list[str] = []
    until = time.monotonic() + seconds

    def work(mine: Iterable[bytes]) -> None:
        client = Client(door)
        try:
            for request in mine:
                began = time.monotonic()
                if began > until or wrong:
                    break
                status, body = client.ask(request)
                took.append((time.monotonic() - began) * 1000)
                if not 200 <= status < 300:
                    wrong.append(f"{status} {body[:200]!r}")
        finally:
            client.close()

    threads = [threading.Thread(target=work, args=(mine,)) for mine in requests]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise RuntimeError(f"the controller answered {wrong[0]}")
    return Asked(tuple(took), time.monotonic() - began)
