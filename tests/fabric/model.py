"""What does a fabric do with a packet, if every switch does what its flows and groups say?

A model switch for the laws: it matches, takes the buckets whose watched port is up, and says where the packet may come
out.  The real one is asked in ``test_real_switch.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from controller.fabric.graph import Fabric
from controller.fabric.groups import GroupAssignment
from controller.fabric.plan import ROUTER_MAC, PortRef
from controller.fabric.program import SwitchProgram, program
from overlay.flow import DecTtl, Flow, Group, Output, Set, ToGroup
from overlay.values import DatapathId


@dataclass(frozen=True)
class Packet:
    """An IPv4 packet in the fabric."""

    at: PortRef
    eth_dst: int
    ipv4_dst: int
    ttl: int = 16
    udp_src: int = 40000

    def fields(self) -> dict[str, int]:
        """Give what a flow can match on."""
        return {
            "in_port": self.at.port,
            "eth_type": 0x0800,
            "eth_dst": self.eth_dst,
            "ipv4_dst": self.ipv4_dst,
            "ip_proto": 17,
            "udp_src": self.udp_src,
        }


def matching(flows: tuple[Flow, ...], table: int, fields: Mapping[str, int]) -> Flow | None:
    """Find the flow of highest priority; two of one priority that both match are a defect."""
    found = [
        flow
        for flow in flows
        if flow.table == table
        and all(c.field in fields and fields[c.field] & (c.mask or -1) == c.value for c in flow.match)
    ]
    found.sort(key=lambda flow: -flow.priority)
    assert len(found) < 2 or found[0].priority > found[1].priority
    return found[0] if found else None


def spread(packet: Packet, group: Group, dead: frozenset[PortRef]) -> set[tuple[int, Packet]]:
    """Let a group forward by each bucket whose port is alive."""
    out = set()
    for bucket in group.buckets:
        assert bucket.watch_port is not None
        *sets, last = bucket.actions
        assert last == Output(bucket.watch_port)
        if PortRef(packet.at.datapath_id, bucket.watch_port) not in dead:
            tags = [each.value for each in sets]
            out.add((bucket.watch_port, replace(packet, eth_dst=tags[0]) if tags else packet))
    return out


def shared(groups: Mapping[int, Group], group_id: int) -> Group:
    """Follow a leaf, whose one bucket always is alive, to the group that it leads to."""
    group = groups[group_id]
    if not group.indirect:
        return group
    ((bucket,),) = (group.buckets,)
    ((action,),) = (bucket.actions,)
    assert isinstance(action, ToGroup)
    return groups[action.group_id]


@dataclass
class _Index:
    """What a switch holds, by table and group, and what it did with the packets that it has met."""

    held: SwitchProgram
    tables: dict[int, tuple[Flow, ...]]
    groups: dict[int, Group]
    outcomes: dict[tuple[Packet, frozenset[PortRef]], set[tuple[int, Packet]]] = field(default_factory=dict)


class Deployed:
    """A fabric with its programs in the switches, of which ports may be dead without the controller's knowing."""

    def __init__(self, fabric: Fabric, previous: Mapping[DatapathId, SwitchProgram] | None = None) -> None:
        nothing = GroupAssignment()
        self.fabric = fabric
        self._indexed: dict[DatapathId, _Index] = {}
        self.programs = {
            datapath_id: program(fabric, datapath_id, previous[datapath_id].assignment if previous else nothing)
            for datapath_id in fabric.switches
        }

    def _index(self, datapath_id: DatapathId) -> _Index:
        """Sort what a switch holds by table and group, as long as it holds that."""
        held = self.programs[datapath_id]
        known = self._indexed.get(datapath_id)
        if known is None or known.held is not held:
            tables: dict[int, tuple[Flow, ...]] = {}
            for flow in held.flows:
                tables[flow.table] = (*tables.get(flow.table, ()), flow)
            known = self._indexed[datapath_id] = _Index(held, tables, {group.group_id: group for group in held.groups})
        return known

    def outcomes(self, packet: Packet, dead: frozenset[PortRef]) -> set[tuple[int, Packet]]:
        """Let one switch forward: every (port, packet) that some choice of buckets gives."""
        known = self._index(packet.at.datapath_id).outcomes
        found = known.get((packet, dead))
        if found is None:
            found = known[packet, dead] = self._forwarded(packet, dead)
        return found

    def _forwarded(self, packet: Packet, dead: frozenset[PortRef]) -> set[tuple[int, Packet]]:
        index = self._index(packet.at.datapath_id)
        table: int | None = 0
        came_by = packet.at.port
        out: set[tuple[int, Packet]] = set()
        while table is not None:
            flow = matching(index.tables.get(table, ()), table, packet.fields())
            if flow is None:
                break
            for action in flow.actions:
                match action:
                    case DecTtl():
                        packet = replace(packet, ttl=packet.ttl - 1)
                        assert packet.ttl > 0, "a loop"
                    case Set("eth_dst", value):
                        packet = replace(packet, eth_dst=value)
                    case Set("in_port", value):
                        came_by = value
                    case Output(port):
                        out.add((port, packet))
                    case ToGroup(group_id):
                        out |= spread(packet, shared(index.groups, group_id), dead)
            table = flow.goto
        return {(port, packet) for port, packet in out if port != came_by}

    def ends(
        self,
        start: PortRef,
        la: IPv4Address,
        wires: Mapping[PortRef, PortRef],
        dead: frozenset[PortRef] = frozenset(),
        udp_src: int = 40000,
    ) -> set[tuple[PortRef, int] | None]:
        """Follow a packet by every choice: where it may come out and with which MAC; None where it may be lost."""
        ends: set[tuple[PortRef, int] | None] = set()
        ahead, met = [Packet(start, ROUTER_MAC, int(la), udp_src=udp_src)], set()
        while ahead:
            packet = ahead.pop()
            if packet in met:
                continue
            met.add(packet)
            outcomes = self.outcomes(packet, dead)
            if not outcomes:
                ends.add(None)
            for port, sent in outcomes:
                at = PortRef(packet.at.datapath_id, port)
                if at in wires:
                    ahead.append(replace(sent, at=wires[at]))
                else:
                    ends.add((at, sent.eth_dst))
        return ends
