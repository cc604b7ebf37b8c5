"""What is an evacuation, and how far has it come?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from overlay.moves import Move
from overlay.values import HostName

PARALLEL_MOST: Final = 1000
"""How many moves from one host may be under way at once at the very most."""


@dataclass(frozen=True, slots=True)
class Evacuation:
    """A host that its ports are to leave, and that gets no others by a move until the evacuation is taken away.

    Which ports wait is not written down: it is those whose home the host is.

    :param targets: where they may go; any host if it is empty.
    :param parallel: how many moves from the host are under way at once, at most.
    :param activate: whether a port switches by itself as soon as its tap is at the target and everybody is ready.
    :param moving: the latest move from the host of each port that has one under way.
    :param done: the ports that have left.
    :param failed: why ports whose move has ended are still there.
    """

    host: HostName
    targets: tuple[HostName, ...]
    parallel: int
    activate: bool
    begun: float
    moving: Mapping[str, str] = field(default_factory=dict)
    done: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


class Advance(StrEnum):
    """How far an evacuation is."""

    EVACUATING = "evacuating"
    """Ports wait or move."""
    EVACUATED = "evacuated"
    """No port is left."""
    INCOMPLETE = "incomplete"
    """None waits or moves any more, but some are still there."""


@dataclass(frozen=True, slots=True)
class Census:
    """Where the ports are that an evacuation is about.

    :param waiting: their ids, in the order in which they are to go.
    :param moving: their moves from the host.
    :param staying: those that cannot move by themselves, and why.
    """

    waiting: tuple[str, ...]
    moving: tuple[Move, ...]
    staying: Mapping[str, str]
