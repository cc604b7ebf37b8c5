"""The operator runs the fabric over REST: policy, maintenance, weights; and may try each of it first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.events import PortChanged
from controller.fabric.policies import POLICIES
from controller.store import StoreError
from overlay.values import DatapathId

pytestmark = pytest.mark.usefixtures("desk")

LEAF, SPINE, OTHER = "0000000000000064", "00000000000000c8", "00000000000000c9"
"""A leaf, and the two spines; the leaf's ports 1 and 2 lead to the first, 3 and 4 to the second."""
POLICY, SWITCHES, LINKS = "/v1/topology/policy", "/v1/topology/switches", "/v1/topology/links"


def change(op, path: str, **fields: object):
    """Change one thing that must be possible, and return it as it is then."""
    noun = path.split("/")[3].removesuffix("s").replace("switche", "switch").partition("?")[0]
    answer = op("PUT", path, {noun: fields})
    assert answer.status == 200, answer
    return answer.body.get(noun, answer.body)


def test_the_policy_is_shown_with_all_others(op) -> None:
    """The policy is shown with its purpose and source, beside all that there are."""
    policy = op("GET", POLICY).body["policy"]
    assert (policy["name"], policy["paths"]) == ("ecmp", 2)
    assert policy["purpose"] == POLICIES["ecmp"].purpose
    assert [each["name"] for each in policy["available"]] == list(POLICIES)
    assert [each["name"] for each in policy["available"] if each["chosen"]] == ["ecmp"]
    assert all(each["purpose"] and each["source"] for each in policy["available"])


@pytest.mark.parametrize("name", POLICIES)
def test_the_policy_can_be_chosen(op, desk, shelf, name: str) -> None:
    """Each policy can be chosen at run time, is stored, and the fabric's switches follow it."""
    chosen = change(op, POLICY, name=name, paths=3)
    assert (chosen["name"], chosen["paths"]) == (name, 3)
    assert shelf.kept["policy", "fabric"] == {"name": name, "paths": 3}
    assert desk.owner.underlay.fabric.policy is POLICIES[name]
    assert change(op, POLICY, name="shortest")["paths"] == 3
    desk.owner.confirm()
    assert any(wire.sent for wire in desk.owner.wires.values())


def test_a_switch_is_drained_when_all_have_confirmed(op, desk, shelf) -> None:
    """A switch in maintenance is drained once all other switches have confirmed to send nothing through it."""
    path = f"{SWITCHES}/{SPINE}"
    before = op("GET", path).body["switch"]
    assert (before["maintenance"], before["drained"], before["connected"]) == (False, False, True)
    sent = len(desk.owner.wires[int(LEAF, 16)].sent)
    away = change(op, path, maintenance=True)
    assert (away["maintenance"], away["drained"]) == (True, False)
    assert shelf.kept["maintenance", SPINE] == {}
    assert len(desk.owner.wires[int(LEAF, 16)].sent) == sent + 1
    desk.owner.confirm()
    assert op("GET", path).body["switch"]["drained"]
    assert [each["drained"] for each in op("GET", SWITCHES).body["switches"]] == [False, False, False, True, False]
    assert [each["maintenance"] for each in op("GET", "/v1/topology").body["topology"]["switches"]].count(True) == 1
    back = change(op, path, maintenance=False)
    assert (back["maintenance"], back["drained"]) == (False, False)
    assert shelf.kept["maintenance", SPINE] is None


def test_a_switch_is_not_drained_before_a_silent_one_has_confirmed(op, desk) -> None:
    """A switch that lost its session keeps sending by its old flows, so nothing that it uses is drained."""
    desk.owner.disconnect(int(LEAF, 16))
    change(op, f"{SWITCHES}/{SPINE}", maintenance=True)
    desk.owner.confirm()
    assert not op("GET", f"{SWITCHES}/{SPINE}").body["switch"]["drained"]


def test_a_link_is_tuned_by_either_end(op, desk, shelf) -> None:
    """A link's weight and capacity can be set by the id of either end; what is left out stays as it was."""
    shown = op("GET", f"{LINKS}/{LEAF}:1").body["link"]
    assert shown == {
        "id": f"{LEAF}:1",
        "a": {"datapath_id": LEAF, "port": 1},
        "b": {"datapath_id": SPINE, "port": 1},
        "weight": 1,
        "capacity_mbps": 10_000,
        "capacity_set": False,
        "maintenance": False,
        "damped": False,
        "usable": True,
        "drained": False,
        "assumed": False,
    }
    assert op("GET", f"{LINKS}/{SPINE}:1").body["link"] == shown
    assert len(op("GET", LINKS).body["links"]) == 12
    tuned = change(op, f"{LINKS}/{SPINE}:1", weight=5, capacity_mbps=1000)
    assert tuned == {**shown, "weight": 5, "capacity_mbps": 1000, "capacity_set": True}
    assert change(op, f"{LINKS}/{LEAF}:1", capacity_mbps=0) == {**shown, "weight": 5}
    assert change(op, f"{LINKS}/{LEAF}:1", weight=1) == shown
    assert next(body for (kind, _), body in shelf.kept.items() if kind == "tuning") is None
    away = change(op, f"{LINKS}/{LEAF}:1", maintenance=True)
    assert (away["maintenance"], away["drained"]) == (True, False)
    desk.owner.confirm()
    assert op("GET", f"{LINKS}/{LEAF}:1").body["link"]["drained"]


