"""How many of each a project may have."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from overlay.changes import (
    Change,
    CreateNetwork,
    CreatePort,
    CreateShare,
    CreateSubnet,
    CreateSubnetPool,
    DeletePort,
    ResetQuota,
    SetQuota,
)
from overlay.mirrors.changes import CreateTapFlow, CreateTapService
from overlay.mirrors.values import TapDirection
from overlay.policy.changes import (
    CreateAddressGroup,
    CreateSecurityGroup,
    CreateSecurityRule,
    DeleteSecurityRule,
    MakeDefaultGroup,
)
from overlay.policy.values import Direction
from overlay.qos.changes import CreateQosPolicy
from overlay.refusals import Refusal
from overlay.trunks.changes import CreateTrunk, DeleteTrunk
from overlay.values import Countable, Mac, Quota, Shareable
from overlay.world import Settings, World

ONE_MORE: dict[Countable, Change] = {
    Countable.NETWORK: CreateNetwork("n2", "a"),
    Countable.SUBNET: CreateSubnet("s2", "a", "n", ip_network("10.0.1.0/24")),
    Countable.PORT: CreatePort("p2", "a", "n", mac=Mac(2)),
    Countable.SUBNETPOOL: CreateSubnetPool("o2", "a", "", (ip_network("10.0.0.0/8"),)),
    Countable.RBAC_POLICY: CreateShare("r2", "a", Shareable.NETWORK, "n", "c"),
    Countable.TRUNK: CreateTrunk("t2", "a", "parent"),
    Countable.SECURITY_GROUP: CreateSecurityGroup("g2", "a", ("g2-4", "g2-6")),
    Countable.SECURITY_GROUP_RULE: CreateSecurityRule("r2", "a", "g", Direction.INGRESS),
    Countable.ADDRESS_GROUP: CreateAddressGroup("d2", "a"),
    Countable.TAP_SERVICE: CreateTapService("t2", "a", "p"),
    Countable.TAP_FLOW: CreateTapFlow("f2", "a", "t", "q", TapDirection.IN),
    Countable.QOS_POLICY: CreateQosPolicy("q2", "a"),
}


@pytest.fixture
def world() -> World:
    """Project a has one of each, and two ports."""
    it = World()
    it.apply(CreateNetwork("n", "a"), 0)
    it.apply(CreateSubnet("s", "a", "n", ip_network("10.0.0.0/24")), 0)
    it.apply(CreatePort("p", "a", "n", mac=Mac(1)), 0)
    it.apply(CreateSubnetPool("o", "a", "", (ip_network("10.0.0.0/8"),)), 0)
    it.apply(CreateShare("r", "a", Shareable.NETWORK, "n", "b"), 0)
    it.apply(CreateSecurityGroup("g", "a", ("g-4", "g-6")), 0)
    it.apply(DeleteSecurityRule("g-6"), 0)
    it.apply(CreateAddressGroup("d", "a"), 0)
    it.apply(CreatePort("q", "a", "n", mac=Mac(9)), 0)
    it.apply(CreateTapService("t", "a", "p"), 0)
    it.apply(CreateTapFlow("f", "a", "t", "q", TapDirection.BOTH), 0)
    it.apply(CreateQosPolicy("q", "a"), 0)
    it.apply(CreateTrunk("t", "a", "p"), 0)
    return it


@pytest.mark.parametrize("kind", list(Countable))
def test_no_more_than_the_quota(world: World, kind: Countable) -> None:
    """One more than the quota is refused in Neutron's words; other projects have their own, and -1 is no limit."""
    world.apply(CreatePort("parent", "b", "n", mac=Mac(10)), 0)
    had = world.usage("a")[kind]
    world.apply(SetQuota("a", {kind: had}), 0)
    before = world.documents()
    with pytest.raises(Refusal) as refusal:
        world.apply(ONE_MORE[kind], 0)
    assert (refusal.value.status, refusal.value.kind) == (409, "OverQuota")
    assert refusal.value.message == f"Quota exceeded for resources: ['{kind}']."
    assert world.documents() == before
    world.apply(SetQuota("a", {kind: -1}), 0)
    world.apply(ONE_MORE[kind], 0)
    assert world.usage("a")[kind] == had + 1


def test_a_group_counts_with_its_rules(world: World) -> None:
    """A group that would bring more rules than the quota leaves is refused; a default group never is."""
    world.apply(SetQuota("a", {Countable.SECURITY_GROUP: 2, Countable.SECURITY_GROUP_RULE: 2}), 0)
    before = world.documents()
    with pytest.raises(Refusal, match="security_group_rule"):
        world.apply(ONE_MORE[Countable.SECURITY_GROUP], 0)
    assert world.documents() == before
    world.apply(MakeDefaultGroup("a", "default", ("1", "2", "3", "4")), 0)
    assert world.usage("a")[Countable.SECURITY_GROUP_RULE] == 5


