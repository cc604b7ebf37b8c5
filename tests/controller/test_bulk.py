"""Several objects are made at once, all of them or none."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from controller.bulk import Bulk, Creation, apply_all
from overlay.changes import CreateNetwork, CreatePort, CreateShare, CreateSubnet, CreateSubnetPool, DeletePort
from overlay.policy.changes import CreateSecurityGroup, MakeDefaultGroup
from overlay.refusals import Refusal
from overlay.values import Mac, Shareable
from overlay.world import World

ALL: tuple[Creation, ...] = (
    CreateNetwork("n", "a"),
    CreateShare("share", "a", Shareable.NETWORK, "n", "b"),
    CreateSubnetPool("pool", "a", "", (ip_network("10.0.0.0/8"),)),
    CreateSubnet("s", "a", "n", None, subnetpool_id="pool", prefixlen=29),
    CreatePort("p", "b", "n", mac=Mac(1)),
)


def test_all_are_made() -> None:
    """What comes of them is one outcome, with a document for each."""
    world = World()
    outcome = apply_all(world, ALL, 1.0)
    assert [(document.kind, document.id) for document in outcome.documents] == [
        ("network", "n"),
        ("rbac_policy", "share"),
        ("subnetpool", "pool"),
        ("subnet", "s"),
        ("port", "p"),
    ]


def test_a_default_group_stays_and_is_stored() -> None:
    """What a refused port has brought into the world with it is in the store as well, as others may use it by now."""
    world = World()
    world.apply(CreateNetwork("n", "a"), 1.0)
    default = MakeDefaultGroup("a", "default", ("1", "2", "3", "4"))
    first = CreatePort("p", "a", "n", mac=Mac(1), default_group=default)
    bulk = Bulk((CreateSecurityGroup("g", "a", ("g4", "g6")), first, CreatePort("q", "a", "n", mac=Mac(1))))
    while not bulk.decided:
        bulk.step(world, lambda: 2.0)
    assert bulk.refusal is not None
    kept = {document.id: document for document in bulk.to_store().documents}
    assert {id_ for id_, document in kept.items() if document.body is not None} == {"default", "1", "2", "3", "4"}
    assert [document.id for document in world.documents()] == ["n", "default", "1", "2", "3", "4"]


def test_or_none() -> None:
    """When the last one is refused, those before it are taken back, whatever they are."""
    world = World()
    with pytest.raises(Refusal, match="mac_address"):
        apply_all(world, (*ALL, CreatePort("q", "b", "n", mac=Mac(1))), 1.0)
    assert world.documents() == ()
    apply_all(world, ALL, 2.0)
    world.apply(DeletePort("p"), 3.0)
    assert world.networks["n"].record.created_at == 2.0
