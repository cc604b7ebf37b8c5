"""A session with a real switch: atomic changes, confirmed in order, that leave alone what is not ours."""

from __future__ import annotations

import logging
import signal
import socket
from time import monotonic

import pytest

from controller.events import (
    MessageConfirmed,
    MessageRejected,
    Met,
    Mods,
    PacketArrived,
    PortChanged,
    PortCounters,
    SwitchDown,
    SwitchUp,
)
from overlay.flow import PORT_LOCAL, Bucket, Flow, Group, Meter, Output, Set, ToController, ToGroup, conditions, cookie
from overlay.values import DatapathId

pytestmark = pytest.mark.root


def _flow(number: int, *actions, table: int = 0, goto: int | None = None, meter: int | None = None) -> Flow:
    return Flow(table, 100, conditions({"reg1": number}), cookie(1, number), actions, goto, meter)


def _flows(session) -> set[Flow]:
    return {flow for flow, _ in session.read().flows}


def test_a_switch_that_calls_is_up_with_its_ports(controller, br):
    """After the handshake the owner is told of the switch, its ports and whether they are up."""
    up = controller.of(SwitchUp)
    assert len(up) == 1
    assert up[0].session is br
    assert up[0].datapath_id == br.datapath_id == DatapathId(0xA)
    assert {port.name: port.number for port in up[0].ports if port.number < 100} == {"vl2of0a": 1, "vl2of0b": 2}
    assert all(len(port.hw_addr) == 17 for port in up[0].ports)


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param({"put": (_flow(9, goto=0, table=5),)}, id="a flow that goes back"),
        pytest.param({"put": (_flow(9, Set("arp_op", 2)),)}, id="a field that the packet lacks"),
        pytest.param({"put": (_flow(9, ToController(), meter=77),)}, id="a meter that is not there"),
        pytest.param({"put": (_flow(9, ToGroup(77)),)}, id="a group that is not there"),
        pytest.param({"changed_groups": (Group(78, ()),)}, id="a change of a group that is not there"),
        pytest.param({"put_groups": (Group(5, ()), Group(5, ()))}, id="a group twice"),
    ],
)
def test_one_bad_message_keeps_all_out(controller, br, bad):
    """When the switch refuses one message, nothing of its bundle takes effect and the refusal says why."""
    good = [_flow(n, Output(1)) for n in range(3)]
    mods = {"put": (*good[:2], *bad.get("put", ()), good[2])} | {k: v for k, v in bad.items() if k != "put"}
    ended = controller.send(br, **mods)
    assert isinstance(ended, MessageRejected)
    assert "OFPET_" in ended.reason
    assert _flows(br) == set()
    assert br.read().groups == ()


def test_a_refusal_names_the_flow(controller, br):
    """The reason of a rejection tells table, priority and cookie of the flow that the switch refused."""
    ended = controller.send(br, put=(_flow(1), _flow(9, goto=0, table=5)))
    assert isinstance(ended, MessageRejected)
    assert "table 5, priority 100, cookie 0x564c010000000009" in ended.reason


def test_a_session_works_on_after_a_refusal(controller, br):
    """A rejected send does not disturb those that are under way behind it."""
    br.send(Mods(put=(_flow(9, goto=0, table=5),)), 1)
    br.send(Mods(put=(_flow(1),)), 2)
    assert isinstance(controller.answer(1), MessageRejected)
    assert isinstance(controller.answer(2), MessageConfirmed)
    assert _flows(br) == {_flow(1)}


def test_sends_end_in_their_order(controller, br):
    """Sends under way together take effect and are confirmed in the order in which they were made."""
    meter = Meter(1, 10, 10)
    for ticket in range(1, 31):
        if ticket % 3 == 0:
            br.send(Mods(meters=(meter,)), ticket)
        elif ticket % 3 == 1:
            br.send(Mods(put=(_flow(1, Output(ticket)),)), ticket)
        else:
            br.send(Mods(), ticket)
    controller.answer(30)
    ended = [event.ticket for event in controller.of(MessageConfirmed)]
    assert ended == list(range(1, 31))
    assert _flows(br) == {_flow(1, Output(28))}


