"""What does the br-int pipeline look like with something in it?

Prints PIPELINE.md for br-int from the declaration and from flows that the real compiler makes of a small world: two
hosts, one network, and a VM in the middle of a move.
"""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, ip_network
from typing import Final

from overlay.changes import (
    Activate,
    BindPassive,
    Change,
    Confirmed,
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    HostSeen,
    Plugged,
    Sent,
)
from overlay.compile import Compiler, units_of
from overlay.describe import document
from overlay.flow import Flow
from overlay.mirrors.changes import CreateTapFlow, CreateTapService
from overlay.mirrors.values import TapDirection
from overlay.multicast.changes import Joined
from overlay.pipeline import PIPELINE
from overlay.policy.changes import CreateSecurityRule, DeleteSecurityRule, MakeDefaultGroup
from overlay.policy.values import Direction
from overlay.tables.names import REGISTERS, TCP, CookieKind
from overlay.trunks.changes import CreateTrunk
from overlay.trunks.values import SubPort
from overlay.values import DatapathId, Host, HostName, Ipv6Mode, Mac, Vni
from overlay.world import World

_HERE: Final = HostName("h1")
_THERE: Final = HostName("h2")

_KINDS: Final = {
    CookieKind.STATIC: "on every host",
    CookieKind.NETWORK: "per network that the host has",
    CookieKind.PORT: "per plugged port",
    CookieKind.ADDRESS: "per port of a network that the host has",
    CookieKind.SPOOFED: "per plugged port, counting what it may not say",
    CookieKind.ANNOUNCEMENT: "per passive port, until its move is activated",
    CookieKind.SILENCED: "per passive port, counting what it may not say yet",
    CookieKind.REFUSED_OUT: "per filtered port, counting what its policy does not let it send",
    CookieKind.REFUSED_IN: "per filtered port, counting what its policy does not let it get",
    CookieKind.PEER: "per address that rules name as the remote end, in a network",
    CookieKind.SERVICE: "per service that rules name, in a network",
    CookieKind.CLAUSE: "per clause: the rules of a group that name one remote end",
    CookieKind.ASKED_ADDRESS: "per plugged port, for its questions by DHCP",
    CookieKind.ASKED_ADDRESS_V6: "per plugged port, for its questions by DHCPv6",
    CookieKind.ASKED_ROUTER: "per plugged port, for its questions for routers",
    CookieKind.ROGUE: "per plugged port, counting what only a DHCP server or a router would say",
    CookieKind.MIRROR: "per port that is mirrored or gets copies",
    CookieKind.ASKED_GROUPS: "per plugged port, for what it says of multicast groups",
    CookieKind.ASKED_NAMES: "per plugged port, for the names that it asks for",
    CookieKind.MULTICAST: "per multicast group that somebody in a network listens to",
    CookieKind.TAGGED: "per plugged port, counting what it sends with a tag that it has not",
}

INTRODUCTION: Final = """\
Every hypervisor's `br-int` holds these tables; a packet meets them in this order. This document is printed from their
declaration (`overlay/pipeline.py`, `overlay/tables/`), and the sample flows are compiled from a small world: network
100 with port `a` here (OpenFlow port 2), port `b` at a host with LA 10.0.2.11, a port that is being prepared to come
here (port 4), and one that has just moved away. All are in their project's default group, which lets TCP in to ports
80 and 81 besides what its own members send. Port `a` is the parent of a trunk, of which VLAN 7 is another port. What
the port that is being prepared sends and gets is copied to `a` and, by a VNI of its own, to `b`. Port 1 is the VXLAN
tunnel."""


def _do(world: World, change: Change) -> None:
    """Do a change as if every switch confirmed at once."""
    outcome = world.apply(change, 0)
    while outcome.waits:
        outcome = world.apply(Sent(outcome.waits), 0)


def _world() -> World:
    world = World()
    for number, name in enumerate((_HERE, _THERE), start=1):
        _do(world, HostSeen(Host(name, IPv4Address(f"10.0.{number}.11"), DatapathId(number), tunnel_port=1)))
        _do(world, Confirmed(name, 0))
    _do(world, CreateNetwork("net", "project", vni=Vni(100)))
    _do(world, CreateSubnet("four", "project", "net", ip_network("192.168.0.0/24"), dhcp=True))
    six = CreateSubnet("six", "project", "net", ip_network("2001:db8::/64"), dhcp=True)
    mode = Ipv6Mode.STATEFUL
    _do(world, replace(six, ipv6_ra_mode=mode, ipv6_address_mode=mode))
    homes = (("a", _HERE, 2), ("b", _THERE, 2), ("coming", _THERE, 3), ("leaving", _HERE, 3))
    _do(world, MakeDefaultGroup("project", "default", ("out4", "out6", "in4", "in6")))
    web = {"direction": Direction.INGRESS, "protocol": TCP, "port_min": 80, "port_max": 81}
    _do(world, CreateSecurityRule("web", "project", "default", **web))  # type: ignore[arg-type]
    _do(world, DeleteSecurityRule("out6"))
    for number, (port_id, host, ofport) in enumerate(homes, start=10):
        mac = Mac(0x02_00_00_00_00_00 + number)
        _do(world, CreatePort(port_id, "project", "net", mac=mac, host=host, security_groups=("default",)))
        _do(world, Plugged(host, port_id, ofport))
    for port_id, target in (("coming", _HERE), ("leaving", _THERE)):
        _do(world, BindPassive(port_id, target))
        _do(world, Plugged(target, port_id, 4))
    _do(world, Activate("leaving", _THERE))
    for watcher in ("a", "b", "leaving"):
        _do(world, CreateTapService(f"at {watcher}", "project", watcher))
        _do(world, CreateTapFlow(f"to {watcher}", "project", f"at {watcher}", "coming", TapDirection.BOTH))
    for host, port_id in ((_HERE, "a"), (_THERE, "b")):
        _do(world, Joined(host, port_id, (IPv4Address("239.1.1.1"),)))
    _do(world, CreatePort("sub", "project", "net", mac=Mac(0x02_00_00_00_00_00 + 20)))
    _do(world, CreateTrunk("trunk", "project", "a", sub_ports=(SubPort("sub", 7),)))
    return world


def _samples(world: World) -> list[tuple[str, Flow]]:
    """One flow of each shape: the same table, cookie kind and fields; ports ``a`` and ``b`` come first."""
    compiler = Compiler(world)
    compiler.refresh(units_of(world))
    samples: dict[tuple[object, ...], tuple[str, Flow]] = {}
    for flow in compiler.desired(_HERE).values():
        kind = CookieKind(flow.cookie >> 40 & 0xFF)
        fields = tuple(condition.field for condition in flow.match)
        shape = (flow.table, kind, fields, flow.goto, tuple(map(type, flow.actions)))
        samples.setdefault(shape, (_KINDS[kind].capitalize(), flow))
    return sorted(samples.values(), key=lambda sample: (sample[1].table, -sample[1].priority, sample[0]))


def pipeline_document() -> str:
    """PIPELINE.md for br-int."""
    return document(
        PIPELINE, _samples(_world()), title="The pipeline of br-int", introduction=INTRODUCTION, registers=REGISTERS
    )
