"""By which command does a switch take a meter?

There is no "modify or add" in OpenFlow, and deleting a meter would delete its flows.  Before the switch was read both
commands are sent, of which one is refused; since every port has meters, that would be most of what is said in bulk.
"""

from __future__ import annotations

from collections.abc import Iterable

from controller.openflow.codec import Command
from overlay.flow import Meter


class KnownMeters:
    """The meters that a switch has, for the life of one session."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._certain = False
        self._doubted = False

    @property
    def certain(self) -> bool:
        """Whether one command is enough."""
        return self._certain

    def read(self, found: Iterable[Meter]) -> None:
        """The switch has these, and what was sent meanwhile."""
        self._known.update(meter.meter_id for meter in found)
        self._certain = not self._doubted

    def doubt(self) -> None:
        """One command was refused: somebody else adds or deletes meters there, so that from now on both are sent."""
        self._certain, self._doubted = False, True

    def commands(self, meter: Meter, *, certain: bool) -> tuple[Command, ...]:
        """What to send of a meter.

        :param certain: what :attr:`certain` was when the send began.
        """
        known = meter.meter_id in self._known
        self._known.add(meter.meter_id)
        return (Command.MODIFY if known else Command.ADD,) if certain else (Command.MODIFY, Command.ADD)
