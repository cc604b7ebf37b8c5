"""What on this machine belongs to a lab, and nothing else?

Three marks, so that whatever a lab leaves behind, even after ``kill -9``, is found and nothing foreign is touched:

* every process that a lab starts inherits ``VL2_LAB_MARK=<state directory>`` in its environment;
* every namespace of a lab has the mark as the alias of its ``lo``, and its inode is in the manifest, so that a process
  that has shed its environment is still known by where it lives;
* interfaces in the root namespace begin with a prefix written in the manifest before the first of them is made.

The manifest is a file of JSON lines that is only appended to.  The lab's daemon holds a lock (flock(2)) on the state
directory as long as it lives, so "the daemon is dead" is never guessed.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from topologies import namespace
from topologies.errors import LabError

VARIABLE: Final = "VL2_LAB_MARK"
"""The environment variable that marks a lab's processes."""

_MANIFEST: Final = "manifest.jsonl"
_ROUNDS: Final = 50
_MILLISECONDS: Final = 10_000
_BURIAL_SECONDS: Final = 5.0


def mark_of(directory: Path) -> str:
    """The mark of the lab whose state directory it is."""
    return f"vl2:{directory}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a lab wrote down about itself."""

    prefix: str
    subnet: str
    namespaces: frozenset[int]

    @classmethod
    def read(cls, directory: Path) -> Manifest | None:
        """The manifest in a state directory, ``None`` if there is none."""
        try:
            lines = (directory / _MANIFEST).read_text().splitlines()
        except OSError:
            return None
        prefix, subnet, inodes = "", "", set()
        for line in lines:
            # The last line may be cut short by a crash; what it would have named has the other two marks.
            with suppress(ValueError):
                entry = json.loads(line)
                prefix, subnet = entry.get("prefix", prefix), entry.get("subnet", subnet)
                if "namespace" in entry:
                    inodes.add(int(entry["namespace"]))
        return cls(prefix, subnet, frozenset(inodes))


class Ledger:
    """The manifest in the hands of the daemon that writes it."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = (directory / _MANIFEST).open("a", encoding="ascii")

    def begin(self, prefix: str, subnet: str) -> None:
        """Write down how the lab's interfaces in the root namespace will be called."""
        self._write({"prefix": prefix, "subnet": subnet, "daemon": os.getpid()})

    def born(self, name: str, pid: int) -> None:
        """Write down a node and mark its namespace.

        :raises LabError: if the node is not in a namespace of its own.
        """
        inode = namespace.inode(pid)
        if inode == namespace.inode("self"):
            raise LabError(f"{name} has no namespace of its own")
        self._write({"node": name, "namespace": inode})
        words = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "link", "set", "lo", "alias", mark_of(self._directory)]
        subprocess.run(words, check=True)

    def _write(self, entry: dict[str, object]) -> None:
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()


def hold(directory: Path) -> int | None:
    """Take the lock of a state directory for as long as the returned descriptor is open; ``None`` if it is taken."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


@contextmanager
def choosing() -> Iterator[None]:
    """Hold a machine-wide lock while names and addresses that must be free are chosen and taken."""
    fd = os.open("/run", os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def processes(directory: Path) -> set[int]:
    """The processes of a lab, this one excepted."""
    manifest = Manifest.read(directory)
    ours = f"{VARIABLE}={directory}".encode()
    aliased: dict[int, bool] = {}
    found = set()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        pid = int(entry.name)
        # A process may end at any moment; a zombie has neither environment nor namespace.
        with suppress(OSError):
            if ours in (entry / "environ").read_bytes().split(b"\0"):
                found.add(pid)
                continue
            inode = namespace.inode(pid)
            if manifest and inode in manifest.namespaces:
                # Inodes are used again after a namespace has died, so the number alone proves nothing.
                if inode not in aliased:
                    aliased[inode] = _alias(pid) == mark_of(directory)
                if aliased[inode]:
                    found.add(pid)
    return found


def _alias(pid: int) -> str:
    words = ["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-json", "link", "show", "lo"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        return ""
    return str(json.loads(done.stdout)[0].get("ifalias", ""))


def interfaces(directory: Path) -> list[str]:
    """The interfaces of a lab in the root namespace, the bridge last."""
    manifest = Manifest.read(directory)
    if manifest is None or not manifest.prefix:
        return []
    done = subprocess.run(["ip", "-json", "link"], capture_output=True, text=True, check=True)
    shape = re.compile(re.escape(manifest.prefix) + r"(br|\d+)")
    found = [
        str(link["ifname"])
        for link in json.loads(done.stdout)
        if shape.fullmatch(link["ifname"]) and link.get("ifalias", mark_of(directory)) == mark_of(directory)
    ]
    return sorted(found, key=lambda name: name.endswith("br"))


def kill(directory: Path) -> None:
    """End every process of a lab, with SIGKILL, until none is left.

    :raises LabError: if some will not end.
    """
    for _ in range(_ROUNDS):
        victims = processes(directory)
        if not victims:
            return
        handles = []
        for pid in victims:
            with suppress(OSError):
                handles.append((pid, os.pidfd_open(pid)))
        # The handles pin the processes: what is still one of ours now is what the handle kills.
        still = processes(directory)
        ended = [pid for pid, _handle in handles if pid in still]
        for pid, handle in handles:
            if pid in ended:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    poller = select.poll()
                    poller.register(handle, select.POLLIN)
                    poller.poll(_MILLISECONDS)
            os.close(handle)
        _await_reaped(ended)
    raise LabError(f"processes of {directory} do not end: {sorted(processes(directory))}")


def _await_reaped(pids: list[int]) -> None:
    """Give whoever inherited the dead (init, mostly) a moment to bury them; they do no harm until then."""
    deadline = time.monotonic() + _BURIAL_SECONDS
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.01)


def sweep(directory: Path) -> None:
    """Remove everything that a lab has left: processes, with them their namespaces, interfaces, and its directory.

    :raises LabError: if something cannot be removed.
    """
    if Manifest.read(directory) is None:
        return
    kill(directory)
    for name in interfaces(directory):
        # The veth of a namespace that is just being taken down goes by itself.
        subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)
    left = interfaces(directory)
    if left:
        raise LabError(f"interfaces cannot be removed: {', '.join(left)}")
    shutil.rmtree(directory)
