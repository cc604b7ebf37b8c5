"""What does a move cost the traffic of the machine that moves, and what would it cost done otherwise?

A machine moves from hypervisor to hypervisor, again and again, while a peer in another rack and the machine itself send
each other a thousand probes a second.  The probes run through all moves of a case; each move's part of them is told
by their times.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from bench import strategies
from bench.bed import PROJECT, Bed, bed, wait
from bench.crowd import Crowd
from bench.record import Metric, Notebook
from bench.silence import Effect, Stretch, effects
from bench.strategies import COMPARED, VL2, Duplicator, Strategy
from bench.waking import Words, listening
from topologies.client import LabClient
from topologies.errors import LabError
from topologies.orders import MoveReport
from topologies.probing import Trace, address_of, pinging, probing
from topologies.transfers import echoing

NAME: Final = "migration"
PAUSES: Final = (0.0, 50.0, 300.0)
PEERS: Final = (1, 4, 16)
COMPARED_PAUSE: Final = 50.0
COPYING_MS: Final = 300.0
"""How long a machine goes on at the source when the target is ready, where strategies are compared."""
GRACE: Final = 0.1
"""Seconds for which the source goes on turning frames round; a straggler would be lost sooner than by default."""
LOAD: Final = 100
"""Ports created per second."""

IDLE: Final = "nothing moves"
PLANNED: Final = "Namespace machines, activated by REST before STOP"
UNPLANNED: Final = "Namespace machines that just turn up elsewhere"
STRATEGIES: Final = f"Strategies compared: namespace machines, pause {COMPARED_PAUSE:g} ms"
CROWDED: Final = f"While {LOAD} ports per second are created by REST, pause 0 ms"
SPREAD: Final = "With more hypervisors that have to follow, pause 0 ms"
GUESTS: Final = "QEMU guests, live migration: round trips of 1 kHz echoes"
GUESTS_COMPARED: Final = f"Strategies compared: QEMU guests, pause {COMPARED_PAUSE:g} ms"
TRANSFERS: Final = "QEMU guests: a TCP stream to the guest and back during each move"
WAKING: Final = "first word after RESUME"
BEYOND: Final = "network's contribution beyond that"
PHASES: Final = "Time per phase"

_BEFORE_SECONDS: Final = 0.3
_BETWEEN_SECONDS: Final = 0.05
_IDLE_SECONDS: Final = 0.5
_POLL_SECONDS: Final = 0.002
_SHORT: Final = 3


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of virtual machine: how one starts, and how it is probed.

    :param start: given the place, its name, its host and its network.
    :param probe: probes between a peer (a namespace machine) and one of them; gives a way to read the traces after it.
    :param sleepy: whether it takes a time to say anything after RESUME, so that its first word is listened for.
    """

    name: str
    start: Callable[[Bed, str, str, str], object]
    probe: Callable[[LabClient, str, str], AbstractContextManager[Callable[[], Sequence[Trace]]]]
    sleepy: bool = False


@contextmanager
def _both_ways(lab: LabClient, peer: str, name: str) -> Iterator[Callable[[], Sequence[Trace]]]:
    """A thousand probes a second in each direction."""
    with tempfile.TemporaryDirectory() as directory:
        files = Path(directory, "peer"), Path(directory, "machine")
        traces: list[Trace] = []
        with probing(lab, peer, name, traces=files):
            yield lambda: traces
        traces += map(Trace.read, files)


NAMESPACE: Final = Kind(
    "namespace machine",
    lambda place, name, host, network: place.lab.vm_add(name, host, network=network, project=PROJECT),
    _both_ways,
)


