"""Which warning has been given so recently that nobody needs to read it again?

A host that is set up wrongly says so with each call and each change; its operator's log shall hold one line of it a
minute.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from logging import Logger
from typing import Final

_AGAIN_AFTER: Final = 60.0
_REMEMBERED: Final = 4096


class Complaints:
    """Warnings about hosts, each at most once a minute."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._last: OrderedDict[tuple[str, str], float] = OrderedDict()

    def warn(self, who: str, text: str) -> None:
        """Log one line about a host, unless it was logged just now."""
        now = time.monotonic()
        key = (who, text)
        if now - self._last.get(key, -_AGAIN_AFTER) < _AGAIN_AFTER:
            return
        self._last[key] = now
        self._last.move_to_end(key)
        while len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)
        self._log.warning("%s: %s", who, text)
