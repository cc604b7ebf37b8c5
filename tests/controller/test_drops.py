"""What is told of drops at a port is what the switches where it is plugged have counted."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network
from typing import cast

import pytest

from controller.desk import REASONS, Desk
from controller.discovery import Announcer
from controller.events import SwitchDown, SwitchUp
from controller.openflow.tally import Tally
from controller.ovsdb.server import HostsServer
from controller.owner import Owner
from controller.service import NotCounted
from controller.store import Store
from overlay.changes import CreateNetwork, CreatePort, CreateSubnet, HostSeen, Plugged
from overlay.compile import Compiler, units_of
from overlay.refusals import NotFound
from overlay.tables.names import CookieKind, provenance
from overlay.values import Host, HostName, Mac
from overlay.world import World
from tests.controller.switches import ID, MemorySession
from tests.fabric import graphs

H1 = HostName("h1")


@pytest.fixture
def owner() -> Owner:
    """An owner of a world with one host, at which port p is plugged, filtered."""
    world = World()
    for change in (
        HostSeen(Host(H1, IPv4Address("10.0.1.11"), ID, 1)),
        CreateNetwork("n", "a"),
        CreateSubnet("s", "a", "n", ip_network("10.0.0.0/24")),
        CreatePort("p", "a", "n", mac=Mac(2), host=H1, security_groups=()),
        CreatePort("q", "a", "n", mac=Mac(3)),
        Plugged(H1, "p", 2),
    ):
        world.apply(change, 0.0)
    return Owner(
        world,
        graphs.build(graphs.leafspine(), hold=1e9),
        cast("Store", None),
        announcer=Announcer(b"secret"),
        lldp_interval=1e9,
        lost_after=30.0,
        audit_interval=1e9,
    )


@pytest.fixture
def session(owner: Owner) -> MemorySession:
    """A session of the host's switch, which holds what it should."""
    compiler = Compiler(owner.world)
    compiler.refresh(units_of(owner.world))
    it = MemorySession(compiler.desired(H1).values())
    owner.hypervisors.take(SwitchUp(ID, it, ()))
    return it


def drops(owner: Owner, port_id: str) -> dict[str, tuple[int, int]]:
    """Packets and bytes by reason."""
    desk = Desk(owner, HostsServer(), Tally(), version="0")
    return {each.reason: (each.packets, each.bytes) for each in desk.drops(port_id)}


def test_each_reason_is_what_its_flows_have_met(owner: Owner, session: MemorySession) -> None:
    """Several flows that count for one reason are told together, and those of other ports not at all."""
    spoofed = provenance(CookieKind.SPOOFED, "p")
    refused = provenance(CookieKind.REFUSED_IN, "p")
    for key, flow in session.held.items():
        session.met[key] = {spoofed: 100, refused: 7}.get(flow.cookie, 1)
    told = drops(owner, "p")
    assert set(told) == set(REASONS.values())
    assert told["spoofed"] == (2, 200)  # one flow in guard, one in guard_nd
    assert told["refused_in"][1] == 7 * told["refused_in"][0] > 0
    assert told["silenced"] == (0, 0)
    assert set(drops(owner, "q").values()) == {(0, 0)}


def test_what_cannot_be_counted_is_not_told_as_none(owner: Owner, session: MemorySession) -> None:
    """A switch that does not answer, or has no session, is a reason to say that nothing is known."""
    session.silent = True
    with pytest.raises(NotCounted, match="port p"):
        drops(owner, "p")
    owner.hypervisors.take(SwitchDown(ID, session))
    with pytest.raises(NotCounted, match="no session"):
        drops(owner, "p")


def test_a_port_that_is_not_there(owner: Owner) -> None:
    """There is nothing to be told of it."""
    with pytest.raises(NotFound):
        drops(owner, "none")
