"""The API over HTTPS, and what becomes of callers that do not speak it."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from controller import green

green.prepare()

import eventlet  # noqa: E402

from controller import certificates, tls  # noqa: E402
from controller.configuration import Endpoint  # noqa: E402
from controller.fabric_cli import command  # noqa: E402
from controller.rest.server import Server  # noqa: E402
from controller.settings import parse  # noqa: E402
from controller.trust import Trust, self_made_files  # noqa: E402
from hostside.api import Api, where  # noqa: E402
from hostside.errors import Away  # noqa: E402


def _echo(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    """Answer with what was sent, or with the scheme that the caller used."""
    sent = environ["wsgi.input"].read()
    start("200 OK", [("Content-Type", "application/json")])
    return [sent or json.dumps({"scheme": environ["wsgi.url_scheme"]}).encode()]


@pytest.fixture
def trust(tmp_path: Path) -> Trust:
    """What a controller has made for itself."""
    return Trust(parse({"state_dir": str(tmp_path / "state"), "rest": {"tls": "self-made"}}))


@pytest.fixture
def port(trust: Trust) -> Iterator[int]:
    """A server for HTTPS, in a thread because the tests block."""
    ports: list[int] = []
    up, stop = threading.Event(), threading.Event()

    def run() -> None:
        server = Server(Endpoint("127.0.0.1", 0), _echo, trust.rest)
        assert server.endpoint.tls
        ports.append(server.endpoint.port)
        up.set()
        while not stop.is_set():
            eventlet.sleep(0.01)
        server.stop()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert up.wait(10)
    yield ports[0]
    stop.set()
    thread.join(10)
    assert not thread.is_alive(), "the server does not stop"


@pytest.fixture
def cacert(tmp_path: Path) -> Path:
    """Whom a client has to believe."""
    return self_made_files(tmp_path / "state").certificate


def _until(condition: Callable[[], bool]) -> None:
    """Poll while the server's thread does its work."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        threading.Event().wait(0.01)


def _ask(port: int, cacert: Path, body: bytes | None = None) -> bytes:
    context = ssl.create_default_context(cafile=str(cacert))
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=context)
    try:
        connection.request("POST" if body else "GET", "/v1/health", body)
        return connection.getresponse().read()
    finally:
        connection.close()


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
def test_what_is_sent_comes_back(port: int, cacert: Path, size: int) -> None:
    """A client that believes the certificate gets its answer whole, whatever its size; the application sees https."""
    sent = bytes(i & 0xFF for i in range(size))
    assert _ask(port, cacert, sent) == (sent or b'{"scheme": "https"}')


def test_a_client_that_believes_nobody_here(port: int, tmp_path: Path) -> None:
    """The certificate of another is not believed."""
    other = tmp_path / "other.pem"
    other.write_bytes(certificates.self_made("x", ["127.0.0.1"], datetime.now(UTC)).certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        _ask(port, other)


def test_old_versions_are_refused(port: int) -> None:
    """Nothing below TLS 1.2 is spoken."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(raw)


def test_plain_text_costs_a_line(port: int, cacert: Path, caplog: Any, capfd: Any) -> None:
    """A client without TLS gets no answer and leaves one line; others are served."""
    caplog.set_level(
        "INFO", logger="controller.rest.server"
    )  # other tests may have set it: Mininet does so with all of them
    with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
        said = plain.recv(100)
    assert said[:1] in {b"", b"\x15"}, "at most an alert"
    assert _ask(port, cacert)
    _until(lambda: "gave up on" in caplog.text)
    lines = [record.getMessage() for record in caplog.records if "gave up on" in record.getMessage()]
    assert len(lines) == 1
    assert "http request" in lines[0]
    assert capfd.readouterr() == ("", "")


def test_silence_keeps_nobody_waiting(port: int, cacert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a connection and says nothing is hung up on, and others are served meanwhile."""
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 1.0)
    silent = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(20)]
    assert _ask(port, cacert)
    assert [each.recv(1) for each in silent] == [b""] * len(silent)
    for each in silent:
        each.close()


def test_a_renewed_certificate(port: int, cacert: Path, trust: Trust, tmp_path: Path) -> None:
    """After a reload new connections see the renewed certificate; one that cannot be used changes nothing."""
    files = self_made_files(tmp_path / "state")
    files.certificate.write_bytes(b"rubbish")
    trust.reload()
    renewed = certificates.self_made("renewed", ["127.0.0.1"], datetime.now(UTC))
    believed = tmp_path / "believed.pem"
    believed.write_bytes(renewed.certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        _ask(port, believed)
    files.certificate.write_bytes(renewed.certificate)
    files.key.write_bytes(renewed.key)
    trust.reload()
    assert _ask(port, believed)
    assert cacert == files.certificate


def test_the_command_line_speaks_https(
    port: int, cacert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """vl2 fabric believes the certificate that the option, the environment or the configuration names, and no other."""
    token = tmp_path / "operator.token"
    token.write_text("operator-0123456789\n")
    where = ["--url", f"https://127.0.0.1:{port}", "--token-file", str(token)]

    def said(*words: str) -> str:
        return CliRunner().invoke(command, [*words, "load"]).output

    config = tmp_path / "vl2.toml"
    config.write_text(
        f'state_dir = "{tmp_path}/state"\noperator_token_file = "{token}"\n'
        f'[rest]\nlisten = "127.0.0.1:{port}"\ntls = "self-made"\n'
    )
    refusal = "certificate verify failed"
    assert refusal in said(*where)
    assert refusal not in said(*where, "--cacert", str(cacert))
    assert refusal not in said("--config", str(config))
    assert "--cacert: " in said(*where, "--cacert", str(tmp_path / "none"))
    assert "--cacert: " in said(*where, "--cacert", str(token))
    monkeypatch.setenv("VL2_CACERT", str(cacert))
    assert refusal not in said(*where)


def test_what_runs_beside_a_guest(port: int, cacert: Path, tmp_path: Path) -> None:
    """Hooks and agents of hypervisors believe only the authority that they are told of, and ask nobody else."""
    token = tmp_path / "token"
    token.write_text("operator-0123456789")
    url = f"https://127.0.0.1:{port}"
    api = Api(where(url, token, cacert), 10)
    assert api.bindings("any") == ()
    api.close()
    with pytest.raises(Away, match="certificate verify failed"):
        Api(where(url, token, None), 10).bindings("any")
