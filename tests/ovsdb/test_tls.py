"""Hosts that call by TLS, and who they may be."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import eventlet
import pytest
from eventlet.green import socket as green_socket

from controller import certificates, tls
from controller.events import FabricReachable, HostReachable
from controller.ovsdb.server import HostsServer
from controller.pki import Pki, machine_named
from controller.settings import parse
from controller.trust import Trust
from overlay.values import HostName

NOW = datetime.now(UTC)
OPENFLOW_TLS_PORT = 36653


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    """Certificates of the controller, two hypervisors and a fabric switch."""
    made = Pki(tmp_path / "pki")
    made.init("controller", ["127.0.0.1"], NOW, days=90, force=False)
    for name in ("h1", "h2", "10.0.0.5", "tor1=0000000000030001"):
        made.add(machine_named(name), NOW, days=90, force=False)
    return made


@pytest.fixture
def trusting(pki: Pki) -> Callable[..., ssl.SSLContext]:
    """What the listeners show and demand, with more settings."""
    mine = pki.controller
    files = {"ca": str(pki.authority.certificate), "certificate": str(mine.certificate), "key": str(mine.key)}

    def make(**more: str) -> ssl.SSLContext:
        found = Trust(parse({"tls": files | more})).switches
        assert found is not None
        return found

    return make


@pytest.fixture
def context(trusting) -> ssl.SSLContext:
    """What the listeners show and demand."""
    return trusting()


@pytest.fixture
def serve_as(context: ssl.SSLContext, pki: Pki, recorder) -> Iterator[Callable[..., HostsServer]]:
    """Start a listener for TLS alone that shows a machine's certificate, or the controller's."""
    servers: list[HostsServer] = []

    def start(name: str | None, shown: ssl.SSLContext = context) -> HostsServer:
        if name is not None:
            shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            shown.load_cert_chain(pki.machine(name).certificate, pki.machine(name).key)
        server = HostsServer()
        here = [("127.0.0.1", 0)]
        server.start((), 26653, recorder, tls_addresses=here, openflow_tls_port=OPENFLOW_TLS_PORT, context=shown)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def server(serve_as) -> HostsServer:
    """A listener that shows the controller's certificate."""
    return serve_as(None)


@pytest.fixture
def call_at(make_hypervisor, pki: Pki) -> Callable[..., object]:
    """Let a database with a machine's certificate call a listener, and say who it is."""

    def dial(server: HostsServer, certificate: str, **external_ids: str):
        hypervisor = make_hypervisor(switch=False)
        place = pki.machine(certificate)
        hypervisor.kill("ovsdb-server")
        hypervisor.certify(place.key, place.certificate, pki.authority.certificate)
        hypervisor.start_database()
        keys = (f"external_ids:{key.replace('_', '-')}={value}" for key, value in external_ids.items())
        hypervisor.vsctl("set", "Open_vSwitch", ".", *keys)
        address, port = server.addresses[0]
        hypervisor.vsctl("set-manager", f"ssl:{address}:{port}")
        return hypervisor

    return dial


@pytest.fixture
def call(call_at, server: HostsServer) -> Callable[..., object]:
    """Let a database with a machine's certificate call, and say who it is."""
    return lambda certificate, **external_ids: call_at(server, certificate, **external_ids)


@pytest.mark.parametrize("name", ["h1", "10.0.0.5"])
def test_a_host_joins_by_tls(call, recorder, until, name: str) -> None:
    """A host with its own certificate joins, and its br-int is told to call by TLS as well."""
    hypervisor = call(name, vl2_host=name, vl2_la="10.0.1.11")
    until(lambda: recorder.of(HostReachable), "the host is here")
    until(lambda: hypervisor.rows("Controller"), "its br-int is made")
    assert [row["target"] for row in hypervisor.rows("Controller")] == [f"ssl:127.0.0.1:{OPENFLOW_TLS_PORT}"]


