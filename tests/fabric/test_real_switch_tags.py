"""Does Open vSwitch follow locator tags, take them off at their end, and send a packet back where it came from?"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from controller.events import Mods
from controller.fabric.graph import Fabric
from controller.fabric.groups import GroupAssignment
from controller.fabric.pipeline import mac_of_tag
from controller.fabric.plan import ROUTER_MAC
from controller.fabric.policies import ANYCAST, POLICIES
from controller.fabric.program import program
from controller.reconcile import Contents, difference
from overlay.values import DatapathId, Mac

from . import graphs
from .test_real_switch import Switch, outcome, packet

pytestmark = pytest.mark.root

TOR, TOP = DatapathId(100), DatapathId(300)
HASHES = range(1, 17)


@pytest.fixture(scope="module")
def fabric() -> Fabric:
    """The default VL2 network, in which every flow bounces off an intermediate switch."""
    return graphs.build(graphs.vl2(), policy=POLICIES["vlb"])


@pytest.fixture(scope="module", params=[TOR, TOP], ids=["tor", "intermediate"])
def switch(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, fabric: Fabric
) -> Iterator[tuple[DatapathId, Switch]]:
    """A real switch that holds the program of a ToR or of an intermediate switch."""
    switch = Switch(tmp_path_factory.mktemp("ovs"))
    try:
        switch.start(4)
        switch.load(program(fabric, request.param, GroupAssignment()))
        yield request.param, switch
    finally:
        switch.stop()


def left_by(trace: str) -> str:
    """Read the port that a packet leaves by."""
    return re.findall(r"output:(\d+)", trace)[-1]


def to(trace: str) -> str:
    """Read the destination MAC that a packet leaves with."""
    return re.findall(r"[(,]dst=([0-9a-f:]+)", outcome(trace))[0]


def test_tags_are_held_as_they_were_sent(switch: tuple[DatapathId, Switch], fabric: Fabric) -> None:
    """What Open vSwitch reports of a program with tags equals the program, and its groups are recognised."""
    datapath_id, real = switch
    installed = real.read()
    previous = GroupAssignment.from_installed((flow for flow, _ in installed.flows), installed.groups)
    wanted = program(fabric, datapath_id, previous)
    assert previous == wanted.assignment
    assert difference(Contents.of(installed), Contents(wanted.flows, wanted.groups, wanted.meters)) == Mods()


def test_a_packet_that_enters_is_tagged_and_one_that_bounces_may_go_back(switch: tuple[DatapathId, Switch]) -> None:
    """A ToR tags what its host sends, even to a rack beside it; the top sends it down by any way, also back."""
    datapath_id, real = switch
    if datapath_id == TOR:
        traces = [real.trace(packet("10.0.2.11", 3, dp_hash=number)) for number in HASHES]
        assert {to(trace) for trace in traces} == {str(Mac(mac_of_tag(ANYCAST)))}
        assert {left_by(trace) for trace in traces} == {"1", "2"}
        return
    tagged = packet("10.0.1.11", 1).replace(str(ROUTER_MAC), str(Mac(mac_of_tag(ANYCAST))))
    traces = [real.trace(tagged.replace("dp_hash=0x0", f"dp_hash={number:#x}")) for number in HASHES]
    assert {to(trace) for trace in traces} == {str(ROUTER_MAC)}
    assert {left_by(trace) for trace in traces} == {"1", "2"}  # 1 is where it came from


def test_a_host_cannot_tag(switch: tuple[DatapathId, Switch]) -> None:
    """A packet with a tag is dropped where it comes from a host, and one with a tag that nobody gave everywhere."""
    datapath_id, real = switch
    port, tag = (3, ANYCAST) if datapath_id == TOR else (1, 12345)
    assert outcome(real.trace(packet("10.0.2.11", port).replace(str(ROUTER_MAC), str(Mac(mac_of_tag(tag)))))) == "drop"
