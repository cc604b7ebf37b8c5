"""What the operator is told of the fabric's load is what the switches counted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

import eventlet
import pytest

from controller.configuration import SettingsError
from controller.counting import Watch
from controller.desk import Desk
from controller.discovery import Announcer
from controller.events import PortCounters, SwitchUp
from controller.fabric.changes import PolicyChosen
from controller.fabric.documents import of_policy
from controller.fabric.elephants import Rule
from controller.openflow.tally import Tally
from controller.ovsdb.server import HostsServer
from controller.owner import Owner
from controller.process import restore
from controller.settings import parse
from controller.store import SqliteStore, Store
from controller.views import LinkLoadView
from overlay.flow import Set
from overlay.refusals import Conflict
from overlay.values import DatapathId
from overlay.world import World
from tests.controller.switches import MemorySession
from tests.fabric import graphs

TOR = DatapathId(100)


class Shelf:
    """A store that forgets."""

    def commit(self, documents: object) -> int:  # noqa: ARG002
        return 1


class TorSession(MemorySession):
    """A session of a switch that sends 1000 bytes by its first port whenever it is asked."""

    @property
    def datapath_id(self) -> DatapathId:
        return TOR

    def port_counters(self) -> tuple[PortCounters, ...]:
        octets = 1000 + (self.counters[0].tx_bytes if self.counters else 0)
        self.counters = (PortCounters(1, 0, 5, 0, octets, 0, 3, 0, 0), PortCounters(2, 0, 0, 0, 0, 0, 0, 0, 0))
        return self.counters

    def packet_out(self, port: int, data: bytes, sets: tuple[Set, ...] = ()) -> None:
        """Let discovery packets go nowhere."""


@pytest.fixture
def owner() -> Owner:
    """An owner that is turned by hand, with a discovered fabric whose links carry 20 Mbit/s."""
    return Owner(
        World(),
        graphs.build(graphs.vl2(), hold=1e9),
        cast("Store", Shelf()),
        announcer=Announcer(b"secret"),
        lldp_interval=1e9,
        lost_after=30.0,
        audit_interval=1e9,
        watch=Watch(0.05, 20, Rule(0.8, 5.0)),
    )


@pytest.fixture
def desk(owner: Owner) -> Desk:
    """The owner's desk."""
    return Desk(owner, HostsServer(), Tally(), version="0")


def test_nothing_is_known_before_it_is_counted(desk: Desk) -> None:
    """Every direction of every link is listed from the start, with its capacity and without a rate."""
    load = desk.load()
    assert load.interval == 0.05
    assert len(load.links) == 34
    assert {(link.bits_per_second, link.utilisation, link.measured_at) for link in load.links} == {(None, None, None)}
    assert {link.capacity_mbps for link in load.links} == {20.0}
    assert load.elephants == ()


def test_what_a_switch_counts_is_shown(owner: Owner, desk: Desk) -> None:
    """Counts come through the owner's queue and become rates, totals and utilisation of the link."""
    session = TorSession()
    ports = tuple(owner.underlay.fabric.switches[TOR].ports.values())
    loop = eventlet.spawn(owner.run)
    try:
        owner.put(SwitchUp(TOR, session, ports))
        deadline = time.monotonic() + 10
        while (link := _first_uplink(desk)).bits_per_second is None:
            assert time.monotonic() < deadline, "no rate is known"
            eventlet.sleep(0.01)
    finally:
        loop.kill()
    assert link.bits_per_second > 0
    assert link.utilisation == link.bits_per_second / 20e6
    assert link.bytes is not None
    assert link.bytes >= 2000
    assert (link.packets, link.drops) == (5, 3)
    assert link.measured_at is not None
    assert owner.failures == 0


def _first_uplink(desk: Desk) -> LinkLoadView:
    return next(link for link in desk.load().links if (link.from_datapath_id, link.from_port) == (TOR, 1))


@pytest.mark.parametrize("policy", ["shortest", "vlb"])
def test_a_policy_that_leaves_elephants_no_way_is_refused(owner: Owner, policy: str) -> None:
    """While elephants are on, neither choosing nor previewing such a policy is possible, and nothing changes."""
    underlay = owner.underlay
    for act in (underlay.order, underlay.preview):
        with pytest.raises(Conflict, match=f"{policy} does not go together with fabric.elephants"):
            act(PolicyChosen(policy))
    assert underlay.fabric.policy.name == "ecmp"
    underlay.order(PolicyChosen("ecmp"))


def test_a_policy_that_was_chosen_before_is_in_the_way(tmp_path: Path) -> None:
    """A controller does not start with elephants on if the operator has chosen a policy without room for them."""
    store = SqliteStore(tmp_path / "state")
    store.commit((of_policy("vlb", 2),))
    wanted = {"state_dir": str(tmp_path / "state"), "fabric": {"elephants": True}}
    with pytest.raises(
        SettingsError, match=r"fabric\.elephants: the policy that was chosen is in the way: policy: vlb"
    ):
        restore(parse(wanted), store)
    assert restore(parse({**wanted, "fabric": {}}), store).underlay.fabric.policy.name == "vlb"
    store.close()


def test_failures_are_counted_in_health(owner: Owner, desk: Desk) -> None:
    """Each failure of the owner is counted where the operator and Prometheus see it."""
    assert desk.health().failures == 0
    owner.turn(object())
    assert desk.health().failures == 1
