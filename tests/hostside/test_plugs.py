"""A guest's ports are found by its cards in the local switch's database."""

from __future__ import annotations

import json

import pytest

from hostside.errors import HostsideError, Unplugged
from hostside.plugs import Card, Plug, own_name, plugged, ports, read

MAC = "52:54:00:00:00:01"


def test_what_ovs_vsctl_says() -> None:
    """Interfaces with an iface-id are plugs; others are not."""
    ids = [["iface-id", "p1"], ["attached-mac", MAC.upper()], ["vm-id", "g"], ["iface-status", "active"]]
    rows = [["tap1", ["map", ids]], ["vxlan", ["map", []]], ["tap2", ["map", [["iface-id", "p2"]]]]]
    said = json.dumps({"headings": ["name", "external_ids"], "data": rows})
    assert read(said.encode()) == (Plug("tap1", "p1", MAC, "g"), Plug("tap2", "p2"))


PLUGS = (Plug("tap1", "p1", MAC, "red"), Plug("tap2", "p2", MAC, "blue"), Plug("tap3", "p3", "52:54:00:00:00:03"))


@pytest.mark.parametrize(
    ("cards", "guest", "found"),
    [
        ([Card(MAC, "tap1")], "blue", ("p1",)),
        ([Card(MAC)], "blue", ("p2",)),
        ([Card(MAC, "vnet9")], "red", ("p1",)),
        ([Card("52:54:00:00:00:03"), Card("52:54:00:00:00:04")], "", ("p3",)),
        ([Card("52:54:00:00:00:03"), Card("", "tap3"), Card("", "tap2")], "", ("p3", "p2")),
        ([], "", ()),
    ],
)
def test_the_ports_of_cards(cards: list[Card], guest: str, found: tuple[str, ...]) -> None:
    """A card is found by its tap, else by its address and, where tenants chose the same, by its guest."""
    assert ports(cards, PLUGS, guest) == found


def test_an_address_that_two_guests_have() -> None:
    """An address that fits several ports is refused, and named."""
    with pytest.raises(Unplugged, match=f"{MAC} may be any of tap1, tap2; say which port by --port"):
        ports([Card(MAC)], PLUGS, "green")


def test_no_database() -> None:
    """A database that is not there is named by its option."""
    for ask in (plugged, own_name):
        with pytest.raises(HostsideError, match=r"--db: .*no/where"):
            ask("unix:/no/where")
