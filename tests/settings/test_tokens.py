"""Requirements of the secrets that show who calls."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from controller.configuration import SettingsError
from controller.settings import parse
from controller.tokens import Token, operator_token

SECRET = "s3cret-s3cret-s3cret"  # noqa: S105


def test_a_token_tells_nothing() -> None:
    """Neither a token's text form nor that of the settings around it contains the secret."""
    token = Token(SECRET)
    settings = parse({"tokens": {"blue": SECRET}})
    for shown in (repr(token), str(token), f"{token}", repr(settings), str(settings), repr(settings.tokens)):
        assert SECRET not in shown


def test_a_token_knows_itself() -> None:
    """A token matches its own text and no other, whatever characters a caller sends."""
    token = Token(SECRET)
    assert token.matches(SECRET)
    for other in ("", SECRET + "x", SECRET[:-1], SECRET.upper(), "ä", "\udc80"):
        assert not token.matches(other)
    assert token == Token(SECRET)
    assert token != Token(SECRET + "x")
    assert len({token, Token(SECRET)}) == 1


def test_the_operator_token_is_made_once(tmp_path: Path) -> None:
    """The first start makes a token that only its owner can read; the next start finds the same."""
    file = tmp_path / "state" / "operator.token"
    first = operator_token(file)
    text = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(text) >= 32
    assert first.matches(text)
    assert operator_token(file) == first
    assert [entry.name for entry in file.parent.iterdir()] == ["operator.token"]


def test_two_installations_differ(tmp_path: Path) -> None:
    """Generated tokens are random."""
    assert operator_token(tmp_path / "a") != operator_token(tmp_path / "b")


def test_an_open_token_file_is_refused(tmp_path: Path) -> None:
    """A token file that every user of the machine can read or change is not trusted."""
    file = tmp_path / "token"
    file.write_text(SECRET)
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        operator_token(file)
    file.chmod(0o640)
    assert operator_token(file).matches(SECRET)


@pytest.mark.parametrize("content", [b"", b"short\n", b"two words in one token", "höchst geheimes Wort".encode()])
def test_a_bad_token_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """A token file without a sound token is refused with its name, and without its content."""
    file = tmp_path / "token"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(SettingsError) as caught:
        operator_token(file)
    assert str(file) in str(caught.value)
    assert "words" not in str(caught.value)


def test_a_token_file_that_cannot_be_made(tmp_path: Path) -> None:
    """A place where no token file can be is an error of the settings, not a crash."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="secret"):
        operator_token(tmp_path / "file" / "operator.token")
