"""Does the fabric stay whole when switches and links fail and come back at random?

For minutes on end something fails or returns every second or so, up to three things down at once, while several pairs
of machines send each other a thousand probes a second.  Mostly what is left still joins all of them; now and then a
failure cuts somebody off.  Then everything comes back, and the questions are: was every probe lost in an outage that
one event explains, and how long did each last?  Did any packet go round?  Do the switches hold exactly what a fresh
computation gives?  The seed decides what fails, and when; what the machine itself does to probes is the row *nothing
fails*, measured before.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import count
from random import Random
from typing import Any, Final

from bench import afresh
from bench.bed import Bed, bed, wait
from bench.loops import BIN_SECONDS, Arrivals, Expired
from bench.mishaps import (
    BUSY,
    BY_CONTROLLER,
    BY_SWITCHES,
    CUT,
    DAEMON,
    KINDS,
    RETURNS,
    UNEXPLAINED,
    Event,
    Explained,
    Mishap,
    Odds,
    Story,
    cabling,
    following,
    standing,
)
from bench.overflows import Overflows
from bench.record import RESULTS, Notebook
from topologies.probing import Probe, ProbeReport, probing

TOPOLOGIES: Final[Mapping[str, Mapping[str, int]]] = {"vl2": {}, "fattree": {"k": 4}, "jellyfish": {}}
PAIRS: Final = 3
LOCAL_MS: Final = 50
GLOBAL_MS: Final = 200
CUT_MS: Final = 1000
_PAUSE_SECONDS: Final = (0.5, 2.5)
ODDS: Final = Odds()
_ASK_SECONDS: Final = 0.05
_CALM_SECONDS: Final = 2.0
_SETTLE_SECONDS: Final = 60.0
_LOOK_BACK_NS: Final = 1_000_000_000
_LOOK_AHEAD_NS: Final = 500_000_000
"""Packets may use what has come back before we have asked the controller whether it does."""
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


@dataclass(slots=True)
class Outcome:
    """What a run has shown."""

    topology: str
    calm: tuple[ProbeReport, ...]
    """The probes of the time in which nothing failed."""
    seed: int
    seconds: float
    pairs: tuple[Pair, ...]
    events: tuple[Event, ...]
    explained: tuple[Explained, ...]
    sent: int
    lost: int
    duplicated: int
    overflowed: int
    """Packets that the switches' own sockets have dropped."""
    lost_when_calm: int
    """Probes lost after everything had come back and was confirmed."""
    expired: dict[str, int]
    """Packets dropped because of their TTL, by switch."""
    hops: dict[int, int]
    """How many packets have passed how many switches."""
    detours: dict[int, int] = field(default_factory=dict)
    """And those that passed more than any shortest way of that moment or the second before has."""
    rounds: dict[int, int] = field(default_factory=dict)
    """And those that passed more switches than there are."""
    unlike_before: list[str] = field(default_factory=list)
    unlike_fresh: list[str] = field(default_factory=list)
    after_restart: tuple[int, int] | None = None

    def outages(self, kind: str) -> list[Explained]:
        """The outages of one kind."""
        return [each for each in self.explained if each.kind == kind]


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
        """Let some time pass, and see what the controller uses again meanwhile."""
        end = time.monotonic() + seconds
        while True:
            if self._returning:
                usable = {
                    frozenset((link["from_datapath_id"], link["to_datapath_id"]))
                    for link in self.place.rest.ask("GET", "/v1/topology")["topology"]["links"]
                    if link["usable"]
                }
                for mishap, event in tuple(self._returning.items()):
                    if self._cables(mishap) <= usable:
                        event.used_ns = time.monotonic_ns()
                        del self._returning[mishap]
            left = end - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _ASK_SECONDS if self._returning else left))

    def _cables(self, mishap: Mishap) -> set[frozenset[str]]:
        """The cables of something, by their switches' datapath ids, as far as nothing else keeps them from use."""
        dpids = {each.name: each.dpid for each in self.place.status.switches}
        others = self._down | (self._returning.keys() - {mishap})
        return {
            frozenset((dpids[one], dpids[other]))
            for one, other in standing(self.graph, others).edges
            if one in dpids and other in dpids and set(mishap.ends) <= {one, other}
        }


