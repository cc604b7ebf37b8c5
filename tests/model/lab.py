"""What do several hypervisors together do with a packet, while the world changes?

Hosts joined by VXLAN on paper.  Changes go through the real world and compiler; what is sent to a host waits in its
queue until the test lets it through, so that every moment between "sent" and "confirmed" can be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from overlay.changes import Change, Confirmed, Document, HostSeen, Outcome, Plugged, Sent
from overlay.compile import Compiler, Delta
from overlay.flow import PORT_CONTROLLER, VLAN_PRESENT, Flow, FlowKey, Meter
from overlay.pipeline import METERS
from overlay.tables.names import CookieKind, kind_of
from overlay.values import DatapathId, Host, HostName, Mac
from overlay.world import Settings, World
from tests.model import packets
from tests.model.switch import Packet, Tracker, run

TUNNEL = 1
HOPS = 4


class Arrival(NamedTuple):
    """A packet at a tap (of a port, on a host) or, with an empty port, at the controller."""

    host: HostName
    port_id: str
    packet: Packet


class Lab:
    """A world, its compiler, and what the switches of its hosts hold."""

    def __init__(self, hosts: int = 3, settings: Settings | None = None) -> None:
        self.world = World(settings)
        self.compiler = Compiler(self.world)
        self.installed: dict[HostName, dict[FlowKey, Flow]] = {}
        self.meters: dict[HostName, dict[int, Meter]] = {}
        self.queues: dict[HostName, list[tuple[int, Delta]]] = {}
        self.trackers: dict[HostName, Tracker] = {}
        self.stored: dict[tuple[str, str], Document] = {}
        self.generation = 0
        self.now = 0.0
        self.hosts = [HostName(f"h{number}") for number in range(1, hosts + 1)]
        self.ofports = dict.fromkeys(self.hosts, TUNNEL)
        for number, host in enumerate(self.hosts, start=1):
            self.do(HostSeen(Host(host, IPv4Address(f"10.0.{number}.11"), DatapathId(number), TUNNEL)))

    # --- what the owner does ---

    def change(self, change: Change) -> Outcome:
        """Apply, compile and queue; nothing is confirmed."""
        outcome = self._apply(change)
        self._send(outcome)
        return outcome

    def _apply(self, change: Change) -> Outcome:
        outcome = self.world.apply(change, self.now)
        for document in outcome.documents:
            if document.body is None:
                del self.stored[document.kind, document.id]
            else:
                self.stored[document.kind, document.id] = document
        return outcome

    def _send(self, outcome: Outcome) -> None:
        while outcome.dirty or outcome.waits:
            generations = []
            for host, delta in self.compiler.refresh(outcome.dirty).items():
                self.generation += 1
                self.queues.setdefault(host, []).append((self.generation, delta))
                generations.append((host, self.generation))
            outcome = self._apply(Sent(outcome.waits, tuple(generations)))

    def confirm(self, host: HostName) -> bool:
        """Let everything through to one host.  :returns: whether there was anything."""
        queue = self.queues.pop(host, [])
        for _, delta in queue:
            self.install(host, delta)
        generation = queue[-1][0] if queue else 0
        if queue or host in self.world.unconfirmed_hosts():
            self._send(self._apply(Confirmed(host, generation)))
        return bool(queue)

    def install(self, host: HostName, delta: Delta) -> None:
        """Change what a switch holds, as strictly as a switch that checks."""
        held = self.installed.setdefault(host, {})
        meters = self.meters.setdefault(host, {meter.meter_id: meter for meter in METERS})
        meters |= {meter.meter_id: meter for meter in delta.meters}
        for zone in delta.zones:
            self.trackers.setdefault(host, Tracker()).flush(zone)
        for flow in delta.put:
            assert flow.meter is None or flow.meter in meters, f"its meter is not there: {flow}"
            assert held.get(flow.key) != flow, f"sent in vain: {flow}"
            held[flow.key] = flow
        for flow in delta.remove:
            assert held.pop(flow.key) == flow

    def settle(self) -> None:
        """Let everything through to everybody until nothing moves any more."""
        while self.queues or self.world.unconfirmed_hosts() & set(self.hosts):
            for host in (*self.hosts, *self.queues):
                self.confirm(host)

    def do(self, *changes: Change) -> None:
        """Apply changes, each to its end."""
        for change in changes:
            self.change(change)
            self.settle()

    def plug(self, host: HostName, port_id: str) -> None:
        """Plug a port as the next OpenFlow port of a host."""
        self.ofports[host] += 1
        self.do(Plugged(host, port_id, self.ofports[host]))

    # --- what packets hold ---

    def mac(self, port_id: str) -> Mac:
        """A port's MAC."""
        return self.world.ports[port_id].mac

    def ip4(self, port_id: str) -> IPv4Address:
        """A port's first IPv4 address."""
        return next(fixed.ip for fixed in self.world.ports[port_id].fixed_ips if isinstance(fixed.ip, IPv4Address))

    def ip6(self, port_id: str) -> IPv6Address:
        """A port's first IPv6 address."""
        return next(fixed.ip for fixed in self.world.ports[port_id].fixed_ips if isinstance(fixed.ip, IPv6Address))

    def ipv4(self, source: str, target: str) -> dict[str, int]:
        """An honest IPv4 packet from port to port."""
        return packets.ip(self.mac(source), self.mac(target), self.ip4(source), self.ip4(target))

    def last_met(self, host: HostName, port_id: str, packet: Packet) -> CookieKind:
        """What kind the last flow is of that a VM's packet meets at its own host."""
        in_port, tagged = self._tagged(host, port_id, packet)
        met = run(self.installed[host].values(), tagged, in_port).met
        return CookieKind(kind_of(met[-1].cookie))

    # --- what packets do ---

    def send(self, host: HostName, port_id: str, packet: Packet) -> list[Arrival]:
        """A VM sends; the packets that arrive anywhere."""
        return self._run(host, *self._tagged(host, port_id, packet), 0)

    def _tagged(self, host: HostName, port_id: str, packet: Packet) -> tuple[int, Packet]:
        """By which OpenFlow port a packet comes, with the tag of the port's VLAN if it has one."""
        plug = self.world.plug_of(host, port_id)
        assert plug is not None, f"{port_id} is not plugged at {host}"
        return plug.ofport, {**packet, "vlan_vid": VLAN_PRESENT | plug.vid} if plug.vid else packet

    def _run(self, host: HostName, in_port: int, packet: Packet, hops: int) -> list[Arrival]:
        assert hops <= HOPS, "a packet runs in circles"
        arrivals = []
        tracker = self.trackers.setdefault(host, Tracker())
        for port, out in run(self.installed.get(host, {}).values(), packet, in_port, tracker).emissions:
            clean = {
                field: value
                for field, value in out.items()
                if not field.startswith(("reg", "ct_")) and field != "in_port" and (field, value) != ("vlan_vid", 0)
            }
            if port == PORT_CONTROLLER:
                arrivals.append(Arrival(host, "", clean))
            elif port == TUNNEL:
                la = IPv4Address(clean.pop("tun_ipv4_dst"))
                (remote,) = (name for name, other in self.world.hosts.items() if other.la == la)
                arrivals += self._run(remote, TUNNEL, clean, hops + 1)
            else:
                clean.pop("tunnel_id", None)
                clean.pop("tun_ipv4_dst", None)
                arrivals.append(self._arrived(host, port, clean))
        return arrivals

    def _arrived(self, host: HostName, port: int, packet: Packet) -> Arrival:
        """Whose it is by its tag, or else the tap's."""
        sub_port = self.world.port_at(host, port, packet.get("vlan_vid", 0) & ~VLAN_PRESENT)
        if sub_port is not None:
            return Arrival(host, sub_port, {field: value for field, value in packet.items() if field != "vlan_vid"})
        return Arrival(host, self.world.port_at(host, port) or f"port {port}", packet)


def places(arrivals: Iterable[Arrival]) -> list[tuple[str, str]]:
    """Where packets arrived: sorted (host, port) pairs, one per copy."""
    return sorted((arrival.host, arrival.port_id) for arrival in arrivals)
