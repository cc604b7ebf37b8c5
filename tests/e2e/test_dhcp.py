"""Machines get their addresses of the network itself, with real clients, wherever they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from click.testing import CliRunner

from overlay.guests.offers import SERVICE_MAC
from tests.e2e.scene import Ears, Net, Scene, mac_number, say, wait
from tests.model import frames
from topologies import namespace
from topologies.cli import command

pytestmark = pytest.mark.root

TOPOLOGY, PARAMS = "linear", {"switches": 2}
SETTINGS = {"overlay": {"dhcp_lease_seconds": 10}}
GATEWAY, SERVER, NEXTHOP = "192.168.9.1", "192.0.2.53", "192.168.9.9"
MTU = 1400
ROGUE = 22
"""The kind of the cookie of flows that stop servers."""

SCRIPT = """#!/usr/bin/env python3
import json, os, subprocess, sys
said = {name: os.environ[name] for name in os.environ if name.startswith(("new_", "reason")) or name.islower()}
said["what"] = sys.argv[1] if len(sys.argv) > 1 else said.get("reason", "")
with open(%r, "a") as file:
    file.write(json.dumps(said) + "\\n")
if said["what"] == "PREINIT6":
    subprocess.run(["ip", "link", "set", "dev", "eth0", "up"])
"""


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """A network of each way to get an address: DHCP, SLAAC with stateless DHCPv6, stateful DHCPv6."""
    made = scene.ask("POST", "/v2.0/networks", {"network": {"name": "n", "mtu": MTU}}, "red")["network"]
    common = {"network_id": made["id"]}
    for fields in (
        {
            "cidr": "192.168.9.0/24",
            "ip_version": 4,
            "dns_nameservers": [SERVER],
            "host_routes": [{"destination": "203.0.113.0/24", "nexthop": NEXTHOP}],
        },
        {"cidr": "2001:db8:9::/64", "ip_version": 6, **_modes("dhcpv6-stateless"), "dns_nameservers": ["2001:db8::53"]},
        {"cidr": "2001:db8:a::/64", "ip_version": 6, **_modes("dhcpv6-stateful")},
    ):
        scene.ask("POST", "/v2.0/subnets", {"subnet": {**common, **fields}}, "red")
    return Net(made["id"], "red", 0)


def _modes(mode: str) -> dict[str, str]:
    return {"ipv6_ra_mode": mode, "ipv6_address_mode": mode}


@pytest.fixture(scope="module")
def vms(scene: Scene, net: Net) -> dict[str, dict[str, Any]]:
    """The ports of a machine that nobody configures, of one that udhcpc does, and of a neighbour elsewhere."""
    ports = {}
    for name, host, how in (
        ("bare", "h1", "--configure=none"),
        ("asks", "h1", "--dhcp"),
        ("far", "h2", "--configure=none"),
    ):
        options = [{"opt_name": "tftp-server", "opt_value": "192.0.2.69"}] if name == "bare" else []
        ports[name] = scene.port(net, host, name=name, extra_dhcp_opts=options)
        words = ["--name", scene.lab.name, "vm", "add", name, "--host", host, "--port", ports[name]["id"], how]
        done = CliRunner().invoke(command, words)
        assert done.exit_code == 0, done.output
    return ports


def of(port: dict[str, Any], prefix: str) -> str:
    """The address that a port has of a subnet."""
    (found,) = (each["ip_address"] for each in port["fixed_ips"] if each["ip_address"].startswith(prefix))
    return str(found)


def has(scene: Scene, vm: str, address: str, *, whole: bool = True) -> bool:
    """Whether a machine's card has an address that it may use, or one that begins so."""
    said = scene.lab.run(vm, ["ip", "-o", "address", "show", "dev", "eth0"]).stdout
    return any(f" {address}{'/' if whole else ''}" in line and "tentative" not in line for line in said.splitlines())


