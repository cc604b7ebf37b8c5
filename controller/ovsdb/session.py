"""What happens from a hypervisor's call until it hangs up?

A session watches the host's rows.  As soon as they name the host it claims that name, tells the owner what is there
(``HostReachable``, ``HostSeen``, ``HostSnapshot``) and then each change, and keeps br-int as the controller needs it.
Rows that don't name a host are watched until they do.  What is told always comes before what is repaired: writing can
wait, the events are on the path of a booting or moving VM.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

import eventlet

from controller.events import HostReachable, HostUnreachable, Sink
from controller.ovsdb.attachments import Attachments
from controller.ovsdb.claims import Claims
from controller.ovsdb.complaints import Complaints
from controller.ovsdb.framing import JsonObject, ProtocolError
from controller.ovsdb.join import Join, JoinError, read_join
from controller.ovsdb.peer import Notification, Peer, Reply, Tick
from controller.ovsdb.repair import BRIDGE, DATABASE, TUNNEL, ObstructedError, plan_repair
from controller.ovsdb.replica import Replica, RowId, monitor_requests
from overlay.changes import HostSeen, HostSnapshot, Plugged, Unplugged
from overlay.values import Host, HostName

_LOG: Final = logging.getLogger(__name__)
_MONITOR: Final = "vl2"
_ROWS_AT_A_TIME: Final = 500
"""Rows taken over before other green threads get a turn; some 3 ms."""
_REPAIRS: Final = 20
_REPAIRS_WITHIN: Final = 10.0
"""More repairs than this in so many seconds means that somebody else wants br-int otherwise; we slow down then."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all sessions share.

    :param openflow_port: where br-ints shall call.
    """

    openflow_port: int
    sink: Sink
    claims: Claims
    complaints: Complaints


class HostSession:
    """The conversation over one accepted connection.

    :param caller: the peer's address, for the log.
    :param local_address: the address of ours that the host called, which its br-int is told to call too.
    """

    def __init__(self, peer: Peer, caller: str, local_address: str, around: Surroundings) -> None:
        self.caller = caller
        self.host: Host | None = None
        self._peer = peer
        self._around = around
        literal = f"[{local_address}]" if ":" in local_address else local_address
        self._target = f"tcp:{literal}:{around.openflow_port}"
        self._replica = Replica()
        self._attachments = Attachments(self._replica)
        self._touched: set[RowId] = set()
        self._monitoring: int | None = None
        self._complete = False
        self._repairing: int | None = None
        self._changed = False
        self._repairs: deque[float] = deque(maxlen=_REPAIRS)
        self._join_problem = ""
        self._repair_problem = ""

    def problems(self) -> tuple[str, ...]:
        """Sentences for the host's operator about what is not as it should be."""
        return tuple(filter(None, (self._join_problem, self._repair_problem, *self._attachments.problems())))

    def run(self) -> None:
        """Converse until the peer hangs up.

        :raises ProtocolError: when the peer does not speak OVSDB.
        :raises OSError: when the connection breaks or the peer falls silent.
        """
        try:
            self._monitoring = self._peer.request("monitor_cond", DATABASE, _MONITOR, monitor_requests())
            for message in self._peer.messages():
                match message:
                    case Reply() if message.id == self._monitoring:
                        self._take_picture(message)
                    case Reply() if message.id == self._repairing:
                        self._finish_repair(message)
                    case Notification("update2", [str(), updates]) if self._complete:
                        self._changed = True
                        self._take_over(updates)
                        self._catch_up()
                    case Tick() if self._complete:
                        self._catch_up()
                    case _:
                        _LOG.debug("%s: ignored %s", self.caller, message)
        finally:
            self._peer.close()
            self._leave()

    def supersede(self) -> None:
        """Hang up without a word: a newer session of the same machine has taken over its name."""
        self.host = None
        self._peer.hang_up()

    def hang_up(self) -> None:
        """End the conversation; ``run`` then returns."""
        self._peer.hang_up()

    def _take_picture(self, reply: Reply) -> None:
        if reply.error is not None:
            raise ProtocolError(f"monitor_cond was refused: {reply.error}")
        self._take_over(reply.result)
        self._complete = True
        self._catch_up()

    def _take_over(self, updates: object) -> None:
        for table, rows in _slices(updates):
            self._touched |= self._replica.apply(table, rows)
            if len(rows) == _ROWS_AT_A_TIME:
                eventlet.sleep(0)

    def _catch_up(self) -> None:
        """Bring the owner's knowledge, and br-int, up to the rows."""
        join = self._admitted()
        if self.host is not None and join is not None and self.host.name != join.name:
            self._move_out(self.host.name)
        changes = self._attachments.refresh(self._touched)
        self._touched = set()
        if join is None:
            self._leave()
            return
        host = Host(join.name, join.la, join.datapath_id, self._tunnel_port(), answers_nd=join.netdev)
        sink = self._around.sink
        if self.host is None:
            _LOG.info("host %s (%s) is here, its LA is %s", host.name, self.caller, host.la)
            sink(HostReachable(host.name))
            sink(HostSeen(host))
            sink(HostSnapshot(host.name, self._attachments.plugged()))
        else:
            if host != self.host:
                sink(HostSeen(host))
            for port_id, ofport in changes:
                sink(Unplugged(host.name, port_id) if ofport is None else Plugged(host.name, port_id, ofport))
        self.host = host
        for problem in self._attachments.problems():
            self._around.complaints.warn(f"host {host.name}", problem)
        self._repair(join)

    def _admitted(self) -> Join | None:
        """What the host asks for, if that is sound and its name is free."""
        try:
            join = self._claimed()
        except JoinError as error:
            self._join_problem = str(error)
            self._around.complaints.warn(f"caller {self.caller}", str(error))
            return None
        self._join_problem = ""
        return join

    def _claimed(self) -> Join:
        row_id, root = next(iter(self._replica.root.items()), ("", None))
        if root is None:
            raise JoinError("the database has no Open_vSwitch row")
        join = read_join(root.external_ids)
        # The row's id tells machines apart where no system-id was set; the system-id where a disk was cloned.
        machine = f"{root.external_ids.get('system-id', '')}/{row_id}"
        if not self._around.claims.take(join.name, machine, self):
            raise JoinError(f"another machine is here as host {join.name}, so this one is ignored")
        return join

    def _tunnel_port(self) -> int | None:
        found = self._replica.port_named(TUNNEL)
        bridge = self._replica.bridge_named(BRIDGE)
        if found is None or bridge is None or self._replica.bridge_of_port(found[0]) != bridge[0]:
            return None
        for interface in found[1].interfaces:
            row = self._replica.interfaces.get(interface)
            if row is not None and row.ofport is not None and row.ofport > 0:
                return row.ofport
        return None

    def _move_out(self, name: HostName) -> None:
        """The machine took another name: nothing is plugged at the old one any more."""
        for port_id, _ in self._attachments.plugged():
            self._around.sink(Unplugged(name, port_id))
        self._leave()

    def _leave(self) -> None:
        host, self.host = self.host, None
        if host is not None and self._around.claims.release(host.name, self):
            _LOG.info("host %s (%s) is gone", host.name, self.caller)
            self._around.sink(HostUnreachable(host.name))

    def _repair(self, join: Join) -> None:
        if self._repairing is not None:
            return
        try:
            repair = plan_repair(self._replica, join, self._target)
        except ObstructedError as error:
            self._repair_problem = str(error)
            self._around.complaints.warn(f"host {join.name}", str(error))
            return
        if repair is None:
            self._repair_problem = ""
            return
        now = time.monotonic()
        if len(self._repairs) == _REPAIRS and now - self._repairs[0] < _REPAIRS_WITHIN:
            self._repair_problem = f"somebody keeps changing {BRIDGE}: {', '.join(repair.reasons)}"
            self._around.complaints.warn(f"host {join.name}", self._repair_problem)
            return  # a tick will try again
        self._repairs.append(now)
        _LOG.info("host %s: writing %s", join.name, ", ".join(repair.reasons))
        self._changed = False
        self._repairing = self._peer.request("transact", *repair.params())

    def _finish_repair(self, reply: Reply) -> None:
        """A repair was answered; its changes have been reported before (RFC 7047 §4.1.6)."""
        self._repairing = None
        results = reply.result if isinstance(reply.result, list) else [{"error": reply.error}]
        errors = [result for result in results if isinstance(result, dict) and result.get("error")]
        if errors:
            self._repair_problem = f"the database refused a repair: {errors[0]}"
            self._around.complaints.warn(f"caller {self.caller}", self._repair_problem)
            if not self._changed:
                return  # the next change, or a tick, will try again
        self._catch_up()


def _slices(updates: object) -> Iterator[tuple[str, JsonObject]]:
    """Pieces of <table-updates2> that are small enough to take over at one go."""
    if not isinstance(updates, dict):
        raise ProtocolError("expected <table-updates2>")
    for table, rows in updates.items():
        if not isinstance(rows, dict):
            raise ProtocolError("expected a <table-update2>")
        pairs = iter(rows.items())
        while piece := dict(islice(pairs, _ROWS_AT_A_TIME)):
            yield table, piece
