"""Which flows does every br-int have to hold, and which of them did a change change?

Flows are compiled per :class:`~overlay.changes.Unit`, a pure function of the values that it reads.  The incremental
:class:`Compiler` compiles dirty units anew and answers the difference per host.  Law: it always holds exactly what a
compilation from scratch would give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final

from overlay.addressing import link_local
from overlay.changes import Unit, UnitKind
from overlay.flow import Flow, FlowKey, Meter, PipelineError
from overlay.footing import Tap
from overlay.guests.offers import SERVICE_MAC
from overlay.mirrors import flows as mirror_flows
from overlay.multicast import memberships
from overlay.pipeline import METERS, PIPELINE
from overlay.policy import flows as policy_flows
from overlay.policy import units as policy_units
from overlay.policy.speakers import speakers
from overlay.qos.meters import LaneMeters, meters_of_lane
from overlay.tables import (
    advertise,
    arp,
    arrive,
    classify,
    deliver,
    filters,
    flood,
    forward,
    guard,
    guard_nd,
    inquiry,
    neighbours,
    reply,
    services,
    storm,
)
from overlay.tables.names import CookieKind, provenance
from overlay.values import Host, HostName, Port
from overlay.world import World

__all__ = ["PIPELINE", "Compiler", "Delta", "flows_of", "meters_of", "units_of"]


_OF_POLICY: Final[Mapping[UnitKind, Callable[[World, HostName, str], Iterable[Flow]]]] = {
    UnitKind.PEER: policy_flows.of_peer,
    UnitKind.SERVICE: policy_flows.of_service,
    UnitKind.CLAUSE: policy_flows.of_clause,
}


@dataclass(frozen=True, slots=True)
class Delta:
    """What to change on one switch: flows to add or replace, flows to remove; first the meters that are new or changed.

    A meter may change alone: its flows do not know its rate.

    A meter whose flow is removed stays: deleting it would take every flow that came to use it meanwhile along.  It
    meets no packet, and the next port of its number has it again.

    :ivar zones: of which the switch is to forget the connections: they are of another port, or of a former life.
    """

    put: tuple[Flow, ...] = ()
    remove: tuple[Flow, ...] = ()
    meters: tuple[Meter, ...] = ()
    zones: tuple[int, ...] = ()


def units_of(world: World, hosts: Iterable[HostName] | None = None) -> Iterator[Unit]:
    """All units that have flows (and some that have none), of all hosts or of some.

    What concerns one port comes together, since its flows are much the same on all hosts.
    """
    chosen = dict.fromkeys(world.hosts if hosts is None else hosts)
    for host in chosen:
        yield Unit(host, UnitKind.BASE, "")
    for network_id in dict.fromkeys(network_id for host in chosen for network_id in world.networks_on_host(host)):
        present = [host for host in world.hosts_with_network(network_id) if host in chosen]
        for host in present:
            yield Unit(host, UnitKind.NETWORK, network_id)
            for port_id in world.standing(host, network_id):
                yield from _of_standing(world, host, port_id)
        for port in world.ports_of_network(network_id):
            for host in present:
                yield Unit(host, UnitKind.ADDRESS, port.id)
        for group in world.multicast_groups(network_id):
            for host in present:
                yield memberships.unit(host, network_id, group)
    for host in chosen:
        yield from policy_units.units_at(world.policy, host, world.networks_on_host(host))


def _of_standing(world: World, host: HostName, port_id: str) -> Iterator[Unit]:
    yield Unit(host, UnitKind.PORT, port_id)
    if port_id in world.mirrors:
        yield Unit(host, UnitKind.MIRROR, port_id)


def flows_of(world: World, unit: Unit) -> tuple[Flow, ...]:
    """Compile one unit; a unit whose object or host is no more has no flows."""
    host = world.hosts.get(unit.host)
    if host is None:
        return ()
    if unit.kind is UnitKind.BASE:
        return tuple(_static(world))
    if unit.kind is UnitKind.NETWORK:
        return tuple(_of_network(world, host, unit.key))
    if unit.kind in _OF_POLICY:
        return tuple(_OF_POLICY[unit.kind](world, unit.host, unit.key))
    if unit.kind is UnitKind.MULTICAST:
        return tuple(_of_group(world, host, *unit.key.rsplit("|", 1)))
    port = world.ports.get(unit.key)
    if port is None:
        return ()
    if unit.kind is UnitKind.MIRROR:
        return tuple(mirror_flows.of_port(world, host.name, port.id))
    if unit.kind is UnitKind.PORT:
        return tuple(mirror_flows.copying(world, port.id, _of_tap(world, host, port)))
    return tuple(_of_address(world, host, port))


def meters_of(world: World, host: HostName) -> tuple[Meter, ...]:
    """All meters that the flows of a host's switch need."""
    return (*METERS, *(meter for port, tap in _plugged(world, host) for meter in _meters(world, port, tap).present()))


