"""What can a person or a program see of the running controller?

Frozen values that the owner makes on request and that REST prints; no view is ever read back to decide something.  The
JSON and the OpenAPI schema of each come from the class itself, so an answer cannot drift from its documentation.  All
times are seconds since the epoch, all datapath ids print as 16 hex digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal, TypeAlias

from pydantic import InstanceOf, PlainSerializer, WithJsonSchema

from overlay.evacuation.values import Advance
from overlay.values import DatapathId, HostKind, HostName, Mac

Dpid: TypeAlias = Annotated[
    InstanceOf[DatapathId],
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^[0-9a-f]{16}$", "examples": ["0000000000000001"]}),
]
"""A datapath id that prints as Open vSwitch prints it."""

HostId: TypeAlias = Annotated[
    InstanceOf[HostName], PlainSerializer(str, return_type=str), WithJsonSchema({"type": "string"})
]
"""A hypervisor's name."""

MacText: TypeAlias = Annotated[
    InstanceOf[Mac],
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["fa:16:3e:00:00:01"]}),
]
"""An Ethernet address that prints with colons."""


@dataclass(frozen=True, slots=True)
class PortView:
    """One port of a fabric switch: its OpenFlow number and whether packets can pass."""

    number: int
    name: str
    up: bool


@dataclass(frozen=True, slots=True)
class SwitchView:
    """One fabric switch.  ``edge`` is whether hypervisors hang off it; a switch without a session keeps its flows.

    ``name`` is that of the intended topology.  A switch in ``maintenance`` is avoided wherever another way leads;
    ``drained`` means that all switches have confirmed that they send nothing through it.  ``problems`` are sentences
    for the operator of a switch that has joined: about its OVSDB session, and what it could not be told there.
    """

    datapath_id: Dpid
    connected: bool
    edge: bool
    ports: tuple[PortView, ...]
    name: str = ""
    maintenance: bool = False
    drained: bool = False
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkView:
    """One direction of a cable between two fabric switches.

    ``usable`` means seen in both directions with both ports up; ``assumed`` means remembered from before a restart and
    not yet confirmed by LLDP.
    """

    from_datapath_id: Dpid
    from_port: int
    to_datapath_id: Dpid
    to_port: int
    usable: bool
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class EndView:
    """A switch, or one port of it; no port where any will do, or where the switch as a whole is meant."""

    datapath_id: Dpid
    port: int | None = None


@dataclass(frozen=True, slots=True)
class CableView:
    """A cable between two fabric switches, both directions of it.

    ``id`` names its lower end, ``<datapath id>:<port>``; that of either end will do to ask for it.  ``weight`` is what
    a way over it costs, ``capacity_mbps`` what it is taken to carry: what the operator said, or else its ports.  A
    cable in ``maintenance``, or ``damped`` because it came and went too often, is avoided wherever another way leads;
    ``drained`` means that both ends have confirmed that they send nothing over it.
    """

    id: str
    a: EndView
    b: EndView
    weight: int
    capacity_mbps: int
    capacity_set: bool
    maintenance: bool
    damped: bool
    usable: bool
    drained: bool
    assumed: bool


@dataclass(frozen=True, slots=True)
class PolicyView:
    """One way of choosing ways through the fabric, and where the idea comes from."""

    name: str
    purpose: str
    source: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class PoliciesView:
    """The chosen policy, over how many paths ``disjoint`` spreads, and all policies that there are."""

    name: str
    paths: int
    purpose: str
    source: str
    available: tuple[PolicyView, ...]


@dataclass(frozen=True, slots=True)
class NextHopView:
    """A port that leads on, its share of the flows, and the locator tag that is written there (0 for none)."""

    port: int
    weight: int
    tag: int


@dataclass(frozen=True, slots=True)
class RouteChangeView:
    """The next hops of one target (a prefix, or a locator tag) before and after; null where there is no route."""

    target: str
    before: tuple[NextHopView, ...] | None
    after: tuple[NextHopView, ...] | None


@dataclass(frozen=True, slots=True)
class SwitchChangeView:
    """What would change on one switch: routes, ids of groups, and how many flows."""

    datapath_id: Dpid
    routes: tuple[RouteChangeView, ...]
    groups: tuple[int, ...]
    flows: int


@dataclass(frozen=True, slots=True)
class EdgePortView:
    """A port of a fabric switch that leads to no other switch."""

    datapath_id: Dpid
    port: int


@dataclass(frozen=True, slots=True)
class LocatorView:
    """Where the fabric has seen a locator address (LA): edge switch, port, and the hypervisor's MAC there."""

    la: IPv4Address
    datapath_id: Dpid
    port: int
    mac: MacText
    host: HostId | None
    assumed: bool = False


