"""What becomes of a host that calls?"""

from ipaddress import IPv4Address

import pytest

from controller.events import HostReachable, HostUnreachable
from controller.ovsdb import peer
from controller.ovsdb.join import JoinError, datapath_id_of, read_join
from controller.ovsdb.server import HostsServer
from overlay.changes import HostSeen, HostSnapshot
from overlay.values import Host, HostName

KEYS = {"vl2-host": "h1", "vl2-la": "10.0.1.11"}


@pytest.mark.root
def test_join_makes_br_int(joined, recorder, server):
    """Two commands of the operator are enough for a br-int that is complete to the last column."""
    bridge = joined.row("Bridge", "br-int")
    assert bridge["fail_mode"] == "secure"
    assert bridge["datapath_type"] == "netdev"
    assert bridge["protocols"] == ["OpenFlow14", "OpenFlow15"]
    assert bridge["other_config"] == {"datapath-id": str(datapath_id_of(HostName("h1"))), "disable-in-band": "true"}
    assert bridge["datapath_id"] == str(datapath_id_of(HostName("h1"))), "and Open vSwitch has taken it over"
    tunnel = joined.row("Interface", "vx-vl2")
    assert tunnel["type"] == "vxlan"
    assert tunnel["options"] == {"remote_ip": "flow", "key": "flow", "local_ip": "10.0.1.11"}
    (controller,) = joined.rows("Controller")
    assert controller["target"] == "tcp:127.0.0.1:26653", "the address that the host called, the OpenFlow port"
    assert (controller["inactivity_probe"], controller["max_backoff"]) == (5000, 1000)
    assert sorted(joined.vsctl("list-ports", "br-int").split()) == ["vx-vl2"]

    host = Host(HostName("h1"), IPv4Address("10.0.1.11"), datapath_id_of(HostName("h1")), tunnel["ofport"])
    assert recorder.last_host() == host
    assert recorder.events[:1] == [HostReachable(HostName("h1"))]
    assert recorder.of(HostSnapshot) == [HostSnapshot(HostName("h1"), ())]
    (status,) = server.hosts()
    assert (status.name, status.la, status.connected, status.problems) == ("h1", host.la, True, ())


@pytest.mark.root
def test_join_again_writes_nothing(joined, recorder, serve, server, until):
    """A host that is as it should be is not written to when it calls again."""
    written, port = joined.written(), server.addresses[0][1]
    assert written == 1, "br-int was made in one transaction"
    server.stop()
    assert recorder.of(HostUnreachable) == [HostUnreachable(HostName("h1"))]
    assert not server.hosts()[0].connected
    serve(port)
    until(lambda: len(recorder.of(HostSnapshot)) == 2, "the host is back", 15)
    assert recorder.last_host().tunnel_port is not None, "what is known is told at once"
    joined.vsctl("set", "Open_vSwitch", ".", "external_ids:other=1")
    joined.plug("marker", "t0")  # what is told of it comes after whatever a repair would have written
    until(lambda: "marker" in recorder.plugged())
    assert joined.written() == written


@pytest.mark.root
def test_join_adopts_a_bridge_that_exists(hypervisor, recorder, server, until):
    """A br-int that is already there keeps its ports and foreign keys, and only what it lacks is written."""
    hypervisor.vsctl("add-br", "br-int", "--", "set", "Bridge", "br-int", "datapath_type=netdev", "other_config:mine=1")
    hypervisor.plug("p1", "t1")
    hypervisor.vsctl("set-controller", "br-int", "tcp:127.0.0.1:9")
    before = hypervisor.row("Bridge", "br-int")["_uuid"]
    hypervisor.join(server)
    until(recorder.has_tunnel)
    bridge = hypervisor.row("Bridge", "br-int")
    assert bridge["_uuid"] == before
    assert bridge["other_config"]["mine"] == "1"
    assert bridge["fail_mode"] == "secure"
    assert {row["target"] for row in hypervisor.rows("Controller")} == {"tcp:127.0.0.1:9", "tcp:127.0.0.1:26653"}
    assert recorder.of(HostSnapshot)[0].plugged == (("p1", hypervisor.ofport("t1")),)
    assert hypervisor.written() == 1


