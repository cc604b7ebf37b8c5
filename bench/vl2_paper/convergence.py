"""How long is traffic gone when links fail one after another, and how soon is a restored link used? (VL2 §5.4)

As in the paper, links between switches fail one after another under load and are restored one after another, while TCP
streams run and probes, a thousand a second and several ways at once, tell how long nothing got through.  Then failures
that no port reports: one direction of a cable goes silent, and a switch's daemon dies while its links stay up.  And
beside them, in the same run, the same cables under a spanning tree.
"""

from __future__ import annotations

import argparse
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

from bench.bed import PROJECT, Bed, bed, wait
from bench.overflows import LATE_NS, Overflow, Overflows, covered
from bench.record import RESULTS, Notebook, Record
from bench.report import tables
from bench.vl2_paper.spanning import Bridges, Cable, Protocol, first_packet
from topologies import namespace
from topologies.orders import LinkStatus
from topologies.probing import Direction, Outage, ProbeReport, probing, streaming
from topologies.rest import RestError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME: Final = "convergence"
QUESTION: Final = "How long is traffic gone when links fail one after another, and how soon is a restored link used?"
PARAMS: Final = {"aggregations": 4}
"""The racks of h1 and h3 share no aggregation switch: 12 ways between them."""
POLICIES: Final = ("ecmp", "vlb")
FAILING: Final = (("agg1", "int1"), ("agg3", "int2"), ("tor1", "agg1"), ("agg2", "int2"), ("tor3", "agg4"))
"""One after another, and always something is left."""
SILENT: Final = (("tor1", "agg1"), ("agg2", "int1"))
"""The first of the two goes on hearing the second, and is not heard."""
DYING: Final = ("agg1", "int2")
STREAMS: Final = (("near", "far"), ("far", "near"), ("left", "right"), ("right", "left"))
MEGABITS: Final = 5.0
FLOWS: Final = 3

REPORTED: Final = "Failures that a port reports"
RESTORED: Final = "Restored links"
UNREPORTED: Final = "Failures that no port reports"
_OUTAGE: Final = "longest outage"
_FIRST: Final = "first packet on it after"
LOAD: Final = "The load meanwhile"
TREES: Final = "The same cables under a spanning tree"
SERIES: Final = "Probes lost in each 100 ms"
WHEN: Final = "Seconds at which links failed and were restored"

ROWS: Final = (
    (
        "a link fails",
        "< 1 s",
        "< 50 ms where a port dies beside another next hop, < 200 ms elsewhere",
        REPORTED,
        _OUTAGE,
    ),
    ("one direction goes silent, or a switch's daemon dies", "", "< 200 ms", UNREPORTED, _OUTAGE),
    ("a restored link is used again", "50 s", "< 1 s", RESTORED, _FIRST),
    ("the same cables under a spanning tree: a link of the tree fails", "", "", TREES, "longest outage at failure"),
    ("there: the restored link is used again", "", "", TREES, "first packet on the restored link after"),
)

_STEP_SECONDS: Final = 1.2
_BLIND_SECONDS: Final = 20.0
"""So long a failure that nobody reports may go unnoticed before the measurement goes on without a repair."""
_USE_SECONDS: Final = 3.0
_BIN_SECONDS: Final = 0.1
_EARLY_NS: Final = 20_000_000
_GLOBAL: Final = "< 200 ms"
_USED: Final = "< 1000 ms"
_NOT_THERE: Final = frozenset({404, 405})
_ETH_P_ALL: Final = 3
_VXLAN: Final = 4789
_ANCHORED_SECONDS: Final = 90.0
_PORTS: Final = count(22000)


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
                stack.enter_context(streaming(lab, *pair, megabits=MEGABITS, port=next(_PORTS))) for pair in STREAMS
            ]
            probes = [stack.enter_context(probing(lab, "near", "far", port=next(_PORTS))) for _ in range(FLOWS)]
            overflows = stack.enter_context(Overflows(self.place.status))
            time.sleep(_STEP_SECONDS)
            yield
            time.sleep(_STEP_SECONDS)
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
        origin = self.steps[0].began_ns - int(_STEP_SECONDS * 1e9)
        end = self.steps[-1].done_ns + int(_STEP_SECONDS * 1e9)
        lost = [0] * (int((end - origin) / 1e9 / _BIN_SECONDS) + 1)
        for each in self._outages():
            gap = (each.until_ns - each.since_ns) / (each.lost + 1)
            for i in range(1, each.lost + 1):
                at = int((each.since_ns + i * gap - origin) / 1e9 / _BIN_SECONDS)
                if 0 <= at < len(lost):
                    lost[at] += 1
        self.book.take(SERIES, title, "lost", "probes", lost)
        for step in self.steps:
            self.book.take(WHEN, f"{title}: {step.what}", "at", "s", (step.began_ns - origin) / 1e9)


