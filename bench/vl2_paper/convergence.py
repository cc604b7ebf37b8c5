"""How long is traffic gone when links fail one after another, and how soon is a restored link used? (VL2 §5.4)

As in the paper, links between switches fail one after another under load and are restored one after another, while TCP
streams run and probes, a thousand a second and several ways at once, tell how long nothing got through.  Then failures
that no port reports: one direction of a cable goes silent, and a switch's daemon dies while its links stay up.  And
beside them, in the same run, the same cables under a spanning tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from bench.bed import PROJECT, bed, wait
from bench.record import Notebook, Record
from bench.vl2_paper.fabric import choose
from bench.vl2_paper.failing import FIRST, REPORTED, RESTORED, UNREPORTED, hushes, one_after_another, unnoticed
from bench.vl2_paper.pages import Row, comparison, spread, without
from bench.vl2_paper.scene import BIN_SECONDS, FLOWS, MEGABITS, OUTAGE, SERIES, STREAMS, WHEN, Scene
from bench.vl2_paper.trees import TREES, trees

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME: Final = "convergence"
QUESTION: Final = "How long is traffic gone when links fail one after another, and how soon is a restored link used?"
PARAMS: Final = {"aggregations": 4}
"""The racks of h1 and h3 share no aggregation switch: 12 ways between them."""
POLICIES: Final = ("ecmp", "vlb")

ROWS: Final = (
    (
        "a link fails",
        "< 1 s",
        "< 50 ms where a port dies beside another next hop, < 200 ms elsewhere",
        REPORTED,
        OUTAGE,
    ),
    ("one direction goes silent, or a switch's daemon dies", "", "< 200 ms", UNREPORTED, OUTAGE),
    ("a restored link is used again", "50 s", "< 1 s", RESTORED, FIRST),
    ("the same cables under a spanning tree: a link of the tree fails", "", "", TREES, "longest outage at failure"),
    ("there: the restored link is used again", "", "", TREES, "first packet on the restored link after"),
)


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
    lines = [
        (
            "The paper fails links between its switches one after another under load and restores them (§5.4, figure"
            " 12): traffic finds other links in less than a second, and uses a restored one again after up to 50"
            " seconds.  Figures here are medians (least – most).  The vertical lines of the picture are failures (full)"
            " and restorations (dotted)."
        ),
        "",
        *comparison(
            [Row(what, paper, wanted, spread(record, table, name, " ms")) for what, paper, wanted, table, name in ROWS]
        ),
        *without(record, SERIES, WHEN),
        *(f"- {note}" for note in record.notes),
    ]
    return "\n".join(lines).rstrip() + "\n"


def plots(record: Record) -> Mapping[str, Figure]:
    """The probes lost while links fail and are restored, in the manner of the paper's figure 12."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (only for whoever wants pictures)

    series = {metric.case: metric.samples for metric in record.metrics if metric.table == SERIES}
    figure = Figure(figsize=(9, 2.6 * max(1, len(series))), layout="constrained")
    axes = figure.subplots(max(1, len(series)), squeeze=False)[:, 0]
    for axis, (case, lost) in zip(axes, series.items(), strict=False):
        axis.bar([i * BIN_SECONDS for i in range(len(lost))], lost, width=BIN_SECONDS, align="edge", color="#b03030")
        for metric in record.metrics:
            if metric.table == WHEN and metric.case.startswith(f"{case}: "):
                down = metric.case.endswith("down")
                for at in metric.samples[:1]:
                    axis.axvline(at, color="#606060", linestyle="-" if down else ":", linewidth=1)
        axis.set_title(f"{case}: links fail (—) and are restored (┄), one after another", fontsize=9)
        axis.set_ylabel(f"probes lost of {2 * FLOWS * 1000 * BIN_SECONDS:g}")
        axis.set_ylim(0, 2 * FLOWS * 1000 * BIN_SECONDS)
    axes[-1].set_xlabel("seconds")
    return {f"{NAME}.svg": figure}
