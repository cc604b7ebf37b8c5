"""How do messages travel between us and one hypervisor's database, and when do we give it up?

One accepted connection, read by one green thread.  Both ends ask each other for a sign of life with ``echo``
(RFC 7047 §4.1.11).  Whatever a peer does (silence, floods, endless messages, a socket that it never reads) costs its
own session and nobody else's: reading gives way to other green threads after each piece, and writing has a time limit.
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import eventlet
from eventlet.semaphore import Semaphore

from controller import tls
from controller.ovsdb.framing import Framer, JsonObject, ProtocolError

PROBE_INTERVAL: Final = 5.0
"""Seconds between signs of life that we ask of a silent peer, and between two ticks."""
SILENCE_LIMIT: Final = 15.0
"""Seconds of silence after which a peer counts as gone."""
MESSAGE_LIMIT: Final = 32 << 20
"""Bytes of the longest message: the picture of a host with 50,000 ports is about 25 MB."""

_CHUNK: Final = 1 << 16
_SEND_LIMIT: Final = 10.0
_ECHO_ID: Final = "echo"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one of our requests; ``error`` is None when it was done."""

    id: int
    result: object
    error: object


@dataclass(frozen=True, slots=True)
class Notification:
    """Something that the peer tells unasked."""

    method: str
    params: list[object]


@dataclass(frozen=True, slots=True)
class Tick:
    """Some seconds have passed; a chance to try again what did not work."""


Message: TypeAlias = Reply | Notification | Tick


class Peer:
    """One connection to an ovsdb-server that called us.

    :param sock: the accepted green socket or TLS stream, which the peer owns from now on.
    """

    def __init__(self, sock: Any) -> None:
        self._socket = sock
        self._framer = Framer(MESSAGE_LIMIT)
        self._last_id = 0
        self._closed = False
        self.names: frozenset[str] | None = None
        """The names in its certificate; None when it came without TLS."""
        self._writing = Semaphore()
        """Two green threads may write: the one that reads, and one that the owner's wishes have started."""

    @property
    def next_id(self) -> int:
        """The id that the next request will have; its reply may be here before ``request`` returns."""
        return self._last_id + 1

    def shake(self) -> None:
        """Shake hands, where the peer called for TLS.

        :raises OSError: when it does not.
        """
        self.names = tls.shake(self._socket)

    def request(self, method: str, *params: object) -> int:
        """Send a request; answers the id that its ``Reply`` will carry.

        :raises OSError: when the connection is broken or the peer does not read.
        """
        self._last_id += 1
        self._send({"method": method, "params": params, "id": self._last_id})
        return self._last_id

    def messages(self) -> Iterator[Message]:
        """What the peer says, until it hangs up; a ``Tick`` each ``PROBE_INTERVAL`` seconds between.

        :raises ProtocolError: when the peer does not speak OVSDB.
        :raises TimeoutError: when it has been silent for too long.
        :raises OSError: when the connection breaks.
        """
        heard = time.monotonic()
        next_tick = heard + PROBE_INTERVAL
        while (data := self._receive(next_tick)) != b"":
            if data is not None:
                heard = time.monotonic()
                for value in self._framer.feed(data):
                    yield from self._understand(value)
                    if not self._is_open():
                        return
            now = time.monotonic()
            if now >= next_tick:
                next_tick = now + PROBE_INTERVAL
                self._probe(now - heard)
                yield Tick()
            # A socket that always has more to read would never hand over to the other green threads.
            eventlet.sleep(0)

    def _receive(self, until: float) -> bytes | None:
        """What came; empty when the connection has ended, None when nothing came in time."""
        if not self._is_open():
            return b""
        self._socket.settimeout(max(until - time.monotonic(), 0.001))
        try:
            return bytes(self._socket.recv(_CHUNK))
        except TimeoutError:
            return None
        except OSError:
            if self._is_open():
                raise
            return b""

    def _is_open(self) -> bool:
        return not self._closed

    def hang_up(self) -> None:
        """End the conversation from any green thread: ``messages`` then returns, and its reader closes."""
        self._closed = True
        # Closing a socket does not wake up the green thread that waits for it, the end of its stream does.
        with contextlib.suppress(OSError):  # the other end was faster
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the socket back; only for the green thread that reads."""
        self._closed = True
        self._socket.close()

    def _probe(self, silence: float) -> None:
        if silence >= SILENCE_LIMIT:
            raise TimeoutError(f"nothing heard for {silence:.0f} s")
        if silence >= PROBE_INTERVAL / 2:
            self._send({"method": "echo", "params": [], "id": _ECHO_ID})

    def _understand(self, value: JsonObject) -> Iterator[Message]:
        request_id = value.get("id")
        method = value.get("method")
        params = value.get("params")
        if isinstance(method, str) and isinstance(params, list):
            if request_id is None:
                yield Notification(method, params)
            elif method == "echo":
                self._send({"result": params, "error": None, "id": request_id})
            else:
                self._send({"result": None, "error": "unknown method", "id": request_id})
        elif isinstance(request_id, int) and "result" in value:
            yield Reply(request_id, value["result"], value.get("error"))
        elif request_id != _ECHO_ID:
            raise ProtocolError("a message that is neither a request, a reply nor a notification")

    def _send(self, message: JsonObject) -> None:
        with self._writing:
            self._socket.settimeout(_SEND_LIMIT)
            self._socket.sendall(json.dumps(message, separators=(",", ":")).encode())
