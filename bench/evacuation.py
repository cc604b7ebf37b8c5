"""How long does it take to empty a host of 200 ports, and how long is the controller held meanwhile?

The real owner with a store on disk, in one process with switches that confirm at once: what is measured is what the
controller itself does.  An orchestrator without machines plugs each tap as soon as it is asked to, activates each move
as soon as it is ready, and unplugs the source: the least time is that of the grace of so many moves after each other.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, Final

from bench.record import Notebook
from controller.channel import ReadBack
from controller.discovery import Announcer
from controller.events import Installed, MessageConfirmed, Mods, SwitchUp
from controller.fabric.graph import Fabric
from controller.fabric.plan import LaPlan
from controller.green import collect_rarely
from controller.owner import Owner
from controller.store import SqliteStore
from overlay.changes import (
    Activate,
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    HostSeen,
    HostSnapshot,
    Plugged,
    Tick,
    Unplugged,
)
from overlay.evacuation.changes import EndEvacuation, Evacuate
from overlay.evacuation.values import Advance
from overlay.flow import MARK
from overlay.moves import Phase
from overlay.values import UNLIMITED, Countable, DatapathId, Host, HostName, Mac
from overlay.world import Settings, World

_HOSTS: Final = tuple(HostName(f"h{number}") for number in range(1, 11))
_EMPTIED: Final = _HOSTS[0]
_NETWORKS: Final = 20
_TICK: Final = 0.1
_TABLE: Final = "A host of 200 ports of 20 networks is emptied"
_NOTHING: Final = Installed((), (), ())


class Switch:
    """A session that confirms at once, and counts what it is sent."""

    def __init__(self, datapath_id: DatapathId, queue: list[MessageConfirmed]) -> None:
        self.datapath_id = datapath_id
        self.mods = 0
        self._queue = queue

    def send(self, mods: Mods, ticket: int) -> None:
        """Take and confirm."""
        self.mods += len(mods)
        self._queue.append(MessageConfirmed(self.datapath_id, ticket))

    def read(self) -> Installed:
        """An empty switch."""
        return _NOTHING

    def packet_out(self, *_: object) -> None:
        """Nothing listens."""


class Site(Owner):
    """An owner of which each turn is timed."""

    def __init__(self, directory: Path, ports: int, elsewhere: int) -> None:
        self.queue: list[MessageConfirmed] = []
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.turns: list[tuple[float, float]] = []
        self.switches = {
            name: Switch(DatapathId(MARK << 48 | number), self.queue) for number, name in enumerate(_HOSTS, start=1)
        }
        super().__init__(
            World(Settings(quotas=dict.fromkeys(Countable, UNLIMITED))),
            Fabric(LaPlan()),
            SqliteStore(directory),
            announcer=Announcer(b"secret"),
            lldp_interval=60.0,
            lost_after=60.0,
            audit_interval=3600.0,
        )
        for number, (name, switch) in enumerate(self.switches.items(), start=1):
            self.turn(HostSeen(Host(name, IPv4Address(f"10.0.{number}.11"), switch.datapath_id, 1)))
            self.turn(SwitchUp(switch.datapath_id, switch, ()))  # type: ignore[arg-type]
            self.turn(HostSnapshot(name, ()))
            self.turn(ReadBack(switch.datapath_id, switch, _NOTHING))  # type: ignore[arg-type]
        self.ofport = 1
        for network in range(_NETWORKS):
            self.apply(CreateNetwork(f"net-{network}", "red"))
            self.apply(CreateSubnet(f"sub-{network}", "red", f"net-{network}", IPv4Network("10.1.0.0/16")))
        for number in range(ports + elsewhere):
            host = _EMPTIED if number < ports else _HOSTS[1 + number % (len(_HOSTS) - 1)]
            mac = Mac(0x020000000000 | number)
            self.apply(CreatePort(f"port-{number}", "red", f"net-{number % _NETWORKS}", mac=mac, host=host))
            self.plug(host, f"port-{number}")
        self.settle()

    def spawn(self, work: Callable[[], None], *, after: float = 0.0) -> None:
        """Keep for later what the owner would have done beside itself."""
        self.later.append((time.monotonic() + after, work))

    def put(self, event: object) -> None:
        """Take at once what was spawned."""
        self.turn(event)

    def turn(self, first: object) -> None:
        """Take one batch, and its time: that of the CPU too, since the machine may be busy with other things."""
        began, spent = time.perf_counter(), time.thread_time()
        super().turn(first)
        self.turns.append((time.thread_time() - spent, time.perf_counter() - began))

    def apply(self, intent: Any) -> None:
        """Have an intent carried out."""
        asked = self._questioned(intent)
        self.turn(asked)
        asked.done.wait()

    def _questioned(self, intent: Any) -> Any:
        from controller.owner import _Ask  # noqa: PLC0415  (what the queue holds)

        return _Ask(lambda: self.world.apply(intent, self._clock()))

    def plug(self, host: HostName, port_id: str) -> None:
        """A tap is there."""
        self.ofport += 1
        self.turn(Plugged(host, port_id, self.ofport))

    def settle(self) -> None:
        """Hear all that switches have confirmed and what was to be done later, as far as it is due."""
        while self.queue or any(at <= time.monotonic() for at, _ in self.later):
            due = [each for each in self.later if each[0] <= time.monotonic()]
            self.later = [each for each in self.later if each not in due]
            queue, self.queue[:] = list(self.queue), []
            for confirmed in queue:
                self.turn(confirmed)
            for _, work in due:
                work()


def empty(book: Notebook, ports: int, elsewhere: int, parallel: int) -> None:
    """Empty a host."""
    case = f"{parallel} moves at once"
    with tempfile.TemporaryDirectory() as directory:
        site = Site(Path(directory), ports, elsewhere)
        world = site.world
        site.turns.clear()
        before = sum(switch.mods for switch in site.switches.values())
        began = time.perf_counter()
        due = began
        site.apply(Evacuate(_EMPTIED, parallel=parallel))
        most, cpu = 0, time.process_time()
        while world.evacuation(_EMPTIED)[2] is Advance.EVACUATING:
            site.settle()
            moves = [move for move in world.moves_under_way() if move.source == _EMPTIED]
            most = max(most, len(moves))
            for move in moves:
                if (move.target, move.port_id) not in world.attachments:
                    site.plug(move.target, move.port_id)
                elif move.phase is Phase.READY:
                    site.apply(Activate(move.port_id, move.target))
                    site.turn(Unplugged(_EMPTIED, move.port_id))
            site.settle()
            if time.perf_counter() >= due:
                due += _TICK
                site.turn(Tick())
            time.sleep(0.001)
        took = time.perf_counter() - began
        spent = time.process_time() - cpu
        evacuation, _, state = world.evacuation(_EMPTIED)
        assert (state, len(evacuation.done)) == (Advance.EVACUATED, ports)
        assert most <= parallel
        homes = [len(world.ports_on_host(host)) for host in _HOSTS[1:]]
        sent = sum(switch.mods for switch in site.switches.values()) - before
        book.take(_TABLE, case, "time in all", "s", took)
        book.take(_TABLE, case, "the controller's CPU", "s", spent)
        cpu_times, wall_times = zip(*site.turns, strict=True)
        book.take(_TABLE, case, "longest turn of the controller, CPU", "ms", max(cpu_times) * 1000, "< 10 ms")
        book.take(_TABLE, case, "longest turn by the clock", "ms", max(wall_times) * 1000)
        book.take(_TABLE, case, "flow-mods", "", sent)
        book.take(_TABLE, case, "ports of the fullest host less those of the emptiest", "", max(homes) - min(homes))
        site.apply(EndEvacuation(_EMPTIED))
        site._store.close()  # noqa: SLF001  (an owner leaves that to whoever made it)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="bench.evacuation", description=__doc__)
    parser.add_argument("--ports", type=int, default=200, help="on the host that is emptied")
    parser.add_argument("--elsewhere", type=int, default=800, help="on the others")
    parser.add_argument("--parallel", type=int, nargs="*", default=[16, 64, 200], help="moves at once")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(argv)
    book = Notebook(
        "evacuation", "How long does it take to empty a host, and how long is the controller held meanwhile?"
    )
    book.parameters = {
        "ports": given.ports,
        "networks": _NETWORKS,
        "ports elsewhere": given.elsewhere,
        "hypervisors": len(_HOSTS),
        "grace": "1 s",
    }
    collect_rarely()
    for _ in range(given.rounds):
        for parallel in given.parallel:
            empty(book, given.ports, given.elsewhere, parallel)
            book.say(f"{parallel} at once")
    book.close()


if __name__ == "__main__":
    main()
