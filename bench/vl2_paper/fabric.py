"""How is a lab's fabric made into the paper's: its rates, its policy, and the spanning tree that it is compared with?

The paper's servers hang on 1 Gbit/s and its switches on 10 Gbit/s.  ``bw`` of the lab is one rate for all cables; here
every cable gets the rate of its place, and a queue behind the shaper as long as a network card's (txqueuelen 1,000).
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.bed import PROJECT, Bed, bed, wait
from bench.record import Notebook
from bench.vl2_paper.measures import FRAME
from bench.vl2_paper.traffic import Place
from topologies.orders import LinkStatus
from topologies.ownership import VARIABLE
from topologies.rest import RestError

_CORE: Final = Path("/proc/sys/net/core")
_NOT_FOUND: Final = 404
_METHOD_NOT_ALLOWED: Final = 405
_TICK: Final = 0.004
"""Seconds between two clock ticks at 250 Hz: a bucket must hold what may leave in between (tc-tbf(8))."""
_DRAINED: Final = re.compile(r"Sent (\d+) bytes (\d+) pkt \(dropped (\d+),")


@dataclass(frozen=True, slots=True)
class Rates:
    """What the cables carry, Mbit/s, and how many full frames wait before them."""

    edge: float
    fabric: float
    queue: int = 300

    def of(self, link: LinkStatus) -> float:
        """The rate of one cable."""
        return self.edge if is_edge(link) else self.fabric


def is_edge(link: LinkStatus) -> bool:
    """Whether a cable leads to a hypervisor."""
    return not (link.one_port and link.other_port)


def _each_end(place: Bed) -> Iterator[tuple[str, str, LinkStatus]]:
    for link in place.status.links:
        yield link.one, link.one_interface, link
        yield link.other, link.other_interface, link


def _pids(place: Bed) -> Mapping[str, int]:
    return {each.name: each.pid for each in (*place.status.switches, *place.status.hypervisors)}


def _tc(place: Bed, lines: Iterable[tuple[str, str]]) -> None:
    """Run lines of ``tc -batch``, each in the namespace of its node."""
    pids = _pids(place)
    given: dict[str, list[str]] = {}
    for node, line in lines:
        given.setdefault(node, []).append(line)
    for node, batch in given.items():
        words = ["mnexec", "-a", str(pids[node]), "tc", "-batch", "-"]
        subprocess.run(words, input="\n".join(batch) + "\n", text=True, check=True)


def shaping(interface: str, mbit: float, queue: int) -> str:
    """The line of ``tc -batch`` that gives a cable's end a rate, and room for ``queue`` full frames."""
    burst = max(int(mbit * 1e6 / 8 * _TICK), 2 * FRAME)
    return f"qdisc replace dev {interface} root tbf rate {mbit:g}mbit burst {burst} limit {queue * FRAME}"


def shape(place: Bed, rates: Rates) -> None:
    """Give every cable its rate."""
    _tc(place, ((node, shaping(name, rates.of(link), rates.queue)) for node, name, link in _each_end(place)))


def unshape(place: Bed) -> None:
    """Let every cable carry what the machine can forward."""
    _tc(place, ((node, f"qdisc replace dev {name} root pfifo limit 1000") for node, name, _ in _each_end(place)))


@dataclass(frozen=True, slots=True)
class Counted:
    """What the shapers let through and dropped (``tc -s qdisc``)."""

    edge_sent: int
    """Bytes into the fabric from the hypervisors."""
    fabric_sent: int
    """Bytes between switches."""
    dropped: int
    """Frames, anywhere."""


def counted(place: Bed) -> Counted:
    """Ask every shaper."""
    pids = _pids(place)
    hosts = {each.name for each in place.status.hypervisors}
    cables = {(node, name): link for node, name, link in _each_end(place)}
    edge = fabric = dropped = 0
    for node in {node for node, _, _ in _each_end(place)}:
        words = ["mnexec", "-a", str(pids[node]), "tc", "-s", "qdisc", "show"]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        for part in said.split("qdisc ")[1:]:
            found, name = _DRAINED.search(part), re.search(r"dev (\S+)", part)
            link = cables.get((node, name[1])) if name else None
            if found is None or link is None or "root" not in part.splitlines()[0]:
                continue
            dropped += int(found[3])
            if not is_edge(link):
                fabric += int(found[1])
            elif node in hosts:
                edge += int(found[1])
    return Counted(edge, fabric, dropped)


# --- processor --------------------------------------------------------------------------------------------------------


class Processor:
    """How idle the machine's processors were since this was made."""

    def __init__(self) -> None:
        self._before = self._read()

    def idle(self) -> float:
        """The idle part in percent."""
        before, now = self._before, self._read()
        spent = [late - early for early, late in zip(before, now, strict=True)]
        return 100 * (spent[3] + spent[4]) / max(1, sum(spent))

    @staticmethod
    def _read() -> list[int]:
        first = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
        # proc_stat(5): user nice system idle iowait irq softirq steal; the guests' are in the first two already.
        return [int(word) for word in first.split()[1:9]]


