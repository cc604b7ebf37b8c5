"""``vl2 fabric`` does what the API does, in a person's words."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from controller.fabric_cli import command, loads
from overlay.values import DatapathId

pytestmark = pytest.mark.usefixtures("desk")

LEAF, SPINE = "0000000000000064", "00000000000000c8"
DRAWN = {
    "nodes": [{"id": name, "dpid": dpid} for name, dpid in zip("abcxy", (100, 101, 102, 200, 201), strict=True)],
    "edges": [{"source": leaf, "target": spine} for leaf in "abc" for spine in "xy" for _ in range(2)],
}


@pytest.fixture
def where(edge, tmp_path: Path) -> list[str]:
    """The options that name the API and the operator's token."""
    file = tmp_path / "operator.token"
    file.write_text("operator-0123456789\n")
    return ["--url", f"http://127.0.0.1:{edge.port}", "--token-file", str(file)]


@pytest.fixture
def fabric(where):
    """Type after ``vl2 fabric``."""

    def run(*words: str, given: str | None = None) -> Result:
        return CliRunner().invoke(command, [*where, *words], input=given)

    return run


@pytest.fixture
def named(op, desk) -> None:
    """The fabric is intended as it is, and its switches have names by that: leaves a, b and c, spines x and y."""
    assert desk is not None
    assert op("PUT", "/v1/topology/intended", {"intended": {"format": "json", "document": DRAWN}}).status == 200


@pytest.mark.usefixtures("named")
def test_status_shows_all(fabric, desk) -> None:
    """The status shows policy, switches by name, links with weight and state, and problems."""
    said = fabric("status").output
    assert "policy  ecmp, 2 paths" in said
    assert f"switch  a  {LEAF}  connected, edge" in said
    assert "link    a:1 - x:1  usable, weight 1, 10000 Mbit/s" in said
    assert "problem" not in said
    desk.owner.disconnect(200)
    desk.callers.troubles = {DatapathId(200): ("external_ids:vl2-fabric: there is no bridge br0",)}
    desk.callers.unknown = (("192.0.2.7", "hung up: not JSON"),)
    fabric("drain", "x", "--no-wait")
    said = fabric("status").output
    assert "problem switch x: external_ids:vl2-fabric: there is no bridge br0" in said
    assert "problem OVSDB caller 192.0.2.7: hung up: not JSON" in said
    assert f"switch  x  {SPINE}  NOT CONNECTED, in maintenance, NOT DRAINED YET" in said
    assert f"problem switch x ({SPINE}) is not connected" in said
    assert json.loads(fabric("status", "--json").output)["policy"]["name"] == "ecmp"


def test_the_policy_is_shown_and_chosen(fabric, desk) -> None:
    """All policies are told with purpose and source, the chosen one marked; another can be tried and chosen."""
    assert "* ecmp " in fabric("policy").output
    tried = fabric("policy", "vlb", "--dry-run")
    assert "5 switches would change" in tried.output
    assert "with tag 1" in tried.output
    assert desk.owner.underlay.fabric.policy.name == "ecmp"
    chosen = fabric("policy", "disjoint", "--paths", "4")
    assert "* disjoint" in chosen.output
    assert "disjoint spreads over 4 paths" in chosen.output
    assert desk.owner.underlay.fabric.policy.name == "disjoint"


@pytest.mark.usefixtures("named")
def test_drain_waits_until_it_is_drained(fabric, desk, op) -> None:
    """``drain`` comes back when all switches have confirmed, and not before; ``undrain`` brings the switch back."""
    results: list[Result] = []
    typed = threading.Thread(target=lambda: results.append(fabric("drain", "x")))
    typed.start()
    while not op("GET", f"/v1/topology/switches/{SPINE}").body["switch"]["maintenance"]:
        assert typed.is_alive()
    assert not op("GET", f"/v1/topology/switches/{SPINE}").body["switch"]["drained"]
    assert typed.is_alive()
    desk.owner.confirm()
    typed.join(20)
    (result,) = results
    assert (result.exit_code, result.output) == (0, "x is drained\n")
    assert fabric("undrain", "x").output == "x is back in use\n"
    assert not op("GET", f"/v1/topology/switches/{SPINE}").body["switch"]["maintenance"]


def test_drain_gives_up_when_nobody_confirms(fabric) -> None:
    """A drain that is not confirmed in time is trouble, exit code 1; with --no-wait it is no concern."""
    result = fabric("drain", SPINE, "--timeout", "0")
    assert result.exit_code == 1
    assert "not drained within 0 s" in result.output
    assert "not drained yet" in fabric("drain", SPINE, "--no-wait").output


