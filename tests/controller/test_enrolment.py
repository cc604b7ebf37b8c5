"""Projects and tokens are changed by the owner alone, stored before anybody is answered, and outlive a restart."""

from __future__ import annotations

import time
import uuid
from ipaddress import ip_network
from pathlib import Path

import pytest

from controller.bulk import SLICE, Bulk
from controller.configuration import SettingsError
from controller.identity.roles import Role
from controller.identity.roster import CreateProject, DeleteProject, IssueToken, RevokeToken
from controller.identity.values import digest, token
from controller.process import restore, run
from controller.service import NotStored
from controller.settings import parse
from controller.store import SqliteStore, StoreError
from overlay.changes import CreateNetwork, CreateShare, CreateSubnetPool
from overlay.refusals import Conflict, Invalid
from overlay.values import Shareable

ID = f"{1:016x}"
SECRET = token(ID, f"{1:043d}")
ISSUE = IssueToken(ID, "blue", "ann", frozenset({Role.READER}), digest(SECRET))


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Start an owner on what the last one left in its store, and one that takes what it is asked at once."""
    stores: list[SqliteStore] = []

    def begin():
        for store in stores:
            store.close()
        store = SqliteStore(tmp_path)
        stores.append(store)
        owner = restore(parse({"state_dir": str(tmp_path)}), store)

        def ask(apply, **_):
            outcome = apply()
            error = owner._settle(outcome)
            if error is not None:
                raise error
            return outcome

        monkeypatch.setattr(owner, "_ask", ask)
        return owner

    yield begin
    for store in stores:
        store.close()


def test_a_restarted_controller_knows_who_may_call(start) -> None:
    """A token holds after a restart for whom it was made, and a revoked one does not come back."""
    owner = start()
    owner.enrol(CreateProject("blue"))
    owner.enrol(ISSUE)
    owner = start()
    holder = owner.roster.holder(SECRET, time.time())
    assert holder is not None
    assert (holder.user, holder.project, holder.roles) == ("ann", "blue", {Role.READER})
    owner.enrol(RevokeToken(ID))
    assert start().roster.holder(SECRET, time.time()) is None


def test_a_project_is_looked_up_in_the_world_of_that_turn(start) -> None:
    """A project that owns a network is kept, also after a restart; the operator's own name stays reserved."""
    owner = start()
    owner.enrol(CreateProject("blue"))
    owner.submit(CreateNetwork("n", "blue"))
    owner = start()
    with pytest.raises(Conflict, match="network n"):
        owner.enrol(DeleteProject("blue"))
    with pytest.raises(Invalid):
        owner.enrol(CreateProject("operator"))


@pytest.mark.parametrize(
    "creation",
    [
        CreateSubnetPool("it", "blue", "", (ip_network("10.0.0.0/8"),)),
        CreateShare("it", "blue", Shareable.NETWORK, "n", "green"),
    ],
)
def test_a_project_is_kept_for_whatever_it_owns(start, creation: CreateSubnetPool | CreateShare) -> None:
    """A subnet pool or a share keeps its project as a network does: another project of that name would inherit it."""
    owner = start()
    owner.enrol(CreateProject("blue"))
    owner.submit(CreateNetwork("n", "red"))
    owner.submit(creation)
    with pytest.raises(Conflict, match=r"owns .* it;"):
        owner.enrol(DeleteProject("blue"))


def test_a_restart_keeps_the_order_of_a_bulk(start) -> None:
    """What was made by one request is listed in the order of that request, after a restart as well."""
    owner = start()
    ids = [str(uuid.uuid4()) for _ in range(3 * SLICE)]
    bulk = Bulk([CreateNetwork(id_, "blue") for id_ in ids])
    while not bulk.decided:
        bulk.step(owner.world, time.time)
    assert owner._settle(bulk.to_store()) is None
    assert list(start().world.networks) == ids


def test_who_asks_learns_that_it_is_not_stored(start, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the store fails, whoever revokes hears so, and the token opens nothing all the same."""
    owner = start()
    owner.enrol(CreateProject("blue"))
    owner.enrol(ISSUE)

    def fail(_documents):
        raise StoreError("the disk is full")

    monkeypatch.setattr(owner._store, "commit", fail)
    with pytest.raises(NotStored):
        owner.enrol(RevokeToken(ID))
    assert owner.roster.holder(SECRET, time.time()) is None


def test_an_audit_log_that_cannot_be_written_stops_the_start(tmp_path: Path) -> None:
    """A controller that could not say who changed what does not start."""
    settings = parse({"state_dir": str(tmp_path), "rest": {"audit_log": str(tmp_path / "none" / "audit.log")}})
    with pytest.raises(SettingsError, match=r"rest\.audit_log"):
        run(settings)
