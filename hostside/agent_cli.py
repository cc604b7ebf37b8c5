"""How does one start the agent beside QEMU?

``vl2 qemu-agent``: it runs until it is ended, and says in one line each what it hears and does.  A mistake is one line
and exit code 2.
"""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from hostside import plugs
from hostside.agent import Agent, Settings
from hostside.api import where
from hostside.errors import HostsideError, Mistake, NotQmp

_MISTAKE: Final = 2
_LEAVE_SECONDS: Final = 1.0
DEFAULT_URL: Final = "http://127.0.0.1:9696"


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
        click.option("--url", default=DEFAULT_URL, show_default=True, help="The controller's API."),
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