def test_groups_and_the_flows_that_need_them_go_together(controller, br):
    """One send can add a group and flows that use it, and another can take both away."""
    group = Group(7, (Bucket((Output(1),), 1, 1), Bucket((Output(2),), 1, 2)))
    flow = _flow(1, ToGroup(7))
    assert isinstance(controller.send(br, put_groups=(group,), put=(flow,)), MessageConfirmed)
    assert br.read().groups == (group,)
    fewer = Group(7, group.buckets[:1])
    assert isinstance(controller.send(br, changed_groups=(fewer,)), MessageConfirmed)
    assert br.read().groups == (fewer,)
    assert isinstance(controller.send(br, remove=(flow,), remove_groups=(7,)), MessageConfirmed)
    assert br.read().groups == ()


def test_a_meter_is_made_once_and_changed_after(controller, br):
    """Sending a meter that exists changes its rate, and the flows that use it stay."""
    flow = _flow(1, ToController(), meter=1)
    controller.send(br, meters=(Meter(1, 10, 5),), put=(flow,))
    ended = controller.send(br, meters=(Meter(1, 20, 6), Meter(2, 1, 1)))
    assert isinstance(ended, MessageConfirmed)
    held = br.read()
    assert held.meters == (Meter(1, 20, 6), Meter(2, 1, 1))
    assert [flow for flow, _ in held.flows] == [flow]


def test_after_a_reading_meters_are_made_and_changed(controller, br):
    """Once the switch was read, a meter that is there is changed and another one is added."""
    controller.send(br, meters=(Meter(1, 10, 5),))
    br.read()
    assert isinstance(controller.send(br, meters=(Meter(1, 20, 5), Meter(2, 1, 1))), MessageConfirmed)
    assert br.read().meters == (Meter(1, 20, 5), Meter(2, 1, 1))


def test_a_meter_that_somebody_took_away_comes_back(switch, controller, br):
    """Its change is rejected, so that the switch is read and compared anew, and then taken."""
    controller.send(br, meters=(Meter(1, 10, 5),))
    br.read()
    switch.ofctl("del-meter", "vl2of0", "meter=1")
    assert isinstance(controller.send(br, meters=(Meter(1, 20, 5),)), MessageRejected)
    assert br.read().meters == ()
    assert isinstance(controller.send(br, meters=(Meter(1, 20, 5),)), MessageConfirmed)
    assert br.read().meters == (Meter(1, 20, 5),)


def test_ports_tell_what_they_carried(switch, controller, until):
    """The counters of a port are those that the switch tells others, and grow by what passes, in bytes too."""
    switch.bridge("vl2of1", 0xB, ("vl2of1a", "vl2of2a"))
    switch.bridge("vl2of2", 0xC, ("vl2of2a", "vl2of1a"))
    try:
        switch.call("vl2of1", controller.address)
        session = controller.session(0xB)
        before = {each.port: each for each in session.port_counters()}
        assert {1, PORT_LOCAL} == before.keys()
        for _ in range(3):
            session.packet_out(1, bytes.fromhex("ffffffffffff 020000000001 88b5") + bytes(86))

        def carried() -> PortCounters | None:
            counters = {each.port: each for each in session.port_counters()}
            return counters[1] if counters[1].tx_packets - before[1].tx_packets == 3 else None

        after = until(carried)
        assert after.tx_bytes - before[1].tx_bytes == 300
        told = switch.ofctl("dump-ports", "vl2of1", "1")
        assert f"tx pkts={after.tx_packets}, bytes={after.tx_bytes}," in told
        assert f"rx pkts={after.rx_packets}, bytes={after.rx_bytes}," in told
    finally:
        switch.vsctl("del-br", "vl2of1", "--", "del-br", "vl2of2")


