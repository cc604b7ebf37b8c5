"""Who may use what is another's, and when that can be taken back."""

from __future__ import annotations

import pytest

from overlay.changes import (
    Change,
    CreateNetwork,
    CreatePort,
    CreateShare,
    CreateSubnetPool,
    DeleteNetwork,
    DeletePort,
    DeleteShare,
    UpdateNetwork,
    UpdateShare,
)
from overlay.refusals import Refusal
from overlay.values import Mac, Record, Share, Shareable
from overlay.world import World
from tests.overlay.test_subnetpools import TEN

NETWORK, POOL = Shareable.NETWORK, Shareable.SUBNETPOOL


@pytest.fixture
def world() -> World:
    """Networks n and m and a pool of a; n is shared with b and with all, m with c."""
    it = World()
    for change in (
        CreateNetwork("n", "a"),
        CreateNetwork("m", "a"),
        CreateSubnetPool("pool", "a", "", (TEN,)),
        CreateShare("s-b", "a", NETWORK, "n", "b"),
        CreateShare("s-all", "a", NETWORK, "n", "*"),
        CreateShare("s-c", "a", NETWORK, "m", "c"),
    ):
        it.apply(change, 3.0)
    return it


def refused(world: World, change: Change) -> tuple[int, str]:
    """How a change is refused, with nothing changed."""
    before = world.documents()
    with pytest.raises(Refusal) as refusal:
        world.apply(change, 4.0)
    assert world.documents() == before
    return refusal.value.status, refusal.value.kind


def test_who_reaches_what(world: World) -> None:
    """A project reaches what is shared with it by name or with all; its own networks are not shared with it."""
    assert [world.shared_with(NETWORK, "n", project) for project in "bcd"] == [True, True, True]
    assert [world.shared_with(NETWORK, "m", project) for project in "bc"] == [False, True]
    assert [world.shared_networks(project) for project in "abc"] == [(), ("n",), ("m", "n")]
    assert [share.id for share in world.shares_of(NETWORK, "n")] == ["s-b", "s-all"]
    assert world.share("s-c") == Share("s-c", "a", NETWORK, "m", "c", Record(1, 3.0, 3.0))


def test_pools_are_shared(world: World) -> None:
    """With those that a share names, or with all when the pool says so itself."""
    world.apply(CreateShare("s-pool", "a", POOL, "pool", "b"), 3.0)
    world.apply(CreateSubnetPool("open", "a", "", (TEN,), shared=True), 3.0)
    assert [world.shared_with(POOL, "pool", project) for project in "bc"] == [True, False]
    assert world.shared_with(POOL, "open", "c")
    assert not world.shared_with(POOL, "unknown", "c")
    world.apply(DeleteShare("s-pool"), 3.0)
    assert not world.shared_with(POOL, "pool", "b")


def test_shares_are_stored(world: World) -> None:
    """A restored world shares the same with the same."""
    again = World.restore(world.documents(), 9.0)
    assert again.shares == world.shares
    assert again.shared_networks("c") == ("m", "n")
    assert again.documents() == world.documents()


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        (CreateShare("s-b", "a", NETWORK, "m", "b"), 409, "Conflict"),
        (CreateShare("x", "a", NETWORK, "pool", "b"), 404, "RbacPolicyObjectNotFound"),
        (CreateShare("x", "a", POOL, "n", "b"), 404, "RbacPolicyObjectNotFound"),
        (CreateShare("x", "a", NETWORK, "n", "b"), 409, "RbacPolicyExists"),
        (UpdateShare("x", "b"), 404, "RbacPolicyNotFound"),
        (UpdateShare("s-b", "*"), 409, "RbacPolicyExists"),
        (UpdateShare("s-b", "c", expected=2), 412, "RevisionNumberConstraintFailed"),
        (DeleteShare("x"), 404, "RbacPolicyNotFound"),
        (DeleteShare("s-b", expected=2), 412, "RevisionNumberConstraintFailed"),
    ],
)
def test_refused(world: World, change: Change, status: int, kind: str) -> None:
    """What cannot be shared is refused by Neutron's name."""
    assert refused(world, change) == (status, kind)


