"""Who watches what happens, as it happens?

Server-Sent Events (the HTML standard, section 9.2): one long answer, of which each event has an id, a type and JSON.
The operator sees everything, a project what happens to its own ports, without the hosts.  Whoever comes back with the
header ``Last-Event-ID`` gets what it missed.  A stream ends after a quarter of an hour, so that tokens are looked at
anew; browsers and our own command come back by themselves.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated, Final, TypeAlias

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from pydantic import Field, PlainValidator, WithJsonSchema

from controller.bulletin import TYPES, Bulletin, News, Reader
from controller.rest import answers
from controller.rest.access import Caller, caller
from controller.rest.errors import ErrorAnswer, TooManyEventClients
from controller.rest.fields import Asked, Body, Identity, Maybe, refused
from controller.rest.policy import OPERATORS
from controller.service import Service

CLIENTS: Final = 100
"""How many streams there may be at once; a project may have half of them."""
ALIVE_SECONDS: Final = 15.0
"""After so much silence a comment is sent, so that neither side takes the other for dead."""
STREAM_SECONDS: Final = 900.0
RETRY_MS: Final = 1000
"""When a client is to come back whose stream has ended."""

_FAMILIES: Final = sorted({each.partition(".")[0] for each in TYPES})
_ID: Final = re.compile(r"([0-9a-f]{1,32})-([0-9]{1,18})")
_FIELDS: Final = ("at", "port_id", "project_id", "device_id", "host", "move_id", "source", "target", "reason")
_HIDDEN: Final = OPERATORS["event"]
"""What of an event only the operator sees."""


_SCHEMA: Final = {
    "type": "object",
    "description": "Each event; its data is JSON.",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": [*TYPES, "missed", "dropped"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}


def _types(given: object) -> frozenset[str]:
    """Types by name, or all of a family: ``move`` or ``move.*``."""
    found: list[str] = []
    for word in str(given).split(","):
        name = word.strip().removesuffix(".*")
        matching = [each for each in TYPES if name in {each, each.partition(".")[0]}]
        if not matching:
            raise refused(f"{word!r} is neither a type of events nor one of the families {', '.join(_FAMILIES)}")
        found += matching
    return frozenset(found)


Types: TypeAlias = Annotated[frozenset[str], PlainValidator(_types), WithJsonSchema({"type": "string"})]


class EventsQuery(Body):
    """Which events."""

    types: Types | None = Field(
        None, description=f"Some of {', '.join(TYPES)}, or families like move, with commas in between."
    )
    port_id: Identity | None = None
    follow: bool = Field(True, description="False ends with what there is already.")


class EventsHeader(Asked):
    """After which event to go on."""

    last_event_id: Maybe[str] = Field(None, alias="Last-Event-ID", description="The id of the last event that was got.")


class _Room:
    """The streams that there are; their number is bounded, in all and for each project."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str | None] = Counter()

    def take(self, who: Caller) -> Callable[[], None]:
        """Let one more in.  :returns: what ends it.  :raises TooManyEventClients: where there is no room."""
        project = None if who.is_operator else who.project
        full = self._open.total() >= self._most
        if full or (project is not None and self._open[project] >= max(1, self._most // 2)):
            raise TooManyEventClients(
                f"{self._open.total()} clients follow events already; rest.event_clients is {self._most}", 5
            )
        self._open[project] += 1

        def leave() -> None:
            self._open[project] -= 1

        return leave


def blueprint(service: Service, clients: int = CLIENTS, alive_seconds: float = ALIVE_SECONDS) -> APIBlueprint:
    """Build the route of events.

    :param clients: how many streams there may be at once.
    """
    api = answers.routes("events", "/v1")
    room = _Room(clients)

    @api.get(
        "/events",
        responses={
            200: {"description": "Events.", "content": {"text/event-stream": {"schema": _SCHEMA}}},
            **dict.fromkeys((400, 401, 403, 429, 503), ErrorAnswer),
        },
    )
    def follow_events(query: EventsQuery, header: EventsHeader) -> Response:
        """Follow what happens to ports, moves and hosts, as Server-Sent Events; a project what is about its ports."""
        who = caller()
        leave = room.take(who)
        stream = _Stream(service.bulletin, who, query, header.last_event_id)
        request.environ["eventlet.minimum_write_chunk_size"] = 1  # each event at once
        response = Response(
            stream.written(alive_seconds), mimetype="text/event-stream", headers={"Cache-Control": "no-store"}
        )
        response.call_on_close(leave)
        response.call_on_close(stream.close)
        return response

    return api


class _Stream:
    """What one client is told.

    :param last: the id of the last event that it has got already, if it says any.
    """

    def __init__(self, bulletin: Bulletin, who: Caller, query: EventsQuery, last: str | None) -> None:
        self._bulletin = bulletin
        self._who = who
        self._follow = query.follow
        self._last = last
        self._reader = Reader(lambda news: _hears(who, query, news))
        self._head = "" if last is not None else f"id: {bulletin.run}-{bulletin.last}\n"
        self._whole = bulletin.join(self._reader, self._since(last))

    def _since(self, last: str | None) -> int | None:
        if last is None:
            return None if self._follow else 0
        match = _ID.fullmatch(last)
        return int(match[2]) if match is not None and match[1] == self._bulletin.run else -1

    def close(self) -> None:
        """Hear no more."""
        self._bulletin.leave(self._reader)

    def written(self, alive_seconds: float) -> Iterator[str]:
        """Write events as they come."""
        yield f": events\nretry: {RETRY_MS}\n{self._head}\n"
        if self._last is not None and not self._whole:
            yield _said("missed", {"since": self._last, "message": "what came after it is not known any more"})
        until = time.monotonic() + STREAM_SECONDS
        while True:
            found = self._reader.take(alive_seconds if self._follow else 0)
            for news in found:
                yield _event(self._bulletin.run, self._who, news)
            if not found:
                yield ":\n\n"
            if self._reader.cut:
                yield _said("dropped", {"message": "the client is too slow; it may come back"})
                return
            if not self._follow or time.monotonic() > until:
                return


def _hears(who: Caller, query: EventsQuery, news: News) -> bool:
    if query.types is not None and news.type not in query.types:
        return False
    if query.port_id not in {None, news.port_id}:
        return False
    return who.is_operator or (bool(news.project_id) and news.project_id == who.project)


def _event(run: str, who: Caller, news: News) -> str:
    fields = (name for name in _FIELDS if who.is_operator or name not in _HIDDEN)
    data = {name: value for name in fields if (value := getattr(news, name)) != ""}
    return f"id: {run}-{news.number}\n{_said(news.type, data)}"


def _said(kind: str, data: dict[str, object]) -> str:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"  # JSON as ASCII has no line ends
