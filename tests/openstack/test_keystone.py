"""Keystone says who it is: a real one, with its own tokens, roles, expiry, revocation and catalog."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.openstack.conftest import Controller, Keystone, call, until

pytestmark = pytest.mark.slow


@pytest.fixture
def watched(controller: Callable[..., Controller], keystone: Keystone, tmp_path: Path) -> Controller:
    """A controller that asks Keystone each time."""
    return controller(_asking(keystone, tmp_path))


def _asking(keystone: Keystone, place: Path) -> str:
    secret = place / "keystone.password"
    secret.write_text(keystone.admin_password)
    secret.chmod(0o600)
    return (
        f'[keystone]\nurl = "{keystone.url}"\nusername = "admin"\nproject = "admin"\n'
        f'password_file = "{secret}"\ncache_seconds = 0\n'
    )


def _network(vl2: Controller, token: str, **fields: Any) -> Any:
    return vl2("POST", "/v2.0/networks", {"network": fields}, token)


def test_keystone_projects_and_roles_decide(watched: Controller, keystone: Keystone) -> None:
    """A member of a project works in it, a reader only reads, an admin sees all; each by Keystone's word alone."""
    member = keystone.login("mia", keystone.user("mia", "green", "member"), "green")
    reader = keystone.login("rex", keystone.user("rex", "green", "reader"), "green")
    other = keystone.login("otto", keystone.user("otto", "brown", "member"), "brown")
    admin = keystone.login("admin", keystone.admin_password, "admin")
    made = _network(watched, member, name="n")
    assert made.status == 201, made
    assert made.body["network"]["project_id"] == keystone.project("green")
    path = f"/v2.0/networks/{made.body['network']['id']}"
    assert watched("GET", path, token=reader).status == 200
    assert watched("PUT", path, {"network": {"name": "m"}}, reader).status == 403
    assert _network(watched, reader).status == 403
    assert watched("GET", path, token=other).status == 404
    shown = watched("GET", path, token=admin)
    assert shown.status == 200
    assert "provider:segmentation_id" in shown.body["network"], "the admin is an operator"
    assert watched("GET", path).status == 200, "the controller's own operator token is still good"


def test_an_admin_of_the_whole_system_is_an_operator(watched: Controller, keystone: Keystone) -> None:
    """A token that is for the whole system sees everything."""
    admin = keystone.project("admin")
    users = keystone("GET", "/users?name=admin")["users"]
    (role,) = keystone("GET", "/roles?name=admin")["roles"]
    keystone("PUT", f"/system/users/{users[0]['id']}/roles/{role['id']}")
    system = keystone.login("admin", keystone.admin_password, None)
    assert admin
    assert watched("GET", "/v1/topology", token=system).status == 200


def test_a_service_token_lends_nobody_its_scope(watched: Controller, keystone: Keystone) -> None:
    """An admin of one domain is no operator, not even beside the token of a service that is one of the whole system."""
    password = keystone.user("duke", "teal", "member")
    (duke,) = keystone("GET", "/users?name=duke")["users"]
    (root,) = keystone("GET", "/users?name=admin")["users"]
    for name, path in (
        ("admin", f"/domains/default/users/{duke['id']}"),
        ("service", f"/system/users/{root['id']}"),
    ):
        (role,) = keystone("GET", f"/roles?name={name}")["roles"]
        keystone("PUT", f"{path}/roles/{role['id']}")
    service = keystone.login("admin", keystone.admin_password, None)
    domain = {"domain": {"id": "default"}}
    admin = keystone.login("duke", password, "", scope=domain)
    assert watched("GET", "/v1/topology", token=admin).status == 403
    assert watched("GET", "/v1/topology", None, admin, X_Service_Token=service).status == 403
    assert watched("GET", "/v1/topology", None, admin, OpenStack_System_Scope="all").status == 403


def test_the_audit_log_says_whose_user_it_was(watched: Controller, keystone: Keystone) -> None:
    """Nobody whom Keystone calls as the controller's own operator is taken for him in the audit log."""
    password = keystone.user("operator", "mauve", "member")
    assert _network(watched, keystone.login("operator", password, "mauve")).status == 201
    assert '"user": "operator@Default"' in watched.log.read_text()


