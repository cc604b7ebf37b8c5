"""What did each move cost?

Counts the messages that were sent to switches in the course of each move, for the person who asks (``/v1/moves``).
Kept in memory only: it is about this controller's run.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from overlay.changes import Notice, NoticeKind
from overlay.values import DatapathId

_KEPT: Final = 1000


@dataclass(slots=True)
class Cost:
    """Flow-mods sent, and to which switches."""

    flow_mods: int = 0
    switches: set[DatapathId] = field(default_factory=set)


class Journal:
    """The costs of the latest moves, by move id."""

    def __init__(self) -> None:
        self._costs: OrderedDict[str, Cost] = OrderedDict()

    def charge(self, notices: Iterable[Notice], sent: Mapping[DatapathId, int]) -> None:
        """Put what was just sent on the account of the moves that just entered a phase."""
        if not sent:
            return
        for move_id in {notice.id for notice in notices if notice.kind is NoticeKind.MOVE_PHASE}:
            cost = self._costs.setdefault(move_id, Cost())
            cost.flow_mods += sum(sent.values())
            cost.switches |= sent.keys()
            while len(self._costs) > _KEPT:
                self._costs.popitem(last=False)

    def of(self, move_id: str) -> Cost:
        """Give the cost of one move so far; nothing for one that this run knows nothing of."""
        return self._costs.get(move_id, Cost())