@dataclass(frozen=True, slots=True)
class PrefixView:
    """An LA prefix and the edge switch that it is routed to; a /32 is an exception from its prefix."""

    prefix: IPv4Network
    datapath_id: Dpid


@dataclass(frozen=True, slots=True)
class TopologyView:
    """The fabric as the controller knows it now."""

    switches: tuple[SwitchView, ...]
    links: tuple[LinkView, ...]
    edge_ports: tuple[EdgePortView, ...]
    locators: tuple[LocatorView, ...]
    prefixes: tuple[PrefixView, ...]


@dataclass(frozen=True, slots=True)
class LinkLoadView:
    """What one direction of a usable link carries: a rate over the last interval, and totals of the sending port.

    All is null where the port was not counted lately, and the utilisation where nobody knows the link's capacity.
    ``drops`` are those that the switch itself counts.
    """

    from_datapath_id: Dpid
    from_port: int
    to_datapath_id: Dpid
    to_port: int
    bits_per_second: float | None
    packets_per_second: float | None
    drops_per_second: float | None
    capacity_mbps: float | None
    utilisation: float | None
    bytes: int | None
    packets: int | None
    drops: int | None
    measured_at: float | None


@dataclass(frozen=True, slots=True)
class BalanceView:
    """How evenly a switch uses the next hops of one set.

    ``fairness`` is Jain's index of the rates per weight (1 when all carry their share, 1/n when one carries all),
    ``peak_over_mean`` the largest of them over their mean; both are null while nothing is carried.
    """

    datapath_id: Dpid
    ports: tuple[int, ...]
    fairness: float | None
    peak_over_mean: float | None


@dataclass(frozen=True, slots=True)
class ElephantView:
    """Heavy flows that a switch sends by one next hop instead of by their hash.

    Those to ``prefix`` of which the outer UDP source port, under ``mask``, is ``udp_src``; ``port`` is where they go
    while it lives.
    """

    datapath_id: Dpid
    prefix: IPv4Network
    udp_src: int
    mask: int
    port: int


@dataclass(frozen=True, slots=True)
class LoadView:
    """What the fabric carries now; ``interval`` is how often it is counted (0: never)."""

    interval: float
    links: tuple[LinkLoadView, ...]
    next_hop_sets: tuple[BalanceView, ...]
    elephants: tuple[ElephantView, ...] = ()


@dataclass(frozen=True, slots=True)
class IntendedSwitchView:
    """A fabric switch that is meant to be there."""

    datapath_id: Dpid
    name: str
    role: Literal["edge", "aggregation", "intermediate"] | None


@dataclass(frozen=True, slots=True)
class IntendedLinkView:
    """A cable that is meant to be there.  ``capacity`` is in Mbit/s."""

    a: EndView
    b: EndView
    weight: int | None
    capacity: float | None


@dataclass(frozen=True, slots=True)
class IntendedView:
    """The topology that the fabric is meant to have: what was said, where, and how it was understood."""

    format: Literal["graphml", "json"]
    document: str
    file: str
    """The file that the configuration names; empty for what came over the API."""
    switches: tuple[IntendedSwitchView, ...]
    links: tuple[IntendedLinkView, ...]


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """One thing that is not as it was intended.

    ``at`` is the switch or one end of the link, ``expected`` what was intended there and ``seen`` what is.
    """

    kind: Literal["missing_switch", "unknown_switch", "wrong_cabling", "missing_link", "unexpected_link"]
    sentence: str
    at: EndView
    expected: EndView | None
    seen: EndView | None


@dataclass(frozen=True, slots=True)
class HostView:
    """A hypervisor: ``connected`` is its bridge's OpenFlow session, ``problems`` are sentences for its operator."""

    name: HostId
    la: IPv4Address
    datapath_id: Dpid
    connected: bool
    tunnel_port: int | None
    ports: int
    """How many ports are homed here."""
    problems: tuple[str, ...] = ()
    kind: HostKind = HostKind.HYPERVISOR
    """Or ``edge``: an edge switch, to the machines that are wired to it."""
    evacuation: Advance | None = None
    """How far it has been emptied, if that was asked; as long as it says so, no port moves to it."""


@dataclass(frozen=True, slots=True)
class LocationView:
    """Where an application address is: its port, and the hypervisor and LA that frames for it are sent to.

    ``host`` and ``la`` are null while the port is unbound.
    """

    port_id: str
    mac: MacText
    host: HostId | None
    la: IPv4Address | None


