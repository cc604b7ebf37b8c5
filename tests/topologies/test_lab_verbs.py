"""Do the verbs that use and break a lab do what they say?"""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import networkx as nx
import pytest

pytest.importorskip("topologies.mn", reason="Mininet is not importable here", exc_type=ImportError)

from click.testing import CliRunner

from topologies.cli import command
from topologies.client import LabClient
from topologies.errors import LabError, NoSuchNode, TopologyError

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces"),
]

BRIDGE = "ovs-vsctl add-br br-int -- set Bridge br-int datapath_type=netdev fail_mode=standalone"


@pytest.fixture(scope="module")
def lab() -> Iterator[LabClient]:
    """A ring of three switches without a controller, two machines on h1 (whose br-int just switches)."""
    lab = LabClient(f"t{uuid.uuid4().hex[:6]}")
    try:
        lab.up("ring", {"switches": 3, "bw": 50}, las=[("h3", "10.0.77.10")], controller=False)
        for name in ("h1", "h2"):
            assert lab.run(name, BRIDGE.split()).returncode == 0
        for i in (1, 2):
            lab.vm_add(f"vm{i}", "h1", port_id=f"port-{i}", mac=f"02:00:00:00:00:0{i}", addresses=[f"10.9.0.{i}/24"])
        yield lab
    finally:
        lab.down()


def poll(condition, seconds=15.0):
    """Wait until a condition holds; fails after a while."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        select.select((), (), (), 0.01)


def carrier(lab: LabClient, node: str, interface: str) -> bool:
    """Whether an interface of a node has a carrier."""
    return "LOWER_UP" in lab.run(node, ["ip", "-brief", "link", "show", interface]).stdout


def test_machines_on_one_hypervisor_reach_each_other(lab):
    """A machine is plugged like libvirt does it, and its packets pass br-int."""
    poll(lambda: lab.run("vm1", ["ping", "-c1", "-W1", "10.9.0.2"]).returncode == 0)
    vm = lab.status().vms[0]
    told = lab.run("h1", ["ovs-vsctl", "get", "Interface", vm.tap, "external_ids"]).stdout
    assert "iface-id=port-1" in told
    assert 'attached-mac="02:00:00:00:00:01"' in told
    assert lab.run("vm1", ["cat", "/sys/class/net/eth0/mtu"]).stdout.strip() == "1500"


def test_switches_wait_for_their_controller_fail_secure(lab):
    """br0 is fail-secure, has the topology's dpid and port numbers, and speaks OpenFlow 1.5 (1.4 for people)."""
    for switch in lab.status().switches:
        told = lab.run(
            switch.name, ["ovs-vsctl", "get", "Bridge", "br0", "fail_mode", "protocols", "datapath_id"]
        ).stdout
        assert told.splitlines() == ["secure", "[OpenFlow14, OpenFlow15]", f'"{switch.dpid}"']
    link = lab.status().links[0]
    for node, interface, port in (
        (link.one, link.one_interface, link.one_port),
        (link.other, link.other_interface, link.other_port),
    ):
        if node.startswith("s"):
            assert int(lab.run(node, ["ovs-vsctl", "get", "Interface", interface, "ofport"]).stdout) == port
        assert lab.run(node, ["cat", f"/sys/class/net/{interface}/mtu"]).stdout.strip() == "1600"


def test_a_hypervisor_has_joined_as_an_operator_does_it(lab):
    """The name, LA and datapath type are in the database, and the manager is set."""
    told = lab.run("h3", ["ovs-vsctl", "get", "Open_vSwitch", ".", "external_ids"]).stdout
    for words in ("vl2-host=h3", 'vl2-la="10.0.77.10"', "vl2-datapath-type="):
        assert words in told
    assert lab.run("h3", ["ovs-vsctl", "get-manager"]).stdout.strip() == f"tcp:{lab.status().management}:6640"
    assert "10.0.0.0/16 via 10.0.77.1" in lab.run("h3", ["ip", "route"]).stdout


def test_links_have_their_rate(lab):
    """With bw=50 each end of each link is shaped to 50 Mbit/s."""
    assert "rate 50Mbit" in lab.run("s1", ["tc", "qdisc", "show", "dev", "s1-eth1"]).stdout
    assert "rate 50Mbit" in lab.run("h1", ["tc", "qdisc", "show", "dev", "h1-eth0"]).stdout


