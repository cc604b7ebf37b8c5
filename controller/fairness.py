"""Whose turn is it, when several want the same thing at once?

Deficit round robin (Shreedhar and Varghese, SIGCOMM 1995): everybody has a line of their own, and the lines take turns.
With each turn comes a quantum of credit, which what is taken is paid from.  So nobody waits for more than one turn of
each of the others, however long their lines are; nothing waits while nobody else wants anything.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Line(Generic[T]):
    """What one party waits for, with the cost of each, and what it may still spend in its present turn."""

    credit: int
    waiting: deque[tuple[T, int]] = field(default_factory=deque)


class FairQueue(Generic[T]):
    """A queue in which each party keeps its order and none keeps the others waiting.

    :param quantum: what a party may spend in one turn; should be no less than the greatest cost.
    """

    def __init__(self, quantum: int) -> None:
        self._quantum = quantum
        self._lines: OrderedDict[Hashable, _Line[T]] = OrderedDict()
        """In the order of their turns; the first one's turn it is.  Nobody's line is empty."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, who: Hashable, item: T, cost: int = 1) -> None:
        """Let something wait at the end of a party's line."""
        self._line(who).waiting.append((item, cost))
        self._count += 1

    def put_back(self, who: Hashable, item: T, cost: int = 1) -> None:
        """Let something wait before all else that the party waits for: it was taken, and there is more to it."""
        self._line(who).waiting.appendleft((item, cost))
        self._count += 1

    def take(self) -> tuple[Hashable, T]:
        """Whose turn it is, and the first thing in that line.

        :raises IndexError: when nobody waits.
        """
        if not self._lines:
            raise IndexError("nobody waits")
        while True:
            who, line = next(iter(self._lines.items()))
            item, cost = line.waiting[0]
            if cost <= line.credit:
                break
            line.credit += self._quantum
            self._lines.move_to_end(who)
        line.credit -= cost
        line.waiting.popleft()
        self._count -= 1
        if not line.waiting:  # credit is for those who wait; it cannot be saved up
            del self._lines[who]
        return who, item

    def _line(self, who: Hashable) -> _Line[T]:
        line = self._lines.get(who)
        if line is None:
            line = self._lines[who] = _Line(self._quantum)
        return line
