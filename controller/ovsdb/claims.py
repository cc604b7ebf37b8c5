"""Who may speak for a host name, or for a fabric switch?

Names are first come, first served: while a session of one machine holds a name, another machine that claims it is
ignored.  A new session of the same machine replaces the old one, which is then a connection that died unnoticed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from overlay.values import DatapathId, HostName

Name: TypeAlias = HostName | DatapathId


class Claimant(Protocol):
    """A session, as far as the right to a name is concerned."""

    def supersede(self, name: Name) -> None:
        """Hang up, and say nothing more about this name: a newer session has taken over."""


@dataclass(frozen=True, slots=True)
class _Claim:
    machine: str
    holder: Claimant


class Claims:
    """Which live session holds which name."""

    def __init__(self) -> None:
        self._claims: dict[Name, _Claim] = {}

    def take(self, name: Name, machine: str, claimant: Claimant) -> bool:
        """Claim a name; False when a session of another machine holds it.

        :param machine: what stays the same when one machine calls again (it may still change within a session).
        """
        claim = self._claims.get(name)
        if claim is not None and claim.holder is not claimant and claim.machine != machine:
            return False
        self._claims[name] = _Claim(machine, claimant)
        if claim is not None and claim.holder is not claimant:
            claim.holder.supersede(name)
        return True

    def release(self, name: Name, claimant: Claimant) -> bool:
        """Give a name back; False when it was not the claimant's any more."""
        claim = self._claims.get(name)
        if claim is None or claim.holder is not claimant:
            return False
        del self._claims[name]
        return True