def test_a_cut_link_is_shown_as_it_is(op, desk) -> None:
    """A link that cannot be used is still a link, can be asked for and tuned, and says that it is not usable."""
    datapath_id = next(each for each in desk.owner.wires if str(each) == LEAF)
    port = desk.owner.underlay.fabric.switches[datapath_id].ports[1]
    desk.owner.turn(PortChanged(datapath_id, replace(port, up=False), gone=False))
    assert not op("GET", f"{LINKS}/{LEAF}:1").body["link"]["usable"]
    assert change(op, f"{LINKS}/{LEAF}:1", weight=7)["weight"] == 7


@pytest.mark.parametrize(
    ("path", "body", "switches"),
    [
        (POLICY, {"policy": {"name": "shortest"}}, 5),
        (f"{SWITCHES}/{SPINE}", {"switch": {"maintenance": True}}, 3),
        (f"{LINKS}/{LEAF}:1", {"link": {"weight": 9}}, 2),
        (f"{LINKS}/{LEAF}:1", {"link": {"maintenance": True}}, 2),
    ],
)
def test_a_dry_run_tells_and_changes_nothing(op, same_fabric, path: str, body: object, switches: int) -> None:
    """A dry run names the switches, routes and groups that would change, and nothing does."""
    same_fabric()
    answer = op("PUT", f"{path}?dry_run=true", body)
    assert answer.status == 200, answer
    assert answer.body["dry_run"] is True
    changes = answer.body["changes"]
    assert len(changes) == switches
    for change_ in changes:
        assert change_["routes"]
        for route in change_["routes"]:
            assert route["before"] != route["after"]


def test_a_dry_run_says_the_next_hops(op) -> None:
    """A dry run shows each route's next hops before and after, with weights and tags."""
    body = {"switch": {"maintenance": True}}
    (first, *_) = op("PUT", f"{SWITCHES}/{SPINE}?dry_run=true", body).body["changes"]
    assert first["datapath_id"] == LEAF
    assert first["routes"][0] == {
        "target": "to 10.0.2.0/24",
        "before": [{"port": port, "weight": 1, "tag": 0} for port in (1, 2, 3, 4)],
        "after": [{"port": port, "weight": 1, "tag": 0} for port in (3, 4)],
    }
    assert first["groups"]


def test_what_was_tried_is_what_happens(op, desk) -> None:
    """After a change was carried out, trying it again shows nothing left to do."""
    body = {"policy": {"name": "vlb"}}
    assert op("PUT", f"{POLICY}?dry_run=true", body).body["changes"]
    change(op, POLICY, name="vlb")
    desk.owner.confirm()
    assert op("PUT", f"{POLICY}?dry_run=true", body).body["changes"] == []


@pytest.mark.parametrize("dry", ["", "?dry_run=true"])
def test_hosts_are_not_cut_off_unless_forced(op, same_fabric, dry: str) -> None:
    """What would cut hosts off is refused with 409, its own type, and the hosts by their LAs."""
    same_fabric()
    answer = op("PUT", f"{SWITCHES}/{LEAF}{dry}", {"switch": {"maintenance": True}})
    assert (answer.status, answer.error["type"]) == (409, "HostsWouldBeCutOff")
    assert "10.0.1.11" in answer.error["message"]


def test_the_last_way_is_not_taken_unless_forced(op) -> None:
    """With one spine in maintenance the other may not follow, unless it is forced."""
    change(op, f"{SWITCHES}/{SPINE}", maintenance=True)
    refused = op("PUT", f"{SWITCHES}/{OTHER}", {"switch": {"maintenance": True}})
    assert (refused.status, refused.error["type"]) == (409, "HostsWouldBeCutOff")
    assert change(op, f"{SWITCHES}/{OTHER}", maintenance=True, force=True)["maintenance"]
    for port in (1, 2, 3):
        change(op, f"{LINKS}/{LEAF}:{port}", maintenance=True, force=True)
    assert op("GET", f"{LINKS}/{LEAF}:3").body["link"]["maintenance"]


