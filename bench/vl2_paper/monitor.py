"""When did a host's switch have a flow?

``ovs-ofctl monitor br-int watch:`` makes Open vSwitch tell of every change of its flow table as it is made (OpenFlow
1.4, flow monitor), so that nothing is polled and nothing is asked of the controller.
"""

from __future__ import annotations

import re
import select
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Final, Self

from bench.bed import Bed

_MAC: Final = re.compile(r"dl_dst=([0-9a-f:]{17})(?!/)")
_SECONDS: Final = 10.0


class Monitors:
    """Listens at the integration bridges of some hosts as long as its block runs."""

    def __init__(self, place: Bed, hosts: Iterable[str]) -> None:
        self._names: dict[int, str] = {}
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._rest: dict[int, bytes] = {}
        self._seen: dict[str, dict[str, float]] = defaultdict(dict)
        self._poll = select.epoll()
        for host in hosts:
            words = place.lab.command(host, ["ovs-ofctl", "-O", "OpenFlow14", "monitor", "br-int", "watch:!initial"])
            process = subprocess.Popen(
                words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=place.lab.environment(host)
            )
            if process.stdout is None:
                raise RuntimeError("the monitor has no output")
            fd = process.stdout.fileno()
            self._names[fd], self._processes[fd], self._rest[fd] = host, process, b""
            self._poll.register(fd, select.EPOLLIN)
        self.drain(0.5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._poll.close()

    def drain(self, seconds: float) -> None:
        """Read whatever comes in so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._read(left)

    def forget(self, mac: str) -> None:
        """Look at a MAC anew."""
        self._seen[mac].clear()

    def everywhere(self, mac: str, hosts: Iterable[str]) -> dict[str, float]:
        """When each of these hosts first had a change to a flow for a MAC (CLOCK_MONOTONIC seconds).

        :raises TimeoutError: if one has none within ten seconds.
        """
        wanted = set(hosts)
        until = time.monotonic() + _SECONDS
        while not wanted <= self._seen[mac].keys():
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no flow for {mac} at {', '.join(sorted(wanted - self._seen[mac].keys()))}")
            self._read(left)
        return {host: self._seen[mac][host] for host in wanted}

    def _read(self, seconds: float) -> None:
        for fd, _ in self._poll.poll(seconds):
            stdout = self._processes[fd].stdout
            if stdout is None:
                continue
            heard = self._rest[fd] + stdout.read1(1 << 16)  # type: ignore[attr-defined]
            now = time.monotonic()
            *lines, self._rest[fd] = heard.split(b"\n")
            for line in lines:
                for mac in _MAC.findall(line.decode(errors="replace")):
                    self._seen[mac].setdefault(self._names[fd], now)
