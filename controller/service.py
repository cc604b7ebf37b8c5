"""What may REST ask of the one owner of the world?

The seam between the edge, which parses and authorises, and the owner, which decides and stores.  Every call is made
from a greenlet of the edge; a call that waits blocks that greenlet only.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import ClassVar, Protocol

from controller.bulk import Creation
from controller.fabric.changes import Order
from controller.fabric.drawing import Format
from controller.fabric.plan import PortRef
from controller.identity.roster import Enrolment, Roster
from controller.views import (
    CableView,
    DifferenceView,
    DropView,
    HealthView,
    HostView,
    IntendedView,
    LoadView,
    LocationView,
    MoveView,
    MulticastView,
    PathsView,
    PoliciesView,
    SwitchChangeView,
    SwitchView,
    TopologyView,
)
from overlay.changes import Intent, Outcome
from overlay.refusals import Refusal
from overlay.values import DatapathId, HostName, IpAddress, Mac, PortStatus, Vni
from overlay.world import World


class NotConfirmed(Refusal):
    """The change is stored and on its way, but not every switch confirmed it in time (HTTP 504)."""

    status: ClassVar[int] = 504


class NotStored(Refusal):
    """The change cannot be stored at present, so it is not carried out yet; it is retried (HTTP 503)."""

    status: ClassVar[int] = 503


class NotCounted(Refusal):
    """A switch that knows the answer cannot be asked at present (HTTP 503)."""

    status: ClassVar[int] = 503


class Service(Protocol):
    """The owner of the world as the edge sees it."""

    @property
    def world(self) -> World:
        """The world, for its queries only; whatever changes it goes through :meth:`submit`."""

    @property
    def roster(self) -> Roster:
        """Who may call, for its questions only; whatever changes it goes through :meth:`enrol`."""

    def enrol(self, change: Enrolment) -> None:
        """Make a project or a token, or take it away; returns when it is stored.

        :raises Refusal: when it was turned down; then nothing changed.
        """

    def submit(self, intent: Intent) -> Outcome:
        """Apply one intent and store what came of it; returns when both are done.

        :raises Refusal: when it was turned down; then nothing changed.
        """

    def submit_all(self, creations: Sequence[Creation]) -> Outcome:
        """Make several objects in one commit, all or none (see :class:`controller.bulk.Bulk`).

        :raises Refusal: that of the first object that could not be; then nothing changed.
        """

    @property
    def unfinished(self) -> Container[str]:
        """The ids of objects that are being made by bulk creations: they may still be refused, so nobody sees them."""

    @property
    def switching(self) -> bool:
        """Whether a machine is just being moved over, so that everything else had better wait a moment."""

    def port_status(self, port_id: str) -> PortStatus:
        """Whether every switch that needs the port has it.

        :raises NotFound: for an unknown port (kind ``PortNotFound``).
        """

    def await_move(self, port_id: str, host: HostName, timeout: float) -> None:
        """Wait until the port's move to ``host`` was confirmed by both ends (from phase REPOINTING on).

        :param timeout: seconds.
        :raises NotConfirmed: when that did not come in time; the move goes on.
        :raises Conflict: when the move failed or was cancelled instead.
        """

    def locate(self, asked: Sequence[tuple[Vni | str, Mac | IpAddress]]) -> tuple[LocationView | None, ...]:
        """Ask the directory for addresses, each in a network given by its VNI or its id.

        :returns: in the order of the questions, ``None`` where nobody has the address.
        """

    def drops(self, port_id: str) -> tuple[DropView, ...]:
        """Ask the switches where a port is plugged what they have dropped there, by reason.

        :raises NotFound: for an unknown port (kind ``PortNotFound``).
        :raises NotCounted: when one of them does not answer.
        """

    def topology(self) -> TopologyView:
        """The fabric as it is known now."""

    def load(self) -> LoadView:
        """What the fabric's links carry."""

    def paths(self, source: str, target: str) -> PathsView:
        """The ways from one port or hypervisor to another.

        :param source: a port's id, or else a hypervisor's name; likewise ``target``.
        :raises NotFound: field ``from`` or ``to`` when there is neither a port nor a hypervisor of that name.
        :raises Conflict: when an end is a port that is not bound, or no route leads there at present.
        """

    def switches(self) -> tuple[SwitchView, ...]:
        """All fabric switches, by datapath id."""

    def switch(self, datapath_id: DatapathId) -> SwitchView:
        """One fabric switch.

        :raises NotFound: kind ``SwitchNotFound``.
        """

    def cables(self) -> tuple[CableView, ...]:
        """All cables between fabric switches, usable or not."""

    def cable(self, end: PortRef) -> CableView:
        """The cable that a port is an end of.

        :raises NotFound: kind ``LinkNotFound``.
        """

    def policy(self) -> PoliciesView:
        """How ways through the fabric are chosen, and how they could be."""

    def order(self, order: Order) -> None:
        """Have the fabric follow what its operator says; returns when it is stored and on its way to the switches.

        :raises Refusal: when it was turned down; then nothing changed.
        """

    def preview(self, order: Order) -> tuple[SwitchChangeView, ...]:
        """Say what an order would change on which switches, and change nothing.

        :raises Refusal: when it would be turned down.
        """

    def intended(self) -> IntendedView:
        """The topology that the fabric is meant to have.

        :raises NotFound: where nobody said (kind ``IntendedTopologyNotFound``).
        """

    def intend(self, language: Format, document: str) -> None:
        """Say which topology the fabric is meant to have; returns when it is stored.

        :raises Invalid: for a document that cannot be read or contradicts itself.
        :raises Conflict: when the configuration says what is intended.
        """

    def intend_nothing(self) -> None:
        """Take the intended topology away.

        :raises NotFound: where there is none.
        :raises Conflict: when the configuration says what is intended.
        """

    def differences(self) -> tuple[DifferenceView, ...]:
        """In what the fabric differs from the intended topology.

        :raises NotFound: where nobody said what is intended.
        """

    def hosts(self) -> tuple[HostView, ...]:
        """All hypervisors that ever joined, by name."""

    def moves(self) -> tuple[MoveView, ...]:
        """Moves under way and the latest finished ones, oldest first."""

    def move(self, move_id: str) -> MoveView:
        """One move.

        :raises NotFound: kind ``MoveNotFound``.
        """

    def multicast(self) -> MulticastView:
        """What machines listen to."""

    def health(self) -> HealthView:
        """How the controller is doing."""
