"""One VM's full-rate UDP cannot take another's share, once ports have a rate; which is the operator's to change."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("topologies.mn", reason="Mininet is not importable here", exc_type=ImportError)

from tests.e2e.scene import Net, Scene, wait
from topologies import namespace
from topologies.client import LabClient

pytestmark = [
    pytest.mark.alone,
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces"),
]

LINK_MBPS = 20
RATE, OTHER_RATE = 4_000, 8_000
"""kbit/s, of links of 20 Mbit/s."""
FLOOD = "60M"
SECONDS = 6
SENDING_METERS = 1 << 16
FRAME, PAYLOAD = 1_442, 1_400
"""An Ethernet frame of UDP, and what iperf3 counts of it."""


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """Two senders on h1 and their two receivers on h2, in a network each; ports have a rate."""
    lab = LabClient(f"e2e-{os.getpid()}-meters")
    try:
        lab.up(
            "linear",
            {"switches": 2, "bw": LINK_MBPS},
            rest_port=0,
            settings={"overlay": {"port_rate_kbps": RATE}},
        )
        scene = Scene(lab)
        wait(scene.all_connected, "all switches are connected")
        nets: dict[str, Net] = {}
        for project, sender, receiver in (("red", "flooder", "flooded"), ("blue", "client", "server")):
            nets[project] = scene.network(project)
            scene.vm(sender, "h1", nets[project])
            scene.vm(receiver, "h2", nets[project])
            wait(lambda a=sender, b=receiver: scene.reaches(a, scene.ip(b)), f"{sender} reaches {receiver}")
        yield scene
    finally:
        lab.down()


def listens(scene: Scene, name: str) -> bool:
    """Whether somebody listens on iperf3's port in a machine."""
    with namespace.inside(scene.vms()[name].pid):
        probe = socket.socket()
    with probe, suppress(OSError):
        probe.connect(("127.0.0.1", 5201))
        return True
    return False


def send(scene: Scene, *pairs: tuple[str, str, list[str]]) -> list[float]:
    """Let machines send to others for some seconds, all at once; what arrived, in kbit/s of payload."""
    with ExitStack() as stack:
        for _, receiver, _ in pairs:
            argv = scene.lab.command(receiver, ["iperf3", "-s"])
            server = stack.enter_context(subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            stack.callback(server.terminate)
            wait(lambda name=receiver: listens(scene, name), f"iperf3 listens in {receiver}")
        clients = []
        for sender, receiver, how in pairs:
            words = ["iperf3", "-c", scene.ip(receiver), "-t", str(SECONDS), "--connect-timeout", "9000", "-J", *how]
            clients.append(
                stack.enter_context(
                    subprocess.Popen(scene.lab.command(sender, words), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                )
            )
        return [received(client.communicate(timeout=60)[0]) for client in clients]


def received(said: bytes) -> float:
    """What a receiver got, in kbit/s."""
    told: dict[str, Any] = json.loads(said)
    assert "error" not in told, told["error"]
    total = told["end"].get("sum_received") or told["end"]["sum"]
    lost = total.get("lost_percent", 0.0) if not told["end"].get("sum_received") else 0.0
    return float(total["bits_per_second"]) * (1 - lost / 100) / 1000


def flood_and_transfer(scene: Scene) -> tuple[float, float]:
    """UDP at three times the link's rate beside one TCP connection, from one hypervisor; what arrived of both."""
    udp, tcp = send(
        scene,
        ("flooder", "flooded", ["-u", "-b", FLOOD, "-l", str(PAYLOAD)]),
        ("client", "server", []),
    )
    return udp, tcp


def meters(scene: Scene) -> dict[int, int]:
    """The rates of the taps' meters at h1, by OpenFlow port."""
    said = scene.ofctl("h1", "dump-meters", "br-int").replace("\n", " ")
    found = re.findall(r"meter=(\d+) kbps burst \S+ +type=drop rate=(\d+)", said)
    return {int(number) - SENDING_METERS: int(rate) for number, rate in found}


def metered(scene: Scene) -> set[int]:
    """The OpenFlow ports at h1 whose first flow goes through their own meter."""
    found = set()
    for flow in scene.flows("h1", "br-int", "table=0"):
        meter = re.search(r"meter:(\d+)", flow.text)
        if meter is not None:
            assert int(meter[1]) == SENDING_METERS + flow.number("in_port")
            found.add(flow.number("in_port"))
    return found


def taps(scene: Scene) -> set[int]:
    """The OpenFlow ports of the machines at h1."""
    return {scene.ofport("h1", vm.tap) for vm in scene.vms().values() if vm.host == "h1"}


def restart_with(scene: Scene, rate: int) -> None:
    """Change the setting as an operator does: edit the file, restart the controller."""
    control = scene.lab.status().controller
    assert control is not None
    file = Path(control.config)
    file.write_text(re.sub(r"port_rate_kbps = \d+", f"port_rate_kbps = {rate}", file.read_text()))
    scene.lab.kill_controller(hard=False)
    scene.lab.start_controller()
    wait(scene.all_connected, "all switches are connected again")


def test_a_flood_gets_its_rate_and_hurts_nobody(scene: Scene) -> None:
    """UDP far over the rate gets through within 10 % of the rate, and a neighbour's TCP has its own rate beside it."""
    assert metered(scene) == taps(scene)
    assert {port: meters(scene)[port] for port in taps(scene)} == dict.fromkeys(taps(scene), RATE)
    udp, tcp = flood_and_transfer(scene)
    assert udp == pytest.approx(RATE * PAYLOAD / FRAME, rel=0.1)
    assert tcp > RATE * 0.6


def test_a_restart_with_another_rate_changes_the_meters_only(scene: Scene) -> None:
    """After the setting was changed and the controller restarted the meters have the new rate; no flow is touched."""
    before = scene.rules("h1")
    restart_with(scene, OTHER_RATE)
    wait(lambda: set(meters(scene).values()) == {OTHER_RATE}, "the meters have the new rate")
    assert metered(scene) == taps(scene)
    assert scene.rules("h1") == before
    assert {flow_mods for flow_mods, _ in scene.sent().values()} == {0}


def test_without_a_rate_the_flood_takes_all(scene: Scene) -> None:
    """With the setting at 0 the flows lose their meters, and the same flood leaves the neighbour next to nothing."""
    restart_with(scene, 0)
    wait(lambda: not metered(scene), "no flow has a meter")
    udp, tcp = flood_and_transfer(scene)
    assert udp > 3 * RATE
    assert tcp < RATE * 0.6
    restart_with(scene, RATE)
    wait(lambda: metered(scene) == taps(scene), "the flows have their meters again")
    assert set(meters(scene).values()) == {RATE}
