"""Switches that call by TLS, and which datapath they may be."""

from __future__ import annotations

import logging
import ssl
import struct
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from eventlet.green import socket as green_socket

from controller import framework, tls
from controller.events import PacketArrived, SwitchDown, SwitchUp
from controller.openflow.app import listen
from controller.ovsdb.join import datapath_id_of
from controller.pki import Pki, machine_named
from controller.settings import parse
from controller.trust import Trust
from overlay.values import HostName

NOW = datetime.now(UTC)
LEAF = 0x30001
HELLO, ECHO_REQUEST, FEATURES_REQUEST, FEATURES_REPLY, PACKET_IN = 0, 2, 5, 6, 10
MULTIPART_REQUEST, MULTIPART_REPLY, PORT_DESC = 18, 19, 13
ECHO_REPLY = 3


class Switch:
    """As much of a switch as the handshake wants, over TLS (or over plain TCP, without a context)."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext | None, datapath_id: int) -> None:
        self._raw = green_socket.create_connection(address)
        self._raw.settimeout(20)
        self._id = datapath_id
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._talk = None if context is None else context.wrap_bio(self._in, self._out)
        if self._talk is not None:
            self._do(self._talk.do_handshake)
        self.say(HELLO)

    def _do(self, action, *words):
        while True:
            try:
                return action(*words)
            except ssl.SSLWantReadError:
                self._flush()
                data = self._raw.recv(65536)
                if not data:
                    raise ConnectionResetError from None
                self._in.write(data)
            finally:
                self._flush()

    def _flush(self) -> None:
        if self._out.pending:
            self._raw.sendall(self._out.read())

    def say(self, kind: int, body: bytes = b"", xid: int = 1) -> None:
        message = struct.pack("!BBHI", 6, kind, 8 + len(body), xid) + body
        if self._talk is None:
            self._raw.sendall(message)
        else:
            self._do(self._talk.write, message)

    def _read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            left = size - len(found)
            more = self._raw.recv(left) if self._talk is None else self._do(self._talk.read, left)
            if not more:
                raise ConnectionResetError
            found += more
        return found

    def answer(self) -> int:
        """Answer one message; returns its type."""
        _, kind, length, xid = struct.unpack("!BBHI", self._read(8))
        body = self._read(length - 8)
        if kind == FEATURES_REQUEST:
            self.say(FEATURES_REPLY, struct.pack("!QIBB2xII", self._id, 0, 254, 0, 0, 0), xid)
        elif kind == MULTIPART_REQUEST and struct.unpack_from("!H", body)[0] == PORT_DESC:
            self.say(MULTIPART_REPLY, struct.pack("!HH4x", PORT_DESC, 0), xid)
        elif kind == ECHO_REQUEST:
            self.say(ECHO_REPLY, body, xid)
        return kind

    def introduce(self) -> None:
        """Converse until the ports have been told."""
        while self.answer() != MULTIPART_REQUEST:
            pass

    def is_hung_up_on(self) -> bool:
        """Converse to the end."""
        try:
            while True:
                self.answer()
        except (ConnectionError, ssl.SSLError):
            return True

    def close(self) -> None:
        self._raw.close()


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Certificates of the controller, two hypervisors and a fabric switch."""
    made = Pki(tmp_path_factory.mktemp("tls") / "pki")
    made.init("controller", ["127.0.0.1"], NOW, days=90, force=False)
    for name in ("h1", "h2", f"leaf={LEAF:016x}"):
        made.add(machine_named(name), NOW, days=90, force=False)
    return made


class Heard:
    """What the service has told, and where it listens."""

    def __init__(self, service: framework.Service, events: list[object]) -> None:
        self.address = service.addresses[0]
        self._events = events

    def of(self, *kinds: type) -> list[object]:
        return [event for event in self._events if isinstance(event, kinds)]


@pytest.fixture
def heard(pki: Pki) -> Iterator[Heard]:
    """A service for TLS alone."""
    mine = pki.controller
    files = {"ca": str(pki.authority.certificate), "certificate": str(mine.certificate), "key": str(mine.key)}
    events: list[object] = []
    context = Trust(parse({"tls": files})).switches
    service = listen((), events.append, tls=(("127.0.0.1", 0),), context=context)
    yield Heard(service, events)
    service.stop()


