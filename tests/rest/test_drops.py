"""What was dropped at a port."""

from __future__ import annotations

import pytest

from controller.drops import REASONS


def test_drops_are_told_by_reason(blue, op) -> None:
    """Whoever sees a port learns how many packets and bytes were dropped there, and why."""
    port = blue.make("port", network_id=blue.make("network")["id"])
    counted = [{"reason": "spoofed", "packets": 3, "bytes": 180}, {"reason": "refused_in", "packets": 0, "bytes": 0}]
    for client in (blue, op):
        assert client("GET", f"/v1/ports/{port['id']}/drops").body == {"drops": counted}


def test_anothers_drops_are_not_there(blue, red) -> None:
    """A port that one does not see has no drops either."""
    port = blue.make("port", network_id=blue.make("network")["id"])
    for id_ in (port["id"], "none"):
        answer = red("GET", f"/v1/ports/{id_}/drops")
        assert (answer.status, answer.error["type"]) == (404, "PortNotFound")


def test_a_switch_that_does_not_answer(edge, blue) -> None:
    """What cannot be counted now is answered 503, and never as none."""
    port = blue.make("port", network_id=blue.make("network")["id"])
    edge.service.silent = True
    answer = blue("GET", f"/v1/ports/{port['id']}/drops")
    assert (answer.status, answer.error["type"]) == (503, "NotCounted")


@pytest.mark.usefixtures("desk")
def test_a_port_that_is_plugged_nowhere_drops_nothing(blue) -> None:
    """Nothing is asked of any switch then."""
    port = blue.make("port", network_id=blue.make("network")["id"])
    found = blue("GET", f"/v1/ports/{port['id']}/drops").body["drops"]
    assert {each["reason"]: each["packets"] for each in found} == dict.fromkeys(REASONS.values(), 0)
