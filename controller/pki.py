"""In which files are the certificates of a network of ours kept?

A directory (mode 0700) that stays with whoever runs the controller: ``ca.pem``, ``controller.pem`` and, below
``hosts/``, one certificate for each hypervisor and switch, each with its key (mode 0600) beside it; ``revoked.pem``
lists those that count no more.  A file that is there is never overwritten unless that is said, and then in whole or not
at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from controller import certificates
from controller.certificates import CertificateError, Facts, Pair
from controller.keeping import put
from overlay.refusals import Refusal
from overlay.values import DatapathId, HostName

_AUTHORITY: Final = "ca"
_CONTROLLER: Final = "controller"
_HOSTS: Final = "hosts"
_KEY: Final = "-key"
_DATAPATH: Final = re.compile(r"[0-9a-fA-F]{16}")


class PkiError(Exception):
    """It cannot be done; the text says why, and nothing was changed."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a certificate and its key are."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Machine:
    """Whom a certificate is for.

    :param name: how people call it.
    :param datapath: the datapath id of a fabric switch; None for a hypervisor, which is known by its name.
    """

    name: HostName
    datapath: DatapathId | None = None

    @property
    def identities(self) -> tuple[str, ...]:
        """The names that its certificate gives it: a fabric switch may be a tunnel endpoint, too, by its own name."""
        return (str(self.name),) if self.datapath is None else (str(self.datapath), str(self.name))


def machine_named(text: str) -> Machine:
    """Read ``NAME`` of a hypervisor, or ``NAME=DATAPATH-ID`` of a fabric switch.

    :raises PkiError: when it is neither.
    """
    name, sign, datapath = text.partition("=")
    if name.endswith(_KEY):
        raise PkiError(f"NAME: {name!r} ends like the name of a key's file")
    if not sign and _DATAPATH.fullmatch(name):
        raise PkiError(f"NAME: {name} reads like a datapath id; say NAME=DATAPATH-ID of a fabric switch")
    try:
        return Machine(HostName.parse(name, "NAME"), DatapathId.parse(datapath, name) if sign else None)
    except Refusal as refusal:
        raise PkiError(refusal.message) from refusal


class Pki:
    """The directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def authority(self) -> Place:
        """The authority's files; its key is for nobody but this directory."""
        return _place(self.directory, _AUTHORITY)

    @property
    def controller(self) -> Place:
        """The controller's files."""
        return _place(self.directory, _CONTROLLER)

    @property
    def revoked(self) -> Path:
        """The list of certificates that count no more."""
        return self.directory / "revoked.pem"

    def machine(self, name: str) -> Place:
        """A machine's files."""
        return _place(self.directory / _HOSTS, name)

    def init(self, name: str, names: Iterable[str], now: datetime, *, days: int, force: bool) -> None:
        """Make the authority, unless it is there, and the controller's certificate.

        :param force: make both anew; every machine then needs a new certificate.
        :raises PkiError: when it cannot be done.
        """
        _free(self.controller, force=force)
        try:
            if force or not self.authority.certificate.exists():
                authority = certificates.authority(f"VL2 authority {now:%Y-%m-%d}", now)
            else:
                authority = self._read(self.authority)
            pair = certificates.controller(authority, name, names, now, days)
            _directory(self.directory)
            _directory(self.directory / _HOSTS)
            _write(self.authority, authority)
            _write(self.controller, pair)
            if force or not self.revoked.exists():
                put(self.revoked, certificates.revocations(authority, (), now))
        except CertificateError as error:
            raise PkiError(str(error)) from error
        except OSError as error:
            raise PkiError(f"{error.filename or self.directory}: {error.strerror}") from error

    def add(self, machine: Machine, now: datetime, *, days: int, force: bool) -> Place:
        """Make a machine's certificate.

        :raises PkiError: when it cannot be done.
        """
        place = self.machine(machine.name)
        if not self.authority.key.exists():
            raise PkiError(f"{self.directory}: there is no authority; make one with: vl2 pki init")
        _free(place, force=force)
        try:
            pair = certificates.machine(self._read(self.authority), machine.name, machine.identities, now, days)
            _directory(place.key.parent)
            _write(place, pair)
        except CertificateError as error:
            raise PkiError(f"{self.authority.certificate}: {error}") from error
        except OSError as error:
            raise PkiError(f"{error.filename or place.key}: {error.strerror}") from error
        return place

    def revoke(self, name: str, now: datetime) -> None:
        """Let a machine's certificate count no more, and remove it, so that another can be made.

        :raises PkiError: when it cannot be done.
        """
        place = self.machine(name)
        if "/" in name or not place.certificate.exists():
            raise PkiError(f"NAME: {name!r} has no certificate here")
        try:
            serial = certificates.facts(place.certificate.read_bytes()).serial
            known = certificates.revoked(self.revoked.read_bytes()) if self.revoked.exists() else frozenset()
            put(self.revoked, certificates.revocations(self._read(self.authority), {*known, serial}, now))
            place.certificate.unlink()
            place.key.unlink(missing_ok=True)
        except CertificateError as error:
            raise PkiError(f"{self.directory}: {error}") from error
        except OSError as error:
            raise PkiError(f"{error.filename or place.key}: {error.strerror}") from error

    def all(self) -> Iterator[tuple[Path, Facts | str]]:
        """Give each certificate and what it says, or why it says nothing."""
        for path in (
            self.authority.certificate,
            self.controller.certificate,
            *sorted(path for path in (self.directory / _HOSTS).glob("*.pem") if not path.stem.endswith(_KEY)),
        ):
            if not path.exists():
                continue
            try:
                yield path, certificates.facts(path.read_bytes())
            except CertificateError as error:
                yield path, str(error)
            except OSError as error:
                yield path, error.strerror or str(error)

    @staticmethod
    def _read(place: Place) -> Pair:
        return Pair(place.certificate.read_bytes(), place.key.read_bytes())


def _place(directory: Path, name: str) -> Place:
    return Place(directory / f"{name}.pem", directory / f"{name}{_KEY}.pem")


def _free(place: Place, *, force: bool) -> None:
    for path in (place.certificate, place.key):
        if path.exists() and not force:
            raise PkiError(f"{path} exists; --force makes it anew")


def _directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        raise PkiError(f"{path} is open to others, but will hold keys: chmod 700 it, or name another directory")


def _write(place: Place, pair: Pair) -> None:
    put(place.key, pair.key)
    put(place.certificate, pair.certificate)
