"""How does ovs-ofctl(8) spell a flow?"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from overlay.flow import (
    FIELDS,
    PORT_IN,
    Conjunction,
    Flow,
    Group,
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

_SPELLING = {
    "ip_proto": "nw_proto",
    "icmpv4_type": "icmp_type",
    "icmpv4_code": "icmp_code",
    "ipv4_src": "nw_src",
    "ipv4_dst": "nw_dst",
    "ipv6_nd_target": "nd_target",
    "ipv6_nd_sll": "nd_sll",
    "ipv6_nd_tll": "nd_tll",
    "tunnel_id": "tun_id",
    "tun_ipv4_dst": "tun_dst",
    "tun_ipv4_src": "tun_src",
}

_FRAGMENTS = {(2, 2): "later", (0, None): "no"}

_FIRST = {"eth_type", "ip_proto", "icmpv4_type", "icmpv6_type"}  # what others depend on


def _value(field: str, value: int) -> str:
    bits = FIELDS[field].bits
    if bits == 128:
        return str(IPv6Address(value))
    if bits == 48:
        return ":".join(f"{byte:02x}" for byte in value.to_bytes(6, "big"))
    if field in {"arp_spa", "arp_tpa", "ipv4_src", "ipv4_dst", "tun_ipv4_src", "tun_ipv4_dst"}:
        return str(IPv4Address(value))
    return str(value) if field == "in_port" else hex(value)


def _action(action: object) -> str:  # noqa: C901  (one case for each action)
    match action:
        case Output(port):
            return "in_port" if port == PORT_IN else f"output:{port}"
        case ToController():
            return "controller:65535"
        case Set(field, value):
            return f"set_field:{_value(field, value)}->{_SPELLING.get(field, field)}"
        case Move(source, target):
            bits = FIELDS[source].bits - 1
            return f"move:{_nxm(source)}[0..{bits}]->{_nxm(target)}[0..{bits}]"
        case ToGroup(group_id):
            return f"group:{group_id}"
        case Resubmit(table):
            return f"resubmit(,{table})"
        case Track(zone, table, commit, mark):
            parts = ["commit"] * commit + [f"zone=NXM_NX_{zone.upper()}[0..15]"]
            parts += [] if table is None else [f"table={table}"]
            parts += [] if mark is None else [f"exec(set_field:{mark:#x}->ct_mark)"]
            return f"ct({','.join(parts)})"
        case Conjunction(conj_id, dimension, dimensions):
            return f"conjunction({conj_id},{dimension}/{dimensions})"
        case PushVlan():
            return "push_vlan:0x8100"
        case PopVlan():
            return "pop_vlan"
    raise ValueError(action)


def _nxm(field: str) -> str:
    return _SPELLING.get(field, field)


def ofctl(flow: Flow) -> str:
    """One line for ``ovs-ofctl -O OpenFlow15 add-flows``."""
    parts = [f"table={flow.table}", f"priority={flow.priority}", f"cookie={flow.cookie:#x}"]
    for field, value, mask in sorted(flow.match, key=lambda c: (c.field not in _FIRST, c.field)):
        spelled = _SPELLING.get(field, field)
        if field == "ip_frag":
            parts.append(f"ip_frag={_FRAGMENTS[value, mask]}")
            continue
        parts.append(f"{spelled}={_value(field, value)}" + ("" if mask is None else f"/{_value(field, mask)}"))
    actions = [f"meter:{flow.meter}"] if flow.meter is not None else []
    actions += [_action(action) for action in flow.actions]
    actions += [f"goto_table:{flow.goto}"] if flow.goto is not None else []
    return ",".join(parts) + ",actions=" + (",".join(actions) or "drop")


def ofctl_group(group: Group) -> str:
    """One line for ``ovs-ofctl -O OpenFlow15 add-group``, of a select group."""
    buckets = [
        f"bucket=bucket_id:{number},weight:{bucket.weight},actions={','.join(map(_action, bucket.actions))}"
        for number, bucket in enumerate(group.buckets)
    ]
    return ",".join([f"group_id={group.group_id}", "type=select", "selection_method=dp_hash", *buckets])
