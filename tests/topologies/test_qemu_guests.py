"""Do real guests boot, talk and survive their moves?"""

from __future__ import annotations

import os
import select
import signal
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("topologies.mn", reason="Mininet is not importable here", exc_type=ImportError)

from topologies.client import LabClient
from topologies.errors import LabError, NoSuchNode, TopologyError
from topologies.orders import Kind, VmStatus
from topologies.probing import address_of
from topologies.transfers import downloading, echoing

pytestmark = [
    pytest.mark.alone,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces"),
]

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Scene:
    """A lab with a guest at h1 and a namespace machine at h3, in one network that has DHCP."""

    lab: LabClient
    network: str

    @property
    def guest(self) -> VmStatus:
        """The guest."""
        return next(each for each in self.lab.status().vms if each.name == "guest")

    @property
    def host(self) -> str:
        """Where it is."""
        return self.guest.host

    @property
    def elsewhere(self) -> str:
        """A hypervisor in another rack."""
        return "h4" if self.host == "h1" else "h1"

    def phases(self) -> list[str]:
        """How the guest's moves have ended, or where they are."""
        port = self.guest.port_id
        with self.lab.rest() as rest:
            return [each["phase"] for each in rest.ask("GET", f"/v1/moves?port_id={port}")["moves"]]

    def waiting(self) -> list[int]:
        """The QEMU processes that wait for a guest to arrive."""
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if b"-incoming" in words and any(str(self.lab.directory).encode() in word for word in words):
                    found.append(int(entry.name))
        return [pid for pid in found if pid not in {each.pid for each in self.lab.status().vms}]


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """The lab, with a short grace after moves, since nobody measures here."""
    lab = LabClient(f"t{uuid.uuid4().hex[:6]}")
    try:
        lab.up("vl2", rest_port=0, settings={"overlay": {"grace_seconds": 0.3}})
        with lab.rest() as rest:
            made = rest.ask("POST", "/v2.0/networks", {"network": {"name": "net", "project_id": "red"}})
            network = made["network"]["id"]
            for cidr, version in (("192.168.0.0/24", 4), ("fd00:5::/64", 6)):
                subnet = {"network_id": network, "project_id": "red", "cidr": cidr, "ip_version": version}
                rest.ask("POST", "/v2.0/subnets", {"subnet": subnet})
        with ThreadPoolExecutor(2) as pool:
            pool.submit(lab.vm_add, "peer", "h3", network=network).result()
            pool.submit(lab.vm_add, "guest", "h1", network=network, qemu=True).result()
        yield Scene(lab, network)
    finally:
        lab.down()


def poll(condition, seconds=15.0):
    """Wait until a condition holds; fails after a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        select.select((), (), (), 0.01)


def test_a_guest_boots_with_its_addresses_and_is_reached(scene):
    """A guest runs a kernel of its own, has its port's addresses, and answers a namespace machine by v4 and v6."""
    status = scene.guest
    assert status.kind is Kind.QEMU
    told = scene.lab.run("guest", ["ip", "address", "show", "eth0"]).stdout
    assert status.mac in told
    assert all(address in told for address in status.addresses)
    assert scene.lab.run("guest", ["uname", "-r"]).stdout.strip() != os.uname().release
    for version in (4, 6):
        address = address_of(scene.lab, "guest", version=version)
        poll(lambda address=address: scene.lab.run("peer", ["ping", "-c1", "-W1", address]).returncode == 0)


def test_commands_run_in_the_guest_side_by_side(scene):
    """A command's output, error and exit code come back, whatever is in its words, and none waits for another."""
    done = scene.lab.run("guest", ["sh", "-c", 'echo "it\'s $0"; echo no >&2; exit 3', "a  b\nc"])
    assert (done.returncode, done.stdout, done.stderr) == (3, "it's a  b\nc\n", "no\n")
    with ThreadPoolExecutor(2) as pool:
        waits = pool.submit(
            scene.lab.run, "guest", ["sh", "-c", "until [ -e /srv/go ]; do usleep 10000; done; echo gone"]
        )
        assert scene.lab.run("guest", ["touch", "/srv/go"]).returncode == 0
        assert waits.result().stdout == "gone\n"
    large = scene.lab.run("guest", ["sh", "-c", "yes vl2 | head -c 100000"]).stdout
    assert len(large) == 100_000
    assert scene.lab.run("guest", ["sleep", "1000"], seconds=1).returncode == 128 + signal.SIGKILL


def test_transfers_survive_two_live_moves(scene):
    """While a guest moves to another rack and back, a download and an echoed stream go on, and every byte is right."""
    boot = scene.lab.run("guest", ["cat", "/proc/sys/kernel/random/boot_id"]).stdout
    with (
        downloading(scene.lab, "guest", "peer", size=8 * MEGABYTE) as download,
        echoing(scene.lab, "guest", "peer") as echo,
    ):
        for _ in range(2):
            target = scene.elsewhere
            report = scene.lab.vm_move("guest", target)
            assert scene.host == report.target == target
            told = [what for what, _ in report.told]
            assert told.index("source STOP") < told.index("target RESUME")
            assert report.activated_ms <= report.stopped_ms < report.resumed_ms
    assert download.result().intact
    assert download.result().bytes == 8 * MEGABYTE
    assert echo.result().intact
    assert echo.result().bytes > 0
    assert scene.lab.run("guest", ["cat", "/proc/sys/kernel/random/boot_id"]).stdout == boot
    assert scene.phases()[-2:] == ["settled", "settled"]


