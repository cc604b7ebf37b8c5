"""Who owns the world, and in which order does everything happen to it?

One greenlet takes events and intents, applies them, stores what came of it, compiles what is dirty and sends the
difference; then whoever asked gets the answer.  What waited meanwhile is taken as one batch, so that a storm of
requests costs few commits and few bundles per switch instead of thousands: first the events, then intents, in turns
between the projects that they come from.  A batch is bounded, and the other greenlets have their turn after each; a
creation of thousands of objects is made over many batches.  A handler that raises is logged and counted, and every
switch is compared anew; it never ends the loop.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Final

import eventlet
import eventlet.event
import eventlet.queue

from controller import turns
from controller.bulk import SLICE, Bulk, Creation
from controller.bulletin import Bulletin
from controller.channel import Counted, ReadBack
from controller.counting import UNWATCHED, PortsCounted, Watch
from controller.discovery import Announcer
from controller.drops import Drops
from controller.events import (
    FabricEvent,
    FabricReachable,
    FabricUnreachable,
    HostEvent,
    HostReachable,
    HostUnreachable,
    MessageConfirmed,
    MessageRejected,
    PacketArrived,
    PortChanged,
    SwitchDown,
    SwitchEvent,
    SwitchUp,
)
from controller.fabric.changes import Order
from controller.fabric.graph import Fabric
from controller.fabric.intended import Statement, written
from controller.fairness import FairQueue
from controller.green import HOLD
from controller.guests import ANSWERERS
from controller.guests.advertiser import Advertiser
from controller.guests.listening import ASKED_EVERY_MINUTE, Query
from controller.guests.querier import Querier
from controller.guests.questions import Asker, Questions
from controller.herding import BinsCounted
from controller.hypervisors import Hypervisors, is_hypervisor
from controller.identity.roster import DeleteProject, Enrolment, Roster
from controller.journal import Journal
from controller.service import NotStored
from controller.store import Store, StoreError
from controller.underlay import Onward, Underlay
from overlay.changes import (
    Activate,
    Announced,
    DeleteShare,
    Event,
    HostSnapshot,
    Intent,
    NoticeKind,
    Outcome,
    ResetQuota,
    Tick,
)
from overlay.direct.changes import EdgeSnapshot
from overlay.moves import Phase
from overlay.policy.changes import DeleteSecurityGroup
from overlay.refusals import Conflict, NotFound, Refusal
from overlay.values import PortStatus
from overlay.world import World

_LOG: Final = logging.getLogger(__name__)
_BATCH: Final = 256
"""How many events are taken at once; a bigger batch would keep the others waiting."""
_ANSWERS: Final = 64
"""How many questions of machines are answered in one turn."""
_INTENTS: Final = 2 * SLICE
"""How many objects the intents of one batch are about."""
_THOROUGH_EVERY: Final = 6
"""Every so many audits read a switch's flows instead of counting them."""
_TICK_SECONDS: Final = 0.1
_SWITCHING_SECONDS: Final = 0.2
"""For how long at most a machine that is moved over goes before everybody else."""


def not_intended() -> NotFound:
    """What whoever asks for the intended topology hears where there is none."""
    return NotFound("No intended topology was given", field="intended", kind="IntendedTopologyNotFound")


class _Ask:
    """An intent whose sender waits for the answer."""

    __slots__ = ("apply", "done", "outcome", "refusal")

    def __init__(self, apply: Callable[[], Outcome]) -> None:
        self.apply = apply
        self.done = eventlet.event.Event()
        self.outcome: Outcome | None = None
        self.refusal: Exception | None = None

    def answer(self, error: Exception | None) -> None:
        """Let the sender go on.

        :param error: what became of the whole batch after this was applied.
        """
        if refusal := self.refusal or error:
            self.done.send_exception(refusal)
        else:
            self.done.send(self.outcome)


class _AskForMany:
    """A bulk creation whose sender waits for the answer; it takes many turns."""

    __slots__ = ("ask", "bulk", "parts")

    def __init__(self, bulk: Bulk) -> None:
        self.ask = _Ask(Outcome)
        self.bulk = bulk
        self.parts: Iterator[Outcome] | None = None
        """What is still to be sent; None until it is stored."""


_WAKE: Final = object()
"""An event that says that an intent waits."""


