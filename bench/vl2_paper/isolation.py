"""Does one service's goodput stay what it is, whatever another one does? (VL2 §5.3)

Service one runs long TCP flows all the time.  Service two, on other hypervisors of the same racks, grows server by
server (figure 11) or sends bursts of small connections (figure 12).  Then what VL2 left to TCP's good will: neighbours
on service one's own hypervisors send UDP as fast as their network card lets them, without and with a limit on what each
port may send.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from bench.bed import Bed, wait
from bench.record import Metric, Notebook, Record
from bench.vl2_paper import fabric
from bench.vl2_paper.measures import FRAME, MTU, SEGMENT
from bench.vl2_paper.pages import Row, comparison, metric, said, without
from bench.vl2_paper.traffic import Place, Traffic
from topologies.errors import LabError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME: Final = "isolation"
QUESTION: Final = "Does one service's goodput stay what it is, whatever another one does?"
TABLE: Final = "Goodput of service one"
SERIES: Final = "Goodput over time"
ONE: Final = "service one"
TWO: Final = "service two"
RATES: Final = fabric.Rates(edge=4.0, fabric=6.0, queue=300)
WINDOW: Final = 6
"""Segments that a flow has under way at most, so that the queues hold them all."""
GROWS: Final = "service two grows by a server at a time"
BURSTS: Final = "service two sends bursts of small connections"
UDP: Final = "neighbours send UDP at full rate, no limit"
METERED: Final = "neighbours send UDP at full rate, ports limited"
TREE: Final = ", spanning tree"
SLOT: Final = 0.5
RATE_KBPS: Final = int(RATES.edge * 1000 / 2 * (MTU + 14) / FRAME)
"""What each of the two ports of a hypervisor may send: half of its uplink, less the tunnel's headers."""
_FULL: Final = 1.5
"""Times the uplink's rate: what a network card that is not told otherwise would send."""
_SERVERS: Final = 8
_SMALLEST, _LARGEST = 1_000, 20_000
"""Bytes of a small connection (figure 12)."""


def _homes(place: Bed) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Service one on each rack's first hypervisor, two of service two on each second one; neighbours of one."""
    first, second = place.hosts[::2], place.hosts[1::2]
    ones = {f"one{i}": host for i, host in enumerate(first)}
    twos = {f"two{i}": second[i % len(second)] for i in range(_SERVERS)}
    return ones, twos, {f"near{i}": host for i, host in enumerate(first)}


def _begin(traffic: Traffic, ones: Mapping[str, str], warm: float) -> None:
    for one in ones:
        for other in ones:
            if one != other:
                traffic.stream(ONE, one, other)
    traffic.run(warm)


def watch(  # noqa: PLR0917  (what is watched, and for how long)
    book: Notebook,
    vms: Mapping[str, Place],
    ones: Mapping[str, str],
    case: str,
    seconds: float,
    disturb: Callable[[Traffic], None],
) -> None:
    """Service one alone for so long, then with what disturbs it; both series go into the book."""
    with Traffic(vms, SLOT, window=WINDOW * SEGMENT) as traffic:
        _begin(traffic, ones, 2.0)
        start = traffic.age
        traffic.run(seconds)
        alone = traffic.age
        disturb(traffic)
        end = traffic.age
        before = traffic.goodput(ONE, start, alone)
        during = traffic.goodput(ONE, alone, end)
        book.take(SERIES, case, ONE, "Mbit/s", traffic.goodput(ONE, start, end))
        book.take(SERIES, case, TWO, "Mbit/s", traffic.goodput(TWO, start, end))
    kept = 100 * statistics.mean(during) / statistics.mean(before)
    book.take(TABLE, case, "alone", "Mbit/s", statistics.mean(before))
    book.take(TABLE, case, "disturbed", "Mbit/s", statistics.mean(during))
    book.take(TABLE, case, "kept", "%", kept, "≥ 95 % but for UDP; with limits at least its half of the uplink")
    book.take(TABLE, case, f"worst {SLOT:g} s", "% of alone", 100 * min(during) / statistics.mean(before))
    book.say(f"{case}: {statistics.mean(before):.1f} → {statistics.mean(during):.1f} Mbit/s, {kept:.1f} % kept")


def grow(twos: Mapping[str, str], step: float) -> Callable[[Traffic], None]:
    """A server more at each step, each with long flows to all that are there."""

    def disturb(traffic: Traffic) -> None:
        there: list[str] = []
        for name in twos:
            for other in there:
                if twos[other] != twos[name]:
                    traffic.stream(TWO, name, other)
                    traffic.stream(TWO, other, name)
            there.append(name)
            traffic.run(step)
        traffic.run(2 * step)

    return disturb


def burst(twos: Mapping[str, str], step: float) -> Callable[[Traffic], None]:
    """More connections at each step, each of 1 to 20 kB."""
    source = random.Random(12)  # noqa: S311  (sizes of flows)

    def disturb(traffic: Traffic) -> None:
        names = list(twos)
        for number in range(1, _SERVERS + 1):
            for _ in range(8 * number):
                one, other = source.sample(names, 2)
                if twos[one] != twos[other]:
                    traffic.stream(TWO, one, other, source.randint(_SMALLEST, _LARGEST))
            traffic.run(step)

    return disturb


