"""How does a measurement look on while something else happens?

A thread that looks on as long as a block runs.  What it has seen is read after the block.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Final, Self

_READY_SECONDS: Final = 30.0


class Watching(ABC):
    """Something that looks on as long as its block runs; the block begins when it is ready."""

    def __init__(self) -> None:
        self._end = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(_READY_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self._close()

    @abstractmethod
    def _watch(self) -> None:
        """Look on until ``_end`` is set; sets ``_ready`` when nothing escapes it any more."""

    @abstractmethod
    def _close(self) -> None:
        """Let go of what it has looked through."""
