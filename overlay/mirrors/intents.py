"""May a port get copies, and may another port's frames be copied to it?

Each function checks everything before it changes anything.
"""

from __future__ import annotations

from dataclasses import replace

from overlay.index import Index
from overlay.mirrors.changes import (
    CreateTapFlow,
    CreateTapService,
    DeleteTapFlow,
    DeleteTapService,
    UpdateTapFlow,
    UpdateTapService,
)
from overlay.mirrors.keeping import drop_flow, drop_service, put_flow, put_service
from overlay.mirrors.values import TapFlow, TapService
from overlay.recording import Recorder
from overlay.refusals import Conflict, Exhausted, Invalid
from overlay.revisions import fresh
from overlay.values import Countable, Vni


def create_service(index: Index, change: CreateTapService, record: Recorder) -> None:
    """Let a port get copies, by a VNI of its own."""
    if change.id in index.mirrors.services:
        raise Conflict(f"id: there is a tap service {change.id} already", field="id")
    _check_own(index, change.port_id, change.project_id, "port_id")
    index.holdings.charge(Countable.TAP_SERVICE, change.project_id)
    lowest = index.vnis.next()
    if lowest is None:
        raise Exhausted(
            "all VNIs of the configured range are in use, of which a tap service takes one",
            kind="TapServiceLimitReached",
        )
    put_service(
        record,
        TapService(
            change.id, change.project_id, change.name, change.port_id, Vni(lowest), change.description, record.born()
        ),
    )


def update_service(index: Index, change: UpdateTapService, record: Recorder) -> None:
    """Change a service's texts."""
    service = fresh(index.mirrors.service(change.id), change.expected)
    put_service(
        record,
        replace(
            service,
            name=service.name if change.name is None else change.name,
            description=service.description if change.description is None else change.description,
        ),
    )


def delete_service(index: Index, change: DeleteTapService, record: Recorder) -> None:
    """Remove a service and the tap flows to it."""
    drop_service(record, fresh(index.mirrors.service(change.id), change.expected).id)


def create_flow(index: Index, change: CreateTapFlow, record: Recorder) -> None:
    """Have a port's frames copied to a service of the same project."""
    if change.id in index.mirrors.flows:
        raise Conflict(f"id: there is a tap flow {change.id} already", field="id")
    service = index.mirrors.service(change.service_id)
    if service.project_id != change.project_id:
        raise Invalid(
            f"tap_service_id: tap service {service.id} is not of project {change.project_id}",
            field="tap_service_id",
            kind="TapServiceNotBelongToTenant",
        )
    _check_own(index, change.source_port, change.project_id, "source_port")
    if change.source_port == service.port_id:
        raise Invalid(
            f"source_port: port {change.source_port} is the one that gets the copies",
            field="source_port",
            kind="InvalidSourcePort",
        )
    index.holdings.charge(Countable.TAP_FLOW, change.project_id)
    put_flow(
        record,
        TapFlow(
            change.id,
            change.project_id,
            change.name,
            service.id,
            change.source_port,
            change.direction,
            change.description,
            record.born(),
        ),
    )


def update_flow(index: Index, change: UpdateTapFlow, record: Recorder) -> None:
    """Change a tap flow's texts."""
    flow = fresh(index.mirrors.flow(change.id), change.expected)
    put_flow(
        record,
        replace(
            flow,
            name=flow.name if change.name is None else change.name,
            description=flow.description if change.description is None else change.description,
        ),
    )


def delete_flow(index: Index, change: DeleteTapFlow, record: Recorder) -> None:
    """Copy no more."""
    drop_flow(record, fresh(index.mirrors.flow(change.id), change.expected).id)


def _check_own(index: Index, port_id: str, project: str, field: str) -> None:
    if index.port(port_id).project_id != project:
        raise Invalid(
            f"{field}: port {port_id} is not of project {project}", field=field, kind="PortDoesNotBelongToTenant"
        )
