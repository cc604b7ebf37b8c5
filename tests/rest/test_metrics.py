"""Prometheus scrapes what the operator can see, and nobody else does."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.rest.conftest import TOKENS


def _samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Read the text as Prometheus does."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


LINK = {"from_datapath": f"{1:016x}", "from_port": "1", "to_datapath": f"{2:016x}", "to_port": "1"}
SWITCH = {"datapath": f"{1:016x}", "kind": "fabric"}


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("vl2_link_utilisation_ratio", LINK, 0.2),
        ("vl2_link_capacity_bits_per_second", LINK, 1e7),
        ("vl2_link_transmitted_bytes_total", LINK, 5000),
        ("vl2_link_transmitted_packets_total", LINK, 40),
        ("vl2_link_dropped_packets_total", LINK, 1),
        ("vl2_ecmp_fairness_ratio", {"datapath": f"{1:016x}", "ports": "1,3"}, 0.75),
        ("vl2_ecmp_peak_over_mean", {"datapath": f"{1:016x}", "ports": "1,3"}, 1.5),
        ("vl2_switch_connected", SWITCH, 1),
        ("vl2_switches_connected", {"kind": "fabric"}, 1),
        ("vl2_switches_connected", {"kind": "host"}, 0),
        ("vl2_flow_mods_total", SWITCH, 10),
        ("vl2_group_mods_total", SWITCH, 2),
        ("vl2_refused_total", SWITCH, 0),
        ("vl2_elephants_pinned", {}, 1),
        ("vl2_links_usable", {}, 1),
        ("vl2_hosts", {}, 2),
        ("vl2_hosts_connected", {}, 2),
        ("vl2_pending", {}, 0),
        ("vl2_owner_failures_total", {}, 3),
        ("vl2_multicast_groups", {}, 2),
        ("vl2_multicast_memberships", {}, 3),
        ("vl2_multicast_refused", {}, 4),
        ("vl2_multicast_reports_total", {"sound": "yes"}, 50),
        ("vl2_multicast_reports_total", {"sound": "no"}, 6),
        ("vl2_multicast_asked_total", {}, 70),
        ("vl2_guest_questions_total", {"kind": "dhcp"}, 9),
        ("vl2_guest_answers_total", {"kind": "dhcp"}, 5),
        ("vl2_guest_unsound_total", {"kind": "dhcp"}, 2),
        ("vl2_guest_dropped_total", {"kind": "dhcp"}, 1),
        ("vl2_guest_failed_total", {"kind": "dhcp"}, 1),
        ("vl2_info", {"version": "0.1.0", "framework": "ryu 4.34"}, 1),
    ],
)
def test_every_sample_is_that_of_a_view(op, name: str, labels: dict[str, str], value: float) -> None:
    """What the views hold is scraped under its name, with labels that say of what it is."""
    answer = op("GET", "/metrics")
    assert answer.status == 200
    assert _samples(answer.body.decode())[name, tuple(sorted(labels.items()))] == value


def test_what_is_not_known_is_not_scraped(op) -> None:
    """A direction that was not counted and a set that is idle have no samples instead of wrong ones."""
    text = op("GET", "/metrics").body.decode()
    assert f'from_datapath="{2:016x}"' not in text
    assert 'ports="1,2"' not in text


def test_moves_are_counted_by_phase(op, edge) -> None:
    """The moves that are listed are counted in the phase that they are in, anew on each scrape."""
    network = op.make("network")
    port = op.make("port", network_id=network["id"], **{"binding:host_id": "h1"})
    edge.service.plug("h1", port["id"])
    assert "vl2_moves{" not in op("GET", "/metrics").body.decode()
    assert op("POST", f"/v2.0/ports/{port['id']}/bindings", {"binding": {"host": "h2"}}).status == 201
    (phase,) = {move["phase"] for move in op("GET", "/v1/moves").body["moves"]}
    assert _samples(op("GET", "/metrics").body.decode())["vl2_moves", (("phase", phase),)] == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": f"Bearer {TOKENS['operator']}"}, 200),
        ({"Authorization": f"bearer {TOKENS['operator']}"}, 200),
        ({"X-Auth-Token": TOKENS["operator"]}, 200),
        ({"Authorization": "Basic b3BlcmF0b3I6b3BlcmF0b3ItMDEyMzQ1Njc4OQ=="}, 200),
        ({}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": "Bearer nobody-0123456789"}, 401),
        ({"Authorization": f"Basic {TOKENS['operator']}"}, 401),
        ({"Authorization": TOKENS["operator"]}, 401),
        ({"X-Auth-Token": "nobody-0123456789", "Authorization": f"Bearer {TOKENS['operator']}"}, 401),
        ({"Authorization": f"Bearer {TOKENS['blue']}"}, 403),
        ({"X-Auth-Token": TOKENS["blue"]}, 403),
    ],
)
def test_only_the_operator_scrapes(edge, headers: dict[str, str], status: int) -> None:
    """The operator's token is taken in either header; without one it is 401, and a project's is 403."""
    answer = edge.as_(None).raw("GET", "/metrics", headers=headers)
    assert answer.status == status
    if status != 200:
        assert TOKENS["operator"] not in answer.error["message"]


def test_a_bearer_token_is_for_scraping_only(edge) -> None:
    """The API itself takes a token in its own header only, as its document says."""
    answer = edge.as_(None).raw("GET", "/v1/topology", headers={"Authorization": f"Bearer {TOKENS['operator']}"})
    assert answer.status == 401


def test_a_scraper_may_prefer_openmetrics(op) -> None:
    """A scraper that accepts OpenMetrics gets it; every other gets the Prometheus text format."""
    accept = {"Accept": "application/openmetrics-text;version=1.0.0"}
    answer = op.raw("GET", "/metrics", headers=accept)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.body.endswith(b"# EOF\n")
    assert op("GET", "/metrics").headers["Content-Type"].startswith("text/plain")
