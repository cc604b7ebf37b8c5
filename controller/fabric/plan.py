"""Which locator addresses may there be, and which edge switch does each prefix of them belong to?

The LA plan of DESIGN.md §1: every edge switch has a prefix, so that fabric tables grow with edge switches and not with
hosts.  Nobody configures which one: a prefix belongs to the switch at which most of its LAs were seen, and an LA that
was seen elsewhere gets a route of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final, NamedTuple

from controller.fabric.pipeline import is_tag
from overlay.refusals import Invalid
from overlay.values import DatapathId, Mac

ROUTER_MAC: Final = Mac(0x02564C320001)
"""The virtual router's MAC where the operator names none (locally administered, "VL2" inside)."""

SUPERNET: Final = IPv4Network("10.0.0.0/16")
"""The supernet where the operator names none."""

HOST_LENGTH: Final = 32
_LONGEST_EDGE_PREFIX: Final = 30
_GROUP_BIT: Final = 1 << 40


class PortRef(NamedTuple):
    """One port of one switch."""

    datapath_id: DatapathId
    port: int


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where an LA is: the hardware address that answers for it, and the edge port behind which it does."""

    la: IPv4Address
    mac: Mac
    at: PortRef


@dataclass(frozen=True, slots=True)
class LaPlan:
    """Where locator addresses come from.

    :param supernet: holds every LA.
    :param edge_prefix_length: of the prefix that an edge switch has; its first address is the gateway.
    :param router_mac: of the one virtual router that all fabric switches are together.
    """

    supernet: IPv4Network = SUPERNET
    edge_prefix_length: int = 24
    router_mac: Mac = ROUTER_MAC

    def __post_init__(self) -> None:
        if not self.supernet.prefixlen <= self.edge_prefix_length <= _LONGEST_EDGE_PREFIX:
            raise Invalid(
                f"edge_prefix_length: {self.edge_prefix_length} is outside"
                f" {self.supernet.prefixlen} … {_LONGEST_EDGE_PREFIX}",
                field="edge_prefix_length",
            )
        if is_tag(self.router_mac):
            raise Invalid(
                f"router_mac: {self.router_mac} is among those that carry locator tags (02:56:4d:…)", field="router_mac"
            )

    @property
    def _host_mask(self) -> int:
        return (1 << HOST_LENGTH - self.edge_prefix_length) - 1

    def prefix_of(self, la: IPv4Address) -> IPv4Network:
        """Name the edge prefix that an LA lies in."""
        return IPv4Network((int(la) & ~self._host_mask, self.edge_prefix_length))

    def gateway_of(self, la: IPv4Address) -> IPv4Address:
        """Name the gateway of an LA: the first address of its prefix."""
        return IPv4Address(int(la) & ~self._host_mask | 1)

    def gateways(self) -> tuple[int, int]:
        """Match every gateway address at once, as a value and a mask (arbitrary masks: ovs-fields(7))."""
        return int(self.supernet.network_address) | 1, int(self.supernet.netmask) | self._host_mask

    def admits(self, la: IPv4Address, mac: Mac) -> bool:
        """Whether a host may have this address: an LA, neither gateway nor broadcast, at a MAC that is not ours."""
        number = int(la) & self._host_mask
        return (
            la in self.supernet
            and number not in (0, 1, self._host_mask)
            and mac != self.router_mac
            and mac > 0
            and not mac & _GROUP_BIT
        )


def locate(prefix: IPv4Network, sightings: Iterable[Sighting]) -> Mapping[IPv4Network, DatapathId]:
    """Give a prefix to the switch where most of its LAs are (ties: the lowest id), and list the exceptions as /32."""
    seen = {sighting.la: sighting.at.datapath_id for sighting in sightings}
    if not seen:
        return {}
    votes = Counter(seen.values())
    owner = min(votes, key=lambda datapath_id: (-votes[datapath_id], datapath_id))
    located = {prefix: owner}
    located |= {IPv4Network((int(la), HOST_LENGTH)): at for la, at in sorted(seen.items()) if at != owner}
    return located
