"""How long does it take to decide, without a socket or a switch?

Pure functions only: the overlay's compiler on 10,000 ports, the fabric's routes on three fabrics, and the encoding of
flow-mods beside that of the framework's objects, in the same process and run.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address
from typing import Any, Final, TypeAlias

import networkx as nx

from bench.record import Notebook
from controller import framework
from controller.events import SwitchPort
from controller.fabric.changes import HostSighted, LinkSeen, SwitchConnected
from controller.fabric.engine import ShortestPaths
from controller.fabric.graph import Fabric
from controller.fabric.groups import GroupAssignment
from controller.fabric.plan import LaPlan, PortRef
from controller.fabric.program import program
from controller.fabric.routes import PORTS, Graph
from controller.openflow import codec
from controller.openflow.codec import FlowCommand
from overlay.changes import (
    Activate,
    BindPassive,
    Change,
    Confirmed,
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    DeletePort,
    HostSeen,
    Outcome,
    Plugged,
    Sent,
    Tick,
)
from overlay.compile import Compiler, units_of
from overlay.flow import FIELDS, Action, Flow, Move, Output, Set
from overlay.values import UNLIMITED, Countable, DatapathId, Host, HostName, Mac
from overlay.world import Settings, World

_Pair: TypeAlias = tuple[DatapathId, DatapathId]

HOSTS: Final = tuple(HostName(f"h{number}") for number in range(1, 5))
PER_NETWORK: Final = 100
_OVERLAY: Final = "Overlay"
_FABRIC: Final = "Fabric"
_CODEC: Final = "Flow-mods encoded"
_ROUNDS: Final = 5
_EVENTS: Final = 100
_ENCODED: Final = 5000
_PIECE: Final = 32
_GRACE: Final = 2.0

# ── overlay ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Site:
    """A world with its compiler, where every switch confirms at once."""

    def __init__(self, networks: int) -> None:
        self.world = World(Settings(quotas=dict.fromkeys(Countable, UNLIMITED)))
        self.compiler = Compiler(self.world)
        self.now = 0.0
        self.generation = 0
        self.ofport = 100
        self.backlog: list[Outcome] = []
        """What nobody has carried out yet."""
        for number, host in enumerate(HOSTS, start=1):
            self.backlog.append(
                self.apply(HostSeen(Host(host, IPv4Address(f"10.0.{number}.10"), DatapathId(number), 1)))
            )
        for network in range(networks):
            self.apply(CreateNetwork(f"net-{network}", "red"))
            self.apply(CreateSubnet(f"sub-{network}", "red", f"net-{network}", IPv4Network("10.1.0.0/16")))
            for number in range(PER_NETWORK):
                self.backlog += self.make(network, number)

    def apply(self, change: Change) -> Outcome:
        """Apply a change, and nothing else."""
        return self.world.apply(change, self.now)

    def make(self, network: int, number: int) -> tuple[Outcome, ...]:
        """Make a port and plug it."""
        port, host = f"port-{network}-{number}", HOSTS[number % len(HOSTS)]
        self.ofport += 1
        mac = Mac(0x020000000000 | network << 16 | number)
        return (
            self.apply(CreatePort(port, "red", f"net-{network}", mac=mac, host=host)),
            self.apply(Plugged(host, port, self.ofport)),
        )

    def confirm(self) -> None:
        """Let every host confirm what it was sent so far."""
        for host in self.world.unconfirmed_hosts():
            self.carry_out(self.apply(Confirmed(host, self.generation)))

    def carry_out(self, outcome: Outcome) -> int:
        """Compile what is dirty, until nothing follows from it; returns the number of flow-mods."""
        mods = 0
        while outcome.dirty or outcome.waits:
            sent = []
            for host, delta in self.compiler.refresh(outcome.dirty).items():
                self.generation += 1
                sent.append((host, self.generation))
                mods += len(delta.put) + len(delta.remove)
            outcomes = [self.apply(Sent(outcome.waits, tuple(sent)))]
            outcomes += [self.apply(Confirmed(host, generation)) for host, generation in sent]
            outcome = Outcome.merge(outcomes)
        return mods


def overlay(book: Notebook, networks: int) -> Site:
    """Measure the overlay's compiler."""
    ports = networks * PER_NETWORK
    began = time.perf_counter()
    site = Site(networks)
    made = time.perf_counter() - began
    book.take(_OVERLAY, f"{ports} ports made and plugged in the world, per port", "time", "ms", made * 1000 / ports)
    gc.collect()
    gc.freeze()
    for _ in range(_ROUNDS):
        fresh = Compiler(site.world)
        took = timed(lambda fresh=fresh: fresh.refresh(units_of(site.world)))  # type: ignore[misc]
        site.compiler = fresh
        flows = sum(len(fresh.desired(host)) for host in HOSTS)
        case = f"{ports} ports compiled from scratch"
        book.take(_OVERLAY, case, "time", "ms", took * 1000)
        book.take(_OVERLAY, case, "flow-mods", "", flows)
        book.take(_OVERLAY, case, "flow-mods per second", "1/s", flows / took)
    site.carry_out(Outcome.merge(site.backlog))
    site.confirm()
    for number in range(_EVENTS):
        _event(
            book, site, f"one more port at {ports}", lambda number=number: site.make(number % networks, 1000 + number)
        )  # type: ignore[misc]
    for number in range(_EVENTS):
        _event(
            book,
            site,
            f"one port less at {ports}",
            lambda number=number: (site.apply(DeletePort(f"port-{number % networks}-{1000 + number}")),),
        )  # type: ignore[misc]
    for number in range(_EVENTS):
        _move(book, site, f"one move at {ports}", f"port-{number % networks}-{number % PER_NETWORK}")
    recomputed = site.compiler.recompute()
    assert all(recomputed[host] == site.compiler.desired(host) for host in HOSTS), "incremental is not recompute"
    return site


