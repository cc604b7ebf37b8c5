"""How many questions and updates does the directory take, and how soon does an update hold everywhere? (VL2 §5.5)

The paper's directory is asked by hosts over the network.  Ours is a part of the controller and pushed to the hosts, so
that no packet ever waits for it; what is comparable is said row by row: the lookup itself, a lookup by an operator's
tool over HTTP, and the time from an update's request until the switch of every host has the flow that follows from it.
"""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from bench.bed import PROJECT, Bed, bed, wait
from bench.compile import Site
from bench.ovsdb import Plug
from bench.record import Metric, Notebook, Record, percentile
from bench.report import number
from bench.taps import Holder
from bench.vl2_paper.asking import Asked, Client, Door, together
from bench.vl2_paper.monitor import Monitors
from bench.vl2_paper.pages import Row, comparison, metric, said, without

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME: Final = "directory"
QUESTION: Final = "How many questions and updates does the directory take, and how soon does an update hold everywhere?"
LOOKUPS: Final = "Lookups"
UPDATES: Final = "Updates"
VISIBLE: Final = "From the request until the flow is in the switch of every host"
INSIDE: Final = "in the process: the lookup itself"
MADE: Final = "port made: nothing else is asked"
MOVED: Final = "port moved: from its activation"
PORTS: Final = 2000
_BULK: Final = 500
_BATCHES: Final = (1, 100, 1000)
_SAMPLED: Final = 2000


def inside(book: Notebook, networks: int, seconds: float) -> None:
    """The lookup that the compiler and REST use, called in this process."""
    site = Site(networks)
    world = site.world
    vnis = {network.id: network.vni for network in world.networks.values()}
    asked = [(vnis[port.network_id], port.mac) for port in world.ports.values()]
    random.Random(1).shuffle(asked)  # noqa: S311  (which port is asked for is no secret)
    each, count, until = [], 0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        for vni, mac in asked:
            world.locate(vni, mac)
        each.append((time.perf_counter() - began) / len(asked))
        count += len(asked)
    case = f"{INSIDE} ({len(asked):,} ports)"
    book.take(LOOKUPS, case, "lookups", "1/s", [1 / one for one in each], "≥ 17,000 / s per process")
    single = []
    for vni, mac in asked[:_SAMPLED]:
        began = time.perf_counter()
        world.locate(vni, mac)
        single.append((time.perf_counter() - began) * 1000)
    book.take(LOOKUPS, case, "answered in", "ms", single, "p99 < 10 ms")
    book.say(f"{case}: {count} asked")


def _over(batch: int, clients: int) -> str:
    return f"over HTTP: {batch} in a request, {clients} client{'s' * (clients > 1)}"


def _ports(place: Bed, network: str, number: int) -> list[dict[str, Any]]:
    """Make ports on all hosts in bulk."""
    made: list[dict[str, Any]] = []
    hosts = itertools.cycle(place.hosts)
    while len(made) < number:
        bulk = [
            {"network_id": network, "project_id": PROJECT, "binding:host_id": next(hosts)}
            for _ in range(min(_BULK, number - len(made)))
        ]
        made += place.rest.ask("POST", "/v2.0/ports", {"ports": bulk})["ports"]
    return made


def over_rest(book: Notebook, door: Door, network: str, ports: list[dict[str, Any]], seconds: float) -> None:
    """Lookups as an operator's tool makes them, one and many in a request, from one client and from several."""
    chosen = random.Random(2)  # noqa: S311

    def requests(batch: int) -> list[bytes]:
        return [
            door.request(
                "POST",
                "/v1/directory/lookups",
                {
                    "lookups": [
                        {"network_id": network, "address": port["mac_address"]}
                        for port in chosen.choices(ports, k=batch)
                    ]
                },
            )
            for _ in range(8)
        ]

    for batch in _BATCHES:
        for clients in (1, 4):
            asked = together(door, [itertools.cycle(requests(batch)) for _ in range(clients)], seconds)
            case = _over(batch, clients)
            book.take(LOOKUPS, case, "lookups", "1/s", len(asked.each) * batch / asked.seconds)
            book.take(LOOKUPS, case, "answered in", "ms", asked.each)
            book.say(f"{case}: {len(asked.each) * batch / asked.seconds:.0f} lookups/s")


