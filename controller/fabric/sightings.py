"""Which hypervisor is behind which edge port, and whom to believe when two claim one address?

An LA moves at once when its MAC turns up elsewhere, when another MAC turns up on its port, or when its port is down.
When another MAC claims it on another port, that is a clash: the first keeps the address for as long as it answers.
The switches do not report a host again that they know, so silence proves nothing by itself: while a clash lasts, both
are asked (:func:`controller.fabric.probes.probes_wanted`), and only a holder that does not answer loses the address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from controller.fabric.plan import LaPlan, Sighting, locate
from overlay.values import DatapathId

_NOBODY: Final[Mapping[IPv4Address, Sighting]] = {}


@dataclass(frozen=True, slots=True)
class Clash:
    """Two hosts that claim one LA.

    :param since: when the contender was first seen, in seconds.
    :param last: when it was last seen.
    """

    holder: Sighting
    contender: Sighting
    since: float
    last: float


class Sightings:
    """All sightings, by address, by switch and by prefix, and the prefixes' places that follow from them."""

    def __init__(self, plan: LaPlan) -> None:
        self._plan = plan
        self._seen: dict[IPv4Address, float] = {}
        self._by_switch: dict[DatapathId, dict[IPv4Address, Sighting]] = {}
        self._by_prefix: dict[IPv4Network, dict[IPv4Address, Sighting]] = {}
        self._places: dict[IPv4Network, Mapping[IPv4Network, DatapathId]] = {}
        self.by_la: dict[IPv4Address, Sighting] = {}
        self.assumed: set[IPv4Address] = set()
        self.clashes: dict[IPv4Address, Clash] = {}
        self.located: dict[IPv4Network, DatapathId] = {}
        """Where every edge prefix, and every LA that is not where its prefix is, belongs."""

    def at(self, datapath_id: DatapathId) -> Mapping[IPv4Address, Sighting]:
        """Give the hosts behind one switch."""
        return self._by_switch.get(datapath_id, _NOBODY)

    def put(self, sighting: Sighting, now: float, *, assumed: bool = False) -> bool:
        """Believe a sighting; return whether prefixes are located differently now."""
        la = sighting.la
        self._seen[la] = now
        if assumed:
            self.assumed.add(la)
        else:
            self.assumed.discard(la)
        known = self.by_la.get(la)
        if known == sighting:
            return False
        if known is not None:
            del self._by_switch[known.at.datapath_id][la]
        self.by_la[la] = sighting
        self._by_switch.setdefault(sighting.at.datapath_id, {})[la] = sighting
        prefix = self._plan.prefix_of(la)
        self._by_prefix.setdefault(prefix, {})[la] = sighting
        return self._locate(prefix)

    def drop(self, la: IPv4Address) -> bool:
        """Forget where an address is; return whether prefixes are located differently now."""
        known = self.by_la.pop(la)
        self.clashes.pop(la, None)
        self.assumed.discard(la)
        del self._seen[la]
        del self._by_switch[known.at.datapath_id][la]
        prefix = self._plan.prefix_of(la)
        del self._by_prefix[prefix][la]
        return self._locate(prefix)

    def contests(self, claim: Sighting, now: float, hold: float, *, reachable: bool) -> bool:
        """Whether the present holder of the address keeps it against this claim; keeps the books of the clash.

        :param hold: how long a holder may leave the question unanswered, in seconds.
        :param reachable: whether the holder's port is up.
        """
        holder = self.by_la.get(claim.la)
        if holder is None or not reachable or holder.mac == claim.mac or holder.at == claim.at:
            if holder != claim:
                self.clashes.pop(claim.la, None)
            return False
        clash = self.clashes.get(claim.la)
        if clash is None or clash.contender != claim:
            clash = Clash(holder, claim, now, now)
        self.clashes[claim.la] = replace(clash, last=now)
        if now - max(self._seen[claim.la], clash.since) < hold:
            return True
        del self.clashes[claim.la]
        return False

    def settle(self, now: float, hold: float) -> None:
        """Close the clashes whose contender has not been seen for longer than ``hold``."""
        for la, clash in tuple(self.clashes.items()):
            if now - clash.last > hold:
                del self.clashes[la]

    def _locate(self, prefix: IPv4Network) -> bool:
        before = self._places.get(prefix, {})
        after = locate(prefix, self._by_prefix[prefix].values())
        if before == after:
            return False
        for place in before:
            del self.located[place]
        self.located.update(after)
        self._places[prefix] = after
        return True
