"""When does a guest that has moved say its first word?

After RESUME its new QEMU has to translate its code anew; until then nothing comes from it, whatever the network does.
So its first answer is awaited at its own tap, before any switch has touched it.
"""

from __future__ import annotations

import signal
import struct
import subprocess
import tempfile
import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from topologies.client import LabClient
from topologies.errors import LabError

_NANOSECONDS: Final = 0xA1B23C4D
_FILE: Final = struct.Struct("=IHHiIII")
_FRAME: Final = struct.Struct("=IIII")
_LEAVE_SECONDS: Final = 5.0


@dataclass(slots=True)
class Words:
    """The answers that were seen at the taps of each host: CLOCK_MONOTONIC, ns."""

    said: dict[str, list[int]] = field(default_factory=dict)

    def first(self, host: str, since: int) -> int | None:
        """The first one at a host from some time on."""
        said = self.said.get(host, [])
        at = bisect_left(said, since)
        return said[at] if at < len(said) else None


def times(capture: bytes) -> Iterator[int]:
    """When each frame of a capture was seen: CLOCK_REALTIME, ns (pcap-savefile(5)).

    :raises ValueError: if it is not a capture with times in nanoseconds.
    """
    if len(capture) < _FILE.size or _FILE.unpack_from(capture)[0] != _NANOSECONDS:
        raise ValueError("not a capture with times in nanoseconds")
    at = _FILE.size
    while at + _FRAME.size <= len(capture):
        seconds, nanoseconds, kept, _length = _FRAME.unpack_from(capture, at)
        yield seconds * 1_000_000_000 + nanoseconds
        at += _FRAME.size + kept


@contextmanager
def listening(lab: LabClient, hosts: Sequence[str], address: str) -> Iterator[Words]:
    """Listen for a machine's answers to echoes at some hosts as long as the block runs; they are there after it.

    What comes or goes by the tunnel is in VXLAN and not taken for an answer.
    """
    words = Words()
    ahead = time.time_ns() - time.monotonic_ns()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as directory:
        files = {host: Path(directory, host) for host in hosts}
        running = [stack.enter_context(_dump(lab, host, files[host], address)) for host in hosts]
        yield words
        for each in running:
            each.send_signal(signal.SIGINT)
            each.wait(_LEAVE_SECONDS)
        words.said = {host: [when - ahead for when in times(file.read_bytes())] for host, file in files.items()}


@contextmanager
def _dump(lab: LabClient, host: str, file: Path, address: str) -> Iterator[subprocess.Popen[str]]:
    argv = ["tcpdump", "-i", "any", "-w", str(file), "-s", "64", "-Z", "root", "--time-stamp-precision=nano"]
    wanted = f"icmp[icmptype] == icmp-echoreply and src host {address}"
    with subprocess.Popen(
        lab.command(host, [*argv, wanted]), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "listening on" in line:
                    break
            else:
                raise LabError(f"{host}: tcpdump does not listen")
            yield process
        finally:
            process.kill()
