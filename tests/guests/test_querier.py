"""Machines are asked what they listen to: in time, not all at once, and none in vain."""

from __future__ import annotations

from ipaddress import ip_address

from controller.guests.listening import Query
from controller.guests.querier import AT_ONCE, Querier
from overlay.changes import BindPassive, CreatePort
from overlay.multicast.changes import Joined, Left
from overlay.values import HostName, Mac
from tests.model.lab import Lab
from tests.overlay.conftest import furnished

H1, H2, H3 = (HostName(f"h{number}") for number in (1, 2, 3))
GROUP = (ip_address("239.1.1.1"),)
RED = [(H1, "red-a"), (H1, "red-b"), (H2, "red-c"), (H3, "red-d")]


def asked(querier: Querier, *times: float) -> list[tuple[HostName, str]]:
    """Who is asked at these times."""
    return sorted(who for now in times for who in querier.turn(now))


def test_a_port_is_asked_when_it_is_active() -> None:
    """A port is asked once when it becomes active, where it is plugged and not passive; one that is gone is not."""
    lab = furnished()
    querier = Querier(lab.world, Query(60.0))
    lab.do(BindPassive("red-c", H3))
    lab.plug(H3, "red-c")
    for port_id in ("red-c", "red-c", "gone"):
        querier.activated(port_id)
    assert asked(querier, 0.0, 0.1) == [(H2, "red-c")]
    assert querier.asked == 1


def test_networks_with_listeners_are_asked_at_intervals() -> None:
    """All ports of a network in which somebody listens are asked once per interval; those of others never."""
    lab = furnished()
    querier = Querier(lab.world, Query(60.0))
    assert asked(querier, 0.0, 61.0, 122.0) == []
    lab.do(Joined(H2, "red-c", GROUP))
    assert asked(querier, 130.0, 189.0) == []
    assert asked(querier, 190.0, 191.0, 249.0) == RED
    assert asked(querier, 250.0) == RED
    lab.do(Left(H2, "red-c", GROUP))
    assert asked(querier, 310.0, 311.0) == []
    lab.do(Joined(H2, "red-c", GROUP))
    assert asked(querier, 312.0, 371.0) == []
    assert asked(querier, 373.0) == RED


def test_a_host_that_is_back_is_asked() -> None:
    """When a host's session is there again its ports are asked, since nobody has heard them meanwhile."""
    lab = furnished()
    querier = Querier(lab.world, Query(60.0))
    querier.returned(H2)
    assert asked(querier, 0.0) == [(H2, "blue-c"), (H2, "red-c")]


def crowd(number: int) -> Lab:
    """So many plugged ports."""
    lab = furnished()
    for each in range(number):
        lab.do(CreatePort(f"port{each}", "red", "red", mac=Mac(0x02_11_00_00_00_00 + each), fixed_ips=(), host=H1))
        lab.plug(H1, f"port{each}")
    return lab


def test_not_all_at_once() -> None:
    """Many ports are asked some at a time, and all of them within a quarter of the interval however many there are."""
    lab = crowd(2 * AT_ONCE)
    patient, hasty = Querier(lab.world, Query(60.0)), Querier(lab.world, Query(1.0))
    for querier in (patient, hasty):
        for port_id in lab.world.ports:
            querier.activated(port_id)
    assert len(asked(patient, 0.0)) == AT_ONCE
    assert len(asked(patient, *(number / 10 for number in range(5)))) == AT_ONCE + 8
    assert len(asked(hasty, 0.0, 0.1, 0.2)) > 2 * AT_ONCE
