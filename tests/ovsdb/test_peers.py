"""What can a slow, silent or hostile caller do to itself, and what to others?"""

import json
import socket
import time

import eventlet
import pytest
from eventlet.green import socket as green_socket

from controller.ovsdb import hangups, peer
from controller.ovsdb.server import HostsServer
from overlay.changes import HostSeen


@pytest.fixture
def dial(server):
    """Call the server with a bare socket."""
    sockets = []
    (address,) = server.addresses

    def call():
        sock = green_socket.create_connection(address)
        sock.settimeout(10)
        sockets.append(sock)
        return sock

    yield call
    for sock in sockets:
        sock.close()


def hung_up(sock):
    """Read to the end; whether the server ended the conversation."""
    try:
        while sock.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def shout(sock, words):
    """Say the same ten thousand times."""
    for _ in range(10_000):
        sock.sendall(words)
        eventlet.sleep(0)


@pytest.fixture
def healthy(make_hypervisor, server, until, recorder):
    """A host in good order whose session must not suffer."""
    hypervisor = make_hypervisor(switch=False)
    hypervisor.join(server)
    until(lambda: recorder.of(HostSeen) and hypervisor.written() == 1)
    recorder.events.clear()
    return hypervisor


@pytest.mark.parametrize(
    "words",
    [
        b"GET / HTTP/1.1\r\n\r\n}",
        b'{"id":null,"method":"update2","params":"none"}',
        b'{"id":1,"result":{"Interface":{"x":{"modify":{"name":"y"}}}},"error":null}',
        b'{"id":1,"result":{"Interface":{"x":{"initial":{"__class__":"y"}}}},"error":null}',
        b'{"id":1,"result":{"Interface":{"x":{"initial":{"options":["map",[1]]}}}},"error":null}',
        b'{"id":1,"result":{"Nonsense":{"x":{}}},"error":null}',
        b'{"id":1,"result":[],"error":null}',
        b'{"id":1,"result":null,"error":"unknown database"}',
        b"{" * 100_000 + b"}" * 100_000,
        b'{"id":1,"result":{"Open_vSwitch":{"x":{"initial":{"bridges":{"a":1}}}}},"error":null}',
    ],
)
def test_nonsense_ends_its_own_session_only(dial, healthy, server, recorder, until, words):  # noqa: PLR0917
    """A caller that breaks the protocol is hung up on with a line in the log; other hosts and new callers go on."""
    sock = dial()
    address = sock.getsockname()[0]
    sock.sendall(words)
    assert hung_up(sock)
    ((caller, why),) = until(server.strangers)
    assert (caller, why[:9]) == (address, "hung up: "), "its operator finds it among the problems"
    healthy.vsctl("set", "Open_vSwitch", ".", "external_ids:vl2-la=10.0.1.77")
    until(lambda: recorder.of(HostSeen), "the healthy host is still heard")
    again = dial()
    assert again.recv(100).startswith(b'{"method":"monitor_cond"')


def test_silence(dial, monkeypatch, server, until):
    """A caller that says nothing is asked for a sign of life, and dropped when none comes."""
    monkeypatch.setattr(peer, "PROBE_INTERVAL", 0.1)
    monkeypatch.setattr(peer, "SILENCE_LIMIT", 0.35)
    begun = time.monotonic()
    sock = dial()
    heard = b""
    while piece := sock.recv(65536):
        heard += piece
    assert heard.count(b'"method":"echo"') >= 2
    assert 0.3 < time.monotonic() - begun < 3
    until(lambda: server.hosts() == ())


def test_a_living_host_is_kept(healthy, monkeypatch, server):
    """A real ovsdb-server answers each sign of life and stays connected beyond the limit of silence."""
    monkeypatch.setattr(peer, "PROBE_INTERVAL", 0.05)
    monkeypatch.setattr(peer, "SILENCE_LIMIT", 0.3)
    port = server.addresses[0][1]
    healthy.vsctl("set-manager", f"tcp:127.0.0.1:{port}", "--", "set", "Open_vSwitch", ".", "external_ids:x=1")
    first = server.hosts()[0].caller
    eventlet.sleep(1)
    assert server.hosts()[0].caller == first
    assert server.hosts()[0].connected


