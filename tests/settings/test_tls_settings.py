"""What the configuration says about TLS, and what cannot be."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controller import certificates
from controller.configuration import Endpoint, SettingsError
from controller.pki import Pki
from controller.settings import TlsFiles, parse
from controller.trust import Trust, check, self_made_files

NOW = datetime.now(UTC)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    """An authority and the controller's certificate."""
    made = Pki(tmp_path / "pki")
    made.init("controller", ["127.0.0.1"], NOW, days=90, force=False)
    return made


@pytest.fixture
def given(pki: Pki) -> dict[str, Any]:
    """The table [tls]."""
    mine = pki.controller
    files = {"ca": str(pki.authority.certificate), "certificate": str(mine.certificate), "key": str(mine.key)}
    return files | {"revoked": str(pki.revoked)}


def test_tls_reaches_its_values(given) -> None:
    """With [tls] OpenFlow and OVSDB listen for TLS wherever no word says otherwise, and may leave the loopback."""
    files = {key: given[key] for key in ("certificate", "key")}
    settings = parse(
        {
            "tls": given,
            "openflow": {"listen": ["10.0.0.1:6653", "tcp:127.0.0.1:6653"]},
            "ovsdb": {"listen": ["ssl:[fd00::1]:6640"]},
            "rest": {"listen": "10.0.0.1:443", **files},
        }
    )
    assert settings.tls == TlsFiles(*(Path(given[key]) for key in ("certificate", "key", "ca", "revoked")))
    assert settings.openflow.listen == (Endpoint("10.0.0.1", 6653, tls=True), Endpoint("127.0.0.1", 6653))
    assert settings.ovsdb.listen == (Endpoint("fd00::1", 6640, tls=True),)
    assert settings.rest.listen == Endpoint("10.0.0.1", 443, tls=True)
    assert settings.rest.tls == TlsFiles(Path(given["certificate"]), Path(given["key"]))
    check(settings)
    assert not parse({}).openflow.listen[0].tls
    assert parse({"rest": {"tls": "self-made", "listen": "10.0.0.1:443"}}).rest.self_made


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"tls": {"ca": "/x"}}, "tls.certificate: is missing"),
        ({"tls": {"revoked": "/x"}}, "tls.certificate: is missing"),
        ({"tls": {"ca": "/x", "key": "/x"}}, "tls.certificate: is missing"),
        ({"tls": {"ca": "/x", "certificate": "/x"}}, "tls.key: is missing"),
        ({"tls": {"key": "/x", "certificate": "/x"}}, "tls.ca: is missing"),
        ({"tls": {"key": "x", "certificate": "/x", "ca": "/x"}}, "tls.key: 'x' is not an absolute path"),
        ({"tls": {"version": 1}}, "tls.version: no such setting"),
        ({"rest": {"key": "/x"}}, "rest.certificate: is missing"),
        ({"rest": {"certificate": "/x"}}, "rest.key: is missing"),
        ({"rest": {"tls": "on"}}, "rest.tls: 'on' is not \"self-made\""),
        ({"rest": {"tls": "self-made", "certificate": "/x", "key": "/x"}}, 'rest.tls: is "self-made", but'),
        ({"rest": {"listen": "ssl:127.0.0.1:1"}}, "rest.listen: 'ssl:127.0.0.1:1' is not an address"),
        ({"openflow": {"listen": ["ssl:127.0.0.1:1"]}}, "openflow.listen: ssl:127.0.0.1:1 needs the certificates"),
        ({"ovsdb": {"listen": ["ssl:127.0.0.1:1"]}}, "ovsdb.listen: ssl:127.0.0.1:1 needs the certificates"),
        ({"ovsdb": {"listen": ["tls:127.0.0.1:1"]}}, "ovsdb.listen: 'tls:127.0.0.1:1' is not an IP address"),
        ({"ovsdb": {"listen": ["tcp:127.0.0.1:1", "127.0.0.1:1"]}}, "ovsdb.listen: "),
    ],
)
def test_what_cannot_be(document: dict[str, Any], said: str) -> None:
    """A mistake is answered with the key that holds it."""
    with pytest.raises(SettingsError) as caught:
        parse(document)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize("name", ["openflow", "ovsdb"])
