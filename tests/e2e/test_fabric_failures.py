"""Switches and cables of the fabric fail and return under traffic."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest

from tests.e2e.scene import Net, Scene, wait
from topologies.probing import ProbeReport, probing

pytestmark = [pytest.mark.alone, pytest.mark.root]

# With four aggregation switches, tor1 (agg1, agg2) and tor3 (agg3, agg4) meet at the intermediates only.
TOPOLOGY, PARAMS = "vl2", {"intermediates": 2, "aggregations": 4, "tors": 3}
SWITCHES = ["int1", "int2", "agg1", "agg2", "agg3", "agg4"]
LINKS = [
    *((f"agg{a}", f"int{i}") for a in range(1, 5) for i in (1, 2)),
    *(("tor1", f"agg{a}") for a in (1, 2)),
    *(("tor2", f"agg{a}") for a in (2, 3)),
    *(("tor3", f"agg{a}") for a in (3, 4)),
]
GAP_MS = 500
"""More than a repair takes even where no other next hop was known; a carrier that is reported late takes a second."""
AFTERWARDS = 300
"""Probes of each direction that follow the repair and must all arrive."""


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """Two machines at opposite ends of the fabric, and one between."""
    net = scene.network("red")
    for name, host in (("left", "h1"), ("middle", "h2"), ("right", "h3")):
        scene.vm(name, host, net)
    return net


def groups(scene: Scene) -> dict[str, set[str]]:
    """The groups of every running switch, with their buckets."""
    found = {}
    for switch in scene.lab.status().switches:
        if switch.running:
            said = scene.ofctl(switch.name, "dump-groups", "br0")
            found[switch.name] = {line.strip() for line in said.splitlines() if "group_id=" in line}
    return found


def usable_links(scene: Scene) -> int:
    """How many directions of cables the controller uses."""
    links = scene.ask("GET", "/v1/topology")["topology"]["links"]
    return sum(link["usable"] for link in links)


def went_on(report: ProbeReport) -> bool:
    """Whether both directions lost one stretch at most, and everything of the end arrived."""
    return all(
        way.longest_gap_ms < GAP_MS and way.lost < GAP_MS and way.sent - AFTERWARDS > max(way.missing, default=-1)
        for way in (report.there, report.back)
    )


def assert_back(scene: Scene, before: dict[str, set[str]], links: int) -> None:
    """All is used as it was, soon."""
    wait(scene.all_connected, "all switches are connected")
    wait(lambda: usable_links(scene) == links, "all cables are used again")
    deadline = time.monotonic() + 20
    while (now := buckets(groups(scene))) != buckets(before):
        assert time.monotonic() < deadline, {
            switch: (now.get(switch), was) for switch, was in buckets(before).items() if now.get(switch) != was
        }


def buckets(held: dict[str, set[str]]) -> dict[str, list[list[str]]]:
    """The sets of next hops of each switch, without the groups' numbers."""
    return {
        switch: sorted(sorted(part for part in line.split(",") if "output" in part) for line in lines)
        for switch, lines in held.items()
    }


@dataclass(frozen=True)
class Sent:
    """Flow-mods that each switch of the fabric was sent, and group-mods that all of them were."""

    flows: dict[str, int]
    groups: int


def sent(scene: Scene) -> Sent:
    """Ask the controller what it has sent to the fabric so far."""
    fabric = {switch.dpid for switch in scene.lab.status().switches}
    mods = {dpid: each for dpid, each in scene.sent().items() if dpid in fabric}
    return Sent({dpid: flows for dpid, (flows, _) in mods.items()}, sum(groups for _, groups in mods.values()))


@pytest.mark.parametrize("victim", SWITCHES)
@pytest.mark.usefixtures("net")
def test_traffic_survives_a_switch(scene: Scene, victim: str) -> None:
    """When an aggregation or intermediate switch dies, traffic goes on; the switch is used again when it is back."""
    before, links = groups(scene), usable_links(scene)
    gone = 2 * sum(victim in (link.one, link.other) for link in scene.lab.status().links)
    try:
        with probing(scene.lab, "left", "right") as probe:
            scene.lab.kill_switch(victim)
            wait(lambda: usable_links(scene) == links - gone, f"{victim} is given up")
            settle(scene)
        assert went_on(probe.result()), probe.result()
        assert scene.reaches("left", scene.ip("middle"))
        assert scene.reaches("middle", scene.ip("right"))
    finally:
        scene.lab.revive_switch(victim)
    assert_back(scene, before, links)
    assert scene.reaches("left", scene.ip("right"))


def settle(scene: Scene) -> None:
    """Let enough probes follow the first ping that is answered again."""
    wait(lambda: scene.reaches("left", scene.ip("right")), "the ends reach each other again")
    argv = ["ping", "-n", "-q", "-c8", "-i0.1", "-W1", scene.ip("right")]
    assert "8 received" in scene.lab.run("left", argv).stdout


@pytest.mark.parametrize(("one", "other"), LINKS, ids=["-".join(link) for link in LINKS])
@pytest.mark.usefixtures("net")
def test_traffic_survives_a_link(scene: Scene, one: str, other: str) -> None:
    """When a cable of the fabric is cut, traffic goes on, and the cable is used again when it is mended; neither sends
    a flow to any switch of the fabric, but groups.
    """
    before, links, mods = groups(scene), usable_links(scene), sent(scene)
    try:
        with probing(scene.lab, "left", "right") as probe:
            scene.lab.set_link(one, other, up=False)
            wait(lambda: usable_links(scene) == links - 2, f"{one}-{other} is given up")
            settle(scene)
        assert went_on(probe.result()), probe.result()
        wait(scene.all_connected, "all switches have confirmed the repair")
        repaired = sent(scene)
        assert repaired.flows == mods.flows
        assert repaired.groups > mods.groups
    finally:
        scene.lab.set_link(one, other, up=True)
    assert_back(scene, before, links)
    assert sent(scene).flows == mods.flows
