"""How fast is the API, and does one project's storm keep another project waiting?

A real controller of a real lab over real HTTP.  What its requests take stands beside what cannot be had for less, taken
in turns in the same run: a bare request of the same web framework, which does nothing, and a bare commit of the same
store.  While one project sends ten thousand creations, another makes one port after the other.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any, Final

from bench.bed import PROJECT, Bed, bed, wait
from bench.ovsdb import Plug
from bench.record import Notebook
from bench.taps import Holder
from bench.vl2_paper.asking import Client, Door, together
from controller.store import SqliteStore
from overlay.changes import Document
from overlay.values import UNLIMITED

OTHER: Final = "blue"
MAKING: Final = "Creation of ports"
LISTS: Final = "Lists of {number:,} ports"
ACTIVE: Final = "From POST to ACTIVE: a port is made, and its machine plugged"
STORM: Final = "Another project's creation of one port"
_ROUNDS: Final = 10
_BULKS: Final = 5
_LISTED: Final = 7
_CONNECTIONS: Final = 8
_HUGE: Final = 3
_PAUSE: Final = 0.01
"""Between two requests of the project that is not the storm."""
_ALONE: Final = 100
_ACTIVE: Final = 50
_PAGE: Final = 1000
_SERVER: Final = "from controller import green; green.patch(); from bench import bare; bare.serve()"
"""What the bare server's Python has to run, in this order."""
_BARE: Final = "a bare request of the framework"
_COMMIT: Final = "a bare commit of the store"
_WANTED: Final = "≤ 50 ms more at the median"


def timed(ask: Callable[[], object]) -> float:
    """How long it takes, in milliseconds."""
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1000


def must(client: Client, request: bytes) -> Any:
    """Ask for something that must be possible.

    :raises RuntimeError: for an answer that is not 2xx.
    """
    status, body = client.ask(request)
    if not 200 <= status < 300:
        raise RuntimeError(f"the controller answered {status} {body[:200]!r}")
    return json.loads(body) if body else None


class Shelf:
    """A store of the measurement's own, and documents such as the controller writes."""

    def __init__(self, directory: Path, port: dict[str, Any]) -> None:
        self._store = SqliteStore(directory)
        self._body = port
        self._numbers = itertools.count()

    def commit(self, number: int) -> None:
        """Write so many documents in one commit."""
        self._store.commit([Document("port", str(next(self._numbers)), self._body) for _ in range(number)])

    def close(self) -> None:
        """Let go of it."""
        self._store.close()


@contextmanager
def bare() -> Iterator[Door]:
    """Serve what does nothing, in a process of its own."""
    with subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield Door("127.0.0.1", int(server.stdout.readline() if server.stdout else 0), "none")
        finally:
            server.kill()


@dataclass(frozen=True, slots=True)
class Floor:
    """What cannot be had for less."""

    client: Client
    request: bytes
    question: bytes
    shelf: Shelf

    def asked(self) -> float:
        """A bare request, in milliseconds."""
        return timed(lambda: self.client.ask(self.request))

    def listed(self) -> float:
        """A bare question, in milliseconds."""
        return timed(lambda: self.client.ask(self.question))

    def stored(self, number: int = 1) -> float:
        """A bare commit, in milliseconds."""
        return timed(lambda: self.shelf.commit(number))


@dataclass(frozen=True, slots=True)
class Tenant:
    """A project with a network that has room for a million ports."""

    door: Door
    network: str

    @classmethod
    def of(cls, place: Bed, project: str) -> Tenant:
        """Make the network."""
        control = place.status.controller
        if control is None:
            raise RuntimeError("the lab has no controller")
        token = Path(control.project_token_files[project]).read_text("utf-8").strip()
        door = Door(control.rest_host, control.rest_port, token)
        client = Client(door)
        made = must(client, door.request("POST", "/v2.0/networks", {"network": {"name": "api"}}))
        network = str(made["network"]["id"])
        subnet = {"network_id": network, "cidr": "10.0.0.0/12", "ip_version": 4}
        must(client, door.request("POST", "/v2.0/subnets", {"subnet": subnet}))
        client.close()
        return cls(door, network)

    def one(self) -> bytes:
        """The request for one port."""
        return self.door.request("POST", "/v2.0/ports", {"port": {"network_id": self.network, "name": "one"}})

    def many(self, number: int) -> bytes:
        """The request for many."""
        return self.door.request("POST", "/v2.0/ports", {"ports": [{"network_id": self.network}] * number})


