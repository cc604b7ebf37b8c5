"""A controller's edge over real HTTP: eventlet's WSGI server in a thread of its own, a real world behind it."""

from __future__ import annotations

import http.client
import importlib.util
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from controller import green

green.prepare()

import eventlet  # noqa: E402

from controller.configuration import Endpoint  # noqa: E402
from controller.rest.app import build  # noqa: E402
from controller.rest.limits import RateLimits  # noqa: E402
from controller.rest.server import Server  # noqa: E402
from controller.tokens import Token  # noqa: E402
from tests.fabric import graphs  # noqa: E402
from tests.rest.operated import OperatedDesk, Prompt, Shelf  # noqa: E402

_SPEC = importlib.util.spec_from_file_location("rest_service", Path(__file__).with_name("service.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
service_module = importlib.util.module_from_spec(_SPEC)
sys.modules["rest_service"] = service_module
_SPEC.loader.exec_module(service_module)

TOKENS = {"operator": "operator-0123456789", "blue": "blue-0123456789abc", "red": "red-0123456789abcd"}


@dataclass
class Answer:
    """What came back over HTTP."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def error(self) -> dict[str, str]:
        """The error in Neutron's form, which must be all that there is."""
        assert set(self.body) == {"NeutronError"}, self.body
        assert set(self.body["NeutronError"]) == {"type", "message", "detail"}
        return self.body["NeutronError"]


class Client:
    """Speaks HTTP as one of the callers."""

    def __init__(self, port: int, token: str | None) -> None:
        self._port = port
        self._token = token

    def raw(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        """Send exactly this."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            sent = {} if self._token is None else {"X-Auth-Token": self._token}
            connection.request(method, path, body, {**sent, **(headers or {})})
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        found = dict(response.getheaders())
        is_json = found.get("Content-Type", "").startswith("application/json")
        return Answer(response.status, json.loads(content) if is_json else content, found)

    def __call__(self, method: str, path: str, body: object = None) -> Answer:
        """Send JSON."""
        if body is None:
            return self.raw(method, path)
        return self.raw(method, path, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def make(self, noun: str, **fields: object) -> dict[str, Any]:
        """Create an object that must be possible, and return it."""
        return self.make_at(f"{noun}s", noun, **fields)

    def make_at(self, path: str, noun: str, **fields: object) -> dict[str, Any]:
        """Create an object of which the address does not follow from its name."""
        answer = self("POST", f"/v2.0/{path}", {noun: fields})
        assert answer.status == 201, answer
        return answer.body[noun]


class Stand:
    """Stands where another thing is, so that one server serves all tests, each with a world of its own."""

    def __init__(self) -> None:
        self.behind: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)


@dataclass
class Edge:
    """A running edge and the world behind it."""

    port: int
    service: Any
    limits: Stand

    def as_(self, who: str | None) -> Client:
        """A client with the token of a project, of the operator, or none."""
        return Client(self.port, None if who is None else TOKENS.get(who, who))

    def documents(self) -> dict[tuple[str, str], object]:
        """Everything that the world would have stored."""
        return {(document.kind, document.id): document.body for document in self.service.world.documents()}


@pytest.fixture(scope="session")
def served() -> Iterator[tuple[Stand, Stand, int]]:
    """A server, in a thread because the tests block; with it what stands where its service and its limits are."""
    stand: Any = Stand()
    limits: Any = Stand()
    projects = {name: Token(TOKENS[name]) for name in ("blue", "red")}
    app = build(
        stand,
        Token(TOKENS["operator"]),
        projects,
        limits=limits,
        activation_seconds=1,
        event_clients=4,
        event_seconds=0.02,
    )
    ports: list[int] = []
    up = threading.Event()
    stop = threading.Event()

    def run() -> None:
        server = Server(Endpoint("127.0.0.1", 0), app)
        ports.append(server.endpoint.port)
        up.set()
        while not stop.is_set():
            eventlet.sleep(0.01)
        server.stop()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert up.wait(10)
    yield stand, limits, ports[0]
    stop.set()
    thread.join(10)
    assert not thread.is_alive(), "the server does not stop"


@pytest.fixture
def edge(served: tuple[Stand, Stand, int]) -> Edge:
    """An edge with two hosts and nothing else."""
    stand, limits, port = served
    stand.behind = service_module.WorldService("h1", "h2")
    limits.behind = RateLimits()
    return Edge(port, stand.behind, limits)


@pytest.fixture
def op(edge: Edge) -> Client:
    """The operator."""
    return edge.as_("operator")


@pytest.fixture
def blue(edge: Edge) -> Client:
    """A tenant."""
    return edge.as_("blue")


@pytest.fixture
def red(edge: Edge) -> Client:
    """Another tenant."""
    return edge.as_("red")


@pytest.fixture
def unchanged(edge: Edge) -> Iterator[Callable[[], None]]:
    """Call it before the bad request; at the end the world must be what it was then."""
    before: list[dict[tuple[str, str], object]] = []
    yield lambda: before.append(edge.documents())
    assert before, "the test never said where it begins"
    assert edge.documents() == before[0]


@pytest.fixture
def shelf() -> Shelf:
    """An empty store."""
    return Shelf()


@pytest.fixture
def desk(served: tuple[Stand, Stand, int], edge: Edge, shelf: Shelf) -> OperatedDesk:
    """Instead of the edge's world: a real owner of three leaves on two spines, each by two links."""
    assert edge.port
    stand, _, _ = served
    owner = Prompt(shelf)
    owner.connect(graphs.leafspine())
    shelf.kept.clear()
    stand.behind = OperatedDesk(owner)
    return stand.behind


@pytest.fixture
def same_fabric(desk: OperatedDesk) -> Iterator[Callable[[], None]]:
    """Call it before the bad request; at the end fabric, store and switches must be what they were then."""
    before: list[tuple[object, ...]] = []
    yield lambda: before.append(desk.owner.state())
    assert before, "the test never said where it begins"
    assert desk.owner.state() == before[0]
