"""What do the experiments say beside the paper's figures?

``make paper`` ends with it; ``python -m bench.vl2_paper.pages`` alone measures nothing.  README.md and the pictures of
this folder are made from the files in ``bench/results/vl2_paper``; nothing in them is written by hand.  Each experiment
says with ``page`` and ``plots``, pure functions of its record, what of it is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.pictures import save
from bench.record import RESULTS, Metric, Record
from bench.report import heading, number, surroundings, tables

HERE: Final = Path(__file__).parent
README: Final = HERE / "README.md"
FILES: Final = RESULTS / "vl2_paper"
PLOTS: Final = HERE / "plots"

_INTRODUCTION: Final = """# The experiments of the VL2 paper

Greenberg et al., *VL2: A Scalable and Flexible Data Center Network*, SIGCOMM 2009, section 5, run again on VL2's lab:
real Open vSwitch on every node, real TCP, real failures.  `sudo make paper` runs all of it (at most 20 minutes),
`sudo make paper QUICK=1` a smaller size, `sudo make paper ONLY=shuffle` one of them.  Then this page and its pictures
are made from `bench/results/vl2_paper/*.json`, where every sample is.

The paper's machines were 80 servers of 1 Gbit/s on switches of 10 Gbit/s.  Here one computer is all of them, so rates
are smaller, and what can be compared is what does not depend on the rate: efficiency, fairness, isolation, times.
"""


class Experiment(NamedTuple):
    """One experiment: its module, its title, and where it is in the paper."""

    name: str
    title: str
    section: str

    @property
    def module(self) -> Any:
        """The module that runs it and shows it."""
        return import_module(f"bench.vl2_paper.{self.name}")

    @property
    def file(self) -> Path:
        """Its results."""
        return FILES / f"{self.name}.json"


EXPERIMENTS: Final = (
    Experiment("shuffle", "All-to-all shuffle", "§5.1, figure 9"),
    Experiment("split", "Fairness of Valiant load balancing", "§5.2, figure 10"),
    Experiment("isolation", "Isolation of services", "§5.3, figures 11 and 12"),
    Experiment("convergence", "Convergence after failures", "§5.4"),
    Experiment("directory", "Directory", "§5.5"),
)
"""In the order of the paper."""


class Row(NamedTuple):
    """A line of the comparison."""

    what: str
    paper: str
    wanted: str
    here: str


def comparison(rows: Iterator[Row] | list[Row]) -> list[str]:
    """The table that stands first."""
    lines = ["| | paper | wanted here | here |", "|---|---|---|---|"]
    return [*lines, *(f"| {row.what} | {row.paper} | {row.wanted} | {row.here} |" for row in rows), ""]


def metric(record: Record, table: str, case: str, name: str) -> Metric | None:
    """One quantity of a record, if it was measured."""
    wanted = (table, case, name)
    return next((each for each in record.metrics if (each.table, each.case, each.name) == wanted), None)


def said(found: Metric | None, unit: str = "") -> str:
    """The median of a quantity, in words."""
    return "not measured" if found is None else f"{number(found.median)}{unit}"


def spread(record: Record, table: str, name: str, unit: str = "", case: str = "") -> str:
    """A quantity's median, least and most over all cases of a table, or over one."""
    samples = sorted(
        sample
        for each in record.metrics
        if (each.table, each.name) == (table, name) and case in {"", each.case}
        for sample in each.samples
    )
    if not samples:
        return "not measured"
    return f"{samples[len(samples) // 2]:,.0f}{unit} ({samples[0]:,.0f} – {samples[-1]:,.0f})"


def without(record: Record, *hidden: str) -> list[str]:
    """The tables of a record but those that are pictures."""
    shown = tuple(each for each in record.metrics if each.table not in hidden)
    fields = {name: getattr(record, name) for name in record.__slots__}
    return list(tables(Record(**(fields | {"metrics": shown}))))


def section(experiment: Experiment, record: Record) -> Iterator[str]:
    """One experiment, line by line."""
    title = f"## {experiment.title} ({experiment.section})"
    yield from heading(title, record, f"sudo make paper ONLY={experiment.name}")
    yield str(experiment.module.page(record)).strip()
    yield ""
    for picture in sorted(PLOTS.glob(f"{experiment.name}*.svg")):
        yield f"![{experiment.title}](plots/{picture.name})"
        yield ""


def readme() -> str:
    """The page."""
    records = [(each, Record.read(each.file)) for each in EXPERIMENTS if each.file.exists()]
    lines = [_INTRODUCTION, *(surroundings(records[0][1]) if records else ())]
    for experiment, record in records:
        lines += section(experiment, record)
    return "\n".join(lines).rstrip() + "\n"


def draw() -> None:
    """Draw all pictures anew, the same from the same results."""
    for experiment in EXPERIMENTS:
        if experiment.file.exists():
            save(experiment.module.plots(Record.read(experiment.file)), PLOTS, experiment.file)


def write() -> None:
    """Draw the pictures and write the page."""
    try:
        draw()
    except ImportError:
        print("matplotlib is not installed: the pictures stay as they are", file=sys.stderr)
    README.write_text(readme(), encoding="utf-8")


if __name__ == "__main__":
    write()
