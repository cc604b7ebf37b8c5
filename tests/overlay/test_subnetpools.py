"""Subnets are cut of a pool: first fit, aligned, none over another, no more than a project may have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.carving import Cuts
from overlay.changes import (
    Change,
    CreateNetwork,
    CreateShare,
    CreateSubnet,
    CreateSubnetPool,
    DeleteNetwork,
    DeleteSubnet,
    DeleteSubnetPool,
    DocumentKind,
    SetTags,
    UpdateSubnetPool,
)
from overlay.refusals import Refusal
from overlay.values import IpNetwork, Shareable, SubnetPool
from overlay.world import World

TEN = ip_network("10.0.0.0/24")
SIX = ip_network("2001:db8::/48")
PREFIXES = (ip_network("10.0.0.0/28"), ip_network("10.0.0.32/27"), ip_network("10.0.0.128/28"))


def nets(*texts: str) -> tuple[IpNetwork, ...]:
    """Prefixes by their texts."""
    return tuple(map(ip_network, texts))


def cut(world: World, id_: str, *, project: str = "a", pool: str = "pool", **rest: object) -> str:
    """Cut a subnet, in a network of its own.  :returns: its prefix."""
    world.apply(CreateNetwork(f"n-{id_}", project), 0)
    world.apply(CreateSubnet(id_, project, f"n-{id_}", **{"cidr": None, "subnetpool_id": pool, **rest}), 0)
    return str(world.subnet(id_).cidr)


@pytest.fixture
def world() -> World:
    """Pools: ``pool`` of a /24 (/26 to /30), ``six`` of a /48; network n."""
    it = World()
    it.apply(CreateNetwork("n", "a"), 0)
    it.apply(CreateSubnetPool("pool", "a", "ten", (TEN,), min_prefixlen=26, max_prefixlen=30), 4.0)
    it.apply(CreateSubnetPool("six", "a", "six", (SIX,), is_default=True), 4.0)
    return it


@given(st.lists(st.tuples(st.integers(27, 32), st.integers(0, 9))))
def test_first_fit(steps: Iterable[tuple[int, int]]) -> None:
    """After any cuts and returns, the answer is the lowest aligned piece that overlaps with none."""
    cuts, taken = Cuts(), []
    for length, gone in steps:
        free = [
            piece
            for prefix in PREFIXES
            if prefix.prefixlen <= length
            for piece in prefix.subnets(new_prefix=length)
            if not any(piece.overlaps(other) for other in taken)
        ]
        found = cuts.first_fit(PREFIXES, length)
        assert found == (free[0] if free else None)
        if found is not None:
            cuts.take(found, "a")
            taken.append(found)
        if gone < len(taken):
            cuts.give_back(taken.pop(gone), "a")
        assert (len(cuts), cuts.held("a")) == (len(taken), sum(piece.num_addresses for piece in taken))
        for piece in ip_network("10.0.0.0/26").subnets(new_prefix=30):
            assert cuts.is_free(piece) != any(piece.overlaps(other) for other in taken)


def test_lengths_have_neutrons_defaults(world: World) -> None:
    """From 8 to 32 in IPv4, from 64 to 128 in IPv6; the default is the least; prefixes are merged and sorted."""
    world.apply(CreateSubnetPool("four", "a", "", nets("10.2.0.0/24", "10.1.1.0/24", "10.1.0.0/24"), tags=("x",)), 5.0)
    four, six = world.subnetpool("four"), world.subnetpool("six")
    assert (four.min_prefixlen, four.default_prefixlen, four.max_prefixlen) == (8, 8, 32)
    assert (six.min_prefixlen, six.default_prefixlen, six.max_prefixlen) == (64, 64, 128)
    assert four.prefixes == nets("10.1.0.0/23", "10.2.0.0/24")
    assert (four.record.revision, four.record.created_at, four.record.tags) == (1, 5.0, ("x",))
    assert list(world.subnetpools) == ["pool", "six", "four"]


def test_subnets_are_cut(world: World) -> None:
    """By the default length, by a length, or by the exact prefix; a hole is filled first."""
    assert [cut(world, "a"), cut(world, "b", prefixlen=28), cut(world, "c", prefixlen=30), cut(world, "d")] == [
        "10.0.0.0/26",
        "10.0.0.64/28",
        "10.0.0.80/30",
        "10.0.0.128/26",
    ]
    assert cut(world, "e", cidr=ip_network("10.0.0.240/28")) == "10.0.0.240/28"
    assert cut(world, "f", prefixlen=27) == "10.0.0.96/27"
    assert cut(world, "six", pool="six") == "2001:db8::/64"
    world.apply(DeleteSubnet("a"), 0)
    world.apply(DeleteNetwork("n-b"), 0)
    assert cut(world, "g", prefixlen=27) == "10.0.0.0/27"
    assert world.subnet("g").subnetpool_id == "pool"


def test_what_was_cut_stays_cut_in_a_restored_world(world: World) -> None:
    """Pools, and which of their pieces are taken, are read back."""
    cut(world, "a")
    again = World.restore(world.documents(), 9.0)
    assert again.subnetpools == world.subnetpools
    assert again.documents() == world.documents()
    assert cut(again, "b") == "10.0.0.64/26"
    assert again.default_subnetpool(6) == world.subnetpool("six")
    assert again.default_subnetpool(4) is None


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        (CreateSubnetPool("pool", "a", "", (TEN,)), 409, "Conflict"),
        (CreateSubnetPool("x", "a", "", ()), 400, "InvalidInput"),
        (CreateSubnetPool("x", "a", "", (TEN, SIX)), 400, "InvalidInput"),
        (CreateSubnetPool("x", "a", "", (TEN,), min_prefixlen=33), 400, "InvalidInput"),
        (CreateSubnetPool("x", "a", "", (TEN,), default_prefixlen=7), 400, "InvalidInput"),
        (CreateSubnetPool("x", "a", "", (TEN,), max_prefixlen=33), 400, "InvalidInput"),
        (CreateSubnetPool("x", "a", "", (TEN,), default_quota=-1), 400, "InvalidInput"),
        (CreateSubnetPool("x", "a", "", (SIX,), is_default=True), 409, "DefaultSubnetPoolExists"),
        (UpdateSubnetPool("x"), 404, "SubnetPoolNotFound"),
        (UpdateSubnetPool("pool", expected=2), 412, "RevisionNumberConstraintFailed"),
        (UpdateSubnetPool("pool", prefixes=nets("10.0.0.0/25")), 400, "IllegalSubnetPoolPrefixUpdate"),
        (UpdateSubnetPool("pool", prefixes=(SIX,)), 400, "IllegalSubnetPoolPrefixUpdate"),
        (UpdateSubnetPool("pool", min_prefixlen=27), 400, "InvalidInput"),
        (DeleteSubnetPool("x"), 404, "SubnetPoolNotFound"),
        (DeleteSubnetPool("pool", expected=2), 412, "RevisionNumberConstraintFailed"),
        (CreateSubnet("s", "a", "n", None), 400, "InvalidInput"),
        (CreateSubnet("s", "a", "n", None, subnetpool_id="x"), 404, "SubnetPoolNotFound"),
        (
            CreateSubnet("s", "a", "n", None, subnetpool_id="pool", prefixlen=25),
            400,
            "MinPrefixSubnetAllocationError",
        ),
        (CreateSubnet("s", "a", "n", TEN, subnetpool_id="pool"), 400, "MinPrefixSubnetAllocationError"),
        (
            CreateSubnet("s", "a", "n", None, subnetpool_id="pool", prefixlen=31),
            400,
            "MaxPrefixSubnetAllocationError",
        ),
        (
            CreateSubnet("s", "a", "n", ip_network("10.0.1.0/26"), subnetpool_id="pool"),
            409,
            "SubnetAllocationError",
        ),
    ],
)
def test_refused(world: World, change: Change, status: int, kind: str) -> None:
    """What no pool can be or give is refused by Neutron's name, and changes nothing."""
    before = world.documents()
    with pytest.raises(Refusal) as refusal:
        world.apply(change, 0)
    assert (refusal.value.status, refusal.value.kind) == (status, kind)
    assert world.documents() == before