@contextmanager
def _there_and_back(lab: LabClient, peer: str, name: str) -> Iterator[Callable[[], Sequence[Trace]]]:
    """A thousand echoes a second of the machine's kernel, since no program of ours runs in it."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "echoes")
        traces: list[Trace] = []
        with pinging(lab, peer, name, trace=file):
            yield lambda: traces
        traces.append(Trace.read(file))


QEMU: Final = Kind(
    "QEMU guest",
    lambda place, name, host, network: place.lab.vm_add(name, host, network=network, project=PROJECT, qemu=True),
    _there_and_back,
    sleepy=True,
)


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the results."""

    table: str
    name: str
    strategy: Strategy = VL2
    pause_ms: float = 0.0
    copying_ms: float = 0.0
    wanted: Mapping[str, str] = field(default_factory=dict)


ONE: Final = {
    "lost": "p50 0, p99 ≤ 1",
    "duplicated": "0",
    BEYOND: "p50 < 5 ms, p99 < 50 ms",
}
NOTHING: Final = {"lost": "0", "duplicated": "0", "network's contribution": "p50 < 5 ms, p99 < 50 ms"}
OUTAGE: Final = {"duplicated": "0", "alive after RESUME": "p99 < 20 ms"}


class Scene:
    """A lab with a peer and one or more machines that move.

    :param kind: of the machines that move.
    """

    def __init__(self, book: Notebook, place: Bed, kind: Kind = NAMESPACE, *, hosts: Sequence[str] = ()) -> None:
        self.book, self.place, self.kind = book, place, kind
        self.failures = 0
        self.hosts = tuple(hosts or place.hosts[1:])
        """Where machines move to."""
        self.network = place.network("moves", "192.168.0.0/16")
        place.lab.vm_add("stays", place.hosts[0], network=self.network, project=PROJECT)

    def start(self, name: str) -> None:
        """Start a machine that moves."""
        self.kind.start(self.place, name, self.hosts[0], self.network)
        wait(self.place.settled, "all is confirmed")

    def elsewhere(self, host: str) -> str:
        """Where a machine goes from there: round and round."""
        return self.hosts[(self.hosts.index(host) + 1) % len(self.hosts)]

    def series(self, case: Case, count: int, name: str = "moves") -> None:
        """Move ``count`` times under probes, and write down what became of them; ends early if a move fails."""
        place = self.place
        machine = next(vm for vm in place.lab.status().vms if vm.name == name)
        duplicator = self._duplicator(machine.mac, machine.tap) if case.strategy.duplicating else None
        host, reports, moves, begun = machine.host, [], [], []
        words = listening(place.lab, self.hosts, address_of(place.lab, name)) if self.kind.sleepy else nullcontext(None)
        with words as said, self.kind.probe(place.lab, "stays", name) as read:
            time.sleep(_BEFORE_SECONDS)  # traffic runs before the first move begins
            for _ in range(count):
                begun.append(time.monotonic_ns())
                to = self.elsewhere(host)
                try:
                    if duplicator is None:
                        reports.append(self._move(case, name, to))
                    else:
                        reports.append(self._duplicated(case, name, host, to, machine.port_id, duplicator))
                except (LabError, TimeoutError) as wrong:
                    # What was measured before it is worth keeping, and the failure is a result as well.
                    self.failures += 1
                    self.book.note(f"{case.table}: {case.name}: move {len(reports) + 1} of {count} failed: {wrong}")
                    break
                host = to
                moves.append(place.rest.ask("GET", f"/v1/moves?port_id={machine.port_id}")["moves"][-1])
                time.sleep(_BETWEEN_SECONDS)
            begun.append(time.monotonic_ns())
        stretches = [
            Stretch(begin, end, _at(report, report.stopped_ms), _at(report, report.resumed_ms))
            for (begin, end), report in zip(pairwise(begun), reports, strict=False)
        ]
        found = effects(read(), stretches)
        for effect, move in zip(found, moves, strict=True):
            self._take(case, effect)
            self._take_move(case, move)
        if said is not None:
            for report, effect in zip(reports, found, strict=True):
                self._take_waking(case, said, report, effect)
        if count > 1:
            self.book.say(f"{case.table}: {case.name}: {len(reports)} moves")

    def _move(self, case: Case, name: str, to: str) -> MoveReport:
        return self.place.lab.vm_move(
            name,
            to,
            pause_ms=case.pause_ms,
            trigger=case.strategy.trigger,
            moment=case.strategy.moment,
            copying_ms=case.copying_ms,
        )

    def _duplicator(self, mac: str, tap: str) -> Duplicator:
        shown = self.place.rest.ask("GET", f"/v2.0/networks/{self.network}")["network"]
        return Duplicator(self.place, int(shown["provider:segmentation_id"]), mac, tap)

    def _duplicated(  # noqa: PLR0917
        self, case: Case, name: str, source: str, to: str, port_id: str, duplicator: Duplicator
    ) -> MoveReport:
        """Move while both hosts have the machine, from readiness to the end.

        :raises TimeoutError: if the flows for that came after STOP.
        """

        def ready() -> bool:
            live = self.place.rest.moves_under_way(port_id)
            return bool(live) and live[-1].phase == "READY"

        with ThreadPoolExecutor(1) as aside:
            moving = aside.submit(self._move, case, name, to)
            wait(ready, "the target is ready", pause=_POLL_SECONDS)
            with duplicator.both(source, to):
                installed = time.monotonic_ns()
                report = moving.result()
        if installed > _at(report, report.stopped_ms):
            raise TimeoutError(f"the flows of {case.name} came after STOP: is the machine busy?")
        return report

    def idle(self, table: str, count: int, name: str = "moves") -> None:
        """Probe for as long as moves take while nothing moves: what the machine itself does to the gaps."""
        with self.kind.probe(self.place.lab, "stays", name) as read:
            time.sleep(_BEFORE_SECONDS)
            begun = [time.monotonic_ns()]
            for _ in range(count):
                time.sleep(_IDLE_SECONDS)
                begun.append(time.monotonic_ns())
        for effect in effects(read(), [_quiet(*each) for each in pairwise(begun)]):
            self._take(Case(table, IDLE), effect)
        self.book.say(f"{table}: {IDLE}: {count} times")

    def _take(self, case: Case, effect: Effect) -> None:
        def take(name: str, unit: str, value: float) -> None:
            self.book.take(case.table, case.name, name, unit, value, case.wanted.get(name, ""))

        take("lost", "probes", effect.lost)
        take("duplicated", "probes", effect.duplicated)
        take("reordered", "probes", effect.reordered)
        take("longest gap", "ms", effect.gap_ms)
        take("own pause", "ms", effect.pause_ms)
        take("network's contribution", "ms", effect.network_ms)
        if effect.alive_ms is None:
            self.book.note(f"{case.table}: {case.name}: nothing came after a RESUME until the next move")
        else:
            take("alive after RESUME", "ms", effect.alive_ms)

    def _take_waking(self, case: Case, said: Words, report: MoveReport, effect: Effect) -> None:
        """How long the guest itself took to answer, and what the network added to that."""
        resumed = _at(report, report.resumed_ms)
        first = said.first(report.target, resumed)
        if first is None:
            return
        waking = (first - resumed) / 1e6
        self.book.take(case.table, case.name, WAKING, "ms", waking)
        # With the others nothing waits at the tap to be answered, so that the network has a part in the first word.
        if case.strategy.awaited:
            wanted = case.wanted.get(BEYOND, "")
            self.book.take(case.table, case.name, BEYOND, "ms", max(0.0, effect.network_ms - waking), wanted)

    def _take_move(self, case: Case, move: Mapping[str, Any]) -> None:
        self.book.take(case.table, case.name, "switches touched", "", len(move["switches_touched"]))
        self.book.take(case.table, case.name, "flow-mods", "", int(move["flow_mods"]))
        table, name = f"{PHASES}: {case.table}", case.name
        if move["activated_in_ms"] is not None:
            self.book.take(table, name, "activated in", "ms", float(move["activated_in_ms"]))
        for here, then in pairwise(move["timeline"]):
            self.book.take(table, name, here["phase"], "ms", (then["at"] - here["at"]) * 1e3)