def told(path: Path) -> list[dict[str, str]]:
    """What a client has told its script so far."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def client(tmp_path: Path) -> tuple[Path, Path]:
    """A script for a DHCP client, and where it writes what it was told."""
    script, said = tmp_path / "script", tmp_path / "said"
    script.write_text(SCRIPT % str(said))
    script.chmod(0o755)
    return script, said


def dhclient(scene: Scene, tmp_path: Path, family: str, what: str) -> dict[str, str]:
    """What dhclient tells its script when it has got something."""
    script, said = client(tmp_path)
    # dhclient speaks from the link-local address, which the kernel lets nobody use until it has asked for others.
    wait(lambda: has(scene, "bare", "fe80::", whole=False), "the machine has a link-local address")
    files = ["-sf", str(script), "-lf", str(tmp_path / "leases"), "-pf", str(tmp_path / "pid")]
    with (
        (tmp_path / "log").open("wb") as log,
        namespace.inside(scene.vms()["bare"].pid),
        Popen(["dhclient", family, "-1", "-d", *files, "eth0"], stdout=log, stderr=log) as running,
    ):
        try:
            return wait(lambda: next((each for each in told(said) if each["what"] == what), None), f"{what} is told")
        except AssertionError as late:
            raise AssertionError((tmp_path / "log").read_text()) from late
        finally:
            running.kill()


def test_udhcpc_hears_all_that_the_subnet_says(scene: Scene, vms: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """Address, mask, gateway, name server, routes and the default one among them, MTU, times, the port's option."""
    script, said = client(tmp_path)
    done = scene.lab.run("bare", ["udhcpc", "-f", "-q", "-n", "-t", "5", "-T", "1", "-i", "eth0", "-s", str(script)])
    assert done.returncode == 0, done.stderr
    (bound,) = (each for each in told(said) if each["what"] == "bound")
    assert (bound["ip"], bound["mask"], bound["router"]) == (of(vms["bare"], "192."), "24", GATEWAY)
    assert (bound["dns"], bound["serverid"], bound["lease"]) == (SERVER, GATEWAY, "10")
    assert bound["staticroutes"].split() == ["203.0.113.0/24", NEXTHOP, "0.0.0.0/0", GATEWAY]
    assert (bound["mtu"], bound["tftp"], bound["domain"]) == (str(MTU), "192.0.2.69", "vl2.internal")


