"""How is a mirror written down, and read back?"""

from __future__ import annotations

from typing import Any

from overlay.changes import Document, DocumentKind
from overlay.documents import read_record, write_record
from overlay.mirrors.values import TapDirection, TapFlow, TapService
from overlay.values import Vni


def write_tap_service(service: TapService) -> Document:
    """Write a tap service down."""
    body = {
        "project_id": service.project_id,
        "name": service.name,
        "port_id": service.port_id,
        "vni": int(service.vni),
        "description": service.description,
        "record": write_record(service.record),
    }
    return Document(DocumentKind.TAP_SERVICE, service.id, body)


def read_tap_service(service_id: str, body: dict[str, Any]) -> TapService:
    """Read a tap service back."""
    return TapService(service_id, **{**body, "vni": Vni(body["vni"]), "record": read_record(body)})


def write_tap_flow(flow: TapFlow) -> Document:
    """Write a tap flow down."""
    body = {
        "project_id": flow.project_id,
        "name": flow.name,
        "service_id": flow.service_id,
        "source_port": flow.source_port,
        "direction": flow.direction.value,
        "description": flow.description,
        "record": write_record(flow.record),
    }
    return Document(DocumentKind.TAP_FLOW, flow.id, body)


def read_tap_flow(flow_id: str, body: dict[str, Any]) -> TapFlow:
    """Read a tap flow back."""
    parsed = {"direction": TapDirection(body["direction"]), "record": read_record(body)}
    return TapFlow(flow_id, **{**body, **parsed})
