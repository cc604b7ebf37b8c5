"""An update of the fabric waits for the switches that it needs, and for nobody for ever."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller import underlay as module
from controller.channel import ReadBack
from controller.discovery import Announcer
from controller.events import (
    Installed,
    MessageConfirmed,
    Mods,
    PacketArrived,
    PortChanged,
    SwitchDown,
    SwitchPort,
    SwitchUp,
)
from controller.fabric.changes import LinkTuned, PolicyChosen, SwitchForgotten, SwitchMaintained
from controller.fabric.graph import Fabric
from controller.fabric.plan import LaPlan, PortRef
from controller.fabric.program import program
from controller.fabric.targets import desired
from controller.rollout import PATIENCE
from controller.underlay import DECIDED_AFTER, Onward, Underlay
from overlay.flow import Set
from overlay.refusals import Conflict
from overlay.values import DatapathId, Mac

LEFT, UPPER, LOWER, RIGHT = map(DatapathId, (1, 2, 3, 4))
CABLES = [((LEFT, 1), (UPPER, 1)), ((LEFT, 2), (LOWER, 1)), ((UPPER, 2), (RIGHT, 1)), ((LOWER, 2), (RIGHT, 2))]
HOSTS = {IPv4Address("10.0.1.11"): (LEFT, 3), IPv4Address("10.0.2.11"): (RIGHT, 3)}


class Switch:
    """A switch in memory, which confirms what it is sent when it is told to."""

    def __init__(self, datapath_id: DatapathId, sink: Callable[[object], None]) -> None:
        self.datapath_id = datapath_id
        self.unconfirmed: list[int] = []
        self.prompt = True
        self._sink = sink

    def send(self, mods: Mods, ticket: int) -> None:  # noqa: ARG002
        self.unconfirmed.append(ticket)
        if self.prompt:
            self.confirm()

    def confirm(self) -> None:
        """Answer all barriers."""
        tickets, self.unconfirmed = self.unconfirmed, []
        for ticket in tickets:
            self._sink(MessageConfirmed(self.datapath_id, ticket))

    def read(self) -> Installed:
        return Installed((), (), ())

    def count(self) -> int:
        return 0

    def packet_out(self, port: int, data: bytes, sets: tuple[Set, ...] = ()) -> None:
        pass

    def close(self) -> None:
        pass


class Diamond:
    """Two edge switches with two ways between them, all learnt from packets."""

    def __init__(self, hold: float = math.inf) -> None:
        self.queue: list[object] = []
        announcer = Announcer(b"secret")
        self.underlay = Underlay(
            Fabric(LaPlan()), announcer, las=lambda: (), lldp_interval=60.0, bfd=False,
            spawn=immediately, sink=self.queue.append, hold=hold,
        )  # fmt: skip
        self.switches = {each: Switch(each, self.queue.append) for each in (LEFT, UPPER, LOWER, RIGHT)}
        for switch in self.switches:
            self.queue.append(SwitchUp(switch, self.switches[switch], tuple(map(port, (1, 2, 3)))))
        for ends in CABLES:
            for (source, out), (target, into) in (ends, ends[::-1]):
                frame = announcer.announcement(PortRef(source, out), Mac(2))
                self.queue.append(PacketArrived(target, into, 0, frame))
        self.settle()
        for la, at in HOSTS.items():
            self.queue.append(PacketArrived(*at, 0, arp(la)))
        self.settle()

    @property
    def fabric(self) -> Fabric:
        return self.underlay.fabric

    def settle(self) -> None:
        """Let the owner's loop run until nothing waits in its queue."""
        while self.queue:
            batch, self.queue[:] = list(self.queue), []
            for event in batch:
                if isinstance(event, ReadBack):
                    self.underlay.checked(event)
                else:
                    self.underlay.take(event)
            self.underlay.flush()
        self.underlay.flush()
        if self.queue:
            self.settle()

    def turn(self) -> None:
        """Let the owner take what waits in its queue, once."""
        batch, self.queue[:] = list(self.queue), []
        for event in batch:
            self.underlay.take(event)
        self.underlay.flush()

    def right(self, *switches: DatapathId) -> bool:
        """Whether these switches were sent the routes that they are to have in the end."""
        return all(self.underlay._held[each] == desired(self.fabric, each) for each in switches or self.switches)

    def port_is(self, at: tuple[DatapathId, int], *, up: bool) -> None:
        """Let a switch report a port."""
        self.queue.append(PortChanged(at[0], replace(port(at[1]), up=up), gone=False))