@pytest.mark.parametrize(
    ("trigger", "moment"), [("rest", "stopped"), ("rest", "resumed"), ("rarp", None), ("bound", None), ("appear", None)]
)
def test_a_stream_survives_whatever_tells_of_the_move(scene, trigger, moment):
    """Switched over at STOP, at RESUME, by the guest's RARP alone or by the ports alone: the stream goes on."""
    with echoing(scene.lab, "guest", "peer") as echo:
        report = scene.lab.vm_move("guest", scene.elsewhere, trigger=trigger, moment=moment)
    assert scene.host == report.target
    assert echo.result().intact
    assert scene.phases()[-1] == "settled"


def test_a_guest_whose_target_fails_runs_on(scene):
    """If the target's QEMU dies while it waits, the move is refused, cancelled, and the guest runs on at the source."""
    before = scene.guest
    with echoing(scene.lab, "guest", "peer") as echo, ThreadPoolExecutor(1) as pool:
        move = pool.submit(scene.lab.vm_move, "guest", scene.elsewhere, copying_ms=1000)
        poll(scene.waiting)
        poll(lambda: scene.phases()[-1] == "ready")
        for pid in scene.waiting():
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(LabError, match="QEMU"):
            move.result()
    assert echo.result().intact
    assert scene.phases()[-1] == "cancelled"
    assert scene.guest == before
    assert "tap" not in scene.lab.run(scene.elsewhere, ["ip", "-brief", "link"]).stdout


def test_a_guest_whose_target_fails_in_the_pause_is_called_back(scene):
    """If the target's QEMU dies while the guest stands still, it goes on at the source, and the network goes back."""
    home = scene.host
    with echoing(scene.lab, "guest", "peer") as echo, ThreadPoolExecutor(1) as pool:
        move = pool.submit(scene.lab.vm_move, "guest", scene.elsewhere, pause_ms=600, moment="stopped")
        poll(lambda: scene.phases()[-1] in {"repointing", "grace"})
        for pid in scene.waiting():
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(LabError, match="QEMU"):
            move.result()
        address = address_of(scene.lab, "guest")
        poll(lambda: scene.lab.run("peer", ["ping", "-c1", "-W1", address]).returncode == 0)
    assert echo.result().intact
    assert scene.host == home


def test_bad_input_is_refused_and_changes_nothing(scene):
    """VLANs on a guest, unknown hosts, moments that do not fit and commands for nobody are refused by their field."""
    before = scene.guest
    mistakes = [
        (
            lambda: scene.lab.vm_add("more", "h1", network=scene.network, qemu=True, vlans=[(5, before.port_id)]),
            TopologyError,
            "vlans",
        ),
        (lambda: scene.lab.vm_add("more", "h9", network=scene.network, qemu=True), NoSuchNode, "host"),
        (lambda: scene.lab.vm_add("guest", "h1", network=scene.network, qemu=True), TopologyError, "name"),
        (lambda: scene.lab.vm_move("guest", "h9"), NoSuchNode, "to"),
        (lambda: scene.lab.vm_move("guest", scene.host), TopologyError, "to"),
        (lambda: scene.lab.vm_move("guest", scene.elsewhere, moment="never"), TopologyError, "moment"),
        (lambda: scene.lab.vm_move("guest", scene.elsewhere, trigger="rarp", moment="ready"), TopologyError, "moment"),
        (lambda: scene.lab.run("guest", ["true"], seconds=-1), TopologyError, "seconds"),
        (lambda: scene.lab.run("nobody", ["true"]), NoSuchNode, "name"),
    ]
    for mistake, kind, field in mistakes:
        with pytest.raises(kind) as wrong:
            mistake()
        assert wrong.value.field == field
    assert scene.guest == before
    assert len(scene.lab.status().vms) == 2


def test_a_deleted_guest_leaves_nothing(scene):
    """A guest that asked for its address by DHCP has it, and ``vm del`` ends its QEMU, its tap and its sockets."""
    status = scene.lab.vm_add("brief", "h2", network=scene.network, qemu=True, configure="dhcp")
    address = next(each for each in status.addresses if ":" not in each)
    assert address in scene.lab.run("brief", ["ip", "address", "show", "eth0"]).stdout
    handle = os.pidfd_open(status.pid)
    scene.lab.vm_del("brief")
    assert select.select([handle], (), (), 10)[0]
    os.close(handle)
    assert status.tap not in scene.lab.run("h2", ["ip", "-brief", "link"]).stdout
    assert not [each for each in scene.lab.directory.glob("brief.*") if each.is_socket()]


def test_a_killed_lab_leaves_no_guest(scene):
    """After ``kill -9`` of the lab's daemon its guests' QEMUs run on, and ``down`` ends them."""
    handle = os.pidfd_open(scene.guest.pid)
    os.kill(scene.lab.status().daemon_pid, signal.SIGKILL)
    poll(lambda: not scene.lab.running)
    assert not select.select([handle], (), (), 0)[0]
    scene.lab.down()
    assert select.select([handle], (), (), 10)[0]
    os.close(handle)
    assert not scene.lab.directory.exists()
