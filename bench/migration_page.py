"""What do the figures of moves say, in words and in pictures?

Pure functions of a record.  No sentence is there that its figures do not bear: which strategy lost, doubled or
delayed more than VL2's is read from the samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from bench.migration import BEYOND, COMPARED_PAUSE, GUESTS_COMPARED, IDLE, PLANNED, STRATEGIES, WAKING
from bench.record import Metric, Record
from bench.report import number
from bench.silence import steps
from bench.strategies import COMPARED, VL2, Strategy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOST: Final = "lost"
DUPLICATED: Final = "duplicated"
ADDED: Final = "network's contribution"
_COMPARISONS: Final = {STRATEGIES: "Namespace machines", GUESTS_COMPARED: "QEMU guests"}
_COLOURS: Final = ("#0060a8", "#60a0d8", "#c04000", "#e09000", "#508030", "#806080")


def metric(record: Record, table: str, case: str, name: str) -> Metric | None:
    """One quantity of a record, if it was measured."""
    wanted = (table, case, name)
    return next((each for each in record.metrics if (each.table, each.case, each.name) == wanted), None)


def page(record: Record) -> str:
    """Why the figures are as they are."""
    lines = [
        "#### What the strategies are",
        "",
        "| | the switches follow | like | what it costs |",
        "|---|---|---|---|",
    ]
    lines += [f"| {each.name} | {each.after} | {each.like} | {each.cost} |" for each in COMPARED]
    lines += ["", "All run under VL2's controller: others' controllers are not faster for that, and not slower.", ""]
    for table, title in _COMPARISONS.items():
        found = list(_compared(record, table))
        if found:
            lines += [f"#### {title}, pause {COMPARED_PAUSE:g} ms", "", *found, ""]
    waking, beyond = (metric(record, GUESTS_COMPARED, VL2.name, name) for name in (WAKING, BEYOND))
    if waking is not None and beyond is not None:
        lines += [
            "A guest that has moved runs in a new QEMU, which has to translate its code anew before it answers (no KVM",
            f"here): with {VL2.name} its first word came {_shown(waking)} ms after RESUME, though frames waited for",
            f"it at its tap. That is in every figure of QEMU guests; without it the network added {_shown(beyond)} ms.",
            "",
        ]
    floor = metric(record, PLANNED, IDLE, ADDED)
    if floor is not None:
        quiet = f"Where nothing moves, the silence around an arbitrary moment is {_shown(floor)} ms here"
        lines += [f"{quiet}: no contribution of a network below that can be told from none.", ""]
    return "\n".join(lines)


def _shown(found: Metric) -> str:
    """The median, and the 99th percentile if it is another."""
    middle, high = number(found.median), number(found.p99)
    return middle if middle == high else f"{middle} (p99 {high})"


def _compared(record: Record, table: str) -> Iterator[str]:
    """What each strategy did, beside VL2's."""
    ours = {name: metric(record, table, VL2.name, name) for name in (LOST, DUPLICATED, ADDED)}
    lost, duplicated, added = ours[LOST], ours[DUPLICATED], ours[ADDED]
    if lost is None or duplicated is None or added is None:
        return
    yield (
        f"- **{VL2.name}** lost {_shown(lost)} and doubled {_shown(duplicated)} probes per move, and added"
        f" {_shown(added)} ms to the machine's own pause."
    )
    for strategy in COMPARED:
        if strategy is not VL2:
            yield from _beside(record, table, strategy, ours)


def _beside(record: Record, table: str, strategy: Strategy, ours: Mapping[str, Metric | None]) -> Iterator[str]:
    said = []
    worse = False
    for name, verb, unit in ((LOST, "lost", " probes"), (DUPLICATED, "doubled", " probes"), (ADDED, "added", " ms")):
        theirs, own = metric(record, table, strategy.name, name), ours[name]
        if theirs is None or own is None:
            return
        if theirs.median > own.median:
            said.append(f"{verb} {_shown(theirs)}{unit} where {VL2.name} {verb} {_shown(own)}")
            worse = worse or name != ADDED
        elif theirs.median < own.median:
            said.append(f"{verb} only {_shown(theirs)}{unit}")
    told = ", ".join(said) or f"did as {VL2.name}"
    yield f"- **{strategy.name}** {told}{f': {strategy.cost}' if worse else ''}."


def plots(record: Record) -> Mapping[str, Figure]:
    """How what the network added, and what was lost and doubled, is distributed over the moves, for each strategy."""
    names = {STRATEGIES: "migration_namespace_machines.svg", GUESTS_COMPARED: "migration_QEMU_guests.svg"}
    measured = {each.table for each in record.metrics}
    return {name: _plot(record, table) for table, name in names.items() if table in measured}


def _plot(record: Record, table: str) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415  (only for whoever wants pictures)

    figure = Figure(figsize=(10, 3.2), layout="constrained")
    shown = ((ADDED, "silence beyond the machine's own pause, ms"), (LOST, "probes lost"), (DUPLICATED, "duplicates"))
    axes = figure.subplots(1, len(shown), sharey=True)
    for axis, (name, label) in zip(axes, shown, strict=True):
        for strategy, colour in zip(COMPARED, _COLOURS, strict=True):
            found = metric(record, table, strategy.name, name)
            if found is not None:
                axis.step(*_from_nothing(found), where="post", label=strategy.name, color=colour, linewidth=1.2)
        axis.set(xlabel=label, xscale="symlog", xlim=(-0.2, None), ylim=(0, 1.02))
        axis.grid(color="#e0e0e0", linewidth=0.5)
    floor = metric(record, PLANNED, IDLE, ADDED)
    if floor is not None:
        axes[0].step(*_from_nothing(floor), where="post", label=IDLE, color="#909090", linewidth=0.8, linestyle=":")
    axes[0].set(ylabel="fraction of the moves")
    axes[0].legend(fontsize=7)
    return figure


def _from_nothing(found: Metric) -> tuple[list[float], list[float]]:
    """The distribution's line, from the fraction 0 on."""
    at, part = steps(found.samples)
    return [at[0], *at], [0.0, *part]
