"""How does one start the agent beside QEMU?

``vl2 qemu-agent``: it runs until it is ended, and says in one line each what it hears and does.  A mistake is one line
and exit code 2.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Final

import click

from hostside import plugs
from hostside.agent import Agent, Settings
from hostside.api import where
from hostside.errors import Mistake
from hostside.options import Spoken, reaching

_LEAVE_SECONDS: Final = 1.0


@click.command(name="qemu-agent", cls=Spoken, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--qmp", "monitors", multiple=True, type=click.Path(path_type=Path), help="A QMP monitor's socket; repeatable."
)
@click.option(
    "--qmp-dir",
    "directories",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A directory in which such sockets come and go; repeatable.",
)
@reaching
@click.option(
    "--port", "ports", multiple=True, help="The guest's ports, instead of looking in the local database; repeatable."
)
@click.option(
    "--continue", "go_on", is_flag=True, help="Let a migration that waits before the switch go on, once it may."
)
@click.option(
    "--patience",
    type=click.FloatRange(min=0, max=60),
    default=2.0,
    show_default=True,
    help="The seconds after which it goes on in any case.",
)
@click.option("--cancel", is_flag=True, help="Delete the passive bindings of a migration that fails.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each event.")
def command(
    *,
    monitors: tuple[Path, ...],
    directories: tuple[Path, ...],
    url: str,
    token_file: Path,
    cacert: Path | None,
    host: str | None,
    db: str | None,
    ports: tuple[str, ...],
    go_on: bool,
    patience: float,
    cancel: bool,
    as_json: bool,
) -> None:
    """Move a guest's ports when its QEMU says that the guest moves."""
    if not monitors and not directories:
        raise Mistake("--qmp, --qmp-dir: there is nothing to watch; name a monitor's socket or a directory of them")
    if ports and (directories or len(monitors) > 1):
        raise Mistake("--port: says which ports one guest has, but more than one is watched")
    for directory in directories:
        if not directory.is_dir():
            raise Mistake(f"--qmp-dir: {directory} is not a directory")
    at = where(url, token_file, cacert)
    settings = Settings(at, host or plugs.own_name(db), db, ports, go_on, cancel, patience)
    agent = Agent(settings, _json if as_json else _text)
    agent.check()
    asyncio.run(_watch(agent, monitors, directories))


async def _watch(agent: Agent, monitors: tuple[Path, ...], directories: tuple[Path, ...]) -> None:
    tasks = [asyncio.ensure_future(agent.watch(path)) for path in monitors]
    tasks += [asyncio.ensure_future(agent.watch_all(path)) for path in directories]
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    waiting = asyncio.ensure_future(ended.wait())
    done, _ = await asyncio.wait({*tasks, waiting}, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    waiting.cancel()
    agent.close()
    # What they have begun, they end: sessions in the first place.
    begun = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait(begun, timeout=_LEAVE_SECONDS)
    for task in tasks:
        if task in done:
            task.result()


def _json(guest: str, event: str, **details: object) -> None:
    click.echo(json.dumps({"monotonic": round(time.monotonic(), 6), "guest": guest, "event": event, **details}))


def _text(guest: str, event: str, **details: object) -> None:
    words = [f"{key}={value}" for key, value in details.items()]
    click.echo(" ".join([f"{time.monotonic():.6f}", f"{guest or '-'}:", event, *words]))
