"""What does a switch that holds these flows do with a packet?

OpenFlow on paper: matches, registers, set, move, goto, resubmit, output, VLANs, conjunctive matches and the connection
tracker, with the rule that a packet never leaves by the port that it came in by unless told to.  Two flows of one
priority that both match are an error here, though a switch would take any of them; two conjunctions only if they do not
do the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from overlay.flow import (
    PORT_CONTROLLER,
    PORT_IN,
    VLAN_PRESENT,
    Conjunction,
    Flow,
    Match,
    Move,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    Set,
    ToController,
    ToGroup,
    Track,
)
from overlay.pipeline import GROUPS

Packet = Mapping[str, int]

NEW, ESTABLISHED, RELATED, REPLY, INVALID, TRACKED = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
"""The bits of ``ct_state`` (ovs-fields(7))."""

_ZERO_AT_FIRST = {"vlan_vid", "ip_frag", "ct_state", "ct_mark", "conj_id", *(f"reg{n}" for n in range(16))}


class Emission(NamedTuple):
    """A packet that leaves by a port."""

    port: int
    packet: Packet


class Run(NamedTuple):
    """What became of a packet: what left, and which flows it met."""

    emissions: tuple[Emission, ...]
    met: tuple[Flow, ...]


@dataclass
class Tracker:
    """The connections that a switch remembers, per zone, by the tuple of their first packet, with their marks.

    :ivar answered: those of which both directions were seen; the others stay new, as Open vSwitch's own tracker has it.
    :ivar whole: of a later fragment (by its fields) the packet that it is a part of, which the tracker puts together.
    """

    marks: dict[tuple[int, tuple[int, ...]], int] = field(default_factory=dict)
    answered: set[tuple[int, tuple[int, ...]]] = field(default_factory=set)
    whole: dict[tuple[tuple[str, int], ...], Packet] = field(default_factory=dict)

    def look(self, zone: int, packet: Packet) -> tuple[int, int]:
        """The state and mark of a packet's connection.

        An ICMP error belongs to the connection of the packet that it holds (``about``); what is no request, and belongs
        to none, is invalid, as Open vSwitch's own tracker has it.
        """
        if packet.get("ip_frag"):
            (packet,) = (whole for fields, whole in self.whole.items() if set(fields) <= packet.items())
        about = packet.get("about")
        if about is not None:
            return self._related(zone, about)  # type: ignore[arg-type]
        there, back = _tuple(packet), _tuple(packet, reverse=True)
        if (zone, there) in self.marks:
            known = ESTABLISHED if (zone, there) in self.answered else NEW
            return TRACKED | known, self.marks[zone, there]
        if (zone, back) in self.marks:
            self.answered.add((zone, back))
            return TRACKED | ESTABLISHED | REPLY, self.marks[zone, back]
        return TRACKED | (NEW if _begins(packet) else INVALID), 0

    def _related(self, zone: int, about: Packet) -> tuple[int, int]:
        """The same of an error about a packet: it says nothing of whether anybody answered that."""
        for reverse, state in ((False, RELATED), (True, RELATED | REPLY)):
            mark = self.marks.get((zone, _tuple(about, reverse=reverse)))
            if mark is not None:
                return TRACKED | state, mark
        return TRACKED | INVALID, 0

    def flush(self, zone: int) -> None:
        """Forget a zone."""
        self.marks = {key: mark for key, mark in self.marks.items() if key[0] != zone}
        self.answered = {key for key in self.answered if key[0] != zone}

    def commit(self, zone: int, packet: Packet, mark: int | None) -> None:
        """Remember a packet's connection, or give it another mark."""
        back = zone, _tuple(packet, reverse=True)
        key = back if back in self.marks else (zone, _tuple(packet))
        self.marks[key] = self.marks.get(key, 0) if mark is None else mark


_ICMP = {1: ("icmpv4_type", {8: 0, 13: 14, 15: 16, 17: 18}), 58: ("icmpv6_type", {128: 129})}
"""Of ICMP and ICMPv6 the field of the type, and which request is answered by what."""


SYN, RST, ACK = 0x02, 0x04, 0x10


def _begins(packet: Packet) -> bool:
    """Whether a packet may be the first that the tracker sees of a connection.

    All but ICMP messages that are no requests, and TCP's answer to an opening (``tcp_valid_new`` of Open vSwitch); a
    packet without flags is an opening.
    """
    if packet.get("ip_proto") == 6 and packet.get("tcp_flags", SYN) & (SYN | ACK) == SYN | ACK:
        return False
    field, answers = _ICMP.get(packet.get("ip_proto", 0), ("", {}))
    return not field or packet.get(field) in answers


