"""Tap services and tap flows, as Neutron's clients speak of them."""

from __future__ import annotations

import pytest

SERVICES, FLOWS = "/v2.0/taas/tap_services", "/v2.0/taas/tap_flows"


@pytest.fixture
def ports(blue, edge):
    """Two plugged ports of blue, the first of which has a tap service, and a tap flow to it from the second."""
    network = blue.make("network")["id"]
    found = {name: blue.make("port", network_id=network, name=name)["id"] for name in ("watcher", "source")}
    for number, port_id in enumerate(found.values(), 2):
        edge.as_("operator")("PUT", f"/v2.0/ports/{port_id}", {"port": {"binding:host_id": "h1"}})
        edge.service.plug("h1", port_id, number)
    service = {"port_id": found["watcher"], "name": "s"}
    found["service"] = blue("POST", SERVICES, {"tap_service": service}).body["tap_service"]["id"]
    flow = {"tap_service_id": found["service"], "source_port": found["source"], "direction": "BOTH", "name": "f"}
    found["flow"] = blue("POST", FLOWS, {"tap_flow": flow}).body["tap_flow"]["id"]
    edge.service.confirm()
    return {**found, "network": network}


def test_what_is_shown(ports, blue) -> None:
    """Both are shown in Neutron's fields, ACTIVE when their ports are."""
    texts = {"description": "", "project_id": "blue", "tenant_id": "blue", "status": "ACTIVE"}
    assert blue("GET", f"{SERVICES}/{ports['service']}").body == {
        "tap_service": {"id": ports["service"], "name": "s", "port_id": ports["watcher"], **texts}
    }
    assert blue("GET", f"{FLOWS}/{ports['flow']}").body == {
        "tap_flow": {
            "id": ports["flow"],
            "name": "f",
            "tap_service_id": ports["service"],
            "source_port": ports["source"],
            "direction": "BOTH",
            **texts,
        }
    }


def test_status(ports, blue, edge) -> None:
    """A mirror is DOWN with a port of it, and pending until the switches have confirmed it."""
    wish = {"tap_service_id": ports["service"], "source_port": ports["source"], "direction": "IN"}
    made = blue("POST", FLOWS, {"tap_flow": wish}).body["tap_flow"]
    assert made["status"] == "PENDING_CREATE"
    edge.service.confirm()
    assert blue("GET", f"{FLOWS}/{made['id']}").body["tap_flow"]["status"] == "ACTIVE"
    blue("PUT", f"/v2.0/ports/{ports['watcher']}", {"port": {"admin_state_up": False}})
    assert blue("GET", f"{FLOWS}/{made['id']}").body["tap_flow"]["status"] == "DOWN"
    assert blue("GET", f"{SERVICES}?status=DOWN&fields=id").body == {"tap_services": [{"id": ports["service"]}]}


def test_texts_change(ports, blue) -> None:
    """Names and descriptions change; what a mirror copies from where to where does not."""
    for path, noun in ((f"{SERVICES}/{ports['service']}", "tap_service"), (f"{FLOWS}/{ports['flow']}", "tap_flow")):
        changed = blue("PUT", path, {noun: {"name": "n", "description": "d"}}).body[noun]
        assert (changed["name"], changed["description"]) == ("n", "d")
        for field in ("port_id", "source_port", "tap_service_id", "direction", "project_id"):
            assert blue("PUT", path, {noun: {field: "IN"}}).status == 400
        assert blue("GET", path).body[noun] == changed
        assert blue.raw("DELETE", path, headers={"If-Match": "revision_number=9"}).status == 412


def test_a_service_goes_with_its_flows(ports, blue) -> None:
    """With a service go the tap flows to it."""
    assert blue("DELETE", f"{SERVICES}/{ports['service']}").status == 204
    assert blue("GET", SERVICES).body == {"tap_services": []}
    assert blue("GET", f"{FLOWS}/{ports['flow']}").error["type"] == "TapFlowNotFound"


def test_a_flow_goes_alone(ports, blue) -> None:
    """Without its tap flow the service stays."""
    assert blue("DELETE", f"{FLOWS}/{ports['flow']}").status == 204
    assert blue("GET", f"{FLOWS}").body == {"tap_flows": []}
    assert blue("GET", f"{SERVICES}?port_id={ports['watcher']}").body["tap_services"]


def test_ports_take_their_mirrors_along(ports, blue) -> None:
    """A port that is deleted is neither mirrored nor a mirror any more."""
    assert blue("DELETE", f"/v2.0/ports/{ports['watcher']}").status == 204
    assert blue("GET", SERVICES).body == {"tap_services": []}
    assert blue("GET", FLOWS).body == {"tap_flows": []}


