"""Who listens to what, and at which hosts?

The part of the world's index that is about multicast.  It keeps its cross references right and checks nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from overlay.multicast.values import Membership
from overlay.values import HostName, IpAddress

_NOBODY: Final[Mapping[HostName, Mapping[str, None]]] = {}


class Listeners:
    """All memberships.  Inner dicts with ``None`` values are ordered sets.

    :ivar refused: how many reports of each port were beyond a limit.
    """

    def __init__(self) -> None:
        self._since: dict[str, dict[IpAddress, float]] = {}
        self._renewed: dict[tuple[str, IpAddress], float] = {}
        self._audiences: dict[str, dict[IpAddress, dict[HostName, dict[str, None]]]] = {}
        self._paid_off: dict[str, float] = {}
        self.refused: dict[str, int] = {}

    # --- looking up ---

    def __len__(self) -> int:
        """How many memberships there are."""
        return len(self._renewed)

    def since(self, port_id: str) -> Mapping[IpAddress, float]:
        """The groups that a port listens to, and since when."""
        return self._since.get(port_id, {})

    def ports(self) -> Iterable[str]:
        """All ports that listen to something."""
        return self._since.keys()

    def groups(self, network_id: str) -> Collection[IpAddress]:
        """The groups that somebody in a network listens to."""
        return self._audiences.get(network_id, {}).keys()

    def networks(self) -> Iterable[str]:
        """The networks in which somebody listens to something."""
        return self._audiences.keys()

    def audience(self, network_id: str, group: IpAddress) -> Mapping[HostName, Mapping[str, None]]:
        """Per host the ports that listen to a group there."""
        return self._audiences.get(network_id, {}).get(group, _NOBODY)

    def memberships(self, port_id: str) -> Iterator[Membership]:
        """What a port listens to."""
        for group, since in self._since.get(port_id, {}).items():
            yield Membership(port_id, group, since, self._renewed[port_id, group])

    def overdue(self, before: float) -> tuple[str, IpAddress] | None:
        """The membership that was renewed longest ago, if that is not after ``before``."""
        oldest = next(iter(self._renewed), None)
        return oldest if oldest is not None and self._renewed[oldest] <= before else None

    # --- changing ---

    def renew(self, port_id: str, group: IpAddress, now: float) -> None:
        """A port listens to a group, still or from now on."""
        self._renewed.pop((port_id, group), None)
        self._renewed[port_id, group] = now

    def pay(self, port_id: str, now: float, most: int) -> bool:
        """Let a port join one more group, if it did not join too many lately.

        A port may join ``most`` groups at once and, when it has done so, one each second.
        """
        paid_off = max(self._paid_off.get(port_id, now), now)
        if paid_off + 1 > now + most:
            return False
        self._paid_off[port_id] = paid_off + 1
        return True

    def forget(self, port_id: str) -> None:
        """A port, which listens to nothing, is no more."""
        self.refused.pop(port_id, None)
        self._paid_off.pop(port_id, None)

    def put(self, membership: Membership, network_id: str, hosts: Iterable[HostName]) -> bool:
        """Add.  :returns: whether a host has a listener to the group now that had none."""
        self._since.setdefault(membership.port_id, {})[membership.group] = membership.since
        self.renew(membership.port_id, membership.group, membership.renewed)
        return self.stand(membership.port_id, membership.group, network_id, hosts)

    def stand(self, port_id: str, group: IpAddress, network_id: str, hosts: Iterable[HostName]) -> bool:
        """A port that listens to a group stands at these hosts and no others.

        :returns: whether there is a listener now where there was none, or none where there was one.
        """
        audience = self._audiences.setdefault(network_id, {}).setdefault(group, {})
        wanted, before = set(hosts), set(audience)
        for host in before - wanted:
            audience[host].pop(port_id, None)
            if not audience[host]:
                del audience[host]
        for host in wanted:
            audience.setdefault(host, {})[port_id] = None
        if not audience:
            del self._audiences[network_id][group]
        if not self._audiences[network_id]:
            del self._audiences[network_id]
        return audience.keys() != before

    def drop(self, port_id: str, group: IpAddress, network_id: str) -> bool:
        """Remove.  :returns: whether a host has no listener to the group now that had one."""
        groups = self._since[port_id]
        del groups[group], self._renewed[port_id, group]
        if not groups:
            del self._since[port_id]
        return self.stand(port_id, group, network_id, ())
