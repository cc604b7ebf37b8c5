"""The HTTP server survives clients that are slow, rude or many."""

from __future__ import annotations

import socket
import time

import pytest

import controller.rest.server as server_module
from controller.configuration import Endpoint


def _talk(port: int, sent: bytes, timeout: float = 10) -> bytes:
    """Send these bytes and return what comes until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(sent)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def _status(received: bytes) -> bytes:
    return received.split(b"\r\n", 1)[0]


def test_a_port_has_one_server(edge) -> None:
    """A second controller that listens where the first one answers is told that the port is in use."""
    with pytest.raises(OSError, match="in use"):
        server_module.Server(Endpoint("127.0.0.1", edge.port), lambda *_: [])


def test_one_connection_many_requests(edge) -> None:
    """A connection is kept for further requests, also after one that was refused."""
    get = b"GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"
    bad = b"POST /v2.0/networks HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
    last = b"GET /v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    received = _talk(edge.port, get + bad + last)
    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert received.count(b"HTTP/1.1 401 ") == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b" 400 "),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", b" 414 "),
        (b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000 + b"\r\n\r\n", b" 400 "),
        (b"GET / HTTP/1.1\r\n" + b"A: xxxxxxxx\r\n" * 20_000 + b"\r\n", b" 431 "),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b" 400 "),
        (b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", b" 400 "),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b" 400 "),
    ],
    ids=["nonsense", "long line", "long header", "many headers", "negative", "no number", "both lengths"],
)
def test_what_is_no_http(edge, capfd, sent: bytes, status: bytes) -> None:
    """A request that is not HTTP, or has no end, is refused without noise and the connection closed."""
    assert status in _status(_talk(edge.port, sent))
    assert capfd.readouterr() == ("", "")


def test_chunks_are_measured(edge) -> None:
    """A body in chunks is read, and refused when it grows too big."""
    head = (
        b"POST /v2.0/networks HTTP/1.1\r\nHost: x\r\nX-Auth-Token: operator-0123456789\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    body = b'{"network": {"name": "chunked"}}'
    received = _talk(edge.port, head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
    assert b" 201 " in _status(received)
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    assert b" 413 " in _status(_talk(edge.port, head + chunk * 17 + b"0\r\n\r\n"))


def test_a_head_that_never_ends(edge, monkeypatch) -> None:
    """A client that sends its request's head drop by drop is cut off, and others are served meanwhile."""
    monkeypatch.setattr(server_module, "_HEAD_SECONDS", 0.5)
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", edge.port), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        connection.settimeout(0.05)
        while time.monotonic() - begun < 8:
            try:
                connection.sendall(b"A: b\r\n")
                if connection.recv(1) == b"":
                    break
            except TimeoutError:
                assert edge.as_(None)("GET", "/v1/health").status == 200
            except OSError:
                break
    assert 0.4 < time.monotonic() - begun < 5


def test_tokens_are_not_logged(edge, caplog) -> None:
    """Neither requests nor refusals leave a token in the log."""
    caplog.set_level("DEBUG")
    edge.as_("operator")("POST", "/v2.0/networks", {"network": {"name": "logged"}})
    edge.as_("nobody-0123456789")("GET", "/v2.0/networks")
    assert "0123456789" not in caplog.text
