"""What does a session do for a caller that is a switch of the fabric?

It tells the owner that the switch can be configured (``FabricReachable``), takes from it on which interfaces BFD shall
run, and says what must be written for that.  Nothing else of the switch is touched: its bridge, its ports and whom it
calls are its operator's.
"""

from __future__ import annotations

from controller.events import FabricReachable, FabricUnreachable, Sink, WatchSession
from controller.ovsdb.join import FABRIC_KEY, FabricJoin, JoinError
from controller.ovsdb.replica import Replica
from controller.ovsdb.transaction import Repair
from controller.ovsdb.watch import Wish, operators_own, plan_watch
from overlay.refusals import Refusal
from overlay.values import DatapathId


class FabricRole:
    """A fabric switch, over one session.

    :param session: what the owner is given to hand its wishes to.
    """

    def __init__(
        self, join: FabricJoin, datapath_id: DatapathId, replica: Replica, session: WatchSession, sink: Sink
    ) -> None:
        self.name: DatapathId = datapath_id
        self._join = join
        self._replica = replica
        self._session = session
        self._sink = sink
        self._wish: Wish | None = None
        self._own = self._operators_own()
        sink(FabricReachable(datapath_id, session, self._own))

    def fits(self, join: object, name: object) -> bool:
        """Whether this is what a machine asks to be."""
        return isinstance(join, FabricJoin) and name == self.name

    @property
    def place(self) -> str:
        """The bridge that is written to."""
        return self._join.bridge

    def __str__(self) -> str:
        return f"fabric switch {self.name}"

    @staticmethod
    def problems() -> tuple[str, ...]:
        """Nothing: what it cannot be is told when it joins."""
        return ()

    def follow(self, join: FabricJoin) -> None:
        """Take over what the operator asks for now, and tell the owner what has changed about it."""
        self._join = join
        before, self._own = self._own, self._operators_own()
        if self._own != before:
            self._sink(FabricReachable(self.name, self._session, self._own))

    def wish(self, wish: Wish) -> bool:
        """Take what the owner wants; answers whether that is news."""
        news, self._wish = wish != self._wish, wish
        return news

    def plan(self) -> Repair | None:
        """What must be written."""
        bridge = self._replica.bridge_named(self._join.bridge)
        if self._wish is None or bridge is None:
            return None
        return plan_watch(self._replica, bridge[1], self.name, self._wish)

    def _operators_own(self) -> frozenset[str]:
        bridge = self._replica.bridge_named(self._join.bridge)
        return frozenset() if bridge is None else operators_own(self._replica, bridge[1])

    def leave(self) -> None:
        """Tell the owner that nobody speaks for the switch now."""
        self._sink(FabricUnreachable(self.name, self._session))


def datapath_of(join: FabricJoin, replica: Replica) -> DatapathId:
    """Find the datapath id of the bridge that a switch names.

    :raises JoinError: when there is no such bridge, or ovs-vswitchd has not made it yet.
    """
    bridge = replica.bridge_named(join.bridge)
    if bridge is None:
        raise JoinError(f"external_ids:{FABRIC_KEY}: there is no bridge {join.bridge}")
    said = bridge[1].datapath_id
    if not said:
        raise JoinError(f"external_ids:{FABRIC_KEY}: bridge {join.bridge} has no datapath id yet")
    try:
        return DatapathId.parse(said)
    except Refusal as refusal:
        raise JoinError(f"external_ids:{FABRIC_KEY}: bridge {join.bridge}: {refusal.message}") from refusal
