"""The page about who may call says what is so."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import fields, replace
from pathlib import Path

from controller.identity.roles import Role
from controller.identity_cli import project, token
from controller.rest.app import document
from controller.settings import parse

PAGE = (Path(__file__).parents[2] / "docs/identity.md").read_text()


def test_every_command_is_told() -> None:
    """All subcommands of ``vl2 project`` and ``vl2 token`` but the list of projects are on the page, and no others."""
    told = set(re.findall(r"vl2 (project|token) ([a-z]+)", PAGE))
    offered = {("project", name) for name in project.commands} | {("token", name) for name in token.commands}
    assert told == offered - {("project", "list")}


def test_every_role_is_told() -> None:
    """The page has a row for each role."""
    assert all(f"\n| `{role}` |" in PAGE for role in Role)


def test_the_settings_are_settings() -> None:
    """The example of the configuration is taken, and says in its comment what is so when one is left out."""
    keystone, example = (tomllib.loads(text) for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL))
    needed = {key: keystone["keystone"][key] for key in ("url", "password_file")}
    told, least = parse(keystone).keystone, parse({"keystone": needed}).keystone
    assert least is not None
    assert told == replace(least, ca=Path(keystone["keystone"]["ca"]))
    assert set(keystone["keystone"]) == {field.name for field in fields(least)}
    rest = parse(example).rest
    assert (str(rest.audit_log), rest.rate_limit, rest.rate_burst) == ("/var/log/vl2-audit.log", 50, 100)
    assert parse({"rest": {"rate_limit": 50}}).rest.rate_burst == 100


def test_the_requests_are_of_the_api() -> None:
    """Each request of the page has a path and method of the API, and the bodies' fields are those of its models."""
    paths = document()["paths"]
    for method, path in re.findall(r"`(GET|POST|DELETE) (/v1/[a-z]+(?:/[A-Za-z]+)?)", PAGE):
        where = re.sub(r"/(projects|tokens)/[A-Za-z]+", r"/\1/", path)
        assert any(known.startswith(where) and method.lower() in paths[known] for known in paths), path
    schemas = document()["components"]["schemas"]
    for kind, body in re.findall(r"POST /v1/([a-z]+)s (\{.*?\}\})", PAGE):
        (fields,) = json.loads(body).values()
        assert set(fields) == set(schemas[f"{kind.capitalize()}Create"]["properties"])
