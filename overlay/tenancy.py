"""May a project have this network, and what is it like?

Each function checks everything before it changes anything.
"""

from __future__ import annotations

from dataclasses import replace

from overlay.changes import CreateNetwork, DeleteNetwork, Document, DocumentKind, Unchanged, UpdateNetwork
from overlay.guests.names import check_domain
from overlay.index import Index
from overlay.recording import Recorder
from overlay.refusals import Conflict, Exhausted, Invalid
from overlay.revisions import fresh
from overlay.sharing import drop_shares, share_with_everybody
from overlay.values import Countable, Network, Shareable, Vni


def create_network(index: Index, change: CreateNetwork, record: Recorder) -> None:
    """Make a network, with its own VNI."""
    if change.id in index.networks:
        raise Conflict(f"id: there is a network {change.id} already", field="id")
    index.holdings.charge(Countable.NETWORK, change.project_id)
    _check_mtu(index, change.mtu)
    index.qos.check(change.qos_policy_id)
    vni = change.vni
    if vni is None:
        lowest = index.vnis.next()
        if lowest is None:
            raise Exhausted("all VNIs of the configured range are in use", kind="NoNetworkAvailable")
        vni = Vni(lowest)
    elif vni in index.vni_owner:
        raise Conflict(
            f"provider:segmentation_id: VNI {vni} is in use by another network",
            field="provider:segmentation_id",
            kind="SegmentationIdInUse",
        )
    record.put_network(
        Network(
            change.id,
            change.project_id,
            change.name,
            vni,
            index.settings.network_mtu if change.mtu is None else change.mtu,
            change.description,
            change.admin_up,
            record.born(change.tags),
            change.port_security,
            change.qos_policy_id or index.qos.defaults.get(change.project_id),
            check_domain(change.dns_domain, "dns_domain"),
            change.vlan_transparent,
        )
    )


def update_network(index: Index, change: UpdateNetwork, record: Recorder) -> None:
    """Change a network's texts, MTU or admin state, whether its ports are checked, or whether everybody may use it."""
    network = fresh(index.network(change.id), change.expected)
    _check_mtu(index, change.mtu)
    policy = network.qos_policy_id if isinstance(change.qos_policy_id, Unchanged) else change.qos_policy_id
    index.qos.check(policy)
    domain = network.dns_domain if change.dns_domain is None else check_domain(change.dns_domain, "dns_domain")
    if change.shared is not None:
        share_with_everybody(index, Shareable.NETWORK, network, change.share_id if change.shared else None, record)
    record.put_network(
        replace(
            network,
            name=network.name if change.name is None else change.name,
            description=network.description if change.description is None else change.description,
            mtu=network.mtu if change.mtu is None else change.mtu,
            admin_up=network.admin_up if change.admin_up is None else change.admin_up,
            port_security=network.port_security if change.port_security is None else change.port_security,
            qos_policy_id=policy,
            dns_domain=domain,
        )
    )
    for port_id in index.ports_of[change.id] if change.admin_up not in {None, network.admin_up} else ():
        record.refoot(port_id)
    for port_id in index.ports_of[change.id] if policy != network.qos_policy_id else ():
        if index.ports[port_id].qos_policy_id is None:
            record.reprogram(port_id)


def delete_network(index: Index, change: DeleteNetwork, record: Recorder) -> None:
    """Remove a network without ports, its subnets and its shares."""
    fresh(index.network(change.id), change.expected)
    if index.ports_of[change.id]:
        raise Conflict(
            f"network {change.id} still has {len(index.ports_of[change.id])} ports",
            field="network_id",
            kind="NetworkInUse",
        )
    for subnet_id in tuple(index.subnets_of[change.id]):
        index.drop_subnet(subnet_id)
        record.store(Document(DocumentKind.SUBNET, subnet_id, None))
    drop_shares(index, Shareable.NETWORK, change.id, record)
    index.drop_network(change.id)
    record.store(Document(DocumentKind.NETWORK, change.id, None))


def _check_mtu(index: Index, mtu: int | None) -> None:
    if mtu is not None and mtu > index.settings.network_mtu:
        raise Invalid(
            f"mtu: {mtu} does not fit through the tunnel, whose underlay leaves {index.settings.network_mtu}",
            field="mtu",
            kind="InvalidInput",
        )