def choose(book: Notebook, place: Bed, policy: str) -> bool:
    """Let the fabric route by a policy; false, with a note, where the controller knows none but its own."""
    try:
        place.rest.ask("PUT", "/v1/topology/policy", {"policy": {"name": policy}})
    except RestError as wrong:
        if wrong.status not in _NOT_THERE:
            raise
        if policy != "ecmp":
            book.note(f"this controller has no policies: {policy} was not measured")
        return policy == "ecmp"
    wait(place.settled, f"every switch has confirmed {policy}")
    return True


def kind(ends: Sequence[str]) -> str:
    """What kind of link it is."""
    return "ToR – aggregation link" if any(end.startswith("tor") for end in ends) else "aggregation – intermediate link"


# ── failures that a port reports ─────────────────────────────────────────────────────────────────────────────────────


def one_after_another(scene: Scene) -> None:
    """Fail links one after another, and restore them one after another."""
    failed, restored = {}, {}
    with scene.load():
        for ends in FAILING:
            failed[ends] = scene.did(
                f"{'–'.join(ends)} down", lambda ends=ends: scene.place.lab.set_link(*ends, up=False)
            )
            time.sleep(_STEP_SECONDS)
        for ends in reversed(FAILING):
            restored[ends] = restore(scene, ends)
            time.sleep(_STEP_SECONDS)
    scene.series(scene.case)
    for ends, step in failed.items():
        case = f"{scene.case}: {kind(ends)}"
        ms, lost = scene.worst(step)
        scene.book.take(REPORTED, case, "met by a probe", "", float(lost > 0))
        if lost:
            scene.book.take(REPORTED, case, _OUTAGE, "ms", ms, _GLOBAL)
            scene.book.take(REPORTED, case, "lost by all probes", "probes", lost)
    for ends, step in restored.items():
        ms, lost = scene.worst(step)
        case = f"{scene.case}: {kind(ends)}"
        scene.book.take(RESTORED, case, _OUTAGE, "ms", ms, "0")
        scene.book.take(RESTORED, case, "lost by all probes", "probes", lost, "0")


def restore(scene: Scene, ends: tuple[str, str]) -> Step:
    """Raise a link; see when the controller counts it as usable, and when the first packet is on it."""
    place = scene.place
    link = cable(place, *ends)
    with ExitStack() as stack:
        ears = [stack.enter_context(ear(place, link, end)) for end in (link.one, link.other)]
        began = time.monotonic()
        step = scene.did(f"{'–'.join(ends)} up", lambda: place.lab.set_link(*ends, up=True), back=True)
        seen: list[float | None] = []
        hearing = [
            threading.Thread(target=lambda each=each: seen.append(first_packet(each, began, _USE_SECONDS, port=_VXLAN)))
            for each in ears
        ]
        for each in hearing:
            each.start()
        counted = wait(lambda: usable(place, link), f"{'–'.join(ends)} is usable", seconds=_BLIND_SECONDS, pause=0.005)
        for each in hearing:
            each.join()
    up = step.done_ns / 1e9
    case = f"{scene.case}: {kind(ends)}"
    heard = [each for each in seen if each is not None]
    scene.book.take(RESTORED, case, "counted as usable after", "ms", max(0.0, counted - up) * 1000)
    if heard:
        scene.book.take(RESTORED, case, _FIRST, "ms", max(0.0, min(heard) - up) * 1000, _USED)
    else:
        scene.book.note(f"{case}: no packet chose {'–'.join(ends)} within {_USE_SECONDS:g} s after it was restored")
    return step


def cable(place: Bed, one: str, other: str) -> LinkStatus:
    """The cable between two switches."""
    return next(link for link in place.status.links if {link.one, link.other} == {one, other})


def ear(place: Bed, link: LinkStatus, end: str) -> socket.socket:
    """A packet socket at one end of a cable."""
    pid = next(switch.pid for switch in place.status.switches if switch.name == end)
    with namespace.inside(pid):
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    made.bind((interface(link, end), _ETH_P_ALL))
    return made


def interface(link: LinkStatus, end: str) -> str:
    """The name of a cable's end."""
    return link.one_interface if link.one == end else link.other_interface