@pytest.mark.root
def test_foreign_bridges_are_not_touched(hypervisor, recorder, server, until):
    """Bridges of the operator stay as they are, and what is plugged into them is none of our business."""
    hypervisor.vsctl("add-br", "br-phy", "--", "set", "Bridge", "br-phy", "datapath_type=netdev")
    hypervisor.plug("stranger", "u1", "br-phy")
    before = hypervisor.row("Bridge", "br-phy")
    hypervisor.join(server)
    until(recorder.has_tunnel)
    hypervisor.plug("p1", "t1")
    until(recorder.plugged)
    assert list(recorder.plugged()) == ["p1"]
    changing = {"status", "other_config"}
    after = hypervisor.row("Bridge", "br-phy")
    assert {k: v for k, v in after.items() if k not in changing} == {
        k: v for k, v in before.items() if k not in changing
    }


@pytest.mark.root
def test_new_locator_address(joined, recorder, until):
    """A changed vl2-la reaches the tunnel port and the owner."""
    joined.vsctl("set", "Open_vSwitch", ".", "external_ids:vl2-la=10.0.2.99")
    until(lambda: recorder.last_host().la == IPv4Address("10.0.2.99"))
    until(lambda: joined.row("Interface", "vx-vl2")["options"]["local_ip"] == "10.0.2.99")


@pytest.mark.root
def test_new_name(joined, recorder, until):
    """A machine that takes another name leaves nothing plugged at the old one."""
    joined.plug("p1", "t1")
    until(lambda: "p1" in recorder.plugged())
    joined.vsctl("set", "Open_vSwitch", ".", "external_ids:vl2-host=h2")
    until(lambda: recorder.plugged("h2"))
    assert recorder.plugged("h1") == {}
    assert recorder.of(HostUnreachable) == [HostUnreachable(HostName("h1"))]
    until(lambda: joined.row("Bridge", "br-int")["datapath_id"] == str(datapath_id_of(HostName("h2"))))


@pytest.mark.parametrize("tampering", ["vl2-host", "vl2-la", "vl2-datapath-type"])
def test_a_host_that_did_not_ask_is_left_alone(  # noqa: PLR0917
    make_hypervisor, server, recorder, until, caplog, tampering
):
    """A missing or wrong key is named in one line of the log, nothing is written, and mending it is enough to join."""
    hypervisor = make_hypervisor(switch=False)
    hypervisor.vsctl("set", "Open_vSwitch", ".", f"external_ids:{tampering}=!")
    if tampering != "vl2-host":
        hypervisor.vsctl("set", "Open_vSwitch", ".", "external_ids:vl2-host=h1")
    if tampering == "vl2-datapath-type":
        hypervisor.vsctl("set", "Open_vSwitch", ".", "external_ids:vl2-la=10.0.1.11")
    hypervisor.call(server)
    until(lambda: server.hosts() and server.hosts()[0].problems)
    assert tampering in server.hosts()[0].problems[0]
    hypervisor.vsctl("set", "Open_vSwitch", ".", "external_ids:other=1")
    hypervisor.vsctl("add-br", "br0")
    lines = [record for record in caplog.records if tampering in record.getMessage()]
    assert len(lines) == 1
    assert recorder.events == []
    assert hypervisor.written() == 0
    hypervisor.join(server)
    until(lambda: recorder.of(HostSeen), "joined over the same session")
    until(lambda: hypervisor.written() == 1)


def test_keys_taken_away(make_hypervisor, server, recorder, until):
    """A host whose operator takes its name away is not written to any more."""
    hypervisor = make_hypervisor(switch=False)
    hypervisor.join(server)
    until(lambda: hypervisor.written() == 1)
    hypervisor.vsctl("remove", "Open_vSwitch", ".", "external_ids", "vl2-host")
    until(lambda: recorder.of(HostUnreachable))
    hypervisor.vsctl("del-br", "br-int")
    until(lambda: server.hosts()[-1].problems)
    assert hypervisor.written() == 1


def test_a_name_in_use_is_not_given_away(make_hypervisor, server, recorder, until, monkeypatch):
    """While h1 is here another machine that calls itself h1 is ignored; when the first has gone it may be h1."""
    monkeypatch.setattr(peer, "PROBE_INTERVAL", 0.1)
    first, second = make_hypervisor(switch=False), make_hypervisor(switch=False)
    first.join(server)
    until(lambda: recorder.of(HostSeen))
    second.join(server, la="10.0.1.12")
    until(lambda: len(server.hosts()) == 2)
    until(lambda: any("another machine" in problem for host in server.hosts() for problem in host.problems))
    assert recorder.last_host().la == IPv4Address("10.0.1.11")
    assert second.written() == 0
    first.kill("ovsdb-server")
    until(lambda: recorder.of(HostUnreachable))
    until(lambda: recorder.last_host().la == IPv4Address("10.0.1.12"))


