"""Security groups, their rules and address groups: who may have which, and what depends on what."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from overlay.changes import (
    Change,
    CreateNetwork,
    CreatePort,
    DeletePort,
    DocumentKind,
    SetQuota,
    SetTags,
    UpdateNetwork,
    UpdatePort,
)
from overlay.policy.changes import (
    CreateAddressGroup,
    CreateSecurityGroup,
    CreateSecurityRule,
    CreateSecurityRules,
    DeleteAddressGroup,
    DeleteSecurityGroup,
    DeleteSecurityRule,
    MakeDefaultGroup,
    PairRequest,
    UpdateAddressGroup,
    UpdateSecurityGroup,
)
from overlay.policy.values import Direction
from overlay.refusals import Refusal
from overlay.values import AddressPair, Countable, Mac
from overlay.world import World

IN, OUT = Direction.INGRESS, Direction.EGRESS
TEN, ELEVEN, SIX = ip_network("10.0.0.0/8"), ip_network("11.0.0.0/8"), ip_network("2001:db8::/32")
VIRTUAL = ip_network("10.0.0.9/32")
WEB = CreateSecurityRule("web", "a", "g", IN, 4, 6, 80, 80)


@pytest.fixture
def world() -> World:
    """Project a has a default group, the groups g and h and some addresses; port p is in g.  Project b has group x."""
    it = World()
    for change in (
        MakeDefaultGroup("a", "default-a", ("d1", "d2", "d3", "d4")),
        CreateSecurityGroup("g", "a", ("g4", "g6"), "web", "for the web", tags=("t",)),
        CreateSecurityGroup("h", "a", ("h4", "h6")),
        CreateSecurityGroup("x", "b", ("x4", "x6")),
        CreateAddressGroup("addresses", "a", "some", "", (ELEVEN, TEN, TEN)),
        CreateAddressGroup("foreign", "b"),
        CreateNetwork("n", "a"),
        CreatePort("p", "a", "n", mac=Mac(1), security_groups=("g",)),
        WEB,
    ):
        it.apply(change, 5.0)
    return it


def refused(world: World, change: Change) -> tuple[int, str, str]:
    """How a change is refused, with nothing changed."""
    before = world.documents()
    with pytest.raises(Refusal) as refusal:
        world.apply(change, 6.0)
    assert world.documents() == before
    return refusal.value.status, refusal.value.kind, refusal.value.field


def test_a_new_group_lets_out_everything(world: World) -> None:
    """Its ports may send anything by both families, and receive what its rules say."""
    assert [(rule.id, rule.direction, rule.family) for rule in world.rules_of("g")] == [
        ("g4", OUT, 4),
        ("g6", OUT, 6),
        ("web", IN, 4),
    ]
    group = world.security_group("g")
    assert (group.name, group.description, group.stateful, group.is_default) == ("web", "for the web", True, False)
    assert group.record.tags == ("t",)


def test_a_default_group_lets_its_ports_talk_to_each_other(world: World) -> None:
    """Out goes everything, in comes what its own ports send; it is made once."""
    assert world.default_group("a") == "default-a"
    assert world.default_group("b") is None
    said = [(rule.direction, rule.family, rule.remote_group_id) for rule in world.rules_of("default-a")]
    assert said == [(OUT, 4, None), (OUT, 6, None), (IN, 4, "default-a"), (IN, 6, "default-a")]
    assert not world.apply(MakeDefaultGroup("a", "again", ("1", "2", "3", "4")), 6.0).documents
    assert world.default_group("a") == "default-a"
    assert [group.id for group in world.security_groups_of_project("a")] == ["default-a", "g", "h"]


def test_rules_revise_their_group(world: World) -> None:
    """A rule more or less is a change of the group; the rule itself begins with revision 1."""
    revision = world.security_group("g").record.revision
    world.apply(replace(WEB, id="tls", port_min=443, port_max=443), 6.0)
    assert world.security_group("g").record.revision == revision + 1
    assert world.security_rule("tls").record.revision == 1
    world.apply(DeleteSecurityRule("tls"), 7.0)
    assert world.security_group("g").record.revision == revision + 2
    assert [rule.id for rule in world.security_rules_of_project("b")] == ["x4", "x6"]


def test_several_rules_at_once(world: World) -> None:
    """All are made or none; a group has one revision more for all of its own."""
    revision = world.security_group("g").record.revision
    rules = tuple(
        CreateSecurityRule(f"r{port}{group}", "a", group, IN, 4, 6, port, port) for port in (1, 2, 3) for group in "gh"
    )
    world.apply(CreateSecurityRules(rules), 6.0)
    assert world.security_group("g").record.revision == revision + 1
    assert [rule.id for rule in world.rules_of("h")] == ["h4", "h6", "r1h", "r2h", "r3h"]
    one, bad = CreateSecurityRule("new", "a", "g", IN, 6), replace(WEB, id="twin")
    exists = (409, "SecurityGroupRuleExists", "security_group_rule")
    assert refused(world, CreateSecurityRules((one, bad))) == exists
    twice = (409, "DuplicateSecurityGroupRuleInPost", "security_group_rules")
    assert refused(world, CreateSecurityRules((one, replace(one, id="other")))) == twice
    world.apply(SetQuota("a", {Countable.SECURITY_GROUP_RULE: 16}), 7.0)
    two = (one, CreateSecurityRule("newer", "a", "g", OUT, 4, 17))
    assert refused(world, CreateSecurityRules(two)) == (409, "OverQuota", "security_group_rule")


def test_a_port_may_be_in_the_default_group(world: World) -> None:
    """It is made with the first port that needs it, and with none that is not checked."""
    default = MakeDefaultGroup("b", "default-b", ("1", "2", "3", "4"))
    world.apply(CreatePort("q", "b", "n", mac=Mac(2), port_security=False, default_group=default), 6.0)
    assert (world.port("q").security_groups, world.default_group("b")) == ((), None)
    world.apply(CreatePort("r", "b", "n", mac=Mac(3), default_group=default), 6.0)
    assert world.port("r").security_groups == ("default-b",)
    assert [port.id for port in world.ports_in("default-b")] == ["r"]


def test_a_group_has_texts_and_tags(world: World) -> None:
    """Texts of a default group change but for its name; a change that changes nothing is no revision."""
    world.apply(UpdateSecurityGroup("g", name="new", expected=2), 6.0)
    world.apply(UpdateSecurityGroup("default-a", name="default", description="mine"), 6.0)
    world.apply(SetTags(DocumentKind.SECURITY_GROUP, "g", add=("u",)), 6.0)
    assert (world.security_group("g").name, world.security_group("g").record.tags) == ("new", ("t", "u"))
    assert world.security_group("default-a").description == "mine"
    assert not world.apply(UpdateSecurityGroup("g"), 7.0).documents


def test_who_names_a_group_that_goes_goes_with_it(world: World) -> None:
    """With a group go its rules and the rules of others that name it; a default group goes where that was said."""
    world.apply(CreateSecurityRule("from-h", "a", "g", IN, 6, remote_group_id="h"), 6.0)
    world.apply(CreateSecurityRule("own", "a", "h", IN, 6, remote_group_id="h"), 6.0)
    gone = [document.id for document in world.apply(DeleteSecurityGroup("h"), 7.0).documents if document.body is None]
    assert sorted(gone) == ["from-h", "h", "h4", "h6", "own"]
    assert [rule.id for rule in world.rules_of("g")] == ["g4", "g6", "web"]
    world.apply(DeleteSecurityGroup("default-a", default=True), 8.0)
    assert world.default_group("a") is None


def test_ports_come_and_go(world: World) -> None:
    """A port is in the groups that it names, once each; a group that a port is in stays."""
    assert [port.id for port in world.ports_in("g")] == ["p"]
    world.apply(UpdatePort("p", security_groups=("h", "default-a", "h")), 6.0)
    assert world.port("p").security_groups == ("default-a", "h")
    assert not world.ports_in("g")
    world.apply(UpdatePort("p", name="new"), 6.0)
    assert [port.id for port in world.ports_in("h")] == ["p"]
    world.apply(DeletePort("p"), 7.0)
    assert not world.ports_in("h")


def test_who_is_filtered(world: World) -> None:
    """A port without groups may talk to nobody; one that nobody gave a policy, or that nobody checks, to everybody."""
    assert world.port("p").filtered
    world.apply(UpdatePort("p", security_groups=()), 6.0)
    assert world.port("p").filtered
    world.apply(UpdatePort("p", port_security=False), 6.0)
    assert not world.port("p").filtered
    world.apply(CreatePort("q", "a", "n", mac=Mac(2)), 6.0)
    assert not world.port("q").filtered


def test_a_network_says_what_its_ports_have(world: World) -> None:
    """Whether a port is checked is as its network says when it is made, or as is said of itself."""
    world.apply(UpdateNetwork("n", port_security=False), 6.0)
    world.apply(CreatePort("q", "a", "n", mac=Mac(2)), 6.0)
    world.apply(CreatePort("r", "a", "n", mac=Mac(3), port_security=True), 6.0)
    world.apply(CreateNetwork("m", "a", port_security=False), 6.0)
    assert [world.port(port).port_security for port in "pqr"] == [True, False, True]
    assert not world.network("m").port_security


def test_address_pairs(world: World) -> None:
    """A pair without a MAC has the port's own."""
    pairs = (PairRequest(VIRTUAL), PairRequest(SIX, Mac(7)))
    world.apply(UpdatePort("p", allowed_pairs=pairs), 6.0)
    assert world.port("p").allowed_pairs == (AddressPair(Mac(1), VIRTUAL), AddressPair(Mac(7), SIX))
    world.apply(CreatePort("q", "a", "n", mac=Mac(2), allowed_pairs=pairs[:1]), 6.0)
    assert world.port("q").allowed_pairs == (AddressPair(Mac(2), VIRTUAL),)


