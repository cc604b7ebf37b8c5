"""A creation of thousands of objects keeps nobody waiting, and nobody sees half of it."""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Network

import eventlet
import pytest

from controller.bulk import SLICE
from controller.desk import Desk
from controller.openflow.tally import Tally
from controller.ovsdb.server import HostsServer
from controller.owner import Owner
from controller.service import NotStored
from controller.turns import Turnstile, begin
from overlay.changes import CreateNetwork, CreatePort, CreateSubnet, DeleteNetwork, DeletePort, Document
from overlay.refusals import Conflict
from overlay.values import Mac
from tests.controller.test_owner import Shelf
from tests.controller.test_owner import owner as _owner
from tests.controller.test_owner import shelf as _shelf

owner, shelf = _owner, _shelf
MANY = 1000


def as_(who: str, work: Callable[[], object]) -> eventlet.greenthread.GreenThread:
    """Do something in a request of a project's."""

    def request() -> object:
        begin(Turnstile(), who)
        return work()

    return eventlet.spawn(request)


def ports(number: int, network: str = "n") -> list[CreatePort]:
    """Ports with MACs of their own."""
    return [CreatePort(f"{network}{each}", "red", network, mac=Mac(0x020000000000 + each)) for each in range(number)]


def ids(commits: Iterable[tuple[Document, ...]]) -> list[set[str]]:
    """What each commit is about."""
    return [{document.id for document in commit} for commit in commits]


@pytest.fixture(autouse=True)
def network(owner: Owner, shelf: Shelf) -> None:
    """A network of 65,533 addresses."""
    owner.submit(CreateNetwork("n", "red"))
    owner.submit(CreateSubnet("s", "red", "n", IPv4Network("10.0.0.0/16")))
    shelf.commits.clear()


def test_others_have_their_turn_and_it_is_one_commit(owner: Owner, shelf: Shelf) -> None:
    """Another project's creation is answered while a bulk is under way, which is then stored whole in one commit."""
    wanted = ports(MANY)
    bulk = as_("red", lambda: owner.submit_all(wanted))
    eventlet.sleep(0)
    as_("blue", lambda: owner.submit(CreateNetwork("b", "blue"))).wait()
    assert 0 < len(owner.world.ports) < MANY / 2
    assert all(port in owner.unfinished for port in owner.world.ports)
    bulk.wait()
    assert ids(shelf.commits) == [{"b"}, {port.id for port in wanted}]
    assert "n0" not in owner.unfinished


def test_the_directory_does_not_know_what_is_not_whole(owner: Owner) -> None:
    """An address of a bulk under way is found as soon as the bulk is stored, and not before."""
    desk = Desk(owner, HostsServer(), Tally(), version="0")
    asked = [("n", Mac(0x020000000000))]
    bulk = as_("red", lambda: owner.submit_all(ports(MANY)))
    while "n0" not in owner.world.ports:
        eventlet.sleep(0)
    assert desk.locate(asked) == (None,)
    bulk.wait()
    (found,) = desk.locate(asked)
    assert found is not None
    assert found.port_id == "n0"


def test_a_projects_own_intents_keep_their_order(owner: Owner) -> None:
    """What a project asks for after a bulk is done after it."""
    bulk = as_("red", lambda: owner.submit_all(ports(MANY)))
    after = as_("red", lambda: owner.submit(DeletePort(f"n{MANY - 1}")))
    after.wait()
    bulk.wait()
    assert len(owner.world.ports) == MANY - 1


def test_a_refusal_takes_back_nothing_but_its_own(owner: Owner, shelf: Shelf) -> None:
    """When the last of a thousand is refused, all of them go, and what others made in the meantime stays."""
    twins = [*ports(MANY), CreatePort("twin", "red", "n", mac=Mac(0x020000000000))]
    bulk = as_("red", lambda: owner.submit_all(twins))
    eventlet.sleep(0)
    as_("blue", lambda: owner.submit(CreateNetwork("b", "blue"))).wait()
    assert owner.world.ports
    with pytest.raises(Conflict, match="02:00:00:00:00:00"):
        bulk.wait()
    assert list(owner.world.ports) == []
    assert ids(shelf.commits) == [{"b"}]
    assert "n0" not in owner.unfinished
    owner.submit_all(ports(MANY))
    assert len(owner.world.ports) == MANY


