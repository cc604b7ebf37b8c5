"""Which measurements are there, and how does one run all of them?"""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from bench import report

_ROOT: Final = report.README.parent.parent


def main() -> int:
    """Run every measurement, or its short form if it takes long and has one, then rewrite the README."""
    # Each in a process of its own: what one leaves in memory must not weigh on the next.
    runs = {
        name: subprocess.run(
            [sys.executable, "-m", f"bench.{name}", *report.SHORT.get(name, ())], cwd=_ROOT, check=False
        )
        for name in report.ORDER
        if name not in report.LONG or name in report.SHORT
    }
    report.main()
    failed = [name for name, run in runs.items() if run.returncode]
    for name in failed:
        print(f"bench.{name} failed", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
