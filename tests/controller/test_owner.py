"""The owner answers who asked once it is stored, takes storms as batches, and outlives what is broken."""

from collections.abc import Iterable
from ipaddress import IPv4Network

import eventlet
import pytest

from controller.discovery import Announcer
from controller.fabric.graph import Fabric
from controller.fabric.plan import LaPlan
from controller.owner import Owner
from controller.service import NotStored
from controller.store import StoreError
from overlay.changes import CreateNetwork, CreatePort, CreateSubnet, DeleteNetwork, Document, Tick
from overlay.refusals import NotFound
from overlay.world import World


class Shelf:
    """A store that keeps commits as a list, and can be told to fail."""

    def __init__(self) -> None:
        self.commits: list[tuple[Document, ...]] = []
        self.broken = False

    @property
    def revision(self) -> int:
        return len(self.commits)

    def load(self) -> tuple[Document, ...]:
        return ()

    def commit(self, documents: Iterable[Document]) -> int:
        if self.broken:
            raise StoreError("the disk is full")
        self.commits.append(tuple(documents))
        return len(self.commits)

    def close(self) -> None:
        pass


@pytest.fixture
def shelf():
    """An empty store."""
    return Shelf()


@pytest.fixture
def owner(shelf):
    """A running owner of an empty world without switches."""
    owner = Owner(
        World(),
        Fabric(LaPlan()),
        shelf,
        announcer=Announcer(b"secret"),
        lldp_interval=0.5,
        lost_after=30.0,
        audit_interval=5.0,
        clock=lambda: 1.0,
    )
    loop = eventlet.spawn(owner.run)
    yield owner
    loop.kill()


def test_an_intent_is_answered_when_it_is_stored(owner, shelf):
    """Whoever asked goes on only after the commit that holds the answer."""
    owner.submit(CreateNetwork("n", "red"))
    assert [document.id for commit in shelf.commits for document in commit] == ["n"]
    assert "n" in owner.world.networks


def test_a_refusal_reaches_who_asked_and_changes_nothing(owner, shelf):
    """A refused intent raises in the asking greenlet; nothing is stored."""
    with pytest.raises(NotFound):
        owner.submit(DeleteNetwork("nobody"))
    assert shelf.commits == []
    assert owner.failures == 0


def test_a_storm_is_one_commit(owner, shelf):
    """Requests that wait together are stored in one commit, and each gets its own answer."""
    owner.submit(CreateNetwork("n", "red"))
    owner.submit(CreateSubnet("s", "red", "n", IPv4Network("10.0.0.0/16")))
    before = len(shelf.commits)
    macs = iter(range(0x020000000001, 0x020000001000))
    pool = eventlet.GreenPool(100)
    outcomes = list(
        pool.imap(
            lambda number: owner.submit(CreatePort(f"p{number}", "red", "n", mac_candidates=(next(macs),))), range(100)
        )
    )
    assert all(outcome.documents for outcome in outcomes)
    assert len(owner.world.ports) == 100
    assert len(shelf.commits) - before < 5


def test_a_bulk_creation_is_all_or_nothing(owner, shelf):
    """When one of many objects is refused, none of them is there and none is stored."""
    with pytest.raises(NotFound):
        owner.submit_all([CreateNetwork("a", "red"), CreateSubnet("s", "red", "gone", IPv4Network("10.0.0.0/24"))])
    assert list(owner.world.networks) == []
    assert shelf.commits == []


def test_an_event_that_nobody_handles_does_not_end_the_loop(owner, caplog):
    """What a handler raises is logged and counted; the next intent is served."""
    owner.put(object())
    owner.put(Tick())
    owner.submit(CreateNetwork("n", "red"))
    assert owner.failures == 1
    assert "nobody handles" in caplog.text


def test_what_the_store_cannot_take_is_told_and_tried_again(owner, shelf):
    """Who asked learns that the store fails; what it could not take is stored, in order, as soon as it can."""
    shelf.broken = True
    with pytest.raises(NotStored, match="disk is full"):
        owner.submit(CreateNetwork("n", "red"))
    shelf.broken = False
    owner.submit(CreateNetwork("m", "red"))
    assert [document.id for commit in shelf.commits for document in commit] == ["n", "m"]
    assert owner.failures == 0
