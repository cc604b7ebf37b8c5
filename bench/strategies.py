"""When do the switches follow a machine that moves, in VL2 and elsewhere?

Each strategy is an order of the same steps, taken by the same lab under the same controller; only *duplicate* needs
flows that VL2 never makes: the bench puts them into the switches itself, with a cookie that is not the controller's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bench.bed import Bed
from overlay.pipeline import PIPELINE
from overlay.tables import arp, forward, guard, services
from overlay.tables.names import IN_LANE, NETWORK, OUT_LANE
from topologies.errors import LabError
from topologies.nic import QUEUE
from topologies.orders import Moment, Trigger


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to let the network follow.

    :param after: what makes the switches send to the target, in the page's words.
    :param like: who does so.
    :param cost: where what it costs comes from.
    :param duplicating: whether both hosts get every frame from the target's readiness to the end.
    """

    name: str
    trigger: Trigger
    after: str
    like: str
    cost: str = ""
    moment: Moment | None = None
    duplicating: bool = False

    @property
    def awaited(self) -> bool:
        """Whether frames for the machine wait at the target when it runs again."""
        return self.duplicating or self.moment in {Moment.READY, Moment.STOPPED}


VL2: Final = Strategy(
    "vl2",
    Trigger.REST,
    "a passive binding, activated when the target is ready, before STOP; the source turns round what still comes",
    "VL2",
    "what comes between the source's hairpin and RESUME waits in the target's tap, so it comes late and is not lost",
    Moment.READY,
)
SWITCHOVER: Final = Strategy(
    "switchover",
    Trigger.REST,
    "a passive binding, activated at STOP",
    "VL2, told by who hears of QEMU's STOP",
    "what reaches the source between STOP and its hairpin lies in a tap that nobody reads any more",
    Moment.STOPPED,
)
RARP: Final = Strategy(
    "rarp",
    Trigger.BOUND,
    "a passive binding, activated by the machine's announcement",
    "OVN's multichassis port with activation-strategy=rarp",
    "all that is sent to the machine in its pause, and until the announcement has been acted upon, goes to the source,"
    " where nobody is; what the machine sends meanwhile is dropped at the target",
)
RESUME: Final = Strategy(
    "resume",
    Trigger.REST,
    "a passive binding, activated when the machine runs at the target",
    "OVN's requested-chassis, set when the migration has ended",
    "all that is sent to the machine in its pause, and until the request has been acted upon, goes to the source, where"
    " nobody is; what the machine sends meanwhile is dropped at the target",
    Moment.RESUMED,
)
DUPLICATE: Final = Strategy(
    "duplicate",
    Trigger.REST,
    "from the target's readiness on all hosts send to both, and both may send",
    "OVN's multichassis port without an activation strategy",
    "while the memory is copied the machine gets every frame at the source, and the copies wait in the target's tap"
    f" until RESUME; a tap that is full ({QUEUE:,} frames) loses what comes next, so a longer copying loses as well",
    Moment.RESUMED,
    duplicating=True,
)
REPLUG: Final = Strategy(
    "replug",
    Trigger.REPLUG,
    "no passive binding: unplugged at the source, plugged at the target, then the machine moves",
    "whoever knows but one place of a port",
    "between the two plugs, and until the port's program is at its new place, it is nowhere",
)
COMPARED: Final = (VL2, SWITCHOVER, RARP, RESUME, DUPLICATE, REPLUG)
"""Those that stand beside each other."""

APPEAR: Final = Strategy(
    "appear", Trigger.APPEAR, "nothing is said; the port turns up at the target and vanishes at the source", "VL2"
)
TURNS_UP: Final = Strategy("rarp only", Trigger.RARP, "nothing is said; the port turns up and announces itself", "VL2")

COOKIE: Final = 0xBE7C_0000_0000_0001
"""Of the flows of *duplicate*: without the controller's mark, so that it leaves them alone."""
_PRIORITY: Final = 60
"""Above all that the controller puts into the tables in question."""


