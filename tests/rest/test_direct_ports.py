"""The operator wires a port to an edge switch with binding:vnic_type and binding:profile."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from overlay.changes import HostSeen
from overlay.direct.changes import EdgeSnapshot, Unwired
from overlay.values import DatapathId, Host, HostKind, HostName

TOR = HostName("tor1")
LINK = {"switch_info": "tor1", "port_id": "eth5"}
PROFILE = {"local_link_information": [LINK], "vlan": 100}
METAL = {"binding:vnic_type": "baremetal"}
WIRED = {**METAL, "binding:profile": PROFILE}


def linked(**more: Any) -> dict[str, Any]:
    """A profile that names the edge switch, otherwise than usual."""
    return {**METAL, "binding:profile": {"local_link_information": [LINK | more]}}


@pytest.fixture
def network(op, edge) -> str:
    """Blue's network, where an edge switch with one cable has joined beside the hypervisors."""
    edge.service.apply(HostSeen(Host(TOR, IPv4Address("10.0.9.250"), DatapathId(9), 1, kind=HostKind.EDGE)))
    edge.service.apply(EdgeSnapshot(TOR, (("eth5", 5),)))
    edge.service.confirm()
    made: str = op.make("network", project_id="blue")["id"]
    return made


def test_a_bare_metal_server_is_wired(op, blue, edge, network: str) -> None:
    """A port bound to an edge switch's interface and VLAN is ACTIVE when that is there, and DOWN when it vanishes."""
    port = op.make("port", network_id=network, project_id="blue", **WIRED)
    edge.service.confirm()
    shown = op("GET", f"/v2.0/ports/{port['id']}").body["port"]
    assert (shown["status"], shown["binding:host_id"]) == ("ACTIVE", "tor1")
    assert (shown["binding:vnic_type"], shown["binding:vif_type"]) == ("baremetal", "other")
    assert shown["binding:vif_details"] == {"port_filter": True, "vlan": "100", "connectivity": "l2"}
    assert shown["binding:profile"] == {
        "local_link_information": [{"switch_info": "tor1", "switch_id": "tor1", "port_id": "eth5"}],
        "vlan": 100,
    }
    (binding,) = op("GET", f"/v2.0/ports/{port['id']}/bindings").body["bindings"]
    assert (binding["host"], binding["vnic_type"], binding["profile"]["vlan"]) == ("tor1", "baremetal", 100)
    seen = blue("GET", f"/v2.0/ports/{port['id']}").body["port"]
    assert [name for name in seen if name.startswith("binding:")] == ["binding:vnic_type"]
    assert [own["id"] for own in op("GET", "/v2.0/ports?binding:vnic_type=baremetal").body["ports"]] == [port["id"]]
    edge.service.apply(Unwired(TOR, "eth5"))
    assert op("GET", f"/v2.0/ports/{port['id']}").body["port"]["status"] == "DOWN"


def test_a_port_is_rewired_and_unwired(op, network: str) -> None:
    """What is left out of an update stays as it was; an empty profile, or no host, takes the port off its cable."""
    port = op.make("port", network_id=network)["id"]

    def put(**fields: Any) -> dict[str, Any]:
        answer = op("PUT", f"/v2.0/ports/{port}", {"port": fields})
        assert answer.status == 200, answer
        found: dict[str, Any] = answer.body["port"]
        return found

    slot = {"pci_slot": "0000:06:00.1", "physical_network": "physnet2"}
    wired = put(**{"binding:vnic_type": "direct", "binding:profile": PROFILE | slot})
    assert (wired["binding:vif_type"], wired["binding:host_id"]) == ("hw_veb", "tor1")
    assert wired["binding:profile"]["pci_slot"] == "0000:06:00.1"
    assert put(**METAL)["binding:profile"] == wired["binding:profile"]
    moved = put(**{"binding:profile": {"local_link_information": [{"switch_id": str(DatapathId(9)), "port_id": "5"}]}})
    assert moved["binding:profile"]["local_link_information"][0]["port_id"] == "eth5"
    assert moved["binding:profile"]["vlan"] == 0
    off = put(**{"binding:profile": {}})
    assert (off["binding:host_id"], off["binding:profile"], off["binding:vnic_type"]) == ("", {}, "baremetal")
    assert put(**{"binding:profile": PROFILE, "binding:host_id": "tor1"})["binding:host_id"] == "tor1"
    off = put(**{"binding:host_id": None})
    assert (off["binding:host_id"], off["binding:vif_type"]) == ("", "unbound")
    assert put(**{"binding:vnic_type": "normal", "binding:host_id": "h1"})["binding:vif_type"] == "ovs"


