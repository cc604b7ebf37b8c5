"""Where does a port stand, and what does each hypervisor's switch therefore do for it?

A :class:`Footing` is the digest of a port's home, its move and its taps: all that the compiler needs to know about its
place.  Two footings of a port compared tell exactly which compile units a change has made dirty.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from overlay.moves import PHASES, SWITCHING, Move
from overlay.values import HostName


class Plug(NamedTuple):
    """How a port is plugged into a host's switch.

    :param ofport: the OpenFlow port.
    :param lane: the port's number on that host, of 16 bits and its alone; equal to ``ofport`` unless it is a VLAN.
    :param vid: the VLAN on that OpenFlow port that is the port's; 0 for its frames without a tag.
    """

    ofport: int
    lane: int
    vid: int = 0


class Tap(NamedTuple):
    """A plugged interface of the port that gets a program.

    :param passive: whether it must be silent.
    """

    host: HostName
    plug: Plug
    passive: bool

    @property
    def ofport(self) -> int:
        """The OpenFlow port."""
        return self.plug.ofport

    @property
    def lane(self) -> int:
        """The port's number on that host."""
        return self.plug.lane

    @property
    def vid(self) -> int:
        """The VLAN, or 0."""
        return self.plug.vid


class Footing(NamedTuple):
    """A port's place.  One that is administratively down has hosts and nothing else.

    :param hosts: where its network has to be: its home, and the target of its move.
    :param taps: the interfaces that get a program of the port.
    :param local: the hosts that deliver the port's frames to their own tap (if one is plugged).
    :param floods: the hosts that deliver there what is flooded, or sent to a group that the port has joined.
    :param hairpin: the host that turns frames round to ``pointer``.
    :param pointer: the host that all other hosts send to.
    """

    hosts: tuple[HostName, ...] = ()
    taps: tuple[Tap, ...] = ()
    local: tuple[HostName, ...] = ()
    hairpin: HostName | None = None
    pointer: HostName | None = None
    floods: tuple[HostName, ...] = ()

    def tap_at(self, host: HostName) -> Tap | None:
        """The port's tap at a host, if it gets a program there."""
        for tap in self.taps:
            if tap.host == host:
                return tap
        return None


NOWHERE: Final = Footing()


def footing(home: HostName | None, move: Move | None, places: dict[HostName, Plug], *, up: bool = True) -> Footing:
    """Work out where a port stands.

    :param home: its active binding.
    :param move: its live move.
    :param places: where it is plugged, and how.
    :param up: whether it is administratively up, and its network.
    """
    if home is None:
        return NOWHERE
    if not up:
        return Footing((home,) if move is None else (move.source, move.target))
    if move is None:
        taps = (Tap(home, places[home], passive=False),) if home in places else ()
        return Footing((home,), taps, (home,), None, home, (home,))
    doing = PHASES[move.phase]
    hosts = (move.source, move.target)
    passive = {move.source: False, move.target: move.phase not in SWITCHING}
    return Footing(
        hosts,
        tuple(Tap(host, places[host], passive[host]) for host in hosts if host in places),
        tuple(host for host, delivers in zip(hosts, (doing.source, doing.target), strict=True) if delivers),
        None if doing.source else move.source,
        move.target if doing.others else move.source,
        tuple(host for host, delivers in zip(hosts, (doing.floods, doing.target), strict=True) if delivers),
    )


def programs_changed(before: Footing, after: Footing) -> set[HostName]:
    """The hosts whose tap of the port has another program now (PORT units)."""
    return {tap.host for tap in set(before.taps) ^ set(after.taps)}


def deliveries_changed(before: Footing, after: Footing) -> set[HostName]:
    """The hosts that deliver to another tap of the port now, or do so no more (ADDRESS and NETWORK units)."""
    return {host for host, *_ in _deliveries(before) ^ _deliveries(after)}


def _deliveries(at: Footing) -> set[tuple[HostName, Plug | None, bool, bool]]:
    """Who has which tap, and what gets there."""
    taps = {tap.host: tap.plug for tap in at.taps}
    return {(host, taps.get(host), host in at.local, host in at.floods) for host in {*at.local, *at.floods, *taps}}
