"""What can be asked of the world, what can happen to it, and what does it answer?

Every way in which the world's state moves is one frozen value of this module, given to
:meth:`overlay.world.World.apply`.  *Intents* come from people and may be turned down with a
:class:`~overlay.refusals.Refusal`; *events* report what has already happened and are never refused.
The answer is an :class:`Outcome`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from overlay.values import Host, HostName, IpAddress, IpNetwork, Mac, Pool, Vni


class Unchanged(Enum):
    """The type of :data:`UNCHANGED`, for fields where ``None`` already means something."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED
"""The field keeps its value."""


# --- intents ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CreateNetwork:
    """Make a network; ``vni=None`` takes the lowest free one of the configured range.

    Refused: ``SegmentationIdInUse`` (409), ``NoNetworkAvailable`` (409, range exhausted).
    """

    id: str
    project_id: str
    name: str = ""
    vni: Vni | None = None
    mtu: int = 1500
    description: str = ""


@dataclass(frozen=True, slots=True)
class UpdateNetwork:
    """Change what may change of a network; ``None`` keeps a field.  Refused: ``NetworkNotFound``."""

    id: str
    name: str | None = None
    description: str | None = None
    mtu: int | None = None


@dataclass(frozen=True, slots=True)
class DeleteNetwork:
    """Remove a network and its subnets.  Refused: ``NetworkNotFound``, ``NetworkInUse`` (409, it has ports)."""

    id: str


@dataclass(frozen=True, slots=True)
class CreateSubnet:
    """Number a network from a prefix.

    :param gateway_ip: ``"default"`` is the first usable address, ``None`` is no gateway.
    :param pools: ``None`` is every usable address but the gateway.

    Refused: ``NetworkNotFound``, ``InvalidInput`` (overlap, gateway outside), ``InvalidAllocationPool``,
    ``OutOfBoundsAllocationPool``, ``OverlappingAllocationPools`` (400), ``GatewayConflictWithAllocationPools`` (409).
    """

    id: str
    project_id: str
    network_id: str
    cidr: IpNetwork
    name: str = ""
    gateway_ip: IpAddress | Literal["default"] | None = "default"
    pools: tuple[Pool, ...] | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class UpdateSubnet:
    """Change what may change of a subnet; ``None`` keeps a field.  Refused: ``SubnetNotFound``."""

    id: str
    name: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteSubnet:
    """Remove a subnet.  Refused: ``SubnetNotFound``, ``SubnetInUse`` (409, a port has an address of it)."""

    id: str


@dataclass(frozen=True, slots=True)
class FixedIpRequest:
    """A wish for an address: an exact one, or any of a subnet."""

    subnet_id: str | None = None
    ip: IpAddress | None = None


@dataclass(frozen=True, slots=True)
class CreatePort:
    """Make a port.

    :param mac: the exact address, or ``None`` for the first free one of ``mac_candidates`` (drawn by the edge).
    :param fixed_ips: ``None`` is one address of each IP version that the network has subnets of.
    :param host: where the port shall live (active binding); ``None`` waits for it to be plugged somewhere.

    Refused: ``NetworkNotFound``, ``SubnetNotFound``, ``MacAddressInUse``, ``MacAddressGenerationFailure``,
    ``InvalidIpForSubnet``, ``InvalidIpForNetwork``, ``IpAddressInUse``, ``IpAddressGenerationFailure``,
    ``HostNotFound``.
    """

    id: str
    project_id: str
    network_id: str
    name: str = ""
    mac: Mac | None = None
    mac_candidates: tuple[Mac, ...] = ()
    fixed_ips: tuple[FixedIpRequest, ...] | None = None
    host: HostName | None = None
    device_id: str = ""
    device_owner: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class UpdatePort:
    """Change what may change of a port; ``None`` keeps a text, :data:`UNCHANGED` keeps the host.

    A new host for a port that is plugged at its present one is a move that activates by itself.
    ``host=None`` unbinds.  Refused: ``PortNotFound``, ``HostNotFound``, ``PortMoveInProgress`` (409).
    """

    id: str
    name: str | None = None
    description: str | None = None
    device_id: str | None = None
    device_owner: str | None = None
    host: HostName | Unchanged | None = UNCHANGED


@dataclass(frozen=True, slots=True)
class DeletePort:
    """Remove a port, whatever it is doing.  Refused: ``PortNotFound``."""

    id: str


@dataclass(frozen=True, slots=True)
class BindPassive:
    """Prepare a second host for a port (an inactive binding): the move's first step.

    Refused: ``PortNotFound``, ``HostNotFound`` (400), ``PortBindingAlreadyExists``, ``PortNotBound``,
    ``PortMoveInProgress`` (409).
    """

    port_id: str
    host: HostName


@dataclass(frozen=True, slots=True)
class Activate:
    """Switch a prepared port over to its inactive binding.

    Refused: ``PortNotFound``, ``PortBindingNotFound`` (404), ``PortBindingNotReady``,
    ``PortBindingAlreadyActive`` (409).
    """

    port_id: str
    host: HostName