def flood(near: Mapping[str, str], seconds: float) -> Callable[[Traffic], None]:
    """Every neighbour sends to the next one, far more than its hypervisor's uplink takes."""

    def disturb(traffic: Traffic) -> None:
        names = list(near)
        for one, other in zip(names, [*names[1:], *names[:1]], strict=True):
            traffic.blast(TWO, one, other, RATES.edge * _FULL)
        traffic.run(seconds)

    return disturb


def _lab(book: Notebook, settings: Mapping[str, Any] | None, *, step: float, calm: float, all_of_it: bool) -> None:
    with fabric.wide_bed("paper-isolation", {"hypervisors_per_edge": 2, "bw": RATES.fabric}, settings) as place:
        fabric.shape(place, RATES)
        network = place.network("isolation", "192.168.0.0/24")
        ones, twos, near = _homes(place)
        vms = fabric.machines(place, network, ones | twos | near)
        wait(place.settled, "all is confirmed")
        fabric.choose(book, place, "vlb")
        if all_of_it:
            watch(book, vms, ones, GROWS, calm, grow(twos, step))
            watch(book, vms, ones, BURSTS, calm, burst(twos, step))
            watch(book, vms, ones, UDP, calm, flood(near, 4 * step))
            fabric.choose(book, place, "ecmp")
            with fabric.spanning_tree(place):
                watch(book, vms, ones, GROWS + TREE, calm, grow(twos, step))
        else:
            watch(book, vms, ones, METERED, calm, flood(near, 4 * step))


def run(book: Notebook, *, quick: bool) -> None:
    """Measure."""
    step, calm = (1.0, 3.0) if quick else (2.5, 8.0)
    book.parameters |= {
        "fabric": "3 intermediate, 3 aggregation, 4 ToR switches, 8 hypervisors",
        "edge Mbit/s": RATES.edge,
        "fabric Mbit/s": RATES.fabric,
        "servers of service two": _SERVERS,
        "a step s": step,
        "overlay.port_rate_kbps": RATE_KBPS,
    }
    _lab(book, None, step=step, calm=calm, all_of_it=True)
    try:
        _lab(book, {"overlay": {"port_rate_kbps": RATE_KBPS}}, step=step, calm=calm, all_of_it=False)
    except LabError as wrong:
        if "port_rate_kbps" not in str(wrong):
            raise
        book.note("this controller has no limits of ports (overlay.port_rate_kbps): not measured")


# --- what is shown ----------------------------------------------------------------------------------------------------


def page(record: Record) -> str:
    """What came out, beside the paper."""

    def kept(case: str) -> str:
        return said(metric(record, TABLE, case, "kept"), " % of it kept")

    guaranteed = 4 * RATE_KBPS / 1000 * SEGMENT / (MTU + 14)
    metered = metric(record, TABLE, METERED, "disturbed")
    lines = comparison(
        [
            Row(GROWS, "no perceptible change", "≥ 95 % kept", kept(GROWS)),
            Row(BURSTS, "no perceptible change", "≥ 95 % kept", kept(BURSTS)),
            Row(GROWS + TREE, "", "", kept(GROWS + TREE)),
            Row(UDP, "not isolated", "", kept(UDP)),
            Row(METERED, "not possible", "its half of the uplinks", _of(metered, guaranteed) + "; " + kept(METERED)),
        ]
    )
    lines += [
        (
            "Service one: machines on the first hypervisor of each rack, long TCP flows between all of them. Service"
            " two: eight"
            " machines on the second hypervisors, a server more at each step, with long flows to all that are there; or"
            " bursts"
            " of connections of 1 to 20 kB, eight more at each step. Neighbours: a machine beside each one of service"
            " one, on"
            f" its hypervisor, each sending UDP to the next at {_FULL:g} times the uplink's rate. The limit is a meter"
            f" at each"
            f" port (`overlay.port_rate_kbps = {RATE_KBPS}`): half of the uplink, for both alike, so that what service"
            f" one is"
            f" promised are {guaranteed:.1f} Mbit/s of payload in all."
        ),
        "",
        *without(record, SERIES),
        *(f"- {note}" for note in record.notes),
    ]
    return "\n".join(lines)


def _of(found: Metric | None, whole: float) -> str:
    return "not measured" if found is None else f"{100 * found.median / whole:.1f} % of that"


def plots(record: Record) -> Mapping[str, Figure]:
    """Both services' goodput over time, in the manner of the paper's figures 11 and 12."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (only for whoever wants pictures)

    cases = list(dict.fromkeys(each.case for each in record.metrics if each.table == SERIES))
    figure = Figure(figsize=(9, 2.2 * ((len(cases) + 1) // 2)), layout="constrained")
    axes = figure.subplots((len(cases) + 1) // 2, 2, squeeze=False).flat
    for axis, case in zip(axes, cases, strict=False):
        for name in (ONE, TWO):
            found = metric(record, SERIES, case, name)
            if found:
                axis.plot([i * SLOT for i in range(len(found.samples))], found.samples, label=name, linewidth=1)
        axis.set_title(case, fontsize=8)
        axis.set_ylim(0, None)
        axis.set_xlabel("seconds", fontsize=7)
        axis.set_ylabel("Mbit/s", fontsize=7)
        axis.legend(fontsize=6)
    for axis in list(axes)[len(cases) :]:
        axis.set_visible(False)
    return {f"{NAME}.svg": figure}
