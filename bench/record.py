"""How is a measurement written down, so that it can be read, compared and doubted later?

One JSON file per measurement: what was asked, on what machine, with which parameters, every sample, and their least,
median, 99th percentile and greatest.
"""

from __future__ import annotations

import json
import math
import re
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from bench import surroundings

RESULTS: Final = Path(__file__).with_name("results")
"""Where the files are kept."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One quantity of one case.

    ``table`` and ``case`` say in which table and row it is shown; ``wanted`` is the figure to beat, in words.
    """

    table: str
    case: str
    name: str
    unit: str
    samples: tuple[float, ...]
    wanted: str = ""

    @property
    def median(self) -> float:
        """The median of the samples."""
        return statistics.median(self.samples)

    @property
    def p99(self) -> float:
        """The 99th percentile (nearest rank)."""
        return percentile(self.samples, 99)

    def summary(self) -> dict[str, float]:
        """What stands beside the samples in the file."""
        return {
            "count": len(self.samples),
            "min": min(self.samples),
            "median": self.median,
            "p99": self.p99,
            "max": max(self.samples),
        }


def percentile(samples: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Record:
    """A measurement as its file holds it."""

    measurement: str
    question: str
    date: str
    machine: dict[str, str | int | float]
    versions: dict[str, str]
    parameters: dict[str, Any]
    metrics: tuple[Metric, ...]
    notes: tuple[str, ...]
    seconds: float

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        :raises KeyError: if a field is missing. :raises ValueError: if a summary is not that of its samples.
        """
        found = json.loads(path.read_text(encoding="utf-8"))
        metrics = []
        for each in found["metrics"]:
            metric = Metric(
                each["table"],
                each["case"],
                each["name"],
                each["unit"],
                tuple(each["samples"]),
                each["wanted"],
            )
            if metric.summary() != {key: each[key] for key in metric.summary()}:
                raise ValueError(f"{path.name}: {metric.case}, {metric.name}: the summary is not that of the samples")
            metrics.append(metric)
        return cls(
            found["measurement"],
            found["question"],
            found["date"],
            found["machine"],
            found["versions"],
            found["parameters"],
            tuple(metrics),
            tuple(found["notes"]),
            found["seconds"],
        )

    def write(self, directory: Path = RESULTS) -> Path:
        """Write the file."""
        text = asdict(self)
        text["metrics"] = [{**asdict(metric), **metric.summary()} for metric in self.metrics]
        directory.mkdir(exist_ok=True)
        path = directory / f"{self.measurement}.json"
        lines = json.dumps(text, indent=1, ensure_ascii=False)
        # A thousand samples are one line, not a thousand.
        lines = re.sub(r"\[[-\d.,\s]+\]", lambda found: " ".join(found[0].split()), lines)
        path.write_text(lines + "\n", encoding="utf-8")
        return path


@dataclass(slots=True)
class Notebook:
    """A measurement under way."""

    measurement: str
    question: str
    parameters: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _samples: dict[tuple[str, str, str], list[float]] = field(default_factory=dict)
    _kinds: dict[tuple[str, str, str], tuple[str, str]] = field(default_factory=dict)
    _machine: dict[str, str | int | float] = field(default_factory=surroundings.machine)
    _date: datetime = field(default_factory=lambda: datetime.now(UTC))
    _began: float = field(default_factory=time.monotonic)

    def take(  # noqa: PLR0917  (they read as a row of the table)
        self, table: str, case: str, name: str, unit: str, samples: float | Iterable[float], wanted: str = ""
    ) -> None:
        """Write down one sample, or several."""
        key = (table, case, name)
        self._kinds.setdefault(key, (unit, wanted))
        given = [samples] if isinstance(samples, int | float) else samples
        self._samples.setdefault(key, []).extend(round(float(each), 4) for each in given)

    def note(self, text: str) -> None:
        """Write down something that is not a number; said on standard error as well."""
        self.notes.append(text)
        self.say(text)

    def say(self, text: str) -> None:
        """Say what goes on."""
        seconds = time.monotonic() - self._began
        print(f"[{self.measurement} {seconds:6.1f} s] {text}", file=sys.stderr, flush=True)

    def record(self) -> Record:
        """What was written down so far."""
        metrics = tuple(
            Metric(*key, unit, tuple(self._samples[key]), wanted)
            for key, (unit, wanted) in self._kinds.items()
            if self._samples[key]
        )
        return Record(
            self.measurement,
            self.question,
            self._date.isoformat(timespec="seconds"),
            self._machine,
            surroundings.versions(),
            self.parameters,
            metrics,
            tuple(self.notes),
            round(time.monotonic() - self._began, 1),
        )

    def show(self) -> Record:
        """Print the tables, and write nothing."""
        from bench.report import tables  # noqa: PLC0415  (the report reads records)

        record = self.record()
        print("\n".join(tables(record)))
        return record

    def close(self) -> None:
        """Write the file, and print the tables."""
        self.show().write()
