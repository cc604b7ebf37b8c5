"""What does a loaded fabric suffer from what is done to it?

TCP streams run and probes, a thousand a second and several ways at once, tell how long nothing got through; each step
that was taken meanwhile answers for the outages that followed it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Final

from bench.bed import Bed
from bench.overflows import LATE_NS, Overflow, Overflows, covered
from bench.record import Notebook
from topologies.probing import Direction, Outage, ProbeReport, probing, streaming

STREAMS: Final = (("near", "far"), ("far", "near"), ("left", "right"), ("right", "left"))
MEGABITS: Final = 5.0
FLOWS: Final = 3
LOAD: Final = "The load meanwhile"
SERIES: Final = "Probes lost in each 100 ms"
WHEN: Final = "Seconds at which links failed and were restored"
OUTAGE: Final = "longest outage"
LOST: Final = "lost by all probes"
BIN_SECONDS: Final = 0.1
STEP_SECONDS: Final = 1.2
"""So long everything is left alone after each step."""
PORTS: Final = count(22000)
"""A port for each stream and probe, never the same twice."""
_EARLY_NS: Final = 20_000_000


@dataclass(slots=True)
class Step:
    """Something was done; times are CLOCK_MONOTONIC."""

    what: str
    back: bool
    began_ns: int
    done_ns: int


class Scene:
    """A fabric under load.

    :param case: in which rows it is written down.
    """

    def __init__(self, book: Notebook, place: Bed, case: str) -> None:
        self.book = book
        self.place = place
        self.case = case
        self.steps: list[Step] = []
        self.reports: list[ProbeReport] = []
        self.overflows: list[Overflow] = []

    @contextmanager
    def load(self) -> Iterator[None]:
        """Streams and probes as long as the block runs; what they tell is written down after it."""
        lab = self.place.lab
        self.steps.clear()
        with ExitStack() as stack:
            streams = [
                stack.enter_context(streaming(lab, *pair, megabits=MEGABITS, port=next(PORTS))) for pair in STREAMS
            ]
            probes = [stack.enter_context(probing(lab, "near", "far", port=next(PORTS))) for _ in range(FLOWS)]
            overflows = stack.enter_context(Overflows(self.place.status))
            time.sleep(STEP_SECONDS)
            yield
            time.sleep(STEP_SECONDS)
            self.reports = [probe.stop() for probe in probes]
            ended = [stream.stop() for stream in streams]
        self.overflows = overflows.seen
        seconds = max(report.there.sent for report in self.reports) / 1000
        self.book.take(
            LOAD, self.case, "goodput of a stream", "Mbit/s", [each.bytes * 8e-6 / seconds for each in ended]
        )
        self.book.take(LOAD, self.case, "longest stall of a stream", "ms", [each.longest_stall_ms for each in ended])
        self.book.take(LOAD, self.case, "streams intact", "", sum(each.intact for each in ended), f"{len(ended)}")
        self.book.take(LOAD, self.case, "probes sent", "", sum(each.sent for each in self.reports))
        self.book.take(LOAD, self.case, "dropped by busy switches' sockets", "", overflows.dropped())
        calm = [each for each in self._outages() if each.since_ns < self.steps[0].began_ns - _EARLY_NS]
        outside = sum(each.lost for each in calm if not covered(self.overflows, each))
        self.book.take(LOAD, self.case, "lost before anything failed", "", outside, "0")

    def did(self, what: str, action: Callable[[], None], *, back: bool = False) -> Step:
        """Do something, and remember when.

        :param back: whether it mends what was broken.
        """
        began = time.monotonic_ns()
        action()
        self.steps.append(Step(what, back, began, time.monotonic_ns()))
        return self.steps[-1]

    def worst(self, step: Step) -> tuple[float, int]:
        """The longest outage that began between a step and the next one, in ms, and the probes lost in all of them.

        Without those in which the machine was busy and the switches' own sockets dropped as many packets; but what
        begins with a failure is the failure's.
        """
        ends = [each.began_ns - _EARLY_NS for each in self.steps if each.began_ns > step.began_ns]
        end = min(ends, default=2**63)
        mine = [
            each
            for each in self._outages()
            if step.began_ns - _EARLY_NS <= each.since_ns < end
            if not ((step.back or each.since_ns > step.done_ns + LATE_NS) and covered(self.overflows, each))
        ]
        return max((each.ms for each in mine), default=0.0), sum(each.lost for each in mine)

    def _ways(self) -> Iterator[Direction]:
        for report in self.reports:
            yield report.there
            yield report.back

    def _outages(self) -> list[Outage]:
        return [each for way in self._ways() for each in way.outages if each.until_ns]

    def series(self, title: str) -> None:
        """Write down how many probes were lost when, and when links failed."""
        origin = self.steps[0].began_ns - int(STEP_SECONDS * 1e9)
        end = self.steps[-1].done_ns + int(STEP_SECONDS * 1e9)
        lost = [0] * (int((end - origin) / 1e9 / BIN_SECONDS) + 1)
        for each in self._outages():
            gap = (each.until_ns - each.since_ns) / (each.lost + 1)
            for i in range(1, each.lost + 1):
                at = int((each.since_ns + i * gap - origin) / 1e9 / BIN_SECONDS)
                if 0 <= at < len(lost):
                    lost[at] += 1
        self.book.take(SERIES, title, "lost", "probes", lost)
        for step in self.steps:
            self.book.take(WHEN, f"{title}: {step.what}", "at", "s", (step.began_ns - origin) / 1e9)