@dataclass(frozen=True, slots=True)
class PathEnd:
    """One end of a path: a hypervisor's LA, and the virtual port there when one was asked for."""

    host: HostId
    la: IPv4Address
    port_id: str | None = None


@dataclass(frozen=True, slots=True)
class HopView:
    """A fabric switch on a path, with the ports a packet comes in and leaves by."""

    datapath_id: Dpid
    in_port: int | None
    out_port: int | None


@dataclass(frozen=True, slots=True)
class PathsView:
    """Every equal-cost way from one end to the other as the installed routes allow it.

    Both ends on one hypervisor give one path without hops.  ``truncated`` says that there are more than are listed.
    """

    source: PathEnd
    target: PathEnd
    paths: tuple[tuple[HopView, ...], ...]
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class MoveStep:
    """When a move entered a phase (seconds since the epoch), and for how long it was in it; null while it still is."""

    phase: str
    at: float
    ms: float | None = None


@dataclass(frozen=True, slots=True)
class MoveView:
    """One move of a port from hypervisor to hypervisor, with its cost.

    ``activation`` is what activated it, or will when it is ready (``request``, ``announcement``, ``rebind``,
    ``unplugged``), empty while nothing did; ``activated_in_ms`` runs from the activation until all switches confirmed,
    ``ready_in_ms`` from the beginning until the target was ready, ``total_ms`` until the end: each is ``None`` while
    that is not so.
    ``flow_mods`` counts what was sent for it so far, to ``switches_touched``.
    """

    id: str
    port_id: str
    source: HostId
    target: HostId
    phase: str
    trigger: str
    timeline: tuple[MoveStep, ...]
    flow_mods: int
    switches_touched: tuple[Dpid, ...]
    activated_in_ms: float | None = None
    ready_in_ms: float | None = None
    total_ms: float | None = None
    activation: str = ""
    reason: str = ""
    """Why the present phase was entered."""


@dataclass(frozen=True, slots=True)
class SwitchCounters:
    """What the controller has sent to one datapath since it started."""

    datapath_id: Dpid
    kind: Literal["fabric", "host"]
    connected: bool
    flow_mods: int
    group_mods: int
    refused: int
    """Bundles and messages that the switch turned down."""


DropReason: TypeAlias = Literal["spoofed", "silenced", "rogue", "tagged", "refused_out", "refused_in"]
"""Why something was dropped at a port."""


@dataclass(frozen=True, slots=True)
class DropView:
    """What was dropped at a port for one reason, since the port was plugged in or last changed; moves are no change.

    ``spoofed`` is what it sent as somebody else, ``silenced`` what it sends before its move is activated,
    ``rogue`` is what only a DHCP server or a router would say, ``tagged`` what it sent with a VLAN that is not its own,
    ``refused_out`` what its security groups do not let it send, and ``refused_in`` what they do not let it get.
    """

    reason: DropReason
    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class ClashView:
    """A hypervisor that claims the LA of another; the holder keeps it."""

    host: HostId
    la: IPv4Address
    holder: HostId


@dataclass(frozen=True, slots=True)
class MulticastView:
    """What do machines listen to, over all networks, and how do we know?

    :param refused: reports beyond a limit, of the ports that there are.
    :param reports: sound reports that were heard since the controller started, and ``unsound`` ones.
    :param asked: how often a port was asked since then.
    """

    groups: int
    memberships: int
    refused: int
    reports: int
    unsound: int
    asked: int


@dataclass(frozen=True, slots=True)
class QuestionsView:
    """What became of the questions of one kind that machines asked their networks since the controller started?

    :param kind: ``dhcp``, ``dhcpv6``, ``router``, ``multicast``, …
    :param unsound: questions that could not be understood.
    :param dropped: that were not looked at, because too many of one port waited.
    :param failed: that met a defect of the controller's.
    """

    kind: str
    asked: int
    answered: int
    unsound: int
    dropped: int
    failed: int


@dataclass(frozen=True, slots=True)
class HealthView:
    """Is the controller fit to serve, and if not, why?

    ``ready`` is true once the store is restored and all listeners are open.  ``pending`` counts confirmations that
    hosts still owe.  ``problems`` are sentences for the operator.
    """

    ready: bool
    framework: str
    version: str
    started_at: float
    switches: tuple[SwitchCounters, ...]
    hosts: int
    hosts_connected: int
    pending: int
    failures: int = 0
    """How often the owner of the world failed since it started, and compared every switch anew."""
    clashes: tuple[ClashView, ...] = ()
    problems: tuple[str, ...] = ()
    questions: tuple[QuestionsView, ...] = ()
