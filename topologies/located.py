"""What makes a machine with an Open vSwitch the end of tunnels?

A locator address (LA), and an uplink into the fabric.  With the userspace datapath the uplink is a port of ``br-phy``,
whose local port carries the LA; with the kernel datapath the uplink itself carries it.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from topologies import namespace
from topologies.machine import Datapath
from topologies.underlay import LA_SUPERNET
from topologies.wiring import FABRIC_MTU

BRIDGE: Final = "br-phy"


class Located:
    """Mixed into a node that has an Open vSwitch: an LA and what belongs to it.

    :ivar la: ``None`` for a fabric switch to which no machine is wired.
    """

    pid: int
    datapath: Datapath
    la: ipaddress.IPv4Interface | None
    gateway: str

    @property
    def uplink(self) -> str:
        """The name of the cable into the fabric."""
        raise NotImplementedError

    def run(self, *command: str) -> str:
        """Run a command in the node."""
        raise NotImplementedError

    @property
    def locator(self) -> str:
        """The interface that carries the LA."""
        return BRIDGE if self.datapath == "netdev" else self.uplink

    def underlay(self, mac: str) -> list[str]:
        """The words that make the uplink bridge, where the datapath needs one."""
        if self.datapath == "system":
            return []
        return [
            *f"-- add-br {BRIDGE} -- set Bridge {BRIDGE} datapath_type=netdev fail_mode=standalone".split(),
            f'other_config:hwaddr="{mac}"',
            *f"-- add-port {BRIDGE} {self.uplink} -- set Interface {BRIDGE} mtu_request={FABRIC_MTU}".split(),
        ]

    def number(self) -> None:
        """Give the machine its LA, the route to all other LAs, and make it announce itself."""
        where = self.locator
        script = [
            f"sysctl -qw net.ipv4.conf.{where}.arp_ignore=0 net.ipv4.conf.{where}.arp_notify=1",
            f"ip link set dev {where} up",
            f"ip address replace {self.la} dev {where}",
            f"ip route replace {LA_SUPERNET} via {self.gateway} dev {where}",
        ]
        self.run("bash", "-ec", "\n".join(script))
        self.announce()

    @property
    def locator_address(self) -> str:
        """The LA, without its prefix length."""
        return "" if self.la is None else str(self.la.ip)

    def announce(self) -> None:
        """Send a gratuitous ARP for the LA."""
        namespace.announce(self.pid, self.locator, self.locator_address)

    def hears_gateway(self, seconds: float) -> bool:
        """Whether the fabric answers an ARP request of this machine for its gateway: then it knows where the LA is."""
        return namespace.hears(self.pid, self.locator, self.locator_address, self.gateway, seconds)
