"""Which heavy flows leave a busy link for another next hop that is as good?

Hedera's first fit (Al-Fares et al., NSDI 2010, §4.2): a flow that holds a link above the threshold goes to the first
other equal-cost next hop with room for it.  A flow is known by its destination's prefix and the outer UDP source port,
which stands for the inner flow; the switch counts them in bins, by the low bits of that port, while a link is busy, and
only then.  A heavy bin is pinned to one next hop until it is idle or the next hops change.

A switch says what a bin carries, not over which port: an unpinned bin is presumed to be on the busy one.  If it was
not, moving it does no harm, since there is room for it, and from then on it is known where it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from itertools import count
from typing import Final, NamedTuple, TypeAlias

from overlay.refusals import Conflict

Ports: TypeAlias = tuple[int, ...]
"""The next hops of a prefix as ports, sorted."""

BIN_MASK: Final = 0x3F
"""The low bits of the UDP source port by which flows are put into bins; Open vSwitch spreads all of it by a hash."""
HEAVY: Final = 0.1
"""A flow with this share of its link is an elephant (Hedera §5.1)."""
IDLE: Final = 0.01
"""A pinned bin that uses no more than this share of its link goes back to its group."""
PREFIXES_MAX: Final = 16
"""Of how many prefixes a switch counts the bins at once; where more are on a busy link, they take turns."""
PINS_MAX: Final = 256
"""How many bins a switch can have pinned."""
_WITHOUT_CHOICE: Final = frozenset({"shortest"})
_BY_OTHER_TABLES: Final = frozenset({"vlb", "disjoint"})


class Rule(NamedTuple):
    """When to act.

    :param threshold: the utilisation above which a link is busy.
    :param interval: seconds over which bins are counted, and in which a flow moves once at most.
    """

    threshold: float
    interval: float


class Bin(NamedTuple):
    """The flows to one prefix whose outer UDP source ports end in the same bits."""

    prefix: IPv4Network
    value: int


class Pin(NamedTuple):
    """Where a bin is pinned to.

    :param slot: number of its group on the switch.
    :param ports: the next hops among which the port was chosen.
    """

    port: int
    slot: int
    ports: Ports


@dataclass(frozen=True, slots=True)
class Herd:
    """The elephants of one switch.

    :param counted: the prefixes of which all bins are counted.
    :param moved: when a bin was last pinned or let go, while it must not be moved again.
    :param turn: with which of many prefixes counting goes on.
    """

    counted: Mapping[IPv4Network, Ports] = field(default_factory=dict)
    pins: Mapping[Bin, Pin] = field(default_factory=dict)
    moved: Mapping[Bin, float] = field(default_factory=dict)
    turn: int = 0

    def __bool__(self) -> bool:
        """Whether the switch has to hold anything for it."""
        return bool(self.counted or self.pins)


NO_HERD: Final = Herd()


@dataclass(frozen=True, slots=True)
class Seen:
    """What one switch carried in an interval.

    :param sets: the next hops of each prefix.
    :param rates: of the ports, in bits per second; of those alone that were counted.
    :param capacities: of the links behind the ports, in bits per second; of those alone that are known.
    :param bins: of the bins that were counted over the interval, in bits per second.
    """

    sets: Mapping[IPv4Network, Ports]
    rates: Mapping[int, float]
    capacities: Mapping[int, float]
    bins: Mapping[Bin, float]

    def room(self, threshold: float) -> dict[int, float]:
        """Say how much more each port may carry before it is busy; less than nothing where it is."""
        return {
            port: threshold * capacity - self.rates[port]
            for port, capacity in self.capacities.items()
            if port in self.rates
        }


def decide(herd: Herd, seen: Seen, rule: Rule, now: float) -> Herd:
    """Find what a switch's elephants should do from now on.

    :param now: seconds of a clock that only goes forward.
    """
    moved = {each: at for each, at in herd.moved.items() if now - at < rule.interval}
    pins = {}
    for each, pin in herd.pins.items():
        if seen.sets.get(each.prefix) != pin.ports or (each not in moved and _is_idle(each, pin, seen)):
            moved[each] = now
        else:
            pins[each] = pin
    room = seen.room(rule.threshold)
    chosen = {prefix: ports for prefix, ports in seen.sets.items() if len(ports) > 1}
    busy = [port for port in sorted(room) if room[port] < 0]
    # What leaves a busy port may not have been there (see above), so its place is given to nobody in the same turn.
    spare = {port: left for port, left in room.items() if left >= 0}
    for port in busy:
        for each in _on(port, chosen, pins, moved, seen):
            if room[port] >= 0:
                break
            target = _first_fit(port, chosen[each.prefix], seen.bins[each], spare)
            slot = pins[each].slot if each in pins else _free_slot(pins)
            if target is not None and slot < PINS_MAX:
                pins[each] = Pin(target, slot, chosen[each.prefix])
                moved[each] = now
                room[port] += seen.bins[each]
                spare[target] -= seen.bins[each]
    counted, turn = _to_count([prefix for prefix in sorted(chosen) if not set(busy).isdisjoint(chosen[prefix])], herd)
    return Herd({prefix: chosen[prefix] for prefix in counted}, pins, moved, turn)


def _is_idle(each: Bin, pin: Pin, seen: Seen) -> bool:
    return each in seen.bins and seen.bins[each] <= IDLE * seen.capacities.get(pin.port, 0.0)


def _on(
    port: int, chosen: Mapping[IPv4Network, Ports], pins: Mapping[Bin, Pin], moved: Mapping[Bin, float], seen: Seen
) -> Iterator[Bin]:
    """List the heavy bins that are, or are presumed to be, on a port and may be moved; the heaviest first."""
    for each in sorted(seen.bins, key=lambda each: (-seen.bins[each], each)):
        if seen.bins[each] < HEAVY * seen.capacities[port]:
            return
        pin = pins.get(each)
        if each not in moved and port in chosen.get(each.prefix, ()) and (pin is None or pin.port == port):
            yield each


def _first_fit(port: int, ports: Ports, rate: float, room: Mapping[int, float]) -> int | None:
    return next((other for other in ports if other != port and room.get(other, -1.0) >= rate), None)


def _free_slot(pins: Mapping[Bin, Pin]) -> int:
    taken = {pin.slot for pin in pins.values()}
    return next(slot for slot in count() if slot not in taken)


def _to_count(prefixes: list[IPv4Network], herd: Herd) -> tuple[list[IPv4Network], int]:
    """Choose the prefixes to count next, and with which to begin the time after; many take turns."""
    if len(prefixes) <= PREFIXES_MAX:
        return prefixes, 0
    turn = herd.turn % len(prefixes)
    return (prefixes[turn:] + prefixes[:turn])[:PREFIXES_MAX], (turn + PREFIXES_MAX) % len(prefixes)


def check_policy(name: str) -> None:
    """Refuse a policy under which elephants have nowhere to go.

    :raises Conflict: saying why.
    """
    why = ""
    if name in _WITHOUT_CHOICE:
        why = "it leaves no other next hop to move a flow to"
    elif name in _BY_OTHER_TABLES:
        why = "it chooses a flow's way where the flow enters the fabric, and not by its destination at each switch"
    if why:
        raise Conflict(
            f"policy: {name} does not go together with fabric.elephants: {why}", field="name", kind="PolicyInConflict"
        )
