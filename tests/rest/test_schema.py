"""The API holds what its own document says: whatever is generated out of it is answered as it is documented."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from controller.rest.app import document

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
SCHEMA = schemathesis.openapi.from_dict(document())
OPERATIONS = {result.ok().label: result.ok() for result in SCHEMA.get_all_operations()}
EXAMPLES = 16
"""Of each operation and each caller; the whole takes half a minute."""


@pytest.fixture
def known(edge, op, blue) -> dict[str, list[Any]]:
    """Ids that there are, by the names of the fields that hold them: some of the project's, some of the operator's."""
    found: dict[str, list[Any]] = {}
    for who in (blue, op):
        network = who.make("network", name="n")["id"]
        subnet = who.make("subnet", network_id=network, cidr="10.0.0.0/24")["id"]
        port = who.make("port", network_id=network, name="p")["id"]
        pool = who.make("subnetpool", name="o", prefixes=["10.64.0.0/16"])["id"]
        policy = {"object_type": "network", "object_id": network, "action": "access_as_shared", "target_tenant": "red"}
        share = who("POST", "/v2.0/rbac-policies", {"rbac_policy": policy})
        assert share.status == 201, share
        watcher = who.make("port", network_id=network, name="w")["id"]
        asked = {"tap_service": {"port_id": watcher}}
        service = who("POST", "/v2.0/taas/tap_services", asked).body["tap_service"]["id"]
        wish = {"tap_flow": {"tap_service_id": service, "source_port": port, "direction": "BOTH"}}
        ids = {
            "tap_service_id": service,
            "tap_flow_id": who("POST", "/v2.0/taas/tap_flows", wish).body["tap_flow"]["id"],
            "source_port": port,
            "network_id": network,
            "subnet_id": subnet,
            "port_id": port,
            "subnetpool_id": pool,
            "policy_id": share.body["rbac_policy"]["id"],
        }
        for field, id_ in ids.items():
            found.setdefault(field, []).append(id_)
        assert op("PUT", f"/v2.0/ports/{port}", {"port": {"binding:host_id": "h1"}}).status == 200
        assert op("POST", f"/v2.0/ports/{port}/bindings", {"binding": {"host": "h2"}}).status == 201
    found |= {
        "project_id": ["blue", "red"],
        "host": ["h1", "h2"],
        "to": [["h1"], ["h2"]],
        "alias": ["agent"],
        "tag": ["t"],
    }
    found["move_id"] = [move["id"] for move in op("GET", "/v1/moves").body["moves"]]
    found |= {"target_tenant": ["red", "*"], "object_type": ["network"], "action": ["access_as_shared"]}
    found |= {
        "cidr": ["10.9.0.0/24", "2001:db8::/64"],
        "mac_address": ["02:00:00:00:00:11"],
        "prefixes": [["10.0.0.0/8"]],
    }
    found |= {"ip_address": ["10.0.0.9"]}
    found["agent_id"] = [agent["id"] for agent in op("GET", "/v2.0/agents").body["agents"]]
    assert edge.documents()
    return found


@pytest.fixture
def fabric(request: pytest.FixtureRequest) -> dict[str, list[Any]]:
    """Ids of the fabric's parts, which are the operator's."""
    request.getfixturevalue("desk")
    op = request.getfixturevalue("op")
    topology = "/v1/topology"
    return {
        "switch_id": [each["datapath_id"] for each in op("GET", f"{topology}/switches").body["switches"]],
        "link_id": [each["id"] for each in op("GET", f"{topology}/links").body["links"]],
    }


def pointing(draw: Callable[..., Any], case: schemathesis.Case, known: dict[str, list[Any]]) -> None:
    """Put what there is where it belongs, mostly, and leave most of the rest out: what is all made up says little."""

    def often() -> bool:
        return bool(draw(st.integers(0, 3)))

    def place(fields: Any, inside: int = 0) -> None:
        if isinstance(fields, list):
            for each in fields:
                place(each, inside)
        if not isinstance(fields, dict):
            return
        for name, value in list(fields.items()):
            if name in known and often():
                fields[name] = draw(st.sampled_from(known[name]))
            elif inside and name not in known and often():
                del fields[name]
            else:
                place(value, inside + 1)

    place(case.path_parameters)
    place(case.body)


@pytest.mark.parametrize("who", ["operator", "blue"])
@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_answers_as_documented(request: pytest.FixtureRequest, label: str, who: str) -> None:
    """No answer is a fault of ours; its status, content type and body are documented, whoever asks."""
    operation = OPERATIONS[label]
    ids = request.getfixturevalue("fabric" if "/v1/topology/" in label else "known")
    edge = request.getfixturevalue("edge")
    kind = next((kind for kind in ("subnetpool", "subnet", "port") if f"/{kind}s/" in label), "network")
    ids["object_id"] = ids.get(f"{kind}_id", [])
    # No switch confirms here: an activation is answered 504, which is no fault of ours.
    checks = [each for each in CHECKS if each is not not_a_server_error or not label.endswith("/activate")]
    token = {"X-Auth-Token": {"operator": "operator-0123456789", "blue": "blue-0123456789abc"}[who]}

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(st.data())
    def holds(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy())
        pointing(data.draw, case, ids)
        if label == "GET /v1/events":  # otherwise the answer does not end
            case.query["follow"] = "false"
        case.call_and_validate(base_url=f"http://127.0.0.1:{edge.port}", headers=token, checks=checks)

    holds()
