"""How does one measure between two machines of a lab while something happens?

``with probing(lab, "vm1", "vm2") as probe: …move…`` and then ``probe.report``; the same with :func:`streaming`.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from topologies.client import LabClient
from topologies.errors import LabError, NoSuchNode

_ANSWER_SECONDS: Final = 60.0
_IDENT: Final = 0x564C
_PROGRAM: Final = str(Path(__file__).with_name("probe.py"))


@dataclass(frozen=True, slots=True)
class Outage:
    """A run of probes that never came.

    It is told by when the probes beside it were *sent*: a receiver that stood still for a moment makes none.
    """

    lost: int
    since_ns: int
    """CLOCK_MONOTONIC when the last probe before it was sent; 0 if there was none."""
    until_ns: int
    """And the first one after it; 0 if there was none."""

    @property
    def ms(self) -> float:
        """How long nothing got through, for an outage that has ended."""
        return (self.until_ns - self.since_ns) / 1e6


@dataclass(frozen=True, slots=True)
class Direction:
    """The probes of one direction."""

    sent: int
    lost: int
    duplicated: int
    reordered: int
    longest_gap_ms: float
    """Between two arrivals; the interval of the probes included."""
    longest_gap_at_ns: int
    """CLOCK_MONOTONIC of the arrival before the longest gap."""
    missing: tuple[int, ...]
    """The sequence numbers that never came (the first thousand)."""
    latency_p50_ms: float
    latency_max_ms: float
    outages: tuple[Outage, ...] = ()


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """UDP probes in both directions."""

    there: Direction
    back: Direction

    @property
    def sent(self) -> int:
        """Probes sent, both directions."""
        return self.there.sent + self.back.sent

    @property
    def lost(self) -> int:
        """Probes that never came."""
        return self.there.lost + self.back.lost

    @property
    def duplicated(self) -> int:
        """Probes that came more than once, each further time."""
        return self.there.duplicated + self.back.duplicated

    @property
    def reordered(self) -> int:
        """Probes that came after a later one."""
        return self.there.reordered + self.back.reordered

    @property
    def longest_gap_ms(self) -> float:
        """The longest silence of either direction."""
        return max(self.there.longest_gap_ms, self.back.longest_gap_ms)


@dataclass(frozen=True, slots=True)
class StreamReport:
    """A TCP stream."""

    bytes: int
    intact: bool
    """The connection lived to its end and every byte arrived, in order."""
    longest_stall_ms: float
    error: str


@dataclass(frozen=True, slots=True)
class Trace:
    """Every probe that came in one direction, in the order they came: CLOCK_MONOTONIC, ns."""

    numbers: Sequence[int]
    departures: Sequence[int]
    arrivals: Sequence[int]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what :meth:`topologies.probe.Prober.write` has written."""
        whole = array("Q", path.read_bytes())
        third = len(whole) // 3
        return cls(whole[:third], whole[third : 2 * third], whole[2 * third :])


class Process:
    """A measuring program inside a machine."""

    def __init__(self, lab: LabClient, machine: str, words: Sequence[str], program: str) -> None:
        self.machine = machine
        argv = lab.command(machine, [sys.executable, "-I", "-S", program, *words])
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
        )

    def tell(self, word: str) -> None:
        """Send a line to the program."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.write(word + "\n")
                self._process.stdin.flush()

    def hear(self, seconds: float = _ANSWER_SECONDS) -> dict[str, Any]:
        """The next line of the program.

        :raises LabError: if it has ended, or says nothing in time.
        """
        if self._process.stdout is None:
            raise LabError(f"{self.machine}: the probe has no output")
        if not select.select([self._process.stdout], (), (), seconds)[0]:
            raise LabError(f"{self.machine}: the probe says nothing for {seconds:g} s")
        line = self._process.stdout.readline()
        if not line:
            said = self._process.stderr.read() if self._process.stderr else ""
            raise LabError(f"{self.machine}: the probe has ended: {said.strip().rpartition(chr(10))[2]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def end(self) -> None:
        """End the program."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def address_of(lab: LabClient, machine: str, *, version: int = 4) -> str:
    """A machine's first address of an IP version.

    :raises NoSuchNode: if there is no such machine. :raises LabError: if it has no such address.
    """
    for each in lab.status().vms:
        if each.name == machine:
            for address in each.addresses:
                if (":" in address) == (version == 6):  # noqa: PLR2004
                    return address.partition("/")[0]
            raise LabError(f"{machine} has no IPv{version} address")
    raise NoSuchNode(f"there is no virtual machine {machine!r}", "name")


class Probe:
    """UDP probes under way between two machines."""

    def __init__(self, one: Process, other: Process) -> None:
        self._ends = (one, other)
        self.report: ProbeReport | None = None

    def start(self) -> None:
        """Wait for both ends, then start them."""
        for end in self._ends:
            end.hear()
        for end in self._ends:
            end.tell("go")

    def stop(self, drain_seconds: float = 0.3) -> ProbeReport:
        """Stop sending, give what is under way ``drain_seconds`` to arrive, and count."""
        for end in self._ends:
            end.tell("stop")
        for end in self._ends:
            end.hear()
        time.sleep(drain_seconds)
        for end in self._ends:
            end.tell("finish")
        one, other = (end.hear() for end in self._ends)
        self.report = ProbeReport(there=_direction(one, other), back=_direction(other, one))
        return self.report

    def result(self) -> ProbeReport:
        """The report.

        :raises LabError: if the probe has not been stopped yet.
        """
        if self.report is None:
            raise LabError("the probe is still running")
        return self.report