def test_it_is_the_operators(blue, op, edge, network: str) -> None:
    """A project neither wires a port nor takes one off its cable."""
    port = op.make("port", network_id=network, project_id="blue", **WIRED)["id"]
    before = edge.documents()
    for fields in (METAL, {"binding:profile": {}}, WIRED):
        made = blue("POST", "/v2.0/ports", {"port": {"network_id": network, **fields}})
        assert (made.status, made.error["type"]) == (403, "PolicyNotAuthorized")
    for fields in ({"binding:vnic_type": "normal"}, {"binding:profile": {}}):
        assert blue("PUT", f"/v2.0/ports/{port}", {"port": fields}).status == 403
    assert blue("PUT", f"/v2.0/ports/{port}", {"port": METAL}).status == 200, "it says what is so"
    after = edge.documents()
    assert before.keys() == after.keys()
    assert after["port", port]["local_link"] == before["port", port]["local_link"]


BAD: list[tuple[dict[str, Any], int, str]] = [
    ({"binding:profile": PROFILE}, 400, "binding:profile"),
    ({"binding:vnic_type": "macvtap"}, 400, "binding:vnic_type"),
    ({"binding:vnic_type": ["direct"]}, 400, "binding:vnic_type"),
    ({**METAL, "binding:host_id": "h1"}, 400, "local_link_information"),
    ({**METAL, "binding:host_id": "tor1"}, 400, "local_link_information"),
    ({**linked(), "binding:host_id": "h1"}, 400, "binding:host_id"),
    ({"binding:host_id": "tor1"}, 400, "tor1 is an edge switch"),
    ({**METAL, "binding:profile": {"vlan": 100}}, 400, "local_link_information"),
    ({**METAL, "binding:profile": {"pci_slot": "0000:06:00.1", "physical_network": "p"}}, 400, "edge switch"),
    ({**METAL, "binding:profile": {"local_link_information": [LINK, LINK]}}, 400, "local_link_information"),
    ({**METAL, "binding:profile": {"local_link_information": [{"port_id": "eth5"}]}}, 400, "names no edge switch"),
    ({**METAL, "binding:profile": {"local_link_information": [{"switch_info": "tor1"}]}}, 400, "port_id"),
    ({**METAL, "binding:profile": PROFILE | {"capabilities": ["x"]}}, 400, "capabilities"),
    ({**METAL, "binding:profile": PROFILE | {"vlan": 4095}}, 400, "vlan"),
    ({**METAL, "binding:profile": PROFILE | {"vlan": -1}}, 400, "vlan"),
    ({**METAL, "binding:profile": PROFILE | {"vlan": "x"}}, 400, "vlan"),
    ({**METAL, "binding:profile": [LINK]}, 400, "binding:profile"),
    (linked(switch_info="tor9"), 400, "no edge switch tor9"),
    (linked(switch_info="h1"), 400, "h1 is a hypervisor"),
    (linked(port_id="77"), 400, "77"),
    (linked(port_id="a/b"), 400, "a/b"),
    (linked(port_id=""), 400, "port_id"),
    (linked(port_id=5), 400, "port_id"),
    (WIRED, 409, "already"),
]


@pytest.mark.parametrize(("fields", "status", "text"), BAD)
def test_bad_input_is_named_and_changes_nothing(  # noqa: PLR0917  (fixtures and a case)
    op, edge, network: str, fields: dict[str, Any], status: int, text: str
) -> None:
    """A place that is unknown, incomplete, another port's or none is refused with its name, in making and changing."""
    op.make("port", network_id=network, **WIRED)
    port = op.make("port", network_id=network)["id"]
    before = edge.documents()
    answers = (
        op("POST", "/v2.0/ports", {"port": {"network_id": network, **fields}}),
        op("PUT", f"/v2.0/ports/{port}", {"port": fields}),
    )
    for answer in answers:
        assert (answer.status, text in answer.error["message"]) == (status, True), answer
    assert edge.documents() == before
