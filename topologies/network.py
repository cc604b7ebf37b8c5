"""How do the machines of a lab come to life together?

Mininet builds namespaces and cables; this network then joins every switch and hypervisor to a management network (a
Linux bridge in the root namespace, ``172.31.<x>.1/24``, where the controller listens) and starts all daemons at once.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

from topologies.errors import LabError, TopologyError
from topologies.mn import Mininet
from topologies.nodes import FabricSwitch, Hypervisor, Site, VirtualMachine
from topologies.ovs import MANAGEMENT, OvsNode
from topologies.ownership import mark_of
from topologies.underlay import UnderlayTopo
from topologies.wiring import FabricLink

_AT_ONCE: Final = 6
_MANAGED_MAX: Final = 250


class LabNet(Mininet):  # type: ignore[misc]
    """A Mininet network of fabric switches, hypervisors and virtual machines.

    :param site: what the machines have in common.
    :param prefix: how the names of this lab's interfaces in the root namespace begin.
    :param subnet: the management network; its first address is the bridge's.
    :param born: told of every node as soon as it exists, to be written down before anything else happens.
    """

    def __init__(
        self,
        topo: UnderlayTopo,
        site: Site,
        prefix: str,
        subnet: ipaddress.IPv4Network,
        born: Callable[[str, int], None],
    ) -> None:
        # Mininet's own initialisation would rewrite sysctls of the whole machine.
        Mininet.inited = True
        self.site = site
        self.prefix = prefix
        self.bridge = f"{prefix}br"
        self.subnet = subnet
        self.born = born
        self.mark = mark_of(site.directory)
        super().__init__(
            topo=topo,
            switch=partial(FabricSwitch, site=site),
            host=partial(Hypervisor, site=site),
            link=FabricLink,
            intf=None,
            controller=None,
            build=False,
        )

    def addHost(self, name: str, cls: Any = None, **params: Any) -> Any:  # noqa: N802  (Mininet's name)
        """Add a node and write it down."""
        node = super().addHost(name, cls=cls, **params)
        self.born(name, node.pid)
        return node

    def addSwitch(self, name: str, cls: Any = None, **params: Any) -> Any:  # noqa: N802  (Mininet's name)
        """Add a switch and write it down."""
        node = super().addSwitch(name, cls=cls, **params)
        self.born(name, node.pid)
        return node

    @property
    def hypervisors(self) -> list[Hypervisor]:
        """The hypervisors, in the order of the topology."""
        return [node for node in self.hosts if isinstance(node, Hypervisor)]

    def endpoints(self) -> list[Any]:
        """The nodes where tunnels end: the hypervisors, and edge switches to which servers are wired."""
        return [*self.hypervisors, *(node for node in self.switches if node.la is not None)]

    @property
    def machines(self) -> list[VirtualMachine]:
        """The virtual machines."""
        return [node for node in self.hosts if isinstance(node, VirtualMachine)]

    def ovs_nodes(self) -> list[OvsNode]:
        """Everything that runs an Open vSwitch."""
        return [*self.switches, *self.hypervisors]

    def start(self) -> None:
        """Start all daemons.

        :raises LabError: if one of them does not start.
        """
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda node: node.boot(), self.ovs_nodes()))

    def join_management(self) -> None:
        """Make the management bridge and give every switch and hypervisor an address in it."""
        nodes = self.ovs_nodes()
        if len(nodes) > _MANAGED_MAX:
            raise TopologyError(
                f"topology: {len(nodes)} switches and hypervisors are more than a lab has addresses for"
            )
        addresses = iter(self.subnet.hosts())
        lines = [
            f"link add {self.bridge} type bridge",
            f"address add {next(addresses)}/{self.subnet.prefixlen} dev {self.bridge}",
            f"link set {self.bridge} alias {self.mark} up",
        ]
        for i, node in enumerate(nodes):
            end = f"{self.prefix}{i}"
            lines.append(f"link add {end} type veth peer name {MANAGEMENT} netns {node.pid}")
            lines.append(f"link set {end} master {self.bridge} alias {self.mark} up")
        done = subprocess.run(
            ["ip", "-batch", "-"], input="\n".join(lines), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise LabError(f"the management network cannot be made: {done.stderr.strip()}")
        for node in nodes:
            script = [
                f"sysctl -qw net.ipv4.conf.{MANAGEMENT}.arp_ignore=0",
                f"ip address add {next(addresses)}/{self.subnet.prefixlen} dev {MANAGEMENT}",
                f"ip link set {MANAGEMENT} up",
            ]
            node.run("bash", "-ec", "\n".join(script))

    def set_link(self, one: str, other: str, state: str) -> None:
        """Set the link (all links) between two nodes ``up`` or ``down``, at both ends.

        :raises TopologyError: if there is none.
        """
        links = self.linksBetween(self[one], self[other])
        if not links:
            raise TopologyError(f"link: there is no link between {one} and {other}", "link")
        for link in links:
            for intf in (link.intf1, link.intf2):
                intf.node.run("ip", "link", "set", "dev", intf.name, state)


def free_subnet(hint: int) -> ipaddress.IPv4Network:
    """A /24 out of 172.31.0.0/16 that no address or route of this machine touches; ``hint`` says where to look first.

    :raises LabError: if there is none.
    """
    taken: list[ipaddress.IPv4Network] = []
    for words, key in (("-4 address", "addr_info"), ("-4 route", "")):
        said = subprocess.run(["ip", "-json", *words.split()], capture_output=True, text=True, check=True).stdout
        for entry in json.loads(said or "[]"):
            if key:
                taken += [_network(f"{each['local']}/{each['prefixlen']}") for each in entry.get(key, ())]
            elif entry.get("dst", "default") != "default":
                taken.append(_network(entry["dst"]))
    for i in range(254):
        candidate = ipaddress.IPv4Network(f"172.31.{(hint + i) % 254 + 1}.0/24")
        if not any(candidate.overlaps(each) for each in taken):
            return candidate
    raise LabError("no /24 of 172.31.0.0/16 is free for a management network")


def _network(text: str) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(text, strict=False)
