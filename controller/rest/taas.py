"""Whose frames are copied to which port?

``/v2.0/taas`` in Neutron's shape (tap-as-a-service): a tap service is a port that gets copies, a tap flow one whose
frames are copied.  Both ports are of one project.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from flask_openapi3.blueprint import APIBlueprint

from controller.rest import answers
from controller.rest.access import caller, project_for
from controller.rest.listing import Collection, FieldsQuery, Json
from controller.rest.preconditions import Conditions
from controller.rest.sight import Sight
from controller.rest.taas_forms import (
    TapFlowAnswer,
    TapFlowCreateBody,
    TapFlowPath,
    TapFlowQuery,
    TapFlowsAnswer,
    TapFlowShown,
    TapFlowUpdateBody,
    TapServiceAnswer,
    TapServiceCreateBody,
    TapServicePath,
    TapServiceQuery,
    TapServicesAnswer,
    TapServiceShown,
    TapServiceUpdateBody,
    flow_attributes,
    service_attributes,
)
from controller.service import Service
from overlay.mirrors.changes import (
    CreateTapFlow,
    CreateTapService,
    DeleteTapFlow,
    DeleteTapService,
    UpdateTapFlow,
    UpdateTapService,
)
from overlay.mirrors.values import TapFlow, TapService


def blueprint(service: Service) -> APIBlueprint:
    """Build the routes of tap services and tap flows."""
    api = answers.routes("taas", "/v2.0/taas")
    _services(api, service)
    _flows(api, service)
    return api


def _services(api: APIBlueprint, service: Service) -> None:
    sight = Sight(service)
    collection = Collection("tap_services", service_attributes(service), TapServiceShown, sight.tap_service)

    def show(service_id: str) -> Json:
        return {"tap_service": collection.show(service.world.tap_service(service_id))}

    @api.get("/tap_services", responses=answers.listed(TapServicesAnswer))
    def list_tap_services(query: TapServiceQuery) -> Json:
        """List tap services."""
        return collection.select(_seen_services(sight), query)

    @api.post("/tap_services", responses=answers.created(TapServiceAnswer))
    def create_tap_service(body: TapServiceCreateBody) -> tuple[Json, int]:
        """Let a port get copies."""
        given = body.tap_service
        port = sight.port(given.port_id)
        project = project_for(given.project_id, given.tenant_id, default=port.project_id)
        intent = CreateTapService(str(uuid.uuid4()), project, port.id, given.name, given.description)
        service.submit(intent)
        return show(intent.id), 201

    @api.get("/tap_services/<tap_service_id>", responses=answers.ok(TapServiceAnswer))
    def show_tap_service(path: TapServicePath, query: FieldsQuery) -> Json:
        """Show a tap service."""
        return {"tap_service": collection.show(sight.tap_service(path.tap_service_id), query)}

    @api.put("/tap_services/<tap_service_id>", responses=answers.changed(TapServiceAnswer))
    def update_tap_service(path: TapServicePath, header: Conditions, body: TapServiceUpdateBody) -> Json:
        """Change a tap service's texts."""
        found, given = sight.tap_service(path.tap_service_id), body.tap_service
        service.submit(UpdateTapService(found.id, given.name, given.description, header.expected))
        return show(found.id)

    @api.delete("/tap_services/<tap_service_id>", responses=answers.gone())
    def delete_tap_service(path: TapServicePath, header: Conditions) -> tuple[str, int]:
        """Delete a tap service and the tap flows to it."""
        service.submit(DeleteTapService(sight.tap_service(path.tap_service_id).id, header.expected))
        return "", 204


def _flows(api: APIBlueprint, service: Service) -> None:
    sight = Sight(service)
    collection = Collection("tap_flows", flow_attributes(service), TapFlowShown, sight.tap_flow)

    def show(flow_id: str) -> Json:
        return {"tap_flow": collection.show(service.world.tap_flow(flow_id))}

    @api.get("/tap_flows", responses=answers.listed(TapFlowsAnswer))
    def list_tap_flows(query: TapFlowQuery) -> Json:
        """List tap flows."""
        return collection.select(_seen_flows(sight), query)

    @api.post("/tap_flows", responses=answers.created(TapFlowAnswer))
    def create_tap_flow(body: TapFlowCreateBody) -> tuple[Json, int]:
        """Have a port's frames copied to a tap service."""
        given = body.tap_flow
        to = sight.tap_service(given.tap_service_id)
        source = sight.port(given.source_port, "source_port")
        project = project_for(given.project_id, given.tenant_id, default=to.project_id)
        id_ = str(uuid.uuid4())
        service.submit(CreateTapFlow(id_, project, to.id, source.id, given.direction, given.name, given.description))
        return show(id_), 201

    @api.get("/tap_flows/<tap_flow_id>", responses=answers.ok(TapFlowAnswer))
    def show_tap_flow(path: TapFlowPath, query: FieldsQuery) -> Json:
        """Show a tap flow."""
        return {"tap_flow": collection.show(sight.tap_flow(path.tap_flow_id), query)}

    @api.put("/tap_flows/<tap_flow_id>", responses=answers.changed(TapFlowAnswer))
    def update_tap_flow(path: TapFlowPath, header: Conditions, body: TapFlowUpdateBody) -> Json:
        """Change a tap flow's texts."""
        found, given = sight.tap_flow(path.tap_flow_id), body.tap_flow
        service.submit(UpdateTapFlow(found.id, given.name, given.description, header.expected))
        return show(found.id)

    @api.delete("/tap_flows/<tap_flow_id>", responses=answers.gone())
    def delete_tap_flow(path: TapFlowPath, header: Conditions) -> tuple[str, int]:
        """Copy no more."""
        service.submit(DeleteTapFlow(sight.tap_flow(path.tap_flow_id).id, header.expected))
        return "", 204


def _seen_services(sight: Sight) -> Iterable[TapService]:
    world, own = sight.world, caller()
    if own.is_operator:
        return sight.whole(world.tap_services.values())
    return sight.whole(world.tap_services_of_project(own.project or ""))


def _seen_flows(sight: Sight) -> Iterable[TapFlow]:
    world, own = sight.world, caller()
    if own.is_operator:
        return sight.whole(world.tap_flows.values())
    return sight.whole(world.tap_flows_of_project(own.project or ""))
