"""Nova migrates a server live, in its own order, over Neutron's extension ``binding-extended``.

The steps are called as in ``nova/network/neutron.py``; a real HTTP receiver stands where Nova's API is, and events are
read by a client that is not ours.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sseclient
from click.testing import CliRunner

from controller.move_cli import command as vl2_move
from tests.e2e.scene import Net, Scene, wait
from topologies.client import LabClient
from topologies.orders import VmStatus
from topologies.probing import probing
from topologies.rest import RestError

pytestmark = [pytest.mark.alone, pytest.mark.root]

SOURCE, TARGET = "h1", "h2"
TOKEN = "novas-own-token"  # noqa: S105  (it opens nothing)


class Compute:
    """Where Nova's ``os-server-external-events`` is: takes events, and remembers them."""

    def __init__(self) -> None:
        self.events: list[dict[str, str]] = []
        self.tokens: set[str | None] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.tokens.add(self.headers["X-Auth-Token"])
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer = json.dumps({"events": [{**each, "code": 200} for each in body["events"]]}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                outer.events += body["events"]

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v2.1/os-server-external-events"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def names(self, port_id: str) -> list[str]:
        """What came about a port, in order."""
        return [each["name"] for each in self.events if each["tag"] == port_id]


@dataclass(frozen=True)
class Answer:
    """What Neutron's API says."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True)
class Server:
    """A server with its ports, each of them a machine of the lab."""

    id: str
    vms: tuple[VmStatus, ...]

    @property
    def ports(self) -> list[str]:
        return [vm.port_id for vm in self.vms]


class Nova:
    """What Nova does in a live migration, with its words."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Answer:
        try:
            return Answer(200, self._scene.ask(method, f"/v2.0/ports{path}", body))
        except RestError as error:
            return Answer(error.status, {"type": error.kind})

    def bind_ports_to_host(self, server: Server, host: str) -> list[dict[str, Any]]:
        wish = {"host": host, "vnic_type": "normal", "profile": {"os_vif_delegation": True}}
        return [
            self._scene.ask("POST", f"/v2.0/ports/{port}/bindings", {"binding": wish})["binding"]
            for port in server.ports
        ]

    def setup_networks_on_host(self, server: Server, host: str) -> None:
        for port in server.ports:
            profile = {"port": {"binding:profile": {"migrating_to": host}}}
            assert self._ask("PUT", f"/{port}", profile).status == 200

    def plug_vifs(self, server: Server, host: str) -> None:
        for vm in server.vms:
            assert self._scene.lab.run(host, ["ip", "tuntap", "add", vm.tap, "mode", "tap"]).returncode == 0
            words = ["add-port", "br-int", vm.tap, "--", "set", "Interface", vm.tap]
            ids = [f"external_ids:iface-id={vm.port_id}", f'external_ids:attached-mac="{vm.mac}"']
            done = self._scene.lab.run(host, ["ovs-vsctl", "--timeout=10", *words, *ids])
            assert done.returncode == 0, done.stderr

    def unplug_vifs(self, server: Server, host: str) -> None:
        for vm in server.vms:
            done = self._scene.lab.run(host, ["ovs-vsctl", "--timeout=10", "del-port", "br-int", vm.tap])
            assert done.returncode == 0, done.stderr
            self._scene.lab.run(host, ["ip", "link", "del", vm.tap])

    def show_port_binding(self, port: str, host: str) -> Answer:
        return self._ask("GET", f"/{port}/bindings/{host}")

    def activate_port_binding(self, port: str, host: str) -> Answer:
        return self._ask("PUT", f"/{port}/bindings/{host}/activate")

    def delete_port_binding(self, port: str, host: str) -> Answer:
        return self._ask("DELETE", f"/{port}/bindings/{host}")

    def migrate_instance_start(self, server: Server, host: str) -> None:
        for port in server.ports:
            found = self.show_port_binding(port, host)
            if found.status == 200 and found.body["binding"]["status"] != "ACTIVE":
                assert self.activate_port_binding(port, host).status == 200

    def update_port_binding_for_instance(self, server: Server, host: str) -> None:
        ports = self._scene.ask("GET", f"/v2.0/ports?device_id={server.id}")["ports"]
        assert sorted(each["id"] for each in ports) == sorted(server.ports)
        for each in ports:
            assert each["binding:host_id"] == host
            assert each["binding:vif_type"] == "ovs"
            assert self._ask("PUT", f"/{each['id']}", {"port": {"binding:host_id": host}}).status == 200

    def teardown(self, server: Server, host: str) -> list[int]:
        """``setup_networks_on_host(teardown=True)``: what each deletion was answered."""
        for port in server.ports:
            assert self._ask("PUT", f"/{port}", {"port": {"binding:profile": {}}}).status == 200
        return [self.delete_port_binding(port, host).status for port in server.ports]


@pytest.fixture(scope="module")
def compute() -> Iterator[Compute]:
    """Where Nova hears."""
    compute = Compute()
    yield compute
    compute.close()


@pytest.fixture(scope="module")
def scene(compute: Compute, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A lab of two hosts whose controller tells Nova."""
    token = tmp_path_factory.mktemp("nova") / "token"
    token.touch(0o600)
    token.write_text(TOKEN)
    lab = LabClient(f"e2e-{os.getpid()}-nova")
    try:
        settings = {"webhooks": [{"url": compute.url, "token_file": str(token), "interval": 0.0}]}
        lab.up("leafspine", {"spines": 1, "leaves": 2}, rest_port=0, settings=settings)
        scene = Scene(lab)
        wait(scene.all_connected, "all switches are connected")
        yield scene
    finally:
        lab.down()


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """A network with a machine that stays at the target."""
    net = scene.network("red")
    scene.vm("stays", TARGET, net)
    return net


@pytest.fixture(scope="module")
def nova(scene: Scene) -> Nova:
    """Nova."""
    return Nova(scene)


def booted(scene: Scene, net: Net, number: int, label: str) -> Server:
    """A server at the source with so many ports."""
    server = str(uuid.uuid4())
    owner = {"device_id": server, "device_owner": "compute:nova"}
    ports = [scene.port(net, SOURCE, **owner)["id"] for _ in range(number)]
    return Server(
        server, tuple(scene.lab.vm_add(f"{label}{at}", SOURCE, port_id=port) for at, port in enumerate(ports))
    )


@pytest.fixture
def server(request: pytest.FixtureRequest, scene: Scene, net: Net, compute: Compute) -> Iterator[Server]:
    """A server with as many ports as the test wants, or one; Nova has heard that they are plugged."""
    server = booted(scene, net, getattr(request, "param", 1), f"vm-{uuid.uuid4().hex[:4]}-")
    plugged(compute, server, 1)
    yield server
    for vm in server.vms:
        scene.lab.vm_del(vm.name)


def plugged(compute: Compute, server: Server, times: int) -> None:
    """Wait until Nova has heard so many times of each port that it is plugged, and of nothing else."""
    expected = ["network-vif-plugged"] * times
    wait(lambda: all(compute.names(port) == expected for port in server.ports), f"{times} × plugged: {compute.events}")


def statuses(scene: Scene, port: str) -> dict[str, str]:
    """The status of each binding of a port."""
    found = scene.ask("GET", f"/v2.0/ports/{port}/bindings")["bindings"]
    return {each["host"]: each["status"] for each in found}


def moves(scene: Scene, port: str) -> list[dict[str, Any]]:
    """The moves of a port."""
    found: list[dict[str, Any]] = scene.ask("GET", f"/v1/moves?port_id={port}")["moves"]
    return found


def followed(scene: Scene, port: str) -> Iterator[Any]:
    """The events of a port's moves, from now on."""
    control = scene.lab.status().controller
    assert control is not None
    connection = http.client.HTTPConnection(control.rest_host, control.rest_port, timeout=20)
    token = Path(control.operator_token_file).read_text().strip()
    connection.request("GET", f"/v1/events?types=move&port_id={port}", headers={"X-Auth-Token": token})
    answer = connection.getresponse()
    assert answer.status == 200
    lines = iter(answer.readline, b"")
    assert next(lines) == b": events\n"

    def read() -> Iterator[Any]:
        try:
            yield from sseclient.SSEClient(lines).events()
        finally:
            answer.close()
            connection.close()

    return read()


@pytest.mark.parametrize("server", [1, 2], indirect=True, ids=["one port", "two ports"])
def test_live_migration(scene: Scene, nova: Nova, server: Server, compute: Compute) -> None:
    """Bound, plugged, told, activated, deleted: one move of each port, and one active binding at each moment."""
    events = [followed(scene, port) for port in server.ports]
    for binding in nova.bind_ports_to_host(server, TARGET):
        assert (binding["host"], binding["status"], binding["vif_type"]) == (TARGET, "INACTIVE", "ovs")
        assert binding["profile"] == {"os_vif_delegation": True}
    nova.setup_networks_on_host(server, TARGET)
    nova.plug_vifs(server, TARGET)
    plugged(compute, server, 2)
    for port, heard in zip(server.ports, events, strict=True):
        assert [next(heard).event, next(heard).event] == ["move.preparing", "move.ready"]
        assert statuses(scene, port) == {SOURCE: "ACTIVE", TARGET: "INACTIVE"}
        shown = scene.ask("GET", f"/v2.0/ports/{port}")["port"]
        assert (shown["binding:host_id"], shown["binding:profile"]) == (SOURCE, {"migrating_to": TARGET})
    nova.migrate_instance_start(server, TARGET)
    for port in server.ports:
        assert statuses(scene, port)[TARGET] == "ACTIVE"
        again = nova.activate_port_binding(port, TARGET)
        assert (again.status, again.body["type"]) == (409, "PortBindingAlreadyActive")
    nova.update_port_binding_for_instance(server, TARGET)
    assert set(nova.teardown(server, SOURCE)) <= {200, 404}
    for port, heard in zip(server.ports, events, strict=True):
        phases = []
        while "move.settled" not in phases:
            phases.append(next(heard).event)
        assert phases[-2:] == ["move.grace", "move.settled"]
        assert statuses(scene, port) == {TARGET: "ACTIVE"}
        assert nova.delete_port_binding(port, SOURCE).status == 404
        (move,) = moves(scene, port)
        assert (move["phase"], move["activation"], move["trigger"]) == ("settled", "request", "passive_binding")
        heard.close()
    nova.update_port_binding_for_instance(server, TARGET)
    assert [len(moves(scene, port)) for port in server.ports] == [1] * len(server.ports)
    plugged(compute, server, 2)
    assert compute.tokens == {TOKEN}
    nova.unplug_vifs(server, TARGET)


def test_activation_without_waiting(scene: Scene, nova: Nova, server: Server) -> None:
    """A Nova that waits for nothing (vif_plugging_timeout=0) activates too early: it is answered when it is so."""
    (port,) = server.ports
    nova.bind_ports_to_host(server, TARGET)
    with ThreadPoolExecutor(1) as pool:
        early = pool.submit(nova.activate_port_binding, port, TARGET)
        wait(lambda: moves(scene, port)[-1]["activation"] == "request", "the activation has come")
        assert statuses(scene, port) == {SOURCE: "ACTIVE", TARGET: "INACTIVE"}
        nova.plug_vifs(server, TARGET)
        answer = early.result(20)
    assert (answer.status, answer.body["binding"]["status"]) == (200, "ACTIVE")
    nova.unplug_vifs(server, TARGET)


@pytest.mark.parametrize("server", [1, 2], indirect=True, ids=["one port", "two ports"])
def test_rollback(scene: Scene, nova: Nova, server: Server, compute: Compute) -> None:
    """A migration that is given up leaves the server where it was, reachable; the next attempt is told anew."""
    nova.bind_ports_to_host(server, TARGET)
    nova.plug_vifs(server, TARGET)
    plugged(compute, server, 2)
    for port in server.ports:
        assert nova.delete_port_binding(port, TARGET).status == 200
        assert nova.delete_port_binding(port, TARGET).status == 404
        assert nova.activate_port_binding(port, TARGET).status == 404
        assert statuses(scene, port) == {SOURCE: "ACTIVE"}
    nova.unplug_vifs(server, TARGET)
    for vm in server.vms:
        wait(lambda vm=vm: scene.reaches("stays", scene.ip(vm.name)), "the server is reached")
    nova.bind_ports_to_host(server, TARGET)
    nova.plug_vifs(server, TARGET)
    plugged(compute, server, 3)
    for port in server.ports:
        assert nova.delete_port_binding(port, TARGET).status == 200
    nova.unplug_vifs(server, TARGET)


def test_unplugged_and_deleted(scene: Scene, net: Net, compute: Compute) -> None:
    """A server that is stopped and deleted is unplugged and deleted to Nova; a port of nobody's is not told."""
    server = booted(scene, net, 1, "ends-")
    plugged(compute, server, 1)
    (vm,) = server.vms
    scene.lab.vm_del(vm.name)
    told = ["network-vif-plugged", "network-vif-unplugged"]
    wait(lambda: compute.names(vm.port_id) == told, "Nova has heard that it is unplugged")
    scene.ask("DELETE", f"/v2.0/ports/{vm.port_id}")
    wait(lambda: compute.names(vm.port_id) == [*told, "network-vif-deleted"], "Nova has heard that it is deleted")
    assert compute.names(scene.vms()["stays"].port_id) == []


def test_a_machine_arrives_and_loses_nothing(scene: Scene, nova: Nova, server: Server, compute: Compute) -> None:
    """Under traffic the machine itself moves in this order: no probe is lost, and the terminal tells each phase."""
    (vm,) = server.vms
    wait(lambda: scene.reaches("stays", scene.ip(vm.name)), "the server is reached")
    with probing(scene.lab, "stays", vm.name) as probe:
        scene.lab.vm_move(vm.name, TARGET)
        nova.update_port_binding_for_instance(server, TARGET)
        assert nova.delete_port_binding(vm.port_id, SOURCE).status == 404
    found = probe.result()
    assert (found.lost, found.duplicated) == (0, 0), found
    plugged(compute, server, 2)
    control = scene.lab.status().controller
    assert control is not None
    where = ["--url", f"http://{control.rest_host}:{control.rest_port}", "--token-file", control.operator_token_file]
    said = CliRunner().invoke(vl2_move, [*where, "show", vm.port_id]).output
    assert "activated  by request" in said, said
    assert "settled" in said, said
