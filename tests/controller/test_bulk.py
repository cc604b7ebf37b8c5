"""Several objects are made at once, all of them or none."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from controller.bulk import Creation, apply_all
from overlay.changes import CreateNetwork, CreatePort, CreateShare, CreateSubnet, CreateSubnetPool, DeletePort
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


def test_or_none() -> None:
    """When the last one is refused, those before it are taken back, whatever they are."""
    world = World()
    with pytest.raises(Refusal, match="mac_address"):
        apply_all(world, (*ALL, CreatePort("q", "b", "n", mac=Mac(1))), 1.0)
    assert world.documents() == ()
    apply_all(world, ALL, 2.0)
    world.apply(DeletePort("p"), 3.0)
    assert world.networks["n"].record.created_at == 2.0