def test_a_revoked_token_is_refused_at_once(watched: Controller, keystone: Keystone) -> None:
    """What Keystone takes back opens nothing more."""
    password = keystone.user("rita", "violet", "member")
    token = keystone.login("rita", password, "violet")
    assert watched("GET", "/v2.0/networks", token=token).status == 200
    answer = call(keystone.port, "DELETE", "/v3/auth/tokens", X_Auth_Token=keystone.token, X_Subject_Token=token)
    assert answer.status == 204
    refused = watched("GET", "/v2.0/networks", token=token)
    log = watched.log.read_text()
    assert token not in log
    assert keystone.admin_password not in log
    assert refused.status == 401
    assert refused.body["NeutronError"]["type"] == "Unauthorized"


def test_an_expired_token_is_refused(watched: Controller, keystone: Keystone) -> None:
    """A token's time runs out, whether or not anybody revoked it."""
    password = keystone.user("ella", "orange", "member")
    # An application credential with an end makes tokens that end with it.
    token = keystone.login("ella", password, "orange")
    me = call(keystone.port, "GET", "/v3/auth/tokens", X_Auth_Token=token, X_Subject_Token=token).body["token"]["user"][
        "id"
    ]
    end = (datetime.now(UTC) + timedelta(seconds=5)).strftime("%Y-%m-%dT%H:%M:%S")
    made = call(
        keystone.port,
        "POST",
        f"/v3/users/{me}/application_credentials",
        {"application_credential": {"name": "short", "expires_at": end}},
        X_Auth_Token=token,
    )
    assert made.status == 201, made
    credential = made.body["application_credential"]
    answer = call(
        keystone.port,
        "POST",
        "/v3/auth/tokens",
        {
            "auth": {
                "identity": {
                    "methods": ["application_credential"],
                    "application_credential": {"id": credential["id"], "secret": credential["secret"]},
                }
            }
        },
    )
    assert answer.status == 201, answer
    short = answer.headers["X-Subject-Token"]
    assert watched("GET", "/v2.0/networks", token=short).status == 200
    until("it is refused", lambda: watched("GET", "/v2.0/networks", token=short).status == 401)


@pytest.mark.parametrize("token", ["nonsense", "gAAAAABnonsense", "x" * 4000, "a b", "'; drop table token; --"])
def test_what_is_no_token_is_refused(watched: Controller, token: str) -> None:
    """Whatever else stands in the header opens nothing."""
    assert watched("GET", "/v2.0/networks", token=token).status == 401


def test_headers_that_only_the_middleware_may_write_are_not_believed(watched: Controller) -> None:
    """Nobody becomes an admin by saying so."""
    said = {"X_Identity_Status": "Confirmed", "X_Roles": "admin", "X_Project_Id": "p", "X_User_Id": "u"}
    assert watched("GET", "/v2.0/networks", None, "", **said).status == 401
    assert watched("GET", "/v2.0/networks", None, "nonsense", **said).status == 401


def test_without_keystone_nobody_is_let_in_but_the_operator(
    controller: Callable[..., Controller], keystone: Keystone, tmp_path: Path
) -> None:
    """While Keystone is away its tokens are answered 503, which clients try again; the operator's own is good."""
    away = _asking(keystone, tmp_path).replace(f":{keystone.port}/", ":1/")
    vl2 = controller(away)
    token = keystone.login("admin", keystone.admin_password, "admin")
    assert vl2("GET", "/v2.0/networks", token=token).status == 503
    assert vl2("GET", "/v2.0/networks").status == 200


def test_the_openstack_command_finds_vl2_in_the_catalog(
    watched: Controller, keystone: Keystone, openstack: Path
) -> None:
    """A user with nothing but a login at Keystone makes a network."""
    password = keystone.user("carl", "catalog", "member")
    service = keystone("POST", "/services", {"service": {"type": "network", "name": "vl2"}})["service"]
    keystone(
        "POST",
        "/endpoints",
        {
            "endpoint": {
                "service_id": service["id"],
                "interface": "public",
                "region_id": "here",
                "url": f"http://127.0.0.1:{watched.port}",
            }
        },
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OS_")} | {
        "OS_AUTH_URL": keystone.url,
        "OS_USERNAME": "carl",
        "OS_PASSWORD": password,
        "OS_PROJECT_NAME": "catalog",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "PYTHONWARNINGS": "ignore",
    }
    done = subprocess.run(
        [openstack / "openstack", "network", "create", "mine", "-f", "json"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["project_id"] == keystone.project("catalog")
    assert watched("GET", "/v2.0/networks?name=mine").body["networks"]
