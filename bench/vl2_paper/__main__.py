"""How is the paper's section 5 run from beginning to end?

``make paper`` runs every experiment in a process of its own, and each ends with the page and its pictures.  One that
fails, or does not come to an end, costs its own results and nobody else's.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from bench.record import Notebook
from bench.report import tables
from bench.vl2_paper import pages

_ROOT: Final = pages.HERE.parent.parent
_LONGEST: Final = 900.0
"""Seconds after which an experiment is taken for stuck; the longest takes half as many."""
_FAREWELL: Final = 60.0
"""Seconds in which whoever is interrupted takes its lab down."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    names = [experiment.name for experiment in pages.EXPERIMENTS]
    parser = argparse.ArgumentParser(prog="python -m bench.vl2_paper", description=__doc__)
    parser.add_argument("--only", choices=names, help="one experiment, in this process")
    parser.add_argument("--quick", action="store_true", help="a smaller size of each, in six minutes")
    given = parser.parse_args(argv)
    if given.only:
        _one(given.only, quick=given.quick)
        pages.write()
        return 0
    quick = ["--quick"] if given.quick else []
    commands = {name: [sys.executable, "-m", "bench.vl2_paper", "--only", name, *quick] for name in names}
    failed = in_turn(commands, _LONGEST)
    for name, why in failed.items():
        print(f"{name} failed: {why}; its results are those of its last run", file=sys.stderr)
    return 1 if failed else 0


def in_turn(commands: Mapping[str, Sequence[str]], longest: float) -> dict[str, str]:
    """Run commands one after another, whatever becomes of each; returns which failed, and how.

    Each is a process of its own: what one leaves in memory must not weigh on the next.

    :param longest: seconds after which one is interrupted.
    """
    failed = {}
    for name, words in commands.items():
        with subprocess.Popen(words, cwd=_ROOT) as process:
            try:
                code = process.wait(longest)
            except subprocess.TimeoutExpired:
                _end(process)
                failed[name] = f"no end within {longest:g} s"
            else:
                if code:
                    failed[name] = f"exit code {code}"
    return failed


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let a process clean up behind itself, and if it does not, end it."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_FAREWELL)
    except subprocess.TimeoutExpired:
        process.kill()


def _one(name: str, *, quick: bool) -> None:
    module = next(each for each in pages.EXPERIMENTS if each.name == name).module
    book = Notebook(name, module.QUESTION)
    book.parameters["size"] = "quick" if quick else "full"
    module.run(book, quick=quick)
    record = book.record()
    pages.FILES.mkdir(exist_ok=True)
    record.write(pages.FILES)
    print("\n".join(tables(record)))


if __name__ == "__main__":
    sys.exit(main())