def test_a_switch_that_is_gone_can_be_forgotten(op, desk) -> None:
    """A disconnected switch is forgotten with its links; a connected one is refused, an unknown one not found."""
    path = f"{SWITCHES}/{OTHER}"
    assert op("DELETE", path).error["type"] == "SwitchInUse"
    desk.owner.disconnect(int(OTHER, 16))
    assert op("DELETE", path).status == 204
    for method in ("GET", "DELETE"):
        assert (op(method, path).status, op(method, path).error["type"]) == (404, "SwitchNotFound")
    assert len(op("GET", LINKS).body["links"]) == 6
    assert op("GET", f"{LINKS}/{LEAF}:3").error["type"] == "LinkNotFound"


def test_a_switch_tells_what_is_wrong_with_its_ovsdb_session(op, desk) -> None:
    """What could not be told to a joined switch is said of it; who never got so far is in the controller's health."""
    assert all(each["problems"] == [] for each in op("GET", "/v1/topology/switches").body["switches"])
    desk.callers.troubles = {DatapathId(200): ("its OVSDB session is down",)}
    desk.callers.unknown = (("192.0.2.7:50000", "external_ids:vl2-fabric: there is no bridge br7"),)
    troubled = op("GET", f"/v1/topology/switches/{DatapathId(200)}").body["switch"]
    assert troubled["problems"] == ["its OVSDB session is down"]
    listed = {each["datapath_id"]: each["problems"] for each in op("GET", "/v1/topology/switches").body["switches"]}
    assert [problems for problems in listed.values() if problems] == [["its OVSDB session is down"]]
    assert listed[troubled["datapath_id"]]
    assert op("GET", "/v1/health").body["health"]["problems"] == [
        "OVSDB caller 192.0.2.7:50000: external_ids:vl2-fabric: there is no bridge br7"
    ]


def test_names_are_those_of_the_intended_topology(op) -> None:
    """A switch has the name that the intended topology gives it."""
    assert op("GET", f"{SWITCHES}/{LEAF}").body["switch"]["name"] == ""
    drawn = {"nodes": [{"id": "leaf1", "dpid": LEAF}], "edges": []}
    op("PUT", "/v1/topology/intended", {"intended": {"format": "json", "document": drawn}})
    assert op("GET", f"{SWITCHES}/{LEAF}").body["switch"]["name"] == "leaf1"


HUGE = 10**30
BAD = [
    (POLICY, {}, 400, "policy"),
    (POLICY, {"policy": {}}, 400, "name"),
    (POLICY, {"policy": {"paths": 2}}, 400, "name"),
    (POLICY, {"policy": {"name": "rip"}}, 400, "policy: there is no policy 'rip'"),
    (POLICY, {"policy": {"name": ""}}, 400, "name"),
    (POLICY, {"policy": {"name": 5}}, 400, "name"),
    (POLICY, {"policy": {"name": None}}, 400, "name"),
    (POLICY, {"policy": {"name": "x" * 300}}, 400, "name"),
    *(
        (POLICY, {"policy": {"name": "disjoint", "paths": paths}}, 400, "paths")
        for paths in (0, -1, 9, HUGE, 1.5, 2.0, "2", None, True, [2], {})
    ),
    (POLICY, {"policy": {"name": "vlb", "colour": 1}}, 400, "colour"),
    (f"{SWITCHES}/{SPINE}", {}, 400, "switch"),
    (f"{SWITCHES}/{SPINE}", {"switch": {}}, 400, "maintenance"),
    *(
        (f"{SWITCHES}/{SPINE}", {"switch": {"maintenance": value}}, 400, "maintenance")
        for value in ("true", 1, 0, None, "maybe", [], 1.0)
    ),
    (f"{SWITCHES}/{SPINE}", {"switch": {"maintenance": True, "force": "yes"}}, 400, "force"),
    (f"{SWITCHES}/{SPINE}", {"switch": {"maintenance": True, "weight": 2}}, 400, "weight"),
    (f"{SWITCHES}/{'0' * 15}9", {"switch": {"maintenance": True}}, 404, "0000000000000009"),
    (f"{SWITCHES}/nonsense", {"switch": {"maintenance": True}}, 400, "switch_id: 'nonsense'"),
    (f"{SWITCHES}/c8", {"switch": {"maintenance": True}}, 400, "switch_id"),
    (f"{LINKS}/{LEAF}:1", {}, 400, "link"),
    (f"{LINKS}/{LEAF}:1", {"link": []}, 400, "link"),
    *(
        (f"{LINKS}/{LEAF}:1", {"link": {"weight": weight}}, 400, "weight")
        for weight in (0, -1, 65536, HUGE, -HUGE, 1.5, 5.0, "5", None, True, [], {"a": 1})
    ),
    *(
        (f"{LINKS}/{LEAF}:1", {"link": {"capacity_mbps": capacity}}, 400, "capacity_mbps")
        for capacity in (-1, 10_000_001, HUGE, 0.5, 1e300, "1000", None, False, [1])
    ),
    *((f"{LINKS}/{LEAF}:1", {"link": {"maintenance": value}}, 400, "maintenance") for value in ("yes", 1, None)),
    (f"{LINKS}/{LEAF}:1", {"link": {"force": 1}}, 400, "force"),
    (f"{LINKS}/{LEAF}:1", {"link": {"weight": 2, "capacity_mbps": -1}}, 400, "capacity_mbps"),
    (f"{LINKS}/{LEAF}:1", {"link": {"wieght": 2}}, 400, "wieght"),
    (f"{LINKS}/{LEAF}:5", {"link": {"weight": 2}}, 404, f"{LEAF}:5"),
    (f"{LINKS}/{LEAF}:99", {"link": {"weight": 2}}, 404, f"{LEAF}:99"),
    (f"{LINKS}/{'0' * 15}9:1", {"link": {"weight": 2}}, 404, "0000000000000009:1"),
    *(
        (f"{LINKS}/{bad}", {"link": {"weight": 2}}, 400, "link_id")
        for bad in ("nonsense", LEAF, f"{LEAF}:", f"{LEAF}:x", f"{LEAF}:-1", f"{LEAF}:1:2", f"{LEAF}:{'9' * 20}")
    ),
]


