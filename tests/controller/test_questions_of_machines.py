"""What machines ask is answered to them alone, in turns, while everything else goes on."""

from __future__ import annotations

from collections.abc import Iterator

import eventlet
import pytest

from controller.discovery import Announcer
from controller.events import Installed, PacketArrived, SwitchUp
from controller.fabric.graph import Fabric
from controller.fabric.plan import LaPlan
from controller.guests.questions import LINE, Asker
from controller.owner import Owner
from overlay.changes import CreateNetwork, CreatePort, HostSeen, Tick
from overlay.flow import Set
from overlay.tables.names import CookieKind, provenance
from overlay.values import DatapathId, Host, Ipv6Mode, Mac
from tests.guests.test_addresses import DISCOVER, H1, Advertised, dhcp, furnished
from tests.model.lab import Lab


class Session:
    """A session with a switch that emits what it is told to."""

    def __init__(self, datapath_id: DatapathId) -> None:
        self.datapath_id = datapath_id
        self.emitted: list[tuple[int, bytes]] = []

    def read(self) -> Installed:
        return Installed((), (), ())

    def send(self, mods: object, ticket: int) -> None:
        pass

    def packet_out(self, port: int, data: bytes, sets: tuple[Set, ...] = ()) -> None:
        if not sets:
            self.emitted.append((port, data))


class Shelf:
    """A store that keeps nothing."""

    revision = 0

    def commit(self, documents: object) -> int:  # noqa: ARG002
        return 0


DATAPATH = DatapathId(0x564C << 48 | 1)


@pytest.fixture
def lab() -> Lab:
    """Ports a and b at one host whose br-int has an id of ours, in a network with DHCP and advertisements."""
    it = furnished(Ipv6Mode.SLAAC)
    host = it.world.hosts[H1]
    it.do(HostSeen(Host(host.name, host.la, DATAPATH, host.tunnel_port)))
    it.do(CreatePort("b", "p", "n", mac=Mac(0x02_00_00_00_00_02), host=H1))
    it.plug(H1, "b")
    return it


@pytest.fixture
def owner(lab: Lab) -> Owner:
    """An owner that takes no turn by itself."""
    return Owner(
        lab.world,
        Fabric(LaPlan()),
        Shelf(),
        announcer=Announcer(b"secret"),
        lldp_interval=0.5,
        lost_after=30.0,
        audit_interval=5.0,
        clock=lambda: 1.0,
    )


@pytest.fixture
def session(owner: Owner) -> Session:
    """The session of the host."""
    it = Session(DATAPATH)
    owner.put(SwitchUp(DATAPATH, it, ()))
    owner.turn(owner._events.get())
    return it


def question(lab: Lab, port_id: str) -> PacketArrived:
    """A DHCP question of a port."""
    lane = lab.world.attachments[H1, port_id]
    asked = dhcp(DISCOVER, mac=lab.mac(port_id))
    return PacketArrived(DATAPATH, lane, provenance(CookieKind.ASKED_ADDRESS, port_id), asked, lane)


def turns(owner: Owner) -> Iterator[None]:
    """One turn of the owner after another, while there is something to do."""
    while owner.questions or not owner._events.empty():
        owner.turn(owner._events.get() if not owner._events.empty() else None)
        yield


def test_an_answer_goes_to_who_asked(lab: Lab, owner: Owner, session: Session) -> None:
    """Out of the port of the machine that asked, and of no other."""
    owner.put(question(lab, "b"))
    list(turns(owner))
    ((port, frame),) = session.emitted
    assert (port, frame[:6]) == (lab.world.attachments[H1, "b"], lab.mac("b").to_bytes(6))
    assert owner.questions.tallies[CookieKind.ASKED_ADDRESS].answered == 1


def test_a_flood_of_one_does_not_keep_another_waiting(lab: Lab, owner: Owner, session: Session) -> None:
    """Of a thousand questions of one port most are dropped; the question of another is answered in the first turn."""
    for _ in range(1000):
        owner.put(question(lab, "a"))
    owner.put(question(lab, "b"))
    next(turns(owner))
    assert lab.world.attachments[H1, "b"] in {port for port, _ in session.emitted[:2]}
    list(turns(owner))
    assert len(session.emitted) == LINE + 1
    assert owner.questions.tallies[CookieKind.ASKED_ADDRESS].dropped == 1000 - LINE


def test_what_cannot_be_answered_is_the_asker_s_loss_alone(
    lab: Lab, owner: Owner, session: Session, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect in who answers is logged and counted; no switch is doubted for it, and the next question is answered."""

    def broken(_asker: Asker, _frame: bytes) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setitem(owner.questions._answerers, CookieKind.ASKED_ADDRESS, broken)
        owner.put(question(lab, "a"))
        list(turns(owner))
    assert "could not be answered" in caplog.text
    assert (owner.failures, owner.questions.tallies[CookieKind.ASKED_ADDRESS].failed) == (0, 1)
    owner.put(question(lab, "a"))
    list(turns(owner))
    assert len(session.emitted) == 1


def test_a_question_of_nobody_is_left(owner: Owner, session: Session) -> None:
    """One whose port was unplugged meanwhile, and one of a switch that nobody knows."""
    owner.put(PacketArrived(DATAPATH, 99, provenance(CookieKind.ASKED_ADDRESS, "a"), b"", 99))
    owner.put(PacketArrived(DatapathId(7), 1, provenance(CookieKind.ASKED_ADDRESS, "a"), b"", 1))
    list(turns(owner))
    assert session.emitted == []


def test_questions_wake_a_running_owner(lab: Lab, owner: Owner, session: Session) -> None:
    """An owner that sleeps answers as soon as it is asked, and hears the next question too."""
    loop = eventlet.spawn(owner.run)
    try:
        for count in (1, 2):
            owner.put(question(lab, "a"))
            with eventlet.Timeout(5):
                while sum(frame[12:14] == b"\x08\0" for _, frame in session.emitted) < count:
                    eventlet.sleep(0.01)
    finally:
        loop.kill()


def test_a_port_that_becomes_active_hears_of_its_network(lab: Lab, owner: Owner, session: Session) -> None:
    """Within a tick, without having asked."""
    owner.advertiser.activated("a")
    owner.put(Tick())
    list(turns(owner))
    (frame,) = (
        frame for port, frame in session.emitted if port == lab.world.attachments[H1, "a"] and frame[54:55] == b"\x86"
    )
    assert Advertised(frame).prefixes


def test_a_network_without_services_asks_nothing_of_the_owner(lab: Lab, owner: Owner) -> None:
    """Its ports' questions have no flow that would hand them up."""
    lab.do(CreateNetwork("other", "p"), CreatePort("c", "p", "other", mac=Mac(9), host=H1))
    lab.plug(H1, "c")
    asked = (CookieKind.ASKED_ADDRESS, CookieKind.ASKED_ADDRESS_V6, CookieKind.ASKED_ROUTER)
    cookies = {flow.cookie for flow in lab.installed[H1].values()}
    assert not {provenance(kind, "c") for kind in asked} & cookies
    assert provenance(CookieKind.ASKED_ADDRESS, "a") in cookies
    assert not owner.questions
