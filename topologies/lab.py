"""What is a lab that runs?

A network, a controller beside it, and the machines in it; it follows orders (:mod:`topologies.orders`) one by one, or
several at once where they do not meet.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final

from topologies.controlplane import ControlPlane
from topologies.errors import LabError, NoSuchNode
from topologies.guests import Guests
from topologies.located import Located
from topologies.machine import Datapath, check_datapath, choose_datapath, require_programs, require_shaping
from topologies.network import LabNet, free_subnet
from topologies.nodes import FabricSwitch, Hypervisor, Site
from topologies.orders import (
    ControllerPower,
    Done,
    HypervisorStatus,
    LabStatus,
    LinkStatus,
    ServerAdd,
    ServerDel,
    SetLink,
    Settings,
    SwitchPower,
    SwitchStatus,
    VmAdd,
    VmDel,
    VmExec,
    VmMove,
    Vswitchd,
)
from topologies.ovs import SCHEMA, OvsNode
from topologies.ownership import Ledger, choosing
from topologies.pki import Pki
from topologies.registry import make
from topologies.rest import Rest
from topologies.servers import Servers
from topologies.underlay import UnderlayTopo, assign, milliseconds

_FABRIC_SECONDS: Final = 30.0
_ASK_SECONDS: Final = 0.3
_POLL_SECONDS: Final = 0.05
_PROBES_AT_ONCE: Final = 8
_ASK_AGAIN_SECONDS: Final = 60.0


def design(settings: Settings) -> UnderlayTopo:
    """Draw the topology that was asked for.

    :raises TopologyError: for a parameter that no machine could build.
    """
    topo = make(settings.topology, dict(settings.params))
    assign(topo, settings.las)
    check_datapath(settings.datapath)
    return topo


def plan(settings: Settings) -> tuple[UnderlayTopo, Datapath]:
    """Check everything that can be checked without changing anything; needs root, to try out what the kernel can do.

    :raises LabError: for whatever cannot be built here.
    """
    params = settings.params
    topo = design(settings)
    require_programs()
    require_shaping(
        rate=params.get("bw") is not None,
        delay=milliseconds(params.get("delay")) is not None,
    )
    return topo, choose_datapath(settings.datapath)


class Lab:
    """A running lab.

    :raises LabError: if it cannot start; what it has started is then swept away by whoever asked.
    """

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._born = time.monotonic()
        self.settings = settings
        self.directory = Path(settings.directory)
        self.warnings: list[str] = []
        topo, datapath = plan(settings)
        subprocess.run(["ovsdb-tool", "create", str(self.directory / "template.db"), SCHEMA], check=True)
        seed = int.from_bytes(hashlib.blake2b(settings.directory.encode(), digest_size=4).digest())
        with choosing():
            self._name(topo, datapath, ledger, seed)
            self.net.join_management()
        site = self.net.site
        if site.pki is not None:
            names = {node: f"{node.name}={node.dpid}" for node in self.net.switches}
            others = [names[node] for node in names if not node.prefix]
            machines = [*others, *(node.name for node in self.net.hypervisors)]
            site.pki.make(site.controller, machines, [names[node] for node in names if node.prefix])
        self.control = (
            ControlPlane(
                self.directory, site.controller, settings.rest_port, settings.projects, settings.overrides, site.pki
            )
            if settings.controller
            else None
        )
        self._say("wired")
        if self.control is not None:
            self.control.launch()
        self.net.start()
        self._say("switches started")
        for node in self.net.ovs_nodes():
            node.join()
        if self.control is not None:
            self.control.await_health()
            self._say("controller healthy")
            self._await_fabric(self.control)
            self._say("fabric answers")
            threading.Thread(target=self._stay_known, daemon=True).start()
        self.guests = Guests(self.net, self.control, self.directory)
        self.servers = Servers(self.net, self.control, self.directory)

    def _say(self, what: str) -> None:
        """Write progress, with its time, into the lab's log."""
        print(f"{time.monotonic() - self._born:.2f} s: {what}", flush=True)

    def _name(self, topo: UnderlayTopo, datapath: Datapath, ledger: Ledger, seed: int) -> None:
        subnet = free_subnet(seed)
        taken = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout
        prefix = next(
            name for name in (f"v{(seed + i) % 0x10000:04x}-" for i in range(0x10000)) if f"\n{name}" not in taken
        )
        ledger.begin(prefix, str(subnet))
        pki = Pki(self.directory / "pki") if self.settings.tls else None
        site = Site(self.directory, datapath, str(next(IPv4Network(subnet).hosts())), pki)
        self.net = LabNet(topo, site, prefix, subnet, ledger.born)
        self.net.build()

    def _await_fabric(self, control: ControlPlane) -> None:
        """Wait until the controller knows all cables and LAs, and packets pass between the hypervisors."""
        deadline = time.monotonic() + _FABRIC_SECONDS
        hosts = self.net.hypervisors
        cables = sum(
            isinstance(each.intf1.node, FabricSwitch) and isinstance(each.intf2.node, FabricSwitch)
            for each in self.net.links
        )
        locators = {str(host.la.ip) for host in hosts}

        def discovered(rest: Rest) -> bool:
            known = rest.fabric()
            return known.usable >= 2 * cables and known.locators >= locators

        def reaches(pair: tuple[Hypervisor, Hypervisor]) -> bool:
            one, other = pair
            # The gateway first: an ARP request for it is what tells the fabric where a host is.
            return _by(deadline, lambda: one.hears_gateway(_ASK_SECONDS)) and _by(deadline, lambda: one.pings(other))

        with ThreadPoolExecutor(_PROBES_AT_ONCE) as pool:
            pairs = list(zip(hosts, [*hosts[1:], *hosts[:1]], strict=True))
            for (one, other), well in zip(pairs, pool.map(reaches, pairs), strict=True):
                if not well:
                    self.warnings.append(f"the fabric does not carry packets from {one.name} to {other.name}")
        with control.rest() as rest:
            if not _by(deadline, lambda: discovered(rest)):
                self.warnings.append("the controller has not discovered all links and hypervisors")

    def _stay_known(self) -> None:
        """Let every tunnel endpoint ask for its gateway once a minute, as hosts that talk to each other do.

        Open vSwitch forgets an idle neighbour after 15 minutes and drops the first tunnel packet after that.
        """
        while True:
            time.sleep(_ASK_AGAIN_SECONDS)
            for node in self.net.endpoints():
                with suppress(OSError):
                    node.hears_gateway(_ASK_SECONDS)

    # --- orders -----------------------------------------------------------------------------------------------------

    def follow(self, order: Any) -> Any:
        """Follow an order.

        :raises LabError: if it cannot be followed.
        """
        match order:
            case VmAdd() | VmMove() | VmExec() | VmDel() | ServerAdd() | ServerDel():
                return self._machine(order)
            case SwitchPower():
                self._switch_power(order)
            case SetLink():
                for name in (order.one, order.other):
                    self._node(name)
                self.net.set_link(order.one, order.other, "up" if order.up else "down")
            case Vswitchd():
                self._vswitchd(order)
            case ControllerPower():
                self._controller_power(order)
            case _:
                return self.status()
        return Done()

    def _machine(self, order: VmAdd | VmMove | VmExec | VmDel | ServerAdd | ServerDel) -> Any:
        match order:
            case VmAdd():
                return self.guests.add(order)
            case VmMove():
                return self.guests.move(order)
            case VmExec():
                return self.guests.execute(order)
            case VmDel():
                self.guests.delete(order.name)
            case ServerAdd():
                return self.servers.add(order)
            case ServerDel():
                self.servers.delete(order.name)
        return Done()

    def _node(self, name: str) -> OvsNode:
        node = self.net.nameToNode.get(name)
        if not isinstance(node, OvsNode):
            raise NoSuchNode(f"name: {name!r} is neither a switch nor a hypervisor of this lab", "name")
        return node

    def _switch_power(self, order: SwitchPower) -> None:
        node = self._node(order.name)
        if not isinstance(node, FabricSwitch):
            raise NoSuchNode(f"name: {order.name!r} is not a fabric switch", "name")
        if order.on:
            node.power_on()
        else:
            node.power_off()

    def _vswitchd(self, order: Vswitchd) -> None:
        node = self._node(order.name)
        running = node.kill_daemon("ovs-vswitchd")
        if order.on:
            node.start_switching()
            if isinstance(node, Located) and node.la is not None:
                node.number()
                # The new switch knows no neighbours: an answer of the gateway tells it the one that it needs.
                node.hears_gateway(_ASK_SECONDS)
        elif not running:
            raise LabError(f"{order.name}: ovs-vswitchd does not run")

    def _controller_power(self, order: ControllerPower) -> None:
        if self.control is None:
            raise LabError("the lab was started without a controller")
        if order.on:
            self.control.launch()
            self.control.await_health()
        else:
            self.control.end(hard=order.hard)

    def down(self) -> None:
        """Let the controller end in order; everything else is ended from outside."""
        if self.control is not None:
            self.control.end(hard=False)

    # --- look -------------------------------------------------------------------------------------------------------

    def status(self) -> LabStatus:
        """Everything there is to know about the lab."""
        return LabStatus(
            name=self.settings.name,
            directory=str(self.directory),
            topology=self.settings.topology,
            datapath=self.net.site.datapath,
            management=self.net.site.controller,
            daemon_pid=os.getpid(),
            switches=tuple(
                SwitchStatus(node.name, node.dpid, node.pid, str(node.directory), _runs(node))
                for node in self.net.switches
            ),
            hypervisors=tuple(
                HypervisorStatus(node.name, str(node.la.ip), node.edge, node.pid, str(node.directory), _runs(node))
                for node in self.net.hypervisors
            ),
            links=tuple(_link(link) for link in self.net.links),
            vms=self.guests.all(),
            controller=self.control.status() if self.control else None,
            warnings=tuple(self.warnings),
            servers=self.servers.all(),
        )


def _by(deadline: float, condition: Callable[[], bool]) -> bool:
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _runs(node: OvsNode) -> bool:
    return node.daemon_pid("ovs-vswitchd") is not None and node.daemon_pid("ovsdb-server") is not None


def _link(link: Any) -> LinkStatus:
    one, other = link.intf1, link.intf2
    return LinkStatus(
        one=one.node.name,
        one_port=one.node.ports[one],
        one_interface=one.name,
        other=other.node.name,
        other_port=other.node.ports[other],
        other_interface=other.name,
    )
