"""What a bulk creation sends in parts is what it would have sent in one go, whatever happened in between."""

from __future__ import annotations

import pytest

from controller.bulk import SLICE, Bulk, apply_all
from overlay.changes import CreatePort, Plugged, Sent, Unplugged
from overlay.compile import Compiler, units_of
from overlay.refusals import Conflict
from overlay.values import Mac
from tests.model.lab import Lab
from tests.overlay.conftest import lab as _lab
from tests.overlay.test_packets import H1, H2, H3

lab = _lab
MANY = 3 * SLICE + 1


def ports(*more: CreatePort) -> list[CreatePort]:
    """New ports of red on all hosts."""
    homes = (H1, H2, H3)
    return [
        *(
            CreatePort(f"new{each}", "red", "red", mac=Mac(0x020000000100 + each), host=homes[each % len(homes)])
            for each in range(MANY)
        ),
        *more,
    ]


@pytest.mark.parametrize("refused", [False, True])
def test_parts_compile_to_the_whole(lab: Lab, refused: bool) -> None:
    """After the last part the switches' flows are those of a fresh computation, after a refusal as well."""
    world, compiler = lab.world, Compiler(lab.world)
    compiler.refresh(units_of(world))
    twin = CreatePort("twin", "red", "red", mac=Mac(0x020000000100))
    bulk, steps = Bulk(ports(twin) if refused else ports()), 0
    while not bulk.decided:
        bulk.step(world, lambda: 0.0)
        steps += 1
        for event in (Unplugged(H1, "red-a"), Plugged(H1, "red-a", 70 + steps)):  # compiles the network, half made
            compiler.refresh(world.apply(event, 0.0).dirty)
    parts = list(bulk.to_send())
    assert len(parts) > 2
    for part in parts:
        compiler.refresh(part.dirty)
    assert {host: dict(compiler.desired(host)) for host in compiler.hosts()} == compiler.recompute()
    assert ("new0" in world.ports) is not refused


def test_parts_compile_each_unit_once(lab: Lab) -> None:
    """No unit is in two parts, and together they are what the creation made dirty and waits for."""
    other = Lab()
    other.world = type(lab.world).restore(lab.world.documents(), 0.0)
    whole = apply_all(other.world, ports(), 0.0)
    bulk = Bulk(ports())
    while not bulk.decided:
        bulk.step(lab.world, lambda: 0.0)
    parts = list(bulk.to_send())
    units = [unit for part in parts for unit in part.dirty]
    assert len(units) == len(set(units))
    assert {unit for unit in units if unit.key.startswith("new")} == {
        unit for unit in whole.dirty if unit.key.startswith("new")
    }
    assert {wait for part in parts for wait in part.waits} == whole.waits
    assert bulk.to_store() == type(whole)(documents=whole.documents, notices=whole.notices)


def test_nobody_waits_for_what_was_taken_back(lab: Lab) -> None:
    """After a refusal nothing is stored, told or waited for."""
    bulk = Bulk(ports(CreatePort("new0", "red", "red")))
    while not bulk.decided:
        bulk.step(lab.world, lambda: 0.0)
    assert isinstance(bulk.refusal, Conflict)
    assert not bulk.to_store().documents
    assert not any(part.waits or part.documents for part in bulk.to_send())
    lab.world.apply(Sent(frozenset()), 0.0)
    assert not any(port.startswith("new") for port in lab.world.ports)
