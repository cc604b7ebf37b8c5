"""What the page about hypervisors tells to write down is what the commands understand."""

import re
import shlex
from pathlib import Path

import click
import pytest

from hostside.agent_cli import command as agent
from hostside.libvirt_hook import command as hook

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "hypervisors.md").read_text()
COMMANDS: dict[str, click.Command] = {"qemu-agent": agent, "libvirt-hook": hook}
LINES = re.findall(
    r"(?:^\$ |^ExecStart=/usr/bin/|^exec /usr/bin/)vl2 (qemu-agent|libvirt-hook) (.*)$", PAGE, re.MULTILINE
)


@pytest.mark.parametrize(("name", "words"), LINES)
def test_a_command_line(name, words):
    """Each line of the page that starts one of the commands has options that it knows."""
    libvirts = ["red-1", "migrate", "begin", "-"]
    argv = [each for word in shlex.split(words) for each in (libvirts if word == "$@" else [word])]
    COMMANDS[name].make_context(name, argv).close()


def test_all_of_them():
    """The page shows the agent by hand and as a service, and the hook; and explains each option of the agent."""
    assert [name for name, _ in LINES] == ["qemu-agent", "qemu-agent", "libvirt-hook"]
    shared = {option for each in hook.params for option in each.opts}
    own = {option for each in agent.params for option in each.opts} - shared
    assert [option for option in own if f"`{option}" not in PAGE] == ["--qmp-dir"]
    assert "vl2 qemu-agent --qmp-dir" in PAGE