def _plugged(world: World, host: HostName) -> Iterator[tuple[Port, Tap]]:
    """The ports that have a program at a host."""
    for network_id in world.networks_on_host(host):
        for port_id in world.standing(host, network_id):
            tap = world.footing(port_id).tap_at(host)
            if tap is not None:
                yield world.ports[port_id], tap


def _meters(world: World, port: Port, tap: Tap) -> LaneMeters:
    return meters_of_lane(tap.lane, world.limits_of(port), world.settings, tracked=port.filtered)


def _meters_of_unit(world: World, unit: Unit) -> tuple[Meter, ...]:
    """The meters of what a unit's flows are about: a tap's are its port's."""
    port = world.ports.get(unit.key) if unit.kind is UnitKind.PORT and unit.host in world.hosts else None
    tap = None if port is None else world.footing(port.id).tap_at(unit.host)
    return () if port is None or tap is None else tuple(_meters(world, port, tap).present())


def _static(world: World) -> Iterator[Flow]:
    cookie = provenance(CookieKind.STATIC)
    yield from guard.neighbour_talk(cookie)
    yield inquiry.miss(cookie)
    yield arp.miss(cookie)
    yield neighbours.miss(cookie)
    yield advertise.complete(cookie)
    yield services.no_other_querier(cookie)
    yield reply.miss(cookie)
    yield services.miss(cookie)
    yield from filters.SENDER.static(cookie)
    yield arrive.miss(cookie)
    yield forward.of_the_network(cookie)
    yield forward.miss(cookie)
    if not world.settings.flood_unregistered:
        yield from forward.unregistered(cookie)
    yield storm.miss(cookie)
    yield from filters.RECEIVER.static(cookie)


def _of_network(world: World, host: Host, network_id: str) -> Iterator[Flow]:
    """The way in from the tunnel, the flood, and the addresses of the network's own services."""
    if not world.has_network(host.name, network_id):
        return
    vni = world.networks[network_id].vni
    cookie = provenance(CookieKind.NETWORK, network_id)
    if host.tunnel_port is not None:
        yield classify.from_tunnel(cookie, host.tunnel_port, vni)
    lanes = _local_lanes(world, host, world.standing(host.name, network_id))
    others = (world.hosts[other].la for other in world.hosts_with_network(network_id) if other != host.name)
    yield flood.flood(cookie, vni, lanes, host.tunnel_port, sorted(others))
    for address in world.offer(network_id).addresses:
        if address.version == 4:  # noqa: PLR2004
            yield arp.answer(cookie, vni, int(address), SERVICE_MAC, arp.OF_THE_NETWORK)
        elif host.answers_nd:
            yield neighbours.answer(cookie, vni, int(address), SERVICE_MAC, neighbours.OF_THE_NETWORK)


def _of_group(world: World, host: Host, network_id: str, group: str) -> Iterator[Flow]:
    """Those who listen to a multicast group; where a listener is about to arrive, there as well."""
    audience = world.audience(network_id, address := ip_address(group))
    if not audience or not world.has_network(host.name, network_id):
        return
    lanes = _local_lanes(world, host, audience.get(host.name, ()))
    others = sorted(world.hosts[other].la for other in audience if other != host.name)
    cookie = provenance(CookieKind.MULTICAST, network_id)
    yield forward.group(cookie, world.networks[network_id].vni, address, lanes, host.tunnel_port, others)


def _local_lanes(world: World, host: Host, ports: Iterable[str]) -> list[int]:
    """Where a host delivers itself what is for all of these ports."""
    lanes = []
    for port_id in ports:
        at = world.footing(port_id)
        tap = at.tap_at(host.name)
        if tap is not None and host.name in at.floods:
            lanes.append(tap.lane)
    return sorted(lanes)


