"""The page about operating the fabric says what is so."""

from __future__ import annotations

import re
from pathlib import Path

from controller.fabric.differences import DifferenceKind
from controller.fabric.drawing import Format
from controller.fabric.intended import Role, read
from controller.fabric_cli import command

PAGE = (Path(__file__).parents[2] / "docs/operating.md").read_text()


def test_the_example_is_one() -> None:
    """The drawing on the page is read as what it draws."""
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    found = read(example, Format.JSON)
    assert [(node.name, node.role) for node in found.switches.values()] == [
        ("agg1", Role.AGGREGATION),
        ("tor1", Role.EDGE),
    ]
    assert [(cable.a.port, cable.b.port, cable.capacity) for cable in found.cables] == [(4, 1, 10000.0)]


def test_every_command_and_kind_is_told() -> None:
    """All subcommands of ``vl2 fabric`` and all kinds of differences are on the page, and no others."""
    assert set(re.findall(r"vl2 fabric ([a-z]+)", PAGE)) == set(command.commands)
    assert all(f"`{kind}`" in PAGE for kind in DifferenceKind)