def test_flows_tell_the_bytes_that_they_met(switch, controller, br, until):
    """Of the flows of one kind, each tells how many bytes it has met; those of other kinds are not asked."""
    counting = Flow(0, 100, conditions({"eth_type": 0x0800}), cookie(0x90, 7), (Output(2),))
    other = Flow(0, 100, conditions({"eth_type": 0x88B5}), cookie(0x91, 7), (Output(2),))
    controller.send(br, put=(counting, other))
    assert br.flow_bytes(0x90) == {counting.key: 0}
    header = "4500 0056 0000 0000 4011 0000 0a000001 0a000002 1000 12b5 0042 0000"
    frame = bytes.fromhex(f"020000000002 020000000001 0800 {header}") + bytes(58)
    for _ in range(3):
        switch.ofctl("packet-out", "vl2of0", f"in_port=1,packet={frame.hex()},actions=resubmit(,0)")
    until(lambda: br.flow_bytes(0x90) == {counting.key: 3 * len(frame)})


def test_flows_of_one_cookie_tell_together_what_they_met(switch, controller, br, until):
    """The flows with a cookie tell how many packets and bytes they have met in all; a cookie without flows, none."""
    kinds = (conditions({"eth_type": 0x0800}), conditions({"eth_type": 0x88B5}))
    flows = [Flow(0, 100, match, cookie(0x92, 7), ()) for match in kinds]
    controller.send(br, put=(*flows, Flow(0, 99, conditions({}), cookie(0x92, 8), ())))
    for kind in ("0800", "88b5", "88b5", "88b6"):
        frame = f"020000000002020000000001{kind}" + bytes(50).hex()
        switch.ofctl("packet-out", "vl2of0", f"in_port=1,packet={frame},actions=resubmit(,0)")
    asked = (cookie(0x92, 7), cookie(0x92, 8), cookie(0x92, 9))
    until(lambda: br.met_of(asked) == (Met(3, 192), Met(1, 64), Met(0, 0)))


def test_foreign_flows_are_neither_seen_nor_removed(switch, controller, br):
    """A flow without our mark is not read, not counted, and survives the removal of our flow of the same key."""
    switch.ofctl("add-flow", "vl2of0", "table=0,priority=100,cookie=0x1234,reg1=1,actions=drop")
    controller.send(br, put=(_flow(2),))
    controller.send(br, remove=(_flow(1), _flow(2)))
    assert _flows(br) == set()
    assert br.count() == 0
    left = switch.ofctl("dump-flows", "vl2of0", "--no-stats")
    assert "cookie=0x1234, priority=100,reg1=0x1 actions=drop" in left


def test_flows_that_we_never_make_do_not_spoil_a_reading(switch, controller, br, caplog):
    """A flow with our mark but strange actions is read as different; one with a strange match is passed over."""
    mark = "cookie=0x564c010000000063"
    switch.ofctl("add-flow", "vl2of0", f"{mark},table=0,priority=100,reg1=2,actions=push_vlan:0x8100,output:1")
    switch.ofctl("add-flow", "vl2of0", f"{mark},table=0,priority=100,ip,nw_ttl=5,actions=drop")
    controller.send(br, put=(_flow(1),))
    with caplog.at_level(logging.WARNING):
        read = {flow.key: flow for flow, _ in br.read().flows}
    assert set(read) == {_flow(1).key, _flow(2).key}
    assert read[_flow(1).key] == _flow(1)
    assert read[_flow(2).key].actions != ()
    assert "cannot have made" in caplog.text


@pytest.mark.parametrize(
    "choice",
    [
        "",
        "selection_method=hash,",
        "selection_method=dp_hash,selection_method_param=0x100000000,",
        "selection_method=hash,fields=udp_src,",
    ],
)
def test_a_group_that_chooses_otherwise_is_seen_to_differ(switch, controller, br, choice):
    """A group of the same buckets that somebody else lets choose in another way is read as different, and mended."""
    group = Group(7, (Bucket((Output(1),), 1, 1), Bucket((Output(2),), 1, 2)))
    buckets = ",".join(f"bucket=weight:1,watch_port:{n},actions=output:{n}" for n in (1, 2))
    switch.ofctl("add-group", "vl2of0", f"group_id=7,type=select,{choice}{buckets}")
    (read,) = br.read().groups
    assert read.buckets == group.buckets
    assert read != group
    controller.send(br, changed_groups=(group,))
    assert br.read().groups == (group,)