def run(
    place: Bed,
    topology: str,
    *,
    seed: int,
    seconds: float,
    say: Callable[[str], None],
    odds: Odds = ODDS,
    quiet: float = 10.0,
) -> Outcome:
    """Let things fail for that many seconds, and look.

    :param quiet: so many seconds before nothing fails, to see what the machine itself does to probes.
    """
    before = afresh.spelled(place)
    storm = Storm(place, seed, odds, say)
    las = {each.la: each.name for each in place.status.hypervisors}
    calm = storm.calm(quiet)
    with (
        Expired(place.status) as expired,
        Arrivals(place.status, {host for pair in storm.pairs for host in pair.hosts}) as arrivals,
        Overflows(place.status, arrivals.descriptors) as overflows,
        ExitStack() as stack,
    ):
        probes = storm.probes(stack)
        time.sleep(_CALM_SECONDS)
        storm.rage(seconds)
        wait(storm.whole, "everything that came back is used again", seconds=_SETTLE_SECONDS, pause=0.2)
        calm_ns = time.monotonic_ns()
        time.sleep(_CALM_SECONDS)
        reports = [probe.stop() for probe in probes]
    story = Story(storm.graph, storm.events, overflows.seen)
    explained = tuple(
        story.explain(source, target, outage)
        for pair, report in zip(storm.pairs, reports, strict=True)
        for source, target, way in (
            (pair.one, pair.other, report.there),
            (pair.other, pair.one, report.back),
        )
        for outage in way.outages
    )
    after = afresh.spelled(place)
    made = Outcome(
        topology=topology,
        calm=tuple(calm),
        seed=seed,
        seconds=seconds,
        pairs=storm.pairs,
        events=tuple(storm.events),
        explained=explained,
        sent=sum(report.sent for report in reports),
        lost=sum(report.lost for report in reports),
        duplicated=sum(report.duplicated for report in reports),
        overflowed=overflows.dropped(),
        lost_when_calm=sum(
            each.outage.lost
            for each in explained
            if each.kind != BUSY and (not each.outage.until_ns or each.outage.since_ns > calm_ns)
        ),
        expired=dict(expired.dropped),
        hops=dict(arrivals.hops()),
        rounds={passed: packets for passed, packets in arrivals.hops().items() if passed > len(place.status.switches)},
        detours=detours(story, arrivals, las),
        unlike_before=afresh.differing(before, after),
        unlike_fresh=afresh.differing(afresh.computed(place), afresh.held(place)),
    )
    if place.status.controller is not None:
        made.after_restart = afresh.restarted(place)
        made.unlike_before += afresh.differing(after, afresh.spelled(place))
    return made


def detours(story: Story, arrivals: Arrivals, las: Mapping[str, str]) -> dict[int, int]:
    """Packets that passed more switches than any shortest way that there was lately."""
    found: Counter[int] = Counter()
    allowed: dict[tuple[str, str, int], int] = {}
    for (la, host, when, passed), packets in arrivals.seen.items():
        if la not in las or las[la] == host:
            continue
        key = (las[la], host, when)
        if key not in allowed:
            at = int(when * BIN_SECONDS * 1e9)
            allowed[key] = story.longest(las[la], host, at - _LOOK_BACK_NS, at + _LOOK_AHEAD_NS)
        if passed > allowed[key]:
            found[passed] += packets
    return dict(sorted(found.items()))


def _machine(host: str) -> str:
    return f"vm-{host}"


# ── writing it down ──────────────────────────────────────────────────────────────────────────────────────────────────


def write(book: Notebook, made: Outcome) -> None:
    """Write one topology's run down."""
    name = made.topology
    outages = f"{name}: outages of single directions, from the last probe before to the first one after"
    quiet = [way for report in made.calm for way in (report.there, report.back)]
    book.take(outages, "nothing fails", "longest silence at a receiver", "ms", [way.longest_gap_ms for way in quiet])
    book.take(outages, "nothing fails", "lost in each", "probes", [way.lost for way in quiet])
    for kind in dict.fromkeys([*_kinds(), *(each.kind for each in made.explained)]):
        found = made.outages(kind)
        if found:
            book.take(outages, kind, "length", "ms", [each.ms for each in found], _wanted(kind))
            book.take(outages, kind, "lost in each", "probes", [each.outage.lost for each in found])
    events = f"{name}: what events did"
    for event, ms in _per_event(made):
        kind = f"{event.mishap.kind} {'returns' if event.back else 'fails'}"
        book.take(events, kind, "longest outage of any probe", "ms", ms)
        if event.used_ns:
            book.take(events, kind, "used again after", "ms", (event.used_ns - event.done_ns) / 1e6, "< 1000 ms")
    packets = "The verdict on packets"
    book.take(packets, name, "events", "", len(made.events), "")
    book.take(packets, name, "probes sent", "", made.sent)
    book.take(packets, name, "lost in outages", "", sum(each.outage.lost for each in made.explained))
    book.take(packets, name, "lost outside", "", made.lost - sum(each.outage.lost for each in made.explained), "0")
    book.take(packets, name, "outages without a cause", "", len(made.outages(UNEXPLAINED)), "0")
    book.take(packets, name, "dropped by busy switches' sockets", "", made.overflowed)
    book.take(packets, name, "lost after all was back", "", made.lost_when_calm, "0")
    book.take(packets, name, "duplicated", "", made.duplicated, "0")
    loops = "The verdict on loops"
    book.take(loops, name, "packets dropped by TTL", "", sum(made.expired.values()), "0")
    book.take(loops, name, "packets seen at the edge", "", sum(made.hops.values()))
    book.take(loops, name, "most switches passed", "", max(made.hops, default=0))
    book.take(loops, name, "more than there are", "", sum(made.rounds.values()), "0")
    book.take(loops, name, "on a longer way than any shortest of that moment", "", sum(made.detours.values()), "0")
    entries = "The verdict on what the switches hold"
    book.take(entries, name, "entries unlike those before", "", len(made.unlike_before), "0")
    book.take(entries, name, "unlike a fresh computation", "", len(made.unlike_fresh), "0")
    if made.after_restart is not None:
        flow_mods, group_mods = made.after_restart
        book.take(entries, name, "flow-mods of a new controller", "", flow_mods, "0")
        book.take(entries, name, "group-mods", "", group_mods, "0")
    late = [each for each in made.explained if each.ms > _limit(each.kind)]
    if late:
        worst = max(late, key=lambda each: each.ms)
        book.note(
            f"{name}: {len(late)} of {len(made.explained)} outages took longer than wanted; the longest,"
            f" {worst.ms:.0f} ms from {worst.source} to {worst.target}, by {_cause(worst)}"
        )
    for line in [*made.unlike_before, *made.unlike_fresh][:5]:
        book.note(f"{name}: {line}")


