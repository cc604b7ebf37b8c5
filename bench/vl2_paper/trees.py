"""How long is traffic gone when a link of a spanning tree fails, and how soon is it used again once it is restored?"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from bench.bed import wait
from bench.record import Notebook
from bench.vl2_paper.scene import PORTS, STEP_SECONDS
from bench.vl2_paper.spanning import Bridges, Cable, Protocol, first_packet
from topologies.probing import ProbeReport, probing

TREES: Final = "The same cables under a spanning tree"
_ANCHORED_SECONDS: Final = 90.0


def trees(book: Notebook, links: Sequence[tuple[str, str]], protocol: Protocol, failures: int) -> None:
    """Break the tree where traffic passes, and mend it."""
    case = {"rstp": "RSTP", "stp": "STP (802.1D-1998)"}[protocol]
    with Bridges(protocol, links, {"near": "tor1", "far": "tor3"}, "int1") as place:
        _alive(place, "the tree carries packets")
        for number in range(failures):
            tor = "tor1" if number % 2 == 0 else "tor3"
            middle = place.root_port(tor)
            # The ToR's own root port, or that of the aggregation switch above it.
            above = middle.other if middle.one == tor else middle.one
            bridge, broken = (tor, middle) if number < failures / 2 else (above, place.root_port(above))
            fell = _through(place, broken, up=False)
            gap, lost = _worst(fell)
            ear_at = place.ear(broken, bridge)
            used: list[float | None] = []
            with ear_at:
                began = time.monotonic()
                hearing = threading.Thread(
                    target=lambda ear=ear_at, since=began, used=used: used.append(
                        first_packet(ear, since, _ANCHORED_SECONDS)
                    )
                )
                hearing.start()
                rose = _through(place, broken, up=True, until=hearing.join)
            again, lost_again = _worst(rose)
            book.take(TREES, case, "longest outage at failure", "ms", gap)
            book.take(TREES, case, "lost at failure", "probes", lost)
            if used and used[0] is not None:
                book.take(TREES, case, "first packet on the restored link after", "ms", (used[0] - began) * 1000)
            book.take(TREES, case, "longest outage at return", "ms", again)
            book.take(TREES, case, "lost at return", "probes", lost_again)
            book.say(f"{case}, {broken.one}–{broken.other}: {gap:.0f} ms at failure, {again:.0f} ms at return")


def _through(place: Bridges, broken: Cable, *, up: bool, until: Callable[[], None] | None = None) -> ProbeReport:
    """Probe while a cable goes down or up, until packets pass again."""
    with probing(place, "near", "far", port=next(PORTS)) as probe:  # type: ignore[arg-type]
        time.sleep(STEP_SECONDS / 2)
        place.set_link(broken, up=up)
        if until is not None:
            until()
        _alive(place, "the tree carries packets again")
        time.sleep(STEP_SECONDS)
    return probe.result()


def _alive(place: Bridges, what: str) -> None:
    words = place.command("near", ["ping", "-n", "-q", "-c", "3", "-i", "0.2", "-W", "0.5", "192.168.77.2"])
    wait(
        lambda: subprocess.run(words, capture_output=True, check=False).returncode == 0,
        what,
        seconds=_ANCHORED_SECONDS,
        pause=0.05,
    )


def _worst(report: ProbeReport) -> tuple[float, int]:
    if report.lost == report.sent:
        raise RuntimeError("no probe arrived at all: this says nothing about the tree")
    outages = [each for way in (report.there, report.back) for each in way.outages if each.until_ns]
    return max((each.ms for each in outages), default=0.0), sum(each.lost for each in outages)
