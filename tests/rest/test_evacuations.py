"""The operator empties a host, over the API and from a terminal."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from controller.host_cli import command
from overlay.changes import CreateNetwork, CreatePort, HostSeen
from overlay.direct.changes import Attach, EdgeSnapshot
from overlay.values import DatapathId, Host, HostKind, HostName, Mac, VnicType

BEGIN = "/v1/hosts/h1/evacuate"
EDGE = Host(HostName("tor"), IPv4Address("10.0.9.250"), DatapathId(9), 1, kind=HostKind.EDGE)
SHOWN = "/v1/hosts/h1/evacuation"


@pytest.fixture
def ports(edge, op, blue) -> list[str]:
    """Three ports on h1, of which the first two have a machine; a third host besides h2."""
    edge.service.apply(HostSeen(Host(HostName("h3"), IPv4Address("10.0.3.11"), DatapathId(0x564C << 48 | 3), 1)))
    network = blue.make("network")["id"]
    made = [blue.make("port", network_id=network)["id"] for _ in range(3)]
    for number, port_id in enumerate(made):
        assert op("PUT", f"/v2.0/ports/{port_id}", {"port": {"binding:host_id": "h1"}}).status == 200
        if number < 2:
            edge.service.plug("h1", port_id, 10 + number)
    edge.service.confirm()
    return made


def leave(edge, op) -> None:
    """Move whichever machines may."""
    for move in op("GET", SHOWN).body["evacuation"]["moving"]:
        edge.service.plug(move["target"], move["port_id"], 50 + int(move["move_id"].rpartition(":")[2]))
    for move in op("GET", SHOWN).body["evacuation"]["moving"]:
        if move["phase"] == "ready":
            assert op("PUT", f"/v2.0/ports/{move['port_id']}/bindings/{move['target']}/activate").status == 200
    edge.service.settle()
    edge.service.settle()


def test_a_host_is_emptied(edge, op, ports: list[str]) -> None:
    """Every port gets a passive binding, so many at once, and what has become of each is shown until it is ended."""
    answer = op("POST", BEGIN, {"evacuation": {"to": ["h2", "h3"], "parallel": 2}})
    assert answer.status == 200
    shown = answer.body["evacuation"]
    assert {
        key: shown[key] for key in ("host", "state", "to", "parallel", "activate", "waiting", "done", "failed")
    } == {
        "host": "h1",
        "state": "evacuating",
        "to": ["h2", "h3"],
        "parallel": 2,
        "activate": False,
        "waiting": [ports[2]],
        "done": [],
        "failed": [],
    }
    assert [(move["port_id"], move["target"], move["phase"]) for move in shown["moving"]] == [
        (ports[0], "h2", "preparing"),
        (ports[1], "h3", "preparing"),
    ]
    assert op("GET", f"/v1/moves/{shown['moving'][0]['move_id']}").body["move"]["trigger"] == "evacuation"
    for _ in range(2):
        leave(edge, op)
    shown = op("GET", SHOWN).body["evacuation"]
    assert (shown["state"], sorted(shown["done"])) == ("evacuated", sorted(ports))
    assert op("DELETE", SHOWN).status == 204
    assert op("GET", SHOWN).error["type"] == "EvacuationNotFound"


def test_by_default_as_the_settings_say(op, ports: list[str]) -> None:
    """Who names neither targets nor a number gets any host, and as many at once as the controller is set to."""
    assert ports
    shown = op("POST", BEGIN, {"evacuation": {}}).body["evacuation"]
    assert (shown["to"], shown["parallel"], len(shown["moving"])) == ([], 16, 3)


def test_nothing_new_moves_to_it(op, ports: list[str]) -> None:
    """A host that is being emptied cannot be prepared for a port of another one."""
    assert op("POST", BEGIN, {"evacuation": {"parallel": 1}}).status == 200
    assert op("PUT", f"/v2.0/ports/{ports[2]}", {"port": {"binding:host_id": "h2"}}).status == 200
    refused = op("POST", f"/v2.0/ports/{ports[2]}/bindings", {"binding": {"host": "h1"}})
    assert (refused.status, refused.error["type"]) == (409, "HostUnderEvacuation")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "evacuation"),
        ({"evacuation": {"to": "h2"}}, "to"),
        ({"evacuation": {"to": ["no host"]}}, "to"),
        ({"evacuation": {"to": ["h9"]}}, "to"),
        ({"evacuation": {"to": ["h1"]}}, "to"),
        ({"evacuation": {"parallel": 0}}, "parallel"),
        ({"evacuation": {"parallel": 1001}}, "parallel"),
        ({"evacuation": {"parallel": "2"}}, "parallel"),
        ({"evacuation": {"activate": 1}}, "activate"),
        ({"evacuation": {"when": "now"}}, "when"),
    ],
)
@pytest.mark.usefixtures("ports")
def test_a_bad_wish_is_refused_by_field(op, unchanged, body: object, field: str) -> None:
    """What is wrong with an evacuation is said by its field, and nothing changes."""
    unchanged()
    refused = op("POST", BEGIN, body)
    assert refused.status == 400
    assert field in refused.error["message"]


def test_unknown_hosts(op, unchanged) -> None:
    """A host that never joined cannot be emptied, and one that is not being emptied has nothing to show or end."""
    unchanged()
    assert op("POST", "/v1/hosts/h9/evacuate", {"evacuation": {}}).error["type"] == "HostNotFound"
    assert op("GET", SHOWN).status == 404
    assert op("DELETE", SHOWN).error["type"] == "EvacuationNotFound"


@pytest.mark.usefixtures("ports")
def test_tenants_may_not(edge, blue) -> None:
    """Only the operator empties hosts, or learns that one is."""
    edge.documents()
    for method, path in (("POST", BEGIN), ("GET", SHOWN), ("DELETE", SHOWN)):
        assert blue(method, path, {"evacuation": {}} if method == "POST" else None).status == 403


# ── from a terminal ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def host(edge, tmp_path: Path):
    """Type after ``vl2 host``."""
    file = tmp_path / "operator.token"
    file.write_text("operator-0123456789\n")

    def run(*words: str) -> Result:
        return CliRunner().invoke(
            command, ["--url", f"http://127.0.0.1:{edge.port}", "--token-file", str(file), *words]
        )

    return run


def test_the_terminal_says_the_same(edge, op, ports: list[str], host) -> None:
    """An evacuation is begun, looked at and ended from a terminal, in a person's words or as JSON."""
    said = host("evacuate", "h1", "--to", "h2", "--parallel", "1").output
    assert "host    h1  being emptied: 2 waiting, 1 moving, 0 done, 0 failed, 0 staying" in said
    assert f"moving  {ports[0]}  to h2: preparing" in said
    leave(edge, op)
    found = json.loads(host("evacuation", "h1", "--json").output)["evacuation"]
    assert found == op("GET", SHOWN).body["evacuation"]
    assert found["done"] == [ports[0]]
    assert host("readmit", "h1").output == "h1 takes ports again\n"
    refused = host("evacuation", "h1")
    assert (refused.exit_code, refused.output) == (2, "vl2 host: Host h1 is not being evacuated.\n")


