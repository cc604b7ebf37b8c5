"""What does Prometheus scrape?

``/metrics``: the same views that the operator can ask for, as samples in the Prometheus text format (or OpenMetrics, if
the scraper prefers it).  They are made anew on every scrape, so there is nothing to keep up to date and nothing global.
A scraper shows the operator's token as ``Authorization: Bearer …``, which is what Prometheus can be configured to send,
or in the header that all other requests use.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from controller.rest import answers
from controller.rest.errors import ErrorAnswer
from controller.service import Service
from controller.views import HealthView, LinkLoadView, LoadView, MoveView, MulticastView, QuestionsView, TopologyView

_LINK: Final = ("from_datapath", "from_port", "to_datapath", "to_port")
_SET: Final = ("datapath", "ports")
_SWITCH: Final = ("datapath", "kind")
_MBIT: Final = 1_000_000


class Views(Collector):
    """Turns the service's views into samples whenever a scrape asks."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """Make the samples of this moment."""
        service = self._service
        yield from families(service.health(), service.moves(), service.topology(), service.load(), service.multicast())


def families(
    health: HealthView, moves: Iterable[MoveView], topology: TopologyView, load: LoadView, multicast: MulticastView
) -> Iterator[Metric]:
    """Turn views into samples, family by family; every family is there, with samples or without."""
    yield InfoMetricFamily("vl2", "What runs.", value={"version": health.version, "framework": health.framework})
    yield from _of_health(health)
    yield from _of_questions(health.questions)
    yield from _of_moves(moves)
    yield from _of_topology(topology)
    yield from _of_load(load)
    yield from _of_multicast(multicast)


def _of_health(health: HealthView) -> Iterator[Metric]:
    connected = GaugeMetricFamily("vl2_switch_connected", "Whether a switch has its session.", labels=_SWITCH)
    flow_mods = CounterMetricFamily("vl2_flow_mods", "Flow-mods sent to a switch.", labels=_SWITCH)
    group_mods = CounterMetricFamily("vl2_group_mods", "Group-mods sent to a switch.", labels=_SWITCH)
    refused = CounterMetricFamily("vl2_refused", "Bundles and messages that a switch refused.", labels=_SWITCH)
    for switch in health.switches:
        labels = (str(switch.datapath_id), switch.kind)
        connected.add_metric(labels, switch.connected)
        flow_mods.add_metric(labels, switch.flow_mods)
        group_mods.add_metric(labels, switch.group_mods)
        refused.add_metric(labels, switch.refused)
    yield from (connected, flow_mods, group_mods, refused)
    up = Counter(switch.kind for switch in health.switches if switch.connected)
    switches = GaugeMetricFamily("vl2_switches_connected", "Switches that have their session.", labels=("kind",))
    for kind in ("fabric", "host"):
        switches.add_metric((kind,), up[kind])
    yield switches
    yield GaugeMetricFamily("vl2_hosts", "Hypervisors that ever joined.", value=health.hosts)
    yield GaugeMetricFamily("vl2_hosts_connected", "Hypervisors that are connected.", value=health.hosts_connected)
    yield GaugeMetricFamily("vl2_pending", "Switches that owe a confirmation.", value=health.pending)
    yield CounterMetricFamily("vl2_owner_failures", "Failures that had every switch compared.", value=health.failures)


def _of_questions(questions: Iterable[QuestionsView]) -> Iterator[Metric]:
    labels = ("kind",)
    asked = CounterMetricFamily("vl2_guest_questions", "Questions of machines to their networks.", labels=labels)
    answered = CounterMetricFamily("vl2_guest_answers", "Answers to them.", labels=labels)
    unsound = CounterMetricFamily("vl2_guest_unsound", "Those that could not be understood.", labels=labels)
    dropped = CounterMetricFamily("vl2_guest_dropped", "Those of ports that asked too much.", labels=labels)
    failed = CounterMetricFamily("vl2_guest_failed", "Those that met a defect of the controller's.", labels=labels)
    for each in questions:
        for family, value in (
            (asked, each.asked),
            (answered, each.answered),
            (unsound, each.unsound),
            (dropped, each.dropped),
            (failed, each.failed),
        ):
            family.add_metric((each.kind,), value)
    yield from (asked, answered, unsound, dropped, failed)


