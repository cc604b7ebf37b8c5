"""Which part of a pool of prefixes is free?

Subnets are cut of a subnet pool first fit: the lowest aligned piece that overlaps with none that was cut before.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from ipaddress import ip_network

from overlay.values import IpNetwork


class Cuts:
    """The pieces that were cut of one pool; none overlaps with another."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, int]] = []
        self._held: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._pieces)

    def take(self, cidr: IpNetwork, project: str) -> None:
        """A project has cut a piece."""
        insort(self._pieces, _ends(cidr))
        self._held[project] = self._held.get(project, 0) + cidr.num_addresses

    def give_back(self, cidr: IpNetwork, project: str) -> None:
        """A piece is whole again."""
        del self._pieces[bisect_left(self._pieces, _ends(cidr))]
        self._held[project] -= cidr.num_addresses
        if not self._held[project]:
            del self._held[project]

    def held(self, project: str) -> int:
        """How many addresses of the pool a project has."""
        return self._held.get(project, 0)

    def is_free(self, cidr: IpNetwork) -> bool:
        """Whether a piece overlaps with none that was cut."""
        first, last = _ends(cidr)
        at = bisect_left(self._pieces, (last + 1,))
        return at == 0 or self._pieces[at - 1][1] < first

    def first_fit(self, prefixes: Iterable[IpNetwork], length: int) -> IpNetwork | None:
        """The lowest free piece of a length, ``None`` when there is none: in one pass over what was cut.

        :param prefixes: those of the pool, sorted.
        """
        for prefix in prefixes:
            if length < prefix.prefixlen:
                continue
            size = 1 << prefix.max_prefixlen - length
            candidate, end = _ends(prefix)
            for first, last in self._pieces[bisect_left(self._pieces, (candidate,)) :]:
                if candidate + size <= first:
                    break
                candidate = (last // size + 1) * size
            if candidate + size - 1 <= end:
                return ip_network((type(prefix.network_address)(candidate), length))
        return None


def _ends(cidr: IpNetwork) -> tuple[int, int]:
    return int(cidr.network_address), int(cidr.broadcast_address)
