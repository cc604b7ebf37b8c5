"""The page about operating the fabric says what is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from controller.fabric.differences import DifferenceKind
from controller.fabric.drawing import Format
from controller.fabric.flaps import Flaps
from controller.fabric.intended import Role, read
from controller.fabric.plan import PortRef
from controller.fabric.routes import Link
from controller.fabric_cli import command
from controller.host_cli import command as hosts
from controller.settings import parse
from overlay.qos.meters import bandwidth
from overlay.qos.values import BandwidthLimit
from overlay.values import DatapathId

PAGE = (Path(__file__).parents[2] / "docs/operating.md").read_text()


def test_the_example_is_one() -> None:
    """The drawing on the page is read as what it draws."""
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    found = read(example, Format.JSON)
    assert [(node.name, node.role) for node in found.switches.values()] == [
        ("agg1", Role.AGGREGATION),
        ("tor1", Role.EDGE),
    ]
    assert [(cable.a.port, cable.b.port, cable.capacity) for cable in found.cables] == [(4, 1, 10000.0)]


def test_every_command_and_kind_is_told() -> None:
    """All subcommands of ``vl2 fabric`` and ``vl2 host`` and all kinds of differences are told, and no others."""
    assert set(re.findall(r"vl2 fabric ([a-z]+)", PAGE)) == set(command.commands)
    assert all(f"`{kind}`" in PAGE for kind in DifferenceKind)
    assert set(re.findall(r"vl2 host ([a-z]+)", PAGE)) == set(hosts.commands)


LINK = Link(PortRef(DatapathId(1), 1), PortRef(DatapathId(2), 1))


def lost(apart: float, times: int = 4) -> tuple[Flaps, float]:
    """Lose a link so often, by the defaults; the penalties after that, and the time of the last loss."""
    flaps = Flaps(parse({}).fabric.damping)
    for number in range(times):
        assert not flaps.damped or times > 4
        flaps.lost(LINK, number * apart)
    return flaps, (times - 1) * apart


def test_the_defaults_are_told() -> None:
    """What the page gives as defaults is what holds when the configuration says nothing."""
    for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL):
        assert parse(tomllib.loads(block)) == parse({})


@pytest.mark.parametrize(("apart", "least", "most"), [(0.001, 19.5, 20.0), (3.0, 15.5, 16.0)])
def test_a_fourth_loss_damps_for_as_long_as_is_told(apart: float, least: float, most: float) -> None:
    """Four losses up to 3 s apart damp a link, three do not; it is used again 16 to 20 s after the fourth."""
    assert "fourth loss if they come 3 s apart or faster" in PAGE
    assert "16 to 20 s after" in PAGE
    assert not lost(apart, 3)[0].damped
    flaps, last = lost(apart)
    assert flaps.damped == {LINK}
    assert not flaps.settle(last + least)
    assert flaps.settle(last + most) == {LINK}


def test_slower_losses_damp_later_or_never() -> None:
    """Losses up to 5.8 s apart damp a link in the end, and those 6 s apart never do."""
    assert "up to\n5.8 s apart, and never if they come 6 s apart" in PAGE
    assert not lost(3.1)[0].damped
    assert lost(5.8, 100)[0].damped
    assert not lost(6.0, 1000)[0].damped


def test_no_link_is_damped_for_longer_than_is_told() -> None:
    """However often a link was lost, it is used again 36 s after the last time."""
    assert "36 s after the last one at most" in PAGE
    flaps, last = lost(0.0, 1000)
    assert not flaps.settle(last + 35.0)
    assert flaps.settle(last + 36.0) == {LINK}


def test_the_burst_of_a_limited_port_is_told() -> None:
    """A limited port may send at once what the page says, and no port is limited by default."""
    assert "the allowance of a quarter of a second at once, 600 kbit at least" in PAGE
    for rate, burst in ((64, 600), (2_400, 600), (10_000, 2_500)):
        meter = bandwidth(1, BandwidthLimit("", rate))
        assert meter is not None
        assert meter.burst == burst
    assert parse({}).overlay.port_rate_kbps == 0
