"""What happens from a machine's call until it hangs up?

A session watches the machine's rows.  As soon as they say who it is the session claims that name and takes the role
that was asked for, a hypervisor's or a fabric switch's (an edge switch that is the tunnel endpoint of what is wired to
it takes both, under two names); the role tells the owner what is there and what changes, and says what must be written.
Rows that don't say who it is are watched until they do.  What is told always comes before what is repaired: writing can
wait, the events are on the path of a booting or moving VM.
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
from controller.ovsdb.join import FabricJoin, Join, JoinError, read_requests
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
        self.hypervisor: HypervisorRole | None = None
        self.fabric: FabricRole | None = None
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
        self._writes = ""
        self._changed = False
        self._repairs: deque[tuple[float, tuple[str, ...]]] = deque(maxlen=_REMEMBERED)
        self._join_problems: tuple[str, ...] = ()
        self._repair_problems: dict[str, str] = {}
        self._was: DatapathId | None = None

    @property
    def fabric_switch(self) -> DatapathId | None:
        """The fabric switch that the machine is, or was until something went wrong with it."""
        return self._was if self.fabric is None else self.fabric.name

    def problems(self) -> tuple[str, ...]:
        """Sentences for the machine's operator about what is not as it should be."""
        known = (problem for role in self._roles() for problem in role.problems())
        return (*self._join_problems, *self._repair_problems.values(), *known)

    def _roles(self) -> tuple[Role, ...]:
        return tuple(role for role in (self.fabric, self.hypervisor) if role is not None)

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
            for role in self._roles():
                self._leave(role)

    def supersede(self, name: Name) -> None:
        """Hang up without a word about this name: a newer session of the same machine has taken it over."""
        if self.hypervisor is not None and self.hypervisor.name == name:
            self.hypervisor = None
        else:
            self.fabric = self._was = None
        self._peer.hang_up()

    def hang_up(self) -> None:
        """End the conversation; ``run`` then returns."""
        self._peer.hang_up()

    def watch(self, on: frozenset[str], off: frozenset[str]) -> None:
        """Have BFD run on these interfaces of a fabric switch and not on those (see ``WatchSession``)."""
        wish = Wish(on, off, self._around.bfd_interval_ms)
        if self.fabric is not None and self.fabric.wish(wish):
            eventlet.spawn(self._wished)

    def _wished(self) -> None:
        try:
            self._repair()
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
        for role in self._roles():
            if not any(role.fits(join, name) for join, name in admitted):
                if isinstance(role, HypervisorRole) and not self._join_problems:
                    role.move_out()
                self._leave(role)
        for join, name in admitted:
            if isinstance(join, FabricJoin):
                self._be_fabric(join, DatapathId(name))
            else:
                self._be_hypervisor(join, touched)
        for role in self._roles():
            for problem in role.problems():
                self._around.complaints.warn(str(role), problem)
        self._repair()

    def _admitted(self) -> list[tuple[Join | FabricJoin, Name]]:
        """What the machine asks for and the names that it has then, of all that is sound and where the name is free."""
        admitted, problems = [], []
        try:
            requests, machine = self._requests()
        except JoinError as error:
            requests, machine, problems = (), "", [str(error)]
        for join in requests:
            try:
                admitted.append((join, self._claimed(join, machine)))
            except JoinError as error:
                problems.append(str(error))
        self._join_problems = tuple(problems)
        for problem in problems:
            self._around.complaints.warn(f"caller {self.caller}", problem)
        return admitted

    def _requests(self) -> tuple[tuple[Join | FabricJoin, ...], str]:
        """What the machine asks for, and by what it is told from others."""
        row_id, root = next(iter(self._replica.root.items()), ("", None))
        if root is None:
            raise JoinError("the database has no Open_vSwitch row")
        # The row's id tells machines apart where no system-id was set; the system-id where a disk was cloned.
        return read_requests(root.external_ids), f"{root.external_ids.get('system-id', '')}/{row_id}"

    def _claimed(self, join: Join | FabricJoin, machine: str) -> Name:
        name: Name = join.name if isinstance(join, Join) else datapath_of(join, self._replica)
        kind = "host" if isinstance(join, Join) else "fabric switch"
        if not may_be(self._peer.names, name):
            who = spelled(self._peer.names)
            raise JoinError(f"its certificate is for {who}, so it cannot be here as {kind} {name}")
        if not self._around.claims.take(name, machine, self):
            raise JoinError(f"another machine is here as {kind} {name}, so this one is ignored")
        return name

    def _be_fabric(self, join: FabricJoin, name: DatapathId) -> None:
        """Go on as a fabric switch, or begin to be one."""
        if self.fabric is not None:
            self.fabric.follow(join)
            return
        _LOG.info("fabric switch %s (%s) is here", name, self.caller)
        self._was, self.has_joined = None, True
        self.fabric = FabricRole(join, name, self._replica, self, self._around.sink)

    def _be_hypervisor(self, join: Join, touched: set[RowId]) -> None:
        """Go on as a hypervisor, or begin to be one."""
        if self.hypervisor is not None:
            self.hypervisor.follow(join, touched)
            return
        _LOG.info("host %s (%s) is here, its LA is %s", join.name, self.caller, join.la)
        self.has_joined = True
        if self.fabric is None:
            self._was = None
        target = self._around.target(self._local_address, tls=self._peer.names is not None)
        self.hypervisor = HypervisorRole(join, self._replica, target, self._around.sink)

    def _leave(self, role: Role) -> None:
        if isinstance(role, FabricRole):
            self.fabric, self._was = None, role.name
        else:
            self.hypervisor = None
        self._repair_problems.pop(role.place, None)
        if self._around.claims.release(role.name, self):
            _LOG.info("%s (%s) is gone", role, self.caller)
            role.leave()

    def _repair(self) -> None:
        """Write what is to be written, of one role at a time: when that is done, the other's turn comes."""
        for role in self._roles():
            if self._repairing is not None:
                return
            self._repair_one(role)

    def _repair_one(self, role: Role) -> None:
        try:
            repair = role.plan()
        except ObstructedError as error:
            self._repair_problems[role.place] = str(error)
            self._around.complaints.warn(str(role), str(error))
            return
        if repair is None:
            self._repair_problems.pop(role.place, None)
            return
        if self._is_fight(repair):
            problem = f"somebody keeps changing {role.place}: {', '.join(repair.reasons)}"
            self._repair_problems[role.place] = problem
            self._around.complaints.warn(str(role), problem)
            return  # a tick will try again
        _LOG.info("%s: writing %s", role, ", ".join(repair.reasons))
        self._changed = False
        self._writes = role.place
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
            problem = f"the database refused a repair: {errors[0]}"
            self._repair_problems[self._writes] = problem
            self._around.complaints.warn(f"caller {self.caller}", problem)
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