@pytest.fixture
def switch(heard: Heard, pki: Pki) -> Iterator[object]:
    """Let a switch with a machine's certificate (or none) call as a datapath."""
    made: list[Switch] = []

    def call(certificate: str | None, datapath_id: int, *, trusting: Path | None = None) -> Switch:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # Open vSwitch asks for the authority alone
        context.load_verify_locations(trusting or pki.authority.certificate)
        if certificate is not None:
            place = pki.machine(certificate)
            context.load_cert_chain(place.certificate, place.key)
        made.append(Switch(heard.address, context, datapath_id))
        return made[-1]

    yield call
    for each in made:
        each.close()


@pytest.mark.parametrize(
    ("certificate", "datapath_id"), [("h1", datapath_id_of(HostName("h1"))), ("leaf", LEAF)], ids=["br-int", "leaf"]
)
def test_a_switch_with_its_own_certificate_is_up(switch, heard, until, certificate: str, datapath_id: int) -> None:
    """A br-int is believed by its host's name, a fabric switch by its datapath id; messages go both ways."""
    caller = switch(certificate, datapath_id)
    caller.introduce()
    (up,) = until(lambda: heard.of(SwitchUp))
    assert up.datapath_id == datapath_id
    caller.say(PACKET_IN, struct.pack("!IHBBQHH4x2x", 0xFFFFFFFF, 30_000, 0, 0, 7, 1, 4) + bytes(30_000))
    (packet,) = until(lambda: heard.of(PacketArrived))
    assert (len(packet.data), packet.cookie) == (30_000, 7), "longer than a record of TLS"
    while caller.answer() != ECHO_REQUEST:
        pass
    caller.close()
    until(lambda: heard.of(SwitchDown))


@pytest.mark.parametrize(
    ("certificate", "datapath_id"),
    [
        ("h2", datapath_id_of(HostName("h1"))),
        ("h1", LEAF),
        ("leaf", datapath_id_of(HostName("leaf"))),
        ("leaf", LEAF + 1),
    ],
    ids=["another host", "a host as a leaf", "a leaf as a host", "another leaf"],
)
def test_a_switch_cannot_be_another(  # noqa: PLR0917  (fixtures)
    switch, heard, until, caplog, certificate: str, datapath_id: int
) -> None:
    """A switch that says it is one for which it has no certificate is hung up on, logged, and never told of."""
    caller = switch(certificate, datapath_id)
    caller.introduce()
    assert caller.is_hung_up_on()
    until(lambda: f"not for {datapath_id:016x}" in caplog.text)
    assert heard.of(SwitchUp) == []


def test_the_true_switch_stays(switch, heard, until) -> None:
    """A switch is not replaced by one that only says it is the same."""
    true = switch("leaf", LEAF)
    true.introduce()
    until(lambda: heard.of(SwitchUp))
    false = switch("h1", LEAF)
    false.introduce()
    assert false.is_hung_up_on()
    assert (len(heard.of(SwitchUp)), heard.of(SwitchDown)) == (1, [])
    true.say(PACKET_IN, struct.pack("!IHBBQHH4x2x", 0xFFFFFFFF, 60, 0, 0, 7, 1, 4) + bytes(60))
    until(lambda: heard.of(PacketArrived))


def test_who_has_no_certificate_gets_nowhere(switch, heard, caplog) -> None:
    """A switch without a certificate, and one without TLS, are hung up on; it costs a line each."""
    caplog.set_level(logging.INFO, "controller")
    with suppress(ConnectionError, ssl.SSLError):  # it may be refused in the handshake already
        assert switch(None, LEAF).is_hung_up_on()
    plain = Switch(heard.address, None, LEAF)
    assert plain.is_hung_up_on()
    plain.close()
    assert heard.of(SwitchUp) == []
    assert sum("gave up on" in record.getMessage() for record in caplog.records) == 2


def test_silence_keeps_nobody_waiting(switch, heard, until, monkeypatch) -> None:
    """Callers that never shake hands are hung up on, and a switch comes up meanwhile."""
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 3.0)
    silent = [green_socket.create_connection(heard.address) for _ in range(30)]
    switch("leaf", LEAF).introduce()
    until(lambda: heard.of(SwitchUp))
    for each in silent:
        each.settimeout(20)
        assert each.recv(1) == b""
        each.close()


def test_garbage_after_the_handshake(switch, heard, until) -> None:
    """A switch whose bytes are no TLS any more is down."""
    caller = switch("leaf", LEAF)
    caller.introduce()
    until(lambda: heard.of(SwitchUp))
    caller._raw.sendall(b"\xff" * 100)  # below TLS
    until(lambda: heard.of(SwitchDown))
