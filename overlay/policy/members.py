"""Which addresses have the members of a security group, and whose is an address?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from overlay.values import Port


class Member(NamedTuple):
    """What a policy reads of a port.

    :ivar prefixes: its addresses and those of its address pairs, as prefixes in words.
    """

    network_id: str
    groups: tuple[str, ...]
    prefixes: tuple[str, ...]


def prefixes_of(port: Port) -> tuple[str, ...]:
    """A port's addresses and those of its address pairs, as prefixes in words, none twice."""
    own = (f"{fixed.ip}/{fixed.ip.max_prefixlen}" for fixed in port.fixed_ips)
    return tuple(dict.fromkeys((*own, *(str(pair.network) for pair in port.allowed_pairs))))


class Members:
    """The filtered ports, by group and by address."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._of: dict[tuple[str, str], dict[str, None]] = {}
        self._holders: dict[tuple[str, str], dict[str, None]] = {}

    def put(self, port: Port) -> None:
        """Follow a port."""
        groups = tuple(port.security_groups or ()) if port.filtered else ()
        member = Member(port.network_id, groups, prefixes_of(port) if groups else ())
        before = self._members.get(port.id)
        if before == member:
            return
        self.drop(port.id)
        if not groups:
            return
        self._members[port.id] = member
        for group_id in groups:
            self._of.setdefault((group_id, port.network_id), {})[port.id] = None
        for prefix in member.prefixes:
            self._holders.setdefault((port.network_id, prefix), {})[port.id] = None

    def drop(self, port_id: str) -> None:
        """Forget a port."""
        member = self._members.pop(port_id, None)
        if member is None:
            return
        places = [(self._of, (group_id, member.network_id)) for group_id in member.groups]
        places += [(self._holders, (member.network_id, prefix)) for prefix in member.prefixes]
        for index, place in places:
            del index[place][port_id]
            if not index[place]:
                del index[place]

    def prefixes(self, group_id: str, network_id: str) -> Iterator[str]:
        """The addresses of a group's ports in a network; one of several ports comes several times."""
        for port_id in self._of.get((group_id, network_id), ()):
            yield from self._members[port_id].prefixes

    def ports(self, group_id: str, network_id: str) -> Iterable[str]:
        """A group's ports in a network."""
        return self._of.get((group_id, network_id), {}).keys()

    def groups_with(self, network_id: str, prefix: str) -> Iterable[str]:
        """The groups that have a port with this address in a network."""
        holders = self._holders.get((network_id, prefix), ())
        return dict.fromkeys(group_id for port_id in holders for group_id in self._members[port_id].groups)
