"""Which machines is a data center made of?

Fabric switches and hypervisors, each in its own namespace with its own Open vSwitch, and virtual machines that are
namespaces too, whose one network card belongs to a NIC process as QEMU would have it.
"""

from __future__ import annotations

import ipaddress
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from topologies.errors import LabError
from topologies.located import Located
from topologies.machine import Datapath
from topologies.mn import Node, Switch
from topologies.ovs import OvsNode
from topologies.pki import Pki
from topologies.wiring import FABRIC_MTU, FixedIntf, GuestIntf

_DISCOVERS: Final = 10
"""How often a machine asks for an address, once a second."""

OPENFLOW_PORT: Final = 6653
OVSDB_PORT: Final = 6640
_OUTER_END: Final = "la0"
_INNER_END: Final = "la1"
"""The cable from an edge switch to itself, at whose inner end its LA is."""

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


class FabricSwitch(OvsNode, Located, Switch):  # type: ignore[misc]
    """A fabric switch: bridge ``br0``, fail-secure, OpenFlow 1.5, ports numbered as in the topology.

    One to which servers are wired also is the end of their tunnels: its LA is behind a port of ``br0`` as if it were a
    hypervisor's, at the end of a cable from the switch to itself.
    """

    def __init__(self, name: str, site: Site, **params: Any) -> None:
        params["inNamespace"] = True
        self.site = site
        self.directory = site.directory / name
        self.datapath = site.datapath
        self.la: ipaddress.IPv4Interface | None = None
        self.gateway = ""
        self.prefix: str = params.get("prefix", "")
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

    @property
    def uplink(self) -> str:
        """The switch's end of the cable to itself."""
        return _INNER_END

    def become_endpoint(self, la: ipaddress.IPv4Interface) -> None:
        """Become the tunnel endpoint of what is wired to the switch: what its operator does, joining last."""
        gateway = ipaddress.IPv4Interface(f"{la.network.network_address + 1}/{la.network.prefixlen}").ip
        self.la, self.gateway = la, str(gateway)
        mac = f"02:00:{int(la.ip):08x}"
        mac = ":".join((mac[:5], *(mac[6:][i : i + 2] for i in range(0, 8, 2))))
        lines = [
            f"link add {_OUTER_END} type veth peer {_INNER_END} address {mac}",
            *(f"link set dev {end} mtu {FABRIC_MTU} txqueuelen 1000 up" for end in (_OUTER_END, _INNER_END)),
        ]
        self.run("bash", "-ec", "ip -batch - <<'END'\n" + "\n".join(lines) + "\nEND")
        self.vsctl(*self.underlay(mac), "--", "add-port", "br0", _OUTER_END)
        self.number()
        self.vsctl(
            "--no-wait",
            *f"set Open_vSwitch . external_ids:vl2-host={self.name} external_ids:vl2-la={la.ip}".split(),
            f"external_ids:vl2-datapath-type={self.datapath}",
            "external_ids:vl2-kind=edge",
        )

    def boot(self) -> None:
        """Start the daemons, and number the tunnel endpoint if the switch is one."""
        super().boot()
        if self.la is not None:
            self.number()


class Hypervisor(OvsNode, Located, Node):  # type: ignore[misc]
    """A host for virtual machines: an uplink into the fabric, a locator address, and whatever the controller adds."""

    def __init__(self, name: str, site: Site, **params: Any) -> None:
        params["inNamespace"] = True
        self.site = site
        self.directory = site.directory / name
        self.datapath = site.datapath
        self.edge: str = params.get("edge", "")
        self.la: ipaddress.IPv4Interface = ipaddress.IPv4Interface(params["ip"])
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

    def initial(self) -> list[str]:
        """The uplink bridge, where the datapath needs one."""
        words = [*self.certified(self.site.pki), *self.underlay(str(self.defaultIntf().mac))]
        return words if self.datapath == "system" else [*words, *keep_shaping([self.defaultIntf()])]

    def boot(self) -> None:
        """Start the daemons and number the host, as its network configuration does at every start."""
        super().boot()
        self.number()

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
    """A virtual machine: a namespace with one network card, eth0, and its VLANs, which outlive every move."""

    def __init__(self, name: str, **params: Any) -> None:
        params["inNamespace"] = True
        super().__init__(name, **params)
        self.cmd("ip link set dev lo up")

    def config(self, **_params: Any) -> dict[str, Any]:
        """Nothing: see :meth:`number`."""
        return {}

    def number(self, addresses: list[str], gateway: str | None) -> None:
        """Configure eth0 (which the NIC process has made) with addresses such as ``10.1.0.5/24``."""
        self._address("eth0", addresses, gateway)
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

    def number_vlan(self, vid: int, addresses: list[str]) -> None:
        """Likewise the interface of a VLAN."""
        self._address(f"eth0.{vid}", addresses, None)

    def _address(self, interface: str, addresses: list[str], gateway: str | None) -> None:
        script = [f"ip link set dev {interface} up"]
        # Duplicate address detection would keep an IPv6 address from being used for a second.
        script += [f"ip address replace {each} dev {interface} {'nodad' if ':' in each else ''}" for each in addresses]
        if gateway:
            script.append(f"ip route replace default via {gateway} dev {interface} || true")
        told = str(self.cmd("; ".join(script))).strip()
        if told:
            raise LabError(f"{self.name}: {told}")


class GuestPlace(VirtualMachine):
    """The namespace beside a QEMU guest: its taps are made there, and nothing else is in it.

    What is typed for the guest at Mininet's prompt is run in the guest.
    """

    way: tuple[str, ...] = ()
    """The words before a command that bring it into the guest."""

    def number(self, addresses: list[str], gateway: str | None) -> None:  # noqa: ARG002
        """Tell Mininet the address that the guest gives itself."""
        card = FixedIntf("eth0", node=self, port=0, moveIntfFn=lambda *_: None)
        first = next((each for each in addresses if ":" not in each), None)
        if first:
            card.ip, card.prefixLen = first.split("/")

    def sendCmd(self, *words: Any, **options: Any) -> None:  # noqa: N802  (Mininet's name)
        """Start a command."""
        if self.way:
            flat = [str(each) for word in words for each in (word if isinstance(word, list | tuple) else [word])]
            words = (shlex.join([*self.way, "sh", "-c", " ".join(flat)]),)
        super().sendCmd(*words, **options)


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
