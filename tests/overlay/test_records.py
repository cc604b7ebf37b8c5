"""What is kept of every object: its revision, when it was made and changed, and its tags."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest

from overlay.changes import (
    Activate,
    BindPassive,
    Change,
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    DeleteNetwork,
    DeletePort,
    DeleteSubnet,
    Document,
    DocumentKind,
    HostSeen,
    Plugged,
    SetTags,
    Unbind,
    UpdateNetwork,
    UpdatePort,
    UpdateSubnet,
)
from overlay.refusals import Refusal
from overlay.tags import TAGS_MOST
from overlay.values import (
    DatapathId,
    FixedIp,
    Host,
    HostName,
    HostRoute,
    Ipv6Mode,
    Mac,
    Network,
    Pool,
    Port,
    Record,
    Subnet,
    Vni,
)
from overlay.world import World
from tests.model.lab import Lab

NET = ip_network("10.0.0.0/29")
KINDS = {"n": DocumentKind.NETWORK, "s": DocumentKind.SUBNET, "p": DocumentKind.PORT}


@pytest.fixture
def world() -> World:
    """Network n with subnet s and port p, made at 5 o'clock."""
    it = World()
    it.apply(CreateNetwork("n", "a", tags=("y", "x", "y")), 5.0)
    it.apply(CreateSubnet("s", "a", "n", NET), 5.0)
    it.apply(CreatePort("p", "a", "n", mac=Mac(1)), 5.0)
    return it


def records(world: World) -> dict[str, Record]:
    """The three objects' records."""
    return {"n": world.network("n").record, "s": world.subnet("s").record, "p": world.port("p").record}


@pytest.mark.parametrize(
    ("change", "whose"),
    [(UpdateNetwork("n", name="new"), "n"), (UpdateSubnet("s", name="new"), "s"), (UpdatePort("p", name="new"), "p")],
)
def test_revisions_grow(world: World, change: Change, whose: str) -> None:
    """An object begins with revision 1, and each change that is stored makes it one more: of that object alone."""
    born = Record(1, 5.0, 5.0)
    assert records(world) == {"n": Record(1, 5.0, 5.0, ("x", "y")), "s": born, "p": born}
    before = records(world)
    world.apply(change, 7.0)
    assert records(world) == {**before, whose: replace(before[whose], revision=2, updated_at=7.0)}


@pytest.mark.parametrize(
    "change", [UpdateNetwork("n", name=""), UpdateSubnet("s"), UpdatePort("p", name=""), SetTags(KINDS["n"], "n", "x")]
)
def test_nothing_changed(world: World, change: Change) -> None:
    """What is as it should be already is not stored again, and keeps its revision."""
    before = records(world)
    assert world.apply(change, 7.0).documents == ()
    assert records(world) == before


@pytest.mark.parametrize(
    "change",
    [
        UpdateNetwork("n", name="new", expected=2),
        DeleteNetwork("n", expected=2),
        UpdateSubnet("s", name="new", expected=0),
        DeleteSubnet("s", expected=2),
        UpdatePort("p", name="new", expected=2),
        UpdatePort("p", host=HostName("nowhere"), expected=2),
        DeletePort("p", expected=2),
        *(SetTags(kind, id_, ("new",), needed=("none",), expected=2) for id_, kind in KINDS.items()),
    ],
)
def test_who_saw_another_revision_is_refused(world: World, change: Change) -> None:
    """With If-Match, an object changes only if it is as whoever asks has seen it; that is looked at first of all."""
    before = world.documents()
    with pytest.raises(Refusal) as refusal:
        world.apply(change, 7.0)
    assert (refusal.value.status, refusal.value.kind) == (412, "RevisionNumberConstraintFailed")
    assert world.documents() == before


def test_who_saw_this_revision_is_heard(world: World) -> None:
    """The revision that is shown is the one that is expected."""
    world.apply(UpdateNetwork("n", name="new", expected=1), 7.0)
    world.apply(UpdateNetwork("n", name="newer", expected=2), 7.0)
    world.apply(DeletePort("p", expected=1), 7.0)
    world.apply(DeleteNetwork("n", expected=3), 7.0)
    assert not world.networks


def test_bindings_count_as_changes_of_their_port() -> None:
    """Binding, preparing a second host, switching over, arriving: each shows in the port's revision."""
    lab = Lab(2)
    here, there = lab.hosts
    lab.do(CreateNetwork("n", "a"), CreatePort("p", "a", "n", mac=Mac(1)))
    seen = [lab.world.port("p").record.revision]
    for change in (Plugged(here, "p", 2), BindPassive("p", there), Unbind("p", there), BindPassive("p", there)):
        lab.do(change)
        seen.append(lab.world.port("p").record.revision)
    lab.do(Plugged(there, "p", 2), Activate("p", there))
    assert seen == [1, 2, 3, 4, 5]
    assert lab.world.port("p").record.revision > 5