def test_what_somebody_else_has_taken_away_need_not_be_taken_back(owner: Owner) -> None:
    """An object that is deleted while its bulk is under way does not stand in the way of taking back the others."""
    twins = [*ports(MANY), CreatePort("twin", "red", "n", mac=Mac(0x020000000001))]
    bulk = as_("red", lambda: owner.submit_all(twins))
    while "n0" not in owner.world.ports:
        eventlet.sleep(0)
    as_("blue", lambda: owner.submit(DeletePort("n0"))).wait()
    with pytest.raises(Conflict, match="02:00:00:00:00:01"):
        bulk.wait()
    assert list(owner.world.ports) == []
    assert owner.failures == 0


def test_what_goes_with_its_network_takes_the_bulk_with_it(owner: Owner, shelf: Shelf) -> None:
    """When a network is deleted while subnets of it and of others are being made, none of the subnets is made."""
    owner.submit(CreateNetwork("a", "red"))
    wanted = [
        CreateSubnet(f"new{each}", "red", "n" if each else "a", IPv4Network((0x0B000000 + (each << 8), 24)))
        for each in range(200)
    ]
    bulk = as_("red", lambda: owner.submit_all(wanted))
    while "new0" not in owner.world.subnets:
        eventlet.sleep(0)
    as_("blue", lambda: owner.submit(DeleteNetwork("a"))).wait()
    with pytest.raises(Conflict, match="was deleted before"):
        bulk.wait()
    assert list(owner.world.subnets) == ["s"]
    assert not any(document.body for commit in shelf.commits for document in commit if document.id.startswith("new"))


def test_a_store_that_fails_keeps_all_of_it_for_later(owner: Owner, shelf: Shelf) -> None:
    """A bulk that could not be stored is told so, and stored whole as soon as the store works again."""
    shelf.broken = True
    with pytest.raises(NotStored, match="disk is full"):
        owner.submit_all(ports(MANY))
    assert "n0" not in owner.unfinished
    shelf.broken = False
    owner.submit(CreateNetwork("m", "red"))
    assert ids(shelf.commits) == [{"m", *(port.id for port in ports(MANY))}]
    assert owner.failures == 0


def test_what_breaks_is_taken_back_and_counted(owner: Owner, shelf: Shelf) -> None:
    """A defect in the middle of a bulk takes all of it back, is told to who asked, and counted."""
    broken = [*ports(3 * SLICE), CreatePort("broken", "red", ["no id"])]  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        owner.submit_all(broken)
    assert list(owner.world.ports) == []
    assert shelf.commits == []
    assert owner.failures == 1


def test_a_storm_does_not_keep_another_project_waiting(owner: Owner) -> None:
    """Behind a thousand intents of one project, another project's is answered after some dozens of them."""
    done: list[str] = []
    storm = [as_("red", lambda port=port: done.append(owner.submit(port).documents[0].id)) for port in ports(MANY)]
    as_("blue", lambda: owner.submit(CreateNetwork("b", "blue"))).wait()
    assert len(done) <= 4 * SLICE
    for each in storm:
        each.wait()
    assert done == [port.id for port in ports(MANY)]


def test_events_do_not_wait_behind_intents(owner: Owner) -> None:
    """What a switch or host reports is taken before the intents that were there first."""
    storm = [as_("red", lambda port=port: owner.submit(port)) for port in ports(MANY)]
    eventlet.sleep(0)
    owner.put(object())  # nobody handles it, which is counted
    while not owner.failures:
        eventlet.sleep(0)
    assert len(owner.world.ports) <= 4 * SLICE
    for each in storm:
        each.wait()
