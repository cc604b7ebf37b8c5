"""A confirmation is heard at once, except where a machine is just being moved to or from the host."""

from __future__ import annotations

import pytest

from controller.events import MessageConfirmed
from controller.hypervisors import Hypervisors
from overlay.changes import Activate, Announced, BindPassive, Confirmed
from overlay.moves import Phase
from tests.controller.switches import Later
from tests.model.lab import Lab
from tests.overlay.conftest import lab as _lab
from tests.overlay.test_packets import H1, H2

A = "red-a"
lab = _lab


@pytest.fixture
def hypervisors(lab: Lab) -> tuple[Hypervisors, Later, list[object]]:
    """The acting side of a world whose switches are in memory."""
    later, heard = Later(), list[object]()
    return Hypervisors(lab.world, spawn=later, sink=heard.append, lost_after=30.0), later, heard


def confirmation(lab: Lab, host: str) -> MessageConfirmed:
    """A barrier reply of a host's switch."""
    return MessageConfirmed(lab.world.hosts[host].datapath_id, 1)


def test_a_barrier_of_a_target_is_heard_after_a_rest(lab: Lab, hypervisors: tuple) -> None:
    """While frames wait to be sent to a target, its confirmation is put off once; those of others are not."""
    acting, later, heard = hypervisors
    assert acting.take(confirmation(lab, H2)) == (Confirmed(H2, 1),)
    lab.do(BindPassive(A, H2))
    lab.plug(H2, A)
    lab.change(Activate(A, H2))
    assert lab.world.moves()[-1].phase is Phase.DELIVERING
    assert acting.take(confirmation(lab, H1)) == (Confirmed(H1, 1),)
    assert acting.take(confirmation(lab, H2)) == ()
    assert later.run() == [0.01]
    assert heard == [confirmation(lab, H2)]
    assert acting.take(confirmation(lab, H2)) == (Confirmed(H2, 1),)


def test_a_machine_that_has_appeared_is_not_kept_waiting(lab: Lab, hypervisors: tuple) -> None:
    """Where a machine is at its target already, every moment of waiting would lose frames."""
    acting, later, _ = hypervisors
    lab.plug(H2, A)
    lab.change(Announced(H2, A))
    assert lab.world.moves()[-1].phase is Phase.DELIVERING
    assert acting.take(confirmation(lab, H2)) == (Confirmed(H2, 1),)
    assert later.waiting == []
