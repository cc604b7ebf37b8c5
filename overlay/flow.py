"""What is a flow, and who may make one?

A flow is a key (table, priority, match) and data (cookie, actions, next table); two values, frozen, so that equality
is the diff.  It can only be made by its :class:`Table`, which refuses fields, registers and hops that its declaration
does not name.  Nothing here knows the wire; ``controller/openflow/codec.py`` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, NamedTuple, TypeAlias

MARK: Final = 0x564C
"""The top 16 bits of every cookie of ours ("VL").  A flow without it is foreign and never touched."""

COOKIE_MARK: Final = MARK << 48
COOKIE_MARK_MASK: Final = 0xFFFF << 48
_KIND_SHIFT: Final = 40
_OBJECT_MASK: Final = (1 << _KIND_SHIFT) - 1
COOKIE_KIND_MASK: Final = 0xFFFFFF << _KIND_SHIFT
"""Mark and kind together: of what kind a flow of ours is."""


def cookie(kind: int, obj: int) -> int:
    """Compose mark (16 bits), kind (8 bits) and object (40 bits) into a flow's provenance."""
    if not 0 <= kind < 256 or not 0 <= obj <= _OBJECT_MASK:  # noqa: PLR2004
        raise ValueError(f"cookie out of range: kind {kind}, object {obj}")
    return COOKIE_MARK | kind << _KIND_SHIFT | obj


class Field(NamedTuple):
    """A match field by its OpenFlow name (as Ryu spells it) and width in bits."""

    name: str
    bits: int
    maskable: bool = True


FIELDS: Final[Mapping[str, Field]] = {
    f.name: f
    for f in (
        Field("in_port", 32, maskable=False),
        Field("metadata", 64),
        Field("eth_dst", 48),
        Field("eth_src", 48),
        Field("eth_type", 16, maskable=False),
        Field("vlan_vid", 13),
        Field("ip_dscp", 6, maskable=False),
        Field("ip_proto", 8, maskable=False),
        Field("ip_frag", 8),
        Field("ipv4_src", 32),
        Field("ipv4_dst", 32),
        Field("udp_src", 16),
        Field("udp_dst", 16),
        Field("tcp_src", 16),
        Field("tcp_dst", 16),
        Field("tcp_flags", 12),
        Field("sctp_src", 16),
        Field("sctp_dst", 16),
        Field("icmpv4_type", 8, maskable=False),
        Field("icmpv4_code", 8, maskable=False),
        Field("arp_op", 16, maskable=False),
        Field("arp_spa", 32),
        Field("arp_tpa", 32),
        Field("arp_sha", 48),
        Field("arp_tha", 48),
        Field("ipv6_src", 128),
        Field("ipv6_dst", 128),
        Field("icmpv6_type", 8, maskable=False),
        Field("icmpv6_code", 8, maskable=False),
        Field("ipv6_nd_target", 128),
        Field("ipv6_nd_sll", 48),
        Field("ipv6_nd_tll", 48),
        Field("nd_reserved", 32, maskable=False),
        Field("nd_options_type", 8, maskable=False),
        Field("tunnel_id", 64),
        Field("tun_ipv4_src", 32),
        Field("tun_ipv4_dst", 32),
        Field("ct_state", 32),
        Field("ct_mark", 32),
        Field("conj_id", 32, maskable=False),
        *(Field(f"reg{n}", 32) for n in range(16)),
    )
}
"""Every field that our pipelines use; the codec knows the OXM header of each."""

PORT_IN: Final = 0xFFFFFFF8
PORT_CONTROLLER: Final = 0xFFFFFFFD
PORT_LOCAL: Final = 0xFFFFFFFE

VLAN_PRESENT: Final = 0x1000
"""OFPVID_PRESENT: a ``vlan_vid`` of a frame that has a tag is this and its VLAN; 0 is one without a tag."""

FieldValue: TypeAlias = int | IPv4Address | IPv6Address | IPv4Network | IPv6Network | tuple[int, int]


class Condition(NamedTuple):
    """One field of a match: exact where ``mask`` is None.  Value bits outside the mask are zero."""

    field: str
    value: int
    mask: int | None = None


Match: TypeAlias = tuple[Condition, ...]
"""Conditions sorted by field name: the canonical form, so that equal matches compare equal."""


@dataclass(frozen=True, slots=True)
class Output:
    """Send the packet out of an OpenFlow port (``PORT_IN`` to turn it round)."""

    port: int


@dataclass(frozen=True, slots=True)
class ToController:
    """Hand the packet (whole) to the controller."""


@dataclass(frozen=True, slots=True)
class Set:
    """Write a constant into a whole field or register."""

    field: str
    value: int


