"""Does a lab remove all that it made, however it ends, and nothing else?"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("topologies.mn", reason="Mininet is not importable here", exc_type=ImportError)

from topologies import namespace
from topologies.client import LabClient
from topologies.errors import LabError, NoSuchLab
from topologies.ownership import Manifest

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces"),
]

SMALL = {"switches": 2}
PORT = "5f0d3c7e-0000-0000-0000-000000000001"


def processes() -> set[int]:
    """All processes that live."""
    found = set()
    for entry in Path("/proc").iterdir():
        with suppress(OSError, IndexError):
            if entry.name.isdigit() and (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.add(int(entry.name))
    return found


def alias(pid: int) -> str:
    """How ``ip link`` describes the loopback of a process's namespace."""
    words = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "link", "show", "lo"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


@dataclass(frozen=True)
class Footprint:
    """What one lab has on the machine."""

    namespaces: frozenset[int]
    prefix: str
    directory: Path

    @classmethod
    def of(cls, lab: LabClient) -> Footprint:
        manifest = Manifest.read(lab.directory)
        assert manifest is not None
        return cls(manifest.namespaces, manifest.prefix, lab.directory)

    def left(self) -> list[str]:
        """Whatever of it is still there."""
        found = [str(self.directory)] if self.directory.exists() else []
        links = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout
        found += [line.split()[0] for line in links.splitlines() if line.startswith(self.prefix)]
        for pid in processes():
            with suppress(OSError):
                # The inode alone proves nothing: the kernel gives it to the next namespace, maybe another test's.
                inside = namespace.inode(pid) in self.namespaces and str(self.directory) in alias(pid)
                if inside or str(self.directory).encode() in Path(f"/proc/{pid}/environ").read_bytes():
                    found.append(Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "))
        sockets = Path("/proc/net/unix").read_text()
        found += [line for line in sockets.splitlines() if str(self.directory) in line]
        return found


@pytest.fixture
def lab(root) -> Iterator[LabClient]:
    """A small lab without a controller, with a machine in it."""
    lab = LabClient(f"t{uuid.uuid4().hex[:6]}", root)
    try:
        lab.up("linear", SMALL, controller=False)
        for name in ("h1", "h2"):
            words = "ovs-vsctl add-br br-int -- set Bridge br-int datapath_type=netdev"
            done = lab.run(name, words.split())
            assert done.returncode == 0, done.stderr
        lab.vm_add("vm1", "h1", port_id=PORT, mac="02:00:00:00:00:01", addresses=["10.9.0.1/24"])
        yield lab
    finally:
        lab.down()


def ends(pid: int) -> None:
    """Wait until a process has ended."""
    handle = os.pidfd_open(pid)
    try:
        assert select.select([handle], (), (), 10)[0]
    finally:
        os.close(handle)


def test_down_removes_everything(lab):
    """After ``down`` no namespace, interface, process, socket or file of the lab exists, and its verbs say so."""
    footprint = Footprint.of(lab)
    assert len(footprint.left()) > 10
    assert lab.down()
    assert footprint.left() == []
    with pytest.raises(NoSuchLab):
        lab.status()
    assert not lab.down()


def test_down_removes_what_a_killed_daemon_has_left(lab):
    """After ``kill -9`` of the daemon, ``down`` still removes everything."""
    footprint = Footprint.of(lab)
    pid = lab.status().daemon_pid
    handle = os.pidfd_open(pid)
    signal.pidfd_send_signal(handle, signal.SIGKILL)
    os.close(handle)
    poll(lambda: not lab.running)
    assert len(footprint.left()) > 5
    assert lab.down()
    assert footprint.left() == []


def test_up_replaces_what_a_killed_daemon_has_left(lab):
    """After ``kill -9`` of the daemon, ``up`` removes the remains and starts afresh."""
    before = Footprint.of(lab)
    os.kill(lab.status().daemon_pid, signal.SIGKILL)
    poll(lambda: not lab.running)
    status = lab.up("linear", SMALL, controller=False)
    assert status.vms == ()
    assert all(each.running for each in (*status.switches, *status.hypervisors))
    # What the dead lab's namespaces are called now, others may use; only its processes must be gone.
    alive = {each.pid for each in (*status.switches, *status.hypervisors)}
    assert len(alive) == 4
    lab.down()
    assert before.left() == []


def test_strays_in_a_machine_end_with_the_lab(lab):
    """A process that a user left in a machine, with an environment of its own, ends with the lab."""
    footprint = Footprint.of(lab)
    words = lab.command("vm1", ["setsid", "env", "-i", "/bin/sleep", "1000"])
    with subprocess.Popen(words) as stray:
        os.kill(lab.status().daemon_pid, signal.SIGKILL)
        poll(lambda: not lab.running)
        lab.down()
        assert stray.wait(10) == -signal.SIGKILL
    assert footprint.left() == []


def test_a_deleted_machine_leaves_nothing(lab):
    """``vm del`` ends the machine's processes, its network card and its port in br-int."""
    pid = lab.status().vms[0].pid
    with subprocess.Popen(lab.command("vm1", ["sleep", "1000"])) as inside:
        lab.vm_del("vm1")
        assert inside.wait(10) == -signal.SIGKILL
    poll(lambda: pid not in processes())
    assert lab.status().vms == ()
    assert lab.run("h1", ["ovs-vsctl", "list-ports", "br-int"]).stdout == ""
    assert "tap" not in lab.run("h1", ["ip", "-brief", "link"]).stdout


def test_a_second_up_of_a_running_lab_is_refused(lab):
    """``up`` of a lab that is up fails and leaves it as it was."""
    before = lab.status()
    with pytest.raises(LabError, match="is up already"):
        lab.up("linear", SMALL, controller=False)
    assert lab.status().daemon_pid == before.daemon_pid
    assert [vm.name for vm in lab.status().vms] == ["vm1"]


@contextmanager
def foreigners() -> Iterator[str]:
    """A namespace, a bridge and a process that look much like a lab's but are somebody else's."""
    tag = uuid.uuid4().hex[:4]
    name, bridge = f"vl2-foreign-{tag}", f"v{tag}br"
    try:
        subprocess.run(["ip", "netns", "add", name], check=True)
        subprocess.run(["ip", "link", "add", bridge, "type", "bridge"], check=True)
        yield tag
    finally:
        subprocess.run(["ip", "netns", "delete", name], check=False)
        subprocess.run(["ip", "link", "delete", bridge], check=False)


def test_what_others_own_is_left_alone(lab, root):
    """A foreign namespace with a process, a foreign bridge, and another lab survive a sweep untouched."""
    with foreigners() as tag:
        sleep = ["ip", "netns", "exec", f"vl2-foreign-{tag}", "sleep", "1000"]
        other = LabClient(f"{lab.name}x", root)
        with subprocess.Popen(sleep) as process:
            try:
                other.up("linear", {"switches": 1}, controller=False)
                before = other.status()
                os.kill(lab.status().daemon_pid, signal.SIGKILL)
                poll(lambda: not lab.running)
                lab.down()
                assert process.poll() is None
                assert (Path("/run/netns") / f"vl2-foreign-{tag}").exists()
                assert Path(f"/sys/class/net/v{tag}br").exists()
                assert other.status() == before
                assert other.run("s1", ["ovs-vsctl", "br-exists", "br0"]).returncode == 0
            finally:
                process.kill()
                other.down()


def test_a_namespace_that_reuses_a_number_is_not_taken_for_ours(lab):
    """A manifest may name the inode of a namespace that is somebody else's by now: it is not touched."""
    with subprocess.Popen(["unshare", "-n", "sleep", "1000"]) as foreign:
        try:
            poll(lambda: namespace.inode(foreign.pid) != namespace.inode("self"))
            line = f'{{"node": "gone", "namespace": {namespace.inode(foreign.pid)}}}\n'
            with (lab.directory / "manifest.jsonl").open("a") as file:
                file.write(line)
            lab.down()
            assert foreign.poll() is None
        finally:
            foreign.kill()


def test_a_lab_that_cannot_start_leaves_nothing(root):
    """If the controller cannot start, ``up`` fails with its words and removes what was made so far."""
    lab = LabClient(f"t{uuid.uuid4().hex[:6]}", root)
    with pytest.raises(LabError, match="controller"):
        # A project's name that the controller refuses makes it end at once.
        lab.up("linear", SMALL, rest_port=0, projects=["operator"])
    assert not lab.directory.exists()
    assert _remains(root) == []


def test_ctrl_c_while_starting_leaves_nothing(root):
    """SIGINT to ``vl2 lab up`` while the lab starts removes what was made so far."""
    name = f"t{uuid.uuid4().hex[:6]}"
    program = f"from topologies.cli import command; command(['--root', {str(root)!r}, '--name', {name!r}, 'up', "
    program += "'--no-controller', '--topology', 'vl2'])"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as up:
        poll(lambda: Manifest.read(root / name) is not None and len(Manifest.read(root / name).namespaces) > 3)
        up.send_signal(signal.SIGINT)
        assert up.wait(30) != 0
    assert not (root / name).exists()
    assert _remains(root) == []


def _remains(root: Path) -> list[str]:
    """Processes and interfaces whose environment or alias names a directory."""
    found = []
    for pid in processes():
        with suppress(OSError):
            if str(root).encode() in Path(f"/proc/{pid}/environ").read_bytes():
                found.append(str(pid))
    links = subprocess.run(["ip", "link"], capture_output=True, text=True, check=True).stdout
    return found + [line for line in links.splitlines() if str(root) in line]


def poll(condition, seconds=15.0):
    """Wait until a condition holds; fails after a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        select.select((), (), (), 0.01)
