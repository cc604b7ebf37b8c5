"""Which fabric switches can be told where BFD shall run, and when are they told?

The acting half of ``controller.fabric.liveness``.  Taking BFD off a port makes Open vSwitch use the port again, so it
is done only once the switch has confirmed all that was sent to it: no group leads to the dead neighbour then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from controller.events import FabricEvent, FabricReachable, FabricUnreachable, WatchSession
from controller.fabric.graph import Fabric
from controller.fabric.liveness import bfd_unwanted, bfd_wanted
from overlay.values import DatapathId

_NONE: Final[frozenset[str]] = frozenset()


class Liveness:
    """What the fabric switches are told about BFD.

    :param enabled: whether BFD is to run at all; otherwise it is taken off wherever it runs for us.
    :param is_settled: whether a switch has confirmed all that was sent to it.
    """

    def __init__(self, fabric: Fabric, *, enabled: bool, is_settled: Callable[[DatapathId], bool]) -> None:
        self._fabric = fabric
        self._enabled = enabled
        self._is_settled = is_settled
        self._sessions: dict[DatapathId, WatchSession] = {}
        self._own: dict[DatapathId, frozenset[str]] = {}
        """Where the operator has liveness of his own."""
        self._changed = False
        self._waiting: set[DatapathId] = set()

    def take(self, event: FabricEvent) -> None:
        """Follow the OVSDB sessions of fabric switches."""
        match event:
            case FabricReachable(datapath_id, session, own):
                self._sessions[datapath_id], self._own[datapath_id] = session, own
            case FabricUnreachable(datapath_id, session) if self._sessions.get(datapath_id) is session:
                del self._sessions[datapath_id]
        self._changed = True

    def changed(self) -> None:
        """Take note that the fabric is not what it was."""
        self._changed = True

    def refresh(self) -> None:
        """Tell every switch what is new; to be called now and then, after what the groups need has been sent."""
        if not self._changed and not any(map(self._is_settled, self._waiting)):
            return
        self._changed = False
        self._waiting.clear()
        wanted = bfd_wanted(self._fabric, self._sessions.keys(), self._own) if self._enabled else {}
        for datapath_id, session in self._sessions.items():
            off = self._off(datapath_id)
            if off and not self._is_settled(datapath_id):
                self._waiting.add(datapath_id)
                off = _NONE
            session.watch(wanted.get(datapath_id, _NONE), off)

    def _off(self, datapath_id: DatapathId) -> frozenset[str]:
        if self._enabled or datapath_id not in self._fabric.switches:
            return bfd_unwanted(self._fabric, datapath_id)
        return frozenset(port.name for port in self._fabric.ports(datapath_id))
