"""The API describes itself: a valid OpenAPI document, a page to browse it, and what the operator can see."""

from __future__ import annotations

import json
import re
import sys

import pytest
from click.testing import CliRunner
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel

from controller.cli import main
from controller.rest.app import build, document
from controller.tokens import Token

UNDOCUMENTED = {"/openapi.json", "/docs", "/docs/start.js", "/docs/{name}"}
"""What describes the API is not part of it."""


def test_the_document_is_valid(edge) -> None:
    """/openapi.json needs no token and is valid OpenAPI 3.1."""
    answer = edge.as_(None)("GET", "/openapi.json")
    assert answer.status == 200
    assert answer.body["openapi"] == "3.1.0"
    assert [str(error) for error in OpenAPIV31SpecValidator(answer.body).iter_errors()] == []


def test_the_document_names_every_route() -> None:
    """Every path and method that the server answers is in the document, and no other."""
    app = build(None, Token("x"), {})  # type: ignore[arg-type]  # nothing is asked of the service
    served = {
        (re.sub(r"<(?:[^<:]+:)?([^>]+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    documented = {(path, method) for path, operations in document()["paths"].items() for method in operations}
    assert {one for one in served if one[0] not in UNDOCUMENTED} == documented
    assert {path for path, _ in served} >= UNDOCUMENTED


def test_every_operation_has_a_name_and_a_sentence() -> None:
    """Operations have unique ids, a summary, an error form, and say whether they need a token."""
    found = document()
    operations = [operation for path in found["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert found["security"] == [{"token": []}, {"basic": []}]
    public = {operation["operationId"] for operation in operations if operation.get("security") == []}
    assert public == {"list_versions", "list_resources", "show_health", "show_identity_version"}
    for operation in operations:
        assert operation["summary"].endswith("."), operation
        assert "422" not in operation["responses"]
        assert any(status.startswith("2") for status in operation["responses"])


def test_no_two_models_have_one_name() -> None:
    """A form of the document is one model's: two of one name would stand for each other there."""
    models = {
        model
        for name, module in sys.modules.items()
        if name.startswith("controller.rest.")
        for model in vars(module).values()
        if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == name
    }
    names = [model.__name__ for model in models]
    assert names
    assert {name for name in names if names.count(name) > 1} == set()


def test_a_body_may_be_refused_as_such() -> None:
    """Every operation with a body says that it may be too large or of another type."""
    for path in document()["paths"].values():
        for operation in path.values():
            assert "requestBody" not in operation or {"413", "415"} <= set(operation["responses"])


def test_answers_are_as_documented(op) -> None:
    """What is really answered has the fields that the document promises, no more and no fewer."""
    schemas = document()["components"]["schemas"]
    network = op.make("network")
    made = {
        "NetworkShown": network,
        "SubnetShown": op.make("subnet", network_id=network["id"], cidr="10.0.0.0/24"),
        "PortShown": op.make("port", network_id=network["id"]),
        "TopologyView": op("GET", "/v1/topology").body["topology"],
        "LoadView": op("GET", "/v1/topology/load").body["load"],
        "LinkLoadView": op("GET", "/v1/topology/load").body["load"]["links"][0],
        "BalanceView": op("GET", "/v1/topology/load").body["load"]["next_hop_sets"][0],
        "ElephantView": op("GET", "/v1/topology/load").body["load"]["elephants"][0],
        "HostView": op("GET", "/v1/hosts").body["hosts"][0],
        "PathsView": op("GET", "/v1/paths?from=h1&to=h2").body["paths"],
        "HealthView": op("GET", "/v1/health").body["health"],
    }
    for name, answer in made.items():
        assert set(answer) == set(schemas[name]["properties"]), name


def test_the_page_is_local(edge) -> None:
    """/docs and everything that it loads come from this server, and the browser is told to load nothing else."""
    anybody = edge.as_(None)
    page = anybody("GET", "/docs")
    assert page.status == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    text = page.body.decode()
    loaded = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert len(loaded) == 4
    for path in loaded:
        assert path.startswith("/docs/")
        assert anybody("GET", path).status == 200, path
    assert b'"/openapi.json"' in anybody("GET", "/docs/start.js").body


@pytest.mark.parametrize(
    "path", ["/docs/../__init__.py", "/docs/..%2f__init__.py", "/docs/%2fetc%2fpasswd", "/docs/none"]
)
def test_the_page_hands_out_nothing_else(edge, path: str) -> None:
    """No file outside of the page's directory can be reached."""
    assert edge.as_(None)("GET", path).error["type"] == "HTTPNotFound"


def test_the_way_to_the_page(edge) -> None:
    """The first document links the page and the description."""
    links = {link["rel"]: link["href"] for link in edge.as_(None)("GET", "/").body["links"]}
    assert links["help"].endswith("/docs")
    assert links["service-desc"].endswith("/openapi.json")


def test_health_for_everybody(edge, op, blue) -> None:
    """Anybody learns whether the controller is ready, by status too; only the operator learns more."""
    for client in (edge.as_(None), blue):
        answer = client("GET", "/v1/health")
        assert (answer.status, answer.body) == (200, {"health": {"ready": True}})
    full = op("GET", "/v1/health").body["health"]
    assert (full["framework"], full["switches"][0]["datapath_id"]) == ("ryu 4.34", "0000000000000001")
    edge.service.ready = False
    answer = edge.as_(None)("GET", "/v1/health")
    assert (answer.status, answer.body) == (503, {"health": {"ready": False}})
    assert edge.as_("nobody-0123456789")("GET", "/v1/health").status == 401


def test_paths_name_their_ends(op) -> None:
    """A path needs both ends, and an end that is nothing is named."""
    paths = op("GET", "/v1/paths?from=h1&to=h2").body["paths"]
    assert (paths["source"]["host"], paths["target"]["host"]) == ("h1", "h2")
    assert paths["paths"] == [[{"datapath_id": "0000000000000001", "in_port": 2, "out_port": 1}]]
    assert "to" in op("GET", "/v1/paths?from=h1").error["message"]
    assert op("GET", "/v1/paths?from=h1&to=h9").error["message"].startswith("to: h9")


def test_the_load_names_both_ends(op) -> None:
    """Each direction of a link is told by its ends, and what is not known is null."""
    load = op("GET", "/v1/topology/load").body["load"]
    there, back = load["links"]
    assert (there["from_datapath_id"], there["to_datapath_id"]) == ("0000000000000001", "0000000000000002")
    assert (there["bits_per_second"], there["utilisation"]) == (2e6, 0.2)
    assert {back[name] for name in ("bits_per_second", "utilisation", "bytes", "measured_at")} == {None}
    assert load["next_hop_sets"][0]["ports"] == [1, 3]


def test_the_command_prints_the_document() -> None:
    """``vl2 openapi`` prints what the server serves."""
    result = CliRunner().invoke(main, ["openapi", "--indent", "0"])
    assert result.exit_code == 0
    assert json.loads(result.output) == document()