def _of_tap(world: World, host: Host, port: Port) -> Iterator[Flow]:
    """The program of a plugged port: what it may send, and the last step of what it gets."""
    tap = world.footing(port.id).tap_at(host.name)
    if tap is None:
        return
    cookie = provenance(CookieKind.PORT, port.id)
    ipv4 = [int(fixed.ip) for fixed in port.fixed_ips if fixed.ip.version == 4]  # noqa: PLR2004
    meters = _meters(world, port, tap)
    yield from policy_flows.of_tap(world.policy, tap, port, meters.beginning)
    network, dscp = world.networks[port.network_id], world.limits_of(port).dscp
    yield from classify.from_tap(cookie, tap, network.vni, meters.sending, dscp, transparent=network.vlan_transparent)
    yield deliver.to_tap(cookie, tap, meters.receiving)
    yield from _protecting(cookie, tap, meters)
    if tap.vid:
        yield reply.to_vlan(cookie, tap)
    elif not network.vlan_transparent:
        yield classify.refused(provenance(CookieKind.TAGGED, port.id), tap.ofport)
    if tap.vid or port.local_link is not None or world.trunk_led_by(port.id) is not None:
        yield from deliver.turned_round(cookie, tap, meters.receiving)
    if tap.passive:
        announced = provenance(CookieKind.ANNOUNCEMENT, port.id)
        ipv6 = [link_local(port.mac), *(int(fixed.ip) for fixed in port.fixed_ips if fixed.ip.version == 6)]  # noqa: PLR2004
        yield from guard.announcements(announced, tap.lane, port.mac, ipv4)
        yield from guard_nd.announcements(announced, tap.lane, port.mac, dict.fromkeys(ipv6))
        silenced = provenance(CookieKind.SILENCED, port.id)
        yield guard.refused(silenced, tap.lane)
        yield guard_nd.refused(silenced, tap.lane)
        return
    yield from services.groups(provenance(CookieKind.ASKED_GROUPS, port.id), tap.lane, meters.asking.meter_id)
    yield from _of_services(world, port, tap.lane, meters.asking.meter_id)
    yield from services.names(provenance(CookieKind.ASKED_NAMES, port.id), tap.lane, meters.asking.meter_id)
    known = speakers(port)
    for ip in dict.fromkeys(ip for speaker in known for ip in speaker.alone):
        yield arp.own(cookie, tap.lane, ip)
    if not port.port_security:
        yield from guard.anything(cookie, tap.lane)
        yield from guard_nd.anything(cookie, tap.lane)
        return
    for mac, of_mac, own6 in known:
        yield from guard.own(cookie, tap.lane, mac, of_mac, own6)
        yield from guard_nd.own(cookie, tap.lane, mac, own6)
    yield guard.announcement_over(cookie, tap.lane, port.mac)
    rogue = provenance(CookieKind.ROGUE, port.id)
    yield from guard.rogue(rogue, tap.lane)
    yield guard_nd.rogue(rogue, tap.lane)
    spoofed = provenance(CookieKind.SPOOFED, port.id)
    yield guard.refused(spoofed, tap.lane)
    yield guard_nd.refused(spoofed, tap.lane)


def _of_services(world: World, port: Port, lane: int, meter: int) -> Iterator[Flow]:
    """What a port may ask of its network for itself."""
    offered = world.offer(port.network_id)
    cookie = provenance(CookieKind.PORT, port.id)
    yield from guard.asking(cookie, lane, port.mac, anywhere=offered.leases)
    if offered.leases:
        yield services.address(provenance(CookieKind.ASKED_ADDRESS, port.id), lane, meter)
    if offered.leases_v6:
        yield services.address_v6(provenance(CookieKind.ASKED_ADDRESS_V6, port.id), lane, meter)
    if offered.advertises:
        yield services.router(provenance(CookieKind.ASKED_ROUTER, port.id), lane, meter)


def _protecting(cookie: int, tap: Tap, meters: LaneMeters) -> Iterator[Flow]:
    """What protects everybody else from a port: how much it may flood, and how many packets it may send."""
    if meters.storm is not None:
        yield storm.limited(cookie, tap.lane, meters.storm)
    if meters.inquiry is not None:
        yield inquiry.limited(cookie, tap.lane, meters.inquiry)
    if meters.packets is not None:
        yield services.counted(cookie, tap.lane, meters.packets)


def _of_address(world: World, host: Host, port: Port) -> Iterator[Flow]:
    """What a host does for a MAC and its addresses: answer for them, and send to where they are.

    What is sent to a port that is administratively down is dropped: a flood would only bother the others.
    """
    at = world.footing(port.id)
    if not at.hosts or not world.has_network(host.name, port.network_id):
        return
    vni = world.networks[port.network_id].vni
    cookie = provenance(CookieKind.ADDRESS, port.id)
    if at.pointer is None:
        yield forward.unreachable(cookie, vni, port.mac)
        return
    for fixed in port.fixed_ips:
        if fixed.ip.version == 4:  # noqa: PLR2004
            yield arp.answer(cookie, vni, int(fixed.ip), port.mac)
        elif host.answers_nd:
            yield neighbours.answer(cookie, vni, int(fixed.ip), port.mac)
        else:
            yield neighbours.hand_over(cookie, vni, int(fixed.ip), port.mac)
    tap = at.tap_at(host.name)
    here = host.name in at.local
    pointer = world.hosts[at.pointer]
    if here and tap is not None:
        yield forward.local(cookie, vni, port.mac, tap.lane)
    elif here or host.tunnel_port is None:
        yield forward.unreachable(cookie, vni, port.mac)
    elif host.name == at.hairpin:
        target = world.hosts[at.local[0]]
        yield forward.remote(cookie, vni, port.mac, host.tunnel_port, target.la)
        yield arrive.turn_round(cookie, vni, port.mac, target.la)
    else:
        yield forward.remote(cookie, vni, port.mac, host.tunnel_port, pointer.la)
        if tap is not None:
            yield arrive.expected(cookie, vni, port.mac, tap.lane)