class Echo:
    """Echoes asked for, under way."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.report: Direction | None = None
        process.hear()
        process.tell("go")

    def stop(self, drain_seconds: float = 0.3) -> Direction:
        """Stop asking, give what is under way ``drain_seconds`` to come back, and count."""
        self._process.tell("stop")
        self._process.hear()
        time.sleep(drain_seconds)
        self._process.tell("finish")
        heard = self._process.hear()
        self.report = _direction(heard, heard)
        return self.report

    def result(self) -> Direction:
        """The report on round trips.

        :raises LabError: if they have not been stopped yet.
        """
        if self.report is None:
            raise LabError("the probe is still running")
        return self.report


@contextmanager
def probing(
    lab: LabClient,
    one: str,
    other: str,
    *,
    rate: float = 1000.0,
    port: int = 7009,
    version: int = 4,
    between: tuple[str, str] | None = None,
    traces: tuple[Path, Path] | None = None,
) -> Iterator[Probe]:
    """Probe between two machines, both ways, as long as the block runs; the report is there after it.

    :param rate: probes per second in each direction.
    :param between: their addresses, where those are not their first ones.
    :param traces: files for what each of them heard, to be read as a :class:`Trace` each.
    """
    here, there = between or (address_of(lab, one, version=version), address_of(lab, other, version=version))
    words = ["--port", str(port), "--rate", str(rate)]
    files = (["--trace", str(traces[0])], ["--trace", str(traces[1])]) if traces else ([], [])
    with (
        running(lab, [(one, ["udp", "--local", here, "--peer", there, *words, *files[0]])]) as (first,),
        running(lab, [(other, ["udp", "--local", there, "--peer", here, *words, *files[1]])]) as (second,),
    ):
        probe = Probe(first, second)
        probe.start()
        yield probe
        if probe.report is None:
            probe.stop()


@contextmanager
def pinging(lab: LabClient, one: str, other: str, *, rate: float = 1000.0, trace: Path | None = None) -> Iterator[Echo]:
    """Let a machine ask another's kernel for echoes as long as the block runs; the report is there after it.

    :param other: may be one in which no Python runs. :param trace: a file for a :class:`Trace` of round trips.
    """
    here, there = address_of(lab, one), address_of(lab, other)
    words = ["echo", "--local", here, "--peer", there, "--port", str(_IDENT), "--rate", str(rate)]
    with running(lab, [(one, words + (["--trace", str(trace)] if trace else []))]) as (process,):
        echo = Echo(process)
        yield echo
        if echo.report is None:
            echo.stop()


class Stream:
    """A TCP stream under way between two machines."""

    def __init__(self, sender: Process, receiver: Process) -> None:
        self._sender, self._receiver = sender, receiver
        self.report: StreamReport | None = None

    def stop(self) -> StreamReport:
        """End the stream and compare."""
        self._sender.tell("stop")
        sent = self._sender.hear()
        heard: dict[str, Any] = {}
        if not sent["error"]:
            heard = self._receiver.hear()
        self.report = StreamReport(
            bytes=sent["bytes"],
            intact=sent["intact"] and heard.get("bytes") == sent["bytes"],
            longest_stall_ms=heard.get("longest_stall_ns", 0) / 1e6,
            error=sent["error"],
        )
        return self.report

    def result(self) -> StreamReport:
        """The report.

        :raises LabError: if the stream has not been stopped yet.
        """
        if self.report is None:
            raise LabError("the stream is still running")
        return self.report


@contextmanager
def streaming(lab: LabClient, one: str, other: str, *, megabits: float = 20.0, port: int = 7010) -> Iterator[Stream]:
    """Stream from one machine to another by TCP as long as the block runs; the report is there after it."""
    here, there = address_of(lab, one), address_of(lab, other)
    with running(lab, [(other, ["tcp-serve", "--local", there, "--port", str(port)])]) as (receiver,):
        receiver.hear()
        words = ["tcp-send", "--local", here, "--peer", there, "--port", str(port), "--mbit", str(megabits)]
        with running(lab, [(one, words)]) as (sender,):
            sender.hear()
            stream = Stream(sender, receiver)
            yield stream
            if stream.report is None:
                stream.stop()


@contextmanager
def running(
    lab: LabClient, programs: Sequence[tuple[str, Sequence[str]]], program: str = _PROGRAM
) -> Iterator[tuple[Process, ...]]:
    """Run measuring programs inside machines as long as the block runs."""
    started: list[Process] = []
    try:
        for machine, words in programs:
            started.append(Process(lab, machine, words, program))
        yield tuple(started)
    finally:
        for each in started:
            each.end()


def _direction(sender: dict[str, Any], receiver: dict[str, Any]) -> Direction:
    outages = [Outage(last - first + 1, since, until) for first, last, since, until in receiver["outages"]]
    tail = sender["sent"] - receiver["distinct"] - sum(each.lost for each in outages)
    if tail and len(outages) == len(receiver["outages"]):
        outages.append(Outage(tail, receiver["last_departure_ns"], 0))
    return Direction(
        sent=sender["sent"],
        lost=sender["sent"] - receiver["distinct"],
        duplicated=receiver["heard"] - receiver["distinct"],
        reordered=receiver["reordered"],
        longest_gap_ms=receiver["longest_gap_ns"] / 1e6,
        longest_gap_at_ns=receiver["longest_gap_at_ns"],
        missing=tuple(receiver["missing"]),
        latency_p50_ms=receiver["latency_p50_ns"] / 1e6,
        latency_max_ms=receiver["latency_max_ns"] / 1e6,
        outages=tuple(outages),
    )
