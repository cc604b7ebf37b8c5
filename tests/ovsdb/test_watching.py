"""What becomes of a fabric switch that calls, and of its interfaces?"""

import pytest

from controller.events import FabricReachable, FabricUnreachable
from controller.ovsdb.join import FabricJoin, JoinError, read_join, read_requests
from overlay.values import DatapathId

A, B = DatapathId(1), DatapathId(2)
NONE = frozenset[str]()


def call(switch, server, datapath_id=A, *interfaces):
    """The two commands of a fabric switch's operator, on a bridge that its ovs-vswitchd has made."""
    switch.vsctl("add-br", "br0", "--", "set", "Bridge", "br0", f'datapath_id="{datapath_id}"')
    for interface in interfaces:
        switch.vsctl("add-port", "br0", interface)
    switch.vsctl("set", "Open_vSwitch", ".", "external_ids:vl2-fabric=br0")
    switch.call(server)


def says(switch, interface="e1"):
    """What ovs-vswitchd is told about an interface's liveness, and how far we have come with it."""
    row = switch.row("Interface", interface)
    return row["bfd"], row["cfm_mpid"], row["other_config"], row["external_ids"]


BFD = {"enable": "true", "min_tx": "60", "min_rx": "60"}
GUARD = {"cfm_extended": "true", "cfm_interval": "1500"}


def test_a_life(make_hypervisor, server, recorder, until):
    """BFD starts with a guard, goes on without it when the session is up, and leaves nothing behind."""
    switch = make_hypervisor(switch=False)
    call(switch, server, A, "e1", "e2")
    (reachable,) = until(lambda: recorder.of(FabricReachable))
    assert reachable.datapath_id == A
    assert server.hosts() == (), "it is no hypervisor"
    assert switch.written() == 0, "nothing is written before the owner says so"

    reachable.session.watch(frozenset({"e1"}), NONE)
    until(lambda: says(switch) == (BFD, 1, GUARD, {"vl2-bfd": "guarded"}))
    switch.vsctl("set", "Interface", "e1", "bfd_status:state=init")
    switch.vsctl("set", "Interface", "e1", "bfd_status:state=up")
    until(lambda: says(switch) == (BFD, [], {}, {"vl2-bfd": "armed"}))
    assert switch.written() == 2
    assert says(switch, "e2") == ({}, [], {}, {})

    switch.vsctl("set", "Interface", "e1", "bfd:min_rx=999", "bfd:mine=1")
    until(lambda: says(switch)[0] == BFD | {"mine": "1"})
    reachable.session.watch(NONE, NONE)
    reachable.session.watch(NONE, frozenset({"e1", "e2"}))
    until(lambda: says(switch) == ({"mine": "1"}, [], {}, {}))
    assert switch.written() == 4, "what is neither wanted nor unwanted was left as it was"

    server.stop()
    assert recorder.of(FabricUnreachable) == [FabricUnreachable(A, reachable.session)]


def test_an_interface_with_two_ends_in_the_dark_is_started_anew(make_hypervisor, server, recorder, until):
    """BFD that somebody took off an armed interface starts guarded again."""
    switch = make_hypervisor(switch=False)
    call(switch, server, B, "e1")
    (reachable,) = until(lambda: recorder.of(FabricReachable))
    reachable.session.watch(frozenset({"e1"}), NONE)
    until(lambda: switch.written() == 1)
    switch.vsctl("set", "Interface", "e1", "bfd_status:state=up")
    until(lambda: switch.written() == 2)
    switch.vsctl("clear", "Interface", "e1", "bfd")
    until(lambda: says(switch) == (BFD, 2, GUARD, {"vl2-bfd": "guarded"}))
    assert switch.row("Interface", "e1")["bfd_status"] == {}, "the old session's word does not count"
    switch.vsctl("clear", "Interface", "e1", "cfm_mpid")
    until(lambda: says(switch)[1] == 2)


@pytest.mark.parametrize("own", ["bfd:enable=true", "bfd:min_rx=500", "cfm_mpid=7", "other_config:cfm_interval=100"])
def test_the_operators_own_is_left_alone(make_hypervisor, server, recorder, until, own):
    """BFD or CFM that the operator has configured is neither changed nor taken off, wanted or not."""
    switch = make_hypervisor(switch=False)
    call(switch, server, A, "e1", "e2")
    switch.vsctl("set", "Interface", "e1", own)
    before = switch.row("Interface", "e1")
    (reachable,) = until(lambda: recorder.of(FabricReachable))
    assert reachable.own == {"e1"}, "the owner is told, so that the far end is left alone, too"
    reachable.session.watch(frozenset({"e1", "e2"}), NONE)
    until(lambda: says(switch, "e2")[0] == BFD)
    reachable.session.watch(NONE, frozenset({"e1", "e2"}))
    until(lambda: says(switch, "e2")[0] == {})
    assert switch.row("Interface", "e1") == before
    for key in ("bfd", "cfm_mpid", "other_config"):
        switch.vsctl("clear", "Interface", "e1", key)
    until(lambda: recorder.of(FabricReachable)[-1].own == NONE)


