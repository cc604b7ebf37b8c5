"""Of which words does a policy consist?

Frozen values in Neutron's sense.  A port that is filtered may send and receive what a rule of one of its groups allows,
the answers to that, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from overlay.values import AddressPair, IpNetwork, Record

__all__ = ["AddressGroup", "AddressPair", "Direction", "SecurityGroup", "SecurityRule"]

UNRECORDED: Final = Record()
"""That of what was not made by an intent."""


class Direction(StrEnum):
    """Which way the first packet of a connection goes, as the port with the rule sees it."""

    INGRESS = "ingress"
    EGRESS = "egress"


@dataclass(frozen=True, slots=True)
class SecurityGroup:
    """A set of rules that ports share, and the set of the ports that share them.

    :ivar stateful: always true: answers to what is allowed are allowed.
    :ivar is_default: whether ports of its project are in it that name no group; a project has one such group.
    """

    id: str
    project_id: str
    name: str
    description: str = ""
    stateful: bool = True
    is_default: bool = False
    record: Record = UNRECORDED


@dataclass(frozen=True, slots=True)
class SecurityRule:
    """Something that the ports of a group may do.  It never changes.

    At most one of the three remotes is given; without any, everybody is meant.

    :ivar family: 4 or 6, the IP version (Neutron's ethertype).
    :ivar protocol: IANA's number, ``None`` for all.  ICMPv6 is 58.
    :ivar port_min: the least destination port, or ICMP's type; ``None`` for all.
    :ivar port_max: the greatest destination port, or ICMP's code; ``None`` for all.
    :ivar remote_group_id: the addresses of the ports that this group has in the same network.
    """

    id: str
    project_id: str
    group_id: str
    direction: Direction
    family: int
    protocol: int | None = None
    port_min: int | None = None
    port_max: int | None = None
    remote_group_id: str | None = None
    remote_prefix: IpNetwork | None = None
    remote_address_group_id: str | None = None
    description: str = ""
    record: Record = UNRECORDED


@dataclass(frozen=True, slots=True)
class AddressGroup:
    """Prefixes, of both IP versions, that rules name as one remote.

    :ivar prefixes: sorted, none twice.
    """

    id: str
    project_id: str
    name: str
    description: str = ""
    prefixes: tuple[IpNetwork, ...] = ()
    record: Record = UNRECORDED
