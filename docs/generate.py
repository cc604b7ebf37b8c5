"""Which pages of docs/ are printed by the code that they describe?

``python -m docs.generate`` writes them; a test fails when one is stale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from controller.fabric import specimen as fabric
from overlay import moves, specimen

HERE: Final = Path(__file__).parent
NOTICE: Final = "<!-- Printed by `make docs`; do not edit. -->\n\n"


def pages() -> dict[str, str]:
    """Give each generated page by its file name."""
    phases = "\n".join(
        f"| {phase} | {_who(doing.source)} | {_who(doing.target)} | {'target' if doing.others else 'source'} |"
        for phase, doing in moves.PHASES.items()
    )
    return {
        "PIPELINE.md": NOTICE + specimen.pipeline_document() + "\n" + fabric.pipeline_document(),
        "MOVES.md": (
            f"{NOTICE}# The phases of a move\n\n"
            "Printed from the two tables of `overlay/moves.py`. A move is stored whenever it enters a phase, and a "
            "restarted controller goes on from there.\n\n"
            "| phase | the source's host delivers | the target's host delivers | all others send to |\n"
            f"|---|---|---|---|\n{phases}\n\n```mermaid\n{moves.diagram()}```\n"
        ),
    }


def _who(delivers: bool) -> str:
    return "yes" if delivers else "no"


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text)