def _kinds() -> Iterator[str]:
    for kind in KINDS:
        yield f"{kind} fails, {BY_SWITCHES}"
        yield f"{kind} fails, {BY_CONTROLLER}"
        yield f"{kind} {RETURNS}"
    yield CUT
    yield BUSY
    yield UNEXPLAINED


def _per_event(made: Outcome) -> Iterator[tuple[Event, float]]:
    worst: dict[Event, float] = dict.fromkeys(made.events, 0.0)
    for each in made.explained:
        if each.event is not None and each.kind not in {CUT, BUSY}:
            worst[each.event] = max(worst[each.event], each.ms)
    yield from worst.items()


def _limit(kind: str) -> float:
    if kind == BUSY:
        return float("inf")
    if kind == CUT:
        return CUT_MS
    if BY_SWITCHES in kind:
        return GLOBAL_MS if kind.startswith(DAEMON) else LOCAL_MS
    return GLOBAL_MS if BY_CONTROLLER in kind else 0.0


def _wanted(kind: str) -> str:
    limit = _limit(kind)
    if limit == float("inf"):
        return ""
    return f"{kind}: < {limit:g} ms" if limit else f"{kind}: none at all"


def _cause(each: Explained) -> str:
    return each.event.name if each.event is not None else "nobody knows what"


def details(made: Outcome) -> dict[str, Any]:
    """Every event and every outage, for whoever wants to look closer; times in ms after the first event."""
    origin = made.events[0].began_ns if made.events else 0

    def ms(at: int) -> float:
        return round((at - origin) / 1e6, 1)

    return {
        "topology": made.topology,
        "seed": made.seed,
        "seconds": made.seconds,
        "pairs": [asdict(pair) for pair in made.pairs],
        "hops": made.hops,
        "detours": made.detours,
        "expired": made.expired,
        "events": [
            {
                "what": each.name,
                "at": ms(each.began_ns),
                "took": round((each.done_ns - each.began_ns) / 1e6, 1),
                "used_again": ms(each.used_ns) if each.used_ns else None,
            }
            for each in made.events
        ],
        "outages": [
            {
                "from": each.source,
                "to": each.target,
                "at": ms(each.outage.since_ns),
                "lasted": round(each.outage.ms, 1) if each.outage.until_ns else None,
                "lost": each.outage.lost,
                "kind": each.kind,
                "counted": round(each.ms, 1),
                "event": each.event.name if each.event else None,
                "after": ms(each.outage.since_ns) - ms(each.event.began_ns) if each.event else None,
            }
            for each in made.explained
        ],
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="bench.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long things fail, on each topology")
    parser.add_argument("--topology", choices=(*TOPOLOGIES, "all"), default="all")
    parser.add_argument("--seed", type=int, default=1, help="the same seed tells the same story")
    parser.add_argument("--silent", action="store_true", help="daemons die as well while their switches' links stay up")
    parser.add_argument("--json", action="store_true", help="print every event and outage as JSON, and write no result")
    given = parser.parse_args(argv)
    if not 0 < given.minutes <= 600:
        parser.error("--minutes is above 0 and up to 600")
    book = Notebook("chaos", "Does the fabric stay whole when switches and links fail and come back at random?")
    book.parameters = {"minutes": given.minutes, "topology": given.topology, "seed": given.seed, "pairs": PAIRS}
    if given.silent:
        book.parameters["daemons"] = "die as well"
    told = []
    for topology in TOPOLOGIES if given.topology == "all" else (given.topology,):
        with bed("chaos", topology, TOPOLOGIES[topology]) as place:
            odds = Odds(silent=given.silent)
            made = run(place, topology, seed=given.seed, seconds=given.minutes * 60, say=book.say, odds=odds)
        write(book, made)
        told.append(details(made))
        book.say(f"{topology}: load of the machine {os.getloadavg()[0]:.1f}")
    if given.json:
        json.dump(told, sys.stdout, indent=1, ensure_ascii=False)
        return 0
    (RESULTS / "chaos").mkdir(exist_ok=True)
    for each in told:
        path = RESULTS / "chaos" / f"{each['topology']}.json"
        path.write_text(json.dumps(each, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    book.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
