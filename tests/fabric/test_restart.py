"""Does a restarted controller know what it knew, and find nothing to send?"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.events import PortChanged
from controller.fabric import documents
from controller.fabric.changes import (
    FabricChange,
    HostSighted,
    LinkSeen,
    LinkTuned,
    PolicyChosen,
    SwitchConnected,
    SwitchDisconnected,
    SwitchForgotten,
    SwitchMaintained,
    Tick,
)
from controller.fabric.graph import Fabric
from controller.fabric.groups import GroupAssignment
from controller.fabric.plan import LaPlan, PortRef
from controller.fabric.policies import POLICIES
from controller.fabric.program import program
from controller.fabric.routes import COST, PORTS
from overlay.changes import Document
from overlay.refusals import Refusal
from overlay.values import DatapathId, Mac

from . import graphs
from .graphs import ports

NOTHING = GroupAssignment()
switches = st.integers(1, 3).map(DatapathId)
ends = st.builds(PortRef, switches, st.integers(1, 3))
numbers = st.sets(st.integers(1, 3)).map(lambda chosen: ports(*sorted(chosen)))
changes = st.one_of(
    st.builds(SwitchConnected, switches, numbers),
    st.builds(SwitchDisconnected, switches),
    st.builds(SwitchForgotten, switches),
    st.builds(
        lambda at, up, gone: PortChanged(at.datapath_id, ports(at.port, up=up)[0], gone),
        ends,
        st.booleans(),
        st.booleans(),
    ),
    st.builds(LinkSeen, ends, ends),
    st.builds(
        HostSighted,
        st.integers(0x0A00010A, 0x0A00010D).map(IPv4Address),
        st.integers(2, 4).map(Mac),
        ends,
    ),
    st.builds(Tick),
    st.builds(PolicyChosen, st.sampled_from([*POLICIES, "none"]), st.integers(0, 3)),
    st.builds(SwitchMaintained, switches, st.booleans(), st.booleans()),
    st.builds(
        LinkTuned,
        ends,
        st.sampled_from([None, None, 0, 1, 7]),
        st.sampled_from([None, None, 0, 10, 1000]),
        st.sampled_from([None, True, False]),
        st.booleans(),
    ),
)
histories = st.lists(st.tuples(changes, st.sampled_from([0.0, 1.0, 20.0])), max_size=40)


class Store:
    """Keeps documents as a store does."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], Document] = {}

    def put(self, written: Iterable[Document]) -> None:
        """Commit what a change wrote."""
        for document in written:
            if document.body is None:
                self.kept.pop((document.kind, document.id), None)
            else:
                self.kept[document.kind, document.id] = document


def live(history: list[tuple[FabricChange, float]], *, routing: bool = False) -> tuple[Fabric, Store, float]:
    """Let a history happen to three switches that are connected and wired in a triangle.

    With ``routing``, all routes are asked for after each change, as a controller does.
    """
    fabric, store, now = Fabric(LaPlan(), hold=15.0), Store(), 0.0
    start: list[FabricChange] = [SwitchConnected(DatapathId(n), ports(1, 2, 3)) for n in (1, 2, 3)]
    for near, far in ((1, 2), (2, 3), (3, 1)):
        there, back = PortRef(DatapathId(near), 1), PortRef(DatapathId(far), 2)
        start += [LinkSeen(there, back), LinkSeen(back, there)]
    for change, later in [*((change, 0.0) for change in start), *history]:
        now += later
        try:
            store.put(fabric.apply(change, now).documents)
        except Refusal:
            assert isinstance(change, SwitchForgotten | PolicyChosen | SwitchMaintained | LinkTuned)
        if routing:
            for switch in fabric.switches:
                fabric.routes.towards(switch)
    return fabric, store, now


def edges(fabric: Fabric) -> dict[frozenset[DatapathId], dict[DatapathId, tuple[int, ...]]]:
    """Give the graph in a form that compares."""
    assert set(fabric.graph) == set(fabric.switches)
    for near, far, cost in fabric.graph.edges(data=COST):
        assert cost == min(
            fabric.upkeep.cost(link, fabric.damped)
            for link in fabric.links()
            if {end.datapath_id for end in link} == {near, far}
        )
    return {frozenset((near, far)): ports for near, far, ports in fabric.graph.edges(data=PORTS)}


@settings(max_examples=200)
@given(histories)
def test_the_graph_is_what_the_cables_say(history: list) -> None:
    """After any history, the graph that was kept up to date equals the one made from all usable links at once."""
    fabric, _, _ = live(history)
    found: dict = {}
    for link in fabric.links():
        ends = {end.datapath_id for end in link}
        if len(ends) > 1 and fabric.upkeep.cost(link, fabric.damped) == fabric.graph.edges[tuple(ends)][COST]:
            edge = found.setdefault(frozenset(end.datapath_id for end in link), {})
            for end in link:
                edge[end.datapath_id] = tuple(sorted((*edge.get(end.datapath_id, ()), end.port)))
    assert edges(fabric) == found


