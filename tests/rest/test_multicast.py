"""Tenants see who listens to which multicast group of their networks."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from overlay.multicast.changes import Joined
from overlay.values import HostName

FOUR, SIX = ip_address("239.1.1.1"), ip_address("ff05::7")
H1 = HostName("h1")


@pytest.fixture
def network(op, blue, edge) -> str:
    """Blue's network, shared with red; blue's and red's port listen there, blue's since a minute before."""
    made = blue.make("network")
    share = {"object_type": "network", "object_id": made["id"], "action": "access_as_shared", "target_tenant": "red"}
    assert blue("POST", "/v2.0/rbac-policies", {"rbac_policy": share}).status == 201
    for number, project in enumerate(("blue", "red"), 5):
        port = op.make("port", network_id=made["id"], name=project, project_id=project, **{"binding:host_id": "h1"})
        edge.service.plug("h1", port["id"], number)
    mine, theirs = (port_of(op, name) for name in ("blue", "red"))
    edge.service.apply(Joined(H1, mine, (SIX, FOUR)))
    edge.service.now += 60
    edge.service.apply(Joined(H1, mine, (FOUR,)))
    edge.service.apply(Joined(H1, theirs, (FOUR,)))
    return made["id"]


def port_of(op, name: str) -> str:
    """The id of a port by its name."""
    (port,) = op("GET", f"/v2.0/ports?name={name}").body["ports"]
    return port["id"]


def test_groups_and_members(op, blue, network: str) -> None:
    """The owner of a network sees its groups in order, and who listens to each since when."""
    answer = blue("GET", f"/v1/networks/{network}/multicast")
    assert answer.status == 200
    shown = answer.body["multicast"]
    assert {key: shown[key] for key in shown if key != "groups"} == {
        "network_id": network,
        "unregistered": "drop",
        "groups_per_port": 64,
        "groups_per_network": 1024,
        "refused": 0,
    }
    at, later = "1970-01-01T00:16:40Z", "1970-01-01T00:17:40Z"
    mine, theirs = port_of(op, "blue"), port_of(op, "red")
    assert shown["groups"] == [
        {
            "group": "239.1.1.1",
            "members": [
                {"port_id": mine, "since": at, "renewed": later},
                {"port_id": theirs, "since": later, "renewed": later},
            ],
        },
        {"group": "ff05::7", "members": [{"port_id": mine, "since": at, "renewed": at}]},
    ]
    assert op("GET", f"/v1/networks/{network}/multicast").body == answer.body


def test_guests_see_their_own_ports(op, red, network: str) -> None:
    """With whom a network is shared sees its groups, and of the members its own ports."""
    groups = red("GET", f"/v1/networks/{network}/multicast").body["multicast"]["groups"]
    assert [(group["group"], [member["port_id"] for member in group["members"]]) for group in groups] == [
        ("239.1.1.1", [port_of(op, "red")]),
        ("ff05::7", []),
    ]


def test_what_was_refused_is_counted(op, blue, edge, network: str) -> None:
    """Reports beyond the limit are counted for whoever sees the port."""
    many = tuple(ip_address(f"239.9.0.{number}") for number in range(70))
    edge.service.apply(Joined(H1, port_of(op, "blue"), many))
    assert blue("GET", f"/v1/networks/{network}/multicast").body["multicast"]["refused"] == 8


def test_strangers_see_nothing(red, blue) -> None:
    """A network of others is not there, like one that nobody has."""
    network = blue.make("network")["id"]
    for id_ in (network, "nothing"):
        answer = red("GET", f"/v1/networks/{id_}/multicast")
        assert (answer.status, answer.error["type"]) == (404, "NetworkNotFound")