def _event(book: Notebook, site: Site, case: str, change: Callable[[], tuple[Outcome, ...]]) -> None:
    began = time.perf_counter()
    mods = site.carry_out(Outcome.merge(change()))
    book.take(_OVERLAY, case, "time", "ms", (time.perf_counter() - began) * 1000)
    book.take(_OVERLAY, case, "flow-mods", "", mods)


def _move(book: Notebook, site: Site, case: str, port: str) -> None:
    home = site.world.port(port).host
    target = next(host for host in HOSTS if host != home)
    site.ofport += 1
    began = time.perf_counter()
    mods = site.carry_out(site.apply(BindPassive(port, target)))
    mods += site.carry_out(site.apply(Plugged(target, port, site.ofport)))
    mods += site.carry_out(site.apply(Activate(port, target)))
    site.now += _GRACE
    mods += site.carry_out(site.apply(Tick()))
    book.take(_OVERLAY, case, "time", "ms", (time.perf_counter() - began) * 1000)
    book.take(_OVERLAY, case, "flow-mods", "", mods)
    assert site.world.port(port).host == target, "the port has not moved"


# ── fabric ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Cables:
    """A physical network in the making."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}
        self.links: list[tuple[PortRef, PortRef]] = []
        self.hosts: list[tuple[IPv4Address, PortRef]] = []

    def _port(self, switch: int) -> PortRef:
        self._last[switch] = self._last.get(switch, 0) + 1
        return PortRef(DatapathId(switch), self._last[switch])

    def join(self, one: int, other: int) -> None:
        """Plug a cable between two switches."""
        self.links.append((self._port(one), self._port(other)))

    def house(self, edges: Sequence[int]) -> Cables:
        """Put a hypervisor behind each of these switches."""
        self.hosts = [
            (IPv4Address((10 << 24) + (number + 1 << 8) + 10), self._port(edge)) for number, edge in enumerate(edges)
        ]
        return self

    def discovered(self) -> Fabric:
        """Let a controller discover all of it."""
        fabric = Fabric(LaPlan(supernet=IPv4Network("10.0.0.0/8")))
        for switch, last in self._last.items():
            ports = (SwitchPort(n, f"p{n}", f"02:00:00:00:00:{n:02x}", up=True) for n in range(1, last + 1))
            fabric.apply(SwitchConnected(DatapathId(switch), tuple(ports)), 0.0)
        for one, other in self.links:
            fabric.apply(LinkSeen(one, other), 0.0)
            fabric.apply(LinkSeen(other, one), 0.0)
        for la, at in self.hosts:
            fabric.apply(HostSighted(la, Mac(0x020000000000 | int(la)), at), 0.0)
        return fabric

    def graph(self) -> Graph:
        """Draw the switches and links, without a controller."""
        graph: Graph = nx.Graph()
        for one, other in self.links:
            ports = {one.datapath_id: (one.port,), other.datapath_id: (other.port,)}
            graph.add_edge(one.datapath_id, other.datapath_id, **{PORTS: ports})
        return graph

    @property
    def size(self) -> str:
        """How many switches and links."""
        return f"{len(self._last)} switches, {len(self.links)} links"


def clos(intermediates: int, aggregations: int, tors: int) -> Cables:
    """The VL2 paper's Clos."""
    cables = Cables()
    for aggregation in range(aggregations):
        for intermediate in range(intermediates):
            cables.join(2000 + aggregation, 3000 + intermediate)
    for tor in range(tors):
        for uplink in range(2):
            cables.join(10_000 + tor, 2000 + (tor + uplink) % aggregations)
    return cables.house(range(10_000, 10_000 + tors))