@settings(max_examples=200)
@given(histories)
def test_routes_that_followed_are_those_from_scratch(history: list) -> None:
    """After any history, the next hops that were kept and repaired equal those that the graph has."""
    fabric, _, _ = live(history, routing=True)
    for switch in fabric.switches:
        assert fabric.routes.towards(switch) == fabric.policy.hops(fabric.graph, switch)


@settings(max_examples=200)
@given(histories)
def test_nobody_is_on_a_cable_between_switches(history: list) -> None:
    """After any history, no host is believed to be behind a port that has a cable to a switch."""
    fabric, _, _ = live(history)
    assert not any(host.at in fabric.cables for host in fabric.sightings.values())


@settings(max_examples=200)
@given(histories)
def test_an_effect_names_every_switch_whose_program_changes(history: list) -> None:
    """Unless all routes may have changed, the programs of all switches that are not named are as before."""
    fabric, _, now = live(history[:-1])
    before = {switch: program(fabric, switch, NOTHING) for switch in fabric.switches}
    for change, later in history[-1:]:
        try:
            effect = fabric.apply(change, now + later)
        except Refusal:
            continue
        for switch in fabric.switches:
            if not effect.routes and switch not in effect.switches:
                assert program(fabric, switch, NOTHING) == before[switch]


@settings(max_examples=200)
@given(st.lists(st.tuples(changes, st.sampled_from([0.0, 1.0, 20.0]), st.booleans()), max_size=30))
def test_compiling_what_is_named_is_compiling_all(history: list) -> None:
    """An owner that, now and then, compiles just the switches that were named since, ends with every right program."""
    fabric, _, now = live([])
    programs = {switch: program(fabric, switch, NOTHING) for switch in fabric.switches}
    dirty: set[DatapathId] = set()
    for change, later, flush in [*history, (Tick(), 0.0, True)]:
        now += later
        try:
            effect = fabric.apply(change, now)
        except Refusal:
            continue
        dirty |= effect.switches | (fabric.switches.keys() if effect.routes else set())
        if flush:
            programs |= {switch: program(fabric, switch, NOTHING) for switch in dirty & fabric.switches.keys()}
            dirty.clear()
    wanted = {switch: program(fabric, switch, NOTHING) for switch in fabric.switches}
    assert {switch: programs[switch] for switch in fabric.switches} == wanted


@settings(max_examples=200)
@given(histories)
def test_a_restarted_controller_starts_from_what_it_knew(history: list) -> None:
    """From the documents of any history comes a fabric with the same graph, hosts and programs."""
    fabric, store, now = live(history)
    again = Fabric.restore(store.kept.values(), LaPlan(), now)
    assert edges(again) == edges(fabric)
    assert again.sightings == fabric.sightings
    assert again.located == fabric.located
    for switch in fabric.switches:
        assert program(again, switch, NOTHING) == program(fabric, switch, NOTHING)


def test_what_was_restored_is_assumed_until_it_is_seen() -> None:
    """Restored links and hosts are marked as assumed, and not any more once they were seen."""
    wiring = graphs.ring(3)
    fabric = graphs.build(wiring)
    written = [
        *(documents.of_switch(s.datapath_id, s.ports.values()) for s in fabric.switches.values()),
        *map(documents.of_link, fabric.cables),
        *map(documents.of_sighting, fabric.sightings.values()),
        Document("port", "of a tenant", {}),
        documents.no_switch(DatapathId(9)),
    ]
    again = Fabric.restore(written, LaPlan(), 100.0)
    assert all(cable.assumed for cable in again.cables)
    assert again.assumed == set(wiring.hosts)
    for switch, present in wiring.switches().items():
        assert not again.apply(SwitchConnected(switch, present), 101.0)
    (near, far), *_ = wiring.cables
    assert not again.apply(LinkSeen(near, far), 102.0)
    assert not again.cables.get(near).assumed
    la, at = next(iter(wiring.hosts.items()))
    assert not again.apply(HostSighted(la, graphs.mac_of(la), at), 102.0)
    assert la not in again.assumed


def test_assumed_links_are_given_up_only_after_the_switches_are_back() -> None:
    """A restored link waits for both its switches, and then for the hold time."""
    wiring = graphs.ring(3)
    fabric = graphs.build(wiring)
    written = [
        *(documents.of_switch(s.datapath_id, s.ports.values()) for s in fabric.switches.values()),
        *map(documents.of_link, fabric.cables),
    ]
    again = Fabric.restore(written, LaPlan(), 0.0, hold=15.0)
    assert not again.apply(Tick(), 1000.0)
    for switch, present in wiring.switches().items():
        again.apply(SwitchConnected(switch, present), 1000.0)
    assert not again.apply(Tick(), 1015.0)
    assert again.apply(Tick(), 1015.1)
    assert not again.graph.edges


def test_another_plan_forgets_hosts_that_it_does_not_admit() -> None:
    """A host whose LA is no LA any more, since the supernet was changed, is not restored; nor a cable to nowhere."""
    fabric = graphs.build(graphs.ring(3))
    written = [*map(documents.of_sighting, fabric.sightings.values()), *map(documents.of_link, fabric.cables)]
    again = Fabric.restore(written, LaPlan(IPv4Network("192.168.0.0/16")), 0.0)
    assert not again.sightings
    assert again.apply(Tick(), 0.0).documents
