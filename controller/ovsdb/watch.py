"""What must be written so that BFD runs on the links that the controller wants watched, and how does it start?

A pure comparison, like ``repair``.  Each interface that we watch carries our mark, ``external_ids:vl2-bfd``, which says
how far it has come; one with BFD or CFM of the operator's own has none and is left alone.

Starting needs care.  Open vSwitch takes a port out of use (no OFPPS_LIVE, group buckets skipped) from the moment that
BFD is enabled until both ends have shaken hands, and while a session is not up a message goes out only each 0.75–1 s
(RFC 5880 §6.8.3), so that a working link would be lost for 0.9–1.8 s.  Rewriting intervals to provoke a poll helps now
and then only; ``forwarding_if_rx`` loses what comes before the first packet and finds a dead neighbour after 2 s at the
earliest.  But where a port has both CFM (IEEE 802.1ag) and BFD, one of them that is content is enough for it to stay
in use (ofproto-dpif.c, ``port_run``), and a CFM that has just begun is content for 3.5 of its intervals.  So BFD
comes on together with a CFM, and the latter goes as soon as the session is up:

=========  =============================  ===================================================================
mark       written                        the port is in use
=========  =============================  ===================================================================
(none)     nothing                        while its link is up
guarded    BFD and CFM, in one go         while its link is up
armed      BFD                            while the session is up
=========  =============================  ===================================================================

The guard ends by itself, too, and whether we are there or not: a neighbour that dies before the session is up says
nothing by CFM either.  Then the port is out of use after 3.5 of CFM's intervals where nothing was heard of it, and
after twice as long at the latest.

A session that is down is not waited for: BFD is taken off such a port (once no group of its switch uses it), and starts
anew when announcements have shown that the cable carries packets both ways.  That is faster than a handshake: a switch
whose daemon went on after a halt, or was started again, was in use after 0.03–0.25 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller.ovsdb.replica import BridgeRow, InterfaceRow, Replica, RowId
from controller.ovsdb.transaction import Pen, Repair, map_of, set_of
from overlay.values import DatapathId

MARK: Final = "vl2-bfd"
GUARDED: Final = "guarded"
ARMED: Final = "armed"

_CFM_INTERVAL_MS: Final = 1_500
"""3.5 of it (5.25 s) are more than twice what two ends take to shake hands, which no longer guard would hurry."""
_MPID_MASK: Final = (1 << 63) - 1
_CFM_KEYS: Final = ("cfm_extended", "cfm_interval")
_BFD_KEYS: Final = ("enable", "min_tx", "min_rx")


@dataclass(frozen=True, slots=True)
class Wish:
    """Where BFD shall run (interfaces by name), and where it shall not; what is in neither stays as it is."""

    on: frozenset[str]
    off: frozenset[str]
    interval_ms: int


def plan_watch(replica: Replica, bridge: BridgeRow, datapath_id: DatapathId, wish: Wish) -> Repair | None:
    """Compare; None when nothing needs to be written."""
    pen = _Watchman(datapath_id, wish.interval_ms)
    for row_id, row in sorted(replica.interfaces_of(bridge), key=lambda found: found[1].name):
        stage = row.external_ids.get(MARK)
        if stage is not None and row.name in wish.off:
            pen.stop(row_id, row)
        elif stage is not None and row.bfd.get("enable") == "true":
            pen.keep(row_id, row, stage)
        elif row.name in wish.on and (stage is not None or not _is_watched(row)):
            pen.start(row_id, row)
    return pen.repair()


def operators_own(replica: Replica, bridge: BridgeRow) -> frozenset[str]:
    """Name the interfaces that have liveness of the operator's own, which we leave alone."""
    rows = (row for _, row in replica.interfaces_of(bridge))
    return frozenset(row.name for row in rows if MARK not in row.external_ids and _is_watched(row))


def _is_watched(row: InterfaceRow) -> bool:
    """Whether the operator has liveness of his own on an interface without our mark."""
    return bool(row.bfd) or row.cfm_mpid is not None or any(key in row.other_config for key in _CFM_KEYS)


class _Watchman(Pen):
    """Writes the steps of one interface."""

    def __init__(self, datapath_id: DatapathId, interval_ms: int) -> None:
        super().__init__()
        # The two ends of a cable must not have the same number, or CFM takes them for a loop.
        self._mpid = datapath_id & _MPID_MASK
        self._bfd = {"enable": "true", "min_tx": str(interval_ms), "min_rx": str(interval_ms)}
        self._cfm = {"cfm_extended": "true", "cfm_interval": str(_CFM_INTERVAL_MS)}

    def start(self, row_id: RowId, row: InterfaceRow) -> None:
        """Put BFD on, guarded."""
        self.mutate("Interface", row_id, "bfd", delete=set_of(_BFD_KEYS), insert=map_of(self._bfd))
        # What an earlier session was like must not be taken for this one.
        self.update("Interface", row_id, "", bfd_status=map_of({}))
        self._mark(row_id, GUARDED)
        self._guard(row_id, row, f"BFD on {row.name}")

    def keep(self, row_id: RowId, row: InterfaceRow, stage: str) -> None:
        """Mend what is ours, and arm it when its session is up."""
        self.mend_map("Interface", row_id, "bfd", row.bfd, self._bfd, f"BFD's intervals on {row.name}")
        if stage == ARMED:
            return
        if row.bfd_status.get("state") == "up":
            self._mark(row_id, ARMED)
            self._drop_guard(row_id, f"BFD armed on {row.name}")
        elif row.cfm_mpid != self._mpid:
            self._guard(row_id, row, f"BFD guarded on {row.name}")

    def stop(self, row_id: RowId, row: InterfaceRow) -> None:
        """Take off what is ours."""
        self.mutate("Interface", row_id, "bfd", delete=set_of(_BFD_KEYS), reason=f"no BFD on {row.name}")
        self.mutate("Interface", row_id, "external_ids", delete=set_of([MARK]))
        self._drop_guard(row_id, "")

    def _mark(self, row_id: RowId, stage: str) -> None:
        self.mutate("Interface", row_id, "external_ids", delete=set_of([MARK]), insert=map_of({MARK: stage}))

    def _guard(self, row_id: RowId, row: InterfaceRow, reason: str) -> None:
        self.update("Interface", row_id, reason, cfm_mpid=self._mpid)
        self.mend_map("Interface", row_id, "other_config", row.other_config, self._cfm)

    def _drop_guard(self, row_id: RowId, reason: str) -> None:
        self.update("Interface", row_id, reason, cfm_mpid=set_of([]))
        self.mutate("Interface", row_id, "other_config", delete=set_of(_CFM_KEYS))
