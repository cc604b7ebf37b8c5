"""Which pages of docs/ are printed by the code that they describe?

``python -m docs.generate`` writes them; a test fails when one is stale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from controller.fabric import specimen as fabric
from controller.rest import policy
from controller.rest.metrics import families
from controller.views import HealthView, LoadView, MulticastView, TopologyView
from docs import failures
from overlay import moves, specimen

HERE: Final = Path(__file__).parent
_SUFFIXES: Final = {"counter": "_total", "info": "_info"}
_METRICS: Final = """\
# What Prometheus finds at `/metrics`

Only the operator's token opens it:

```yaml
scrape_configs:
  - job_name: vl2
    authorization:
      credentials_file: /var/lib/vl2/operator.token
    static_configs:
      - targets: ["127.0.0.1:9696"]
```

Samples are made anew on every scrape from what the controller knows. A link that was not counted lately, and a set of
next hops that carry nothing, have no sample rather than a wrong one.

"""
_POLICY: Final = """\
# Who may do what

Printed from `controller/rest/policy.py`; what roles are, and how somebody comes to have one, is in
[identity.md](identity.md). A dash is answered 403 (401 without a token); what one may not see is answered 404.

"""
NOTICE: Final = "<!-- Printed by `make docs`; do not edit. -->\n\n"


def pages() -> dict[str, str]:
    """Give each generated page by its file name."""
    phases = "\n".join(
        f"| {phase} | {_who(doing.source)} | {_who(doing.target)} | {'target' if doing.others else 'source'} |"
        for phase, doing in moves.PHASES.items()
    )
    return {
        "PIPELINE.md": NOTICE + specimen.pipeline_document() + "\n" + fabric.pipeline_document(),
        "METRICS.md": NOTICE + _metrics(),
        "POLICY.md": NOTICE + _POLICY + policy.document(),
        "MOVES.md": (
            f"{NOTICE}# The phases of a move\n\n"
            "Printed from the two tables of `overlay/moves.py`. A move is stored whenever it enters a phase, and a "
            "restarted controller goes on from there.\n\n"
            "| phase | the source's host delivers | the target's host delivers | all others send to |\n"
            f"|---|---|---|---|\n{phases}\n\n```mermaid\n{moves.diagram()}```\n\n"
            "What becomes of a move when something fails is in [failures_of_moves.md](failures_of_moves.md).\n"
        ),
        "failures_of_moves.md": NOTICE + failures.document().rstrip() + "\n",
    }


def _metrics() -> str:
    nothing = (
        HealthView(True, "", "", 0.0, (), 0, 0, 0),
        (),
        TopologyView((), (), (), (), ()),
        LoadView(0.0, (), ()),
        MulticastView(0, 0, 0, 0, 0, 0),
    )
    rows = "\n".join(
        f"| `{family.name}{_SUFFIXES.get(family.type, '')}` | {family.type} | {_labels(family)} "
        f"| {family.documentation} |"
        for family in families(*nothing)
    )
    return f"{_METRICS}| name | type | labels | what |\n|---|---|---|---|\n{rows}\n"


def _labels(family: Any) -> str:
    return ", ".join(f"`{label}`" for label in family._labelnames) or "none"  # noqa: SLF001  (nothing else tells)


def _who(delivers: bool) -> str:
    return "yes" if delivers else "no"


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text)
