"""What the real OpenStack clients order is what the packets then do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.scene import Ears, Scene, ipv4, mac_number, say, wait
from tests.openstack.clients import Command, clouds, script

pytestmark = pytest.mark.root

TOPOLOGY, PARAMS = "leafspine", {"spines": 1, "leaves": 2}
BINARIES = Path(os.environ.get("VL2_OPENSTACK", Path(__file__).parents[2] / ".venv-openstack")) / "bin"
RANGE = "10.20.0.0/24"


@dataclass(frozen=True)
class Clients:
    """The commands of the operator and of two tenants, and the SDK."""

    config: Path
    op: Command
    red: Command
    blue: Command

    def sdk(self, cloud: str, *words: str) -> Any:
        """Run the scene's script as one of them."""
        return script(BINARIES, self.config, cloud, "sdk_scene.py", *words)


@pytest.fixture(scope="module")
def clients(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    """The real packages, as the operator and as the two projects of the lab."""
    if not (BINARIES / "openstack").exists():
        pytest.skip(f"{BINARIES} is not there: make .venv-openstack/bin/openstack")
    control = scene.lab.status().controller
    assert control is not None
    config = clouds(
        tmp_path_factory.mktemp("clients"),
        f"http://{control.rest_host}:{control.rest_port}",
        Path(control.operator_token_file),
        {name: Path(file) for name, file in control.project_token_files.items()},
    )
    with (
        Command(BINARIES, config, "op") as op,
        Command(BINARIES, config, "red") as red,
        Command(BINARIES, config, "blue") as blue,
    ):
        yield Clients(config, op, red, blue)


def plug(scene: Scene, tenant: Command, name: str, network: str, host: str, *options: str) -> str:
    """A machine at a port that its tenant makes with the command.  :returns: its address."""
    port = tenant.look(f"port create --network {network} {' '.join(options)} {name}")
    scene.lab.vm_add(name, host, port_id=port["id"])
    return str(port["fixed_ips"][0]["ip_address"])


@pytest.fixture(scope="module")
def pair(scene: Scene, clients: Clients) -> tuple[str, str]:
    """The addresses of red1 at h1 and red2 at h2, in a network that the command has made."""
    clients.red.look("network create red-net")
    clients.red.look(f"subnet create --network red-net --subnet-range {RANGE} red-4")
    return plug(scene, clients.red, "red1", "red-net", "h1"), plug(scene, clients.red, "red2", "red-net", "h2")


def silent(scene: Scene, name: str, address: str) -> bool:
    """Whether pings are not answered, several in a row."""
    return not any(scene.reaches(name, address) for _ in range(2))


def test_two_machines_of_the_command_ping(scene: Scene, pair: tuple[str, str]) -> None:
    """Two machines at ports that ``openstack port create`` made reach each other, across the fabric."""
    one, two = pair
    assert scene.reaches("red1", two, 5)
    assert scene.reaches("red2", one, 5)


def test_a_port_is_switched_off_and_on(scene: Scene, clients: Clients, pair: tuple[str, str]) -> None:
    """``port set --disable`` stops the machine's traffic both ways, ``--enable`` brings it back."""
    one, two = pair
    clients.red("port set --disable red2")
    wait(lambda: silent(scene, "red1", two), "nothing reaches the machine")
    assert silent(scene, "red2", one)
    assert clients.red.look("port show red2")["admin_state_up"] is False
    clients.red("port set --enable red2")
    wait(lambda: scene.reaches("red1", two), "the machine is reached again")
    assert scene.reaches("red2", one)


def test_a_network_is_switched_off_and_on(scene: Scene, clients: Clients, pair: tuple[str, str]) -> None:
    """``network set --disable`` stops all its machines, ``--enable`` brings them back."""
    one, two = pair
    clients.red("network set --disable red-net")
    wait(lambda: silent(scene, "red1", two), "nothing reaches the one machine")
    assert silent(scene, "red2", one)
    clients.red("network set --enable red-net")
    wait(lambda: scene.reaches("red1", two), "the machine is reached again")
    assert scene.reaches("red2", one)


def test_a_port_is_moved_by_its_host(scene: Scene, clients: Clients, pair: tuple[str, str]) -> None:
    """``port set --host`` begins a move, which the machine completes by appearing there; then it is reached there."""
    one, two = pair
    id_ = clients.op.look("port show red2")["id"]
    clients.op("port set --host h1 red2")
    scene.lab.vm_move("red2", "h1", trigger="appear")
    assert scene.reaches("red1", two, 5)
    assert scene.reaches("red2", one, 5)
    assert clients.op.look("port show red2")["binding_host_id"] == "h1"
    move = scene.ask("GET", f"/v1/moves?port_id={id_}")["moves"][-1]
    assert (move["phase"], move["source"], move["target"]) == ("settled", "h2", "h1")


def test_a_shared_network_carries_anothers_port(scene: Scene, clients: Clients, pair: tuple[str, str]) -> None:
    """A network that ``network rbac create`` shares with a project carries its machine, and none before that.

    What strangers may send each other there is for their security groups to say.
    """
    one, _ = pair
    assert "red-net" in clients.blue.refused("port create --network red-net guest")
    clients.red.look("network rbac create --type network --action access_as_shared --target-project blue red-net")
    address = plug(scene, clients.blue, "guest", "red-net", "h2")
    assert silent(scene, "guest", one)
    assert silent(scene, "red1", address)
    rules = [
        (each, each.look("security group rule create --protocol icmp default")) for each in (clients.red, clients.blue)
    ]
    wait(lambda: scene.reaches("guest", one), "red lets it in")
    wait(lambda: scene.reaches("red1", address), "blue lets it in")
    for each, rule in rules:
        each(f"security group rule delete {rule['id']}")
    scene.lab.vm_del("guest")
    clients.blue("port delete guest")


def test_overlapping_prefixes_do_not_hear_each_other(scene: Scene, clients: Clients, pair: tuple[str, str]) -> None:
    """Another project's network with the same prefix, made through the SDK, works and hears nothing of the first."""
    one, _ = pair
    made = clients.sdk("blue", "make", "twin", RANGE, "2")
    for number, (port, host) in enumerate(zip(made["ports"], ("h1", "h2"), strict=True), start=1):
        scene.lab.vm_add(f"twin{number}", host, port_id=port)
    vms = scene.vms()
    theirs = scene.ip("twin1")
    assert scene.reaches("twin2", theirs, 5)
    assert {scene.ip("twin1"), scene.ip("twin2")} & {one, scene.ip("red2")}, "the addresses overlap"
    with Ears(scene.lab, "twin1", "twin2", interfaces=("eth0",)) as ears:
        ears.hear(0.1)
        for address in (scene.ip("twin1"), scene.ip("twin2"), "10.20.0.255"):
            for mac in (mac_number(vms["twin1"].mac), mac_number(vms["twin2"].mac), 0xFFFFFFFFFFFF):
                say(vms["red1"], ipv4(vms["red1"], mac, address, b"of-red-alone"))
        heard = [each for each in ears.hear(0.5) if b"of-red-alone" in each.frame]
    assert not heard


def test_the_sdk_switches_and_moves(scene: Scene, clients: Clients) -> None:
    """What the SDK switches off is silent until it is on again, and what it moves is reached at the other host."""
    made = clients.sdk("red", "make", "sdk", "10.30.0.0/24", "2")
    for number, (port, host) in enumerate(zip(made["ports"], ("h1", "h2"), strict=True), start=1):
        scene.lab.vm_add(f"sdk{number}", host, port_id=port)
    address = scene.ip("sdk2")
    assert scene.reaches("sdk1", address, 5)
    for kind, id_ in (("port", made["ports"][1]), ("network", made["network"])):
        assert clients.sdk("red", kind, id_, "down") == {"up": False}
        wait(lambda: silent(scene, "sdk1", address), f"the {kind} is off")
        assert clients.sdk("red", kind, id_, "up") == {"up": True}
        wait(lambda: scene.reaches("sdk1", address), f"the {kind} is on")
    assert clients.sdk("op", "bind", made["ports"][1], "h1") == {"status": "INACTIVE"}
    scene.lab.vm_move("sdk2", "h1", trigger="appear")
    assert clients.op.look(f"port show {made['ports'][1]}")["binding_host_id"] == "h1"
    assert scene.reaches("sdk1", address, 5)


def test_the_sdk_activates_a_binding(scene: Scene, clients: Clients) -> None:
    """``activate_port_binding`` of a prepared host returns when what is sent to the port arrives there."""
    port, other = clients.sdk("op", "make", "bound", "10.40.0.0/24", "2")["ports"]
    scene.lab.vm_add("bound1", "h1", port_id=port)
    scene.lab.vm_add("bound2", "h1", port_id=other)
    address = scene.ip("bound1")
    assert scene.reaches("bound2", address, 5)
    assert clients.sdk("op", "bind", port, "h2") == {"status": "INACTIVE"}
    # A second tap of the port: the machine itself stays where it is, and only the network follows.
    plug = ["ovs-vsctl", "--timeout=5", "add-port", "br-int", "bound0", "--", "set", "Interface", "bound0"]
    for argv in ([*plug, "type=internal", f"external_ids:iface-id={port}"], ["ip", "link", "set", "bound0", "up"]):
        done = scene.lab.run("h2", argv)
        assert done.returncode == 0, done.stderr
    wait(lambda: scene.ask("GET", f"/v1/moves?port_id={port}")["moves"][-1]["phase"] == "ready", "h2 is ready")
    assert clients.sdk("op", "activate", port, "h2")["h2"] == "ACTIVE"
    assert clients.op.look(f"port show {port}")["binding_host_id"] == "h2"
    vms = scene.vms()
    with Ears(scene.lab, "h2", interfaces=("bound0",)) as ears:
        say(vms["bound2"], ipv4(vms["bound2"], mac_number(vms["bound1"].mac), address, b"follow-me"))
        assert [each for each in ears.hear(1.0) if b"follow-me" in each.frame]
