"""What does a switch that holds these flows do with a packet?

OpenFlow on paper: matches, registers, set, move, goto, output, with the rule that a packet never leaves by the port
that it came in by unless told to.  Two flows of one priority that both match are an error here, though a switch would
take any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from overlay.flow import PORT_CONTROLLER, PORT_IN, Flow, Match, Move, Output, Set, ToController

Packet = Mapping[str, int]


class Emission(NamedTuple):
    """A packet that leaves by a port."""

    port: int
    packet: Packet


class Run(NamedTuple):
    """What became of a packet: what left, and which flows it met."""

    emissions: tuple[Emission, ...]
    met: tuple[Flow, ...]


def matches(match: Match, packet: Packet) -> bool:
    """Whether a packet meets all conditions; a field that it lacks meets none, registers are 0 at first."""
    for field, value, mask in match:
        has = packet.get(field, 0 if field.startswith("reg") else None)
        if has is None or (has if mask is None else has & mask) != value:
            return False
    return True


def run(flows: Iterable[Flow], packet: Packet, in_port: int) -> Run:
    """Send one packet through a switch."""
    tables: dict[int, list[Flow]] = {}
    for flow in flows:
        tables.setdefault(flow.table, []).append(flow)
    now = {**packet, "in_port": in_port}
    emissions: list[Emission] = []
    met: list[Flow] = []
    table: int | None = 0
    while table is not None:
        hits = [flow for flow in tables.get(table, ()) if matches(flow.match, now)]
        if not hits:
            break
        highest = max(flow.priority for flow in hits)
        (flow,) = (hit for hit in hits if hit.priority == highest)
        met.append(flow)
        for action in flow.actions:
            _act(action, now, in_port, emissions)
        assert flow.goto is None or flow.goto > table
        table = flow.goto
    return Run(tuple(emissions), tuple(met))


def _act(action: object, now: dict[str, int], in_port: int, emissions: list[Emission]) -> None:
    match action:
        case Set(field, value):
            now[field] = value
        case Move(source, target):
            now[target] = now[source]
        case ToController():
            emissions.append(Emission(PORT_CONTROLLER, dict(now)))
        case Output(port):
            if port == PORT_IN:
                emissions.append(Emission(in_port, dict(now)))
            elif port != in_port:
                emissions.append(Emission(port, dict(now)))
        case _:
            raise AssertionError(f"br-int does not do {action}")
