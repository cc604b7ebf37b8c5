"""What do the tests of the labs share?"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def root() -> Iterator[Path]:
    """A place for the state of labs; short, because sockets live below it (unix(7): 107 bytes)."""
    path = Path(tempfile.mkdtemp(prefix="vl2-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)
