"""Trunks have Neutron's form, and what cannot be is refused by name and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

NOBODY = "00000000-0000-0000-0000-000000000000"


def port_of(client: Any, network: str = "", **fields: object) -> str:
    """Make a port, in a network of its own if no other is named."""
    return client.make("port", network_id=network or client.make("network")["id"], **fields)["id"]


def vlan(port: str, vid: object = 7, **fields: object) -> dict[str, object]:
    """A wish for a sub-port."""
    return {"port_id": port, "segmentation_type": "vlan", "segmentation_id": vid, **fields}


def test_a_trunk_lives_and_dies(blue) -> None:
    """Made, listed, shown, changed and deleted as Neutron's clients do it."""
    parent, sub = port_of(blue), port_of(blue)
    trunk = blue.make("trunk", port_id=parent, name="t", description="d", sub_ports=[vlan(sub)])
    expected = {"name": "t", "description": "d", "port_id": parent, "status": "DOWN", "admin_state_up": True}
    assert expected.items() <= trunk.items()
    assert (trunk["project_id"], trunk["tenant_id"], trunk["revision_number"]) == ("blue", "blue", 1)
    assert trunk["sub_ports"] == [vlan(sub)]
    path = f"/v2.0/trunks/{trunk['id']}"
    assert blue("GET", path).body["trunk"] == trunk
    assert blue("GET", f"/v2.0/trunks?port_id={parent}&fields=id").body["trunks"] == [{"id": trunk["id"]}]
    assert blue("GET", f"/v2.0/trunks?port_id={sub}").body["trunks"] == []
    changed = blue("PUT", path, {"trunk": {"name": "u", "description": "", "admin_state_up": False}}).body["trunk"]
    assert (changed["name"], changed["admin_state_up"], changed["revision_number"]) == ("u", False, 2)
    assert blue("DELETE", path).error["type"] == "TrunkDisabled"
    assert blue("PUT", path, {"trunk": {"admin_state_up": True}}).status == 200
    assert blue("PUT", f"{path}/tags/red").status == 201
    assert blue("GET", "/v2.0/trunks?tags=red").body["trunks"][0]["tags"] == ["red"]
    assert blue("DELETE", path).status == 204
    assert blue("GET", path).error["type"] == "TrunkNotFound"


def test_sub_ports_come_and_go(op) -> None:
    """The answer is the trunk itself, the ports know what they are, and the parent shows what it carries."""
    parent, first, second = (port_of(op) for _ in range(3))
    trunk = op.make("trunk", port_id=parent, sub_ports=[vlan(first, 7)])
    path = f"/v2.0/trunks/{trunk['id']}"
    added = op("PUT", f"{path}/add_subports", {"sub_ports": [vlan(second, "8")]})
    assert (added.status, added.body["id"], added.body["sub_ports"]) == (
        200,
        trunk["id"],
        [vlan(first), vlan(second, 8)],
    )
    assert op("GET", f"{path}/get_subports").body == {"sub_ports": added.body["sub_ports"]}
    shown = op("GET", f"/v2.0/ports/{second}").body["port"]
    assert (shown["device_owner"], shown["device_id"], shown["trunk_details"]) == ("trunk:subport", trunk["id"], None)
    details = op("GET", f"/v2.0/ports/{parent}").body["port"]["trunk_details"]
    assert details["trunk_id"] == trunk["id"]
    assert details["sub_ports"][1] == vlan(second, 8, mac_address=shown["mac_address"])
    assert op("DELETE", f"/v2.0/ports/{second}").error["type"] == "PortInUseAsSubPort"
    assert op("DELETE", f"/v2.0/ports/{parent}").error["type"] == "PortInUseAsTrunkParent"
    removed = op("PUT", f"{path}/remove_subports", {"sub_ports": [{"port_id": second}]})
    assert (removed.status, removed.body["sub_ports"]) == (200, [vlan(first)])
    assert op("GET", f"/v2.0/ports/{second}").body["port"]["device_owner"] == ""
    assert op("DELETE", f"/v2.0/ports/{second}").status == 204