def test_address_groups(world: World) -> None:
    """Prefixes are kept sorted, come and go by name, and stay while a rule names their group."""
    assert world.address_group("addresses").prefixes == (TEN, ELEVEN)
    world.apply(UpdateAddressGroup("addresses", "new", add=(SIX,), remove=(TEN,)), 6.0)
    assert (world.address_group("addresses").prefixes, world.address_group("addresses").name) == ((ELEVEN, SIX), "new")
    world.apply(UpdateAddressGroup("addresses", description="text"), 6.0)
    assert world.address_group("addresses").description == "text"
    assert not world.apply(UpdateAddressGroup("addresses"), 6.0).documents
    world.apply(CreateSecurityRule("named", "a", "g", IN, 6, remote_address_group_id="addresses"), 6.0)
    assert refused(world, DeleteAddressGroup("addresses")) == (409, "AddressGroupInUse", "address_group_id")
    world.apply(DeleteSecurityRule("named"), 7.0)
    world.apply(DeleteAddressGroup("addresses"), 7.0)
    assert not world.address_groups_of_project("a")


def test_address_groups_have_tags(world: World) -> None:
    """They are tagged like any other object."""
    world.apply(SetTags(DocumentKind.ADDRESS_GROUP, "addresses", add=("t",)), 6.0)
    assert world.address_group("addresses").record.tags == ("t",)