class Share:
    """How much of the machine's processors the lab itself has used since this was made."""

    def __init__(self, place: Bed) -> None:
        mark = f"{VARIABLE}={place.status.directory}".encode()
        self._pids = [os.getpid()]
        for entry in Path("/proc").iterdir():
            with suppress(OSError):
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    self._pids.append(int(entry.name))
        self._before, self._began = self._spent(), time.monotonic()

    def used(self) -> float:
        """Percent of all processors; what the kernel did for packets outside any process is not in it."""
        ticks = (self._spent() - self._before) / os.sysconf("SC_CLK_TCK")
        return 100 * ticks / (time.monotonic() - self._began) / len(os.sched_getaffinity(0))

    def _spent(self) -> int:
        spent = 0
        for pid in self._pids:
            with suppress(OSError):
                words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
                spent += int(words[11]) + int(words[12])
        return spent


# --- policy -----------------------------------------------------------------------------------------------------------


def choose(book: Notebook, place: Bed, policy: str) -> bool:
    """Let the fabric route by a policy; ``False``, with a note, if this controller knows of no policies."""
    try:
        place.rest.ask("PUT", "/v1/topology/policy", {"policy": {"name": policy}})
    except RestError as wrong:
        if wrong.status not in {_NOT_FOUND, _METHOD_NOT_ALLOWED}:
            raise
        if policy == "ecmp":
            return True  # what a controller without policies does
        book.note(f"this controller has no policies: {policy} is not available")
        return False
    wait(place.settled, f"every switch has confirmed {policy}")
    return True


def tree(links: Sequence[tuple[str, str]], root: str) -> set[tuple[str, str]]:
    """The links that a spanning tree leaves open: breadth first from the root, the first link that was given wins.

    That is what 802.1D comes to where all links are equally fast and neighbours' bridge numbers follow their order.
    """
    beside: dict[str, list[tuple[str, tuple[str, str]]]] = {}
    for link in links:
        beside.setdefault(link[0], []).append((link[1], link))
        beside.setdefault(link[1], []).append((link[0], link))
    kept: set[tuple[str, str]] = set()
    seen, waiting = {root}, deque([root])
    while waiting:
        for other, link in beside.get(waiting.popleft(), ()):
            if other not in seen:
                seen.add(other)
                waiting.append(other)
                kept.add(link)
    return kept


@contextmanager
def spanning_tree(place: Bed) -> Iterator[int]:
    """Take every link down that a spanning tree would block; yields how many are left, and brings them back."""
    cables = sorted((link.one, link.other) for link in place.status.links if not is_edge(link))
    root = min((switch.dpid, switch.name) for switch in place.status.switches if switch.name.startswith("int"))[1]
    kept = tree(cables, root)
    blocked = [link for link in cables if link not in kept]
    try:
        for one, other in blocked:
            place.lab.set_link(one, other, up=False)
        wait(lambda: _usable(place) == 2 * len(kept) and place.settled(), "only the tree is left")
        yield len(kept)
    finally:
        for one, other in blocked:
            place.lab.set_link(one, other, up=True)
    wait(lambda: _usable(place) == 2 * len(cables) and place.settled(), "all links are back")


def _usable(place: Bed) -> int:
    return place.rest.fabric().usable


@contextmanager
def wide_sockets() -> Iterator[None]:
    """Let the switches that start meanwhile have room for the shapers' queues.

    A userspace Open vSwitch sends what goes out of all its ports through one packet socket, which counts every frame
    until it has left the shaper: with Linux's default of 208 KiB some 90 frames fill it, and a full queue before one
    port loses the frames for all others, uncounted by tc.  The default is the machine's (no namespace has one of its
    own), so that it is put back as soon as the daemons are there.
    """
    before = {name: (_CORE / f"{name}_default").read_text(encoding="ascii") for name in ("wmem", "rmem")}
    try:
        for name in before:
            (_CORE / f"{name}_default").write_text(
                (_CORE / f"{name}_max").read_text(encoding="ascii"), encoding="ascii"
            )
        yield
    finally:
        for name, value in before.items():
            (_CORE / f"{name}_default").write_text(value, encoding="ascii")


@contextmanager
def wide_bed(name: str, params: Mapping[str, float], settings: Mapping[str, Any] | None = None) -> Iterator[Bed]:
    """A lab of the paper's topology whose switches have room for long queues."""
    with ExitStack() as stack:
        with wide_sockets():
            place = stack.enter_context(bed(name, "vl2", params, settings))
        yield place


# --- machines ---------------------------------------------------------------------------------------------------------


def machines(place: Bed, network: str, wanted: Mapping[str, str]) -> dict[str, Place]:
    """Start machines, by name and host; where each is."""
    made = {}
    for name, host in wanted.items():
        vm = place.lab.vm_add(name, host, network=network, project=PROJECT)
        made[name] = Place(vm.pid, next(each for each in vm.addresses if ":" not in each).partition("/")[0])
    return made