def test_a_switch_is_not_a_host(make_hypervisor, server, recorder, until):
    """A machine that says that it is both is told so and left alone; with one key less it is what the other says."""
    switch = make_hypervisor(switch=False)
    switch.vsctl("set", "Open_vSwitch", ".", "external_ids:vl2-host=h1", "external_ids:vl2-la=10.0.1.11")
    call(switch, server)
    until(lambda: server.hosts() and server.hosts()[0].problems)
    assert "vl2-fabric and external_ids:vl2-host are both set" in server.hosts()[0].problems[0]
    assert recorder.events == []
    switch.vsctl("remove", "Open_vSwitch", ".", "external_ids", "vl2-host")
    until(lambda: recorder.of(FabricReachable))
    assert switch.written() == 0


def test_a_bridge_that_is_not_there(make_hypervisor, server, recorder, until):
    """A switch that names no bridge of its own is told so, and joins when the bridge is made."""
    switch = make_hypervisor(switch=False)
    switch.vsctl("set", "Open_vSwitch", ".", "external_ids:vl2-fabric=br7")
    switch.call(server)
    ((caller, problem),) = until(server.strangers)
    assert caller == server.hosts()[0].caller
    assert problem == "external_ids:vl2-fabric: there is no bridge br7"
    switch.vsctl("add-br", "br7")
    until(lambda: "no datapath id yet" in server.strangers()[0][1])
    switch.vsctl("set", "Bridge", "br7", 'datapath_id="0000000000000007"')
    until(lambda: recorder.of(FabricReachable))
    assert recorder.of(FabricReachable)[0].datapath_id == 7
    assert (server.fabric_switches(), server.strangers()) == ({7: ()}, ())


def test_what_is_wrong_with_a_switch_is_told_of_it(make_hypervisor, server, recorder, until):
    """A switch that loses its bridge is still the one that it was, with a problem; so is one that has hung up."""
    switch = make_hypervisor(switch=False)
    call(switch, server)
    until(lambda: server.fabric_switches() == {A: ()})
    switch.vsctl("del-br", "br0")
    until(lambda: server.fabric_switches() == {A: ("external_ids:vl2-fabric: there is no bridge br0",)})
    assert (server.hosts(), server.strangers()) == ((), ()), "nobody else is blamed"
    assert recorder.of(FabricUnreachable)
    switch.vsctl("add-br", "br0", "--", "set", "Bridge", "br0", f'datapath_id="{A}"')
    until(lambda: server.fabric_switches() == {A: ()})
    switch.kill("ovsdb-server")
    until(lambda: server.fabric_switches() == {A: ("its OVSDB session is down",)})
    assert server.strangers() == (), "it is known who hung up"


def test_a_switch_that_takes_on_another_name_leaves_the_old_one(make_hypervisor, server, recorder, until):
    """A bridge with a new datapath id is a new switch; of the old one it is said that nobody speaks for it."""
    switch = make_hypervisor(switch=False)
    call(switch, server, A)
    until(lambda: recorder.of(FabricReachable))
    switch.vsctl("set", "Bridge", "br0", f'datapath_id="{B}"')
    until(lambda: server.fabric_switches() == {A: ("its OVSDB session is down",), B: ()})


def test_two_switches_with_one_datapath_id(make_hypervisor, server, recorder, until):
    """A second machine with the same datapath id is named and ignored."""
    first, second = make_hypervisor(switch=False), make_hypervisor(switch=False)
    call(first, server)
    until(lambda: recorder.of(FabricReachable))
    call(second, server)
    ((_, problem),) = until(server.strangers)
    assert "another machine is here as fabric switch" in problem
    assert len(recorder.of(FabricReachable)) == 1
    assert server.fabric_switches() == {A: ()}, "the first is not to blame"


def test_the_request_is_read():
    """The key names a bridge; an empty one is refused, and so is a hypervisor that is a fabric switch as well."""
    assert read_requests({"vl2-fabric": "br0"}) == (FabricJoin("br0"),)
    with pytest.raises(JoinError, match="vl2-fabric must name a bridge"):
        read_requests({"vl2-fabric": ""})
    host = {"vl2-host": "tor1", "vl2-la": "10.0.1.250"}
    assert read_requests(host) == (read_join(host),)
    with pytest.raises(JoinError, match="unless external_ids:vl2-kind is edge"):
        read_requests({"vl2-fabric": "br0", **host})
    edge = host | {"vl2-kind": "edge"}
    assert read_requests({"vl2-fabric": "br0", **edge}) == (FabricJoin("br0"), read_join(edge))
    assert read_join(edge).bridge == "br-vtep"
    with pytest.raises(JoinError, match="br-vtep is the bridge"):
        read_requests({"vl2-fabric": "br-vtep", **edge})