def test_plain_text_stays_at_home(given, name: str) -> None:
    """Also beside TLS a listener without it does not leave the loopback unless that is said in words."""
    document = {"tls": given, name: {"listen": ["10.0.0.1:9000", "tcp:10.0.0.1:9001"]}}
    with pytest.raises(SettingsError, match=rf"{name}\.listen: 10\.0\.0\.1:9001 can be reached.*insecure_listen"):
        parse(document)
    assert parse({"insecure_listen": True, **document}).insecure_listen


def _without(path: str) -> Callable[[dict[str, Any]], None]:
    return lambda given: Path(given[path]).unlink()


def _rubbish(path: str) -> Callable[[dict[str, Any]], None]:
    return lambda given: _over(given[path], b"rubbish")


def _over(path: str, content: bytes) -> None:
    Path(path).write_bytes(content)


def _aged(given: dict[str, Any]) -> None:
    early = NOW - timedelta(days=900)
    authority = certificates.authority("aged", early)
    pair = certificates.controller(authority, "c", ["c"], early)
    _over(given["certificate"], pair.certificate)
    _over(given["key"], pair.key)


def _aged_authority(given: dict[str, Any]) -> None:
    _over(given["ca"], certificates.authority("aged", NOW - timedelta(days=9000)).certificate)


def _machine(given: dict[str, Any]) -> None:
    pair = certificates.machine(certificates.authority("other", NOW), "h1", ["h1"], NOW)
    _over(given["certificate"], pair.certificate)
    _over(given["key"], pair.key)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_without("ca"), r"tls\.ca: .*ca\.pem: No such file"),
        (_without("certificate"), r"tls\.certificate: .*controller\.pem: No such file"),
        (_without("key"), r"tls\.key: .*controller-key\.pem: No such file"),
        (_without("revoked"), r"tls\.revoked: .*revoked\.pem: No such file"),
        (_rubbish("revoked"), r"tls\.revoked: .*: not a list"),
        (_rubbish("ca"), r"tls\.ca: .*: not a certificate"),
        (_rubbish("certificate"), r"tls\.certificate: .*: not a certificate"),
        (_rubbish("key"), r"tls\.key: .*: not a private key"),
        (
            lambda given: _over(given["key"], certificates.authority("x", NOW).key),
            r"tls\.key: .*: the key is not that of the certificate",
        ),
        (lambda given: os.chmod(given["key"], 0o644), r"tls\.key: .* is open to every user"),  # noqa: PTH101
        (_aged, r"tls\.certificate: .*: the certificate has expired on"),
        (_aged_authority, r"tls\.ca: .*: the certificate has expired on"),
        (_machine, r"tls\.certificate: .*: is a machine's certificate"),
    ],
    ids=[
        "no ca",
        "no certificate",
        "no key",
        "no list",
        "list",
        "ca",
        "certificate",
        "key",
        "mismatch",
        "open",
        "old",
        "old ca",
        "machine",
    ],
)
def test_files_that_cannot_be_used(given, spoil: Callable[[dict[str, Any]], None], said: str) -> None:
    """A file that is missing, rubbish, open to others, of another pair, too old or no server's is named by its key."""
    settings = parse({"tls": given})
    spoil(given)
    for use in (check, Trust):
        with pytest.raises(SettingsError, match=said):
            use(settings)


