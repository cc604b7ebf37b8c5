"""Which multicast groups can be listened to, and what is known of a listener?

Groups of one link (224.0.0.0/24, and IPv6's scopes up to that of the link: all nodes, all routers, those by which
neighbours are solicited) are not among them: what is sent to these everybody gets, listener or not (RFC 4541 §2.1.2
and §3), since a network cannot work without it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Final, NamedTuple

from overlay.values import IpAddress

IPV4_GROUPS: Final = IPv4Network("224.0.0.0/4")
IPV4_OF_A_LINK: Final = IPv4Network("224.0.0.0/24")

IPV6_GROUPS: Final = (0xFF << 120, 0xFF << 120)
"""All IPv6 groups, as value and mask."""
IPV6_OF_A_LINK: Final = tuple((0xFF00 | scope) << 112 for scope in range(3))
"""The IPv6 groups of a scope that does not reach beyond the link (RFC 4291 §2.7), under :data:`IPV6_SCOPE`."""
IPV6_SCOPE: Final = 0xFF0F << 112
"""The mask that leaves a group's scope and not its flags."""


def is_joinable(group: IpAddress) -> bool:
    """Whether it makes a difference who listens to a group."""
    if isinstance(group, IPv4Address):
        return group in IPV4_GROUPS and group not in IPV4_OF_A_LINK
    return group.is_multicast and int(group) & IPV6_SCOPE not in IPV6_OF_A_LINK


class Membership(NamedTuple):
    """A port listens to a group.

    :param since: when it first said so, seconds on the owner's clock.
    :param renewed: when it last said so.
    """

    port_id: str
    group: IPv4Address | IPv6Address
    since: float
    renewed: float
