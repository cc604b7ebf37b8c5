"""``vl2 move`` tells of moves in a person's words, and as they happen."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from controller.move_cli import command


@pytest.fixture
def vl2_move(edge, tmp_path: Path) -> Callable[..., Result]:
    """Type after ``vl2 move``."""
    file = tmp_path / "operator.token"
    file.write_text("operator-0123456789\n")
    where = ["--url", f"http://127.0.0.1:{edge.port}", "--token-file", str(file)]
    return lambda *words: CliRunner().invoke(command, [*where, *words])


@pytest.fixture
def port(op, edge) -> str:
    """The id of a port that is about to move from h1 to h2."""
    network = op.make("network")
    made = op.make("port", network_id=network["id"], **{"binding:host_id": "h1"})
    edge.service.plug("h1", made["id"])
    op("POST", f"/v2.0/ports/{made['id']}/bindings", {"binding": {"host": "h2"}})
    edge.service.now += 0.5
    edge.service.plug("h2", made["id"], 6)
    return made["id"]


def finish(op, edge, port: str) -> None:
    """Let the machine arrive."""
    edge.service.now += 0.25
    assert op("PUT", f"/v2.0/ports/{port}/bindings/h2/activate").status == 200
    edge.service.settle()


def test_a_move_is_shown(op, edge, port: str, vl2_move) -> None:
    """A line for each phase says how long it took and what the switches did; the rest is who, why and what it cost."""
    said = vl2_move("show", f"{port}:1").output
    assert "from       h1 to h2" in said
    assert "by passive binding" in said
    assert "activated  not yet" in said
    assert "  preparing        500.0 ms  the target gets the whole program, passive; floods reach its host" in said
    finish(op, edge, port)
    said = vl2_move("show", port).output
    assert "activated  by request" in said
    assert "  ready            250.0 ms  confirmed everywhere" in said
    assert "  settled" in said
    assert "in all     10750.0 ms" in said
    assert "cost       7 flow-mods to 1 switches" in said
    assert json.loads(vl2_move("show", port, "--json").output) == op("GET", f"/v1/moves/{port}:1").body["move"]


def test_moves_are_listed(op, edge, port: str, vl2_move) -> None:
    """A line for each move, oldest first; only those under way, or of one port, if so asked."""
    assert f"{port}:1  h1 to h2  ready" in vl2_move("list", "--live").output
    finish(op, edge, port)
    assert vl2_move("list", "--live").output == ""
    assert f"{port}:1  h1 to h2  settled  10750.0 ms" in vl2_move("list", "--port", port).output
    assert vl2_move("list", "--port", "other").output == ""
    assert json.loads(vl2_move("list", "--json").output) == op("GET", "/v1/moves").body


def test_a_move_is_watched_to_its_end(op, edge, port: str, vl2_move) -> None:
    """Watching shows each phase as it is entered and returns when the move has ended; then all of it is shown."""
    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(vl2_move, "show", port, "--watch")
        deadline = time.monotonic() + 10
        while not edge.service.bulletin.readers:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
        finish(op, edge, port)
        said = watching.result(10).output
    phases = [line.split()[3] for line in said.splitlines() if f"{port}:1  " in line]
    assert phases[-1] == "settled"
    assert "in all     10750.0 ms" in said
    assert [
        each.split()[3] for each in vl2_move("show", port, "--watch").output.splitlines() if f"{port}:1  " in each
    ] == []


@pytest.mark.usefixtures("port")
def test_what_is_not_there(vl2_move) -> None:
    """What is neither a move nor a port that has moved is one line and exit code 2."""
    for name, word in (("none", "neither a move nor a port"), ("none:1", "could not be found")):
        answer = vl2_move("show", name)
        assert (answer.exit_code, word in answer.output) == (2, True), answer.output