def test_a_self_made_certificate(tmp_path: Path, caplog) -> None:
    """REST's own certificate is made once, kept for the next start, renewed when too old, and its print is logged."""
    caplog.set_level("INFO", logger="controller.trust")  # Mininet sets the level of all loggers that there are
    settings = parse({"state_dir": str(tmp_path / "state"), "rest": {"tls": "self-made", "listen": "10.9.8.7:443"}})
    check(settings)
    assert not (tmp_path / "state").exists(), "a check makes nothing"
    Trust(settings)
    files = self_made_files(tmp_path / "state")
    first = files.certificate.read_bytes()
    facts = certificates.facts(first)
    assert {"localhost", "127.0.0.1", "::1", "10.9.8.7"} <= set(facts.names)
    assert facts.fingerprint in caplog.text
    assert files.key.stat().st_mode & 0o777 == 0o600
    Trust(settings)
    assert files.certificate.read_bytes() == first
    Trust(settings, now=lambda: NOW + timedelta(days=5000))
    assert files.certificate.read_bytes() != first
    (tmp_path / "taken").write_text("")
    with pytest.raises(SettingsError, match=r"rest\.tls: cannot make a certificate"):
        Trust(parse({"state_dir": str(tmp_path / "taken"), "rest": {"tls": "self-made"}}))


def test_a_certificate_that_ends_soon_is_told(pki: Pki, given, caplog) -> None:
    """A month before its end a certificate is warned of at every start."""
    Trust(parse({"tls": given}))
    assert "expires on" not in caplog.text
    Trust(parse({"tls": given}), now=lambda: NOW + timedelta(days=70))
    assert "tls.certificate: " in caplog.text
    assert f"{pki.controller.certificate} expires on" in caplog.text


def test_a_controller_renews_at_sighup(pki: Pki, given, tmp_path: Path) -> None:
    """A running controller takes over a renewed certificate at SIGHUP, and goes on as before when it cannot."""
    ports = _free_ports(3)
    config = tmp_path / "vl2.toml"
    config.write_text(
        f'state_dir = "{tmp_path}/state"\n[tls]\n'
        + "".join(f'{key} = "{value}"\n' for key, value in given.items())
        + f'[openflow]\nlisten = ["127.0.0.1:{ports[0]}"]\n[ovsdb]\nlisten = ["127.0.0.1:{ports[1]}"]\n'
        f'[rest]\nlisten = "127.0.0.1:{ports[2]}"\ncertificate = "{given["certificate"]}"\nkey = "{given["key"]}"\n'
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    words = [sys.executable, "-m", "controller", "controller", "--config", str(config)]
    running = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        _read_until(running, "REST on https://")
        shown = pki.controller.certificate.read_text()
        assert {_shown(port) for port in ports} == {shown}
        pki.controller.certificate.write_text("rubbish")
        running.send_signal(signal.SIGHUP)
        _read_until(running, "kept the former certificate: rest.certificate: ")
        assert {_shown(port) for port in ports} == {shown}
        pki.init("controller", ["127.0.0.1"], NOW, days=100, force=True)
        running.send_signal(signal.SIGHUP)
        for _ in range(2):
            _read_until(running, "took over the certificate")
        assert {_shown(port) for port in ports} == {pki.controller.certificate.read_text()} != {shown}
    finally:
        running.terminate()
        running.communicate(timeout=20)


def _free_ports(count: int) -> list[int]:
    found = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in found]
    for each in found:
        each.close()
    return ports


def _read_until(running: subprocess.Popen[str], words: str) -> None:
    """Read the log up to a line; a process that says something else for too long is ended."""
    limit = threading.Timer(60, running.kill)
    limit.start()
    assert running.stderr is not None
    said = []
    for line in running.stderr:
        said.append(line)
        if words in line:
            limit.cancel()
            return
    raise AssertionError(f"it never said {words!r}: {''.join(said)}")


def _shown(port: int) -> str:
    """The certificate that a listener shows, as PEM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw, context.wrap_socket(raw) as talk:
        return ssl.DER_cert_to_PEM_cert(talk.getpeercert(binary_form=True) or b"")
