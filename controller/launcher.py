"""How is a controller started?

``vl2 controller --config FILE``; with ``--check`` it only says whether it could be.  This module imports next to
nothing: the standard library has to be made green before anything else takes hold of its sockets and locks.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from controller import green


@click.command("controller")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file; without it everything listens on the loopback and the state is in /var/lib/vl2.",
)
@click.option("--log-level", default="info", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option(
    "--check", is_flag=True, help="Only read the configuration, and end with exit code 2 if it has a mistake."
)
def command(config: Path | None, log_level: str, *, check: bool) -> None:
    """Run the controller until it is stopped (SIGTERM, SIGINT)."""
    if check:
        raise SystemExit(_check(config))
    green.patch()
    logging.basicConfig(
        level=log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    from controller import process  # noqa: PLC0415  (after the patch, not before)

    raise SystemExit(process.main(config))


def _check(config: Path | None) -> int:
    from controller.configuration import SettingsError  # noqa: PLC0415  (only this needs them before the patch)
    from controller.settings import load  # noqa: PLC0415
    from controller.trust import check  # noqa: PLC0415

    try:
        check(load(config))
    except SettingsError as error:
        click.echo(f"vl2 controller: {error}", err=True)
        return 2
    return 0
