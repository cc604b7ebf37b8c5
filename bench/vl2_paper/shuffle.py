"""What part of the edge's capacity does an all-to-all shuffle get, and how fairly is it shared? (VL2 §5.1)

Every machine sends to every machine on another hypervisor by TCP, all at once, over cables whose shapers let through
less than the machine under the lab could forward: so the network is measured and not the processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from bench.bed import Bed, wait
from bench.record import Notebook, Record
from bench.vl2_paper import fabric
from bench.vl2_paper.measures import SEGMENT, acknowledged_share, capacity, efficiency, jain, payload_share
from bench.vl2_paper.pages import Row, comparison, metric, said, without
from bench.vl2_paper.traffic import Place, Traffic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME: Final = "shuffle"
QUESTION: Final = "What part of the edge's capacity does an all-to-all shuffle get, and how fairly is it shared?"
TABLE: Final = "All-to-all by TCP"
PROOF: Final = "What was measured is the network"
SERIES: Final = "Goodput of all flows"
FLOWS: Final = "Goodput of each flow"
HOSTS_PER_TOR: Final = 2
MACHINES_PER_HOST: Final = 2
RATES: Final = fabric.Rates(edge=3.0, fabric=4.5)
"""A switch's link 1.5 times a hypervisor's.  The paper's carry ten times a server's and hundreds of flows each; with
the two dozen flows of a link here, chance alone loads some links half as much again as others."""
FULL: Final = fabric.Rates(edge=3.0, fabric=3.0)
"""Not a bit more below a ToR than above it, as the paper's 20 servers of 1 Gbit/s below two links of 10 Gbit/s."""
WINDOW: Final = 4
"""Segments that a flow has under way at most (its receive buffer): the windows of all flows together fit into the
queue before a hypervisor's uplink, as they would in front of a real one by the operator's choice of its buffers."""
CASES: Final = (
    "VL2: Valiant load balancing",
    "equal-cost multipath",
    "VL2, fabric without any headroom (1:1)",
    "spanning tree, fabric without any headroom",
)
UNSHAPED: Final = "no shaping: what the machine can forward"
_SERVICE: Final = "shuffle"
_SLOT: Final = 0.5
_TIMES: Final = "times the shaped edge's capacity"


def pairs(homes: dict[str, str]) -> list[tuple[str, str]]:
    """Who sends to whom: everybody to everybody on another hypervisor (the others share no cable)."""
    return [(one, other) for one in homes for other in homes if homes[one] != homes[other]]


def shuffle(  # noqa: PLR0917
    book: Notebook, place: Bed, vms: dict[str, Place], homes: dict[str, str], case: str, seconds: float
) -> float:
    """Run one; returns the goodput in Mbit/s."""
    hosts = len(place.hosts)
    with Traffic(vms, _SLOT, window=WINDOW * SEGMENT) as traffic:
        # One round after the other, so that their handshakes do not push each other out of the queues.
        wanted = pairs(homes)
        for first in range(0, len(wanted), 64):
            for one, other in wanted[first : first + 64]:
                traffic.stream(_SERVICE, one, other)
            traffic.run(0.05)
        traffic.run(seconds / 2)  # until TCP has found its windows
        traffic.mark()
        before, processor, share, began = fabric.counted(place), fabric.Processor(), fabric.Share(place), traffic.age
        traffic.run(seconds)
        took, idle, used, after = traffic.age - began, processor.idle(), share.used(), fabric.counted(place)
        rates = [flow.received * 8 / 1e6 / took for flow in traffic.flows]
        series = traffic.goodput(_SERVICE)
    goodput = sum(rates)
    book.take(FLOWS, case, "goodput", "Mbit/s", rates)
    book.take(SERIES, case, f"per {traffic.slot:g} s", "Mbit/s", series)
    book.take(TABLE, case, "flows", "", len(rates))
    book.take(TABLE, case, "goodput", "Mbit/s", goodput)
    book.take(TABLE, case, "of the edge's capacity", "%", 100 * efficiency(goodput, hosts, RATES.edge), "≥ 95 %")
    floor = goodput / (hosts * RATES.edge * acknowledged_share())
    book.take(TABLE, case, "… less what acknowledgements take", "%", 100 * floor)
    book.take(TABLE, case, "Jain index of the flows", "", jain(rates), "≥ 0.995")
    book.take(TABLE, case, "slowest flow, of an equal share", "%", 100 * min(rates) * len(rates) / goodput)
    edge = (after.edge_sent - before.edge_sent) * 8 / 1e6 / took / (hosts * RATES.edge)
    book.take(PROOF, case, "up-links of the hypervisors used", "%", 100 * edge)
    book.take(PROOF, case, "frames dropped by the cables' queues", "", after.dropped - before.dropped)
    book.take(PROOF, case, "processors idle", "%", idle)
    book.take(PROOF, case, "of them used by the lab", "%", used)
    book.say(f"{case}: {goodput:.1f} Mbit/s, {100 * efficiency(goodput, hosts, RATES.edge):.1f} %, {jain(rates):.4f}")
    return goodput


