"""How does the operator let people in from a terminal?

``vl2 project create|list|delete``, ``vl2 token create|list|revoke`` and ``vl2 client-config``, over the REST API.  They
find the API and the operator's token as ``vl2 fabric`` does, and answer mistakes as it does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

import click

from controller.fabric_cli import Spoken, SpokenGroup
from controller.fabric_cli import command as fabric
from controller.fabric_client import FabricClient, FabricError, Json, secret_in

_OPERATOR: Final = "operator"
_ROLES: Final = ("reader", "member", "admin")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_TIME: Final = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_HELP: Final = {"help_option_names": ["-h", "--help"]}


class Where(Protocol):
    """What the options say about the controller."""

    def client(self) -> FabricClient:
        """Whom to ask."""


class _Lifetime(click.ParamType):  # type: ignore[type-arg]  # older versions of click take no argument
    """A length of time like ``30d``, in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = _TIME.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is not a time like 90s, 15m, 12h or 30d", param, ctx)
        return int(found[1]) * _UNITS[found[2]]


def _locate(**options: Any) -> None:
    """Let ``vl2 fabric`` make of its own options what it makes of them for itself."""
    assert fabric.callback is not None  # noqa: S101  (a group made by a decorator has one)
    fabric.callback(**options)


project = SpokenGroup(
    name="project",
    params=list(fabric.params),
    callback=fabric.callback,
    context_settings=_HELP,
    help="Make projects, which own networks and ports, and take them away.",
)
token = SpokenGroup(
    name="token",
    params=list(fabric.params),
    callback=fabric.callback,
    context_settings=_HELP,
    help="Hand out tokens, which let somebody act in a project, and revoke them.",
)

_as_json = click.option("--json", "as_json", is_flag=True, help="One JSON object.")
_user = click.option("--user", help="Whose it is, for people and the audit log  [default: the project's name].")
_roles = click.option(
    "--role", "roles", multiple=True, type=click.Choice(_ROLES), help="What it allows  [default: member]."
)
_lifetime = click.option(
    "--expires-in", "lifetime", type=_Lifetime(), help="How long it holds, like 30d  [default: ever]."
)


def _show(found: Json, *, as_json: bool, rows: Callable[[], Iterable[str]]) -> None:
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for row in rows():
        click.echo(row)


# ── projects ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@project.command("create")
@click.argument("name")
@click.option("--description", default="")
@_as_json
@click.pass_obj
def create_project(where: Where, name: str, description: str, as_json: bool) -> None:
    """Make a project."""
    found = where.client().ask("POST", "/v1/projects", {"project": {"name": name, "description": description}})
    _show(found["project"], as_json=as_json, rows=lambda: [f"project {name} is made"])


@project.command("list")
@_as_json
@click.pass_obj
def list_projects(where: Where, as_json: bool) -> None:
    """List the projects that were made here (not those of the configuration)."""
    found = where.client().ask("GET", "/v1/projects")
    _show(
        found,
        as_json=as_json,
        rows=lambda: (f"{each['name']:<20}  {each['description']}".rstrip() for each in found["projects"]),
    )


@project.command("delete")
@click.argument("name")
@click.pass_obj
def delete_project(where: Where, name: str) -> None:
    """Delete a project that owns nothing any more, and revoke its tokens."""
    where.client().ask("DELETE", f"/v1/projects/{quote(name, safe='')}")
    click.echo(f"project {name} is deleted")


# ── tokens ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@token.command("create")
@click.option("--project", "project_name", required=True, help="In which project it lets somebody act.")
@_user
@_roles
@_lifetime
@_as_json
@click.pass_obj
def create_token(where: Where, /, project_name: str, as_json: bool, **wish: Any) -> None:
    """Make a token and print it, alone on standard output: it is shown this once."""
    made = _made(where.client(), project_name, wish)
    if not as_json:
        click.echo(f"token {_line(made)}", err=True)
    _show(made, as_json=as_json, rows=lambda: [made["secret"]])


