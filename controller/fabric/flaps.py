"""Which links come and go too often to be relied on?

The idea of route flap damping (RFC 2439) for links: every loss adds a penalty that halves with time.  A link whose
penalty is too high is used as a last resort only, until it has been good for long enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from controller.fabric.routes import Link
from overlay.refusals import Invalid

PENALTY: Final = 1000.0
"""What one loss adds (RFC 2439 §4.2 leaves the unit open; this is the usual one)."""


@dataclass(frozen=True, slots=True)
class Damping:
    """How patient the fabric is with links that come and go.

    :param suppress: the penalty from which a link is damped.
    :param reuse: the penalty below which it is used again.
    :param half_life: seconds after which a penalty has halved.
    :param ceiling: no penalty is higher, so that no link is damped for longer than ``half_life`` ×
        log₂(``ceiling`` / ``reuse``).
    """

    suppress: float = 3 * PENALTY
    reuse: float = PENALTY
    half_life: float = 10.0
    ceiling: float = 12 * PENALTY

    def __post_init__(self) -> None:
        if not 0 < self.reuse < self.suppress <= self.ceiling:
            raise Invalid(
                f"damping: 0 < reuse ({self.reuse:g}) < suppress ({self.suppress:g}) <= ceiling ({self.ceiling:g})"
                " does not hold",
                field="damping",
            )
        if self.half_life <= 0:
            raise Invalid(f"damping: half_life ({self.half_life:g}) must be positive", field="damping")


@dataclass(frozen=True, slots=True)
class _Penalty:
    value: float
    since: float


class Flaps:
    """The penalties of all links.

    :param damping: None damps nothing.
    """

    def __init__(self, damping: Damping | None) -> None:
        self._damping = damping
        self._penalties: dict[Link, _Penalty] = {}
        self.damped: set[Link] = set()
        """The links that are a last resort at present."""

    def lost(self, link: Link, now: float) -> None:
        """Count a loss."""
        if self._damping is None:
            return
        value = min(self.penalty(link, now) + PENALTY, self._damping.ceiling)
        self._penalties[link] = _Penalty(value, now)
        if value >= self._damping.suppress:
            self.damped.add(link)

    def penalty(self, link: Link, now: float) -> float:
        """Say what a link's penalty has come down to."""
        known = self._penalties.get(link)
        if known is None or self._damping is None:
            return 0.0
        return float(known.value * 0.5 ** ((now - known.since) / self._damping.half_life))

    def settle(self, now: float) -> set[Link]:
        """Forgive what has been good for long enough; returns the links that are damped no more."""
        over = {link for link in self.damped if self._damping and self.penalty(link, now) < self._damping.reuse}
        self.damped -= over
        return over
