"""Which ways may a packet take from one hypervisor to another?

Every path that the routes allow, with the next-hop set that each switch on the way chooses from.  Which of them one
packet takes is the switches' choice, by a hash of its headers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from itertools import islice
from typing import Final, NamedTuple, TypeAlias

from controller.fabric.graph import Fabric
from controller.fabric.plan import PortRef, Sighting
from controller.fabric.routes import NextHops
from overlay.refusals import NotFound
from overlay.values import DatapathId


class Step(NamedTuple):
    """A switch on a path, and the ports through which a packet enters and leaves it."""

    datapath_id: DatapathId
    in_port: int
    out_port: int


Path: TypeAlias = tuple[Step, ...]

_ENTERING: Final = -1
"""Stands for the tag of a packet that comes from a host."""


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
    routing = _Routing(fabric, end.at.datapath_id)
    found = tuple(islice(_walks(routing, start.at, _ENTERING, end.at), limit + 1))
    return Paths(start, end, found[:limit], _on_the_way(routing, start.at.datapath_id), len(found) > limit)


def _host(fabric: Fabric, la: IPv4Address, field: str) -> Sighting:
    known = fabric.sightings.get(la)
    if known is None:
        raise NotFound(f"{field}: the fabric has not seen a host with LA {la}", field=field, kind="LocatorNotFound")
    return known


class _Routing:
    """What switches do with a packet to one edge switch.

    :param towards: that edge switch.
    """

    def __init__(self, fabric: Fabric, towards: DatapathId) -> None:
        self._fabric = fabric
        self._towards = towards
        self._hops = fabric.routes.towards(towards)

    def hops(self, at: DatapathId, tag: int) -> tuple[int, NextHops]:
        """Say by which tag a switch sends a packet that comes with one, and to which next hops."""
        steering = self._fabric.steering
        if tag == _ENTERING:
            return 0, steering.entries.get(at, {}).get(self._towards) or self._hops.get(at, ())
        if tag and (tagged := steering.tags.get(tag, {}).get(at)):
            return tag, tagged
        return 0, self._hops.get(at, ())

    def ends(self, at: DatapathId, tag: int) -> bool:
        """Whether a packet that comes to its destination's switch with this tag is delivered there."""
        return tag in (0, _ENTERING) or not self._fabric.steering.tags.get(tag, {}).get(at)

    def onward(self, at: DatapathId, tag: int) -> Iterator[tuple[int, PortRef, int]]:
        """List the ports by which a packet may leave a switch, where it comes then, and with which tag."""
        kept, hops = self.hops(at, tag)
        for hop in hops:
            far = self._fabric.peer(PortRef(at, hop.port))
            if far is not None:  # a policy may name a port whose link has just gone
                yield hop.port, far, hop.tag or kept


def _walks(routing: _Routing, entry: PortRef, tag: int, end: PortRef) -> Iterator[Path]:
    if entry.datapath_id == end.datapath_id and routing.ends(end.datapath_id, tag):
        yield (Step(entry.datapath_id, entry.port, end.port),)
        return
    for port, far, kept in routing.onward(entry.datapath_id, tag):
        for rest in _walks(routing, far, kept, end):
            yield (Step(entry.datapath_id, entry.port, port), *rest)


def _on_the_way(routing: _Routing, start: DatapathId) -> Mapping[DatapathId, NextHops]:
    met: dict[DatapathId, NextHops] = {}
    seen: set[tuple[DatapathId, int]] = set()
    ahead = [(start, _ENTERING)]
    while ahead:
        at, tag = ahead.pop(0)
        if (at, tag) not in seen:
            seen.add((at, tag))
            _, hops = routing.hops(at, tag)
            met[at] = tuple(sorted({*met.get(at, ()), *hops}))
            ahead.extend((far.datapath_id, kept) for _, far, kept in routing.onward(at, tag))
    return met
