"""What does a client say and see of a mirror?

Tap services and tap flows in Neutron's shape.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, Field

from controller.rest.fields import Body, Identity, Maybe, Name, Shown, only
from controller.rest.listing import Attributes, ListQuery, PageLinks, Values
from controller.service import Service
from overlay.mirrors.values import TapDirection, TapFlow, TapService
from overlay.values import PortStatus

_NO_FILTER: Final = only(None, "all frames of a port are copied, of whatever VLAN")
_PENDING: Final = "PENDING_CREATE"


class TapServiceCreate(Body):
    """A tap service to be made."""

    port_id: Identity = Field(description="The port that gets the copies.")
    name: Name = ""
    description: Name = ""
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")


class TapFlowCreate(Body):
    """A tap flow to be made."""

    tap_service_id: Identity
    source_port: Identity = Field(description="The port whose frames are copied.")
    direction: TapDirection = Field(description="IN is what the port gets, OUT what it sends.")
    name: Name = ""
    description: Name = ""
    vlan_filter: Annotated[None, BeforeValidator(_NO_FILTER)] = None
    project_id: Maybe[Identity] = None
    tenant_id: Maybe[Identity] = Field(None, description="The same as project_id.")


class TapTexts(Body):
    """What may change of a tap service or a tap flow."""

    name: Maybe[Name] = None
    description: Maybe[Name] = None


class TapServiceShown(Shown):
    """A tap service."""

    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    port_id: str
    status: str = Field(description="ACTIVE, PENDING_CREATE or DOWN, as its port is.")


class TapFlowShown(Shown):
    """A tap flow."""

    id: str
    name: str
    description: str
    project_id: str
    tenant_id: str
    tap_service_id: str
    source_port: str
    direction: TapDirection
    status: str = Field(description="ACTIVE when both of its ports are; DOWN when one of them is.")


class TapServiceCreateBody(Body):
    """A tap service to be made."""

    tap_service: TapServiceCreate


class TapServiceUpdateBody(Body):
    """The changes of a tap service."""

    tap_service: TapTexts


class TapFlowCreateBody(Body):
    """A tap flow to be made."""

    tap_flow: TapFlowCreate


class TapFlowUpdateBody(Body):
    """The changes of a tap flow."""

    tap_flow: TapTexts


class TapServiceAnswer(BaseModel):
    """One tap service."""

    tap_service: TapServiceShown


class TapServicesAnswer(BaseModel):
    """Several tap services."""

    tap_services: list[TapServiceShown]
    tap_services_links: PageLinks = None


class TapFlowAnswer(BaseModel):
    """One tap flow."""

    tap_flow: TapFlowShown


class TapFlowsAnswer(BaseModel):
    """Several tap flows."""

    tap_flows: list[TapFlowShown]
    tap_flows_links: PageLinks = None


class TapServicePath(BaseModel):
    """Which tap service."""

    tap_service_id: str


class TapFlowPath(BaseModel):
    """Which tap flow."""

    tap_flow_id: str


class TapServiceQuery(ListQuery):
    """Filters of a list of tap services."""

    id: Values = None
    name: Values = None
    description: Values = None
    project_id: Values = None
    tenant_id: Values = None
    port_id: Values = None
    status: Values = None


class TapFlowQuery(ListQuery):
    """Filters of a list of tap flows."""

    id: Values = None
    name: Values = None
    description: Values = None
    project_id: Values = None
    tenant_id: Values = None
    tap_service_id: Values = None
    source_port: Values = None
    direction: Values = None
    status: Values = None


def service_attributes(owner: Service) -> Attributes[TapService]:
    """How each field of a tap service is read."""
    return {
        "id": lambda service: service.id,
        "name": lambda service: service.name,
        "description": lambda service: service.description,
        "project_id": lambda service: service.project_id,
        "tenant_id": lambda service: service.project_id,
        "port_id": lambda service: service.port_id,
        "status": lambda service: _spelled(owner.port_status(service.port_id)),
    }


def flow_attributes(owner: Service) -> Attributes[TapFlow]:
    """How each field of a tap flow is read."""

    def status(flow: TapFlow) -> str:
        watcher = owner.world.tap_service(flow.service_id).port_id
        return _spelled(owner.port_status(flow.source_port), owner.port_status(watcher))

    return {
        "id": lambda flow: flow.id,
        "name": lambda flow: flow.name,
        "description": lambda flow: flow.description,
        "project_id": lambda flow: flow.project_id,
        "tenant_id": lambda flow: flow.project_id,
        "tap_service_id": lambda flow: flow.service_id,
        "source_port": lambda flow: flow.source_port,
        "direction": lambda flow: flow.direction.value,
        "status": status,
    }


def _spelled(*ports: PortStatus) -> str:
    """What Neutron calls it when ports of a mirror are in these states: that of the worst."""
    if PortStatus.DOWN in ports:
        return PortStatus.DOWN.value
    return _PENDING if PortStatus.BUILD in ports else PortStatus.ACTIVE.value
