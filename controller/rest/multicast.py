"""Who listens to which multicast group of a network?

``/v1/networks/{network_id}/multicast``: what the network has heard of its machines, which Neutron has no words for.
Whoever sees a network sees which groups there are, and of their members the ports that it sees.
"""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from controller.rest import answers
from controller.rest.listing import Json
from controller.rest.networks import NetworkPath
from controller.rest.sight import Sight
from controller.service import Service
from overlay.values import IpAddress


class MemberShown(BaseModel):
    """A port that listens to a group."""

    port_id: str
    since: datetime = Field(description="When it first said so.")
    renewed: datetime = Field(description="When it last said so.")


class GroupShown(BaseModel):
    """A group that somebody listens to."""

    group: IPv4Address | IPv6Address
    members: tuple[MemberShown, ...]


class MulticastShown(BaseModel):
    """The groups of a network."""

    network_id: str
    unregistered: str = Field(description="What becomes of packets to groups without members: drop or flood.")
    groups_per_port: int = Field(description="How many groups a port can join.")
    groups_per_network: int
    refused: int = Field(description="How many reports of the network's ports were beyond these limits.")
    groups: tuple[GroupShown, ...]


class MulticastAnswer(BaseModel):
    """Who listens to what in a network."""

    multicast: MulticastShown


def blueprint(service: Service) -> APIBlueprint:
    """Build the route."""
    api = answers.routes("multicast", "/v1")
    sight = Sight(service)

    @api.get("/networks/<network_id>/multicast", responses=answers.ok(MulticastAnswer))
    def show_multicast(path: NetworkPath) -> Json:
        """Show which multicast groups of a network have members, and which ports these are."""
        network = sight.network(path.network_id)
        settings = service.world.settings
        members: dict[IpAddress, list[MemberShown]] = {
            group: [] for group in sorted(service.world.multicast_groups(network.id), key=_in_order)
        }
        refused = 0
        for port in service.world.ports_of_network(network.id):
            if sight.sees_port(port):
                refused += service.world.refused_memberships(port.id)
                for each in service.world.memberships(port.id):
                    since, renewed = (datetime.fromtimestamp(at, UTC) for at in (each.since, each.renewed))
                    members[each.group].append(MemberShown(port_id=port.id, since=since, renewed=renewed))
        shown = MulticastShown(
            network_id=network.id,
            unregistered="flood" if settings.flood_unregistered else "drop",
            groups_per_port=settings.groups_per_port,
            groups_per_network=settings.groups_per_network,
            refused=refused,
            groups=tuple(GroupShown(group=group, members=tuple(ports)) for group, ports in members.items()),
        )
        return MulticastAnswer(multicast=shown).model_dump(mode="json")

    return api


def _in_order(group: IpAddress) -> tuple[int, int]:
    return group.version, int(group)
