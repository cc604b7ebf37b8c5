"""Does the fabric stay whole when switches and links fail and come back at random?

For minutes on end something fails or returns every second or so, up to three things down at once, while several pairs
of machines send each other a thousand probes a second.  Mostly what is left still joins all of them; now and then a
failure cuts somebody off.  Then everything comes back, and the questions are: was every probe lost in an outage that
one event explains, and how long did each last?  Did any packet go round, or a longer way than its routes explain?  Do
the switches hold exactly what a fresh computation gives?  The seed decides what fails, and when; what the machine
itself does to probes is the row *nothing fails*, measured before.

A packet that is under way while routes change may follow old ones to some switch and new ones from there, which can be
longer than either: towards a broken cable, say, and back from it.  The ordered update allows that, as the other choice
is to lose the packet; it does not allow new routes first and old ones after, which is how loops come about.  So a way
is counted as a stray's when it is longer than any that follows the routes of one moment, then those of later ones.  A
moment's routes are the shortest ways over what stands and what BFD has not given up; damped cables are a last resort.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Final

from bench import afresh
from bench.alarms import cables_of, given_up
from bench.bed import Bed, bed, wait
from bench.loops import Arrivals, longer
from bench.mishaps import Odds
from bench.overflows import Overflows
from bench.record import RESULTS, Notebook
from bench.storm import PAIRS, Storm
from bench.story import BUSY, Story
from bench.tidings import Tidings
from bench.verdict import Outcome, details, write

TOPOLOGIES: Final[Mapping[str, Mapping[str, int]]] = {"vl2": {}, "fattree": {"k": 4}, "jellyfish": {}}
ODDS: Final = Odds()
_CALM_SECONDS: Final = 2.0
_SETTLE_SECONDS: Final = 60.0


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
        Tidings(place.status) as tidings,
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
    given = given_up(tidings.ports, cables_of(place.status))
    story = Story(storm.graph, storm.events, overflows.seen, given, storm.damped)
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
        expired=dict(tidings.dropped),
        hops=dict(arrivals.hops()),
        rounds={passed: packets for passed, packets in arrivals.hops().items() if passed > len(place.status.switches)},
        alarms=story.alarms,
        longer=tuple(longer(story, arrivals.seen, las)),
        unlike_before=afresh.differing(before, after),
        unlike_fresh=afresh.differing(afresh.computed(place), afresh.held(place)),
    )
    if place.status.controller is not None:
        made.after_restart = afresh.restarted(place)
        made.unlike_before += afresh.differing(after, afresh.spelled(place))
    return made


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