def test_a_killed_vswitchd_comes_back_with_the_hosts_address(lab):
    """After kill -9 and restart of a hypervisor's ovs-vswitchd its LA and its machines' ports are there again."""
    lab.kill_vswitchd("h1")
    assert not lab.status().hypervisors[0].running
    with pytest.raises(LabError):
        lab.kill_vswitchd("h1")
    lab.restart_vswitchd("h1")
    assert lab.status().hypervisors[0].running
    assert "10.0.1.10/24" in lab.run("h1", ["ip", "-brief", "address", "show", "br-phy"]).stdout
    poll(lambda: lab.run("vm1", ["ping", "-c1", "-W1", "10.9.0.2"]).returncode == 0)


def test_a_switch_without_power_is_dead_to_its_neighbours(lab):
    """Killing a switch takes its daemons and its neighbours' carriers; reviving brings both back."""
    lab.kill_switch("s2")
    assert [each.running for each in lab.status().switches] == [True, False, True]
    assert not carrier(lab, "s1", "s1-eth1")
    lab.revive_switch("s2")
    assert [each.running for each in lab.status().switches] == [True, True, True]
    poll(lambda: carrier(lab, "s1", "s1-eth1"))
    assert lab.run("s2", ["ovs-vsctl", "get", "Bridge", "br0", "fail_mode"]).stdout.strip() == "secure"


def test_a_link_goes_down_and_up_at_both_ends(lab):
    """``link A B down`` takes the carrier from both ends, ``up`` gives it back."""
    lab.set_link("s1", "s2", up=False)
    assert not carrier(lab, "s1", "s1-eth1")
    assert not carrier(lab, "s2", "s2-eth1")
    lab.set_link("s1", "s2", up=True)
    poll(lambda: carrier(lab, "s1", "s1-eth1") and carrier(lab, "s2", "s2-eth1"))


def test_a_machine_moves_and_its_processes_live_on(lab):
    """A move leaves the machine's namespace, card and processes as they are, and its tap at the target only."""
    with subprocess.Popen(lab.command("vm2", ["sleep", "1000"])) as inside:
        try:
            pid = lab.status().vms[1].pid
            report = lab.vm_move("vm2", "h2", pause_ms=30, trigger="appear")
            assert 30 <= report.blackout_ms < 200
            vm = lab.status().vms[1]
            assert (vm.host, vm.pid) == ("h2", pid)
            assert inside.poll() is None
            assert vm.tap in lab.run("h2", ["ovs-vsctl", "list-ports", "br-int"]).stdout
            assert vm.tap not in lab.run("h1", ["ovs-vsctl", "list-ports", "br-int"]).stdout
            assert vm.tap not in lab.run("h1", ["ip", "-brief", "link"]).stdout
            lab.vm_move("vm2", "h1", trigger="appear")
        finally:
            inside.kill()
    poll(lambda: lab.run("vm2", ["ping", "-c1", "-W1", "10.9.0.1"]).returncode == 0)


def test_mistakes_are_refused_and_change_nothing(lab):
    """Unknown nodes, links, triggers, taken names and moves to nowhere raise, and the lab is as before."""
    before = lab.status()
    mistakes = [
        (lambda: lab.vm_move("vm1", "h1"), TopologyError),
        (lambda: lab.vm_move("vm1", "h9"), NoSuchNode),
        (lambda: lab.vm_move("vm1", "s1"), NoSuchNode),
        (lambda: lab.vm_move("vm9", "h2"), NoSuchNode),
        (lambda: lab.vm_move("vm1", "h2", trigger="rest"), TopologyError),
        (lambda: lab.vm_move("vm1", "h2", trigger="magic"), TopologyError),
        (lambda: lab.vm_move("vm1", "h2", trigger="bound"), TopologyError),
        (lambda: lab.vm_move("vm1", "h2", trigger="appear", moment="never"), TopologyError),
        (lambda: lab.vm_move("vm1", "h2", pause_ms=-1, trigger="appear"), TopologyError),
        (lambda: lab.vm_move("vm1", "h2", copying_ms=-1, trigger="appear"), TopologyError),
        (lambda: lab.vm_add("vm1", "h1", port_id="x", mac="02:00:00:00:00:09"), TopologyError),
        (lambda: lab.vm_add("s1", "h1", port_id="x", mac="02:00:00:00:00:09"), TopologyError),
        (lambda: lab.vm_add("a/b", "h1", port_id="x", mac="02:00:00:00:00:09"), TopologyError),
        (lambda: lab.vm_add("vm3", "h1"), TopologyError),
        (lambda: lab.vm_add("vm3", "h1", port_id="x", mac="02:00:00:00:00:zz"), LabError),
        (lambda: lab.vm_add("vm3", "h1", port_id="x", mac="02:00:00:00:00:09", addresses=["10.9/x"]), LabError),
        (lambda: lab.vm_del("h1"), NoSuchNode),
        (lambda: lab.kill_switch("h1"), NoSuchNode),
        (lambda: lab.set_link("h1", "h2", up=False), TopologyError),
        (lambda: lab.set_link("s1", "nowhere", up=False), NoSuchNode),
        (lambda: lab.kill_vswitchd("vm1"), NoSuchNode),
        (lab.kill_controller, LabError),
    ]
    for mistake, kind in mistakes:
        with pytest.raises(kind):
            mistake()
    after = lab.status()
    assert [(vm.name, vm.host, vm.pid) for vm in after.vms] == [(vm.name, vm.host, vm.pid) for vm in before.vms]
    assert (after.switches, after.hypervisors, after.links) == (before.switches, before.hypervisors, before.links)


