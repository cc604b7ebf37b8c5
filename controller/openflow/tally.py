"""How much did we make the switches change?

Counts of what was sent, per datapath and in all, since the process started: an update has to touch few switches with
few messages, and a restart of the controller none.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from controller.events import Mods
from overlay.values import DatapathId


@dataclass(slots=True)
class Sent:
    """Messages of change that were sent."""

    flow_mods: int = 0
    group_mods: int = 0
    meter_mods: int = 0
    bundles: int = 0

    def add(self, mods: Mods) -> None:
        """Count the messages of one send."""
        flows = len(mods.put) + len(mods.remove)
        groups = len(mods.put_groups) + len(mods.changed_groups) + len(mods.remove_groups)
        self.flow_mods += flows
        self.group_mods += groups
        self.meter_mods += len(mods.meters)
        self.bundles += bool(flows + groups)


@dataclass(slots=True)
class Tally:
    """What was sent to every switch since the process started; sessions come and go."""

    total: Sent = field(default_factory=Sent)
    per_datapath: defaultdict[DatapathId, Sent] = field(default_factory=lambda: defaultdict(Sent))

    def add(self, datapath_id: DatapathId, mods: Mods) -> None:
        """Count the messages of one send."""
        self.total.add(mods)
        self.per_datapath[datapath_id].add(mods)
