"""The load of real, shaped links is seen as it is, and elephants that collide on one of them part ways."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.scene import Net, Scene, wait

pytestmark = [pytest.mark.alone, pytest.mark.root, pytest.mark.slow]

BW = 20
TOPOLOGY, PARAMS = "leafspine", {"spines": 2, "leaves": 2, "hypervisors_per_edge": 2, "bw": BW}
SETTINGS = {
    "fabric": {
        "counters_interval": 0.5,
        "capacity_mbps": BW,
        "elephants": True,
        "elephant_threshold": 0.8,
        "elephant_interval": 2,
    }
}
LEFT, RIGHT = ("vm1", "vm3"), ("vm2", "vm4")
PAYLOAD = 1400
ON_THE_WIRE = (PAYLOAD + 28 + 14 + 36 + 14) / PAYLOAD
"""UDP and IP, the inner Ethernet header, VXLAN over UDP and IP, the outer Ethernet header."""
ELEPHANT = 12
"""Mbit/s: two of them are too many for a link, and each of them fits one that is idle."""
BUSY, QUIET = 1e6, 0.3e6
"""Bits per second of a probe, and below which nothing but chatter passes."""


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """Two machines under one leaf, and one for each of them to talk to under the other."""
    net = scene.network("red")
    for number in range(1, 5):
        scene.vm(f"vm{number}", f"h{number}", net)
    for near, far in (LEFT, RIGHT):
        wait(lambda near=near, far=far: scene.reaches(near, scene.ip(far)), f"{near} reaches {far}")
    return net


class Stream:
    """One UDP stream of iperf3 with ports of its own, so that its hash is the same whenever it runs."""

    def __init__(self, scene: Scene, ends: tuple[str, str], port: int, mbits: float, seconds: int) -> None:
        source, target = ends
        serve = ["iperf3", "-s", "-1", "-J", "-p", "5201"]
        self._server = self._start(scene.lab.command(target, serve))
        wait(lambda: ":5201" in scene.lab.run(target, ["ss", "-lnt"]).stdout, "iperf3 listens")
        options = ["-u", "-J", "-b", f"{mbits}M", "-l", str(PAYLOAD), "-t", str(seconds), "--cport", str(port)]
        talk = ["iperf3", "-c", scene.ip(target), "-p", "5201", *options]
        self._client = self._start(scene.lab.command(source, talk))

    @staticmethod
    def _start(argv: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def sent(self) -> float:
        """Wait for its end; what the sender has sent, in bits per second."""
        told = json.loads(self._client.communicate(timeout=60)[0])
        rate: float = told["end"]["sum"]["bits_per_second"]
        return rate

    def received(self) -> list[float]:
        """Wait for its end; what the receiver got, in bits per second, second by second."""
        told = json.loads(self._server.communicate(timeout=60)[0])
        return [each["sum"]["bits_per_second"] for each in told["intervals"]]

    def stop(self) -> None:
        """End it now."""
        for process in (self._client, self._server):
            process.kill()
            process.communicate()


@contextmanager
def stream(scene: Scene, *args: Any) -> Iterator[Stream]:
    """A stream that is over at the end."""
    made = Stream(scene, *args)
    try:
        yield made
    finally:
        made.stop()


def uplinks(scene: Scene) -> dict[int, dict[str, Any]]:
    """The load of the first leaf's up-links, by its ports."""
    (leaf,) = (each.dpid for each in scene.lab.status().switches if each.name == "leaf1")
    links = scene.ask("GET", "/v1/topology/load")["load"]["links"]
    return {link["from_port"]: link for link in links if int(link["from_datapath_id"], 16) == int(leaf, 16)}


def rates(scene: Scene) -> dict[int, float]:
    """What the first leaf's up-links carry, in bits per second."""
    return {port: link["bits_per_second"] or 0.0 for port, link in uplinks(scene).items()}


def elephants(scene: Scene) -> list[dict[str, Any]]:
    """The bins that are pinned."""
    found: list[dict[str, Any]] = scene.ask("GET", "/v1/topology/load")["load"]["elephants"]
    return found


def uplink_of(scene: Scene, ends: tuple[str, str], port: int) -> int:
    """By which up-link a stream with this source port goes."""
    wait(lambda: all(rate < QUIET for rate in rates(scene).values()), "the up-links are quiet")
    with stream(scene, ends, port, 2, 20):
        return wait(lambda: next((up for up, rate in rates(scene).items() if rate > BUSY), 0), "the stream is seen")


@pytest.mark.usefixtures("net")
def test_a_load_is_seen_as_it_is(scene: Scene) -> None:
    """Rate and utilisation of the link that a stream takes are within a fifth of what iperf3 says that it sent."""
    wait(lambda: len(rates(scene)) == 2, "both up-links are counted")
    with stream(scene, LEFT, 40000, 8, 8) as it:
        began = time.time()
        steady = wait(
            lambda: next(
                (
                    link
                    for link in uplinks(scene).values()
                    if (link["bits_per_second"] or 0) > BUSY and link["measured_at"] > began + 3
                ),
                None,
            ),
            "the stream runs steadily",
        )
        expected = it.sent() * ON_THE_WIRE
    assert steady["capacity_mbps"] == BW
    assert abs(steady["bits_per_second"] - expected) < 0.2 * expected
    assert abs(steady["utilisation"] - expected / (BW * 1e6)) < 0.2 * expected / (BW * 1e6)
    assert elephants(scene) == []


@pytest.mark.usefixtures("net")
def test_metrics_tell_the_same(scene: Scene) -> None:
    """The running controller is scraped with the operator's token, and counts the bytes of every up-link."""
    told = scene.lab.status().controller
    assert told is not None
    token = Path(told.operator_token_file).read_text().strip()
    url = f"http://{told.rest_host}:{told.rest_port}/metrics"
    done = subprocess.run(
        ["curl", "-sf", "-H", f"Authorization: Bearer {token}", url], capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("vl2_link_transmitted_bytes_total{")]
    assert len(lines) == 8
    assert all(float(line.rpartition(" ")[2]) > 0 for line in lines)
    assert 'vl2_switches_connected{kind="fabric"} 4.0' in done.stdout


@pytest.mark.usefixtures("net")
def test_elephants_that_collide_part_ways(scene: Scene) -> None:
    """Two streams that hash onto one up-link, which is too narrow for both, end on different ones, and lose nothing."""
    shared = uplink_of(scene, LEFT, 40000)
    colliding = next(port for port in range(40001, 40021) if uplink_of(scene, RIGHT, port) == shared)
    wait(lambda: all(rate < QUIET for rate in rates(scene).values()), "the up-links are quiet")
    with (
        stream(scene, LEFT, 40000, ELEPHANT, 25) as one,
        stream(scene, RIGHT, colliding, ELEPHANT, 25) as other,
    ):
        wait(lambda: elephants(scene), "an elephant is pinned", 25)
        wait(
            lambda: all(0.8 * ELEPHANT * 1e6 < rate < 0.8 * BW * 1e6 for rate in rates(scene).values()),
            "each up-link carries one",
            15,
        )
        (pinned,) = elephants(scene)
        assert pinned["port"] != shared
        for each in (one, other):
            last = each.received()[-4:-1]
            assert all(rate > 0.9 * ELEPHANT * 1e6 for rate in last), last
    wait(lambda: elephants(scene) == [], "an elephant that is gone is let go", 30)
