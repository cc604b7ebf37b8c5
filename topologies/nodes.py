"""Which machines is a data center made of?

Fabric switches and hypervisors, each in its own namespace with its own Open vSwitch, and virtual machines that are
namespaces too, whose one network card belongs to a NIC process as QEMU would have it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from topologies import namespace
from topologies.errors import LabError
from topologies.machine import Datapath
from topologies.mn import Node, Switch
from topologies.ovs import OvsNode
from topologies.pki import Pki
from topologies.underlay import LA_SUPERNET
from topologies.wiring import FABRIC_MTU, GuestIntf

_DISCOVERS: Final = 10
"""How often a machine asks for an address, once a second."""

OPENFLOW_PORT: Final = 6653
OVSDB_PORT: Final = 6640

# The kernel of a hypervisor sees what its userspace switch sees: it must not answer for its own addresses on the
# wrong interface, nor chatter IPv6 into the fabric.
_QUIET: Final = (
    "net.ipv4.conf.default.arp_ignore=8",
    "net.ipv4.conf.default.rp_filter=1",
    "net.ipv6.conf.default.disable_ipv6=1",
    "net.ipv6.conf.all.disable_ipv6=1",
)


@dataclass(frozen=True, slots=True)
class Site:
    """What all machines of one lab have in common."""

    directory: Path
    datapath: Datapath
    controller: str
    pki: Pki | None = None
    """Where OpenFlow and OVSDB are encrypted."""

    def target(self, port: int) -> str:
        """The controller, as Open vSwitch spells whom to call."""
        return f"{'ssl' if self.pki else 'tcp'}:{self.controller}:{port}"


class FabricSwitch(OvsNode, Switch):  # type: ignore[misc]
    """A fabric switch: bridge ``br0``, fail-secure, OpenFlow 1.5, ports numbered as in the topology."""

    def __init__(self, name: str, site: Site, **params: Any) -> None:
        params["inNamespace"] = True
        self.site = site
        self.directory = site.directory / name
        self.datapath = site.datapath
        Switch.__init__(self, name, **params)
        quieten(self)

    def start(self, _controllers: object) -> None:
        """Start the daemons (Mininet's name for it)."""
        self.boot()

    def initial(self) -> list[str]:
        """One bridge with all cables and its controller."""
        words = [
            *self.certified(self.site.pki),
            *f"-- add-br br0 -- set Bridge br0 datapath_type={self.datapath} fail_mode=secure".split(),
            "protocols=OpenFlow14,OpenFlow15",
            f"other_config:datapath-id={self.dpid}",
            "other_config:disable-in-band=true",
        ]
        for port, intf in sorted(self.intfs.items()):
            words += f"-- add-port br0 {intf.name} -- set Interface {intf.name} ofport_request={port}".split()
        words += keep_shaping([intf for _port, intf in sorted(self.intfs.items())])
        words += f"-- set-controller br0 {self.site.target(OPENFLOW_PORT)}".split()
        # One second between attempts instead of up to eight: a controller that comes back is found at once.
        return [*words, *["--", "set", "Controller", "br0", "max_backoff=1000", "connection_mode=out-of-band"]]

    def join(self) -> None:
        """Let the controller look after the links with the two commands that an operator types on a fabric switch."""
        self.vsctl("--no-wait", "set", "Open_vSwitch", ".", "external_ids:vl2-fabric=br0")
        self.call(self.site.target(OVSDB_PORT))


class Hypervisor(OvsNode, Node):  # type: ignore[misc]
    """A host for virtual machines: an uplink into the fabric, a locator address, and whatever the controller adds.

    With the userspace datapath the uplink is a port of ``br-phy``, whose local port carries the LA; with the kernel
    datapath the uplink itself carries it.
    """

    def __init__(self, name: str, site: Site, **params: Any) -> None:
        params["inNamespace"] = True
        self.site = site
        self.directory = site.directory / name
        self.datapath = site.datapath
        self.edge: str = params.get("edge", "")
        self.la = ipaddress.IPv4Interface(params["ip"])
        self.gateway = params["defaultRoute"].removeprefix("via ")
        Node.__init__(self, name, **params)
        quieten(self)

    def config(self, **_params: Any) -> dict[str, Any]:
        """Nothing yet: the address belongs to a bridge that does not exist before the daemons run."""
        return {}

    def IP(self, intf: Any = None) -> str:  # noqa: N802, ARG002  (Mininet's name)
        """The LA, so that ``h1 ping h2`` in Mininet's prompt crosses the fabric."""
        return str(self.la.ip)

    @property
    def uplink(self) -> str:
        """The name of the cable into the fabric."""
        return str(self.defaultIntf().name)

    @property
    def locator(self) -> str:
        """The interface that carries the LA."""
        return "br-phy" if self.datapath == "netdev" else self.uplink

    def initial(self) -> list[str]:
        """The uplink bridge, where the datapath needs one."""
        if self.datapath == "system":
            return self.certified(self.site.pki)
        mac = str(self.defaultIntf().mac)
        bridge = "add-br br-phy -- set Bridge br-phy datapath_type=netdev fail_mode=standalone"
        return [
            *self.certified(self.site.pki),
            "--",
            *bridge.split(),
            f'other_config:hwaddr="{mac}"',
            *f"-- add-port br-phy {self.uplink} -- set Interface br-phy mtu_request={FABRIC_MTU}".split(),
            *keep_shaping([self.defaultIntf()]),
        ]

    def boot(self) -> None:
        """Start the daemons and number the host, as its network configuration does at every start."""
        super().boot()
        self.number()

    def number(self) -> None:
        """Give the host its LA, the route to all other LAs, and make it announce itself."""
        where = self.locator
        script = [
            f"sysctl -qw net.ipv4.conf.{where}.arp_ignore=0 net.ipv4.conf.{where}.arp_notify=1",
            f"ip link set dev {where} up",
            f"ip address replace {self.la} dev {where}",
            f"ip route replace {LA_SUPERNET} via {self.gateway} dev {where}",
        ]
        self.run("bash", "-ec", "\n".join(script))
        self.announce()

    def announce(self) -> None:
        """Send a gratuitous ARP for the LA."""
        namespace.announce(self.pid, self.locator, str(self.la.ip))

    def hears_gateway(self, seconds: float) -> bool:
        """Whether the fabric answers an ARP request of this host for its gateway: then it knows where the LA is."""
        return namespace.hears(self.pid, self.locator, str(self.la.ip), self.gateway, seconds)

    def pings(self, other: Hypervisor) -> bool:
        """Whether another hypervisor answers at its LA, through the fabric."""
        try:
            self.run("ping", "-n", "-q", "-c", "1", "-W", "0.3", str(other.la.ip))
        except LabError:
            return False
        return True

    def join(self) -> None:
        """Join the controller with the two commands that an operator types on a hypervisor."""
        self.vsctl(
            "--no-wait",
            *f"set Open_vSwitch . external_ids:vl2-host={self.name} external_ids:vl2-la={self.la.ip}".split(),
            f"external_ids:vl2-datapath-type={self.datapath}",
        )
        self.call(self.site.target(OVSDB_PORT))

    def plug(self, tap: str, port_id: str, mac: str) -> None:
        """Plug a tap into br-int the way libvirt does; does not wait for the switch."""
        self.vsctl(
            "--no-wait",
            *f"-- --may-exist add-port br-int {tap} -- set Interface {tap} external_ids:iface-id={port_id}".split(),
            f'external_ids:attached-mac="{mac}"',
            "external_ids:iface-status=active",
        )

    def unplug(self, tap: str) -> None:
        """Take a tap out of br-int."""
        self.vsctl("--no-wait", "--if-exists", "del-port", "br-int", tap)

    def settle(self) -> None:
        """Wait until ovs-vswitchd, if it runs, has done what the database asks for, in its datapath as well."""
        if self.daemon_pid("ovs-vswitchd") is None:
            return
        self.vsctl("init")  # without --no-wait: returns once the bridges are as the database wants them
        self.run("ovs-appctl", "-t", f"{self.directory}/ovs-vswitchd.ctl", "revalidator/wait")


class VirtualMachine(Node):  # type: ignore[misc]
    """A virtual machine: a namespace with one network card, eth0, which outlives every move."""

    def __init__(self, name: str, **params: Any) -> None:
        params["inNamespace"] = True
        super().__init__(name, **params)
        self.cmd("ip link set dev lo up")

    def config(self, **_params: Any) -> dict[str, Any]:
        """Nothing: see :meth:`number`."""
        return {}

    def number(self, addresses: list[str], gateway: str | None) -> None:
        """Configure eth0 (which the NIC process has made) with addresses such as ``10.1.0.5/24``."""
        script = ["ip link set dev eth0 up"]
        # Duplicate address detection would keep an IPv6 address from being used for a second.
        script += [f"ip address replace {each} dev eth0 {'nodad' if ':' in each else ''}" for each in addresses]
        if gateway:
            script.append(f"ip route replace default via {gateway} dev eth0 || true")
        told = str(self.cmd("; ".join(script))).strip()
        if told:
            raise LabError(f"{self.name}: {told}")
        card = GuestIntf("eth0", node=self, port=0, moveIntfFn=lambda *_: None)
        first = next((each for each in addresses if ":" not in each), None)
        if first:
            card.ip, card.prefixLen = first.split("/")

    def ask(self, script: Path) -> None:
        """Let a DHCP client configure eth0, and go on doing so.

        :param script: what udhcpc calls with what it was told.
        :raises LabError: if nobody answers.
        """
        told = str(self.cmd(f"udhcpc -n -t {_DISCOVERS} -T 1 -i eth0 -s {script} 2>&1; echo status=$?")).strip()
        if not told.endswith("status=0"):
            raise LabError(f"{self.name}: no address by DHCP: {told}")


def keep_shaping(intfs: list[Any]) -> list[str]:
    """Tell Open vSwitch to leave the queueing disciplines of shaped ports alone.

    Without a QoS row it removes whatever it finds there; type ``linux-noop`` is for those configured by other means
    (ovs-vswitchd.conf.db(5), QoS).
    """
    shaped = [intf.name for intf in intfs if {"bw", "delay"} & set(intf.params)]
    if not shaped:
        return []
    words = ["--", "--id=@shaped", "create", "QoS", "type=linux-noop"]
    for name in shaped:
        words += ["--", "set", "Port", name, "qos=@shaped"]
    return words


def quieten(node: Any) -> None:
    """Keep the kernel of a switch or hypervisor out of the traffic that its Open vSwitch handles."""
    node.cmd("ip link set dev lo up; sysctl -qw " + " ".join(_QUIET))