def usable(place: Bed, link: LinkStatus) -> bool:
    """Whether the controller uses a cable, in both directions."""
    dpids = {each.name: each.dpid for each in place.status.switches}
    ends = {(dpids[link.one], link.one_port), (dpids[link.other], link.other_port)}
    return 2 == sum(  # noqa: SIM300
        each["usable"] and (each["from_datapath_id"], each["from_port"]) in ends
        for each in place.rest.ask("GET", "/v1/topology")["topology"]["links"]
    )


# ── failures that no port reports ────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Hush:
    """Something goes silent and nobody's port says so."""

    what: str
    name: str
    links: tuple[LinkStatus, ...]
    """That carry nothing any more, in one direction at least."""
    fail: Callable[[], None]
    heal: Callable[[], None]


def hushes(place: Bed, *, quick: bool) -> Iterator[Hush]:
    """One direction of a cable, then a switch's daemon with its links up."""
    for ends in SILENT[:1] if quick else SILENT:
        link = cable(place, *ends)
        where = (ends[0], interface(link, ends[0]))
        yield Hush(
            f"one direction, {kind(ends)}",
            "→".join(ends),
            (link,),
            partial(mute, place, *where),
            partial(unmute, place, *where),
        )
    for name in DYING[1:] if quick else DYING:
        yield Hush(
            f"daemon of an {'aggregation' if name.startswith('agg') else 'intermediate'} switch",
            name,
            tuple(each for each in place.status.links if name in {each.one, each.other}),
            partial(place.lab.kill_vswitchd, name),
            partial(place.lab.restart_vswitchd, name),
        )


def unnoticed(scene: Scene, hush: Hush) -> None:
    """Let something fail that no port reports, wait until the controller has given it up, and heal it."""
    book, place, case, name = scene.book, scene.place, f"{scene.case}: {hush.what}", hush.name
    with scene.load():
        failed = scene.did(f"{name} silent", hush.fail)
        try:
            given_up = wait(
                lambda: not any(usable(place, link) for link in hush.links), name, seconds=_BLIND_SECONDS, pause=0.02
            )
        except TimeoutError:
            book.note(f"{case} ({name}): not noticed within {_BLIND_SECONDS:g} s, so healed then")
        else:
            book.take(UNREPORTED, case, "given up after", "ms", given_up * 1000 - failed.began_ns / 1e6, _GLOBAL)
        time.sleep(_STEP_SECONDS)
        healed = scene.did(f"{name} heard again", hush.heal, back=True)
        back = wait(lambda: all(usable(place, link) for link in hush.links), f"{name} is used again", pause=0.02)
        book.take(UNREPORTED, case, "usable again after", "ms", back * 1000 - healed.done_ns / 1e6)
        wait(place.settled, f"everything is confirmed after {name} came back")
        time.sleep(_STEP_SECONDS)
    ms, lost = scene.worst(failed)
    book.take(UNREPORTED, case, "met by a probe", "", float(lost > 0))
    if lost:
        book.take(UNREPORTED, case, _OUTAGE, "ms", ms, _GLOBAL)
        book.take(UNREPORTED, case, "lost by all probes", "probes", lost)
    again, lost_again = scene.worst(healed)
    book.take(UNREPORTED, case, "longest outage at return", "ms", again, "0")
    book.say(f"{case} ({name}): {ms:.1f} ms, {lost} lost; at return {again:.1f} ms, {lost_again} lost")


def mute(place: Bed, node: str, name: str) -> None:
    """Let nothing leave by an interface: a queue for no packet drops them all, and carrier stays (tc-bfifo(8))."""
    _tc(place, node, "replace", "dev", name, "root", "pfifo", "limit", "0")


def unmute(place: Bed, node: str, name: str) -> None:
    """Let everything leave again."""
    _tc(place, node, "del", "dev", name, "root")


def _tc(place: Bed, node: str, *words: str) -> None:
    done = place.lab.run(node, ["tc", "qdisc", *words])
    if done.returncode:
        raise RuntimeError(f"{node}: tc qdisc {' '.join(words)}: {done.stderr.strip()}")


# ── the spanning tree ────────────────────────────────────────────────────────────────────────────────────────────────


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
    with probing(place, "near", "far", port=next(_PORTS)) as probe:  # type: ignore[arg-type]
        time.sleep(_STEP_SECONDS / 2)
        place.set_link(broken, up=up)
        if until is not None:
            until()
        _alive(place, "the tree carries packets again")
        time.sleep(_STEP_SECONDS)
    return probe.result()


