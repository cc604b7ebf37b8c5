"""What an event of QEMU's calls for follows from what came before it, and from nothing else."""

from __future__ import annotations

import pytest

from hostside.rules import Order, Standing, following

ACTIVE = ("MIGRATION setup", "MIGRATION active")
LOOK, HAND_OVER, GO_ON = Order.LOOK, Order.HAND_OVER, Order.GO_ON
ARRIVE, TAKE_BACK, CALL_OFF = Order.ARRIVE, Order.TAKE_BACK, Order.CALL_OFF


def told(*events: str, incoming: bool = False) -> list[Order]:
    """All orders that a course of events calls for."""
    standing, found = Standing(incoming=incoming), []
    for each in events:
        event, _, status = each.partition(" ")
        standing, orders = following(standing, event, status)
        found += orders
    return found


@pytest.mark.parametrize(
    ("events", "orders"),
    [
        ((*ACTIVE, "STOP", "MIGRATION device", "MIGRATION completed"), [LOOK, HAND_OVER]),
        ((*ACTIVE, "STOP", "MIGRATION pre-switchover", "MIGRATION device"), [LOOK, HAND_OVER, GO_ON]),
        ((*ACTIVE, "STOP", "MIGRATION postcopy-active", "MIGRATION completed"), [LOOK, HAND_OVER]),
        (("STOP", *ACTIVE, "MIGRATION completed"), [LOOK, HAND_OVER]),
        (("STOP", *ACTIVE, "MIGRATION pre-switchover", "MIGRATION completed"), [LOOK, HAND_OVER, GO_ON]),
        (("MIGRATION pre-switchover",), [LOOK, HAND_OVER, GO_ON]),
        ((*ACTIVE, "MIGRATION failed"), [LOOK, CALL_OFF]),
        ((*ACTIVE, "MIGRATION cancelling", "MIGRATION cancelled"), [LOOK, CALL_OFF]),
        ((*ACTIVE, "STOP", "MIGRATION failed", "RESUME"), [LOOK, HAND_OVER, TAKE_BACK, ARRIVE]),
        ((*ACTIVE, "STOP", "RESUME", "MIGRATION failed"), [LOOK, HAND_OVER, TAKE_BACK, CALL_OFF]),
        ((*ACTIVE, "STOP", "RESUME", "STOP", "MIGRATION device"), [LOOK, HAND_OVER, TAKE_BACK, HAND_OVER]),
        ((*ACTIVE, "MIGRATION failed", *ACTIVE, "STOP"), [LOOK, CALL_OFF, LOOK, HAND_OVER]),
        (("STOP", "RESUME"), [ARRIVE]),
        (("STOP",), []),
        (("SHUTDOWN",), []),
    ],
)
def test_at_the_source(events: tuple[str, ...], orders: list[Order]) -> None:
    """A guest that stops in a migration is handed over once, and taken back if it goes on all the same."""
    assert told(*events) == orders


def test_at_the_target() -> None:
    """A guest that comes arrives when it goes on here, and not before; then it may leave again."""
    coming = ("MIGRATION setup", "MIGRATION active")
    assert told(*coming, "STOP", "MIGRATION completed", incoming=True) == []
    assert told(*coming, "RESUME", "MIGRATION completed", incoming=True) == [ARRIVE]
    assert told(*coming, "MIGRATION completed", "RESUME", incoming=True) == [ARRIVE]
    came = (*coming, "RESUME", "MIGRATION completed")
    assert told(*came, *ACTIVE, "STOP", "MIGRATION completed", incoming=True) == [ARRIVE, LOOK, HAND_OVER]
    assert told("MIGRATION active", "MIGRATION failed", incoming=True) == []
