"""What is told of drops at a port is what the switches where it is plugged have counted."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, ip_network
from typing import cast

import pytest

from controller.desk import Desk
from controller.discovery import Announcer
from controller.drops import REASONS, Drops
from controller.events import Met, SwitchDown, SwitchUp
from controller.openflow.tally import Tally
from controller.ovsdb.server import HostsServer
from controller.owner import Owner
from controller.service import NotCounted
from controller.store import Store
from overlay.changes import (
    Activate,
    BindPassive,
    Change,
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    HostLost,
    HostSeen,
    Outcome,
    Plugged,
    Tick,
    Unbind,
    Unplugged,
    UpdatePort,
)
from overlay.compile import Compiler, units_of
from overlay.refusals import NotFound
from overlay.tables.names import CookieKind, provenance
from overlay.trunks.changes import CreateTrunk
from overlay.trunks.values import SubPort
from overlay.values import Host, HostName, Mac
from overlay.world import World
from tests.controller.switches import ID, Later, MemorySession
from tests.fabric import graphs
from tests.model.lab import Lab

H1, H2 = HostName("h1"), HostName("h2")


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


class Road(Lab):
    """A world whose ports move, and what is counted at its hosts: of each port one number, for refused packets."""

    def __init__(self) -> None:
        self.later = Later()
        self.met: dict[tuple[str, str], int] = {}
        self.silent: set[str] = set()
        self.drops: Drops | None = None
        super().__init__(2)
        self.drops = Drops(self.world, met_at=self._met_at, spawn=self.later)
        self.do(CreateNetwork("n", "a"), CreateSubnet("s", "a", "n", ip_network("10.0.0.0/24")))
        for number, port_id in enumerate(("p", "sub"), start=1):
            self.do(CreatePort(port_id, "a", "n", mac=Mac(number), security_groups=()))
        self.do(UpdatePort("p", host=H1), CreateTrunk("t", "a", "p", sub_ports=(SubPort("sub", 7),)))
        self.plug(H1, "p")

    def _apply(self, change: Change) -> Outcome:
        outcome = super()._apply(change)
        if self.drops is not None:
            self.drops.noticed(outcome.notices)
        return outcome

    def _met_at(self, host: HostName, cookies: Sequence[int]) -> tuple[Met, ...]:
        if host in self.silent:
            raise TimeoutError("nobody there")
        of = {provenance(CookieKind.REFUSED_IN, port_id): port_id for port_id in ("p", "sub")}
        counts = [self.met.get((host, of.get(cookie, "")), 0) for cookie in cookies]
        return tuple(Met(count, 100 * count) for count in counts)

    def ready(self, target: HostName) -> None:
        """Prepare a move of the port."""
        self.do(BindPassive("p", target))
        self.plug(target, "p")

    def take(self, source: HostName) -> None:
        """Take the source's program away, and its counts with it."""
        self.do(Unplugged(source, "p"))
        for port_id in ("p", "sub"):
            self.met.pop((source, port_id), None)

    def arrive(self) -> None:
        """Let the move come to its end."""
        self.now += 100
        self.do(Tick())
        assert self.world.move_of("p") is None

    def move(self, source: HostName, target: HostName) -> None:
        """Move the port, and read in time."""
        self.ready(target)
        self.do(Activate("p", target))
        self.later.run()
        self.arrive()
        self.take(source)

    def told(self, port_id: str = "p") -> int:
        """How many packets were refused."""
        assert self.drops is not None
        (found,) = (each for each in self.drops.of(port_id) if each.reason == "refused_in")
        assert found.bytes == 100 * found.packets
        return found.packets


@pytest.fixture
def road() -> Road:
    """Two hosts, with a port and its sub-port at the first."""
    return Road()


def test_counts_move_along(road: Road) -> None:
    """What the source had counted stays when its flows are gone, also of sub-ports, and from move to move."""
    road.met |= {(H1, "p"): 5, (H1, "sub"): 3}
    road.move(H1, H2)
    assert (road.told(), road.told("sub")) == (5, 3)
    road.met[H2, "p"] = 2
    assert road.told() == 7
    road.move(H2, H1)
    assert road.told() == 7
    road.met[H1, "p"] = 1
    assert (road.told(), road.told("sub")) == (8, 3)


def test_counts_go_back_at_no_moment_of_a_move(road: Road) -> None:
    """While both hosts have a program both count; the source's may go before the move is over."""
    road.met[H1, "p"] = 5
    road.ready(H2)
    road.later.run()
    road.met |= {(H1, "p"): 6, (H2, "p"): 1}
    assert road.told() == 7
    road.take(H1)
    assert road.told() == 7
    road.arrive()
    assert road.told() == 7


def test_a_reading_that_comes_too_late_takes_nothing_away(road: Road) -> None:
    """Flows that are gone have met nothing, and a move that is over is not read."""
    road.met[H1, "p"] = 5
    road.ready(H2)
    assert road.told() == 5
    road.take(H1)
    road.later.run()
    assert road.told() == 5
    road.arrive()
    road.later.run()
    assert road.told() == 5


def test_what_cannot_be_read_holds_nothing_up(road: Road) -> None:
    """A source that does not answer keeps what it has counted since it last did."""
    road.met[H1, "p"] = 5
    road.ready(H2)
    road.later.run()
    road.silent.add(H1)
    road.do(Activate("p", H2))
    road.later.run()
    road.arrive()
    assert road.told() == 5


def test_a_move_that_is_given_up_adds_nothing(road: Road) -> None:
    """The source's flows are still there, and counted once."""
    road.met[H1, "p"] = 5
    road.ready(H2)
    road.later.run()
    road.do(Unbind("p", H2))
    assert road.told() == 5
    road.ready(H2)
    road.later.run()
    road.change(Activate("p", H2))
    road.do(HostLost(H2))
    assert road.told() == 5


def test_who_is_bound_afresh_begins_anew(road: Road) -> None:
    """Only moves are no change: a port that was unbound leaves nothing behind."""
    road.met[H1, "p"] = 5
    road.move(H1, H2)
    road.do(UpdatePort("p", host=None))
    assert road.told() == 0