def test_what_a_foreign_port_needs_is_not_taken_back(world: World) -> None:
    """As long as another share reaches its project, one may go; the last one may not."""
    world.apply(CreatePort("p", "b", "n", mac=Mac(1)), 3.0)
    world.apply(CreatePort("own", "a", "n", mac=Mac(2)), 3.0)
    world.apply(UpdateShare("s-b", "b"), 4.0)
    assert world.share("s-b").record.revision == 1
    world.apply(DeleteShare("s-all"), 4.0)
    assert refused(world, DeleteShare("s-b")) == (409, "RbacPolicyInUse")
    assert refused(world, UpdateShare("s-b", "c")) == (409, "RbacPolicyInUse")
    world.apply(UpdateShare("s-b", "*"), 5.0)
    assert (world.share("s-b").target_project, world.share("s-b").record) == ("*", Record(2, 3.0, 5.0))
    assert world.shared_networks("d") == ("n",)
    assert refused(world, DeleteShare("s-b")) == (409, "RbacPolicyInUse")
    assert refused(world, UpdateShare("s-b", "c")) == (409, "RbacPolicyInUse")
    world.apply(UpdateShare("s-b", "b"), 5.0)
    assert world.shared_networks("d") == ()
    world.apply(DeletePort("p"), 6.0)
    world.apply(DeleteShare("s-b"), 6.0)
    assert not world.shares_of(NETWORK, "n")


def test_a_network_takes_its_shares_along(world: World) -> None:
    """Deleting a network deletes the shares of it, stored ones as well."""
    outcome = world.apply(DeleteNetwork("n"), 4.0)
    assert list(world.shares) == ["s-c"]
    assert {(document.kind, document.id) for document in outcome.documents if document.body is None} == {
        ("network", "n"),
        ("rbac_policy", "s-b"),
        ("rbac_policy", "s-all"),
    }


def test_a_network_and_its_share_with_everybody_change_together(world: World) -> None:
    """One change names a network anew and shares it with all, or takes that back; what was so already stays."""
    outcome = world.apply(UpdateNetwork("m", name="M", shared=True, share_id="new"), 5.0)
    assert {document.id for document in outcome.documents} == {"m", "new"}
    assert world.share("new") == Share("new", "a", NETWORK, "m", "*", Record(1, 5.0, 5.0))
    assert not world.apply(UpdateNetwork("m", shared=True, share_id="newer"), 6.0).documents
    world.apply(UpdateNetwork("m", shared=False), 6.0)
    assert [share.id for share in world.shares_of(NETWORK, "m")] == ["s-c"]
    assert not world.apply(UpdateNetwork("m", shared=False), 6.0).documents


@pytest.mark.parametrize("wrong", [{"mtu": 9000}, {"expected": 7}])
def test_a_network_that_is_not_changed_is_not_shared(world: World, wrong: dict[str, int]) -> None:
    """Whoever asks for too much, or has not seen the network as it is, shares nothing either, not for a moment."""
    assert refused(world, UpdateNetwork("m", shared=True, share_id="new", **wrong))[0] in {400, 412}
    assert refused(world, UpdateNetwork("n", shared=False, **wrong))[0] in {400, 412}


def test_a_share_that_is_needed_keeps_the_network_as_it_is(world: World) -> None:
    """While a foreign port lives by a share with all, a change that takes it back changes nothing."""
    world.apply(CreatePort("p", "x", "n", mac=Mac(1)), 4.0)
    assert refused(world, UpdateNetwork("n", name="new", shared=False)) == (409, "RbacPolicyInUse")


def test_a_guest_comes_too_late(world: World) -> None:
    """A guest that looked while the network was shared, and whose turn comes when it is no more, gets no port there."""
    late = CreatePort("p", "c", "m", mac=Mac(1), guest=True)
    world.apply(late, 4.0)
    world.apply(DeletePort("p"), 4.0)
    world.apply(DeleteShare("s-c"), 4.0)
    assert refused(world, late) == (404, "NetworkNotFound")
