"""What would an order of the operator change, before it does?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from controller.fabric.graph import Fabric
from controller.fabric.program import SwitchProgram, program
from controller.fabric.routes import NextHops
from controller.fabric.targets import Desired, Target, desired
from overlay.values import DatapathId


@dataclass(frozen=True, slots=True)
class RouteChange:
    """The next hops of one target, before and after; None where there is no route."""

    target: Target
    before: NextHops | None
    after: NextHops | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What would change on one switch.

    :param groups: ids of the groups that would be put, changed or removed.
    :param flows: how many flows would be put, changed or removed.
    """

    datapath_id: DatapathId
    routes: tuple[RouteChange, ...]
    groups: tuple[int, ...]
    flows: int


def previews(
    programs: Mapping[DatapathId, SwitchProgram], held: Mapping[DatapathId, Desired], fabric: Fabric
) -> tuple[Preview, ...]:
    """Compare what switches hold with what they would have to hold in a fabric.

    :param programs: what each switch holds now.
    :param held: the routes among it.
    :returns: the switches of which anything would change.
    """
    found = []
    for switch in sorted(programs.keys() & fabric.switches.keys()):
        now = programs[switch]
        then = program(fabric, switch, now.assignment, herd=now.herd)
        routes = desired(fabric, switch)
        groups = {group.group_id: group for group in now.groups}, {group.group_id: group for group in then.groups}
        preview = Preview(
            switch,
            tuple(
                RouteChange(target, held[switch].get(target), routes.get(target))
                for target in sorted(held[switch].keys() | routes.keys())
                if held[switch].get(target) != routes.get(target)
            ),
            tuple(
                number
                for number in sorted(groups[0].keys() | groups[1].keys())
                if groups[0].get(number) != groups[1].get(number)
            ),
            len({flow.key for flow in set(now.flows) ^ set(then.flows)}),
        )
        if preview.routes or preview.groups or preview.flows:
            found.append(preview)
    return tuple(found)