@pytest.mark.usefixtures("named")
def test_a_drain_is_tried_first(fabric, same_fabric) -> None:
    """A dry run tells the next hops before and after, and changes nothing."""
    same_fabric()
    said = fabric("drain", "x", "--dry-run").output
    assert "a: 2 routes, " in said
    assert "  to 10.0.2.0/24: ports 1, 2, 3, 4 → ports 3, 4" in said
    assert said.splitlines()[-1] == "3 switches would change"
    assert fabric("undrain", "x", "--dry-run").output == "nothing would change\n"
    assert json.loads(fabric("weight", "a:1", "9", "--dry-run", "--json").output)["dry_run"] is True


@pytest.mark.usefixtures("named")
def test_a_drain_that_cuts_off_is_refused_unless_forced(fabric) -> None:
    """The controller's refusal is one line with the hosts' addresses, exit code 2; --force overrules it."""
    refused = fabric("drain", "a")
    assert refused.exit_code == 2
    assert refused.output.startswith("vl2 fabric: maintenance would cut off 10.0.1.11")
    assert fabric("drain", "a", "--force", "--no-wait").exit_code == 0


@pytest.mark.parametrize(
    "link",
    [
        "a:1",
        "x:1",
        f"{LEAF}:1",
        SPINE.upper() + ":1",
        "a:1-x:1",
        "x:1-a:1",
        f"{SPINE}:1-{LEAF}:1",
        "x:1-a",
        "a:1-x",
        f"{LEAF}:1-{SPINE}",
    ],
)
@pytest.mark.usefixtures("named")
def test_a_link_has_many_names(fabric, desk, link: str) -> None:
    """A link is named by an end or by both, with names or datapath ids, in either order."""
    result = fabric("weight", link, "7", "--capacity", "1000")
    assert result.output == f"{link} has weight 7 and carries 1000 Mbit/s\n"
    ((tuned, tuning),) = desk.owner.underlay.fabric.upkeep.links.items()
    assert (str(tuned.a.datapath_id), tuned.a.port, tuning.weight) == (LEAF, 1, 7)
    assert fabric("weight", link).output == result.output


@pytest.mark.usefixtures("named")
def test_links_are_drained_as_well(fabric, op) -> None:
    """A link goes into maintenance and back by the same words as a switch."""
    assert fabric("drain", "a:1", "--no-wait").exit_code == 0
    assert op("GET", f"/v1/topology/links/{LEAF}:1").body["link"]["maintenance"]
    assert fabric("undrain", "a:1").output == "a:1 is back in use\n"


@pytest.mark.usefixtures("named")
def test_differences_are_an_exit_code(fabric, desk) -> None:
    """Without differences the command says nothing and ends with 0, otherwise with a line each and 1."""
    assert (fabric("differences").exit_code, fabric("differences").output) == (0, "")
    desk.owner.disconnect(200)
    found = fabric("differences")
    assert (found.exit_code, found.output) == (1, f"missing_switch   switch x ({SPINE}) is not connected\n")
    assert len(json.loads(fabric("differences", "--json").output)["differences"]) == 1


def test_the_intended_topology_comes_from_a_file(fabric, tmp_path: Path) -> None:
    """A file or standard input sets what is intended, in the language it begins in; it is shown as it was said."""
    file = tmp_path / "fabric.json"
    file.write_text(json.dumps(DRAWN))
    said = "5 switches and 12 links are intended, 0 differences\n"
    assert fabric("intended", str(file)).output == said
    assert json.loads(fabric("intended").output) == DRAWN
    assert fabric("intended", "-", given=json.dumps(DRAWN)).output == said
    graphml = '<graphml><key id="d" for="node" attr.name="dpid" attr.type="int"/><graph><node id="n">\
<data key="d">100</data></node></graph></graphml>'
    assert fabric("intended", "-", given=graphml).output.startswith("1 switches and 0 links are intended, ")
    assert fabric("intended", "--delete").output == "no topology is intended any more\n"
    assert fabric("intended").exit_code == 2


@pytest.mark.usefixtures("named")
def test_a_switch_can_be_forgotten(fabric, desk) -> None:
    """A disconnected switch is forgotten; a connected one is refused."""
    assert fabric("forget", "x").exit_code == 2
    desk.owner.disconnect(200)
    assert fabric("forget", "x").output == "x is forgotten\n"


def test_loads_are_told_by_link() -> None:
    """What links carry is told the busiest first, with names, shares and drops, and what was not counted as such."""

    def link(port: int, rate: float | None, share: float | None) -> dict[str, object]:
        ends = {"from_datapath_id": LEAF, "from_port": port, "to_datapath_id": SPINE, "to_port": 1}
        return {
            **ends,
            "bits_per_second": rate,
            "utilisation": share,
            "drops_per_second": None if rate is None else 2.0,
        }

    rows = loads({"links": [link(1, None, None), link(2, 1e6, None), link(3, 5e6, 0.5)]}, {LEAF: "leaf"})
    assert [" ".join(row.split()) for row in rows] == [
        f"leaf:3 → {SPINE}:1 5.00 Mbit/s 50.0% 2 drops/s",
        f"leaf:2 → {SPINE}:1 1.00 Mbit/s 2 drops/s",
        f"leaf:1 → {SPINE}:1 not counted lately",
    ]


