"""A project that sends too much is told to slow down; others, and the operator, do not notice."""

from __future__ import annotations

import pytest

from controller.identity.roles import Role
from controller.rest import limits as limits_module
from controller.rest.access import Caller
from controller.rest.errors import TooManyRequests
from controller.rest.limits import RateLimits

BLUE = Caller("ann", "blue", frozenset({Role.MEMBER}))
BOB = Caller("bob", "blue", frozenset({Role.READER}))
RED = Caller("red", "red", frozenset({Role.MEMBER}))


class Clock:
    """A time that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def admitted(limits: RateLimits, caller: Caller, most: int = 1000) -> int:
    """How many requests get through at once."""
    for number in range(most):
        try:
            limits.take(caller)
        except TooManyRequests:
            return number
    return most


def test_a_burst_and_then_the_rate() -> None:
    """After silence a burst gets through; after that as many as the rate says, and no more saved than a burst."""
    clock = Clock()
    limits = RateLimits(10, 25, clock)
    assert admitted(limits, BLUE) == 25
    clock.now += 0.5
    assert admitted(limits, BLUE) == 5
    clock.now += 3600
    assert admitted(limits, BLUE) == 25


def test_a_project_is_one() -> None:
    """All users of a project share its rate; another project has its own."""
    limits = RateLimits(10, 25, Clock())
    assert admitted(limits, BLUE, 20) == 20
    assert admitted(limits, BOB) == 5
    assert admitted(limits, RED) == 25


@pytest.mark.parametrize("rate", [0, 10])
def test_the_operator_is_not_held_up(rate: int) -> None:
    """The operator has no limit, with a project or without; nobody has one where the rate is 0."""
    limits = RateLimits(rate, 1, Clock())
    for project in (None, "blue"):
        assert admitted(limits, Caller("root", project, frozenset({Role.ADMIN}))) == 1000
    assert admitted(limits, BLUE) == (1 if rate else 1000)


def test_what_is_refused_does_not_count() -> None:
    """Who asks too early again and again waits no longer for that."""
    clock = Clock()
    limits = RateLimits(1, 1, clock)
    assert admitted(limits, BLUE) == 1
    for _ in range(100):
        with pytest.raises(TooManyRequests):
            limits.take(BLUE)
    clock.now += 1
    limits.take(BLUE)


def test_idle_projects_are_forgotten(monkeypatch) -> None:
    """The memory of who sent what does not grow with every project that ever was."""
    monkeypatch.setattr(limits_module, "_REMEMBERED", 10)
    clock = Clock()
    limits = RateLimits(1, 1, clock)
    for number in range(100):
        limits.take(Caller("u", f"p{number}", frozenset({Role.MEMBER})))
        clock.now += 0.5
    assert len(limits._projects) <= 10


def refused(limits: RateLimits, address: str, most: int = 10_000) -> int:
    """How many callers from an address may be unknown at once."""
    for number in range(most):
        try:
            limits.refuse(address)
        except TooManyRequests:
            return number
    return most


def test_strangers_are_counted_by_address() -> None:
    """So many unknown callers from one address, or from one IPv6 network of a site; others are not held up by them."""
    clock = Clock()
    limits = RateLimits(clock=clock)
    burst = refused(limits, "192.0.2.1")
    assert 100 <= burst < 10_000
    with pytest.raises(TooManyRequests):
        limits.admit("192.0.2.1")
    limits.admit("192.0.2.2")
    assert refused(limits, "2001:db8::1") == burst
    assert refused(limits, "2001:db8::2") == 0
    assert refused(limits, "2001:db8:0:1::1") == burst
    clock.now += 1
    assert refused(limits, "192.0.2.1") == 10
    limits.take(BLUE)


def test_a_flood_of_strangers_fills_no_log(edge, op, caplog) -> None:
    """Who knocks without end is answered 429 then, which is not written down; who may come in still does."""
    edge.limits.behind = limits = RateLimits(clock=Clock())
    caplog.set_level("INFO", logger="controller.audit")
    burst = refused(limits, "127.0.0.1")
    stranger = edge.as_("nonsense")
    answer = stranger("POST", "/v2.0/networks", {"network": {}})
    assert (burst > 0, answer.status, answer.error["type"]) == (True, 429, "OverLimit")
    assert answer.headers["Retry-After"] == "1"
    assert stranger("GET", "/v1/health").status == 429
    assert edge.as_(None)("GET", "/v1/health").status in {200, 503}
    assert not caplog.records
    assert op("GET", "/v2.0/networks").status == 200


def test_the_answer_says_when(edge, op, blue, red) -> None:
    """Over HTTP it is 429 in Neutron's form with Retry-After, for reading and changing alike, and changes nothing."""
    edge.limits.behind = RateLimits(0.1, 2, Clock())
    assert [blue("GET", "/v2.0/networks").status for _ in range(3)] == [200, 200, 429]
    answer = blue("POST", "/v2.0/networks", {"network": {}})
    assert (answer.status, answer.error["type"]) == (429, "OverLimit")
    assert "blue" in answer.error["message"]
    assert answer.headers["Retry-After"] == "10"
    assert op("GET", "/v2.0/networks").body == {"networks": []}
    assert red("GET", "/v2.0/networks").status == 200
