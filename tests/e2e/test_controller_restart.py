"""The controller is killed under traffic and started again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.scene import Net, Scene, wait
from topologies.client import LabClient
from topologies.probing import ProbeReport, probing

pytestmark = [pytest.mark.alone, pytest.mark.root]

TOPOLOGY, PARAMS = "leafspine", {"spines": 2, "leaves": 3}
SETTINGS = {"fabric": {"bfd_interval": 0.3}}
"""A test machine that stands still for a moment must not look like a dead switch while nobody is there to repair it."""


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """A network with a machine on each of two hosts."""
    net = scene.network("red")
    scene.vm("one", "h1", net)
    scene.vm("two", "h2", net)
    return net


@pytest.fixture(autouse=True)
def _alive(scene: Scene) -> Iterator[None]:
    yield
    scene.lab.start_controller()
    wait(scene.all_connected, "all switches are connected again", 40)


def everything(scene: Scene) -> dict[str, set[str]]:
    """What all switches hold."""
    status = scene.lab.status()
    held = {host.name: scene.rules(host.name) for host in status.hypervisors}
    held |= {switch.name: scene.rules(switch.name, "br0") for switch in status.switches}
    held |= {
        f"{switch.name} groups": set(scene.ofctl(switch.name, "dump-groups", "br0").splitlines()[1:])
        for switch in status.switches
    }
    return held


def unharmed(report: ProbeReport) -> bool:
    """Whether nothing was lost or doubled."""
    return (report.lost, report.duplicated) == (0, 0)


@pytest.mark.usefixtures("net")
def test_a_restart_changes_nothing(scene: Scene) -> None:
    """A killed and restarted controller sends no flow-mod and no group-mod when nothing changed; no probe is lost."""
    before = everything(scene)
    with probing(scene.lab, "one", "two") as probe:
        scene.lab.kill_controller(hard=True)
        scene.lab.start_controller()
        wait(scene.all_connected, "all switches are connected again", 40)
        counted_twice(scene)
    assert unharmed(probe.result()), probe.result()
    assert {dpid: mods for dpid, mods in scene.sent().items() if mods != (0, 0)} == {}
    assert everything(scene) == before


def counted_twice(scene: Scene) -> None:
    """Wait until links have been announced and confirmed: then all that a restart could upset has happened."""

    def confirmed() -> bool:
        topology = scene.ask("GET", "/v1/topology")["topology"]
        return not any(each["assumed"] for each in (*topology["links"], *topology["locators"]))

    wait(confirmed, "all links and locators are confirmed", 40)


@pytest.mark.usefixtures("net")
def test_a_soft_restart_changes_nothing(scene: Scene) -> None:
    """A controller that was told to end leaves all flows where they are, and sends none when it comes back."""
    with probing(scene.lab, "one", "two") as probe:
        scene.lab.kill_controller(hard=False)
        scene.lab.start_controller()
        wait(scene.all_connected, "all switches are connected again", 40)
        counted_twice(scene)
    assert unharmed(probe.result()), probe.result()
    assert {dpid: mods for dpid, mods in scene.sent().items() if mods != (0, 0)} == {}


def test_only_what_changed_meanwhile_is_sent(scene: Scene, net: Net) -> None:
    """A machine that was plugged while the controller was down is served on its return; nothing else is sent again."""
    port = scene.port(net, "h3", name="late")
    tap, card = f"tap{port['id'][:11]}", port["mac_address"]
    before = everything(scene)
    fabric = {switch.dpid for switch in scene.lab.status().switches}
    scene.lab.kill_controller(hard=True)
    with probing(scene.lab, "one", "two") as probe:
        try:
            plug(scene.lab, "h3", tap, port["id"], card)
            scene.lab.start_controller()
            wait(scene.all_connected, "all switches are connected again", 40)
            wait(lambda: status(scene, port["id"]) == "ACTIVE", "the port that was plugged meanwhile is ACTIVE")
            counted_twice(scene)
            after, sent = everything(scene), scene.sent()
        finally:
            unplug(scene.lab, "h3", tap)
    assert unharmed(probe.result()), probe.result()
    assert {dpid: mods for dpid, mods in sent.items() if dpid in fabric and mods != (0, 0)} == {}
    changed = sum(len(after[name] ^ before[name]) for name in after)
    assert len(after["h3"]) > len(before["h3"])
    assert 0 < sum(flows for flows, _ in sent.values()) <= changed
    wait(lambda: status(scene, port["id"]) == "DOWN", "the port that was unplugged is DOWN")


def plug(lab: LabClient, host: str, tap: str, port_id: str, mac: str) -> None:
    """Plug as libvirt does, past the lab, which wants a controller for it."""
    assert lab.run(host, ["ip", "tuntap", "add", tap, "mode", "tap"]).returncode == 0
    words = f"add-port br-int {tap} -- set Interface {tap} external_ids:iface-id={port_id}".split()
    done = lab.run(host, ["ovs-vsctl", "--timeout=10", *words, f'external_ids:attached-mac="{mac}"'])
    assert done.returncode == 0, done.stderr


def unplug(lab: LabClient, host: str, tap: str) -> None:
    """Take the tap away."""
    lab.run(host, ["ovs-vsctl", "--timeout=10", "--if-exists", "del-port", "br-int", tap])
    lab.run(host, ["ip", "link", "del", tap])


def status(scene: Scene, port_id: str) -> str:
    """A port's status."""
    return str(scene.ask("GET", f"/v2.0/ports/{port_id}")["port"]["status"])


