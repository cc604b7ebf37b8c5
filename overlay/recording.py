"""What has this change done so far?

A :class:`Recorder` lives as long as one ``World.apply``.  It collects what becomes the outcome, and turns a port's new
footing into exactly the compile units that read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from overlay.changes import Document, DocumentKind, Notice, NoticeKind, Outcome, Unit, UnitKind, Wait
from overlay.documents import (
    write_move,
    write_network,
    write_port,
    write_share,
    write_subnet,
    write_subnetpool,
)
from overlay.footing import NOWHERE, Footing, deliveries_changed, programs_changed
from overlay.guests.offers import Offer
from overlay.index import Index
from overlay.moves import Move, Phase
from overlay.multicast import memberships
from overlay.policy import units
from overlay.policy.presence import Spot
from overlay.policy.values import AddressGroup, SecurityRule
from overlay.qos.documents import write_qos_policy
from overlay.qos.values import QosPolicy
from overlay.revisions import Recorded, revised
from overlay.trunks.documents import write_trunk
from overlay.trunks.values import Trunk
from overlay.values import HostName, Network, Port, Record, Share, Subnet, SubnetPool

_BINDINGS_CHANGE: Final = frozenset(Phase) - {Phase.READY, Phase.REPOINTING, Phase.GRACE}
"""The phases whose beginning changes which bindings a port has, or which of them is the active one."""


def _standing(port: Port) -> tuple[object, ...]:
    """What a policy reads of a port."""
    return (port.port_security, port.security_groups, port.mac, port.fixed_ips, port.allowed_pairs)


class Recorder:
    """Collects the outcome of one change."""

    def __init__(self, index: Index, now: float) -> None:
        self.index = index
        self.now = now
        self.touched: dict[str, None] = {}
        self._dirty: set[Unit] = set()
        self._documents: dict[tuple[str, str], Document] = {}
        self._notices: list[Notice] = []
        self._waits: set[Wait] = set()
        self._spots: set[Spot] = set()

    def outcome(self) -> Outcome:
        """What the change did."""
        return Outcome(
            frozenset(self._dirty),
            tuple(self._documents.values()),
            tuple(self._notices),
            frozenset(self._waits),
        )

    def store(self, document: Document) -> None:
        """Have a document stored; of two about one object the later counts."""
        self._documents.pop((document.kind, document.id), None)
        self._documents[document.kind, document.id] = document

    def tell(self, kind: NoticeKind, subject: str, detail: str) -> None:
        """Have something told."""
        self._notices.append(Notice(kind, subject, detail))

    def touch(self, ports: Iterable[str]) -> None:
        """Have these ports' moves and statuses looked at before the change is over."""
        self.touched.update(dict.fromkeys(ports))

    def soil(self, host: HostName, kind: UnitKind, key: str) -> None:
        """A unit has to be compiled anew."""
        self._dirty.add(Unit(host, kind, key))

    def born(self, tags: Iterable[str] = ()) -> Record:
        """The record of an object that is being made."""
        return Record(1, self.now, self.now, tuple(sorted(set(tags))))

    def put_network(self, network: Network) -> None:
        """Add or replace a network and store it."""
        before = self.index.networks.get(network.id)
        if before != network:
            network = self.next_revision(DocumentKind.NETWORK, before, network)
            self.index.put_network(network)
            self.store(write_network(network))

    def put_subnet(self, subnet: Subnet) -> None:
        """Add or replace a subnet and store it."""
        before = self.index.subnets.get(subnet.id)
        if before != subnet:
            subnet = self.next_revision(DocumentKind.SUBNET, before, subnet)
            offered = self.index.offers[subnet.network_id]
            self.index.put_subnet(subnet)
            self.store(write_subnet(subnet))
            self._offer_changed(subnet.network_id, offered)

    def drop_subnet(self, subnet_id: str) -> None:
        """Remove a subnet and its document."""
        network_id = self.index.subnets[subnet_id].network_id
        offered = self.index.offers[network_id]
        self.index.drop_subnet(subnet_id)
        self.store(Document(DocumentKind.SUBNET, subnet_id, None))
        self._offer_changed(network_id, offered)

    def _offer_changed(self, network_id: str, before: Offer) -> None:
        """Where the machines of a network can ask for other things, soil what hands their questions on or answers."""
        if self.index.offers[network_id] == before:
            return
        for host, standing in self.index.present_on(network_id).items():
            self.soil(host, UnitKind.NETWORK, network_id)
            for port_id in standing:
                if self.index.footing(port_id).tap_at(host) is not None:
                    self.soil(host, UnitKind.PORT, port_id)

    def put_subnetpool(self, pool: SubnetPool) -> None:
        """Add or replace a subnet pool and store it."""
        before = self.index.subnetpools.get(pool.id)
        if before != pool:
            pool = self.next_revision(DocumentKind.SUBNETPOOL, before, pool)
            self.index.put_subnetpool(pool)
            self.store(write_subnetpool(pool))

    def put_qos_policy(self, policy: QosPolicy) -> None:
        """Add or replace a QoS policy and store it."""
        before = self.index.qos.by_id.get(policy.id)
        if before != policy:
            policy = self.next_revision(DocumentKind.QOS_POLICY, before, policy)
            self.index.put_qos_policy(policy)
            self.store(write_qos_policy(policy))

    def put_share(self, share: Share) -> None:
        """Add or replace a share and store it."""
        before = self.index.shares.by_id.get(share.id)
        if before != share:
            share = self.next_revision(DocumentKind.SHARE, before, share)
            self.index.put_share(share)
            self.store(write_share(share))

    def drop_share(self, share_id: str) -> None:
        """Remove a share and its document."""
        self.index.drop_share(share_id)
        self.store(Document(DocumentKind.SHARE, share_id, None))

    def put_trunk(self, trunk: Trunk) -> None:
        """Add or replace a trunk and store it."""
        before = self.index.trunks.by_id.get(trunk.id)
        if before != trunk:
            trunk = self.next_revision(DocumentKind.TRUNK, before, trunk)
            self.index.put_trunk(trunk)
            self.store(write_trunk(trunk))

    def put_port(self, port: Port) -> None:
        """Add or replace a port and store it."""
        before = self.index.ports.get(port.id)
        if before != port:
            self._store_port(self.next_revision(DocumentKind.PORT, before, port))
            if before is None or _standing(before) != _standing(port):
                self.policy_changed(ports=((before, port),))
        self.touch([port.id])

    def policy_changed(
        self,
        *,
        ports: Iterable[tuple[Port | None, Port | None]] = (),
        added: Iterable[SecurityRule] = (),
        removed: Iterable[SecurityRule] = (),
        prefixes: Iterable[tuple[AddressGroup, AddressGroup]] = (),
    ) -> None:
        """Have the switches follow a policy that has changed, in the index already.

        :param ports: before and after, where groups, addresses or whether they are checked differ; None where a port
            was not there, or is no more.
        :param added: rules that are new; ``removed`` those that are gone.
        :param prefixes: address groups before and after.
        """
        policy = self.index.policy
        for before, after in ports:
            read = {unit for port in (before, after) if port is not None for unit in units.by_port(policy, port)}
            self._dirty |= read
            if after is not None:
                if before is not None and before.filtered | after.filtered:
                    self.reprogram(after.id)
                for host in {unit.host for unit in read}:
                    self.wait(host, after.id)
        for rule in (*added, *removed):
            for each in units.by_rule(policy, rule):
                if isinstance(each, Spot):
                    self._soil_members(each)
                else:
                    self._dirty.add(each)
        for old, new in prefixes:
            self._dirty.update(units.by_prefixes(policy, old, new))
        self._follow_groups()

    def _soil_members(self, spot: Spot) -> None:
        """The ports of a group at a host are members of other clauses now; once is enough for many rules."""
        if spot in self._spots:
            return
        self._spots.add(spot)
        for port_id in self.index.policy.members.ports(spot.group_id, spot.network_id):
            if self.index.footing(port_id).tap_at(spot.host) is not None:
                self.soil(spot.host, UnitKind.PORT, port_id)

    def _follow_groups(self) -> None:
        """Where a group has come to a host or gone from it, its clauses have flows, or none any more."""
        policy = self.index.policy
        for spot in policy.presence.turned():
            for clause in policy.clauses.of(spot.group_id):
                self._dirty.update(units.units_for(policy, spot, clause))

    def _store_port(self, port: Port) -> None:
        self.index.put_port(port)
        self.store(write_port(port))

    def next_revision(self, kind: DocumentKind, before: Recorded | None, after: Recorded) -> Recorded:
        """What is to be put: the next revision, of which one change makes but one."""
        return after if before is None or (kind, after.id) in self._documents else revised(after, self.now)

    def put_move(self, move: Move) -> None:
        """Replace a move, store it and tell of its phase; its port has other bindings by it."""
        for port_id in self.index.trunks.convoy(move.port_id) if move.phase in _BINDINGS_CHANGE else ():
            port = self.index.ports[port_id]
            self._store_port(self.next_revision(DocumentKind.PORT, port, port))
        self.index.put_move(move)
        self.store(write_move(move))
        self.tell(NoticeKind.MOVE_PHASE, move.id, move.phase)
        self.touch([move.port_id])

    def refoot(self, port_id: str) -> None:
        """A port's home, move or taps have changed: soil what reads its place, and that of its sub-ports."""
        for each in self.index.trunks.convoy(port_id):
            before, after, turned = self.index.refoot(each)
            self._follow_groups()
            self.touch([each])
            if before != after or turned:
                self._compare(each, before, after, turned, waits=True)

    def reprogram(self, port_id: str) -> None:
        """Something that a port's program reads has changed: soil it wherever the port is plugged."""
        self.touch([port_id])
        for tap in self.index.footing(port_id).taps:
            self.soil(tap.host, UnitKind.PORT, port_id)
            self.wait(tap.host, port_id)

    def readdress(self, port_id: str) -> None:
        """A port has other addresses: soil what answers for them, and what lets it send by them."""
        index = self.index
        self.reprogram(port_id)
        for host in index.present_on(index.ports[port_id].network_id) if index.footing(port_id).pointer else ():
            self.soil(host, UnitKind.ADDRESS, port_id)
            self.wait(host, port_id)

    def reflect(self, port_id: str) -> None:
        """Whose copies a port gets has changed, who gets copies of its frames, or how its host is reached."""
        self.touch([port_id])
        for unit in self._mirroring(port_id, self.index.footing(port_id).hosts):
            self._dirty.add(unit)
            self.wait(unit.host, port_id)

    def _mirroring(self, port_id: str, hosts: Iterable[HostName]) -> Iterator[Unit]:
        """What makes copies of a port's frames or brings it some, and what makes those; all of it reads its place."""
        index = self.index
        for host in hosts:
            yield Unit(host, UnitKind.MIRROR, port_id)
        for source in index.mirrors.watched(port_id):
            for tap in index.footing(source).taps:
                yield Unit(tap.host, UnitKind.MIRROR, source)

    def lift(self, port_id: str) -> None:
        """A port stands nowhere any more and is about to be dropped."""
        before, turned = self.index.lift(port_id)
        self._follow_groups()
        self._compare(port_id, before, NOWHERE, turned, waits=False)

    def _compare(self, port_id: str, before: Footing, after: Footing, turned: set[HostName], *, waits: bool) -> None:
        index = self.index
        network_id = index.ports[port_id].network_id
        present = index.present_on(network_id)
        soiled = {Unit(host, UnitKind.PORT, port_id) for host in programs_changed(before, after)}
        for host in deliveries_changed(before, after):
            soiled.add(Unit(host, UnitKind.ADDRESS, port_id))
            soiled.add(Unit(host, UnitKind.NETWORK, network_id))
        moved = (before.pointer, not before.hosts) != (after.pointer, not after.hosts)
        if moved or before.hairpin != after.hairpin:
            hosts = present if moved else ()
            soiled.update(
                Unit(host, UnitKind.ADDRESS, port_id)
                for host in (*hosts, before.hairpin, after.hairpin)
                if host is not None
            )
        if turned:
            soiled.update(Unit(host, UnitKind.NETWORK, network_id) for host in (*present, *turned))
        soiled |= memberships.follow(index, self, port_id, before, after)
        if port_id in index.mirrors:
            soiled.update(self._mirroring(port_id, (*before.hosts, *after.hosts)))
        for host in {unit.host for unit in soiled} if waits else ():
            self.wait(host, port_id)
        self._dirty |= soiled | memberships.of_network(index, network_id, turned)
        for host in turned:
            self._dirty.update(Unit(host, UnitKind.ADDRESS, port) for port in index.ports_of[network_id])

    def wait(self, host: HostName, port_id: str) -> None:
        """A port has to wait for what is about to be sent to a host."""
        if host in self.index.hosts and not self.index.readiness.is_lost(host):
            self._waits.add(Wait(host, port_id))
            self.index.readiness.owe(host, port_id)
