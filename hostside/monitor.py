"""What does a QEMU say about itself over QMP?

A thin layer on QEMU's own client (``qemu.qmp``): who the guest is, which cards it has, where it stands, and the three
events that matter.  A QMP monitor serves one client, so this one has to be the agent's own.
"""

from __future__ import annotations

import asyncio
import logging
import re
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from qemu.qmp import ConnectError, EventListener, ExecInterruptedError, ExecuteError, QMPClient, QMPError, StateError
from qemu.qmp.qmp_client import GreetingError, NegotiationError

from hostside.errors import HostsideError, NotQmp
from hostside.plugs import Card

EVENTS: Final = ("MIGRATION", "STOP", "RESUME")
_GREETING_SECONDS: Final = 5.0
_CARDS: Final = ("/machine/peripheral", "/machine/peripheral-anon", "/machine/unattached")
"""Where devices are: those with an id, without one, and those of ``-nic``, beside the board's own."""
_TAP: Final = re.compile(r"(?m)^\s*\\?\s*([^:\s]+): index=\d+,type=tap,(?:.*?)ifname=([^,\s]+)")

# What goes wrong is told by exceptions; the library would also print it.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)


class Gone(HostsideError):  # noqa: N818
    """The monitor cannot be reached, or not any more: QEMU has ended, or not begun."""


@dataclass(frozen=True, slots=True)
class Said:
    """An event of QEMU's.

    :param status: of MIGRATION, the new state.
    """

    event: str
    status: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a guest stands when one begins to listen.

    :param running: whether it runs here. :param incoming: whether it is about to come.
    :param migration: the state of the last migration, whichever way it went.
    """

    running: bool
    incoming: bool
    migration: str


class Monitor:
    """A session with a QEMU."""

    def __init__(self, client: QMPClient, heard: EventListener) -> None:
        self._client = client
        self._heard = heard

    async def events(self) -> AsyncIterator[Said]:
        """Each event as it comes, those since the session began included; ends with the session."""
        ended = asyncio.ensure_future(_ended(self._client))
        try:
            while True:
                coming = asyncio.ensure_future(self._heard.get())
                await asyncio.wait({coming, ended}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    coming.cancel()
                    return
                message = coming.result()
                data: Any = message.get("data") or {}
                yield Said(str(message["event"]), str(data.get("status", "")))
        finally:
            ended.cancel()

    async def ask(self, command: str, **arguments: object) -> Any:
        """Give an order.

        :raises HostsideError: if QEMU refuses it. :raises Gone: if it has ended.
        """
        try:
            return await self._client.execute(command, arguments or None)
        except ExecuteError as wrong:
            raise HostsideError(f"{command}: {wrong}") from wrong
        except (ExecInterruptedError, StateError) as wrong:
            raise Gone("QEMU has ended") from wrong

    async def name(self) -> str:
        """What its guest is called, ``""`` if it has no name."""
        return str((await self.ask("query-name")).get("name", ""))

    async def uuid(self) -> str:
        """The guest's UUID, all zeros if it was given none."""
        return str((await self.ask("query-uuid"))["UUID"])

    async def standing(self) -> Found:
        """Where the guest stands; from now on QEMU says each change of a migration."""
        with suppress(HostsideError):
            # Refused in a migration; then whoever began it has asked for it, or else there is STOP and RESUME.
            asked = [{"capability": "events", "state": True}]
            await self.ask("migrate-set-capabilities", capabilities=asked)
        running = await self.ask("query-status")
        migration = await self.ask("query-migrate")
        return Found(
            running=bool(running["running"]),
            incoming=running["status"] == "inmigrate",
            migration=str(migration.get("status", "none")),
        )

    async def cards(self) -> tuple[Card, ...]:
        """The guest's network cards, with the addresses that QEMU was given: the guest may have changed its own."""
        taps = dict(_TAP.findall(await self.ask("human-monitor-command", **{"command-line": "info network"})))
        found = []
        for parent in _CARDS:
            for child in await self.ask("qom-list", path=parent):
                device = child["name"].startswith("device[") or parent == _CARDS[0]
                if device and child["type"].startswith("child<"):
                    found += await self._card(f"{parent}/{child['name']}", taps)
        return tuple(found)

    async def _card(self, path: str, taps: dict[str, str]) -> list[Card]:
        kinds = {each["name"] for each in await self.ask("qom-list", path=path)}
        if not {"mac", "netdev"} <= kinds:
            return []
        mac = await self.ask("qom-get", path=path, property="mac")
        netdev = await self.ask("qom-get", path=path, property="netdev")
        return [Card(str(mac).lower(), taps.get(str(netdev), ""))]


async def _ended(client: QMPClient) -> None:
    while client.runstate.name == "RUNNING":
        await client.runstate_changed()


async def _leave(client: QMPClient) -> None:
    # It raises what the session ended of, which is known.
    with suppress(QMPError, OSError, EOFError):
        await client.disconnect()


def is_other(path: Path) -> bool:
    """Whether something is there that is no socket."""
    with suppress(OSError):
        return not stat.S_ISSOCK(path.stat().st_mode)
    return False


@asynccontextmanager
async def session(path: Path) -> AsyncIterator[Monitor]:
    """Talk to the QEMU behind a socket.

    :raises NotQmp: if something else is there. :raises Gone: if nobody is.
    """
    if is_other(path):
        raise NotQmp(f"{path} is not a socket")
    client = QMPClient()
    # Before the session, so that no event is missed.
    with client.listener(EVENTS) as heard:
        try:
            await asyncio.wait_for(client.connect(str(path)), _GREETING_SECONDS)
        except TimeoutError as wrong:
            raise Gone(f"{path} says nothing; a QMP monitor serves one client, has this one another?") from wrong
        except ConnectError as wrong:
            cause = wrong.exc
            if isinstance(cause, GreetingError | NegotiationError):
                raise NotQmp(f"{path}: nobody speaks QMP there") from wrong
            raise Gone(f"{path}: {getattr(cause, 'strerror', None) or 'QEMU has ended'}") from wrong
        try:
            yield Monitor(client, heard)
        finally:
            # Even a watch that is ended takes its leave in order: the client has tasks of its own.
            leaving = asyncio.ensure_future(_leave(client))
            await asyncio.shield(leaving)
