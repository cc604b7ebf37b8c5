"""How does the operator run the fabric from a terminal?

``vl2 fabric status|policy|drain|undrain|weight|differences|intended|load|forget``, over the REST API.  A mistake, or
what the controller refuses, is one line and exit code 2; trouble is one line and exit code 1.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from controller.configuration import SettingsError
from controller.fabric_client import TOPOLOGY, FabricClient, FabricError, Json, Thing, secret_in

_MISTAKE: Final = 2
_LAB: Final = Path("/run/vl2/lab/controller.toml")
"""The configuration of the lab that ``vl2 lab up`` starts where no other name is given."""
_POLL_SECONDS: Final = 0.1


class Spoken(click.Command):
    """A command that answers what goes wrong with one line."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(ctx)
        except FabricError as wrong:
            click.echo(f"vl2 {ctx.info_name}: {wrong}", err=True)
            ctx.exit(_MISTAKE if wrong.mistake else 1)


class SpokenGroup(Spoken, click.Group):
    """A group of such commands."""


@dataclass(frozen=True, slots=True)
class _Where:
    """What the options say about the controller; it is asked for only when a command needs it."""

    url: str | None
    token_file: Path | None
    config: Path | None
    cacert: Path | None

    def client(self) -> FabricClient:
        url, file, cacert = self.url, self.token_file, self.cacert
        if url is None or file is None:
            settings_url, settings_file, settings_cacert = _configured(self.config)
            url, file, cacert = url or settings_url, file or settings_file, cacert or settings_cacert
        return FabricClient(url, secret_in(file, "--token-file"), cacert)


def _configured(config: Path | None) -> tuple[str, Path, Path | None]:
    """Where a configuration file says that the API is, the operator's token, and whose certificate the API shows.

    :raises FabricError: when it cannot be read.
    """
    from controller.settings import load, self_made_files  # noqa: PLC0415  (it takes longer than all the rest)

    try:
        settings = load(config)
        if config is None and not settings.operator_token_file.exists() and _LAB.exists():
            settings = load(_LAB)
    except (SettingsError, OSError) as wrong:
        raise FabricError(f"--config: {wrong}", mistake=True) from wrong
    rest, cacert = settings.rest, None
    if rest.self_made:
        cacert = self_made_files(settings.state_dir).certificate
    elif rest.tls is not None and settings.tls is not None:
        cacert = settings.tls.ca
    # Nobody's certificate is for "everywhere".
    at = rest.listen.reachable
    return f"{'https' if at.tls else 'http'}://{at}", settings.operator_token_file, cacert