def test_all_of_it_is_restored(world: World) -> None:
    """The documents make the same policies again, with who is in which group and what is said already."""
    world.apply(CreateSecurityRule("named", "a", "h", IN, 6, remote_address_group_id="addresses"), 6.0)
    world.apply(CreateSecurityRule("prefix", "a", "h", IN, 4, 17, 1, 2, remote_prefix=TEN), 6.0)
    world.apply(UpdatePort("p", allowed_pairs=(PairRequest(VIRTUAL),)), 6.0)
    again = World.restore(world.documents(), 8.0)
    assert again.documents() == world.documents()
    assert again.security_rules == world.security_rules
    assert again.port("p") == world.port("p")
    assert [port.id for port in again.ports_in("g")] == ["p"]
    assert refused(again, replace(WEB, id="twin"))[1] == "SecurityGroupRuleExists"
    assert refused(again, DeleteAddressGroup("addresses"))[1] == "AddressGroupInUse"


@pytest.mark.parametrize(
    "rule",
    [
        CreateSecurityRule("new", "a", "g", IN, 4),
        CreateSecurityRule("new", "a", "g", IN, 4, 6, 80, 81),
        CreateSecurityRule("new", "a", "g", IN, 6, 6, 80, 80),
        CreateSecurityRule("new", "a", "g", OUT, 4, 6, 1, 65535),
        CreateSecurityRule("new", "a", "g", IN, 4, 1, 8, 0),
        CreateSecurityRule("new", "a", "g", IN, 4, 1, 0),
        CreateSecurityRule("new", "a", "g", IN, 6, 58, 255, 255),
        CreateSecurityRule("new", "a", "g", IN, 4, 0),
        CreateSecurityRule("new", "a", "g", IN, 4, 255),
        CreateSecurityRule("new", "a", "g", IN, 4, 6, 80, 80, remote_group_id="h"),
        CreateSecurityRule("new", "a", "g", IN, 4, 6, 80, 80, remote_prefix=TEN),
        CreateSecurityRule("new", "a", "g", IN, 4, 6, 80, 80, remote_address_group_id="addresses"),
        CreateSecurityRule("new", "a", "g", IN, 6, remote_prefix=SIX),
    ],
)
def test_rules_that_can_be(world: World, rule: CreateSecurityRule) -> None:
    """What makes sense and was not said yet is taken, and found as it was said."""
    world.apply(rule, 6.0)
    made = world.security_rule("new")
    for name in ("group_id", "direction", "family", "protocol", "port_min", "port_max", "remote_group_id"):
        assert getattr(made, name) == getattr(rule, name)
    assert (made.remote_prefix, made.remote_address_group_id) == (rule.remote_prefix, rule.remote_address_group_id)


