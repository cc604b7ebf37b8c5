"""How does a picture stay true to the results that it was drawn from?

It is drawn the same from the same results, and says which those were; a test tells when they are others by now.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def digest(path: Path) -> str:
    """What a picture says of the file that it was drawn from."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def drawn_from(picture: Path) -> str:
    """The digest of the results that a picture was drawn from; empty if it does not say."""
    found = re.search(r"<!-- drawn from ([0-9a-f]{32}) -->", picture.read_text(encoding="utf-8"))
    return found[1] if found else ""


def save(figures: Mapping[str, Figure], directory: Path, source: Path) -> None:
    """Write pictures, the same from the same results.

    :param figures: by file name. :param source: the file that they were drawn from.
    """
    import matplotlib as mpl  # noqa: PLC0415  (only for whoever wants pictures)

    mpl.rcParams["svg.hashsalt"] = "vl2"
    mpl.rcParams["path.simplify_threshold"] = 0.5
    directory.mkdir(exist_ok=True)
    for name, figure in figures.items():
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
        lines = "\n".join(line.rstrip() for line in text.getvalue().splitlines())
        (directory / name).write_text(f"{lines}\n<!-- drawn from {digest(source)} -->\n", encoding="utf-8")
