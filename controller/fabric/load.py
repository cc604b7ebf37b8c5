"""How busy is every link, and do equal next hops carry equal shares?

Rates out of two counts that followed each other, the utilisation of each direction of a link, and Jain's fairness index
(Jain, Chiu and Hawe, DEC-TR-301, 1984) over each set of next hops among which a switch chooses.  What is not known is
None and never zero: a port whose counters started anew has no rate until it is counted again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from controller.events import PortCounters
from controller.fabric.graph import Fabric
from controller.fabric.plan import PortRef
from controller.fabric.routes import Link, NextHops
from overlay.values import DatapathId

_BITS: Final = 8
_COUNTER: Final = 1 << 64
_KBIT_PER_MBIT: Final = 1000
MBIT: Final = 1_000_000


class Rate(NamedTuple):
    """What leaves by a port in a second."""

    bits: float
    packets: float
    drops: float


class Reading(NamedTuple):
    """The latest count of a port, and its rate since the one before.

    :param at: when it was counted, in seconds of a clock that only goes forward.
    """

    counters: PortCounters
    rate: Rate | None
    at: float


def growth(before: int, after: int) -> int | None:
    """Say how much a counter grew; None where it started anew.

    One that went back from the upper half of its range into the lower half has wrapped.
    """
    if after >= before:
        return after - before
    return after - before + _COUNTER if after < _COUNTER // 2 <= before else None


def rate(before: PortCounters, after: PortCounters, seconds: float) -> Rate | None:
    """Find the rate between two counts of one port; None where one of its counters started anew, or no time passed."""
    grown = (
        growth(before.tx_bytes, after.tx_bytes),
        growth(before.tx_packets, after.tx_packets),
        growth(before.tx_dropped, after.tx_dropped),
    )
    match grown:
        case (int(octets), int(packets), int(drops)) if seconds > 0:
            return Rate(octets * _BITS / seconds, packets / seconds, drops / seconds)
        case _:
            return None


class Sample(NamedTuple):
    """What all ports of a switch had carried at one moment, of a clock that only goes forward."""

    at: float
    ports: Mapping[int, PortCounters]

    def rate(self, port: int, before: Sample | None) -> Rate | None:
        """Find a port's rate since an earlier sample."""
        was = None if before is None else before.ports.get(port)
        now = self.ports.get(port)
        return None if before is None or was is None or now is None else rate(was, now, self.at - before.at)


class Load:
    """The two latest samples of every switch; rates are found when they are asked for."""

    def __init__(self) -> None:
        self._of: dict[DatapathId, tuple[Sample, Sample | None]] = {}

    def counted(self, datapath_id: DatapathId, counters: Iterable[PortCounters], now: float) -> None:
        """Take what a switch has counted."""
        self._of[datapath_id] = Sample(now, {each.port: each for each in counters}), self.sample(datapath_id)

    def lost(self, datapath_id: DatapathId) -> None:
        """Forget a switch that does not answer."""
        self._of.pop(datapath_id, None)

    def sample(self, datapath_id: DatapathId) -> Sample | None:
        """Give what a switch counted last."""
        known = self._of.get(datapath_id)
        return None if known is None else known[0]

    def at(self, end: PortRef) -> Reading | None:
        """Give the latest reading of a port."""
        latest, before = self._of.get(end.datapath_id, (None, None))
        if latest is None or end.port not in latest.ports:
            return None
        return Reading(latest.ports[end.port], latest.rate(end.port, before), latest.at)

    def rate(self, end: PortRef) -> Rate | None:
        """Give the rate of a port."""
        reading = self.at(end)
        return None if reading is None else reading.rate


@dataclass(frozen=True, slots=True)
class LinkLoad:
    """What one direction of a link carries.

    :param capacity: in bits per second, None where nobody knows it.
    """

    source: PortRef
    target: PortRef
    reading: Reading | None
    capacity: float | None

    @property
    def rate(self) -> Rate | None:
        """What it carries in a second."""
        return None if self.reading is None else self.reading.rate

    @property
    def utilisation(self) -> float | None:
        """The share of its capacity that is used."""
        rate = self.rate
        return None if rate is None or not self.capacity else rate.bits / self.capacity


@dataclass(frozen=True, slots=True)
class Balance:
    """How evenly a switch uses the next hops of one set.

    :param fairness: Jain's index of the rate per weight: 1 where all carry their share, 1/n where one carries all;
        None where nothing is carried or a rate is not known.
    :param peak: the largest of these rates over their mean.
    """

    datapath_id: DatapathId
    ports: tuple[int, ...]
    fairness: float | None
    peak: float | None


def capacity(fabric: Fabric, link: Link, usual_mbps: int = 0) -> float | None:
    """Say what a link carries in a second, in bits: as the operator said, or else what its slower port can.

    :param usual_mbps: what the operator said of all links that are not tuned; 0 for nothing.
    """
    if said := fabric.upkeep.tuning(link).capacity_mbps or usual_mbps:
        return float(said * MBIT)
    speeds = [
        port.speed
        for end in link
        if (port := fabric.switches[end.datapath_id].ports.get(end.port)) is not None and port.speed
    ]
    return float(min(speeds) * MBIT / _KBIT_PER_MBIT) if speeds else None


def link_loads(fabric: Fabric, load: Load, usual_mbps: int = 0) -> tuple[LinkLoad, ...]:
    """List both directions of every usable link, by the port that sends."""
    found = []
    for link in fabric.links():
        carries = capacity(fabric, link, usual_mbps)
        found += [LinkLoad(near, far, load.at(near), carries) for near, far in (link, link[::-1])]
    return tuple(sorted(found, key=lambda each: each.source))


def shares(hops: NextHops) -> Mapping[int, int]:
    """Say which weight each port of a next-hop set has."""
    weights: Counter[int] = Counter()
    for hop in hops:
        weights[hop.port] += hop.weight
    return weights


def balances(sets: Mapping[DatapathId, Iterable[NextHops]], load: Load) -> tuple[Balance, ...]:
    """List every set of more than one port among which a switch chooses, each once."""
    found = []
    for datapath_id in sorted(sets):
        different = {tuple(sorted(shares(hops).items())) for hops in sets[datapath_id]}
        found += [_balance(datapath_id, dict(each), load) for each in sorted(different) if len(each) > 1]
    return tuple(found)


def _balance(datapath_id: DatapathId, weights: Mapping[int, int], load: Load) -> Balance:
    ports = tuple(weights)
    rates = [load.rate(PortRef(datapath_id, port)) for port in ports]
    per_weight = [each.bits / weight for each, weight in zip(rates, weights.values(), strict=True) if each is not None]
    if len(per_weight) < len(ports) or not any(per_weight):
        return Balance(datapath_id, ports, None, None)
    return Balance(datapath_id, ports, fairness(per_weight), max(per_weight) * len(per_weight) / sum(per_weight))


def fairness(rates: Iterable[float]) -> float:
    """Find Jain's index of rates of which at least one is not zero; they are scaled first, so that squares fit."""
    values = list(rates)
    most = max(values)
    scaled = [value / most for value in values]
    return sum(scaled) ** 2 / (len(scaled) * sum(value * value for value in scaled))
