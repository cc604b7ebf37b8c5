"""How is a controller started?

``vl2 controller --config FILE``.  This module imports next to nothing: the standard library has to be made green before
anything else takes hold of its sockets and locks.
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
def command(config: Path | None, log_level: str) -> None:
    """Run the controller until it is stopped (SIGTERM, SIGINT)."""
    green.patch()
    logging.basicConfig(
        level=log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    from controller import process  # noqa: PLC0415  (after the patch, not before)

    raise SystemExit(process.main(config))
