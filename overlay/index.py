"""How is any value of the world found in one step?

The index holds the frozen values and every cross reference between them, and keeps the references right when one value
is put or dropped.  It checks nothing: whoever puts has checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address
from typing import Final
from zlib import crc32

from overlay.addressing import Fair, Lowest
from overlay.carving import Cuts
from overlay.direct.index import Wires, link_of
from overlay.directory import Clash
from overlay.evacuation.values import Evacuation
from overlay.footing import NOWHERE, Footing, Plug, footing
from overlay.guests.names import Names
from overlay.guests.offers import NOTHING, Offer, offer
from overlay.holdings import Holdings
from overlay.mirrors.index import Mirrors
from overlay.mirrors.values import TapService
from overlay.moves import SWITCHING, Move
from overlay.multicast.listeners import Listeners
from overlay.policy.index import Policies
from overlay.qos.index import QosPolicies, User
from overlay.qos.values import QosPolicy
from overlay.readiness import Readiness
from overlay.refusals import NotFound
from overlay.settings import Settings
from overlay.shares import Shares
from overlay.trunks.index import Trunks
from overlay.trunks.values import Trunk
from overlay.values import (
    Countable,
    FixedIp,
    Host,
    HostName,
    IpAddress,
    Mac,
    Network,
    Port,
    PortStatus,
    Quota,
    Share,
    Subnet,
    SubnetPool,
    Vni,
)

LAST_LANE: Final = 0xFEFF
"""The highest number that Open vSwitch would give to an OpenFlow port (its OFPP_MAX is 0xff00)."""

VLAN_LANES: Final = 1 << 14
"""Among so many numbers below it a port that is a VLAN gets its lane, if one of them is free."""


class Index:
    """The world's values and their cross references.  Inner dicts with ``None`` values are ordered sets."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.subnetpools: dict[str, SubnetPool] = {}
        self.networks: dict[str, Network] = {}
        self.subnets: dict[str, Subnet] = {}
        self.ports: dict[str, Port] = {}
        self.hosts: dict[HostName, Host] = {}
        self.moves: dict[str, Move] = {}
        self.history: dict[str, Move] = {}
        self.move_count = 0
        self.evacuations: dict[HostName, Evacuation] = {}

        self.vnis = Lowest(settings.vni_first, settings.vni_last)
        self.vni_owner: dict[Vni, str] = {}
        self.pools: dict[str, Fair] = {}
        self.subnet_users: dict[str, int] = {}
        self.subnets_of: dict[str, dict[str, None]] = {}
        self.ports_of: dict[str, dict[str, None]] = {}
        self.tenants_of: dict[str, dict[str, int]] = {}
        self.offers: dict[str, Offer] = {}
        self.advertising: dict[str, None] = {}
        self.holdings = Holdings(settings.quotas)
        self.shares = Shares()
        self.names = Names()
        self.policy = Policies(self.holdings)
        self.mirrors = Mirrors(self.holdings)
        self.qos = QosPolicies()
        self.trunks = Trunks()
        self.wires = Wires()
        self.cuts: dict[str, Cuts] = {}
        self.default_pools: dict[int, str] = {}
        self.mac_owner: dict[tuple[str, Mac], str] = {}
        self.ip_owner: dict[tuple[str, IpAddress], str] = {}
        self.la_holder: dict[IPv4Address, HostName] = {}
        self.clashes: dict[HostName, tuple[Host, Clash]] = {}

        self.homed: dict[HostName, dict[str, None]] = {}
        self.footings: dict[str, Footing] = {}
        self.presence: dict[str, dict[HostName, dict[str, None]]] = {}
        self.networks_on: dict[HostName, dict[str, None]] = {}

        self.attachments: dict[tuple[HostName, str], int] = {}
        self.places: dict[str, dict[HostName, Plug]] = {}
        self.taps: dict[HostName, dict[tuple[int, int], str]] = {}
        self.lanes: dict[HostName, dict[int, str]] = {}
        self.told: dict[str, dict[HostName, tuple[int, int]]] = {}
        self.tellers: dict[HostName, dict[tuple[int, int], str]] = {}
        self.reporting: set[HostName] = set()
        self.returning: set[HostName] = set()
        self.stale: dict[tuple[HostName, str], str] = {}

        self.readiness = Readiness()
        self.listeners = Listeners()
        self.shown: dict[str, PortStatus] = {}

    # --- looking up ---

    def network(self, network_id: str) -> Network:
        """Look up.  :raises NotFound: ``NetworkNotFound``."""
        try:
            return self.networks[network_id]
        except KeyError:
            message = f"network {network_id} could not be found"
            raise NotFound(message, field="network_id", kind="NetworkNotFound") from None

    def subnet(self, subnet_id: str) -> Subnet:
        """Look up.  :raises NotFound: ``SubnetNotFound``."""
        try:
            return self.subnets[subnet_id]
        except KeyError:
            message = f"subnet {subnet_id} could not be found"
            raise NotFound(message, field="subnet_id", kind="SubnetNotFound") from None

    def port(self, port_id: str) -> Port:
        """Look up.  :raises NotFound: ``PortNotFound``."""
        try:
            return self.ports[port_id]
        except KeyError:
            raise NotFound(f"port {port_id} could not be found", field="port_id", kind="PortNotFound") from None

    def subnetpool(self, pool_id: str) -> SubnetPool:
        """Look up.  :raises NotFound: ``SubnetPoolNotFound``."""
        try:
            return self.subnetpools[pool_id]
        except KeyError:
            message = f"subnet pool {pool_id} could not be found"
            raise NotFound(message, field="subnetpool_id", kind="SubnetPoolNotFound") from None

    def share(self, share_id: str) -> Share:
        """Look up.  :raises NotFound: ``RbacPolicyNotFound``."""
        try:
            return self.shares.by_id[share_id]
        except KeyError:
            message = f"RBAC policy {share_id} could not be found"
            raise NotFound(message, field="rbac_policy_id", kind="RbacPolicyNotFound") from None

    def is_up(self, port: Port) -> bool:
        """Whether a port and its network are administratively up, and of a sub-port the trunk."""
        trunk = self.trunks.carrying(port.id)
        return port.admin_up and self.networks[port.network_id].admin_up and (trunk is None or trunk.admin_up)

    def move_of(self, port_id: str) -> Move | None:
        """The live move that takes a port along: its own, or its parent's."""
        return self.moves.get(self.trunks.leader(port_id))

    def footing(self, port_id: str) -> Footing:
        """Where a port stands."""
        return self.footings.get(port_id, NOWHERE)

    def present_on(self, network_id: str) -> dict[HostName, dict[str, None]]:
        """Per host that has the network, the ports that stand there."""
        return self.presence.get(network_id, {})

    def is_deaf(self, host: HostName) -> bool:
        """Whether nothing can be heard of a host's ports, because its session is down or was never up."""
        return self.readiness.is_lost(host) or host in self.readiness.absent

    def gone(self, host: HostName, port_id: str) -> bool:
        """Whether a port is known not to be plugged at a host."""
        return host in self.reporting and (host, port_id) not in self.attachments

    def pending(self, port_id: str) -> frozenset[HostName]:
        """Which hosts have not confirmed a port's present program, or have not confirmed anything yet."""
        pending, absent = self.readiness.pending(port_id), self.readiness.absent
        if absent and port_id in self.ports:
            pending |= absent & self.present_on(self.ports[port_id].network_id).keys()
        return pending

    def status(self, port_id: str) -> PortStatus:
        """ACTIVE when plugged where its active binding is and confirmed by every host that needs it.

        BUILD until then; DOWN while it is not plugged there, that host is lost, or it or its network is
        administratively down.
        """
        port = self.ports[port_id]
        move = self.move_of(port_id)
        active = move.target if move is not None and move.phase in SWITCHING else port.host
        tap = None if active is None else self.footing(port_id).tap_at(active)
        if tap is None or self.readiness.is_lost(tap.host):
            return PortStatus.DOWN
        return PortStatus.BUILD if tap.host in self.returning or self.pending(port_id) else PortStatus.ACTIVE

    # --- what projects have and share ---

    def put_quota(self, quota: Quota) -> None:
        """Add or replace."""
        self.holdings.quotas[quota.project_id] = quota

    def put_share(self, share: Share) -> None:
        """Add or replace; only whom it is for may change."""
        if share.id not in self.shares.by_id:
            self.holdings.add(Countable.RBAC_POLICY, share.project_id, share.id)
        self.shares.put(share)

    def drop_share(self, share_id: str) -> None:
        """Remove."""
        share = self.shares.drop(share_id)
        self.holdings.drop(Countable.RBAC_POLICY, share.project_id, share_id)

    def put_subnetpool(self, pool: SubnetPool) -> None:
        """Add or replace; the IP version never changes."""
        if pool.id not in self.subnetpools:
            self.holdings.add(Countable.SUBNETPOOL, pool.project_id, pool.id)
            self.cuts[pool.id] = Cuts()
        self.subnetpools[pool.id] = pool
        version = pool.prefixes[0].version
        if pool.is_default:
            self.default_pools[version] = pool.id
        elif self.default_pools.get(version) == pool.id:
            del self.default_pools[version]

    def drop_subnetpool(self, pool_id: str) -> None:
        """Remove a pool of which no subnet was cut."""
        pool = self.subnetpools.pop(pool_id)
        self.holdings.drop(Countable.SUBNETPOOL, pool.project_id, pool_id)
        del self.cuts[pool_id]
        if pool.is_default:
            del self.default_pools[pool.prefixes[0].version]

    def put_qos_policy(self, policy: QosPolicy) -> None:
        """Add or replace."""
        if policy.id not in self.qos.by_id:
            self.holdings.add(Countable.QOS_POLICY, policy.project_id, policy.id)
        self.qos.put(policy)

    def drop_qos_policy(self, policy_id: str) -> None:
        """Remove a policy that nobody has."""
        policy = self.qos.drop(policy_id)
        self.holdings.drop(Countable.QOS_POLICY, policy.project_id, policy_id)

    def put_trunk(self, trunk: Trunk) -> None:
        """Add or replace; the parent never changes."""
        if trunk.id not in self.trunks.by_id:
            self.holdings.add(Countable.TRUNK, trunk.project_id, trunk.id)
        self.trunks.put(trunk)

    def drop_trunk(self, trunk_id: str) -> None:
        """Remove."""
        trunk = self.trunks.drop(trunk_id)
        self.holdings.drop(Countable.TRUNK, trunk.project_id, trunk_id)

    # --- networks and subnets ---

    def put_network(self, network: Network) -> None:
        """Add or replace; the VNI never changes."""
        before = self.networks.get(network.id)
        if before is None:
            self.vnis.take(network.vni)
            self.vni_owner[network.vni] = network.id
            self.subnets_of[network.id] = {}
            self.ports_of[network.id] = {}
            self.tenants_of[network.id] = {}
            self.offers[network.id] = NOTHING
            self.holdings.add(Countable.NETWORK, network.project_id, network.id)
        self.qos.use(
            User("network", network.id), None if before is None else before.qos_policy_id, network.qos_policy_id
        )
        self.networks[network.id] = network

    def drop_network(self, network_id: str) -> None:
        """Remove a network that has neither ports nor subnets."""
        network = self.networks.pop(network_id)
        self.vnis.give_back(network.vni)
        del self.vni_owner[network.vni], self.subnets_of[network_id], self.ports_of[network_id]
        del self.tenants_of[network_id], self.offers[network_id]
        self.qos.use(User("network", network_id), network.qos_policy_id, None)
        self.holdings.drop(Countable.NETWORK, network.project_id, network_id)

    def put_subnet(self, subnet: Subnet) -> None:
        """Add or replace; the prefix never changes, and no pool holds the gateway."""
        before = self.subnets.get(subnet.id)
        ranges = ((int(pool.first), int(pool.last)) for pool in subnet.pools)
        if before is None:
            self.pools[subnet.id] = Fair(ranges)
            self.subnet_users[subnet.id] = 0
            self.subnets_of[subnet.network_id][subnet.id] = None
            self.holdings.add(Countable.SUBNET, subnet.project_id, subnet.id)
            if subnet.subnetpool_id is not None:
                self.cuts[subnet.subnetpool_id].take(subnet.cidr, subnet.project_id)
        elif before.pools != subnet.pools:
            self.pools[subnet.id].reshape(ranges)
        self.subnets[subnet.id] = subnet
        self._offer(subnet.network_id)

    def drop_subnet(self, subnet_id: str) -> None:
        """Remove a subnet of which no port has an address."""
        subnet = self.subnets.pop(subnet_id)
        del self.pools[subnet_id], self.subnet_users[subnet_id], self.subnets_of[subnet.network_id][subnet_id]
        self.holdings.drop(Countable.SUBNET, subnet.project_id, subnet_id)
        if subnet.subnetpool_id is not None:
            self.cuts[subnet.subnetpool_id].give_back(subnet.cidr, subnet.project_id)
        self._offer(subnet.network_id)

    def _offer(self, network_id: str) -> None:
        """Work out anew what the machines of a network can ask for."""
        found = self.offers[network_id] = offer(self.subnets[subnet_id] for subnet_id in self.subnets_of[network_id])
        if found.advertises:
            self.advertising[network_id] = None
        else:
            self.advertising.pop(network_id, None)

    # --- mirrors ---

    def put_tap_service(self, service: TapService) -> None:
        """Add or replace; the VNI, of the range of the networks', never changes."""
        if service.id not in self.mirrors.services:
            self.vnis.take(service.vni)
            self.vni_owner[service.vni] = service.id
        self.mirrors.put_service(service)

    def drop_tap_service(self, service_id: str) -> TapService:
        """Remove a service to which no tap flow leads."""
        service = self.mirrors.drop_service(service_id)
        self.vnis.give_back(service.vni)
        del self.vni_owner[service.vni]
        return service

    # --- ports ---

    def put_port(self, port: Port) -> None:
        """Add or replace; the network never changes."""
        before = self.ports.get(port.id)
        self.ports[port.id] = port
        self.wires.follow(port.id, link_of(before), port.local_link)
        self.policy.follow(before, port)
        self.names.put(before, port)
        self.policy.stand(port, [tap.host for tap in self.footing(port.id).taps])
        self.qos.use(User("port", port.id), None if before is None else before.qos_policy_id, port.qos_policy_id)
        if before is None:
            self.ports_of[port.network_id][port.id] = None
            self.holdings.add(Countable.PORT, port.project_id, port.id)
            tenants = self.tenants_of[port.network_id]
            tenants[port.project_id] = tenants.get(port.project_id, 0) + 1
            self.mac_owner[port.network_id, port.mac] = port.id
            self._number(port, port.fixed_ips)
        else:
            if before.host != port.host:
                self._leave_home(before)
            if before.mac != port.mac:
                del self.mac_owner[port.network_id, before.mac]
                self.mac_owner[port.network_id, port.mac] = port.id
            if before.fixed_ips != port.fixed_ips:
                self._unnumber(port, [fixed for fixed in before.fixed_ips if fixed not in port.fixed_ips])
                self._number(port, [fixed for fixed in port.fixed_ips if fixed not in before.fixed_ips])
        if port.host is not None:
            self.homed.setdefault(port.host, {})[port.id] = None

    def drop_port(self, port_id: str) -> None:
        """Remove a port that stands nowhere any more."""
        port = self.ports.pop(port_id)
        self.policy.leave(port)
        self.names.drop(port)
        self.wires.follow(port_id, port.local_link, None)
        self._leave_home(port)
        del self.ports_of[port.network_id][port_id], self.mac_owner[port.network_id, port.mac]
        self.holdings.drop(Countable.PORT, port.project_id, port_id)
        tenants = self.tenants_of[port.network_id]
        tenants[port.project_id] -= 1
        if not tenants[port.project_id]:
            del tenants[port.project_id]
        self._unnumber(port, port.fixed_ips)
        self.qos.use(User("port", port_id), port.qos_policy_id, None)
        self.readiness.drop(port_id)
        self.listeners.forget(port_id)
        self.shown.pop(port_id, None)

    def _number(self, port: Port, addresses: Iterable[FixedIp]) -> None:
        for fixed in addresses:
            self.ip_owner[port.network_id, fixed.ip] = port.id
            self.pools[fixed.subnet_id].take(int(fixed.ip))
            self.subnet_users[fixed.subnet_id] += 1

    def _unnumber(self, port: Port, addresses: Iterable[FixedIp]) -> None:
        for fixed in addresses:
            del self.ip_owner[port.network_id, fixed.ip]
            self.pools[fixed.subnet_id].give_back(int(fixed.ip))
            self.subnet_users[fixed.subnet_id] -= 1

    def _leave_home(self, port: Port) -> None:
        if port.host is not None:
            del self.homed[port.host][port.id]

    # --- places ---

    def put_host(self, host: Host) -> None:
        """Add or replace."""
        before = self.hosts.get(host.name)
        if before is None:
            self.readiness.expect_first(host.name)
        else:
            del self.la_holder[before.la]
        self.hosts[host.name] = host
        self.la_holder[host.la] = host.name

    def tell(self, host: HostName, taps: Mapping[str, tuple[int, int] | None]) -> dict[str, None]:
        """Remember which taps a host says that it has: the OpenFlow port and the VLAN there, or none.

        A sub-port's own tap is remembered as well, but while it is one it is plugged by its parent's.

        :returns: the ports that are plugged no more since another one has their tap.
        """
        had = self.tellers.setdefault(host, {})
        for port_id in taps:
            self._untell(host, port_id)
        evicted: dict[str, None] = {}
        for port_id, tap in taps.items():
            if tap is None:
                continue
            if tap in had:
                evicted[had[tap]] = None
                self._untell(host, had[tap])
            self.told.setdefault(port_id, {})[host] = tap
            had[tap] = port_id
        return evicted

    def _untell(self, host: HostName, port_id: str) -> None:
        tap = self.told.get(port_id, {}).pop(host, None)
        if tap is not None:
            del self.tellers[host][tap]
            if not self.told[port_id]:
                del self.told[port_id]

    def wanted(self, host: HostName, port_id: str) -> tuple[int, int] | None:
        """As which OpenFlow port and VLAN a port is plugged at a host: by its own tap, or by that of its parent."""
        tap = self.told.get(self.trunks.leader(port_id), {}).get(host)
        return None if tap is None else (tap[0], self.trunks.vid(port_id) or tap[1])

    def plug_of(self, host: HostName, port_id: str) -> Plug | None:
        """How a port is plugged at a host."""
        return self.places.get(port_id, {}).get(host)

    def attach(self, host: HostName, port_id: str, ofport: int, vid: int = 0) -> None:
        """A port is plugged.  The OpenFlow port, or that VLAN of it, is free: whoever had it has been detached."""
        self.detach(host, port_id)
        plug = Plug(ofport, self._free_lane(host, port_id) if vid else ofport, vid)
        self.attachments[host, port_id] = ofport
        self.places.setdefault(port_id, {})[host] = plug
        self.taps.setdefault(host, {})[ofport, vid] = port_id
        self.lanes.setdefault(host, {})[plug.lane] = port_id

    def _free_lane(self, host: HostName, port_id: str) -> int:
        """A high number that no port has; Open vSwitch gives the low ones to OpenFlow ports first.

        It begins to look where the port's id says, so that a restarted controller, which hears of the ports in
        another order, finds the same number for nearly all: it is the zone of their connections.
        """
        taken = self.lanes.get(host, {})
        first = crc32(port_id.encode()) % VLAN_LANES
        return next(lane for step in range(LAST_LANE) if (lane := LAST_LANE - (first + step) % LAST_LANE) not in taken)

    def detach(self, host: HostName, port_id: str) -> None:
        """A port is not plugged, whether it was or not."""
        ofport = self.attachments.pop((host, port_id), None)
        if ofport is not None:
            plug = self.places[port_id].pop(host)
            if not self.places[port_id]:
                del self.places[port_id]
            del self.taps[host][ofport, plug.vid]
            del self.lanes[host][plug.lane]

    def put_move(self, move: Move) -> None:
        """Add or replace, live or ended."""
        self.move_count = max(self.move_count, move.number)
        if move.live:
            self.moves[move.port_id] = move
        else:
            current = self.moves.get(move.port_id)
            if current is not None and current.id == move.id:
                del self.moves[move.port_id]
            self.history[move.id] = move
        if move.stale is not None:
            self.stale[move.stale, move.port_id] = move.id

    def refoot(self, port_id: str) -> tuple[Footing, Footing, set[HostName]]:
        """Work out anew where a port stands.

        :returns: the footing before and after, and the hosts that got or lost the port's network by it.
        """
        before = self.footings.get(port_id, NOWHERE)
        port = self.ports[port_id]
        places, up = self.places.get(port_id, {}), self.is_up(port)
        after = footing(port.host, self.move_of(port_id), places, up=up, travelled=port.travelled)
        if after is NOWHERE:
            self.footings.pop(port_id, None)
        else:
            self.footings[port_id] = after
        self.policy.stand(port, [tap.host for tap in after.taps])
        turned = self._stand(port.network_id, port_id, set(after.hosts) - set(before.hosts))
        turned |= self._step_off(port.network_id, port_id, set(before.hosts) - set(after.hosts))
        return before, after, turned

    def lift(self, port_id: str) -> tuple[Footing, set[HostName]]:
        """Let a port stand nowhere.  :returns: the footing before, and the hosts that lost its network."""
        before = self.footings.pop(port_id, NOWHERE)
        self.policy.stand(self.ports[port_id], ())
        return before, self._step_off(self.ports[port_id].network_id, port_id, before.hosts)

    def _stand(self, network_id: str, port_id: str, hosts: Iterable[HostName]) -> set[HostName]:
        new = set()
        for host in hosts:
            standing = self.presence.setdefault(network_id, {}).setdefault(host, {})
            if not standing:
                new.add(host)
                self.networks_on.setdefault(host, {})[network_id] = None
            standing[port_id] = None
        return new

    def _step_off(self, network_id: str, port_id: str, hosts: Iterable[HostName]) -> set[HostName]:
        left = set()
        for host in hosts:
            standing = self.presence[network_id][host]
            del standing[port_id]
            if not standing:
                left.add(host)
                del self.presence[network_id][host]
                del self.networks_on[host][network_id]
        if not self.presence.get(network_id, True):
            del self.presence[network_id]
        return left
