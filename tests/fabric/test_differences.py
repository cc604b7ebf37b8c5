"""In what does the fabric that is seen differ from the one that was intended?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.events import PortChanged
from controller.fabric.changes import LinkSeen, SwitchDisconnected
from controller.fabric.differences import Difference, DifferenceKind, differences
from controller.fabric.graph import Fabric
from controller.fabric.intended import Cable, End, Intended, Node
from controller.fabric.plan import PortRef
from overlay.values import DatapathId

from . import graphs

D = DatapathId


def plan(wiring: graphs.Wiring, *, ports: str = "both") -> Intended:
    """Draw a network as it is, with the ports of both, one or no end of the cables."""
    cables = []
    for near, far in wiring.cables:
        a, b = sorted((near, far))
        cables.append(
            Cable(
                End(a.datapath_id, a.port if ports in {"both", "lower"} else None),
                End(b.datapath_id, b.port if ports in {"both", "upper"} else None),
            )
        )
    switches = {datapath_id: Node(datapath_id, f"s{int(datapath_id)}") for datapath_id in sorted(wiring.switches())}
    return Intended(switches, tuple(cables))


def kinds(found: tuple[Difference, ...]) -> list[str]:
    """Name the kinds of differences."""
    return [str(difference.kind) for difference in found]


@pytest.mark.parametrize("ports", ["both", "lower", "upper", "none"])
@pytest.mark.parametrize("network", graphs.NETWORKS.values(), ids=graphs.NETWORKS)
def test_a_fabric_as_intended_differs_in_nothing(network, ports: str) -> None:
    """Where all is as it was drawn there is no difference, however much of the ports was drawn."""
    wiring = network()
    assert differences(plan(wiring, ports=ports), graphs.build(wiring)) == ()


def test_switches_that_are_not_there_are_missing() -> None:
    """A switch that was never seen, and one that has no session, is missing; one that nobody drew is unknown."""
    wiring = graphs.ring(3)
    fabric = graphs.build(wiring)
    intended = plan(wiring)
    switches = {**intended.switches, D(9): Node(D(9), "far")}
    del switches[D(2)]
    fabric.apply(SwitchDisconnected(D(3)), 1.0)
    found = differences(Intended(switches, intended.cables), fabric)
    assert [(str(each.kind), each.sentence) for each in found] == [
        ("missing_switch", "switch s3 (0000000000000003) is not connected"),
        ("missing_switch", "switch far (0000000000000009) was never seen"),
        ("unknown_switch", "switch 0000000000000002 is not in the intended topology"),
    ]


def cut(fabric: Fabric, at: PortRef) -> None:
    """Take a port down."""
    port = fabric.switches[at.datapath_id].ports[at.port]
    fabric.apply(PortChanged(at.datapath_id, replace(port, up=False), gone=False), 1.0)


@pytest.mark.parametrize("ports", ["both", "lower", "upper", "none"])
def test_a_cut_cable_is_missing(ports: str) -> None:
    """A link that cannot be used is missing, told with both ends; of parallel ones only that."""
    wiring = graphs.leafspine(2, 2, parallel=2)
    fabric = graphs.build(wiring)
    near, far = wiring.cables[0]
    cut(fabric, near)
    intended = plan(wiring, ports=ports)
    (found,) = differences(intended, fabric)
    assert found.kind is DifferenceKind.MISSING_LINK
    assert found.at.datapath_id == near.datapath_id
    assert found.expected is not None
    assert found.expected.datapath_id == far.datapath_id
    words = {
        "both": "the link between port 1 of s100 (0000000000000064) and port 1 of s200 (00000000000000c8) is missing",
        "none": "the link between s100 (0000000000000064) and s200 (00000000000000c8) is missing",
    }
    assert found.sentence == words.get(ports, found.sentence)


def test_a_cable_too_many_is_unexpected() -> None:
    """A link that nobody drew is unexpected, also beside one that was drawn between the same switches."""
    wiring = graphs.leafspine(2, 2, parallel=2)
    intended = plan(wiring)
    (found,) = differences(replace(intended, cables=intended.cables[1:]), graphs.build(wiring))
    assert found == Difference(
        DifferenceKind.UNEXPECTED_LINK,
        "port 1 of s100 (0000000000000064) is linked with port 1 of s200 (00000000000000c8), which was not intended",
        End(D(100), 1),
        seen=End(D(200), 1),
    )


def crossed() -> tuple[graphs.Wiring, Fabric]:
    """Two leaves on two spines, with the cables in port 1 of both leaves exchanged."""
    wiring = graphs.leafspine(2, 2, parallel=1)
    fabric = graphs.build(wiring)
    (first, top), (second, far) = wiring.cables[0], wiring.cables[3]
    for near, other in ((first, far), (second, top)):
        fabric.apply(LinkSeen(near, other), 1.0)
        fabric.apply(LinkSeen(other, near), 1.0)
    return wiring, fabric


def test_exchanged_cables_are_wrong_cabling() -> None:
    """Each port that leads elsewhere is told with what was expected and what is seen, and as nothing else."""
    wiring, fabric = crossed()
    found = differences(plan(wiring), fabric)
    assert kinds(found) == ["wrong_cabling"] * 4
    assert found[0] == Difference(
        DifferenceKind.WRONG_CABLING,
        "port 1 of s100 (0000000000000064) is to lead to port 1 of s200 (00000000000000c8),"
        " but leads to port 2 of s201 (00000000000000c9)",
        End(D(100), 1),
        expected=End(D(200), 1),
        seen=End(D(201), 2),
    )


def test_exchanged_cables_of_half_drawn_ports() -> None:
    """Where only one end's port was drawn, that one is told, and only if it leads to another switch."""
    wiring, fabric = crossed()
    assert kinds(differences(plan(wiring, ports="lower"), fabric)) == ["wrong_cabling"] * 2
    assert differences(plan(graphs.leafspine(2, 2, parallel=1), ports="none"), graphs.build(wiring)) == ()


def test_the_right_switch_by_the_wrong_port_is_wrong_cabling() -> None:
    """A cable between the right switches in the wrong port is wrong cabling, told once: the drawn port sees nothing."""
    wiring = graphs.ring(2)
    (near, far), _ = wiring.cables
    intended = Intended(
        {D(n): Node(D(n), str(D(n))) for n in (1, 2)},
        (Cable(End(D(1), near.port), End(D(2), 99)), Cable(End(D(1)), End(D(2)))),
    )
    (found,) = differences(intended, graphs.build(wiring))
    assert (found.kind, found.at, found.expected, found.seen) == (
        DifferenceKind.WRONG_CABLING,
        End(*near),
        End(D(2), 99),
        End(*far),
    )
    assert "port 1 of 0000000000000001 is to lead to port 99 of 0000000000000002" in found.sentence


def test_one_link_is_not_two_cables() -> None:
    """Two cables of which each end of one link would do are not both there; a named port is kept for who named it."""
    wiring = graphs.Wiring()
    wiring.join(1, 2)
    fabric = graphs.build(wiring)
    nodes = {D(n): Node(D(n), f"s{n}") for n in (1, 2)}
    halves = (Cable(End(D(1), 1), End(D(2))), Cable(End(D(1)), End(D(2), 1)))
    assert kinds(differences(Intended(nodes, halves), fabric)) == ["missing_link"]
    anywhere = (Cable(End(D(1)), End(D(2))), Cable(End(D(1)), End(D(2))))
    assert kinds(differences(Intended(nodes, anywhere), fabric)) == ["missing_link"]
