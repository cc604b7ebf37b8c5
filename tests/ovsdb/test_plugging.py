"""Does the owner know what is plugged, whatever happens to the host or to us?"""

import pytest

from controller.events import HostUnreachable
from overlay.changes import HostSeen, HostSnapshot, Plugged, Unplugged

pytestmark = pytest.mark.root


def test_plug_and_unplug(joined, recorder, until):
    """An interface with an iface-id is told as plugged when it has its number, and as unplugged when it goes."""
    joined.plug("p1", "t1")
    until(recorder.plugged)
    assert recorder.of(Plugged) == [Plugged("h1", "p1", joined.ofport("t1"))]
    joined.vsctl("del-port", "t1")
    until(lambda: not recorder.plugged())
    assert recorder.of(Unplugged) == [Unplugged("h1", "p1")]


def test_iface_id_comes_and_goes(joined, recorder, until):
    """Naming an interface that is there already plugs its port, renaming it changes ports, unnaming unplugs."""
    joined.vsctl("add-port", "br-int", "t1", "--", "set", "Interface", "t1", "type=internal")
    number = joined.ofport("t1")
    joined.vsctl("set", "Interface", "t1", "external_ids:iface-id=p1")
    until(lambda: recorder.plugged() == {"p1": number})
    joined.vsctl("set", "Interface", "t1", "external_ids:iface-id=p2")
    until(lambda: recorder.plugged() == {"p2": number})
    joined.vsctl("remove", "Interface", "t1", "external_ids", "iface-id")
    until(lambda: recorder.plugged() == {})


def test_new_number(joined, recorder, until):
    """A port whose OpenFlow number changes is told again with the new one, without counting as unplugged."""
    joined.plug("p1", "t1")
    until(recorder.plugged)
    joined.vsctl("set", "Interface", "t1", "ofport_request=77")
    until(lambda: recorder.plugged() == {"p1": 77})
    assert recorder.of(Unplugged) == []


def test_a_device_that_cannot_be_opened(joined, recorder, server, until):
    """An interface in error is not plugged, and its error is there for the API to show; mended, it is plugged."""
    joined.vsctl("--no-wait", "add-port", "br-int", "nodev", "--", "set", "Interface", "nodev",
                 "external_ids:iface-id=p1")  # fmt: skip
    until(lambda: any("nodev" in problem for problem in server.hosts()[0].problems))
    assert recorder.plugged() == {}
    joined.vsctl("set", "Interface", "nodev", "type=internal")
    until(recorder.plugged)
    until(lambda: server.hosts()[0].problems == ())


def test_two_interfaces_with_one_id(joined, recorder, server, until, caplog):
    """Of two interfaces with the same iface-id the first counts, with a warning; when it goes the other one does."""
    joined.plug("p1", "t1")
    until(recorder.plugged)
    joined.plug("p1", "t2")
    joined.plug("marker", "t3")
    until(lambda: "marker" in recorder.plugged())
    first, second = joined.ofport("t1"), joined.ofport("t2")
    assert recorder.plugged()["p1"] == first
    assert any("iface-id p1" in problem for problem in server.hosts()[0].problems)
    assert any("iface-id p1" in record.getMessage() for record in caplog.records)
    joined.vsctl("del-port", "t1")
    until(lambda: recorder.plugged()["p1"] == second)
    assert server.hosts()[0].problems == ()


def test_snapshot_after_we_were_away(joined, recorder, serve, server, until):
    """What was plugged and unplugged while nobody listened is in the one snapshot of the next session."""
    joined.plug("p1", "t1")
    joined.plug("p2", "t2")
    until(lambda: len(recorder.plugged()) == 2)
    port = server.addresses[0][1]
    server.stop()
    assert recorder.of(HostUnreachable)
    joined.vsctl("del-port", "t1")
    joined.plug("p3", "t3")
    recorder.events.clear()
    serve(port)
    until(lambda: recorder.of(HostSnapshot), "the host is back", 15)
    assert recorder.plugged() == {"p2": joined.ofport("t2"), "p3": joined.ofport("t3")}
    assert len(recorder.of(HostSnapshot)) == 1
    assert recorder.of(Plugged, Unplugged) == []


def test_switch_killed_and_restarted(joined, recorder, until):
    """While ovs-vswitchd is dead nothing without a number counts as plugged; when it is back, everything is told."""
    joined.plug("p1", "t1")
    joined.plug("p2", "t2")
    until(lambda: len(recorder.plugged()) == 2)
    number = joined.ofport("t1")
    joined.kill("ovs-vswitchd")
    joined.vsctl("del-port", "t2")
    joined.plug("p3", "t3")
    until(lambda: recorder.plugged() == {"p1": number}, "p2 is gone, p3 has no number yet")
    joined.start_switch()
    until(lambda: recorder.plugged() == {"p1": joined.ofport("t1"), "p3": joined.ofport("t3")})
    until(lambda: recorder.last_host().tunnel_port == joined.ofport("vx-vl2"))
    assert len(recorder.of(HostSnapshot)) == 1


def test_numbers_change_over_a_restart(joined, recorder, until):
    """A switch that comes back with other numbers, the tunnel's included, is followed; two may even swap theirs."""
    joined.plug("p1", "t1")
    joined.plug("p2", "t2")
    until(lambda: len(recorder.plugged()) == 2)
    one, two = joined.ofport("t1"), joined.ofport("t2")
    joined.kill("ovs-vswitchd")
    swap = ("set", "Interface", "t1", f"ofport_request={two}", "--", "set", "Interface", "t2", f"ofport_request={one}")
    joined.vsctl(*swap, "--", "set", "Interface", "vx-vl2", "ofport_request=99")
    joined.start_switch()
    until(lambda: recorder.plugged() == {"p1": two, "p2": one})
    until(lambda: recorder.last_host().tunnel_port == 99)


def test_database_restarted(joined, recorder, until):
    """A host whose ovsdb-server is killed is unreachable, nothing is unplugged by it, and it comes back whole."""
    joined.plug("p1", "t1")
    until(recorder.plugged)
    before = recorder.plugged()
    joined.kill("ovsdb-server")
    until(lambda: recorder.of(HostUnreachable))
    assert recorder.plugged() == before
    joined.start_database()
    until(lambda: len(recorder.of(HostSnapshot)) == 2)
    until(lambda: recorder.plugged() == before)
    assert recorder.of(HostSeen)[-1].host.tunnel_port is not None


def test_many_ports_in_one_transaction(joined, recorder, until):
    """Hundreds of ports plugged at once are each told once, with distinct numbers."""
    words = []
    for number in range(200):
        words += ["--", "add-port", "br-int", f"t{number}", "--", "set", "Interface", f"t{number}", "type=internal",
                  f"external_ids:iface-id=p{number}"]  # fmt: skip
    joined.vsctl(*words[1:])
    until(lambda: len(recorder.plugged()) == 200)
    assert len(recorder.of(Plugged)) == 200
    assert len(set(recorder.plugged().values())) == 200
