"""Requirements of the table about Keystone."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.configuration import SettingsError
from controller.settings import KeystoneSettings, parse
from controller.tokens import password


def test_without_a_table_nobody_is_asked() -> None:
    """Keystone has to be asked for in words."""
    assert parse({}).keystone is None


def test_what_is_left_out_is_what_most_have() -> None:
    """A URL and a password file are enough."""
    asked = parse({"keystone": {"url": "https://keystone.example/v3", "password_file": "/etc/vl2/keystone"}}).keystone
    assert asked == KeystoneSettings(
        url="https://keystone.example/v3",
        username="vl2",
        password_file=Path("/etc/vl2/keystone"),
        project="service",
        user_domain="Default",
        project_domain="Default",
        region="",
        interface="public",
        ca=None,
        timeout=5.0,
        cache_seconds=10.0,
    )


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"url": "keystone.example"}, "keystone.url"),
        ({"url": "file:///etc/passwd"}, "keystone.url"),
        ({"url": "https://k/v3\nX-Evil: 1"}, "keystone.url"),
        ({"password_file": ""}, "keystone.password_file"),
        ({"password_file": "relative"}, "keystone.password_file"),
        ({"interface": "secret"}, "keystone.interface"),
        ({"timeout": 0}, "keystone.timeout"),
        ({"cache_seconds": -1}, "keystone.cache_seconds"),
        ({"password": "not here"}, "keystone.password"),
    ],
)
def test_a_mistake_is_named(said: dict[str, object], key: str) -> None:
    """The complaint says which key it is; a password may not stand in the file at all."""
    sound = {"url": "https://keystone.example/v3", "password_file": "/etc/vl2/keystone"}
    with pytest.raises(SettingsError, match=f"^{key}:"):
        parse({"keystone": {**sound, **said}})


def test_a_password_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    """The file is for its owner and group alone, and has to hold something."""
    file = tmp_path / "password"
    with pytest.raises(SettingsError, match="No such file"):
        password(file)
    file.write_text("hunter2\n")
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        password(file)
    file.chmod(0o600)
    assert password(file) == "hunter2"
    file.write_text("\n")
    with pytest.raises(SettingsError, match="holds nothing"):
        password(file)
