"""Whose token is this, and how does nobody else learn it?

Tokens never show in a ``repr`` or a log and are compared in constant time.  The operator's is made at the first start
and kept in a file that only its owner can read.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path
from typing import Final

from controller.configuration import SettingsError

TOKEN_MIN: Final = 16
"""The shortest token that is taken, in characters."""

_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


class Token:
    """A secret that shows who calls; keeps only a digest, so that neither ``repr`` nor a dump can tell it."""

    __slots__ = ("_digest",)

    def __init__(self, text: str) -> None:
        self._digest = _digest(text)

    def matches(self, text: str) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self._digest, _digest(text))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and hmac.compare_digest(self._digest, other._digest)

    def __hash__(self) -> int:
        return hash(self._digest)

    def __repr__(self) -> str:
        return "Token(…)"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def checked_token(text: str, key: str) -> str:
    """Refuse a token that is too short or could not travel in an HTTP header; never shows it.

    :raises SettingsError: naming the key.
    """
    if len(text) < TOKEN_MIN:
        raise SettingsError(f"{key}: a token has at least {TOKEN_MIN} characters, this one has {len(text)}")
    if not _TOKEN.fullmatch(text):
        raise SettingsError(f"{key}: a token is made of visible ASCII characters without spaces")
    return text


def operator_token(path: Path) -> Token:
    """Read the operator's token; make one (mode 0600) if the file is not there yet.

    :raises SettingsError: when the file cannot be made or read, is open to everybody, or holds no sound token.
    """
    return Token(secret(path))


def secret(path: Path) -> str:
    """Read a secret that this controller keeps; make one (mode 0600) if the file is not there yet.

    :raises SettingsError: when the file cannot be made or read, is open to everybody, or holds no sound secret.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_token(path)
    except OSError as error:
        raise SettingsError(f"{path}: secret: {error.strerror}") from error
    return checked_token(_read(path), str(path))


def password(path: Path) -> str:
    """Read a password that somebody else gave.

    :raises SettingsError: when the file cannot be read, is open to everybody, or holds nothing.
    """
    text = _read(path)
    if not text:
        raise SettingsError(f"{path}: secret: the file holds nothing")
    return text


def _read(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as file:
            if os.fstat(file.fileno()).st_mode & 0o007:
                raise SettingsError(f"{path}: the secret is open to every user of this machine: chmod 600 it")
            return file.read().strip()
    except OSError as error:
        raise SettingsError(f"{path}: secret: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: secret: not ASCII") from error


def _make_token(path: Path) -> None:
    """Write a fresh token under another name and link it, so that nobody ever reads half of one."""
    if path.exists():
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            return  # somebody else's start was quicker: theirs counts
    finally:
        fresh.unlink()
