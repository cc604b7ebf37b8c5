"""Allocation gives the lowest free number, always."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.addressing import Allocator, default_gateway, default_pools, link_local, usable
from overlay.values import Mac, Pool

RANGES = [(3, 4), (6, 6), (8, 9)]
ALL = [number for first, last in RANGES for number in range(first, last + 1)]


@given(st.lists(st.tuples(st.booleans(), st.integers(2, 9), st.sets(st.integers(3, 9), max_size=3)), min_size=4))
def test_lowest_free_number(steps: list[tuple[bool, int, set[int]]]) -> None:
    """After any takes and returns, inside the ranges or not, the answer is that of looking at every number."""
    allocator, used = Allocator(RANGES), set()
    for named, number, besides in steps:
        chosen = number if named else allocator.lowest()
        if chosen is not None and chosen not in used:
            allocator.take(chosen)
            used.add(chosen)
        elif chosen is not None:
            allocator.give_back(chosen)
            used.remove(chosen)
        free = [candidate for candidate in ALL if candidate not in used | besides]
        assert allocator.lowest(besides) == (free[0] if free else None)


def test_returned_numbers_come_first() -> None:
    """What was given back is the next to be given, unless it was taken by name meanwhile or is not wanted."""
    allocator = Allocator([(1, 9)])
    for number in (1, 2, 3, 4):
        allocator.take(number)
    assert allocator.lowest() == 5
    for number in (1, 2, 3):
        allocator.give_back(number)
    allocator.take(1)
    assert (allocator.lowest({2}), allocator.lowest({2, 3}), allocator.lowest()) == (3, 5, 2)


def test_nothing_to_allocate() -> None:
    """An allocator without ranges has nothing, and takes back what was never its own."""
    allocator = Allocator([])
    allocator.take(7)
    allocator.give_back(7)
    assert allocator.lowest() is None


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
