"""A lab per module, brought down whatever happens."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.e2e.scene import Scene, wait
from topologies.client import LabClient


@pytest.fixture(scope="module")
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """A running lab of the topology that the module names in ``TOPOLOGY`` and ``PARAMS``, and may give ``SETTINGS``."""
    name = request.module.__name__.rpartition("test_")[2].replace("_", "-")[:16]
    lab = LabClient(f"e2e-{os.getpid()}-{name}")
    try:
        settings = getattr(request.module, "SETTINGS", None)
        lab.up(request.module.TOPOLOGY, request.module.PARAMS, rest_port=0, settings=settings)
        scene = Scene(lab)
        wait(scene.all_connected, "all switches are connected")
        yield scene
    finally:
        lab.down()
