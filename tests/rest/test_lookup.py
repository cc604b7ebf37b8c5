"""Clients that look projects up, as they do at a Keystone, hear that a project is its name."""

from __future__ import annotations

import pytest


def test_the_version_is_there_for_everybody(edge) -> None:
    """Clients find the lookup without a token, and by its own word where it is."""
    version = edge.as_(None)("GET", "/v3").body["version"]
    assert version["id"].startswith("v3.")
    assert version["links"] == [{"href": f"http://127.0.0.1:{edge.port}/v3/", "rel": "self"}]
    assert edge.as_(None)("GET", "/v3/").status == 200


def test_the_operator_finds_any_project(op) -> None:
    """The operator may make things for any project, so each that it names is there."""
    project = {"id": "new", "name": "new", "description": "", "domain_id": "default", "enabled": True}
    assert op("GET", "/v3/projects/new").body == {"project": project}
    assert op("GET", "/v3/projects?name=new&domain_id=default").body["projects"] == [project]
    assert op("GET", "/v3/projects?name=new&domain_id=other").body["projects"] == []


def test_the_list_is_of_who_has_something(op, blue) -> None:
    """Without a name the operator gets the projects that were made, own something or have a quota, and its own."""
    blue.make("network")
    assert op("POST", "/v1/projects", {"project": {"name": "fresh"}}).status == 201
    assert op("PUT", "/v2.0/quotas/red", {"quota": {"port": 1}}).status == 200
    found = op("GET", "/v3/projects").body
    assert [project["id"] for project in found["projects"]] == ["blue", "fresh", "operator", "red"]
    assert found["links"]["next"] is None


def test_a_project_finds_itself_alone(blue, edge) -> None:
    """A project looks up itself; others and the list are refused, by which clients know to take names as they are."""
    assert blue("GET", "/v3/projects/blue").body["project"]["id"] == "blue"
    assert blue("GET", "/v3/projects/red").status == 403
    assert blue("GET", "/v3/projects?name=red").status == 403
    assert edge.as_(None)("GET", "/v3/projects").status == 401


@pytest.mark.parametrize("path", ["/v3/users", "/v3/projects/a/b", "/v3/auth/tokens", "/v3/projects?colour=red"])
def test_nothing_else_of_keystone_is_there(op, path: str) -> None:
    """What is more than the lookup is refused."""
    assert op("GET", path).status in {400, 404}