class Owner:
    """The one owner of overlay and fabric.

    :param lldp_interval: seconds between two announcements from each fabric port.
    :param bfd: whether the ends of fabric links give each other signs of life.
    :param lost_after: seconds without a session after which nobody waits for a host any more.
    :param audit_interval: seconds between two checks of what the switches hold.
    :param query: how machines are asked which multicast groups they listen to.
    :param watch: how the fabric's load is watched.
    :param intended: the topology that the fabric is meant to have, where anybody said.
    :param roster: the projects and tokens that the store knows.
    :param clock: seconds since the epoch, for what is stored and shown.
    """

    def __init__(
        self,
        world: World,
        fabric: Fabric,
        store: Store,
        *,
        announcer: Announcer,
        lldp_interval: float,
        bfd: bool = True,
        lost_after: float,
        audit_interval: float,
        query: Query = ASKED_EVERY_MINUTE,
        watch: Watch = UNWATCHED,
        intended: Statement | None = None,
        roster: Roster | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.world = world
        self.intended = intended
        """The topology that the fabric is meant to have; changed by :meth:`intend` only."""
        self.roster = Roster() if roster is None else roster
        """Who may call, from the store; changed by :meth:`enrol` only."""
        self.hypervisors = Hypervisors(world, spawn=self.spawn, sink=self.put, lost_after=lost_after)
        self.drops = Drops(world, met_at=self.hypervisors.met_at, spawn=self.spawn)
        """What was dropped at ports."""
        self.underlay = Underlay(
            fabric,
            announcer,
            las=lambda: [host.la for host in world.hosts.values()],
            lldp_interval=lldp_interval,
            watch=watch,
            bfd=bfd,
            spawn=self.spawn,
            sink=self.put,
        )
        self.querier = Querier(world, query)
        self.advertiser = Advertiser(world)
        self.questions = Questions(ANSWERERS)
        """What machines ask of their networks."""
        self.journal = Journal()
        self.bulletin = Bulletin(uuid.uuid4().hex[:12])
        """What has just happened, for whoever wants to hear of it."""
        self.failures = 0
        self._undone = Outcome()
        """What the store could not take yet."""
        self.stuck = False
        self._store = store
        self._clock = clock
        self._audit_interval = audit_interval
        self._events: eventlet.queue.LightQueue = eventlet.queue.LightQueue()
        self._asks: FairQueue[_Ask | _AskForMany] = FairQueue(SLICE)
        self._unfinished: set[str] = set()
        self._watchers: set[eventlet.event.Event] = set()
        self._next_audit = time.monotonic() + audit_interval
        self._audits = 0

    # ── for the shells ───────────────────────────────────────────────────────────────────────────────────────────────

    def put(self, event: object) -> None:
        """Queue an event; never blocks (this is the :class:`~controller.events.Sink` of all shells)."""
        if isinstance(event, PacketArrived) and self.questions.concerns(event):
            if not self.questions:
                self._events.put(_WAKE)
            self.questions.put(event)
        else:
            self._events.put(event)

    def spawn(self, work: Callable[[], None], *, after: float = 0.0) -> None:
        """Run something beside the owner (see :class:`~controller.channel.Spawn`)."""
        eventlet.spawn_after(after, work)

    def submit(self, intent: Intent) -> Outcome:
        """Have an intent applied and stored; blocks the calling greenlet.

        :raises Refusal: when it was turned down.
        """
        return self._ask(lambda: self.world.apply(intent, self._clock()), urgent=isinstance(intent, Activate))

    @property
    def switching(self) -> bool:
        """Whether a machine is just being moved over; where a switch does not answer, only for a moment."""
        turning = [move.since for move in self.world.moves_under_way() if move.phase is Phase.HAIRPINNING]
        return bool(turning) and self._clock() - max(turning) < _SWITCHING_SECONDS

    def submit_all(self, creations: Sequence[Creation]) -> Outcome:
        """Have several objects made in one commit, all or none; blocks the calling greenlet.

        :raises Refusal: that of the first object that could not be; then nothing changed.
        """
        many = _AskForMany(Bulk(creations))
        self._unfinished |= many.bulk.ids
        self._line_up(many)
        outcome: Outcome = many.ask.done.wait()
        return outcome

    @property
    def unfinished(self) -> Container[str]:
        """The ids of the objects that are being made by bulk creations, which may still be refused."""
        return self._unfinished

    def intend(self, statement: Statement | None) -> None:
        """Have another intended topology put in the place of the present one, or none; blocks the calling greenlet.

        :raises Conflict: when the configuration says what is intended.
        :raises NotFound: when there is none to be taken away.
        """

        def apply() -> Outcome:
            if self.intended is not None and self.intended.file:
                raise Conflict(
                    f"intended: the configuration says what is intended (fabric.intended = {self.intended.file!r})",
                    field="intended",
                    kind="IntendedTopologyInUse",
                )
            if self.intended is None and statement is None:
                raise not_intended()
            self.intended = statement
            return Outcome(documents=(written(statement),))

        self._ask(apply)

    def enrol(self, change: Enrolment) -> None:
        """Have a project or a token made or taken away, and stored; blocks the calling greenlet.

        :raises Refusal: when it was turned down; then nothing changed.
        """
        self._ask(lambda: self._enrolled(change))

    def _enrolled(self, change: Enrolment) -> Outcome:
        outcomes = [Outcome(documents=self.roster.apply(change, self._clock(), self._owned))]
        if isinstance(change, DeleteProject):
            # Another project of that name must not come into what was meant for this one.
            left: list[Intent] = [
                DeleteShare(share.id) for share in self.world.shares.values() if share.target_project == change.name
            ]
            if change.name in self.world.quotas:
                left.append(ResetQuota(change.name))
            if (group_id := self.world.default_group(change.name)) is not None:
                left.append(DeleteSecurityGroup(group_id, default=True))
            outcomes += [self.world.apply(intent, self._clock()) for intent in left]
        return Outcome.merge(outcomes)

    def _owned(self, project: str) -> str | None:
        """Name something that a project owns."""
        found = self.world.owned(project)
        return None if found is None else " ".join(found)

    def order(self, order: Order) -> None:
        """Have the fabric follow what its operator says, and store it; blocks the calling greenlet.

        :raises Refusal: when it was turned down.
        """
        self._ask(lambda: self._ordered(order))

    def _ordered(self, order: Order) -> Outcome:
        self.underlay.order(order)
        return Outcome()

    def _ask(self, apply: Callable[[], Outcome], *, urgent: bool = False) -> Outcome:
        """Have something applied in a turn, behind what its project asked for before, or at once."""
        ask = _Ask(apply)
        if urgent:
            self._events.put(ask)
        else:
            self._line_up(ask)
        outcome: Outcome = ask.done.wait()
        return outcome

    def _line_up(self, ask: _Ask | _AskForMany) -> None:
        """Let an intent wait behind all that its project has asked for before."""
        if not self._asks:
            self._events.put(_WAKE)
        self._asks.put(turns.whose(), ask, _cost(ask))

    def watch(self, timeout: float) -> None:
        """Wait until a move or a port's status changed, or ``timeout`` seconds passed."""
        event = eventlet.event.Event()
        self._watchers.add(event)
        try:
            event.wait(timeout=timeout)
        finally:
            self._watchers.discard(event)

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        """Own the world until killed."""
        eventlet.spawn(self._ticks)
        while True:
            self.turn(_WAKE if self._asks or self.questions else self._events.get())
            if self._asks or self.questions or not self._events.empty():
                eventlet.sleep(0)  # whoever is to ask, answer or send next has waited as well

    def turn(self, first: object) -> None:
        """Take one batch: what is given, the events that wait, then some of the intents and questions that do."""
        until = time.monotonic() + HOLD
        asks: list[_Ask] = []
        outcomes = [self._undone, *(self._taken(item, asks) for item in self._batch(first, until) if item is not _WAKE)]
        made: list[_AskForMany] = []
        room = 1 if self.switching else _INTENTS
        while self._asks and room > 0 and not made:
            who, ask = self._asks.take()
            room -= _cost(ask)
            if isinstance(ask, _Ask):
                outcomes.append(self._taken(ask, asks))
            elif ask.parts is None:
                ask.bulk.step(self.world, self._clock)
                self._asks.put_back(who, ask, _cost(ask))
                if ask.bulk.decided:  # what comes after it must wait until it is stored
                    outcomes.append(ask.bulk.to_store())
                    made.append(ask)
            elif (part := next(ask.parts, None)) is not None:
                outcomes.append(self._sent(part))
                self._asks.put_back(who, ask, _cost(ask))
            else:
                asks.append(ask.ask)
        outcomes += self._answers(until)
        error = self._settle(Outcome.merge(outcomes))
        for many in made:
            self._made(many, error)
        for answered in asks:
            answered.answer(error)

    def _taken(self, item: object, asks: list[_Ask]) -> Outcome:
        try:
            return self._take(item, asks)
        except Exception:  # noqa: BLE001  (one broken change must not end the loop)
            self._failed(f"while taking {type(item).__name__}")
            return Outcome()

    def _made(self, many: _AskForMany, error: Exception | None) -> None:
        """A bulk creation is stored, or refused: what came of it is to be sent, part by part, before it is answered."""
        bulk = many.bulk
        self._unfinished -= bulk.ids
        many.parts = bulk.to_send()
        many.ask.outcome = bulk.to_store()
        many.ask.refusal = bulk.refusal or error
        if bulk.refusal and not isinstance(bulk.refusal, Refusal):
            self._failed("while making many objects", bulk.refusal)
        if self.stuck:  # all of it is carried out as soon as the store works again
            self._undone = Outcome.merge([self._undone, *many.parts])

    def _sent(self, part: Outcome) -> Outcome:
        """Compile and send a part of what is stored already; returns what follows from that."""
        if self.stuck:
            return part
        try:
            sent, _ = self.hypervisors.refresh(part, partly=True)
            return self.world.apply(sent, self._clock())
        except Exception:  # noqa: BLE001  (the other parts must be sent all the same)
            self._failed("while sending a part")
            return Outcome()

    def _batch(self, first: object, until: float) -> Iterator[object]:
        yield first
        for _ in range(_BATCH - 1):
            if self._events.empty() or time.monotonic() >= until:
                return
            yield self._events.get_nowait()

    def _settle(self, outcome: Outcome) -> Exception | None:
        """Carry out what a batch did; returns what those who asked must be told instead of an answer."""
        try:
            self._carry_out(outcome)
        except StoreError as error:
            if not self.stuck:
                _LOG.exception("the store fails; what it cannot keep is not sent to any switch, and tried again")
            self.stuck = True
            return NotStored(f"the store fails, the change waits for it: {error}")
        except Exception as error:  # noqa: BLE001  (whoever asked must learn of it, and the loop must go on)
            self._failed("while carrying out a batch")
            return error
        return None

    def _take(self, item: object, asks: list[_Ask]) -> Outcome:
        match item:
            case _Ask():
                asks.append(item)
                try:
                    item.outcome = item.apply()
                except Refusal as refusal:
                    item.refusal = refusal
                    return Outcome()
                except Exception as error:
                    item.refusal = error
                    raise
                return item.outcome
            case SwitchUp() | SwitchDown() | PortChanged() | PacketArrived() | MessageConfirmed() | MessageRejected():
                return self._from_switch(item)
            case ReadBack() | Counted() | PortsCounted() | BinsCounted():
                return self._checked(item)
            case HostSnapshot() | EdgeSnapshot():
                outcome = self.world.apply(item, self._clock())
                self.hypervisors.told(item.host)
                return outcome
            case Tick():
                return self._ticked(item)
            case HostReachable() | HostUnreachable() | FabricReachable() | FabricUnreachable() | Onward():
                self._called(item)
                return Outcome()
            case _ if isinstance(item, Event):
                return self.world.apply(item, self._clock())
            case _:
                raise TypeError(f"nobody handles {item!r}")

    def _called(self, event: HostEvent | FabricEvent | Onward) -> None:
        """An OVSDB session came or went; no flow depends on a hypervisor's, and the hosts API asks the server.

        The fabric goes on after every batch, so that it asks for one is all.
        """
        if isinstance(event, FabricReachable | FabricUnreachable):
            self.underlay.configurable(event)

    def _from_switch(self, event: SwitchEvent) -> Outcome:
        if not is_hypervisor(event.datapath_id):
            self.underlay.take(event)
            return Outcome()
        match event:
            case PacketArrived():
                where = self.hypervisors.speaker(event)
                return Outcome() if where is None else self._applied(Announced(*where))
            case SwitchUp():
                outcome = self._applied(*self.hypervisors.take(event))
                if (name := self.hypervisors.name_of(event.datapath_id)) is not None:
                    self.querier.returned(name)
                return outcome
            case _:
                return self._applied(*self.hypervisors.take(event))

    def _answers(self, until: float) -> Iterator[Outcome]:
        """Answer some of the machines that ask, one at least."""
        for _ in range(min(_ANSWERS, len(self.questions))):
            yield self._answer(self.questions.take())
            if time.monotonic() >= until:
                return

    def _answer(self, event: PacketArrived) -> Outcome:
        where = self.hypervisors.speaker(event)
        if where is None:
            return Outcome()
        host, port_id = where
        try:
            found = self.questions.answer(event, Asker(self.world, host, self.world.port(port_id)))
        except Exception:  # noqa: BLE001  (one broken answer must not end the loop)
            # No reason to doubt the switches: whoever answers changes nothing by himself.
            _LOG.exception("a question of port %s could not be answered", port_id)
            return Outcome()
        for frame in found.frames:
            self.hypervisors.tell(host, port_id, frame)
        for frame in found.onward:
            self.hypervisors.go_on(host, port_id, frame)
        return Outcome.merge([self._taken(heard, []) for heard in found.events])

    def _checked(self, event: ReadBack | Counted | PortsCounted | BinsCounted) -> Outcome:
        if isinstance(event, PortsCounted | BinsCounted):
            self.underlay.watched(event)
            return Outcome()
        if self.stuck:  # what is wanted is not compiled yet; comparing now would take flows away
            self.spawn(lambda: self.put(event), after=_TICK_SECONDS)
            return Outcome()
        if not is_hypervisor(event.datapath_id):
            self.underlay.checked(event)
            return Outcome()
        return self._applied(*self.hypervisors.checked(event))

    def _applied(self, *events: Event) -> Outcome:
        return Outcome.merge([self.world.apply(event, self._clock()) for event in events])

    def _carry_out(self, outcome: Outcome) -> None:
        """Store, compile, send; again while what was sent has consequences of its own (the phases of a move)."""
        while True:
            self._undone = Outcome.merge([outcome, Outcome(documents=self.underlay.documents())])
            if self._undone.documents:
                self._store.commit(self._undone.documents)
            self._undone = Outcome()
            self.stuck = False
            self.bulletin.tell(outcome.notices, self.world, self._clock())
            if self._notify(outcome):
                eventlet.sleep(0)  # who waits for a move had better not wait for what comes after it as well
            if not outcome.dirty and not outcome.waits:
                break
            sent, cost = self.hypervisors.refresh(outcome)
            self.journal.charge(outcome.notices, cost)
            outcome = self.world.apply(sent, self._clock())
        self.underlay.flush()

    def _notify(self, outcome: Outcome) -> bool:
        """Tell what happened to whom it concerns; returns whether somebody waited for it."""
        for notice in outcome.notices:
            if notice.kind is NoticeKind.PORT_STATUS and notice.detail == PortStatus.ACTIVE:
                self.querier.activated(notice.id)
                self.advertiser.activated(notice.id)
        self.drops.noticed(outcome.notices)
        if not any(notice.kind in {NoticeKind.MOVE_PHASE, NoticeKind.PORT_STATUS} for notice in outcome.notices):
            return False
        watchers, self._watchers = self._watchers, set()
        for watcher in watchers:
            watcher.send()
        return bool(watchers)

    def _failed(self, when: str, error: Exception | None = None) -> None:
        self.failures += 1
        _LOG.error("the owner failed %s; every switch is compared anew", when, exc_info=error or True)
        self.hypervisors.doubt()
        self.underlay.doubt()

    def _ticks(self) -> None:
        while True:
            eventlet.sleep(_TICK_SECONDS)
            self.put(Tick())

    def _ticked(self, tick: Tick) -> Outcome:
        self.underlay.tick()
        self.hypervisors.warm_up()
        now = time.monotonic()
        for host, port_id in self.querier.turn(now):
            for question in self.querier.questions:
                self.hypervisors.tell(host, port_id, question)
        for host, port_id, frame in self.advertiser.advertisements(now):
            self.hypervisors.tell(host, port_id, frame)
        if now >= self._next_audit:
            self._next_audit = now + self._audit_interval
            self._audits += 1
            thorough = self._audits % _THOROUGH_EVERY == 0
            self.hypervisors.audit(thorough=thorough)
            self.underlay.audit(thorough=thorough)
        return self._applied(tick, *self.hypervisors.overdue())


def _cost(ask: _Ask | _AskForMany) -> int:
    """How many objects it is about, at the most."""
    return 1 if isinstance(ask, _Ask) else SLICE