def test_waiting_for_the_end(op, ports: list[str], host) -> None:
    """With --wait the command returns when nothing moves any more, and its exit code says whether all have left."""
    for port_id in ports:
        assert op("DELETE", f"/v2.0/ports/{port_id}").status == 204
    done = host("evacuate", "h1", "--wait", "--json")
    assert (done.exit_code, json.loads(done.output)["evacuation"]["state"]) == (0, "evacuated")


def test_waiting_for_what_stays(edge, host) -> None:
    """Ports that are left at the end make the exit code 1, and are named with the reason."""
    edge.service.apply(HostSeen(EDGE))
    edge.service.apply(EdgeSnapshot(EDGE.name, (("e1", 3),)))
    edge.service.apply(CreateNetwork("net", "blue"))
    edge.service.apply(CreatePort("wired", "blue", "net", mac=Mac(9), attach=Attach(VnicType.DIRECT, EDGE.name, "e1")))
    left = host("evacuate", "tor", "--wait")
    assert left.exit_code == 1
    assert "staying wired  it is wired to an edge switch (binding:vnic_type direct)" in left.output
    assert left.output.endswith("vl2 host: ports are left at tor\n")


@pytest.mark.usefixtures("ports")
def test_hosts_are_listed(op, host) -> None:
    """The list of hosts says who is connected, how many ports there are, and who is being emptied."""
    assert "host    h1  10.0.1.11  3 ports, connected" in host("list").output
    assert json.loads(host("list", "--json").output) == op("GET", "/v1/hosts").body
