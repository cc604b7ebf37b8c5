"""How is a bare-metal server wired to an edge switch, and how does it end?

Everything here is done as the operators do it: REST for the bindings, on the edge switch the commands that make it the
tunnel endpoint of what is wired to it, and ``ovs-vsctl`` for the cable.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Final

from topologies import namespace
from topologies.controlplane import ControlPlane
from topologies.errors import LabError, NoSuchNode, TopologyError
from topologies.network import LabNet
from topologies.nodes import FabricSwitch, VirtualMachine
from topologies.orders import CardStatus, ServerAdd, ServerStatus
from topologies.rest import PortView

_START_SECONDS: Final = 10.0
_READY_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.02
_ASK_SECONDS: Final = 0.3
_ENDPOINT: Final = 250
"""The last byte of an edge switch's LA: above those of the hypervisors."""
_VIDS: Final = range(4095)
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,10}")
"""What is left of an interface's 15 characters."""


@dataclass(frozen=True, slots=True)
class _Server:
    node: VirtualMachine
    process: subprocess.Popen[bytes]
    status: ServerStatus


class Servers:
    """The servers of a lab."""

    def __init__(self, net: LabNet, control: ControlPlane | None, directory: Path) -> None:
        self._net = net
        self._control = control
        self._directory = directory
        self._lock = threading.Lock()
        self._servers: dict[str, _Server] = {}

    def all(self) -> tuple[ServerStatus, ...]:
        """All servers."""
        return tuple(server.status for server in list(self._servers.values()))

    def add(self, order: ServerAdd) -> ServerStatus:
        """Wire a server to an edge switch, with one card per VLAN.

        :raises LabError: if that cannot be; then nothing of it is left but the edge switch's tunnel endpoint.
        """
        switch = self._checked(order)
        if self._control is None:
            raise LabError("the lab was started without a controller")
        with self._lock:
            self._make_endpoint(switch)
        wire = f"srv-{order.name}"
        with self._control.rest() as rest:
            for vid, port_id in zip(order.vlans, order.port_ids, strict=True):
                rest.wire(port_id, switch.name, wire, vid)
            ports = [rest.port(port_id) for port_id in order.port_ids]
        with self._lock:
            node = self._net.addHost(order.name, cls=VirtualMachine, ip=None)
            self._net.hosts.remove(node)  # Mininet's prompt lists it once it can be used
        cards = tuple(
            CardStatus(f"eth{number}", vid, port.id, port.mac, port.addresses)
            for number, (vid, port) in enumerate(zip(order.vlans, ports, strict=True))
        )
        status = ServerStatus(order.name, order.edge, wire, int(node.pid), cards)
        try:
            process = self._start(node, switch, status, min(port.mtu for port in ports))
        except LabError:
            self._forget(node)
            raise
        self._servers[order.name] = _Server(node, process, status)
        try:
            for card, port in zip(cards, ports, strict=True):
                number(node, card, port)
            switch.vsctl("--no-wait", "--may-exist", "add-port", "br-vtep", wire)
            self._await_active(order)
        except LabError:
            self.delete(order.name)
            raise
        self._net.hosts.append(node)
        return status

    def _checked(self, order: ServerAdd) -> FabricSwitch:
        switch = self._net.nameToNode.get(order.edge)
        if not isinstance(switch, FabricSwitch) or not switch.prefix:
            known = ", ".join(each.name for each in self._net.switches if each.prefix)
            raise NoSuchNode(f"edge: {order.edge!r} is not an edge switch; there are {known}", "edge")
        if order.name in self._net.nameToNode:
            raise TopologyError(f"name: there is a {order.name!r} already", "name")
        if not _NAME.fullmatch(order.name):
            raise TopologyError(f"name: {order.name!r} is not a letter and at most 10 letters, digits, - and _", "name")
        if not order.port_ids or len(order.vlans) != len(order.port_ids):
            raise TopologyError("vlan, port: needs as many VLANs as ports, and one at least", "vlan")
        wrong = next((vid for vid in order.vlans if vid not in _VIDS), None)
        if wrong is not None or len(set(order.vlans)) < len(order.vlans):
            raise TopologyError(
                f"vlan: {wrong} is not a VLAN" if wrong is not None else "vlan: one is named twice", "vlan"
            )
        return switch

    def _make_endpoint(self, switch: FabricSwitch) -> None:
        """Make an edge switch the tunnel endpoint of what is wired to it, unless it is that already."""
        if switch.la is None:
            prefix = IPv4Interface(switch.prefix)
            la = IPv4Interface((int(prefix.network.network_address) + _ENDPOINT, prefix.network.prefixlen))
            if any(host.la.ip == la.ip for host in self._net.hypervisors):
                raise TopologyError(f"edge: {la.ip}, the LA that {switch.name} would have, is a hypervisor's", "edge")
            switch.become_endpoint(la)
        _poll(lambda: switch.hears_gateway(_ASK_SECONDS), f"the fabric does not answer {switch.name} at its LA")
        _poll(
            lambda: "br-vtep" in switch.vsctl("--no-wait", "list-br").split(),
            f"{switch.name} has no br-vtep; is there a controller?",
        )

    def _start(
        self, node: VirtualMachine, switch: FabricSwitch, status: ServerStatus, mtu: int
    ) -> subprocess.Popen[bytes]:
        root = str(Path(__file__).resolve().parent.parent)
        words = ["--switch", str(switch.pid), "--wire", status.interface, "--guest", str(node.pid), "--mtu", str(mtu)]
        words += [f"{card.vlan}={card.mac}" for card in status.cards]
        path = self._directory / f"{status.name}.nic.log"
        with path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-S", "-m", "topologies.vlans", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": root},
                start_new_session=True,
            )
        assert process.stdout is not None  # noqa: S101  (it was asked for)
        if process.stdout.readline() != b"ready\n":
            process.kill()
            process.wait()
            said = path.read_text(errors="replace").strip().rpartition("\n")[2]
            raise LabError(f"{status.name}: the network card does not start: {said}")
        return process

    def _await_active(self, order: ServerAdd) -> None:
        if self._control is None:
            return
        with self._control.rest() as rest:
            for port_id in order.port_ids:
                _poll(
                    lambda port_id=port_id: rest.port_state(port_id)[0] == "ACTIVE",
                    f"port {port_id} of {order.name} does not turn ACTIVE",
                )

    def delete(self, name: str) -> None:
        """End a server and take its cable out; its ports stay as they are, and are DOWN.

        :raises NoSuchNode: if there is no such server.
        """
        server = self._servers.pop(name, None)
        if server is None:
            raise NoSuchNode(f"server: there is no server {name!r}", "name")
        switch = self._net.nameToNode[server.status.edge]
        with suppress(LabError):
            switch.vsctl("--no-wait", "--if-exists", "del-port", "br-vtep", server.status.interface)
        server.process.kill()
        server.process.wait()
        if server.process.stdout is not None:
            server.process.stdout.close()
        self._forget(server.node)

    def _forget(self, node: VirtualMachine) -> None:
        with self._lock:
            namespace.end_all(node.pid)
            node.terminate()
            if node in self._net.hosts:
                self._net.hosts.remove(node)
            self._net.nameToNode.pop(node.name, None)


def number(node: VirtualMachine, card: CardStatus, port: PortView) -> None:
    """Configure one card of a server.

    :raises LabError: if that fails.
    """
    script = [f"ip link set dev {card.interface} up"]
    script += [
        f"ip address replace {each} dev {card.interface} {'nodad' if ':' in each else ''}" for each in card.addresses
    ]
    if port.gateway and card.interface == "eth0":
        script.append(f"ip route replace default via {port.gateway} dev eth0 || true")
    told = str(node.cmd("; ".join(script))).strip()
    if told:
        raise LabError(f"{node.name}: {told}")


def _poll(condition: object, complaint: str) -> None:
    assert callable(condition)  # noqa: S101
    deadline = time.monotonic() + _READY_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"{complaint} within {_READY_SECONDS:g} s")
        time.sleep(_POLL_SECONDS)