def test_a_pool_is_used_up(world: World) -> None:
    """Four /26 fit into a /24, whichever way; the fifth is refused, and so is what overlaps."""
    for name in "abcd":
        cut(world, name)
    for wish in ({"cidr": None}, {"cidr": ip_network("10.0.0.0/28")}):
        with pytest.raises(Refusal) as refusal:
            cut(world, f"e{wish['cidr']}", **wish)
        assert (refusal.value.status, refusal.value.kind) == (409, "SubnetAllocationError")
    with pytest.raises(Refusal) as refusal:
        world.apply(DeleteSubnetPool("pool"), 0)
    assert (refusal.value.status, refusal.value.kind) == (409, "SubnetPoolInUse")


@pytest.mark.parametrize(("pool", "quota", "length"), [("pool", 128, 26), ("six", 2, 64)])
def test_a_project_has_no_more_of_a_pool_than_its_quota(world: World, pool: str, quota: int, length: int) -> None:
    """The quota counts addresses in IPv4, /64 in IPv6; each project has its own."""
    world.apply(UpdateSubnetPool(pool, default_quota=quota), 0)
    cut(world, "a", pool=pool)
    cut(world, "b", pool=pool)
    with pytest.raises(Refusal) as refusal:
        cut(world, "c", pool=pool, prefixlen=length)
    assert (refusal.value.status, refusal.value.kind) == (409, "SubnetPoolQuotaExceeded")
    cut(world, "d", pool=pool, project="other")
    world.apply(DeleteSubnet("a"), 0)
    cut(world, "e", pool=pool)
    world.apply(UpdateSubnetPool(pool, default_quota=None), 0)
    cut(world, "f", pool=pool)


