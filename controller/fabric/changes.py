"""What can happen to the fabric, and what does the fabric say that it did?

Frozen changes for :meth:`controller.fabric.graph.Fabric.apply`; a port's change of state is the switch session's own
event, :class:`controller.events.PortChanged`.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import TypeAlias

from controller.events import PortChanged, SwitchPort
from controller.fabric.plan import PortRef
from overlay.changes import Document
from overlay.values import DatapathId, Mac


@dataclass(frozen=True, slots=True)
class SwitchConnected:
    """A fabric switch finished its handshake; these are all the ports that it has."""

    datapath_id: DatapathId
    ports: tuple[SwitchPort, ...]


@dataclass(frozen=True, slots=True)
class SwitchDisconnected:
    """The session of a switch ended.  Its flows stay, and so do the routes over it (fail-secure)."""

    datapath_id: DatapathId


@dataclass(frozen=True, slots=True)
class SwitchForgotten:
    """The operator took a switch away for good."""

    datapath_id: DatapathId


@dataclass(frozen=True, slots=True)
class LinkSeen:
    """An announcement sent from ``source`` arrived at ``target``."""

    source: PortRef
    target: PortRef


@dataclass(frozen=True, slots=True)
class HostSighted:
    """An ARP packet showed that ``mac`` claims ``la`` behind the port ``at``."""

    la: IPv4Address
    mac: Mac
    at: PortRef


@dataclass(frozen=True, slots=True)
class PolicyChosen:
    """The operator chose how ways are chosen.

    :param paths: how many paths ``disjoint`` spreads over.
    """

    name: str
    paths: int = 2


@dataclass(frozen=True, slots=True)
class SwitchMaintained:
    """The operator took a switch into maintenance, or back from it.

    :param force: also if that parts hosts from each other.
    """

    datapath_id: DatapathId
    on: bool
    force: bool = False


@dataclass(frozen=True, slots=True)
class LinkTuned:
    """The operator said something about the link that ``end`` is an end of; None leaves a part as it was.

    :param capacity_mbps: in Mbit/s; 0 for what the ports say.
    :param force: also if maintenance parts hosts from each other.
    """

    end: PortRef
    weight: int | None = None
    capacity_mbps: int | None = None
    maintenance: bool | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed: what was not seen for too long is given up."""


Order: TypeAlias = PolicyChosen | SwitchMaintained | LinkTuned | SwitchForgotten
"""What the operator can tell the fabric."""

FabricChange: TypeAlias = SwitchConnected | SwitchDisconnected | PortChanged | LinkSeen | HostSighted | Tick | Order


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change did.

    :param routes: prefixes are located, or packets steered, differently: any switch's program may have changed.
    :param switches: whose program may have changed in any case (its ports, its hosts, next hops that it lost).
    :param documents: what to store so that a restarted controller starts from here.
    :param announce: ports from which a discovery packet is worth sending at once.
    """

    routes: bool = False
    switches: frozenset[DatapathId] = frozenset()
    documents: tuple[Document, ...] = ()
    announce: tuple[PortRef, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything changed that a switch's program or the store must follow."""
        return self.routes or bool(self.switches) or bool(self.documents)