@dataclass(frozen=True, slots=True)
class Move:
    """Copy one whole field into another of the same width (OFPAT_COPY_FIELD of OpenFlow 1.5, ovs-actions(7))."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class ToGroup:
    """Hand the packet to a group."""

    group_id: int


@dataclass(frozen=True, slots=True)
class DecTtl:
    """Count the IP TTL down; the packet is dropped at zero."""


@dataclass(frozen=True, slots=True)
class Resubmit:
    """Look the packet up in a later table, do what is said there, and go on with the next action (ovs-actions(7))."""

    table: int


@dataclass(frozen=True, slots=True)
class Track:
    """Hand an IP packet to the connection tracker (``ct`` of ovs-actions(7)).

    :param zone: the register whose lower 16 bits are the zone.
    :param table: where a copy of the packet goes on that carries what the tracker knows; none where this is ``None``.
    :param commit: whether the connection is remembered.
    :param mark: the connection's mark from now on; only with ``commit``.
    """

    zone: str
    table: int | None = None
    commit: bool = False
    mark: int | None = None


@dataclass(frozen=True, slots=True)
class Conjunction:
    """This flow is one of the flows of a dimension of a conjunctive match (ovs-fields(7), "Conjunctive Match Fields").

    :param conj_id: what ``conj_id`` is when one flow of each dimension matches.
    :param dimension: which one this is, from 1.
    :param dimensions: how many there are, 2 … 64.
    """

    conj_id: int
    dimension: int
    dimensions: int


@dataclass(frozen=True, slots=True)
class PushVlan:
    """Give the frame an 802.1Q tag, whose VLAN is then set (``vlan_vid``)."""


@dataclass(frozen=True, slots=True)
class PopVlan:
    """Take the frame's outer 802.1Q tag away."""


Action: TypeAlias = (
    Output | ToController | Set | Move | ToGroup | DecTtl | Resubmit | Track | Conjunction | PushVlan | PopVlan
)


class FlowKey(NamedTuple):
    """What makes a flow this flow and no other on its switch."""

    table: int
    priority: int
    match: Match


@dataclass(frozen=True, slots=True)
class Flow:
    """One OpenFlow flow entry: key, provenance, optional meter, actions in order, then optionally the next table."""

    table: int
    priority: int
    match: Match
    cookie: int
    actions: tuple[Action, ...] = ()
    goto: int | None = None
    meter: int | None = None
    key: FlowKey = dataclass_field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", FlowKey(self.table, self.priority, self.match))


@dataclass(frozen=True, slots=True)
class Bucket:
    """One way out of a group; skipped by the switch while ``watch_port`` is down."""

    actions: tuple[Action, ...]
    weight: int = 1
    watch_port: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Several ways out, of which the switch takes one that is alive.

    A select group hashes each transport flow onto a bucket; a failover group takes the first one; an indirect group
    has one, for many flows that are to be changed together.

    :param basis: what the hash over addresses and ports starts from, 32 bits (``selection_method=dp_hash`` and the
        lower half of its ``selection_method_param``, ovs-ofctl(8)).  Switches that a packet meets one after the other
        need different ones, or the second would only see packets for which the first has chosen the same.
    :param failover: whether this is a failover group (OFPGT_FF), all of whose buckets watch a port; it has neither
        weights nor a basis.
    :param indirect: whether this is an indirect group (OFPGT_INDIRECT), whose one bucket watches nothing and has no
        weight; it has no basis either.
    """

    group_id: int
    buckets: tuple[Bucket, ...]
    basis: int = 0
    failover: bool = False
    indirect: bool = False


class MeterUnit(Enum):
    """What a meter counts."""

    PACKETS = "packets"
    KILOBITS = "kilobits"
    """1,000 bits of whole frames, without what the wire adds."""


@dataclass(frozen=True, slots=True)
class Meter:
    """A limit that drops what is over it.

    :param rate: units per second.
    :param burst: units that may come at once.
    """

    meter_id: int
    rate: int
    burst: int
    unit: MeterUnit = MeterUnit.PACKETS


class PipelineError(Exception):
    """A flow was asked for that its table's declaration does not allow: a defect in our code."""


def conditions(fields: Mapping[str, FieldValue]) -> Match:
    """Bring a match into its canonical form.

    :param fields: by name; a value is an int, an address, a prefix, or ``(value, mask)``.
    :raises PipelineError: for an unknown field, a value wider than its field, or a mask where none may be.
    """
    out = []
    for name, given in fields.items():
        if isinstance(given, int) and 0 <= given < _EXACT_BELOW.get(name, 0):
            out.append(Condition(name, given))  # by far the most frequent
        else:
            out += _condition(name, given)
    out.sort()
    return tuple(out)


_EXACT_BELOW: Final = {field.name: 1 << field.bits for field in FIELDS.values()}


def _condition(name: str, given: FieldValue) -> tuple[Condition, ...]:
    known = FIELDS.get(name)
    if known is None:
        raise PipelineError(f"no such field: {name}")
    value, mask = _value_and_mask(given)
    full = (1 << known.bits) - 1
    if mask == full:
        mask = None
    if mask is not None and not known.maskable:
        raise PipelineError(f"field {name} takes no mask")
    if not 0 <= value <= full or (mask is not None and not 0 <= mask <= full):
        raise PipelineError(f"value {value:#x} does not fit field {name} of {known.bits} bits")
    if mask is not None:
        value &= mask
    return () if mask == 0 else (Condition(name, value, mask),)


