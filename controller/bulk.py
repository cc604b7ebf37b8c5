"""How are many objects made at once, all of them or none?

One request may ask for several networks, subnets or ports, or for one that is shared at once.  They are made one after
the other by the world's own rules; when one is refused, those before it are taken back, so that nobody ever sees half
of a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from overlay.changes import (
    CreateNetwork,
    CreatePort,
    CreateShare,
    CreateSubnet,
    CreateSubnetPool,
    DeleteNetwork,
    DeletePort,
    DeleteShare,
    DeleteSubnet,
    DeleteSubnetPool,
    Outcome,
)
from overlay.refusals import Refusal
from overlay.world import World

Creation: TypeAlias = CreateNetwork | CreateSubnet | CreatePort | CreateSubnetPool | CreateShare
Removal: TypeAlias = DeleteNetwork | DeleteSubnet | DeletePort | DeleteSubnetPool | DeleteShare

BULK_MOST: Final = 10_000
"""The most objects in one request (the size limit of a body is usually met before)."""


def apply_all(world: World, creations: Sequence[Creation], now: float) -> Outcome:
    """Make all of these objects, or none.

    Must run in one turn of the owner: nothing of it may be compiled or stored before it returns.

    :param now: the owner's clock in seconds.
    :raises Refusal: that of the first object that could not be; the world is then as it was before the first.
    """
    outcomes: list[Outcome] = []
    try:
        for creation in creations:
            outcomes.append(world.apply(creation, now))  # noqa: PERF401  (those before a refusal must be known)
    except Refusal:
        for made in reversed(creations[: len(outcomes)]):
            world.apply(_undoing(made), now)
        raise
    return Outcome.merge(outcomes)


def _undoing(creation: Creation) -> Removal:
    match creation:
        case CreateNetwork():
            return DeleteNetwork(creation.id)
        case CreateSubnet():
            return DeleteSubnet(creation.id)
        case CreatePort():
            return DeletePort(creation.id)
        case CreateSubnetPool():
            return DeleteSubnetPool(creation.id)
        case CreateShare():
            return DeleteShare(creation.id)
