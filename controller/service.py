"""What may REST ask of the one owner of the world?

The seam between the edge, which parses and authorises, and the owner, which decides and stores.  Every call is made
from a greenlet of the edge; a call that waits blocks that greenlet only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from controller.bulk import Creation
from controller.views import HealthView, HostView, LocationView, MoveView, PathsView, TopologyView
from overlay.changes import Intent, Outcome
from overlay.refusals import Refusal
from overlay.values import HostName, IpAddress, Mac, PortStatus, Vni
from overlay.world import World


class NotConfirmed(Refusal):
    """The change is stored and on its way, but not every switch confirmed it in time (HTTP 504)."""

    status: ClassVar[int] = 504


class NotStored(Refusal):
    """The change cannot be stored at present, so it is not carried out yet; it is retried (HTTP 503)."""

    status: ClassVar[int] = 503


class Service(Protocol):
    """The owner of the world as the edge sees it."""

    @property
    def world(self) -> World:
        """The world, for its queries only; whatever changes it goes through :meth:`submit`."""

    def submit(self, intent: Intent) -> Outcome:
        """Apply one intent and store what came of it; returns when both are done.

        :raises Refusal: when it was turned down; then nothing changed.
        """

    def submit_all(self, creations: Sequence[Creation]) -> Outcome:
        """Make several objects in one turn and one commit, all or none (see :func:`controller.bulk.apply_all`).

        :raises Refusal: that of the first object that could not be; then nothing changed.
        """

    def port_status(self, port_id: str) -> PortStatus:
        """Whether every switch that needs the port has it.

        :raises NotFound: for an unknown port (kind ``PortNotFound``).
        """

    def await_move(self, port_id: str, host: HostName, timeout: float) -> None:
        """Wait until the port's move to ``host`` was confirmed by all switches (phase GRACE or SETTLED).

        :param timeout: seconds.
        :raises NotConfirmed: when that did not come in time; the move goes on.
        :raises Conflict: when the move failed or was cancelled instead.
        """

    def locate(self, asked: Sequence[tuple[Vni | str, Mac | IpAddress]]) -> tuple[LocationView | None, ...]:
        """Ask the directory for addresses, each in a network given by its VNI or its id.

        :returns: in the order of the questions, ``None`` where nobody has the address.
        """

    def topology(self) -> TopologyView:
        """The fabric as it is known now."""

    def paths(self, source: str, target: str) -> PathsView:
        """The ways from one port or hypervisor to another.

        :param source: a port's id, or else a hypervisor's name; likewise ``target``.
        :raises NotFound: field ``from`` or ``to`` when there is neither a port nor a hypervisor of that name.
        :raises Conflict: when an end is a port that is not bound, or no route leads there at present.
        """

    def hosts(self) -> tuple[HostView, ...]:
        """All hypervisors that ever joined, by name."""

    def moves(self) -> tuple[MoveView, ...]:
        """Moves under way and the latest finished ones, oldest first."""

    def move(self, move_id: str) -> MoveView:
        """One move.

        :raises NotFound: kind ``MoveNotFound``.
        """

    def health(self) -> HealthView:
        """How the controller is doing."""
