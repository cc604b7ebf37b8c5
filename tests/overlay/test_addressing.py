"""VNIs are handed out lowest first, addresses fairly, and prefixes mean what the RFCs say."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.addressing import Fair, Lowest, default_gateway, default_pools, link_local, usable
from overlay.values import Mac, Pool

RANGES = [(3, 4), (6, 6), (8, 9)]


def numbers(ranges: list[tuple[int, int]]) -> list[int]:
    """All numbers of some ranges, in order."""
    return [number for first, last in sorted(ranges) for number in range(first, last + 1)]


@given(st.lists(st.tuples(st.booleans(), st.integers(2, 9)), min_size=4))
def test_lowest_free_number(steps: list[tuple[bool, int]]) -> None:
    """After any takes and returns, inside the range or not, the answer is that of looking at every number."""
    allocator, used = Lowest(3, 8), set()
    for named, number in steps:
        chosen = number if named else allocator.next()
        if chosen is not None and chosen not in used:
            allocator.take(chosen)
            used.add(chosen)
        elif chosen is not None:
            allocator.give_back(chosen)
            used.remove(chosen)
        free = [candidate for candidate in range(3, 9) if candidate not in used]
        assert allocator.next() == (free[0] if free else None)


@given(
    st.lists(
        st.tuples(
            st.booleans() | st.sampled_from([[(2, 5)], [(7, 9), (3, 3)], RANGES, []]),
            st.integers(2, 9),
            st.sets(st.integers(3, 9), max_size=3),
        ),
        min_size=4,
    )
)
def test_the_next_is_the_one_that_waited_longest(
    steps: list[tuple[bool | list[tuple[int, int]], int, set[int]]],
) -> None:
    """Numbers that nobody had come first, in order, then those given back, the oldest first; whatever the ranges."""
    ranges = RANGES
    allocator, used, returned = Fair(ranges), set(), []
    for what, number, besides in steps:
        if isinstance(what, list):
            ranges = what
            allocator.reshape(ranges)
            returned = [free for free in returned if free in numbers(ranges)]
        else:
            chosen = number if what else allocator.next()
            if chosen is not None and chosen not in used:
                allocator.take(chosen)
                used.add(chosen)
                returned = [free for free in returned if free != chosen]
            elif chosen is not None:
                allocator.give_back(chosen)
                used.remove(chosen)
                returned += [chosen] if chosen in numbers(ranges) else []
        never = [free for free in numbers(ranges) if free not in used and free not in returned]
        wanted = [free for free in never + returned if free not in besides]
        assert allocator.next(besides) == (wanted[0] if wanted else None)
        assert allocator.free() == len(never) + len(returned)


@given(st.sets(st.integers(2, 9)), st.lists(st.tuples(st.booleans(), st.integers(2, 9))))
def test_after_a_restart_what_lies_below_comes_late(used: set[int], steps: list[tuple[bool, int]]) -> None:
    """First what is above all that is used, then the gaps, which were given back who knows when, then the returned."""
    allocator = Fair(RANGES)
    for number in used:
        allocator.take(number)
    allocator.resume()
    highest = max((number for number in used if number in numbers(RANGES)), default=0)
    free = sorted((number for number in numbers(RANGES) if number not in used), key=lambda n: (n < highest, n))
    for named, number in steps:
        chosen = number if named else allocator.next()
        if chosen is not None and chosen not in used:
            allocator.take(chosen)
            used.add(chosen)
            free = [other for other in free if other != chosen]
        elif chosen is not None:
            allocator.give_back(chosen)
            used.remove(chosen)
            free += [chosen] if chosen in numbers(RANGES) else []
        assert allocator.next() == (free[0] if free else None)


@pytest.mark.parametrize(
    ("cidr", "gateway", "pools"),
    [
        ("10.0.0.0/24", "10.0.0.1", [("10.0.0.2", "10.0.0.254")]),
        ("10.0.0.0/30", "10.0.0.1", [("10.0.0.2", "10.0.0.2")]),
        ("10.0.0.0/31", "10.0.0.0", [("10.0.0.1", "10.0.0.1")]),
        ("10.0.0.0/32", None, [("10.0.0.0", "10.0.0.0")]),
        ("2001:db8::/64", "2001:db8::1", [("2001:db8::2", "2001:db8::ffff:ffff:ffff:ffff")]),
    ],
)
def test_defaults_of_a_prefix(cidr: str, gateway: str | None, pools: list[tuple[str, str]]) -> None:
    """The first usable address is the gateway, the rest is handed out."""
    network = ip_network(cidr)
    chosen = default_gateway(network)
    assert chosen == (gateway and ip_address(gateway))
    assert default_pools(network, chosen) == tuple(Pool(ip_address(a), ip_address(b)) for a, b in pools)


def test_pools_go_around_the_gateway() -> None:
    """A gateway in the middle splits the pool, one at the end shortens it."""
    network = ip_network("10.0.0.0/29")
    first, last = usable(network)
    middle = default_pools(network, ip_address("10.0.0.3"))
    assert [(str(p.first), str(p.last)) for p in middle] == [("10.0.0.1", "10.0.0.2"), ("10.0.0.4", "10.0.0.6")]
    assert default_pools(network, last) == (Pool(first, ip_address("10.0.0.5")),)


def test_link_local_address() -> None:
    """A MAC makes the link-local address of RFC 4291, appendix A."""
    assert IPv6Address(link_local(Mac.parse("52:54:00:12:34:56"))) == IPv6Address("fe80::5054:ff:fe12:3456")