def test_a_sub_port_is_bound_where_its_parent_is(op) -> None:
    """Its host follows the parent's and is not to be chosen, and it has no bindings of its own."""
    parent, sub = port_of(op, **{"binding:host_id": "h1"}), port_of(op)
    op.make("trunk", port_id=parent, sub_ports=[vlan(sub)])
    assert op("GET", f"/v2.0/ports/{sub}").body["port"]["binding:host_id"] == "h1"
    for method, path, body in (
        ("PUT", f"/v2.0/ports/{sub}", {"port": {"binding:host_id": "h2"}}),
        ("POST", f"/v2.0/ports/{sub}/bindings", {"binding": {"host": "h2"}}),
    ):
        answer = op(method, path, body)
        assert (answer.status, answer.error["type"]) == (409, "PortInUseAsSubPort")
        assert "host_id" in answer.error["message"]
    assert op("PUT", f"/v2.0/ports/{parent}", {"port": {"binding:host_id": ""}}).status == 200
    assert op("GET", f"/v2.0/ports/{sub}").body["port"]["binding:host_id"] == ""


@pytest.mark.parametrize(
    ("fields", "status", "kind", "word"),
    [
        ({"port_id": NOBODY}, 404, "PortNotFound", NOBODY),
        ({"port_id": None}, 400, "HTTPBadRequest", "port_id"),
        ({"sub_ports": "vlan"}, 400, "HTTPBadRequest", "sub_ports"),
        ({"sub_ports": [{"port_id": "<sub>"}]}, 400, "HTTPBadRequest", "sub_ports[0].segmentation"),
        ({"sub_ports": [vlan("<sub>", 0)]}, 400, "HTTPBadRequest", "segmentation_id"),
        ({"sub_ports": [vlan("<sub>", 4095)]}, 400, "HTTPBadRequest", "segmentation_id"),
        ({"sub_ports": [vlan("<sub>", True)]}, 400, "HTTPBadRequest", "segmentation_id"),
        ({"sub_ports": [vlan("<sub>", "x")]}, 400, "HTTPBadRequest", "segmentation_id"),
        ({"sub_ports": [vlan("<sub>", segmentation_type="inherit")]}, 400, "HTTPBadRequest", "inherited"),
        ({"sub_ports": [vlan("<sub>", segmentation_type="vxlan")]}, 400, "HTTPBadRequest", "segmentation_type"),
        ({"sub_ports": [vlan("<sub>", colour="red")]}, 400, "HTTPBadRequest", "colour"),
        ({"sub_ports": [vlan("<sub>"), vlan("<other>")]}, 409, "DuplicateSubPort", "7"),
        ({"sub_ports": [vlan("<sub>", 7), vlan("<sub>", 8)]}, 409, "ParentPortInUse", "twice"),
        ({"sub_ports": [vlan("<parent>")]}, 409, "ParentPortInUse", "port_id"),
        ({"sub_ports": [vlan("<server>")]}, 409, "PortInUse", "vm"),
        ({"sub_ports": [vlan(NOBODY)]}, 404, "PortNotFound", NOBODY),
        ({"sub_ports": [vlan("<clear>")]}, 409, "TrunkOnTransparentNetwork", "transparent"),
        ({"port_id": "<clear>"}, 409, "TrunkOnTransparentNetwork", "transparent"),
        ({"port_id": "<small>", "sub_ports": [vlan("<sub>")]}, 409, "SubPortMtuGreaterThanTrunkPortMtu", "MTU"),
        ({"project_id": "red"}, 403, "PolicyNotAuthorized", "project_id"),
        ({"status": "ACTIVE"}, 400, "HTTPBadRequest", "status"),
    ],
)
def test_what_cannot_be_is_refused(  # noqa: PLR0917  (what pytest hands in)
    edge, blue, fields: dict[str, Any], status: int, kind: str, word: str
) -> None:
    """Each with a sentence that names the field or the value, and nothing is different afterwards."""
    there = {
        "parent": port_of(blue),
        "sub": port_of(blue),
        "other": port_of(blue),
        "server": port_of(blue, device_id="vm"),
        "clear": port_of(blue, blue.make("network", vlan_transparent=True)["id"]),
        "small": port_of(blue, blue.make("network", mtu=1000)["id"]),
    }

    def named(value: Any) -> Any:
        if isinstance(value, str) and value.startswith("<"):
            return there[value.strip("<>")]
        if isinstance(value, dict):
            return {key: named(each) for key, each in value.items()}
        return [named(each) for each in value] if isinstance(value, list) else value

    before = edge.documents()
    answer = blue("POST", "/v2.0/trunks", {"trunk": named({"port_id": "<parent>", **fields})})
    assert (answer.status, answer.error["type"]) == (status, kind), answer
    assert word in answer.error["message"]
    assert edge.documents() == before