def test_a_system_id_that_comes_late(make_hypervisor, server, recorder, until):
    """A machine that gets its system-id while it is here stays who it is."""
    hypervisor = make_hypervisor(switch=False)
    hypervisor.join(server)
    until(lambda: recorder.of(HostSnapshot))
    hypervisor.vsctl("set", "Open_vSwitch", ".", "external_ids:system-id=x", "external_ids:vl2-la=10.0.1.55")
    until(lambda: recorder.last_host().la == IPv4Address("10.0.1.55"))
    assert server.hosts()[0].problems == ()


def test_an_address_that_is_taken(server, serve):
    """A second listener on the same address is refused, instead of taking half of the calls."""
    with pytest.raises(OSError, match="in use"):
        serve(server.addresses[0][1])


def test_a_machine_that_calls_again_replaces_its_dead_session(make_hypervisor, recorder, until):
    """A second session of one machine takes over at once, and the host never counts as gone."""
    hypervisor = make_hypervisor(switch=False)
    server = HostsServer()
    server.start([("127.0.0.1", 0), ("127.0.0.2", 0)], 26653, recorder)
    hypervisor.join(server)
    until(lambda: recorder.of(HostSnapshot))
    (first,) = server.hosts()
    hypervisor.vsctl("set-manager", *(f"tcp:{address}:{port}" for address, port in server.addresses))
    until(lambda: len(recorder.of(HostSnapshot)) == 2)
    until(lambda: [status.connected for status in server.hosts()] == [True])
    assert server.hosts()[0].caller != first.caller
    assert recorder.of(HostUnreachable) == []
    server.stop()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vl2-host", ""),
        ("vl2-host", "-x"),
        ("vl2-la", "10.0.1"),
        ("vl2-la", "10.0.1.1/24"),
        ("vl2-la", "::1"),
        ("vl2-la", "224.0.0.1"),
        ("vl2-la", "127.0.0.1"),
        ("vl2-la", "0.0.0.0"),  # noqa: S104
        ("vl2-datapath-type", "dpdk"),
        ("vl2-kind", "leaf"),
    ],
)
def test_wrong_values_name_their_key(key, value):
    """Each wrong value is refused with a sentence that names the key."""
    with pytest.raises(JoinError, match=key):
        read_join(KEYS | {key: value})


def test_datapath_type_defaults_to_the_kernel():
    """A host that says nothing about its datapath has the kernel's, which cannot answer neighbour solicitations."""
    assert not read_join(KEYS).netdev
    assert read_join(KEYS | {"vl2-datapath-type": "netdev"}).netdev


def test_datapath_ids_are_marked():
    """The id of a br-int begins with 0x564c, and different names have different ids."""
    ids = {datapath_id_of(HostName(f"h{number}")) for number in range(100)}
    assert len(ids) == 100
    assert {number >> 48 for number in ids} == {0x564C}


def test_join_over_ipv6(make_hypervisor, recorder, until):
    """A host that called an IPv6 address is told to call the same one by OpenFlow, in brackets; IPv4 stays IPv4."""
    server = HostsServer()
    server.start([("::1", 0), ("::ffff:127.0.0.1", 0)], 26653, recorder)
    (_, six), (_, four) = server.addresses
    hypervisors = [make_hypervisor(switch=False), make_hypervisor(switch=False)]
    for hypervisor, remote, name in zip(hypervisors, (f"[::1]:{six}", f"127.0.0.1:{four}"), "ab", strict=True):
        hypervisor.vsctl("set", "Open_vSwitch", ".", f"external_ids:vl2-host={name}", "external_ids:vl2-la=10.0.1.11")
        hypervisor.vsctl("set-manager", f"tcp:{remote}")
        until(lambda hypervisor=hypervisor: hypervisor.written() == 1)
    targets = [hypervisor.rows("Controller")[0]["target"] for hypervisor in hypervisors]
    assert targets == ["tcp:[::1]:26653", "tcp:127.0.0.1:26653"]
    server.stop()
