"""Which certificates does this controller show, and whose does it believe?

Turns the files that the settings name into contexts for the listeners, and refuses at the start what could not work:
a mistake is answered with the key that holds it.  Certificates that were renewed are taken over at a word (SIGHUP),
for connections that come later.
"""

from __future__ import annotations

import logging
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from controller import certificates
from controller.certificates import CertificateError, Facts
from controller.configuration import Endpoint, SettingsError
from controller.keeping import put
from controller.settings import Settings, TlsFiles, self_made_files

_LOG: Final = logging.getLogger(__name__)
_SOON: Final = timedelta(days=30)
_SECTION_ENDS: Final = "-----END CERTIFICATE-----"


class Trust:
    """The contexts of the listeners, made anew from their files when asked.

    :param now: tells the time.
    :raises SettingsError: naming the key whose file cannot be used.
    """

    def __init__(self, settings: Settings, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._files: dict[str, TlsFiles] = {}
        self.switches: ssl.SSLContext | None = None
        """For OpenFlow and OVSDB: whoever calls must have a certificate of our authority."""
        self.rest: ssl.SSLContext | None = None
        rest = settings.rest.tls
        if settings.rest.self_made:
            rest = self_made(settings.state_dir, settings.rest.listen, now())
        if settings.tls is not None:
            self._files["tls"] = settings.tls
            self.switches = _context(settings.tls, "tls", now())
        if rest is not None:
            self._files["rest"] = rest
            self.rest = _context(rest, "rest", now())
            _LOG.info("REST's certificate has the SHA-256 fingerprint %s", _facts(rest, "rest", now()).fingerprint)

    def reload(self) -> None:
        """Read certificates and keys again; one that cannot be used changes nothing and is logged."""
        for section, context in (("tls", self.switches), ("rest", self.rest)):
            if context is None:
                continue
            try:
                _load(context, self._files[section], section, self._now())
            except SettingsError as error:
                _LOG.error("kept the former certificate: %s", error)
            else:
                _LOG.info("took over the certificate %s", self._files[section].certificate)


def check(settings: Settings) -> None:
    """Refuse files that could not be used, and make none.

    :raises SettingsError: naming the key.
    """
    now = datetime.now(UTC)
    for section, files in (("tls", settings.tls), ("rest", settings.rest.tls)):
        if files is not None:
            _context(files, section, now)


def self_made(state_dir: Path, listen: Endpoint, now: datetime) -> TlsFiles:
    """Give the certificate that the controller makes for REST; makes it where there is none, or none that is valid.

    :raises SettingsError: when it cannot be made.
    """
    files = self_made_files(state_dir)
    with suppress(OSError, CertificateError):
        certificates.check(files.certificate.read_bytes(), now)
        certificates.check_key(files.key.read_bytes(), files.certificate.read_bytes())
        return files
    here = socket.gethostname()
    names = ["localhost", "127.0.0.1", "::1", listen.address, here]
    try:
        pair = certificates.self_made(f"VL2 on {here}"[:64], [name for name in names if _is_said(name)], now)
        state_dir.mkdir(parents=True, exist_ok=True)
        put(files.key, pair.key)
        put(files.certificate, pair.certificate, mode=0o644)
    except (OSError, CertificateError) as error:
        raise SettingsError(f"rest.tls: cannot make a certificate in {state_dir}: {error}") from error
    _LOG.info("made a certificate for REST: %s", files.certificate)
    return files


def _is_said(name: str) -> bool:
    return bool(name) and name not in {"0.0.0.0", "::"}  # noqa: S104  (it is refused, not bound)


def _context(files: TlsFiles, section: str, now: datetime) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Each connection shows its certificate: none goes on from a former one, or asks for new keys as often as it likes.
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    _load(context, files, section, now)
    if files.ca is not None:
        _trust(context, files.ca, f"{section}.ca", now)
    if files.revoked is not None:
        _distrust(context, files.revoked, f"{section}.revoked")
    return context


def _load(context: ssl.SSLContext, files: TlsFiles, section: str, now: datetime) -> None:
    certificate = _facts(files, section, now)
    try:
        key = _read(files.key, f"{section}.key", secret=True)
        certificates.check_key(key, _read(files.certificate, f"{section}.certificate"))
        context.load_cert_chain(files.certificate, files.key, password=_no_password)
    except (CertificateError, OSError) as error:
        raise SettingsError(f"{section}.key: {files.key}: {error}") from error
    if certificate.not_after - now < _SOON:
        _LOG.warning("%s.certificate: %s expires on %s", section, files.certificate, certificate.not_after)


def _facts(files: TlsFiles, section: str, now: datetime) -> Facts:
    key = f"{section}.certificate"
    try:
        found = certificates.check(_read(files.certificate, key), now)
    except CertificateError as error:
        raise SettingsError(f"{key}: {files.certificate}: {error}") from error
    if not found.serves:
        raise SettingsError(f"{key}: {files.certificate}: is a machine's certificate, not one for a server")
    return found


def _trust(context: ssl.SSLContext, path: Path, key: str, now: datetime) -> None:
    text = _read(path, key)
    try:
        for part in text.decode("ascii", "replace").split(_SECTION_ENDS)[:-1] or [""]:
            certificates.check((part + _SECTION_ENDS).encode(), now)
        context.load_verify_locations(cadata=text.decode("ascii"))
    except (CertificateError, ValueError, OSError) as error:
        raise SettingsError(f"{key}: {path}: {error}") from error
    context.verify_mode = ssl.CERT_REQUIRED


def _distrust(context: ssl.SSLContext, path: Path, key: str) -> None:
    try:
        certificates.revoked(_read(path, key))
        context.load_verify_locations(path)
    except (CertificateError, OSError) as error:
        raise SettingsError(f"{key}: {path}: {error}") from error
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _read(path: Path, key: str, *, secret: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            if secret and os.fstat(file.fileno()).st_mode & 0o007:
                raise SettingsError(f"{key}: {path} is open to every user of this machine: chmod 600 it")
            return file.read()
    except OSError as error:
        raise SettingsError(f"{key}: {path}: {error.strerror}") from error


def _no_password() -> str:
    """Keep OpenSSL from asking a terminal."""
    return ""