def test_dhclient_hears_the_same(scene: Scene, vms: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """Another client, which asks by broadcast flag and raw socket of its own, gets the same address."""
    bound = dhclient(scene, tmp_path, "-4", "BOUND")
    assert (bound["new_ip_address"], bound["new_routers"]) == (of(vms["bare"], "192."), GATEWAY)
    assert bound["new_interface_mtu"] == str(MTU)


def test_a_machine_configures_its_ipv6_itself(scene: Scene, vms: dict[str, dict[str, Any]]) -> None:
    """By router advertisements alone: an address, and a route."""
    address = of(vms["bare"], "2001:db8:9:")
    wait(lambda: has(scene, "bare", address), "the machine has made its address")
    assert not has(scene, "bare", of(vms["bare"], "2001:db8:a:"))
    routes = scene.lab.run("bare", ["ip", "-6", "route", "show", "dev", "eth0"]).stdout
    assert "default via fe80::56:4cff:fe00:1" in routes
    wait(lambda: has(scene, "far", of(vms["far"], "2001:db8:9:")), "so has its neighbour")
    wait(lambda: scene.reaches("bare", of(vms["far"], "2001:db8:9:")), "they reach each other")


def test_dhclient_gets_ipv6_addresses(scene: Scene, vms: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """Stateful DHCPv6 gives the port's address, and the name server of the subnet that is stateless."""
    bound = dhclient(scene, tmp_path, "-6", "BOUND6")
    assert bound["new_ip6_address"] == of(vms["bare"], "2001:db8:a:")
    assert "2001:db8::53" in bound["new_dhcp6_name_servers"]


def test_a_machine_keeps_its_address_through_a_move_and_a_restart(scene: Scene, vms: dict[str, dict[str, Any]]) -> None:
    """It renews its lease after a move, and when the controller has started anew."""
    address = of(vms["asks"], "192.")
    assert has(scene, "asks", address)
    assert GATEWAY in scene.lab.run("asks", ["ip", "route", "show", "default"]).stdout
    scene.lab.vm_move("asks", "h2")
    answered(scene, lambda: None)
    scene.lab.kill_controller(hard=True)
    answered(scene, scene.lab.start_controller)
    assert has(scene, "asks", address)


def answered(scene: Scene, before: Callable[[], object]) -> None:
    """Wait until a DHCP question more is answered than there were after something."""
    before()
    already = answers(scene)
    wait(lambda: answers(scene) > already, "a lease is renewed", 15)


def answers(scene: Scene) -> int:
    """How many DHCP questions the controller has answered since it started."""
    (dhcp,) = (each for each in scene.health()["questions"] if each["kind"] == "dhcp")
    assert (dhcp["unsound"], dhcp["failed"]) == (0, 0)
    return int(dhcp["answered"])


def test_rogue_servers_are_stopped(scene: Scene, vms: dict[str, dict[str, Any]]) -> None:
    """An offer, a DHCPv6 reply and a router advertisement of a machine end at its port, unheard, each counted."""
    found = scene.vms()
    rogue, victim = found["bare"], mac_number(found["far"].mac)
    own = mac_number(rogue.mac)
    six = (int(IPv6Address("fe80::1")), int(IPv6Address("ff02::1")))
    lies = [
        frames.ethernet(victim, own, 0x0800, _ipv4(of(vms["bare"], "192."), of(vms["far"], "192."), 67, 68)),
        frames.ethernet(victim, own, 0x86DD, _ipv6(*six, 17, _udp(547, 546))),
        frames.ethernet(0x333300000001, own, 0x86DD, _ipv6(*six, 58, bytes([134, 0]) + bytes(14))),
    ]
    honest = frames.ethernet(victim, own, 0x0800, _ipv4(of(vms["bare"], "192."), of(vms["far"], "192."), 1067, 1068))
    before = stopped(scene, vms["bare"]["id"])
    with Ears(scene.lab, "far", interfaces=("eth0",)) as ears:
        say(rogue, *lies)
        wait(lambda: stopped(scene, vms["bare"]["id"]) == before + len(lies), "all are counted")
        say(rogue, honest)
        heard = [each.frame for each in ears.hear(quiet=0.2)]
    assert honest in heard
    assert not [lie for lie in lies if lie in heard]


def stopped(scene: Scene, port_id: str) -> int:
    """How many frames of a port were stopped that only a server would say."""
    drops = scene.ask("GET", f"/v1/ports/{port_id}/drops", project="red")["drops"]
    (rogue,) = (each["packets"] for each in drops if each["reason"] == "rogue")
    return int(rogue)


def _udp(source: int, target: int) -> bytes:
    return source.to_bytes(2) + target.to_bytes(2) + (20).to_bytes(2) + bytes(14)


def _ipv4(source: str, target: str, source_port: int, target_port: int) -> bytes:
    head = bytes([0x45, 0]) + (40).to_bytes(2) + bytes(4) + bytes([64, 17])
    addresses = IPv4Address(source).packed + IPv4Address(target).packed
    total = frames.checksum(head + bytes(2) + addresses)
    return head + total.to_bytes(2) + addresses + _udp(source_port, target_port)


def _ipv6(source: int, target: int, protocol: int, body: bytes) -> bytes:
    head = (0x6000_0000).to_bytes(4) + len(body).to_bytes(2) + bytes([protocol, 255])
    return head + source.to_bytes(16) + target.to_bytes(16) + body


def test_the_gateway_is_there_for_questions_only(scene: Scene, vms: dict[str, dict[str, Any]]) -> None:
    """The machine knows the gateway's MAC, which is the services'; what it sends there otherwise goes nowhere."""
    assert vms
    scene.lab.run("asks", ["ping", "-n", "-q", "-c1", "-W1", GATEWAY])
    neighbours = scene.lab.run("asks", ["ip", "neighbour", "show", GATEWAY, "dev", "eth0"]).stdout
    assert str(SERVICE_MAC) in neighbours