def _tuple(packet: Packet, *, reverse: bool = False) -> tuple[int, ...]:
    number = packet.get("ip_proto", 0)
    protocol = {6: "tcp", 17: "udp", 132: "sctp"}.get(number, "")
    family = "ipv4" if packet["eth_type"] == 0x0800 else "ipv6"
    ends = [(packet[f"{family}_{end}"], packet.get(f"{protocol}_{end}", 0)) for end in ("src", "dst")]
    field, answers = _ICMP.get(number, ("", {}))
    kind = packet.get(field, 0)
    if reverse:
        kind = (answers | {answer: asked for asked, answer in answers.items()}).get(kind, kind)
    return number, kind, *ends[reverse], *ends[not reverse]


def matches(match: Match, packet: Packet) -> bool:
    """Whether a packet meets all conditions; a field that it lacks meets none, registers are 0 at first."""
    for name, value, mask in match:
        has = packet.get(name, 0 if name in _ZERO_AT_FIRST else None)
        if has is None or (has if mask is None else has & mask) != value:
            return False
    return True


def run(flows: Iterable[Flow], packet: Packet, in_port: int, tracker: Tracker | None = None) -> Run:
    """Send one packet through a switch."""
    tables: dict[int, list[Flow]] = {}
    for flow in flows:
        tables.setdefault(flow.table, []).append(flow)
    switch = _Switch(tables, in_port, tracker or Tracker())
    switch.go(0, {**packet, "in_port": in_port})
    return Run(tuple(switch.emissions), tuple(switch.met))


class _Switch:
    """A packet on its way, and its copies."""

    def __init__(self, tables: Mapping[int, list[Flow]], in_port: int, tracker: Tracker) -> None:
        self._tables = tables
        self._in_port = in_port
        self._tracker = tracker
        self.emissions: list[Emission] = []
        self.met: list[Flow] = []

    def go(self, table: int | None, now: dict[str, int]) -> None:
        """From a table on; the packet is changed on the way."""
        while table is not None:
            flow = self._found(table, now)
            if flow is None:
                return
            self.met.append(flow)
            for action in flow.actions:
                self._act(table, action, now)
            assert flow.goto is None or flow.goto > table
            table = flow.goto

    def _found(self, table: int, now: Packet) -> Flow | None:
        """The flow of the highest priority, where a conjunction has that of its parts (ovs-fields(7))."""
        hits = [flow for flow in self._tables.get(table, ()) if matches(flow.match, now)]
        for priority in sorted({flow.priority for flow in hits}, reverse=True):
            level = [flow for flow in hits if flow.priority == priority]
            parts = [flow for flow in level if isinstance(next(iter(flow.actions), None), Conjunction)]
            hard = [flow for flow in level if flow not in parts]
            whole = [
                flow
                for conj_id in _complete(parts)
                if (flow := self._only(table, {**now, "conj_id": conj_id})) is not None
            ]
            if hard or whole:
                # Which one of several conjunctions a switch finds is not foretold, so they have to say the same.
                (_,) = {(flow.actions, flow.goto, flow.meter) for flow in (*hard, *whole)}
                assert len(hard) <= 1
                return (*hard, *whole)[0]
        return None

    def _only(self, table: int, now: Packet) -> Flow | None:
        found = [
            flow
            for flow in self._tables.get(table, ())
            if any(condition.field == "conj_id" for condition in flow.match) and matches(flow.match, now)
        ]
        if not found:
            return None
        (flow,) = found
        return flow

    def _act(self, table: int, action: object, now: dict[str, int]) -> None:  # noqa: C901  (one case for each action)
        match action:
            case Set(name, value):
                now[name] = value
            case Move(source, target):
                now[target] = now[source]
            case PushVlan():
                assert not now.get("vlan_vid"), "two tags"
                now["vlan_vid"] = VLAN_PRESENT
            case PopVlan():
                now["vlan_vid"] = 0
            case ToGroup(group_id):
                (group,) = (each for each in GROUPS if each.group_id == group_id)
                for each in group.buckets[0].actions:
                    self._act(table, each, now)
            case Resubmit(later):
                assert later > table
                self.go(later, now)
            case Track():
                self._track(table, action, now)
            case ToController():
                self.emissions.append(Emission(PORT_CONTROLLER, dict(now)))
            case Output(port) if port == PORT_IN or port != self._in_port:
                self.emissions.append(Emission(self._in_port if port == PORT_IN else port, dict(now)))
            case _:
                assert isinstance(action, Output), f"br-int does not do {action}"

    def _track(self, table: int, action: Track, now: dict[str, int]) -> None:
        zone = now.get(action.zone, 0) & 0xFFFF
        if action.commit:
            self._tracker.commit(zone, now, action.mark)
        if action.table is not None:
            assert action.table > table
            state, marked = self._tracker.look(zone, now)
            self.go(action.table, {**now, "ct_state": state, "ct_mark": marked})


def _complete(parts: Iterable[Flow]) -> list[int]:
    """The conjunctions of which every dimension has a flow."""
    seen: dict[tuple[int, int], set[int]] = {}
    for flow in parts:
        for part in flow.actions:
            assert isinstance(part, Conjunction)
            seen.setdefault((part.conj_id, part.dimensions), set()).add(part.dimension)
    return [conj_id for (conj_id, dimensions), found in seen.items() if len(found) == dimensions]
