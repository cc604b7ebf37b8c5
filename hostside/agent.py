"""Who acts when QEMU says that a guest has stopped here, or goes on there?

One task per monitor, all in one event loop; what is asked of the controller is asked in threads, for all ports of a
guest at once.  Which event calls for what is in :mod:`hostside.rules`, and nothing is kept here that QEMU and the
controller do not know: an agent that was away asks both, and goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar
from weakref import WeakSet

from hostside import plugs
from hostside.api import Api, Where
from hostside.errors import Away, HostsideError, Mistake, NotQmp, Refused
from hostside.monitor import Gone, Monitor, session
from hostside.mover import CONFIRMED, Mover, Step
from hostside.rules import UNDER_WAY, Order, Standing, following

REST_SECONDS: Final = 30.0
"""How long an answer of the controller's is waited for: as long as it takes itself for an activation."""
T = TypeVar("T")

_THREADS: Final = 64
_AGAIN_SECONDS: Final = 0.1
"""How often one looks for a QEMU: it may have a guest that comes within a second."""
_LOOK_SECONDS: Final = 2.0
_UNAUTHORISED: Final = frozenset({401, 403})
_STEPS: Final[dict[Order, Callable[[Mover], Step]]] = {
    Order.HAND_OVER: Mover.hand_over,
    Order.ARRIVE: Mover.arrive,
    Order.TAKE_BACK: Mover.take_back,
    Order.CALL_OFF: Mover.call_off,
}


class Tell(Protocol):
    """Says what happened: one line each."""

    def __call__(self, guest: str, event: str, **details: object) -> None:
        """Say it.

        :param guest: whose monitor it was. :param details: whatever else there is to know.
        """


@dataclass(frozen=True, slots=True)
class Settings:
    """How an agent behaves.

    :param host: what the controller calls this host. :param db: the local Open vSwitch database.
    :param ports: the guest's ports, instead of asking that database.
    :param go_on: whether to tell a QEMU that waits before the switch to go on.
    :param cancel: whether to delete the passive bindings of a migration that fails.
    :param patience: how long QEMU is kept waiting, in seconds.
    """

    at: Where
    host: str
    db: str | None = None
    ports: tuple[str, ...] = ()
    go_on: bool = False
    cancel: bool = False
    patience: float = 2.0


