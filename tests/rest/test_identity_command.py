"""``vl2 project``, ``vl2 token`` and ``vl2 client-config`` do what the API does, in a person's words."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from controller.identity_cli import client_config, project, token

COMMANDS = {"project": project, "token": token, "client-config": client_config}


@pytest.fixture
def vl2(edge, tmp_path: Path):
    """Type after ``vl2``."""
    file = tmp_path / "operator.token"
    file.write_text("operator-0123456789\n")
    where = ["--url", f"http://127.0.0.1:{edge.port}", "--token-file", str(file)]

    def run(name: str, *words: str, at: list[str] = where) -> Result:
        return CliRunner().invoke(COMMANDS[name], [*at, *words], prog_name=f"vl2 {name}")

    return run


def test_a_project_comes_and_goes(vl2, edge) -> None:
    """A project is made, listed and deleted."""
    assert vl2("project", "create", "team", "--description", "ours").output == "project team is made\n"
    assert vl2("project", "list").output.split() == ["team", "ours"]
    assert json.loads(vl2("project", "list", "--json").output)["projects"][0]["name"] == "team"
    assert vl2("project", "delete", "team").output == "project team is deleted\n"
    assert edge.service.roster.projects() == ()


def test_a_token_is_shown_once_and_revoked(vl2, edge) -> None:
    """A token stands alone on standard output when it is made, works, is listed without its secret, and is revoked."""
    vl2("project", "create", "team")
    made = vl2("token", "create", "--project", "team", "--user", "ann", "--role", "reader", "--expires-in", "2h")
    secret = made.stdout.strip()
    assert edge.as_(secret)("GET", "/v2.0/networks").status == 200
    assert secret not in made.stderr
    listed = vl2("token", "list").output
    assert secret.split("_", 2)[2] not in listed
    id_, name, user, roles = listed.split()[:4]
    assert (name, user, roles) == ("team", "ann", "reader")
    assert re.search(r"holds until \d{4}-\d\d-\d\dT[0-9:]{8}Z$", listed.strip())
    assert vl2("token", "list", "--project", "other").output == ""
    assert vl2("token", "revoke", id_).output == f"token {id_} is revoked\n"
    assert edge.as_(secret)("GET", "/v2.0/networks").status == 401


def test_a_token_as_json(vl2) -> None:
    """With --json a token comes with all that is known of it."""
    vl2("project", "create", "team")
    made = json.loads(vl2("token", "create", "--project", "team", "--json").stdout)
    assert (made["user"], made["roles"], made["expires_at"]) == ("team", ["member"], None)
    assert made["secret"].startswith(f"vl2_{made['id']}_")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["project", "create", "operator"], "vl2 project: name: no project may be called 'operator'"),
        (["project", "delete", "a/b"], "vl2 project: The resource could not be found"),
        (["project", "delete", "none"], "vl2 project: Project none could not be found."),
        (["token", "create", "--project", "none"], "vl2 token: Project none could not be found."),
        (["token", "create", "--project", "x", "--expires-in", "soon"], "'soon' is not a time like 90s"),
        (["token", "create", "--project", "x", "--role", "root"], "'root' is not one of"),
        (["token", "revoke", "0"], "vl2 token: Token 0 could not be found."),
        (["client-config", "--role", "admin"], "vl2 client-config: --project: is wanted"),
        (["client-config", "--project", "none"], "vl2 client-config: Project none could not be found."),
        (["client-config", "--project", "x", "--secret-file", "/none"], "vl2 client-config: --secret-file: /none: No"),
    ],
)
def test_a_mistake_is_one_line(vl2, words: list[str], said: str) -> None:
    """A mistake, or what the controller refuses, is told and ends with exit code 2."""
    result = vl2(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_nobody_there(vl2, tmp_path: Path) -> None:
    """A controller that does not answer is one line and exit code 1."""
    at = ["--url", "http://127.0.0.1:1", "--token-file", str(tmp_path / "operator.token")]
    result = vl2("token", "list", at=at)
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


def cloud(text: str) -> dict[str, str]:
    """The values of a clouds.yaml, by key."""
    return dict(re.findall(r'^ +"?([a-z0-9_]+)"?: "?([^"\n]+)"?$', text, re.MULTILINE))


@pytest.mark.parametrize(
    "words", [[], ["--project", "team"], ["--project", "team", "--user", "ann", "--role", "reader"]]
)
def test_a_client_configuration_opens(vl2, edge, words: list[str]) -> None:
    """The printed configuration has an endpoint and a user and password that HTTP basic opens it with."""
    vl2("project", "create", "team")
    text = vl2("client-config", "--cloud", "lab", *words).stdout
    assert text.startswith('clouds:\n  "lab":\n    auth_type: http_basic\n')
    found = cloud(text)
    assert found["endpoint"] == f"http://127.0.0.1:{edge.port}"
    assert found["username"] == {0: "operator", 2: "team", 6: "ann"}[len(words)]
    password = base64.b64encode(f"{found['username']}:{found['password']}".encode()).decode()
    answer = edge.as_(None).raw("GET", "/v2.0/networks", headers={"Authorization": f"Basic {password}"})
    assert answer.status == 200


def test_a_client_configuration_with_a_known_token(vl2, edge, tmp_path: Path) -> None:
    """With a file that holds a token none is made: so for a project of the configuration."""
    file = tmp_path / "blue.token"
    file.write_text("blue-0123456789abc\n")
    found = cloud(vl2("client-config", "--project", "blue", "--secret-file", str(file)).stdout)
    assert (found["username"], found["password"]) == ("blue", "blue-0123456789abc")
    assert edge.service.roster.credentials() == ()
