"""What becomes of a fabric switch that is the tunnel endpoint of the machines wired to it as well?"""

from controller.events import FabricReachable, FabricUnreachable, HostReachable, HostUnreachable
from overlay.changes import HostSeen
from overlay.direct.changes import EdgeSnapshot, Unwired, Wired
from overlay.values import DatapathId, HostKind, HostName

A = DatapathId(1)
TOR = HostName("tor1")
EDGE = {"vl2-host": "tor1", "vl2-la": "10.0.1.250", "vl2-datapath-type": "netdev", "vl2-kind": "edge"}


def say(switch, **keys):
    """Set keys of the machine."""
    switch.vsctl("set", "Open_vSwitch", ".", *(f"external_ids:{key}={value}" for key, value in keys.items()))


def cable(switch, name, ofport):
    """Put a cable into br-vtep, and give it the number that ovs-vswitchd would."""
    switch.vsctl("add-port", "br-vtep", name, "--", "set", "Interface", name, f"ofport={ofport}")


def test_an_edge_switch_is_both(make_hypervisor, server, recorder, until):
    """One session speaks for the switch and for its tunnel endpoint: br-vtep is made, and cables are told by name."""
    switch = make_hypervisor(switch=False)
    switch.vsctl("add-br", "br0", "--", "set", "Bridge", "br0", f'datapath_id="{A}"')
    say(switch, **{"vl2-fabric": "br0"})
    switch.call(server)
    until(lambda: recorder.of(FabricReachable), "the switch is here")
    assert server.hosts() == ()
    say(switch, **EDGE)
    until(lambda: "br-vtep" in switch.vsctl("list-br").split(), "br-vtep is made")
    assert recorder.of(HostReachable) == [HostReachable(TOR)]
    assert recorder.of(EdgeSnapshot) == [EdgeSnapshot(TOR, ())]
    seen = recorder.of(HostSeen)[-1].host
    assert (seen.name, seen.kind, str(seen.la)) == (TOR, HostKind.EDGE, "10.0.1.250")
    assert {status.name for status in server.hosts()} == {TOR}
    assert server.fabric_switches() == {A: ()}
    assert recorder.of(FabricUnreachable) == [], "it went on as what it was"

    cable(switch, "e1", 5)
    until(lambda: recorder.of(Wired) == [Wired(TOR, "e1", 5)], "the cable is told")
    switch.vsctl("set", "Interface", "e1", "link_state=down")
    until(lambda: recorder.of(Unwired) == [Unwired(TOR, "e1")], "a cable that leads nowhere is told")
    (reachable,) = recorder.of(FabricReachable)
    switch.vsctl("add-port", "br0", "f1")
    reachable.session.watch(frozenset({"f1"}), frozenset())
    until(lambda: switch.row("Interface", "f1")["bfd"], "its links are watched as ever")

    switch.vsctl("set", "Interface", "e1", "link_state=up")
    until(lambda: len(recorder.of(Wired)) == 2)
    switch.vsctl("remove", "Open_vSwitch", ".", "external_ids", "vl2-host")
    until(lambda: recorder.of(HostUnreachable) == [HostUnreachable(TOR)], "it is no tunnel endpoint any more")
    assert recorder.of(Unwired)[-1] == Unwired(TOR, "e1")
    assert recorder.of(FabricUnreachable) == []
    server.stop()
    assert recorder.of(FabricUnreachable) == [FabricUnreachable(A, reachable.session)]


def test_what_is_wrong_with_one_is_not_the_others_fault(make_hypervisor, server, recorder, until):
    """A tunnel endpoint whose name another machine has is ignored, and the switch that it is, too, is not."""
    first, second = make_hypervisor(switch=False), make_hypervisor(switch=False)
    first.join(server, "tor1", "10.0.1.250")
    until(lambda: recorder.of(HostReachable))
    second.vsctl("add-br", "br0", "--", "set", "Bridge", "br0", f'datapath_id="{A}"')
    say(second, **{"vl2-fabric": "br0"}, **EDGE)
    second.call(server)
    until(lambda: recorder.of(FabricReachable), "the switch is here")
    problems = until(lambda: server.fabric_switches()[A], "its operator is told")
    assert "another machine is here as host tor1" in problems[0]
    assert len(recorder.of(HostReachable)) == 1


def test_a_newer_session_takes_over_both_names(make_hypervisor, server, recorder, until):
    """A switch that calls again takes both names over, and nothing is told to be gone."""
    switch = make_hypervisor(switch=False)
    switch.vsctl("add-br", "br0", "--", "set", "Bridge", "br0", f'datapath_id="{A}"')
    say(switch, **{"vl2-fabric": "br0"}, **EDGE)
    address, port = server.addresses[0]
    switch.vsctl("set-manager", f"tcp:{address}:{port}")
    until(lambda: recorder.of(EdgeSnapshot))
    switch.vsctl("set-manager", f"tcp:{address}:{port}", f"tcp:localhost:{port}")
    until(lambda: len(recorder.of(FabricReachable)) > 1 and len(recorder.of(EdgeSnapshot)) > 1)
    names = {event.name for event in recorder.of(HostUnreachable)}
    assert names <= {TOR}
