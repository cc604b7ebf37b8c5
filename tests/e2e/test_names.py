"""Machines find each other by name, each tenant's in its own network, and ask others for what is not theirs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from subprocess import Popen

import pytest

from tests.e2e.scene import Net, Scene, wait
from topologies import namespace

pytestmark = pytest.mark.root

TOPOLOGY, PARAMS = "linear", {"switches": 2}
SUBNETS = ("192.168.7.0/24", "2001:db8:7::/64")
SERVER = """
import sys, socket
import dns.message, dns.rrset
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind((sys.argv[1], 53))
while True:
    data, caller = door.recvfrom(2000)
    query = dns.message.from_wire(data)
    reply = dns.message.make_response(query)
    reply.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "203.0.113.9"))
    door.sendto(reply.to_wire(), caller)
"""


@pytest.fixture(scope="module")
def nets(scene: Scene) -> Iterator[dict[str, Net]]:
    """Two tenants with the same names and addresses: a client and a server far from each other, and a resolver."""
    found = {project: scene.network(project, *SUBNETS) for project in ("red", "blue")}
    servers: list[Popen[bytes]] = []
    for project, net in found.items():
        for number, (name, host) in enumerate((("client", "h1"), ("web", "h2"), ("resolver", "h2")), start=11):
            port = scene.port(
                net,
                host,
                dns_name=name,
                fixed_ips=[{"ip_address": f"192.168.7.{number}"}, {"ip_address": f"2001:db8:7::{number}"}],
            )
            scene.lab.vm_add(f"{project}-{name}", host, port_id=port["id"])
        resolver = scene.vms()[f"{project}-resolver"]
        with namespace.inside(resolver.pid):
            servers.append(Popen([sys.executable, "-c", SERVER, "192.168.7.13"]))
    try:
        yield found
    finally:
        for server in servers:
            server.kill()
            server.wait()


def dig(scene: Scene, vm: str, *words: str, server: str = "192.168.7.13") -> list[str]:
    """What ``dig +short`` prints, or its status where that is not NOERROR."""
    asked = scene.lab.run(vm, ["dig", f"@{server}", "+tries=2", "+time=2", *words]).stdout
    status = asked.partition("status: ")[2].partition(",")[0]
    if status != "NOERROR":
        return [status]
    return [line.split()[-1] for line in asked.splitlines() if line and not line.startswith(";")]


@pytest.mark.usefixtures("nets")
@pytest.mark.parametrize("project", ["red", "blue"])
def test_names_and_addresses_lead_to_each_other(scene: Scene, project: str) -> None:
    """Forward and reverse, in both families, by whole name and by first label, for each of two tenants alike."""
    vm = f"{project}-client"
    wait(lambda: dig(scene, vm, "web.vl2.internal") == ["192.168.7.12"], "the name is known")
    assert dig(scene, vm, "web.") == ["192.168.7.12"]
    assert dig(scene, vm, "WEB.vl2.internal", "AAAA") == ["2001:db8:7::12"]
    assert dig(scene, vm, "-x", "192.168.7.12") == ["web.vl2.internal."]
    assert dig(scene, vm, "-x", "2001:db8:7::12") == ["web.vl2.internal."]
    assert dig(scene, vm, "web.vl2.internal", server="2001:db8:7::13") == ["192.168.7.12"]
    assert dig(scene, vm, "nobody.vl2.internal") == ["NXDOMAIN"]


@pytest.mark.usefixtures("nets")
def test_other_names_are_the_servers(scene: Scene) -> None:
    """A question for a foreign name reaches the server that was asked, and its answer comes back."""
    assert dig(scene, "red-client", "www.example.org") == ["203.0.113.9"]


def test_names_follow_their_ports(scene: Scene, nets: dict[str, Net]) -> None:
    """Another name or domain is answered at once, for one tenant and not for the other."""
    port = scene.vms()["blue-web"].port_id
    scene.ask("PUT", f"/v2.0/ports/{port}", {"port": {"dns_name": "shop"}}, "blue")
    scene.ask("PUT", f"/v2.0/networks/{nets['blue'].id}", {"network": {"dns_domain": "blue.example."}}, "blue")
    shown = scene.ask("GET", f"/v2.0/ports/{port}", None, "blue")["port"]["dns_assignment"]
    assert {each["fqdn"] for each in shown} == {"shop.blue.example."}
    assert dig(scene, "blue-client", "shop.blue.example") == ["192.168.7.12"]
    assert dig(scene, "blue-client", "web.vl2.internal") == ["203.0.113.9"]
    assert dig(scene, "red-client", "web.vl2.internal") == ["192.168.7.12"]
    assert dig(scene, "red-client", "shop.blue.example") == ["203.0.113.9"]