def unshaped(book: Notebook, place: Bed, vms: dict[str, Place], homes: dict[str, str], seconds: float) -> None:
    """What the machine forwards between the same machines when nothing is shaped."""
    fabric.unshape(place)
    chosen = pairs(homes)[:: len(homes)]
    with Traffic(vms) as traffic:
        for one, other in chosen:
            traffic.stream(_SERVICE, one, other)
        traffic.run(1.0)
        processor, began = fabric.Processor(), traffic.age
        traffic.run(seconds)
        idle = processor.idle()
        series = traffic.goodput(_SERVICE, began)
    goodput = sum(series) / max(1, len(series))
    asked = capacity(len(place.hosts), RATES.edge)
    book.take(PROOF, UNSHAPED, "goodput", "Mbit/s", goodput)
    book.take(PROOF, UNSHAPED, _TIMES, "", goodput / asked)
    book.take(PROOF, UNSHAPED, "processors idle", "%", idle)
    book.say(f"unshaped: {goodput:.1f} Mbit/s between the same machines, {goodput / asked:.2f} of what is asked")


def run(book: Notebook, *, quick: bool) -> None:
    """Measure."""
    seconds = 10.0 if quick else 40.0
    book.parameters |= {
        "fabric": "3 intermediate, 3 aggregation, 4 ToR switches",
        "hypervisors": 4 * HOSTS_PER_TOR,
        "machines per hypervisor": MACHINES_PER_HOST,
        "edge Mbit/s": RATES.edge,
        "fabric Mbit/s": RATES.fabric,
        "queue, frames": RATES.queue,
        "window, segments": WINDOW,
        "payload of a frame": round(payload_share(), 4),
        "seconds": seconds,
    }
    with fabric.wide_bed("paper-shuffle", {"hypervisors_per_edge": HOSTS_PER_TOR, "bw": RATES.fabric}) as place:
        network = place.network("shuffle", "192.168.0.0/22")
        homes = {f"m{i}{host}": host for host in place.hosts for i in range(MACHINES_PER_HOST)}
        vms = fabric.machines(place, network, homes)
        wait(place.settled, "all is confirmed")
        unshaped(book, place, vms, homes, 3.0 if quick else 6.0)
        fabric.shape(place, RATES)
        valiant = fabric.choose(book, place, "vlb")
        if valiant:
            shuffle(book, place, vms, homes, CASES[0], seconds)
        fabric.choose(book, place, "ecmp")
        shuffle(book, place, vms, homes, CASES[1], seconds)
        fabric.shape(place, FULL)
        if valiant and fabric.choose(book, place, "vlb"):
            shuffle(book, place, vms, homes, CASES[2], seconds)
        fabric.choose(book, place, "ecmp")
        with fabric.spanning_tree(place):
            shuffle(book, place, vms, homes, CASES[3], seconds)


# --- what is shown ----------------------------------------------------------------------------------------------------


def page(record: Record) -> str:
    """What came out, beside the paper."""
    main = CASES[0] if metric(record, TABLE, CASES[0], "goodput") else CASES[1]
    share, jains = (metric(record, TABLE, main, name) for name in ("of the edge's capacity", "Jain index of the flows"))
    idle, more = metric(record, PROOF, main, "processors idle"), metric(record, PROOF, UNSHAPED, _TIMES)
    lines = comparison(
        [
            Row("goodput, of what the edge can carry after headers", "94 %", "≥ 95 %", said(share, " %")),
            Row("Jain index of the flows' goodput", "0.995", "≥ 0.995", said(jains)),
        ]
    )
    lines += [
        (
            "Every machine sends to every machine on another hypervisor, all at once, by TCP from the machine's own"
            " kernel; a"
            " flow's goodput is what arrived in the time measured, after half as long a time to begin. The edge's"
            " capacity is"
            f" that of all hypervisors' uplinks, times {payload_share():.4f}: {SEGMENT} bytes of payload in a frame of"
            " 1,564 (Ethernet, IPv4, UDP and VXLAN outside, Ethernet, IPv4 and TCP with time stamps inside). All"
            " uplinks"
            " are"
            " full in both directions, so that acknowledgements take up to"
            f" {100 * (1 - acknowledged_share() / payload_share()):.1f} % of them; the table shows the goodput"
            f" against that"
            " limit, too."
        ),
        "",
        (
            f"That the network was measured and not the processor: without shaping the same machines reached"
            f" {said(more)}"
            f" times the shaped capacity (over flows between some of them), and {said(idle, ' %')} of the processors"
            f" were"
            " idle during the shuffle. The spanning tree is the same fabric with all other links taken down; flows"
            " within a rack"
            " take what the others leave, so that it shows in how unequal they are and in the slowest one, with which a"
            " shuffle of equal parts ends."
        ),
        "",
    ]
    lines += without(record, FLOWS, SERIES)
    return "\n".join([*lines, *(f"- {note}" for note in record.notes)])


def plots(record: Record) -> Mapping[str, Figure]:
    """Goodput over time (the paper's figure 9), and how it is shared by the flows."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (only for whoever wants pictures)

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    over, shared = figure.subplots(1, 2)
    for each in record.metrics:
        if each.table == SERIES:
            over.plot([i * _SLOT for i in range(len(each.samples))], each.samples, label=each.case, linewidth=1)
        if each.table == FLOWS:
            ordered = sorted(each.samples)
            shared.plot(ordered, [(i + 1) / len(ordered) for i in range(len(ordered))], label=each.case, linewidth=1)
    hosts, rate = float(record.parameters["hypervisors"]), float(record.parameters["edge Mbit/s"])
    over.axhline(capacity(int(hosts), rate), color="#606060", linewidth=0.8, linestyle=":", label="the edge's capacity")
    over.set(xlabel="seconds", ylabel="goodput, Mbit/s", ylim=(0, None))
    shared.set(xlabel="goodput of a flow, Mbit/s", ylabel="fraction of the flows", xlim=(0, None))
    over.legend(fontsize=7)
    return {f"{NAME}.svg": figure}