@token.command("list")
@click.option("--project", "project_name", help="Only those for this project.")
@_as_json
@click.pass_obj
def list_tokens(where: Where, project_name: str | None, as_json: bool) -> None:
    """List the tokens that were handed out; never what opens."""
    query = "" if project_name is None else f"?project={quote(project_name, safe='')}"
    found = where.client().ask("GET", f"/v1/tokens{query}")
    _show(found, as_json=as_json, rows=lambda: map(_line, found["tokens"]))


@token.command("revoke")
@click.argument("ids", nargs=-1, required=True)
@click.pass_obj
def revoke_token(where: Where, ids: tuple[str, ...]) -> None:
    """Revoke tokens by their ids: they open nothing any more at once."""
    client = where.client()
    for id_ in ids:
        client.ask("DELETE", f"/v1/tokens/{quote(id_, safe='')}")
        click.echo(f"token {id_} is revoked")


def _made(client: FabricClient, project_name: str, wish: dict[str, Any]) -> Json:
    """Make a token as the options ``--user``, ``--role`` and ``--expires-in`` say."""
    fields: Json = {
        "project": project_name,
        "user": wish["user"],
        "roles": list(wish["roles"]) or None,
        "expires_in": wish["lifetime"],
    }
    body = {"token": {name: value for name, value in fields.items() if value is not None}}
    made: Json = client.ask("POST", "/v1/tokens", body)["token"]
    return made


def _line(shown: Json) -> str:
    until = "for ever" if shown["expires_at"] is None else f"until {_time(shown['expires_at'])}"
    return (
        f"{shown['id']}  {shown['project']:<20}  {shown['user']:<20}  {','.join(shown['roles']):<14}"
        f"  made {_time(shown['created_at'])}, holds {until}{', EXPIRED' * shown['expired']}"
    )


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


# ── clients ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@click.command("client-config", cls=Spoken, context_settings=_HELP)
@click.option("--project", "project_name", help="For a project, with a new token  [default: for the operator].")
@_user
@_roles
@_lifetime
@click.option(
    "--secret-file",
    type=click.Path(path_type=Path),
    help="Use the token in this file instead of a new one; the project's, or the user's.",
)
@click.option("--cloud", default="vl2", show_default=True, help="The name to choose it by (OS_CLOUD).")
@click.pass_context
def client_config(
    ctx: click.Context, /, project_name: str | None, secret_file: Path | None, cloud: str, **options: Any
) -> None:
    """Print a clouds.yaml, which the openstack command and openstacksdk use as it is; it holds a secret."""
    wish = {name: options.pop(name) for name in ("user", "roles", "lifetime")}
    if project_name is None and (secret_file or any(wish.values())):
        raise FabricError("--project: is wanted with --user, --role, --expires-in and --secret-file", mistake=True)
    _locate(**options)
    client: FabricClient = ctx.obj.client()
    if project_name is None:
        user, secret = _OPERATOR, client.token
    elif secret_file is not None:
        user, secret = wish["user"] or project_name, secret_in(secret_file, "--secret-file")
    else:
        made = _made(client, project_name, wish)
        user, secret = made["user"], made["secret"]
    for line in _clouds(cloud, client.url, user, secret, options.get("cacert")):
        click.echo(line)


client_config.params.extend(fabric.params)


def _clouds(cloud: str, url: str, user: str, secret: str, cacert: Path | None) -> Iterable[str]:
    """The file's lines; a JSON string is one of YAML's."""
    yield "clouds:"
    yield f"  {json.dumps(cloud)}:"
    yield "    auth_type: http_basic"
    yield "    auth:"
    yield f"      endpoint: {json.dumps(url)}"
    yield f"      username: {json.dumps(user)}"
    yield f"      password: {json.dumps(secret)}"
    yield '    network_api_version: "2"'
    yield '    identity_api_version: "3"'
    yield f"    identity_endpoint_override: {json.dumps(url.rstrip('/') + '/v3')}"
    if cacert is not None:
        yield f"    cacert: {json.dumps(str(cacert))}"
