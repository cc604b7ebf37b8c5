"""When did a switch give a cable up, and by what did it know: by the carrier, or by BFD?

Read off what the switches said of their ports (``bench.tidings``); no lab and no clock in here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from bench.tidings import PortState
from topologies.orders import LabStatus

Cable: TypeAlias = tuple[str, str]
"""The names of its two nodes, sorted."""

BY_PORT: Final = "port"
BY_BFD: Final = "BFD"
_BREATH_NS: Final = 50_000_000


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A switch does not send over a cable for a while; times are CLOCK_MONOTONIC.

    :param sign: by what it knew, :data:`BY_PORT` or :data:`BY_BFD`.
    """

    switch: str
    cable: Cable
    sign: str
    since_ns: int
    until_ns: int
    """When its port was live again or its daemon was gone; 0 if neither has been."""


def cables_of(status: LabStatus) -> dict[str, Cable]:
    """Which cable each interface of a switch is an end of, hypervisors' cables left out."""
    switches = {each.name for each in status.switches}
    return {
        interface: (min(link.one, link.other), max(link.one, link.other))
        for link in status.links
        if {link.one, link.other} <= switches
        for interface in (link.one_interface, link.other_interface)
    }


def given_up(ports: Iterable[PortState], cables: Mapping[str, Cable]) -> tuple[GivenUp, ...]:
    """Every time that a switch gave a cable up, in order.

    A switch says of a port that loses its carrier that it is not live, and in the next breath that there is no carrier.
    """
    begun: dict[tuple[str, str], tuple[str, int]] = {}
    found: list[GivenUp] = []
    for said in ports:
        ends = {said.interface} if said.interface else {each for switch, each in begun if switch == said.switch}
        for interface in ends & cables.keys():
            key = (said.switch, interface)
            if said.interface and not said.live:
                sign, since = begun.get(key, (BY_BFD, said.at_ns))
                begun[key] = (BY_PORT if not said.carrier and said.at_ns < since + _BREATH_NS else sign, since)
            elif key in begun:
                sign, since = begun.pop(key)
                found.append(GivenUp(said.switch, cables[interface], sign, since, said.at_ns))
    found += [GivenUp(switch, cables[each], sign, since, 0) for (switch, each), (sign, since) in begun.items()]
    return tuple(sorted(found, key=lambda each: (each.since_ns, each.switch)))


def first_sign(given: Sequence[GivenUp], ends: Sequence[str], since_ns: int, until_ns: int) -> GivenUp | None:
    """Find how something that fails was seen first by a switch beside it.

    :param ends: both ends of a cable, or a switch.
    """
    return next(
        (
            each
            for each in given
            if since_ns <= each.since_ns <= until_ns
            and set(ends) <= set(each.cable)
            and (len(ends) > 1 or each.switch not in ends)
        ),
        None,
    )
