"""What runs the networks where, in Neutron's words?

``/v2.0/agents`` are the hypervisors that joined, one agent each, for the operator to see; nothing of them is said here
but by themselves.  There is one availability zone, and no kind of service has several providers.
"""

from __future__ import annotations

import uuid
from typing import Any, Final, Literal

from flask_openapi3.blueprint import APIBlueprint
from pydantic import BaseModel, Field

from controller.rest import answers
from controller.rest.fields import Shown
from controller.rest.listing import Attributes, Collection, FieldsQuery, Json, ListQuery, PageLinks, Truths, Values, cut
from controller.rest.networks import ZONE
from controller.service import Service
from controller.views import HostView
from overlay.refusals import NotFound

_NAMESPACE: Final = uuid.UUID("4c2f0a52-7a3e-5d0c-9d44-6f3f5d1f7b10")
"""Ours, so that a host's agent has the same id after every restart, and no other product's."""


class AgentShown(Shown):
    """A hypervisor whose Open vSwitch is ours to program."""

    id: str
    agent_type: Literal["Open vSwitch agent"]
    binary: Literal["ovs-vswitchd"]
    host: str
    alive: bool = Field(description="Whether its OpenFlow session is up.")
    admin_state_up: bool
    availability_zone: str
    topic: Literal["N/A"]
    description: str = Field(description="What its operator should know: its problems, in sentences.")
    configurations: dict[str, Any]


class AgentAnswer(BaseModel):
    """One agent."""

    agent: AgentShown


class AgentsAnswer(BaseModel):
    """All agents."""

    agents: list[AgentShown]
    agents_links: PageLinks = None


class AgentPath(BaseModel):
    """Which agent."""

    agent_id: str


class AgentQuery(ListQuery):
    """Filters of a list of agents."""

    id: Values = None
    agent_type: Values = None
    binary: Values = None
    host: Values = None
    alive: Truths = None
    admin_state_up: Truths = None
    availability_zone: Values = None
    topic: Values = None
    description: Values = None


class ZoneShown(Shown):
    """An availability zone, and of which kind of resource."""

    name: str
    resource: Literal["network"]
    state: Literal["available", "unavailable"] = Field(description="Whether any hypervisor of it is connected.")


class ZonesAnswer(BaseModel):
    """All availability zones."""

    availability_zones: list[ZoneShown]


class ZoneQuery(FieldsQuery):
    """Filters of the availability zones."""

    name: Values = None
    resource: Values = None
    state: Values = None


class ProviderShown(Shown):
    """A provider of a service."""

    service_type: str
    name: str
    default: bool


class ProvidersAnswer(BaseModel):
    """All providers of services."""

    service_providers: list[ProviderShown]


class ProviderQuery(FieldsQuery):
    """Filters of the providers."""

    service_type: Values = None
    name: Values = None


ATTRIBUTES: Final[Attributes[HostView]] = {
    "id": lambda host: agent_id(host.name),
    "agent_type": lambda _: "Open vSwitch agent",
    "binary": lambda _: "ovs-vswitchd",
    "host": lambda host: str(host.name),
    "alive": lambda host: host.connected,
    "admin_state_up": lambda _: True,
    "availability_zone": lambda _: ZONE,
    "topic": lambda _: "N/A",
    "description": lambda host: " ".join(host.problems),
    "configurations": lambda host: {
        "tunnel_types": ["vxlan"],
        "tunneling_ip": str(host.la),
        "integration_bridge": "br-int",
        "datapath_id": str(host.datapath_id),
        "devices": host.ports,
    },
}


def agent_id(host: str) -> str:
    """The id of a host's agent."""
    return str(uuid.uuid5(_NAMESPACE, host))


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of agents, zones and providers."""
    api = answers.routes("agents", "/v2.0")

    def found(wanted: str) -> HostView:
        for host in service.hosts():
            if agent_id(host.name) == wanted:
                return host
        raise NotFound(f"Agent {wanted} could not be found.", field="agent_id", kind="AgentNotFound")

    collection = Collection("agents", ATTRIBUTES, AgentShown, found)

    @api.get("/agents", responses=answers.listed(AgentsAnswer))
    def list_agents(query: AgentQuery) -> Json:
        """List the hypervisors' agents.  Operator only."""
        return collection.select(service.hosts(), query)

    @api.get("/agents/<agent_id>", responses=answers.ok(AgentAnswer))
    def show_agent(path: AgentPath, query: FieldsQuery) -> Json:
        """Show a hypervisor's agent.  Operator only."""
        return {"agent": collection.show(found(path.agent_id), query)}

    @api.get("/availability_zones", responses=answers.ok(ZonesAnswer))
    def list_availability_zones(query: ZoneQuery) -> Json:
        """List the availability zones: there is one."""
        state = "available" if any(host.connected for host in service.hosts()) else "unavailable"
        zone = {"name": ZONE, "resource": "network", "state": state}
        return {"availability_zones": [cut(zone, query)] if _fits(zone, query) else []}

    @api.get("/service-providers", responses=answers.ok(ProvidersAnswer))
    def list_service_providers(query: ProviderQuery) -> Json:  # noqa: ARG001  (checked, and finds nothing)
        """List the providers of services: no service has several to choose from."""
        return {"service_providers": []}

    return api


def _fits(thing: Json, query: FieldsQuery) -> bool:
    wanted: dict[str, list[str]] = query.model_dump(exclude_none=True, exclude={"fields"})
    return all(thing[name] in values for name, values in wanted.items())
