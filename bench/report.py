"""What do the results say?

``python -m bench.report`` prints the tables of README.md from the files in ``results/``; everything between the two
marks is made by it.  What every page of results says alike, of the machine and of how each was made, is here too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from bench.pictures import save
from bench.record import RESULTS, Metric, Record

README: Final = Path(__file__).with_name("README.md")
BEGIN: Final = "<!-- results: made by python -m bench.report -->"
END: Final = "<!-- end of results -->"
ORDER: Final = (
    "failover",
    "chaos",
    "tenants",
    "migration",
    "networks",
    "first_packet",
    "policy",
    "flood",
    "api",
    "evacuation",
    "compile",
)
"""The measurements, as the report goes through them."""
LONG: Final = frozenset({"chaos", "tenants", "migration"})
"""Those that ``python -m bench`` leaves out, since they take ten minutes and more."""
SHORT: Final[Mapping[str, tuple[str, ...]]] = {"migration": ("--quick",)}
"""Those of them that it runs in a short form, which writes nothing but says what is wrong."""
EXPLAINED: Final[Mapping[str, str]] = {"migration": "bench.migration_page"}
"""Those whose figures are followed by words and pictures: the module that makes both of a record."""
PLOTS: Final = Path(__file__).with_name("plots")

_MANY: Final = 20
"""From so many samples on a 99th percentile is worth printing."""


def number(value: float) -> str:
    """Four digits that matter, and no exponent."""
    if value == int(value):
        return f"{int(value):,}"
    size = abs(value)
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 1 else 3
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def cell(metric: Metric) -> str:
    """One quantity: the value, or median (min – max), or median / p99 (min – max)."""
    low, high = min(metric.samples), max(metric.samples)
    if low == high:
        return number(low)
    middle = number(metric.median)
    if len(metric.samples) >= _MANY:
        middle += f" / {number(metric.p99)}"
    return f"{middle} ({number(low)} – {number(high)})"


def tables(record: Record) -> Iterator[str]:
    """The tables of one measurement, line by line."""
    for title in dict.fromkeys(metric.table for metric in record.metrics):
        mine = [metric for metric in record.metrics if metric.table == title]
        columns = list(dict.fromkeys((metric.name, metric.unit) for metric in mine))
        cells = {(metric.case, metric.name): metric for metric in mine}
        yield f"**{title}**"
        yield ""
        yield "| | n | " + " | ".join(f"{name} [{unit}]" if unit else name for name, unit in columns) + " |"
        yield "|---|---|" + "---|" * len(columns)
        for case in dict.fromkeys(metric.case for metric in mine):
            row = [cells.get((case, name)) for name, _ in columns]
            count = max(len(each.samples) for each in row if each is not None)
            yield f"| {case} | {count} | " + " | ".join(cell(each) if each else "" for each in row) + " |"
        wishes = dict.fromkeys(f"{metric.name}: {metric.wanted}" for metric in mine if metric.wanted)
        if wishes:
            yield ""
            yield "Wanted: " + "; ".join(wishes) + "."
        yield ""


def surroundings(record: Record) -> Iterator[str]:
    """Where the results of a page were made, and how its cells are to be read."""
    machine = f"{record.machine['processor']}, {record.machine['cores']} cores, {record.machine['memory_gib']:g} GiB"
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    yield f"Machine: {machine}. {versions}."
    yield ""
    yield "A cell is the one value, or `median (min – max)`, or from 20 samples on `median / p99 (min – max)`."
    yield ""


def heading(title: str, record: Record, command: str) -> Iterator[str]:
    """What a measurement asks, and how and when it was made.

    :param title: with its marks.
    :param command: that makes it again.
    """
    yield title
    yield ""
    yield record.question
    yield ""
    parameters = ", ".join(f"{key} {value}" for key, value in record.parameters.items())
    yield (
        f"`{command}` ({parameters}), {record.date[:10]}, {record.seconds:g} s,"
        f" load of the machine at the start {record.machine['load_1min_at_start']}."
    )
    yield ""


def section(record: Record) -> Iterator[str]:
    """One measurement, line by line."""
    yield from heading(f"### {record.measurement}", record, f"python -m bench.{record.measurement}")
    yield from tables(record)
    for note in record.notes:
        yield f"- {note}"
    if record.notes:
        yield ""
    if record.measurement in EXPLAINED:
        yield str(_explaining(record.measurement).page(record)).strip()
        yield ""
        for picture in sorted(PLOTS.glob(f"{record.measurement}*.svg")):
            yield f"![{picture.stem.replace('_', ' ')}]({PLOTS.name}/{picture.name})"
            yield ""


def _explaining(measurement: str) -> Any:
    return import_module(EXPLAINED[measurement])


def draw(directory: Path = RESULTS) -> None:
    """Draw all pictures anew."""
    for name in EXPLAINED:
        file = directory / f"{name}.json"
        if file.exists():
            save(_explaining(name).plots(Record.read(file)), PLOTS, file)


def report(directory: Path = RESULTS) -> str:
    """All measurements that have a file, between the two marks."""
    records = [Record.read(directory / f"{name}.json") for name in ORDER if (directory / f"{name}.json").exists()]
    lines = [BEGIN, "", *(surroundings(records[0]) if records else ())]
    for record in records:
        lines += section(record)
    return "\n".join([*lines, END])


def rewritten(text: str, directory: Path = RESULTS) -> str:
    """The README with the present tables.

    :raises ValueError: if it has lost its marks.
    """
    before, mark, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not mark or not end:
        raise ValueError(f"{README.name} has lost its marks")
    return before + report(directory) + after


def main() -> None:
    """Draw the pictures and rewrite the README."""
    try:
        draw()
    except ImportError:
        print("matplotlib is not installed: the pictures stay as they are", file=sys.stderr)
    README.write_text(rewritten(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
