"""What is true now, and what changes when something is asked or happens?

The world is a mutable index of frozen values.  :meth:`World.apply` is the only way in which it moves; it either does
all of a change or refuses it and does nothing.  What a change costs depends on what it touches, never on how much
else there is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from overlay import placement
from overlay.changes import Change, Document, DocumentKind, NoticeKind, Outcome
from overlay.directory import Binding, Clash, Location
from overlay.documents import (
    read_host,
    read_move,
    read_network,
    read_port,
    read_quota,
    read_share,
    read_subnet,
    read_subnetpool,
    write_host,
    write_move,
    write_network,
    write_port,
    write_quota,
    write_share,
    write_subnet,
    write_subnetpool,
)
from overlay.evacuation import keeping as evacuating
from overlay.evacuation.documents import read_evacuation, write_evacuation
from overlay.evacuation.values import Advance, Census, Evacuation
from overlay.footing import Footing, Plug
from overlay.guests.offers import NOTHING, Offer
from overlay.handlers import HANDLERS
from overlay.index import Index
from overlay.mirrors.documents import read_tap_flow, read_tap_service, write_tap_flow, write_tap_service
from overlay.mirrors.values import TapFlow, TapService
from overlay.moves import Move, Phase, deadline
from overlay.multicast import memberships
from overlay.multicast.documents import write_memberships
from overlay.multicast.values import Membership
from overlay.policy.documents import (
    read_address_group,
    read_group,
    read_rule,
    write_address_group,
    write_group,
    write_rule,
)
from overlay.policy.values import AddressGroup, SecurityGroup, SecurityRule
from overlay.qos.documents import read_qos_policy, write_qos_policy
from overlay.qos.values import UNSAID, Limits, QosPolicy
from overlay.recording import Recorder
from overlay.settings import Settings
from overlay.trunks.documents import read_trunk, write_trunk
from overlay.trunks.values import Trunk
from overlay.values import (
    EVERYBODY,
    Countable,
    Host,
    HostName,
    IpAddress,
    Mac,
    Network,
    Port,
    PortStatus,
    Quota,
    Share,
    Shareable,
    Subnet,
    SubnetPool,
    Vni,
)

__all__ = ["Settings", "World"]


def _created_at(document: tuple[str, dict[str, Any]]) -> float:
    """When an object was made; those whose documents do not say come first, as they were given."""
    made: float = document[1].get("record", {}).get("created_at", 0.0)
    return made


class World:
    """All networks, subnets, ports, hosts and moves, and where things are plugged.

    The public mappings are views for reading; iteration is in order of creation.

    :ivar attachments: (host, port id) to OpenFlow port number.
    :ivar policy: what the compiler reads of security groups; for reading.
    :ivar mirrors: likewise of tap services and tap flows.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._index = index = Index(settings or Settings())
        self.settings = index.settings
        self.networks: Mapping[str, Network] = MappingProxyType(index.networks)
        self.subnets: Mapping[str, Subnet] = MappingProxyType(index.subnets)
        self.ports: Mapping[str, Port] = MappingProxyType(index.ports)
        self.subnetpools: Mapping[str, SubnetPool] = MappingProxyType(index.subnetpools)
        self.shares: Mapping[str, Share] = MappingProxyType(index.shares.by_id)
        self.policy = policy = index.policy
        self.security_groups: Mapping[str, SecurityGroup] = MappingProxyType(policy.groups)
        self.security_rules: Mapping[str, SecurityRule] = MappingProxyType(policy.rules)
        self.address_groups: Mapping[str, AddressGroup] = MappingProxyType(policy.address_groups)
        self.mirrors = mirrors = index.mirrors
        self.tap_services: Mapping[str, TapService] = MappingProxyType(mirrors.services)
        self.tap_flows: Mapping[str, TapFlow] = MappingProxyType(mirrors.flows)
        self.qos_policies: Mapping[str, QosPolicy] = MappingProxyType(index.qos.by_id)
        self.default_limits: Mapping[Countable, int] = MappingProxyType(index.holdings.defaults)
        self.quotas: Mapping[str, Quota] = MappingProxyType(index.holdings.quotas)
        self.trunks: Mapping[str, Trunk] = MappingProxyType(index.trunks.by_id)
        self.hosts: Mapping[HostName, Host] = MappingProxyType(index.hosts)
        self.attachments: Mapping[tuple[HostName, str], int] = MappingProxyType(index.attachments)

    @classmethod
    def restore(cls, documents: Iterable[Document], now: float, settings: Settings | None = None) -> World:
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
        for of_kind in bodies.values():
            of_kind.sort(key=_created_at)
        simple: tuple[tuple[DocumentKind, Callable[[str, dict[str, Any]], Any], Callable[[Any], None]], ...] = (
            (DocumentKind.QUOTA, read_quota, index.put_quota),
            (DocumentKind.SUBNETPOOL, read_subnetpool, index.put_subnetpool),
            (DocumentKind.QOS_POLICY, read_qos_policy, index.put_qos_policy),
            (DocumentKind.NETWORK, read_network, index.put_network),
            (DocumentKind.SUBNET, read_subnet, index.put_subnet),
            (DocumentKind.HOST, read_host, index.put_host),
            (DocumentKind.SHARE, read_share, index.put_share),
            (DocumentKind.ADDRESS_GROUP, read_address_group, index.policy.put_address_group),
            (DocumentKind.SECURITY_GROUP, read_group, index.policy.put_group),
            (DocumentKind.SECURITY_RULE, read_rule, index.policy.put_rule),
            (DocumentKind.TRUNK, read_trunk, index.put_trunk),
            (DocumentKind.TAP_SERVICE, read_tap_service, index.put_tap_service),
            (DocumentKind.TAP_FLOW, read_tap_flow, index.mirrors.put_flow),
        )
        for kind, read, put in simple:
            for id_, body in bodies[kind]:
                put(read(id_, body))
        for move in sorted((read_move(id_, body) for id_, body in bodies[DocumentKind.MOVE]), key=lambda m: m.number):
            index.put_move(move)
        for id_, body in bodies[DocumentKind.PORT]:
            index.put_port(read_port(id_, body))
            index.refoot(id_)
            index.shown[id_] = index.status(id_)
        memberships.restore(index, bodies[DocumentKind.MEMBERSHIPS], now)
        index.evacuations.update(
            (HostName(host), read_evacuation(host, body)) for host, body in bodies[DocumentKind.EVACUATION]
        )
        for pool in index.pools.values():
            pool.resume()
        index.policy.presence.turned()
        return world

    def apply(self, change: Change, now: float) -> Outcome:
        """Do one change.

        :param now: the owner's clock in seconds, never going back.
        :raises Refusal: for an intent that cannot be; the world is then as it was.
        """
        index = self._index
        record = Recorder(index, now)
        HANDLERS[type(change)](index, change, record)
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

    def subnetpool(self, pool_id: str) -> SubnetPool:
        """Look up.  :raises NotFound: ``SubnetPoolNotFound``."""
        return self._index.subnetpool(pool_id)

    def default_subnetpool(self, version: int) -> SubnetPool | None:
        """The pool of an IP version of which subnets are cut that name none."""
        pool_id = self._index.default_pools.get(version)
        return None if pool_id is None else self.subnetpools[pool_id]

    def security_group(self, group_id: str) -> SecurityGroup:
        """Look up.  :raises NotFound: ``SecurityGroupNotFound``."""
        return self._index.policy.group(group_id)

    def security_rule(self, rule_id: str) -> SecurityRule:
        """Look up.  :raises NotFound: ``SecurityGroupRuleNotFound``."""
        return self._index.policy.rule(rule_id)

    def address_group(self, group_id: str) -> AddressGroup:
        """Look up.  :raises NotFound: ``AddressGroupNotFound``."""
        return self._index.policy.address_group(group_id)

    def default_group(self, project: str) -> str | None:
        """The id of a project's default group, if it has been made."""
        return self._index.policy.default_of.get(project)

    def rules_of(self, group_id: str) -> tuple[SecurityRule, ...]:
        """The rules of a group."""
        return self._index.policy.rules_in(group_id)

    def ports_in(self, group_id: str) -> tuple[Port, ...]:
        """The ports of a group."""
        return tuple(self.ports[port_id] for port_id in self._index.policy.ports_in.get(group_id, ()))

    def security_groups_of_project(self, project: str) -> tuple[SecurityGroup, ...]:
        """A project's security groups."""
        return tuple(self.security_groups[id_] for id_ in self._index.holdings.ids(Countable.SECURITY_GROUP, project))

    def security_rules_of_project(self, project: str) -> tuple[SecurityRule, ...]:
        """A project's rules."""
        ids = self._index.holdings.ids(Countable.SECURITY_GROUP_RULE, project)
        return tuple(self.security_rules[id_] for id_ in ids)

    def address_groups_of_project(self, project: str) -> tuple[AddressGroup, ...]:
        """A project's address groups."""
        return tuple(self.address_groups[id_] for id_ in self._index.holdings.ids(Countable.ADDRESS_GROUP, project))

    def trunk(self, trunk_id: str) -> Trunk:
        """Look up.  :raises NotFound: ``TrunkNotFound``."""
        return self._index.trunks.find(trunk_id)

    def trunk_led_by(self, port_id: str) -> Trunk | None:
        """The trunk whose parent a port is."""
        return self._index.trunks.led_by(port_id)

    def trunk_carrying(self, port_id: str) -> Trunk | None:
        """The trunk whose sub-port a port is."""
        return self._index.trunks.carrying(port_id)

    def trunks_of_project(self, project: str) -> tuple[Trunk, ...]:
        """A project's trunks."""
        return tuple(self.trunks[id_] for id_ in self._index.holdings.ids(Countable.TRUNK, project))

    def tap_service(self, service_id: str) -> TapService:
        """Look up.  :raises NotFound: ``TapServiceNotFound``."""
        return self._index.mirrors.service(service_id)

    def tap_flow(self, flow_id: str) -> TapFlow:
        """Look up.  :raises NotFound: ``TapFlowNotFound``."""
        return self._index.mirrors.flow(flow_id)

    def tap_services_of_project(self, project: str) -> tuple[TapService, ...]:
        """A project's tap services."""
        return tuple(self.tap_services[id_] for id_ in self._index.holdings.ids(Countable.TAP_SERVICE, project))

    def tap_flows_of_project(self, project: str) -> tuple[TapFlow, ...]:
        """A project's tap flows."""
        return tuple(self.tap_flows[id_] for id_ in self._index.holdings.ids(Countable.TAP_FLOW, project))

    def qos_policy(self, policy_id: str) -> QosPolicy:
        """Look up.  :raises NotFound: ``QosPolicyNotFound``."""
        return self._index.qos.policy(policy_id)

    def limits_of(self, port: Port) -> Limits:
        """What a port's own QoS policy says, or else its network's."""
        policy_id = port.qos_policy_id or self.networks[port.network_id].qos_policy_id
        return UNSAID if policy_id is None else self.qos_policies[policy_id].limits

    def share(self, share_id: str) -> Share:
        """Look up.  :raises NotFound: ``RbacPolicyNotFound``."""
        return self._index.share(share_id)

    def shares_of(self, kind: Shareable, object_id: str) -> tuple[Share, ...]:
        """The shares of an object."""
        return tuple(self.shares[share_id] for share_id in self._index.shares.targets(kind, object_id).values())

    def shared_with(self, kind: Shareable, object_id: str, project: str) -> bool:
        """Whether an object is shared with a project: by its name, with everybody, or because it is so itself."""
        if kind is Shareable.SUBNETPOOL and object_id in self.subnetpools and self.subnetpools[object_id].shared:
            return True
        return self._index.shares.reaches(kind, object_id, project)

    def shared_networks(self, project: str) -> tuple[str, ...]:
        """The ids of the networks of others that a project may use."""
        shares = self._index.shares
        reached = (*shares.reached(Shareable.NETWORK, project), *shares.reached(Shareable.NETWORK, EVERYBODY))
        return tuple(id_ for id_ in dict.fromkeys(reached) if self.networks[id_].project_id != project)

    def networks_of_project(self, project: str) -> tuple[Network, ...]:
        """A project's networks."""
        return tuple(self.networks[id_] for id_ in self._index.holdings.ids(Countable.NETWORK, project))

    def subnets_of_project(self, project: str) -> tuple[Subnet, ...]:
        """A project's subnets."""
        return tuple(self.subnets[id_] for id_ in self._index.holdings.ids(Countable.SUBNET, project))

    def ports_of_project(self, project: str) -> tuple[Port, ...]:
        """A project's ports."""
        return tuple(self.ports[id_] for id_ in self._index.holdings.ids(Countable.PORT, project))

    def projects(self) -> frozenset[str]:
        """All projects that have something, or a quota of their own."""
        return self._index.holdings.projects()

    def usage(self, project: str) -> Mapping[Countable, int]:
        """How many of each a project has."""
        return self._index.holdings.usage(project)

    def owned(self, project: str) -> tuple[Countable, str] | None:
        """What something is, and its id, that a project has; ``None`` when it has nothing.

        Its default group does not count, which it has never asked for.
        """
        policy = self._index.policy
        default = policy.default_of.get(project, "")
        return self._index.holdings.first(project, {default, *policy.rules_of.get(default, ())})

    def limits(self, project: str) -> Mapping[Countable, int]:
        """How many of each a project may have: by its own quota, or the default one."""
        return self._index.holdings.limits(project)

    def used_addresses(self, subnet_id: str) -> int:
        """How many addresses of a subnet ports have.  :raises NotFound: as ``subnet``."""
        return self._index.subnet_users[self.subnet(subnet_id).id]

    def free_addresses(self, subnet_id: str) -> int:
        """How many addresses are left in a subnet's pools.  :raises NotFound: as ``subnet``."""
        return self._index.pools[self.subnet(subnet_id).id].free()

    def is_up(self, port_id: str) -> bool:
        """Whether a port and its network are administratively up.  :raises NotFound: as ``port``."""
        return self._index.is_up(self.port(port_id))

    def status(self, port_id: str) -> PortStatus:
        """ACTIVE when plugged where its active binding is and confirmed by every host that needs it.

        BUILD until then; DOWN while it is not plugged there, that host is lost, or it or its network is
        administratively down.

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
        port, move = self.port(port_id), self._index.move_of(port_id)
        active = placement.active_host(port, move)
        if active is None:
            return ()
        hosts = [active]
        if move is not None:
            hosts.append(move.source if move.target == active else move.target)
        ready = move is not None and move.phase is not Phase.PREPARING
        return tuple(
            Binding(
                host,
                host == active,
                (host, port_id) in self.attachments,
                host == active or ready,
                port.profile if host == active or move is None else move.profile,
            )
            for host in hosts
        )

    def subnets_of(self, network_id: str) -> tuple[Subnet, ...]:
        """A network's subnets."""
        return tuple(self.subnets[subnet_id] for subnet_id in self._index.subnets_of.get(network_id, ()))

    def offer(self, network_id: str) -> Offer:
        """What the machines of a network can ask it for."""
        return self._index.offers.get(network_id, NOTHING)

    def advertising_networks(self) -> Iterable[str]:
        """The ids of the networks that have router advertisements."""
        return self._index.advertising.keys()

    def ports_of_network(self, network_id: str) -> tuple[Port, ...]:
        """A network's ports."""
        return tuple(self.ports[port_id] for port_id in self._index.ports_of.get(network_id, ()))

    def active_host(self, port: Port) -> HostName | None:
        """Where a port's active binding is: at the target of a move from its activation on."""
        return placement.active_host(port, self._index.move_of(port.id))

    def ports_bound_to(self, host: HostName) -> Iterable[Port]:
        """The ports whose active binding is at a host, be they at home there or on the move to it."""
        moving = (move for move in self._index.moves.values() if host in (move.source, move.target))
        near = {port.id: port for port in self.ports_on_host(host)}
        near |= {id_: self.ports[id_] for move in moving for id_ in self._index.trunks.convoy(move.port_id)}
        return (port for port in near.values() if self.active_host(port) == host)

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

    def port_at(self, host: HostName, ofport: int, vid: int = 0) -> str | None:
        """The id of the port that is plugged as an OpenFlow port of a host, or as a VLAN of it."""
        return self._index.taps.get(host, {}).get((ofport, vid))

    def multicast_networks(self) -> Iterable[str]:
        """The ids of the networks in which somebody listens to a multicast group."""
        return self._index.listeners.networks()

    def multicast_groups(self, network_id: str) -> Collection[IpAddress]:
        """The multicast groups that somebody in a network listens to."""
        return self._index.listeners.groups(network_id)

    def audience(self, network_id: str, group: IpAddress) -> Mapping[HostName, Collection[str]]:
        """Per host the ids of the ports that listen to a multicast group there: where a port moves, at both ends."""
        return self._index.listeners.audience(network_id, group)

    def memberships(self, port_id: str) -> tuple[Membership, ...]:
        """What a port listens to."""
        return tuple(self._index.listeners.memberships(port_id))

    @property
    def membership_count(self) -> int:
        """How many memberships there are."""
        return len(self._index.listeners)

    @property
    def refusal_count(self) -> int:
        """How many reports of all ports were beyond a limit."""
        return sum(self._index.listeners.refused.values())

    def refused_memberships(self, port_id: str) -> int:
        """How many reports of a port were beyond a limit."""
        return self._index.listeners.refused.get(port_id, 0)

    def port_in_lane(self, host: HostName, lane: int) -> str | None:
        """The id of the port that has this number on a host."""
        return self._index.lanes.get(host, {}).get(lane)

    def plug_of(self, host: HostName, port_id: str) -> Plug | None:
        """How a port is plugged at a host."""
        return self._index.plug_of(host, port_id)

    def cables_told(self, host: HostName) -> tuple[tuple[str, int], ...]:
        """The cables that an edge switch has, with their OpenFlow ports."""
        return self._index.wires.told(host)

    def taps_told(self, host: HostName) -> tuple[tuple[str, int], ...]:
        """The taps that a host says that it has: of sub-ports there are none, unless they are plugged by themselves."""
        return tuple((port_id, ofport) for (ofport, _), port_id in self._index.tellers.get(host, {}).items())

    def move_of(self, port_id: str) -> Move | None:
        """The live move that takes a port along: its own, or of a sub-port that of its parent."""
        return self._index.move_of(port_id)

    def moves_under_way(self) -> Iterable[Move]:
        """All live moves."""
        return self._index.moves.values()

    def moves(self) -> tuple[Move, ...]:
        """All live moves and the last 200 or so that ended, oldest first."""
        return tuple(sorted((*self._index.history.values(), *self._index.moves.values()), key=lambda m: m.number))

    def evacuation(self, host: HostName) -> tuple[Evacuation, Census, Advance]:
        """How far a host's evacuation is, and where its ports are.  :raises NotFound: ``EvacuationNotFound``."""
        found, counted = evacuating.look(self._index, evacuating.find(self._index, host))
        return found, counted, evacuating.advance(found, counted)

    def is_evacuated(self, host: HostName) -> bool:
        """Whether a host is emptied, or is to be."""
        return host in self._index.evacuations

    def move(self, move_id: str) -> Move | None:
        """A live move, or one of those that ended and are kept."""
        live = self._index.moves.get(move_id.rpartition(":")[0])
        return live if live is not None and live.id == move_id else self._index.history.get(move_id)

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

    def ports_named(self, network_id: str, name: str) -> tuple[Port, ...]:
        """The ports of a network that have this name."""
        return tuple(self.ports[port_id] for port_id in self._index.names.ports(network_id, name))

    def owner_of(self, network_id: str, address: IpAddress) -> Port | None:
        """The port that has an address in a network."""
        port_id = self._index.ip_owner.get((network_id, address))
        return None if port_id is None else self.ports[port_id]

    def next_deadline(self) -> float | None:
        """When a ``Tick`` is due at the latest, on the owner's clock."""
        settings = self.settings
        due = (deadline(move, settings.grace, settings.move_timeout) for move in self._index.moves.values())
        return min((when for when in due if when is not None), default=None)

    def documents(self) -> tuple[Document, ...]:
        """The whole world as it is stored."""
        listeners = self._index.listeners
        return (
            *map(write_quota, self.quotas.values()),
            *map(write_subnetpool, self.subnetpools.values()),
            *map(write_qos_policy, self.qos_policies.values()),
            *map(write_network, self.networks.values()),
            *map(write_subnet, self.subnets.values()),
            *map(write_host, self.hosts.values()),
            *map(write_address_group, self.address_groups.values()),
            *map(write_group, self.security_groups.values()),
            *map(write_rule, self.security_rules.values()),
            *map(write_trunk, self.trunks.values()),
            *map(write_port, self.ports.values()),
            *map(write_move, self.moves()),
            *map(write_share, self.shares.values()),
            *map(write_tap_service, self.tap_services.values()),
            *map(write_tap_flow, self.tap_flows.values()),
            *map(write_evacuation, self._index.evacuations.values()),
            *(write_memberships(port_id, listeners.since(port_id)) for port_id in listeners.ports()),
        )
