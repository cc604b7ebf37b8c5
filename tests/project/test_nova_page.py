"""The page about Nova says what is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from controller import bulletin
from controller.move_cli import command
from controller.rest import bindings, events
from controller.settings import parse
from overlay.moves import Phase

PAGE = (Path(__file__).parents[2] / "docs/nova.md").read_text()


def test_the_settings_are_settings() -> None:
    """The example is taken as it stands, and what it gives as defaults are."""
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (webhook,) = parse(tomllib.loads(example)).webhooks
    (plain,) = parse({"webhooks": [{"url": webhook.url}]}).webhooks
    assert (webhook.interval, webhook.timeout) == (plain.interval, plain.timeout)
    others = example.replace("keystone = true", "#").replace("# token_file", "token_file").replace("# ca", "ca")
    assert parse(tomllib.loads(others)).webhooks[0].token_file is not None


def test_the_types_of_events_are_told() -> None:
    """Every type of event is on the page, of phases the first and the last ones, and no other is."""
    told = set(re.findall(r"`((?:port|move|host)\.[a-z]+)`", PAGE))
    assert told <= set(bulletin.TYPES)
    phases = {f"move.{phase}" for phase in Phase} - {"move.preparing", "move.settled", "move.cancelled", "move.failed"}
    assert set(bulletin.TYPES) - phases <= told


def test_the_numbers_are_told() -> None:
    """What is bounded is bounded as the page says."""
    assert f"{bulletin.KEPT:,} events are kept" in PAGE
    assert f"{bulletin.BEHIND:,} events behind" in PAGE
    assert f"every {events.ALIVE_SECONDS:g} s" in PAGE
    assert f"after {events.STREAM_SECONDS / 60:g} minutes" in PAGE
    assert f"`rest.event_clients` at once ({parse({}).rest.event_clients})" in PAGE
    assert f"after {bindings.ACTIVATION_SECONDS:g} s with 504" in PAGE


def test_the_commands_are_told() -> None:
    """All subcommands of ``vl2 move`` are on the page, and no others."""
    assert set(re.findall(r"vl2 move ([a-z]+)", PAGE)) == set(command.commands)
