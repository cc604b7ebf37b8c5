"""Whoever wants to know what happens hears of it as it happens."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, Self

import pytest
import sseclient

from controller.bulletin import BEHIND, KEPT
from overlay.changes import HostBack, HostLost, Notice, NoticeKind, Unplugged
from overlay.values import HostName


@pytest.fixture
def port(op, edge) -> str:
    """The id of blue's port, which lives at h1."""
    network = op.make("network", project_id="blue")
    made = op.make("port", network_id=network["id"], device_id="vm-1", **{"binding:host_id": "h1"})
    edge.service.plug("h1", made["id"])
    return made["id"]


class Stream:
    """A client of another make (sseclient-py) that follows."""

    def __init__(self, port: int, token: str, query: str = "", last: str | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        headers = {"X-Auth-Token": token, "Accept": "text/event-stream"}
        self._connection.request(
            "GET", f"/v1/events{query}", headers=headers | ({"Last-Event-ID": last} if last else {})
        )
        self.answer = self._connection.getresponse()
        self._lines = iter(self.answer.readline, b"")
        self.events = iter(sseclient.SSEClient(self._lines).events())
        if self.answer.status == 200:
            assert next(self._lines) == b": events\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.answer.close()
        self._connection.close()

    def types(self, number: int) -> list[str]:
        """The types of the next so many events."""
        return [next(self.events).event for _ in range(number)]


@pytest.fixture
def follow(edge) -> Iterator[Callable[..., Stream]]:
    """Follow as somebody."""
    tokens = {"op": "operator-0123456789", "blue": "blue-0123456789abc", "red": "red-0123456789abcd"}
    with ExitStack() as stack:
        yield lambda who="op", query="", last=None: stack.enter_context(Stream(edge.port, tokens[who], query, last))
    deadline = time.monotonic() + 10
    while edge.service.bulletin.readers:
        assert time.monotonic() < deadline, "whoever has gone is still written to"


def data(event: Any) -> dict[str, Any]:
    """What an event says."""
    return json.loads(event.data)


def test_a_move_is_followed(op, edge, port: str, follow) -> None:
    """Each phase of a move is an event of its own with its hosts, and the answer is what it says that it is."""
    path = f"/v2.0/ports/{port}/bindings"
    stream = follow(query="?types=move")
    assert stream.answer.getheader("Content-Type").startswith("text/event-stream")
    assert stream.answer.getheader("Cache-Control") == "no-store"
    op("POST", path, {"binding": {"host": "h2"}})
    first = next(stream.events)
    assert first.event == "move.preparing"
    told = data(first)
    assert (told["port_id"], told["source"], told["target"]) == (port, "h1", "h2")
    assert op("GET", f"/v1/moves/{told['move_id']}").status == 200
    edge.service.plug("h2", port, 6)
    assert stream.types(1) == ["move.ready"]
    op("PUT", f"{path}/h2/activate")
    assert stream.types(3) == ["move.hairpinning", "move.repointing", "move.grace"]
    edge.service.settle()
    assert stream.types(1) == ["move.settled"]


def test_a_port_is_followed(op, edge, port: str, follow) -> None:
    """A port's events tell where it is bound, that it is up or down, and that it was deleted, with its device."""
    other = op.make("port", network_id=op("GET", f"/v2.0/ports/{port}").body["port"]["network_id"])["id"]
    stream = follow(query=f"?port_id={port}&types=port")
    edge.service.plug("h1", other, 9)
    edge.service.apply(Unplugged(HostName("h1"), port))
    edge.service.plug("h1", port)
    op("PUT", f"/v2.0/ports/{port}", {"port": {"binding:host_id": ""}})
    op("DELETE", f"/v2.0/ports/{port}")
    found = [next(stream.events) for _ in range(5)]
    assert [each.event for each in found] == ["port.down", "port.active", "port.bound", "port.down", "port.deleted"]
    assert [data(each).get("host") for each in found] == ["h1", "h1", None, None, None]
    assert {data(each)["device_id"] for each in found} == {"vm-1"}


def test_a_host_is_lost_and_back(edge, follow) -> None:
    """The operator hears of hosts."""
    stream = follow(query="?types=host.*")
    edge.service.apply(HostLost(HostName("h2")))
    edge.service.apply(HostBack(HostName("h2")))
    found = [next(stream.events) for _ in range(2)]
    assert [(each.event, data(each)["host"]) for each in found] == [("host.lost", "h2"), ("host.back", "h2")]


def test_a_project_hears_of_its_own(op, edge, port: str, follow) -> None:
    """A project hears of its own ports and moves, never of hosts nor of others' ports; another one hears nothing."""
    own, others = follow("blue"), follow("red")
    edge.service.apply(HostLost(HostName("h1")))
    edge.service.apply(HostBack(HostName("h1")))
    edge.service.confirm()
    op("POST", f"/v2.0/ports/{port}/bindings", {"binding": {"host": "h2"}})
    found = [next(own.events) for _ in range(3)]
    assert [each.event for each in found] == ["port.down", "port.active", "move.preparing"]
    assert not any({"host", "source", "target"} & set(data(each)) for each in found)
    network = op.make("network", project_id="red")["id"]
    op("DELETE", f"/v2.0/ports/{op.make('port', network_id=network, project_id='red')['id']}")
    assert others.types(1) == ["port.deleted"]


def test_whoever_comes_back_misses_nothing(edge, port: str, follow) -> None:
    """With Last-Event-ID the events after that one come first, then the new ones; none twice."""
    with follow(query="?types=port") as stream:
        edge.service.apply(Unplugged(HostName("h1"), port))
        seen = next(stream.events)
    edge.service.plug("h1", port)
    again = follow(query="?types=port", last=seen.id)
    assert again.types(1) == ["port.active"]
    edge.service.apply(Unplugged(HostName("h1"), port))
    assert again.types(1) == ["port.down"]


@pytest.mark.usefixtures("port")
@pytest.mark.parametrize("last", ["5a-999999", "77-1", "nonsense", "<old>"])
def test_what_is_gone_is_said(edge, follow, last: str) -> None:
    """Where it is not known any more what came after an id, the first event says so, and what is kept follows."""
    if last == "<old>":
        notices = [Notice(NoticeKind.HOST_LOST, "h1", "")] * (KEPT + 1)
        edge.service.bulletin.tell(notices, edge.service.world, 0.0)
        last = "5a-1"
    with follow(last=last) as stream:
        first, second = next(stream.events), next(stream.events)
    assert (first.event, data(first)["since"]) == ("missed", last)
    assert second.event in {"port.active", "host.lost"}


@pytest.mark.usefixtures("port")
def test_what_there_is_already(follow) -> None:
    """Without following, the answer ends with what is kept."""
    with follow(query="?types=port.active&follow=false") as stream:
        assert [each.event for each in stream.events] == ["port.active"]


def test_a_slow_client_is_dropped(op, edge, port: str, follow, monkeypatch) -> None:
    """A client that is too far behind is told so by the last event, and whoever made the events did not wait for it."""
    stream = follow(query="?types=host")
    submit = edge.service.submit

    def flood(intent: object) -> object:
        notices = [Notice(NoticeKind.HOST_LOST, "h1", "")] * (BEHIND + 1)
        edge.service.bulletin.tell(notices, edge.service.world, 0.0)
        return submit(intent)

    monkeypatch.setattr(edge.service, "submit", flood)
    assert op("PUT", f"/v2.0/ports/{port}", {"port": {"name": "new"}}).status == 200
    found = [each.event for each in stream.events]
    assert (len(found), found[-1]) == (BEHIND + 1, "dropped")


def test_the_number_of_clients_is_bounded(op, follow) -> None:
    """Beyond the limit a client is answered 503 with when to come again; a project has half; who leaves makes room."""
    streams = [follow("blue"), follow("blue")]
    refused = follow("blue").answer
    assert (refused.status, refused.getheader("Retry-After")) == (503, "5")
    streams += [follow(), follow()]
    answer = op("GET", "/v1/events")
    assert (answer.status, answer.error["type"]) == (503, "TooManyEventClients")
    assert "rest.event_clients is 4" in answer.error["message"]
    streams.pop().__exit__()
    while op("GET", "/v1/events?follow=false").status != 200:
        pass


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?types=port.gone", "types"),
        ("?types=", "types"),
        ("?types=move,nothing", "types"),
        ("?port_id=", "port_id"),
        ("?follow=maybe", "follow"),
        ("?host=h1", "host"),
    ],
)
def test_a_bad_question(op, query: str, field: str) -> None:
    """A filter that cannot be is answered 400 with its name."""
    answer = op("GET", f"/v1/events{query}")
    assert answer.status == 400, answer
    assert field in answer.error["message"]


def test_without_a_token(edge) -> None:
    """Nobody hears anything without saying who it is."""
    assert edge.as_(None)("GET", "/v1/events").status == 401
