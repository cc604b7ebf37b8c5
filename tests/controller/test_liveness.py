"""When are fabric switches told where BFD shall run?"""

from __future__ import annotations

from controller.events import FabricReachable, FabricUnreachable, PortChanged, SwitchPort
from controller.fabric.changes import LinkSeen, SwitchConnected
from controller.fabric.graph import Fabric
from controller.fabric.plan import LaPlan, PortRef
from controller.liveness import Liveness
from overlay.values import DatapathId

A, B = DatapathId(1), DatapathId(2)
Told = tuple[frozenset[str], frozenset[str]]


class Session:
    """The owner's end of a switch's OVSDB session."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def watch(self, on: frozenset[str], off: frozenset[str]) -> None:
        """Keep what was said."""
        self.told.append((on, off))


def port(*, up: bool = True) -> SwitchPort:
    """The only port of a switch."""
    return SwitchPort(1, "eth1", "02:00:00:00:00:01", up)


def wired() -> Fabric:
    """Two switches and the cable between them."""
    fabric = Fabric(LaPlan())
    for datapath_id in (A, B):
        fabric.apply(SwitchConnected(datapath_id, (port(),)), 0.0)
    fabric.apply(LinkSeen(PortRef(A, 1), PortRef(B, 1)), 0.0)
    fabric.apply(LinkSeen(PortRef(B, 1), PortRef(A, 1)), 0.0)
    return fabric


ETH1, NONE = frozenset({"eth1"}), frozenset[str]()


def test_both_ends_are_told_when_the_second_one_joins() -> None:
    """BFD goes on when both switches can be configured, and stays at one when the other hangs up."""
    one, other = Session(), Session()
    liveness = Liveness(wired(), enabled=True, is_settled=lambda _: True)
    liveness.take(FabricReachable(A, one))
    liveness.refresh()
    assert one.told == [(NONE, NONE)]
    liveness.take(FabricReachable(B, other))
    liveness.refresh()
    liveness.refresh()
    assert (one.told[1:], other.told) == ([(ETH1, NONE)], [(ETH1, NONE)])
    liveness.take(FabricUnreachable(B, one))
    liveness.take(FabricUnreachable(B, other))
    liveness.refresh()
    assert one.told[-1] == (NONE, NONE), "neither on nor off: it stays as it is"


def test_what_the_operator_watches_is_not_watched_from_the_far_end() -> None:
    """A switch says where its operator has liveness of his own, and says so again when that changes."""
    one, other = Session(), Session()
    liveness = Liveness(wired(), enabled=True, is_settled=lambda _: True)
    liveness.take(FabricReachable(A, one))
    liveness.take(FabricReachable(B, other, ETH1))
    liveness.refresh()
    assert one.told == [(NONE, NONE)]
    liveness.take(FabricReachable(B, other))
    liveness.refresh()
    assert one.told[-1] == (ETH1, NONE)


def test_a_port_is_freed_when_its_groups_are_repaired() -> None:
    """BFD comes off a port that is not live only when its switch has confirmed all that was sent to it."""
    one, settled, fabric = Session(), False, wired()
    liveness = Liveness(fabric, enabled=True, is_settled=lambda _: settled)
    liveness.take(FabricReachable(A, one))
    fabric.apply(PortChanged(A, port(up=False), gone=False), 1.0)
    liveness.changed()
    liveness.refresh()
    liveness.refresh()
    assert one.told == [(NONE, NONE)]
    settled = True
    liveness.refresh()
    assert one.told[-1] == (NONE, ETH1)


def test_switched_off_it_comes_off_everywhere() -> None:
    """With ``bfd = false`` what an earlier controller has put on is taken off."""
    one, other = Session(), Session()
    liveness = Liveness(wired(), enabled=False, is_settled=lambda _: True)
    liveness.take(FabricReachable(A, one))
    liveness.take(FabricReachable(B, other))
    liveness.take(FabricReachable(DatapathId(9), Session()))
    liveness.refresh()
    assert (one.told, other.told) == ([(NONE, ETH1)], [(NONE, ETH1)])
