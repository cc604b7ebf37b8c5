"""Which hypervisors are there, and what have they confirmed?

The events of whole hosts: joining, going, coming back, and the barriers that come from them.
"""

from __future__ import annotations

from collections.abc import Iterator

from overlay.changes import (
    Confirmed,
    HostBack,
    HostHeard,
    HostLost,
    HostSeen,
    HostSilent,
    NoticeKind,
    Sent,
    UnitKind,
)
from overlay.directory import Clash
from overlay.documents import write_host
from overlay.index import Index
from overlay.multicast import memberships
from overlay.placement import appeared
from overlay.recording import Recorder
from overlay.values import Host, HostName


def seen(index: Index, change: HostSeen, record: Recorder) -> None:
    """A host joined or changed; then also those that waited for the LA that it gave up."""
    if not _admit(index, change.host, record):
        return
    waiting = True
    while waiting:
        waiting = any(
            index.la_holder.get(host.la) is None and _admit(index, host, record)
            for host, _ in tuple(index.clashes.values())
        )


def _admit(index: Index, host: Host, record: Recorder) -> bool:
    """Let a host in, unless another one holds its LA: the world keeps the first."""
    holder = index.la_holder.get(host.la, host.name)
    if holder != host.name:
        clash = Clash(host.name, host.la, holder)
        if index.clashes.get(host.name) != (host, clash):
            index.clashes[host.name] = (host, clash)
            record.tell(NoticeKind.HOST_CLASH, host.name, f"LA {host.la} belongs to host {holder}")
        return False
    index.clashes.pop(host.name, None)
    before = index.hosts.get(host.name)
    if before == host:
        return True
    index.put_host(host)
    record.store(write_host(host))
    if before is None:
        index.reporting.add(host.name)
        record.soil(host.name, UnitKind.BASE, "")
        for port_id in tuple(index.taps.get(host.name, {}).values()):
            if port_id in index.ports:
                appeared(index, host.name, port_id, record)
        return True
    if before.la != host.la:
        _soil_pointers(index, host.name, record)
    if (before.tunnel_port, before.answers_nd) != (host.tunnel_port, host.answers_nd):
        _soil_host(index, host.name, record)
    return True


def _soil_pointers(index: Index, host: HostName, record: Recorder) -> None:
    """The LA of a host changed: everything that sends to it reads it."""
    for network_id in index.networks_on.get(host, {}):
        present = index.present_on(network_id)
        for other in present:
            record.soil(other, UnitKind.NETWORK, network_id)
        for unit in memberships.of_network(index, network_id, present):
            record.soil(*unit)
        for port_id in present[host]:
            for other in present:
                record.soil(other, UnitKind.ADDRESS, port_id)
    _reflect(index, host, record)


def _reflect(index: Index, host: HostName, record: Recorder) -> None:
    """How a host is reached, or sends, has changed for mirrors as well."""
    for port_id in _standing(index, host):
        if port_id in index.mirrors:
            record.reflect(port_id)


def _soil_host(index: Index, host: HostName, record: Recorder) -> None:
    """The tunnel port of a host changed, or what its switch can do: all of its own flows read it."""
    record.soil(host, UnitKind.BASE, "")
    for network_id in index.networks_on.get(host, {}):
        record.soil(host, UnitKind.NETWORK, network_id)
        for unit in memberships.of_network(index, network_id, [host]):
            record.soil(*unit)
        for port_id in index.ports_of[network_id]:
            record.soil(host, UnitKind.ADDRESS, port_id)
    for port_id in index.homed.get(host, {}):
        record.wait(host, port_id)
    _reflect(index, host, record)


def silent(index: Index, change: HostSilent, record: Recorder) -> None:
    """A host has no session: moves away from it need not wait for its hairpin."""
    index.readiness.silent.add(change.host)
    record.touch(port_id for port_id, move in index.moves.items() if move.source == change.host)


def heard(index: Index, change: HostHeard, record: Recorder) -> None:  # noqa: ARG001  (a handler's arguments)
    """A host has a session again."""
    index.readiness.silent.discard(change.host)


def lost(index: Index, change: HostLost, record: Recorder) -> None:
    """Nobody waits for a host any more."""
    was_absent = change.host in index.readiness.absent
    if not index.readiness.is_lost(change.host):
        record.tell(NoticeKind.HOST_LOST, change.host)
    record.touch(index.readiness.forget(change.host))
    index.returning.discard(change.host)
    record.touch(_standing(index, change.host))
    if was_absent:
        record.touch(_concerned(index, change.host))


def back(index: Index, change: HostBack, record: Recorder) -> None:
    """A lost host is there again; its ports are up when it has confirmed what it holds."""
    if index.readiness.is_lost(change.host):
        index.readiness.recall(change.host)
        record.tell(NoticeKind.HOST_BACK, change.host)
        index.returning.add(change.host)
        record.touch(_standing(index, change.host))
        memberships.heard_again(index, _standing(index, change.host), record.now)


def sent(index: Index, change: Sent, record: Recorder) -> None:
    """Flows are on their way, or there were none to send."""
    generations = dict(change.generations)
    by_host: dict[HostName, list[str]] = {}
    for host, port_id in change.waits:
        by_host.setdefault(host, []).append(port_id)
    for host, ports in by_host.items():
        if host in generations:
            index.readiness.expect(host, generations[host], ports)
        else:
            record.touch(index.readiness.waive(host, ports))


def confirmed(index: Index, change: Confirmed, record: Recorder) -> None:
    """A barrier came back."""
    first = change.host in index.readiness.absent
    record.touch(index.readiness.confirm(change.host, change.generation))
    if first:
        record.touch(_concerned(index, change.host))
        memberships.heard_again(index, _standing(index, change.host), record.now)
    if change.host in index.returning:
        index.returning.discard(change.host)
        record.touch(_standing(index, change.host))


def _standing(index: Index, host: HostName) -> Iterator[str]:
    """The ports that live at a host or move to it."""
    for network_id in index.networks_on.get(host, {}):
        yield from index.presence[network_id][host]


def _concerned(index: Index, host: HostName) -> Iterator[str]:
    """All ports of the networks that a host has."""
    for network_id in index.networks_on.get(host, {}):
        yield from index.ports_of[network_id]
