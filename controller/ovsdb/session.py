"""What happens from a machine's call until it hangs up?

A session watches the machine's rows.  As soon as they say who it is the session claims that name and takes the role
that was asked for, a hypervisor's or a fabric switch's; the role tells the owner what is there and what changes, and
says what must be written.  Rows that don't say who it is are watched until they do.  What is told always comes before
what is repaired: writing can wait, the events are on the path of a booting or moving VM.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

import eventlet

from controller.events import Sink
from controller.identities import may_be, spelled
from controller.ovsdb.claims import Claims, Name
from controller.ovsdb.complaints import Complaints
from controller.ovsdb.fabricswitch import FabricRole, datapath_of
from controller.ovsdb.framing import JsonObject, ProtocolError
from controller.ovsdb.hypervisor import HypervisorRole
from controller.ovsdb.join import FabricJoin, Join, JoinError, read_request
from controller.ovsdb.peer import Notification, Peer, Reply, Tick
from controller.ovsdb.repair import ObstructedError
from controller.ovsdb.replica import Replica, RowId, monitor_requests
from controller.ovsdb.transaction import DATABASE, Repair
from controller.ovsdb.watch import Wish
from overlay.values import DatapathId

_LOG: Final = logging.getLogger(__name__)
_MONITOR: Final = "vl2"
_ROWS_AT_A_TIME: Final = 500
"""Rows taken over before other green threads get a turn; some 3 ms."""
_REPAIRS: Final = 15
_REPAIRS_WITHIN: Final = 10.0
"""More times than this the same repair in so many seconds means that somebody else wants it otherwise; we slow down."""
_REMEMBERED: Final = 500

Role: TypeAlias = HypervisorRole | FabricRole


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all sessions share.

    :param openflow_port: where br-ints shall call, None if nobody listens without TLS;
    :param openflow_tls_port: and where by TLS, None if nobody does.
    :param bfd_interval_ms: how often the ends of a watched link shall hear of each other.
    """

    openflow_port: int | None
    openflow_tls_port: int | None
    bfd_interval_ms: int
    sink: Sink
    claims: Claims
    complaints: Complaints

    def target(self, address: str, *, tls: bool) -> str:
        """Whom a br-int has to call; by TLS where its host did, or where there is nothing else."""
        literal = f"[{address}]" if ":" in address else address
        if self.openflow_port is None or (tls and self.openflow_tls_port is not None):
            return f"ssl:{literal}:{self.openflow_tls_port}"
        return f"tcp:{literal}:{self.openflow_port}"


