"""Who owns the world, and in which order does everything happen to it?

One greenlet takes intents and events from one queue, applies them, stores what came of it, compiles what is dirty and
sends the difference; then whoever asked gets the answer.  What waited in the queue meanwhile is taken as one batch, so
that a storm of requests costs one commit and one bundle per switch instead of thousands.  A handler that raises is
logged and counted, and every switch is compared anew; it never ends the loop.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import eventlet
import eventlet.event
import eventlet.queue

from controller.channel import Counted, ReadBack
from controller.events import (
    MessageConfirmed,
    MessageRejected,
    PacketArrived,
    PortChanged,
    Session,
    SwitchDown,
    SwitchEvent,
    SwitchUp,
)
from controller.hypervisors import Hypervisors, is_hypervisor
from controller.journal import Journal
from controller.store import Store
from controller.underlay import Underlay
from overlay.changes import (
    Announced,
    Event,
    HostSnapshot,
    Intent,
    NoticeKind,
    Outcome,
    Tick,
)
from overlay.refusals import Refusal
from overlay.values import DatapathId
from overlay.world import World

_LOG: Final = logging.getLogger(__name__)
_BATCH: Final = 256
"""How many changes are taken at once; a bigger batch would keep the others waiting."""
_THOROUGH_EVERY: Final = 6
"""Every so many audits read a switch's flows instead of counting them."""
_TICK_SECONDS: Final = 0.1


class _Ask:
    """An intent whose sender waits for the answer."""

    __slots__ = ("done", "intent", "outcome", "refusal")

    def __init__(self, intent: Intent) -> None:
        self.intent = intent
        self.done = eventlet.event.Event()
        self.outcome: Outcome | None = None
        self.refusal: BaseException | None = None

    def answer(self) -> None:
        """Let the sender go on."""
        if self.refusal is not None:
            self.done.send_exception(self.refusal)
        else:
            self.done.send(self.outcome)


class Owner:
    """The one owner of overlay and fabric.

    :param clock: seconds since the epoch, for what is stored and shown.
    """

    def __init__(
        self,
        world: World,
        underlay: Underlay,
        hypervisors: Hypervisors,
        store: Store,
        *,
        audit_interval: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.world = world
        self.underlay = underlay
        self.hypervisors = hypervisors
        self.journal = Journal()
        self.failures = 0
        self._store = store
        self._clock = clock
        self._audit_interval = audit_interval
        self._queue: eventlet.queue.LightQueue = eventlet.queue.LightQueue()
        self._watchers: set[eventlet.event.Event] = set()
        self._next_audit = time.monotonic() + audit_interval
        self._audits = 0

    # ── for the shells ───────────────────────────────────────────────────────────────────────────────────────────────

    def put(self, event: object) -> None:
        """Queue an event; never blocks (this is the :class:`~controller.events.Sink` of all shells)."""
        self._queue.put(event)

    def spawn(self, work: Callable[[], None], *, after: float = 0.0) -> None:
        """Run something beside the owner (see :class:`~controller.channel.Spawn`)."""
        eventlet.spawn_after(after, work)

    def submit(self, intent: Intent) -> Outcome:
        """Have an intent applied and stored; blocks the calling greenlet.

        :raises Refusal: when it was turned down.
        """
        ask = _Ask(intent)
        self._queue.put(ask)
        outcome: Outcome = ask.done.wait()
        return outcome

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
            self.turn(self._queue.get())

    def turn(self, first: object) -> None:
        """Take one batch: what is given and whatever else waits."""
        batch: deque[object] = deque((first,))
        while len(batch) < _BATCH and not self._queue.empty():
            batch.append(self._queue.get_nowait())
        asks: list[_Ask] = []
        outcomes: list[Outcome] = []
        for item in batch:
            try:
                outcome = self._take(item, asks)
            except Exception:
                self._failed(f"while taking {type(item).__name__}")
            else:
                if outcome is not None:
                    outcomes.append(outcome)
        try:
            self._carry_out(Outcome.merge(outcomes))
        except Exception as error:  # noqa: BLE001  (whoever asked must learn of it, and the loop must go on)
            self._failed("while carrying out a batch")
            for ask in asks:
                ask.refusal = ask.refusal or error
        for ask in asks:
            ask.answer()

    def _take(self, item: object, asks: list[_Ask]) -> Outcome | None:
        match item:
            case _Ask():
                asks.append(item)
                try:
                    item.outcome = self.world.apply(item.intent, self._clock())
                except Refusal as refusal:
                    item.refusal = refusal
                except Exception as error:
                    item.refusal = error
                    raise
                return item.outcome
            case SwitchUp() | SwitchDown() | PortChanged() | PacketArrived() | MessageConfirmed() | MessageRejected():
                return self._from_switch(item)
            case ReadBack() | Counted():
                return self._checked(item)
            case HostSnapshot():
                outcome = self.world.apply(item, self._clock())
                self.hypervisors.known(item.host)
                return outcome
            case _ if isinstance(item, Event):
                return self.world.apply(item, self._clock())
            case _:
                raise TypeError(f"nobody handles {item!r}")

    def _from_switch(self, event: SwitchEvent) -> Outcome | None:
        if not is_hypervisor(event.datapath_id):
            self.underlay.take(event)
            return None
        match event:
            case PacketArrived():
                where = self.hypervisors.speaker(event)
                return None if where is None else self.world.apply(Announced(*where), self._clock())
            case _:
                return self._applied(*self.hypervisors.take(event))

    def _checked(self, event: ReadBack | Counted) -> Outcome | None:
        if not is_hypervisor(event.datapath_id):
            self.underlay.checked(event)
            return None
        return self._applied(*self.hypervisors.checked(event))

    def _applied(self, *events: Event) -> Outcome:
        return Outcome.merge([self.world.apply(event, self._clock()) for event in events])

    def _carry_out(self, outcome: Outcome) -> None:
        """Store, compile, send; again while what was sent has consequences of its own (the phases of a move)."""
        while True:
            documents = (*outcome.documents, *self.underlay.documents())
            if documents:
                self._store.commit(documents)
            self._notify(outcome)
            if not outcome.dirty and not outcome.waits:
                break
            sent, costs = self.hypervisors.refresh(outcome)
            self.journal.charge(self.world, outcome.dirty, costs)
            outcome = self.world.apply(sent, self._clock())
        self.underlay.flush()

    def _notify(self, outcome: Outcome) -> None:
        if any(notice.kind in {NoticeKind.MOVE_PHASE, NoticeKind.PORT_STATUS} for notice in outcome.notices):
            watchers, self._watchers = self._watchers, set()
            for watcher in watchers:
                watcher.send()

    def _failed(self, when: str) -> None:
        self.failures += 1
        _LOG.exception("the owner failed %s; every switch is compared anew", when)
        self.hypervisors.doubt()
        self.underlay.doubt()

    def _ticks(self) -> None:
        while True:
            eventlet.sleep(_TICK_SECONDS)
            now = time.monotonic()
            for event in self.hypervisors.overdue(now):
                self.put(event)
            self.put(Tick())
            self.underlay.tick()
            if now >= self._next_audit:
                self._next_audit = now + self._audit_interval
                self._audits += 1
                thorough = self._audits % _THOROUGH_EVERY == 0
                self.hypervisors.audit(thorough=thorough)
                self.underlay.audit(thorough=thorough)


def sessions_of(owner: Owner) -> dict[DatapathId, Session | None]:
    """List every switch that the owner knows with its present session."""
    return {**owner.hypervisors.sessions(), **owner.underlay.sessions()}