MISTAKES = [
    (["drain", "nobody"], "'nobody' is neither"),
    (["drain", "0" * 16], "no fabric switch 0000000000000000"),
    (["drain", "a:99"], "'a:99' is not a link"),
    (["drain", "a-b"], "'a-b' is not a link"),
    (["drain", "a-x"], "may be any of 2 links; say which by an end: a:1, a:2"),
    (["undrain", "nobody"], "nobody"),
    (["drain"], "Missing argument"),
    (["drain", "x", "--timeout", "soon"], "--timeout"),
    (["weight", "x", "5"], "'x' is not a link"),
    (["weight", "a:1", "0"], "weight: 0 is outside"),
    (["weight", "a:1", "--", "-1"], "weight: -1 is outside"),
    (["weight", "a:1", "1.5"], "not a valid integer"),
    (["weight", "a:1", "9" * 30], "weight"),
    (["weight", "a:1", "--capacity", "-1"], "capacity_mbps: -1"),
    (["weight", "a:1", "--dry-run"], "needs a WEIGHT"),
    (["policy", "rip"], "there is no policy 'rip'"),
    (["policy", "disjoint", "--paths", "0"], "paths: 0"),
    (["policy", "--paths", "2"], "need the NAME"),
    (["policy", "--dry-run"], "need the NAME"),
    (["intended", "/none/there"], "/none/there: No such file"),
    (["intended", "/", "--delete"], "either a FILE or --delete"),
    (["intended", "/"], "Is a directory"),
    (["intended", "-"], "document: is not JSON"),
    (["nonsense"], "nonsense"),
    (["forget", "nobody"], "nobody"),
]


@pytest.mark.parametrize(("words", "why"), [pytest.param(*row, id=" ".join(row[0])[:40]) for row in MISTAKES])
@pytest.mark.usefixtures("named")
def test_a_mistake_is_one_line(fabric, same_fabric, words: list[str], why: str) -> None:
    """What cannot be is told in one line and exit code 2, and nothing changes."""
    same_fabric()
    result = fabric(*words, given="nonsense")
    assert result.exit_code == 2, result.output
    assert why in result.output
    assert "Traceback" not in result.output


def test_where_the_controller_is(edge, where, tmp_path: Path) -> None:
    """The API and the token are found by the controller's configuration; what cannot be used is said by its option."""
    config = tmp_path / "vl2.toml"
    config.write_text(f'operator_token_file = "{where[3]}"\n[rest]\nlisten = "127.0.0.1:{edge.port}"\n')
    run = CliRunner().invoke
    assert "* ecmp" in run(command, ["--config", str(config), "policy"]).output
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for words, code, why in (
        (["--config", str(tmp_path / "none")], 2, "--config: "),
        ([*where[:2], "--token-file", str(tmp_path / "none")], 2, "--token-file: "),
        ([*where[:2], "--token-file", str(empty)], 2, "not a token"),
        (["--url", "ftp://127.0.0.1:1", *where[2:]], 2, "--url: "),
        (["--url", "nonsense", *where[2:]], 2, "--url: "),
        (["--url", "http://127.0.0.1:99999", *where[2:]], 2, "--url: "),
        (["--url", "http://127.0.0.1:1", *where[2:]], 1, "does not answer"),
        (["--url", "https://127.0.0.1:1", *where[2:]], 1, "does not answer"),
    ):
        result = run(command, [*words, "policy"])
        assert result.exit_code == code, result.output
        assert result.output.startswith("vl2 fabric: ")
        assert why in result.output
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong-token-0123456789")
    refused = run(command, [*where[:2], "--token-file", str(wrong), "policy"])
    assert (refused.exit_code, "wrong-token" in refused.output) == (2, False)


def test_what_is_no_controller(edge, where) -> None:
    """An answer that is not the API's is trouble, not a crash."""
    result = CliRunner().invoke(command, ["--url", f"http://127.0.0.1:{edge.port}", *where[2:], "load"])
    assert result.exit_code in {0, 2}
    assert "Traceback" not in result.output


def test_the_command_needs_no_web_server() -> None:
    """Asking for the command's help imports neither the controller's parts nor the framework."""
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom controller.fabric_cli import command\n"
        "assert 'drain' in CliRunner().invoke(command, ['--help']).output\n"
        "print(sorted({'flask', 'eventlet', 'ryu', 'os_ken', 'networkx', 'mininet'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