@pytest.mark.parametrize(
    ("verb", "body", "status", "kind"),
    [
        ("add_subports", {}, 400, "HTTPBadRequest"),
        ("add_subports", {"sub_ports": [{}]}, 400, "HTTPBadRequest"),
        ("add_subports", {"sub_ports": [vlan(NOBODY)]}, 404, "PortNotFound"),
        ("remove_subports", {"sub_ports": [{"port_id": NOBODY}]}, 404, "SubPortNotFound"),
        ("remove_subports", {"sub_ports": [{"segmentation_id": 7}]}, 400, "HTTPBadRequest"),
    ],
)
def test_sub_ports_that_cannot_be_are_refused(  # noqa: PLR0917  (what pytest hands in)
    edge, blue, verb: str, body: dict[str, Any], status: int, kind: str
) -> None:
    """Whatever is wrong with what is added or removed, the trunk stays as it was."""
    trunk = blue.make("trunk", port_id=port_of(blue), sub_ports=[vlan(port_of(blue))])
    before = edge.documents()
    answer = blue("PUT", f"/v2.0/trunks/{trunk['id']}/{verb}", body)
    assert (answer.status, answer.error["type"]) == (status, kind), answer
    assert edge.documents() == before


def test_others_ports_are_not_for_ones_trunk(edge, op, blue, red) -> None:
    """A port that one sees only because it is in one's network is not one's own to plug; what one sees not is 404."""
    network = blue.make("network")["id"]
    assert op("POST", "/v2.0/rbac-policies", _shared(network)).status == 201
    theirs, mine = port_of(red, network), port_of(blue, network)
    before = edge.documents()
    for wish in ({"port_id": theirs}, {"port_id": mine, "sub_ports": [vlan(theirs)]}):
        assert blue("POST", "/v2.0/trunks", {"trunk": wish}).error["type"] == "PolicyNotAuthorized"
    assert red("POST", "/v2.0/trunks", {"trunk": {"port_id": mine}}).error["type"] == "PortNotFound"
    assert edge.documents() == before
    trunk = blue.make("trunk", port_id=mine)
    assert red("GET", f"/v2.0/trunks/{trunk['id']}").error["type"] == "TrunkNotFound"
    assert red("GET", "/v2.0/trunks").body["trunks"] == []
    assert op("GET", f"/v2.0/trunks/{trunk['id']}").status == 200


def _shared(network: str) -> dict[str, object]:
    wish = {"object_type": "network", "object_id": network, "action": "access_as_shared", "target_tenant": "red"}
    return {"rbac_policy": wish}


def test_a_trunk_is_of_a_revision(blue) -> None:
    """A change that was meant for another revision is refused."""
    trunk = blue.make("trunk", port_id=port_of(blue))
    answer = blue.raw("DELETE", f"/v2.0/trunks/{trunk['id']}", headers={"If-Match": "revision_number=9"})
    assert (answer.status, answer.error["type"]) == (412, "RevisionNumberConstraintFailed")


def test_trunks_have_a_quota(op, blue) -> None:
    """Shown like any other, and kept."""
    assert op("PUT", "/v2.0/quotas/blue", {"quota": {"trunk": 0}}).body["quota"]["trunk"] == 0
    answer = blue("POST", "/v2.0/trunks", {"trunk": {"port_id": port_of(blue)}})
    assert (answer.status, answer.error["type"]) == (409, "OverQuota")


def test_trunk_details_are_not_sorted_by(blue) -> None:
    """What is no single value cannot be compared."""
    port_of(blue)
    assert blue("GET", "/v2.0/ports?sort_key=trunk_details").status == 400


def test_whether_a_network_is_transparent_is_said_once(blue) -> None:
    """It is shown, found by and never changed."""
    network = blue.make("network", vlan_transparent=True)["id"]
    assert blue.make("network")["vlan_transparent"] is False
    assert [one["id"] for one in blue("GET", "/v2.0/networks?vlan_transparent=true").body["networks"]] == [network]
    answer = blue("PUT", f"/v2.0/networks/{network}", {"network": {"vlan_transparent": False}})
    assert answer.status == 400
    assert "vlan_transparent" in answer.error["message"]
