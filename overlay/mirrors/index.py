"""Who copies to whom?

The index of mirrors, so that a change costs what it touches.  It checks nothing: whoever puts has checked.
"""

from __future__ import annotations

from collections.abc import Iterable

from overlay.holdings import Holdings
from overlay.mirrors.values import TapDirection, TapFlow, TapService
from overlay.refusals import NotFound
from overlay.values import Countable


class Mirrors:
    """All tap services and tap flows.  Inner dicts with ``None`` values are ordered sets of ids."""

    def __init__(self, holdings: Holdings) -> None:
        self.services: dict[str, TapService] = {}
        self.flows: dict[str, TapFlow] = {}
        self._at: dict[str, dict[str, None]] = {}
        self._from: dict[str, dict[str, None]] = {}
        self._to: dict[str, dict[str, None]] = {}
        self._holdings = holdings

    # --- looking up ---

    def service(self, service_id: str) -> TapService:
        """Look up.  :raises NotFound: ``TapServiceNotFound``."""
        try:
            return self.services[service_id]
        except KeyError:
            message = f"Tap Service {service_id} does not exist"
            raise NotFound(message, field="tap_service_id", kind="TapServiceNotFound") from None

    def flow(self, flow_id: str) -> TapFlow:
        """Look up.  :raises NotFound: ``TapFlowNotFound``."""
        try:
            return self.flows[flow_id]
        except KeyError:
            raise NotFound(f"Tap Flow {flow_id} does not exist", field="tap_flow_id", kind="TapFlowNotFound") from None

    def __contains__(self, port_id: str) -> bool:
        """Whether a port is mirrored, or gets copies."""
        return port_id in self._from or port_id in self._at

    def services_at(self, port_id: str) -> tuple[TapService, ...]:
        """The services by which a port gets copies."""
        return tuple(self.services[service_id] for service_id in self._at.get(port_id, ()))

    def flows_from(self, port_id: str) -> tuple[TapFlow, ...]:
        """The tap flows that copy a port's frames."""
        return tuple(self.flows[flow_id] for flow_id in self._from.get(port_id, ()))

    def flows_to(self, service_id: str) -> tuple[TapFlow, ...]:
        """The tap flows that lead to a service."""
        return tuple(self.flows[flow_id] for flow_id in self._to.get(service_id, ()))

    def watchers(self, port_id: str, direction: TapDirection) -> tuple[TapService, ...]:
        """The services that get copies of what a port sends, or of what it gets; each once, sorted."""
        ids = {flow.service_id for flow in self.flows_from(port_id) if flow.direction in {direction, TapDirection.BOTH}}
        return tuple(self.services[service_id] for service_id in sorted(ids))

    def watched(self, port_id: str) -> Iterable[str]:
        """The ports of which a port gets copies."""
        return dict.fromkeys(
            flow.source_port for service in self.services_at(port_id) for flow in self.flows_to(service.id)
        )

    # --- putting ---

    def put_service(self, service: TapService) -> None:
        """Add or replace; only its texts and record change."""
        if service.id not in self.services:
            self._holdings.add(Countable.TAP_SERVICE, service.project_id, service.id)
            self._at.setdefault(service.port_id, {})[service.id] = None
        self.services[service.id] = service

    def drop_service(self, service_id: str) -> TapService:
        """Remove a service to which no tap flow leads."""
        service = self.services.pop(service_id)
        self._holdings.drop(Countable.TAP_SERVICE, service.project_id, service_id)
        _discard(self._at, service.port_id, service_id)
        return service

    def put_flow(self, flow: TapFlow) -> None:
        """Add or replace; only its texts and record change."""
        if flow.id not in self.flows:
            self._holdings.add(Countable.TAP_FLOW, flow.project_id, flow.id)
            self._from.setdefault(flow.source_port, {})[flow.id] = None
            self._to.setdefault(flow.service_id, {})[flow.id] = None
        self.flows[flow.id] = flow

    def drop_flow(self, flow_id: str) -> TapFlow:
        """Remove."""
        flow = self.flows.pop(flow_id)
        self._holdings.drop(Countable.TAP_FLOW, flow.project_id, flow_id)
        _discard(self._from, flow.source_port, flow_id)
        _discard(self._to, flow.service_id, flow_id)
        return flow


def _discard(sets: dict[str, dict[str, None]], key: str, member: str) -> None:
    del sets[key][member]
    if not sets[key]:
        del sets[key]
