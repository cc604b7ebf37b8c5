"""Which ways may a packet take from one hypervisor to another?

Every path that the routes allow, with the next-hop set that each switch on the way chooses from.  Which of them one
packet takes is the switches' choice, by a hash of its headers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import islice
from typing import NamedTuple, TypeAlias

from controller.fabric.graph import Fabric
from controller.fabric.plan import PortRef, Sighting
from controller.fabric.routes import Hops, NextHops
from overlay.refusals import NotFound
from overlay.values import DatapathId


class Step(NamedTuple):
    """A switch on a path, and the ports through which a packet enters and leaves it."""

    datapath_id: DatapathId
    in_port: int
    out_port: int


Path: TypeAlias = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Paths:
    """All equally good ways between two hypervisors.

    :param paths: in the order of their ports; empty where the fabric is parted.
    :param next_hops: of each switch that is on any of the ways, towards the target.
    :param truncated: whether there are more paths than are listed.
    """

    source: Sighting
    target: Sighting
    paths: tuple[Path, ...]
    next_hops: Mapping[DatapathId, NextHops]
    truncated: bool


def paths(fabric: Fabric, source: IPv4Address, target: IPv4Address, *, limit: int = 64) -> Paths:
    """List the ways from the host that has one LA to the host that has another.

    :param limit: how many paths to list at most; a fat tree has (k/2)² of them.
    :raises NotFound: for an LA that was not seen in the fabric.
    """
    start, end = _host(fabric, source, "source"), _host(fabric, target, "target")
    hops = fabric.routes.towards(end.at.datapath_id)
    found = tuple(islice(_walks(fabric, hops, start.at, end.at), limit + 1))
    return Paths(start, end, found[:limit], _on_the_way(fabric, hops, start.at.datapath_id), len(found) > limit)


def _host(fabric: Fabric, la: IPv4Address, field: str) -> Sighting:
    known = fabric.sightings.get(la)
    if known is None:
        raise NotFound(f"{field}: the fabric has not seen a host with LA {la}", field=field, kind="LocatorNotFound")
    return known


def _walks(fabric: Fabric, hops: Hops, entry: PortRef, end: PortRef) -> Iterator[Path]:
    if entry.datapath_id == end.datapath_id:
        yield (Step(entry.datapath_id, entry.port, end.port),)
        return
    for port, far in _onward(fabric, hops, entry.datapath_id):
        for rest in _walks(fabric, hops, far, end):
            yield (Step(entry.datapath_id, entry.port, port), *rest)


def _onward(fabric: Fabric, hops: Hops, datapath_id: DatapathId) -> Iterator[tuple[int, PortRef]]:
    for port in hops.get(datapath_id, ()):
        far = fabric.peer(PortRef(datapath_id, port))
        if far is not None:  # a policy may name a port whose link has just gone
            yield port, far


def _on_the_way(fabric: Fabric, hops: Hops, start: DatapathId) -> Mapping[DatapathId, NextHops]:
    met: dict[DatapathId, NextHops] = {}
    ahead = [start]
    while ahead:
        here = ahead.pop(0)
        if here not in met and here in hops:
            met[here] = hops[here]
            ahead.extend(far.datapath_id for _, far in _onward(fabric, hops, here))
    return met
