"""What is to be done when QEMU says that something has happened to a guest?

QEMU's events and their order are the same whoever starts a migration: the source says MIGRATION setup, active, STOP,
perhaps pre-switchover (where it waits to be told to go on), completed; the target RESUME.  A migration that fails after
STOP ends with RESUME at the source.  :func:`following` is all that is known here; it neither asks nor waits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Order(StrEnum):
    """What is to be done for all ports of a guest."""

    LOOK = "look"
    """Ask where the ports may go, to know it when it counts."""
    HAND_OVER = "hand over"
    """The guest stands still, to go on elsewhere: activate the binding there."""
    GO_ON = "go on"
    """QEMU waits before the switch: tell it to go on, once the ports are handed over."""
    ARRIVE = "arrive"
    """The guest runs here: activate the binding here, if nobody has."""
    TAKE_BACK = "take back"
    """The guest was handed over, and goes on here: bind it here again."""
    CALL_OFF = "call off"
    """The migration has failed before anything was handed over: its passive binding is of no use."""


UNDER_WAY: Final = frozenset({"setup", "active", "pre-switchover", "device", "postcopy-active", "postcopy-paused"})
"""The states of a migration (QAPI's MigrationStatus) in which a guest that stops may be about to go on elsewhere."""
_LOST: Final = frozenset({"failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of a guest.

    :param incoming: whether this QEMU waits for a guest (``-incoming``) that runs elsewhere.
    :param migration: the state of the outgoing migration, as QEMU calls it.
    :param away: whether the ports were handed over in this migration.
    """

    incoming: bool = False
    migration: str = "none"
    away: bool = False


def following(now: Standing, event: str, status: str = "") -> tuple[Standing, tuple[Order, ...]]:
    """What is known after an event, and what is to be done, in order.

    :param event: ``MIGRATION``, ``STOP`` or ``RESUME``. :param status: of MIGRATION, the new state.
    """
    match event:
        case "RESUME":
            # Also in a migration: whoever lets the guest run on here wants it here.
            order = Order.TAKE_BACK if now.away else Order.ARRIVE
            return replace(now, incoming=False, away=False), (order,)
        case "STOP" if not now.incoming and now.migration in UNDER_WAY and not now.away:
            return replace(now, away=True), (Order.HAND_OVER,)
        case "MIGRATION" if not now.incoming:
            return _migrating(now, status)
        case _:
            return now, ()


def _migrating(now: Standing, status: str) -> tuple[Standing, tuple[Order, ...]]:
    orders: list[Order] = []
    after = replace(now, migration=status)
    begins = status in UNDER_WAY and now.migration not in UNDER_WAY
    # A guest that has come says RESUME before the end of its migration, which was no migration of this QEMU's.
    leaving = begins or now.migration in UNDER_WAY
    if begins:
        after = replace(after, away=False)
        orders.append(Order.LOOK)
    if leaving and status in {"pre-switchover", "completed"} and not after.away:
        # A guest that had been stopped before does not say STOP again.
        after = replace(after, away=True)
        orders.append(Order.HAND_OVER)
    if status == "pre-switchover":
        orders.append(Order.GO_ON)
    if status in _LOST and (leaving or now.migration == "cancelling"):
        orders.append(Order.TAKE_BACK if after.away else Order.CALL_OFF)
        after = replace(after, away=False)
    return after, tuple(orders)