# ── creations ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def creations(book: Notebook, red: Tenant, floor: Floor, number: int) -> None:
    """Ports one by one, in turns with what cannot be had for less."""
    client = Client(red.door)
    request, each = red.one(), max(1, number // _ROUNDS)
    for _ in range(_ROUNDS):
        asked = [floor.asked() for _ in range(each)]
        stored = [floor.stored() for _ in range(each)]
        made = [timed(lambda: must(client, request)) for _ in range(each)]
        book.take(MAKING, _BARE, "time", "ms", asked)
        book.take(MAKING, f"{_COMMIT}: 1 document", "time", "ms", stored)
        case = f"{number:,} ports one by one"
        book.take(MAKING, case, "time", "ms", made)
        book.take(MAKING, case, "ports per second", "1/s", 1000 * each / sum(made))
        book.take(MAKING, case, "times a bare request and a bare commit", "", sum(made) / (sum(asked) + sum(stored)))
    client.close()
    book.say(f"{number} ports one by one")


def bulks(book: Notebook, red: Tenant, floor: Floor, number: int, times: int) -> None:
    """So many ports in one request, in turns with a commit of as many documents."""
    client, request = Client(red.door), red.many(number)
    for _ in range(times):
        asked, stored = [floor.asked() for _ in range(10)], floor.stored(number)
        took = timed(lambda: must(client, request))
        case = f"{number:,} ports in one request"
        book.take(MAKING, f"{_COMMIT}: {number:,} documents", "time", "ms", stored)
        book.take(MAKING, case, "time", "ms", took)
        book.take(MAKING, case, "ports per second", "1/s", 1000 * number / took)
        least = statistics.median(asked) + stored
        book.take(MAKING, case, "times a bare request and a bare commit", "", took / least)
    client.close()
    book.say(f"{number} ports in one request")


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def lists(book: Notebook, place: Bed, red: Tenant, floor: Floor, number: int) -> None:
    """Ten thousand ports with filters and pages, as the operator asks for them."""
    door = Door.of(place)
    client = Client(door)
    known = must(client, door.request("GET", "/v2.0/ports?fields=id"))["ports"]
    while len(known) < number:
        must(client, Tenant(door, red.network).many(min(1000, number - len(known))))
        known = must(client, door.request("GET", "/v2.0/ports?fields=id"))["ports"]
    table = LISTS.format(number=len(known))
    one = known[len(known) // 2]["id"]
    for case, query in (
        ("all", ""),
        ("all, two fields", "?fields=id&fields=status"),
        ("those that are ACTIVE (none)", "?status=ACTIVE"),
        ("those of a name", "?name=one"),
        ("those of a name that nobody has", "?name=nobody"),
        ("the one of an id", f"?id={one}"),
        ("those of another network", "?network_id=none"),
    ):
        question = door.request("GET", f"/v2.0/ports{query}")
        for _ in range(_LISTED):
            floor_took = floor.listed()
            took = timed(lambda: must(client, question))  # noqa: B023  (called at once)
            book.take(table, "a bare question of the framework", "time", "ms", floor_took)
            book.take(table, case, "time", "ms", took)
            book.take(table, case, "times a bare question", "", took / floor_took)
    _pages(book, client, door, floor, table)
    client.close()
    book.say(table)


def _pages(book: Notebook, client: Client, door: Door, floor: Floor, table: str) -> None:
    """Page through all of them, where the controller has pages."""
    first = f"/v2.0/ports?limit={_PAGE}&sort_key=id"
    if client.ask(door.request("GET", first))[0] != 200:
        book.note("The controller has no pages yet.")
        return
    marker, case = "", f"a page of {_PAGE:,}"
    while True:
        floor_took, began = floor.listed(), time.perf_counter()
        page = must(client, door.request("GET", first + marker))["ports"]
        took = (time.perf_counter() - began) * 1000
        if not page:
            return
        book.take(table, case, "time", "ms", took)
        book.take(table, case, "times a bare question", "", took / floor_took)
        marker = f"&marker={page[-1]['id']}"


# ── from POST to ACTIVE ───────────────────────────────────────────────────────────────────────────────────────────────


def active(book: Notebook, place: Bed, holder: Holder, floor: Floor, number: int) -> None:
    """Make a port, plug its machine, and wait until every switch has it."""
    network = place.network("active", "10.9.0.0/16")
    host = place.hosts[0]
    taps = [f"api{each}" for each in range(number)]
    holder.make([(tap, place.hypervisor(host).pid) for tap in taps])
    for tap in taps:
        least = floor.asked() + floor.stored()
        began = time.monotonic()
        port = str(place.port(network, host)["id"])
        answered = time.monotonic()
        place.databases[host].plug([Plug(tap, port)])
        plugged = time.monotonic()
        ended = wait(lambda port=port: place.active(port), "the port is ACTIVE", pause=0.0005)  # type: ignore[misc]
        in_all = (ended - began) * 1000
        book.take(ACTIVE, "one after the other", "answered after", "ms", (answered - began) * 1000)
        book.take(ACTIVE, "one after the other", "ACTIVE after", "ms", in_all)
        book.take(ACTIVE, "one after the other", "ACTIVE after the plug", "ms", (ended - plugged) * 1000)
        book.take(ACTIVE, "one after the other", "times a bare request and a bare commit", "", in_all / least)
    book.say(f"{number} ports from POST to ACTIVE")


# ── the storm ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def blow(storm: Storm, begun: Event, ended: Event) -> None:
    """Send one request again and again over several connections (in a process of its own)."""
    begun.set()
    try:
        together(storm.door, [itertools.repeat(storm.request, storm.each) for _ in range(storm.connections)], 600.0)
    finally:
        ended.set()


@dataclass(frozen=True, slots=True)
class Storm:
    """What a project sends: one request so many times over each connection."""

    case: str
    door: Door
    request: bytes
    each: int
    connections: int = 1

    @contextmanager
    def blowing(self) -> Iterator[Callable[[], bool]]:
        """From the first request to the last answer.

        :raises RuntimeError: when a request was not answered as it should be.
        """
        context = multiprocessing.get_context("spawn")
        begun, ended = context.Event(), context.Event()
        process = context.Process(target=blow, args=(self, begun, ended))
        process.start()
        try:
            if not begun.wait(60):
                raise RuntimeError("the storm does not begin")
            yield lambda: not ended.is_set()
        finally:
            process.join(600)
        if process.exitcode:
            raise RuntimeError(f"the storm failed: {self.case}")


def beside(book: Notebook, blue: Tenant, case: str, blowing: Callable[[], bool]) -> list[float]:
    """Make one port after the other as long as the storm blows."""
    client, request = Client(blue.door), blue.one()
    took = []
    while blowing():
        took.append(timed(lambda: must(client, request)))
        time.sleep(_PAUSE)
    client.close()
    if took:
        book.take(STORM, case, "time", "ms", took)
    return took


def storms(book: Notebook, red: Tenant, blue: Tenant, number: int) -> None:
    """Measure a project's creations alone and beside each kind of storm of another's."""

    def alone() -> list[float]:
        left = iter(range(_ALONE))
        return beside(book, blue, "alone", lambda: next(left, None) is not None)

    quiet, bulk = alone(), number // 10
    for storm, times in (
        (
            Storm(
                f"beside {number:,} creations over {_CONNECTIONS} connections",
                red.door,
                red.one(),
                number // _CONNECTIONS,
                _CONNECTIONS,
            ),
            1,
        ),
        (Storm(f"beside 10 bulks of {bulk:,} over 2 connections", red.door, red.many(bulk), 5, 2), 1),
        (Storm(f"beside a bulk of {number:,}", red.door, red.many(number), 1), _HUGE),
    ):
        took: list[float] = []
        for _ in range(times):
            with storm.blowing() as blowing:
                began = time.monotonic()
                took += beside(book, blue, storm.case, blowing)
                book.take(STORM, storm.case, "the storm took", "ms", (time.monotonic() - began) * 1000)
        quiet += alone()
        more = statistics.median(took) - statistics.median(quiet)
        book.take(STORM, storm.case, "more than alone at the median", "ms", more, _WANTED)
        book.say(f"{storm.case}: {len(took)} creations of the other project, {more:.1f} ms more at the median")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="bench.api", description=__doc__)
    parser.add_argument(
        "--ports", type=int, default=1000, help="ports that are made one by one, and a tenth of a storm"
    )
    given = parser.parse_args(argv)
    book = Notebook("api", "How fast is the API, and does one project's storm keep another project waiting?")
    book.parameters = {"ports": given.ports, "listed": 10 * given.ports, "storm": 10 * given.ports}
    with (
        bed("api", "vl2", {}) as place,
        Holder() as holder,
        bare() as door,
        tempfile.TemporaryDirectory() as directory,
    ):
        red, blue = (Tenant.of(place, project) for project in (PROJECT, OTHER))
        for project in (PROJECT, OTHER):  # three storms are more than any project may have by default
            place.rest.ask("PUT", f"/v2.0/quotas/{project}", {"quota": {"network": UNLIMITED, "port": UNLIMITED}})
        asking, client = Client(red.door), Client(door)
        shelf = Shelf(Path(directory), must(asking, red.one())["port"])
        thing = door.request("POST", "/things", {"thing": {"name": "one"}})
        floor = Floor(client, thing, door.request("GET", "/things"), shelf)
        active(book, place, holder, floor, min(_ACTIVE, given.ports))
        creations(book, red, floor, given.ports)
        bulks(book, red, floor, given.ports, _BULKS)
        lists(book, place, red, floor, 10 * given.ports)
        bulks(book, red, floor, 10 * given.ports, _HUGE)
        storms(book, red, blue, 10 * given.ports)
        for each in (asking, client, shelf):
            each.close()
    book.close()


if __name__ == "__main__":
    main()
