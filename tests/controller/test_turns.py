"""Requests share the core: a few are let on at a time, in turns between the projects."""

from collections.abc import Callable

import eventlet

from controller.turns import Turnstile, begin, paced, whose


def run(*work: Callable[[], object]) -> None:
    """Run these in a greenlet each, in this order, until all have ended."""
    for greenlet in [eventlet.spawn(each) for each in work]:
        greenlet.wait()


def test_projects_take_turns() -> None:
    """Behind a project's hundred requests, another project's request is let on after a few of them."""
    turnstile = Turnstile()
    order: list[str] = []

    def request(who: str) -> None:
        begin(turnstile, who)
        order.append(who)

    run(*[lambda: request("red")] * 100, lambda: request("blue"))
    assert sorted(order) == ["blue", *["red"] * 100]
    assert order.index("blue") <= 5


def test_a_lone_request_does_not_wait() -> None:
    """While nobody else is there, a request passes without giving the core away."""
    order: list[str] = []

    def request() -> None:
        begin(Turnstile(), "red")
        order.append("red")

    run(request, lambda: order.append("other"))
    assert order == ["red", "other"]


def test_long_work_gives_way() -> None:
    """A request that works for long lets another project's be answered before it has ended."""
    turnstile = Turnstile()
    order: list[str] = []

    def long() -> None:
        begin(turnstile, "red")
        for _ in paced(range(100_000)):
            pass
        order.append("red")

    def short() -> None:
        begin(turnstile, "blue")
        order.append("blue")

    run(long, short)
    assert order == ["blue", "red"]


def test_paced_hands_all_out_in_order() -> None:
    """Nothing is lost or turned round, in a request and without one."""

    def request() -> None:
        begin(Turnstile(), "red")
        assert list(paced(range(10_000))) == list(range(10_000))

    run(request)
    assert list(paced("abc")) == ["a", "b", "c"]


def test_whose_request_it_is_is_known_to_its_greenlet_only() -> None:
    """What one greenlet says of its request is not heard by others, and lasts until it says otherwise."""
    said: list[str | None] = []
    turnstile = Turnstile()

    def request(who: str | None) -> None:
        begin(turnstile, who)
        eventlet.sleep(0)
        said.append(whose())
        begin(turnstile, None)
        said.append(whose())

    run(lambda: request("red"), lambda: said.append(whose()))
    assert said == [None, "red", None]
    assert whose() is None


def test_something_urgent_goes_first() -> None:
    """While something urgent goes on nobody is let on but who is urgent; when it is over the others are."""
    urgent = [True]
    turnstile = Turnstile(lambda: bool(urgent))
    order: list[str] = []

    def request() -> None:
        begin(turnstile, "red")
        order.append("red")

    def activation() -> None:
        begin(turnstile, "blue", urgent=True)
        order.append("blue")
        eventlet.sleep(0.005)
        order.append("over")
        urgent.clear()

    run(request, request, activation)
    assert order == ["blue", "over", "red", "red"]


def test_nothing_is_urgent_for_ever() -> None:
    """Requests are let on after a while though it is not over."""
    order: list[str] = []
    turnstile = Turnstile(lambda: True)

    def request() -> None:
        begin(turnstile, "red")
        order.append("red")

    run(request, request)
    assert order == ["red", "red"]
