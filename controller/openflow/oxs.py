"""What does a switch count, as bytes?

OXS TLVs (OpenFlow 1.5, ofp_stats): class, field number, a reserved bit, length, then the value.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from controller.openflow.oxm import Undecodable

_BASIC: Final = 0x8002 << 16
FLOW_COUNT: Final = _BASIC | 3 << 9 | 4
"""How many flows, 32 bits."""
PACKET_COUNT: Final = _BASIC | 4 << 9 | 8
"""How many packets, 64 bits."""
BYTE_COUNT: Final = _BASIC | 5 << 9 | 8
"""How many bytes, 64 bits."""

_STATS: Final = Struct("!2xH")
_HEADER: Final = Struct("!I")


def decode_stat(buf: bytes, offset: int, wanted: int) -> tuple[int, int]:
    """Decode one statistic, zero where it is absent, and tell where what follows the statistics starts.

    :param wanted: :data:`FLOW_COUNT`, :data:`PACKET_COUNT` or :data:`BYTE_COUNT`.
    :raises Undecodable: for TLVs that overrun.
    """
    length: int = _STATS.unpack_from(buf, offset)[0]
    end = offset + length
    if end > len(buf):
        raise Undecodable(f"statistics of {length} bytes overrun")
    at = offset + _STATS.size
    while at < end:
        header: int = _HEADER.unpack_from(buf, at)[0]
        after = at + 4 + (header & 0xFF)
        if after > end:
            raise Undecodable("a statistic overruns the others")
        if header == wanted:
            return int.from_bytes(buf[at + 4 : after]), end + (-length & 7)
        at = after
    return 0, end + (-length & 7)
