"""What a VM sends is counted against its port's rate, whatever it sends and wherever it goes."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from overlay.changes import BindPassive, CreateNetwork, CreatePort, CreateSubnet, DeletePort, Unplugged
from overlay.compile import Compiler, meters_of, units_of
from overlay.flow import Flow, FlowKey, Meter, MeterUnit
from overlay.pipeline import METERS, PIPELINE
from overlay.qos.meters import bandwidth
from overlay.qos.values import BandwidthLimit
from overlay.tables.names import ASKING_METERS, SENDING_METERS
from overlay.values import HostName, Mac, Vni
from overlay.world import Settings
from tests.model.lab import TUNNEL, Lab

H1, H2 = HostName("h1"), HostName("h2")


def build(rate: int) -> Lab:
    """Two hosts with a port each, and a third port that is about to move to h1."""
    it = Lab(2, Settings(port_rate_kbps=rate, storm_pps=0))
    it.do(CreateNetwork("net", "p", vni=Vni(100)), CreateSubnet("four", "p", "net", ip_network("10.0.0.0/24")))
    for number, (name, host) in enumerate((("a", H1), ("b", H2), ("c", H2)), start=1):
        it.do(CreatePort(name, "p", "net", mac=Mac(0x02_00_00_00_00_00 + number), host=host))
        it.plug(host, name)
    it.do(BindPassive("c", H1))
    it.plug(H1, "c")
    return it


def first_flows(lab: Lab, host: HostName) -> dict[int, Flow]:
    """The flows that frames of taps meet first, by OpenFlow port; those with a tag of nobody's end at once."""
    found = {}
    for flow in lab.installed[host].values():
        match = {condition.field: condition.value for condition in flow.match}
        if flow.table == PIPELINE["classify"].id and match["in_port"] != TUNNEL and flow.goto:
            found[match["in_port"]] = flow
    return found


def taps_meters(lab: Lab, host: HostName) -> set[int]:
    """The meters that taps have at a host."""
    return {meter.meter_id for meter in lab.compiler.meters(host)} - {meter.meter_id for meter in METERS}


def test_every_tap_has_a_meter_of_its_own() -> None:
    """With a rate each tap's first flow, also a passive port's, goes through a meter of its own; no other flow does."""
    lab = build(20_000)
    flows = first_flows(lab, H1)
    assert {ofport: flow.meter for ofport, flow in flows.items()} == {2: SENDING_METERS + 2, 3: SENDING_METERS + 3}
    assert lab.meters[H1] == {meter.meter_id: meter for meter in meters_of(lab.world, H1)}
    assert lab.meters[H1][SENDING_METERS + 2] == Meter(SENDING_METERS + 2, 20_000, 5_000, MeterUnit.KILOBITS)
    others = set(lab.installed[H1].values()) - set(flows.values())
    assert not {flow.meter for flow in others} & {flow.meter for flow in flows.values()}


def test_without_a_rate_the_flows_are_as_ever() -> None:
    """A rate changes the meter of the taps' first flows and nothing else, and without one there is no meter."""
    plain, limited = build(0), build(20_000)
    for host in (H1, H2):
        assert all(flow.meter is None for flow in first_flows(plain, host).values())
        assert all(number >= ASKING_METERS for number in taps_meters(plain, host))
        bare: dict[FlowKey, Flow] = dict(limited.installed[host])
        for flow in first_flows(limited, host).values():
            bare[flow.key] = Flow(flow.table, flow.priority, flow.match, flow.cookie, flow.actions, flow.goto)
        assert bare == plain.installed[host]


def test_what_is_put_brings_its_meters_along() -> None:
    """A compilation in portions hands out with the flows exactly the meters that the host needs for them."""
    lab = build(1_000)
    fresh = Compiler(lab.world)
    for delta in fresh.refresh(units_of(lab.world, [H1])).values():
        assert {*METERS, *delta.meters} == set(fresh.meters(H1))


def test_a_port_that_went_needs_no_meter() -> None:
    """Unplugged and deleted ports leave the list of meters that a host has to have."""
    lab = build(1_000)
    lab.do(Unplugged(H1, "a"))
    assert taps_meters(lab, H1) == {SENDING_METERS + 3, ASKING_METERS + 3}
    lab.do(DeletePort("c"))
    assert lab.compiler.meters(H1) == METERS
    assert lab.compiler.meters(HostName("nowhere")) == METERS


@pytest.mark.parametrize(("kbps", "burst"), [(64, 600), (2_400, 600), (2_404, 601), (400_000_000, 100_000_000)])
def test_a_burst_is_a_quarter_of_a_second_and_holds_a_segment(kbps: int, burst: int) -> None:
    """A port may send 1/4 s at once, and never less than a segment of 64 KiB with its headers."""
    meter = bandwidth(7, BandwidthLimit("", kbps))
    assert meter is not None
    assert meter.burst == burst
    assert burst * 1000 >= (65_536 + 14 + 3 * 1_514) * 8