def test_a_plain_controller_becomes_an_encrypted_one(call, until) -> None:
    """A br-int that was told to call this address without TLS is told otherwise, and does not go on doing both."""
    hypervisor = call("h1", vl2_host="h1", vl2_la="10.0.1.11")
    until(lambda: hypervisor.rows("Controller"), "its br-int is made")
    hypervisor.vsctl("set", "Controller", "br-int", 'target="tcp:127.0.0.1:26653"')
    secure = [f"ssl:127.0.0.1:{OPENFLOW_TLS_PORT}"]
    until(lambda: [row["target"] for row in hypervisor.rows("Controller")] == secure, "it is repaired")


def test_a_host_cannot_pose_as_the_controller(serve_as, call_at, recorder, until) -> None:
    """Open vSwitch hangs up on a listener that shows it a hypervisor's certificate, also of the right authority."""
    hypervisor = call_at(serve_as("h2"), "h1", vl2_host="h1", vl2_la="10.0.1.11")
    log = hypervisor.directory / "ovsdb-server.log"
    until(lambda: "certificate verify failed" in log.read_text(), "it is refused")
    assert recorder.events == []
    call_at(serve_as(None), "h1", vl2_host="h1", vl2_la="10.0.1.11")
    until(lambda: recorder.of(HostReachable), "and the controller's own is believed")


@pytest.mark.parametrize("certificate", ["h2", "tor1"])
def test_a_host_cannot_take_anothers_name(call, recorder, until, server, certificate: str) -> None:
    """A machine that says it is a host for which it has no certificate is not told of, not written to, and logged."""
    hypervisor = call(certificate, vl2_host="h1", vl2_la="10.0.1.11")
    (problem,) = until(lambda: [problem for host in server.hosts() for problem in host.problems], "it is refused")
    assert "so it cannot be here as host h1" in problem
    assert recorder.events == []
    assert hypervisor.written() == 0


def test_a_host_cannot_become_another(call, recorder, until, server) -> None:
    """A host that changes its name while it is here is thrown out, and the host of that name is not disturbed."""
    call("h1", vl2_host="h1", vl2_la="10.0.1.11")
    second = call("h2", vl2_host="h2", vl2_la="10.0.2.11")
    until(lambda: len(recorder.of(HostReachable)) == 2, "both are here")
    second.vsctl("set", "Open_vSwitch", ".", "external_ids:vl2-host=h1")
    until(lambda: {host.name for host in server.hosts() if host.connected} == {"h1"}, "only the true one is here")
    assert len(recorder.of(HostReachable)) == 2


@pytest.mark.parametrize(("certificate", "here"), [("tor1", True), ("h1", False)])
def test_a_fabric_switch_has_its_datapath_id(  # noqa: PLR0917  (fixtures)
    call, recorder, until, server, certificate: str, here: bool
) -> None:
    """A machine is a fabric switch only with a certificate for that datapath id; a hypervisor's will not do."""
    hypervisor = call(certificate, vl2_fabric="br0")
    dpid = "0000000000030001"
    hypervisor.vsctl("add-br", "br0", "--", "set", "Bridge", "br0", f'datapath_id="{dpid}"')
    refused = f"so it cannot be here as fabric switch {dpid}"
    if here:
        until(lambda: recorder.of(FabricReachable), "it is here")
    else:
        until(lambda: any(refused in problem for host in server.hosts() for problem in host.problems), "it is refused")
        assert recorder.events == []


def _certificateless() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _is_refused(address: tuple[str, int], context: ssl.SSLContext) -> bool:
    """Whether a client that shakes hands and asks for something is hung up on."""
    raw = green_socket.create_connection(address)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    talk = context.wrap_bio(incoming, outgoing)

    def step(action: Callable[[], object]) -> object:
        while True:
            try:
                return action()
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                data = raw.recv(65536)
                if not data:
                    raise ConnectionResetError from None
                incoming.write(data)
            finally:
                if outgoing.pending:
                    raw.sendall(outgoing.read())

    try:
        raw.settimeout(20)
        step(talk.do_handshake)
        step(lambda: talk.write(b'{"id":1,"method":"echo","params":[]}'))
        return step(lambda: talk.read(100)) == b""
    except (ssl.SSLError, ConnectionError):
        return True
    finally:
        raw.close()