class Agent:
    """Watches monitors."""

    def __init__(self, settings: Settings, tell: Tell) -> None:
        self._settings = settings
        self._tell = tell
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="rest")
        self._guests: WeakSet[_Guest] = WeakSet()

    def check(self) -> None:
        """Ask the controller once, before it is urgent.

        :raises Mistake: if it does not let us act, or does not know a port.
        """
        api = Api(self._settings.at, REST_SECONDS)
        try:
            for port_id in self._settings.ports or ("-",):
                self._check(api, port_id)
        finally:
            api.close()

    def _check(self, api: Api, port_id: str) -> None:
        try:
            api.bindings(port_id)
        except Refused as refused:
            if refused.status in _UNAUTHORISED:
                raise Mistake(f"--token-file: {refused}") from refused
            if self._settings.ports:
                raise Mistake(f"--port: {refused}") from refused
        except Away as away:
            # It may come back before it is needed.
            self._tell("", "trouble", reason=str(away))

    def close(self) -> None:
        """Begin nothing more, and try nothing again."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for guest in self._guests:
            guest.stop()

    async def watch(self, path: Path, *, strict: bool = True) -> None:
        """Watch one monitor, whatever comes and goes behind it.

        :param strict: for ever, and a socket at which nobody speaks QMP is a mistake; otherwise as long as it is there.
        :raises NotQmp: if it is one.
        """
        said = ""
        while True:
            try:
                async with session(path) as monitor:
                    said = ""
                    await self._attend(path, monitor)
                    reason = "QEMU has ended"
            except (Gone, NotQmp) as wrong:
                if strict and isinstance(wrong, NotQmp):
                    raise
                reason = str(wrong)
            except HostsideError as wrong:
                reason = str(wrong)
            if reason != said:
                self._tell(path.stem, "waiting", reason=reason)
                said = reason
            if not strict and not is_there(path):
                return
            await asyncio.sleep(_AGAIN_SECONDS)

    async def watch_all(self, directory: Path) -> None:
        """Watch the monitors in a directory, in which sockets come and go."""
        watched: dict[tuple[Path, int], asyncio.Task[None]] = {}
        try:
            while True:
                watched = {key: task for key, task in watched.items() if not task.done()}
                for path, inode in _sockets(directory) - set(watched):
                    watched[path, inode] = asyncio.create_task(self.watch(path, strict=False))
                await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            for task in watched.values():
                task.cancel()

    async def _attend(self, path: Path, monitor: Monitor) -> None:
        guest = _Guest(await monitor.name() or path.stem, monitor, self._settings, self._tell, self._pool)
        self._guests.add(guest)
        try:
            await guest.attend()
        finally:
            guest.leave()


class _Guest:
    """A guest whose QEMU is being listened to."""

    def __init__(self, name: str, monitor: Monitor, settings: Settings, tell: Tell, pool: ThreadPoolExecutor) -> None:
        self._name = name
        self._monitor = monitor
        self._settings = settings
        self._say = tell
        self._pool = pool
        self._standing = Standing()
        self._movers: dict[str, tuple[Mover, asyncio.Lock]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._handing: asyncio.Task[None] | None = None
        self._confirmed: set[str] = set()
        self._turn = 0

    def _tell(self, event: str, **details: object) -> None:
        self._say(self._name, event, **details)

    async def attend(self) -> None:
        """Do what QEMU's events call for, until it ends."""
        found = await self._monitor.standing()
        self._standing = Standing(incoming=found.incoming)
        await self._learn()
        self._tell("watching", ports=sorted(self._movers), **asdict(found))
        if found.migration in UNDER_WAY:
            self._happened("MIGRATION", found.migration)
        elif found.running:
            # It may have come a moment ago.
            self._happened("RESUME", "")
        async for said in self._monitor.events():
            self._tell(said.event, **({"status": said.status} if said.status else {}))
            self._happened(said.event, said.status)

    def leave(self) -> None:
        """QEMU has ended: nothing more is to be done, except for a guest that goes on elsewhere."""
        gone = self._standing.migration == "completed"
        self._standing = Standing()
        if not gone:
            self.stop()

    def stop(self) -> None:
        """Let what is being tried be the last try."""
        for mover, _lock in self._movers.values():
            mover.enough()

    # --- orders -----------------------------------------------------------------------------------------------------

    def _happened(self, event: str, status: str) -> None:
        self._standing, orders = following(self._standing, event, status)
        for order in orders:
            match order:
                case Order.LOOK:
                    self._begin(self._look())
                case Order.GO_ON:
                    self._begin(self._go_on())
                case Order.CALL_OFF if not self._settings.cancel:
                    pass
                case _:
                    self._turn += 1
                    self.stop()
                    task = self._begin(self._all(order, self._turn))
                    if order is Order.HAND_OVER:
                        self._confirmed = set()
                        self._handing = task

    def _begin(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._spoken(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _spoken(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except HostsideError as wrong:
            self._tell("trouble", reason=str(wrong))

    async def _look(self) -> None:
        """Know where the ports may go, by connections that are open, as long as the migration lasts."""
        await self._learn()
        while self._standing.migration in UNDER_WAY and not self._standing.away:
            await asyncio.gather(*(self._look_for(*found) for found in self._movers.values()))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _look_for(self, mover: Mover, lock: asyncio.Lock) -> None:
        async with lock:
            if not self._standing.away:
                with suppress(Away, Refused):
                    await self._thread(mover.look)

    async def _all(self, order: Order, turn: int) -> None:
        if not self._movers:
            await self._learn()
        if not self._movers:
            self._tell("no ports", order=order.value)
        await asyncio.gather(*(self._one(order, turn, *found) for found in self._movers.values()))

    async def _one(self, order: Order, turn: int, mover: Mover, lock: asyncio.Lock) -> None:
        async with lock:
            if turn != self._turn:
                return
            try:
                step = await self._thread(lambda: _STEPS[order](mover))
            except HostsideError as wrong:
                self._tell("trouble", order=order.value, port=mover.port_id, reason=str(wrong))
                return
        if step.outcome in CONFIRMED:
            self._confirmed.add(mover.port_id)
        took = round(step.took * 1000, 3)
        self._tell(step.outcome.value, order=order.value, port=mover.port_id, host=step.host, took_ms=took)

    async def _go_on(self) -> None:
        begun = time.monotonic()
        if self._handing is not None:
            await asyncio.wait({self._handing}, timeout=self._settings.patience)
        waited = round((time.monotonic() - begun) * 1000, 3)
        found = {"confirmed": len(self._confirmed), "ports": len(self._movers), "waited_ms": waited}
        if not self._settings.go_on:
            self._tell("ready to go on", **found)
            return
        try:
            await self._monitor.ask("migrate-continue", state="pre-switchover")
        except HostsideError as wrong:
            self._tell("trouble", order=Order.GO_ON.value, reason=str(wrong))
        else:
            self._tell("continued", **found)

    # --- ports ------------------------------------------------------------------------------------------------------

    async def _learn(self) -> None:
        try:
            found = self._settings.ports or await self._plugged()
        except Gone:
            raise
        except HostsideError as wrong:
            self._tell("trouble", reason=str(wrong))
            return
        for port_id in found:
            if port_id not in self._movers:
                api = Api(self._settings.at, REST_SECONDS)
                self._movers[port_id] = (Mover(api, port_id, self._settings.host), asyncio.Lock())

    async def _plugged(self) -> tuple[str, ...]:
        cards = await self._monitor.cards()
        if not cards:
            return ()
        there = await self._thread(lambda: plugs.plugged(self._settings.db))
        return plugs.ports(cards, there, await self._monitor.uuid())

    async def _thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)


def is_there(path: Path) -> bool:
    """Whether anything is."""
    return path.exists()


def _sockets(directory: Path) -> set[tuple[Path, int]]:
    found = set()
    with suppress(OSError):
        for path in directory.iterdir():
            with suppress(OSError):
                if path.is_socket():
                    found.add((path, path.stat().st_ino))
    return found