def _quiet(begin: int, end: int) -> Stretch:
    """A stretch in which nothing happens, as if a machine had stopped for no time in its middle."""
    middle = (begin + end) // 2
    return Stretch(begin, end, middle, middle)


def _at(report: MoveReport, ms: float) -> int:
    return report.started_ns + int(ms * 1e6)


# ── the parts ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _named(name: str, pause_ms: float) -> str:
    return f"{name}, pause {pause_ms:g} ms"


def planned(scene: Scene, count: int) -> None:
    """By REST, with pauses of the machine."""
    scene.idle(PLANNED, count)
    for pause_ms in PAUSES:
        scene.series(Case(PLANNED, _named(VL2.name, pause_ms), VL2, pause_ms, wanted=NOTHING), count)


def unplanned(scene: Scene, count: int) -> None:
    """Without a word to the controller before."""
    for strategy, pause_ms in ((strategies.APPEAR, 0.0), (strategies.TURNS_UP, 0.0), (strategies.TURNS_UP, 50.0)):
        wanted = OUTAGE if strategy is strategies.TURNS_UP else {}
        scene.series(Case(UNPLANNED, _named(strategy.name, pause_ms), strategy, pause_ms, wanted=wanted), count)


def compared(scene: Scene, count: int) -> None:
    """All strategies, with the same pause and the same time for copying."""
    for strategy in COMPARED:
        wanted = NOTHING if strategy is VL2 else {}
        scene.series(Case(STRATEGIES, strategy.name, strategy, COMPARED_PAUSE, COPYING_MS, wanted), count)


