"""What is put, stored and told when a mirror changes?

The recorder's side of mirrors: each function keeps index, documents and revisions together, and has the recorder told
what the switches have to follow.
"""

from __future__ import annotations

from overlay.changes import Document, DocumentKind, UnitKind
from overlay.mirrors.documents import write_tap_flow, write_tap_service
from overlay.mirrors.values import TapFlow, TapService
from overlay.recording import Recorder


def put_service(record: Recorder, service: TapService) -> None:
    """Add or replace a service and store it."""
    before = record.index.mirrors.services.get(service.id)
    if before != service:
        service = record.next_revision(DocumentKind.TAP_SERVICE, before, service)
        record.index.put_tap_service(service)
        record.store(write_tap_service(service))
    if before is None:
        record.reflect(service.port_id)


def drop_service(record: Recorder, service_id: str) -> None:
    """Remove a service, the tap flows to it, and its document."""
    for flow in record.index.mirrors.flows_to(service_id):
        drop_flow(record, flow.id)
    port_id = record.index.drop_tap_service(service_id).port_id
    record.store(Document(DocumentKind.TAP_SERVICE, service_id, None))
    record.reflect(port_id)


def put_flow(record: Recorder, flow: TapFlow) -> None:
    """Add or replace a tap flow and store it."""
    before = record.index.mirrors.flows.get(flow.id)
    if before != flow:
        flow = record.next_revision(DocumentKind.TAP_FLOW, before, flow)
        record.index.mirrors.put_flow(flow)
        record.store(write_tap_flow(flow))
    if before is None:
        _remirror(record, flow)


def drop_flow(record: Recorder, flow_id: str) -> None:
    """Remove a tap flow and its document."""
    flow = record.index.mirrors.drop_flow(flow_id)
    record.store(Document(DocumentKind.TAP_FLOW, flow_id, None))
    _remirror(record, flow)


def drop_mirrors(record: Recorder, port_id: str) -> None:
    """A port is about to be no more: neither are its services, and the tap flows from it."""
    mirrors = record.index.mirrors
    for service in mirrors.services_at(port_id):
        drop_service(record, service.id)
    for flow in mirrors.flows_from(port_id):
        drop_flow(record, flow.id)


def _remirror(record: Recorder, flow: TapFlow) -> None:
    """A port's frames are copied to another service, or no more."""
    for tap in record.index.footing(flow.source_port).taps:
        record.soil(tap.host, UnitKind.PORT, flow.source_port)
    record.reflect(flow.source_port)