@dataclass(frozen=True, slots=True)
class Unbind:
    """Remove an inactive binding: cancels the move that it belongs to.

    Refused: ``PortNotFound``, ``PortBindingNotFound`` (404), ``PortBindingAlreadyActive`` (409).
    """

    port_id: str
    host: HostName


Intent: TypeAlias = (
    CreateNetwork
    | UpdateNetwork
    | DeleteNetwork
    | CreateSubnet
    | UpdateSubnet
    | DeleteSubnet
    | CreatePort
    | UpdatePort
    | DeletePort
    | BindPassive
    | Activate
    | Unbind
)


# --- events ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HostSeen:
    """A hypervisor joined, or something about it changed.  Its LA may clash: see ``World.clashes``."""

    host: Host


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """Everything that is plugged at a host, after its OVSDB session came (back) up: ``(port id, OpenFlow port)``."""

    host: HostName
    plugged: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Plugged:
    """An interface with this iface-id has an OpenFlow port (again, or another one) at a host."""

    host: HostName
    port_id: str
    ofport: int


@dataclass(frozen=True, slots=True)
class Unplugged:
    """The interface with this iface-id is gone from a host."""

    host: HostName
    port_id: str


@dataclass(frozen=True, slots=True)
class HostLost:
    """A host's OpenFlow session has been down for so long that confirmations wait for it no more."""

    host: HostName


@dataclass(frozen=True, slots=True)
class HostBack:
    """A lost host's OpenFlow session is up again (no effect on a host that was not lost)."""

    host: HostName


@dataclass(frozen=True, slots=True)
class Announced:
    """A RARP or gratuitous ARP came out of a passive port: the VM runs there now."""

    host: HostName
    port_id: str


class Wait(NamedTuple):
    """A port waits for the confirmation of what is to be sent to a host."""

    host: HostName
    port_id: str


@dataclass(frozen=True, slots=True)
class Sent:
    """What an outcome made dirty is on its way to the switches.

    The owner applies it right after it has compiled and sent the flows of one :class:`Outcome` (or of a merged
    batch).  A host that had nothing to change is left out of ``generations``; one without a session is in it, with a
    generation that is confirmed when it has been reconciled.

    :param waits: the outcome's ``waits``.
    :param generations: per host the number by which a later :class:`Confirmed` will name this sending; growing.
    """

    waits: frozenset[Wait]
    generations: tuple[tuple[HostName, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The barrier came back: a host has everything up to and including this generation."""

    host: HostName
    generation: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed (about every 100 ms, or at ``World.next_deadline``)."""


Event: TypeAlias = (
    HostSeen | HostSnapshot | Plugged | Unplugged | HostLost | HostBack | Announced | Sent | Confirmed | Tick
)

Change: TypeAlias = Intent | Event


# --- answers ---------------------------------------------------------------------------------------------------


class UnitKind(StrEnum):
    """What a compile unit is about (see ``overlay.compile``)."""

    BASE = "base"
    NETWORK = "network"
    PORT = "port"
    ADDRESS = "address"


class Unit(NamedTuple):
    """The smallest thing that is compiled anew: all flows of one object on one host.

    ``key`` is ``""`` for BASE, a network's id for NETWORK, a port's id for PORT and ADDRESS.
    """

    host: HostName
    kind: UnitKind
    key: str


class DocumentKind(StrEnum):
    """What is stored; the order is that in which a world can be restored."""

    NETWORK = "network"
    SUBNET = "subnet"
    HOST = "host"
    PORT = "port"
    MOVE = "move"


@dataclass(frozen=True, slots=True)
class Document:
    """One object as the store keeps it: JSON values only; ``body=None`` deletes it."""

    kind: str
    id: str
    body: dict[str, Any] | None


class NoticeKind(StrEnum):
    """What a notice tells."""

    PORT_STATUS = "port_status"
    PORT_BOUND = "port_bound"
    MOVE_PHASE = "move_phase"
    HOST_CLASH = "host_clash"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that people and orchestrators want to hear of.

    :param id: of the port, move or host.
    :param detail: the new status, the host's name, the new phase, or a sentence.
    """

    kind: NoticeKind
    id: str
    detail: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change did.

    :param dirty: the compile units that read what changed.
    :param documents: what to store, in order, before anything is sent.
    :param notices: what to tell.
    :param waits: who waits for which host to confirm; goes into :class:`Sent` unchanged.
    """

    dirty: frozenset[Unit] = frozenset()
    documents: tuple[Document, ...] = ()
    notices: tuple[Notice, ...] = ()
    waits: frozenset[Wait] = frozenset()

    @staticmethod
    def merge(outcomes: Iterable[Outcome]) -> Outcome:
        """Join the outcomes of a batch, in order, so that it is compiled, sent and reported as one."""
        all_of = tuple(outcomes)
        return Outcome(
            frozenset().union(*(outcome.dirty for outcome in all_of)),
            tuple(document for outcome in all_of for document in outcome.documents),
            tuple(notice for outcome in all_of for notice in outcome.notices),
            frozenset().union(*(outcome.waits for outcome in all_of)),
        )
