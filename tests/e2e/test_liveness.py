"""A switch whose daemon dies or hangs while its links stay up is noticed by its neighbours and used again later."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.scene import Net, Scene, wait
from topologies.probing import ProbeReport, probing

pytestmark = [pytest.mark.alone, pytest.mark.root]

TOPOLOGY, PARAMS = "vl2", {"intermediates": 2, "aggregations": 2, "tors": 2}
VICTIM = "agg1"
GAP_MS = 500
"""More than three intervals of BFD and a repair take on a busy machine."""
TRIES = 5
"""On a busy machine we may look too late."""
AFTERWARDS = 300
"""Probes of each direction that follow the repair and must all arrive."""


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """A machine at each end of the fabric."""
    net = scene.network("red")
    for name, host in (("left", "h1"), ("right", "h2")):
        scene.vm(name, host, net)
    return net


def sessions(scene: Scene) -> dict[str, tuple[str, str]]:
    """Of every end of a link between two switches: the state of its BFD session, and the controller's mark."""
    status = scene.lab.status()
    switches = {each.name for each in status.switches}
    ends = {
        end
        for link in status.links
        if {link.one, link.other} <= switches
        for end in (link.one_interface, link.other_interface)
    }
    found = {}
    for switch in switches:
        words = ["ovs-vsctl", "--timeout=5", "--format=json", "--columns=name,bfd_status,external_ids"]
        said = scene.lab.run(switch, [*words, "list", "Interface"])
        for name, (_, status_of), (_, ids) in json.loads(said.stdout)["data"]:
            if name in ends:
                found[name] = (dict(status_of).get("state", ""), dict(ids).get("vl2-bfd", ""))
    assert found.keys() == ends
    return found


def all_watched(scene: Scene) -> bool:
    """Whether BFD runs on every link of the fabric, at both ends, and counts."""
    return set(sessions(scene).values()) == {("up", "armed")}


def liveness_of(scene: Scene, switch: str, interface: str) -> tuple[str, str]:
    """Of one interface: the state of its BFD session, and the controller's mark."""
    words = ["ovs-vsctl", "--timeout=5", "--format=json", "--columns=bfd_status,external_ids"]
    said = scene.lab.run(switch, [*words, "list", "Interface", interface]).stdout
    (((_, status), (_, ids)),) = json.loads(said)["data"]
    return dict(status).get("state", ""), dict(ids).get("vl2-bfd", "")


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


def settle(scene: Scene) -> None:
    """Let enough probes follow the first ping that is answered again."""
    wait(lambda: scene.reaches("left", scene.ip("right")), "the ends reach each other again")
    argv = ["ping", "-n", "-q", "-c8", "-i0.1", "-W1", scene.ip("right")]
    assert "8 received" in scene.lab.run("left", argv).stdout


def daemon(scene: Scene, switch: str) -> int:
    """The process id of a switch's ovs-vswitchd."""
    directory = next(each.directory for each in scene.lab.status().switches if each.name == switch)
    return int(Path(directory, "ovs-vswitchd.pid").read_text())


@pytest.mark.usefixtures("net")
def test_every_link_is_watched(scene: Scene) -> None:
    """BFD is up on both ends of every link between two switches of a lab, and counts."""
    wait(lambda: all_watched(scene), "BFD is up everywhere")


@pytest.mark.usefixtures("net")
def test_putting_it_on_loses_nothing(scene: Scene) -> None:
    """Traffic does not notice that BFD is put on working links, all of them at once."""
    wait(lambda: all_watched(scene), "BFD is up everywhere")
    control = scene.lab.status().controller
    assert control is not None
    config = Path(control.config)
    text = config.read_text()
    try:
        scene.lab.kill_controller(hard=False)
        config.write_text(f"{text}\n[fabric]\nbfd = false\n")
        scene.lab.start_controller()
        wait(lambda: set(sessions(scene).values()) == {("", "")}, "BFD is off everywhere")
        wait(scene.all_connected, "all switches are connected")
        scene.lab.kill_controller(hard=False)
    finally:
        config.write_text(text)
    with probing(scene.lab, "left", "right") as probe:
        scene.lab.start_controller()
        wait(lambda: all_watched(scene), "BFD is up everywhere")
    assert probe.result().lost == 0, probe.result()


def killed(scene: Scene) -> Callable[[], None]:
    """Kill the daemon; how to mend it."""
    scene.lab.kill_vswitchd(VICTIM)
    return lambda: scene.lab.restart_vswitchd(VICTIM)


def hung(scene: Scene) -> Callable[[], None]:
    """Stop the daemon; how to mend it."""
    pid = daemon(scene, VICTIM)
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("breaking", [killed, hung])
@pytest.mark.usefixtures("net")
def test_a_dead_daemon_is_noticed(scene: Scene, breaking: Callable[[Scene], Callable[[], None]]) -> None:
    """Traffic goes on when a middle switch's daemon dies or hangs with its links up; once back it is used again."""
    wait(lambda: all_watched(scene), "BFD is up everywhere")
    links = usable_links(scene)
    gone = 2 * sum(VICTIM in (link.one, link.other) for link in scene.lab.status().links)
    with probing(scene.lab, "left", "right") as probe:
        mend = breaking(scene)
        try:
            wait(lambda: usable_links(scene) == links - gone, f"{VICTIM} is given up")
            settle(scene)
        finally:
            mend()
    assert went_on(probe.result()), probe.result()
    wait(lambda: usable_links(scene) == links, f"{VICTIM} is used again")
    wait(lambda: all_watched(scene), "and watched")
    assert scene.reaches("left", scene.ip("right"))


def killed_under_guard(scene: Scene) -> Callable[[], None]:
    """Kill the daemon while BFD is starting on one of its links; how to mend it."""
    cable = next(link for link in scene.lab.status().links if VICTIM in {link.one, link.other})
    ends = {cable.one: cable.one_interface, cable.other: cable.other_interface}
    neighbour, interface = next((node, name) for node, name in ends.items() if node != VICTIM)
    for _ in range(TRIES):
        wait(lambda: all_watched(scene), "BFD is up everywhere")
        scene.lab.set_link(cable.one, cable.other, up=False)
        wait(lambda: liveness_of(scene, neighbour, interface)[1] == "", "BFD is off")
        scene.lab.set_link(cable.one, cable.other, up=True)
        wait(lambda: liveness_of(scene, neighbour, interface)[1] != "", "BFD is on again")
        mend = killed(scene)
        if liveness_of(scene, neighbour, interface)[1] == "guarded":
            return mend
        mend()
    raise AssertionError(f"BFD was up sooner {TRIES} times")


@pytest.mark.usefixtures("net")
def test_a_daemon_that_dies_before_bfd_is_up_is_noticed(scene: Scene) -> None:
    """A link that is back is guarded until BFD is up; a neighbour that dies meanwhile is given up all the same."""
    wait(lambda: all_watched(scene), "BFD is up everywhere")
    links = usable_links(scene)
    gone = 2 * sum(VICTIM in {link.one, link.other} for link in scene.lab.status().links)
    mend = killed_under_guard(scene)  # which ends its session with the controller, so that LLDP cannot tell
    try:
        wait(lambda: usable_links(scene) == links - gone, f"{VICTIM} is given up")
        settle(scene)
    finally:
        mend()
    wait(lambda: usable_links(scene) == links, f"{VICTIM} is used again")
    wait(lambda: all_watched(scene), "and watched")
