"""The demo shows what it promises, to people and to programs."""

import json
import os
import subprocess
import sys

import pytest

from topologies.client import labs

pytestmark = [pytest.mark.alone, pytest.mark.root]

PROMISED = {
    "probes_sent": int,
    "probes_lost": int,
    "duplicates": int,
    "longest_gap_ms": float,
    "pause_ms": float,
    "tcp_survived": bool,
    "cross_tenant_frames": int,
    "path_before": list,
    "path_after": list,
    "flow_mods": int,
    "switches_touched": int,
    "activated_in_ms": float,
}


@pytest.fixture(scope="module")
def demo():
    """One run of the demo with a pause of 20 ms."""
    if "demo" in labs():
        pytest.fail("somebody's demo lab is up: vl2 lab --name demo down")
    return subprocess.run(
        [sys.executable, "-m", "controller", "demo", "--json", "--pause-ms", "20"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_the_demo_keeps_its_promise(demo):
    """The demo ends well and prints one JSON object with every promised key and nothing else on standard output."""
    assert demo.returncode == 0, demo.stderr
    seen = json.loads(demo.stdout)
    assert {key: type(seen.get(key)) for key in PROMISED} == PROMISED
    assert (seen["probes_lost"], seen["duplicates"], seen["cross_tenant_frames"]) == (0, 0, 0)
    assert seen["tcp_survived"]
    assert seen["own_frames"] > 0


def test_the_demo_moves_to_another_rack(demo):
    """The traced paths end at the old and at the new hypervisor, in different racks, and cross the fabric."""
    seen = json.loads(demo.stdout)
    before, after = seen["path_before"], seen["path_after"]
    assert (before[-1], after[-1]) == (seen["source"], seen["target"])
    assert before[-2] != after[-2]
    assert {before[-2][:3], after[-2][:3]} == {"tor"}
    assert seen["probes_sent"] > 2000
    assert seen["longest_gap_ms"] >= seen["pause_ms"]
    assert seen["flow_mods"] > 0


def test_the_demo_shows_progress_and_leaves_nothing(demo):
    """What happens is told on standard error while it happens, and the lab is gone afterwards."""
    assert demo.stderr.count("[") >= 6
    assert "demo" not in labs()


def test_a_topology_that_does_not_exist_is_a_mistake():
    """A wrong topology name is answered with one line and exit code 2, and nothing is left."""
    done = subprocess.run(
        [sys.executable, "-m", "controller", "demo", "--topology", "donut"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "donut" in done.stderr.splitlines()[-1]
    assert done.stdout == ""
    assert "demo" not in labs()


@pytest.fixture(scope="module")
def real_demo():
    """One run of the demo with real guests."""
    if "demo" in labs():
        pytest.fail("somebody's demo lab is up: vl2 lab --name demo down")
    return subprocess.run(
        [sys.executable, "-m", "controller", "demo", "--qemu", "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def test_real_guests_survive_the_demo(real_demo):
    """With ``--qemu`` one guest moves to another rack and back, and every transfer with it is intact at both ends."""
    assert real_demo.returncode == 0, real_demo.stderr
    seen = json.loads(real_demo.stdout)
    assert (seen["download_intact"], seen["echo_intact"], seen["files_intact"], seen["same_boot"]) == (True,) * 4
    assert seen["download_bytes"] == 16 << 20
    assert seen["echo_bytes"] > 0
    assert seen["files_fetched"] > 0
    there, back = seen["moves"]
    assert (there["source"], there["target"]) == (back["target"], back["source"])
    for move in (there, back):
        assert move["ready_ms"] < move["stopped_ms"] < move["resumed_ms"] < move["settled_ms"]
        assert "target RESUME" in dict(move["told"])
    assert "demo" not in labs()


def test_a_demo_without_qemu_says_what_to_install(tmp_path):
    """Where QEMU and busybox are not installed, ``--qemu`` is refused with their packages' names before a lab is up."""
    done = subprocess.run(
        [sys.executable, "-m", "controller", "demo", "--qemu"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PATH": str(tmp_path)},
    )
    assert done.returncode == 1
    assert "qemu-system-x86 busybox-static" in done.stderr.splitlines()[-1]
    assert "demo" not in labs()