def test_who_has_no_certificate_gets_nowhere(server, pki: Pki, recorder, caplog, tmp_path: Path) -> None:
    """A client without a certificate, with an expired one, another authority's or a server's is refused."""
    (address,) = server.addresses
    nobody = _certificateless()
    assert _is_refused(address, nobody)
    other = certificates.authority(certificates.facts(pki.authority.certificate.read_bytes()).common_name, NOW)
    ours = certificates.Pair(pki.authority.certificate.read_bytes(), pki.authority.key.read_bytes())
    early = NOW.replace(year=NOW.year - 2)
    aged = certificates.authority("aged", early)
    pairs = {
        "another authority": certificates.machine(other, "h1", ["h1"], NOW),
        "self-signed": certificates.self_made("h1", ["h1"], NOW),
        "a server's": certificates.controller(ours, "h1", ["h1"], NOW),
        "expired": certificates.machine(aged, "h1", ["h1"], early, days=3),
    }
    for who, pair in pairs.items():
        (tmp_path / "c.pem").write_bytes(pair.certificate)
        (tmp_path / "key.pem").write_bytes(pair.key)
        client = _certificateless()
        client.load_cert_chain(tmp_path / "c.pem", tmp_path / "key.pem")
        assert _is_refused(address, client), who
    assert recorder.events == []
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1 + len(pairs), "one line for each"
    good = _certificateless()
    good.load_cert_chain(pki.machine("h1").certificate, pki.machine("h1").key)
    assert not _is_refused(address, good), "and whoever has one is answered"


def test_a_revoked_certificate_is_none(  # noqa: PLR0917  (fixtures)
    call_at, pki: Pki, serve_as, recorder, until, trusting
) -> None:
    """A host whose certificate was revoked does not join; another does, and so does that host with a new one."""
    stolen = pki.machine("h1")
    former = {path: path.read_bytes() for path in (stolen.certificate, stolen.key)}
    pki.revoke("h1", NOW)
    server = serve_as(None, trusting(revoked=str(pki.revoked)))
    for path, content in former.items():
        path.write_bytes(content)
    thief = call_at(server, "h1", vl2_host="h1", vl2_la="10.0.1.11")
    log = thief.directory / "ovsdb-server.log"
    until(lambda: "certificate revoked" in log.read_text(), "it is refused")
    call_at(server, "h2", vl2_host="h2", vl2_la="10.0.2.11")
    until(lambda: recorder.of(HostReachable) == [HostReachable(HostName("h2"))], "the other is here")
    thief.stop()
    pki.add(machine_named("h1"), NOW, days=90, force=True)
    call_at(server, "h1", vl2_host="h1", vl2_la="10.0.1.11")
    until(lambda: len(recorder.of(HostReachable)) == 2, "the host is here by its new certificate")


def test_silence_and_plain_text_keep_nobody_waiting(  # noqa: PLR0917  (fixtures)
    server, call, recorder, until, monkeypatch, caplog
) -> None:
    """Callers that never shake hands are hung up on with a line each, and a host joins meanwhile."""
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 3.0)
    (address,) = server.addresses
    silent = [green_socket.create_connection(address) for _ in range(30)]
    plain = green_socket.create_connection(address)
    plain.sendall(b'{"id":1,"method":"echo","params":[]}')
    call("h1", vl2_host="h1", vl2_la="10.0.1.11")
    until(lambda: recorder.of(HostReachable), "the host is here")
    for each in (*silent, plain):
        each.settimeout(20)
        said = each.recv(100)
        assert said[:1] in {b"", b"\x15"}, "at most an alert"
        each.close()
    until(lambda: "no handshake within 3 s" in caplog.text, "it is logged")
    assert sum("hung up: no handshake" in record.getMessage() for record in caplog.records) == 31


def test_stopping_hangs_up_on_those_who_shake_hands(server) -> None:
    """A server that stops does not wait for a caller that never shakes hands."""
    (address,) = server.addresses
    silent = green_socket.create_connection(address)
    eventlet.sleep(0.01)
    server.stop()
    silent.settimeout(20)
    assert silent.recv(1) == b""
    silent.close()
