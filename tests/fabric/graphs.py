"""Which physical networks are the fabric's laws tried on?

Each is a list of cables between named switches; :func:`build` plugs them in, numbers the ports, and puts one hypervisor
behind each edge switch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address

import networkx as nx

from controller.events import SwitchPort
from controller.fabric.changes import FabricChange, HostSighted, LinkSeen, SwitchConnected
from controller.fabric.graph import Fabric
from controller.fabric.plan import LaPlan, PortRef
from controller.fabric.policies import POLICIES, Policy
from controller.fabric.routes import Hop
from overlay.values import DatapathId, Mac

D = DatapathId
LOCAL = 0xFFFFFFFE


@dataclass
class Wiring:
    """Cables and hosts of one physical network, by ports."""

    cables: list[tuple[PortRef, PortRef]] = field(default_factory=list)
    hosts: dict[IPv4Address, PortRef] = field(default_factory=dict)
    _last: dict[DatapathId, int] = field(default_factory=dict)

    def port(self, datapath_id: int) -> PortRef:
        """Give the next free port of a switch."""
        number = self._last.get(D(datapath_id), 0) + 1
        self._last[D(datapath_id)] = number
        return PortRef(D(datapath_id), number)

    def join(self, near: int, far: int) -> None:
        """Plug a cable between two switches."""
        self.cables.append((self.port(near), self.port(far)))

    def house(self, edges: Iterable[int]) -> Wiring:
        """Put a hypervisor behind each of these switches."""
        for number, edge in enumerate(edges):
            self.hosts[IPv4Address(f"10.0.{number + 1}.11")] = self.port(edge)
        return self

    def switches(self) -> dict[DatapathId, tuple[SwitchPort, ...]]:
        """List the switches and their ports, as their handshakes tell them."""
        return {datapath_id: ports(*range(1, last + 1)) for datapath_id, last in self._last.items()}


def ports(*numbers: int, up: bool = True) -> tuple[SwitchPort, ...]:
    """Make ports of a switch, and its LOCAL one."""
    return (
        *(SwitchPort(n, f"p{n}", f"02:00:00:00:00:{n:02x}", up) for n in numbers),
        SwitchPort(LOCAL, "br", "02:00:00:00:ff:fe", up=False),
    )


def hops(*numbers: int) -> tuple[Hop, ...]:
    """Make a set of next hops that weigh the same."""
    return tuple(map(Hop, numbers))


def mac_of(la: IPv4Address) -> Mac:
    """Name the MAC of the hypervisor with this LA."""
    return Mac(0x020000000000 | int(la))


def discoveries(wiring: Wiring) -> Iterator[FabricChange]:
    """Tell in which order a controller may learn a whole network."""
    for datapath_id, present in wiring.switches().items():
        yield SwitchConnected(datapath_id, present)
    for near, far in wiring.cables:
        yield LinkSeen(near, far)
        yield LinkSeen(far, near)
    for la, at in wiring.hosts.items():
        yield HostSighted(la, mac_of(la), at)


def see(fabric: Fabric, cable: tuple[PortRef, PortRef], now: float) -> None:
    """Let both directions of a cable be seen."""
    near, far = cable
    fabric.apply(LinkSeen(near, far), now)
    fabric.apply(LinkSeen(far, near), now)


def build(wiring: Wiring, *, hold: float = 15.0, policy: Policy = POLICIES["ecmp"], paths: int = 2) -> Fabric:
    """Let a controller discover a whole network at time 0."""
    fabric = Fabric(LaPlan(), hold=hold, policy=policy, paths=paths)
    for change in discoveries(wiring):
        fabric.apply(change, 0.0)
    return fabric


def vl2(intermediates: int = 3, aggregations: int = 3, tors: int = 4) -> Wiring:
    """The Clos of the VL2 paper: every ToR on two aggregations, every aggregation on every intermediate."""
    wiring = Wiring()
    for agg in range(aggregations):
        for mid in range(intermediates):
            wiring.join(200 + agg, 300 + mid)
    for tor in range(tors):
        for uplink in range(2):
            wiring.join(100 + tor, 200 + (tor + uplink) % aggregations)
    return wiring.house(range(100, 100 + tors))


def leafspine(leaves: int = 3, spines: int = 2, parallel: int = 2) -> Wiring:
    """Every leaf on every spine, by several parallel links."""
    wiring = Wiring()
    for leaf in range(leaves):
        for spine in range(spines):
            for _ in range(parallel):
                wiring.join(100 + leaf, 200 + spine)
    return wiring.house(range(100, 100 + leaves))


def fattree(k: int = 4) -> Wiring:
    """A fat tree: k pods of k/2 edge and k/2 aggregation switches, and (k/2)² cores."""
    wiring, half = Wiring(), k // 2
    edges = []
    for pod in range(k):
        for i in range(half):
            edges.append(1000 + pod * half + i)
            for j in range(half):
                wiring.join(edges[-1], 2000 + pod * half + j)
        for j in range(half):
            for core in range(half):
                wiring.join(2000 + pod * half + j, 3000 + j * half + core)
    return wiring.house(edges)


def ring(size: int = 5) -> Wiring:
    """A ring in which every switch is an edge switch."""
    wiring = Wiring()
    for n in range(size):
        wiring.join(1 + n, 1 + (n + 1) % size)
    return wiring.house(range(1, size + 1))


def jellyfish(size: int = 8, degree: int = 3, seed: int = 7) -> Wiring:
    """A random regular graph in which every switch is an edge switch."""
    wiring = Wiring()
    for near, far in nx.random_regular_graph(degree, size, seed=seed).edges:
        wiring.join(1 + near, 1 + far)
    return wiring.house(range(1, size + 1))


NETWORKS = {
    "vl2": vl2,
    "leafspine": leafspine,
    "fattree": fattree,
    "ring": ring,
    "jellyfish": jellyfish,
}
