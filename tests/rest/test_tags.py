"""Objects have tags, below their own address."""

from __future__ import annotations

import pytest


@pytest.fixture
def paths(blue):
    """The tags of one object of each kind, all of them blue's."""
    network = blue.make("network")["id"]
    subnet = blue.make("subnet", network_id=network, cidr="10.0.0.0/24")["id"]
    port = blue.make("port", network_id=network)["id"]
    ids = {"network": network, "subnet": subnet, "port": port}
    return {noun: f"/v2.0/{noun}s/{id_}" for noun, id_ in ids.items()}


KINDS = ["network", "subnet", "port"]


@pytest.mark.parametrize("noun", KINDS)
def test_tags_come_and_go(paths, blue, noun: str) -> None:
    """Tags are replaced, added and taken away together or one by one, and shown with the object."""
    own = paths[noun]
    path = f"{own}/tags"

    def tags() -> list[str]:
        found = blue("GET", path).body
        assert blue("GET", own).body[noun]["tags"] == found["tags"]
        return found["tags"]

    assert tags() == []
    answer = blue("PUT", path, {"tags": ["b", "a"]})
    assert (answer.status, answer.body) == (200, {"tags": ["a", "b"]})
    assert blue.raw("PUT", f"{path}/c").status == 201
    assert blue("PUT", f"{path}/c", {}).status == 201
    assert tags() == ["a", "b", "c"]
    added = blue("POST", path, {"tags": ["d", "a"]})
    assert (added.status, added.body) == (201, {"tags": ["a", "b", "c", "d"]})
    assert blue("GET", f"{path}/d").status == 204
    gone = blue("DELETE", f"{path}/d")
    assert (gone.status, gone.body) == (204, b"")
    assert blue("GET", f"{path}/d").error["type"] == "TagNotFound"
    assert blue("DELETE", f"{path}/d").error["type"] == "TagNotFound"
    assert blue("PUT", path, {"tags": ["z"]}).body == {"tags": ["z"]}
    assert blue("DELETE", path).status == 204
    assert tags() == []


def test_a_tag_may_be_any_text(paths, blue) -> None:
    """A tag may hold what an address has to spell otherwise."""
    path = f"{paths['network']}/tags"
    for tag, spelled in (("a/b", "a%2Fb"), ("è", "%C3%A8"), ("x y", "x%20y"), ("t.json", "t.json")):
        assert blue.raw("PUT", f"{path}/{spelled}").status == 201
        assert tag in blue("GET", path).body["tags"]
        assert blue("GET", f"{path}/{spelled}").status == 204
        assert blue("DELETE", f"{path}/{spelled}").status == 204


def test_a_tag_is_a_change(paths, blue) -> None:
    """Tagging makes a new revision, which If-Match can be about."""
    own = paths["port"]
    before = blue("GET", own).body["port"]["revision_number"]
    blue("PUT", f"{own}/tags", {"tags": ["a"]})
    assert blue("GET", own).body["port"]["revision_number"] == before + 1
    stale = blue.raw("DELETE", f"{own}/tags", headers={"If-Match": f"revision_number={before}"})
    assert (stale.status, stale.error["type"]) == (412, "RevisionNumberConstraintFailed")
    assert blue("GET", f"{own}/tags").body == {"tags": ["a"]}


@pytest.mark.parametrize("noun", KINDS)
def test_nobody_tags_what_is_anothers(paths, red, unchanged, noun: str) -> None:
    """The tags of another's object are answered like those of none."""
    unchanged()
    path = f"{paths[noun]}/tags"
    for answer in (
        red("GET", path),
        red("PUT", path, {"tags": ["a"]}),
        red("POST", path, {"tags": ["a"]}),
        red("DELETE", path),
        red("GET", f"{path}/a"),
        red("PUT", f"{path}/a", {}),
        red("DELETE", f"{path}/a"),
        red("GET", f"/v2.0/{noun}s/none/tags"),
    ):
        assert (answer.status, answer.error["type"]) == (404, "TagResourceNotFound")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tags": None},
        {"tags": "a"},
        {"tags": [""]},
        {"tags": ["a", "a"]},
        {"tags": ["x" * 256]},
        {"tags": [1]},
        {"tags": [["a"]]},
        {"tags": [str(number) for number in range(256)]},
        {"tags": [], "other": 1},
    ],
)
def test_bad_tags(paths, blue, unchanged, body: object) -> None:
    """Tags that are no distinct texts of 1 … 255 characters are answered 400."""
    unchanged()
    answer = blue("PUT", f"{paths['network']}/tags", body)
    assert (answer.status, answer.error["type"]) == (400, "HTTPBadRequest")
    assert blue.raw("PUT", f"{paths['network']}/tags/{'x' * 256}").status == 400
