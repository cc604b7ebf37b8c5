"""The README's lab commands are those that there are."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from topologies.cli import command

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
COMMANDS = re.findall(r"vl2 lab ((?:[a-z-]+ )?[a-z-]+[^#\n`]*)", README)


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_of_the_readme_is_understood(words):
    """Each `vl2 lab` line of the README names a command that exists, with options that it has."""
    said = shlex.split(words.partition(" -- ")[0])
    verb = said[: 2 if said[0] == "vm" else 1]
    answer = CliRunner().invoke(command, [*verb, "--help"])
    assert answer.exit_code == 0, answer.output
    options = [word for word in said if word.startswith("--")]
    assert [option for option in options if option not in answer.output] == []