def test_echo_is_answered(dial):
    """The database's own keepalive gets its answer, another request gets an error."""
    sock = dial()
    sock.recv(65536)
    sock.sendall(b'{"id":"e","method":"echo","params":["hi"]}')
    assert json.loads(sock.recv(65536)) == {"id": "e", "result": ["hi"], "error": None}
    sock.sendall(b'{"id":7,"method":"transact","params":[]}')
    assert json.loads(sock.recv(65536)) == {"id": 7, "result": None, "error": "unknown method"}


def test_an_endless_message(dial, monkeypatch):
    """A message over the limit ends the session before it fills the memory."""
    monkeypatch.setattr(peer, "MESSAGE_LIMIT", 100_000)
    sock = dial()
    with pytest.raises(ConnectionError):
        shout(sock, b'"' + b"x" * 65536)


def test_a_flood_starves_nobody(dial, healthy, recorder, until):
    """While one caller sends as fast as it can, another host's change is told in time."""
    sock = dial()

    def flood():
        echo = b'{"id":"e","method":"echo","params":[]}' * 500
        try:
            while True:
                sock.sendall(echo)
        except OSError:
            return

    def drain():
        while sock.recv(1 << 20):
            pass

    threads = [eventlet.spawn(flood), eventlet.spawn(drain)]
    eventlet.sleep(0.1)
    healthy.vsctl("set", "Open_vSwitch", ".", "external_ids:vl2-la=10.0.1.77")
    until(lambda: recorder.of(HostSeen), limit=2)
    for thread in threads:
        thread.kill()


def test_a_caller_that_never_reads(dial, monkeypatch, server, until):
    """A caller that asks and never reads the answers is dropped when the socket has been full for some seconds."""
    monkeypatch.setattr(peer, "_SEND_LIMIT", 0.2)
    sock = dial()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    echo = b'{"id":"e","method":"echo","params":["' + b"x" * 10_000 + b'"]}'
    with pytest.raises(OSError):  # noqa: PT011  (reset, or a time-out of our own when the server stops reading)
        shout(sock, echo)
    until(lambda: server.hosts() == ())


def test_a_session_that_fails(make_hypervisor, recorder, until, caplog):
    """A fault of our own in one session is logged with its trace and ends that session; the host may call again."""
    faults = [ZeroDivisionError("a fault of our own")]

    def sink(event):
        if isinstance(event, HostSeen) and faults:
            raise faults.pop()
        recorder(event)

    server = HostsServer()
    server.start([("127.0.0.1", 0)], 26653, sink)
    make_hypervisor(switch=False).join(server)
    until(lambda: recorder.of(HostSeen), "it has called again")
    assert any(record.exc_info and "a fault of our own" in str(record.exc_info[1]) for record in caplog.records)
    server.stop()


@pytest.mark.usefixtures("healthy")
def test_stopping_takes_no_time(dial, server):
    """Stopping hangs up on all callers at once, whatever they are doing."""
    dial()
    eventlet.sleep(0)
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 1
    with pytest.raises(OSError):  # noqa: PT011  (nobody listens)
        dial()


def test_the_last_word_is_forgotten(monkeypatch):
    """Who was hung up on is told for a while, each address once; of very many the oldest are forgotten."""
    last = hangups.Hangups()
    last.note("192.0.2.1", "no")
    last.note("192.0.2.2", "never")
    last.note("192.0.2.1", "not now")
    assert last.lately() == (("192.0.2.2", "never"), ("192.0.2.1", "not now"))
    for number in range(255):
        last.note(f"198.51.100.{number}", "no")
    assert last.lately()[0] == ("192.0.2.1", "not now")
    assert len(last.lately()) == 256
    monkeypatch.setattr(hangups, "_LATELY", 0.0)
    assert last.lately() == ()