def test_what_is_had_is_counted(world: World) -> None:
    """By project, as it comes and goes."""
    assert world.usage("a") == {**dict.fromkeys(Countable, 1), Countable.PORT: 2}
    assert world.usage("b") == dict.fromkeys(Countable, 0)
    world.apply(CreatePort("p2", "b", "n", mac=Mac(2)), 0)
    world.apply(CreatePort("p3", "b", "n", mac=Mac(3)), 0)
    world.apply(DeletePort("p2"), 0)
    assert (world.usage("a")[Countable.PORT], world.usage("b")[Countable.PORT]) == (2, 1)
    assert [port.id for port in world.ports_of_project("a")] == ["p", "q"]
    assert [port.id for port in world.ports_of_project("b")] == ["p3"]
    assert [subnet.id for subnet in world.subnets_of_project("a")] == ["s"]
    assert [network.id for network in world.networks_of_project("a")] == ["n"]
    assert world.networks_of_project("b") == ()


def test_limits_are_the_projects_own_or_the_default(world: World) -> None:
    """What a project's quota does not name is as for everybody; it is stored, and can be reset."""
    default = {
        Countable.NETWORK: 1000,
        Countable.SUBNET: 1000,
        Countable.PORT: 50_000,
        Countable.SUBNETPOOL: 100,
        Countable.RBAC_POLICY: 1000,
        Countable.SECURITY_GROUP: 1000,
        Countable.SECURITY_GROUP_RULE: 10_000,
        Countable.ADDRESS_GROUP: 1000,
        Countable.TAP_SERVICE: 100,
        Countable.TAP_FLOW: 1000,
        Countable.QOS_POLICY: 100,
        Countable.TRUNK: 1000,
    }
    assert world.limits("a") == default
    world.apply(SetQuota("a", {Countable.PORT: 5}), 0)
    world.apply(SetQuota("a", {Countable.SUBNET: 6}), 0)
    own = {Countable.PORT: 5, Countable.SUBNET: 6}
    assert world.limits("a") == default | own
    assert world.quotas == {"a": Quota("a", own)}
    again = World.restore(world.documents(), 0, Settings(quotas={Countable.NETWORK: 7}))
    assert again.limits("a") == {**default, **own, Countable.NETWORK: 7}
    assert again.limits("b") == {**default, Countable.NETWORK: 7}
    assert world.apply(ResetQuota("a"), 0).documents[0].body is None
    assert world.limits("a") == default


def test_a_lower_quota_takes_nothing_away(world: World) -> None:
    """Whoever has more than a new quota keeps it, and gets no more until there is room."""
    world.apply(CreatePort("p2", "a", "n", mac=Mac(2)), 0)
    world.apply(SetQuota("a", {Countable.PORT: 2}), 0)
    assert len(world.ports) == 3
    world.apply(DeletePort("p2"), 0)
    with pytest.raises(Refusal, match="Quota exceeded"):
        world.apply(CreatePort("p3", "a", "n", mac=Mac(3)), 0)
    world.apply(DeleteTrunk("t"), 0)
    world.apply(DeletePort("p"), 0)
    world.apply(CreatePort("p3", "a", "n", mac=Mac(3)), 0)


def test_a_lower_quota_is_refused_when_it_is_checked(world: World) -> None:
    """With a check no limit can be below what is there; as much, more and any number can."""
    for limit in (2, 3, -1):
        world.apply(SetQuota("a", {Countable.PORT: limit}, check=True), 0)
    with pytest.raises(Refusal, match="port: 0 is less than the 2") as refusal:
        world.apply(SetQuota("a", {Countable.PORT: 0}, check=True), 0)
    assert refusal.value.field == "port"
    assert world.limits("a")[Countable.PORT] == -1


def test_projects_are_who_has_something_or_a_quota(world: World) -> None:
    """A project is known as long as it owns something or has a quota of its own."""
    world.apply(SetQuota("b", {Countable.PORT: 1}), 0)
    assert world.projects() == {"a", "b"}
    world.apply(ResetQuota("b"), 0)
    assert world.projects() == {"a"}


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        (SetQuota("a", {Countable.PORT: -2}), 400, "InvalidInput"),
        (ResetQuota("a"), 404, "TenantQuotaNotFound"),
    ],
)
def test_refused(world: World, change: Change, status: int, kind: str) -> None:
    """A quota is a number of objects or -1; one that is not there cannot be reset."""
    with pytest.raises(Refusal) as refusal:
        world.apply(change, 0)
    assert (refusal.value.status, refusal.value.kind) == (status, kind)
    assert not world.quotas


def test_what_a_project_owns() -> None:
    """A project that has anything at all is told one thing of it; one that has nothing, none."""
    world = World()
    assert world.owned("a") is None
    world.apply(CreateNetwork("n", "a"), 0.0)
    assert world.owned("a") == (Countable.NETWORK, "n")
    world.apply(CreateShare("s", "b", Shareable.NETWORK, "n", "c"), 0.0)
    assert world.owned("b") == (Countable.RBAC_POLICY, "s")
    assert world.owned("c") is None
    world.apply(MakeDefaultGroup("c", "default", ("1", "2", "3", "4")), 0.0)
    assert world.owned("c") is None
    world.apply(CreateSecurityGroup("g", "c", ("5", "6")), 0.0)
    assert world.owned("c") == (Countable.SECURITY_GROUP, "g")
