"""What may an operator choose about virtual networks?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from overlay.holdings import DEFAULT_QUOTAS
from overlay.values import Countable

ENCAPSULATION: Final = 50
"""What VXLAN over IPv4 adds to a VM's IP packet: 20 bytes IPv4, 8 UDP, 8 VXLAN, 14 inner Ethernet (RFC 7348 §5)."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may choose.

    :param vni_first: lowest VNI that is handed out.
    :param vni_last: highest VNI that is handed out.
    :param grace: seconds for which the hairpin waits for stragglers after all hosts were repointed.
    :param move_timeout: seconds after which a move that was not activated fails.
    :param port_rate_kbps: what each port may send whose QoS policy does not say, in kbit/s; 0 is no limit.
    :param port_rate_pps: how many IP packets a second each port may send; 0 is any number.
    :param port_connections: how many connections a second each port with security groups may begin; 0 is any number.
    :param storm_pps: how many packets a second each port may flood (broadcast, multicast, unknown), and how many it may
        say by ARP; 0 is any number.
    :param asking_pps: how many packets a second of each port are handed to the controller.
    :param underlay_mtu: the largest IP packet that the underlay carries from host to host, in bytes.
    :param flood_unregistered: whether everybody gets what is sent to a multicast group that nobody has joined.
    :param groups_per_port: how many multicast groups a port can join.
    :param groups_per_network: how many multicast groups can be joined in a network.
    :param listening: seconds for which a port that does not say so again is taken to listen to a group.
    :param lease_seconds: how long a machine may use an address before it asks again.
    :param advertising_interval: seconds between two router advertisements to each machine that has not asked.
    :param evacuation_parallel: how many moves from a host that is being emptied are under way at once.
    :param dns_domain: the domain of the names of networks that have none of their own, with its final dot.
    :param quotas: how many of each a project may have that has no quota of its own, -1 for any number.
    """

    vni_first: int = 1
    vni_last: int = (1 << 24) - 1
    grace: float = 1.0
    move_timeout: float = 300.0
    port_rate_kbps: int = 0
    underlay_mtu: int = 1500
    quotas: Mapping[Countable, int] = field(default_factory=lambda: DEFAULT_QUOTAS)
    flood_unregistered: bool = False
    groups_per_port: int = 64
    groups_per_network: int = 1024
    listening: float = 130.0
    lease_seconds: int = 86_400
    advertising_interval: float = 200.0
    dns_domain: str = "vl2.internal."
    storm_pps: int = 1000
    asking_pps: int = 50
    port_rate_pps: int = 0
    evacuation_parallel: int = 16
    port_connections: int = 1000

    @property
    def network_mtu(self) -> int:
        """The largest IP packet of a VM that fits through the tunnel."""
        return self.underlay_mtu - ENCAPSULATION