@click.group(name="fabric", cls=SpokenGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", help="The controller's API  [default: as the configuration says].")
@click.option(
    "--token-file", type=click.Path(path_type=Path), help="The operator's token  [default: as the configuration says]."
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The controller's configuration  [default: its defaults, or those of the lab 'lab'].",
)
@click.option(
    "--cacert",
    type=click.Path(path_type=Path),
    envvar="VL2_CACERT",
    show_envvar=True,
    help="The authority of an https API's certificate  [default: as the configuration says, or the system's].",
)
@click.pass_context
def command(
    ctx: click.Context, url: str | None, token_file: Path | None, config: Path | None, cacert: Path | None
) -> None:
    """Look at the fabric and run it: policy, maintenance, weights, what is intended and what is seen."""
    ctx.obj = _Where(url, token_file, config, cacert)


_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")
_dry_run = click.option("--dry-run", is_flag=True, help="Tell what would change, and change nothing.")
_force = click.option("--force", is_flag=True, help="Also if hosts would be cut off.")


def _show(found: Json, *, as_json: bool, rows: Callable[[], Iterable[str]]) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for row in rows():
        click.echo(row)


# ── look ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@command.command()
@_as_json
@click.pass_obj
def status(where: _Where, as_json: bool) -> None:
    """Show policy, switches, links and problems."""
    client = where.client()
    found = {
        "policy": client.ask("GET", f"{TOPOLOGY}/policy")["policy"],
        "switches": client.ask("GET", f"{TOPOLOGY}/switches")["switches"],
        "links": client.ask("GET", f"{TOPOLOGY}/links")["links"],
        "problems": client.ask("GET", "/v1/health")["health"]["problems"],
    }
    _show(found, as_json=as_json, rows=lambda: _status(found))


def _status(found: Json) -> Iterable[str]:
    names = {each["datapath_id"]: each["name"] or each["datapath_id"] for each in found["switches"]}
    width = max(map(len, names.values()), default=0)
    yield f"policy  {found['policy']['name']}, {found['policy']['paths']} paths"
    for each in found["switches"]:
        words = [
            "connected" if each["connected"] else "NOT CONNECTED",
            *(["edge"] if each["edge"] else []),
            *_upkeep(each),
        ]
        yield f"switch  {names[each['datapath_id']]:<{width}}  {each['datapath_id']}  {', '.join(words)}"
    ends = [
        " - ".join(f"{names[end['datapath_id']]}:{end['port']}" for end in (each["a"], each["b"]))
        for each in found["links"]
    ]
    width = max(map(len, ends), default=0)
    for link, each in zip(ends, found["links"], strict=True):
        words = [
            "usable" if each["usable"] else "NOT USABLE",
            f"weight {each['weight']}",
            f"{each['capacity_mbps']} Mbit/s",
            *(["damped"] if each["damped"] else []),
            *_upkeep(each),
        ]
        yield f"link    {link:<{width}}  {', '.join(words)}"
    for each in found["switches"]:
        for problem in each["problems"]:
            yield f"problem switch {names[each['datapath_id']]}: {problem}"
    for problem in found["problems"]:
        yield f"problem {problem}"


def _upkeep(each: Json) -> list[str]:
    if not each["maintenance"]:
        return []
    return ["in maintenance", "drained" if each["drained"] else "NOT DRAINED YET"]


@command.command()
@_as_json
@click.pass_obj
def differences(where: _Where, as_json: bool) -> None:
    """Show in what the fabric differs from the intended topology; exit code 1 if it does, as diff(1)."""
    found = where.client().ask("GET", f"{TOPOLOGY}/differences")
    _show(found, as_json=as_json, rows=lambda: (f"{each['kind']:<16} {each['sentence']}" for each in _differs(found)))
    if found["differences"]:
        sys.exit(1)


def _differs(found: Json) -> list[Json]:
    rows: list[Json] = found["differences"]
    return rows


@command.command()
@_as_json
@click.pass_obj
def load(where: _Where, as_json: bool) -> None:
    """Show what each link carries, the busiest first."""
    client = where.client()
    found = client.ask("GET", f"{TOPOLOGY}/load")["load"]
    _show(found, as_json=as_json, rows=lambda: loads(found, client.names()))


def loads(found: Json, names: dict[str, str]) -> Iterable[str]:
    """Rows of what links carry, a direction each.

    :param found: as ``/v1/topology/load`` shows it.
    :param names: of switches by datapath id.
    """
    for each in sorted(found["links"], key=lambda each: -(each["bits_per_second"] or 0)):
        ends = " → ".join(
            f"{names.get(each[f'{end}_datapath_id'], each[f'{end}_datapath_id'])}:{each[f'{end}_port']}"
            for end in ("from", "to")
        )
        if each["bits_per_second"] is None:
            yield f"{ends:<40} not counted lately"
            continue
        share = "" if each["utilisation"] is None else f"  {each['utilisation']:6.1%}"
        rate, drops = each["bits_per_second"] / 1e6, each["drops_per_second"] or 0
        yield f"{ends:<40} {rate:10.2f} Mbit/s{share}  {drops:.0f} drops/s"


# ── say ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@command.command()
@click.argument("name", required=False)
@click.option("--paths", type=int, help="Over how many paths disjoint spreads.")
@_dry_run
@_as_json
@click.pass_obj
def policy(where: _Where, name: str | None, paths: int | None, dry_run: bool, as_json: bool) -> None:
    """Show how ways are chosen and could be, or choose NAME."""
    client = where.client()
    if name is None and (paths is not None or dry_run):
        raise FabricError("policy: --paths and --dry-run need the NAME of a policy", mistake=True)
    if name is not None:
        wanted = {"name": name, **({} if paths is None else {"paths": paths})}
        if _put(client, Thing("policy", f"{TOPOLOGY}/policy", {}), wanted, dry_run=dry_run, as_json=as_json) is None:
            return
    found = client.ask("GET", f"{TOPOLOGY}/policy")["policy"]
    _show(found, as_json=as_json, rows=lambda: _policies(found))


def _policies(found: Json) -> Iterable[str]:
    for each in found["available"]:
        yield f"{'*' if each['chosen'] else ' '} {each['name']:<9} {each['purpose']}"
        yield f"            {each['source']}"
    yield f"  disjoint spreads over {found['paths']} paths"


@command.command()
@click.argument("what")
@click.option("--no-wait", is_flag=True, help="Return before the traffic has left.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait for it.")
@_force
@_dry_run
@_as_json
@click.pass_obj
def drain(  # noqa: PLR0917  (click hands over what the options say)
    where: _Where, what: str, no_wait: bool, timeout: float, force: bool, dry_run: bool, as_json: bool
) -> None:
    """Take a switch or link into maintenance and wait until no traffic passes it any more.

    WHAT is a switch (its name or datapath id), or a link by an end or its switches: tor1:1, tor1-agg2.
    """
    client = where.client()
    thing = client.thing(what)
    shown = _put(client, thing, {"maintenance": True, "force": force}, dry_run=dry_run, as_json=as_json)
    if shown is None:
        return
    deadline = time.monotonic() + timeout
    while not (no_wait or shown["drained"]):
        if time.monotonic() > deadline:
            raise FabricError(
                f"{what} is in maintenance but not drained within {timeout:g} s: a switch has not confirmed, or no"
                " other way leads"
            )
        time.sleep(_POLL_SECONDS)
        shown = client.ask("GET", thing.path)[thing.noun]
    state = "is drained" if shown["drained"] else "is in maintenance, not drained yet"
    _show(shown, as_json=as_json, rows=lambda: [f"{what} {state}"])


@command.command()
@click.argument("what")
@_dry_run
@_as_json
@click.pass_obj
def undrain(where: _Where, what: str, dry_run: bool, as_json: bool) -> None:
    """Take a switch or link back from maintenance."""
    client = where.client()
    shown = _put(client, client.thing(what), {"maintenance": False}, dry_run=dry_run, as_json=as_json)
    if shown is not None:
        _show(shown, as_json=as_json, rows=lambda: [f"{what} is back in use"])


@command.command()
@click.argument("link")
@click.argument("weight", type=int, required=False)
@click.option("--capacity", type=int, metavar="MBPS", help="What it carries, in Mbit/s; 0 for what its ports say.")
@_dry_run
@_as_json
@click.pass_obj
def weight(  # noqa: PLR0917  (click hands over what the options say)
    where: _Where, link: str, weight: int | None, capacity: int | None, dry_run: bool, as_json: bool
) -> None:
    """Show or set what a way over LINK costs, and what it carries."""
    client = where.client()
    thing = client.link(link)
    wanted = {"weight": weight, "capacity_mbps": capacity}
    given = {name: value for name, value in wanted.items() if value is not None}
    if dry_run and not given:
        raise FabricError("weight: --dry-run needs a WEIGHT or --capacity", mistake=True)
    shown = _put(client, thing, given, dry_run=dry_run, as_json=as_json) if given else thing.shown
    if shown is not None:
        row = f"{link} has weight {shown['weight']} and carries {shown['capacity_mbps']} Mbit/s"
        _show(shown, as_json=as_json, rows=lambda: [row])


@command.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, allow_dash=True))
@click.option("--delete", is_flag=True, help="Take the intended topology away.")
@click.option("--format", "language", type=click.Choice(["graphml", "json"]), help="[default: as FILE begins]")
@click.pass_obj
def intended(where: _Where, file: Path | None, delete: bool, language: str | None) -> None:
    """Show the intended topology, or set it from FILE (- for standard input)."""
    if delete and file is not None:
        raise FabricError("intended: either a FILE or --delete", mistake=True)
    text = None if file is None else _read(file)
    client = where.client()
    if delete:
        client.ask("DELETE", f"{TOPOLOGY}/intended")
        click.echo("no topology is intended any more")
    elif text is None:
        click.echo(client.ask("GET", f"{TOPOLOGY}/intended")["intended"]["document"])
    else:
        language = language or ("graphml" if text.lstrip("\ufeff \t\r\n").startswith("<") else "json")
        body = {"intended": {"format": language, "document": text}}
        found = client.ask("PUT", f"{TOPOLOGY}/intended", body)["intended"]
        many = len(client.ask("GET", f"{TOPOLOGY}/differences")["differences"])
        click.echo(
            f"{len(found['switches'])} switches and {len(found['links'])} links are intended, {many} differences"
        )


