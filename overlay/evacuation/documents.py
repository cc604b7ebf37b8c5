"""How is an evacuation written down, and read back?"""

from __future__ import annotations

from typing import Any

from overlay.changes import Document, DocumentKind
from overlay.evacuation.values import Evacuation
from overlay.values import HostName


def write_evacuation(evacuation: Evacuation) -> Document:
    """Write down."""
    body = {
        "targets": list(evacuation.targets),
        "parallel": evacuation.parallel,
        "activate": evacuation.activate,
        "begun": evacuation.begun,
        "moving": dict(evacuation.moving),
        "done": list(evacuation.done),
        "failed": dict(evacuation.failed),
    }
    return Document(DocumentKind.EVACUATION, evacuation.host, body)


def read_evacuation(host: str, body: dict[str, Any]) -> Evacuation:
    """Read back."""
    parsed = {"targets": tuple(map(HostName, body["targets"])), "done": tuple(body["done"])}
    return Evacuation(HostName(host), **{**body, **parsed})
