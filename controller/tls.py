"""How does an accepted connection become an encrypted one, without anybody else waiting for it?

A stream over a green socket and OpenSSL's own buffers (``ssl.MemoryBIO``), with the few methods of a socket that our
three servers use.  Not ``ssl.SSLSocket``: the OpenFlow framework tries again for ever after an ``SSLError``, Python's
reads plain text from a socket whose writing side was shut down, and eventlet's shakes hands where it likes.  Here a
broken conversation is an ``OSError`` like any other, and the handshake is a step of the connection's own greenlet.
"""

from __future__ import annotations

import errno
import io
import socket
import ssl
from contextlib import suppress
from typing import Any, Final

import eventlet
from eventlet.semaphore import Semaphore

HANDSHAKE_SECONDS: Final = 10.0
"""For the whole handshake; a caller that says nothing is then hung up on."""

_CHUNK: Final = 1 << 16


class HandshakeError(OSError):
    """The caller did not shake hands: it speaks no TLS, has no certificate of ours, or is too slow."""


class TlsStream:
    """An accepted connection that speaks TLS, once ``handshake`` has returned.

    :param sock: the accepted green socket, which the stream owns from now on.
    :param context: a server's.
    """

    def __init__(self, sock: Any, context: ssl.SSLContext) -> None:
        self._socket = sock
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._writing = Semaphore()
        """The greenlet that has it sends whatever is in the buffer, also what others have put there meanwhile."""

    def handshake(self) -> None:
        """Agree on keys, and check the caller's certificate where the context demands one.

        :raises HandshakeError: when that does not come about; the caller has then been told by an alert if possible.
        :raises OSError: when the connection breaks.
        """
        try:
            with eventlet.Timeout(HANDSHAKE_SECONDS, False):
                while not self._shaken():
                    if not self._fill():
                        raise HandshakeError("it hung up before the handshake was done")
                return
        except ssl.SSLError as error:
            raise HandshakeError(f"no handshake: {_reason(error)}") from error
        raise HandshakeError(f"no handshake within {HANDSHAKE_SECONDS:g} s")

    def _shaken(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        finally:
            with suppress(OSError):  # an alert that nobody is there to hear
                self._flush()
        return True

    @property
    def names(self) -> frozenset[str]:
        """The names that the caller's certificate gives it; none where no certificate was demanded."""
        certificate: dict[str, Any] = self._tls.getpeercert() or {}
        return frozenset(value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS")

    # ── as a socket ──────────────────────────────────────────────────────────────────────────────────────────────────

    def recv(self, size: int) -> bytes:
        """What came, at most so many bytes; empty when the conversation has ended.

        :raises TimeoutError: when nothing came in the time that was set.
        :raises OSError: when the connection is broken.
        """
        while True:
            try:
                return self._tls.read(size)
            except ssl.SSLWantReadError:
                self._flush()
                if not self._fill():
                    return b""  # without TLS' own farewell; our protocols know where a message ends
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""
            except ssl.SSLError as error:
                raise ConnectionResetError(errno.ECONNRESET, _reason(error)) from error

    def sendall(self, data: bytes | bytearray | memoryview) -> None:
        """Send everything.

        :raises TimeoutError: when the peer did not take it in the time that was set.
        :raises OSError: when the connection is broken.
        """
        view = memoryview(data).cast("B")
        with self._writing:
            while view:
                try:
                    view = view[self._tls.write(view[:_CHUNK]) :]
                except ssl.SSLError as error:
                    raise ConnectionResetError(errno.ECONNRESET, _reason(error)) from error
                self._drain()

    def settimeout(self, seconds: float | None) -> None:
        """Limit each wait of the following calls."""
        self._socket.settimeout(seconds)

    def setsockopt(self, *option: Any) -> None:
        """As for the socket below."""
        self._socket.setsockopt(*option)

    def getsockname(self) -> Any:
        """As for the socket below."""
        return self._socket.getsockname()

    def fileno(self) -> int:
        """As for the socket below."""
        return int(self._socket.fileno())

    def shutdown(self, how: int) -> None:
        """End the conversation; never waits.

        :raises OSError: when the other end was faster.
        """
        with suppress(ssl.SSLError, OSError, ValueError):
            self._tls.unwrap()
        if self._out.pending and not self._writing.locked():
            with suppress(OSError):
                self._socket.fd.send(self._out.read())  # the socket below does not block: what does not go is lost
        self._socket.shutdown(how)

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def makefile(self, mode: str, size: int) -> io.BufferedReader | io.BufferedWriter:
        """Read from the stream (``rb``) or write to it (``wb``) through a buffer, as the HTTP server does."""
        if mode == "rb":
            return io.BufferedReader(_Raw(self), size if size > 0 else io.DEFAULT_BUFFER_SIZE)
        return io.BufferedWriter(_Raw(self), size)

    # ── below ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _fill(self) -> bool:
        data = self._socket.recv(_CHUNK)
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()
        return bool(data)

    def _flush(self) -> None:
        """Send what OpenSSL itself wants to say; whoever is writing does it as well."""
        if self._out.pending and not self._writing.locked():
            with self._writing:
                self._drain()

    def _drain(self) -> None:
        while self._out.pending:
            self._socket.sendall(self._out.read())


class TlsListener:
    """A listener whose calls are streams; each still has to shake hands."""

    def __init__(self, listener: Any, context: ssl.SSLContext) -> None:
        self._listener = listener
        self._context = context
        self.family: socket.AddressFamily = listener.family

    def accept(self) -> tuple[TlsStream, Any]:
        """Wait for a call.

        :raises OSError: when it could not be taken.
        """
        connection, caller = self._listener.accept()
        return TlsStream(connection, self._context), caller

    def getsockname(self) -> Any:
        """As for the listener below."""
        return self._listener.getsockname()

    def fileno(self) -> int:
        """As for the listener below."""
        return int(self._listener.fileno())

    def close(self) -> None:
        """Listen no more."""
        self._listener.close()


def listen(address: tuple[str, int], backlog: int, context: ssl.SSLContext | None = None) -> Any:
    """Listen on a literal address; with a context, for calls that are encrypted.

    :raises OSError: when the address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    # Without reuse_port=False two controllers would share the port, and each hear half of the calls.
    listener = eventlet.listen(address, family=family, backlog=backlog, reuse_port=False)
    return listener if context is None else TlsListener(listener, context)


def shake(connection: Any) -> frozenset[str] | None:
    """Do what a fresh connection needs before its first byte; answers the caller's names, None where it is not TLS.

    :raises OSError: when the caller cannot be talked to.
    """
    if not isinstance(connection, TlsStream):
        return None
    connection.handshake()
    return connection.names


class _Raw(io.RawIOBase):
    """A stream as an unbuffered file."""

    def __init__(self, stream: TlsStream) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        self._stream.sendall(data)
        return len(data)


def _reason(error: OSError) -> str:
    """What OpenSSL says, as one line that is no line of its source."""
    reason = getattr(error, "verify_message", None) or getattr(error, "reason", None) or error.strerror or str(error)
    return str(reason).replace("_", " ").lower()
