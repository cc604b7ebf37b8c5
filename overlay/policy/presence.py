"""At which hosts is a security group, in which network?

A group is where a port of it has a tap.  Only there its rules need flows, so that what changes elsewhere costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from overlay.values import HostName


class Spot(NamedTuple):
    """A group in a network at a host."""

    host: HostName
    network_id: str
    group_id: str


class Presence:
    """Counts the taps of every group."""

    def __init__(self) -> None:
        self._spots: dict[str, frozenset[Spot]] = {}
        self._counts: dict[Spot, int] = {}
        self._hosts: dict[tuple[str, str], dict[HostName, None]] = {}
        self._groups: dict[tuple[HostName, str], dict[str, None]] = {}
        self._networks: dict[str, dict[str, int]] = {}
        self._turned: dict[Spot, None] = {}

    def stand(self, port_id: str, network_id: str, hosts: Iterable[HostName], groups: Collection[str]) -> None:
        """A port has its taps at these hosts now, and is filtered by these groups."""
        after = frozenset(Spot(host, network_id, group) for host in hosts for group in groups)
        before = self._spots.get(port_id, frozenset())
        if after:
            self._spots[port_id] = after
        else:
            self._spots.pop(port_id, None)
        for spot in sorted(after - before):
            self._come(spot)
        for spot in sorted(before - after):
            self._go(spot)

    def _come(self, spot: Spot) -> None:
        self._counts[spot] = self._counts.get(spot, 0) + 1
        if self._counts[spot] == 1:
            self._turned[spot] = None
            self._hosts.setdefault((spot.group_id, spot.network_id), {})[spot.host] = None
            self._groups.setdefault((spot.host, spot.network_id), {})[spot.group_id] = None
            networks = self._networks.setdefault(spot.group_id, {})
            networks[spot.network_id] = networks.get(spot.network_id, 0) + 1

    def _go(self, spot: Spot) -> None:
        self._counts[spot] -= 1
        if self._counts[spot]:
            return
        self._turned[spot] = None
        del self._counts[spot], self._hosts[spot.group_id, spot.network_id][spot.host]
        del self._groups[spot.host, spot.network_id][spot.group_id]
        networks = self._networks[spot.group_id]
        networks[spot.network_id] -= 1
        if not networks[spot.network_id]:
            del networks[spot.network_id], self._hosts[spot.group_id, spot.network_id]
        if not networks:
            del self._networks[spot.group_id]
        if not self._groups[spot.host, spot.network_id]:
            del self._groups[spot.host, spot.network_id]

    def turned(self) -> tuple[Spot, ...]:
        """Where a group has come to or gone from since this was asked the last time."""
        turned, self._turned = self._turned, {}
        return tuple(turned)

    def at(self, spot: Spot) -> bool:
        """Whether the group is there."""
        return spot in self._counts

    def groups(self, host: HostName, network_id: str) -> Iterable[str]:
        """The groups of a network at a host."""
        return self._groups.get((host, network_id), {}).keys()

    def spots(self, group_id: str, network_id: str | None = None) -> Iterator[Spot]:
        """Wherever a group is, or wherever it is in one network."""
        for network in self._networks.get(group_id, ()) if network_id is None else (network_id,):
            for host in self._hosts.get((group_id, network), ()):
                yield Spot(host, network, group_id)
