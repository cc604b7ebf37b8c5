"""Does one service's goodput stay what it is, whatever another one does? (VL2 §5.3)

Service one runs long TCP flows all the time.  Service two, on other hypervisors of the same racks, grows server by
server (figure 11) or sends bursts of small connections (figure 12).  Then what VL2 left to TCP's good will: neighbours
on service one's own hypervisors send UDP as fast as their network card lets them, without and with a limit on what each
port may send.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bench.bed import Bed, wait
from bench.record import Notebook, Record
from bench.report import cell
from bench.vl2_paper import fabric
from bench.vl2_paper.fabric import Processor
from bench.vl2_paper.measures import FRAME, MTU, SEGMENT
from bench.vl2_paper.pages import Row, comparison, metric, without
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
METERED: Final = "neighbours send UDP at full rate, ports limited to 90 % of the uplink"
TIGHT: Final = "neighbours send UDP at full rate, ports limited to all of the uplink"
TREE: Final = ", spanning tree"
SLOT: Final = 0.5
ALLOTTED: Final = {METERED: 0.9, TIGHT: 1.0}
"""How much of an uplink the ports behind it may send together.

To its last bit is too much.  A meter counts what a machine sends: the tunnel adds to it, and to an acknowledgement of
66 bytes as much as to a full frame.  And a port that was silent has saved a burst (``overlay.tables.classify``), 0.15 s
of this uplink, that comes on top once: where nothing of the link is left, TCP alone makes room for both.
"""
_FULL: Final = 1.5
"""Times the uplink's rate: what a network card that is not told otherwise would send."""
_SERVERS: Final = 8
_WARM: Final = 2.0
_DRAIN: Final = 1.0
"""Seconds in which what UDP left in the queues goes, and a silent port has saved its burst again."""
_SMALLEST, _LARGEST = 1_000, 20_000
"""Bytes of a small connection (figure 12)."""


def rate_kbps(case: str) -> int:
    """What each of the two ports of a hypervisor may send: half of what is allotted, less the tunnel's headers."""
    return int(RATES.edge * 1000 * ALLOTTED[case] / 2 * (MTU + 14) / FRAME)


def guaranteed(case: str) -> float:
    """What service one is promised then, payload of all four machines in Mbit/s."""
    return 4 * rate_kbps(case) / 1000 * SEGMENT / (MTU + 14)


class _Homes(NamedTuple):
    """On which hypervisors the machines are, by name."""

    ones: dict[str, str]
    twos: dict[str, str]
    near: dict[str, str]


def _homes(place: Bed) -> _Homes:
    """Service one on each rack's first hypervisor, two of service two on each second one; neighbours of one."""
    first, second = place.hosts[::2], place.hosts[1::2]
    ones = {f"one{i}": host for i, host in enumerate(first)}
    twos = {f"two{i}": second[i % len(second)] for i in range(_SERVERS)}
    return _Homes(ones, twos, {f"near{i}": host for i, host in enumerate(first)})


def _begin(traffic: Traffic, ones: Mapping[str, str]) -> float:
    """Let service one run; returns the age at which it is warm."""
    for one in ones:
        for other in ones:
            if one != other:
                traffic.stream(ONE, one, other)
    traffic.run(_WARM)
    return traffic.to_slot()


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
        start = _begin(traffic, ones)
        _pair(book, traffic, case, seconds, disturb)
        _series(book, traffic, case, start)


def _pair(book: Notebook, traffic: Traffic, case: str, seconds: float, disturb: Callable[[Traffic], None]) -> None:
    """Service one alone for so long, then with what disturbs it, from its first moment on."""
    start = traffic.to_slot()
    traffic.run(seconds)
    alone = traffic.to_slot()
    processor = Processor()
    disturb(traffic)
    idle = processor.idle()
    end = traffic.to_slot()
    before = traffic.goodput(ONE, start, alone)
    during = traffic.goodput(ONE, alone, end)
    kept = 100 * statistics.mean(during) / statistics.mean(before)
    book.take(TABLE, case, "alone", "Mbit/s", statistics.mean(before))
    book.take(TABLE, case, "disturbed", "Mbit/s", statistics.mean(during))
    book.take(TABLE, case, "kept", "%", kept, "≥ 95 % but where nothing limits UDP, and under the spanning tree")
    book.take(TABLE, case, f"worst {SLOT:g} s", "% of alone", 100 * min(during) / statistics.mean(before))
    book.take(TABLE, case, "service two", "Mbit/s", statistics.mean(traffic.goodput(TWO, alone, end)))
    book.take(TABLE, case, "processors idle", "%", idle)
    book.say(
        f"{case}: {statistics.mean(before):.2f} → {statistics.mean(during):.2f} Mbit/s, {kept:.1f} % kept,"
        f" {idle:.0f} % idle"
    )


def _series(book: Notebook, traffic: Traffic, case: str, start: float) -> None:
    book.take(SERIES, case, ONE, "Mbit/s", traffic.goodput(ONE, start))
    book.take(SERIES, case, TWO, "Mbit/s", traffic.goodput(TWO, start))


