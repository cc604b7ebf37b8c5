"""What can one type after ``vl2``?

The command gathers its subcommands from the entry points ``vl2.commands`` and imports one only when it is called, so
that the laboratory needs no controller to be installed and the other way round.
"""

from __future__ import annotations

import json
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Final

import click

GROUP: Final = "vl2.commands"


class Commands(click.Group):
    """A group whose further commands are entry points."""

    @cached_property
    def _found(self) -> dict[str, EntryPoint]:
        return {found.name: found for found in entry_points(group=GROUP)}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands; imports none."""
        return sorted({*super().list_commands(ctx), *self._found})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One command, imported now if it is an entry point."""
        known = super().get_command(ctx, cmd_name)
        if known is not None or cmd_name not in self._found:
            return known
        try:
            loaded = self._found[cmd_name].load()
        except ImportError as error:
            raise click.ClickException(f"{cmd_name} cannot run here: {error}") from error
        if not isinstance(loaded, click.Command):
            raise click.ClickException(f"{cmd_name} is not a command: the entry point {self._found[cmd_name].value}")
        return loaded

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands for ``--help``; one that cannot be imported is listed with the reason."""
        rows = []
        for name in self.list_commands(ctx):
            try:
                command = self.get_command(ctx, name)
                text = "" if command is None else command.get_short_help_str()
            except click.ClickException as error:
                text = f"({error.message})"
            rows.append((name, text))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vl2", prog_name="vl2")
def main() -> None:
    """VL2: virtual layer-2 networks on a routed fabric."""


@main.command()
@click.option("--indent", default=2, show_default=True, type=click.IntRange(0, 8), help="Spaces; 0 for one line.")
def openapi(indent: int) -> None:
    """Print the REST API's description (OpenAPI 3.1)."""
    from controller.rest.app import document  # noqa: PLC0415  (only this command needs it)

    click.echo(json.dumps(document(), indent=indent or None))
