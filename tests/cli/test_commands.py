"""One command gathers what the installed parts offer."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from controller import cli


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The entry points that are installed, by name."""
    values: dict[str, str] = {}

    def entry_points(*, group: str) -> list[importlib.metadata.EntryPoint]:
        assert group == "vl2.commands"
        return [importlib.metadata.EntryPoint(name, value, group) for name, value in values.items()]

    monkeypatch.setattr(cli, "entry_points", entry_points)
    monkeypatch.delitem(vars(cli.main), "_found", raising=False)
    yield values
    vars(cli.main).pop("_found", None)


def test_commands_come_from_entry_points(offered) -> None:
    """A subcommand is found by its entry point and listed with its sentence."""
    offered["hello"] = "tests_cli_hello:command"
    module = type(sys)("tests_cli_hello")

    @click.command("hello")
    def command() -> None:
        """Say hello."""
        click.echo("hello")

    module.command = command
    sys.modules["tests_cli_hello"] = module
    try:
        assert CliRunner().invoke(cli.main, ["hello"]).output == "hello\n"
        listed = CliRunner().invoke(cli.main, ["--help"]).output
        assert "hello    Say hello." in listed
        assert "openapi" in listed
    finally:
        del sys.modules["tests_cli_hello"]


def test_a_broken_command_breaks_only_itself(offered) -> None:
    """A subcommand that cannot be imported says so when it is called, and does not disturb the others."""
    offered["broken"] = "no_such_module_at_all:command"
    offered["odd"] = "sys:version"
    result = CliRunner().invoke(cli.main, ["broken"])
    assert result.exit_code == 1
    assert "broken cannot run here: No module named 'no_such_module_at_all'" in result.output
    assert "is not a command" in CliRunner().invoke(cli.main, ["odd"]).output
    assert CliRunner().invoke(cli.main, ["--version"]).exit_code == 0
    assert "cannot run here" in CliRunner().invoke(cli.main, ["--help"]).output


def test_an_unknown_command(offered) -> None:
    """A command that nobody offers is an error that names it."""
    assert offered == {}
    result = CliRunner().invoke(cli.main, ["nonsense"])
    assert result.exit_code == 2
    assert "nonsense" in result.output


def test_the_module_is_the_command() -> None:
    """``python -m controller`` is ``vl2``, and asking for the version imports neither web nor controller."""
    code = (
        "import runpy, sys\n"
        "sys.argv = ['x', '--version']\n"
        "try:\n    runpy.run_module('controller', run_name='__main__')\n"
        "finally:\n    print(sorted({'flask', 'eventlet', 'ryu', 'os_ken', 'mininet'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"vl2, version {importlib.metadata.version('vl2')}\n[]\n"
