"""What machines report of multicast groups reaches the world, and the questions of the network reach machines."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

import eventlet
import pytest

from controller.discovery import Announcer
from controller.events import PacketArrived, SwitchUp
from controller.fabric.graph import Fabric
from controller.fabric.plan import LaPlan
from controller.guests import igmp, mld
from controller.guests.listening import ASKED_EVERY_MINUTE
from controller.owner import Owner
from overlay.changes import CreateNetwork, CreatePort, CreateSubnet, HostSeen, HostSnapshot, Tick
from overlay.flow import Set
from overlay.tables.names import CookieKind, provenance
from overlay.values import Host, HostName, Mac
from overlay.world import World
from tests.controller.switches import ID, MemorySession
from tests.controller.test_owner import Shelf
from tests.guests.test_listening import GROUP, LINUX_IGMP, RecordType, records4

H1 = HostName("h1")
TAP = 5


class Mouth(MemorySession):
    """A switch in memory that remembers which frames it was to emit."""

    def __init__(self) -> None:
        super().__init__()
        self.emitted: list[tuple[int, bytes]] = []

    def packet_out(self, port: int, data: bytes, sets: tuple[Set, ...] = ()) -> None:
        assert not sets
        self.emitted.append((port, data))


@pytest.fixture
def switch() -> Mouth:
    """The switch of h1."""
    return Mouth()


@pytest.fixture
def shelf() -> Shelf:
    """An empty store."""
    return Shelf()


@pytest.fixture
def owner(shelf: Shelf, switch: Mouth) -> Iterator[Owner]:
    """A running owner of a world with one port, plugged at h1, whose switch is up."""
    owner = Owner(
        World(),
        Fabric(LaPlan()),
        shelf,
        announcer=Announcer(b"secret"),
        lldp_interval=0.5,
        lost_after=30.0,
        audit_interval=3600.0,
        clock=lambda: 1.0,
    )
    loop = eventlet.spawn(owner.run)
    owner.submit(CreateNetwork("n", "red"))
    owner.submit(CreateSubnet("s", "red", "n", IPv4Network("10.0.0.0/24")))
    owner.put(HostSeen(Host(H1, IPv4Address("10.0.1.11"), ID, tunnel_port=1)))
    owner.put(HostSnapshot(H1, (("p", TAP),)))
    owner.put(SwitchUp(ID, switch, ()))
    owner.submit(CreatePort("p", "red", "n", mac=Mac(0x020000000001), host=H1))
    yield owner
    loop.kill()


def report(frame: bytes) -> PacketArrived:
    """A frame that the port's switch handed up."""
    return PacketArrived(ID, TAP, provenance(CookieKind.ASKED_GROUPS, "p"), frame)


def settle(owner: Owner) -> None:
    """Let the owner take what waits: an intent is answered after the events that came before it."""
    for _ in range(3):
        owner.submit(CreateNetwork(f"n{len(owner.world.networks)}", "red"))
        eventlet.sleep(0)


def test_a_report_is_heard_and_stored_once(owner: Owner, shelf: Shelf) -> None:
    """A report makes its port a member and is stored; the same report again is not."""
    for _ in range(3):
        owner.put(report(LINUX_IGMP))
        settle(owner)
    assert [each.group for each in owner.world.memberships("p")] == [GROUP]
    stored = [document.kind for commit in shelf.commits for document in commit if document.id == "p"]
    assert stored.count("memberships") == 1
    owner.put(report(records4((RecordType.TO_INCLUDE, GROUP, 0))))
    settle(owner)
    assert owner.world.memberships("p") == ()


@pytest.mark.parametrize("frame", [b"", b"\0" * 14, LINUX_IGMP[:40], LINUX_IGMP[:-1] + b"\xff", bytes(1500)])
def test_nonsense_harms_nobody(owner: Owner, frame: bytes) -> None:
    """A frame that is no sound report changes nothing, and the owner goes on."""
    owner.put(report(frame))
    owner.put(report(LINUX_IGMP))
    settle(owner)
    assert [each.group for each in owner.world.memberships("p")] == [GROUP]
    assert owner.failures == 0


def test_a_report_of_nobody_is_for_nobody(owner: Owner) -> None:
    """A frame from where no port is plugged is dropped."""
    owner.put(PacketArrived(ID, TAP + 1, provenance(CookieKind.ASKED_GROUPS, "gone"), LINUX_IGMP))
    settle(owner)
    assert owner.failures == 0
    assert owner.world.membership_count == 0


def test_a_host_that_comes_is_asked(owner: Owner, switch: Mouth) -> None:
    """When a host's session comes up its machines are asked what they listen to, in IGMP and MLD."""
    owner.put(SwitchUp(ID, switch, ()))
    owner.put(Tick())
    settle(owner)
    expected = [(TAP, igmp.question(ASKED_EVERY_MINUTE)), (TAP, mld.question(ASKED_EVERY_MINUTE))]
    assert [each for each in switch.emitted if each in expected] == expected