def alternate(  # noqa: PLR0917  (what is watched, and for how long)
    book: Notebook,
    vms: Mapping[str, Place],
    ones: Mapping[str, str],
    case: str,
    seconds: float,
    pairs: int,
    near: Mapping[str, str],
) -> None:
    """Service one alone, then with neighbours that send UDP, and again: each flood beside the calm before it.

    The ports are limited all the time, so that the neighbours are all that differs; and every flood begins with the
    burst that the silent ports have saved meanwhile.
    """
    with Traffic(vms, SLOT, window=WINDOW * SEGMENT) as traffic:
        start = _begin(traffic, ones)
        for _ in range(pairs):
            _pair(book, traffic, case, seconds, flood(near, seconds))
            traffic.hush()
            traffic.run(_DRAIN)
        _series(book, traffic, case, start)


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


@contextmanager
def _lab(
    book: Notebook, settings: Mapping[str, Any] | None = None
) -> Iterator[tuple[Bed, _Homes, Mapping[str, Place]]]:
    """The fabric with its rates, and all machines where they belong."""
    with fabric.wide_bed("paper-isolation", {"hypervisors_per_edge": 2, "bw": RATES.fabric}, settings) as place:
        fabric.shape(place, RATES)
        network = place.network("isolation", "192.168.0.0/24")
        homes = _homes(place)
        vms = fabric.machines(place, network, homes.ones | homes.twos | homes.near)
        wait(place.settled, "all is confirmed")
        fabric.choose(book, place, "vlb")
        yield place, homes, vms


def run(book: Notebook, *, quick: bool) -> None:
    """Measure."""
    step, calm = (1.0, 3.0) if quick else (2.5, 8.0)
    pairs, turn = (4, 3.0) if quick else (6, 6.0)
    book.parameters |= {
        "fabric": "3 intermediate, 3 aggregation, 4 ToR switches, 8 hypervisors",
        "edge Mbit/s": RATES.edge,
        "fabric Mbit/s": RATES.fabric,
        "servers of service two": _SERVERS,
        "a step s": step,
        "pairs of calm and flood": pairs,
        "each s": turn,
    }
    with _lab(book) as (place, homes, vms):
        watch(book, vms, homes.ones, GROWS, calm, grow(homes.twos, step))
        watch(book, vms, homes.ones, BURSTS, calm, burst(homes.twos, step))
        watch(book, vms, homes.ones, UDP, calm, flood(homes.near, 4 * step))
        fabric.choose(book, place, "ecmp")
        with fabric.spanning_tree(place):
            watch(book, vms, homes.ones, GROWS + TREE, calm, grow(homes.twos, step))
    for case in ALLOTTED:
        try:
            with _lab(book, {"overlay": {"port_rate_kbps": rate_kbps(case)}}) as (_, homes, vms):
                alternate(book, vms, homes.ones, case, turn, pairs, homes.near)
        except LabError as wrong:
            if "port_rate_kbps" not in str(wrong):
                raise
            book.note("this controller has no limits of ports (overlay.port_rate_kbps): not measured")


# --- what is shown ----------------------------------------------------------------------------------------------------


def page(record: Record) -> str:
    """What came out, beside the paper."""

    def kept(case: str) -> str:
        found = metric(record, TABLE, case, "kept")
        return "not measured" if found is None else f"{cell(found)} % of it kept"

    def share(case: str) -> str:
        found = metric(record, TABLE, case, "disturbed")
        return "" if found is None else f"; {100 * found.median / guaranteed(case):.1f} % of its share"

    lines = comparison(
        [
            Row(GROWS, "no perceptible change", "≥ 95 % kept", kept(GROWS)),
            Row(BURSTS, "no perceptible change", "≥ 95 % kept", kept(BURSTS)),
            Row(GROWS + TREE, "", "", kept(GROWS + TREE)),
            Row(UDP, "not isolated", "", kept(UDP)),
            Row(METERED, "not possible", "≥ 95 % kept", kept(METERED) + share(METERED)),
            Row(TIGHT, "not possible", "", kept(TIGHT) + share(TIGHT)),
        ]
    )
    lines += [
        (
            "Service one: machines on the first hypervisor of each rack, long TCP flows between all of them. Service"
            " two: eight machines on the second hypervisors, a server more at each step, with long flows to all that"
            " are there; or bursts of connections of 1 to 20 kB, eight more at each step. Neighbours: a machine beside"
            " each one of service one, on its hypervisor, each sending UDP to the next at"
            f" {_FULL:g} times the uplink's rate."
        ),
        "",
        (
            "The limit is a meter at each port (`overlay.port_rate_kbps`), the same for both ports of a hypervisor and"
            f" there all the time: {rate_kbps(METERED)} kbit/s where they share 90 % of its uplink, which promises"
            f" service one {guaranteed(METERED):.1f} Mbit/s of payload in all, and {rate_kbps(TIGHT)} where they share"
            " all of it. Calm and flood take turns, and each flood is compared with the calm just before it. A flood"
            " begins with the burst that a silent port has saved, 600 kbit or 0.15 s of the uplink, on top of the rate:"
            f" that is the worst {SLOT:g} s. Out of the tenth of the link that is left service one then takes what its"
            " own port has saved meanwhile, and so gets its share after all. Where the ports share all of the link"
            " there is no room for that, nor for the tunnel's headers around acknowledgements, which the meter does"
            " not count: those two are what is lacking there, and why a limit is to leave a tenth."
        ),
        "",
        *without(record, SERIES),
        *(f"- {note}" for note in record.notes),
    ]
    return "\n".join(lines)


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
