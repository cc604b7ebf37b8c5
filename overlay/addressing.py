"""Which number is the lowest that nobody has?

Allocation of VNIs and of addresses from pools: amortised O(log n), whether the range is a /30 or a /64.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence
from ipaddress import IPv4Network
from typing import Final

from overlay.values import IpAddress, IpNetwork, Mac, Pool

_NOTHING: Final[Collection[int]] = ()
_EUI64_UNIVERSAL: Final = 0x02 << 56
_EUI64_MIDDLE: Final = 0xFFFE << 24
_LINK_LOCAL: Final = 0xFE80 << 112
_TINY: Final = 2
"""A prefix with so many addresses or fewer has no network and broadcast address (RFC 3021)."""


class Allocator:
    """Numbers out of some ranges, lowest first.

    Above the *frontier* nothing was ever given back; below it, free numbers are in a heap.  Asking for the lowest
    free number does not take it.
    """

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        self._ranges: Sequence[tuple[int, int]] = sorted(ranges)
        self._used: set[int] = set()
        self._freed: list[int] = []
        self._range = 0
        self._frontier = self._ranges[0][0] if self._ranges else 0

    def take(self, number: int) -> None:
        """Mark as used; a number outside of the ranges may be taken as well."""
        self._used.add(number)

    def give_back(self, number: int) -> None:
        """Mark as free again."""
        self._used.remove(number)
        if self._below_frontier(number):
            heapq.heappush(self._freed, number)

    def lowest(self, besides: Collection[int] = _NOTHING) -> int | None:
        """The lowest free number that is not in ``besides``; ``None`` when there is none."""
        held = []
        found = None
        while self._freed:
            number = self._freed[0]
            if number in self._used:
                heapq.heappop(self._freed)  # taken again by name
            elif number in besides:
                held.append(heapq.heappop(self._freed))
            else:
                found = number
                break
        for number in held:
            heapq.heappush(self._freed, number)
        return found if found is not None else self._beyond(besides)

    def _beyond(self, besides: Collection[int]) -> int | None:
        """Advance the frontier over used numbers, then look past it over ``besides`` without moving it."""
        while self._range < len(self._ranges) and self._frontier in self._used:
            self._range, self._frontier = self._after(self._range, self._frontier)
        at, number = self._range, self._frontier
        while at < len(self._ranges):
            if number not in self._used and number not in besides:
                return number
            at, number = self._after(at, number)
        return None

    def _after(self, at: int, number: int) -> tuple[int, int]:
        if number < self._ranges[at][1]:
            return at, number + 1
        at += 1
        return at, self._ranges[at][0] if at < len(self._ranges) else number

    def _below_frontier(self, number: int) -> bool:
        for at, (first, last) in enumerate(self._ranges):
            if first <= number <= last:
                return at < self._range or (at == self._range and number < self._frontier)
        return False


def usable(cidr: IpNetwork) -> tuple[IpAddress, IpAddress]:
    """The first and last address that a port may have.

    Without network and broadcast address in IPv4, without the subnet-router anycast address in IPv6 (RFC 4291
    §2.6.1); prefixes of one or two addresses are used whole (RFC 3021, RFC 6164).
    """
    first, last = cidr[0], cidr[-1]
    if cidr.num_addresses <= _TINY:
        return first, last
    return first + 1, last - 1 if isinstance(cidr, IPv4Network) else last


def default_gateway(cidr: IpNetwork) -> IpAddress | None:
    """The first usable address, unless it is the only one."""
    first, last = usable(cidr)
    return first if first != last else None


def default_pools(cidr: IpNetwork, gateway: IpAddress | None) -> tuple[Pool, ...]:
    """Every usable address but the gateway."""
    first, last = usable(cidr)
    if gateway is None or not first <= gateway <= last:  # type: ignore[operator]
        return (Pool(first, last),)
    pools = []
    if gateway != first:
        pools.append(Pool(first, gateway - 1))
    if gateway != last:
        pools.append(Pool(gateway + 1, last))
    return tuple(pools)


def link_local(mac: Mac) -> int:
    """The IPv6 link-local address that a MAC makes by modified EUI-64 (RFC 4291 appendix A)."""
    high, low = mac >> 24, mac & 0xFFFFFF
    return _LINK_LOCAL | (high << 40 | _EUI64_MIDDLE | low) ^ _EUI64_UNIVERSAL
