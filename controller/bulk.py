"""How are many objects made at once, all of them or none?

One request may ask for thousands of networks, subnets or ports.  They are made one after the other by the world's own
rules, a few at a time, so that what others ask for gets its turn in between; when one is refused, those before it are
taken back.  Nobody ever sees half of a request: until all are made nothing of it is stored, or sent, and lists leave
out what is not whole yet (nobody else can know the ids, which the edge has drawn).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
    DocumentKind,
    Outcome,
    Unit,
)
from overlay.policy.changes import (
    CreateAddressGroup,
    CreateSecurityGroup,
    DeleteAddressGroup,
    DeleteSecurityGroup,
)
from overlay.qos.changes import CreateQosPolicy, DeleteQosPolicy
from overlay.refusals import Conflict, Refusal
from overlay.world import World

Creation: TypeAlias = (
    CreateNetwork
    | CreateSubnet
    | CreatePort
    | CreateSubnetPool
    | CreateShare
    | CreateSecurityGroup
    | CreateAddressGroup
    | CreateQosPolicy
)
Removal: TypeAlias = (
    DeleteNetwork
    | DeleteSubnet
    | DeletePort
    | DeleteSubnetPool
    | DeleteShare
    | DeleteSecurityGroup
    | DeleteAddressGroup
    | DeleteQosPolicy
)

BULK_MOST: Final = 10_000
"""The most objects in one request (the size limit of a body is usually met before)."""

_STAYS: Final = frozenset({DocumentKind.SECURITY_GROUP, DocumentKind.SECURITY_RULE})
"""Of what is there still after a refusal, if it was not taken back."""

SLICE: Final = 16
"""How many of them are made, or sent, without a pause."""


class Bulk:
    """A bulk creation under way.

    :ivar ids: of all objects that it is to make.
    :ivar refusal: why nothing is made after all, as soon as that is known.
    """

    def __init__(self, creations: Sequence[Creation]) -> None:
        self.ids = frozenset(creation.id for creation in creations)
        self.refusal: Exception | None = None
        self._creations = creations
        self._there = 0
        self._outcomes: list[Outcome] = []

    @property
    def decided(self) -> bool:
        """Whether all are made, or (when one was refused) all are taken back."""
        return self._there == (0 if self.refusal else len(self._creations))

    def step(self, world: World, clock: Callable[[], float]) -> None:
        """Make, or take back, some more of them.

        :param clock: the owner's, in seconds; it is asked for each object, so that a restart finds them in their order.
        """
        outcomes: list[Outcome] = []
        if self.refusal is None:
            try:
                for creation in self._creations[self._there : self._there + SLICE]:
                    outcomes.append(world.apply(creation, clock()))
                    self._there += 1
                if self.decided:
                    self._all_there(world)
            except Exception as refusal:  # noqa: BLE001  (whatever it was, those before it are taken back)
                self.refusal = refusal
        else:
            for creation in reversed(self._creations[max(0, self._there - SLICE) : self._there]):
                self._there -= 1
                try:
                    outcomes.append(world.apply(_undoing(creation), clock()))
                except Refusal:
                    pass  # somebody else has taken it away
                except Exception as defect:  # noqa: BLE001  (the others are taken back all the same)
                    self.refusal = defect
        if outcomes:
            self._outcomes.append(Outcome.merge(outcomes))

    def _all_there(self, world: World) -> None:
        """Make sure that nothing went together with what it belongs to, as subnets do with their network.

        :raises Conflict: when one did.
        """
        there = (
            world.networks,
            world.subnets,
            world.ports,
            world.subnetpools,
            world.shares,
            world.security_groups,
            world.address_groups,
            world.qos_policies,
        )
        if not all(any(creation.id in known for known in there) for creation in self._creations):
            raise Conflict("what they belong to was deleted before all were made", field="network_id")

    def to_store(self) -> Outcome:
        """What is to be stored and told of, in one commit.

        A default group that a port has brought stays, whatever becomes of the port: others may be in it by now.
        """
        if self.refusal:
            made = (document for outcome in self._outcomes for document in outcome.documents)
            return Outcome(documents=tuple(document for document in made if document.kind in _STAYS))
        return Outcome(
            documents=tuple(document for outcome in self._outcomes for document in outcome.documents),
            notices=tuple(notice for outcome in self._outcomes for notice in outcome.notices),
        )

    def to_send(self) -> Iterator[Outcome]:
        """What is to be compiled and sent when it is stored, in slices that each wait for what they send.

        A unit is compiled once, for what is true when its slice comes.  After a refusal as well: what others did in the
        meantime may have compiled what was there for a while.
        """
        seen: set[Unit] = set()
        for outcome in self._outcomes:
            fresh = outcome.dirty - seen
            seen |= fresh
            waits = frozenset() if self.refusal else outcome.waits
            if fresh or waits:
                yield Outcome(dirty=fresh, waits=waits)


def apply_all(world: World, creations: Sequence[Creation], now: float) -> Outcome:
    """Make all of these objects, or none, without a pause.

    :param now: the owner's clock in seconds.
    :raises Refusal: that of the first object that could not be; the world is then as it was before the first.
    """
    bulk = Bulk(creations)
    while not bulk.decided:
        bulk.step(world, lambda: now)
    if bulk.refusal:
        raise bulk.refusal
    return Outcome.merge([bulk.to_store(), *bulk.to_send()])


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
        case CreateSecurityGroup():
            return DeleteSecurityGroup(creation.id)
        case CreateAddressGroup():
            return DeleteAddressGroup(creation.id)
        case CreateQosPolicy():
            return DeleteQosPolicy(creation.id)