class OvsdbSession:
    """The conversation over one accepted connection.

    :param caller: the peer's address, for the log.
    :param local_address: the address of ours that the host called, which its br-int is told to call too.
    """

    def __init__(self, peer: Peer, caller: str, local_address: str, around: Surroundings) -> None:
        self.caller = caller
        self.role: Role | None = None
        self.has_joined = False
        """Whether it ever had a role."""
        self._peer = peer
        self._around = around
        self._local_address = local_address
        self._replica = Replica()
        self._touched: set[RowId] = set()
        self._monitoring: int | None = None
        self._complete = False
        self._repairing: int | None = None
        self._changed = False
        self._repairs: deque[tuple[float, tuple[str, ...]]] = deque(maxlen=_REMEMBERED)
        self._join_problem = ""
        self._repair_problem = ""
        self._was: DatapathId | None = None

    @property
    def fabric_switch(self) -> DatapathId | None:
        """The fabric switch that the machine is, or was until something went wrong with it."""
        return self.role.name if isinstance(self.role, FabricRole) else self._was

    def problems(self) -> tuple[str, ...]:
        """Sentences for the machine's operator about what is not as it should be."""
        known = () if self.role is None else self.role.problems()
        return tuple(filter(None, (self._join_problem, self._repair_problem, *known)))

    def run(self) -> None:
        """Converse until the peer hangs up.

        :raises ProtocolError: when the peer does not speak OVSDB.
        :raises OSError: when the connection breaks or the peer falls silent.
        """
        try:
            self._peer.shake()
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
        self.role = self._was = None
        self._peer.hang_up()

    def hang_up(self) -> None:
        """End the conversation; ``run`` then returns."""
        self._peer.hang_up()

    def watch(self, on: frozenset[str], off: frozenset[str]) -> None:
        """Have BFD run on these interfaces of a fabric switch and not on those (see ``WatchSession``)."""
        wish = Wish(on, off, self._around.bfd_interval_ms)
        if isinstance(self.role, FabricRole) and self.role.wish(wish):
            eventlet.spawn(self._wished)

    def _wished(self) -> None:
        try:
            if self.role is not None:
                self._repair(self.role)
        except OSError as error:
            _LOG.info("caller %s: hung up: %s", self.caller, error)
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
        """Bring the owner's knowledge, and the switch, up to the rows."""
        touched, self._touched = self._touched, set()
        admitted = self._admitted()
        if admitted is None:
            self._leave()
            return
        join, name = admitted
        if self.role is not None and self.role.name != name:
            if isinstance(self.role, HypervisorRole):
                self.role.move_out()
            self._leave()
        match self.role, join:
            case HypervisorRole() as role, Join():
                role.follow(join, touched)
            case FabricRole() as role, FabricJoin():
                role.follow(join)
            case _:
                role = self._enter(join, name)
        for problem in role.problems():
            self._around.complaints.warn(str(role), problem)
        self._repair(role)

    def _admitted(self) -> tuple[Join | FabricJoin, Name] | None:
        """What the machine asks for and the name that it has then, if that is sound and the name is free."""
        try:
            admitted = self._claimed()
        except JoinError as error:
            self._join_problem = str(error)
            self._around.complaints.warn(f"caller {self.caller}", str(error))
            return None
        self._join_problem = ""
        return admitted

    def _claimed(self) -> tuple[Join | FabricJoin, Name]:
        row_id, root = next(iter(self._replica.root.items()), ("", None))
        if root is None:
            raise JoinError("the database has no Open_vSwitch row")
        join = read_request(root.external_ids)
        name: Name = join.name if isinstance(join, Join) else datapath_of(join, self._replica)
        if not may_be(self._peer.names, name):
            kind = "host" if isinstance(join, Join) else "fabric switch"
            who = spelled(self._peer.names)
            raise JoinError(f"its certificate is for {who}, so it cannot be here as {kind} {name}")
        # The row's id tells machines apart where no system-id was set; the system-id where a disk was cloned.
        machine = f"{root.external_ids.get('system-id', '')}/{row_id}"
        if not self._around.claims.take(name, machine, self):
            kind = "host" if isinstance(join, Join) else "fabric switch"
            raise JoinError(f"another machine is here as {kind} {name}, so this one is ignored")
        return join, name

    def _enter(self, join: Join | FabricJoin, name: Name) -> Role:
        """Take the role that the machine asked for."""
        sink = self._around.sink
        self._was = None
        self.has_joined = True
        if isinstance(join, FabricJoin):
            _LOG.info("fabric switch %s (%s) is here", name, self.caller)
            self.role = FabricRole(join, DatapathId(name), self._replica, self, sink)
        else:
            _LOG.info("host %s (%s) is here, its LA is %s", name, self.caller, join.la)
            target = self._around.target(self._local_address, tls=self._peer.names is not None)
            self.role = HypervisorRole(join, self._replica, target, sink)
        return self.role

    def _leave(self) -> None:
        role, self.role = self.role, None
        if isinstance(role, FabricRole):
            self._was = role.name
        if role is not None and self._around.claims.release(role.name, self):
            _LOG.info("%s (%s) is gone", role, self.caller)
            role.leave()

    def _repair(self, role: Role) -> None:
        if self._repairing is not None:
            return
        try:
            repair = role.plan()
        except ObstructedError as error:
            self._repair_problem = str(error)
            self._around.complaints.warn(str(role), str(error))
            return
        if repair is None:
            self._repair_problem = ""
            return
        if self._is_fight(repair):
            self._repair_problem = f"somebody keeps changing {role.place}: {', '.join(repair.reasons)}"
            self._around.complaints.warn(str(role), self._repair_problem)
            return  # a tick will try again
        _LOG.info("%s: writing %s", role, ", ".join(repair.reasons))
        self._changed = False
        self._repairing = self._peer.next_id
        self._peer.request("transact", *repair.params())

    def _is_fight(self, repair: Repair) -> bool:
        """Whether the same has been written too often; if not, this time is remembered."""
        now = time.monotonic()
        same = sum(reasons == repair.reasons and now - at < _REPAIRS_WITHIN for at, reasons in self._repairs)
        if same < _REPAIRS:
            self._repairs.append((now, repair.reasons))
        return same >= _REPAIRS

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