def test_a_graph_made_in_python_becomes_a_lab(root):
    """``up`` takes a networkx graph; a graph whose attributes no file can hold is refused and leaves nothing."""
    lab = LabClient("graph", root)
    graph = nx.star_graph(3)
    try:
        status = lab.up("graphml", {"source": graph, "edges": "s2,s4"}, controller=False)
        assert [each.edge for each in status.hypervisors] == ["s2", "s4"]
        assert len(status.links) == 3 + 2
        assert all(each.running for each in status.switches)
    finally:
        lab.down()
    graph.nodes[0]["odd"] = object()
    with pytest.raises(TopologyError):
        lab.up("graphml", {"source": graph}, controller=False)
    assert not lab.directory.exists()


def test_the_command_shows_and_runs(lab):
    """``vl2 lab status --json`` is one JSON object, and ``vm exec`` runs a command inside of the machine."""
    done = CliRunner().invoke(command, ["--name", lab.name, "status", "--json"])
    assert done.exit_code == 0
    assert '"vm1"' in done.output
    program = f"from topologies.cli import command; command(['--name', {lab.name!r}, 'vm', 'exec', 'vm1', '--', "
    program += "'ip', '-brief', 'address', 'show', 'eth0'])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "10.9.0.1/24" in said


class Terminal:
    """``vl2 lab cli`` on a terminal of its own."""

    def __init__(self, name: str) -> None:
        program = f"from topologies.cli import command; command(['--name', {name!r}, 'cli'])"
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.heard = ""

    def type(self, words: str) -> None:
        """Type a line."""
        self.heard = ""
        os.write(self.master, words.encode() + b"\n")

    def until(self, words: str) -> str:
        """Read until something is shown; returns what was."""
        deadline = time.monotonic() + 20
        while words not in self.heard:
            assert select.select([self.master], (), (), deadline - time.monotonic())[0], self.heard
            self.heard += os.read(self.master, 4096).decode(errors="replace")
        return self.heard

    def close(self) -> None:
        """Hang up."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(lab) -> Iterator[Terminal]:
    """Mininet's prompt."""
    terminal = Terminal(lab.name)
    yield terminal
    terminal.close()


def test_mininets_prompt_knows_the_machines(lab, terminal):
    """``vm1 ping vm2`` works in Mininet's prompt, Ctrl-C ends the command, and leaving it leaves the lab running."""
    terminal.until("mininet> ")
    terminal.type("vm1 ping -c 2 -i 0.2 vm2")
    assert " 0% packet loss" in terminal.until("rtt")
    terminal.until("mininet> ")
    terminal.type("nodes")
    assert "s3" in terminal.until("vm2")
    terminal.until("mininet> ")
    terminal.type("vm1 ping vm2")
    terminal.until("icmp_seq=2")
    terminal.process.send_signal(signal.SIGINT)
    terminal.until("statistics")
    terminal.until("mininet> ")
    terminal.type("exit")
    assert terminal.process.wait(20) == 0
    assert lab.status().vms[0].name == "vm1"


def test_a_prompt_that_hangs_up_ends(lab, terminal):
    """If the terminal's process dies, the lab ends its side of the prompt."""
    terminal.until("mininet> ")

    def children() -> str:
        words = ["pgrep", "-c", "-P", str(lab.status().daemon_pid), "-f", "topologies.daemon"]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()

    assert children() == "1"
    terminal.process.kill()
    poll(lambda: children() == "0")
