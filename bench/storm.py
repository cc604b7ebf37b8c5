"""What happens to a lab in which things fail and return at random under probes?

The acting half of the chaos run: makes happen what ``bench.mishaps`` chooses, and asks the controller when it uses
again what has come back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Final

from bench.alarms import Cable
from bench.bed import Bed, wait
from bench.mishaps import Event, Mishap, Odds, cabling, following, standing
from topologies.probing import Probe, ProbeReport, probing

PAIRS: Final = 3
_PAUSE_SECONDS: Final = (0.5, 2.5)
_ASK_SECONDS: Final = 0.05
_ASK_DAMPED_SECONDS: Final = 0.5
_PORTS: Final = count(21000)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two machines that probe each other, and the hypervisors they are on."""

    one: str
    other: str

    @property
    def hosts(self) -> tuple[str, str]:
        """The hypervisors."""
        return self.one, self.other


def pairs_of(hosts: Sequence[str], rng: Random) -> tuple[Pair, ...]:
    """Pairs all over the fabric, disjoint as far as there are hypervisors."""
    order = list(hosts)
    rng.shuffle(order)
    chain = [
        Pair(order[i], order[(i + 1) % len(order)]) for i in (*range(0, len(order) - 1, 2), *range(1, len(order), 2))
    ]
    return tuple(chain[:PAIRS])


class Storm:
    """A lab under probes, in which things fail and return.

    :param say: told of everything that happens.
    """

    def __init__(self, place: Bed, seed: int, odds: Odds, say: Callable[[str], None]) -> None:
        self.place = place
        self.odds = odds
        self._rng = Random(seed)  # noqa: S311  (a story to be told again, not a secret)
        self._say = say
        self.graph = cabling(place.status)
        self.pairs = pairs_of(place.hosts, self._rng)
        self.events: list[Event] = []
        self.damped: list[tuple[int, frozenset[Cable]]] = []
        """Which cables were a last resort because they came and went too often, each time that this was news."""
        self._ask_damped_at = 0.0
        self._down: frozenset[Mishap] = frozenset()
        self._returning: dict[Mishap, Event] = {}
        network = place.network("chaos", "192.168.0.0/24")
        for host in sorted({host for pair in self.pairs for host in pair.hosts}):
            place.lab.vm_add(_machine(host), host, network=network, project="red")
        wait(place.settled, "all is confirmed")

    def probes(self, stack: ExitStack) -> list[Probe]:
        """Start probing between all pairs."""
        return [
            stack.enter_context(probing(self.place.lab, *map(_machine, pair.hosts), port=next(_PORTS)))
            for pair in self.pairs
        ]

    def calm(self, seconds: float) -> list[ProbeReport]:
        """Probe while nothing fails."""
        with ExitStack() as stack:
            probes = self.probes(stack)
            time.sleep(seconds)
            return [probe.stop() for probe in probes]

    def rage(self, seconds: float) -> None:
        """Let things fail and return for that long, then bring everything back."""
        joined = [pair.hosts for pair in self.pairs]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            mishap, back = following(self._rng, self.graph, self._down, joined, self.odds)
            self._happen(mishap, back=back)
            self._watch(self._rng.uniform(*_PAUSE_SECONDS))
        for mishap in sorted(self._down, key=lambda each: each.ends):
            self._happen(mishap, back=True)
            self._watch(self._rng.uniform(*_PAUSE_SECONDS))
        wait(lambda: self._watch(0) or not self._returning, "everything that came back is used again", pause=0.05)

    def whole(self) -> bool:
        """Whether the controller uses every cable, knows every hypervisor, and every switch has confirmed."""
        known = self.place.rest.fabric()
        hosts = {each.la for each in self.place.status.hypervisors}
        cables = self.graph.number_of_edges() - len(hosts)
        return self.place.settled() and known.usable == 2 * cables and known.locators >= hosts

    def _happen(self, mishap: Mishap, *, back: bool) -> None:
        lab = self.place.lab
        began = time.monotonic_ns()
        match mishap.kind, back:
            case "link", _:
                lab.set_link(*mishap.ends, up=back)
            case "switch", True:
                lab.revive_switch(*mishap.ends)
            case "switch", False:
                lab.kill_switch(*mishap.ends)
            case _, True:
                lab.restart_vswitchd(*mishap.ends)
            case _:
                lab.kill_vswitchd(*mishap.ends)
        self._down = self._down - {mishap} if back else self._down | {mishap}
        event = Event(mishap, back, began, time.monotonic_ns())
        self.events.append(event)
        self._returning.pop(mishap, None)
        if back:
            self._returning[mishap] = event
        self._say(f"{event.name} ({len(self._down)} down)")

    def _watch(self, seconds: float) -> None:
        """Let some time pass, and see what the controller uses again meanwhile, and what it damps."""
        end = time.monotonic() + seconds
        while True:
            self._see_what_is_used()
            self._see_what_is_damped()
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _ASK_SECONDS if self._returning else _ASK_DAMPED_SECONDS))

    def _see_what_is_used(self) -> None:
        if not self._returning:
            return
        usable = {
            frozenset((link["from_datapath_id"], link["to_datapath_id"]))
            for link in self.place.rest.ask("GET", "/v1/topology")["topology"]["links"]
            if link["usable"]
        }
        for mishap, event in tuple(self._returning.items()):
            if self._cables(mishap) <= usable:
                event.used_ns = time.monotonic_ns()
                del self._returning[mishap]

    def _see_what_is_damped(self) -> None:
        if time.monotonic() < self._ask_damped_at:
            return
        names = {each.dpid: each.name for each in self.place.status.switches}
        damped = frozenset(
            (min(ends), max(ends))
            for link in self.place.rest.ask("GET", "/v1/topology/links")["links"]
            if link["damped"]
            for ends in ((names[link["a"]["datapath_id"]], names[link["b"]["datapath_id"]]),)
        )
        if damped != (self.damped[-1][1] if self.damped else frozenset()):
            self.damped.append((time.monotonic_ns(), damped))
        self._ask_damped_at = time.monotonic() + _ASK_DAMPED_SECONDS

    def _cables(self, mishap: Mishap) -> set[frozenset[str]]:
        """The cables of something, by their switches' datapath ids, as far as nothing else keeps them from use."""
        dpids = {each.name: each.dpid for each in self.place.status.switches}
        others = self._down | (self._returning.keys() - {mishap})
        return {
            frozenset((dpids[one], dpids[other]))
            for one, other in standing(self.graph, others).edges
            if one in dpids and other in dpids and set(mishap.ends) <= {one, other}
        }


def _machine(host: str) -> str:
    return f"vm-{host}"
