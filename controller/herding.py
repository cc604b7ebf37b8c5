"""Which bins of flows are counted and pinned on each switch, and when is that decided anew?

The acting half of ``controller.fabric.elephants``: once in an interval every switch that holds bins is asked what they
have met, beside the owner; then, and for a switch with a busy link at once, it is decided what its elephants do next.
Nothing of it is stored: a restarted controller takes the pins off, and finds the elephants again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from controller.channel import Spawn
from controller.events import Session, Sink
from controller.fabric.detours import bin_of
from controller.fabric.elephants import NO_HERD, Bin, Herd, Ports, Rule, Seen, decide
from controller.fabric.graph import Fabric
from controller.fabric.load import Load, Sample, capacity, growth
from controller.fabric.pipeline import FabricCookie
from controller.fabric.plan import PortRef
from controller.fabric.routes import Link
from overlay.flow import FlowKey
from overlay.values import DatapathId

_LOG: Final = logging.getLogger(__name__)
_BITS: Final = 8


@dataclass(frozen=True, slots=True)
class BinsCounted:
    """A switch said how many bytes its bins have met (``met`` is None when it did not answer)."""

    datapath_id: DatapathId
    session: Session
    met: Mapping[FlowKey, int] | None
    at: float
    """When it answered, on the monotonic clock."""


class Herding:
    """The elephants of all fabric switches.

    :param rule: when to act; None is never.
    :param usual_mbps: what every link carries; 0 for what its ports say.
    :param next_hops: the next hops of each prefix on a switch, as ports.
    """

    def __init__(
        self,
        fabric: Fabric,
        load: Load,
        *,
        rule: Rule | None,
        usual_mbps: int,
        next_hops: Callable[[DatapathId], Mapping[IPv4Network, Ports]],
        spawn: Spawn,
        sink: Sink,
    ) -> None:
        self._fabric = fabric
        self._load = load
        self._rule = rule
        self._usual_mbps = usual_mbps
        self._next_hops = next_hops
        self._spawn = spawn
        self._sink = sink
        self._herds: dict[DatapathId, Herd] = {}
        self._next = 0.0
        self._asked: dict[DatapathId, Session] = {}
        self._samples: dict[DatapathId, Sample | None] = {}
        """What the ports had carried when the present interval began."""
        self._bins: dict[DatapathId, tuple[float, Mapping[Bin, int]]] = {}
        """When bins were last read, and what they had met."""

    @property
    def herds(self) -> Mapping[DatapathId, Herd]:
        """The switches that hold anything for elephants."""
        return self._herds

    def of(self, datapath_id: DatapathId) -> Herd:
        """Give the elephants of a switch."""
        return self._herds.get(datapath_id, NO_HERD)

    def tick(self, sessions: Mapping[DatapathId, Session | None], now: float) -> frozenset[DatapathId]:
        """Begin an interval when it is time; returns the switches whose program has changed."""
        if self._rule is None or now < self._next:
            return frozenset()
        self._next = now + self._rule.interval
        for gone in self._herds.keys() - sessions.keys():
            del self._herds[gone]
        changed = set()
        for datapath_id, session in sessions.items():
            if datapath_id in self._herds:
                if session is not None and self._asked.get(datapath_id) is not session:
                    self._asked[datapath_id] = session
                    self._ask(session)
            elif self._decide(datapath_id, {}, self._rule, now):
                changed.add(datapath_id)
        return frozenset(changed)

    def counted(self, event: BinsCounted) -> bool:
        """Take an answer; returns whether the switch's program has changed."""
        if self._rule is None or self._asked.get(event.datapath_id) is not event.session:
            return False
        del self._asked[event.datapath_id]
        if event.met is None:
            return False
        met = {each: octets for key, octets in event.met.items() if (each := bin_of(key)) is not None}
        since, before = self._bins.get(event.datapath_id, (event.at, {}))
        self._bins[event.datapath_id] = event.at, met
        grown = {each: growth(before.get(each, 0), octets) for each, octets in met.items()}
        # a flow that was put anew has started to count anew, and is not known for this once
        bins = {
            each: octets * _BITS / (event.at - since)
            for each, octets in grown.items()
            if octets is not None and event.at > since
        }
        return self._decide(event.datapath_id, bins, self._rule, event.at)

    def _decide(self, datapath_id: DatapathId, bins: Mapping[Bin, float], rule: Rule, now: float) -> bool:
        before = self.of(datapath_id)
        rates, capacities = self._rates(datapath_id), self._capacities(datapath_id)
        if not before and not any(rates.get(port, 0.0) > rule.threshold * most for port, most in capacities.items()):
            return False
        after = decide(before, Seen(self._next_hops(datapath_id), rates, capacities, bins), rule, now)
        for each in after.pins.keys() | before.pins.keys():
            if after.pins.get(each) != before.pins.get(each):
                _LOG.info("switch %s: flows to %s, ports …%02x: %s", datapath_id, *each, _told(after, each))
        if after:
            self._herds[datapath_id] = after
            self._bins.setdefault(datapath_id, (now, {}))
        else:
            self._herds.pop(datapath_id, None)
            self._bins.pop(datapath_id, None)
        return (before.counted, before.pins) != (after.counted, after.pins)

    def _rates(self, datapath_id: DatapathId) -> dict[int, float]:
        """Find what each port has sent since this was last asked, and begin the next interval."""
        before, now = self._samples.get(datapath_id), self._load.sample(datapath_id)
        self._samples[datapath_id] = now
        found = {} if now is None else {port: now.rate(port, before) for port in now.ports}
        return {port: each.bits for port, each in found.items() if each is not None}

    def _capacities(self, datapath_id: DatapathId) -> dict[int, float]:
        found = {}
        for port in self._fabric.ports(datapath_id):
            near = PortRef(datapath_id, port.number)
            far = self._fabric.peer(near)
            carries = None if far is None else capacity(self._fabric, Link(*sorted((near, far))), self._usual_mbps)
            if carries is not None:
                found[port.number] = carries
        return found

    def _ask(self, session: Session) -> None:
        def count() -> None:
            met: Mapping[FlowKey, int] | None = None
            try:
                met = session.flow_bytes(FabricCookie.ELEPHANT)
            except (TimeoutError, OSError) as error:
                _LOG.info("the elephants of switch %s could not be counted: %s", session.datapath_id, error)
            self._sink(BinsCounted(session.datapath_id, session, met, time.monotonic()))

        self._spawn(count)


def _told(herd: Herd, each: Bin) -> str:
    pin = herd.pins.get(each)
    return "by their hash" if pin is None else f"by port {pin.port}"
