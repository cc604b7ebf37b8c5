"""How is the paper's section 5 run from beginning to end?

``python -m bench.vl2_paper`` runs every experiment in a process of its own, then writes the page and its pictures.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

from bench.record import Notebook
from bench.report import tables
from bench.vl2_paper import pages

_ROOT: Final = pages.HERE.parent.parent


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for."""
    names = [experiment.name for experiment in pages.EXPERIMENTS]
    parser = argparse.ArgumentParser(prog="python -m bench.vl2_paper", description=__doc__)
    parser.add_argument("--only", choices=names, help="one experiment, in this process")
    parser.add_argument("--quick", action="store_true", help="a smaller size of each, in five minutes")
    given = parser.parse_args(argv)
    if given.only:
        _one(given.only, quick=given.quick)
        pages.write()
        return 0
    failed = []
    for name in names:
        # Each in a process of its own: what one leaves in memory must not weigh on the next.
        words = [sys.executable, "-m", "bench.vl2_paper", "--only", name, *(["--quick"] if given.quick else [])]
        if subprocess.run(words, cwd=_ROOT, check=False).returncode:
            failed.append(name)
    for name in failed:
        print(f"{name} failed", file=sys.stderr)
    return 1 if failed else 0


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
