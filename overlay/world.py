"""What is true now, and what changes when something is asked or happens?

The world is a mutable index of frozen values.  :meth:`World.apply` is the only way in which it moves; it either does
all of a change or refuses it and does nothing.  What a change costs depends on what it touches, never on how much
else there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from overlay import membership, placement, tags, tenancy
from overlay.changes import (
    Activate,
    Announced,
    BindPassive,
    Change,
    Confirmed,
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    DeleteNetwork,
    DeletePort,
    DeleteSubnet,
    Document,
    DocumentKind,
    HostBack,
    HostLost,
    HostSeen,
    HostSnapshot,
    NoticeKind,
    Outcome,
    Plugged,
    Sent,
    SetTags,
    Tick,
    Unbind,
    Unplugged,
    UpdateNetwork,
    UpdatePort,
    UpdateSubnet,
)
from overlay.directory import Binding, Clash, Location
from overlay.documents import (
    read_host,
    read_move,
    read_network,
    read_port,
    read_subnet,
    write_host,
    write_move,
    write_network,
    write_port,
    write_subnet,
)
from overlay.footing import Footing
from overlay.index import Index, Settings
from overlay.moves import Move, Phase, deadline
from overlay.recording import Recorder
from overlay.values import Host, HostName, IpAddress, Mac, Network, Port, PortStatus, Subnet, Vni

__all__ = ["Settings", "World"]


def _tick(index: Index, _change: Tick, record: Recorder) -> None:
    record.touch(index.moves)


_HANDLERS: Final[Mapping[type, Callable[[Index, Any, Recorder], None]]] = {
    CreateNetwork: tenancy.create_network,
    UpdateNetwork: tenancy.update_network,
    DeleteNetwork: tenancy.delete_network,
    CreateSubnet: tenancy.create_subnet,
    UpdateSubnet: tenancy.update_subnet,
    DeleteSubnet: tenancy.delete_subnet,
    CreatePort: placement.create_port,
    UpdatePort: placement.update_port,
    DeletePort: placement.delete_port,
    SetTags: tags.set_tags,
    BindPassive: placement.bind_passive,
    Activate: placement.activate,
    Unbind: placement.unbind,
    HostSeen: membership.seen,
    HostSnapshot: placement.snapshot,
    Plugged: placement.plugged,
    Unplugged: placement.unplugged,
    HostLost: membership.lost,
    HostBack: membership.back,
    Announced: placement.announced,
    Sent: membership.sent,
    Confirmed: membership.confirmed,
    Tick: _tick,
}


class World:
    """All networks, subnets, ports, hosts and moves, and where things are plugged.

    The public mappings are views for reading; iteration is in order of creation.

    :ivar attachments: (host, port id) to OpenFlow port number.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._index = index = Index(settings or Settings())
        self.settings = index.settings
        self.networks: Mapping[str, Network] = MappingProxyType(index.networks)
        self.subnets: Mapping[str, Subnet] = MappingProxyType(index.subnets)
        self.ports: Mapping[str, Port] = MappingProxyType(index.ports)
        self.hosts: Mapping[HostName, Host] = MappingProxyType(index.hosts)
        self.attachments: Mapping[tuple[HostName, str], int] = MappingProxyType(index.attachments)

    @classmethod
    def restore(cls, documents: Iterable[Document], now: float, settings: Settings | None = None) -> World:  # noqa: ARG003
        """Build the world that these documents were stored from; moves go on where they stood.

        Attachments are not stored: hosts report them by ``HostSnapshot``.  All hosts count as pending until they
        have confirmed something or are lost.

        :param documents: in any order, at most one per object.
        :param now: the owner's clock in seconds; it has to go on from the one that the documents were written with.
        """
        world = cls(settings)
        index = world._index
        bodies: dict[str, list[tuple[str, dict[str, Any]]]] = {kind: [] for kind in DocumentKind}
        for document in documents:
            if document.body is not None:
                bodies[document.kind].append((document.id, document.body))
        for id_, body in bodies[DocumentKind.NETWORK]:
            index.put_network(read_network(id_, body))
        for id_, body in bodies[DocumentKind.SUBNET]:
            index.put_subnet(read_subnet(id_, body))
        for id_, body in bodies[DocumentKind.HOST]:
            index.put_host(read_host(id_, body))
        for move in sorted((read_move(id_, body) for id_, body in bodies[DocumentKind.MOVE]), key=lambda m: m.number):
            index.put_move(move)
        for id_, body in bodies[DocumentKind.PORT]:
            index.put_port(read_port(id_, body))
            index.refoot(id_)
            index.shown[id_] = index.status(id_)
        return world

    def apply(self, change: Change, now: float) -> Outcome:
        """Do one change.

        :param now: the owner's clock in seconds, never going back.
        :raises Refusal: for an intent that cannot be; the world is then as it was.
        """
        index = self._index
        record = Recorder(index, now)
        _HANDLERS[type(change)](index, change, record)
        looked_at: set[str] = set()
        while len(looked_at) < len(record.touched):
            for port_id in [port_id for port_id in record.touched if port_id not in looked_at]:
                looked_at.add(port_id)
                placement.advance(index, port_id, record)
        for port_id in record.touched:
            if port_id in index.ports:
                status = index.status(port_id)
                if index.shown.get(port_id, PortStatus.DOWN) is not status:
                    record.tell(NoticeKind.PORT_STATUS, port_id, status)
                index.shown[port_id] = status
        return record.outcome()

    # --- questions ---

    def network(self, network_id: str) -> Network:
        """Look up.  :raises NotFound: ``NetworkNotFound``."""
        return self._index.network(network_id)

    def subnet(self, subnet_id: str) -> Subnet:
        """Look up.  :raises NotFound: ``SubnetNotFound``."""
        return self._index.subnet(subnet_id)

    def port(self, port_id: str) -> Port:
        """Look up.  :raises NotFound: ``PortNotFound``."""
        return self._index.port(port_id)

    def status(self, port_id: str) -> PortStatus:
        """ACTIVE when plugged where its active binding is and confirmed by every host that needs it.

        BUILD until then; DOWN while it is not plugged there, or that host is lost.

        :raises NotFound: as ``port``.
        """
        self._index.port(port_id)
        return self._index.status(port_id)

    def pending(self, port_id: str) -> frozenset[HostName]:
        """Which hosts have not confirmed a port's present program."""
        return self._index.pending(port_id)

    def footing(self, port_id: str) -> Footing:
        """Where a port stands: what the compiler reads of its place."""
        return self._index.footing(port_id)

    def bindings(self, port_id: str) -> tuple[Binding, ...]:
        """The active binding first, then the inactive one while a move prepares it or leaves it.

        :raises NotFound: as ``port``.
        """
        port, move = self.port(port_id), self._index.moves.get(port_id)
        active = placement.active_host(port, move)
        if active is None:
            return ()
        hosts = [active]
        if move is not None:
            hosts.append(move.source if move.target == active else move.target)
        ready = move is not None and move.phase is not Phase.PREPARING
        return tuple(
            Binding(host, host == active, (host, port_id) in self.attachments, host == active or ready)
            for host in hosts
        )

    def subnets_of(self, network_id: str) -> tuple[Subnet, ...]:
        """A network's subnets."""
        return tuple(self.subnets[subnet_id] for subnet_id in self._index.subnets_of.get(network_id, ()))

    def ports_of_network(self, network_id: str) -> tuple[Port, ...]:
        """A network's ports."""
        return tuple(self.ports[port_id] for port_id in self._index.ports_of.get(network_id, ()))

    def ports_on_host(self, host: HostName) -> tuple[Port, ...]:
        """The ports whose home a host is."""
        return tuple(self.ports[port_id] for port_id in self._index.homed.get(host, ()))

    def hosts_with_network(self, network_id: str) -> tuple[HostName, ...]:
        """The hosts where a port of the network is homed or moving to."""
        return tuple(self._index.present_on(network_id))

    def has_network(self, host: HostName, network_id: str) -> bool:
        """Whether a port of the network is homed at the host or moving to it."""
        return host in self._index.present_on(network_id)

    def standing(self, host: HostName, network_id: str) -> Iterable[str]:
        """The ids of a network's ports that are homed at a host or moving to it."""
        return self._index.present_on(network_id).get(host, {}).keys()

    def networks_on_host(self, host: HostName) -> tuple[str, ...]:
        """The ids of the networks that a host has."""
        return tuple(self._index.networks_on.get(host, ()))

    def port_at(self, host: HostName, ofport: int) -> str | None:
        """The id of the port that is plugged as an OpenFlow port of a host."""
        return self._index.taps.get(host, {}).get(ofport)

    def move_of(self, port_id: str) -> Move | None:
        """The live move of a port."""
        return self._index.moves.get(port_id)

    def moves_under_way(self) -> Iterable[Move]:
        """All live moves."""
        return self._index.moves.values()

    def moves(self) -> tuple[Move, ...]:
        """All live moves and the last 200 or so that ended, oldest first."""
        return tuple(sorted((*self._index.history.values(), *self._index.moves.values()), key=lambda m: m.number))

    @property
    def clashes(self) -> tuple[Clash, ...]:
        """Hosts that were not let in, because of their LA."""
        return tuple(clash for _, clash in self._index.clashes.values())

    def is_lost(self, host: HostName) -> bool:
        """Whether nobody waits for a host any more."""
        return self._index.readiness.is_lost(host)

    def unconfirmed_hosts(self) -> frozenset[HostName]:
        """The hosts that have confirmed nothing since they joined or the world was restored."""
        return self._index.readiness.absent

    def locate(self, vni: Vni, address: Mac | IpAddress) -> Location | None:
        """Ask the directory; ``None`` when nobody owns the address there."""
        index = self._index
        network_id = index.vni_owner.get(vni)
        if network_id is None:
            return None
        if isinstance(address, Mac):
            port_id = index.mac_owner.get((network_id, address))
        else:
            port_id = index.ip_owner.get((network_id, address))
        if port_id is None:
            return None
        pointer = index.footing(port_id).pointer
        la = None if pointer is None else index.hosts[pointer].la
        return Location(port_id, index.ports[port_id].mac, pointer, la)

    def next_deadline(self) -> float | None:
        """When a ``Tick`` is due at the latest, on the owner's clock."""
        settings = self.settings
        due = (deadline(move, settings.grace, settings.move_timeout) for move in self._index.moves.values())
        return min((when for when in due if when is not None), default=None)

    def documents(self) -> tuple[Document, ...]:
        """The whole world as it is stored."""
        return (
            *map(write_network, self.networks.values()),
            *map(write_subnet, self.subnets.values()),
            *map(write_host, self.hosts.values()),
            *map(write_port, self.ports.values()),
            *map(write_move, self.moves()),
        )
