"""How does the owner answer what the fabric's operator asks?

The fabric's share of :class:`controller.service.Service`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from controller.fabric.changes import Order
from controller.fabric.differences import Difference, differences
from controller.fabric.drawing import Format
from controller.fabric.intended import End, Statement, stated
from controller.fabric.plan import PortRef
from controller.fabric.policies import POLICIES
from controller.fabric.routes import Link, NextHops
from controller.ovsdb.server import HostsServer
from controller.owner import Owner, not_intended
from controller.views import (
    CableView,
    DifferenceView,
    EndView,
    IntendedLinkView,
    IntendedSwitchView,
    IntendedView,
    NextHopView,
    PoliciesView,
    PolicyView,
    PortView,
    RouteChangeView,
    SwitchChangeView,
    SwitchView,
)
from overlay.refusals import NotFound
from overlay.values import DatapathId

_DIFFERENCES_TOLD: Final = 20
"""How many differences from the intended topology are told as problems one by one."""


class FabricDesk:
    """Answers about the fabric of one owner, and about its switches as their OVSDB sessions know them."""

    def __init__(self, owner: Owner, hosts: HostsServer) -> None:
        self._owner = owner
        self._hosts = hosts

    # ── what is there ────────────────────────────────────────────────────────────────────────────────────────────────

    def switches(self) -> tuple[SwitchView, ...]:
        """All fabric switches, by datapath id."""
        problems = self._hosts.fabric_switches()
        return tuple(
            self._switch_view(datapath_id, problems) for datapath_id in sorted(self._owner.underlay.fabric.switches)
        )

    def switch(self, datapath_id: DatapathId) -> SwitchView:
        """One fabric switch."""
        if datapath_id not in self._owner.underlay.fabric.switches:
            raise NotFound(f"no fabric switch {datapath_id} is known", field="switch_id", kind="SwitchNotFound")
        return self._switch_view(datapath_id, self._hosts.fabric_switches())

    def cables(self) -> tuple[CableView, ...]:
        """All cables between fabric switches, usable or not."""
        fabric = self._owner.underlay.fabric
        links = {Link(*sorted((known.source, known.target))) for known in fabric.cables}
        return tuple(map(self._cable_view, sorted(links)))

    def cable(self, end: PortRef) -> CableView:
        """The cable that a port is an end of."""
        return self._cable_view(self._owner.underlay.fabric.link_at(end))

    def policy(self) -> PoliciesView:
        """How ways through the fabric are chosen, and how they could be."""
        fabric = self._owner.underlay.fabric
        return PoliciesView(
            fabric.policy.name,
            fabric.paths,
            fabric.policy.purpose,
            fabric.policy.source,
            tuple(
                PolicyView(each.name, each.purpose, each.source, chosen=each.name == fabric.policy.name)
                for each in POLICIES.values()
            ),
        )

    # ── what the operator says ───────────────────────────────────────────────────────────────────────────────────────

    def order(self, order: Order) -> None:
        """Have the fabric follow what its operator says."""
        self._owner.order(order)

    def preview(self, order: Order) -> tuple[SwitchChangeView, ...]:
        """Say what an order would change on which switches, and change nothing."""
        return tuple(
            SwitchChangeView(
                found.datapath_id,
                tuple(
                    RouteChangeView(str(route.target), _hops(route.before), _hops(route.after))
                    for route in found.routes
                ),
                found.groups,
                found.flows,
            )
            for found in self._owner.underlay.preview(order)
        )

    # ── what is intended ─────────────────────────────────────────────────────────────────────────────────────────────

    def intended(self) -> IntendedView:
        """The topology that the fabric is meant to have."""
        statement = self._stated()
        return IntendedView(
            statement.language.value,
            statement.text,
            statement.file,
            tuple(
                IntendedSwitchView(node.datapath_id, node.name, None if node.role is None else node.role.value)
                for node in statement.intended.switches.values()
            ),
            tuple(
                IntendedLinkView(EndView(*cable.a), EndView(*cable.b), cable.weight, cable.capacity)
                for cable in statement.intended.cables
            ),
        )

    def intend(self, language: Format, document: str) -> None:
        """Say which topology the fabric is meant to have."""
        self._owner.intend(stated(document, language))

    def intend_nothing(self) -> None:
        """Take the intended topology away."""
        self._owner.intend(None)

    def differences(self) -> tuple[DifferenceView, ...]:
        """In what the fabric differs from the intended topology."""
        return tuple(map(_difference_view, differences(self._stated().intended, self._owner.underlay.fabric)))

    def miscabled(self) -> list[str]:
        """Tell in what the fabric is not as it was intended, at not too great length."""
        if self._owner.intended is None:
            return []
        found = differences(self._owner.intended.intended, self._owner.underlay.fabric)
        told = [difference.sentence for difference in found[:_DIFFERENCES_TOLD]]
        if len(found) > len(told):
            told.append(f"{len(found) - len(told)} more differences from the intended topology")
        return told

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _switch_view(self, datapath_id: DatapathId, problems: Mapping[DatapathId, tuple[str, ...]]) -> SwitchView:
        underlay = self._owner.underlay
        channel = underlay.channels.get(datapath_id)
        statement = self._owner.intended
        node = None if statement is None else statement.intended.switches.get(datapath_id)
        maintenance = datapath_id in underlay.fabric.upkeep.switches
        return SwitchView(
            datapath_id,
            connected=channel is not None and channel.session is not None,
            edge=bool(underlay.fabric.hosts_at(datapath_id)),
            ports=tuple(PortView(port.number, port.name, port.up) for port in underlay.fabric.ports(datapath_id)),
            name="" if node is None else node.name,
            maintenance=maintenance,
            drained=maintenance and underlay.drained(datapath_id),
            problems=problems.get(datapath_id, ()),
        )

    def _cable_view(self, link: Link) -> CableView:
        underlay = self._owner.underlay
        fabric = underlay.fabric
        tuning = fabric.upkeep.tuning(link)
        return CableView(
            f"{link.a.datapath_id}:{link.a.port}",
            EndView(*link.a),
            EndView(*link.b),
            tuning.weight,
            fabric.capacity(link),
            capacity_set=tuning.capacity_mbps is not None,
            maintenance=tuning.maintenance,
            damped=link in fabric.damped,
            usable=fabric.peer(link.a) == link.b,
            drained=tuning.maintenance and underlay.drained_link(link),
            assumed=any(known.assumed for known in fabric.cables.ends(link.a)),
        )

    def _stated(self) -> Statement:
        if self._owner.intended is None:
            raise not_intended()
        return self._owner.intended


def _hops(hops: NextHops | None) -> tuple[NextHopView, ...] | None:
    return None if hops is None else tuple(NextHopView(*hop) for hop in hops)


def _difference_view(found: Difference) -> DifferenceView:
    return DifferenceView(
        found.kind.value, found.sentence, EndView(*found.at), _end_view(found.expected), _end_view(found.seen)
    )


def _end_view(end: End | None) -> EndView | None:
    return None if end is None else EndView(*end)
