"""A machine moves to another rack, and whoever talks to it does not notice."""

from __future__ import annotations

import pytest

from tests.e2e.scene import Net, Scene
from topologies.probing import Direction, probing, streaming

pytestmark = [pytest.mark.alone, pytest.mark.root]

TOPOLOGY, PARAMS = "leafspine", {"spines": 2, "leaves": 3}
MOVES = 20


@pytest.fixture(scope="module")
def net(scene: Scene) -> Net:
    """A network with a machine that stays and one that moves."""
    net = scene.network("red")
    scene.vm("stays", "h1", net)
    scene.vm("moves", "h2", net)
    return net


def elsewhere(scene: Scene) -> str:
    """The hypervisor after the present one of the machine that moves: all pairs come round, the peer's own included."""
    here = scene.vms()["moves"].host
    return {"h1": "h2", "h2": "h3", "h3": "h1"}[here]


def one_stretch(direction: Direction) -> bool:
    """Whether all probes that were lost followed each other."""
    lost = direction.missing
    return not lost or lost == tuple(range(lost[0], lost[-1] + 1))


@pytest.mark.usefixtures("net")
def test_twenty_moves_lose_nothing(scene: Scene) -> None:
    """Twenty moves in a row without a pause lose no probe, duplicate none, and a TCP stream arrives whole."""
    with (
        probing(scene.lab, "stays", "moves") as probe,
        streaming(scene.lab, "moves", "stays", megabits=5) as stream,
    ):
        reports = [scene.lab.vm_move("moves", elsewhere(scene)) for _ in range(MOVES)]
    found, flow = probe.result(), stream.result()
    assert (found.lost, found.duplicated) == (0, 0), (found, reports)
    assert found.sent > 2 * MOVES * 500
    assert flow.intact, flow
    assert flow.bytes > 1_000_000


@pytest.mark.usefixtures("net")
def test_a_pause_delays_and_loses_nothing(scene: Scene) -> None:
    """A pause of 50 ms keeps packets waiting at the target's tap: none is lost or doubled, the silence is the pause."""
    with probing(scene.lab, "stays", "moves") as probe:
        reports = [scene.lab.vm_move("moves", elsewhere(scene), pause_ms=50) for _ in range(3)]
    found = probe.result()
    assert (found.lost, found.duplicated) == (0, 0), (found, reports)
    assert all(report.blackout_ms >= 50 for report in reports)
    assert found.longest_gap_ms >= 45


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize("trigger", ["appear", "rarp"])
def test_a_move_that_nobody_announced_to_the_controller(scene: Scene, trigger: str) -> None:
    """A machine that simply appears elsewhere is followed: TCP lives on, and only what is sent meanwhile is lost."""
    with (
        probing(scene.lab, "stays", "moves") as probe,
        streaming(scene.lab, "moves", "stays", megabits=5) as stream,
    ):
        for _ in range(3):
            report = scene.lab.vm_move("moves", elsewhere(scene), trigger=trigger)
            move = scene.ask("GET", f"/v1/moves?port_id={scene.vms()['moves'].port_id}")["moves"][-1]
            assert (move["phase"], move["trigger"], move["target"]) == ("settled", "appeared", report.target)
    found, flow = probe.result(), stream.result()
    assert flow.intact, flow
    assert found.duplicated == 0, found
    assert found.longest_gap_ms < 500, found
    assert max(found.there.lost, found.back.lost) < 3 * 500


@pytest.mark.usefixtures("net")
def test_a_move_activated_at_the_stop_loses_what_comes_before_the_hairpin(scene: Scene) -> None:
    """Activated while the machine stands still, a move loses what reaches the source until it turns frames round."""
    with probing(scene.lab, "stays", "moves") as probe:
        report = scene.lab.vm_move("moves", elsewhere(scene), pause_ms=200, moment="stopped")
    found = probe.result()
    assert report.activated_ms is not None
    assert report.stopped_ms < report.activated_ms < report.resumed_ms
    assert (found.back.lost, found.duplicated) == (0, 0), (found, report)
    assert found.there.lost < 100, (found, report)
    assert one_stretch(found.there), found


@pytest.mark.usefixtures("net")
@pytest.mark.parametrize(
    ("trigger", "moment", "least"), [("rest", "resumed", 25), ("bound", None, 25), ("replug", None, 1)]
)
def test_a_move_activated_late_loses_one_stretch(scene: Scene, trigger: str, moment: str | None, least: int) -> None:
    """Activated after RESUME, a move loses what is sent to the machine in its pause; replugged, until it is found."""
    with probing(scene.lab, "stays", "moves") as probe:
        report = scene.lab.vm_move("moves", elsewhere(scene), pause_ms=50, trigger=trigger, moment=moment)
    found = probe.result()
    assert scene.vms()["moves"].host == report.target
    assert found.duplicated == 0, found
    assert found.there.lost >= least, found
    assert one_stretch(found.there), found


@pytest.mark.usefixtures("net")
def test_loss_is_one_stretch(scene: Scene) -> None:
    """What a move by announcement loses is what was sent before the announcement took effect, and nothing after it."""
    with probing(scene.lab, "stays", "moves") as probe:
        scene.lab.vm_move("moves", elsewhere(scene), trigger="rarp")
    found = probe.result()
    assert one_stretch(found.there), found
    assert one_stretch(found.back), found
