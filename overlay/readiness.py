"""Which hosts have not yet confirmed what a port waits for?

A change makes hosts *owe* a confirmation for a port.  When the flows were sent, the debt gets the *generation* of that
sending; a barrier that comes back pays everything up to its generation.  Hosts that are lost owe nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from overlay.values import HostName


class Readiness:
    """The debts of all hosts.  Every operation costs what it touches."""

    def __init__(self) -> None:
        self._sent: dict[HostName, dict[str, int]] = {}
        self._unsent: dict[HostName, set[str]] = {}
        self._batches: dict[HostName, deque[tuple[int, tuple[str, ...]]]] = {}
        self._owing: dict[str, set[HostName]] = {}
        self._lost: set[HostName] = set()
        self._absent: set[HostName] = set()
        self.silent: set[HostName] = set()
        """The hosts that have no session at present, whether they are lost or may be back in a moment."""

    @property
    def absent(self) -> frozenset[HostName]:
        """The hosts that have confirmed nothing since they joined or the world was restored."""
        return frozenset(self._absent)

    def is_lost(self, host: HostName) -> bool:
        """Whether nobody waits for this host."""
        return host in self._lost

    def expect_first(self, host: HostName) -> None:
        """A host joined: until it confirms anything at all, it counts as pending."""
        self._absent.add(host)

    def owe(self, host: HostName, port: str) -> None:
        """Something for this port is about to be sent to this host, which is not lost."""
        self._unsent.setdefault(host, set()).add(port)
        self._owing.setdefault(port, set()).add(host)

    def expect(self, host: HostName, generation: int, ports: Iterable[str]) -> None:
        """What was owed for these ports has been sent as this generation."""
        unsent = self._unsent.get(host, set())
        sent = tuple(port for port in ports if port in unsent)
        if not sent:
            return
        unsent.difference_update(sent)
        self._sent.setdefault(host, {}).update(dict.fromkeys(sent, generation))
        self._batches.setdefault(host, deque()).append((generation, sent))

    def waive(self, host: HostName, ports: Iterable[str]) -> set[str]:
        """There was nothing to send after all.  :returns: the ports that no longer wait for this host."""
        unsent = self._unsent.get(host, set())
        paid = {port for port in ports if port in unsent}
        unsent -= paid
        sent = self._sent.get(host, {})
        released = {port for port in paid if port not in sent}
        for port in released:
            self._pay(host, port)
        return released

    def confirm(self, host: HostName, generation: int) -> set[str]:
        """A barrier came back.  :returns: the ports that no longer wait for this host."""
        self._absent.discard(host)
        batches = self._batches.get(host)
        sent = self._sent.get(host, {})
        unsent = self._unsent.get(host, set())
        released = set()
        while batches and batches[0][0] <= generation:
            number, ports = batches.popleft()
            for port in ports:
                if sent.get(port) == number:
                    del sent[port]
                    if port not in unsent:
                        self._pay(host, port)
                        released.add(port)
        return released

    def forget(self, host: HostName) -> set[str]:
        """A host is lost: it owes nothing.  :returns: the ports that no longer wait for it."""
        self._lost.add(host)
        self._absent.discard(host)
        ports = self._unsent.pop(host, set()) | set(self._sent.pop(host, {}))
        self._batches.pop(host, None)
        for port in ports:
            self._pay(host, port)
        return ports

    def recall(self, host: HostName) -> None:
        """A lost host is back: from now on it owes again."""
        self._lost.discard(host)

    def drop(self, port: str) -> None:
        """A port is no more."""
        for host in self._owing.pop(port, set()):
            self._unsent.get(host, set()).discard(port)
            self._sent.get(host, {}).pop(port, None)

    def pending(self, port: str) -> frozenset[HostName]:
        """Which hosts owe a confirmation for this port."""
        return frozenset(self._owing.get(port, ()))

    def _pay(self, host: HostName, port: str) -> None:
        owing = self._owing[port]
        owing.discard(host)
        if not owing:
            del self._owing[port]
