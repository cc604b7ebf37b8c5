"""How does a person read a pipeline and its flows?

Prints any pipeline's declaration as the document PIPELINE.md, and any flow as one line in which tables, registers,
addresses and ports have their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from itertools import groupby
from typing import Final, assert_never

from overlay.flow import (
    FIELDS,
    PORT_CONTROLLER,
    PORT_IN,
    PORT_LOCAL,
    Action,
    Condition,
    Conjunction,
    DecTtl,
    Flow,
    Move,
    Output,
    Pipeline,
    PopVlan,
    PushVlan,
    Resubmit,
    Set,
    ToController,
    ToGroup,
    Track,
)

_IPV4: Final = frozenset(
    {"ipv4_src", "ipv4_dst", "arp_spa", "arp_tpa", "tun_ipv4_src", "tun_ipv4_dst"},
)
_HEX: Final = frozenset({"eth_type", "nd_reserved", "metadata", "vlan_vid", "tcp_flags", "ct_state"})
_PORTS: Final = {PORT_IN: "in_port", PORT_CONTROLLER: "controller", PORT_LOCAL: "local"}
_FIXED: Final[Mapping[Action, str]] = {
    ToController(): "to controller",
    DecTtl(): "count ttl down",
    PushVlan(): "push vlan",
    PopVlan(): "pop vlan",
}
_FIRST: Final = frozenset({"in_port"})
_MAC_BITS: Final = 48
_IPV6_BITS: Final = 128


def show_value(field: str, value: int) -> str:
    """A field's value as people write it."""
    if field in _IPV4:
        return str(IPv4Address(value))
    bits = FIELDS[field].bits
    if bits == _IPV6_BITS:
        return str(IPv6Address(value))
    if bits == _MAC_BITS:
        return ":".join(f"{byte:02x}" for byte in value.to_bytes(6, "big"))
    return f"{value:#06x}" if field in _HEX else str(value)


def show_condition(condition: Condition, registers: Mapping[str, str]) -> str:
    """One condition of a match."""
    field, value, mask = condition
    text = f"{_named(field, registers)}={show_value(field, value)}"
    return text if mask is None else f"{text}/{show_value(field, mask)}"


def show_action(action: Action, registers: Mapping[str, str], tables: Sequence[str] = ()) -> str:
    """One action.

    :param tables: the names of tables by number; without them they keep their numbers.
    """
    match action:
        case Output(port):
            return f"output:{_PORTS.get(port, port)}"
        case Set(field, value):
            return f"{_named(field, registers)}:={show_value(field, value)}"
        case Move(source, target):
            return f"{_named(target, registers)}:={_named(source, registers)}"
        case ToGroup(group_id):
            return f"group:{group_id}"
        case Resubmit(table):
            return f"through {_table(table, tables)}"
        case Track(zone, table, commit, mark):
            parts = ["commit"] * commit + [f"zone={_named(zone, registers)}"]
            parts += [] if mark is None else [f"ct_mark:={mark}"]
            parts += [] if table is None else [f"goto {_table(table, tables)}"]
            return f"track({', '.join(parts)})"
        case Conjunction(conj_id, dimension, dimensions):
            return f"conjunction({conj_id}, {dimension}/{dimensions})"
        case ToController() | DecTtl() | PushVlan() | PopVlan():
            return _FIXED[action]
    assert_never(action)


def show_flow(flow: Flow, pipeline: Pipeline, registers: Mapping[str, str] | None = None) -> str:
    """One flow in one line.

    :param registers: names for registers; without them they keep their numbers.
    """
    names = registers or {}
    ordered = sorted(flow.match, key=lambda condition: (condition.field not in _FIRST, condition.field not in names))
    match = ", ".join(show_condition(condition, names) for condition in ordered) or "any packet"
    steps = [] if flow.meter is None else [f"meter:{flow.meter}"]
    tables = [table.name for table in pipeline.tables]
    steps += [show_action(action, names, tables) for action in flow.actions]
    steps += [] if flow.goto is None else [f"goto {pipeline.tables[flow.goto].name}"]
    return f"{pipeline.tables[flow.table].name} {flow.priority}: {match} → {', '.join(steps) or 'drop'}"


def document(
    pipeline: Pipeline,
    samples: Iterable[tuple[str, Flow]],
    *,
    title: str,
    introduction: str,
    registers: Mapping[str, str] | None = None,
) -> str:
    """Print a pipeline as Markdown: the way of a packet, the registers, and each table with sample flows.

    :param samples: flows, each with a sentence that says what it is for.
    :param introduction: prose that stands before the tables.
    """
    names = registers or {}
    by_table: dict[int, list[tuple[str, Flow]]] = {}
    for sentence, flow in samples:
        by_table.setdefault(flow.table, []).append((sentence, flow))
    lines = [f"# {title}", "", introduction, "", "```mermaid", "flowchart LR"]
    lines += [f"    {table.name} --> {later}" for table in pipeline.tables for later in table.nexts]
    lines += ["```", ""]
    if names:
        lines += ["| register | name |", "|---|---|"]
        lines += [f"| `{register}` | `{name}` |" for register, name in names.items()]
        lines.append("")
    for table in pipeline.tables:
        lines += [f"## {table.id}. {table.name}", "", table.purpose, ""]
        lines.append(f"- matches: {_list(table.matches, names)}")
        lines.append(f"- writes: {_list(table.writes, names)}")
        lines.append(f"- goes on to: {_list(table.nexts, names)}")
        lines.append(f"- sends packets out: {'yes' if table.outputs else 'no'}")
        lines += [f"- no flow matches: {table.miss}", ""]
        for sentence, group in groupby(by_table.get(table.id, ()), key=lambda sample: sample[0]):
            lines += [f"{sentence}:", "", "```", *(show_flow(flow, pipeline, names) for _, flow in group), "```", ""]
    return "\n".join(lines).rstrip() + "\n"


def _table(number: int, names: Sequence[str]) -> str:
    return names[number] if number < len(names) else f"table {number}"


def _named(field: str, registers: Mapping[str, str]) -> str:
    return registers.get(field, field)


def _list(names: Iterable[str], registers: Mapping[str, str]) -> str:
    return ", ".join(f"`{_named(name, registers)}`" for name in names) or "nothing"