@pytest.mark.parametrize("lane", [0, 65000])
def test_a_packet_of_a_tunnel_comes_in_with_its_registers(switch, controller, br, until, lane):
    """A packet is handed over with its flow's cookie and its lane, whatever registers and metadata were set before."""
    sets = (
        Set("reg1", 70),
        Set("reg2", lane),
        Set("reg3", 5),
        Set("metadata", 9),
        Set("tunnel_id", 70),
        Set("tun_ipv4_dst", 1),
    )
    flow = Flow(0, 1, conditions({"eth_type": 0x8035}), cookie(3, 6), (*sets, ToController()))
    controller.send(br, put=(flow,))
    frame = bytes.fromhex("ffffffffffff 020000000001 8035") + bytes(46)
    switch.ofctl("packet-out", "vl2of0", f"in_port=1,packet={frame.hex()},actions=resubmit(,0)")
    (packet,) = until(lambda: controller.of(PacketArrived))
    assert packet == PacketArrived(DatapathId(0xA), 1, cookie(3, 6), frame, lane)


def test_a_packet_goes_out_and_comes_in(switch, controller, br, until):
    """A frame that is emitted from a port of one switch arrives, whole, at the controller of the next."""
    switch.bridge("vl2of1", 0xB, ("vl2of1a", "vl2of0a"))
    switch.vsctl("set", "interface", "vl2of0a", "options:peer=vl2of1a")
    switch.call("vl2of1", controller.address)
    try:
        other = controller.session(0xB)
        controller.send(other, put=(Flow(0, 1, conditions({"eth_type": 0x88CC}), cookie(3, 5), (ToController(),)),))
        frame = bytes.fromhex("0180c200000e 020000000001 88cc") + bytes(range(256)) * 4

        def arrived():
            br.packet_out(1, frame)
            return controller.of(PacketArrived)

        packet = until(arrived)[0]
        assert packet == PacketArrived(DatapathId(0xB), 1, cookie(3, 5), frame)
        assert [packets > 0 for _, packets in other.read().flows] == [True]
    finally:
        switch.vsctl("del-br", "vl2of1")


@pytest.mark.usefixtures("br")
def test_ports_that_come_and_go_are_told(switch, controller, until):
    """A port that is added, set down or removed is an event with its state."""
    switch.vsctl(
        "add-port", "vl2of0", "vl2of0c", "--", "set", "interface", "vl2of0c", "type=internal", "ofport_request=9"
    )
    came = until(lambda: [e for e in controller.of(PortChanged) if e.port.number == 9])
    assert came[0].port.name == "vl2of0c"
    assert not came[0].gone
    switch.ofctl("mod-port", "vl2of0", "vl2of0c", "down")
    until(lambda: [e for e in controller.of(PortChanged) if e.port.number == 9 and not e.port.up])
    switch.vsctl("del-port", "vl2of0c")
    until(lambda: [e for e in controller.of(PortChanged) if e.port.number == 9 and e.gone])


def test_a_new_session_finds_what_the_old_one_left(controller, another_controller, switch, br):
    """After its controller is gone and back, a switch still holds the same flows, and nothing was sent to it."""
    flows = {_flow(n, Output(1)) for n in range(50)}
    controller.send(br, put=tuple(flows))
    assert br.sent.flow_mods == 50
    controller.stop()
    successor = another_controller()
    switch.call("vl2of0", successor.address)
    session = successor.session(0xA)
    assert _flows(session) == flows
    assert session.sent.flow_mods == successor.tally.total.flow_mods == 0


def test_a_switch_that_is_killed_and_started_is_down_and_up(controller, switch, br, until):
    """The end of a switch is told at once, and its return is a new session."""
    controller.send(br, put=(_flow(1),))
    switch.kill()
    down = until(lambda: controller.of(SwitchDown))
    assert down == [SwitchDown(DatapathId(0xA), br)]
    with pytest.raises(TimeoutError):
        br.read()
    br.send(Mods(put=(_flow(2),)), 1)
    switch.start()
    until(lambda: len(controller.of(SwitchUp)) == 2)
    session = controller.session(0xA)
    assert session is not br
    assert _flows(session) == set()
    assert controller.tally.per_datapath[DatapathId(0xA)].flow_mods == 1


