"""A network knows its machines by name, and what is not its own it leaves to others."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from overlay.changes import (
    CreateNetwork,
    CreatePort,
    CreateSubnet,
    DeletePort,
    FixedIpRequest,
    UpdateNetwork,
    UpdatePort,
)
from overlay.guests.names import NOBODY, Kind, Known, resolve
from overlay.refusals import Invalid
from overlay.values import Mac
from overlay.world import World

FOUR, SIX = ip_address("10.0.0.5"), ip_address("2001:db8::5")
BACK4 = "5.0.0.10.in-addr.arpa."
BACK6 = ".".join(reversed(SIX.exploded.replace(":", ""))) + ".ip6.arpa."


@pytest.fixture
def world() -> World:
    """Two networks alike, each with a machine called ``web``, and one without a name."""
    it = World()
    for number, net in enumerate(("red", "blue")):
        it.apply(CreateNetwork(net, net), 0)
        it.apply(CreateSubnet(f"{net}4", net, net, ip_network("10.0.0.0/24")), 0)
        it.apply(CreateSubnet(f"{net}6", net, net, ip_network("2001:db8::/64")), 0)
        ips = (FixedIpRequest(ip=FOUR), FixedIpRequest(ip=SIX))
        web = CreatePort(f"{net}-web", net, net, mac=Mac(2 + number), fixed_ips=ips, dns_name="Web")
        it.apply(web, 0)
        it.apply(
            CreatePort(f"{net}-x", net, net, mac=Mac(8), fixed_ips=(FixedIpRequest(ip=ip_address("10.0.0.9")),)), 0
        )
    it.apply(CreatePort("six", "red", "red", mac=Mac(9), fixed_ips=(FixedIpRequest(ip=ip_address("2001:db8::77")),)), 0)
    return it


def ask(world: World, name: str, kind: Kind = Kind.IPV4, network: str = "red") -> Known | None:
    """What a network says."""
    return resolve(world, world.networks[network], name, kind)


@pytest.mark.parametrize("name", ["web.vl2.internal.", "WEB.VL2.Internal.", "web."])
def test_a_name_has_the_addresses_of_its_port(world, name: str) -> None:
    """By its whole name or its first label, in whatever letters, and of the kind that is asked for."""
    assert ask(world, name) == Known(exists=True, addresses=(FOUR,))
    assert ask(world, name, Kind.IPV6) == Known(exists=True, addresses=(SIX,))
    assert ask(world, name, Kind.OTHER) == Known(exists=True)


def test_a_machine_without_a_name_is_called_by_its_address(world) -> None:
    """Forward and reverse, in both families; one that has a name is not."""
    assert ask(world, "host-10-0-0-9.vl2.internal.") == Known(exists=True, addresses=(ip_address("10.0.0.9"),))
    assert ask(world, "9.0.0.10.in-addr.arpa.", Kind.POINTER).names == ("host-10-0-0-9.vl2.internal.",)
    assert ask(world, "host-2001-db8--77.vl2.internal.", Kind.IPV6).addresses == (ip_address("2001:db8::77"),)
    assert ask(world, "host-10-0-0-5.vl2.internal.") == NOBODY
    assert ask(world, "host-10-0-0-77.vl2.internal.") == NOBODY
    assert ask(world, "host-nonsense.vl2.internal.") == NOBODY


def test_an_address_has_the_name_of_its_port(world) -> None:
    """Reverse questions of both families; other questions about such a name find nothing."""
    for back in (BACK4, BACK6):
        assert ask(world, back, Kind.POINTER) == Known(exists=True, names=("web.vl2.internal.",))
        assert ask(world, back, Kind.IPV4) == Known(exists=True)


def test_what_is_nobodys_does_not_exist(world) -> None:
    """Unknown names of the domain, and addresses of the subnets that nobody has; the domain itself exists."""
    assert ask(world, "nobody.vl2.internal.") == ask(world, "7.0.0.10.in-addr.arpa.", Kind.POINTER) == NOBODY
    assert ask(world, "vl2.internal.") == Known(exists=True)


@pytest.mark.parametrize(
    "name",
    [
        "example.org.",
        "nobody.",
        ".",
        "1.1.168.192.in-addr.arpa.",
        "0.10.in-addr.arpa.",
        "300.0.0.10.in-addr.arpa.",
        "x.ip6.arpa.",
        "gg" + BACK6[1:],
        "g" + BACK6[1:],
        "7" + BACK6[1:].replace("8.b.d", "9.b.d"),
    ],
)
def test_what_is_not_the_networks_is_left_to_others(world, name: str) -> None:
    """Names of other domains, addresses of other subnets, and what is no address at all."""
    assert ask(world, name, Kind.POINTER) is None


def test_each_network_has_its_own_names(world) -> None:
    """A name of one network is not one of another, and names follow their ports and domains."""
    world.apply(UpdatePort("blue-web", dns_name="db.shop"), 0)
    world.apply(UpdateNetwork("blue", dns_domain="blue.example."), 0)
    assert ask(world, "web.vl2.internal.", network="blue") is None
    assert ask(world, "db.shop.blue.example.", network="blue").addresses == (FOUR,)
    assert ask(world, BACK4, Kind.POINTER, "blue").names == ("db.shop.blue.example.",)
    assert ask(world, "web.vl2.internal.").addresses == (FOUR,)
    world.apply(UpdatePort("red-x", dns_name="web.vl2.internal."), 0)
    assert ask(world, "web.").addresses == (FOUR, ip_address("10.0.0.9"))
    world.apply(DeletePort("red-web"), 0)
    world.apply(UpdatePort("red-x", name="no change of its DNS name"), 0)
    assert ask(world, "web.").addresses == (ip_address("10.0.0.9"),)
    world.apply(UpdatePort("red-x", dns_name=""), 0)
    assert ask(world, "web.vl2.internal.") == NOBODY


@pytest.mark.parametrize("wrong", ["-a", "a..b", "a_b", "a" * 64, "web.example.org.", ".".join(["a" * 60] * 5)])
def test_what_is_no_name_is_refused(world, wrong: str) -> None:
    """A label that is none, a whole name of another domain, one that is too long: refused, the port is as it was."""
    before = world.documents()
    with pytest.raises(Invalid, match="dns_name"):
        world.apply(UpdatePort("red-web", dns_name=wrong), 0)
    assert world.documents() == before


@pytest.mark.parametrize("wrong", ["example.org", "a..b.", "-."])
def test_what_is_no_domain_is_refused(world, wrong: str) -> None:
    """A domain ends with a dot and consists of labels."""
    before = world.documents()
    with pytest.raises(Invalid, match="dns_domain"):
        world.apply(UpdateNetwork("red", dns_domain=wrong), 0)
    with pytest.raises(Invalid, match="dns_domain"):
        world.apply(CreateNetwork("new", "red", dns_domain=wrong), 0)
    assert world.documents() == before


def test_names_survive_a_restart(world) -> None:
    """A world that is restored answers as the one before."""
    again = World.restore(world.documents(), 0)
    assert ask(again, "web.vl2.internal.") == ask(world, "web.vl2.internal.")
    assert ask(again, BACK6, Kind.POINTER) == ask(world, BACK6, Kind.POINTER)
