"""What should one switch hold, what was it sent, and what has it confirmed?

A channel outlives the sessions of its switch.  While there is no session it only keeps what is wanted; when a session
comes up the switch is read, the difference is sent, and from then on changes go out as they are made.  A switch is
never cleared: what is already right is left alone, and what is not ours is not looked at.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from controller.events import Installed, Mods, Session, Sink
from controller.reconcile import Contents, difference
from overlay.values import DatapathId

_LOG: Final = logging.getLogger(__name__)
_RETRY_SECONDS: Final = 1.0
_RETRY_SECONDS_MAX: Final = 30.0


@dataclass(frozen=True, slots=True)
class ReadBack:
    """A switch was read (``installed`` is None when it did not answer)."""

    datapath_id: DatapathId
    session: Session
    installed: Installed | None


@dataclass(frozen=True, slots=True)
class Counted:
    """A switch said how many of our flows it holds."""

    datapath_id: DatapathId
    session: Session
    flows: int


class Spawn(Protocol):
    """Runs a function beside the owner, now or after some seconds."""

    def __call__(self, work: Callable[[], None], *, after: float = 0.0) -> None:
        """Never blocks."""


class State(Enum):
    """How far a channel has come with its switch."""

    DOWN = "no session"
    READING = "being read after it connected or refused something"
    LIVE = "holds, or is on its way to hold, all that is wanted"


class Channel:
    """The owner's end of one switch.

    :param wanted: asked whenever the switch was read; what it should hold at that moment.
    :param spawn: runs the blocking read beside the owner; its result comes back through ``sink``.
    """

    def __init__(
        self,
        datapath_id: DatapathId,
        *,
        wanted: Callable[[], Contents],
        spawn: Spawn,
        sink: Sink,
    ) -> None:
        self.datapath_id = datapath_id
        self.session: Session | None = None
        self.state = State.DOWN
        self.sent = 0
        """The ticket of the latest send; grows for the life of the channel."""
        self.confirmed = 0
        """The latest ticket whose barrier came back."""
        self.refusals: list[str] = []
        self.repairs = 0
        """How many messages audits and reconnects had to send because the switch differed."""
        self._wanted = wanted
        self._spawn = spawn
        self._sink = sink
        self._audit_disturbed: bool | None = None
        self._retry = _RETRY_SECONDS

    def up(self, session: Session) -> None:
        """A session is there: read the switch before anything is sent."""
        self.session = session
        self.state = State.READING
        self._audit_disturbed = None
        self._read(session)

    def down(self, session: Session) -> bool:
        """A session ended; returns False when a newer one has taken its place already."""
        if session is not self.session:
            return False
        self.session = None
        self.state = State.DOWN
        return True

    @property
    def settled(self) -> bool:
        """Whether the switch has confirmed everything that was sent."""
        return self.state is State.LIVE and self.confirmed == self.sent

    def push(self, mods: Mods) -> int:
        """Send a change, or let it wait for the coming reconciliation; returns its ticket either way."""
        if self.state is not State.LIVE or self.session is None:
            self.sent += 1
            return self.sent
        if self._audit_disturbed is False:
            self._audit_disturbed = True
        return self._send(self.session, mods)

    def read_back(self, event: ReadBack) -> bool:
        """Compare and repair.

        :returns: whether the switch already holds all that is wanted, which confirms every ticket so far; otherwise
            a confirmation will follow.
        """
        session = self.session
        if session is None or event.session is not session:
            return False
        if event.installed is None:
            _LOG.warning("switch %s did not answer while it was read; trying again", self.datapath_id)
            self._read(session, after=self._backoff())
            return False
        disturbed, self._audit_disturbed = self._audit_disturbed, None
        if disturbed:
            return False
        mods = difference(Contents.of(event.installed), self._wanted())
        was, self.state = self.state, State.LIVE
        if not mods:
            if was is State.READING:
                self.confirm(self.sent)
            return was is State.READING
        self.repairs += len(mods)
        _LOG.info("switch %s: %d messages to put it right", self.datapath_id, len(mods))
        self._send(session, mods)
        return False

    def confirm(self, ticket: int) -> None:
        """The barrier of a ticket came back, and with it all before it."""
        self.confirmed = max(self.confirmed, ticket)
        self._retry = _RETRY_SECONDS

    def reject(self, ticket: int, reason: str) -> None:
        """The switch refused a bundle: nothing of it took effect, so the switch is read and compared anew."""
        _LOG.error("switch %s refused change %d: %s", self.datapath_id, ticket, reason)
        self.refusals = [*self.refusals[-9:], reason]
        if self.session is not None and self.state is State.LIVE:
            self.state = State.READING
            self._audit_disturbed = None
            self._read(self.session, after=self._backoff())

    def audit(self, *, thorough: bool) -> None:
        """Ask the switch whether it still holds what it confirmed.

        :param thorough: read all of it; otherwise count only, and read when the count is off.
        """
        session = self.session
        if session is None or not self.settled or self._audit_disturbed is not None:
            return
        if thorough:
            self._audit_disturbed = False
            self._read(session)
            return

        def count() -> None:
            try:
                flows = session.count()
            except (TimeoutError, OSError) as error:
                _LOG.warning("switch %s could not be counted: %s", self.datapath_id, error)
            else:
                self._sink(Counted(self.datapath_id, session, flows))

        self._spawn(count)

    def counted(self, event: Counted) -> None:
        """A count came back; a wrong one is looked into."""
        if event.session is self.session and self.settled and event.flows != len(self._wanted().flows):
            self.audit(thorough=True)

    def _send(self, session: Session, mods: Mods) -> int:
        self.sent += 1
        session.send(mods, self.sent)
        return self.sent

    def _backoff(self) -> float:
        wait, self._retry = self._retry, min(self._retry * 2, _RETRY_SECONDS_MAX)
        return wait

    def _read(self, session: Session, *, after: float = 0.0) -> None:
        def read() -> None:
            installed: Installed | None = None
            try:
                installed = session.read()
            except (TimeoutError, OSError) as error:
                _LOG.warning("switch %s could not be read: %s", self.datapath_id, error)
            self._sink(ReadBack(self.datapath_id, session, installed))

        self._spawn(read, after=after)