def _of_moves(moves: Iterable[MoveView]) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "vl2_moves", "Moves under way and the latest finished ones, by phase.", labels=("phase",)
    )
    for phase, number in sorted(Counter(move.phase for move in moves).items()):
        family.add_metric((phase,), number)
    yield family


def _of_topology(topology: TopologyView) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "vl2_links_usable",
        "Directions of links that are used.",
        value=sum(link.usable for link in topology.links),
    )


def _of_load(load: LoadView) -> Iterator[Metric]:
    used = GaugeMetricFamily("vl2_link_utilisation_ratio", "Share of a link's capacity in use.", labels=_LINK)
    capacity = GaugeMetricFamily("vl2_link_capacity_bits_per_second", "What a link can carry.", labels=_LINK)
    octets = CounterMetricFamily("vl2_link_transmitted_bytes", "Bytes that a link has carried.", labels=_LINK)
    packets = CounterMetricFamily("vl2_link_transmitted_packets", "Packets that a link has carried.", labels=_LINK)
    drops = CounterMetricFamily("vl2_link_dropped_packets", "Packets dropped before a link.", labels=_LINK)
    for link in load.links:
        labels = _link_labels(link)
        for family, value in (
            (used, link.utilisation),
            (capacity, None if link.capacity_mbps is None else link.capacity_mbps * _MBIT),
            (octets, link.bytes),
            (packets, link.packets),
            (drops, link.drops),
        ):
            if value is not None:
                family.add_metric(labels, value)
    yield from (used, capacity, octets, packets, drops)
    fairness = GaugeMetricFamily("vl2_ecmp_fairness_ratio", "Jain's index over equal next hops.", labels=_SET)
    peak = GaugeMetricFamily("vl2_ecmp_peak_over_mean", "The busiest of equal next hops over their mean.", labels=_SET)
    for each in load.next_hop_sets:
        if each.fairness is not None and each.peak_over_mean is not None:
            labels = (str(each.datapath_id), ",".join(map(str, each.ports)))
            fairness.add_metric(labels, each.fairness)
            peak.add_metric(labels, each.peak_over_mean)
    yield from (fairness, peak)
    yield GaugeMetricFamily(
        "vl2_elephants_pinned", "Bins of heavy flows on a next hop of their own.", value=len(load.elephants)
    )


def _of_multicast(multicast: MulticastView) -> Iterator[Metric]:
    reports = CounterMetricFamily(
        "vl2_multicast_reports", "Reports of what machines listen to, by whether they were sound.", labels=("sound",)
    )
    reports.add_metric(("yes",), multicast.reports)
    reports.add_metric(("no",), multicast.unsound)
    yield reports
    yield GaugeMetricFamily("vl2_multicast_groups", "Multicast groups with members.", value=multicast.groups)
    yield GaugeMetricFamily("vl2_multicast_memberships", "Ports in groups.", value=multicast.memberships)
    yield GaugeMetricFamily(
        "vl2_multicast_refused", "Reports beyond a limit, of the ports that there are.", value=multicast.refused
    )
    yield CounterMetricFamily("vl2_multicast_asked", "Ports asked what they listen to.", value=multicast.asked)


def _link_labels(link: LinkLoadView) -> tuple[str, ...]:
    return (str(link.from_datapath_id), str(link.from_port), str(link.to_datapath_id), str(link.to_port))


def blueprint(service: Service) -> APIBlueprint:
    """Build the route that Prometheus scrapes."""
    api = answers.routes("metrics")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Views(service))

    @api.get(
        "/metrics",
        responses={
            200: {"description": "Samples.", "content": {"text/plain": {"schema": {"type": "string"}}}},
            401: ErrorAnswer,
            403: ErrorAnswer,
        },
        openapi_extensions={"security": [{"token": []}, {"basic": []}, {"bearer": []}]},
    )
    def scrape() -> Response:
        """Give Prometheus its samples; the token may be a bearer token here."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return Response(encode(registry), content_type=content_type)

    return api