def immediately(work: Callable[[], None], *, after: float = 0.0) -> None:  # noqa: ARG001
    """Run beside the owner what can be run at once."""
    work()


def port(number: int) -> SwitchPort:
    """A port that is up."""
    return SwitchPort(number, f"p{number}", "02:00:00:00:00:01", up=True)


def arp(la: IPv4Address) -> bytes:
    """A gratuitous ARP of the host with this LA."""
    mac = (0x020000000000 | int(la) & 0xFFFF).to_bytes(6)
    head = bytes.fromhex("ffffffffffff") + mac + bytes.fromhex("08060001080006040001")
    return head + mac + la.packed + bytes(6) + la.packed


@pytest.fixture(params=[math.inf, 0.0], ids=["at once", "in slices"])
def diamond(request: pytest.FixtureRequest) -> Diamond:
    """A fabric at rest, decided for in one go, or for one switch at a time."""
    diamond = Diamond(request.param)
    assert len(diamond.fabric.links()) == len(CABLES)
    assert diamond.right()
    assert not diamond.underlay.rolling
    return diamond


def test_a_failure_is_repaired_at_once(diamond: Diamond) -> None:
    """Next hops that are gone are taken away from all switches without waiting for any."""
    for switch in diamond.switches.values():
        switch.prompt = False
    diamond.port_is((LEFT, 1), up=False)
    diamond.settle()
    assert diamond.right(LEFT)
    assert diamond.switches[LEFT].unconfirmed


def test_a_new_way_waits_for_the_switches_on_it(diamond: Diamond) -> None:
    """Who enters by a tag does so when the tag's switches have confirmed, and not before."""
    diamond.switches[UPPER].prompt = False
    diamond.underlay.order(PolicyChosen("vlb"))
    diamond.settle()
    assert diamond.right(UPPER, LOWER)
    assert not diamond.right(LEFT)
    assert diamond.underlay.rolling
    diamond.switches[UPPER].confirm()
    diamond.settle()
    assert diamond.right()
    assert not diamond.underlay.rolling


def test_nobody_is_waited_for_for_ever(diamond: Diamond, monkeypatch: pytest.MonkeyPatch) -> None:
    """A switch that does not answer holds an update up for a bounded time, and then all others get theirs."""
    now = module.time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    diamond.switches[UPPER].prompt = False
    diamond.underlay.order(PolicyChosen("vlb"))
    diamond.settle()
    assert not diamond.right()
    now += PATIENCE + 0.1
    diamond.settle()
    assert diamond.right()


def test_who_is_gone_is_not_waited_for(diamond: Diamond) -> None:
    """A switch whose session has ended holds nothing up."""
    diamond.switches[UPPER].prompt = False
    diamond.queue.append(SwitchDown(UPPER, diamond.switches[UPPER]))
    diamond.settle()
    diamond.underlay.order(PolicyChosen("vlb"))
    diamond.settle()
    assert diamond.right()