def _value_and_mask(given: FieldValue) -> tuple[int, int | None]:
    if isinstance(given, tuple):
        return given
    if isinstance(given, IPv4Network | IPv6Network):
        return int(given.network_address), int(given.netmask)
    return int(given), None


@dataclass(frozen=True)
class Table:
    """The declaration of one flow table: the only maker of its flows.

    :param name: unique in its pipeline.
    :param purpose: why the table exists, one or two sentences for the reader of PIPELINE.md.
    :param matches: names of the fields that its flows may match on.
    :param writes: names of the fields and registers that its flows may set or move into.
    :param nexts: names of the tables that its flows may go to; all later in the packet's order.
    :param outputs: whether its flows may emit packets (to ports, groups or the controller).
    :param miss: what becomes of a packet that no flow matches, in words.
    """

    name: str
    purpose: str
    matches: tuple[str, ...]
    writes: tuple[str, ...] = ()
    nexts: tuple[str, ...] = ()
    outputs: bool = False
    miss: str = "drop"
    _ids: dict[str, int] = dataclass_field(default_factory=dict, repr=False, compare=False)

    @property
    def id(self) -> int:
        """The OpenFlow table number, given by the pipeline's order."""
        return self._ids[self.name]

    def flow(
        self,
        priority: int,
        match: Mapping[str, FieldValue],
        *,
        cookie: int,
        actions: Iterable[Action] = (),
        goto: str | None = None,
        meter: int | None = None,
    ) -> Flow:
        """Make one flow of this table.

        :raises PipelineError: for anything that the declaration does not name.
        """
        actions = tuple(actions)
        for name in match:
            if name not in self.matches:
                raise PipelineError(f"table {self.name} does not match on {name}")
        for action in actions:
            self._check(action)
        if goto is not None and goto not in self.nexts:
            raise PipelineError(f"table {self.name} does not go to {goto}")
        if cookie & COOKIE_MARK_MASK != COOKIE_MARK:
            raise PipelineError(f"cookie {cookie:#x} lacks our mark")
        return Flow(
            self.id, priority, conditions(match), cookie, actions, None if goto is None else self._ids[goto], meter
        )

    def extended(self, flow: Flow, *actions: Action) -> Flow:
        """Make of a flow of this table one that does more, before it goes on.

        :raises PipelineError: for anything that the declaration does not name.
        """
        for action in actions:
            self._check(action)
        return replace(flow, actions=(*flow.actions, *actions))

    def number_of(self, name: str) -> int:
        """Give the number of a later table, for a :class:`Resubmit` or a :class:`Track`.

        :raises PipelineError: for a table that the declaration does not name.
        """
        if name not in self.nexts:
            raise PipelineError(f"table {self.name} does not go to {name}")
        return self._ids[name]

    def _check(self, action: Action) -> None:
        if isinstance(action, Set | Move | DecTtl | PushVlan | PopVlan):
            self._check_write(action)
        elif isinstance(action, Resubmit | Track):
            self._check_later(action)
        elif isinstance(action, Conjunction):
            if "conj_id" not in self.matches:
                raise PipelineError(f"table {self.name} has no conjunctive matches")
        elif not self.outputs:
            raise PipelineError(f"table {self.name} does not emit packets")

    def _check_write(self, action: Set | Move | DecTtl | PushVlan | PopVlan) -> None:
        match action:
            case Set(field=name) | Move(target=name):
                pass
            case DecTtl():
                name = "ttl"
            case _:
                name = "vlan_vid"
        if name not in self.writes:
            raise PipelineError(f"table {self.name} does not write {name}")
        if isinstance(action, Set) and not 0 <= action.value < _EXACT_BELOW[name]:
            raise PipelineError(f"value {action.value:#x} does not fit field {name}")
        if isinstance(action, Move) and FIELDS[action.source].bits != FIELDS[name].bits:
            raise PipelineError(f"cannot move {action.source} into {name}: their widths differ")

    def _check_later(self, action: Resubmit | Track) -> None:
        if action.table is not None and action.table not in map(self._ids.get, self.nexts):
            raise PipelineError(f"table {self.name} does not go to table {action.table}")
        if isinstance(action, Track) and action.mark is not None and not (action.commit and "ct_mark" in self.writes):
            raise PipelineError(f"table {self.name} does not mark connections")


class Pipeline:
    """Tables in the order in which a packet meets them; their OpenFlow numbers come from that order."""

    def __init__(self, name: str, *tables: Table) -> None:
        self.name = name
        self.tables = tables
        self._by_name = {table.name: table for table in tables}
        ids = {table.name: number for number, table in enumerate(tables)}
        if len(ids) != len(tables):
            raise PipelineError(f"pipeline {name} has two tables of one name")
        for number, table in enumerate(tables):
            for name_ in (*table.matches, *table.writes):
                if name_ not in FIELDS and name_ != "ttl":
                    raise PipelineError(f"table {table.name} names an unknown field: {name_}")
            for later in table.nexts:
                if ids.get(later, -1) <= number:
                    raise PipelineError(f"table {table.name} goes back to {later}")
            table._ids.update(ids)  # noqa: SLF001  (the pipeline numbers its tables)

    def __getitem__(self, name: str) -> Table:
        return self._by_name[name]