def _read(file: Path) -> str:
    try:
        with click.open_file(str(file), encoding="utf-8") as opened:
            return str(opened.read())
    except OSError as wrong:
        raise FabricError(f"intended: {file}: {wrong.strerror}", mistake=True) from wrong
    except UnicodeError as wrong:
        raise FabricError(f"intended: {file}: not UTF-8", mistake=True) from wrong


@command.command()
@click.argument("switch")
@click.pass_obj
def forget(where: _Where, switch: str) -> None:
    """Forget a disconnected switch that was taken away for good."""
    client = where.client()
    client.ask("DELETE", client.switch(switch).path)
    click.echo(f"{switch} is forgotten")


def _put(client: FabricClient, thing: Thing, fields: Json, *, dry_run: bool, as_json: bool) -> Json | None:
    """Change a thing and return what it is then; a dry run prints what would change and returns None."""
    answer = client.ask("PUT", f"{thing.path}{'?dry_run=true' if dry_run else ''}", {thing.noun: fields})
    if not dry_run:
        shown: Json = answer[thing.noun]
        return shown
    names = {} if as_json else client.names()
    _show(answer, as_json=as_json, rows=lambda: _changes(answer["changes"], names))
    return None


def _changes(changes: list[Json], names: dict[str, str]) -> Iterable[str]:
    for change in changes:
        switch = names.get(change["datapath_id"], change["datapath_id"])
        yield f"{switch}: {len(change['routes'])} routes, {len(change['groups'])} groups, {change['flows']} flows"
        for route in change["routes"]:
            yield f"  {route['target']}: {_hops(route['before'])} → {_hops(route['after'])}"
    yield f"{len(changes)} switches would change" if changes else "nothing would change"


def _hops(hops: list[Json] | None) -> str:
    if hops is None:
        return "no route"
    words = ", ".join(map(_hop, hops))
    return f"port{'s' * (len(hops) != 1)} {words}" if hops else "here"


def _hop(hop: Json) -> str:
    weight = f"×{hop['weight']}" if hop["weight"] != 1 else ""
    tag = f" with tag {hop['tag']}" if hop["tag"] else ""
    return str(hop["port"]) + weight + tag
