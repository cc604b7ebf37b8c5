"""What must a switch be told, so that it holds what it should?

The one comparison for fabric switches and hypervisors, for a read-back after a reconnect and for the next step of a
program.  Flows without our mark, and groups without it, are somebody else's: they are neither compared nor removed.
Meters cannot be marked; they are set, and never removed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from controller.events import Installed, Mods
from controller.fabric.groups import is_ours
from overlay.flow import COOKIE_MARK, COOKIE_MARK_MASK, Flow, Group, Meter


@dataclass(frozen=True, slots=True)
class Contents:
    """What a switch holds, or what it should hold."""

    flows: Collection[Flow] = ()
    groups: Collection[Group] = ()
    meters: Collection[Meter] = ()

    @classmethod
    def of(cls, installed: Installed) -> Contents:
        """Take what was read back from a switch, without its counters."""
        return cls(tuple(flow for flow, _ in installed.flows), installed.groups, installed.meters)


def difference(held: Contents, wanted: Contents) -> Mods:
    """Compare key by key; equal flows, groups and meters cost nothing.

    A group that is put stands before the flows that need it, and one that is removed comes after the flows that left
    it, so that no flow ever refers to a group that is not there.  So it is among groups: those that others lead to are
    wanted first, and removed last.  Open vSwitch would take the other order without a word, and drop packets meanwhile.
    """
    flows = {flow.key: flow for flow in held.flows if flow.cookie & COOKIE_MARK_MASK == COOKIE_MARK}
    groups = {group.group_id: group for group in held.groups if is_ours(group.group_id)}
    meters = {meter.meter_id: meter for meter in held.meters}

    put_groups, changed_groups = [], []
    for group in wanted.groups:
        known = groups.pop(group.group_id, None)
        if known is None:
            put_groups.append(group)
        elif known is not group and known != group:
            changed_groups.append(group)
    put = []
    for flow in wanted.flows:
        was = flows.pop(flow.key, None)
        if was is not flow and was != flow:
            put.append(flow)
    return Mods(
        meters=tuple(meter for meter in wanted.meters if meters.get(meter.meter_id) != meter),
        put_groups=tuple(put_groups),
        changed_groups=tuple(changed_groups),
        put=tuple(put),
        remove=tuple(flows.values()),
        remove_groups=tuple(sorted(groups, key=lambda group_id: not groups[group_id].indirect)),
    )
