"""How does a switch choose among next hops, as bytes?

Buckets and the properties of a group (OpenFlow 1.5, ofp_bucket and ofp_group_mod).  How to choose is said in
Netronome's property (include/openflow/netronome-ext.h of Open vSwitch), which Open vSwitch takes in OpenFlow 1.5 alone:
without it, its userspace datapath hashes no UDP ports, so all VXLAN between two LAs would take one path.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from controller.openflow.actions import ANY, decode_actions, encode_actions
from controller.openflow.oxm import Undecodable
from overlay.flow import Bucket

FOREIGN_BASIS: Final = -1
"""Stands for a choice that ours never is: a group read back with it differs from any group that could be wanted."""

_WEIGHT, _WATCH_PORT, _WATCH_GROUP, _EXPERIMENTER = 0, 1, 2, 0xFFFF
_NETRONOME: Final = 0x0000154D
_SELECTION_METHOD: Final = 1
_DP_HASH: Final = b"dp_hash".ljust(16, b"\0")
_FIVE_TUPLE: Final = 0
"""Addresses, protocol and ports; the other choice (1) is symmetric, and leaves UDP ports out."""

_TL: Final = Struct("!HH")
_BUCKET: Final = Struct("!HHI")
_WEIGHT_PROPERTY: Final = Struct("!HHH2x")
_WATCH_PROPERTY: Final = Struct("!HHI")
_SELECTION_PROPERTY: Final = Struct("!HHII4x16sII")


def encode_buckets(buckets: tuple[Bucket, ...], *, weighted: bool = True) -> bytes:
    """Encode the buckets of a group; their ids are their places.

    :param weighted: whether they have weights, which only those of a select group may.
    """
    out: list[bytes] = []
    for number, bucket in enumerate(buckets):
        actions = encode_actions(bucket.actions)
        properties = _WEIGHT_PROPERTY.pack(_WEIGHT, 8, bucket.weight) if weighted else b""
        if bucket.watch_port is not None:
            properties += _WATCH_PROPERTY.pack(_WATCH_PORT, 8, bucket.watch_port)
        length = _BUCKET.size + len(actions) + len(properties)
        out += (_BUCKET.pack(length, len(actions), number), actions, properties)
    return b"".join(out)


def encode_choice(basis: int) -> bytes:
    """Encode the property that makes a group choose by the datapath's hash of addresses and ports.

    :param basis: what the hash starts from, 32 bits.
    """
    size = _SELECTION_PROPERTY.size
    return _SELECTION_PROPERTY.pack(
        _EXPERIMENTER, size, _NETRONOME, _SELECTION_METHOD, _DP_HASH, _FIVE_TUPLE, basis
    )  # fmt: skip


def decode_buckets(buf: bytes) -> tuple[Bucket, ...]:
    """Decode buckets in order.

    :raises Undecodable: for a bucket that does what ours never do.
    """
    out = []
    at = 0
    while at < len(buf):
        if at + _BUCKET.size > len(buf):
            raise Undecodable("a bucket overruns its group")
        length, actions_length, _ = _BUCKET.unpack_from(buf, at)
        body, end = at + _BUCKET.size, at + length
        if body + actions_length > end or end > len(buf):
            raise Undecodable("a bucket overruns its group, or its actions overrun it")
        weight, watch_port = _decode_bucket_properties(buf[body + actions_length : end])
        out.append(Bucket(decode_actions(buf[body : body + actions_length]), weight, watch_port))
        at = end
    return tuple(out)


def _decode_bucket_properties(buf: bytes) -> tuple[int, int | None]:
    """Decode weight and watched port, with what holds where they are absent."""
    weight, watch_port = 1, None
    at = 0
    while at < len(buf):
        if at + _WATCH_PROPERTY.size > len(buf):
            raise Undecodable("a property overruns its bucket")
        kind, length, value = _WATCH_PROPERTY.unpack_from(buf, at)
        if kind == _WEIGHT:
            weight = value >> 16
        elif kind == _WATCH_PORT:
            watch_port = None if value == ANY else value
        elif kind != _WATCH_GROUP or value != ANY:
            raise Undecodable(f"a bucket with a property of type {kind}")
        if length != _WATCH_PROPERTY.size:
            raise Undecodable(f"a bucket's property of {length} bytes")
        at += length
    return weight, watch_port


def decode_choice(properties: bytes) -> int:
    """Decode the basis of the hash out of a group's properties; :data:`FOREIGN_BASIS` where they say anything else."""
    if len(properties) == _SELECTION_PROPERTY.size:
        *kind, basis = _SELECTION_PROPERTY.unpack(properties)
        if kind == [_EXPERIMENTER, len(properties), _NETRONOME, _SELECTION_METHOD, _DP_HASH, _FIVE_TUPLE]:
            return int(basis)
    return FOREIGN_BASIS