def test_a_port_made_where_it_is_plugged_is_one_change() -> None:
    """Its creation and its binding are stored together, as revision 1."""
    world = World()
    host = HostName("h")
    world.apply(HostSeen(Host(host, IPv4Address("10.0.0.1"), DatapathId(1))), 0.0)
    world.apply(Plugged(host, "p", 2), 0.0)
    world.apply(CreateNetwork("n", "a"), 0.0)
    world.apply(CreatePort("p", "a", "n", mac=Mac(1)), 3.0)
    assert (world.port("p").host, world.port("p").record) == (host, Record(1, 3.0, 3.0))


@pytest.mark.parametrize("id_", KINDS)
def test_tags(world: World, id_: str) -> None:
    """Tags are added, taken away, replaced as a whole, and asked for; they come sorted, none twice."""
    kind = KINDS[id_]

    def tagged(**what: object) -> tuple[str, ...]:
        world.apply(SetTags(kind, id_, **what), 9.0)  # type: ignore[arg-type]
        return records(world)[id_].tags

    assert tagged(remove=None, add=("b", "a", "b")) == ("a", "b")
    assert tagged(add=("c", "a")) == ("a", "b", "c")
    assert tagged(remove=("b",), needed=("b",)) == ("a", "c")
    assert tagged(remove=None) == ()
    for change, name in (
        (SetTags(kind, id_, remove=("b",), needed=("b",)), "TagNotFound"),
        (SetTags(kind, "other", ("b",)), f"{kind.capitalize()}NotFound"),
    ):
        with pytest.raises(Refusal) as refusal:
            world.apply(change, 9.0)
        assert (refusal.value.status, refusal.value.kind) == (404, name)


def test_tags_are_only_so_many(world: World) -> None:
    """No object has more than 255 tags, however few at a time they come."""
    world.apply(SetTags(DocumentKind.NETWORK, "n", tuple(map(str, range(TAGS_MOST))), None), 6.0)
    world.apply(SetTags(DocumentKind.NETWORK, "n", ("0",)), 6.0)
    before = world.documents()
    with pytest.raises(Refusal, match="tags: 256 are more than 255"):
        world.apply(SetTags(DocumentKind.NETWORK, "n", ("one more",)), 6.0)
    assert world.documents() == before


def test_some_things_have_no_tags(world: World) -> None:
    """A host has no tags."""
    with pytest.raises(Refusal, match="has no tags"):
        world.apply(SetTags(DocumentKind.HOST, "h", ("b",)), 9.0)


def test_documents_of_the_first_kind() -> None:
    """What was stored before objects had records and admin states is read with the defaults."""
    world = World.restore(
        [
            Document(
                "network", "n", {"project_id": "a", "name": "net", "vni": 7, "mtu": 1500, "description": "the first"}
            ),
            Document(
                "subnet",
                "s",
                {
                    "network_id": "n",
                    "project_id": "a",
                    "name": "sub",
                    "cidr": "10.0.0.0/29",
                    "gateway_ip": "10.0.0.1",
                    "pools": [["10.0.0.2", "10.0.0.6"]],
                    "description": "",
                },
            ),
            Document("host", "h", {"la": "10.1.0.1", "datapath_id": "000000000000000a", "tunnel_port": 1}),
            Document(
                "port",
                "p",
                {
                    "network_id": "n",
                    "project_id": "a",
                    "name": "eth0",
                    "mac": "02:00:00:00:00:01",
                    "fixed_ips": [["s", "10.0.0.2"]],
                    "host": "h",
                    "device_id": "vm",
                    "device_owner": "compute:nova",
                    "description": "",
                },
            ),
        ],
        9.0,
    )
    old = Record(1)
    first, second = IPv4Address("10.0.0.2"), IPv4Address("10.0.0.6")
    assert world.network("n") == Network("n", "a", "net", Vni(7), 1500, "the first", admin_up=True, record=old)
    assert world.subnet("s") == Subnet("s", "n", "a", "sub", NET, NET[1], (Pool(first, second),), record=old)
    assert world.port("p") == Port(
        "p",
        "n",
        "a",
        "eth0",
        Mac(0x02_00_00_00_00_01),
        (FixedIp("s", first),),
        HostName("h"),
        "vm",
        "compute:nova",
        record=old,
    )
    assert world.hosts[HostName("h")].answers_nd
    world.apply(UpdateNetwork("n", name="new", expected=1), 9.5)
    assert world.network("n").record == Record(2, 0.0, 9.5)


def test_everything_is_stored(world: World) -> None:
    """A world restored from its documents is the same, to the last field."""
    world.apply(
        CreateSubnet(
            "six",
            "a",
            "n",
            ip_network("2001:db8::/64"),
            dhcp=True,
            dns_nameservers=(IPv6Address("2620:fe::9"),),
            host_routes=(HostRoute(ip_network("2001:db8:1::/64"), ip_network("2001:db8::/64")[9]),),
            ipv6_ra_mode=Ipv6Mode.SLAAC,
            ipv6_address_mode=Ipv6Mode.SLAAC,
            tags=("x",),
        ),
        8.0,
    )
    world.apply(CreateNetwork("down", "a", admin_up=False), 8.0)
    world.apply(CreatePort("q", "a", "n", mac=Mac(2), admin_up=False), 8.5)
    again = World.restore(world.documents(), 9.0)
    assert (again.networks, again.subnets, again.ports) == (world.networks, world.subnets, world.ports)
    assert again.documents() == world.documents()
