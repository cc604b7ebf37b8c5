"""What is true now, and what changes when something is asked or happens?

The world is a mutable index of frozen values.  :meth:`World.apply` is the only way in which it moves; it either does
all of a change or refuses it and does nothing.  What a change costs depends on what it touches, never on how much
else there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from overlay.changes import Change, Document, Outcome
from overlay.directory import Binding, Clash, Location
from overlay.moves import Move
from overlay.values import Host, HostName, IpAddress, Mac, Network, Port, PortStatus, Subnet, Vni


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may choose.

    :param vni_first: lowest VNI that is handed out.
    :param vni_last: highest VNI that is handed out.
    :param grace: seconds for which the hairpin waits for stragglers after all hosts were repointed.
    :param move_timeout: seconds after which a move that was not activated fails.
    """

    vni_first: int = 1
    vni_last: int = (1 << 24) - 1
    grace: float = 1.0
    move_timeout: float = 300.0


class World:
    """All networks, subnets, ports, hosts and moves, and where things are plugged.

    The public mappings are views for reading; iteration is in order of creation.
    """

    networks: Mapping[str, Network]
    subnets: Mapping[str, Subnet]
    ports: Mapping[str, Port]
    hosts: Mapping[HostName, Host]
    attachments: Mapping[tuple[HostName, str], int]
    """(host, port id) to OpenFlow port number."""

    def __init__(self, settings: Settings | None = None) -> None:
        raise NotImplementedError

    @classmethod
    def restore(cls, documents: Iterable[Document], now: float, settings: Settings | None = None) -> World:
        """Build the world that these documents were stored from; moves go on where they stood.

        Attachments are not stored: hosts report them by ``HostSnapshot``.  All hosts count as pending until they
        have confirmed something or are lost.
        """
        raise NotImplementedError

    def apply(self, change: Change, now: float) -> Outcome:
        """Do one change.

        :param now: the owner's clock in seconds, never going back.
        :raises Refusal: for an intent that cannot be; the world is then as it was.
        """
        raise NotImplementedError

    def network(self, network_id: str) -> Network:
        """Look up.  :raises NotFound: ``NetworkNotFound``."""
        raise NotImplementedError

    def subnet(self, subnet_id: str) -> Subnet:
        """Look up.  :raises NotFound: ``SubnetNotFound``."""
        raise NotImplementedError

    def port(self, port_id: str) -> Port:
        """Look up.  :raises NotFound: ``PortNotFound``."""
        raise NotImplementedError

    def status(self, port_id: str) -> PortStatus:
        """ACTIVE when plugged at home and confirmed by every host that needs it; BUILD until then; else DOWN."""
        raise NotImplementedError

    def pending(self, port_id: str) -> frozenset[HostName]:
        """Which hosts have not confirmed a port's present program."""
        raise NotImplementedError

    def bindings(self, port_id: str) -> tuple[Binding, ...]:
        """The active binding first, then the inactive one if a move prepares it.  :raises NotFound: as ``port``."""
        raise NotImplementedError

    def subnets_of(self, network_id: str) -> tuple[Subnet, ...]:
        """A network's subnets."""
        raise NotImplementedError

    def ports_of_network(self, network_id: str) -> tuple[Port, ...]:
        """A network's ports."""
        raise NotImplementedError

    def ports_on_host(self, host: HostName) -> tuple[Port, ...]:
        """The ports whose home a host is."""
        raise NotImplementedError

    def hosts_with_network(self, network_id: str) -> tuple[HostName, ...]:
        """The hosts where a port of the network is homed or moving to."""
        raise NotImplementedError

    def networks_on_host(self, host: HostName) -> tuple[str, ...]:
        """The ids of the networks that a host has."""
        raise NotImplementedError

    def move_of(self, port_id: str) -> Move | None:
        """The live move of a port."""
        raise NotImplementedError

    def moves(self) -> tuple[Move, ...]:
        """All live moves and the last 200 or so that ended, oldest first."""
        raise NotImplementedError

    @property
    def clashes(self) -> tuple[Clash, ...]:
        """Hosts that were not let in, because of their LA."""
        raise NotImplementedError

    def locate(self, vni: Vni, address: Mac | IpAddress) -> Location | None:
        """Ask the directory; ``None`` when nobody owns the address there."""
        raise NotImplementedError

    def next_deadline(self) -> float | None:
        """When a ``Tick`` is due at the latest, on the owner's clock."""
        raise NotImplementedError

    def documents(self) -> tuple[Document, ...]:
        """The whole world as it is stored."""
        raise NotImplementedError
