"""What follows from it that a port joins a group, leaves it, or falls silent?

A membership is its port's: it begins with a report, moves along when the port moves, and ends with a report, with the
port's tap, or when nobody has renewed it for so long that several questions must have gone unanswered (RFC 9776
§8.4).  A tap is one machine, so a report of leaving ends it at once, without another question (the "fast leave" of RFC
4541's switches).  While a host's session is lost, or none is up since a restart, its ports cannot be heard, and what
they listen to stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from overlay.changes import Unit, UnitKind
from overlay.footing import Footing, deliveries_changed
from overlay.multicast.changes import Joined, Left
from overlay.multicast.documents import read_memberships, write_memberships
from overlay.multicast.values import Membership, is_joinable
from overlay.values import HostName, IpAddress

if TYPE_CHECKING:
    from overlay.index import Index
    from overlay.recording import Recorder


def unit(host: HostName, network_id: str, group: IpAddress) -> Unit:
    """What a host does for a group of a network."""
    return Unit(host, UnitKind.MULTICAST, f"{network_id}|{group}")


# --- events ----------------------------------------------------------------------------------------------------


def joined(index: Index, change: Joined, record: Recorder) -> None:
    """A port listens to groups: to so many, and to not many others in quick succession.

    Each first report may change every host of the network.  Whoever was refused is heard when it is asked again.
    """
    if not _is_heard(index, change):
        return
    port_id, listeners, settings = change.port_id, index.listeners, index.settings
    network_id, at = index.ports[port_id].network_id, index.footing(port_id)
    fresh = False
    for group in filter(is_joinable, change.groups):
        known = listeners.since(port_id)
        if group in known:
            listeners.renew(port_id, group, record.now)
        elif (
            len(known) >= settings.groups_per_port
            or (
                not listeners.audience(network_id, group)
                and len(listeners.groups(network_id)) >= settings.groups_per_network
            )
            or not listeners.pay(port_id, record.now, settings.groups_per_port)
        ):
            listeners.refused[port_id] = listeners.refused.get(port_id, 0) + 1
        else:
            fresh = True
            turned = listeners.put(Membership(port_id, group, record.now, record.now), network_id, at.hosts)
            for host in index.present_on(network_id) if turned else at.hosts:
                record.soil(*unit(host, network_id, group))
    if fresh:
        record.store(write_memberships(port_id, listeners.since(port_id)))


def left(index: Index, change: Left, record: Recorder) -> None:
    """A port listens to groups no more."""
    if _is_heard(index, change):
        for each in _leave(index, record, change.port_id, change.groups):
            record.soil(*each)


def expire(index: Index, record: Recorder) -> None:
    """Time has passed: who has not renewed what it listens to has gone."""
    listeners = index.listeners
    while (found := listeners.overdue(record.now - index.settings.listening)) is not None:
        port_id, group = found
        if any(map(index.is_deaf, index.footing(port_id).hosts)):
            listeners.renew(port_id, group, record.now)
            continue
        for each in _leave(index, record, port_id, [group]):
            record.soil(*each)


def _is_heard(index: Index, change: Joined | Left) -> bool:
    """Whether a port may speak where it is said to have spoken."""
    tap = index.footing(change.port_id).tap_at(change.host)
    return tap is not None and not tap.passive


def _leave(index: Index, record: Recorder, port_id: str, groups: Iterable[IpAddress]) -> set[Unit]:
    listeners = index.listeners
    network_id = index.ports[port_id].network_id
    units = set()
    for group in dict.fromkeys(group for group in groups if group in listeners.since(port_id)):
        hosts = {host for host, ports in listeners.audience(network_id, group).items() if port_id in ports}
        if listeners.drop(port_id, group, network_id):
            hosts.update(index.present_on(network_id))
        units |= {unit(host, network_id, group) for host in hosts}
        record.store(write_memberships(port_id, listeners.since(port_id)))
    return units


# --- what else moves it ------------------------------------------------------------------------------------------


def heard_again(index: Index, ports: Iterable[str], now: float) -> None:
    """A host's session is back: its ports have all the time again to renew what they listen to."""
    for port_id in ports:
        for group in tuple(index.listeners.since(port_id)):
            index.listeners.renew(port_id, group, now)


def follow(index: Index, record: Recorder, port_id: str, before: Footing, after: Footing) -> set[Unit]:
    """A port stands elsewhere: what it listens to comes along, or ends where it has no tap any more.

    :returns: the units that read it.
    """
    listeners = index.listeners
    groups = tuple(listeners.since(port_id))
    if after.pointer is None or (before.taps and not after.taps):
        return _leave(index, record, port_id, groups)
    network_id = index.ports[port_id].network_id
    units = set()
    for group in groups:
        turned = listeners.stand(port_id, group, network_id, after.hosts)
        hosts = {*index.present_on(network_id), *before.hosts} if turned else deliveries_changed(before, after)
        units |= {unit(host, network_id, group) for host in hosts}
    return units


def restore(index: Index, documents: Iterable[tuple[str, dict[str, Any]]], now: float) -> None:
    """Take up what the store remembers; its ports are there already."""
    for port_id, body in documents:
        for membership in read_memberships(port_id, body, now):
            index.listeners.put(membership, index.ports[port_id].network_id, index.footing(port_id).hosts)


def of_network(index: Index, network_id: str, hosts: Iterable[HostName]) -> set[Unit]:
    """What these hosts do for the groups of a network."""
    groups = tuple(index.listeners.groups(network_id))
    return {unit(host, network_id, group) for host in hosts for group in groups}
