"""Which flows make copies, and which of them bring copies to who gets them?

Copies are made of what the guard lets a port send, and of what is delivered to it.  One for a port at the same host
goes straight to its tap; one for another host goes through the tunnel by the VNI of the tap service, which is no
network's, so that it goes straight to the tap there.  So a copy meets no policy, is never flooded, and is never copied
again: mirrors of mirrors run in no circles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from overlay.flow import Flow, Resubmit
from overlay.mirrors.values import TapDirection, TapService
from overlay.tables import classify, deliver, guard, guard_nd, mirror
from overlay.tables.mirror import Here, There, Way
from overlay.tables.names import CookieKind, provenance
from overlay.values import Host, HostName
from overlay.world import World

_GUARDS = (guard.TABLE, guard_nd.TABLE)


def copying(world: World, port_id: str, flows: Iterable[Flow]) -> Iterable[Flow]:
    """The program of a port: where it is mirrored, what lets its frames pass or hands it some makes copies as well."""
    sent = bool(world.mirrors.watchers(port_id, TapDirection.OUT))
    got = bool(world.mirrors.watchers(port_id, TapDirection.IN))
    return (_copying(flow, sent=sent, got=got) for flow in flows) if sent or got else flows


def _copying(flow: Flow, *, sent: bool, got: bool) -> Flow:
    judges = {table.id: table for table in _GUARDS}
    if sent and flow.table in judges and flow.goto is not None and flow.goto not in judges:
        table = judges[flow.table]
        return table.extended(flow, Resubmit(table.number_of(mirror.TABLE.name)))
    if got and flow.table == deliver.TABLE.id and flow.actions:
        return deliver.TABLE.extended(flow, Resubmit(deliver.TABLE.number_of(mirror.TABLE.name)))
    return flow


def of_port(world: World, name: HostName, port_id: str) -> Iterator[Flow]:
    """What a host does for a port that is mirrored, or gets copies."""
    host = world.hosts[name]
    cookie = provenance(CookieKind.MIRROR, port_id)
    tap = world.footing(port_id).tap_at(name)
    if tap is not None:
        sent = _ways(world, host, world.mirrors.watchers(port_id, TapDirection.OUT))
        if sent:
            yield mirror.sent(cookie, tap, sent)
        got = _ways(world, host, world.mirrors.watchers(port_id, TapDirection.IN))
        if got:
            yield from mirror.got(cookie, tap.lane, got)
    if host.tunnel_port is None:
        return
    for service in world.mirrors.services_at(port_id):
        for way in _ways(world, host, (service,)):
            if isinstance(way, Here):
                yield classify.copy_from_tunnel(cookie, host.tunnel_port, service.vni, way.tap)
            elif name == world.footing(port_id).hairpin:
                yield classify.turn_copy_round(cookie, host.tunnel_port, service.vni, way.la)
            elif tap is not None:
                yield classify.copy_from_tunnel(cookie, host.tunnel_port, service.vni, tap)


def _ways(world: World, host: Host, services: Iterable[TapService]) -> Sequence[Way]:
    """Where a host sends copies for these services; as ``forward`` sends what is for their ports."""
    ways: list[Way] = []
    for service in services:
        at = world.footing(service.port_id)
        tap = at.tap_at(host.name)
        if at.pointer is None:
            continue
        if host.name in at.local:
            ways += [] if tap is None else [Here(tap)]
        elif host.tunnel_port is not None:
            target = at.local[0] if host.name == at.hairpin else at.pointer
            ways.append(There(service.vni, world.hosts[target].la, host.tunnel_port))
    return ways