@pytest.mark.parametrize("dry", ["", "?dry_run=true"], ids=["done", "tried"])
@pytest.mark.parametrize(
    ("path", "body", "status", "word"),
    [pytest.param(*row, id=f"{n} {row[0][13:20]} {row[3][:20]}") for n, row in enumerate(BAD)],
)
def test_a_bad_order(op, same_fabric, path: str, body: object, status: int, word: str, dry: str) -> None:  # noqa: PLR0917
    """An order that cannot be is answered with the field's name, tried or done, and nothing changes."""
    same_fabric()
    answer = op("PUT", path + dry, body)
    assert answer.status == status, answer
    assert word in answer.error["message"], answer


@pytest.mark.parametrize("query", ["dry_run=perhaps", "dry_run=2", "dry_run=", "force=true"])
def test_a_bad_query(op, same_fabric, query: str) -> None:
    """A query that is not understood is refused rather than carried out."""
    same_fabric()
    answer = op("PUT", f"{POLICY}?{query}", {"policy": {"name": "vlb"}})
    assert answer.status == 400, answer
    assert query.partition("=")[0] in answer.error["message"]


@pytest.mark.parametrize(
    "bad", ["[]", "null", '{"policy": {"name": "vlb", "paths": NaN}}', '{"policy": {"paths": ' + "9" * 5000 + "}}"]
)
def test_what_is_no_json_object(op, same_fabric, bad: str) -> None:
    """A body that is not a JSON object is refused before anything looks at it."""
    same_fabric()
    answer = op.raw("PUT", POLICY, bad.encode(), {"Content-Type": "application/json"})
    assert answer.status == 400
    assert "Malformed request body" in answer.error["message"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", POLICY, None),
        ("PUT", POLICY, {"policy": {"name": "vlb"}}),
        ("GET", SWITCHES, None),
        ("GET", f"{SWITCHES}/{SPINE}", None),
        ("PUT", f"{SWITCHES}/{SPINE}", {"switch": {"maintenance": True}}),
        ("DELETE", f"{SWITCHES}/{SPINE}", None),
        ("GET", LINKS, None),
        ("GET", f"{LINKS}/{LEAF}:1", None),
        ("PUT", f"{LINKS}/{LEAF}:1", {"link": {"weight": 2}}),
    ],
)
def test_the_fabric_is_the_operators(edge, same_fabric, method: str, path: str, body: object) -> None:
    """A project may neither see nor change the fabric."""
    same_fabric()
    answer = edge.as_("blue")(method, path, body)
    assert (answer.status, answer.error["type"]) == (403, "PolicyNotAuthorized")
    assert edge.as_(None)(method, path, body).status == 401


def test_a_failing_store_is_told(op, desk, shelf, monkeypatch, caplog) -> None:
    """When the store fails the operator is told so, and no switch is sent anything before it works again."""

    def broken(_documents: object) -> int:
        raise StoreError("the disk is full")

    sent = {datapath_id: len(wire.sent) for datapath_id, wire in desk.owner.wires.items()}
    with monkeypatch.context() as patch:
        patch.setattr(shelf, "commit", broken)
        answer = op("PUT", POLICY, {"policy": {"name": "shortest"}})
    assert answer.status == 503
    assert "the store fails" in answer.error["message"]
    assert "the store fails" in caplog.text
    assert {datapath_id: len(wire.sent) for datapath_id, wire in desk.owner.wires.items()} == sent
