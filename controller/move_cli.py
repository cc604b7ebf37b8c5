"""How does the operator watch machines move, from a terminal?

``vl2 move list|show``, over the REST API, which is found as ``vl2 fabric`` finds it.  Each phase is a line: how long it
took, and what the switches do in it.  ``--watch`` follows the controller's events.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

import click

from controller.fabric_cli import SpokenGroup
from controller.fabric_cli import command as fabric
from controller.fabric_client import FabricClient, FabricError, Json
from overlay.moves import LIVE, PHASES, Phase

_MOVES: Final = "/v1/moves"
_MEANINGS: Final = {phase.value: doing.meaning for phase, doing in PHASES.items()} | {
    Phase.SETTLED.value: "the source's program and the hairpin are gone",
    Phase.CANCELLED.value: "the target's program is gone, the source as if nothing had happened",
    Phase.FAILED.value: "the target's program is gone, the source as if nothing had happened",
}


class Where(Protocol):
    """What the options say about the controller."""

    def client(self) -> FabricClient:
        """Whom to ask."""


command = SpokenGroup(
    name="move",
    params=list(fabric.params),
    callback=fabric.callback,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Watch machines move from host to host.",
)
_as_json = click.option("--json", "as_json", is_flag=True, help="JSON; with --watch an object in each line.")


@command.command("list")
@click.option("--port", "port_id", help="Only those of this port.")
@click.option("--live", is_flag=True, help="Only those that are under way.")
@click.option("--watch", is_flag=True, help="Then go on with each phase that any of them enters, until interrupted.")
@_as_json
@click.pass_obj
def list_moves(where: Where, port_id: str | None, live: bool, watch: bool, as_json: bool) -> None:
    """List the moves under way and the latest that have ended, oldest first."""
    client = where.client()
    wanted = {**({} if port_id is None else {"port_id": port_id}), **({"live": "true"} if live else {})}
    # First the stream, so that nothing falls between it and the list.
    events = _phases(client, port_id) if watch else iter(())
    first = next(events, None)
    found = client.ask("GET", f"{_MOVES}?{urlencode(wanted)}")
    _say(found, as_json=as_json, whole=not watch, rows=map(_line, found["moves"]))
    while first is not None:
        if first:
            _say(first, as_json=as_json, whole=False, rows=[_phase(first)])
        first = next(events, None)


@command.command("show")
@click.argument("move")
@click.option("--watch", is_flag=True, help="Show each phase as it is entered, until the move ends.")
@_as_json
@click.pass_obj
def show_move(where: Where, move: str, watch: bool, as_json: bool) -> None:
    """Show a move: what began and what activated it, how long each phase took, and what it cost.

    MOVE is its id, or the id of a port for its latest one.
    """
    client = where.client()
    found = _found(client, move)
    if watch and found["phase"] in LIVE:
        for said in _phases(client, found["port_id"]):
            own = said.get("move_id") == found["id"]
            if own:
                _say(said, as_json=as_json, whole=False, rows=[_phase(said)])
            # It may have ended before the stream began.
            if (said if own else _found(client, found["id"]))["phase"] not in LIVE:
                break
        found = _found(client, found["id"])
    _say(found, as_json=as_json, whole=not watch, rows=timeline(found))


def timeline(move: Json) -> Iterable[str]:
    """Rows of a move, one for each phase.

    :param move: as ``/v1/moves`` shows it.
    """
    yield f"move       {move['id']}"
    yield f"port       {move['port_id']}"
    yield f"from       {move['source']} to {move['target']}"
    yield f"began      {_clock(move['timeline'][0]['at'])} by {_words(move['trigger'])}"
    yield f"activated  {'by ' + _words(move['activation']) if move['activation'] else 'not yet'}"
    for step in move["timeline"]:
        took = "" if step["ms"] is None else f"{step['ms']:.1f} ms"
        yield f"  {step['phase']:<12} {took:>12}  {_MEANINGS.get(step['phase'], '')}"
    yield f"because    {move['reason']}"
    for name, key in (("ready", "ready_in_ms"), ("switched", "activated_in_ms"), ("in all", "total_ms")):
        if move[key] is not None:
            yield f"{name:<10} {move[key]:.1f} ms"
    yield f"cost       {move['flow_mods']} flow-mods to {len(move['switches_touched'])} switches"


def _found(client: FabricClient, name: str) -> Json:
    if ":" in name:
        found: Json = client.ask("GET", f"{_MOVES}/{quote(name, safe='')}")["move"]
        return found
    moves = client.ask("GET", f"{_MOVES}?{urlencode({'port_id': name})}")["moves"]
    if not moves:
        raise FabricError(f"{name!r} is neither a move nor a port that has moved lately", mistake=True)
    latest: Json = moves[-1]
    return latest


def _phases(client: FabricClient, port_id: str | None) -> Iterator[Json]:
    """The phases that moves enter; first of all an empty one, when nothing can be missed any more."""
    wanted = {"types": "move", **({} if port_id is None else {"port_id": port_id})}
    for event in client.follow(f"/v1/events?{urlencode(wanted)}"):
        if not event.type:
            yield {}
        elif event.type.startswith("move."):
            yield {"phase": event.type.removeprefix("move."), **event.data}


def _line(move: Json) -> str:
    total = "" if move["total_ms"] is None else f"  {move['total_ms']:.1f} ms"
    return (
        f"{_clock(move['timeline'][0]['at'])}  {move['id']}  {move['source']} to {move['target']}"
        f"  {move['phase']}{total}"
    )


def _phase(said: Json) -> str:
    return f"{_clock(said['at'])}  {said['move_id']}  {said['phase']:<12}  {_MEANINGS.get(said['phase'], '')}"


def _say(found: Json, *, as_json: bool, whole: bool, rows: Iterable[str]) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=2 if whole else None))
        return
    for row in rows:
        click.echo(row)


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _words(name: Any) -> str:
    return str(name).replace("_", " ")
