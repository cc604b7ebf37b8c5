"""How much may pass on a port's lane?

Up to seven meters per lane: what its machine sends, what it is sent, what it floods, what it asks the controller, how
many packets it sends, how many connections it begins, and what it says by ARP (as much as it may flood).  The first two
count bits and are there where somebody set a limit: a QoS policy, or for sending else the operator's setting for all
ports.  The others count packets and protect everybody else: they are the operator's.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from overlay.flow import Meter, MeterUnit
from overlay.qos.values import BandwidthLimit, Limits
from overlay.settings import Settings
from overlay.tables.names import (
    ASKING_METERS,
    BEGINNING_METERS,
    INQUIRY_METERS,
    PACKET_METERS,
    RECEIVING_METERS,
    SENDING_METERS,
    SHARED,
    STORM_METERS,
)

BURSTS_PER_SECOND: Final = 4
"""A quarter of a second's allowance may come at once, where nobody says how much.

A meter drops and never delays, so a TCP whose round trip is short has nothing to slow down by: it sends until the
allowance is used up, loses all that is in flight, and waits for its retransmission timeout, which is 200 ms at least
(Linux's TCP_RTO_MIN).  What the meter saves up meanwhile must not be lost, or the TCP never gets its rate.  Measured
between two VMs, five seconds at 10 and 50 Mbit/s, sending and receiving: a tenth of a second lets TCP have 51-75 % of
the rate, a quarter 98-100 %, 0.8 s (Neutron's default) 106-111 %, since the first burst comes on top.
"""
LEAST_BURST: Final = 600
"""And at least this many kilobits: what a VM hands over as one segment of 64 KiB, and some frames more.  What is
larger than the burst would never pass, and a few frames of it would make every TCP of a slow port stutter."""


class LaneMeters(NamedTuple):
    """The meters of one lane; ``None`` where nothing is limited."""

    sending: Meter | None
    receiving: Meter | None
    storm: Meter | None
    asking: Meter
    packets: Meter | None
    beginning: Meter | None
    inquiry: Meter | None

    def present(self) -> Iterator[Meter]:
        """Those that there are."""
        return filter(None, self)


def meters_of_lane(lane: int, limits: Limits, settings: Settings, *, tracked: bool = False) -> LaneMeters:
    """What may pass on a lane.

    :param limits: what a QoS policy says of the port.
    :param tracked: whether the port's connections are tracked.
    """
    rates = _Rates(
        settings.port_rate_kbps,
        settings.storm_pps,
        settings.asking_pps,
        settings.port_rate_pps,
        settings.port_connections if tracked else 0,
    )
    return _meters(lane, limits, rates)


class _Rates(NamedTuple):
    """What the operator's settings say."""

    kbps: int
    storm: int
    asking: int
    packets: int
    beginning: int


@lru_cache(maxsize=SHARED)
def _meters(lane: int, limits: Limits, rates: _Rates) -> LaneMeters:
    own = BandwidthLimit("", rates.kbps) if limits.sending is None else limits.sending
    return LaneMeters(
        bandwidth(SENDING_METERS + lane, own),
        None if limits.receiving is None else bandwidth(RECEIVING_METERS + lane, limits.receiving),
        _counted(STORM_METERS + lane, rates.storm),
        Meter(ASKING_METERS + lane, rates.asking, rates.asking),
        _counted(PACKET_METERS + lane, rates.packets),
        _counted(BEGINNING_METERS + lane, rates.beginning),
        _counted(INQUIRY_METERS + lane, rates.storm),
    )


def _counted(meter_id: int, pps: int) -> Meter | None:
    """A meter of packets that lets a second's worth come at once; a limit of 0 is none."""
    return Meter(meter_id, pps, pps) if pps else None


def bandwidth(meter_id: int, limit: BandwidthLimit) -> Meter | None:
    """The meter of a limit; one of 0 is none."""
    if not limit.max_kbps:
        return None
    burst = limit.max_burst_kbps or limit.max_kbps // BURSTS_PER_SECOND
    return Meter(meter_id, limit.max_kbps, max(burst, LEAST_BURST), MeterUnit.KILOBITS)