def test_a_pool_changes(world: World) -> None:
    """What is not named stays; prefixes may grow; the default pool may become another one."""
    world.apply(UpdateSubnetPool("pool"), 0)
    assert world.subnetpool("pool").record.revision == 1
    world.apply(UpdateSubnetPool("six", is_default=False), 0)
    world.apply(
        UpdateSubnetPool(
            "pool",
            name="b",
            prefixes=(TEN, ip_network("10.0.1.0/24")),
            default_prefixlen=28,
            min_prefixlen=24,
            max_prefixlen=29,
            is_default=True,
            default_quota=512,
            description="c",
            expected=1,
        ),
        6.0,
    )
    pool = world.subnetpool("pool")
    assert (pool.record.revision, pool.record.updated_at) == (2, 6.0)
    merged = (ip_network("10.0.0.0/23"),)
    assert pool == SubnetPool("pool", "a", "b", merged, 28, 24, 29, False, True, 512, "c", pool.record)
    assert (world.default_subnetpool(4), world.default_subnetpool(6)) == (pool, None)
    assert cut(world, "a", prefixlen=24) == "10.0.0.0/24"


def test_a_pool_goes(world: World) -> None:
    """With a pool go the shares of it; then another one may be the default."""
    world.apply(CreateShare("share", "a", Shareable.SUBNETPOOL, "six", "b"), 0)
    world.apply(DeleteSubnetPool("six", expected=1), 0)
    assert not world.shares
    assert world.default_subnetpool(6) is None
    world.apply(DeleteSubnetPool("pool"), 0)
    assert not world.subnetpools


def test_pools_have_tags(world: World) -> None:
    """Tags of pools are as those of networks."""
    world.apply(SetTags(DocumentKind.SUBNETPOOL, "pool", add=("x",)), 7.0)
    pool = world.subnetpool("pool")
    assert pool.record == replace(pool.record, revision=2, updated_at=7.0, tags=("x",))
