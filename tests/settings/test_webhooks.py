"""Requirements of the tables about webhooks."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.configuration import SettingsError
from controller.settings import WebhookSettings, parse
from controller.webhooks import webhooks

URL = "http://127.0.0.1:8774/v2.1/os-server-external-events"


def test_without_a_table_nobody_is_told() -> None:
    """A Nova has to be named."""
    assert parse({}).webhooks == ()


def test_several() -> None:
    """Each table is a receiver; its address is enough."""
    first, second = parse({"webhooks": [{"url": URL}, {"url": "https://nova.example/", "token_file": "/t"}]}).webhooks
    assert first == WebhookSettings(URL, None, keystone=False, ca=None, interval=0.1, timeout=5.0)
    assert second.token_file == Path("/t")


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"url": ""}, "url"),
        ({"url": "nova.example"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://nova:0/"}, "url"),
        ({"url": "http://nova:99999/"}, "url"),
        ({"url": "http://user:secret@nova/"}, "url"),
        ({"url": "http://nova/\nX-Evil: 1"}, "url"),
        ({"token_file": "relative"}, "token_file"),
        ({"keystone": True}, "keystone"),
        ({"interval": -1}, "interval"),
        ({"timeout": 0}, "timeout"),
        ({"token": "not here"}, "token"),
    ],
)
def test_a_mistake_is_named(said: dict[str, object], key: str) -> None:
    """The complaint says which key of which table it is, and never shows a password."""
    with pytest.raises(SettingsError, match=rf"^webhooks\[1\]\.{key}:") as wrong:
        parse({"webhooks": [{"url": URL}, {"url": URL, **said}]})
    assert "secret" not in str(wrong.value)


@pytest.mark.parametrize("said", [5, {"url": URL}, ["http://nova"]])
def test_not_tables(said: object) -> None:
    """Anything but tables is refused with how to write them."""
    with pytest.raises(SettingsError, match=r"^webhooks: must be tables; write \[\[webhooks\]\]"):
        parse({"webhooks": said})


def test_one_way_to_show_who_one_is() -> None:
    """A token of a file and one of Keystone contradict each other."""
    keystone = {"url": "https://keystone.example/v3", "password_file": "/etc/vl2/keystone"}
    both = {"url": URL, "keystone": True, "token_file": "/t"}
    assert parse({"keystone": keystone, "webhooks": [{"url": URL, "keystone": True}]}).webhooks[0].keystone
    with pytest.raises(SettingsError, match=r"^webhooks\[0\]\.token_file:"):
        parse({"keystone": keystone, "webhooks": [both]})


def test_a_token_that_cannot_be_one(tmp_path: Path) -> None:
    """A token file of several lines, or one that everybody can read, is refused before anything is sent."""
    file = tmp_path / "token"
    file.write_text("one\ntwo\n")
    file.chmod(0o600)
    settings = parse({"webhooks": [{"url": URL, "token_file": str(file)}]})
    with pytest.raises(SettingsError, match="not a token"):
        webhooks(settings.webhooks, None)
    file.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        webhooks(settings.webhooks, None)


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    """An authority that cannot be read is named."""
    settings = parse({"webhooks": [{"url": "https://nova.example/", "ca": str(tmp_path / "none.pem")}]})
    with pytest.raises(SettingsError, match=r"^webhooks\.ca:"):
        webhooks(settings.webhooks, None)
