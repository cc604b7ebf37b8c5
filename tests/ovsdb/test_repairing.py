"""Does br-int stay right when somebody changes it under our eyes?"""

import pytest

from controller.ovsdb.join import read_join
from controller.ovsdb.repair import ObstructedError, plan_repair
from controller.ovsdb.replica import Replica
from overlay.changes import HostSeen

KEYS = {"vl2-host": "h1", "vl2-la": "10.0.1.11"}
TARGET = "tcp:127.0.0.1:26653"


@pytest.mark.root
@pytest.mark.parametrize(
    "tampering",
    [
        "set Bridge br-int fail_mode=standalone",
        "clear Bridge br-int fail_mode",
        "set Bridge br-int datapath_type=system",
        "clear Bridge br-int protocols",
        "set Bridge br-int protocols=OpenFlow13",
        "set Bridge br-int protocols=OpenFlow14",
        "set Bridge br-int other_config:datapath-id=0000000000000001",
        "remove Bridge br-int other_config disable-in-band",
        "del-controller br-int",
        "set-controller br-int tcp:127.0.0.1:1",
        "set Controller br-int inactivity_probe=0",
        "clear Controller br-int max_backoff",
        "set Interface vx-vl2 options:local_ip=10.9.9.9",
        "remove Interface vx-vl2 options key",
        "set Interface vx-vl2 type=gre",
        "del-port br-int vx-vl2",
    ],
)
def test_tampering_is_mended(joined, until, tampering):
    """Whatever column of ours is changed or row of ours removed, it comes back, and only it is written."""
    written = joined.written()
    joined.vsctl("--no-wait", *tampering.split())
    until(lambda: joined.written() > written)
    bridge = joined.row("Bridge", "br-int")
    tunnel = joined.row("Interface", "vx-vl2")
    assert bridge["fail_mode"] == "secure"
    assert bridge["datapath_type"] == "netdev"
    assert {"OpenFlow14", "OpenFlow15"} <= set(bridge["protocols"])
    assert bridge["other_config"].keys() == {"datapath-id", "disable-in-band"}
    assert tunnel["type"] == "vxlan"
    assert tunnel["options"] == {"remote_ip": "flow", "key": "flow", "local_ip": "10.0.1.11"}
    ours = [row for row in joined.rows("Controller") if row["target"] == TARGET]
    assert [(row["inactivity_probe"], row["max_backoff"]) for row in ours] == [(5000, 1000)]
    assert joined.written() == written + 1


@pytest.mark.root
def test_a_deleted_bridge_comes_back(joined, recorder, until):
    """When br-int is deleted its ports count as unplugged, and it is made again with a tunnel port."""
    joined.plug("p1", "t1")
    until(lambda: "p1" in recorder.plugged())
    joined.vsctl("--no-wait", "del-br", "br-int")
    until(lambda: not recorder.plugged())
    recorder.events.clear()
    until(recorder.has_tunnel, "the tunnel is back")
    joined.plug("p1", "t1")
    until(lambda: "p1" in recorder.plugged())


@pytest.mark.root
def test_foreign_keys_survive_a_repair(joined, until):
    """Keys, controllers and ports of the operator on br-int outlive our repairs."""
    joined.vsctl("set", "Bridge", "br-int", "other_config:mine=1", "external_ids:mine=2", "mcast_snooping_enable=true")
    joined.vsctl("set", "Interface", "vx-vl2", "options:tos=inherit")
    joined.vsctl("add-port", "br-int", "mine", "--", "set", "Interface", "mine", "type=internal")
    written = joined.written()
    joined.vsctl("--no-wait", "set", "Interface", "vx-vl2", "options:local_ip=10.9.9.9")
    joined.vsctl("--no-wait", "set", "Bridge", "br-int", "other_config:datapath-id=0000000000000001")
    until(lambda: joined.written() == written + 2)
    bridge = joined.row("Bridge", "br-int")
    assert bridge["other_config"]["mine"] == "1"
    assert bridge["external_ids"] == {"mine": "2"}
    assert bridge["mcast_snooping_enable"] is True
    assert joined.row("Interface", "vx-vl2")["options"]["tos"] == "inherit"
    assert "mine" in joined.vsctl("list-ports", "br-int").split()


def test_a_fight_is_not_fought_at_full_speed(make_hypervisor, server, recorder, until):
    """When somebody undoes each repair, repairs become rare and the host's status says why."""
    hypervisor = make_hypervisor(switch=False)
    hypervisor.join(server)
    until(lambda: hypervisor.written() == 1)
    for _ in range(25):
        hypervisor.vsctl("set", "Bridge", "br-int", "fail_mode=standalone")
        until(lambda: hypervisor.row("Bridge", "br-int")["fail_mode"] == "secure" or server.hosts()[0].problems)
    assert "keeps changing br-int" in server.hosts()[0].problems[0]
    assert hypervisor.written() <= 20
    assert len(recorder.of(HostSeen)) == 1


def test_a_port_of_the_operator_is_in_the_way(make_hypervisor, server, until):
    """A foreign port that has our tunnel's name is left where it is and named; when it goes, br-int is made."""
    hypervisor = make_hypervisor(switch=False)
    hypervisor.vsctl("add-br", "br0", "--", "add-port", "br0", "vx-vl2")
    hypervisor.join(server)
    until(lambda: server.hosts() and server.hosts()[0].problems)
    assert server.hosts()[0].problems == ("port vx-vl2 is in br0, but br-int needs that name",)
    assert hypervisor.written() == 0
    hypervisor.vsctl("del-port", "br0", "vx-vl2")
    until(lambda: hypervisor.written() == 1)
    until(lambda: not server.hosts()[0].problems)


def test_a_repair_that_the_database_refuses(make_hypervisor, server, until):
    """A refused transaction is a problem in the host's status, and is tried again when the rows change."""
    hypervisor = make_hypervisor(switch=False)
    hypervisor.vsctl("add-br", "br0", "--", "add-bond", "br0", "bond0", "vx-vl2", "other")
    hypervisor.join(server)
    until(lambda: server.hosts() and server.hosts()[0].problems)
    assert "constraint violation" in server.hosts()[0].problems[0]
    hypervisor.vsctl("del-port", "bond0")
    until(lambda: hypervisor.written() == 1)
    until(lambda: not server.hosts()[0].problems)


def test_a_new_openflow_port_replaces_the_old_target(make_hypervisor, server, until):
    """A controller that listens on another OpenFlow port than last time leaves no dead target behind."""
    hypervisor = make_hypervisor(switch=False)
    hypervisor.join(server)
    until(lambda: hypervisor.written() == 1)
    hypervisor.vsctl("set", "Controller", "br-int", 'target="tcp:127.0.0.1:1234"')
    until(lambda: hypervisor.written() == 2)
    assert [row["target"] for row in hypervisor.rows("Controller")] == [TARGET]


def test_nothing_is_planned_for_what_another_bridge_holds():
    """The plan refuses to make br-int while a port called br-int is elsewhere."""
    replica = Replica()
    replica.apply("Port", {"p": {"initial": {"name": "br-int"}}})
    replica.apply("Bridge", {"b": {"initial": {"name": "br9", "ports": ["uuid", "p"]}}})
    with pytest.raises(ObstructedError, match="br9"):
        plan_repair(replica, read_join(KEYS), TARGET)
