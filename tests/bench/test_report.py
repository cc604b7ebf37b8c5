"""The published figures are those that were measured."""

from __future__ import annotations

import json
import re

import pytest

from bench import report
from bench.record import RESULTS, Notebook, Record, percentile

FILES = sorted(RESULTS.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_result_is_whole(path):
    """A result says what, when, on which machine, with which versions and parameters, and its summaries are true."""
    record = Record.read(path)
    assert record.measurement == path.stem
    assert record.question.endswith("?")
    assert re.match(r"\d{4}-\d\d-\d\dT", record.date)
    assert {"processor", "cores", "memory_gib", "load_1min_at_start"} <= record.machine.keys()
    assert {"python", "openvswitch", "networkx"} <= record.versions.keys()
    assert record.parameters
    assert record.metrics


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_result_names_no_machine(path):
    """No result holds a path or the name of the machine that it was measured on."""
    record = Record.read(path)
    told = json.dumps([record.machine, record.versions, record.parameters, record.notes])
    assert not re.search(r"/(root|home|work|run|tmp|usr)\b", told)
    assert "host" not in record.machine


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_result_is_reported(path):
    """The report knows every measurement that has a file."""
    assert path.stem in report.ORDER


def test_the_readme_is_fresh():
    """The tables of bench/README.md are those of the files in bench/results."""
    text = report.README.read_text(encoding="utf-8")
    assert report.rewritten(text) == text, "run: python -m bench.report"


def test_a_readme_without_marks_is_refused():
    """A README that has lost its marks is not guessed at."""
    with pytest.raises(ValueError, match="marks"):
        report.rewritten("# Measurements\n")


def test_a_file_without_a_field_is_refused(tmp_path):
    """A result that lacks a field, or whose summary is not that of its samples, cannot be read."""
    book = Notebook("compile", "How long?", {"ports": 1})
    book.take("table", "case", "time", "ms", [3, 1, 2], "< 5 ms")
    path = book.record().write(tmp_path)
    record = Record.read(path)
    assert record.metrics[0].samples == (3, 1, 2)
    text = json.loads(path.read_text())
    assert {key: text["metrics"][0][key] for key in ("min", "median", "max")} == {"min": 1, "median": 2, "max": 3}
    path.write_text(json.dumps({**text, "metrics": [{**text["metrics"][0], "max": 4}]}))
    with pytest.raises(ValueError, match="summary"):
        Record.read(path)
    del text["machine"]
    path.write_text(json.dumps(text))
    with pytest.raises(KeyError):
        Record.read(path)


def test_tables_are_made_of_cases_and_quantities():
    """A table has a row per case and a column per quantity; a wish stands below it."""
    book = Notebook("moves", "How long?", {})
    book.take("Moves", "rest", "lost", "probes", [0, 0], "0")
    book.take("Moves", "rest", "gap", "ms", [1.5, 2.5])
    book.take("Moves", "rarp", "gap", "ms", 7)
    lines = list(report.tables(book.record()))
    assert lines[2:] == [
        "| | n | lost [probes] | gap [ms] |",
        "|---|---|---|---|",
        "| rest | 2 | 0 | 2 (1.5 – 2.5) |",
        "| rarp | 1 |  | 7 |",
        "",
        "Wanted: lost: 0.",
        "",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (12345.6, "12,346"), (123.45, "123.5"), (1.25, "1.25"), (1.5, "1.5"), (0.01234, "0.012")],
)
def test_numbers_keep_the_digits_that_matter(value, text):
    """A number is printed with about four digits and without an exponent."""
    assert report.number(value) == text


def test_a_percentile_is_a_sample():
    """The 99th percentile of a hundred samples is the second greatest, of a few the greatest."""
    assert percentile(list(range(1, 101)), 99) == 99
    assert percentile([5, 1], 99) == 5
