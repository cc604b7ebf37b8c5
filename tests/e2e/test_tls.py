"""A lab in which OpenFlow, OVSDB and REST are encrypted, and who gets in without the right certificate."""

from __future__ import annotations

import os
import select
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.scene import Scene, wait
from topologies.client import LabClient
from topologies.nodes import OPENFLOW_PORT, OVSDB_PORT

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """A leaf-spine lab of two hosts with TLS everywhere."""
    lab = LabClient(f"e2e-{os.getpid()}-tls")
    try:
        lab.up("leafspine", {"spines": 1, "leaves": 2}, rest_port=0, tls=True)
        scene = Scene(lab)
        wait(scene.all_connected, "all switches are connected")
        yield scene
    finally:
        lab.down()


@pytest.fixture(scope="module")
def pinged(scene: Scene) -> Scene:
    """Two machines on two hosts, of which one reaches the other."""
    net = scene.network("red")
    scene.vm("one", "h1", net)
    scene.vm("two", "h2", net)
    wait(lambda: scene.reaches("one", scene.ip("two")), "one machine reaches the other")
    return scene


def targets(scene: Scene) -> set[str]:
    """Whom all switches and hypervisors call."""
    status = scene.lab.status()
    found = set()
    for node in (*status.switches, *status.hypervisors):
        for table in ("Controller", "Manager"):
            done = scene.lab.run(node.name, ["ovs-vsctl", "--bare", "--columns=target", "list", table])
            found |= set(done.stdout.split())
    return found


def log(scene: Scene) -> str:
    """What the controller has said."""
    control = scene.lab.status().controller
    assert control is not None
    return Path(control.log).read_text()


def test_machines_reach_each_other(pinged: Scene) -> None:
    """With TLS everywhere the overlay works as without, and every switch calls by TLS alone."""
    address = pinged.lab.status().management
    assert targets(pinged) == {f"ssl:{address}:{port}" for port in (OPENFLOW_PORT, OVSDB_PORT)}


def test_the_api_is_https_alone(pinged: Scene) -> None:
    """The API answers whoever believes the lab's authority, and says nothing to a request in plain text."""
    control = pinged.lab.status().controller
    assert control is not None
    assert control.url.startswith("https:")
    assert pinged.health()["ready"]
    with socket.create_connection((control.rest_host, control.rest_port), timeout=20) as plain:
        plain.sendall(b"GET /v1/health HTTP/1.0\r\n\r\n")
        assert is_no_answer(to_the_end(plain))


def to_the_end(connection: socket.socket) -> bytes:
    """All that the other end says until it hangs up."""
    said = b""
    try:
        while chunk := connection.recv(4096):
            said += chunk
    except ConnectionError:
        pass
    return said


def is_no_answer(said: bytes) -> bool:
    """Whether it is nothing, or an alert of TLS (content type 21, RFC 8446 §5.1)."""
    return len(said) <= 7 and said[:1] in {b"", b"\x15"}


def refused(address: tuple[str, int], context: ssl.SSLContext, words: bytes) -> bool:
    """Whether whoever says these words is hung up on without any answer."""
    try:
        with socket.create_connection(address, timeout=20) as raw, context.wrap_socket(raw) as talk:
            talk.sendall(words)
            return talk.recv(100) == b""  # with TLS 1.3 the server's refusal comes after the client's handshake
    except (ssl.SSLError, ConnectionError):
        return True


@pytest.mark.parametrize("port", [OPENFLOW_PORT, OVSDB_PORT])
def test_strangers_get_nowhere(pinged: Scene, port: int, tmp_path: Path) -> None:
    """Neither plain text, nor TLS without a certificate, nor one of another authority gets an answer."""
    address = (pinged.lab.status().management, port)
    hello = b"\x06\x00\x00\x08\x00\x00\x00\x01" if port == OPENFLOW_PORT else b'{"id":1,"method":"echo","params":[]}'
    with socket.create_connection(address, timeout=20) as plain:
        plain.sendall(hello)
        assert is_no_answer(to_the_end(plain))
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    assert refused(address, anybody, hello), "no certificate"
    forger = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=h1 -days 2"
    files = f"-addext subjectAltName=DNS:h1 -keyout {tmp_path}/key.pem -out {tmp_path}/c.pem"
    subprocess.run([*forger.split(), *files.split()], check=True, capture_output=True)
    anybody.load_cert_chain(tmp_path / "c.pem", tmp_path / "key.pem")
    assert refused(address, anybody, hello), "somebody else's certificate"
    assert pinged.reaches("one", pinged.ip("two"))


def test_a_host_cannot_be_another(pinged: Scene) -> None:
    """A hypervisor that says it is another one is ignored over OVSDB, and its br-int over OpenFlow."""
    own = pinged.lab.run("h2", ["ovs-vsctl", "get", "Bridge", "br-int", "other_config:datapath-id"]).stdout.strip()
    victim = pinged.lab.run("h1", ["ovs-vsctl", "get", "Bridge", "br-int", "other_config:datapath-id"]).stdout.strip()
    before = pinged.rules("h1")
    try:
        pinged.lab.run("h2", ["ovs-vsctl", "--no-wait", "set", "Open_vSwitch", ".", "external_ids:vl2-host=h1"])
        wait(lambda: "its certificate is for h2, so it cannot be here as host h1" in log(pinged), "it is refused")
        pinged.lab.run("h2", ["ovs-vsctl", "set", "Bridge", "br-int", f"other_config:datapath-id={victim}"])
        wait(lambda: "its certificate is for h2, not for 564c" in log(pinged), "its br-int is refused")
        assert pinged.rules("h1") == before
        assert "takes the place" not in log(pinged)
    finally:
        pinged.lab.run("h2", ["ovs-vsctl", "set", "Bridge", "br-int", f"other_config:datapath-id={own}"])
        pinged.lab.run("h2", ["ovs-vsctl", "--no-wait", "set", "Open_vSwitch", ".", "external_ids:vl2-host=h2"])
    wait(pinged.all_connected, "all switches are connected again", 40)
    wait(lambda: pinged.reaches("one", pinged.ip("two")), "one machine reaches the other again")


def test_switches_come_back(pinged: Scene) -> None:
    """A controller that was killed and started again has all sessions back, by TLS, and machines never noticed."""
    pinged.lab.kill_controller(hard=True)
    assert pinged.reaches("one", pinged.ip("two"))
    pinged.lab.start_controller()
    wait(pinged.all_connected, "all switches are connected again", 40)
    assert pinged.reaches("one", pinged.ip("two"))
    assert all(target.startswith("ssl:") for target in targets(pinged))


def is_over(connection: socket.socket) -> bool:
    """Whether the other end has hung up."""
    return bool(select.select([connection], [], [], 0)[0])


def test_a_silent_caller_keeps_nobody_waiting(pinged: Scene) -> None:
    """Callers that open a connection and say nothing are hung up on; others are served meanwhile."""
    address = pinged.lab.status().management
    silent = [socket.create_connection((address, port), timeout=30) for port in (OPENFLOW_PORT, OVSDB_PORT) * 20]
    try:
        pinged.lab.kill_vswitchd("h2")
        pinged.lab.restart_vswitchd("h2")
        wait(pinged.all_connected, "the restarted switch is connected")
        assert not any(is_over(each) for each in silent), "it did not have to wait for the silent ones"
        assert [each.recv(1) for each in silent] == [b""] * len(silent)
    finally:
        for each in silent:
            each.close()