@pytest.mark.parametrize("path", ["service", "flow"])
def test_another_projects_does_not_exist(ports, edge, unchanged, path: str) -> None:
    """What is another project's is answered like what is not there; the operator sees all."""
    unchanged()
    red, blue, op = map(edge.as_, ("red", "blue", "operator"))
    where = {"service": SERVICES, "flow": FLOWS}[path]
    noun = f"tap_{path}"
    kind = {"service": "TapServiceNotFound", "flow": "TapFlowNotFound"}[path]
    for method, body in (("GET", None), ("PUT", {noun: {"name": "x"}}), ("DELETE", None)):
        for id_ in (ports[path], "none"):
            answer = red(method, f"{where}/{id_}", body)
            assert (answer.status, answer.error["type"]) == (404, kind)
    assert red("GET", where).body == {f"{noun}s": []}
    assert op("GET", where).body == blue("GET", where).body != {f"{noun}s": []}


def test_nobody_watches_a_foreign_port(ports, red, unchanged) -> None:
    """A port of another project is neither mirrored nor a mirror, and its service no target of one's own port."""
    network = red.make("network")["id"]
    own = red.make("port", network_id=network)["id"]
    service = red("POST", SERVICES, {"tap_service": {"port_id": own}}).body["tap_service"]["id"]
    unchanged()
    foreign = red("POST", SERVICES, {"tap_service": {"port_id": ports["source"]}})
    assert (foreign.status, foreign.error["type"]) == (404, "PortNotFound")
    for to, source, kind in (
        (service, ports["source"], "PortNotFound"),
        (ports["service"], own, "TapServiceNotFound"),
    ):
        wish = {"tap_service_id": to, "source_port": source, "direction": "BOTH"}
        answer = red("POST", FLOWS, {"tap_flow": wish})
        assert (answer.status, answer.error["type"]) == (404, kind)


def test_nobody_watches_a_guest(ports, blue, red, op, unchanged) -> None:
    """Whoever owns a network sees the ports of its guests, and may mirror none of them."""
    share = {"object_type": "network", "object_id": ports["network"], "target_tenant": "red"}
    blue("POST", "/v2.0/rbac-policies", {"rbac_policy": {**share, "action": "access_as_shared"}})
    guest = red.make("port", network_id=ports["network"])["id"]
    unchanged()
    for client in (blue, op):
        wish = {"tap_service_id": ports["service"], "source_port": guest, "direction": "BOTH"}
        answer = client("POST", FLOWS, {"tap_flow": wish})
        assert (answer.status, answer.error["type"]) == (400, "PortDoesNotBelongToTenant")
        assert "source_port" in answer.error["message"]
    answer = blue("POST", SERVICES, {"tap_service": {"port_id": guest}})
    assert answer.error["type"] == "PortDoesNotBelongToTenant"


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"direction": "both"}, "direction"),
        ({"direction": None}, "direction"),
        ({"vlan_filter": "1-5"}, "vlan_filter"),
        ({"colour": "red"}, "colour"),
        ({"name": "x" * 256}, "name"),
        ({"source_port": ""}, "source_port"),
        ({"source_port": "watcher"}, "source_port"),
        ({"tap_service_id": 5}, "tap_service_id"),
        ({"project_id": "blue", "tenant_id": "red"}, "tenant_id"),
    ],
)
def test_bad_flows(ports, blue, unchanged, wish: dict[str, object], field: str) -> None:
    """What a tap flow cannot be is refused by the name of the field, and nothing changes."""
    unchanged()
    asked = {"tap_service_id": ports["service"], "source_port": ports["source"], "direction": "IN", **wish}
    asked["source_port"] = ports.get(asked["source_port"], asked["source_port"])
    answer = blue("POST", FLOWS, {"tap_flow": asked})
    assert answer.status == 400
    assert field in answer.error["message"]


def test_a_filter_by_vlan_is_refused_in_words(ports, blue, unchanged) -> None:
    """That only some VLANs are copied cannot be had, and is not ignored."""
    unchanged()
    asked = {"tap_service_id": ports["service"], "source_port": ports["source"], "direction": "IN"}
    answer = blue("POST", FLOWS, {"tap_flow": {**asked, "vlan_filter": "100-200"}})
    assert "all frames of a port are copied" in answer.error["message"]
    assert blue("POST", SERVICES, {"tap_service": {"name": "no port"}}).status == 400


def test_quotas(ports, op, blue, unchanged) -> None:
    """A project has as many mirrors as its quota allows."""
    op("PUT", "/v2.0/quotas/blue", {"quota": {"tap_service": 1, "tap_flow": 1}})
    unchanged()
    asked = {"tap_service_id": ports["service"], "source_port": ports["source"], "direction": "IN"}
    for answer in (
        blue("POST", SERVICES, {"tap_service": {"port_id": ports["source"]}}),
        blue("POST", FLOWS, {"tap_flow": asked}),
    ):
        assert (answer.status, answer.error["type"]) == (409, "OverQuota")


def test_the_operator_mirrors_for_a_project(ports, op) -> None:
    """What the operator makes belongs to whose ports it is about."""
    made = op("POST", SERVICES, {"tap_service": {"port_id": ports["source"]}}).body["tap_service"]
    wish = {"tap_service_id": made["id"], "source_port": ports["watcher"], "direction": "OUT"}
    assert made["project_id"] == op("POST", FLOWS, {"tap_flow": wish}).body["tap_flow"]["project_id"] == "blue"
