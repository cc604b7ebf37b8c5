"""In which order do switches get new routes, so that no packet loops or meets a switch that is not ready?

The law: a switch sends by a new next hop only when the switch behind it has confirmed its own new route.  Then whoever
follows a new route follows new routes to the end, whoever follows an old one was led by routes without loops until
there, and so no mixture of both has a loop.  This is the ordered update of RFC 6976, for several next hops and any
change.  Taking next hops away and leaving some needs no order, and is what a failure needs at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from controller.fabric.routes import NextHops
from controller.fabric.targets import Desired, Rank, Target, TargetKind
from overlay.values import DatapathId

LINGER: Final = 1.0
"""Seconds after which no packet carries a tag that nobody writes any more."""

Far: TypeAlias = Callable[[DatapathId, int], DatapathId | None]
"""Names the switch behind a port, None where there is none."""

_Table: TypeAlias = dict[Target, NextHops]


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of an update.

    :param routes: what each of these switches is to hold from then on.
    :param after: the switches that must have confirmed everything first.
    :param linger: seconds to wait before it, for packets that are under way.
    """

    routes: Mapping[DatapathId, Desired]
    after: frozenset[DatapathId] = frozenset()
    linger: float = 0.0


def stages(
    held: Mapping[DatapathId, Desired], wanted: Mapping[DatapathId, Desired], *, rank: Rank, far: Far
) -> tuple[Stage, ...]:
    """Plan the update of some switches.

    :param held: what each of them was sent last.
    :param wanted: what each of them is to hold in the end.
    :returns: the steps in order; none where nothing changes.
    """
    return next(plan for plan in planning(held, wanted, rank=rank, far=far) if plan is not None)


def planning(
    held: Mapping[DatapathId, Desired], wanted: Mapping[DatapathId, Desired], *, rank: Rank, far: Far
) -> Iterator[tuple[Stage, ...] | None]:
    """Plan like :func:`stages`, but let others go between: None comes often, and the plan last."""
    narrowed: dict[DatapathId, _Table] = {}
    added: dict[Target, dict[DatapathId, NextHops]] = {}
    dropped: dict[DatapathId, list[Target]] = {}
    for switch, routes in wanted.items():
        before = held[switch]
        for target in before.keys() | routes.keys():
            old, new = before.get(target), routes.get(target)
            if new is None:
                dropped.setdefault(switch, []).append(target)
            elif old is not None and _narrows(old, new):
                narrowed.setdefault(switch, {})[target] = new
            elif old != new:
                added.setdefault(target, {})[switch] = new
        yield None

    steps: list[dict[DatapathId, _Table]] = []
    entries: dict[DatapathId, _Table] = {}
    for target, changes in added.items():
        if target.kind is TargetKind.ENTRY:
            _enter(entries, target, changes)
        else:
            _rank(steps, target, changes, rank)
        yield None

    plan = _Plan(held)
    plan.then(narrowed, frozenset())
    waits: set[DatapathId] = set()
    for step in (step for step in (*steps, entries) if step):
        behind: set[DatapathId | None] = set()
        for switch, table in step.items():
            behind.update(far(switch, port) for port in {hop.port for hops in set(table.values()) for hop in hops})
            yield None
        plan.then(step, frozenset(waits | {switch for switch in behind if switch is not None}))
        waits |= step.keys()
        yield None
    routes_gone = _without_kind(dropped, TargetKind.TAG)
    plan.drop(routes_gone, frozenset(waits))
    tags_gone = _without_kind(dropped, TargetKind.PREFIX, TargetKind.ENTRY)
    plan.drop(tags_gone, frozenset(waits | routes_gone.keys()), linger=LINGER)
    yield tuple(plan.stages)


def _narrows(old: NextHops, new: NextHops) -> bool:
    """Whether a change only takes next hops away or shares differently among the same, and leaves some."""
    return old != new and bool(new) and {(hop.port, hop.tag) for hop in new} <= {(hop.port, hop.tag) for hop in old}


def _rank(
    steps: list[dict[DatapathId, _Table]], target: Target, changes: Mapping[DatapathId, NextHops], rank: Rank
) -> None:
    """Sort the new next hops towards one target into steps: nearest to the end first."""
    ranks = {switch: rank(switch, target) for switch in changes}
    order = {each: number for number, each in enumerate(sorted(set(ranks.values())))}
    steps += ({} for _ in range(len(order) - len(steps)))
    for switch, hops in changes.items():
        steps[order[ranks[switch]]].setdefault(switch, {})[target] = hops


def _enter(entries: dict[DatapathId, _Table], target: Target, changes: Mapping[DatapathId, NextHops]) -> None:
    """Add how packets enter, which comes after what they meet then."""
    for switch, hops in changes.items():
        entries.setdefault(switch, {})[target] = hops


def _without_kind(
    dropped: Mapping[DatapathId, Collection[Target]], *kinds: TargetKind
) -> dict[DatapathId, list[Target]]:
    kept = {switch: [target for target in targets if target.kind not in kinds] for switch, targets in dropped.items()}
    return {switch: targets for switch, targets in kept.items() if targets}


class _Plan:
    """Steps, and what the switches hold after the last of them."""

    def __init__(self, held: Mapping[DatapathId, Desired]) -> None:
        self._held: dict[DatapathId, Desired] = dict(held)
        self.stages: list[Stage] = []

    def then(self, changes: Mapping[DatapathId, _Table], after: frozenset[DatapathId]) -> None:
        """Add a step that puts routes."""
        self._add({switch: {**self._held[switch], **routes} for switch, routes in changes.items()}, after, 0.0)

    def drop(
        self, gone: Mapping[DatapathId, Collection[Target]], after: frozenset[DatapathId], *, linger: float = 0.0
    ) -> None:
        """Add a step that takes routes away."""
        left = {
            switch: {target: hops for target, hops in self._held[switch].items() if target not in targets}
            for switch, targets in gone.items()
        }
        self._add(left, after, linger)

    def _add(self, routes: Mapping[DatapathId, Desired], after: frozenset[DatapathId], linger: float) -> None:
        if routes:
            self._held.update(routes)
            self.stages.append(Stage(routes, after, linger))
