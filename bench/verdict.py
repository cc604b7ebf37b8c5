"""What has a chaos run shown, in words and numbers?

No lab and no clock in here either: what was seen is turned into the rows of the page, and into a file that tells every
event, outage, alarm and detour.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from bench.alarms import BY_BFD, BY_PORT, GivenUp
from bench.loops import Longer
from bench.mishaps import DAEMON, KINDS, Event
from bench.record import Notebook
from bench.storm import Pair
from bench.story import ALARM, BUSY, BY_CONTROLLER, BY_SWITCHES, CUT, RETURNS, UNEXPLAINED, Explained
from topologies.probing import ProbeReport

LOCAL_MS: Final = 50
GLOBAL_MS: Final = 200
CUT_MS: Final = 1000


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
    alarms: tuple[GivenUp, ...] = ()
    """Each time that BFD gave a cable up that stood."""
    longer: tuple[Longer, ...] = ()
    """What took a longer way than any route of that moment or the second before."""
    rounds: dict[int, int] = field(default_factory=dict)
    """And those that passed more switches than there are."""
    unlike_before: list[str] = field(default_factory=list)
    unlike_fresh: list[str] = field(default_factory=list)
    after_restart: tuple[int, int] | None = None

    @property
    def detours(self) -> int:
        """Packets on a way that old routes, then newer ones, explain, and no route alone."""
        return sum(each.packets for each in self.longer if each.lawful)

    @property
    def strays(self) -> int:
        """Packets on a way that is longer than these explain."""
        return sum(each.packets for each in self.longer if not each.lawful)

    def outages(self, kind: str) -> list[Explained]:
        """The outages of one kind."""
        return [each for each in self.explained if each.kind == kind]


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
    book.take(loops, name, "by old routes, then new ones: longer than either", "", made.detours)
    book.take(loops, name, "longer than that explains", "", made.strays, "0")
    signs = "The verdict on signs of life"
    book.take(signs, name, "BFD gave up cables that stood", "", len(made.alarms), "0")
    for sign in (BY_PORT, BY_BFD):
        mine = (each for each in made.explained if each.seen and each.seen.sign == sign and each.kind != ALARM)
        times = [ms for ms in {each.event: each.seen_ms for each in mine}.values() if ms is not None]
        book.take(signs, name, f"failures with an outage seen by {sign}, after", "ms", times)
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
            f" {worst.ms:.0f} ms from {worst.source} to {worst.target}, by {worst.cause}"
        )
    for line in [*made.unlike_before, *made.unlike_fresh][:5]:
        book.note(f"{name}: {line}")


def _kinds() -> Iterator[str]:
    for kind in KINDS:
        yield f"{kind} fails, {BY_SWITCHES}"
        yield f"{kind} fails, {BY_CONTROLLER}"
        yield f"{kind} {RETURNS}"
    yield CUT
    yield ALARM
    yield BUSY
    yield UNEXPLAINED


def _per_event(made: Outcome) -> Iterator[tuple[Event, float]]:
    worst: dict[Event, float] = dict.fromkeys(made.events, 0.0)
    for each in made.explained:
        if each.event is not None and each.kind not in {CUT, BUSY, ALARM}:
            worst[each.event] = max(worst[each.event], each.ms)
    yield from worst.items()


def _limit(kind: str) -> float:
    if kind == BUSY:
        return float("inf")
    if kind == CUT:
        return CUT_MS
    if BY_SWITCHES in kind:
        return GLOBAL_MS if kind.startswith(DAEMON) else LOCAL_MS
    return GLOBAL_MS if BY_CONTROLLER in kind or kind == ALARM else 0.0


def _wanted(kind: str) -> str:
    limit = _limit(kind)
    if limit == float("inf"):
        return ""
    return f"{kind}: < {limit:g} ms" if limit else f"{kind}: none at all"


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
                "after": round(ms(each.outage.since_ns) - ms(each.event.began_ns), 1) if each.event else None,
                "cause": each.cause,
                "seen_by": each.seen.sign if each.seen else None,
                "seen_at": each.seen.switch if each.seen else None,
                "seen_after": round(each.seen_ms, 1) if each.seen_ms is not None else None,
            }
            for each in made.explained
        ],
        "alarms": [
            {
                "switch": each.switch,
                "cable": "–".join(each.cable),
                "at": ms(each.since_ns),
                "lasted": round((each.until_ns - each.since_ns) / 1e6, 1) if each.until_ns else None,
            }
            for each in made.alarms
        ],
        "longer": [
            {
                "from": each.source,
                "to": each.target,
                "at": ms(each.at_ns),
                "packets": each.packets,
                "switches": each.passed,
                "route": each.shortest,
                "old_then_new": each.longest,
            }
            for each in made.longer
        ],
    }
