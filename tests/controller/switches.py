"""A switch in memory, for what the real one cannot be made to do on purpose: answer late, refuse, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from controller.events import Installed, Met, Mods, PortCounters
from overlay.flow import COOKIE_MARK, Flow, FlowKey, Set, conditions
from overlay.values import DatapathId

ID = DatapathId(0x564C000000000001)


def flow(number: int, *, mark: int = COOKIE_MARK) -> Flow:
    """A flow that differs from others by its number."""
    return Flow(0, 10, conditions({"in_port": number}), mark | number)


class MemorySession:
    """A session with a switch that holds what it is sent, unless it is told to misbehave."""

    def __init__(self, held: Iterable[Flow] = ()) -> None:
        self.held = {each.key: each for each in held}
        self.sent: list[tuple[int, Mods]] = []
        self.reads = 0
        self.silent = False
        self.met: dict[FlowKey, int] = {}
        self.counters: tuple[PortCounters, ...] = ()

    @property
    def datapath_id(self) -> DatapathId:
        return ID

    def send(self, mods: Mods, ticket: int) -> None:
        self.sent.append((ticket, mods))
        for each in mods.remove:
            self.held.pop(each.key, None)
        for each in mods.put:
            self.held[each.key] = each

    def read(self) -> Installed:
        self.reads += 1
        if self.silent:
            raise TimeoutError("nobody there")
        return Installed(tuple((each, 0) for each in self.held.values()), (), ())

    def count(self) -> int:
        if self.silent:
            raise TimeoutError("nobody there")
        return len(self.held)

    def port_counters(self) -> tuple[PortCounters, ...]:
        if self.silent:
            raise TimeoutError("nobody there")
        return self.counters

    def flow_bytes(self, kind: int) -> Mapping[FlowKey, int]:
        if self.silent:
            raise TimeoutError("nobody there")
        return {key: self.met.get(key, 0) for key, each in self.held.items() if each.cookie >> 40 & 0xFF == kind}

    def met_of(self, cookies: Sequence[int]) -> tuple[Met, ...]:
        if self.silent:
            raise TimeoutError("nobody there")
        return tuple(
            Met(sum(each.cookie == cookie for each in self.held.values()), self._bytes_of(cookie)) for cookie in cookies
        )

    def _bytes_of(self, cookie: int) -> int:
        return sum(self.met.get(key, 0) for key, each in self.held.items() if each.cookie == cookie)

    def packet_out(self, port: int, data: bytes, sets: tuple[Set, ...] = ()) -> None:  # noqa: ARG002
        raise AssertionError("a channel emits nothing")

    def close(self) -> None:
        raise AssertionError("a channel closes nothing")


class Later:
    """What was spawned, to be run when the test says so."""

    def __init__(self) -> None:
        self.waiting: list[tuple[float, Callable[[], None]]] = []

    def __call__(self, work: Callable[[], None], *, after: float = 0.0) -> None:
        self.waiting.append((after, work))

    def run(self) -> list[float]:
        """Run what waits; returns after how many seconds each was to run."""
        waiting, self.waiting = self.waiting, []
        for _, work in waiting:
            work()
        return [after for after, _ in waiting]
