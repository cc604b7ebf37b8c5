"""What does one guest that floods at full speed cost another guest, and the controller?

Three machines in one network: one floods, one on the same hypervisor pings a third on another.  In turns the flooder is
quiet, works as hard for nobody (so that the computer is as busy), and floods: what is refused at once (the least that a
flood can cost), ARP for an address that nobody has and for another one each time, DHCP, reports of multicast groups,
and first packets of new UDP connections; these also with a limit of packets (``overlay.port_rate_pps``).  In each turn
the other machine's round trips are taken, and what the controller takes to answer REST.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.bed import Bed, bed, wait
from bench.record import Notebook
from bench.torrent import KINDS
from topologies.orders import VmStatus

_PROGRAM: Final = str(Path(__file__).with_name("torrent.py"))
_PINGS: Final = 150
_PING_SECONDS: Final = 0.01
_ASKED: Final = 60
_TABLES: Final = {
    0: "Another guest and the controller while one guest floods",
    5_000: "The same where each port may send 5,000 packets a second",
}
"""By the limit."""
_RATIOS: Final = "{}, as multiples of the quiet turn of the same round"
_QUIET: Final = "quiet"
_WANTED: Final = "≤ 2 at the median"


@dataclass(frozen=True, slots=True)
class Turn:
    """What was seen in one turn: medians in milliseconds, and how many frames a second the flooder sent."""

    round_trips: list[float]
    answers: list[float]
    frames: float


def first(machine: VmStatus) -> str:
    """The IPv4 address of a machine."""
    return next(each.partition("/")[0] for each in machine.addresses if ":" not in each)


@contextmanager
def flooding(place: Bed, kind: str) -> Iterator[list[float]]:
    """Let the flooder flood; how many frames a second it sent, when it has ended."""
    machines: dict[str, VmStatus] = {vm.name: vm for vm in place.lab.status().vms}
    source, peer = machines["flooder"], machines["server"]
    words = [sys.executable, _PROGRAM, kind, "eth0", source.mac, first(source), peer.mac, first(peer)]
    rate: list[float] = []
    with subprocess.Popen(place.lab.command("flooder", words), stdout=subprocess.PIPE, text=True) as program:
        if program.stdout is None or program.stdout.readline() != "sending\n":
            raise RuntimeError("the flood did not begin")
        began = time.monotonic()
        try:
            yield rate
        finally:
            program.terminate()
            rate.append(int(program.stdout.read() or 0) / (time.monotonic() - began))


def observe(place: Bed, address: str) -> tuple[list[float], list[float]]:
    """Round trips of the other guest and answer times of the controller, taken at the same time, in milliseconds."""
    words = ["ping", "-n", "-c", str(_PINGS), "-i", str(_PING_SECONDS), "-W", "1", address]
    answers = []
    with subprocess.Popen(place.lab.command("client", words), stdout=subprocess.PIPE, text=True) as ping:
        for _ in range(_ASKED):
            began = time.perf_counter()
            place.rest.ask("GET", "/v2.0/networks")
            answers.append((time.perf_counter() - began) * 1000)
            time.sleep(_PING_SECONDS)
        said = ping.communicate(timeout=60)[0]
    return [float(found) for found in re.findall(r"time=([\d.]+) ms", said)], answers


def turn(place: Bed, kind: str, address: str) -> Turn:
    """One turn."""
    if kind == _QUIET:
        return Turn(*observe(place, address), 0.0)
    with flooding(place, kind) as rate:
        time.sleep(0.3)  # the first burst that the meters let pass is over
        seen = observe(place, address)
    return Turn(*seen, rate[0])


def measure(book: Notebook, place: Bed, title: str, rounds: int, kinds: list[str]) -> None:
    """Round after round, each with a turn of everything."""
    ratios = _RATIOS.format(title)
    address = first(next(vm for vm in place.lab.status().vms if vm.name == "server"))
    for number in range(rounds):
        quiet = turn(place, _QUIET, address)
        for kind in (_QUIET, *kinds):
            seen = quiet if kind == _QUIET else turn(place, kind, address)
            lost = 100 * (1 - len(seen.round_trips) / _PINGS)
            trips = seen.round_trips or [float("inf")]
            book.take(title, kind, "round trip", "ms", statistics.median(trips))
            book.take(title, kind, "longest round trip", "ms", max(trips))
            book.take(title, kind, "pings lost", "%", lost)
            book.take(title, kind, "REST answer", "ms", statistics.median(seen.answers))
            book.take(title, kind, "frames sent", "/s", seen.frames)
            if kind != _QUIET:
                more = statistics.median(trips) / statistics.median(quiet.round_trips)
                slower = statistics.median(seen.answers) / statistics.median(quiet.answers)
                book.take(ratios, kind, "round trip", "", more, "" if kind in {"idle", "refused"} else _WANTED)
                book.take(ratios, kind, "REST answer", "", slower, "" if kind in {"idle", "refused"} else _WANTED)
        book.say(f"{title}: round {number + 1} of {rounds}")


def furnish(place: Bed) -> None:
    """The three machines."""
    network = place.network("flood", "10.77.0.0/16")
    for name, host in (("flooder", 0), ("client", 0), ("server", 1)):
        place.lab.vm_add(name, place.hosts[host], network=network, project="red")
    address = first(next(vm for vm in place.lab.status().vms if vm.name == "server"))

    def reached() -> bool:
        return place.lab.run("client", ["ping", "-c1", "-W1", address]).returncode == 0

    wait(reached, "the machines reach each other")


def main(argv: list[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="bench.flood", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="turns of each kind (up to 100)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="of floods")
    parser.add_argument("--dry", action="store_true", help="write no file")
    given = parser.parse_args(argv)
    if not 1 <= given.rounds <= 100:
        parser.error("--rounds is between 1 and 100")
    book = Notebook("flood", "What does one guest that floods at full speed cost another guest, and the controller?")
    book.parameters = {"topology": "linear", "rounds": given.rounds, "pings": _PINGS, "requests": _ASKED}
    for limit, title in _TABLES.items():
        settings: dict[str, Any] = {"overlay": {"port_rate_pps": limit}}
        with bed("flood", "linear", {"switches": 2}, settings) as place:
            furnish(place)
            measure(book, place, title, given.rounds, given.kinds)
    if given.dry:
        from bench.report import tables  # noqa: PLC0415  (the report reads records)

        print("\n".join(tables(book.record())))
    else:
        book.close()


if __name__ == "__main__":
    main()