_RULE = CreateSecurityRule("new", "a", "g", IN)


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (
            replace(_RULE, protocol=6, port_min=80, port_max=79),
            (400, "SecurityGroupInvalidPortRange", "port_range_min"),
        ),
        (replace(_RULE, protocol=6, port_min=80), (400, "SecurityGroupInvalidPortRange", "port_range_min")),
        (replace(_RULE, protocol=17, port_max=80), (400, "SecurityGroupInvalidPortRange", "port_range_min")),
        (replace(_RULE, protocol=6, port_min=0, port_max=1), (400, "SecurityGroupInvalidPortValue", "port_range_min")),
        (
            replace(_RULE, protocol=6, port_min=1, port_max=65536),
            (400, "SecurityGroupInvalidPortValue", "port_range_max"),
        ),
        (replace(_RULE, port_min=1, port_max=2), (400, "SecurityGroupProtocolRequiredWithPorts", "protocol")),
        (replace(_RULE, protocol=47, port_min=1), (400, "SecurityGroupInvalidProtocolForPort", "protocol")),
        (replace(_RULE, protocol=33, port_min=1, port_max=2), (400, "SecurityGroupInvalidProtocolForPort", "protocol")),
        (
            replace(_RULE, protocol=136, port_min=1, port_max=2),
            (400, "SecurityGroupInvalidProtocolForPort", "protocol"),
        ),
        (replace(_RULE, protocol=256), (400, "SecurityGroupRuleInvalidProtocol", "protocol")),
        (replace(_RULE, protocol=-1), (400, "SecurityGroupRuleInvalidProtocol", "protocol")),
        (replace(_RULE, protocol=1, port_max=0), (400, "SecurityGroupMissingIcmpType", "port_range_min")),
        (replace(_RULE, protocol=1, port_min=256), (400, "SecurityGroupInvalidIcmpValue", "port_range_min")),
        (
            replace(_RULE, protocol=1, port_min=8, port_max=256),
            (400, "SecurityGroupInvalidIcmpValue", "port_range_max"),
        ),
        (replace(_RULE, protocol=58), (400, "SecurityGroupEthertypeConflictWithProtocol", "ethertype")),
        (replace(_RULE, protocol=1, family=6), (400, "SecurityGroupEthertypeConflictWithProtocol", "ethertype")),
        (replace(_RULE, remote_prefix=SIX), (400, "SecurityGroupRuleParameterConflict", "remote_ip_prefix")),
        (
            replace(_RULE, remote_prefix=TEN, remote_group_id="h"),
            (400, "SecurityGroupRemoteGroupAndRemoteIpPrefix", "remote_ip_prefix"),
        ),
        (
            replace(_RULE, remote_address_group_id="addresses", remote_group_id="h"),
            (400, "SecurityGroupRemoteGroupAndRemoteIpPrefix", "remote_ip_prefix"),
        ),
        (replace(_RULE, group_id="x"), (404, "SecurityGroupNotFound", "security_group_id")),
        (replace(_RULE, group_id="y"), (404, "SecurityGroupNotFound", "security_group_id")),
        (replace(_RULE, remote_group_id="x"), (404, "SecurityGroupNotFound", "remote_group_id")),
        (replace(_RULE, remote_group_id="y"), (404, "SecurityGroupNotFound", "remote_group_id")),
        (replace(_RULE, remote_address_group_id="foreign"), (404, "AddressGroupNotFound", "remote_address_group_id")),
        (replace(_RULE, remote_address_group_id="y"), (404, "AddressGroupNotFound", "remote_address_group_id")),
        (replace(WEB, id="twin"), (409, "SecurityGroupRuleExists", "security_group_rule")),
        (
            replace(WEB, id="twin", remote_prefix=ip_network("0.0.0.0/0")),
            (409, "SecurityGroupRuleExists", "security_group_rule"),
        ),
        (WEB, (409, "Conflict", "id")),
        (DeleteSecurityRule("y"), (404, "SecurityGroupRuleNotFound", "security_group_rule_id")),
        (DeleteSecurityRule("web", expected=2), (412, "RevisionNumberConstraintFailed", "revision_number")),
        (CreateSecurityGroup("g", "a", ("1", "2")), (409, "Conflict", "id")),
        (CreateSecurityGroup("i", "a", ("1", "2"), "default"), (409, "SecurityGroupDefaultAlreadyExists", "name")),
        (UpdateSecurityGroup("g", "default"), (409, "SecurityGroupDefaultAlreadyExists", "name")),
        (UpdateSecurityGroup("default-a", "other"), (409, "SecurityGroupCannotUpdateDefault", "name")),
        (UpdateSecurityGroup("y"), (404, "SecurityGroupNotFound", "security_group_id")),
        (UpdateSecurityGroup("g", expected=9), (412, "RevisionNumberConstraintFailed", "revision_number")),
        (DeleteSecurityGroup("g"), (409, "SecurityGroupInUse", "security_group_id")),
        (DeleteSecurityGroup("default-a"), (409, "SecurityGroupCannotRemoveDefault", "security_group_id")),
        (CreateAddressGroup("addresses", "a"), (409, "Conflict", "id")),
        (UpdateAddressGroup("y"), (404, "AddressGroupNotFound", "address_group_id")),
        (UpdateAddressGroup("addresses", add=(TEN,)), (400, "AddressesAlreadyExist", "addresses")),
        (UpdateAddressGroup("addresses", remove=(SIX,)), (404, "AddressesNotFound", "addresses")),
        (UpdatePort("p", security_groups=("x",)), (404, "SecurityGroupNotFound", "security_groups")),
        (UpdatePort("p", security_groups=("g", "y")), (404, "SecurityGroupNotFound", "security_groups")),
        (UpdatePort("p", port_security=False), (409, "PortSecurityPortHasSecurityGroup", "port_security_enabled")),
        (
            UpdatePort("p", port_security=False, security_groups=("g",)),
            (400, "PortSecurityAndIPRequiredForSecurityGroups", "security_groups"),
        ),
        (
            UpdatePort("p", port_security=False, security_groups=(), allowed_pairs=(PairRequest(TEN),)),
            (409, "AddressPairAndPortSecurityRequired", "allowed_address_pairs"),
        ),
        (
            UpdatePort("p", allowed_pairs=(PairRequest(TEN), PairRequest(TEN, Mac(1)))),
            (400, "DuplicateAddressPairInRequest", "allowed_address_pairs"),
        ),
        (
            UpdatePort("p", allowed_pairs=tuple(PairRequest(TEN, Mac(number)) for number in range(1, 12))),
            (400, "AllowedAddressPairExhausted", "allowed_address_pairs"),
        ),
        (
            CreatePort("q", "a", "n", mac=Mac(2), port_security=False, security_groups=("g",)),
            (400, "PortSecurityAndIPRequiredForSecurityGroups", "security_groups"),
        ),
        (
            CreatePort("q", "b", "n", mac=Mac(2), security_groups=("g",)),
            (404, "SecurityGroupNotFound", "security_groups"),
        ),
        (
            CreatePort("q", "a", "n", mac=Mac(2), port_security=False, allowed_pairs=(PairRequest(TEN),)),
            (409, "AddressPairAndPortSecurityRequired", "allowed_address_pairs"),
        ),
    ],
)
def test_refused(world: World, change: Change, answer: tuple[int, str, str]) -> None:
    """What contradicts itself, names what is not there or another's, or was said already, changes nothing."""
    assert refused(world, change) == answer
