"""What is known of the fabric, and what follows when any of it changes?

Where each hypervisor is and how ways are chosen, over the wiring.  What happens to the fabric is told in
``controller.fabric.graph``, and what its operator can say in ``controller.fabric.orders``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from controller.fabric import documents
from controller.fabric.changes import Effect
from controller.fabric.flaps import Damping
from controller.fabric.plan import LaPlan, PortRef, Sighting
from controller.fabric.policies import NO_STEERING, POLICIES, Policy, Steering
from controller.fabric.routing import Routes
from controller.fabric.sightings import Clash, Sightings
from controller.fabric.wiring import Wiring
from overlay.changes import Document
from overlay.values import DatapathId

PATHS: Final = 2


@dataclass(slots=True)
class Touched:
    """What one change has touched so far."""

    routes: bool = False
    switches: set[DatapathId] = field(default_factory=set)
    cables: set[PortRef] = field(default_factory=set)
    wiring: set[DatapathId] = field(default_factory=set)
    documents: list[Document] = field(default_factory=list)
    announce: set[PortRef] = field(default_factory=set)


class Known(Wiring):
    """The wiring, the hosts at it, and the ways between them.

    :param hold: seconds after which a link that was not seen, or a host that does not answer, is given up.
    :param policy: how ways are chosen, until the operator chooses.
    :param paths: over how many paths ``disjoint`` spreads.
    :param damping: of links that come and go; None for none.
    """

    def __init__(
        self,
        plan: LaPlan,
        *,
        hold: float = 15.0,
        policy: Policy = POLICIES["ecmp"],
        paths: int = PATHS,
        damping: Damping | None = None,
    ) -> None:
        super().__init__(damping)
        self.plan = plan
        self.policy = policy
        self.paths = paths
        self.routes = Routes(self.graph, policy.hops)
        """The next hops over the graph as it is."""
        self._hold = hold
        self._damping = damping
        self._sightings = Sightings(plan)
        self._steer = policy.steerer()
        self._steering: Steering | None = NO_STEERING

    # ── what is known ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def sightings(self) -> Mapping[IPv4Address, Sighting]:
        """Where each LA is."""
        return self._sightings.by_la

    @property
    def assumed(self) -> frozenset[IPv4Address]:
        """The LAs that were not seen since a restart."""
        return frozenset(self._sightings.assumed)

    @property
    def located(self) -> Mapping[IPv4Network, DatapathId]:
        """Which edge switch each prefix, and each /32 that is an exception from it, is routed to."""
        return self._sightings.located

    @property
    def clashes(self) -> tuple[Clash, ...]:
        """The LAs that two hosts claim."""
        return tuple(self._sightings.clashes.values())

    @property
    def edges(self) -> frozenset[DatapathId]:
        """The switches that prefixes are routed to."""
        return frozenset(self.located.values())

    @property
    def steering(self) -> Steering:
        """What happens to packets where they enter the fabric."""
        if self._steering is None:
            steer = self._steer
            self._steering = NO_STEERING if steer is None else steer(self.graph, self.edges, self.paths)
        return self._steering

    def hosts_at(self, datapath_id: DatapathId) -> Mapping[IPv4Address, Sighting]:
        """Give the hosts behind one switch."""
        return self._sightings.at(datapath_id)

    # ── what follows ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _drop_host(self, la: IPv4Address, touched: Touched) -> None:
        touched.routes |= self._sightings.drop(la)
        touched.documents.append(documents.no_sighting(la))

    def _finish(self, touched: Touched, now: float) -> Effect:
        for source in sorted(touched.cables):
            known = self.cables.get(source)
            touched.documents.append(documents.no_link(source) if known is None else documents.of_link(known))
        pairs = self._rewire(touched.wiring | {source.datapath_id for source in touched.cables}, now)
        changed = self.routes.update(pairs) if pairs else set()
        if touched.routes or pairs:
            self._steering = None
        return Effect(
            routes=touched.routes or bool(pairs and self.policy.steer),
            switches=frozenset(touched.switches | changed),
            documents=tuple(touched.documents),
            announce=tuple(sorted(touched.announce)),
        )

    def _follow(self, policy: Policy, paths: int) -> None:
        self.policy, self.paths = policy, paths
        self.routes.choose(policy.hops)
        self._steer = policy.steerer()
        self._steering = None