def updates(book: Notebook, place: Bed, door: Door, network: str, wanted: int) -> None:
    """Ports made, and moved: every request answered once it is committed to disk."""

    def creations(many: int) -> Iterator[bytes]:
        for host in itertools.islice(itertools.cycle(place.hosts), many):
            port = {"network_id": network, "project_id": PROJECT, "binding:host_id": host, "name": "new"}
            yield door.request("POST", "/v2.0/ports", {"port": port})

    def told(case: str, asked: Asked, each: int = 1) -> None:
        book.take(UPDATES, case, "updates", "1/s", len(asked.each) * each / asked.seconds)
        book.take(UPDATES, case, "answered in", "ms", asked.each)
        book.say(f"{case}: {len(asked.each) * each / asked.seconds:.0f} updates/s")

    for clients in (1, 4):
        asked = together(door, [creations(wanted // clients) for _ in range(clients)], 30.0)
        told(f"ports made, one in a request, {clients} client{'s' * (clients > 1)}", asked)
    bulk = {"ports": [{"network_id": network, "project_id": PROJECT, "name": "new"}] * 100}
    asked = together(door, [[door.request("POST", "/v2.0/ports", bulk)] * max(1, wanted // 100)], 30.0)
    told("ports made, 100 in a request, 1 client", asked, 100)
    ports = place.rest.ask("GET", "/v2.0/ports?name=new&fields=id&fields=binding:host_id")["ports"]
    moves = []
    for port in ports[:wanted]:
        host = next(host for host in place.hosts if host != port.get("binding:host_id"))
        moves.append(door.request("PUT", f"/v2.0/ports/{port['id']}", {"port": {"binding:host_id": host}}))
    asked = together(door, [moves[i::4] for i in range(4)], 30.0)
    told("ports given another host, one in a request, 4 clients", asked)
    wait(place.settled, "all updates are confirmed")
    together(
        door, [[door.request("DELETE", f"/v2.0/ports/{port['id']}") for port in ports[i::4]] for i in range(4)], 60
    )
    wait(place.settled, "all is gone again")


def made_visible(  # noqa: PLR0917
    book: Notebook, place: Bed, door: Door, network: str, number: int, case: str, kind: int = 0
) -> None:
    """Make a port; when does every host's switch know where frames for it go?"""
    client = Client(door)
    with Monitors(place, place.hosts) as monitors:
        for i in range(number):
            mac = f"02:aa:02:{kind:02x}:{i >> 8:02x}:{i & 255:02x}"
            port = {"network_id": network, "project_id": PROJECT, "mac_address": mac}
            request = door.request("POST", "/v2.0/ports", {"port": port | {"binding:host_id": place.hosts[i % 4]}})
            began = time.monotonic()
            status, _body = client.ask(request)
            if status != 201:
                raise RuntimeError(f"a port could not be made: {status}")
            others = [host for host in place.hosts if host != place.hosts[i % 4]]
            answered = time.monotonic()
            seen = monitors.everywhere(mac, others)
            book.take(VISIBLE, case, "answered", "ms", (answered - began) * 1000)
            book.take(VISIBLE, case, "time", "ms", (max(seen.values()) - began) * 1000, "99 % < 50 ms")
    client.close()
    book.say(f"{case}: {number}")


def moved_visible(book: Notebook, place: Bed, door: Door, network: str, number: int) -> None:
    """Move a plugged port; when does every host's switch send to its new place?"""
    case = MOVED
    tap, mac = "tapdir", "02:aa:01:00:00:01"
    with Holder() as holder:
        names = {host: f"{tap}{i}" for i, host in enumerate(place.hosts)}
        holder.make([(names[host], place.hypervisor(host).pid) for host in place.hosts])
        here, there = place.hosts[0], place.hosts[1]
        port = place.port(network, here, mac_address=mac)["id"]
        place.databases[here].plug([Plug(names[here], port)])
        wait(lambda: place.active(port), "the port is there")
        client = Client(door)
        with Monitors(place, place.hosts) as monitors:
            for i in range(number):
                there = place.hosts[(place.hosts.index(here) + 1 + i % 3) % 4]
                place.rest.ask("POST", f"/v2.0/ports/{port}/bindings", {"binding": {"host": there}})
                place.databases[there].plug([Plug(names[there], port)])
                wait(lambda: _phase(place, port) == "READY", "the move is ready", pause=0.005)
                monitors.drain(0.02)
                monitors.forget(mac)
                began = time.monotonic()
                status, body = client.ask(door.request("PUT", f"/v2.0/ports/{port}/bindings/{there}/activate"))
                answered = time.monotonic()
                if status != 200:
                    raise RuntimeError(f"a move could not be activated: {status} {body[:200]!r}")
                seen = monitors.everywhere(mac, place.hosts)
                book.take(VISIBLE, case, "time", "ms", (max(seen.values()) - began) * 1000, "99 % < 50 ms")
                book.take(VISIBLE, case, "answered, all confirmed", "ms", (answered - began) * 1000)
                place.databases[here].unplug([names[here]])
                wait(lambda: not _phase(place, port), "the move is settled", pause=0.01)
                here = there
        client.close()
        place.databases[here].unplug([names[here]])
        place.rest.ask("DELETE", f"/v2.0/ports/{port}")
    book.say(f"{case}: {number}")


def _phase(place: Bed, port: str) -> str:
    moves = place.rest.ask("GET", f"/v1/moves?port_id={port}&live=true")["moves"]
    return str(moves[-1]["phase"]).upper() if moves else ""


def run(book: Notebook, *, quick: bool) -> None:
    """Measure."""
    number, seconds = (60, 1.0) if quick else (400, 4.0)
    book.parameters |= {"ports in the process": 10_000, "ports in the lab": PORTS, "hypervisors": 4, "updates": number}
    inside(book, 100, seconds)
    with bed("paper-directory", "vl2", {}, {"overlay": {"grace_seconds": 0.1}}) as place:
        door = Door.of(place)
        network = place.network("directory", "10.1.0.0/16")
        ports = _ports(place, network, PORTS)
        wait(place.settled, "all ports are confirmed")
        over_rest(book, door, network, ports, seconds)
        updates(book, place, door, network, number)
        made_visible(book, place, door, network, number, MADE)
        moved_visible(book, place, door, network, max(20, number // 4))
        end = threading.Event()
        lookups = door.request(
            "POST",
            "/v1/directory/lookups",
            {"lookups": [{"network_id": network, "address": port["mac_address"]} for port in ports[:100]]},
        )

        def until_then() -> Iterator[bytes]:
            while not end.is_set():
                yield lookups

        load = threading.Thread(target=together, args=(door, [until_then(), until_then()], 120.0))
        load.start()
        try:
            made_visible(book, place, door, network, number // 2, "port made: two clients look up all the time", 1)
        finally:
            end.set()
            load.join()


# --- what is shown ----------------------------------------------------------------------------------------------------


def page(record: Record) -> str:
    """What came out, beside the paper."""
    names = [each.case for each in record.metrics if each.table == LOOKUPS and each.case.startswith(INSIDE)]
    here = names[0] if names else INSIDE
    made, moved = (metric(record, VISIBLE, case, "time") for case in (MADE, MOVED))

    def visible(found: Metric | None) -> str:
        if found is None:
            return "not measured"
        seventy, most = percentile(found.samples, 70), percentile(found.samples, 99)
        return f"70 % within {number(seventy)} ms, 99 % within {number(most)} ms"

    batch = metric(record, LOOKUPS, _over(100, 1), "lookups")
    single = metric(record, LOOKUPS, _over(1, 4), "lookups")
    answered = metric(record, LOOKUPS, _over(1, 1), "answered in")
    lines = comparison(
        [
            Row("lookups per server: in the process", "17,000/s", "≥ 17,000/s", said(_named(record, here), "/s")),
            Row("lookups per server: over HTTP, 100 in a request, one client", "", "", said(batch, "/s")),
            Row("lookups per server: over HTTP, one in a request, four clients", "", "", said(single, "/s")),
            Row("99 % of lookups answered in", "< 10 ms", "< 10 ms", _slow(answered) + " (HTTP, one client)"),
            Row("port made: holds at every host", "70 % < 100 ms, 99 % < 530 ms", "99 % < 50 ms", visible(made)),
            Row("port moved: holds at every host", "the same", "99 % < 50 ms", visible(moved)),
        ]
    )
    lines += [
        (
            "The paper's servers ask the directory over the network before they send. Ours is told to the"
            " hypervisors before"
            " anybody asks, so a packet never waits for a lookup. The first row is therefore the lookup that the"
            " controller"
            " itself makes, without any transport; those over HTTP are what an operator's tool gets from"
            " `POST /v1/directory/lookups`, in one controller process that does everything else as well. An update"
            " holds at"
            " every host when the last switch has told by its flow monitor that it has the flow."
        ),
        "",
        *without(record),
        *(f"- {note}" for note in record.notes),
    ]
    return "\n".join(lines)


def _named(record: Record, case: str) -> Metric | None:
    return metric(record, LOOKUPS, case, "lookups")


def _slow(found: Metric | None) -> str:
    return "not measured" if found is None else f"{number(found.p99)} ms"


def plots(record: Record) -> Mapping[str, Figure]:
    """How soon an update holds everywhere, as a distribution beside the paper's two points."""
    from matplotlib.figure import Figure  # noqa: PLC0415  (only for whoever wants pictures)

    figure = Figure(figsize=(9, 3), layout="constrained")
    axis = figure.subplots()
    for each in record.metrics:
        if each.table == VISIBLE and each.name == "time":
            ordered = sorted(each.samples)
            axis.plot(ordered, [(i + 1) / len(ordered) for i in range(len(ordered))], label=each.case, linewidth=1)
    axis.plot([100, 530], [0.7, 0.99], "k+", label="paper: 70 % < 100 ms, 99 % < 530 ms")
    axis.set(xscale="log", xlabel="ms until every host has it", ylabel="fraction of the updates", ylim=(0, 1.02))
    axis.legend(fontsize=7)
    return {f"{NAME}.svg": figure}