def move(scene: Scene, port_id: str) -> dict[str, str]:
    """The latest move of a port."""
    found: dict[str, str] = scene.ask("GET", f"/v1/moves?port_id={port_id}")["moves"][-1]
    return found


@pytest.mark.parametrize("ready", [False, True], ids=["preparing", "ready"])
@pytest.mark.usefixtures("net")
def test_a_move_survives_the_controller(scene: Scene, ready: bool) -> None:
    """A move that was being prepared when the controller died is still there, and can be activated afterwards."""
    vm = scene.vms()["two"]
    tap = vm.tap
    bindings = f"/v2.0/ports/{vm.port_id}/bindings"
    scene.ask("POST", bindings, {"binding": {"host": "h3"}})
    try:
        if ready:
            plug(scene.lab, "h3", tap, vm.port_id, vm.mac)
            wait(lambda: move(scene, vm.port_id)["phase"] == "ready", "the move is ready")
        assert move(scene, vm.port_id)["phase"] == ("ready" if ready else "preparing")
        with probing(scene.lab, "one", "two") as probe:
            scene.lab.kill_controller(hard=True)
            scene.lab.start_controller()
            wait(scene.all_connected, "all switches are connected again", 40)
        assert unharmed(probe.result()), probe.result()
        if not ready:
            assert move(scene, vm.port_id)["phase"] == "preparing"
            plug(scene.lab, "h3", tap, vm.port_id, vm.mac)
        wait(lambda: move(scene, vm.port_id)["phase"] == "ready", "the move is ready again")
        scene.ask("PUT", f"{bindings}/h3/activate")
        wait(lambda: move(scene, vm.port_id)["phase"] == "settled", "the move is settled")
        assert scene.ask("GET", f"/v2.0/ports/{vm.port_id}")["port"]["binding:host_id"] == "h3"
    finally:
        # Back where the machine really is.
        scene.ask("PUT", f"/v2.0/ports/{vm.port_id}", {"port": {"binding:host_id": "h2"}})
        wait(lambda: move(scene, vm.port_id)["phase"] == "settled", "the port is back", 40)
        unplug(scene.lab, "h3", tap)
        wait(lambda: status(scene, vm.port_id) == "ACTIVE", "the port is ACTIVE at its own host", 40)
    assert scene.reaches("one", scene.ip("two"))
