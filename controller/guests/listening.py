"""What does a machine say about the multicast groups that it listens to, and how is it asked?

Frames of IGMP (:mod:`controller.guests.igmp`) and MLD (:mod:`controller.guests.mld`) in, what they mean out; and what
both have in common.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address
from typing import Any, Final, NamedTuple, Protocol

from overlay.values import IpAddress

LONGEST_RESPONSE: Final = 10.0
"""Seconds within which a machine answers a question, at most (RFC 9776 §8.3)."""

_EXACT_BELOW: Final = 128


class Said(NamedTuple):
    """What a machine reported: groups that it listens to, and groups that it listens to no more."""

    joined: tuple[IpAddress, ...] = ()
    left: tuple[IpAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """How machines are asked what they listen to.

    :param interval: seconds between two such questions.
    :param robustness: how many questions have to go unanswered until nobody is there.
    """

    interval: float
    robustness: int = 2

    @property
    def response(self) -> float:
        """How many seconds a machine may take to answer; less than the interval (RFC 9776 §8.3)."""
        return min(LONGEST_RESPONSE, self.interval / 2)

    @property
    def patience(self) -> float:
        """After how many seconds of silence nobody is there (RFC 9776 §8.4)."""
        return self.robustness * self.interval + self.response


ASKED_EVERY_MINUTE: Final = Query(60.0)


class RecordType(IntEnum):
    """What a group record says (RFC 9776 §4.2.12, RFC 9777 §5.2.12)."""

    IS_INCLUDE = 1
    IS_EXCLUDE = 2
    TO_INCLUDE = 3
    TO_EXCLUDE = 4
    ALLOW_NEW = 5
    BLOCK_OLD = 6


class Record(Protocol):
    """A group record as the packet library gives it."""

    type_: int
    address: str
    srcs: list[Any]


def in_records(records: Iterable[Record]) -> Said:
    """What group records say.

    Members are known by their group alone.  Whoever wants to hear some sources only, or all but some, is a member, and
    sorts out by itself what it did not want; who wants to hear no source has left.
    """
    joined, left = [], []
    for record in records:
        group = ip_address(record.address)
        match record.type_:
            case RecordType.IS_EXCLUDE | RecordType.TO_EXCLUDE:
                joined.append(group)
            case RecordType.IS_INCLUDE | RecordType.TO_INCLUDE | RecordType.ALLOW_NEW if record.srcs:
                joined.append(group)
            case RecordType.IS_INCLUDE | RecordType.TO_INCLUDE:
                left.append(group)
            case _:  # sources taken away, or what later versions may bring (RFC 9776 §4.2.12)
                pass
    return Said(tuple(joined), tuple(left))


def in_eight_bits(value: int) -> int:
    """A number as a code of 8 bits, from 128 on a floating point one (RFC 9776 §4.1.1): the next that is not above."""
    if value < _EXACT_BELOW:
        return value
    exponent = min(value.bit_length() - 8, 7)
    return 0x80 | exponent << 4 | min(value >> exponent + 3, 0x1F) & 0xF
