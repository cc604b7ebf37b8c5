"""Nova is told in its own words when a port is plugged, and whoever tells it is never kept waiting."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from controller import webhooks
from controller.bulletin import News
from controller.webhooks import Webhook, Words

SERVER = "0f6d4a5e-6f0c-4b7e-9f6d-0f6d4a5e6f0c"
PORT = News(1, "port.active", 0.0, "p", "blue", SERVER, "compute:nova", host="h1")
READY = replace(PORT, type="move.ready", host="", source="h1", target="h2")
PLUGGED = {"name": "network-vif-plugged", "server_uuid": SERVER, "tag": "p", "status": "completed"}


class Nova:
    """A receiver in the test's hands."""

    def __init__(self) -> None:
        self.answers: list[int | OSError] = []
        self.got: list[list[dict[str, str]]] = []

    def __call__(self, body: bytes) -> tuple[int, bytes]:
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, OSError):
            raise answer
        self.got.append(json.loads(body)["events"])
        return answer, b'{"events": [{"code": 200}, {"code": 422}]}'


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def nova() -> Nova:
    """A receiver that takes everything."""
    return Nova()


@pytest.fixture
def clock() -> Clock:
    """A clock."""
    return Clock()


@pytest.fixture
def hook(nova: Nova, clock: Clock) -> Webhook:
    """A webhook to it."""
    return Webhook("http://nova", nova, interval=0.5, clock=clock)


def told(*news: News) -> list[str]:
    """The names of what Nova is told of these."""
    words = Words()
    return [event["name"].removeprefix("network-vif-") for each in news if (event := words.of(each))]


def as_(kind: str, news: News = READY) -> News:
    """The same, of another type."""
    return replace(news, type=kind)


def test_plugged_when_active() -> None:
    """A port that becomes ACTIVE is plugged, in exactly Nova's form; once, however often its program changes."""
    words = Words()
    assert words.of(PORT) == PLUGGED
    assert words.of(PORT) is None


def test_plugged_when_the_target_is_ready() -> None:
    """A passive binding that is ready is plugged as well, and becomes active without another word."""
    assert told(PORT, READY, as_("move.settled"), replace(PORT, host="h2")) == ["plugged", "plugged"]


@pytest.mark.parametrize("end", ["move.cancelled", "move.failed", "move.preparing"])
def test_plugged_again(end: str) -> None:
    """Whoever tries a target once more, after a move was given up or its tap was pulled out, is told once more."""
    assert told(READY, as_(end), READY) == ["plugged", "plugged"]


def test_plugged_where_it_was_before() -> None:
    """A port that comes back to a host that it has left is plugged there anew."""
    back = replace(READY, source="h2", target="h1")
    assert told(PORT, READY, as_("move.settled"), back) == ["plugged"] * 3


def test_unplugged_and_deleted() -> None:
    """A port that was plugged and is DOWN is unplugged, once; a deleted one has no status, as Neutron writes it."""
    down = as_("port.down", PORT)
    assert told(down, PORT, down, down, PORT) == ["plugged", "unplugged", "plugged"]
    assert Words().of(as_("port.deleted", PORT)) == {"name": "network-vif-deleted", "server_uuid": SERVER, "tag": "p"}


@pytest.mark.parametrize(
    "news",
    [
        replace(PORT, device_owner="network:dhcp"),
        replace(PORT, device_owner=""),
        replace(PORT, device_id=""),
        replace(PORT, device_id="vm-1"),
        as_("port.bound", PORT),
        as_("move.grace"),
        News(1, "host.lost", 0.0, host="h1"),
    ],
)
def test_not_novas(news: News) -> None:
    """What is not about a port of one of Nova's servers, or means nothing to it, is not told."""
    assert told(news) == []


def test_events_go_in_batches(hook: Webhook, nova: Nova) -> None:
    """What came meanwhile goes in one request, in order, a hundred at the most; then others gather for a while."""
    for number in range(150):
        hook.hear(replace(PORT, port_id=str(number)))
    assert (hook.turn(), hook.turn(), hook.turn()) == (0.5, 0.5, 0.0)
    assert [len(batch) for batch in nova.got] == [100, 50]
    assert [event["tag"] for batch in nova.got for event in batch] == [str(number) for number in range(150)]


@pytest.mark.parametrize("failure", [500, 503, 429, 401, OSError("refused")])
def test_trouble_is_tried_again(hook: Webhook, nova: Nova, failure: int | OSError) -> None:
    """While it fails the same events are tried again, ever more seldom; the operator is told, and no more after."""
    nova.answers = [failure] * 10
    hook.hear(PORT)
    pauses = [hook.turn() for _ in range(10)]
    assert pauses[:3] == [0.2, 0.4, 0.8]
    assert max(pauses) == 30.0
    assert "webhook http://nova: " in hook.problem
    assert "1 events wait, 0 are given up" in hook.problem
    nova.got.clear()
    hook.hear(replace(PORT, port_id="q"))
    assert hook.turn() == 0.5
    assert [event["tag"] for event in nova.got[0]] == ["p", "q"]
    assert hook.problem == ""


@pytest.mark.parametrize(("answer", "given_up"), [(400, 1), (403, 1), (302, 1), (404, 0), (207, 0)])
def test_a_refusal_is_not_tried_again(hook: Webhook, nova: Nova, answer: int, given_up: int) -> None:
    """What is refused for good is given up and said; a Nova that knows no such server has been told all the same."""
    nova.answers = [answer]
    hook.hear(PORT)
    assert hook.turn() == 0.5
    assert (hook.given_up, bool(hook.problem)) == (given_up, bool(given_up))
    assert hook.turn() == 0.0


def test_nobody_waits_for_what_is_old(hook: Webhook, nova: Nova, clock: Clock) -> None:
    """An event that could not be told within five minutes is given up."""
    nova.answers = [OSError("refused")]
    hook.hear(PORT)
    hook.turn()
    clock.now = 200.0
    hook.hear(replace(PORT, port_id="q"))
    clock.now = 301.0
    hook.turn()
    assert [event["tag"] for batch in nova.got for event in batch] == ["q"]
    assert hook.given_up == 1


def test_what_waits_is_bounded(hook: Webhook, monkeypatch) -> None:
    """Where nobody takes the events, the oldest are given up."""
    monkeypatch.setattr(webhooks, "_WAITING", 3)
    for number in range(5):
        hook.hear(replace(PORT, port_id=str(number)))
    assert hook.given_up == 2


@pytest.mark.parametrize("answer", [b"", b"[]", b"not json", b'{"events": 5}', b'{"events": [5]}'])
def test_an_odd_answer(clock: Clock, answer: bytes) -> None:
    """Whatever a receiver says besides its status does no harm."""
    hook = Webhook("http://nova", lambda _: (200, answer), interval=0.5, clock=clock)
    hook.hear(PORT)
    assert hook.turn() == 0.5
