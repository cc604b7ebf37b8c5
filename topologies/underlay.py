"""What does every fabric have, whatever its shape?

Switches with datapath ids, links with a rate and a delay, and on each edge switch some hypervisors with locator
addresses (LA) out of the edge switch's own prefix: ``10.0.<edge>.0/24``, gateway ``.1``, hypervisors from ``.10``.
The parameters of the nodes are those of Mininet's own classes (``dpid``, ``ip``, ``defaultRoute``), so that a
topology also runs under Mininet's own command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Any, Final

from topologies.errors import TopologyError
from topologies.mn import Topo

if TYPE_CHECKING:
    import networkx as nx

LA_SUPERNET: Final = IPv4Network("10.0.0.0/16")
"""Every locator address of a lab lies in it."""

_EDGES_MAX: Final = 254
_HYPERVISORS_MAX: Final = 200
_FIRST_HOST: Final = 10
_DELAY: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s)?")
_UNITS: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def counted(field: str, value: object, *, least: int = 1, most: int = 10_000) -> int:
    """Check a count.

    :raises TopologyError: for anything but a whole number between ``least`` and ``most``.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise TopologyError(f"{field}: {value!r} is not a whole number between {least} and {most}", field)
    return value


def milliseconds(delay: str | float | None) -> float | None:
    """Read a link delay: ``"2ms"``, ``"500us"``, or a plain number of milliseconds; ``None`` and 0 mean none.

    :raises TopologyError: for other spellings.
    """
    if delay is None:
        return None
    found = _DELAY.fullmatch(str(delay).strip())
    if not found:
        raise TopologyError(f"delay: {delay!r} is not a delay like 2ms or 500us", "delay")
    return float(found[1]) * _UNITS[found[2] or "ms"] or None


def megabits(bw: float | None) -> float | None:
    """Check a link rate in Mbit/s; ``None`` means unshaped.

    :raises TopologyError: for anything but a positive number.
    """
    if bw is None:
        return None
    if not 0 < bw <= 100_000:  # noqa: PLR2004
        raise TopologyError(f"bw: {bw!r} is not a rate between 0 and 100000 Mbit/s", "bw")
    return float(bw)


class UnderlayTopo(Topo):  # type: ignore[misc]
    """A Mininet topology of fabric switches with hypervisors (Mininet's *hosts*) on its edge switches."""

    def __init__(self, *args: Any, **params: Any) -> None:
        self._edges = 0
        self._hypervisors = 0
        self._shape: dict[str, Any] = {}
        super().__init__(*args, **params)

    def shape(self, bw: float | None, delay: str | float | None) -> None:
        """Say what rate (Mbit/s) and delay the links added from now on have.

        :raises TopologyError: if one of them is not a rate or a delay.
        """
        rate, pause = megabits(bw), milliseconds(delay)
        self._shape = {} if rate is None else {"bw": rate}
        if pause is not None:
            self._shape["delay"] = f"{pause:g}ms"

    def switch(self, name: str, *, layer: int, index: int, label: str = "") -> str:
        """Add a fabric switch; its datapath id tells its layer (upper bits) and index (lower 16 bits)."""
        dpid = f"{(layer << 16) + index:016x}"
        return str(self.addSwitch(name, dpid=dpid, label=label or name))

    def wire(self, one: str, other: str) -> None:
        """Add a link between two switches."""
        self.addLink(one, other, **self._shape)

    def edge(self, switch: str, hypervisors: int) -> None:
        """Make ``switch`` an edge switch: give it a prefix, and hypervisors in it.

        :raises TopologyError: if there are more edge switches or hypervisors than the LA supernet has prefixes.
        """
        counted("hypervisors_per_edge", hypervisors, least=0, most=_HYPERVISORS_MAX)
        self._edges += 1
        if self._edges > _EDGES_MAX:
            raise TopologyError(f"edges: a lab has at most {_EDGES_MAX} edge switches", "edges")
        prefix = int(LA_SUPERNET.network_address) + (self._edges << 8)
        self.nodeInfo(switch)["prefix"] = f"{IPv4Address(prefix)}/24"
        for n in range(hypervisors):
            self._hypervisors += 1
            name = f"h{self._hypervisors}"
            address, gateway = IPv4Address(prefix + _FIRST_HOST + n), IPv4Address(prefix + 1)
            self.addHost(name, ip=f"{address}/24", defaultRoute=f"via {gateway}", edge=switch)
            # The hypervisor's only Mininet port is 0 (h1-eth0); the switch's is the next free one.
            self.addLink(name, switch, **self._shape)

    def edges_among(self, switches: Iterable[str], wanted: str, hypervisors: int) -> None:
        """Make some switches edge switches: ``"all"``, or names joined by ``,`` or ``+``.

        :raises TopologyError: for a name that is not a switch of this topology.
        """
        known = list(switches)
        names = known if wanted == "all" else [name for name in re.split(r"[,+\s]+", wanted) if name]
        if not names:
            raise TopologyError("edges: no edge switch is named", "edges")
        for name in names:
            if name not in known:
                raise TopologyError(
                    f"edges: {name!r} is not a switch of this topology ({known[0]} … {known[-1]})", "edges"
                )
        for name in dict.fromkeys(names):
            self.edge(name, hypervisors)


def assign(topo: UnderlayTopo, las: Iterable[tuple[str, str]]) -> None:
    """Give hypervisors other LAs than the ones out of their edge switch's prefix.

    :raises TopologyError: for an unknown hypervisor, an address outside the LA supernet or a gateway's, or one that
        two hypervisors would share; then nothing is changed.
    """
    chosen = {name: IPv4Address(str(topo.nodeInfo(name)["ip"]).partition("/")[0]) for name in topo.hosts()}
    given: set[str] = set()
    for name, text in las:
        if name not in chosen:
            raise TopologyError(f"la: {name!r} is not a hypervisor of this topology", "la")
        if name in given:
            raise TopologyError(f"la: {name} is given two addresses", "la")
        given.add(name)
        try:
            chosen[name] = IPv4Address(text)
        except ValueError:
            raise TopologyError(f"la: {text!r} is not an IPv4 address", "la") from None
        if chosen[name] not in LA_SUPERNET or chosen[name].packed[3] in (0, 1, 255):
            raise TopologyError(f"la: {text} is not a host's address in {LA_SUPERNET} (nor a gateway's, .1)", "la")
    holders: dict[IPv4Address, str] = {}
    for name, address in chosen.items():
        holder = holders.setdefault(address, name)
        if holder != name:
            raise TopologyError(f"la: {address} is given to both {holder} and {name}", "la")
    for name in given:
        gateway = IPv4Address(int(chosen[name]) & 0xFFFFFF00 | 1)
        topo.nodeInfo(name).update(ip=f"{chosen[name]}/24", defaultRoute=f"via {gateway}")


def as_graph(topo: UnderlayTopo) -> nx.MultiGraph[str]:
    """The topology as a networkx graph: nodes carry Mininet's parameters (``isSwitch``, ``dpid``, ``ip``)."""
    import networkx as nx  # noqa: PLC0415  (Mininet's own command may run without networkx)

    graph: nx.MultiGraph[str] = topo.convertTo(nx.MultiGraph)
    return graph