def fat_tree(k: int) -> Cables:
    """A fat tree."""
    cables, half = Cables(), k // 2
    edges = [10_000 + number for number in range(k * half)]
    for number, edge in enumerate(edges):
        pod = number // half
        for middle in range(half):
            cables.join(edge, 20_000 + pod * half + middle)
    for number in range(k * half):
        for core in range(half):
            cables.join(20_000 + number, 30_000 + number % half * half + core)
    return cables.house(edges)


def fabric(book: Notebook, name: str, cables: Cables) -> None:
    """Measure the routes of one fabric."""
    began = time.perf_counter()
    found = cables.discovered()
    case = f"{name}: {cables.size}"
    book.take(_FABRIC, case, "discovery in all", "ms", (time.perf_counter() - began) * 1000)
    edges = [at.datapath_id for _, at in cables.hosts]
    for edge in edges:
        found.routes.towards(edge)
    gc.collect()
    gc.freeze()
    for edge in edges[:: max(1, len(edges) // 10)][:10]:
        took = timed(lambda edge=edge: program(found, edge, GroupAssignment()))  # type: ignore[misc]
        book.take(_FABRIC, case, "program of an edge switch", "ms", took * 1000)
    book.say(case)


def routes(book: Notebook, name: str, cables: Cables) -> None:
    """Measure the next hops of one fabric: from scratch, and when a link or a switch goes and returns."""
    case, graph = f"{name}: {cables.size}", cables.graph()
    edges = [at.datapath_id for _, at in cables.hosts]
    gc.collect()
    gc.freeze()
    for _ in range(_ROUNDS):
        paths = ShortestPaths(graph)
        took = timed(lambda paths=paths: paths.ask(edges[:1]))  # type: ignore[misc]
        book.take(_FABRIC, case, "graph read, one destination", "ms", took * 1000)
        for first in range(1, len(edges), _PIECE):
            piece = timed(lambda paths=paths, first=first: paths.ask(edges[first : first + _PIECE]))  # type: ignore[misc]
            book.take(_FABRIC, case, f"distances to {_PIECE} destinations", "ms", piece * 1000)
            took += piece
        book.take(_FABRIC, case, "all distances to all edge switches", "ms", took * 1000)
        for switch in graph:
            piece = timed(lambda paths=paths, switch=switch: paths.at(switch))  # type: ignore[misc]
            book.take(_FABRIC, case, "next hops of one switch to all edge switches", "ms", piece * 1000)
            took += piece
        book.take(_FABRIC, case, "all next hops to all edge switches", "ms", took * 1000)
    tiers: dict[str, list[_Pair]] = {"one edge–aggregation link": [], "one aggregation–core link": []}
    homes = set(edges)
    for one, other in cables.links:
        pair = (one.datapath_id, other.datapath_id)
        tiers[f"one {'edge–aggregation' if homes & set(pair) else 'aggregation–core'} link"].append(pair)
    for what, links in tiers.items():
        for pair in links[:: max(1, len(links) // 10)][:10]:
            _lose(book, case, what, paths, graph, [pair])
    aggregation, core = links[0]
    for what, switch in (("an edge switch", edges[0]), ("an aggregation switch", aggregation), ("a core switch", core)):
        _lose(book, case, what, paths, graph, [(switch, far) for far in graph.adj[switch]])
    book.say(f"{case}: routes")


def plainly(book: Notebook, name: str, cables: Cables) -> None:
    """Measure what networkx takes for the same from scratch, and hold the engine's answer to it."""
    case, graph, paths = f"{name}: {cables.size}", cables.graph(), ShortestPaths(cables.graph())
    found: dict[DatapathId, dict[DatapathId, set[DatapathId]]] = {}

    def compute() -> None:
        for _, at in cables.hosts:
            far = nx.single_source_dijkstra_path_length(graph, at.datapath_id)
            found[at.datapath_id] = {
                here: {there for there in graph.adj[here] if far[there] + 1 == own} for here, own in far.items()
            }

    book.take(_FABRIC, case, "all next hops to all edge switches, by networkx", "ms", timed(compute) * 1000)
    for destination, wanted in found.items():
        ports = {
            here: tuple(sorted(port for there in theirs for port in graph.edges[here, there][PORTS][here]))
            for here, theirs in wanted.items()
        }
        ours = paths.towards(destination)
        assert {here: tuple(hop.port for hop in hops) for here, hops in ours.items()} == ports, (
            "not what networkx finds"
        )


def _lose(  # noqa: PLR0917  (they read as a row of the table)
    book: Notebook, case: str, what: str, paths: ShortestPaths, graph: Graph, pairs: Sequence[_Pair]
) -> None:
    kept = [(one, other, dict(graph.edges[one, other])) for one, other in pairs]
    for happened in ("lost", "returned"):
        if happened == "lost":
            graph.remove_edges_from(pairs)
        else:
            graph.add_edges_from(kept)
        changed: list[set[DatapathId]] = []
        took = timed(lambda changed=changed: changed.append(paths.update(pairs)))  # type: ignore[misc]
        book.take(_FABRIC, case, f"{what} {happened}", "ms", took * 1000)
        book.take(_FABRIC, case, f"{what} {happened}: switches touched", "", len(changed[0]))


# ── codec ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def encoding(book: Notebook, site: Site) -> None:
    """Measure the encoding of what the overlay compiled, by our codec and by the framework's objects."""
    flows = [flow for flow in site.compiler.desired(HOSTS[0]).values() if _comparable(flow)][:_ENCODED]
    protocol = framework.ProtocolDesc(framework.ofproto.OFP_VERSION)
    some = flows[:1000]
    assert all(_theirs(protocol, flow) == codec.flow_mod(flow, FlowCommand.ADD, 1) for flow in some), "bytes differ"
    for _ in range(_ROUNDS):
        ours = timed(lambda: [codec.bundled_flow_add(flow, 1, 1) for flow in flows])
        theirs = timed(lambda: [_theirs(protocol, flow) for flow in some])
        one, other = len(flows) / ours, len(some) / theirs
        book.take(_CODEC, "VL2's codec, in bundle messages", "rate", "1/s", one)
        book.take(_CODEC, f"objects of {framework.NAME}, without bundle messages", "rate", "1/s", other)
        book.take(_CODEC, "ratio", "rate", "1/s", one / other)


def _comparable(flow: Flow) -> bool:
    """Whether the framework knows all of it: it has no name for the fields of neighbour advertisements."""
    return (
        bool(flow.actions)
        and flow.meter is None
        and all(each.mask is None for each in flow.match)
        and all(isinstance(action, Output | Move) or _plain(action) for action in flow.actions)
    )


def _plain(action: Action) -> bool:
    return isinstance(action, Set) and not action.field.startswith("nd_")


def _theirs(protocol: Any, flow: Flow) -> bytes:
    ofp, parser = framework.ofproto, framework.parser
    match = parser.OFPMatch(**{each.field: _user(each.field, each.value) for each in flow.match if each.mask is None})
    instructions = [parser.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, list(_actions(flow.actions)))]
    if flow.goto is not None:
        instructions.append(parser.OFPInstructionGotoTable(flow.goto))
    message = parser.OFPFlowMod(
        protocol,
        cookie=flow.cookie,
        table_id=flow.table,
        priority=flow.priority,
        buffer_id=ofp.OFP_NO_BUFFER,
        out_port=ofp.OFPP_ANY,
        out_group=ofp.OFPG_ANY,
        match=match,
        instructions=instructions,
    )
    message.set_xid(1)
    message.serialize()
    return bytes(message.buf)


def _actions(actions: Sequence[Action]) -> Iterator[Any]:
    parser = framework.parser
    for action in actions:
        match action:
            case Output(port):
                yield parser.OFPActionOutput(port, 0)
            case Set(name, value):
                yield parser.OFPActionSetField(**{name: _user(name, value)})
            case Move(source, target):
                yield parser.OFPActionCopyField(
                    FIELDS[source].bits, oxm_ids=[parser.OFPOxmId(source), parser.OFPOxmId(target)]
                )
            case _:
                pass


def _user(name: str, value: int) -> int | str:
    """Spell a value as the framework's users do."""
    if FIELDS[name].bits == 48:
        return value.to_bytes(6).hex(":")
    if name.startswith(("ipv4_", "tun_ipv4", "arp_spa", "arp_tpa")):
        return str(IPv4Address(value))
    return str(IPv6Address(value)) if FIELDS[name].bits == 128 else value


def timed(work: Callable[[], object]) -> float:
    """The seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write down."""
    parser = argparse.ArgumentParser(prog="bench.compile", description=__doc__)
    parser.add_argument("--networks", type=int, default=100, help=f"networks of {PER_NETWORK} ports each")
    parser.add_argument("--k", type=int, nargs="*", default=[16, 32], help="sizes of fat trees")
    parser.add_argument("--routes", type=int, nargs="*", default=[16, 32, 48], help="sizes of fat trees, routes only")
    given = parser.parse_args(argv)
    book = Notebook("compile", "How long does it take to decide, without a socket or a switch?")
    book.parameters = {"networks": given.networks, "ports": given.networks * PER_NETWORK, "hypervisors": len(HOSTS)}
    site = overlay(book, given.networks)
    book.say("overlay")
    encoding(book, site)
    book.say("codec")
    fabric(book, "VL2 Clos 3/3/4", clos(3, 3, 4))
    fabric(book, "VL2 Clos 12/24/144", clos(12, 24, 144))
    for k in given.k:
        fabric(book, f"fat tree k={k}", fat_tree(k))
    for k in given.routes:
        routes(book, f"fat tree k={k}", fat_tree(k))
    if given.routes:
        plainly(book, f"fat tree k={min(given.routes)}", fat_tree(min(given.routes)))
    book.close()


if __name__ == "__main__":
    main()
