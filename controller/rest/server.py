"""Who listens for HTTP, and how long does it have patience?

The application under ``eventlet.wsgi``: a greenlet for each connection, bounded in time, in number and in size.
"""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections.abc import Callable
from typing import Any, Final

import eventlet
import eventlet.wsgi

from controller import tls
from controller.configuration import Endpoint

_LOG: Final = logging.getLogger(__name__)
_CONNECTIONS: Final = 1000
"""How many may be open at once; more wait in the kernel's queue."""
_HEAD_SECONDS: Final = 10.0
"""For a request's head in all."""
_BACKLOG: Final = 128
_SILENCE_SECONDS: Final = 10.0
"""For each wait within a request's body or for the client to take the answer."""
_IDLE_SECONDS: Final = 75.0
"""Between two requests."""
_URL_MOST: Final = 16384


class _Log:
    """Where eventlet writes its complaints: our log, at a level that is off by default."""

    def write(self, text: str) -> None:
        if text.strip():
            _LOG.debug("%s", text.rstrip())

    def flush(self) -> None:
        pass


class _Protocol(eventlet.wsgi.HttpProtocol):  # type: ignore[misc]  # eventlet has no types
    """HTTP/1.1 that gives a client a fixed time for a whole request head, not for each of its bytes."""

    server_version = "vl2"
    sys_version = ""

    def __init__(self, conn_state: list[Any], server: Any) -> None:
        caller, connection, _ = conn_state
        try:
            tls.shake(connection)
        except OSError as error:
            _LOG.info("gave up on %s: %s", caller, error)
            return  # the server closes the connection
        super().__init__(conn_state, server)

    def parse_request(self) -> bool:
        try:
            with eventlet.Timeout(_HEAD_SECONDS):
                return bool(super().parse_request())
        except eventlet.Timeout:
            self.close_connection = True
            return False

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        if isinstance(self.request, tls.TlsStream):
            environ["wsgi.url_scheme"] = "https"
        # eventlet ends the stream where the chunks end; without this word the framework would not read one.
        environ["wsgi.input_terminated"] = environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked"
        return environ

    def finish(self) -> None:
        try:
            super().finish()
        finally:  # who hung up in the middle of an answer leaves files that cannot be flushed, and keep the socket open
            for file in (self.wfile, self.rfile):
                with contextlib.suppress(OSError):
                    file.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the standard library's name)
        _LOG.debug(format, *args)


class Server:
    """A listening socket with the application behind it, served by a greenlet of its own.

    :param endpoint: where to listen; port 0 lets the kernel choose.
    :param app: the WSGI application.
    :param context: for HTTPS.
    :raises OSError: when the address is taken or not ours.
    """

    def __init__(self, endpoint: Endpoint, app: Callable[..., Any], context: ssl.SSLContext | None = None) -> None:
        self._socket: Any = tls.listen((endpoint.address, endpoint.port), _BACKLOG, context)
        address, port = self._socket.getsockname()[:2]
        self.endpoint = Endpoint(address, port, context is not None)
        """Where it really listens."""
        self._thread = eventlet.spawn(_serve, self._socket, app)

    def stop(self) -> None:
        """Listen no more; requests under way are answered, idle connections closed."""
        self._thread.kill()
        self._socket.close()


def _serve(sock: Any, app: Callable[..., Any]) -> None:
    eventlet.wsgi.server(
        sock,
        app,
        log=_Log(),
        log_output=False,
        debug=False,
        max_size=_CONNECTIONS,
        socket_timeout=_SILENCE_SECONDS,
        keepalive=_IDLE_SECONDS,
        url_length_limit=_URL_MOST,
        protocol=_Protocol,
    )