class Compiler:
    """Holds what every switch should hold, and keeps it so.

    A fresh one holds nothing: ``refresh(units_of(world))`` fills it (in portions, if nothing may be kept waiting).
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._units: dict[Unit, tuple[Flow, ...]] = {}
        self._metered: dict[Unit, tuple[Meter, ...]] = {}
        self._desired: dict[HostName, dict[FlowKey, Flow]] = {}
        self._zones: dict[Unit, int] = {}

    def desired(self, host: HostName) -> Mapping[FlowKey, Flow]:
        """What a switch should hold: a view for reading."""
        return MappingProxyType(self._desired.get(host, {}))

    def meters(self, host: HostName) -> tuple[Meter, ...]:
        """The meters that a switch should hold."""
        return meters_of(self._world, host)

    def hosts(self) -> tuple[HostName, ...]:
        """The hosts whose switches should hold something."""
        return tuple(self._desired)

    def refresh(self, units: Iterable[Unit]) -> dict[HostName, Delta]:
        """Compile these units anew.

        :returns: per host what changed; hosts where nothing changed are left out.
        :raises PipelineError: when two units make a flow with one key: a defect in our code.
        """
        changed: dict[HostName, list[tuple[Unit, tuple[Flow, ...], tuple[Flow, ...]]]] = {}
        meters: dict[HostName, list[Meter]] = {}
        for unit in units:
            before, after = self._units.get(unit, ()), flows_of(self._world, unit)
            if before != after:
                changed.setdefault(unit.host, []).append((unit, before, after))
            if fresh := self._remeter(unit):
                meters.setdefault(unit.host, []).extend(fresh)
        deltas = {
            host: self._replace(host, changed.get(host, []), tuple(meters.get(host, ())))
            for host in {**changed, **meters}
        }
        return {host: delta for host, delta in deltas.items() if delta is not None}

    def _remeter(self, unit: Unit) -> list[Meter]:
        """The meters of a unit that are new, or other ones now."""
        before, after = self._metered.get(unit, ()), _meters_of_unit(self._world, unit)
        if before == after:
            return []
        if after:
            self._metered[unit] = after
        else:
            del self._metered[unit]
        return [meter for meter in after if meter not in before]

    def _replace(
        self,
        host: HostName,
        changed: list[tuple[Unit, tuple[Flow, ...], tuple[Flow, ...]]],
        meters: tuple[Meter, ...],
    ) -> Delta | None:
        """All old flows first, so that a key may pass from one unit to another."""
        desired = self._desired.setdefault(host, {})
        old: dict[FlowKey, Flow] = {}
        for _, before, _ in changed:
            for flow in before:
                old[flow.key] = desired.pop(flow.key)
        put: list[Flow] = []
        for unit, _, after in changed:
            for flow in after:
                if flow.key in desired:
                    raise PipelineError(f"unit {unit} makes a flow that another one makes: {flow}")
                desired[flow.key] = flow
                if old.pop(flow.key, None) != flow:
                    put.append(flow)
            if after:
                self._units[unit] = after
            else:
                del self._units[unit]
        if not desired:
            del self._desired[host]
        zones = self._fresh_zones(unit for unit, _, _ in changed)
        return Delta(tuple(put), tuple(old.values()), meters, zones) if put or old or meters else None

    def _fresh_zones(self, units: Iterable[Unit]) -> tuple[int, ...]:
        """The zones of taps that were not there before."""
        fresh = []
        for unit in units:
            if unit.kind is not UnitKind.PORT:
                continue
            tap = self._world.footing(unit.key).tap_at(unit.host)
            before = self._zones.pop(unit, None)
            if tap is not None and self._world.ports[unit.key].filtered:
                self._zones[unit] = tap.lane
                if before != tap.lane:
                    fresh.append(tap.lane)
        return tuple(fresh)

    def recompute(self) -> dict[HostName, dict[FlowKey, Flow]]:
        """Compile everything from scratch, beside what is held; for laws and audits."""
        fresh = Compiler(self._world)
        fresh.refresh(units_of(self._world))
        return fresh._desired
