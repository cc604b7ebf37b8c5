"""On whom was hung up lately, and why?

A caller that cannot be understood, or with whom no trust comes about, is gone before it has said who it is, and calls
again after some seconds.  Its operator looks for it among the problems, so the last word stays for a minute.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final

_LATELY: Final = 60.0
_REMEMBERED: Final = 256


class Hangups:
    """The last word to each address."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def note(self, address: str, why: str) -> None:
        """Remember why an address was hung up on."""
        self._last[address] = (time.monotonic(), why)
        self._last.move_to_end(address)
        while len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)

    def lately(self) -> tuple[tuple[str, str], ...]:
        """Who was hung up on within the last minute, and why."""
        now = time.monotonic()
        return tuple((address, why) for address, (at, why) in self._last.items() if now - at < _LATELY)
