"""What does a move cost the traffic of the machine that moves?

A machine moves from hypervisor to hypervisor, again and again, while a peer in another rack and the machine itself
send each other a thousand probes a second; every move has probes of its own.
"""

from __future__ import annotations

import argparse
import time
from typing import Any, Final

from bench.bed import Bed, bed
from bench.record import Notebook
from topologies.probing import probing

TOPOLOGY: Final = "vl2"
PAUSES: Final = (0.0, 100.0)
_BEFORE_SECONDS: Final = 0.15
_IDLE: Final = "nothing moves"
_IDLE_SECONDS: Final = 1.3
_TABLE: Final = "Moves between racks under 1 kHz probes in both directions"


def measure(book: Notebook, place: Bed, trigger: str, pause_ms: float, count: int) -> None:
    """Move ``count`` times."""
    case = f"{trigger}, pause {pause_ms:g} ms"
    wanted = "0" if trigger == "rest" else ""
    for number in range(count):
        machine = next(vm for vm in place.lab.status().vms if vm.name == "moves")
        others = [host for host in place.hosts[1:] if host != machine.host]
        with probing(place.lab, "stays", "moves") as probe:
            time.sleep(_BEFORE_SECONDS)  # traffic runs before the move begins
            report = place.lab.vm_move("moves", others[number % len(others)], pause_ms=pause_ms, trigger=trigger)
        probed = probe.result()
        move: dict[str, Any] = place.rest.ask("GET", f"/v1/moves?port_id={machine.port_id}")["moves"][-1]
        book.take(_TABLE, case, "lost", "probes", probed.lost, wanted)
        book.take(_TABLE, case, "duplicated", "probes", probed.duplicated, "0")
        book.take(_TABLE, case, "longest gap", "ms", probed.longest_gap_ms)
        book.take(_TABLE, case, "stood still", "ms", report.blackout_ms)
        book.take(_TABLE, case, "gap beyond the standstill", "ms", max(0.0, probed.longest_gap_ms - report.blackout_ms))
        book.take(_TABLE, case, "plugged → ready", "ms", (report.ready_ms or 0.0) - report.plugged_ms)
        book.take(_TABLE, case, "activated in", "ms", float(move["activated_in_ms"]))
        book.take(_TABLE, case, "flow-mods", "", int(move["flow_mods"]))
        book.take(_TABLE, case, "switches touched", "", len(move["switches_touched"]))
        if probed.lost and trigger == "rest":
            book.note(
                f"{case}, move {number + 1}: {probed.there.lost} lost towards the machine"
                f" {list(probed.there.missing[:5])}, {probed.back.lost} from it {list(probed.back.missing[:5])};"
                f" {report.source} → {report.target}"
            )
    book.say(f"{case}: {count} moves")


def idle(book: Notebook, place: Bed, count: int) -> None:
    """Probe for as long as a move takes while nothing moves: what the machine itself does to the gaps."""
    for _ in range(count):
        with probing(place.lab, "stays", "moves") as probe:
            time.sleep(_IDLE_SECONDS)
        probed = probe.result()
        book.take(_TABLE, _IDLE, "lost", "probes", probed.lost)
        book.take(_TABLE, _IDLE, "duplicated", "probes", probed.duplicated)
        book.take(_TABLE, _IDLE, "longest gap", "ms", probed.longest_gap_ms)
    book.say(f"{_IDLE}: {count} times")


def main(argv: list[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="bench.moves", description=__doc__)
    parser.add_argument("--moves", type=int, default=50, help="moves by REST without a pause (up to 1000)")
    given = parser.parse_args(argv)
    if not 1 <= given.moves <= 1000:
        parser.error("--moves is between 1 and 1000")
    few = max(1, given.moves // 5)
    book = Notebook("moves", "What does a move cost the traffic of the machine that moves?")
    book.parameters = {"topology": TOPOLOGY, "moves": given.moves}
    with bed("moves", TOPOLOGY, {}) as place:
        network = place.network("moves", "192.168.0.0/24")
        place.lab.vm_add("stays", place.hosts[0], network=network, project="red")
        place.lab.vm_add("moves", place.hosts[1], network=network, project="red")
        idle(book, place, few)
        for trigger in ("rest", "appear", "rarp"):
            for pause_ms in PAUSES:
                count = given.moves if (trigger, pause_ms) == ("rest", 0.0) else 2 * few if trigger == "rest" else few
                measure(book, place, trigger, pause_ms, count)
    book.close()


if __name__ == "__main__":
    main()
