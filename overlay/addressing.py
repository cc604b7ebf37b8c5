"""Which number is the next to be handed out, and what do the addresses of a prefix mean?

VNIs are handed out lowest first, addresses fairly; either costs the same whether the range is a /30 or a /64.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Sequence
from ipaddress import IPv4Network
from itertools import chain
from typing import Final, NamedTuple

from overlay.values import IpAddress, IpNetwork, Mac, Pool

_NOTHING: Final[Collection[int]] = ()
_EUI64_UNIVERSAL: Final = 0x02 << 56
_EUI64_MIDDLE: Final = 0xFFFE << 24
_LINK_LOCAL: Final = 0xFE80 << 112
_TINY: Final = 2
"""A prefix with so many addresses or fewer has no network and broadcast address (RFC 3021)."""


class Ranges:
    """Inclusive ranges of numbers, none of which overlap, and a way through them in order."""

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        self._ranges: Sequence[tuple[int, int]] = sorted(ranges)
        self._firsts = [first for first, _ in self._ranges]

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number)
        return at > 0 and number <= self._ranges[at - 1][1]

    def total(self) -> int:
        """How many numbers there are."""
        return sum(last - first + 1 for first, last in self._ranges)

    def start(self) -> Place:
        """The first number, or the end, where there is none."""
        return Place(0, self._firsts[0]) if self._ranges else self.end()

    def end(self) -> Place:
        """Behind the last number."""
        return Place(len(self._ranges), -1)

    def behind(self, number: int) -> Place:
        """What comes after a number of these."""
        return self.after(Place(bisect_right(self._firsts, number) - 1, number))

    def after(self, place: Place) -> Place:
        """The number that comes next."""
        at, number = place
        if number < self._ranges[at][1]:
            return Place(at, number + 1)
        return Place(at + 1, self._firsts[at + 1]) if at + 1 < len(self._ranges) else self.end()


class Place(NamedTuple):
    """A number and which range it is in."""

    at: int
    number: int


class Lowest:
    """Numbers out of one range, lowest first, whichever were given back.

    Above the *frontier* nothing was ever taken or given back; below it, free numbers are in a heap.  Asking for the
    lowest free number does not take it.
    """

    def __init__(self, first: int, last: int) -> None:
        self._first, self._last, self._frontier = first, last, first
        self._used: set[int] = set()
        self._freed: list[int] = []

    def take(self, number: int) -> None:
        """Mark as used; a number outside of the range may be taken as well."""
        self._used.add(number)

    def give_back(self, number: int) -> None:
        """Mark as free again."""
        self._used.remove(number)
        if self._first <= number < self._frontier:
            heapq.heappush(self._freed, number)

    def next(self) -> int | None:
        """The lowest free number; ``None`` when there is none."""
        while self._freed and self._freed[0] in self._used:
            heapq.heappop(self._freed)  # taken again by name
        if self._freed:
            return self._freed[0]
        while self._frontier <= self._last and self._frontier in self._used:
            self._frontier += 1
        return self._frontier if self._frontier <= self._last else None


class Fair:
    """Numbers out of some ranges: those that nobody ever had, in order; then the one that was given back longest ago.

    What is given back is handed out last, so that whoever still remembers its former owner has time to forget.  Asking
    for the next number does not take it.

    What nobody ever had is kept as stretches, whose beginnings advance over what was taken since.
    """

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        self._used: set[int] = set()
        self._freed: OrderedDict[int, None] = OrderedDict()  # a dict would be slow to give up its first item
        self.reshape(ranges)

    def reshape(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Hand out of other ranges from now on; what is used stays so, inside of them or not."""
        self._ranges = Ranges(ranges)
        self._stretches = [(self._ranges.start(), self._ranges.end())]
        self._freed = OrderedDict((number, None) for number in self._freed if number in self._ranges)
        self._inside = sum(number in self._ranges for number in self._used)

    def resume(self) -> None:
        """Go on behind the highest number that is used: those below may have been given back before a restart."""
        inside = [number for number in self._used if number in self._ranges]
        if inside:
            highest = self._ranges.behind(max(inside))
            self._stretches = [(highest, self._ranges.end()), (self._ranges.start(), highest)]

    def take(self, number: int) -> None:
        """Mark as used a number that is not; one outside of the ranges may be taken as well."""
        self._used.add(number)
        self._freed.pop(number, None)
        self._inside += number in self._ranges

    def give_back(self, number: int) -> None:
        """Mark as free again."""
        self._used.remove(number)
        if number in self._ranges:
            self._inside -= 1
            self._freed[number] = None

    def free(self) -> int:
        """How many numbers are left."""
        return self._ranges.total() - self._inside

    def next(self, besides: Collection[int] = _NOTHING) -> int | None:
        """The next number that is not in ``besides``; ``None`` when there is none."""
        while self._stretches:
            begin, end = self._stretches[0]
            while begin < end and self._was_taken(begin.number):
                begin = self._ranges.after(begin)
            if begin < end:
                self._stretches[0] = begin, end
                break
            del self._stretches[0]
        never = (number for begin, end in self._stretches for number in self._never_taken(begin, end))
        return next((number for number in chain(never, self._freed) if number not in besides), None)

    def _was_taken(self, number: int) -> bool:
        return number in self._used or number in self._freed

    def _never_taken(self, place: Place, end: Place) -> Iterator[int]:
        while place < end:
            if not self._was_taken(place.number):
                yield place.number
            place = self._ranges.after(place)


def usable(cidr: IpNetwork) -> tuple[IpAddress, IpAddress]:
    """The first and last address that a port may have.

    Without network and broadcast address in IPv4, without the subnet-router anycast address in IPv6 (RFC 4291
    §2.6.1); prefixes of one or two addresses are used whole (RFC 3021, RFC 6164).
    """
    first, last = cidr[0], cidr[-1]
    if cidr.num_addresses <= _TINY:
        return first, last
    return first + 1, last - 1 if isinstance(cidr, IPv4Network) else last


def is_usable(cidr: IpNetwork, ip: IpAddress) -> bool:
    """Whether a port may have an address by a prefix."""
    if ip.version != cidr.version:
        return False
    first, last = usable(cidr)
    return int(first) <= int(ip) <= int(last)


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
    """The IPv6 link-local address that a MAC makes."""
    return _LINK_LOCAL | _interface(mac)


def by_mac(cidr: IpNetwork, mac: Mac) -> IpAddress:
    """The address of a /64 that a MAC makes (RFC 4862 §5.5.3)."""
    return cidr.network_address + _interface(mac)


def _interface(mac: Mac) -> int:
    """The modified EUI-64 of a MAC (RFC 4291 appendix A)."""
    high, low = mac >> 24, mac & 0xFFFFFF
    return (high << 40 | _EUI64_MIDDLE | low) ^ _EUI64_UNIVERSAL
