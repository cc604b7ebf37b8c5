"""How is a command of a hypervisor told where the controller is, and how does it say what is wrong?

With the same options for all of them; a mistake is one line and exit code 2, trouble is one line and exit code 1.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from hostside.errors import HostsideError, Mistake, NotQmp

_MISTAKE: Final = 2
_URL: Final = "http://127.0.0.1:9696"


class Spoken(click.Command):
    """A command that answers what goes wrong with one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except HostsideError as wrong:
            click.echo(f"vl2 {self.name}: {wrong}", err=True)
            ctx.exit(_MISTAKE if isinstance(wrong, Mistake | NotQmp) else 1)


def reaching(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say where the controller is, and what this host is called there."""
    options = (
        click.option("--url", default=_URL, show_default=True, help="The controller's API."),
        click.option(
            "--token-file",
            type=click.Path(path_type=Path),
            required=True,
            help="A file with a token that may move ports: the operator's.",
        ),
        click.option(
            "--cacert",
            type=click.Path(path_type=Path),
            envvar="VL2_CACERT",
            show_envvar=True,
            help="The authority of an https API's certificate  [default: the system's].",
        ),
        click.option("--host", help="What the controller calls this host  [default: its external_ids:vl2-host]."),
        click.option("--db", help="The local Open vSwitch database, as ovs-vsctl takes it  [default: its own]."),
    )
    for option in reversed(options):
        command = option(command)
    return command
