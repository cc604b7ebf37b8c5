"""A client says how machines get their addresses, and sees it; what cannot be changes nothing."""

from __future__ import annotations

from itertools import product

import pytest

from overlay.values import Ipv6Mode

MODES = [None, *(mode.value for mode in Ipv6Mode)]


PAIRS = list(product(MODES, MODES))
SOUND = [pair for pair in PAIRS if None in pair or len(set(pair)) == 1]


def _ask(blue, ra: str | None, address: str | None):
    network = blue.make("network")["id"]
    body = {"network_id": network, "cidr": "2001:db8::/64", "ipv6_ra_mode": ra, "ipv6_address_mode": address}
    return lambda: blue("POST", "/v2.0/subnets", {"subnet": body})


@pytest.mark.parametrize(("ra", "address"), SOUND)
def test_modes_go_alone_or_together(blue, ra: str | None, address: str | None) -> None:
    """Each alone, both the same, or none; they are shown and found, and there is DHCP."""
    answer = _ask(blue, ra, address)()
    assert answer.status == 201
    shown = answer.body["subnet"]
    assert (shown["ipv6_ra_mode"], shown["ipv6_address_mode"], shown["enable_dhcp"]) == (ra, address, True)
    assert blue("GET", f"/v2.0/subnets?ipv6_ra_mode={ra or ''}").body["subnets"] == [shown]


@pytest.mark.parametrize(("ra", "address"), [pair for pair in PAIRS if pair not in SOUND])
def test_modes_that_contradict_each_other_are_refused(blue, ra: str, address: str, unchanged) -> None:
    """As in Neutron."""
    ask = _ask(blue, ra, address)
    unchanged()
    answer = ask()
    assert (answer.status, answer.body["NeutronError"]["type"]) == (400, "InvalidInput")
    assert "ipv6_ra_mode" in answer.body["NeutronError"]["message"]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"cidr": "2001:db8::/64", "enable_dhcp": False, "ipv6_ra_mode": "slaac"}, "enable_dhcp"),
        ({"cidr": "2001:db8::/80", "ipv6_ra_mode": "slaac"}, "cidr"),
        ({"cidr": "10.0.0.0/24", "ipv6_address_mode": "dhcpv6-stateful"}, "ipv6_address_mode"),
        ({"cidr": "2001:db8::/64", "ipv6_ra_mode": "radvd"}, "ipv6_ra_mode"),
    ],
)
def test_modes_that_cannot_be_are_refused(blue, fields: dict[str, object], word: str, unchanged) -> None:
    """With the field that is wrong."""
    network = blue.make("network")["id"]
    unchanged()
    answer = blue("POST", "/v2.0/subnets", {"subnet": {"network_id": network, **fields}})
    assert answer.status == 400
    assert word in answer.body["NeutronError"]["message"]


def test_dhcp_can_be_switched_off_and_on(blue) -> None:
    """But not where IPv6 modes need it, which are as they were made."""
    network = blue.make("network")["id"]
    four = blue.make("subnet", network_id=network, cidr="10.0.0.0/24")
    path = f"/v2.0/subnets/{four['id']}"
    for wanted in (False, True):
        assert blue("PUT", path, {"subnet": {"enable_dhcp": wanted}}).body["subnet"]["enable_dhcp"] is wanted
    six = blue.make("subnet", network_id=network, cidr="2001:db8::/64", ipv6_ra_mode="slaac")
    path = f"/v2.0/subnets/{six['id']}"
    assert blue("PUT", path, {"subnet": {"enable_dhcp": False}}).status == 400
    assert blue("PUT", path, {"subnet": {"ipv6_ra_mode": "slaac"}}).status == 400


def test_a_port_gets_addresses_by_the_modes(blue) -> None:
    """Made of its MAC where machines make them so, else one of the pool; and no address goes to a server."""
    network = blue.make("network")["id"]
    subnets = {
        blue.make("subnet", network_id=network, cidr="2001:db8::/64", ipv6_address_mode="slaac")["id"],
        blue.make("subnet", network_id=network, cidr="10.0.0.0/30")["id"],
    }
    port = blue.make("port", network_id=network, mac_address="02:00:00:00:00:05")
    assert {each["subnet_id"] for each in port["fixed_ips"]} == subnets
    assert {each["ip_address"] for each in port["fixed_ips"]} == {"2001:db8::ff:fe00:5", "10.0.0.2"}


def test_options_are_added_replaced_and_taken_away(blue) -> None:
    """One by one, by name and IP version; null takes one away, and what is not named stays."""
    network = blue.make("network")["id"]
    mtu, server = {"opt_name": "mtu", "opt_value": "1400"}, {"opt_name": "dns-server", "opt_value": "2001:db8::5"}
    port = blue.make("port", network_id=network, extra_dhcp_opts=[mtu, {**server, "ip_version": 6}])
    assert port["extra_dhcp_opts"] == [{**mtu, "ip_version": 4}, {**server, "ip_version": 6}]
    path = f"/v2.0/ports/{port['id']}"
    for asked, expected in (
        ([{**mtu, "opt_value": "1300"}], [("mtu", "1300", 4), ("dns-server", "2001:db8::5", 6)]),
        ([{**mtu, "opt_value": None}], [("dns-server", "2001:db8::5", 6)]),
        ([], [("dns-server", "2001:db8::5", 6)]),
    ):
        shown = blue("PUT", path, {"port": {"extra_dhcp_opts": asked}}).body["port"]["extra_dhcp_opts"]
        assert [tuple(each[name] for name in ("opt_name", "opt_value", "ip_version")) for each in shown] == expected


def test_nobody_gets_the_services_mac(blue, unchanged) -> None:
    """A port with the MAC of the network's services would take what is meant for them."""
    network = blue.make("network")["id"]
    unchanged()
    answer = blue("POST", "/v2.0/ports", {"port": {"network_id": network, "mac_address": "02:56:4c:00:00:01"}})
    assert (answer.status, answer.body["NeutronError"]["type"]) == (409, "MacAddressInUse")
