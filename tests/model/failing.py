"""What do switches, a controller and a store that fail look like on paper?

A :class:`~tests.model.lab.Lab` whose switches die and return empty, whose controller forgets all but what is stored,
and whose store takes nothing for a while: then nothing is sent either, as the real owner has it.
"""

from __future__ import annotations

from overlay.changes import Change, HostBack, HostHeard, HostLost, HostSilent, HostSnapshot, Outcome, Plugged, Unplugged
from overlay.compile import Compiler, Delta, units_of
from overlay.values import HostName
from overlay.world import Settings, World
from tests.model.lab import Lab

LOST_AFTER = 30.0
"""As the operator has it by default."""


class FailingLab(Lab):
    """Hosts that may be dead, and a controller that may be started again."""

    def __init__(self, hosts: int = 3, settings: Settings | None = None) -> None:
        self.silent: dict[HostName, float] = {}
        self.taps: dict[HostName, dict[str, int]] = {}
        self.unsent: Outcome | None = None
        self._untold: set[HostName] = set()
        super().__init__(hosts, settings)

    # --- what the owner does ---

    def change(self, change: Change) -> Outcome:
        """Apply, compile and queue; a tap that came or went is there, or not, whoever runs."""
        if isinstance(change, Plugged):
            self.taps.setdefault(change.host, {})[change.port_id] = change.ofport
        elif isinstance(change, Unplugged):
            self.taps[change.host].pop(change.port_id, None)
        return super().change(change)

    def _apply(self, change: Change) -> Outcome:
        if self.unsent is None:
            return super()._apply(change)
        return self.world.apply(change, self.now)

    def _send(self, outcome: Outcome) -> None:
        if self.unsent is not None:
            self.unsent = Outcome.merge([self.unsent, outcome])
            return
        super()._send(outcome)
        for host in {*self.silent, *self._untold}:
            self.queues.pop(host, None)

    def settle(self) -> None:
        """Let everything through to everybody who lives until nothing moves any more."""
        while self.queues or self.world.unconfirmed_hosts() & set(self.living):
            for host in self.living:
                self.confirm(host)

    # --- what fails ---

    @property
    def living(self) -> list[HostName]:
        """The hosts whose switches run."""
        return [host for host in self.hosts if host not in self.silent]

    def kill(self, host: HostName) -> None:
        """A switch dies, with all that it held and was sent."""
        self.silent[host] = self.now
        for held in (self.queues, self.installed, self.meters, self.trackers):
            held.pop(host, None)
        self.change(HostSilent(host))

    def lose(self, host: HostName) -> None:
        """Nobody waits for a dead switch any more."""
        self.change(HostLost(host))

    def revive(self, host: HostName) -> None:
        """A switch is there again, as empty as it came; its taps are those that it had."""
        del self.silent[host]
        self.change(HostHeard(host))
        self.change(HostBack(host))
        self._told(host)

    def restart(self) -> None:
        """The controller dies with all that was under way; another one reads the store, hears of taps and compares."""
        self.unsent = None
        self.queues.clear()
        self.world = World.restore(tuple(self.stored.values()), self.now, self.world.settings)
        self.compiler = Compiler(self.world)
        self.compiler.refresh(units_of(self.world))
        self._untold = set(self.hosts)
        for host in self.living:
            self._told(host)

    def store_fails(self) -> None:
        """From now on nothing can be stored, and so nothing is sent."""
        self.unsent = Outcome()

    def store_works(self) -> None:
        """What could not be stored is, and then carried out."""
        left, self.unsent = self.unsent, None
        assert left is not None
        for document in left.documents:
            self.stored.pop((document.kind, document.id), None)
            if document.body is not None:
                self.stored[document.kind, document.id] = document
        self._send(left)

    def _told(self, host: HostName) -> None:
        """A host says what is plugged into it; its switch is read, and is sent what differs."""
        self.change(HostSnapshot(host, tuple(self.taps.get(host, {}).items())))
        self._untold.discard(host)
        wanted, held = dict(self.compiler.desired(host)), self.installed.get(host, {})
        put = tuple(flow for key, flow in wanted.items() if held.get(key) != flow)
        remove = tuple(flow for key, flow in held.items() if key not in wanted)
        self.generation += 1
        self.queues[host] = [(self.generation, Delta(put, remove, self.compiler.meters(host)))]
