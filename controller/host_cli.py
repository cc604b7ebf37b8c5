"""How does the operator empty a hypervisor from a terminal?

``vl2 host list|evacuate|evacuation|readmit``, over the REST API, which is found as ``vl2 fabric`` finds it.  Mistakes
are answered as it does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Final, Protocol
from urllib.parse import quote

import click

from controller.fabric_cli import SpokenGroup
from controller.fabric_cli import command as fabric
from controller.fabric_client import FabricClient, FabricError, Json

_HOSTS: Final = "/v1/hosts"
_POLL_SECONDS: Final = 0.3
_STAND: Final = {"evacuating": "being emptied", "evacuated": "emptied", "incomplete": "emptied but for some ports"}


class Where(Protocol):
    """What the options say about the controller."""

    def client(self) -> FabricClient:
        """Whom to ask."""


command = SpokenGroup(
    name="host",
    params=list(fabric.params),
    callback=fabric.callback,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Look at the hypervisors, and empty them of their ports.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@command.command("list")
@_as_json
@click.pass_obj
def list_hosts(where: Where, as_json: bool) -> None:
    """List the hypervisors and edge switches."""
    found = where.client().ask("GET", _HOSTS)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for host in found["hosts"]:
        click.echo(_host(host))
        for problem in host["problems"]:
            click.echo(f"problem {host['name']}: {problem}")


@command.command()
@click.argument("host")
@click.option("--to", "targets", multiple=True, help="Where its ports may go; may be repeated  [default: any host].")
@click.option("--parallel", type=int, help="How many moves are under way at once  [default: as the controller has it].")
@click.option("--activate", is_flag=True, help="Switch each port as soon as its tap is at the target.")
@click.option("--wait", is_flag=True, help="Return when no port waits or moves any more; exit code 1 if some are left.")
@_as_json
@click.pass_obj
def evacuate(  # noqa: PLR0917  (one argument for each option)
    where: Where,
    host: str,
    targets: tuple[str, ...],
    parallel: int | None,
    activate: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Prepare another host for every port of HOST, a few at a time, and let none move to it any more."""
    client = where.client()
    asked = {"to": list(targets), "parallel": parallel, "activate": activate}
    found = client.ask("POST", f"{_path(host)}/evacuate", {"evacuation": asked})
    while wait and found["evacuation"]["state"] == "evacuating":
        time.sleep(_POLL_SECONDS)
        found = client.ask("GET", f"{_path(host)}/evacuation")
    _show(found, as_json=as_json)
    if wait and found["evacuation"]["state"] != "evacuated":
        raise FabricError(f"ports are left at {host}")


@command.command()
@click.argument("host")
@_as_json
@click.pass_obj
def evacuation(where: Where, host: str, as_json: bool) -> None:
    """Show which ports of HOST wait, move, or are still there."""
    _show(where.client().ask("GET", f"{_path(host)}/evacuation"), as_json=as_json)


@command.command()
@click.argument("host")
@click.pass_obj
def readmit(where: Where, host: str) -> None:
    """End the evacuation of HOST: what waits stays, and ports may move to it again."""
    where.client().ask("DELETE", f"{_path(host)}/evacuation")
    click.echo(f"{host} takes ports again")


def _path(host: str) -> str:
    return f"{_HOSTS}/{quote(host, safe='')}"


def _host(host: Json) -> str:
    session = "connected" if host["connected"] else "NOT CONNECTED"
    stand = "" if host["evacuation"] is None else f", {_STAND[host['evacuation']]}"
    kind = "" if host["kind"] == "hypervisor" else f", {host['kind']}"
    return f"host    {host['name']}  {host['la']}  {host['ports']} ports, {session}{kind}{stand}"


def _show(found: Json, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for row in _rows(found["evacuation"]):
        click.echo(row)


def _rows(shown: Json) -> Iterable[str]:
    counts = ", ".join(f"{len(shown[what])} {what}" for what in ("waiting", "moving", "done", "failed", "staying"))
    yield f"host    {shown['host']}  {_STAND[shown['state']]}: {counts}"
    for move in shown["moving"]:
        yield f"moving  {move['port_id']}  to {move['target']}: {move['phase']}"
    for what in ("failed", "staying"):
        for port in shown[what]:
            yield f"{what:7} {port['port_id']}  {port['reason']}"