def _alive(place: Bridges, what: str) -> None:
    import subprocess  # noqa: PLC0415

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


# ── all of it ────────────────────────────────────────────────────────────────────────────────────────────────────────


def run(book: Notebook, *, quick: bool) -> None:
    """Measure."""
    rounds = 1 if quick else 3
    book.parameters |= {
        "fabric": "3 intermediate, 4 aggregation, 4 ToR switches",
        "probes": f"{FLOWS} flows of 1 kHz, both directions",
        "streams": f"{len(STREAMS)} of {MEGABITS:g} Mbit/s",
        "rounds": rounds,
    }
    with bed("convergence", "vl2", PARAMS) as place:
        links = [(link.one, link.other) for link in place.status.links if link.one_port and link.other_port]
        network = place.network("convergence", "192.168.0.0/24")
        for name, host in (("near", "h1"), ("left", "h2"), ("far", "h3"), ("right", "h4")):
            place.lab.vm_add(name, host, network=network, project=PROJECT)
        for policy in POLICIES:
            if choose(book, place, policy):
                for _ in range(rounds):
                    one_after_another(Scene(book, place, policy))
                    wait(place.settled, "the fabric is at rest")
        choose(book, place, "ecmp")
        for hush in hushes(place, quick=quick):
            unnoticed(Scene(book, place, "ecmp"), hush)
    trees(book, links, "rstp", 1 if quick else 4)
    if not quick:
        trees(book, links, "stp", 1)


def page(record: Record) -> str:
    """What came out, beside the paper."""
    shown = Record(
        **{
            field: getattr(record, field)
            for field in ("measurement", "question", "date", "machine", "versions", "parameters", "notes", "seconds")
        },
        metrics=tuple(metric for metric in record.metrics if metric.table not in {SERIES, WHEN}),
    )
    lines = [
        (
            "The paper fails links between its switches one after another under load and restores them (§5.4, figure"
            " 12): traffic finds other links in less than a second, and uses a restored one again after up to 50"
            " seconds.  The vertical lines of the picture are failures (full) and restorations (dotted)."
        ),
        "",
        "| | paper | wanted here | here: median (least – most) |",
        "|---|---|---|---|",
        *(
            f"| {what} | {paper} | {wanted} | {_span(record, table, name)} |"
            for what, paper, wanted, table, name in ROWS
        ),
        "",
        *tables(shown),
        *(f"- {note}" for note in record.notes),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _span(record: Record, table: str, name: str) -> str:
    samples = [
        each for metric in record.metrics if (metric.table, metric.name) == (table, name) for each in metric.samples
    ]
    if not samples:
        return "not measured"
    ordered = sorted(samples)
    return f"{ordered[len(ordered) // 2]:,.0f} ms ({ordered[0]:,.0f} – {ordered[-1]:,.0f})"


def plots(record: Record) -> Mapping[str, Figure]:
    """The probes lost while links fail and are restored, in the manner of the paper's figure 12."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (only for whoever wants pictures)

    series = {metric.case: metric.samples for metric in record.metrics if metric.table == SERIES}
    figure = Figure(figsize=(9, 2.6 * max(1, len(series))), layout="constrained")
    axes = figure.subplots(max(1, len(series)), squeeze=False)[:, 0]
    for axis, (case, lost) in zip(axes, series.items(), strict=False):
        axis.bar([i * _BIN_SECONDS for i in range(len(lost))], lost, width=_BIN_SECONDS, align="edge", color="#b03030")
        for metric in record.metrics:
            if metric.table == WHEN and metric.case.startswith(f"{case}: "):
                down = metric.case.endswith("down")
                for at in metric.samples[:1]:
                    axis.axvline(at, color="#606060", linestyle="-" if down else ":", linewidth=1)
        axis.set_title(f"{case}: links fail (—) and are restored (┄), one after another", fontsize=9)
        axis.set_ylabel(f"probes lost of {2 * FLOWS * 1000 * _BIN_SECONDS:g}")
        axis.set_ylim(0, 2 * FLOWS * 1000 * _BIN_SECONDS)
    axes[-1].set_xlabel("seconds")
    return {f"{NAME}.svg": figure}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="bench.vl2_paper.convergence", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="each kind once, in two minutes")
    given = parser.parse_args(argv)
    book = Notebook(NAME, QUESTION)
    run(book, quick=given.quick)
    record = book.record()
    (RESULTS / "vl2_paper").mkdir(exist_ok=True)
    record.write(RESULTS / "vl2_paper")
    print(page(record))


if __name__ == "__main__":
    main()