def first(scene: Scene, count: int) -> None:
    """New machines that move once: all others have moved before, and have been where they go."""
    for number in range(count):
        name = f"new{number}"
        scene.start(name)
        scene.series(Case(PLANNED, f"{_named(VL2.name, 0.0)}, first move of a machine", wanted=NOTHING), 1, name)
        scene.place.lab.vm_del(name)


def crowded(scene: Scene, count: int) -> None:
    """While others create ports."""
    network = scene.place.network("crowd", "10.64.0.0/12")
    with Crowd(scene.place, network, LOAD) as crowd:
        scene.series(Case(CROWDED, "loaded", wanted=NOTHING), count)
    table = "The load: ports created meanwhile"
    scene.book.take(table, "loaded", "ports", "", crowd.created)
    scene.book.take(table, "loaded", "ports per second", "1/s", crowd.rate, f"{LOAD}")
    scene.book.take(table, "loaded", "a request took", "ms", crowd.took_ms)
    if crowd.refused:
        scene.book.note(f"{len(crowd.refused)} ports were refused, the first with: {crowd.refused[0]}")


def guests(scene: Scene, count: int) -> None:
    """QEMU guests, as quickly as they move and by all strategies."""
    scene.idle(GUESTS, count)
    scene.series(Case(GUESTS, "vl2", wanted=ONE), count)
    for strategy in COMPARED:
        wanted = ONE if strategy is VL2 else {}
        few = count if strategy is VL2 else max(1, count * 2 // 5)
        scene.series(Case(GUESTS_COMPARED, strategy.name, strategy, COMPARED_PAUSE, COPYING_MS, wanted), few)


def transfers(scene: Scene, count: int) -> None:
    """A TCP stream to the guest and back during each move, whose bytes are compared."""
    book, lab = scene.book, scene.place.lab
    host = next(vm for vm in lab.status().vms if vm.name == "moves").host
    for number in range(count):
        host = scene.elsewhere(host)
        try:
            with echoing(lab, "moves", "stays") as stream:
                lab.vm_move("moves", host)
        except LabError as wrong:
            scene.failures += 1
            book.note(f"{TRANSFERS}: move {number + 1} of {count} failed: {wrong}")
            break
        found = stream.result()
        book.take(TRANSFERS, VL2.name, "survived", "", int(found.intact), "1")
        book.take(TRANSFERS, VL2.name, "transferred", "MB", found.bytes / 1e6)
        book.take(TRANSFERS, VL2.name, "longest stall", "ms", found.longest_stall_ms)
        if not found.intact:
            book.note(f"transfer {number + 1} of {count} did not survive: {found.error or 'other bytes came back'}")
    book.say(f"{TRANSFERS}: {count} moves")


IN_ONE_LAB: Final[Mapping[str, Callable[[Scene, int], None]]] = {
    "planned": planned,
    "first": first,
    "unplanned": unplanned,
    "compared": compared,
    "crowded": crowded,
}
"""The parts that share a lab; the last one leaves it full of ports."""
OF_GUESTS: Final[Mapping[str, Callable[[Scene, int], None]]] = {"guests": guests, "transfers": transfers}
"""The parts that need QEMU."""
PARTS: Final = (*IN_ONE_LAB, "peers", *OF_GUESTS)


def shared(
    book: Notebook, kind: Kind, runs: Mapping[str, Callable[[Scene, int], None]], count: int, parts: Sequence[str]
) -> int:
    """Run those of some parts that were asked for, in one lab; returns how many moves failed."""
    if not set(runs) & set(parts):
        return 0
    with bed("migration", "vl2", {}, {"overlay": {"grace_seconds": GRACE}}) as place:
        scene = Scene(book, place, kind)
        scene.start("moves")
        for part, run in runs.items():
            if part in parts:
                run(scene, count)
    return scene.failures


def spread(book: Notebook, count: int) -> int:
    """More hypervisors that send to the machine, each with a machine in its network; returns how many moves failed."""
    failures = 0
    for peers in PEERS:
        params = {"tors": peers + 2}
        with bed("migration", "vl2", params, {"overlay": {"grace_seconds": GRACE}}) as place:
            scene = Scene(book, place, hosts=place.hosts[-2:])
            for host in place.hosts[1:-2]:
                place.lab.vm_add(f"on-{host}", host, network=scene.network, project=PROJECT)
            scene.start("moves")
            scene.series(Case(SPREAD, f"peer hosts: {peers}", wanted=NOTHING), count)
            failures += scene.failures
    return failures


def main(argv: list[str] | None = None) -> int:
    """Measure and write down; the status is 1 if a move failed, or if a short run saw VL2 lose or double anything."""
    parser = argparse.ArgumentParser(prog="bench.migration", description=__doc__)
    parser.add_argument("--moves", type=int, default=50, help="of each case (up to 1000)")
    parser.add_argument("--quick", action="store_true", help=f"{_SHORT} moves of the essential cases; writes nothing")
    parser.add_argument("--transfers", action="store_const", const=["transfers"], dest="only", help="TCP alone")
    parser.add_argument("--only", choices=PARTS, action="append", help="a part, or several; writes nothing")
    given = parser.parse_args(argv)
    if not 1 <= given.moves <= 1000:
        parser.error("--moves is between 1 and 1000")
    count = _SHORT if given.quick and given.moves == parser.get_default("moves") else given.moves
    parts = given.only or (("planned", "compared") if given.quick else PARTS)
    book = Notebook(NAME, "What does a move cost the traffic of the machine that moves?")
    book.parameters = {"moves of each case": count, "topology": "vl2", "probes per second, each way": 1000}
    book.parameters |= {"grace [s]": GRACE, "copying where strategies are compared [ms]": COPYING_MS}
    failures = shared(book, NAMESPACE, IN_ONE_LAB, count, parts)
    if "peers" in parts:
        failures += spread(book, count)
    failures += shared(book, QEMU, OF_GUESTS, count, parts)
    if not (given.quick or given.only):
        book.close()
        return 1 if failures else 0
    broken = missed(book.show().metrics)
    for each in broken:
        book.say(f"{each.case}: {each.name}: up to {max(each.samples):g}, not {each.wanted}")
    return 1 if broken or failures else 0


def missed(metrics: Iterable[Metric]) -> list[Metric]:
    """What should have been none and was some: quantities wanted to be 0 of which a sample is not."""
    return [each for each in metrics if each.wanted == "0" and any(each.samples)]


if __name__ == "__main__":
    sys.exit(main())