def test_tags_stay_until_nobody_carries_them(diamond: Diamond, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a policy without tags is chosen, they are taken away a while after the last packet could have got one."""
    diamond.underlay.order(PolicyChosen("vlb"))
    diamond.settle()
    now = module.time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    diamond.underlay.order(PolicyChosen("ecmp"))
    diamond.settle()
    assert not diamond.right()
    now += 1.1
    diamond.settle()
    assert diamond.right()


def test_a_drained_switch_carries_nothing(diamond: Diamond) -> None:
    """A switch in maintenance is sent through by no other, and one out of it is again."""
    assert diamond.underlay.carries(UPPER)
    diamond.underlay.order(SwitchMaintained(UPPER, on=True))
    diamond.settle()
    assert not diamond.underlay.carries(UPPER)
    with pytest.raises(Conflict, match=r"10\.0\.1\.11"):
        diamond.underlay.order(SwitchMaintained(LEFT, on=True))
    diamond.underlay.order(SwitchMaintained(UPPER, on=False))
    diamond.settle()
    assert diamond.underlay.carries(UPPER)


def test_a_preview_changes_nothing(diamond: Diamond) -> None:
    """What an order would change is told for each switch, and neither fabric nor switches change."""
    before = dict(diamond.underlay._held)
    told = diamond.underlay.preview(LinkTuned(PortRef(LEFT, 1), weight=7))
    assert {each.datapath_id for each in told} == {LEFT, UPPER, RIGHT}
    assert diamond.underlay._held == before
    assert diamond.right()
    assert diamond.underlay.documents()[-1].kind != "tuning"


def test_a_forgotten_switch_is_let_go(diamond: Diamond) -> None:
    """Nothing is kept of a switch that the operator took away."""
    diamond.queue.append(SwitchDown(UPPER, diamond.switches[UPPER]))
    diamond.settle()
    diamond.underlay.order(SwitchForgotten(UPPER))
    diamond.settle()
    assert UPPER not in diamond.underlay.channels
    assert diamond.right(LEFT, LOWER, RIGHT)


@given(st.lists(st.tuples(st.integers(0, 7), st.booleans(), st.integers(0, 8)), max_size=8))
@settings(max_examples=100, deadline=None)
@example([(4, True, 0), (5, True, 2), (6, True, 4)])
def test_what_changes_between_slices_is_not_missed(changes: list[tuple[int, bool, int]]) -> None:
    """Whenever ports go and come while others are still decided for, all switches end up with what they should hold."""
    diamond = Diamond(hold=0.0)
    for number, up, turns in changes:
        if number < len(CABLES):
            for end in CABLES[number]:
                diamond.port_is(end, up=up)
        else:  # a port that leads nowhere comes or goes: no route has to do with it, but flows have
            at = DatapathId(number - len(CABLES) + 1)
            diamond.queue.append(PortChanged(at, port(4), gone=not up))
        for _ in range(turns):
            diamond.turn()
    diamond.settle()
    assert diamond.right()
    assert not diamond.underlay.rolling
    for switch, routes in diamond.underlay._held.items():
        held = diamond.underlay._programs[switch]
        assert held.flows == program(diamond.fabric, switch, held.assignment, routes).flows


def test_a_slice_leaves_the_rest_for_later() -> None:
    """An update that takes long is done a switch at a time, and says so while it is under way."""
    diamond = Diamond(hold=0.0)
    diamond.underlay.order(PolicyChosen("shortest"))
    diamond.turn()
    assert diamond.underlay.rolling
    assert Onward() in diamond.queue
    assert not diamond.right()
    turns = 1
    while not diamond.right():
        diamond.turn()
        turns += 1
    assert turns >= len(diamond.switches)


def test_changes_that_never_cease_do_not_keep_an_update_from_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """When every slice finds the switches changed again, the plan is made in one go after a bounded time."""
    diamond = Diamond(hold=0.0)
    now = module.time.monotonic()
    monkeypatch.setattr(module.time, "monotonic", lambda: now)

    def storm() -> list[str]:
        """Change the policy before every slice; returns which of them the switches have got by the end."""
        got = []
        for number in range(20):
            diamond.underlay.order(PolicyChosen("ecmp" if number % 2 else "vlb"))
            diamond.turn()
            got += [diamond.fabric.policy.name] if not diamond.underlay._found else []
        return got

    assert not storm()
    now += DECIDED_AFTER + 0.1
    assert storm()