@dataclass(frozen=True, slots=True)
class Both:
    """A machine that two hosts are to have at once.

    :param port: at each of both, the OpenFlow port of its tap; its lane as well.
    :param to_source: as the switches spell it, what sends a frame to the source: ``set_field…,output:1``.
    """

    vni: int
    mac: str
    source_la: str
    target_la: str
    source_port: int
    target_port: int

    def at_peer(self, actions: str) -> str:
        """Whoever sends to the source sends to the target as well.

        :param actions: what the controller's own flow does.
        """
        again = actions.replace(self.source_la, self.target_la)
        return self._sent(f"{actions},{again}")

    def at_source(self) -> str:
        """The source goes on delivering, and turns nothing round."""
        return self._sent(self._local(self.source_port))

    def at_target(self) -> Iterator[str]:
        """The target delivers already, lets the machine send, and says nothing of its announcement."""
        yield self._sent(self._local(self.target_port))
        talk = f"{_head(guard.TABLE.name)},{IN_LANE}={self.target_port},dl_src={self.mac}"
        yield f"{talk},ip,actions={_goto(services.TABLE.name)}"
        yield f"{talk},arp,actions={_goto(arp.TABLE.name)}"
        yield f"{talk},dl_type=0x8035,actions=drop"

    def _sent(self, actions: str) -> str:
        return f"{_head(forward.TABLE.name)},{NETWORK}={self.vni},dl_dst={self.mac},actions={actions}"

    def _local(self, lane: int) -> str:
        return f"set_field:{lane}->{OUT_LANE},{_goto('receiver')}"


def _number(table: str) -> int:
    return PIPELINE[table].id


def _head(table: str) -> str:
    return f"cookie={COOKIE:#x},table={_number(table)},priority={_PRIORITY}"


def _goto(table: str) -> str:
    return f"goto_table:{_number(table)}"


def sending(flows: str, mac: str, la: str) -> str | None:
    """What a switch does to send to a machine at a host; ``None`` if it does not.

    :param flows: its table *forward*, as ``ovs-ofctl dump-flows`` prints it.
    """
    for line in flows.splitlines():
        found = re.search(r"actions=(\S+)", line)
        if found and f"dl_dst={mac}" in line and f":{la}->" in found[1]:
            return found[1]
    return None


class Duplicator:
    """Lets both hosts have a machine, as long as its block runs.

    :param vni: of the machine's network.
    """

    def __init__(self, place: Bed, vni: int, mac: str, tap: str) -> None:
        self._place = place
        self._vni, self._mac, self._tap = vni, mac, tap

    @contextmanager
    def both(self, source: str, target: str) -> Iterator[None]:
        """Install it; returns when all switches have it. Removed in the end.

        :raises LabError: if a switch refuses.
        """
        place = self._place
        machine = Both(
            self._vni,
            self._mac,
            place.hypervisor(source).la.partition("/")[0],
            place.hypervisor(target).la.partition("/")[0],
            self._tap_at(source),
            self._tap_at(target),
        )

        def install(host: str) -> None:
            if host == source:
                flows = [machine.at_source()]
            elif host == target:
                flows = list(machine.at_target())
            else:
                dumped = self._ofctl(host, "dump-flows", "br-int", f"table={_number(forward.TABLE.name)}")
                actions = sending(dumped, machine.mac, machine.source_la)
                flows = [] if actions is None else [machine.at_peer(actions)]
            for flow in flows:
                self._ofctl(host, "add-flow", "br-int", flow)

        def remove(host: str) -> None:
            self._ofctl(host, "del-flows", "br-int", f"cookie={COOKIE:#x}/-1")

        with ThreadPoolExecutor(4) as hands:
            try:
                list(hands.map(install, place.hosts))
                yield
            finally:
                list(hands.map(remove, place.hosts))

    def _tap_at(self, host: str) -> int:
        done = self._place.lab.run(host, ["ovs-vsctl", "get", "Interface", self._tap, "ofport"])
        if done.returncode:
            raise LabError(f"{host}: {done.stderr.strip()}")
        return int(done.stdout)

    def _ofctl(self, host: str, *words: str) -> str:
        done = self._place.lab.run(host, ["ovs-ofctl", "-OOpenFlow15", *words])
        if done.returncode:
            raise LabError(f"{host}: {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout
