"""What does the fabric look like now, and what changes when a port, a link or a host does?

A mutable index of frozen values round a networkx graph.  :meth:`Fabric.apply` is the only way that it changes; it
answers with what the change touched and what to store, so that a restarted controller starts from what it knew and
finds nothing to send.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from controller.events import PortChanged, SwitchPort
from controller.fabric import documents
from controller.fabric.cables import Observation
from controller.fabric.changes import (
    Effect,
    FabricChange,
    HostSighted,
    LinkSeen,
    PolicyChosen,
    SwitchConnected,
    SwitchDisconnected,
    SwitchMaintained,
    Tick,
)
from controller.fabric.flaps import Damping
from controller.fabric.known import PATHS, Touched
from controller.fabric.orders import Orders
from controller.fabric.plan import LaPlan, PortRef, Sighting
from controller.fabric.policies import POLICIES, Policy, policy_named
from controller.fabric.routes import Link
from controller.fabric.wiring import RESERVED_PORTS, Switch
from overlay.changes import Document

_NOTHING: Final = Effect()


class Fabric(Orders):
    """The physical network as the controller knows it."""

    @classmethod
    def restore(
        cls,
        stored: Iterable[Document],
        plan: LaPlan,
        now: float,
        *,
        hold: float = 15.0,
        policy: Policy = POLICIES["ecmp"],
        paths: int = PATHS,
        damping: Damping | None = None,
        damped: Iterable[Link] = (),
    ) -> Fabric:
        """Build the fabric that wrote these documents; its links and hosts are assumed until they are seen again.

        :param damped: links that are known to have come and gone too often.
        """
        fabric = cls(plan, hold=hold, policy=policy, paths=paths, damping=damping)
        fabric._flaps.damped.update(damped)
        hosts: list[Sighting] = []
        for document in stored:
            match documents.read(document):
                case (datapath_id, ports):
                    fabric.switches[datapath_id] = Switch(datapath_id, {port.number: port for port in ports})
                case Observation() as observation:
                    fabric.cables.put(replace(observation, seen=now, assumed=True))
                case Sighting() as sighting:
                    hosts.append(sighting)
                case SwitchMaintained(datapath_id):
                    fabric.upkeep.switches.add(datapath_id)
                case documents.TunedLink(link, tuning):
                    fabric.upkeep.links[link] = tuning
                case PolicyChosen(name, paths):
                    fabric._follow(policy_named(name), paths)
        for sighting in hosts:
            if plan.admits(sighting.la, sighting.mac):
                fabric._sightings.put(sighting, now, assumed=True)
        fabric.graph.add_nodes_from(fabric.switches)
        fabric.routes.update(fabric._rewire(fabric.switches, now))
        fabric._steering = None
        return fabric

    def twin(self, now: float) -> Fabric:
        """Make a fabric that knows the same, to try a change on."""
        twin = Fabric.restore(
            self.documents(),
            self.plan,
            now,
            hold=self._hold,
            policy=self.policy,
            paths=self.paths,
            damping=self._damping,
            damped=self.damped,
        )
        twin.switches.update(self.switches)  # their sessions are in no document
        return twin

    def documents(self) -> tuple[Document, ...]:
        """Write down everything from which a fabric can be restored."""
        return (
            documents.of_policy(self.policy.name, self.paths),
            *(documents.of_switch(switch.datapath_id, switch.ports.values()) for switch in self.switches.values()),
            *(documents.of_link(known) for known in self.cables),
            *(documents.of_sighting(sighting) for sighting in self.sightings.values()),
            *(documents.of_maintenance(datapath_id, on=True) for datapath_id in self.upkeep.switches),
            *(documents.of_tuning(link, tuning) for link, tuning in self.upkeep.links.items()),
        )

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, change: FabricChange, now: float) -> Effect:
        """Let one change happen.

        :param now: seconds of a clock that only goes forward.
        :raises NotFound: for a switch or link of which nothing is known.
        :raises Invalid: for a policy, weight or capacity that cannot be.
        :raises Conflict: when a switch is to be forgotten that is connected, or hosts would be cut off.
        """
        match change:
            case SwitchConnected():
                return self._connected(change, now)
            case SwitchDisconnected(datapath_id):
                if datapath_id in self.switches:
                    self.switches[datapath_id] = replace(self.switches[datapath_id], connected_since=None)
                return _NOTHING
            case PortChanged():
                return self._port_changed(change, now)
            case LinkSeen():
                return self._link_seen(change, now)
            case HostSighted():
                return self._host_sighted(change, now)
            case Tick():
                return self._tick(now)
            case _:
                return self._ordered(change, now)

    def _connected(self, change: SwitchConnected, now: float) -> Effect:
        known = self.switches.get(change.datapath_id)
        before: Mapping[int, SwitchPort] = {} if known is None else known.ports
        switch = Switch(change.datapath_id, {port.number: port for port in change.ports}, now)
        self.switches[change.datapath_id] = switch
        if known is None:
            self.graph.add_node(change.datapath_id)
            self.routes.update([(change.datapath_id, change.datapath_id)])
        touched = Touched()
        if known is None or before != switch.ports:
            touched.documents.append(documents.of_switch(switch.datapath_id, switch.ports.values()))
        if known is None or before.keys() != switch.ports.keys():
            touched.switches.add(change.datapath_id)
        for number in sorted(before.keys() | switch.ports.keys()):
            self._port_is(PortRef(change.datapath_id, number), touched)
        return self._finish(touched, now)

    def _port_changed(self, change: PortChanged, now: float) -> Effect:
        switch = self.switches.get(change.datapath_id)
        if switch is None:
            return _NOTHING
        ports = dict(switch.ports)
        if change.gone:
            ports.pop(change.port.number, None)
        else:
            ports[change.port.number] = change.port
        if ports == switch.ports:
            return _NOTHING
        touched = Touched(documents=[documents.of_switch(switch.datapath_id, ports.values())])
        if ports.keys() != switch.ports.keys():
            touched.switches.add(switch.datapath_id)
        self.switches[switch.datapath_id] = replace(switch, ports=ports)
        self._port_is(PortRef(switch.datapath_id, change.port.number), touched)
        return self._finish(touched, now)

    def _port_is(self, at: PortRef, touched: Touched) -> None:
        """Follow the present state of a port: announce from one that is up, doubt the cable of one that is down."""
        touched.wiring.add(at.datapath_id)
        if not self.is_up(at):
            touched.cables |= self.cables.doubt(at)
        elif at.port < RESERVED_PORTS:
            touched.announce.add(at)
            touched.announce |= {known.source for known in self.cables.ends(at) if self.is_up(known.source)}

    def _link_seen(self, change: LinkSeen, now: float) -> Effect:
        if not (self.is_up(change.source) and self.is_up(change.target)):
            return _NOTHING  # it left before the port went down; the cable may be another when it comes up
        touched = Touched()
        ends = {change.source, change.target}
        for end in (change.source, change.target):  # a cable that contradicts this one is given up, and frees its ends
            ends |= {other for known in self.cables.ends(end) for other in (known.source, known.target)}
        were_edge = {end for end in ends if self.is_edge(end)}
        touched.cables |= self.cables.put(Observation(change.source, change.target, now))
        are_edge = {end for end in ends if self.is_edge(end)}
        touched.switches |= {end.datapath_id for end in were_edge ^ are_edge}
        for end in were_edge - are_edge:
            for la in [la for la, host in self.hosts_at(end.datapath_id).items() if host.at == end]:
                self._drop_host(la, touched)
        back = self.cables.get(change.target)
        if back is None or back.target != change.source or not back.sure:
            touched.announce.add(change.target)
        return self._finish(touched, now)

    def _host_sighted(self, change: HostSighted, now: float) -> Effect:
        if not (self.is_edge(change.at) and self.plan.admits(change.la, change.mac)):
            return _NOTHING
        claim = Sighting(change.la, change.mac, change.at)
        known = self.sightings.get(change.la)
        reachable = known is not None and self.is_up(known.at)
        if self._sightings.contests(claim, now, self._hold, reachable=reachable):
            return _NOTHING
        touched = Touched(routes=self._sightings.put(claim, now))
        if known != claim:
            touched.switches |= {host.at.datapath_id for host in (known, claim) if host is not None}
            touched.documents.append(documents.of_sighting(claim))
        return self._finish(touched, now)

    def _tick(self, now: float) -> Effect:
        touched = Touched()
        for known in tuple(self.cables):
            if self._expired(known, now):
                touched.cables |= self.cables.drop(known.source)
                touched.switches |= {end.datapath_id for end in (known.source, known.target) if end not in self.cables}
        self._sightings.settle(now, self._hold)
        for link in self._flaps.settle(now):
            touched.wiring |= {end.datapath_id for end in link}
        return self._finish(touched, now)

    def _expired(self, known: Observation, now: float) -> bool:
        """Whether a cable should have been seen by now; while its port is down, it could not."""
        since = known.seen
        for end in (known.source, known.target):
            switch = self.switches.get(end.datapath_id)
            if switch is None:
                return True
            if switch.connected_since is None:
                return False
            port = switch.ports.get(end.port)
            if port is not None and not port.up:
                return False
            since = max(since, switch.connected_since)
        return now - since > self._hold
