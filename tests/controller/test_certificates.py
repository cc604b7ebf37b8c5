"""Certificates that are built from values and a time."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller import certificates
from controller.certificates import CertificateError, Pair

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority() -> Pair:
    """An authority."""
    return certificates.authority("an authority", NOW)


def _verify(tmp_path: Path, authority: Pair, leaf: Pair, purpose: str, at: datetime = NOW) -> str:
    """What OpenSSL says of a certificate, by its strictest rules."""
    (tmp_path / "ca.pem").write_bytes(authority.certificate)
    (tmp_path / "leaf.pem").write_bytes(leaf.certificate)
    words = ["openssl", "verify", "-x509_strict", "-attime", str(int(at.timestamp())), "-purpose", purpose]
    words += ["-CAfile", str(tmp_path / "ca.pem"), str(tmp_path / "leaf.pem")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
    return done.stdout + done.stderr


def test_a_machine_cannot_be_a_server(authority: Pair, tmp_path: Path) -> None:
    """OpenSSL takes a machine's certificate for a client's only, and the controller's for a server's only."""
    machine = certificates.machine(authority, "h1", ["h1"], NOW)
    server = certificates.controller(authority, "controller", ["10.0.0.1", "ctl.example.org"], NOW)
    assert "leaf.pem: OK" in _verify(tmp_path, authority, machine, "sslclient")
    assert "unsuitable certificate purpose" in _verify(tmp_path, authority, machine, "sslserver")
    assert "leaf.pem: OK" in _verify(tmp_path, authority, server, "sslserver")
    assert "unsuitable certificate purpose" in _verify(tmp_path, authority, server, "sslclient")


def test_a_machine_cannot_sign(authority: Pair, tmp_path: Path) -> None:
    """What a machine's certificate signs is not believed, and what an authority's signs must be its own."""
    machine = certificates.machine(authority, "h1", ["h1"], NOW)
    forged = certificates.machine(Pair(machine.certificate, machine.key), "h2", ["h2"], NOW)
    assert "leaf.pem: OK" not in _verify(tmp_path, authority, forged, "sslclient")
    assert "leaf.pem: OK" not in _verify(tmp_path, certificates.authority("an authority", NOW), machine, "sslclient")


def test_facts_are_what_was_asked_for(authority: Pair) -> None:
    """Names, addresses and times can be read back; nothing is valid for longer than its authority."""
    facts = certificates.facts(
        certificates.controller(authority, "c", ["a.b", "10.0.0.1", "::1", "a.b"], NOW).certificate
    )
    assert (facts.common_name, facts.names) == ("c", ("a.b", "10.0.0.1", "::1"))
    assert facts.not_before < NOW
    assert facts.not_after == NOW + timedelta(days=certificates.LEAF_DAYS)
    later = NOW + timedelta(days=certificates.AUTHORITY_DAYS - 10)
    late = certificates.facts(certificates.machine(authority, "h1", ["h1"], later).certificate)
    assert late.not_after <= certificates.facts(authority.certificate).not_after


def test_the_fingerprint_is_openssls(tmp_path: Path) -> None:
    """The fingerprint that is logged is the one that a person sees in other programs."""
    pair = certificates.self_made("vl2", ["localhost"], NOW)
    (tmp_path / "c.pem").write_bytes(pair.certificate)
    words = ["openssl", "x509", "-in", str(tmp_path / "c.pem"), "-noout", "-fingerprint", "-sha256"]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=20).stdout
    assert said.strip().rpartition("=")[2] == certificates.facts(pair.certificate).fingerprint


def test_time_is_checked(authority: Pair) -> None:
    """A certificate is refused before and after its time, in words."""
    made = certificates.machine(authority, "h1", ["h1"], NOW, days=10).certificate
    assert certificates.check(made, NOW).names == ("h1",)
    with pytest.raises(CertificateError, match="has expired on 2026-05-11"):
        certificates.check(made, NOW + timedelta(days=11))
    with pytest.raises(CertificateError, match="is not valid before"):
        certificates.check(made, NOW - timedelta(days=1))
    with pytest.raises(CertificateError, match="has expired"):
        certificates.machine(authority, "h1", ["h1"], NOW + timedelta(days=4000))


@pytest.mark.parametrize("names", [[], ["*"], ["a b"], [""], ["é"]])
def test_names_that_are_none(authority: Pair, names: list[str]) -> None:
    """A certificate needs a name, and a name is no pattern."""
    with pytest.raises(CertificateError):
        certificates.machine(authority, "h1", names, NOW)


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb"])
def test_common_names_that_are_none(name: str) -> None:
    """What no certificate can carry as its name is refused."""
    with pytest.raises(CertificateError, match="cannot be the name"):
        certificates.authority(name, NOW)


def test_a_key_belongs_to_its_certificate(authority: Pair) -> None:
    """Another certificate's key, an encrypted one and rubbish are told apart; a secret never shows."""
    one, other = (certificates.self_made("x", ["x"], NOW) for _ in range(2))
    certificates.check_key(one.key, one.certificate)
    with pytest.raises(CertificateError, match="not that of the certificate"):
        certificates.check_key(other.key, one.certificate)
    with pytest.raises(CertificateError, match="not a private key"):
        certificates.check_key(b"rubbish", one.certificate)
    with pytest.raises(CertificateError, match="not a certificate"):
        certificates.facts(b"rubbish")
    words = ["openssl", "pkcs8", "-topk8", "-passout", "pass:secret"]
    locked = subprocess.run(words, input=one.key, capture_output=True, check=True, timeout=20).stdout
    with pytest.raises(CertificateError, match="encrypted"):
        certificates.check_key(locked, one.certificate)
    assert "KEY" not in repr(authority)
