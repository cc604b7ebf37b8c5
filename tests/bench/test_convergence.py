"""The page of the convergence experiment says what was measured, and blames each step for its own outages."""

from __future__ import annotations

import io
import socket
import time
from types import SimpleNamespace

import pytest

from bench.overflows import Overflow
from bench.record import Notebook, Record
from bench.vl2_paper import convergence
from bench.vl2_paper.failing import FAILING, RESTORED
from bench.vl2_paper.scene import Scene, Step
from bench.vl2_paper.spanning import first_packet
from bench.vl2_paper.trees import TREES
from topologies.probing import Outage

MS = 1_000_000
SECOND = 1000 * MS


def scene(*outages: Outage) -> Scene:
    """A scene in which something failed at 10 s and was restored at 20 s."""
    made = Scene(Notebook("convergence", "How long?", {"rounds": 1}), SimpleNamespace(), "ecmp")
    made.steps = [
        Step("a–b down", False, 10 * SECOND, 10 * SECOND + 20 * MS),
        Step("a–b up", True, 20 * SECOND, 20 * SECOND + MS),
    ]
    way = SimpleNamespace(outages=outages)
    made.reports = [SimpleNamespace(there=way, back=SimpleNamespace(outages=()))]
    return made


def test_an_outage_belongs_to_the_step_before_it():
    """A step answers for the outages that began between it and the next one, and for no other."""
    made = scene(
        Outage(3, 2 * SECOND, 2 * SECOND + 4 * MS),
        Outage(29, 10 * SECOND - MS, 10 * SECOND + 29 * MS),
        Outage(9, 20 * SECOND + 5 * MS, 20 * SECOND + 15 * MS),
    )
    assert made.worst(made.steps[0]) == (30.0, 29)
    assert made.worst(made.steps[1]) == (10.0, 9)


def test_what_a_busy_machine_lost_is_nobodys():
    """Outages in which switches' sockets dropped as much do not count, except where a failure has just happened."""
    made = scene(
        Outage(5, 10 * SECOND, 10 * SECOND + 6 * MS),
        Outage(50, 12 * SECOND, 12 * SECOND + 51 * MS),
        Outage(9, 20 * SECOND, 20 * SECOND + 10 * MS),
    )
    made.overflows = [Overflow("leaf", at * SECOND, at * SECOND + 100 * MS, 50) for at in (10, 12, 20)]
    assert made.worst(made.steps[0]) == (6.0, 5)
    assert made.worst(made.steps[1]) == (0.0, 0)


def test_links_are_failed_so_that_something_is_left():
    """The links that fail together leave a way between the racks, in the fabric that is measured."""
    import networkx as nx  # noqa: PLC0415

    from topologies.registry import make  # noqa: PLC0415

    graph = nx.Graph(make("vl2", dict(convergence.PARAMS)).links())
    graph.remove_edges_from(FAILING)
    assert all(nx.has_path(graph, "h1", host) for host in ("h2", "h3", "h4"))


def recorded() -> Record:
    """A small measurement."""
    made = scene(Outage(200, 10 * SECOND, 10 * SECOND + 201 * MS))
    made.series("ecmp")
    made.book.take(RESTORED, "ecmp: a link", "first packet on it after", "ms", [12.0, 34.0, 20.0])
    made.book.note("something odd")
    return made.book.record()


def test_the_page_puts_the_figures_beside_the_paper():
    """The page shows the paper's figure, the target and the measured one in one row, and says what was not measured."""
    page = convergence.page(recorded())
    assert "| a restored link is used again | 50 s | < 1 s | 20 ms (12 – 34) |" in page
    assert "| there: the restored link is used again |  |  | not measured |" in page
    assert "- something odd" in page
    assert convergence.SERIES not in page
    assert TREES not in page


def test_the_picture_can_be_drawn():
    """The picture of the probes lost over time is drawn from the record alone."""
    pytest.importorskip("matplotlib")
    figures = convergence.plots(recorded())
    drawn = io.BytesIO()
    figures["convergence.svg"].savefig(drawn, format="svg")
    assert drawn.getvalue().startswith(b"<?xml")


def test_only_users_packets_show_that_a_link_is_used():
    """What switches send each other of their own accord, LLDP or BFD, does not count as traffic."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        ethernet = bytes(12)
        ip = ethernet + b"\x08\x00" + b"\x45" + bytes(8) + b"\x11" + bytes(10)
        bfd, vxlan = (ip + bytes(2) + port.to_bytes(2) + bytes(8) for port in (3784, 4789))
        for frame in (ethernet + b"\x88\xcc" + bytes(40), bfd):
            one.send(frame)
        assert first_packet(other, time.monotonic(), 0.05, port=4789) is None
        one.send(vxlan)
        assert first_packet(other, time.monotonic(), 5.0, port=4789) is not None
