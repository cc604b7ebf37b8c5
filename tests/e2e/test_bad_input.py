"""Mistakes are answered with one clear line or error, and change nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.scene import Net, Scene, wait
from topologies.client import ROOT, LabClient
from topologies.rest import RestError

pytestmark = pytest.mark.root

TOPOLOGY, PARAMS = "linear", {"switches": 2, "hypervisors_per_edge": 1}
NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """A network with one machine."""
    net = scene.network("red")
    scene.vm("one", "h1", net)
    return net


def processes(of: Path) -> list[str]:
    """The processes that carry a lab's mark."""
    found = []
    for each in Path("/proc").iterdir():
        with suppress(OSError):
            if each.name.isdigit() and f"VL2_LAB_MARK={of}\0".encode() in (each / "environ").read_bytes():
                found.append(each.name)
    return found


BROKEN = {
    "not XML": "this is not XML",
    "cut off": '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="undirected"><node id="a">',
    "in pieces": (
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="undirected">'
        '<node id="a"/><node id="b"/></graph></graphml>'
    ),
    "an edge to nobody": (
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="undirected">'
        '<node id="a"/><edge source="a" target="b"/></graph></graphml>'
    ),
}
MISTAKES = {
    "unknown topology": (["--topology", "moebius"], "moebius"),
    "unknown parameter": (["--topology", "ring", "--param", "knots=3"], "knots"),
    "no number": (["--topology", "ring", "--param", "switches=many"], "switches"),
    "no such file": (["--topology", "graphml", "--param", "source=/nonexistent.graphml"], "source"),
    **{f"GraphML that is {what}": (["--topology", "graphml", "--param", "source=FILE"], "source") for what in BROKEN},
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_lab_that_cannot_be_is_one_line_and_nothing_is_left(tmp_path: Path, mistake: str) -> None:
    """``vl2 lab up`` with a mistake ends with code 2 and one line that names it, and leaves nothing behind."""
    file = tmp_path / "broken.graphml"
    file.write_text(BROKEN.get(mistake.removeprefix("GraphML that is "), ""))
    words, named = MISTAKES[mistake]
    name = f"e2e-{os.getpid()}-wrong"
    done = subprocess.run(
        [str(Path(sys.executable).with_name("vl2")), "lab", "--name", name, "up", "--rest-port", "0"]
        + [word.replace("FILE", str(file)) for word in words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert named in line
    assert not (ROOT / name).exists()
    assert not LabClient(name).running
    assert processes(ROOT / name) == []


def refused(scene: Scene, method: str, path: str, body: dict[str, object] | None = None) -> RestError:
    """What a request is refused with."""
    with pytest.raises(RestError) as refusal:
        scene.ask(method, path, body)
    return refusal.value


def test_an_unknown_host_is_refused(scene: Scene, net: Net) -> None:
    """A binding to a host that never joined is refused by field, and the port stays where it was."""
    port = scene.vms()["one"].port_id
    before = scene.ask("GET", f"/v2.0/ports/{port}")
    for method, path, body in (
        ("POST", f"/v2.0/ports/{port}/bindings", {"binding": {"host": "h99"}}),
        ("PUT", f"/v2.0/ports/{port}", {"port": {"binding:host_id": "h99"}}),
        ("POST", "/v2.0/ports", {"port": {"network_id": net.id, "binding:host_id": "h99"}}),
    ):
        refusal = refused(scene, method, path, body)
        assert refusal.status == 400, refusal
        assert "h99" in str(refusal)
        assert "host" in str(refusal)
    assert scene.ask("GET", f"/v2.0/ports/{port}") == before


@pytest.mark.usefixtures("net")
def test_activating_nothing_is_refused(scene: Scene) -> None:
    """Activating a binding that does not exist, or a port that does not, answers 404 and starts no move."""
    port = scene.vms()["one"].port_id
    assert refused(scene, "PUT", f"/v2.0/ports/{port}/bindings/h2/activate").status == 404
    assert refused(scene, "PUT", f"/v2.0/ports/{NOWHERE}/bindings/h2/activate").status == 404
    assert scene.ask("GET", f"/v1/moves?port_id={port}")["moves"] == []


@pytest.mark.usefixtures("net")
def test_a_clash_of_locators_is_reported_and_the_first_keeps_it(scene: Scene) -> None:
    """A hypervisor that claims another's LA shows up in the health, and the first one goes on as before."""
    las = {each.name: each.la for each in scene.lab.status().hypervisors}
    before = scene.rules("h1")
    hosts = {each["name"]: each for each in scene.ask("GET", "/v1/hosts")["hosts"]}
    claim(scene, "h2", las["h1"])
    try:
        wait(lambda: scene.health()["clashes"], "the clash is reported")
        assert scene.health()["clashes"] == [{"host": "h2", "la": las["h1"], "holder": "h1"}]
        now = {each["name"]: each for each in scene.ask("GET", "/v1/hosts")["hosts"]}
        assert now["h1"] == hosts["h1"]
        assert scene.rules("h1") == before
    finally:
        claim(scene, "h2", las["h2"])
    wait(lambda: not scene.health()["clashes"], "the clash is over")


def claim(scene: Scene, host: str, la: str) -> None:
    """Join with an LA, as an operator does."""
    words = ["ovs-vsctl", "--timeout=10", "set", "Open_vSwitch", ".", f"external_ids:vl2-la={la}"]
    assert scene.lab.run(host, words).returncode == 0
