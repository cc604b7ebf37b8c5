"""What has just happened, and who wants to hear of it?

The owner tells each thing once (:meth:`Bulletin.tell`).  The latest are kept, so that whoever was away for a moment
misses nothing; every reader has a queue of its own, and one that does not keep up is cut off: the owner never waits
for anybody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from controller import green
from overlay.changes import Notice, NoticeKind
from overlay.moves import Phase
from overlay.values import Port, PortStatus
from overlay.world import World

green.prepare()  # the API's description is printed without a launcher

import eventlet.event  # noqa: E402

KEPT: Final = 4096
"""How many things are kept for whoever comes back."""
BEHIND: Final = 2 * KEPT
"""How many things a reader may be behind until it is cut off."""

TYPES: Final = (
    "port.bound",
    "port.active",
    "port.down",
    "port.deleted",
    *(f"move.{phase}" for phase in Phase),
    "host.lost",
    "host.back",
)
"""Everything that is ever told of."""

_STATUSES: Final = {PortStatus.ACTIVE.value: "port.active", PortStatus.DOWN.value: "port.down"}
_HOSTS: Final = {NoticeKind.HOST_LOST: "host.lost", NoticeKind.HOST_BACK: "host.back"}


@dataclass(frozen=True, slots=True)
class News:
    """One thing that has happened; what does not belong to its type is empty.

    :param number: growing by one; counted anew in each run of the controller.
    :param at: seconds since the epoch.
    :param host: where a port is bound now, or which host it is about.
    :param reason: why a move entered the phase.
    """

    number: int
    type: str
    at: float
    port_id: str = ""
    project_id: str = ""
    device_id: str = ""
    device_owner: str = ""
    host: str = ""
    move_id: str = ""
    source: str = ""
    target: str = ""
    reason: str = ""


class Reader:
    """One who hears of what it wants to, in a greenlet of its own.

    :param wanted: what it wants to hear of.
    :param most: how many things it may be behind.
    """

    def __init__(self, wanted: Callable[[News], bool], most: int = BEHIND) -> None:
        self._wanted = wanted
        self._most = most
        self._waiting: deque[News] = deque()
        self._wake: eventlet.event.Event | None = None
        self.cut = False
        """Whether it was too far behind: what is still handed out is the last."""

    def offer(self, news: News) -> None:
        """Let it have one thing; never blocks."""
        if self.cut or not self._wanted(news):
            return
        if len(self._waiting) < self._most:
            self._waiting.append(news)
        else:
            self.cut = True
        if self._wake is not None:
            wake, self._wake = self._wake, None
            wake.send()

    def take(self, timeout: float) -> tuple[News, ...]:
        """What has come, or else what comes first within ``timeout`` seconds."""
        if not self._waiting and not self.cut:
            self._wake = eventlet.event.Event()
            self._wake.wait(timeout=timeout)
            self._wake = None
        found = tuple(self._waiting)
        self._waiting.clear()
        return found


class Bulletin:
    """The latest news and their readers.

    :param run: tells this run of the controller from others.
    """

    def __init__(self, run: str) -> None:
        self.run = run
        self._kept: deque[News] = deque(maxlen=KEPT)
        self._readers: dict[Reader, None] = {}
        self._ears: list[Callable[[News], None]] = []
        self._number = 0

    @property
    def last(self) -> int:
        """The number of the latest thing; 0 before the first."""
        return self._number

    @property
    def readers(self) -> int:
        """How many readers there are."""
        return len(self._readers)

    def hear(self, ear: Callable[[News], None]) -> None:
        """Have somebody called with each thing as it happens, who neither blocks nor raises."""
        self._ears.append(ear)

    def join(self, reader: Reader, since: int | None = None) -> bool:
        """Let a reader hear of everything from now on, or of what came after ``since``.

        :returns: whether all that came after that is still there.
        """
        whole = True
        if since is not None:
            whole = self._number - len(self._kept) <= since <= self._number
            for news in self._kept:
                if news.number > since or not whole:
                    reader.offer(news)
        self._readers[reader] = None
        return whole

    def leave(self, reader: Reader) -> None:
        """A reader wants to hear no more."""
        self._readers.pop(reader, None)

    def tell(self, notices: Iterable[Notice], world: World, now: float) -> None:
        """Tell of what a change did."""
        for notice in notices:
            for news in self._told(notice, world, now):
                self._number = news.number
                self._kept.append(news)
                for ear in self._ears:
                    ear(news)
                for reader in self._readers:
                    reader.offer(news)

    def _told(self, notice: Notice, world: World, now: float) -> Iterator[News]:
        number = self._number + 1
        port = world.ports.get(notice.id) if notice.port is None else notice.port
        match notice.kind:
            case NoticeKind.HOST_LOST | NoticeKind.HOST_BACK:
                yield News(number, _HOSTS[notice.kind], now, host=notice.id)
            case NoticeKind.MOVE_PHASE:
                move = world.move(notice.id)
                if move is not None:
                    yield News(
                        number,
                        f"move.{notice.detail}",
                        now,
                        **_whose(move.port_id, world.ports.get(move.port_id)),
                        move_id=move.id,
                        source=move.source,
                        target=move.target,
                        reason=move.reason if move.phase == notice.detail else "",
                    )
            case NoticeKind.PORT_BOUND:
                yield News(number, "port.bound", now, **_whose(notice.id, port), host=notice.detail)
            case NoticeKind.PORT_DELETED:
                yield News(number, "port.deleted", now, **_whose(notice.id, port))
            case NoticeKind.PORT_STATUS if notice.detail in _STATUSES and port is not None:
                host = world.active_host(port) or ""
                yield News(number, _STATUSES[notice.detail], now, **_whose(notice.id, port), host=host)
            case _:
                pass


def _whose(port_id: str, port: Port | None) -> dict[str, str]:
    if port is None:
        return {"port_id": port_id}
    return {
        "port_id": port_id,
        "project_id": port.project_id,
        "device_id": port.device_id,
        "device_owner": port.device_owner,
    }