@pytest.mark.usefixtures("br")
def test_a_switch_that_falls_silent_is_given_up(controller, switch, until):
    """A peer that does not answer echo requests, though its connection stands, is down within 10 s."""
    switch.kill(signal.SIGSTOP)
    try:
        until(lambda: controller.of(SwitchDown), 10)
    finally:
        switch.kill(signal.SIGCONT)
    until(lambda: len(controller.of(SwitchUp)) == 2)


def test_a_second_switch_of_one_id_takes_its_place(controller, switch, br, until):
    """The newer of two connections with one datapath id counts; the former is told to be down, by its session."""
    switch.bridge("vl2of1", 0xA)
    try:
        switch.call("vl2of1", controller.address)
        down = until(lambda: controller.of(SwitchDown))
        assert down[0].session is br
        newer = next(e.session for e in controller.of(SwitchUp) if e.session is not br)
        kinds = [type(e) for e in controller.events if isinstance(e, SwitchUp | SwitchDown)]
        assert kinds[:3] == [SwitchUp, SwitchDown, SwitchUp]
        assert newer.datapath_id == 0xA
    finally:
        switch.vsctl("del-br", "vl2of1")


def test_a_closed_session_comes_back(controller, br, until):
    """When we end a connection, the switch calls again."""
    br.close()
    until(lambda: controller.of(SwitchDown))
    until(lambda: len(controller.of(SwitchUp)) == 2)


def test_a_listener_that_raises_ends_nothing(controller, br, monkeypatch, caplog):
    """An error in what handles an event is logged; later events are still handled."""
    heard = controller.hear

    def stumble(event):
        if getattr(event, "ticket", None) == 1:
            raise RuntimeError("stumbled")
        heard(event)

    monkeypatch.setattr(br, "_sink", stumble)
    br.send(Mods(put=(_flow(1),)), 1)
    br.send(Mods(put=(_flow(2),)), 2)
    controller.answer(2)
    assert "stumbled" in caplog.text
    assert _flows(br) == {_flow(1), _flow(2)}


def test_sending_never_waits_for_the_switch(controller, switch, br, until):
    """A big send returns at once, though the switch takes nothing; it is confirmed when the switch goes on."""
    many = tuple(_flow(n, Output(1), Set("reg2", n)) for n in range(20_000))
    switch.kill(signal.SIGSTOP)
    try:
        before = monotonic()
        br.send(Mods(put=many), 1)
        br.packet_out(1, bytes(60))
        assert monotonic() - before < 0.1
        until(br._outbox.empty)
        br.send(Mods(), 2)
    finally:
        switch.kill(signal.SIGCONT)
    assert isinstance(controller.answer(1), MessageConfirmed)
    assert isinstance(controller.answer(2), MessageConfirmed)
    assert br.count() == len(many)
    assert _flows(br) == set(many)


def test_strangers_do_no_harm(controller, switch, br, until, caplog):
    """A peer that talks no OpenFlow is given up, one of another version is turned away; switches still can call."""
    host, port = controller.address
    for talk in (b"GET / HTTP/1.1\r\n\r\n", bytes(8), bytes.fromhex("06000008 00000001 06060008 00000002"), b"\x06"):
        with socket.create_connection((host, port)) as stranger:
            stranger.sendall(talk)
    switch.bridge("vl2of1", 0xB)
    try:
        switch.vsctl("set", "bridge", "vl2of1", "protocols=OpenFlow13,OpenFlow14")
        switch.call("vl2of1", controller.address)
        until(lambda: "version" in caplog.text)
        switch.vsctl("set", "bridge", "vl2of1", "protocols=OpenFlow13,OpenFlow15")
        controller.session(0xB)
    finally:
        switch.vsctl("del-br", "vl2of1")
    assert isinstance(controller.send(br, put=(_flow(1),)), MessageConfirmed)
